"""Creating a post: a draft, one that waits for approval, or one that is scheduled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from postbreeze.domain import ids, lifecycle
from postbreeze.domain.access import AUTHORS, EDITORS, ApiKey
from postbreeze.domain.changes import Change
from postbreeze.domain.documents import post_document, to_json
from postbreeze.domain.errors import (
    ContendedError,
    Detail,
    LostRaceError,
    NotFoundError,
    UnavailableError,
    ValidationError,
)
from postbreeze.domain.post import AccountStatus, Post, PostDraft, PostStatus, SocialAccount
from postbreeze.operations import answers, gate
from postbreeze.operations.answers import Answer, Idempotency, replay, to_store
from postbreeze.operations.arm import Arm
from postbreeze.operations.effects import Effects
from postbreeze.operations.ports import (
    AccessLostError,
    AnswerExistsError,
    Clock,
    Directory,
    MembershipGuard,
    PostStore,
    Randomness,
    StoredAnswer,
    Together,
)
from postbreeze.operations.races import MOST_RACES

LARGEST_DOCUMENT = 300_000
"""Bytes of a post as JSON, above which an event that carries it, with what publishing adds to each
of 50 targets, could pass the 400 KB of a row in DynamoDB: such a post could never be cancelled."""


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
            if workspace_id is None or not key.reaches(workspace_id):
                raise NotFoundError
            now = self.clock.now()
            change = self._decide(command.draft, key, workspace_id, now)
            try:
                self._commit(command, change, key, now)
            except (LostRaceError, AccessLostError):
                # Whatever got in the way, the membership above all, is read again.
                continue
            except AnswerExistsError as taken:
                stored = taken.answer
                continue
            self.effects.attempt(replace(change, effects=()))
            if _is_final(change.after):
                return _answer(change.after)
            return self._armed(change.after, command, key)
        raise ContendedError

    def _decide(self, draft: PostDraft, key: ApiKey, workspace_id: str, now: datetime) -> Change:
        account_ids = {wanted.social_account_id for wanted in draft.targets}
        member, accounts = self.directory.member_and_accounts(
            workspace_id, key.owner_user_id, account_ids
        )
        member = gate.permitted(member, AUTHORS)
        _check(draft, accounts, now)
        change = lifecycle.create(
            draft,
            post_id=ids.new_id(ids.POST, now, self.randomness.token(10)),
            workspace_id=workspace_id,
            platforms={account.id: account.platform for account in accounts.values()},
            author=key.owner_user_id,
            role=member.role,
            now=now,
        )
        if len(to_json(post_document(change.after))) > LARGEST_DOCUMENT:
            raise ValidationError.of("body", "makes a post that is too large to be stored")
        return change

    def _commit(self, command: CreateCommand, change: Change, key: ApiKey, now: datetime) -> None:
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
        )

    def _armed(self, post: Post, command: CreateCommand, key: ApiKey) -> Answer:
        answer = _answer(self.arm.attempt(post, actor=key.owner_user_id))
        final = to_store(
            command.idempotency,
            key_digest=key.digest,
            post_id=post.id,
            now=self.clock.now(),
            answer=answer,
        )
        if final is not None:
            try:
                self.posts.complete(final)
            except UnavailableError as error:
                # The post is made; a repeated request will be answered from it.
                self.effects.telemetry.warn(
                    "answer left running", post_id=post.id, error=repr(error)
                )
        return answer

    def _read(
        self, command: CreateCommand
    ) -> tuple[ApiKey | None, str | None, StoredAnswer | None]:
        first = command.draft.targets[0].social_account_id
        key, workspace_id, stored = self.together.run(
            lambda: self.directory.key(command.key_digest),
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
        gate.permitted(
            self.directory.member(str(answer.body["workspaceId"]), key.owner_user_id),
            AUTHORS,
        )
        return answer


def _is_final(post: Post) -> bool:
    """Tell whether nothing is left to be done before the post can be answered."""
    return post.pending_workflow_id is None


def _answer(post: Post) -> Answer:
    return Answer(status=201, body=post_document(post))


def _check(draft: PostDraft, accounts: Mapping[str, SocialAccount], now: datetime) -> None:
    """Raise ``ValidationError`` with every fault that the accounts and times have."""
    if draft.flat_shape:
        listed, account_field = "platforms", "accountId"
        time_field, draft_time_field = "scheduledFor", "draftScheduledFor"
    else:
        listed, account_field = "targets", "socialAccountId"
        time_field, draft_time_field = "scheduledAt", "draftScheduledAt"
    details = []
    seen: set[str] = set()
    for index, wanted in enumerate(draft.targets):
        path = f"{listed}.{index}.{account_field}"
        account = accounts.get(wanted.social_account_id)
        if wanted.social_account_id in seen:
            details.append(Detail(path, "names an account that is listed before"))
        elif account is None:
            details.append(Detail(path, "is not an account of the first account's workspace"))
        elif account.status is not AccountStatus.ACTIVE:
            details.append(Detail(path, f"is an account that is {account.status}, not ACTIVE"))
        seen.add(wanted.social_account_id)
    for path, at in (
        (time_field, draft.scheduled_for),
        (draft_time_field, draft.draft_scheduled_for),
    ):
        fault = None if at is None else lifecycle.fault_of_time(at, now)
        if fault is not None:
            details.append(Detail(path, fault))
    if draft.scheduled_for is not None and draft.draft_scheduled_for is not None:
        details.append(Detail(draft_time_field, f"cannot be given together with {time_field}"))
    if details:
        raise ValidationError(details)
