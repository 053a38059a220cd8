"""What a command shows: aligned text for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under headings; ``empty`` is said where there are none."""

    headings: Sequence[str]
    rows: Sequence[Sequence[object]]
    empty: str = "none"
    title: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Names and values, one a line."""

    values: Mapping[str, object]
    title: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A command's result: the JSON document, the blocks that people see, and remarks beside it.

    Remarks go to standard error, so that what is piped on is only the result.
    """

    document: Any
    blocks: Sequence[Table | Fields]
    remarks: Sequence[str] = field(default=())


def as_text(shown: Shown) -> str:
    """Lay the blocks out for people."""
    return "\n\n".join(_block(block) for block in shown.blocks)


def as_json(shown: Shown) -> str:
    """Write the document."""
    return json.dumps(shown.document, indent=2, ensure_ascii=False)


def one_line(values: Sequence[object]) -> str:
    """Write values on one line, as they come."""
    return "  ".join(map(_cell, values))


def _block(block: Table | Fields) -> str:
    lines = [] if block.title is None else [block.title]
    match block:
        case Fields(values=values):
            width = max((len(name) for name in values), default=0)
            lines += [f"{name:<{width}}  {_cell(value)}".rstrip() for name, value in values.items()]
        case Table(rows=[]):
            lines.append(block.empty)
        case Table(headings=headings, rows=rows):
            cells = [list(headings), *([_cell(value) for value in row] for row in rows)]
            widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
            lines += [
                "  ".join(
                    f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)
                ).rstrip()
                for row in cells
            ]
    return "\n".join(lines)


def _cell(value: object) -> str:
    """Write one value; control characters become escapes, so that no text moves the cursor."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in str(value)
    )
