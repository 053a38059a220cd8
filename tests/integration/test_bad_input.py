"""Bad requests through the whole edge: the right refusal, the whole envelope, nothing written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from postbreeze.domain import ids
from postbreeze.domain.access import Role
from postbreeze.domain.errors import UnavailableError
from postbreeze.domain.post import AccountStatus
from tests.support.builders import an_id
from tests.support.fakes import START
from tests.support.http_client import ENVELOPE, Api, Reply, assert_refused, http_event

POST = an_id(ids.POST)


@pytest.fixture
def api() -> Api:
    return Api()


def _create(api: Api, **changes: Any) -> Reply:
    body = {"content": "Text.", "platforms": [{"accountId": api.accounts[0]}], **changes}
    return api.call("POST", "/posts", body)


def _assert_nothing_written(api: Api) -> None:
    assert api.world.posts.calls["commit"] == 0
    assert api.world.bus.calls["announce"] == 0
    assert api.world.schedules.calls["arm"] == 0


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"scheduledFor": "2026-06-01T08:59:59Z"}, "scheduledFor"),
        ({"scheduledFor": "2026-06-01T09:00:00Z"}, "scheduledFor"),
        ({"scheduledFor": "2026-06-01T10:00:00"}, "scheduledFor"),
        ({"scheduledFor": "2027-02-30T00:00:00Z"}, "scheduledFor"),
        ({"scheduledFor": "2027-06-03T00:00:00Z"}, "scheduledFor"),
        ({"scheduledFor": 1798761600}, "scheduledFor"),
        ({"draftScheduledFor": "2020-01-01T00:00:00Z"}, "draftScheduledFor"),
        ({"content": "x" * 10_001}, "content"),
        ({"unheardOf": 1}, "unheardOf"),
        ({"platforms": [{"accountId": "soc_short"}]}, "platforms.0.accountId"),
    ],
)
def test_a_malformed_post_is_refused(api: Api, changes: dict[str, object], path: str) -> None:
    assert_refused(_create(api, **changes), 400, "VALIDATION_FAILED", path)
    _assert_nothing_written(api)


def test_a_post_names_51_targets_twice_or_strange_ones_in_vain(api: Api) -> None:
    # Given accounts of this workspace, of another, unknown, and unusable
    mine, other = api.accounts[:2]
    theirs = api.add_account(an_id(ids.WORKSPACE))
    unknown = an_id(ids.ACCOUNT)
    unusable = [
        api.add_account(api.workspace_id, status)
        for status in AccountStatus
        if status is not AccountStatus.ACTIVE
    ]
    # When they are named
    many = _create(api, platforms=[{"accountId": mine}] * 51)
    wrong = [mine, mine, theirs, unknown, *unusable, other]
    flat = _create(api, platforms=[{"accountId": account} for account in wrong])
    nested = api.call(
        "POST", "/posts", {"targets": [{"socialAccountId": account} for account in wrong]}
    )
    # Then each is pointed at
    assert_refused(many, 400, "VALIDATION_FAILED", "platforms")
    places = range(1, len(wrong) - 1)
    flat_paths = [f"platforms.{place}.accountId" for place in places]
    assert_refused(flat, 400, "VALIDATION_FAILED", *flat_paths)
    nested_paths = [f"targets.{place}.socialAccountId" for place in places]
    assert_refused(nested, 400, "VALIDATION_FAILED", *nested_paths)
    # And a post that begins in a workspace out of reach is nowhere
    for account in (theirs, unknown):
        reply = _create(api, platforms=[{"accountId": account}])
        assert_refused(reply, 404, "NOT_FOUND")
    _assert_nothing_written(api)


def test_both_shapes_or_none_are_refused(api: Api) -> None:
    account = api.accounts[0]
    reply = _create(api, targets=[{"socialAccountId": account}])
    assert_refused(reply, 400, "MUST_SPECIFY_EXACTLY_ONE")
    assert_refused(_create(api, platforms=None), 400, "MUST_SPECIFY_EXACTLY_ONE")
    assert_refused(api.call("POST", "/posts"), 400, "VALIDATION_FAILED", "body")
    _assert_nothing_written(api)


@pytest.mark.parametrize(
    ("raw", "headers", "status", "code", "paths"),
    [
        (b"{", {}, 400, "VALIDATION_FAILED", ["body"]),
        (b"[]", {}, 400, "VALIDATION_FAILED", ["body"]),
        (b"\xff", {}, 400, "VALIDATION_FAILED", ["body"]),
        (b"[" * 200_000, {}, 400, "VALIDATION_FAILED", ["body"]),
        (b'{"reason": "\\ud800"}', {}, 400, "VALIDATION_FAILED", ["body"]),
        (b"{}", {"Content-Type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE", []),
        (b"{}", {"Content-Type": ""}, 415, "UNSUPPORTED_MEDIA_TYPE", []),
        (b" " * 262_145, {}, 413, "PAYLOAD_TOO_LARGE", []),
        (b'{"reason": "' + b"x" * 501 + b'"}', {}, 400, "VALIDATION_FAILED", ["reason"]),
        (b'{"targetIds": ["nonsense"]}', {}, 400, "VALIDATION_FAILED", ["targetIds.0"]),
        (b'{"targetIds": []}', {}, 400, "VALIDATION_FAILED", ["targetIds"]),
        (b"{}", {"If-Match": "seven"}, 400, "VALIDATION_FAILED", ["headers.If-Match"]),
        (b"{}", {"Idempotency-Key": "x" * 256}, 400, "IDEMPOTENCY_KEY_INVALID", []),
        (b"{}", {"Idempotency-Key": ""}, 400, "IDEMPOTENCY_KEY_INVALID", []),
    ],
)
def test_a_malformed_cancel_is_refused(
    api: Api,
    raw: bytes,
    headers: Mapping[str, str],
    status: int,
    code: str,
    paths: list[str],
) -> None:
    reply = api.call("POST", f"/posts/{POST}/cancel", raw=raw, headers=headers)
    assert_refused(reply, status, code, *paths)
    _assert_nothing_written(api)


def test_a_target_of_another_post_is_refused(api: Api) -> None:
    post = api.schedule()
    stray = an_id(ids.TARGET)
    reply = api.call("POST", f"/posts/{post['id']}/cancel", {"targetIds": [stray]})
    assert (reply.status, reply.body["code"]) == (400, "VALIDATION_FAILED")
    assert reply.body["details"][0]["path"].startswith("targetIds")
    assert api.call("GET", f"/posts/{post['id']}").body == post


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "paths"),
    [
        ("GET", f"/posts/{POST}", 404, "NOT_FOUND", []),
        ("POST", f"/posts/{POST}/cancel", 404, "NOT_FOUND", []),
        ("GET", "/posts/post_1", 400, "VALIDATION_FAILED", ["path.postId"]),
        ("GET", "/posts/%22%F0%9F%98%80%0A", 400, "VALIDATION_FAILED", ["path.postId"]),
        ("GET", f"/posts/{POST}%0A", 400, "VALIDATION_FAILED", ["path.postId"]),
        ("POST", "/posts/post_1/cancel", 400, "VALIDATION_FAILED", ["path.postId"]),
        ("POST", f"/posts/{POST}/cancel?dryRun=maybe", 400, "VALIDATION_FAILED", ["query.dryRun"]),
        ("POST", f"/posts/{POST}/cancel?dryrun=true", 400, "VALIDATION_FAILED", ["query.dryrun"]),
        ("GET", f"/posts/{POST}?a=1", 400, "VALIDATION_FAILED", ["query.a"]),
        ("POST", "/posts?a=1", 400, "VALIDATION_FAILED", ["query.a"]),
        # no such route
        ("GET", "", 404, "NOT_FOUND", []),
        ("GET", "/nowhere", 404, "NOT_FOUND", []),
        ("GET", "/posts/", 404, "NOT_FOUND", []),
        ("PUT", "/posts", 405, "METHOD_NOT_ALLOWED", []),
        ("PUT", f"/posts/{POST}", 405, "METHOD_NOT_ALLOWED", []),
        ("GET", f"/posts/{POST}/cancel", 405, "METHOD_NOT_ALLOWED", []),
        ("HEAD", f"/posts/{POST}", 405, "METHOD_NOT_ALLOWED", []),
        ("OPTIONS", "/posts", 405, "METHOD_NOT_ALLOWED", []),
        ("TRACE", "/posts/x", 405, "METHOD_NOT_ALLOWED", []),
        ("BREW", "/posts", 405, "METHOD_NOT_ALLOWED", []),
        ("POST", f"/posts/{POST}/cancel/", 404, "NOT_FOUND", []),
        ("POST", f"/posts/{POST}//cancel", 404, "NOT_FOUND", []),
    ],
)
def test_a_wrong_address_is_refused(
    api: Api, method: str, path: str, status: int, code: str, paths: list[str]
) -> None:
    assert_refused(api.call(method, path), status, code, *paths)


def test_the_cancel_function_knows_no_other_route(api: Api) -> None:
    api.edges = []
    api.posts_api = api.cancel_post
    reply = api.call("GET", f"/posts/{POST}")
    assert_refused(reply, 404, "NOT_FOUND")


def _wrong_keys(api: Api) -> dict[str, str]:
    good = api.keys[Role.OWNER]
    return {
        "none": "",
        "another scheme": "Basic dXNlcjpwYXNz",
        "no key": "Bearer",
        "short": "Bearer pb_live_short",
        "wrong checksum": f"Bearer {good[:-1]}{'0' if good[-1] != '0' else '1'}",
        "guessed": f"Bearer {good[:8]}{'0' * 32}",
        "never stored": f"Bearer {_unstored(api)}",
        "revoked": f"Bearer {api.add_key(Role.OWNER, revoked_at=START)}",
        "expired": f"Bearer {api.add_key(Role.OWNER, expires_at=START - timedelta(seconds=1))}",
    }


def _unstored(api: Api) -> str:
    stranger = Api()
    stranger.world.randomness.token(1)
    return stranger.add_key(None)


@pytest.mark.parametrize("fault", [None, "path", "body", "query", "header", "type"])
def test_every_wrong_key_gets_one_and_the_same_answer(api: Api, fault: str | None) -> None:
    # Given requests that are fine but for the key, or wrong in other ways too
    post_id = "post_1" if fault == "path" else POST
    query = "?a=1" if fault == "query" else ""
    headers = {
        "content-type": "text/plain" if fault == "type" else "application/json",
        **({"if-match": "seven"} if fault == "header" else {}),
    }
    answers = []
    for authorization in _wrong_keys(api).values():
        for path in ("posts", f"posts/{post_id}/cancel"):
            event = http_event(
                "POST",
                f"/api/v1/{path}{query}",
                body=b"[" if fault == "body" else b"{}",
                headers={**headers, "authorization": authorization},
            )
            # When they are sent
            reply = api.send(event)
            # Then all are answered alike
            assert_refused(reply, 401, "UNAUTHORIZED")
            assert reply.headers["www-authenticate"] == "Bearer"
            assert reply.body.keys() == ENVELOPE
            answers.append({**reply.body, "requestId": None})
    assert answers == [answers[0]] * len(answers)
    assert answers[0]["message"] == "Unauthorized"
    _assert_nothing_written(api)


def test_a_malformed_key_costs_no_reading(api: Api) -> None:
    api.call("GET", f"/posts/{POST}", headers={"Authorization": "Bearer pb_live_guess"})
    assert not api.world.workspaces.calls["key"]
    assert not api.world.posts.calls["read"]


def test_a_bad_request_is_told_nothing_while_keys_cannot_be_read(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a directory that is down
    def down(digest: str) -> None:
        raise UnavailableError("GetItem: InternalServerError")

    monkeypatch.setattr(api.world.workspaces, "admit", down)
    # When a bad request comes
    reply = api.call("GET", "/posts/post_1")
    # Then whether the key is good is not known, and so nothing is said of the request
    assert_refused(reply, 503, "SERVICE_UNAVAILABLE")
    assert reply.headers["retry-after"] == "1"
