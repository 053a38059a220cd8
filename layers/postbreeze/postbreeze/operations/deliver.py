"""Delivering one event to one endpoint: lease, sign, send, record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from postbreeze.domain import webhook
from postbreeze.domain.errors import LostRaceError, SecretUnreadableError
from postbreeze.domain.events import Event
from postbreeze.domain.webhook import (
    Attempt,
    Delivery,
    DeliveryStatus,
    Endpoint,
    EndpointStatus,
)
from postbreeze.operations.ports import (
    Clock,
    DeliveryQueue,
    PostStore,
    Randomness,
    SecretBox,
    Telemetry,
    WebhookResponse,
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
from postbreeze.webhooks.signature import SignatureError, sign

LONGEST_DELAY = timedelta(minutes=15)
"""The longest delay of an SQS message; what waits longer is found by the reconciler."""

CLOCKS_APART = timedelta(seconds=10)
"""By how much the clocks of two functions may differ."""

LONGEST_RESPONSE = 16 * 1024
"""Bytes of an answer that are kept: ten attempts stay well below a row's 400 KB."""

GONE = "The endpoint answered 410 Gone."


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """Delivers events to endpoints."""

    webhooks: WebhookStore
    posts: PostStore
    sender: WebhookSender
    secrets: SecretBox
    queue: DeliveryQueue
    clock: Clock
    randomness: Randomness
    telemetry: Telemetry

    def __call__(self, endpoint_id: str, delivery_id: str) -> str:
        """Make one attempt if it is time; say in a few words what came of it.

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
            return self._postpone(delivery)
        if not self._replace(delivery, leased):
            return "nothing to do"
        endpoint = self.webhooks.endpoint(delivery.workspace_id, endpoint_id)
        if endpoint is None:
            self._replace(leased, webhook.dropped(leased))
            return "dropped"
        if endpoint.status is EndpointStatus.DISABLED:
            return self._park(leased, webhook.parked(leased))
        event = self.posts.event(delivery.post_id, delivery.event_id)
        if event is None:
            self.telemetry.warn("event of a delivery not found", delivery_id=delivery_id)
            self._replace(leased, webhook.dropped(leased))
            return "dropped"
        return self._record(endpoint, leased, *self._send(endpoint, leased, event))

    def _postpone(self, delivery: Delivery) -> str:
        """Send a message again that came before its time: a clock here may be behind another's.

        One that is much too early is a second one, which would come back for ever.
        """
        now = self.clock.now()
        wait = webhook.waits(delivery, now=now)
        if not timedelta(0) < wait <= CLOCKS_APART:
            return "nothing to do"
        self._message(delivery, wait)
        return "too early"

    def _message(self, delivery: Delivery, wait: timedelta) -> None:
        # Rounded up, so that the message never comes before its time.
        delay = -(-wait // timedelta(seconds=1))
        self.queue.send(delivery.endpoint_id, delivery.id, delay_seconds=delay)

    def _send(
        self, endpoint: Endpoint, delivery: Delivery, event: Event
    ) -> tuple[Attempt, timedelta | None]:
        """Send one request; return the attempt and how long the endpoint asks us to wait."""
        now = self.clock.now()
        attempt = Attempt(number=len(delivery.attempts) + 1, at=now, duration_ms=0)
        try:
            secrets = [
                self.secrets.open(sealed, sealing_context(endpoint))
                for sealed in endpoint.sealed_secrets
            ]
            body = envelope(event.type, delivery.id, now, event.payload)
            headers = request_headers(
                event.type,
                delivery.id,
                endpoint.headers,
                sign(body, delivery_id=delivery.id, at=now, secrets=secrets),
            )
            response = self.sender.post(endpoint.url, headers, body)
        except WebhookSendError as error:
            failed = replace(
                attempt,
                duration_ms=error.duration_ms,
                error=error.code,
                message=error.message,
            )
            return failed, None
        except (SecretUnreadableError, SignatureError):
            message = "The endpoint's secret cannot be used: it needs a new one."
            return replace(attempt, error="SECRET_UNREADABLE", message=message), None
        answered = replace(
            attempt,
            status=response.status,
            duration_ms=response.duration_ms,
            response_body=_readable(response.body),
        )
        return answered, _wish(response, self.clock)

    def _record(
        self,
        endpoint: Endpoint,
        delivery: Delivery,
        attempt: Attempt,
        wish: timedelta | None,
    ) -> str:
        now = self.clock.now()
        outcome = outcome_of(attempt.status)
        if outcome is Outcome.DELIVERED:
            moved = webhook.delivered(delivery, attempt)
        elif outcome is Outcome.GONE and self._disable(endpoint):
            moved = webhook.parked(delivery, attempt)
        else:
            next_at = next_attempt(attempt.number, now, self.randomness.fraction(), wish)
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
        wait = None if moved.next_attempt_at is None else moved.next_attempt_at - now
        if wait is not None and wait <= LONGEST_DELAY:
            self._message(moved, wait)
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
        if self._replace(parked, webhook.unparked(parked, now=self.clock.now())):
            self.queue.send(parked.endpoint_id, parked.id)
        return "pending"

    def _disable(self, endpoint: Endpoint) -> bool:
        """Disable an endpoint; False where it is no longer the one that was called."""
        disabled = webhook.disabled(endpoint, GONE, now=self.clock.now())
        try:
            self.webhooks.replace_endpoint(disabled, expected_revision=endpoint.revision)
        except LostRaceError:
            # Its owner changed it meanwhile: the next attempt goes to what it is now.
            self.telemetry.note("endpoint changed meanwhile", endpoint_id=endpoint.id)
            return False
        self.telemetry.count("EndpointDisabled")
        self.telemetry.warn("endpoint disabled", endpoint_id=endpoint.id, reason=GONE)
        return True

    def _replace(self, before: Delivery, after: Delivery) -> bool:
        """Write a moved delivery; False where another attempt was faster."""
        try:
            self.webhooks.replace_delivery(after, expected_revision=before.revision)
        except LostRaceError:
            return False
        return True


def _readable(body: bytes) -> str:
    """Return an answer's text for the log, at most 16 KiB of it once it is stored as UTF-8."""
    text = body.decode("utf-8", "replace").encode()[:LONGEST_RESPONSE]
    return text.decode("utf-8", "ignore")


def sealing_context(endpoint: Endpoint) -> dict[str, str]:
    """Return what binds an endpoint's encrypted secrets to that endpoint alone."""
    return {"workspaceId": endpoint.workspace_id, "endpointId": endpoint.id}


def _wish(response: WebhookResponse, clock: Clock) -> timedelta | None:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return parse_retry_after(headers.get("retry-after"), clock.now())
