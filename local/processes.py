"""Background processes, each in a process group of its own and known by its pid file.

A pid file also holds when the process began, so that a pid the system has given to another program
in the meantime is never signalled.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local import paths
from local.tools import LocalError, read_json, wait_until, write_json

STOP_SECONDS = 10.0

_children: dict[int, subprocess.Popen[bytes]] = {}  # those that this very process started


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """One background process under `folder`: `<name>.pid` and `<name>.log`."""

    name: str
    folder: Path

    @property
    def pid_file(self) -> Path:
        """Where the running process is written down."""
        return self.folder / f"{self.name}.pid"

    @property
    def log_file(self) -> Path:
        """What it writes to standard output and standard error."""
        return self.folder / f"{self.name}.log"

    def pid(self) -> int | None:
        """Return the pid of the running process, or None when it does not run."""
        noted = read_json(self.pid_file)
        if noted is None:
            return None
        pid = int(noted["pid"])
        _reap(pid)
        return pid if noted["began"] == _began(pid) is not None else None

    def start(self, command: list[str], *, env: Mapping[str, str], cwd: Path) -> None:
        """Start it. The caller waits for whatever shows that it is ready.

        Raises:
            LocalError: it runs already.
        """
        if self.pid() is not None:
            message = f"{self.name} runs already as {self.pid()}"
            raise LocalError(message)
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _children[process.pid] = process
        write_json(self.pid_file, {"pid": process.pid, "began": _began(process.pid)})

    def check(self) -> None:
        """Return when it runs.

        Raises:
            LocalError: it has ended; the message ends with its log's last lines.
        """
        if self.pid() is None:
            log = self.log_file.read_text(encoding="utf-8", errors="replace")
            tail = "\n".join(log.splitlines()[-20:])
            message = f"{self.name} ended; {paths.shown(self.log_file)} ends with\n{tail}"
            raise LocalError(message)

    def stop(self) -> bool:
        """Stop it and all its children; tell whether there was anything to stop."""
        pid = self.pid()
        if pid is not None:
            for sign in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, sign)
                with contextlib.suppress(LocalError):
                    wait_until(f"{self.name}'s end", lambda: _is_gone(pid), seconds=STOP_SECONDS)
                    break
        self.pid_file.unlink(missing_ok=True)
        return pid is not None


def _is_gone(group: int) -> bool:
    """Tell whether no process of the group lives."""
    _reap(group)
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def _reap(pid: int) -> None:
    """Let the system forget the process if it was our own child, and has ended."""
    if pid in _children:
        _children[pid].poll()


def _began(pid: int) -> str | None:
    """Return when the process began, as a text that is only good for comparing."""
    stat = Path("/proc") / str(pid) / "stat"
    try:
        # After the name, which may hold anything: the state, 18 more fields, then the start.
        fields = stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except FileNotFoundError:
        if stat.parent.parent.joinpath("self").exists():
            return None
        told = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return told.stdout.strip() or None
    return None if fields[0] == "Z" else fields[19]
