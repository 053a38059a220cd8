"""Reading an index over time that is spread over partitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import islice

from pynamodb.expressions.condition import Condition

from postbreeze.adapters.dynamodb.table import Raw, Table


def longest_waiting(
    table: Table,
    *,
    index: str,
    partitions: Sequence[str],
    condition: Condition,
    waiting_since: str,
    limit: int,
) -> Iterator[Raw]:
    """Return the keys of the rows that wait longest over all partitions, at most ``limit``."""
    waiting = [
        table.query_index(index, partition, condition, limit=limit) for partition in partitions
    ]
    return islice(
        merge(*waiting, key=lambda row: (row[waiting_since]["S"], row["pk"]["S"], row["sk"]["S"])),
        limit,
    )
