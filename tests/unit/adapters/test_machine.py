"""Clock, randomness and threads: the machine's and the fake ones."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from postbreeze.adapters.clock import SystemClock, SystemRandomness
from postbreeze.adapters.concurrency import THREADS, ThreadPool
from postbreeze.operations.ports import Clock, Randomness, Telemetry, Together
from tests.support.fakes import FakeClock, FakeRandomness, FakeTelemetry, FakeTogether


@pytest.mark.parametrize("clock", [SystemClock(), FakeClock()])
def test_a_clock_tells_utc_cut_to_milliseconds(clock: Clock) -> None:
    for _ in range(20):
        now = clock.now()
        assert now.tzinfo is UTC
        assert now.microsecond % 1000 == 0


def test_the_systems_clock_tells_the_present() -> None:
    before = datetime.now(UTC)
    now = SystemClock().now()
    assert abs((now - before).total_seconds()) < 60


@pytest.mark.parametrize("randomness", [SystemRandomness(), FakeRandomness()])
def test_randomness_differs_and_has_the_right_size(randomness: Randomness) -> None:
    tokens = {randomness.token(10) for _ in range(50)}
    fractions = {randomness.fraction() for _ in range(50)}
    assert len(tokens) == 50
    assert {len(token) for token in tokens} == {10}
    assert len(fractions) == 50
    assert all(0 <= fraction < 1 for fraction in fractions)


def test_telemetry_keeps_what_it_is_told() -> None:
    # Given
    fake = FakeTelemetry()
    telemetry: Telemetry = fake
    # When
    telemetry.note("a", message_id=1)
    telemetry.warn("b")
    telemetry.count("C")
    telemetry.count("C", 2)
    # Then
    assert [noted.fields for noted in fake.notes] == [{"message_id": 1}]
    assert [noted.message for noted in fake.warnings] == ["b"]
    assert fake.counts == {"C": 3}


@pytest.fixture(params=[ThreadPool, FakeTogether])
def together(request: pytest.FixtureRequest) -> Together:
    made: Together = request.param()
    return made


def fails(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("number", [0, 1, 2, 3 * THREADS])
def test_results_come_in_order(together: Together, number: int) -> None:
    calls = [lambda each=each: each for each in range(number)]
    assert together.run(*calls) == tuple(range(number))


def test_the_first_error_is_raised_after_all_have_ended(together: Together) -> None:
    # Given
    ended = []
    first, second = ValueError("first"), KeyError("second")
    # When / Then
    with pytest.raises(ValueError, match="first"):
        together.run(
            lambda: ended.append(1),
            lambda: fails(first),
            lambda: fails(second),
            lambda: ended.append(2),
        )
    assert sorted(ended) == [1, 2]


def test_one_call_raises_its_own_error(together: Together) -> None:
    with pytest.raises(KeyError):
        together.run(lambda: fails(KeyError("x")))


def test_an_attempt_returns_each_calls_error(together: Together) -> None:
    # Given
    error = ValueError("no")
    done = []
    # When
    outcomes = together.attempt(lambda: done.append(1), lambda: fails(error), seconds=30)
    # Then
    assert list(outcomes) == [None, error]
    assert done == [1]


def test_calls_run_at_the_same_time() -> None:
    # Given calls that end only if all are under way
    meet = threading.Barrier(THREADS, timeout=30)
    # When / Then
    assert len(ThreadPool().run(*[meet.wait] * THREADS)) == THREADS


def test_a_late_call_is_not_waited_for() -> None:
    # Given
    pool = ThreadPool()
    release = threading.Event()
    ended = threading.Event()

    def late() -> None:
        release.wait(30)
        ended.set()

    # When
    outcomes = pool.attempt(late, lambda: None, seconds=0.05)
    # Then
    assert isinstance(outcomes[0], TimeoutError)
    assert not ended.is_set()
    # And it ends by itself, and the pool goes on
    release.set()
    assert ended.wait(30)
    assert pool.run(lambda: 1, lambda: 2) == (1, 2)


def test_late_attempts_keep_nothing_else_waiting() -> None:
    # Given attempts that hang, more of them than there are threads
    pool = ThreadPool()
    release = threading.Event()
    ended = []

    def hang() -> None:
        release.wait(30)
        ended.append(1)

    outcomes = pool.attempt(*[hang] * 2 * THREADS, seconds=0.05)
    assert all(isinstance(outcome, TimeoutError) for outcome in outcomes)
    # When something is run that must meet, all at once
    meet = threading.Barrier(THREADS, timeout=20)
    met = pool.run(*[meet.wait] * THREADS)
    # Then
    assert sorted(met) == list(range(THREADS))
    assert ended == [], "nothing was run before an attempt had ended"
    release.set()


def test_an_interruption_is_no_outcome() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ThreadPool().attempt(interrupted, seconds=30)


def test_threads_are_started_by_the_first_use_only() -> None:
    # Given
    before = set(threading.enumerate())
    # When
    pool = ThreadPool()
    # Then
    assert set(threading.enumerate()) <= before
    # When
    own, *others = pool.run(*[threading.current_thread] * 3)
    # Then the caller's own thread takes a part
    assert own is threading.current_thread()
    assert not before & set(others)
