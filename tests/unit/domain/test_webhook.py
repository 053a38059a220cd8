"""Deliveries and endpoints as values."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postbreeze.domain import ids, webhook
from postbreeze.domain.documents import timestamp
from postbreeze.domain.events import EventType
from postbreeze.domain.webhook import Attempt, Backlog, Delivery, DeliveryStatus, EndpointStatus
from tests.support.builders import a_delivery, an_endpoint, an_event
from tests.support.fakes import START

A_SECOND = timedelta(seconds=1)
A_MINUTE = timedelta(minutes=1)
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
    assert (waiting.leased_until, waiting.expires_at) == (None, None)
    assert ended.status is DeliveryStatus.EXHAUSTED
    assert (ended.due_at, ended.next_attempt_at) == (None, None)


def test_a_delivery_is_addressed_to_an_endpoint_once() -> None:
    # Given
    endpoint, event = an_endpoint(), an_event()
    wanted: dict[str, Any] = {
        "event_id": event.id,
        "event_type": event.type,
        "post_id": event.post_id,
        "occurred_at": event.occurred_at,
    }
    # When
    made = webhook.addressed(endpoint, now=START, payload={"a": 1}, **wanted)
    later = webhook.addressed(endpoint, now=START + A_SECOND, **wanted)
    other = webhook.addressed(an_endpoint(), now=START, **wanted)
    # Then
    assert made.id == later.id != other.id
    assert made.id == ids.derived_id(ids.DELIVERY, event.occurred_at, event.id, endpoint.id)
    assert made == Delivery(
        id=made.id,
        endpoint_id=endpoint.id,
        workspace_id=endpoint.workspace_id,
        event_id=event.id,
        event_type=event.type,
        post_id=event.post_id,
        status=DeliveryStatus.PENDING,
        created_at=START,
        payload={"a": 1},
        next_attempt_at=START,
        due_at=START + webhook.SWEEP_GRACE,
    )
    assert later.payload is None


def test_deliveries_end_and_wait_as_told() -> None:
    # Given
    delivery = a_delivery(leased_until=START)
    later = START + A_SECOND
    at = replace(ATTEMPT, at=later)
    # When
    delivered = webhook.delivered(delivery, at)
    dropped = webhook.dropped(delivery, now=later)
    exhausted = webhook.attempted(delivery, at, next_at=None)
    parked = webhook.parked(delivery)
    # Then
    assert delivered.status is DeliveryStatus.DELIVERED
    assert (dropped.status, dropped.attempts) == (DeliveryStatus.DROPPED, ())
    for ended in (delivered, dropped, exhausted):
        assert ended.expires_at == later + webhook.DELIVERIES_KEPT
        assert (ended.due_at, ended.next_attempt_at, ended.leased_until) == (None, None, None)
        assert ended.revision == delivery.revision + 1
    assert (parked.status, parked.attempts, parked.tries) == (DeliveryStatus.PARKED, (), 0)
    assert (parked.due_at, parked.expires_at) == (None, None)
    assert (webhook.parked(delivery, ATTEMPT).attempts) == (ATTEMPT,)


def test_a_delivery_is_sent_off_at_the_foot_of_the_ladder_with_its_attempts() -> None:
    # Given
    given_up = webhook.attempted(a_delivery(tries=9), ATTEMPT, next_at=None)
    # When
    again = webhook.sent_off(given_up, now=START + A_SECOND)
    # Then
    assert again is not None
    assert (again.status, again.tries, again.attempts) == (DeliveryStatus.PENDING, 0, (ATTEMPT,))
    assert again.next_attempt_at == START + A_SECOND
    assert again.due_at == START + A_SECOND + webhook.SWEEP_GRACE
    assert again.expires_at is None
    assert again.revision == given_up.revision + 1


def test_a_delivery_under_way_is_not_sent_off() -> None:
    taken = a_delivery(leased_until=START + A_SECOND)
    assert webhook.sent_off(taken, now=START) is None
    assert webhook.sent_off(taken, now=START + A_SECOND) is not None


def test_a_delivery_is_held_without_an_attempt() -> None:
    # Given
    delivery = a_delivery(tries=3, attempts=(ATTEMPT,), leased_until=START)
    # When
    held = webhook.held(delivery, START + A_SECOND)
    # Then
    assert (held.status, held.tries, held.attempts) == (DeliveryStatus.PENDING, 3, (ATTEMPT,))
    assert (held.next_attempt_at, held.leased_until) == (START + A_SECOND, None)
    assert held.due_at == START + A_SECOND + webhook.SWEEP_GRACE
    assert not held.is_reserved


def test_a_moment_that_is_reserved_is_used_by_the_next_attempt() -> None:
    # Given
    held = webhook.held(a_delivery(), START, is_reserved=True)
    assert held.is_reserved
    # When
    leased = webhook.leased(held, now=START)
    # Then
    assert leased is not None
    assert leased.is_reserved
    assert not webhook.attempted(leased, ATTEMPT, next_at=START).is_reserved
    assert not webhook.parked(held).is_reserved
    assert not webhook.held(held, START).is_reserved


def test_attempts_are_counted_also_where_the_first_of_them_are_kept_no_more() -> None:
    # Given
    delivery = a_delivery()
    assert delivery.attempt_count == 0
    # When
    for number in range(1, webhook.MOST_ATTEMPTS_LOGGED + 2):
        attempt = replace(ATTEMPT, number=number)
        delivery = webhook.attempted(delivery, attempt, next_at=START)
    # Then
    assert delivery.attempt_count == delivery.tries == 13
    assert [attempt.number for attempt in delivery.attempts] == list(range(2, 14))


def test_an_endpoint_is_disabled_with_a_reason_and_enabled_without() -> None:
    # Given
    endpoint = an_endpoint(
        failing_since=START,
        backlog=Backlog(asked_at=START, is_parked=True),
        due_at=START,
    )
    later = START + A_SECOND
    # When
    disabled = webhook.disabled(endpoint, "gone", now=START)
    enabled = webhook.enabled(disabled, now=later)
    # Then
    assert disabled.status is EndpointStatus.DISABLED
    assert (disabled.disabled_at, disabled.disabled_reason) == (START, "gone")
    assert (disabled.notice, disabled.backlog, disabled.due_at) == (None, None, None)
    assert (disabled.updated_at, disabled.revision) == (START, endpoint.revision + 1)
    assert enabled.status is EndpointStatus.ENABLED
    assert (enabled.disabled_at, enabled.disabled_reason) == (None, None)
    assert enabled.failing_since is None
    assert enabled.backlog == Backlog(asked_at=later, is_parked=True)
    assert (enabled.due_at, enabled.updated_at) == (later, later)
    assert enabled.revision == endpoint.revision + 2


def test_what_the_others_are_to_be_told_of_an_endpoint_is_kept_until_they_are() -> None:
    # Given
    endpoint = an_endpoint(description="Ours")
    # When
    disabled = webhook.disabled(endpoint, "gone", now=START, is_told=True)
    # Then
    notice = disabled.notice
    assert notice is not None
    assert disabled.due_at == START + webhook.SWEEP_GRACE
    event_id = ids.derived_id(ids.EVENT, START, endpoint.id, "webhook.disabled", "2")
    assert notice.event_id == event_id
    assert (notice.type, notice.occurred_at) == (EventType.WEBHOOK_DISABLED, START)
    assert notice.payload == {
        "eventId": event_id,
        "occurredAt": timestamp(START),
        "workspaceId": endpoint.workspace_id,
        "webhook": {
            "id": endpoint.id,
            "workspaceId": endpoint.workspace_id,
            "description": "Ours",
            "status": "DISABLED",
            "disabledAt": timestamp(START),
            "disabledReason": "gone",
        },
    }
    # And neither enabling nor disabling it by hand forgets that
    enabled = webhook.enabled(disabled, now=START + A_SECOND)
    assert (enabled.notice, enabled.due_at) == (notice, START + A_SECOND)
    again = webhook.disabled(enabled, "by hand", now=START + A_MINUTE)
    assert (again.notice, again.due_at) == (notice, START + A_SECOND)
    told = webhook.told(again)
    assert (told.notice, told.due_at, told.updated_at) == (None, None, START + A_MINUTE)
    assert told.revision == again.revision + 1


def test_a_backlog_keeps_an_endpoint_due_whose_notice_was_told() -> None:
    disabled = webhook.disabled(an_endpoint(), "gone", now=START, is_told=True)
    told = webhook.told(webhook.enabled(disabled, now=START + A_SECOND))
    assert (told.notice, told.due_at) == (None, START + A_SECOND)


def test_an_endpoint_fails_from_its_first_failure_until_a_success() -> None:
    # Given
    endpoint = an_endpoint()
    later = START + A_SECOND
    # When
    failing = webhook.failing(endpoint, now=later)
    succeeding = webhook.succeeding(failing)
    # Then
    assert (failing.failing_since, failing.revision) == (later, endpoint.revision + 1)
    assert (succeeding.failing_since, succeeding.revision) == (None, endpoint.revision + 2)
    assert failing.updated_at == succeeding.updated_at == START


def test_an_endpoint_may_fail_for_five_days() -> None:
    five_days = timedelta(days=5)
    failing = an_endpoint(failing_since=START)
    assert not webhook.has_failed_too_long(an_endpoint(), now=START + five_days)
    assert not webhook.has_failed_too_long(failing, now=START + five_days - A_SECOND)
    assert webhook.has_failed_too_long(failing, now=START + five_days)


def test_a_secret_signs_beside_its_successor_until_it_retires() -> None:
    # Given
    endpoint = an_endpoint(sealed_secrets=(b"one",))
    assert webhook.signing(endpoint, now=START) == (b"one",)
    # When
    rotated = webhook.rotated(endpoint, b"two", now=START)
    again = webhook.rotated(rotated, b"three", now=START, overlap=A_MINUTE)
    # Then
    day = timedelta(days=1)
    assert rotated.secret_retires_at == START + day
    assert webhook.signing(rotated, now=START + day - A_SECOND) == (b"one", b"two")
    assert webhook.signing(rotated, now=START + day) == (b"two",)
    assert webhook.signing(again, now=START + A_SECOND) == (b"two", b"three")
    assert webhook.signing(again, now=START + A_MINUTE) == (b"three",)
    assert (again.updated_at, again.revision) == (START, endpoint.revision + 2)


def test_recovering_adds_to_the_backlog() -> None:
    # Given
    endpoint = an_endpoint(backlog=Backlog(asked_at=START, is_parked=True))
    later, day = START + A_SECOND, timedelta(days=1)
    # When
    asked = webhook.recovering(endpoint, START - day, now=later)
    again = webhook.recovering(asked, START, now=later + A_SECOND)
    # Then
    assert asked.backlog == Backlog(asked_at=later, is_parked=True, failed_since=START - day)
    assert (asked.due_at, asked.updated_at) == (later, later)
    assert again.backlog == replace(asked.backlog, asked_at=later + A_SECOND)
    fresh = webhook.recovering(an_endpoint(), START, now=later)
    assert fresh.backlog == Backlog(asked_at=later, failed_since=START)
    earlier = webhook.recovering(fresh, START - day, now=later)
    assert earlier.backlog == Backlog(asked_at=later, failed_since=START - day)


def test_what_is_shown_of_an_endpoint_has_no_secret_in_it() -> None:
    # Given
    endpoint = an_endpoint(
        description="Ours",
        headers={"X-B": "secret", "Authorization": "secret"},
        rate_limit=5,
        secret_retires_at=START,
        failing_since=START,
        disabled_at=START,
        disabled_reason="gone",
    )
    # When / Then
    assert webhook.endpoint_document(endpoint) == {
        "id": endpoint.id,
        "workspaceId": endpoint.workspace_id,
        "url": endpoint.url,
        "events": ["*"],
        "description": "Ours",
        "headerNames": ["Authorization", "X-B"],
        "rateLimit": 5,
        "status": "ENABLED",
        "failingSince": timestamp(START),
        "disabledAt": timestamp(START),
        "disabledReason": "gone",
        "secretRetiresAt": timestamp(START),
        "createdAt": timestamp(START),
        "updatedAt": timestamp(START),
    }


def test_a_delivery_is_shown_with_its_attempts() -> None:
    # Given
    answered = replace(ATTEMPT, response_headers={"a": "b"}, response_body="no")
    unanswered = replace(ATTEMPT, number=2, status=None, error="DNS_FAILED", message="No.")
    delivery = a_delivery(attempts=(answered, unanswered))
    # When / Then
    assert webhook.delivery_document(delivery) == {
        "id": delivery.id,
        "webhookId": delivery.endpoint_id,
        "eventId": delivery.event_id,
        "event": delivery.event_type.value,
        "subjectId": delivery.post_id,
        "status": "PENDING",
        "createdAt": timestamp(START),
        "nextAttemptAt": timestamp(START),
        "attemptCount": 2,
        "attempts": [
            {
                "number": 1,
                "at": timestamp(START),
                "durationMs": 12,
                "status": 500,
                "error": None,
                "message": None,
                "responseHeaders": {"a": "b"},
                "responseBody": "no",
            },
            {
                "number": 2,
                "at": timestamp(START),
                "durationMs": 12,
                "status": None,
                "error": "DNS_FAILED",
                "message": "No.",
                "responseHeaders": {},
                "responseBody": None,
            },
        ],
    }


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
