"""A burst of posts that are all due in the same minute, played in virtual time.

    python -m benchmarks.simulation

The operations are the service's own, on the tables and queues of the tests, which are kept in
memory. Around them is a model of AWS: every call of a port takes a time drawn from a published
distribution (``benchmarks/published.toml``), schedules fire as fast as their quota lets them,
queues hand messages to as many workers as ``template.yaml`` says, new workers start cold, and the
reconciler runs every minute. A seed makes a run the same wherever it is repeated.

It is a model. Left out are throttling and outages, DynamoDB's partitions and stale indexes. That
queues are fair is taken to mean that each group that waits is handed out of in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time as machine
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from benchmarks import published
from benchmarks.figures import Table
from benchmarks.published import Latency, Published
from benchmarks.virtual import Time
from local.tools import say
from postbreeze.adapters.text_lengths import TextLengths
from postbreeze.domain import ids
from postbreeze.domain.changes import PublishTarget, ResolveTarget
from postbreeze.domain.errors import ContendedError, UnavailableError
from postbreeze.domain.events import Event
from postbreeze.domain.post import Platform, Post, PostStatus, TargetStatus
from postbreeze.domain.webhook import Lane
from postbreeze.operations import deliver, publish
from postbreeze.operations.arm import Arm
from postbreeze.operations.backlog import SendBacklog
from postbreeze.operations.conclude import Conclude
from postbreeze.operations.deliver import Deliver
from postbreeze.operations.disconnect import FinishDisconnect
from postbreeze.operations.effects import Effects
from postbreeze.operations.fan_out import FanOut
from postbreeze.operations.isolate import IsolateEndpoint
from postbreeze.operations.judge import JudgeEndpoint
from postbreeze.operations.notices import TellOthers
from postbreeze.operations.platform_port import ExternalPost, PreparedPost, Publication
from postbreeze.operations.ports import (
    Directory,
    EventBus,
    PostStore,
    PublishQueue,
    SecretBox,
    Work,
    WorkQueues,
)
from postbreeze.operations.publish import PublishOneTarget
from postbreeze.operations.reconcile import Reconcile
from postbreeze.operations.start import StartPublish
from postbreeze.operations.webhook_ports import DeliveryQueue, WebhookResponse, WebhookStore
from tests.support import template
from tests.support.builders import a_post, added, an_account, an_endpoint, an_id
from tests.support.fakes import START, FakeRandomness, World

POSTS = 100_000
WORKSPACES = 100
A_MINUTE = 60.0
HORIZON = 4 * 3600.0
"""When a run is given up, in virtual seconds."""
FIRST_POLLERS = 5
"""How many batches of a queue are handled at once when its first messages come."""
RETRIED_AFTER = 60.0
"""When Lambda repeats an invocation that failed and that nobody waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """How a queue is connected to its function."""

    workers: int
    batch: int
    visible_again: float
    """Seconds until a message that was not done with is handed out again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is played."""

    publish: Queue
    fan_out: Queue
    prompt: Queue
    late: Queue
    posts: int = POSTS
    workspaces: int = WORKSPACES
    largest: float = 1 / WORKSPACES
    """The share of posts that are of the first workspace; the others have as many as each other."""
    seed: int = 1


def as_deployed(**changes: Any) -> Setting:
    """Read how queues are connected from the template, its parameters at their defaults."""

    def queue(function: str, name: str, source: str = "Queue") -> Queue:
        resources = template.source()["Resources"]
        event = resources[function]["Properties"]["Events"][source]["Properties"]
        return Queue(
            workers=_number(event["ScalingConfig"]["MaximumConcurrency"]),
            batch=_number(event["BatchSize"]),
            visible_again=_number(resources[name]["Properties"]["VisibilityTimeout"]),
        )

    setting = Setting(
        publish=queue("PublishTargetFunction", "PublishQueue"),
        fan_out=queue("FanOutEventFunction", "FanOutQueue"),
        prompt=queue("DeliverWebhookFunction", "DeliveryQueue"),
        late=queue("DeliverWebhookFunction", "DeliveryLateQueue", "LateQueue"),
    )
    return replace(setting, **changes)


def _number(value: Any) -> int:
    """Read a number, or the default of the parameter that stands for it."""
    if isinstance(value, Mapping):
        value = template.source()["Parameters"][value["Ref"]]["Default"]
    return int(value)


