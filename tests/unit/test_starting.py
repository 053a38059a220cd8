"""While a function starts, no garbage is looked for."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from postbreeze.starting import kept_for_good


@pytest.fixture(autouse=True)
def _collected_as_before() -> Iterator[None]:
    yield
    gc.unfreeze()
    assert gc.isenabled()


def test_what_a_start_makes_is_never_looked_through_again() -> None:
    # Given
    gc.unfreeze()
    # When
    with kept_for_good():
        assert not gc.isenabled()
        kept = [[number] for number in range(1_000)]
    # Then
    assert gc.isenabled()
    assert gc.get_freeze_count() > len(kept)


def test_a_start_that_fails_fails_and_leaves_the_collector_on() -> None:
    # Given
    gc.unfreeze()
    # When
    with pytest.raises(LookupError), kept_for_good():
        raise LookupError
    # Then
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
