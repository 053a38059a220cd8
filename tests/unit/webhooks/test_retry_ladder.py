"""The ladder of attempts, ``Retry-After`` and what an answer means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from postbreeze.webhooks.backoff import (
    GAPS,
    MAX_ATTEMPTS,
    MAX_RETRY_AFTER,
    Outcome,
    is_outage,
    next_attempt,
    outcome_of,
    parse_retry_after,
)

AT = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def test_the_ladder_is_the_documented_one() -> None:
    # When
    seconds = [gap.total_seconds() for gap in GAPS]
    # Then
    assert seconds == [0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert MAX_ATTEMPTS == 10


def test_without_jitter_every_attempt_follows_its_gap() -> None:
    for made, gap in enumerate(GAPS):
        assert next_attempt(made, AT, 0.5) == AT + gap


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 270), (0.5, 300), (0.75, 315), (1.0, 330)])
def test_jitter_spreads_the_gap_by_a_tenth(jitter: float, seconds: int) -> None:
    assert next_attempt(2, AT, jitter) == AT + timedelta(seconds=seconds)


@pytest.mark.parametrize("made", [10, 11, 1000])
def test_after_the_last_attempt_there_is_no_next(made: int) -> None:
    assert next_attempt(made, AT, 0.5, DAY) is None


def test_retry_after_lengthens_the_wait_and_never_shortens_it() -> None:
    assert next_attempt(1, AT, 0.5, timedelta(seconds=60)) == AT + timedelta(seconds=60)
    assert next_attempt(2, AT, 0.5, timedelta(seconds=60)) == AT + timedelta(seconds=300)
    assert next_attempt(2, AT, 0.5, timedelta(0)) == AT + timedelta(seconds=300)


def test_retry_after_is_cut_to_a_day_even_where_the_gap_is_longer() -> None:
    assert next_attempt(1, AT, 0.5, timedelta(days=30)) == AT + DAY
    assert next_attempt(9, AT, 1.0, timedelta(days=30)) == AT + DAY * 1.1


@pytest.mark.parametrize(("made", "jitter"), [(-1, 0.5), (0, -0.01), (0, 1.01), (0, float("nan"))])
def test_senseless_arguments_are_refused(made: int, jitter: float) -> None:
    with pytest.raises(ValueError, match=r"jitter|attempts"):
        next_attempt(made, AT, jitter)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        ("0120", 120),
        (" 120 ", 120),
        ("86400", 86_400),
        ("86401", 86_400),
        ("9" * 5000, 86_400),
        ("0" * 5000 + "9", 9),
        ("Mon, 15 Jun 2026 09:00:30 GMT", 30),
        ("Monday, 15-Jun-26 09:00:30 GMT", 30),
        ("Mon Jun 15 09:00:30 2026", 30),
        ("Mon, 15 Jun 2026 08:59:59 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
    ],
)
def test_retry_after_is_read_in_seconds_and_as_a_date(value: str, seconds: int) -> None:
    assert parse_retry_after(value, AT) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "soon",
        "-5",
        "1.5",
        "٥",
        "1e3",
        "Mon, 31 Feb 2026 09:00:00 GMT",
        "2026-06-15",
        "," * 50,
    ],
)
def test_a_retry_after_that_says_nothing_is_ignored(value: str | None) -> None:
    assert parse_retry_after(value, AT) is None


def test_retry_after_counts_from_now_in_any_zone_and_needs_one() -> None:
    # Given
    elsewhere = AT.astimezone(timezone(timedelta(hours=9)))
    # Then
    assert parse_retry_after("Mon, 15 Jun 2026 10:00:00 GMT", elsewhere) == timedelta(hours=1)
    with pytest.raises(ValueError, match="time zone"):
        parse_retry_after("1", AT.replace(tzinfo=None))
    assert timedelta(days=1) == MAX_RETRY_AFTER


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (None, Outcome.FAILED),
        (100, Outcome.FAILED),
        (199, Outcome.FAILED),
        (200, Outcome.DELIVERED),
        (204, Outcome.DELIVERED),
        (299, Outcome.DELIVERED),
        (300, Outcome.FAILED),
        (302, Outcome.FAILED),
        (400, Outcome.FAILED),
        (404, Outcome.FAILED),
        (409, Outcome.FAILED),
        (410, Outcome.GONE),
        (429, Outcome.FAILED),
        (500, Outcome.FAILED),
        (599, Outcome.FAILED),
    ],
)
def test_only_2xx_is_delivered_and_only_410_is_gone(status: int | None, outcome: Outcome) -> None:
    assert outcome_of(status) is outcome


@pytest.mark.parametrize("status", [None, 429, 501, 502, 503, 504, 599])
def test_no_answer_and_an_answer_for_all_events_are_outages(status: int | None) -> None:
    assert is_outage(status)


@pytest.mark.parametrize("status", [200, 302, 400, 404, 410, 428, 430, 500])
def test_an_answer_to_one_event_is_no_outage(status: int) -> None:
    assert not is_outage(status)
