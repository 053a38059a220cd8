"""Finishing what was left half done, each repair counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postbreeze.domain import lifecycle
from postbreeze.domain.errors import PlatformRetriableError, UnavailableError
from postbreeze.domain.post import PostStatus
from tests.support.builders import a_post
from tests.support.core import A_MINUTE, A_SECOND, AN_HOUR, WORKSPACE, Core
from tests.support.platforms import Accident


@pytest.fixture
def core() -> Core:
    return Core()


def test_where_all_is_well_nothing_is_done(core: Core) -> None:
    # Given
    core.created()
    core.drain_messages()
    made = len(core.changes)
    # When / Then
    assert core.reconcile() == {}
    assert len(core.changes) == made


def test_an_arming_that_was_left_pending_is_completed(core: Core) -> None:
    # Given
    post = core.created_unarmed()
    core.drain_messages()
    core.advance(lifecycle.ARMING_GRACE - A_SECOND)
    assert core.reconcile() == {}
    core.advance(A_SECOND)
    # When / Then
    assert core.reconcile() == {"ArmingCompleted": 1}
    assert core.post(post.id).workflow_id is not None
    assert core.schedules.armed
    assert core.telemetry.notes[-1].fields["repair"] == "ArmingCompleted"
    assert core.telemetry.counts["ArmingCompleted"] == 1


def test_a_post_that_was_not_fired_is_started(core: Core) -> None:
    # Given
    post = core.created()
    core.drain_messages()
    core.schedules.armed.clear()
    core.advance(AN_HOUR + lifecycle.OVERDUE_AFTER)
    # When / Then
    assert core.reconcile() == {"OverduePostStarted": 1}
    assert core.post(post.id).status is PostStatus.PUBLISHING
    assert len(core.publish_queue.sent) == 2


def test_a_post_that_was_not_fired_for_an_hour_fails(core: Core) -> None:
    # Given
    post = core.created()
    core.drain_messages()
    core.schedules.armed.clear()
    core.advance(2 * AN_HOUR + A_SECOND)
    # When / Then
    assert core.reconcile() == {"OverduePostStarted": 1}
    assert core.post(post.id).status is PostStatus.FAILED
    assert {target.error_code for target in core.post(post.id).targets} == {"MISSED_SCHEDULE"}


def test_an_arming_that_nobody_completed_for_hours_ends_as_missed(core: Core) -> None:
    # Given
    post = core.created_unarmed()
    core.drain_messages()
    core.advance(3 * AN_HOUR)
    # When
    assert core.reconcile() == {"ArmingCompleted": 1}
    assert core.reconcile() == {"OverduePostStarted": 1}
    # Then
    assert core.post(post.id).status is PostStatus.FAILED
    core.drain()
    core.check()


def test_a_claim_that_ran_out_is_asked_about(core: Core) -> None:
    # Given
    post = core.created(1)
    core.advance(AN_HOUR)
    core.fire_due()
    core.drain_messages(publishing=False)
    core.platform.publish_accidents.append(Accident.LOST_ANSWER)
    core.platform.find_errors.append(PlatformRetriableError("DOWN", "Down."))
    core.drain_messages()
    core.advance(lifecycle.LEASE + A_SECOND)
    # When / Then
    assert core.reconcile() == {"ExpiredClaimAsked": 1}
    core.run_queues()
    assert core.post(post.id).status is PostStatus.PUBLISHED


def test_targets_whose_message_was_lost_are_sent_again(core: Core) -> None:
    # Given
    core.created(2)
    core.drain_messages()
    core.advance(AN_HOUR)
    core.fire_due()
    core.publish_queue.sent.clear()
    core.advance(lifecycle.LEASE)
    # When / Then
    assert core.reconcile() == {"StalledTargetSent": 1}
    assert len(core.publish_queue.sent) == 2


def test_a_post_whose_targets_have_all_ended_is_concluded(core: Core) -> None:
    # Given
    post = core.created(1)
    core.drain_messages()
    core.advance(AN_HOUR)
    core.fire_due()
    core.dies_after(7, lambda: core.publisher.publish(post.id, post.targets[0].id, f"{post.id}-1"))
    core.publish_queue.sent.clear()
    core.advance(lifecycle.LEASE)
    # When / Then
    assert core.reconcile() == {"PostConcluded": 1}
    assert core.events(post.id)[-1] == "post.published"


def test_an_event_that_was_not_announced_is_announced_again(core: Core) -> None:
    # Given
    core.fails("bus.announce", UnavailableError())
    core.created(scheduled_for=None)
    core.advance(30 * A_SECOND)
    assert core.reconcile() == {}
    core.advance(A_SECOND)
    # When / Then
    assert core.reconcile() == {"EventAnnouncedAgain": 1}
    core.drain()
    core.check()


def test_a_delivery_whose_message_was_lost_is_sent_again(core: Core) -> None:
    # Given
    core.created(scheduled_for=None)
    [(_, announced)] = core.ready()
    core.waiting.clear()
    core.do(announced)
    core.delivery_queue.sent.clear()
    core.advance(A_MINUTE)
    # When / Then
    assert core.reconcile() == {"DeliverySentAgain": 1}
    core.run_queues()
    assert core.received() == ["post.created"]


def test_one_repair_that_fails_stops_no_other(core: Core) -> None:
    # Given two posts that are overdue, an event and a delivery
    first, second = core.created(1), core.created(1)
    core.schedules.armed.clear()
    core.advance(AN_HOUR + lifecycle.OVERDUE_AFTER)
    core.bus.announced.clear()
    core.waiting.clear()
    core.fails("publish_queue.send", UnavailableError("down"))
    core.fails("bus.announce", UnavailableError("down"))
    # When
    counts = core.reconcile()
    # Then
    assert counts == {"RepairFailed": 2, "OverduePostStarted": 1, "EventAnnouncedAgain": 3}
    assert core.telemetry.warnings[0].message == "repair failed"
    core.drain()
    core.check()
    for post in (first, second):
        assert core.post(post.id).status is PostStatus.PUBLISHED


def test_a_row_that_nobody_can_read_stops_nothing_else(core: Core) -> None:
    # Given two posts that are overdue, the first of which was written by a later version
    for _ in range(2):
        core.created(1)
    core.drain_messages()
    core.schedules.armed.clear()
    core.advance(AN_HOUR + lifecycle.OVERDUE_AFTER)
    core.fails("posts.read", ValueError("no such status"))
    # When / Then
    assert core.reconcile() == {"RepairFailed": 1, "OverduePostStarted": 1}
    assert "no such status" in str(core.telemetry.warnings[0].fields["error"])


def test_an_index_that_lags_behind_does_no_harm(core: Core) -> None:
    # Given an index that names posts that are gone, cancelled or moved on
    post = core.created()
    cancelled = core.created()
    core.cancel(cancelled.id)
    later = core.add_post(
        replace(a_post(workspace_id=WORKSPACE), attention_at=core.clock.at + AN_HOUR)
    )
    core.drain_messages()
    listed = ["post_x", cancelled.id, later.id]
    core.posts.due_posts = lambda now, limit: listed  # type: ignore[method-assign]  # a stale index
    made = len(core.changes)
    # When / Then
    assert core.reconcile() == {}
    assert len(core.changes) == made
    assert core.post(post.id).status is PostStatus.SCHEDULED


def test_a_fire_and_the_reconciler_at_once_start_a_post_once(core: Core) -> None:
    # Given
    post = core.created(1)
    core.drain_messages()
    core.advance(AN_HOUR + lifecycle.OVERDUE_AFTER)
    # When
    core.before("posts.commit", lambda: core.start(post.id, f"{post.id}-1"))
    core.reconcile()
    # Then
    core.drain()
    core.check()
    assert len(core.watched.sent) == 1


def test_a_post_cancelled_while_it_is_being_started_late_is_not_counted(core: Core) -> None:
    # Given
    post = core.created(1)
    core.drain_messages()
    core.schedules.armed.clear()
    core.advance(AN_HOUR + lifecycle.OVERDUE_AFTER)
    core.before("posts.commit", lambda: core.cancel(post.id))
    # When / Then
    assert core.reconcile() == {}
    core.drain()
    core.check()
    assert core.watched.sent == []
