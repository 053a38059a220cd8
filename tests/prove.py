"""Runs proofs in full and shows one table: what was explored, how many, violations, time.

``python -m tests.prove [--seed N] [--events N] [NAME…]``; ``make prove`` runs all but those that
have to be asked for.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.conftest import PROVED_FILE
from tests.support.proof import EVENTS, PROVING, SEED, Proved

FOLDER = Path(".local/prove")


class Needs(Enum):
    """What a proof needs of the machine, which is taken to have two cores."""

    QUIET = "to be alone on it: where its stack gets no time, everything is late"
    TIME = "minutes to pass, on a stack of its own: it runs beside the others"
    CORES = "both of them"
    CORE = "one of them: others of its kind get the other"
    ASKING = "to be asked for by its name: how long it takes depends on what is asked of it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Tests that explore one thing."""

    name: str
    tests: tuple[str, ...]
    needs: Needs = Needs.CORES
    workers: int = 1
    """How many tests of it run at a time."""


PROOFS = (
    Proof(
        name="interleavings",
        tests=("tests/properties/test_interleavings.py", "tests/properties/test_random_orders.py"),
        workers=2,
    ),
    Proof(
        name="faults",
        tests=(
            "tests/properties/test_fault_matrix.py",
            "tests/properties/test_disconnect_crashes.py",
        ),
        workers=2,
    ),
    Proof(
        name="lives",
        tests=(
            "tests/properties/test_lifecycle_machine.py",
            "tests/properties/test_http_machine.py",
        ),
        workers=2,
    ),
    Proof(
        name="reconcile progress", tests=("tests/properties/test_reconcile_progress.py",), workers=2
    ),
    Proof(name="model", tests=("tests/proofs/test_model.py",), workers=2),
    Proof(name="mechanisms", tests=("tests/proofs/test_mechanisms.py",), workers=2),
    Proof(name="mutants", tests=("tests/proofs/test_mutation.py",)),
    Proof(name="races", tests=("tests/proofs/test_races.py",), needs=Needs.CORE),
    Proof(
        name="reconcile at scale",
        tests=("tests/proofs/test_reconcile_at_scale.py",),
        needs=Needs.CORE,
    ),
    Proof(
        name="webhook ledger",
        tests=("tests/proofs/test_webhook_ledger.py",),
        needs=Needs.CORE,
    ),
    Proof(name="egress", tests=("tests/contracts/test_ssrf.py",), needs=Needs.CORE),
    Proof(name="clocks", tests=("tests/properties/test_clock.py",), needs=Needs.CORE),
    Proof(
        name="deployed faults",
        tests=("tests/proofs/test_deployed_faults.py",),
        needs=Needs.QUIET,
    ),
    Proof(name="soak", tests=("tests/proofs/test_soak.py",), needs=Needs.TIME),
    Proof(name="deploy", tests=("tests/proofs/test_deploy_under_load.py",), needs=Needs.TIME),
    Proof(name="webhook burst", tests=("tests/proofs/test_webhook_burst.py",), needs=Needs.ASKING),
)
"""In the order in which they run, those of each need by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a proof."""

    proof: Proof
    proved: tuple[Proved, ...]
    ending: str
    is_passed: bool
    seconds: float


def prove(proof: Proof, seed: int) -> Outcome:
    """Run one proof, its output going to a log of its own."""
    lines = (FOLDER / f"{proof.name}.jsonl").resolve()
    lines.unlink(missing_ok=True)
    began = time.monotonic()
    with (FOLDER / f"{proof.name}.log").open("w", encoding="utf-8") as log:
        ended = subprocess.run(
            _command(proof, seed),
            stdout=log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                PROVING: "1",
                SEED: str(seed),
                PROVED_FILE: str(lines),
            },
            check=False,
        )
    output = Path(log.name).read_text("utf-8").rstrip()
    told = lines.read_text("utf-8").splitlines() if lines.exists() else []
    return Outcome(
        proof=proof,
        proved=tuple(Proved.read(line) for line in told),
        ending=re.sub(r"^=+ | =+$| in [0-9.]+s.*$", "", output.rpartition("\n")[2]),
        is_passed=ended.returncode == 0,
        seconds=time.monotonic() - began,
    )


