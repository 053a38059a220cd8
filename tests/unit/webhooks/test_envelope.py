"""The body, the headers and the subscriptions of webhook requests."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from postbreeze.domain.errors import ValidationError
from postbreeze.domain.events import EventType
from postbreeze.webhooks.envelope import (
    MAX_HEADER_NAME,
    MAX_HEADER_VALUE,
    check_custom_headers,
    check_filters,
    envelope,
    matches,
    request_headers,
)

AT = datetime(2026, 6, 15, 9, 0, 0, 123_999, tzinfo=UTC)
SIGNED = {"X-Postbreeze-Signature": "t=1,v1=ab", "webhook-id": "dlv_1"}


def test_the_envelope_is_compact_json_in_the_documented_order() -> None:
    # When
    body = envelope("post.cancelled", "dlv_1", AT, {"eventId": "evt_1", "post": None})
    # Then
    assert body == (
        b'{"event":"post.cancelled","deliveryId":"dlv_1","sentAt":"2026-06-15T09:00:00.123Z",'
        b'"apiVersion":"2026-05-01","payload":{"eventId":"evt_1","post":null}}'
    )


def test_text_is_sent_as_utf_8_and_lone_surrogates_as_escapes() -> None:
    # Given
    caption = 'Grüße 🌬️ "quoted" \\ \u2028 \x00 \ud83c'
    # When
    body = envelope("post.created", "dlv_1", AT, {"caption": caption})
    # Then
    assert "Grüße 🌬️".encode() in body
    assert json.loads(body.decode("utf-8"))["payload"]["caption"] == caption


def test_the_time_is_told_in_utc() -> None:
    # Given
    elsewhere = AT.astimezone(timezone(timedelta(hours=-7)))
    # Then
    assert envelope("e", "d", elsewhere, {}) == envelope("e", "d", AT, {})


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        envelope("e", "d", AT.replace(tzinfo=None), {})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_does_not_have_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        envelope("e", "d", AT, {"x": number})


def test_all_headers_of_a_request() -> None:
    # When
    headers = request_headers("post.cancelled", "dlv_1", {"Authorization": "Bearer x"}, SIGNED)
    # Then
    assert headers == {
        "Authorization": "Bearer x",
        "Content-Type": "application/json",
        "User-Agent": "Postbreeze-Webhook/1.0",
        "X-Postbreeze-Event": "post.cancelled",
        "X-Postbreeze-Delivery-Id": "dlv_1",
        "X-Postbreeze-Api-Version": "2026-05-01",
        "X-Postbreeze-Signature": "t=1,v1=ab",
        "webhook-id": "dlv_1",
    }


@pytest.mark.parametrize(
    "name",
    [
        "Content-Type",
        "USER-AGENT",
        "x-postbreeze-signature",
        "X-Postbreeze-Event",
        "X-Postbreeze-Anything",
        "Webhook-Signature",
        "webhook-anything",
        "Host",
        "content-length",
        "Transfer-Encoding",
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Upgrade",
        "Expect",
        "Proxy-Authorization",
        "Accept-Encoding",
        "Content-Encoding",
        "HTTP2-Settings",
        "Via",
        "",
        "two words",
        "colon:",
        "new\nline",
        "ümlaut",
        "n" * 65,
    ],
)
def test_headers_that_are_ours_or_dangerous_are_refused_and_never_sent(name: str) -> None:
    # Given
    custom = {name: "mine", "X-Kept": "yes"}
    # When
    with pytest.raises(ValidationError) as caught:
        check_custom_headers(custom)
    headers = request_headers("post.cancelled", "dlv_1", custom, SIGNED)
    # Then
    assert [detail.path for detail in caught.value.details] == [f"headers.{name[:64]}"]
    assert headers == request_headers("post.cancelled", "dlv_1", {"X-Kept": "yes"}, SIGNED)
    assert "mine" not in headers.values()


@pytest.mark.parametrize(
    "value", ["", " ", " lead", "trail ", "a\r\nHost: evil", "a\nb", "a\x00", "é", "v" * 1025]
)
def test_header_values_that_could_break_a_request_are_refused_unrepeated(value: str) -> None:
    # When
    with pytest.raises(ValidationError) as caught:
        check_custom_headers({"X-Token": value})
    # Then
    [detail] = caught.value.details
    assert detail.path == "headers.X-Token"
    assert detail.message == "A header value is 1 to 1024 printable ASCII characters."
    assert "X-Token" not in request_headers("e", "d", {"X-Token": value}, SIGNED)


def test_sound_custom_headers_pass() -> None:
    check_custom_headers({})
    check_custom_headers({f"X-{number}": "a b\tc" for number in range(20)})


def test_too_many_and_doubled_headers_are_refused() -> None:
    # When
    with pytest.raises(ValidationError) as many:
        check_custom_headers({f"X-{number}": "v" for number in range(21)})
    with pytest.raises(ValidationError) as doubled:
        check_custom_headers({"X-Token": "a", "x-token": "b"})
    # Then
    assert [detail.path for detail in many.value.details] == ["headers"]
    assert [detail.path for detail in doubled.value.details] == ["headers.x-token"]


@pytest.mark.parametrize(
    ("filters", "event_type", "expected"),
    [
        (["post.cancelled"], "post.cancelled", True),
        (["post.published"], "post.cancelled", False),
        (["post.created", "post.cancelled"], "post.cancelled", True),
        (["*"], "webhook.test", True),
        (["post.*"], "post.cancelled", True),
        (["post.*"], "account.disconnected", False),
        (["post.*"], "posts.cancelled", False),
        (["post.*"], "post.target.failed", True),
        (["post.target.*"], "post.target.failed", True),
        (["post"], "post.cancelled", False),
        (["post.cancel*"], "post.cancelled", False),
        (["Post.Cancelled"], "post.cancelled", False),
        ([], "post.cancelled", False),
    ],
)
def test_filters(filters: list[str], event_type: str, expected: bool) -> None:
    assert matches(filters, event_type) is expected


def test_every_event_type_is_matched_by_its_name_its_family_and_the_star() -> None:
    for event_type in EventType:
        family = f"{event_type.partition('.')[0]}.*"
        for wanted in (event_type.value, family, "*"):
            assert matches([wanted], event_type)


def test_filters_that_match_no_event_are_refused() -> None:
    # Given
    check_filters(["*", "post.*", "webhook.disabled"], list(EventType))
    # When
    with pytest.raises(ValidationError) as wrong:
        check_filters(["post.cancelled", "post.canceled", "user.*"], list(EventType))
    with pytest.raises(ValidationError) as none:
        check_filters([], list(EventType))
    # Then
    assert [detail.path for detail in wrong.value.details] == ["events.1", "events.2"]
    assert [detail.path for detail in none.value.details] == ["events"]


def test_names_and_values_may_be_as_long_as_they_may_and_no_longer() -> None:
    # Given
    longest = {"a" * MAX_HEADER_NAME: "b" * MAX_HEADER_VALUE}
    # Then
    check_custom_headers(longest)
    for name, value in (("a" * (MAX_HEADER_NAME + 1), "b"), ("a", "b" * (MAX_HEADER_VALUE + 1))):
        with pytest.raises(ValidationError):
            check_custom_headers({name: value})


def test_a_header_that_is_refused_for_itself_is_not_said_to_be_doubled() -> None:
    # When
    with pytest.raises(ValidationError) as refused:
        check_custom_headers({"Host": "a", "host": "b"})
    # Then
    assert {detail.message for detail in refused.value.details} == {"This header cannot be set."}
