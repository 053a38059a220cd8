"""The media library as a client sees it, on fakes."""

from __future__ import annotations

import json
from typing import Any, cast
from urllib.parse import urlsplit

import pytest

from postbreeze.domain import ids
from postbreeze.domain.access import Role
from postbreeze.domain.media import Asset
from postbreeze.http import media
from postbreeze.http.auth import Authenticator
from postbreeze.operations.media.add import AddFromUrl, PresignUpload
from postbreeze.operations.media.library import Library
from postbreeze.operations.media.manage import EditAsset, ListAssets, ReadAsset
from postbreeze.operations.media.remove import DeleteAsset
from tests.support.builders import a_member, an_id
from tests.support.http_client import Api, assert_refused

URL = "https://files.example/a.png"


class MediaApi(Api):
    """The routes of the media library beside those of posts."""

    def __init__(self) -> None:
        super().__init__()
        world = self.world
        wired: dict[str, Any] = {
            "assets": world.assets,
            "directory": world.workspaces,
            "clock": world.clock,
        }
        together: dict[str, Any] = {"together": world.together}
        adding = {**wired, "storage": world.storage, "randomness": world.randomness}
        library = Library(
            assets=world.assets,
            storage=world.storage,
            together=world.together,
            clock=world.clock,
            telemetry=world.telemetry,
        )
        self._edge(
            media.router(
                presign_upload=PresignUpload(**adding),
                add_from_url=AddFromUrl(**adding, library=library, source=world.files),
                list_assets=ListAssets(**wired, **together),
                read_asset=ReadAsset(**wired, **together, library=library),
                edit_asset=EditAsset(**wired, **together),
                delete_asset=DeleteAsset(
                    **wired, **together, storage=world.storage, posts=world.posts
                ),
                authenticator=Authenticator(directory=world.workspaces, clock=world.clock),
            )
        )

    def presigned(self, **wanted: object) -> dict[str, Any]:
        """Ask for an upload of three bytes, and return what is answered."""
        reply = self.call("POST", "/media/presign", self.wish(**wanted))
        assert reply.status == 201, reply
        return cast("dict[str, Any]", reply.body)

    def wish(self, **wanted: object) -> dict[str, object]:
        """Write the body of a wish to upload."""
        return {"filename": "a.png", "contentType": "image/png", "bytes": 3, **wanted}

    def uploaded(self) -> dict[str, Any]:
        """Have an upload arrive, and return the asset."""
        asset = self.presigned()["mediaAsset"]
        key = self.asset(asset["id"]).storage_key
        self.world.storage.objects[key] = (b"png", "image/png")
        return cast("dict[str, Any]", self.call("GET", f"/media/{asset['id']}").body)

    def asset(self, asset_id: str) -> Asset:
        """Read an asset that must be there."""
        asset = self.world.assets.asset(asset_id)
        assert asset is not None
        return asset


@pytest.fixture
def api() -> MediaApi:
    return MediaApi()


def test_an_upload_is_asked_for_and_read(api: MediaApi) -> None:
    # Given
    reply = api.call("POST", "/media/presign", api.wish(altText="Möwe", durationSeconds=None))
    # Then
    assert reply.status == 201
    asset = reply.body["mediaAsset"]
    assert reply.headers["location"] == f"/api/v1/media/{asset['id']}"
    assert "etag" not in reply.headers
    assert asset["status"] == "PENDING"
    assert set(reply.body) == {"uploadUrl", "publicUrl", "expiresAt", "headers", "mediaAsset"}
    # And when it is read
    read = api.call("GET", f"/media/{asset['id']}")
    assert (read.status, read.body) == (200, asset)


def test_an_upload_need_not_have_a_length(api: MediaApi) -> None:
    for wish in (api.wish(bytes=None), {"filename": "a.png", "contentType": "image/png"}):
        reply = api.call("POST", "/media/presign", wish)
        assert (reply.status, reply.body["mediaAsset"]["bytes"]) == (201, None)
        assert "Content-Length" not in reply.body["headers"]


def test_a_workspace_is_named_where_the_key_reaches_several(api: MediaApi) -> None:
    # Given an owner who is in a second workspace
    second = an_id(ids.WORKSPACE)
    [owner] = [
        each.user_id for each in api.world.workspaces._members.values() if each.role is Role.OWNER
    ]
    api.world.workspaces.put_member(a_member(workspace_id=second, user_id=owner))
    api.world.files.files[URL] = (b"png", "image/png")
    # When / Then
    for path, body in (("presign", api.wish()), ("from-url", {"url": URL})):
        reply = api.call("POST", f"/media/{path}", body)
        assert_refused(reply, 400, "VALIDATION_FAILED", "query.workspaceId")
        reply = api.call("POST", f"/media/{path}?workspaceId={second}", body)
        assert reply.status == 201
        asset = reply.body.get("mediaAsset", reply.body)
        assert asset["workspaceId"] == second
        reply = api.call("POST", f"/media/{path}?workspaceId={an_id(ids.WORKSPACE)}", body)
        assert_refused(reply, 404, "NOT_FOUND")


