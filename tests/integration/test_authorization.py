"""Who may do what: every route × role × key × place, as one table.

The table below has an expectation for each route that there is; a route without one fails. What is
expected of a case follows from three things alone: what the key opens, whether the caller is a
member, and with which role (contract, §2 and §6).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from postbreeze.domain import api_keys, ids
from postbreeze.domain.access import Role
from postbreeze.domain.documents import timestamp
from postbreeze.domain.media import Asset, AssetStatus
from postbreeze.domain.post import Post, PostStatus, TargetStatus
from postbreeze.domain.webhook import DeliveryStatus
from postbreeze.http import openapi
from tests.support.builders import a_delivery, a_post, an_event, an_id
from tests.support.core import (
    AN_HOUR,
    OTHER_WORKSPACE,
    STRANGER,
    USERS,
    WORKSPACE,
    numbered,
)
from tests.support.fakes import START
from tests.support.http_client import Reply, assert_envelope
from tests.support.http_core import BASE, HttpCore

UNAUTHORIZED = (401, "UNAUTHORIZED")
FORBIDDEN = (403, "FORBIDDEN")
NOT_FOUND = (404, "NOT_FOUND")

READERS = frozenset(Role)
AUTHORS = READERS
EDITORS = frozenset({Role.OWNER, Role.ADMIN, Role.EDITOR})
MANAGERS = frozenset({Role.OWNER, Role.ADMIN})

PEOPLE = (*Role, None)
"""Whose keys are tried: one of each role in ``WORKSPACE``, and one who is no member of it."""

OPENS = ("full", "scoped here", "scoped elsewhere")
OPENS_NOTHING = ("revoked", "expired", "unknown", "malformed", "none")
UNGRANTED = "without grants"
KEYS = (*OPENS, *OPENS_NOTHING, UNGRANTED)

PLACES = ("own", "deleted", "other", "unknown")
"""Where the object is: in ``WORKSPACE``, there but deleted, in a workspace of others, nowhere."""

NO_BODY = None
FILE_URL = "https://files.example/a.png"
HOOK_URL = "https://hooks.example.com/"


@dataclass(frozen=True, kw_only=True)
class Thing:
    """All that there is in one place."""

    workspace: str
    account: str
    asset: str
    posts: Mapping[PostStatus, str]
    target: str
    endpoint: str
    delivery: str


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """Who may use a route; ``request`` says with which path and body it is tried on a thing.

    ``names_workspace`` is for routes whose request names a workspace itself; ``about`` is what is
    deleted in the place ``deleted``, None where nothing of it can be. ``commits`` is the call that
    writes on the condition that the caller still may. ``needs_grant`` is for routes that a key must
    have been minted for.
    """

    roles: frozenset[Role]
    request: Callable[[Thing], tuple[str, object]]
    status: int = 200
    names_workspace: bool = False
    about: str | None = "post"
    commits: str | None = None
    needs_grant: bool = False


def _post(
    suffix: str = "", state: PostStatus = PostStatus.SCHEDULED, body: object = NO_BODY
) -> Callable[[Thing], tuple[str, object]]:
    return lambda thing: (f"/posts/{thing.posts[state]}{suffix}", body)


def _webhook(
    suffix: str = "",
    body: object = NO_BODY,
    *,
    status: int = 200,
    commits: str | None = None,
) -> Expectation:
    """Expect what all routes of an endpoint have in common; ``suffix`` may name its delivery."""
    return Expectation(
        roles=MANAGERS,
        request=lambda thing: (
            f"/webhooks/{thing.endpoint}{suffix.format(delivery=thing.delivery)}",
            body,
        ),
        status=status,
        about=None,
        commits=commits,
        needs_grant=True,
    )


AT = {"scheduledFor": timestamp(START + AN_HOUR)}
COMMIT = "posts.commit"
CHANGE = "webhooks.replace_endpoint"

TABLE: Mapping[tuple[str, str], Expectation] = {
    ("POST", "/posts"): Expectation(
        roles=AUTHORS,
        request=lambda thing: (
            "/posts",
            {"content": "Hello", "platforms": [{"accountId": thing.account}]},
        ),
        status=201,
        about=None,
        commits=COMMIT,
    ),
    ("GET", "/posts"): Expectation(
        roles=READERS,
        request=lambda thing: (f"/posts?workspaceId={thing.workspace}", NO_BODY),
        names_workspace=True,
        about=None,
    ),
    ("GET", "/posts/<post_id>"): Expectation(roles=READERS, request=_post()),
    ("PATCH", "/posts/<post_id>"): Expectation(
        roles=EDITORS,
        request=lambda thing: (
            f"/posts/{thing.posts[PostStatus.SCHEDULED]}",
            {"content": "Hello", "platforms": [{"accountId": thing.account}]},
        ),
        commits=COMMIT,
    ),
    ("DELETE", "/posts/<post_id>"): Expectation(roles=EDITORS, request=_post(), commits=COMMIT),
    ("POST", "/posts/<post_id>/cancel"): Expectation(
        roles=EDITORS, request=_post("/cancel"), commits=COMMIT
    ),
    ("POST", "/posts/<post_id>/schedule"): Expectation(
        roles=EDITORS, request=_post("/schedule", PostStatus.DRAFT, AT), commits=COMMIT
    ),
    ("POST", "/posts/<post_id>/reschedule"): Expectation(
        roles=EDITORS, request=_post("/reschedule", PostStatus.SCHEDULED, AT), commits=COMMIT
    ),
    ("POST", "/posts/<post_id>/retry"): Expectation(
        roles=EDITORS, request=_post("/retry", PostStatus.FAILED), commits=COMMIT
    ),
    ("POST", "/posts/<post_id>/approve"): Expectation(
        roles=MANAGERS, request=_post("/approve", PostStatus.NEEDS_APPROVAL), commits=COMMIT
    ),
    ("POST", "/posts/<post_id>/targets/<target_id>/retry-first-comment"): Expectation(
        roles=EDITORS,
        request=lambda thing: (
            (
                f"/posts/{thing.posts[PostStatus.PUBLISHED]}"
                f"/targets/{thing.target}/retry-first-comment"
            ),
            NO_BODY,
        ),
        commits=COMMIT,
    ),
    ("GET", "/workspaces"): Expectation(
        roles=READERS, request=lambda _: ("/workspaces", NO_BODY), about=None
    ),
    ("GET", "/workspaces/<workspace_id>"): Expectation(
        roles=READERS,
        request=lambda thing: (f"/workspaces/{thing.workspace}", NO_BODY),
        names_workspace=True,
        about=None,
    ),
    ("GET", "/social-accounts"): Expectation(
        roles=READERS,
        request=lambda thing: (f"/social-accounts?workspaceId={thing.workspace}", NO_BODY),
        names_workspace=True,
        about=None,
    ),
    ("GET", "/social-accounts/<account_id>"): Expectation(
        roles=READERS,
        request=lambda thing: (f"/social-accounts/{thing.account}", NO_BODY),
        about=None,
    ),
    ("DELETE", "/social-accounts/<account_id>"): Expectation(
        roles=MANAGERS,
        request=lambda thing: (f"/social-accounts/{thing.account}", NO_BODY),
        about=None,
        commits="disconnections.begin",
    ),
    ("GET", "/media"): Expectation(
        roles=READERS,
        request=lambda thing: (f"/media?workspaceId={thing.workspace}", NO_BODY),
        names_workspace=True,
        about=None,
    ),
    ("POST", "/media/presign"): Expectation(
        roles=AUTHORS,
        request=lambda thing: (
            f"/media/presign?workspaceId={thing.workspace}",
            {"filename": "a.png", "contentType": "image/png", "bytes": 4},
        ),
        status=201,
        names_workspace=True,
        about=None,
    ),
    ("POST", "/media/from-url"): Expectation(
        roles=AUTHORS,
        request=lambda thing: (f"/media/from-url?workspaceId={thing.workspace}", {"url": FILE_URL}),
        status=201,
        names_workspace=True,
        about=None,
    ),
    ("GET", "/media/<asset_id>"): Expectation(
        roles=READERS, request=lambda thing: (f"/media/{thing.asset}", NO_BODY), about="asset"
    ),
    ("PATCH", "/media/<asset_id>"): Expectation(
        roles=EDITORS,
        request=lambda thing: (f"/media/{thing.asset}", {"altText": "A gull."}),
        about="asset",
    ),
    ("DELETE", "/media/<asset_id>"): Expectation(
        roles=EDITORS,
        request=lambda thing: (f"/media/{thing.asset}", NO_BODY),
        about="asset",
    ),
    ("POST", "/webhooks"): Expectation(
        roles=MANAGERS,
        request=lambda thing: ("/webhooks", {"workspaceId": thing.workspace, "url": HOOK_URL}),
        status=201,
        names_workspace=True,
        about=None,
        commits="webhooks.add_endpoint",
        needs_grant=True,
    ),
    ("GET", "/webhooks"): Expectation(
        roles=MANAGERS,
        request=lambda thing: (f"/webhooks?workspaceId={thing.workspace}", NO_BODY),
        names_workspace=True,
        about=None,
        needs_grant=True,
    ),
    ("GET", "/webhooks/<endpoint_id>"): _webhook(),
    ("PATCH", "/webhooks/<endpoint_id>"): _webhook("", {"rateLimit": 5}, commits=CHANGE),
    ("DELETE", "/webhooks/<endpoint_id>"): _webhook(commits="webhooks.remove_endpoint"),
    ("POST", "/webhooks/<endpoint_id>/rotate-secret"): _webhook("/rotate-secret", commits=CHANGE),
    ("POST", "/webhooks/<endpoint_id>/test"): _webhook("/test", status=202),
    ("POST", "/webhooks/<endpoint_id>/recover"): _webhook(
        "/recover", {"since": timestamp(START)}, status=202, commits=CHANGE
    ),
    ("GET", "/webhooks/<endpoint_id>/deliveries"): _webhook("/deliveries"),
    ("GET", "/webhooks/<endpoint_id>/deliveries/<delivery_id>"): _webhook("/deliveries/{delivery}"),
    ("POST", "/webhooks/<endpoint_id>/deliveries/<delivery_id>/redeliver"): _webhook(
        "/deliveries/{delivery}/redeliver", status=202
    ),
}
"""Every route that needs a key."""

PUBLIC = {("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/docs/<asset>")}
"""The routes that need none, as they tell the same to all."""

LISTS = {"GET /posts": "/posts", "GET /social-accounts": "/social-accounts"}
"""Routes that name a workspace only if they want to."""


class World:
    """One workspace of all, one of a stranger, and the same things in both."""

    def __init__(self) -> None:
        self.http = HttpCore()
        core = self.core = self.http.core
        core.world.files.files[FILE_URL] = (b"\x89PNG", "image/png")
        self.things = {
            "own": self._thing(WORKSPACE, numbered("soc", 20), is_deleted=False),
            "deleted": self._thing(WORKSPACE, numbered("soc", 20), is_deleted=True),
            "other": self._thing(
                OTHER_WORKSPACE,
                core.add_account(30, workspace=OTHER_WORKSPACE).id,
                is_deleted=False,
            ),
            "unknown": Thing(
                workspace=an_id(ids.WORKSPACE),
                account=an_id(ids.ACCOUNT),
                asset=an_id(ids.MEDIA),
                posts={status: an_id(ids.POST) for status in PostStatus},
                target=an_id(ids.TARGET),
                endpoint=an_id(ids.ENDPOINT),
                delivery=an_id(ids.DELIVERY),
            ),
        }
        self.nobody = numbered("usr", 77)

    def _thing(self, workspace: str, account: str, *, is_deleted: bool) -> Thing:
        deleted_at = START if is_deleted else None
        posts = {
            status: self._post(status, workspace, account, deleted_at=deleted_at)
            for status in PostStatus
        }
        endpoint = self.core.an_endpoint(id=an_id(ids.ENDPOINT), workspace_id=workspace)
        self.core.webhooks.add_endpoint(endpoint)
        delivery = a_delivery(
            endpoint, an_event(workspace_id=workspace), status=DeliveryStatus.EXHAUSTED
        )
        self.core.webhooks.add_delivery(delivery)
        return Thing(
            workspace=workspace,
            account=account,
            endpoint=endpoint.id,
            delivery=delivery.id,
            asset=self._asset(workspace, is_deleted=is_deleted),
            posts={status: post.id for status, post in posts.items()},
            target=posts[PostStatus.PUBLISHED].targets[0].id,
        )

    def _post(self, status: PostStatus, workspace: str, account: str, **changes: Any) -> Post:
        targets = None
        if status in {PostStatus.PUBLISHING, PostStatus.PARTIALLY_PUBLISHED}:
            targets = [TargetStatus.PUBLISHING]
        post = a_post(status, targets, workspace_id=workspace, **changes)
        target = replace(
            post.targets[0],
            social_account_id=account,
            first_comment="First!",
            first_comment_error="DOWN" if status is PostStatus.PUBLISHED else None,
            published_at=START - timedelta(minutes=5),
            workflow_id=f"{post.id}-1",
        )
        return self.core.add_post(replace(post, targets=(target,)))

    def _asset(self, workspace: str, *, is_deleted: bool) -> str:
        asset = Asset(
            id=an_id(ids.MEDIA),
            workspace_id=workspace,
            status=AssetStatus.READY,
            content_type="image/png",
            size_bytes=4,
            created_at=START,
            created_by_user_id=STRANGER,
        )
        if not is_deleted:
            self.core.world.assets.add(asset)
        return asset.id

    def key(self, person: Role | None, mode: str) -> str | None:
        """Make a key of somebody; None stands for a request without one."""
        owner = self.nobody if person is None else USERS[person]
        restrictions: Mapping[str, dict[str, Any]] = {
            "scoped here": {"workspace_ids": frozenset({WORKSPACE})},
            "scoped elsewhere": {"workspace_ids": frozenset({OTHER_WORKSPACE})},
            "revoked": {"revoked_at": START},
            "expired": {"expires_at": START},
            UNGRANTED: {"grants": frozenset()},
        }
        if mode == "none":
            return None
        if mode == "unknown":
            return api_keys.mint(self.core.randomness.token(api_keys.RANDOM_BYTES))
        key = self.http.add_key(owner, **restrictions.get(mode, {}))
        return key[:-1] if mode == "malformed" else key

    def stored(self) -> object:
        """Return a copy of everything that is kept anywhere, but for how often keys were used."""
        world = self.core.world
        posts, people = world.posts, world.workspaces
        return _copied(
            [
                posts._posts,
                posts._order,
                posts._targets,
                posts._events,
                posts._answers,
                posts.usage,
                people._workspaces,
                people._members,
                people._keys,
                people._accounts,
                world.assets._assets,
                world.assets.naming,
                world.storage.objects,
                world.storage.kept,
                world.webhooks._endpoints,
                world.webhooks._deliveries,
                world.schedules.armed,
                world.bus.announced,
                world.publish_queue.sent,
                world.delivery_queue.sent,
                world.disconnections.works,
            ]
        )

    def ask(self, method: str, path: str, body: object, key: str | None) -> Reply:
        """Send a request with a key that has not been used before."""
        self.core.directory._tallies.clear()
        return self.http.call(method, path, body, key=key)


def _copied(value: Any) -> Any:
    """Copy what holds rows; the rows themselves never change."""
    if isinstance(value, Mapping):
        return {name: _copied(each) for name, each in value.items()}
    if isinstance(value, (list, set)):
        return value.copy() if isinstance(value, set) else [_copied(each) for each in value]
    return value


def expected(
    expectation: Expectation, person: Role | None, mode: str, place: str
) -> tuple[int, str | None]:
    """Say how a case must be answered."""
    if mode in OPENS_NOTHING:
        return UNAUTHORIZED
    if mode == UNGRANTED:
        return FORBIDDEN
    reaches = {
        "full": True,
        "scoped here": place in {"own", "deleted"},
        "scoped elsewhere": place == "other",
    }[mode]
    if not reaches:
        return FORBIDDEN if expectation.names_workspace else NOT_FOUND
    if place != "own" or person is None:
        return NOT_FOUND
    return (expectation.status, None) if person in expectation.roles else FORBIDDEN


def cases() -> Iterator[tuple[tuple[str, str], Role | None, str, str]]:
    for route, person, mode, place in product(TABLE, PEOPLE, KEYS, PLACES):
        if route == ("GET", "/workspaces"):
            continue
        if place == "deleted" and TABLE[route].about is None:
            continue
        if mode == UNGRANTED and not TABLE[route].needs_grant:
            continue
        yield route, person, mode, place


def _told(reply: Reply) -> tuple[object, ...]:
    """Return all that a client can tell answers by, but for what every request has of its own."""
    body = {name: value for name, value in reply.body.items() if name != "requestId"}
    headers = {name: value for name, value in reply.headers.items() if name != "x-request-id"}
    order = list(reply.body), list(reply.headers)
    return reply.status, json.dumps(body), headers, order


def test_every_case_of_the_matrix(record_property: Callable[[str, object], None]) -> None:
    # Given
    world = World()
    hidden: dict[tuple[object, ...], tuple[object, ...]] = {}
    unauthorized: set[str] = set()
    outcomes: Counter[int] = Counter()
    failures = []
    for route, person, mode, place in cases():
        expectation = TABLE[route]
        method = route[0]
        path, body = expectation.request(world.things[place])
        key = world.key(person, mode)
        before = world.stored()
        # When
        reply = world.ask(method, path, body, key)
        # Then
        wanted = expected(expectation, person, mode, place)
        case = f"{method} {route[1]}, {person}, {mode}, {place}"
        outcomes[reply.status] += 1
        if reply.status < 400:
            if wanted != (reply.status, None):
                failures.append(f"{case}: {reply.status} instead of {wanted}")
            if method != "GET":
                world = World()
            elif world.stored() != before:
                failures.append(f"{case}: reading wrote something")
            continue
        assert_envelope(reply)
        if (reply.status, reply.body["code"]) != wanted:
            failures.append(f"{case}: {reply.status} {reply.body['code']} instead of {wanted}")
        if world.stored() != before:
            failures.append(f"{case}: refused, and something was written")
        if place != "own":
            same = hidden.setdefault((route, person, mode, reply.status), _told(reply))
            if same != _told(reply):
                failures.append(f"{case}: tells that it is there: {reply}")
        if reply.status == 401:
            unauthorized.add(repr(_told(reply)))
    total = outcomes.total()
    record_property(
        "told",
        f"authorization: {total} cases, {len(failures)} failed ("
        + ", ".join(f"{count} × {status}" for status, count in sorted(outcomes.items()))
        + ")",
    )
    assert failures == []
    assert len(unauthorized) == 1, "keys that open nothing are told apart"
    assert {200, 201, 202, 401, 403, 404} == outcomes.keys()


def test_every_route_has_its_expectation() -> None:
    # Given the routes of the functions, and those that the API is described to have
    ours = {(method, path.removeprefix(BASE)) for method, path in HttpCore().routes}
    described = {
        (method.upper(), re.sub(r"{(\w+)}", "<>", path))
        for path, item in openapi.document()["paths"].items()
        for method in item
    }
    # Then each has its expectation, and there is none without a route
    assert ours == TABLE.keys()
    known = {(method, re.sub("<[^>]+>", "<>", path)) for method, path in (*TABLE, *PUBLIC)}
    assert {(method, path.removeprefix(BASE)) for method, path in described} <= known, (
        "a route without an expectation"
    )


@pytest.mark.parametrize("mode", OPENS)
@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("path", ["/posts", "/workspaces", "/social-accounts"])
def test_a_list_of_everything_has_what_the_key_reaches_and_nothing_else(
    path: str, person: Role | None, mode: str
) -> None:
    # Given
    world = World()
    key = world.key(person, mode)
    # When
    reply = world.ask("GET", path, None, key)
    # Then
    own = world.things["own"]
    mine = {
        "/posts": set(own.posts.values()),
        "/workspaces": {WORKSPACE},
        "/social-accounts": {numbered("soc", number) for number in range(20, 23)},
    }[path]
    is_shown = person is not None and mode != "scoped elsewhere"
    assert reply.status == 200
    assert {each["id"] for each in reply.body} == (mine if is_shown else set())


@pytest.mark.parametrize("mode", OPENS_NOTHING)
@pytest.mark.parametrize("path", ["/posts", "/workspaces", "/social-accounts"])
def test_a_list_of_everything_needs_a_key(path: str, mode: str) -> None:
    world = World()
    reply = world.ask("GET", path, None, world.key(Role.OWNER, mode))
    assert (reply.status, reply.body["code"]) == UNAUTHORIZED


# What changes counts from the next request on


def _revoke(world: World, plaintext: str) -> None:
    key = world.core.directory.key(api_keys.digest(plaintext))
    assert key is not None
    revoked = replace(key, revoked_at=world.core.clock.at, revision=key.revision + 1)
    world.core.directory.replace_key(revoked, expected_revision=key.revision)


CHANGES: Mapping[str, Callable[[World, str], None]] = {
    "revoked": _revoke,
    "removed": lambda world, _: world.core.directory.remove_member(WORKSPACE, USERS[Role.ADMIN]),
    "demoted": lambda world, _: world.core.add_member(USERS[Role.ADMIN], Role.CLIENT_REVIEWER),
}


def _after(change: str, expectation: Expectation) -> tuple[int, str | None]:
    """Say how a request of an admin is answered to whom this has just happened."""
    if change == "revoked":
        return UNAUTHORIZED
    if change == "removed":
        return NOT_FOUND
    is_enough = Role.CLIENT_REVIEWER in expectation.roles
    return (expectation.status, None) if is_enough else FORBIDDEN


def _answer(reply: Reply) -> tuple[int, str | None]:
    return reply.status, reply.body["code"] if reply.status >= 400 else None


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("route", sorted(TABLE), ids=" ".join)
def test_a_change_counts_from_the_next_request_on(route: tuple[str, str], change: str) -> None:
    # Given an admin whose key was good a moment ago
    world, expectation = World(), TABLE[route]
    key = world.key(Role.ADMIN, "full")
    assert key is not None
    assert world.ask("GET", f"/workspaces/{WORKSPACE}", None, key).status == 200
    # When
    CHANGES[change](world, key)
    before = world.stored()
    path, body = expectation.request(world.things["own"])
    reply = world.ask(route[0], path, body, key)
    # Then
    if route == ("GET", "/workspaces") and change == "removed":
        assert (reply.status, reply.body) == (200, [])
        return
    assert _answer(reply) == _after(change, expectation)
    assert reply.status < 400 or world.stored() == before


GUARDED = sorted(route for route, expectation in TABLE.items() if expectation.commits)


def test_whatever_changes_a_post_or_an_account_is_guarded() -> None:
    by_itself = {("PATCH", "/media/<asset_id>"), ("DELETE", "/media/<asset_id>")}
    adding = {("POST", "/media/presign"), ("POST", "/media/from-url")}
    sending = {
        ("POST", "/webhooks/<endpoint_id>/test"),
        ("POST", "/webhooks/<endpoint_id>/deliveries/<delivery_id>/redeliver"),
    }
    writing = {route for route in TABLE if route[0] != "GET"}
    assert writing - set(GUARDED) == by_itself | adding | sending


@pytest.mark.parametrize("change", ["removed", "demoted"])
@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
def test_a_change_counts_between_reading_and_writing(route: tuple[str, str], change: str) -> None:
    # Given an admin to whom it happens just before what is asked for is written
    world, expectation = World(), TABLE[route]
    key = world.key(Role.ADMIN, "full")
    assert key is not None
    snapshots: list[object] = []

    def happens() -> None:
        CHANGES[change](world, key)
        snapshots.append(world.stored())

    assert expectation.commits is not None
    world.core.before(expectation.commits, happens)
    # When
    path, body = expectation.request(world.things["own"])
    reply = world.ask(route[0], path, body, key)
    # Then it is as if it had happened before the request
    assert len(snapshots) == 1
    assert _answer(reply) == _after(change, expectation)
    if reply.status >= 400:
        assert world.stored() == snapshots[0]
    elif route == ("POST", "/posts"):
        # What a client reviewer writes waits for approval, whoever it was a moment before.
        assert change == "demoted"
        assert reply.body["status"] == "NEEDS_APPROVAL"


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
def test_a_key_that_is_revoked_meanwhile_serves_no_second_request(route: tuple[str, str]) -> None:
    # Given a key that is revoked while its request is being served
    world, expectation = World(), TABLE[route]
    key = world.key(Role.ADMIN, "full")
    assert key is not None
    assert expectation.commits is not None
    world.core.before(expectation.commits, lambda: _revoke(world, key))
    path, body = expectation.request(world.things["own"])
    assert world.ask(route[0], path, body, key).status == expectation.status
    # When the next one comes, even the same with what has been kept of it
    before = world.stored()
    reply = world.ask(route[0], path, body, key)
    # Then
    assert _answer(reply) == UNAUTHORIZED
    assert world.stored() == before


@pytest.mark.parametrize("change", CHANGES)
def test_a_kept_answer_is_told_to_nobody_who_may_not_ask_any_more(change: str) -> None:
    # Given a cancel whose answer is kept
    world = World()
    key = world.key(Role.ADMIN, "full")
    assert key is not None
    path = f"/posts/{world.things['own'].posts[PostStatus.SCHEDULED]}/cancel"
    headers = {"idempotency-key": "k"}
    assert world.http.call("POST", path, key=key, headers=headers).status == 200
    # When it is asked for again after the change
    CHANGES[change](world, key)
    reply = world.http.call("POST", path, key=key, headers=headers)
    # Then
    assert _answer(reply) == _after(change, TABLE["POST", "/posts/<post_id>/cancel"])
