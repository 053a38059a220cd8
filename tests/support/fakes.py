"""Ports kept in memory, as strict as the real ones and safe to use from many threads.

Every fake has ``calls``, which counts the calls of each method.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import wraps
from hashlib import sha256
from typing import Any, Concatenate, ParamSpec, TypeVar

from postbreeze.domain.access import ApiKey, Member, Workspace
from postbreeze.domain.changes import ArmSchedule, Change, PublishTarget, ResolveTarget
from postbreeze.domain.errors import LostRaceError, SecretUnreadableError
from postbreeze.domain.events import Event
from postbreeze.domain.post import Post, SocialAccount, Target
from postbreeze.domain.webhook import Delivery, Endpoint
from postbreeze.operations.ports import (
    AccessLostError,
    AnswerExistsError,
    MembershipGuard,
    StoredAnswer,
)

START = datetime(2026, 6, 1, 9, tzinfo=UTC)
"""The moment at which every test begins unless it says otherwise."""


class Counting:
    """Counts calls, and lets only one through at a time."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.lock = threading.RLock()


_Fake = TypeVar("_Fake", bound=Counting)
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


def counted(
    method: Callable[Concatenate[_Fake, _Given], _Result],
) -> Callable[Concatenate[_Fake, _Given], _Result]:
    @wraps(method)
    def call(self: _Fake, /, *given: _Given.args, **named: _Given.kwargs) -> _Result:
        with self.lock:
            self.calls[method.__name__] += 1
            return method(self, *given, **named)

    return call


class FakeClock(Counting):
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime = START) -> None:
        super().__init__()
        self.at = at

    @counted
    def now(self) -> datetime:
        return self.at

    def advance(self, by: timedelta | None = None, **amount: float) -> datetime:
        """Move on, as in ``advance(seconds=5)``, and return the new moment."""
        with self.lock:
            self.at += by if by is not None else timedelta(**amount)
            return self.at


class FakeRandomness(Counting):
    """The same unpredictable values in every run."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self._random = random.Random(seed)

    @counted
    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)

    @counted
    def fraction(self) -> float:
        return self._random.random()


class FakeTogether(Counting):
    """Runs calls one after another, in order; time never passes."""

    @counted
    def run(self, *calls: Callable[[], Any]) -> tuple[Any, ...]:
        results: list[Any] = []
        first: Exception | None = None
        for call in calls:
            try:
                results.append(call())
            except Exception as error:  # noqa: BLE001  # raised below, after all have ended
                first = first or error
        if first is not None:
            raise first
        return tuple(results)

    @counted
    def attempt(self, *calls: Callable[[], None], seconds: float) -> Sequence[Exception | None]:
        outcomes: list[Exception | None] = []
        for call in calls:
            try:
                call()
            except Exception as error:  # noqa: BLE001  # returned
                outcomes.append(error)
            else:
                outcomes.append(None)
        return tuple(outcomes)


@dataclass(frozen=True)
class Noted:
    """A line of the log."""

    message: str
    fields: Mapping[str, object]


class FakeTelemetry(Counting):
    """Keeps what operators would see."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[Noted] = []
        self.warnings: list[Noted] = []
        self.counts: Counter[str] = Counter()

    def note(self, message: str, **fields: object) -> None:
        with self.lock:
            self.calls["note"] += 1
            self.notes.append(Noted(message, fields))

    def warn(self, message: str, **fields: object) -> None:
        with self.lock:
            self.calls["warn"] += 1
            self.warnings.append(Noted(message, fields))

    def count(self, metric: str, value: int = 1) -> None:
        with self.lock:
            self.calls["count"] += 1
            self.counts[metric] += value


