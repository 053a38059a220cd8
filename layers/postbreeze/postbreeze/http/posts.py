"""The routes that create and read posts."""

from __future__ import annotations

from collections.abc import Callable

from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from postbreeze.domain import ids
from postbreeze.http import requests
from postbreeze.http.auth import Authenticator, arrived
from postbreeze.http.commands import keyed_body
from postbreeze.http.list_posts import POSTS_PATH
from postbreeze.http.responses import success
from postbreeze.http.schemas import post_draft
from postbreeze.operations.answers import Answer
from postbreeze.operations.create import CreateCommand

POST_PATH = f"{POSTS_PATH}/<post_id>"


def router(
    create_post: Callable[[CreateCommand], Answer],
    read_post: Callable[[str, str], Answer],
    authenticator: Authenticator,
) -> APIGatewayHttpRouter:
    """Build ``POST /posts`` and ``GET /posts/{postId}``."""
    routes = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools left it so

    @routes.post(POSTS_PATH)
    def create() -> Response[str]:
        request, digest = arrived(routes.current_event.raw_event)
        with authenticator.reading(digest):
            command = _command(request, digest)
        return success(create_post(command))

    @routes.get(POST_PATH)
    def read(post_id: str) -> Response[str]:
        request, digest = arrived(routes.current_event.raw_event)
        with authenticator.reading(digest):
            requests.path_id(ids.POST, "postId", post_id)
            requests.check_query(request)
        return success(read_post(digest, post_id))

    return routes


def _command(request: requests.HttpRequest, digest: str) -> CreateCommand:
    requests.check_query(request)
    idempotency, document = keyed_body(request)
    return CreateCommand(key_digest=digest, draft=post_draft(document), idempotency=idempotency)
