"""Webhook endpoints, and the deliveries made to them, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from postbreeze.domain import ids
from postbreeze.domain.documents import optional_timestamp, timestamp
from postbreeze.domain.events import EventType

ATTEMPT_LEASE = timedelta(seconds=60)
"""How long an attempt holds its delivery: twice the time after which its function is stopped."""

SWEEP_GRACE = timedelta(seconds=30)
"""How long a delivery's message may take before the reconciler sends another."""

SECRET_OVERLAP = timedelta(hours=24)
"""How long a secret signs beside the one that has replaced it."""

FAILING_AT_MOST = timedelta(days=5)
"""How long an endpoint may fail without a success before it is disabled."""

DELIVERIES_KEPT = timedelta(days=30)
"""How long a delivery is kept once nothing more is to be done for it."""

MOST_ATTEMPTS_LOGGED = 12
"""How many attempts of a delivery are kept, the latest: a row holds 400 KB at most."""


class EndpointStatus(StrEnum):
    """Whether deliveries are sent to an endpoint or parked for it."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"


class Lane(StrEnum):
    """Which way a delivery's message goes."""

    PROMPT = "prompt"
    """For first attempts at endpoints that answer quickly."""
    LATE = "late"
    """For every later attempt, and for endpoints that are slow or fail."""


class DeliveryStatus(StrEnum):
    """Where one delivery is in its life."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    EXHAUSTED = "EXHAUSTED"
    PARKED = "PARKED"
    DROPPED = "DROPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What an endpoint has missed and is to be sent, oldest first, at a bounded rate.

    All deliveries that were parked for it, where ``is_parked``; and those that were given up, of
    events that were fanned out at ``failed_since`` or later, where that is set. It was asked for
    at ``asked_at``.
    """

    asked_at: datetime
    is_parked: bool = False
    failed_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An event about an endpoint that its workspace's other endpoints are still to be told of."""

    event_id: str
    type: EventType
    occurred_at: datetime
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a workspace wants events sent; ``sealed_secrets`` are ciphertext, the current one last.

    ``event_filters`` are exact names, ``*``, or a family such as ``post.*``.
    While a secret is being rotated there are two, and the first of them signs until
    ``secret_retires_at``. ``rate_limit`` is how many requests a second it is sent at most. It has
    been failing, without a success, since ``failing_since``. ``notice`` is what others are still
    to be told of it, and ``backlog`` what is still to be sent off to it; ``due_at`` is when the
    reconciler should look at either, None where there is neither.
    """

    id: str
    workspace_id: str
    url: str
    event_filters: tuple[str, ...]
    status: EndpointStatus
    sealed_secrets: tuple[bytes, ...]
    created_at: datetime
    updated_at: datetime
    description: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    rate_limit: int | None = None
    secret_retires_at: datetime | None = None
    failing_since: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    notice: Notice | None = None
    backlog: Backlog | None = None
    due_at: datetime | None = None
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
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response_body: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one endpoint; its id is the same over all attempts.

    ``post_id`` is whose event it is: a post's id, an account's, or an endpoint's. ``payload`` is
    what is sent where the event has no row of its own. ``attempts`` are the latest of them,
    ``tries`` how many were made since it was last sent off. Where ``is_reserved``, the endpoint's
    pace has room for the next one. ``due_at`` is when the reconciler should look at it: the next
    attempt's moment, or the end of the lease of the attempt under way. None once nothing is to be
    done; then it is kept until ``expires_at``.
    """

    id: str
    endpoint_id: str
    workspace_id: str
    event_id: str
    event_type: EventType
    post_id: str
    status: DeliveryStatus
    created_at: datetime
    payload: Mapping[str, Any] | None = None
    attempts: tuple[Attempt, ...] = ()
    tries: int = 0
    next_attempt_at: datetime | None = None
    is_reserved: bool = False
    leased_until: datetime | None = None
    due_at: datetime | None = None
    expires_at: datetime | None = None
    revision: int = 1

    @property
    def attempt_count(self) -> int:
        """How many attempts were made in all."""
        return self.attempts[-1].number if self.attempts else 0


def addressed(
    endpoint: Endpoint,
    *,
    event_id: str,
    event_type: EventType,
    post_id: str,
    occurred_at: datetime,
    now: datetime,
    payload: Mapping[str, Any] | None = None,
) -> Delivery:
    """Make the delivery of an event to an endpoint, to be sent at once.

    Its id derives from the two: made again it is the same one.
    """
    return Delivery(
        id=ids.derived_id(ids.DELIVERY, occurred_at, event_id, endpoint.id),
        endpoint_id=endpoint.id,
        workspace_id=endpoint.workspace_id,
        event_id=event_id,
        event_type=event_type,
        post_id=post_id,
        payload=payload,
        status=DeliveryStatus.PENDING,
        created_at=now,
        next_attempt_at=now,
        due_at=now + SWEEP_GRACE,
    )


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
    return _moved(delivery, status, attempt=attempt, next_at=next_at, now=attempt.at)


