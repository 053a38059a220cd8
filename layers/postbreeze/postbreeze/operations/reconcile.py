"""Finishing, every minute, what anything else left half done.

Each repair is the same operation that should have happened, and may happen again, even in two runs
at once. Every one is counted and logged with its reason.

What is overdue may have lost its message, or may only wait for its turn in a queue that is long.
Sending a second message for all that wait would make the queue longer every minute, so no more are
sent again than there are fewer messages than overdue things, and some anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from postbreeze.domain import lifecycle
from postbreeze.domain.errors import UnavailableError
from postbreeze.domain.post import Post, PostStatus
from postbreeze.domain.webhook import Endpoint, Lane
from postbreeze.operations.arm import Arm
from postbreeze.operations.conclude import Conclude
from postbreeze.operations.disconnect import FinishDisconnect
from postbreeze.operations.effects import Effects
from postbreeze.operations.ports import (
    Clock,
    Disconnections,
    EventBus,
    PostStore,
    Telemetry,
    Together,
    Work,
    WorkQueues,
)
from postbreeze.operations.start import StartPublish
from postbreeze.operations.webhook_ports import DeliveryQueue, WebhookStore

_Item = TypeVar("_Item")

PENDING_AFTER = timedelta(seconds=30)
"""How long an event may stay in the outbox before it is announced again."""

LISTED = 10_000
"""How many of each kind are looked at. Each run begins somewhere else among them, so that items
which cannot be repaired never keep the others waiting for ever."""

MOST = 5_000
"""How many of each kind one run takes on, if there is time."""

SENT_ANYWAY = 500
"""How many messages a run sends again of each kind, however long its queue. So what is lost while a
queue stays long is found too, by one of some runs, as each begins somewhere else."""

BATCH = 10
"""How many messages go together: as many as SNS and SQS take."""

AT_ONCE = 8
"""How many repairs, or batches of messages, are under way at a time."""

TIME = timedelta(seconds=40)
"""How long a run begins anything: what is under way by then ends within the function's 50 seconds.
Each kind may take an equal part of what those before it have left."""

PATIENCE = timedelta(seconds=5)
"""How long one disconnected account, or one endpoint, may take of it."""

BACKLOG = 500
"""How many deliveries that one endpoint has missed a run sends off, if there is time."""

PAGE = 20
"""How many of them go with one call; then the time is looked at."""

MOST_OUTAGES = 50
"""After so many outages a kind is left for the next run: each may cost seconds."""

_GOLDEN: Final = 0.618034
"""Steps of this share of a round never fall into a rhythm: soon they have begun everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile:
    """Sweeps posts, events, deliveries, disconnects and endpoints that are overdue.

    ``together`` is for nothing else: repairs wait in its threads for calls of their own.
    """

    posts: PostStore
    webhooks: WebhookStore
    arm: Arm
    start: StartPublish
    conclude: Conclude
    effects: Effects
    bus: EventBus
    delivery_queue: DeliveryQueue
    work_queues: WorkQueues
    disconnections: Disconnections
    finish_disconnect: FinishDisconnect
    tell_others: Callable[[Endpoint], int]
    send_backlog: Callable[[Endpoint, int], int]
    together: Together
    clock: Clock
    telemetry: Telemetry
    sent_anyway: int = SENT_ANYWAY

    def __call__(self) -> Mapping[str, int]:
        """Repair what is due; return how often each repair was made, and failures.

        One item that fails is counted, logged and left for the next run; it stops no other.
        """
        now = self.clock.now()
        run = _Run(
            together=self.together,
            clock=self.clock,
            telemetry=self.telemetry,
            work_queues=self.work_queues,
            sent_anyway=self.sent_anyway,
            until=now + TIME,
        )
        # Armings are apart: where the scheduler takes none, posts still have to be started.
        run.sweep(
            lambda: self.posts.pending_events(now - PENDING_AFTER, LISTED),
            self._events,
            work=Work.EVENTS,
            size=BATCH,
            share=6,
        )
        run.sweep(
            lambda: self.webhooks.due_deliveries(now, LISTED),
            self._deliveries,
            work=Work.DELIVERIES,
            size=BATCH,
            share=5,
        )
        run.sweep(
            lambda: self.posts.due_posts(now, LISTED),
            lambda one, again: self._post(*one, again=again),
            work=Work.PUBLICATIONS,
            share=4,
        )
        run.sweep(
            lambda: self.posts.pending_armings(now, LISTED),
            lambda one, again: self._post(*one, again=again),
            share=3,
        )
        run.sweep(
            lambda: self.disconnections.due(now, LISTED),
            lambda one, _: self._disconnection(*one),
            share=2,
        )
        # Last, because nobody waits for it: it is what endpoints have missed.
        run.sweep(
            lambda: self.webhooks.due_endpoints(now, LISTED),
            lambda one, _: self._endpoint(*one),
            share=1,
        )
        return run.counts

    def _post(self, post_id: str, *, again: bool) -> Iterable[str]:
        post = self.posts.read(post_id)
        now = self.clock.now()
        if post is None or post.attention_at is None or post.attention_at > now:
            return
        if post.pending_workflow_id is not None:
            if self.arm(post, actor=lifecycle.SERVICE).pending_workflow_id is None:
                yield "ArmingCompleted"
        elif lifecycle.is_overdue(post, now) and post.workflow_id is not None:
            if self.start(post.id, post.workflow_id):
                yield "OverduePostStarted"
        else:
            yield from self._publishing(post, again=again)

    def _publishing(self, post: Post, *, again: bool) -> Iterable[str]:
        now = self.clock.now()
        questions = lifecycle.expired(post, now=now)
        if questions and again:
            self.effects.perform_all(questions)
            yield "ExpiredClaimAsked"
        messages = lifecycle.stalled(post, now=now)
        # What is too late by now ends here, also where its messages never get that far.
        if messages and (again or lifecycle.missed(post, now=now)):
            # One that is on the clock again owes a first comment at most, and must not begin yet.
            workflow_id = post.workflow_id if post.status is PostStatus.PUBLISHING else None
            if workflow_id is None or not self.start(post.id, workflow_id):
                self.effects.perform_all(messages)
            yield "StalledTargetSent"
        if self.conclude(post.id):
            yield "PostConcluded"

    def _events(self, events: Sequence[tuple[str, str]], again: bool) -> Iterable[str]:
        if not again:
            return []
        self.bus.announce_all(events)
        return ["EventAnnouncedAgain"] * len(events)

    def _deliveries(self, deliveries: Sequence[tuple[str, str]], again: bool) -> Iterable[str]:
        if not again:
            return []
        self.delivery_queue.send_all(deliveries, lane=Lane.LATE)
        return ["DeliverySentAgain"] * len(deliveries)

    def _disconnection(self, account_id: str) -> Iterable[str]:
        if self.finish_disconnect(account_id, until=self.clock.now() + PATIENCE):
            yield "DisconnectContinued"

    def _endpoint(self, place: tuple[str, str]) -> Iterable[str]:
        endpoint = self.webhooks.endpoint(*place)
        if endpoint is None:
            return
        if endpoint.notice is not None:
            # Telling it writes the endpoint; one that has a backlog too is due in the next run.
            self.tell_others(endpoint)
            yield "NoticeTold"
        elif endpoint.backlog is not None:
            yield from self._backlog(endpoint)

    def _backlog(self, endpoint: Endpoint) -> Iterable[str]:
        until = self.clock.now() + PATIENCE
        # What is sent at a pace would only wait in another place.
        most = BACKLOG if endpoint.rate_limit is None else 60 * endpoint.rate_limit
        for _ in range(min(most, BACKLOG) // PAGE):
            sent = self.send_backlog(endpoint, PAGE)
            yield from ["BacklogSent"] * sent
            if sent < PAGE or self.clock.now() >= until:
                return


@dataclass(slots=True, kw_only=True)
class _Run:
    together: Together
    clock: Clock
    telemetry: Telemetry
    work_queues: WorkQueues
    sent_anyway: int
    until: datetime
    counts: Counter[str] = field(default_factory=Counter)

    def sweep(
        self,
        listing: Callable[[], Sequence[_Item]],
        repair: Callable[[Sequence[_Item], bool], Iterable[str]],
        *,
        share: int,
        size: int = 1,
        work: Work | None = None,
    ) -> None:
        """Repair what is due, for as long as there is time and no outage, ``size`` with a call.

        It takes one part of ``share`` of the time that is left, and always begins. Where ``work``
        has a queue, ``repair`` is told whether it may send a message again.
        """
        began = self.clock.now()
        until = began + (self.until - began) / share
        try:
            due = listing()
        except Exception as error:  # noqa: BLE001  # what cannot be listed stops no other kind
            self._failed("listing", error)
            return
        turn = _turn(due, began)
        most = len(turn) if work is None else self._again(work, len(due), len(turn))
        batches = [(turn[at : at + size], at < most) for at in range(0, len(turn), size)]
        outages = done = 0
        while under_way := batches[done : done + AT_ONCE]:
            if done and (outages >= MOST_OUTAGES or self.clock.now() >= until):
                break
            done += len(under_way)
            tried = self.together.run(*(partial(_tried, repair, *each) for each in under_way))
            for (batch, _), (made, failure) in zip(under_way, tried, strict=True):
                for metric, times in Counter(made).items():
                    self._count(metric, times)
                    self.telemetry.note("repaired", repair=metric, items=batch)
                if failure is not None:
                    self._failed(batch, failure)
                    outages += isinstance(failure, UnavailableError)
        left = len(due) - sum(len(batch) for batch, _ in batches[:done])
        if left:
            self.telemetry.warn("repairs left for the next run", due=len(due), left=left)

    def _again(self, work: Work, due: int, taken: int) -> int:
        """Tell for how many of those that are taken on a message may be sent again."""
        if due <= self.sent_anyway:
            return taken
        try:
            waiting = self.work_queues.waiting(work)
        except Exception as error:  # noqa: BLE001  # a queue that cannot be asked stops no repair
            self._failed(work, error)
            waiting = due
        most = min(taken, max(self.sent_anyway, due - waiting))
        if most < taken:
            self.telemetry.count("RepeatsHeldBack", taken - most)
            self.telemetry.note("messages wait", work=work, due=due, waiting=waiting, again=most)
        return most

    def _failed(self, items: object, error: Exception) -> None:
        self._count("RepairFailed", 1)
        self.telemetry.warn("repair failed", items=items, error=repr(error))

    def _count(self, metric: str, times: int) -> None:
        self.counts[metric] += times
        self.telemetry.count(metric, times)


def _tried(
    repair: Callable[[Sequence[_Item], bool], Iterable[str]],
    items: Sequence[_Item],
    again: bool,
) -> tuple[Sequence[str], Exception | None]:
    """Return the repairs that were made, and what stopped them."""
    made: list[str] = []
    try:
        made.extend(repair(items, again))
    except Exception as error:  # noqa: BLE001  # a row that cannot be read stops no other
        return made, error
    return made, None


def _turn(due: Sequence[_Item], now: datetime) -> Sequence[_Item]:
    """Return what this minute's run takes on, which may not be got through to its end."""
    minute = int(now.timestamp()) // 60
    first = int(minute * _GOLDEN % 1 * len(due))
    return [*due[first:], *due[:first]][:MOST]
