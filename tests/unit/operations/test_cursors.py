"""Cursors: only what was signed, for the same key and purpose, is read."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postbreeze.domain.errors import ValidationError
from postbreeze.operations import cursors
from tests.support.builders import CURSOR_SECRET

PURPOSE = ("posts", "ws_1", None)
PAYLOAD = {"after": "2026-06-01T09:00:00.000Z#post_é", "part": "REST"}


def test_what_was_signed_is_read() -> None:
    assert cursors.read(CURSOR_SECRET, PURPOSE, cursors.sign(CURSOR_SECRET, PURPOSE, PAYLOAD)) == (
        PAYLOAD
    )


@pytest.mark.parametrize("size", range(12))
def test_what_was_signed_is_read_however_long_it_is(size: int) -> None:
    payload = {"after": "x" * size}
    cursor = cursors.sign(CURSOR_SECRET, PURPOSE, payload)
    assert cursors.read(CURSOR_SECRET, PURPOSE, cursor) == payload


def test_it_needs_no_escape_in_a_url() -> None:
    assert set(cursors.sign(CURSOR_SECRET, PURPOSE, PAYLOAD)) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    )


@pytest.mark.parametrize(
    ("secret", "purpose"),
    [
        (bytes(32), PURPOSE),
        (CURSOR_SECRET, ("posts", "ws_2", None)),
        (CURSOR_SECRET, ("posts", "ws_1", "DRAFT")),
        (CURSOR_SECRET, ("posts", None, "ws_1")),
        (CURSOR_SECRET, ("media", "ws_1", None)),
    ],
)
def test_another_key_or_purpose_is_refused(secret: bytes, purpose: tuple[str | None, ...]) -> None:
    # Given
    cursor = cursors.sign(CURSOR_SECRET, PURPOSE, PAYLOAD)
    # Then
    with pytest.raises(ValidationError) as refused:
        cursors.read(secret, purpose, cursor)
    assert [detail.path for detail in refused.value.details] == ["query.cursor"]


def test_no_character_can_be_changed_added_or_left_out() -> None:
    # Given
    cursor = cursors.sign(CURSOR_SECRET, PURPOSE, PAYLOAD)
    # Then
    for at, character in enumerate(cursor):
        others = [other for other in "A-_9=+ é\n" if other != character]
        for other in others:
            _refused(cursor[:at] + other + cursor[at + 1 :])
            _refused(cursor[:at] + other + cursor[at:])
        _refused(cursor[:at] + cursor[at + 1 :])
    _refused(cursor + "=")
    _refused(cursor + "==")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "AAAA",
        "=",
        "%00",
        "é",
        "\x00",
        "A" * 100_000,
        base64.urlsafe_b64encode(b"{}").decode(),
    ],
)
def test_whatever_is_no_cursor_is_refused(text: str) -> None:
    _refused(text)


@given(st.text())
def test_any_text_at_all_is_refused(text: str) -> None:
    _refused(text)


@pytest.mark.parametrize("secret", [b"", b"short"])
def test_nothing_is_signed_or_read_without_a_secret(secret: bytes) -> None:
    # Given
    cursor = cursors.sign(CURSOR_SECRET, PURPOSE, PAYLOAD)
    # Then
    with pytest.raises(ValueError, match="no secret"):
        cursors.sign(secret, PURPOSE, PAYLOAD)
    with pytest.raises(ValueError, match="no secret"):
        cursors.read(secret, PURPOSE, cursor)


def _refused(cursor: str) -> None:
    with pytest.raises(ValidationError):
        cursors.read(CURSOR_SECRET, PURPOSE, cursor)


def test_a_secret_has_at_least_its_shortest_length() -> None:
    shortest = bytes(16)
    assert cursors.read(shortest, PURPOSE, cursors.sign(shortest, PURPOSE, PAYLOAD)) == PAYLOAD
    with pytest.raises(ValueError, match="no secret"):
        cursors.sign(shortest[1:], PURPOSE, PAYLOAD)
