"""What rows of every kind are made of: attributes, and how values become rows and rows values.

A row's attributes carry the names of the value's fields, so that one pair of functions converts
them all; in the table they are in camel case. An attribute that a row lacks leaves the value's
default standing, so a field can be added without touching what is stored.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

from pynamodb.attributes import Attribute, NumberAttribute, UnicodeAttribute
from pynamodb.constants import LIST, STRING
from pynamodb.models import Model

from postbreeze.domain.documents import timestamp

Value = TypeVar("Value")

FIRST_REVISION: Final = 1
"""The revision of rows whose values have none."""


class MomentAttribute(Attribute[datetime]):
    """A moment in UTC with milliseconds and ``Z``: sorts as text, and is what clients see."""

    attr_type = STRING

    def serialize(self, value: datetime) -> str:
        """Write it; anything below a millisecond is cut off."""
        return timestamp(value)

    def deserialize(self, value: str) -> datetime:
        """Read it."""
        return moment(value)


class ChoiceAttribute(Attribute[StrEnum]):
    """One of an enumeration's values."""

    attr_type = STRING

    def __init__(self, choices: type[StrEnum], **options: Any) -> None:
        """Keep the enumeration."""
        super().__init__(**options)
        self._choices = choices

    def serialize(self, value: StrEnum) -> str:
        """Write its value."""
        return value.value

    def deserialize(self, value: str) -> StrEnum:
        """Read it."""
        return self._choices(value)


class JsonAttribute(Attribute[Any]):
    """Anything that JSON can say, as compact text."""

    attr_type = STRING

    def serialize(self, value: Any) -> str:
        """Write it."""
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def deserialize(self, value: str) -> Any:
        """Read it."""
        return json.loads(value)


class TextsAttribute(Attribute[Sequence[str]]):
    """Several texts in order. Unlike DynamoDB's sets it can be empty."""

    attr_type = LIST

    def serialize(self, value: Sequence[str]) -> list[dict[str, str]]:
        """Write them."""
        return [{"S": text} for text in value]

    def deserialize(self, value: Any) -> Any:
        """Read them."""
        return tuple(text["S"] for text in value)


class Row(Model):
    """What every row has; ``ttl`` is when DynamoDB may remove it (epoch seconds)."""

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    revision = NumberAttribute()
    ttl = NumberAttribute(null=True, attr_name="expiresAt")


def value_of(kind: type[Value], row: Row, **given: Any) -> Value:
    """Make a value from a row, and from what is given beside it."""
    stored = row.attribute_values
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # dataclasses only
    return kind(**{name: stored[name] for name in names & stored.keys()}, **given)


def attributes(value: Any, *left_out: str) -> dict[str, Any]:
    """Return what a row is given of a value: its fields by their names, some left out."""
    return {
        field.name: getattr(value, field.name)
        for field in fields(value)
        if field.name not in left_out
    }


def epoch_seconds(at: datetime) -> int:
    """Whole seconds, rounded up: never before its moment."""
    seconds = int(at.timestamp())
    return seconds + (1 if at.microsecond else 0)


def moment(text: str) -> datetime:
    """Read a moment from its written form."""
    return datetime.fromisoformat(text).astimezone(UTC)
