"""Record keys derived from target identifiers."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postbreeze.adapters.platforms import record_keys
from postbreeze.domain import ids

# As @atproto/syntax checks it.
TID = re.compile(r"[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}")
ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"

moments = st.datetimes(
    min_value=datetime(1970, 1, 1), max_value=datetime(9000, 1, 1), timezones=st.just(UTC)
)
targets = st.builds(
    lambda at, randomness: ids.new_id(ids.TARGET, at, randomness),
    moments,
    st.binary(min_size=10, max_size=10),
)


@given(targets)
def test_keys_are_valid_and_always_the_same(target: str) -> None:
    # When
    keys = [record_keys.post_key(target), record_keys.comment_key(target)]

    # Then
    assert all(TID.fullmatch(key) for key in keys)
    assert keys == [record_keys.post_key(target), record_keys.comment_key(target)]


@given(targets, targets)
def test_a_comment_never_takes_the_key_of_a_post(one: str, other: str) -> None:
    assert record_keys.comment_key(one) != record_keys.post_key(other)


@given(
    st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)),
    st.binary(min_size=10, max_size=10),
)
def test_a_key_tells_the_targets_own_moment(at: datetime, randomness: bytes) -> None:
    # Given
    target = ids.new_id(ids.TARGET, at.replace(tzinfo=UTC), randomness)

    # When
    value = 0
    for character in record_keys.post_key(target):
        value = value * 32 + ALPHABET.index(character)

    # Then
    microseconds = value >> 10
    seconds = (ids.made_at(target) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    assert microseconds // 1000 == round(seconds * 1000)


def test_targets_of_one_millisecond_do_not_share_keys() -> None:
    # Given
    at = datetime(2026, 6, 15, tzinfo=UTC)
    made = [ids.new_id(ids.TARGET, at, number.to_bytes(10, "big")) for number in range(200)]

    # When
    keys = {record_keys.post_key(target) for target in made}

    # Then
    assert len(keys) == len(made)


def test_a_key_is_kept_for_ever() -> None:
    """Changing how keys are derived would let targets in flight be published a second time."""
    target = "tgt_01JDCK9W2V3N4P5Q6R7S8T9V0W"
    assert record_keys.post_key(target) == "3lbmlvgptknrm"
    assert record_keys.comment_key(target) == "3lbmlvgpth3bz"


def test_what_is_no_identifier_has_no_key() -> None:
    with pytest.raises(ValueError, match="substring"):
        record_keys.post_key("tgt_not-a-ulid")
