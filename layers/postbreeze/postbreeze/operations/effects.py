"""Doing what a committed change leads to.

The commit is the truth and each effect can be repeated, so two ways of doing them are enough:
``attempt`` for a client's request, which must neither fail nor wait because of them, and
``perform`` for the service's own work, which is delivered again if it raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from postbreeze.domain.changes import (
    ArmSchedule,
    Change,
    DisarmSchedule,
    Effect,
    PublishTarget,
    ResolveTarget,
)
from postbreeze.domain.events import Event
from postbreeze.operations.ports import EventBus, PublishQueue, Schedules, Telemetry, Together

_Port = TypeVar("_Port")

PATIENCE_SECONDS = 1.0
"""How long a client's request waits for its effects at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """The ways out; a part that has no use for one gives None, and then may not need it."""

    schedules: Schedules | None
    bus: EventBus | None
    publish_queue: PublishQueue | None
    together: Together
    telemetry: Telemetry

    def attempt(self, change: Change) -> None:
        """Do everything at once, wait a second at most, and never raise.

        What fails or is late is noted; the reconciler makes up for it.
        """
        self._attempt(change.effects, change.events, change.after.id)

    def announce(self, event: Event) -> None:
        """Announce an event that belongs to no change of a post; see ``attempt``."""
        self._attempt((), (event,), event.post_id)

    def _attempt(self, effects: Iterable[Effect], events: Iterable[Event], subject: str) -> None:
        calls = self._calls(effects, events)
        errors = self.together.attempt(*(call for _, call in calls), seconds=PATIENCE_SECONDS)
        for (name, _), error in zip(calls, errors, strict=True):
            if error is not None:
                self.telemetry.count("EffectFailed")
                self.telemetry.warn(
                    "effect failed",
                    effect=name,
                    post_id=subject,
                    error=repr(error),
                )

    def perform(self, change: Change) -> None:
        """Do everything at once.

        Raises:
            UnavailableError: Something failed; doing all of it again is harmless.
        """
        self.perform_all(change.effects, change.events)

    def perform_all(self, effects: Iterable[Effect], events: Iterable[Event] = ()) -> None:
        """Do effects that belong to no change; see ``perform``."""
        self.together.run(*(call for _, call in self._calls(effects, events)))

    def _calls(
        self, effects: Iterable[Effect], events: Iterable[Event]
    ) -> list[tuple[str, Callable[[], None]]]:
        calls: list[tuple[str, Callable[[], None]]] = []
        messages: list[PublishTarget | ResolveTarget] = []
        for effect in effects:
            if isinstance(effect, DisarmSchedule):
                disarm = partial(_needed(self.schedules).disarm, effect.workflow_id)
                calls.append(("DisarmSchedule", disarm))
            elif isinstance(effect, ArmSchedule):
                calls.append(("ArmSchedule", partial(_needed(self.schedules).arm, effect)))
            else:
                messages.append(effect)
        if messages:
            calls.append(
                (
                    "SendMessages",
                    partial(_needed(self.publish_queue).send, tuple(messages)),
                )
            )
        for event in events:
            announce = partial(_needed(self.bus).announce, event)
            calls.append(("Announce", announce))
        return calls


def _needed(port: _Port | None) -> _Port:
    if port is None:
        raise TypeError("a change has an effect that this function was not wired for")
    return port
