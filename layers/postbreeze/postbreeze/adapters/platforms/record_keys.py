"""Record keys that a target alone decides.

An AT Protocol repository refuses a second record under a key that is taken. A key derived from the
target's identifier and nothing else therefore makes it impossible that one target becomes two
records, and lets anyone ask after a lost answer whether the record exists.

The keys are TIDs, as ``app.bsky.feed.post`` demands: a zero bit, 53 bits of microseconds since
1970, 10 bits of clock identifier, written as 13 characters of sortable base 32.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from postbreeze.domain import ids

_ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"
_LENGTH = 13
_CLOCK_BITS = 10
_TIME_BITS = 53
_EPOCH = datetime.fromtimestamp(0, UTC)


def post_key(target_id: str) -> str:
    """Return the key of the target's post: always the same one, and a valid TID.

    Raises:
        ValueError: The identifier carries no ULID.
    """
    return _tid(target_id, "post", kind=0)


def comment_key(target_id: str) -> str:
    """Return the key of the target's first comment, which is never the key of any post of ours.

    Raises:
        ValueError: The identifier carries no ULID.
    """
    return _tid(target_id, "comment", kind=1)


def _tid(target_id: str, purpose: str, *, kind: int) -> str:
    # A ULID tells milliseconds; the digest fills the microseconds and all of the clock identifier
    # but its last bit, which tells a comment from a post. Two targets of one account that were made
    # in the same millisecond still share a key only once in half a million.
    digest = hashlib.sha256(f"{target_id}#{purpose}".encode()).digest()
    milliseconds = (ids.made_at(target_id) - _EPOCH) // timedelta(milliseconds=1)
    microseconds = milliseconds * 1000 + int.from_bytes(digest[:4], "big") % 1000
    clock = (int.from_bytes(digest[4:6], "big") << 1 | kind) % (1 << _CLOCK_BITS)
    value = microseconds % (1 << _TIME_BITS) << _CLOCK_BITS | clock
    characters = []
    for _ in range(_LENGTH):
        value, remainder = divmod(value, len(_ALPHABET))
        characters.append(_ALPHABET[remainder])
    return "".join(reversed(characters))
