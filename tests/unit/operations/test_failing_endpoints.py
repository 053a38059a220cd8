"""Endpoints that fail: since when, for how long, and who hears of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postbreeze.domain import webhook
from postbreeze.domain.errors import LostRaceError, UnavailableError
from postbreeze.domain.events import EventType
from postbreeze.domain.webhook import Delivery, DeliveryStatus, Endpoint, EndpointStatus, Lane
from postbreeze.operations.judge import FAILING, GONE
from postbreeze.operations.races import MOST_RACES
from tests.support.core import A_SECOND, AN_HOUR, ENDPOINT, OTHER_WORKSPACE, WORKSPACE, Core

FIVE_DAYS = timedelta(days=5)


@pytest.fixture
def core() -> Core:
    return Core()


@pytest.fixture
def delivery(core: Core) -> Delivery:
    """One delivery that is due."""
    post = core.created(1, scheduled_for=None)
    core.bus.announced.clear()
    core.fan_out(post.id, core.posts.timeline(post.id)[0].id)
    core.delivery_queue.sent.clear()
    [made] = core.webhooks._deliveries.values()
    return made


def deliver(core: Core, delivery: Delivery) -> str:
    return core.deliver(delivery.endpoint_id, delivery.id, Lane.PROMPT)


def changed(core: Core, **fields: Any) -> Endpoint:
    """Change the usual endpoint, as somebody else does."""
    present = core.endpoint()
    endpoint = replace(present, **{"revision": present.revision + 1, **fields})
    core.webhooks._endpoints[endpoint.workspace_id, endpoint.id] = endpoint
    return endpoint


def again(core: Core, delivery: Delivery) -> None:
    """Let the time of the next attempt come."""
    waiting = core.webhooks.delivery(delivery.endpoint_id, delivery.id)
    assert waiting is not None
    assert waiting.next_attempt_at is not None
    core.clock.at = max(core.clock.at, waiting.next_attempt_at)


def disabled(core: Core) -> Endpoint:
    """Have the service disable the usual endpoint, and the others not be told."""
    gone = webhook.disabled(core.endpoint(), "gone", now=core.clock.at, is_told=True)
    core.webhooks._endpoints[gone.workspace_id, gone.id] = gone
    return gone


def notices(core: Core) -> list[Delivery]:
    """Return the deliveries that tell of an endpoint."""
    return [
        each
        for each in core.webhooks._deliveries.values()
        if each.event_type is EventType.WEBHOOK_DISABLED
    ]


# Since when


def test_an_endpoint_fails_since_its_first_failure_until_its_first_success(
    core: Core, delivery: Delivery
) -> None:
    # Given
    core.sender.script.extend([500, 500])
    began = core.clock.at
    deliver(core, delivery)
    assert core.endpoint().failing_since == began
    # When it fails once more
    again(core, delivery)
    deliver(core, delivery)
    # Then
    assert core.endpoint().failing_since == began
    assert core.endpoint().revision == 2
    # When it succeeds
    again(core, delivery)
    assert deliver(core, delivery) == "delivered"
    # Then
    assert core.endpoint().failing_since is None
    assert core.endpoint().updated_at == began


def test_an_endpoint_that_is_well_is_not_written(core: Core, delivery: Delivery) -> None:
    # Given
    calls = core.recorded()
    # When
    deliver(core, delivery)
    # Then
    assert "webhooks.replace_endpoint" not in calls


def test_a_first_failure_that_somebody_elses_change_overtakes_is_left_to_the_next(
    core: Core, delivery: Delivery
) -> None:
    # Given
    core.sender.script.extend([500, 500])
    core.before("webhooks.replace_endpoint", lambda: changed(core, description="New"))
    # When / Then
    assert deliver(core, delivery) == "pending"
    assert core.endpoint().failing_since is None
    assert core.endpoint().description == "New"
    again(core, delivery)
    deliver(core, delivery)
    assert core.endpoint().failing_since == core.clock.at


def test_a_success_is_noted_also_where_the_endpoint_has_changed_meanwhile(
    core: Core, delivery: Delivery
) -> None:
    # Given
    changed(core, failing_since=core.clock.at)
    core.before("webhooks.replace_endpoint", lambda: changed(core, description="New"))
    # When / Then
    assert deliver(core, delivery) == "delivered"
    assert core.endpoint().failing_since is None
    assert core.endpoint().description == "New"


@pytest.mark.parametrize("fate", ["noted by another", "removed"])
def test_a_success_that_need_not_be_noted_any_more_is_not(
    core: Core, delivery: Delivery, fate: str
) -> None:
    # Given
    changed(core, failing_since=core.clock.at)
    happens: Callable[[], object] = (
        core.webhooks._endpoints.clear
        if fate == "removed"
        else lambda: changed(core, failing_since=None)
    )
    core.before("webhooks.replace_endpoint", happens)
    calls = core.recorded()
    # When / Then
    assert deliver(core, delivery) == "delivered"
    assert calls.count("webhooks.replace_endpoint") == 1


def test_a_success_that_always_comes_second_counts_nevertheless(
    core: Core, delivery: Delivery
) -> None:
    # Given
    changed(core, failing_since=core.clock.at)
    core.fails("webhooks.replace_endpoint", *[LostRaceError()] * (MOST_RACES + 1))
    calls = core.recorded()
    # When / Then
    assert deliver(core, delivery) == "delivered"
    assert calls.count("webhooks.replace_endpoint") == MOST_RACES


def test_a_success_that_could_not_be_noted_is_made_again(core: Core, delivery: Delivery) -> None:
    # Given
    changed(core, failing_since=core.clock.at)
    core.fails("webhooks.replace_endpoint", UnavailableError("down"))
    with pytest.raises(UnavailableError):
        deliver(core, delivery)
    # When
    core.drain()
    # Then
    assert core.endpoint().failing_since is None
    core.check()


# For how long


def test_an_endpoint_that_has_failed_for_five_days_is_disabled(
    core: Core, delivery: Delivery
) -> None:
    # Given
    changed(core, failing_since=core.clock.at - FIVE_DAYS + A_SECOND)
    core.sender.script.extend([500, 500])
    assert deliver(core, delivery) == "pending"
    assert core.endpoint().status is EndpointStatus.ENABLED
    again(core, delivery)
    # When / Then
    assert deliver(core, delivery) == "parked"
    endpoint = core.endpoint()
    assert endpoint.status is EndpointStatus.DISABLED
    assert (endpoint.disabled_at, endpoint.disabled_reason) == (core.clock.at, FAILING)
    assert core.telemetry.counts["EndpointDisabled"] == 1
    [warned] = core.telemetry.warnings
    assert warned.message == "endpoint disabled"
    assert warned.fields == {"endpoint_id": ENDPOINT, "reason": FAILING}
    parked = core.webhooks.delivery(ENDPOINT, delivery.id)
    assert parked is not None
    assert [attempt.status for attempt in parked.attempts] == [500, 500]


def test_reasons_are_sentences() -> None:
    assert GONE == "The endpoint answered 410 Gone."
    assert FAILING == "The endpoint has failed for five days without a success."


def test_a_success_in_the_last_moment_keeps_an_endpoint(core: Core, delivery: Delivery) -> None:
    # Given
    changed(core, failing_since=core.clock.at - FIVE_DAYS)
    core.sender.script.append(500)
    core.before("webhooks.replace_endpoint", lambda: changed(core, failing_since=None))
    # When / Then
    assert deliver(core, delivery) == "pending"
    assert core.endpoint().status is EndpointStatus.ENABLED
    [noted] = [
        each for each in core.telemetry.notes if each.message == "endpoint changed meanwhile"
    ]
    assert noted.fields == {"endpoint_id": ENDPOINT}


# Who hears of it


@pytest.mark.parametrize("answer", [410, 500])
def test_the_other_endpoints_that_want_to_know_are_told(
    core: Core, delivery: Delivery, answer: int
) -> None:
    # Given
    changed(core, failing_since=core.clock.at - FIVE_DAYS)
    core.webhooks.add_endpoint(core.an_endpoint(2))
    core.webhooks.add_endpoint(core.an_endpoint(3, event_filters=("post.*",)))
    core.webhooks.add_endpoint(core.an_endpoint(4, status=EndpointStatus.DISABLED))
    core.webhooks.add_endpoint(core.an_endpoint(5, workspace_id=OTHER_WORKSPACE))
    core.webhooks.add_endpoint(core.an_endpoint(6, event_filters=("webhook.disabled",)))
    core.sender.script.append(answer)
    # When
    assert deliver(core, delivery) == "parked"
    # Then
    told = notices(core)
    assert [each.endpoint_id for each in told] == [core.an_endpoint(n).id for n in (2, 6)]
    assert [(each.endpoint_id, each.lane) for each in core.delivery_queue.sent] == [
        (each.endpoint_id, Lane.PROMPT) for each in told
    ]
    for each in told:
        assert (each.post_id, each.workspace_id) == (ENDPOINT, WORKSPACE)
        assert each.payload is not None
        assert each.payload["eventId"] == each.event_id
        assert each.payload["webhook"]["id"] == ENDPOINT
        assert each.payload["webhook"]["status"] == "DISABLED"
    endpoint = core.endpoint()
    assert (endpoint.notice, endpoint.due_at) == (None, None)
    core.sender.requests.clear()
    core.run_queues()
    assert core.received() == ["webhook.disabled"] * 2


def test_who_has_nothing_to_tell_tells_nothing(core: Core) -> None:
    calls = core.recorded()
    assert core.tell_others(core.endpoint()) == 0
    assert calls == []


def test_an_outage_while_others_are_told_is_made_up_for(core: Core, delivery: Delivery) -> None:
    # Given
    core.webhooks.add_endpoint(core.an_endpoint(2))
    core.sender.script.append(410)
    core.fails("webhooks.add_delivery", UnavailableError("down"))
    # When / Then
    assert deliver(core, delivery) == "parked"
    assert core.telemetry.warnings[-1].message == "others not told yet"
    assert core.telemetry.warnings[-1].fields == {"endpoint_id": ENDPOINT, "error": "down"}
    assert notices(core) == []
    core.clock.advance(webhook.SWEEP_GRACE)
    assert core.reconcile() == {"NoticeTold": 1}
    assert len(notices(core)) == 1
    assert core.reconcile() == {}


@pytest.mark.parametrize("calls", range(1, 6))
def test_who_dies_while_others_are_told_is_made_up_for(core: Core, calls: int) -> None:
    # Given endpoints, a delivery and a message for each of two, the endpoint
    core.webhooks.add_endpoint(core.an_endpoint(2))
    core.webhooks.add_endpoint(core.an_endpoint(3))
    gone = disabled(core)
    core.dies_after(calls, lambda: core.tell_others(gone))
    assert core.endpoint().notice is not None
    # When
    core.drain()
    # Then
    assert [each.status for each in notices(core)] == [DeliveryStatus.DELIVERED] * 2
    assert core.received() == ["webhook.disabled"] * 2
    assert core.endpoint().notice is None


def test_others_are_told_of_an_endpoint_that_was_enabled_again_meanwhile(core: Core) -> None:
    # Given an owner who is quick
    core.webhooks.add_endpoint(core.an_endpoint(2))
    gone = disabled(core)
    core.before("webhooks.replace_endpoint", lambda: core.endpoints.enable(WORKSPACE, ENDPOINT))
    # When / Then the notice is kept, and told once
    assert core.tell_others(gone) == 1
    assert core.endpoint().status is EndpointStatus.ENABLED
    assert core.endpoint().notice is not None
    core.drain()
    assert core.endpoint().notice is None
    assert core.received() == ["webhook.disabled"]


def test_an_endpoint_is_not_disabled_before_it_was_told_of_the_last_time(
    core: Core, delivery: Delivery
) -> None:
    # Given an endpoint that was enabled again before the others were told
    core.webhooks.add_endpoint(core.an_endpoint(2))
    changed(core, notice=disabled(core).notice, status=EndpointStatus.ENABLED)
    core.sender.script.extend([410, 410])
    # When / Then the attempt is one that failed, and no more
    assert deliver(core, delivery) == "pending"
    assert core.endpoint().status is EndpointStatus.ENABLED
    waiting = core.webhooks.delivery(ENDPOINT, delivery.id)
    assert waiting is not None
    assert waiting.tries == 1
    core.clock.advance(webhook.SWEEP_GRACE)
    core.reconcile()
    again(core, delivery)
    assert deliver(core, delivery) == "parked"
    assert len({each.event_id for each in notices(core)}) == 2


def test_a_run_that_finds_an_endpoint_removed_does_nothing(core: Core) -> None:
    # Given
    disabled(core)
    core.clock.advance(AN_HOUR)
    core.before("webhooks.endpoint", core.webhooks._endpoints.clear)
    # When / Then
    assert core.reconcile() == {}
