"""Stopping a post, wholly or in part, and deleting it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from postbreeze.domain.changes import Announcement, Change, change
from postbreeze.domain.errors import Detail, LostRaceError, PostNotCancelableError, ValidationError
from postbreeze.domain.events import EventType
from postbreeze.domain.post import Post, PostStatus, Target, TargetStatus
from postbreeze.domain.transitions.basics import (
    NOT_STARTED,
    attention,
    disarmings,
    may_be_public,
    stopped,
)
from postbreeze.domain.transitions.concluding import concluded

_STOPPABLE: Mapping[PostStatus, frozenset[TargetStatus]] = {
    PostStatus.SCHEDULED: NOT_STARTED,
    PostStatus.NEEDS_APPROVAL: NOT_STARTED,
    PostStatus.PUBLISHING: NOT_STARTED,
    PostStatus.PARTIALLY_PUBLISHED: NOT_STARTED | {TargetStatus.FAILED},
}
"""What a cancel must find at least one of, by the post's status."""

_CANCELLED_ALONG = frozenset(
    {PostStatus.SCHEDULED, PostStatus.NEEDS_APPROVAL, PostStatus.PUBLISHING}
)
"""What a deletion cancels first."""

_STOPPED_ALONG = NOT_STARTED | {TargetStatus.FAILED}
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
class Deletion:
    """A deletion's change, and each outcome of the cancel that went with it, if one did."""

    change: Change
    outcomes: Outcomes | None

    @property
    def document(self) -> dict[str, Any] | None:
        """The wire form of the outcomes."""
        return None if self.outcomes is None else {"targets": _outcome_documents(self.outcomes)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stop:
    """What stopping some targets makes of a post."""

    after: Post
    outcomes: Outcomes
    announce: tuple[Announcement, ...]


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
    keeps the post's status and schedule. A target that may be, or become, public, because
    an attempt at it broke off, is FAILED from then on and never said to be canceled.

    Raises:
        PostNotCancelableError: Nothing can be stopped.
        ValidationError: A chosen target is not one of the post's.
        LostRaceError: What was read cannot be: it has to be read again.
    """
    if post.status is PostStatus.CANCELED and any(
        target.status in NOT_STARTED for target in post.targets
    ):
        raise LostRaceError("a cancel was read half way")
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
    stoppable = any(_can_stop(target, _STOPPABLE[post.status]) for target in chosen)
    gives_up = target_ids is None and post.status is PostStatus.PARTIALLY_PUBLISHED
    if not stoppable and not gives_up:
        if all(outcome is Outcome.ALREADY_CANCELED for _, outcome in before):
            return Cancellation(change=Change(before=post, after=post), outcomes=before)
        raise PostNotCancelableError(post.status, _outcome_documents(before))
    stop = _stop(post, chosen, whole=target_ids is None, actor=actor, reason=reason, now=now)
    after = replace(stop.after, attention_at=attention(stop.after, now))
    return Cancellation(
        change=change(
            post,
            after,
            now=now,
            actor=actor,
            touch_post=True,
            announce=stop.announce,
            effects=disarmings(post, after),
        ),
        outcomes=stop.outcomes,
    )


def delete(post: Post, *, actor: str, now: datetime) -> Deletion:
    """Delete a post for good; what of it waits to be published is cancelled with it.

    From here on nothing of it can begin to be published. A target that is in flight finishes.
    """
    stop = None
    if post.status in _CANCELLED_ALONG and any(
        _can_stop(target, NOT_STARTED) for target in post.targets
    ):
        stop = _stop(post, post.targets, whole=True, actor=actor, reason=None, now=now)
    after = replace(
        post if stop is None else stop.after,
        deleted_at=now,
        workflow_id=None,
        pending_workflow_id=None,
        pending_event=None,
    )
    after = replace(after, attention_at=attention(after, now))
    announce = () if stop is None else stop.announce
    return Deletion(
        change=change(
            post,
            after,
            now=now,
            actor=actor,
            announce=(*announce, Announcement(type=EventType.POST_DELETED)),
            effects=disarmings(post, after),
        ),
        outcomes=None if stop is None else stop.outcomes,
    )


def _stop(
    post: Post,
    chosen: Collection[Target],
    *,
    whole: bool,
    actor: str,
    reason: str | None,
    now: datetime,
) -> _Stop:
    stopping = {target.id for target in chosen if _can_stop(target, _STOPPED_ALONG)}
    outcomes = tuple(
        (target.id, _standing(stopped(target) if target.id in stopping else target))
        for target in chosen
    )
    outcomes = tuple(
        (target_id, Outcome.CANCELED)
        if target_id in stopping and outcome is Outcome.ALREADY_CANCELED
        else (target_id, outcome)
        for target_id, outcome in outcomes
    )
    targets = tuple(stopped(target) if target.id in stopping else target for target in post.targets)
    cancellation = {"cancellation": {"targets": _outcome_documents(outcomes)}}
    if whole or not any(_is_left(post, target) for target in targets):
        after = replace(
            post,
            status=PostStatus.CANCELED,
            workflow_id=None,
            pending_workflow_id=None,
            pending_event=None,
            canceled_at=now,
            canceled_by_user_id=actor,
            cancel_reason=reason,
            targets=targets,
        )
        announce: tuple[Announcement, ...] = (
            Announcement(type=EventType.POST_CANCELLED, extra=cancellation, reason=reason),
        )
    else:
        after, ended = concluded(replace(post, targets=targets))
        announce = (
            Announcement(type=EventType.POST_TARGETS_CANCELLED, extra=cancellation, reason=reason),
            *ended,
        )
    return _Stop(after=after, outcomes=outcomes, announce=announce)


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
    has_ended = target.status in {TargetStatus.CANCELED, TargetStatus.FAILED}
    return has_ended and not may_be_public(target)


def _can_stop(target: Target, states: Collection[TargetStatus]) -> bool:
    """Tell whether a target is in one of these states, and stopping it would change anything."""
    failed = target.status is TargetStatus.FAILED
    return target.status in states and not (failed and may_be_public(target))


def _is_left(post: Post, target: Target) -> bool:
    """Tell whether a post's publishing still has to do with a target, or will have."""
    if target.status in NOT_STARTED:
        return True
    if post.status in {PostStatus.SCHEDULED, PostStatus.NEEDS_APPROVAL}:
        # What an earlier publishing left in flight, or failed, the next one leaves alone.
        return False
    if target.status is TargetStatus.PUBLISHING:
        return target.workflow_id == post.workflow_id
    return target.status is TargetStatus.FAILED


def _standing(target: Target) -> Outcome:
    """Tell what a cancel finds; of the other states only a failed one is ever told."""
    return _STANDING.get(target.status, Outcome.FAILED)


def _outcome_documents(outcomes: Outcomes) -> list[dict[str, str]]:
    return [{"id": target_id, "outcome": outcome.value} for target_id, outcome in outcomes]
