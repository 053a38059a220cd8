"""Measures whether endpoints that hang delay those of the same workspace that do not.

    python -m local.bench_isolation          # `make bench-isolation`

On a local stack of its own, with as many workers as the template gives: fifty endpoints of one
workspace, all told of a steady flow of cancelled posts, in turn with none of them hanging and with
fifteen that take every request and answer none. What is measured is the time from the commit of a
cancel (`occurredAt`) until its event is all there at each of the thirty-five that never hang; those
are the same in both. The first seconds of hanging, in which it is not known yet who hangs, count
with the rest and are shown by themselves too. One turn of each goes before, unmeasured, in which
the functions start.

Absolute times say more about the machine than about the code: every part runs on it, and the
engine evaluates every role. The ratio within one run is what `docs/performance.md` quotes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import urllib3

from local import paths
from local.own_stack import own_stack
from local.tools import LocalError, say, wait_until
from postbreeze.adapters.clock import SystemRandomness
from postbreeze.cli.deployment import Deployment, Operator
from postbreeze.domain import ids
from postbreeze.operations.deliver import sealing_context

ENDPOINTS = 50
HANGING = 15
ANSWERS = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
HANGS_SECONDS = 10.5
"""A little more than a delivery waits for."""
WARMING = 3
"""Events of each of the turns that go before."""

QUIET_SECONDS = 5.0
LONGEST_WAIT = 300.0

NOBODY, HANG, SOON = "nobody hangs", "15 hang", "of these, just after they began to hang"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An event at an endpoint, and how long after its commit it was there, in seconds."""

    endpoint: int
    event_id: str
    committed_at: float
    seconds: float


class Receivers:
    """All endpoints: one server of one thread, which holds any number of hanging connections."""

    def __init__(self) -> None:
        self.are_hanging = False
        self.arrivals: list[Arrival] = []
        self.last_at = time.monotonic()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="receivers")
        self.port = 0

    def __enter__(self) -> Self:
        """Listen on a free port of loopback."""
        self._thread.start()
        serving = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512), self._loop
        )
        self._server = serving.result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening, and let go of who hangs."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = re.search(r"(?i)^content-length: (\d+)\r$", head, re.MULTILINE)
            body = await reader.readexactly(int(length[1]) if length else 0)
            now = time.time()
            endpoint = int(head.split(" ", 2)[1].strip("/"))
            self._note(endpoint, json.loads(body)["payload"], now)
            if self.are_hanging and endpoint < HANGING:
                await asyncio.sleep(HANGS_SECONDS)
            else:
                writer.write(ANSWERS)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # either side has given up
        finally:
            writer.close()

    def _note(self, endpoint: int, payload: dict[str, Any], now: float) -> None:
        committed_at = datetime.fromisoformat(payload["occurredAt"]).timestamp()
        self.last_at = time.monotonic()
        self.arrivals.append(
            Arrival(
                endpoint=endpoint,
                event_id=payload["eventId"],
                committed_at=committed_at,
                seconds=now - committed_at,
            )
        )

    def wait_for_quiet(self) -> None:
        """Return when nothing has come for a while.

        Raises:
            LocalError: It does not come to an end.
        """
        wait_until(
            "the deliveries to come to an end",
            lambda: time.monotonic() > self.last_at + QUIET_SECONDS,
            seconds=LONGEST_WAIT,
        )


class Bench:
    """A workspace with fifty endpoints on a deployed stack."""

    def __init__(self, stack: dict[str, Any], receivers: Receivers) -> None:
        self._receivers = receivers
        self._http = urllib3.HTTPConnectionPool(
            "localhost", urllib3.util.parse_url(stack["apiUrl"]).port
        )
        self._key = {"Authorization": f"Bearer {stack['keys']['owner']}"}
        self._account = stack["accounts"]["BLUESKY"][0]
        operator = Operator(
            Deployment.local(
                stack["outputs"],
                engine_url=stack["engineUrl"],
                region=stack["region"],
                platform_url=stack["platform"]["url"],
            )
        )
        self._add_endpoints(operator, stack["workspaceId"])

    def _add_endpoints(self, operator: Operator, workspace_id: str) -> None:
        """Write them as they are stored: an operator may only add twenty."""
        endpoints, randomness = operator.endpoints, SystemRandomness()
        url = f"http://127.0.0.1:{self._receivers.port}"
        first = endpoints.add(workspace_id, f"{url}/0", ["post.cancelled"])
        for number in range(1, ENDPOINTS):
            endpoint_id = ids.new_id(ids.ENDPOINT, first.endpoint.created_at, randomness.token(10))
            endpoint = replace(first.endpoint, id=endpoint_id, url=f"{url}/{number}")
            sealed = endpoints.secrets.seal(first.secret, sealing_context(endpoint))
            endpoints.webhooks.add_endpoint(replace(endpoint, sealed_secrets=(sealed,)))

    def _call(self, path: str, expected: int, body: object) -> Any:
        answer = self._http.request(
            "POST",
            f"/api/v1{path}",
            body=json.dumps(body).encode(),
            headers={**self._key, "Content-Type": "application/json"},
            retries=False,
        )
        if answer.status != expected:
            raise LocalError(f"POST {path} answered {answer.status}: {answer.data!r}")
        return json.loads(answer.data)

    def posts(self, count: int) -> list[str]:
        """Schedule as many posts, to be cancelled later."""
        when = (datetime.now(UTC) + timedelta(days=30)).isoformat()
        wish = {
            "content": "Bench.",
            "platforms": [{"accountId": self._account}],
            "scheduledFor": when,
        }
        return [self._call("/posts", 201, wish)["id"] for _ in range(count)]

    def measure(
        self, posts: Sequence[str], interval: float, *, hanging: bool
    ) -> tuple[float, list[Arrival], int]:
        """Cancel posts one after the other once all is quiet, and wait for the last arrival.

        Returns:
            When it began, what came to those that never hang, and how much of it is missing.
        """
        self._receivers.wait_for_quiet()
        self._receivers.arrivals.clear()
        self._receivers.are_hanging = hanging
        began, next_at = time.time(), time.monotonic()
        for post in posts:
            time.sleep(max(0.0, next_at - time.monotonic()))
            next_at += interval
            self._call(f"/posts/{post}/cancel", 200, {})
        wanted = len(posts) * (ENDPOINTS - HANGING)
        with suppress(LocalError):
            wait_until(
                "the last arrival",
                lambda: len(self._healthy_since(began)) >= wanted,
                seconds=LONGEST_WAIT,
            )
        arrivals = self._healthy_since(began)
        self._receivers.are_hanging = False
        return began, arrivals, wanted - len(arrivals)

    def _healthy_since(self, began: float) -> list[Arrival]:
        """Return what has come to those that never hang, each event once."""
        first: dict[tuple[int, str], Arrival] = {}
        for arrival in list(self._receivers.arrivals):
            if arrival.endpoint >= HANGING and arrival.committed_at >= began:
                first.setdefault((arrival.endpoint, arrival.event_id), arrival)
        return list(first.values())


