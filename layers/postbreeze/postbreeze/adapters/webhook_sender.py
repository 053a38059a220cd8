"""The guarded way out to webhook endpoints."""

from __future__ import annotations

from collections.abc import Mapping

from postbreeze.adapters.egress import Egress, EgressError
from postbreeze.operations.ports import WebhookResponse, WebhookSendError


class EgressWebhookSender:
    """Sends webhooks through the egress guard."""

    def __init__(self, egress: Egress) -> None:
        """Send nothing yet."""
        self._egress = egress

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookResponse:
        """Send one request, following no redirect, within 10 seconds.

        Raises:
            WebhookSendError: No usable answer came; its code is the egress guard's.
        """
        try:
            response = self._egress.post(url, headers, body)
        except EgressError as error:
            raise WebhookSendError(error.code, str(error), error.duration_ms) from error
        except ValueError as error:
            # An endpoint's own header that cannot be sent: its owner has to mend it.
            raise WebhookSendError("HEADERS_NOT_ALLOWED", str(error)) from error
        return WebhookResponse(
            status=response.status,
            headers=response.headers,
            body=response.body,
            duration_ms=response.duration_ms,
        )
