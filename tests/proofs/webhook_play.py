"""Thousands of events told to endpoints that fail, by workers that die.

The operations are the real ones, called by many threads that take turns at every call; the tables
are an engine's, or the fakes that keep the same contracts. Everything else is compressed: a clock
that moves on when nothing is left to be done at its moment, queues that deliver at least once,
endpoints that answer as a die says. A worker may die before or after any call of a port, between a
request and its record too.
"""

from __future__ import annotations

import heapq
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from queue import SimpleQueue
from typing import Any, Final, cast
from zlib import crc32

from postbreeze.adapters.aws import AwsClients
from postbreeze.adapters.dynamodb.posts import DynamoPostStore
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.adapters.dynamodb.webhooks import DynamoWebhookStore
from postbreeze.domain import ids
from postbreeze.domain.documents import timestamp
from postbreeze.domain.errors import PostbreezeError
from postbreeze.domain.events import Event, EventType
from postbreeze.domain.post import PostStatus
from postbreeze.domain.webhook import EndpointStatus, Lane
from postbreeze.operations.ports import DeliveryFilter
from postbreeze.operations.webhook_ports import WebhookResponse, WebhookSendError
from postbreeze.webhooks.envelope import matches
from tests.support.builders import a_post, added, an_event
from tests.support.core import A_MINUTE, VISIBLE_AGAIN, WORKSPACE, Core, DiedError, numbered
from tests.support.fakes import FakeClock, FakeRandomness, World
from tests.support.webhook_ledger import Evidence, Heard, Pair, Receipt, Row

THREADS: Final = 8
EVENTS_A_POST: Final = 20
WAVES: Final = 10
PAUSE: Final = timedelta(hours=1)
"""How often the reconciler runs once a wave has been over for some minutes."""
PAUSES: Final = 10
"""How many of these are between two waves: all of them take more than four days."""
MOST_PAUSES: Final = 150
"""How many at most until nothing is left to be done."""

DEATHS: Final = 0.004
"""How likely a worker dies at a call of a port."""
LOST_ANNOUNCEMENTS: Final = 0.05
SECOND_MESSAGES: Final = 0.03
RECEIVES: Final = 5
"""How often a message is shown before it is put away."""

STEADY, SWITCHED, SHAKY, GONE = (numbered("wh", number) for number in range(1, 5))
FILTERS: Final[Mapping[str, tuple[str, ...]]] = {
    STEADY: ("*",),
    SWITCHED: ("post.published", "post.cancelled"),
    SHAKY: ("post.failed", "webhook.disabled"),
    GONE: ("post.*",),
}
TYPES: Final = (
    EventType.POST_CANCELLED,
    EventType.POST_PUBLISHED,
    EventType.POST_FAILED,
    EventType.POST_DELETED,
)
FAILING: Final = {STEADY: 0.1, SWITCHED: 0.1, SHAKY: 0.4, GONE: 0.1}
"""How likely a request goes wrong, in one of the ways there are."""
SLOWLY: Final = timedelta(seconds=3)
"""How long the shaky endpoint takes to answer, where it does."""
STUBBORN: Final = 10
"""One delivery of so many to the steady endpoint, of the first waves, is never taken."""
STUBBORN_WAVES: Final = 2
DISABLED_IN, ENABLED_IN, GONE_IN = 3, 5, 6
"""The waves in which an operator disables an endpoint, enables it, and another answers 410."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where all workers find everything."""

    clock: FakeClock
    posts: Any
    webhooks: Any


def on_fakes() -> Ground:
    """Return a ground of fakes."""
    world = World()
    return Ground(clock=world.clock, posts=world.posts, webhooks=world.webhooks)


