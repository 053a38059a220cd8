"""Measures the running local stack: what a cancel costs beside a request that does nothing.

Absolute times say more about the machine than about the code; the ratios within one run are what
`docs/performance.md` quotes. One connection, a fixed number of requests, nothing else.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import urllib3

from local import paths

ROUNDS = 200
WARM_UP = 20


def main() -> int:
    """Print one line for each kind of request; return a non-zero code if one was not answered."""
    stack = json.loads((paths.LOCAL / "stack.json").read_text(encoding="utf-8"))
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
    posts = [call("POST", "/posts", 201, wish)["id"] for _ in range(ROUNDS + WARM_UP)]
    waiting = iter(posts)
    kinds: dict[str, Callable[[], object]] = {
        "a route that does not exist": lambda: call("GET", "/nothing", 404),
        "read a post": lambda: call("GET", f"/posts/{posts[0]}", 200),
        "cancel a post": lambda: call("POST", f"/posts/{next(waiting)}/cancel", 200),
        "cancel it again": lambda: call("POST", f"/posts/{posts[0]}/cancel", 200),
    }
    print(f"{'request':<30}{'p50 ms':>9}{'p95 ms':>9}{'ratio':>8}")
    floor = None
    for name, request in kinds.items():
        middle, slow = _measure(request)
        floor = floor or middle
        print(f"{name:<30}{middle:>9.1f}{slow:>9.1f}{middle / floor:>8.2f}")
    return 0


def _measure(request: Callable[[], object]) -> tuple[float, float]:
    """Return the median and the 95th percentile of a request, in milliseconds."""
    for _ in range(WARM_UP):
        request()
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        request()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken), statistics.quantiles(taken, n=20)[-1]


if __name__ == "__main__":
    sys.exit(main())
