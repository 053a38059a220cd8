"""The whole core wired to fakes, with a tap on every call that leaves it."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from postbreeze.adapters.text_lengths import TextLengths
from postbreeze.domain import ids, lifecycle
from postbreeze.domain.access import ApiKey, Member, Role
from postbreeze.domain.changes import Change, PublishTarget, ResolveTarget
from postbreeze.domain.errors import PlatformOutcomeUnknownError, PostbreezeError, UnavailableError
from postbreeze.domain.events import Event, EventType
from postbreeze.domain.post import (
    AccountStatus,
    Platform,
    Post,
    PostDraft,
    PostStatus,
    SocialAccount,
    Target,
    TargetDraft,
    TargetStatus,
)
from postbreeze.domain.webhook import DeliveryStatus, Endpoint, EndpointStatus
from postbreeze.operations import deliver, publish
from postbreeze.operations.administer.endpoints import Endpoints
from postbreeze.operations.answers import Answer
from postbreeze.operations.arm import Arm
from postbreeze.operations.backlog import SendBacklog
from postbreeze.operations.cancel import CancelCommand, CancelPost
from postbreeze.operations.changing import ChangePost, PostRequest
from postbreeze.operations.conclude import Conclude
from postbreeze.operations.create import CreateCommand, CreatePost
from postbreeze.operations.delete import DeletePost
from postbreeze.operations.deliver import Deliver
from postbreeze.operations.disconnect import DisconnectAccount, FinishDisconnect
from postbreeze.operations.edit import EditCommand, EditPost
from postbreeze.operations.effects import Effects
from postbreeze.operations.fan_out import FanOut
from postbreeze.operations.fitness import Fitness
from postbreeze.operations.isolate import IsolateEndpoint
from postbreeze.operations.judge import JudgeEndpoint
from postbreeze.operations.media.library import Library
from postbreeze.operations.media.ports import AssetStore, Storage
from postbreeze.operations.notices import TellOthers
from postbreeze.operations.platform_port import (
    ExternalPost,
    PlatformClient,
    PreparedPost,
    Publication,
)
from postbreeze.operations.ports import (
    Directory,
    Disconnections,
    EventBus,
    PostStore,
    PublishQueue,
    Randomness,
    Schedules,
    SecretBox,
    WorkQueues,
)
from postbreeze.operations.publish import PublishOneTarget
from postbreeze.operations.read import ReadPost
from postbreeze.operations.reconcile import Reconcile
from postbreeze.operations.retry import RetryFirstComment, RetryPost
from postbreeze.operations.schedule import ApprovePost, ScheduleCommand, SchedulePost
from postbreeze.operations.start import StartPublish
from postbreeze.operations.webhook_ports import (
    DeliveryQueue,
    WebhookResponse,
    WebhookSender,
    WebhookSendError,
    WebhookStore,
)
from tests.support.builders import CURSOR_SECRET, PLENTY
from tests.support.event_schemas import check_event
from tests.support.fakes import FakeTogether, QueuedDelivery, World
from tests.support.platforms import FakePlatform

A_SECOND = timedelta(seconds=1)
A_MINUTE = timedelta(minutes=1)
AN_HOUR = timedelta(hours=1)


def numbered(prefix: str, number: int) -> str:
    """Build an identifier that is easy to recognise."""
    return f"{prefix}_01JX0000000000000000{number:06d}"


WORKSPACE = numbered("ws", 1)
OTHER_WORKSPACE = numbered("ws", 2)
ENDPOINT = numbered("wh", 1)
USERS = {role: numbered("usr", index) for index, role in enumerate(Role)}
STRANGER = numbered("usr", 99)
WEBHOOK_SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

Tap = Callable[[str, Callable[[], Any]], Any]
"""Stands between the core and a port: given the call's name and the call, it makes it or not."""


def straight(_: str, call: Callable[[], Any]) -> Any:
    """Just make the call."""
    return call()


Message = PublishTarget | ResolveTarget | QueuedDelivery | tuple[str, str]
Waiting = tuple[datetime, Message]
"""A message and from when on its reader sees it."""

VISIBLE_AGAIN = timedelta(seconds=90)
"""After how long a queue shows a message again that was not done with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRequest:
    """What an endpoint received."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class FakeSender:
    """An endpoint that answers 200, or what is scripted: one status, answer or error a call.

    Or what gives an answer to a request.
    """

    script: list[int | WebhookResponse | Exception | Callable[[SentRequest], WebhookResponse]] = (
        field(default_factory=list)
    )
    requests: list[SentRequest] = field(default_factory=list)
    last_took: timedelta = timedelta(0)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookResponse:
        check_event(headers["X-Postbreeze-Event"], body)
        request = SentRequest(url=url, headers=dict(headers), body=body)
        self.requests.append(request)
        answer = self.script.pop(0) if self.script else 200
        if callable(answer):
            try:
                answer = answer(request)
            except WebhookSendError as error:
                answer = error
        if isinstance(answer, int):
            answer = WebhookResponse(status=answer, headers={}, body=b"ok", duration_ms=12)
        if isinstance(answer, WebhookSendError | WebhookResponse):
            self.last_took = timedelta(milliseconds=answer.duration_ms)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass(frozen=True, slots=True)
