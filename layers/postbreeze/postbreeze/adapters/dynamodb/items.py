"""Rows as PynamoDB models, and how values become rows and rows values.

A row's attributes carry the names of the value's fields, so that one pair of functions converts
them all; in the table they are in camel case. An attribute that a row lacks leaves the value's
default standing, so a field can be added without touching what is stored.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

from pynamodb.attributes import (
    Attribute,
    BinaryAttribute,
    BooleanAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.constants import LIST, STRING
from pynamodb.models import Model

from postbreeze.adapters.dynamodb import keys
from postbreeze.domain.access import ApiKey, Grant, Member, Role, Workspace
from postbreeze.domain.disconnection import Disconnection
from postbreeze.domain.documents import optional_timestamp, timestamp
from postbreeze.domain.endpoint_health import Health
from postbreeze.domain.events import Event, EventType
from postbreeze.domain.listing import spot_of
from postbreeze.domain.media import PENDING_AT_MOST, Asset, AssetStatus
from postbreeze.domain.post import (
    AccountStatus,
    FormerSpot,
    Media,
    Part,
    Platform,
    Post,
    PostStatus,
    SocialAccount,
    Spot,
    Target,
    TargetStatus,
)
from postbreeze.domain.webhook import (
    Attempt,
    Backlog,
    Delivery,
    DeliveryStatus,
    Endpoint,
    EndpointStatus,
    Notice,
)
from postbreeze.operations.ports import StoredAnswer

Value = TypeVar("Value")


class MomentAttribute(Attribute[datetime]):
    """A moment in UTC with milliseconds and ``Z``: sorts as text, and is what clients see."""

    attr_type = STRING

    def serialize(self, value: datetime) -> str:
        """Write it; anything below a millisecond is cut off."""
        return timestamp(value)

    def deserialize(self, value: str) -> datetime:
        """Read it."""
        return _moment(value)


class ChoiceAttribute(Attribute[StrEnum]):
    """One of an enumeration's values."""

    attr_type = STRING

    def __init__(self, choices: type[StrEnum], **options: Any) -> None:
        """Keep the enumeration."""
        super().__init__(**options)
        self._choices = choices

    def serialize(self, value: StrEnum) -> str:
        """Write its value."""
        return value.value

    def deserialize(self, value: str) -> StrEnum:
        """Read it."""
        return self._choices(value)


class JsonAttribute(Attribute[Any]):
    """Anything that JSON can say, as compact text."""

    attr_type = STRING

    def serialize(self, value: Any) -> str:
        """Write it."""
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def deserialize(self, value: str) -> Any:
        """Read it."""
        return json.loads(value)


class TextsAttribute(Attribute[Sequence[str]]):
    """Several texts in order. Unlike DynamoDB's sets it can be empty."""

    attr_type = LIST

    def serialize(self, value: Sequence[str]) -> list[dict[str, str]]:
        """Write them."""
        return [{"S": text} for text in value]

    def deserialize(self, value: Any) -> Any:
        """Read them."""
        return tuple(text["S"] for text in value)


class TextSetAttribute(TextsAttribute):
    """Several texts of which each counts once, written in order of the alphabet."""

    def __init__(self, kind: type[str] = str, **options: Any) -> None:
        """Keep what the texts are made into when they are read."""
        super().__init__(**options)
        self._kind = kind

    def serialize(self, value: Collection[str]) -> list[dict[str, str]]:
        """Write them."""
        return [{"S": str(text)} for text in sorted(value)]

    def deserialize(self, value: Any) -> Any:
        """Read them."""
        return frozenset(self._kind(text["S"]) for text in value)


class SealedAttribute(Attribute[Sequence[bytes]]):
    """Several ciphertexts in order."""

    attr_type = LIST

    def serialize(self, value: Sequence[bytes]) -> list[dict[str, bytes]]:
        """Write them."""
        return [{"B": sealed} for sealed in value]

    def deserialize(self, value: Any) -> Any:
        """Read them."""
        return tuple(bytes(sealed["B"]) for sealed in value)


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
                until=_moment(until),
                spot=Spot(part=Part(part), key=key),
            )
            for until, part, key in super().deserialize(value)
        )


