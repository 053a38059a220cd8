"""Webhook endpoints, and the deliveries made to them, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from postbreeze.domain.events import EventType

ATTEMPT_LEASE = timedelta(seconds=60)
"""How long an attempt holds its delivery: twice the time after which its function is stopped."""

SWEEP_GRACE = timedelta(seconds=30)
"""How long a delivery's message may take before the reconciler sends another."""


class EndpointStatus(StrEnum):
    """Whether deliveries are sent to an endpoint or parked for it."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"


class DeliveryStatus(StrEnum):
    """Where one delivery is in its life."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    EXHAUSTED = "EXHAUSTED"
    PARKED = "PARKED"
    DROPPED = "DROPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a workspace wants events sent; ``sealed_secrets`` are ciphertext, the current one last.

    ``event_filters`` are exact names, ``*``, or a family such as ``post.*``.
    """

    id: str
    workspace_id: str
    url: str
    event_filters: tuple[str, ...]
    status: EndpointStatus
    sealed_secrets: tuple[bytes, ...]
    created_at: datetime
    description: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at a delivery; ``status`` is None where no answer came, and ``error`` says why."""

    number: int
    at: datetime
    duration_ms: int
    status: int | None = None
    error: str | None = None
    message: str | None = None
    response_body: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one endpoint; its id is the same over all attempts.

    ``due_at`` is when the reconciler should look at it: the next attempt's moment, or the end of
    the lease of the attempt under way. None once nothing is to be done.
    """

    id: str
    endpoint_id: str
    workspace_id: str
    event_id: str
    event_type: EventType
    post_id: str
    status: DeliveryStatus
    created_at: datetime
    attempts: tuple[Attempt, ...] = ()
    next_attempt_at: datetime | None = None
    leased_until: datetime | None = None
    due_at: datetime | None = None
    revision: int = 1


def leased(delivery: Delivery, *, now: datetime) -> Delivery | None:
    """Take a delivery for one attempt; None where it is not its time.

    While the lease lasts a second message for the same delivery does nothing. If the attempt dies
    the delivery is due again when the lease ends.
    """
    if delivery.status is not DeliveryStatus.PENDING:
        return None
    if delivery.leased_until is not None and now < delivery.leased_until:
        return None
    if delivery.next_attempt_at is not None and now < delivery.next_attempt_at:
        return None
    until = now + ATTEMPT_LEASE
    return replace(delivery, leased_until=until, due_at=until, revision=delivery.revision + 1)


def waits(delivery: Delivery, *, now: datetime) -> timedelta:
    """Tell how long until the next attempt of a delivery that nobody has taken; else nothing."""
    if delivery.status is not DeliveryStatus.PENDING or delivery.next_attempt_at is None:
        return timedelta(0)
    if delivery.leased_until is not None and now < delivery.leased_until:
        return timedelta(0)
    return max(delivery.next_attempt_at - now, timedelta(0))


def attempted(delivery: Delivery, attempt: Attempt, *, next_at: datetime | None) -> Delivery:
    """Record a failed attempt: wait for the next, or give up where the ladder has ended."""
    status = DeliveryStatus.EXHAUSTED if next_at is None else DeliveryStatus.PENDING
    return _moved(delivery, status, attempt=attempt, next_at=next_at)


def delivered(delivery: Delivery, attempt: Attempt) -> Delivery:
    """Record the attempt that was taken."""
    return _moved(delivery, DeliveryStatus.DELIVERED, attempt=attempt)


def parked(delivery: Delivery, attempt: Attempt | None = None) -> Delivery:
    """Keep a delivery for an endpoint that is disabled."""
    return _moved(delivery, DeliveryStatus.PARKED, attempt=attempt)


def dropped(delivery: Delivery) -> Delivery:
    """End a delivery whose endpoint was removed."""
    return _moved(delivery, DeliveryStatus.DROPPED)


def unparked(delivery: Delivery, *, now: datetime) -> Delivery:
    """Make a parked delivery due at once, its attempts kept."""
    return _moved(delivery, DeliveryStatus.PENDING, next_at=now)


def disabled(endpoint: Endpoint, reason: str, *, now: datetime) -> Endpoint:
    """Disable an endpoint; its deliveries are parked from now on."""
    return replace(
        endpoint,
        status=EndpointStatus.DISABLED,
        disabled_at=now,
        disabled_reason=reason,
        revision=endpoint.revision + 1,
    )


def enabled(endpoint: Endpoint) -> Endpoint:
    """Enable an endpoint again."""
    return replace(
        endpoint,
        status=EndpointStatus.ENABLED,
        disabled_at=None,
        disabled_reason=None,
        revision=endpoint.revision + 1,
    )


def _moved(
    delivery: Delivery,
    status: DeliveryStatus,
    *,
    attempt: Attempt | None = None,
    next_at: datetime | None = None,
) -> Delivery:
    return replace(
        delivery,
        status=status,
        attempts=delivery.attempts if attempt is None else (*delivery.attempts, attempt),
        next_attempt_at=next_at,
        leased_until=None,
        # The message goes first; the reconciler only makes up for one that was lost.
        due_at=None if next_at is None else next_at + SWEEP_GRACE,
        revision=delivery.revision + 1,
    )
