"""Turning one event into one delivery for each endpoint that subscribes to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from postbreeze.domain import webhook
from postbreeze.domain.events import Event
from postbreeze.domain.webhook import Endpoint
from postbreeze.operations.ports import Clock, PostStore, Telemetry
from postbreeze.operations.webhook_ports import DeliveryQueue, WebhookStore
from postbreeze.webhooks.envelope import matches

EVENTS_KEPT = timedelta(days=90)
"""How long an event is kept after it was fanned out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOut:
    """Fans events out to endpoints."""

    posts: PostStore
    webhooks: WebhookStore
    queue: DeliveryQueue
    clock: Clock
    telemetry: Telemetry

    def __call__(self, post_id: str, event_id: str) -> int:
        """Make the deliveries and take the event off the outbox; return how many there are.

        A delivery's id derives from event and endpoint, so doing this again, after a crash at any
        point or a day later, makes no second delivery. The event leaves the outbox only when all
        deliveries are stored.

        Raises:
            UnavailableError: Not all was done; it must be repeated.
        """
        event = self.posts.event(post_id, event_id)
        if event is None:
            self.telemetry.warn("event not found", post_id=post_id, event_id=event_id)
            return 0
        if event.pending_since is None:
            return 0
        subscribed = [
            endpoint
            for endpoint in self.webhooks.endpoints(event.workspace_id)
            if matches(endpoint.event_filters, event.type)
        ]
        for endpoint in subscribed:
            self._deliver(event, endpoint)
        now = self.clock.now()
        self.posts.fanned_out(event, expires_at=now + EVENTS_KEPT)
        self.telemetry.count("EventFannedOut")
        self.telemetry.note(
            "event fanned out",
            event_id=event.id,
            event=event.type,
            deliveries=len(subscribed),
        )
        return len(subscribed)

    def _deliver(self, event: Event, endpoint: Endpoint) -> None:
        delivery = webhook.addressed(
            endpoint,
            event_id=event.id,
            event_type=event.type,
            post_id=event.post_id,
            occurred_at=event.occurred_at,
            now=self.clock.now(),
        )
        self.webhooks.add_delivery(delivery)
        # Where the endpoint is disabled, delivering is what parks it.
        self.queue.send(endpoint.id, delivery.id)
