"""The committed description, held against the deployed stack with every check of Schemathesis."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from local import paths
from local.seed import BLUESKY_ACCOUNTS, PLENTY
from postbreeze.cli.deployment import Operator
from postbreeze.domain import ids
from postbreeze.domain.access import Grant, Role
from postbreeze.domain.post import Platform
from tests.e2e.client import Api
from tests.support.deployment import operator_of
from tests.support.exploring import EXAMPLES, Place, explore, labels

pytestmark = pytest.mark.e2e

A_DAY = 24 * 3600
SUCCEEDS_IN_PROCESS_ONLY = {
    # Nothing that this machine serves is at a public https address.
    "POST /media/from-url",
    # A first comment that failed takes a platform that misbehaves at the right moment.
    "POST /posts/{postId}/targets/{targetId}/retry-first-comment",
}


def test_the_deployed_stack_does_what_the_description_says(stack: Mapping[str, Any]) -> None:
    # Given a workspace with things in every state, and a key that reaches nothing else
    description = json.loads((paths.ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    # This stack sends to its own machine too, which the description does not say.
    description["paths"] = {
        path: item
        for path, item in description["paths"].items()
        if not path.startswith("/webhooks")
    }
    place = _things(stack, operator_of(stack))
    # When it is explored
    found = explore(description, place, is_thorough=False)
    # Then nothing is wrong
    assert found.faults == []
    # And every operation was tried in many ways, and has done what it is for
    for operation in labels(description):
        assert found.tried[operation] >= EXAMPLES, operation
        best = min(found.statuses(operation))
        assert best < 300 or operation in SUCCEEDS_IN_PROCESS_ONLY, operation


def _things(stack: Mapping[str, Any], operator: Operator) -> Place:
    workspace_id = operator.workspaces.create("Explored").id
    user_id = operator.workspaces.add_member(workspace_id, Role.OWNER).user_id
    key = operator.keys.mint(
        user_id,
        "explorer",
        grants=list(Grant),
        requests_per_minute=PLENTY,
        requests_per_quarter_hour=PLENTY,
    )
    bluesky = operator.accounts.connect_bluesky(
        workspace_id,
        BLUESKY_ACCOUNTS[0],
        f"sandbox-{BLUESKY_ACCOUNTS[0]}",
        sign_in=operator.bluesky_sign_in,
    )
    others = [
        operator.accounts.add(workspace_id, Platform.THREADS, "Explored", f"explored-{number}")
        for number in range(30)
    ]
    api = Api({**stack, "keys": {"owner": key.plaintext}})
    drafts = [api.create(bluesky.id) for _ in range(8)]
    scheduled = [api.schedule(bluesky.id, seconds=A_DAY) for _ in range(8)]
    waiting = [api.schedule(bluesky.id, seconds=A_DAY, requiresApproval=True) for _ in range(4)]
    canceled = [api.cancel(post["id"]).body for post in scheduled[-4:]]
    # There is nobody to publish this to.
    failing = [api.schedule(others[0].id, seconds=1) for _ in range(4)]
    published = [api.schedule(bluesky.id, seconds=1) for _ in range(2)]
    failed = [api.wait_for(post["id"], "FAILED") for post in failing]
    published = [api.wait_for(post["id"], "PUBLISHED") for post in published]
    posts = [*drafts, *scheduled, *waiting, *failed, *published]
    file = {"filename": "a.png", "contentType": "image/png", "bytes": 7}
    assets = [api.call("POST", "/media/presign", file).body["mediaAsset"] for _ in range(30)]
    return Place(
        url=stack["apiUrl"],
        key=key.plaintext,
        receiver=stack["receiver"]["url"],
        known={
            ids.POST: [post["id"] for post in posts],
            ids.TARGET: [target["id"] for post in posts for target in post["targets"]],
            ids.ACCOUNT: [bluesky.id, *(account.id for account in others)],
            ids.WORKSPACE: [workspace_id],
            ids.MEDIA: [asset["id"] for asset in assets],
        },
        fitting={
            "approvePost": _named(waiting),
            "editPost": _named([*drafts, *scheduled[:4], *failed]),
            "retryPost": _named(failed),
            "schedulePost": _named([*drafts, *canceled]),
        },
    )


def _named(posts: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{"postId": post["id"]} for post in posts]
