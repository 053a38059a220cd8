"""What endpoints are sent, made of the documents that the API answers.

It is part of the description; ``make openapi`` also writes a JSON Schema of each event to
``docs/events``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postbreeze.domain import ids
from postbreeze.domain.events import EventType
from postbreeze.http.openapi.schemas import (
    CANCELLATION,
    DOCUMENTS,
    MOMENT,
    TOLD_OF_ENDPOINT,
    Schema,
    an_object,
    identifier,
    ref,
)
from postbreeze.http.responses import JSON
from postbreeze.webhooks.envelope import API_VERSION

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

_POST: Mapping[str, Schema] = {"post": ref("Post")}
_CANCELLED: Mapping[str, Schema] = {**_POST, "cancellation": CANCELLATION}
_WEBHOOK: Mapping[str, Schema] = {"webhook": TOLD_OF_ENDPOINT}

SUBJECTS: Mapping[EventType, Mapping[str, Schema]] = {
    EventType.POST_CREATED: _POST,
    EventType.POST_SCHEDULED: _POST,
    EventType.POST_RESCHEDULED: _POST,
    EventType.POST_CANCELLED: _CANCELLED,
    EventType.POST_TARGETS_CANCELLED: _CANCELLED,
    EventType.POST_PUBLISHED: _POST,
    EventType.POST_PARTIALLY_PUBLISHED: _POST,
    EventType.POST_FAILED: _POST,
    EventType.POST_DELETED: _POST,
    EventType.ACCOUNT_DISCONNECTED: {"account": ref("SocialAccount")},
    EventType.WEBHOOK_TEST: _WEBHOOK,
    EventType.WEBHOOK_DISABLED: _WEBHOOK,
}
"""What each event tells of, beside when and where it happened."""


def event_schema(event_type: EventType) -> Schema:
    """Return the schema of a request's body, with all that it refers to.

    Raises:
        KeyError: No such event is sent.
    """
    definitions: dict[str, Schema] = {}
    body = _standing_alone(_body(event_type), definitions)
    return {
        "$schema": _DIALECT,
        "$id": f"urn:postbreeze:event:{API_VERSION}:{event_type}",
        "title": event_type.value,
        **body,
        "$defs": dict(sorted(definitions.items())),
    }


def webhooks() -> dict[str, Any]:
    """Return the events as OpenAPI has them."""
    return {event_type.value: {"post": _request(event_type)} for event_type in SUBJECTS}


def _request(event_type: EventType) -> dict[str, Any]:
    return {
        "summary": f"Tell of {event_type}",
        "description": "Signed; docs/webhooks.md says how to check that.",
        "security": [],
        "requestBody": {"required": True, "content": {JSON: {"schema": _body(event_type)}}},
        "responses": {
            "2XX": {"description": "Taken. Any other answer is a failure and is tried again."},
            "410": {"description": "Nothing is wanted any more: the endpoint is disabled."},
        },
    }


def _body(event_type: EventType) -> Schema:
    return an_object(
        {
            "event": {"type": "string", "const": event_type.value},
            "deliveryId": identifier(ids.DELIVERY),
            "sentAt": MOMENT,
            "apiVersion": {"type": "string", "const": API_VERSION},
            "payload": an_object(
                {
                    "eventId": identifier(ids.EVENT),
                    "occurredAt": MOMENT,
                    "workspaceId": identifier(ids.WORKSPACE),
                    **SUBJECTS[event_type],
                }
            ),
        }
    )


def _standing_alone(part: Any, definitions: dict[str, Schema]) -> Any:
    """Return a part of a schema that refers to ``definitions``, to which what it needs is added."""
    if isinstance(part, list):
        return [_standing_alone(each, definitions) for each in part]
    if not isinstance(part, dict):
        return part
    moved = {name: _standing_alone(each, definitions) for name, each in part.items()}
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        moved["$ref"] = f"#/$defs/{name}"
        if name not in definitions:
            definitions[name] = _standing_alone(DOCUMENTS[name], definitions)
    return moved
