"""The media library: adding, reading, listing, changing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from postbreeze.domain import ids
from postbreeze.domain.access import Role
from postbreeze.domain.errors import (
    ContendedError,
    Detail,
    ForbiddenError,
    LostRaceError,
    MediaInUseError,
    NotFoundError,
    UnauthorizedError,
    UnavailableError,
    ValidationError,
)
from postbreeze.domain.media import AssetStatus, media_for
from postbreeze.domain.post import MediaDraft, Platform, TargetDraft
from postbreeze.operations import list_posts
from postbreeze.operations.media.manage import ListCommand
from tests.support.builders import an_id
from tests.support.core import OTHER_WORKSPACE, STRANGER, USERS, WORKSPACE
from tests.support.library import PNG, Desk

URL = "https://files.example/a.png"
MIB = 1024 * 1024


@pytest.fixture
def desk() -> Desk:
    return Desk()


def details_of(raised: pytest.ExceptionInfo[ValidationError]) -> list[str]:
    return [detail.path for detail in raised.value.details]


# Uploads


def test_an_upload_is_asked_for_made_and_noticed(desk: Desk) -> None:
    # Given an upload that was asked for
    answer = desk.presign(alt_text="Möwe", filename="a.png")
    pending = answer.body["mediaAsset"]
    asset_id = pending["id"]
    key = f"uploads/{WORKSPACE}/{asset_id}"
    assert answer.status == 201
    assert answer.body == {
        "uploadUrl": f"https://bucket.test/{key}?signature",
        "publicUrl": f"https://bucket.test/{key}",
        "expiresAt": "2026-06-01T09:15:00.000Z",
        "headers": {"Content-Type": "image/png", "Content-Length": "3"},
        "mediaAsset": {
            "id": asset_id,
            "workspaceId": WORKSPACE,
            "ownerUserId": USERS[Role.OWNER],
            "folderId": None,
            "status": "PENDING",
            "failureReason": None,
            "kind": "IMAGE",
            "filename": "a.png",
            "mimeType": "image/png",
            "bytes": 3,
            "width": None,
            "height": None,
            "durationMs": None,
            "storageKey": key,
            "thumbnailKey": None,
            "previewKey": None,
            "altText": "Möwe",
            "publicUrl": f"https://bucket.test/{key}",
            "previewUrl": None,
            "thumbnailUrl": None,
            "createdAt": "2026-06-01T09:00:00.000Z",
            "updatedAt": "2026-06-01T09:00:00.000Z",
        },
    }
    # When nothing has come yet, and when it has
    assert desk.read_asset("owner", asset_id).body["status"] == "PENDING"
    desk.arrive(asset_id)
    desk.clock.advance(minutes=1)
    read = desk.read_asset("client_reviewer", asset_id)
    # Then it is ready, and stays
    assert read.status == 200
    assert read.body == {**pending, "status": "READY", "updatedAt": "2026-06-01T09:01:00.000Z"}
    assert desk.asset(asset_id).storage_key in desk.storage.kept
    desk.clock.advance(days=400)
    assert desk.read_asset("owner", asset_id).body == read.body
    desk.check()


@pytest.mark.parametrize(
    ("wanted", "paths"),
    [
        ({"content_type": "image/svg+xml"}, ["contentType"]),
        ({"content_type": "image/heic"}, ["contentType"]),
        ({"size_bytes": 0}, ["bytes"]),
        ({"size_bytes": 20 * MIB + 1}, ["bytes"]),
        ({"content_type": "application/pdf", "size_bytes": 100 * MIB + 1}, ["bytes"]),
        ({"content_type": "video/mp4", "size_bytes": 1024 * MIB + 1}, ["bytes"]),
        ({"size_bytes": -1, "duration_seconds": 1.0}, ["bytes", "durationSeconds"]),
        ({"size_bytes": None, "duration_seconds": 1.0}, ["durationSeconds"]),
        ({"content_type": "video/mp4", "duration_seconds": 0.0}, ["durationSeconds"]),
        # Smaller than DynamoDB's smallest number.
        ({"content_type": "video/mp4", "duration_seconds": 1e-200}, ["durationSeconds"]),
        ({"content_type": "video/mp4", "duration_seconds": 86_401.0}, ["durationSeconds"]),
    ],
)
def test_a_file_that_the_library_does_not_take_is_refused(
    desk: Desk, wanted: dict[str, Any], paths: list[str]
) -> None:
    with pytest.raises(ValidationError) as raised:
        desk.presign(**wanted)
    assert details_of(raised) == paths
    assert desk.listed().assets == []


@pytest.mark.parametrize(
    ("content_type", "size_bytes"),
    [
        ("image/webp", 20 * MIB),
        ("video/quicktime", 1024 * MIB),
        ("application/pdf", 100 * MIB),
    ],
)
def test_the_largest_file_of_a_type_is_taken(
    desk: Desk, content_type: str, size_bytes: int
) -> None:
    assert desk.presign(content_type=content_type, size_bytes=size_bytes).status == 201


@pytest.mark.parametrize("role", ["owner", "admin", "editor", "client_reviewer"])
def test_every_author_may_add(desk: Desk, role: str) -> None:
    assert desk.presign(key=role).status == 201


def test_others_may_not_add(desk: Desk) -> None:
    # Given
    desk.core.add_key("stranger", owner=STRANGER)
    desk.core.add_key("scoped", owner=USERS[Role.OWNER], workspace_ids=frozenset({OTHER_WORKSPACE}))
    desk.files.files[URL] = (PNG, "image/png")
    # When / Then
    for call in (desk.presign, lambda key: desk.from_url(URL, key=key)):
        for key, error in (
            ("nobody", UnauthorizedError),
            ("stranger", NotFoundError),
            ("scoped", ForbiddenError),
        ):
            with pytest.raises(error):
                call(key=key)
    assert desk.files.calls["fetch"] == 0


def test_what_has_not_come_within_a_day_is_not_there(desk: Desk) -> None:
    # Given
    asset_id = desk.presigned()
    desk.clock.advance(timedelta(hours=24, milliseconds=-1))
    assert desk.read_asset("owner", asset_id).body["status"] == "PENDING"
    # When
    desk.clock.advance(milliseconds=1)
    desk.arrive(asset_id)
    # Then
    with pytest.raises(NotFoundError):
        desk.read_asset("owner", asset_id)
    assert desk.listed().assets == []


def test_an_upload_without_a_length_has_the_one_it_comes_with(desk: Desk) -> None:
    # Given
    answer = desk.presign(size_bytes=None)
    assert answer.body["headers"] == {"Content-Type": "image/png"}
    assert answer.body["mediaAsset"]["bytes"] is None
    asset_id = answer.body["mediaAsset"]["id"]
    # When
    desk.arrive(asset_id)
    # Then
    read = desk.read_asset("owner", asset_id).body
    assert (read["status"], read["bytes"], read["failureReason"]) == ("READY", 3, None)
    desk.check()


@pytest.mark.parametrize(
    ("size_bytes", "content", "kind", "reason"),
    [
        (3, b"larger", "image/png", "The upload has 6 bytes and not 3."),
        (3, PNG, "image/gif", "The upload is image/gif and not image/png."),
        (None, b"", "image/png", "The upload has 0 bytes; 1 to 20971520 are taken for image/png."),
    ],
)
def test_an_upload_that_cannot_be_taken_fails(
    desk: Desk, size_bytes: int | None, content: bytes, kind: str, reason: str
) -> None:
    # Given
    asset_id = desk.presigned(size_bytes=size_bytes)
    desk.arrive(asset_id, content, kind)
    # When / Then it is told, and what has come expires
    read = desk.read_asset("owner", asset_id).body
    assert (read["status"], read["failureReason"]) == ("FAILED", reason)
    assert read["bytes"] == len(content)
    assert desk.storage.kept == set()
    assert [warning.message for warning in desk.core.telemetry.warnings] == [
        "upload cannot be taken"
    ]
    # And nothing can be made of it
    with pytest.raises(ValidationError, match=r"mediaIds\.0: is an asset that cannot be used: The"):
        desk.core.create(desk.core.a_draft(1, scheduled_for=None, media_ids=(asset_id,)))
    assert desk.read_asset("owner", asset_id).body == read
    # And it goes, like one that never came
    assert desk.delete_asset("owner", asset_id).body["status"] == "DELETED"
    gone = desk.presigned(size_bytes=size_bytes)
    desk.arrive(gone, content, kind)
    desk.read_asset("owner", gone)
    desk.clock.advance(days=1)
    with pytest.raises(NotFoundError):
        desk.read_asset("owner", gone)
    assert desk.listed().assets == []


def test_the_only_workspace_of_a_key_need_not_be_named(desk: Desk) -> None:
    # Given an owner who is in two workspaces, and keys that reach one, none and both of them
    owner = USERS[Role.OWNER]
    desk.core.add_member(owner, Role.OWNER, workspace=OTHER_WORKSPACE)
    desk.core.add_key("scoped", owner=owner, workspace_ids=frozenset({OTHER_WORKSPACE}))
    desk.core.add_key("nowhere", owner=owner, workspace_ids=frozenset({an_id(ids.WORKSPACE)}))
    desk.core.add_key("stranger", owner=STRANGER)
    desk.files.files[URL] = (PNG, "image/png")
    # When / Then
    for key, workspace_id in (("editor", WORKSPACE), ("scoped", OTHER_WORKSPACE)):
        made = desk.presign(key=key, workspace=None).body["mediaAsset"]
        assert made["workspaceId"] == workspace_id
        assert desk.from_url(URL, key=key, workspace=None).body["workspaceId"] == workspace_id
    for key in ("owner", "nowhere", "stranger"):
        with pytest.raises(ValidationError) as raised:
            desk.presign(key=key, workspace=None)
        assert details_of(raised) == ["query.workspaceId"]


def test_two_readers_complete_an_upload_once(desk: Desk) -> None:
    # Given
    asset_id = desk.presigned()
    desk.arrive(asset_id)
    # When another one is a moment faster
    desk.core.before("assets.replace", lambda: desk.read_asset("admin", asset_id))
    read = desk.read_asset("owner", asset_id)
    # Then
    assert read.body["status"] == "READY"
    assert desk.asset(asset_id).revision == 2


@pytest.mark.parametrize("is_half_way", [False, True])
def test_an_upload_that_is_deleted_while_it_is_read_is_gone(desk: Desk, is_half_way: bool) -> None:
    # Given
    asset_id = desk.presigned()
    desk.arrive(asset_id)

    def meanwhile() -> None:
        if is_half_way:
            desk.core.fails("storage.delete", UnavailableError("down"))
            with pytest.raises(UnavailableError):
                desk.delete_asset("owner", asset_id)
        else:
            desk.delete_asset("owner", asset_id)

    # When
    desk.core.before("assets.replace", meanwhile)
    with pytest.raises(NotFoundError):
        desk.read_asset("owner", asset_id)
    # Then
    with pytest.raises(NotFoundError):
        desk.read_asset("owner", asset_id)


def test_a_reader_that_dies_leaves_an_upload_to_the_next(desk: Desk) -> None:
    for calls in range(10):
        # Given an upload that has come
        asset_id = desk.presigned()
        desk.arrive(asset_id)
        # When its reader dies
        died = desk.dies_after(calls, lambda: desk.read_asset("owner", asset_id))  # noqa: B023
        # Then nothing is ready that could expire, and the next reader has it
        desk.check()
        assert desk.read_asset("owner", asset_id).body["status"] == "READY"
        desk.check()
        if not died:
            assert calls > 5
            return
    pytest.fail("it never got to its end")


# From an address


def test_a_file_is_fetched_into_the_library(desk: Desk) -> None:
    # Given
    desk.files.files[URL] = (PNG, "image/png")
    # When
    answer = desk.from_url(URL, alt_text="Möwe", filename="b.png", key="client_reviewer")
    # Then
    assert answer.status == 201
    assert answer.body["status"] == "READY"
    assert (answer.body["mimeType"], answer.body["bytes"]) == ("image/png", 3)
    assert answer.body["publicUrl"] == f"https://bucket.test/{answer.body['storageKey']}"
    assert (answer.body["altText"], answer.body["filename"]) == ("Möwe", "b.png")
    assert desk.read_asset("owner", answer.body["id"]).body == answer.body
    assert desk.storage.objects[desk.asset(answer.body["id"]).storage_key][0] == PNG
    desk.check()


@pytest.mark.parametrize(
    ("file", "wanted", "detail"),
    [
        (None, {}, Detail("url", "The server answered with status 404 instead of 200.")),
        (
            (bytes(20 * MIB + 1), "image/png"),
            {},
            Detail(
                "url",
                "has a file that cannot be taken: its size in bytes must be from 1 to 20971520"
                " for image/png",
            ),
        ),
        (
            (b"", "image/png"),
            {},
            Detail(
                "url",
                "has a file that cannot be taken: its size in bytes must be from 1 to 20971520"
                " for image/png",
            ),
        ),
        (
            (PNG, "image/png"),
            {"duration_seconds": 3.0},
            Detail("durationSeconds", "can be given for videos only"),
        ),
    ],
)
def test_a_file_that_cannot_be_fetched_leaves_nothing(
    desk: Desk, file: tuple[bytes, str] | None, wanted: dict[str, Any], detail: Detail
) -> None:
    # Given
    if file is not None:
        desk.files.files[URL] = file
    # When
    with pytest.raises(ValidationError) as raised:
        desk.from_url(URL, **wanted)
    # Then
    assert raised.value.details == (detail,)
    assert (desk.listed().assets, desk.storage.objects) == ([], {})


def test_a_type_that_the_library_does_not_take_is_told_of_the_address(desk: Desk) -> None:
    desk.files.files[URL] = (b"<svg/>", "image/svg+xml")
    with pytest.raises(ValidationError, match=r"url: .*its content type must be one of"):
        desk.from_url(URL)


def test_a_fetch_that_dies_leaves_nothing_ready_that_expires(desk: Desk) -> None:
    desk.files.files[URL] = (PNG, "image/png")
    for calls in range(12):
        died = desk.dies_after(calls, lambda: desk.from_url(URL))
        desk.check()
        for asset in desk.assets._assets.values():
            assert asset.status is not AssetStatus.READY or asset.storage_key in desk.storage.kept
        if not died:
            assert calls > 6
            return
    pytest.fail("it never got to its end")


def test_a_storage_that_is_down_is_told(desk: Desk) -> None:
    desk.files.files[URL] = (PNG, "image/png")
    desk.core.fails("storage.put", UnavailableError("down"))
    with pytest.raises(UnavailableError):
        desk.from_url(URL)


# Reading


def test_an_asset_is_shown_to_members_only(desk: Desk) -> None:
    # Given
    asset = desk.ready()
    desk.core.add_key("stranger", owner=STRANGER)
    desk.core.add_key("scoped", owner=USERS[Role.OWNER], workspace_ids=frozenset({OTHER_WORKSPACE}))
    desk.core.add_key("mine", owner=USERS[Role.OWNER], workspace_ids=frozenset({WORKSPACE}))
    # When / Then
    for key in ("owner", "admin", "editor", "client_reviewer", "mine"):
        assert desk.read_asset(key, asset.id).body["id"] == asset.id
    for key in ("stranger", "scoped"):
        with pytest.raises(NotFoundError):
            desk.read_asset(key, asset.id)
    with pytest.raises(UnauthorizedError):
        desk.read_asset("nobody", asset.id)
    with pytest.raises(NotFoundError):
        desk.read_asset("owner", an_id(ids.MEDIA))


@pytest.mark.parametrize("has_bytes", [True, False])
def test_an_asset_that_nobody_goes_on_deleting_comes_back(desk: Desk, has_bytes: bool) -> None:
    # Given a deletion that died half way
    asset = desk.ready(status=AssetStatus.DELETING, updated_at=desk.clock.at)
    if has_bytes:
        desk.storage.objects[asset.storage_key] = (PNG, asset.content_type)
    desk.clock.advance(minutes=1)
    assert desk.read_asset("owner", asset.id).body["status"] == "DELETING"
    # When
    desk.clock.advance(seconds=1)
    shown = desk.read_asset("owner", asset.id).body
    # Then
    assert shown["status"] == ("READY" if has_bytes else "DELETING")


@pytest.mark.parametrize(
    ("status", "is_shown"),
    [(AssetStatus.DELETING, True), (AssetStatus.DELETED, False)],
)
def test_an_asset_is_there_until_nothing_brings_it_back(
    desk: Desk, status: AssetStatus, is_shown: bool
) -> None:
    asset = desk.ready(status=status)
    assert [each["id"] for each in desk.listed().assets] == [asset.id] * is_shown
    if is_shown:
        assert desk.read_asset("owner", asset.id).body["status"] == status
    else:
        with pytest.raises(NotFoundError):
            desk.read_asset("owner", asset.id)


# Listing


def test_assets_are_listed_newest_first_page_by_page(desk: Desk) -> None:
    # Given
    made = []
    for _ in range(5):
        made.append(desk.ready().id)
        desk.clock.advance(seconds=1)
    desk.ready(workspace_id=OTHER_WORKSPACE)
    # When
    seen: list[list[str]] = []
    cursor = None
    while True:
        page = desk.listed(limit=2, cursor=cursor, key="client_reviewer")
        seen.append([each["id"] for each in page.assets])
        cursor = page.cursor
        if cursor is None:
            break
    # Then
    made.reverse()
    assert seen == [made[:2], made[2:4], made[4:]]


def test_a_cursor_is_for_one_key_and_workspace(desk: Desk) -> None:
    # Given
    for _ in range(2):
        desk.ready()
    cursor = desk.listed(limit=1).cursor
    assert cursor is not None
    desk.core.add_member(USERS[Role.OWNER], Role.OWNER, workspace=OTHER_WORKSPACE)
    # When / Then
    for wanted in ({"workspace": OTHER_WORKSPACE}, {"cursor": cursor[:-1] + "_"}, {"cursor": ""}):
        with pytest.raises(ValidationError) as raised:
            desk.listed(**{"cursor": cursor, **wanted})
        assert details_of(raised) == ["query.cursor"]


def test_a_listing_is_for_members_only(desk: Desk) -> None:
    desk.core.add_key("stranger", owner=STRANGER)
    desk.core.add_key("scoped", owner=USERS[Role.OWNER], workspace_ids=frozenset({OTHER_WORKSPACE}))
    for key, error in (
        ("stranger", NotFoundError),
        ("scoped", ForbiddenError),
        ("nobody", UnauthorizedError),
    ):
        with pytest.raises(error):
            desk.listed(key=key)


# Changing


def test_an_alt_text_is_changed_and_taken_away(desk: Desk) -> None:
    asset = desk.ready()
    desk.clock.advance(minutes=1)
    edited = desk.edit_asset("editor", asset.id, "Albatros").body
    assert (edited["altText"], edited["updatedAt"]) == ("Albatros", "2026-06-01T09:01:00.000Z")
    assert desk.edit_asset("editor", asset.id, None).body["altText"] is None
    assert desk.read_asset("owner", asset.id).body["altText"] is None
    assert desk.asset(asset.id).revision == 3


def test_a_change_that_loses_a_race_is_made_again(desk: Desk) -> None:
    asset_id = desk.presigned()
    desk.arrive(asset_id)
    desk.core.before("assets.replace", lambda: desk.read_asset("owner", asset_id))
    changed = desk.edit_asset("owner", asset_id, "Albatros").body
    assert (changed["status"], changed["altText"]) == ("READY", "Albatros")


def test_a_change_gives_up_at_last(desk: Desk) -> None:
    asset = desk.ready()
    desk.core.fails("assets.replace", *[LostRaceError("again")] * 8)
    with pytest.raises(ContendedError):
        desk.edit_asset("owner", asset.id, "Albatros")


def test_who_may_not_change_does_not(desk: Desk) -> None:
    asset = desk.ready()
    desk.core.add_key("stranger", owner=STRANGER)
    for key, error in (
        ("client_reviewer", ForbiddenError),
        ("stranger", NotFoundError),
        ("nobody", UnauthorizedError),
    ):
        with pytest.raises(error):
            desk.edit_asset(key, asset.id, "x")
        with pytest.raises(error):
            desk.delete_asset(key, asset.id)
    assert desk.asset(asset.id) == asset


# What posts ask for


def test_a_post_shows_assets_and_what_it_says_of_them(desk: Desk) -> None:
    # Given an upload that has come, and that nobody has asked for since
    asset_id = desk.presigned(
        content_type="video/mp4", size_bytes=None, duration_seconds=12.5, alt_text="Möwe"
    )
    desk.arrive(asset_id, kind="video/mp4")
    assert desk.listed().assets[0]["durationMs"] == 12_500
    other = desk.ready()
    account = desk.core.add_account(40, platform=Platform.THREADS)
    # When
    answer = desk.core.create(
        desk.core.a_draft(
            targets_of=(TargetDraft(social_account_id=account.id),),
            scheduled_for=None,
            media_ids=(other.id, asset_id),
            media_alt_text={other.id: "Albatros"},
        )
    )
    # Then
    post_id = answer.body["id"]
    assert answer.body["media"] == [
        {"postId": post_id, "mediaAssetId": other.id, "order": 0, "altText": "Albatros"},
        {"postId": post_id, "mediaAssetId": asset_id, "order": 1, "altText": "Möwe"},
    ]
    assert desk.asset(asset_id).status is AssetStatus.READY
    stored = desk.core.post(post_id).media[1]
    assert (stored.kind, stored.content_type, stored.duration_seconds) == (
        "VIDEO",
        "video/mp4",
        12.5,
    )
    desk.check()


def test_a_post_cannot_show_what_is_not_there(desk: Desk) -> None:
    # Given
    gone = desk.ready(status=AssetStatus.DELETED)
    old = desk.presigned()
    desk.clock.advance(days=1)
    pending = desk.presigned()
    foreign = desk.ready(workspace_id=OTHER_WORKSPACE).id
    named = (an_id(ids.MEDIA), foreign, gone.id, old, pending)
    # When
    with pytest.raises(ValidationError) as raised:
        desk.core.create(desk.core.a_draft(1, scheduled_for=None, media_ids=named))
    # Then
    unknown = "is not an asset of the workspace's media library"
    assert raised.value.details == (
        *(Detail(f"mediaIds.{index}", unknown) for index in range(4)),
        Detail("mediaIds.4", "is an asset that has not been uploaded yet"),
    )


def test_an_upload_that_is_deleted_while_a_post_asks_for_it_is_not_there(desk: Desk) -> None:
    # Given
    asset_id = desk.presigned()
    desk.arrive(asset_id)
    desk.core.before("assets.replace", lambda: desk.delete_asset("owner", asset_id))
    # When / Then
    with pytest.raises(ValidationError) as raised:
        desk.core.create(desk.core.a_draft(1, scheduled_for=None, media_ids=(asset_id,)))
    assert details_of(raised) == ["mediaIds.0"]


def test_an_assets_address_stands_for_the_asset(desk: Desk) -> None:
    # Given an upload that has come, and one of another workspace
    upload = desk.presign(alt_text="Möwe").body
    asset_id = upload["mediaAsset"]["id"]
    desk.arrive(asset_id)
    second = desk.ready()
    items = (
        MediaDraft(url=upload["publicUrl"], kind="image"),
        MediaDraft(url="https://a.example/b.png", kind="image"),
    )
    # When
    post_id = desk.core.create(desk.core.a_draft(1, media=items, media_ids=(second.id,))).body["id"]
    # Then
    media = desk.core.post(post_id).media
    assert [each.media_asset_id for each in media if each.is_asset] == [asset_id, second.id]
    assert [each.alt_text for each in media] == ["Möwe", None, "Möwe"]
    desk.check()
    # And it stays as long as the post needs it
    with pytest.raises(MediaInUseError):
        desk.delete_asset("owner", asset_id)
    # And those of other workspaces are none
    foreign = desk.ready(workspace_id=OTHER_WORKSPACE)
    with pytest.raises(ValidationError) as raised:
        desk.core.create(
            desk.core.a_draft(1, media=(MediaDraft(url=f"https://b/{foreign.storage_key}"),))
        )
    assert details_of(raised) == ["mediaItems.0.url"]


def test_a_target_may_have_media_of_its_own(desk: Desk) -> None:
    # Given
    shared, own = desk.ready(), desk.ready()
    accounts = [desk.core.add_account(number) for number in (41, 42)]
    targets = (
        TargetDraft(social_account_id=accounts[0].id),
        TargetDraft(social_account_id=accounts[1].id, media_ids=(own.id,)),
    )
    # When
    body = desk.core.create(desk.core.a_draft(targets_of=targets, media_ids=(shared.id,))).body
    # Then
    assert [each["mediaAssetId"] for each in body["media"]] == [shared.id]
    assert [target["mediaIds"] for target in body["targets"]] == [[], [own.id]]
    post = desk.core.post(body["id"])
    shown = [[each.media_asset_id for each in media_for(post, each)] for each in post.targets]
    assert shown == [[shared.id], [own.id]]
    desk.check()
    with pytest.raises(MediaInUseError):
        desk.delete_asset("owner", own.id)


def test_who_names_too_many_media_has_none_read(desk: Desk) -> None:
    named = tuple(an_id(ids.MEDIA) for _ in range(36))
    calls = desk.core.recorded()
    with pytest.raises(ValidationError) as raised:
        desk.core.create(desk.core.a_draft(1, media_ids=named))
    assert raised.value.details == (Detail("body", "names more than 35 media altogether"),)
    assert not [call for call in calls if call.startswith(("assets.", "storage."))]


def test_a_post_without_assets_asks_for_none(desk: Desk) -> None:
    calls = desk.core.recorded()
    desk.core.created(1)
    assert desk.core.library.named(WORKSPACE, ()) == {}
    assert not [call for call in calls if call.startswith(("assets.", "storage."))]


def test_a_key_of_another_workspace_deletes_nothing(desk: Desk) -> None:
    # Given a member whose key is for another workspace
    asset = desk.ready()
    owner = USERS[Role.OWNER]
    desk.core.add_key("another's", owner=owner, workspace_ids=frozenset({OTHER_WORKSPACE}))
    # When / Then
    with pytest.raises(NotFoundError):
        desk.delete_asset("another's", asset.id)
    assert desk.assets.asset(asset.id) == asset


def test_an_asset_that_goes_while_it_is_edited_is_not_found(desk: Desk) -> None:
    # Given
    asset = desk.ready()
    desk.core.fails("assets.replace", LostRaceError())
    desk.core.before("assets.replace", lambda: desk.assets.remove(asset.id))
    # When / Then
    with pytest.raises(NotFoundError):
        desk.edit_asset("owner", asset.id, "Albatros")


def test_an_asset_that_is_not_there_cannot_be_edited(desk: Desk) -> None:
    gone = desk.ready(status=AssetStatus.DELETED)
    for unknown in (gone.id, an_id(ids.MEDIA)):
        with pytest.raises(NotFoundError):
            desk.edit_asset("owner", unknown, "Albatros")


def test_what_is_edited_or_deleted_is_answered_as_of_now(desk: Desk) -> None:
    # Given
    asset = desk.ready()
    # When
    desk.clock.advance(timedelta(minutes=1))
    edited = desk.edit_asset("owner", asset.id, "Albatros")
    # Then
    assert (edited.status, edited.body["altText"]) == (200, "Albatros")


def test_cursors_are_bound_to_what_is_listed() -> None:
    media = ListCommand(key_digest="owner", workspace_id=WORKSPACE, limit=1)
    posts = list_posts.ListCommand(key_digest="owner", workspace_id=WORKSPACE, limit=1)
    assert (media.purpose, posts.purpose) == (("media", WORKSPACE), ("posts", WORKSPACE, None))
