"""The state machine of a post and its targets.

::

                       ┌──────────── create ────────────┐
                       ▼                ▼               ▼
                     DRAFT       NEEDS_APPROVAL     SCHEDULED (pending, then armed)
                                        │               │  │
                                     cancel          cancel start ── over an hour late ─▶ FAILED
                                        ▼               ▼  ▼
                                     CANCELED ◀─────────┘ PUBLISHING ── cancel ──▶ CANCELED
                                        ▲                  │
                                        │               conclude
                                        │                  ▼
                                        └─ cancel ── PARTIALLY_PUBLISHED   PUBLISHED   FAILED

    target:  DRAFT · SCHEDULED ── claim ──▶ PUBLISHING ── settle ──▶ PUBLISHED | FAILED
                        ▲                       │
                        └────── released ───────┘        any but PUBLISHED, PUBLISHING,
                          (nothing was sent)             SKIPPED ── cancel ──▶ CANCELED

Arming is two-phase: the post names a pending workflow, the schedule is made, the workflow is
committed to the post and to every target. A fire, and each message it leads to, carries its
workflow's name and is a no-op unless that is the one in force. A claim and a cancel both write the
target's row on the condition that it is as they read it, so exactly one of them happens.

Every function here is pure: it takes the post as read and the present moment, and returns a
``Change``, or None where there is nothing to do, or raises a refusal.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from postbreeze.domain import ids
from postbreeze.domain.access import Role
from postbreeze.domain.changes import (
    Announcement,
    ArmSchedule,
    Change,
    DisarmSchedule,
    Effect,
    PublishTarget,
    ResolveTarget,
    RowCheck,
    change,
)
from postbreeze.domain.errors import Detail, PostNotCancelableError, ValidationError
from postbreeze.domain.events import EventType
from postbreeze.domain.post import (
    Media,
    Platform,
    Post,
    PostDraft,
    PostStatus,
    Target,
    TargetStatus,
)

LEASE = timedelta(minutes=3)
"""How long a claim is held: one and a half times the time after which its function is stopped."""

ARMING_GRACE = timedelta(seconds=60)
"""How long an arming may stay pending before the reconciler completes it."""

OVERDUE_AFTER = timedelta(minutes=2)
"""How late a fire may be before the reconciler does its work; EventBridge promises one minute."""

MISSED_AFTER = timedelta(hours=1)
"""How late a post may still go out: later than this it fails instead of surprising anyone."""

FURTHEST_AHEAD = timedelta(days=366)
"""How far ahead a post can be scheduled: one year, a leap one included."""

MOST_TARGETS = 50
MOST_MEDIA = 35
MOST_ATTEMPTS = 5

RETRY_GAPS = (5, 30, 120, 300)
"""Seconds before the second to the fifth attempt of a target for which nothing was sent."""

LONGEST_GAP = 900
"""The most seconds a platform can ask us to wait: the longest delay of an SQS message."""

SERVICE = "service"
"""The actor of what the service does by itself."""

MISSED_SCHEDULE = "MISSED_SCHEDULE"
OUTCOME_UNKNOWN = "PUBLISH_OUTCOME_UNKNOWN"

_NOT_STARTED = frozenset({TargetStatus.DRAFT, TargetStatus.SCHEDULED})
_MOVING = frozenset({TargetStatus.SCHEDULED, TargetStatus.PUBLISHING})
_LEFT = _NOT_STARTED | {TargetStatus.PUBLISHING, TargetStatus.FAILED}
"""What still is, or may yet be, published."""

_STOPPABLE: Mapping[PostStatus, frozenset[TargetStatus]] = {
    PostStatus.SCHEDULED: _NOT_STARTED,
    PostStatus.NEEDS_APPROVAL: _NOT_STARTED,
    PostStatus.PUBLISHING: _NOT_STARTED,
    PostStatus.PARTIALLY_PUBLISHED: _NOT_STARTED | {TargetStatus.FAILED},
}
"""What a cancel must find at least one of, by the post's status."""

_STOPPED_ALONG = _NOT_STARTED | {TargetStatus.FAILED}
"""What a cancel that goes ahead stops: a failed target can then never be retried unasked."""


