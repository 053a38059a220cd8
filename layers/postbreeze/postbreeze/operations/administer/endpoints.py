"""Webhook endpoints: adding, listing, switching, and what was delivered to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from postbreeze.domain import ids, webhook
from postbreeze.domain.errors import (
    ContendedError,
    LostRaceError,
    NotFoundError,
    RefusalError,
)
from postbreeze.domain.events import EventType
from postbreeze.domain.webhook import (
    Delivery,
    DeliveryStatus,
    Endpoint,
    EndpointStatus,
)
from postbreeze.operations.administer.checks import (
    checked_id,
    checked_text,
    standing_workspace,
)
from postbreeze.operations.deliver import sealing_context
from postbreeze.operations.ports import (
    Clock,
    DeliveryQueue,
    Randomness,
    Registry,
    SecretBox,
    WebhookStore,
)
from postbreeze.operations.races import MOST_RACES
from postbreeze.webhooks.envelope import check_filters
from postbreeze.webhooks.signature import SECRET_BYTES, new_secret

MOST_ENDPOINTS = 20
"""How many endpoints a workspace may have."""

MOST_DELIVERIES = 1_000
"""How many deliveries are listed at most."""

BY_OPERATOR = "An operator disabled it."

_EVERY = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEndpoint:
    """A new endpoint with its secret, which is shown once; it prints without it."""

    endpoint: Endpoint
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Looks after webhook endpoints.

    ``check_url`` raises ``ValidationError`` for a URL that this deployment will not send to.
    """

    registry: Registry
    webhooks: WebhookStore
    secrets: SecretBox
    queue: DeliveryQueue
    check_url: Callable[[str], None]
    clock: Clock
    randomness: Randomness

    def add(
        self,
        workspace_id: str,
        url: str,
        event_filters: Sequence[str],
        *,
        description: str | None = None,
    ) -> NewEndpoint:
        """Add an endpoint, enabled; every call adds another one.

        Args:
            workspace_id: Whose events it is sent.
            url: Where to.
            event_filters: Exact event names, ``*``, or families such as ``post.*``.
            description: For people.

        Raises:
            ValidationError: A value is malformed, or the URL is not one to send to.
            NotFoundError: There is no such workspace.
            RefusalError: The workspace has as many endpoints as it may.
        """
        self.check_url(url)
        filters = tuple(dict.fromkeys(event_filters))
        check_filters(filters, [event.value for event in EventType])
        if description is not None:
            description = checked_text("description", description, most=256)
        standing_workspace(self.registry, workspace_id)
        if len(self.webhooks.endpoints(workspace_id)) >= MOST_ENDPOINTS:
            raise RefusalError(f"A workspace has at most {MOST_ENDPOINTS} endpoints.")
        now = self.clock.now()
        endpoint = Endpoint(
            id=ids.new_id(ids.ENDPOINT, now, self.randomness.token(10)),
            workspace_id=workspace_id,
            url=url,
            event_filters=filters,
            status=EndpointStatus.ENABLED,
            sealed_secrets=(),
            created_at=now,
            description=description,
        )
        secret = new_secret(self.randomness.token(SECRET_BYTES))
        sealed = self.secrets.seal(secret, sealing_context(endpoint))
        endpoint = replace(endpoint, sealed_secrets=(sealed,))
        self.webhooks.add_endpoint(endpoint)
        return NewEndpoint(endpoint=endpoint, secret=secret)

    def list(self, workspace_id: str) -> Sequence[Endpoint]:
        """List a workspace's endpoints, oldest first.

        Raises:
            ValidationError: The id is malformed.
            NotFoundError: There is no such workspace.
        """
        standing_workspace(self.registry, workspace_id)
        return sorted(self.webhooks.endpoints(workspace_id), key=lambda endpoint: endpoint.id)

    def disable(self, workspace_id: str, endpoint_id: str) -> Endpoint:
        """Stop sending to an endpoint; its deliveries are kept for it. Again changes nothing.

        Raises:
            ValidationError: An id is malformed.
            NotFoundError: The workspace has no such endpoint.
            ContendedError: It kept changing.
        """

        def decide(endpoint: Endpoint) -> Endpoint | None:
            if endpoint.status is EndpointStatus.DISABLED:
                return None
            return webhook.disabled(endpoint, BY_OPERATOR, now=self.clock.now())

        return self._change(workspace_id, endpoint_id, decide)

    def enable(self, workspace_id: str, endpoint_id: str) -> tuple[Endpoint, int]:
        """Send to an endpoint again, first of all what was kept for it, oldest first.

        Returns the endpoint and how many deliveries were sent off. Doing it again is harmless, and
        also sends off what was parked by something that was under way the first time.

        Raises:
            ValidationError: An id is malformed.
            NotFoundError: The workspace has no such endpoint.
            ContendedError: It kept changing.
        """
        endpoint = self._change(
            workspace_id,
            endpoint_id,
            lambda present: (
                webhook.enabled(present) if present.status is EndpointStatus.DISABLED else None
            ),
        )
        parked = [
            delivery
            for delivery in self.webhooks.deliveries(endpoint_id, _EVERY)
            if delivery.status is DeliveryStatus.PARKED
        ]
        return endpoint, sum(self._unpark(delivery) for delivery in reversed(parked))

    def deliveries(self, workspace_id: str, endpoint_id: str, limit: int) -> Sequence[Delivery]:
        """List what was sent to an endpoint and what came of it, newest first.

        Raises:
            ValidationError: An id is malformed.
            NotFoundError: The workspace has no such endpoint.
        """
        self._standing(workspace_id, endpoint_id)
        return self.webhooks.deliveries(endpoint_id, min(limit, MOST_DELIVERIES))

    def _unpark(self, delivery: Delivery) -> bool:
        unparked = webhook.unparked(delivery, now=self.clock.now())
        try:
            self.webhooks.replace_delivery(unparked, expected_revision=delivery.revision)
        except LostRaceError:
            # Somebody else enables the endpoint too, and has sent it.
            return False
        self.queue.send(delivery.endpoint_id, delivery.id)
        return True

    def _change(
        self,
        workspace_id: str,
        endpoint_id: str,
        decide: Callable[[Endpoint], Endpoint | None],
    ) -> Endpoint:
        for _ in range(MOST_RACES):
            present = self._standing(workspace_id, endpoint_id)
            wanted = decide(present)
            if wanted is None:
                return present
            try:
                self.webhooks.replace_endpoint(wanted, expected_revision=present.revision)
            except LostRaceError:
                continue
            return wanted
        raise ContendedError

    def _standing(self, workspace_id: str, endpoint_id: str) -> Endpoint:
        checked_id(ids.WORKSPACE, workspace_id)
        checked_id(ids.ENDPOINT, endpoint_id)
        endpoint = self.webhooks.endpoint(workspace_id, endpoint_id)
        if endpoint is None:
            raise NotFoundError(f"{workspace_id} has no endpoint {endpoint_id}.")
        return endpoint
