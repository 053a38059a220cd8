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

import threading
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from local.loopback import Behaviour, ToldHandler, ToldServer, run

__all__ = ["MAX_BODY", "Behaviour", "Receiver", "main"]

MAX_BODY = 8 * 1024 * 1024


class Receiver(ToldServer[Behaviour]):
    """The receiver as an object: ``with Receiver(log=path) as receiver: … receiver.url``."""

    def __init__(self, *, log: Path | None = None, port: int = 0) -> None:
        """Bind the port (0: any free one); requests are answered from :meth:`start` on.

        Args:
            log: Where the JSON lines are appended; None keeps them in ``requests`` only.
            port: On 127.0.0.1.
        """
        super().__init__(_Handler, Behaviour, log=log, port=port)
        self._changed = threading.Condition(self._lock)

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Every request received so far, as logged."""
        with self._lock:
            return list(self._lines)

    def wait_for(self, count: int, seconds: float = 10.0) -> list[dict[str, Any]]:
        """Wait until that many requests have been received, and return all of them.

        Raises:
            TimeoutError: They did not come in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._lines) >= count, seconds):
                raise TimeoutError(f"{len(self._lines)} of {count} requests came in time")
            return list(self._lines)

    def record(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Behaviour:
        """Log one request and return how to answer it."""
        with self._changed:
            behaviour = self._next()
            line = {
                "method": method,
                "path": path,
                "headers": dict(headers),
                "body": body.decode("utf-8", "surrogateescape"),
                "status": behaviour.status,
            }
            # Bytes that are no UTF-8 can be written as escapes only.
            self._note(line, ensure_ascii=True)
            self._changed.notify_all()
        return behaviour


class _Handler(ToldHandler):
    server: Receiver
    server_version = "PostbreezeReceiver"
    protocol_version = "HTTP/1.0"
    timeout = 30

    def _take(self) -> None:
        body = self.read_body(MAX_BODY)
        if isinstance(body, HTTPStatus):
            self.answer(body, None)
        elif not self.take_order(self.path, body):
            headers: dict[str, str] = {}
            for name, value in self.headers.items():
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
            behaviour = self.server.record(self.command, self.path, headers, body)
            self.server.pause(behaviour.delay_ms)
            bodiless = behaviour.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
            document = None if bodiless else {"ok": behaviour.status < 300}
            self.answer(behaviour.status, document, behaviour.headers)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _take  # noqa: N815 - names http.server wants


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    return run(
        Receiver,
        arguments,
        program="python -m local.receiver",
        description=__doc__,
        greeting="receiving webhooks",
    )


if __name__ == "__main__":
    raise SystemExit(main())
