"""The routes that create and read posts."""

from __future__ import annotations

from collections.abc import Callable

from postbreeze.domain import ids
from postbreeze.http import requests
from postbreeze.http.auth import Authenticator, arrived
from postbreeze.http.commands import keyed_body
from postbreeze.http.list_posts import POSTS_PATH
from postbreeze.http.responses import success
from postbreeze.http.routing import Event, Response, Router
from postbreeze.http.schemas import post_draft
from postbreeze.operations.answers import Answer
from postbreeze.operations.create import CreateCommand

POST_PATH = f"{POSTS_PATH}/<post_id>"


def router(
    create_post: Callable[[CreateCommand], Answer],
    read_post: Callable[[str, str], Answer],
    authenticator: Authenticator,
) -> Router:
    """Build ``POST /posts`` and ``GET /posts/{postId}``."""
    routes = Router()

    @routes.post(POSTS_PATH)
    def create(event: Event) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            command = _command(request, digest)
        return success(create_post(command))

    @routes.get(POST_PATH)
    def read(event: Event, post_id: str) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            requests.path_id(ids.POST, "postId", post_id)
            requests.check_query(request)
        return success(read_post(digest, post_id))

    return routes


def _command(request: requests.HttpRequest, digest: str) -> CreateCommand:
    requests.check_query(request)
    idempotency, document = keyed_body(request)
    return CreateCommand(key_digest=digest, draft=post_draft(document), idempotency=idempotency)
