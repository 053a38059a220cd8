"""Makes a query of an index read the rows that it answers, as on AWS, and not its whole partition.

MiniStack sorts all of a partition and looks at every row of it for each page, which takes seconds
for one of many thousands. Here partitions are kept in order, and MiniStack is shown the stretch
that a query can answer; it looks at those rows as it always does.
"""

from __future__ import annotations

import re
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Any

Row = tuple[str, str, str]
"""The index's range key, and the two keys of the row itself."""

Stretch = Callable[[list[Row]], list[Row]]

KEY_CONDITION = re.compile(
    r"\(?\(?\S+ = :\w+\)?"
    r"(?: AND \(?(?P<key>[#\w]+) (?P<is>[<>]=?) (?P<value>:\w+)\)?)?\)?"
)


class Partition:
    """The rows of one partition of an index in their order, of which a query sees its stretch."""

    def __init__(self, asked: threading.local) -> None:
        """Begin empty; ``asked`` has the stretch of the query that the thread makes, if any."""
        self._asked = asked
        self._rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Add a row that may be there already."""
        at = bisect_left(self._rows, row)
        if self._rows[at : at + 1] != [row]:
            self._rows.insert(at, row)

    def remove(self, row: Row) -> None:
        """Remove a row, if it is there."""
        at = bisect_left(self._rows, row)
        if self._rows[at : at + 1] == [row]:
            del self._rows[at]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield the keys of the rows that the query can answer."""
        stretch: Stretch | None = getattr(self._asked, "stretch", None)
        rows = self._rows if stretch is None else stretch(self._rows)
        return ((pk, sk) for _, pk, sk in rows)


class Indexes:
    """The indexes of all tables, each in its table under the engine's own name for them."""

    def __init__(self, dynamodb: Any) -> None:
        """Read nothing yet; they are built when a table's are first asked for, as ever."""
        self._schemas = dynamodb._index_key_schemas  # noqa: SLF001
        self._partition = dynamodb._index_partition  # noqa: SLF001
        self._place: str = dynamodb._INDEX_MEMBERS  # noqa: SLF001
        self._original = dynamodb._query  # noqa: SLF001
        self._asked = threading.local()

    def members(self, table: dict[str, Any]) -> dict[str, dict[Any, Partition]]:
        """Return the partitions of each index."""
        if self._place not in table:
            table[self._place] = {name: {} for name, _, _ in self._schemas(table)}
            for pk, rows in table["items"].items():
                for sk, item in rows.items():
                    self.item(table, pk, sk, item, add=True)
        found: dict[str, dict[Any, Partition]] = table[self._place]
        return found

    def item(
        self, table: dict[str, Any], pk: str, sk: str, item: dict[str, Any], *, add: bool
    ) -> None:
        """Put a row into the indexes it belongs to, or take it out of them."""
        if self._place not in table:
            return
        for name, hashes, ranges in self._schemas(table):
            value = self._partition(item, hashes, ranges)
            if value is None:
                continue
            row = ("".join(item[key].get("S", "") for key in ranges), pk, sk)
            partitions = table[self._place].setdefault(name, {})
            partition = partitions.setdefault(value, Partition(self._asked))
            if add:
                partition.add(row)
            else:
                partition.remove(row)

    def query(self, data: dict[str, Any]) -> Any:
        """Answer a query."""
        self._asked.stretch = stretch_of(data)
        try:
            return self._original(data)
        finally:
            self._asked.stretch = None


def stretch_of(query: dict[str, Any]) -> Stretch | None:
    """Return what cuts the rows that a query can answer out of all; None where it is not plain."""
    condition = KEY_CONDITION.fullmatch(query.get("KeyConditionExpression", "").strip())
    if condition is None or "IndexName" not in query:
        return None
    start = query.get("ExclusiveStartKey")
    bound = query["ExpressionAttributeValues"].get(condition["value"], {})
    # Without a range condition only the engine knows which of the start's keys is the range key.
    if (condition["key"] is None) != ("S" not in bound) or (start and condition["key"] is None):
        return None
    forward = query.get("ScanIndexForward", True)
    name = query.get("ExpressionAttributeNames", {}).get(condition["key"], condition["key"])

    def stretch(rows: list[Row]) -> list[Row]:
        low, high = 0, len(rows)
        if condition["key"] is not None:
            cut = bisect_right if condition["is"] in (">", "<=") else bisect_left
            at = cut(rows, bound["S"], key=lambda row: row[0])
            low, high = (at, high) if condition["is"].startswith(">") else (low, at)
        if start:
            last = (start[name]["S"], start["pk"]["S"], start["sk"]["S"])
            low = max(low, bisect_right(rows, last)) if forward else low
            high = high if forward else min(high, bisect_left(rows, last))
        limit = int(query.get("Limit", len(rows)))
        return rows[low:high][:limit] if forward else rows[max(low, high - limit) : high]

    return stretch


def read_in_order(dynamodb: Any) -> None:
    """Have the engine keep its indexes here."""
    indexes = Indexes(dynamodb)
    dynamodb._query = indexes.query  # noqa: SLF001
    dynamodb._index_members = indexes.members  # noqa: SLF001
    dynamodb._index_item = indexes.item  # noqa: SLF001
