"""The one table of a run: figures, the limits they are to keep, and another run beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Spread, Table, ratios, spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A line of the summary: something measured, and a floor beside it if there is one.

    ``wanted`` is the limit that the project has set itself, and whether it holds.
    """

    name: str
    measured: Spread
    floor: str = ""
    beside: Spread | None = None
    ratio: Spread | None = None
    wanted: str = ""

    @property
    def key(self) -> str:
        """Tell it from every other figure of a run, and know it again in another run."""
        return f"{self.name} / {self.floor}" if self.floor else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a part has measured: tables in full, and the figures for the summary."""

    tables: Sequence[Table]
    figures: Sequence[Figure] = ()


def held_against(
    name: str,
    samples: Sequence[float],
    floor: str,
    least: Sequence[float],
    *,
    most: float | None = None,
) -> Figure:
    """Hold samples against a floor's of the same rounds; the median ratio is to be ``most``."""
    ratio = ratios(samples, least)
    return Figure(
        name=name,
        measured=spread(samples),
        floor=floor,
        beside=spread(least),
        ratio=ratio,
        wanted="" if most is None else f"≤ {most:g}: {holds(ratio.median <= most)}",
    )


def holds(is_so: bool) -> str:
    """Say whether a limit is kept."""
    return "holds" if is_so else "**does not hold**"


def summary(figures: Sequence[Figure], other: Mapping[str, Figure] | None = None) -> str:
    """Write the one table of a run, and how its figures compare with another run's, if given."""
    lines = [_COLUMNS, *map(_cells, figures)]
    if other is not None:
        compared_cells = (_compared_cells(figure, other.get(figure.key)) for figure in figures)
        lines = [
            [*cells, *more] for cells, more in zip(lines, [_COMPARED, *compared_cells], strict=True)
        ]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


_COLUMNS: Sequence[str] = ("figure", "measured", "beside", "ratio (quartiles)", "wanted")
_COMPARED: Sequence[str] = ("measured, to the other run's", "ratio, to the other run's")


def _cells(figure: Figure) -> Sequence[str]:
    beside = "" if figure.beside is None else f"{figure.floor}: {figure.beside}"
    ratio = "" if figure.ratio is None else str(figure.ratio)
    return [figure.name, str(figure.measured), beside, ratio, figure.wanted]


def _compared_cells(this: Figure, that: Figure | None) -> Sequence[str]:
    if that is None:
        return ["", ""]
    return [compared(this.measured, that.measured), compared(this.ratio, that.ratio)]


def compared(this: Spread | None, that: Spread | None) -> str:
    """Tell the ratio of two runs, and how they agree.

    Returns:
        The ratio of the medians; with *within* where each lies within the other's quartiles,
        *overlapping* where the quartiles have something in common, *apart* where they have not.
    """
    if this is None or that is None or that.median == 0:
        return ""
    ratio = f"{this.median / that.median:.2f}"
    if this.low == this.high or that.low == that.high:
        return ratio
    if that.low <= this.median <= that.high and this.low <= that.median <= this.high:
        return f"{ratio}, within"
    overlap = this.low <= that.high and that.low <= this.high
    return f"{ratio}, {'overlapping' if overlap else 'apart'}"


def write_figures(path: Path, figures: Sequence[Figure]) -> None:
    """Keep a run's figures, to be compared with another's."""
    path.write_text(json.dumps([asdict(each) for each in figures], indent=1), encoding="utf-8")


def read_figures(path: Path) -> dict[str, Figure]:
    """Return what a run has kept, by key."""
    kept = [_figure(each) for each in json.loads(path.read_text(encoding="utf-8"))]
    return {figure.key: figure for figure in kept}


def _figure(kept: Mapping[str, Any]) -> Figure:
    spreads: dict[str, Any] = {
        name: None if kept[name] is None else Spread(**kept[name])
        for name in ("measured", "beside", "ratio")
    }
    return Figure(**{**kept, **spreads})
