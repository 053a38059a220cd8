"""Fetching the pictures of a post: from the media library, or from their addresses."""

from __future__ import annotations

from typing import Final, Protocol

from postbreeze.adapters.egress import (
    BlockedAddressError,
    ContentTypeError,
    Egress,
    EgressError,
    ResponseTooLargeError,
    UnexpectedStatusError,
    UrlNotAllowedError,
)
from postbreeze.domain.errors import (
    PlatformRejectedError,
    PlatformRetriableError,
    UnavailableError,
)
from postbreeze.operations.platform_port import Attachment

MOST_BYTES: Final = 1_000_000
"""What the strictest platform takes: Bluesky's limit for a picture."""

REJECTED: Final = "MEDIA_REJECTED"
UNREACHABLE: Final = "MEDIA_UNREACHABLE"

_FAMILY: Final = "image"
_HOPELESS: Final = (
    BlockedAddressError,
    ContentTypeError,
    ResponseTooLargeError,
    UrlNotAllowedError,
)
_PASSING: Final = frozenset({408, 425, 429})
_FIRST_SERVER_ERROR: Final = 500


class StoredFiles(Protocol):
    """The storage of the media library, for those who read what is in it."""

    def read(self, key: str, *, most_bytes: int) -> bytes | None:
        """Return what is there, None if nothing is, and one byte too many if it is larger."""
        ...


class MediaFetcher:
    """Fetches pictures from the storage, and through the egress guard."""

    def __init__(self, egress: Egress, storage: StoredFiles) -> None:
        """Fetch nothing yet."""
        self._egress = egress
        self._storage = storage

    def __call__(self, attachment: Attachment) -> tuple[bytes, str]:
        """Return a picture and the kind that it is said to be.

        Raises:
            PlatformRejectedError: There is no such picture, or it may not be fetched.
            PlatformRetriableError: It cannot be had now.
        """
        if attachment.url is not None:
            return self._at(attachment.url)
        return self._stored(attachment.storage_key or "", attachment.content_type or "")

    def _stored(self, key: str, content_type: str) -> tuple[bytes, str]:
        if content_type.partition("/")[0] != _FAMILY:
            raise PlatformRejectedError(REJECTED, "The asset is not a picture.")
        try:
            content = self._storage.read(key, most_bytes=MOST_BYTES)
        except UnavailableError as error:
            raise PlatformRetriableError(
                UNREACHABLE, "The media library could not be read."
            ) from error
        if content is None:
            raise PlatformRejectedError(REJECTED, "The asset is not in the media library any more.")
        if len(content) > MOST_BYTES:
            raise PlatformRejectedError(REJECTED, f"The asset has more than {MOST_BYTES} bytes.")
        return content, content_type

    def _at(self, url: str) -> tuple[bytes, str]:
        try:
            return self._egress.fetch(url, max_bytes=MOST_BYTES, content_types=(f"{_FAMILY}/*",))
        except EgressError as error:
            if _is_hopeless(error):
                raise PlatformRejectedError(REJECTED, str(error)) from error
            raise PlatformRetriableError(UNREACHABLE, str(error)) from error


def _is_hopeless(error: EgressError) -> bool:
    if isinstance(error, UnexpectedStatusError):
        return error.status < _FIRST_SERVER_ERROR and error.status not in _PASSING
    return isinstance(error, _HOPELESS)