@dataclass(slots=True)
class Seen:
    """What was seen in a run, in seconds."""

    started: list[float] = field(default_factory=list)
    """From the minute to the start of each post."""
    published: list[float] = field(default_factory=list)
    """From the minute to each post's being public."""
    others: list[float] = field(default_factory=list)
    """The same, of all workspaces but the first."""
    webhooks: list[float] = field(default_factory=list)
    """From the commit of an event to its first arrival at its endpoint."""
    waited: dict[str, list[float]] = field(default_factory=dict)
    """What messages waited in each queue."""
    deepest: Counter[str] = field(default_factory=Counter)
    """The most messages that waited in each queue."""
    handled: Counter[str] = field(default_factory=Counter)
    """Messages and fires, by function; those that failed are counted again."""
    busiest: int = 0
    """The most workers of all functions at a time."""
    repairs: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    """What became of the posts."""
    ended: float = 0.0
    """When the last of it was over."""


class Workers:
    """The workers of all functions: those of a function that wait for work are warm."""

    def __init__(self, aws: Aws, limit: int) -> None:
        """Have none."""
        self._aws = aws
        self._limit = limit
        self._warm: Counter[str] = Counter()
        self._busy = 0
        self._waiting: deque[tuple[str, Callable[[], None]]] = deque()

    def invoke(self, function: str, work: Callable[[], None]) -> None:
        """Have a worker do something, as soon as the account lets one more work."""
        if self._busy >= self._limit:
            self._waiting.append((function, work))
            return
        self._busy += 1
        self._aws.seen.busiest = max(self._aws.seen.busiest, self._busy)
        is_warm = self._warm[function] > 0
        self._warm[function] -= is_warm
        self._aws.time.begin(partial(self._work, function, work, is_warm=is_warm))

    def _work(self, function: str, work: Callable[[], None], *, is_warm: bool) -> None:
        if not is_warm:
            self._aws.time.sleep(self._aws.figures.assumed("cold_start_ms") / 1000)
        try:
            work()
        finally:
            self._warm[function] += 1
            self._busy -= 1
            if self._waiting:
                self.invoke(*self._waiting.popleft())


class Messages:
    """A queue and the function that it starts."""

    def __init__(self, name: str, aws: Aws, queue: Queue, work: Callable[[Any], object]) -> None:
        """Begin empty."""
        self.name = name
        self._aws = aws
        self._queue = queue
        self._work = work
        self._groups: dict[str, deque[tuple[float, Any]]] = {}
        self._waiting = 0
        self._at_once = 0
        self._active_since: float | None = None

    @property
    def waiting(self) -> int:
        """How many messages can be seen by now, and have not been handed out."""
        return self._waiting

    def send(self, message: Any, group: str, after: float = 0.0) -> None:
        """Send a message, to be seen after so many seconds and the time that a queue takes."""
        moment = self._aws.time.now + after + self._aws.drawn("sqs_to_lambda")
        self._aws.time.at(moment, partial(self._arrive, message, group))

    def _arrive(self, message: Any, group: str) -> None:
        self._groups.setdefault(group, deque()).append((self._aws.time.now, (message, group)))
        self._waiting += 1
        deepest = self._aws.seen.deepest
        deepest[self.name] = max(deepest[self.name], self._waiting)
        self._hand_out()

    def _taken(self) -> tuple[float, Any]:
        """Take the oldest message of the group whose turn it is, which then waits for its next."""
        group = next(iter(self._groups))
        messages = self._groups.pop(group)
        taken = messages.popleft()
        if messages:
            self._groups[group] = messages
        self._waiting -= 1
        return taken

    def _allowed(self) -> int:
        """Return how many batches may be handled at once: it grows while there is work."""
        if self._active_since is None:
            self._active_since = self._aws.time.now
        grown = (self._aws.time.now - self._active_since) / A_MINUTE
        grown *= self._aws.figures.quota("sqs_pollers").limit
        return min(self._queue.workers, FIRST_POLLERS + int(grown))

    def _hand_out(self) -> None:
        while self._waiting and self._at_once < self._allowed():
            size = min(self._queue.batch, self._waiting)
            batch = [self._taken() for _ in range(size)]
            now = self._aws.time.now
            self._aws.seen.waited.setdefault(self.name, []).extend(now - at for at, _ in batch)
            self._at_once += 1
            self._aws.workers.invoke(self.name, partial(self._handle, [each for _, each in batch]))

    def _handle(self, batch: Sequence[Any]) -> None:
        for message, group in batch:
            self._aws.seen.handled[self.name] += 1
            self._aws.time.sleep(self._aws.figures.assumed("work_ms") / 1000)
            try:
                self._work(message)
            except (UnavailableError, ContendedError):
                self.send(message, group, self._queue.visible_again)
        self._at_once -= 1
        self._hand_out()


