"""The function workers of a stack's own engine, which can be killed in the middle of their work."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from local.processes import Background


class Workers:
    """Those of one stack; only Linux says which processes they are."""

    def __init__(self, stack: Mapping[str, Any]) -> None:
        folder = Path(stack["receiver"]["log"]).resolve().parent
        pid = Background(name="engine", folder=folder).pid()
        if pid is None:
            raise AssertionError(f"no engine runs in {folder}")
        self._engine = pid
        self._prefix = f"{stack['stackName']}-"
        self._names: dict[int, str] = {}
        self.kills: Counter[tuple[str, str]] = Counter()
        """How many were killed, by their function's name and whether they were at work."""

    def kill(self, name: str, delay: float, *, even_idle: bool) -> bool:
        """Kill one of a function's workers; at work if one is seen to be, within half a second."""
        workers = [pid for pid, function in self._all() if function == name]
        for _ in range(100):
            for pid in workers:
                if _stat(pid)[:1] == ["R"]:
                    time.sleep(delay)
                    return self._end(pid, name, "at work")
            time.sleep(0.005)
        return even_idle and bool(workers) and self._end(workers[0], name, "idle")

    def _all(self) -> Iterator[tuple[int, str]]:
        """Yield each worker of the engine, by its process, with its function's name."""
        for process in Path("/proc").glob("[0-9]*"):
            pid = int(process.name)
            if pid not in self._names and _parent(pid) == self._engine:
                with suppress(OSError):
                    for variable in (process / "environ").read_bytes().split(b"\0"):
                        name, _, value = variable.partition(b"=")
                        if name == b"AWS_LAMBDA_FUNCTION_NAME":
                            self._names[pid] = value.decode().removeprefix(self._prefix)
            if pid in self._names:
                yield pid, self._names[pid]

    def _end(self, pid: int, name: str, how: str) -> bool:
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                # The number may have gone to another process since; the handle cannot.
                if _parent(pid) == self._engine:
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    self.kills[name, how] += 1
                    return True
            finally:
                os.close(handle)
        return False


def _stat(pid: int) -> list[str]:
    """Return a process's state, its parent and so on; nothing where it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _parent(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[1]) if fields else None
