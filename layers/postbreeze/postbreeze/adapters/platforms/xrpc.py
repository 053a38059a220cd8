"""One XRPC call over HTTP, which always says whether the server can have acted on it.

urllib3's exceptions do not tell that by their class alone: a TLS handshake that times out is a
``ReadTimeoutError`` like an answer that never came, and ``SSLError`` or ``ProtocolError`` may come
from either side of the request. So the request's body watches itself: as long as none of it was
taken, the server holds an unfinished request at most and cannot have acted. That covers name
resolution, refused connections, connect time-outs and handshakes of every outcome. Once the first
byte is taken nothing is certain, above all on a kept-alive connection that is reset before any
answer: the server may have closed it before the request came, or after acting on it.

Nothing is retried, no redirect is followed, answers are cut off.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import urllib3

CONNECT_SECONDS = 3.0
"""Name lookup aside, a healthy server takes a connection within a fraction of this."""

READ_SECONDS = 15.0
"""Writing a record takes well under a second; an answer later than this means trouble, and the
publishing function must have time left to store what it knows."""

MAX_ANSWER_BYTES = 1_048_576
"""Answers of the calls in use are a few kilobytes."""

MAX_WAIT_SECONDS = 86_400.0
"""The longest pause a server may ask for: its longest rate-limit window is a day."""

_USER_AGENT = "Postbreeze/1.0"


class NotSentError(Exception):
    """The server cannot have acted: the request's body never left."""


class NoAnswerError(Exception):
    """The request left, wholly or in part, and no complete answer came back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server said. Bodies carry tokens, so the value prints without them."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the call was done."""
        return 200 <= self.status < 300

    def document(self) -> Mapping[str, Any] | None:
        """Return the JSON object in the body, or None when there is none."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None

    @property
    def error(self) -> str:
        """The protocol's name of the error, such as ``ExpiredToken``; empty when there is none."""
        name = (self.document() or {}).get("error")
        if isinstance(name, str) and name.isascii() and name.isalnum() and len(name) <= 64:
            return name
        return ""

    def wait(self, now: float) -> float | None:
        """Return the seconds the server wants us to wait, by the clock ``now`` (epoch seconds)."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        seconds = _seconds(headers.get("retry-after"), now)
        if seconds is None:
            # The reference server sends no Retry-After but the end of the window in epoch seconds.
            reset = _number(headers.get("ratelimit-reset"))
            seconds = None if reset is None else reset - now
        return None if seconds is None else min(max(seconds, 0.0), MAX_WAIT_SECONDS)


def call(
    http: urllib3.PoolManager,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    timeout: urllib3.Timeout,
) -> Answer:
    """Make one call and return the answer, whatever its status.

    Raises:
        NotSentError: Nothing of the body was sent; never raised once any of it was.
        NoAnswerError: Sent, or possibly sent, and no complete answer came back.
    """
    watched = None if body is None else _WatchedBody(body)
    sent_headers = {**headers, "User-Agent": _USER_AGENT, "Accept": "application/json"}
    if body is not None:
        # With the length given, urllib3 does not fall back to chunks for a file-like body.
        sent_headers["Content-Length"] = str(len(body))
    try:
        response = http.request(
            method,
            url,
            body=watched,
            headers=sent_headers,
            retries=False,
            redirect=False,
            timeout=timeout,
            preload_content=False,
        )
        content = response.read(MAX_ANSWER_BYTES + 1)
    except urllib3.exceptions.HTTPError as error:
        # Only the class: the text would repeat the address, and that may hold an identifier.
        reason = type(error).__name__
        if watched is not None and not watched.taken:
            raise NotSentError(reason) from error
        raise NoAnswerError(reason) from error
    if len(content) > MAX_ANSWER_BYTES:
        response.close()
        raise NoAnswerError("answer too long")
    response.release_conn()
    return Answer(status=response.status, headers=dict(response.headers), body=content)


class _WatchedBody(io.BytesIO):
    """A body that knows whether anything of it was handed to the connection."""

    taken = False

    def read(self, size: int | None = -1, /) -> bytes:
        self.taken = True
        return super().read(size)


def _seconds(header: str | None, now: float) -> float | None:
    number = _number(header)
    if number is not None or header is None:
        return number
    try:
        return parsedate_to_datetime(header).timestamp() - now
    except ValueError:
        return None


def _number(header: str | None) -> float | None:
    # Plain digits only: float() would take "nan" and "1e999".
    stripped = (header or "").strip()
    return float(stripped) if stripped.isascii() and stripped.isdigit() else None
