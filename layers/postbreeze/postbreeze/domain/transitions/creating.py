"""Making a post of what a client asks for, and making it anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from postbreeze.domain import ids
from postbreeze.domain.access import MANAGERS, Role
from postbreeze.domain.changes import Announcement, Change, Effect, change
from postbreeze.domain.errors import (
    PostNotEditableError,
    PostNotSchedulableError,
    ValidationError,
)
from postbreeze.domain.events import EventType
from postbreeze.domain.media import NO_ASSETS, Asset, media_of
from postbreeze.domain.post import (
    MOST_TARGETS,
    Platform,
    Post,
    PostDraft,
    PostStatus,
    Target,
    TargetDraft,
    TargetStatus,
)
from postbreeze.domain.transitions.arming import cleared, stage, unstage, wished_time
from postbreeze.domain.transitions.basics import ARMABLE, afresh, may_be_public, stopped

_EDITABLE = frozenset(
    {
        PostStatus.DRAFT,
        PostStatus.NEEDS_APPROVAL,
        PostStatus.SCHEDULED,
        PostStatus.FAILED,
        PostStatus.CANCELED,
    }
)


def create(
    draft: PostDraft,
    *,
    post_id: str,
    workspace_id: str,
    platforms: Mapping[str, Platform],
    author: str,
    role: Role,
    now: datetime,
    assets: Mapping[str, Asset] = NO_ASSETS,
) -> Change:
    """Make a post: waiting for approval, being armed, or a draft.

    Args:
        draft: What is wanted; its accounts, times and assets are known to be valid.
        post_id: The new post's id.
        workspace_id: Where it belongs.
        platforms: The platform of each account, by account id.
        author: The user who asks.
        role: That user's role; a client reviewer's posts wait for approval.
        now: The present moment.
        assets: The assets that the draft names, by id.
    """
    waits = draft.requires_approval or role is Role.CLIENT_REVIEWER
    post = Post(
        id=post_id,
        workspace_id=workspace_id,
        created_by_user_id=author,
        status=PostStatus.NEEDS_APPROVAL if waits else PostStatus.DRAFT,
        created_at=now,
        updated_at=now,
        targets=tuple(
            replace(
                _new_target(wanted, post_id, platforms, now, version=0),
                scheduled_for=draft.scheduled_for,
            )
            for wanted in draft.targets
        ),
        media=media_of(draft, assets, post_id=post_id, now=now),
        caption=draft.caption,
        scheduled_at=draft.scheduled_for or draft.draft_scheduled_for,
        timezone=draft.timezone,
        created_via_flat_shape=draft.flat_shape,
        requires_approval=waits,
    )
    effects: tuple[Effect, ...] = ()
    if draft.scheduled_for is not None and not waits:
        post, effects = stage(post, draft.scheduled_for, now)
    return change(
        None,
        post,
        now=now,
        actor=author,
        announce=(Announcement(type=EventType.POST_CREATED),),
        effects=effects,
    )


def edit(
    post: Post,
    draft: PostDraft,
    *,
    platforms: Mapping[str, Platform],
    editor: str,
    role: Role,
    now: datetime,
    assets: Mapping[str, Asset] = NO_ASSETS,
) -> Change:
    """Replace a post's targets and media, and what else is given.

    Caption, time zone and time stay as they are where the draft has none. A target of an account
    that is listed again is the same target, so that it can never go out twice; one that is, or may
    just now become, public stays as it is, listed or not. One that may be public because nobody
    knows what became of an attempt stays too, as SKIPPED, until it is listed again. A scheduled
    post, and any post that is given a time, is armed anew; what failed or was canceled becomes a
    draft otherwise. What was approved needs a new approval, unless whoever edits it may approve.

    Raises:
        PostNotEditableError: It is being, or has been, published.
        PostNotSchedulableError: Nothing of it would be left to publish.
        ValidationError: The time it is scheduled for has passed, or it would have too many targets.
    """
    check_editable(post)
    wished = _wished(post, draft)
    targets = _edited_targets(post, draft, platforms, now)
    if not any(target.status in ARMABLE for target in targets):
        raise PostNotSchedulableError(post.status)
    waits = (
        draft.requires_approval
        or post.status is PostStatus.NEEDS_APPROVAL
        or (post.requires_approval and role not in MANAGERS)
    )
    edited = replace(
        post,
        targets=targets,
        media=media_of(draft, assets, post_id=post.id, now=now),
        caption=post.caption if draft.caption is None else draft.caption,
        timezone=draft.timezone or post.timezone,
        scheduled_at=wished or draft.draft_scheduled_for or post.scheduled_at,
        requires_approval=post.requires_approval or draft.requires_approval,
    )
    if waits:
        edited = replace(edited, approved_by_user_id=None, approved_at=None)
        after, effects = unstage(edited, PostStatus.NEEDS_APPROVAL, wished, now)
    elif wished is None:
        after, effects = unstage(edited, PostStatus.DRAFT, None, now)
    else:
        approved = cleared(edited, actor=editor, role=role, now=now)
        after, effects = stage(approved or edited, wished, now)
    return change(post, after, now=now, actor=editor, effects=effects, touch_post=True)


def check_editable(post: Post) -> None:
    """Let a post pass that can be edited as it stands.

    Raises:
        PostNotEditableError: It is being, or has been, published.
    """
    if post.status not in _EDITABLE:
        raise PostNotEditableError(post.status)


def _wished(post: Post, draft: PostDraft) -> datetime | None:
    """Return the moment that an edited post is to go out at, or is to be approved for."""
    if draft.scheduled_for is not None:
        return draft.scheduled_for
    if draft.draft_scheduled_for is not None:
        if post.status is PostStatus.SCHEDULED:
            path = "draftScheduledFor" if draft.flat_shape else "draftScheduledAt"
            raise ValidationError.of(path, "is for drafts: cancel the post to take it back")
        return None
    if post.status in {PostStatus.SCHEDULED, PostStatus.NEEDS_APPROVAL}:
        return wished_time(post)
    return None


def _edited_targets(
    post: Post, draft: PostDraft, platforms: Mapping[str, Platform], now: datetime
) -> tuple[Target, ...]:
    present = {target.social_account_id: target for target in post.targets}
    listed = tuple(
        _edited_target(post, present.get(wanted.social_account_id), wanted, platforms, now)
        for wanted in draft.targets
    )
    accounts = {target.social_account_id for target in listed}
    kept = tuple(
        replace(stopped(target), status=TargetStatus.SKIPPED)
        if target.status in ARMABLE
        else target
        for target in post.targets
        if target.social_account_id not in accounts
        and (target.status not in ARMABLE or may_be_public(target))
    )
    if len(listed) + len(kept) > MOST_TARGETS:
        raise ValidationError.of(
            "platforms" if draft.flat_shape else "targets",
            f"makes more than {MOST_TARGETS} targets with those that are published already",
        )
    return (*kept, *listed)


def _edited_target(
    post: Post,
    present: Target | None,
    wanted: TargetDraft,
    platforms: Mapping[str, Platform],
    now: datetime,
) -> Target:
    if present is None:
        return _new_target(wanted, post.id, platforms, now, version=post.version)
    if present.status not in ARMABLE and not _is_put_aside(present):
        return present
    return afresh(
        present,
        status=TargetStatus.DRAFT,
        caption_override=wanted.caption_override,
        first_comment=wanted.first_comment,
        platform_options=wanted.platform_options,
        media_ids=wanted.media_ids,
    )


def _is_put_aside(target: Target) -> bool:
    """Tell whether an edit left a target out that may be public."""
    return target.status is TargetStatus.SKIPPED and may_be_public(target)


def _new_target(
    wanted: TargetDraft,
    post_id: str,
    platforms: Mapping[str, Platform],
    now: datetime,
    *,
    version: int,
) -> Target:
    account_id = wanted.social_account_id
    return Target(
        # With the version it was added to: one that was removed never comes back under its id.
        id=ids.derived_id(ids.TARGET, now, post_id, account_id, str(version)),
        post_id=post_id,
        social_account_id=account_id,
        platform=platforms[account_id],
        status=TargetStatus.DRAFT,
        created_at=now,
        updated_at=now,
        caption_override=wanted.caption_override,
        first_comment=wanted.first_comment,
        platform_options=wanted.platform_options,
        media_ids=wanted.media_ids,
    )
