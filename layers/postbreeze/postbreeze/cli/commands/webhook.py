"""``postbreeze webhook``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

import typer

from postbreeze.cli.deployment import Operator
from postbreeze.cli.options import (
    DeliveryArgument,
    EndpointArgument,
    WorkspaceArgument,
    moment,
)
from postbreeze.cli.output import Fields, Shown, Table
from postbreeze.cli.verbs import command
from postbreeze.domain.documents import optional_timestamp, timestamp
from postbreeze.domain.errors import ValidationError
from postbreeze.domain.events import EventType
from postbreeze.domain.webhook import (
    Delivery,
    DeliveryStatus,
    Endpoint,
    delivery_document,
    endpoint_document,
)
from postbreeze.operations.administer.endpoints import EndpointChange, NewEndpoint
from postbreeze.operations.ports import DeliveryFilter

MOST_DELIVERIES = 1_000
"""How many deliveries are listed at most."""

app = typer.Typer(help="Webhook endpoints, and what was delivered to them.")

EventOption = Annotated[
    list[str] | None,
    typer.Option(help="An event name, '*' or 'post.*'; may be given several times."),
]
HeaderOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME:VALUE",
        help="Sent with every request; may be given several times. Others on this machine see it.",
    ),
]


@command(app, "add")
def add(
    operator: Operator,
    workspace: WorkspaceArgument,
    url: Annotated[str, typer.Argument(metavar="URL", help="https, port 443 or 8443.")],
    event: EventOption = None,
    description: Annotated[str | None, typer.Option(help="For people.")] = None,
    header: HeaderOption = None,
    rate_limit: Annotated[int | None, typer.Option(help="Requests a second, at most.")] = None,
) -> Shown:
    """Add an endpoint; its signing secret is shown this once."""
    new = operator.endpoints.add(
        workspace,
        url,
        event or ["*"],
        description=description,
        headers=_headers(header or []),
        rate_limit=rate_limit,
    )
    return _with_secret(new)


@command(app, "list")
def list_(operator: Operator, workspace: WorkspaceArgument) -> Shown:
    """List a workspace's endpoints."""
    endpoints = operator.endpoints.list(workspace)
    return Shown(
        document=[endpoint_document(endpoint) for endpoint in endpoints],
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


@command(app, "show")
def show(operator: Operator, workspace: WorkspaceArgument, endpoint: EndpointArgument) -> Shown:
    """Show an endpoint."""
    return _shown(operator.endpoints.read(workspace, endpoint))


@command(app, "update")
def update(
    operator: Operator,
    workspace: WorkspaceArgument,
    endpoint: EndpointArgument,
    url: Annotated[str | None, typer.Option(help="https, port 443 or 8443.")] = None,
    event: EventOption = None,
    description: Annotated[str | None, typer.Option(help="For people; '' for none.")] = None,
    header: HeaderOption = None,
    rate_limit: Annotated[
        int | None, typer.Option(help="Requests a second, at most; 0 for no limit.")
    ] = None,
) -> Shown:
    """Change what is given of an endpoint; headers replace all that it has, --header '' by none."""
    wanted = EndpointChange()
    if url is not None:
        wanted["url"] = url
    if event:
        wanted["event_filters"] = event
    if description is not None:
        wanted["description"] = description or None
    if header:
        wanted["headers"] = {} if header == [""] else _headers(header)
    if rate_limit is not None:
        wanted["rate_limit"] = rate_limit or None
    return _shown(operator.endpoints.update(workspace, endpoint, wanted))


@command(app, "remove")
def remove(operator: Operator, workspace: WorkspaceArgument, endpoint: EndpointArgument) -> Shown:
    """Remove an endpoint; what was not delivered to it by now never is."""
    return _shown(operator.endpoints.remove(workspace, endpoint))


@command(app, "rotate-secret")
def rotate_secret(
    operator: Operator,
    workspace: WorkspaceArgument,
    endpoint: EndpointArgument,
    overlap_hours: Annotated[
        int, typer.Option(min=0, max=24, help="For how long the present secret signs as well.")
    ] = 24,
) -> Shown:
    """Give an endpoint a new signing secret, which is shown this once."""
    overlap = timedelta(hours=overlap_hours)
    return _with_secret(operator.endpoints.rotate_secret(workspace, endpoint, overlap=overlap))


@command(app, "enable")
def enable(operator: Operator, workspace: WorkspaceArgument, endpoint: EndpointArgument) -> Shown:
    """Send to an endpoint again, first of all what was kept for it; may be repeated."""
    return _shown_sent(*operator.endpoints.enable(workspace, endpoint))


@command(app, "disable")
def disable(operator: Operator, workspace: WorkspaceArgument, endpoint: EndpointArgument) -> Shown:
    """Stop sending to an endpoint; deliveries are kept for it until it is enabled."""
    return _shown(operator.endpoints.disable(workspace, endpoint))


@command(app, "test")
def test(operator: Operator, workspace: WorkspaceArgument, endpoint: EndpointArgument) -> Shown:
    """Send webhook.test to an endpoint, whatever it is subscribed to."""
    return _one(operator.endpoints.test(workspace, endpoint))


@command(app, "deliveries")
def deliveries(
    operator: Operator,
    workspace: WorkspaceArgument,
    endpoint: EndpointArgument,
    status: Annotated[
        list[DeliveryStatus] | None,
        typer.Option(help="Only these; may be given several times.", case_sensitive=False),
    ] = None,
    event: Annotated[EventType | None, typer.Option(help="Only of this event.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only those made from then on.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=MOST_DELIVERIES, help="How many, newest first.")
    ] = 20,
) -> Shown:
    """List what was sent to an endpoint, with every attempt."""
    wanted = DeliveryFilter(
        statuses=frozenset(status) if status else None,
        event_type=event,
        since=None if since is None else moment("--since", since),
    )
    found: list[Delivery] = []
    before = None
    while len(found) < limit:
        page = operator.endpoints.deliveries(
            workspace, endpoint, wanted, limit=limit - len(found), before=before
        )
        found += page.deliveries
        before = page.next_before
        if before is None:
            break
    return _listed(found)


@command(app, "redeliver")
def redeliver(
    operator: Operator,
    workspace: WorkspaceArgument,
    endpoint: EndpointArgument,
    delivery: DeliveryArgument,
) -> Shown:
    """Send one delivery again, under its id; may be repeated."""
    return _one(operator.endpoints.redeliver(workspace, endpoint, delivery))


@command(app, "recover")
def recover(
    operator: Operator,
    workspace: WorkspaceArgument,
    endpoint: EndpointArgument,
    since: Annotated[str, typer.Option(metavar="TIME", help="At most 30 days ago.")],
) -> Shown:
    """Send again what was given up of an endpoint's deliveries since a time; may be repeated."""
    return _shown_sent(*operator.endpoints.recover(workspace, endpoint, moment("--since", since)))


def _headers(given: Sequence[str]) -> Mapping[str, str]:
    """Read headers; the values are never repeated in a message, for they may be credentials."""
    headers: dict[str, str] = {}
    for text in given:
        name, colon, value = text.partition(":")
        if not colon or name in headers:
            raise ValidationError.of("--header", "NAME:VALUE is expected, and each name once.")
        headers[name] = value.strip()
    return headers


def _with_secret(new: NewEndpoint) -> Shown:
    return Shown(
        document={**endpoint_document(new.endpoint), "secret": new.secret},
        blocks=[Fields(values={"secret": new.secret, **_fields(new.endpoint)})],
        remarks=["The secret is shown this once: keep it now."],
    )


def _shown(endpoint: Endpoint) -> Shown:
    return Shown(document=endpoint_document(endpoint), blocks=[Fields(values=_fields(endpoint))])


def _shown_sent(endpoint: Endpoint, sent: int) -> Shown:
    return Shown(
        document={**endpoint_document(endpoint), "deliveriesSent": sent},
        blocks=[Fields(values={**_fields(endpoint), "deliveriesSent": sent})],
    )


def _fields(endpoint: Endpoint) -> dict[str, Any]:
    return {
        **endpoint_document(endpoint),
        "events": ", ".join(endpoint.event_filters),
        "headerNames": ", ".join(sorted(endpoint.headers)) or None,
    }


def _one(delivery: Delivery) -> Shown:
    return replace(_listed([delivery]), document=delivery_document(delivery))


def _listed(found: Sequence[Delivery]) -> Shown:
    return Shown(
        document=[delivery_document(delivery) for delivery in found],
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
