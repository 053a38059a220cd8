"""Judging by its answers whether an endpoint is to be sent anything any more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from postbreeze.domain import webhook
from postbreeze.domain.errors import LostRaceError, UnavailableError
from postbreeze.domain.webhook import Endpoint
from postbreeze.operations.ports import Clock, Telemetry
from postbreeze.operations.races import MOST_RACES
from postbreeze.operations.webhook_ports import WebhookStore

GONE = "The endpoint answered 410 Gone."
FAILING = "The endpoint has failed for five days without a success."


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeEndpoint:
    """Notes since when an endpoint fails, and disables one that has failed too long."""

    webhooks: WebhookStore
    tell_others: Callable[[Endpoint], int]
    clock: Clock
    telemetry: Telemetry

    def succeeded(self, endpoint: Endpoint) -> None:
        """Note a success, if the endpoint was failing when it was read.

        Where somebody else has written it, it is looked at again: a success that is forgotten
        would disable the endpoint with its next failure, however much later that is.

        Raises:
            UnavailableError: It may or may not have been noted.
        """
        present: Endpoint | None = endpoint
        for _ in range(MOST_RACES):
            if present is None or present.failing_since is None:
                return
            if self._replace(present, webhook.succeeding(present)):
                return
            present = self.webhooks.endpoint(endpoint.workspace_id, endpoint.id)

    def failed(self, endpoint: Endpoint, *, is_gone: bool) -> bool:
        """Note a failure; tell whether it has disabled the endpoint.

        It does not where the endpoint is no longer the one that was called.

        Raises:
            UnavailableError: It may or may not have been noted.
        """
        now = self.clock.now()
        if is_gone:
            return self._disable(endpoint, GONE)
        if webhook.has_failed_too_long(endpoint, now=now):
            return self._disable(endpoint, FAILING)
        if endpoint.failing_since is None:
            # Where somebody else has written it, the next failure is soon enough.
            self._replace(endpoint, webhook.failing(endpoint, now=now))
        return False

    def _disable(self, endpoint: Endpoint, reason: str) -> bool:
        if endpoint.notice is not None:
            # What was to be told of it before comes first: the next failure disables it.
            return False
        disabled = webhook.disabled(endpoint, reason, now=self.clock.now(), is_told=True)
        if not self._replace(endpoint, disabled):
            # Its owner changed it meanwhile: the next attempt goes to what it is now.
            self.telemetry.note("endpoint changed meanwhile", endpoint_id=endpoint.id)
            return False
        self.telemetry.count("EndpointDisabled")
        self.telemetry.warn("endpoint disabled", endpoint_id=endpoint.id, reason=reason)
        try:
            self.tell_others(disabled)
        except UnavailableError as error:
            self.telemetry.warn("others not told yet", endpoint_id=endpoint.id, error=str(error))
        return True

    def _replace(self, before: Endpoint, after: Endpoint) -> bool:
        """Write a changed endpoint; False where somebody else has."""
        try:
            self.webhooks.replace_endpoint(after, expected_revision=before.revision)
        except LostRaceError:
            return False
        return True
