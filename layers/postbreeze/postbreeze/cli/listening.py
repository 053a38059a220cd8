"""A receiver of webhooks on this machine that tells whether their signatures are right."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from postbreeze.adapters.clock import SystemClock
from postbreeze.domain.documents import timestamp
from postbreeze.webhooks.signature import VerificationError, verify_postbreeze, verify_standard

HOST: Final = "127.0.0.1"
MOST_BYTES: Final = 1024 * 1024
PATIENCE_SECONDS: Final = 30

_CHECKS: Final = {"postbreeze": verify_postbreeze, "standard": verify_standard}
_LENGTH = re.compile(r"[0-9]{1,10}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One delivery: what it says of itself, and why a signature is not right, None where it is."""

    at: datetime
    event: str | None
    delivery_id: str | None
    event_id: str | None
    subject_id: str | None
    size: int
    objections: Mapping[str, str | None]

    @property
    def is_verified(self) -> bool:
        """Whether both signatures are right."""
        return not any(self.objections.values())

    @property
    def status(self) -> HTTPStatus:
        """How it is answered."""
        return HTTPStatus.NO_CONTENT if self.is_verified else HTTPStatus.UNAUTHORIZED

    def document(self) -> dict[str, Any]:
        """Write it for programs."""
        return {
            "at": timestamp(self.at),
            "event": self.event,
            "deliveryId": self.delivery_id,
            "eventId": self.event_id,
            "subjectId": self.subject_id,
            "bytes": self.size,
            "verified": self.is_verified,
            "objections": dict(self.objections),
            "status": self.status.value,
        }


def received(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> Received:
    """Check one request, and read of it what can be read; nothing about it makes this fail."""
    document = _object(body)
    payload = _part(document, "payload")
    subjects = (_part(payload, name) for name in ("post", "account", "webhook"))
    return Received(
        at=now,
        event=_text(document, "event"),
        delivery_id=_text(document, "deliveryId"),
        event_id=_text(payload, "eventId"),
        subject_id=next((_text(subject, "id") for subject in subjects if subject), None),
        size=len(body),
        objections={
            name: _objection(check, headers, body, secret, now) for name, check in _CHECKS.items()
        },
    )


class Listener(ThreadingHTTPServer):
    """Listens on loopback, and tells of each delivery before it is answered."""

    daemon_threads = True

    def __init__(self, port: int, secret: str, tell: Callable[[Received], None]) -> None:
        """Bind the port; 0 is any free one.

        Raises:
            OSError: The port is taken.
        """
        super().__init__((HOST, port), _Handler)
        self.secret = secret
        self.tell = tell

    @property
    def url(self) -> str:
        """Where it is to be found."""
        return f"http://{HOST}:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report bugs, not clients that hang up."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Listener
    server_version = "PostbreezeListener"
    sys_version = ""
    timeout = PATIENCE_SECONDS

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not _LENGTH.fullmatch(length):
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
            return
        if int(length) > MOST_BYTES:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            return
        # One that comes twice becomes a value that no check takes.
        headers = {name: ", ".join(self.headers.get_all(name, [])) for name in self.headers}
        delivery = received(headers, body, self.server.secret, SystemClock().now())
        self.server.tell(delivery)
        self.send_response(delivery.status)
        if delivery.status is not HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Write nothing: each delivery is told of once, in one way."""


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = document.get(name)
    return part if isinstance(part, dict) else {}


def _text(document: Mapping[str, Any], name: str) -> str | None:
    text = document.get(name)
    return text if isinstance(text, str) else None


def _objection(
    check: Callable[[Mapping[str, str], bytes, str, datetime], datetime],
    headers: Mapping[str, str],
    body: bytes,
    secret: str,
    now: datetime,
) -> str | None:
    try:
        check(headers, body, secret, now)
    except VerificationError as error:
        return str(error)
    return None
