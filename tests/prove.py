"""Runs every proof in full and shows one table: what was explored, how many, violations, time.

``python -m tests.prove [--seed N] [NAME…]``; ``make prove`` runs all of them.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import PROVED_FILE
from tests.support.proof import PROVING, SEED, Proved

FOLDER = Path(".local/prove")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Tests that explore one thing; ``workers`` of them run at a time."""

    name: str
    tests: tuple[str, ...]
    workers: int = 2
    environment: Mapping[str, str] = field(default_factory=dict)


PROOFS = (
    Proof(name="interleavings", tests=("tests/properties/test_interleavings.py",)),
    Proof(
        name="deaths",
        tests=(
            "tests/properties/test_crash_points.py",
            "tests/properties/test_disconnect_crashes.py",
        ),
    ),
    Proof(
        name="lives",
        tests=(
            "tests/properties/test_lifecycle_machine.py",
            "tests/properties/test_http_machine.py",
        ),
    ),
    Proof(name="mechanisms", tests=("tests/proofs/test_mechanisms.py",)),
)
"""In the order in which they run."""


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
                **proof.environment,
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


def table(outcomes: list[Outcome], seed: int) -> Iterator[str]:
    """Lay out what was proved, as Markdown."""
    yield "| proof | explored | count | violations | wall time |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for outcome in outcomes:
        name, spent = outcome.proof.name, f"{outcome.seconds:.0f} s"
        if not outcome.is_passed or not outcome.proved:
            yield f"| {name} | FAILED: {outcome.ending} | | | {spent} |"
        for line in outcome.proved:
            counted = f"{line.count:,} {line.unit}"
            yield f"| {name} | {line.what} | {counted} | {line.violations} | {spent} |"
            name, spent = "", ""
    failed = sum(not outcome.is_passed for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    yield ""
    yield (
        f"{len(outcomes)} proofs, {failed} failed, {seconds / 60:.1f} min. "
        f"To repeat: make prove SEED={seed}"
    )


def main() -> int:
    """Run the proofs asked for, all unless named; the exit status is 1 if one failed."""
    parser = argparse.ArgumentParser(description="Prove the promise.")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("names", nargs="*", metavar="NAME", help="all of them unless named")
    asked = parser.parse_args()
    known = [proof.name for proof in PROOFS]
    if unknown := set(asked.names) - set(known):
        parser.error(f"no such proof: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    seed = secrets.randbelow(2**31) if asked.seed is None else asked.seed
    FOLDER.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for proof in PROOFS:
        if asked.names and proof.name not in asked.names:
            continue
        sys.stdout.write(f"· {proof.name} … ")
        sys.stdout.flush()
        outcomes.append(prove(proof, seed))
        sys.stdout.write(f"{outcomes[-1].ending} in {outcomes[-1].seconds:.0f} s\n")
    shown = "\n".join(table(outcomes, seed))
    (FOLDER / "table.md").write_text(shown + "\n", encoding="utf-8")
    sys.stdout.write(f"\n{shown}\n")
    return 0 if all(outcome.is_passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
