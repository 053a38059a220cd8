"""Cancelling as a decision: the whole table, chosen targets, history, and what is relied on."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from postbreeze.domain import lifecycle
from postbreeze.domain.changes import DisarmSchedule
from postbreeze.domain.errors import LostRaceError, PostNotCancelableError, ValidationError
from postbreeze.domain.events import EventType
from postbreeze.domain.lifecycle import Cancellation
from postbreeze.domain.post import Post, PostStatus, TargetStatus
from tests.support.builders import a_post
from tests.support.fakes import START

NOW = START + timedelta(minutes=5)
S, P, D = TargetStatus.SCHEDULED, TargetStatus.PUBLISHED, TargetStatus.DRAFT
F, C, X, G = (
    TargetStatus.FAILED,
    TargetStatus.CANCELED,
    TargetStatus.SKIPPED,
    TargetStatus.PUBLISHING,
)


def cancel(post: Post, *chosen: int, reason: str | None = None) -> Cancellation:
    ids = tuple(post.targets[index].id for index in chosen) or None
    return lifecycle.cancel(post, actor="usr_1", now=NOW, reason=reason, target_ids=ids)


def told(cancellation: Cancellation) -> list[str]:
    return [outcome.value for _, outcome in cancellation.outcomes]


def ends(cancellation: Cancellation) -> list[TargetStatus]:
    return [target.status for target in cancellation.change.after.targets]


WHOLE = [
    (PostStatus.SCHEDULED, (S, S, S), (C, C, C), ["canceled"] * 3),
    (PostStatus.SCHEDULED, (S, C), (C, C), ["canceled", "already_canceled"]),
    (PostStatus.SCHEDULED, (S, X), (C, X), ["canceled", "skipped"]),
    (PostStatus.NEEDS_APPROVAL, (D, D), (C, C), ["canceled"] * 2),
    (PostStatus.PUBLISHING, (S, G), (C, G), ["canceled", "in_flight"]),
    (PostStatus.PUBLISHING, (S, P), (C, P), ["canceled", "already_published"]),
    (PostStatus.PUBLISHING, (S, F, X), (C, C, X), ["canceled", "canceled", "skipped"]),
    (
        PostStatus.PARTIALLY_PUBLISHED,
        (P, F, S, X, C),
        (P, C, C, X, C),
        ["already_published", "canceled", "canceled", "skipped", "already_canceled"],
    ),
]


@pytest.mark.parametrize(("status", "before", "after", "outcomes"), WHOLE)
def test_a_whole_cancel_stops_what_has_not_begun_and_nothing_else(
    status: PostStatus,
    before: tuple[TargetStatus, ...],
    after: tuple[TargetStatus, ...],
    outcomes: list[str],
) -> None:
    # Given
    post = a_post(status, before)
    # When
    cancellation = cancel(post, reason="mistake")
    # Then
    change = cancellation.change
    assert tuple(ends(cancellation)) == after
    assert told(cancellation) == outcomes
    assert change.after.status is PostStatus.CANCELED
    assert change.after.workflow_id is None
    assert change.after.pending_workflow_id is None
    assert (change.after.canceled_at, change.after.canceled_by_user_id) == (NOW, "usr_1")
    assert change.after.cancel_reason == "mistake"
    [event] = change.events
    assert event.type == "post.cancelled"
    assert event.reason == "mistake"
    assert event.payload["cancellation"] == cancellation.document
    for old, new in zip(post.targets, change.after.targets, strict=True):
        if old.status is new.status:
            assert new == old, "what was not stopped must stay exactly as it is"
        else:
            assert new.workflow_id is None


@pytest.mark.parametrize("status", [PostStatus.DRAFT, PostStatus.FAILED, PostStatus.PUBLISHED])
def test_a_post_that_is_not_on_its_way_is_not_cancelable(status: PostStatus) -> None:
    # Given
    post = a_post(status)
    # When / Then
    with pytest.raises(PostNotCancelableError) as refused:
        cancel(post)
    assert refused.value.status == status
    assert refused.value.targets == ()


def test_a_post_all_of_whose_targets_have_begun_is_not_cancelable_and_tells_why() -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (G, P, F, X, C))
    # When / Then
    with pytest.raises(PostNotCancelableError) as refused:
        cancel(post)
    assert refused.value.status == "PUBLISHING"
    outcomes = ["in_flight", "already_published", "failed", "skipped", "already_canceled"]
    assert list(refused.value.targets) == [
        {"id": target.id, "outcome": outcome}
        for target, outcome in zip(post.targets, outcomes, strict=True)
    ]


@pytest.mark.parametrize("chosen", [(), (0,), (0, 1, 2, 3)])
def test_cancelling_again_changes_nothing_and_tells_what_became_of_each(
    chosen: tuple[int, ...],
) -> None:
    # Given
    post = a_post(PostStatus.CANCELED, (C, P, G, F))
    # When
    cancellation = cancel(post, *chosen)
    # Then
    assert cancellation.change.is_empty
    assert cancellation.change.after == post
    assert cancellation.change.events == ()
    outcomes = ["already_canceled", "already_published", "in_flight", "already_canceled"]
    assert told(cancellation) == outcomes[: len(chosen) or 4]


def test_history_is_kept() -> None:
    # Given a post one of whose targets has failed
    post = a_post(PostStatus.PARTIALLY_PUBLISHED, (P, F))
    # When
    after = cancel(post).change.after
    # Then
    assert after.scheduled_at == post.scheduled_at is not None
    assert [target.scheduled_for for target in after.targets] == [post.scheduled_at] * 2
    assert after.targets[1].error_code == "PLATFORM_REJECTED"
    assert after.targets[1].error_message == "No."
    assert after.targets[1].attempt_count == 1


@pytest.mark.parametrize("is_pending", [False, True])
def test_the_schedule_is_to_be_removed_be_it_armed_or_pending(is_pending: bool) -> None:
    # Given
    post = a_post(pending=is_pending)
    # When
    change = cancel(post).change
    # Then
    assert change.effects == (DisarmSchedule(workflow_id=f"{post.id}-1"),)
    assert change.after.attention_at is None


def test_a_cancel_relies_on_what_it_does_not_stop_and_writes_the_posts_row() -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (S, G, P))
    # When
    change = cancel(post).change
    # Then
    assert [check.row for check in change.relied_on] == list(post.targets[1:])
    assert [write.row.id for write in change.writes] == [post.id, post.targets[0].id]
    assert change.after.attention_at == NOW + lifecycle.LEASE


# Targets that may be public


def unknown(post: Post, *places: int, code: str = lifecycle.OUTCOME_UNKNOWN) -> Post:
    """Have targets that failed at these places be ones whose attempt broke off."""
    targets = tuple(
        replace(target, error_code=code) if index in places else target
        for index, target in enumerate(post.targets)
    )
    return replace(post, targets=targets)


@pytest.mark.parametrize("code", [lifecycle.OUTCOME_UNKNOWN, lifecycle.NOT_COMPLETED])
@pytest.mark.parametrize(
    ("status", "before", "after", "outcomes"),
    [
        (PostStatus.PUBLISHING, (F, S), (F, C), ["failed", "canceled"]),
        (PostStatus.PARTIALLY_PUBLISHED, (F, P, F), (F, P, C), ["failed", "already_published"]),
        (PostStatus.PARTIALLY_PUBLISHED, (F, P), (F, P), ["failed", "already_published"]),
    ],
)
def test_a_whole_cancel_leaves_what_may_be_public_failed_and_says_so(
    status: PostStatus,
    before: tuple[TargetStatus, ...],
    after: tuple[TargetStatus, ...],
    outcomes: list[str],
    code: str,
) -> None:
    # Given
    post = unknown(a_post(status, before), 0, code=code)
    # When
    cancellation = cancel(post)
    # Then
    change = cancellation.change
    assert change.after.status is PostStatus.CANCELED
    assert tuple(ends(cancellation)) == after
    assert told(cancellation)[:2] == outcomes
    assert change.after.targets[0] == post.targets[0]
    assert post.targets[0] in [check.row for check in change.relied_on]
    assert [event.type for event in change.events] == ["post.cancelled"]


@pytest.mark.parametrize("status", [PostStatus.PARTIALLY_PUBLISHED, PostStatus.PUBLISHING])
def test_what_may_be_public_cannot_be_chosen_to_be_stopped(status: PostStatus) -> None:
    # Given
    post = unknown(a_post(status, (F, P)), 0)
    # When / Then
    with pytest.raises(PostNotCancelableError) as refused:
        cancel(post, 0)
    assert list(refused.value.targets) == [{"id": post.targets[0].id, "outcome": "failed"}]


def test_a_chosen_cancel_beside_what_may_be_public_leaves_the_post_as_it_ended() -> None:
    # Given
    post = unknown(a_post(PostStatus.PARTIALLY_PUBLISHED, (F, P, F)), 0)
    # When
    cancellation = cancel(post, 0, 2)
    # Then
    assert told(cancellation) == ["failed", "canceled"]
    assert ends(cancellation) == [F, P, C]
    assert cancellation.change.after.status is PostStatus.PARTIALLY_PUBLISHED


def test_what_may_be_public_is_never_said_to_be_cancelled_already() -> None:
    # Given a target that was in flight when its post was cancelled and whose outcome stayed unknown
    post = unknown(a_post(PostStatus.CANCELED, (F, F, C)), 0)
    # When
    cancellation = cancel(post)
    # Then
    assert cancellation.change.is_empty
    assert told(cancellation) == ["failed", "already_canceled", "already_canceled"]


# Chosen targets


def test_chosen_targets_are_stopped_and_the_post_stands() -> None:
    # Given
    post = a_post(PostStatus.SCHEDULED, (S, S, S))
    # When
    cancellation = cancel(post, 1, reason="not there")
    # Then
    change = cancellation.change
    assert ends(cancellation) == [S, C, S]
    assert told(cancellation) == ["canceled"]
    assert change.after.status is PostStatus.SCHEDULED
    assert change.after.workflow_id == post.workflow_id
    assert change.after.attention_at == post.attention_at
    assert change.after.canceled_at is None
    assert change.effects == ()
    assert [check.row for check in change.relied_on] == [post.targets[0], post.targets[2]]
    [event] = change.events
    assert (event.type, event.reason) == ("post.targets_cancelled", "not there")
    assert event.payload["cancellation"] == cancellation.document
    assert [write.row.id for write in change.writes] == [post.id, post.targets[1].id]


def test_the_post_is_cancelled_with_the_last_of_its_targets() -> None:
    # Given
    post = a_post(PostStatus.SCHEDULED, (C, S, X))
    # When
    cancellation = cancel(post, 1, reason="all gone")
    # Then
    assert cancellation.change.after.status is PostStatus.CANCELED
    assert cancellation.change.after.cancel_reason == "all gone"
    assert [event.type for event in cancellation.change.events] == ["post.cancelled"]


def test_a_post_with_a_target_in_flight_goes_on() -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (S, G))
    # When
    after = cancel(post, 0).change.after
    # Then
    assert after.status is PostStatus.PUBLISHING
    assert after.workflow_id == post.workflow_id


@pytest.mark.parametrize(
    ("before", "status", "events"),
    [
        (
            (S, P, F),
            PostStatus.PARTIALLY_PUBLISHED,
            ["post.targets_cancelled", "post.partially_published"],
        ),
        ((S, F), PostStatus.FAILED, ["post.targets_cancelled", "post.failed"]),
        ((S, P), PostStatus.CANCELED, ["post.cancelled"]),
    ],
)
def test_a_post_ends_where_the_last_moving_target_is_stopped(
    before: tuple[TargetStatus, ...], status: PostStatus, events: list[str]
) -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, before)
    # When
    change = cancel(post, 0).change
    # Then
    assert change.after.status is status
    assert [event.type for event in change.events] == events
    assert change.after.workflow_id is None
    assert change.after.attention_at is None


def test_failed_targets_can_be_chosen_where_the_post_is_partially_published() -> None:
    # Given
    post = a_post(PostStatus.PARTIALLY_PUBLISHED, (P, F, F))
    # When
    cancellation = cancel(post, 1)
    # Then
    assert ends(cancellation) == [P, C, F]
    assert cancellation.change.after.status is PostStatus.PARTIALLY_PUBLISHED
    assert [event.type for event in cancellation.change.events] == ["post.targets_cancelled"]


def test_chosen_targets_that_are_cancelled_already_change_nothing() -> None:
    # Given
    post = a_post(PostStatus.SCHEDULED, (C, S))
    # When
    cancellation = cancel(post, 0)
    # Then
    assert cancellation.change.is_empty
    assert told(cancellation) == ["already_canceled"]


@pytest.mark.parametrize(
    ("status", "before"),
    [
        (PostStatus.PUBLISHING, (G, S)),
        (PostStatus.PUBLISHING, (P, S)),
        (PostStatus.PUBLISHING, (F, S)),
        (PostStatus.PARTIALLY_PUBLISHED, (P, F)),
    ],
)
def test_chosen_targets_that_cannot_be_stopped_are_refused(
    status: PostStatus, before: tuple[TargetStatus, ...]
) -> None:
    with pytest.raises(PostNotCancelableError):
        cancel(a_post(status, before), 0)


@pytest.mark.parametrize("status", PostStatus)
def test_targets_of_other_posts_are_refused_with_their_places(status: PostStatus) -> None:
    # Given
    post = a_post(status, (C, C) if status is PostStatus.CANCELED else (S, S))
    ids = ("tgt_x", post.targets[0].id, "tgt_y")
    # When / Then
    with pytest.raises(ValidationError) as refused:
        lifecycle.cancel(post, actor="me", now=NOW, target_ids=ids)
    assert [detail.path for detail in refused.value.details] == ["targetIds.0", "targetIds.2"]


@pytest.mark.parametrize("status", PostStatus)
def test_published_in_flight_and_skipped_targets_are_never_touched(status: PostStatus) -> None:
    for before in itertools.product(TargetStatus, repeat=3):
        for chosen in ((), (0,), (1, 2)):
            # Given
            post = a_post(status, before)
            # When
            try:
                after = cancel(post, *chosen).change.after
            except PostNotCancelableError:
                continue
            except LostRaceError:
                # No post is ever like this: it was read while a cancel was being written.
                assert status is PostStatus.CANCELED
                assert {S, D} & set(before)
                continue
            # Then
            for old, new in zip(post.targets, after.targets, strict=True):
                if old.status in {P, G, X, C}:
                    assert new == old
                else:
                    assert new.status in {old.status, C}


def test_a_cancel_that_was_read_half_way_is_read_again() -> None:
    # Given a post that says it is cancelled, a target of which still waits
    post = a_post(PostStatus.CANCELED, (C, S))
    # When / Then
    with pytest.raises(LostRaceError):
        cancel(post)


def test_a_cancelled_post_and_its_targets_keep_nothing_of_what_was_to_come() -> None:
    # Given a post about to be put on the clock anew, one of whose targets was to be tried again
    post = a_post(pending=True, pending_event=EventType.POST_RESCHEDULED)
    waiting = replace(post.targets[0], next_attempt_at=NOW)
    post = replace(post, targets=(waiting, *post.targets[1:]))
    # When
    after = cancel(post).change.after
    # Then
    assert (after.workflow_id, after.pending_workflow_id, after.pending_event) == (None,) * 3
    assert {target.next_attempt_at for target in after.targets} == {None}


@pytest.mark.parametrize("left", [F, G])
@pytest.mark.parametrize("status", [PostStatus.SCHEDULED, PostStatus.NEEDS_APPROVAL])
def test_what_an_earlier_publishing_left_keeps_no_post_from_being_cancelled(
    status: PostStatus, left: TargetStatus
) -> None:
    # Given a post that waits to publish one target, and has another from before
    post = a_post(status, (S if status is PostStatus.SCHEDULED else D, left))
    # When the one is cancelled
    cancellation = cancel(post, 0)
    # Then so is the post
    assert cancellation.change.after.status is PostStatus.CANCELED
    assert [event.type for event in cancellation.change.events] == ["post.cancelled"]
