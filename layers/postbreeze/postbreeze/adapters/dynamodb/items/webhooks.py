"""Rows of webhooks: endpoints, how they are, and what is delivered to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pynamodb.attributes import Attribute, BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.constants import LIST

from postbreeze.adapters.dynamodb import keys
from postbreeze.adapters.dynamodb.items.common import (
    FIRST_REVISION,
    ChoiceAttribute,
    JsonAttribute,
    MomentAttribute,
    Row,
    TextsAttribute,
    attributes,
    epoch_seconds,
    moment,
    value_of,
)
from postbreeze.domain.documents import optional_timestamp, timestamp
from postbreeze.domain.endpoint_health import Health
from postbreeze.domain.events import EventType
from postbreeze.domain.webhook import (
    Attempt,
    Backlog,
    Delivery,
    DeliveryStatus,
    Endpoint,
    EndpointStatus,
    Notice,
)


class SealedAttribute(Attribute[Sequence[bytes]]):
    """Several ciphertexts in order."""

    attr_type = LIST

    def serialize(self, value: Sequence[bytes]) -> list[dict[str, bytes]]:
        """Write them."""
        return [{"B": sealed} for sealed in value]

    def deserialize(self, value: Any) -> Any:
        """Read them."""
        return tuple(bytes(sealed["B"]) for sealed in value)


class NoticeAttribute(JsonAttribute):
    """What others are still to be told of an endpoint."""

    def serialize(self, value: Notice) -> str:
        """Write it."""
        return super().serialize(
            {
                "eventId": value.event_id,
                "type": value.type,
                "occurredAt": timestamp(value.occurred_at),
                "payload": value.payload,
            }
        )

    def deserialize(self, value: str) -> Notice:
        """Read it."""
        stored = super().deserialize(value)
        return Notice(
            event_id=stored["eventId"],
            type=EventType(stored["type"]),
            occurred_at=moment(stored["occurredAt"]),
            payload=stored["payload"],
        )


class BacklogAttribute(JsonAttribute):
    """What an endpoint has missed and is still to be sent."""

    def serialize(self, value: Backlog) -> str:
        """Write it."""
        return super().serialize(
            {
                "askedAt": timestamp(value.asked_at),
                "isParked": value.is_parked,
                "failedSince": optional_timestamp(value.failed_since),
            }
        )

    def deserialize(self, value: str) -> Backlog:
        """Read it."""
        stored = super().deserialize(value)
        since = stored["failedSince"]
        return Backlog(
            asked_at=moment(stored["askedAt"]),
            is_parked=stored["isParked"],
            failed_since=None if since is None else moment(since),
        )


class TrialsAttribute(JsonAttribute):
    """The deliveries that are being tried at an endpoint, with the ends of their leases."""

    def serialize(self, value: Mapping[str, datetime]) -> str:
        """Write them."""
        return super().serialize({trial: timestamp(until) for trial, until in value.items()})

    def deserialize(self, value: str) -> dict[str, datetime]:
        """Read them."""
        return {trial: moment(until) for trial, until in super().deserialize(value).items()}


class AttemptsAttribute(Attribute[Sequence[Attempt]]):
    """The attempts at a delivery. As maps: what endpoints answer may double in size as JSON."""

    attr_type = LIST

    def serialize(self, value: Sequence[Attempt]) -> list[dict[str, Any]]:
        """Write them."""
        return [{"M": _attempt_map(attempt)} for attempt in value]

    def deserialize(self, value: Any) -> Any:
        """Read them."""
        return tuple(_attempt(attempt["M"]) for attempt in value)


def _attempt_map(attempt: Attempt) -> dict[str, Any]:
    texts = {
        "at": timestamp(attempt.at),
        "error": attempt.error,
        "message": attempt.message,
        "responseBody": attempt.response_body,
    }
    numbers = {
        "number": attempt.number,
        "durationMs": attempt.duration_ms,
        "status": attempt.status,
    }
    headers = {name: {"S": text} for name, text in attempt.response_headers.items()}
    return (
        {name: {"S": text} for name, text in texts.items() if text is not None}
        | {name: {"N": str(number)} for name, number in numbers.items() if number is not None}
        | ({"responseHeaders": {"M": headers}} if headers else {})
    )


def _attempt(stored: Mapping[str, Mapping[str, Any]]) -> Attempt:
    values = {name: next(iter(value.values())) for name, value in stored.items()}
    headers = values.get("responseHeaders", {})
    return Attempt(
        number=int(values["number"]),
        at=moment(values["at"]),
        duration_ms=int(values["durationMs"]),
        status=int(values["status"]) if "status" in values else None,
        error=values.get("error"),
        message=values.get("message"),
        response_headers={name: value["S"] for name, value in headers.items()},
        response_body=values.get("responseBody"),
    )


class EndpointRow(Row):
    """A webhook endpoint."""

    id = UnicodeAttribute()
    workspace_id = UnicodeAttribute(attr_name="workspaceId")
    url = UnicodeAttribute()
    event_filters = TextsAttribute(attr_name="eventFilters")
    status = ChoiceAttribute(EndpointStatus)
    sealed_secrets = SealedAttribute(attr_name="sealedSecrets")
    created_at = MomentAttribute(attr_name="createdAt")
    updated_at = MomentAttribute(attr_name="updatedAt")
    description = UnicodeAttribute(null=True)
    headers = JsonAttribute()
    rate_limit = NumberAttribute(null=True, attr_name="rateLimit")
    secret_retires_at = MomentAttribute(null=True, attr_name="secretRetiresAt")
    failing_since = MomentAttribute(null=True, attr_name="failingSince")
    disabled_at = MomentAttribute(null=True, attr_name="disabledAt")
    disabled_reason = UnicodeAttribute(null=True, attr_name="disabledReason")
    notice = NoticeAttribute(null=True)
    backlog = BacklogAttribute(null=True)
    due_partition = UnicodeAttribute(null=True, attr_name="duePartition")
    due_at = MomentAttribute(null=True, attr_name="dueAt")


class EndpointPlaceRow(Row):
    """Where an endpoint is, for those who know only its id."""

    workspace_id = UnicodeAttribute(attr_name="workspaceId")


class HealthRow(Row):
    """How an endpoint is."""

    endpoint_id = UnicodeAttribute(attr_name="endpointId")
    workspace_id = UnicodeAttribute(attr_name="workspaceId")
    failures = NumberAttribute()
    slow_since = MomentAttribute(null=True, attr_name="slowSince")
    open_until = MomentAttribute(null=True, attr_name="openUntil")
    trials = TrialsAttribute()


class PaceRow(Row):
    """When an endpoint may be sent the next request: microseconds since 1970."""

    free_at = NumberAttribute(attr_name="freeAt")


class DeliveryRow(Row):
    """A delivery. ``expires_at`` is exact where ``ttl``, beside it, is in whole seconds.

    One that is PARKED or EXHAUSTED is not due: it is in the index by when it was made.
    """

    id = UnicodeAttribute()
    endpoint_id = UnicodeAttribute(attr_name="endpointId")
    workspace_id = UnicodeAttribute(attr_name="workspaceId")
    event_id = UnicodeAttribute(attr_name="eventId")
    event_type = ChoiceAttribute(EventType, attr_name="eventType")
    post_id = UnicodeAttribute(attr_name="postId")
    status = ChoiceAttribute(DeliveryStatus)
    created_at = MomentAttribute(attr_name="createdAt")
    payload = JsonAttribute(null=True)
    attempts = AttemptsAttribute()
    tries = NumberAttribute()
    next_attempt_at = MomentAttribute(null=True, attr_name="nextAttemptAt")
    is_reserved = BooleanAttribute(attr_name="isReserved")
    leased_until = MomentAttribute(null=True, attr_name="leasedUntil")
    expires_at = MomentAttribute(null=True, attr_name="keptUntil")
    due_partition = UnicodeAttribute(null=True, attr_name="duePartition")
    due_at = MomentAttribute(null=True, attr_name="dueAt")


def endpoint_row(endpoint: Endpoint) -> EndpointRow:
    """Make the row of a webhook endpoint, which is in the index while it wants attention."""
    is_due = endpoint.due_at is not None
    return EndpointRow(
        keys.workspace(endpoint.workspace_id),
        keys.ENDPOINTS + endpoint.id,
        **attributes(endpoint, "headers"),
        headers=dict(endpoint.headers),
        due_partition=keys.shard(keys.DUE_ENDPOINTS, endpoint.id) if is_due else None,
    )


def endpoint_of(row: EndpointRow) -> Endpoint:
    """Make a webhook endpoint of its row; those of older versions do not say when it changed."""
    row.attribute_values.setdefault("updated_at", row.created_at)
    return value_of(Endpoint, row)


def endpoint_place_row(endpoint: Endpoint) -> EndpointPlaceRow:
    """Make the row that tells where an endpoint is."""
    return EndpointPlaceRow(
        keys.endpoint(endpoint.id),
        keys.ENDPOINT,
        workspace_id=endpoint.workspace_id,
        revision=FIRST_REVISION,
    )


def health_row(health: Health) -> HealthRow:
    """Make the row of how an endpoint is."""
    return HealthRow(keys.endpoint(health.endpoint_id), keys.HEALTH, **attributes(health))


def delivery_row(delivery: Delivery) -> DeliveryRow:
    """Make the row of a delivery, which is in the index while it is due or waits."""
    return DeliveryRow(
        keys.endpoint(delivery.endpoint_id),
        keys.DELIVERIES + delivery.id,
        **attributes(delivery, "due_at"),
        **_turn(delivery),
        ttl=None if delivery.expires_at is None else epoch_seconds(delivery.expires_at),
    )


def delivery_of(row: DeliveryRow) -> Delivery:
    """Make a delivery of its row."""
    delivery = value_of(Delivery, row)
    waits = row.due_partition == keys.waiting(delivery.endpoint_id, delivery.status)
    return replace(delivery, due_at=None) if waits else delivery


def _turn(delivery: Delivery) -> dict[str, Any]:
    """Make what the index holds of a delivery: when it is due, or since when it waits."""
    if delivery.due_at is not None:
        return {"due_partition": keys.shard(keys.DUE, delivery.id), "due_at": delivery.due_at}
    if delivery.status in (DeliveryStatus.PARKED, DeliveryStatus.EXHAUSTED):
        return {
            "due_partition": keys.waiting(delivery.endpoint_id, delivery.status),
            "due_at": delivery.created_at,
        }
    return {}
