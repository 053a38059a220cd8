"""Fetching the pictures that a post names by their addresses."""

from __future__ import annotations

from typing import Final

from postbreeze.adapters.egress import (
    BlockedAddressError,
    ContentTypeError,
    Egress,
    EgressError,
    ResponseTooLargeError,
    UnexpectedStatusError,
    UrlNotAllowedError,
)
from postbreeze.domain.errors import PlatformRejectedError, PlatformRetriableError

MOST_BYTES: Final = 1_000_000
"""What the strictest platform takes: Bluesky's limit for a picture."""

REJECTED: Final = "MEDIA_REJECTED"
UNREACHABLE: Final = "MEDIA_UNREACHABLE"

_KINDS: Final = ("image/*",)
_HOPELESS: Final = (
    BlockedAddressError,
    ContentTypeError,
    ResponseTooLargeError,
    UrlNotAllowedError,
)
_PASSING: Final = frozenset({408, 425, 429})
_FIRST_SERVER_ERROR: Final = 500


class MediaFetcher:
    """Fetches pictures through the egress guard."""

    def __init__(self, egress: Egress) -> None:
        """Fetch nothing yet."""
        self._egress = egress

    def __call__(self, url: str) -> tuple[bytes, str]:
        """Return a picture and the kind its server says it is.

        Raises:
            PlatformRejectedError: There is no such picture, or it may not be fetched.
            PlatformRetriableError: It cannot be had now.
        """
        try:
            return self._egress.fetch(url, max_bytes=MOST_BYTES, content_types=_KINDS)
        except EgressError as error:
            if _is_hopeless(error):
                raise PlatformRejectedError(REJECTED, str(error)) from error
            raise PlatformRetriableError(UNREACHABLE, str(error)) from error


def _is_hopeless(error: EgressError) -> bool:
    if isinstance(error, UnexpectedStatusError):
        return error.status < _FIRST_SERVER_ERROR and error.status not in _PASSING
    return isinstance(error, _HOPELESS)
