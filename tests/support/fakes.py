"""Ports kept in memory, as strict as the real ones and safe to use from many threads.

Every fake has ``calls``, which counts the calls of each method.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import wraps
from hashlib import sha256
from io import BytesIO
from typing import Any, BinaryIO, Concatenate, ParamSpec, TypeVar

from postbreeze.domain import rate_limits
from postbreeze.domain.access import ApiKey, Member, Role, Workspace
from postbreeze.domain.changes import ArmSchedule, Change, PublishTarget, ResolveTarget
from postbreeze.domain.disconnection import Disconnecting, Disconnection
from postbreeze.domain.endpoint_health import Health
from postbreeze.domain.errors import (
    LostRaceError,
    PlanLimitError,
    RateLimitedError,
    SecretUnreadableError,
)
from postbreeze.domain.events import Event
from postbreeze.domain.listing import spot_of
from postbreeze.domain.media import UPLOAD_TIME, Asset, AssetStatus
from postbreeze.domain.post import (
    Post,
    PostStatus,
    SocialAccount,
    Spot,
    Target,
    TargetStatus,
    needed_assets,
)
from postbreeze.domain.rate_limits import Standing, Tally
from postbreeze.domain.webhook import Delivery, DeliveryStatus, Endpoint, Lane
from postbreeze.operations.media.ports import (
    AssetPage,
    FetchedFile,
    FetchError,
    StoredObject,
    Upload,
)
from postbreeze.operations.ports import (
    AccessLostError,
    AnswerExistsError,
    AssetLostError,
    DeliveryFilter,
    MembershipGuard,
    MovedPost,
    Place,
    Quota,
    StoredAnswer,
    Work,
)
from postbreeze.operations.webhook_ports import DeliveryPage, Destination

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

    def __init__(
        self,
        clock: FakeClock | None = None,
        meter: Callable[[Standing], None] | None = None,
    ) -> None:
        super().__init__()
        self._clock = clock or FakeClock()
        self.meter = meter
        self._tallies: dict[str, Tally] = {}
        self._workspaces: dict[str, Workspace] = {}
        self._members: dict[tuple[str, str], Member] = {}
        self._keys: dict[str, ApiKey] = {}
        self._accounts: dict[str, SocialAccount] = {}

    @counted
    def admit(self, digest: str) -> ApiKey | None:
        now = self._clock.at
        key = self._keys.get(digest)
        if key is None or not key.is_usable(now):
            return key
        tally = rate_limits.tally_at(now, key, self._tallies.get(digest))
        if not tally.is_full:
            self._tallies[digest] = tally.after_one()
        standing = rate_limits.standing(key, self._tallies.get(digest, tally))
        if self.meter is not None:
            self.meter(standing)
        if tally.is_full:
            raise RateLimitedError(rate_limits.milliseconds_until(now, standing))
        return key

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
    ) -> Place:
        if len(set(account_ids)) > 98:
            raise ValueError("at most 100 rows can be read together")
        found = {
            account_id: account
            for account_id in account_ids
            if (account := self._account_in(workspace_id, account_id)) is not None
        }
        return Place(
            member=self._members.get((workspace_id, user_id)),
            workspace=self._workspaces.get(workspace_id),
            accounts=found,
        )

    @counted
    def memberships(self, user_id: str) -> Sequence[Member]:
        found = [each for each in self._members.values() if each.user_id == user_id]
        return sorted(found, key=lambda member: member.workspace_id)

    @counted
    def owner(self, workspace_id: str) -> str | None:
        owners = [
            each
            for each in self._members.values()
            if each.workspace_id == workspace_id and each.role is Role.OWNER
        ]
        ordered = sorted(owners, key=lambda each: (each.created_at, each.user_id))
        return ordered[0].user_id if ordered else None

    @counted
    def workspaces(self, workspace_ids: Collection[str]) -> Mapping[str, Workspace]:
        return {each: self._workspaces[each] for each in workspace_ids if each in self._workspaces}

    @counted
    def add_workspace(self, workspace: Workspace) -> None:
        _add(self._workspaces, workspace.id, workspace)

    @counted
    def workspace(self, workspace_id: str) -> Workspace | None:
        return self._workspaces.get(workspace_id)

    @counted
    def replace_workspace(self, workspace: Workspace, *, expected_revision: int) -> None:
        _replace(self._workspaces, workspace.id, workspace, expected_revision)

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
        self._tallies.pop(key.digest, None)

    @counted
    def add_account(self, account: SocialAccount) -> None:
        for known in self._accounts.values():
            if _known_as(known) == _known_as(account):
                raise LostRaceError("the workspace has another account of that external id")
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


class FakeAssetStore(Counting):
    """The media table."""

    def __init__(self) -> None:
        super().__init__()
        self._assets: dict[str, Asset] = {}
        self.naming: dict[str, set[str]] = {}
        """The posts that have needed each asset, by the asset's id."""

    @counted
    def add(self, asset: Asset) -> None:
        self._assets[asset.id] = asset

    @counted
    def asset(self, asset_id: str) -> Asset | None:
        return self._assets.get(asset_id)

    @counted
    def assets(self, asset_ids: Collection[str]) -> Mapping[str, Asset]:
        if len(set(asset_ids)) > 100:
            raise ValueError("at most 100 rows can be read together")
        return {each: self._assets[each] for each in asset_ids if each in self._assets}

    @counted
    def replace(self, asset: Asset, *, expected_revision: int) -> None:
        _replace(self._assets, asset.id, asset, expected_revision)

    @counted
    def remove(self, asset_id: str) -> None:
        self._assets.pop(asset_id, None)

    @counted
    def page(self, workspace_id: str, *, limit: int, before: str | None) -> AssetPage:
        found = sorted(
            (
                asset
                for asset in self._assets.values()
                if asset.workspace_id == workspace_id and (before is None or asset.id < before)
            ),
            key=lambda asset: asset.id,
            reverse=True,
        )
        shown = tuple(found[:limit])
        return AssetPage(assets=shown, next_before=shown[-1].id if len(found) > limit else None)

    @counted
    def posts_naming(self, asset_id: str, *, limit: int, after: str | None) -> Sequence[str]:
        naming = sorted(self.naming.get(asset_id, ()))
        return [each for each in naming if after is None or each > after][:limit]

    @counted
    def forget(self, asset_id: str, post_ids: Collection[str]) -> None:
        self.naming.get(asset_id, set()).difference_update(post_ids)

    def note(self, asset_id: str, post_id: str) -> None:
        """Note that a post has come to need an asset."""
        self.naming.setdefault(asset_id, set()).add(post_id)

    def is_ready(self, asset_id: str, workspace_id: str) -> bool:
        """Tell whether a post of that workspace may come to need the asset."""
        asset = self._assets.get(asset_id)
        return (
            asset is not None
            and asset.status is AssetStatus.READY
            and asset.workspace_id == workspace_id
        )


