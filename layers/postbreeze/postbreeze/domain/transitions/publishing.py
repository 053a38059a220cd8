"""Publishing a post target by target, and what an attempt comes to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from postbreeze.domain.changes import (
    Change,
    Effect,
    PublishTarget,
    ResolveTarget,
    RowCheck,
    change,
)
from postbreeze.domain.errors import (
    FirstCommentNotRetriableError,
    NotFoundError,
    NothingToRetryError,
    RateLimitedError,
)
from postbreeze.domain.post import Post, PostStatus, Target, TargetStatus
from postbreeze.domain.transitions.basics import (
    COMMENT_COOLDOWN,
    FIRST_COMMENT_PENDING,
    LEASE,
    MOVING,
    OVERDUE_AFTER,
    SERVICE,
    afresh,
    attention,
    due_at,
    is_missed,
    is_overdue,
    is_too_early,
    seconds_until,
    stopped,
    with_error,
    workflow_name,
)
from postbreeze.domain.transitions.concluding import concluded

MOST_ATTEMPTS = 5

RETRY_GAPS = (5, 30, 120, 300)
"""Seconds before the second to the fifth attempt of a target for which nothing was sent."""

LONGEST_GAP = 900
"""The most seconds a platform can ask us to wait: the longest delay of an SQS message."""

MISSED_SCHEDULE = "MISSED_SCHEDULE"


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


def start(post: Post, workflow_id: str, *, now: datetime) -> Change | None:
    """Answer a fire: begin publishing, or repeat the messages of one that began before.

    Returns None for a fire that is not of the workflow in force, or comes minutes too early. One
    that is a moment early sends messages that wait. More than an hour late nothing goes out: what
    has not begun fails as missed.
    """
    if post.deleted_at is not None or post.workflow_id != workflow_id or is_too_early(post, now):
        return None
    if late := missed(post, now=now):
        return _miss(post, late, now)
    waiting = [target for target in post.targets if target.status is TargetStatus.SCHEDULED]
    if post.status is PostStatus.SCHEDULED:
        after = replace(post, status=PostStatus.PUBLISHING)
        after = replace(after, attention_at=attention(after, now))
    elif post.status is PostStatus.PUBLISHING:
        after = post
    else:
        return None
    effects = tuple(_message(post, target, workflow_id, now) for target in waiting)
    return change(post, after, now=now, actor=SERVICE, effects=effects)


def claim(
    post: Post, target_id: str, workflow_id: str, claim_id: str, *, now: datetime
) -> Change | None:
    """Take one target for one attempt; the last thing before its platform is called.

    Returns None where the target is not this workflow's to publish: cancelled, claimed, settled,
    armed anew, deleted, not due yet. A target that is more than an hour late fails as missed
    instead.
    """
    target = _claimable(post, target_id, workflow_id)
    if target is None:
        return None
    if is_missed(target, now):
        return _miss(post, [target.id], now)
    due = due_at(target)
    if due is not None and now < due:
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
    """Return the message to send again for a target whose attempt is still to come."""
    target = _claimable(post, target_id, workflow_id)
    if target is None or seconds_until(due_at(target), now) == 0:
        return None
    return _message(post, target, workflow_id, now)


def settle(
    post: Post, target_id: str, claim_id: str, result: Result, *, now: datetime
) -> Change | None:
    """Record what became of a claim.

    Returns None where the claim does not hold the target. A released target of a post that was
    cancelled meanwhile becomes CANCELED; one that has used up its attempts becomes FAILED. That
    an earlier attempt may have published it is forgotten only when it is PUBLISHED.
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
    """End a post's publishing once no target is moving; None while one is, or if it has ended.

    A scheduled post, whose earlier publishing may have left targets in flight, only has the moment
    of its next look set anew.
    """
    if post.status is PostStatus.SCHEDULED:
        if post.attention_at is None or post.attention_at > now or is_overdue(post, now):
            return None
    elif any(target.status in MOVING for target in post.targets):
        return None
    after, announce = concluded(post)
    after = replace(after, attention_at=attention(after, now))
    if after == post:
        return None
    return change(post, after, now=now, actor=SERVICE, announce=announce)


# Again, because a client asks for it


def retry(post: Post, *, now: datetime, actor: str) -> Change:
    """Publish at once what failed, and nothing else.

    Asking for it is a person's decision, also where nobody knows what became of the attempt before.

    Raises:
        NothingToRetryError: Nothing has failed, or the post is in no state to publish anything.
    """
    failed = {target.id for target in post.targets if target.status is TargetStatus.FAILED}
    if post.status not in _RETRIABLE or not failed:
        raise NothingToRetryError(post.status)
    generation = post.generation
    if post.workflow_id is None:
        generation += 1
    workflow_id = post.workflow_id or workflow_name(post.id, generation)
    after = replace(
        post,
        status=PostStatus.PUBLISHING,
        generation=generation,
        workflow_id=workflow_id,
        targets=tuple(
            replace(
                afresh(target, status=TargetStatus.SCHEDULED, scheduled_for=now),
                workflow_id=workflow_id,
            )
            if target.id in failed
            else target
            for target in post.targets
        ),
    )
    return change(
        post,
        replace(after, attention_at=attention(after, now)),
        now=now,
        actor=actor,
        # Whoever ends the publishing just now decides on what it read of these.
        touch_post=True,
        effects=tuple(
            PublishTarget(
                workspace_id=post.workspace_id,
                post_id=post.id,
                target_id=target.id,
                workflow_id=workflow_id,
            )
            for target in post.targets
            if target.id in failed
        ),
    )


