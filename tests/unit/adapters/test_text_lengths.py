"""Texts measured: the figures that twitter-text and Unicode publish, and what lies between."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postbreeze.adapters.text_lengths import LINK_WEIGHT, LONGEST_LINK, TextLengths, links
from postbreeze.domain.platform_rules import Content, TextMeasures, violations
from postbreeze.domain.post import Platform

MEASURES: TextMeasures = TextLengths()

FAMILY = "👨\u200d👩\u200d👧\u200d👦"
LONG_NAME = "somesuperlongurl" * 40
HIRAGANA = "あいうえおかきくけこ"
SPACES = "".join(chr(code) for code in range(0x2000, 0x200C))
QUOTES = "‐ ‑ ‒ – — ― ‖  ‗ ‘ ’ ‚ ‛ “ ” „ ‟ ′ ″ ‴ ‵ ‶ ‷"
TENS = "xxxxxxxxxx-"


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        # As twitter-text's conformance suite has them, or shortened to the point
        ("", 0),
        ("This is a test.", 15),
        ("Hi http://test.co", 26),
        ("http://test.co", 23),
        ("https://test.com", 23),
        ("test.com", 23),
        ("Test https://test.com test https://test.com test.com test", 86),
        ("285 chars-" + TENS * 25, 285),
        ("285 chars- http://www.twitter.com/jack " + TENS * 24, 299),
        (TENS * 24 + " http://www.twitter.com/jack ", 289),
        ("https://www.twitter.com/aloha " * 10, 240),
        ("故" * 160, 320),
        ("the" + "故" * 160, 323),
        ("😷" * 160, 320),
        ("A\u0301B", 2),
        ("A\ufb2c", 4),
        (f"H🐱☺{FAMILY}", 7),
        ("😷👾😡🔥💩", 10),
        ("🙋🏽👨\u200d🎤", 4),
        (f"This is a tweet with general punctuation characters: {SPACES} {QUOTES}", 110),
        (f"https://{LONG_NAME}.com/foo https://validurl.com", 8 + 640 + 8 + 1 + 23),
        ("randomurl" * 7 + "s.com", 68),
        (f"{HIRAGANA * 12} http://{HIRAGANA * 5}あいう.com", 358),
        (f"{HIRAGANA * 12} http://{HIRAGANA * 5}あい.com", 264),
        ("english text 日本語 😷 https://example.com", 46),
        # One code point on either side of each range
        ("\u10ff", 1),
        ("\u1100", 2),
        ("\u1fff", 2),
        ("\u200d", 1),
        ("\u200e", 2),
        ("\u200f", 2),
        ("\u2010\u201f", 2),
        ("\u2020", 2),
        ("\u2031", 2),
        ("\u2032\u2037", 2),
        ("\u2038", 2),
        ("\U00010000\U0010ffff", 4),
        ("저찀쯿쿿", 8),
        # Emoji
        ("©®", 2),
        ("©\ufe0f®\ufe0f", 4),
        ("☺\ufe0f", 2),
        ("1\ufe0f\u20e3#\u20e3", 4),
        ("1 2", 3),
        ("🇩🇪🇫🇷", 4),
        ("🇩", 2),
        ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", 2),
        ("👩\u200d❤\ufe0f\u200d💋\u200d👨", 2),
        ("👨\u200d", 3),
        ("🏽", 2),
        ("\r\n", 2),
    ],
)
def test_x_weighs_texts(text: str, weight: int) -> None:
    assert MEASURES.weighted(text) == weight


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see example.com.", ["example.com"]),
        ("(example.com)", ["example.com"]),
        ("t.co foo.co.jp www.example.com", ["t.co", "foo.co.jp", "www.example.com"]),
        ("example.com/path/to?search=foo&lang=en", ["example.com/path/to?search=foo&lang=en"]),
        ("http://twitter.com/#!/twitter", ["http://twitter.com/#!/twitter"]),
        ("HTTPS://www.ExaMPLE.COM/index.html", ["HTTPS://www.ExaMPLE.COM/index.html"]),
        ("http://example.com:8080/login", ["http://example.com:8080/login"]),
        ("http://example.com?q=1.", ["http://example.com?q=1"]),
        ("http://example.com?.", ["http://example.com"]),
        ("https://a.co/x.?q", ["https://a.co/x"]),
        (
            "http://a.com/A_(b) (http://a.com/A_(b(c)))",
            ["http://a.com/A_(b)", "http://a.com/A_(b(c))"],
        ),
        ("http://a.com/b(c", ["http://a.com/b"]),
        ("http://a.com/b) c", ["http://a.com/b"]),
        ("http://☃.net/", ["http://☃.net/"]),
        ("http://пример.рф/Русские_слова", ["http://пример.рф/Русские_слова"]),
        ("http://xn--e1afmkfd.xn--p1ai", ["http://xn--e1afmkfd.xn--p1ai"]),
        ("http://test_underscore.twitter.com", ["http://test_underscore.twitter.com"]),
        (
            "http://twitter.com/これは日本語です。example.com中国語",
            ["http://twitter.com/", "example.com"],
        ),
        ("example.com.invalid example.com-b", ["example.com", "example.com"]),
        ("a.b@example.com @example.com #example.com $example.com", []),
        ("-example.com _example.com /example.com .example.com", []),
        ("http://user:PASSW0RD@example.com:8080/login.php", []),
        ("http://domain-dash_2314352345_dfasd.foo-cow_4352.com", []),
        ("http://www.-domain4352.com/ http://www.domain4352-.com/", []),
        ("http://☃-.net/", []),
        ("http://192.168.0.1/index.html http://[::1]/", []),
        ("http://localhost README notes.invalid v1.2 3.14 e.g.", []),
        (f"http://a.\u0660\u0660 http://a.例え http://a.{'b' * 64}", []),
        (f"http://example.com/{'a' * (LONGEST_LINK - 19)}", [f"http://example.com/{'a' * 4_077}"]),
        (f"http://example.com/{'a' * (LONGEST_LINK - 18)}", []),
        (f"http://a.com/ {'b' * 64}.com {'c' * 63}.com", ["http://a.com/", "c" * 63 + ".com"]),
    ],
)
def test_x_makes_links(text: str, found: list[str]) -> None:
    assert [text[start:end] for start, end in links(text)] == found


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("abc", 3),
        ("a\r\nb\n\r", 5),
        ("e\u0301", 1),
        ("é" * 3, 3),
        (FAMILY * 2, 2),
        ("🇩🇪🇫🇷🇩", 3),
        ("1\ufe0f\u20e3", 1),
        ("각\u1100\u1161\u11a8", 2),
        ("क्षि", 1),
        ("ก็", 1),
        ("日本語", 3),
        ("👍🏽👍", 2),
        ("\u0301a", 2),
    ],
)
def test_graphemes_are_what_people_see_as_one(text: str, count: int) -> None:
    assert MEASURES.graphemes(text) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("#sea #wind", 2),
        ("#sea#wind", 2),
        ("#2026 #été #日本語 ＃全角 #a_b", 5),
        ("(#sea), #sea.", 2),
        ("#😀 #a😀", 2),
        ("# #! ##", 0),
        ("a#b &#39; https://example.com/#part", 0),
    ],
)
def test_hashtags(text: str, count: int) -> None:
    assert MEASURES.hashtags(text) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [("@a @b.c_d, (@e) .", 3), ("hi @bob.", 1), ("me@example.com @ @@a /@b", 0), ("@a@b", 1)],
)
def test_mentions(text: str, count: int) -> None:
    assert MEASURES.mentions(text) == count


# What holds for any text

FREE = st.text(max_size=60)
TRICKY = st.text(
    st.sampled_from("ab.:/@#-_?() \r\n1\u0301\u200d\ufe0f\u20e3©日é。👨👩🏽🇩🇫\U000e0067\U000e007f"),
    max_size=40,
)
ANY = (
    FREE | TRICKY | st.lists(st.sampled_from(["http://", "a.", "com", "/", "(", "é"])).map("".join)
)


@given(ANY)
@example("http://a.com/((((((")
def test_links_lie_in_order_within_the_text(text: str) -> None:
    at = 0
    for start, end in links(text):
        assert at <= start < end <= len(text)
        at = end


@given(ANY)
def test_a_weight_is_never_above_twice_the_code_points_and_its_links(text: str) -> None:
    normal = unicodedata.normalize("NFC", text)
    weight = MEASURES.weighted(text)
    assert 0 <= weight <= 2 * len(normal) + LINK_WEIGHT * len(list(links(normal)))
    assert weight == MEASURES.weighted(unicodedata.normalize("NFD", text))


@given(ANY)
def test_more_words_weigh_more(text: str) -> None:
    assert MEASURES.weighted(f"{text} more") == MEASURES.weighted(text) + 5


@given(ANY)
def test_there_are_never_more_of_anything_than_code_points(text: str) -> None:
    assert MEASURES.graphemes(text) <= len(text)
    assert MEASURES.hashtags(text) <= len(text)
    assert MEASURES.mentions(text) <= len(text)


@given(st.text(st.characters(max_codepoint=127), max_size=60))
def test_ascii_is_counted_without_tables_as_with_them(text: str) -> None:
    # The accent makes one more cluster, and makes the library count.
    assert MEASURES.graphemes(text) + 1 == MEASURES.graphemes(f"{text} \u0301".replace(" ", "é"))


# With the rules


@pytest.mark.parametrize(
    ("platform", "inside"),
    [
        (Platform.X, "a" * 256 + " https://example.com/" + "b" * 500),
        (Platform.X, FAMILY * 140),
        (Platform.X, "日" * 140),
        (Platform.BLUESKY, "e\u0301" * 300),
        (Platform.BLUESKY, FAMILY * 120),
        (Platform.INSTAGRAM, "#sea " * 30 + "@me " * 20),
    ],
)
def test_platforms_take_what_measures_to_their_limits(platform: Platform, inside: str) -> None:
    def broken(text: str) -> int:
        content = Content(
            platform=platform,
            path="targets.0",
            text=text,
            text_path="caption",
            media=(),
            media_path="",
        )
        return sum(detail.path == "caption" for detail in violations([content], MEASURES))

    assert broken(inside) == 0
    more = {Platform.INSTAGRAM: "#sea @me", Platform.BLUESKY: FAMILY * 181}
    assert broken(inside + more.get(platform, " a")) > 0


@pytest.mark.parametrize(
    ("text", "loaded"),
    [
        ("plain, and not. At all 1.5!", []),
        ("日本語 – “quoted” 👨\u200d👩", ["grapheme"]),
        ("see example.com", ["publicsuffixlist"]),
    ],
)
def test_libraries_are_loaded_by_texts_that_need_them(text: str, loaded: list[str]) -> None:
    program = (
        "import json, sys; from postbreeze.adapters.text_lengths import TextLengths as T;"
        "loaded = lambda: sorted({'grapheme', 'publicsuffixlist'} & set(sys.modules));"
        "before = loaded(); text = json.loads(sys.argv[1]);"
        "T().weighted(text), T().graphemes(text);"
        "print(json.dumps([before, loaded()]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, json.dumps(text)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(ended.stdout) == [[], loaded]
