"""Deliveries and endpoints as values."""

from __future__ import annotations

from datetime import timedelta

import pytest

from postbreeze.domain import webhook
from postbreeze.domain.webhook import Attempt, DeliveryStatus, EndpointStatus
from tests.support.builders import a_delivery, an_endpoint
from tests.support.fakes import START

A_SECOND = timedelta(seconds=1)
ATTEMPT = Attempt(number=1, at=START, duration_ms=12, status=500)


def test_a_lease_keeps_others_away_until_it_ends() -> None:
    # Given
    delivery = a_delivery()
    # When
    leased = webhook.leased(delivery, now=START)
    # Then
    assert leased is not None
    assert leased.leased_until == leased.due_at == START + webhook.ATTEMPT_LEASE
    assert leased.revision == delivery.revision + 1
    assert webhook.leased(leased, now=START + webhook.ATTEMPT_LEASE - A_SECOND) is None
    assert webhook.leased(leased, now=START + webhook.ATTEMPT_LEASE) is not None


@pytest.mark.parametrize("status", set(DeliveryStatus) - {DeliveryStatus.PENDING})
def test_only_a_pending_delivery_is_leased(status: DeliveryStatus) -> None:
    assert webhook.leased(a_delivery(status=status), now=START) is None


def test_a_delivery_is_not_leased_before_its_time() -> None:
    delivery = a_delivery(next_attempt_at=START + A_SECOND)
    assert webhook.leased(delivery, now=START) is None
    assert webhook.leased(delivery, now=START + A_SECOND) is not None
    assert webhook.leased(a_delivery(next_attempt_at=None), now=START) is not None


def test_a_failed_attempt_waits_for_the_next_or_ends_the_ladder() -> None:
    # Given
    delivery = a_delivery(leased_until=START, due_at=START)
    # When
    waiting = webhook.attempted(delivery, ATTEMPT, next_at=START + A_SECOND)
    ended = webhook.attempted(delivery, ATTEMPT, next_at=None)
    # Then
    assert waiting.status is DeliveryStatus.PENDING
    assert waiting.attempts == (ATTEMPT,)
    assert waiting.due_at == START + A_SECOND + webhook.SWEEP_GRACE
    assert waiting.leased_until is None
    assert ended.status is DeliveryStatus.EXHAUSTED
    assert (ended.due_at, ended.next_attempt_at) == (None, None)


def test_deliveries_end_and_wait_as_told() -> None:
    delivery = a_delivery()
    assert webhook.delivered(delivery, ATTEMPT).status is DeliveryStatus.DELIVERED
    assert webhook.dropped(delivery).status is DeliveryStatus.DROPPED
    parked = webhook.parked(delivery)
    assert (parked.status, parked.attempts, parked.due_at) == (DeliveryStatus.PARKED, (), None)
    assert webhook.parked(delivery, ATTEMPT).attempts == (ATTEMPT,)
    again = webhook.unparked(parked, now=START)
    assert (again.status, again.next_attempt_at) == (DeliveryStatus.PENDING, START)
    assert again.revision == delivery.revision + 2


def test_an_endpoint_is_disabled_with_a_reason_and_enabled_without() -> None:
    # Given
    endpoint = an_endpoint()
    # When
    disabled = webhook.disabled(endpoint, "gone", now=START)
    enabled = webhook.enabled(disabled)
    # Then
    assert disabled.status is EndpointStatus.DISABLED
    assert (disabled.disabled_at, disabled.disabled_reason) == (START, "gone")
    assert enabled.status is EndpointStatus.ENABLED
    assert (enabled.disabled_at, enabled.disabled_reason) == (None, None)
    assert enabled.revision == endpoint.revision + 2


def test_what_is_left_to_wait_is_told_of_deliveries_that_nobody_has_taken() -> None:
    # Given
    soon = START + 3 * A_SECOND
    waiting = a_delivery(next_attempt_at=soon)
    none = timedelta(0)
    # When / Then
    assert webhook.waits(waiting, now=START) == 3 * A_SECOND
    assert webhook.waits(waiting, now=soon) == none
    assert webhook.waits(waiting, now=soon + A_SECOND) == none
    assert webhook.waits(a_delivery(next_attempt_at=None), now=START) == none
    taken = a_delivery(next_attempt_at=soon, leased_until=START + A_SECOND)
    assert webhook.waits(taken, now=START) == none
    assert webhook.waits(taken, now=START + A_SECOND) == 2 * A_SECOND
    parked = a_delivery(next_attempt_at=soon, status=DeliveryStatus.PARKED)
    assert webhook.waits(parked, now=START) == none
