"""Virtual time: ordinary code that waits, in which waiting takes no time.

What waits runs in a lane of its own, a greenlet, and only one lane runs at a time: the one whose
moment comes next. So a run is the same whenever it is repeated.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from greenlet import getcurrent, greenlet

Act = Callable[[], Any]
Outcome = tuple[Any, Exception | None]


class Time:
    """Moments in seconds from 0, and what happens at each.

    ``moved`` is told of every moment that comes.
    """

    def __init__(self, moved: Callable[[float], None] = lambda _: None) -> None:
        """Begin at 0, with nothing to happen."""
        self.now = 0.0
        self._moved = moved
        self._next: list[tuple[float, int, Act]] = []
        self._number = 0
        self._run: greenlet | None = None

    def at(self, moment: float, act: Act) -> None:
        """Have something done at a moment, between the turns of lanes; it must not wait."""
        self._number += 1
        heapq.heappush(self._next, (moment, self._number, act))

    def begin(self, act: Act) -> None:
        """Have something that waits begin now, in a lane of its own."""
        self.at(self.now, greenlet(act, self._run or getcurrent()).switch)

    def sleep(self, seconds: float) -> None:
        """Wait, in a lane."""
        moment = self.now + seconds
        if self._next and self._next[0][0] <= moment:
            self.at(moment, getcurrent().switch)
            self._pass_on()
        else:
            self._move(moment)

    def together(self, acts: Sequence[Act]) -> Sequence[Outcome]:
        """Do all at once, from a lane; return what each has come to, when the last has ended."""
        outcomes: dict[int, Outcome] = {}
        lane = getcurrent()

        def one(number: int) -> None:
            try:
                outcomes[number] = acts[number](), None
            except Exception as error:  # noqa: BLE001  # told to the caller
                outcomes[number] = None, error
            if number and len(outcomes) == len(acts):
                self.at(self.now, lane.switch)

        for number in range(1, len(acts)):
            self.begin(partial(one, number))
        if acts:
            one(0)
        if len(outcomes) < len(acts):
            # The last to end brings this lane back.
            self._pass_on()
        return [outcomes[number] for number in range(len(acts))]

    def run(self) -> None:
        """Let everything happen, until nothing is left; raise what any of it raises."""
        self._run = getcurrent()
        while self._next:
            moment, _, act = heapq.heappop(self._next)
            self._move(moment)
            act()

    def _move(self, moment: float) -> None:
        if moment > self.now:
            self.now = moment
            self._moved(moment)

    def _pass_on(self) -> None:
        if self._run is None:
            raise RuntimeError("nothing waits before time runs")
        self._run.switch()
