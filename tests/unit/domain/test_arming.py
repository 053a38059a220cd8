"""Putting posts on the clock: every state, names, approvals, and what stays as it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from postbreeze.domain import lifecycle
from postbreeze.domain.access import Role
from postbreeze.domain.changes import ArmSchedule, Change, DisarmSchedule
from postbreeze.domain.errors import PostNotSchedulableError, ValidationError
from postbreeze.domain.events import EventType
from postbreeze.domain.lifecycle import FURTHEST_AHEAD, OUTCOME_UNKNOWN
from postbreeze.domain.post import Post, PostStatus, TargetStatus
from tests.support.builders import LATER, a_post
from tests.support.fakes import START

NOW = START + timedelta(minutes=5)
AT = START + timedelta(hours=3)
S, P, D = TargetStatus.SCHEDULED, TargetStatus.PUBLISHED, TargetStatus.DRAFT
F, C, X, G = (
    TargetStatus.FAILED,
    TargetStatus.CANCELED,
    TargetStatus.SKIPPED,
    TargetStatus.PUBLISHING,
)
UNKNOWN: dict[str, Any] = {"error_code": OUTCOME_UNKNOWN, "error_message": "Who knows."}

TRANSITIONS = {"schedule": lifecycle.schedule, "reschedule": lifecycle.reschedule}


def put(post: Post, how: str = "reschedule", at: datetime = AT, role: Role = Role.EDITOR) -> Change:
    return TRANSITIONS[how](post, at, actor="usr_1", role=role, now=NOW)


def approve(post: Post) -> Change:
    return lifecycle.approve(post, actor="usr_1", now=NOW)


def with_target(post: Post, index: int = 0, **fields: Any) -> Post:
    targets = list(post.targets)
    targets[index] = replace(targets[index], **fields)
    return replace(post, targets=tuple(targets))


def ends(change: Change) -> tuple[TargetStatus, ...]:
    return tuple(target.status for target in change.after.targets)


TAKEN = {
    "schedule": {PostStatus.DRAFT, PostStatus.FAILED, PostStatus.CANCELED},
    "reschedule": {
        PostStatus.DRAFT,
        PostStatus.FAILED,
        PostStatus.CANCELED,
        PostStatus.SCHEDULED,
    },
}


@pytest.mark.parametrize("status", PostStatus)
@pytest.mark.parametrize("how", TAKEN)
def test_every_state_is_scheduled_or_refused(how: str, status: PostStatus) -> None:
    # Given
    post = a_post(status)
    # When / Then
    if status not in TAKEN[how]:
        with pytest.raises(PostNotSchedulableError) as refused:
            put(post, how)
        assert refused.value.status == status
        return
    change = put(post, how)
    after = change.after
    generation = post.generation + 1
    assert (after.status, after.scheduled_at) == (PostStatus.SCHEDULED, AT)
    assert (after.generation, after.workflow_id) == (generation, None)
    assert after.pending_workflow_id == f"{post.id}-{generation}"
    assert (after.canceled_at, after.canceled_by_user_id, after.cancel_reason) == (None,) * 3
    assert after.attention_at is not None
    assert change.events == ()
    for target in after.targets:
        assert (target.status, target.scheduled_for) == (S, AT)
        assert (target.workflow_id, target.next_attempt_at, target.attempt_count) == (None, None, 0)
        assert (target.error_code, target.error_message) == (None, None)
    arm = ArmSchedule(post_id=post.id, workflow_id=f"{post.id}-{generation}", at=AT)
    old = () if post.workflow_id is None else (DisarmSchedule(workflow_id=post.workflow_id),)
    assert change.effects == (arm, *old)


MIXED = [
    (PostStatus.CANCELED, (P, C, F, X, G), (P, S, S, X, G)),
    (PostStatus.FAILED, (F, C, X), (S, C, X)),
    (PostStatus.SCHEDULED, (S, C, X, F, G, P), (S, C, X, S, G, P)),
    (PostStatus.DRAFT, (D, C, P), (S, C, P)),
]


@pytest.mark.parametrize(("status", "before", "after"), MIXED)
def test_what_is_or_may_become_public_and_what_was_cancelled_by_itself_stays_as_it_is(
    status: PostStatus, before: tuple[TargetStatus, ...], after: tuple[TargetStatus, ...]
) -> None:
    # Given
    post = a_post(status, before)
    # When
    change = put(post)
    # Then
    assert ends(change) == after
    for old, new in zip(post.targets, change.after.targets, strict=True):
        assert new.status is S or new == old
    assert change.after.version > post.version


@pytest.mark.parametrize(
    ("status", "targets"),
    [
        (PostStatus.CANCELED, (P, G, X)),
        (PostStatus.FAILED, (C, C)),
        (PostStatus.DRAFT, (P,)),
    ],
)
def test_a_post_of_which_nothing_is_left_to_publish_is_refused(
    status: PostStatus, targets: tuple[TargetStatus, ...]
) -> None:
    with pytest.raises(PostNotSchedulableError):
        put(a_post(status, targets))


@pytest.mark.parametrize("how", TRANSITIONS)
@pytest.mark.parametrize(
    ("at", "fault"),
    [
        (NOW, "must be in the future"),
        (NOW - timedelta(days=1), "must be in the future"),
        (NOW + FURTHEST_AHEAD + timedelta(milliseconds=1), "must be at most one year ahead"),
    ],
)
def test_a_moment_that_is_past_or_too_far_ahead_is_refused(
    how: str, at: datetime, fault: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        put(a_post(PostStatus.CANCELED), how, at)
    [detail] = refused.value.details
    assert (detail.path, detail.message) == ("scheduledFor", fault)


def test_a_year_ahead_is_not_too_far() -> None:
    assert put(a_post(PostStatus.DRAFT), at=NOW + FURTHEST_AHEAD).after.status == "SCHEDULED"


# Two phases


def committed(post: Post) -> Change:
    assert post.pending_workflow_id is not None
    change = lifecycle.commit_arming(post, post.pending_workflow_id, now=NOW, actor="usr_1")
    assert change is not None
    return change


def test_who_was_told_of_a_time_is_told_of_another_one() -> None:
    # Given
    post = put(a_post(PostStatus.DRAFT)).after
    # When / Then what nobody was told of is told as the first
    again = put(post).after
    assert again.pending_event is EventType.POST_SCHEDULED
    armed = committed(again)
    assert [event.type for event in armed.events] == ["post.scheduled"]
    # And once it was told
    moved = put(armed.after).after
    assert moved.pending_event is EventType.POST_RESCHEDULED
    moved = put(moved).after
    assert moved.pending_event is EventType.POST_RESCHEDULED
    assert [event.type for event in committed(moved).events] == ["post.rescheduled"]
    # And after a cancel, which was told too
    cancelled = lifecycle.cancel(armed.after, actor="usr_1", now=NOW).change.after
    assert put(cancelled).after.pending_event is EventType.POST_SCHEDULED


def test_each_arming_has_a_name_of_its_own_and_puts_the_one_before_out_of_force() -> None:
    post = committed(put(a_post(PostStatus.DRAFT)).after).after
    names = [post.workflow_id]
    for _ in range(3):
        staged = put(post)
        assert DisarmSchedule(workflow_id=str(names[-1])) in staged.effects
        for name in names:
            assert lifecycle.start(staged.after, str(name), now=AT) is None
            assert lifecycle.commit_arming(staged.after, str(name), now=NOW, actor="x") is None
        post = committed(staged.after).after
        names.append(post.workflow_id)
    assert len(set(names)) == len(names)


def test_a_pending_arming_that_is_replaced_is_disarmed() -> None:
    post = a_post(PostStatus.SCHEDULED, pending=True)
    assert DisarmSchedule(workflow_id=f"{post.id}-1") in put(post).effects


def test_only_what_waits_is_put_under_the_workflow_that_comes_into_force() -> None:
    # Given
    staged = put(a_post(PostStatus.CANCELED, (P, C, G))).after
    # When
    after = committed(staged).after
    # Then
    assert after.targets[1].workflow_id == after.workflow_id
    assert (after.targets[0], after.targets[2]) == (staged.targets[0], staged.targets[2])
    assert (after.pending_workflow_id, after.pending_event) == (None, None)


def test_an_arming_from_before_its_event_was_kept_is_told_as_the_first() -> None:
    post = a_post(PostStatus.SCHEDULED, pending=True)
    assert [event.type for event in committed(post).events] == ["post.scheduled"]


def test_a_deleted_post_is_not_armed() -> None:
    post = a_post(PostStatus.SCHEDULED, pending=True, deleted_at=NOW)
    assert lifecycle.commit_arming(post, f"{post.id}-1", now=NOW, actor="x") is None


def test_a_fire_of_what_was_undone_publishes_nothing_before_its_new_time() -> None:
    # Given a post whose time has come, cancelled just before and put on the clock again
    post = a_post(PostStatus.SCHEDULED, scheduled_at=NOW)
    cancelled = lifecycle.cancel(post, actor="usr_1", now=NOW).change.after
    back = committed(put(cancelled).after).after
    # Then
    assert lifecycle.start(back, str(post.workflow_id), now=NOW) is None
    assert not any(
        lifecycle.is_claimable(back, target.id, str(post.workflow_id)) for target in back.targets
    )
    assert back.scheduled_at == AT


# What may be public


def test_what_may_be_public_is_never_said_to_be_canceled_also_after_it_was_armed_again() -> None:
    # Given
    post = with_target(a_post(PostStatus.FAILED, (F, F)), **UNKNOWN)
    # When
    armed = committed(put(post).after).after
    cancellation = lifecycle.cancel(armed, actor="usr_1", now=NOW)
    # Then
    assert armed.targets[0].error_code == OUTCOME_UNKNOWN
    assert [outcome.value for _, outcome in cancellation.outcomes] == ["failed", "canceled"]
    first = cancellation.change.after.targets[0]
    assert (first.status, first.error_code) == (F, OUTCOME_UNKNOWN)
    # And again
    again = lifecycle.cancel(cancellation.change.after, actor="usr_1", now=NOW)
    assert [outcome.value for _, outcome in again.outcomes] == ["failed", "already_canceled"]


def test_a_cancel_of_the_last_target_that_would_go_out_cancels_the_post() -> None:
    # Given a post on the clock again while a target of before is in flight, another may be public
    post = a_post(PostStatus.SCHEDULED, (G, F, S))
    post = with_target(with_target(post, 0, workflow_id=f"{post.id}-0"), 1, **UNKNOWN)
    # When
    cancellation = lifecycle.cancel(post, actor="usr_1", now=NOW, target_ids=[post.targets[2].id])
    # Then
    assert cancellation.change.after.status is PostStatus.CANCELED
    assert [event.type for event in cancellation.change.events] == ["post.cancelled"]


def test_a_cancel_of_the_last_target_of_a_publishing_that_only_an_older_one_outlives() -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (G, S))
    post = with_target(post, 0, workflow_id=f"{post.id}-0")
    # When
    cancellation = lifecycle.cancel(post, actor="usr_1", now=NOW, target_ids=[post.targets[1].id])
    # Then
    assert cancellation.change.after.status is PostStatus.CANCELED


# Approvals


@pytest.mark.parametrize("status", PostStatus)
def test_only_a_waiting_post_is_approved(status: PostStatus) -> None:
    post = a_post(status)
    if status is PostStatus.NEEDS_APPROVAL:
        after = approve(post).after
        assert (after.status, after.approved_by_user_id, after.approved_at) == (
            PostStatus.SCHEDULED,
            "usr_1",
            NOW,
        )
        assert after.scheduled_at == post.scheduled_at
        assert after.pending_workflow_id == f"{post.id}-1"
        return
    with pytest.raises(PostNotSchedulableError) as refused:
        approve(post)
    assert refused.value.status == status


@pytest.mark.parametrize("at", [NOW, NOW - timedelta(hours=1)])
def test_an_approval_that_comes_too_late_publishes_nothing(at: datetime) -> None:
    # When
    change = approve(a_post(PostStatus.NEEDS_APPROVAL, scheduled_at=at))
    # Then
    assert (change.after.status, ends(change)) == (PostStatus.DRAFT, (D, D))
    assert (change.after.approved_by_user_id, change.after.attention_at) == ("usr_1", None)
    assert (change.effects, change.events) == ((), ())


def test_an_approval_without_a_time_makes_a_draft() -> None:
    post = a_post(PostStatus.NEEDS_APPROVAL, (D,))
    change = approve(with_target(post, scheduled_for=None))
    assert change.after.status is PostStatus.DRAFT


def test_an_approval_arms_for_the_time_of_what_waits_not_of_what_ended_before() -> None:
    # Given
    post = a_post(PostStatus.NEEDS_APPROVAL, (F, C, D))
    post = with_target(post, 0, scheduled_for=START - timedelta(days=1))
    # When
    change = approve(post)
    # Then
    assert (change.after.status, ends(change)) == (PostStatus.SCHEDULED, (S, C, S))
    assert change.after.targets[0].scheduled_for == post.scheduled_at


@pytest.mark.parametrize("status", [PostStatus.DRAFT, PostStatus.FAILED, PostStatus.CANCELED])
def test_what_needs_an_approval_waits_for_it_when_an_editor_schedules_it(
    status: PostStatus,
) -> None:
    # Given
    post = a_post(status, requires_approval=True)
    # When
    change = put(post)
    # Then
    after = change.after
    assert (after.status, after.scheduled_at) == (PostStatus.NEEDS_APPROVAL, AT)
    assert (after.workflow_id, after.pending_workflow_id, after.canceled_at) == (None, None, None)
    assert (change.effects, change.events) == ((), ())
    assert {target.scheduled_for for target in after.targets} == {AT}
    assert set(ends(change)) == {D}
    assert approve(after).after.scheduled_at == AT


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN])
def test_a_managers_scheduling_is_an_approval(role: Role) -> None:
    after = put(a_post(PostStatus.CANCELED, requires_approval=True), role=role).after
    assert after.status is PostStatus.SCHEDULED
    assert (after.approved_by_user_id, after.approved_at) == ("usr_1", NOW)


def test_what_was_approved_once_is_scheduled_by_an_editor_as_it_stands() -> None:
    post = a_post(
        PostStatus.CANCELED, requires_approval=True, approved_at=START, approved_by_user_id="usr_9"
    )
    after = put(post).after
    assert (after.status, after.approved_by_user_id) == (PostStatus.SCHEDULED, "usr_9")


def test_a_moment_is_judged_also_where_the_post_has_to_wait() -> None:
    with pytest.raises(ValidationError):
        put(a_post(PostStatus.DRAFT, requires_approval=True), at=NOW)


def test_an_approval_arms_and_a_late_one_is_looked_after_from_now_on() -> None:
    # Given a post that waits, of which an earlier publishing left a target in flight
    post = a_post(PostStatus.NEEDS_APPROVAL, (D, G))
    # When it is approved in time, and too late
    armed = approve(post)
    late = lifecycle.approve(post, actor="usr_1", now=AT)
    # Then it is put on the clock, or at least what is in flight is looked after
    name = f"{post.id}-1"
    assert ArmSchedule(post_id=post.id, workflow_id=name, at=LATER) in armed.effects
    assert late.after.attention_at == AT + lifecycle.LEASE


def test_what_is_put_on_the_clock_again_has_nothing_of_its_cancel_nor_of_earlier_attempts() -> None:
    # Given a cancelled post one of whose targets had been waiting to be tried again
    post = a_post(PostStatus.CANCELED, cancel_reason="A mistake")
    post = with_target(post, next_attempt_at=START, attempt_count=3)
    # When
    after = put(post).after
    # Then
    assert (after.canceled_at, after.canceled_by_user_id, after.cancel_reason) == (None,) * 3
    assert [target.next_attempt_at for target in after.targets] == [None, None]
    assert [target.attempt_count for target in after.targets] == [0, 0]


@pytest.mark.parametrize("pending", [False, True])
def test_what_has_to_wait_for_an_approval_is_taken_off_the_clock(pending: bool) -> None:
    # Given a post that is on the clock, or about to be
    post = a_post(requires_approval=True, pending=pending, pending_event=EventType.POST_RESCHEDULED)
    # When
    after = put(post).after
    # Then
    assert after.status is PostStatus.NEEDS_APPROVAL
    assert (after.workflow_id, after.pending_workflow_id, after.pending_event) == (None,) * 3