class FakeWorkspaces(Counting):
    """The workspaces table: a ``Directory`` and a ``Registry`` in one."""

    def __init__(self) -> None:
        super().__init__()
        self._workspaces: dict[str, Workspace] = {}
        self._members: dict[tuple[str, str], Member] = {}
        self._keys: dict[str, ApiKey] = {}
        self._accounts: dict[str, SocialAccount] = {}

    @counted
    def key(self, digest: str) -> ApiKey | None:
        return self._keys.get(digest)

    @counted
    def member(self, workspace_id: str, user_id: str) -> Member | None:
        return self._members.get((workspace_id, user_id))

    @counted
    def workspace_of_account(self, account_id: str) -> str | None:
        account = self._accounts.get(account_id)
        return None if account is None else account.workspace_id

    @counted
    def account(self, workspace_id: str, account_id: str) -> SocialAccount | None:
        return self._account_in(workspace_id, account_id)

    @counted
    def member_and_accounts(
        self, workspace_id: str, user_id: str, account_ids: Collection[str]
    ) -> tuple[Member | None, Mapping[str, SocialAccount]]:
        if len(set(account_ids)) > 99:
            raise ValueError("at most 100 rows can be read together")
        found = {
            account_id: account
            for account_id in account_ids
            if (account := self._account_in(workspace_id, account_id)) is not None
        }
        return self._members.get((workspace_id, user_id)), found

    @counted
    def add_workspace(self, workspace: Workspace) -> None:
        _add(self._workspaces, workspace.id, workspace)

    @counted
    def workspace(self, workspace_id: str) -> Workspace | None:
        return self._workspaces.get(workspace_id)

    @counted
    def put_member(self, member: Member) -> None:
        self._members[member.workspace_id, member.user_id] = member

    @counted
    def remove_member(self, workspace_id: str, user_id: str) -> None:
        self._members.pop((workspace_id, user_id), None)

    @counted
    def add_key(self, key: ApiKey) -> None:
        _add(self._keys, key.digest, key)

    @counted
    def keys_of(self, owner_user_id: str) -> Sequence[ApiKey]:
        found = [key for key in self._keys.values() if key.owner_user_id == owner_user_id]
        return sorted(found, key=lambda key: (key.created_at, key.id))

    @counted
    def replace_key(self, key: ApiKey, *, expected_revision: int) -> None:
        _replace(self._keys, key.digest, key, expected_revision)

    @counted
    def add_account(self, account: SocialAccount) -> None:
        _add(self._accounts, account.id, account)

    @counted
    def accounts(self, workspace_id: str) -> Sequence[SocialAccount]:
        found = [each for each in self._accounts.values() if each.workspace_id == workspace_id]
        return sorted(found, key=lambda account: account.id)

    @counted
    def replace_account(self, account: SocialAccount, *, expected_revision: int) -> None:
        if self._account_in(account.workspace_id, account.id) is None:
            raise LostRaceError("the account is not in that workspace")
        _replace(self._accounts, account.id, account, expected_revision)

    def _account_in(self, workspace_id: str, account_id: str) -> SocialAccount | None:
        account = self._accounts.get(account_id)
        return account if account is not None and account.workspace_id == workspace_id else None


class FakePostStore(Counting):
    """The posts table. Members, for guards, are those of ``workspaces``."""

    def __init__(self, workspaces: FakeWorkspaces, clock: FakeClock) -> None:
        super().__init__()
        # One lock for both tables: a commit's guard is part of its transaction.
        self.lock = workspaces.lock
        self._workspaces = workspaces
        self._clock = clock
        self._posts: dict[str, Post] = {}
        self._order: dict[str, tuple[str, ...]] = {}
        self._targets: dict[str, Target] = {}
        self._events: dict[str, dict[str, Event]] = {}
        self._answers: dict[tuple[str, str], StoredAnswer] = {}
        self.expiries: dict[str, datetime] = {}
        """When each event that was fanned out expires, by its id."""

    @counted
    def read(self, post_id: str) -> Post | None:
        return self._read(post_id)

    @counted
    def commit(
        self,
        change: Change,
        *,
        guard: MembershipGuard | None = None,
        answer: StoredAnswer | None = None,
    ) -> None:
        if answer is not None:
            standing = self._answers.get((answer.key_digest, answer.idempotency_key))
            if standing is not None and standing.expires_at > self._clock.at:
                raise AnswerExistsError(standing)
        if guard is not None:
            member = self._workspaces.member(guard.workspace_id, guard.user_id)
            if member is None or member.role not in guard.roles:
                raise AccessLostError("the guard does not hold")
        if not self._is_as_read(change):
            raise LostRaceError("a row has changed")
        for write in change.writes:
            if isinstance(write.row, Post):
                self._order[write.row.id] = tuple(target.id for target in write.row.targets)
                self._posts[write.row.id] = replace(write.row, targets=())
            else:
                self._targets[write.row.id] = write.row
        for event in change.events:
            self._events.setdefault(event.post_id, {})[event.id] = event
        if answer is not None:
            self._answers[answer.key_digest, answer.idempotency_key] = answer

    @counted
    def answer(self, key_digest: str, idempotency_key: str) -> StoredAnswer | None:
        stored = self._answers.get((key_digest, idempotency_key))
        return stored if stored is not None and stored.expires_at > self._clock.at else None

    @counted
    def complete(self, answer: StoredAnswer) -> None:
        key = (answer.key_digest, answer.idempotency_key)
        if _is_running_for(self._answers.get(key), answer):
            self._answers[key] = answer

    @counted
    def event(self, post_id: str, event_id: str) -> Event | None:
        return self._events.get(post_id, {}).get(event_id)

    @counted
    def timeline(self, post_id: str) -> Sequence[Event]:
        return sorted(
            self._events.get(post_id, {}).values(),
            key=lambda event: (event.occurred_at, event.version_after, event.id),
        )

    @counted
    def fanned_out(self, event: Event, *, expires_at: datetime) -> None:
        stored = self._events.get(event.post_id, {}).get(event.id)
        if stored is not None and stored.pending_since is not None:
            self._events[event.post_id][event.id] = replace(event, pending_since=None)
            self.expiries[event.id] = expires_at

    @counted
    def due_posts(self, now: datetime, limit: int) -> Sequence[str]:
        due = sorted(
            (post.attention_at, post.id)
            for post in self._posts.values()
            if post.attention_at is not None and post.attention_at <= now
        )
        return [post_id for _, post_id in due[:limit]]

    @counted
    def pending_events(self, before: datetime, limit: int) -> Sequence[tuple[str, str]]:
        pending = sorted(
            (event.pending_since, event.post_id, event.id)
            for events in self._events.values()
            for event in events.values()
            if event.pending_since is not None and event.pending_since < before
        )
        return [(post_id, event_id) for _, post_id, event_id in pending[:limit]]

    def _read(self, post_id: str) -> Post | None:
        post = self._posts.get(post_id)
        if post is None:
            return None
        return replace(post, targets=tuple(self._targets[each] for each in self._order[post_id]))

    def _is_as_read(self, change: Change) -> bool:
        before: dict[str, Post | Target] = {}
        if change.before is not None:
            rows: tuple[Post | Target, ...] = (change.before, *change.before.targets)
            before = {row.id: row for row in rows}
        for write in change.writes:
            stored = self._row(write.row)
            if write.expected_revision is None:
                if stored is not None:
                    return False
            elif not _is_still(stored, before[write.row.id], write.expected_revision):
                return False
        return all(
            _is_still(self._row(check.row), check.row, check.row.revision)
            for check in change.relied_on
        ) and not any(event.id in self._events.get(event.post_id, {}) for event in change.events)

    def _row(self, row: Post | Target) -> Post | Target | None:
        rows: Mapping[str, Post | Target] = self._posts if isinstance(row, Post) else self._targets
        return rows.get(row.id)


