"""A loopback HTTP server that answers, or fails to, exactly as it is told."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class Trouble(Enum):
    """What may happen instead of an answer, after the request was read."""

    RESET = "the connection is reset"
    CLOSE = "the connection is closed"
    HANG = "nothing happens"
    HALF = "the answer breaks off in the middle of its body"
    NOISE = "the answer is not HTTP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A proper answer; a body that is not bytes is sent as JSON."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class ScriptedServer:
    """``server.on("createSession", Reply(...), Trouble.RESET)``: by the end of the path, in order.

    The last step of a script is repeated. A path without a script is answered 404.
    """

    def __init__(self) -> None:
        """Bind a free loopback port."""
        self._lock = threading.Lock()
        self._scripts: defaultdict[str, deque[Reply | Trouble]] = defaultdict(deque)
        self.taken: list[Taken] = []
        self.stopping = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="scripted"
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.port}"

    def on(self, name: str, *steps: Reply | Trouble) -> None:
        """Set the script for paths whose last dotted part is ``name``."""
        with self._lock:
            self._scripts[name] = deque(steps)

    def count(self, name: str) -> int:
        """Return how many requests of this name came in."""
        return sum(_name(request.path) == name for request in self.taken)

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def step(self, request: Taken) -> Reply | Trouble:
        """Note the request and return what is to happen to it."""
        with self._lock:
            self.taken.append(request)
            script = self._scripts[_name(request.path)]
            if not script:
                return Reply(status=404, body={"error": "NotFound"})
            return script.popleft() if len(script) > 1 else script[0]


def _name(path: str) -> str:
    return path.partition("?")[0].rpartition("/")[2].rpartition(".")[2]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], script: ScriptedServer) -> None:
        super().__init__(address, _Handler)
        self.script = script

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report bugs, not connections that end."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body leave separately; waiting costs 40 ms
    timeout = 30

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        step = self.server.script.step(
            Taken(method=self.command, path=self.path, headers=dict(self.headers), body=body)
        )
        if isinstance(step, Reply):
            content = step.body if isinstance(step.body, bytes) else json.dumps(step.body).encode()
            self.send_response(step.status)
            for name, value in step.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            return
        self.close_connection = True
        match step:
            case Trouble.RESET:
                # Closing with a linger of zero seconds sends a reset instead of an end.
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                self.connection.close()
            case Trouble.HANG:
                self.server.script.stopping.wait()
            case Trouble.HALF:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            case Trouble.NOISE:
                self.wfile.write(b"I am not a web server.\r\n\r\n")
            case Trouble.CLOSE:
                return

    do_GET = do_POST = _take  # noqa: N815 - names http.server wants

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Write nothing."""
