"""The routes of the media library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from postbreeze.domain import ids
from postbreeze.domain.errors import ValidationError
from postbreeze.http import requests
from postbreeze.http.auth import Authenticator, arrived
from postbreeze.http.media_schemas import edited_alt_text, fetch_command, presign_command
from postbreeze.http.responses import BASE_PATH, listing, next_link, success
from postbreeze.http.routing import Event, Response, Router
from postbreeze.operations.answers import Answer
from postbreeze.operations.media.add import FetchCommand, PresignCommand
from postbreeze.operations.media.manage import ListCommand, Page

LIBRARY_PATH = f"{BASE_PATH}/media"
PRESIGN_PATH = f"{BASE_PATH}/media/presign"
FROM_URL_PATH = f"{BASE_PATH}/media/from-url"
ASSET_PATH = f"{BASE_PATH}/media/<asset_id>"

USUAL_PAGE: Final = 20
MOST_ON_PAGE: Final = 100


def router(
    *,
    presign_upload: Callable[[PresignCommand], Answer],
    add_from_url: Callable[[FetchCommand], Answer],
    list_assets: Callable[[ListCommand], Page],
    read_asset: Callable[[str, str], Answer],
    edit_asset: Callable[[str, str, str | None], Answer],
    delete_asset: Callable[[str, str], Answer],
    authenticator: Authenticator,
) -> Router:
    """Build the routes below ``/media``."""
    routes = Router()

    @routes.post(PRESIGN_PATH)
    def presign(event: Event) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            command = presign_command(requests.json_object(request), digest, _workspace_of(request))
        answer = presign_upload(command)
        return success(answer, is_current=False, collection="media", part="mediaAsset")

    @routes.post(FROM_URL_PATH)
    def from_url(event: Event) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            command = fetch_command(requests.json_object(request), digest, _workspace_of(request))
        return success(add_from_url(command), is_current=False, collection="media")

    @routes.get(LIBRARY_PATH)
    def list_all(event: Event) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            command = _list_command(request, digest)
        page = list_assets(command)
        return listing(page.assets, next_link(LIBRARY_PATH, request.query, page.cursor))

    @routes.get(ASSET_PATH)
    def read(event: Event, asset_id: str) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            _check_path(request, asset_id)
        return success(read_asset(digest, asset_id), is_current=False)

    @routes.patch(ASSET_PATH)
    def edit(event: Event, asset_id: str) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            _check_path(request, asset_id)
            alt_text = edited_alt_text(requests.json_object(request))
        return success(edit_asset(digest, asset_id, alt_text), is_current=False)

    @routes.delete(ASSET_PATH)
    def delete(event: Event, asset_id: str) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            _check_path(request, asset_id)
        return success(delete_asset(digest, asset_id), is_current=False)

    return routes


def _check_path(request: requests.HttpRequest, asset_id: str) -> None:
    requests.path_id(ids.MEDIA, "mediaId", asset_id)
    requests.check_query(request)


def _workspace_of(request: requests.HttpRequest) -> str | None:
    requests.check_query(request, ("workspaceId",))
    return requests.query_id(request, ids.WORKSPACE, "workspaceId")


def _list_command(request: requests.HttpRequest, digest: str) -> ListCommand:
    requests.check_query(request, ("workspaceId", "limit", "cursor"))
    workspace_id = requests.query_id(request, ids.WORKSPACE, "workspaceId")
    if workspace_id is None:
        raise ValidationError.of("query.workspaceId", "is required")
    return ListCommand(
        key_digest=digest,
        workspace_id=workspace_id,
        limit=requests.query_limit(request, usual=USUAL_PAGE, most=MOST_ON_PAGE),
        cursor=dict(request.query).get("cursor"),
    )
