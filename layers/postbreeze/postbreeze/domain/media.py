"""The media library, and how a post names what is in it.

An asset is one file. It is PENDING until its bytes are in the storage, and READY from then on, or
FAILED if they are not what the library takes. It is DELETING while it is found out whether a post
still needs it, and DELETED once nothing can bring it back and only its removal is left.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from postbreeze.domain import ids
from postbreeze.domain.documents import timestamp
from postbreeze.domain.errors import Detail
from postbreeze.domain.post import Media, MediaDraft, Post, PostDraft, Target

MOST_MEDIA = 35
"""The most media of one post."""

UPLOAD_TIME = timedelta(minutes=15)
"""How long the address that an upload goes to can be used."""

PENDING_AT_MOST = timedelta(hours=24)
"""After this an asset whose bytes never came, or cannot be taken, does not exist any more."""

SHORTEST_VIDEO = 0.001
LONGEST_VIDEO = 24 * 60 * 60
"""The most seconds a video can be declared to last."""

_MEBIBYTE = 1024 * 1024


class AssetStatus(StrEnum):
    """Where an asset is in its life."""

    PENDING = "PENDING"
    READY = "READY"
    FAILED = "FAILED"
    DELETING = "DELETING"
    DELETED = "DELETED"


class MediaKind(StrEnum):
    """What an asset is, as platforms tell it apart."""

    IMAGE = "IMAGE"
    VIDEO = "VIDEO"
    DOCUMENT = "DOCUMENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentType:
    """A type of file that the library takes, with the most bytes it may have."""

    kind: MediaKind
    most_bytes: int


_IMAGE = ContentType(kind=MediaKind.IMAGE, most_bytes=20 * _MEBIBYTE)
_VIDEO = ContentType(kind=MediaKind.VIDEO, most_bytes=1024 * _MEBIBYTE)

CONTENT_TYPES: Mapping[str, ContentType] = {
    "image/jpeg": _IMAGE,
    "image/png": _IMAGE,
    "image/gif": _IMAGE,
    "image/webp": _IMAGE,
    "video/mp4": _VIDEO,
    "video/quicktime": _VIDEO,
    "video/x-msvideo": _VIDEO,
    "video/webm": _VIDEO,
    "application/pdf": ContentType(kind=MediaKind.DOCUMENT, most_bytes=100 * _MEBIBYTE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file of the library.

    ``size_bytes`` is None while nobody has said or seen it; ``duration_seconds`` is what the client
    says of a video. ``public_url`` names it in posts and opens nothing. ``failure_reason`` is why
    one that is FAILED is so. ``updated_at`` is None until it is changed.
    """

    id: str
    workspace_id: str
    status: AssetStatus
    content_type: str
    created_at: datetime
    created_by_user_id: str
    size_bytes: int | None = None
    alt_text: str | None = None
    duration_seconds: float | None = None
    filename: str | None = None
    public_url: str | None = None
    failure_reason: str | None = None
    updated_at: datetime | None = None
    revision: int = 1

    @property
    def kind(self) -> MediaKind:
        """What it is."""
        return CONTENT_TYPES[self.content_type].kind

    @property
    def storage_key(self) -> str:
        """Where its bytes are."""
        return storage_key(self.workspace_id, self.id)

    def exists(self, now: datetime) -> bool:
        """Tell whether clients can know of it."""
        if self.status in (AssetStatus.PENDING, AssetStatus.FAILED):
            return now < self.created_at + PENDING_AT_MOST
        return self.status is not AssetStatus.DELETED


NO_ASSETS: Mapping[str, Asset] = MappingProxyType({})


def storage_key(workspace_id: str, asset_id: str) -> str:
    """Return where an asset's bytes are in the storage."""
    return f"uploads/{workspace_id}/{asset_id}"


