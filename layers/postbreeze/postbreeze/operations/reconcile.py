"""Finishing, every minute, what anything else left half done.

Each repair is the same operation that should have happened, and may happen again. Every one is
counted and logged with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVar

from postbreeze.domain import lifecycle
from postbreeze.domain.errors import UnavailableError
from postbreeze.domain.post import Post, PostStatus
from postbreeze.operations.arm import Arm
from postbreeze.operations.conclude import Conclude
from postbreeze.operations.disconnect import FinishDisconnect
from postbreeze.operations.effects import Effects
from postbreeze.operations.ports import (
    Clock,
    DeliveryQueue,
    Disconnections,
    EventBus,
    PostStore,
    Telemetry,
    WebhookStore,
)
from postbreeze.operations.start import StartPublish

_Item = TypeVar("_Item")

PENDING_AFTER = timedelta(seconds=30)
"""How long an event may stay in the outbox before it is announced again."""

PAGE = 200
"""How many of each kind one run takes on."""

LISTED = 1_000
"""How many of each kind are looked at. Each run begins somewhere else among them, so that items
which cannot be repaired never keep the others waiting for ever."""

SHARE = timedelta(seconds=10)
"""How long one kind may take: all four together stay within the function's 50 seconds."""

PATIENCE = timedelta(seconds=5)
"""How long one disconnected account may take of it."""

MOST_OUTAGES = 3
"""After so many outages in a row a kind is left for the next run: each may cost seconds."""

_GOLDEN: Final = 0.618034
"""Steps of this share of a round never fall into a rhythm: soon they have begun everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile:
    """Sweeps posts, events, deliveries and disconnects that are overdue."""

    posts: PostStore
    webhooks: WebhookStore
    arm: Arm
    start: StartPublish
    conclude: Conclude
    effects: Effects
    bus: EventBus
    delivery_queue: DeliveryQueue
    disconnections: Disconnections
    finish_disconnect: FinishDisconnect
    clock: Clock
    telemetry: Telemetry

    def __call__(self) -> Mapping[str, int]:
        """Repair what is due; return how often each repair was made, and failures.

        One item that fails is counted, logged and left for the next run; it stops no other.
        """
        run = _Run(clock=self.clock, telemetry=self.telemetry)
        now = self.clock.now()
        run.sweep(
            lambda: self.posts.pending_events(now - PENDING_AFTER, LISTED),
            lambda event: self._event(*event),
        )
        run.sweep(
            lambda: self.webhooks.due_deliveries(now, LISTED),
            lambda delivery: self._delivery(*delivery),
        )
        run.sweep(lambda: self.posts.due_posts(now, LISTED), self._post)
        run.sweep(lambda: self.disconnections.due(now, LISTED), self._disconnection)
        return run.counts

    def _post(self, post_id: str) -> Iterable[str]:
        post = self.posts.read(post_id)
        now = self.clock.now()
        if post is None or post.attention_at is None or post.attention_at > now:
            return
        if post.pending_workflow_id is not None:
            # One that the scheduler does not take is no outage: posts behind it only need starting.
            if self.arm.attempt(post, actor=lifecycle.SERVICE).pending_workflow_id is None:
                yield "ArmingCompleted"
        elif lifecycle.is_overdue(post, now) and post.workflow_id is not None:
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
        messages = lifecycle.stalled(post, now=now)
        if messages:
            # What is too late by now ends here, also where its messages never get that far. A post
            # that is on the clock again owes a first comment at most, and must not begin yet.
            workflow_id = post.workflow_id if post.status is PostStatus.PUBLISHING else None
            if workflow_id is None or not self.start(post.id, workflow_id):
                self.effects.perform_all(messages)
            yield "StalledTargetSent"
        if self.conclude(post.id):
            yield "PostConcluded"

    def _event(self, post_id: str, event_id: str) -> Iterable[str]:
        self.bus.announce(post_id, event_id)
        yield "EventAnnouncedAgain"

    def _delivery(self, endpoint_id: str, delivery_id: str) -> Iterable[str]:
        self.delivery_queue.send(endpoint_id, delivery_id)
        yield "DeliverySentAgain"

    def _disconnection(self, account_id: str) -> Iterable[str]:
        if self.finish_disconnect(account_id, until=self.clock.now() + PATIENCE):
            yield "DisconnectContinued"


@dataclass(slots=True, kw_only=True)
class _Run:
    clock: Clock
    telemetry: Telemetry
    counts: dict[str, int] = field(default_factory=dict)

    def sweep(
        self,
        listing: Callable[[], Sequence[_Item]],
        repair: Callable[[_Item], Iterable[str]],
    ) -> None:
        """Repair a page of what is due, for as long as there is time and no outage."""
        began = self.clock.now()
        try:
            due = listing()
        except UnavailableError as error:
            self._failed("listing", error)
            return
        outages = 0
        for item in _turn(due, began):
            if outages == MOST_OUTAGES or self.clock.now() >= began + SHARE:
                self.telemetry.warn("repairs left for the next run", due=len(due))
                return
            try:
                for made in repair(item):
                    self._count(made)
                    self.telemetry.note("repaired", repair=made, item=item)
                outages = 0
            except UnavailableError as error:
                outages += 1
                self._failed(item, error)
            except Exception as error:  # noqa: BLE001  # a row that cannot be read stops no other
                self._failed(item, error)

    def _failed(self, item: object, error: Exception) -> None:
        self._count("RepairFailed")
        self.telemetry.warn("repair failed", item=item, error=repr(error))

    def _count(self, metric: str) -> None:
        self.counts[metric] = self.counts.get(metric, 0) + 1
        self.telemetry.count(metric)


def _turn(due: Sequence[_Item], now: datetime) -> Sequence[_Item]:
    """Return this minute's page of what is due, which may not be got through to its end."""
    minute = int(now.timestamp()) // 60
    first = int(minute * _GOLDEN % 1 * len(due))
    return [*due[first:], *due[:first]][:PAGE]
