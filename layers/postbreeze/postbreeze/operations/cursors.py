"""Cursors: where a listing goes on, as a text that clients hand back unread.

A cursor is signed with a secret of the key it was made for. It is good for that key and for the
one purpose it names, which is a listing with its filters; anything else is refused, and so is every
text that differs from what was signed in as much as one character.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from postbreeze.domain.errors import ValidationError

LONGEST_CURSOR = 2_000
"""The most characters that are looked at: ours are far shorter."""

_SIGNATURE = 32
_SHORTEST_SECRET = 16


def sign(secret: bytes, purpose: Sequence[str | None], payload: Mapping[str, Any]) -> str:
    """Write a cursor, in characters that need no escape in a URL.

    Args:
        secret: The key's own.
        purpose: What is listed and by which filters.
        payload: Where to go on, as JSON.

    Raises:
        ValueError: The secret is none.
    """
    text = json.dumps(payload, separators=(",", ":")).encode()
    return _encoded(_signature(secret, purpose, text) + text)


def read(secret: bytes, purpose: Sequence[str | None], cursor: str) -> dict[str, Any]:
    """Return the payload of a cursor that ``sign`` wrote with the same secret and purpose.

    Raises:
        ValidationError: It is anything else.
        ValueError: The secret is none.
    """
    payload = _payload(secret, purpose, cursor)
    if payload is None:
        raise ValidationError.of(
            "query.cursor", "must be of the Link of an answer to the same key and parameters"
        )
    return payload


def _payload(secret: bytes, purpose: Sequence[str | None], cursor: str) -> dict[str, Any] | None:
    if len(cursor) > LONGEST_CURSOR or not cursor.isascii():
        return None
    try:
        signed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except binascii.Error:
        return None
    signature, text = signed[:_SIGNATURE], signed[_SIGNATURE:]
    expected = _signature(secret, purpose, text)
    # Several texts decode to the same bytes; only the one that was written counts.
    if not hmac.compare_digest(signature, expected) or _encoded(signed) != cursor:
        return None
    payload: dict[str, Any] = json.loads(text)
    return payload


def _signature(secret: bytes, purpose: Sequence[str | None], text: bytes) -> bytes:
    if len(secret) < _SHORTEST_SECRET:
        raise ValueError("the key has no secret to sign cursors with")
    bound = json.dumps(list(purpose), separators=(",", ":")).encode()
    return hmac.digest(secret, bound + b"\x00" + text, hashlib.sha256)


def _encoded(signed: bytes) -> str:
    return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()
