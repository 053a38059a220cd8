"""A burst of events told on a deployed stack whose workers die, to endpoints that fail.

One workspace, the busy one, has very many events at once, and two endpoints that fail now and then;
one of them is disabled meanwhile and enabled again. Another workspace, the next, has an event every
few seconds, and one endpoint, which is well. The workers that fan out and deliver are killed all
the while. Events are written by the real store and announced on the real topic; what becomes of
them then is the work of the deployed functions alone.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self

from postbreeze.adapters.clock import SystemClock
from postbreeze.adapters.concurrency import ThreadPool
from postbreeze.adapters.sns import SnsEventBus
from postbreeze.cli.deployment import Deployment, Operator
from postbreeze.domain import ids
from postbreeze.domain.changes import Change
from postbreeze.domain.documents import timestamp
from postbreeze.domain.events import Event, EventType
from postbreeze.domain.post import PostStatus
from postbreeze.domain.webhook import DeliveryStatus, EndpointStatus
from postbreeze.operations.effects import Effects
from tests.proofs.soak import Tables
from tests.support.builders import a_post, added, an_event
from tests.support.fakes import FakeTelemetry
from tests.support.webhook_ledger import Evidence, Heard, Receipt, Row
from tests.support.workers import Workers

Stack = Mapping[str, Any]

STEADY, SWITCHED, NEXT = "steady", "switched", "next"
"""The endpoints: two of the busy workspace, one of the next."""

TYPES: Final = (
    EventType.POST_CANCELLED,
    EventType.POST_PUBLISHED,
    EventType.POST_FAILED,
    EventType.POST_DELETED,
)
EVENTS_A_POST: Final = 20
WRITERS: Final = 4

DISABLED_AT, ENABLED_AT = 0.25, 0.6
"""How much of the burst has come to the steady endpoint when the other is disabled, and enabled."""
OVER_AT: Final = 0.95
"""How much of its deliveries has come when the burst is over; the rest waits for minutes."""

KILLED: Final = {"fan-out-event": 1, "deliver-webhook": 2}
"""How likely each is to be chosen."""
REQUESTS_A_KILL: Final = 50.0
PAUSES: Final = (1.0, 3.0)
"""Seconds between two events of the next workspace, at least and at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of it."""

    seed: int
    events: int
    longest: float
    """Seconds after which the burst counts as over all the same."""
    patience: float
    """Seconds to wait then until nothing is left to be done, at most."""

    def chance(self, whose: str) -> random.Random:
        """Return the chance that one part of it goes by."""
        return random.Random(f"{self.seed} {whose}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event of the next workspace, and how it got past the busy one's."""

    event: str
    seconds: float | None
    """From its commit to its arrival; None where it never came."""
    backlog: int
    """How many deliveries the steady endpoint had still to get when it was committed."""
    overtaken_by: int
    """How many requests the busy workspace's endpoints got before it arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Burnt:
    """What came of it."""

    evidence: Evidence
    unheard: Sequence[str]
    """Deliveries that are DELIVERED by an attempt that no endpoint has answered so."""
    parked: Sequence[str]
    """Deliveries that were parked when their endpoint was enabled."""
    told: Sequence[Told]
    answers: Mapping[str, int]
    """How requests ended."""
    kills: Mapping[tuple[str, str], int]
    is_at_rest: bool
    seconds: Mapping[str, float]
    """How long each part took."""


# ---------------------------------------------------------------------------------------- receivers


class Ending(StrEnum):
    """How a request ends."""

    TAKEN = "204"
    ERROR = "500"
    UNAVAILABLE = "503"
    RESET = "reset, not taken"
    LOST = "taken, and closed without an answer"
    SLOW = "204 after more than a second"

    @property
    def status(self) -> int | None:
        """What the endpoint makes of it; None where it has taken nothing."""
        return {Ending.ERROR: 500, Ending.UNAVAILABLE: 503, Ending.RESET: None}.get(self, 204)


FAILING: Final = (0.15, 0.1)
"""How likely the first request of a delivery goes wrong, and the second; a third never does, so
that all is over after the five seconds and the five minutes that attempts are apart."""
WRONG: Final = {
    Ending.ERROR: 40,
    Ending.UNAVAILABLE: 15,
    Ending.RESET: 15,
    Ending.LOST: 25,
    Ending.SLOW: 5,
}
"""How, and how likely. Half of it does not speak against the endpoint as a whole: too many of the
other half in a row open its circuit."""
LINGERS: Final = 1.2
ANSWER: Final = b"HTTP/1.1 %d Postbreeze\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What came to an endpoint; ``status`` is as in ``Ending``."""

    endpoint: str
    delivery: str
    event: str
    sent_at: str
    status: int | None
    at: float

    @property
    def is_taken(self) -> bool:
        """Whether the endpoint has what it tells."""
        return self.status == Ending.TAKEN.status


