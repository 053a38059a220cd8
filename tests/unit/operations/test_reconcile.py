"""Finishing what was left half done, each repair counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from postbreeze.domain import disconnection, lifecycle, webhook
from postbreeze.domain.changes import PublishTarget
from postbreeze.domain.errors import PlatformRetriableError, UnavailableError
from postbreeze.domain.events import EventType
from postbreeze.domain.post import Post, PostStatus
from postbreeze.domain.webhook import Backlog, Endpoint, EndpointStatus, Lane
from postbreeze.operations.reconcile import (
    AT_ONCE,
    BACKLOG,
    BATCH,
    LISTED,
    MOST,
    MOST_OUTAGES,
    PAGE,
    TIME,
)
from tests.support.builders import a_post
from tests.support.core import A_MINUTE, A_SECOND, AN_HOUR, ENDPOINT, WORKSPACE, Core, numbered
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


def claim_that_ran_out(core: Core) -> Post:
    """Have an attempt break off, and return its post when its claim has run out."""
    post = core.created(1)
    core.advance(AN_HOUR)
    core.fire_due()
    core.drain_messages(publishing=False)
    core.platform.publish_accidents.append(Accident.LOST_ANSWER)
    core.platform.find_errors.append(PlatformRetriableError("DOWN", "Down."))
    core.drain_messages()
    core.advance(lifecycle.LEASE + A_SECOND)
    return core.post(post.id)


def test_a_claim_that_ran_out_is_asked_about(core: Core) -> None:
    # Given
    post = claim_that_ran_out(core)
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
    core.dies_after(8, lambda: core.publisher.publish(post.id, post.targets[0].id, f"{post.id}-1"))
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
    assert [sent.lane for sent in core.delivery_queue.sent] == [Lane.LATE]
    core.run_queues()
    assert core.received() == ["post.created"]


def due_endpoint(core: Core, **fields: Any) -> Endpoint:
    """Have the usual endpoint be due."""
    endpoint = replace(core.endpoint(), due_at=core.clock.at, **fields)
    core.webhooks._endpoints[endpoint.workspace_id, endpoint.id] = endpoint
    return endpoint


def test_what_an_endpoint_has_missed_is_sent_off(core: Core) -> None:
    # Given
    core.created(scheduled_for=None)
    core.endpoints.disable(WORKSPACE, ENDPOINT)
    core.run_queues()
    due_endpoint(
        core,
        status=EndpointStatus.ENABLED,
        backlog=Backlog(asked_at=core.clock.at, is_parked=True),
    )
    # When / Then
    assert core.reconcile() == {"BacklogSent": 1}
    assert [sent.lane for sent in core.delivery_queue.sent] == [Lane.LATE]
    core.run_queues()
    assert core.received() == ["post.created"]


@pytest.mark.parametrize(
    ("rate_limit", "a_page", "takes", "sent"),
    [
        (None, PAGE, timedelta(0), BACKLOG),
        (None, PAGE, A_SECOND, 5 * PAGE),
        (None, PAGE - 1, timedelta(0), PAGE - 1),
        (1, PAGE, timedelta(0), 60),
        (8, PAGE, timedelta(0), 480),
        (9, PAGE, timedelta(0), BACKLOG),
    ],
)
def test_so_much_of_what_an_endpoint_has_missed_goes_with_each_run(
    core: Core, rate_limit: int | None, a_page: int, takes: timedelta, sent: int
) -> None:
    # Given
    endpoint = due_endpoint(
        core,
        backlog=Backlog(asked_at=core.clock.at, is_parked=True),
        rate_limit=rate_limit,
    )
    asked: list[tuple[Endpoint, int]] = []

    def send_backlog(of: Endpoint, limit: int) -> int:
        asked.append((of, limit))
        core.clock.advance(takes)
        return a_page

    # When / Then
    assert replace(core.reconcile, send_backlog=send_backlog)() == {"BacklogSent": sent}
    assert asked == [(endpoint, PAGE)] * -(-sent // PAGE)


def test_others_are_told_of_an_endpoint_before_it_is_sent_what_it_has_missed(core: Core) -> None:
    # Given an endpoint that was disabled, and enabled before the others were told
    core.webhooks.add_endpoint(core.an_endpoint(2))
    gone = webhook.disabled(core.endpoint(), "gone", now=core.clock.at, is_told=True)
    enabled = webhook.enabled(gone, now=core.clock.at)
    core.webhooks._endpoints[WORKSPACE, ENDPOINT] = enabled
    # When / Then
    assert core.reconcile() == {"NoticeTold": 1}
    assert core.endpoint().backlog == enabled.backlog
    [told] = core.webhooks._deliveries.values()
    assert told.event_type is EventType.WEBHOOK_DISABLED
    core.advance(A_MINUTE)
    core.reconcile()
    core.advance(2 * A_MINUTE)
    core.reconcile()
    assert (core.endpoint().backlog, core.endpoint().due_at) == (None, None)


def test_an_endpoint_of_which_nothing_is_to_be_done_is_left_alone(core: Core) -> None:
    # Given an index that lags behind
    core.webhooks.due_endpoints = (  # type: ignore[method-assign]  # a stale index
        lambda now, limit: [(WORKSPACE, ENDPOINT), (WORKSPACE, "wh_x")]
    )
    # When / Then
    assert core.reconcile() == {}


def test_one_repair_that_fails_stops_no_other(core: Core) -> None:
    # Given two posts that are overdue, an event and a delivery
    first, second = core.created(1), core.created(1)
    core.schedules.armed.clear()
    core.advance(AN_HOUR + lifecycle.OVERDUE_AFTER)
    core.bus.announced.clear()
    core.waiting.clear()
    core.fails("publish_queue.send", UnavailableError("down"))
    core.fails("bus.announce_all", UnavailableError("down"))
    # When
    counts = core.reconcile()
    # Then the events, which go together, are left for the next run
    assert counts == {"RepairFailed": 2, "OverduePostStarted": 1}
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


# When there is too much to do, or nothing works


def pending_events(core: Core, count: int) -> list[tuple[str, str]]:
    """Have so many events wait in the outbox, longest waiting first."""
    waiting = [(f"post_{number:04}", f"evt_{number:04}") for number in range(count)]
    core.posts.pending_events = lambda before, limit: waiting[:limit]  # type: ignore[method-assign]  # as many as wanted
    return waiting


def due_posts(core: Core, *post_ids: str) -> None:
    """Have the index name these posts, in this order."""
    core.posts.due_posts = lambda now, limit: list(post_ids)[:limit]  # type: ignore[method-assign]  # any posts


def announced_in_runs(core: Core, runs: int) -> Sequence[Sequence[tuple[str, str]]]:
    """Reconcile every minute, and return what each run announced."""
    told = []
    for _ in range(runs):
        core.bus.announced.clear()
        core.reconcile()
        told.append(tuple(core.bus.announced))
        core.clock.advance(A_MINUTE)
    return told


def takes(core: Core, call: str, time: timedelta) -> None:
    """Have every such call take that long."""

    def tap(name: str, made: Callable[[], Any]) -> Any:
        if name == call:
            core.clock.advance(time)
        return made()

    core.tap = tap


def left_over(core: Core) -> Sequence[tuple[object, object]]:
    """Return what was said of kinds that were not got through: how many were due and are left."""
    return [
        (each.fields["due"], each.fields["left"])
        for each in core.telemetry.warnings
        if each.message == "repairs left for the next run"
    ]


def test_posts_that_cannot_be_armed_keep_no_other_from_going_out(core: Core) -> None:
    # Given posts that the scheduler does not take, each after seconds, and one that is not fired
    def tap(name: str, call: Callable[[], Any]) -> Any:
        if name == "schedules.arm":
            core.clock.advance(seconds=9)
            raise UnavailableError("CreateSchedule: ReadTimeout")
        return call()

    late = core.created(1, scheduled_for=core.clock.at + AN_HOUR)
    core.schedules.armed.clear()
    core.tap = tap
    for _ in range(2 * AT_ONCE):
        core.created(1, scheduled_for=core.clock.at + timedelta(days=100))
    core.drain_messages()
    core.advance(AN_HOUR + lifecycle.OVERDUE_AFTER)
    # When / Then
    counts = core.reconcile()
    assert counts["OverduePostStarted"] == 1
    assert counts["RepairFailed"] >= AT_ONCE
    core.run_queues()
    assert core.post(late.id).status is PostStatus.PUBLISHED


def test_a_post_whose_moment_has_come_gets_no_schedule_any_more(core: Core) -> None:
    # Given an arming that nobody has completed by the very moment
    post = core.created_unarmed()
    core.drain_messages()
    core.advance(AN_HOUR)
    # When / Then
    assert core.reconcile() == {"ArmingCompleted": 1}
    assert core.schedules.armed == {}
    assert core.post(post.id).workflow_id is not None


def test_what_stays_pending_is_no_other_kinds_business(core: Core) -> None:
    # Given a post that was changed, and armed, after the index was read
    armed = core.created(1)
    pending = core.created_unarmed()
    core.drain_messages()
    core.advance(lifecycle.ARMING_GRACE)
    # When an old row, which is among the other posts, comes up there
    due_posts(core, armed.id, pending.id)
    # Then
    assert core.reconcile() == {"ArmingCompleted": 1}


def test_an_arming_that_somebody_replaces_meanwhile_is_not_counted(core: Core) -> None:
    # Given
    post = core.created_unarmed()
    core.drain_messages()
    core.advance(lifecycle.ARMING_GRACE)
    later = core.clock.at + 2 * AN_HOUR
    core.fails("schedules.arm", UnavailableError("down"))
    core.before("posts.pending_armings", lambda: core.schedule(post.id, at=later))
    # When / Then
    assert "ArmingCompleted" not in core.reconcile()


def test_an_arming_that_its_request_may_still_be_making_is_left_to_it(core: Core) -> None:
    # Given an index that names a post whose arming is not overdue yet
    post = core.created_unarmed()
    core.drain_messages()
    due_posts(core, post.id)
    # When / Then
    assert core.reconcile() == {}
    assert core.post(post.id).pending_workflow_id is not None


def test_messages_go_in_batches(core: Core) -> None:
    # Given
    waiting = pending_events(core, 2 * BATCH + 1)
    calls = core.recorded()
    # When
    assert core.reconcile() == {"EventAnnouncedAgain": len(waiting)}
    # Then
    assert calls.count("bus.announce_all") == 3
    assert sorted(core.bus.announced) == waiting
    noted = [each.fields["items"] for each in core.telemetry.notes]
    assert [len(each) for each in noted if isinstance(each, Sequence)] == [BATCH, BATCH, 1]
    assert core.telemetry.counts["EventAnnouncedAgain"] == len(waiting)
    assert left_over(core) == []


# When queues are long


MANY = 6 * BATCH
"""How many things are overdue in these tests, of which one batch is always sent again."""


@pytest.fixture
def busy(core: Core) -> Core:
    core.reconcile = replace(core.reconcile, sent_anyway=BATCH)
    return core


def due_deliveries(core: Core, count: int) -> list[tuple[str, str]]:
    """Have so many deliveries be due, longest waiting first."""
    waiting = [(ENDPOINT, f"dlv_{number:04}") for number in range(count)]
    core.webhooks.due_deliveries = lambda now, limit: waiting[:limit]  # type: ignore[method-assign]  # as many as wanted
    return waiting


def stalled_posts(core: Core, count: int) -> list[str]:
    """Have the messages of so many posts be overdue."""
    posts = [core.created(1).id for _ in range(count)]
    core.drain_messages()
    core.advance(AN_HOUR)
    core.fire_due()
    core.publish_queue.sent.clear()
    core.advance(lifecycle.LEASE)
    return posts


@pytest.mark.parametrize(
    ("in_the_queue", "again"),
    [(0, MANY), (2 * BATCH, 4 * BATCH), (MANY - 1, BATCH), (MANY, BATCH), (1_000, BATCH)],
)
def test_no_more_events_are_announced_again_than_the_queue_lacks_and_some_anyway(
    busy: Core, in_the_queue: int, again: int
) -> None:
    # Given
    waiting = pending_events(busy, MANY)
    busy.bus.announced = [("post_x", "evt_x")] * in_the_queue
    # When / Then
    assert busy.reconcile() == {"EventAnnouncedAgain": again}
    sent = busy.bus.announced[in_the_queue:]
    assert len(set(sent)) == again
    assert set(sent) <= set(waiting)
    # And what is held back is told of
    assert busy.telemetry.counts["RepeatsHeldBack"] == MANY - again
    said = [each.fields for each in busy.telemetry.notes if each.message == "messages wait"]
    assert [(each["due"], each["waiting"], each["again"]) for each in said] == (
        [(MANY, in_the_queue, again)] if again < MANY else []
    )


def test_what_is_lost_while_a_queue_stays_long_is_found_by_one_of_some_runs(busy: Core) -> None:
    # Given
    waiting = pending_events(busy, MANY)
    told: set[tuple[str, str]] = set()
    # When
    for _ in range(20):
        busy.bus.announced = [("post_x", "evt_x")] * MANY
        busy.reconcile()
        told.update(busy.bus.announced[MANY:])
        busy.clock.advance(A_MINUTE)
    # Then
    assert told == set(waiting)


@pytest.mark.parametrize("lane", Lane)
def test_deliveries_may_wait_in_either_lane(busy: Core, lane: Lane) -> None:
    # Given
    due_deliveries(busy, MANY)
    busy.delivery_queue.send_all([(ENDPOINT, "dlv_x")] * MANY, lane=lane)
    # When / Then
    assert busy.reconcile() == {"DeliverySentAgain": BATCH}


@pytest.mark.parametrize(("due", "questions"), [(500, 0), (501, 1)])
def test_few_are_sent_again_without_a_question(core: Core, due: int, questions: int) -> None:
    # Given
    pending_events(core, due)
    calls = core.recorded()
    # When / Then
    assert core.reconcile() == {"EventAnnouncedAgain": due}
    assert calls.count("work_queues.waiting") == questions


@pytest.mark.parametrize(
    "error", [UnavailableError("GetQueueAttributes: throttled"), RuntimeError("AccessDenied")]
)
def test_where_a_queue_does_not_tell_only_some_are_sent_again_and_all_else_goes_on(
    busy: Core, error: Exception
) -> None:
    # Given a timer that was lost beside it
    busy.created(1)
    busy.drain_messages()
    busy.schedules.armed.clear()
    busy.advance(AN_HOUR + lifecycle.OVERDUE_AFTER)
    pending_events(busy, MANY)
    busy.fails("work_queues.waiting", error)
    # When / Then
    assert busy.reconcile() == {
        "EventAnnouncedAgain": BATCH,
        "RepairFailed": 1,
        "OverduePostStarted": 1,
    }


def test_publications_that_only_wait_are_not_sent_again(busy: Core) -> None:
    # Given
    posts = stalled_posts(busy, 2 * BATCH)
    message = lifecycle.stalled(busy.post(posts[0]), now=busy.clock.now())
    busy.publish_queue.send(message * 2 * BATCH)
    # When / Then
    assert busy.reconcile() == {"StalledTargetSent": BATCH}
    # And where they were lost they are
    busy.publish_queue.sent.clear()
    assert busy.reconcile() == {"StalledTargetSent": 2 * BATCH}


def test_a_long_queue_keeps_no_timer_that_was_lost_from_being_made_up_for(busy: Core) -> None:
    # Given posts that were not fired, and a queue as long
    posts = [busy.created(1) for _ in range(2 * BATCH)]
    busy.drain_messages()
    busy.schedules.armed.clear()
    busy.advance(AN_HOUR + lifecycle.OVERDUE_AFTER)
    busy.publish_queue.send(
        [
            PublishTarget(
                workspace_id=WORKSPACE,
                post_id=post.id,
                target_id=post.targets[0].id,
                workflow_id=f"{post.id}-0",
            )
            for post in posts
        ]
    )
    # When / Then
    assert busy.reconcile() == {"OverduePostStarted": 2 * BATCH}


def test_what_waits_for_more_than_an_hour_ends_as_missed_however_long_the_queue(busy: Core) -> None:
    # Given
    posts = stalled_posts(busy, 2 * BATCH)
    message = lifecycle.stalled(busy.post(posts[0]), now=busy.clock.now())
    busy.publish_queue.send(message * 1_000)
    busy.clock.advance(lifecycle.MISSED_AFTER)
    # When
    busy.reconcile()
    # Then
    assert {busy.post(post).status for post in posts} == {PostStatus.FAILED}


def test_a_claim_that_ran_out_is_asked_about_when_its_turn_comes(busy: Core) -> None:
    # Given an attempt that broke off, and a queue in which its question may be already
    busy.reconcile = replace(busy.reconcile, sent_anyway=0)
    question = lifecycle.expired(claim_that_ran_out(busy), now=busy.clock.now())
    busy.publish_queue.send(question)
    # When / Then
    assert busy.reconcile() == {}
    # And where it was lost it is asked
    busy.publish_queue.sent.clear()
    assert busy.reconcile() == {"ExpiredClaimAsked": 1}


# When there is more than one run can do


def test_a_run_takes_so_many_and_the_runs_of_some_minutes_take_all(core: Core) -> None:
    # Given more than are ever listed
    waiting = pending_events(core, LISTED + 1)
    # When
    told = announced_in_runs(core, 4)
    # Then
    assert [len(each) for each in told] == [MOST] * 4
    assert {event for each in told for event in each} == set(waiting[:LISTED])
    assert left_over(core) == [(LISTED, LISTED - MOST)] * 4


def test_no_run_begins_where_the_one_before_did(core: Core) -> None:
    # Given
    pending_events(core, 100)
    # When
    told = announced_in_runs(core, 62)
    # Then
    begun = [each[0] for each in told]
    assert all(one != other for one, other in pairwise(begun))


def test_items_that_fail_for_ever_do_not_keep_the_others_waiting(core: Core) -> None:
    # Given posts that cannot be read, twice as many as end a sweep, before others that could be
    broken = [f"post_{number:04}" for number in range(2 * MOST_OUTAGES)]
    others = [core.created(1).id for _ in range(3)]
    core.drain_messages()
    core.schedules.armed.clear()
    core.advance(AN_HOUR + lifecycle.OVERDUE_AFTER)
    due_posts(core, *broken, *others)
    read = core.posts.read

    def reading(post_id: str) -> Any:
        if post_id in broken:
            raise UnavailableError("Query: a post lacks a target that it names")
        return read(post_id)

    core.posts.read = reading  # type: ignore[method-assign]  # fails for some, always
    # When
    for _ in range(20):
        core.reconcile()
        core.clock.advance(A_MINUTE)
    # Then
    core.posts.read = read  # type: ignore[method-assign]
    assert {core.post(each).status for each in others} == {PostStatus.PUBLISHING}


def test_an_outage_ends_the_sweep_of_one_kind_and_not_of_the_others(core: Core) -> None:
    # Given events that cannot be announced while there is a post to be started
    post = core.created(1)
    core.drain_messages()
    core.schedules.armed.clear()
    core.advance(AN_HOUR + lifecycle.OVERDUE_AFTER)
    waiting = len(pending_events(core, 2 * BATCH * MOST_OUTAGES))
    calls = core.recorded()
    core.fails("bus.announce_all", *[UnavailableError("Publish: ReadTimeout")] * waiting)
    # When
    counts = core.reconcile()
    # Then it ends with the batches that were under way
    tried = -(-MOST_OUTAGES // AT_ONCE) * AT_ONCE
    assert counts == {"RepairFailed": tried, "OverduePostStarted": 1}
    assert calls.count("bus.announce_all") == tried
    assert core.post(post.id).status is PostStatus.PUBLISHING
    assert left_over(core) == [(waiting, waiting - tried * BATCH)]


def test_so_many_outages_are_enough(core: Core) -> None:
    # Given outages whose last is among calls that go well
    pending_events(core, 2 * BATCH * MOST_OUTAGES)
    core.fails("bus.announce_all", *[UnavailableError("Publish: ReadTimeout")] * MOST_OUTAGES)
    # When / Then
    left = -MOST_OUTAGES % AT_ONCE
    assert left > 0
    assert core.reconcile() == {"RepairFailed": MOST_OUTAGES, "EventAnnouncedAgain": left * BATCH}


def test_faults_of_single_rows_are_no_outage(core: Core) -> None:
    # Given
    waiting = pending_events(core, 2 * BATCH * MOST_OUTAGES)
    core.fails("bus.announce_all", *[ValueError("odd")] * (MOST_OUTAGES + AT_ONCE))
    # When / Then
    assert core.reconcile() == {
        "RepairFailed": MOST_OUTAGES + AT_ONCE,
        "EventAnnouncedAgain": len(waiting) - (MOST_OUTAGES + AT_ONCE) * BATCH,
    }


def test_what_was_repaired_before_an_item_failed_counts(core: Core) -> None:
    # Given a post with a claim that ran out, beside a target whose message was lost
    post = core.created(2)
    core.drain_messages()
    core.advance(AN_HOUR)
    core.fire_due()
    core.platform.publish_accidents.append(Accident.LOST_ANSWER)
    core.platform.find_errors.append(PlatformRetriableError("DOWN", "Down."))
    core.publisher.publish(post.id, post.targets[0].id, f"{post.id}-1")
    core.publish_queue.sent.clear()
    core.advance(lifecycle.LEASE + A_SECOND)
    core.before("publish_queue.send", lambda: core.fails("posts.read", UnavailableError("down")))
    # When / Then
    assert core.reconcile() == {"ExpiredClaimAsked": 1, "RepairFailed": 1}
    assert core.telemetry.warnings[-1].fields["items"] == [post.id]


def test_a_kind_that_is_slow_leaves_time_for_the_others(core: Core) -> None:
    # Given announcements of which each takes longer than all may, and a post to be started
    core.created(1)
    core.drain_messages()
    core.schedules.armed.clear()
    core.advance(AN_HOUR + lifecycle.OVERDUE_AFTER)
    waiting = len(pending_events(core, 20 * BATCH))
    takes(core, "bus.announce_all", 2 * TIME)
    # When / Then each kind gets as far as a beginning
    assert core.reconcile() == {"EventAnnouncedAgain": AT_ONCE * BATCH, "OverduePostStarted": 1}
    assert left_over(core) == [(waiting, waiting - AT_ONCE * BATCH)]


def test_a_sweep_ends_when_its_share_of_the_time_is_used_up(core: Core) -> None:
    # Given eight announcements a second, of which a sixth of the time is for events
    pending_events(core, 1_000)
    takes(core, "bus.announce_all", A_SECOND / AT_ONCE)
    # When / Then
    assert core.reconcile() == {
        "EventAnnouncedAgain": int(TIME / 6 / A_SECOND + 1) * AT_ONCE * BATCH
    }


def test_time_that_a_kind_does_not_need_is_for_those_after_it(core: Core) -> None:
    # Given posts that each take seconds to be read, and nothing else to do
    due_posts(core, *(f"post_{number:04}" for number in range(100)))
    takes(core, "posts.read", A_SECOND)
    # When
    core.reconcile()
    # Then events and deliveries, which come before, have left theirs
    began = -(-TIME // 4 // (AT_ONCE * A_SECOND)) * AT_ONCE
    assert left_over(core) == [(100, 100 - began)]


@pytest.mark.parametrize(
    ("listing", "call", "size", "share"),
    [
        ("due_deliveries", "delivery_queue.send_all", BATCH, 5),
        ("due_posts", "posts.read", 1, 4),
        ("pending_armings", "posts.read", 1, 3),
        ("due", "disconnections.work", 1, 2),
        ("due_endpoints", "webhooks.endpoint", 1, 1),
    ],
)
def test_a_kind_has_an_equal_part_of_the_time_with_those_after_it(
    core: Core, monkeypatch: pytest.MonkeyPatch, listing: str, call: str, size: int, share: int
) -> None:
    # Given more of one kind than there is time for, eight calls a second, and nothing else
    stores: dict[str, Any] = {
        "due_deliveries": core.webhooks,
        "due_endpoints": core.webhooks,
        "due": core.world.disconnections,
    }
    names = [f"item_{number:04}" for number in range(1_000)]
    waiting: list[Any] = names
    if listing in {"due_deliveries", "due_endpoints"}:
        waiting = [(ENDPOINT, name) for name in names]
    monkeypatch.setattr(
        stores.get(listing, core.posts), listing, lambda now, limit: waiting[:limit]
    )
    takes(core, call, A_SECOND / AT_ONCE)
    # When
    core.reconcile()
    # Then
    begun = -(-TIME // (share * A_SECOND)) * AT_ONCE * size
    assert left_over(core) == [(1_000, 1_000 - begun)]


def test_one_disconnect_takes_so_much_of_a_run_and_no_more(core: Core) -> None:
    # Given a disconnect that nobody has gone on with, each of whose posts takes a second
    posts = [core.created(1) for _ in range(8)]
    core.fails("disconnections.work", UnavailableError("down"))
    core.disconnect_account("owner", numbered("soc", 20))
    core.drain_messages()
    core.clock.advance(disconnection.GRACE)
    takes(core, "posts.read", A_SECOND)
    # When
    assert core.reconcile() == {"DisconnectContinued": 1}
    # Then
    canceled = [core.post(each.id).status is PostStatus.CANCELED for each in posts]
    assert canceled.count(True) == 5


@pytest.mark.parametrize(
    ("listing", "left"),
    [
        ("posts.pending_events", {"DeliverySentAgain", "OverduePostStarted"}),
        ("webhooks.due_deliveries", {"EventAnnouncedAgain", "OverduePostStarted"}),
        ("posts.due_posts", {"EventAnnouncedAgain", "DeliverySentAgain"}),
    ],
)
@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("Query: ThrottlingException"),
        ValueError("The table does not have the specified index: due"),
    ],
)
def test_a_listing_that_fails_stops_no_other_kind(
    core: Core, listing: str, left: set[str], error: Exception
) -> None:
    # Given an event, a delivery and a post to be repaired
    core.created(1)
    [first, *_] = core.ready()
    core.waiting.clear()
    core.do(first[1])
    core.delivery_queue.sent.clear()
    core.schedules.armed.clear()
    core.advance(AN_HOUR + lifecycle.OVERDUE_AFTER)
    core.waiting.clear()
    core.fails(listing, error)
    # When
    counts = core.reconcile()
    # Then
    assert counts == dict.fromkeys({"RepairFailed", *left}, 1)
    assert core.telemetry.warnings[0].fields["items"] == "listing"
    core.drain()
    core.check()


def test_events_come_before_deliveries_those_before_posts_and_what_was_missed_comes_last(
    core: Core,
) -> None:
    # Given
    calls = core.recorded()
    # When
    core.reconcile()
    # Then
    assert calls == [
        "posts.pending_events",
        "webhooks.due_deliveries",
        "posts.due_posts",
        "posts.pending_armings",
        "disconnections.due",
        "webhooks.due_endpoints",
    ]


def test_a_disconnect_that_somebody_else_has_finished_counts_for_nothing(core: Core) -> None:
    # Given
    core.fails("disconnections.work", UnavailableError("down"))
    core.disconnect_account("owner", numbered("soc", 20))
    [work] = core.world.disconnections.works.values()
    core.advance(AN_HOUR)
    core.drain_messages()
    core.before("disconnections.work", core.world.disconnections.works.clear)
    # When / Then
    assert work.due_at <= core.clock.at
    assert core.reconcile() == {}


def test_a_first_comment_that_is_owed_never_begins_a_post_that_waits_for_its_time(
    core: Core,
) -> None:
    # Given a post that was partly published, was cancelled, and is on the clock again
    core.platform.publish_accidents.extend([None, Accident.REFUSED])
    core.platform.comment_accidents.append(Accident.REFUSED)
    post = core.created(first_comment="First!")
    core.advance(AN_HOUR)
    core.fire_due()
    core.drain_messages()
    core.cancel(post.id)
    core.schedule(post.id, again=True)
    # And whose first comment was asked for again, in a message that was lost
    core.advance(A_MINUTE)
    core.retry_comment(post.id, post.targets[0].id)
    core.pump()
    core.waiting.clear()
    # When
    core.advance(lifecycle.LEASE + A_SECOND)
    counts = core.reconcile()
    # Then the comment is asked for, and the post waits
    assert counts["StalledTargetSent"] == 1
    assert core.telemetry.counts["StaleFire"] == 0
    assert core.post(post.id).status is PostStatus.SCHEDULED
    [message] = core.publish_queue.sent
    assert message.target_id == post.targets[0].id