def _is_still(stored: Post | Target | None, read: Post | Target, revision: int) -> bool:
    return (
        stored is not None
        and stored.revision == revision
        and stored.status == read.status
        and stored.workflow_id == read.workflow_id
    )


def _is_running_for(stored: StoredAnswer | None, answer: StoredAnswer) -> bool:
    return (
        stored is not None
        and stored.status is None
        and stored.request_digest == answer.request_digest
        and stored.post_id == answer.post_id
    )


class FakeWebhookStore(Counting):
    """The webhooks table."""

    def __init__(self) -> None:
        super().__init__()
        self._endpoints: dict[tuple[str, str], Endpoint] = {}
        self._deliveries: dict[tuple[str, str], Delivery] = {}

    @counted
    def add_endpoint(self, endpoint: Endpoint) -> None:
        _add(self._endpoints, (endpoint.workspace_id, endpoint.id), endpoint)

    @counted
    def endpoints(self, workspace_id: str) -> Sequence[Endpoint]:
        found = [each for each in self._endpoints.values() if each.workspace_id == workspace_id]
        return sorted(found, key=lambda endpoint: endpoint.id)

    @counted
    def endpoint(self, workspace_id: str, endpoint_id: str) -> Endpoint | None:
        return self._endpoints.get((workspace_id, endpoint_id))

    @counted
    def replace_endpoint(self, endpoint: Endpoint, *, expected_revision: int) -> None:
        key = (endpoint.workspace_id, endpoint.id)
        _replace(self._endpoints, key, endpoint, expected_revision)

    @counted
    def add_delivery(self, delivery: Delivery) -> bool:
        key = (delivery.endpoint_id, delivery.id)
        if key in self._deliveries:
            return False
        self._deliveries[key] = delivery
        return True

    @counted
    def delivery(self, endpoint_id: str, delivery_id: str) -> Delivery | None:
        return self._deliveries.get((endpoint_id, delivery_id))

    @counted
    def deliveries(self, endpoint_id: str, limit: int) -> Sequence[Delivery]:
        found = [each for each in self._deliveries.values() if each.endpoint_id == endpoint_id]
        return sorted(found, key=lambda delivery: delivery.id, reverse=True)[:limit]

    @counted
    def replace_delivery(self, delivery: Delivery, *, expected_revision: int) -> None:
        key = (delivery.endpoint_id, delivery.id)
        _replace(self._deliveries, key, delivery, expected_revision)

    @counted
    def due_deliveries(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        due = sorted(
            (delivery.due_at, delivery.endpoint_id, delivery.id)
            for delivery in self._deliveries.values()
            if delivery.due_at is not None and delivery.due_at <= now
        )
        return [(endpoint_id, delivery_id) for _, endpoint_id, delivery_id in due[:limit]]


class FakeSchedules(Counting):
    """A schedule group; nothing fires by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.armed: dict[str, ArmSchedule] = {}
        """What would fire, by workflow id."""

    @counted
    def arm(self, arming: ArmSchedule) -> None:
        self.armed.setdefault(arming.workflow_id, arming)

    @counted
    def disarm(self, workflow_id: str) -> None:
        self.armed.pop(workflow_id, None)


class FakeEventBus(Counting):
    """A topic with no subscriber but the test."""

    def __init__(self) -> None:
        super().__init__()
        self.announced: list[tuple[str, str]] = []
        """(post id, event id), in order."""

    @counted
    def announce(self, post_id: str, event_id: str) -> None:
        self.announced.append((post_id, event_id))


class FakePublishQueue(Counting):
    """A queue that nobody reads but the test."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[PublishTarget | ResolveTarget] = []

    @counted
    def send(self, messages: Sequence[PublishTarget | ResolveTarget]) -> None:
        self.sent.extend(messages)


@dataclass(frozen=True, kw_only=True)
class QueuedDelivery:
    """A message to a deliverer."""

    endpoint_id: str
    delivery_id: str
    delay_seconds: int = 0


class FakeDeliveryQueue(Counting):
    """A queue that nobody reads but the test."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[QueuedDelivery] = []

    @counted
    def send(self, endpoint_id: str, delivery_id: str, *, delay_seconds: int = 0) -> None:
        self.sent.append(
            QueuedDelivery(
                endpoint_id=endpoint_id, delivery_id=delivery_id, delay_seconds=delay_seconds
            )
        )


class FakeSecretBox(Counting):
    """Seals by turning bytes around beside a digest of key and context: wrong ones are noticed."""

    def __init__(self, key: str = "key") -> None:
        super().__init__()
        self._key = key

    @counted
    def seal(self, plaintext: str, context: Mapping[str, str]) -> bytes:
        encoded = plaintext.encode()
        if not 0 < len(encoded) <= 4096:
            raise ValueError("a secret takes 1 to 4096 bytes")
        return self._seal_of(context, encoded) + bytes(byte ^ 0xFF for byte in encoded)

    @counted
    def open(self, sealed: bytes, context: Mapping[str, str]) -> str:
        seal, hidden = sealed[:32], sealed[32:]
        encoded = bytes(byte ^ 0xFF for byte in hidden)
        if seal != self._seal_of(context, encoded):
            raise SecretUnreadableError("a secret does not open")
        return encoded.decode()

    def _seal_of(self, context: Mapping[str, str], encoded: bytes) -> bytes:
        bound = json.dumps([self._key, dict(sorted(context.items()))])
        return sha256(bound.encode() + b"\x00" + encoded).digest()


@dataclass(kw_only=True)
class World:
    """All fakes of one test, over one clock."""

    clock: FakeClock = field(default_factory=FakeClock)
    randomness: FakeRandomness = field(default_factory=FakeRandomness)
    together: FakeTogether = field(default_factory=FakeTogether)
    telemetry: FakeTelemetry = field(default_factory=FakeTelemetry)
    workspaces: FakeWorkspaces = field(default_factory=FakeWorkspaces)
    webhooks: FakeWebhookStore = field(default_factory=FakeWebhookStore)
    schedules: FakeSchedules = field(default_factory=FakeSchedules)
    bus: FakeEventBus = field(default_factory=FakeEventBus)
    publish_queue: FakePublishQueue = field(default_factory=FakePublishQueue)
    delivery_queue: FakeDeliveryQueue = field(default_factory=FakeDeliveryQueue)
    secrets: FakeSecretBox = field(default_factory=FakeSecretBox)
    posts: FakePostStore = field(init=False)

    def __post_init__(self) -> None:
        self.posts = FakePostStore(self.workspaces, self.clock)


_Key = TypeVar("_Key")
_Stored = TypeVar("_Stored", Workspace, ApiKey, SocialAccount, Endpoint, Delivery)


def _add(rows: dict[_Key, _Stored], key: _Key, row: _Stored) -> None:
    if key in rows:
        raise LostRaceError("the row exists")
    rows[key] = row


def _replace(rows: dict[_Key, _Stored], key: _Key, row: _Stored, expected_revision: int) -> None:
    stored = rows.get(key)
    if stored is None or stored.revision != expected_revision:
        raise LostRaceError("the row has changed")
    rows[key] = row
