"""The description of the API (OpenAPI 3.1), written from what the routes are made of.

Request bodies come from their schemas, failures from the table of problems. ``make openapi`` writes
``docs/openapi.json``; a test fails when that file is out of date.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from postbreeze.domain import ids
from postbreeze.domain.errors import (
    AmbiguousTargetsError,
    ContendedError,
    ForbiddenError,
    IdempotencyInProgressError,
    IdempotencyKeyInvalidError,
    IdempotencyKeyReusedError,
    NotFoundError,
    PostNotCancelableError,
    PreconditionFailedError,
    UnauthorizedError,
    UnavailableError,
    ValidationError,
)
from postbreeze.domain.lifecycle import MOST_MEDIA, MOST_TARGETS, Outcome
from postbreeze.domain.post import Platform, PostStatus, TargetStatus
from postbreeze.http.problems import (
    INTERNAL_ERROR,
    PROBLEMS,
    PayloadTooLargeError,
    Problem,
    UnsupportedMediaTypeError,
)
from postbreeze.http.responses import BASE_PATH, JSON
from postbreeze.http.schemas import CancelBody, FlatPostBody, NestedPostBody

VERSION = "0.1.0"

Schema = dict[str, Any]

_BODY_ERRORS: tuple[type[Exception], ...] = (
    ValidationError,
    IdempotencyKeyInvalidError,
    IdempotencyInProgressError,
    IdempotencyKeyReusedError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)
_ALWAYS: tuple[type[Exception], ...] = (UnauthorizedError, NotFoundError, UnavailableError)
CANCEL_ERRORS = (
    *_ALWAYS,
    *_BODY_ERRORS,
    PostNotCancelableError,
    ForbiddenError,
    ContendedError,
    PreconditionFailedError,
)
CREATE_ERRORS = (*_ALWAYS, *_BODY_ERRORS, AmbiguousTargetsError, ContendedError)
READ_ERRORS = (*_ALWAYS, ValidationError)


def document() -> dict[str, Any]:
    """Return the whole description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Postbreeze API",
            "version": VERSION,
            "summary": "Schedules social posts, publishes them, and keeps its word on a cancel.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [
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
        "tags": [{"name": "posts", "description": "Posts and their targets."}],
        "paths": {
            "/posts": {"post": _create()},
            "/posts/{postId}": {"get": _read()},
            "/posts/{postId}/cancel": {"post": _cancel()},
        },
        "components": {
            "schemas": _schemas(),
            "headers": _HEADERS,
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key such as `pb_live_…`. Its revocation counts at once.",
                }
            },
        },
    }


def _create() -> dict[str, Any]:
    return {
        "operationId": "createPost",
        "tags": ["posts"],
        "summary": "Create a post",
        "description": (
            "Takes the flat shape (`platforms`) or the nested one (`targets`). With a time the"
            " post is scheduled, without one it is a draft; a client reviewer's waits for"
            " approval. All accounts must be active and of one workspace."
        ),
        "parameters": [_IDEMPOTENCY_KEY],
        "requestBody": _body({"oneOf": [_ref("FlatPostBody"), _ref("NestedPostBody")]}, True),
        "responses": {
            "201": _success("The post", _ref("Post"), "ETag", "Location", "Idempotency-Replayed"),
            **_failures(CREATE_ERRORS),
        },
    }


def _read() -> dict[str, Any]:
    return {
        "operationId": "getPost",
        "tags": ["posts"],
        "summary": "Read a post",
        "parameters": [_POST_ID],
        "responses": {
            "200": _success("The post", _ref("Post"), "ETag"),
            **_failures(READ_ERRORS),
        },
    }


