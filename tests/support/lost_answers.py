"""A loopback proxy that swallows answers: the server has done what it was asked, nobody is told."""

from __future__ import annotations

import http.client
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

CREATE_RECORD = "com.atproto.repo.createRecord"
UPSTREAM_SECONDS = 30.0

_OF_ONE_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


class LostAnswerProxy:
    """Stands in front of an HTTP server: ``with LostAnswerProxy(url) as proxy: … proxy.url``.

    After ``lose(n)`` the next n calls whose path ends with the given name are forwarded, their
    answers awaited, and the connections closed without a word. Everything else passes unchanged.
    """

    def __init__(self, upstream: str) -> None:
        """Bind a free loopback port in front of the server at ``upstream``."""
        parts = urlsplit(upstream)
        self.upstream = (parts.hostname or "", parts.port or 80)
        self._lock = threading.Lock()
        self._name = ""
        self._left = 0
        self._lost = 0
        self._clients: set[socket.socket] = set()
        self._server = _Server(("127.0.0.1", 0), self)
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="lost-answer-proxy",
        )
        self._stopped = False

    @property
    def url(self) -> str:
        """The proxy's address, to be used in place of the server's."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def lost(self) -> int:
        """How many answers were swallowed so far."""
        with self._lock:
            return self._lost

    def lose(self, times: int, name: str = CREATE_RECORD) -> None:
        """Swallow the next answers to calls of this name."""
        with self._lock:
            self._name, self._left = name, times

    def start(self) -> Self:
        """Begin to forward."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close every connection and refuse new ones; harmless when done already."""
        if self._stopped:
            return
        self._stopped = True
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                # The client was first.
                continue

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

    # What the handler calls

    def came(self, client: socket.socket) -> None:
        """Note a connection."""
        with self._lock:
            self._clients.add(client)

    def went(self, client: socket.socket) -> None:
        """Forget a connection."""
        with self._lock:
            self._clients.discard(client)

    def swallows(self, path: str) -> bool:
        """Tell whether this call's answer is to be lost, and count it."""
        with self._lock:
            if not self._left or not path.partition("?")[0].endswith(self._name):
                return False
            self._left -= 1
            self._lost += 1
            return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], proxy: LostAnswerProxy) -> None:
        super().__init__(address, _Handler)
        self.proxy = proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report bugs, not connections that end."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body leave separately; waiting costs 40 ms
    timeout = 60

    def setup(self) -> None:
        super().setup()
        self.server.proxy.came(self.connection)

    def finish(self) -> None:
        self.server.proxy.went(self.connection)
        super().finish()

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in _OF_ONE_CONNECTION
        }
        host, port = self.server.proxy.upstream
        upstream = http.client.HTTPConnection(host, port, timeout=UPSTREAM_SECONDS)
        try:
            upstream.request(self.command, self.path, body=body or None, headers=headers)
            response = upstream.getresponse()
            content = response.read()
        finally:
            upstream.close()
        if self.server.proxy.swallows(self.path):
            self.close_connection = True
            return
        self.send_response_only(response.status)
        for name, value in response.getheaders():
            if name.lower() not in _OF_ONE_CONNECTION:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _forward  # noqa: N815 - names http.server wants

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Write nothing."""
