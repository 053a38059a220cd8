"""Serves the engine's HTTP API at the root of a loopback port, as a domain name would on AWS.

The engine knows an API by a long path; clients get `http://localhost:4100/api/v1`. Method, path,
query string, headers and bodies pass through untouched. Where the engine tells more than API
Gateway would (the text of an exception), the answer is API Gateway's.
"""

from __future__ import annotations

import argparse
import http.client
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

MAX_BODY_BYTES: Final = 10 * 1024 * 1024  # API Gateway's own limit
UPSTREAM_SECONDS: Final = 30.0
IDLE_SECONDS: Final = 30.0  # less than the engine's 75

# These belong to one connection, not to the message (RFC 9110, 7.6.1).
HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


class Gateway(ThreadingHTTPServer):
    """A proxy in front of one HTTP API of the engine."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, *, engine_port: int, api_id: str) -> None:
        """Listen on the loopback port; `serve_forever` answers."""
        super().__init__(("127.0.0.1", port), _Handler)
        self.engine_port = engine_port
        self.prefix = f"/_aws/execute-api/{api_id}/$default"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the last packet of an answer waits 40 ms for the client
    wbufsize = -1
    server: Gateway

    def setup(self) -> None:
        """Give each client's connection one of its own to the engine."""
        super().setup()
        self.upstream = http.client.HTTPConnection(
            "127.0.0.1", self.server.engine_port, timeout=UPSTREAM_SECONDS
        )
        self.used = time.monotonic()

    def finish(self) -> None:
        """Close both connections."""
        self.upstream.close()
        super().finish()

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._forward
        raise AttributeError(name)

    def _forward(self) -> None:
        body = self._body()
        if body is None:
            self.close_connection = True
            self._answer(413, b'{"message":"Request Entity Too Large"}')
            return
        answer = self._ask(body)
        if answer is None:
            self._answer(503, b'{"message":"Service Unavailable"}')
            return
        status, headers, content = answer
        if status == http.client.BAD_GATEWAY:
            self._answer(500, b'{"message":"Internal Server Error"}')
            return
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP_BY_HOP and name.lower() != "content-length":
                self.send_header(name, value)
        self._finish(content, dict(headers).get("content-length"))

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes] | None:
        """Return the engine's answer, or None when there is none."""
        # The engine may close an idle connection at any moment, which would leave a request without
        # an answer that must not be sent twice. So an idle one is closed here first.
        now = time.monotonic()
        if now - self.used > IDLE_SECONDS:
            self.upstream.close()
        self.used = now
        try:
            return self._exchange(self.upstream, body)
        except (http.client.HTTPException, OSError):
            self.upstream.close()
            return None

    def _exchange(
        self, connection: http.client.HTTPConnection, body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        connection.putrequest(
            self.command, self.server.prefix + self.path, skip_host=True, skip_accept_encoding=True
        )
        for name, value in self.headers.items():
            if name.lower() not in HOP_BY_HOP and name.lower() not in {"content-length", "expect"}:
                connection.putheader(name, value)
        if body or self.command in {"POST", "PUT", "PATCH"}:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        response = connection.getresponse()
        return response.status, response.getheaders(), response.read()

    def _body(self) -> bytes | None:
        """Read the request's body; None when it is larger than API Gateway takes."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunked_body()
        length = int(self.headers.get("Content-Length") or 0)
        return None if length > MAX_BODY_BYTES else self.rfile.read(length)

    def _chunked_body(self) -> bytes | None:
        parts: list[bytes] = []
        size = 0
        while chunk := int(self.rfile.readline().partition(b";")[0], 16):
            size += chunk
            if size > MAX_BODY_BYTES:
                return None
            parts.append(self.rfile.read(chunk))
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return b"".join(parts)

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self._finish(content, None)

    def _finish(self, content: bytes, told_length: str | None) -> None:
        has_no_body = self.command == "HEAD"
        length = (told_length or "0") if has_no_body else str(len(content))
        self.send_header("Content-Length", length)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if not has_no_body:
            self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Say nothing: the functions log every request."""


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m local.gateway")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--engine-port", type=int, required=True)
    parser.add_argument("--api-id", required=True)
    told = parser.parse_args()
    Gateway(told.port, engine_port=told.engine_port, api_id=told.api_id).serve_forever()


if __name__ == "__main__":
    main()