def _cancel() -> dict[str, Any]:
    return {
        "operationId": "cancelPost",
        "tags": ["posts"],
        "summary": "Cancel a post, or chosen targets of it",
        "description": (
            "Once this has answered 200, no target whose outcome is `canceled` is ever published,"
            " and `post.cancelled` reaches every subscribed endpoint at least once. Cancelling a"
            " post that is canceled answers 200 with the same post and fires nothing. For owners,"
            " admins and editors."
        ),
        "parameters": [
            _POST_ID,
            {
                "name": "dryRun",
                "in": "query",
                "description": "With `true` the answer is the same, and nothing is changed.",
                "schema": {"type": "boolean", "default": False},
            },
            {
                "name": "If-Match",
                "in": "header",
                "description": "Go ahead only if the post is still at this version.",
                "schema": {"type": "string"},
                "examples": {"version": {"value": '"7"'}, "any": {"value": "*"}},
            },
            _IDEMPOTENCY_KEY,
        ],
        "requestBody": _body(_ref("CancelBody"), False),
        "responses": {
            "200": _success(
                "The post as it now is", _ref("CanceledPost"), "ETag", "Idempotency-Replayed"
            ),
            **_failures(CANCEL_ERRORS),
        },
    }


def _body(schema: Schema, required: bool) -> dict[str, Any]:
    return {"required": required, "content": {JSON: {"schema": schema}}}


def _success(description: str, schema: Schema, *headers: str) -> dict[str, Any]:
    return {
        "description": description,
        "headers": _headers("X-Request-Id", *headers),
        "content": {JSON: {"schema": schema}},
    }


