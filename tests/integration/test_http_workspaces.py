"""Workspaces and social accounts as a client sees them, on fakes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from postbreeze.domain import ids
from postbreeze.domain.access import ApiKey, Role, Workspace
from postbreeze.domain.post import AccountStatus
from tests.support.builders import a_member, an_id
from tests.support.fakes import START
from tests.support.http_client import Api, assert_refused

ACCOUNT_FIELDS = {
    "id",
    "workspaceId",
    "platform",
    "externalId",
    "handle",
    "displayName",
    "avatarUrl",
    "status",
    "scopes",
    "connectedAt",
    "lastRefreshedAt",
    "tokenExpiresAt",
    "lastRefreshAttemptAt",
    "lastRefreshError",
    "lastRefreshErrorStatus",
    "meta",
    "defaultBoardId",
    "disconnectedAt",
}


@pytest.fixture
def api() -> Api:
    return Api()


def joined(api: Api, key: str, role: Role = Role.EDITOR, created_at: datetime = START) -> str:
    """Make another workspace of which the key's owner is a member, and return its id."""
    workspace_id = an_id(ids.WORKSPACE)
    workspaces = api.world.workspaces
    workspaces.add_workspace(Workspace(id=workspace_id, name="Second", created_at=created_at))
    workspaces.put_member(a_member(role, workspace_id=workspace_id, user_id=owner_of(api, key)))
    return workspace_id


def owner_of(api: Api, key: str) -> str:
    return stored(api, key).owner_user_id


def stored(api: Api, key: str) -> ApiKey:
    (found,) = [
        each for each in api.world.workspaces._keys.values() if each.hint.endswith(key[-4:])
    ]
    return found


def scoped(api: Api, *workspace_ids: str) -> str:
    """Mint a key of the workspace's owner for these workspaces only."""
    return api.add_key(
        None,
        owner_user_id=owner_of(api, api.keys[Role.OWNER]),
        workspace_ids=frozenset(workspace_ids),
    )


# Workspaces


@pytest.mark.parametrize("role", Role)
def test_a_member_sees_the_workspace_and_their_role(api: Api, role: Role) -> None:
    listed = api.call("GET", "/workspaces", key=api.keys[role])
    assert listed.status == 200
    assert listed.body == [
        {
            "id": api.workspace_id,
            "name": "Test",
            "slug": f"test-{api.workspace_id[-8:].lower()}",
            "ownerUserId": owner_of(api, api.keys[Role.OWNER]),
            "timezone": "UTC",
            "timeFormat": "H24",
            "brandColor": None,
            "logoUrl": None,
            "deletedAt": None,
            "createdAt": "2026-06-01T09:00:00.000Z",
            "updatedAt": "2026-06-01T09:00:00.000Z",
            "memberships": [
                {
                    "workspaceId": api.workspace_id,
                    "userId": owner_of(api, api.keys[role]),
                    "role": role.value,
                    "createdAt": "2026-06-01T09:00:00.000Z",
                }
            ],
            "role": role.value,
            "heldAt": None,
            "holdReason": None,
            "postLimit": None,
        }
    ]
    read = api.call("GET", f"/workspaces/{api.workspace_id}", key=api.keys[role])
    assert (read.status, read.body) == (200, listed.body[0])
    assert "etag" not in read.headers


def test_a_hold_and_a_limit_are_shown(api: Api) -> None:
    # Given
    present = api.world.workspaces.workspace(api.workspace_id)
    assert present is not None
    held = replace(
        present,
        held_at=START,
        hold_reason="unpaid",
        post_limit=3,
        updated_at=START + timedelta(hours=1),
        revision=2,
    )
    api.world.workspaces.replace_workspace(held, expected_revision=1)
    # When
    body = api.call("GET", f"/workspaces/{api.workspace_id}").body
    # Then
    assert (body["heldAt"], body["holdReason"]) == ("2026-06-01T09:00:00.000Z", "unpaid")
    assert body["postLimit"] == 3
    assert (body["createdAt"], body["updatedAt"]) == (
        "2026-06-01T09:00:00.000Z",
        "2026-06-01T10:00:00.000Z",
    )


