"""Code that waits in virtual time."""

from __future__ import annotations

import random

import pytest

from benchmarks.virtual import Time


def test_what_waits_goes_on_when_its_moment_comes() -> None:
    # Given three that wait for different times, twice each
    time, told = Time(), list[tuple[str, float]]()

    def wait(name: str, seconds: float) -> None:
        for _ in range(2):
            time.sleep(seconds)
            told.append((name, time.now))

    for name, seconds in (("slow", 5.0), ("quick", 1.0), ("middling", 2.0)):
        time.begin(lambda name=name, seconds=seconds: wait(name, seconds))  # type: ignore[misc]
    # When all is let happen
    time.run()
    # Then it happened in the order of its moments; whoever waited first comes first
    assert told == [
        ("quick", 1),
        ("middling", 2),
        ("quick", 2),
        ("middling", 4),
        ("slow", 5),
        ("slow", 10),
    ]


def test_something_can_be_done_at_a_moment() -> None:
    moments: list[float] = []
    time = Time(moments.append)
    told: list[float] = []
    for moment in (3, 1, 2):
        time.at(moment, lambda: told.append(time.now))
    time.run()
    assert told == moments == [1, 2, 3]


def test_what_is_done_together_takes_as_long_as_the_longest() -> None:
    time, ended = Time(), list[float]()

    def wait(seconds: float) -> float:
        time.sleep(seconds)
        if seconds > 2:
            raise ValueError(seconds)
        return seconds

    def lane() -> None:
        outcomes = time.together([lambda: wait(2), lambda: wait(3), lambda: wait(1)])
        ended.append(time.now)
        (two, _), (_, error), (one, _) = outcomes
        assert (two, one) == (2, 1)
        assert isinstance(error, ValueError)
        # Where the first is the last to end, nobody is waited for.
        time.together([lambda: wait(2), lambda: wait(1)])
        ended.append(time.now)
        assert time.together([]) == []

    time.begin(lane)
    time.run()
    assert ended == [3, 5]


def test_an_error_ends_it() -> None:
    time = Time()

    def fail() -> None:
        time.sleep(1)
        raise KeyError("lost")

    time.begin(fail)
    time.at(2, lambda: pytest.fail("went on"))
    with pytest.raises(KeyError):
        time.run()


def test_nothing_waits_before_time_runs() -> None:
    time = Time()
    time.at(0, lambda: None)
    with pytest.raises(RuntimeError):
        time.sleep(1)


def test_so_does_one_between_turns() -> None:
    time = Time()
    time.at(1, lambda: int("x"))
    with pytest.raises(ValueError, match="x"):
        time.run()


def test_many_lanes_always_do_the_same() -> None:
    def play() -> list[tuple[int, float]]:
        time, randomness, told = Time(), random.Random(3), list[tuple[int, float]]()

        def wait(number: int) -> None:
            for _ in range(5):
                time.sleep(randomness.random())
                told.append((number, time.now))

        for number in range(50):
            time.begin(lambda number=number: wait(number))  # type: ignore[misc]
        time.run()
        return told

    assert play() == play()