def test_a_post_shows_an_upload_by_its_public_url(api: MediaApi) -> None:
    # Given
    asset = api.uploaded()
    address = asset["publicUrl"].replace("https:", "http:")
    items = [
        {"url": "https://a.example/b.png", "type": "image"},
        {"url": address, "type": "IMAGE", "altText": "Dot"},
    ]
    # When
    post = api.schedule(api.accounts[0], mediaItems=items)
    # Then
    assert post["media"][1] == {
        "postId": post["id"],
        "mediaAssetId": asset["id"],
        "order": 1,
        "altText": "Dot",
    }
    assert_refused(api.call("DELETE", f"/media/{asset['id']}"), 400, "MEDIA_IN_USE")


def test_a_file_is_added_from_an_address(api: MediaApi) -> None:
    api.world.files.files[URL] = (b"png", "image/png")
    body = {"url": URL, "filename": "a.png"}
    reply = api.call("POST", "/media/from-url", body)
    assert reply.status == 201
    assert (reply.body["status"], reply.body["filename"]) == ("READY", "a.png")
    assert reply.headers["location"] == f"/api/v1/media/{reply.body['id']}"


def test_an_address_that_has_no_file_is_refused(api: MediaApi) -> None:
    body = {"url": URL}
    reply = api.call("POST", "/media/from-url", body)
    assert_refused(reply, 400, "VALIDATION_FAILED", "url")


def test_the_library_is_listed_page_by_page(api: MediaApi) -> None:
    # Given
    made = []
    for _ in range(3):
        made.append(api.presigned()["mediaAsset"]["id"])
        api.world.clock.advance(seconds=1)
    # When
    seen = []
    path = f"/media?workspaceId={api.workspace_id}&limit=2"
    while path:
        reply = api.call("GET", path)
        assert reply.status == 200
        seen.append([asset["id"] for asset in reply.body])
        link = reply.headers.get("link", "")
        target = link.partition(">")[0].removeprefix("<")
        assert not link or link.endswith('rel="next"')
        path = target.removeprefix("/api/v1") if target else ""
    # Then
    made.reverse()
    assert seen == [made[:2], made[2:]]


def test_an_asset_is_changed_and_deleted(api: MediaApi) -> None:
    asset = api.uploaded()
    path = f"/media/{asset['id']}"
    changed = api.call("PATCH", path, {"altText": "Albatros"})
    assert (changed.status, changed.body) == (200, {**asset, "altText": "Albatros"})
    cleared = api.call("PATCH", path, {"altText": ""})
    assert cleared.body["altText"] is None
    deleted = api.call("DELETE", path)
    assert (deleted.status, deleted.body["status"]) == (200, "DELETED")
    assert_refused(api.call("DELETE", path), 404, "NOT_FOUND")
    assert_refused(api.call("GET", path), 404, "NOT_FOUND")


def test_an_asset_that_a_scheduled_post_needs_cannot_be_deleted(api: MediaApi) -> None:
    # Given
    asset = api.uploaded()
    post = api.schedule(api.accounts[0], mediaIds=[asset["id"]], mediaAltText={asset["id"]: "Dot"})
    assert post["media"] == [
        {"postId": post["id"], "mediaAssetId": asset["id"], "order": 0, "altText": "Dot"}
    ]
    # When
    reply = api.call("DELETE", f"/media/{asset['id']}")
    # Then
    assert_refused(reply, 400, "MEDIA_IN_USE")
    assert reply.body["posts"] == [post["id"]]
    # And when it is cancelled
    assert api.call("POST", f"/posts/{post['id']}/cancel").status == 200
    assert api.call("DELETE", f"/media/{asset['id']}").status == 200


@pytest.mark.parametrize("shape", ["flat", "nested"])
def test_media_that_are_wrong_are_named_by_their_paths(api: MediaApi, shape: str) -> None:
    # Given
    good, pending = api.uploaded()["id"], api.presigned()["mediaAsset"]["id"]
    unknown, other, nobodys = (an_id(ids.MEDIA) for _ in range(3))
    listed, account = (
        ("platforms", "accountId") if shape == "flat" else ("targets", "socialAccountId")
    )
    # When
    reply = api.call(
        "POST",
        "/posts",
        {
            "mediaIds": [good, unknown, pending],
            "mediaAltText": {good: "x", nobodys: "y"},
            listed: [{account: api.accounts[0], "mediaIds": [good, other]}],
        },
    )
    # Then
    assert_refused(
        reply,
        400,
        "VALIDATION_FAILED",
        "mediaIds.1",
        "mediaIds.2",
        f"{listed}.0.mediaIds.1",
        f"mediaAltText.{nobodys}",
    )


