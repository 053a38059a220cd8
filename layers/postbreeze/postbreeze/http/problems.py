"""One answer for every failure.

``PROBLEMS`` is the only place where an error meets its status, code and sentence: handlers answer
by it and the API description is written from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from postbreeze.domain.errors import (
    AmbiguousTargetsError,
    ContendedError,
    FirstCommentNotRetriableError,
    ForbiddenError,
    IdempotencyInProgressError,
    IdempotencyKeyInvalidError,
    IdempotencyKeyReusedError,
    MediaInUseError,
    NotFoundError,
    NothingToRetryError,
    PlanLimitError,
    PlatformRuleError,
    PostNotCancelableError,
    PostNotEditableError,
    PostNotSchedulableError,
    PreconditionFailedError,
    RateLimitedError,
    RefusalError,
    UnauthorizedError,
    UnavailableError,
    ValidationError,
    WorkspaceOnHoldError,
    WrongStateError,
)

MOST_DETAILS = 100
"""How many details one answer lists: enough to mend any honest request."""


class MethodNotAllowedError(RefusalError):
    """The path is known, and has other methods only."""

    def __init__(self, methods: Iterable[str]) -> None:
        """Keep the methods that it has."""
        self.methods = tuple(methods)
        super().__init__(f"It has {', '.join(self.methods)}.")


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
    PostNotSchedulableError: Problem(
        status=400,
        code="POST_NOT_SCHEDULABLE",
        message="A post in this state cannot be scheduled or approved.",
    ),
    PostNotEditableError: Problem(
        status=400, code="POST_NOT_EDITABLE", message="A post in this state cannot be edited."
    ),
    NothingToRetryError: Problem(
        status=400, code="NOTHING_TO_RETRY", message="Nothing of this post has failed."
    ),
    FirstCommentNotRetriableError: Problem(
        status=400,
        code="FIRST_COMMENT_NOT_RETRIABLE",
        message="This target has no first comment that could not be made.",
    ),
    MediaInUseError: Problem(
        status=400,
        code="MEDIA_IN_USE",
        message="Posts that are still to go out need this; cancel them, or give them other media.",
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
    RateLimitedError: Problem(
        status=429,
        code="RATE_LIMITED",
        message="Too many requests, or too soon; wait for retryAfterMs.",
        headers={"Retry-After": "1"},
    ),
    ForbiddenError: Problem(
        status=403, code="FORBIDDEN", message="Your role, or your key, does not allow this."
    ),
    PlanLimitError: Problem(
        status=403,
        code="PLAN_LIMIT_POSTS",
        message="This workspace has had its posts for this calendar month.",
    ),
    NotFoundError: Problem(
        status=404, code="NOT_FOUND", message="There is nothing here that you can reach."
    ),
    MethodNotAllowedError: Problem(
        status=405,
        code="METHOD_NOT_ALLOWED",
        message="This path does not have this method; the header Allow names those it has.",
    ),
    ContendedError: Problem(
        status=409,
        code="CONFLICT",
        message="This kept changing while the request ran; read it and try again.",
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
    PlatformRuleError: Problem(
        status=422,
        code="PLATFORM_RULE_VIOLATED",
        message="A platform would not take this post; see the details.",
    ),
    WorkspaceOnHoldError: Problem(
        status=423,
        code="WORKSPACE_ON_HOLD",
        message="This workspace is on hold: nothing can be scheduled in it for now.",
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


def headers_for(problem: Problem, error: Exception) -> dict[str, str]:
    """Return the headers that tell of a failure, on top of the usual ones."""
    headers = dict(problem.headers or {})
    if isinstance(error, MethodNotAllowedError):
        headers["Allow"] = ", ".join(error.methods)
    if isinstance(error, RateLimitedError):
        # Rounded up: who comes back after whole seconds must not come too early.
        headers["Retry-After"] = str(-(-error.retry_after_ms // 1000))
    return headers


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
    if isinstance(error, (ValidationError, PlatformRuleError)):
        shown = error.details[:MOST_DETAILS]
        return {"details": [{"path": d.path, "message": d.message} for d in shown]}
    if isinstance(error, PostNotCancelableError):
        targets = [dict(target) for target in error.targets]
        return {"status": error.status, **({"targets": targets} if targets else {})}
    if isinstance(error, WrongStateError):
        return {"status": error.status}
    if isinstance(error, MediaInUseError):
        return {"posts": list(error.posts)}
    if isinstance(error, PreconditionFailedError):
        return {"current": error.current}
    if isinstance(error, PlanLimitError):
        return {"limit": error.limit, "current": error.current}
    if isinstance(error, RateLimitedError):
        return {"retryAfterMs": error.retry_after_ms}
    return {}
