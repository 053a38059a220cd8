"""Rows of the media library: assets, and the posts that have needed them."""

from __future__ import annotations

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.expressions.condition import Condition

from postbreeze.adapters.dynamodb import keys
from postbreeze.adapters.dynamodb.items.common import (
    FIRST_REVISION,
    ChoiceAttribute,
    MomentAttribute,
    Row,
    attributes,
    epoch_seconds,
)
from postbreeze.domain.media import PENDING_AT_MOST, Asset, AssetStatus


class AssetRow(Row):
    """An asset of the media library; one that is PENDING or FAILED has its end in ``ttl``."""

    id = UnicodeAttribute()
    workspace_id = UnicodeAttribute(attr_name="workspaceId")
    status = ChoiceAttribute(AssetStatus)
    content_type = UnicodeAttribute(attr_name="contentType")
    size_bytes = NumberAttribute(null=True, attr_name="sizeBytes")
    created_at = MomentAttribute(attr_name="createdAt")
    created_by_user_id = UnicodeAttribute(attr_name="createdByUserId")
    alt_text = UnicodeAttribute(null=True, attr_name="altText")
    duration_seconds = NumberAttribute(null=True, attr_name="durationSeconds")
    filename = UnicodeAttribute(null=True)
    public_url = UnicodeAttribute(null=True, attr_name="publicUrl")
    failure_reason = UnicodeAttribute(null=True, attr_name="failureReason")
    updated_at = MomentAttribute(null=True, attr_name="updatedAt")


class AssetPostRow(Row):
    """A post that has needed an asset; it is in no index."""


def asset_row(asset: Asset) -> AssetRow:
    """Make the row of an asset, which expires if its bytes never come, or cannot be taken."""
    expires = asset.status in (AssetStatus.PENDING, AssetStatus.FAILED)
    return AssetRow(
        keys.asset(asset.id),
        keys.ASSET,
        **attributes(asset),
        ttl=epoch_seconds(asset.created_at + PENDING_AT_MOST) if expires else None,
    )


def asset_post_row(asset_id: str, post_id: str) -> AssetPostRow:
    """Make the row of a post that has needed an asset."""
    return AssetPostRow(keys.asset(asset_id), keys.POSTS + post_id, revision=FIRST_REVISION)


def is_ready(workspace_id: str) -> Condition:
    """Build the condition for an asset that can be shown by posts of a workspace."""
    ready: Condition = (AssetRow.status == AssetStatus.READY) & (
        AssetRow.workspace_id == workspace_id
    )
    return ready