def _command(proof: Proof, seed: int) -> list[str]:
    spread = ["--numprocesses", str(proof.workers), "--dist", "worksteal"]
    return [
        *(sys.executable, "-m", "pytest", *proof.tests, "--timeout", "3000"),
        *(spread if proof.workers > 1 else []),
        *(f"--randomly-seed={seed % 2**32}", f"--hypothesis-seed={seed}"),
    ]


def summed(lines: Iterable[Proved]) -> Iterator[Proved]:
    """Make one line of those that tell of the same thing in the same unit."""
    together: dict[tuple[str, str], Proved] = {}
    for line in lines:
        so_far = together.get((line.what, line.unit))
        together[line.what, line.unit] = line if so_far is None else so_far + line
    yield from together.values()


def prove_all(proofs: Sequence[Proof], seed: int) -> list[Outcome]:
    """Run those that need quiet, then the others in turn, those that need time beside them."""

    def run(proof: Proof) -> Outcome:
        outcome = prove(proof, seed)
        sys.stdout.write(f"· {proof.name}: {outcome.ending} in {outcome.seconds:.0f} s\n")
        sys.stdout.flush()
        return outcome

    def those_that_need(needs: Needs) -> list[Proof]:
        return [proof for proof in proofs if proof.needs is needs]

    alone = [run(proof) for need in (Needs.QUIET, Needs.ASKING) for proof in those_that_need(need)]
    with ThreadPoolExecutor(1) as beside, ThreadPoolExecutor(2) as cores:
        meanwhile = beside.map(run, those_that_need(Needs.TIME))
        in_turn = [run(proof) for proof in those_that_need(Needs.CORES)]
        two_at_a_time = cores.map(run, those_that_need(Needs.CORE))
        return [*alone, *in_turn, *two_at_a_time, *meanwhile]


def table(outcomes: Sequence[Outcome], seed: int, seconds: float) -> Iterator[str]:
    """Lay out what was proved, as Markdown."""
    yield "| proof | explored | count | violations | wall time |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for outcome in outcomes:
        name, spent = outcome.proof.name, f"{outcome.seconds:.0f} s"
        if not outcome.is_passed or not outcome.proved:
            yield f"| {name} | FAILED: {outcome.ending} | | | {spent} |"
        for line in summed(outcome.proved):
            counted = f"{line.count:,} {line.unit}"
            yield f"| {name} | {line.what} | {counted} | {line.violations} | {spent} |"
            name, spent = "", ""
    failed = sum(not outcome.is_passed for outcome in outcomes)
    yield ""
    yield (
        f"{len(outcomes)} proofs, {failed} failed, {seconds / 60:.1f} min in all. "
        f"To repeat: make prove SEED={seed}"
    )


def main() -> int:
    """Run the proofs asked for, or the usual ones; the exit status is 1 if one failed."""
    parser = argparse.ArgumentParser(description="Prove the promise.")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--events", type=int, help="how many a burst has, other than usual")
    parser.add_argument("names", nargs="*", metavar="NAME", help="the usual ones unless named")
    asked = parser.parse_args()
    known = [proof.name for proof in PROOFS]
    if unknown := set(asked.names) - set(known):
        parser.error(f"no such proof: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    seed = secrets.randbelow(2**31) if asked.seed is None else asked.seed
    if asked.events is not None:
        os.environ[EVENTS] = str(asked.events)
    FOLDER.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    usual = [proof for proof in PROOFS if proof.needs is not Needs.ASKING]
    chosen = [proof for proof in PROOFS if proof.name in asked.names] or usual
    outcomes = prove_all(chosen, seed)
    shown = "\n".join(table(outcomes, seed, time.monotonic() - began))
    (FOLDER / "table.md").write_text(shown + "\n", encoding="utf-8")
    sys.stdout.write(f"\n{shown}\n")
    return 0 if all(outcome.is_passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
