"""A loopback HTTP server that answers, or fails to, exactly as it is told."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from local.loopback import LoopbackHandler, LoopbackServer


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


class ScriptedServer(LoopbackServer):
    """``server.on("createSession", Reply(...), Trouble.RESET)``: by the end of the path, in order.

    The last step of a script is repeated. A path without a script is answered 404.
    """

    def __init__(self) -> None:
        """Bind a free loopback port."""
        super().__init__(_Handler)
        self._lock = threading.Lock()
        self._scripts: defaultdict[str, deque[Reply | Trouble]] = defaultdict(deque)
        self.taken: list[Taken] = []

    def on(self, name: str, *steps: Reply | Trouble) -> None:
        """Set the script for paths whose last dotted part is ``name``."""
        with self._lock:
            self._scripts[name] = deque(steps)

    def count(self, name: str) -> int:
        """Return how many requests of this name came in."""
        return sum(_name(request.path) == name for request in self.taken)

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


class _Handler(LoopbackHandler):
    server: ScriptedServer
    timeout = 30

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        step = self.server.step(
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
                self.server.pause()
            case Trouble.HALF:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            case Trouble.NOISE:
                self.wfile.write(b"I am not a web server.\r\n\r\n")
            case Trouble.CLOSE:
                return

    do_GET = do_POST = _take  # noqa: N815 - names http.server wants
