"""Where things are. Everything that is made here lies under `.local/` or `.aws-sam/`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LOCAL: Final = ROOT / ".local"
PYTHON: Final = ROOT / ".venv" / "bin" / "python"
UV: Final = LOCAL / "uv" / "bin" / "uv"
SAM: Final = LOCAL / "sam" / "bin" / "sam"
ENGINE_PYTHON: Final = LOCAL / "ministack" / "bin" / "python"

TEMPLATE: Final = ROOT / "template.yaml"
SAMCONFIG: Final = ROOT / "samconfig.toml"
AWS_BUILD: Final = ROOT / ".aws-sam" / "build"

RUN: Final = LOCAL / "run"
STACK_FILE: Final = LOCAL / "stack.json"


def shown(path: Path) -> str:
    """Return the path as people see it: relative to the project when it lies inside."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
