"""Files on their way from an address into the media library."""

from __future__ import annotations

from typing import Any, BinaryIO, cast

import pytest

from postbreeze.adapters.egress import ContentTypeError, Egress, EgressError
from postbreeze.adapters.file_source import MOST_BYTES, SECONDS, EgressFileSource
from postbreeze.domain.media import CONTENT_TYPES
from postbreeze.operations.media.ports import FetchError

URL = "https://files.example/a.pdf"


class ScriptedEgress:
    """A guard that has one file, or says no."""

    def __init__(self, content: bytes | EgressError) -> None:
        self.asked: dict[str, Any] = {}
        self._content = content

    def download(self, url: str, into: BinaryIO, **bounds: Any) -> str:
        self.asked = {"url": url, **bounds}
        if isinstance(self._content, EgressError):
            into.write(b"half of it")
            raise self._content
        into.write(self._content)
        return "application/pdf"


def source(guard: ScriptedEgress) -> EgressFileSource:
    return EgressFileSource(cast("Egress", guard))


@pytest.mark.parametrize("size", [0, 3, 5 * 1024 * 1024])
def test_a_file_is_at_its_beginning_and_gone_afterwards(size: int) -> None:
    # Given
    guard = ScriptedEgress(b"x" * size)
    # When
    with source(guard).fetch(URL) as file:
        # Then
        assert (file.size_bytes, file.content_type) == (size, "application/pdf")
        assert file.body.read() == b"x" * size
    assert file.body.closed
    assert guard.asked == {
        "url": URL,
        "max_bytes": MOST_BYTES,
        "content_types": CONTENT_TYPES,
        "deadline": SECONDS,
    }


def test_a_file_that_cannot_be_fetched_says_why() -> None:
    with (
        pytest.raises(FetchError, match=r"^Not allowed\.$"),
        source(ScriptedEgress(ContentTypeError("Not allowed."))).fetch(URL),
    ):
        pytest.fail("there is no file")