def retry_first_comment(post: Post, target_id: str, *, now: datetime, actor: str) -> Change:
    """Have a published target's first comment made that could not be made before.

    Raises:
        NotFoundError: The post has no such target.
        FirstCommentNotRetriableError: It is not published, or its first comment is not owed.
        RateLimitedError: The last attempt was less than half a minute ago.
    """
    target = post.target(target_id)
    if target is None:
        raise NotFoundError
    if (
        target.status is not TargetStatus.PUBLISHED
        or target.published_at is None
        or target.workflow_id is None
        or None in (target.external_post_id, target.first_comment, target.first_comment_error)
    ):
        raise FirstCommentNotRetriableError(target.status)
    again_at = (target.first_comment_retried_at or target.published_at) + COMMENT_COOLDOWN
    if now < again_at:
        raise RateLimitedError((again_at - now) // timedelta(milliseconds=1))
    asked = replace(target, first_comment_error=FIRST_COMMENT_PENDING, first_comment_retried_at=now)
    after = _with(post, asked)
    return change(
        post,
        replace(after, attention_at=attention(after, now)),
        now=now,
        actor=actor,
        effects=(
            PublishTarget(
                workspace_id=post.workspace_id,
                post_id=post.id,
                target_id=target.id,
                workflow_id=target.workflow_id,
            ),
        ),
    )


# What all of it comes to


_RETRIABLE = frozenset({PostStatus.PUBLISHING, PostStatus.PARTIALLY_PUBLISHED, PostStatus.FAILED})


def _claimable(post: Post, target_id: str, workflow_id: str) -> Target | None:
    target = post.target(target_id)
    if (
        target is None
        or post.deleted_at is not None
        or post.status is not PostStatus.PUBLISHING
        or target.status is not TargetStatus.SCHEDULED
        or post.workflow_id != workflow_id
        or target.workflow_id != workflow_id
    ):
        return None
    return target


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
    after, announce = concluded(replace(post, status=PostStatus.PUBLISHING, targets=targets))
    after = replace(after, attention_at=attention(after, now))
    return change(
        post,
        after,
        now=now,
        actor=SERVICE,
        touch_post=True,
        announce=announce,
    )


def _failed(target: Target, code: str, message: str) -> Target:
    return replace(
        with_error(target, code, message), status=TargetStatus.FAILED, next_attempt_at=None
    )


def _released(
    post: Post, target: Target, result: Released, now: datetime
) -> tuple[Target, tuple[Effect, ...]]:
    noted = with_error(target, result.code, result.message)
    if (
        post.status is not PostStatus.PUBLISHING
        or post.deleted_at is not None
        or target.workflow_id is None
        or target.workflow_id != post.workflow_id
    ):
        # What it belonged to has been cancelled or deleted, or armed anew without it.
        return stopped(noted), ()
    if target.attempt_count >= MOST_ATTEMPTS:
        return _failed(noted, result.code, result.message), ()
    gap = max(RETRY_GAPS[target.attempt_count - 1], min(result.retry_after or 0, LONGEST_GAP))
    again_at = now + timedelta(seconds=gap)
    waiting = replace(noted, status=TargetStatus.SCHEDULED, next_attempt_at=again_at)
    return waiting, (_message(post, waiting, target.workflow_id, now),)


def _message(post: Post, target: Target, workflow_id: str, now: datetime) -> PublishTarget:
    """Build the message that has a target published when it is due, or looked at again by then."""
    return PublishTarget(
        workspace_id=post.workspace_id,
        post_id=post.id,
        target_id=target.id,
        workflow_id=workflow_id,
        delay_seconds=min(LONGEST_GAP, seconds_until(due_at(target), now)),
    )


def expired(post: Post, *, now: datetime) -> tuple[ResolveTarget, ...]:
    """Return what to ask the platforms: one question for each claim that has run out."""
    return tuple(
        ResolveTarget(
            workspace_id=post.workspace_id,
            post_id=post.id,
            target_id=target.id,
            claim_id=target.claim_id,
        )
        for target in post.targets
        if target.status is TargetStatus.PUBLISHING
        and target.claim_id is not None
        and target.claimed_until is not None
        and target.claimed_until < now
    )


def missed(post: Post, *, now: datetime) -> list[str]:
    """Return the ids of targets that wait, and are more than an hour late."""
    return [
        target.id
        for target in post.targets
        if target.status is TargetStatus.SCHEDULED and is_missed(target, now)
    ]


def stalled(post: Post, *, now: datetime) -> tuple[PublishTarget, ...]:
    """Return the messages to send again for what should have begun long ago."""
    return tuple(
        PublishTarget(
            workspace_id=post.workspace_id,
            post_id=post.id,
            target_id=target.id,
            workflow_id=target.workflow_id,
        )
        for target in post.targets
        if target.workflow_id is not None
        and (due := _began_at(post, target)) is not None
        and due + OVERDUE_AFTER <= now
    )


def _began_at(post: Post, target: Target) -> datetime | None:
    """Return when a target's attempt, or its first comment's, was to begin; None if it has."""
    if target.status is TargetStatus.SCHEDULED and post.status is PostStatus.PUBLISHING:
        return due_at(target)
    if target.first_comment_error == FIRST_COMMENT_PENDING:
        return target.first_comment_retried_at or target.published_at
    return None


def _with(post: Post, changed: Target) -> Post:
    return replace(
        post,
        targets=tuple(changed if target.id == changed.id else target for target in post.targets),
    )