class SenderWatch:
    """Something else is done where the endpoint's answer says that it took longer than that."""

    sender: FakeSender

    def over(self, call: Callable[[], Any], *, after: timedelta, then: Callable[[], None]) -> Any:
        self.sender.last_took = timedelta(0)
        try:
            return call()
        finally:
            if self.sender.last_took > after:
                then()


class OneByOne(FakeTogether):
    """Runs calls one after the other, and holds no lock meanwhile: they may stop half-way."""

    def run(self, *calls: Callable[[], Any]) -> tuple[Any, ...]:
        return FakeTogether.run.__wrapped__(self, *calls)  # type: ignore[attr-defined,no-any-return]

    def attempt(self, *calls: Callable[[], None], seconds: float) -> Sequence[Exception | None]:
        return FakeTogether.attempt.__wrapped__(  # type: ignore[attr-defined,no-any-return]
            self, *calls, seconds=seconds
        )


class Tapped:
    """A port all of whose calls go through the core's tap."""

    def __init__(self, core: Core, name: str, port: object) -> None:
        self._core = core
        self._name = name
        self._port = port

    def __getattr__(self, method: str) -> Callable[..., Any]:
        bound = getattr(self._port, method)
        name = f"{self._name}.{method}"

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._core.tap(name, lambda: bound(*args, **kwargs))

        return call


class DiedError(BaseException):
    """The process is gone: nothing catches this."""


@dataclass(slots=True)
class Mortal:
    """A tap that lets so many calls through and then lets the process die; -1 for never."""

    calls: int
    made: list[str] = field(default_factory=list)

    def __call__(self, name: str, call: Callable[[], Any]) -> Any:
        if len(self.made) == self.calls:
            raise DiedError
        result = call()
        self.made.append(name)
        if len(self.made) == self.calls:
            raise DiedError
        return result


class _Recorded:
    """The post store, keeping every change that wrote a row of the post."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def __getattr__(self, method: str) -> Any:
        return getattr(self._core.posts, method)

    def commit(self, change: Change, **rest: Any) -> None:
        self._core.posts.commit(change, **rest)
        if not change.is_empty:
            self._core.changes.append(change)
            self._core.acts.append(self._core.act)


@dataclass(slots=True)
class WatchedPlatform:
    """Counts, beside what its platform keeps, every call that may have published something."""

    core: Core
    platform: FakePlatform
    sent: list[str] = field(default_factory=list)
    publications: list[Publication] = field(default_factory=list)

    def prepare(self, publication: Publication, credentials: Mapping[str, str]) -> PreparedPost:
        prepared = self.core.tap(
            "platform.prepare", lambda: self.platform.prepare(publication, credentials)
        )
        return _Prepared(self, prepared, publication)

    def find(self, publication: Publication, credentials: Mapping[str, str]) -> ExternalPost | None:
        found = self.core.tap("platform.find", lambda: self.platform.find(publication, credentials))
        return cast("ExternalPost | None", found)

    def comment(
        self, publication: Publication, post: ExternalPost, credentials: Mapping[str, str]
    ) -> None:
        self.core.tap(
            "platform.comment", lambda: self.platform.comment(publication, post, credentials)
        )


@dataclass(frozen=True, slots=True)
class _Prepared:
    watched: WatchedPlatform
    prepared: PreparedPost
    publication: Publication

    def publish(self) -> ExternalPost:
        return cast("ExternalPost", self.watched.core.tap("platform.publish", self._publish))

    def _publish(self) -> ExternalPost:
        self.watched.publications.append(self.publication)
        try:
            published = self.prepared.publish()
        except PlatformOutcomeUnknownError:
            self.watched.sent.append(self.publication.target_id)
            raise
        self.watched.sent.append(self.publication.target_id)
        return published


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Targets that a client was told are canceled, and how much had been sent by then.

    ``over_ids`` are those and the ones that were told to be canceled already. It holds for each
    until a client has it put on the clock again, at a later ``version`` of the post.
    """

    post_id: str
    version: int
    target_ids: frozenset[str]
    over_ids: frozenset[str]
    sent_before: int


