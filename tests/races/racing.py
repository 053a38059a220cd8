"""Real races: the operations on an engine's tables, called by several processes of several threads.

What a race is about is the engine's: every row, and every condition that a row is written on. What
only carries messages (Scheduler, SNS, SQS) are the core's recording fakes: each race delivers them
itself, twice and late, which is the worst that the real ones do. The platform is a folder that all
processes share, so that what is sent is counted by target, whoever sends it.

All runners of a round set off together, each after a delay of its own; which process runs which is
drawn anew for every round. Afterwards whatever the round has left is brought to its end, every fire
comes once more, and the rows are read back to be judged; see ``tests.races.judging``.
"""

from __future__ import annotations

import multiprocessing
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import repeat
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Barrier
from typing import Any, Final, cast
from zlib import crc32

from local.engine import CREDENTIALS, REGION
from postbreeze.adapters.aws import AwsClients
from postbreeze.adapters.concurrency import ThreadPool
from postbreeze.adapters.dynamodb.directory import DynamoDirectory
from postbreeze.adapters.dynamodb.disconnections import DynamoDisconnections
from postbreeze.adapters.dynamodb.posts import DynamoPostStore
from postbreeze.adapters.dynamodb.registry import DynamoRegistry
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.adapters.dynamodb.webhooks import DynamoWebhookStore
from postbreeze.domain import lifecycle
from postbreeze.domain.access import ApiKey, Member
from postbreeze.domain.changes import Change
from postbreeze.domain.errors import PostbreezeError
from postbreeze.domain.events import Event
from postbreeze.domain.lifecycle import LEASE
from postbreeze.domain.post import Post, PostStatus
from postbreeze.domain.webhook import Delivery, DeliveryStatus, Endpoint, Lane
from postbreeze.operations.administer.keys import Keys
from postbreeze.operations.answers import Answer, Idempotency
from postbreeze.operations.platform_port import ExternalPost, Publication
from postbreeze.operations.ports import DeliveryFilter
from tests.support.aws import Aws, on_engine
from tests.support.core import (
    A_MINUTE,
    AN_HOUR,
    ENDPOINT,
    Core,
    Message,
    Promise,
    numbered,
    straight,
)
from tests.support.fakes import FakeRandomness, QueuedDelivery
from tests.support.platforms import FakePlatform

PROCESSES: Final = 4
TEAMS: Final = 2
"""How many rounds are raced beside each other, by threads of the same processes."""

THREADS: Final = 2
"""Of each process in each team."""

RUNNERS: Final = PROCESSES * THREADS
"""In a team, and so in a round."""

ACCESS_KEY: Final = (CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])

PATIENCE_SECONDS: Final = 120.0
"""How long a runner waits for the others of a round before it is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What one runner does in a round, ``delay`` times as late as such an act usually takes.

    ``skew`` is how far its clock is ahead; ``post`` which of the round's posts it is about.
    """

    does: str
    delay: float = 0.0
    skew: timedelta = timedelta(0)
    post: int = 0
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What is there at the beginning, and what is done to it at once."""

    number: int
    at: datetime
    posts: tuple[Post, ...]
    acts: tuple[Act, ...]
    events: tuple[Event, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    members: tuple[Member, ...] = ()
    keys: tuple[ApiKey, ...] = ()
    public: tuple[str, ...] = ()
    """Targets that the platform has from the beginning."""

    def __post_init__(self) -> None:
        assert len(self.acts) <= RUNNERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A change that was committed, what for, and when: between these moments of one clock."""

    change: Change
    act: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of an act: a word for it, and what it told."""

    act: Act
    told: str
    body: Any
    began: float
    ended: float
    committed: tuple[Committed, ...]
    promises: tuple[Promise, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is there at the end."""

    posts: tuple[Post, ...]
    events: Mapping[str, Sequence[Event]]
    deliveries: Mapping[str, Sequence[Delivery]]
    sent: Mapping[str, tuple[str, ...]]
    """By target, the workflows under which it was sent to its platform, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raced:
    """A round with all that came of it, in the race and afterwards."""

    round: Round
    race: tuple[Done, ...]
    afterwards: Done
    found: Found

    @property
    def done(self) -> tuple[Done, ...]:
        """All that was done."""
        return (*self.race, self.afterwards)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the runners find everything: tables, and the platform's folder."""

    tables: Mapping[str, str]
    folder: Path