def test_alt_texts_go_by_asset(api: MediaApi) -> None:
    body = {"platforms": [{"accountId": api.accounts[0]}], "mediaAltText": {"x" * 300: "y"}}
    reply = api.call("POST", "/posts", body)
    assert_refused(reply, 400, "VALIDATION_FAILED", f"mediaAltText.{'x' * 100}…")


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"workspaceId": "ws_1"}, ["workspaceId"]),
        ({"contentType": "text/html"}, ["contentType"]),
        ({"contentType": 7, "bytes": "3"}, ["contentType", "bytes"]),
        ({"bytes": 0}, ["bytes"]),
        ({"bytes": 2.5}, ["bytes"]),
        ({"bytes": True}, ["bytes"]),
        ({"sizeBytes": 3}, ["sizeBytes"]),
        ({"durationSeconds": "long"}, ["durationSeconds"]),
        ({"folderId": "a"}, ["folderId"]),
        ({"filename": None}, ["filename"]),
        ({"filename": ""}, ["filename"]),
        ({"filename": "x" * 256}, ["filename"]),
        ({"altText": "x" * 2_001}, ["altText"]),
        ({"color": "red"}, ["color"]),
    ],
)
def test_a_wish_that_is_malformed_is_refused(
    api: MediaApi, changes: dict[str, object], paths: list[str]
) -> None:
    reply = api.call("POST", "/media/presign", api.wish(**changes))
    assert_refused(reply, 400, "VALIDATION_FAILED", *paths)


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "details"),
    [
        ("GET", "/media", 400, "VALIDATION_FAILED", ["query.workspaceId"]),
        ("GET", "/media?workspaceId=x", 400, "VALIDATION_FAILED", ["query.workspaceId"]),
        ("GET", "/media?workspaceId={ws}&limit=0", 400, "VALIDATION_FAILED", ["query.limit"]),
        ("GET", "/media?workspaceId={ws}&limit=101", 400, "VALIDATION_FAILED", ["query.limit"]),
        ("GET", "/media?workspaceId={ws}&cursor=x", 400, "VALIDATION_FAILED", ["query.cursor"]),
        ("GET", "/media?workspaceId={ws}&order=x", 400, "VALIDATION_FAILED", ["query.order"]),
        ("GET", "/media/post_1", 400, "VALIDATION_FAILED", ["path.mediaId"]),
        ("GET", "/media/{unknown}?x=1", 400, "VALIDATION_FAILED", ["query.x"]),
        ("GET", "/media/{unknown}", 404, "NOT_FOUND", []),
        ("DELETE", "/media/{unknown}", 404, "NOT_FOUND", []),
        ("PATCH", "/media/{unknown}", 400, "VALIDATION_FAILED", ["body"]),
        ("POST", "/media/presign", 400, "VALIDATION_FAILED", ["body"]),
        ("POST", "/media/presign?workspaceId=x", 400, "VALIDATION_FAILED", ["query.workspaceId"]),
        ("POST", "/media/from-url?x=y", 400, "VALIDATION_FAILED", ["query.x"]),
        ("POST", "/media/from-url", 400, "VALIDATION_FAILED", ["body"]),
        ("POST", "/media", 405, "METHOD_NOT_ALLOWED", []),
        ("PUT", "/media/{unknown}", 405, "METHOD_NOT_ALLOWED", []),
    ],
)
def test_what_is_asked_for_wrongly_is_refused(
    api: MediaApi, method: str, path: str, status: int, code: str, details: list[str]
) -> None:
    reply = api.call(method, path.format(ws=api.workspace_id, unknown=an_id(ids.MEDIA)))
    assert_refused(reply, status, code, *details)


def test_no_key_no_library(api: MediaApi) -> None:
    for method, path in (("GET", "/media"), ("POST", "/media/presign"), ("GET", "/media/x")):
        reply = api.call(method, path, headers={"Authorization": "Bearer x"})
        assert_refused(reply, 401, "UNAUTHORIZED")


def test_a_reviewer_may_add_and_not_take_away(api: MediaApi) -> None:
    reviewer = api.keys[Role.CLIENT_REVIEWER]
    added = api.call("POST", "/media/presign", api.wish(), key=reviewer)
    assert added.status == 201
    path = f"/media/{added.body['mediaAsset']['id']}"
    assert_refused(api.call("DELETE", path, key=reviewer), 403, "FORBIDDEN")


def test_the_log_has_no_address_that_uploads_go_to(api: MediaApi) -> None:
    address = api.presigned()["uploadUrl"]
    assert urlsplit(address).query
    assert address not in json.dumps(api.log.lines, default=str)