def delivered(delivery: Delivery, attempt: Attempt) -> Delivery:
    """Record the attempt that was taken."""
    return _moved(delivery, DeliveryStatus.DELIVERED, attempt=attempt, now=attempt.at)


def parked(delivery: Delivery, attempt: Attempt | None = None) -> Delivery:
    """Keep a delivery for an endpoint that is disabled."""
    return _moved(delivery, DeliveryStatus.PARKED, attempt=attempt)


def dropped(delivery: Delivery, *, now: datetime) -> Delivery:
    """End a delivery whose endpoint was removed, or whose event is not kept any more."""
    return _moved(delivery, DeliveryStatus.DROPPED, now=now)


def sent_off(delivery: Delivery, *, now: datetime) -> Delivery | None:
    """Make a delivery due at once, at the foot of the ladder; its attempts are kept.

    None where an attempt is under way, which may be the one that is taken.
    """
    if delivery.leased_until is not None and now < delivery.leased_until:
        return None
    return replace(_moved(delivery, DeliveryStatus.PENDING, next_at=now), tries=0)


def held(delivery: Delivery, until: datetime, *, is_reserved: bool = False) -> Delivery:
    """Have a delivery wait without an attempt being made or counted.

    Where it ``is_reserved``, room is left for it then, and it need not ask for any again.
    """
    waiting = _moved(delivery, DeliveryStatus.PENDING, next_at=until)
    return replace(waiting, is_reserved=is_reserved)


def changed(endpoint: Endpoint, *, now: datetime, **wanted: Any) -> Endpoint:
    """Change what an endpoint's owner has said of it."""
    return replace(endpoint, updated_at=now, revision=endpoint.revision + 1, **wanted)


def signing(endpoint: Endpoint, *, now: datetime) -> tuple[bytes, ...]:
    """Return the sealed secrets that sign at this moment, the current one last."""
    retires_at = endpoint.secret_retires_at
    if retires_at is not None and now < retires_at:
        return endpoint.sealed_secrets
    return endpoint.sealed_secrets[-1:]


def rotated(
    endpoint: Endpoint, sealed: bytes, *, now: datetime, overlap: timedelta = SECRET_OVERLAP
) -> Endpoint:
    """Replace an endpoint's secret; the present one signs beside it for as long as they overlap.

    One that is retiring already signs no more: never more than two do.
    """
    return changed(
        endpoint,
        now=now,
        sealed_secrets=(endpoint.sealed_secrets[-1], sealed),
        secret_retires_at=now + overlap,
    )


def disabled(endpoint: Endpoint, reason: str, *, now: datetime, is_told: bool = False) -> Endpoint:
    """Disable an endpoint; its deliveries are parked from now on.

    Where it ``is_told``, the other endpoints of its workspace are to hear of it.
    """
    stopped = changed(
        endpoint,
        now=now,
        status=EndpointStatus.DISABLED,
        disabled_at=now,
        disabled_reason=reason,
        backlog=None,
        # What others are still to be told of it is told all the same.
        due_at=None if endpoint.notice is None else endpoint.due_at,
    )
    if not is_told:
        return stopped
    type_ = EventType.WEBHOOK_DISABLED
    event_id = ids.derived_id(ids.EVENT, now, endpoint.id, type_, str(stopped.revision))
    notice = Notice(
        event_id=event_id,
        type=type_,
        occurred_at=now,
        payload=event_payload(stopped, event_id, now=now),
    )
    return replace(stopped, notice=notice, due_at=now + SWEEP_GRACE)


def enabled(endpoint: Endpoint, *, now: datetime) -> Endpoint:
    """Enable an endpoint again, with all that was parked for it to be sent off."""
    return changed(
        endpoint,
        now=now,
        status=EndpointStatus.ENABLED,
        failing_since=None,
        disabled_at=None,
        disabled_reason=None,
        backlog=Backlog(asked_at=now, is_parked=True),
        due_at=now,
    )


def recovering(endpoint: Endpoint, since: datetime, *, now: datetime) -> Endpoint:
    """Have what was given up of an endpoint's deliveries since a moment sent off again."""
    present = endpoint.backlog or Backlog(asked_at=now)
    earliest = min(since, present.failed_since or since)
    return changed(
        endpoint,
        now=now,
        backlog=replace(present, asked_at=now, failed_since=earliest),
        due_at=now,
    )


