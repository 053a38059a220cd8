"""What may change in a schema of what is sent, and what would break its receivers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.additive import breaks, catalogue_breaks

Schema = dict[str, Any]
Alteration = Callable[[Schema], object]

SCHEMA: Schema = {
    "$id": "urn:example:1",
    "type": "object",
    "properties": {
        "kind": {"type": "string", "const": "a"},
        "id": {"type": "string", "pattern": "^id_[0-9]+$"},
        "at": {"type": ["string", "null"], "format": "date-time"},
        "count": {"type": "integer", "minimum": 0, "maximum": 9},
        "share": {"type": "number"},
        "note": {"type": "string", "maxLength": 10},
        "anything": {},
        "things": {"type": "array", "maxItems": 5, "items": {"$ref": "#/$defs/Thing"}},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["kind", "id", "at", "count", "share", "anything", "things", "headers"],
    "$defs": {
        "Thing": {
            "type": "object",
            "properties": {
                "status": {"type": "string", "enum": ["ON", "OFF"]},
                "size": {"type": ["integer", "null"]},
            },
            "required": ["status"],
        }
    },
}


def altered(alter: Alteration) -> Schema:
    schema = copy.deepcopy(SCHEMA)
    alter(schema)
    return schema


def prop(schema: Schema, name: str) -> Schema:
    found: Schema = schema["properties"][name]
    return found


def thing(schema: Schema) -> Schema:
    found: Schema = schema["$defs"]["Thing"]
    return found


@pytest.mark.parametrize(
    ("alter", "told"),
    [
        (lambda s: s["properties"].pop("note"), ["/note: is gone"]),
        (lambda s: s["required"].remove("id"), ["/id: may be missing"]),
        (lambda s: prop(s, "note").update(type=["string", "null"]), ["/note: may be null"]),
        (lambda s: prop(s, "count").update(type="number"), ["/count: may be number"]),
        (lambda s: prop(s, "id").update(type="integer"), ["/id: may be integer"]),
        (lambda s: prop(s, "id").pop("type"), ["/id: may be anything"]),
        (lambda s: prop(s, "kind").update(const="b"), ["/kind: const is not 'a'"]),
        (lambda s: prop(s, "kind").pop("const"), ["/kind: const is not 'a'"]),
        (lambda s: prop(s, "id").update(pattern=".*"), ["/id: pattern is not '^id_[0-9]+$'"]),
        (lambda s: prop(s, "at").pop("format"), ["/at: format is not 'date-time'"]),
        (lambda s: prop(s, "count").update(minimum=-1), ["/count: minimum is wider than 0"]),
        (lambda s: prop(s, "count").pop("maximum"), ["/count: maximum is wider than 9"]),
        (lambda s: prop(s, "note").update(maxLength=11), ["/note: maxLength is wider than 10"]),
        (lambda s: prop(s, "things").update(maxItems=6), ["/things: maxItems is wider than 5"]),
        (lambda s: prop(s, "things").pop("items"), ["/things: items may be anything"]),
        (
            lambda s: prop(s, "headers").pop("additionalProperties"),
            ["/headers: additionalProperties may be anything"],
        ),
        (
            lambda s: prop(s, "headers").update(additionalProperties=True),
            ["/headers: additionalProperties may be anything"],
        ),
        (
            lambda s: prop(s, "headers").update(additionalProperties={"type": "integer"}),
            ["/headers/*: may be integer"],
        ),
        (
            lambda s: thing(s)["properties"]["status"].update(enum=["ON"]),
            ["/things/items/status: is never 'OFF'"],
        ),
        (
            lambda s: thing(s)["properties"]["status"].pop("enum"),
            ["/things/items/status: may be any word"],
        ),
        (lambda s: thing(s)["required"].clear(), ["/things/items/status: may be missing"]),
        (lambda s: thing(s)["properties"].pop("size"), ["/things/items/size: is gone"]),
        (
            lambda s: prop(s, "things").update(items={"type": "string"}),
            [
                "/things/items: may be string",
                "/things/items/status: is gone",
                "/things/items/size: is gone",
            ],
        ),
        (
            lambda s: prop(s, "note").update(oneOf=[{"minLength": 1}]),
            ["/note: oneOf differs, and nobody has said what that means"],
        ),
        (lambda s: s.update(type="array"), ["/: may be array"]),
    ],
)
def test_what_breaks_a_receiver_is_refused(alter: Alteration, told: list[str]) -> None:
    assert breaks(SCHEMA, altered(alter)) == told


@pytest.mark.parametrize(
    "alter",
    [
        lambda s: None,
        lambda s: s["properties"].update(more={"type": "string"}),
        lambda s: (s["properties"].update(more={}), s["required"].append("more")),
        lambda s: s["required"].append("note"),
        lambda s: s.update({"$id": "urn:example:2", "title": "t", "description": "d"}),
        lambda s: prop(s, "at").update(type="string"),
        lambda s: prop(s, "share").update(type="integer"),
        lambda s: prop(s, "anything").update(type="string"),
        lambda s: prop(s, "note").update(pattern="^[a-z]*$", maxLength=5, minLength=1),
        lambda s: prop(s, "count").update(minimum=1, maximum=8),
        lambda s: prop(s, "headers").update(additionalProperties=False),
        lambda s: prop(s, "things").update(items=thing(s)),
        lambda s: thing(s)["properties"]["status"].update(enum=["ON", "OFF", "BROKEN"]),
        lambda s: thing(s)["properties"].update(colour={"type": "string", "enum": ["RED"]}),
    ],
)
def test_what_only_adds_or_promises_more_is_allowed(alter: Alteration) -> None:
    assert breaks(SCHEMA, altered(alter)) == []


def test_a_word_beside_a_reference_counts_as_if_it_stood_in_what_it_leads_to() -> None:
    # Given a property that is a thing of one status
    narrow = {"$ref": "#/$defs/Thing", "maxProperties": 2}
    old = altered(lambda s: prop(s, "things").update(items=narrow))
    # Then no longer saying so is seen
    assert breaks(old, SCHEMA) == ["/things/items: maxProperties is wider than 2"]
    assert breaks(SCHEMA, old) == []


def test_an_event_may_be_added_and_none_be_dropped() -> None:
    # Given
    broken = altered(lambda s: s["required"].remove("id"))
    # Then
    assert catalogue_breaks({"a": SCHEMA}, {"a": SCHEMA, "b": SCHEMA}) == []
    assert catalogue_breaks({"a": SCHEMA, "b": SCHEMA}, {"a": SCHEMA}) == [
        "b: is not sent any more"
    ]
    assert catalogue_breaks({"a": SCHEMA}, {"a": broken}) == ["a: /id: may be missing"]
