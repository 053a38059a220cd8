"""API keys: their written form, how one is made, and what the server keeps of it.

A key is ``pb_live_``, 26 random base-62 characters (over 154 bits) and 6 more that are the CRC-32
of all that goes before. The checksum is no protection; it lets a mistyped or guessed key be refused
without asking the database.
"""

from __future__ import annotations

import hashlib
import re
import zlib

PREFIX = "pb_live_"

RANDOM_BYTES = 32
"""How much randomness one key takes."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_CHARACTERS = 26
_CHECK_CHARACTERS = 6
_FORM = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM_CHARACTERS + _CHECK_CHARACTERS}}}")
_HINT_CHARACTERS = 4


def mint(randomness: bytes) -> str:
    """Make a key's plaintext from 32 random bytes.

    Raises:
        ValueError: The randomness is not 32 bytes long.
    """
    if len(randomness) != RANDOM_BYTES:
        raise ValueError(f"a key takes exactly {RANDOM_BYTES} random bytes")
    # 32 bytes are 101 bits more than 26 characters hold, so the remainder favours none of them.
    body = PREFIX + _base62(int.from_bytes(randomness, "big"), _RANDOM_CHARACTERS)
    return body + _checksum(body)


def is_well_formed(plaintext: str) -> bool:
    """Tell whether the text could be a key: its form and its checksum are right."""
    if _FORM.fullmatch(plaintext) is None:
        return False
    body, checksum = plaintext[:-_CHECK_CHARACTERS], plaintext[-_CHECK_CHARACTERS:]
    return _checksum(body) == checksum


def digest(plaintext: str) -> str:
    """Return what is stored instead of the key: the SHA-256 of all of it, in hexadecimal."""
    return hashlib.sha256(plaintext.encode()).hexdigest()


def hint(plaintext: str) -> str:
    """Return the few last characters that tell a person which key this is."""
    return plaintext[-_HINT_CHARACTERS:]


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECK_CHARACTERS)


def _base62(value: int, length: int) -> str:
    characters = []
    for _ in range(length):
        value, remainder = divmod(value, len(_ALPHABET))
        characters.append(_ALPHABET[remainder])
    return "".join(reversed(characters))
