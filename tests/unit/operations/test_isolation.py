"""One endpoint that is slow, fails or is to be spared keeps no other waiting, and loses nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from postbreeze.domain import endpoint_health, webhook
from postbreeze.domain.endpoint_health import FAILURES_AT_MOST, OPEN_FOR, Health
from postbreeze.domain.errors import LostRaceError, UnavailableError
from postbreeze.domain.webhook import Delivery, DeliveryStatus, EndpointStatus, Lane
from postbreeze.operations.deliver import LONGEST_DELAY, LOOKED_AT, SPREAD, TRIAL
from postbreeze.operations.races import MOST_RACES
from postbreeze.operations.webhook_ports import WebhookResponse, WebhookSendError
from tests.support.core import A_MINUTE, A_SECOND, AN_HOUR, ENDPOINT, WORKSPACE, Core, numbered
from tests.support.fakes import QueuedDelivery

LATE = Lane.LATE
PROMPT = Lane.PROMPT


@pytest.fixture
def core() -> Core:
    return Core()


@pytest.fixture
def delivery(core: Core) -> Delivery:
    """One delivery that is due."""
    return due(core)


def due(core: Core) -> Delivery:
    """Make one more delivery that is due."""
    post = core.created(1, scheduled_for=None)
    core.bus.announced.clear()
    core.fan_out(post.id, core.posts.timeline(post.id)[0].id)
    core.delivery_queue.sent.clear()
    return list(core.webhooks._deliveries.values())[-1]


def deliver(core: Core, delivery: Delivery, lane: Lane = PROMPT) -> str:
    return core.deliver(delivery.endpoint_id, delivery.id, lane)


def stored(core: Core, delivery: Delivery) -> Delivery:
    found = core.webhooks.delivery(delivery.endpoint_id, delivery.id)
    assert found is not None
    return found


def waits_until(core: Core, delivery: Delivery) -> datetime:
    moment = stored(core, delivery).next_attempt_at
    assert moment is not None
    return moment


def known(core: Core, **fields: Any) -> Health:
    """Have the usual endpoint be known to be like that."""
    health = replace(endpoint_health.unknown(ENDPOINT, WORKSPACE), revision=1)
    core.webhooks._healths[ENDPOINT] = health = replace(health, **fields)
    return health


def health(core: Core) -> Health | None:
    return core.webhooks._healths.get(ENDPOINT)


def paced(core: Core, rate_limit: int) -> None:
    """Have the usual endpoint want so many requests a second."""
    endpoint = replace(core.endpoint(), rate_limit=rate_limit)
    core.webhooks._endpoints[WORKSPACE, ENDPOINT] = endpoint


def an_answer(status: int = 200, *, milliseconds: int = 12, **headers: str) -> WebhookResponse:
    return WebhookResponse(
        status=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=b"",
        duration_ms=milliseconds,
    )


def sent(core: Core) -> list[QueuedDelivery]:
    """Return the messages that were sent since this was asked last."""
    messages = list(core.delivery_queue.sent)
    core.delivery_queue.sent.clear()
    return messages


# An endpoint that is slow


def test_an_endpoint_that_is_well_costs_no_call_more(core: Core, delivery: Delivery) -> None:
    # Given
    calls = core.recorded()
    # When
    deliver(core, delivery)
    # Then
    assert calls == [
        "webhooks.delivery",
        "webhooks.destination",
        "posts.event",
        "webhooks.replace_delivery",
        "secrets.open",
        "sender.post",
        "webhooks.replace_delivery",
    ]
    assert health(core) is None


@pytest.mark.parametrize(("milliseconds", "is_slow"), [(1000, False), (1001, True)])
def test_an_endpoint_that_lets_an_attempt_wait_is_slow(
    core: Core, delivery: Delivery, milliseconds: int, is_slow: bool
) -> None:
    # Given
    core.sender.script.append(an_answer(milliseconds=milliseconds))
    # When / Then
    assert deliver(core, delivery) == "delivered"
    expected = Health(endpoint_id=ENDPOINT, workspace_id=WORKSPACE, slow_since=core.clock.at)
    assert health(core) == (expected if is_slow else None)


def test_the_others_know_that_an_endpoint_is_slow_while_it_is_waited_for(
    core: Core, delivery: Delivery
) -> None:
    # Given
    other = due(core)
    core.sender.script.append(an_answer(milliseconds=9000))
    outcomes = []
    # When another worker comes while the first waits, right after a second of it
    core.before(
        "webhooks.replace_delivery",
        lambda: core.before(
            "webhooks.replace_delivery", lambda: outcomes.append(deliver(core, other))
        ),
    )
    deliver(core, delivery)
    # Then
    assert outcomes == ["handed over"]
    assert len(core.sender.requests) == 1


@pytest.mark.parametrize("state", ["slow", "open", "half-open"])
def test_in_the_prompt_lane_nothing_waits_for_what_is_not_well(
    core: Core, delivery: Delivery, state: str
) -> None:
    # Given
    now = core.clock.at
    known(
        core,
        slow_since=now if state == "slow" else None,
        open_until={"slow": None, "open": now + A_SECOND, "half-open": now}[state],
    )
    calls = core.recorded()
    # When / Then
    assert deliver(core, delivery) == "handed over"
    assert sent(core) == [QueuedDelivery(endpoint_id=ENDPOINT, delivery_id=delivery.id, lane=LATE)]
    assert stored(core, delivery) == delivery
    assert calls == ["webhooks.delivery", "webhooks.destination", "delivery_queue.send"]


@pytest.mark.parametrize(
    ("milliseconds", "status", "is_slow"),
    [(1000, 200, False), (1001, 200, True), (10, 400, True)],
)
def test_an_endpoint_is_slow_until_it_takes_a_delivery_quickly(
    core: Core, delivery: Delivery, milliseconds: int, status: int, is_slow: bool
) -> None:
    # Given
    slow_since = core.clock.at - AN_HOUR
    known(core, slow_since=slow_since)
    core.sender.script.append(an_answer(status, milliseconds=milliseconds))
    # When
    deliver(core, delivery, LATE)
    # Then
    assert health(core) == Health(
        endpoint_id=ENDPOINT,
        workspace_id=WORKSPACE,
        slow_since=slow_since if is_slow else None,
        revision=3,
    )


def test_that_an_endpoint_is_slow_is_written_once(core: Core, delivery: Delivery) -> None:
    # Given another worker that writes it in the same moment
    core.sender.script.append(an_answer(milliseconds=9000))
    core.before("webhooks.replace_health", lambda: known(core, slow_since=core.clock.at))
    calls = core.recorded()
    # When
    deliver(core, delivery)
    # Then
    assert calls.count("webhooks.replace_health") == 1
    assert health(core) == known(core, slow_since=core.clock.at)


def test_what_cannot_be_noted_of_an_endpoint_stops_no_delivery(
    core: Core, delivery: Delivery
) -> None:
    # Given
    core.sender.script.append(an_answer(milliseconds=9000))
    core.fails("webhooks.replace_health", UnavailableError("down"))
    # When / Then
    assert deliver(core, delivery) == "delivered"
    [warned] = core.telemetry.warnings
    assert warned.message == "health not noted"
    assert warned.fields == {"endpoint_id": ENDPOINT, "error": "down"}


def test_what_others_always_write_first_is_given_up(core: Core, delivery: Delivery) -> None:
    # Given
    core.sender.script.append(an_answer(milliseconds=9000))
    core.fails("webhooks.replace_health", *[LostRaceError()] * (MOST_RACES + 1))
    calls = core.recorded()
    # When / Then
    assert deliver(core, delivery) == "delivered"
    assert calls.count("webhooks.replace_health") == MOST_RACES


def test_nothing_is_noted_of_an_endpoint_that_was_removed_meanwhile(
    core: Core, delivery: Delivery
) -> None:
    # Given
    core.sender.script.append(an_answer(milliseconds=9000))
    core.fails("webhooks.replace_health", LostRaceError())
    core.before("webhooks.replace_health", core.webhooks._endpoints.clear)
    # When / Then
    assert deliver(core, delivery) == "delivered"
    assert health(core) is None


# Trials


def test_two_deliveries_of_an_endpoint_are_tried_at_a_time(core: Core, delivery: Delivery) -> None:
    # Given
    until = core.clock.at + webhook.ATTEMPT_LEASE
    known(core, trials={"dlv_1": until, "dlv_2": until})
    # When / Then
    assert deliver(core, delivery, LATE) == "held"
    assert core.sender.requests == []
    waiting = stored(core, delivery)
    assert (waiting.attempts, waiting.tries, waiting.leased_until) == ((), 0, None)
    wait = waits_until(core, delivery) - core.clock.at
    assert A_SECOND < TRIAL <= wait <= 2 * TRIAL
    assert waiting.due_at == core.clock.at + wait + webhook.SWEEP_GRACE
    assert sent(core) == [
        QueuedDelivery(
            endpoint_id=ENDPOINT,
            delivery_id=delivery.id,
            delay_seconds=-(-wait // A_SECOND),
            lane=LATE,
        )
    ]
    assert core.telemetry.counts["WebhookHeld"] == 1
    # And when one has ended
    known(core, trials={"dlv_1": until})
    core.clock.advance(wait)
    assert deliver(core, delivery, LATE) == "delivered"
    left = health(core)
    assert left is not None
    assert left.trials == {"dlv_1": until}


def test_a_trial_is_taken_for_as_long_as_its_attempt_holds_its_delivery(
    core: Core, delivery: Delivery
) -> None:
    # Given
    core.dies_after(6, lambda: deliver(core, delivery, LATE))
    # Then
    taken = health(core)
    assert taken is not None
    assert taken.trials == {delivery.id: core.clock.at + webhook.ATTEMPT_LEASE}
    assert taken.trials[delivery.id] == stored(core, delivery).leased_until
    # And all is made up for
    core.drain()
    core.check()


def test_who_comes_second_for_a_trial_waits(core: Core, delivery: Delivery) -> None:
    # Given
    core.before("webhooks.replace_health", lambda: known(core, failures=1))
    # When / Then
    assert deliver(core, delivery, LATE) == "held"
    assert core.sender.requests == []


def test_of_two_messages_at_once_in_the_late_lane_one_sends(core: Core, delivery: Delivery) -> None:
    # Given
    core.before("webhooks.replace_delivery", lambda: deliver(core, delivery, LATE))
    # When / Then
    assert deliver(core, delivery, LATE) == "nothing to do"
    assert len(core.sender.requests) == 1


def test_a_delivery_that_moved_while_it_was_to_be_held_is_left_alone(
    core: Core, delivery: Delivery
) -> None:
    # Given
    known(core, open_until=core.clock.at + A_SECOND)
    core.fails("webhooks.replace_delivery", LostRaceError())
    # When / Then
    assert deliver(core, delivery, LATE) == "nothing to do"
    assert sent(core) == []


# An endpoint that fails


@pytest.mark.parametrize("fault", [429, 502, 503, 504, "no answer"])
def test_an_endpoint_that_fails_again_and_again_is_left_alone(
    core: Core, delivery: Delivery, fault: int | str
) -> None:
    # Given
    known(core, failures=FAILURES_AT_MOST - 1)
    core.sender.script.append(
        fault if isinstance(fault, int) else WebhookSendError("CONNECT_FAILED", "Nobody.")
    )
    # When
    assert deliver(core, delivery) == "pending"
    # Then
    found = health(core)
    assert found is not None
    assert found.failures == FAILURES_AT_MOST
    assert found.open_until == core.clock.at + OPEN_FOR[0]


@pytest.mark.parametrize("status", [200, 302, 400, 404, 410, 500])
def test_what_is_only_about_one_event_speaks_for_the_endpoint(
    core: Core, delivery: Delivery, status: int
) -> None:
    # Given
    known(core, failures=FAILURES_AT_MOST - 1)
    core.sender.script.append(status)
    # When
    deliver(core, delivery)
    # Then
    found = health(core)
    assert found is not None
    assert (found.failures, found.open_until) == (0, None)


def test_while_the_circuit_is_open_deliveries_wait_without_an_attempt(
    core: Core, delivery: Delivery
) -> None:
    # Given
    opened = core.clock.at + A_MINUTE
    known(core, failures=FAILURES_AT_MOST, open_until=opened)
    # When / Then
    assert deliver(core, delivery, LATE) == "held"
    assert core.sender.requests == []
    assert opened < waits_until(core, delivery) <= opened + SPREAD
    assert stored(core, delivery).attempts == ()
    [message] = sent(core)
    assert message.lane is LATE
    assert 60 <= message.delay_seconds <= 70


def test_one_delivery_is_tried_when_the_circuits_time_has_come(
    core: Core, delivery: Delivery
) -> None:
    # Given
    other = due(core)
    known(core, failures=FAILURES_AT_MOST, open_until=core.clock.at)
    outcomes = []
    core.before("sender.post", lambda: outcomes.append(deliver(core, other, LATE)))
    # When
    assert deliver(core, delivery, LATE) == "delivered"
    # Then
    assert outcomes == ["held"]
    found = health(core)
    assert found is not None
    assert not endpoint_health.is_late(found)
    core.clock.at = waits_until(core, other)
    assert deliver(core, other) == "delivered"


@pytest.mark.parametrize(("status", "asked"), [(429, True), (503, True), (502, False)])
def test_an_endpoint_that_asks_to_be_left_alone_is(
    core: Core, delivery: Delivery, status: int, asked: bool
) -> None:
    # Given
    core.sender.script.append(an_answer(status, Retry_After="600"))
    # When
    deliver(core, delivery)
    # Then
    found = health(core)
    assert found is not None
    assert found.failures == 1
    assert found.open_until == (core.clock.at + timedelta(seconds=600) if asked else None)
    assert waits_until(core, delivery) == core.clock.at + timedelta(seconds=600)


def test_an_outage_of_an_endpoint_burns_few_attempts_and_loses_nothing(core: Core) -> None:
    # Given many deliveries to an endpoint that answers nothing for half an hour
    made = [due(core) for _ in range(30)]
    ends = core.clock.at + timedelta(minutes=30)

    def answer(_: object) -> WebhookResponse:
        if core.clock.at < ends:
            raise WebhookSendError("TIMED_OUT", "No answer.", 10_000)
        return an_answer()

    core.sender.script.extend([answer] * 1_000)
    for delivery in made:
        core.delivery_queue.send(delivery.endpoint_id, delivery.id)
    # When
    core.drain()
    # Then
    assert {stored(core, each).status for each in made} == {DeliveryStatus.DELIVERED}
    attempts = sum(stored(core, each).attempt_count for each in made)
    assert attempts < len(made) + 30
    assert core.endpoint().status is EndpointStatus.ENABLED
    assert core.endpoint().failing_since is None


# An endpoint that is sent so many requests a second


def test_an_endpoint_is_sent_as_many_requests_a_second_as_it_wants(core: Core) -> None:
    # Given
    paced(core, 2)
    made = [due(core) for _ in range(5)]
    # When
    outcomes = [deliver(core, each) for each in made]
    # Then
    assert outcomes == ["delivered", *["held"] * 4]
    half = timedelta(milliseconds=500)
    moments = [waits_until(core, each) - core.clock.at for each in made[1:]]
    assert moments == [half, 2 * half, 3 * half, 4 * half]
    assert [(each.delay_seconds, each.lane) for each in sent(core)] == [
        (1, PROMPT),
        (1, PROMPT),
        (2, PROMPT),
        (2, PROMPT),
    ]
    # And each comes in its turn, without asking again
    calls = core.recorded()
    core.clock.advance(2 * A_SECOND)
    assert [deliver(core, each) for each in made[1:]] == ["delivered"] * 4
    assert "webhooks.reserve" not in calls


def test_an_attempt_that_failed_reserves_its_next_moment_anew(
    core: Core, delivery: Delivery
) -> None:
    # Given
    paced(core, 1)
    deliver(core, due(core))
    assert deliver(core, delivery) == "held"
    core.clock.advance(A_SECOND)
    core.sender.script.append(500)
    assert deliver(core, delivery) == "pending"
    core.clock.at = waits_until(core, delivery)
    calls = core.recorded()
    # When / Then
    assert deliver(core, delivery, LATE) == "delivered"
    assert calls.count("webhooks.reserve") == 1


@pytest.mark.parametrize("rate_limit", [None, 2])
def test_so_many_a_second_ask_for_a_trial_however_many_wait(
    core: Core, rate_limit: int | None
) -> None:
    # Given
    if rate_limit is not None:
        paced(core, rate_limit)
    until = core.clock.at + webhook.ATTEMPT_LEASE
    known(core, trials={"dlv_1": until, "dlv_2": until})
    made = [replace(due(core), is_reserved=True) for _ in range(100)]
    for each in made:
        core.webhooks._deliveries[ENDPOINT, each.id] = each
    # When
    assert {deliver(core, each, LATE) for each in made} == {"held"}
    # Then
    waits = [waits_until(core, each) - core.clock.at for each in made]
    turn = A_SECOND / (rate_limit or LOOKED_AT)
    first = int(2 * TRIAL / turn) + 1
    assert waits[first:] == [number * turn for number in range(first, 100)]
    assert all(TRIAL <= wait <= 2 * TRIAL for wait in waits[: int(TRIAL / turn)])
    assert all(stored(core, each).is_reserved for each in made)


def test_what_has_waited_for_a_trial_need_not_reserve_its_moment(
    core: Core, delivery: Delivery
) -> None:
    # Given
    paced(core, 1)
    until = core.clock.at + webhook.ATTEMPT_LEASE
    known(core, trials={"dlv_1": until, "dlv_2": until})
    assert deliver(core, delivery, LATE) == "held"
    known(core)
    core.clock.at = waits_until(core, delivery)
    calls = core.recorded()
    # When / Then
    assert deliver(core, delivery, LATE) == "delivered"
    assert "webhooks.reserve" not in calls


def test_a_message_goes_in_steps_to_a_moment_that_is_far_away(
    core: Core, delivery: Delivery
) -> None:
    # Given a moment twenty minutes away
    paced(core, 1)
    core.webhooks._paces[ENDPOINT] = core.clock.at + 20 * A_MINUTE
    # When / Then
    assert deliver(core, delivery) == "held"
    [message] = sent(core)
    assert message.delay_seconds == LONGEST_DELAY / A_SECOND == 900
    core.clock.advance(LONGEST_DELAY)
    assert deliver(core, delivery) == "too early"
    [message] = sent(core)
    assert (message.delay_seconds, message.lane) == (300, PROMPT)
    core.clock.advance(5 * A_MINUTE)
    assert deliver(core, delivery) == "delivered"
    assert sent(core) == []


def test_a_wait_that_is_as_long_as_a_message_can_be_held_back_has_one(
    core: Core, delivery: Delivery
) -> None:
    # Given
    core.sender.script.append(an_answer(503, Retry_After="900"))
    # When
    deliver(core, delivery)
    # Then
    assert [each.delay_seconds for each in sent(core)] == [900]


# And all others


def test_one_endpoint_that_is_slow_and_fails_keeps_no_other_waiting(core: Core) -> None:
    # Given two endpoints, of which one answers nothing
    core.webhooks.add_endpoint(core.an_endpoint(2))

    def answer(request: Any) -> WebhookResponse:
        if request.url == "https://hooks.example/1":
            raise WebhookSendError("TIMED_OUT", "No answer.", 10_000)
        return an_answer()

    core.sender.script.extend([answer] * 1_000)
    for _ in range(20):
        core.created(1, scheduled_for=None)
    # When all messages of the prompt lane are handled
    while (entries := core.ready()) != []:
        core.waiting = [entry for entry in core.waiting if entry not in entries]
        for _, message in entries:
            if getattr(message, "lane", PROMPT) is PROMPT:
                core.do(message)
    # Then one of them has waited, and all that are for the other endpoint have arrived
    waited = [each for each in core.sender.requests if each.url == "https://hooks.example/1"]
    taken = [each for each in core.sender.requests if each.url == "https://hooks.example/2"]
    assert (len(waited), len(taken)) == (1, 20)
    assert numbered("wh", 2) not in core.webhooks._healths
