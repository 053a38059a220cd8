"""The post and what belongs to it, as values.

A post owns its targets (one for each social account) and its media. Each row, the post's own and
each target's, has a ``revision`` that grows by one with every write; the post's ``version``, which
clients see, is their sum, so it grows with every change of any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import total_ordering
from typing import Any

from postbreeze.domain.events import EventType

MOST_TARGETS = 50
"""The most targets of one post."""


class PostStatus(StrEnum):
    """Where a post is in its life; see ``lifecycle`` for the ways between."""

    DRAFT = "DRAFT"
    NEEDS_APPROVAL = "NEEDS_APPROVAL"
    SCHEDULED = "SCHEDULED"
    PUBLISHING = "PUBLISHING"
    PARTIALLY_PUBLISHED = "PARTIALLY_PUBLISHED"
    PUBLISHED = "PUBLISHED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


class TargetStatus(StrEnum):
    """Where one target is in its life."""

    DRAFT = "DRAFT"
    SCHEDULED = "SCHEDULED"
    PUBLISHING = "PUBLISHING"
    PUBLISHED = "PUBLISHED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    CANCELED = "CANCELED"


class Platform(StrEnum):
    """The social platforms a target can name."""

    INSTAGRAM = "INSTAGRAM"
    FACEBOOK_PAGE = "FACEBOOK_PAGE"
    X = "X"
    LINKEDIN_PERSON = "LINKEDIN_PERSON"
    LINKEDIN_COMPANY = "LINKEDIN_COMPANY"
    TIKTOK_BUSINESS = "TIKTOK_BUSINESS"
    TIKTOK_PERSONAL = "TIKTOK_PERSONAL"
    YOUTUBE = "YOUTUBE"
    PINTEREST = "PINTEREST"
    THREADS = "THREADS"
    BLUESKY = "BLUESKY"


class AccountStatus(StrEnum):
    """Whether a social account can be published to."""

    ACTIVE = "ACTIVE"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105  # a status, not a secret
    REVOKED = "REVOKED"
    DISCONNECTED = "DISCONNECTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class SocialAccount:
    """A social account, connected or not any more.

    ``handle`` is what the platform calls it, where that is known. ``sealed_credentials`` is
    ciphertext, opens only for a publisher, and is gone once the account is disconnected.
    """

    id: str
    workspace_id: str
    platform: Platform
    display_name: str
    external_account_id: str
    status: AccountStatus
    created_at: datetime
    handle: str | None = None
    sealed_credentials: bytes | None = None
    disconnected_at: datetime | None = None
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """One picture, video or document of a post, in order.

    ``url`` is where its bytes are fetched from; without one it is an asset of the media library,
    whose content type, kind and duration are those of the asset. One that is not shared is shown
    only by targets that name it.
    """

    media_asset_id: str
    order: int
    alt_text: str | None = None
    url: str | None = None
    kind: str | None = None
    content_type: str | None = None
    duration_seconds: float | None = None
    is_shared: bool = True

    @property
    def is_asset(self) -> bool:
        """Tell whether its bytes are in the media library."""
        return self.url is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A post on one social account.

    ``workflow_id`` names the arming that may publish it; ``claim_id`` the attempt that holds it
    (or held it last) until ``claimed_until``. ``next_attempt_at`` is set while a released target
    waits for its next attempt. ``attempt_count`` counts the attempts of the present arming;
    ``first_comment_retried_at`` is when a client last asked for the first comment again.
    """

    id: str
    post_id: str
    social_account_id: str
    platform: Platform
    status: TargetStatus
    created_at: datetime
    updated_at: datetime
    caption_override: str | None = None
    first_comment: str | None = None
    first_comment_error: str | None = None
    first_comment_attempt: int = 0
    first_comment_retried_at: datetime | None = None
    platform_options: Mapping[str, Any] | None = None
    media_ids: tuple[str, ...] = ()
    scheduled_for: datetime | None = None
    published_at: datetime | None = None
    external_post_id: str | None = None
    external_url: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    attempt_count: int = 0
    last_attempt_at: datetime | None = None
    next_attempt_at: datetime | None = None
    workflow_id: str | None = None
    claim_id: str | None = None
    claimed_until: datetime | None = None
    revision: int = 1


