"""What the operations need of the world.

Every adapter raises ``UnavailableError`` where its service failed, timed out or throttled after its
own bounded retries; then it is unknown whether the call took effect.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from postbreeze.domain.errors import PostbreezeError

if TYPE_CHECKING:
    from postbreeze.domain.access import ApiKey, Member, Role, Workspace
    from postbreeze.domain.changes import ArmSchedule, Change, PublishTarget, ResolveTarget
    from postbreeze.domain.disconnection import Disconnecting, Disconnection
    from postbreeze.domain.events import Event, EventType
    from postbreeze.domain.post import FormerSpot, Post, PostStatus, SocialAccount, Spot
    from postbreeze.domain.webhook import DeliveryStatus

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipGuard:
    """A condition of a commit: the user is still a member with one of these roles."""

    workspace_id: str
    user_id: str
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """What was answered to a request that carried an ``Idempotency-Key``.

    ``body`` is None while the first request is still running; ``expires_at`` is 24 hours on.
    """

    key_digest: str
    idempotency_key: str
    request_digest: str
    post_id: str
    created_at: datetime
    expires_at: datetime
    status: int | None = None
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a request acts: the caller's membership, the workspace and the accounts asked for.

    What does not exist, or not in that workspace, is None or left out.
    """

    member: Member | None
    workspace: Workspace | None
    accounts: Mapping[str, SocialAccount]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """A condition of a commit: fewer than ``limit`` were counted; one more is counted with it.

    ``month`` is the calendar month in UTC, as in ``2026-06``.
    """

    workspace_id: str
    month: str
    limit: int


class AccessLostError(PostbreezeError):
    """A commit's membership guard did not hold; nothing was written."""


class AssetLostError(PostbreezeError):
    """An asset that a commit's post needs is not READY (any more); nothing was written."""


class AnswerExistsError(PostbreezeError):
    """A commit's idempotency key was taken; nothing was written."""

    def __init__(self, answer: StoredAnswer) -> None:
        """Keep the answer that stands."""
        super().__init__("the idempotency key is taken")
        self.answer = answer


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedPost:
    """A post that came from other spots of the listing to the one where it is."""

    moved_at: datetime
    spot: Spot
    former_spots: tuple[FormerSpot, ...]


