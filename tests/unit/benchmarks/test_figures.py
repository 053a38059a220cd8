"""What samples come to, and how tables show it."""

from __future__ import annotations

from functools import partial

import pytest

from benchmarks.figures import Spread, Table, interleaved, percentile, ratios, spread


def test_a_spread_is_of_the_quartiles() -> None:
    # Given samples in no order
    samples = [5.0, 1.0, 4.0, 2.0, 3.0]
    # When they are summed up
    # Then the middle and both quarters are told
    assert spread(samples) == Spread(low=2.0, median=3.0, high=4.0)


def test_one_sample_is_its_own_spread() -> None:
    assert spread([7.0]) == Spread(low=7.0, median=7.0, high=7.0)


@pytest.mark.parametrize(
    ("figures", "text"),
    [
        ((1.0, 2.0, 3.0), "2 (1–3)"),
        ((0.3456, 0.4567, 0.5678), "0.457 (0.346–0.568)"),
        ((98.76, 123.4, 1234.5), "123 (98.8–1,234)"),
        ((18.0, 18.0, 18.0), "18"),
    ],
)
def test_a_spread_is_shown_with_what_can_be_known(
    figures: tuple[float, float, float], text: str
) -> None:
    low, median, high = figures
    assert str(Spread(low=low, median=median, high=high)) == text


@pytest.mark.parametrize(("hundredth", "value"), [(50, 51.0), (95, 96.0), (99, 100.0)])
def test_a_percentile_is_what_so_many_do_not_exceed(hundredth: int, value: float) -> None:
    # Given a hundred and one samples in no order
    samples = [float(number * 37 % 101 + 1) for number in range(101)]
    # When they are summed up
    # Then so many in a hundred are not above it
    assert percentile(samples, hundredth) == value


def test_one_sample_is_each_of_its_percentiles() -> None:
    assert percentile([7.0], 99) == 7.0


def test_ratios_are_of_the_same_round() -> None:
    # Given a machine that was slow in the second round, for both
    ours, floor = [20.0, 200.0, 20.0], [10.0, 100.0, 10.0]
    # When they are compared
    # Then that shows nowhere
    assert ratios(ours, floor) == Spread(low=2.0, median=2.0, high=2.0)


def test_samples_are_taken_in_turn_from_either_end() -> None:
    # Given subjects that note when they are asked
    asked: list[str] = []

    def subject(name: str) -> int:
        asked.append(name)
        return len(asked)

    # When there are three rounds
    taken = interleaved({name: partial(subject, name) for name in "abc"}, 3)
    # Then no subject is always first, and each has its samples in order
    assert "".join(asked) == "abccbaabc"
    assert taken == {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]}


def test_a_table_is_written_in_markdown() -> None:
    table = Table(title="Cold start", about="In ms.", columns=("a", "b"), rows=[("1", "2")])
    assert str(table) == "### Cold start\n\nIn ms.\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n"
