"""Fanning events out, and delivering them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postbreeze.domain import webhook
from postbreeze.domain.errors import LostRaceError, UnavailableError
from postbreeze.domain.events import Event
from postbreeze.domain.webhook import Delivery, DeliveryStatus, Endpoint, EndpointStatus, Lane
from postbreeze.operations.deliver import CLOCKS_APART, sealing_context
from postbreeze.operations.fan_out import EVENTS_KEPT
from postbreeze.operations.webhook_ports import WebhookResponse, WebhookSendError
from postbreeze.webhooks.backoff import GAPS
from tests.support.builders import a_delivery, an_event
from tests.support.core import (
    A_MINUTE,
    A_SECOND,
    AN_HOUR,
    OTHER_WORKSPACE,
    WEBHOOK_SECRET,
    Core,
    SentRequest,
    numbered,
)


@pytest.fixture
def core() -> Core:
    return Core()


def happened(core: Core) -> Event:
    """Have one event in the outbox that was not announced."""
    post = core.created(1, scheduled_for=None)
    core.bus.announced.clear()
    return core.posts.timeline(post.id)[0]


def deliveries(core: Core) -> list[Delivery]:
    return list(core.webhooks._deliveries.values())


def changed(core: Core, **fields: Any) -> Endpoint:
    """Change the usual endpoint."""
    endpoint = replace(core.endpoint(), **fields)
    core.webhooks._endpoints[endpoint.workspace_id, endpoint.id] = endpoint
    return endpoint


# Fanning out


def test_every_endpoint_that_subscribes_gets_one_delivery(core: Core) -> None:
    # Given
    core.webhooks.add_endpoint(core.an_endpoint(2, event_filters=("post.*",)))
    core.webhooks.add_endpoint(core.an_endpoint(3, event_filters=("post.cancelled",)))
    core.webhooks.add_endpoint(core.an_endpoint(4, workspace_id=OTHER_WORKSPACE))
    event = happened(core)
    # When
    assert core.fan_out(event.post_id, event.id) == 2
    # Then
    endpoints = [core.an_endpoint(number).id for number in (1, 2)]
    assert [delivery.endpoint_id for delivery in deliveries(core)] == endpoints
    assert [sent.endpoint_id for sent in core.delivery_queue.sent] == endpoints
    for delivery in deliveries(core):
        assert delivery.status is DeliveryStatus.PENDING
        assert (delivery.event_id, delivery.event_type) == (event.id, event.type)
        assert delivery.next_attempt_at == core.clock.at
        assert delivery.due_at == core.clock.at + webhook.SWEEP_GRACE
    stored = core.posts.event(event.post_id, event.id)
    assert stored is not None
    assert stored.pending_since is None
    assert core.posts.expiries[event.id] == core.clock.at + EVENTS_KEPT
    assert core.telemetry.counts["EventFannedOut"] == 1


def test_an_event_is_fanned_out_once(core: Core) -> None:
    # Given
    event = happened(core)
    core.fan_out(event.post_id, event.id)
    # When / Then
    assert core.fan_out(event.post_id, event.id) == 0
    assert len(deliveries(core)) == len(core.delivery_queue.sent) == 1


def test_an_event_that_nobody_wants_leaves_the_outbox(core: Core) -> None:
    # Given
    changed(core, event_filters=("webhook.*",))
    event = happened(core)
    # When / Then
    assert core.fan_out(event.post_id, event.id) == 0
    assert core.posts.pending_events(core.clock.at + AN_HOUR, 9) == []


def test_an_event_that_is_not_there_is_warned_of(core: Core) -> None:
    assert core.fan_out("post_x", "evt_x") == 0
    assert core.telemetry.warnings[0].message == "event not found"


def test_a_delivery_to_a_disabled_endpoint_is_made_and_parked(core: Core) -> None:
    # Given
    changed(core, status=EndpointStatus.DISABLED)
    event = happened(core)
    # When / Then
    assert core.fan_out(event.post_id, event.id) == 1
    [made] = deliveries(core)
    assert (made.status, made.due_at) == (
        DeliveryStatus.PENDING,
        core.clock.at + webhook.SWEEP_GRACE,
    )
    core.run_queues()
    [delivery] = deliveries(core)
    assert (delivery.status, delivery.due_at) == (DeliveryStatus.PARKED, None)
    assert core.sender.requests == []


@pytest.mark.parametrize("calls", range(1, 8))
def test_a_fan_out_that_died_is_repeated_without_a_second_delivery(core: Core, calls: int) -> None:
    # Given
    core.webhooks.add_endpoint(core.an_endpoint(2))
    event = happened(core)
    core.dies_after(calls, lambda: core.fan_out(event.post_id, event.id))
    # When
    core.fan_out(event.post_id, event.id)
    # Then
    assert len(deliveries(core)) == 2
    core.drain()
    core.check()


# Delivering


@pytest.fixture
def delivery(core: Core) -> Delivery:
    """One delivery that is due."""
    event = happened(core)
    core.fan_out(event.post_id, event.id)
    core.delivery_queue.sent.clear()
    return deliveries(core)[0]


def deliver(core: Core, delivery: Delivery, lane: Lane = Lane.PROMPT) -> str:
    return core.deliver(delivery.endpoint_id, delivery.id, lane)


def put(core: Core, delivery: Delivery) -> None:
    """Have a delivery be as it is given."""
    core.webhooks._deliveries[delivery.endpoint_id, delivery.id] = delivery


def stored(core: Core, delivery: Delivery) -> Delivery:
    found = core.webhooks.delivery(delivery.endpoint_id, delivery.id)
    assert found is not None
    return found


def test_a_delivery_is_signed_sent_and_recorded(core: Core, delivery: Delivery) -> None:
    # When / Then
    assert deliver(core, delivery) == "delivered"
    [request] = core.sender.requests
    body = json.loads(request.body)
    event = core.posts.event(delivery.post_id, delivery.event_id)
    assert event is not None
    assert request.url == "https://hooks.example/1"
    assert (body["event"], body["deliveryId"]) == ("post.created", delivery.id)
    assert body["payload"] == event.payload
    assert request.headers["X-Postbreeze-Delivery-Id"] == delivery.id
    assert request.headers["X-Postbreeze-Signature"].startswith("t=")
    assert request.headers["webhook-id"] == delivery.id
    ended = stored(core, delivery)
    assert (ended.status, ended.due_at) == (DeliveryStatus.DELIVERED, None)
    [attempt] = ended.attempts
    assert (attempt.number, attempt.status, attempt.duration_ms) == (1, 200, 12)
    assert attempt.response_body == "ok"
    assert core.telemetry.counts["WebhookDelivered"] == 1


@pytest.mark.parametrize(("retires_in", "secrets"), [(A_SECOND, 2), (timedelta(0), 1)])
def test_both_secrets_sign_until_the_former_retires(
    core: Core, delivery: Delivery, retires_in: timedelta, secrets: int
) -> None:
    # Given
    changed(
        core,
        sealed_secrets=core.endpoint().sealed_secrets * 2,
        secret_retires_at=core.clock.at + retires_in,
    )
    # When
    deliver(core, delivery)
    # Then
    headers = core.sender.requests[0].headers
    assert headers["X-Postbreeze-Signature"].count("v1=") == secrets
    assert len(headers["webhook-signature"].split()) == secrets


def test_a_delivery_with_a_payload_of_its_own_needs_no_event(
    core: Core, delivery: Delivery
) -> None:
    # Given
    event = core.posts.event(delivery.post_id, delivery.event_id)
    assert event is not None
    put(core, replace(delivery, payload={**event.payload, "eventId": numbered("evt", 7)}))
    calls = core.recorded()
    # When / Then
    assert deliver(core, delivery) == "delivered"
    assert json.loads(core.sender.requests[0].body)["payload"]["eventId"] == numbered("evt", 7)
    assert "posts.event" not in calls


def test_what_an_endpoint_answers_is_kept_without_what_it_was_sent_in_confidence(
    core: Core, delivery: Delivery
) -> None:
    # Given an endpoint that echoes what it gets
    changed(core, headers={"Authorization": "Bearer abc/def"})

    def echo(request: SentRequest) -> WebhookResponse:
        headers = request.headers
        told = json.dumps({**headers, "known": WEBHOOK_SECRET}).replace("/", "\\/")
        return WebhookResponse(
            status=500,
            headers={
                "X-Seen": headers["Authorization"],
                "X-Signature": headers["X-Postbreeze-Signature"],
                "Set-Cookie": "session=1",
            },
            body=told.encode(),
            duration_ms=1,
        )

    core.sender.script.append(echo)
    # When
    deliver(core, delivery)
    # Then
    [attempt] = stored(core, delivery).attempts
    assert attempt.response_headers == {"x-seen": "[secret]", "x-signature": "[secret]"}
    assert attempt.response_body is not None
    shown = json.loads(attempt.response_body)
    secrets = {"Authorization", "X-Postbreeze-Signature", "webhook-signature", "known"}
    assert {name for name, value in shown.items() if value == "[secret]"} == secrets
    assert shown["webhook-id"] == delivery.id


def test_what_went_wrong_is_told_without_what_was_sent_in_confidence(
    core: Core, delivery: Delivery
) -> None:
    # Given
    changed(core, headers={"X-Token": "abc"})
    core.sender.script.append(WebhookSendError("HEADERS_NOT_ALLOWED", "Not abc."))
    # When
    deliver(core, delivery)
    # Then
    assert stored(core, delivery).attempts[0].message == "Not [secret]."


@pytest.mark.parametrize("answer", [199, 302, 400, 404, 429, 500, 503])
def test_any_other_answer_is_tried_again(core: Core, delivery: Delivery, answer: int) -> None:
    # Given
    core.sender.script.append(answer)
    # When / Then
    assert deliver(core, delivery) == "pending"
    waiting = stored(core, delivery)
    assert waiting.next_attempt_at is not None
    wait = waiting.next_attempt_at - core.clock.at
    assert timedelta(seconds=4.5) <= wait <= timedelta(seconds=5.5)
    [sent] = core.delivery_queue.sent
    assert (sent.delay_seconds, sent.lane) == (-(-wait // A_SECOND), Lane.LATE)
    assert core.telemetry.counts["WebhookPending"] == 1


def test_no_answer_is_tried_again_and_says_where_it_broke_off(
    core: Core, delivery: Delivery
) -> None:
    # Given
    core.sender.script.append(WebhookSendError("CONNECT_TIMEOUT", "No connection.", 1000))
    # When / Then
    assert deliver(core, delivery) == "pending"
    [attempt] = stored(core, delivery).attempts
    assert (attempt.status, attempt.error, attempt.message, attempt.duration_ms) == (
        None,
        "CONNECT_TIMEOUT",
        "No connection.",
        1000,
    )


@pytest.mark.parametrize("fault", ["of another endpoint", "not a secret"])
def test_a_secret_that_cannot_be_used_is_tried_again_without_sending(
    core: Core, delivery: Delivery, fault: str
) -> None:
    # Given
    context = {} if fault == "of another endpoint" else sealing_context(core.endpoint())
    changed(core, sealed_secrets=(core.secrets.seal("whsec_short", context),))
    # When / Then
    assert deliver(core, delivery) == "pending"
    [attempt] = stored(core, delivery).attempts
    assert (attempt.error, attempt.status) == ("SECRET_UNREADABLE", None)
    assert attempt.message == "The endpoint's secret cannot be used: it needs a new one."
    assert core.sender.requests == []


@pytest.mark.parametrize("header", ["Retry-After", "retry-after"])
def test_an_endpoint_can_ask_for_more_time(core: Core, delivery: Delivery, header: str) -> None:
    # Given
    answer = WebhookResponse(status=503, headers={header: "600"}, body=b"\xff", duration_ms=1)
    core.sender.script.append(answer)
    # When
    deliver(core, delivery)
    # Then
    waiting = stored(core, delivery)
    assert waiting.next_attempt_at == core.clock.at + timedelta(seconds=600)
    assert core.delivery_queue.sent[-1].delay_seconds == 600
    assert waiting.attempts[0].response_body == "\ufffd"


def test_a_wait_too_long_for_a_message_is_left_to_the_reconciler(
    core: Core, delivery: Delivery
) -> None:
    # Given
    core.sender.script.append(
        WebhookResponse(status=503, headers={"Retry-After": "901"}, body=b"", duration_ms=1)
    )
    # When
    deliver(core, delivery)
    # Then
    assert core.delivery_queue.sent == []
    waiting = stored(core, delivery)
    assert waiting.due_at == core.clock.at + timedelta(seconds=901) + webhook.SWEEP_GRACE


def test_the_ladder_ends_after_ten_attempts(core: Core, delivery: Delivery) -> None:
    # Given
    core.sender.script.extend([500] * 20)
    # When
    gaps = []
    while (now := stored(core, delivery)).status is DeliveryStatus.PENDING:
        assert now.next_attempt_at is not None
        gaps.append(now.next_attempt_at - core.clock.at)
        core.clock.at = max(core.clock.at, now.next_attempt_at)
        deliver(core, delivery)
    # Then
    assert now.status is DeliveryStatus.EXHAUSTED
    assert [attempt.number for attempt in now.attempts] == list(range(1, 11))
    for waited, gap in zip(gaps, GAPS, strict=True):
        assert gap * 0.9 <= waited <= gap * 1.1
    assert now.due_at is None
    assert len({request.headers["X-Postbreeze-Signature"] for request in core.sender.requests}) > 1
    assert len({request.headers["webhook-id"] for request in core.sender.requests}) == 1


def test_what_is_sent_off_again_begins_at_the_foot_of_the_ladder(
    core: Core, delivery: Delivery
) -> None:
    # Given a delivery that was given up, and sent off again
    tried = tuple(
        webhook.Attempt(number=number, at=core.clock.at, duration_ms=1, status=500)
        for number in range(3, 11)
    )
    put(core, replace(delivery, attempts=tried, tries=0))
    core.sender.script.append(500)
    # When
    deliver(core, delivery, Lane.LATE)
    # Then
    waiting = stored(core, delivery)
    assert (waiting.attempts[-1].number, waiting.tries) == (11, 1)
    assert waiting.next_attempt_at is not None
    assert waiting.next_attempt_at - core.clock.at <= timedelta(seconds=5.5)


def test_an_endpoint_that_is_gone_is_disabled_and_its_deliveries_parked(
    core: Core, delivery: Delivery
) -> None:
    # Given
    core.sender.script.append(410)
    # When / Then
    assert deliver(core, delivery) == "parked"
    endpoint = core.endpoint()
    assert endpoint.status is EndpointStatus.DISABLED
    assert endpoint.disabled_reason == "The endpoint answered 410 Gone."
    assert core.telemetry.counts["EndpointDisabled"] == 1
    assert stored(core, delivery).attempts[0].status == 410


def test_an_endpoint_that_was_changed_while_it_answered_gone_is_tried_again(
    core: Core, delivery: Delivery
) -> None:
    # Given an owner who mends the address at that moment
    core.sender.script.append(410)
    core.before(
        "webhooks.replace_endpoint",
        lambda: changed(core, url="https://hooks.example/new", revision=7),
    )
    # When / Then
    assert deliver(core, delivery) == "pending"
    assert core.endpoint().status is EndpointStatus.ENABLED
    waiting = stored(core, delivery)
    assert waiting.status is DeliveryStatus.PENDING
    assert waiting.next_attempt_at is not None
    assert waiting.next_attempt_at > core.clock.at
    assert waiting.attempts[0].status == 410
    core.drain()
    assert stored(core, delivery).status is DeliveryStatus.DELIVERED
    assert core.sender.requests[-1].url == "https://hooks.example/new"


def test_a_delivery_to_a_disabled_endpoint_is_parked_unsent(core: Core, delivery: Delivery) -> None:
    # Given
    changed(core, status=EndpointStatus.DISABLED)
    # When / Then
    assert deliver(core, delivery) == "parked"
    assert core.sender.requests == []
    assert stored(core, delivery).due_at is None


def test_a_delivery_to_an_endpoint_that_was_removed_is_dropped(
    core: Core, delivery: Delivery
) -> None:
    # Given
    core.webhooks._endpoints.clear()
    # When / Then
    assert deliver(core, delivery) == "dropped"
    assert stored(core, delivery).status is DeliveryStatus.DROPPED


def test_a_delivery_whose_event_has_expired_is_dropped_with_a_warning(core: Core) -> None:
    # Given
    event = an_event()
    delivery = a_delivery(core.endpoint(), event, workspace_id=core.endpoint().workspace_id)
    core.webhooks.add_delivery(delivery)
    # When / Then
    assert deliver(core, delivery) == "dropped"
    assert core.telemetry.warnings[0].message == "event of a delivery not found"
    assert stored(core, delivery).status is DeliveryStatus.DROPPED


def test_a_delivery_that_is_not_there_is_warned_of(core: Core) -> None:
    assert core.deliver("wh_x", "dlv_x", Lane.PROMPT) == "nothing to do"
    assert core.telemetry.warnings[0].message == "delivery not found"


def test_a_second_message_sends_nothing(core: Core, delivery: Delivery) -> None:
    deliver(core, delivery)
    assert deliver(core, delivery) == "nothing to do"
    assert len(core.sender.requests) == 1


def test_a_message_before_its_time_is_sent_again_for_the_rest_of_it(
    core: Core, delivery: Delivery
) -> None:
    # Given
    core.sender.script.append(500)
    deliver(core, delivery)
    waiting = stored(core, delivery)
    core.delivery_queue.sent.clear()
    core.clock.advance(milliseconds=1500)
    # When / Then
    assert deliver(core, delivery) == "too early"
    assert len(core.sender.requests) == 1
    assert stored(core, delivery) == waiting
    assert waiting.next_attempt_at is not None
    [sent] = core.delivery_queue.sent
    assert (sent.delivery_id, sent.lane) == (delivery.id, Lane.PROMPT)
    assert sent.delay_seconds == -(-(waiting.next_attempt_at - core.clock.at) // A_SECOND)
    core.advance(sent.delay_seconds * A_SECOND)
    core.run_queues()
    assert stored(core, delivery).status is DeliveryStatus.DELIVERED


def test_a_clock_that_is_behind_delays_a_delivery_by_a_second_at_most(
    core: Core, delivery: Delivery
) -> None:
    # Given a function whose clock is 5 ms behind the one that made the delivery
    core.clock.advance(milliseconds=-5)
    # When
    assert deliver(core, delivery) == "too early"
    core.advance(A_SECOND)
    core.run_queues()
    # Then
    assert core.received() == ["post.created"]


def test_a_message_far_before_its_time_is_a_second_one_and_ends(
    core: Core, delivery: Delivery
) -> None:
    # Given
    core.sender.script.append(
        WebhookResponse(status=503, headers={"Retry-After": "901"}, body=b"", duration_ms=1)
    )
    deliver(core, delivery)
    # When / Then
    core.clock.advance(timedelta(seconds=901) - CLOCKS_APART - A_SECOND)
    assert deliver(core, delivery) == "nothing to do"
    assert core.delivery_queue.sent == []
    core.clock.advance(A_SECOND)
    assert deliver(core, delivery) == "too early"
    assert core.delivery_queue.sent[-1].delay_seconds == CLOCKS_APART / A_SECOND


def test_messages_that_were_sent_twice_do_not_come_back_for_ever(
    core: Core, delivery: Delivery
) -> None:
    # Given many messages for a delivery that fails, as the reconciler sends them while it is due
    core.sender.script.extend([500] * 2)
    for _ in range(50):
        core.delivery_queue.send(delivery.endpoint_id, delivery.id)
    # When two attempts have been made
    core.run_queues()
    core.advance(A_MINUTE)
    core.run_queues()
    assert len(stored(core, delivery).attempts) == 2
    # Then one message is left, for the third
    core.pump()
    assert len(core.waiting) == 1


def test_a_message_during_an_attempt_is_not_sent_again(core: Core, delivery: Delivery) -> None:
    # Given
    core.before("sender.post", lambda: deliver(core, delivery))
    # When / Then
    assert deliver(core, delivery) == "delivered"
    assert core.delivery_queue.sent == []
    assert len(core.sender.requests) == 1


def test_a_parked_delivery_whose_endpoint_is_enabled_is_sent_when_a_message_comes(
    core: Core, delivery: Delivery
) -> None:
    # Given a process that died after it had parked a delivery, while the endpoint was being enabled
    changed(core, status=EndpointStatus.DISABLED)
    deliver(core, delivery)
    assert deliver(core, delivery) == "parked"
    assert core.delivery_queue.sent == []
    changed(core, status=EndpointStatus.ENABLED)
    # When / Then
    assert deliver(core, delivery) == "pending"
    assert [sent.lane for sent in core.delivery_queue.sent] == [Lane.LATE]
    core.run_queues()
    assert stored(core, delivery).status is DeliveryStatus.DELIVERED
    assert len(core.sender.requests) == 1


def test_of_two_messages_at_once_one_sends(core: Core, delivery: Delivery) -> None:
    # Given
    core.before("webhooks.replace_delivery", lambda: deliver(core, delivery))
    # When / Then
    assert deliver(core, delivery) == "nothing to do"
    assert len(core.sender.requests) == 1


def test_an_attempt_that_outlived_its_lease_does_not_overwrite_the_next(
    core: Core, delivery: Delivery
) -> None:
    # Given
    def another() -> None:
        core.advance(webhook.ATTEMPT_LEASE)
        assert deliver(core, delivery) == "delivered"

    core.before("sender.post", another)
    # When / Then
    assert deliver(core, delivery) == "overtaken"
    assert len(stored(core, delivery).attempts) == 1


def test_an_attempt_that_died_after_sending_is_made_again_under_the_same_id(
    core: Core, delivery: Delivery
) -> None:
    # Given delivery, endpoint, event, lease, secret, send
    core.dies_after(6, lambda: deliver(core, delivery))
    assert len(core.sender.requests) == 1
    assert deliver(core, delivery) == "nothing to do"
    # When
    core.advance(webhook.ATTEMPT_LEASE)
    assert core.reconcile() == {"DeliverySentAgain": 1}
    core.run_queues()
    # Then
    assert stored(core, delivery).status is DeliveryStatus.DELIVERED
    assert len({request.headers["webhook-id"] for request in core.sender.requests}) == 1


@pytest.mark.parametrize(
    "fail",
    [
        lambda core: core.fails("webhooks.replace_delivery", UnavailableError()),
        lambda core: core.fails_after("webhooks.replace_delivery", UnavailableError()),
        lambda core: core.fails("webhooks.destination", UnavailableError()),
        lambda core: core.fails("posts.event", UnavailableError()),
        lambda core: core.fails("secrets.open", UnavailableError()),
    ],
)
def test_an_outage_delays_a_delivery_and_loses_nothing(
    core: Core, delivery: Delivery, fail: Callable[[Core], None]
) -> None:
    # Given
    fail(core)
    with pytest.raises(UnavailableError):
        deliver(core, delivery)
    # When
    core.drain()
    # Then
    core.check()
    assert core.received() == ["post.created"]


def test_a_delivery_that_moved_while_it_was_to_be_parked_is_left_alone(
    core: Core, delivery: Delivery
) -> None:
    # Given
    changed(core, status=EndpointStatus.DISABLED)
    core.fails("webhooks.replace_delivery", LostRaceError())
    # When / Then
    assert deliver(core, delivery) == "overtaken"


def test_an_endpoint_that_is_enabled_while_a_delivery_is_parked_gets_it(
    core: Core, delivery: Delivery
) -> None:
    # Given
    changed(core, status=EndpointStatus.DISABLED)
    # Once the delivery is parked the endpoint is read once more.
    core.before("webhooks.endpoint", lambda: changed(core, status=EndpointStatus.ENABLED))
    # When / Then
    assert deliver(core, delivery) == "pending"
    core.run_queues()
    assert stored(core, delivery).status is DeliveryStatus.DELIVERED


def test_a_delivery_that_enabling_unparks_first_is_sent_once(
    core: Core, delivery: Delivery
) -> None:
    # Given an enabling that gets in between the second look and the unparking
    changed(core, status=EndpointStatus.DISABLED)

    def enabled() -> None:
        changed(core, status=EndpointStatus.ENABLED)
        core.before("webhooks.replace_delivery", unparked)

    def unparked() -> None:
        parked = stored(core, delivery)
        moved = webhook.sent_off(parked, now=core.clock.at)
        assert moved is not None
        core.webhooks.replace_delivery(moved, expected_revision=parked.revision)
        core.delivery_queue.send(delivery.endpoint_id, delivery.id)

    core.before("webhooks.endpoint", enabled)
    # When / Then
    assert deliver(core, delivery) == "pending"
    core.run_queues()
    assert len(core.sender.requests) == 1


def test_an_endpoint_that_is_removed_while_a_delivery_is_parked_leaves_it_parked(
    core: Core, delivery: Delivery
) -> None:
    # Given
    changed(core, status=EndpointStatus.DISABLED)
    core.before("webhooks.endpoint", core.webhooks._endpoints.clear)
    # When / Then
    assert deliver(core, delivery) == "parked"


def test_an_answer_is_kept_up_to_16_kib_of_text(core: Core, delivery: Delivery) -> None:
    # Given bytes each of which takes three to be written as text
    core.sender.script.append(
        WebhookResponse(status=200, headers={}, body=b"\xff" * 16384, duration_ms=1)
    )
    # When
    deliver(core, delivery)
    # Then
    kept = stored(core, delivery).attempts[0].response_body
    assert kept is not None
    assert 16380 < len(kept.encode()) <= 16384
    assert set(kept) == {"\ufffd"}


def test_secrets_are_bound_to_their_endpoint_and_its_workspace(core: Core) -> None:
    endpoint = core.endpoint()
    bound = {"workspaceId": endpoint.workspace_id, "endpointId": endpoint.id}
    assert sealing_context(endpoint) == bound


def test_a_request_that_was_never_sent_took_no_time(core: Core, delivery: Delivery) -> None:
    # Given
    changed(core, sealed_secrets=(core.secrets.seal("whsec_short", {}),))
    # When
    deliver(core, delivery)
    # Then
    assert stored(core, delivery).attempts[0].duration_ms == 0
