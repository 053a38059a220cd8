"""The tests that the guarantees name are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from local import paths

NAMED = sorted(
    set(
        re.findall(
            r"`(tests/[\w/]+\.(?:py|toml))(?:::(\w+))?`",
            (paths.ROOT / "docs/guarantees.md").read_text("utf-8"),
        )
    )
)


def test_some_are_named() -> None:
    assert len(NAMED) > 10


@pytest.mark.parametrize(("path", "name"), NAMED, ids=lambda part: part or "whole")
def test_it_is_there(path: str, name: str) -> None:
    file = paths.ROOT / path
    assert file.is_file()
    assert not name or name in _functions(file)


def _functions(file: Path) -> set[str]:
    nodes = ast.walk(ast.parse(file.read_text("utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