class Core:
    """Everything between a client, a scheduler, the queues and the platforms."""

    def __init__(self, randomness: Randomness | None = None) -> None:
        self.tap: Tap = self._follow
        self._befores: dict[str, deque[Callable[[], object]]] = defaultdict(deque)
        self._faults: dict[str, deque[tuple[Exception, bool]]] = defaultdict(deque)
        self._recorded: list[str] = []
        self.world = World(together=OneByOne())
        self.randomness = randomness or self.world.randomness
        self.clock = self.world.clock
        self.telemetry = self.world.telemetry
        self.directory = self.world.workspaces
        self.posts = self.world.posts
        self.webhooks = self.world.webhooks
        self.schedules = self.world.schedules
        self.bus = self.world.bus
        self.publish_queue = self.world.publish_queue
        self.delivery_queue = self.world.delivery_queue
        self.secrets = self.world.secrets
        self.sender = FakeSender()
        self.platform = FakePlatform()
        self.watched = WatchedPlatform(self, self.platform)
        self.promises: list[Promise] = []
        self.changes: list[Change] = []
        self.acts: list[str] = []
        """What each of the changes was made for."""
        self._acting = threading.local()
        self.waiting: list[Waiting] = []
        self._populate()
        self._wire()

    def _populate(self) -> None:
        for role, user in USERS.items():
            self.add_key(role.value.lower(), owner=user)
            self.add_member(user, role)
        for number in range(20, 23):
            self.add_account(number)
        self.webhooks.add_endpoint(self.an_endpoint())

    def _wire(self) -> None:
        posts = cast("PostStore", Tapped(self, "posts", _Recorded(self)))
        directory = cast("Directory", Tapped(self, "directory", self.directory))
        webhooks = cast("WebhookStore", Tapped(self, "webhooks", self.webhooks))
        schedules = cast("Schedules", Tapped(self, "schedules", self.schedules))
        bus = cast("EventBus", Tapped(self, "bus", self.bus))
        publish_queue = cast("PublishQueue", Tapped(self, "publish_queue", self.publish_queue))
        delivery_queue = cast("DeliveryQueue", Tapped(self, "delivery_queue", self.delivery_queue))
        work_queues = cast("WorkQueues", Tapped(self, "work_queues", self.world.work_queues))
        sender = cast("WebhookSender", Tapped(self, "sender", self.sender))
        secrets = cast("SecretBox", Tapped(self, "secrets", self.secrets))
        platforms: Mapping[Platform, PlatformClient] = dict.fromkeys(Platform, self.watched)
        self.effects = Effects(
            schedules=schedules,
            bus=bus,
            publish_queue=publish_queue,
            together=self.world.together,
            telemetry=self.telemetry,
        )
        self.arm = Arm(
            posts=posts,
            schedules=schedules,
            effects=self.effects,
            clock=self.clock,
            telemetry=self.telemetry,
        )
        self.library = Library(
            assets=cast("AssetStore", Tapped(self, "assets", self.world.assets)),
            storage=cast("Storage", Tapped(self, "storage", self.world.storage)),
            together=self.world.together,
            clock=self.clock,
            telemetry=self.telemetry,
        )
        self.fitness = Fitness(library=self.library, measures=TextLengths())
        self.create_post = CreatePost(
            posts=posts,
            directory=directory,
            fitness=self.fitness,
            arm=self.arm,
            effects=self.effects,
            together=self.world.together,
            clock=self.clock,
            randomness=self.randomness,
        )
        self.change_post = ChangePost(
            posts=posts,
            directory=directory,
            effects=self.effects,
            together=self.world.together,
            clock=self.clock,
            arm=self.arm,
        )
        # A cancel's function can put nothing on the clock.
        self.cancel_post = CancelPost(change_post=replace(self.change_post, arm=None))
        self.delete_post = DeletePost(change_post=self.change_post)
        self.edit_post = EditPost(change_post=self.change_post, fitness=self.fitness)
        self.schedule_post = SchedulePost(change_post=self.change_post, fitness=self.fitness)
        self.approve_post = ApprovePost(change_post=self.change_post, fitness=self.fitness)
        self.retry_post = RetryPost(change_post=self.change_post)
        self.retry_first_comment = RetryFirstComment(change_post=self.change_post)
        self.read_post = ReadPost(
            posts=posts, directory=directory, together=self.world.together, clock=self.clock
        )
        self.start = StartPublish(
            posts=posts, effects=self.effects, clock=self.clock, telemetry=self.telemetry
        )
        self.conclude = Conclude(
            posts=posts, effects=self.effects, clock=self.clock, telemetry=self.telemetry
        )
        self.publisher = PublishOneTarget(
            posts=posts,
            directory=directory,
            platforms=platforms,
            secrets=secrets,
            effects=self.effects,
            conclude=self.conclude,
            measures=TextLengths(),
            clock=self.clock,
            randomness=self.randomness,
            telemetry=self.telemetry,
        )
        self.fan_out = FanOut(
            posts=posts,
            webhooks=webhooks,
            queue=delivery_queue,
            clock=self.clock,
            telemetry=self.telemetry,
        )
        self.tell_others = TellOthers(webhooks=webhooks, queue=delivery_queue, clock=self.clock)
        self.deliver = Deliver(
            webhooks=webhooks,
            posts=posts,
            sender=sender,
            secrets=secrets,
            queue=delivery_queue,
            judge=JudgeEndpoint(
                webhooks=webhooks,
                tell_others=self.tell_others,
                clock=self.clock,
                telemetry=self.telemetry,
            ),
            isolate=IsolateEndpoint(webhooks=webhooks, clock=self.clock, telemetry=self.telemetry),
            watch=SenderWatch(self.sender),
            clock=self.clock,
            randomness=self.randomness,
            telemetry=self.telemetry,
        )
        self.endpoints = Endpoints(
            registry=self.directory,
            webhooks=webhooks,
            secrets=secrets,
            queue=delivery_queue,
            check_url=lambda url: None,
            clock=self.clock,
            randomness=self.randomness,
        )
        disconnections = cast(
            "Disconnections", Tapped(self, "disconnections", self.world.disconnections)
        )
        self.finish_disconnect = FinishDisconnect(
            disconnections=disconnections,
            posts=posts,
            effects=self.effects,
            clock=self.clock,
            telemetry=self.telemetry,
        )
        self.disconnect_account = DisconnectAccount(
            directory=directory,
            disconnections=disconnections,
            finish=self.finish_disconnect,
            effects=self.effects,
            together=self.world.together,
            clock=self.clock,
            telemetry=self.telemetry,
        )
        self.reconcile = Reconcile(
            disconnections=disconnections,
            finish_disconnect=self.finish_disconnect,
            posts=posts,
            webhooks=webhooks,
            arm=self.arm,
            start=self.start,
            conclude=self.conclude,
            effects=self.effects,
            bus=bus,
            delivery_queue=delivery_queue,
            work_queues=work_queues,
            tell_others=self.tell_others,
            send_backlog=SendBacklog(webhooks=webhooks, queue=delivery_queue, clock=self.clock),
            together=self.world.together,
            clock=self.clock,
            telemetry=self.telemetry,
        )

    # What goes wrong, or happens at the wrong moment

    def _follow(self, name: str, call: Callable[[], Any]) -> Any:
        """Make a call as it was scripted."""
        self._recorded.append(name)
        if self._befores[name]:
            with self._does("service"):
                self._befores[name].popleft()()
        error, is_after = self._faults[name].popleft() if self._faults[name] else (None, False)
        if error is not None and not is_after:
            raise error
        result = call()
        if error is not None:
            raise error
        return result

    def before(self, name: str, happens: Callable[[], object]) -> None:
        """Have something happen just before the next call of that name."""
        self._befores[name].append(happens)

    def fails(self, name: str, *errors: Exception) -> None:
        """Have the next calls of that name fail without effect, one for each error."""
        self._faults[name].extend((error, False) for error in errors)

    def fails_after(self, name: str, *errors: Exception) -> None:
        """Have the next calls of that name take effect and fail nevertheless."""
        self._faults[name].extend((error, True) for error in errors)

    def recorded(self) -> list[str]:
        """Return the list of the calls made from now on."""
        self._recorded = []
        return self._recorded

    def dies_after(self, calls: int, act: Callable[[], object]) -> None:
        """Do something in a process that dies after so many calls."""
        self.tap = Mortal(calls)
        try:
            act()
        except DiedError:
            self.tap = self._follow
        else:
            raise AssertionError("it ended before it could die")

    # What there is

    def add_key(self, digest: str, *, owner: str, **rest: Any) -> ApiKey:
        """Add a key known by its digest."""
        key = ApiKey(
            id=numbered(ids.KEY, len(self.directory._keys)),
            digest=digest,
            owner_user_id=owner,
            name=digest,
            hint="…",
            created_at=self.clock.now(),
            requests_per_minute=PLENTY,
            requests_per_quarter_hour=PLENTY,
            cursor_secret=CURSOR_SECRET,
            **rest,
        )
        self.directory.add_key(key)
        return key

    def add_member(self, user: str, role: Role, *, workspace: str = WORKSPACE) -> None:
        """Add a member or change a role."""
        self.directory.put_member(
            Member(workspace_id=workspace, user_id=user, role=role, created_at=self.clock.now())
        )

    def add_account(
        self,
        number: int,
        *,
        platform: Platform = Platform.BLUESKY,
        workspace: str = WORKSPACE,
        status: AccountStatus = AccountStatus.ACTIVE,
    ) -> SocialAccount:
        """Add an account; its password is accepted by the platform."""
        account = SocialAccount(
            id=numbered("soc", number),
            workspace_id=workspace,
            platform=platform,
            display_name=f"Account {number}",
            external_account_id=f"did:plc:{number}",
            status=status,
            created_at=self.clock.now(),
        )
        sealed = self.secrets.seal('{"appPassword": "right"}', publish.sealing_context(account))
        account = replace(account, sealed_credentials=sealed)
        self.platform.passwords[account.id] = "right"
        self.directory.add_account(account)
        return account

    def endpoint(self) -> Endpoint:
        """Read the endpoint that is there from the beginning."""
        endpoint = self.webhooks.endpoint(WORKSPACE, ENDPOINT)
        assert endpoint is not None
        return endpoint

    def an_endpoint(self, number: int = 1, **wanted: Any) -> Endpoint:
        """Build an endpoint that is subscribed to everything."""
        endpoint = Endpoint(
            id=numbered("wh", number),
            workspace_id=wanted.get("workspace_id", WORKSPACE),
            url=f"https://hooks.example/{number}",
            event_filters=("*",),
            status=EndpointStatus.ENABLED,
            sealed_secrets=(),
            created_at=self.clock.now(),
            updated_at=self.clock.now(),
        )
        sealed = self.secrets.seal(WEBHOOK_SECRET, deliver.sealing_context(endpoint))
        return replace(endpoint, **{"sealed_secrets": (sealed,), **wanted})

    def a_draft(
        self,
        targets: int = 2,
        *,
        first_comment: str | None = None,
        targets_of: tuple[TargetDraft, ...] | None = None,
        **wanted: Any,
    ) -> PostDraft:
        """Build what a client may ask for: a post on Bluesky accounts, an hour ahead."""
        usual = tuple(
            TargetDraft(social_account_id=numbered("soc", 20 + index), first_comment=first_comment)
            for index in range(targets)
        )
        given: dict[str, Any] = {
            "targets": usual if targets_of is None else targets_of,
            "caption": "Hello",
            "scheduled_for": self.clock.at + AN_HOUR,
            **wanted,
        }
        return PostDraft(**given)

    def add_post(self, post: Post) -> Post:
        """Put a post there as it is."""
        self.posts.commit(Change(before=None, after=post))
        return post

    # What clients do

    @property
    def act(self) -> str:
        """What this thread is doing for a client, or by itself."""
        return getattr(self._acting, "name", "service")

    @contextmanager
    def _does(self, act: str) -> Iterator[None]:
        before, self._acting.name = self.act, act
        try:
            yield
        finally:
            self._acting.name = before

    def create(self, draft: PostDraft | None = None, *, key: str = "owner", **rest: Any) -> Answer:
        """Create a post."""
        draft = draft or self.a_draft()
        with self._does("create"):
            return self.create_post(CreateCommand(key_digest=key, draft=draft, **rest))

    def created(self, targets: int = 2, **wanted: Any) -> Post:
        """Create a post and read it from the store."""
        answer = self.create(self.a_draft(targets, **wanted))
        return self.post(str(answer.body["id"]))

    def created_unarmed(self, targets: int = 2) -> Post:
        """Create a post while the scheduler is down, and read it from the store."""
        self.fails("schedules.arm", UnavailableError("down"))
        return self.created(targets)

    def cancel(self, post_id: str, *, key: str = "owner", **rest: Any) -> Answer:
        """Cancel, and remember what was promised."""
        request = self.a_request(post_id, key=key, **_taken(rest, "if_match", "idempotency"))
        with self._does("cancel"):
            answer = self.cancel_post(CancelCommand(request=request, **rest))
        if not rest.get("dry_run", False):
            self._promised(answer)
        return answer

    def _promised(self, answer: Answer) -> None:
        told = answer.body["cancellation"]["targets"]
        canceled = _told(told, "canceled")
        promise = Promise(
            post_id=str(answer.body["id"]),
            version=int(answer.body["version"]),
            target_ids=canceled,
            over_ids=canceled | _told(told, "already_canceled"),
            sent_before=len(self.watched.sent),
        )
        self.promises.append(promise)

    def a_request(self, post_id: str, *, key: str = "owner", **rest: Any) -> PostRequest:
        """Build what all requests that change one post have in common."""
        return PostRequest(key_digest=key, post_id=post_id, **rest)

    def edit(self, post_id: str, draft: PostDraft | None = None, **rest: Any) -> Answer:
        """Edit a post."""
        request = self.a_request(post_id, **rest)
        with self._does("edit"):
            return self.edit_post(EditCommand(request=request, draft=draft or self.a_draft()))

    def delete(self, post_id: str, **rest: Any) -> Answer:
        """Delete a post, and remember what was promised."""
        with self._does("delete"):
            answer = self.delete_post(self.a_request(post_id, **rest))
        if "cancellation" in answer.body:
            self._promised(answer)
        return answer

    def schedule(
        self, post_id: str, at: datetime | None = None, *, again: bool = False, **rest: Any
    ) -> Answer:
        """Schedule a post, in two hours if no time is given."""
        request = self.a_request(post_id, **rest)
        at = at or self.clock.at + 2 * AN_HOUR
        with self._does("schedule"):
            return self.schedule_post(ScheduleCommand(request=request, at=at, again=again))

    def approve(self, post_id: str, **rest: Any) -> Answer:
        """Approve a post."""
        with self._does("approve"):
            return self.approve_post(self.a_request(post_id, **rest))

    def retry(self, post_id: str, **rest: Any) -> Answer:
        """Retry a post."""
        with self._does("retry"):
            return self.retry_post(self.a_request(post_id, **rest))

    def retry_comment(self, post_id: str, target_id: str, **rest: Any) -> Answer:
        """Retry a target's first comment."""
        with self._does("retry comment"):
            return self.retry_first_comment(self.a_request(post_id, **rest), target_id)

    # What can be seen

    def post(self, post_id: str) -> Post:
        """Read a post that must be there."""
        post = self.posts.read(post_id)
        assert post is not None
        return post

    def has(self, post: Post, *statuses: str, status: PostStatus | None = None) -> Post:
        """Put a post into a state that is hard to reach otherwise: its targets', and its own."""
        targets = tuple(
            replace(target, status=TargetStatus(wanted), revision=target.revision + 1)
            for target, wanted in zip(post.targets, statuses, strict=True)
        )
        changed = replace(post, targets=targets, revision=post.revision + 1)
        changed = changed if status is None else replace(changed, status=status)
        self.posts.commit(Change(before=post, after=changed))
        return changed

    def events(self, post_id: str) -> list[str]:
        """Return the names of a post's events, oldest first."""
        return [event.type.value for event in self.posts.timeline(post_id)]

    def received(self) -> list[str]:
        """Return the event names that reached endpoints, with repetitions."""
        return [request.headers["X-Postbreeze-Event"] for request in self.sender.requests]

    # What happens by itself

    def fire_due(self) -> None:
        """Fire every schedule whose moment has come, as EventBridge does."""
        for arming in list(self.schedules.armed.values()):
            if arming.at <= self.clock.now() and _works(
                partial(self.start, arming.post_id, arming.workflow_id)
            ):
                self.schedules.armed.pop(arming.workflow_id, None)

    def pump(self) -> None:
        """Note from when on each message that was sent since is shown to its reader."""
        now = self.clock.now()
        for announced in self.bus.announced:
            self.waiting.append((now, announced))
        for sent in self.publish_queue.sent:
            self.waiting.append((now + _delay(sent), sent))
        for queued in self.delivery_queue.sent:
            self.waiting.append((now + _delay(queued), queued))
        self.bus.announced.clear()
        self.publish_queue.sent.clear()
        self.delivery_queue.sent.clear()

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self.pump()
        self.clock.advance(by)

    def run_queues(self) -> bool:
        """Handle every message whose time has come; tell whether there was one."""
        busy = False
        while (ready := self.ready()) != []:
            busy = True
            for entry in ready:
                self.handle(entry)
        return busy

    def ready(self) -> list[Waiting]:
        """Return the messages whose time has come."""
        self.pump()
        return [entry for entry in self.waiting if entry[0] <= self.clock.now()]

    def handle(self, entry: Waiting, *, keep: bool = False) -> None:
        """Handle one message; it is shown again later if that fails, or if it is to be kept."""
        if not keep:
            self.waiting.remove(entry)
        if not _works(partial(self.do, entry[1])):
            self.waiting.append((self.clock.now() + VISIBLE_AGAIN, entry[1]))

    def do(self, message: Message) -> object:
        """Do what a message says."""
        match message:
            case PublishTarget():
                return self.publisher.publish(
                    message.post_id, message.target_id, message.workflow_id
                )
            case ResolveTarget():
                return self.publisher.resolve(message.post_id, message.target_id, message.claim_id)
            case QueuedDelivery():
                return self.deliver(message.endpoint_id, message.delivery_id, message.lane)
            case post_id, event_id:
                return self.fan_out(post_id, event_id)

    def drain_messages(self, *, publishing: bool = True) -> None:
        """Handle what waits now, but for publishing if that is not wanted."""
        while entries := [
            entry
            for entry in self.ready()
            if publishing or not isinstance(entry[1], PublishTarget | ResolveTarget)
        ]:
            self.handle(entries[0])

    def drain(self, *, until: datetime | None = None) -> None:
        """Let time pass, with all in order again, until nothing is left to be done.

        Or until a moment has come.
        """
        self.tap = straight
        for _ in range(400):
            self.fire_due()
            if self.run_queues():
                continue
            moment = self._next_moment()
            if moment is None or (until is not None and max(moment, self.clock.now()) >= until):
                return
            now = self.clock.now()
            self.clock.at = max(moment, now) + A_SECOND
            self.reconcile()
            if moment < now:
                # Due for longer already: it is looked at again every minute.
                self.advance(A_MINUTE)
        raise AssertionError("the service never comes to rest")

    def _next_moment(self) -> datetime | None:
        moments = [
            *(arming.at for arming in self.schedules.armed.values()),
            *(post.attention_at for post in self.posts._posts.values()),
            *(entry[0] for entry in self.waiting),
            *(delivery.due_at for delivery in self.webhooks._deliveries.values()),
            *(endpoint.due_at for endpoint in self.webhooks._endpoints.values()),
            *(work.due_at for work in self.world.disconnections.works.values()),
            *(
                event.pending_since + timedelta(seconds=30)
                for event in self.all_events()
                if event.pending_since is not None
            ),
        ]
        return min((moment for moment in moments if moment is not None), default=None)

    def all_events(self) -> list[Event]:
        """Return every event there is."""
        return [event for subject in self.posts._events for event in self.posts.timeline(subject)]

    # What must hold

    def check(self, *, at_rest: bool = True) -> None:
        """Assert everything that the service promises; most of it only once it is at rest."""
        self._check_promises()
        self._check_history()
        for post_id in self.posts._posts:
            self._check_post(self.post(post_id))
            if at_rest:
                self._check_end(self.post(post_id))
        if at_rest:
            self._check_events()

    def _check_promises(self) -> None:
        sent = self.watched.sent
        begun_anew = self._begun_anew()
        anew = Counter(target_id for target_id, _ in begun_anew)
        for target_id, times in Counter(sent).items():
            assert times <= 1 + anew[target_id], "a target was sent to its platform twice"
        assert all(count == 1 for count in self.platform.publishes.values())
        for promise in self.promises:
            ended = {target_id for target_id, version in begun_anew if version > promise.version}
            late = (promise.target_ids - ended) & set(sent[promise.sent_before :])
            assert not late, "a target was published after it was reported canceled"
            public = (promise.over_ids - ended) & self.platform.posts.keys()
            assert not public, "a target that is public was reported canceled"
            for target_id in promise.target_ids - ended:
                target = self.post(promise.post_id).target(target_id)
                assert target is None or target.status is TargetStatus.CANCELED

    def _begun_anew(self) -> list[tuple[str, int]]:
        """Return the targets that clients had put on the clock again, with the versions reached."""
        return [
            (old.id, change.after.version)
            for change in self.changes
            for old, new in _pairs(change)
            if new is not None and _has_begun_anew(old, new)
        ]

    def _check_history(self) -> None:
        for change, act in zip(self.changes, self.acts, strict=True):
            before, after = change.before, change.after
            assert _expected_events(before, after) == [event.type for event in change.events]
            if before is None:
                continue
            assert after.version > before.version
            if before.deleted_at is not None:
                assert after.deleted_at == before.deleted_at
            if after.pending_workflow_id not in {None, before.pending_workflow_id}:
                assert act in _ARMING
                assert after.generation == before.generation + 1
                assert _expected_telling(before) is after.pending_event
            for old, new in _pairs(change):
                _check_target(old, new, act)
                if old.status is TargetStatus.CANCELED and new not in {None, old}:
                    assert act == "edit" or before.status is PostStatus.CANCELED, (
                        "a target that was cancelled by itself was put on the clock again"
                    )
                if after.deleted_at is not None and new is not None:
                    assert old.status is new.status or new.status not in _ALIVE

    def _check_post(self, post: Post) -> None:
        for target in post.targets:
            if target.status is TargetStatus.CANCELED:
                assert target.workflow_id is None
            if target.status is TargetStatus.PUBLISHED:
                assert target.external_post_id is not None
        if post.status is PostStatus.CANCELED:
            assert post.workflow_id is None
            assert post.pending_workflow_id is None
            assert post.canceled_at is not None
            assert not {TargetStatus.SCHEDULED, TargetStatus.DRAFT} & _statuses(post)
        else:
            assert post.canceled_at is None
        if post.status is PostStatus.SCHEDULED:
            assert (post.workflow_id is None) != (post.pending_workflow_id is None)
            assert TargetStatus.SCHEDULED in _statuses(post)
        if post.status is PostStatus.PUBLISHING and post.deleted_at is None:
            assert post.workflow_id is not None
        if post.status not in {PostStatus.SCHEDULED, PostStatus.PUBLISHING}:
            assert (post.workflow_id, post.pending_workflow_id) == (None, None)
            assert TargetStatus.SCHEDULED not in _statuses(post)
        if post.status not in {PostStatus.DRAFT, PostStatus.NEEDS_APPROVAL}:
            assert TargetStatus.DRAFT not in _statuses(post)
        if post.deleted_at is not None:
            assert (post.workflow_id, post.pending_workflow_id) == (None, None)
            assert TargetStatus.SCHEDULED not in _statuses(post)

    def _check_end(self, post: Post) -> None:
        still = {PostStatus.DRAFT, PostStatus.NEEDS_APPROVAL}
        assert not {TargetStatus.SCHEDULED, TargetStatus.PUBLISHING} & _statuses(post)
        assert post.attention_at is None
        if post.deleted_at is None:
            assert post.status not in {PostStatus.SCHEDULED, PostStatus.PUBLISHING}
        if post.status not in still | {PostStatus.CANCELED} and post.deleted_at is None:
            assert post.status is lifecycle.derive(post.targets)
        for target in post.targets:
            if target.status is TargetStatus.FAILED:
                assert target.error_code is not None
                assert target.error_message

    def _check_events(self) -> None:
        for event in self.all_events():
            assert event.pending_since is None, "an event never left the outbox"
            for endpoint in self.webhooks.endpoints(event.workspace_id):
                self._check_delivered(event, endpoint)

    def _check_delivered(self, event: Event, endpoint: Endpoint) -> None:
        mine = [
            delivery
            for delivery in self.webhooks._deliveries.values()
            if (delivery.event_id, delivery.endpoint_id) == (event.id, endpoint.id)
        ]
        assert len(mine) == 1, "an event has one delivery for each endpoint"
        assert mine[0].status is DeliveryStatus.DELIVERED
        body = [r.body for r in self.sender.requests if mine[0].id.encode() in r.body]
        assert body, "a delivery that nobody received"


