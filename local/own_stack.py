"""Local stacks of one's own, for tests and for what is measured on one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from local import paths
from local.stack import Stack
from local.tools import free_ports


def stack_in(folder: Path) -> Stack:
    """Return a stack on free ports that keeps everything in `folder`."""
    api, engine, receiver, platform = free_ports(4)
    return Stack(
        api_port=api,
        engine_port=engine,
        receiver_port=receiver,
        platform_port=platform,
        folder=folder,
        stack_file=folder / "stack.json",
        receiver_log=folder / "receiver.jsonl",
        platform_log=folder / "platform.jsonl",
    )


@contextmanager
def own_stack(name: str, parameters: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """Deploy a stack on free ports in a folder of its own, and take it down afterwards.

    Args:
        name: Of the folder.
        parameters: Of the template, other than samconfig's.
    """
    stack = replace(stack_in(paths.LOCAL / name), parameters=parameters or {})
    try:
        yield stack.up()
    finally:
        stack.down()