class Slow:
    """A port whose calls take their time."""

    def __init__(self, aws: Aws, port: object, latencies: Mapping[str, str]) -> None:
        """Name the latencies of some methods; the others take as long as DynamoDB."""
        self._aws, self._port, self._latencies = aws, port, latencies

    def __getattr__(self, method: str) -> Callable[..., Any]:
        bound = getattr(self._port, method)
        latency = self._latencies.get(method, "dynamodb")

        def call(*given: Any, **named: Any) -> Any:
            self._aws.time.sleep(self._aws.drawn(latency))
            return bound(*given, **named)

        setattr(self, method, call)
        return call


class Lanes:
    """A ``Together`` of lanes."""

    def __init__(self, time: Time) -> None:
        """Do nothing yet."""
        self._time = time

    def run(self, *calls: Callable[[], Any]) -> tuple[Any, ...]:
        """Run all at once; raise the first error after all have ended."""
        if len(calls) == 1:
            return (calls[0](),)
        outcomes = self._time.together(calls)
        for _, error in outcomes:
            if error is not None:
                raise error
        return tuple(result for result, _ in outcomes)

    def attempt(self, *calls: Callable[[], None], seconds: float) -> Sequence[Exception | None]:
        """Run all at once; none takes as long as a caller waits."""
        return [error for _, error in self._time.together(calls)]


class LaneWatch:
    """A ``Watch`` of lanes."""

    def __init__(self, time: Time) -> None:
        """Watch nothing yet."""
        self._time = time

    def over(self, call: Callable[[], Any], *, after: timedelta, then: Callable[[], None]) -> Any:
        """Make a call, and do something else if it takes too long."""
        has_ended = False

        def look() -> None:
            if not has_ended:
                self._time.begin(then)

        self._time.at(self._time.now + after.total_seconds(), look)
        try:
            return call()
        finally:
            has_ended = True


class Counts:
    """A ``Telemetry`` that keeps nothing but what the reconciler counts."""

    def note(self, message: str, **fields: object) -> None:
        """Forget it."""

    def warn(self, message: str, **fields: object) -> None:
        """Forget it."""

    def count(self, metric: str, value: int = 1) -> None:
        """Forget it."""


