"""Every call of the deployed functions, harmed in every way, on a stack with real processes.

What there is to harm is not written down here: posts go through first with nothing amiss, and all
that the functions call for them becomes the rows. Then each call and each fault get a post of their
own, all at the same time, and a client that asks again, under the same ``Idempotency-Key``, until
it is told. When all is at rest, every request that came to nothing is let arrive, and every message
and every fire comes once more. Only then is it looked at what has become of each post.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import pytest

from local import paths
from tests.e2e.aws import client
from tests.e2e.client import wait_until
from tests.support.fault_cells import Cell, Cells, Story, World, through_proxies
from tests.support.fault_proxy import Faults, Harm, Kind, Spot
from tests.support.proof import Proved

Stack = Mapping[str, Any]

CLIENTS = 24
WATCHED = 2
"""Posts of each story that go through unharmed first."""

REST_SECONDS = 900.0
"""More than three leases of a claim; a machine with nothing else to do needs a quarter of it."""

LAPS = 3
"""How often a cell is played at most: on a busy machine another may do what was to be harmed."""

SWEEP_SECONDS = 15.0
"""The reconciler also runs so often, beside its every minute: two copies meet now and then."""

TABLE = paths.LOCAL / "prove" / "deployed_faults.md"

ROWS = {
    Story.PUBLISH: ("publish_target", "start_publish", "posts_api"),
    Story.CANCEL: ("cancel_post", "fan_out_event", "deliver_webhook"),
}
"""Whose calls are harmed in which story, everybody's once; first, whose repair takes longest."""

AT_THE_MINUTE = Spot(function="", name="UpdateItem key", nth=2)
"""A key's second update, made where a new minute has begun, cannot be told beforehand."""

ENDINGS = {Story.PUBLISH: "post.published", Story.CANCEL: "post.cancelled"}

COLUMNS = tuple(kind for kind in Kind if kind is not Kind.THROTTLED_ONCE)

