"""What all transitions share: times, names, and what may be touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from postbreeze.domain.changes import DisarmSchedule, Effect
from postbreeze.domain.post import Post, PostStatus, Target, TargetStatus

LEASE = timedelta(minutes=3)
"""How long a claim is held: one and a half times the time after which its function is stopped."""

ARMING_GRACE = timedelta(seconds=60)
"""How long an arming may stay pending before the reconciler completes it."""

OVERDUE_AFTER = timedelta(minutes=2)
"""How late a fire may be before the reconciler does its work; EventBridge promises one minute."""

EARLY_FIRE = timedelta(minutes=2)
"""How early a fire may be: EventBridge keeps to the minute, and a clock here may be behind its."""

MISSED_AFTER = timedelta(hours=1)
"""How late a post may still go out: later than this it fails instead of surprising anyone."""

FURTHEST_AHEAD = timedelta(days=366)
"""How far ahead a post can be scheduled: one year, a leap one included."""

COMMENT_COOLDOWN = timedelta(seconds=30)
"""How long after an attempt at a first comment another can be asked for."""

SERVICE = "service"
"""The actor of what the service does by itself."""

FIRST_COMMENT_PENDING = "FIRST_COMMENT_PENDING"
"""The error of a first comment that is still to be made."""

OUTCOME_UNKNOWN = "PUBLISH_OUTCOME_UNKNOWN"
"""The error of a target of which nobody knows whether it is public."""

NOT_COMPLETED = "PUBLISH_NOT_COMPLETED"
"""The error of a target whose attempt broke off, and which its platform says it does not have."""

MAY_BE_PUBLIC = frozenset({OUTCOME_UNKNOWN, NOT_COMPLETED})
"""Errors after which a target may be, or become, public: a call may yet take effect."""

MOVING = frozenset({TargetStatus.SCHEDULED, TargetStatus.PUBLISHING})
"""What still moves by itself once its post is being published."""

NOT_STARTED = frozenset({TargetStatus.DRAFT, TargetStatus.SCHEDULED})

ARMABLE = NOT_STARTED | {TargetStatus.FAILED, TargetStatus.CANCELED}
"""What can be published, now or later: nothing that is, or may just now become, public."""


def fault_of_time(at: datetime, now: datetime) -> str | None:
    """Say what is wrong with a moment to publish at, or None: it is in the coming year."""
    if at <= now:
        return "must be in the future"
    if at > now + FURTHEST_AHEAD:
        return "must be at most one year ahead"
    return None


def due_at(target: Target) -> datetime | None:
    """Return when a target's next attempt is to be made, not before; None if it has no time."""
    return target.next_attempt_at or target.scheduled_for


def is_missed(target: Target, now: datetime) -> bool:
    """Tell whether a target is too late to go out."""
    due = due_at(target)
    return due is not None and now > due + MISSED_AFTER


def is_too_early(post: Post, now: datetime) -> bool:
    """Tell whether a scheduled post's moment is further off than any fire of it comes."""
    return (
        post.status is PostStatus.SCHEDULED
        and post.scheduled_at is not None
        and now + EARLY_FIRE < post.scheduled_at
    )


def is_overdue(post: Post, now: datetime) -> bool:
    """Tell whether a scheduled post's fire should have come."""
    return (
        post.status is PostStatus.SCHEDULED
        and post.scheduled_at is not None
        and post.scheduled_at + OVERDUE_AFTER <= now
    )


def attention(post: Post, now: datetime) -> datetime | None:
    """Return when the reconciler should look at a post, as it stands, if nothing moves it on."""
    moments = []
    if post.pending_workflow_id is not None:
        moments.append(now + ARMING_GRACE)
    elif post.status is PostStatus.SCHEDULED and post.scheduled_at is not None:
        moments.append(post.scheduled_at + OVERDUE_AFTER)
    if any(_may_get_stuck(post, target) for target in post.targets):
        moments.append(now + LEASE)
    return min(moments, default=None)


def _may_get_stuck(post: Post, target: Target) -> bool:
    if target.status is TargetStatus.SCHEDULED:
        return post.status is PostStatus.PUBLISHING
    return (
        target.status is TargetStatus.PUBLISHING
        or target.first_comment_error == FIRST_COMMENT_PENDING
    )


def seconds_until(at: datetime | None, now: datetime) -> int:
    """Whole seconds, rounded up, never negative."""
    return 0 if at is None else max(0, -(-(at - now) // timedelta(seconds=1)))


def armable(post: Post) -> frozenset[TargetStatus]:
    """Return the states of the targets that go out if the post is put on the clock.

    What a cancel of chosen targets has stopped stays so for as long as its post stands.
    """
    return ARMABLE if post.status is PostStatus.CANCELED else ARMABLE - {TargetStatus.CANCELED}


def afresh(target: Target, **wanted: Any) -> Target:
    """Return a target that begins anew as wanted.

    Errors of attempts that surely published nothing are forgotten; one that may have is not, so
    that nobody is ever told that it surely did not go out.
    """
    forgotten: Mapping[str, Any] = (
        {} if may_be_public(target) else {"error_code": None, "error_message": None}
    )
    return replace(
        target, workflow_id=None, next_attempt_at=None, attempt_count=0, **forgotten, **wanted
    )


def may_be_public(target: Target) -> bool:
    """Tell whether a target may be, or become, public although it is not PUBLISHED.

    What its platform says not to have counts too: the call that was made may take effect late.
    """
    return target.error_code in MAY_BE_PUBLIC and target.status is not TargetStatus.PUBLISHED


def stopped(target: Target) -> Target:
    """Return a target that will not be published: CANCELED, unless it may be public already."""
    return replace(
        target,
        status=TargetStatus.FAILED if may_be_public(target) else TargetStatus.CANCELED,
        workflow_id=None,
        next_attempt_at=None,
    )


def with_error(target: Target, code: str, message: str) -> Target:
    """Return a target with an error noted.

    That it may be public is never forgotten for another error.
    """
    if may_be_public(target) and code not in MAY_BE_PUBLIC:
        return target
    return replace(target, error_code=code, error_message=message)


def disarmings(before: Post, after: Post) -> tuple[Effect, ...]:
    """Return the removal of every schedule that is of no use to the post any more."""
    names_before = (before.workflow_id, before.pending_workflow_id)
    names_after = (after.workflow_id, after.pending_workflow_id)
    return tuple(
        DisarmSchedule(workflow_id=name)
        for name in names_before
        if name is not None and name not in names_after
    )


def workflow_name(post_id: str, generation: int) -> str:
    """Return the name of a post's arming, which is its schedule's too."""
    return f"{post_id}-{generation}"
