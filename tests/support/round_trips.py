"""Counting the requests that botocore clients send."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class RoundTrips:
    """What was sent, in order, as ``dynamodb.Query``; repeats of a failed call count too."""

    sent: list[str] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def of(self, service: str) -> list[str]:
        """Return what was sent to one service."""
        return [sent for sent in self.sent if sent.startswith(f"{service}.")]

    def _note(self, event_name: str, **_: Any) -> None:
        self.sent.append(event_name.removeprefix("before-send."))
        self.threads.append(threading.get_ident())


@contextmanager
def round_trips(*clients: Any) -> Iterator[RoundTrips]:
    """Count what these clients send while the block runs."""
    trips = RoundTrips()
    # A handler of its own for each use: handlers are told apart by identity.
    note = trips._note
    for client in clients:
        client.meta.events.register("before-send", note)
    try:
        yield trips
    finally:
        for client in clients:
            client.meta.events.unregister("before-send", note)