def main() -> int:
    """Print the percentiles of each kind and their ratio; non-zero where something never came."""
    options = _options()
    events = int(options.seconds / options.interval)
    measured: dict[str, list[float]] = defaultdict(list)
    missing = 0
    workers = {"PromptDeliveries": str(options.prompt), "LateDeliveries": str(options.late)}
    with own_stack("bench-isolation", workers) as stack, Receivers() as receivers:
        bench = Bench(stack, receivers)
        say("starting the functions")
        for hanging in (True, False):
            bench.measure(bench.posts(WARMING), options.interval, hanging=hanging)
        say(f"scheduling {events * 2 * options.rounds} posts, to be cancelled in turn")
        posts = bench.posts(events * 2 * options.rounds)
        for turn in range(2 * options.rounds):
            hanging = turn % 2 == 1
            say(f"cancelling {events}, {'15 endpoints hanging' if hanging else 'nobody hanging'}")
            mine = posts[turn * events :][:events]
            began, arrivals, lost = bench.measure(mine, options.interval, hanging=hanging)
            missing += lost
            for arrival in arrivals:
                measured[HANG if hanging else NOBODY].append(arrival.seconds * 1000)
                if hanging and arrival.committed_at < began + options.settling:
                    measured[SOON].append(arrival.seconds * 1000)
    print("\n".join(_report(measured, missing, options)))
    return 0 if missing == 0 else 1


def _report(
    measured: dict[str, list[float]], missing: int, options: argparse.Namespace
) -> Iterator[str]:
    yield (
        f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()},"
        f" Python {platform.python_version()}, {_engine()}"
    )
    yield (
        f"{ENDPOINTS} endpoints, {HANGING} of them hanging, an event every {options.interval:g} s,"
        f" {options.rounds} × {options.seconds:g} s of each in turn;"
        f" {options.prompt} workers for first attempts and {options.late} for later ones"
    )
    yield ""
    yield "| from commit to arrival at who answers | arrivals | p50, ms | p95, ms | p99, ms |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    figures = {kind: _figures(measured[kind]) for kind in (NOBODY, HANG, SOON)}
    for kind, three in figures.items():
        cells = " | ".join(f"{figure:,.0f}" for figure in three)
        yield f"| {kind} | {len(measured[kind]):,} | {cells} |"
    for kind in (HANG, SOON):
        ratios = [one / other for one, other in zip(figures[kind], figures[NOBODY], strict=True)]
        yield f"| ratio, {kind} | | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |"
    yield ""
    yield f"never arrived: {missing}"


def _figures(milliseconds: Sequence[float]) -> tuple[float, float, float]:
    """Return the 50th, 95th and 99th percentile; nothing is known of fewer than two."""
    if len(milliseconds) < 2:
        return (float("nan"),) * 3
    cuts = statistics.quantiles(milliseconds, n=100, method="inclusive")
    return cuts[49], cuts[94], cuts[98]


def _engine() -> str:
    pinned = (paths.ROOT / "requirements" / "ministack.in").read_text(encoding="utf-8")
    found = re.search(r"^ministack==\S+", pinned, re.MULTILINE)
    return found[0] if found else "ministack"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.bench_isolation", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=2, help="how often each kind has its turn")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long a turn takes")
    parser.add_argument("--interval", type=float, default=8.0, help="seconds between two events")
    parser.add_argument(
        "--settling", type=float, default=20.0, help="seconds of hanging shown by themselves too"
    )
    parser.add_argument("--prompt", type=int, default=50, help="workers for first attempts")
    parser.add_argument("--late", type=int, default=20, help="workers for later attempts")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LocalError as error:
        sys.exit(f"error: {error}")