class Outcome(StrEnum):
    """What a cancel came to for one target."""

    CANCELED = "canceled"
    ALREADY_PUBLISHED = "already_published"
    IN_FLIGHT = "in_flight"
    ALREADY_CANCELED = "already_canceled"
    SKIPPED = "skipped"
    FAILED = "failed"


Outcomes = tuple[tuple[str, Outcome], ...]
"""Each target's id with what a cancel came to for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """A cancel's change, which is empty where all was canceled before, and each outcome."""

    change: Change
    outcomes: Outcomes

    @property
    def document(self) -> dict[str, Any]:
        """The wire form of the outcomes."""
        return {"targets": _outcome_documents(self.outcomes)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The platform has the post."""

    external_post_id: str
    external_url: str
    reference: Mapping[str, str] = field(default_factory=dict)
    first_comment_error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The target ends without being published, or with nobody knowing whether it was."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """Nothing was sent: the target goes back and waits for its next attempt."""

    code: str
    message: str
    retry_after: float | None = None


Result = Published | Failed | Released


# Creating and arming


def fault_of_time(at: datetime, now: datetime) -> str | None:
    """Say what is wrong with a moment to publish at, or None: it is in the coming year."""
    if at <= now:
        return "must be in the future"
    if at > now + FURTHEST_AHEAD:
        return "must be at most one year ahead"
    return None


def create(
    draft: PostDraft,
    *,
    post_id: str,
    workspace_id: str,
    platforms: Mapping[str, Platform],
    author: str,
    role: Role,
    now: datetime,
) -> Change:
    """Make a post: waiting for approval, being armed, or a draft.

    Args:
        draft: What is wanted; its accounts are known to be usable, its times to be valid.
        post_id: The new post's id.
        workspace_id: Where it belongs.
        platforms: The platform of each account, by account id.
        author: The user who asks.
        role: That user's role; a client reviewer's posts wait for approval.
        now: The present moment.
    """
    waits = draft.requires_approval or role is Role.CLIENT_REVIEWER
    armed = draft.scheduled_for is not None and not waits
    if waits:
        status = PostStatus.NEEDS_APPROVAL
    else:
        status = PostStatus.SCHEDULED if armed else PostStatus.DRAFT
    post = Post(
        id=post_id,
        workspace_id=workspace_id,
        created_by_user_id=author,
        status=status,
        created_at=now,
        updated_at=now,
        targets=tuple(
            Target(
                id=ids.derived_id(ids.TARGET, now, post_id, wanted.social_account_id),
                post_id=post_id,
                social_account_id=wanted.social_account_id,
                platform=platforms[wanted.social_account_id],
                status=TargetStatus.SCHEDULED if armed else TargetStatus.DRAFT,
                created_at=now,
                updated_at=now,
                caption_override=wanted.caption_override,
                first_comment=wanted.first_comment,
                platform_options=wanted.platform_options,
                media_ids=wanted.media_ids,
                scheduled_for=draft.scheduled_for,
            )
            for wanted in draft.targets
        ),
        media=tuple(
            Media(
                media_asset_id=ids.derived_id(ids.MEDIA, now, post_id, str(order)),
                order=order,
                alt_text=wanted.alt_text,
                url=wanted.url,
                kind=wanted.kind,
            )
            for order, wanted in enumerate(draft.media)
        ),
        caption=draft.caption,
        scheduled_at=draft.scheduled_for or draft.draft_scheduled_for,
        timezone=draft.timezone,
        created_via_flat_shape=draft.flat_shape,
    )
    effects: tuple[Effect, ...] = ()
    if armed:
        post, effects = _stage(post, now)
    return change(
        None,
        post,
        now=now,
        actor=author,
        announce=(Announcement(type=EventType.POST_CREATED),),
        effects=effects,
    )


def commit_arming(post: Post, workflow_id: str, *, now: datetime, actor: str) -> Change | None:
    """Put a pending workflow in force: from here on its fire may publish.

    Returns None where it is not the pending one any more: the post was cancelled or armed anew.
    """
    if post.deleted_at is not None or post.pending_workflow_id != workflow_id:
        return None
    after = replace(
        post,
        workflow_id=workflow_id,
        pending_workflow_id=None,
        targets=tuple(
            replace(target, workflow_id=workflow_id)
            if target.status is TargetStatus.SCHEDULED
            else target
            for target in post.targets
        ),
    )
    after = replace(after, attention_at=_attention(after, now))
    return change(
        post,
        after,
        now=now,
        actor=actor,
        announce=(Announcement(type=EventType.POST_SCHEDULED),),
    )


def rearm_pending(post: Post) -> ArmSchedule | None:
    """Return the effect that a pending arming still needs, or None if none is pending."""
    if post.pending_workflow_id is None or post.scheduled_at is None:
        return None
    return ArmSchedule(post_id=post.id, workflow_id=post.pending_workflow_id, at=post.scheduled_at)


def _stage(post: Post, now: datetime) -> tuple[Post, tuple[Effect, ...]]:
    generation = post.generation + 1
    staged = replace(post, generation=generation, pending_workflow_id=f"{post.id}-{generation}")
    staged = replace(staged, attention_at=_attention(staged, now))
    arming = rearm_pending(staged)
    return staged, () if arming is None else (arming,)


# Cancelling


def cancel(
    post: Post,
    *,
    actor: str,
    now: datetime,
    reason: str | None = None,
    target_ids: Collection[str] | None = None,
) -> Cancellation:
    """Stop every target, or the chosen ones, that has not begun to be published.

    Where all is canceled already the change is empty. A cancel that leaves targets to publish
    keeps the post's status and schedule. A target whose outcome is unknown may be public, so it
    stays FAILED and is never said to be canceled.

    Raises:
        PostNotCancelableError: Nothing can be stopped.
        ValidationError: A chosen target is not one of the post's.
    """
    chosen = _chosen(post, target_ids)
    before: Outcomes = tuple((target.id, _standing(target)) for target in chosen)
    if post.status is PostStatus.CANCELED:
        outcomes: Outcomes = tuple(
            (target.id, Outcome.ALREADY_CANCELED if _is_over(target) else _standing(target))
            for target in chosen
        )
        return Cancellation(change=Change(before=post, after=post), outcomes=outcomes)
    if post.status not in _STOPPABLE:
        raise PostNotCancelableError(post.status)
    stoppable = any(
        target.status in _STOPPABLE[post.status] and not _is_unknown(target) for target in chosen
    )
    gives_up = target_ids is None and post.status is PostStatus.PARTIALLY_PUBLISHED
    if not stoppable and not gives_up:
        if all(outcome is Outcome.ALREADY_CANCELED for _, outcome in before):
            return Cancellation(change=Change(before=post, after=post), outcomes=before)
        raise PostNotCancelableError(post.status, _outcome_documents(before))

    stopped = {
        target.id
        for target in chosen
        if target.status in _STOPPED_ALONG and not _is_unknown(target)
    }
    outcomes = tuple(
        (target_id, Outcome.CANCELED if target_id in stopped else outcome)
        for target_id, outcome in before
    )
    targets = tuple(
        replace(target, status=TargetStatus.CANCELED, workflow_id=None, next_attempt_at=None)
        if target.id in stopped
        else target
        for target in post.targets
    )
    whole = target_ids is None or not any(target.status in _LEFT for target in targets)
    cancellation = {"cancellation": {"targets": _outcome_documents(outcomes)}}
    if whole:
        after = replace(
            post,
            status=PostStatus.CANCELED,
            workflow_id=None,
            pending_workflow_id=None,
            canceled_at=now,
            canceled_by_user_id=actor,
            cancel_reason=reason,
            targets=targets,
        )
        announce: tuple[Announcement, ...] = (
            Announcement(type=EventType.POST_CANCELLED, extra=cancellation, reason=reason),
        )
    else:
        after, ended = _concluded(replace(post, targets=targets))
        announce = (
            Announcement(type=EventType.POST_TARGETS_CANCELLED, extra=cancellation, reason=reason),
            *ended,
        )
    after = replace(after, attention_at=_attention(after, now))
    return Cancellation(
        change=change(
            post,
            after,
            now=now,
            actor=actor,
            touch_post=True,
            announce=announce,
            # What the answer says of the other targets must hold when it is committed: a claim
            # released meanwhile is to be stopped, and the last target left decides the status.
            relied_on=tuple(
                RowCheck(row=target) for target in post.targets if target.id not in stopped
            ),
            effects=_disarmings(post, after),
        ),
        outcomes=outcomes,
    )


def _chosen(post: Post, target_ids: Collection[str] | None) -> tuple[Target, ...]:
    if target_ids is None:
        return post.targets
    known = {target.id for target in post.targets}
    unknown = [
        Detail(f"targetIds.{index}", "is not a target of this post")
        for index, target_id in enumerate(target_ids)
        if target_id not in known
    ]
    if unknown:
        raise ValidationError(unknown)
    return tuple(target for target in post.targets if target.id in set(target_ids))


_STANDING: Mapping[TargetStatus, Outcome] = {
    TargetStatus.PUBLISHED: Outcome.ALREADY_PUBLISHED,
    TargetStatus.PUBLISHING: Outcome.IN_FLIGHT,
    TargetStatus.SKIPPED: Outcome.SKIPPED,
    TargetStatus.CANCELED: Outcome.ALREADY_CANCELED,
}


def _is_over(target: Target) -> bool:
    """Tell whether a target of a canceled post surely is not, and never will be, public."""
    return target.status in {TargetStatus.CANCELED, TargetStatus.FAILED} and not _is_unknown(target)


def _is_unknown(target: Target) -> bool:
    """Tell whether a failed target may be public: then nobody can promise that it is not."""
    return target.status is TargetStatus.FAILED and target.error_code == OUTCOME_UNKNOWN


def _standing(target: Target) -> Outcome:
    """Tell what a cancel finds; of the other states only a failed one is ever told."""
    return _STANDING.get(target.status, Outcome.FAILED)


def _outcome_documents(outcomes: Outcomes) -> list[dict[str, str]]:
    return [{"id": target_id, "outcome": outcome.value} for target_id, outcome in outcomes]


def _disarmings(before: Post, after: Post) -> tuple[Effect, ...]:
    names_before = (before.workflow_id, before.pending_workflow_id)
    names_after = (after.workflow_id, after.pending_workflow_id)
    return tuple(
        DisarmSchedule(workflow_id=name)
        for name in names_before
        if name is not None and name not in names_after
    )


# Publishing


def start(post: Post, workflow_id: str, *, now: datetime) -> Change | None:
    """Answer a fire: begin publishing, or repeat the messages of one that began before.

    Returns None for a fire that is not of the workflow in force. More than an hour late nothing
    goes out: what has not begun fails as missed.
    """
    if post.deleted_at is not None or post.workflow_id != workflow_id:
        return None
    waiting = [target for target in post.targets if target.status is TargetStatus.SCHEDULED]
    missed = [target.id for target in waiting if _is_missed(target, now)]
    if missed:
        return _miss(post, missed, now)
    if post.status is PostStatus.SCHEDULED:
        after = replace(post, status=PostStatus.PUBLISHING)
        after = replace(after, attention_at=_attention(after, now))
    elif post.status is PostStatus.PUBLISHING:
        after = post
    else:
        return None
    effects = tuple(
        PublishTarget(
            post_id=post.id,
            target_id=target.id,
            workflow_id=workflow_id,
            delay_seconds=_seconds_until(target.next_attempt_at, now),
        )
        for target in waiting
    )
    return change(post, after, now=now, actor=SERVICE, effects=effects)


def claim(
    post: Post, target_id: str, workflow_id: str, claim_id: str, *, now: datetime
) -> Change | None:
    """Take one target for one attempt; the last thing before its platform is called.

    Returns None where the target is not this workflow's to publish: cancelled, claimed, settled,
    armed anew, deleted, waiting for its next attempt. A target that is more than an hour late
    fails as missed instead.
    """
    target = _claimable(post, target_id, workflow_id)
    if target is None:
        return None
    if _is_missed(target, now):
        return _miss(post, [target.id], now)
    if target.next_attempt_at is not None and now < target.next_attempt_at:
        return None
    claimed = replace(
        target,
        status=TargetStatus.PUBLISHING,
        claim_id=claim_id,
        claimed_until=now + LEASE,
        attempt_count=target.attempt_count + 1,
        last_attempt_at=now,
        next_attempt_at=None,
    )
    return change(post, _with(post, claimed), now=now, actor=SERVICE)


def holds(post: Post, target_id: str, claim_id: str) -> bool:
    """Tell whether this claim holds the target."""
    target = post.target(target_id)
    return (
        target is not None
        and target.status is TargetStatus.PUBLISHING
        and target.claim_id == claim_id
    )


def is_claimable(post: Post, target_id: str, workflow_id: str) -> bool:
    """Tell whether a claim would be granted as things stand."""
    return _claimable(post, target_id, workflow_id) is not None


def postponed(
    post: Post, target_id: str, workflow_id: str, *, now: datetime
) -> PublishTarget | None:
    """Return the message to send again for a target whose next attempt is still to come."""
    target = _claimable(post, target_id, workflow_id)
    if target is None or target.next_attempt_at is None or target.next_attempt_at <= now:
        return None
    return PublishTarget(
        post_id=post.id,
        target_id=target_id,
        workflow_id=workflow_id,
        delay_seconds=_seconds_until(target.next_attempt_at, now),
    )


def settle(
    post: Post, target_id: str, claim_id: str, result: Result, *, now: datetime
) -> Change | None:
    """Record what became of a claim.

    Returns None where the claim does not hold the target. A released target of a post that was
    cancelled meanwhile becomes CANCELED; one that has used up its attempts becomes FAILED.
    """
    target = post.target(target_id)
    if target is None or not holds(post, target_id, claim_id):
        return None
    relied_on: tuple[RowCheck, ...] = ()
    effects: tuple[Effect, ...] = ()
    if isinstance(result, Published):
        settled = replace(
            target,
            status=TargetStatus.PUBLISHED,
            published_at=now,
            external_post_id=result.external_post_id,
            external_url=result.external_url,
            first_comment_error=result.first_comment_error,
            error_code=None,
            error_message=None,
        )
    elif isinstance(result, Failed):
        settled = _failed(target, result.code, result.message)
    else:
        settled, effects = _released(post, target, result, now)
        # A cancel that saw this target in flight must not be followed by another attempt.
        relied_on = (RowCheck(row=post),)
    return change(
        post,
        _with(post, settled),
        now=now,
        actor=SERVICE,
        relied_on=relied_on,
        effects=effects,
    )


def settle_first_comment(
    post: Post, target_id: str, error: str | None, *, now: datetime
) -> Change | None:
    """Record an attempt at a published target's first comment."""
    target = post.target(target_id)
    if target is None or target.status is not TargetStatus.PUBLISHED:
        return None
    commented = replace(
        target,
        first_comment_error=error,
        first_comment_attempt=target.first_comment_attempt + 1,
    )
    return change(post, _with(post, commented), now=now, actor=SERVICE)


def conclude(post: Post, *, now: datetime) -> Change | None:
    """End a post's publishing once no target is moving; None while one is, or if it has ended."""
    if any(target.status in _MOVING for target in post.targets):
        return None
    after, announce = _concluded(post)
    after = replace(after, attention_at=_attention(after, now))
    if after == post:
        return None
    return change(post, after, now=now, actor=SERVICE, announce=announce)


def derive(targets: Collection[Target]) -> PostStatus:
    """Derive the status of a post whose publishing has begun from its targets."""
    statuses = {target.status for target in targets}
    if statuses & _MOVING:
        return PostStatus.PUBLISHING
    published = TargetStatus.PUBLISHED in statuses
    failed = TargetStatus.FAILED in statuses
    if published and failed:
        return PostStatus.PARTIALLY_PUBLISHED
    if published:
        return PostStatus.PUBLISHED
    if failed:
        return PostStatus.FAILED
    return PostStatus.CANCELED


_ENDINGS = {
    PostStatus.PUBLISHED: EventType.POST_PUBLISHED,
    PostStatus.PARTIALLY_PUBLISHED: EventType.POST_PARTIALLY_PUBLISHED,
    PostStatus.FAILED: EventType.POST_FAILED,
}


def _concluded(post: Post) -> tuple[Post, tuple[Announcement, ...]]:
    status = derive(post.targets)
    if post.status is not PostStatus.PUBLISHING or status not in _ENDINGS:
        return post, ()
    ended = replace(post, status=status, workflow_id=None, pending_workflow_id=None)
    return ended, (Announcement(type=_ENDINGS[status]),)


def _claimable(post: Post, target_id: str, workflow_id: str) -> Target | None:
    target = post.target(target_id)
    if (
        target is None
        or post.deleted_at is not None
        or post.status is not PostStatus.PUBLISHING
        or target.status is not TargetStatus.SCHEDULED
        or target.workflow_id != workflow_id
    ):
        return None
    return target


def _is_missed(target: Target, now: datetime) -> bool:
    due = target.next_attempt_at or target.scheduled_for
    return due is not None and now > due + MISSED_AFTER


def _miss(post: Post, target_ids: Collection[str], now: datetime) -> Change:
    targets = tuple(
        _failed(
            target,
            MISSED_SCHEDULE,
            "Its time passed by more than an hour before it could go.",
        )
        if target.id in target_ids
        else target
        for target in post.targets
    )
    after, announce = _concluded(replace(post, status=PostStatus.PUBLISHING, targets=targets))
    after = replace(after, attention_at=_attention(after, now))
    return change(
        post,
        after,
        now=now,
        actor=SERVICE,
        touch_post=True,
        announce=announce,
        relied_on=tuple(
            RowCheck(row=target) for target in post.targets if target.id not in target_ids
        ),
    )


def _failed(target: Target, code: str, message: str) -> Target:
    return replace(
        target,
        status=TargetStatus.FAILED,
        error_code=code,
        error_message=message,
        next_attempt_at=None,
    )


def _released(
    post: Post, target: Target, result: Released, now: datetime
) -> tuple[Target, tuple[Effect, ...]]:
    noted = replace(target, error_code=result.code, error_message=result.message)
    if post.status is PostStatus.CANCELED:
        return replace(noted, status=TargetStatus.CANCELED, workflow_id=None), ()
    if target.attempt_count >= MOST_ATTEMPTS or target.workflow_id is None:
        return _failed(noted, result.code, result.message), ()
    gap = max(RETRY_GAPS[target.attempt_count - 1], min(result.retry_after or 0, LONGEST_GAP))
    again_at = now + timedelta(seconds=gap)
    waiting = replace(noted, status=TargetStatus.SCHEDULED, next_attempt_at=again_at)
    return waiting, (
        PublishTarget(
            post_id=post.id,
            target_id=target.id,
            workflow_id=target.workflow_id,
            delay_seconds=_seconds_until(again_at, now),
        ),
    )


# Looking after


def expired(post: Post, *, now: datetime) -> tuple[ResolveTarget, ...]:
    """Return what to ask the platforms: one question for each claim that has run out."""
    return tuple(
        ResolveTarget(post_id=post.id, target_id=target.id, claim_id=target.claim_id)
        for target in post.targets
        if target.status is TargetStatus.PUBLISHING
        and target.claim_id is not None
        and target.claimed_until is not None
        and target.claimed_until < now
    )


def stalled(post: Post, *, now: datetime) -> tuple[PublishTarget, ...]:
    """Return the messages to send again for targets whose attempt should have begun long ago."""
    if post.status is not PostStatus.PUBLISHING:
        return ()
    return tuple(
        PublishTarget(post_id=post.id, target_id=target.id, workflow_id=target.workflow_id)
        for target in post.targets
        if target.status is TargetStatus.SCHEDULED
        and target.workflow_id is not None
        and (due := target.next_attempt_at or target.scheduled_for) is not None
        and due + OVERDUE_AFTER <= now
    )


def _attention(post: Post, now: datetime) -> datetime | None:
    if post.pending_workflow_id is not None:
        return now + ARMING_GRACE
    if post.status is PostStatus.SCHEDULED and post.scheduled_at is not None:
        return post.scheduled_at + OVERDUE_AFTER
    if any(target.status in _MOVING for target in post.targets):
        return now + LEASE
    return None


def _with(post: Post, changed: Target) -> Post:
    return replace(
        post,
        targets=tuple(changed if target.id == changed.id else target for target in post.targets),
    )


def _seconds_until(at: datetime | None, now: datetime) -> int:
    """Whole seconds, rounded up, never negative."""
    return 0 if at is None else max(0, -(-(at - now) // timedelta(seconds=1)))