class SharedPlatform(FakePlatform):
    """A platform that keeps what it was sent in a folder, a file a target and a line a call."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.workflow_id = ""

    def publish(self, publication: Publication) -> ExternalPost:
        """Keep what was sent, and under which workflow."""
        with (self.folder / publication.target_id).open("a", encoding="utf-8") as lines:
            lines.write(f"{self.workflow_id}\n")
        return super().publish(publication)

    def find(self, publication: Publication, credentials: Mapping[str, str]) -> ExternalPost | None:
        """Look for what any process has sent."""
        if not (self.folder / publication.target_id).exists():
            return None
        return super().publish(publication)

    def sent(self, target_id: str) -> tuple[str, ...]:
        """Return the workflows under which a target was sent."""
        path = self.folder / target_id
        return tuple(path.read_text("utf-8").splitlines()) if path.exists() else ()


class _Workspaces(DynamoRegistry, DynamoDirectory):
    """Both who read the workspaces table and who write it, as the fake is."""

    def __init__(self, database: Database, **wanted: Any) -> None:
        DynamoRegistry.__init__(self, database, workspaces_table=wanted["workspaces_table"])
        DynamoDirectory.__init__(self, database, **wanted)


class _WatchedPosts(DynamoPostStore):
    """Keeps every change that wrote a row of a post, with when that was."""

    racer: Racer

    def commit(self, change: Change, **rest: Any) -> None:
        began = time.monotonic()
        super().commit(change, **rest)
        if not change.is_empty:
            ended = time.monotonic()
            self.racer.committed.append(
                Committed(change=change, act=self.racer.act, began=began, ended=ended)
            )


class Racer(Core):
    """The core over an engine's tables, for one thread."""

    def __init__(self, place: Place, aws: AwsClients, number: int) -> None:
        self._place = place
        self._aws = aws
        self.committed: list[Committed] = []
        super().__init__(FakeRandomness(number))
        self.tap = straight
        # Its repairs wait in their threads for calls of their own.
        self.reconcile = replace(self.reconcile, together=ThreadPool())

    def _populate(self) -> None:
        tables, database = self._place.tables, Database(self._aws.dynamodb())
        self.table_names = tables
        self.world.together = cast("Any", ThreadPool())
        posts = _WatchedPosts(
            database,
            posts_table=tables["posts"],
            workspaces_table=tables["workspaces"],
            media_table=tables["media"],
            clock=self.clock,
        )
        posts.racer = self
        self.posts = cast("Any", posts)
        self.directory = cast(
            "Any",
            _Workspaces(
                database,
                workspaces_table=tables["workspaces"],
                clock=self.clock,
            ),
        )
        self.webhooks = cast("Any", DynamoWebhookStore(database, webhooks_table=tables["webhooks"]))
        self.world.disconnections = cast(
            "Any",
            DynamoDisconnections(
                database, posts_table=tables["posts"], workspaces_table=tables["workspaces"]
            ),
        )
        self.platform = self.shared = SharedPlatform(self._place.folder)
        self.watched.platform = self.platform

    def populate(self) -> None:
        """Write what every round finds: what there is in the core over fakes, too."""
        core = Core()
        for key in core.directory._keys.values():
            self.directory.add_key(key)
        for member in core.directory._members.values():
            self.directory.put_member(member)
        for account in core.directory._accounts.values():
            self.directory.add_account(account)
        self.webhooks.add_endpoint(core.endpoint())

    # Before and after

    def prepare(self, a_round: Round) -> None:
        """Write what is there at the beginning of a round."""
        self.clock.at = a_round.at
        for post in a_round.posts:
            events = tuple(each for each in a_round.events if each.post_id == post.id)
            self.posts.commit(Change(before=None, after=post, events=events))
        for endpoint in a_round.endpoints:
            if endpoint.id != ENDPOINT:
                self.webhooks.add_endpoint(endpoint)
        for member in a_round.members:
            self.directory.put_member(member)
        for key in a_round.keys:
            self.directory.add_key(key)
        for target_id in a_round.public:
            (self.shared.folder / target_id).write_text("before\n", encoding="utf-8")

    def find(self, a_round: Round) -> Found:
        """Read what is there at the end of a round."""
        posts = tuple(self.post(post.id) for post in a_round.posts)
        return Found(
            posts=posts,
            events={post.id: self.posts.timeline(post.id) for post in posts},
            deliveries={
                endpoint.id: self.webhooks.deliveries(
                    endpoint.id, DeliveryFilter(), limit=100
                ).deliveries
                for endpoint in a_round.endpoints
            },
            sent={
                target.id: self.shared.sent(target.id)
                for post in (*a_round.posts, *posts)
                for target in post.targets
            },
        )

    # What runners do

    def perform(self, act: Act, a_round: Round) -> Done:
        """Do something, and tell all that came of it."""
        self.clock.at = a_round.at + act.skew
        self.committed.clear()
        self.promises.clear()
        for grows in (
            self.changes,
            self.acts,
            self.telemetry.notes,
            self.sender.requests,
            self.watched.publications,
        ):
            grows.clear()
        began = time.monotonic()
        try:
            body = getattr(self, f"do_{act.does}")(a_round, act, **act.given)
        except PostbreezeError as error:
            told, body = type(error).__name__.removesuffix("Error"), error
        else:
            told = str(body.status) if isinstance(body, Answer) else str(body)
        return Done(
            act=act,
            told=told,
            body=body.body if isinstance(body, Answer) else body,
            began=began,
            ended=time.monotonic(),
            committed=tuple(self.committed),
            promises=tuple(self.promises),
        )

    def do_cancel(
        self, a_round: Round, act: Act, targets: tuple[int, ...] | None = None, **rest: Any
    ) -> Answer:
        post = a_round.posts[act.post]
        if targets is not None:
            rest["target_ids"] = tuple(post.targets[index].id for index in targets)
        return self.cancel(post.id, **_repeatable(post.id, rest))

    def do_delete(self, a_round: Round, act: Act, **rest: Any) -> Answer:
        return self.delete(a_round.posts[act.post].id, **rest)

    def do_approve(self, a_round: Round, act: Act, **rest: Any) -> Answer:
        return self.approve(a_round.posts[act.post].id, **rest)

    def do_reschedule(self, a_round: Round, act: Act, seconds: int, **rest: Any) -> Answer:
        at = a_round.at + timedelta(seconds=seconds)
        return self.schedule(a_round.posts[act.post].id, at, again=True, **rest)

    def do_edit(self, a_round: Round, act: Act, accounts: tuple[int, ...], seconds: int) -> Answer:
        at = a_round.at + timedelta(seconds=seconds)
        draft = self.a_draft(len(accounts), caption="Edited", scheduled_for=at)
        named = tuple(
            replace(target, social_account_id=numbered("soc", 20 + number))
            for target, number in zip(draft.targets, accounts, strict=True)
        )
        return self.edit(a_round.posts[act.post].id, replace(draft, targets=named))

    def do_fire(self, a_round: Round, act: Act, generation: int) -> str:
        """Answer a fire, and handle the messages that it sends."""
        post = a_round.posts[act.post]
        self.publish_queue.sent.clear()
        if not self.start(post.id, f"{post.id}-{generation}"):
            return "stale"
        return self._handled(self.publish_queue.sent) or "repeated"

    def do_messages(
        self, a_round: Round, act: Act, generation: int, targets: tuple[int, ...]
    ) -> str:
        """Handle messages that were sent before, or twice."""
        post = a_round.posts[act.post]
        told = []
        for index in targets:
            self.shared.workflow_id = workflow_id = f"{post.id}-{generation}"
            told.append(self.publisher.publish(post.id, post.targets[index].id, workflow_id))
        return "+".join(sorted(set(told)))

    def do_resolve(self, a_round: Round, act: Act) -> str:
        """Ask what became of the claims that have run out, as the reconciler has it asked."""
        questions = lifecycle.expired(self.post(a_round.posts[act.post].id), now=self.clock.at)
        return self._handled(list(questions)) or "nothing to ask"

    def do_reconcile(self, a_round: Round, act: Act) -> str:
        """Run the reconciler, and handle what it sends."""
        self.bus.announced.clear()
        self.publish_queue.sent.clear()
        self.delivery_queue.sent.clear()
        counts = self.reconcile()
        self.handle_all()
        return ",".join(sorted(counts)) or "nothing to do"

    def handle_all(self) -> None:
        """Handle every message there is, and those that are sent meanwhile."""
        while self.bus.announced or self.publish_queue.sent or self.delivery_queue.sent:
            messages: list[Message] = [
                *self.bus.announced,
                *self.publish_queue.sent,
                *self.delivery_queue.sent,
            ]
            self.bus.announced.clear()
            self.publish_queue.sent.clear()
            self.delivery_queue.sent.clear()
            self._handled(messages)

    def do_fan_out(self, a_round: Round, act: Act, event: int = 0) -> str:
        """Fan an event out, and deliver what that makes."""
        self.delivery_queue.sent.clear()
        made = self.fan_out(a_round.events[event].post_id, a_round.events[event].id)
        self._handled(self.delivery_queue.sent)
        return "nothing to do" if made == 0 else "fanned out"

    def do_disable(self, a_round: Round, act: Act, endpoint: int = 0) -> str:
        switched = a_round.endpoints[endpoint]
        return self.endpoints.disable(switched.workspace_id, switched.id).status

    def do_enable(self, a_round: Round, act: Act, endpoint: int = 0) -> str:
        """Enable an endpoint, and deliver what that sets free."""
        switched = a_round.endpoints[endpoint]
        self.delivery_queue.sent.clear()
        _, freed = self.endpoints.enable(switched.workspace_id, switched.id)
        self._handled(self.delivery_queue.sent)
        return "set free" if freed else "nothing was parked"

    def do_revoke(self, a_round: Round, act: Act) -> str:
        """Revoke the round's key."""
        keys = Keys(
            registry=self.directory,
            directory=self.directory,
            clock=self.clock,
            randomness=self.randomness,
        )
        keys._revoke(a_round.keys[0].digest)
        return "revoked"

    def do_remove(self, a_round: Round, act: Act) -> Post:
        """End the round's membership, and read what the post is once that is done."""
        member = a_round.members[0]
        self.directory.remove_member(member.workspace_id, member.user_id)
        return self.post(a_round.posts[act.post].id)

    def do_admit(self, a_round: Round, act: Act, times: int) -> Sequence[str]:
        """Ask to be let in with the round's key, so many times."""
        admitted = []
        for _ in range(times):
            try:
                self.directory.admit(a_round.keys[0].digest)
            except PostbreezeError as error:
                admitted.append(type(error).__name__)
            else:
                admitted.append("admitted")
        return admitted

    def do_afterwards(self, a_round: Round, act: Act) -> str:
        """Bring everything to its end, every fire coming once more, late."""
        for post in a_round.posts:
            self._end(post.id)
        if a_round.endpoints:
            self._tell(a_round)
        return "at rest"

    def _tell(self, a_round: Round) -> None:
        """Have every event of the posts delivered."""
        for post in a_round.posts:
            for event in self.posts.timeline(post.id):
                self.fan_out(post.id, event.id)
        for endpoint in a_round.endpoints:
            self.endpoints.enable(endpoint.workspace_id, endpoint.id)
        self.clock.advance(AN_HOUR)
        for endpoint in a_round.endpoints:
            everything = DeliveryFilter()
            for delivery in self.webhooks.deliveries(endpoint.id, everything, limit=100).deliveries:
                if delivery.status is DeliveryStatus.PENDING:
                    self.deliver(endpoint.id, delivery.id, Lane.LATE)

    def _end(self, post_id: str) -> None:
        present = self.post(post_id)
        if present.pending_workflow_id is not None:
            present = self.arm.attempt(present, actor=lifecycle.SERVICE)
        for generation in range(1, present.generation + 1):
            self.publish_queue.sent.clear()
            if self.start(post_id, f"{post_id}-{generation}"):
                self._handled(self.publish_queue.sent)
                present = self.post(post_id)
        if present.status is PostStatus.PUBLISHING or present.attention_at is not None:
            self.clock.advance(2 * LEASE)
            self._handled(lifecycle.expired(present, now=self.clock.at))
            self.conclude(post_id)

    def _handled(self, messages: Sequence[Message]) -> str:
        """Handle messages; deliveries that are to wait are left to the end of the round."""
        told = []
        for message in list(messages):
            if isinstance(message, QueuedDelivery) and message.delay_seconds:
                continue
            self.shared.workflow_id = getattr(message, "workflow_id", "")
            told.append(str(self.do(message)))
        return "+".join(sorted(set(told)))


