"""The one written form of a post: what responses, webhooks and stored answers all carry."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from postbreeze.domain.post import Media, Post, Target


def to_json(document: object) -> bytes:
    """Write a document as compact JSON in UTF-8, as it is stored and sent.

    Raises:
        ValueError: It holds NaN or an infinity.
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate has no UTF-8; inside a JSON string its escape is what this leaves.
    return text.encode("utf-8", "backslashreplace")


def timestamp(at: datetime) -> str:
    """Write a moment in UTC with milliseconds and ``Z``."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def optional_timestamp(at: datetime | None) -> str | None:
    """Write a moment, or nothing."""
    return None if at is None else timestamp(at)


def post_document(post: Post) -> dict[str, Any]:
    """Write a post with its targets and media; every field is always present."""
    return {
        "id": post.id,
        "workspaceId": post.workspace_id,
        "createdByUserId": post.created_by_user_id,
        "status": post.status.value,
        "caption": post.caption,
        "scheduledAt": optional_timestamp(post.scheduled_at),
        "timezone": post.timezone,
        "workflowId": post.workflow_id,
        "pendingWorkflowId": post.pending_workflow_id,
        "approvedByUserId": post.approved_by_user_id,
        "approvedAt": optional_timestamp(post.approved_at),
        "createdViaApi": post.created_via_api,
        "createdViaFlatShape": post.created_via_flat_shape,
        "deletedAt": optional_timestamp(post.deleted_at),
        "canceledAt": optional_timestamp(post.canceled_at),
        "cancelReason": post.cancel_reason,
        "canceledByUserId": post.canceled_by_user_id,
        "version": post.version,
        "createdAt": timestamp(post.created_at),
        "updatedAt": timestamp(post.updated_at),
        "targets": [target_document(target) for target in post.targets],
        "media": [media_document(post.id, media) for media in post.media],
    }


def target_document(target: Target) -> dict[str, Any]:
    """Write a target; claims, leases and revisions stay inside."""
    options = target.platform_options
    return {
        "id": target.id,
        "postId": target.post_id,
        "socialAccountId": target.social_account_id,
        "platform": target.platform.value,
        "status": target.status.value,
        "captionOverride": target.caption_override,
        "firstComment": target.first_comment,
        "firstCommentError": target.first_comment_error,
        "firstCommentAttempt": target.first_comment_attempt,
        "platformOptions": None if options is None else dict(options),
        "mediaIds": list(target.media_ids),
        "scheduledFor": optional_timestamp(target.scheduled_for),
        "publishedAt": optional_timestamp(target.published_at),
        "externalPostId": target.external_post_id,
        "externalUrl": target.external_url,
        "errorCode": target.error_code,
        "errorMessage": target.error_message,
        "attemptCount": target.attempt_count,
        "lastAttemptAt": optional_timestamp(target.last_attempt_at),
        "createdAt": timestamp(target.created_at),
        "updatedAt": timestamp(target.updated_at),
    }


def media_document(post_id: str, media: Media) -> dict[str, Any]:
    """Write a medium as a post's attachment."""
    return {
        "postId": post_id,
        "mediaAssetId": media.media_asset_id,
        "order": media.order,
        "altText": media.alt_text,
    }
