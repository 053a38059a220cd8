"""What every client request that changes one post goes through.

The key and the post are read together; the change is decided on what was read and committed on the
condition that nothing has moved and that the caller may do it; a lost race is decided again on what
then stands. A request with an ``Idempotency-Key`` is answered the same however often it comes.

A read may come upon another commit half way. A commit notices, as it relies on every row; where
nothing is to be written, the rows are read again, and what was read twice was so in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from postbreeze.domain.access import ApiKey, Role
from postbreeze.domain.changes import ArmSchedule, Change
from postbreeze.domain.documents import post_document
from postbreeze.domain.errors import (
    ContendedError,
    IdempotencyKeyReusedError,
    LostRaceError,
    PreconditionFailedError,
    RefusalError,
    ValidationError,
)
from postbreeze.domain.post import Post
from postbreeze.operations import answers, gate
from postbreeze.operations.answers import Answer, Idempotency, replay, to_store
from postbreeze.operations.effects import Effects
from postbreeze.operations.ports import (
    AccessLostError,
    AnswerExistsError,
    AssetLostError,
    Clock,
    Directory,
    MembershipGuard,
    PostStore,
    StoredAnswer,
    Together,
)
from postbreeze.operations.races import MOST_RACES

if TYPE_CHECKING:
    from postbreeze.operations.arm import Arm


@dataclass(frozen=True, slots=True, kw_only=True)
class PostRequest:
    """A client's wish about one post; ``if_match`` is the version it must be at."""

    key_digest: str
    post_id: str
    if_match: int | None = None
    idempotency: Idempotency | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A change, and what its answer tells beside the post.

    ``roles`` says with which of them the caller may do it, still at the moment of the commit.
    """

    change: Change
    roles: frozenset[Role]
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePost:
    """Has one post changed by a client; ``arm`` is for changes that put posts on the clock."""

    posts: PostStore
    directory: Directory
    effects: Effects
    together: Together
    clock: Clock
    arm: Arm | None = None

    def __call__(
        self,
        request: PostRequest,
        decide: Callable[[Post, ApiKey], Decision],
        *,
        roles: frozenset[Role],
        dry_run: bool = False,
        still: Callable[[Post, Answer], bool] | None = None,
    ) -> Answer:
        """Decide, commit, and answer with the post as committed.

        Args:
            request: What is asked for.
            decide: The decision on the post as read. It may be made several times, and must not
                write anything.
            roles: Who may ask at all. Who may not is not told what the decision would have been.
            dry_run: Answer the same, and change nothing.
            still: Tell of an earlier request's answer whether it may be given again, as the post
                stands now; if left out, it always may.

        Raises:
            RefusalError: Not allowed, not there, or not as things stand; nothing was written.
            ContendedError: The post kept moving; nothing was written.
            UnavailableError: The database did not answer; the change may have been made, and
                repeating the request with its ``Idempotency-Key`` is safe and tells.
        """
        idempotency = None if dry_run else request.idempotency
        key, post, stored = self._read(request, idempotency)
        key = gate.usable(key, self.clock.now())
        for _ in range(MOST_RACES):
            if stored is not None and idempotency is not None:
                answer = self._repeated(stored, idempotency, key, roles)
                self._check_holds(answer, post, still)
                return answer
            visible: Post | None = None
            try:
                visible = gate.visible(post, key)
                decision = self._decided(visible, key, request, decide, dry_run=dry_run)
            except RefusalError:
                # What refuses this may be the same request, which ran a moment ago.
                stored = answers.stored(self.posts, key.digest, idempotency)
                if stored is not None:
                    continue
                if visible is not None:
                    self._permit(key, visible.workspace_id, roles)
                raise
            except LostRaceError:
                post = self.posts.read(request.post_id)
                continue
            if dry_run or (decision.change.is_empty and idempotency is None):
                self._permit(key, visible.workspace_id, decision.roles)
                return _answer(decision.change.after, decision.extra)
            try:
                self._commit(decision, key, idempotency)
            except LostRaceError:
                post = self.posts.read(request.post_id)
            except AccessLostError:
                # Another role than the decision was made for may do it too, but is to be asked.
                self._permit(key, visible.workspace_id, roles)
                post = self.posts.read(request.post_id)
            except AnswerExistsError as taken:
                stored = taken.answer
            else:
                return self._done(decision, key, idempotency)
        raise ContendedError

    def _read(
        self, request: PostRequest, idempotency: Idempotency | None
    ) -> tuple[ApiKey | None, Post | None, StoredAnswer | None]:
        key, post, stored = self.together.run(
            lambda: self.directory.admit(request.key_digest),
            lambda: self.posts.read(request.post_id),
            lambda: answers.stored(self.posts, request.key_digest, idempotency),
        )
        return key, post, stored

    def _decided(
        self,
        post: Post,
        key: ApiKey,
        request: PostRequest,
        decide: Callable[[Post, ApiKey], Decision],
        *,
        dry_run: bool,
    ) -> Decision:
        try:
            if request.if_match not in {None, post.version}:
                raise PreconditionFailedError(post.version)
            decision = decide(post, key)
        except RefusalError:
            self._check_whole(post)
            raise
        if dry_run or decision.change.is_empty:
            self._check_whole(post)
        return decision

    def _check_whole(self, post: Post) -> None:
        if self.posts.read(post.id) != post:
            raise LostRaceError("the post was read by halves, or has moved")

    def _permit(self, key: ApiKey, workspace_id: str, roles: frozenset[Role]) -> None:
        gate.permitted(self.directory.member(workspace_id, key.owner_user_id), roles)

    def _commit(self, decision: Decision, key: ApiKey, idempotency: Idempotency | None) -> None:
        post = decision.change.after
        is_final = self.arm is None or post.pending_workflow_id is None
        answer = to_store(
            idempotency,
            key_digest=key.digest,
            post_id=post.id,
            now=self.clock.now(),
            answer=_answer(post, decision.extra) if is_final else None,
        )
        guard = MembershipGuard(
            workspace_id=post.workspace_id, user_id=key.owner_user_id, roles=decision.roles
        )
        try:
            self.posts.commit(decision.change, guard=guard, answer=answer)
        except AssetLostError:
            raise ValidationError.of(
                "media", "names an asset that is not in the library any more; replace it"
            ) from None

    def _done(self, decision: Decision, key: ApiKey, idempotency: Idempotency | None) -> Answer:
        change = decision.change
        if self.arm is None or change.after.pending_workflow_id is None:
            self.effects.attempt(change)
            return _answer(change.after, decision.extra)
        effects = tuple(each for each in change.effects if not isinstance(each, ArmSchedule))
        self.effects.attempt(replace(change, effects=effects))
        return self.arm.answer(
            change.after,
            lambda post: _answer(post, decision.extra),
            actor=key.owner_user_id,
            key_digest=key.digest,
            idempotency=idempotency,
        )

    def _repeated(
        self,
        stored: StoredAnswer,
        idempotency: Idempotency,
        key: ApiKey,
        roles: frozenset[Role],
    ) -> Answer:
        answer = replay(stored, idempotency, self.clock.now())
        if answer is None:
            # The first request died after its commit: the post is as it, and others, left it.
            post = gate.visible(self.posts.read(stored.post_id), key)
            answer = replace(_answer(post, {}), replayed=True)
        gate.reaches(key, str(answer.body["workspaceId"]))
        self._permit(key, str(answer.body["workspaceId"]), roles)
        return answer

    def _check_holds(
        self, answer: Answer, post: Post | None, still: Callable[[Post, Answer], bool] | None
    ) -> None:
        if still is None or post is None or still(post, answer):
            return
        # It may have been read a moment before the request that the answer is of was done.
        present = self.posts.read(post.id)
        if present is None or not still(present, answer):
            raise IdempotencyKeyReusedError


def _answer(post: Post, extra: Mapping[str, Any]) -> Answer:
    return Answer(status=200, body={**post_document(post), **extra})
