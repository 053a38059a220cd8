"""The routes of the log: what was sent to a webhook endpoint, and what was answered."""

from __future__ import annotations

from typing import Final

from postbreeze.domain import ids
from postbreeze.domain.events import EventType
from postbreeze.domain.webhook import DeliveryStatus
from postbreeze.http import requests
from postbreeze.http.auth import Authenticator, arrived
from postbreeze.http.responses import BASE_PATH, listing, next_link, success
from postbreeze.http.routing import Event, Response, Router
from postbreeze.http.schemas import check_no_fields
from postbreeze.operations.manage_endpoints import ListDeliveries, ManageEndpoints
from postbreeze.operations.ports import DeliveryFilter

DELIVERIES_PATH = f"{BASE_PATH}/webhooks/<endpoint_id>/deliveries"
DELIVERY_PATH = f"{BASE_PATH}/webhooks/<endpoint_id>/deliveries/<delivery_id>"
REDELIVER_PATH = f"{BASE_PATH}/webhooks/<endpoint_id>/deliveries/<delivery_id>/redeliver"

USUAL_PAGE: Final = 20
MOST_ON_PAGE: Final = 100


def router(manage: ManageEndpoints, authenticator: Authenticator) -> Router:
    """Build the routes below ``/webhooks/{webhookId}/deliveries``."""
    routes = Router()

    @routes.get(DELIVERIES_PATH)
    def list_some(event: Event, endpoint_id: str) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            command = _list_command(request, digest, endpoint_id)
        page = manage.deliveries(command)
        return listing(page.deliveries, next_link(request.path, request.query, page.cursor))

    @routes.get(DELIVERY_PATH)
    def read(event: Event, endpoint_id: str, delivery_id: str) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            _check_path(request, endpoint_id, delivery_id)
        return success(manage.delivery(digest, endpoint_id, delivery_id), is_current=False)

    @routes.post(REDELIVER_PATH)
    def redeliver(event: Event, endpoint_id: str, delivery_id: str) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            _check_path(request, endpoint_id, delivery_id)
            check_no_fields(requests.json_object(request))
        return success(manage.redeliver(digest, endpoint_id, delivery_id), is_current=False)

    return routes


def _check_path(request: requests.HttpRequest, endpoint_id: str, delivery_id: str) -> None:
    requests.path_id(ids.ENDPOINT, "webhookId", endpoint_id)
    requests.path_id(ids.DELIVERY, "deliveryId", delivery_id)
    requests.check_query(request)


def _list_command(request: requests.HttpRequest, digest: str, endpoint_id: str) -> ListDeliveries:
    requests.path_id(ids.ENDPOINT, "webhookId", endpoint_id)
    requests.check_query(request, ("status", "event", "since", "until", "limit", "cursor"))
    status = requests.query_choice(request, DeliveryStatus, "status")
    return ListDeliveries(
        key_digest=digest,
        endpoint_id=endpoint_id,
        wanted=DeliveryFilter(
            statuses=None if status is None else frozenset({status}),
            event_type=requests.query_choice(request, EventType, "event"),
            since=requests.query_time(request, "since"),
            until=requests.query_time(request, "until"),
        ),
        limit=requests.query_limit(request, usual=USUAL_PAGE, most=MOST_ON_PAGE),
        cursor=dict(request.query).get("cursor"),
    )