def failing(endpoint: Endpoint, *, now: datetime) -> Endpoint:
    """Note that an endpoint has begun to fail."""
    return replace(endpoint, failing_since=now, revision=endpoint.revision + 1)


def succeeding(endpoint: Endpoint) -> Endpoint:
    """Note that an endpoint fails no more."""
    return replace(endpoint, failing_since=None, revision=endpoint.revision + 1)


def has_failed_too_long(endpoint: Endpoint, *, now: datetime) -> bool:
    """Tell whether an endpoint that has failed once more is to be disabled."""
    since = endpoint.failing_since
    return since is not None and now - since >= FAILING_AT_MOST


def told(endpoint: Endpoint) -> Endpoint:
    """Note that the others know of an endpoint what they were to be told."""
    return replace(
        endpoint,
        notice=None,
        due_at=None if endpoint.backlog is None else endpoint.due_at,
        revision=endpoint.revision + 1,
    )


def event_payload(endpoint: Endpoint, event_id: str, *, now: datetime) -> dict[str, Any]:
    """Write what subscribers get of an event about an endpoint.

    Its URL is not told, which may hold a secret: others than its own receiver read this.
    """
    return {
        "eventId": event_id,
        "occurredAt": timestamp(now),
        "workspaceId": endpoint.workspace_id,
        "webhook": {
            "id": endpoint.id,
            "workspaceId": endpoint.workspace_id,
            "description": endpoint.description,
            "status": endpoint.status.value,
            "disabledAt": optional_timestamp(endpoint.disabled_at),
            "disabledReason": endpoint.disabled_reason,
        },
    }


def endpoint_document(endpoint: Endpoint) -> dict[str, Any]:
    """Write an endpoint as its managers see it: without its secrets, and of headers the names."""
    return {
        "id": endpoint.id,
        "workspaceId": endpoint.workspace_id,
        "url": endpoint.url,
        "events": list(endpoint.event_filters),
        "description": endpoint.description,
        "headerNames": sorted(endpoint.headers),
        "rateLimit": endpoint.rate_limit,
        "status": endpoint.status.value,
        "failingSince": optional_timestamp(endpoint.failing_since),
        "disabledAt": optional_timestamp(endpoint.disabled_at),
        "disabledReason": endpoint.disabled_reason,
        "secretRetiresAt": optional_timestamp(endpoint.secret_retires_at),
        "createdAt": timestamp(endpoint.created_at),
        "updatedAt": timestamp(endpoint.updated_at),
    }


def delivery_document(delivery: Delivery) -> dict[str, Any]:
    """Write a delivery with its attempts, as the log shows it."""
    return {
        "id": delivery.id,
        "webhookId": delivery.endpoint_id,
        "eventId": delivery.event_id,
        "event": delivery.event_type.value,
        "subjectId": delivery.post_id,
        "status": delivery.status.value,
        "createdAt": timestamp(delivery.created_at),
        "nextAttemptAt": optional_timestamp(delivery.next_attempt_at),
        "attemptCount": delivery.attempt_count,
        "attempts": [_attempt_document(attempt) for attempt in delivery.attempts],
    }


def _attempt_document(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "at": timestamp(attempt.at),
        "durationMs": attempt.duration_ms,
        "status": attempt.status,
        "error": attempt.error,
        "message": attempt.message,
        "responseHeaders": dict(attempt.response_headers),
        "responseBody": attempt.response_body,
    }


_ENDED = frozenset({DeliveryStatus.DELIVERED, DeliveryStatus.EXHAUSTED, DeliveryStatus.DROPPED})


def _moved(
    delivery: Delivery,
    status: DeliveryStatus,
    *,
    attempt: Attempt | None = None,
    next_at: datetime | None = None,
    now: datetime | None = None,
) -> Delivery:
    attempts = delivery.attempts if attempt is None else (*delivery.attempts, attempt)
    return replace(
        delivery,
        status=status,
        attempts=attempts[-MOST_ATTEMPTS_LOGGED:],
        tries=delivery.tries + (attempt is not None),
        next_attempt_at=next_at,
        is_reserved=False,
        leased_until=None,
        # The message goes first; the reconciler only makes up for one that was lost.
        due_at=None if next_at is None else next_at + SWEEP_GRACE,
        expires_at=None if now is None or status not in _ENDED else now + DELIVERIES_KEPT,
        revision=delivery.revision + 1,
    )
