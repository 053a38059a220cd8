"""The request as it arrived, and the strict reading of its parts.

Everything here is pure and turns whatever a client can send into values or into a refusal; nothing
a client sends may come out as another error.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl

from postbreeze.domain import ids
from postbreeze.domain.errors import Detail, IdempotencyKeyInvalidError, ValidationError
from postbreeze.http.problems import PayloadTooLargeError, UnsupportedMediaTypeError
from postbreeze.http.times import parse_time

LONGEST_BODY = 256 * 1024
"""The most bytes a body may have."""

DEEPEST_BODY = 32
"""How many levels a body may nest: far more than any schema has, far less than a stack."""

LARGEST_INTEGER = 2**53 - 1
"""The largest whole number that every JSON reader takes exactly."""

_BODY = "body"
_PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")
_VERSION = re.compile(r'"([0-9]{1,18})"|([0-9]{1,18})')
_COUNT = re.compile(r"[0-9]{1,9}")
_LONGEST_NAME_SHOWN = 100

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One HTTP request; header names are in lower case, ``body`` is None where there is none."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: tuple[tuple[str, str], ...]
    body: bytes | None


def from_event(event: Mapping[str, Any]) -> HttpRequest:
    """Read an API Gateway event (HTTP API, payload 2.0).

    Raises:
        ValidationError: The body's encoding is broken.
        KeyError: It is no such event.
    """
    http = event["requestContext"]["http"]
    headers = event.get("headers") or {}
    return HttpRequest(
        method=http["method"].upper(),
        path=event["rawPath"],
        headers={name.lower(): value for name, value in headers.items()},
        query=tuple(parse_qsl(event.get("rawQueryString") or "", keep_blank_values=True)),
        body=_body(event),
    )


def _body(event: Mapping[str, Any]) -> bytes | None:
    text = event.get("body")
    if not text:
        return None
    try:
        if event.get("isBase64Encoded"):
            return base64.b64decode(text, validate=True) or None
        return str(text).encode()
    except (binascii.Error, ValueError) as error:
        raise ValidationError.of(_BODY, "must be UTF-8 text") from error


def path_id(prefix: str, name: str, text: str) -> str:
    """Return an identifier from the path.

    Raises:
        ValidationError: It has another form.
    """
    if not ids.is_id(prefix, text):
        raise ValidationError.of(f"path.{name}", not_an_id(prefix))
    return text


def check_query(request: HttpRequest, known: Collection[str] = ()) -> None:
    """Refuse query parameters that are unknown or given twice.

    Raises:
        ValidationError: There are such.
    """
    names = [name for name, _ in request.query]
    details = [
        Detail(f"query.{shown(name)}", "is not a known parameter")
        for name in dict.fromkeys(names)
        if name not in known
    ]
    details += [
        Detail(f"query.{name}", "must be given once") for name in known if names.count(name) > 1
    ]
    if details:
        raise ValidationError(details)


def query_flag(request: HttpRequest, name: str) -> bool:
    """Return a query parameter that is ``true`` or ``false``; absent means false.

    Raises:
        ValidationError: It is anything else.
    """
    text = dict(request.query).get(name, "false")
    if text not in ("true", "false"):
        raise ValidationError.of(f"query.{name}", "must be true or false")
    return text == "true"


def query_id(request: HttpRequest, prefix: str, name: str) -> str | None:
    """Return a query parameter that is an identifier; None where it is absent.

    Raises:
        ValidationError: It has another form.
    """
    text = dict(request.query).get(name)
    if text is not None and not ids.is_id(prefix, text):
        raise ValidationError.of(f"query.{name}", not_an_id(prefix))
    return text


def query_choice(request: HttpRequest, choices: type[Choice], name: str) -> Choice | None:
    """Return a query parameter that is one of several words; None where it is absent.

    Raises:
        ValidationError: It is another.
    """
    text = dict(request.query).get(name)
    if text is None:
        return None
    try:
        return choices(text)
    except ValueError:
        words = ", ".join(choices)
        raise ValidationError.of(f"query.{name}", f"must be one of {words}") from None


def query_time(request: HttpRequest, name: str) -> datetime | None:
    """Return a query parameter that is a moment; None where it is absent.

    Raises:
        ValidationError: It is none.
    """
    text = dict(request.query).get(name)
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        raise ValidationError.of(f"query.{name}", str(error)) from None


def query_limit(request: HttpRequest, *, usual: int, most: int) -> int:
    """Return how many things a page may have; absent means the usual number.

    Raises:
        ValidationError: It is no whole number from 1 to the most.
    """
    text = dict(request.query).get("limit")
    if text is None:
        return usual
    if _COUNT.fullmatch(text) is None or not 1 <= int(text) <= most:
        raise ValidationError.of("query.limit", f"must be a whole number from 1 to {most}")
    return int(text)


def if_match(request: HttpRequest) -> int | None:
    """Return the version that ``If-Match`` names; None where any will do.

    The quotes of an entity tag may be left out.

    Raises:
        ValidationError: It names none, several, or a weak one.
    """
    text = request.headers.get("if-match")
    if text is None or text.strip() == "*":
        return None
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        raise ValidationError.of(
            "headers.If-Match", 'must be one version as the ETag had it, such as "7", or *'
        )
    return int(match[1] or match[2])


def idempotency_key(request: HttpRequest) -> str | None:
    """Return the ``Idempotency-Key``, or None where there is none.

    Raises:
        IdempotencyKeyInvalidError: It is malformed.
    """
    text = request.headers.get("idempotency-key")
    if text is not None and _PRINTABLE.fullmatch(text) is None:
        raise IdempotencyKeyInvalidError
    return text


def digest(request: HttpRequest, document: Mapping[str, Any] | None) -> str:
    """Return the SHA-256 that two requests share only if they ask for the same."""
    parts = [
        request.method,
        request.path,
        sorted(request.query),
        request.headers.get("if-match"),
        document,
    ]
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def json_object(request: HttpRequest) -> dict[str, Any] | None:
    """Return the body as a JSON object, or None where there is no body.

    Raises:
        PayloadTooLargeError: It is too long.
        UnsupportedMediaTypeError: It is not said to be JSON in UTF-8.
        ValidationError: It is no JSON object, or holds what cannot be kept: a name given twice, a
            lone surrogate, a number beyond what JSON readers agree on, too many levels.
    """
    if request.body is None:
        return None
    if len(request.body) > LONGEST_BODY:
        raise PayloadTooLargeError
    _check_media_type(request.headers.get("content-type", ""))
    document = _parse(request.body)
    if not isinstance(document, dict):
        raise ValidationError.of(_BODY, "must be a JSON object")
    _check_values(document)
    return document


def not_an_id(prefix: str) -> str:
    """Say what is wrong with a text that should be an identifier."""
    return f"must be {prefix}_ and 26 upper-case base-32 characters"


def shown(name: str) -> str:
    """Return a name of the client's choosing as it may stand in an answer."""
    if len(name) <= _LONGEST_NAME_SHOWN:
        return name
    return f"{name[:_LONGEST_NAME_SHOWN]}…"


