"""Who may do what: roles, and the keys that act for their owner."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """A member's role in one workspace."""

    OWNER = "OWNER"
    ADMIN = "ADMIN"
    EDITOR = "EDITOR"
    CLIENT_REVIEWER = "CLIENT_REVIEWER"


EDITORS = frozenset({Role.OWNER, Role.ADMIN, Role.EDITOR})
"""May schedule, cancel, edit, retry and delete."""

AUTHORS = EDITORS | {Role.CLIENT_REVIEWER}
"""May create a post; a client reviewer's waits for approval."""

MANAGERS = frozenset({Role.OWNER, Role.ADMIN})
"""May disconnect accounts, approve posts and manage webhooks."""

READERS = frozenset(Role)
"""May read: every member."""


class Grant(StrEnum):
    """A power that a key has only if it was minted with it."""

    WEBHOOKS = "webhooks"


REQUESTS_PER_MINUTE = 60
REQUESTS_PER_QUARTER_HOUR = 1_000
"""What a key may do unless it says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as the server knows it; its plaintext is never stored.

    ``workspace_ids`` is None for a full-access key and the allow-list of a scoped one.
    How many requests it may make is a setting of its own. ``cursor_secret`` signs the cursors that
    are made for it.
    """

    id: str
    digest: str
    owner_user_id: str
    name: str
    hint: str
    created_at: datetime
    workspace_ids: frozenset[str] | None = None
    grants: frozenset[Grant] = frozenset()
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    requests_per_minute: int = REQUESTS_PER_MINUTE
    requests_per_quarter_hour: int = REQUESTS_PER_QUARTER_HOUR
    cursor_secret: bytes = field(default=b"", repr=False)
    revision: int = 1

    def is_usable(self, now: datetime) -> bool:
        """Tell whether the key opens anything at this moment."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def reaches(self, workspace_id: str) -> bool:
        """Tell whether the key may act in this workspace, its owner's membership aside."""
        return self.workspace_ids is None or workspace_id in self.workspace_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A user's membership of a workspace."""

    workspace_id: str
    user_id: str
    role: Role
    created_at: datetime
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A workspace: what members, accounts, posts and endpoints belong to.

    While ``held_at`` is set nothing can be scheduled into it. ``post_limit`` is how many posts may
    be created in it in one calendar month (UTC); None sets no limit. ``updated_at`` is None until
    it is changed.
    """

    id: str
    name: str
    created_at: datetime
    updated_at: datetime | None = None
    held_at: datetime | None = None
    hold_reason: str | None = None
    post_limit: int | None = None
    revision: int = 1
