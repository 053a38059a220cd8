"""Measures the parts asked for, and prints a table of each in Markdown."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from benchmarks import builds, cold_start, import_time, memory, recording, warm_cpu
from benchmarks.cloud import Cloud
from benchmarks.figures import Table
from local.build import AWS_MINOR
from local.tools import LocalError, say

_DISTRIBUTIONS = ("botocore", "pydantic", "pynamodb", "aws-lambda-powertools")
REPORT = builds.PLACE / "report.md"


def main() -> int:
    """Print the tables, and keep them in a file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(_PARTS)}")
    parts = parser.parse_args().parts or list(_PARTS)
    if unknown := set(parts) - _PARTS.keys():
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    began = time.monotonic()
    try:
        tables = _measured(parts)
    except LocalError as error:
        sys.exit(f"error: {error}")
    REPORT.write_text("\n".join(tables), encoding="utf-8")
    say(f"took {(time.monotonic() - began) / 60:.0f} minutes; also in {REPORT}")
    return 0


def _measured(parts: Sequence[str]) -> list[str]:
    say("recording one request of every operation")
    recorded = recording.record()
    built = builds.make()
    written = [f"{_machine(built)}\n"]
    sys.stdout.write(f"{written[0]}\n")
    with Cloud().running() as cloud:
        measures: Mapping[str, Callable[[], Sequence[Table]]] = {
            "cold-start": partial(cold_start.measure, built, recorded, cloud),
            "import-time": partial(import_time.measure, built, recorded),
            "warm-cpu": partial(warm_cpu.measure, built, recorded),
            "memory": partial(memory.measure, built, recorded, cloud),
        }
        for part in parts:
            say(f"measuring {part}")
            for table in measures[part]():
                written.append(str(table))
                sys.stdout.write(f"{table}\n")
                sys.stdout.flush()
    return written


_PARTS = dict.fromkeys(("cold-start", "import-time", "warm-cpu", "memory"))


def _machine(built: builds.Builds) -> str:
    """Name the machine, what else it does, and the versions."""
    python = subprocess.run(
        [str(built.python), "-c", "import platform; print(platform.python_version())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    versions = ", ".join(f"{name} {version(name)}" for name in _DISTRIBUTIONS)
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{_processor()}, {os.cpu_count()} cores, {platform.machine()}, {platform.system()}"
        f" {platform.release()}, load before {load}; Python {python} (Lambda: {AWS_MINOR},"
        f" arm64), {versions}, awslambdaric {builds.client_version()}."
    )


def _processor() -> str:
    """Return what the processor is called."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return "processor unknown"


if __name__ == "__main__":
    sys.exit(main())
