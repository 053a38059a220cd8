"""Webhook endpoints: adding, changing and trying them, and what was delivered to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypedDict

from postbreeze.domain import ids, webhook
from postbreeze.domain.errors import (
    ContendedError,
    LostRaceError,
    NotFoundError,
    ValidationError,
)
from postbreeze.domain.events import EventType
from postbreeze.domain.webhook import (
    DELIVERIES_KEPT,
    SECRET_OVERLAP,
    Delivery,
    DeliveryStatus,
    Endpoint,
    EndpointStatus,
    Lane,
)
from postbreeze.operations.administer.checks import (
    checked_id,
    checked_text,
    standing_workspace,
)
from postbreeze.operations.backlog import SendBacklog
from postbreeze.operations.deliver import sealing_context
from postbreeze.operations.ports import (
    Clock,
    DeliveryFilter,
    MembershipGuard,
    Randomness,
    Registry,
    SecretBox,
)
from postbreeze.operations.races import MOST_RACES
from postbreeze.operations.webhook_ports import DeliveryPage, DeliveryQueue, WebhookStore
from postbreeze.webhooks.envelope import check_custom_headers, check_filters
from postbreeze.webhooks.signature import SECRET_BYTES, new_secret

MOST_ENDPOINTS = 20
"""How many endpoints a workspace may have."""

MOST_A_SECOND = 100
"""The highest rate limit of an endpoint; one without has none."""

LONGEST_DESCRIPTION = 256
"""Characters."""

FIRST_PAGE = 100
"""How many deliveries of a backlog are sent off at once; the reconciler goes on from there."""

ON_REQUEST = "It was disabled on request."


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEndpoint:
    """An endpoint with its new secret, which is shown once; it prints without it."""

    endpoint: Endpoint
    secret: str = field(repr=False)


class EndpointChange(TypedDict, total=False):
    """What an endpoint is to be; what is left out stays as it is."""

    url: str
    event_filters: Sequence[str]
    description: str | None
    headers: Mapping[str, str]
    rate_limit: int | None
    status: EndpointStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Looks after webhook endpoints.

    ``check_url`` raises ``ValidationError`` for a URL that this deployment will not send to. A
    change that is made for a client is given the client's membership as its ``guard``; where that
    does not hold any more, ``AccessLostError`` is raised and nothing was written.

    Whatever raises ``UnavailableError`` may have been written.
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
        headers: Mapping[str, str] | None = None,
        rate_limit: int | None = None,
        guard: MembershipGuard | None = None,
    ) -> NewEndpoint:
        """Add an endpoint, enabled; every call adds another one.

        Of several that would be one too many together, none is left standing: each adds its own,
        sees the others and takes its own back. If a process dies before it has, there is one more.

        Args:
            workspace_id: Whose events it is sent.
            url: Where to.
            event_filters: Exact event names, ``*``, or families such as ``post.*``.
            description: For people.
            headers: Sent with every request, beside ours.
            rate_limit: How many requests a second it is sent at most.
            guard: The client's membership.

        Raises:
            ValidationError: A value is malformed, the URL is not one to send to, or the workspace
                has as many endpoints as it may.
            NotFoundError: There is no such workspace.
            ContendedError: Others were added at the same time; nothing is left of this one.
        """
        said = self._checked(
            EndpointChange(
                url=url,
                event_filters=event_filters,
                description=description,
                headers=headers or {},
                rate_limit=rate_limit,
            )
        )
        standing_workspace(self.registry, workspace_id)
        if len(self.webhooks.endpoints(workspace_id)) >= MOST_ENDPOINTS:
            raise ValidationError.of(
                "workspaceId", f"A workspace has at most {MOST_ENDPOINTS} endpoints."
            )
        now = self.clock.now()
        endpoint = Endpoint(
            id=ids.new_id(ids.ENDPOINT, now, self.randomness.token(10)),
            workspace_id=workspace_id,
            status=EndpointStatus.ENABLED,
            sealed_secrets=(),
            created_at=now,
            updated_at=now,
            **said,
        )
        secret, sealed = self._new_secret(endpoint)
        endpoint = replace(endpoint, sealed_secrets=(sealed,))
        self.webhooks.add_endpoint(endpoint, guard=guard)
        if len(self.webhooks.endpoints(workspace_id)) > MOST_ENDPOINTS:
            self.remove(workspace_id, endpoint.id)
            raise ContendedError
        return NewEndpoint(endpoint=endpoint, secret=secret)

    def list(self, workspace_id: str) -> Sequence[Endpoint]:
        """List a workspace's endpoints, oldest first.

        Raises:
            ValidationError: The id is malformed.
            NotFoundError: There is no such workspace.
        """
        standing_workspace(self.registry, workspace_id)
        return self.webhooks.endpoints(workspace_id)

    def read(self, workspace_id: str, endpoint_id: str) -> Endpoint:
        """Read an endpoint.

        Raises:
            ValidationError: An id is malformed.
            NotFoundError: The workspace has no such endpoint.
        """
        checked_id(ids.WORKSPACE, workspace_id)
        checked_id(ids.ENDPOINT, endpoint_id)
        endpoint = self.webhooks.endpoint(workspace_id, endpoint_id)
        if endpoint is None:
            raise NotFoundError(f"{workspace_id} has no endpoint {endpoint_id}.")
        return endpoint

    def update(
        self,
        workspace_id: str,
        endpoint_id: str,
        wanted: EndpointChange,
        *,
        guard: MembershipGuard | None = None,
    ) -> Endpoint:
        """Change an endpoint; where it is so already nothing is written.

        Disabling and enabling are as ``disable`` and ``enable`` have it. At another URL it begins
        anew: that it was failing before is forgotten.

        Raises:
            ValidationError: An id or a value is malformed, or the URL is not one to send to.
            NotFoundError: The workspace has no such endpoint.
            ContendedError: It kept changing.
        """
        said = self._checked(wanted)
        status = said.pop("status", None)

        def decide(present: Endpoint) -> Endpoint | None:
            now = self.clock.now()
            switched = _switched(present, status, now)
            different = {
                name: value for name, value in said.items() if getattr(present, name) != value
            }
            if switched is None and not different:
                return None
            if "url" in different:
                different["failing_since"] = None
            return replace(switched or webhook.changed(present, now=now), **different)

        endpoint = self._change(workspace_id, endpoint_id, decide, guard)
        if status is EndpointStatus.ENABLED:
            self._send_first_page(endpoint)
        return endpoint

    def disable(self, workspace_id: str, endpoint_id: str) -> Endpoint:
        """Stop sending to an endpoint; its deliveries are kept for it. Again changes nothing.

        What is left of a recovery then has to be asked for again.

        Raises:
            ValidationError: An id is malformed.
            NotFoundError: The workspace has no such endpoint.
            ContendedError: It kept changing.
        """
        wanted = EndpointChange(status=EndpointStatus.DISABLED)
        return self.update(workspace_id, endpoint_id, wanted)

    def enable(self, workspace_id: str, endpoint_id: str) -> tuple[Endpoint, int]:
        """Send to an endpoint again, first of all what was kept for it, oldest first.

        Returns the endpoint and how many deliveries were sent off at once; the reconciler goes on
        from there. Doing it again is harmless.

        Raises:
            ValidationError: An id is malformed.
            NotFoundError: The workspace has no such endpoint.
            ContendedError: It kept changing.
        """
        endpoint = self._change(
            workspace_id,
            endpoint_id,
            lambda present: _switched(present, EndpointStatus.ENABLED, self.clock.now()),
        )
        return endpoint, self._send_first_page(endpoint)

    def remove(
        self, workspace_id: str, endpoint_id: str, *, guard: MembershipGuard | None = None
    ) -> Endpoint:
        """Remove an endpoint, and return it as it was left; nothing is sent to it any more.

        Raises:
            ValidationError: An id is malformed.
            NotFoundError: The workspace has no such endpoint.
            ContendedError: It kept changing.
        """
        for _ in range(MOST_RACES):
            present = self.read(workspace_id, endpoint_id)
            try:
                self.webhooks.remove_endpoint(present, guard=guard)
            except LostRaceError:
                continue
            return present
        raise ContendedError

    def rotate_secret(
        self,
        workspace_id: str,
        endpoint_id: str,
        *,
        overlap: timedelta = SECRET_OVERLAP,
        guard: MembershipGuard | None = None,
    ) -> NewEndpoint:
        """Give an endpoint a new secret; the present one signs beside it for as long as is said.

        One that was retiring already signs no more.

        Raises:
            ValidationError: An id is malformed, or the overlap is not of 0 to 24 hours.
            NotFoundError: The workspace has no such endpoint.
            ContendedError: It kept changing.
        """
        if not timedelta(0) <= overlap <= SECRET_OVERLAP:
            raise ValidationError.of("overlap", "It must be 0 to 24 hours.")
        secret, sealed = self._new_secret(self.read(workspace_id, endpoint_id))
        endpoint = self._change(
            workspace_id,
            endpoint_id,
            lambda present: webhook.rotated(present, sealed, now=self.clock.now(), overlap=overlap),
            guard,
        )
        return NewEndpoint(endpoint=endpoint, secret=secret)

    def test(self, workspace_id: str, endpoint_id: str) -> Delivery:
        """Send ``webhook.test`` to an endpoint at once, whatever it is subscribed to.

        Every call sends another one. For an endpoint that is disabled it is parked.

        Raises:
            ValidationError: An id is malformed.
            NotFoundError: The workspace has no such endpoint.
        """
        endpoint = self.read(workspace_id, endpoint_id)
        now = self.clock.now()
        event_id = ids.new_id(ids.EVENT, now, self.randomness.token(10))
        delivery = webhook.addressed(
            endpoint,
            event_id=event_id,
            event_type=EventType.WEBHOOK_TEST,
            post_id=endpoint.id,
            occurred_at=now,
            now=now,
            payload=webhook.event_payload(endpoint, event_id, now=now),
        )
        self.webhooks.add_delivery(delivery)
        # Where the endpoint is disabled, delivering is what parks it.
        self.queue.send(endpoint.id, delivery.id)
        return delivery

    def deliveries(
        self,
        workspace_id: str,
        endpoint_id: str,
        wanted: DeliveryFilter,
        *,
        limit: int,
        before: str | None = None,
    ) -> DeliveryPage:
        """List what was sent to an endpoint and what came of it, newest first.

        A page can be shorter than the limit, and even empty, and not be the last.

        Raises:
            ValidationError: An id is malformed.
            NotFoundError: The workspace has no such endpoint.
        """
        self.read(workspace_id, endpoint_id)
        return self.webhooks.deliveries(endpoint_id, wanted, limit=limit, before=before)

    def delivery(self, workspace_id: str, endpoint_id: str, delivery_id: str) -> Delivery:
        """Read one delivery.

        Raises:
            ValidationError: An id is malformed.
            NotFoundError: The workspace has no such endpoint, or the endpoint no such delivery.
        """
        return self._delivery(self.read(workspace_id, endpoint_id), delivery_id)

    def redeliver(self, workspace_id: str, endpoint_id: str, delivery_id: str) -> Delivery:
        """Send a delivery again, under its id, and return it as it then stands.

        One of which an attempt is under way stays as it is. Where the endpoint is disabled it is
        parked instead.

        Raises:
            ValidationError: An id is malformed.
            NotFoundError: The workspace has no such endpoint, or the endpoint no such delivery.
            ContendedError: It kept changing.
        """
        for _ in range(MOST_RACES):
            endpoint = self.read(workspace_id, endpoint_id)
            delivery = self._delivery(endpoint, delivery_id)
            moved = _redelivered(delivery, endpoint, self.clock.now())
            if moved is None:
                return delivery
            try:
                self.webhooks.replace_delivery(moved, expected_revision=delivery.revision)
            except LostRaceError:
                continue
            if moved.status is DeliveryStatus.PENDING:
                self.queue.send(endpoint_id, delivery_id, lane=Lane.LATE)
            return moved
        raise ContendedError

    def recover(
        self,
        workspace_id: str,
        endpoint_id: str,
        since: datetime,
        *,
        guard: MembershipGuard | None = None,
    ) -> tuple[Endpoint, int]:
        """Send again what was given up of the deliveries made since a moment, oldest first.

        Returns the endpoint and how many deliveries were sent off at once; the reconciler goes on
        from there. Doing it again is harmless.

        Raises:
            ValidationError: An id is malformed, the moment is in the future or longer ago than
                deliveries are kept, or the endpoint is disabled.
            NotFoundError: The workspace has no such endpoint.
            ContendedError: It kept changing.
        """
        now = self.clock.now()
        if not now - DELIVERIES_KEPT <= since <= now:
            raise ValidationError.of(
                "since", f"It must be in the past, {DELIVERIES_KEPT.days} days ago at most."
            )

        def decide(present: Endpoint) -> Endpoint:
            if present.status is EndpointStatus.DISABLED:
                raise ValidationError.of("status", "The endpoint is disabled: enable it first.")
            return webhook.recovering(present, since, now=self.clock.now())

        endpoint = self._change(workspace_id, endpoint_id, decide, guard)
        return endpoint, self._send_first_page(endpoint)

    def _delivery(self, endpoint: Endpoint, delivery_id: str) -> Delivery:
        delivery = self.webhooks.delivery(endpoint.id, checked_id(ids.DELIVERY, delivery_id))
        if delivery is None:
            raise NotFoundError(f"{endpoint.id} has no delivery {delivery_id}.")
        return delivery

    def _checked(self, wanted: EndpointChange) -> dict[str, Any]:
        """Return what is said of an endpoint, as it is kept."""
        checked: dict[str, Any] = {**wanted}
        if "url" in wanted:
            self.check_url(wanted["url"])
        if "event_filters" in wanted:
            filters = tuple(dict.fromkeys(wanted["event_filters"]))
            check_filters(filters, [event.value for event in EventType])
            checked["event_filters"] = filters
        description = wanted.get("description")
        if description is not None:
            checked["description"] = checked_text(
                "description", description, most=LONGEST_DESCRIPTION
            )
        check_custom_headers(wanted.get("headers", {}))
        rate_limit = wanted.get("rate_limit")
        if rate_limit is not None and not 1 <= rate_limit <= MOST_A_SECOND:
            raise ValidationError.of(
                "rateLimit", f"It must be 1 to {MOST_A_SECOND} requests a second."
            )
        return checked

    def _new_secret(self, endpoint: Endpoint) -> tuple[str, bytes]:
        """Make a secret; return it as its owner holds it, and sealed."""
        secret = new_secret(self.randomness.token(SECRET_BYTES))
        return secret, self.secrets.seal(secret, sealing_context(endpoint))

    def _change(
        self,
        workspace_id: str,
        endpoint_id: str,
        decide: Callable[[Endpoint], Endpoint | None],
        guard: MembershipGuard | None = None,
    ) -> Endpoint:
        for _ in range(MOST_RACES):
            present = self.read(workspace_id, endpoint_id)
            wanted = decide(present)
            if wanted is None:
                return present
            try:
                self.webhooks.replace_endpoint(
                    wanted, expected_revision=present.revision, guard=guard
                )
            except LostRaceError:
                continue
            return wanted
        raise ContendedError

    def _send_first_page(self, endpoint: Endpoint) -> int:
        send = SendBacklog(webhooks=self.webhooks, queue=self.queue, clock=self.clock)
        return send(endpoint, FIRST_PAGE)


def _switched(endpoint: Endpoint, status: EndpointStatus | None, now: datetime) -> Endpoint | None:
    """Disable or enable an endpoint; None where it is so already, or none of it is wanted."""
    if status is None or status is endpoint.status:
        return None
    if status is EndpointStatus.ENABLED:
        return webhook.enabled(endpoint, now=now)
    return webhook.disabled(endpoint, ON_REQUEST, now=now)


def _redelivered(delivery: Delivery, endpoint: Endpoint, now: datetime) -> Delivery | None:
    """Send a delivery off, or park it for an endpoint that is disabled; None where it stays."""
    moved = webhook.sent_off(delivery, now=now)
    if moved is None or endpoint.status is EndpointStatus.ENABLED:
        return moved
    return None if delivery.status is DeliveryStatus.PARKED else webhook.parked(delivery)
