"""Looking after calls that may take long."""

from __future__ import annotations

import threading
from datetime import timedelta
from threading import Event

import pytest

from postbreeze.adapters.concurrency import TimerWatch

AN_HOUR = timedelta(hours=1)
AT_ONCE = timedelta(0)
PATIENCE = 30


def timers() -> list[threading.Thread]:
    """Return the timers that have not ended."""
    return [each for each in threading.enumerate() if isinstance(each, threading.Timer)]


def test_a_call_that_ends_in_time_is_left_alone() -> None:
    # Given
    happened = Event()
    # When / Then
    assert TimerWatch().over(lambda: 7, after=AN_HOUR, then=happened.set) == 7
    assert not happened.is_set()
    assert timers() == []


def test_something_is_done_beside_a_call_that_takes_long() -> None:
    # Given
    happened = Event()
    # When / Then
    assert TimerWatch().over(lambda: happened.wait(PATIENCE), after=AT_ONCE, then=happened.set)


def test_a_call_does_not_end_before_what_is_done_beside_it() -> None:
    # Given
    began, may_end, ended = Event(), Event(), Event()

    def beside() -> None:
        began.set()
        assert may_end.wait(PATIENCE)
        ended.set()

    def call() -> None:
        assert began.wait(PATIENCE)
        may_end.set()

    # When
    TimerWatch().over(call, after=AT_ONCE, then=beside)
    # Then
    assert ended.is_set()


def test_a_call_that_fails_fails() -> None:
    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        TimerWatch().over(fails, after=AN_HOUR, then=lambda: None)
    assert timers() == []
