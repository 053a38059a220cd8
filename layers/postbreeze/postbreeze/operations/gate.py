"""Who gets in: every operation that a client calls asks here."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from postbreeze.domain.access import ApiKey, Member, Role
from postbreeze.domain.errors import ForbiddenError, NotFoundError, UnauthorizedError
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