def _repeatable(post_id: str, rest: dict[str, Any]) -> dict[str, Any]:
    """Turn the text of an ``Idempotency-Key`` into one."""
    if "idempotency" in rest:
        text = rest["idempotency"]
        rest = {**rest, "idempotency": Idempotency(key=f"{text} {post_id}", request_digest=post_id)}
    return rest


# Processes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    place: Place
    rounds: tuple[Round, ...]
    lap: float
    """How long an act usually takes, in seconds."""


_Part = tuple[int, int, Any]
"""What came of a round, by its number: of the act at that place in it, or one of these."""

_AFTERWARDS: Final = -1
_FOUND: Final = -2


class _Runner:
    """One thread of one process."""

    def __init__(self, team: int, number: int, aws: AwsClients, barrier: Barrier) -> None:
        self._team = team
        self._number = number
        self._aws = aws
        self._barrier = barrier
        self._racers: dict[str, Racer] = {}

    def run(self, batch: _Batch) -> list[_Part]:
        """Prepare a share of the rounds, act in all of them, and look after the share again."""
        try:
            return list(self._run(batch))
        except BaseException:
            # Nobody is to wait for this runner.
            self._barrier.abort()
            raise

    def _run(self, batch: _Batch) -> Iterator[_Part]:
        racer = self._racer(batch.place)
        rounds = batch.rounds[self._team :: TEAMS]
        mine = rounds[self._number :: RUNNERS]
        for a_round in mine:
            racer.prepare(a_round)
        for turn, a_round in enumerate(rounds):
            # Each act of a round is another runner's than in the round before.
            spot = (self._number + 3 * turn) % RUNNERS
            self._barrier.wait(PATIENCE_SECONDS)
            if spot < len(a_round.acts):
                act = a_round.acts[spot]
                time.sleep(act.delay * batch.lap)
                yield a_round.number, spot, racer.perform(act, a_round)
        self._barrier.wait(PATIENCE_SECONDS)
        for a_round in mine:
            act = Act(does="afterwards", skew=A_MINUTE)
            yield a_round.number, _AFTERWARDS, racer.perform(act, a_round)
            yield a_round.number, _FOUND, racer.find(a_round)

    def _racer(self, place: Place) -> Racer:
        table = place.tables["posts"]
        if table not in self._racers:
            number = crc32(f"{table} {self._team} {self._number}".encode())
            self._racers = {table: Racer(place, self._aws, number)}
        return self._racers[table]


