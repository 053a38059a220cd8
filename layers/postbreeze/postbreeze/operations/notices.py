"""Telling a workspace's other endpoints what has become of one of them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from postbreeze.domain import webhook
from postbreeze.domain.errors import LostRaceError
from postbreeze.domain.webhook import Endpoint, EndpointStatus, Notice
from postbreeze.operations.ports import Clock
from postbreeze.operations.webhook_ports import DeliveryQueue, WebhookStore
from postbreeze.webhooks.envelope import matches


@dataclass(frozen=True, slots=True, kw_only=True)
class TellOthers:
    """Makes the deliveries of a notice."""

    webhooks: WebhookStore
    queue: DeliveryQueue
    clock: Clock

    def __call__(self, endpoint: Endpoint) -> int:
        """Tell the others what is still to be told of an endpoint; return how many there are.

        A delivery's id derives from the notice and the endpoint that is told, so doing this again,
        after a crash at any point, makes no second one. The notice is cleared only when all of
        them are stored; where the endpoint has changed meanwhile, it is told once more.

        Raises:
            UnavailableError: Not all was done; it must be repeated.
        """
        notice = endpoint.notice
        if notice is None:
            return 0
        others = [
            other
            for other in self.webhooks.endpoints(endpoint.workspace_id)
            if other.id != endpoint.id
            and other.status is EndpointStatus.ENABLED
            and matches(other.event_filters, notice.type)
        ]
        for other in others:
            self._tell(other, notice, endpoint)
        # Who has changed it meanwhile has kept the notice: the reconciler comes back to it.
        with suppress(LostRaceError):
            self.webhooks.replace_endpoint(
                webhook.told(endpoint), expected_revision=endpoint.revision
            )
        return len(others)

    def _tell(self, other: Endpoint, notice: Notice, endpoint: Endpoint) -> None:
        delivery = webhook.addressed(
            other,
            event_id=notice.event_id,
            event_type=notice.type,
            post_id=endpoint.id,
            occurred_at=notice.occurred_at,
            now=self.clock.now(),
            payload=notice.payload,
        )
        self.webhooks.add_delivery(delivery)
        self.queue.send(other.id, delivery.id)
