"""What the HTTP servers of the local stack and of the tests have in common; on loopback only."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

HOST = "127.0.0.1"
MAX_DELAY_MS = 120_000

_WORDS: Mapping[type, str] = {str: "a string", bool: "true or false"}


class LoopbackServer(ThreadingHTTPServer):
    """Answers from a thread of its own: ``with server: … server.url``."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[BaseHTTPRequestHandler], *, port: int = 0) -> None:
        """Bind the port (0: any free one); requests are answered from :meth:`start` on."""
        super().__init__((HOST, port), handler)
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, name=type(self).__name__
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """Where it is to be found, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Let every :meth:`pause` end and refuse new connections; harmless when done already."""
        self._stopping.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def pause(self, milliseconds: int | None = None) -> None:
        """Wait so long (None: for ever), but not beyond the server's own end."""
        self._stopping.wait(None if milliseconds is None else milliseconds / 1000)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report bugs, not clients that hang up: they are tested by doing so."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class LoopbackHandler(BaseHTTPRequestHandler):
    """Keeps connections open and standard error empty."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body leave separately; waiting costs 40 ms

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Write nothing: who wants a log keeps one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How to answer; ``times`` is how often, 0 for always. The default is to behave well."""

    # What a subclass adds: name in JSON -> name of the field, its type.
    MORE: ClassVar[Mapping[str, tuple[str, type]]] = {}

    status: int = 200
    times: int = 0
    delay_ms: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Read the body of ``POST /_behave``.

        Raises:
            ValueError: It is not of the documented form; the message says how.
        """
        document = json.loads(raw)
        if not isinstance(document, dict):
            raise ValueError("an object is expected")
        unknown = document.keys() - {"status", "times", "delayMs", "headers", *cls.MORE}
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        headers = document.get("headers") or {}
        if not isinstance(headers, dict) or not all(
            isinstance(value, str) and value.isprintable() for value in headers.values()
        ):
            raise ValueError("headers must be an object of printable strings")
        more = {}
        for name, (attribute, kind) in cls.MORE.items():
            if name in document:
                more[attribute] = document[name]
                if not isinstance(document[name], kind):
                    raise ValueError(f"{name} must be {_WORDS[kind]}")
        return cls(
            status=_whole_number(document, "status", 200, 200, 599),
            times=_whole_number(document, "times", 0, 0, 1_000_000),
            delay_ms=_whole_number(document, "delayMs", 0, 0, MAX_DELAY_MS),
            headers=headers,
            **more,
        )


def _whole_number(
    document: Mapping[str, Any], name: str, default: int, lowest: int, highest: int
) -> int:
    value = document.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise ValueError(f"{name} must be a whole number from {lowest} to {highest}")
    return value


_B = TypeVar("_B", bound=Behaviour)


class ToldServer(LoopbackServer, Generic[_B]):
    """Behaves as ``POST /_behave`` tells it, and logs requests as JSON lines."""

    def __init__(
        self, handler: type[ToldHandler], behaviour: type[_B], *, log: Path | None, port: int
    ) -> None:
        """Bind the port and open the log.

        Args:
            handler: What answers.
            behaviour: The orders it understands; its default is how it answers without one.
            log: Where the JSON lines are appended; None keeps them in memory only.
            port: On 127.0.0.1; 0 for any free one.
        """
        super().__init__(handler, port=port)
        self._lock = threading.RLock()
        self._lines: list[dict[str, Any]] = []
        self._kind = behaviour
        self._behaviour = behaviour()
        self._left = 0
        self._log = None
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            self._log = log.open("a", encoding="utf-8")

    def stop(self) -> None:
        """Answer what is being answered without further delay, and end."""
        super().stop()
        if self._log is not None:
            with self._lock:
                self._log.close()

    def behave(self, behaviour: _B) -> None:
        """Answer so from the next request on."""
        with self._lock:
            self._behaviour, self._left = behaviour, behaviour.times

    def obey(self, raw: bytes) -> None:
        """Behave as the body of ``POST /_behave`` says.

        Raises:
            ValueError: It makes no sense.
        """
        self.behave(self._kind.from_json(raw))

    def _next(self) -> _B:
        """Return how to answer this request, and count it; the lock is held."""
        behaviour = self._behaviour
        if behaviour.times:
            self._left -= 1
            if self._left == 0:
                self._behaviour = self._kind()
        return behaviour

    def _note(self, line: Mapping[str, Any], *, ensure_ascii: bool) -> None:
        """Log one request with the time; the lock is held."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._lines.append({"at": at, **line})
        if self._log is not None and not self._log.closed:
            self._log.write(json.dumps(self._lines[-1], ensure_ascii=ensure_ascii) + "\n")
            self._log.flush()


class ToldHandler(LoopbackHandler):
    """Takes orders, and answers with JSON."""

    server: ToldServer[Any]
    sys_version = ""

    def read_body(self, limit: int) -> bytes | HTTPStatus:
        """Return the request's body, or the status to refuse it with.

        Raises:
            ConnectionAbortedError: The client hung up in the middle of it: it asked for nothing.
        """
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            return HTTPStatus.LENGTH_REQUIRED
        if int(length) > limit:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        content = self.rfile.read(int(length))
        if len(content) < int(length):
            raise ConnectionAbortedError
        return content

    def take_order(self, path: str, content: bytes) -> bool:
        """Answer ``/_health`` and ``/_behave``; tell whether it was one of them."""
        match self.command, path:
            case "GET", "/_health":
                self.answer(HTTPStatus.OK, {"ok": True})
            case "POST", "/_behave":
                try:
                    self.server.obey(content)
                except ValueError as error:
                    self.answer(HTTPStatus.BAD_REQUEST, {"ok": False, "message": str(error)})
                else:
                    self.answer(HTTPStatus.OK, {"ok": True})
            case _:
                return False
        return True

    def answer(
        self,
        status: int,
        document: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer with this document; None for an empty body."""
        content = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def run(
    make: Callable[..., LoopbackServer],
    arguments: Sequence[str] | None,
    *,
    program: str,
    description: str | None,
    greeting: str,
) -> int:
    """Serve as the command line says, until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1; 0 for any free one")
    parser.add_argument("--log", type=Path, required=True, help="file the JSON lines go to")
    options = parser.parse_args(arguments)

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with make(log=options.log, port=options.port) as server:
        print(f"{greeting} on {server.url}", flush=True)
        stop.wait()
    return 0
