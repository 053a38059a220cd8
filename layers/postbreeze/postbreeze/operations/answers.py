"""What an operation answers its caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from postbreeze.domain.errors import (
    IdempotencyInProgressError,
    IdempotencyKeyReusedError,
)
from postbreeze.operations.ports import PostStore, StoredAnswer

ANSWERS_KEPT = timedelta(hours=24)
"""How long the answer to an ``Idempotency-Key`` is repeated."""

RUNNING_AT_MOST = timedelta(seconds=60)
"""After this a request that never ended counts as dead: functions are stopped long before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """A client's key for one request, and a digest of all that makes up the request."""

    key: str
    request_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status and a document; ``replayed`` where it is an earlier request's."""

    status: int
    body: Mapping[str, Any]
    replayed: bool = False


def stored(
    posts: PostStore, key_digest: str, idempotency: Idempotency | None
) -> StoredAnswer | None:
    """Read what was answered to the request before; without a key nothing is read."""
    return None if idempotency is None else posts.answer(key_digest, idempotency.key)


def to_store(
    idempotency: Idempotency | None,
    *,
    key_digest: str,
    post_id: str,
    now: datetime,
    answer: Answer | None = None,
) -> StoredAnswer | None:
    """Build the row that makes a request repeatable; without ``answer`` it says "running"."""
    if idempotency is None:
        return None
    return StoredAnswer(
        key_digest=key_digest,
        idempotency_key=idempotency.key,
        request_digest=idempotency.request_digest,
        post_id=post_id,
        created_at=now,
        expires_at=now + ANSWERS_KEPT,
        status=None if answer is None else answer.status,
        body=None if answer is None else answer.body,
    )


def replay(earlier: StoredAnswer, idempotency: Idempotency, now: datetime) -> Answer | None:
    """Repeat what was answered; None where the first request died before it could answer.

    Raises:
        IdempotencyKeyReusedError: The key was used for another request.
        IdempotencyInProgressError: The first request may still be running.
    """
    if earlier.request_digest != idempotency.request_digest:
        raise IdempotencyKeyReusedError
    if earlier.status is not None and earlier.body is not None:
        return Answer(status=earlier.status, body=earlier.body, replayed=True)
    if now < earlier.created_at + RUNNING_AT_MOST:
        raise IdempotencyInProgressError
    return None
