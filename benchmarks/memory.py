"""The most memory that each function has resident, and how much to give it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.builds import Builds
from benchmarks.cloud import Cloud
from benchmarks.cold_start import FIRST_EVENTS
from benchmarks.figures import Table, spread
from benchmarks.lambda_runtime import running
from benchmarks.summary import Figure, Outcome
from benchmarks.transport import Recording

PROCESSES = 3
EVENTS = 100

SIZES = (256, 512, 1024, 1769)
"""What Lambda is asked for; the last is a whole processor."""
WHOLE_PROCESSOR = 1769
_MIB = 1024 * 1024

HTTP_START = 1000.0
WORKER_START = 2000.0
"""The milliseconds in which a function is to have started, by what it is to compute."""

_ABOUT = (
    "MiB at most, medians of {processes} processes: after the first answer, and after {events}"
    " more. *CPU* is what it computes until its first answer, in milliseconds. Recommended is the"
    " least of {sizes} MB of which half stays free, and with whose share of a processor (a whole"
    " one at 1,769 MB) that takes no longer than a second behind the API, and two elsewhere."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    first: float
    later: float
    cpu: float


def measure(builds: Builds, recording: Recording, cloud: Cloud) -> Outcome:
    """Measure every function."""
    taken = {
        function: [_process(builds, recording, cloud, function) for _ in range(PROCESSES)]
        for function in builds.functions
    }
    table = Table(
        title="Memory",
        about=_ABOUT.format(
            processes=PROCESSES, events=EVENTS, sizes=", ".join(f"{size:,}" for size in SIZES)
        ),
        columns=("function", "first answer", f"after {EVENTS}", "CPU", "recommended, MB"),
        rows=[_row(function, needs) for function, needs in taken.items()],
    )
    figures = [
        Figure(
            name=f"memory of `{function}` at most, MiB",
            measured=spread([need.later / _MIB for need in needs]),
            floor="recommended, MB",
            beside=spread([_recommended(function, needs)]),
        )
        for function, needs in taken.items()
    ]
    return Outcome(tables=[table], figures=figures)


def recommended(peak_bytes: float, cpu: float, *, within: float) -> int:
    """Return the least size that leaves half of it free and starts in time, or the greatest.

    Args:
        peak_bytes: What the function has resident at most.
        cpu: Milliseconds that a whole processor takes for its start.
        within: Milliseconds that its start may take.
    """
    for size in SIZES:
        if 2 * peak_bytes <= size * _MIB and cpu * WHOLE_PROCESSOR / size <= within:
            return size
    return SIZES[-1]


def _row(function: str, needs: Sequence[_Need]) -> tuple[str, ...]:
    return (
        f"`{function}`",
        f"{_median(needs, 'first') / _MIB:.0f}",
        f"{_median(needs, 'later') / _MIB:.0f}",
        f"{_median(needs, 'cpu'):.0f}",
        f"{_recommended(function, needs):,}",
    )


def _recommended(function: str, needs: Sequence[_Need]) -> int:
    is_http = function == "cancel_post" or function.endswith("_api")
    within = HTTP_START if is_http else WORKER_START
    return recommended(_median(needs, "later"), _median(needs, "cpu"), within=within)


def _median(needs: Sequence[_Need], name: str) -> float:
    return spread([getattr(need, name) for need in needs]).median


def _process(builds: Builds, recording: Recording, cloud: Cloud, function: str) -> _Need:
    scene = recording.scene(FIRST_EVENTS[function])
    cloud.play(scene)
    environ = {**recording.environ, "AWS_ENDPOINT_URL": cloud.url}
    with running(builds, builds.function(function), environ, name=f"memory-{function}") as process:
        process.invoke(scene.event)
        told = process.told()
        for _ in range(EVENTS):
            process.invoke(scene.event)
        return _Need(first=told.peak_bytes, later=process.peak_bytes(), cpu=told.cpu)
