"""The documents that are answered, and the parameters and headers that routes share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from postbreeze.domain import ids
from postbreeze.domain.access import Role
from postbreeze.domain.events import EventType
from postbreeze.domain.lifecycle import MOST_MEDIA, MOST_TARGETS, Outcome
from postbreeze.domain.media import CONTENT_TYPES, AssetStatus, MediaKind
from postbreeze.domain.post import AccountStatus, Platform, PostStatus, TargetStatus
from postbreeze.domain.webhook import MOST_ATTEMPTS_LOGGED, DeliveryStatus, EndpointStatus
from postbreeze.http.problems import MOST_DETAILS

Schema = dict[str, Any]

PROBLEM_EXTRAS = ("details", "status", "targets", "current", "limit", "retryAfterMs", "posts")
"""What the answers to some failures add."""


def ref(name: str, kind: str = "schemas") -> Schema:
    """Return a reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def identifier(prefix: str) -> Schema:
    """Return the schema of an identifier."""
    return {"type": "string", "pattern": ids.pattern(prefix)}


def choice(choices: type[StrEnum]) -> Schema:
    """Return the schema of one word out of several."""
    return {"type": "string", "enum": [choice.value for choice in choices]}


def or_null(schema: Mapping[str, Any]) -> Schema:
    """Return the schema of a value that may be missing."""
    return {**schema, "type": [schema["type"], "null"]}


def an_object(properties: Mapping[str, Schema], *, optional: Iterable[str] = ()) -> Schema:
    """Return the schema of an object; clients must put up with more properties."""
    required = [name for name in properties if name not in set(optional)]
    return {"type": "object", "properties": dict(properties), "required": required}


def _more(name: str, **properties: Schema) -> Schema:
    """Return the schema of a document that adds something to another."""
    return {"allOf": [ref(name)], **an_object(properties)}


def a_path_id(name: str, prefix: str) -> Schema:
    """Return a parameter that is part of the path."""
    return {"name": name, "in": "path", "required": True, "schema": identifier(prefix)}


def a_page(*, usual: int, most: int, bound_to: str = "workspaceId") -> tuple[Schema, ...]:
    """Return the parameters that choose a page; cursors are of one key, and of these filters."""
    return (
        {
            "name": "limit",
            "in": "query",
            "description": "How many things a page has at most.",
            "schema": {"type": "integer", "minimum": 1, "maximum": most, "default": usual},
        },
        {
            "name": "cursor",
            "in": "query",
            "description": f"Where the page begins: that of a `Link`, with the same {bound_to}.",
            "schema": {"type": "string"},
        },
    )


TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
MOMENT: Schema = {
    "type": "string",
    "format": "date-time",
    "examples": ["2026-06-15T09:00:00.000Z"],
}
FLAG: Schema = {"type": "boolean"}
HEADERS: dict[str, Any] = {
    "X-Request-Id": {
        "description": "Names the request, here and in the log.",
        "schema": identifier(ids.REQUEST),
    },
    "ETag": {
        "description": "The version of what is answered; `If-Match` takes a post's.",
        "schema": TEXT,
    },
    "Location": {"description": "Where it is.", "schema": TEXT},
    "Link": {
        "description": 'The next page, with `rel="next"`. Without it this page is the last.',
        "schema": TEXT,
    },
    "Idempotency-Replayed": {
        "description": "Present where an earlier request's answer is repeated.",
        "schema": {"type": "string", "const": "true"},
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
    "X-RateLimit-Limit": {
        "description": "How many requests the key's window takes: the one with less of it left.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "X-RateLimit-Remaining": {
        "description": "How many requests that window has left.",
        "schema": COUNT,
    },
    "X-RateLimit-Reset": {
        "description": "When that window ends, in Unix seconds.",
        "schema": {"type": "integer"},
    },
    "Cache-Control": {"description": "For how long a copy is fresh.", "schema": TEXT},
    "WWW-Authenticate": {
        "description": "How to authenticate.",
        "schema": {"type": "string", "const": "Bearer"},
    },
}
POST_ID = a_path_id("postId", ids.POST)
TARGET_ID = a_path_id("targetId", ids.TARGET)
WORKSPACE_ID = a_path_id("workspaceId", ids.WORKSPACE)
ACCOUNT_ID = a_path_id("accountId", ids.ACCOUNT)
MEDIA_ID = a_path_id("mediaId", ids.MEDIA)
WEBHOOK_ID = a_path_id("webhookId", ids.ENDPOINT)
DELIVERY_ID = a_path_id("deliveryId", ids.DELIVERY)
IN_WORKSPACE: Schema = {
    "name": "workspaceId",
    "in": "query",
    "description": "One workspace only. Without it, all that the key reaches.",
    "schema": identifier(ids.WORKSPACE),
}
IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "For 24 hours the same request with this key is answered alike, and done once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}
IF_MATCH: Schema = {
    "name": "If-Match",
    "in": "header",
    "description": "Go ahead only if the post is still at this version.",
    "schema": {"type": "string", "pattern": r'^("[0-9]{1,18}"|[0-9]{1,18}|\*)$'},
    "examples": {"version": {"value": '"7"'}, "any": {"value": "*"}},
}

TARGET_FIELDS: Mapping[str, Schema] = {
    "id": identifier(ids.TARGET),
    "postId": identifier(ids.POST),
    "socialAccountId": identifier(ids.ACCOUNT),
    "platform": choice(Platform),
    "status": choice(TargetStatus),
    "captionOverride": or_null(TEXT),
    "firstComment": or_null(TEXT),
    "firstCommentError": or_null(TEXT),
    "firstCommentAttempt": COUNT,
    "platformOptions": {"type": ["object", "null"]},
    "mediaIds": {"type": "array", "items": identifier(ids.MEDIA)},
    "scheduledFor": or_null(MOMENT),
    "publishedAt": or_null(MOMENT),
    "externalPostId": or_null(TEXT),
    "externalUrl": or_null(TEXT),
    "errorCode": or_null(TEXT),
    "errorMessage": or_null(TEXT),
    "attemptCount": COUNT,
    "lastAttemptAt": or_null(MOMENT),
    "createdAt": MOMENT,
    "updatedAt": MOMENT,
}
MEDIA_FIELDS: Mapping[str, Schema] = {
    "postId": identifier(ids.POST),
    "mediaAssetId": identifier(ids.MEDIA),
    "order": COUNT,
    "altText": or_null(TEXT),
}
POST_FIELDS: Mapping[str, Schema] = {
    "id": identifier(ids.POST),
    "workspaceId": identifier(ids.WORKSPACE),
    "createdByUserId": identifier(ids.USER),
    "status": choice(PostStatus),
    "caption": or_null(TEXT),
    "scheduledAt": or_null(MOMENT),
    "timezone": or_null(TEXT),
    "workflowId": or_null(TEXT),
    "pendingWorkflowId": or_null(TEXT),
    "approvedByUserId": or_null(identifier(ids.USER)),
    "approvedAt": or_null(MOMENT),
    "createdViaApi": FLAG,
    "createdViaFlatShape": FLAG,
    "deletedAt": or_null(MOMENT),
    "canceledAt": or_null(MOMENT),
    "cancelReason": or_null(TEXT),
    "canceledByUserId": or_null(identifier(ids.USER)),
    "version": {"type": "integer", "minimum": 1},
    "createdAt": MOMENT,
    "updatedAt": MOMENT,
    "targets": {"type": "array", "items": ref("Target"), "maxItems": MOST_TARGETS},
    "media": {"type": "array", "items": ref("Media"), "maxItems": MOST_MEDIA},
}
MEMBERSHIP_FIELDS: Mapping[str, Schema] = {
    "workspaceId": identifier(ids.WORKSPACE),
    "userId": identifier(ids.USER),
    "role": choice(Role),
    "createdAt": MOMENT,
}
WORKSPACE_FIELDS: Mapping[str, Schema] = {
    "id": identifier(ids.WORKSPACE),
    "name": TEXT,
    "slug": {"description": "A name for addresses, made of its own and its id.", **TEXT},
    "ownerUserId": {
        "description": "Who has been in it longest of its owners; null if it has none.",
        **or_null(identifier(ids.USER)),
    },
    "timezone": TEXT,
    "timeFormat": {"type": "string", "enum": ["H24", "H12"]},
    "brandColor": or_null(TEXT),
    "logoUrl": or_null(TEXT),
    "deletedAt": or_null(MOMENT),
    "createdAt": MOMENT,
    "updatedAt": MOMENT,
    "memberships": {
        "description": "That of the key's owner, and no other.",
        "type": "array",
        "minItems": 1,
        "maxItems": 1,
        "items": an_object(MEMBERSHIP_FIELDS),
    },
    "role": {"description": "The role of the key's owner.", **choice(Role)},
    "heldAt": {
        "description": "Since when nothing can be scheduled in it.",
        **or_null(MOMENT),
    },
    "holdReason": or_null(TEXT),
    "postLimit": {
        "description": "How many posts it may have in a calendar month; null for any number.",
        **or_null(COUNT),
    },
}
ACCOUNT_FIELDS: Mapping[str, Schema] = {
    "id": identifier(ids.ACCOUNT),
    "workspaceId": identifier(ids.WORKSPACE),
    "platform": choice(Platform),
    "externalId": {"description": "The platform's own id of it.", **TEXT},
    "handle": TEXT,
    "displayName": or_null(TEXT),
    "avatarUrl": or_null(TEXT),
    "status": choice(AccountStatus),
    "scopes": {"type": "array", "items": TEXT},
    "connectedAt": {"description": "When it was first connected.", **MOMENT},
    "lastRefreshedAt": or_null(MOMENT),
    "tokenExpiresAt": or_null(MOMENT),
    "lastRefreshAttemptAt": or_null(MOMENT),
    "lastRefreshError": or_null(TEXT),
    "lastRefreshErrorStatus": or_null(COUNT),
    "meta": {"type": "object"},
    "defaultBoardId": or_null(TEXT),
    "disconnectedAt": or_null(MOMENT),
}
_PUBLIC_URL: Schema = {
    "description": "Names the asset in a post's `mediaItems`; it cannot be read there.",
    "type": "string",
    "format": "uri",
}
ASSET_FIELDS: Mapping[str, Schema] = {
    "id": identifier(ids.MEDIA),
    "workspaceId": identifier(ids.WORKSPACE),
    "ownerUserId": {"description": "Who added it.", **identifier(ids.USER)},
    "folderId": or_null(TEXT),
    "status": choice(AssetStatus),
    "failureReason": {
        "description": "Why the upload cannot be used, with FAILED.",
        **or_null(TEXT),
    },
    "kind": choice(MediaKind),
    "filename": or_null(TEXT),
    "mimeType": {"type": "string", "enum": list(CONTENT_TYPES)},
    "bytes": {"description": "Null until it is known.", **or_null(COUNT)},
    "width": or_null(COUNT),
    "height": or_null(COUNT),
    "durationMs": or_null(COUNT),
    "storageKey": TEXT,
    "thumbnailKey": or_null(TEXT),
    "previewKey": or_null(TEXT),
    "altText": or_null(TEXT),
    "publicUrl": or_null(_PUBLIC_URL),
    "previewUrl": or_null(TEXT),
    "thumbnailUrl": or_null(TEXT),
    "createdAt": MOMENT,
    "updatedAt": MOMENT,
}
_UPLOAD = an_object(
    {
        "uploadUrl": {
            "description": "Where to `PUT` the bytes, without a key; good until `expiresAt`.",
            "type": "string",
            "format": "uri",
        },
        "publicUrl": _PUBLIC_URL,
        "expiresAt": MOMENT,
        "headers": {
            "description": "Headers to send exactly so.",
            "type": "object",
            "additionalProperties": TEXT,
        },
        "mediaAsset": ref("MediaAsset"),
    }
)
ENDPOINT_FIELDS: Mapping[str, Schema] = {
    "id": identifier(ids.ENDPOINT),
    "workspaceId": identifier(ids.WORKSPACE),
    "url": TEXT,
    "events": {"type": "array", "items": TEXT, "minItems": 1},
    "description": or_null(TEXT),
    "headerNames": {
        "description": "Of the headers that were set, the names.",
        "type": "array",
        "items": TEXT,
    },
    "rateLimit": {
        "description": "How many requests a second it is sent at most; null for any number.",
        **or_null(COUNT),
    },
    "status": choice(EndpointStatus),
    "failingSince": {
        "description": "Since when nothing was taken; after five days it is disabled.",
        **or_null(MOMENT),
    },
    "disabledAt": or_null(MOMENT),
    "disabledReason": or_null(TEXT),
    "secretRetiresAt": {
        "description": "Until when the secret before this one signs, too.",
        **or_null(MOMENT),
    },
    "createdAt": MOMENT,
    "updatedAt": MOMENT,
}
TOLD_OF_ENDPOINT = an_object(
    {
        name: ENDPOINT_FIELDS[name]
        for name in ("id", "workspaceId", "description", "status", "disabledAt", "disabledReason")
    }
)
"""What an event about an endpoint tells of it."""
ATTEMPT_FIELDS: Mapping[str, Schema] = {
    "number": {"type": "integer", "minimum": 1},
    "at": MOMENT,
    "durationMs": COUNT,
    "status": {"description": "Null where no answer came.", **or_null(COUNT)},
    "error": {
        "description": "A code, where no answer came: docs/webhooks.md lists them.",
        **or_null(TEXT),
    },
    "message": or_null(TEXT),
    "responseHeaders": {
        "description": "Some of the answer's headers.",
        "type": "object",
        "additionalProperties": TEXT,
    },
    "responseBody": {"description": "At most 16 KiB of it.", **or_null(TEXT)},
}
DELIVERY_FIELDS: Mapping[str, Schema] = {
    "id": identifier(ids.DELIVERY),
    "webhookId": identifier(ids.ENDPOINT),
    "eventId": identifier(ids.EVENT),
    "event": choice(EventType),
    "subjectId": {"description": "Whose event it is: a post's, an account's, a webhook's.", **TEXT},
    "status": choice(DeliveryStatus),
    "createdAt": MOMENT,
    "nextAttemptAt": or_null(MOMENT),
    "attemptCount": {"description": "All that were made.", **COUNT},
    "attempts": {
        "description": "The latest of them, oldest first.",
        "type": "array",
        "items": ref("DeliveryAttempt"),
        "maxItems": MOST_ATTEMPTS_LOGGED,
    },
}
_OUTCOMES = {
    "type": "array",
    "items": an_object({"id": identifier(ids.TARGET), "outcome": choice(Outcome)}),
}
CANCELLATION = an_object({"targets": _OUTCOMES})
DOCUMENTS: dict[str, Schema] = {
    "Post": an_object(POST_FIELDS),
    "Target": an_object(TARGET_FIELDS),
    "Media": an_object(MEDIA_FIELDS),
    "CanceledPost": _more("Post", cancellation=CANCELLATION),
    "DeletedPost": {
        "allOf": [ref("Post")],
        "type": "object",
        "properties": {
            "deletedAt": MOMENT,
            "cancellation": {
                "description": "What was cancelled with it, if anything was.",
                **CANCELLATION,
            },
        },
    },
    "Workspace": an_object(WORKSPACE_FIELDS),
    "SocialAccount": an_object(ACCOUNT_FIELDS),
    "MediaAsset": an_object(ASSET_FIELDS),
    "MediaUpload": _UPLOAD,
    "Webhook": an_object(ENDPOINT_FIELDS),
    "WebhookWithSecret": _more(
        "Webhook",
        secret={
            "description": "What requests are signed with: shown now, and never again.",
            "type": "string",
            "pattern": "^whsec_[A-Za-z0-9+/]{43}=$",
        },
    ),
    "RecoveringWebhook": _more(
        "Webhook",
        deliveriesSent={"description": "How many were sent off already.", **COUNT},
    ),
    "Delivery": an_object(DELIVERY_FIELDS),
    "DeliveryAttempt": an_object(ATTEMPT_FIELDS),
    "DeliveryWithPayload": _more(
        "Delivery",
        payload={
            "description": "What is sent: null where its event is not kept any more.",
            "type": ["object", "null"],
        },
    ),
    "Problem": {
        **an_object(
            {
                "statusCode": {"type": "integer"},
                "code": {"type": "string", "pattern": "^[A-Z]+(_[A-Z]+)*$"},
                "message": TEXT,
                "requestId": identifier(ids.REQUEST),
                "details": {
                    "description": (
                        "What is wrong where, with `VALIDATION_FAILED` and"
                        " `PLATFORM_RULE_VIOLATED`."
                    ),
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MOST_DETAILS,
                    "items": an_object({"path": TEXT, "message": TEXT}),
                },
                "status": {
                    "description": "The present one, where it does not allow what is asked.",
                    "type": "string",
                    "enum": list(dict.fromkeys(str(each) for each in (*PostStatus, *TargetStatus))),
                },
                "targets": {
                    "description": "Each target's outcome, with `POST_NOT_CANCELABLE`.",
                    **_OUTCOMES,
                },
                "current": {
                    "description": (
                        "The present version, with `PRECONDITION_FAILED`; how many posts there"
                        " have been, with `PLAN_LIMIT_POSTS`."
                    ),
                    **COUNT,
                },
                "limit": {
                    "description": "How many posts there may be, with `PLAN_LIMIT_POSTS`.",
                    **COUNT,
                },
                "retryAfterMs": {
                    "description": "For how many milliseconds to wait, with `RATE_LIMITED`.",
                    "type": "integer",
                    "minimum": 1,
                },
                "posts": {
                    "description": "Some of the posts that need it, with `MEDIA_IN_USE`.",
                    "type": "array",
                    "minItems": 1,
                    "items": identifier(ids.POST),
                },
            },
            optional=PROBLEM_EXTRAS,
        ),
        "description": "What every failure is answered with.",
    },
}
