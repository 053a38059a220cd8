"""Ten thousand events, endpoints that fail, workers that die: each delivery is accounted for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.proofs.webhook_play import GONE, SWITCHED, Ground, Play, Played, on_fakes, on_tables
from tests.support.aws import on_engine
from tests.support.proof import Proved, seed, share
from tests.support.webhook_ledger import Ledger, balance

LEDGER = Path(".local/prove/webhook_ledger.md")


@contextmanager
def fakes(_: Path) -> Iterator[Ground]:
    yield on_fakes()


@contextmanager
def an_engine(folder: Path) -> Iterator[Ground]:
    with on_engine(folder) as aws:
        yield on_tables(aws.clients, aws.tables())


@pytest.fixture(scope="module", autouse=True)
def _afresh() -> None:
    LEDGER.parent.mkdir(parents=True, exist_ok=True)
    LEDGER.write_text("", encoding="utf-8")


@pytest.mark.parametrize(
    ("ground", "events"),
    [(fakes, share(tested=1_000, proved=10_000)), (an_engine, share(tested=200, proved=400))],
)
def test_each_event_is_received_or_kept_or_given_up_and_nothing_else(
    ground: Callable[[Path], AbstractContextManager[Ground]],
    events: int,
    tmp_path: Path,
    proved: Callable[[Proved], None],
    record_property: Callable[[str, object], None],
) -> None:
    # Given tables, and endpoints that fail
    with ground(tmp_path) as given:
        # When they are told of events by workers that die
        played = Play(given, events, seed()).run()
    # Then every delivery was received, is parked, or was given up after all its attempts
    ledger = balance(played.evidence)
    what = f"deliveries of {events:,} events on {ground.__name__.replace('_', ' ')}"
    text = "\n".join(_lines(what, played, ledger)) + "\n\n"
    with LEDGER.open("a", encoding="utf-8") as file:
        file.write(text)
    record_property("told", text)
    assert ledger.faults == (), text
    assert ledger.accounted == len(played.evidence.sent)
    # And all that was to go wrong did: also what an endpoint missed reached it in the end
    assert {fate.partition(",")[0] for fate in ledger.fates} == {"received", "parked", "exhausted"}
    assert len(ledger.repeats) == 2
    assert played.evidence.disabled == [GONE]
    assert {row.status for row in played.evidence.rows if row.endpoint == SWITCHED} == {"DELIVERED"}
    deaths = sum(n for what, n in played.counts.items() if what.startswith("workers that died"))
    assert deaths >= events // 100
    proved(
        Proved(
            what=f"{what} that are accounted for",
            count=ledger.accounted,
            unit="deliveries",
            violations=len(ledger.faults),
        )
    )
    proved(Proved(what="workers that died at a call meanwhile", count=deaths, unit="deaths"))


def _lines(what: str, played: Played, ledger: Ledger) -> Iterator[str]:
    yield f"# The ledger of {what}"
    yield ""
    yield f"Seed {seed()}; {len(played.evidence.receipts):,} requests were received."
    yield from ledger.lines()
    yield from ("", "| meanwhile | |", "| --- | ---: |")
    yield from (f"| {what} | {count:,} |" for what, count in sorted(played.counts.items()))
