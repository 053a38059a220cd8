"""Cold start of every function, as it is shipped, beside functions that do less.

A sample is a new process under Lambda's own runtime interface client: until it asks for its first
event (INIT), and until it has answered it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from benchmarks.builds import CLIENTS, Builds
from benchmarks.cloud import Cloud
from benchmarks.figures import Table, interleaved, ratios, spread
from benchmarks.lambda_runtime import ColdStart, cold_start
from benchmarks.summary import Figure, Outcome, held_against
from benchmarks.transport import Recording

IN_FULL = "cancel_post"
MANY_ROUNDS = 20
FEW_ROUNDS = 7
"""How many samples there are of `cancel_post`, and of each other function."""

MOST = {"boto3": 1.35, "no bytecode": 0.45}
"""What its INIT may be at most, in proportion to each floor's."""

FIRST_EVENTS = {
    "cancel_post": "cancelPost",
    "deliver_webhook": "sqs_deliver_webhook",
    "docs_api": "getDescription",
    "fan_out_event": "sns_sqs_fan_out_event",
    "media_api": "listMedia",
    "posts_api": "getPost",
    "publish_target": "sqs_publish_target",
    "reconcile": "eventbridge_reconcile",
    "start_publish": "scheduler_start_publish",
    "webhooks_api": "listWebhooks",
    "workspaces_api": "listSocialAccounts",
}
"""The scene that each function's first event is of."""

_ABOUT = (
    "Milliseconds, median (quartiles). INIT is from the start of the process until it asks for its"
    " first event, *first answer* until it has answered it, *CPU* what it has computed by then."
    " Ratios are of INIT, round by round: to a function that makes the same clients by boto3 and"
    " nothing else, to one that does so by botocore alone, and to the same function without"
    " bytecode. {rounds}"
)


def measure(builds: Builds, recording: Recording, cloud: Cloud) -> Outcome:
    """Measure every function."""
    taken = {
        function: samples(builds, recording, cloud, function)
        for function in sorted(builds.functions, key=lambda each: (each != IN_FULL, each))
    }
    table = Table(
        title="Cold start",
        about=_ABOUT.format(
            rounds=f"{MANY_ROUNDS} rounds for `cancel_post`, {FEW_ROUNDS} for each other."
        ),
        columns=(
            "function",
            "INIT",
            "first answer",
            "CPU",
            "to boto3 clients",
            "to botocore clients",
            "to no bytecode",
        ),
        rows=[row for function, each in taken.items() for row in _rows(function, each)],
    )
    return Outcome(
        tables=[table],
        figures=[figure for function, each in taken.items() for figure in _figures(function, each)],
    )


def _figures(function: str, taken: Mapping[str, Sequence[ColdStart]]) -> Iterator[Figure]:
    floors = {"boto3": "boto3 clients", "no bytecode": "no bytecode"}
    for key in floors if function == IN_FULL else ("boto3",):
        yield held_against(
            f"cold start of `{function}`: INIT, ms",
            [sample.init for sample in taken[function]],
            floors[key],
            [sample.init for sample in taken[key]],
            most=MOST[key] if function == IN_FULL else None,
        )


def _rows(function: str, taken: Mapping[str, Sequence[ColdStart]]) -> list[tuple[str, ...]]:
    inits = {name: [sample.init for sample in each] for name, each in taken.items()}
    compared = [
        str(ratios(inits[function], inits[floor])) for floor in ("boto3", "botocore", "no bytecode")
    ]
    rows = [_row(f"`{function}`", taken[function], compared)]
    if function == IN_FULL:
        rows += [
            _row(name, taken[key])
            for name, key in {
                "the same, without bytecode": "no bytecode",
                "the same clients by boto3": "boto3",
                "the same clients by botocore": "botocore",
                "an empty handler": "empty",
            }.items()
        ]
    return rows


def samples(
    builds: Builds, recording: Recording, cloud: Cloud, function: str
) -> dict[str, list[ColdStart]]:
    """Take the samples of one function and of what it is held against, in turn."""
    scene = recording.scene(FIRST_EVENTS[function])
    cloud.play(scene)
    environ = {
        **recording.environ,
        "AWS_ENDPOINT_URL": cloud.url,
        "CLIENTS": " ".join(CLIENTS[function]),
    }
    is_in_full = function == IN_FULL
    codes = {
        function: builds.function(function),
        "no bytecode": builds.function(function, bytecode=False),
        "boto3": builds.floor("clients"),
        "botocore": builds.floor("bare_clients"),
        **({"empty": builds.floor("empty")} if is_in_full else {}),
    }
    subjects: Mapping[str, Callable[[], ColdStart]] = {
        name: partial(cold_start, builds, code, environ, scene.event, name=name.replace(" ", "_"))
        for name, code in codes.items()
    }
    interleaved(subjects, 1)  # the first of each reads its files from the disk
    return interleaved(subjects, MANY_ROUNDS if is_in_full else FEW_ROUNDS)


def _row(
    name: str, taken: Sequence[ColdStart], compared: Sequence[str] = ("", "", "")
) -> tuple[str, ...]:
    return (
        name,
        str(spread([sample.init for sample in taken])),
        str(spread([sample.first for sample in taken])),
        str(spread([sample.cpu for sample in taken])),
        *compared,
    )
