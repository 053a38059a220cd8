"""Whatever cannot be repaired, however slow it is and wherever runs die: all else is repaired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postbreeze.domain import lifecycle
from postbreeze.domain.errors import UnavailableError
from postbreeze.domain.post import PostStatus
from postbreeze.operations.reconcile import AT_ONCE
from tests.support.core import A_MINUTE, AN_HOUR, Core, DiedError
from tests.support.fakes import START
from tests.support.proof import Proved, share

STOPPED = timedelta(seconds=50)
"""When Lambda stops a run."""

MOST_ITEMS = 5 * AT_ONCE
MOST_RUNS = 40
"""A run does eight of a kind at least, and begins elsewhere each time. The worst that was ever
found needs half as many."""

BROKEN = (UnavailableError("Query: a post lacks a target that it names"), ValueError("no status"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What is due of each kind, True where it can be repaired, and what goes wrong meanwhile."""

    overdue: Sequence[bool]
    unarmed: Sequence[bool]
    events: Sequence[bool]
    a_call: timedelta
    """How much of a run's time each call of a port takes, of which eight are under way at once."""
    deaths: Sequence[int]
    """After how many calls the first runs die."""
    is_doubled: bool
    """Whether another run begins, and ends, in the middle of each."""


def mixed(most: int) -> st.SearchStrategy[Sequence[bool]]:
    """Some that can be repaired among others that cannot, or behind them."""
    stretches = st.lists(st.tuples(st.booleans(), st.integers(1, most // 2)), max_size=6)
    return stretches.map(lambda parts: [can for can, times in parts for _ in range(times)][:most])


troubles = st.builds(
    Trouble,
    overdue=mixed(MOST_ITEMS),
    unarmed=mixed(MOST_ITEMS),
    events=mixed(MOST_ITEMS),
    a_call=st.sampled_from([timedelta(milliseconds=ms) for ms in (1, 100, 500)]),
    deaths=st.lists(st.integers(1, 200), max_size=4),
    is_doubled=st.booleans(),
)


@dataclass
class Service:
    """A core with all that is due, whose calls take time, fail and die."""

    trouble: Trouble
    core: Core = field(default_factory=Core)
    broken: set[str] = field(default_factory=set)
    calls_left: int | None = None
    is_inside: bool = False
    stopped_at: datetime = START

    def __post_init__(self) -> None:
        core, trouble = self.core, self.trouble
        self.overdue = [core.created(1).id for _ in trouble.overdue]
        core.schedules.armed.clear()
        late = core.clock.at + 2 * AN_HOUR
        core.fails("schedules.arm", *[UnavailableError("down")] * len(trouble.unarmed))
        self.unarmed = [core.created(1, scheduled_for=late).id for _ in trouble.unarmed]
        for post_id in (*self.overdue, *self.unarmed):
            for event in core.posts.timeline(post_id):
                core.fan_out(post_id, event.id)
        core.waiting.clear()
        core.bus.announced.clear()
        core.delivery_queue.sent.clear()
        core.webhooks._deliveries.clear()
        self.events = [core.created(scheduled_for=None).id for _ in trouble.events]
        core.bus.announced.clear()
        for ids, can in (
            (self.overdue, trouble.overdue),
            (self.unarmed, trouble.unarmed),
            (self.events, trouble.events),
        ):
            self.broken |= {each for each, works in zip(ids, can, strict=True) if not works}
        core.clock.advance(AN_HOUR + lifecycle.OVERDUE_AFTER)
        self.read, self.announce_all = core.posts.read, core.bus.announce_all
        core.posts.read = self._read  # type: ignore[method-assign]  # fails for some, always
        core.bus.announce_all = self._announce_all  # type: ignore[method-assign]  # so does this
        core.tap = self._tap

    def run(self, number: int) -> None:
        """Reconcile once, and perhaps die."""
        deaths = self.trouble.deaths
        self.calls_left = deaths[number] if number < len(deaths) else None
        self.is_inside = False
        began = self.core.clock.at
        self.stopped_at = began + STOPPED
        with suppress(DiedError):
            self.core.reconcile()
        self.core.clock.at = began + A_MINUTE

    def left(self) -> Collection[str]:
        """Return what can be repaired and has not been."""
        announced = {post_id for post_id, _ in self.core.bus.announced}
        done = {
            *announced.intersection(self.events),
            *(each for each in self.overdue if self._status(each) is not PostStatus.SCHEDULED),
            *(each for each in self.unarmed if self._is_armed(each)),
        }
        return {*self.overdue, *self.unarmed, *self.events} - self.broken - done

    def _status(self, post_id: str) -> PostStatus:
        return self.core.post(post_id).status if post_id not in self.broken else PostStatus.DRAFT

    def _is_armed(self, post_id: str) -> bool:
        return post_id not in self.broken and self.core.post(post_id).workflow_id is not None

    def _read(self, post_id: str) -> Any:
        if post_id in self.broken:
            raise BROKEN[sum(post_id.encode()) % len(BROKEN)]
        return self.read(post_id)

    def _announce_all(self, events: Sequence[tuple[str, str]]) -> None:
        """Announce what can be, as SNS does, which answers for each event by itself."""
        self.announce_all([each for each in events if each[0] not in self.broken])
        if not self.broken.isdisjoint(post_id for post_id, _ in events):
            raise UnavailableError("PublishBatch: InternalError")

    def _tap(self, name: str, call: Callable[[], Any]) -> Any:
        if self.calls_left is not None:
            self.calls_left -= 1
            if self.calls_left < 0:
                raise DiedError
        if self.core.clock.advance(self.trouble.a_call) >= self.stopped_at:
            raise DiedError
        if self.trouble.is_doubled and name == "posts.commit" and not self.is_inside:
            self.is_inside = True
            self.core.reconcile()
        return call()


def test_what_can_be_repaired_is_repaired_whatever_else_cannot_be(
    proved: Callable[[Proved], None],
) -> None:
    needed: Counter[int] = Counter()

    @settings(
        max_examples=share(tested=15, proved=200),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(troubles)
    def repaired_in_the_end(trouble: Trouble) -> None:
        # Given
        service = Service(trouble)
        # When
        runs = 0
        while service.left() and runs < MOST_RUNS + len(trouble.deaths):
            service.run(runs)
            runs += 1
        # Then
        assert not service.left(), f"{runs} runs were not enough: {trouble}"
        needed[runs] += 1

    repaired_in_the_end()
    proved(
        Proved(
            what=f"all is repaired beside what cannot be, in {max(needed)} runs at most",
            count=needed.total(),
            unit="backlogs",
        )
    )
