"""The written form of a post."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from postbreeze.domain.documents import (
    account_document,
    optional_timestamp,
    post_document,
    timestamp,
    to_json,
    workspace_document,
)
from postbreeze.domain.post import PostStatus
from tests.support.builders import (
    LATER,
    a_full_post,
    a_member,
    a_post,
    a_workspace,
    an_account,
)

POST_FIELDS = {
    "id",
    "workspaceId",
    "createdByUserId",
    "status",
    "caption",
    "scheduledAt",
    "timezone",
    "workflowId",
    "pendingWorkflowId",
    "approvedByUserId",
    "approvedAt",
    "createdViaApi",
    "createdViaFlatShape",
    "deletedAt",
    "createdAt",
    "updatedAt",
    "targets",
    "media",
    "version",
    "canceledAt",
    "cancelReason",
    "canceledByUserId",
}
TARGET_FIELDS = {
    "id",
    "postId",
    "socialAccountId",
    "platform",
    "status",
    "captionOverride",
    "firstComment",
    "firstCommentError",
    "firstCommentAttempt",
    "platformOptions",
    "mediaIds",
    "scheduledFor",
    "publishedAt",
    "externalPostId",
    "externalUrl",
    "errorCode",
    "errorMessage",
    "attemptCount",
    "lastAttemptAt",
    "createdAt",
    "updatedAt",
}
MEDIA_FIELDS = {"postId", "mediaAssetId", "order", "altText"}


@pytest.mark.parametrize("post", [a_post(), a_post(PostStatus.DRAFT), a_full_post()])
def test_every_field_of_the_contract_is_always_there_and_no_other(post: object) -> None:
    # When
    document = post_document(post)  # type: ignore[arg-type]  # builders give posts
    # Then
    assert set(document) == POST_FIELDS
    assert document["targets"]
    for target in document["targets"]:
        assert set(target) == TARGET_FIELDS
    for media in document["media"]:
        assert set(media) == MEDIA_FIELDS


def test_what_is_not_set_is_null_and_lists_are_empty() -> None:
    # Given
    document = post_document(a_post(PostStatus.DRAFT))
    # Then
    empty = {name for name, value in document.items() if value is None}
    assert empty == {
        "scheduledAt",
        "timezone",
        "workflowId",
        "pendingWorkflowId",
        "approvedByUserId",
        "approvedAt",
        "deletedAt",
        "canceledAt",
        "cancelReason",
        "canceledByUserId",
    }
    target = document["targets"][0]
    assert {name for name, value in target.items() if value is None} == {
        "captionOverride",
        "firstComment",
        "firstCommentError",
        "platformOptions",
        "scheduledFor",
        "publishedAt",
        "externalPostId",
        "externalUrl",
        "errorCode",
        "errorMessage",
        "lastAttemptAt",
    }
    assert document["media"] == []
    assert target["mediaIds"] == []


def test_everything_that_is_set_is_written_as_json_can_carry_it() -> None:
    # Given
    post = a_full_post()
    # When
    document = json.loads(json.dumps(post_document(post)))
    # Then
    assert document["version"] == post.version == 9 + 4 + 1
    assert document["status"] == "PARTIALLY_PUBLISHED"
    assert document["createdViaFlatShape"] is True
    assert document["scheduledAt"] == "2026-06-01T09:00:02.007Z"
    target = document["targets"][0]
    assert target["platformOptions"] == {"a": [1, 2.5, None, True, {"ä": "ö"}], "b": {}}
    assert target["platform"] == "BLUESKY"
    assert target["mediaIds"] == list(post.targets[0].media_ids)
    assert document["media"][0] == {
        "postId": post.id,
        "mediaAssetId": post.media[0].media_asset_id,
        "order": 0,
        "altText": "ein Segel",
    }


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (datetime(2026, 6, 15, 9, 0, tzinfo=UTC), "2026-06-15T09:00:00.000Z"),
        (
            datetime(2026, 6, 15, 11, 30, tzinfo=timezone(timedelta(hours=2, minutes=30))),
            "2026-06-15T09:00:00.000Z",
        ),
        (datetime(2026, 6, 15, 9, 0, 0, 7_999, tzinfo=UTC), "2026-06-15T09:00:00.007Z"),
    ],
)
def test_moments_are_written_in_utc_with_milliseconds(at: datetime, written: str) -> None:
    assert timestamp(at) == written
    assert optional_timestamp(at) == written


def test_no_moment_is_nothing() -> None:
    assert optional_timestamp(None) is None


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Möwe & Co.", "mowe-co-89abcdef"),
        ("  --ACME--  7 ", "acme-7-89abcdef"),
        ("かもめ", "89abcdef"),
    ],
)
def test_a_workspace_has_a_slug(name: str, slug: str) -> None:
    workspace = a_workspace(id="ws_0123456789012345" + "6789ABCDEF", name=name)
    assert workspace_document(workspace, a_member(), None)["slug"] == slug


@pytest.mark.parametrize(("known", "shown"), [("moewe.example", "moewe.example"), (None, "Möwe")])
def test_an_account_without_a_handle_goes_by_its_name(known: str | None, shown: str) -> None:
    document = account_document(an_account(handle=known, display_name="Möwe"))
    assert (document["handle"], document["displayName"]) == (shown, "Möwe")


def test_a_document_is_written_compactly_in_utf_8() -> None:
    assert to_json({"ä": [1, None, True], "b": "⛵"}) == '{"ä":[1,null,true],"b":"⛵"}'.encode()
    assert json.loads(to_json({"lone": "\ud800"})) == {"lone": "\ud800"}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_document_holds_no_number_that_json_does_not_know(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json({"a": [number]})


def test_a_workspace_is_written_as_its_member_sees_it() -> None:
    # Given
    workspace = a_workspace(name="Gull", hold_reason="unpaid", post_limit=30, held_at=LATER)
    member = a_member()
    # When
    document = workspace_document(workspace, member, "usr_owner")
    # Then
    assert document == {
        "id": workspace.id,
        "name": "Gull",
        "slug": f"gull-{workspace.id[-8:].lower()}",
        "ownerUserId": "usr_owner",
        "timezone": "UTC",
        "timeFormat": "H24",
        "brandColor": None,
        "logoUrl": None,
        "deletedAt": None,
        "createdAt": timestamp(workspace.created_at),
        "updatedAt": timestamp(workspace.created_at),
        "memberships": [
            {
                "workspaceId": member.workspace_id,
                "userId": member.user_id,
                "role": "OWNER",
                "createdAt": timestamp(member.created_at),
            }
        ],
        "role": "OWNER",
        "heldAt": timestamp(LATER),
        "holdReason": "unpaid",
        "postLimit": 30,
    }
    # And once it has been changed, that is told
    changed = workspace_document(replace(workspace, updated_at=LATER), member, None)
    assert changed["updatedAt"] == timestamp(LATER)
