"""Tells what of a schema of something sent has been taken from those who receive it.

Whoever was written for the old schema must be able to go on. So everything sent under the new one
must be as the old one had it, but for more properties and more words in an enumeration: receivers
are told to put up with both.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

SAID_ONLY = frozenset(
    {"$schema", "$id", "$defs", "$comment", "title", "description", "examples", "deprecated"}
)
"""Keywords that change nothing of what is sent."""

PROMISED = ("const", "pattern", "format")
"""Keywords whose value stands; one that is new promises more."""

LIMITS: Mapping[str, Callable[[Any, Any], bool]] = {
    **dict.fromkeys(("maximum", "maxItems", "maxLength", "maxProperties"), operator.le),
    **dict.fromkeys(("minimum", "minItems", "minLength", "minProperties"), operator.ge),
}
"""Keywords that may become narrower: how the new value must compare with the old one."""

COMPARED = frozenset(
    {"type", "enum", "properties", "required", "items", "additionalProperties", *PROMISED, *LIMITS}
)


def breaks(old: Schema, new: Schema) -> list[str]:
    """Return what a receiver that was written for the old schema may stumble over in the new."""
    return list(_Comparison(old=old, new=new).of(old, new, ""))


def catalogue_breaks(old: Mapping[str, Schema], new: Mapping[str, Schema]) -> list[str]:
    """Compare two catalogues, whose schemas go by the names of the events."""
    gone = [f"{name}: is not sent any more" for name in old if name not in new]
    return gone + [
        f"{name}: {each}"
        for name, schema in old.items()
        if name in new
        for each in breaks(schema, new[name])
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    """Two whole schemas, in which their references are looked up."""

    old: Schema
    new: Schema

    def of(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        old, new = _followed(self.old, old), _followed(self.new, new)
        place = path or "/"
        yield from (f"{place}: {each}" for each in _unknown(old, new))
        yield from (f"{place}: {each}" for each in _of_value(old, new))
        yield from self._of_object(old, new, path)
        for keyword, name in (("items", "items"), ("additionalProperties", "*")):
            if isinstance(old.get(keyword), Mapping):
                if new.get(keyword, True) is True:
                    yield f"{place}: {keyword} may be anything"
                elif new[keyword] is not False:
                    yield from self.of(old[keyword], new[keyword], f"{path}/{name}")

    def _of_object(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name, schema in before.items():
            if name not in after:
                yield f"{path}/{name}: is gone"
            else:
                yield from self.of(schema, after[name], f"{path}/{name}")
        for name in old.get("required", ()):
            if name in after and name not in new.get("required", ()):
                yield f"{path}/{name}: may be missing"


def _followed(whole: Schema, schema: Schema) -> Schema:
    """Return what a reference leads to, with what stands beside it."""
    if "$ref" not in schema:
        return schema
    *_, kind, name = schema["$ref"].split("/")
    beside = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
    return {**_followed(whole, whole[kind][name]), **beside}


def _unknown(old: Schema, new: Schema) -> Iterator[str]:
    for keyword in sorted((old.keys() | new.keys()) - SAID_ONLY - COMPARED):
        if old.get(keyword) != new.get(keyword):
            yield f"{keyword} differs, and nobody has said what that means"


def _of_value(old: Schema, new: Schema) -> Iterator[str]:
    yield from (f"may be {kind}" for kind in _more_types(old, new))
    if "enum" in old and "enum" not in new:
        yield "may be any word"
    elif "enum" in old:
        yield from (f"is never {each!r}" for each in old["enum"] if each not in new["enum"])
    for keyword in PROMISED:
        if keyword in old and old[keyword] != new.get(keyword):
            yield f"{keyword} is not {old[keyword]!r}"
    for keyword, is_kept in LIMITS.items():
        if keyword in old and (keyword not in new or not is_kept(new[keyword], old[keyword])):
            yield f"{keyword} is wider than {old[keyword]}"


def _more_types(old: Schema, new: Schema) -> list[str]:
    if "type" not in old:
        return []
    before, after = _types(old["type"]), _types(new.get("type", "anything"))
    if "number" in before:
        before |= {"integer"}
    return sorted(after - before)


def _types(named: str | list[str]) -> set[str]:
    return {named} if isinstance(named, str) else set(named)