class Part(StrEnum):
    """The parts of a listing, in their order; see ``listing``."""

    UPCOMING = "UPCOMING"
    REST = "REST"


@total_ordering
@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where a post stands in a listing: a moment with the post's id.

    Spots sort as they are listed: upcoming ones first and by time, the rest by time backwards.
    """

    part: Part
    key: str

    def __lt__(self, other: Spot) -> bool:
        """Tell whether this one is listed before the other."""
        if self.part is not other.part:
            return self.part is Part.UPCOMING
        return self.key < other.key if self.part is Part.UPCOMING else self.key > other.key

    @property
    def post_id(self) -> str:
        """The post that stands here."""
        return self.key.partition("#")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerSpot:
    """Where a post stood in a listing until it was moved."""

    until: datetime
    spot: Spot


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A post with its targets and media.

    ``generation`` counts the armings; ``workflow_id`` is ``<post id>-<generation>`` while one is
    in force and ``pending_workflow_id`` while one is being made; ``pending_event`` is what is told
    once that one is in force. ``attention_at`` is when the reconciler should look at the post if
    nothing has moved it on; None means never. ``requires_approval`` outlives the approval: who
    edits what was approved needs a new one.
    """

    id: str
    workspace_id: str
    created_by_user_id: str
    status: PostStatus
    created_at: datetime
    updated_at: datetime
    targets: tuple[Target, ...]
    media: tuple[Media, ...] = ()
    caption: str | None = None
    scheduled_at: datetime | None = None
    timezone: str | None = None
    workflow_id: str | None = None
    pending_workflow_id: str | None = None
    pending_event: EventType | None = None
    requires_approval: bool = False
    approved_by_user_id: str | None = None
    approved_at: datetime | None = None
    created_via_api: bool = True
    created_via_flat_shape: bool = False
    deleted_at: datetime | None = None
    canceled_at: datetime | None = None
    cancel_reason: str | None = None
    canceled_by_user_id: str | None = None
    generation: int = 0
    attention_at: datetime | None = None
    former_spots: tuple[FormerSpot, ...] = ()
    revision: int = 1

    @property
    def version(self) -> int:
        """The number that grows with every change of the post or of any target."""
        return self.revision + sum(target.revision for target in self.targets)

    def target(self, target_id: str) -> Target | None:
        """Return the target of that id, or None."""
        return next((target for target in self.targets if target.id == target_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDraft:
    """What a client asks for on one account."""

    social_account_id: str
    caption_override: str | None = None
    first_comment: str | None = None
    platform_options: Mapping[str, Any] | None = None
    media_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaDraft:
    """A picture or video that a client names by its address, which may be an asset's."""

    url: str
    alt_text: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostDraft:
    """What a client asks for when it creates a post.

    ``scheduled_for`` arms it; ``draft_scheduled_for`` only notes a wished time on a draft. It shows
    ``media``, then the assets of ``media_ids``; ``media_alt_text`` is by asset id.
    """

    targets: tuple[TargetDraft, ...]
    caption: str | None = None
    scheduled_for: datetime | None = None
    draft_scheduled_for: datetime | None = None
    timezone: str | None = None
    media: tuple[MediaDraft, ...] = field(default=())
    media_ids: tuple[str, ...] = ()
    media_alt_text: Mapping[str, str] = field(default_factory=dict)
    requires_approval: bool = False
    flat_shape: bool = False


_STILL_TO_GO_OUT = frozenset(
    {PostStatus.NEEDS_APPROVAL, PostStatus.SCHEDULED, PostStatus.PUBLISHING}
)
_MOVING = frozenset({TargetStatus.SCHEDULED, TargetStatus.PUBLISHING})


def needed_assets(post: Post | None) -> frozenset[str]:
    """Return the assets that must stay for this post; none unless it is still to go out.

    A commit that makes a post need an asset demands that it is READY, and an asset that is needed
    is never deleted. Other posts may lose theirs, which then keeps them from being scheduled.
    """
    if post is None or post.deleted_at is not None:
        return frozenset()
    if post.status not in _STILL_TO_GO_OUT and not any(
        target.status in _MOVING for target in post.targets
    ):
        return frozenset()
    return frozenset(each.media_asset_id for each in post.media if each.is_asset)
