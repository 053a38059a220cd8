"""``GET /posts`` as a client sees it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from postbreeze.domain import ids
from postbreeze.domain.access import Role
from tests.support.builders import an_id
from tests.support.http_client import Api, Reply, assert_refused

LINK = re.compile(r"<(/api/v1/posts\?[A-Za-z0-9_&=-]+)>; rel=\"next\"")


@pytest.fixture
def api() -> Api:
    return Api()


def next_path(reply: Reply) -> str | None:
    """Return where the next page is, below ``/api/v1``."""
    if "link" not in reply.headers:
        return None
    match = LINK.fullmatch(reply.headers["link"])
    assert match is not None, reply.headers["link"]
    return match[1].removeprefix("/api/v1")


def read_all(api: Api, path: str, **how: Any) -> list[list[dict[str, Any]]]:
    pages = []
    following: str | None = path
    while following is not None:
        reply = api.call("GET", following, **how)
        assert reply.status == 200, reply
        assert isinstance(reply.body, list)
        pages.append(reply.body)
        following = next_path(reply)
    return pages


def test_all_posts_are_a_bare_array_of_posts(api: Api) -> None:
    # Given
    posts = [api.schedule(scheduledFor=f"2026-06-01T1{hour}:00:00Z") for hour in (2, 1)]
    # When
    reply = api.call("GET", "/posts")
    # Then
    assert reply.status == 200
    assert reply.body == [api.call("GET", f"/posts/{post['id']}").body for post in posts[::-1]]
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    assert "link" not in reply.headers
    assert "etag" not in reply.headers
    assert "x-ratelimit-remaining" in reply.headers


def test_a_user_without_posts_gets_an_empty_array(api: Api) -> None:
    assert api.call("GET", "/posts").body == []


def test_pages_are_linked_with_the_filters_they_had(api: Api) -> None:
    # Given
    posts = [api.schedule(scheduledFor=f"2026-06-01T1{hour}:00:00Z")["id"] for hour in range(5)]
    path = f"/posts?workspaceId={api.workspace_id}&status=SCHEDULED&limit=2"
    # When
    first = api.call("GET", path)
    pages = read_all(api, path)
    # Then
    assert [[post["id"] for post in page] for page in pages] == [posts[:2], posts[2:4], posts[4:]]
    assert str(next_path(first)).startswith(f"{path}&cursor=")


def test_a_page_has_fifty_posts_unless_told_otherwise(api: Api) -> None:
    # Given
    for _ in range(60):
        api.schedule()
    # Then
    assert [len(page) for page in read_all(api, "/posts")] == [50, 10]
    assert [len(page) for page in read_all(api, "/posts?limit=100")] == [60]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.5", "x", "", "9" * 50, "%D9%A3", "+5"])
def test_a_limit_out_of_bounds_is_refused(api: Api, limit: str) -> None:
    assert_refused(
        api.call("GET", f"/posts?limit={limit}"), 400, "VALIDATION_FAILED", "query.limit"
    )


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("status=SLEEPING", "query.status"),
        ("status=", "query.status"),
        ("status=draft", "query.status"),
        ("workspaceId=ws_1", "query.workspaceId"),
        ("workspaceId=", "query.workspaceId"),
        ("page=2", "query.page"),
        ("limit=1&limit=2", "query.limit"),
        ("cursor=", "query.cursor"),
        ("cursor=abc", "query.cursor"),
        ("cursor=%00%ff", "query.cursor"),
    ],
)
def test_a_query_that_is_none_is_refused(api: Api, query: str, path: str) -> None:
    assert_refused(api.call("GET", f"/posts?{query}"), 400, "VALIDATION_FAILED", path)


def test_a_cursor_cannot_be_changed_or_used_otherwise(api: Api) -> None:
    # Given
    for _ in range(3):
        api.schedule()
    following = str(next_path(api.call("GET", "/posts?limit=1")))
    assert api.call("GET", following).status == 200
    # Then
    cursor = following.partition("cursor=")[2]
    other = "A" if cursor[20] != "A" else "B"
    for refused in (
        f"/posts?cursor={cursor[:20]}{other}{cursor[21:]}",
        f"/posts?cursor={cursor}&status=SCHEDULED",
        f"/posts?cursor={cursor}&workspaceId={api.workspace_id}",
    ):
        assert_refused(api.call("GET", refused), 400, "VALIDATION_FAILED", "query.cursor")
    # But another size of page is fine
    assert len(api.call("GET", f"/posts?cursor={cursor}&limit=50").body) == 2


def test_others_learn_nothing(api: Api) -> None:
    # Given a post, and a stranger and a scoped key of somebody
    api.schedule()
    stranger = api.add_key(None)
    scoped = api.add_key(Role.OWNER, workspace_ids=frozenset({an_id(ids.WORKSPACE)}))
    path = f"/posts?workspaceId={api.workspace_id}"
    # Then
    assert api.call("GET", "/posts", key=stranger).body == []
    assert_refused(api.call("GET", path, key=stranger), 404, "NOT_FOUND")
    assert api.call("GET", "/posts", key=scoped).body == []
    assert_refused(api.call("GET", path, key=scoped), 403, "FORBIDDEN")
    for refused in (path, "/posts?limit=0", "/posts?cursor=?"):
        reply = api.call("GET", refused, headers={"authorization": "Bearer pb_live_x"})
        assert_refused(reply, 401, "UNAUTHORIZED")


def test_a_cancelled_post_is_listed_with_the_rest(api: Api) -> None:
    # Given
    first, second = (api.schedule(scheduledFor=f"2026-06-01T1{hour}:00:00Z") for hour in (1, 2))
    assert api.call("POST", f"/posts/{first['id']}/cancel").status == 200
    # Then
    assert [post["id"] for post in api.call("GET", "/posts").body] == [second["id"], first["id"]]
    for status, post in (("SCHEDULED", second), ("CANCELED", first)):
        assert [each["id"] for each in api.call("GET", f"/posts?status={status}").body] == [
            post["id"]
        ]
