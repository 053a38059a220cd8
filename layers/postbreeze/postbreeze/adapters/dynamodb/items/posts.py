"""Rows of posts: the posts themselves, their targets, events and stored answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute

from postbreeze.adapters.dynamodb import keys
from postbreeze.adapters.dynamodb.items.common import (
    FIRST_REVISION,
    ChoiceAttribute,
    JsonAttribute,
    MomentAttribute,
    Row,
    TextsAttribute,
    attributes,
    epoch_seconds,
    moment,
    value_of,
)
from postbreeze.domain.documents import timestamp
from postbreeze.domain.events import Event, EventType
from postbreeze.domain.listing import spot_of
from postbreeze.domain.post import (
    FormerSpot,
    Media,
    Part,
    Platform,
    Post,
    PostStatus,
    Spot,
    Target,
    TargetStatus,
)
from postbreeze.operations.ports import StoredAnswer


class MediaAttribute(JsonAttribute):
    """A post's media, in order."""

    def serialize(self, value: Sequence[Media]) -> str:
        """Write them."""
        return super().serialize(
            [
                {
                    "mediaAssetId": media.media_asset_id,
                    "order": media.order,
                    "altText": media.alt_text,
                    "url": media.url,
                    "kind": media.kind,
                    "contentType": media.content_type,
                    "durationSeconds": media.duration_seconds,
                    "isShared": media.is_shared,
                }
                for media in value
            ]
        )

    def deserialize(self, value: str) -> Any:
        """Read them."""
        return tuple(
            Media(
                media_asset_id=media["mediaAssetId"],
                order=media["order"],
                alt_text=media.get("altText"),
                url=media.get("url"),
                kind=media.get("kind"),
                content_type=media.get("contentType"),
                duration_seconds=media.get("durationSeconds"),
                is_shared=media.get("isShared", True),
            )
            for media in super().deserialize(value)
        )


class FormerSpotsAttribute(JsonAttribute):
    """Where a post stood before, oldest first."""

    def serialize(self, value: Sequence[FormerSpot]) -> str:
        """Write them."""
        return super().serialize(
            [[timestamp(each.until), each.spot.part, each.spot.key] for each in value]
        )

    def deserialize(self, value: str) -> Any:
        """Read them."""
        return tuple(
            FormerSpot(
                until=moment(until),
                spot=Spot(part=Part(part), key=key),
            )
            for until, part, key in super().deserialize(value)
        )


class PostRow(Row):
    """A post without its targets, whose order it keeps."""

    id = UnicodeAttribute()
    workspace_id = UnicodeAttribute(attr_name="workspaceId")
    created_by_user_id = UnicodeAttribute(attr_name="createdByUserId")
    status = ChoiceAttribute(PostStatus)
    created_at = MomentAttribute(attr_name="createdAt")
    updated_at = MomentAttribute(attr_name="updatedAt")
    target_ids = TextsAttribute(attr_name="targetIds")
    media = MediaAttribute()
    caption = UnicodeAttribute(null=True)
    scheduled_at = MomentAttribute(null=True, attr_name="scheduledAt")
    timezone = UnicodeAttribute(null=True)
    workflow_id = UnicodeAttribute(null=True, attr_name="workflowId")
    pending_workflow_id = UnicodeAttribute(null=True, attr_name="pendingWorkflowId")
    pending_event = ChoiceAttribute(EventType, null=True, attr_name="pendingEvent")
    requires_approval = BooleanAttribute(attr_name="requiresApproval")
    approved_by_user_id = UnicodeAttribute(null=True, attr_name="approvedByUserId")
    approved_at = MomentAttribute(null=True, attr_name="approvedAt")
    created_via_api = BooleanAttribute(attr_name="createdViaApi")
    created_via_flat_shape = BooleanAttribute(attr_name="createdViaFlatShape")
    deleted_at = MomentAttribute(null=True, attr_name="deletedAt")
    canceled_at = MomentAttribute(null=True, attr_name="canceledAt")
    cancel_reason = UnicodeAttribute(null=True, attr_name="cancelReason")
    canceled_by_user_id = UnicodeAttribute(null=True, attr_name="canceledByUserId")
    generation = NumberAttribute()
    due_partition = UnicodeAttribute(null=True, attr_name="duePartition")
    attention_at = MomentAttribute(null=True, attr_name="dueAt")
    former_spots = FormerSpotsAttribute(attr_name="formerSpots")
    list_partition = UnicodeAttribute(null=True, attr_name="listPartition")
    status_partition = UnicodeAttribute(null=True, attr_name="statusPartition")
    list_key = UnicodeAttribute(null=True, attr_name="listKey")
    moved_partition = UnicodeAttribute(null=True, attr_name="movedPartition")
    moved_at = MomentAttribute(null=True, attr_name="movedAt")


