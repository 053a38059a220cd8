"""The routes that describe the API: its description, and a page that shows it.

The page is Swagger UI as Powertools brings it, from this host and nothing else: a strict
Content-Security-Policy has the browser see to that. Everything here is public, is the same for
everybody, and has a strong entity tag of what is actually sent.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import aws_lambda_powertools

from postbreeze.domain.errors import NotFoundError
from postbreeze.http import requests
from postbreeze.http.responses import BASE_PATH, JSON
from postbreeze.http.routing import Event, Response, Router

DESCRIPTION_PATH = f"{BASE_PATH}/openapi.json"
PAGE_PATH = f"{BASE_PATH}/docs"
ASSET_PATH = f"{PAGE_PATH}/<asset>"

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_OF_PAGES = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "no-referrer",
}

ASSETS = ("swagger-ui.js", "swagger-ui.css", "page.js")
"""What the page refers to."""

_SWAGGER_UI = (
    Path(aws_lambda_powertools.__file__).parent / "event_handler" / "openapi" / "swagger_ui"
)

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Postbreeze API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<noscript><p>This page needs JavaScript. <a href="openapi.json">The description itself</a> does
not.</p></noscript>
<script src="docs/swagger-ui.js"></script>
<script src="docs/page.js"></script>
</body>
</html>
"""

_START = """\
SwaggerUIBundle({
  dom_id: "#page",
  url: "openapi.json",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});
"""
"""``validatorUrl``: the bundle's own would send the description's address to another host."""

_MINUTE = 60
_DAY = 24 * 60 * _MINUTE
_LIKE_GZIP = re.compile(r"\s*(?:gzip|\*)\s*(?:;\s*q=(?P<weight>[0-9.]+)\s*)?", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Document:
    """Something that is served as it is; ``seconds`` is how long a copy counts as fresh."""

    media_type: str
    content: bytes
    seconds: int

    @cached_property
    def packed(self) -> bytes:
        """The content in gzip, the same bytes each time."""
        return gzip.compress(self.content, mtime=0)

    @cached_property
    def tags(self) -> Mapping[bool, str]:
        """The entity tags of the content as it is and in gzip."""
        digest = hashlib.sha256(self.content).hexdigest()[:32]
        return {False: f'"{digest}"', True: f'"{digest}-gzip"'}


def router(description: Callable[[], str]) -> Router:
    """Build ``GET /openapi.json``, ``GET /docs`` and what that page is made of."""
    routes = Router()
    described = _text(JSON, description(), 5 * _MINUTE)
    page = _text("text/html; charset=utf-8", _PAGE, 5 * _MINUTE)
    assets = _assets()

    @routes.get(DESCRIPTION_PATH)
    def show_description(event: Event) -> Response:
        return _served(requests.from_event(event), described)

    @routes.get(PAGE_PATH)
    def show_page(event: Event) -> Response:
        answer = _served(requests.from_event(event), page)
        return replace(answer, headers={**answer.headers, **_OF_PAGES})

    @routes.get(ASSET_PATH)
    def show_asset(event: Event, asset: str) -> Response:
        if asset not in assets:
            raise NotFoundError
        return _served(requests.from_event(event), assets[asset])

    return routes


@cache
def _assets() -> Mapping[str, Document]:
    script, style = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
    bundle = (_SWAGGER_UI / "swagger-ui-bundle.min.js").read_bytes()
    sheet = (_SWAGGER_UI / "swagger-ui.min.css").read_bytes()
    documents = (
        Document(media_type=script, content=bundle, seconds=_DAY),
        Document(media_type=style, content=sheet, seconds=_DAY),
        _text(script, _START, 5 * _MINUTE),
    )
    return dict(zip(ASSETS, documents, strict=True))


def _text(media_type: str, text: str, seconds: int) -> Document:
    return Document(media_type=media_type, content=text.encode(), seconds=seconds)


def _served(request: requests.HttpRequest, document: Document) -> Response:
    packed = _takes_gzip(request.headers.get("accept-encoding", ""))
    tag = document.tags[packed]
    headers = {
        "Cache-Control": f"public, max-age={document.seconds}",
        "ETag": tag,
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    if _is_known(request.headers.get("if-none-match", ""), tag):
        return Response(status=304, headers=headers, body="")
    headers["Content-Type"] = document.media_type
    if packed:
        headers["Content-Encoding"] = "gzip"
    return Response(
        status=200,
        headers=headers,
        body=base64.b64encode(document.packed).decode() if packed else document.content.decode(),
        is_base64=packed,
    )


def _takes_gzip(accepted: str) -> bool:
    matches = (_LIKE_GZIP.fullmatch(part) for part in accepted.split(","))
    return any(match and (match["weight"] or "1").strip("0.") for match in matches)


def _is_known(given: str, tag: str) -> bool:
    tags = {part.strip().removeprefix("W/") for part in given.split(",")}
    return "*" in tags or tag in tags
