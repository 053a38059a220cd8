"""What DynamoDB's published rules say of rows, indexes and requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from benchmarks.capacity import (
    Index,
    Item,
    index_of,
    item_size,
    read_units,
    value_size,
    write_units,
)

DUE = index_of(
    {
        "IndexName": "due",
        "KeySchema": [{"AttributeName": "partition"}, {"AttributeName": "at"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
)


def a_row(**texts: str) -> Item:
    return {name: {"S": text} for name, text in {"pk": "p", "sk": "s", **texts}.items()}


def of_size(size: int) -> Item:
    return {"a": {"S": "x" * (size - 1)}}


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": ""}, 0),
        ({"S": "Größe"}, 7),
        ({"B": b"1234"}, 4),
        ({"N": "0"}, 1),
        ({"N": "7"}, 2),
        ({"N": "12"}, 2),
        ({"N": "-12"}, 3),
        ({"N": "1200"}, 2),
        ({"N": "0.012"}, 2),
        ({"N": "12345"}, 4),
        ({"N": "1.5E+20"}, 2),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"L": []}, 3),
        ({"L": [{"S": "ab"}, {"N": "1"}]}, 3 + 1 + 2 + 1 + 2),
        ({"M": {"name": {"S": "ab"}}}, 3 + 1 + 4 + 2),
    ],
)
def test_a_value_has_the_size_of_its_type(value: Mapping[str, Any], size: int) -> None:
    assert value_size(value) == size


def test_what_no_row_has_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="SS"):
        value_size({"SS": ["a"]})


def test_an_item_is_as_large_as_its_names_and_values() -> None:
    assert item_size({"pk": {"S": "abc"}, "ä": {"N": "1"}}) == 2 + 3 + 2 + 2


@pytest.mark.parametrize(("size", "units"), [(0, 1), (1, 1), (4096, 1), (4097, 2), (8193, 3)])
def test_reads_count_in_blocks_of_four_kilobytes(size: int, units: int) -> None:
    assert read_units(size, consistent=True) == units
    assert read_units(size, consistent=False) == units / 2


def test_a_write_counts_the_larger_of_what_was_and_what_is() -> None:
    assert write_units(None, of_size(1024)) == 1
    assert write_units(of_size(1025), of_size(10)) == 2
    assert write_units(of_size(10), of_size(2049)) == 3
    assert write_units(None, None) == 1


@pytest.mark.parametrize(
    ("before", "after", "units"),
    [
        (None, a_row(other="x"), 0),
        (None, a_row(partition="a", at="1"), 1),
        (a_row(partition="a", at="1"), a_row(at="1"), 1),
        (a_row(partition="a", at="1"), a_row(partition="a", at="1", other="x"), 0),
        (a_row(partition="a", at="1"), a_row(partition="a", at="2"), 2),
        (a_row(partition="a", at="1"), None, 1),
    ],
    ids=["not in it", "enters", "leaves", "stays", "moves", "is removed"],
)
def test_an_index_counts_what_changes_in_it(
    before: Item | None, after: Item | None, units: int
) -> None:
    assert DUE.write_units(before, after) == units


def test_an_entry_that_stays_in_its_place_is_written_once() -> None:
    # Given an index that holds more than keys
    index = Index(name="moved", keys=("at",), holds=frozenset({"pk", "sk", "at", "more"}))
    # Then a change of what it holds counts by the larger of both
    assert index.write_units(a_row(at="1", more="x" * 2000), a_row(at="1", more="y")) == 2


def test_an_index_of_everything_holds_everything() -> None:
    index = index_of(
        {
            "IndexName": "all",
            "KeySchema": [{"AttributeName": "at"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    )
    assert index.entry(a_row(at="1", other="x")) == a_row(at="1", other="x")
