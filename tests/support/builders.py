"""Values with sane defaults; every call makes another one unless it is given its id.

All happen at ``START``; a scheduled post is for an hour later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any

from postbreeze.domain import ids
from postbreeze.domain.access import ApiKey, Member, Role, Workspace
from postbreeze.domain.changes import Change, RowCheck
from postbreeze.domain.documents import post_document, timestamp
from postbreeze.domain.events import Event, EventType
from postbreeze.domain.lifecycle import LEASE, OVERDUE_AFTER
from postbreeze.domain.media import Asset, AssetStatus
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
from postbreeze.domain.webhook import Delivery, DeliveryStatus, Endpoint, EndpointStatus
from postbreeze.operations.ports import StoredAnswer
from tests.support.fakes import START

LATER = START + timedelta(hours=1)
"""When scheduled posts are to go out."""

PLENTY = 1_000_000
"""More requests than any test makes of a key in a window."""

CURSOR_SECRET = bytes(range(32))
"""What the cursors of every key are signed with."""

_numbers = count(1)


def an_id(prefix: str, at: datetime = START) -> str:
    """Make an identifier that no other call of this process makes; later ones sort higher."""
    return ids.new_id(prefix, at, next(_numbers).to_bytes(10, "big"))


WORKSPACE_ID = an_id(ids.WORKSPACE)
USER_ID = an_id(ids.USER)

USUAL_TARGETS: Mapping[PostStatus, Sequence[TargetStatus]] = {
    PostStatus.DRAFT: (TargetStatus.DRAFT,) * 2,
    PostStatus.NEEDS_APPROVAL: (TargetStatus.DRAFT,) * 2,
    PostStatus.SCHEDULED: (TargetStatus.SCHEDULED,) * 3,
    PostStatus.PUBLISHING: (TargetStatus.PUBLISHING, TargetStatus.SCHEDULED),
    PostStatus.PARTIALLY_PUBLISHED: (TargetStatus.PUBLISHED, TargetStatus.FAILED),
    PostStatus.PUBLISHED: (TargetStatus.PUBLISHED,) * 2,
    PostStatus.FAILED: (TargetStatus.FAILED,) * 2,
    PostStatus.CANCELED: (TargetStatus.CANCELED,) * 2,
}

_TIMED = frozenset(PostStatus) - {PostStatus.DRAFT}
_IN_FORCE = frozenset({PostStatus.SCHEDULED, PostStatus.PUBLISHING})


def a_post(
    status: PostStatus = PostStatus.SCHEDULED,
    targets: Sequence[TargetStatus] | None = None,
    *,
    post_id: str | None = None,
    pending: bool = False,
    platform: Platform = Platform.BLUESKY,
    scheduled_at: datetime = LATER,
    **changes: Any,
) -> Post:
    """Make a post in a status, with one target of each status given, all fitting together.

    Args:
        status: The post's.
        targets: The targets'; those usual for the post's status if left out.
        post_id: Its id, if that matters.
        pending: Whether a scheduled post is still being armed.
        platform: Every target's.
        scheduled_at: When it is, or was, to go out.
        changes: Fields of the post to be otherwise.
    """
    post_id = post_id or an_id(ids.POST)
    armed = status in _IN_FORCE and not pending
    workflow_id = f"{post_id}-1" if armed else None
    timed_at = scheduled_at if status in _TIMED else None
    statuses = USUAL_TARGETS[status] if targets is None else targets
    post = Post(
        id=post_id,
        workspace_id=WORKSPACE_ID,
        created_by_user_id=USER_ID,
        status=status,
        created_at=START,
        updated_at=START,
        caption="Fair wind",
        scheduled_at=timed_at,
        timezone="Europe/Berlin" if timed_at is not None else None,
        workflow_id=workflow_id,
        pending_workflow_id=f"{post_id}-1" if pending else None,
        generation=0 if timed_at is None or status is PostStatus.NEEDS_APPROVAL else 1,
        attention_at=_attention(status, timed_at),
        canceled_at=START if status is PostStatus.CANCELED else None,
        canceled_by_user_id=USER_ID if status is PostStatus.CANCELED else None,
        targets=tuple(
            a_target(
                each,
                post_id=post_id,
                workflow_id=workflow_id,
                platform=platform,
                scheduled_for=timed_at,
            )
            for each in statuses
        ),
    )
    return replace(post, **changes)


def a_target(
    status: TargetStatus = TargetStatus.SCHEDULED,
    *,
    post_id: str | None = None,
    workflow_id: str | None = None,
    platform: Platform = Platform.BLUESKY,
    scheduled_for: datetime | None = LATER,
    **changes: Any,
) -> Target:
    """Make a target in a status with all that goes with it."""
    target = Target(
        id=an_id(ids.TARGET),
        post_id=post_id or an_id(ids.POST),
        social_account_id=an_id(ids.ACCOUNT),
        platform=platform,
        status=status,
        created_at=START,
        updated_at=START,
        scheduled_for=scheduled_for,
        workflow_id=workflow_id,
    )
    tried = {"attempt_count": 1, "last_attempt_at": START, "claim_id": "claim-1"}
    match status:
        case TargetStatus.PUBLISHING:
            target = replace(target, claimed_until=START + LEASE, **tried)  # type: ignore[arg-type]  # fields by name
        case TargetStatus.PUBLISHED:
            target = replace(
                target,
                published_at=START,
                external_post_id="at://did:plc:abc/app.bsky.feed.post/1",
                external_url="https://bsky.app/profile/abc/post/1",
                **tried,  # type: ignore[arg-type]  # fields by name
            )
        case TargetStatus.FAILED:
            target = replace(
                target,
                error_code="PLATFORM_REJECTED",
                error_message="No.",
                **tried,  # type: ignore[arg-type]  # fields by name
            )
        case TargetStatus.CANCELED:
            target = replace(target, workflow_id=None)
        case TargetStatus.DRAFT | TargetStatus.SCHEDULED | TargetStatus.SKIPPED:
            pass
    return replace(target, **changes)


def a_full_post() -> Post:
    """Make a post in which every field says something unusual, for tests of what is stored."""
    post_id = an_id(ids.POST)
    moments = [START + timedelta(seconds=number, milliseconds=7) for number in range(9)]
    target = Target(
        id=an_id(ids.TARGET),
        post_id=post_id,
        social_account_id=an_id(ids.ACCOUNT),
        platform=Platform.BLUESKY,
        status=TargetStatus.PUBLISHING,
        created_at=moments[0],
        updated_at=moments[1],
        caption_override="",
        first_comment="erster 💨 \u2028 \x00 \"'\\",
        first_comment_error="too late",
        first_comment_attempt=2,
        platform_options={"a": [1, 2.5, None, True, {"ä": "ö"}], "b": {}},
        media_ids=(an_id(ids.MEDIA), an_id(ids.MEDIA)),
        scheduled_for=moments[2],
        published_at=moments[3],
        external_post_id="id",
        external_url="https://example.com/x?y=z#1",
        error_code="CODE",
        error_message="m",
        attempt_count=3,
        last_attempt_at=moments[4],
        next_attempt_at=moments[5],
        workflow_id=f"{post_id}-7",
        claim_id="claim",
        claimed_until=moments[6],
        revision=4,
    )
    return Post(
        id=post_id,
        workspace_id=an_id(ids.WORKSPACE),
        created_by_user_id=an_id(ids.USER),
        status=PostStatus.PARTIALLY_PUBLISHED,
        created_at=moments[0],
        updated_at=moments[1],
        targets=(target, a_target(TargetStatus.SKIPPED, post_id=post_id)),
        media=(
            Media(
                media_asset_id=an_id(ids.MEDIA),
                order=0,
                alt_text="ein Segel",
                url="https://example.com/a.png",
                kind="IMAGE",
            ),
            Media(
                media_asset_id=an_id(ids.MEDIA),
                order=1,
                kind="VIDEO",
                content_type="video/mp4",
                duration_seconds=12.5,
            ),
            Media(
                media_asset_id=an_id(ids.MEDIA),
                order=2,
                kind="IMAGE",
                content_type="image/png",
                is_shared=False,
            ),
        ),
        caption="Ahoi ⛵ 日本語",
        scheduled_at=moments[2],
        timezone="Pacific/Kiritimati",
        workflow_id=f"{post_id}-7",
        pending_workflow_id=f"{post_id}-8",
        approved_by_user_id=an_id(ids.USER),
        approved_at=moments[3],
        created_via_api=False,
        created_via_flat_shape=True,
        deleted_at=moments[4],
        canceled_at=moments[5],
        cancel_reason="",
        canceled_by_user_id=an_id(ids.USER),
        generation=8,
        attention_at=moments[6],
        former_spots=(
            FormerSpot(until=moments[7], spot=Spot(part=Part.UPCOMING, key=f"é#{post_id}")),
            FormerSpot(until=moments[8], spot=Spot(part=Part.REST, key=f'"~"#{post_id}')),
        ),
        revision=9,
    )


def added(post: Post, *events: Event) -> Change:
    """Return the change that adds a post as it is."""
    return Change(before=None, after=post, events=events)


def changed(
    before: Post,
    *,
    targets: Mapping[int, Mapping[str, Any]] | None = None,
    relied_on: Sequence[Post | Target] = (),
    events: Sequence[Event] = (),
    **fields: Any,
) -> Change:
    """Return the change that gives the post, and its targets by position, other fields.

    Only the rows that are given anything get their next revision.
    """
    after = replace(
        before,
        targets=tuple(
            replace(target, **targets[index], revision=target.revision + 1)
            if targets is not None and index in targets
            else target
            for index, target in enumerate(before.targets)
        ),
    )
    if fields:
        after = replace(after, **fields, revision=before.revision + 1)
    return Change(
        before=before,
        after=after,
        relied_on=tuple(RowCheck(row=row) for row in relied_on),
        events=tuple(events),
    )


def an_event(
    post: Post | None = None, type_: EventType = EventType.POST_CANCELLED, **changes: Any
) -> Event:
    """Make a pending event of a post."""
    post = post or a_post()
    event_id = an_id(ids.EVENT)
    event = Event(
        id=event_id,
        type=type_,
        post_id=post.id,
        workspace_id=post.workspace_id,
        occurred_at=START,
        actor=USER_ID,
        version_before=post.version - 1,
        version_after=post.version,
        payload={
            "eventId": event_id,
            "occurredAt": timestamp(START),
            "workspaceId": post.workspace_id,
            "post": post_document(post),
        },
        pending_since=START,
    )
    return replace(event, **changes)


def an_answer(post_id: str | None = None, **changes: Any) -> StoredAnswer:
    """Make a running answer, which stands for 24 hours."""
    answer = StoredAnswer(
        key_digest=sha256(b"key").hexdigest(),
        idempotency_key=f"try-{next(_numbers)}",
        request_digest=sha256(b"request").hexdigest(),
        post_id=post_id or an_id(ids.POST),
        created_at=START,
        expires_at=START + timedelta(hours=24),
    )
    return replace(answer, **changes)


def a_workspace(**changes: Any) -> Workspace:
    """Make a workspace."""
    workspace = Workspace(id=an_id(ids.WORKSPACE), name="Möwe & Co", created_at=START)
    return replace(workspace, **changes)


def a_member(role: Role = Role.OWNER, **changes: Any) -> Member:
    """Make a membership of the usual user in the usual workspace."""
    member = Member(workspace_id=WORKSPACE_ID, user_id=USER_ID, role=role, created_at=START)
    return replace(member, **changes)


def a_key(**changes: Any) -> ApiKey:
    """Make a full-access key of the usual user."""
    key_id = an_id(ids.KEY)
    key = ApiKey(
        id=key_id,
        digest=sha256(key_id.encode()).hexdigest(),
        owner_user_id=USER_ID,
        name="laptop",
        hint="pb_live_…abcd",
        created_at=START,
        requests_per_minute=PLENTY,
        requests_per_quarter_hour=PLENTY,
        cursor_secret=CURSOR_SECRET,
    )
    return replace(key, **changes)


def an_account(**changes: Any) -> SocialAccount:
    """Make a connected Bluesky account of the usual workspace."""
    account_id = an_id(ids.ACCOUNT)
    account = SocialAccount(
        id=account_id,
        workspace_id=WORKSPACE_ID,
        platform=Platform.BLUESKY,
        display_name="Möwe",
        external_account_id=f"did:plc:{account_id}",
        status=AccountStatus.ACTIVE,
        created_at=START,
        handle="moewe.example",
        sealed_credentials=b"\x00sealed\xff",
    )
    return replace(account, **changes)


def an_asset(**changes: Any) -> Asset:
    """Make a picture of the usual workspace that is ready."""
    asset = Asset(
        id=an_id(ids.MEDIA),
        workspace_id=WORKSPACE_ID,
        status=AssetStatus.READY,
        content_type="image/png",
        size_bytes=3,
        created_at=START,
        created_by_user_id=USER_ID,
        alt_text="Möwe",
        filename="möwe.png",
    )
    return replace(asset, **changes)


def shown(*assets: Asset) -> tuple[Media, ...]:
    """Make a post's media of assets."""
    return tuple(
        Media(
            media_asset_id=asset.id,
            order=order,
            alt_text=asset.alt_text,
            kind=asset.kind.value,
            content_type=asset.content_type,
            duration_seconds=asset.duration_seconds,
        )
        for order, asset in enumerate(assets)
    )


