"""Real races on the engine: whatever collides with whatever, the promise holds.

Thousands of rounds, in which operations set off together in several processes, after delays that
the seed draws. Who wins is told beside the count: a race always won by the same side would prove
little, so every end that a kind of round can come to must have come about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import fmean
from traceback import format_exception

import pytest

from tests.races.judging import judge
from tests.races.kinds import KINDS, Kind
from tests.races.racing import Arena, Raced, arena
from tests.support.proof import Proved, seed, share

FIRST_LAP = 0.02
"""What an act takes, in seconds, as long as none has been measured."""

FIRST_BATCH = 8
"""How many rounds it is learnt from how long an act takes here."""


@dataclass(slots=True)
class Tally:
    """What a kind's rounds came to."""

    rounds: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def racing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with arena(tmp_path_factory.mktemp("races")) as started:
        yield started


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_whatever_wins_the_promise_holds(
    kind: Kind, racing: Arena, proved: Callable[[Proved], None]
) -> None:
    # Given posts, and what collides over them
    # When they race
    tally = _race(kind, racing)
    # Then each round ended as it may, and every end came about
    assert not tally.faults, _faults(kind, tally)
    what = f"{kind.name} ({_shares(tally.ends)})"
    proved(Proved(what=what, count=tally.rounds, unit="rounds"))
    assert kind.all_ends <= tally.ends.keys(), (tally.ends, tally.told)


def test_there_are_as_many_rounds_as_are_promised() -> None:
    assert sum(kind.rounds for kind in KINDS) >= 10_000
    assert min(kind.rounds for kind in KINDS) >= 100


def _race(kind: Kind, racing: Arena) -> Tally:
    tally = Tally()
    rounds = share(tested=kind.rounds // 10, proved=kind.rounds)
    lap = FIRST_LAP
    with racing.ground() as place:
        while tally.rounds < rounds:
            most = kind.batch if tally.rounds else min(kind.batch, FIRST_BATCH)
            size = min(most, rounds - tally.rounds)
            numbers = range(tally.rounds, tally.rounds + size)
            raced = racing.race(place, [kind.round(each, seed()) for each in numbers], lap)
            lap = fmean(done.ended - done.began for each in raced for done in each.race)
            for each in raced:
                _count(kind, each, tally)
    return tally


def _count(kind: Kind, raced: Raced, tally: Tally) -> None:
    tally.rounds += 1
    tally.ends.update(kind.ends(raced))
    tally.told.update(f"{done.act.does}: {done.told}" for done in raced.race)
    try:
        judge(raced)
        kind.check(raced)
    except AssertionError as error:
        why = "".join(format_exception(error)[-2:])
        tally.faults.append(f"round {raced.round.number}: {why}{_told(raced)}")


def _told(raced: Raced) -> str:
    first = min(done.began for done in raced.race)
    return "\n".join(
        f"  {done.act.does} {dict(done.act.given)} → {done.told},"
        f" {1000 * (done.began - first):.1f}-{1000 * (done.ended - first):.1f} ms"
        for done in raced.race
    )


def _faults(kind: Kind, tally: Tally) -> str:
    shown = "\n".join(tally.faults[:5])
    return f"{kind.name}, seed {seed()}: {len(tally.faults)} violations, such as\n{shown}"


def _shares(ends: Counter[str]) -> str:
    total = sum(ends.values())
    return ", ".join(f"{end} {100 * times / total:.1f} %" for end, times in ends.most_common())
