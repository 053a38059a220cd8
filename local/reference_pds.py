"""The reference Bluesky server on this machine, for tests: installed by npm, on loopback only.

    python -m local.reference_pds install      # into .local/reference_pds, once
    python -m local.reference_pds serve        # run it until interrupted

In a program::

    with ReferencePds.start(folder) as pds:
        account = pds.create_account("alice.test")
        … pds.url, account.did, account.app_password

It needs Node 18 or newer. ``better-sqlite3`` is compiled on the way unless a built one can be
fetched, for which npm wants a C++ compiler and Node's own header files.

``package.json`` pins the server's own packages to the versions it was released with: with newer
ones, which its ranges allow, a post with a picture is answered 200 and can never be read back.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local import paths
from local.tools import (
    LocalError,
    answers,
    clean_environment,
    fingerprint,
    free_ports,
    read_json,
    say,
    wait_until,
    write_json,
)

SOURCE = paths.ROOT / "local" / "reference_pds"
HOME = paths.LOCAL / "reference_pds"
START_SECONDS = 60.0
STOP_SECONDS = 10.0
CALL_SECONDS = 30.0

_INSTALLED = HOME / "installed.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account made on the reference server."""

    handle: str
    did: str
    password: str = field(repr=False)
    app_password: str = field(repr=False)


def install() -> Path:
    """Install the server unless this very version is there already; show npm's progress.

    Returns:
        The folder it lies in.

    Raises:
        LocalError: There is no Node or npm, or npm failed; npm's own words are on the terminal.
    """
    mark = {"source": fingerprint([SOURCE]), "node": _node_version()}
    HOME.parent.mkdir(parents=True, exist_ok=True)
    with HOME.with_suffix(".lock").open("w") as lock:
        # Whoever comes second waits here and then finds it done.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if read_json(_INSTALLED) != mark:
            _install_anew()
            write_json(_INSTALLED, mark)
    return HOME


def _install_anew() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise LocalError("npm is needed for the reference server and is not on the PATH")
    say("installing the reference Bluesky server with npm (a minute or two, once)")
    # From nothing: what an earlier version left behind would change which versions npm picks.
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    for file in SOURCE.iterdir():
        if file.is_file():
            shutil.copyfile(file, HOME / file.name)
    command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--omit=dev"]
    # To the terminal, not to a file: it is the progress that people wait by.
    done = subprocess.run(
        command,
        cwd=HOME,
        env=_npm_environment(),
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        check=False,
    )
    if done.returncode != 0:
        raise LocalError(f"npm install failed ({done.returncode}) in {paths.shown(HOME)}")


class ReferencePds:
    """A running reference server. Everything it keeps goes away with it."""

    def __init__(self, url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
        """Use :meth:`start`."""
        self.url = url
        self._process = process
        self._folder = folder

    @classmethod
    def start(cls, folder: Path) -> Self:
        """Install the server if needed, start it and wait until it answers.

        Args:
            folder: For its data and its log; the data is removed by :meth:`stop`.

        Raises:
            LocalError: It could not be installed, or did not come up.
        """
        home = install()
        folder.mkdir(parents=True, exist_ok=True)
        data = Path(tempfile.mkdtemp(prefix="pds-", dir=folder))
        port, plc_port = free_ports(2)
        log = data / "server.log"
        command = [_node(), str(home / "server.mjs"), "--data", str(data / "data")]
        command += ["--port", str(port), "--plc-port", str(plc_port)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=home,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        server = cls(f"http://127.0.0.1:{port}", process, data)

        def is_up() -> bool:
            if process.poll() is not None:
                said = log.read_text(encoding="utf-8", errors="replace")
                raise LocalError(f"the reference Bluesky server ended:\n{said[-4000:]}")
            return answers(f"{server.url}/xrpc/_health")

        try:
            wait_until("the reference Bluesky server", is_up, seconds=START_SECONDS)
        except BaseException:
            # Also when the tests are interrupted: nobody else knows of the process.
            server.stop()
            raise
        return server

    def stop(self) -> None:
        """Stop the server and remove its data."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder)

    def __enter__(self) -> Self:
        """Return itself; it runs already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def create_account(self, handle: str) -> Account:
        """Make an account with a password and an app password.

        Args:
            handle: Ends in ``.test``, its first label is 3 to 18 characters long.

        Raises:
            LocalError: The server refused.
        """
        password = secrets.token_hex(16)
        made = self.call(
            "com.atproto.server.createAccount",
            {"handle": handle, "email": f"{handle}@example.test", "password": password},
        )
        app = self.call(
            "com.atproto.server.createAppPassword",
            {"name": "postbreeze"},
            token=str(made["accessJwt"]),
        )
        return Account(
            handle=handle,
            did=str(made["did"]),
            password=password,
            app_password=str(app["password"]),
        )

    def records(self, repo: str, collection: str = "app.bsky.feed.post") -> list[dict[str, Any]]:
        """Return the records of an account as ``{uri, cid, value}``, newest key first."""
        answer = self.call(
            f"com.atproto.repo.listRecords?repo={repo}&collection={collection}&limit=100"
        )
        return list(answer["records"])

    def call(
        self, method: str, body: Mapping[str, Any] | None = None, *, token: str | None = None
    ) -> Mapping[str, Any]:
        """Make one XRPC call: POST with a body, GET without.

        Raises:
            LocalError: The answer was an error; the message holds its name and message.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(
            f"{self.url}/xrpc/{method}",
            data=None if body is None else json.dumps(body).encode(),
            headers=headers,
        )
        # A proxy of the user's environment has no business on the loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=CALL_SECONDS) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                said = error.read().decode(errors="replace")
            raise LocalError(f"{method} was answered {error.code}: {said}") from error
        if not isinstance(answer, dict):
            raise LocalError(f"{method} was not answered with an object")
        return answer


def _npm_environment() -> dict[str, str]:
    """Let a compiler use the headers that came with Node, if they did, instead of fetching them."""
    environment = clean_environment()
    prefix = Path(_node()).resolve().parent.parent
    if (prefix / "include" / "node" / "node.h").is_file():
        environment.setdefault("npm_config_nodedir", str(prefix))
    return environment


def _node() -> str:
    node = shutil.which("node")
    if node is None:
        raise LocalError("Node 18 or newer is needed for the reference server")
    return node


def _node_version() -> str:
    told = subprocess.run([_node(), "--version"], capture_output=True, text=True, check=True)
    return told.stdout.strip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Install the server, or run it until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m local.reference_pds", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("command", choices=["install", "serve"])
    options = parser.parse_args(arguments)
    try:
        if options.command == "install":
            say(f"the reference Bluesky server is in {paths.shown(install())}")
            return 0
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        with ReferencePds.start(paths.RUN) as server:
            print(json.dumps({"url": server.url, "pid": os.getpid()}), flush=True)
            stop.wait()
    except LocalError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
