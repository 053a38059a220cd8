"""What always holds of an endpoint's health, whatever its attempts come to and however late."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from postbreeze.domain import endpoint_health
from postbreeze.domain.endpoint_health import (
    FAILURES_AT_MOST,
    OPEN_FOR,
    TRIALS_AT_ONCE,
    Health,
)
from tests.support.fakes import START

LEASE = timedelta(seconds=60)
DAY = timedelta(days=1)

Step = Callable[[Health, datetime], Health | None]


def tried(number: int) -> Step:
    return lambda health, now: endpoint_health.tried(
        health, f"dlv_{number}", now=now, until=now + LEASE
    )


def answered(number: int, is_quick: bool) -> Step:
    return lambda health, now: endpoint_health.answered(health, f"dlv_{number}", is_quick=is_quick)


def failed(number: int, wish: timedelta | None) -> Step:
    return lambda health, now: endpoint_health.failed(health, f"dlv_{number}", now=now, wish=wish)


def slowed() -> Step:
    return lambda health, now: endpoint_health.slowed(health, now=now)


NUMBERS = st.integers(1, 4)
WISHES = st.none() | st.timedeltas(timedelta(0), DAY)
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(tried, NUMBERS),
    st.builds(answered, NUMBERS, st.booleans()),
    st.builds(failed, NUMBERS, WISHES),
    st.builds(slowed),
)
WAITS = st.timedeltas(timedelta(0), timedelta(minutes=20))


def under_way(health: Health, now: datetime) -> int:
    return sum(now < end for end in health.trials.values())


def checked(before: Health, after: Health, now: datetime) -> None:
    assert after.revision == before.revision + 1
    assert after != before
    assert under_way(after, now) <= TRIALS_AT_ONCE
    assert after.failures <= before.failures + 1
    if after.open_until is not None:
        # Never longer than the endpoint itself may ask for.
        assert after.open_until <= max(now + DAY, before.open_until or now)
    if after.failures >= FAILURES_AT_MOST:
        assert after.open_until is not None


@given(st.lists(st.tuples(WAITS, STEPS), max_size=40))
def test_whatever_happens_the_measures_are_kept(steps: list[tuple[timedelta, Step]]) -> None:
    # Given
    health, now = endpoint_health.unknown("wh_1", "ws_1"), START
    for wait, step in steps:
        now += wait
        # When
        after = step(health, now)
        # Then
        if after is not None:
            checked(health, after, now)
            health = after


@given(st.lists(st.tuples(WAITS, STEPS), max_size=40))
def test_an_endpoint_that_is_mended_is_well_again(steps: list[tuple[timedelta, Step]]) -> None:
    # Given
    health, now = endpoint_health.unknown("wh_1", "ws_1"), START
    for wait, step in steps:
        now += wait
        health = step(health, now) or health
    # When all that was under way has ended, and one more delivery is taken at once
    now = max(now + LEASE, health.open_until or now)
    probing = endpoint_health.tried(health, "dlv_9", now=now, until=now + LEASE)
    assert probing is not None
    mended = endpoint_health.answered(probing, "dlv_9", is_quick=True)
    # Then nothing is held against it
    assert mended is not None
    assert not endpoint_health.is_late(mended)
    assert (mended.failures, mended.open_until, mended.slow_since) == (0, None, None)
    assert under_way(mended, now) == 0


@given(st.integers(0, 1_000), st.integers(2, 8))
def test_what_fails_together_opens_the_circuit_once(failures: int, together: int) -> None:
    # Given
    wanted: dict[str, Any] = {"endpoint_id": "wh_1", "workspace_id": "ws_1"}
    health = Health(failures=failures, open_until=START, **wanted)
    # When
    for number in range(together):
        after = endpoint_health.failed(health, f"dlv_{number}", now=START, wish=None)
        health = after or health
    # Then
    assert health.open_until is not None
    assert health.open_until - START in {timedelta(0), *OPEN_FOR}
    assert health.failures <= max(failures + 1, FAILURES_AT_MOST)
