"""The HTTP functions as a client sees them, on fakes: headers, answers, retries, the log."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from postbreeze.domain import ids
from postbreeze.domain.access import Role
from postbreeze.domain.errors import ContendedError, UnavailableError
from postbreeze.domain.post import PostStatus
from postbreeze.http import cancel
from postbreeze.http.auth import Authenticator
from postbreeze.http.edge import Edge
from postbreeze.operations.answers import Answer
from postbreeze.operations.cancel import CancelCommand
from tests.support.builders import an_id
from tests.support.http_client import Api, assert_envelope, assert_refused, http_event
from tests.support.lambda_context import a_context


@pytest.fixture
def api() -> Api:
    return Api()


def test_a_post_is_created_read_and_cancelled(api: Api) -> None:
    # Given a post created in the flat shape
    created = api.call(
        "POST",
        "/posts",
        {
            "content": "Text.",
            "platforms": [{"accountId": account} for account in api.accounts],
            "scheduledFor": "2026-06-01T12:00:00+02:00",
            "timezone": "Europe/Berlin",
            "mediaItems": [{"url": "https://example.com/a.png", "altText": "A", "type": "image"}],
        },
    )
    assert created.status == 201
    assert created.body["scheduledAt"] == "2026-06-01T10:00:00.000Z"
    assert created.body["createdViaFlatShape"] is True
    assert created.headers["location"] == f"/api/v1/posts/{created.body['id']}"
    # When it is read
    read = api.call("GET", f"/posts/{created.body['id']}")
    # Then it is the same, tagged with its version
    assert read.status == 200
    assert read.body == created.body
    assert read.headers["etag"] == created.headers["etag"] == f'"{read.body["version"]}"'
    assert ids.is_id(ids.REQUEST, read.headers["x-request-id"])
    assert read.headers["x-content-type-options"] == "nosniff"
    # And when it is cancelled at that version
    cancelled = api.call(
        "POST",
        f"/posts/{read.body['id']}/cancel",
        {"reason": "Enough."},
        headers={"If-Match": read.headers["etag"]},
    )
    # Then it is
    assert cancelled.status == 200
    assert cancelled.body["status"] == "CANCELED"
    assert cancelled.body["cancelReason"] == "Enough."
    assert cancelled.headers["etag"] == f'"{cancelled.body["version"]}"'
    outcomes = [target["outcome"] for target in cancelled.body["cancellation"]["targets"]]
    assert outcomes == ["canceled"] * 3


def test_the_nested_shape_says_the_same(api: Api) -> None:
    # Given the nested shape, with nulls for what is left out
    reply = api.call(
        "POST",
        "/posts",
        {
            "caption": "Text.",
            "targets": [
                {
                    "socialAccountId": api.accounts[0],
                    "captionOverride": "For one.",
                    "firstComment": "First!",
                    "platformOptions": {"langs": ["en"]},
                    "mediaIds": [],
                }
            ],
            "platforms": None,
            "draftScheduledAt": "2026-06-02t10:00:00.5z",
            "timezone": None,
            "mediaAltText": {},
        },
    )
    # Then it is a draft with the wished time, to the millisecond
    assert reply.status == 201, reply
    assert reply.body["status"] == "DRAFT"
    assert reply.body["createdViaFlatShape"] is False
    assert reply.body["scheduledAt"] == "2026-06-02T10:00:00.500Z"
    target = reply.body["targets"][0]
    assert target["captionOverride"] == "For one."
    assert target["firstComment"] == "First!"
    assert target["platformOptions"] == {"langs": ["en"]}


@pytest.mark.parametrize("shape", ["asked for", "by a reviewer"])
def test_a_post_can_wait_for_approval(api: Api, shape: str) -> None:
    key = api.keys[Role.CLIENT_REVIEWER if shape == "by a reviewer" else Role.OWNER]
    reply = api.call(
        "POST",
        "/posts",
        {
            "content": "Please look at this.",
            "platforms": [{"accountId": api.accounts[0]}],
            "scheduledFor": "2026-06-01T10:00:00Z",
            "requiresApproval": shape == "asked for",
        },
        key=key,
    )
    assert reply.body["status"] == "NEEDS_APPROVAL"


@pytest.mark.parametrize("sent", ["nothing", "nothing, typed", "an empty object"])
def test_a_cancel_needs_no_body(api: Api, sent: str) -> None:
    post = api.schedule()
    reply = api.call(
        "POST",
        f"/posts/{post['id']}/cancel",
        raw="{}" if sent == "an empty object" else None,
        headers={"Content-Type": "text/plain"} if sent == "nothing, typed" else {},
    )
    assert reply.status == 200


def test_a_body_in_base_64_is_read(api: Api) -> None:
    post = api.schedule()
    reply = api.call("POST", f"/posts/{post['id']}/cancel", raw='{"reason": "ü"}'.encode())
    assert reply.body["cancelReason"] == "ü"


def test_a_dry_run_changes_nothing_and_has_no_tag(api: Api) -> None:
    # Given a scheduled post
    post = api.schedule()
    # When its cancel is tried out, with a key for which there is nothing to keep
    headers = {"Idempotency-Key": "k"}
    reply = api.call("POST", f"/posts/{post['id']}/cancel?dryRun=true", headers=headers)
    # Then the answer shows the cancelled post, and nothing has changed
    assert reply.status == 200
    assert reply.body["status"] == "CANCELED"
    assert "etag" not in reply.headers
    assert api.call("GET", f"/posts/{post['id']}").body == post
    # And the key is free for the cancel itself, in which it says something else
    real = api.call("POST", f"/posts/{post['id']}/cancel", {"reason": "Now."}, headers=headers)
    assert real.status == 200
    assert "idempotency-replayed" not in real.headers


@pytest.mark.parametrize("query", ["", "?dryRun=true"])
def test_a_malformed_key_is_refused_on_a_dry_run_too(api: Api, query: str) -> None:
    # Given
    post = api.schedule()
    # When
    reply = api.call("POST", f"/posts/{post['id']}/cancel{query}", headers={"Idempotency-Key": "ü"})
    # Then
    assert_refused(reply, 400, "IDEMPOTENCY_KEY_INVALID")
    assert api.call("GET", f"/posts/{post['id']}").body == post


@pytest.mark.parametrize("target_count", [1, 2])
def test_chosen_targets_are_cancelled_once_however_often_named(api: Api, target_count: int) -> None:
    post = api.schedule()
    chosen = [target["id"] for target in post["targets"]][:target_count]
    reply = api.call("POST", f"/posts/{post['id']}/cancel", {"targetIds": chosen * 2})
    assert reply.status == 200
    assert [t["id"] for t in reply.body["cancellation"]["targets"]] == chosen
    assert reply.body["status"] == "SCHEDULED"


@pytest.mark.parametrize("form", ['"{}"', "{}", ' "{}" ', "*"])
def test_if_match_takes_the_present_version(api: Api, form: str) -> None:
    post = api.schedule()
    reply = api.call(
        "POST",
        f"/posts/{post['id']}/cancel",
        headers={"If-Match": form.format(post["version"])},
    )
    assert reply.status == 200


def test_if_match_refuses_another_version(api: Api) -> None:
    post = api.schedule()
    reply = api.call("POST", f"/posts/{post['id']}/cancel", headers={"If-Match": '"1"'})
    assert_refused(reply, 412, "PRECONDITION_FAILED")
    assert reply.body["current"] == post["version"]


def test_a_repeated_request_is_answered_from_memory(api: Api) -> None:
    # Given a cancel with an Idempotency-Key
    post = api.schedule()
    path = f"/posts/{post['id']}/cancel"
    first = api.call("POST", path, {"reason": "a"}, headers={"Idempotency-Key": "k 1"})
    assert "idempotency-replayed" not in first.headers
    # When it is repeated, with the same meaning in other words
    raw = '{ "reason" : "\\u0061" }'
    again = api.call("POST", path, raw=raw, headers={"Idempotency-Key": "k 1"})
    # Then the answer is the first one's, and says so
    assert again.status == 200
    assert again.headers["idempotency-replayed"] == "true"
    assert again.body == first.body
    assert again.headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize("other", ["body", "path", "if-match"])
def test_a_key_of_another_request_is_refused(api: Api, other: str) -> None:
    # Given a request with a key
    post = api.schedule()
    path = f"/posts/{post['id']}/cancel"
    api.call("POST", path, headers={"Idempotency-Key": "k"})
    # When another request has the same key
    reply = api.call(
        "POST",
        f"/posts/{api.schedule()['id']}/cancel" if other == "path" else path,
        {"reason": "b"} if other == "body" else None,
        headers={"Idempotency-Key": "k", **({"If-Match": "*"} if other == "if-match" else {})},
    )
    # Then it is refused
    assert_refused(reply, 422, "IDEMPOTENCY_KEY_REUSED")


def test_the_key_of_a_cancel_that_changed_nothing_is_taken_all_the_same(api: Api) -> None:
    # Given a post that was cancelled before it was cancelled with a key
    post = api.schedule()
    path = f"/posts/{post['id']}/cancel"
    api.call("POST", path)
    first = api.call("POST", path, {"reason": "one"}, headers={"Idempotency-Key": "k"})
    # When
    again = api.call("POST", path, {"reason": "one"}, headers={"Idempotency-Key": "k"})
    other = api.call("POST", path, {"reason": "other"}, headers={"Idempotency-Key": "k"})
    # Then
    assert first.status == again.status == 200
    assert again.headers["idempotency-replayed"] == "true"
    assert again.body == first.body
    assert_refused(other, 422, "IDEMPOTENCY_KEY_REUSED")


def test_a_created_post_is_created_once(api: Api) -> None:
    body = {"content": "x", "platforms": [{"accountId": api.accounts[0]}]}
    first = api.call("POST", "/posts", body, headers={"Idempotency-Key": "k"})
    again = api.call("POST", "/posts", body, headers={"Idempotency-Key": "k"})
    assert again.status == first.status == 201
    assert again.body == first.body
    assert again.headers["idempotency-replayed"] == "true"


def test_a_post_that_cannot_be_cancelled_says_what_it_is(api: Api) -> None:
    body = {"content": "x", "platforms": [{"accountId": api.accounts[0]}]}
    post = api.call("POST", "/posts", body).body
    reply = api.call("POST", f"/posts/{post['id']}/cancel")
    assert_refused(reply, 400, "POST_NOT_CANCELABLE")
    assert reply.body["status"] == PostStatus.DRAFT.value


def test_a_role_that_is_too_low_is_forbidden(api: Api) -> None:
    post = api.schedule()
    key = api.keys[Role.CLIENT_REVIEWER]
    reply = api.call("POST", f"/posts/{post['id']}/cancel", key=key)
    assert_refused(reply, 403, "FORBIDDEN")
    assert api.call("GET", f"/posts/{post['id']}", key=key).body == post


def test_a_stranger_sees_nothing(api: Api) -> None:
    post = api.schedule()
    stranger = api.add_key(None)
    for method, path in (("GET", ""), ("POST", "/cancel")):
        reply = api.call(method, f"/posts/{post['id']}{path}", key=stranger)
        unknown = api.call(method, f"/posts/{an_id(ids.POST)}{path}", key=stranger)
        assert_refused(reply, 404, "NOT_FOUND")
        assert reply.body["message"] == unknown.body["message"]


def test_a_method_that_a_path_does_not_have_is_told_those_it_has(api: Api) -> None:
    # Given every path that there is
    methods: dict[str, set[str]] = {}
    for method, path in api.routes:
        methods.setdefault(path, set()).add(method)
    for path, known in methods.items():
        concrete = re.sub("<[^>]+>", "any", path).removeprefix("/api/v1")
        for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - known:
            # When it is asked with another method, even without a key
            reply = api.call(method, concrete, headers={"Authorization": ""})
            # Then the answer says which it has
            assert_refused(reply, 405, "METHOD_NOT_ALLOWED")
            assert reply.headers["allow"] == ", ".join(sorted(known))


# Failures of our own


def _failing(error: Exception) -> Edge:
    api = Api()

    def operation(command: CancelCommand) -> Answer:
        raise error

    authenticator = Authenticator(directory=api.world.workspaces, clock=api.world.clock)
    return Edge(
        cancel.router(operation, authenticator),
        clock=api.world.clock,
        randomness=api.world.randomness,
        log=api.log,
        meter=api.meter,
    )


def _cancel_with_any_key(edge: Edge) -> dict[str, Any]:
    event = http_event(
        "POST",
        f"/api/v1/posts/{an_id(ids.POST)}/cancel",
        headers={"authorization": f"Bearer {Api().keys[Role.OWNER]}"},
    )
    return edge(event, a_context())


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UnavailableError("Query: ThrottlingException"), 503, "SERVICE_UNAVAILABLE"),
        (ContendedError(), 409, "CONFLICT"),
        (KeyError("dynamodb said things"), 500, "INTERNAL_ERROR"),
        (RecursionError("deep"), 500, "INTERNAL_ERROR"),
    ],
)
def test_failures_are_told_without_their_reasons(
    error: Exception, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    # When an operation fails
    answer = _cancel_with_any_key(_failing(error))
    # Then the answer is the envelope and nothing else
    body = json.loads(answer["body"])
    assert (answer["statusCode"], body["code"]) == (status, code)
    assert body.keys() == {"statusCode", "code", "message", "requestId"}
    assert str(error.args[0] if error.args else error) not in answer["body"] or not error.args
    assert ("Retry-After" in answer["headers"]) == (status == 503)
    # And the reason, with its stack, is in the log if it is our fault
    told = [record for record in caplog.records if record.exc_info is not None]
    assert bool(told) == (status >= 500)


def test_an_event_of_something_else_is_an_internal_error_in_the_envelope(api: Api) -> None:
    answer = api.posts_api({"Records": []}, a_context())
    assert answer["statusCode"] == 500
    assert json.loads(answer["body"])["code"] == "INTERNAL_ERROR"
    assert answer["headers"]["X-Request-Id"] == json.loads(answer["body"])["requestId"]


# The log


def test_each_request_leaves_one_line_without_what_it_carried(api: Api) -> None:
    # Given requests with text and keys
    post = api.schedule(content="A secret plan.")
    api.world.clock.advance(timedelta(milliseconds=5))
    api.call("POST", f"/posts/{post['id']}/cancel", {"reason": "Hush."})
    reply = api.call("PUT", "/quiet")
    # Then each has its line, with the route and not the path
    lines = [line for line in api.log.lines if line["message"] == "request"]
    told = [(line["method"], line["route"], line["status"], line["code"]) for line in lines]
    assert told == [
        ("POST", "/api/v1/posts", 201, None),
        ("POST", "/api/v1/posts/{post_id}/cancel", 200, None),
        ("PUT", None, 404, "NOT_FOUND"),
    ]
    assert lines[-1]["requestId"] == reply.body["requestId"]
    assert all(isinstance(line["latencyMs"], int) for line in lines)
    # And nothing that a client wrote
    written = json.dumps(api.log.lines)
    assert "plan" not in written
    assert "Hush" not in written
    assert "pb_live_" not in written


def test_every_request_has_an_id_of_its_own(api: Api) -> None:
    replies = [api.call("GET", "/nowhere") for _ in range(3)]
    for reply in replies:
        assert_envelope(reply)
    assert len({reply.body["requestId"] for reply in replies}) == 3
