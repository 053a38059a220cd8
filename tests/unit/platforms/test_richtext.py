"""Facets: links, tags and mentions."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postbreeze.adapters.platforms.richtext import (
    MAX_LINK_BYTES,
    MAX_TAG_CHARACTERS,
    Kind,
    Span,
    facets,
    spans,
)

# As @atproto/lexicon checks a link; \ufeff is a space to JavaScript.
LINK = re.compile(r"\w+:(?://)?[^\s\ufeff/][^\s\ufeff]*")

pieces = st.sampled_from(
    [
        *" \n()#＃@.,/-1xé🎉\ufeff\u200d\ufe0f",
        *["://", "https://", "http://", "HTTPS://X.ORG", "example.com", "a.b", "?q=", "alice.test"],
        "👨‍👩‍👧",
    ]
)
texts = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=60),
    st.lists(pieces, max_size=25).map("".join),
)


def shown(text: str, span: Span) -> str:
    """Return what a reader of the bytes sees."""
    return text.encode()[span.start : span.end].decode()


def found(text: str) -> list[tuple[str, str, str]]:
    """Return kind, shown text and value of everything found."""
    return [(span.kind.value, shown(text, span), span.value) for span in spans(text)]


@given(texts)
def test_every_range_cuts_out_exactly_what_it_stands_for(text: str) -> None:
    for span in spans(text):
        piece = shown(text, span)
        assert piece in text
        match span.kind:
            case Kind.LINK:
                assert span.value in (piece, f"https://{piece}")
            case Kind.TAG:
                assert piece[0] in "#＃"
                assert piece[1:] == span.value
            case Kind.MENTION:
                assert piece.lower() == f"@{span.value}"


@given(texts)
def test_ranges_are_in_order_and_never_overlap(text: str) -> None:
    # When
    bounds = [bound for span in spans(text) for bound in (span.start, span.end)]

    # Then
    assert bounds == sorted(bounds)
    assert all(span.start < span.end for span in spans(text))


@given(texts)
def test_the_server_accepts_every_link_and_tag(text: str) -> None:
    for span in spans(text):
        if span.kind is Kind.LINK:
            assert LINK.fullmatch(span.value)
        if span.kind is Kind.TAG:
            assert 0 < len(span.value) <= MAX_TAG_CHARACTERS
            assert len(span.value.encode()) <= 640


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://example.com/a.", [("link", "https://example.com/a", "https://example.com/a")]),
        ("(https://example.com)", [("link", "https://example.com", "https://example.com")]),
        ("https://x.org/a_(b)", [("link", "https://x.org/a_(b)", "https://x.org/a_(b)")]),
        ("HTTP://X.org!", [("link", "HTTP://X.org", "HTTP://X.org")]),
        ("“ https://x.org/é”", [("link", "https://x.org/é", "https://x.org/é")]),
        ("example.com/x?y=1#z", [("link", "example.com/x?y=1#z", "https://example.com/x?y=1#z")]),
        ("my-site.co.uk:8443,", [("link", "my-site.co.uk:8443", "https://my-site.co.uk:8443")]),
        ("Bsky.Social", [("link", "Bsky.Social", "https://Bsky.Social")]),
        ("#hello, #Zürich! #a1", [
            ("tag", "#hello", "hello"), ("tag", "#Zürich", "Zürich"), ("tag", "#a1", "a1"),
        ]),
        ("＃日本", [("tag", "＃日本", "日本")]),
        ("by @Alice.test.", [("mention", "@Alice.test", "alice.test")]),
        ("(@a.bsky.social)", [("mention", "@a.bsky.social", "a.bsky.social")]),
        ("#(https://x.org", [("tag", "#(https://x.org", "(https://x.org")]),
        (f"#{'x' * MAX_TAG_CHARACTERS}", [
            ("tag", f"#{'x' * MAX_TAG_CHARACTERS}", "x" * MAX_TAG_CHARACTERS),
        ]),
    ],
)  # fmt: skip
def test_what_is_found(text: str, expected: list[tuple[str, str, str]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "README.md",
        "node.js, v1.2.3, 3.14",
        "mail me@example.com",
        "example.com@evil.example",
        "https://user@evil.example",
        "https://",
        "https://.",
        "https:///path",
        "example.compile",
        "example.comé",
        "#",
        "#1 #2",
        "#!?",
        "a#b",
        "#\ufe0f\u20e3",
        f"#{'x' * (MAX_TAG_CHARACTERS + 1)}",
        "@alice",
        "@alice@mastodon.social",
        "@a.b@mastodon.social",
        "mail@alice.test",
        f"@{'.'.join(['a' * 60] * 5)}.test",
        f"https://example.com/{'x' * MAX_LINK_BYTES}",
    ],
)
def test_what_stays_plain_text(text: str) -> None:
    assert found(text) == []


def test_a_mention_needs_somebody_behind_it() -> None:
    # Given
    text = "🎉 @alice.test and @nobody.test"

    # When
    built = facets(text, {"alice.test": "did:plc:alice"}.get)

    # Then
    assert built == [
        {
            "index": {"byteStart": 5, "byteEnd": 16},
            "features": [
                {"$type": "app.bsky.richtext.facet#mention", "did": "did:plc:alice"},
            ],
        }
    ]


def test_half_a_character_is_no_text() -> None:
    with pytest.raises(UnicodeEncodeError):
        spans("\ud83c")
