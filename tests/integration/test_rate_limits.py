"""Rate limits as a client sees them, on fakes: headers on every answer, and 429."""

from __future__ import annotations

from datetime import timedelta

import pytest

from postbreeze.domain import api_keys, ids
from postbreeze.domain.access import Role
from postbreeze.domain.errors import UnavailableError
from tests.support.builders import an_id
from tests.support.fakes import START
from tests.support.http_client import Api, Reply, assert_refused

MINUTE_END = int(START.timestamp()) + 60
QUARTER_END = int(START.timestamp()) + 900


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def key(api: Api) -> str:
    """A key with small limits; START is where both windows begin."""
    return api.add_key(Role.OWNER, requests_per_minute=4, requests_per_quarter_hour=40)


def told(reply: Reply) -> tuple[int, int, int] | None:
    names = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
    found = [int(reply.headers[name]) for name in names if name in reply.headers]
    assert len(found) in (0, 3)
    return (found[0], found[1], found[2]) if found else None


def test_every_answer_to_a_known_key_tells_how_it_stands(api: Api, key: str) -> None:
    # Given
    post = api.schedule()
    path = f"/posts/{post['id']}"
    # When
    replies = [
        api.call("GET", path, key=key),
        api.call("GET", f"/posts/{an_id(ids.POST)}", key=key),
        api.call("GET", "/posts/no-id", key=key),
        api.call("POST", f"{path}/cancel", raw="{", key=key),
        api.call("POST", f"{path}/cancel", key=key),
    ]
    # Then what was refused counts like what was not, until nothing is left
    assert [reply.status for reply in replies] == [200, 404, 400, 400, 429]
    left = [(4, remaining, MINUTE_END) for remaining in (3, 2, 1, 0, 0)]
    assert [told(reply) for reply in replies] == left
    assert api.call("GET", path).body["status"] == "SCHEDULED"


def test_a_full_window_says_when_to_come_back(api: Api, key: str) -> None:
    # Given
    for _ in range(4):
        assert api.call("GET", "/posts/no-id", key=key).status == 400
    api.world.clock.advance(milliseconds=10_001)
    # When
    reply = api.call("GET", "/posts/no-id", key=key)
    # Then the milliseconds are exact, and the seconds never too few
    assert_refused(reply, 429, "RATE_LIMITED")
    assert reply.body["retryAfterMs"] == 49_999
    assert reply.headers["retry-after"] == "50"
    assert told(reply) == (4, 0, MINUTE_END)
    # And then it is let through
    api.world.clock.advance(milliseconds=49_998)
    assert api.call("GET", "/posts/no-id", key=key).status == 429
    api.world.clock.advance(milliseconds=1)
    assert told(api.call("GET", "/posts/no-id", key=key)) == (4, 3, MINUTE_END + 60)


def test_the_window_with_the_smaller_share_is_told(api: Api) -> None:
    key = api.add_key(Role.OWNER, requests_per_minute=10, requests_per_quarter_hour=3)
    replies = [api.call("GET", "/posts/no-id", key=key) for _ in range(4)]
    assert [told(reply) for reply in replies] == [
        (3, remaining, QUARTER_END) for remaining in (2, 1, 0, 0)
    ]
    assert replies[-1].body["retryAfterMs"] == 900_000


def test_a_failure_of_ours_tells_as_well(
    api: Api, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a database that answers for keys and not for posts
    def fails(*_: object) -> None:
        raise UnavailableError

    monkeypatch.setattr(api.world.posts, "read", fails)
    # When
    reply = api.call("GET", f"/posts/{an_id(ids.POST)}", key=key)
    # Then
    assert_refused(reply, 503, "SERVICE_UNAVAILABLE")
    assert told(reply) == (4, 3, MINUTE_END)


@pytest.mark.parametrize("path", ["/posts/no-id", f"/posts/{an_id(ids.POST)}"])
@pytest.mark.parametrize("kind", ["unknown", "revoked", "expired", "malformed", "none"])
def test_a_key_that_opens_nothing_is_told_nothing(api: Api, kind: str, path: str) -> None:
    # Given
    small = {"requests_per_minute": 1, "requests_per_quarter_hour": 1}
    keys = {
        "unknown": api_keys.mint(bytes(api_keys.RANDOM_BYTES)),
        "revoked": api.add_key(Role.OWNER, revoked_at=START, **small),
        "expired": api.add_key(Role.OWNER, expires_at=START, **small),
        "malformed": "pb_live_x",
    }
    authorization = "" if kind == "none" else f"Bearer {keys[kind]}"
    # When it asks more often than it might, before others and after them
    for _ in range(3):
        assert told(api.call("GET", path)) is not None
        reply = api.call("GET", path, headers={"Authorization": authorization})
        # Then
        assert_refused(reply, 401, "UNAUTHORIZED")
        assert told(reply) is None


def test_nothing_is_told_where_no_key_is_looked_at(api: Api) -> None:
    assert told(api.call("GET", "/nothing")) is None
    assert told(api.call("PUT", "/posts")) is None


def test_a_key_that_could_not_be_read_is_not_made_up(
    api: Api, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an answer that tells, and then a count that fails
    assert told(api.call("GET", "/posts/no-id", key=key)) == (4, 3, MINUTE_END)

    def fails(digest: str) -> None:
        raise UnavailableError

    with monkeypatch.context() as broken:
        broken.setattr(api.world.workspaces, "admit", fails)
        reply = api.call("GET", "/posts/no-id", key=key)
    # Then
    assert_refused(reply, 503, "SERVICE_UNAVAILABLE")
    assert told(reply) is None


def test_a_request_that_waits_for_its_turn_changes_nothing(api: Api) -> None:
    # Given a key that may ask once
    key = api.add_key(Role.OWNER, requests_per_minute=1, requests_per_quarter_hour=9)
    post = api.schedule()
    cancel = f"/posts/{post['id']}/cancel"
    headers = {"Idempotency-Key": "once"}
    assert api.call("GET", f"/posts/{post['id']}", key=key).status == 200
    # When
    assert_refused(api.call("POST", cancel, key=key, headers=headers), 429, "RATE_LIMITED")
    # Then nothing was done, and the very same request does it a minute later
    assert api.call("GET", f"/posts/{post['id']}").body == post
    api.world.clock.advance(timedelta(minutes=1))
    reply = api.call("POST", cancel, key=key, headers=headers)
    assert (reply.status, reply.body["status"]) == (200, "CANCELED")
    assert "idempotency-replayed" not in reply.headers
