"""Cancelling a post: the heart of the service.

Two sequential round trips to the database lie before the answer: the key and the post are read
together, and one transaction writes the post, its targets, the event and the stored answer on the
condition that nothing has moved and that the caller may do it.
"""

from __future__ import annotations

from dataclasses import dataclass

from postbreeze.domain import lifecycle
from postbreeze.domain.access import EDITORS, ApiKey
from postbreeze.domain.documents import post_document
from postbreeze.domain.errors import (
    ContendedError,
    LostRaceError,
    PreconditionFailedError,
    RefusalError,
)
from postbreeze.domain.lifecycle import Cancellation
from postbreeze.domain.post import Post
from postbreeze.operations import answers, gate
from postbreeze.operations.answers import Answer, Idempotency, replay, to_store
from postbreeze.operations.effects import Effects
from postbreeze.operations.ports import (
    AccessLostError,
    AnswerExistsError,
    Clock,
    Directory,
    MembershipGuard,
    PostStore,
    StoredAnswer,
    Together,
)
from postbreeze.operations.races import MOST_RACES


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelCommand:
    """A client's wish to cancel; ``target_ids`` None means the whole post."""

    key_digest: str
    post_id: str
    reason: str | None = None
    target_ids: tuple[str, ...] | None = None
    dry_run: bool = False
    if_match: int | None = None
    idempotency: Idempotency | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPost:
    """Cancels a post or chosen targets of it."""

    posts: PostStore
    directory: Directory
    effects: Effects
    together: Together
    clock: Clock

    def __call__(self, command: CancelCommand) -> Answer:
        """Cancel, and answer with the post as committed.

        Once this has returned with status 200, no target whose outcome is ``canceled`` is ever
        published, and the event is stored. A lost race is decided again on what then stands.

        Raises:
            RefusalError: Not allowed, not there, or nothing to stop; nothing was written.
            ContendedError: The post kept moving; nothing was written.
            UnavailableError: The database did not answer; the cancel may have taken effect, and
                repeating the request is safe and tells.
        """
        idempotency = None if command.dry_run else command.idempotency
        key, post, stored = self._read(command, idempotency)
        key = gate.usable(key, self.clock.now())
        for _ in range(MOST_RACES):
            now = self.clock.now()
            if stored is not None and idempotency is not None:
                earlier = replay(stored, idempotency, now)
                if earlier is not None:
                    self._permit(key, str(earlier.body["workspaceId"]))
                    return earlier
            post = gate.visible(post, key)
            try:
                cancellation = _decide(post, key, command, self.clock)
            except RefusalError:
                self._permit(key, post.workspace_id)
                if stored is None and idempotency is not None:
                    # What refuses this may be the same request, which ran a moment ago.
                    stored = answers.stored(self.posts, key.digest, idempotency)
                    if stored is not None:
                        continue
                raise
            answer = _answer(cancellation)
            if command.dry_run or (cancellation.change.is_empty and idempotency is None):
                self._permit(key, post.workspace_id)
                return answer
            try:
                self.posts.commit(
                    cancellation.change,
                    guard=MembershipGuard(
                        workspace_id=post.workspace_id,
                        user_id=key.owner_user_id,
                        roles=EDITORS,
                    ),
                    answer=to_store(
                        idempotency,
                        key_digest=key.digest,
                        post_id=post.id,
                        now=now,
                        answer=answer,
                    ),
                )
            except LostRaceError:
                post = self.posts.read(command.post_id)
            except AccessLostError:
                self._permit(key, post.workspace_id)
                post = self.posts.read(command.post_id)
            except AnswerExistsError as taken:
                stored = taken.answer
            else:
                self.effects.attempt(cancellation.change)
                return answer
        raise ContendedError

    def _read(
        self, command: CancelCommand, idempotency: Idempotency | None
    ) -> tuple[ApiKey | None, Post | None, StoredAnswer | None]:
        key, post, stored = self.together.run(
            lambda: self.directory.key(command.key_digest),
            lambda: self.posts.read(command.post_id),
            lambda: answers.stored(self.posts, command.key_digest, idempotency),
        )
        return key, post, stored

    def _permit(self, key: ApiKey, workspace_id: str) -> None:
        gate.permitted(self.directory.member(workspace_id, key.owner_user_id), EDITORS)


def _decide(post: Post, key: ApiKey, command: CancelCommand, clock: Clock) -> Cancellation:
    if command.if_match is not None and command.if_match != post.version:
        raise PreconditionFailedError(post.version)
    return lifecycle.cancel(
        post,
        actor=key.owner_user_id,
        now=clock.now(),
        reason=command.reason,
        target_ids=command.target_ids,
    )


def _answer(cancellation: Cancellation) -> Answer:
    body = {
        **post_document(cancellation.change.after),
        "cancellation": cancellation.document,
    }
    return Answer(status=200, body=body)
