"""Figures: what samples come to, how they are taken, and how they are shown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Sample = TypeVar("Sample")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A median, and the quartiles on either side of it."""

    low: float
    median: float
    high: float

    def __str__(self) -> str:
        """Write it as tables have it; what has no quartiles is one number."""
        if self.low == self.high:
            return _rounded(self.median)
        return f"{_rounded(self.median)} ({_rounded(self.low)}–{_rounded(self.high)})"


def spread(samples: Sequence[float]) -> Spread:
    """Return the quartiles of some samples."""
    if len(samples) == 1:
        return Spread(low=samples[0], median=samples[0], high=samples[0])
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Spread(low=low, median=median, high=high)


def ratios(samples: Sequence[float], floor: Sequence[float]) -> Spread:
    """Compare what was taken in the same rounds, round by round."""
    return spread([sample / least for sample, least in zip(samples, floor, strict=True)])


def percentile(samples: Sequence[float], hundredth: int) -> float:
    """Return what so many in a hundred samples do not exceed."""
    if len(samples) == 1:
        return samples[0]
    return statistics.quantiles(samples, n=100, method="inclusive")[hundredth - 1]


def interleaved(
    subjects: Mapping[str, Callable[[], Sample]], rounds: int
) -> dict[str, list[Sample]]:
    """Take a sample of each in every round, forwards and backwards in turn.

    So whatever else the machine does, or whatever changes slowly, meets all of them alike.
    """
    taken: dict[str, list[Sample]] = {name: [] for name in subjects}
    for number in range(rounds):
        names = list(subjects)
        for name in names if number % 2 == 0 else reversed(names):
            taken[name].append(subjects[name]())
    return taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A part's outcome: a title, what is to be known of it, and rows of cells."""

    title: str
    about: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        """Write it in Markdown."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        grid = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        return f"### {self.title}\n\n{self.about}\n\n{grid}\n"


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
