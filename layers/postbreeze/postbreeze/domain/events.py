"""Events: what happened to a post or an account, told once for each transition.

An event row is written in the same transaction as the change it tells of (a transactional outbox)
and carries everything a subscriber will be sent. It stays as its timeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class EventType(StrEnum):
    """The names subscribers know."""

    POST_CREATED = "post.created"
    POST_SCHEDULED = "post.scheduled"
    POST_RESCHEDULED = "post.rescheduled"
    POST_CANCELLED = "post.cancelled"
    POST_TARGETS_CANCELLED = "post.targets_cancelled"
    POST_PUBLISHED = "post.published"
    POST_PARTIALLY_PUBLISHED = "post.partially_published"
    POST_FAILED = "post.failed"
    POST_DELETED = "post.deleted"
    ACCOUNT_DISCONNECTED = "account.disconnected"
    WEBHOOK_TEST = "webhook.test"
    WEBHOOK_DISABLED = "webhook.disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened, to a post or to an account.

    ``post_id`` is whose event it is: the post's id, or the account's where it is about an account.
    ``payload`` is what subscribers get. ``actor`` is a user id, or the name of the part of the
    service that acted; ``version_before`` is 0 for a creation. ``pending_since`` is set until the
    event has been fanned out.
    """

    id: str
    type: EventType
    post_id: str
    workspace_id: str
    occurred_at: datetime
    actor: str
    version_before: int
    version_after: int
    payload: Mapping[str, Any]
    reason: str | None = None
    pending_since: datetime | None = None
    revision: int = 1
