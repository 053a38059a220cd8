"""Answers as they leave: JSON, never stored, always with the request's id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.event_handler.api_gateway import Response

from postbreeze.http.problems import envelope, problem_for
from postbreeze.operations.answers import Answer

JSON = "application/json"
BASE_PATH = "/api/v1"


def success(answer: Answer, *, is_current: bool = True) -> Response[str]:
    """Write an operation's answer; ``is_current`` is False where it shows what only might be."""
    headers = {}
    if is_current:
        headers["ETag"] = f'"{answer.body["version"]}"'
    if answer.status == 201:
        headers["Location"] = f"{BASE_PATH}/posts/{answer.body['id']}"
    if answer.replayed:
        headers["Idempotency-Replayed"] = "true"
    return _response(answer.status, answer.body, headers)


def failure(error: Exception, request_id: str) -> Response[str]:
    """Write the answer to a request that failed."""
    problem = problem_for(error)
    return _response(problem.status, envelope(problem, error, request_id), problem.headers or {})


def _response(status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> Response[str]:
    return Response(
        status_code=status,
        content_type=JSON,
        body=json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        headers={
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            **headers,
        },
    )
