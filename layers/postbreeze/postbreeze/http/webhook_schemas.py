"""The bodies of requests about webhook endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, WithJsonSchema

from postbreeze.domain import ids
from postbreeze.domain.errors import ValidationError
from postbreeze.domain.events import EventType
from postbreeze.domain.webhook import SECRET_OVERLAP, EndpointStatus
from postbreeze.http.schemas import LONGEST_URL, Body, Time, read_body
from postbreeze.operations.administer.endpoints import (
    LONGEST_DESCRIPTION,
    MOST_A_SECOND,
    EndpointChange,
)
from postbreeze.operations.manage_endpoints import CreateEndpoint
from postbreeze.webhooks.envelope import (
    MAX_CUSTOM_HEADERS,
    MAX_HEADER_NAME,
    MAX_HEADER_VALUE,
)

MOST_EVENTS = 50
LONGEST_OVERLAP = int(SECRET_OVERLAP.total_seconds())

EVENT_FILTERS = (
    "*",
    *dict.fromkeys(f"{each.rpartition('.')[0]}.*" for each in EventType),
    *(each.value for each in EventType),
)
"""What an endpoint can subscribe to: everything, a family, or one event."""

# Where a deployment sends, which events there are, and which headers may be set is for the
# operation to say.
WebhookUrl = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "format": "uri",
            "pattern": "^https://",
            "maxLength": LONGEST_URL,
            "description": "https on port 443 or 8443, at a public address.",
        }
    ),
]
EventFilter = Annotated[str, WithJsonSchema({"type": "string", "enum": list(EVENT_FILTERS)})]
EventFilters = Annotated[
    list[EventFilter],
    Field(
        min_length=1,
        max_length=MOST_EVENTS,
        description="Exact names, a family such as `post.*`, or `*` for everything.",
    ),
]
Description = Annotated[str, StringConstraints(max_length=LONGEST_DESCRIPTION)]
Headers = Annotated[
    dict[str, str],
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": MAX_CUSTOM_HEADERS,
            "propertyNames": {
                "pattern": r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$",
                "maxLength": MAX_HEADER_NAME,
            },
            "additionalProperties": {
                "type": "string",
                "pattern": r"^[!-~]([\t -~]*[!-~])?$",
                "maxLength": MAX_HEADER_VALUE,
            },
            "description": (
                "Sent with every request, such as `Authorization`; none of ours, and none that"
                " steer the connection. Their values are not shown again."
            ),
        }
    ),
]
RateLimit = Annotated[
    int,
    Field(ge=1, le=MOST_A_SECOND, description="How many requests a second it is sent at most."),
]


class CreateWebhookBody(Body):
    """Where to send events, and which."""

    workspace_id: Annotated[str, StringConstraints(pattern=ids.pattern(ids.WORKSPACE))]
    url: WebhookUrl
    events: EventFilters | None = Field(default=["*"])
    description: Description | None = None
    headers: Headers | None = None
    rate_limit: RateLimit | None = None


class EditWebhookBody(Body):
    """What to change of an endpoint; `null` takes a description, headers or a limit away."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    url: WebhookUrl | None = None
    events: EventFilters | None = None
    description: Description | None = None
    headers: Annotated[
        Headers | None, Field(description="All of them: those that were set before go.")
    ] = None
    rate_limit: RateLimit | None = None
    status: Annotated[
        Literal["ENABLED", "DISABLED"] | None,
        Field(description="Enabling sends all that was parked, oldest first."),
    ] = None


class RotateSecretBody(Body):
    """How long the present secret goes on signing beside the new one."""

    overlap_seconds: Annotated[
        int | None,
        Field(ge=0, le=LONGEST_OVERLAP, description="0 where the present one has leaked."),
    ] = LONGEST_OVERLAP


class RecoverBody(Body):
    """From when on what was given up is to be sent again."""

    since: Time


def new_endpoint(document: Mapping[str, Any] | None) -> CreateEndpoint:
    """Read the body of a new endpoint.

    Raises:
        ValidationError: It is not as it must be.
    """
    body = read_body(CreateWebhookBody, document)
    return CreateEndpoint(
        workspace_id=body.workspace_id,
        url=body.url,
        event_filters=tuple(body.events or ("*",)),
        description=body.description or None,
        headers=body.headers or {},
        rate_limit=body.rate_limit,
    )


def endpoint_changes(document: Mapping[str, Any] | None) -> EndpointChange:
    """Read the body of a change.

    Raises:
        ValidationError: It is not as it must be, or changes nothing.
    """
    body = read_body(EditWebhookBody, document)
    wanted = EndpointChange()
    if body.url is not None:
        wanted["url"] = body.url
    if body.events is not None:
        wanted["event_filters"] = body.events
    if body.status is not None:
        wanted["status"] = EndpointStatus(body.status)
    if "description" in body.model_fields_set:
        wanted["description"] = body.description or None
    if "headers" in body.model_fields_set:
        wanted["headers"] = body.headers or {}
    if "rate_limit" in body.model_fields_set:
        wanted["rate_limit"] = body.rate_limit
    if not wanted:
        raise ValidationError.of("body", "must change something")
    return wanted


def secret_overlap(document: Mapping[str, Any] | None) -> timedelta:
    """Read the body of a rotation; there need not be one.

    Raises:
        ValidationError: It is not as it must be.
    """
    seconds = read_body(RotateSecretBody, document or {}).overlap_seconds
    return SECRET_OVERLAP if seconds is None else timedelta(seconds=seconds)


def recovery_start(document: Mapping[str, Any] | None) -> datetime:
    """Read the body that says from when on to recover.

    Raises:
        ValidationError: It is not as it must be.
    """
    return read_body(RecoverBody, document).since
