"""The form of API keys."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postbreeze.domain import api_keys


@given(st.binary(min_size=32, max_size=32))
def test_what_is_minted_is_well_formed(randomness: bytes) -> None:
    key = api_keys.mint(randomness)
    assert re.fullmatch(r"pb_live_[0-9A-Za-z]{32}", key)
    assert api_keys.is_well_formed(key)
    assert api_keys.hint(key) == key[-4:]


@given(st.binary(min_size=32, max_size=32), st.integers(8, 39), st.sampled_from("0aZ"))
def test_one_wrong_character_is_found(randomness: bytes, place: int, other: str) -> None:
    key = api_keys.mint(randomness)
    changed = key[:place] + other + key[place + 1 :]
    assert api_keys.is_well_formed(changed) == (changed == key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pb_live_",
        "pb_live_" + "0" * 32,
        "pb_live_" + "0" * 31,
        "pb_test_" + api_keys.mint(bytes(32))[8:],
        api_keys.mint(bytes(32)) + "\n",
        " " + api_keys.mint(bytes(32)),
        api_keys.mint(bytes(32)).replace("0", "٠"),
    ],
)
def test_other_texts_are_not(text: str) -> None:
    assert not api_keys.is_well_formed(text)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_takes_32_random_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        api_keys.mint(bytes(size))


def test_the_digest_is_that_of_all_of_it() -> None:
    key = api_keys.mint(bytes(range(32)))
    assert api_keys.digest(key) == hashlib.sha256(key.encode()).hexdigest()