def asset_document(asset: Asset) -> dict[str, Any]:
    """Write an asset as clients see it; every field is always present."""
    seconds = asset.duration_seconds
    return {
        "id": asset.id,
        "workspaceId": asset.workspace_id,
        "ownerUserId": asset.created_by_user_id,
        "folderId": None,
        "status": asset.status.value,
        "failureReason": asset.failure_reason,
        "kind": asset.kind.value,
        "filename": asset.filename,
        "mimeType": asset.content_type,
        "bytes": asset.size_bytes,
        "width": None,
        "height": None,
        "durationMs": None if seconds is None else round(seconds * 1_000),
        "storageKey": asset.storage_key,
        "thumbnailKey": None,
        "previewKey": None,
        "altText": asset.alt_text,
        "publicUrl": asset.public_url,
        "previewUrl": None,
        "thumbnailUrl": None,
        "createdAt": timestamp(asset.created_at),
        "updatedAt": timestamp(asset.updated_at or asset.created_at),
    }


# What the library takes


def check_file(
    content_type: str, size_bytes: int | None, duration_seconds: float | None
) -> list[Detail]:
    """List what is wrong with a file that is to be added, by the fields that tell of it."""
    taken = CONTENT_TYPES.get(content_type)
    if taken is None:
        return [Detail("contentType", f"must be one of {', '.join(CONTENT_TYPES)}")]
    details = []
    if size_bytes is not None and not 1 <= size_bytes <= taken.most_bytes:
        details.append(Detail("bytes", f"must be from 1 to {taken.most_bytes} for {content_type}"))
    if duration_seconds is not None:
        if taken.kind is not MediaKind.VIDEO:
            details.append(Detail("durationSeconds", "can be given for videos only"))
        elif not SHORTEST_VIDEO <= duration_seconds <= LONGEST_VIDEO:
            details.append(
                Detail("durationSeconds", f"must be from {SHORTEST_VIDEO} to {LONGEST_VIDEO}")
            )
    return details


def fault_of_upload(asset: Asset, content_type: str, size_bytes: int) -> str | None:
    """Tell why an asset cannot have the bytes that have come for it."""
    if content_type != asset.content_type:
        return f"The upload is {content_type} and not {asset.content_type}."
    if asset.size_bytes not in (None, size_bytes):
        return f"The upload has {size_bytes} bytes and not {asset.size_bytes}."
    most = CONTENT_TYPES[content_type].most_bytes
    if not 1 <= size_bytes <= most:
        return f"The upload has {size_bytes} bytes; 1 to {most} are taken for {content_type}."
    return None


# How a post names assets


def asset_of(wanted: MediaDraft) -> str | None:
    """Return the id of the asset that an address stands for, whatever host and query it has."""
    *_, uploads, workspace_id, asset_id = ("", "", *_path_of(wanted.url).split("/"))
    is_ours = (
        uploads == "uploads"
        and ids.is_id(ids.WORKSPACE, workspace_id)
        and ids.is_id(ids.MEDIA, asset_id)
    )
    return asset_id if is_ours else None


def named_assets(draft: PostDraft) -> tuple[str, ...]:
    """Return the assets that a draft names, each once, in the order of the post's media."""
    by_address = (asset_of(wanted) for wanted in draft.media)
    shared = (*(each for each in by_address if each is not None), *draft.media_ids)
    own = (asset_id for target in draft.targets for asset_id in target.media_ids)
    return tuple(dict.fromkeys((*shared, *own)))


def check_number(draft: PostDraft) -> list[Detail]:
    """Tell if a post is to have more media than it can have, those of its targets included."""
    from_elsewhere = sum(asset_of(wanted) is None for wanted in draft.media)
    if len(named_assets(draft)) + from_elsewhere <= MOST_MEDIA:
        return []
    return [Detail("body", f"names more than {MOST_MEDIA} media altogether")]


