"""How an endpoint is doing, so that one that is slow or fails keeps no other waiting.

An endpoint of which nothing is known is well. One that lets an attempt wait for a second is slow:
its deliveries go by the late lane, a few at a time, until one of them is taken quickly. After some
failures in a row its circuit opens: nothing is sent to it for a while, then one delivery is, and
what comes of that closes the circuit or opens it for longer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

SLOW_AFTER = timedelta(seconds=1)
"""How long an attempt may wait for its answer before the endpoint counts as slow."""

TRIALS_AT_ONCE = 2
"""How many deliveries of one endpoint the late lane has under way at a time."""

FAILURES_AT_MOST = 5
"""How many failures in a row open the circuit."""

OPEN_FOR: Final = (
    timedelta(seconds=30),
    timedelta(minutes=1),
    timedelta(minutes=2),
    timedelta(minutes=4),
    timedelta(minutes=8),
    timedelta(minutes=15),
)
"""How long the circuit is open, by how often it has opened since the last answer; the last of
them for ever after. The endpoint itself may ask for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the attempts at an endpoint have shown of it.

    ``slow_since`` is set while it answers slowly or not at all: then its deliveries go by the late
    lane, where only so many ``trials`` are under way at a time, given as the deliveries with the
    ends of their leases. After ``failures`` in a row nothing is sent until ``open_until``, and
    then one delivery until it is taken. The ``revision`` of one that is not kept yet is 0.
    """

    endpoint_id: str
    workspace_id: str
    failures: int = 0
    slow_since: datetime | None = None
    open_until: datetime | None = None
    trials: Mapping[str, datetime] = field(default_factory=dict)
    revision: int = 1


def unknown(endpoint_id: str, workspace_id: str) -> Health:
    """Return the health of an endpoint of which nothing is known."""
    return Health(endpoint_id=endpoint_id, workspace_id=workspace_id, revision=0)


def is_late(health: Health) -> bool:
    """Tell whether all of an endpoint's deliveries go by the late lane."""
    return health.slow_since is not None or health.open_until is not None


def slowed(health: Health, *, now: datetime) -> Health | None:
    """Note that an attempt waits too long for its answer; None where that is known."""
    if health.slow_since is not None:
        return None
    return replace(health, slow_since=now, revision=health.revision + 1)


def tried(health: Health, delivery_id: str, *, now: datetime, until: datetime) -> Health | None:
    """Take a trial of the endpoint for a delivery, leased until a moment; None if none is free.

    While the circuit has not closed again there is only one.
    """
    others = {each: end for each, end in health.trials.items() if now < end and each != delivery_id}
    if len(others) >= (TRIALS_AT_ONCE if health.open_until is None else 1):
        return None
    return replace(health, trials={**others, delivery_id: until}, revision=health.revision + 1)


def answered(health: Health, delivery_id: str, *, is_quick: bool) -> Health | None:
    """Note an answer that speaks for the endpoint; None where there is nothing to note.

    It closes the circuit. One that is a success and came quickly ends slowness too.
    """
    noted = replace(
        health,
        failures=0,
        open_until=None,
        slow_since=None if is_quick else health.slow_since,
        trials=_without(health, delivery_id),
    )
    return None if noted == health else replace(noted, revision=health.revision + 1)


def failed(
    health: Health, delivery_id: str, *, now: datetime, wish: timedelta | None
) -> Health | None:
    """Note a failure that is the endpoint's own, which may open the circuit; None as above.

    ``wish`` is for how long the endpoint asks to be left alone: the circuit is open so long. What
    began before the circuit opened, and fails now, does not open it for longer.
    """
    noted = replace(health, trials=_without(health, delivery_id))
    if health.open_until is None or now >= health.open_until:
        failures = health.failures + 1
        noted = replace(noted, failures=failures, open_until=_opens(health, failures, now))
    if wish is not None:
        noted = replace(noted, open_until=max(now + wish, noted.open_until or now))
    return None if noted == health else replace(noted, revision=health.revision + 1)


def _opens(health: Health, failures: int, now: datetime) -> datetime | None:
    """Return until when the circuit is open after so many failures in a row."""
    if failures < FAILURES_AT_MOST:
        # Where it was open at the endpoint's own wish, there is one trial at a time from then on.
        return health.open_until
    opened = min(failures - FAILURES_AT_MOST, len(OPEN_FOR) - 1)
    return now + OPEN_FOR[opened]


def _without(health: Health, delivery_id: str) -> Mapping[str, datetime]:
    return {each: end for each, end in health.trials.items() if each != delivery_id}
