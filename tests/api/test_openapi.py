"""The API's description: valid, up to date, and true of what the routes answer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from postbreeze.domain.access import Role
from postbreeze.http import openapi
from postbreeze.http.openapi import schemas
from postbreeze.http.openapi.declaring import RATE_LIMITS, Operation, codes_of
from postbreeze.http.openapi.errors import WITH_BODY
from postbreeze.http.problems import INTERNAL_ERROR, PROBLEMS, MethodNotAllowedError
from postbreeze.http.responses import BASE_PATH
from tests.support.http_client import Api, Reply

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"
DESCRIPTION = openapi.document()


def conforms(schema: dict[str, Any], value: object) -> list[str]:
    """Return what is wrong with a value."""
    whole = {**schema, "components": DESCRIPTION["components"]}
    validator = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [error.message for error in validator.iter_errors(value)]


def resolved(response: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference to a response that operations share."""
    name = response.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = DESCRIPTION["components"]["responses"][name] if name else response
    return found


def answers(operation: dict[str, Any], reply: Reply) -> list[str]:
    """Return what is wrong with an answer: its status, its headers, its body."""
    response = operation["responses"].get(str(reply.status))
    if response is None:
        return [f"{reply.status} is not described"]
    described = resolved(response)
    faults = conforms(described["content"]["application/json"]["schema"], reply.body)
    missing = {"X-Request-Id"} - {name.title() for name in reply.headers}
    return faults + sorted(missing)


def test_it_is_valid() -> None:
    validate(DESCRIPTION)


def test_the_committed_file_is_up_to_date() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == openapi.text(), "run: make openapi"


def test_the_routes_are_those_that_are_served() -> None:
    # Given every route of every function, names of what varies aside
    served = {(method, re.sub("<[^>]+>", "{}", path)) for method, path in Api().routes}
    # Then they are described, and no others
    described = {
        (operation.method.upper(), BASE_PATH + re.sub("{[^}]+}", "{}", operation.path))
        for operation in openapi.OPERATIONS
    }
    assert described == served


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation.name for operation in openapi.OPERATIONS]
    assert len(set(names)) == len(names)


def test_every_problem_can_happen_somewhere() -> None:
    described = {
        code
        for response in DESCRIPTION["components"]["responses"].values()
        for code in codes_of(response)
    }
    # A method that a path does not have has no place in a description of those it has.
    undescribed = {PROBLEMS[MethodNotAllowedError].code}
    assert described | undescribed == {
        problem.code for problem in [*PROBLEMS.values(), INTERNAL_ERROR]
    }
    assert not described & undescribed


@pytest.mark.parametrize("operation", openapi.OPERATIONS, ids=lambda operation: operation.name)
def test_a_route_declares_what_all_of_its_kind_have_in_common(operation: Operation) -> None:
    responses = DESCRIPTION["paths"][operation.path][operation.method]["responses"]
    assert len(set(operation.errors)) == len(operation.errors)
    # Whoever asks for a key refuses bad ones, counts its requests and says how many are left
    assert ("401" in responses, "429" in responses) == (operation.needs_key,) * 2
    for status, response in responses.items():
        headers = set(resolved(response)["headers"])
        assert "X-Request-Id" in headers
        assert (set(RATE_LIMITS) <= headers) is (operation.needs_key and status != "401")
    # And a route with a body can refuse it in every way
    assert set(WITH_BODY) <= set(operation.errors) or not operation.bodies


def test_examples_are_good() -> None:
    for operation in openapi.OPERATIONS:
        if operation.bodies:
            described = DESCRIPTION["paths"][operation.path][operation.method]
            body = described["requestBody"]["content"]["application/json"]
            assert conforms(body["schema"], body["example"]) == []


@pytest.mark.parametrize("fields", [schemas.POST_FIELDS, schemas.TARGET_FIELDS])
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
