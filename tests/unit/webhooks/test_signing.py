"""Signing against vectors made with ``openssl dgst``, and the refusals of the check."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from postbreeze.webhooks.signature import (
    SIGNATURE_HEADER,
    MalformedSecretError,
    VerificationError,
    new_secret,
    secret_bytes,
    sign,
    verify_postbreeze,
    verify_standard,
)

OLD = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
NEW = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
OTHER = new_secret(bytes(32))
AT = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
BODY = b'{"event":"post.cancelled"}'
DELIVERY = "dlv_01JXR2Q7D3M8ZK5T0V9YB6N4CE"
OLD_HEX = "9e8d6fd15fd012408771edc7d0c2d8b041e91801c278246b75d983d29cd8c787"
NEW_HEX = "7bac19e420a6053c426b905ff073478d8fc5113512aaae091f2fbcf91eb2d529"
OLD_BASE64 = "wK+GeJd3d7khSRizXHJ4QWizfO7thlbeFpQC/2aKIMo="
NEW_BASE64 = "np/zHI9EHbPpHQw6lgKemS+ETAx6Mvb+XaQfanqUeHA="


def test_a_secret_is_the_base64_of_its_bytes() -> None:
    # Given
    random_bytes = bytes(range(32))
    # When
    secret = new_secret(random_bytes)
    # Then
    assert secret == OLD
    assert secret_bytes(secret) == random_bytes


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_secret_is_made_from_32_bytes_only(length: int) -> None:
    with pytest.raises(MalformedSecretError):
        new_secret(bytes(length))


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        OLD.removeprefix("whsec_"),
        OLD.upper(),
        OLD.rstrip("="),
        OLD + "=",
        OLD + "\n",
        " " + OLD,
        "whsec_" + OLD,
        OLD.replace("Hh8=", "Hh9="),  # the same bytes, not the canonical spelling
        "whsec_" + base64.b64encode(bytes(31)).decode(),
        "whsec_" + base64.b64encode(bytes(33)).decode(),
        "whsec_" + base64.urlsafe_b64encode(b"\xff" * 32).decode(),
        "whsec_ключ",
    ],
)
def test_a_malformed_secret_is_refused_and_not_repeated(secret: str) -> None:
    # When
    with pytest.raises(MalformedSecretError) as caught:
        secret_bytes(secret)
    # Then
    assert str(caught.value) == "A secret is whsec_ followed by the base64 of 32 bytes."


def test_one_secret_signs_both_ways() -> None:
    # When
    headers = sign(BODY, delivery_id=DELIVERY, at=AT, secrets=[OLD])
    # Then
    assert headers == {
        "X-Postbreeze-Signature": f"t=1781514000,v1={OLD_HEX}",
        "webhook-id": DELIVERY,
        "webhook-timestamp": "1781514000",
        "webhook-signature": f"v1,{OLD_BASE64}",
    }


def test_during_a_rotation_both_secrets_sign_and_the_current_one_is_last() -> None:
    # When
    headers = sign(BODY, delivery_id=DELIVERY, at=AT, secrets=[OLD, NEW])
    # Then
    assert headers["X-Postbreeze-Signature"] == f"t=1781514000,v1={OLD_HEX},v1={NEW_HEX}"
    assert headers["webhook-signature"] == f"v1,{OLD_BASE64} v1,{NEW_BASE64}"
    for secret in (OLD, NEW):
        assert verify_postbreeze(headers, BODY, secret, AT) == AT
        assert verify_standard(headers, BODY, secret, AT) == AT


def test_a_moment_in_another_zone_signs_its_utc_second() -> None:
    # Given
    elsewhere = datetime(2026, 6, 15, 14, 30, 0, 999_999, timezone(timedelta(hours=5, minutes=30)))
    # When
    headers = sign(BODY, delivery_id=DELIVERY, at=elsewhere, secrets=[OLD])
    # Then
    assert headers["webhook-timestamp"] == "1781514000"


@pytest.mark.parametrize(
    "at", [datetime(2026, 6, 15, 9, 0), datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)]
)
def test_a_moment_without_a_zone_or_before_1970_cannot_sign(at: datetime) -> None:
    with pytest.raises(ValueError, match="moment"):
        sign(BODY, delivery_id=DELIVERY, at=at, secrets=[OLD])


@pytest.mark.parametrize("delivery_id", ["", "dlv.1", "dlv 1", "dlv\n1", "dlv_é", "d" * 65])
def test_an_id_that_could_blur_what_was_signed_is_refused(delivery_id: str) -> None:
    with pytest.raises(ValueError, match="delivery id"):
        sign(BODY, delivery_id=delivery_id, at=AT, secrets=[OLD])


def test_signing_needs_a_well_formed_secret() -> None:
    with pytest.raises(ValueError, match="At least one secret"):
        sign(BODY, delivery_id=DELIVERY, at=AT, secrets=[])
    with pytest.raises(MalformedSecretError):
        sign(BODY, delivery_id=DELIVERY, at=AT, secrets=[OLD, "whsec_short"])


@pytest.mark.parametrize(
    "name", [SIGNATURE_HEADER, SIGNATURE_HEADER.lower(), "X-POSTBREEZE-SIGNATURE"]
)
def test_the_header_is_found_in_any_case(name: str) -> None:
    assert verify_postbreeze({name: f"t=1781514000,v1={OLD_HEX}"}, BODY, OLD, AT) == AT


@pytest.mark.parametrize(
    "value",
    [
        f"t=1781514000, v1={OLD_HEX}",
        f"v1={OLD_HEX},t=1781514000",
        f"t=1781514000,v0=abc,v1={OLD_HEX},v2",
        f"t=1781514000,v1={'0' * 64},v1={OLD_HEX}",
        f"t=1781514000,v1={OLD_HEX},v1=é\ud800",
    ],
)
def test_order_spaces_other_schemes_and_other_signatures_do_not_matter(value: str) -> None:
    assert verify_postbreeze({SIGNATURE_HEADER: value}, BODY, OLD, AT) == AT


@pytest.mark.parametrize(
    "value",
    [
        "",
        "t=1781514000",
        f"v1={OLD_HEX}",
        f"t=,v1={OLD_HEX}",
        f"t=-1781514000,v1={OLD_HEX}",
        f"t=1781514000.0,v1={OLD_HEX}",
        f"t=١٧٨١٥١٤٠٠٠,v1={OLD_HEX}",
        f"t={'9' * 12},v1={OLD_HEX}",
        f"t=1781514000,t=1781514000,v1={OLD_HEX}",
        f"t=1781514000,v1={OLD_HEX.upper()}",
        f"t=1781514000,v1={OLD_HEX[:-1]}",
        "t=1781514000,v1=",
        f"t=1781514000,v0={OLD_HEX}",
        f"t=01781514000,v1={OLD_HEX}",
    ],
)
def test_a_malformed_or_wrong_header_is_refused(value: str) -> None:
    with pytest.raises(VerificationError):
        verify_postbreeze({SIGNATURE_HEADER: value}, BODY, OLD, AT)


def test_a_missing_or_doubled_header_is_refused() -> None:
    value = f"t=1781514000,v1={OLD_HEX}"
    for headers in ({}, {SIGNATURE_HEADER: value, SIGNATURE_HEADER.lower(): value}):
        with pytest.raises(VerificationError, match="exactly one"):
            verify_postbreeze(headers, BODY, OLD, AT)


def test_another_body_or_secret_is_refused() -> None:
    headers = sign(BODY, delivery_id=DELIVERY, at=AT, secrets=[OLD])
    with pytest.raises(VerificationError, match="No signature matches"):
        verify_postbreeze(headers, BODY + b" ", OLD, AT)
    with pytest.raises(VerificationError, match="No signature matches"):
        verify_postbreeze(headers, BODY, OTHER, AT)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_five_minutes_either_way_are_tolerated(seconds: int) -> None:
    headers = sign(BODY, delivery_id=DELIVERY, at=AT, secrets=[OLD])
    assert verify_postbreeze(headers, BODY, OLD, AT + timedelta(seconds=seconds)) == AT


@pytest.mark.parametrize("seconds", [-301, 301, 86_400])
def test_older_and_newer_requests_are_refused(seconds: int) -> None:
    headers = sign(BODY, delivery_id=DELIVERY, at=AT, secrets=[OLD])
    with pytest.raises(VerificationError, match="too far"):
        verify_postbreeze(headers, BODY, OLD, AT + timedelta(seconds=seconds))


def test_the_tolerance_can_be_chosen() -> None:
    headers = sign(BODY, delivery_id=DELIVERY, at=AT, secrets=[OLD])
    later = AT + timedelta(seconds=20)
    assert verify_postbreeze(headers, BODY, OLD, later, timedelta(seconds=20)) == AT
    with pytest.raises(VerificationError):
        verify_postbreeze(headers, BODY, OLD, later, timedelta(seconds=19))


def test_the_first_moment_that_can_be_signed_is_that_of_1970() -> None:
    # Given
    first = datetime(1970, 1, 1, tzinfo=UTC)
    # Then
    assert sign(BODY, delivery_id=DELIVERY, at=first, secrets=[OLD])
    with pytest.raises(ValueError, match="before 1970"):
        sign(BODY, delivery_id=DELIVERY, at=first - timedelta(seconds=1), secrets=[OLD])


def test_a_header_with_a_time_and_no_signature_is_malformed() -> None:
    with pytest.raises(VerificationError, match="malformed"):
        verify_postbreeze({SIGNATURE_HEADER: f"t={int(AT.timestamp())}"}, BODY, OLD, AT)


def standard(**spoilt: str) -> dict[str, str]:
    """Build the headers of Standard Webhooks, with these values in place of what is right."""
    headers = {"id": DELIVERY, "timestamp": "1781514000", "signature": f"v1,{OLD_BASE64}"}
    return {f"webhook-{name}": value for name, value in {**headers, **spoilt}.items()}


@pytest.mark.parametrize(
    "signature",
    [
        f"v1,{OLD_BASE64}",
        f"v1,AAAA v1,{OLD_BASE64}",
        f"v1,{OLD_BASE64} v1,{NEW_BASE64}",
        f"v1a,{NEW_BASE64} v1,{OLD_BASE64} v2",
    ],
)
def test_one_right_entry_of_a_standard_signature_is_enough(signature: str) -> None:
    assert verify_standard(standard(signature=signature), BODY, OLD, AT) == AT


@pytest.mark.parametrize("change", [str.upper, str.title])
def test_the_headers_of_a_standard_signature_are_found_in_any_case(
    change: Callable[[str], str],
) -> None:
    headers = {change(name): value for name, value in standard().items()}
    assert verify_standard(headers, BODY, OLD, AT) == AT


@pytest.mark.parametrize(
    ("spoilt", "why"),
    [
        ({"signature": f"v1,{NEW_BASE64}"}, "No signature"),
        ({"signature": f"v2,{OLD_BASE64}"}, "No signature"),
        ({"signature": f"v1={OLD_BASE64}"}, "No signature"),
        ({"signature": OLD_BASE64}, "No signature"),
        ({"signature": ""}, "No signature"),
        ({"signature": "v1,é\udc80"}, "No signature"),
        ({"id": "dlv_another"}, "No signature"),
        ({"id": ""}, "malformed"),
        ({"id": f"{DELIVERY}.1"}, "malformed"),
        ({"timestamp": "1781514001"}, "No signature"),
        ({"timestamp": ""}, "malformed"),
        ({"timestamp": "-1"}, "malformed"),
        ({"timestamp": "1781514000.0"}, "malformed"),
    ],
)
def test_a_wrong_standard_signature_is_refused(spoilt: dict[str, str], why: str) -> None:
    with pytest.raises(VerificationError, match=why):
        verify_standard(standard(**spoilt), BODY, OLD, AT)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_standard_signature_lacks_nothing_and_has_nothing_twice(name: str) -> None:
    missing = {other: value for other, value in standard().items() if other != name}
    doubled = {**standard(), name.title(): standard()[name]}
    for headers in (missing, doubled):
        with pytest.raises(VerificationError, match=f"not exactly one {name}"):
            verify_standard(headers, BODY, OLD, AT)


def test_a_standard_signature_is_of_one_body_and_one_secret() -> None:
    with pytest.raises(VerificationError):
        verify_standard(standard(), BODY + b" ", OLD, AT)
    with pytest.raises(VerificationError):
        verify_standard(standard(), BODY, OTHER, AT)
    with pytest.raises(MalformedSecretError):
        verify_standard(standard(), BODY, OLD[:-1], AT)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_standard_signature_may_be_five_minutes_off(seconds: int) -> None:
    assert verify_standard(standard(), BODY, OLD, AT + timedelta(seconds=seconds)) == AT


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_standard_signature_may_not_be_older_or_newer(seconds: int) -> None:
    with pytest.raises(VerificationError, match="too far"):
        verify_standard(standard(), BODY, OLD, AT + timedelta(seconds=seconds))


def test_the_tolerance_of_a_standard_signature_can_be_chosen() -> None:
    late = AT + timedelta(seconds=301)
    assert verify_standard(standard(), BODY, OLD, late, timedelta(hours=1)) == AT