def test_workspaces_are_listed_oldest_first_with_their_owners(api: Api) -> None:
    # Given one that is older than all, without an owner
    older = joined(api, api.keys[Role.OWNER], created_at=START - timedelta(days=1))
    # Then
    listed = api.call("GET", "/workspaces").body
    assert [each["id"] for each in listed] == [older, api.workspace_id]
    owner = owner_of(api, api.keys[Role.OWNER])
    assert [each["ownerUserId"] for each in listed] == [None, owner]
    assert api.call("GET", f"/workspaces/{older}").body == listed[0]


def test_the_workspaces_that_a_key_reaches_are_listed(api: Api) -> None:
    # Given an owner who is in two workspaces, and a stranger
    second = joined(api, api.keys[Role.OWNER])
    # Then
    both = [api.workspace_id, second]
    assert [each["id"] for each in api.call("GET", "/workspaces").body] == both
    for key, seen in (
        (scoped(api, second), [second]),
        (scoped(api), []),
        (scoped(api, second, an_id(ids.WORKSPACE)), [second]),
        (api.keys[Role.EDITOR], [api.workspace_id]),
        (api.add_key(None), []),
    ):
        assert [each["id"] for each in api.call("GET", "/workspaces", key=key).body] == seen


def test_a_workspace_without_its_row_is_not_there(api: Api) -> None:
    # Given a membership of a workspace that is gone
    gone = joined(api, api.keys[Role.OWNER])
    del api.world.workspaces._workspaces[gone]
    # Then
    assert [each["id"] for each in api.call("GET", "/workspaces").body] == [api.workspace_id]
    assert_refused(api.call("GET", f"/workspaces/{gone}"), 404, "NOT_FOUND")


def test_a_workspace_outside_the_allow_list_is_forbidden_whether_it_exists_or_not(
    api: Api,
) -> None:
    # Given
    second = joined(api, api.keys[Role.OWNER])
    key = scoped(api, second)
    answers = []
    for workspace_id in (api.workspace_id, an_id(ids.WORKSPACE)):
        before = api.world.workspaces.calls.copy()
        for path in (f"/workspaces/{workspace_id}", f"/social-accounts?workspaceId={workspace_id}"):
            reply = api.call("GET", path, key=key)
            assert_refused(reply, 403, "FORBIDDEN")
            answers.append({**reply.body, "requestId": None})
        # Then nothing but the key was looked at
        assert set(api.world.workspaces.calls - before) == {"admit"}
    assert all(answer == answers[0] for answer in answers)


def test_a_key_that_was_revoked_reads_nothing(api: Api) -> None:
    # Given
    key = stored(api, api.keys[Role.OWNER])
    revoked = replace(key, revoked_at=START, revision=2)
    api.world.workspaces.replace_key(revoked, expected_revision=1)
    # Then
    for path in (
        "/workspaces",
        f"/workspaces/{api.workspace_id}",
        "/social-accounts",
        f"/social-accounts/{api.accounts[0]}",
    ):
        assert_refused(api.call("GET", path), 401, "UNAUTHORIZED")


def test_a_workspace_of_others_is_not_there(api: Api) -> None:
    stranger = api.add_key(None)
    for workspace_id in (api.workspace_id, an_id(ids.WORKSPACE)):
        for path in (f"/workspaces/{workspace_id}", f"/social-accounts?workspaceId={workspace_id}"):
            assert_refused(api.call("GET", path, key=stranger), 404, "NOT_FOUND")


def test_a_membership_that_has_ended_counts_at_once(api: Api) -> None:
    api.world.workspaces.remove_member(api.workspace_id, owner_of(api, api.keys[Role.OWNER]))
    assert api.call("GET", "/workspaces").body == []
    assert api.call("GET", "/social-accounts").body == []
    for path in (
        f"/workspaces/{api.workspace_id}",
        f"/social-accounts/{api.accounts[0]}",
        f"/social-accounts?workspaceId={api.workspace_id}",
    ):
        assert_refused(api.call("GET", path), 404, "NOT_FOUND")


# Accounts


