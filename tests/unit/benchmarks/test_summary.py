"""The one table of a run, and how it compares with another run's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.figures import Spread, spread
from benchmarks.summary import (
    Figure,
    compared,
    held_against,
    read_figures,
    summary,
    write_figures,
)

CPU = held_against("warm CPU, ms", [10.0, 20.0, 30.0], "by hand", [5.0, 10.0, 15.0], most=2.0)
ARRIVED = Figure(name="commit → webhook, ms", measured=Spread(low=90.0, median=100.0, high=120.0))
COUNTED = Figure(
    name="cancel, WCU",
    measured=spread([18]),
    floor="formula",
    beside=spread([18]),
    ratio=spread([1.0]),
    wanted="= formula: holds",
)


def test_samples_are_held_against_a_floor_round_by_round() -> None:
    # Given samples that took twice as long as the floor in each round
    # When they are held against it
    # Then the ratio is exact, however far apart the rounds are
    assert CPU.measured == Spread(low=15.0, median=20.0, high=25.0)
    assert CPU.ratio == Spread(low=2.0, median=2.0, high=2.0)


@pytest.mark.parametrize(
    ("most", "wanted"),
    [
        (2.0, "≤ 2: holds"),
        (1.35, "≤ 1.35: **does not hold**"),
        (None, ""),
    ],
)
def test_a_limit_holds_up_to_itself(most: float | None, wanted: str) -> None:
    assert held_against("", [20.0], "by hand", [10.0], most=most).wanted == wanted


def test_a_run_is_one_table() -> None:
    # Given figures with and without a floor, and one that is a count
    # When they are summed up
    # Then each has a row
    assert summary([CPU, ARRIVED, COUNTED]) == (
        "| figure | measured | beside | ratio (quartiles) | wanted |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| warm CPU, ms | 20 (15–25) | by hand: 10 (7.5–12.5) | 2 | ≤ 2: holds |\n"
        "| commit → webhook, ms | 100 (90–120) |  |  |  |\n"
        "| cancel, WCU | 18 | formula: 18 | 1 | = formula: holds |\n"
    )


def test_a_run_is_compared_with_another() -> None:
    # Given another run, in which one figure is higher and another was not measured
    slower = replace(CPU, measured=Spread(low=30.0, median=40.0, high=50.0))
    other = {figure.key: figure for figure in (slower, COUNTED)}
    # When this one is summed up beside it
    lines = summary([CPU, ARRIVED, COUNTED], other).splitlines()
    # Then each row ends with how both compare
    assert [line.split(" | ")[5:] for line in lines] == [
        ["measured, to the other run's", "ratio, to the other run's |"],
        ["---", "--- |"],
        ["0.50, apart", "1.00 |"],
        ["", " |"],
        ["1.00", "1.00 |"],
    ]


@pytest.mark.parametrize(
    ("this", "that", "text"),
    [
        ((9.0, 10.0, 11.0), (9.5, 10.5, 12.0), "0.95, within"),
        ((9.0, 10.0, 11.0), (10.5, 11.0, 12.0), "0.91, overlapping"),  # this is below its quartiles
        ((9.0, 10.0, 13.0), (9.5, 14.0, 15.0), "0.71, overlapping"),  # that is above these
        ((9.0, 10.0, 11.0), (11.0, 12.0, 13.0), "0.83, overlapping"),
        ((11.0, 12.0, 13.0), (9.0, 10.0, 11.0), "1.20, overlapping"),
        ((9.0, 10.0, 11.0), (11.5, 12.0, 13.0), "0.83, apart"),
        ((11.5, 12.0, 13.0), (9.0, 10.0, 11.0), "1.20, apart"),
        ((9.0, 10.0, 11.0), (5.0, 5.0, 5.0), "2.00"),  # without quartiles nothing is within
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), ""),
    ],
)
def test_how_two_runs_agree_is_told_by_their_quartiles(
    this: tuple[float, float, float], that: tuple[float, float, float], text: str
) -> None:
    one, other = (Spread(low=low, median=median, high=high) for low, median, high in (this, that))
    assert compared(one, other) == text


def test_a_figure_without_a_floor_has_no_ratio_to_compare() -> None:
    assert compared(None, None) == ""


def test_figures_are_kept_as_they_are(tmp_path: Path) -> None:
    # Given the figures of a run, two of one name beside different floors
    figures = [CPU, replace(CPU, floor="an empty handler"), ARRIVED, COUNTED]
    # When they are kept and read again
    kept = tmp_path / "figures.json"
    write_figures(kept, figures)
    # Then none is lost or changed
    assert list(read_figures(kept).values()) == figures
