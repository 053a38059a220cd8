"""Deleting a post: what of it waits to be published is cancelled in the same commit."""

from __future__ import annotations

from dataclasses import dataclass

from postbreeze.domain import lifecycle
from postbreeze.domain.access import EDITORS, ApiKey
from postbreeze.domain.post import Post
from postbreeze.operations.answers import Answer
from postbreeze.operations.changing import ChangePost, Decision, PostRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletePost:
    """Deletes a post for good; its row stays, and no client ever sees it again."""

    change_post: ChangePost

    def __call__(self, request: PostRequest) -> Answer:
        """Delete, and answer with the post as it was left, and with what was cancelled.

        Once this has returned, nothing of the post begins to be published.

        Raises:
            RefusalError: Not allowed, or not there (any more); nothing was written.
            ContendedError: The post kept moving; nothing was written.
            UnavailableError: The database did not answer; the post may have been deleted.
        """

        def decide(post: Post, key: ApiKey) -> Decision:
            deletion = lifecycle.delete(
                post, actor=key.owner_user_id, now=self.change_post.clock.now()
            )
            cancelled = deletion.document
            return Decision(
                change=deletion.change,
                roles=EDITORS,
                extra={} if cancelled is None else {"cancellation": cancelled},
            )

        return self.change_post(request, decide, roles=EDITORS)
