"""How much memory is recommended."""

from __future__ import annotations

import pytest

from benchmarks.memory import recommended

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("peak", "cpu", "size"),
    [
        (100, 100, 256),  # enough of both
        (128, 100, 256),  # just
        (129, 100, 512),  # more than half of it
        (100, 300, 1024),  # 300 ms of a whole processor are 1,036 ms of 512 MB's share
        (100, 2000, 1769),  # no share is enough
        (2000, 100, 1769),
    ],
)
def test_half_stays_free_and_it_starts_in_time(peak: int, cpu: float, size: int) -> None:
    assert recommended(peak * MIB, cpu, within=1000) == size
