"""Creating a post: a draft, one that waits for approval, or one that is scheduled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from postbreeze.domain import ids, lifecycle
from postbreeze.domain.access import AUTHORS, EDITORS, ApiKey, Workspace
from postbreeze.domain.changes import Change
from postbreeze.domain.documents import post_document
from postbreeze.domain.errors import ContendedError, LostRaceError
from postbreeze.domain.post import Post, PostDraft, PostStatus
from postbreeze.operations import answers, gate
from postbreeze.operations.answers import Answer, Idempotency, replay, to_store
from postbreeze.operations.arm import Arm
from postbreeze.operations.effects import Effects
from postbreeze.operations.fitness import Fitness, check_size, platforms_of
from postbreeze.operations.ports import (
    AccessLostError,
    AnswerExistsError,
    AssetLostError,
    Clock,
    Directory,
    MembershipGuard,
    PostStore,
    Quota,
    Randomness,
    StoredAnswer,
    Together,
)
from postbreeze.operations.races import MOST_RACES


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCommand:
    """A client's wish for a post."""

    key_digest: str
    draft: PostDraft
    idempotency: Idempotency | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePost:
    """Creates a post and arms it if it has a time."""

    posts: PostStore
    directory: Directory
    fitness: Fitness
    arm: Arm
    effects: Effects
    together: Together
    clock: Clock
    randomness: Randomness

    def __call__(self, command: CreateCommand) -> Answer:
        """Create, and answer with the post.

        The first commit is the acceptance: from there on the post will be armed even if this
        process dies or the scheduler is down, in which case ``pendingWorkflowId`` is still set in
        the answer and the reconciler completes it.

        Raises:
            RefusalError: Not allowed or malformed; nothing was written.
            ContendedError: Other writes kept getting in the way; nothing was written.
            UnavailableError: The database did not answer; with an ``Idempotency-Key`` the request
                can be repeated without making a second post.
        """
        key, workspace_id, stored = self._read(command)
        key = gate.usable(key, self.clock.now())
        for _ in range(MOST_RACES):
            if stored is not None and command.idempotency is not None:
                return self._repeat(stored, command.idempotency, key)
            workspace_id = gate.reaches(key, workspace_id)
            now = self.clock.now()
            change, quota = self._decide(command.draft, key, workspace_id, now)
            try:
                self._commit(command, change, quota, key, now)
            except (LostRaceError, AccessLostError, AssetLostError):
                # Whatever got in the way, the membership above all, is read again.
                continue
            except AnswerExistsError as taken:
                stored = taken.answer
                continue
            self.effects.attempt(replace(change, effects=()))
            if _is_final(change.after):
                return _answer(change.after)
            return self.arm.answer(
                change.after,
                _answer,
                actor=key.owner_user_id,
                key_digest=key.digest,
                idempotency=command.idempotency,
            )
        raise ContendedError

    def _decide(
        self, draft: PostDraft, key: ApiKey, workspace_id: str, now: datetime
    ) -> tuple[Change, Quota | None]:
        account_ids = {wanted.social_account_id for wanted in draft.targets}
        place = self.directory.member_and_accounts(workspace_id, key.owner_user_id, account_ids)
        member = gate.permitted(place.member, AUTHORS)
        assets = self.fitness.of_draft(draft, place, workspace_id, now)
        change = lifecycle.create(
            draft,
            post_id=ids.new_id(ids.POST, now, self.randomness.token(10)),
            workspace_id=workspace_id,
            platforms=platforms_of(place),
            author=key.owner_user_id,
            role=member.role,
            now=now,
            assets=assets,
        )
        check_size(change.after)
        if change.after.status is PostStatus.SCHEDULED:
            gate.not_held(place.workspace)
        return change, _quota(place.workspace, now)

    def _commit(
        self,
        command: CreateCommand,
        change: Change,
        quota: Quota | None,
        key: ApiKey,
        now: datetime,
    ) -> None:
        post = change.after
        # An author who has become a client reviewer since must not have it scheduled.
        roles = AUTHORS if post.status is PostStatus.NEEDS_APPROVAL else EDITORS
        self.posts.commit(
            change,
            guard=MembershipGuard(
                workspace_id=post.workspace_id, user_id=key.owner_user_id, roles=roles
            ),
            answer=to_store(
                command.idempotency,
                key_digest=key.digest,
                post_id=post.id,
                now=now,
                answer=_answer(post) if _is_final(post) else None,
            ),
            quota=quota,
        )

    def _read(
        self, command: CreateCommand
    ) -> tuple[ApiKey | None, str | None, StoredAnswer | None]:
        first = command.draft.targets[0].social_account_id
        key, workspace_id, stored = self.together.run(
            lambda: self.directory.admit(command.key_digest),
            lambda: self.directory.workspace_of_account(first),
            lambda: answers.stored(self.posts, command.key_digest, command.idempotency),
        )
        return key, workspace_id, stored

    def _repeat(self, stored: StoredAnswer, idempotency: Idempotency, key: ApiKey) -> Answer:
        answer = replay(stored, idempotency, self.clock.now())
        if answer is None:
            # The first request died after its commit: its post is the one to answer with.
            post = gate.visible(self.posts.read(stored.post_id), key)
            answer = replace(_answer(post), replayed=True)
        workspace_id = str(answer.body["workspaceId"])
        gate.reaches(key, workspace_id)
        gate.permitted(self.directory.member(workspace_id, key.owner_user_id), AUTHORS)
        return answer


def _is_final(post: Post) -> bool:
    """Tell whether nothing is left to be done before the post can be answered."""
    return post.pending_workflow_id is None


def _quota(workspace: Workspace | None, now: datetime) -> Quota | None:
    if workspace is None or workspace.post_limit is None:
        return None
    return Quota(workspace_id=workspace.id, month=now.strftime("%Y-%m"), limit=workspace.post_limit)


def _answer(post: Post) -> Answer:
    return Answer(status=201, body=post_document(post))
