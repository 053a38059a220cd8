"""What a proof has explored, and how much of it a run is to explore.

`make prove` explores all there is and shows one table; `make test` takes a fixed share of it. What
a test counts it hands to the fixture ``proved``, one line of that table each time.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

PROVING = "POSTBREEZE_PROVING"
"""Set in the environment of a proving run."""

SEED = "POSTBREEZE_SEED"
"""The whole number that everything random in a run begins from."""

EVENTS = "POSTBREEZE_EVENTS"
"""How many events there are in a burst, where that is asked for."""

PROVED = "proved"
"""The property under which a test keeps what it counted."""

_Much = TypeVar("_Much")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """One line of the table: ``count`` of ``unit``, all checked, so many of them violations."""

    what: str
    count: int
    unit: str
    violations: int = 0

    def __add__(self, other: Proved) -> Proved:
        """Add what another line tells of the same thing."""
        return replace(
            self, count=self.count + other.count, violations=self.violations + other.violations
        )

    def __str__(self) -> str:
        """Tell it in one line."""
        return f"{self.what}: {self.count:,} {self.unit}, {self.violations} violations"

    @classmethod
    def read(cls, text: str) -> Proved:
        """Read one back that was written as JSON."""
        return cls(**json.loads(text))

    def written(self) -> str:
        """Write it as JSON."""
        return json.dumps(asdict(self))


def is_proving() -> bool:
    """Tell whether all is to be explored, not just a share."""
    return PROVING in os.environ


def share(*, tested: _Much, proved: _Much) -> _Much:
    """Choose by whether this is a share of the work, as in `make test`, or all of it."""
    return proved if is_proving() else tested


def seed() -> int:
    """Return what everything random begins from: told in the table, 0 unless given."""
    return int(os.environ.get(SEED, "0"))


def events_or(usual: int) -> int:
    """Return how many events are asked for; as many as usual where that is not said."""
    return int(os.environ.get(EVENTS, str(usual)))
