"""The route that cancels a post."""

from __future__ import annotations

from collections.abc import Callable

from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from postbreeze.http import requests
from postbreeze.http.auth import Authenticator, arrived
from postbreeze.http.commands import post_request
from postbreeze.http.responses import BASE_PATH, success
from postbreeze.http.schemas import cancel_wish
from postbreeze.operations.answers import Answer
from postbreeze.operations.cancel import CancelCommand

CANCEL_PATH = f"{BASE_PATH}/posts/<post_id>/cancel"


def router(
    cancel_post: Callable[[CancelCommand], Answer], authenticator: Authenticator
) -> APIGatewayHttpRouter:
    """Build ``POST /posts/{postId}/cancel``."""
    routes = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools left it so

    @routes.post(CANCEL_PATH)
    def cancel(post_id: str) -> Response[str]:
        request, digest = arrived(routes.current_event.raw_event)
        with authenticator.reading(digest):
            command = _command(request, digest, post_id)
        return success(cancel_post(command), is_current=not command.dry_run)

    return routes


def _command(request: requests.HttpRequest, digest: str, post_id: str) -> CancelCommand:
    requests.check_query(request, ("dryRun",))
    dry_run = requests.query_flag(request, "dryRun")
    wanted, document = post_request(request, digest, post_id)
    wish = cancel_wish(document)
    return CancelCommand(
        request=wanted,
        reason=wish.reason,
        target_ids=wish.target_ids,
        dry_run=dry_run,
    )
