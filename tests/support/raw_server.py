"""Loopback servers that do with each connection what a test likes, and a name server of our own."""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self

UNLIMITED = 30.0
"""Seconds that no test waits out."""

Behaviour = Callable[[socket.socket], None]


@dataclass
class Resolver:
    """Answers like ``getaddrinfo``: each call takes the next answer, the last one stays."""

    answers: list[list[str]]
    calls: list[tuple[str, int]] = field(default_factory=list)

    def __call__(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        answer = self.answers[min(len(self.calls), len(self.answers) - 1)]
        self.calls.append((host, port))
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port, 0, 0) if ":" in address else (address, port),
            )
            for address in answer
        ]


class RawServer:
    """Accepts connections on loopback and lets a function do with each what it likes."""

    def __init__(
        self,
        behaviour: Behaviour,
        *,
        tls: ssl.SSLContext | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, 0), family=family)
        self.port = int(self._listener.getsockname()[1])
        self._behaviour = behaviour
        self._tls = tls
        self.connections = 0
        self.received = b""
        self.stopping = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        with suppress(OSError):  # wakes the accepting thread
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(UNLIMITED)
            with suppress(OSError), ExitStack() as stack:
                if self._tls is not None:
                    connection = stack.enter_context(
                        self._tls.wrap_socket(connection, server_side=True)
                    )
                self._behaviour(connection)

    def read_request(self, connection: socket.socket) -> None:
        """Read one whole request into ``received``."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += _some(connection)
        length = re.search(rb"(?i)content-length: (\d+)", data)
        expected = data.index(b"\r\n\r\n") + 4 + (int(length[1]) if length else 0)
        while len(data) < expected:
            data += _some(connection)
        self.received = data

    def drip(self, connection: socket.socket, piece: bytes) -> None:
        """Send a piece every few milliseconds until the client hangs up."""
        while not self.stopping.wait(0.02):
            connection.sendall(piece)


def _some(connection: socket.socket) -> bytes:
    received = connection.recv(65_536)
    if not received:
        raise ConnectionResetError
    return received


@contextmanager
def answering(
    answer: bytes, *, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1"
) -> Iterator[RawServer]:
    """Serve one and the same answer to everyone."""

    def behave(connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(answer)

    server = RawServer(behave, tls=tls, address=address)
    with server:
        yield server


@contextmanager
def behaving(
    then: Callable[[RawServer, socket.socket], None], *, tls: ssl.SSLContext | None = None
) -> Iterator[RawServer]:
    """Read each request, then do as told."""

    def behave(connection: socket.socket) -> None:
        server.read_request(connection)
        then(server, connection)

    server = RawServer(behave, tls=tls)
    with server:
        yield server


def reset(connection: socket.socket) -> None:
    """Close so that the other side sees a reset, not an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def hang(server: RawServer, connection: socket.socket) -> None:
    """Say nothing until the client has gone."""
    connection.settimeout(UNLIMITED)
    connection.recv(1)
