"""What of an endpoint's answer is kept for the log."""

from __future__ import annotations

import pytest

from postbreeze.webhooks.transcript import (
    LONGEST_BODY,
    LONGEST_HEADERS,
    body_kept,
    headers_kept,
    striking,
)


def as_is(text: str) -> str:
    return text


@pytest.mark.parametrize(
    ("secrets", "text", "struck"),
    [
        (["abc"], "<abc> and abc", "<[secret]> and [secret]"),
        (["ab", "abc"], "abc", "[secret]"),
        (["abc", "ab"], "abc ab", "[secret] [secret]"),
        (["a.c"], "abc a.c", "abc [secret]"),
        (["Bearer a b"], "Bearer a b, or b alone", "[secret], or [secret] alone"),
        (["a/b"], r"a\/b", "[secret]"),
        (['a"b'], r"""a\"b or a"b""", "[secret] or [secret]"),
        (['/"'], r"\/\" and /\"", "[secret] and [secret]"),
        ([], "abc", "abc"),
        (["", "ends with a space "], "abc", "abc"),
    ],
)
def test_secrets_are_struck_out_however_they_are_written(
    secrets: list[str], text: str, struck: str
) -> None:
    assert striking(secrets)(text) == struck


def test_a_body_is_kept_up_to_16_kib_of_text() -> None:
    assert LONGEST_BODY == 16384
    assert body_kept(b"a" * 16384, as_is) == "a" * 16384
    assert body_kept(b"a" * 16385, as_is) == "a" * 16384


def test_a_body_that_is_no_text_is_kept_as_far_as_it_is() -> None:
    # Given bytes each of which takes three to be written as text
    kept = body_kept(b"\xff" * 16384, as_is)
    # Then
    assert 16380 < len(kept.encode()) <= 16384
    assert set(kept) == {"\ufffd"}


def test_what_is_struck_out_makes_no_body_longer() -> None:
    assert body_kept(b"a" * 16384, striking(["a"])) == ("[secret]" * 2048)


def test_headers_are_kept_by_their_names_in_lower_case_without_cookies() -> None:
    headers = {"X-Request-ID": "abc", "Set-Cookie": "a=b", "set-cookie": "a=b"}
    assert headers_kept(headers, striking(["b"])) == {"x-request-id": "a[secret]c"}


def test_headers_are_kept_while_there_is_room() -> None:
    # Given
    assert LONGEST_HEADERS == 4096
    headers = {"A": "x" * 4092, "B": "é", "Cc": "d", "Dd": "e", "E": "", "Ff": ""}
    # When / Then: 4,093 bytes, and three of two characters; one more byte is left for nothing else
    assert list(headers_kept(headers, as_is)) == ["a", "b"]
    assert list(headers_kept({**headers, "B": "éé"}, as_is)) == ["a", "cc"]
    assert list(headers_kept({**headers, "B": "ééé", "Cc": ""}, as_is)) == ["a", "cc", "e"]
