"""What rows look like in the tables."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest

from postbreeze.adapters.dynamodb import keys
from postbreeze.adapters.dynamodb.items.access import (
    AccountRow,
    KeyRow,
    MemberRow,
    WorkspaceRow,
    key_row,
)
from postbreeze.adapters.dynamodb.items.common import Row
from postbreeze.adapters.dynamodb.items.posts import (
    AnswerRow,
    EventRow,
    MediaAttribute,
    PostRow,
    TargetRow,
    answer_row,
    event_row,
    post_of,
    post_row,
    target_row,
)
from postbreeze.adapters.dynamodb.items.webhooks import (
    DeliveryRow,
    EndpointRow,
    HealthRow,
    delivery_of,
    delivery_row,
    endpoint_of,
    endpoint_row,
)
from postbreeze.domain import lifecycle
from postbreeze.domain.access import ApiKey, Member, Workspace
from postbreeze.domain.documents import post_document, timestamp, to_json
from postbreeze.domain.endpoint_health import Health
from postbreeze.domain.events import Event
from postbreeze.domain.post import Media, Post, PostStatus, SocialAccount, Target, TargetStatus
from postbreeze.domain.webhook import (
    Delivery,
    DeliveryStatus,
    Endpoint,
)
from postbreeze.operations.fitness import LARGEST_DOCUMENT
from postbreeze.operations.ports import StoredAnswer
from tests.support.builders import (
    a_delivery,
    a_full_post,
    a_key,
    a_post,
    an_answer,
    an_endpoint,
    an_event,
    an_id,
)
from tests.support.fakes import START


@pytest.mark.parametrize(
    ("value", "row"),
    [
        (Post, PostRow),
        (Target, TargetRow),
        (Event, EventRow),
        (StoredAnswer, AnswerRow),
        (Workspace, WorkspaceRow),
        (Member, MemberRow),
        (SocialAccount, AccountRow),
        (ApiKey, KeyRow),
        (Endpoint, EndpointRow),
        (Health, HealthRow),
        (Delivery, DeliveryRow),
    ],
)
def test_every_field_has_its_attribute(value: Any, row: type[Row]) -> None:
    # A field without one would be lost without a word.
    left_out = {"targets"} if value is Post else set()
    assert {field.name for field in fields(value)} - left_out <= row.get_attributes().keys()


def test_every_field_of_a_medium_is_kept() -> None:
    # Given
    medium = Media(
        media_asset_id="med",
        order=1,
        alt_text="a",
        url="u",
        kind="k",
        content_type="image/png",
        duration_seconds=1.5,
    )
    assert all(getattr(medium, field.name) for field in fields(medium))
    # Then
    attribute = MediaAttribute()
    assert attribute.deserialize(attribute.serialize([medium])) == (medium,)


def test_times_and_json_are_texts_that_people_can_read() -> None:
    # Given
    post = a_full_post()
    # When
    row = post_row(post).serialize()
    target = target_row(post.targets[0]).serialize()
    # Then
    assert row["createdAt"] == {"S": "2026-06-01T09:00:00.007Z"}
    assert row["targetIds"] == {"L": [{"S": target.id} for target in post.targets]}
    assert row["media"]["S"].startswith('[{"mediaAssetId":"med_')
    assert target["platformOptions"] == {"S": '{"a":[1,2.5,null,true,{"ä":"ö"}],"b":{}}'}
    assert row["caption"] == {"S": post.caption}
    assert row["revision"] == {"N": "9"}


@pytest.mark.parametrize("attention_at", [None, START])
def test_a_post_is_in_the_due_index_while_it_wants_attention(attention_at: Any) -> None:
    row = post_row(a_post(attention_at=attention_at)).serialize()
    assert ("duePartition" in row, "dueAt" in row) == ((attention_at is not None,) * 2)


@pytest.mark.parametrize("status", PostStatus)
def test_a_post_is_listed_with_its_part_and_its_status(status: PostStatus) -> None:
    # Given
    post = a_post(status)
    # When
    row = post_row(post).serialize()
    # Then what is upcoming has one status, and needs no index of its own for it
    is_upcoming = status is PostStatus.SCHEDULED
    part = "UPCOMING" if is_upcoming else "REST"
    at = post.scheduled_at if is_upcoming else post.created_at
    assert row["listPartition"] == {"S": f"WORKSPACE#{post.workspace_id}#{part}"}
    assert row["listKey"] == {"S": f"{timestamp(at)}#{post.id}"}  # type: ignore[arg-type]  # scheduled
    expected = None if is_upcoming else {"S": f"WORKSPACE#{post.workspace_id}#{status}"}
    assert row.get("statusPartition") == expected
    assert "movedPartition" not in row


def test_a_deleted_post_is_in_no_index_that_lists() -> None:
    row = post_row(a_full_post()).serialize()
    assert not {"listPartition", "statusPartition", "listKey", "movedPartition"} & row.keys()


def test_a_post_that_moved_is_found_by_when_it_did() -> None:
    # Given
    post = replace(a_full_post(), deleted_at=None)
    row = post_row(post).serialize()
    # Then
    assert row["movedPartition"] == {"S": f"WORKSPACE#{post.workspace_id}"}
    assert row["movedAt"] == {"S": timestamp(post.former_spots[-1].until)}


@pytest.mark.parametrize("due_at", [None, START])
def test_a_delivery_is_in_the_due_index_while_it_wants_attention(due_at: Any) -> None:
    row = delivery_row(a_delivery(due_at=due_at)).serialize()
    assert ("duePartition" in row, "dueAt" in row) == ((due_at is not None,) * 2)


@pytest.mark.parametrize("status", DeliveryStatus)
def test_a_delivery_that_waits_is_in_the_index_of_its_endpoint(status: DeliveryStatus) -> None:
    # Given one that is not due
    delivery = a_delivery(status=status, due_at=None, created_at=START + timedelta(hours=1))
    # When
    row = delivery_row(delivery).serialize()
    # Then
    waits = status in (DeliveryStatus.PARKED, DeliveryStatus.EXHAUSTED)
    partition = {"S": f"{status}#{delivery.endpoint_id}"} if waits else None
    since = {"S": "2026-06-01T10:00:00.000Z"} if waits else None
    assert (row.get("duePartition"), row.get("dueAt")) == (partition, since)
    # And that is not taken for the moment when it is due
    assert delivery_of(DeliveryRow.from_raw_data(row)) == delivery


@pytest.mark.parametrize("due_at", [None, START])
def test_an_endpoint_is_in_the_due_index_while_it_wants_attention(due_at: Any) -> None:
    endpoint = an_endpoint(due_at=due_at)
    row = endpoint_row(endpoint).serialize()
    expected = {"S": keys.shard("ENDPOINTS", endpoint.id)} if due_at else None
    assert row.get("duePartition") == expected
    assert ("dueAt" in row) == (due_at is not None)


def test_an_endpoint_of_an_older_version_was_last_changed_when_it_was_made() -> None:
    # Given
    endpoint = an_endpoint(updated_at=START + timedelta(days=1))
    row = endpoint_row(endpoint).serialize()
    del row["updatedAt"]
    # When
    read = endpoint_of(EndpointRow.from_raw_data(row))
    # Then
    assert read == replace(endpoint, updated_at=endpoint.created_at)


@pytest.mark.parametrize("pending_since", [None, START])
def test_an_event_is_in_the_pending_index_while_it_is_pending(pending_since: Any) -> None:
    row = event_row(an_event(pending_since=pending_since)).serialize()
    pending = pending_since is not None
    assert ("pendingPartition" in row, "pendingSince" in row) == (pending, pending)
    assert "expiresAt" not in row


def test_only_what_may_go_expires_and_never_early() -> None:
    # Given
    on_the_second = START + timedelta(hours=24)
    later = on_the_second + timedelta(milliseconds=1)
    epoch = int(on_the_second.timestamp())
    # Then
    for at, seconds in ((on_the_second, epoch), (later, epoch + 1)):
        assert answer_row(an_answer(expires_at=at)).serialize()["expiresAt"] == {"N": str(seconds)}
        assert event_row(an_event(), expires_at=at).serialize()["expiresAt"] == {"N": str(seconds)}
        assert delivery_row(a_delivery(expires_at=at)).serialize()["expiresAt"] == {
            "N": str(seconds)
        }
    assert "expiresAt" not in delivery_row(a_delivery()).serialize()


def test_a_key_that_ends_keeps_its_row() -> None:
    # DynamoDB would remove a row with an expiresAt, and the list of keys would forget the key.
    row = key_row(a_key(expires_at=START)).serialize()
    assert "expiresAt" not in row
    assert row["validUntil"] == {"S": "2026-06-01T09:00:00.000Z"}


def test_a_row_of_an_older_version_gets_the_fields_defaults() -> None:
    # Given a row that was written before two fields were thought of
    post = a_post()
    row = post_row(replace(post, created_via_flat_shape=True)).serialize()
    del row["createdViaFlatShape"]
    del row["createdViaApi"]
    # When
    targets = {target.id: target for target in post.targets}
    read = post_of(PostRow.from_raw_data(row), targets)
    # Then
    assert read == replace(post, created_via_flat_shape=False, created_via_api=True)


def test_identifiers_are_spread_over_all_shards_and_stay_there() -> None:
    # Given
    identifiers = [an_id("post") for _ in range(200)]
    # Then
    counts = [
        sum(keys.shard("DUE", each) == shard for each in identifiers)
        for shard in keys.shards("DUE")
    ]
    assert sum(counts) == 200
    assert min(counts) > 20
    assert keys.shard("DUE", "post_01HZX") == "DUE#0"


ROW_LIMIT = 400 * 1024
"""Bytes of an item in DynamoDB, names of attributes included."""


def size(row: Row) -> int:
    return sum(
        len(name.encode()) + len(str(text).encode())
        for name, value in row.serialize().items()
        for text in value.values()
    )


@pytest.mark.parametrize("filling", ["x", "\U0001f600", "\n"])
def test_whatever_becomes_of_the_largest_post_its_events_and_answer_fit_into_rows(
    filling: str,
) -> None:
    # Given a post of fifty targets that is as large as any may be when it is created
    before = a_post(targets=[TargetStatus.SCHEDULED] * 50)
    written = len(to_json(filling)) - 2
    room = LARGEST_DOCUMENT - len(to_json(post_document(before)))
    each = room // 50 // written
    before = replace(
        before,
        targets=tuple(replace(target, first_comment=filling * each) for target in before.targets),
    )
    assert 0.98 * LARGEST_DOCUMENT < len(to_json(post_document(before))) <= LARGEST_DOCUMENT
    # When publishing has added all it may to each, and it is cancelled with the longest reason
    tried = replace(
        before,
        status=PostStatus.PARTIALLY_PUBLISHED,
        targets=tuple(
            replace(
                target,
                status=TargetStatus.FAILED if index else TargetStatus.PUBLISHED,
                error_code="X" * 40,
                error_message="m" * 500,
                external_post_id="u" * 120,
                external_url="u" * 120,
                first_comment_error="X" * 40,
            )
            for index, target in enumerate(before.targets)
        ),
    )
    reason = "\U0001f600" * 500
    cancellation = lifecycle.cancel(tried, actor="usr", now=START, reason=reason)
    # Then
    [event] = cancellation.change.events
    body = {**event.payload["post"], "cancellation": cancellation.document}
    rows = [event_row(event), answer_row(an_answer(tried.id, status=200, body=body))]
    assert all(size(row) < ROW_LIMIT for row in rows)
