"""A sample of mutants, another for every seed: each is noticed, or is explained."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from tests.mutation.running import Known, every_mutant, explained, judge_some, key
from tests.support.proof import Proved, seed

SAMPLE = 200


def test_no_fault_put_into_the_inner_rooms_goes_unnoticed(
    tmp_path: Path, proved: Callable[[Proved], None]
) -> None:
    # Given some of the faults there could be, and none that are known by name
    root = Path.cwd()
    reasons = explained(root)
    every = [each for each in every_mutant(root) if key(each) not in reasons]
    sample = random.Random(seed()).sample(every, SAMPLE)
    # When each is put in, and the tests that run it are run
    known = Known(tmp_path / "verdicts.jsonl")
    judge_some(root, sample, known, workers=2)
    # Then each fails a test
    verdicts = known.of(root).values()
    survivors = [key(each) for each in verdicts if each["verdict"] == "survived"]
    judged = sum(each["verdict"] != "impossible" for each in verdicts)
    assert not survivors
    proved(Proved(what="small faults in the inner rooms, a sample", count=judged, unit="mutants"))