def an_endpoint(**changes: Any) -> Endpoint:
    """Make an endpoint of the usual workspace that wants everything."""
    endpoint = Endpoint(
        id=an_id(ids.ENDPOINT),
        workspace_id=WORKSPACE_ID,
        url="https://hooks.example.com/postbreeze",
        event_filters=("*",),
        status=EndpointStatus.ENABLED,
        sealed_secrets=(b"\x00sealed\xff",),
        created_at=START,
        updated_at=START,
    )
    return replace(endpoint, **changes)


def a_delivery(
    endpoint: Endpoint | None = None, event: Event | None = None, **changes: Any
) -> Delivery:
    """Make a delivery that is to be sent at once."""
    event = event or an_event()
    delivery = Delivery(
        id=an_id(ids.DELIVERY),
        endpoint_id=an_id(ids.ENDPOINT) if endpoint is None else endpoint.id,
        workspace_id=event.workspace_id,
        event_id=event.id,
        event_type=event.type,
        post_id=event.post_id,
        status=DeliveryStatus.PENDING,
        created_at=START,
        next_attempt_at=START,
        due_at=START,
    )
    return replace(delivery, **changes)


def _attention(status: PostStatus, scheduled_at: datetime | None) -> datetime | None:
    if status is PostStatus.SCHEDULED and scheduled_at is not None:
        return scheduled_at + OVERDUE_AFTER
    return START + LEASE if status is PostStatus.PUBLISHING else None
