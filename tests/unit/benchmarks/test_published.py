"""Published figures, and what is read of them."""

from __future__ import annotations

import re

import pytest

from benchmarks.published import Latency, Published, read

DATE = re.compile(r"20\d\d(-\d\d(-\d\d)?)?")


def test_every_figure_says_of_what_it_is_and_where_and_when_it_was_said() -> None:
    figures = read().figures
    for kind in ("price", "quota", "latency"):
        for name, entry in figures[kind].items():
            assert entry["of" if kind == "latency" else "unit"], name
            assert DATE.fullmatch(entry["date"]), name
            assert entry["source"].startswith(("https://", "assumed: ")), name
    assert all(entry["unit"] for entry in figures["assumed"].values())


def test_a_price_is_of_one_unit() -> None:
    figures = Published({"price": {"request": {"dollars": 0.4, "per": 1_000_000}}})
    assert figures.price("request") == pytest.approx(4e-7)


def test_quotas_and_assumptions_are_read_by_their_names() -> None:
    quota = {"limit": 5, "unit": "a second", "raise": "yes"}
    figures = Published({"quota": {"fires": quota}, "assumed": {"work_ms": {"value": 3}}})
    assert (figures.quota("fires").limit, figures.quota("fires").raising) == (5, "yes")
    assert figures.assumed("work_ms") == 3


@pytest.mark.parametrize(
    ("share", "value"),
    [
        (0, 10),  # nothing is known below the lowest percentile
        (0.1, 10),
        (0.5, 100),
        (0.9, 1_000),
        (0.99, 2_000),
        (1, 2_000),  # nor above the highest
        (0.3, 31.6),  # half-way between, on a line of logarithms
    ],
)
def test_a_latency_is_drawn_along_a_line_between_its_percentiles(
    share: float, value: float
) -> None:
    latency = Latency(p10=10, p50=100, p90=1_000, p99=2_000)
    assert latency.at(share) == pytest.approx(value, rel=0.01)
