"""What DynamoDB's failures mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from botocore.exceptions import ClientError
from pynamodb.exceptions import PynamoDBException

from postbreeze.adapters import aws
from postbreeze.adapters.aws import code_of, outage
from postbreeze.domain.errors import UnavailableError

CONDITION_FAILED: Final = "ConditionalCheckFailedException"
CANCELLED: Final = "TransactionCanceledException"
_CONFLICT: Final = "TransactionConflictException"
"""A single write met a transaction, which may end either way."""

REASON_CONDITION: Final = "ConditionalCheckFailed"
REASON_CONFLICT: Final = "TransactionConflict"
REASONS_BUSY: Final = frozenset({"ProvisionedThroughputExceeded", "ThrottlingError"})


def original(error: PynamoDBException) -> Exception:
    """Return botocore's error: what PynamoDB wraps lacks the HTTP status."""
    cause = error.cause or error
    return cause.__cause__ if isinstance(cause.__cause__, ClientError) else cause


def code(error: PynamoDBException) -> str:
    """Return DynamoDB's own name for a failure, or nothing if it did not answer."""
    cause = original(error)
    return code_of(cause) if isinstance(cause, ClientError) else ""


def row_met(error: PynamoDBException) -> dict[str, dict[str, Any]] | None:
    """Return the row that a write's condition failed on, if there was one and it was asked for."""
    cause = original(error)
    if not isinstance(cause, ClientError):
        return None
    response: Mapping[str, Any] = cause.response
    row: dict[str, dict[str, Any]] | None = response.get("Item")
    return row


@contextmanager
def outages() -> Iterator[None]:
    """Raise outages of the calls made inside as ``UnavailableError``; let all else pass."""
    try:
        with aws.outages():
            yield
    except PynamoDBException as error:
        if code(error) == _CONFLICT:
            raise UnavailableError(_CONFLICT) from error
        unavailable = outage(original(error))
        if unavailable is None:
            raise
        raise unavailable from error
