"""What a route is declared with, and what its declaration becomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from postbreeze.domain.errors import UnauthorizedError
from postbreeze.http.openapi.schemas import Schema, ref
from postbreeze.http.problems import INTERNAL_ERROR, PROBLEMS, Problem
from postbreeze.http.responses import JSON
from postbreeze.http.schemas import Body

Errors = tuple[type[Exception], ...]

RATE_LIMITS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
"""On every answer to a key that opens something."""

_UNAUTHORIZED = PROBLEMS[UnauthorizedError].status


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """A good answer; ``headers`` come on top of those that every answer of the route has."""

    status: int = 200
    description: str
    schema: Schema | None
    headers: tuple[str, ...] = ()
    media_type: str = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route: what it is asked with, and everything that it may answer.

    ``bodies`` are the shapes of which the body has exactly one, ``example`` is a good one;
    ``errors`` lists each error that the route can end with but the internal one, which any can.
    """

    method: str
    path: str
    name: str
    summary: str
    description: str | None = None
    parameters: tuple[Schema, ...] = ()
    bodies: tuple[type[Body], ...] = ()
    needs_body: bool = True
    example: Schema | None = None
    answers: tuple[Success, ...]
    errors: Errors
    needs_key: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """The routes that have to do with one kind of thing."""

    tag: str
    description: str
    operations: tuple[Operation, ...]


def described(operation: Operation, tag: str) -> dict[str, Any]:
    """Return an operation as OpenAPI has it."""
    common: tuple[str, ...] = ("X-Request-Id",)
    if operation.needs_key:
        common += RATE_LIMITS
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [tag],
        "summary": operation.summary,
    }
    if operation.description is not None:
        described["description"] = operation.description
    if not operation.needs_key:
        described["security"] = []
    if operation.parameters:
        described["parameters"] = list(operation.parameters)
    if operation.bodies:
        described["requestBody"] = _body(operation)
    described["responses"] = {
        **{str(answer.status): _success(answer, common) for answer in operation.answers},
        **_failures(operation.errors, common),
    }
    return described


def codes_of(failure: Mapping[str, Any]) -> list[str]:
    """Return the error codes that a described failure can have."""
    codes: list[str] = failure["content"][JSON]["schema"]["properties"]["code"]["enum"]
    return codes


def _body(operation: Operation) -> dict[str, Any]:
    shapes = [ref(body.__name__) for body in operation.bodies]
    schema = shapes[0] if len(shapes) == 1 else {"oneOf": shapes}
    content: dict[str, Any] = {"schema": schema}
    if operation.example is not None:
        content["example"] = operation.example
    return {"required": operation.needs_body, "content": {JSON: content}}


def _success(answer: Success, common: Iterable[str]) -> dict[str, Any]:
    success: dict[str, Any] = {
        "description": answer.description,
        "headers": _headers(*common, *answer.headers),
    }
    if answer.schema is not None:
        success["content"] = {answer.media_type: {"schema": answer.schema}}
    return success


def _failures(errors: Errors, common: Iterable[str]) -> dict[str, Any]:
    by_status: dict[int, list[Problem]] = {}
    for problem in [*(PROBLEMS[error] for error in errors), INTERNAL_ERROR]:
        by_status.setdefault(problem.status, []).append(problem)
    return {
        str(status): {
            "description": " ".join(
                f"`{problem.code}`: {problem.message.rstrip('.')}." for problem in problems
            ),
            "headers": _headers(
                *(name for name in common if status != _UNAUTHORIZED or name not in RATE_LIMITS),
                *dict.fromkeys(name for problem in problems for name in problem.headers or {}),
            ),
            "content": {
                JSON: {
                    "schema": {
                        "allOf": [ref("Problem")],
                        "properties": {
                            "statusCode": {"const": status},
                            "code": {"enum": [problem.code for problem in problems]},
                        },
                    }
                }
            },
        }
        for status, problems in sorted(by_status.items())
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: ref(name, "headers") for name in names}
