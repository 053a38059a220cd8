"""What holds for every attempt and every ``Retry-After`` a receiver may send."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st

from postbreeze.webhooks.backoff import (
    GAPS,
    MAX_ATTEMPTS,
    MAX_RETRY_AFTER,
    next_attempt,
    parse_retry_after,
)

moments = st.datetimes(
    min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)
)
made = st.integers(0, MAX_ATTEMPTS - 1)
jitters = st.floats(0, 1)
waits = st.none() | st.timedeltas(timedelta(0), timedelta(days=60))
# A microsecond is the grain of a timedelta, so a rounded gap may be off by one.
GRAIN = timedelta(microseconds=1)


@given(made, moments, jitters, waits)
def test_the_wait_is_within_a_tenth_of_the_gap_unless_asked_for_more(
    attempts: int, at: datetime, jitter: float, wait: timedelta | None
) -> None:
    # When
    moment = next_attempt(attempts, at, jitter, wait)
    # Then
    assert moment is not None
    asked = min(wait or timedelta(0), MAX_RETRY_AFTER)
    assert moment - at >= max(GAPS[attempts] * 0.9 - GRAIN, asked)
    assert moment - at <= max(GAPS[attempts] * 1.1 + GRAIN, asked)


@given(moments, st.lists(jitters, min_size=MAX_ATTEMPTS + 1, max_size=MAX_ATTEMPTS + 1))
def test_the_ladder_ends_after_ten_attempts_within_three_to_four_days(
    at: datetime, randomness: list[float]
) -> None:
    # Given
    attempts: list[datetime] = []
    moment = next_attempt(0, at, randomness[0])
    # When
    while moment is not None:
        attempts.append(moment)
        moment = next_attempt(len(attempts), moment, randomness[len(attempts)])
    # Then
    assert len(attempts) == 10
    assert attempts == sorted(attempts)
    assert timedelta(hours=68) <= attempts[-1] - at <= timedelta(hours=84)


@given(
    st.text() | st.from_regex(r"\A[A-Za-z]{3}, ?\d+[ -][A-Z][a-z]{2}[ -]\d+ [\d:]+ \S*\Z"), moments
)
def test_no_header_whatever_makes_the_reader_fall_over(value: str, now: datetime) -> None:
    wait = parse_retry_after(value, now)
    assert wait is None or timedelta(0) <= wait <= MAX_RETRY_AFTER


@given(st.integers(0, 86_400), moments)
def test_seconds_and_a_date_say_the_same(seconds: int, now: datetime) -> None:
    # Given
    now = now.replace(microsecond=0)
    date = format_datetime(now + timedelta(seconds=seconds), usegmt=True)
    # Then
    assert parse_retry_after(str(seconds), now) == timedelta(seconds=seconds)
    assert parse_retry_after(date, now) == timedelta(seconds=seconds)
