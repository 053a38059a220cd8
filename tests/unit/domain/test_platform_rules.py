"""What each platform takes: every rule just inside and just outside, and where faults are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postbreeze.domain import ids
from postbreeze.domain.errors import Detail, PlatformRuleError
from postbreeze.domain.media import Asset, AssetStatus, MediaKind
from postbreeze.domain.platform_rules import (
    RULES,
    Content,
    MediaShape,
    Medium,
    Variant,
    contents_of_draft,
    contents_of_post,
    media_kind,
    violations,
)
from postbreeze.domain.post import (
    Media,
    MediaDraft,
    Platform,
    PostDraft,
    PostStatus,
    TargetDraft,
    TargetStatus,
)
from tests.support.builders import WORKSPACE_ID, a_post, an_id
from tests.support.fakes import START

RULES_PAGE = Path(__file__).parents[3] / "docs" / "platform-rules.md"

IMAGE = Medium(kind=MediaKind.IMAGE)
VIDEO = Medium(kind=MediaKind.VIDEO)
PDF = Medium(kind=MediaKind.DOCUMENT)
UNKNOWN = Medium()

MEDIUM: Mapping[Platform, tuple[Medium, ...]] = {
    Platform.INSTAGRAM: (IMAGE,),
    Platform.TIKTOK_BUSINESS: (VIDEO,),
    Platform.TIKTOK_PERSONAL: (VIDEO,),
    Platform.YOUTUBE: (VIDEO,),
    Platform.PINTEREST: (IMAGE,),
}
"""What each platform must be given beside a text."""

OPTIONS: Mapping[Platform, Mapping[str, Any]] = {
    Platform.TIKTOK_BUSINESS: {"privacy": "SELF_ONLY"},
    Platform.TIKTOK_PERSONAL: {"privacy": "PUBLIC_TO_EVERYONE"},
    Platform.PINTEREST: {"board": "boats"},
}

X_LIKE = (Platform.X, Platform.LINKEDIN_PERSON, Platform.LINKEDIN_COMPANY)


@dataclass
class Counting:
    """Measures that count something simple, and note what was asked of them."""

    asked: list[str] = field(default_factory=list)

    def weighted(self, text: str) -> int:
        self.asked.append("weighted")
        return sum(1 if character.isascii() else 2 for character in text)

    def graphemes(self, text: str) -> int:
        self.asked.append("graphemes")
        return len(text.replace("\u0301", ""))

    def hashtags(self, text: str) -> int:
        self.asked.append("hashtags")
        return text.count("#")

    def mentions(self, text: str) -> int:
        self.asked.append("mentions")
        return text.count("@")


def content(platform: Platform, **changes: Any) -> Content:
    """Make what a platform takes, changed."""
    usual = Content(
        platform=platform,
        path="platforms.0",
        text="Fair wind",
        text_path="content",
        media=MEDIUM.get(platform, ()),
        media_path="mediaItems",
        options=OPTIONS.get(platform, {}),
    )
    changes["options"] = {**usual.options, **changes.pop("options", {})}
    return replace(usual, **changes)


def faults(platform: Platform, **changes: Any) -> list[tuple[str, str]]:
    found = violations([content(platform, **changes)], Counting())
    return [(detail.path, detail.message) for detail in found]


def test_there_are_rules_for_every_platform() -> None:
    assert set(RULES) == set(Platform)


@pytest.mark.parametrize("platform", Platform)
def test_a_usual_post_breaks_no_rule(platform: Platform) -> None:
    assert faults(platform) == []
    assert faults(platform, options={"platform": platform.value}) == []


# Texts


@pytest.mark.parametrize(
    ("platform", "most", "options"),
    [
        (Platform.INSTAGRAM, 2_200, {}),
        (Platform.INSTAGRAM, 2_200, {"kind": "REEL"}),
        (Platform.FACEBOOK_PAGE, 63_206, {}),
        (Platform.X, 280, {}),
        (Platform.X, 280, {"premium": False}),
        (Platform.X, 4_000, {"premium": True}),
        (Platform.LINKEDIN_PERSON, 3_000, {}),
        (Platform.LINKEDIN_COMPANY, 3_000, {}),
        (Platform.TIKTOK_BUSINESS, 2_200, {}),
        (Platform.TIKTOK_PERSONAL, 2_200, {}),
        (Platform.YOUTUBE, 5_000, {}),
        (Platform.PINTEREST, 500, {}),
        (Platform.THREADS, 500, {}),
        (Platform.BLUESKY, 300, {}),
    ],
)
def test_a_text_can_be_as_long_as_the_platform_allows(
    platform: Platform, most: int, options: Mapping[str, Any]
) -> None:
    media = (VIDEO,) if options.get("kind") == "REEL" else MEDIUM.get(platform, ())
    rest = {"options": options, "media": media}
    # Given / When / Then: just inside
    assert faults(platform, text="x" * most, **rest) == []
    # And just outside: limit and count are told, at the field the text comes from
    [(path, message)] = faults(platform, text="x" * (most + 1), **rest)
    assert path == "content"
    assert f"at most {most:,} " in message
    assert f"has {most + 1:,}" in message
    # And so for a first comment, where there can be one
    if RULES[platform].variant(options).first_comment:
        assert faults(platform, first_comment="x" * most, **rest) == []
        [(path, message)] = faults(platform, first_comment="x" * (most + 1), **rest)
        assert path == "platforms.0.firstComment"
        assert f"at most {most:,} " in message


def test_texts_are_counted_as_the_platform_counts_them() -> None:
    assert faults(Platform.X, text="é" * 140) == []
    assert faults(Platform.X, text="é" * 141) == [
        ("content", "must have at most 280 weighted characters for X, and has 282")
    ]
    assert faults(Platform.BLUESKY, text="e\u0301" * 300) == []
    assert faults(Platform.BLUESKY, text="e\u0301" * 301) == [
        ("content", "must have at most 300 graphemes for Bluesky, and has 301")
    ]
    assert faults(Platform.BLUESKY, text="e" + "\u0301" * 1_499) == []
    assert faults(Platform.BLUESKY, text="e" + "\u0301" * 1_500) == [
        ("content", "must have at most 3,000 bytes for Bluesky, and has 3,001")
    ]
    assert faults(Platform.BLUESKY, text="e" * 3_001) == [
        ("content", "must have at most 300 graphemes for Bluesky, and has 3,001"),
        ("content", "must have at most 3,000 bytes for Bluesky, and has 3,001"),
    ]


def test_half_a_character_is_counted_too() -> None:
    assert faults(Platform.BLUESKY, text="\ud83d" * 300) == []


def test_hashtags_and_mentions_are_limited_on_instagram() -> None:
    assert faults(Platform.INSTAGRAM, text="#a " * 30 + "@b " * 20) == []
    assert faults(Platform.INSTAGRAM, text="#a " * 31 + "@b " * 21) == [
        ("content", "must have at most 30 hashtags for Instagram, and has 31"),
        ("content", "must have at most 20 mentions for Instagram, and has 21"),
    ]
    # Not in a first comment
    assert faults(Platform.INSTAGRAM, first_comment="#a " * 31 + "@b " * 21) == []


@pytest.mark.parametrize(
    "platform", [each for each in Platform if each not in {Platform.X, Platform.INSTAGRAM}]
)
def test_a_short_text_is_not_measured(platform: Platform) -> None:
    measures = Counting()
    assert violations([content(platform, text="日本" * 9)], measures) == ()
    assert measures.asked == []


def test_a_text_that_targets_share_is_measured_once() -> None:
    measures = Counting()
    shared = [content(Platform.X, path=f"platforms.{index}") for index in range(50)]
    assert violations(shared, measures) == ()
    assert measures.asked == ["weighted"]


@pytest.mark.parametrize("platform", Platform)
@pytest.mark.parametrize("text", ["", " \n\t"])
def test_there_must_be_a_text_or_media(platform: Platform, text: str) -> None:
    found = faults(platform, text=text, media=(), options={})
    nothing = RULES[platform].usual
    if nothing.media_required:
        assert ("mediaItems", f"must be {_ways(nothing)} for {nothing.name}, and are none") in found
    else:
        assert found == [
            ("content", f"must not be empty for {nothing.name} without media"),
        ]


@pytest.mark.parametrize("platform", [each for each in Platform if each is not Platform.YOUTUBE])
def test_media_need_no_text(platform: Platform) -> None:
    assert faults(platform, text="", media=MEDIUM.get(platform, (IMAGE,))) == []


# Media


@pytest.mark.parametrize(
    ("platform", "media", "options"),
    [
        (Platform.INSTAGRAM, (IMAGE,) * 10, {}),
        (Platform.INSTAGRAM, (IMAGE, VIDEO) * 5, {"kind": "FEED"}),
        (Platform.INSTAGRAM, (VIDEO,), {"kind": "REEL"}),
        (Platform.INSTAGRAM, (UNKNOWN,), {"kind": "REEL"}),
        (Platform.FACEBOOK_PAGE, (IMAGE,) * 10, {}),
        (Platform.FACEBOOK_PAGE, (VIDEO,), {}),
        (Platform.FACEBOOK_PAGE, (IMAGE,) * 10, {"kind": "PHOTO"}),
        (Platform.FACEBOOK_PAGE, (VIDEO,), {"kind": "VIDEO"}),
        (Platform.FACEBOOK_PAGE, (VIDEO,), {"kind": "REEL"}),
        *((platform, (VIDEO,), {}) for platform in X_LIKE),
        (Platform.X, (IMAGE,) * 4, {}),
        (Platform.X, (UNKNOWN,) * 4, {}),
        (Platform.X, (IMAGE, UNKNOWN), {}),
        (Platform.LINKEDIN_PERSON, (IMAGE,) * 20, {}),
        (Platform.LINKEDIN_COMPANY, (PDF,), {}),
        (Platform.LINKEDIN_COMPANY, (IMAGE,) * 20, {"postAsPdfCarousel": True}),
        (Platform.LINKEDIN_PERSON, (VIDEO,), {"postAsPdfCarousel": False}),
        (Platform.TIKTOK_BUSINESS, (IMAGE,) * 35, {}),
        (Platform.TIKTOK_PERSONAL, (VIDEO,), {}),
        (Platform.YOUTUBE, (VIDEO,), {}),
        (Platform.YOUTUBE, (UNKNOWN,), {}),
        (Platform.PINTEREST, (IMAGE,) * 5, {}),
        (Platform.THREADS, (IMAGE, VIDEO) * 10, {}),
        (Platform.BLUESKY, (IMAGE,) * 4, {}),
    ],
)
def test_media_that_a_platform_takes(
    platform: Platform, media: tuple[Medium, ...], options: Mapping[str, Any]
) -> None:
    assert faults(platform, media=media, options=options) == []


@pytest.mark.parametrize(
    ("platform", "media", "options", "told"),
    [
        (Platform.INSTAGRAM, (IMAGE,) * 11, {}, "up to 10 images and videos for Instagram"),
        (Platform.INSTAGRAM, (PDF,), {}, "and are 1 PDF"),
        (Platform.INSTAGRAM, (IMAGE,), {"kind": "REEL"}, "1 video for an Instagram reel"),
        (Platform.INSTAGRAM, (VIDEO,) * 2, {"kind": "REEL"}, "and are 2 videos"),
        (Platform.INSTAGRAM, (), {"kind": "REEL"}, "and are none"),
        (Platform.FACEBOOK_PAGE, (IMAGE,) * 11, {}, "up to 10 images, or 1 video for Facebook"),
        (Platform.FACEBOOK_PAGE, (IMAGE, VIDEO), {}, "and are 1 image, 1 video"),
        (Platform.FACEBOOK_PAGE, (VIDEO,) * 2, {}, "and are 2 videos"),
        (Platform.FACEBOOK_PAGE, (VIDEO,), {"kind": "PHOTO"}, "for a Facebook photo post"),
        (Platform.FACEBOOK_PAGE, (), {"kind": "PHOTO"}, "and are none"),
        (Platform.FACEBOOK_PAGE, (IMAGE,), {"kind": "VIDEO"}, "1 video for a Facebook video"),
        (Platform.FACEBOOK_PAGE, (IMAGE,), {"kind": "REEL"}, "1 video for a Facebook reel"),
        (Platform.X, (IMAGE,) * 5, {}, "up to 4 images, or 1 video for X, and are 5 images"),
        (Platform.X, (IMAGE, VIDEO), {}, "and are 1 image, 1 video"),
        (Platform.X, (VIDEO, UNKNOWN), {}, "and are 1 video, 1 of unknown kind"),
        (Platform.X, (UNKNOWN,) * 5, {}, "and are 5 of unknown kind"),
        (Platform.X, (PDF,), {}, "and are 1 PDF"),
        (Platform.LINKEDIN_PERSON, (IMAGE,) * 21, {}, "up to 20 images, or 1 video, or 1 PDF"),
        (Platform.LINKEDIN_PERSON, (PDF, PDF), {}, "and are 2 PDFs"),
        (Platform.LINKEDIN_COMPANY, (PDF, IMAGE), {}, "and are 1 image, 1 PDF"),
        (Platform.LINKEDIN_COMPANY, (VIDEO,) * 2, {}, "for a LinkedIn page"),
        (
            Platform.LINKEDIN_PERSON,
            (VIDEO,),
            {"postAsPdfCarousel": True},
            "up to 20 images for LinkedIn with postAsPdfCarousel, and are 1 video",
        ),
        (Platform.LINKEDIN_COMPANY, (), {"postAsPdfCarousel": True}, "and are none"),
        (Platform.TIKTOK_BUSINESS, (IMAGE,) * 36, {}, "up to 35 images, or 1 video for TikTok"),
        (Platform.TIKTOK_PERSONAL, (), {}, "and are none"),
        (Platform.YOUTUBE, (VIDEO,) * 2, {}, "1 video for YouTube, and are 2 videos"),
        (Platform.YOUTUBE, (IMAGE,), {}, "and are 1 image"),
        (Platform.PINTEREST, (IMAGE,) * 6, {}, "up to 5 images for Pinterest"),
        (Platform.PINTEREST, (VIDEO,), {}, "and are 1 video"),
        (Platform.THREADS, (IMAGE, VIDEO) * 10 + (IMAGE,), {}, "and are 11 images, 10 videos"),
        (Platform.BLUESKY, (IMAGE,) * 5, {}, "up to 4 images for Bluesky, and are 5 images"),
        (Platform.BLUESKY, (VIDEO,), {}, "and are 1 video"),
    ],
)
def test_media_that_a_platform_does_not_take(
    platform: Platform, media: tuple[Medium, ...], options: Mapping[str, Any], told: str
) -> None:
    [(path, message)] = faults(platform, media=media, options=options)
    assert path == "mediaItems"
    assert told in message


@pytest.mark.parametrize(
    ("platform", "options", "inside", "outside", "told"),
    [
        (Platform.INSTAGRAM, {"kind": "REEL"}, (3, 90), (2.9, 90.5), "3 to 90 seconds"),
        (Platform.FACEBOOK_PAGE, {"kind": "REEL"}, (3, 90), (2.9, 90.5), "3 to 90 seconds"),
        (Platform.X, {}, (0.1, 140), (140.5,), "at most 140 seconds for X,"),
        (Platform.X, {"premium": True}, (140.5, 14_400), (14_401,), "at most 14,400 seconds"),
        (Platform.TIKTOK_BUSINESS, {}, (3, 600), (2, 601), "3 to 600 seconds"),
        (Platform.THREADS, {}, (1, 300), (301,), "at most 300 seconds"),
        (Platform.YOUTUBE, {}, (1, 43_200), (43_201,), "at most 43,200 seconds"),
        (Platform.FACEBOOK_PAGE, {}, (1, 99_999), (), ""),
    ],
)
def test_videos_last_as_long_as_the_platform_allows(
    platform: Platform,
    options: Mapping[str, Any],
    inside: tuple[float, ...],
    outside: tuple[float, ...],
    told: str,
) -> None:
    for seconds in inside:
        media = (replace(VIDEO, seconds=seconds),)
        assert faults(platform, media=media, options=options) == []
    for seconds in outside:
        for path in ("mediaItems.0", None):
            media = (replace(VIDEO, seconds=seconds, path=path),)
            [(found, message)] = faults(platform, media=media, options=options)
            assert found == (path or "mediaItems")
            assert told in message
            assert message.endswith(f"and lasts {seconds:g}")


def test_a_medium_of_unknown_kind_may_be_a_short_enough_video() -> None:
    assert faults(Platform.X, media=(replace(UNKNOWN, seconds=500.0),)) == []


# First comments


@pytest.mark.parametrize("platform", Platform)
def test_a_first_comment_can_be_given_where_the_platform_has_them(platform: Platform) -> None:
    found = faults(platform, first_comment="First")
    if platform in {Platform.TIKTOK_BUSINESS, Platform.TIKTOK_PERSONAL, Platform.PINTEREST}:
        name = RULES[platform].usual.name
        assert found == [("platforms.0.firstComment", f"cannot be given for {name}")]
    else:
        assert found == []


@pytest.mark.parametrize("platform", Platform)
def test_an_empty_first_comment_is_none(platform: Platform) -> None:
    assert faults(platform, first_comment="") == []


def test_reels_have_first_comments_on_instagram_only() -> None:
    reel = {"media": (VIDEO,), "options": {"kind": "REEL"}, "first_comment": "First"}
    assert faults(Platform.INSTAGRAM, **reel) == []
    assert faults(Platform.FACEBOOK_PAGE, **reel) == [
        ("platforms.0.firstComment", "cannot be given for a Facebook reel")
    ]


# Options


@pytest.mark.parametrize(
    ("platform", "options"),
    [
        (Platform.INSTAGRAM, {"kind": "FEED"}),
        *((Platform.X, {"replySettings": value}) for value in ("everyone", "following")),
        *((Platform.X, {"replySettings": value}) for value in ("mentionedUsers", "subscribers")),
        (Platform.X, {"replySettings": "verified", "premium": True, "threadParts": ["2/2"]}),
        (Platform.LINKEDIN_PERSON, {"visibility": "CONNECTIONS", "postAsPdfCarousel": False}),
        (Platform.LINKEDIN_PERSON, {"visibility": "PUBLIC"}),
        (Platform.LINKEDIN_COMPANY, {"visibility": "PUBLIC"}),
        *(
            (platform, {"privacy": value})
            for platform in (Platform.TIKTOK_BUSINESS, Platform.TIKTOK_PERSONAL)
            for value in (
                "PUBLIC_TO_EVERYONE",
                "MUTUAL_FOLLOW_FRIENDS",
                "FOLLOWER_OF_CREATOR",
                "SELF_ONLY",
            )
        ),
        (Platform.YOUTUBE, {"title": "x" * 100, "madeForKids": True, "tags": ["a"]}),
        (Platform.YOUTUBE, {"tags": ["x" * 249, "y" * 250]}),
        (Platform.YOUTUBE, {"tags": ["x x" + "x" * 245, "y" * 249]}),
        (Platform.YOUTUBE, {"tags": []}),
        (Platform.PINTEREST, {"title": "x" * 100, "link": "https://example.com/"}),
        (Platform.THREADS, {"threadParts": ["x" * 500] * 25}),
        (Platform.THREADS, {"threadParts": []}),
        (Platform.BLUESKY, {"langs": ["de", "en-GB", "zh-Hant"]}),
        (Platform.X, {"replySettings": None, "premium": None, "anything": None}),
    ],
)
def test_options_that_a_platform_has(platform: Platform, options: Mapping[str, Any]) -> None:
    assert faults(platform, options=options) == []


@pytest.mark.parametrize(
    ("platform", "options", "at", "told"),
    [
        (Platform.INSTAGRAM, {"kind": "STORY"}, "kind", "must be one of FEED, REEL"),
        (Platform.INSTAGRAM, {"kind": "reel"}, "kind", "must be one of FEED, REEL"),
        (Platform.INSTAGRAM, {"kind": ["REEL"]}, "kind", "must be one of FEED, REEL"),
        (Platform.FACEBOOK_PAGE, {"kind": 1}, "kind", "must be one of FEED, PHOTO, VIDEO, REEL"),
        (Platform.X, {"replySettings": "nobody"}, "replySettings", "everyone, following"),
        (Platform.X, {"premium": 1}, "premium", "must be true or false for X"),
        (Platform.X, {"premium": "true"}, "premium", "must be true or false"),
        (Platform.X, {"threadParts": ["x" * 281]}, "threadParts.0", "280 weighted characters"),
        (Platform.LINKEDIN_PERSON, {"visibility": "PRIVATE"}, "visibility", "PUBLIC, CONNECTIONS"),
        (
            Platform.LINKEDIN_COMPANY,
            {"visibility": "CONNECTIONS"},
            "visibility",
            "must be PUBLIC for a LinkedIn page",
        ),
        (Platform.LINKEDIN_COMPANY, {"postAsPdfCarousel": 0}, "postAsPdfCarousel", "true or false"),
        (Platform.TIKTOK_BUSINESS, {"privacy": None}, "privacy", "is required for TikTok: PUBLIC_"),
        (Platform.TIKTOK_PERSONAL, {"privacy": "PUBLIC"}, "privacy", "must be one of PUBLIC_TO_"),
        (Platform.YOUTUBE, {"title": "x" * 101}, "title", "at most 100 characters, and has 101"),
        (Platform.YOUTUBE, {"title": " "}, "title", "must be a string that is not empty"),
        (Platform.YOUTUBE, {"title": 7}, "title", "must be a string that is not empty"),
        (Platform.YOUTUBE, {"madeForKids": "no"}, "madeForKids", "must be true or false"),
        (Platform.YOUTUBE, {"tags": "a,b"}, "tags", "must be a list of strings"),
        (Platform.YOUTUBE, {"tags": ["a", ""]}, "tags", "must be a list of strings"),
        (Platform.YOUTUBE, {"tags": ["x" * 250] * 2}, "tags", "together, and has 501"),
        (Platform.YOUTUBE, {"tags": ["x x" + "x" * 246, "y" * 249]}, "tags", "and has 501"),
        (Platform.PINTEREST, {"board": None}, "board", "is required for Pinterest: a text"),
        (Platform.PINTEREST, {"board": ""}, "board", "must be a string that is not empty"),
        (Platform.PINTEREST, {"title": "x" * 101}, "title", "at most 100 characters, and has 101"),
        (Platform.THREADS, {"threadParts": "1/2"}, "threadParts", "must be a list of strings"),
        (Platform.THREADS, {"threadParts": ["a", 2]}, "threadParts", "must be a list of strings"),
        (Platform.THREADS, {"threadParts": ["a", " "]}, "threadParts", "must be a list of strings"),
        (Platform.THREADS, {"threadParts": ["a"] * 26}, "threadParts", "at most 25 items, and has"),
        (
            Platform.THREADS,
            {"threadParts": ["a", "x" * 501]},
            "threadParts.1",
            "must have at most 500 characters for Threads, and has 501",
        ),
        (Platform.BLUESKY, {"langs": ["de"] * 4}, "langs", "at most 3 language tags"),
        (Platform.BLUESKY, {"langs": ["?"]}, "langs", "such as en-GB"),
        (Platform.BLUESKY, {"langs": {"de": 1}}, "langs", "must be a list of"),
        (Platform.BLUESKY, {"premium": True}, "premium", "is not an option of Bluesky"),
        (Platform.X, {"x" * 65: 1}, "x" * 64 + "…", "is not an option of X"),
        (Platform.X, {"x" * 64: 1}, "x" * 64, "is not an option of X"),
        (Platform.X, {"platform": "THREADS"}, "platform", "must be X for X"),
        (Platform.X, {"platform": 1}, "platform", "must be X"),
    ],
)
def test_options_that_a_platform_does_not_have(
    platform: Platform, options: Mapping[str, Any], at: str, told: str
) -> None:
    [(path, message)] = faults(platform, options=options)
    assert path == f"platforms.0.platformOptions.{at}"
    assert told in message


def test_unknown_options_are_named_in_their_order() -> None:
    found = faults(Platform.THREADS, options={"zebra": 1, "ant": 2})
    assert [path.rpartition(".")[2] for path, _ in found] == ["zebra", "ant"]


def test_a_premium_account_has_premium_thread_parts() -> None:
    assert faults(Platform.X, options={"premium": True, "threadParts": ["x" * 4_000]}) == []


def test_a_video_has_its_title_from_the_option_or_the_text() -> None:
    assert faults(Platform.YOUTUBE, text="", options={"title": "Sailing"}) == []
    assert faults(Platform.YOUTUBE, text="Sailing") == []
    assert faults(Platform.YOUTUBE, text=" ") == [
        ("platforms.0.platformOptions.title", "is required for YouTube where there is no text")
    ]


# Everything together


def test_every_violation_is_told() -> None:
    # Given a post that is wrong in every way
    wrong = content(
        Platform.PINTEREST,
        path="targets.3",
        text="x" * 501,
        text_path="targets.3.captionOverride",
        media=(VIDEO,),
        media_path="targets.3.mediaIds",
        first_comment="First",
        options={"board": None, "title": "", "bord": "boats"},
    )
    # When
    found = violations([wrong], Counting())
    # Then
    assert [detail.path for detail in found] == [
        "targets.3.captionOverride",
        "targets.3.mediaIds",
        "targets.3.firstComment",
        "targets.3.platformOptions.board",
        "targets.3.platformOptions.title",
        "targets.3.platformOptions.bord",
    ]
    assert PlatformRuleError(found).details == found


def test_a_fault_that_two_targets_inherit_is_told_once() -> None:
    both = [content(Platform.X, text="x" * 281, path=f"platforms.{index}") for index in range(2)]
    third = content(Platform.BLUESKY, text="x" * 301, path="platforms.2")
    assert violations([*both, third], Counting()) == (
        Detail("content", "must have at most 280 weighted characters for X, and has 281"),
        Detail("content", "must have at most 300 graphemes for Bluesky, and has 301"),
    )


@given(
    st.sampled_from(list(Platform)),
    st.text(min_size=1).filter(str.strip),
    st.text(max_size=400),
)
def test_more_text_never_breaks_fewer_rules(platform: Platform, text: str, more: str) -> None:
    assert len(faults(platform, text=text)) <= len(faults(platform, text=text + more))


@given(
    st.sampled_from(list(Platform)),
    st.lists(st.sampled_from([IMAGE, VIDEO, PDF, UNKNOWN]), min_size=1, max_size=40),
    st.sampled_from([IMAGE, VIDEO, PDF, UNKNOWN]),
)
def test_one_more_medium_never_mends_media(
    platform: Platform, media: list[Medium], more: Medium
) -> None:
    before = faults(platform, media=tuple(media))
    after = faults(platform, media=(*media, more))
    assert len(before) <= len(after)


@given(st.sampled_from(list(Platform)), st.lists(st.sampled_from([IMAGE, VIDEO, PDF]), max_size=6))
def test_knowing_less_of_media_never_breaks_more_rules(
    platform: Platform, media: list[Medium]
) -> None:
    known = faults(platform, media=tuple(media))
    unknown = faults(platform, media=(UNKNOWN,) * len(media))
    assert len(unknown) <= len(known)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = sorted({name for rules in RULES.values() for name in (*rules.options, "platform")})


@given(st.sampled_from(list(Platform)), st.dictionaries(st.sampled_from(NAMES), ANYTHING))
def test_no_options_make_it_fail(platform: Platform, options: dict[str, Any]) -> None:
    found = violations([replace(content(platform), options=options)], Counting())
    assert all(detail.path and detail.message for detail in found)


# What is read from drafts and posts


def an_asset(content_type: str = "image/png", **changes: Any) -> Asset:
    usual = Asset(
        id=an_id(ids.MEDIA),
        workspace_id=WORKSPACE_ID,
        status=AssetStatus.READY,
        content_type=content_type,
        size_bytes=1,
        created_at=START,
        created_by_user_id=an_id(ids.USER),
    )
    return replace(usual, **changes)


X_ACCOUNT, BLUESKY_ACCOUNT = an_id(ids.ACCOUNT), an_id(ids.ACCOUNT)
PLATFORMS = {X_ACCOUNT: Platform.X, BLUESKY_ACCOUNT: Platform.BLUESKY}


@pytest.mark.parametrize(
    ("flat", "listed", "caption"), [(True, "platforms", "content"), (False, "targets", "caption")]
)
def test_a_draft_has_the_paths_of_its_shape(flat: bool, listed: str, caption: str) -> None:
    # Given
    video = an_asset("video/mp4", duration_seconds=9.5)
    draft = PostDraft(
        targets=(
            TargetDraft(social_account_id=X_ACCOUNT),
            TargetDraft(
                social_account_id=BLUESKY_ACCOUNT,
                caption_override="",
                first_comment="First",
                platform_options={"langs": ["de"]},
                media_ids=(video.id, an_id(ids.MEDIA)),
            ),
        ),
        caption="Hello",
        media=(
            MediaDraft(url="https://example.com/a", kind="image/png"),
            MediaDraft(url=f"https://example.com/{video.storage_key}", kind="image"),
        ),
        media_ids=(video.id,),
        flat_shape=flat,
    )
    # When
    first, second = contents_of_draft(draft, PLATFORMS, {video.id: video})
    # Then
    assert first == Content(
        platform=Platform.X,
        path=f"{listed}.0",
        text="Hello",
        text_path=caption,
        media=(
            Medium(kind=MediaKind.IMAGE, path="mediaItems.0"),
            Medium(kind=MediaKind.VIDEO, seconds=9.5, path="mediaItems.1"),
            Medium(kind=MediaKind.VIDEO, seconds=9.5, path="mediaIds.0"),
        ),
        media_path="mediaItems",
    )
    assert second == Content(
        platform=Platform.BLUESKY,
        path=f"{listed}.1",
        text="",
        text_path=f"{listed}.1.captionOverride",
        media=(
            Medium(kind=MediaKind.VIDEO, seconds=9.5, path=f"{listed}.1.mediaIds.0"),
            Medium(path=f"{listed}.1.mediaIds.1"),
        ),
        media_path=f"{listed}.1.mediaIds",
        first_comment="First",
        options={"langs": ["de"]},
    )


def test_media_of_the_library_alone_are_told_of_where_they_stand() -> None:
    draft = PostDraft(
        targets=(TargetDraft(social_account_id=X_ACCOUNT),), media_ids=(an_id(ids.MEDIA),)
    )
    [only] = contents_of_draft(draft, PLATFORMS, {})
    assert (only.text, only.media_path) == ("", "mediaIds")


def test_targets_of_unknown_accounts_are_left_out() -> None:
    draft = PostDraft(
        targets=(
            TargetDraft(social_account_id=an_id(ids.ACCOUNT)),
            TargetDraft(social_account_id=X_ACCOUNT),
        )
    )
    assert [each.path for each in contents_of_draft(draft, PLATFORMS, {})] == ["targets.1"]


def test_a_post_has_the_paths_of_its_document() -> None:
    # Given
    image, video = an_id(ids.MEDIA), an_id(ids.MEDIA)
    media = (
        Media(media_asset_id=image, order=0, kind="IMAGE"),
        Media(media_asset_id=video, order=1, kind="VIDEO", duration_seconds=200.0),
    )
    post = a_post(PostStatus.DRAFT, media=media, caption="Hello")
    own = replace(
        post.targets[1],
        caption_override="Override",
        media_ids=(video,),
        platform_options={"langs": ["en"]},
        first_comment="First",
    )
    # When
    first, second = contents_of_post(replace(post, targets=(post.targets[0], own)))
    # Then
    assert first == Content(
        platform=Platform.BLUESKY,
        path="targets.0",
        text="Hello",
        text_path="caption",
        media=(
            Medium(kind=MediaKind.IMAGE, path="media.0"),
            Medium(kind=MediaKind.VIDEO, seconds=200.0, path="media.1"),
        ),
        media_path="media",
    )
    assert second == Content(
        platform=Platform.BLUESKY,
        path="targets.1",
        text="Override",
        text_path="targets.1.captionOverride",
        media=(Medium(kind=MediaKind.VIDEO, seconds=200.0, path="targets.1.mediaIds.0"),),
        media_path="targets.1.mediaIds",
        first_comment="First",
        options={"langs": ["en"]},
    )


def test_what_is_published_is_not_judged_again() -> None:
    post = a_post(PostStatus.CANCELED, targets=tuple(TargetStatus), caption=None)
    paths = {f"targets.{index}": status for index, status in enumerate(TargetStatus)}
    judged = {paths[each.path] for each in contents_of_post(post)}
    assert judged == set(TargetStatus) - {TargetStatus.PUBLISHED, TargetStatus.SKIPPED}
    chosen = contents_of_post(post, {post.targets[3].id})
    assert [each.path for each in chosen] == ["targets.3"]


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ("image", MediaKind.IMAGE),
        ("IMAGE", MediaKind.IMAGE),
        ("Photo", MediaKind.IMAGE),
        ("gif", MediaKind.IMAGE),
        ("image/webp", MediaKind.IMAGE),
        ("video", MediaKind.VIDEO),
        ("video/mp4", MediaKind.VIDEO),
        ("DOCUMENT", MediaKind.DOCUMENT),
        ("pdf", MediaKind.DOCUMENT),
        ("application/pdf", MediaKind.DOCUMENT),
        ("application/zip", None),
        ("hologram", None),
        ("", None),
        (None, None),
    ],
)
def test_what_a_client_says_of_a_medium(told: str | None, kind: MediaKind | None) -> None:
    assert media_kind(told) is kind


# The page for users


def _ways(variant: Variant) -> str:
    return ", or ".join(str(shape) for shape in variant.media)


def _way(shape: MediaShape) -> str:
    return f"{shape} of {shape.duration}" if shape.duration else str(shape)


def _row(platforms: str, variant: Variant, condition: str = "") -> str:
    media = ", or ".join(_way(shape) for shape in variant.media)
    return (
        f"| {platforms}{condition} | {'; '.join(map(str, variant.text))}"
        f" | {media}{'; required' if variant.media_required else ''}"
        f" | {'yes' if variant.first_comment else 'no'} |"
    )


def _pages_tables() -> list[str]:
    rows = []
    for platform, rules in RULES.items():
        rows.append(_row(f"`{platform}`", rules.usual))
        for (name, value), variant in rules.variants.items():
            shown = "true" if value is True else value
            rows.append(_row(f"`{platform}`", variant, f", `{name}` {shown}"))
    for platform, rules in RULES.items():
        for name, option in rules.options.items():
            required = "; required" if option.required else ""
            rows.append(f"| `{platform}` | `{name}` | {option}{required} |")
    return rows


def test_the_page_for_users_says_what_the_rules_are() -> None:
    written = [
        line
        for line in RULES_PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    ]
    assert written == _pages_tables(), "\n" + "\n".join(_pages_tables())


def test_a_number_does_not_choose_what_only_true_does() -> None:
    rules = RULES[Platform.X]
    assert rules.variant({"premium": True}) is not rules.usual
    assert rules.variant({"premium": 1}) is rules.usual


def test_a_shape_of_media_is_told_as_people_say_it() -> None:
    images = frozenset({MediaKind.IMAGE})
    assert str(MediaShape(kinds=images, most=1)) == "1 image"
    assert str(MediaShape(kinds=images, most=2)) == "up to 2 images"
    assert MediaShape(kinds=images, most=2).duration == ""


def test_media_that_are_missing_are_asked_for_once_and_by_address() -> None:
    # Given a post without text and media, on a platform that needs media
    account = an_id(ids.ACCOUNT)
    draft = PostDraft(targets=(TargetDraft(social_account_id=account),))
    # When
    contents = contents_of_draft(draft, {account: Platform.INSTAGRAM}, {})
    # Then
    [fault] = violations(contents, Counting())
    assert fault.path == "mediaItems"
    assert fault.message.endswith("and are none")
