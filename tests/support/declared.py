"""Holds what the functions answer against what their routes are declared to answer."""

from __future__ import annotations

import re

from postbreeze.http import openapi
from postbreeze.http.openapi.declaring import Operation
from postbreeze.http.problems import INTERNAL_ERROR, PROBLEMS
from postbreeze.http.responses import BASE_PATH

Outcome = tuple[int, str | None]
"""A status, and the code that a failure has with it."""

_PATTERNS = {
    each.name: re.compile(BASE_PATH + re.sub("{[^}]+}", "[^/]+", each.path))
    for each in openapi.OPERATIONS
}


def declared(operation: Operation) -> frozenset[Outcome]:
    """Return all that an operation is declared to answer."""
    problems = [*(PROBLEMS[error] for error in operation.errors), INTERNAL_ERROR]
    return frozenset(
        [(answer.status, None) for answer in operation.answers]
        + [(problem.status, problem.code) for problem in problems]
    )


def operation_at(method: str, path: str) -> Operation | None:
    """Find the operation that a request is for; None if it is for none."""
    literal = [each for each in openapi.OPERATIONS if BASE_PATH + each.path == path]
    found = literal or [each for each in openapi.OPERATIONS if _PATTERNS[each.name].fullmatch(path)]
    return next((each for each in found if each.method == method.lower()), None)


def check_declared(method: str, path: str, status: int, body: object) -> None:
    """Insist on it that the answer is one that is declared."""
    operation = operation_at(method, path)
    if operation is not None:
        code = body["code"] if isinstance(body, dict) and status >= 400 else None
        assert (status, code) in declared(operation), f"{operation.name} answered {status} {code}"
    else:
        assert status in {404, 405}, f"{method} {path} answered {status}"
