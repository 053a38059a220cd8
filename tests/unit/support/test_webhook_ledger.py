"""The books of deliveries balance where they should, and name each loss and each duplicate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.webhook_ledger import Evidence, Heard, Receipt, Row, balance

OPEN, SHUT = "wh_open", "wh_shut"


def a_row(status: str = "DELIVERED", **wanted: Any) -> Row:
    row = Row(id="dlv_1", event="evt_1", endpoint=OPEN, status=status, attempts=1)
    return replace(row, **wanted)


def a_receipt(status: int = 200, heard: Heard = Heard.HEARD, **wanted: Any) -> Receipt:
    receipt = Receipt(delivery="dlv_1", event="evt_1", endpoint=OPEN, status=status, heard=heard)
    return replace(receipt, **wanted)


def books(*found: Row | Receipt, endpoint: str = OPEN) -> Evidence:
    """Return what is known where one event was to reach one endpoint."""
    return Evidence(
        sent=[("evt_1", endpoint)],
        rows=[each for each in found if isinstance(each, Row)],
        receipts=[each for each in found if isinstance(each, Receipt)],
        disabled=[SHUT],
    )


@pytest.mark.parametrize(
    ("found", "fate"),
    [
        ([a_row(), a_receipt()], "received"),
        ([a_row(), a_receipt(500), a_receipt()], "received"),
        ([a_row(), a_receipt(heard=Heard.DIED)], "received"),
        ([a_row("EXHAUSTED", attempts=10)], "exhausted, never received"),
        ([a_row("EXHAUSTED", attempts=11), a_receipt(500)], "exhausted, never received"),
        (
            [a_row("EXHAUSTED", attempts=10), a_receipt(heard=Heard.LOST)],
            "exhausted, and received all the same",
        ),
    ],
)
def test_every_end_that_a_delivery_may_come_to_is_counted(
    found: list[Row | Receipt], fate: str
) -> None:
    ledger = balance(books(*found))
    assert (ledger.fates, ledger.faults) == ({fate: 1}, ())
    assert ledger.accounted == 1


@pytest.mark.parametrize("heard", [Heard.LOST, Heard.DIED])
def test_what_is_kept_for_a_disabled_endpoint_is_accounted_for(heard: Heard) -> None:
    row, receipt = a_row("PARKED", endpoint=SHUT), a_receipt(heard=heard, endpoint=SHUT)
    never = balance(books(row, endpoint=SHUT))
    unheard = balance(books(row, receipt, endpoint=SHUT))
    assert (never.fates, never.faults) == ({"parked, never received": 1}, ())
    assert (unheard.fates, unheard.faults) == ({"parked, and received all the same": 1}, ())


@pytest.mark.parametrize("heard", [Heard.LOST, Heard.DIED])
def test_what_is_taken_again_is_counted_by_why_it_was_sent_again(heard: Heard) -> None:
    ledger = balance(books(a_row(), a_receipt(heard=heard), a_receipt(heard=heard), a_receipt()))
    assert ledger.repeats == {heard: 2}
    assert ledger.faults == ()


def test_who_dies_once_all_is_written_down_is_no_repeat() -> None:
    ledger = balance(books(a_row(), a_receipt(heard=Heard.LOST), a_receipt(heard=Heard.DIED)))
    assert ledger.repeats == {Heard.LOST: 1}


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        ([], "0 deliveries in the table"),
        ([a_receipt()], "0 deliveries in the table"),
        ([a_row(), a_row(id="dlv_2"), a_receipt()], "2 deliveries in the table"),
        ([a_row(), a_receipt(delivery="dlv_2")], "sent under another delivery id"),
        ([a_row(), a_receipt(), a_receipt()], "taken 2 times with an answer that was heard"),
        ([a_row()], "DELIVERED, and no answer said so"),
        ([a_row(), a_receipt(500)], "DELIVERED, and no answer said so"),
        ([a_row(), a_receipt(heard=Heard.LOST)], "DELIVERED, and no answer said so"),
        ([a_row("PARKED")], "PARKED for an endpoint that is enabled"),
        ([a_row("PARKED"), a_receipt()], "PARKED, and an answer said that it was taken"),
        ([a_row("EXHAUSTED", attempts=9)], "EXHAUSTED after 9 attempts"),
        (
            [a_row("EXHAUSTED", attempts=10), a_receipt()],
            "EXHAUSTED, and an answer said that it was taken",
        ),
        ([a_row("PENDING")], "PENDING at the end"),
        ([a_row("DROPPED"), a_receipt()], "DROPPED at the end"),
    ],
)
def test_each_kind_of_loss_and_of_duplicate_is_named(
    found: list[Row | Receipt], fault: str
) -> None:
    ledger = balance(books(*found))
    assert ledger.faults == (f"evt_1 to {OPEN}: {fault}",)
    assert (ledger.accounted, ledger.repeats) == (0, {})


@pytest.mark.parametrize("stray", [a_row(event="evt_2"), a_receipt(event="evt_2")])
def test_what_nobody_asked_for_is_named(stray: Row | Receipt) -> None:
    ledger = balance(books(a_row(), a_receipt(), stray))
    assert ledger.faults == (f"evt_2 to {OPEN}: nobody asked for it",)
    assert ledger.accounted == 1


def test_it_is_written_as_tables() -> None:
    lines = list(balance(books(a_row(), a_receipt(heard=Heard.LOST), a_receipt())).lines())
    assert "| received | 1 |" in lines
    assert "| the answer was lost | 1 |" in lines
    assert lines[-1] == "Faults: 0"
