"""The media library."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import Any

import boto3
from botocore.config import Config

from benchmarks.by_hand.aws import (
    DYNAMODB,
    MEDIA,
    Event,
    Item,
    admit,
    answer,
    body,
    get_all,
    member,
    new_id,
    next_revision,
    now_text,
    path,
    query,
    query_parameters,
    text,
)
from benchmarks.by_hand.aws import get as get_item

S3 = boto3.Session().client(
    "s3",
    config=Config(
        signature_version="s3v4",
        s3={"addressing_style": "virtual"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"mode": "standard", "total_max_attempts": 2},
        parameter_validation=False,
    ),
)
BUCKET = os.environ["MEDIA_BUCKET"]


def presign(event: Event) -> dict[str, Any]:
    """POST /media/presign."""
    key = admit(event)
    workspace_id, wish = query_parameters(event)["workspaceId"], body(event)
    member(workspace_id, key["ownerUserId"]["S"])
    asset_id = new_id("med")
    storage_key = f"uploads/{workspace_id}/{asset_id}"
    url = S3.generate_presigned_url(
        "put_object",
        Params={
            "Bucket": BUCKET,
            "Key": storage_key,
            "ContentType": wish["contentType"],
            "ContentLength": wish["bytes"],
            "IfNoneMatch": "*",
            "Tagging": "state=pending",
        },
        ExpiresIn=900,
    )
    public_url = S3.generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": storage_key}
    ).partition("?")[0]
    asset: Item = {
        "pk": {"S": f"ASSET#{asset_id}"},
        "sk": {"S": "ASSET"},
        "altText": {"S": wish["altText"]},
        "contentType": {"S": wish["contentType"]},
        "createdAt": {"S": now_text()},
        "createdByUserId": key["ownerUserId"],
        "filename": {"S": wish["filename"]},
        "id": {"S": asset_id},
        "publicUrl": {"S": public_url},
        "revision": {"N": "1"},
        "sizeBytes": {"N": str(wish["bytes"])},
        "status": {"S": "PENDING"},
        "expiresAt": {"N": str(int(time.time()) + 86_400)},
        "workspaceId": {"S": workspace_id},
    }
    DYNAMODB.put_item(TableName=MEDIA, Item=asset)
    document = {
        "uploadUrl": url,
        "publicUrl": public_url,
        "expiresAt": now_text(timedelta(minutes=15)),
        "headers": {
            "Content-Type": wish["contentType"],
            "If-None-Match": "*",
            "x-amz-tagging": "state=pending",
            "Content-Length": str(wish["bytes"]),
        },
        "mediaAsset": _document(asset),
    }
    return answer(document, key, 201, Location=f"/api/v1/media/{asset_id}")


def list_assets(event: Event) -> dict[str, Any]:
    """GET /media."""
    key = admit(event)
    workspace_id = query_parameters(event)["workspaceId"]
    member(workspace_id, key["ownerUserId"]["S"])
    found = query(
        MEDIA,
        "#workspace = :workspace",
        {":workspace": workspace_id},
        IndexName="library",
        Limit=21,
        ScanIndexForward=False,
        ExpressionAttributeNames={"#workspace": "workspaceId"},
    )
    wanted = [(row["pk"]["S"], "ASSET") for row in found[:20]]
    rows = get_all(MEDIA, wanted)
    documents = [_document(rows[f"{pk} {sk}"]) for pk, sk in wanted]
    if len(found) <= 20:
        return answer(documents, key)
    return answer(documents, key, Link=f'</api/v1/media?cursor={wanted[-1][0]}>; rel="next"')


def get(event: Event) -> dict[str, Any]:
    """GET /media/{mediaId}."""
    key, asset = _read(event)
    return answer(_document(asset), key)


def edit(event: Event) -> dict[str, Any]:
    """PATCH /media/{mediaId}."""
    key, asset = _read(event)
    after = _replace(asset, altText={"S": body(event)["altText"]})
    return answer(_document(after), key)


def delete(event: Event) -> dict[str, Any]:
    """DELETE /media/{mediaId}."""
    key, asset = _read(event)
    asset = _replace(asset, status={"S": "DELETING"})
    _needed(asset)
    asset = _replace(asset, status={"S": "DELETED"})
    S3.delete_object(Bucket=BUCKET, Key=_storage_key(asset))
    _needed(asset)
    DYNAMODB.delete_item(TableName=MEDIA, Key={"pk": asset["pk"], "sk": asset["sk"]})
    return answer(_document(asset), key)


def _read(event: Event) -> tuple[Item, Item]:
    key = admit(event)
    asset = get_item(MEDIA, f"ASSET#{path(event)[1]}", "ASSET")
    member(asset["workspaceId"]["S"], key["ownerUserId"]["S"])
    return key, asset


def _replace(asset: Item, **changes: Item) -> Item:
    after = {
        **asset,
        **changes,
        "revision": next_revision(asset),
        "updatedAt": {"S": now_text()},
    }
    DYNAMODB.put_item(
        TableName=MEDIA,
        Item=after,
        ConditionExpression="#revision = :revision",
        ExpressionAttributeNames={"#revision": "revision"},
        ExpressionAttributeValues={":revision": asset["revision"]},
    )
    return after


def _needed(asset: Item) -> list[Item]:
    return query(
        MEDIA,
        "#pk = :pk AND begins_with(#sk, :sk)",
        {":pk": asset["pk"]["S"], ":sk": "POST#"},
        ConsistentRead=True,
        Limit=25,
        ScanIndexForward=True,
        ExpressionAttributeNames={"#pk": "pk", "#sk": "sk"},
    )


def _storage_key(asset: Item) -> str:
    return f"uploads/{asset['workspaceId']['S']}/{asset['id']['S']}"


def _document(asset: Item) -> dict[str, Any]:
    return {
        "id": asset["id"]["S"],
        "workspaceId": asset["workspaceId"]["S"],
        "ownerUserId": asset["createdByUserId"]["S"],
        "folderId": None,
        "status": asset["status"]["S"],
        "failureReason": text(asset, "failureReason"),
        "kind": asset["contentType"]["S"].partition("/")[0].upper(),
        "filename": text(asset, "filename"),
        "mimeType": asset["contentType"]["S"],
        "bytes": int(asset["sizeBytes"]["N"]),
        "width": None,
        "height": None,
        "durationMs": None,
        "storageKey": _storage_key(asset),
        "thumbnailKey": None,
        "previewKey": None,
        "altText": text(asset, "altText"),
        "publicUrl": text(asset, "publicUrl"),
        "previewUrl": None,
        "thumbnailUrl": None,
        "createdAt": asset["createdAt"]["S"],
        "updatedAt": text(asset, "updatedAt") or asset["createdAt"]["S"],
    }
