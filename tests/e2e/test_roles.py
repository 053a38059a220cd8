"""IAM is evaluated: a function whose role lacks one action it needs cannot do its work."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.aws import client
from tests.e2e.client import Api

pytestmark = pytest.mark.e2e

Stack = Mapping[str, Any]


@contextmanager
def without(stack: Stack, function: str, action: str) -> Iterator[None]:
    """Take one action from the role of a function."""
    iam = client(stack, "iam")
    configuration = client(stack, "lambda").get_function_configuration(
        FunctionName=stack["outputs"][f"{function}FunctionName"]
    )
    role = configuration["Role"].rpartition("/")[2]
    changed: dict[str, str] = {}
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        document = json.loads(document) if isinstance(document, str) else document
        before = json.dumps(document)
        for statement in document["Statement"]:
            actions = statement["Action"]
            actions = [actions] if isinstance(actions, str) else actions
            statement["Action"] = [kept for kept in actions if kept != action]
        document["Statement"] = [entry for entry in document["Statement"] if entry["Action"]]
        if json.dumps(document) != before:
            changed[name] = before
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
    assert changed, f"the role of {function} does not hold {action}"
    try:
        yield
    finally:
        for name, before in changed.items():
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=before)


@pytest.mark.parametrize(
    "action",
    [
        "dynamodb:Query",
        "dynamodb:PutItem",
        "dynamodb:ConditionCheckItem",
        "dynamodb:UpdateItem",
    ],
)
def test_a_cancel_without_one_of_its_actions_fails_and_changes_nothing(
    stack: Stack, action: str
) -> None:
    # Given a scheduled post
    api = Api(stack)
    post = api.schedule(stack["accounts"]["BLUESKY"][0], seconds=3600)
    # When the cancel function may not do one thing it needs
    with without(stack, "CancelPost", action):
        refused = api.cancel(post["id"])
    # Then the caller is told to come back, without a word of AWS, and the post stands
    assert (refused.status, refused.body["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert "Retry-After" in refused.headers
    assert "AccessDenied" not in json.dumps(refused.body)
    assert api.get(post["id"]) == post
    # And with its role whole again it works
    assert api.cancel(post["id"]).status == 200
