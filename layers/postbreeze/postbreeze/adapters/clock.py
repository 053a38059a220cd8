"""The machine's time and randomness."""

from __future__ import annotations

import random
import secrets
from datetime import UTC, datetime


class SystemClock:
    """The present moment by the machine's clock."""

    def now(self) -> datetime:
        """Return it in UTC, cut to milliseconds: the precision that is stored and shown."""
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)


class SystemRandomness:
    """Randomness of the operating system."""

    def __init__(self) -> None:
        """Open the source; nothing is seeded, so a frozen and copied process repeats nothing."""
        self._random = random.SystemRandom()

    def token(self, size: int) -> bytes:
        """Return that many random bytes, fit for secrets."""
        return secrets.token_bytes(size)

    def fraction(self) -> float:
        """Return a number from 0 up to, not including, 1."""
        return self._random.random()
