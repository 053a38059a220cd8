"""What is made of requests that were made together, and of logs that grow meanwhile."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.end_to_end import BARE, CANCEL, RAW, figures_of, lines_since
from benchmarks.figures import Spread


def test_blocks_are_compared_by_their_medians() -> None:
    # Given two blocks of each kind, in the second of which the machine was slow, and an outlier
    blocks = {
        CANCEL: [[40.0, 50.0, 900.0], [400.0, 500.0, 600.0]],
        BARE: [[9.0, 10.0, 11.0], [90.0, 100.0, 110.0]],
        RAW: [[4.0, 5.0, 6.0], [40.0, 50.0, 60.0]],
    }
    # When cancels are held against the floors
    beside_bare, beside_raw = figures_of(CANCEL, 3, blocks)
    # Then the ratios are those of the same round, and what was measured is of all requests
    assert (beside_bare.floor, beside_bare.ratio) == (BARE, Spread(low=5.0, median=5.0, high=5.0))
    assert (beside_raw.floor, beside_raw.ratio) == (RAW, Spread(low=10.0, median=10.0, high=10.0))
    assert beside_bare.measured == beside_raw.measured
    assert beside_bare.measured.median == 450.0
    assert beside_bare.name == "cancel, 3 at once, ms"


def test_a_log_is_read_from_a_place_and_without_the_line_that_is_being_written(
    tmp_path: Path,
) -> None:
    # Given a log with an old line, a new one, and the beginning of another
    log = tmp_path / "log.jsonl"
    old, new = (json.dumps({"at": at}) + "\n" for at in ("old", "new"))
    log.write_text(old + new + '{"at": "ne', encoding="utf-8")
    # When it is read from the place where the old line ended
    # Then the new line is all there is
    assert list(lines_since(log, len(old))) == [{"at": "new"}]


def test_a_log_that_is_not_there_yet_has_no_lines(tmp_path: Path) -> None:
    assert list(lines_since(tmp_path / "log.jsonl", 0)) == []
