"""What a post whose publishing has begun comes to."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from postbreeze.domain.changes import Announcement
from postbreeze.domain.events import EventType
from postbreeze.domain.post import Post, PostStatus, Target, TargetStatus
from postbreeze.domain.transitions.basics import MOVING

_ENDINGS = {
    PostStatus.PUBLISHED: EventType.POST_PUBLISHED,
    PostStatus.PARTIALLY_PUBLISHED: EventType.POST_PARTIALLY_PUBLISHED,
    PostStatus.FAILED: EventType.POST_FAILED,
}


def derive(targets: Collection[Target]) -> PostStatus:
    """Derive the status of a post whose publishing has begun from its targets."""
    statuses = {target.status for target in targets}
    if statuses & MOVING:
        return PostStatus.PUBLISHING
    published = TargetStatus.PUBLISHED in statuses
    failed = TargetStatus.FAILED in statuses
    if published and failed:
        return PostStatus.PARTIALLY_PUBLISHED
    if published:
        return PostStatus.PUBLISHED
    if failed:
        return PostStatus.FAILED
    return PostStatus.CANCELED


def concluded(post: Post) -> tuple[Post, tuple[Announcement, ...]]:
    """Return a post with the status its targets come to, and what is to be told if it ended."""
    status = derive(post.targets)
    if post.status is not PostStatus.PUBLISHING or status not in _ENDINGS:
        return post, ()
    ended = replace(post, status=status, workflow_id=None)
    return ended, (Announcement(type=_ENDINGS[status]),)
