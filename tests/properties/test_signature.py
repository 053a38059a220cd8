"""What holds for every body, moment and secret; Standard Webhooks' own library is the judge."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from postbreeze.webhooks.envelope import envelope, request_headers
from postbreeze.webhooks.signature import (
    SIGNATURE_HEADER,
    VerificationError,
    new_secret,
    secret_bytes,
    sign,
    verify_postbreeze,
    verify_standard,
)

secrets = st.binary(min_size=32, max_size=32).map(new_secret)
moments = st.datetimes(
    min_value=datetime(1970, 1, 1), max_value=datetime(5000, 1, 1), timezones=st.just(UTC)
)
delivery_ids = st.from_regex(r"\A[A-Za-z0-9_-]{1,64}\Z")
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(min_size=32, max_size=32))
def test_a_secret_gives_back_its_bytes(random_bytes: bytes) -> None:
    assert secret_bytes(new_secret(random_bytes)) == random_bytes


@given(st.binary(), delivery_ids, moments, st.lists(secrets, min_size=1, max_size=3, unique=True))
def test_every_secret_that_signed_verifies(
    body: bytes, delivery_id: str, at: datetime, signing: list[str]
) -> None:
    # When
    headers = sign(body, delivery_id=delivery_id, at=at, secrets=signing)
    # Then
    for secret in signing:
        for verify in (verify_postbreeze, verify_standard):
            assert verify(headers, body, secret, at) == at.replace(microsecond=0)
    alone = sign(body, delivery_id=delivery_id, at=at, secrets=signing[-1:])
    assert headers[SIGNATURE_HEADER].endswith("," + alone[SIGNATURE_HEADER].partition(",")[2])


@given(st.binary(), st.binary(), moments, secrets, secrets)
def test_no_other_body_and_no_other_secret_verifies(
    body: bytes, other_body: bytes, at: datetime, secret: str, other_secret: str
) -> None:
    # Given
    headers = sign(body, delivery_id="dlv_1", at=at, secrets=[secret])
    # Then
    for verify in (verify_postbreeze, verify_standard):
        if other_body != body:
            with pytest.raises(VerificationError):
                verify(headers, other_body, secret, at)
        if other_secret != secret:
            with pytest.raises(VerificationError):
                verify(headers, body, other_secret, at)


@given(st.text(), st.binary(), secrets)
def test_no_header_whatever_makes_the_check_fall_over(value: str, body: bytes, secret: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(VerificationError):
        verify_postbreeze({SIGNATURE_HEADER: value}, body, secret, now)
    signed = {"webhook-id": "dlv_1", "webhook-timestamp": "1767225600", "webhook-signature": "v1,"}
    for name in signed:
        with pytest.raises(VerificationError):
            verify_standard({**signed, name: value}, body, secret, now)


@given(json_values, delivery_ids, st.lists(secrets, min_size=1, max_size=2, unique=True))
def test_the_standard_library_of_webhooks_verifies_us(
    payload: Any, delivery_id: str, signing: list[str]
) -> None:
    # Given: that library reads the machine's clock
    now = datetime.now(UTC)
    body = envelope("post.cancelled", delivery_id, now, {"x": payload})
    signatures = sign(body, delivery_id=delivery_id, at=now, secrets=signing)
    headers = request_headers("post.cancelled", delivery_id, {}, signatures)
    for secret in signing:
        # When
        document = Webhook(secret).verify(body, headers)
        # Then
        assert document == json.loads(body)
        assert document["payload"] == {"x": payload}


@given(secrets, secrets)
def test_the_standard_library_of_webhooks_refuses_what_is_forged(mine: str, theirs: str) -> None:
    # Given
    assume(mine != theirs)
    now = datetime.now(UTC)
    headers = sign(b"{}", delivery_id="dlv_1", at=now, secrets=[mine])
    stale = sign(b"{}", delivery_id="dlv_1", at=now - timedelta(minutes=6), secrets=[mine])
    # Then
    for secret, body, sent in (
        (theirs, b"{}", headers),
        (mine, b"[]", headers),
        (mine, b"{}", stale),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, sent)
