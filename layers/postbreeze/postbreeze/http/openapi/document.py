"""The whole description, put together of its resources."""

from __future__ import annotations

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from postbreeze.http.openapi import (
    accounts,
    description,
    events,
    media,
    posts,
    webhooks,
    workspaces,
)
from postbreeze.http.openapi.declaring import Operation, Resource, codes_of, described
from postbreeze.http.openapi.schemas import DOCUMENTS, HEADERS, Schema, ref
from postbreeze.http.responses import BASE_PATH

VERSION = "0.1.0"

_FIRST_FAILURE = 400

RESOURCES: tuple[Resource, ...] = (
    posts.RESOURCE,
    workspaces.RESOURCE,
    accounts.RESOURCE,
    media.RESOURCE,
    webhooks.RESOURCE,
    description.RESOURCE,
)
OPERATIONS: tuple[Operation, ...] = tuple(
    operation for resource in RESOURCES for operation in resource.operations
)


def document() -> dict[str, Any]:
    """Return the whole description."""
    paths = _paths()
    responses = _shared_failures(paths)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Postbreeze API",
            "version": VERSION,
            "summary": "Schedules social posts, publishes them, and keeps its word on a cancel.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [
            {"url": BASE_PATH, "description": "The host that this description came from"},
            {"url": f"http://localhost:4100{BASE_PATH}", "description": "The local stack"},
            {
                "url": f"https://{{apiId}}.execute-api.{{region}}.amazonaws.com{BASE_PATH}",
                "description": "A deployment on AWS; the stack's output ApiUrl has it",
                "variables": {
                    "apiId": {"default": "example"},
                    "region": {"default": "us-east-1"},
                },
            },
        ],
        "security": [{"apiKey": []}],
        "tags": [
            {"name": resource.tag, "description": resource.description} for resource in RESOURCES
        ],
        "paths": paths,
        "webhooks": events.webhooks(),
        "components": {
            "schemas": {**_bodies(), **DOCUMENTS},
            "responses": responses,
            "headers": HEADERS,
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key such as `pb_live_…`. Its revocation counts at once.",
                }
            },
        },
    }


def text() -> str:
    """Return the description as the file has it."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _paths() -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for resource in RESOURCES:
        for operation in resource.operations:
            item = paths.setdefault(operation.path, {})
            item[operation.method] = described(operation, resource.tag)
    return paths


def _shared_failures(paths: dict[str, Any]) -> dict[str, Any]:
    """Put references where operations fail alike, and return what those lead to."""
    shared: dict[str, Any] = {}
    for item in paths.values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                if int(status) < _FIRST_FAILURE:
                    continue
                name = "-".join(codes_of(response))
                if shared.setdefault(name, response) == response:
                    operation["responses"][status] = ref(name, "responses")
    return shared


def _bodies() -> dict[str, Schema]:
    bodies = dict.fromkeys(body for operation in OPERATIONS for body in operation.bodies)
    _, schemas = models_json_schema(
        [(body, "validation") for body in bodies],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Untitled,
    )
    definitions: dict[str, Schema] = schemas["$defs"]
    return definitions


class _Untitled(GenerateJsonSchema):
    """Leaves out the titles that pydantic makes up: they say what the names say."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False
