"""Who is calling.

The form of a key is judged here without any I/O; whether it opens anything is judged by the
operation, which reads it together with what it needs anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from postbreeze.domain import api_keys
from postbreeze.domain.errors import RefusalError, UnauthorizedError
from postbreeze.http.requests import HttpRequest, from_event
from postbreeze.operations import gate
from postbreeze.operations.ports import Clock, Directory

_BEARER = re.compile(r"bearer +(\S+)", re.IGNORECASE | re.ASCII)


def key_digest(request: HttpRequest) -> str:
    """Return the digest of the request's key.

    Raises:
        UnauthorizedError: There is none, or none that could be a key.
    """
    match = _BEARER.fullmatch(request.headers.get("authorization", "").strip())
    if match is None or not api_keys.is_well_formed(match[1]):
        raise UnauthorizedError
    return api_keys.digest(match[1])


def arrived(event: Mapping[str, Any]) -> tuple[HttpRequest, str]:
    """Read the request of an event, and the digest of its key.

    Raises:
        ValidationError: The body's encoding is broken.
        UnauthorizedError: There is no key, or none that could be one.
    """
    request = from_event(event)
    return request, key_digest(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticator:
    """Keeps what is wrong with a request from everyone whose key opens nothing."""

    directory: Directory
    clock: Clock

    @contextmanager
    def reading(self, digest: str) -> Iterator[None]:
        """Let a refusal out only if the key is good; otherwise the answer is that it is not.

        A request that reads well costs nothing here: its operation looks at the key.

        Raises:
            UnauthorizedError: Reading failed, and the key opens nothing.
            UnavailableError: Reading failed, and the key could not be looked at.
        """
        try:
            yield
        except RefusalError:
            gate.usable(self.directory.admit(digest), self.clock.now())
            raise
