"""The media library on the deployed stack: from an upload to the platform's record."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
import urllib3

from tests.e2e.aws import client
from tests.e2e.client import Api, records, unique, wait_until
from tests.support.certificates import Authority
from tests.support.platform_stages import PICTURE

pytestmark = pytest.mark.e2e

Stack = Mapping[str, Any]


@pytest.fixture
def api(stack: Stack) -> Api:
    return Api(stack)


@pytest.fixture
def account(stack: Stack) -> str:
    return str(stack["accounts"]["BLUESKY"][0])


def presigned(api: Api, **wanted: object) -> dict[str, Any]:
    reply = api.call(
        "POST",
        f"/media/presign?workspaceId={api.stack['workspaceId']}",
        {
            "filename": "punkt.png",
            "contentType": "image/png",
            "bytes": len(PICTURE),
            **wanted,
        },
    )
    assert reply.status == 201, reply
    return cast("dict[str, Any]", reply.body)


def sent(upload: Mapping[str, Any], content: bytes = PICTURE, **changes: str) -> int:
    headers = {**upload["headers"], **{name.replace("_", "-"): v for name, v in changes.items()}}
    answer = urllib3.request(
        "PUT", upload["uploadUrl"], body=content, headers=headers, retries=False
    )
    return answer.status


def uploaded(api: Api, **wanted: object) -> str:
    upload = presigned(api, **wanted)
    assert sent(upload) == 200
    return str(upload["mediaAsset"]["id"])


def status_of(api: Api, asset_id: str) -> str:
    reply = api.call("GET", f"/media/{asset_id}")
    return str(reply.body["status"] if reply.status == 200 else reply.body["code"])


def test_an_uploaded_picture_is_published_with_its_alt_text(api: Api, account: str) -> None:
    # Given two pictures uploaded to the address that each was given
    first = uploaded(api, altText="Ein Punkt.")
    second = uploaded(api)
    # And a post that shows them, which notices that they have come
    text = unique("Möwen")
    post = api.schedule(
        account,
        seconds=2,
        content=text,
        mediaIds=[second, first],
        mediaAltText={second: "Noch einer."},
    )
    assert [each["mediaAssetId"] for each in post["media"]] == [second, first]
    assert status_of(api, first) == "READY"
    # When somebody wants to delete one
    refused = api.call("DELETE", f"/media/{first}")
    assert (refused.status, refused.body["code"]) == (400, "MEDIA_IN_USE")
    assert refused.body["posts"] == [post["id"]]
    # And its moment comes
    published = api.wait_for(post["id"], "PUBLISHED", "FAILED", "PARTIALLY_PUBLISHED")
    assert published["status"] == "PUBLISHED", published
    # Then the platform has both, in order, with what was said of them
    [record] = records(api.stack, text)
    images = record["body"]["record"]["embed"]["images"]
    assert [image["alt"] for image in images] == ["Noch einer.", "Ein Punkt."]
    assert {image["image"]["size"] for image in images} == {len(PICTURE)}
    # And now it can be deleted
    deleted = api.call("DELETE", f"/media/{first}")
    assert (deleted.status, deleted.body["status"]) == (200, "DELETED")
    assert status_of(api, first) == "NOT_FOUND"


def test_an_upload_takes_what_was_declared_and_takes_it_once(api: Api) -> None:
    # Given
    upload = presigned(api)
    asset = upload["mediaAsset"]
    # When something else is sent, then the thing itself, then another thing
    assert sent(upload, PICTURE + b"x", Content_Length=str(len(PICTURE) + 1)) == 403
    assert sent(upload, Content_Type="image/gif") == 403
    assert status_of(api, asset["id"]) == "PENDING"
    assert sent(upload) == 200
    assert sent(upload, bytes(len(PICTURE))) == 412
    # Then it is there
    assert status_of(api, asset["id"]) == "READY"
    # And gone when it is deleted, and nothing can be scheduled with it
    assert api.call("DELETE", f"/media/{asset['id']}").status == 200
    reply = api.call(
        "POST",
        "/posts",
        {"mediaIds": [asset["id"]], "platforms": [{"accountId": api.stack["accounts"]["X"][0]}]},
    )
    assert (reply.status, reply.body["details"][0]["path"]) == (400, "mediaIds.0")


def test_a_client_that_says_only_what_it_must_posts_its_upload_by_its_address(
    api: Api, account: str
) -> None:
    # Given an upload without a length, of a key that reaches one workspace
    wish = {"filename": "punkt.png", "contentType": "image/png"}
    upload = api.call("POST", "/media/presign", wish).body
    assert sent(upload) == 200
    # When
    text = unique("Möwen")
    items = [{"url": upload["publicUrl"], "type": "image", "altText": "Ein Punkt."}]
    post = api.schedule(account, seconds=2, content=text, mediaItems=items)
    # Then
    assert [each["mediaAssetId"] for each in post["media"]] == [upload["mediaAsset"]["id"]]
    published = api.wait_for(post["id"], "PUBLISHED", "FAILED")
    assert published["status"] == "PUBLISHED", published
    [record] = records(api.stack, text)
    [image] = record["body"]["record"]["embed"]["images"]
    assert (image["alt"], image["image"]["size"]) == ("Ein Punkt.", len(PICTURE))


def test_an_upload_that_is_too_large_fails_and_is_told(api: Api) -> None:
    # Given
    upload = presigned(api, bytes=None)
    assert sent(upload, bytes(20 * 1024 * 1024 + 1)) == 200
    # Then
    asset = api.call("GET", f"/media/{upload['mediaAsset']['id']}").body
    assert (asset["status"], asset["bytes"]) == ("FAILED", 20 * 1024 * 1024 + 1)
    assert "20971521" in asset["failureReason"]


def test_a_draft_whose_picture_was_deleted_cannot_be_scheduled(api: Api, account: str) -> None:
    # Given
    asset_id = uploaded(api)
    draft = api.create(account, mediaIds=[asset_id])
    assert api.call("DELETE", f"/media/{asset_id}").status == 200
    # When
    reply = api.call(
        "POST", f"/posts/{draft['id']}/schedule", {"scheduledFor": "2027-01-01T00:00:00Z"}
    )
    # Then
    assert (reply.status, reply.body["code"]) == (400, "VALIDATION_FAILED")
    assert api.get(draft["id"])["status"] == "DRAFT"


class _Gallery(BaseHTTPRequestHandler):
    """Has one picture, and a page."""

    timeout = 30

    def do_GET(self) -> None:
        self.send_response(200)
        kind = "image/png" if self.path == "/one.png" else "text/html"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(PICTURE)))
        self.end_headers()
        self.wfile.write(PICTURE)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Write nothing."""


