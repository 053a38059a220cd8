"""Fetching the files that clients have put into the media library by their addresses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Final, cast

from postbreeze.adapters.egress import Egress, EgressError
from postbreeze.domain.media import CONTENT_TYPES
from postbreeze.operations.media.ports import FetchedFile, FetchError

MOST_BYTES: Final = 50 * 1024 * 1024
SECONDS: Final = 15.0

_IN_MEMORY: Final = 4 * 1024 * 1024
"""What is larger waits on disk."""


class EgressFileSource:
    """The guarded way out to files."""

    def __init__(self, egress: Egress) -> None:
        """Fetch nothing yet."""
        self._egress = egress

    @contextmanager
    def fetch(self, url: str) -> Iterator[FetchedFile]:
        """Fetch a file of a type that the library takes, following no redirect.

        At most 50 MiB and 15 seconds. The file is gone when the context ends.

        Raises:
            FetchError: There is no such file, or it may not be fetched.
        """
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as spooled:
            body = cast("BinaryIO", spooled)
            try:
                content_type = self._egress.download(
                    url, body, max_bytes=MOST_BYTES, content_types=CONTENT_TYPES, deadline=SECONDS
                )
            except EgressError as error:
                raise FetchError(str(error)) from error
            size_bytes = body.tell()
            body.seek(0)
            yield FetchedFile(body=body, content_type=content_type, size_bytes=size_bytes)
