"""Small things the other modules share: waiting, ports, JSON files, finding interpreters."""

from __future__ import annotations

import hashlib
import http
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from local import paths

POLL_SECONDS = 0.05
ANSWER_SECONDS = 10.0


class LocalError(Exception):
    """Something on this machine keeps the local stack from working; the message says what to do."""


def say(message: str) -> None:
    """Show progress on standard error, so that standard output stays usable by programs."""
    sys.stderr.write(f"\033[2m·\033[0m {message}\n" if sys.stderr.isatty() else f"· {message}\n")
    sys.stderr.flush()


def wait_until(what: str, holds: Callable[[], bool], *, seconds: float) -> None:
    """Return as soon as `holds` does.

    Raises:
        LocalError: it did not within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() >= deadline:
            message = f"waited {seconds:.0f} s for {what}"
            raise LocalError(message)
        time.sleep(POLL_SECONDS)


def port_is_taken(port: int) -> bool:
    """Tell whether something listens on the loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_ports(count: int) -> list[int]:
    """Return `count` different loopback ports that nothing listens on at this moment."""
    probes = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def answers(url: str, *, method: str = "GET") -> bool:
    """Tell whether an HTTP server answers at `url`, with any status but one of its own failures."""
    # A proxy of the user's environment has no business on the loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, method=method), timeout=ANSWER_SECONDS):
            return True
    except urllib.error.HTTPError as error:
        with error:
            return error.code < http.HTTPStatus.INTERNAL_SERVER_ERROR
    except OSError:
        return False


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in the file, or None when there is no such file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    value = json.loads(text)
    if not isinstance(value, dict):
        message = f"{paths.shown(path)} does not hold a JSON object"
        raise LocalError(message)
    return value


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace the file as a whole, readable by this user alone: it may hold keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    fresh.replace(path)


def fingerprint(folders: Iterable[Path], *, suffixes: tuple[str, ...] = ()) -> str:
    """Return a digest of names and contents of the files below, caches left out."""
    digest = hashlib.sha256()
    files: set[Path] = set()
    for folder in folders:
        found = folder.rglob("*") if folder.is_dir() else [folder]
        files.update(
            file
            for file in found
            if file.is_file()
            and "__pycache__" not in file.parts
            and (not suffixes or file.suffix in suffixes)
        )
    for file in sorted(files):
        digest.update(f"{file.relative_to(paths.ROOT)}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def run(command: list[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> None:
    """Run a command to its end with its output in `log`.

    Raises:
        LocalError: it failed; the message ends with the log's last lines.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-40:])
        name = Path(command[0]).name
        message = (
            f"{name} {command[1]} failed ({done.returncode}); {paths.shown(log)} ends with\n{tail}"
        )
        raise LocalError(message)


def clean_environment() -> dict[str, str]:
    """Return this environment without what steers AWS clients, Python or make elsewhere."""
    steering = re.compile(
        r"(AWS_|SAM_|PYTHON(PATH|HOME|DONTWRITEBYTECODE)|VIRTUAL_ENV|COV|PYTEST|MAKE|MFLAGS)"
    )
    return {name: value for name, value in os.environ.items() if not steering.match(name)}


def find_python(minor: str) -> Path | None:
    """Return an interpreter of the version given as `3.13`, or None when this machine has none.

    Looks on the PATH and among pyenv's and uv's versions. A found program must run and tell its
    version: version managers leave shims for interpreters that are not switched on.
    """
    homes = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"]
    homes.append(Path.home() / ".local" / "share" / "uv" / "python")
    candidates = [sys.executable]
    candidates += [which for which in [shutil.which(f"python{minor}")] if which]
    for home in homes:
        candidates += [str(found) for found in sorted(home.glob(f"*/bin/python{minor}"))]
    for candidate in candidates:
        asked = subprocess.run(
            [candidate, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode == 0 and asked.stdout.strip() == minor:
            return Path(candidate)
    return None


def machine() -> str:
    """Return this machine's processor in Lambda's words: `arm64` or `x86_64`."""
    return "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"
