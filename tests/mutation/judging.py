"""A pytest plugin that runs, for one mutant after the other, the tests that may notice it.

Each mutant gets a process of its own, forked when everything slow has been done. Most faults lie in
a function that only tests call: there, all tests are collected before the fork, and the function is
given its mutated code. What is evaluated while modules are imported (constants, classes, defaults)
is imported in the fork, from the mutated text.

Environment: ``POSTBREEZE_MUTATION_MAP`` names the file that tells which tests run which lines;
without ``POSTBREEZE_MUTANTS``, a file of mutants, that file is made.
"""

from __future__ import annotations

import gc
import importlib
import importlib.abc
import importlib.machinery
import json
import os
import resource
import select
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import _lru_cache_wrapper
from itertools import chain
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

MAP = "POSTBREEZE_MUTATION_MAP"
MUTANTS = "POSTBREEZE_MUTANTS"
VERDICTS = "POSTBREEZE_MUTATION_VERDICTS"
TESTS = ("tests/unit/domain", "tests/unit/operations", "tests/unit/webhooks")
MORE_TESTS = (
    "tests/properties/test_backoff.py",
    "tests/properties/test_signature.py",
    "tests/integration/test_http_workspaces.py",
)
PACKAGE = Path("layers/postbreeze/postbreeze").resolve()
THIRD_PARTIES = ("hypothesis.strategies", "standardwebhooks", "coverage", "zoneinfo")

CPU_SECONDS = 20
"""What a mutant's tests may spend beside twice what they need: more is a loop without an end."""
SILENT_SECONDS = 600
"""For how long they may wait: more is a lock that nobody opens."""
MEMORY = 2 << 30

NEVER_ENDED = "it never ended"
_STOPPED = {-signal.SIGXCPU, -signal.SIGKILL}

Mutant = dict[str, Any]
Lines = dict[str, dict[str, list[str]]]


