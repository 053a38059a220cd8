"""The route that cancels a post."""

from __future__ import annotations

from collections.abc import Callable

from postbreeze.http import requests
from postbreeze.http.auth import Authenticator, arrived
from postbreeze.http.cancel_body import cancel_wish
from postbreeze.http.commands import post_request
from postbreeze.http.responses import BASE_PATH, success
from postbreeze.http.routing import Event, Response, Router
from postbreeze.operations.answers import Answer
from postbreeze.operations.cancel import CancelCommand

CANCEL_PATH = f"{BASE_PATH}/posts/<post_id>/cancel"


def router(cancel_post: Callable[[CancelCommand], Answer], authenticator: Authenticator) -> Router:
    """Build ``POST /posts/{postId}/cancel``."""
    routes = Router()

    @routes.post(CANCEL_PATH)
    def cancel(event: Event, post_id: str) -> Response:
        request, digest = arrived(event)
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
