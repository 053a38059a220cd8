"""``postbreeze webhook``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from postbreeze.cli.deployment import Operator
from postbreeze.cli.options import EndpointArgument, WorkspaceArgument
from postbreeze.cli.output import Fields, Shown, Table
from postbreeze.cli.verbs import command
from postbreeze.domain.documents import optional_timestamp, timestamp
from postbreeze.domain.webhook import Attempt, Delivery, Endpoint
from postbreeze.operations.administer.endpoints import MOST_DELIVERIES

app = typer.Typer(help="Webhook endpoints, and what was delivered to them.")


@command(app, "add")
def add(
    operator: Operator,
    workspace: WorkspaceArgument,
    url: Annotated[str, typer.Argument(metavar="URL", help="https, port 443 or 8443.")],
    event: Annotated[
        list[str] | None,
        typer.Option(help="An event name, '*' or 'post.*'; may be given several times."),
    ] = None,
    description: Annotated[str | None, typer.Option(help="For people.")] = None,
) -> Shown:
    """Add an endpoint; its signing secret is shown this once."""
    new = operator.endpoints.add(workspace, url, event or ["*"], description=description)
    document = _document(new.endpoint)
    return Shown(
        document={**document, "secret": new.secret},
        blocks=[Fields(values={"secret": new.secret, **_fields(new.endpoint)})],
        remarks=["The secret is shown this once: keep it now."],
    )


@command(app, "list")
def list_(operator: Operator, workspace: WorkspaceArgument) -> Shown:
    """List a workspace's endpoints."""
    endpoints = operator.endpoints.list(workspace)
    return Shown(
        document=[_document(endpoint) for endpoint in endpoints],
        blocks=[
            Table(
                headings=("ID", "STATUS", "EVENTS", "URL", "WHY DISABLED"),
                rows=[
                    (
                        endpoint.id,
                        endpoint.status.value,
                        ", ".join(endpoint.event_filters),
                        endpoint.url,
                        endpoint.disabled_reason,
                    )
                    for endpoint in endpoints
                ],
                empty="No endpoints.",
            )
        ],
    )


@command(app, "enable")
def enable(operator: Operator, workspace: WorkspaceArgument, endpoint: EndpointArgument) -> Shown:
    """Send to an endpoint again, first of all what was kept for it; may be repeated."""
    enabled, sent = operator.endpoints.enable(workspace, endpoint)
    return Shown(
        document={**_document(enabled), "deliveriesSent": sent},
        blocks=[Fields(values={**_fields(enabled), "deliveriesSent": sent})],
    )


@command(app, "disable")
def disable(operator: Operator, workspace: WorkspaceArgument, endpoint: EndpointArgument) -> Shown:
    """Stop sending to an endpoint; deliveries are kept for it until it is enabled."""
    disabled = operator.endpoints.disable(workspace, endpoint)
    return Shown(document=_document(disabled), blocks=[Fields(values=_fields(disabled))])


@command(app, "deliveries")
def deliveries(
    operator: Operator,
    workspace: WorkspaceArgument,
    endpoint: EndpointArgument,
    limit: Annotated[
        int, typer.Option(min=1, max=MOST_DELIVERIES, help="How many, newest first.")
    ] = 20,
) -> Shown:
    """List what was sent to an endpoint, with every attempt."""
    found = operator.endpoints.deliveries(workspace, endpoint, limit)
    return Shown(
        document=[_delivery_document(delivery) for delivery in found],
        blocks=[
            Table(
                headings=("DELIVERY", "EVENT", "STATUS", "ATTEMPT", "AT", "ANSWER", "TOOK", "NEXT"),
                rows=[row for delivery in found for row in _rows(delivery)],
                empty="No deliveries.",
            )
        ],
    )


def _rows(delivery: Delivery) -> list[tuple[object, ...]]:
    """Write a line for each attempt, or one where there was none yet."""
    lead = (delivery.id, delivery.event_type.value, delivery.status.value)
    next_at = optional_timestamp(delivery.next_attempt_at)
    if not delivery.attempts:
        return [(*lead, None, None, None, None, next_at)]
    last = delivery.attempts[-1]
    return [
        (
            *lead,
            attempt.number,
            timestamp(attempt.at),
            attempt.error if attempt.status is None else attempt.status,
            f"{attempt.duration_ms} ms",
            next_at if attempt is last else None,
        )
        for attempt in delivery.attempts
    ]


def _document(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "workspaceId": endpoint.workspace_id,
        "url": endpoint.url,
        "events": list(endpoint.event_filters),
        "status": endpoint.status.value,
        "description": endpoint.description,
        "disabledAt": optional_timestamp(endpoint.disabled_at),
        "disabledReason": endpoint.disabled_reason,
        "createdAt": timestamp(endpoint.created_at),
    }


def _fields(endpoint: Endpoint) -> dict[str, object]:
    return {**_document(endpoint), "events": ", ".join(endpoint.event_filters)}


def _delivery_document(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "eventId": delivery.event_id,
        "event": delivery.event_type.value,
        "postId": delivery.post_id,
        "status": delivery.status.value,
        "createdAt": timestamp(delivery.created_at),
        "nextAttemptAt": optional_timestamp(delivery.next_attempt_at),
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
        "responseBody": attempt.response_body,
    }
