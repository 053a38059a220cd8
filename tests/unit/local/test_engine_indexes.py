"""How the engine is made to read its indexes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.engine_indexes import read_in_order, stretch_of

keys = st.sampled_from("abcdef")
rows = st.lists(st.tuples(keys, keys, keys), unique=True).map(sorted)


def an_engine(seen: list[Any]) -> Any:
    """Make the parts of an engine that are changed; its query tells the rows it is shown."""

    def query(data: dict[str, Any]) -> None:
        members = dynamodb._index_members(table)
        seen.append(list(members["time"].get("p", ())))

    table: dict[str, Any] = {"items": {}}
    dynamodb = SimpleNamespace(
        _query=query,
        _index_members=None,
        _index_item=None,
        _INDEX_MEMBERS="members",
        _index_key_schemas=lambda table: [("time", ["hash"], ["at"])],
        _index_partition=lambda item, hashes, ranges: item.get("hash"),
        table=table,
    )
    read_in_order(dynamodb)
    return dynamodb


def a_query(condition: str, **wishes: Any) -> dict[str, Any]:
    return {
        "IndexName": "time",
        "KeyConditionExpression": condition,
        "ExpressionAttributeNames": {"#0": "hash", "#1": "at"},
        "ExpressionAttributeValues": {":0": {"S": "p"}, ":1": {"S": "c"}},
        **wishes,
    }


@given(
    rows,
    st.sampled_from(["<", "<=", ">", ">="]),
    st.booleans(),
    st.integers(1, 5),
    st.one_of(st.none(), st.tuples(keys, keys, keys)),
)
def test_a_stretch_holds_all_that_a_query_answers_and_no_more(
    all_rows: list[tuple[str, str, str]],
    sign: str,
    forward: bool,
    limit: int,
    last: tuple[str, str, str] | None,
) -> None:
    # Given what the engine would pick by looking at every row
    compare = {
        "<": str.__lt__,
        "<=": str.__le__,
        ">": str.__gt__,
        ">=": str.__ge__,
    }[sign]
    expected = [row for row in all_rows if compare(row[0], "c")]
    if last is not None:
        expected = [row for row in expected if (row > last if forward else row < last)]
    expected = expected[:limit] if forward else expected[-limit:]
    # When
    start = {} if last is None else dict(zip(("at", "pk", "sk"), last, strict=True))
    stretch = stretch_of(
        a_query(
            f"(#0 = :0 AND #1 {sign} :1)",
            Limit=limit,
            ScanIndexForward=forward,
            **({"ExclusiveStartKey": {k: {"S": v} for k, v in start.items()}} if start else {}),
        )
    )
    # Then
    assert stretch is not None
    assert stretch(all_rows) == expected


@pytest.mark.parametrize(
    "query",
    [
        a_query("#0 = :0 AND #1 BETWEEN :1 AND :2"),
        a_query("#0 = :0 AND begins_with (#1, :1)"),
        a_query("#0 = :0", ExclusiveStartKey={"at": {"S": "a"}}),
        a_query("#0 = :0 AND #1 > :1", ExpressionAttributeValues={":1": {"N": "1"}}),
        {"KeyConditionExpression": "#0 = :0"},
    ],
)
def test_what_is_not_plain_is_shown_all_rows(query: dict[str, Any]) -> None:
    assert stretch_of(query) is None


def test_rows_are_kept_as_they_come_and_go() -> None:
    # Given an engine with a row that is there before its indexes are asked for
    seen: list[Any] = []
    engine = an_engine(seen)
    item = {"hash": "p", "at": {"S": "c"}}
    engine.table["items"] = {"one": {"row": item}}
    engine._index_item(engine.table, "zero", "row", item, add=True)
    engine._query(a_query("#0 = :0"))
    # When others come, twice, and go, and one is in no index
    other = {"hash": "p", "at": {"S": "b"}}
    for _ in range(2):
        engine._index_item(engine.table, "two", "row", other, add=True)
    engine._index_item(engine.table, "three", "row", {"at": {"S": "a"}}, add=True)
    engine._query(a_query("#0 = :0"))
    engine._query(a_query("#0 = :0 AND #1 >= :1"))
    for _ in range(2):
        engine._index_item(engine.table, "one", "row", item, add=False)
    engine._query(a_query("#0 = :0"))
    # Then
    assert seen == [
        [("one", "row")],
        [("two", "row"), ("one", "row")],
        [("one", "row")],
        [("two", "row")],
    ]


def test_a_query_that_fails_leaves_nothing_behind() -> None:
    # Given an engine whose first query fails
    seen: list[Any] = []
    engine = an_engine(seen)
    engine.table["items"] = {"one": {"row": {"hash": "p", "at": {"S": "a"}}}}
    with pytest.raises(ValueError, match="many"):
        engine._query(a_query("#0 = :0 AND #1 > :1", Limit="many"))
    # Then the next is shown its own rows
    engine._query(a_query("#0 = :0 AND begins_with (#1, :1)"))
    assert seen == [[("one", "row")]]
