"""A function in a process of its own, under Lambda's runtime interface client and emulator."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks.builds import PLACE, Builds, Code
from local import paths
from local.tools import LocalError, free_ports, machine, port_is_taken, wait_until

_INVOCATIONS = "/2015-03-31/functions/function/invocations"
_INIT = re.compile(r"INIT REPORT\(durationMs: ([\d.]+)\)")
_INVOKE = re.compile(r"INVOKE RTDONE\(status: (\w+), produced bytes: \d+, duration: ([\d.]+)ms\)")
_START_SECONDS = 10.0
_ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """What one process took, in milliseconds, and in bytes at most.

    ``init`` is from its start until it asked for its first event, ``first`` until it had answered
    it; ``cpu`` is what it had computed by then.
    """

    init: float
    first: float
    cpu: float
    peak_bytes: int


def emulator() -> Path:
    """Return the emulator, which the SAM command line brings, as a program.

    Raises:
        LocalError: It is not there.
    """
    place = paths.SAM.parent.parent
    found = list(place.glob(f"lib/python*/site-packages/samcli/local/rapid/*-{machine()}"))
    if not found:
        raise LocalError("the SAM command line brings no emulator for this machine")
    [brought] = found
    kept = PLACE / brought.name
    if not kept.exists():
        shutil.copyfile(brought, kept)
        kept.chmod(0o755)
    return kept


class Running:
    """A function's process, not started before its first event comes."""

    def __init__(self, emulator: subprocess.Popen[bytes], port: int, log: Path) -> None:
        """Invoke nothing yet."""
        self._emulator = emulator
        self._port = port
        self._log = log

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Hand over an event and return the answer.

        Raises:
            LocalError: The function failed.
        """
        connection = HTTPConnection("127.0.0.1", self._port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("POST", _INVOCATIONS, body=json.dumps(event))
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        if isinstance(answer, dict) and "errorMessage" in answer:
            raise LocalError(f"the function failed: {answer}")
        return answer

    def told(self) -> ColdStart:
        """Tell what was measured, after the first answer."""
        wait_until("the emulator's report", lambda: bool(self._reports()), seconds=_START_SECONDS)
        text = self._log.read_text(encoding="utf-8", errors="replace")
        init = float(_INIT.findall(text)[0])
        return ColdStart(
            init=init,
            first=init + float(self._reports()[0]),
            cpu=self.cpu(),
            peak_bytes=self.peak_bytes(),
        )

    def cpu(self) -> float:
        """Return what the process has computed, in milliseconds, threads that ended included."""
        # As clock_getcpuclockid(3) makes it.
        return time.clock_gettime((~self._runtime() << 3) | 2) * 1000

    def peak_bytes(self) -> int:
        """Return the most memory that the process has had resident."""
        status = Path(f"/proc/{self._runtime()}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def _reports(self) -> list[str]:
        text = self._log.read_text(encoding="utf-8", errors="replace")
        return [duration for status, duration in _INVOKE.findall(text) if status == "success"]

    def _runtime(self) -> int:
        pid = self._emulator.pid
        children = [
            child
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text(encoding="ascii").split()
        ]
        return int(children[0])


@contextmanager
def running(
    builds: Builds, code: Code, environ: Mapping[str, str], *, name: str
) -> Iterator[Running]:
    """Have a function wait for its first event, and end it afterwards."""
    log = PLACE / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    emulator_port, runtime_port = free_ports(2)
    command = [
        str(emulator()),
        "--log-level",
        "info",
        "--runtime-interface-emulator-address",
        f"127.0.0.1:{emulator_port}",
        "--runtime-api-address",
        f"127.0.0.1:{runtime_port}",
        str(builds.python),
        "-m",
        "awslambdaric",
        "app.handler",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=code.function,
            env={**_environment(code, name), **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    try:
        wait_until("the emulator", lambda: port_is_taken(emulator_port), seconds=_START_SECONDS)
        yield Running(process, emulator_port, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cold_start(
    builds: Builds,
    code: Code,
    environ: Mapping[str, str],
    event: Mapping[str, Any],
    *,
    name: str,
) -> ColdStart:
    """Start a function in a new process, have it answer one event, and end it."""
    with running(builds, code, environ, name=name) as function:
        function.invoke(event)
        return function.told()


def _environment(code: Code, name: str) -> dict[str, str]:
    """Return what Lambda sets, and nothing of this process's own."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": str(code.layers),
        # On Lambda the code is read-only: what is compiled at a start is lost with it.
        "PYTHONDONTWRITEBYTECODE": "1",
        "LAMBDA_TASK_ROOT": str(code.function),
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_LEVEL": "INFO",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SESSION_TOKEN": "test",
    }