def _check_media_type(content_type: str) -> None:
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [
        value.strip('"')
        for name, _, value in (parameter.partition("=") for parameter in parameters)
        if name.strip() == "charset"
    ]
    if media_type != "application/json" or any(
        charset not in ("utf-8", "utf8") for charset in charsets
    ):
        raise UnsupportedMediaTypeError


def _parse(body: bytes) -> Any:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise ValidationError.of(_BODY, "must be UTF-8 text") from error
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except json.JSONDecodeError as error:
        raise ValidationError.of(
            _BODY, f"is not valid JSON (line {error.lineno}, column {error.colno})"
        ) from error
    except RecursionError as error:
        raise _too_deep() from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValidationError.of(_BODY, f"has the name {_quoted(name)} twice")
            seen.add(name)
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValidationError.of(_BODY, f"holds {name}, which is not JSON")


def _integer(digits: str) -> int:
    # The length is looked at first: turning very many digits into a number takes very long.
    if len(digits) > len(str(LARGEST_INTEGER)) + 1 or abs(int(digits)) > LARGEST_INTEGER:
        raise ValidationError.of(_BODY, "holds a number that is too large")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValidationError.of(_BODY, "holds a number that is too large")
    return number


def _check_values(document: dict[str, Any]) -> None:
    level: list[Any] = [document]
    for _ in range(DEEPEST_BODY):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += value.keys()
                below += value.values()
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str):
                _check_text(value)
        if not below:
            return
        level = below
    raise _too_deep()


def _check_text(text: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValidationError.of(_BODY, "holds half of a surrogate pair, which is no character")


def _too_deep() -> ValidationError:
    return ValidationError.of(_BODY, f"nests deeper than {DEEPEST_BODY} levels")


def _quoted(name: str) -> str:
    return json.dumps(shown(name))
