"""Answering a fire: the moment of a scheduled post has come."""

from __future__ import annotations

from dataclasses import dataclass

from postbreeze.domain import lifecycle
from postbreeze.operations.effects import Effects
from postbreeze.operations.ports import Clock, PostStore, Telemetry
from postbreeze.operations.races import decide


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPublish:
    """Starts the publishing of a post."""

    posts: PostStore
    effects: Effects
    clock: Clock
    telemetry: Telemetry

    def __call__(self, post_id: str, workflow_id: str) -> bool:
        """Begin, and send one message for each target; False for a fire that is out of date.

        A fire that is out of date is no error: answering one would have it fired again. Firing
        twice is harmless.

        Raises:
            UnavailableError: Not all was done; the fire must be repeated.
            ContendedError: The post kept moving; the fire must be repeated.
        """
        decided = decide(
            self.posts,
            post_id,
            lambda post: lifecycle.start(post, workflow_id, now=self.clock.now()),
        )
        if decided is None or decided.change is None:
            self.telemetry.count("StaleFire")
            self.telemetry.note("stale fire", post_id=post_id, workflow_id=workflow_id)
            return False
        self.telemetry.note(
            "publishing started",
            post_id=post_id,
            workflow_id=workflow_id,
            status=decided.post.status.value,
        )
        self.effects.perform(decided.change)
        return True
