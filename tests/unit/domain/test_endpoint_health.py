"""How an endpoint is doing, as a value."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postbreeze.domain import endpoint_health
from postbreeze.domain.endpoint_health import FAILURES_AT_MOST, OPEN_FOR, SLOW_AFTER, Health
from tests.support.fakes import START

A_SECOND = timedelta(seconds=1)
A_MINUTE = timedelta(minutes=1)
LEASED = START + A_MINUTE


def a_health(**fields: Any) -> Health:
    return replace(endpoint_health.unknown("wh_1", "ws_1"), **{"revision": 1, **fields})


def failed(health: Health, wish: timedelta | None = None) -> Health:
    noted = endpoint_health.failed(health, "dlv_1", now=START, wish=wish)
    assert noted is not None
    return noted


def test_the_measures_are_as_documented() -> None:
    assert timedelta(seconds=1) == SLOW_AFTER
    assert FAILURES_AT_MOST == 5
    assert [each / A_SECOND for each in OPEN_FOR] == [30, 60, 120, 240, 480, 900]


def test_an_endpoint_of_which_nothing_is_known_is_well() -> None:
    unknown = endpoint_health.unknown("wh_1", "ws_1")
    assert unknown == Health(endpoint_id="wh_1", workspace_id="ws_1", revision=0)
    assert not endpoint_health.is_late(unknown)


def test_what_is_slow_or_has_an_open_circuit_goes_by_the_late_lane() -> None:
    assert endpoint_health.is_late(a_health(slow_since=START))
    assert endpoint_health.is_late(a_health(open_until=START))
    assert not endpoint_health.is_late(a_health(failures=4, trials={"dlv_1": LEASED}))


def test_slowness_is_noted_once() -> None:
    slow = endpoint_health.slowed(a_health(), now=START)
    assert slow == a_health(slow_since=START, revision=2)
    assert endpoint_health.slowed(slow, now=LEASED) is None


def test_two_deliveries_are_tried_at_a_time() -> None:
    # Given
    def tried(health: Health, number: int, now: timedelta = timedelta(0)) -> Health | None:
        at = START + now
        return endpoint_health.tried(health, f"dlv_{number}", now=at, until=at + A_MINUTE)

    # When
    first = tried(a_health(slow_since=START), 1)
    assert first == a_health(slow_since=START, trials={"dlv_1": LEASED}, revision=2)
    second = tried(first, 2, A_SECOND)
    assert second is not None
    # Then a third is not
    assert tried(second, 3, A_SECOND) is None
    # But one of them may be once more, and another when a lease has ended
    again = tried(second, 2, 2 * A_SECOND)
    assert again is not None
    assert again.trials == {"dlv_1": LEASED, "dlv_2": LEASED + 2 * A_SECOND}
    assert tried(second, 3, A_MINUTE - A_SECOND) is None
    third = tried(second, 3, A_MINUTE)
    assert third is not None
    assert third.trials.keys() == {"dlv_2", "dlv_3"}


def test_one_delivery_is_tried_while_the_circuit_has_not_closed_again() -> None:
    # Given
    opened = a_health(failures=5, open_until=START)
    # When
    probing = endpoint_health.tried(opened, "dlv_1", now=START, until=LEASED)
    # Then
    assert probing is not None
    assert endpoint_health.tried(probing, "dlv_2", now=START, until=LEASED) is None


def test_failures_in_a_row_open_the_circuit_for_longer_and_longer() -> None:
    # Given
    health = a_health(trials={"dlv_1": LEASED, "dlv_2": LEASED})
    opened = []
    # When
    for _ in range(12):
        health = failed(health)
        if health.open_until is not None:
            opened.append(health.open_until - START)
            # Its time has come.
            health = replace(health, open_until=START)
    # Then
    assert opened == [*OPEN_FOR, OPEN_FOR[-1], OPEN_FOR[-1]]
    assert health.failures == 12
    assert health.trials == {"dlv_2": LEASED}
    assert health.revision == 13


def test_what_fails_while_the_circuit_is_open_does_not_open_it_for_longer() -> None:
    opened = a_health(failures=5, open_until=START + A_SECOND)
    assert endpoint_health.failed(opened, "dlv_1", now=START, wish=None) is None
    ended = failed(replace(opened, trials={"dlv_1": LEASED}))
    assert ended == replace(opened, revision=2)


def test_an_endpoint_is_left_alone_for_as_long_as_it_asks() -> None:
    # Given
    hour = timedelta(hours=1)
    # When / Then
    assert failed(a_health(), hour) == a_health(failures=1, open_until=START + hour, revision=2)
    opened = a_health(failures=5, open_until=START + hour)
    assert endpoint_health.failed(opened, "dlv_1", now=START, wish=A_MINUTE) is None
    assert failed(opened, 2 * hour).open_until == START + 2 * hour
    assert failed(opened, 2 * hour).failures == 5
    # Its time has come, and what was tried has failed
    tried = replace(a_health(failures=1, open_until=START))
    assert failed(tried) == replace(tried, failures=2, revision=2)
    assert failed(replace(tried, failures=4), A_SECOND).open_until == START + OPEN_FOR[0]


@pytest.mark.parametrize("is_quick", [True, False])
def test_an_answer_closes_the_circuit(is_quick: bool) -> None:
    # Given
    opened = a_health(
        failures=7,
        slow_since=START,
        open_until=START,
        trials={"dlv_1": LEASED, "dlv_2": LEASED},
    )
    # When
    closed = endpoint_health.answered(opened, "dlv_1", is_quick=is_quick)
    # Then
    slow_since = None if is_quick else START
    trials = {"dlv_2": LEASED}
    assert closed == a_health(slow_since=slow_since, trials=trials, revision=2)


def test_an_answer_of_which_nothing_is_to_be_noted_is_not() -> None:
    assert endpoint_health.answered(a_health(), "dlv_1", is_quick=True) is None
    slow = a_health(slow_since=START)
    assert endpoint_health.answered(slow, "dlv_1", is_quick=False) is None