class PostStore(Protocol):
    """Posts with their targets, events and stored answers."""

    def read(self, post_id: str) -> Post | None:
        """Read a post with its targets, strongly consistent, soft-deleted ones too."""
        ...

    def read_many(self, post_ids: Collection[str]) -> Mapping[str, Post]:
        """Read posts as ``read`` does; unknown ones are left out."""
        ...

    def listed(
        self, workspace_id: str, after: Spot, limit: int, status: PostStatus | None = None
    ) -> Sequence[Spot]:
        """List the next spots after one, of the same part, in their order, deleted posts aside.

        What was written just now may be missing, or still listed where it was.

        Args:
            workspace_id: Of the posts.
            after: A spot, or where a part begins.
            limit: How many at most.
            status: Only posts of this status, which must be one of the part's.
        """
        ...

    def moved(self, workspace_id: str, since: datetime, limit: int) -> Sequence[MovedPost]:
        """List the posts that have changed their spot since a moment, latest first.

        Deleted posts are left out; what was written just now may be missing.
        """
        ...

    def commit(
        self,
        change: Change,
        *,
        guard: MembershipGuard | None = None,
        answer: StoredAnswer | None = None,
        quota: Quota | None = None,
    ) -> None:
        """Write all of a change, its events, and ``answer`` if given, or nothing.

        ``answer`` must be the first under its key. With ``quota`` one more is counted.

        Raises:
            LostRaceError: A row it was decided on has changed.
            AccessLostError: The guard does not hold.
            PlanLimitError: The quota is used up.
            AnswerExistsError: The idempotency key is taken.
            AssetLostError: It makes the post need an asset that is not READY.
            UnavailableError: It may or may not have been committed.
        """
        ...

    def answer(self, key_digest: str, idempotency_key: str) -> StoredAnswer | None:
        """Read the stored answer of a key, strongly consistent; expired ones do not count."""
        ...

    def complete(self, answer: StoredAnswer) -> None:
        """Replace a running answer by its final form; repeating it is harmless."""
        ...

    def event(self, post_id: str, event_id: str) -> Event | None:
        """Read one event, strongly consistent."""
        ...

    def timeline(self, post_id: str) -> Sequence[Event]:
        """Read all events of a post, oldest first."""
        ...

    def fanned_out(self, event: Event, *, expires_at: datetime) -> None:
        """Take an event off the pending index and let it expire; repeating it is harmless."""
        ...

    def due_posts(self, now: datetime, limit: int) -> Sequence[str]:
        """Return ids of posts whose ``attention_at`` has come, longest waiting first.

        Those with a pending arming are left out; see ``pending_armings``.
        """
        ...

    def pending_armings(self, now: datetime, limit: int) -> Sequence[str]:
        """Return ids of posts with a pending arming whose ``attention_at`` has come, in order."""
        ...

    def pending_events(self, before: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """Return (post id, event id) of events pending since before that moment, oldest first."""
        ...


class Directory(Protocol):
    """Keys, members, workspaces and social accounts."""

    def admit(self, digest: str) -> ApiKey | None:
        """Count one request of a client, and return its key as it now stands.

        Never more than the key's limits are let through in a window, however many ask at once; a
        call that is repeated because its answer was lost may count twice. A key that opens nothing
        is returned all the same and has no limits; nothing is made of an unknown one.

        Raises:
            RateLimitedError: A window has none left; nothing was counted.
            UnavailableError: It may or may not have been counted.
        """
        ...

    def member(self, workspace_id: str, user_id: str) -> Member | None:
        """Read a membership, strongly consistent."""
        ...

    def workspace_of_account(self, account_id: str) -> str | None:
        """Return where an account is connected."""
        ...

    def account(self, workspace_id: str, account_id: str) -> SocialAccount | None:
        """Read one account, strongly consistent."""
        ...

    def member_and_accounts(
        self, workspace_id: str, user_id: str, account_ids: Collection[str]
    ) -> Place:
        """Read a membership, its workspace and accounts of it together, strongly consistent."""
        ...

    def memberships(self, user_id: str) -> Sequence[Member]:
        """List the memberships of a user that stand now, by workspace id.

        One that has ended is never listed; one that began a moment ago may be missing.
        """
        ...

    def owner(self, workspace_id: str) -> str | None:
        """Return the user who has been in a workspace longest of its owners, if it has any.

        Strongly consistent.
        """
        ...

    def workspaces(self, workspace_ids: Collection[str]) -> Mapping[str, Workspace]:
        """Read workspaces by their ids, strongly consistent; unknown ones are left out."""
        ...

    def accounts(self, workspace_id: str) -> Sequence[SocialAccount]:
        """List a workspace's accounts by id, strongly consistent."""
        ...


class Disconnections(Protocol):
    """Accounts that are disconnected, and what that leaves to be done."""

    def begin(self, disconnecting: Disconnecting, *, guard: MembershipGuard) -> None:
        """Write the account, its event and the work it leaves behind, or nothing.

        Raises:
            LostRaceError: The account has changed meanwhile.
            AccessLostError: The guard does not hold.
            UnavailableError: It may or may not have been written.
        """
        ...

    def work(self, account_id: str) -> Disconnection | None:
        """Read what is left to be done for an account, strongly consistent."""
        ...

    def advance(self, work: Disconnection, *, expected_revision: int) -> None:
        """Write down how far the work has got.

        Raises:
            LostRaceError: Somebody else has advanced it.
        """
        ...

    def end(self, work: Disconnection) -> None:
        """Note that nothing is left to be done.

        Raises:
            LostRaceError: Somebody else has advanced or ended it.
        """
        ...

    def due(self, now: datetime, limit: int) -> Sequence[str]:
        """Return ids of accounts whose work is due, longest waiting first."""
        ...

    def open_posts(self, account_id: str, *, after: str | None, limit: int) -> Sequence[str]:
        """Return, by id, posts on which the account has a target that has not begun.

        It lags behind: what changed a moment ago may be missing, or still be there.
        """
        ...


class Registry(Protocol):
    """What an operator writes; every add raises ``LostRaceError`` if the row exists."""

    def add_workspace(self, workspace: Workspace) -> None:
        """Add a workspace."""
        ...

    def workspace(self, workspace_id: str) -> Workspace | None:
        """Read a workspace."""
        ...

    def replace_workspace(self, workspace: Workspace, *, expected_revision: int) -> None:
        """Write a changed workspace.

        Raises:
            LostRaceError: It has changed meanwhile.
        """
        ...

    def put_member(self, member: Member) -> None:
        """Add a member or change a role."""
        ...

    def remove_member(self, workspace_id: str, user_id: str) -> None:
        """End a membership; repeating it is harmless."""
        ...

    def add_key(self, key: ApiKey) -> None:
        """Add a key."""
        ...

    def key(self, digest: str) -> ApiKey | None:
        """Read a key by its digest, strongly consistent; nothing is counted."""
        ...

    def keys_of(self, owner_user_id: str) -> Sequence[ApiKey]:
        """List a user's keys, revoked ones too."""
        ...

    def replace_key(self, key: ApiKey, *, expected_revision: int) -> None:
        """Write a changed key, such as a revoked one; its requests are counted from anew.

        Raises:
            LostRaceError: It has changed meanwhile.
        """
        ...

    def add_account(self, account: SocialAccount) -> None:
        """Add a social account; a workspace has one at most of a platform and external id."""
        ...

    def accounts(self, workspace_id: str) -> Sequence[SocialAccount]:
        """List a workspace's accounts."""
        ...

    def replace_account(self, account: SocialAccount, *, expected_revision: int) -> None:
        """Write a changed account.

        Raises:
            LostRaceError: It has changed meanwhile.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries are asked for; what is None leaves nothing out.

    ``since`` and ``until`` are moments at which deliveries were made, the latter left out.
    """

    statuses: frozenset[DeliveryStatus] | None = None
    event_type: EventType | None = None
    since: datetime | None = None
    until: datetime | None = None


class Schedules(Protocol):
    """One-shot timers; both calls may be repeated without harm."""

    def arm(self, arming: ArmSchedule) -> None:
        """Make the schedule; one of that name that exists already is the same one."""
        ...

    def disarm(self, workflow_id: str) -> None:
        """Remove the schedule; one that is gone is fine."""
        ...


class EventBus(Protocol):
    """Where events are announced; it carries only their ids, fairly over workspaces."""

    def announce(self, event: Event) -> None:
        """Announce an event that is stored."""
        ...

    def announce_all(self, events: Sequence[tuple[str, str]]) -> None:
        """Announce stored events, given as (post id, event id), or raise; again is harmless."""
        ...


class PublishQueue(Protocol):
    """Work for publishers, delivered at least once, fairly over workspaces."""

    def send(self, messages: Sequence[PublishTarget | ResolveTarget]) -> None:
        """Send every message or raise; sending again is harmless."""
        ...


class Work(StrEnum):
    """What queues hold."""

    PUBLICATIONS = "publications"
    EVENTS = "events"
    DELIVERIES = "deliveries"


class WorkQueues(Protocol):
    """How much the queues hold."""

    def waiting(self, work: Work) -> int:
        """Return about how many messages wait, or are being worked on; not those sent for later."""
        ...


class SecretBox(Protocol):
    """Encryption of what must not be read from a table; the context binds text to its owner."""

    def seal(self, plaintext: str, context: Mapping[str, str]) -> bytes:
        """Encrypt."""
        ...

    def open(self, sealed: bytes, context: Mapping[str, str]) -> str:
        """Decrypt.

        Raises:
            SecretUnreadableError: Not sealed with this key and context.
        """
        ...


class Clock(Protocol):
    """The present moment."""

    def now(self) -> datetime:
        """Return it in UTC, cut to milliseconds."""
        ...


class Randomness(Protocol):
    """Unpredictable values."""

    def token(self, size: int) -> bytes:
        """Return that many random bytes."""
        ...

    def fraction(self) -> float:
        """Return a number from 0 up to, not including, 1."""
        ...


class Together(Protocol):
    """Runs independent calls at once."""

    def run(self, *calls: Callable[[], Any]) -> tuple[Any, ...]:
        """Return all results in order; raises the first error after all have ended."""
        ...

    def attempt(self, *calls: Callable[[], None], seconds: float) -> Sequence[Exception | None]:
        """Return each call's error or None within that time; a late one is a ``TimeoutError``."""
        ...


class Watch(Protocol):
    """Looks after a call that may take long."""

    def over(
        self, call: Callable[[], _Result], *, after: timedelta, then: Callable[[], None]
    ) -> _Result:
        """Make a call; where it has not ended after that long, do something else meanwhile, once.

        Returns, or raises, what the call does, after both have ended. ``then`` never raises.
        """
        ...


class Telemetry(Protocol):
    """What operators see: one log line, or one count. Never a secret, a key or a body."""

    def note(self, message: str, **fields: object) -> None:
        """Log a decision."""
        ...

    def warn(self, message: str, **fields: object) -> None:
        """Log something an operator may have to look at."""
        ...

    def count(self, metric: str, value: int = 1) -> None:
        """Add to a metric."""
        ...
