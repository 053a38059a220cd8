"""Without any one of the mechanisms that carry the promise, a test fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from local import paths
from tests.support.proof import PROVING, Proved

PACKAGE: Final = "layers/postbreeze/postbreeze"
COPIED: Final = ("docs", "events", "functions", "layers", "local", "requirements", "tests")
ALONE: Final = ("pyproject.toml", "template.yaml", "samconfig.toml", "Makefile", "README.md")
LINKED: Final = (".local/ministack", ".venv")
ENOUGH: Final = 3
"""After so many tests have noticed, no more are asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A mechanism taken out: ``old`` occurs once in ``file``, and becomes ``new``."""

    mechanism: str
    what: str
    file: str
    old: str
    new: str
    tests: Sequence[str]

    def __str__(self) -> str:
        """Tell what it does."""
        return f"{self.mechanism}: {self.what}"

    @contextmanager
    def made(self, copy: Path) -> Iterator[None]:
        """Edit the file in a copy of the project, for as long as the context lasts."""
        original, file = (root / PACKAGE / self.file for root in (paths.ROOT, copy))
        source = original.read_text("utf-8")
        assert source.count(self.old) == 1, f"{self}: not once in {self.file}"
        file.write_text(source.replace(self.old, self.new), "utf-8")
        try:
            yield
        finally:
            shutil.copy2(original, file)  # with its time, by which its bytecode is known


DATA: Final[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("mechanisms.toml").read_text("utf-8")
)
REMOVALS: Final = [Removal(**each) for each in DATA["removal"]]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project in a folder of its own, compiled, with the tools of this one."""
    root = tmp_path_factory.mktemp("project")
    for name in COPIED:
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(paths.ROOT / name, root / name, ignore=leave)
    for name in ALONE:
        shutil.copy2(paths.ROOT / name, root)
    (root / ".local").mkdir()
    for name in LINKED:
        (root / name).symlink_to(paths.ROOT / name)
    collected = _pytest(root, list(DATA["tests"]), "--collect-only", keeps_bytecode=True)
    assert collected.returncode == 0, collected.stdout[-4000:] + collected.stderr[-4000:]
    return root


@pytest.mark.parametrize("group", DATA["tests"])
def test_with_all_of_them_no_test_fails(group: str, copy: Path) -> None:
    assert _failing(copy, [group]) == []


@pytest.mark.parametrize("removal", REMOVALS, ids=str)
def test_a_test_fails_when_it_is_removed(
    removal: Removal, copy: Path, proved: Callable[[Proved], None]
) -> None:
    # Given the service without the mechanism
    with removal.made(copy):
        # When it is tested
        failed = _failing(copy, removal.tests)
    # Then somebody notices
    what = f"{removal}: noticed by {', '.join(failed)}"
    proved(Proved(what=what, count=len(failed), unit="tests fail, or more"))


def _failing(copy: Path, groups: Sequence[str]) -> list[str]:
    """Run groups of tests in a copy of the project; name the first that fail."""
    ended = _pytest(copy, groups, f"--maxfail={ENOUGH}", keeps_bytecode=False)
    # 1: tests failed. Anything else is a run that did not get that far.
    assert ended.returncode in {0, 1}, ended.stdout[-4000:] + ended.stderr[-4000:]
    names = re.findall(r"^FAILED \S*?(\w+\.py::\w+)", ended.stdout, re.MULTILINE)
    assert bool(names) is bool(ended.returncode), ended.stdout[-4000:]
    return list(dict.fromkeys(names))


def _pytest(
    copy: Path, groups: Sequence[str], option: str, *, keeps_bytecode: bool
) -> subprocess.CompletedProcess[str]:
    tests = [test for group in groups for test in DATA["tests"][group]]
    environment = {name: value for name, value in os.environ.items() if name != PROVING}
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", *tests, "--no-header", "--tb=line", "-q", "-rf"),
            *("-p", "no:cacheprovider", "-p", "no:randomly", option),
        ],
        cwd=copy,
        env={
            **environment,
            "PYTHONPATH": str(copy / "layers/postbreeze"),
            "PYTHONDONTWRITEBYTECODE": "" if keeps_bytecode else "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
