"""Putting a staged schedule in force: the schedule first, then the commit that makes it count."""

from __future__ import annotations

from dataclasses import dataclass

from postbreeze.domain import lifecycle
from postbreeze.domain.changes import Change, DisarmSchedule
from postbreeze.domain.errors import PostbreezeError
from postbreeze.domain.post import Post
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

    def attempt(self, post: Post, *, actor: str) -> Post:
        """Arm if possible; otherwise leave it pending for the reconciler, and say so."""
        try:
            return self(post, actor=actor)
        except PostbreezeError as error:
            self.telemetry.count("ArmingLeftPending")
            self.telemetry.warn("arming left pending", post_id=post.id, error=repr(error))
            return post
