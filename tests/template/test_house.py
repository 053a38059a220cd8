"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import paths

PACKAGE = paths.ROOT / "layers" / "postbreeze" / "postbreeze"
FUNCTIONS = sorted((paths.ROOT / "functions").glob("*/app.py"))
MAX_FUNCTION_LINES = 40
INNER_ROOMS = ("domain", "operations", "webhooks")
DOORS = {
    "postbreeze.bootstrap",
    "postbreeze.http",
    "postbreeze.observability",
    "postbreeze.starting",
    "postbreeze.triggers",
}


def imported(file: Path) -> Iterator[str]:
    """Yield the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def pins(file: Path) -> dict[str, str]:
    """Return the versions that a compiled requirements file pins."""
    found = re.findall(
        r"^([a-z0-9-]+)(?:\[[^]]*\])?==(\S+)", file.read_text(encoding="utf-8"), re.MULTILINE
    )
    return dict(found)


@pytest.mark.parametrize("room", INNER_ROOMS)
def test_the_inner_rooms_import_the_standard_library_only(room: str) -> None:
    files = sorted((PACKAGE / room).rglob("*.py"))
    assert files
    for file in files:
        for module in imported(file):
            top = module.partition(".")[0]
            assert top in sys.stdlib_module_names or top == "postbreeze", f"{file}: {module}"


def test_there_is_one_folder_for_each_function_of_the_template() -> None:
    text = paths.TEMPLATE.read_text(encoding="utf-8")
    assert sorted(re.findall(r"CodeUri: functions/(\w+)/", text)) == [
        file.parent.name for file in FUNCTIONS
    ]


@pytest.mark.parametrize("file", FUNCTIONS, ids=lambda file: file.parent.name)
def test_a_function_is_one_thin_file_that_enters_by_a_door(file: Path) -> None:
    # Given a function's folder
    sources = [child.name for child in file.parent.iterdir() if child.name != "__pycache__"]
    # Then it holds one short file
    assert sources == ["app.py"]
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MAX_FUNCTION_LINES
    # And that imports Powertools, the standard library, and of ours only what is meant for it
    for module in imported(file):
        top = module.partition(".")[0]
        own = any(module == door or module.startswith(f"{door}.") for door in DOORS)
        assert own or top == "aws_lambda_powertools" or top in sys.stdlib_module_names, module


def test_the_layer_runs_what_the_tests_ran_with() -> None:
    tested = pins(paths.ROOT / "requirements" / "dev.txt")
    shipped = pins(paths.ROOT / "layers" / "dependencies" / "requirements.txt")
    assert shipped
    assert shipped.items() <= tested.items()


def test_every_pin_has_hashes_and_names_no_host() -> None:
    files = [
        *(paths.ROOT / "requirements").glob("*.txt"),
        paths.ROOT / "layers" / "dependencies" / "requirements.txt",
    ]
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"^--(?!hash)|://", text, re.MULTILINE), file
        for pin in re.findall(r"^[a-z0-9].*(?:\n    .*)*", text, re.MULTILINE):
            assert "--hash=sha256:" in pin, pin.splitlines()[0]


def test_every_pin_for_node_has_a_hash_and_names_no_host() -> None:
    text = (paths.ROOT / "requirements/node/package-lock.json").read_text(encoding="utf-8")
    pins = {name: pin for name, pin in json.loads(text)["packages"].items() if name}
    assert pins
    assert "://" not in text
    assert all("version" in pin and "integrity" in pin for pin in pins.values())
