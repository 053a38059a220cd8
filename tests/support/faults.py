"""Making ports fail, before or after they act."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeVar, cast

from postbreeze.domain.errors import UnavailableError


class When(Enum):
    """Where a call is cut off."""

    BEFORE = auto()
    AFTER = auto()


@dataclass(frozen=True)
class Fault:
    """What becomes of one call; ``error`` None lets it through."""

    error: Exception | None
    when: When = When.BEFORE


def before(error: Exception | None = None) -> Fault:
    """Return the fault of a call that never arrives."""
    return Fault(error or UnavailableError("never arrived"), When.BEFORE)


def after(error: Exception | None = None) -> Fault:
    """Return the fault of a call that takes effect and whose answer is lost."""
    return Fault(error or UnavailableError("answer lost"), When.AFTER)


def through() -> Fault:
    """Return no fault, to put between others."""
    return Fault(None)


class Faulty:
    """A port whose next calls of some methods fail as told, one fault for each call, in order."""

    def __init__(self, port: object, faults: Mapping[str, Iterable[Fault]]) -> None:
        for method in faults:
            if not callable(getattr(port, method)):
                raise TypeError(f"{method} is not a method of the port")
        self._port = port
        self._lock = threading.Lock()
        self._faults = defaultdict(deque, {name: deque(each) for name, each in faults.items()})

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._port, name)
        if name not in self._faults:
            return attribute

        def call(*given: Any, **named: Any) -> Any:
            fault = self._next(name)
            if fault.error is not None and fault.when is When.BEFORE:
                raise fault.error
            result = attribute(*given, **named)
            if fault.error is not None:
                raise fault.error
            return result

        return call

    def _next(self, name: str) -> Fault:
        with self._lock:
            faults = self._faults[name]
            return faults.popleft() if faults else through()


_Port = TypeVar("_Port")


def faulty(port: _Port, **faults: Iterable[Fault]) -> _Port:
    """Wrap a port, as in ``faulty(posts, commit=[after(), before()])``; its type stays."""
    return cast("_Port", Faulty(port, faults))


@contextmanager
def answers_lost(client: Any, operation: str, *, times: int) -> Iterator[list[str]]:
    """Make a botocore client take its next answers to an operation for lost, and ask again.

    Every request arrives and is acted on; only the SDK's own retries can tell.
    """
    lost: list[str] = []

    def lose(attempts: int, **_: Any) -> int | None:
        if len(lost) >= times:
            return None
        lost.append(operation)
        return 0

    event = f"needs-retry.dynamodb.{operation}"
    client.meta.events.register_first(event, lose)
    try:
        yield lost
    finally:
        client.meta.events.unregister(event, lose)
