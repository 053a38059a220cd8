"""Builds functions and layers: `sam build`, then bytecode, which SAM leaves out.

On Lambda the code is read-only, so a module without bytecode is compiled anew at every cold start,
which makes it three times as slow. Bytecode that is checked against its source's time never matches
after SAM's zip, hence `unchecked-hash`. It only fits the very Python minor it was made by.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from local import paths
from local.tools import LocalError, clean_environment, find_python, machine, run, say

AWS_MINOR = "3.13"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildTarget:
    """The machine that a build is for."""

    minor: str
    architecture: str
    native: bool

    @property
    def runtime(self) -> str:
        """Lambda's name of the Python minor."""
        return f"python{self.minor}"


AWS = BuildTarget(minor=AWS_MINOR, architecture="arm64", native=False)


def this_machine() -> BuildTarget:
    """Return the target whose functions run under the local engine, that is under its Python."""
    asked = subprocess.run(
        [str(paths.ENGINE_PYTHON), "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=True,
    )
    return BuildTarget(minor=asked.stdout.strip(), architecture=machine(), native=True)


def build(target: BuildTarget, folder: Path, *, log: Path) -> None:
    """Build the template's functions and layers into `folder`, with bytecode if it can be made.

    Raises:
        LocalError: SAM failed, or a source file does not compile.
    """
    say(f"building for {target.runtime} on {target.architecture}")
    python = paths.ENGINE_PYTHON if target.native else find_python(target.minor)
    environment = {
        **clean_environment(),
        "AWS_DEFAULT_REGION": "us-east-1",
        "SAM_CLI_TELEMETRY": "0",
        "__SAM_CLI_APP_DIR": str(paths.LOCAL / "sam-home"),
        "UV": str(paths.UV),
        "PYTHON": str(python or sys.executable),
        "LAYER_MINOR": target.minor,
        "LAYER_ARCH": "aarch64" if target.architecture == "arm64" else "x86_64",
        "NATIVE": "1" if target.native else "",
    }
    run(
        [
            str(paths.SAM),
            "build",
            "--template-file",
            str(paths.TEMPLATE),
            "--build-dir",
            str(folder),
            "--parameter-overrides",
            f"ParameterKey=Runtime,ParameterValue={target.runtime}",
            f"ParameterKey=Architecture,ParameterValue={target.architecture}",
        ],
        env=environment,
        cwd=paths.ROOT,
        log=log,
    )
    for cache in list(folder.rglob("__pycache__")):  # of the source tree, made by another Python
        shutil.rmtree(cache)
    if python is None:
        say(
            f"no Python {target.minor} on this machine, so the build has no bytecode: "
            "it works, but every cold start takes about half a second longer"
        )
    else:
        compile_bytecode(python, folder)


def compile_bytecode(python: Path, folder: Path) -> None:
    """Put bytecode beside every module below `folder`.

    Raises:
        LocalError: a module does not compile.
    """
    command = [str(python), "-m", "compileall", "-q", "-f", "-j", "2"]
    command += ["--invalidation-mode", "unchecked-hash"]
    # Tracebacks should name the file as it is called on Lambda, not where it was built.
    for built in sorted(child for child in folder.iterdir() if child.is_dir()):
        place = "/opt" if built.name.endswith("Layer") else "/var/task"
        done = subprocess.run(
            [*command, "-s", str(built), "-p", place, str(built)],
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            message = f"no bytecode for {paths.shown(built)}:\n{done.stdout}{done.stderr}"
            raise LocalError(message)


def main() -> None:
    """Build for AWS."""
    parser = argparse.ArgumentParser(prog="python -m local.build", description="Build for AWS.")
    parser.add_argument("--folder", type=Path, default=paths.AWS_BUILD)
    folder = parser.parse_args().folder
    try:
        build(AWS, folder, log=paths.LOCAL / "build-aws.log")
    except LocalError as error:
        sys.exit(f"error: {error}")
    say(f"built into {paths.shown(folder)}")


if __name__ == "__main__":
    main()
