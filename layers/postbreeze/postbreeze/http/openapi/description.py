"""The routes that describe the API. They ask for no key and are the same for everybody."""

from __future__ import annotations

from postbreeze.domain.errors import NotFoundError
from postbreeze.http.docs import ASSETS
from postbreeze.http.openapi.declaring import Operation, Resource, Success
from postbreeze.http.openapi.schemas import Schema
from postbreeze.http.responses import JSON

_HEADERS = ("ETag", "Cache-Control")
_UNCHANGED = Success(
    status=304, description="It is what `If-None-Match` names", schema=None, headers=_HEADERS
)
_IF_NONE_MATCH: Schema = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The `ETag` of a copy that there is already.",
    "schema": {"type": "string"},
}


def _shown(description: str, media_type: str, schema: Schema) -> tuple[Success, ...]:
    answer = Success(
        description=description, media_type=media_type, schema=schema, headers=_HEADERS
    )
    return (answer, _UNCHANGED)


_DESCRIPTION = Operation(
    method="get",
    path="/openapi.json",
    name="getDescription",
    summary="Read this description",
    parameters=(_IF_NONE_MATCH,),
    answers=_shown(
        "The description", JSON, {"type": "object", "required": ["openapi", "info", "paths"]}
    ),
    errors=(),
    needs_key=False,
)

_PAGE = Operation(
    method="get",
    path="/docs",
    name="getDocsPage",
    summary="Read this description as a web page",
    parameters=(_IF_NONE_MATCH,),
    answers=_shown("The page", "text/html", {"type": "string"}),
    errors=(),
    needs_key=False,
)

_ASSET = Operation(
    method="get",
    path="/docs/{asset}",
    name="getDocsAsset",
    summary="Read what that page is made of",
    parameters=(
        {
            "name": "asset",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "enum": list(ASSETS)},
        },
        _IF_NONE_MATCH,
    ),
    answers=_shown("Script or style", "text/*", {"type": "string"}),
    errors=(NotFoundError,),
    needs_key=False,
)

RESOURCE = Resource(
    tag="description",
    description="What you are reading.",
    operations=(_DESCRIPTION, _PAGE, _ASSET),
)
