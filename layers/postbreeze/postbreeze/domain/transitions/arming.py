"""Putting a post on the clock: for the first time, again, or once it is approved."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from postbreeze.domain.access import MANAGERS, Role
from postbreeze.domain.changes import Announcement, ArmSchedule, Change, Effect, change
from postbreeze.domain.errors import PostNotSchedulableError, ValidationError
from postbreeze.domain.events import EventType
from postbreeze.domain.post import Post, PostStatus, TargetStatus
from postbreeze.domain.transitions.basics import (
    NOT_STARTED,
    afresh,
    armable,
    attention,
    disarmings,
    fault_of_time,
    workflow_name,
)

_SCHEDULABLE = frozenset({PostStatus.DRAFT, PostStatus.FAILED, PostStatus.CANCELED})


def schedule(post: Post, at: datetime, *, actor: str, role: Role, now: datetime) -> Change:
    """Arm a draft, or what failed or was canceled, for a moment to come.

    A post that needs an approval it has not got waits for it, unless whoever schedules it may
    approve: that is an approval too.

    Raises:
        PostNotSchedulableError: It is in another state, or nothing of it is left to publish.
        ValidationError: The moment is past or too far ahead.
    """
    return _schedule(post, at, _SCHEDULABLE, actor=actor, role=role, now=now)


def reschedule(post: Post, at: datetime, *, actor: str, role: Role, now: datetime) -> Change:
    """Do what ``schedule`` does, also for a post that is scheduled already.

    Raises:
        PostNotSchedulableError: It is in another state, or nothing of it is left to publish.
        ValidationError: The moment is past or too far ahead.
    """
    states = _SCHEDULABLE | {PostStatus.SCHEDULED}
    return _schedule(post, at, states, actor=actor, role=role, now=now)


def approve(post: Post, *, actor: str, now: datetime) -> Change:
    """Let a waiting post go ahead: at its time, or as a draft where it has none to come.

    Raises:
        PostNotSchedulableError: It does not wait.
    """
    if post.status is not PostStatus.NEEDS_APPROVAL:
        raise PostNotSchedulableError(post.status)
    approved = replace(post, approved_by_user_id=actor, approved_at=now)
    at = wished_time(post)
    if at is None or fault_of_time(at, now) is not None:
        after = replace(approved, status=PostStatus.DRAFT)
        return change(
            post, replace(after, attention_at=attention(after, now)), now=now, actor=actor
        )
    after, effects = stage(approved, at, now)
    return change(post, after, now=now, actor=actor, effects=effects)


def commit_arming(post: Post, workflow_id: str, *, now: datetime, actor: str) -> Change | None:
    """Put a pending workflow in force: from here on its fire may publish.

    Returns None where it is not the pending one any more: the post was cancelled, deleted or armed
    anew.
    """
    if post.deleted_at is not None or post.pending_workflow_id != workflow_id:
        return None
    event = post.pending_event or EventType.POST_SCHEDULED
    after = replace(
        post,
        workflow_id=workflow_id,
        pending_workflow_id=None,
        pending_event=None,
        targets=tuple(
            replace(target, workflow_id=workflow_id)
            if target.status is TargetStatus.SCHEDULED
            else target
            for target in post.targets
        ),
    )
    return change(
        post,
        replace(after, attention_at=attention(after, now)),
        now=now,
        actor=actor,
        announce=(Announcement(type=event),),
    )


def rearm_pending(post: Post) -> ArmSchedule | None:
    """Return the effect that a pending arming still needs, or None if none is pending."""
    if post.pending_workflow_id is None or post.scheduled_at is None:
        return None
    return ArmSchedule(post_id=post.id, workflow_id=post.pending_workflow_id, at=post.scheduled_at)


def stage(post: Post, at: datetime, now: datetime) -> tuple[Post, tuple[Effect, ...]]:
    """Name the next generation's workflow as pending; from here on no older one is in force.

    What is PUBLISHED or in flight stays as it is, and so does what was cancelled by itself: only
    where the whole post was do its targets come back. What failed goes along, also where nobody
    knows what became of it: the client decides, and a platform publishes no target twice.

    Raises:
        ValidationError: The moment is past or too far ahead.
        PostNotSchedulableError: Nothing of the post is left to publish.
    """
    fault = fault_of_time(at, now)
    if fault is not None:
        raise ValidationError.of("scheduledFor", fault)
    wanted = armable(post)
    if not any(target.status in wanted for target in post.targets):
        raise PostNotSchedulableError(post.status)
    # A subscriber who was told of the old time must hear of the new one as a change.
    told = post.workflow_id is not None or post.pending_event is EventType.POST_RESCHEDULED
    generation = post.generation + 1
    staged = replace(
        reopened(post),
        status=PostStatus.SCHEDULED,
        scheduled_at=at,
        generation=generation,
        workflow_id=None,
        pending_workflow_id=workflow_name(post.id, generation),
        pending_event=EventType.POST_RESCHEDULED if told else EventType.POST_SCHEDULED,
        targets=tuple(
            afresh(target, status=TargetStatus.SCHEDULED, scheduled_for=at)
            if target.status in wanted
            else target
            for target in post.targets
        ),
    )
    staged = replace(staged, attention_at=attention(staged, now))
    arming = rearm_pending(staged)
    arm = () if arming is None else (arming,)
    return staged, (*arm, *disarmings(post, staged))


def unstage(
    post: Post, status: PostStatus, wished: datetime | None, now: datetime
) -> tuple[Post, tuple[Effect, ...]]:
    """Take a post off the clock without a cancel: it becomes a draft, or waits for approval.

    ``wished`` is the time that an approval is to arm it for.
    """
    wanted = armable(post)
    after = replace(
        reopened(post),
        status=status,
        workflow_id=None,
        pending_workflow_id=None,
        pending_event=None,
        targets=tuple(
            afresh(target, status=TargetStatus.DRAFT, scheduled_for=wished)
            if target.status in wanted
            else target
            for target in post.targets
        ),
    )
    return replace(after, attention_at=attention(after, now)), disarmings(post, after)


def wished_time(post: Post) -> datetime | None:
    """Return the moment that a post which waits, or is scheduled, is meant for."""
    return next(
        (target.scheduled_for for target in post.targets if target.status in NOT_STARTED), None
    )


def cleared(post: Post, *, actor: str, role: Role, now: datetime) -> Post | None:
    """Return the post with the approval it needs, or None where it has to wait for one."""
    if not post.requires_approval or post.approved_at is not None:
        return post
    if role in MANAGERS:
        return replace(post, approved_by_user_id=actor, approved_at=now)
    return None


def reopened(post: Post) -> Post:
    """Return the post without what its cancel said: that is history now, told by its events."""
    return replace(post, canceled_at=None, canceled_by_user_id=None, cancel_reason=None)


def _schedule(
    post: Post,
    at: datetime,
    states: frozenset[PostStatus],
    *,
    actor: str,
    role: Role,
    now: datetime,
) -> Change:
    if post.status not in states:
        raise PostNotSchedulableError(post.status)
    approved = cleared(post, actor=actor, role=role, now=now)
    after, effects = stage(approved or post, at, now)
    if approved is None:
        after, effects = unstage(replace(post, scheduled_at=at), PostStatus.NEEDS_APPROVAL, at, now)
    return change(post, after, now=now, actor=actor, effects=effects)
