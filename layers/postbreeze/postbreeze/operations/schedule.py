"""Putting a post on the clock: scheduling, rescheduling, approving."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from postbreeze.domain import lifecycle
from postbreeze.domain.access import EDITORS, MANAGERS, ApiKey
from postbreeze.domain.post import Post, PostStatus
from postbreeze.operations import gate
from postbreeze.operations.answers import Answer
from postbreeze.operations.changing import ChangePost, Decision, PostRequest
from postbreeze.operations.fitness import Fitness
from postbreeze.operations.ports import Directory, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleCommand:
    """A client's wish for a moment; ``again`` takes a post that is scheduled already, too."""

    request: PostRequest
    at: datetime
    again: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePost:
    """Schedules a post, or reschedules one."""

    change_post: ChangePost
    fitness: Fitness

    def __call__(self, command: ScheduleCommand) -> Answer:
        """Schedule, and answer with the post.

        The first commit is the acceptance, as with a new post: from there on no older schedule can
        publish anything, and the new one will be made even if this process dies.

        Raises:
            RefusalError: Not allowed, not there, in no state for it, not fit to be published, or
                the workspace is held; nothing was written.
            ContendedError: The post kept moving; nothing was written.
            UnavailableError: The database did not answer; it may have been written.
        """
        transition = lifecycle.reschedule if command.again else lifecycle.schedule

        def decide(post: Post, key: ApiKey) -> Decision:
            place = _place(self.change_post.directory, post, key)
            member = gate.permitted(place.member, EDITORS)
            change = transition(
                post,
                command.at,
                actor=key.owner_user_id,
                role=member.role,
                now=self.change_post.clock.now(),
            )
            self.fitness.of_post(change.after, place)
            # The role decides whether the post has to wait for an approval.
            return Decision(change=change, roles=frozenset({member.role}))

        return self.change_post(command.request, decide, roles=EDITORS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovePost:
    """Lets a post go ahead that waits for approval."""

    change_post: ChangePost
    fitness: Fitness

    def __call__(self, request: PostRequest) -> Answer:
        """Approve, and answer with the post: scheduled, or a draft where its time has passed.

        Raises:
            RefusalError: Not allowed, not there, not waiting, not fit to be published, or the
                workspace is held; nothing was written.
            ContendedError: The post kept moving; nothing was written.
            UnavailableError: The database did not answer; it may have been written.
        """

        def decide(post: Post, key: ApiKey) -> Decision:
            change = lifecycle.approve(
                post, actor=key.owner_user_id, now=self.change_post.clock.now()
            )
            if change.after.status is PostStatus.SCHEDULED:
                self.fitness.of_post(change.after, _place(self.change_post.directory, post, key))
            return Decision(change=change, roles=MANAGERS)

        return self.change_post(request, decide, roles=MANAGERS)


def _place(directory: Directory, post: Post, key: ApiKey) -> Place:
    return directory.member_and_accounts(
        post.workspace_id,
        key.owner_user_id,
        {target.social_account_id for target in post.targets},
    )
