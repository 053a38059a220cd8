"""Identifiers: their form, their order, and those that follow from other things."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postbreeze.domain import ids

AT = datetime(2026, 6, 15, 9, 0, 0, 123_000, tzinfo=UTC)
moments = st.datetimes(
    datetime(1970, 1, 2),
    datetime(9000, 1, 1),
    timezones=st.just(UTC),  # st adds it
)
randomness = st.binary(min_size=10, max_size=10)


KINDS = ("post", "tgt", "soc", "ws", "usr", "med", "key", "wh", "evt", "dlv", "req")
"""Every kind of identifier by its prefix, as they are on the wire and in the tables for good."""


@pytest.mark.parametrize("prefix", KINDS)
def test_an_id_is_its_prefix_and_26_crockford_characters(prefix: str) -> None:
    # When
    made = ids.new_id(prefix, AT, b"\xff" * 10)
    # Then
    assert re.fullmatch(prefix + r"_[0-9A-HJKMNP-TV-Z]{26}", made)
    assert ids.is_id(prefix, made)
    assert re.search(ids.pattern(prefix), made)


def test_a_known_moment_and_randomness_give_the_known_ulid() -> None:
    # Given the example of the ULID specification: 01ARYZ6S41 is 1469918176385
    at = datetime.fromtimestamp(1469918176, UTC).replace(microsecond=385_000)
    # When / Then
    assert ids.new_id(ids.POST, at, bytes(10)) == "post_01ARYZ6S41" + "0" * 16
    assert ids.new_id(ids.POST, at, b"\xff" * 10) == "post_01ARYZ6S41" + "Z" * 16


@pytest.mark.parametrize(
    "text",
    [
        "",
        "post_",
        "post_01ARYZ6S410000000000000000\n",
        "post_01aryz6s410000000000000000",
        "post_01ARYZ6S41000000000000000",
        "post_01ARYZ6S4100000000000000000",
        "post_81ARYZ6S410000000000000000",
        "post_01ARYZ6S41000000000000000I",
        "post_01ARYZ6S41000000000000000L",
        "post_01ARYZ6S41000000000000000O",
        "post_01ARYZ6S41000000000000000U",
        "tgt_01ARYZ6S410000000000000000",
        "xpost_01ARYZ6S410000000000000000",
        "01ARYZ6S410000000000000000",
        "post_٠1ARYZ6S410000000000000000",
    ],
)
def test_anything_else_is_no_id(text: str) -> None:
    assert not ids.is_id(ids.POST, text)


@given(st.tuples(moments, randomness), st.tuples(moments, randomness))
def test_ids_sort_by_when_they_were_made(
    one: tuple[datetime, bytes], other: tuple[datetime, bytes]
) -> None:
    # Given moments that differ by a millisecond at least
    first, second = sorted((one, other))
    gap = second[0].replace(microsecond=second[0].microsecond // 1000 * 1000) - first[0]
    # When
    made = [ids.new_id(ids.EVENT, *first), ids.new_id(ids.EVENT, *second)]
    # Then
    if gap > timedelta(0):
        assert made[0] < made[1]


@given(moments, randomness)
def test_an_id_tells_the_millisecond_it_was_made(at: datetime, random: bytes) -> None:
    # When
    made = ids.new_id(ids.DELIVERY, at, random)
    # Then
    assert ids.made_at(made) == at.replace(microsecond=at.microsecond // 1000 * 1000)


def test_the_offset_in_which_a_moment_is_written_does_not_matter() -> None:
    # Given
    elsewhere = AT.astimezone(timezone(timedelta(hours=9)))
    # When / Then
    assert ids.new_id(ids.POST, elsewhere, bytes(10)) == ids.new_id(ids.POST, AT, bytes(10))


@pytest.mark.parametrize("size", [0, 9, 11])
def test_other_than_ten_random_bytes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="10 random bytes"):
        ids.new_id(ids.POST, AT, bytes(size))


def test_the_same_parts_always_give_the_same_id() -> None:
    assert ids.derived_id(ids.TARGET, AT, "a", "b") == ids.derived_id(ids.TARGET, AT, "a", "b")


@pytest.mark.parametrize("parts", [("b", "a"), ("ab",), ("a", "b", ""), ("a",)])
def test_other_parts_give_another_id(parts: tuple[str, ...]) -> None:
    assert ids.derived_id(ids.TARGET, AT, *parts) != ids.derived_id(ids.TARGET, AT, "a", "b")
