"""Requests that are wrong in every way we know, on the deployed stack: nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.client import Api, moment

pytestmark = pytest.mark.e2e

Stack = Mapping[str, Any]
UNKNOWN_POST = "post_01JZZZZZZZZZZZZZZZZZZZZZZZ"
ENVELOPE = {"statusCode", "code", "message", "requestId"}


@pytest.fixture
def api(stack: Stack) -> Api:
    return Api(stack)


def refused(reply: Any, status: int, code: str, path: str | None = None) -> None:
    """Check an answer's whole envelope, and that a detail names the path."""
    assert reply.status == status, reply
    assert reply.body.keys() >= ENVELOPE
    assert reply.body["statusCode"] == status
    assert reply.body["code"] == code
    assert reply.body["requestId"] == reply.headers["X-Request-Id"]
    if path is not None:
        assert path in [detail["path"] for detail in reply.body["details"]], reply.body


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"scheduledFor": "2020-01-01T00:00:00Z"}, "scheduledFor"),
        ({"scheduledFor": "2027-01-01T00:00:00"}, "scheduledFor"),
        ({"scheduledFor": "2027-02-30T00:00:00Z"}, "scheduledFor"),
        ({"scheduledFor": "2031-01-01T00:00:00Z"}, "scheduledFor"),
        ({"scheduledFor": 1798761600}, "scheduledFor"),
        ({"timezone": "Mars/Olympus_Mons"}, "timezone"),
        ({"content": "x" * 10_001}, "content"),
        ({"content": 7}, "content"),
        ({"unheardOf": 1}, "unheardOf"),
        ({"platforms": [{"accountId": "soc_short"}]}, "platforms.0.accountId"),
        ({"platforms": [{}]}, "platforms.0.accountId"),
        ({"platforms": []}, "platforms"),
        ({"mediaIds": ["med_01JZZZZZZZZZZZZZZZZZZZZZZZ"]}, "mediaIds.0"),
    ],
)
def test_malformed_posts_are_refused(
    api: Api, stack: Stack, change: dict[str, object], path: str
) -> None:
    body = {
        "content": "Text.",
        "platforms": [{"accountId": stack["accounts"]["BLUESKY"][0]}],
        **change,
    }
    refused(api.call("POST", "/posts", body), 400, "VALIDATION_FAILED", path)


def test_fifty_one_targets_are_refused(api: Api, stack: Stack) -> None:
    target = {"accountId": stack["accounts"]["BLUESKY"][0]}
    reply = api.call("POST", "/posts", {"content": "Text.", "platforms": [target] * 51})
    refused(reply, 400, "VALIDATION_FAILED", "platforms")


def test_an_account_named_twice_is_refused(api: Api, stack: Stack) -> None:
    target = {"accountId": stack["accounts"]["BLUESKY"][0]}
    reply = api.call("POST", "/posts", {"content": "Text.", "platforms": [target] * 2})
    refused(reply, 400, "VALIDATION_FAILED", "platforms.1.accountId")


def test_both_and_neither_shape_are_refused(api: Api, stack: Stack) -> None:
    account = stack["accounts"]["BLUESKY"][0]
    both = {"platforms": [{"accountId": account}], "targets": [{"socialAccountId": account}]}
    refused(api.call("POST", "/posts", both), 400, "MUST_SPECIFY_EXACTLY_ONE")
    neither = {"content": "Text."}
    refused(api.call("POST", "/posts", neither), 400, "MUST_SPECIFY_EXACTLY_ONE")