class TargetRow(Row):
    """A target."""

    id = UnicodeAttribute()
    post_id = UnicodeAttribute(attr_name="postId")
    social_account_id = UnicodeAttribute(attr_name="socialAccountId")
    platform = ChoiceAttribute(Platform)
    status = ChoiceAttribute(TargetStatus)
    created_at = MomentAttribute(attr_name="createdAt")
    updated_at = MomentAttribute(attr_name="updatedAt")
    caption_override = UnicodeAttribute(null=True, attr_name="captionOverride")
    first_comment = UnicodeAttribute(null=True, attr_name="firstComment")
    first_comment_error = UnicodeAttribute(null=True, attr_name="firstCommentError")
    first_comment_attempt = NumberAttribute(attr_name="firstCommentAttempt")
    first_comment_retried_at = MomentAttribute(null=True, attr_name="firstCommentRetriedAt")
    platform_options = JsonAttribute(null=True, attr_name="platformOptions")
    media_ids = TextsAttribute(attr_name="mediaIds")
    scheduled_for = MomentAttribute(null=True, attr_name="scheduledFor")
    published_at = MomentAttribute(null=True, attr_name="publishedAt")
    external_post_id = UnicodeAttribute(null=True, attr_name="externalPostId")
    external_url = UnicodeAttribute(null=True, attr_name="externalUrl")
    error_code = UnicodeAttribute(null=True, attr_name="errorCode")
    error_message = UnicodeAttribute(null=True, attr_name="errorMessage")
    attempt_count = NumberAttribute(attr_name="attemptCount")
    last_attempt_at = MomentAttribute(null=True, attr_name="lastAttemptAt")
    next_attempt_at = MomentAttribute(null=True, attr_name="nextAttemptAt")
    workflow_id = UnicodeAttribute(null=True, attr_name="workflowId")
    claim_id = UnicodeAttribute(null=True, attr_name="claimId")
    claimed_until = MomentAttribute(null=True, attr_name="claimedUntil")
    open_account_id = UnicodeAttribute(null=True, attr_name="openAccountId")


class EventRow(Row):
    """An event."""

    id = UnicodeAttribute()
    type = ChoiceAttribute(EventType)
    post_id = UnicodeAttribute(attr_name="postId")
    workspace_id = UnicodeAttribute(attr_name="workspaceId")
    occurred_at = MomentAttribute(attr_name="occurredAt")
    actor = UnicodeAttribute()
    version_before = NumberAttribute(attr_name="versionBefore")
    version_after = NumberAttribute(attr_name="versionAfter")
    payload = JsonAttribute()
    reason = UnicodeAttribute(null=True)
    pending_partition = UnicodeAttribute(null=True, attr_name="pendingPartition")
    pending_since = MomentAttribute(null=True, attr_name="pendingSince")


class AnswerRow(Row):
    """A stored answer. ``expires_at`` is exact where ``ttl``, beside it, is in whole seconds."""

    key_digest = UnicodeAttribute(attr_name="keyDigest")
    idempotency_key = UnicodeAttribute(attr_name="idempotencyKey")
    request_digest = UnicodeAttribute(attr_name="requestDigest")
    post_id = UnicodeAttribute(attr_name="postId")
    created_at = MomentAttribute(attr_name="createdAt")
    expires_at = MomentAttribute(attr_name="standsUntil")
    status = NumberAttribute(null=True)
    body = JsonAttribute(null=True)


def post_row(post: Post) -> PostRow:
    """Make the row of a post without its targets."""
    return PostRow(
        keys.post(post.id),
        keys.POST,
        **attributes(post, "targets"),
        target_ids=tuple(target.id for target in post.targets),
        due_partition=None if post.attention_at is None else _due_partition(post),
        **_listing(post),
    )


def _due_partition(post: Post) -> str:
    """Keep armings that stay pending apart: what is due otherwise is not listed behind them."""
    return keys.shard(keys.DUE if post.pending_workflow_id is None else keys.ARMING, post.id)


def _listing(post: Post) -> dict[str, Any]:
    """Make what the indexes that list posts hold of one; of a deleted post they hold nothing."""
    if post.deleted_at is not None:
        return {}
    spot = spot_of(post)
    places: dict[str, Any] = {
        "list_partition": keys.listing(post.workspace_id, spot.part),
        "list_key": spot.key,
    }
    if spot.part is Part.REST:
        places["status_partition"] = keys.listing(post.workspace_id, post.status)
    if post.former_spots:
        places["moved_partition"] = keys.workspace(post.workspace_id)
        places["moved_at"] = post.former_spots[-1].until
    return places


def post_of(row: PostRow, targets: Mapping[str, Target]) -> Post | None:
    """Make a post of its row and targets, in the row's order; None where one is not there."""
    try:
        ordered = tuple(targets[target_id] for target_id in row.target_ids)
    except KeyError:
        return None
    return value_of(Post, row, targets=ordered)


def target_row(target: Target) -> TargetRow:
    """Make the row of a target, which its account's index holds until it begins."""
    is_open = target.status in (TargetStatus.DRAFT, TargetStatus.SCHEDULED)
    return TargetRow(
        keys.post(target.post_id),
        keys.TARGETS + target.id,
        **attributes(target),
        open_account_id=target.social_account_id if is_open else None,
    )


def event_row(event: Event, *, expires_at: datetime | None = None) -> EventRow:
    """Make the row of an event, which waits in the index for as long as it is pending."""
    pending = event.pending_since is not None
    return EventRow(
        keys.subject(event.post_id),
        keys.EVENTS + event.id,
        **attributes(event),
        pending_partition=keys.shard(keys.PENDING, event.id) if pending else None,
        ttl=None if expires_at is None else epoch_seconds(expires_at),
    )


def answer_row(answer: StoredAnswer) -> AnswerRow:
    """Make the row of a stored answer."""
    return AnswerRow(
        keys.answer(answer.key_digest, answer.idempotency_key),
        keys.REQUEST,
        **attributes(answer),
        revision=FIRST_REVISION,
        ttl=epoch_seconds(answer.expires_at),
    )
