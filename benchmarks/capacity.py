"""What requests to DynamoDB consume, by its published rules and by the rows as they are stored.

MiniStack reports writes truly and counts every read as one small row; moto counts every request as
one. So this listens to a client, looks at the rows that its requests are about before and after
them, and computes. What an engine reports is kept beside it, to be compared.

Rules: docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html, sizes:
CapacityUnitCalculations.html, indexes: GSI.html#GSI.ThroughputConsiderations, all below that guide.
That a transaction writes indexes at the usual rate, and a table at twice it, was measured by those
who made MiniStack; no page says it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Item = Mapping[str, Mapping[str, Any]]
Key = tuple[str, str, str]
"""Table, partition key and sort key."""

READ_BYTES = 4096
WRITE_BYTES = 1024
NESTED_BYTES = 3
"""What a list or a map takes beside what is in it, each of whose elements takes one more."""


def item_size(item: Item) -> int:
    """Return the bytes of an item, or of what an index holds of one."""
    return sum(len(name.encode()) + value_size(value) for name, value in item.items())


def value_size(value: Mapping[str, Any]) -> int:
    """Return the bytes of a value."""
    [(kind, content)] = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "B":
            return len(content)
        case "N":
            return _number_size(content)
        case "BOOL" | "NULL":
            return 1
        case "L":
            return NESTED_BYTES + sum(1 + value_size(each) for each in content)
        case "M":
            return NESTED_BYTES + len(content) + item_size(content)
        case _:
            raise ValueError(f"no row has a value of type {kind}")


def _number_size(number: str) -> int:
    """Two significant digits take a byte, the rest one, and a minus sign one more."""
    mantissa = number.upper().partition("E")[0]
    digits = mantissa.replace("-", "").replace(".", "").strip("0")
    return 1 + -(-len(digits) // 2) + mantissa.startswith("-")


def read_units(size: int, *, consistent: bool) -> float:
    """Return what reading so many bytes at once consumes; reading nothing is reading little."""
    blocks = max(1, -(-size // READ_BYTES))
    return blocks if consistent else blocks / 2


def write_units(before: Item | None, after: Item | None) -> int:
    """Return what a write outside of a transaction consumes: the larger of both counts."""
    size = max(item_size(each) if each else 0 for each in (before, after))
    return max(1, -(-size // WRITE_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A global secondary index: its keys, and all that it holds of an item, None for everything."""

    name: str
    keys: tuple[str, ...]
    holds: frozenset[str] | None

    def entry(self, item: Item | None) -> Item | None:
        """Return what it holds of an item; None where the item lacks one of its keys."""
        if item is None or any(key not in item for key in self.keys):
            return None
        return {name: item[name] for name in item if self.holds is None or name in self.holds}

    def write_units(self, before: Item | None, after: Item | None) -> int:
        """Return what following a write consumes: an entry that moves is removed and written."""
        old, new = self.entry(before), self.entry(after)
        if old == new:
            return 0
        if old is None or new is None or all(old[key] == new[key] for key in self.keys):
            return write_units(old, new)
        return write_units(old, None) + write_units(None, new)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumed:
    """What a request consumed: of reads, and of writes to tables and to indexes."""

    request: str
    reads: float = 0
    table_writes: int = 0
    index_writes: Mapping[str, int] = field(default_factory=dict)
    grown: int = 0
    """By how many bytes the tables have grown, their indexes aside."""
    reported: float | None = None
    """What the engine says, all told."""

    @property
    def writes(self) -> int:
        """Writes to tables and indexes."""
        return self.table_writes + sum(self.index_writes.values())


