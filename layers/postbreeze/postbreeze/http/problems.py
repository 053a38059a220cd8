"""One answer for every failure.

``PROBLEMS`` is the only place where an error meets its status, code and sentence: handlers answer
by it and the API description is written from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from postbreeze.domain.errors import (
    AmbiguousTargetsError,
    ContendedError,
    ForbiddenError,
    IdempotencyInProgressError,
    IdempotencyKeyInvalidError,
    IdempotencyKeyReusedError,
    NotFoundError,
    PostNotCancelableError,
    PreconditionFailedError,
    RefusalError,
    UnauthorizedError,
    UnavailableError,
    ValidationError,
)

MOST_DETAILS = 100
"""How many details one answer lists: enough to mend any honest request."""


class PayloadTooLargeError(RefusalError):
    """The body is longer than a request may be."""


class UnsupportedMediaTypeError(RefusalError):
    """The body is not JSON, or not said to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """How one kind of failure is answered; ``headers`` come on top of the usual ones."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] | None = None


PROBLEMS: Mapping[type[Exception], Problem] = {
    ValidationError: Problem(
        status=400, code="VALIDATION_FAILED", message="The request is not valid; see the details."
    ),
    AmbiguousTargetsError: Problem(
        status=400,
        code="MUST_SPECIFY_EXACTLY_ONE",
        message="Give exactly one of platforms and targets.",
    ),
    PostNotCancelableError: Problem(
        status=400, code="POST_NOT_CANCELABLE", message="Nothing of this post can be stopped."
    ),
    IdempotencyKeyInvalidError: Problem(
        status=400,
        code="IDEMPOTENCY_KEY_INVALID",
        message="Idempotency-Key must be 1 to 255 printable ASCII characters.",
    ),
    UnauthorizedError: Problem(
        status=401,
        code="UNAUTHORIZED",
        message="Unauthorized",
        headers={"WWW-Authenticate": "Bearer"},
    ),
    ForbiddenError: Problem(
        status=403, code="FORBIDDEN", message="Your role in this workspace does not allow this."
    ),
    NotFoundError: Problem(
        status=404, code="NOT_FOUND", message="There is nothing here that you can reach."
    ),
    ContendedError: Problem(
        status=409,
        code="CONFLICT",
        message="The post kept changing while this request ran; read it and try again.",
    ),
    IdempotencyInProgressError: Problem(
        status=409,
        code="IDEMPOTENCY_IN_PROGRESS",
        message="The first request with this Idempotency-Key is still running.",
        headers={"Retry-After": "1"},
    ),
    PreconditionFailedError: Problem(
        status=412,
        code="PRECONDITION_FAILED",
        message="If-Match names another version of the post.",
    ),
    PayloadTooLargeError: Problem(
        status=413, code="PAYLOAD_TOO_LARGE", message="The body must be at most 262144 bytes."
    ),
    UnsupportedMediaTypeError: Problem(
        status=415,
        code="UNSUPPORTED_MEDIA_TYPE",
        message="The body must be application/json in UTF-8, and its Content-Type must say so.",
    ),
    IdempotencyKeyReusedError: Problem(
        status=422,
        code="IDEMPOTENCY_KEY_REUSED",
        message="This Idempotency-Key was used for another request.",
    ),
    UnavailableError: Problem(
        status=503,
        code="SERVICE_UNAVAILABLE",
        message="A part of the service does not answer; try again.",
        headers={"Retry-After": "1"},
    ),
}

INTERNAL_ERROR = Problem(
    status=500, code="INTERNAL_ERROR", message="Something went wrong on our side."
)
"""What everything that has no place in the table becomes."""


def problem_for(error: Exception) -> Problem:
    """Find how an error is answered; what is not in the table is an internal error."""
    for ancestor in type(error).__mro__:
        if ancestor in PROBLEMS:
            return PROBLEMS[ancestor]
    return INTERNAL_ERROR


def envelope(problem: Problem, error: Exception | None, request_id: str) -> dict[str, Any]:
    """Write the body that tells of a failure: the four fields, and what the error adds."""
    return {
        "statusCode": problem.status,
        "code": problem.code,
        "message": problem.message,
        "requestId": request_id,
        **_extras(error),
    }


def _extras(error: Exception | None) -> dict[str, Any]:
    if isinstance(error, ValidationError):
        shown = error.details[:MOST_DETAILS]
        return {"details": [{"path": d.path, "message": d.message} for d in shown]}
    if isinstance(error, PostNotCancelableError):
        targets = [dict(target) for target in error.targets]
        return {"status": error.status, **({"targets": targets} if targets else {})}
    if isinstance(error, PreconditionFailedError):
        return {"current": error.current}
    return {}