def on_tables(aws: AwsClients, tables: Mapping[str, str]) -> Ground:
    """Return a ground on an engine's tables."""
    clock, database = FakeClock(), Database(aws.dynamodb())
    return Ground(
        clock=clock,
        posts=DynamoPostStore(
            database,
            posts_table=tables["posts"],
            workspaces_table=tables["workspaces"],
            media_table=tables["media"],
            clock=clock,
        ),
        webhooks=DynamoWebhookStore(
            database,
            webhooks_table=tables["webhooks"],
            workspaces_table=tables["workspaces"],
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of it."""

    evidence: Evidence
    counts: Mapping[str, int]
    """What went wrong, and what was repaired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something to be done by any worker."""

    does: str
    given: tuple[Any, ...]
    received: int = 1


class Lanes:
    """The topic and all queues: what is sent is shown when its time has come, some of it twice."""

    def __init__(self, clock: FakeClock, chance: random.Random, counts: Counter[str]) -> None:
        self._clock = clock
        self._chance = chance
        self._counts = counts
        self._lock = threading.Lock()
        self._numbers = count()
        self._waiting: list[tuple[datetime, int, Message]] = []

    def put(self, message: Message, wait: timedelta = timedelta(0)) -> None:
        """Show a message when so much time has passed."""
        with self._lock:
            entry = (self._clock.at + wait, next(self._numbers), message)
            heapq.heappush(self._waiting, entry)

    def put_back(self, message: Message) -> None:
        """Show one again later that was not done with, but not for ever."""
        if message.does == "reconcile":
            return  # the next run is another
        if message.received == RECEIVES:
            self._counts["messages put away as dead letters"] += 1
        else:
            self.put(replace(message, received=message.received + 1), VISIBLE_AGAIN)

    def take(self) -> list[Message]:
        """Take all whose time has come."""
        taken = []
        with self._lock:
            while self._waiting and self._waiting[0][0] <= self._clock.at:
                taken.append(heapq.heappop(self._waiting)[2])
        return taken

    @property
    def next_at(self) -> datetime | None:
        """When the next one is shown."""
        with self._lock:
            return self._waiting[0][0] if self._waiting else None

    # EventBus

    def announce(self, event: Event) -> None:
        self.announce_all([(event.post_id, event.id)])

    def announce_all(self, events: Sequence[tuple[str, str]]) -> None:
        for event in events:
            if self._chance.random() < LOST_ANNOUNCEMENTS:
                self._counts["announcements lost"] += 1
            else:
                self._put_once_or_twice(Message(does="fan_out", given=event))

    # DeliveryQueue

    def send(
        self,
        endpoint_id: str,
        delivery_id: str,
        *,
        delay_seconds: int = 0,
        lane: Lane = Lane.PROMPT,
    ) -> None:
        message = Message(does="deliver", given=(endpoint_id, delivery_id, lane))
        self._put_once_or_twice(message, timedelta(seconds=delay_seconds))

    def send_all(self, deliveries: Sequence[tuple[str, str]], *, lane: Lane = Lane.PROMPT) -> None:
        for endpoint_id, delivery_id in deliveries:
            self.send(endpoint_id, delivery_id, lane=lane)

    def _put_once_or_twice(self, message: Message, wait: timedelta = timedelta(0)) -> None:
        self.put(message, wait)
        if self._chance.random() < SECOND_MESSAGES:
            self._counts["messages that came twice"] += 1
            self.put(message, wait)


@dataclass(slots=True, kw_only=True)
class Endings:
    """How requests end; ``gone`` are the endpoints that want nothing any more."""

    chance: random.Random
    counts: Counter[str]
    stubborn_until: datetime
    gone: set[str] = field(default_factory=set)

    def of(self, endpoint: str, delivery: str) -> tuple[int | None, str | None]:
        """Return what the endpoint answers, None where nothing reaches it, and what we get instead.

        The latter is None where its answer arrives.
        """
        if endpoint in self.gone:
            return 410, None
        if endpoint == STEADY and self._is_stubborn(delivery):
            return 500, None
        if self.chance.random() >= FAILING[endpoint]:
            return 200, None
        return self.chance.choice(
            [
                (500, None),
                (429, None),
                (None, "CONNECTION_RESET"),
                (None, "TIMED_OUT"),
                (200, "CONNECTION_RESET"),
                (200, "TIMED_OUT"),
            ]
        )

    def _is_stubborn(self, delivery: str) -> bool:
        is_chosen = crc32(delivery.encode()) % STUBBORN == 0
        return is_chosen and ids.made_at(delivery) < self.stubborn_until


@dataclass(slots=True, kw_only=True)
class WayOut:
    """The way out to endpoints, whose ids their URLs end with; ``receipts`` is what they got."""

    endings: Endings
    receipts: list[Receipt] = field(default_factory=list)
    last_took: timedelta = timedelta(0)
    """How long the last request took, for who watches it."""

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookResponse:
        document = json.loads(body)
        endpoint, delivery = url.rpartition("/")[2], headers["X-Postbreeze-Delivery-Id"]
        status, lost = self.endings.of(endpoint, delivery)
        if status is not None:
            receipt = Receipt(
                delivery=delivery,
                event=_told_of(document),
                endpoint=endpoint,
                status=status,
                heard=Heard.HEARD if lost is None else Heard.LOST,
            )
            self.receipts.append(receipt)
        said = "nothing" if status is None else str(status)
        self.endings.counts[f"endpoints: {said}{'' if lost is None else f', {lost}'}"] += 1
        if lost is not None or status is None:
            raise WebhookSendError(lost or "TIMED_OUT", "It broke off.", 10_000)
        if endpoint == SHAKY:
            self.last_took = SLOWLY
        milliseconds = self.last_took // timedelta(milliseconds=1)
        return WebhookResponse(status=status, headers={}, body=b"ok", duration_ms=milliseconds)


class Worker(Core):
    """The operations as one thread calls them; it dies at some call now and then."""

    def __init__(self, ground: Ground, lanes: Lanes, endings: Endings, number: int) -> None:
        self._ground = ground
        self._lanes = lanes
        self._endings = endings
        self._chance = random.Random(number)
        self.is_mortal = False
        self._way_out = WayOut(endings=endings)
        super().__init__(FakeRandomness(number))
        self.tap = self._live

    def _populate(self) -> None:
        self.clock = self._ground.clock
        self.posts = self._ground.posts
        self.webhooks = self._ground.webhooks
        self.bus = cast("Any", self._lanes)
        self.delivery_queue = cast("Any", self._lanes)
        self.sender = cast("Any", self._way_out)

    def _live(self, name: str, call: Callable[[], Any]) -> Any:
        time.sleep(0)  # whoever else wants to go on does so between two calls
        if not self.is_mortal or self._chance.random() >= DEATHS:
            return call()
        self._endings.counts[f"workers that died at {name}"] += 1
        if self._chance.random() < 0.5:
            call()
        raise DiedError

    def work(self, message: Message) -> list[Receipt]:
        """Do what a message says, or die; return what endpoints got meanwhile."""
        receipts: list[Receipt] = []
        self._way_out.receipts = receipts
        self.is_mortal = True
        self.clock.advance(milliseconds=1)
        try:
            getattr(self, f"do_{message.does}")(*message.given)
        except DiedError:
            self._lanes.put_back(message)
            return [
                replace(each, heard=Heard.DIED) if each.heard is Heard.HEARD else each
                for each in receipts
            ]
        except PostbreezeError as error:
            self._endings.counts[f"{message.does}: {type(error).__name__}"] += 1
            self._lanes.put_back(message)
        finally:
            self.is_mortal = False
        return receipts

    def do_fan_out(self, post_id: str, event_id: str) -> None:
        self.fan_out(post_id, event_id)

    def do_deliver(self, endpoint_id: str, delivery_id: str, lane: Lane) -> None:
        self.deliver(endpoint_id, delivery_id, lane)

    def do_reconcile(self) -> None:
        for repair, times in self.reconcile().items():
            self._endings.counts[f"reconcile: {repair}"] += times

    def do_disable(self, endpoint_id: str) -> None:
        self.endpoints.disable(WORKSPACE, endpoint_id)

    def do_enable(self, endpoint_id: str) -> None:
        self.endpoints.enable(WORKSPACE, endpoint_id)


class Play:
    """All of it; the clock is moved by nobody else."""

    def __init__(self, ground: Ground, events: int, seed: int) -> None:
        self._ground = ground
        self._events = events
        self._seed = seed
        self.counts: Counter[str] = Counter()
        self._lanes = Lanes(ground.clock, random.Random(seed), self.counts)
        first_waves = STUBBORN_WAVES * PAUSES * PAUSE
        self._endings = Endings(
            chance=random.Random(seed + 1),
            counts=self.counts,
            stubborn_until=ground.clock.at + first_waves,
        )
        self._workers: SimpleQueue[Worker] = SimpleQueue()
        workers = [
            Worker(ground, self._lanes, self._endings, seed * THREADS + number)
            for number in range(THREADS)
        ]
        for worker in workers:
            self._workers.put(worker)
        self._author = workers[0]
        self._receipts: list[Receipt] = []
        self._sent: set[Pair] = set()

    def run(self) -> Played:
        """Tell of every event, and go on until nothing is left to be done."""
        for number, (endpoint_id, filters) in enumerate(FILTERS.items(), 1):
            url = f"https://hooks.example/{endpoint_id}"
            endpoint = self._author.an_endpoint(number, url=url, event_filters=filters)
            self._ground.webhooks.add_endpoint(endpoint)
        with ThreadPoolExecutor(THREADS) as threads:
            for wave in range(WAVES):
                self._feed(wave)
                self._let_pass(threads, A_MINUTE, times=3)
                self._let_pass(threads, PAUSE, times=PAUSES)
            for _ in range(MOST_PAUSES):
                if self._is_at_rest():
                    break
                self._let_pass(threads, PAUSE)
        return Played(evidence=self._evidence(), counts=self.counts)

    def _feed(self, wave: int) -> None:
        """Write a share of the events and announce them; switch endpoints in their midst."""
        numbers = range(self._events)[wave::WAVES]
        for first in range(0, len(numbers), EVENTS_A_POST):
            post = a_post(PostStatus.DRAFT, workspace_id=WORKSPACE)
            events = [self._event(post.id, each) for each in numbers[first:][:EVENTS_A_POST]]
            self._ground.posts.commit(added(post, *events))
            for event in events:
                self._lanes.announce(event)
                self._sent |= {
                    (event.id, endpoint_id)
                    for endpoint_id, filters in FILTERS.items()
                    if matches(filters, event.type)
                }
            if first == len(numbers) // (2 * EVENTS_A_POST) * EVENTS_A_POST:
                self._switch(wave)

    def _switch(self, wave: int) -> None:
        match wave:
            case _ if wave == DISABLED_IN:
                self._lanes.put(Message(does="disable", given=(SWITCHED,)))
            case _ if wave == ENABLED_IN:
                self._lanes.put(Message(does="enable", given=(SWITCHED,)))
            case _ if wave == GONE_IN:
                self._endings.gone.add(GONE)
                self._sent |= {(_notice(GONE), STEADY), (_notice(GONE), SHAKY)}
            case _:
                pass

    def _event(self, post_id: str, number: int) -> Event:
        now = self._ground.clock.at
        event_id = ids.derived_id(ids.EVENT, now, post_id, str(number))
        payload = {"eventId": event_id, "occurredAt": timestamp(now), "workspaceId": WORKSPACE}
        return replace(
            an_event(type_=TYPES[number % len(TYPES)]),
            id=event_id,
            post_id=post_id,
            workspace_id=WORKSPACE,
            occurred_at=now,
            pending_since=now,
            payload=payload,
        )

    def _let_pass(self, threads: ThreadPoolExecutor, period: timedelta, *, times: int = 1) -> None:
        """Let time pass, doing whatever its time has come for, and then reconcile twice at once."""
        for _ in range(times):
            end = self._ground.clock.at + period
            self._handle_all(threads)
            while (at := self._lanes.next_at) is not None and at < end:
                self._ground.clock.at = max(at, self._ground.clock.at)
                self._handle_all(threads)
            self._ground.clock.at = max(end, self._ground.clock.at)
            for _ in range(2):
                self._lanes.put(Message(does="reconcile", given=()))
            self._handle_all(threads)

    def _handle_all(self, threads: ThreadPoolExecutor) -> None:
        while messages := self._lanes.take():
            for receipts in threads.map(self._handle, messages):
                self._receipts += receipts

    def _handle(self, message: Message) -> list[Receipt]:
        worker = self._workers.get()
        try:
            return worker.work(message)
        finally:
            self._workers.put(worker)

    def _is_at_rest(self) -> bool:
        end = self._ground.clock.at + timedelta(days=365)
        webhooks, posts = self._ground.webhooks, self._ground.posts
        return (
            self._lanes.next_at is None
            and not webhooks.due_deliveries(end, 1)
            and not webhooks.due_endpoints(end, 1)
            and not posts.pending_events(end, 1)
        )

    # What is there at the end

    def _evidence(self) -> Evidence:
        endpoints = self._ground.webhooks.endpoints(WORKSPACE)
        return Evidence(
            sent=self._sent,
            rows=[row for endpoint in endpoints for row in self._rows(endpoint.id)],
            receipts=self._receipts,
            disabled=[each.id for each in endpoints if each.status is EndpointStatus.DISABLED],
        )

    def _rows(self, endpoint_id: str) -> Iterator[Row]:
        before: str | None = None
        while True:
            page = self._ground.webhooks.deliveries(
                endpoint_id, DeliveryFilter(), limit=1_000, before=before
            )
            for each in page.deliveries:
                is_notice = each.event_type is EventType.WEBHOOK_DISABLED
                yield Row(
                    id=each.id,
                    event=_notice(each.post_id) if is_notice else each.event_id,
                    endpoint=endpoint_id,
                    status=each.status.value,
                    attempts=each.attempt_count,
                )
            before = page.next_before
            if before is None:
                return


def _notice(endpoint_id: str) -> str:
    """Name what tells that an endpoint was disabled, whose event id only the service can know."""
    return f"{EventType.WEBHOOK_DISABLED.value} of {endpoint_id}"


def _told_of(document: Mapping[str, Any]) -> str:
    payload = document["payload"]
    if document["event"] == EventType.WEBHOOK_DISABLED:
        return _notice(payload["webhook"]["id"])
    return str(payload["eventId"])
