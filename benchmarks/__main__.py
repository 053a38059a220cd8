"""Measures the parts asked for, and prints one table of their figures in Markdown.

Tables of each part in full go to a file, and the figures to another, to be compared with those of
a later run.
"""

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

from benchmarks import (
    builds,
    cold_start,
    cost,
    end_to_end,
    growth,
    import_time,
    memory,
    recording,
    warm_cpu,
)
from benchmarks.cloud import Cloud
from benchmarks.summary import Figure, Outcome, read_figures, summary, write_figures
from local import paths
from local.build import AWS_MINOR
from local.tools import LocalError, say

_DISTRIBUTIONS = ("botocore", "pydantic", "pynamodb", "aws-lambda-powertools")
_PARTS = ("cold-start", "import-time", "warm-cpu", "memory", "cost", "growth", "end-to-end")
REPORT = builds.PLACE / "report.md"
FIGURES = builds.PLACE / "figures.json"


def main() -> int:
    """Print the one table, and keep everything else in files."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(_PARTS)}")
    parser.add_argument(
        "--beside", type=Path, metavar="FILE", help="the figures of another run, to be compared"
    )
    asked = parser.parse_args()
    parts = asked.parts or _PARTS
    if unknown := set(parts) - set(_PARTS):
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    if asked.beside is not None and not asked.beside.is_file():
        parser.error(f"there is no file {asked.beside}")
    # Read before this run's take their place.
    other = None if asked.beside is None else read_figures(asked.beside)
    began = time.monotonic()
    try:
        figures = _measured(parts)
    except LocalError as error:
        sys.exit(f"error: {error}")
    write_figures(FIGURES, figures)
    say(f"took {(time.monotonic() - began) / 60:.1f} minutes; in full in {paths.shown(REPORT)}")
    sys.stdout.write(summary(figures, other))
    return 0


def _measured(parts: Sequence[str]) -> Sequence[Figure]:
    """Measure, and write the report as it comes."""
    say("recording one request of every operation")
    recorded = recording.record()
    built = builds.make()
    figures: list[Figure] = []
    with Cloud().running() as cloud, REPORT.open("w", encoding="utf-8") as report:
        report.write(f"{_machine(built)}\n")
        measures: Mapping[str, Callable[[], Outcome]] = {
            "cold-start": partial(cold_start.measure, built, recorded, cloud),
            "import-time": partial(import_time.measure, built, recorded),
            "warm-cpu": partial(warm_cpu.measure, built, recorded),
            "memory": partial(memory.measure, built, recorded, cloud),
            "cost": cost.measure,
            "growth": growth.measure,
            "end-to-end": end_to_end.measure,
        }
        for part in parts:
            began = time.monotonic()
            say(f"measuring {part}")
            outcome = measures[part]()
            report.write("".join(f"\n{table}" for table in outcome.tables))
            report.flush()
            figures += outcome.figures
            say(f"{part} took {time.monotonic() - began:.0f} s")
    return figures


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