@dataclass(slots=True)
class SlowPlatform:
    """A platform that takes every post."""

    aws: Aws

    def prepare(self, publication: Publication, credentials: Mapping[str, str]) -> PreparedPost:
        """Sign in."""
        self.aws.time.sleep(self.aws.drawn("platform"))
        return _Prepared(self.aws, publication)

    def find(self, publication: Publication, credentials: Mapping[str, str]) -> ExternalPost | None:
        """Never asked: no answer is lost."""
        raise NotImplementedError

    def comment(
        self, publication: Publication, post: ExternalPost, credentials: Mapping[str, str]
    ) -> None:
        """Never asked: no post has a first comment."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class _Prepared:
    aws: Aws
    publication: Publication

    def publish(self) -> ExternalPost:
        self.aws.time.sleep(self.aws.drawn("platform"))
        self.aws.seen.published.append(self.aws.time.now)
        if self.publication.account_id != self.aws.first_account:
            self.aws.seen.others.append(self.aws.time.now)
        target_id = self.publication.target_id
        return ExternalPost(id=target_id, url=f"https://platform.example/{target_id}")


@dataclass(slots=True)
class SlowEndpoints:
    """Endpoints that take every webhook."""

    aws: Aws
    arrived: set[str] = field(default_factory=set)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookResponse:
        """Note the first arrival, and answer in a while."""
        delivery_id = headers["X-Postbreeze-Delivery-Id"]
        if delivery_id not in self.arrived:
            self.arrived.add(delivery_id)
            occurred = datetime.fromisoformat(json.loads(body)["payload"]["occurredAt"])
            since = self.aws.world.clock.at - occurred
            self.aws.seen.webhooks.append(since.total_seconds())
        took = self.aws.drawn("webhook")
        self.aws.time.sleep(took)
        return WebhookResponse(status=200, headers={}, body=b"", duration_ms=int(took * 1000))


class Bus:
    """A topic whose messages come to the queue of the function that fans out."""

    def __init__(self, aws: Aws) -> None:
        """Announce nothing yet."""
        self._aws = aws

    def announce(self, event: Event) -> None:
        """Announce an event."""
        self._announce(event.post_id, event.id, event.workspace_id)

    def announce_all(self, events: Sequence[tuple[str, str]]) -> None:
        """Announce many, each a group of its own."""
        for post_id, event_id in events:
            self._announce(post_id, event_id, event_id)

    def _announce(self, post_id: str, event_id: str, group: str) -> None:
        self._aws.fan_out.send((post_id, event_id), group, self._aws.drawn("sns_to_sqs"))


class PublishMessages:
    """The queue of targets."""

    def __init__(self, aws: Aws) -> None:
        """Send nothing yet."""
        self._aws = aws

    def send(self, messages: Sequence[PublishTarget | ResolveTarget]) -> None:
        """Send messages."""
        for message in messages:
            delay = message.delay_seconds if isinstance(message, PublishTarget) else 0
            self._aws.publish.send(message, message.workspace_id, delay)


class DeliveryMessages:
    """The queues of deliveries."""

    def __init__(self, aws: Aws) -> None:
        """Send nothing yet."""
        self._aws = aws

    def send(
        self,
        endpoint_id: str,
        delivery_id: str,
        *,
        delay_seconds: int = 0,
        lane: Lane = Lane.PROMPT,
    ) -> None:
        """Send one."""
        message = (endpoint_id, delivery_id, lane)
        self._aws.deliveries[lane].send(message, endpoint_id, delay_seconds)

    def send_all(self, deliveries: Sequence[tuple[str, str]], *, lane: Lane = Lane.PROMPT) -> None:
        """Send many."""
        for endpoint_id, delivery_id in deliveries:
            self.send(endpoint_id, delivery_id, lane=lane)


class Waiting:
    """What the queues tell of their length."""

    def __init__(self, aws: Aws) -> None:
        """Ask nothing yet."""
        self._aws = aws

    def waiting(self, work: Work) -> int:
        """Return how many messages wait."""
        match work:
            case Work.PUBLICATIONS:
                return self._aws.publish.waiting
            case Work.EVENTS:
                return self._aws.fan_out.waiting
            case Work.DELIVERIES:
                return sum(each.waiting for each in self._aws.deliveries.values())


class Aws:
    """The service on a model of AWS."""

    def __init__(self, setting: Setting, figures: Published) -> None:
        """Put it together."""
        self.setting, self.figures = setting, figures
        self.seen = Seen()
        self.world = World(randomness=FakeRandomness(setting.seed))
        self.time = Time(self._moved)
        self.workers = Workers(self, int(figures.quota("lambda_concurrency").limit))
        self._random = random.Random(setting.seed)
        self._latencies: dict[str, Latency] = {}
        self._posts: list[Post] = []
        self.first_account = ""
        self._wire()

    def _moved(self, now: float) -> None:
        whole = int(now * 1000)
        self.world.clock.at = START + timedelta(milliseconds=whole)

    def drawn(self, name: str) -> float:
        """Draw how long a call takes, in seconds."""
        latency = self._latencies.get(name)
        if latency is None:
            latency = self._latencies[name] = self.figures.latency(name)
        return latency.at(self._random.random()) / 1000

    def _wire(self) -> None:
        world, setting, clock = self.world, self.setting, self.world.clock
        telemetry, together = Counts(), Lanes(self.time)
        posts = cast("PostStore", Slow(self, world.posts, {"commit": "dynamodb_transaction"}))
        webhooks = cast("WebhookStore", Slow(self, world.webhooks, {}))
        directory = cast("Directory", Slow(self, world.workspaces, {}))
        secrets = cast("SecretBox", Slow(self, world.secrets, {}))
        bus = cast("EventBus", Slow(self, Bus(self), {}))
        publish_queue = cast("PublishQueue", Slow(self, PublishMessages(self), {}))
        delivery_queue = cast("DeliveryQueue", Slow(self, DeliveryMessages(self), {}))
        effects = Effects(
            schedules=world.schedules,
            bus=bus,
            publish_queue=publish_queue,
            together=together,
            telemetry=telemetry,
        )
        self.start = StartPublish(posts=posts, effects=effects, clock=clock, telemetry=telemetry)
        conclude = Conclude(posts=posts, effects=effects, clock=clock, telemetry=telemetry)
        publisher = PublishOneTarget(
            posts=posts,
            directory=directory,
            platforms=dict.fromkeys(Platform, SlowPlatform(self)),
            secrets=secrets,
            effects=effects,
            conclude=conclude,
            measures=TextLengths(),
            clock=clock,
            randomness=world.randomness,
            telemetry=telemetry,
        )
        fan_out = FanOut(
            posts=posts,
            webhooks=webhooks,
            queue=delivery_queue,
            clock=clock,
            telemetry=telemetry,
        )
        tell_others = TellOthers(webhooks=webhooks, queue=delivery_queue, clock=clock)
        deliverer = Deliver(
            webhooks=webhooks,
            posts=posts,
            sender=SlowEndpoints(self),
            secrets=secrets,
            queue=delivery_queue,
            judge=JudgeEndpoint(
                webhooks=webhooks, tell_others=tell_others, clock=clock, telemetry=telemetry
            ),
            isolate=IsolateEndpoint(webhooks=webhooks, clock=clock, telemetry=telemetry),
            watch=LaneWatch(self.time),
            clock=clock,
            randomness=world.randomness,
            telemetry=telemetry,
        )
        self.reconcile = Reconcile(
            disconnections=world.disconnections,
            finish_disconnect=FinishDisconnect(
                disconnections=world.disconnections,
                posts=posts,
                effects=effects,
                clock=clock,
                telemetry=telemetry,
            ),
            posts=posts,
            webhooks=webhooks,
            arm=Arm(
                posts=posts,
                schedules=world.schedules,
                effects=effects,
                clock=clock,
                telemetry=telemetry,
            ),
            start=self.start,
            conclude=conclude,
            effects=effects,
            bus=bus,
            delivery_queue=delivery_queue,
            work_queues=cast("WorkQueues", Slow(self, Waiting(self), {})),
            tell_others=tell_others,
            send_backlog=SendBacklog(webhooks=webhooks, queue=delivery_queue, clock=clock),
            together=together,
            clock=clock,
            telemetry=telemetry,
        )

        def handle(message: PublishTarget | ResolveTarget) -> object:
            if isinstance(message, PublishTarget):
                return publisher.publish(message.post_id, message.target_id, message.workflow_id)
            return publisher.resolve(message.post_id, message.target_id, message.claim_id)

        self.publish = Messages("publish", self, setting.publish, handle)
        self.fan_out = Messages("fan out", self, setting.fan_out, lambda each: fan_out(*each))
        self.deliveries = {
            Lane.PROMPT: Messages(
                "deliver promptly", self, setting.prompt, lambda each: deliverer(*each)
            ),
            Lane.LATE: Messages("deliver late", self, setting.late, lambda each: deliverer(*each)),
        }

    def play(self) -> Seen:
        """Let the minute come, and all that comes of it."""
        self._populate()
        every = 1 / self.figures.quota("scheduler_invocations").limit
        for number, post in enumerate(self._random.sample(self._posts, len(self._posts))):
            workflow_id = post.workflow_id or ""
            self.time.at(number * every, partial(self._fire, post.id, workflow_id))
        self.time.at(A_MINUTE, self._tick)
        self.time.run()
        for post in self._posts:
            stands = self.world.posts.read(post.id)
            if stands is not None:
                error = stands.targets[0].error_code
                self.seen.outcomes[error or stands.status.value] += 1
        return self.seen

    def _populate(self) -> None:
        world = self.world
        workspaces = [an_id(ids.WORKSPACE) for _ in range(self.setting.workspaces)]
        accounts = []
        for workspace_id in workspaces:
            account = an_account(workspace_id=workspace_id)
            sealed = world.secrets.seal('{"password": "x"}', publish.sealing_context(account))
            account = replace(account, sealed_credentials=sealed)
            world.workspaces.add_account(account)
            accounts.append(account.id)
            endpoint = an_endpoint(workspace_id=workspace_id)
            sealed = world.secrets.seal(_SECRET, deliver.sealing_context(endpoint))
            world.webhooks.add_endpoint(replace(endpoint, sealed_secrets=(sealed,)))
        self.first_account = accounts[0]
        of_first = round(self.setting.posts * self.setting.largest)
        for number in range(self.setting.posts):
            is_first = number < of_first or len(workspaces) == 1
            place = 0 if is_first else 1 + number % (len(workspaces) - 1)
            post = a_post(
                PostStatus.SCHEDULED,
                [TargetStatus.SCHEDULED],
                workspace_id=workspaces[place],
                scheduled_at=START,
            )
            [target] = post.targets
            post = replace(post, targets=(replace(target, social_account_id=accounts[place]),))
            world.posts.commit(added(post))
            self._posts.append(post)

    def _fire(self, post_id: str, workflow_id: str, after: float = 0.0) -> None:
        # Lambda is asked without waiting for its answer, as SNS asks it.
        arrives = self.time.now + after + self.drawn("sns_to_sqs")
        work = partial(self._started, post_id, workflow_id)
        self.time.at(arrives, partial(self.workers.invoke, "start", work))

    def _started(self, post_id: str, workflow_id: str) -> None:
        self.seen.handled["start"] += 1
        self.time.sleep(self.figures.assumed("work_ms") / 1000)
        try:
            if self.start(post_id, workflow_id):
                self.seen.started.append(self.time.now)
        except (UnavailableError, ContendedError):
            self._fire(post_id, workflow_id, RETRIED_AFTER)

    def _tick(self) -> None:
        if self._is_over() or self.time.now >= HORIZON:
            self.seen.ended = self.time.now
            return
        self.workers.invoke("reconcile", self._reconcile)
        self.time.at(self.time.now + A_MINUTE, self._tick)

    def _reconcile(self) -> None:
        self.seen.repairs.update(self.reconcile())

    def _is_over(self) -> bool:
        """Tell whether every post has ended and every event of it has arrived."""
        return len(self.seen.webhooks) >= len(self._posts)


_SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def settings(posts: int, seed: int) -> Mapping[str, Setting]:
    """Return what is played: as deployed by default, and with more workers."""
    usual = as_deployed(posts=posts, seed=seed)

    def raised(publishers: int, fan_outs: int, prompt: int) -> Setting:
        return replace(
            usual,
            publish=replace(usual.publish, workers=publishers),
            fan_out=replace(usual.fan_out, workers=fan_outs),
            prompt=replace(usual.prompt, workers=prompt),
        )

    return {
        "as in template.yaml": usual,
        "… and one workspace has 90 % of them": replace(usual, largest=0.9),
        "10 publish": raised(10, usual.fan_out.workers, usual.prompt.workers),
        "100 publish": raised(100, usual.fan_out.workers, usual.prompt.workers),
        "500 publish, 100 fan out, 250 deliver": raised(500, 100, 250),
    }


COLUMNS = (
    "workers",
    "published",
    "missed",
    "public after: median, 99 in 100, last",
    "last but for the largest workspace",
    "publish queue: deepest, longest wait",
    "webhook after its event: median, 95, 99 in 100, last",
    "most workers",
    "sent again by the reconciler",
)


def run(posts: int = POSTS, seed: int = 1) -> Sequence[Table]:
    """Play every setting, as many at a time as there are processors."""
    played = settings(posts, seed)
    with ProcessPoolExecutor(min(len(played), os.cpu_count() or 1)) as processes:
        rows = [
            [name, *_cells(seen)]
            for name, seen in zip(
                played, processes.map(_play, played, played.values()), strict=True
            )
        ]
    return [
        Table(
            title=f"{posts:,} posts due in one minute (a model)",
            about=f"**A model, measured nowhere.** {WORKSPACES} workspaces with one endpoint each,"
            f" posts with one target, seed {seed}. Webhooks are told of what was published.",
            columns=COLUMNS,
            rows=rows,
        )
    ]


def _play(name: str, setting: Setting) -> Seen:
    say(f"playing {setting.posts:,} posts in one minute: {name}")
    began = machine.perf_counter()
    seen = Aws(setting, published.read()).play()
    took = machine.perf_counter() - began
    say(f"{name}: {seen.ended / 60:.0f} virtual minutes in {took:.0f} s")
    return seen


def _cells(seen: Seen) -> Sequence[str]:
    again = sum(times for repair, times in seen.repairs.items() if repair != "RepairFailed")
    return [
        f"{seen.outcomes[PostStatus.PUBLISHED]:,}",
        f"{seen.outcomes['MISSED_SCHEDULE']:,}",
        _spread(seen.published, 0.5, 0.99, 1),
        _spread(seen.others, 1),
        f"{seen.deepest['publish']:,}, {_duration(max(seen.waited['publish']))}",
        _spread(seen.webhooks, 0.5, 0.95, 0.99, 1),
        str(seen.busiest),
        f"{again:,}",
    ]


def _spread(samples: Sequence[float], *shares: float) -> str:
    ordered = sorted(samples)
    places = (max(0, round(share * len(ordered)) - 1) for share in shares)
    return ", ".join(_duration(ordered[place]) for place in places)


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def main() -> None:
    """Play and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.add_argument("--posts", type=int, default=POSTS)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    for table in run(asked.posts, asked.seed):
        print(table)


if __name__ == "__main__":
    main()
