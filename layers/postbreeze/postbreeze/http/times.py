"""Moments and time zones as clients write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files

_RFC_3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:([Zz])|([+-][0-9]{2}:[0-9]{2}))?"
)


def parse_time(text: object) -> datetime:
    """Read an RFC 3339 time with its offset; the result is in UTC and cut to milliseconds.

    Raises:
        ValueError: It is anything else; the message says what.
    """
    match = _RFC_3339.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("must be an RFC 3339 time, such as 2026-06-15T09:00:00Z")
    date, clock, fraction, zulu, offset = match.groups()
    if zulu is None and offset is None:
        raise ValueError("must have a UTC offset: end it with Z or one such as +02:00")
    milliseconds = (fraction or "").ljust(3, "0")[:3]
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}.{milliseconds}{offset or '+00:00'}")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is not a moment that exists") from None


def is_zone(name: str) -> bool:
    """Tell whether this is a name of the IANA time zone database."""
    return name in _zones()


@cache
def _zones() -> frozenset[str]:
    # The tzdata package and not the system's files: every machine then knows the same names.
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="ascii").split())
