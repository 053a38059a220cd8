"""Reading requests: strict, and never with another error than a refusal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from postbreeze.domain import api_keys, ids
from postbreeze.domain.errors import (
    IdempotencyKeyInvalidError,
    RefusalError,
    UnauthorizedError,
    ValidationError,
)
from postbreeze.http import requests
from postbreeze.http.auth import key_digest
from postbreeze.http.problems import PayloadTooLargeError, UnsupportedMediaTypeError
from postbreeze.http.requests import HttpRequest
from tests.support.http_client import http_event

KEY = api_keys.mint(bytes(32))


def a_request(
    body: bytes | None = None, query: tuple[tuple[str, str], ...] = (), **headers: str
) -> HttpRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpRequest(
        method="POST",
        path="/p",
        headers={"content-type": "application/json", **named},
        query=query,
        body=body,
    )


def fault(raised: pytest.ExceptionInfo[ValidationError]) -> tuple[str, str]:
    [detail] = raised.value.details
    return detail.path, detail.message


def test_an_event_is_read_whole() -> None:
    event = http_event("post", "/a?b=c&b=&d=%C3%BC", body=b"\x00\xff", headers={"X-Y": "z"})
    assert requests.from_event(event) == HttpRequest(
        method="POST",
        path="/a",
        headers={"x-y": "z"},
        query=(("b", "c"), ("b", ""), ("d", "ü")),
        body=b"\x00\xff",
    )


@pytest.mark.parametrize("body", ["", None])
def test_an_empty_body_is_none(body: str | None) -> None:
    event = {**http_event("POST", "/a"), "body": body}
    assert requests.from_event(event).body is None


@pytest.mark.parametrize(
    ("body", "encoded"), [("*", True), ("AAA", True), ("ü", True), ("\ud800", False)]
)
def test_a_broken_encoding_is_refused(body: str, encoded: bool) -> None:
    event = {**http_event("POST", "/a"), "body": body, "isBase64Encoded": encoded}
    with pytest.raises(ValidationError) as refused:
        requests.from_event(event)
    assert fault(refused) == ("body", "must be UTF-8 text")


# Bodies


def test_a_body_becomes_an_object() -> None:
    body = '{"a": [1, -2.5, true, null, "\\ud83d\\ude00 ü"]}'.encode()
    assert requests.json_object(a_request(body)) == {"a": [1, -2.5, True, None, "😀 ü"]}
    assert requests.json_object(a_request(None)) is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\xff", "must be UTF-8 text"),
        (b"\xef\xbb\xbf{}", "is not valid JSON (line 1, column 1)"),
        (b" ", "is not valid JSON (line 1, column 2)"),
        (b"{", "is not valid JSON (line 1, column 2)"),
        (b"{}\n{}", "is not valid JSON (line 2, column 1)"),
        (b"{'a': 1}", "is not valid JSON (line 1, column 2)"),
        (b'{"a": 1,}', "is not valid JSON (line 1, column 9)"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b'{"a": NaN}', "holds NaN, which is not JSON"),
        (b'{"a": -Infinity}', "holds -Infinity, which is not JSON"),
        (b'{"a": 1e999}', "holds a number that is too large"),
        (b'{"a": 9007199254740992}', "holds a number that is too large"),
        (b'{"a": ' + b"9" * 100_000 + b"}", "holds a number that is too large"),
        (b'{"a": 1, "b": 2, "a": 3}', 'has the name "a" twice'),
        (b'{"a": "\\ud800"}', "holds half of a surrogate pair, which is no character"),
        (b'{"\\udc00": 1}', "holds half of a surrogate pair, which is no character"),
        (b'{"a": ' + b"[" * 32 + b"]" * 32 + b"}", "nests deeper than 32 levels"),
        (b"[" * 100_000, "nests deeper than 32 levels"),
        (b'{"a":' * 40_000, "nests deeper than 32 levels"),
    ],
)
def test_what_is_no_such_object_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        requests.json_object(a_request(body))
    assert fault(refused) == ("body", message)


def test_the_deepest_body_is_taken() -> None:
    body = b'{"a": ' + b"[" * 30 + b"1" + b"]" * 30 + b"}"
    assert requests.json_object(a_request(body)) is not None


@pytest.mark.parametrize(("size", "is_taken"), [(262_144, True), (262_145, False)])
def test_a_body_has_at_most_256_kib(size: int, is_taken: bool) -> None:
    body = b'{"a": "' + b"x" * (size - 9) + b'"}'
    assert len(body) == size
    if is_taken:
        assert requests.json_object(a_request(body)) is not None
    else:
        with pytest.raises(PayloadTooLargeError):
            requests.json_object(a_request(body))


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        'application/json ; Charset="UTF-8"',
        "application/json; version=1",
    ],
)
def test_json_is_known_by_its_type(content_type: str) -> None:
    assert requests.json_object(a_request(b"{}", content_type=content_type)) == {}


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/json",
        "application/problem+json",
        "application/jsonp",
        "application/json, text/plain",
        "application/json; charset=iso-8859-1",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
    ],
)
def test_other_types_are_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        requests.json_object(a_request(b"{}", content_type=content_type))


# Path, query, headers


@pytest.mark.parametrize(
    "text", ["", "post_1", "tgt_01JZZZZZZZZZZZZZZZZZZZZZZZ", "post_01jzzzzzzzzzzzzzzzzzzzzzzz"]
)
def test_an_identifier_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        requests.path_id(ids.POST, "postId", text)
    assert fault(refused)[0] == "path.postId"


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ((), []),
        ((("dryRun", "true"),), []),
        ((("dryrun", "true"),), ["query.dryrun"]),
        ((("a", "1"), ("a", "2"), ("b", "")), ["query.a", "query.b"]),
        ((("dryRun", "true"), ("dryRun", "true")), ["query.dryRun"]),
    ],
)
def test_the_query_has_known_parameters_once(
    query: tuple[tuple[str, str], ...], paths: list[str]
) -> None:
    request = a_request(query=query)
    if not paths:
        requests.check_query(request, ("dryRun",))
        return
    with pytest.raises(ValidationError) as refused:
        requests.check_query(request, ("dryRun",))
    assert [detail.path for detail in refused.value.details] == paths


@pytest.mark.parametrize(("text", "flag"), [("true", True), ("false", False), (None, False)])
def test_a_flag_is_true_or_false(text: str | None, flag: bool) -> None:
    request = a_request(query=() if text is None else (("dryRun", text),))
    assert requests.query_flag(request, "dryRun") is flag


@pytest.mark.parametrize("text", ["", "1", "TRUE", "yes", " true"])
def test_a_flag_is_nothing_else(text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        requests.query_flag(a_request(query=(("dryRun", text),)), "dryRun")
    assert fault(refused) == ("query.dryRun", "must be true or false")


@pytest.mark.parametrize(
    ("text", "version"), [('"7"', 7), ("7", 7), (' "7" ', 7), ("*", None), (" * ", None)]
)
def test_if_match_names_a_version(text: str, version: int | None) -> None:
    assert requests.if_match(a_request(if_match=text)) == version
    assert requests.if_match(a_request()) is None


@pytest.mark.parametrize(
    "text", ["", "seven", 'W/"7"', '"7", "8"', '"7', '""', "-7", "7.0", '"' + "7" * 19 + '"', "٧"]
)
def test_if_match_is_nothing_else(text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        requests.if_match(a_request(if_match=text))
    assert fault(refused)[0] == "headers.If-Match"


@pytest.mark.parametrize("text", ["a", "x" * 255, "~ !"])
def test_an_idempotency_key_is_printable(text: str) -> None:
    assert requests.idempotency_key(a_request(idempotency_key=text)) == text
    assert requests.idempotency_key(a_request()) is None


@pytest.mark.parametrize("text", ["", "x" * 256, "ü", "a\tb", "a\n"])
def test_another_idempotency_key_is_refused(text: str) -> None:
    with pytest.raises(IdempotencyKeyInvalidError):
        requests.idempotency_key(a_request(idempotency_key=text))


def test_only_the_same_wish_has_the_same_digest() -> None:
    base = a_request(query=(("a", "1"), ("b", "2")))
    reordered = a_request(query=(("b", "2"), ("a", "1")))
    assert requests.digest(base, {"x": 1, "y": 2}) == requests.digest(reordered, {"y": 2, "x": 1})
    others: list[tuple[Any, Any]] = [
        (base, {"x": 1}),
        (base, None),
        (a_request(), {"x": 1, "y": 2}),
        (a_request(if_match="7", query=base.query), {"x": 1, "y": 2}),
    ]
    digests = [requests.digest(request, document) for request, document in others]
    assert len({*digests, requests.digest(base, {"x": 1, "y": 2})}) == 5


# Keys


@pytest.mark.parametrize("text", [f"Bearer {KEY}", f"bearer {KEY}", f" BEARER   {KEY} "])
def test_a_key_is_known_by_its_digest(text: str) -> None:
    assert key_digest(a_request(authorization=text)) == api_keys.digest(KEY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Bearer",
        "Bearer ",
        KEY,
        f"Basic {KEY}",
        f"Bearer {KEY} {KEY}",
        f"Bearer {KEY}x",
        f"Bearer\u00a0{KEY}",
        f"Bearer {KEY[:-1]}",
        f"Bearer {KEY.lower()}x",
        f"Bearer {KEY}, Bearer {KEY}",
    ],
)
def test_another_authorization_is_none(text: str) -> None:
    with pytest.raises(UnauthorizedError):
        key_digest(a_request(authorization=text))


def test_every_refusal_of_a_request_is_a_refusal() -> None:
    assert issubclass(PayloadTooLargeError, RefusalError)
    assert issubclass(UnsupportedMediaTypeError, RefusalError)


def test_a_moment_in_the_query() -> None:
    request = a_request(query=(("since", "2026-06-15T11:00:00+02:00"), ("until", "noon")))
    assert requests.query_time(request, "since") == datetime(2026, 6, 15, 9, tzinfo=UTC)
    assert requests.query_time(request, "before") is None
    with pytest.raises(ValidationError) as raised:
        requests.query_time(request, "until")
    assert fault(raised) == (
        "query.until",
        "must be an RFC 3339 time, such as 2026-06-15T09:00:00Z",
    )