READS = ("GetItem", "Query", "BatchGetItem", "Decrypt", "createSession")
OF_WRITES = {Kind.LOST, Kind.LOST_ONCE, Kind.LATE, Kind.TWICE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A call that is harmed; a repair's is only made where something was harmed before."""

    spot: Spot
    story: Story
    what: str = ""
    before: Harm | None = None
    lead: float = 0.0
    loses_schedule: bool = False

    def __str__(self) -> str:
        """Name it."""
        return f"{self.spot}{self.what}"


def _repair(name: str, what: str, story: Story, before: Harm | None, **wishes: Any) -> Row:
    spot = Spot(function="reconcile", name=name)
    return Row(spot=spot, what=f", {what}", story=story, before=before, **wishes)


def _failed(function: str, name: str, kind: Kind = Kind.BEFORE) -> Harm:
    return Harm(spot=Spot(function=function, name=name), kind=kind)


COMMIT = "TransactWriteItems event+post+target"
UNARMED = _failed("posts_api", "CreateSchedule")
STARTS_LATE = "starting an overdue post"

REPAIRS = (
    _repair("PublishBatch", "of events again", Story.CANCEL, _failed("cancel_post", "Publish")),
    _repair(
        "SendMessageBatch",
        "of deliveries again",
        Story.CANCEL,
        _failed("deliver_webhook", "GetItem delivery"),
    ),
    _repair("Query post+target", "of one to be armed", Story.PUBLISH, UNARMED, lead=110.0),
    _repair("CreateSchedule", "again", Story.PUBLISH, UNARMED, lead=110.0),
    _repair(COMMIT, "arming", Story.PUBLISH, UNARMED, lead=110.0),
    _repair(
        "TransactWriteItems post+target",
        STARTS_LATE,
        Story.PUBLISH,
        None,
        lead=25.0,
        loses_schedule=True,
    ),
    _repair(
        "SendMessageBatch",
        "asking about a claim that ran out",
        Story.PUBLISH,
        _failed("publish_target", "createRecord", Kind.DEATH),
        lead=25.0,
    ),
    _repair(COMMIT, "concluding", Story.PUBLISH, _failed("publish_target", COMMIT), lead=25.0),
)
"""What the reconciler calls, and how it comes to do so."""


def reason_against(row: Row, kind: Kind) -> str | None:
    """Say why a fault makes no sense at a call, None where it does."""
    spot = row.spot
    is_read = spot.name.startswith(READS)
    is_own = not spot.name.startswith(("createRecord", "POST"))
    if is_read and kind in OF_WRITES:
        return "changes nothing"
    if kind is Kind.LOST_ONCE and not is_own:
        return "not asked again by itself"
    if kind is Kind.CONFLICT and not spot.name.startswith(
        ("TransactWriteItems", "PutItem", "UpdateItem")
    ):
        return "no transaction can be in the way"
    if spot.function == "reconcile":
        if kind is Kind.HELD and not is_read:
            return "as what arrives late, which times out too"
        if row.what.endswith("again") and spot.name.endswith("Batch"):
            if kind in {Kind.LOST, Kind.LOST_ONCE}:
                return "as where the process dies: sent, and nobody knows"
            if kind is Kind.TWICE:
                return "as all messages, which come again in the end"
        if row.what.endswith(STARTS_LATE) and kind in {Kind.LOST, Kind.DEATH}:
            return "its own repair comes three minutes later; proven in process"
    return None


LISTING_FAULTS = (Kind.BEFORE, Kind.HELD, Kind.DEATH, Kind.THROTTLED)
"""What becomes of the reconciler's listings, one after the other: they are nobody's own."""


@pytest.mark.timeout(1_800)
def test_every_call_may_fail_in_every_way(
    stack: Stack, proved: Callable[[Proved], None], record_property: Callable[[str, object], None]
) -> None:
    faults = Faults()
    numbers = count(int(time.time()) % 1_000_000 * 1_000)  # a stack can be used again
    with through_proxies(stack, faults) as endpoint_url:
        cells = Cells(stack, faults, endpoint_url)
        # Given what the functions call where nothing is amiss
        unharmed, called = _watched(cells, numbers)
        publishing = [row for row in called if row.story is Story.PUBLISH]
        rows = [*publishing, *REPAIRS, *(row for row in called if row.story is Story.CANCEL)]
        wanted: list[tuple[Row, Kind]] = [
            (row, kind) for row in rows for kind in COLUMNS if reason_against(row, kind) is None
        ]
        listings = [
            Harm(spot=replace(spot, nth=nth), kind=kind)
            for spot in _listings(stack, faults)
            for nth, kind in enumerate(LISTING_FAULTS, 1)
        ]
        faults.arm("", *listings)
        matrix: dict[tuple[Row, Kind], Cell] = {}
        missed: list[Cell] = []
        with _swept(stack), ThreadPoolExecutor(CLIENTS) as clients:
            # When each of these calls, and each repair, meets each fault, for a post of its own
            for _ in range(LAPS):
                missed += [matrix[each] for each in wanted if each in matrix]
                begun = {each: _cell(*each, next(numbers), rows.index(each[0])) for each in wanted}
                matrix |= begun
                list(clients.map(cells.prepare_and_play, begun.values()))
                _wait_for_rest(stack, [*unharmed, *begun.values()])
                wanted = [each for each in wanted if not matrix[each].is_met]
            everyone = [*unharmed, *missed, *matrix.values()]
            # And what was lost arrives after all, and every message and fire comes once more
            late, again = list(faults.late), list(faults.messages)
            list(clients.map(lambda request: request.send(), [*late, *again]))
            list(clients.map(lambda fire: _fire_again(stack, fire), faults.fires()))
            _wait_for_quiet(stack)
            _wait_for_rest(stack, everyone)
            # Then no post was published twice, or after its cancel, and no event is lost
            world = World.of(stack)
            shown = clients.map(cells.shown, everyone)
            found = {
                cell.name: list(world.faults_of(cell, post))
                for cell, post in zip(everyone, shown, strict=True)
            }
    for cell in matrix.values():
        found[cell.name] += [] if cell.is_met else ["its fault was not met"]
    unmet = [harm.spot for harm in listings if not harm.hits]
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    TABLE.write_text("\n".join(_table(rows, matrix, found)) + "\n", "utf-8")
    wrong = {
        f"{row}, {kind.value}": found[cell.name]
        for (row, kind), cell in matrix.items()
        if found[cell.name]
    }
    wrong |= {cell.name: found[cell.name] for cell in (*unharmed, *missed) if found[cell.name]}
    record_property(
        "told",
        f"deployed faults: {len(rows)} calls, {len(matrix)} cells, "
        f"{len(faults.killed)} processes killed; {len(late)} requests arrived late and "
        f"{len(again)} messages came again: {TABLE}",
    )
    assert not wrong, json.dumps(wrong, indent=2)
    assert not unmet, unmet
    proved(
        Proved(
            what=f"{len(rows)} calls × {len(COLUMNS)} faults, through a proxy",
            count=len(matrix) + len(listings),
            unit="cells",
        )
    )


def _watched(cells: Cells, numbers: Iterator[int]) -> tuple[list[Cell], list[Row]]:
    """Let some posts go through, and return what was called for every one of them."""
    unharmed = [Cell(number=next(numbers), story=story) for story in Story for _ in range(WATCHED)]
    with ThreadPoolExecutor(len(unharmed)) as clients:
        list(clients.map(cells.prepare_and_play, unharmed))
    for cell in unharmed:
        cells.wait_until_told(cell, ENDINGS[cell.story])
    rows: list[Row] = []
    for story, functions in ROWS.items():
        seen = [set(cells.faults.watched(cell.name)) for cell in unharmed if cell.story is story]
        common = sorted(set.intersection(*seen))
        for function in functions:
            own = [
                Row(spot=spot, story=story)
                for spot in common
                if spot.function == function and spot != replace(AT_THE_MINUTE, function=function)
            ]
            assert own, f"{function} was not seen to call anything"
            rows += own
    return unharmed, rows


def _listings(stack: Stack, faults: Faults) -> list[Spot]:
    """Have the reconciler run, and return what it looks for."""
    client(stack, "lambda").invoke(
        FunctionName=stack["outputs"]["ReconcileFunctionName"], Payload=b"{}"
    )
    seen = {spot.name for spot in faults.watched("") if spot.function == "reconcile"}
    found = [Spot(function="reconcile", name=name) for name in sorted(seen) if "index" in name]
    assert found, "the reconciler was not seen to look for anything"
    return found


def _cell(row: Row, kind: Kind, number: int, order: int) -> Cell:
    """Make a cell; its post goes out a little later than those of the rows before."""
    spot = row.spot
    # An endpoint's third attempt comes after five minutes.
    is_endpoint = kind is Kind.THROTTLED and spot.name.startswith("POST")
    harm = Harm(spot=spot, kind=Kind.THROTTLED_ONCE if is_endpoint else kind)
    before = () if row.before is None else (replace(row.before),)
    lead = row.lead
    if not lead:
        # A client that is not told for a minute or two must not find its moment past.
        lead = 160.0 if spot.function == "posts_api" else 25.0 + order / 2
    return Cell(
        number=number,
        story=row.story,
        harms=(*before, harm),
        lead=lead,
        loses_schedule=row.loses_schedule,
        may_fail=any(_is_in_flight(each) for each in (*before, harm)),
    )


def _is_in_flight(harm: Harm) -> bool:
    """Tell whether a harm may break off what comes between a claim and its platform's answer."""
    if harm.spot.name == "createRecord":
        return True
    return harm.kind is Kind.DEATH and str(harm.spot) in {
        "publish_target: TransactWriteItems target",
        "publish_target: GetItem account (2)",
    }


@contextmanager
def _swept(stack: Stack) -> Iterator[None]:
    """Have the reconciler run more often than by itself."""
    ended = threading.Event()

    def sweep() -> None:
        functions = client(stack, "lambda")
        while not ended.wait(SWEEP_SECONDS):
            functions.invoke(
                FunctionName=stack["outputs"]["ReconcileFunctionName"],
                InvocationType="Event",
                Payload=b"{}",
            )

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        yield
    finally:
        ended.set()
        sweeper.join()


def _wait_for_rest(stack: Stack, cells: list[Cell]) -> None:
    """Wait until nothing moves any more; what still does in the end is told of its cell."""
    until = time.monotonic() + REST_SECONDS
    while time.monotonic() < until:
        world = World.of(stack)
        if all(world.is_at_rest(cell) for cell in cells):
            return
        time.sleep(5)


def _fire_again(stack: Stack, fire: bytes) -> None:
    client(stack, "lambda").invoke(
        FunctionName=stack["outputs"]["StartPublishFunctionName"], Payload=fire
    )


def _wait_for_quiet(stack: Stack) -> None:
    """Wait until no queue has a message that could be worked on."""
    queues = client(stack, "sqs")

    def is_quiet() -> bool | None:
        waiting = [
            queues.get_queue_attributes(
                QueueUrl=stack["outputs"][name], AttributeNames=["ApproximateNumberOfMessages"]
            )["Attributes"]["ApproximateNumberOfMessages"]
            for name in (
                "PublishQueueUrl",
                "FanOutQueueUrl",
                "DeliveryQueueUrl",
                "DeliveryLateQueueUrl",
            )
        ]
        return True if set(waiting) == {"0"} else None

    wait_until(is_quiet, "the queues to be empty", seconds=300)
    time.sleep(3)  # what was taken last is being worked on


def _table(
    rows: list[Row], matrix: Mapping[tuple[Row, Kind], Cell], found: Mapping[str, list[str]]
) -> Iterator[str]:
    """Lay out the matrix as Markdown."""
    yield "| call | " + " | ".join(kind.value for kind in COLUMNS) + " |"
    yield "| --- |" + " --- |" * len(COLUMNS)
    for row in rows:
        told = [
            "; ".join(found[matrix[row, kind].name]) or "passed"
            if (row, kind) in matrix
            else f"— {reason_against(row, kind)}"
            for kind in COLUMNS
        ]
        yield f"| {row} | " + " | ".join(told) + " |"
    yield ""
    yield "What the reconciler lists, each in turn: " + ", ".join(
        kind.value for kind in LISTING_FAULTS
    )
