"""A webhook receiver for the local stack and for tests, on loopback only.

    python -m local.receiver --port 4199 --log .local/receiver.jsonl

Every request is written to the log as one JSON line, before it is answered:

    {"at": "2026-06-15T09:00:00.000Z", "method": "POST", "path": "/", "headers": {…},
     "body": "<raw text>", "status": 200}

``headers`` keeps the names as they were sent; ``body`` is the raw body read as UTF-8, and
``body.encode("utf-8", "surrogateescape")`` gives back its very bytes.

    POST /_behave {"status": 500, "times": 2, "delayMs": 0, "headers": {"Retry-After": "7"}}

makes it answer the next two requests so (``times`` 0: all of them until told otherwise;
``{"status": 200, "times": 0}`` is the way back). ``GET /_health`` answers 200. Neither is logged.
SIGTERM and SIGINT stop it.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HOST = "127.0.0.1"
MAX_BODY = 8 * 1024 * 1024
MAX_DELAY_MS = 120_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How to answer; ``times`` is how often, 0 for always."""

    status: int = 200
    times: int = 0
    delay_ms: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, raw: bytes) -> Behaviour:
        """Read the body of ``POST /_behave``.

        Raises:
            ValueError: It is not of the documented form; the message says how.
        """
        document = json.loads(raw)
        if not isinstance(document, dict):
            raise ValueError("an object is expected")
        unknown = document.keys() - {"status", "times", "delayMs", "headers"}
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        headers = document.get("headers") or {}
        if not isinstance(headers, dict) or not all(
            isinstance(value, str) and value.isprintable() for value in headers.values()
        ):
            raise ValueError("headers must be an object of printable strings")
        return cls(
            status=_whole_number(document, "status", 200, 200, 599),
            times=_whole_number(document, "times", 0, 0, 1_000_000),
            delay_ms=_whole_number(document, "delayMs", 0, 0, MAX_DELAY_MS),
            headers=headers,
        )


class Receiver:
    """The receiver as an object: ``with Receiver(log=path) as receiver: … receiver.url``."""

    def __init__(self, *, log: Path | None = None, port: int = 0) -> None:
        """Bind the port (0: any free one); requests are answered from :meth:`start` on.

        Args:
            log: Where the JSON lines are appended; None keeps them in ``requests`` only.
            port: On 127.0.0.1.
        """
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._requests: list[dict[str, Any]] = []
        self._usual = Behaviour()
        self._next: Behaviour | None = None
        self._next_left = 0
        self._stopping = threading.Event()
        self._server = _Server((HOST, port), self)
        self._log = None
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            self._log = log.open("a", encoding="utf-8")
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="receiver"
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Where to send webhooks."""
        return f"http://{HOST}:{self.port}"

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Every request received so far, as logged."""
        with self._lock:
            return list(self._requests)

    def start(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Answer what is being answered without further delay, and end."""
        self._stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        if self._log is not None:
            self._log.close()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def behave(self, behaviour: Behaviour) -> None:
        """Answer so from the next request on."""
        with self._lock:
            if behaviour.times == 0:
                self._usual, self._next, self._next_left = behaviour, None, 0
            else:
                self._usual, self._next, self._next_left = Behaviour(), behaviour, behaviour.times

    def wait_for(self, count: int, seconds: float = 10.0) -> list[dict[str, Any]]:
        """Wait until that many requests have been received, and return all of them.

        Raises:
            TimeoutError: They did not come in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._requests) >= count, seconds):
                raise TimeoutError(f"{len(self._requests)} of {count} requests came in time")
            return list(self._requests)

    def record(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Behaviour:
        """Log one request and return how to answer it."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._changed:
            behaviour = self._usual
            if self._next is not None:
                behaviour = self._next
                self._next_left -= 1
                if self._next_left == 0:
                    self._next = None
            line = {
                "at": at,
                "method": method,
                "path": path,
                "headers": dict(headers),
                "body": body.decode("utf-8", "surrogateescape"),
                "status": behaviour.status,
            }
            self._requests.append(line)
            if self._log is not None and not self._log.closed:
                self._log.write(json.dumps(line) + "\n")
                self._log.flush()
            self._changed.notify_all()
        return behaviour

    def pause(self, milliseconds: int) -> None:
        """Wait, but not beyond the receiver's own end."""
        self._stopping.wait(milliseconds / 1000)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], receiver: Receiver) -> None:
        super().__init__(address, _Handler)
        self.receiver = receiver

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report bugs, not clients that hang up: senders are tested by doing so."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "PostbreezeReceiver"
    sys_version = ""
    timeout = 30

    def _take(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self._answer(HTTPStatus.LENGTH_REQUIRED, {})
            return
        if int(length) > MAX_BODY:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {})
            return
        body = self.rfile.read(int(length))
        receiver = self.server.receiver
        if self.path == "/_health" and self.command == "GET":
            self._answer(HTTPStatus.OK, {}, {"ok": True})
        elif self.path == "/_behave" and self.command == "POST":
            try:
                receiver.behave(Behaviour.from_json(body))
            except ValueError as error:
                self._answer(HTTPStatus.BAD_REQUEST, {}, {"ok": False, "message": str(error)})
            else:
                self._answer(HTTPStatus.OK, {}, {"ok": True})
        else:
            headers: dict[str, str] = {}
            for name, value in self.headers.items():
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
            behaviour = receiver.record(self.command, self.path, headers, body)
            receiver.pause(behaviour.delay_ms)
            self._answer(behaviour.status, behaviour.headers, {"ok": behaviour.status < 300})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _take  # noqa: N815 - names http.server wants

    def _answer(
        self, status: int, headers: Mapping[str, str], document: Mapping[str, Any] | None = None
    ) -> None:
        content = b"" if document is None else json.dumps(document).encode()
        if status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            content = b""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Write nothing to standard error: the log file is the log."""


def _whole_number(
    document: Mapping[str, Any], name: str, default: int, lowest: int, highest: int
) -> int:
    value = document.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise ValueError(f"{name} must be a whole number from {lowest} to {highest}")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m local.receiver", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1; 0 for any free one")
    parser.add_argument("--log", type=Path, required=True, help="file the JSON lines go to")
    options = parser.parse_args(arguments)

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Receiver(log=options.log, port=options.port) as receiver:
        print(f"receiving webhooks on {receiver.url}", flush=True)
        stop.wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
