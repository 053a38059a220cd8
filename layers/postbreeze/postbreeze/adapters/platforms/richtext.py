"""Facets: which bytes of a post's text are a link, a tag or a mention.

A Bluesky post is plain text beside a list of byte ranges (of its UTF-8 form) with a meaning. What
is found here is what Bluesky's own composer finds, less what it guesses wrongly: a bare domain
needs a well-known ending and nothing odd behind it, so ``README.md`` and ``a.b@c.com`` stay text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

MAX_TAG_CHARACTERS = 64
"""The lexicon allows 64 graphemes and 640 bytes; 64 code points are never more than either."""

MAX_LINK_BYTES = 8_192
"""Far beyond any real address; keeps a record within the server's request limit."""

# Country endings, without the four that are far more often the ending of a file's name.
_COUNTRY_ENDINGS = """
    ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo
    br bs bt bv bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk
    dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gb gd ge gf gg gh gi gl gm gn gp gq
    gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh
    ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc me mg mh mk ml mm mn mo
    mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph
    pk pl pm pn pr ps pt pw qa re ro ru rw sa sb sc sd se sg si sj sk sl sm sn so sr ss st
    su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc
    ve vg vi vn vu wf ws ye yt za zm zw
"""
_COMMON_ENDINGS = """
    academy agency app art band biz blog business cafe careers center cloud club coffee
    com community company dev digital earth edu email energy events fm foundation fun fund
    gallery games global gov group guide health help host house info ink int international
    jobs land law legal life link live ltd media mil money museum music name net network
    news ngo one online org page photography photos pictures podcast press pro pub radio
    review run school science services shop show site social software solutions space
    store studio support systems team tech technology tips today tools top tours training
    travel tube university vet video watch website wiki work works world wtf xyz zone
"""
_ENDINGS = frozenset((_COUNTRY_ENDINGS + _COMMON_ENDINGS).split())

# Invisible characters that end a tag, as in Bluesky's own rule.
_INVISIBLE = "\u00ad\u2060\u200a\u200b\u200c\u200d\u20e2"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"

# JavaScript, which the server is written in, counts U+FEFF as a space and refuses a link that holds
# one; Python does not count it.
_NOT_SPACE = r"[^\s\ufeff]"

_LINK = re.compile(
    rf"(?:(?<=[\s(])|^)(?:(?P<url>[hH][tT]{{2}}[pP][sS]?://{_NOT_SPACE}+)"
    rf"|(?P<domain>(?=[a-zA-Z]){_LABEL}(?:\.{_LABEL})+){_NOT_SPACE}*)"
)
# An address with a user name in front of its host is how people are led astray: not made a link.
_HOST = re.compile(r"[hH][tT]{2}[pP][sS]?://[^\s/?#@:.][^\s/?#@]*(?:[/?#]|$)")
_TAG = re.compile(rf"(?:(?<=\s)|^)[#\uff03](?!\ufe0f)(?P<tag>[^\s\ufeff{_INVISIBLE}]+)")
_MENTION = re.compile(
    rf"(?:(?<=[\s(])|^)@(?P<handle>(?:{_LABEL}\.)+[a-zA-Z](?:[a-zA-Z0-9-]{{0,61}}[a-zA-Z0-9])?)"
)

_TRAILING = ".,;:!?\"'\u2026\u2019\u201d\u00bb"


class Kind(Enum):
    """What a span of the text means."""

    LINK = "link"
    TAG = "tag"
    MENTION = "mention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A meaningful piece of a text.

    ``start`` and ``end`` count bytes of the text's UTF-8 form, end exclusive. ``value`` is the
    address of a link, the tag without its sign, or the handle of a mention in lower case.
    """

    start: int
    end: int
    kind: Kind
    value: str


def spans(text: str) -> tuple[Span, ...]:
    """Find links, tags and mentions, in the order of the text and never overlapping.

    Raises:
        UnicodeEncodeError: The text holds half of a surrogate pair.
    """
    offsets = _byte_offsets(text)
    taken = 0
    kept = []
    for start, end, kind, value in sorted((*_links(text), *_tags(text), *_mentions(text))):
        # A link may stand inside what looks like a tag, "#(https://...": the first one wins.
        if start >= taken:
            kept.append(Span(start=offsets[start], end=offsets[end], kind=Kind(kind), value=value))
            taken = end
    return tuple(kept)


def facets(text: str, did_of: Callable[[str], str | None]) -> list[dict[str, Any]]:
    """Build a record's ``facets``.

    ``did_of`` resolves a handle; a mention for which it returns None stays plain text.

    Raises:
        UnicodeEncodeError: The text holds half of a surrogate pair.
    """
    built = []
    for span in spans(text):
        feature = _feature(span, did_of)
        if feature is not None:
            built.append(
                {
                    "index": {"byteStart": span.start, "byteEnd": span.end},
                    "features": [feature],
                }
            )
    return built


def _feature(span: Span, did_of: Callable[[str], str | None]) -> dict[str, str] | None:
    match span.kind:
        case Kind.LINK:
            return {"$type": "app.bsky.richtext.facet#link", "uri": span.value}
        case Kind.TAG:
            return {"$type": "app.bsky.richtext.facet#tag", "tag": span.value}
        case Kind.MENTION:
            did = did_of(span.value)
            if did is None:
                return None
            return {"$type": "app.bsky.richtext.facet#mention", "did": did}


def _byte_offsets(text: str) -> list[int]:
    offsets = [0]
    for character in text:
        offsets.append(offsets[-1] + len(character.encode()))
    return offsets


def _links(text: str) -> Iterator[tuple[int, int, str, str]]:
    for match in _LINK.finditer(text):
        shown = _without_trailing_punctuation(match.group())
        if match["url"]:
            address = shown
        else:
            behind = shown[len(match["domain"]) :]
            ending = match["domain"].rpartition(".")[2].lower()
            # Anything but a port, path, query or fragment behind it is an e-mail address,
            # a file's name or worse.
            if ending not in _ENDINGS or (behind and behind[0] not in ":/?#"):
                continue
            address = f"https://{shown}"
        if _HOST.match(address) and len(address.encode()) <= MAX_LINK_BYTES:
            yield match.start(), match.start() + len(shown), Kind.LINK.value, address


def _tags(text: str) -> Iterator[tuple[int, int, str, str]]:
    for match in _TAG.finditer(text):
        tag = match["tag"]
        while tag and _is_punctuation(tag[-1]):
            tag = tag[:-1]
        # "#1" is a place in a list, not a tag.
        meaningful = any(
            not character.isdigit() and not _is_punctuation(character) for character in tag
        )
        if meaningful and len(tag) <= MAX_TAG_CHARACTERS:
            yield match.start(), match.start() + 1 + len(tag), Kind.TAG.value, tag


def _mentions(text: str) -> Iterator[tuple[int, int, str, str]]:
    for match in _MENTION.finditer(text):
        behind = text[match.end() : match.end() + 1]
        # "@name@example.com" is somebody's address on another network.
        if behind == "@" or behind.isalnum() or len(match["handle"]) > 253:
            continue
        yield match.start(), match.end(), Kind.MENTION.value, match["handle"].lower()


def _without_trailing_punctuation(text: str) -> str:
    while text and (text[-1] in _TRAILING or (text[-1] == ")" and "(" not in text)):
        text = text[:-1]
    return text


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character).startswith("P")
