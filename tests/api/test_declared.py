"""Nothing is declared that cannot happen: each answer to each operation is brought about here.

That nothing else happens is looked at with every request of every other test (``check_declared``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from postbreeze.domain import ids
from postbreeze.domain.access import Role
from postbreeze.domain.documents import timestamp
from postbreeze.domain.errors import LostRaceError, UnavailableError
from postbreeze.domain.post import PostStatus, TargetStatus
from postbreeze.http import openapi
from postbreeze.http.openapi.declaring import Operation
from postbreeze.http.problems import PROBLEMS
from postbreeze.operations.ports import AccessLostError
from tests.support.builders import a_delivery, an_endpoint, an_id
from tests.support.fakes import START
from tests.support.http_client import Api, Reply, assert_envelope

TIME = "2026-06-01T10:00:00Z"
PICTURE = "https://example.com/spring.png"
TOO_LONG = "x" * 301

BY_NAME = {operation.name: operation for operation in openapi.OPERATIONS}
FAILURES = [
    (operation.name, PROBLEMS[error].code)
    for operation in openapi.OPERATIONS
    for error in operation.errors
]
NAMES_A_WORKSPACE = {
    "listPosts",
    "getWorkspace",
    "listSocialAccounts",
    "presignMedia",
    "addMediaFromUrl",
    "listMedia",
    "listWebhooks",
}


@dataclass
class Case:
    """A good request for an operation, and what there is for it."""

    api: Api
    operation: Operation
    path: str = ""
    body: object = None
    raw: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    key: str | None = None

    def send(self) -> Reply:
        return self.api.call(
            self.operation.method.upper(),
            self.path,
            self.body,
            raw=self.raw,
            headers=self.headers,
            key=self.key,
        )

    def at(self, status: PostStatus, **changes: Any) -> None:
        """Ask the same of a post in this state."""
        post = self.api.put_post(status, **changes)
        self.path = self.operation.path.format(postId=post.id, targetId=post.targets[0].id)


def a_body(api: Api, content: str = "Text.") -> dict[str, Any]:
    return {"content": content, "platforms": [{"accountId": api.accounts[0]}], "scheduledFor": TIME}


STATES = {
    "getPost": PostStatus.DRAFT,
    "editPost": PostStatus.DRAFT,
    "deletePost": PostStatus.DRAFT,
    "cancelPost": PostStatus.SCHEDULED,
    "schedulePost": PostStatus.DRAFT,
    "reschedulePost": PostStatus.SCHEDULED,
    "retryPost": PostStatus.FAILED,
    "approvePost": PostStatus.NEEDS_APPROVAL,
    "retryFirstComment": PostStatus.PUBLISHED,
}


def a_case(name: str) -> Case:
    """Prepare a request that succeeds."""
    api = Api()
    api.world.files.files[PICTURE] = (b"picture", "image/png")
    case = Case(api=api, operation=BY_NAME[name])
    if name in STATES:
        case.at(STATES[name])
    else:
        media_id = ""
        if "{mediaId}" in case.operation.path:
            added = api.call("POST", "/media/from-url", {"url": PICTURE})
            media_id = added.body["id"]
        endpoint = an_endpoint(workspace_id=api.workspace_id)
        delivery = a_delivery(endpoint)
        api.world.webhooks.add_endpoint(endpoint)
        api.world.webhooks.add_delivery(delivery)
        case.path = case.operation.path.format(
            workspaceId=api.workspace_id,
            accountId=api.accounts[0],
            mediaId=media_id,
            webhookId=endpoint.id,
            deliveryId=delivery.id,
            asset="page.js",
        )
    if name in NAMES_A_WORKSPACE - {"getWorkspace"}:
        case.path += f"?workspaceId={api.workspace_id}"
    case.body = {
        "createPost": a_body(api),
        "editPost": a_body(api),
        "schedulePost": {"scheduledFor": TIME},
        "reschedulePost": {"scheduledFor": TIME},
        "cancelPost": {},
        "presignMedia": {"filename": "a.png", "contentType": "image/png"},
        "addMediaFromUrl": {"url": PICTURE},
        "editMedia": {"altText": "Tulips."},
        "createWebhook": {"workspaceId": api.workspace_id, "url": "https://hooks.example.com/"},
        "editWebhook": {"rateLimit": 5},
        "recoverWebhook": {"since": timestamp(START)},
    }.get(name)
    return case


def failing(error: Exception) -> Callable[..., Any]:
    def fail(*args: object, **named: object) -> Any:
        raise error

    return fail


def be_unauthorized(case: Case) -> None:
    case.headers["Authorization"] = "Bearer nothing"


def be_rate_limited(case: Case) -> None:
    case.key = case.api.add_key(Role.OWNER, requests_per_minute=1)
    case.api.call("GET", "/workspaces", key=case.key)


def be_unavailable(case: Case) -> None:
    case.api.world.workspaces.admit = failing(UnavailableError("down"))  # type: ignore[method-assign]  # an outage


def be_invalid(case: Case) -> None:
    case.path += "&zz=1" if "?" in case.path else "?zz=1"


def be_unseen(case: Case) -> None:
    if not case.operation.needs_key:
        case.path = case.path.replace("page.js", "other.js")
    case.key = case.api.add_key(None)


def be_forbidden(case: Case) -> None:
    case.key = case.api.keys[Role.CLIENT_REVIEWER]
    if case.operation.name in NAMES_A_WORKSPACE:
        elsewhere = frozenset({an_id(ids.WORKSPACE)})
        case.key = case.api.add_key(Role.OWNER, workspace_ids=elsewhere)


def have_a_bad_key(case: Case) -> None:
    case.headers["Idempotency-Key"] = "ü"


def reuse_a_key(case: Case) -> None:
    case.headers["Idempotency-Key"] = "k"
    case.api.call("POST", "/posts", a_body(case.api, "Other."), headers=case.headers)


def be_running(case: Case) -> None:
    case.headers["Idempotency-Key"] = "k"
    case.api.world.posts.complete = failing(UnavailableError("down"))  # type: ignore[method-assign]  # an outage
    if case.operation.name in {"cancelPost", "retryFirstComment"}:
        # A post that is being armed, of which one target is published and another is not.
        states = [TargetStatus.PUBLISHED, TargetStatus.SCHEDULED, TargetStatus.SCHEDULED]
        case.at(PostStatus.SCHEDULED, targets=states, pending=True)
    if case.operation.name == "cancelPost":
        post = case.api.call("GET", case.path.removesuffix("/cancel")).body
        case.body = {"targetIds": [post["targets"][-1]["id"]]}
    case.send()


def be_too_large(case: Case) -> None:
    case.body, case.raw = None, json.dumps({"a": "x" * 256 * 1024})


def be_no_json(case: Case) -> None:
    case.body, case.raw = None, "{}"
    case.headers["Content-Type"] = "text/plain"


def never_win(case: Case) -> None:
    world = case.api.world
    world.posts.commit = failing(LostRaceError("again"))  # type: ignore[method-assign]  # others win
    world.assets.replace = failing(LostRaceError("again"))  # type: ignore[method-assign]  # others win
    world.disconnections.begin = failing(LostRaceError("again"))  # type: ignore[method-assign]  # others win
    world.webhooks.add_endpoint = failing(AccessLostError("again"))  # type: ignore[method-assign]  # and come back
    world.webhooks.replace_endpoint = failing(LostRaceError("again"))  # type: ignore[method-assign]  # others win
    world.webhooks.remove_endpoint = failing(LostRaceError("again"))  # type: ignore[method-assign]  # others win
    world.webhooks.replace_delivery = failing(LostRaceError("again"))  # type: ignore[method-assign]  # others win


def name_another_version(case: Case) -> None:
    case.headers["If-Match"] = '"999"'


def name_no_targets(case: Case) -> None:
    case.body = {}


def be_in_the_wrong_state(case: Case) -> None:
    timed = {"schedulePost", "reschedulePost", "editPost"}
    case.at(PostStatus.PUBLISHED if case.operation.name in timed else PostStatus.DRAFT)


def have_nothing_to_publish(case: Case) -> None:
    be_in_the_wrong_state(case)
    if case.operation.name == "editPost":
        case.at(PostStatus.CANCELED, targets=[TargetStatus.PUBLISHED])


def be_needed(case: Case) -> None:
    media = [case.path.rpartition("/")[2]]
    assert case.api.call("POST", "/posts", {**a_body(case.api), "mediaIds": media}).status == 201


def break_a_rule(case: Case) -> None:
    if case.operation.name in {"createPost", "editPost"}:
        case.body = a_body(case.api, TOO_LONG)
    else:
        case.at(STATES[case.operation.name], caption=TOO_LONG)


def be_held(case: Case) -> None:
    _change_workspace(case, held_at=START)


def have_no_posts_left(case: Case) -> None:
    _change_workspace(case, post_limit=0)


def _change_workspace(case: Case, **changes: Any) -> None:
    registry = case.api.world.workspaces
    workspace = registry.workspace(case.api.workspace_id)
    assert workspace is not None
    changed = replace(workspace, revision=workspace.revision + 1, **changes)
    registry.replace_workspace(changed, expected_revision=workspace.revision)


PROVOKED_BY: dict[str, Callable[[Case], None]] = {
    "UNAUTHORIZED": be_unauthorized,
    "RATE_LIMITED": be_rate_limited,
    "SERVICE_UNAVAILABLE": be_unavailable,
    "VALIDATION_FAILED": be_invalid,
    "NOT_FOUND": be_unseen,
    "FORBIDDEN": be_forbidden,
    "IDEMPOTENCY_KEY_INVALID": have_a_bad_key,
    "IDEMPOTENCY_KEY_REUSED": reuse_a_key,
    "IDEMPOTENCY_IN_PROGRESS": be_running,
    "PAYLOAD_TOO_LARGE": be_too_large,
    "UNSUPPORTED_MEDIA_TYPE": be_no_json,
    "CONFLICT": never_win,
    "PRECONDITION_FAILED": name_another_version,
    "MUST_SPECIFY_EXACTLY_ONE": name_no_targets,
    "POST_NOT_CANCELABLE": be_in_the_wrong_state,
    "POST_NOT_SCHEDULABLE": have_nothing_to_publish,
    "POST_NOT_EDITABLE": be_in_the_wrong_state,
    "NOTHING_TO_RETRY": be_in_the_wrong_state,
    "FIRST_COMMENT_NOT_RETRIABLE": be_in_the_wrong_state,
    "MEDIA_IN_USE": be_needed,
    "PLATFORM_RULE_VIOLATED": break_a_rule,
    "WORKSPACE_ON_HOLD": be_held,
    "PLAN_LIMIT_POSTS": have_no_posts_left,
}


@pytest.mark.parametrize("name", BY_NAME)
def test_an_operation_can_succeed_as_it_is_declared_to(name: str) -> None:
    # Given a good request
    case = a_case(name)
    # When it is made, and where there is a copy, once more
    reply = case.send()
    statuses = {reply.status}
    if 304 in {answer.status for answer in case.operation.answers}:
        case.headers["If-None-Match"] = reply.headers["etag"]
        statuses.add(case.send().status)
    # Then each declared answer has been given
    assert statuses == {answer.status for answer in case.operation.answers}


@pytest.mark.parametrize(("name", "code"), FAILURES)
def test_every_failure_that_is_declared_can_happen(name: str, code: str) -> None:
    # Given a good request, and something about it that is not
    case = a_case(name)
    PROVOKED_BY[code](case)
    # When it is made
    reply = case.send()
    # Then it fails with this code
    assert_envelope(reply)
    assert reply.body["code"] == code
