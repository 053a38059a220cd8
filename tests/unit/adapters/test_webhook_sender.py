"""What the egress guard says, in the words of the ports."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from postbreeze.adapters import egress
from postbreeze.adapters.egress import Egress, EgressError, Response
from postbreeze.adapters.platforms.media import MOST_BYTES, MediaFetcher
from postbreeze.adapters.webhook_sender import EgressWebhookSender
from postbreeze.domain.errors import (
    PlatformRejectedError,
    PlatformRetriableError,
    UnavailableError,
)
from postbreeze.operations.platform_port import Attachment
from postbreeze.operations.webhook_ports import WebhookResponse, WebhookSendError


class ScriptedEgress:
    """An egress guard that always comes to the same."""

    def __init__(self, outcome: Response | tuple[bytes, str] | Exception) -> None:
        self._outcome = outcome
        self.asked: list[object] = []

    def post(self, url: str, headers: object, body: bytes) -> object:
        self.asked.append((url, headers, body))
        return self._come()

    def fetch(self, url: str, *, max_bytes: int, content_types: object) -> object:
        self.asked.append((url, max_bytes, content_types))
        return self._come()

    def _come(self) -> object:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


def sender(scripted: ScriptedEgress) -> EgressWebhookSender:
    return EgressWebhookSender(cast("Egress", scripted))


def fetcher(scripted: ScriptedEgress) -> MediaFetcher:
    return MediaFetcher(cast("Egress", scripted), StoredFile(b"png"))


class StoredFile:
    """A storage with one file in it."""

    def __init__(self, content: bytes | Exception | None) -> None:
        self._content = content

    def read(self, key: str, *, most_bytes: int) -> bytes | None:
        if isinstance(self._content, Exception):
            raise self._content
        return self._content[: most_bytes + 1] if self._content and key == "k" else None


def test_an_answer_is_passed_on() -> None:
    scripted = ScriptedEgress(
        Response(status=503, headers={"retry-after": "7"}, body=b"x", truncated=True, duration_ms=3)
    )
    answer = sender(scripted).post("https://example.com", {"a": "b"}, b"body")
    assert answer == WebhookResponse(
        status=503, headers={"retry-after": "7"}, body=b"x", duration_ms=3
    )
    assert scripted.asked == [("https://example.com", {"a": "b"}, b"body")]


def test_no_answer_keeps_its_step_and_its_time() -> None:
    error = egress.TlsError("No TLS connection.")
    error.duration_ms = 12
    with pytest.raises(WebhookSendError) as raised:
        sender(ScriptedEgress(error)).post("https://example.com", {}, b"")
    assert (raised.value.code, raised.value.message) == ("TLS_FAILED", "No TLS connection.")
    assert raised.value.duration_ms == 12


def test_a_header_that_cannot_be_sent_is_the_endpoints_fault() -> None:
    with pytest.raises(WebhookSendError) as raised:
        sender(ScriptedEgress(ValueError("a header"))).post("https://example.com", {}, b"")
    assert raised.value.code == "HEADERS_NOT_ALLOWED"
    page = Path(__file__).parents[3] / "docs" / "webhooks.md"
    assert f"| `{raised.value.code}` |" in page.read_text(encoding="utf-8")


def test_a_picture_is_fetched_within_bounds() -> None:
    scripted = ScriptedEgress((b"png", "image/png"))
    assert fetcher(scripted)(Attachment(url="https://example.com/a")) == (b"png", "image/png")
    assert scripted.asked == [("https://example.com/a", MOST_BYTES, ("image/*",))]


@pytest.mark.parametrize(
    "error",
    [
        egress.UrlNotAllowedError("x"),
        egress.BlockedAddressError("x"),
        egress.ContentTypeError("x"),
        egress.ResponseTooLargeError("x"),
        egress.UnexpectedStatusError(404),
        egress.UnexpectedStatusError(301),
    ],
)
def test_a_picture_that_can_never_be_had_is_rejected(error: EgressError) -> None:
    with pytest.raises(PlatformRejectedError) as raised:
        fetcher(ScriptedEgress(error))(Attachment(url="https://example.com/a"))
    assert raised.value.code == "MEDIA_REJECTED"


@pytest.mark.parametrize(
    "error",
    [
        egress.DnsError("x"),
        egress.ConnectError("x"),
        egress.DeadlineError("x"),
        egress.ProtocolError("x"),
        egress.UnexpectedStatusError(429),
        egress.UnexpectedStatusError(503),
    ],
)
def test_a_picture_that_may_come_later_is_tried_again(error: EgressError) -> None:
    with pytest.raises(PlatformRetriableError) as raised:
        fetcher(ScriptedEgress(error))(Attachment(url="https://example.com/a"))
    assert raised.value.code == "MEDIA_UNREACHABLE"


def stored(content: bytes | Exception | None, **fields: str) -> tuple[bytes, str]:
    fetch = MediaFetcher(cast("Egress", ScriptedEgress(ValueError())), StoredFile(content))
    return fetch(Attachment(**{"storage_key": "k", "content_type": "image/png", **fields}))


def test_an_asset_comes_from_the_storage() -> None:
    assert stored(b"png") == (b"png", "image/png")
    assert stored(bytes(MOST_BYTES)) == (bytes(MOST_BYTES), "image/png")


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (None, {}),
        (b"png", {"storage_key": "another"}),
        (b"mp4", {"content_type": "video/mp4"}),
        (bytes(MOST_BYTES + 1), {}),
    ],
)
def test_an_asset_that_cannot_be_had_is_rejected(
    content: bytes | None, fields: dict[str, str]
) -> None:
    with pytest.raises(PlatformRejectedError) as raised:
        stored(content, **fields)
    assert raised.value.code == "MEDIA_REJECTED"


def test_a_storage_that_does_not_answer_is_asked_again() -> None:
    with pytest.raises(PlatformRetriableError) as raised:
        stored(UnavailableError("GetObject"))
    assert raised.value.code == "MEDIA_UNREACHABLE"
