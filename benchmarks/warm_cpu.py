"""CPU time of a warm request of every HTTP operation, beside a hand-written handler."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence

from benchmarks.builds import PLACE, Builds
from benchmarks.figures import Table, ratios, spread
from benchmarks.summary import Figure, Outcome, held_against
from benchmarks.transport import Recording
from benchmarks.warm_worker import REQUESTS, ROUNDS
from local import paths
from local.tools import LocalError

_ABOUT = (
    "Milliseconds of CPU for one warm request, median (quartiles) of {rounds} samples of {requests}"
    " requests, all threads together; everything from the event to the answer runs, botocore"
    " included, but recorded bytes take the place of the wire. *By hand* is a handler that is"
    " written for boto3 alone (`benchmarks/by_hand`): the same calls with the same rows, the same"
    " answer, no checks. Requests that make no calls have no such handler. `addMediaFromUrl`, which"
    " fetches a file itself, is left out."
)


MOST = {"cancelPost": 2.0}
"""What an operation may take at most, in proportion to what is written by hand."""


def measure(builds: Builds, recording: Recording) -> Outcome:
    """Measure every operation."""
    samples = _samples(builds, recording)
    measured = [scene for scene in recording.scenes if scene.name in samples]
    table = Table(
        title="CPU of warm requests",
        about=_ABOUT.format(rounds=ROUNDS, requests=REQUESTS),
        columns=("operation", "calls", "service", "by hand", "ratio"),
        rows=[_row(scene.name, len(scene.exchanges), samples[scene.name]) for scene in measured],
    )
    return Outcome(
        tables=[table], figures=[_figure(scene.name, samples[scene.name]) for scene in measured]
    )


def _figure(operation: str, samples: Mapping[str, Sequence[float]]) -> Figure:
    name, by_hand = f"warm CPU of {operation}, ms", samples.get("by hand")
    if by_hand is None:
        return Figure(name=name, measured=spread(samples["service"]))
    return held_against(name, samples["service"], "by hand", by_hand, most=MOST.get(operation))


def _row(name: str, calls: int, samples: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    service, by_hand = samples["service"], samples.get("by hand")
    return (
        name,
        str(calls),
        str(spread(service)),
        "" if by_hand is None else str(spread(by_hand)),
        "" if by_hand is None else str(ratios(service, by_hand)),
    )


def _samples(builds: Builds, recording: Recording) -> dict[str, dict[str, list[float]]]:
    kept, told = PLACE / "recording.json", PLACE / "warm.json"
    recording.write(kept)
    layers = (builds.compiled / "opt", builds.beside / "boto3")
    done = subprocess.run(
        [
            str(builds.python),
            "-m",
            "benchmarks.warm_worker",
            str(kept),
            str(builds.compiled),
            str(told),
        ],
        cwd=paths.ROOT,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": ":".join(map(str, layers)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_SESSION_TOKEN": "test",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LocalError(f"measuring warm requests failed:\n{done.stderr}")
    samples: dict[str, dict[str, list[float]]] = json.loads(told.read_text(encoding="utf-8"))
    return samples
