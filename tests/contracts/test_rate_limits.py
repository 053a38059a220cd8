"""What every directory promises about how many requests of a key are let through."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postbreeze.adapters.dynamodb.directory import DynamoDirectory
from postbreeze.adapters.dynamodb.registry import DynamoRegistry
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.domain.access import ApiKey
from postbreeze.domain.errors import RateLimitedError
from postbreeze.domain.rate_limits import Standing
from postbreeze.operations.ports import Directory, Registry
from tests.support.aws import Aws
from tests.support.builders import USER_ID, a_key
from tests.support.fakes import FakeClock, FakeWorkspaces
from tests.support.faults import answers_lost

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
"""Where a minute and a quarter of an hour begin."""

MINUTE_END = int(NOON.timestamp()) + 60
QUARTER_END = int(NOON.timestamp()) + 900


@dataclass
class Gate:
    """One table; everybody who asks has a clock of their own unless they share this one."""

    registry: Registry
    directory: Directory
    clock: FakeClock
    at_clock: Callable[[FakeClock], Directory]
    standings: list[Standing] = field(default_factory=list)

    def add(self, minute: int, quarter_hour: int, **changes: Any) -> ApiKey:
        key = a_key(requests_per_minute=minute, requests_per_quarter_hour=quarter_hour, **changes)
        self.registry.add_key(key)
        return key

    def admitted(self, key: ApiKey, times: int) -> int:
        """Ask that often, and tell how often it was let through."""
        return sum(self.asks(key) is None for _ in range(times))

    def asks(self, key: ApiKey) -> int | None:
        """Ask once; return for how many milliseconds it is to wait, None if let through."""
        try:
            assert self.directory.admit(key.digest) == self.registry.key(key.digest)
        except RateLimitedError as error:
            return error.retry_after_ms
        return None


def gate_on(aws: Aws | None) -> Gate:
    clock = FakeClock(NOON)
    standings: list[Standing] = []
    if aws is None:
        fake = FakeWorkspaces(clock, standings.append)

        def fake_at(other: FakeClock) -> Directory:
            sharing = FakeWorkspaces(other, standings.append)
            sharing.__dict__.update({**fake.__dict__, "_clock": other})
            return sharing

        return Gate(fake, fake, clock, fake_at, standings)
    table = aws.tables()["workspaces"]
    database = Database(aws.clients.dynamodb())

    def at(other: FakeClock) -> Directory:
        return DynamoDirectory(
            database, workspaces_table=table, clock=other, meter=standings.append
        )

    registry = DynamoRegistry(database, workspaces_table=table)
    return Gate(registry, at(clock), clock, at, standings)


@pytest.fixture
def gate(aws: Aws | None) -> Gate:
    return gate_on(aws)


def test_requests_are_counted_down_until_the_minute_is_full(gate: Gate) -> None:
    # Given
    key = gate.add(3, 100)
    gate.clock.advance(seconds=20)
    # When
    waits = [gate.asks(key) for _ in range(5)]
    # Then
    assert waits == [None, None, None, 40_000, 40_000]
    assert gate.standings == [
        Standing(limit=3, remaining=remaining, resets_at=MINUTE_END)
        for remaining in (2, 1, 0, 0, 0)
    ]


def test_the_next_minute_begins_anew_and_the_quarter_of_an_hour_goes_on(gate: Gate) -> None:
    # Given
    key = gate.add(3, 7)
    # When it asks four times in each of three minutes
    admitted = []
    for _ in range(3):
        admitted.append(gate.admitted(key, 4))
        gate.clock.advance(minutes=1)
    # Then what was refused was not counted, and the third minute has what the quarter has left
    assert admitted == [3, 3, 1]
    assert gate.asks(key) == 12 * 60_000
    assert gate.standings[-1] == Standing(limit=7, remaining=0, resets_at=QUARTER_END)
    # And when the quarter of an hour has ended, both begin anew
    gate.clock.advance(minutes=12)
    assert gate.admitted(key, 4) == 3


def test_of_two_full_windows_the_one_that_ends_later_is_told(gate: Gate) -> None:
    key = gate.add(2, 2)
    gate.clock.advance(milliseconds=1)
    assert [gate.asks(key) for _ in range(3)] == [None, None, 899_999]


def test_a_window_begins_to_the_millisecond(gate: Gate) -> None:
    # Given
    key = gate.add(1, 100)
    gate.clock.advance(seconds=59, milliseconds=999)
    # Then
    assert [gate.asks(key), gate.asks(key)] == [None, 1]
    gate.clock.advance(milliseconds=1)
    assert [gate.asks(key), gate.asks(key)] == [None, 60_000]


def test_keys_are_counted_apart(gate: Gate) -> None:
    one, other = gate.add(1, 9), gate.add(1, 9)
    assert gate.admitted(one, 2) == 1
    assert gate.admitted(other, 2) == 1


def test_a_key_that_opens_nothing_has_no_limits(gate: Gate) -> None:
    # Given keys with nothing left, of which one then expires and one is revoked
    expiring = gate.add(1, 9, expires_at=NOON + timedelta(seconds=30))
    revoked = gate.add(1, 9)
    for key in (expiring, revoked):
        assert gate.admitted(key, 2) == 1
    gate.registry.replace_key(replace(revoked, revoked_at=NOON, revision=2), expected_revision=1)
    gate.clock.advance(seconds=30)
    told = len(gate.standings)
    # When / Then they are seen as what they are, and nobody is told of their windows
    for key in (expiring, revoked):
        assert gate.admitted(key, 5) == 5
    assert len(gate.standings) == told


def test_a_clock_that_is_behind_opens_no_window_again(gate: Gate) -> None:
    # Given somebody whose clock is ahead, who has opened the next windows
    key = gate.add(2, 5)
    assert gate.admitted(key, 2) == 2
    gate.clock.advance(minutes=16)
    assert gate.admitted(key, 1) == 1
    # When the clock goes back
    gate.clock.advance(minutes=-16)
    # Then what is left is left of those windows, until they end
    assert [gate.asks(key), gate.asks(key)] == [None, 17 * 60_000]
    gate.clock.advance(minutes=17)
    assert gate.admitted(key, 3) == 2


def test_a_key_that_was_replaced_has_its_new_limits_from_there_on(gate: Gate) -> None:
    # Given
    key = gate.add(2, 5)
    assert gate.admitted(key, 3) == 2
    # When
    changed = replace(key, requests_per_minute=3, revision=2)
    gate.registry.replace_key(changed, expected_revision=1)
    # Then it begins once more, with the new limit
    assert gate.admitted(key, 9) == 3


def test_the_list_of_keys_has_all_of_a_key_that_was_counted(gate: Gate) -> None:
    key = gate.add(2, 5, revoked_at=None, expires_at=NOON + timedelta(days=1))
    gate.admitted(key, 1)
    assert gate.registry.keys_of(USER_ID) == [key]


def test_a_lost_answer_costs_a_request_and_never_gives_one(engine: Aws) -> None:
    # Given
    gate = gate_on(engine)
    key = gate.add(4, 100)
    assert gate.admitted(key, 1) == 1
    # When the SDK asks again because an answer was lost
    with answers_lost(engine.clients.dynamodb(), "UpdateItem", times=1) as lost:
        assert gate.asks(key) is None
    # Then it is let through, counted twice
    assert lost == ["UpdateItem"]
    assert gate.admitted(key, 9) == 1


# Races: on the engine and the fake only. moto lets two win.

THREADS = 16


@pytest.fixture(params=["fake", "engine"])
def racing(request: pytest.FixtureRequest) -> Gate:
    return gate_on(None if request.param == "fake" else request.getfixturevalue("engine"))


def race(directories: list[Directory], key: ApiKey, times: int) -> list[Exception | None]:
    """Have everybody ask that often at the same moment; return what each request came to."""
    start = threading.Barrier(len(directories))
    outcomes: list[Exception | None] = []

    def run(directory: Directory) -> None:
        start.wait()
        for _ in range(times):
            try:
                directory.admit(key.digest)
            except Exception as error:  # noqa: BLE001  # looked at by the test
                outcomes.append(error)
            else:
                outcomes.append(None)

    threads = [threading.Thread(target=run, args=(each,)) for each in directories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def kinds(outcomes: list[Exception | None]) -> Counter[str]:
    return Counter(type(each).__name__ for each in outcomes)


def test_as_many_as_are_allowed_get_through_a_window_that_fills(racing: Gate) -> None:
    # Given a window that is open
    key = racing.add(30, 1000)
    assert racing.admitted(key, 1) == 1
    # When
    outcomes = race([racing.directory] * THREADS, key, 4)
    # Then
    assert kinds(outcomes) == {"NoneType": 29, "RateLimitedError": THREADS * 4 - 29}


def test_as_many_as_are_allowed_get_through_windows_that_everybody_opens(racing: Gate) -> None:
    key = racing.add(10, 45)
    for round_ in range(5):
        # Given windows that have ended, or that there never were
        outcomes = race([racing.directory] * THREADS, key, 1)
        # Then one opens the next, and the others find it open
        admitted = 10 if round_ < 4 else 5
        assert kinds(outcomes) == {"NoneType": admitted, "RateLimitedError": THREADS - admitted}
        racing.clock.advance(minutes=1)


def test_clocks_that_differ_let_no_window_have_more(racing: Gate) -> None:
    # Given clocks on both sides of a full minute, and one that is off by much
    key = racing.add(8, 1000)
    for offset in (-70, -1, 1):
        racing.admitted(key, 1)
        clocks = [FakeClock(NOON + timedelta(minutes=1, seconds=offset)) for _ in range(5)]
        clocks += [FakeClock(NOON + timedelta(minutes=1, seconds=-offset)) for _ in range(5)]
        # When
        outcomes = race([racing.at_clock(clock) for clock in clocks], key, 3)
        # Then
        assert set(kinds(outcomes)) <= {"NoneType", "RateLimitedError"}
    # Every request that got through was told a number of its own in its window.
    told = Counter(each for each in racing.standings if each.remaining > 0)
    assert set(told.values()) == {1}
