"""Keeping endpoints apart: what attempts show of one is written down, and trials are handed out.

All of it only spares others some waiting. So nothing that is due depends on it: what is not written
down is found out again by the next attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from postbreeze.domain import endpoint_health
from postbreeze.domain.endpoint_health import SLOW_AFTER, Health
from postbreeze.domain.errors import LostRaceError, UnavailableError
from postbreeze.domain.webhook import ATTEMPT_LEASE, Attempt, Delivery
from postbreeze.operations.ports import Clock, Telemetry
from postbreeze.operations.races import MOST_RACES
from postbreeze.operations.webhook_ports import Destination, WebhookStore
from postbreeze.webhooks.backoff import Outcome, is_outage, outcome_of

_ASKING: Final = frozenset({429, 503})
"""With these an endpoint asks for all of its deliveries to wait, not only for one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolateEndpoint:
    """Keeps the health of endpoints."""

    webhooks: WebhookStore
    clock: Clock
    telemetry: Telemetry

    def slowed(self, health: Health) -> None:
        """Note that an attempt waits too long for its answer."""
        self._note(health, partial(endpoint_health.slowed, now=self.clock.now()))

    def take(self, health: Health, delivery: Delivery) -> Health | None:
        """Take a trial for a delivery; None where none is free, or somebody else was faster.

        Raises:
            UnavailableError: It may or may not have been taken; it ends with its lease.
        """
        now = self.clock.now()
        until = now + ATTEMPT_LEASE
        taken = endpoint_health.tried(health, delivery.id, now=now, until=until)
        return taken if taken is not None and self._replace(taken) else None

    def attempted(
        self, health: Health, delivery: Delivery, attempt: Attempt, wish: timedelta | None
    ) -> None:
        """Note what an attempt has shown, and that its trial has ended.

        Args:
            health: As it was read before the attempt, or as it was written with its trial.
            delivery: Whose attempt it was.
            attempt: The attempt.
            wish: For how long the endpoint asks to be left alone.
        """
        if is_outage(attempt.status):
            change = partial(
                endpoint_health.failed,
                delivery_id=delivery.id,
                now=self.clock.now(),
                wish=wish if attempt.status in _ASKING else None,
            )
        else:
            is_success = outcome_of(attempt.status) is Outcome.DELIVERED
            is_quick = is_success and timedelta(milliseconds=attempt.duration_ms) <= SLOW_AFTER
            change = partial(endpoint_health.answered, delivery_id=delivery.id, is_quick=is_quick)
        self._note(health, change)

    def _note(self, health: Health, change: Callable[[Health], Health | None]) -> None:
        """Write down a change, decided again where somebody else has written meanwhile."""
        present: Health | None = health
        try:
            for _ in range(MOST_RACES):
                noted = None if present is None else change(present)
                if noted is None or self._replace(noted):
                    return
                present = self._read(health)
        except UnavailableError as error:
            self.telemetry.warn(
                "health not noted", endpoint_id=health.endpoint_id, error=str(error)
            )

    def _replace(self, noted: Health) -> bool:
        try:
            self.webhooks.replace_health(noted, expected_revision=noted.revision - 1)
        except LostRaceError:
            return False
        return True

    def _read(self, health: Health) -> Health | None:
        """Read it again; None where its endpoint was removed."""
        place = self.webhooks.destination(health.workspace_id, health.endpoint_id)
        return None if place is None else health_at(place)


def health_at(place: Destination) -> Health:
    """Return how an endpoint is."""
    endpoint = place.endpoint
    return place.health or endpoint_health.unknown(endpoint.id, endpoint.workspace_id)
