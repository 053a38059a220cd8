"""Who gets in: every operation that a client calls asks here."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from postbreeze.domain.access import ApiKey, Member, Role, Workspace
from postbreeze.domain.errors import (
    ForbiddenError,
    NotFoundError,
    UnauthorizedError,
    WorkspaceOnHoldError,
)
from postbreeze.domain.post import Post


def usable(key: ApiKey | None, now: datetime) -> ApiKey:
    """Return the key if it opens anything.

    Raises:
        UnauthorizedError: Unknown, revoked or expired; never told apart.
    """
    if key is None or not key.is_usable(now):
        raise UnauthorizedError
    return key


def visible(post: Post | None, key: ApiKey) -> Post:
    """Return the post if the key may know of it, its owner's membership aside.

    Raises:
        NotFoundError: Unknown, deleted or in a workspace outside the key's allow-list.
    """
    if post is None or post.deleted_at is not None or not key.reaches(post.workspace_id):
        raise NotFoundError
    return post


def permitted(member: Member | None, roles: Collection[Role]) -> Member:
    """Return the membership if its role is enough.

    Raises:
        NotFoundError: Not a member: the workspace does not exist for this caller.
        ForbiddenError: A member whose role is too low.
    """
    if member is None:
        raise NotFoundError
    if member.role not in roles:
        raise ForbiddenError
    return member


def reaches(key: ApiKey, workspace_id: str | None) -> str:
    """Return the workspace that a request's object is in, if there is one that the key reaches.

    Raises:
        NotFoundError: There is no such object, or it is outside the key's allow-list.
    """
    if workspace_id is None or not key.reaches(workspace_id):
        raise NotFoundError
    return workspace_id


def workspace_named(key: ApiKey, workspace_id: str) -> None:
    """Let a request pass that names a workspace itself; asked before anything is looked for.

    Raises:
        ForbiddenError: It is outside the key's allow-list, whether it exists or not.
    """
    if not key.reaches(workspace_id):
        raise ForbiddenError


def not_held(workspace: Workspace | None) -> None:
    """Let a request pass that is to schedule something into this workspace.

    Raises:
        WorkspaceOnHoldError: The workspace is held.
    """
    if workspace is not None and workspace.held_at is not None:
        raise WorkspaceOnHoldError
