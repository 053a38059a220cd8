"""The one written form of a post: what responses, webhooks and stored answers all carry."""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import UTC, datetime
from typing import Any, Final

from postbreeze.domain.access import Member, Workspace
from postbreeze.domain.post import Media, Post, SocialAccount, Target

_SLUG_TAIL: Final = 8
"""How much of the id is in a slug."""


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
        "media": [media_document(post.id, media) for media in post.media if media.is_shared],
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


def account_document(account: SocialAccount) -> dict[str, Any]:
    """Write a social account, without anything of its credentials."""
    return {
        "id": account.id,
        "workspaceId": account.workspace_id,
        "platform": account.platform.value,
        "externalId": account.external_account_id,
        "handle": account.handle or account.display_name,
        "displayName": account.display_name,
        "avatarUrl": None,
        "status": account.status.value,
        "scopes": [],
        "connectedAt": timestamp(account.created_at),
        "lastRefreshedAt": None,
        "tokenExpiresAt": None,
        "lastRefreshAttemptAt": None,
        "lastRefreshError": None,
        "lastRefreshErrorStatus": None,
        "meta": {},
        "defaultBoardId": None,
        "disconnectedAt": optional_timestamp(account.disconnected_at),
    }


def workspace_document(
    workspace: Workspace, member: Member, owner_user_id: str | None
) -> dict[str, Any]:
    """Write a workspace as this member sees it."""
    return {
        "id": workspace.id,
        "name": workspace.name,
        "slug": _slug(workspace),
        "ownerUserId": owner_user_id,
        "timezone": "UTC",
        "timeFormat": "H24",
        "brandColor": None,
        "logoUrl": None,
        "deletedAt": None,
        "createdAt": timestamp(workspace.created_at),
        "updatedAt": timestamp(workspace.updated_at or workspace.created_at),
        "memberships": [
            {
                "workspaceId": member.workspace_id,
                "userId": member.user_id,
                "role": member.role.value,
                "createdAt": timestamp(member.created_at),
            }
        ],
        "role": member.role.value,
        "heldAt": optional_timestamp(workspace.held_at),
        "holdReason": workspace.hold_reason,
        "postLimit": workspace.post_limit,
    }


def _slug(workspace: Workspace) -> str:
    """Make a name for addresses: of the name what is ASCII, and the random end of the id."""
    plain = unicodedata.normalize("NFKD", workspace.name).encode("ascii", "ignore").decode()
    words = re.findall("[a-z0-9]+", plain.lower())
    return "-".join([*words, workspace.id[-_SLUG_TAIL:].lower()])


def media_document(post_id: str, media: Media) -> dict[str, Any]:
    """Write a medium as a post's attachment."""
    return {
        "postId": post_id,
        "mediaAssetId": media.media_asset_id,
        "order": media.order,
        "altText": media.alt_text,
    }
