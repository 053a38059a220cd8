"""Delivering one event to one endpoint: lease, sign, send, record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from postbreeze.domain import endpoint_health, webhook
from postbreeze.domain.endpoint_health import SLOW_AFTER, Health
from postbreeze.domain.errors import LostRaceError, SecretUnreadableError
from postbreeze.domain.webhook import (
    Attempt,
    Delivery,
    DeliveryStatus,
    Endpoint,
    EndpointStatus,
    Lane,
)
from postbreeze.operations.isolate import IsolateEndpoint, health_at
from postbreeze.operations.judge import JudgeEndpoint
from postbreeze.operations.ports import Clock, PostStore, Randomness, SecretBox, Telemetry, Watch
from postbreeze.operations.webhook_ports import (
    DeliveryQueue,
    WebhookSender,
    WebhookSendError,
    WebhookStore,
)
from postbreeze.webhooks.backoff import (
    Outcome,
    next_attempt,
    outcome_of,
    parse_retry_after,
)
from postbreeze.webhooks.envelope import envelope, request_headers
from postbreeze.webhooks.signature import SIGNATURE_HEADER, SignatureError, sign
from postbreeze.webhooks.transcript import body_kept, headers_kept, striking

LONGEST_DELAY = timedelta(minutes=15)
"""The longest delay of an SQS message; what waits longer is found by the reconciler."""

CLOCKS_APART = timedelta(seconds=10)
"""By how much the clocks of two functions may differ."""

SPREAD = timedelta(seconds=10)
"""Over how long the deliveries come that have waited for one moment."""

TRIAL = timedelta(seconds=3)
"""How long a delivery waits that finds all trials of its endpoint taken: so long, up to twice that,
or until its turn comes."""

LOOKED_AT = 10
"""How many deliveries a second are looked at that wait for one endpoint's trials, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """Delivers events to endpoints."""

    webhooks: WebhookStore
    posts: PostStore
    sender: WebhookSender
    secrets: SecretBox
    queue: DeliveryQueue
    judge: JudgeEndpoint
    isolate: IsolateEndpoint
    watch: Watch
    clock: Clock
    randomness: Randomness
    telemetry: Telemetry

    def __call__(self, endpoint_id: str, delivery_id: str, lane: Lane) -> str:
        """Make one attempt if it is time; say in a few words what came of it.

        In the prompt lane nothing waits for an endpoint that is slow or fails: its deliveries are
        handed over to the late lane. There they are held, without an attempt being counted, while
        the endpoint's trials are all taken or its circuit is open; and in either lane while it is
        sent as much as it wants to be.

        An attempt that dies half-way is made again when its lease has ended, so an endpoint may
        see a delivery more than once, always under the same delivery id, and never not at all.

        Raises:
            UnavailableError: Not recorded; the message must be delivered again.
        """
        delivery = self.webhooks.delivery(endpoint_id, delivery_id)
        if delivery is None:
            self.telemetry.warn("delivery not found", delivery_id=delivery_id)
            return "nothing to do"
        if delivery.status is DeliveryStatus.PARKED:
            return self._look_again(delivery)
        leased = webhook.leased(delivery, now=self.clock.now())
        if leased is None:
            return self._postpone(delivery, lane)
        place = self.webhooks.destination(delivery.workspace_id, endpoint_id)
        if place is None:
            return self._drop(delivery)
        if place.endpoint.status is EndpointStatus.DISABLED:
            return self._park(delivery, webhook.parked(delivery))
        health = health_at(place)
        if lane is Lane.PROMPT and endpoint_health.is_late(health):
            self.queue.send(endpoint_id, delivery_id, lane=Lane.LATE)
            return "handed over"
        payload = self._payload(delivery)
        if payload is None:
            self.telemetry.warn("event of a delivery not found", delivery_id=delivery_id)
            return self._drop(delivery)
        admitted = self._admit(place.endpoint, health, delivery, lane)
        if isinstance(admitted, Delivery):
            return self._hold(delivery, admitted, lane)
        if not self._replace(delivery, leased):
            return "nothing to do"
        return self._attempt(place.endpoint, admitted, leased, payload)

    def _attempt(
        self, endpoint: Endpoint, health: Health, delivery: Delivery, payload: Mapping[str, Any]
    ) -> str:
        attempt, wish = self._send(endpoint, health, delivery, payload)
        outcome = self._record(endpoint, delivery, attempt, wish)
        self.isolate.attempted(health, delivery, attempt, wish)
        return outcome

    def _postpone(self, delivery: Delivery, lane: Lane) -> str:
        """Send a message again that came before its time: a clock here may be behind another's.

        One that is much too early is a second one, which would come back for ever; unless its
        moment is reserved, which may be further away than a message can wait.
        """
        wait = webhook.waits(delivery, now=self.clock.now())
        if not wait or (wait > CLOCKS_APART and not delivery.is_reserved):
            return "nothing to do"
        self._message(delivery, wait, lane)
        return "too early"

    def _message(self, delivery: Delivery, wait: timedelta, lane: Lane) -> None:
        """Send a message for when it is time, rounded up: it never comes before that.

        What waits longer than a message can is found by the reconciler, with all that is due in
        that minute; where its moment is reserved, its message goes in steps, to be there in time.
        """
        if wait > LONGEST_DELAY and not delivery.is_reserved:
            return
        delay = -(-min(wait, LONGEST_DELAY) // timedelta(seconds=1))
        self.queue.send(delivery.endpoint_id, delivery.id, delay_seconds=delay, lane=lane)

    def _admit(
        self, endpoint: Endpoint, health: Health, delivery: Delivery, lane: Lane
    ) -> Health | Delivery:
        """Return the health that an attempt begins with; or the delivery, as it has to wait."""
        now = self.clock.now()
        if health.open_until is not None and now < health.open_until:
            return webhook.held(delivery, health.open_until + SPREAD * self.randomness.fraction())
        if endpoint.rate_limit is not None and not delivery.is_reserved:
            moment = self._reserve(endpoint, now)
            if moment > now:
                return webhook.held(delivery, moment, is_reserved=True)
        if lane is Lane.PROMPT:
            return health
        trial = self.isolate.take(health, delivery)
        if trial is None:
            # However many wait, each has a moment of its own: only so many come in a second.
            soon = now + TRIAL * (1 + self.randomness.fraction())
            moment = max(soon, self._reserve(endpoint, now))
            return webhook.held(delivery, moment, is_reserved=True)
        return trial

    def _reserve(self, endpoint: Endpoint, now: datetime) -> datetime:
        rate_limit = endpoint.rate_limit or LOOKED_AT
        interval = timedelta(seconds=1) / rate_limit
        return self.webhooks.reserve(endpoint.id, now=now, interval=interval)

    def _hold(self, delivery: Delivery, held: Delivery, lane: Lane) -> str:
        if not self._replace(delivery, held):
            return "nothing to do"
        self.telemetry.count("WebhookHeld")
        self._message(held, webhook.waits(held, now=self.clock.now()), lane)
        return "held"

    def _drop(self, delivery: Delivery) -> str:
        self._replace(delivery, webhook.dropped(delivery, now=self.clock.now()))
        return "dropped"

    def _payload(self, delivery: Delivery) -> Mapping[str, Any] | None:
        if delivery.payload is not None:
            return delivery.payload
        event = self.posts.event(delivery.post_id, delivery.event_id)
        return None if event is None else event.payload

    def _send(
        self,
        endpoint: Endpoint,
        health: Health,
        delivery: Delivery,
        payload: Mapping[str, Any],
    ) -> tuple[Attempt, timedelta | None]:
        """Send one request; return the attempt and how long the endpoint asks us to wait."""
        now = self.clock.now()
        attempt = Attempt(number=delivery.attempt_count + 1, at=now, duration_ms=0)
        try:
            secrets = [
                self.secrets.open(sealed, sealing_context(endpoint))
                for sealed in webhook.signing(endpoint, now=now)
            ]
            body = envelope(delivery.event_type, delivery.id, now, payload)
            signatures = sign(body, delivery_id=delivery.id, at=now, secrets=secrets)
        except (SecretUnreadableError, SignatureError):
            message = "The endpoint's secret cannot be used: it needs a new one."
            return replace(attempt, error="SECRET_UNREADABLE", message=message), None
        headers = request_headers(delivery.event_type, delivery.id, endpoint.headers, signatures)
        strike = striking(
            [
                *secrets,
                *endpoint.headers.values(),
                *(signatures[name] for name in (SIGNATURE_HEADER, "webhook-signature")),
            ]
        )
        try:
            response = self.watch.over(
                lambda: self.sender.post(endpoint.url, headers, body),
                after=SLOW_AFTER,
                then=lambda: self.isolate.slowed(health),
            )
        except WebhookSendError as error:
            failed = replace(
                attempt,
                duration_ms=error.duration_ms,
                error=error.code,
                message=strike(error.message),
            )
            return failed, None
        answered = replace(
            attempt,
            status=response.status,
            duration_ms=response.duration_ms,
            response_headers=headers_kept(response.headers, strike),
            response_body=body_kept(response.body, strike),
        )
        return answered, _wish(response.headers, self.clock.now())

    def _record(
        self, endpoint: Endpoint, delivery: Delivery, attempt: Attempt, wish: timedelta | None
    ) -> str:
        now = self.clock.now()
        outcome = outcome_of(attempt.status)
        if outcome is Outcome.DELIVERED:
            self.judge.succeeded(endpoint)
            moved = webhook.delivered(delivery, attempt)
        elif self.judge.failed(endpoint, is_gone=outcome is Outcome.GONE):
            moved = webhook.parked(delivery, attempt)
        else:
            next_at = next_attempt(delivery.tries + 1, now, self.randomness.fraction(), wish)
            moved = webhook.attempted(delivery, attempt, next_at=next_at)
        self.telemetry.count(f"Webhook{moved.status.title()}")
        self.telemetry.note(
            "webhook attempt",
            delivery_id=delivery.id,
            endpoint_id=endpoint.id,
            number=attempt.number,
            status=attempt.status,
            error=attempt.error,
            outcome=moved.status.value,
        )
        if moved.status is DeliveryStatus.PARKED:
            return self._park(delivery, moved)
        if not self._replace(delivery, moved):
            return "overtaken"
        if moved.next_attempt_at is not None:
            self._message(moved, moved.next_attempt_at - now, Lane.LATE)
        return moved.status.lower()

    def _park(self, delivery: Delivery, parked: Delivery) -> str:
        """Park a delivery, unless its endpoint was enabled in that very moment.

        Enabling writes the endpoint and then looks for parked deliveries; this writes the parked
        delivery and then looks at the endpoint. Whichever comes second sees the other.
        """
        return self._look_again(parked) if self._replace(delivery, parked) else "overtaken"

    def _look_again(self, parked: Delivery) -> str:
        endpoint = self.webhooks.endpoint(parked.workspace_id, parked.endpoint_id)
        if endpoint is None or endpoint.status is EndpointStatus.DISABLED:
            return "parked"
        again = webhook.sent_off(parked, now=self.clock.now())
        if again is not None and self._replace(parked, again):
            self.queue.send(parked.endpoint_id, parked.id, lane=Lane.LATE)
        return "pending"

    def _replace(self, before: Delivery, after: Delivery) -> bool:
        """Write a moved delivery; False where another attempt was faster."""
        try:
            self.webhooks.replace_delivery(after, expected_revision=before.revision)
        except LostRaceError:
            return False
        return True


def sealing_context(endpoint: Endpoint) -> dict[str, str]:
    """Return what binds an endpoint's encrypted secrets to that endpoint alone."""
    return {"workspaceId": endpoint.workspace_id, "endpointId": endpoint.id}


def _wish(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    lowered = {name.lower(): value for name, value in headers.items()}
    return parse_retry_after(lowered.get("retry-after"), now)
