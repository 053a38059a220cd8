"""The routes of webhook endpoints."""

from __future__ import annotations

from postbreeze.domain import ids
from postbreeze.domain.errors import (
    ContendedError,
    ForbiddenError,
    NotFoundError,
    ValidationError,
)
from postbreeze.domain.events import EventType
from postbreeze.domain.webhook import DeliveryStatus
from postbreeze.http.deliveries import MOST_ON_PAGE, USUAL_PAGE
from postbreeze.http.openapi.declaring import Errors, Operation, Resource, Success
from postbreeze.http.openapi.errors import KEYED, WITH_BODY
from postbreeze.http.openapi.schemas import (
    DELIVERY_ID,
    IN_WORKSPACE,
    MOMENT,
    WEBHOOK_ID,
    Schema,
    a_page,
    choice,
    ref,
)
from postbreeze.http.webhook_schemas import (
    CreateWebhookBody,
    EditWebhookBody,
    RecoverBody,
    RotateSecretBody,
)

_READS: Errors = (*KEYED, ValidationError, ForbiddenError, NotFoundError)
_CHANGES: Errors = (*KEYED, *WITH_BODY, ForbiddenError, NotFoundError, ContendedError)

_WEBHOOK = Success(description="The endpoint as it now is", schema=ref("Webhook"))
_TAKEN = Success(
    status=202, description="The delivery, which is on its way", schema=ref("Delivery")
)


def _chosen(name: str, description: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


_CREATE = Operation(
    method="post",
    path="/webhooks",
    name="createWebhook",
    summary="Add an endpoint",
    description=(
        "The answer has the secret that its requests are signed with, which is never shown again."
        " A workspace has at most 20 endpoints."
    ),
    bodies=(CreateWebhookBody,),
    example={
        "workspaceId": f"{ids.WORKSPACE}_01JZ8N4Q2V6X0T3R5W7Y9ABCDE",
        "url": "https://example.com/hooks",
        "events": ["post.*"],
    },
    answers=(
        Success(
            status=201,
            description="The endpoint, and its secret",
            schema=ref("WebhookWithSecret"),
            headers=("Location",),
        ),
    ),
    errors=_CHANGES,
)

_LIST = Operation(
    method="get",
    path="/webhooks",
    name="listWebhooks",
    summary="List the endpoints of a workspace",
    description="Oldest first.",
    parameters=({**IN_WORKSPACE, "required": True, "description": "The workspace."},),
    answers=(
        Success(description="The endpoints", schema={"type": "array", "items": ref("Webhook")}),
    ),
    errors=_READS,
)

_READ = Operation(
    method="get",
    path="/webhooks/{webhookId}",
    name="getWebhook",
    summary="Read an endpoint",
    parameters=(WEBHOOK_ID,),
    answers=(Success(description="The endpoint", schema=ref("Webhook")),),
    errors=_READS,
)

_EDIT = Operation(
    method="patch",
    path="/webhooks/{webhookId}",
    name="editWebhook",
    summary="Change, disable or enable an endpoint",
    description=(
        "What is not given stays. What happens while it is disabled is kept for it, and sent once"
        " it is enabled, oldest first."
    ),
    parameters=(WEBHOOK_ID,),
    bodies=(EditWebhookBody,),
    example={"status": "ENABLED"},
    answers=(_WEBHOOK,),
    errors=_CHANGES,
)

_DELETE = Operation(
    method="delete",
    path="/webhooks/{webhookId}",
    name="deleteWebhook",
    summary="Remove an endpoint",
    description="What was still to be sent to it is dropped.",
    parameters=(WEBHOOK_ID,),
    answers=(Success(description="The endpoint as it was left", schema=ref("Webhook")),),
    errors=(*_READS, ContendedError),
)

_ROTATE = Operation(
    method="post",
    path="/webhooks/{webhookId}/rotate-secret",
    name="rotateWebhookSecret",
    summary="Give an endpoint a new secret",
    description=(
        "For `overlapSeconds` the present one signs beside it. One that was retiring already signs"
        " no more: never more than two do."
    ),
    parameters=(WEBHOOK_ID,),
    bodies=(RotateSecretBody,),
    needs_body=False,
    example={"overlapSeconds": 3600},
    answers=(
        Success(description="The endpoint, and its new secret", schema=ref("WebhookWithSecret")),
    ),
    errors=_CHANGES,
)

_TEST = Operation(
    method="post",
    path="/webhooks/{webhookId}/test",
    name="testWebhook",
    summary="Send an endpoint a test",
    description="One `webhook.test`, at once, whatever it is subscribed to.",
    parameters=(WEBHOOK_ID,),
    answers=(_TAKEN,),
    errors=(*KEYED, *WITH_BODY, ForbiddenError, NotFoundError),
)

_RECOVER = Operation(
    method="post",
    path="/webhooks/{webhookId}/recover",
    name="recoverWebhook",
    summary="Send again what was given up",
    description=(
        "All deliveries that are EXHAUSTED, of events since that time: oldest first, under the ids"
        " that they had."
    ),
    parameters=(WEBHOOK_ID,),
    bodies=(RecoverBody,),
    example={"since": "2026-06-15T09:00:00Z"},
    answers=(
        Success(
            status=202,
            description="The endpoint; what is not sent yet is sent in the next minutes",
            schema=ref("RecoveringWebhook"),
        ),
    ),
    errors=_CHANGES,
)

_DELIVERIES = Operation(
    method="get",
    path="/webhooks/{webhookId}/deliveries",
    name="listDeliveries",
    summary="List what was sent to an endpoint, and what came of it",
    description=(
        "Newest first. A page may have fewer deliveries than asked for: only without a `Link` it is"
        " the last."
    ),
    parameters=(
        WEBHOOK_ID,
        _chosen("status", "Only deliveries of this status.", choice(DeliveryStatus)),
        _chosen("event", "Only deliveries of this event.", choice(EventType)),
        _chosen("since", "Only deliveries made then or later.", MOMENT),
        _chosen("until", "Only deliveries made before.", MOMENT),
        *a_page(usual=USUAL_PAGE, most=MOST_ON_PAGE, bound_to="filters"),
    ),
    answers=(
        Success(
            description="A page of deliveries",
            schema={"type": "array", "items": ref("Delivery"), "maxItems": MOST_ON_PAGE},
            headers=("Link",),
        ),
    ),
    errors=_READS,
)

_DELIVERY = Operation(
    method="get",
    path="/webhooks/{webhookId}/deliveries/{deliveryId}",
    name="getDelivery",
    summary="Read a delivery with what is sent",
    parameters=(WEBHOOK_ID, DELIVERY_ID),
    answers=(Success(description="The delivery", schema=ref("DeliveryWithPayload")),),
    errors=_READS,
)

_REDELIVER = Operation(
    method="post",
    path="/webhooks/{webhookId}/deliveries/{deliveryId}/redeliver",
    name="redeliver",
    summary="Send a delivery again",
    description="At once, under the id that it has, also where it was taken.",
    parameters=(WEBHOOK_ID, DELIVERY_ID),
    answers=(_TAKEN,),
    errors=_CHANGES,
)

RESOURCE = Resource(
    tag="webhooks",
    description="Where events are sent. Their routes need a key that was minted with that grant.",
    operations=(
        _CREATE,
        _LIST,
        _READ,
        _EDIT,
        _DELETE,
        _ROTATE,
        _TEST,
        _DELIVERIES,
        _DELIVERY,
        _REDELIVER,
        _RECOVER,
    ),
)
