"""Whatever dies and fails for some minutes: every accepted request is accounted for afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.proofs.soak import Plan, Soaked, soak
from tests.support.engine import own_stack
from tests.support.ledger import Ledger, balance
from tests.support.proof import Proved, seed, share

LEDGER = Path(".local/prove/ledger.md")
PATIENCE = 900.0
"""Seconds after which it is given up to wait for what has to come by itself. It takes some 300: a
claim of a publisher that died is asked about after three minutes and one more."""

REQUESTS, KILLS = share(tested=(100, 5), proved=(500, 100))
LONGEST = 1_800.0
"""Seconds of load at most: many more than it takes, also beside other proofs."""


def test_every_accepted_request_is_accounted_for(
    proved: Callable[[Proved], None], record_property: Callable[[str, object], None]
) -> None:
    # Given a stack of our own
    with own_stack() as stack:
        # When clients work on it while workers are killed, and platform and endpoint misbehave
        plan = Plan(seed=seed(), requests=REQUESTS, kills=KILLS, longest=LONGEST)
        soaked = soak(stack, plan, patience=PATIENCE)
    # Then everything that was accepted is accounted for, and nothing is left to come
    ledger = balance(soaked.evidence)
    text = "\n".join(_lines(soaked, ledger)) + "\n"
    LEDGER.parent.mkdir(parents=True, exist_ok=True)
    LEDGER.write_text(text, encoding="utf-8")
    record_property("told", text)
    assert ledger.faults == (), text
    assert ledger.accounted == ledger.accepted
    assert not soaked.unrest, soaked.unrest
    # And it was a soak
    kills = sum(soaked.kills.values())
    assert ledger.accepted >= REQUESTS
    assert kills >= KILLS
    proved(
        Proved(
            what="accepted requests that are accounted for after a soak",
            count=ledger.accounted,
            unit="requests",
            violations=len(ledger.faults),
        )
    )
    proved(Proved(what="function workers killed meanwhile", count=kills, unit="kills"))


def _lines(soaked: Soaked, ledger: Ledger) -> Iterator[str]:
    yield "# The ledger of a soak with kills"
    yield ""
    yield (
        f"Seed {seed()}; {soaked.load_seconds:.0f} s of load, "
        f"{soaked.recovery_seconds:.0f} s until all was at rest."
    )
    yield from ("", "| workers killed | at work | idle |", "| --- | ---: | ---: |")
    for name in sorted({name for name, _ in soaked.kills}):
        counts = [soaked.kills.get((name, how), 0) for how in ("at work", "idle")]
        yield f"| {name} | {counts[0]} | {counts[1]} |"
    yield f"| **all** | **{sum(soaked.kills.values())}** | |"
    yield from ("", "| misbehaved | |", "| --- | ---: |")
    yield from (f"| {what} | {count} |" for what, count in sorted(soaked.mischief.items()))
    yield from ledger.lines()


@pytest.fixture(autouse=True)
def _on_linux() -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("looks for workers where only Linux has them")
