"""The books of deliveries: what was to be told to whom, and what became of each of them.

Pure: it takes what endpoints saw and what the tables hold at the end, and asks no code of the
service how it ought to be.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ATTEMPTS: Final = 10
"""How many attempts are made before a delivery is given up."""

Pair = tuple[str, str]
"""An event and an endpoint."""


class Heard(StrEnum):
    """What became of an endpoint's answer."""

    HEARD = "heard"
    LOST = "the answer was lost"
    DIED = "the worker died before it had ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A delivery, as the table holds it at the end."""

    id: str
    event: str
    endpoint: str
    status: str
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A request that an endpoint got, how it answered, and whether that was heard."""

    delivery: str
    event: str
    endpoint: str
    status: int
    heard: Heard = Heard.HEARD

    @property
    def is_taken(self) -> bool:
        """Whether it was answered with a success."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known at the end, when nothing is left to be done."""

    sent: Collection[Pair]
    """What had to reach whom."""
    rows: Sequence[Row]
    receipts: Sequence[Receipt]
    disabled: Collection[str] = ()
    """The endpoints that are disabled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What became of everything, counted, and what does not add up."""

    fates: Mapping[str, int]
    repeats: Mapping[str, int]
    """What was taken again under the same delivery id, by why it was sent again."""
    faults: Sequence[str]

    @property
    def accounted(self) -> int:
        """How many deliveries came to an end that they may come to."""
        return sum(self.fates.values())

    def lines(self) -> Iterator[str]:
        """Write it as Markdown."""
        yield from _table("deliveries", self.fates)
        yield from _table("taken again, with the same delivery id, because", self.repeats)
        yield from ("", f"Faults: {len(self.faults)}")
        yield from (f"- {fault}" for fault in self.faults)


def balance(evidence: Evidence) -> Ledger:
    """Account for every delivery; whatever has no account is a fault."""
    sent = frozenset(evidence.sent)
    rows: dict[Pair, list[Row]] = defaultdict(list)
    for row in evidence.rows:
        rows[row.event, row.endpoint].append(row)
    receipts: dict[Pair, list[Receipt]] = defaultdict(list)
    for receipt in evidence.receipts:
        receipts[receipt.event, receipt.endpoint].append(receipt)
    fates: Counter[str] = Counter()
    repeats: Counter[str] = Counter()
    faults = [
        f"{event} to {endpoint}: nobody asked for it"
        for event, endpoint in sorted((rows.keys() | receipts.keys()) - sent)
    ]
    for pair in sorted(sent):
        found = list(_faults(pair, rows[pair], receipts[pair], evidence.disabled))
        faults += [f"{pair[0]} to {pair[1]}: {fault}" for fault in found]
        if not found:
            fates[_fate(rows[pair][0], receipts[pair])] += 1
            repeats.update(_repeats(receipts[pair]))
    return Ledger(fates=fates, repeats=repeats, faults=tuple(faults))


def _faults(
    pair: Pair, rows: Sequence[Row], receipts: Sequence[Receipt], disabled: Collection[str]
) -> Iterator[str]:
    if len(rows) != 1:
        yield f"{len(rows)} deliveries in the table"
        return
    row = rows[0]
    if {receipt.delivery for receipt in receipts} - {row.id}:
        yield "sent under another delivery id"
    taken = [receipt for receipt in receipts if receipt.is_taken]
    heard = sum(receipt.heard is Heard.HEARD for receipt in taken)
    if heard > 1:
        yield f"taken {heard} times with an answer that was heard"
    match row.status:
        case "DELIVERED":
            if all(receipt.heard is Heard.LOST for receipt in taken):
                yield "DELIVERED, and no answer said so"
        case "PARKED" | "EXHAUSTED" if heard:
            yield f"{row.status}, and an answer said that it was taken"
        case "PARKED":
            if pair[1] not in disabled:
                yield "PARKED for an endpoint that is enabled"
        case "EXHAUSTED":
            if row.attempts < ATTEMPTS:
                yield f"EXHAUSTED after {row.attempts} attempts"
        case _:
            yield f"{row.status} at the end"


def _fate(row: Row, receipts: Sequence[Receipt]) -> str:
    if row.status == "DELIVERED":
        return "received"
    taken = any(receipt.is_taken for receipt in receipts)
    return f"{row.status.lower()}, {'and received all the same' if taken else 'never received'}"


def _repeats(receipts: Sequence[Receipt]) -> Iterator[str]:
    """Yield why a delivery that had been taken was sent again, each time that it was taken."""
    taken = [receipt.heard for receipt in receipts if receipt.is_taken]
    # One that was heard is the last; who dies after that does so once it is written down.
    unheard = [heard for heard in taken if heard is not Heard.HEARD]
    yield from unheard[: len(taken) - 1]


def _table(heading: str, counts: Mapping[str, int]) -> Iterator[str]:
    yield from ("", f"| {heading} | |", "| --- | ---: |")
    yield from (f"| {what} | {count:,} |" for what, count in sorted(counts.items()))
    yield f"| **all** | **{sum(counts.values()):,}** |"