@pytest.mark.parametrize("role", Role)
def test_a_member_sees_the_accounts_and_nothing_secret(api: Api, role: Role) -> None:
    key = api.keys[role]
    listed = api.call("GET", "/social-accounts", key=key)
    assert listed.status == 200
    assert [each["id"] for each in listed.body] == api.accounts[::-1]
    assert all(set(each) == ACCOUNT_FIELDS for each in listed.body)
    there = api.call("GET", f"/social-accounts?workspaceId={api.workspace_id}", key=key)
    assert there.body == listed.body
    read = api.call("GET", f"/social-accounts/{api.accounts[0]}", key=key)
    assert (read.status, read.body) == (200, listed.body[-1])


def test_accounts_of_several_workspaces_come_newest_connected_first(api: Api) -> None:
    # Given an account in another workspace, connected before those of the first
    second = joined(api, api.keys[Role.OWNER])
    there = api.add_account(second, AccountStatus.TOKEN_EXPIRED)
    older = replace(
        api.world.workspaces._accounts[there], created_at=START - timedelta(days=1), revision=2
    )
    api.world.workspaces.replace_account(older, expected_revision=1)
    # Then
    listed = api.call("GET", "/social-accounts").body
    assert [each["id"] for each in listed] == [*api.accounts[::-1], there]
    assert listed[-1]["status"] == "TOKEN_EXPIRED"
    only = api.call("GET", "/social-accounts", key=scoped(api, second)).body
    assert [each["id"] for each in only] == [there]
    named = api.call("GET", f"/social-accounts?workspaceId={second}").body
    assert [each["id"] for each in named] == [there]


def test_an_account_out_of_reach_is_not_there(api: Api) -> None:
    elsewhere = api.add_account(an_id(ids.WORKSPACE))
    second = joined(api, api.keys[Role.OWNER])
    for key, account_id in (
        (None, elsewhere),
        (None, an_id(ids.ACCOUNT)),
        (scoped(api, second), api.accounts[0]),
        (api.add_key(None), api.accounts[0]),
    ):
        for method in ("GET", "DELETE"):
            reply = api.call(method, f"/social-accounts/{account_id}", key=key)
            assert_refused(reply, 404, "NOT_FOUND")


def test_an_account_that_vanishes_while_it_is_read_is_not_there(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given where it is connected is known, and the account is gone
    workspaces = api.world.workspaces
    found = workspaces._accounts.pop(api.accounts[0])
    monkeypatch.setattr(workspaces, "workspace_of_account", lambda _: found.workspace_id)
    # Then
    assert_refused(api.call("GET", f"/social-accounts/{found.id}"), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("/workspaces?limit=1", "query.limit"),
        ("/workspaces/ws_1", "path.workspaceId"),
        ("/workspaces/soc_01JZZZZZZZZZZZZZZZZZZZZZZZ", "path.workspaceId"),
        ("/social-accounts?workspaceId=", "query.workspaceId"),
        ("/social-accounts?workspaceId=ws_1", "query.workspaceId"),
        ("/social-accounts?workspace=x", "query.workspace"),
        ("/social-accounts/soc_1", "path.accountId"),
        ("/social-accounts/soc_1?x=y", "path.accountId"),
    ],
)
def test_what_is_malformed_is_told_to_those_with_a_key_only(api: Api, path: str, at: str) -> None:
    assert_refused(api.call("GET", path), 400, "VALIDATION_FAILED", at)
    reply = api.call("GET", path, key=api.keys[Role.OWNER][:-1] + "~")
    assert_refused(reply, 401, "UNAUTHORIZED")


def test_a_workspace_that_is_named_twice_is_refused(api: Api) -> None:
    path = f"/social-accounts?workspaceId={api.workspace_id}&workspaceId={api.workspace_id}"
    assert_refused(api.call("GET", path), 400, "VALIDATION_FAILED", "query.workspaceId")


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/workspaces"), ("PATCH", "/social-accounts"), ("PUT", "/{}")]
)
def test_other_methods_are_told_so(api: Api, method: str, path: str) -> None:
    reply = api.call(method, path.format(f"social-accounts/{api.accounts[0]}"))
    assert_refused(reply, 405, "METHOD_NOT_ALLOWED")


# Disconnecting


