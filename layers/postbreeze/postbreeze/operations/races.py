"""Deciding again when a row has moved between reading and writing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from postbreeze.domain.changes import Change
from postbreeze.domain.errors import ContendedError, LostRaceError
from postbreeze.domain.post import Post
from postbreeze.operations.ports import PostStore

MOST_RACES = 8
"""How often a decision is made before giving up; each loss means that somebody else got on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The post as it stands after deciding, and the change if one was committed."""

    post: Post
    change: Change | None


def decide(
    posts: PostStore,
    post_id: str,
    decision: Callable[[Post], Change | None],
    *,
    post: Post | None = None,
) -> Decided | None:
    """Read, decide and commit; where the race is lost, do so again.

    Args:
        posts: The store.
        post_id: Whose post it is about.
        decision: A transition, given the post as read; None where there is nothing to do.
        post: The post if it was read already.

    Returns:
        None where there is no such post.

    Raises:
        ContendedError: Every one of the bounded attempts lost.
        UnavailableError: The store did not answer.
    """
    for _ in range(MOST_RACES):
        post = post or posts.read(post_id)
        if post is None:
            return None
        try:
            change = decision(post)
            if change is None or change.is_empty:
                return Decided(post=post, change=change)
            posts.commit(change)
        except LostRaceError:
            post = None
        else:
            return Decided(post=change.after, change=change)
    raise ContendedError
