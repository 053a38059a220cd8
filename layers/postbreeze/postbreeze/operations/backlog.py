"""Sending off what an endpoint has missed, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from postbreeze.domain import webhook
from postbreeze.domain.errors import LostRaceError
from postbreeze.domain.webhook import Backlog, DeliveryStatus, Endpoint, Lane
from postbreeze.operations.ports import Clock
from postbreeze.operations.webhook_ports import DeliveryQueue, WebhookStore

PAUSE = timedelta(minutes=1)
"""How long the next page waits; and how long, at least, is looked for what was missed: the listing
lags behind, and an attempt that was under way parks its delivery late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendBacklog:
    """Sends off pages of endpoints' backlogs."""

    webhooks: WebhookStore
    queue: DeliveryQueue
    clock: Clock

    def __call__(self, endpoint: Endpoint, limit: int) -> int:
        """Send off the oldest of an endpoint's backlog, and write down what is left to be done.

        Nothing is done where there is no backlog. It ends when nothing is found any more, and not
        within a minute of being asked for. Whoever dies half-way, or does this at the same time,
        loses nothing and sends nothing off twice: each delivery is changed only as it was read,
        and the reconciler finds one whose message was not sent.

        Args:
            endpoint: As it was read.
            limit: How many deliveries at most.

        Returns:
            How many were sent off.

        Raises:
            UnavailableError: Not all was done; it may be repeated.
        """
        backlog = endpoint.backlog
        if backlog is None:
            return 0
        found = sorted(self._found(endpoint.id, backlog, limit))[:limit]
        sent = [each for each in found if self._is_sent_off(endpoint.id, each)]
        if sent:
            self.queue.send_all([(endpoint.id, each) for each in sent], lane=Lane.LATE)
        now = self.clock.now()
        is_over = not found and now - backlog.asked_at > PAUSE
        looked = _ended(endpoint) if is_over else _put_off(endpoint, now)
        # Where it was changed, or somebody else is at it, they leave it as it is to be.
        with suppress(LostRaceError):
            self.webhooks.replace_endpoint(looked, expected_revision=endpoint.revision)
        return len(sent)

    def _found(self, endpoint_id: str, backlog: Backlog, limit: int) -> Iterator[str]:
        """List deliveries, each kind's oldest; their ids sort by the moments of their events."""
        if backlog.is_parked:
            yield from self.webhooks.waiting_deliveries(
                endpoint_id, DeliveryStatus.PARKED, since=None, limit=limit
            )
        if backlog.failed_since is not None:
            yield from self.webhooks.waiting_deliveries(
                endpoint_id, DeliveryStatus.EXHAUSTED, since=backlog.failed_since, limit=limit
            )

    def _is_sent_off(self, endpoint_id: str, delivery_id: str) -> bool:
        """Make a delivery due, unless it does not wait any more."""
        delivery = self.webhooks.delivery(endpoint_id, delivery_id)
        if delivery is None or delivery.status not in _WAITING:
            return False
        moved = webhook.sent_off(delivery, now=self.clock.now())
        if moved is None:
            return False
        try:
            self.webhooks.replace_delivery(moved, expected_revision=delivery.revision)
        except LostRaceError:
            # Somebody else has sent it off.
            return False
        return True


_WAITING = frozenset({DeliveryStatus.PARKED, DeliveryStatus.EXHAUSTED})


def _put_off(endpoint: Endpoint, now: datetime) -> Endpoint:
    return replace(endpoint, due_at=now + PAUSE, revision=endpoint.revision + 1)


def _ended(endpoint: Endpoint) -> Endpoint:
    # A notice that others are still to be told of keeps the endpoint due.
    due_at = None if endpoint.notice is None else endpoint.due_at
    return replace(endpoint, backlog=None, due_at=due_at, revision=endpoint.revision + 1)
