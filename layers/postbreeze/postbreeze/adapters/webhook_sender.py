"""The guarded way out to webhook endpoints."""

from __future__ import annotations

from collections.abc import Mapping

from postbreeze.adapters.egress import (
    BlockedAddressError,
    Egress,
    EgressError,
    UrlNotAllowedError,
    check_url,
)
from postbreeze.domain.errors import ValidationError
from postbreeze.operations.webhook_ports import WebhookResponse, WebhookSendError


def check_endpoint_url(url: str, *, allow_loopback: bool) -> None:
    """Refuse a URL that nothing will be sent to, as far as that can be told by itself.

    Raises:
        ValidationError: It is such a URL; the message says why.
    """
    try:
        check_url(url, allow_loopback=allow_loopback)
    except (UrlNotAllowedError, BlockedAddressError) as error:
        raise ValidationError.of("url", str(error)) from error


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