def test_an_account_is_disconnected_and_its_posts_are_cancelled(api: Api) -> None:
    # Given
    account_id, other_id, _ = api.accounts
    alone, shared = api.schedule(account_id), api.schedule(account_id, other_id)
    # When
    reply = api.call("DELETE", f"/social-accounts/{account_id}")
    # Then
    assert reply.status == 200
    assert set(reply.body) == ACCOUNT_FIELDS
    assert (reply.body["status"], reply.body["disconnectedAt"]) == (
        "DISCONNECTED",
        "2026-06-01T09:00:00.000Z",
    )
    assert api.call("GET", f"/social-accounts/{account_id}").body == reply.body
    # And it is listed no more
    listed = api.call("GET", "/social-accounts").body
    assert [each["id"] for each in listed] == api.accounts[:0:-1]
    assert api.call("GET", f"/posts/{alone['id']}").body["status"] == "CANCELED"
    after = api.call("GET", f"/posts/{shared['id']}").body
    assert after["status"] == "SCHEDULED"
    assert [target["status"] for target in after["targets"]] == ["CANCELED", "SCHEDULED"]
    # And a repeat is answered alike
    again = api.call("DELETE", f"/social-accounts/{account_id}", key=api.keys[Role.ADMIN])
    assert (again.status, again.body) == (200, reply.body)
    assert len(api.world.posts.timeline(account_id)) == 1
    # And nothing can be scheduled on it any more
    post = {
        "content": "x",
        "platforms": [{"accountId": account_id}],
        "scheduledFor": "2026-06-01T12:00:00Z",
    }
    assert_refused(
        api.call("POST", "/posts", post), 400, "VALIDATION_FAILED", "platforms.0.accountId"
    )


@pytest.mark.parametrize("role", [Role.EDITOR, Role.CLIENT_REVIEWER])
def test_only_owners_and_admins_may_disconnect(api: Api, role: Role) -> None:
    reply = api.call("DELETE", f"/social-accounts/{api.accounts[0]}", key=api.keys[role])
    assert_refused(reply, 403, "FORBIDDEN")
    assert api.call("GET", f"/social-accounts/{api.accounts[0]}").body["status"] == "ACTIVE"


# Holds and limits


def test_nothing_is_scheduled_into_a_workspace_on_hold_but_drafts_are_made(api: Api) -> None:
    # Given a post that is scheduled, and then a hold
    scheduled = api.schedule()
    present = api.world.workspaces.workspace(api.workspace_id)
    assert present is not None
    held = replace(present, held_at=START, revision=2)
    api.world.workspaces.replace_workspace(held, expected_revision=1)
    post = {"content": "Text.", "platforms": [{"accountId": api.accounts[0]}]}
    # Then
    timed = {**post, "scheduledFor": "2026-06-01T12:00:00Z"}
    assert_refused(api.call("POST", "/posts", timed), 423, "WORKSPACE_ON_HOLD")
    assert api.call("POST", "/posts", post).body["status"] == "DRAFT"
    waiting = api.call("POST", "/posts", {**timed, "requiresApproval": True})
    assert waiting.body["status"] == "NEEDS_APPROVAL"
    assert api.call("GET", f"/posts/{scheduled['id']}").body["status"] == "SCHEDULED"
    assert api.call("POST", f"/posts/{scheduled['id']}/cancel").status == 200


def test_no_more_posts_are_made_in_a_month_than_the_limit_says(api: Api) -> None:
    # Given
    present = api.world.workspaces.workspace(api.workspace_id)
    assert present is not None
    limited = replace(present, post_limit=2, revision=2)
    api.world.workspaces.replace_workspace(limited, expected_revision=1)
    post = {"content": "Text.", "platforms": [{"accountId": api.accounts[0]}]}
    first = api.call("POST", "/posts", post, headers={"Idempotency-Key": "once"})
    api.schedule()
    # When
    reply = api.call("POST", "/posts", post)
    # Then
    assert_refused(reply, 403, "PLAN_LIMIT_POSTS")
    assert (reply.body["limit"], reply.body["current"]) == (2, 2)
    # And a request that was answered before is answered again
    again = api.call("POST", "/posts", post, headers={"Idempotency-Key": "once"})
    assert (again.status, again.body) == (201, first.body)
    # And the next month begins anew
    api.world.clock.at = START.replace(month=7, day=1, hour=0)
    assert api.call("POST", "/posts", post).status == 201
