"""The errors that routes have in common, by the reason why they have them."""

from __future__ import annotations

from postbreeze.domain.errors import (
    IdempotencyInProgressError,
    IdempotencyKeyInvalidError,
    IdempotencyKeyReusedError,
    RateLimitedError,
    UnauthorizedError,
    UnavailableError,
    ValidationError,
)
from postbreeze.http.openapi.declaring import Errors
from postbreeze.http.problems import PayloadTooLargeError, UnsupportedMediaTypeError

KEYED: Errors = (UnauthorizedError, RateLimitedError, UnavailableError)
"""A key is asked for, looked up, and its requests are counted."""

WITH_BODY: Errors = (ValidationError, PayloadTooLargeError, UnsupportedMediaTypeError)
"""A body is read."""

ONCE: Errors = (IdempotencyKeyInvalidError, IdempotencyKeyReusedError)
"""An ``Idempotency-Key`` is taken."""

RUNNING: Errors = (IdempotencyInProgressError,)
"""A post may be in the middle of being armed when the answer is due."""
