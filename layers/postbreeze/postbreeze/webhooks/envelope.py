"""What a webhook request looks like: its body, its headers, and who is subscribed to it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from postbreeze.domain.documents import timestamp, to_json
from postbreeze.domain.errors import Detail, ValidationError

API_VERSION: Final = "2026-05-01"
USER_AGENT: Final = "Postbreeze-Webhook/1.0"
MAX_CUSTOM_HEADERS: Final = 20
MAX_HEADER_NAME: Final = 64
MAX_HEADER_VALUE: Final = 1024

# Headers that the service sets itself, by name and by family.
_OURS: Final = frozenset({"content-type", "user-agent"})
_OUR_PREFIXES: Final = ("x-postbreeze-", "webhook-")
# Headers that decide where a request goes, where it ends, or how its body is read. A customer who
# could set them could smuggle a second request or make the signed bytes mean something else.
_DANGEROUS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    }
)
_DANGEROUS_PREFIXES: Final = ("proxy-",)
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
_VALUE = re.compile(r"[!-~]([\t -~]*[!-~])?", re.ASCII)


def envelope(
    event_type: str, delivery_id: str, sent_at: datetime, payload: Mapping[str, Any]
) -> bytes:
    """Return the body of one attempt: compact JSON in UTF-8.

    ``sentAt`` is the attempt's moment, in UTC with milliseconds. The bytes are what must be signed
    and sent: nobody may parse and write them again on the way.

    Raises:
        ValueError: ``sent_at`` has no time zone, or the payload holds NaN or an infinity.
        TypeError: The payload holds something that JSON does not have.
    """
    if sent_at.tzinfo is None:
        raise ValueError("A moment needs a time zone.")
    return to_json(
        {
            "event": event_type,
            "deliveryId": delivery_id,
            "sentAt": timestamp(sent_at),
            "apiVersion": API_VERSION,
            "payload": payload,
        }
    )


def request_headers(
    event_type: str,
    delivery_id: str,
    custom_headers: Mapping[str, str],
    signature_headers: Mapping[str, str],
) -> dict[str, str]:
    """Return all headers of one attempt; ours always win.

    A custom header that :func:`check_custom_headers` would refuse is left out: an endpoint stored
    under older rules loses the header, never the event.
    """
    custom = {
        name: value for name, value in custom_headers.items() if _objection(name, value) is None
    }
    return {
        **custom,
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "X-Postbreeze-Event": event_type,
        "X-Postbreeze-Delivery-Id": delivery_id,
        "X-Postbreeze-Api-Version": API_VERSION,
        **signature_headers,
    }


def check_custom_headers(custom_headers: Mapping[str, str]) -> None:
    """Refuse custom headers that could override ours or disturb the request.

    Raises:
        ValidationError: With one detail for each header at fault. Values are never repeated in
            it: they may be credentials.
    """
    details: list[Detail] = []
    if len(custom_headers) > MAX_CUSTOM_HEADERS:
        details.append(Detail("headers", f"At most {MAX_CUSTOM_HEADERS} headers can be set."))
    seen: set[str] = set()
    for name, value in custom_headers.items():
        objection = _objection(name, value)
        if objection is None and name.lower() in seen:
            objection = "The header is given twice."
        seen.add(name.lower())
        if objection is not None:
            details.append(Detail(f"headers.{name[:MAX_HEADER_NAME]}", objection))
    if details:
        raise ValidationError(details)


def matches(filters: Collection[str], event_type: str) -> bool:
    """Say whether an endpoint with these filters is subscribed to the event type.

    A filter is an exact event type, ``*`` for all of them, or a family such as ``post.*``. No
    filter matches nothing.
    """
    family = event_type.rpartition(".")[0]
    wanted = {"*", event_type}
    while family:
        wanted.add(f"{family}.*")
        family = family.rpartition(".")[0]
    return not wanted.isdisjoint(filters)


def check_filters(filters: Collection[str], event_types: Collection[str]) -> None:
    """Refuse filters that can never match one of the event types, and an empty choice.

    Raises:
        ValidationError: With one detail for each filter at fault.
    """
    details = [
        Detail(f"events.{index}", "No event has this name.")
        for index, wanted in enumerate(filters)
        if not any(matches((wanted,), event_type) for event_type in event_types)
    ]
    if not filters:
        details.append(Detail("events", "At least one event must be chosen."))
    if details:
        raise ValidationError(details)


def _objection(name: str, value: str) -> str | None:
    """Return why a custom header is refused, or None."""
    lowered = name.lower()
    if len(name) > MAX_HEADER_NAME or not _NAME.fullmatch(name):
        return f"A header name is 1 to {MAX_HEADER_NAME} letters, digits and hyphens."
    if lowered in _OURS or lowered.startswith(_OUR_PREFIXES):
        return "The service sets this header itself."
    if lowered in _DANGEROUS or lowered.startswith(_DANGEROUS_PREFIXES):
        return "This header cannot be set."
    if len(value) > MAX_HEADER_VALUE or not _VALUE.fullmatch(value):
        return f"A header value is 1 to {MAX_HEADER_VALUE} printable ASCII characters."
    return None