def _works(call: Callable[[], object]) -> bool:
    try:
        call()
    except PostbreezeError:
        return False
    return True


def _told(targets: Sequence[Mapping[str, Any]], outcome: str) -> frozenset[str]:
    return frozenset(str(target["id"]) for target in targets if target["outcome"] == outcome)


def _taken(given: dict[str, Any], *names: str) -> dict[str, Any]:
    """Take these out of what is given."""
    return {name: given.pop(name) for name in names if name in given}


def _delay(message: PublishTarget | ResolveTarget | QueuedDelivery) -> timedelta:
    seconds = 0 if isinstance(message, ResolveTarget) else message.delay_seconds
    assert 0 <= seconds <= 900, "no queue can hold a message back that long"
    return timedelta(seconds=seconds)


def _statuses(post: Post) -> set[TargetStatus]:
    return {target.status for target in post.targets}


def _settled_part(target: Target) -> Target:
    return replace(
        target,
        first_comment_error=None,
        first_comment_attempt=0,
        first_comment_retried_at=None,
        revision=0,
        updated_at=target.created_at,
    )


_ENDINGS = {
    PostStatus.PUBLISHED: EventType.POST_PUBLISHED,
    PostStatus.PARTIALLY_PUBLISHED: EventType.POST_PARTIALLY_PUBLISHED,
    PostStatus.FAILED: EventType.POST_FAILED,
    PostStatus.CANCELED: EventType.POST_CANCELLED,
}


