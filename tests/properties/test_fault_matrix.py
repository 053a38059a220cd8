"""Every call that leaves a function × everything that can go wrong with it.

`make prove` plays all of it and writes the table to ``.local/prove/fault_matrix.md``; `make test`
plays each cell of that table once, and every death that leaves something to be finished.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import port_calls
from tests.support.fault_matrix import SERVICES, Case, Fault, Then, cases, play, undisturbed
from tests.support.lives import SCENARIOS, Scenario
from tests.support.proof import Proved, is_proving, seed, share

FUNCTIONS = tuple(dict.fromkeys(scenario.function for scenario in SCENARIOS.values()))

TABLE = Path(".local/prove/fault_matrix.md")

WITHOUT_CALLS: Mapping[str, str] = {"docs_api": "it has no data and calls nothing"}
"""Functions that have no row."""

CALLS_AFTERWARDS = 80
"""Among how many calls of what follows a second fault strikes; most lives have more."""

_FINISHED = frozenset({Then.TIMERS_LOST, Then.REPEATS, Then.REDELIVERED, Then.MESSAGE_LOST})

UNREACHED: Mapping[str, str] = {
    "effects:Effects._calls schedules.arm": (
        "every schedule is made by Arm itself, before its commit"
    ),
}
"""Places in the operations that no scenario reaches."""


def scenarios_of(function: str) -> Sequence[Scenario]:
    return [each for each in SCENARIOS.values() if each.function == function]


def cases_of(function: str) -> Iterator[Case]:
    for scenario in scenarios_of(function):
        yield from cases(scenario)


def share_of(function: str) -> Iterator[Case]:
    """Choose one case of each cell, not always of the first scenario; and deaths after each call.

    Where nothing is changed there is nothing to be finished.
    """
    by_cell: dict[tuple[str, str, Fault], list[Case]] = {}
    for case in cases_of(function):
        by_cell.setdefault(case.cell, []).append(case)
        is_read = undisturbed(case.scenario).is_read
        if case.fault is Fault.DIES_AFTER and case.then in _FINISHED and not is_read:
            yield case
    for number, found in enumerate(by_cell.values()):
        yield found[number * 7 % len(found)]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_whatever_goes_wrong_with_a_call_the_promises_hold(
    function: str, proved: Callable[[Proved], None]
) -> None:
    # Given
    chosen = list(cases_of(function) if is_proving() else dict.fromkeys(share_of(function)))
    failed: list[tuple[Case, Exception]] = []
    for case in chosen:
        # When
        try:
            play(case)
        # Then
        except Exception as error:  # noqa: BLE001  # told below
            failed.append((case, error))
    if is_proving():
        _write(function, chosen, [case for case, _ in failed])
    if failed:
        lines = [f"{case}: {error!r:.200}" for case, error in failed]
        cells = {case.cell for case, _ in failed}
        told = "\n".join(lines[:30])
        raise AssertionError(f"{len(lines)} cases of {len(cells)} cells:\n{told}") from failed[0][1]
    cells = {case.cell for case in chosen}
    proved(Proved(what=f"{function}: {len(cells)} calls × faults", count=len(chosen), unit="cases"))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_whatever_goes_wrong_twice_the_promises_hold(
    function: str, proved: Callable[[Proved], None]
) -> None:
    # Given
    chance = random.Random(f"{seed()} {function}")
    single = list(cases_of(function))
    for _ in range(share(tested=15, proved=1_200)):
        again = (chance.randrange(CALLS_AFTERWARDS), chance.choice(list(Fault)))
        case = replace(chance.choice(single), again=again)
        # When, Then
        try:
            play(case)
        except Exception as error:
            error.add_note(f"{case}; seed {seed()}")
            raise
    count = share(tested=15, proved=1_200)
    proved(Proved(what=f"{function}: two faults, at random", count=count, unit="cases"))


def test_every_port_is_known() -> None:
    ports = set(port_calls.protocols())
    assert ports == {*port_calls.TAPPED, *port_calls.INSIDE}
    assert set(SERVICES) == set(port_calls.TAPPED.values())
    assert port_calls.COMPUTED.keys() <= {
        f"{tap}.{method}"
        for port, tap in port_calls.TAPPED.items()
        for method in port_calls.protocols()[port]
    }


def test_every_place_that_calls_a_port_is_in_a_scenario() -> None:
    reached = {site for name in SCENARIOS for site in undisturbed(name).sites}
    missing = {str(site) for site in set(port_calls.sites()) - reached}
    assert missing == set(UNREACHED), "give it a scenario in tests/support/lives.py, or a reason"


def test_every_call_of_every_port_is_in_a_scenario() -> None:
    made = {call for name in SCENARIOS for call in undisturbed(name).calls}
    assert port_calls.calls() == made


def test_every_function_has_its_scenarios() -> None:
    folders = {path.parent.name for path in Path("functions").glob("*/app.py")}
    assert folders == {*FUNCTIONS, *WITHOUT_CALLS} - {"operator"}


def test_every_cell_of_the_table_is_played_in_every_run() -> None:
    for function in FUNCTIONS:
        calls = {
            call for each in scenarios_of(function) for call in undisturbed(each.name).calls
        } | {f"({each.by.value})" for each in scenarios_of(function)}
        cells = {(function, call, fault) for call in calls for fault in Fault}
        assert {case.cell for case in share_of(function)} == cells
        assert {case.cell for case in cases_of(function)} == cells


def _write(function: str, played: Sequence[Case], failed: Sequence[Case]) -> None:
    """Write a function's part of the table, and put together the parts that are there."""
    parts = TABLE.with_suffix("")
    parts.mkdir(parents=True, exist_ok=True)
    text = "\n".join(_part(function, played, failed))
    (parts / f"{function}.md").write_text(f"{text}\n", "utf-8")
    found = [parts / f"{each}.md" for each in FUNCTIONS]
    whole = [path.read_text("utf-8") for path in found if path.exists()]
    TABLE.write_text("\n".join([*whole, *_reasons()]) + "\n", "utf-8")


def _part(function: str, played: Sequence[Case], failed: Sequence[Case]) -> Iterator[str]:
    yield f"## {function}"
    yield ""
    yield f"| call | {' | '.join(fault.value for fault in Fault)} |"
    yield f"| --- |{' --- |' * len(Fault)}"
    counts = Counter(case.cell for case in played)
    failures = Counter(case.cell for case in failed)
    for call in sorted({case.call for case in played}):
        cells = [(function, call, fault) for fault in Fault]
        told = [
            f"{failures[cell]} of {counts[cell]} FAILED"
            if failures[cell]
            else f"passed {counts[cell]}"
            for cell in cells
        ]
        yield f"| {call} | {' | '.join(told)} |"


def _reasons() -> Iterator[str]:
    yield "## Not in the table"
    yield ""
    for name, reason in {
        **WITHOUT_CALLS,
        **port_calls.INSIDE,
        **port_calls.COMPUTED,
        **UNREACHED,
    }.items():
        yield f"- {name}: {reason}."