def test_an_account_of_another_workspace_is_refused(api: Api, stack: Stack) -> None:
    mine = {"socialAccountId": stack["accounts"]["BLUESKY"][0]}
    theirs = {"socialAccountId": stack["otherAccounts"]["BLUESKY"][0]}
    mixed = api.call("POST", "/posts", {"caption": "Text.", "targets": [mine, theirs]})
    refused(mixed, 400, "VALIDATION_FAILED", "targets.1.socialAccountId")
    alone = api.call("POST", "/posts", {"caption": "Text.", "targets": [theirs]})
    refused(alone, 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("raw", "headers", "status", "code"),
    [
        (b"{", {}, 400, "VALIDATION_FAILED"),
        (b"[]", {}, 400, "VALIDATION_FAILED"),
        (b"\xff", {}, 400, "VALIDATION_FAILED"),
        (b'{"reason": "x"}', {"Content-Type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b'{"reason": "' + b"x" * 262_144 + b'"}', {}, 413, "PAYLOAD_TOO_LARGE"),
        (b'{"reason": "' + b"x" * 501 + b'"}', {}, 400, "VALIDATION_FAILED"),
        (b'{"targetIds": ["nonsense"]}', {}, 400, "VALIDATION_FAILED"),
        (b'{"targetIds": ["tgt_01JZZZZZZZZZZZZZZZZZZZZZZZ"]}', {}, 400, "VALIDATION_FAILED"),
        (b'{"targetIds": []}', {}, 400, "VALIDATION_FAILED"),
        (b"{}", {"If-Match": "seven"}, 400, "VALIDATION_FAILED"),
        (b"{}", {"Idempotency-Key": "x" * 256}, 400, "IDEMPOTENCY_KEY_INVALID"),
    ],
)
def test_malformed_cancels_are_refused(
    api: Api, stack: Stack, raw: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    post = api.schedule(stack["accounts"]["BLUESKY"][0], seconds=3600)
    reply = api.call("POST", f"/posts/{post['id']}/cancel", raw=raw, headers=headers)
    refused(reply, status, code)
    assert api.get(post["id"]) == post


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", f"/posts/{UNKNOWN_POST}", 404, "NOT_FOUND"),
        ("POST", f"/posts/{UNKNOWN_POST}/cancel", 404, "NOT_FOUND"),
        ("GET", "/posts/post_1", 400, "VALIDATION_FAILED"),
        ("POST", "/posts/post_1/cancel", 400, "VALIDATION_FAILED"),
        ("POST", f"/posts/{UNKNOWN_POST}/cancel?dryRun=maybe", 400, "VALIDATION_FAILED"),
        ("GET", "/nowhere", 404, "NOT_FOUND"),
        ("PUT", "/posts", 405, "METHOD_NOT_ALLOWED"),
        ("GET", f"/posts/{UNKNOWN_POST}/cancel", 405, "METHOD_NOT_ALLOWED"),
    ],
)
def test_wrong_addresses_are_refused(
    api: Api, method: str, path: str, status: int, code: str
) -> None:
    refused(api.call(method, path), status, code)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic dXNlcjpwYXNz",
        "Bearer",
        "Bearer pb_live_short",
        "Bearer pb_live_00000000000000000000000000000000",
        "revoked",
    ],
)
def test_every_wrong_key_gets_one_and_the_same_answer(
    api: Api, stack: Stack, authorization: str | None
) -> None:
    if authorization == "revoked":
        authorization = f"Bearer {stack['keys']['revoked']}"
    elif authorization is None:
        api = Api(stack)
    headers = {"Authorization": authorization or ""}
    for method, path in (("GET", f"/posts/{UNKNOWN_POST}"), ("POST", "/posts")):
        reply = api.call(method, path, headers=headers)
        refused(reply, 401, "UNAUTHORIZED")
        assert reply.body["message"] == "Unauthorized"
        assert reply.body.keys() == ENVELOPE


def test_the_nested_shape_is_taken(api: Api, stack: Stack) -> None:
    # Given the nested shape with an override for one account
    account = stack["accounts"]["BLUESKY"][0]
    body = {
        "caption": "For all.",
        "targets": [{"socialAccountId": account, "captionOverride": "For one."}],
        "scheduledAt": moment(3600),
    }
    # When it is posted
    reply = api.call("POST", "/posts", body)
    # Then the post has both texts
    assert reply.status == 201, reply
    assert reply.body["caption"] == "For all."
    assert reply.body["targets"][0]["captionOverride"] == "For one."
    assert reply.body["createdViaFlatShape"] is False
    assert api.cancel(reply.body["id"]).status == 200
