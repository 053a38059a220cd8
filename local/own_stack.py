"""A local stack of one's own, for what is measured on one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from local import paths
from local.stack import Stack
from local.tools import free_ports


@contextmanager
def own_stack(name: str, parameters: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """Deploy a stack on free ports in a folder of its own, and take it down afterwards.

    Args:
        name: Of the folder.
        parameters: Of the template, other than samconfig's.
    """
    api, engine, receiver, sandbox = free_ports(4)
    folder = paths.LOCAL / name
    stack = Stack(
        api_port=api,
        engine_port=engine,
        receiver_port=receiver,
        platform_port=sandbox,
        folder=folder,
        stack_file=folder / "stack.json",
        receiver_log=folder / "receiver.jsonl",
        platform_log=folder / "platform.jsonl",
        parameters=parameters or {},
    )
    try:
        yield stack.up()
    finally:
        stack.down()
