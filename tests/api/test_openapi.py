"""The API's description: valid, up to date, and true of what the routes answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from postbreeze.domain.access import Role
from postbreeze.http import cancel, openapi, posts
from postbreeze.http.problems import INTERNAL_ERROR, PROBLEMS
from postbreeze.http.responses import BASE_PATH
from tests.support.http_client import Api, Reply

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"
DESCRIPTION = openapi.document()


def conforms(schema: dict[str, Any], value: object) -> list[str]:
    """Return what is wrong with a value."""
    whole = {**schema, "components": DESCRIPTION["components"]}
    validator = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [error.message for error in validator.iter_errors(value)]


def answers(operation: dict[str, Any], reply: Reply) -> list[str]:
    """Return what is wrong with an answer: its status, its headers, its body."""
    described = operation["responses"].get(str(reply.status))
    if described is None:
        return [f"{reply.status} is not described"]
    faults = conforms(described["content"]["application/json"]["schema"], reply.body)
    missing = {"X-Request-Id"} - {name.title() for name in reply.headers}
    return faults + sorted(missing)


def test_it_is_valid() -> None:
    validate(DESCRIPTION)


def test_the_committed_file_is_up_to_date() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == openapi.text(), "run: make openapi"


def test_the_routes_are_those_that_are_served() -> None:
    served = {
        (BASE_PATH + path, method) for path, item in DESCRIPTION["paths"].items() for method in item
    }
    assert served == {
        (posts.POSTS_PATH, "post"),
        (posts.POST_PATH.replace("<post_id>", "{postId}"), "get"),
        (cancel.CANCEL_PATH.replace("<post_id>", "{postId}"), "post"),
    }


def test_every_problem_can_happen_somewhere() -> None:
    described = {
        code
        for item in DESCRIPTION["paths"].values()
        for operation in item.values()
        for response in operation["responses"].values()
        for code in _codes(response)
    }
    assert described == {problem.code for problem in [*PROBLEMS.values(), INTERNAL_ERROR]}


def _codes(response: dict[str, Any]) -> list[str]:
    schema = response["content"]["application/json"]["schema"]
    codes: list[str] = schema.get("properties", {}).get("code", {}).get("enum", [])
    return codes


@pytest.mark.parametrize("fields", [openapi.POST_FIELDS, openapi.TARGET_FIELDS])
def test_documents_have_exactly_the_fields_described(fields: dict[str, Any]) -> None:
    post = Api().schedule()
    document = post if "targets" in fields else post["targets"][0]
    assert list(document) == list(fields)


def test_what_is_answered_is_described() -> None:
    # Given answers of every route, good and bad
    api = Api()
    create = DESCRIPTION["paths"]["/posts"]["post"]
    read = DESCRIPTION["paths"]["/posts/{postId}"]["get"]
    stop = DESCRIPTION["paths"]["/posts/{postId}/cancel"]["post"]
    body = {
        "content": "x",
        "platforms": [{"accountId": account} for account in api.accounts],
        "mediaItems": [{"url": "https://example.com/a.png"}],
        "scheduledFor": "2026-06-01T10:00:00Z",
    }
    created = api.call("POST", "/posts", body)
    path = f"/posts/{created.body['id']}"
    replies = [
        (create, created),
        (create, api.call("POST", "/posts", {})),
        (create, api.call("POST", "/posts", {**body, "content": 7})),
        (create, api.call("POST", "/posts", raw="x", headers={"Content-Type": "a/b"})),
        (read, api.call("GET", path)),
        (read, api.call("GET", "/posts/x")),
        (read, api.call("GET", path, key=api.add_key(None))),
        (read, api.call("GET", path, headers={"Authorization": "x"})),
        (stop, api.call("POST", f"{path}/cancel", headers={"If-Match": "1"})),
        (stop, api.call("POST", f"{path}/cancel", key=api.keys[Role.CLIENT_REVIEWER])),
        (stop, api.call("POST", f"{path}/cancel?dryRun=true")),
        (stop, api.call("POST", f"{path}/cancel", {"reason": "y"})),
        (stop, api.call("POST", f"{path}/cancel")),
    ]
    # Then all are as described
    statuses = [reply.status for _, reply in replies]
    assert statuses == [201, 400, 400, 415, 200, 400, 404, 401, 412, 403, 200, 200, 200]
    assert [answers(operation, reply) for operation, reply in replies] == [[]] * len(replies)


@pytest.mark.parametrize(
    ("document", "is_good"),
    [
        ({"platforms": [{"accountId": "soc_01JZZZZZZZZZZZZZZZZZZZZZZZ"}]}, True),
        ({"targets": [{"socialAccountId": "soc_01JZZZZZZZZZZZZZZZZZZZZZZZ"}]}, True),
        ({"targets": [], "platforms": []}, False),
        ({"platforms": [{"accountId": "soc_1"}]}, False),
        ({"targets": [{"accountId": "soc_01JZZZZZZZZZZZZZZZZZZZZZZZ"}]}, False),
        ({}, False),
    ],
)
def test_the_shapes_of_a_post_are_told_apart(document: dict[str, Any], is_good: bool) -> None:
    schema = DESCRIPTION["paths"]["/posts"]["post"]["requestBody"]["content"]["application/json"]
    assert (conforms(schema["schema"], document) == []) is is_good


def test_the_file_is_plain_json() -> None:
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == DESCRIPTION
