"""Clocks that differ, timers that keep to the minute, and days that are not like others."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postbreeze.domain.errors import PostNotCancelableError
from postbreeze.domain.lifecycle import EARLY_FIRE
from postbreeze.domain.post import PostStatus, TargetStatus
from postbreeze.http.times import parse_time
from tests.support.core import A_SECOND, AN_HOUR, Core
from tests.support.proof import Proved, seed, share

SKEW: Final = 5_000
"""How many milliseconds a function's clock is before or behind the time at most."""

MOMENTS: Final = [
    parse_time(text)
    for text in (
        "2026-06-15T09:00:00Z",
        "2026-06-15T09:00:30.001Z",
        "2026-12-31T23:59:59.999Z",
        "2027-01-01T00:00:00Z",
        "2028-02-28T23:59:59Z",
        "2028-02-29T12:00:00Z",
        "2028-03-01T00:00:00Z",
        "2027-02-28T23:59:59Z",
        # The hours that clocks are put forward and back in Berlin, New York and Lord Howe.
        "2027-03-28T01:00:00Z",
        "2026-10-25T01:00:00Z",
        "2027-03-14T07:00:00Z",
        "2026-11-01T06:00:00Z",
        "2026-10-03T15:30:00Z",
    )
]

_ACTS: Final = ("start", "deliver", "fan_out", "reconcile", "cancel_post", "create_post")


class _Skewed:
    """A function whose every call runs on a machine with a clock of its own."""

    def __init__(self, core: Core, skew: Callable[[], timedelta], function: Any) -> None:
        self._core = core
        self._skew = skew
        self._function = function

    def __call__(self, *given: Any, **named: Any) -> Any:
        by = self._skew()
        self._core.clock.at += by
        try:
            return self._function(*given, **named)
        finally:
            self._core.clock.at -= by

    def __getattr__(self, name: str) -> _Skewed:
        return _Skewed(self._core, self._skew, getattr(self._function, name))


def _a_core(number: int) -> Core:
    chance = random.Random(f"{seed()} {number}")
    core = Core()
    for name in (*_ACTS, "publisher"):
        skewed = _Skewed(
            core, lambda: timedelta(milliseconds=chance.randint(-SKEW, SKEW)), getattr(core, name)
        )
        setattr(core, name, skewed)
    return core


LIVES: Final = share(tested=60, proved=4_000)


def test_a_post_goes_out_once_and_not_before_its_moment(proved: Callable[[Proved], None]) -> None:
    @settings(max_examples=LIVES)
    @given(
        number=st.integers(0, 2**32),
        moment=st.sampled_from(MOMENTS),
        fires=st.lists(st.integers(-60, 60), min_size=1, max_size=2),
        canceled=st.none() | st.integers(-90, 90),
    )
    def lives(number: int, moment: datetime, fires: list[int], canceled: int | None) -> None:
        _live(_a_core(number), moment, fires, canceled)

    lives()
    what = f"clocks ±{SKEW // 1000} s apart, fires ±60 s, {len(MOMENTS)} odd moments"
    proved(Proved(what=what, count=LIVES, unit="lives"))


def _live(core: Core, moment: datetime, fires: list[int], canceled: int | None) -> None:
    # Given a post that is scheduled, by functions of which each has a clock of its own
    core.clock.at = moment - AN_HOUR
    post = core.created(2, scheduled_for=moment)
    # When its fire comes in the minute before or after, perhaps twice, and perhaps a cancel
    core.schedules.armed.clear()
    fire: Callable[[], object] = partial(core.start, post.id, f"{post.id}-1")
    happens = [(seconds, fire) for seconds in fires]
    if canceled is not None:
        happens.append((canceled, partial(_cancel, core, post.id)))
    for seconds, act in sorted(happens, key=itemgetter(0)):
        core.clock.at = max(core.clock.at, moment + timedelta(seconds=seconds))
        core.run_queues()
        act()
        core.run_queues()
    core.drain()
    # Then all that is promised holds, and nothing went out early, by the clock of who sent it
    core.check()
    for target in core.post(post.id).targets:
        if target.published_at is None:
            assert target.status is TargetStatus.CANCELED
            assert canceled is not None
        else:
            assert target.published_at >= moment


def _cancel(core: Core, post_id: str) -> None:
    with suppress(PostNotCancelableError):
        core.cancel(post_id)


def test_a_fire_far_too_early_is_none() -> None:
    # Given
    core = Core()
    post = core.created(1, scheduled_for=core.clock.at + AN_HOUR)
    # When its fire comes, for no reason that is known, long before its moment
    core.clock.at += AN_HOUR - EARLY_FIRE - A_SECOND
    assert not core.start(post.id, f"{post.id}-1")
    # Then nothing has begun
    assert core.post(post.id) == post
    # And at its moment it goes out
    core.drain()
    core.check()
    assert core.post(post.id).status is PostStatus.PUBLISHED


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/Berlin", "2027-03-28"),
        ("Europe/Berlin", "2026-10-25"),
        ("America/New_York", "2027-03-14"),
        ("America/New_York", "2026-11-01"),
        ("Australia/Lord_Howe", "2026-10-04"),
        ("Pacific/Apia", "2026-12-31"),
        ("Asia/Kathmandu", "2028-02-29"),
    ],
)
def test_a_time_with_its_offset_is_one_instant_whatever_the_clocks_of_its_zone_do(
    zone: str, day: str
) -> None:
    # Given each quarter of an hour of a day, as the zone's own clocks show it
    begins = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    quarters = [begins + timedelta(minutes=15 * number) for number in range(100)]
    shown = [instant.astimezone(ZoneInfo(zone)).isoformat() for instant in quarters]
    # When they are read, then none is another instant, also where two look the same but for it
    assert [parse_time(text) for text in shown] == quarters
    assert len(set(shown)) == len(quarters)


def test_a_second_that_is_put_in_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a moment that exists"):
        parse_time("2028-12-31T23:59:60Z")