class FakeStorage(Counting):
    """A bucket."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        super().__init__()
        self._clock = clock or FakeClock()
        self.objects: dict[str, tuple[bytes, str]] = {}
        """What is there, with its content type, by key."""
        self.kept: set[str] = set()
        """The keys of what does not expire."""

    def address(self, key: str) -> str:
        return f"https://bucket.test/{key}"

    @counted
    def upload(self, key: str, *, content_type: str, size_bytes: int | None) -> Upload:
        length = {} if size_bytes is None else {"Content-Length": str(size_bytes)}
        return Upload(
            url=f"{self.address(key)}?signature",
            headers={"Content-Type": content_type, **length},
            expires_at=self._clock.at + UPLOAD_TIME,
        )

    @counted
    def put(self, key: str, body: BinaryIO, *, content_type: str, size_bytes: int) -> None:
        content = body.read()
        if len(content) != size_bytes:
            raise ValueError("the body has another size")
        self.objects[key] = (content, content_type)
        self.kept.discard(key)

    @counted
    def head(self, key: str) -> StoredObject | None:
        if key not in self.objects:
            return None
        content, content_type = self.objects[key]
        return StoredObject(content_type=content_type, size_bytes=len(content))

    @counted
    def keep(self, key: str) -> None:
        self.kept.add(key)

    @counted
    def delete(self, key: str) -> None:
        self.objects.pop(key, None)
        self.kept.discard(key)


class FakeFileSource(Counting):
    """The internet."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, tuple[bytes, str]] = {}
        """What is at each address, with its content type."""

    @contextmanager
    def fetch(self, url: str) -> Iterator[FetchedFile]:
        with self.lock:
            self.calls["fetch"] += 1
            found = self.files.get(url)
        if found is None:
            raise FetchError("The server answered with status 404 instead of 200.")
        content, content_type = found
        with BytesIO(content) as body:
            yield FetchedFile(body=body, content_type=content_type, size_bytes=len(content))


