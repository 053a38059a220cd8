"""The windows in which requests are counted."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postbreeze.domain.access import ApiKey
from postbreeze.domain.errors import RateLimitedError
from postbreeze.domain.rate_limits import (
    Standing,
    Tally,
    milliseconds_until,
    standing,
    tally_at,
    windows_at,
)
from tests.support.builders import a_key
from tests.support.fakes import FakeClock, FakeWorkspaces

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE, QUARTER_HOUR = windows_at(NOON)
KEY = a_key(requests_per_minute=60, requests_per_quarter_hour=1000)


def a_tally(minute_left: int, quarter_hour_left: int, *, minutes: int = 0) -> Tally:
    """Make the tally of a moment so many minutes after noon."""
    minute, quarter_hour = windows_at(NOON + timedelta(minutes=minutes))
    return Tally(
        minute=minute,
        minute_left=minute_left,
        quarter_hour=quarter_hour,
        quarter_hour_left=quarter_hour_left,
    )


@pytest.mark.parametrize(
    ("after", "minutes", "quarter_hours"),
    [
        (timedelta(), 0, 0),
        (timedelta(seconds=59, milliseconds=999), 0, 0),
        (timedelta(seconds=60), 1, 0),
        (timedelta(minutes=14, seconds=59), 14, 0),
        (timedelta(minutes=15), 15, 1),
        (timedelta(milliseconds=-1), -1, -1),
    ],
)
def test_windows_begin_on_the_full_minute(
    after: timedelta, minutes: int, quarter_hours: int
) -> None:
    expected = (MINUTE + minutes, QUARTER_HOUR + quarter_hours)
    assert windows_at(NOON + after) == expected
    elsewhere = (NOON + after).astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert windows_at(elsewhere) == expected


def test_a_key_that_was_never_counted_has_all_it_may() -> None:
    assert tally_at(NOON, KEY, None) == a_tally(60, 1000)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        # Both go on.
        (a_tally(3, 4), a_tally(3, 4)),
        # The minute has ended, and with the quarter of an hour every minute.
        (a_tally(3, 4, minutes=-1), a_tally(60, 1000)),
        # Both have not begun: a clock is behind.
        (a_tally(3, 4, minutes=15), a_tally(3, 4, minutes=15)),
    ],
)
def test_a_window_that_has_ended_gives_way(stored: Tally, expected: Tally) -> None:
    assert tally_at(NOON, KEY, stored) == expected


def test_the_quarter_of_an_hour_goes_on_where_a_minute_ends() -> None:
    stored = a_tally(3, 4)
    assert tally_at(NOON + timedelta(minutes=1), KEY, stored) == a_tally(60, 4, minutes=1)


def test_a_request_counts_in_both_windows() -> None:
    assert a_tally(3, 4).after_one() == a_tally(2, 3)
    assert not a_tally(1, 1).is_full
    assert a_tally(0, 1).is_full
    assert a_tally(1, 0).is_full


@pytest.mark.parametrize(
    ("left", "limit", "remaining", "minutes"),
    [
        # As shares: 30 of 60 are more than 499 of 1,000.
        ((30, 499), 1000, 499, 15),
        ((30, 501), 60, 30, 1),
        ((0, 1), 60, 0, 1),
        ((1, 0), 1000, 0, 15),
        # As much is left of both: the one that ends later is told, and all the more when full.
        ((30, 500), 1000, 500, 15),
        ((0, 0), 1000, 0, 15),
    ],
)
def test_the_window_with_the_smaller_share_left_is_told(
    left: tuple[int, int], limit: int, remaining: int, minutes: int
) -> None:
    end = int((NOON + timedelta(minutes=minutes)).timestamp())
    expected = Standing(limit=limit, remaining=remaining, resets_at=end)
    assert standing(KEY, a_tally(*left)) == expected


def test_in_the_last_minute_both_windows_end_together() -> None:
    tally = a_tally(0, 0, minutes=14)
    now = NOON + timedelta(minutes=14, seconds=59, milliseconds=999)
    assert milliseconds_until(now, standing(KEY, tally)) == 1
    assert milliseconds_until(now - timedelta(milliseconds=1), standing(KEY, tally)) == 2


def asks(workspaces: FakeWorkspaces, key: ApiKey) -> int | None:
    """Ask once; return for how many milliseconds it is to wait, None if let through."""
    try:
        workspaces.admit(key.digest)
    except RateLimitedError as error:
        return error.retry_after_ms
    return None


@given(
    limits=st.tuples(st.integers(1, 5), st.integers(1, 9)),
    steps=st.lists(
        # Now and then a request comes from a process whose clock is elsewhere.
        st.tuples(st.sampled_from([0, 0, 0, 1, 20, 59, 60, 400]), st.integers(-200, 200)),
        max_size=80,
    ),
)
def test_never_more_than_the_limits_are_let_through_in_a_window(
    limits: tuple[int, int], steps: list[tuple[int, int]]
) -> None:
    # Given
    clock, asking = FakeClock(NOON), FakeClock(NOON)
    workspaces = FakeWorkspaces(asking)
    key = a_key(requests_per_minute=limits[0], requests_per_quarter_hour=limits[1])
    workspaces.add_key(key)
    let_through: Counter[tuple[str, int]] = Counter()
    opened = (0, 0)
    for passing, skew in steps:
        clock.advance(seconds=passing)
        seen = clock.at + timedelta(seconds=skew)
        asking.at = seen
        minute, quarter_hour = present = max(opened, windows_at(seen))
        # When
        wait = asks(workspaces, key)
        # Then it is refused only where a window is full, until one ends
        if wait is None:
            opened = present
            let_through["minute", minute] += 1
            let_through["quarter of an hour", quarter_hour] += 1
        else:
            assert wait > 0
            assert (seen + timedelta(milliseconds=wait)).timestamp() % 60 == 0
            full = let_through["minute", minute] == limits[0]
            assert full or let_through["quarter of an hour", quarter_hour] == limits[1]
    assert all(
        count <= limits[0 if window == "minute" else 1]
        for (window, _), count in let_through.items()
    )
