"""Posts that fall due while a new version is deployed go out once, or fail with a reason."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local.deploy import deploy
from local.engine import Engine
from tests.e2e.aws import client
from tests.proofs.soak import Board, Client, moment, settled
from tests.support.engine import own_stack
from tests.support.ledger import balance
from tests.support.proof import Proved, seed

Stack = Mapping[str, Any]

LEAD = 3.0
"""Seconds from a post's creation to its moment."""

AROUND = 5.0
"""Seconds before and after the deployment during which posts fall due too."""

PATIENCE = 900.0
"""Seconds to wait for what has to come by itself; what broke off takes some 300."""


def test_posts_due_during_a_deploy_go_out_once_or_fail_with_a_reason(
    proved: Callable[[Proved], None],
) -> None:
    # Given a stack, and a new version of all its functions
    with own_stack() as stack:
        folder = Path(stack["receiver"]["log"]).resolve().parent
        newer = _newer(folder / "build", folder / "newer")
        before = _functions(stack)
        board = Board()
        # When it is deployed while a post falls due every second or so
        with ThreadPoolExecutor() as threads:
            deployed = threads.submit(_deploy, stack, folder, newer)
            creating = [threads.submit(_keep_creating, stack, board, deployed) for _ in range(2)]
            for done in creating:
                done.result()
            began, ended = deployed.result()
        evidence, unrest = settled(stack, board, patience=PATIENCE)
        after = _functions(stack)
    # Then every function is another one
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] == after[name]] == []
    # And every post was published once on each platform, or failed with a reason; none was lost
    ledger = balance(evidence)
    assert ledger.faults == (), "\n".join(ledger.lines())
    assert ledger.accounted == ledger.accepted
    assert not unrest, unrest
    ends = {"PUBLISHED", "PARTIALLY_PUBLISHED", "FAILED"}
    assert {post.status for post in evidence.posts} <= ends, "\n".join(ledger.lines())
    during = [post for post in evidence.posts if began <= str(post.scheduled_at) <= ended]
    proved(
        Proved(
            what="posts that fell due during a deployment, each gone out once or failed",
            count=len(during),
            unit="posts",
        )
    )


def _deploy(stack: Stack, folder: Path, build: Path) -> tuple[str, str]:
    """Deploy after a while; return when it began and ended."""
    time.sleep(AROUND + LEAD)
    began = moment()
    port = urlsplit(stack["engineUrl"]).port
    assert port is not None
    deploy(
        Engine(port=port, folder=folder),
        folder,
        bluesky_url=stack["platform"]["url"],
        ready_build=build,
    )
    return began, moment()


def _keep_creating(stack: Stack, board: Board, deployed: Future[Any]) -> None:
    """Create posts that are due soon until a while after the deployment."""
    number = next(_numbers)
    chance = random.Random(f"{seed()} deploy {number}")
    asking = Client(number=number, stack=stack, board=board, chance=chance)
    until = None
    for turn in count():
        if deployed.done():
            until = until or time.monotonic() + AROUND
            if time.monotonic() > until:
                return
        asking.create_due(f"creator {number} turn {turn}", LEAD)
        time.sleep(chance.uniform(0.3, 0.9))


_numbers = count()


def _newer(build: Path, folder: Path) -> Path:
    """Return a build whose functions and layers all differ from the one that is deployed."""
    shutil.copytree(build, folder, symlinks=True)
    for source in (*folder.glob("*/app.py"), folder / "PostbreezeLayer/python/postbreeze/py.typed"):
        source.write_text(source.read_text("utf-8") + "\n# A newer version.\n", "utf-8")
    return folder


def _functions(stack: Stack) -> dict[str, str]:
    """Return the digest of each function's code."""
    return dict(_digests(client(stack, "lambda"), stack["stackName"]))


def _digests(functions: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for page in functions.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            if function["FunctionName"].startswith(prefix):
                yield function["FunctionName"], function["CodeSha256"]
