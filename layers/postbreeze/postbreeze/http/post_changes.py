"""The routes that change a post, its cancel apart: that one has a function of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from postbreeze.domain import ids
from postbreeze.http import requests
from postbreeze.http.auth import Authenticator, arrived
from postbreeze.http.commands import post_request
from postbreeze.http.posts import POST_PATH
from postbreeze.http.responses import success
from postbreeze.http.routing import Event, Response, Router
from postbreeze.http.schemas import check_no_fields, post_draft, schedule_time
from postbreeze.operations.answers import Answer
from postbreeze.operations.changing import PostRequest
from postbreeze.operations.edit import EditCommand
from postbreeze.operations.schedule import ScheduleCommand

SCHEDULE_PATH = f"{POST_PATH}/schedule"
RESCHEDULE_PATH = f"{POST_PATH}/reschedule"
RETRY_PATH = f"{POST_PATH}/retry"
APPROVE_PATH = f"{POST_PATH}/approve"
FIRST_COMMENT_PATH = f"{POST_PATH}/targets/<target_id>/retry-first-comment"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostChanges:
    """The operations behind these routes."""

    edit: Callable[[EditCommand], Answer]
    delete: Callable[[PostRequest], Answer]
    schedule: Callable[[ScheduleCommand], Answer]
    retry: Callable[[PostRequest], Answer]
    retry_first_comment: Callable[[PostRequest, str], Answer]
    approve: Callable[[PostRequest], Answer]


def router(changes: PostChanges, authenticator: Authenticator) -> Router:
    """Build the routes below ``/posts/{postId}``."""
    routes = Router()

    def bare(event: Event, post_id: str) -> PostRequest:
        """Read a request that says all by its path."""
        request, digest = arrived(event)
        with authenticator.reading(digest):
            requests.check_query(request)
            wanted, document = post_request(request, digest, post_id)
            check_no_fields(document)
        return wanted

    def timed(event: Event, post_id: str, *, again: bool) -> ScheduleCommand:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            requests.check_query(request)
            wanted, document = post_request(request, digest, post_id)
            return ScheduleCommand(request=wanted, at=schedule_time(document), again=again)

    @routes.patch(POST_PATH)
    def edit(event: Event, post_id: str) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            requests.check_query(request)
            wanted, document = post_request(request, digest, post_id)
            command = EditCommand(request=wanted, draft=post_draft(document))
        return success(changes.edit(command))

    @routes.delete(POST_PATH)
    def delete(event: Event, post_id: str) -> Response:
        return success(changes.delete(bare(event, post_id)))

    @routes.post(SCHEDULE_PATH)
    def schedule(event: Event, post_id: str) -> Response:
        return success(changes.schedule(timed(event, post_id, again=False)))

    @routes.post(RESCHEDULE_PATH)
    def reschedule(event: Event, post_id: str) -> Response:
        return success(changes.schedule(timed(event, post_id, again=True)))

    @routes.post(RETRY_PATH)
    def retry(event: Event, post_id: str) -> Response:
        return success(changes.retry(bare(event, post_id)))

    @routes.post(APPROVE_PATH)
    def approve(event: Event, post_id: str) -> Response:
        return success(changes.approve(bare(event, post_id)))

    @routes.post(FIRST_COMMENT_PATH)
    def retry_first_comment(event: Event, post_id: str, target_id: str) -> Response:
        _, digest = arrived(event)
        with authenticator.reading(digest):
            requests.path_id(ids.TARGET, "targetId", target_id)
        return success(changes.retry_first_comment(bare(event, post_id), target_id))

    return routes
