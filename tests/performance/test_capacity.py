"""What a cancel consumes of DynamoDB: what its rows are worth, and nothing besides.

The functions run on moto, and what is consumed is computed of their requests and of the rows as
they are stored (``benchmarks/capacity.py``). Writes are compared with what the engine reports.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from benchmarks.capacity import Meter, item_size, read_units, write_units
from benchmarks.cost import HTTP, Scale, costs, scale, worth_of_a_cancel
from postbreeze.adapters.aws import AwsClients
from postbreeze.adapters.clock import SystemClock
from postbreeze.adapters.dynamodb import keys
from postbreeze.adapters.dynamodb.posts import DynamoPostStore
from postbreeze.adapters.dynamodb.registry import DynamoRegistry
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.domain import lifecycle
from postbreeze.domain.access import Role
from postbreeze.domain.post import PostStatus, TargetStatus
from postbreeze.operations.ports import MembershipGuard
from tests.support.aws import on_engine
from tests.support.builders import USER_ID, WORKSPACE_ID, a_member, a_post, added

DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"

CONSUMED = {1: (1, 18), 10: (2, 59), 50: (7, 229)}
"""Read and write units of a cancel, by the number of targets."""

IN_INDEXES = {
    "due": 1,  # it is not due any more
    "listing": 2,  # it moves: one entry is removed, another written
    "byStatus": 1,  # it was upcoming, and is now among the others
    "moved": 1,  # it has moved
    "pending": 1,  # its event is to be fanned out
}
"""Entries of indexes that a cancel writes; there is one more for each target, as below."""


@pytest.fixture(scope="module")
def on() -> Iterator[Scale]:
    with scale() as on_moto:
        yield on_moto


@pytest.mark.parametrize("targets", CONSUMED)
def test_a_cancel_consumes_what_its_rows_are_worth(on: Scale, targets: int) -> None:
    # Given a scheduled post
    at = on.clock.at
    post = on.service.create(at.replace(year=at.year + 1, month=1, day=1), targets=targets)
    before = on.stored()
    # When it is cancelled
    cost, _, meter = on.weigh("cancel", targets, HTTP, lambda: on.service.cancel(post))
    # Then the post and its targets were read, once and together
    after = on.stored()
    place = keys.post(post["id"])
    own = [key for key in before if key[0] == place and not key[1].startswith(keys.EVENTS)]
    assert len(own) == 1 + targets
    assert cost.reads == read_units(sum(item_size(before[key]) for key in own), consistent=True)
    # And the key was counted, and the post, its targets and one event were written in a
    # transaction that looked at the membership, each once
    [event] = [key for key in after if key[0] == place and key not in before]
    [member] = [key for key in after if key[1].startswith(keys.MEMBERS)]
    [api_key] = [key for key in after if key[1] == keys.KEY]
    in_transaction = [member, event, *own]
    tables = write_units(before[api_key], after[api_key]) + 2 * sum(
        write_units(before.get(key), after[key]) for key in in_transaction
    )
    entries = {**IN_INDEXES, "targetsByAccount": targets}
    assert cost.index_writes == {f"posts/{index}": units for index, units in entries.items()}
    assert cost.writes == tables + sum(entries.values())
    # And that is what it was, also by the formula of `make bench`
    assert (cost.reads, cost.writes) == CONSUMED[targets]
    assert worth_of_a_cancel(post["id"], before, after) == CONSUMED[targets]
    assert sorted(each.request for each in meter.consumed) == [
        "Query",
        "TransactWriteItems",
        "UpdateItem",
    ]


def documented() -> Mapping[tuple[str, int], tuple[int, float, int]]:
    """Return the round trips, read and write units that the document tells of each operation."""
    row = r"^\| ([a-z][^|]*) \| (\d+) \| (\d+) \| ([\d.]+) \| (\d+) \| [\d,]+ / [\d,]+ \|"
    found = re.findall(row, DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        (name, int(targets)): (int(steps), float(reads), int(writes))
        for name, targets, steps, reads, writes in found
    }


def test_the_document_says_what_a_cancel_consumes() -> None:
    told = documented()
    assert {each: told["cancel", each][1:] for each in CONSUMED} == CONSUMED


@pytest.mark.parametrize("targets", [1, 10])
def test_every_operation_costs_what_the_document_says(targets: int) -> None:
    weighed = {
        (each.operation, targets): (len(each.steps), each.reads, each.writes)
        for each in costs(targets)
    }
    assert weighed == {key: told for key, told in documented().items() if key[1] == targets}


def test_the_engine_reports_the_same_writes(tmp_path: Path) -> None:
    # Given a post on an engine that knows what writes consume
    with on_engine(tmp_path) as aws:
        tables, client = aws.tables(), aws.clients.dynamodb()
        database = Database(client)
        DynamoRegistry(database, workspaces_table=tables["workspaces"]).put_member(a_member())
        store = DynamoPostStore(
            database,
            posts_table=tables["posts"],
            workspaces_table=tables["workspaces"],
            clock=SystemClock(),
        )
        post = a_post(PostStatus.SCHEDULED, [TargetStatus.SCHEDULED] * 10)
        reader = AwsClients(
            region=client.meta.region_name,
            endpoint_url=client.meta.endpoint_url,
            access_key=("test", "test"),
        ).dynamodb()
        meter = Meter(reader=reader, asks=True)
        # When it is written, and cancelled
        with meter.over(client):
            store.commit(added(post))
            change = lifecycle.cancel(post, actor=USER_ID, now=post.created_at).change
            assert change is not None
            guard = MembershipGuard(
                workspace_id=WORKSPACE_ID, user_id=USER_ID, roles=frozenset(Role)
            )
            store.commit(change, guard=guard)
    # Then both count alike
    assert [each.request for each in meter.consumed] == ["TransactWriteItems"] * 2
    assert [each.reported for each in meter.consumed] == [each.writes for each in meter.consumed]
