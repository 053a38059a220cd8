"""What each platform takes, as data, and what is wrong with a post by it.

``RULES`` is the only place where a platform's limits stand. The figures are those of the wire
contract (its section on platform rules). Where that is silent, they are those of the public API
documentation that the contract is drawn from: the lengths of Facebook's reels and of videos on
TikTok, Threads and YouTube, a Premium account's videos on X, ``link`` of a pin, ``threadParts`` on
X. What neither tells is ours:

* ``platformOptions.platform`` may name the platform, and then has to name the right one.
* Texts are counted in code points, except on X (weighted) and Bluesky (grapheme clusters).
* Who has X Premium says so with ``premium``.
* ``replySettings`` takes the values of X's own API, and ``everyone`` for its default.
* A page's ``kind`` is FEED, PHOTO, VIDEO or REEL.
* ``threadParts`` follow the text, each under the text's own limit.
* A video's title is ``title``, or else the first line of its text, cut to fit; one there must be.
* YouTube's tags are counted as YouTube does: with a comma between them, and with the quotation
  marks that one with a space gets.
* A first comment has the limits of the platform's text, not those on hashtags and mentions.
* What kind a medium is may be unknown, and so may be how long it lasts. What is not known is not
  held against a post: the platform has the last word.
* An option that is null counts as left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, Protocol, TypeGuard, assert_never

from postbreeze.domain.errors import Detail
from postbreeze.domain.media import Asset, MediaKind, asset_of, media_for
from postbreeze.domain.post import (
    Media,
    MediaDraft,
    Platform,
    Post,
    PostDraft,
    Target,
    TargetDraft,
    TargetStatus,
)

# What measures a text


class TextMeasures(Protocol):
    """Counts what only libraries and long tables know how to count."""

    def weighted(self, text: str) -> int:
        """Count as X does: a link 23, an emoji 2, most scripts 1 for a character, others 2."""
        ...

    def graphemes(self, text: str) -> int:
        """Count user-perceived characters (UAX #29); never more than there are code points."""
        ...

    def hashtags(self, text: str) -> int:
        """Count hashtags."""
        ...

    def mentions(self, text: str) -> int:
        """Count mentions."""
        ...


class Unit(StrEnum):
    """What is counted; the value is its name for people."""

    CHARACTERS = "characters"
    WEIGHTED = "weighted characters"
    GRAPHEMES = "graphemes"
    BYTES = "bytes"
    HASHTAGS = "hashtags"
    MENTIONS = "mentions"


_CountOf = Callable[[str, Unit], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The most of a unit that a text may have."""

    most: int
    unit: Unit = Unit.CHARACTERS

    def __str__(self) -> str:
        return f"{self.most:,} {self.unit}"

    def excess(self, text: str, count_of: _CountOf) -> int | None:
        """Return the count if it is above the limit, else None."""
        if self._surely_holds(text):
            return None
        count = count_of(text, self.unit)
        return count if count > self.most else None

    def _surely_holds(self, text: str) -> bool:
        # No library is needed for a text with too few code points to break the limit. Of bytes and
        # weights there can be more than code points: four of them can be a link that counts 23.
        return self.unit not in {Unit.BYTES, Unit.WEIGHTED} and len(text) <= self.most


def _count(text: str, unit: Unit, measures: TextMeasures) -> int:
    match unit:
        case Unit.CHARACTERS:
            return len(text)
        case Unit.BYTES:
            # Half a surrogate pair is the publisher's to refuse; it can be counted all the same.
            return len(text.encode(errors="surrogatepass"))
        case Unit.WEIGHTED:
            return measures.weighted(text)
        case Unit.GRAPHEMES:
            return measures.graphemes(text)
        case Unit.HASHTAGS:
            return measures.hashtags(text)
        case Unit.MENTIONS:
            return measures.mentions(text)
        case _:
            assert_never(unit)


# What media a platform takes


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaShape:
    """One way in which media go together: of these kinds, at most so many, each so long.

    ``shortest`` and ``longest`` are seconds and concern videos.
    """

    kinds: frozenset[MediaKind]
    most: int
    shortest: int = 0
    longest: int | None = None

    def __str__(self) -> str:
        nouns = " and ".join(
            _NOUNS[kind][self.most > 1] for kind in MediaKind if kind in self.kinds
        )
        return f"1 {nouns}" if self.most == 1 else f"up to {self.most} {nouns}"

    @property
    def duration(self) -> str:
        """How long its videos may last, for people; empty if that does not matter."""
        if self.longest is None:
            return ""
        if not self.shortest:
            return f"at most {self.longest:,} seconds"
        return f"{self.shortest} to {self.longest:,} seconds"

    def fits(self, media: Collection[Medium]) -> bool:
        """Tell whether these media can go together in this way, as far as is known of them."""
        return len(media) <= self.most and all(
            each.kind is None or each.kind in self.kinds for each in media
        )

    def lasts_well(self, medium: Medium) -> bool:
        """Tell whether a medium is neither too short nor too long, as far as is known."""
        return (
            self.longest is None
            or medium.seconds is None
            or self.shortest <= medium.seconds <= self.longest
        )


_NOUNS: Mapping[MediaKind, tuple[str, str]] = {
    MediaKind.IMAGE: ("image", "images"),
    MediaKind.VIDEO: ("video", "videos"),
    MediaKind.DOCUMENT: ("PDF", "PDFs"),
}


def _images(most: int) -> MediaShape:
    return MediaShape(kinds=frozenset({MediaKind.IMAGE}), most=most)


def _video(*, shortest: int = 0, longest: int | None = None) -> MediaShape:
    return MediaShape(
        kinds=frozenset({MediaKind.VIDEO}), most=1, shortest=shortest, longest=longest
    )


def _mixed(most: int, *, longest: int | None = None) -> MediaShape:
    return MediaShape(
        kinds=frozenset({MediaKind.IMAGE, MediaKind.VIDEO}), most=most, longest=longest
    )


_PDF = MediaShape(kinds=frozenset({MediaKind.DOCUMENT}), most=1)


# What options a platform has


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """An option with one of some values."""

    values: tuple[str, ...]
    required: bool = False

    def __str__(self) -> str:
        return ", ".join(self.values)

    def faults(self, value: object) -> Iterator[tuple[str, str]]:
        """Tell what is wrong: where within the value, and what."""
        if not isinstance(value, str) or value not in self.values:
            yield "", f"must be {_listed(self.values)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """An option that is true or false; false if it is left out."""

    required: bool = False

    def __str__(self) -> str:
        return "true or false"

    def faults(self, value: object) -> Iterator[tuple[str, str]]:
        """Tell what is wrong: where within the value, and what."""
        if not isinstance(value, bool):
            yield "", "must be true or false"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """An option that is a text and not empty."""

    most: int | None = None
    required: bool = False

    def __str__(self) -> str:
        return "a text" if self.most is None else f"at most {self.most:,} characters"

    def faults(self, value: object) -> Iterator[tuple[str, str]]:
        """Tell what is wrong: where within the value, and what."""
        if not isinstance(value, str) or not value.strip():
            yield "", "must be a string that is not empty"
        elif self.most is not None and len(value) > self.most:
            yield "", f"must have at most {self.most:,} characters, and has {len(value):,}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """An option that is a list of words, counted together as YouTube counts them."""

    most: int
    required: bool = False

    def __str__(self) -> str:
        return f"at most {self.most:,} characters together"

    def faults(self, value: object) -> Iterator[tuple[str, str]]:
        """Tell what is wrong: where within the value, and what."""
        if not _is_list_of_words(value):
            yield "", "must be a list of strings that are not empty"
            return
        count = len(",".join(f'"{tag}"' if " " in tag else tag for tag in value))
        if count > self.most:
            yield "", f"must have at most {self.most:,} characters together, and has {count:,}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Languages:
    """An option that is a list of language tags."""

    most: int
    required: bool = False

    def __str__(self) -> str:
        return f"at most {self.most} language tags, such as en-GB"

    def faults(self, value: object) -> Iterator[tuple[str, str]]:
        """Tell what is wrong: where within the value, and what."""
        if (
            not _is_list_of_words(value)
            or len(value) > self.most
            or not all(_LANGUAGE.fullmatch(tag) for tag in value)
        ):
            yield "", f"must be a list of {self}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """An option that is a list of texts, each with the limits of the platform's text."""

    most: int
    required: bool = False

    def __str__(self) -> str:
        return f"at most {self.most} texts, each with the limits of the text"

    def faults(self, value: object) -> Iterator[tuple[str, str]]:
        """Tell what is wrong but for the texts' lengths: where within the value, and what."""
        if not _is_list_of_words(value):
            yield "", "must be a list of strings that are not empty"
        elif len(value) > self.most:
            yield "", f"must have at most {self.most} items, and has {len(value)}"


Option = Choice | Flag | Words | Tags | Languages | Parts

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")


def _is_list_of_words(value: object) -> TypeGuard[Sequence[str]]:
    return isinstance(value, list | tuple) and all(
        isinstance(each, str) and each.strip() for each in value
    )


def _listed(values: tuple[str, ...]) -> str:
    return values[0] if len(values) == 1 else f"one of {', '.join(values)}"


# The rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The rules of one kind of post on a platform.

    ``media`` lists the ways in which media may go together; ``media_required`` whether there must
    be any.
    """

    name: str
    text: tuple[Limit, ...]
    media: tuple[MediaShape, ...]
    media_required: bool = False
    first_comment: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformRules:
    """The rules of one platform: of a usual post, and of those that an option makes another.

    ``variants`` are by option and value; the first that a post chooses is in force.
    ``title_option`` names an option without which the text has to give a title.
    """

    usual: Variant
    options: Mapping[str, Option] = field(default_factory=dict)
    variants: Mapping[tuple[str, str | bool], Variant] = field(default_factory=dict)
    title_option: str | None = None

    def variant(self, options: Mapping[str, Any]) -> Variant:
        """Return the rules of a post with these options."""
        for (name, wanted), variant in self.variants.items():
            value = options.get(name)
            # Equality alone would take 1 for True.
            if type(value) is type(wanted) and value == wanted:
                return variant
        return self.usual


def _characters(most: int) -> tuple[Limit, ...]:
    return (Limit(most=most),)


_INSTAGRAM_TEXT = (
    *_characters(2_200),
    Limit(most=30, unit=Unit.HASHTAGS),
    Limit(most=20, unit=Unit.MENTIONS),
)
_FACEBOOK_TEXT = _characters(63_206)
_LINKEDIN_TEXT = _characters(3_000)
_THREAD_PARTS = Parts(most=25)


def _linkedin(name: str, *visibility: str) -> PlatformRules:
    return PlatformRules(
        usual=Variant(name=name, text=_LINKEDIN_TEXT, media=(_images(20), _video(), _PDF)),
        options={"visibility": Choice(values=visibility), "postAsPdfCarousel": Flag()},
        variants={
            ("postAsPdfCarousel", True): Variant(
                name=f"{name} with postAsPdfCarousel",
                text=_LINKEDIN_TEXT,
                media=(_images(20),),
                media_required=True,
            )
        },
    )


_TIKTOK = PlatformRules(
    usual=Variant(
        name="TikTok",
        text=_characters(2_200),
        media=(_images(35), _video(shortest=3, longest=600)),
        media_required=True,
        first_comment=False,
    ),
    options={
        "privacy": Choice(
            values=(
                "PUBLIC_TO_EVERYONE",
                "MUTUAL_FOLLOW_FRIENDS",
                "FOLLOWER_OF_CREATOR",
                "SELF_ONLY",
            ),
            required=True,
        )
    },
)

RULES: Mapping[Platform, PlatformRules] = {
    Platform.INSTAGRAM: PlatformRules(
        usual=Variant(
            name="Instagram", text=_INSTAGRAM_TEXT, media=(_mixed(10),), media_required=True
        ),
        options={"kind": Choice(values=("FEED", "REEL"))},
        variants={
            ("kind", "REEL"): Variant(
                name="an Instagram reel",
                text=_INSTAGRAM_TEXT,
                media=(_video(shortest=3, longest=90),),
                media_required=True,
            )
        },
    ),
    Platform.FACEBOOK_PAGE: PlatformRules(
        usual=Variant(name="Facebook", text=_FACEBOOK_TEXT, media=(_images(10), _video())),
        options={"kind": Choice(values=("FEED", "PHOTO", "VIDEO", "REEL"))},
        variants={
            ("kind", "PHOTO"): Variant(
                name="a Facebook photo post",
                text=_FACEBOOK_TEXT,
                media=(_images(10),),
                media_required=True,
            ),
            ("kind", "VIDEO"): Variant(
                name="a Facebook video",
                text=_FACEBOOK_TEXT,
                media=(_video(),),
                media_required=True,
            ),
            ("kind", "REEL"): Variant(
                name="a Facebook reel",
                text=_FACEBOOK_TEXT,
                media=(_video(shortest=3, longest=90),),
                media_required=True,
                first_comment=False,
            ),
        },
    ),
    Platform.X: PlatformRules(
        usual=Variant(
            name="X",
            text=(Limit(most=280, unit=Unit.WEIGHTED),),
            media=(_images(4), _video(longest=140)),
        ),
        options={
            "replySettings": Choice(
                values=("everyone", "following", "mentionedUsers", "subscribers", "verified")
            ),
            "premium": Flag(),
            "threadParts": _THREAD_PARTS,
        },
        variants={
            ("premium", True): Variant(
                name="X Premium",
                text=(Limit(most=4_000, unit=Unit.WEIGHTED),),
                media=(_images(4), _video(longest=4 * 60 * 60)),
            )
        },
    ),
    Platform.LINKEDIN_PERSON: _linkedin("LinkedIn", "PUBLIC", "CONNECTIONS"),
    Platform.LINKEDIN_COMPANY: _linkedin("a LinkedIn page", "PUBLIC"),
    Platform.TIKTOK_BUSINESS: _TIKTOK,
    Platform.TIKTOK_PERSONAL: _TIKTOK,
    Platform.YOUTUBE: PlatformRules(
        usual=Variant(
            name="YouTube",
            text=_characters(5_000),
            media=(_video(longest=12 * 60 * 60),),
            media_required=True,
        ),
        options={"title": Words(most=100), "tags": Tags(most=500), "madeForKids": Flag()},
        title_option="title",
    ),
    Platform.PINTEREST: PlatformRules(
        usual=Variant(
            name="Pinterest",
            text=_characters(500),
            media=(_images(5),),
            media_required=True,
            first_comment=False,
        ),
        options={"board": Words(required=True), "title": Words(most=100), "link": Words()},
    ),
    Platform.THREADS: PlatformRules(
        usual=Variant(name="Threads", text=_characters(500), media=(_mixed(20, longest=300),)),
        options={"threadParts": _THREAD_PARTS},
    ),
    Platform.BLUESKY: PlatformRules(
        usual=Variant(
            name="Bluesky",
            text=(Limit(most=300, unit=Unit.GRAPHEMES), Limit(most=3_000, unit=Unit.BYTES)),
            media=(_images(4),),
        ),
        options={"langs": Languages(most=3)},
    ),
}


# What is checked


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """What is known of a picture, video or document; ``path`` is where it stands, if it does."""

    kind: MediaKind | None = None
    seconds: float | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is to appear on one platform, and where a client finds each part of it.

    ``path`` is that of the target, such as ``platforms.0``; ``text_path`` and ``media_path`` name
    the fields that the text and the media come from, the target's own or the post's.
    """

    platform: Platform
    path: str
    text: str
    text_path: str
    media: tuple[Medium, ...]
    media_path: str
    first_comment: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def violations(contents: Iterable[Content], measures: TextMeasures) -> tuple[Detail, ...]:
    """List what the platforms' rules forbid; nothing if it can all be published.

    Each violation is one detail, whose path is the field at fault and whose message tells limit and
    count. Two targets that inherit the same fault from the post share one.
    """

    @cache
    def count_of(text: str, unit: Unit) -> int:
        # Fifty targets may share one long text.
        return _count(text, unit, measures)

    found = [detail for content in contents for detail in _violations(content, count_of)]
    return tuple(dict.fromkeys(found))


def contents_of_draft(
    draft: PostDraft, platforms: Mapping[str, Platform], assets: Mapping[str, Asset]
) -> tuple[Content, ...]:
    """Return what a client wants to appear, with the paths of its request.

    Args:
        draft: What the client wants.
        platforms: The platform of each account, by its id. Targets of other accounts are left out:
            what is wrong with them is no platform's rule.
        assets: The assets of the media library that the draft names, by id. One that is not here
            counts as a medium of unknown kind.
    """
    listed, caption = ("platforms", "content") if draft.flat_shape else ("targets", "caption")
    shared = (
        *(_of_address(each, assets, f"mediaItems.{at}") for at, each in enumerate(draft.media)),
        *(_of_asset(each, assets, f"mediaIds.{at}") for at, each in enumerate(draft.media_ids)),
    )
    shared_path = "mediaIds" if draft.media_ids and not draft.media else "mediaItems"
    contents = []
    for index, target in enumerate(draft.targets):
        platform = platforms.get(target.social_account_id)
        if platform is None:
            continue
        path = f"{listed}.{index}"
        own = tuple(
            _of_asset(each, assets, f"{path}.mediaIds.{at}")
            for at, each in enumerate(target.media_ids)
        )
        contents.append(
            Content(
                platform=platform,
                path=path,
                **_text(target, draft.caption, path, caption),
                media=own or shared,
                media_path=f"{path}.mediaIds" if own else shared_path,
                first_comment=target.first_comment,
                options=target.platform_options or {},
            )
        )
    return tuple(contents)


def contents_of_post(post: Post, target_ids: Collection[str] | None = None) -> tuple[Content, ...]:
    """Return what is to appear of a post that exists, with the paths of its own document.

    Args:
        post: The post.
        target_ids: The targets that matter; if left out, all that may still be published.
    """
    contents = []
    for index, target in enumerate(post.targets):
        if target.id not in target_ids if target_ids is not None else target.status in _OVER:
            continue
        path = f"targets.{index}"
        contents.append(
            Content(
                platform=target.platform,
                path=path,
                **_text(target, post.caption, path, "caption"),
                media=tuple(_of_media(each, target, path) for each in media_for(post, target)),
                media_path=f"{path}.mediaIds" if target.media_ids else "media",
                first_comment=target.first_comment,
                options=target.platform_options or {},
            )
        )
    return tuple(contents)


_OVER = frozenset({TargetStatus.PUBLISHED, TargetStatus.SKIPPED})


def _text(
    target: Target | TargetDraft, caption: str | None, path: str, caption_path: str
) -> dict[str, str]:
    if target.caption_override is None:
        return {"text": caption or "", "text_path": caption_path}
    return {"text": target.caption_override, "text_path": f"{path}.captionOverride"}


def _of_asset(asset_id: str, assets: Mapping[str, Asset], path: str) -> Medium:
    asset = assets.get(asset_id)
    if asset is None:
        return Medium(path=path)
    return Medium(kind=asset.kind, seconds=asset.duration_seconds, path=path)


def _of_address(medium: MediaDraft, assets: Mapping[str, Asset], path: str) -> Medium:
    asset_id = asset_of(medium)
    if asset_id is not None:
        return _of_asset(asset_id, assets, path)
    return Medium(kind=media_kind(medium.kind), path=path)


def _of_media(medium: Media, target: Target, path: str) -> Medium:
    if target.media_ids:
        path = f"{path}.mediaIds.{target.media_ids.index(medium.media_asset_id)}"
    else:
        path = f"media.{medium.order}"
    return Medium(kind=media_kind(medium.kind), seconds=medium.duration_seconds, path=path)


def media_kind(told: str | None) -> MediaKind | None:
    """Read what a client says a medium is: a kind, in any case, or a content type.

    None is returned for what cannot be understood.
    """
    word = (told or "").lower()
    return _KINDS.get(word) or _KINDS.get(word.partition("/")[0])


_KINDS: Mapping[str, MediaKind] = {
    "image": MediaKind.IMAGE,
    "photo": MediaKind.IMAGE,
    "gif": MediaKind.IMAGE,
    "video": MediaKind.VIDEO,
    "document": MediaKind.DOCUMENT,
    "pdf": MediaKind.DOCUMENT,
    "application/pdf": MediaKind.DOCUMENT,
}


# How it is checked


def _violations(content: Content, count_of: _CountOf) -> Iterator[Detail]:
    rules = RULES[content.platform]
    options = {name: value for name, value in content.options.items() if value is not None}
    variant = rules.variant(options)
    yield from _faults_of_text(content, variant, rules, options, count_of)
    yield from _faults_of_media(content, variant)
    yield from _faults_of_first_comment(content, variant, count_of)
    yield from _faults_of_options(content, variant, rules, options, count_of)


def _faults_of_text(
    content: Content,
    variant: Variant,
    rules: PlatformRules,
    options: Mapping[str, Any],
    count_of: _CountOf,
) -> Iterator[Detail]:
    yield from _too_long(content.text_path, content.text, variant.name, variant.text, count_of)
    if content.text.strip():
        return
    if rules.title_option is not None and rules.title_option not in options:
        yield Detail(
            f"{content.path}.platformOptions.{rules.title_option}",
            f"is required for {variant.name} where there is no text",
        )
    if not content.media and not variant.media_required:
        yield Detail(content.text_path, f"must not be empty for {variant.name} without media")


def _too_long(
    path: str, text: str, name: str, limits: Iterable[Limit], count_of: _CountOf
) -> Iterator[Detail]:
    for limit in limits:
        count = limit.excess(text, count_of)
        if count is not None:
            yield Detail(path, f"must have at most {limit} for {name}, and has {count:,}")


def _faults_of_media(content: Content, variant: Variant) -> Iterator[Detail]:
    media = content.media
    wanted = ", or ".join(str(shape) for shape in variant.media)
    if not media:
        if variant.media_required:
            yield Detail(content.media_path, f"must be {wanted} for {variant.name}, and are none")
        return
    shapes = [shape for shape in variant.media if shape.fits(media)]
    if not shapes:
        yield Detail(
            content.media_path, f"must be {wanted} for {variant.name}, and are {_inventory(media)}"
        )
        return
    for medium in media:
        if not any(shape.lasts_well(medium) for shape in shapes):
            yield Detail(
                medium.path or content.media_path,
                f"must last {shapes[0].duration} for {variant.name}, and lasts {medium.seconds:g}",
            )


def _inventory(media: Iterable[Medium]) -> str:
    counts = Counter(medium.kind for medium in media)
    kinds = [kind for kind in (*MediaKind, None) if counts[kind]]
    return ", ".join(f"{counts[kind]} {_noun(kind, counts[kind])}" for kind in kinds)


def _noun(kind: MediaKind | None, count: int) -> str:
    return "of unknown kind" if kind is None else _NOUNS[kind][count > 1]


def _faults_of_first_comment(
    content: Content, variant: Variant, count_of: _CountOf
) -> Iterator[Detail]:
    comment = content.first_comment
    if not comment:
        return
    path = f"{content.path}.firstComment"
    if variant.first_comment:
        lengths = [limit for limit in variant.text if limit.unit not in _PIECES]
        yield from _too_long(path, comment, variant.name, lengths, count_of)
    else:
        yield Detail(path, f"cannot be given for {variant.name}")


_PIECES = frozenset({Unit.HASHTAGS, Unit.MENTIONS})

_LONGEST_NAME_SHOWN = 64


def _faults_of_options(
    content: Content,
    variant: Variant,
    rules: PlatformRules,
    options: Mapping[str, Any],
    count_of: _CountOf,
) -> Iterator[Detail]:
    base = f"{content.path}.platformOptions"
    known = {"platform": Choice(values=(content.platform.value,)), **rules.options}
    for name, option in known.items():
        if name not in options:
            if option.required:
                yield Detail(f"{base}.{name}", f"is required for {variant.name}: {option}")
            continue
        value = options[name]
        faults = [
            Detail(f"{base}.{name}{within}", f"{fault} for {variant.name}")
            for within, fault in option.faults(value)
        ]
        yield from faults
        if isinstance(option, Parts) and not faults:
            for index, part in enumerate(value):
                path = f"{base}.{name}.{index}"
                yield from _too_long(path, part, variant.name, variant.text, count_of)
    for name in (name for name in options if name not in known):
        shown = name if len(name) <= _LONGEST_NAME_SHOWN else f"{name[:_LONGEST_NAME_SHOWN]}…"
        yield Detail(f"{base}.{shown}", f"is not an option of {rules.usual.name}")