def _known_as(account: SocialAccount) -> tuple[str, str, str]:
    return account.workspace_id, account.platform, account.external_account_id


class FakePostStore(Counting):
    """The posts table. Members, for guards, are those of ``workspaces``."""

    def __init__(
        self,
        workspaces: FakeWorkspaces,
        clock: FakeClock,
        assets: FakeAssetStore | None = None,
    ) -> None:
        super().__init__()
        # One lock for both tables: a commit's guard is part of its transaction.
        self.lock = workspaces.lock
        self._assets = assets or FakeAssetStore()
        self._assets.lock = self.lock
        self._workspaces = workspaces
        self._clock = clock
        self._posts: dict[str, Post] = {}
        self._order: dict[str, tuple[str, ...]] = {}
        self._targets: dict[str, Target] = {}
        self._events: dict[str, dict[str, Event]] = {}
        self._answers: dict[tuple[str, str], StoredAnswer] = {}
        self.usage: Counter[tuple[str, str]] = Counter()
        """How many posts were counted, by workspace and month."""
        self.expiries: dict[str, datetime] = {}
        """When each event that was fanned out expires, by its id."""

    @counted
    def read(self, post_id: str) -> Post | None:
        return self._read(post_id)

    @counted
    def read_many(self, post_ids: Collection[str]) -> Mapping[str, Post]:
        posts = ((post_id, self._read(post_id)) for post_id in post_ids)
        return {post_id: post for post_id, post in posts if post is not None}

    @counted
    def listed(
        self, workspace_id: str, after: Spot, limit: int, status: PostStatus | None = None
    ) -> Sequence[Spot]:
        spots = (
            spot_of(post)
            for post in self._standing(workspace_id)
            if status is None or post.status is status
        )
        return sorted(spot for spot in spots if spot.part is after.part and spot > after)[:limit]

    @counted
    def moved(self, workspace_id: str, since: datetime, limit: int) -> Sequence[MovedPost]:
        found = [
            MovedPost(
                moved_at=post.former_spots[-1].until,
                spot=spot_of(post),
                former_spots=post.former_spots,
            )
            for post in self._standing(workspace_id)
            if post.former_spots and post.former_spots[-1].until > since
        ]
        return sorted(found, key=lambda moved: moved.moved_at, reverse=True)[:limit]

    def _standing(self, workspace_id: str) -> Iterator[Post]:
        for post in self._posts.values():
            if post.workspace_id == workspace_id and post.deleted_at is None:
                yield post

    @counted
    def commit(
        self,
        change: Change,
        *,
        guard: MembershipGuard | None = None,
        answer: StoredAnswer | None = None,
        quota: Quota | None = None,
    ) -> None:
        if answer is not None:
            standing = self._answers.get((answer.key_digest, answer.idempotency_key))
            if standing is not None and standing.expires_at > self._clock.at:
                raise AnswerExistsError(standing)
        check_guard(self._workspaces, guard)
        if quota is not None and self.usage[quota.workspace_id, quota.month] >= quota.limit:
            raise PlanLimitError(quota.limit, self.usage[quota.workspace_id, quota.month])
        has_assets = self._has_assets(change)
        if not self._is_as_read(change):
            raise LostRaceError("a row has changed")
        if not has_assets:
            raise AssetLostError("an asset is not ready")
        if quota is not None:
            self.usage[quota.workspace_id, quota.month] += 1
        self._write(change)
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
        return self._due(now, limit, is_arming=False)

    @counted
    def pending_armings(self, now: datetime, limit: int) -> Sequence[str]:
        return self._due(now, limit, is_arming=True)

    def _due(self, now: datetime, limit: int, *, is_arming: bool) -> Sequence[str]:
        due = sorted(
            (post.attention_at, post.id)
            for post in self._posts.values()
            if post.attention_at is not None
            and post.attention_at <= now
            and (post.pending_workflow_id is not None) is is_arming
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

    def add_event(self, event: Event) -> None:
        """Keep an event that belongs to no change of a post."""
        self._events.setdefault(event.post_id, {})[event.id] = event

    def open_posts(self, account_id: str) -> Sequence[str]:
        """List the posts on which an account has a target that has not begun."""
        return sorted(
            post_id
            for post_id, target_ids in self._order.items()
            for target_id in target_ids
            if self._targets[target_id].social_account_id == account_id
            and self._targets[target_id].status in (TargetStatus.DRAFT, TargetStatus.SCHEDULED)
        )

    def _read(self, post_id: str) -> Post | None:
        post = self._posts.get(post_id)
        if post is None:
            return None
        return replace(post, targets=tuple(self._targets[each] for each in self._order[post_id]))

    def _write(self, change: Change) -> None:
        for write in change.writes:
            if isinstance(write.row, Post):
                self._order[write.row.id] = tuple(target.id for target in write.row.targets)
                self._posts[write.row.id] = replace(write.row, targets=())
            else:
                self._targets[write.row.id] = write.row
        for gone in change.removed:
            del self._targets[gone.id]
        for event in change.events:
            self._events.setdefault(event.post_id, {})[event.id] = event

    def _has_assets(self, change: Change) -> bool:
        needed = needed_assets(change.after) - needed_assets(change.before)
        for asset_id in needed:
            # By itself, and before anything else: it stays whatever becomes of the commit.
            self._assets.note(asset_id, change.after.id)
        return all(self._assets.is_ready(each, change.after.workspace_id) for each in needed)

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
            _is_still(self._row(row), row, row.revision)
            for row in (*(check.row for check in change.relied_on), *change.removed)
        ) and not any(event.id in self._events.get(event.post_id, {}) for event in change.events)

    def _row(self, row: Post | Target) -> Post | Target | None:
        rows: Mapping[str, Post | Target] = self._posts if isinstance(row, Post) else self._targets
        return rows.get(row.id)


