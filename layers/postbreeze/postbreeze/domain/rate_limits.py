"""Rate limits: what a key's owner may still ask for.

Requests are counted down in two windows side by side, one of a minute and one of a quarter of an
hour. Windows are fixed, and known by number: how many of their kind have begun since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from postbreeze.domain.access import ApiKey

_MINUTE: Final = 60
_QUARTER_HOUR: Final = 15 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Two windows by their numbers, and how many requests each has left."""

    minute: int
    minute_left: int
    quarter_hour: int
    quarter_hour_left: int

    @property
    def is_full(self) -> bool:
        """Tell whether either window has none left."""
        return self.minute_left <= 0 or self.quarter_hour_left <= 0

    def after_one(self) -> Tally:
        """Count one request in both windows."""
        return replace(
            self,
            minute_left=self.minute_left - 1,
            quarter_hour_left=self.quarter_hour_left - 1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a key stands in the window that decides; ``resets_at`` is its end in Unix seconds."""

    limit: int
    remaining: int
    resets_at: int


def windows_at(now: datetime) -> tuple[int, int]:
    """Return the numbers of the minute and the quarter of an hour that a moment lies in."""
    seconds = int(now.timestamp())
    return seconds // _MINUTE, seconds // _QUARTER_HOUR


def tally_at(now: datetime, key: ApiKey, stored: Tally | None) -> Tally:
    """Return what a request at this moment is counted in, not yet counted.

    A window that has ended gives way to the present one with all that the key allows. One that has
    not begun stays: it is of a process whose clock is ahead, and opening an earlier one beside it
    would let the key have both.
    """
    minute, quarter_hour = windows_at(now)
    tally = Tally(
        minute=minute,
        minute_left=key.requests_per_minute,
        quarter_hour=quarter_hour,
        quarter_hour_left=key.requests_per_quarter_hour,
    )
    if stored is not None and stored.minute >= minute:
        tally = replace(tally, minute=stored.minute, minute_left=stored.minute_left)
    if stored is not None and stored.quarter_hour >= quarter_hour:
        tally = replace(
            tally,
            quarter_hour=stored.quarter_hour,
            quarter_hour_left=stored.quarter_hour_left,
        )
    return tally


def standing(key: ApiKey, tally: Tally) -> Standing:
    """Tell of the window with the smaller share left; of the later to end where they are equal."""
    minute = Standing(
        limit=key.requests_per_minute,
        remaining=tally.minute_left,
        resets_at=(tally.minute + 1) * _MINUTE,
    )
    quarter_hour = Standing(
        limit=key.requests_per_quarter_hour,
        remaining=tally.quarter_hour_left,
        resets_at=(tally.quarter_hour + 1) * _QUARTER_HOUR,
    )
    # Crosswise, which compares shares without dividing.
    shares = (minute.remaining * quarter_hour.limit, quarter_hour.remaining * minute.limit)
    if shares[0] == shares[1]:
        return max(minute, quarter_hour, key=lambda each: each.resets_at)
    return minute if shares[0] < shares[1] else quarter_hour


def milliseconds_until(now: datetime, window: Standing) -> int:
    """Return how long it is until a window ends."""
    since_epoch = now - datetime.fromtimestamp(0, tz=now.tzinfo)
    return window.resets_at * 1000 - since_epoch // timedelta(milliseconds=1)
