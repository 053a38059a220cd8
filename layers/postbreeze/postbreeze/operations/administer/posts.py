"""A look at one post: how it stands, what happened to it, whether a timer is set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from postbreeze.domain import ids
from postbreeze.domain.errors import NotFoundError
from postbreeze.domain.events import Event
from postbreeze.domain.post import Post
from postbreeze.operations.administer.checks import checked_id
from postbreeze.operations.ports import PostStore


class ScheduleLookup(Protocol):
    """Looks for one-shot timers."""

    def exists(self, workflow_id: str) -> bool:
        """Tell whether the timer is set at this moment."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PostView:
    """A post with its timeline; ``schedules`` tells of each timer of the post whether it is set."""

    post: Post
    timeline: Sequence[Event]
    schedules: dict[str, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Posts:
    """Shows posts, deleted ones too."""

    posts: PostStore
    schedules: ScheduleLookup

    def show(self, post_id: str) -> PostView:
        """Read a post and all that is known of it.

        Raises:
            ValidationError: The id is malformed.
            NotFoundError: There is no such post.
        """
        post = self.posts.read(checked_id(ids.POST, post_id))
        if post is None:
            raise NotFoundError(f"There is no post {post_id}.")
        return PostView(
            post=post,
            timeline=self.posts.timeline(post_id),
            schedules={name: self.schedules.exists(name) for name in _workflows(post)},
        )


def _workflows(post: Post) -> list[str]:
    """Return the timers that may be set: those in force, or, where none is, the last one."""
    named = [name for name in (post.workflow_id, post.pending_workflow_id) if name is not None]
    if not named and post.generation > 0:
        named = [f"{post.id}-{post.generation}"]
    return named
