"""Measures the running local stack: what a cancel costs beside a request that does nothing.

Absolute times say more about the machine than about the code; the ratios within one run are what
`docs/performance.md` quotes. One connection, a fixed number of requests, nothing else: before each
kind of request it waits until the webhooks of what was done before have been delivered, and after a
request that writes it leaves the machine a moment for the webhooks of that one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import urllib3

from local import paths
from local.tools import read_json, say

ROUNDS = 100
WARM_UP = 20
PAUSE_SECONDS = 0.3
QUIET_SECONDS = 3.0
LONGEST_WAIT = 300.0


def main() -> int:
    """Print one line for each kind of request; return a non-zero code if one was not answered."""
    parser = argparse.ArgumentParser(prog="python -m local.bench", description=__doc__)
    parser.add_argument("--stack-file", type=Path, default=paths.STACK_FILE)
    stack = read_json(parser.parse_args().stack_file)
    if stack is None:
        raise SystemExit("error: the local stack is not up; start it with 'make up'")
    log = paths.ROOT / stack["receiver"]["log"]
    http = urllib3.HTTPConnectionPool("localhost", urllib3.util.parse_url(stack["apiUrl"]).port)
    key = {"Authorization": f"Bearer {stack['keys']['owner']}"}

    def call(method: str, path: str, expected: int, body: object = None) -> Any:
        sent = {**key, "Content-Type": "application/json"} if body is not None else key
        content = None if body is None else json.dumps(body).encode()
        answer = http.request(method, f"/api/v1{path}", body=content, headers=sent, retries=False)
        if answer.status != expected:
            raise SystemExit(f"{method} {path} answered {answer.status}: {answer.data!r}")
        return json.loads(answer.data)

    account = stack["accounts"]["BLUESKY"][0]
    when = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    wish = {"content": "Bench.", "platforms": [{"accountId": account}], "scheduledFor": when}
    say(f"creating {ROUNDS + WARM_UP} posts, then asking {ROUNDS} times for each")
    posts = [call("POST", "/posts", 201, wish)["id"] for _ in range(ROUNDS + WARM_UP)]
    waiting = iter(posts)
    kinds: dict[str, tuple[float, Callable[[], object]]] = {
        "a route that does not exist": (0, lambda: call("GET", "/nothing", 404)),
        "read a post": (0, lambda: call("GET", f"/posts/{posts[0]}", 200)),
        "cancel a post": (
            PAUSE_SECONDS,
            lambda: call("POST", f"/posts/{next(waiting)}/cancel", 200),
        ),
        "cancel it again": (0, lambda: call("POST", f"/posts/{posts[0]}/cancel", 200)),
        "create and schedule a post": (PAUSE_SECONDS, lambda: call("POST", "/posts", 201, wish)),
    }
    print(f"{'request':<30}{'p50 ms':>9}{'p95 ms':>9}{'ratio':>8}")
    floor = None
    for name, (pause, request) in kinds.items():
        _wait_for_quiet(log)
        middle, slow = _measure(request, pause)
        floor = floor or middle
        print(f"{name:<30}{middle:>9.1f}{slow:>9.1f}{middle / floor:>8.2f}")
    return 0


def _wait_for_quiet(log: Path) -> None:
    """Return when no webhook has come for a while."""
    size, since, began = -1, time.monotonic(), time.monotonic()
    while time.monotonic() < since + QUIET_SECONDS:
        if time.monotonic() > began + LONGEST_WAIT:
            raise SystemExit("error: the webhooks do not come to an end")
        present = log.stat().st_size if log.exists() else 0
        if present != size:
            size, since = present, time.monotonic()
        time.sleep(0.1)


def _measure(request: Callable[[], object], pause: float) -> tuple[float, float]:
    """Return the median and the 95th percentile of a request, in milliseconds."""
    taken = []
    for _ in range(WARM_UP + ROUNDS):
        began = time.perf_counter()
        request()
        taken.append((time.perf_counter() - began) * 1000)
        time.sleep(pause)
    taken = taken[WARM_UP:]
    return statistics.median(taken), statistics.quantiles(taken, n=20)[-1]


if __name__ == "__main__":
    sys.exit(main())
