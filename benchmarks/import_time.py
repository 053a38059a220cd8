"""What importing each function takes, by package, as `-X importtime` tells."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial

from benchmarks.builds import Builds
from benchmarks.figures import Table, interleaved, spread
from benchmarks.summary import Outcome
from benchmarks.transport import Recording

ROUNDS = 5

STANDARD = "standard library"
WIRING = "clients, wiring"
OTHERS = "others"
NAMED = (
    STANDARD,
    "botocore",
    "urllib3",
    "pynamodb",
    "aws_lambda_powertools",
    "pydantic",
    "postbreeze",
)
_TOGETHER = {"pydantic_core": "pydantic", "annotated_types": "pydantic", "app": WIRING}
_LINE = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)$", re.MULTILINE)

_ABOUT = (
    "Milliseconds, medians of {rounds} rounds; each package's own modules, without what they import"
    " in turn. *Clients, wiring* is what a function does while it is imported beside importing:"
    " making its clients and putting its parts together. Telling the times takes time itself, so"
    " the sums are more than a cold start has to do."
)


def measure(builds: Builds, recording: Recording) -> Outcome:
    """Measure every function."""
    taken = interleaved(
        {
            function: partial(_imported, builds, recording.environ, function)
            for function in builds.functions
        },
        ROUNDS,
    )
    columns = (*NAMED, OTHERS, WIRING)
    table = Table(
        title="Import time by package",
        about=_ABOUT.format(rounds=ROUNDS),
        columns=("function", *columns, "in all"),
        rows=[
            (
                f"`{function}`",
                *(_median(each[column] for each in samples) for column in columns),
                _median(each.total() for each in samples),
            )
            for function, samples in taken.items()
        ],
    )
    return Outcome(tables=[table])


def by_package(report: str) -> Counter[str]:
    """Sum up a report of `-X importtime`: microseconds by top-level package."""
    times: Counter[str] = Counter()
    for own, module in _LINE.findall(report):
        times[_package(module)] += int(own)
    return times


def _package(module: str) -> str:
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return STANDARD
    top = _TOGETHER.get(top, top)
    return top if top in {*NAMED, WIRING} else OTHERS


def _imported(builds: Builds, environ: Mapping[str, str], function: str) -> Counter[str]:
    code = builds.function(function)
    done = subprocess.run(
        [str(builds.python), "-X", "importtime", "-c", "import app"],
        cwd=code.function,
        env={
            **environ,
            "PYTHONPATH": str(code.layers),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return by_package(done.stderr)


def _median(microseconds: Iterable[int]) -> str:
    return f"{spread(list(microseconds)).median / 1000:.0f}"
