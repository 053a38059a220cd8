"""Texts measured as the platforms measure them.

X weighs characters: the rules are those of twitter-text's configuration 3, written down here
because no library that knows them is kept up (docs/adr/0006). Which endings a domain can have is
asked of the public suffix list, because it changes; where one user-perceived character ends and the
next begins is asked of a library that follows UAX #29. Both are imported by the first text that
needs them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

LINK_WEIGHT: Final = 23
"""What every link counts on X, however long it is: they are all shortened to one length."""

EMOJI_WEIGHT: Final = 2
"""What an emoji counts on X, of however many code points it is made."""

LONGEST_LINK: Final = 4_096
LONGEST_LABEL: Final = 63

LIGHT: Final = ((0, 4_351), (8_192, 8_205), (8_208, 8_223), (8_242, 8_247))
"""The ranges of code points that weigh 1 on X; all others weigh 2."""

_HEAVY = re.compile("[^" + "".join(f"{chr(low)}-{chr(high)}" for low, high in LIGHT) + "]")

_TONE = "\U0001f3fb-\U0001f3ff"
_PICTOGRAM = (
    "(?:[\xa9\xae](?=\ufe0f)|[\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u231a-\u23ff\u24c2\u25aa-\u27bf"
    "\u2934\u2935\u2b05-\u2b55\u3030\u303d\u3297\u3299"
    "\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff])"
)
_PART = rf"{_PICTOGRAM}(?:[{_TONE}]|\ufe0f)?(?:[\U000e0020-\U000e007e]+\U000e007f)?"
# Two letters that make a flag, a keycap, or pictograms that are joined to one.
_EMOJI = re.compile(rf"[\U0001f1e6-\U0001f1ff]{{2}}|[0-9#*]\ufe0f?\u20e3|{_PART}(?:\u200d{_PART})*")

# A character of a host as people write it, dots apart: not a space, not punctuation.
_HOST = r"[^\s\x00-,./:-@\[-^`{-\xa0\u2000-\u206f\u3000\ufeff\uff03\uff20]"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"
_LINK = re.compile(
    r"(?<![A-Za-z0-9@\uff20$#\uff03])(?:"
    rf"[hH][tT]{{2}}[pP][sS]?://(?P<host>{_HOST}+(?:\.{_HOST}+)+)"
    rf"|(?<![-_./])(?P<domain>(?:{_LABEL}\.)+{_LABEL}))"
)
# What a host ends with may have letters of another script right behind it, but no e-mail's sign.
_ENDING = re.compile(r"(?:[xX][nN]--[A-Za-z0-9-]+|[A-Za-z]+|[^\W\d_A-Za-z]+)(?![A-Za-z0-9@])")

_LETTERS = r"a-zA-Z0-9\u0400-\u04ff\xc0-\xd6\xd8-\xf6\xf8-\u024f\u0300-\u036f\u1e00-\u1eff"
_GENERAL = rf"[{_LETTERS}!*';:=+,.$/%#\[\]\-\u2013_~@|&]"
_PORT = re.compile(r":[0-9]+")
_PATH = re.compile(rf"/(?:{_GENERAL}|\((?:{_GENERAL}|\({_GENERAL}+\))*\))*")
_QUERY = re.compile(r"\?[a-zA-Z0-9!?*'@();:&=+$/%#\[\]\-_.,~|]*")
_PATH_END = re.compile(rf"[{_LETTERS}+\-=_#/)]")
_QUERY_END = re.compile(r"[a-zA-Z0-9\-_&=#/]")

_TAG = re.compile(
    "(?<![\\w&/])(?:[#\uff03](?:\\w|[\u2600-\u27bf\U0001f300-\U0001faff]|(?<=\\w)[\ufe0f\u200d])+)+"
)
_MENTION = re.compile(r"(?<![\w.@/])@[A-Za-z0-9_](?:[A-Za-z0-9_.]{0,29})")


class TextLengths:
    """Measures texts; see ``TextMeasures`` of ``domain.platform_rules``."""

    def weighted(self, text: str) -> int:
        """Count as X does: links 23, emoji 2, most scripts 1 for a character, the others 2.

        An emoji of several code points that are joined counts 2 whether or not the standard lists
        it, so that emoji newer than this code are not counted too high.
        """
        text = unicodedata.normalize("NFC", text)
        weight = at = 0
        for start, end in links(text):
            weight += _weight(text[at:start]) + LINK_WEIGHT
            at = end
        return weight + _weight(text[at:])

    def graphemes(self, text: str) -> int:
        """Count user-perceived characters: extended grapheme clusters."""
        if text.isascii():
            # The one cluster of several ASCII characters is a line's end.
            return len(text) - text.count("\r\n")
        # It reads its tables when imported, and most texts need none of them.
        import grapheme  # noqa: PLC0415

        return sum(1 for _ in grapheme.graphemes(text))

    def hashtags(self, text: str) -> int:
        """Count hashtags; one may follow another without a space."""
        return sum(len(re.findall("[#\uff03]", match)) for match in _TAG.findall(text))

    def mentions(self, text: str) -> int:
        """Count mentions; an e-mail address is none."""
        return len(_MENTION.findall(text))


def links(text: str) -> Iterator[tuple[int, int]]:
    """Find what X makes a link, with or without ``https://``: where each begins and ends."""
    at = 0
    while (found := _LINK.search(text, at)) is not None:
        group = "domain" if found["host"] is None else "host"
        end = _end_of_host(text, found.start(group), found[group])
        if end is not None:
            end = _end_of_link(text, end)
        if end is None or end - found.start() > LONGEST_LINK:
            at = found.end()
        else:
            yield found.start(), end
            at = end


