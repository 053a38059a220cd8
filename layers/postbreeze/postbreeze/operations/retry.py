"""Publishing at once what failed, or the first comment that did."""

from __future__ import annotations

from dataclasses import dataclass

from postbreeze.domain import lifecycle
from postbreeze.domain.access import EDITORS, ApiKey
from postbreeze.domain.post import Post
from postbreeze.operations import gate
from postbreeze.operations.answers import Answer
from postbreeze.operations.changing import ChangePost, Decision, PostRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPost:
    """Publishes a post's failed targets again, and touches no other."""

    change_post: ChangePost

    def __call__(self, request: PostRequest) -> Answer:
        """Have what failed published at once, and answer with the post.

        Raises:
            RefusalError: Not allowed, not there, nothing has failed, or the workspace is held.
            ContendedError: The post kept moving; nothing was written.
            UnavailableError: The database did not answer; it may have been written.
        """

        def decide(post: Post, key: ApiKey) -> Decision:
            change = lifecycle.retry(
                post, actor=key.owner_user_id, now=self.change_post.clock.now()
            )
            place = self.change_post.directory.member_and_accounts(
                post.workspace_id, key.owner_user_id, ()
            )
            gate.not_held(place.workspace)
            return Decision(change=change, roles=EDITORS)

        return self.change_post(request, decide, roles=EDITORS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryFirstComment:
    """Has a published target's first comment made that could not be made."""

    change_post: ChangePost

    def __call__(self, request: PostRequest, target_id: str) -> Answer:
        """Have the comment made, and answer with the post, whose comment is pending again.

        Raises:
            RefusalError: Not allowed, not there, no comment is owed, or asked for too soon.
            ContendedError: The post kept moving; nothing was written.
            UnavailableError: The database did not answer; it may have been written.
        """

        def decide(post: Post, key: ApiKey) -> Decision:
            change = lifecycle.retry_first_comment(
                post, target_id, actor=key.owner_user_id, now=self.change_post.clock.now()
            )
            return Decision(change=change, roles=EDITORS)

        return self.change_post(request, decide, roles=EDITORS)
