"""Independent calls at once, on a few threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
from threading import Lock, Timer
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

THREADS: Final = 8


class ThreadPool:
    """Runs calls on up to eight threads, and on eight others what nobody waits for to the end.

    They are apart because late attempts go on for seconds, and what is waited for must not queue
    behind them. The threads are started by the first use, so that a process may be frozen and
    copied before.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self._running = _Threads("run")
        self._attempting = _Threads("attempt")

    def run(self, *calls: Callable[[], Any]) -> tuple[Any, ...]:
        """Return all results in order; raises the first error after all have ended."""
        if not calls:
            return ()
        # The caller's own thread would only wait, and handing a call over takes time.
        first, *others = calls
        futures = self._running.submit(others) if others else []
        try:
            result = first()
        finally:
            wait(futures)
        return (result, *(future.result() for future in futures))

    def attempt(self, *calls: Callable[[], None], seconds: float) -> Sequence[Exception | None]:
        """Return each call's error or None within that time; a late one is a ``TimeoutError``.

        A late call is not stopped: it ends by its own time-outs, and nobody looks at how.
        """
        futures = self._attempting.submit(calls)
        wait(futures, timeout=seconds)
        return tuple(_outcome(future) for future in futures)


class TimerWatch:
    """Looks after calls from a thread of its own, which ends with the call."""

    def over(
        self, call: Callable[[], Result], *, after: timedelta, then: Callable[[], None]
    ) -> Result:
        """Make a call; where it has not ended after that long, do something else meanwhile, once.

        Returns, or raises, what the call does, after both have ended.
        """
        timer = Timer(after.total_seconds(), then)
        timer.start()
        try:
            return call()
        finally:
            timer.cancel()
            timer.join()


class _Threads:
    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = Lock()
        self._pool: ThreadPoolExecutor | None = None

    def submit(self, calls: Sequence[Callable[[], Any]]) -> list[Future[Any]]:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix=self._name)
        return [self._pool.submit(call) for call in calls]


def _outcome(future: Future[Any]) -> Exception | None:
    if not future.done():
        future.cancel()
        return TimeoutError("the call did not end in time")
    error = future.exception()
    if error is None or isinstance(error, Exception):
        return error
    raise error
