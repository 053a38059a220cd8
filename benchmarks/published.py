"""Published prices, quotas and latencies, with their sources, from one file beside this one."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long something takes, in milliseconds, by percentiles."""

    p10: float
    p50: float
    p90: float
    p99: float

    def at(self, share: float) -> float:
        """Return what so large a share does not exceed: along a line of logarithms between them.

        Below the lowest and above the highest percentile the line ends: nothing is known there.
        """
        points = [(0.10, self.p10), (0.50, self.p50), (0.90, self.p90), (0.99, self.p99)]
        for (low, least), (high, most) in pairwise(points):
            if share <= high:
                part = max(0.0, (share - low) / (high - low))
                return math.exp(math.log(least) + part * (math.log(most) - math.log(least)))
        return self.p99


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What AWS allows by default, and whether more can be had."""

    limit: float
    unit: str
    raising: str


@dataclass(frozen=True, slots=True)
class Published:
    """All of the file."""

    figures: Mapping[str, Any]

    @property
    def region(self) -> str:
        """Where the prices hold."""
        return str(self.figures["region"])

    def price(self, name: str) -> float:
        """Return the dollars of one unit."""
        entry = self.figures["price"][name]
        return float(entry["dollars"] / entry["per"])

    def quota(self, name: str) -> Quota:
        """Return a quota."""
        entry = self.figures["quota"][name]
        return Quota(limit=entry["limit"], unit=entry["unit"], raising=entry["raise"])

    def latency(self, name: str) -> Latency:
        """Return how long a call takes."""
        entry = self.figures["latency"][name]
        return Latency(**{point: entry[point] for point in ("p10", "p50", "p90", "p99")})

    def assumed(self, name: str) -> float:
        """Return what is taken for granted where nothing is published."""
        return float(self.figures["assumed"][name]["value"])


@cache
def read() -> Published:
    """Read the file."""
    return Published(tomllib.loads(FILE.read_text(encoding="utf-8")))
