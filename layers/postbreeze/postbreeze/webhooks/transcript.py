"""What of an endpoint's answer is kept for the log: so much of it, and nothing secret.

Receivers echo what they were sent, in error pages above all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

STRUCK: Final = "[secret]"

LONGEST_BODY: Final = 16 * 1024
"""Bytes of an answer's body that are kept, as it is stored."""

LONGEST_HEADERS: Final = 4 * 1024
"""Bytes of an answer's headers that are kept, names and values together."""

_NEVER_KEPT: Final = frozenset({"set-cookie"})


def striking(secrets: Iterable[str]) -> Callable[[str], str]:
    """Return what strikes these out of a text, also where they are written in JSON.

    Of one with several words, such as ``Bearer …``, the last is one by itself.
    """
    spelled = {each for secret in secrets for each in _spellings(secret)}
    # Backwards, because one may begin with another, and the longer is to be struck out.
    pattern = re.compile("|".join(map(re.escape, sorted(spelled, reverse=True))) or _NOTHING)
    return lambda text: pattern.sub(STRUCK, text)


def body_kept(body: bytes, strike: Callable[[str], str]) -> str:
    """Return the text of a body, at most 16 KiB of it once it is stored as UTF-8."""
    text = strike(body.decode("utf-8", "replace")).encode()[:LONGEST_BODY]
    return text.decode("utf-8", "ignore")


def headers_kept(headers: Mapping[str, str], strike: Callable[[str], str]) -> dict[str, str]:
    """Return headers by their names in lower case: those that there is room for, and no cookies."""
    kept: dict[str, str] = {}
    room = LONGEST_HEADERS
    for name, value in headers.items():
        lowered, struck = name.lower(), strike(value)
        size = len((lowered + struck).encode())
        if lowered not in _NEVER_KEPT and size <= room:
            kept[lowered] = struck
            room -= size
    return kept


_NOTHING: Final = "(?!)"
"""A pattern that never matches."""


def _spellings(secret: str) -> Iterable[str]:
    for plain in {secret, secret.rpartition(" ")[2]} - {""}:
        written = json.dumps(plain)[1:-1]
        yield from (plain, written, written.replace("/", "\\/"))
