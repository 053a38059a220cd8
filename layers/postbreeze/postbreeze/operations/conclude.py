"""Ending a post's publishing when its last target has ended."""

from __future__ import annotations

from dataclasses import dataclass

from postbreeze.domain import lifecycle
from postbreeze.operations.effects import Effects
from postbreeze.operations.ports import Clock, PostStore, Telemetry
from postbreeze.operations.races import decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclude:
    """Derives a post's final status once no target is moving."""

    posts: PostStore
    effects: Effects
    clock: Clock
    telemetry: Telemetry

    def __call__(self, post_id: str) -> bool:
        """Conclude if it is time; tell whether this call did.

        Whoever settles a target calls this after its own write, so the last of them sees all
        targets ended. Of several that see it, one commits.

        Raises:
            UnavailableError: Not known to be done; the reconciler concludes.
            ContendedError: The post kept moving.
        """
        decided = decide(
            self.posts,
            post_id,
            lambda post: lifecycle.conclude(post, now=self.clock.now()),
        )
        if decided is None or decided.change is None:
            return False
        self.telemetry.note("publishing ended", post_id=post_id, status=decided.post.status.value)
        self.effects.attempt(decided.change)
        return True
