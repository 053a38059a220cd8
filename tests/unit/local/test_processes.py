"""Background processes are found again by their pid file, and end with all their children."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from local.processes import Background
from local.tools import LocalError, read_json, wait_until, write_json

# Starts a child of its own, tells its pid in a file, and ignores nothing.
PARENT = (
    "import pathlib, subprocess, sys, time;"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "pathlib.Path('child').write_text(str(child.pid) + '.');"
    "time.sleep(600)"
)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def started(folder: Path, program: str) -> Background:
    process = Background(name="example", folder=folder)
    process.start([sys.executable, "-c", program], env=dict(os.environ), cwd=folder)
    return process


def test_stopping_ends_the_process_and_its_children(tmp_path: Path) -> None:
    # Given
    process = started(tmp_path, PARENT)
    told = tmp_path / "child"
    wait_until("the child", lambda: told.exists() and told.read_text().endswith("."), seconds=20)
    child = int(told.read_text().removesuffix("."))
    again = Background(name="example", folder=tmp_path)
    assert again.pid() is not None
    # When
    assert again.stop()
    # Then
    wait_until("the child's end", lambda: not is_running(child), seconds=20)
    assert again.pid() is None
    assert not again.pid_file.exists()
    assert not again.stop()
    assert process.pid() is None


def test_a_pid_that_now_belongs_to_another_program_is_left_alone(tmp_path: Path) -> None:
    # Given a pid file of a process that ended, whose pid this test has been given since
    process = Background(name="example", folder=tmp_path)
    write_json(process.pid_file, {"pid": os.getpid(), "began": "long ago"})
    # When / Then
    assert process.pid() is None
    assert not process.stop()


def test_a_process_that_ended_says_why_and_is_gone(tmp_path: Path) -> None:
    # Given
    process = started(tmp_path, "raise SystemExit('no such port')")
    pid = json.loads(process.pid_file.read_text("utf-8"))["pid"]
    wait_until("its end", lambda: process.pid() is None, seconds=20)
    # When / Then
    with pytest.raises(LocalError, match="no such port"):
        process.check()
    # And it is not left as a zombie
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    process.stop()


def test_one_process_is_not_started_twice(tmp_path: Path) -> None:
    process = started(tmp_path, "import time; time.sleep(600)")
    try:
        with pytest.raises(LocalError, match="runs already"):
            process.start([sys.executable, "-c", ""], env={}, cwd=tmp_path)
    finally:
        process.stop()


def test_a_json_file_is_for_this_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "below" / "keys.json"
    write_json(file, {"key": "value"})
    assert read_json(file) == {"key": "value"}
    assert file.stat().st_mode & 0o077 == 0
    assert read_json(tmp_path / "none.json") is None