def pytest_configure() -> None:
    """Have property tests do the same each time, and not look for the smallest failure."""
    from hypothesis import HealthCheck, Phase, settings

    settings.register_profile(
        "mutation",
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("mutation")


def pytest_collection(session: pytest.Session) -> bool:
    """Collect nothing yet: what is imported now is in every fork."""
    session.items = []
    session.testscollected = 1
    return True


def pytest_runtestloop(session: pytest.Session) -> bool:
    """Make the map, or judge."""
    for name in THIRD_PARTIES:
        importlib.import_module(name)
    if any(name.partition(".")[0] == "postbreeze" for name in sys.modules):
        raise RuntimeError("postbreeze is imported before a mutant of it could be")
    if MUTANTS not in os.environ:
        _make_map(session)
        return True
    told = json.loads(Path(os.environ[MAP]).read_text("utf-8"))
    with Path(os.environ[MUTANTS]).open(encoding="utf-8") as lines:
        mutants = [json.loads(line) for line in lines]
    judge = _Judge(session, told["lines"], told["seconds"])
    judge.all(mutants)
    return True


def _collect(session: pytest.Session, *paths: str) -> list[pytest.Item]:
    return list(session.perform_collect(list(paths), genitems=True))


def _run(item: pytest.Item, following: pytest.Item | None) -> bool:
    """Run a test; False if it failed."""
    reports = runtestprotocol(item, log=False, nextitem=following)
    return not any(report.failed for report in reports)


# Which tests run which lines


def _make_map(session: pytest.Session) -> None:
    import coverage

    covered = coverage.Coverage(
        data_file=None,
        source=[str(PACKAGE / room) for room in ("domain", "operations", "webhooks")],
    )
    covered.start()
    items = _collect(session, *TESTS, *MORE_TESTS)
    caches = [each for each in gc.get_objects() if isinstance(each, _lru_cache_wrapper)]
    seconds, failed = {}, []
    for item, following in _with_next(items):
        for cached in caches:
            cached.cache_clear()
        covered.switch_context(item.nodeid)
        began = time.process_time()
        if not _run(item, following):
            failed.append(item.nodeid)
        seconds[item.nodeid] = time.process_time() - began
    covered.stop()
    if failed:
        raise RuntimeError(f"these tests fail without any mutation: {failed}")
    data = covered.get_data()
    lines: Lines = {
        Path(file).relative_to(PACKAGE).as_posix(): {
            str(line): contexts for line, contexts in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }
    told = json.dumps({"lines": lines, "seconds": seconds})
    Path(os.environ[MAP]).write_text(told, encoding="utf-8")


def _with_next(items: Sequence[pytest.Item]) -> Iterable[tuple[pytest.Item, pytest.Item | None]]:
    return zip(items, [*items[1:], None], strict=True)


# Judging


class _Judge:
    def __init__(self, session: pytest.Session, lines: Lines, seconds: dict[str, float]) -> None:
        self._session = session
        self._lines = lines
        self._seconds = seconds
        self._items: dict[str, pytest.Item] = {}
        self._functions: dict[tuple[str, str, int], list[FunctionType]] = {}
        self._killers: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._ran = _lines_run(lines)

    def all(self, mutants: list[Mutant]) -> None:
        """Judge those in functions, then those for which modules must be imported anew."""
        quick = [mutant for mutant in mutants if self._is_in_a_function(mutant)]
        slow = [mutant for mutant in mutants if not self._is_in_a_function(mutant)]
        left = Path(f"{os.environ[MUTANTS]}.left")
        left.unlink(missing_ok=True)
        if quick and not (child := os.fork()):
            self._in_functions(quick, left)
            os._exit(0)
        if quick:
            _, status = os.waitpid(child, 0)
            if status:
                raise RuntimeError(f"judging mutants in functions ended with status {status}")
        if left.exists():
            slow += [json.loads(line) for line in left.read_text("utf-8").splitlines()]
        for mutant in slow:
            _tell(mutant, self._in_a_fork(mutant, self._imported_anew))

    def _is_in_a_function(self, mutant: Mutant) -> bool:
        """Tell whether only tests run it: nothing that is evaluated at import depends on it."""
        lines = self._lines.get(mutant["module"], {})
        # What a signature holds is evaluated where the function is defined.
        return bool(mutant["defined_at"]) and "" not in lines.get(str(mutant["line"]), [""])

    def _in_functions(self, mutants: list[Mutant], left: Path) -> None:
        self._items = {item.nodeid: item for item in _collect(self._session, *TESTS, *MORE_TESTS)}
        for each in gc.get_objects():
            if isinstance(each, FunctionType):
                code = each.__code__
                place = code.co_filename, code.co_qualname, code.co_firstlineno
                self._functions.setdefault(place, []).append(each)
        gc.freeze()
        for mutant in mutants:
            verdict = self._in_a_fork(mutant, self._with_its_function_changed)
            if verdict.get("again"):
                with left.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(mutant) + "\n")
            else:
                _tell(mutant, verdict)

    def _in_a_fork(
        self, mutant: Mutant, judged: Callable[[Mutant], dict[str, Any]]
    ) -> dict[str, Any]:
        began = time.monotonic()
        hears, tells = os.pipe()
        child = os.fork()
        if not child:
            os.close(hears)
            needed = sum(self._seconds[test] for test in self._tests(mutant))
            most = int(CPU_SECONDS + 2 * needed)
            resource.setrlimit(resource.RLIMIT_CPU, (most, most + 5))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            os.write(tells, json.dumps(judged(mutant)).encode())
            os._exit(0)
        os.close(tells)
        ready, _, _ = select.select([hears], [], [], SILENT_SECONDS)
        heard = os.read(hears, 1 << 16) if ready else b""
        os.close(hears)
        if not ready:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not heard and os.waitstatus_to_exitcode(status) not in _STOPPED:
            raise RuntimeError(
                f"a fork ended with status {status} and no verdict: {mutant['change']}"
            )
        verdict = json.loads(heard) if heard else {"verdict": "killed", "by": NEVER_ENDED}
        if verdict.get("by", NEVER_ENDED) != NEVER_ENDED:
            self._killers[mutant["module"], mutant["function"]][verdict["by"]] += 1
        return {**verdict, "seconds": round(time.monotonic() - began, 3)}

    def _tests(self, mutant: Mutant) -> list[str]:
        """Return the tests that may notice a mutant: those that noticed its like, then by time."""
        killers = self._killers[mutant["module"], mutant["function"]]
        if not self._is_in_a_function(mutant):
            return list(self._seconds)
        running = self._lines[mutant["module"]][str(mutant["line"])]
        return sorted(running, key=lambda test: (-killers[test], self._seconds[test]))

    def _files(self, mutant: Mutant) -> list[str]:
        """Return all files of tests: those that noticed its like, then by what they are about."""
        module = mutant["module"]
        noticed = Counter(
            _file(test)
            for (there, _), killers in self._killers.items()
            if there == module
            for test in killers.elements()
        )
        return sorted(
            dict.fromkeys(map(_file, self._seconds)),
            key=lambda file: (-noticed[file], -self._share(file, module)),
        )

    def _share(self, file: str, module: str) -> float:
        """Return how much a file of tests is about a module: which part of what it runs."""
        ran = self._ran.get(file)
        # One that only looks at figures runs nothing, and takes no time.
        return 1.0 if ran is None else ran[module] / ran.total()

    def _with_its_function_changed(self, mutant: Mutant) -> dict[str, Any]:
        file = str(PACKAGE / mutant["module"])
        try:
            module = compile(mutant["source"], file, "exec", dont_inherit=True)
        except SyntaxError:
            return {"verdict": "impossible"}
        place = mutant["function"], mutant["defined_at"]
        code = next((code for code in _codes(module) if _place(code) == place), None)
        functions = self._functions.get((file, *place), [])
        if code is None or not functions:
            return {"again": True}
        for function in functions:
            if function.__code__.co_freevars != code.co_freevars:
                return {"again": True}
            function.__code__ = code
        tests = [self._items[test] for test in self._tests(mutant)]
        return _verdict(tests)

    def _imported_anew(self, mutant: Mutant) -> dict[str, Any]:
        try:
            compile(mutant["source"], mutant["module"], "exec", dont_inherit=True)
        except SyntaxError:
            return {"verdict": "impossible"}
        name = "postbreeze." + mutant["module"].removesuffix(".py").replace("/", ".")
        name = name.removesuffix(".__init__")
        sys.meta_path.insert(0, _Finder(name, mutant["source"]))
        ran = 0
        for file in self._files(mutant):
            try:
                items = _collect(self._session, file)
            except (pytest.UsageError, pytest.Collector.CollectError):
                return {"verdict": "killed", "by": file}
            if self._session.testsfailed or not items:
                return {"verdict": "killed", "by": file}
            verdict = _verdict(items)
            if verdict["verdict"] == "killed":
                return verdict
            ran += verdict["tests"]
        return {"verdict": "survived", "tests": ran}


def _file(test: str) -> str:
    return test.partition("::")[0]


def _lines_run(lines: Lines) -> dict[str, Counter[str]]:
    """Count for each file of tests the lines of each module that its tests run."""
    ran: dict[str, Counter[str]] = defaultdict(Counter)
    for module, tests in lines.items():
        for test in chain.from_iterable(tests.values()):
            ran[_file(test)][module] += 1
    return dict(ran)


def _verdict(tests: list[pytest.Item]) -> dict[str, Any]:
    for item, following in _with_next(tests):
        if not _run(item, following):
            return {"verdict": "killed", "by": item.nodeid}
    return {"verdict": "survived", "tests": len(tests)}


def _tell(mutant: Mutant, verdict: dict[str, Any]) -> None:
    line = {name: value for name, value in mutant.items() if name != "source"} | verdict
    with Path(os.environ[VERDICTS]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _codes(code: CodeType) -> Iterator[CodeType]:
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield const
            yield from _codes(const)


def _place(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module from a text, and from no bytecode of another."""

    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self._text = text

    def path_stats(self, path: str) -> Mapping[str, Any]:
        raise OSError

    def get_data(self, path: str) -> bytes:
        return self._text.encode()


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module with another text than its file has."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self._name:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin is None:
            raise ImportError(name)
        spec.loader = _Loader(name, spec.origin, self._text)
        return spec
