"""How posts name assets, and which of them they need."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postbreeze.domain import ids
from postbreeze.domain.documents import post_document
from postbreeze.domain.errors import Detail
from postbreeze.domain.media import (
    CONTENT_TYPES,
    Asset,
    AssetStatus,
    asset_of,
    check_assets,
    check_file,
    check_number,
    fault_of_upload,
    media_for,
    media_of,
    named_assets,
)
from postbreeze.domain.post import (
    Media,
    MediaDraft,
    PostDraft,
    PostStatus,
    TargetDraft,
    TargetStatus,
    needed_assets,
)
from tests.support.builders import a_post, an_asset, an_id, shown
from tests.support.fakes import START

UNKNOWN = "is not an asset of the workspace's media library"


def a_draft(**wanted: Any) -> PostDraft:
    return PostDraft(**{"targets": (TargetDraft(social_account_id="soc"),), **wanted})


def by_id(*assets: Any) -> dict[str, Any]:
    return {asset.id: asset for asset in assets}


def public_url(asset: Asset) -> str:
    return f"https://bucket.example/{asset.storage_key}"


def test_media_are_addresses_in_their_order_and_then_assets() -> None:
    # Given
    first, second = an_asset(alt_text=None), an_asset()
    video = an_asset(content_type="video/mp4", duration_seconds=9.5)
    draft = a_draft(
        media_ids=(video.id, first.id, second.id),
        media_alt_text={video.id: "", first.id: "of the post"},
        media=(MediaDraft(url="https://a.example/b.png", alt_text="by address", kind="image"),),
    )
    # When
    media = media_of(draft, by_id(first, second, video), post_id="post_1", now=START)
    # Then
    assert media == (
        Media(
            media_asset_id=ids.derived_id(ids.MEDIA, START, "post_1", "0"),
            order=0,
            alt_text="by address",
            url="https://a.example/b.png",
            kind="image",
        ),
        Media(
            media_asset_id=video.id,
            order=1,
            alt_text="",
            kind="VIDEO",
            content_type="video/mp4",
            duration_seconds=9.5,
        ),
        Media(
            media_asset_id=first.id,
            order=2,
            alt_text="of the post",
            kind="IMAGE",
            content_type="image/png",
        ),
        Media(
            media_asset_id=second.id,
            order=3,
            alt_text="Möwe",
            kind="IMAGE",
            content_type="image/png",
        ),
    )
    assert [each.is_asset for each in media] == [False, True, True, True]


def test_an_assets_address_is_the_asset() -> None:
    # Given
    first, second, third = an_asset(), an_asset(), an_asset()
    draft = a_draft(
        media=(
            MediaDraft(url=public_url(first), alt_text="of the item", kind="video"),
            MediaDraft(url=f"{public_url(second)}?signature"),
        ),
        media_ids=(third.id,),
        media_alt_text={first.id: "unheard", second.id: "of the post"},
    )
    assets = by_id(first, second, third)
    # When
    assert check_assets(draft, assets) == []
    media = media_of(draft, assets, post_id="post_1", now=START)
    # Then
    assert [(each.media_asset_id, each.alt_text, each.kind, each.url) for each in media] == [
        (first.id, "of the item", "IMAGE", None),
        (second.id, "of the post", "IMAGE", None),
        (third.id, "Möwe", "IMAGE", None),
    ]
    assert named_assets(draft) == (first.id, second.id, third.id)


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/b.png",
        "https://a.example",
        "",
        "https://[",
        "https://a.example/uploads/ws_1/med_1",
        f"https://a.example/other/{an_id(ids.WORKSPACE)}/{an_id(ids.MEDIA)}",
        f"https://a.example/uploads/{an_id(ids.MEDIA)}/{an_id(ids.MEDIA)}",
        f"https://a.example/uploads/{an_id(ids.WORKSPACE)}/{an_id(ids.WORKSPACE)}",
        f"https://a.example/uploads/{an_id(ids.WORKSPACE)}/{an_id(ids.MEDIA)}/",
        f"https://a.example/?/uploads/{an_id(ids.WORKSPACE)}/{an_id(ids.MEDIA)}",
    ],
)
def test_any_other_address_is_none_of_an_asset(url: str) -> None:
    assert asset_of(MediaDraft(url=url)) is None


def test_a_targets_own_media_are_shown_by_it_alone() -> None:
    # Given a target that shows one of the post's media and one that is nobody else's
    shared, own = an_asset(), an_asset()
    draft = a_draft(
        media_ids=(shared.id,),
        media_alt_text={own.id: "only here"},
        targets=(
            TargetDraft(social_account_id="a"),
            TargetDraft(social_account_id="b", media_ids=(own.id, shared.id)),
        ),
    )
    assets = by_id(shared, own)
    assert check_assets(draft, assets) == []
    # When
    media = media_of(draft, assets, post_id="post_1", now=START)
    post = a_post(media=media)
    first = post.targets[0]
    second = replace(first, media_ids=(own.id, shared.id))
    # Then
    assert [each.is_shared for each in media] == [True, False]
    assert media_for(post, first) == media[:1]
    assert media_for(post, second) == (media[1], media[0])
    assert [each["mediaAssetId"] for each in post_document(post)["media"]] == [shared.id]
    assert media[1].alt_text == "only here"
    scheduled = replace(post, status=PostStatus.SCHEDULED)
    assert needed_assets(scheduled) == {shared.id, own.id}


def test_assets_that_are_all_there_are_fine() -> None:
    assets = [an_asset(), an_asset()]
    draft = a_draft(
        media_ids=tuple(asset.id for asset in assets),
        media_alt_text={assets[1].id: "x"},
        targets=(TargetDraft(social_account_id="soc", media_ids=(assets[1].id,)),),
    )
    assert check_assets(draft, by_id(*assets)) == []
    assert check_assets(a_draft(), {}) == []


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (None, UNKNOWN),
        (AssetStatus.PENDING, "is an asset that has not been uploaded yet"),
        (AssetStatus.FAILED, "is an asset that cannot be used: Too large."),
        (AssetStatus.DELETING, "is an asset that is being deleted"),
    ],
)
def test_an_asset_must_be_ready(status: AssetStatus | None, message: str) -> None:
    good, bad = an_asset(), an_asset(status=status, failure_reason="Too large.")
    known = by_id(good) if status is None else by_id(good, bad)
    for draft, path in (
        (a_draft(media_ids=(good.id, bad.id)), "mediaIds.1"),
        (a_draft(media=(MediaDraft(url=public_url(bad)),)), "mediaItems.0.url"),
        (
            a_draft(targets=(TargetDraft(social_account_id="a", media_ids=(bad.id,)),)),
            "targets.0.mediaIds.0",
        ),
    ):
        assert check_assets(draft, known) == [Detail(path, message)]


@pytest.mark.parametrize(("flat", "listed"), [(True, "platforms"), (False, "targets")])
def test_everything_wrong_is_named_with_its_path(flat: bool, listed: str) -> None:
    # Given
    asset, other = an_asset(), an_asset()
    draft = a_draft(
        flat_shape=flat,
        media=(MediaDraft(url=public_url(asset)),),
        media_ids=(asset.id,),
        media_alt_text={other.id: "x"},
        targets=(
            TargetDraft(social_account_id="a"),
            TargetDraft(social_account_id="b", media_ids=(asset.id, asset.id)),
        ),
    )
    # When / Then
    assert check_assets(draft, by_id(asset, other)) == [
        Detail("mediaIds.0", "is listed before"),
        Detail(f"{listed}.1.mediaIds.1", "is listed before"),
        Detail(f"mediaAltText.{other.id}", "is not one of the post's media"),
    ]


def test_a_post_has_at_most_35_media() -> None:
    # Given one of which five are a target's own
    assets = [an_asset() for _ in range(20)]
    own = tuple(asset.id for asset in assets[10:])
    draft = a_draft(
        media_ids=tuple(asset.id for asset in assets[:15]),
        media=(MediaDraft(url="https://a.example/b.png"),) * 15,
        targets=(TargetDraft(social_account_id="soc", media_ids=own),) * 2,
    )
    # When / Then
    assert check_number(draft) == []
    for more in (
        replace(draft, media=(*draft.media, draft.media[0])),
        replace(draft, media=(*draft.media, MediaDraft(url=public_url(an_asset())))),
        replace(draft, media_ids=(*draft.media_ids, an_id(ids.MEDIA))),
        replace(
            draft, targets=(TargetDraft(social_account_id="x", media_ids=(an_id(ids.MEDIA), *own)),)
        ),
    ):
        assert check_number(more) == [Detail("body", "names more than 35 media altogether")]
    same = replace(draft, media=(*draft.media, MediaDraft(url=public_url(assets[0]))))
    assert check_number(same) == []


def test_a_target_shows_its_own_choice_in_its_own_order() -> None:
    # Given
    assets = [an_asset() for _ in range(3)]
    post = a_post(media=shown(*assets))
    first, *_ = post.targets
    # When / Then
    assert media_for(post, first) == post.media
    chosen = replace(first, media_ids=(assets[2].id, assets[0].id, an_id(ids.MEDIA)))
    assert media_for(post, chosen) == (post.media[2], post.media[0])


@pytest.mark.parametrize("status", PostStatus)
def test_a_post_needs_assets_while_it_is_still_to_go_out(status: PostStatus) -> None:
    # Given
    asset = an_asset()
    by_address = Media(media_asset_id=an_id(ids.MEDIA), order=1, url="https://a.example/b.png")
    post = a_post(status, media=(*shown(asset), by_address))
    # When / Then
    waits = {PostStatus.SCHEDULED, PostStatus.NEEDS_APPROVAL, PostStatus.PUBLISHING}
    assert needed_assets(post) == ({asset.id} if status in waits else frozenset())
    assert needed_assets(replace(post, deleted_at=START)) == frozenset()
    assert needed_assets(None) == frozenset()


@pytest.mark.parametrize(
    "status", [PostStatus.NEEDS_APPROVAL, PostStatus.SCHEDULED, PostStatus.PUBLISHING]
)
def test_a_post_that_has_not_ended_needs_its_assets_whatever_became_of_its_targets(
    status: PostStatus,
) -> None:
    asset = an_asset()
    post = a_post(status, (TargetStatus.FAILED,), media=shown(asset))
    assert needed_assets(post) == {asset.id}


@pytest.mark.parametrize("status", [TargetStatus.SCHEDULED, TargetStatus.PUBLISHING])
def test_a_target_on_its_way_needs_its_media_whatever_the_post(status: TargetStatus) -> None:
    asset = an_asset()
    post = a_post(PostStatus.CANCELED, [TargetStatus.CANCELED, status], media=shown(asset))
    assert needed_assets(post) == {asset.id}


@pytest.mark.parametrize("status", [AssetStatus.PENDING, AssetStatus.FAILED])
def test_an_asset_that_never_came_does_not_exist_for_ever(status: AssetStatus) -> None:
    pending = an_asset(status=status)
    assert pending.exists(START + timedelta(hours=24, milliseconds=-1))
    assert not pending.exists(START + timedelta(hours=24))
    far = START + timedelta(days=9_999)
    assert an_asset().exists(far)
    assert an_asset(status=AssetStatus.DELETING).exists(far)
    assert not an_asset(status=AssetStatus.DELETED).exists(START)


@pytest.mark.parametrize(
    ("declared", "content_type", "size_bytes", "fault"),
    [
        (3, "image/png", 3, None),
        (None, "image/png", 1, None),
        (None, "image/png", 20_971_520, None),
        (3, "image/gif", 3, "The upload is image/gif and not image/png."),
        (3, "image/png", 4, "The upload has 4 bytes and not 3."),
        (
            None,
            "image/png",
            0,
            "The upload has 0 bytes; 1 to 20971520 are taken for image/png.",
        ),
        (
            None,
            "image/png",
            20_971_521,
            "The upload has 20971521 bytes; 1 to 20971520 are taken for image/png.",
        ),
    ],
)
def test_an_upload_is_what_was_declared_and_not_too_large(
    declared: int | None, content_type: str, size_bytes: int, fault: str | None
) -> None:
    asset = an_asset(status=AssetStatus.PENDING, size_bytes=declared)
    assert fault_of_upload(asset, content_type, size_bytes) == fault


def test_every_content_type_has_a_kind_and_a_size() -> None:
    kinds = {name: an_asset(content_type=name).kind.value for name in CONTENT_TYPES}
    assert kinds == {
        "image/jpeg": "IMAGE",
        "image/png": "IMAGE",
        "image/gif": "IMAGE",
        "image/webp": "IMAGE",
        "video/mp4": "VIDEO",
        "video/quicktime": "VIDEO",
        "video/x-msvideo": "VIDEO",
        "video/webm": "VIDEO",
        "application/pdf": "DOCUMENT",
    }


@pytest.mark.parametrize(
    ("seconds", "taken"),
    [(0.001, True), (86_400, True), (0.0009, False), (86_400.1, False)],
)
def test_a_video_lasts_from_a_millisecond_to_a_day(seconds: float, taken: bool) -> None:
    faults = check_file("video/mp4", 1, seconds)
    assert [fault.path for fault in faults] == ([] if taken else ["durationSeconds"])