def _work(process: int, url: str, barriers: Sequence[Barrier], pipe: Connection) -> None:
    """Be a process: take batches from a pipe until it closes, and send back what came of them."""
    aws = AwsClients(region=REGION, endpoint_url=url, access_key=ACCESS_KEY)
    aws.dynamodb()
    runners = [
        _Runner(team, process * THREADS + each, aws, barrier)
        for team, barrier in enumerate(barriers)
        for each in range(THREADS)
    ]
    with ThreadPoolExecutor(len(runners)) as threads:
        while True:
            try:
                batch: _Batch = pipe.recv()
            except EOFError:
                return
            parts = threads.map(_Runner.run, runners, repeat(batch))
            pipe.send([part for share in parts for part in share])


class Arena:
    """An engine of its own and the processes that race on it."""

    def __init__(self, aws: Aws, folder: Path) -> None:
        self._aws = aws
        self._folder = folder
        url = aws.clients.dynamodb().meta.endpoint_url
        context = multiprocessing.get_context("spawn")
        # Kept, as it is gone for the processes too once it is gone here.
        self._barriers = [context.Barrier(RUNNERS) for _ in range(TEAMS)]
        self._pipes: list[Connection] = []
        self._processes = []
        for number in range(PROCESSES):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_work, args=(number, url, self._barriers, theirs), daemon=True
            )
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def close(self) -> None:
        """Let every process end."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join()

    @contextmanager
    def ground(self) -> Iterator[Place]:
        """Make tables that are empty but for what every round finds, and remove them afterwards."""
        tables = self._aws.tables()
        folder = self._folder / tables["posts"]
        folder.mkdir()
        place = Place(tables=tables, folder=folder)
        Racer(place, self._aws.clients, 0).populate()
        yield place
        shutil.rmtree(folder)
        for table in tables.values():
            self._aws.clients.dynamodb().delete_table(TableName=table)

    def race(self, place: Place, rounds: Sequence[Round], lap: float) -> list[Raced]:
        """Have rounds raced one after the other."""
        batch = _Batch(place=place, rounds=tuple(rounds), lap=lap)
        for pipe in self._pipes:
            pipe.send(batch)
        parts: dict[tuple[int, int], Any] = {}
        for pipe in self._pipes:
            share: list[_Part] = pipe.recv()
            parts |= {(number, spot): part for number, spot, part in share}
        return [
            Raced(
                round=each,
                race=tuple(parts[each.number, spot] for spot in range(len(each.acts))),
                afterwards=parts[each.number, _AFTERWARDS],
                found=parts[each.number, _FOUND],
            )
            for each in rounds
        ]


@contextmanager
def arena(folder: Path) -> Iterator[Arena]:
    """Start an engine and the processes that race on it, and stop them afterwards."""
    with on_engine(folder) as aws:
        racing = Arena(aws, folder)
        try:
            yield racing
        finally:
            racing.close()
