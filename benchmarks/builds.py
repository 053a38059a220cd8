"""The build that is measured, and what is measured beside it.

It is what `make build` ships, but for this machine's processor: the same wheels' versions, the same
Python minor, the same bytecode. Where that minor is not on this machine it is the local engine's.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from local import paths
from local.build import AWS_MINOR, BuildTarget, build, compile_bytecode, this_machine
from local.tools import LocalError, clean_environment, find_python, machine

PLACE = paths.LOCAL / "bench"
REQUIREMENTS = paths.ROOT / "requirements" / "bench.txt"
FLOORS = Path(__file__).parent / "floors"

CLIENTS = {
    "cancel_post": ("dynamodb", "scheduler", "sns"),
    "deliver_webhook": ("dynamodb", "kms", "sqs"),
    "docs_api": (),
    "fan_out_event": ("dynamodb", "sqs"),
    "media_api": ("dynamodb",),
    "posts_api": ("dynamodb", "scheduler", "sns", "sqs"),
    "publish_target": ("dynamodb", "kms", "sns", "sqs"),
    "reconcile": ("dynamodb", "scheduler", "sns", "sqs"),
    "start_publish": ("dynamodb", "sns", "sqs"),
    "webhooks_api": ("dynamodb", "kms", "sqs"),
    "workspaces_api": ("dynamodb", "scheduler", "sns"),
}
"""The clients that each function makes when it starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What Lambda would unpack: a function's folder and the layers' content."""

    function: Path
    layers: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Builds:
    """All that was built, and the Python to run it with."""

    target: BuildTarget
    python: Path
    compiled: Path
    bare: Path
    beside: Path

    @property
    def functions(self) -> list[str]:
        """The names of all functions."""
        return sorted(CLIENTS)

    def function(self, name: str, *, bytecode: bool = True) -> Code:
        """Return a function as it is shipped, or without bytecode."""
        folder = self.compiled if bytecode else self.bare
        return Code(function=folder / _resource(name), layers=folder / "opt")

    def floor(self, name: str) -> Code:
        """Return one of `floors`, beside the layer of third parties with boto3, whole, added."""
        return Code(function=self.beside / "floors" / name, layers=self.beside / "boto3")


def make() -> Builds:
    """Build everything anew.

    Raises:
        LocalError: SAM failed, or a source file does not compile.
    """
    interpreter = find_python(AWS_MINOR)
    if interpreter is None:
        target, interpreter = this_machine(), paths.ENGINE_PYTHON
    else:
        target = BuildTarget(minor=AWS_MINOR, architecture=machine(), native=False)
    PLACE.mkdir(parents=True, exist_ok=True)
    python = _runtime(interpreter, target.minor)
    compiled, bare, beside = PLACE / "build", PLACE / "bare", PLACE / "beside"
    for folder in (compiled, bare, beside):
        shutil.rmtree(folder, ignore_errors=True)
    build(target, compiled, log=PLACE / "build.log")
    _unpack([compiled / "DependenciesLayer", compiled / "PostbreezeLayer"], compiled / "opt")
    shutil.copytree(compiled, bare, ignore=_CACHES)
    _unpack([compiled / "DependenciesLayer"], beside / "boto3")
    # As anyone would install them: what is cut out of botocore's data is this project's own doing.
    shutil.rmtree(beside / "boto3" / "botocore")
    for package in ("boto3", "botocore", "s3transfer"):
        shutil.copytree(_installed(package), beside / "boto3" / package, ignore=_CACHES)
    shutil.copytree(FLOORS, beside / FLOORS.name, ignore=_CACHES)
    compile_bytecode(interpreter, beside)
    return Builds(target=target, python=python, compiled=compiled, bare=bare, beside=beside)


_CACHES = shutil.ignore_patterns("__pycache__")


def _resource(function: str) -> str:
    return "".join(word.capitalize() for word in function.split("_")) + "Function"


def client_version() -> str:
    """Return the version of Lambda's runtime interface client."""
    pin = re.search(r"^awslambdaric==(\S+)", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)
    return pin[1] if pin else "unknown"


def _runtime(interpreter: Path, minor: str) -> Path:
    """Install Lambda's runtime interface client for an interpreter; return its Python."""
    folder = PLACE / f"python{minor}"
    python = folder / "bin" / "python"
    if not python.exists():
        _uv("venv", "--no-project", "--python", str(interpreter), str(folder))
    _uv(
        "pip",
        "sync",
        "--require-hashes",
        "--compile-bytecode",
        "--python",
        str(python),
        str(REQUIREMENTS),
    )
    return python


def _uv(*arguments: str) -> None:
    done = subprocess.run(
        [str(paths.UV), *arguments, "--quiet"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LocalError(f"uv {' '.join(arguments)} failed:\n{done.stderr}")


def _unpack(layers: Iterable[Path], opt: Path) -> None:
    """Unpack layers over each other, as Lambda does."""
    for layer in layers:
        shutil.copytree(layer / "python", opt, dirs_exist_ok=True)


def _installed(package: str) -> Path:
    """Return the folder of a package of pure Python that this process could import."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise LocalError(f"{package} is not installed")
    return Path(spec.origin).parent
