"""Signing of webhook requests, and the check a receiver makes.

Every request carries two signatures over the same raw body:

* ``X-Postbreeze-Signature: t=<unix seconds>,v1=<hex>`` over ``<t>.<raw body>``. **The HMAC key is
  the secret exactly as the endpoint's owner holds it: the UTF-8 bytes of the whole ``whsec_…``
  string**, so that a receiver needs no decoding step.
* ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature: v1,<base64>`` over
  ``<id>.<timestamp>.<raw body>``, as Standard Webhooks has it: there **the key is the 32 bytes
  that the base64 part of the secret stands for**.

While a secret is being rotated both the old and the new one sign. The current one always comes
last: a reader that keeps only the last of several ``v1`` pairs then sees the current one.

SignatureError
├── MalformedSecretError   the secret is not ``whsec_`` and the base64 of 32 bytes
└── VerificationError      a request's signature is missing, malformed, too old or wrong
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from postbreeze.domain.errors import PostbreezeError

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what marks a secret, not one
SECRET_BYTES: Final = 32
SIGNATURE_HEADER: Final = "X-Postbreeze-Signature"
TOLERANCE: Final = timedelta(minutes=5)

# A dot inside the id would let two different (id, timestamp) pairs sign the same bytes.
_DELIVERY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_TIMESTAMP = re.compile(r"[0-9]{1,11}", re.ASCII)


class SignatureError(PostbreezeError):
    """Base of what can go wrong with secrets and signatures. Never carries a secret."""


class MalformedSecretError(SignatureError):
    """The secret is not ``whsec_`` followed by the base64 of 32 bytes."""


class VerificationError(SignatureError):
    """The request cannot be trusted: not signed, wrongly signed, or signed too long ago."""


def new_secret(random_bytes: bytes) -> str:
    """Return the secret that 32 fresh random bytes make: ``whsec_<base64>``.

    Raises:
        MalformedSecretError: There are not exactly 32 bytes.
    """
    if len(random_bytes) != SECRET_BYTES:
        raise MalformedSecretError(f"A secret is made from exactly {SECRET_BYTES} random bytes.")
    return SECRET_PREFIX + base64.b64encode(random_bytes).decode("ascii")


def secret_bytes(secret: str) -> bytes:
    """Return the 32 bytes that a secret stands for; this is also its validation.

    Only the canonical spelling is taken, so that one secret has one string: the hex signature is
    keyed with the string itself.

    Raises:
        MalformedSecretError: Wrong prefix, wrong length, or not canonical base64.
    """
    try:
        decoded = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != SECRET_BYTES or new_secret(decoded) != secret:
        raise MalformedSecretError(
            f"A secret is {SECRET_PREFIX} followed by the base64 of {SECRET_BYTES} bytes."
        )
    return decoded


def sign(body: bytes, *, delivery_id: str, at: datetime, secrets: Sequence[str]) -> dict[str, str]:
    """Return the four signature headers of one attempt.

    Args:
        body: The raw body, exactly as it will be sent.
        delivery_id: Stable over all attempts of the delivery.
        at: The attempt's moment, with a time zone; signed in whole seconds.
        secrets: Every secret that may still verify, oldest first and **the current one last**.

    Raises:
        MalformedSecretError: One of the secrets is malformed.
        ValueError: No secret, a moment without a time zone or before 1970, or an id with
            characters other than letters, digits, ``_`` and ``-``.
    """
    if not secrets:
        raise ValueError("At least one secret is needed to sign.")
    if not _DELIVERY_ID.fullmatch(delivery_id):
        raise ValueError("A delivery id is 1 to 64 letters, digits, underscores and hyphens.")
    timestamp = _unix_seconds(at)
    keys = [secret_bytes(secret) for secret in secrets]

    ours = f"{timestamp}.".encode("ascii") + body
    hex_parts = [f"v1={_hex_signature(secret, ours)}" for secret in secrets]
    standard = f"{delivery_id}.{timestamp}.".encode("ascii") + body
    base64_parts = [f"v1,{_base64_signature(key, standard)}" for key in keys]
    return {
        SIGNATURE_HEADER: ",".join([f"t={timestamp}", *hex_parts]),
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(base64_parts),
    }


def verify_postbreeze(
    headers: Mapping[str, str],
    body: bytes,
    secret: str,
    now: datetime,
    tolerance: timedelta = TOLERANCE,
) -> datetime:
    """Check ``X-Postbreeze-Signature`` as a receiver should; return the signed moment in UTC.

    Header names are compared without regard to case. One matching ``v1`` is enough, whichever of
    several it is; parts of other schemes are ignored. Every ``v1`` is compared in constant time.

    Raises:
        VerificationError: Missing, malformed, outside the tolerance either way, or wrong.
        ValueError: ``now`` has no time zone.
    """
    timestamps: list[str] = []
    signatures: list[str] = []
    for part in _header(headers, SIGNATURE_HEADER).split(","):
        scheme, _, value = part.strip().partition("=")
        if scheme == "t":
            timestamps.append(value)
        elif scheme == "v1":
            signatures.append(value)
    if len(timestamps) != 1 or not _TIMESTAMP.fullmatch(timestamps[0]) or not signatures:
        raise VerificationError(f"The {SIGNATURE_HEADER} header is malformed.")

    # The text of t is what was signed, so it is used as received and never re-formatted.
    expected = _hex_signature(secret, timestamps[0].encode("ascii") + b"." + body).encode("ascii")
    _check_matching(expected, signatures)
    return _fresh(timestamps[0], now, tolerance)


def verify_standard(
    headers: Mapping[str, str],
    body: bytes,
    secret: str,
    now: datetime,
    tolerance: timedelta = TOLERANCE,
) -> datetime:
    """Check ``webhook-signature`` as a Standard Webhooks library does; return the signed moment.

    Header names are compared without regard to case. One matching ``v1`` is enough, whichever of
    several it is; entries of other versions are ignored.

    Raises:
        VerificationError: Missing, malformed, outside the tolerance either way, or wrong.
        MalformedSecretError: The secret is malformed.
        ValueError: ``now`` has no time zone.
    """
    delivery_id = _header(headers, "webhook-id")
    timestamp = _header(headers, "webhook-timestamp")
    entries = [entry.partition(",") for entry in _header(headers, "webhook-signature").split(" ")]
    signatures = [value for version, _, value in entries if version == "v1"]
    if not _DELIVERY_ID.fullmatch(delivery_id) or not _TIMESTAMP.fullmatch(timestamp):
        raise VerificationError("The webhook-id or webhook-timestamp header is malformed.")
    signed = f"{delivery_id}.{timestamp}.".encode("ascii") + body
    expected = _base64_signature(secret_bytes(secret), signed).encode("ascii")
    _check_matching(expected, signatures)
    return _fresh(timestamp, now, tolerance)


def _header(headers: Mapping[str, str], wanted: str) -> str:
    values = [value for name, value in headers.items() if name.lower() == wanted.lower()]
    if len(values) != 1:
        raise VerificationError(f"There is not exactly one {wanted} header.")
    return values[0]


def _check_matching(expected: bytes, signatures: Sequence[str]) -> None:
    """Compare every signature, in constant time."""
    matching = [
        hmac.compare_digest(expected, signature.encode("utf-8", "surrogatepass"))
        for signature in signatures
    ]
    if not any(matching):
        raise VerificationError("No signature matches the body and the secret.")


def _fresh(timestamp: str, now: datetime, tolerance: timedelta) -> datetime:
    """Return the signed moment, unless it is too far from the present either way."""
    seconds = int(timestamp)
    if abs(_unix_seconds(now) - seconds) > tolerance.total_seconds():
        raise VerificationError("The signature's time is too far from the present.")
    return datetime.fromtimestamp(seconds, UTC)


def _unix_seconds(at: datetime) -> int:
    """Return whole seconds since 1970; unlike ``timestamp()`` never guess a time zone."""
    if at.tzinfo is None:
        raise ValueError("A moment needs a time zone.")
    seconds = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    if seconds < 0:
        raise ValueError("A moment before 1970 cannot be signed.")
    return seconds


def _hex_signature(secret: str, content: bytes) -> str:
    return hmac.new(secret.encode("utf-8"), content, hashlib.sha256).hexdigest()


def _base64_signature(key: bytes, content: bytes) -> str:
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode("ascii")
