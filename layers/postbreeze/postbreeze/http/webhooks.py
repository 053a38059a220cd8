"""The routes of webhook endpoints."""

from __future__ import annotations

from postbreeze.domain import ids
from postbreeze.domain.errors import ValidationError
from postbreeze.http import requests
from postbreeze.http.auth import Authenticator, arrived
from postbreeze.http.responses import BASE_PATH, listing, success
from postbreeze.http.routing import Event, Response, Router
from postbreeze.http.schemas import check_no_fields
from postbreeze.http.webhook_schemas import (
    endpoint_changes,
    new_endpoint,
    recovery_start,
    secret_overlap,
)
from postbreeze.operations.manage_endpoints import ManageEndpoints

ENDPOINTS_PATH = f"{BASE_PATH}/webhooks"
ENDPOINT_PATH = f"{BASE_PATH}/webhooks/<endpoint_id>"
ROTATE_PATH = f"{BASE_PATH}/webhooks/<endpoint_id>/rotate-secret"
TEST_PATH = f"{BASE_PATH}/webhooks/<endpoint_id>/test"
RECOVER_PATH = f"{BASE_PATH}/webhooks/<endpoint_id>/recover"


def router(manage: ManageEndpoints, authenticator: Authenticator) -> Router:
    """Build the routes below ``/webhooks``, those of deliveries aside."""
    routes = Router()

    @routes.post(ENDPOINTS_PATH)
    def create(event: Event) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            requests.check_query(request)
            wanted = new_endpoint(requests.json_object(request))
        return success(manage.create(digest, wanted), is_current=False, collection="webhooks")

    @routes.get(ENDPOINTS_PATH)
    def list_all(event: Event) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            workspace_id = _workspace_of(request)
        return listing(manage.all(digest, workspace_id))

    @routes.get(ENDPOINT_PATH)
    def read(event: Event, endpoint_id: str) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            _check_path(request, endpoint_id)
        return success(manage.read(digest, endpoint_id), is_current=False)

    @routes.patch(ENDPOINT_PATH)
    def edit(event: Event, endpoint_id: str) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            _check_path(request, endpoint_id)
            wanted = endpoint_changes(requests.json_object(request))
        return success(manage.update(digest, endpoint_id, wanted), is_current=False)

    @routes.delete(ENDPOINT_PATH)
    def remove(event: Event, endpoint_id: str) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            _check_path(request, endpoint_id)
        return success(manage.remove(digest, endpoint_id), is_current=False)

    @routes.post(ROTATE_PATH)
    def rotate_secret(event: Event, endpoint_id: str) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            _check_path(request, endpoint_id)
            overlap = secret_overlap(requests.json_object(request))
        return success(manage.rotate_secret(digest, endpoint_id, overlap), is_current=False)

    @routes.post(TEST_PATH)
    def test(event: Event, endpoint_id: str) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            _check_path(request, endpoint_id)
            check_no_fields(requests.json_object(request))
        return success(manage.test(digest, endpoint_id), is_current=False)

    @routes.post(RECOVER_PATH)
    def recover(event: Event, endpoint_id: str) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            _check_path(request, endpoint_id)
            since = recovery_start(requests.json_object(request))
        return success(manage.recover(digest, endpoint_id, since), is_current=False)

    return routes


def _check_path(request: requests.HttpRequest, endpoint_id: str) -> None:
    requests.path_id(ids.ENDPOINT, "webhookId", endpoint_id)
    requests.check_query(request)


def _workspace_of(request: requests.HttpRequest) -> str:
    requests.check_query(request, ("workspaceId",))
    workspace_id = requests.query_id(request, ids.WORKSPACE, "workspaceId")
    if workspace_id is None:
        raise ValidationError.of("query.workspaceId", "is required")
    return workspace_id
