"""When a post is too early, overdue or missed, to the moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from postbreeze.domain.changes import DisarmSchedule
from postbreeze.domain.post import PostStatus, TargetStatus
from postbreeze.domain.transitions.basics import (
    EARLY_FIRE,
    MISSED_AFTER,
    NOT_COMPLETED,
    OUTCOME_UNKNOWN,
    OVERDUE_AFTER,
    attention,
    disarmings,
    is_missed,
    is_overdue,
    is_too_early,
    may_be_public,
    seconds_until,
)
from tests.support.builders import LATER, a_post, a_target
from tests.support.fakes import START

A_MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("now", "early"), [(LATER - EARLY_FIRE, False), (LATER - EARLY_FIRE - A_MOMENT, True)]
)
def test_a_fire_may_come_so_early_and_no_earlier(now: datetime, early: bool) -> None:
    assert is_too_early(a_post(PostStatus.SCHEDULED), now) is early


@pytest.mark.parametrize(
    ("now", "overdue"), [(LATER + OVERDUE_AFTER - A_MOMENT, False), (LATER + OVERDUE_AFTER, True)]
)
def test_a_fire_that_has_not_come_by_then_is_overdue(now: datetime, overdue: bool) -> None:
    assert is_overdue(a_post(PostStatus.SCHEDULED), now) is overdue


@pytest.mark.parametrize("status", sorted(frozenset(PostStatus) - {PostStatus.SCHEDULED}))
def test_only_what_is_scheduled_waits_for_a_fire(status: PostStatus) -> None:
    # Given a post in another state, with a time nevertheless
    post = replace(a_post(status), scheduled_at=LATER)
    # Then its fire is never too early, nor overdue
    assert not is_too_early(post, START)
    assert not is_overdue(post, LATER + timedelta(days=1))


def test_what_has_no_time_is_never_early_nor_late() -> None:
    # Given
    post = replace(a_post(PostStatus.SCHEDULED), scheduled_at=None)
    target = a_target(scheduled_for=None)
    # Then
    assert not is_too_early(post, START)
    assert not is_overdue(post, LATER + timedelta(days=1))
    assert not is_missed(target, LATER + timedelta(days=1))
    assert seconds_until(None, START) == 0
    assert attention(post, START) is None


@pytest.mark.parametrize(
    ("now", "missed"), [(LATER + MISSED_AFTER, False), (LATER + MISSED_AFTER + A_MOMENT, True)]
)
def test_a_target_may_go_out_so_late_and_no_later(now: datetime, missed: bool) -> None:
    assert is_missed(a_target(), now) is missed


@pytest.mark.parametrize(
    ("until", "seconds"),
    [(A_MOMENT, 1), (timedelta(seconds=1), 1), (timedelta(seconds=1, microseconds=1), 2)],
)
def test_a_wait_is_rounded_up_to_whole_seconds(until: timedelta, seconds: int) -> None:
    assert seconds_until(START + until, START) == seconds
    assert seconds_until(START - until, START) == 0


def test_only_a_schedule_that_is_of_no_use_any_more_is_removed() -> None:
    # Given posts with no schedule, with one to come, and with one in force and another to come
    none = a_post(PostStatus.DRAFT)
    pending = replace(none, pending_workflow_id="next")
    both = replace(pending, workflow_id="now")
    # Then
    assert disarmings(none, both) == ()
    assert disarmings(pending, pending) == ()
    assert disarmings(both, pending) == (DisarmSchedule(workflow_id="now"),)


def test_of_what_is_published_nobody_asks_whether_it_is_public() -> None:
    assert may_be_public(a_target(TargetStatus.FAILED, error_code=OUTCOME_UNKNOWN))
    assert may_be_public(a_target(TargetStatus.FAILED, error_code=NOT_COMPLETED))
    assert not may_be_public(a_target(TargetStatus.FAILED, error_code="PLATFORM_REJECTED"))
    assert not may_be_public(a_target(TargetStatus.PUBLISHED, error_code=OUTCOME_UNKNOWN))
