"""Disconnecting a social account: what becomes of it, and the work that it leaves behind.

The account is disconnected, and its secrets are gone, in one write. The targets it has on scheduled
posts may be many more than one write can take, so what is to be done about them is written down
beside it and done page by page: whoever does a page writes down how far it got.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from postbreeze.domain import ids
from postbreeze.domain.documents import account_document, timestamp
from postbreeze.domain.events import Event, EventType
from postbreeze.domain.post import (
    AccountStatus,
    Post,
    PostStatus,
    SocialAccount,
)
from postbreeze.domain.transitions.basics import NOT_STARTED

REASON = "The social account was disconnected."
"""Why its targets are cancelled."""

GRACE = timedelta(seconds=30)
"""How long the request that disconnects has the work for itself."""

LAST_PASS_AFTER = timedelta(minutes=1)
"""How long after the disconnect the last pass begins at the earliest. Whoever read the account
before may schedule a post until its request is stopped, and an index shows it a moment later."""

AGAIN_AFTER = timedelta(minutes=1)
"""How long a pass that could not deal with every post is left alone before another begins."""

_SCHEDULED = frozenset({PostStatus.SCHEDULED, PostStatus.NEEDS_APPROVAL, PostStatus.PUBLISHING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnection:
    """What is still to be done for an account that was disconnected.

    ``after`` is the last post that the present pass has dealt with, None before its first;
    ``is_flawed`` tells that the pass could not deal with one. ``due_at`` is when somebody should
    go on with it.
    """

    account_id: str
    workspace_id: str
    actor: str
    disconnected_at: datetime
    due_at: datetime
    pass_began_at: datetime | None = None
    after: str | None = None
    is_flawed: bool = False
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnecting:
    """The account as it is to be, the event that tells of it, and the work it leaves behind."""

    account: SocialAccount
    event: Event
    work: Disconnection


def disconnect(account: SocialAccount, *, actor: str, now: datetime) -> Disconnecting | None:
    """Disconnect an account and forget its secrets; None where it is disconnected already."""
    if account.status is AccountStatus.DISCONNECTED:
        return None
    gone = replace(
        account,
        status=AccountStatus.DISCONNECTED,
        sealed_credentials=None,
        disconnected_at=now,
        revision=account.revision + 1,
    )
    type_ = EventType.ACCOUNT_DISCONNECTED
    event_id = ids.derived_id(ids.EVENT, now, gone.id, type_, str(gone.revision))
    event = Event(
        id=event_id,
        type=type_,
        post_id=gone.id,
        workspace_id=gone.workspace_id,
        occurred_at=now,
        actor=actor,
        version_before=account.revision,
        version_after=gone.revision,
        payload={
            "eventId": event_id,
            "occurredAt": timestamp(now),
            "workspaceId": gone.workspace_id,
            "account": account_document(gone),
        },
        pending_since=now,
    )
    work = Disconnection(
        account_id=gone.id,
        workspace_id=gone.workspace_id,
        actor=actor,
        disconnected_at=now,
        due_at=now + GRACE,
    )
    return Disconnecting(account=gone, event=event, work=work)


def targets_to_cancel(post: Post, account_id: str) -> tuple[str, ...]:
    """Return the targets of a scheduled post that the account has and that have not begun."""
    if post.deleted_at is not None or post.status not in _SCHEDULED:
        return ()
    return tuple(
        target.id
        for target in post.targets
        if target.social_account_id == account_id and target.status in NOT_STARTED
    )


def passing(work: Disconnection, *, now: datetime) -> Disconnection:
    """Begin a pass over the posts, or go on with the one that has begun."""
    return work if work.after is not None else replace(work, pass_began_at=now)


def advanced(
    work: Disconnection, *, after: str | None, is_end: bool, is_flawed: bool, now: datetime
) -> Disconnection | None:
    """Write down how far a pass has got; None where nothing is left to be done.

    Args:
        work: What was to be done, its pass begun.
        after: The last post that was dealt with, if any was.
        is_end: Whether the pass has come to its end.
        is_flawed: Whether a post could not be dealt with.
        now: The present moment.
    """
    moved = replace(
        work,
        after=work.after if after is None else after,
        is_flawed=work.is_flawed or is_flawed,
        due_at=now,
        revision=work.revision + 1,
    )
    if not is_end:
        return moved
    last_from = work.disconnected_at + LAST_PASS_AFTER
    if moved.is_flawed:
        due_at = now + AGAIN_AFTER
    elif work.pass_began_at is not None and work.pass_began_at >= last_from:
        return None
    else:
        due_at = max(now, last_from)
    return replace(moved, after=None, pass_began_at=None, is_flawed=False, due_at=due_at)