def _failures(errors: Iterable[type[Exception]]) -> dict[str, Any]:
    by_status: dict[int, list[Problem]] = {}
    for problem in [*(PROBLEMS[error] for error in errors), INTERNAL_ERROR]:
        by_status.setdefault(problem.status, []).append(problem)
    return {
        str(status): {
            "description": " ".join(
                f"`{problem.code}`: {problem.message.rstrip('.')}." for problem in problems
            ),
            "headers": _headers(
                "X-Request-Id",
                *dict.fromkeys(name for problem in problems for name in problem.headers or {}),
            ),
            "content": {
                JSON: {
                    "schema": {
                        "allOf": [_ref("Problem")],
                        "properties": {
                            "statusCode": {"const": status},
                            "code": {"enum": [problem.code for problem in problems]},
                        },
                    }
                }
            },
        }
        for status, problems in sorted(by_status.items())
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _schemas() -> dict[str, Schema]:
    _, bodies = models_json_schema(
        [(model, "validation") for model in (CancelBody, FlatPostBody, NestedPostBody)],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Untitled,
    )
    return {**bodies["$defs"], **_DOCUMENTS}


class _Untitled(GenerateJsonSchema):
    """Leaves out the titles that pydantic makes up: they say what the names say."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _id(prefix: str) -> Schema:
    return {"type": "string", "pattern": ids.pattern(prefix)}


def _choice(choices: type[StrEnum]) -> Schema:
    return {"type": "string", "enum": [choice.value for choice in choices]}


def _or_null(schema: Mapping[str, Any]) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _object(properties: Mapping[str, Schema], *, optional: Iterable[str] = ()) -> Schema:
    required = [name for name in properties if name not in set(optional)]
    return {"type": "object", "properties": dict(properties), "required": required}


_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_MOMENT: Schema = {
    "type": "string",
    "format": "date-time",
    "examples": ["2026-06-15T09:00:00.000Z"],
}
_FLAG: Schema = {"type": "boolean"}
_HEADERS: dict[str, Any] = {
    "X-Request-Id": {
        "description": "Names the request, here and in the log.",
        "schema": _id(ids.REQUEST),
    },
    "ETag": {"description": "The post's version, for `If-Match`.", "schema": _TEXT},
    "Location": {"description": "Where the post is.", "schema": _TEXT},
    "Idempotency-Replayed": {
        "description": "Present where an earlier request's answer is repeated.",
        "schema": {"type": "string", "const": "true"},
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {
        "description": "How to authenticate.",
        "schema": {"type": "string", "const": "Bearer"},
    },
}
_POST_ID: dict[str, Any] = {
    "name": "postId",
    "in": "path",
    "required": True,
    "schema": _id(ids.POST),
}
_IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "For 24 hours the same request with this key is answered alike, and done once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}

TARGET_FIELDS: Mapping[str, Schema] = {
    "id": _id(ids.TARGET),
    "postId": _id(ids.POST),
    "socialAccountId": _id(ids.ACCOUNT),
    "platform": _choice(Platform),
    "status": _choice(TargetStatus),
    "captionOverride": _or_null(_TEXT),
    "firstComment": _or_null(_TEXT),
    "firstCommentError": _or_null(_TEXT),
    "firstCommentAttempt": _COUNT,
    "platformOptions": {"type": ["object", "null"]},
    "mediaIds": {"type": "array", "items": _id(ids.MEDIA)},
    "scheduledFor": _or_null(_MOMENT),
    "publishedAt": _or_null(_MOMENT),
    "externalPostId": _or_null(_TEXT),
    "externalUrl": _or_null(_TEXT),
    "errorCode": _or_null(_TEXT),
    "errorMessage": _or_null(_TEXT),
    "attemptCount": _COUNT,
    "lastAttemptAt": _or_null(_MOMENT),
    "createdAt": _MOMENT,
    "updatedAt": _MOMENT,
}
MEDIA_FIELDS: Mapping[str, Schema] = {
    "postId": _id(ids.POST),
    "mediaAssetId": _id(ids.MEDIA),
    "order": _COUNT,
    "altText": _or_null(_TEXT),
}
POST_FIELDS: Mapping[str, Schema] = {
    "id": _id(ids.POST),
    "workspaceId": _id(ids.WORKSPACE),
    "createdByUserId": _id(ids.USER),
    "status": _choice(PostStatus),
    "caption": _or_null(_TEXT),
    "scheduledAt": _or_null(_MOMENT),
    "timezone": _or_null(_TEXT),
    "workflowId": _or_null(_TEXT),
    "pendingWorkflowId": _or_null(_TEXT),
    "approvedByUserId": _or_null(_id(ids.USER)),
    "approvedAt": _or_null(_MOMENT),
    "createdViaApi": _FLAG,
    "createdViaFlatShape": _FLAG,
    "deletedAt": _or_null(_MOMENT),
    "canceledAt": _or_null(_MOMENT),
    "cancelReason": _or_null(_TEXT),
    "canceledByUserId": _or_null(_id(ids.USER)),
    "version": {"type": "integer", "minimum": 1},
    "createdAt": _MOMENT,
    "updatedAt": _MOMENT,
    "targets": {"type": "array", "items": _ref("Target"), "maxItems": MOST_TARGETS},
    "media": {"type": "array", "items": _ref("Media"), "maxItems": MOST_MEDIA},
}
_OUTCOMES = {
    "type": "array",
    "items": _object({"id": _id(ids.TARGET), "outcome": _choice(Outcome)}),
}
_DOCUMENTS: dict[str, Schema] = {
    "Post": _object(POST_FIELDS),
    "Target": _object(TARGET_FIELDS),
    "Media": _object(MEDIA_FIELDS),
    "CanceledPost": {
        "allOf": [_ref("Post")],
        "type": "object",
        "properties": {"cancellation": _object({"targets": _OUTCOMES})},
        "required": ["cancellation"],
    },
    "Problem": {
        **_object(
            {
                "statusCode": {"type": "integer"},
                "code": {"type": "string", "pattern": "^[A-Z]+(_[A-Z]+)*$"},
                "message": _TEXT,
                "requestId": _id(ids.REQUEST),
                "details": {
                    "description": "What is wrong where, with `VALIDATION_FAILED`.",
                    "type": "array",
                    "items": _object({"path": _TEXT, "message": _TEXT}),
                },
                "status": {
                    "description": "The post's, with `POST_NOT_CANCELABLE`.",
                    **_choice(PostStatus),
                },
                "targets": {
                    "description": "Each target's outcome, with `POST_NOT_CANCELABLE`.",
                    **_OUTCOMES,
                },
                "current": {
                    "description": "The present version, with `PRECONDITION_FAILED`.",
                    "type": "integer",
                },
            },
            optional=("details", "status", "targets", "current"),
        ),
        "description": "What every failure is answered with.",
    },
}


def text() -> str:
    """Return the description as the file has it."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