class Receivers:
    """All endpoints, each a path of one server of one thread."""

    def __init__(self, chance: random.Random) -> None:
        self.requests: list[Request] = []
        """In the order in which they came."""
        self.taken: dict[str, set[str]] = {STEADY: set(), SWITCHED: set(), NEXT: set()}
        """The deliveries that each has taken."""
        self.endings: Counter[str] = Counter()
        self.url = ""
        self._chance = chance
        self._seen: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="receivers")

    def __enter__(self) -> Self:
        self._thread.start()
        serving = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512), self._loop
        )
        self._server = serving.result()
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
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
            named = re.findall(r"(?m)^([\w-]+):[ \t]*(.*?)\r$", head)
            headers = {name.lower(): value for name, value in named}
            body = await reader.readexactly(int(headers["content-length"]))
            ending = self._note(head.split(" ", 2)[1].strip("/"), headers, json.loads(body))
            await _answer(writer, ending)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.endings["cut off from the other side"] += 1
        finally:
            writer.close()

    def _note(self, endpoint: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> Ending:
        """Write a request down and choose how it ends."""
        # Where these are not the same, the books show a delivery under another id.
        named = {body["deliveryId"], headers["webhook-id"], headers["x-postbreeze-delivery-id"]}
        delivery = " and ".join(sorted(named))
        self._seen[delivery] += 1
        ending = self._ending(endpoint, self._seen[delivery])
        self.endings[ending] += 1
        request = Request(
            endpoint=endpoint,
            delivery=delivery,
            event=body["payload"]["eventId"],
            sent_at=body["sentAt"],
            status=ending.status,
            at=time.time(),
        )
        self.requests.append(request)
        if request.is_taken:
            self.taken[endpoint].add(delivery)
        return ending

    def _ending(self, endpoint: str, number: int) -> Ending:
        likely = FAILING[number - 1] if number <= len(FAILING) and endpoint != NEXT else 0.0
        if self._chance.random() >= likely:
            return Ending.TAKEN
        return self._chance.choices(list(WRONG), list(WRONG.values()))[0]


async def _answer(writer: asyncio.StreamWriter, ending: Ending) -> None:
    match ending:
        case Ending.RESET:
            # Without lingering, closing resets the connection.
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        case Ending.LOST:
            pass
        case _:
            await asyncio.sleep(LINGERS if ending is Ending.SLOW else 0)
            writer.write(ANSWER % (ending.status or 0))
            await writer.drain()


# -------------------------------------------------------------------------------------------- burst


class Writer:
    """Writes events as the service does: the rows in one transaction, then the announcements."""

    def __init__(self, deployment: Deployment) -> None:
        topic = deployment.outputs["EventsTopicArn"]
        self._posts = Operator(deployment).posts.posts
        self._clock = SystemClock()
        self._effects = Effects(
            schedules=None,
            bus=SnsEventBus(deployment.clients.sns(), topic_arn=topic),
            publish_queue=None,
            together=ThreadPool(),
            telemetry=FakeTelemetry(),
        )

    def commit(self, workspace_id: str, events: int) -> Change:
        """Write a post that so many events have happened to."""
        now = self._clock.now()
        post_id = ids.new_id(ids.POST, now, random.randbytes(10))
        post = a_post(PostStatus.DRAFT, post_id=post_id, workspace_id=workspace_id)
        change = added(post, *(_event(workspace_id, post.id, each, now) for each in range(events)))
        self._posts.commit(change)
        return change

    def announce(self, change: Change) -> None:
        """Announce what was written."""
        self._effects.perform(change)


def _event(workspace_id: str, post_id: str, number: int, now: datetime) -> Event:
    event_id = ids.derived_id(ids.EVENT, now, post_id, str(number))
    return replace(
        an_event(type_=TYPES[number % len(TYPES)]),
        id=event_id,
        post_id=post_id,
        workspace_id=workspace_id,
        occurred_at=now,
        pending_since=now,
        payload={
            "eventId": event_id,
            "occurredAt": timestamp(now),
            "workspaceId": workspace_id,
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Note:
    """An event of the next workspace as it was committed, and what had come by then."""

    event: str
    committed_at: float
    backlog: int
    requests: int


class Burst:
    """All of it, on a stack that nobody else uses."""

    def __init__(self, stack: Stack, plan: Plan, receivers: Receivers) -> None:
        self._stack = stack
        self._plan = plan
        self._receivers = receivers
        deployment = Deployment.local(
            stack["outputs"],
            engine_url=stack["engineUrl"],
            region=stack["region"],
            platform_url=stack["platform"]["url"],
        )
        self._writer = Writer(deployment)
        self._operator = Operator(deployment)
        self._posts = self._operator.posts.posts
        self._webhooks = self._operator.endpoints.webhooks
        self._workers = Workers(stack)
        self._busy = self._operator.workspaces.create("Busy").id
        self._next = self._operator.workspaces.create("Next").id
        add = self._operator.endpoints.add
        self._ids = {
            name: add(workspace, f"{receivers.url}/{name}", ["*"]).endpoint.id
            for workspace, names in ((self._busy, (STEADY, SWITCHED)), (self._next, (NEXT,)))
            for name in names
        }
        self._events: list[str] = []
        self._notes: list[_Note] = []
        self._parked: Sequence[str] = ()
        self._until = 0.0

    def run(self) -> Burnt:
        """Let it come over the stack, and wait until nothing is left to be done."""
        began = time.monotonic()
        self._until = began + self._plan.longest
        with ThreadPoolExecutor(4) as threads:
            written = threads.submit(self._write)
            others = [threads.submit(part) for part in (self._tell_next, self._switch, self._kill)]
            for other in others:
                other.result()
            writing = written.result()
        burst = time.monotonic() - began
        is_at_rest = self._wait_for_rest()
        return Burnt(
            **self._evidence(),
            parked=self._parked,
            told=[self._told(note) for note in self._notes],
            answers=self._receivers.endings,
            kills=self._workers.kills,
            is_at_rest=is_at_rest,
            seconds={
                "to write and announce the events": writing,
                f"until {OVER_AT:.0%} of their deliveries had come": burst,
                "until all was at rest": time.monotonic() - began,
            },
        )

    @property
    def _is_over(self) -> bool:
        came = len(self._receivers.taken[STEADY]) + len(self._receivers.taken[SWITCHED])
        return came >= OVER_AT * 2 * self._plan.events or time.monotonic() >= self._until

    # What goes on at the same time

    def _write(self) -> float:
        """Write the events of the busy workspace; return how many seconds that took."""
        began, events = time.monotonic(), self._plan.events
        sizes = [min(EVENTS_A_POST, events - at) for at in range(0, events, EVENTS_A_POST)]

        def write(size: int) -> None:
            change = self._writer.commit(self._busy, size)
            self._events.extend(event.id for event in change.events)
            self._writer.announce(change)

        with ThreadPoolExecutor(WRITERS) as threads:
            list(threads.map(write, sizes))
        return time.monotonic() - began

    def _tell_next(self) -> None:
        chance = self._plan.chance("next")
        while not self._is_over:
            time.sleep(chance.uniform(*PAUSES))
            change = self._writer.commit(self._next, 1)
            self._notes.append(
                _Note(
                    event=change.events[0].id,
                    committed_at=time.time(),
                    backlog=len(self._events) - len(self._receivers.taken[STEADY]),
                    requests=len(self._receivers.requests),
                )
            )
            self._writer.announce(change)

    def _switch(self) -> None:
        """Disable an endpoint in the midst of it, and enable it a good deal later."""
        endpoint = self._ids[SWITCHED]
        self._wait_for_steady(DISABLED_AT)
        self._operator.endpoints.disable(self._busy, endpoint)
        self._wait_for_steady(ENABLED_AT)
        self._parked = self._webhooks.waiting_deliveries(
            endpoint, DeliveryStatus.PARKED, since=None, limit=self._plan.events
        )
        self._operator.endpoints.enable(self._busy, endpoint)

    def _wait_for_steady(self, share: float) -> None:
        while len(self._receivers.taken[STEADY]) < share * self._plan.events and not self._is_over:
            time.sleep(0.1)

    def _kill(self) -> None:
        """Kill a worker every so many requests."""
        chance, due = self._plan.chance("killer"), 0.0
        while not self._is_over:
            due += chance.expovariate(1 / REQUESTS_A_KILL)
            while len(self._receivers.requests) < due and not self._is_over:
                time.sleep(0.05)
            killed = False
            while not killed and not self._is_over:
                (name,) = chance.choices(list(KILLED), list(KILLED.values()))
                killed = self._workers.kill(name, chance.uniform(0, 0.03), even_idle=False)

    def _wait_for_rest(self) -> bool:
        until = time.monotonic() + self._plan.patience
        while time.monotonic() < until:
            end = datetime.now(UTC) + timedelta(days=365)
            if not (
                self._posts.pending_events(end, 1)
                or self._webhooks.due_deliveries(end, 1)
                or self._webhooks.due_endpoints(end, 1)
            ):
                return True
            time.sleep(2)
        return False

    # What is there at the end

    def _evidence(self) -> dict[str, Any]:
        """Return the evidence, and which of it is DELIVERED unheard."""
        requests = list(self._receivers.requests)
        rows = [
            row
            for row in Tables(self._stack).rows("WebhooksTableName")
            if row["sk"].startswith("DELIVERY#") and row["workspaceId"] in {self._busy, self._next}
        ]
        recorded = {
            (row["id"], attempt["at"]): attempt.get("status")
            for row in rows
            for attempt in row["attempts"]
        }
        taken = {(each.delivery, each.sent_at) for each in requests if each.is_taken}
        endpoints = [
            each
            for workspace in (self._busy, self._next)
            for each in self._operator.endpoints.list(workspace)
        ]
        told = {(note.event, self._ids[NEXT]) for note in self._notes}
        burst = {(event, self._ids[name]) for event in self._events for name in (STEADY, SWITCHED)}
        return {
            "evidence": Evidence(
                sent=told | burst,
                rows=[
                    Row(
                        id=row["id"],
                        event=row["eventId"],
                        endpoint=row["endpointId"],
                        status=row["status"],
                        attempts=len(row["attempts"]),
                    )
                    for row in rows
                ],
                receipts=list(self._receipts(requests, recorded)),
                disabled=[each.id for each in endpoints if each.status is EndpointStatus.DISABLED],
            ),
            "unheard": [
                row["id"]
                for row in rows
                if row["status"] == "DELIVERED"
                and (row["id"], row["attempts"][-1]["at"]) not in taken
            ],
        }

    def _receipts(
        self, requests: Iterable[Request], recorded: Mapping[tuple[str, str], Any]
    ) -> Iterator[Receipt]:
        """Yield what was taken or refused; whether that was heard is told by the rows.

        An attempt stands in its row once it has ended, under the moment that its request names.
        """
        for request in requests:
            if request.status is None:
                continue
            attempt = (request.delivery, request.sent_at)
            heard = Heard.DIED
            if attempt in recorded:
                heard = Heard.LOST if recorded[attempt] is None else Heard.HEARD
            yield Receipt(
                delivery=request.delivery,
                event=request.event,
                endpoint=self._ids[request.endpoint],
                status=request.status,
                heard=heard,
            )

    def _told(self, note: _Note) -> Told:
        busy = 0
        for request in self._receivers.requests[note.requests :]:
            if request.event == note.event:
                seconds = request.at - note.committed_at
                return Told(
                    event=note.event, seconds=seconds, backlog=note.backlog, overtaken_by=busy
                )
            busy += request.endpoint != NEXT
        return Told(event=note.event, seconds=None, backlog=note.backlog, overtaken_by=busy)
