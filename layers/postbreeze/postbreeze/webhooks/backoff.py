"""When a delivery is tried again, and what an answer means.

``GAPS`` is the ladder: the wait before each attempt, counted **from the end of the attempt before
it** (the first counts from the event). All ten attempts span a little over three days.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

GAPS: Final = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
MAX_ATTEMPTS: Final = len(GAPS)
JITTER: Final = 0.1
MAX_RETRY_AFTER: Final = timedelta(hours=24)

_SECONDS = re.compile(r"[0-9]+", re.ASCII)


class Outcome(StrEnum):
    """What one attempt amounts to."""

    DELIVERED = "DELIVERED"
    """The receiver took it: nothing more is sent."""
    GONE = "GONE"
    """The receiver asks never to be called again: the endpoint is disabled."""
    FAILED = "FAILED"
    """Anything else: the ladder decides when to try again."""


def outcome_of(status: int | None) -> Outcome:
    """Classify an attempt by the HTTP status received, None when there was no answer.

    Only 2xx is success. Redirects are not followed, so 3xx is a failure like 4xx and 5xx: a
    receiver's 400 may be a bug that is mended before the ladder ends.
    """
    if status is None:
        return Outcome.FAILED
    if 200 <= status <= 299:
        return Outcome.DELIVERED
    return Outcome.GONE if status == 410 else Outcome.FAILED


def is_outage(status: int | None) -> bool:
    """Tell whether an attempt has failed because of the endpoint as a whole, not of one event.

    So it is where no answer came, and where the endpoint, or what is in front of it, says that it
    cannot take anything now. A 500 may be a bug that one event has met.
    """
    return status is None or status == 429 or status > 500


def next_attempt(
    attempts_made: int,
    at: datetime,
    jitter: float,
    retry_after: timedelta | None = None,
) -> datetime | None:
    """Return when to try next, or None when the ladder is used up.

    Args:
        attempts_made: Attempts already made; 0 before the first one.
        at: The end of the last attempt, or the event's moment before the first one.
        jitter: A fresh random number from 0 to 1; spreads the gap evenly over ±10 %.
        retry_after: What the receiver asked for, as :func:`parse_retry_after` returns it. It can
            only lengthen the wait, never shorten it: the later of the two moments counts. It is
            cut to 24 hours.

    Raises:
        ValueError: A negative count or a jitter outside 0 to 1.
    """
    if attempts_made < 0:
        raise ValueError("A count of attempts cannot be negative.")
    if not 0.0 <= jitter <= 1.0:
        raise ValueError("The jitter is a number from 0 to 1.")
    if attempts_made >= MAX_ATTEMPTS:
        return None
    gap = GAPS[attempts_made] * (1.0 + JITTER * (2.0 * jitter - 1.0))
    if retry_after is not None:
        gap = max(gap, min(retry_after, MAX_RETRY_AFTER))
    return at + gap


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Read a ``Retry-After`` header, in seconds or as an HTTP date.

    Returns:
        The wait from ``now``, between nothing and 24 hours; None when the header is missing or
        cannot be understood, which is never an error of ours.

    Raises:
        ValueError: ``now`` has no time zone.
    """
    if now.tzinfo is None:
        raise ValueError("A moment needs a time zone.")
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        # More digits than this is beyond 24 hours anyway, and may be beyond what int() reads.
        digits = text.lstrip("0") or "0"
        seconds = int(digits) if len(digits) <= 9 else 10**9
        return min(timedelta(seconds=seconds), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:  # HTTP dates are in UTC; the asctime form does not say so
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment - now, timedelta(0)), MAX_RETRY_AFTER)