def _expected_events(before: Post | None, after: Post) -> list[EventType]:
    """Tell from two states of a post, without the lifecycle's help, what must be announced."""
    if before is None:
        return [EventType.POST_CREATED]
    expected = []
    if before.pending_workflow_id is not None and after.workflow_id == before.pending_workflow_id:
        assert before.pending_event is not None
        expected.append(before.pending_event)
    chosen = any(
        new is not None and _is_stopped(old, new)
        for old in before.targets
        for new in (after.target(old.id),)
    )
    if chosen and PostStatus.CANCELED not in (before.status, after.status):
        expected.append(EventType.POST_TARGETS_CANCELLED)
    if after.status is not before.status and after.status in _ENDINGS:
        expected.append(_ENDINGS[after.status])
    if before.deleted_at is None and after.deleted_at is not None:
        expected.append(EventType.POST_DELETED)
    return expected


def _is_stopped(old: Target, new: Target) -> bool:
    """Tell whether a cancel stopped a target; one in flight is stopped when it comes back."""
    if old.status in {TargetStatus.PUBLISHING, new.status}:
        return False
    may_be_public = new.status is TargetStatus.FAILED and new.workflow_id is None
    return new.status is TargetStatus.CANCELED or may_be_public


def _expected_telling(before: Post) -> EventType:
    """Tell what is to be announced of a new arming: who was told of a time is told of another."""
    was_told = before.workflow_id is not None
    is_being_told = before.pending_event is EventType.POST_RESCHEDULED
    return EventType.POST_RESCHEDULED if was_told or is_being_told else EventType.POST_SCHEDULED


