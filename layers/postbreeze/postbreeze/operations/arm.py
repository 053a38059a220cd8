"""Putting a staged schedule in force: the schedule first, then the commit that makes it count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from postbreeze.domain import lifecycle
from postbreeze.domain.changes import Change, DisarmSchedule
from postbreeze.domain.errors import PostbreezeError, UnavailableError
from postbreeze.domain.post import Post
from postbreeze.operations.answers import Answer, Idempotency, to_store
from postbreeze.operations.effects import Effects
from postbreeze.operations.ports import Clock, PostStore, Schedules, Telemetry
from postbreeze.operations.races import decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """Completes a pending arming, at the first try or long after a crash."""

    posts: PostStore
    schedules: Schedules
    effects: Effects
    clock: Clock
    telemetry: Telemetry

    def __call__(self, post: Post, *, actor: str) -> Post:
        """Make the schedule and commit it; return the post as it then stands.

        A time that has passed needs no schedule: once committed the post is overdue, and the
        reconciler starts it. If the post moved on meanwhile, the schedule is removed again.

        Raises:
            UnavailableError: Not done, or not known to be; the arming is still pending and doing
                this again is harmless.
            ContendedError: The post kept moving.
        """
        arming = lifecycle.rearm_pending(post)
        if arming is None:
            return post
        if arming.at > self.clock.now():
            self.schedules.arm(arming)
        decided = decide(
            self.posts,
            post.id,
            lambda present: lifecycle.commit_arming(
                present, arming.workflow_id, now=self.clock.now(), actor=actor
            ),
            post=post,
        )
        if decided is None or decided.change is None:
            present = post if decided is None else decided.post
            if present.workflow_id != arming.workflow_id:
                self.effects.attempt(
                    Change(
                        before=present,
                        after=present,
                        effects=(DisarmSchedule(workflow_id=arming.workflow_id),),
                    )
                )
            return present
        self.effects.attempt(decided.change)
        return decided.post

    def answer(
        self,
        post: Post,
        answer_of: Callable[[Post], Answer],
        *,
        actor: str,
        key_digest: str,
        idempotency: Idempotency | None,
    ) -> Answer:
        """Arm if possible, and keep the answer for a repeat of the request that it is given to.

        Where somebody else has moved the post on meanwhile, the answer is what this request made
        of it, not what they did.
        """
        armed = self.attempt(post, actor=actor)
        is_own = post.pending_workflow_id in (armed.workflow_id, armed.pending_workflow_id)
        answer = answer_of(armed if is_own else post)
        final = to_store(
            idempotency,
            key_digest=key_digest,
            post_id=post.id,
            now=self.clock.now(),
            answer=answer,
        )
        if final is not None:
            try:
                self.posts.complete(final)
            except UnavailableError as error:
                # The post is written; a repeated request will be answered from it.
                self.telemetry.warn("answer left running", post_id=post.id, error=repr(error))
        return answer

    def attempt(self, post: Post, *, actor: str) -> Post:
        """Arm if possible; otherwise leave it pending for the reconciler, and say so."""
        try:
            return self(post, actor=actor)
        except PostbreezeError as error:
            self.telemetry.count("ArmingLeftPending")
            self.telemetry.warn("arming left pending", post_id=post.id, error=repr(error))
            return post
