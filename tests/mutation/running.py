"""Runs mutants on a copy of the tree, keeps the verdicts, and tells of them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.mutation.judging import MAP, MUTANTS, VERDICTS
from tests.mutation.mutants import PACKAGE, modules, mutants

ROOT = Path(".local/mutation")
EXPLAINED = Path("tests/mutation/explained.toml")
COPIED = ("layers", "tests", "docs", "functions", "local", "events", "requirements")
COPIED_FILES = ("pyproject.toml", "template.yaml", "README.md", "Makefile")

Key = tuple[str, str, str, str]
Verdict = Mapping[str, Any]


class Known:
    """The verdicts so far, each good for the text of a module that it was passed on."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)

    def forget(self) -> None:
        """Begin anew."""
        self.file.unlink(missing_ok=True)

    def of(self, root: Path) -> dict[Key, Verdict]:
        """Return the last one of each mutant of the modules as they are."""
        digests = {module: digest(_text(root, module)) for module in modules(root)}
        if not self.file.exists():
            return {}
        every = map(json.loads, self.file.read_text("utf-8").splitlines())
        return {key(each): each for each in every if digests.get(each["module"]) == each["digest"]}


def key(verdict: Verdict) -> Key:
    """Return what tells a mutant from all others."""
    return verdict["module"], verdict["function"], verdict["text"], verdict["change"]


def digest(text: str) -> str:
    """Return what changes when a text does."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _text(root: Path, module: str) -> str:
    return (root / PACKAGE / module).read_text("utf-8")


def snapshot(root: Path) -> Path:
    """Copy what tests need, so that the tree may be worked on meanwhile."""
    tree = root / ROOT / f"tree-{os.getpid()}"
    for name in COPIED:
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(root / name, tree / name, ignore=leave)
    for name in COPIED_FILES:
        shutil.copy2(root / name, tree / name)
    return tree


def judge(root: Path, known: Known, *, only: tuple[str, ...], workers: int) -> None:
    """Judge every mutant that is not known to be killed."""
    settled = {at for at, told in known.of(root).items() if told["verdict"] != "survived"}
    left = [each for each in every_mutant(root, only) if key(each) not in settled]
    judge_some(root, left, known, workers=workers)


def judge_some(root: Path, chosen: list[dict[str, Any]], known: Known, *, workers: int) -> None:
    """Judge these mutants; what becomes of them is added to what is known, one by one."""
    tree = snapshot(root)
    try:
        _pytest(tree, {})
        _judged(tree, chosen, known.file, workers)
    finally:
        shutil.rmtree(tree)


def every_mutant(tree: Path, only: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    """Yield every mutant of the modules whose paths begin so, in that order; of all if none."""
    for wanted in only or ("",):
        for module in modules(tree):
            if module.startswith(wanted):
                text = _text(tree, module)
                for each in mutants(module, text):
                    yield {**asdict(each), "digest": digest(text)}


def _judged(tree: Path, chosen: list[dict[str, Any]], verdicts: Path, workers: int) -> None:
    processes = []
    for worker in range(min(workers, len(chosen))):
        asks = tree / f"mutants-{worker}.jsonl"
        asks.write_text("\n".join(map(json.dumps, chosen[worker::workers])), encoding="utf-8")
        processes.append(_start(tree, {MUTANTS: asks.name, VERDICTS: str(verdicts.resolve())}))
    for process in processes:
        _end(process)


def _pytest(tree: Path, environment: Mapping[str, str]) -> None:
    _end(_start(tree, environment))


def _start(tree: Path, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
    plugins = (
        *("-p", "tests.mutation.judging"),
        *("-p", "no:randomly"),
        *("-p", "no:cacheprovider"),
    )
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *plugins, "-o", "timeout=0", "--capture=sys", "-q"],
        cwd=tree,
        env={
            **inherited,
            "PYTHONPATH": os.pathsep.join(
                [str(tree.resolve()), str((tree / PACKAGE).parent.resolve())]
            ),
            "PYTHONHASHSEED": "0",
            MAP: "map.json",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


_NOT_PASSED_ON = {
    "PYTHONDONTWRITEBYTECODE",
    "POSTBREEZE_PROVING",
    "POSTBREEZE_PROVED",
    "PYTEST_ADDOPTS",
}


def _end(process: subprocess.Popen[str]) -> None:
    told, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the judge ended with {process.returncode}:\n{told[-3000:]}")


# What is told


def explained(root: Path) -> dict[Key, str]:
    """Return why each survivor that was looked at is no fault."""
    told = tomllib.loads((root / EXPLAINED).read_text("utf-8"))
    return {
        (module, each.get("function", ""), each["line"], each["change"]): each["why"]
        for module, all_of_it in told.items()
        for each in all_of_it
    }


def report(root: Path, known: Known) -> tuple[list[str], list[Verdict]]:
    """Return a table by module with the survivors that nobody explained, and those survivors."""
    reasons = explained(root)
    verdicts = known.of(root)
    table: dict[str, Counter[str]] = defaultdict(Counter)
    unexplained: list[Verdict] = []
    there = set()
    for mutant in every_mutant(root):
        at = key(mutant)
        there.add(at)
        told = verdicts.get(at, {"verdict": "not tried"})
        fate = told["verdict"]
        if fate == "survived":
            fate = "explained" if at in reasons else "unexplained"
        if fate == "unexplained":
            unexplained.append(told)
        table[mutant["module"]][fate] += fate != "impossible"
    whole: Counter[str] = sum(table.values(), Counter())
    lines = [
        f"| module | mutants | {' | '.join(_FATES)} |",
        f"| --- | ---: |{' ---: |' * len(_FATES)}",
        *(_row(f"`{module}`", counted) for module, counted in table.items()),
        _row("all", whole),
        *(
            "\n    ".join((f"{each['module']}:{each['line']}", *key(each)[1:]))
            for each in unexplained
        ),
        *(
            f"explained, but there is no such mutant: {each}"
            for each in sorted(reasons.keys() - there)
        ),
    ]
    return lines, unexplained


_FATES = ("killed", "explained", "unexplained", "not tried")


def _row(name: str, counted: Counter[str]) -> str:
    return f"| {name} | {counted.total()} | {' | '.join(str(counted[fate]) for fate in _FATES)} |"
