"""Sending the example of an event as the service would, from the operator's own machine."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

import urllib3

from postbreeze.adapters.clock import SystemRandomness
from postbreeze.domain import ids
from postbreeze.domain.errors import PostbreezeError, ValidationError
from postbreeze.webhooks.envelope import envelope, request_headers
from postbreeze.webhooks.signature import sign

SECONDS: Final = 10.0
LONGEST_ANSWER: Final = 16 * 1024

_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class NoAnswerError(PostbreezeError):
    """The request could not be sent, or nothing came back."""


@cache
def examples() -> Mapping[str, Mapping[str, Any]]:
    """Return the payload of each event's example, by the event's name.

    They are those of ``docs/events``; ``make openapi`` writes both.
    """
    text = files("postbreeze.cli").joinpath("examples.json").read_text(encoding="utf-8")
    payloads: dict[str, dict[str, Any]] = json.loads(text)
    return payloads


def send_example(event: str, url: str, secret: str, *, now: datetime) -> dict[str, Any]:
    """Send an event's example once, and tell what was sent and what came back.

    Raises:
        ValidationError: It is not a URL to send to.
        MalformedSecretError: The secret is malformed.
        NoAnswerError: None came in time.
    """
    _check(url)
    delivery_id = ids.new_id(ids.DELIVERY, now, SystemRandomness().token(10))
    body = envelope(event, delivery_id, now, examples()[event])
    signature = sign(body, delivery_id=delivery_id, at=now, secrets=[secret])
    began = time.monotonic()
    try:
        with urllib3.PoolManager(timeout=SECONDS) as http:
            answer = http.request(
                "POST",
                url,
                body=body,
                headers=request_headers(event, delivery_id, {}, signature),
                redirect=False,
                retries=False,
                preload_content=False,
            )
            content = b""
            while part := answer.read(LONGEST_ANSWER - len(content)):
                content += part
    except urllib3.exceptions.HTTPError as error:
        raise NoAnswerError(f"No answer came: {type(error).__name__}.") from error
    return {
        "event": event,
        "deliveryId": delivery_id,
        "status": answer.status,
        "durationMs": round((time.monotonic() - began) * 1000),
        "answer": content.decode("utf-8", "replace"),
    }


def _check(url: str) -> None:
    """Refuse what would go over the network in the clear."""
    try:
        parts = urlsplit(url)
        is_sent = bool(parts.hostname) and (
            parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _THIS_MACHINE)
        )
    except ValueError:
        is_sent = False
    if not is_sent:
        raise ValidationError.of("--to", "It is an https URL, or an http URL of this machine.")
