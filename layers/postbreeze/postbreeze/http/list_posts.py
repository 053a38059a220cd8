"""The route that lists posts."""

from __future__ import annotations

from collections.abc import Callable

from postbreeze.domain import ids
from postbreeze.domain.post import PostStatus
from postbreeze.http import requests
from postbreeze.http.auth import Authenticator, arrived
from postbreeze.http.responses import BASE_PATH, listing, next_link
from postbreeze.http.routing import Event, Response, Router
from postbreeze.operations.list_posts import MOST_POSTS, ListCommand, Page

POSTS_PATH = f"{BASE_PATH}/posts"

USUAL_LIMIT = 50
"""How many posts a page has unless the request says otherwise."""


def router(list_posts: Callable[[ListCommand], Page], authenticator: Authenticator) -> Router:
    """Build ``GET /posts``."""
    routes = Router()

    @routes.get(POSTS_PATH)
    def read_page(event: Event) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            command = _command(request, digest)
        page = list_posts(command)
        return listing(page.posts, next_link(POSTS_PATH, request.query, page.cursor))

    return routes


def _command(request: requests.HttpRequest, digest: str) -> ListCommand:
    requests.check_query(request, ("workspaceId", "status", "limit", "cursor"))
    return ListCommand(
        key_digest=digest,
        workspace_id=requests.query_id(request, ids.WORKSPACE, "workspaceId"),
        status=requests.query_choice(request, PostStatus, "status"),
        limit=requests.query_limit(request, usual=USUAL_LIMIT, most=MOST_POSTS),
        cursor=dict(request.query).get("cursor"),
    )
