"""Answers as they leave: JSON, never stored, always with the request's id."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from postbreeze.http.problems import envelope, headers_for, problem_for
from postbreeze.http.routing import Response
from postbreeze.operations.answers import Answer

JSON = "application/json"
BASE_PATH = "/api/v1"


def success(
    answer: Answer,
    *,
    is_current: bool = True,
    collection: str = "posts",
    part: str | None = None,
) -> Response:
    """Write an operation's answer.

    Args:
        answer: The answer.
        is_current: False where it has no version, or shows what only might be.
        collection: What a new thing is found below.
        part: The field that has the new thing, where that is not the whole body.
    """
    headers = {}
    if is_current:
        headers["ETag"] = f'"{answer.body["version"]}"'
    if answer.status == 201:
        made = answer.body if part is None else answer.body[part]
        headers["Location"] = f"{BASE_PATH}/{collection}/{made['id']}"
    if answer.replayed:
        headers["Idempotency-Replayed"] = "true"
    return _response(answer.status, answer.body, headers)


def listing(
    documents: Sequence[Mapping[str, Any]], headers: Mapping[str, str] | None = None
) -> Response:
    """Write documents as a bare array."""
    return _response(200, documents, headers or {})


def next_link(path: str, query: Sequence[tuple[str, str]], cursor: str | None) -> Mapping[str, str]:
    """Write the header that leads to the next page, if there is one.

    The link has no host, so that it leads to whichever the client has asked.
    """
    if cursor is None:
        return {}
    parameters = [(name, value) for name, value in query if name != "cursor"]
    following = urlencode([*parameters, ("cursor", cursor)])
    return {"Link": f'<{path}?{following}>; rel="next"'}


def failure(error: Exception, request_id: str) -> Response:
    """Write the answer to a request that failed."""
    problem = problem_for(error)
    headers = headers_for(problem, error)
    return _response(problem.status, envelope(problem, error, request_id), headers)


def _response(
    status: int,
    body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    headers: Mapping[str, str],
) -> Response:
    return Response(
        status=status,
        body=json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        headers={
            "Content-Type": JSON,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            **headers,
        },
    )