@pytest.fixture
def gallery(stack: Stack, tmp_path: Path) -> Iterator[str]:
    """The https address of a server on loopback that the library's function trusts."""
    authority = Authority()
    trusted = tmp_path / "authority.pem"
    trusted.write_bytes(authority.certificate)
    functions = client(stack, "lambda")
    name = stack["outputs"]["MediaApiFunctionName"]
    before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": {**before, "SSL_CERT_FILE": str(trusted)}}
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Gallery)
    server.socket = authority.server_context("127.0.0.1").wrap_socket(
        server.socket, server_side=True
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": before}
        )


def test_a_file_is_fetched_from_its_address_and_published(
    api: Api, account: str, gallery: str
) -> None:
    # Given
    path = f"/media/from-url?workspaceId={api.stack['workspaceId']}"
    added = api.call("POST", path, {"altText": "Ein Punkt.", "url": f"{gallery}/one.png"})
    assert (added.status, added.body["status"]) == (201, "READY"), added
    assert (added.body["mimeType"], added.body["bytes"]) == ("image/png", len(PICTURE))
    # When
    text = unique("Möwen")
    post = api.schedule(account, seconds=2, content=text, mediaIds=[added.body["id"]])
    api.wait_for(post["id"], "PUBLISHED", "FAILED")
    # Then
    [record] = records(api.stack, text)
    [image] = record["body"]["record"]["embed"]["images"]
    assert (image["alt"], image["image"]["size"]) == ("Ein Punkt.", len(PICTURE))
    # And what is no picture is refused
    refused = api.call("POST", path, {"url": f"{gallery}/page"})
    assert (refused.status, refused.body["details"][0]["path"]) == (400, "url")


def test_a_file_that_may_not_be_fetched_is_refused(api: Api) -> None:
    for url in ("https://169.254.169.254/latest/meta-data", "https://10.0.0.1/a.png"):
        path = f"/media/from-url?workspaceId={api.stack['workspaceId']}"
        reply = api.call("POST", path, {"url": url})
        assert (reply.status, reply.body["code"]) == (400, "VALIDATION_FAILED"), reply
        assert [detail["path"] for detail in reply.body["details"]] == ["url"]


def test_the_library_is_listed_and_changed(api: Api) -> None:
    # Given
    made = [presigned(api)["mediaAsset"]["id"] for _ in range(3)]
    path = f"/media?workspaceId={api.stack['workspaceId']}&limit=2"

    # When it is walked through, as soon as the index has all
    def walked() -> list[str] | None:
        seen, at = [], path
        while at:
            reply = api.call("GET", at)
            assert reply.status == 200, reply
            seen += [asset["id"] for asset in reply.body]
            target = reply.headers.get("Link", "").partition(">")[0].removeprefix("<")
            at = target.removeprefix("/api/v1")
        return seen if set(made) <= set(seen) else None

    seen = wait_until(walked, "the new assets in the library")
    # Then each is there once, the newest first
    assert len(seen) == len(set(seen))
    assert seen == sorted(seen, reverse=True)
    # And its alt text can be changed
    reply = api.call("PATCH", f"/media/{made[0]}", {"altText": "Ein Punkt."})
    assert (reply.status, reply.body["altText"]) == (200, "Ein Punkt.")


def test_others_do_not_see_the_library(stack: Stack) -> None:
    asset_id = presigned(Api(stack))["mediaAsset"]["id"]
    other = Api(stack, "otherWorkspace")
    assert other.call("GET", f"/media/{asset_id}").status == 404
    assert other.call("DELETE", f"/media/{asset_id}").status == 404
    path = f"/media?workspaceId={stack['workspaceId']}"
    assert other.call("GET", path).status == 404
    reviewer = Api(stack, "reviewer")
    assert reviewer.call("GET", f"/media/{asset_id}").status == 200
    assert reviewer.call("DELETE", f"/media/{asset_id}").status == 403


@pytest.mark.parametrize("path", ["/media/a/b", "/media/presign/x", "/mediaa"])
def test_a_path_that_is_not_there_is_ours_to_answer(api: Api, path: str) -> None:
    reply = api.call("GET", path)
    assert (reply.status, reply.body["code"]) == (404, "NOT_FOUND")