def _end_of_host(text: str, start: int, host: str) -> int | None:
    """Return where the longest host ends that begins there, or None if none does."""
    labels = host.split(".")
    begins = list(accumulate((len(label) + 1 for label in labels), initial=start))
    sound = sum(1 for _ in takewhile(_is_label, labels[:-1]))
    for count in range(sound, 0, -1):
        ending = _ENDING.match(text, begins[count])
        # Only what stands in front of the domain proper may have an underscore.
        if ending is not None and "_" not in labels[count - 1] and _is_ending(ending.group()):
            return ending.end()
    return None


def _end_of_link(text: str, at: int) -> int:
    """Return where the link ends whose host ends there."""
    port = _PORT.match(text, at)
    at = at if port is None else port.end()
    path = _PATH.match(text, at)
    if path is not None:
        end = _trimmed(text, at + 1, path.end(), _PATH_END)
        if end < path.end():
            return end
        at = end
    query = _QUERY.match(text, at)
    return at if query is None else max(at, _trimmed(text, at, query.end(), _QUERY_END))


def _trimmed(text: str, start: int, end: int, last: re.Pattern[str]) -> int:
    """Leave off what ends a sentence rather than a link."""
    while end > start and not last.match(text, end - 1):
        end -= 1
    return end


def _is_label(label: str) -> bool:
    if not label or label[0] in "-_" or label[-1] in "-_":
        return False
    if label.isascii():
        return len(label) <= LONGEST_LABEL
    try:
        label.encode("idna")
    except UnicodeError:
        return False
    return True


@lru_cache(maxsize=1_024)
def _is_ending(ending: str) -> bool:
    """Tell whether there is such a top-level domain."""
    try:
        name = ending.encode("idna").decode().lower()
    except UnicodeError:
        return False
    return _suffixes().publicsuffix(f"any.{name}") is not None


@cache
def _suffixes() -> PublicSuffixList:
    # Reads thousands of lines when it is made, which a text without links never needs.
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415

    return PublicSuffixList(accept_unknown=False, only_icann=True)


def _weight(text: str) -> int:
    if text.isascii():
        return len(text)
    rest, emoji = _EMOJI.subn("", text)
    return EMOJI_WEIGHT * emoji + len(rest) + len(_HEAVY.findall(rest))