@dataclass(slots=True)
class Meter:
    """Listens to a client; rows are looked at with another one."""

    reader: Any
    asks: bool = False
    """Whether the engine is asked to report too, which makes every request a little longer."""
    consumed: list[Consumed] = field(default_factory=list)
    _indexes: dict[str, Sequence[Index]] = field(default_factory=dict)

    @property
    def reads(self) -> float:
        """Return all read units."""
        return sum(each.reads for each in self.consumed)

    @property
    def writes(self) -> int:
        """Return all write units."""
        return sum(each.writes for each in self.consumed)

    @property
    def index_writes(self) -> Counter[str]:
        """Return the write units of each index, by the names of its table and its own."""
        units: Counter[str] = Counter()
        for each in self.consumed:
            units.update(each.index_writes)
        return units

    @contextmanager
    def over(self, client: Any) -> Iterator[None]:
        """Listen while the block runs."""
        events, mine = client.meta.events, f"meter-{id(self)}"
        places = {
            "before-parameter-build.dynamodb": self._ask,
            "before-call.dynamodb": self._before,
            "after-call.dynamodb": self._after,
        }
        for event, listener in places.items():
            events.register(event, listener, unique_id=f"{mine}-{event}")
        try:
            yield
        finally:
            for event, listener in places.items():
                events.unregister(event, listener, unique_id=f"{mine}-{event}")

    def _ask(self, params: dict[str, Any], **_: Any) -> None:
        if self.asks:
            params["ReturnConsumedCapacity"] = "INDEXES"

    def _before(self, model: Any, params: Mapping[str, Any], context: Any, **_: Any) -> None:
        asked = json.loads(params["body"])
        written = list(_writes(model.name, asked))
        before = {key: self._row(key) for key, _ in written}
        context["metered"] = asked, written, before

    def _after(self, model: Any, parsed: Mapping[str, Any], context: Any, **_: Any) -> None:
        asked, written, before = context["metered"]
        tables, indexes, grown = 0, dict[str, int](), 0
        for key, rate in written:
            row = self._row(key)
            grown += item_size(row or {}) - item_size(before[key] or {})
            tables += rate * write_units(before[key], row)
            for index in self._indexes_of(key[0]):
                units = index.write_units(before[key], row)
                if units:
                    name = f"{key[0]}/{index.name}"
                    indexes[name] = indexes.get(name, 0) + units
        told = parsed.get("ConsumedCapacity")
        told = [told] if isinstance(told, Mapping) else told
        self.consumed.append(
            Consumed(
                request=model.name,
                reads=_reads(model.name, asked, parsed),
                table_writes=tables,
                index_writes=indexes,
                grown=grown,
                reported=None if told is None else sum(each["CapacityUnits"] for each in told),
            )
        )

    def _row(self, key: Key) -> Item | None:
        table, pk, sk = key
        found = self.reader.get_item(
            TableName=table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
        )
        row: Item | None = found.get("Item")
        return row

    def _indexes_of(self, table: str) -> Sequence[Index]:
        if table not in self._indexes:
            described = self.reader.describe_table(TableName=table)["Table"]
            self._indexes[table] = [
                index_of(layout) for layout in described.get("GlobalSecondaryIndexes", ())
            ]
        return self._indexes[table]


def index_of(layout: Mapping[str, Any]) -> Index:
    """Read an index from its description."""
    keys = tuple(key["AttributeName"] for key in layout["KeySchema"])
    projection = layout["Projection"]
    holds = {"pk", "sk", *keys, *projection.get("NonKeyAttributes", ())}
    return Index(
        name=layout["IndexName"],
        keys=keys,
        holds=None if projection["ProjectionType"] == "ALL" else frozenset(holds),
    )


def _writes(request: str, asked: Mapping[str, Any]) -> Iterator[tuple[Key, int]]:
    """Yield the rows that a request writes or checks, each with the rate at which it counts."""
    if request == "TransactWriteItems":
        for action in asked["TransactItems"]:
            [each] = action.values()
            yield _key(each), 2
    elif request in {"PutItem", "UpdateItem", "DeleteItem"}:
        yield _key(asked), 1
    elif request not in {"GetItem", "Query", "BatchGetItem"}:
        raise ValueError(f"it is not known what {request} consumes")


def _key(asked: Mapping[str, Any]) -> Key:
    row = asked.get("Item") or asked["Key"]
    return asked["TableName"], row["pk"]["S"], row["sk"]["S"]


def _reads(request: str, asked: Mapping[str, Any], parsed: Mapping[str, Any]) -> float:
    consistent = asked.get("ConsistentRead", False)
    match request:
        case "GetItem":
            return read_units(item_size(parsed.get("Item", {})), consistent=consistent)
        case "BatchGetItem":
            return _batch_reads(asked, parsed)
        case "Query":
            if parsed["ScannedCount"] != parsed["Count"]:
                raise ValueError("what a filter leaves out was read too, and is not seen here")
            size = sum(item_size(item) for item in parsed["Items"])
            return read_units(size, consistent=consistent)
        case _:
            return 0


def _batch_reads(asked: Mapping[str, Any], parsed: Mapping[str, Any]) -> float:
    """Each row counts by itself, as with GetItem, also one that is not there."""
    units = 0.0
    for table, batch in asked["RequestItems"].items():
        consistent = batch.get("ConsistentRead", False)
        rows = parsed["Responses"].get(table, ())
        units += sum(read_units(item_size(row), consistent=consistent) for row in rows)
        units += (len(batch["Keys"]) - len(rows)) * read_units(0, consistent=consistent)
    return units
