"""A whole stack for the end-to-end tests, brought up by the same code as `make up`.

It has free ports and a folder of its own, so it runs beside a `make up` stack and beside other test
runs. `POSTBREEZE_TEST_STACK=.local/stack.json` points the tests at a stack that is up instead.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local import paths
from local.own_stack import stack_in

TEST_STACKS = paths.LOCAL / "test"


def clear_leftovers() -> None:
    """Stop and remove what test runs that are over have left behind, be it a crash or just logs."""
    for folder in TEST_STACKS.glob("*"):
        if not (Path("/proc/self").exists() and Path("/proc", folder.name).exists()):
            stack_in(folder).down()
            shutil.rmtree(folder)


@contextmanager
def own_stack(*, bluesky_url: str | None = None) -> Iterator[dict[str, Any]]:
    """Deploy a stack for this process, and take it down; gives what the stack file says of it.

    Args:
        bluesky_url: The Bluesky server it publishes to; its own sandbox unless given.
    """
    own = replace(stack_in(TEST_STACKS / str(os.getpid())), bluesky_url=bluesky_url)
    with ExitStack() as afterwards:
        with _one_at_a_time():
            clear_leftovers()
            afterwards.callback(own.down)
            described = own.up()
        yield described


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Keep test processes from building, or tidying up, in the middle of each other's doing so."""
    TEST_STACKS.mkdir(parents=True, exist_ok=True)
    with Path(TEST_STACKS.with_suffix(".lock")).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def stack() -> Iterator[dict[str, Any]]:
    """What the stack file says of a deployed stack with seeded data; IAM evaluation is on."""
    pointed = os.environ.get("POSTBREEZE_TEST_STACK")
    if pointed:
        yield json.loads(Path(pointed).read_text(encoding="utf-8"))
        return
    with own_stack() as described:
        yield described