class NoticeAttribute(JsonAttribute):
    """What others are still to be told of an endpoint."""

    def serialize(self, value: Notice) -> str:
        """Write it."""
        return super().serialize(
            {
                "eventId": value.event_id,
                "type": value.type,
                "occurredAt": timestamp(value.occurred_at),
                "payload": value.payload,
            }
        )

    def deserialize(self, value: str) -> Notice:
        """Read it."""
        stored = super().deserialize(value)
        return Notice(
            event_id=stored["eventId"],
            type=EventType(stored["type"]),
            occurred_at=_moment(stored["occurredAt"]),
            payload=stored["payload"],
        )


class BacklogAttribute(JsonAttribute):
    """What an endpoint has missed and is still to be sent."""

    def serialize(self, value: Backlog) -> str:
        """Write it."""
        return super().serialize(
            {
                "askedAt": timestamp(value.asked_at),
                "isParked": value.is_parked,
                "failedSince": optional_timestamp(value.failed_since),
            }
        )

    def deserialize(self, value: str) -> Backlog:
        """Read it."""
        stored = super().deserialize(value)
        since = stored["failedSince"]
        return Backlog(
            asked_at=_moment(stored["askedAt"]),
            is_parked=stored["isParked"],
            failed_since=None if since is None else _moment(since),
        )


class TrialsAttribute(JsonAttribute):
    """The deliveries that are being tried at an endpoint, with the ends of their leases."""

    def serialize(self, value: Mapping[str, datetime]) -> str:
        """Write them."""
        return super().serialize({trial: timestamp(until) for trial, until in value.items()})

    def deserialize(self, value: str) -> dict[str, datetime]:
        """Read them."""
        return {trial: _moment(until) for trial, until in super().deserialize(value).items()}


class AttemptsAttribute(Attribute[Sequence[Attempt]]):
    """The attempts at a delivery. As maps: what endpoints answer may double in size as JSON."""

    attr_type = LIST

    def serialize(self, value: Sequence[Attempt]) -> list[dict[str, Any]]:
        """Write them."""
        return [{"M": _attempt_map(attempt)} for attempt in value]

    def deserialize(self, value: Any) -> Any:
        """Read them."""
        return tuple(_attempt(attempt["M"]) for attempt in value)


def _attempt_map(attempt: Attempt) -> dict[str, Any]:
    texts = {
        "at": timestamp(attempt.at),
        "error": attempt.error,
        "message": attempt.message,
        "responseBody": attempt.response_body,
    }
    numbers = {
        "number": attempt.number,
        "durationMs": attempt.duration_ms,
        "status": attempt.status,
    }
    headers = {name: {"S": text} for name, text in attempt.response_headers.items()}
    return (
        {name: {"S": text} for name, text in texts.items() if text is not None}
        | {name: {"N": str(number)} for name, number in numbers.items() if number is not None}
        | ({"responseHeaders": {"M": headers}} if headers else {})
    )


