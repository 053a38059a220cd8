"""Finishing, every minute, what anything else left half done.

Each repair is the same operation that should have happened, and may happen again. Every one is
counted and logged with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from postbreeze.domain import lifecycle
from postbreeze.domain.post import Post, PostStatus
from postbreeze.operations.arm import Arm
from postbreeze.operations.conclude import Conclude
from postbreeze.operations.effects import Effects
from postbreeze.operations.ports import (
    Clock,
    DeliveryQueue,
    EventBus,
    PostStore,
    Telemetry,
    WebhookStore,
)
from postbreeze.operations.start import StartPublish

PENDING_AFTER = timedelta(seconds=30)
"""How long an event may stay in the outbox before it is announced again."""

PAGE = 200
"""How many of each kind one run takes on; what is left is first in the next run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile:
    """Sweeps posts, events and deliveries that are overdue."""

    posts: PostStore
    webhooks: WebhookStore
    arm: Arm
    start: StartPublish
    conclude: Conclude
    effects: Effects
    bus: EventBus
    delivery_queue: DeliveryQueue
    clock: Clock
    telemetry: Telemetry

    def __call__(self) -> Mapping[str, int]:
        """Repair what is due; return how often each repair was made, and failures.

        One item that fails is counted, logged and left for the next run; it stops no other.
        """
        run = _Run(telemetry=self.telemetry)
        now = self.clock.now()
        # Posts last: theirs are the slow repairs, and webhooks must not wait for them.
        for post_id, event_id in self.posts.pending_events(now - PENDING_AFTER, PAGE):
            run.take(event_id, partial(self._event, post_id, event_id))
        for endpoint_id, delivery_id in self.webhooks.due_deliveries(now, PAGE):
            run.take(delivery_id, partial(self._delivery, endpoint_id, delivery_id))
        for post_id in self.posts.due_posts(now, PAGE):
            run.take(post_id, partial(self._post, post_id))
        return run.counts

    def _post(self, post_id: str) -> Iterable[str]:
        post = self.posts.read(post_id)
        now = self.clock.now()
        if post is None or post.attention_at is None or post.attention_at > now:
            return
        if post.pending_workflow_id is not None:
            self.arm(post, actor=lifecycle.SERVICE)
            yield "ArmingCompleted"
        elif post.status is PostStatus.SCHEDULED and post.workflow_id is not None:
            if self.start(post.id, post.workflow_id):
                yield "OverduePostStarted"
        else:
            yield from self._publishing(post)

    def _publishing(self, post: Post) -> Iterable[str]:
        now = self.clock.now()
        questions = lifecycle.expired(post, now=now)
        if questions:
            self.effects.perform_all(questions)
            yield "ExpiredClaimAsked"
        if lifecycle.stalled(post, now=now) and post.workflow_id is not None:
            self.start(post.id, post.workflow_id)
            yield "StalledTargetSent"
        if self.conclude(post.id):
            yield "PostConcluded"

    def _event(self, post_id: str, event_id: str) -> Iterable[str]:
        self.bus.announce(post_id, event_id)
        yield "EventAnnouncedAgain"

    def _delivery(self, endpoint_id: str, delivery_id: str) -> Iterable[str]:
        self.delivery_queue.send(endpoint_id, delivery_id)
        yield "DeliverySentAgain"


@dataclass(slots=True, kw_only=True)
class _Run:
    telemetry: Telemetry
    counts: dict[str, int] = field(default_factory=dict)

    def take(self, item: str, repair: Callable[[], Iterable[str]]) -> None:
        try:
            for made in repair():
                self._count(made)
                self.telemetry.note("repaired", repair=made, item=item)
        except Exception as error:  # noqa: BLE001  # a row that cannot be read stops no other
            self._count("RepairFailed")
            self.telemetry.warn("repair failed", item=item, error=repr(error))

    def _count(self, metric: str) -> None:
        self.counts[metric] = self.counts.get(metric, 0) + 1
        self.telemetry.count(metric)
