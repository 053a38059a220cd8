"""What the operations need of the world to tell others of events: see ``ports``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from postbreeze.domain.endpoint_health import Health
from postbreeze.domain.errors import PostbreezeError
from postbreeze.domain.webhook import Delivery, DeliveryStatus, Endpoint, Lane
from postbreeze.operations.ports import DeliveryFilter, MembershipGuard


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPage:
    """Deliveries, newest first; ``next_before`` is where the next page begins, None on the last."""

    deliveries: tuple[Delivery, ...]
    next_before: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """An endpoint, and how it is; ``health`` is None for one of which nothing is known."""

    endpoint: Endpoint
    health: Health | None


class WebhookStore(Protocol):
    """Endpoints and deliveries.

    A change of an endpoint that is made for a client is given the client's membership as its
    ``guard`` and raises ``AccessLostError`` where that does not hold at the moment of writing.
    """

    def add_endpoint(self, endpoint: Endpoint, *, guard: MembershipGuard | None = None) -> None:
        """Add an endpoint, and where it is to be found; raises ``LostRaceError`` if it exists."""
        ...

    def endpoints(self, workspace_id: str) -> Sequence[Endpoint]:
        """List a workspace's endpoints by id, strongly consistent."""
        ...

    def endpoint(self, workspace_id: str, endpoint_id: str) -> Endpoint | None:
        """Read one endpoint, strongly consistent."""
        ...

    def workspace_of_endpoint(self, endpoint_id: str) -> str | None:
        """Return the workspace that an endpoint is in, strongly consistent."""
        ...

    def replace_endpoint(
        self, endpoint: Endpoint, *, expected_revision: int, guard: MembershipGuard | None = None
    ) -> None:
        """Write a changed endpoint.

        Raises:
            LostRaceError: It has changed meanwhile, or was removed.
        """
        ...

    def remove_endpoint(self, endpoint: Endpoint, *, guard: MembershipGuard | None = None) -> None:
        """Remove an endpoint as it was read, and where it is to be found.

        Raises:
            LostRaceError: It has changed meanwhile, or was removed.
        """
        ...

    def destination(self, workspace_id: str, endpoint_id: str) -> Destination | None:
        """Read an endpoint with its health together, strongly consistent."""
        ...

    def replace_health(self, health: Health, *, expected_revision: int) -> None:
        """Write how an endpoint is; the revision expected of one that is not kept yet is 0.

        Raises:
            LostRaceError: It has changed meanwhile.
        """
        ...

    def reserve(self, endpoint_id: str, *, now: datetime, interval: timedelta) -> datetime:
        """Reserve the next moment, now or later, at which an endpoint may be sent a request.

        No two moments that are returned are closer than the interval, however many ask at once. A
        call that is repeated because its answer was lost may reserve a moment that nobody uses.
        """
        ...

    def due_endpoints(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """Return (workspace id, endpoint id) of those whose ``due_at`` has come, oldest first."""
        ...

    def add_delivery(self, delivery: Delivery) -> bool:
        """Add a delivery; False where it exists already, which is then left as it is."""
        ...

    def delivery(self, endpoint_id: str, delivery_id: str) -> Delivery | None:
        """Read one delivery, strongly consistent."""
        ...

    def deliveries(
        self, endpoint_id: str, wanted: DeliveryFilter, *, limit: int, before: str | None = None
    ) -> DeliveryPage:
        """List an endpoint's deliveries, newest first, from the one before that id on.

        Strongly consistent. A page can be shorter than the limit, and even empty, and not be the
        last: only so many rows are looked through for one.
        """
        ...

    def waiting_deliveries(
        self, endpoint_id: str, status: DeliveryStatus, *, since: datetime | None, limit: int
    ) -> Sequence[str]:
        """List the ids of an endpoint's deliveries that are PARKED, or EXHAUSTED, oldest first.

        Those made at ``since`` or later. One that came to it a moment ago may be missing, and one
        that has just left may be there: what is listed is read again before anything is done.
        """
        ...

    def replace_delivery(self, delivery: Delivery, *, expected_revision: int) -> None:
        """Write a changed delivery.

        Raises:
            LostRaceError: It has changed meanwhile.
        """
        ...

    def due_deliveries(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """Return (endpoint id, delivery id) of those whose ``due_at`` has come, oldest first."""
        ...


class DeliveryQueue(Protocol):
    """Work for deliverers, delivered at least once, fairly over endpoints.

    What may take long goes by the ``LATE`` lane, so that nothing else has to wait for it.
    """

    def send(
        self,
        endpoint_id: str,
        delivery_id: str,
        *,
        delay_seconds: int = 0,
        lane: Lane = Lane.PROMPT,
    ) -> None:
        """Send one; the delay is at most 900 seconds."""
        ...

    def send_all(self, deliveries: Sequence[tuple[str, str]], *, lane: Lane = Lane.PROMPT) -> None:
        """Send many, given as (endpoint id, delivery id), or raise; again is harmless."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookResponse:
    """What an endpoint answered, cut at 16 KiB."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    duration_ms: int


class WebhookSendError(PostbreezeError):
    """No usable answer came; ``code`` says at which step, ``message`` in one sentence."""

    def __init__(self, code: str, message: str, duration_ms: int = 0) -> None:
        """Keep the step's code, the sentence and how long it took."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.duration_ms = duration_ms


class WebhookSender(Protocol):
    """The guarded way out to endpoints."""

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookResponse:
        """Send one request, following no redirect, within 10 seconds.

        Raises:
            WebhookSendError: No usable answer came.
        """
        ...