def _attempt(stored: Mapping[str, Mapping[str, Any]]) -> Attempt:
    values = {name: next(iter(value.values())) for name, value in stored.items()}
    headers = values.get("responseHeaders", {})
    return Attempt(
        number=int(values["number"]),
        at=_moment(values["at"]),
        duration_ms=int(values["durationMs"]),
        status=int(values["status"]) if "status" in values else None,
        error=values.get("error"),
        message=values.get("message"),
        response_headers={name: value["S"] for name, value in headers.items()},
        response_body=values.get("responseBody"),
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


class Row(Model):
    """What every row has; ``ttl`` is when DynamoDB may remove it (epoch seconds)."""

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    revision = NumberAttribute()
    ttl = NumberAttribute(null=True, attr_name="expiresAt")


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


class DisconnectionRow(Row):
    """What a disconnect leaves to be done."""

    account_id = UnicodeAttribute(attr_name="accountId")
    workspace_id = UnicodeAttribute(attr_name="workspaceId")
    actor = UnicodeAttribute()
    disconnected_at = MomentAttribute(attr_name="disconnectedAt")
    pass_began_at = MomentAttribute(null=True, attr_name="passBeganAt")
    after = UnicodeAttribute(null=True)
    is_flawed = BooleanAttribute(attr_name="isFlawed")
    due_partition = UnicodeAttribute(attr_name="duePartition")
    due_at = MomentAttribute(attr_name="dueAt")


class UsageRow(Row):
    """How many posts were created in a workspace in a month; its revision is that number."""


class WorkspaceRow(Row):
    """A workspace."""

    id = UnicodeAttribute()
    name = UnicodeAttribute()
    created_at = MomentAttribute(attr_name="createdAt")
    held_at = MomentAttribute(null=True, attr_name="heldAt")
    hold_reason = UnicodeAttribute(null=True, attr_name="holdReason")
    post_limit = NumberAttribute(null=True, attr_name="postLimit")
    updated_at = MomentAttribute(null=True, attr_name="updatedAt")


class MemberRow(Row):
    """A membership."""

    workspace_id = UnicodeAttribute(attr_name="workspaceId")
    user_id = UnicodeAttribute(attr_name="userId")
    role = ChoiceAttribute(Role)
    created_at = MomentAttribute(attr_name="createdAt")


class AccountRow(Row):
    """A social account."""

    id = UnicodeAttribute()
    workspace_id = UnicodeAttribute(attr_name="workspaceId")
    platform = ChoiceAttribute(Platform)
    display_name = UnicodeAttribute(attr_name="displayName")
    external_account_id = UnicodeAttribute(attr_name="externalAccountId")
    handle = UnicodeAttribute(null=True)
    status = ChoiceAttribute(AccountStatus)
    created_at = MomentAttribute(attr_name="createdAt")
    sealed_credentials = BinaryAttribute(
        null=True, attr_name="sealedCredentials", legacy_encoding=False
    )
    disconnected_at = MomentAttribute(null=True, attr_name="disconnectedAt")


class AccountPlaceRow(Row):
    """Where an account is connected, for those who know only its id."""

    workspace_id = UnicodeAttribute(attr_name="workspaceId")


class KnownAccountRow(Row):
    """Which account of a workspace stands for one on a platform; there is one at most."""

    account_id = UnicodeAttribute(attr_name="accountId")


class KeyRow(Row):
    """An API key, with what its requests are counted in.

    Its end is not its row's, which stays to say that the key has ended.
    """

    id = UnicodeAttribute()
    digest = UnicodeAttribute()
    owner_user_id = UnicodeAttribute(attr_name="ownerUserId")
    name = UnicodeAttribute()
    hint = UnicodeAttribute()
    created_at = MomentAttribute(attr_name="createdAt")
    workspace_ids = TextSetAttribute(null=True, attr_name="workspaceIds")
    grants = TextSetAttribute(Grant)
    expires_at = MomentAttribute(null=True, attr_name="validUntil")
    revoked_at = MomentAttribute(null=True, attr_name="revokedAt")
    requests_per_minute = NumberAttribute(attr_name="requestsPerMinute")
    requests_per_quarter_hour = NumberAttribute(attr_name="requestsPerQuarterHour")
    cursor_secret = BinaryAttribute(attr_name="cursorSecret", legacy_encoding=False)
    minute = NumberAttribute(null=True)
    minute_left = NumberAttribute(null=True, attr_name="minuteLeft")
    quarter_hour = NumberAttribute(null=True, attr_name="quarterHour")
    quarter_hour_left = NumberAttribute(null=True, attr_name="quarterHourLeft")


class EndpointRow(Row):
    """A webhook endpoint."""

    id = UnicodeAttribute()
    workspace_id = UnicodeAttribute(attr_name="workspaceId")
    url = UnicodeAttribute()
    event_filters = TextsAttribute(attr_name="eventFilters")
    status = ChoiceAttribute(EndpointStatus)
    sealed_secrets = SealedAttribute(attr_name="sealedSecrets")
    created_at = MomentAttribute(attr_name="createdAt")
    updated_at = MomentAttribute(attr_name="updatedAt")
    description = UnicodeAttribute(null=True)
    headers = JsonAttribute()
    rate_limit = NumberAttribute(null=True, attr_name="rateLimit")
    secret_retires_at = MomentAttribute(null=True, attr_name="secretRetiresAt")
    failing_since = MomentAttribute(null=True, attr_name="failingSince")
    disabled_at = MomentAttribute(null=True, attr_name="disabledAt")
    disabled_reason = UnicodeAttribute(null=True, attr_name="disabledReason")
    notice = NoticeAttribute(null=True)
    backlog = BacklogAttribute(null=True)
    due_partition = UnicodeAttribute(null=True, attr_name="duePartition")
    due_at = MomentAttribute(null=True, attr_name="dueAt")


class EndpointPlaceRow(Row):
    """Where an endpoint is, for those who know only its id."""

    workspace_id = UnicodeAttribute(attr_name="workspaceId")


class HealthRow(Row):
    """How an endpoint is."""

    endpoint_id = UnicodeAttribute(attr_name="endpointId")
    workspace_id = UnicodeAttribute(attr_name="workspaceId")
    failures = NumberAttribute()
    slow_since = MomentAttribute(null=True, attr_name="slowSince")
    open_until = MomentAttribute(null=True, attr_name="openUntil")
    trials = TrialsAttribute()


class PaceRow(Row):
    """When an endpoint may be sent the next request: microseconds since 1970."""

    free_at = NumberAttribute(attr_name="freeAt")


class DeliveryRow(Row):
    """A delivery. ``expires_at`` is exact where ``ttl``, beside it, is in whole seconds.

    One that is PARKED or EXHAUSTED is not due: it is in the index by when it was made.
    """

    id = UnicodeAttribute()
    endpoint_id = UnicodeAttribute(attr_name="endpointId")
    workspace_id = UnicodeAttribute(attr_name="workspaceId")
    event_id = UnicodeAttribute(attr_name="eventId")
    event_type = ChoiceAttribute(EventType, attr_name="eventType")
    post_id = UnicodeAttribute(attr_name="postId")
    status = ChoiceAttribute(DeliveryStatus)
    created_at = MomentAttribute(attr_name="createdAt")
    payload = JsonAttribute(null=True)
    attempts = AttemptsAttribute()
    tries = NumberAttribute()
    next_attempt_at = MomentAttribute(null=True, attr_name="nextAttemptAt")
    is_reserved = BooleanAttribute(attr_name="isReserved")
    leased_until = MomentAttribute(null=True, attr_name="leasedUntil")
    expires_at = MomentAttribute(null=True, attr_name="keptUntil")
    due_partition = UnicodeAttribute(null=True, attr_name="duePartition")
    due_at = MomentAttribute(null=True, attr_name="dueAt")


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


_FIRST: Final = 1
"""The revision of rows whose values have none."""


def value_of(kind: type[Value], row: Row, **given: Any) -> Value:
    """Make a value from a row, and from what is given beside it."""
    stored = row.attribute_values
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # dataclasses only
    return kind(**{name: stored[name] for name in names & stored.keys()}, **given)


def _attributes(value: Any, *left_out: str) -> dict[str, Any]:
    return {
        field.name: getattr(value, field.name)
        for field in fields(value)
        if field.name not in left_out
    }


def _epoch_seconds(at: datetime) -> int:
    """Whole seconds, rounded up: never before its moment."""
    seconds = int(at.timestamp())
    return seconds + (1 if at.microsecond else 0)


def post_row(post: Post) -> PostRow:
    """Make the row of a post without its targets."""
    return PostRow(
        keys.post(post.id),
        keys.POST,
        **_attributes(post, "targets"),
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
        **_attributes(target),
        open_account_id=target.social_account_id if is_open else None,
    )


def event_row(event: Event, *, expires_at: datetime | None = None) -> EventRow:
    """Make the row of an event, which waits in the index for as long as it is pending."""
    pending = event.pending_since is not None
    return EventRow(
        keys.subject(event.post_id),
        keys.EVENTS + event.id,
        **_attributes(event),
        pending_partition=keys.shard(keys.PENDING, event.id) if pending else None,
        ttl=None if expires_at is None else _epoch_seconds(expires_at),
    )


def answer_row(answer: StoredAnswer) -> AnswerRow:
    """Make the row of a stored answer."""
    return AnswerRow(
        keys.answer(answer.key_digest, answer.idempotency_key),
        keys.REQUEST,
        **_attributes(answer),
        revision=_FIRST,
        ttl=_epoch_seconds(answer.expires_at),
    )


def disconnection_row(work: Disconnection) -> DisconnectionRow:
    """Make the row of what a disconnect leaves to be done."""
    return DisconnectionRow(
        keys.account(work.account_id),
        keys.DISCONNECTION,
        **_attributes(work),
        due_partition=keys.shard(keys.DISCONNECTIONS, work.account_id),
    )


def asset_row(asset: Asset) -> AssetRow:
    """Make the row of an asset, which expires if its bytes never come, or cannot be taken."""
    expires = asset.status in (AssetStatus.PENDING, AssetStatus.FAILED)
    return AssetRow(
        keys.asset(asset.id),
        keys.ASSET,
        **_attributes(asset),
        ttl=_epoch_seconds(asset.created_at + PENDING_AT_MOST) if expires else None,
    )


def asset_post_row(asset_id: str, post_id: str) -> AssetPostRow:
    """Make the row of a post that has needed an asset."""
    return AssetPostRow(keys.asset(asset_id), keys.POSTS + post_id, revision=_FIRST)


def workspace_row(workspace: Workspace) -> WorkspaceRow:
    """Make the row of a workspace."""
    return WorkspaceRow(keys.workspace(workspace.id), keys.WORKSPACE, **_attributes(workspace))


def member_row(member: Member) -> MemberRow:
    """Make the row of a membership."""
    return MemberRow(
        keys.workspace(member.workspace_id), keys.MEMBERS + member.user_id, **_attributes(member)
    )


def account_row(account: SocialAccount) -> AccountRow:
    """Make the row of a social account."""
    return AccountRow(
        keys.workspace(account.workspace_id), keys.ACCOUNTS + account.id, **_attributes(account)
    )


def account_place_row(account: SocialAccount) -> AccountPlaceRow:
    """Make the row that tells where an account is connected."""
    return AccountPlaceRow(
        keys.account(account.id),
        keys.ACCOUNT,
        workspace_id=account.workspace_id,
        revision=_FIRST,
    )


def known_account_row(account: SocialAccount) -> KnownAccountRow:
    """Make the row that keeps an account from being connected twice."""
    return KnownAccountRow(
        keys.workspace(account.workspace_id),
        keys.external(account.platform, account.external_account_id),
        account_id=account.id,
        revision=_FIRST,
    )


def key_row(key: ApiKey) -> KeyRow:
    """Make the row of an API key."""
    return KeyRow(keys.key(key.digest), keys.KEY, **_attributes(key))


def endpoint_row(endpoint: Endpoint) -> EndpointRow:
    """Make the row of a webhook endpoint, which is in the index while it wants attention."""
    is_due = endpoint.due_at is not None
    return EndpointRow(
        keys.workspace(endpoint.workspace_id),
        keys.ENDPOINTS + endpoint.id,
        **_attributes(endpoint, "headers"),
        headers=dict(endpoint.headers),
        due_partition=keys.shard(keys.DUE_ENDPOINTS, endpoint.id) if is_due else None,
    )


def endpoint_of(row: EndpointRow) -> Endpoint:
    """Make a webhook endpoint of its row; those of older versions do not say when it changed."""
    row.attribute_values.setdefault("updated_at", row.created_at)
    return value_of(Endpoint, row)


def endpoint_place_row(endpoint: Endpoint) -> EndpointPlaceRow:
    """Make the row that tells where an endpoint is."""
    return EndpointPlaceRow(
        keys.endpoint(endpoint.id),
        keys.ENDPOINT,
        workspace_id=endpoint.workspace_id,
        revision=_FIRST,
    )


def health_row(health: Health) -> HealthRow:
    """Make the row of how an endpoint is."""
    return HealthRow(keys.endpoint(health.endpoint_id), keys.HEALTH, **_attributes(health))


def delivery_row(delivery: Delivery) -> DeliveryRow:
    """Make the row of a delivery, which is in the index while it is due or waits."""
    return DeliveryRow(
        keys.endpoint(delivery.endpoint_id),
        keys.DELIVERIES + delivery.id,
        **_attributes(delivery, "due_at"),
        **_turn(delivery),
        ttl=None if delivery.expires_at is None else _epoch_seconds(delivery.expires_at),
    )


def delivery_of(row: DeliveryRow) -> Delivery:
    """Make a delivery of its row."""
    delivery = value_of(Delivery, row)
    waits = row.due_partition == keys.waiting(delivery.endpoint_id, delivery.status)
    return replace(delivery, due_at=None) if waits else delivery


def _turn(delivery: Delivery) -> dict[str, Any]:
    """Make what the index holds of a delivery: when it is due, or since when it waits."""
    if delivery.due_at is not None:
        return {"due_partition": keys.shard(keys.DUE, delivery.id), "due_at": delivery.due_at}
    if delivery.status in (DeliveryStatus.PARKED, DeliveryStatus.EXHAUSTED):
        return {
            "due_partition": keys.waiting(delivery.endpoint_id, delivery.status),
            "due_at": delivery.created_at,
        }
    return {}
