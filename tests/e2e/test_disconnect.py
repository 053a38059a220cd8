"""Disconnecting an account that has many posts, and what a hold and a limit do, on the stack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postbreeze.adapters.dynamodb.disconnections import DynamoDisconnections
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.cli.deployment import Deployment, Operator
from postbreeze.domain.access import Role
from postbreeze.domain.errors import LostRaceError
from postbreeze.domain.post import Platform
from tests.e2e.aws import client
from tests.e2e.client import Api, lines, moment, unique, wait_until

pytestmark = pytest.mark.e2e

Stack = Mapping[str, Any]

POSTS = 150
AT_ONCE = 8
AN_HOUR = 3600


@pytest.fixture
def deployment(stack: Stack) -> Deployment:
    """The stack, as an operator reaches it."""
    return Deployment.local(
        stack["outputs"],
        engine_url=stack["engineUrl"],
        region=stack["region"],
        platform_url=stack["platform"]["url"],
    )


def test_an_account_with_many_scheduled_posts_is_disconnected(
    stack: Stack, deployment: Deployment
) -> None:
    # Given an account of its own with very many posts, one of them shared, and a draft
    api, workspace_id = Api(stack), stack["workspaceId"]
    store = DynamoDisconnections(
        Database(deployment.clients.dynamodb()), posts_table=stack["outputs"]["PostsTableName"]
    )
    add = Operator(deployment).accounts.add
    mine, other = (
        add(workspace_id, Platform.X, unique(name)[:60], unique(name)) for name in ("mine", "other")
    )
    with ThreadPoolExecutor(AT_ONCE) as pool:
        posts = list(pool.map(lambda _: api.schedule(mine.id, seconds=AN_HOUR)["id"], range(POSTS)))
    shared = api.schedule(mine.id, other.id, seconds=AN_HOUR)
    draft = api.create(mine.id)
    # When
    reply = api.call("DELETE", f"/social-accounts/{mine.id}")
    # Then it is disconnected, and what is left to be done is noted
    assert store.work(mine.id) is not None
    assert (reply.status, reply.body["status"]) == (200, "DISCONNECTED"), reply
    refused = api.call(
        "POST",
        "/posts",
        {"content": "x", "platforms": [{"accountId": mine.id}], "scheduledFor": moment(AN_HOUR)},
    )
    assert (refused.status, refused.body["code"]) == (400, "VALIDATION_FAILED")
    # And the reconciler does the rest, looks once more, and is done
    wait_until(lambda: _is_done(stack, store, mine.id), "the disconnect to be done", seconds=200)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        after = list(pool.map(api.get, posts))
    assert {(post["status"], post["targets"][0]["status"]) for post in after} == {
        ("CANCELED", "CANCELED")
    }
    standing = api.get(shared["id"])
    assert standing["status"] == "SCHEDULED"
    assert [target["status"] for target in standing["targets"]] == ["CANCELED", "SCHEDULED"]
    assert api.get(draft["id"])["targets"] == draft["targets"]
    # And everybody is told, of the account and of every post, each under one event id
    wanted = {(mine.id, "account.disconnected"), *((post, "post.cancelled") for post in posts)}
    told = wait_until(lambda: told_of(stack, wanted), "every event to arrive", seconds=60)
    assert all(len(event_ids) == 1 for event_ids in told.values())
    # And a repeat is answered alike
    again = api.call("DELETE", f"/social-accounts/{mine.id}")
    assert (again.status, again.body) == (200, reply.body)


def _is_done(stack: Stack, store: DynamoDisconnections, account_id: str) -> bool | None:
    """Have the reconciler run as if a minute had passed, and see if all is done."""
    work = store.work(account_id)
    if work is None:
        return True
    with suppress(LostRaceError):
        past = replace(
            work,
            disconnected_at=work.disconnected_at - timedelta(minutes=1),
            due_at=work.disconnected_at,
            revision=work.revision + 1,
        )
        store.advance(past, expected_revision=work.revision)
    client(stack, "lambda").invoke(FunctionName=stack["outputs"]["ReconcileFunctionName"])
    return None


def told_of(stack: Stack, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], set[str]] | None:
    """Return the event ids received of each subject and event; None until all have come."""
    told: dict[tuple[str, str], set[str]] = {}
    for line in lines(stack["receiver"]["log"]):
        body = json.loads(line["body"])
        payload = body["payload"]
        subject = payload.get("post") or payload.get("account") or {}
        subject_and_event = (str(subject.get("id")), str(body["event"]))
        if subject_and_event in wanted:
            told.setdefault(subject_and_event, set()).add(payload["eventId"])
    return told if told.keys() == wanted else None


def test_a_hold_and_a_limit_count_from_the_next_request_on(
    stack: Stack, deployment: Deployment
) -> None:
    # Given a workspace of its own
    operator = Operator(deployment)
    workspace_id = operator.workspaces.create(unique("On hold")[:60]).id
    user_id = operator.workspaces.add_member(workspace_id, Role.OWNER).user_id
    account = operator.accounts.add(workspace_id, Platform.X, "X", unique("hold"))
    key = operator.keys.mint(user_id, "hold").plaintext
    api = Api({**stack, "keys": {"owner": key}})
    scheduled = api.schedule(account.id, seconds=AN_HOUR)
    # When it is held
    operator.workspaces.hold(workspace_id, "unpaid")
    # Then nothing is scheduled, and drafts are made
    timed = {
        "content": "x",
        "platforms": [{"accountId": account.id}],
        "scheduledFor": moment(AN_HOUR),
    }
    refused = api.call("POST", "/posts", timed)
    assert (refused.status, refused.body["code"]) == (423, "WORKSPACE_ON_HOLD")
    api.create(account.id)
    shown = api.call("GET", f"/workspaces/{workspace_id}").body
    assert shown["heldAt"] is not None
    assert shown["holdReason"] == "unpaid"
    assert api.get(scheduled["id"])["status"] == "SCHEDULED"
    # When it is released with a limit, and twice as many are created at once
    operator.workspaces.release(workspace_id)
    operator.workspaces.limit(workspace_id, AT_ONCE)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        replies = list(pool.map(lambda _: api.call("POST", "/posts", timed), range(2 * AT_ONCE)))
    # Then exactly as many are as the limit says
    assert sorted(reply.status for reply in replies) == [201] * AT_ONCE + [403] * AT_ONCE
    last = next(reply for reply in replies if reply.status == 403)
    assert (last.body["code"], last.body["limit"], last.body["current"]) == (
        "PLAN_LIMIT_POSTS",
        AT_ONCE,
        AT_ONCE,
    )
    # And it is listed among the workspaces of its one member, with its account
    assert [each["id"] for each in api.call("GET", "/workspaces").body] == [workspace_id]
    assert [each["id"] for each in api.call("GET", "/social-accounts").body] == [account.id]
