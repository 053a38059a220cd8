"""Identifiers: a prefix, an underscore and a ULID (26 upper-case Crockford base-32 characters).

A ULID is 48 bits of Unix milliseconds followed by 80 bits of randomness, so identifiers of one kind
sort by the time they were made.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS = 80
# The first character holds only 3 of the 128 bits, hence 0 to 7.
_ULID = r"[0-7][0-9A-HJKMNP-TV-Z]{25}"

POST = "post"
TARGET = "tgt"
ACCOUNT = "soc"
WORKSPACE = "ws"
USER = "usr"
MEDIA = "med"
KEY = "key"
ENDPOINT = "wh"
EVENT = "evt"
DELIVERY = "dlv"
REQUEST = "req"

PREFIXES = (
    POST,
    TARGET,
    ACCOUNT,
    WORKSPACE,
    USER,
    MEDIA,
    KEY,
    ENDPOINT,
    EVENT,
    DELIVERY,
    REQUEST,
)

_FORMS = {prefix: re.compile(rf"{prefix}_{_ULID}") for prefix in PREFIXES}


def pattern(prefix: str) -> str:
    """Return the anchored regular expression that an identifier of this kind matches."""
    return f"^{prefix}_{_ULID}$"


def is_id(prefix: str, text: str) -> bool:
    """Tell whether the text has the form of an identifier of this kind."""
    return _FORMS[prefix].fullmatch(text) is not None


def new_id(prefix: str, at: datetime, randomness: bytes) -> str:
    """Build an identifier from its moment and 10 random bytes.

    Raises:
        ValueError: The randomness is not 10 bytes long.
    """
    if len(randomness) * 8 != _RANDOM_BITS:
        raise ValueError("an identifier takes exactly 10 random bytes")
    value = (_milliseconds(at) << _RANDOM_BITS) | int.from_bytes(randomness, "big")
    return f"{prefix}_{_encode(value)}"


def derived_id(prefix: str, at: datetime, *parts: str) -> str:
    """Build the one identifier that these parts always give.

    Doing the same work twice then names the same row instead of making a second one.
    """
    digest = hashlib.sha256("\x00".join(parts).encode()).digest()
    return new_id(prefix, at, digest[: _RANDOM_BITS // 8])


def made_at(identifier: str) -> datetime:
    """Return the moment (UTC, milliseconds) that an identifier carries."""
    value = 0
    for character in identifier.rpartition("_")[2]:
        value = value * 32 + _ALPHABET.index(character)
    seconds, milliseconds = divmod(value >> _RANDOM_BITS, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=milliseconds * 1000)


def _milliseconds(at: datetime) -> int:
    # In whole numbers: in some distant years a float would be rounded up to the next second.
    return (at - _EPOCH) // timedelta(milliseconds=1)


def _encode(value: int) -> str:
    characters = []
    for _ in range(26):
        value, remainder = divmod(value, 32)
        characters.append(_ALPHABET[remainder])
    return "".join(reversed(characters))
