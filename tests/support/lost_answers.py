"""A loopback proxy that swallows answers: the server has done what it was asked, nobody is told."""

from __future__ import annotations

import http.client
import socket
import threading
from urllib.parse import urlsplit

from local.loopback import LoopbackHandler, LoopbackServer

CREATE_RECORD = "com.atproto.repo.createRecord"
UPSTREAM_SECONDS = 30.0

_OF_ONE_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


class LostAnswerProxy(LoopbackServer):
    """Stands in front of an HTTP server: ``with LostAnswerProxy(url) as proxy: … proxy.url``.

    After ``lose(n)`` the next n calls whose path ends with the given name are forwarded, their
    answers awaited, and the connections closed without a word. Everything else passes unchanged.
    """

    def __init__(self, upstream: str) -> None:
        """Bind a free loopback port in front of the server at ``upstream``."""
        super().__init__(_Handler)
        parts = urlsplit(upstream)
        self.upstream = (parts.hostname or "", parts.port or 80)
        self._lock = threading.Lock()
        self._name = ""
        self._left = 0
        self._lost = 0
        self._clients: set[socket.socket] = set()

    @property
    def lost(self) -> int:
        """How many answers were swallowed so far."""
        with self._lock:
            return self._lost

    def lose(self, times: int, name: str = CREATE_RECORD) -> None:
        """Swallow the next answers to calls of this name."""
        with self._lock:
            self._name, self._left = name, times

    def stop(self) -> None:
        """Close every connection and refuse new ones; harmless when done already."""
        super().stop()
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                # The client was first.
                continue

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


class _Handler(LoopbackHandler):
    server: LostAnswerProxy
    timeout = 60

    def setup(self) -> None:
        super().setup()
        self.server.came(self.connection)

    def finish(self) -> None:
        self.server.went(self.connection)
        super().finish()

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in _OF_ONE_CONNECTION
        }
        host, port = self.server.upstream
        upstream = http.client.HTTPConnection(host, port, timeout=UPSTREAM_SECONDS)
        try:
            upstream.request(self.command, self.path, body=body or None, headers=headers)
            response = upstream.getresponse()
            content = response.read()
        finally:
            upstream.close()
        if self.server.swallows(self.path):
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