_ARMING = frozenset({"schedule", "approve", "edit"})
_ALIVE = frozenset({TargetStatus.SCHEDULED, TargetStatus.PUBLISHING})
_WAITING = frozenset({TargetStatus.DRAFT, TargetStatus.SCHEDULED})
_MAY_BE_PUBLIC = frozenset({lifecycle.OUTCOME_UNKNOWN, lifecycle.NOT_COMPLETED})
_ENDED = frozenset({TargetStatus.FAILED, TargetStatus.CANCELED, TargetStatus.SKIPPED})


def _pairs(change: Change) -> list[tuple[Target, Target | None]]:
    """Return each target as it was, and as it is, if it still is."""
    if change.before is None:
        return []
    return [(old, change.after.target(old.id)) for old in change.before.targets]


def _has_begun_anew(old: Target, new: Target) -> bool:
    return old.status in _ENDED and new.status in _WAITING


def _check_target(old: Target, new: Target | None, act: str) -> None:
    may_be_public = old.error_code in _MAY_BE_PUBLIC
    if new is None:
        assert act == "edit", f"a target was removed by {act}"
        assert old.status in _WAITING | {TargetStatus.FAILED, TargetStatus.CANCELED}
        assert not may_be_public, "a target that may be public was forgotten"
        return
    assert old.social_account_id == new.social_account_id
    if old.status is TargetStatus.PUBLISHED:
        assert _settled_part(new) == _settled_part(old), "a published target changed"
    if old.status is TargetStatus.PUBLISHING and new != old:
        assert act == "service", "a target in flight was touched"
    if old.status is TargetStatus.SKIPPED and new != old:
        assert may_be_public
        assert act == "edit"
    if new.status is TargetStatus.PUBLISHING:
        assert old.status in _ALIVE
    if _has_begun_anew(old, new):
        assert act in _ARMING | {"retry"}, f"a target was put on the clock again by {act}"
        if old.status is TargetStatus.CANCELED:
            assert act != "retry"
    if may_be_public and new.status is not TargetStatus.PUBLISHED:
        assert new.status is not TargetStatus.CANCELED
        assert new.error_code in _MAY_BE_PUBLIC
