"""Cancelling a post: the heart of the service.

Two sequential round trips to the database lie before the answer: the key and the post are read
together, and one transaction writes the post, its targets, the event and the stored answer on the
condition that nothing has moved and that the caller may do it.
"""

from __future__ import annotations

from dataclasses import dataclass

from postbreeze.domain.access import EDITORS, ApiKey
from postbreeze.domain.post import Post, TargetStatus
from postbreeze.domain.transitions.cancelling import Outcome, cancel
from postbreeze.operations.answers import Answer
from postbreeze.operations.changing import ChangePost, Decision, PostRequest

_GOING_OUT = frozenset({TargetStatus.SCHEDULED, TargetStatus.PUBLISHING, TargetStatus.PUBLISHED})


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelCommand:
    """A client's wish to cancel; ``target_ids`` None means the whole post."""

    request: PostRequest
    reason: str | None = None
    target_ids: tuple[str, ...] | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPost:
    """Cancels a post or chosen targets of it."""

    change_post: ChangePost

    def __call__(self, command: CancelCommand) -> Answer:
        """Cancel, and answer with the post as committed.

        Once this has returned with status 200, no target whose outcome is ``canceled`` is ever
        published, and the event is stored. A lost race is decided again on what then stands.

        Raises:
            RefusalError: Not allowed, not there, or nothing to stop; nothing was written. So is a
                repeated request of whose targets one has been put on the clock again since.
            ContendedError: The post kept moving; nothing was written.
            UnavailableError: The database did not answer; the cancel may have taken effect, and
                repeating the request is safe and tells.
        """

        def decide(post: Post, key: ApiKey) -> Decision:
            cancellation = cancel(
                post,
                actor=key.owner_user_id,
                now=self.change_post.clock.now(),
                reason=command.reason,
                target_ids=command.target_ids,
            )
            return Decision(
                change=cancellation.change,
                roles=EDITORS,
                extra={"cancellation": cancellation.document},
            )

        return self.change_post(
            command.request, decide, roles=EDITORS, dry_run=command.dry_run, still=_still_holds
        )


def _still_holds(post: Post, answer: Answer) -> bool:
    """Tell whether nothing that an earlier cancel stopped has been put on the clock again since.

    An answer that says "canceled" of what is about to go out must not be given, not even again.
    """
    canceled = {
        told["id"]
        for told in answer.body["cancellation"]["targets"]
        if told["outcome"] == Outcome.CANCELED
    }
    return not any(target.id in canceled and target.status in _GOING_OUT for target in post.targets)
