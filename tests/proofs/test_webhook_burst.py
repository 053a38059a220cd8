"""A burst on a deployed stack: each delivery is accounted for, and whoever comes next is not late.

The endpoints fail at random, the workers are killed, and an endpoint is disabled and enabled again.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.proofs.webhook_burst import Burnt, Burst, Plan, Receivers, Told
from tests.support.engine import own_stack
from tests.support.proof import Proved, events_or, seed, share
from tests.support.webhook_ledger import Ledger, balance

LEDGER = Path(".local/prove/webhook_burst.md")

MIDST = 0.5
"""How much of the burst an endpoint must still wait for where it is said to be overtaken."""
FEW = 0.25
"""So much of that may come before what overtakes it, whichever endpoint it is for. In one line, all
of it would, for two endpoints."""
MOST = 0.9
"""How many have to overtake it: of the rest a worker was killed, and they waited for a minute."""


@pytest.mark.timeout(7_200)
def test_a_burst_is_accounted_for_and_does_not_keep_the_next_waiting(
    proved: Callable[[Proved], None], record_property: Callable[[str, object], None]
) -> None:
    events = events_or(share(tested=200, proved=1_000))
    plan = Plan(seed=seed(), events=events, longest=600 + events / 4, patience=900 + events / 4)
    # Given a stack of our own, and endpoints that fail
    with own_stack() as stack, Receivers(plan.chance("receivers")) as receivers:
        # When a workspace has a burst of events while workers are killed and an endpoint is away
        burnt = Burst(stack, plan, receivers).run()
    # Then every delivery was received, however often, under one id, and there are no others
    ledger = balance(burnt.evidence)
    text = "\n".join(_lines(burnt, ledger, events)) + "\n"
    LEDGER.parent.mkdir(parents=True, exist_ok=True)
    LEDGER.write_text(text, encoding="utf-8")
    record_property("told", text)
    assert burnt.is_at_rest, text
    assert ledger.faults == (), text
    assert not burnt.unheard, burnt.unheard
    assert set(ledger.fates) == {"received"}
    assert ledger.accounted == len(burnt.evidence.sent) == 2 * events + len(burnt.told)
    # And it was a burst in which all that was to go wrong did
    kills = sum(burnt.kills.values())
    assert burnt.parked
    assert ledger.repeats
    assert kills >= events // 100
    # And the other workspace's events did not wait for it
    midst = _in_its_midst(burnt.told, events)
    overtaking = _overtaking(midst)
    assert midst
    assert len(overtaking) >= MOST * len(midst), text
    proved(
        Proved(
            what="deliveries of a burst on a deployed stack that are accounted for",
            count=ledger.accounted,
            unit="deliveries",
            violations=len(ledger.faults),
        )
    )
    proved(Proved(what="function workers killed meanwhile", count=kills, unit="kills"))
    proved(Proved(what="events that overtook the burst", count=len(overtaking), unit="events"))


def _in_its_midst(told: Sequence[Told], events: int) -> list[Told]:
    """Return the next workspace's events that had much of the burst before them."""
    return [each for each in told if each.backlog >= MIDST * events]


def _overtaking(told: Sequence[Told]) -> list[Told]:
    """Return those that were there before more than a few of what was waited for."""
    return [
        each
        for each in told
        if each.seconds is not None and each.overtaken_by <= FEW * each.backlog
    ]


def _lines(burnt: Burnt, ledger: Ledger, events: int) -> Iterator[str]:
    yield f"# The ledger of a burst of {events:,} events on a deployed stack"
    yield ""
    yield f"Seed {seed()}; {len(burnt.evidence.receipts):,} requests were taken or refused."
    yield from (f"{value:,.0f} s {what}." for what, value in burnt.seconds.items())
    yield from ledger.lines()
    yield from ("", "| workers killed at work | |", "| --- | ---: |")
    yield from (f"| {name} | {count} |" for (name, _), count in sorted(burnt.kills.items()))
    yield from ("", "| requests ended with | |", "| --- | ---: |")
    yield from (f"| {what} | {count:,} |" for what, count in sorted(burnt.answers.items()))
    yield ""
    yield f"Parked while their endpoint was disabled, and received later: {len(burnt.parked):,}"
    midst = _in_its_midst(burnt.told, events)
    yield from ("", f"## The next workspace: {len(burnt.told)} events, {len(midst)} in its midst")
    yield ""
    yield f"{len(_overtaking(midst))} of these {len(midst)} overtook it."
    yield from (
        "",
        "| of those in its midst | median | 95 in 100 | most |",
        "| --- | ---: | ---: | ---: |",
    )
    for what, values in (
        ("backlog at the commit", [each.backlog for each in midst]),
        ("requests of the busy workspace before it came", [each.overtaken_by for each in midst]),
        ("seconds", [each.seconds for each in midst if each.seconds is not None]),
    ):
        if len(values) >= 2:
            cuts = statistics.quantiles(values, n=20, method="inclusive")
            yield f"| {what} | {cuts[9]:,.1f} | {cuts[18]:,.1f} | {max(values):,.1f} |"


@pytest.fixture(autouse=True)
def _on_linux() -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("looks for workers where only Linux has them")
