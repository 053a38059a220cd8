"""Rate limits on a deployed stack, with a key that has the limits of any other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import Api
from tests.e2e.test_operator import CommandLine

pytestmark = pytest.mark.e2e

REQUESTS = 150


def test_no_window_takes_more_than_it_may(stack: Mapping[str, Any], tmp_path: Path) -> None:
    # Given a new key, with 60 requests a minute
    postbreeze = CommandLine(stack, tmp_path)
    minted = postbreeze("key", "mint", stack["users"]["owner"])
    api = Api({**stack, "keys": {"owner": minted["key"]}})
    # When far more come at once
    with ThreadPoolExecutor(12) as threads:
        replies = list(threads.map(lambda _: api.call("GET", "/posts/no-id"), range(REQUESTS)))
    # Then each answer tells how the key stands, and those refused when to come back
    left: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for reply in replies:
        told = {name: reply.headers[f"X-RateLimit-{name}"] for name in ("Limit", "Reset")}
        assert reply.status in (400, 429)
        if reply.status == 400:
            left[told["Limit"], told["Reset"]].append(int(reply.headers["X-RateLimit-Remaining"]))
        else:
            assert reply.body["code"] == "RATE_LIMITED"
            seconds, milliseconds = int(reply.headers["Retry-After"]), reply.body["retryAfterMs"]
            assert 1 <= milliseconds <= seconds * 1000 < milliseconds + 1000
    # And every one that was let through took a place of its own in its window
    for (limit, _), remaining in left.items():
        assert len(set(remaining)) == len(remaining) <= int(limit)
    if len(left) <= 2:
        assert sum(map(len, left.values())) <= 120 < REQUESTS
