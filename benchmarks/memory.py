"""The most memory that each function has resident, and how much to give it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.builds import Builds
from benchmarks.cloud import Cloud
from benchmarks.cold_start import FIRST_EVENTS
from benchmarks.figures import Table, spread
from benchmarks.lambda_runtime import running
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


def measure(builds: Builds, recording: Recording, cloud: Cloud) -> Sequence[Table]:
    """Measure every function."""
    return [
        Table(
            title="Memory",
            about=_ABOUT.format(
                processes=PROCESSES, events=EVENTS, sizes=", ".join(f"{size:,}" for size in SIZES)
            ),
            columns=("function", "first answer", f"after {EVENTS}", "CPU", "recommended, MB"),
            rows=[_row(builds, recording, cloud, function) for function in builds.functions],
        )
    ]


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


def _row(builds: Builds, recording: Recording, cloud: Cloud, function: str) -> tuple[str, ...]:
    taken = [_process(builds, recording, cloud, function) for _ in range(PROCESSES)]
    first, later, cpu = (
        spread([getattr(need, name) for need in taken]).median for name in ("first", "later", "cpu")
    )
    is_http = function == "cancel_post" or function.endswith("_api")
    size = recommended(later, cpu, within=HTTP_START if is_http else WORKER_START)
    return (
        f"`{function}`",
        f"{first / _MIB:.0f}",
        f"{later / _MIB:.0f}",
        f"{cpu:.0f}",
        f"{size:,}",
    )


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
