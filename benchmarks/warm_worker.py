"""Runs in a process of its own, under Lambda's Python: CPU time of warm requests, in turn.

The service's functions and the hand-written handlers share the process, botocore and the answers:
what would go over the wire stops in botocore's HTTP session, and recorded bytes come back. What
that takes is taken off again.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.httpsession import URLLib3Session

from benchmarks.figures import interleaved
from benchmarks.transport import Answers, Recording, Scene
from postbreeze.adapters.clock import SystemClock

ROUNDS = 30
REQUESTS = 10
"""How many requests a sample is of."""

Handler = Callable[[Mapping[str, Any], Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Raw:
    """The body of an answer, as botocore reads it."""

    content: bytes

    def stream(self) -> list[bytes]:
        """Return all of it."""
        return [self.content]


class Wire:
    """Takes the place of botocore's HTTP session."""

    def __init__(self) -> None:
        """Answer nothing yet."""
        self._answers = Answers(())
        self._seconds: list[float] = []
        self.sent: list[tuple[str, int]] = []

    def play(self, scene: Scene) -> None:
        """Answer that scene's requests from now on."""
        self._answers = Answers(scene.exchanges)

    def send(self, request: Any) -> AWSResponse:
        """Answer a request."""
        began = time.thread_time()
        body = request.body or b""
        content = body.encode() if isinstance(body, str) else bytes(body)
        target = request.headers.get("X-Amz-Target")
        kept = self._answers.to(request.method, request.url, target, content)
        self.sent.append((kept.request, len(content)))
        headers: Any = kept.headers
        response = AWSResponse(request.url, kept.status, headers, Raw(kept.content))
        self._seconds.append(time.thread_time() - began)
        return response

    def taken(self) -> float:
        """Return what was spent in here since the last time, in seconds."""
        seconds, self._seconds = sum(self._seconds), []
        self.sent = []
        return seconds


@dataclass(frozen=True, slots=True)
class Context:
    """What Lambda hands to a function beside its event."""

    function_name: str = "bench"
    function_version: str = "1"
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:bench"
    memory_limit_in_mb: int = 1024
    aws_request_id: str = "00000000-0000-4000-8000-000000000000"


def main() -> None:
    """Measure every scene that is there; write the samples, in milliseconds, as JSON."""
    recorded, functions, target = map(Path, sys.argv[1:])
    recording = Recording.read(recorded)
    os.environ.update(recording.environ)
    wire = Wire()
    setattr(URLLib3Session, "send", lambda _, request: wire.send(request))  # noqa: B010
    setattr(SystemClock, "now", lambda _: recording.moment)  # noqa: B010
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        sys.stdout = nowhere
        from benchmarks.by_hand import HANDLERS  # noqa: PLC0415  # reads the environment

        handlers = _functions(recording, functions)
        samples = {
            scene.name: _samples(wire, scene, handlers[scene.function], HANDLERS.get(scene.name))
            for scene in recording.scenes
            if scene.function in handlers
        }
    target.write_text(json.dumps(samples), encoding="utf-8")


def _functions(recording: Recording, folder: Path) -> dict[str, Handler]:
    """Import the functions behind the API as Lambda would."""
    found = {}
    for scene in recording.scenes:
        is_http = scene.function == "cancel_post" or scene.function.endswith("_api")
        if is_http and scene.function not in found:
            name = "".join(word.capitalize() for word in scene.function.split("_")) + "Function"
            spec = importlib.util.spec_from_file_location(
                f"function_{scene.function}", folder / name / "app.py"
            )
            if spec is None or spec.loader is None:
                raise ImportError(name)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            found[scene.function] = module.handler
    return found


def _samples(
    wire: Wire, scene: Scene, handler: Handler, by_hand: Callable[[Any], Any] | None
) -> dict[str, list[float]]:
    wire.play(scene)
    service = partial(handler, scene.event, Context())
    subjects: dict[str, Callable[[], Any]] = {"service": service}
    if by_hand is not None:
        subjects["by hand"] = partial(by_hand, scene.event)
        check_alike(scene.name, *(played(wire, each) for each in subjects.values()))
    timed = {name: partial(_sample, wire, each) for name, each in subjects.items()}
    interleaved(timed, 2)
    return interleaved(timed, ROUNDS)


def _sample(wire: Wire, request: Callable[[], Any]) -> float:
    wire.taken()
    began = time.process_time()
    for _ in range(REQUESTS):
        request()
    seconds = time.process_time() - began - wire.taken()
    return seconds / REQUESTS * 1000


@dataclass(frozen=True, slots=True)
class Played:
    """What came of one request: its answer, and what was sent for it."""

    answer: Mapping[str, Any]
    sent: list[tuple[str, int]]


def played(wire: Wire, request: Callable[[], Any]) -> Played:
    """Make one request."""
    wire.taken()
    answer = request()
    return Played(answer, list(wire.sent))


def check_alike(name: str, service: Played, by_hand: Played) -> None:
    """Make sure that two made the same calls, with the same in them, and answered the same.

    What differs in every request, identifiers and moments, may differ. Names of placeholders may,
    and so each call may be some bytes longer or shorter.

    Raises:
        ValueError: They did not.
    """
    ours, theirs = (Counter(each for each, _ in played.sent) for played in (service, by_hand))
    if ours != theirs:
        raise ValueError(f"{name}: calls differ: {ours - theirs}, by hand {theirs - ours}")
    ours_bytes, theirs_bytes = (
        sum(size for _, size in played.sent) for played in (service, by_hand)
    )
    if not 0.85 <= theirs_bytes / ours_bytes <= 1.15:
        raise ValueError(f"{name}: sends {ours_bytes} bytes, by hand {theirs_bytes}")
    if shape(service.answer) != shape(by_hand.answer):
        raise ValueError(
            f"{name}: answers {shape(service.answer)}, by hand {shape(by_hand.answer)}"
        )


def shape(answer: Mapping[str, Any]) -> Any:
    """Return what an answer has in it: status, names of headers, and the form of its body."""
    body = _form(json.loads(answer["body"]))
    return answer["statusCode"], sorted(answer["headers"]), body


def _form(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _form(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_form(each) for each in value]
    return type(value).__name__


if __name__ == "__main__":
    main()