class FakeDisconnections(Counting):
    """Disconnects, whose accounts are those of ``workspaces`` and whose events are of ``posts``."""

    def __init__(self, workspaces: FakeWorkspaces, posts: FakePostStore) -> None:
        super().__init__()
        self.lock = workspaces.lock
        self._workspaces = workspaces
        self._posts = posts
        self.works: dict[str, Disconnection] = {}
        """What is left to be done, by account."""

    @counted
    def begin(self, disconnecting: Disconnecting, *, guard: MembershipGuard) -> None:
        check_guard(self._workspaces, guard)
        account, work = disconnecting.account, disconnecting.work
        if work.account_id in self.works:
            raise LostRaceError("an earlier one has not ended")
        self._workspaces.replace_account(account, expected_revision=account.revision - 1)
        self._posts.add_event(disconnecting.event)
        self.works[work.account_id] = work

    @counted
    def work(self, account_id: str) -> Disconnection | None:
        return self.works.get(account_id)

    @counted
    def advance(self, work: Disconnection, *, expected_revision: int) -> None:
        _replace(self.works, work.account_id, work, expected_revision)

    @counted
    def end(self, work: Disconnection) -> None:
        _replace(self.works, work.account_id, work, work.revision)
        del self.works[work.account_id]

    @counted
    def due(self, now: datetime, limit: int) -> Sequence[str]:
        due = sorted((work.due_at, work.account_id) for work in self.works.values())
        return [account_id for at, account_id in due if at <= now][:limit]

    @counted
    def open_posts(self, account_id: str, *, after: str | None, limit: int) -> Sequence[str]:
        found = self._posts.open_posts(account_id)
        return [post_id for post_id in found if after is None or post_id > after][:limit]


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
    """The webhooks table, and the memberships that guard it."""

    def __init__(self, workspaces: FakeWorkspaces) -> None:
        super().__init__()
        self._workspaces = workspaces
        self._endpoints: dict[tuple[str, str], Endpoint] = {}
        self._deliveries: dict[tuple[str, str], Delivery] = {}
        self._healths: dict[str, Health] = {}
        self._paces: dict[str, datetime] = {}

    @counted
    def add_endpoint(self, endpoint: Endpoint, *, guard: MembershipGuard | None = None) -> None:
        check_guard(self._workspaces, guard)
        _add(self._endpoints, (endpoint.workspace_id, endpoint.id), endpoint)

    @counted
    def endpoints(self, workspace_id: str) -> Sequence[Endpoint]:
        found = [each for each in self._endpoints.values() if each.workspace_id == workspace_id]
        return sorted(found, key=lambda endpoint: endpoint.id)

    @counted
    def endpoint(self, workspace_id: str, endpoint_id: str) -> Endpoint | None:
        return self._endpoints.get((workspace_id, endpoint_id))

    @counted
    def workspace_of_endpoint(self, endpoint_id: str) -> str | None:
        return next((where for where, which in self._endpoints if which == endpoint_id), None)

    @counted
    def replace_endpoint(
        self, endpoint: Endpoint, *, expected_revision: int, guard: MembershipGuard | None = None
    ) -> None:
        check_guard(self._workspaces, guard)
        key = (endpoint.workspace_id, endpoint.id)
        _replace(self._endpoints, key, endpoint, expected_revision)

    @counted
    def remove_endpoint(self, endpoint: Endpoint, *, guard: MembershipGuard | None = None) -> None:
        check_guard(self._workspaces, guard)
        key = (endpoint.workspace_id, endpoint.id)
        standing = self._endpoints.get(key)
        if standing is None or standing.revision != endpoint.revision:
            raise LostRaceError("the endpoint has changed")
        del self._endpoints[key]

    @counted
    def destination(self, workspace_id: str, endpoint_id: str) -> Destination | None:
        endpoint = self._endpoints.get((workspace_id, endpoint_id))
        if endpoint is None:
            return None
        return Destination(endpoint=endpoint, health=self._healths.get(endpoint_id))

    @counted
    def replace_health(self, health: Health, *, expected_revision: int) -> None:
        standing = self._healths.get(health.endpoint_id)
        if (0 if standing is None else standing.revision) != expected_revision:
            raise LostRaceError("the health has changed")
        self._healths[health.endpoint_id] = health

    @counted
    def reserve(self, endpoint_id: str, *, now: datetime, interval: timedelta) -> datetime:
        slot = max(now, self._paces.get(endpoint_id, now))
        self._paces[endpoint_id] = slot + interval
        return slot

    @counted
    def due_endpoints(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        due = sorted(
            (endpoint.due_at, endpoint.workspace_id, endpoint.id)
            for endpoint in self._endpoints.values()
            if endpoint.due_at is not None and endpoint.due_at <= now
        )
        return [(workspace_id, endpoint_id) for _, workspace_id, endpoint_id in due[:limit]]

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
    def deliveries(
        self, endpoint_id: str, wanted: DeliveryFilter, *, limit: int, before: str | None = None
    ) -> DeliveryPage:
        found = sorted(
            (
                each
                for each in self._deliveries.values()
                if each.endpoint_id == endpoint_id
                and (before is None or each.id < before)
                and _is_wanted(each, wanted)
            ),
            key=lambda delivery: delivery.id,
            reverse=True,
        )
        return DeliveryPage(
            deliveries=tuple(found[:limit]),
            next_before=found[limit - 1].id if len(found) > limit else None,
        )

    @counted
    def waiting_deliveries(
        self, endpoint_id: str, status: DeliveryStatus, *, since: datetime | None, limit: int
    ) -> Sequence[str]:
        found = sorted(
            (each.created_at, each.id)
            for each in self._deliveries.values()
            if (each.endpoint_id, each.status) == (endpoint_id, status)
            and (since is None or each.created_at >= since)
        )
        return [delivery_id for _, delivery_id in found[:limit]]

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


def check_guard(workspaces: FakeWorkspaces, guard: MembershipGuard | None) -> None:
    if guard is None:
        return
    member = workspaces.member(guard.workspace_id, guard.user_id)
    if member is None or member.role not in guard.roles:
        raise AccessLostError("the guard does not hold")


def _is_wanted(delivery: Delivery, wanted: DeliveryFilter) -> bool:
    return (
        (wanted.statuses is None or delivery.status in wanted.statuses)
        and (wanted.event_type is None or delivery.event_type is wanted.event_type)
        and (wanted.since is None or delivery.created_at >= wanted.since)
        and (wanted.until is None or delivery.created_at < wanted.until)
    )


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
    def announce(self, event: Event) -> None:
        self.announced.append((event.post_id, event.id))

    @counted
    def announce_all(self, events: Sequence[tuple[str, str]]) -> None:
        self.announced.extend(events)


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
    lane: Lane = Lane.PROMPT


class FakeDeliveryQueue(Counting):
    """A queue that nobody reads but the test."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[QueuedDelivery] = []

    @counted
    def send(
        self,
        endpoint_id: str,
        delivery_id: str,
        *,
        delay_seconds: int = 0,
        lane: Lane = Lane.PROMPT,
    ) -> None:
        self.sent.append(
            QueuedDelivery(
                endpoint_id=endpoint_id,
                delivery_id=delivery_id,
                delay_seconds=delay_seconds,
                lane=lane,
            )
        )

    @counted
    def send_all(self, deliveries: Sequence[tuple[str, str]], *, lane: Lane = Lane.PROMPT) -> None:
        self.sent.extend(
            QueuedDelivery(endpoint_id=endpoint_id, delivery_id=delivery_id, lane=lane)
            for endpoint_id, delivery_id in deliveries
        )


class FakeWorkQueues(Counting):
    """Counts what nobody has taken off the queues yet."""

    def __init__(
        self,
        bus: FakeEventBus,
        publish_queue: FakePublishQueue,
        delivery_queue: FakeDeliveryQueue,
    ) -> None:
        super().__init__()
        self._waiting: Mapping[Work, Callable[[], int]] = {
            Work.EVENTS: lambda: len(bus.announced),
            Work.PUBLICATIONS: lambda: sum(not _delay(each) for each in publish_queue.sent),
            Work.DELIVERIES: lambda: sum(not each.delay_seconds for each in delivery_queue.sent),
        }

    @counted
    def waiting(self, work: Work) -> int:
        return self._waiting[work]()


def _delay(message: PublishTarget | ResolveTarget) -> int:
    return message.delay_seconds if isinstance(message, PublishTarget) else 0


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
    workspaces: FakeWorkspaces = field(init=False)
    webhooks: FakeWebhookStore = field(init=False)
    schedules: FakeSchedules = field(default_factory=FakeSchedules)
    bus: FakeEventBus = field(default_factory=FakeEventBus)
    publish_queue: FakePublishQueue = field(default_factory=FakePublishQueue)
    delivery_queue: FakeDeliveryQueue = field(default_factory=FakeDeliveryQueue)
    work_queues: FakeWorkQueues = field(init=False)
    secrets: FakeSecretBox = field(default_factory=FakeSecretBox)
    assets: FakeAssetStore = field(default_factory=FakeAssetStore)
    storage: FakeStorage = field(init=False)
    files: FakeFileSource = field(default_factory=FakeFileSource)
    posts: FakePostStore = field(init=False)
    disconnections: FakeDisconnections = field(init=False)

    def __post_init__(self) -> None:
        self.workspaces = FakeWorkspaces(self.clock)
        self.work_queues = FakeWorkQueues(self.bus, self.publish_queue, self.delivery_queue)
        self.storage = FakeStorage(self.clock)
        self.posts = FakePostStore(self.workspaces, self.clock, self.assets)
        self.disconnections = FakeDisconnections(self.workspaces, self.posts)
        self.webhooks = FakeWebhookStore(self.workspaces)


_Key = TypeVar("_Key")
_Stored = TypeVar(
    "_Stored", Workspace, ApiKey, SocialAccount, Endpoint, Delivery, Disconnection, Asset
)


def _add(rows: dict[_Key, _Stored], key: _Key, row: _Stored) -> None:
    if key in rows:
        raise LostRaceError("the row exists")
    rows[key] = row


def _replace(rows: dict[_Key, _Stored], key: _Key, row: _Stored, expected_revision: int) -> None:
    stored = rows.get(key)
    if stored is None or stored.revision != expected_revision:
        raise LostRaceError("the row has changed")
    rows[key] = row