def check_assets(draft: PostDraft, assets: Mapping[str, Asset]) -> list[Detail]:
    """List what is wrong with the media that a post is to have.

    Args:
        draft: What a client wants.
        assets: The assets of the post's workspace among those that the draft names, by id.
    """
    shared = [
        (f"mediaItems.{index}.url", asset_id)
        for index, wanted in enumerate(draft.media)
        if (asset_id := asset_of(wanted)) is not None
    ]
    shared += [(f"mediaIds.{index}", asset_id) for index, asset_id in enumerate(draft.media_ids)]
    details = _check_listed(shared, assets)
    listed = "platforms" if draft.flat_shape else "targets"
    for position, target in enumerate(draft.targets):
        path = f"{listed}.{position}.mediaIds"
        own = [(f"{path}.{index}", asset_id) for index, asset_id in enumerate(target.media_ids)]
        details += _check_listed(own, assets)
    named = set(named_assets(draft))
    details += [
        Detail(f"mediaAltText.{asset_id}", "is not one of the post's media")
        for asset_id in draft.media_alt_text
        if asset_id not in named
    ]
    return details


def _path_of(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _check_listed(listed: Collection[tuple[str, str]], assets: Mapping[str, Asset]) -> list[Detail]:
    """List what is wrong with assets that are shown together, each of which has its path."""
    seen: set[str] = set()
    details = []
    for path, asset_id in listed:
        fault = "is listed before" if asset_id in seen else _fault_of(assets.get(asset_id))
        if fault is not None:
            details.append(Detail(path, fault))
        seen.add(asset_id)
    return details


def _fault_of(asset: Asset | None) -> str | None:
    if asset is None:
        return "is not an asset of the workspace's media library"
    if asset.status is AssetStatus.PENDING:
        return "is an asset that has not been uploaded yet"
    if asset.status is AssetStatus.FAILED:
        return f"is an asset that cannot be used: {asset.failure_reason}"
    if asset.status is not AssetStatus.READY:
        return "is an asset that is being deleted"
    return None


def media_of(
    draft: PostDraft, assets: Mapping[str, Asset], *, post_id: str, now: datetime
) -> tuple[Media, ...]:
    """Return a post's media: what it names by address, then its assets, then its targets' own.

    Args:
        draft: What a client wants, in which ``check_assets`` found nothing wrong.
        assets: The assets that it names, by id.
        post_id: Whose media they are.
        now: The present moment.
    """
    media: list[Media] = []
    for wanted in draft.media:
        asset_id = asset_of(wanted)
        if asset_id is None:
            order = len(media)
            medium = Media(
                media_asset_id=ids.derived_id(ids.MEDIA, now, post_id, str(order)),
                order=order,
                alt_text=wanted.alt_text,
                url=wanted.url,
                kind=wanted.kind,
            )
        else:
            medium = _medium_of(assets[asset_id], draft, order=len(media))
            if wanted.alt_text is not None:
                medium = replace(medium, alt_text=wanted.alt_text)
        media.append(medium)
    for asset_id in draft.media_ids:
        media.append(_medium_of(assets[asset_id], draft, order=len(media)))
    shared = {medium.media_asset_id for medium in media}
    for asset_id in named_assets(draft):
        if asset_id not in shared:
            medium = _medium_of(assets[asset_id], draft, order=len(media))
            media.append(replace(medium, is_shared=False))
    return tuple(media)


def _medium_of(asset: Asset, draft: PostDraft, *, order: int) -> Media:
    return Media(
        media_asset_id=asset.id,
        order=order,
        alt_text=draft.media_alt_text.get(asset.id, asset.alt_text),
        kind=asset.kind.value,
        content_type=asset.content_type,
        duration_seconds=asset.duration_seconds,
    )


def media_for(post: Post, target: Target) -> tuple[Media, ...]:
    """Return what one target shows: its own choice in its own order, else what is shared."""
    if not target.media_ids:
        return tuple(medium for medium in post.media if medium.is_shared)
    by_id = {each.media_asset_id: each for each in post.media}
    return tuple(by_id[asset_id] for asset_id in target.media_ids if asset_id in by_id)
