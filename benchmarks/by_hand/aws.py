"""Clients, rows and answers."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from botocore.config import Config

Item = dict[str, Any]
Event = Mapping[str, Any]

_CONFIG = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 3},
    tcp_keepalive=True,
    parameter_validation=False,
)
_SESSION = boto3.Session()


def client(service: str) -> Any:
    """Make a client."""
    return _SESSION.client(service, config=_CONFIG)


DYNAMODB = client("dynamodb")

POSTS = os.environ["POSTS_TABLE"]
WORKSPACES = os.environ["WORKSPACES_TABLE"]
WEBHOOKS = os.environ["WEBHOOKS_TABLE"]
MEDIA = os.environ["MEDIA_TABLE"]


def now_text(later: timedelta = timedelta(0)) -> str:
    """Return this moment, or a later one, as rows and answers have it."""
    return (datetime.now(UTC) + later).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_id(prefix: str) -> str:
    """Make an id."""
    return f"{prefix}_{secrets.token_hex(13).upper()}"


def body(event: Event) -> dict[str, Any]:
    """Read a request's body."""
    document: dict[str, Any] = json.loads(event["body"])
    return document


def path(event: Event) -> list[str]:
    """Return the parts of a request's path, those below the version first."""
    parts: list[str] = event["rawPath"].split("/")[3:]
    return parts


def query_parameters(event: Event) -> dict[str, str]:
    """Read the query."""
    return dict(each.split("=", 1) for each in event["rawQueryString"].split("&"))


def answer(document: object, item: Item, status: int = 200, **headers: str) -> dict[str, Any]:
    """Write an answer, with how the key stands, and log the request."""
    print(json.dumps({"level": "INFO", "message": "request", "timestamp": now_text()}))
    return {
        "statusCode": status,
        "headers": {
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Content-Type": "application/json",
            "X-Request-Id": new_id("req"),
            "X-RateLimit-Limit": item["requestsPerMinute"]["N"],
            "X-RateLimit-Remaining": item["minuteLeft"]["N"],
            "X-RateLimit-Reset": str((int(item["minute"]["N"]) + 1) * 60),
            **headers,
        },
        "body": json.dumps(document, separators=(",", ":")),
        "isBase64Encoded": False,
        "cookies": [],
    }


def admit(event: Event) -> Item:
    """Count the request of a key, and return the key."""
    key = event["headers"]["authorization"].removeprefix("Bearer ")
    seconds = int(time.time())
    item: Item = DYNAMODB.update_item(
        TableName=WORKSPACES,
        Key={
            "pk": {"S": f"KEY#{hashlib.sha256(key.encode()).hexdigest()}"},
            "sk": {"S": "KEY"},
        },
        UpdateExpression="ADD #minuteLeft :one, #quarterHourLeft :one",
        ConditionExpression=(
            "#minute >= :minute AND #quarterHour >= :quarterHour"
            " AND #minuteLeft > :none AND #quarterHourLeft > :none"
        ),
        ExpressionAttributeNames={
            "#minute": "minute",
            "#quarterHour": "quarterHour",
            "#minuteLeft": "minuteLeft",
            "#quarterHourLeft": "quarterHourLeft",
        },
        ExpressionAttributeValues={
            ":minute": {"N": str(seconds // 60)},
            ":quarterHour": {"N": str(seconds // 900)},
            ":none": {"N": "0"},
            ":one": {"N": "-1"},
        },
        ReturnValues="ALL_NEW",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )["Attributes"]
    return item


def get(table: str, pk: str, sk: str) -> Item:
    """Read a row, or nothing."""
    found: Item = DYNAMODB.get_item(
        TableName=table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
    ).get("Item", {})
    return found


def get_all(table: str, keys: Iterable[tuple[str, str]]) -> dict[str, Item]:
    """Read rows together, by their sort keys."""
    wanted = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in keys]
    answered = DYNAMODB.batch_get_item(
        RequestItems={table: {"Keys": wanted, "ConsistentRead": True}}
    )
    return {f"{row['pk']['S']} {row['sk']['S']}": row for row in answered["Responses"][table]}


def query(table: str, condition: str, values: Mapping[str, str], **wishes: Any) -> list[Item]:
    """Read rows in order."""
    rows: list[Item] = DYNAMODB.query(
        TableName=table,
        KeyConditionExpression=condition,
        ExpressionAttributeValues={name: {"S": value} for name, value in values.items()},
        **wishes,
    )["Items"]
    return rows


def member(workspace_id: str, user_id: str) -> Item:
    """Read a membership."""
    return get(WORKSPACES, f"WORKSPACE#{workspace_id}", f"MEMBER#{user_id}")


def is_member(workspace_id: str, user_id: str, roles: Sequence[str]) -> Item:
    """Describe the check of a membership for a transaction."""
    names = [f":{role.lower()}" for role in roles]
    return {
        "ConditionCheck": {
            "TableName": WORKSPACES,
            "Key": {
                "pk": {"S": f"WORKSPACE#{workspace_id}"},
                "sk": {"S": f"MEMBER#{user_id}"},
            },
            "ConditionExpression": f"#role IN ({', '.join(names)})",
            "ExpressionAttributeNames": {"#role": "role"},
            "ExpressionAttributeValues": {
                name: {"S": role} for name, role in zip(names, roles, strict=True)
            },
        }
    }


def put_new(table: str, item: Item) -> Item:
    """Describe the writing of a row that must not be there."""
    return {
        "Put": {
            "TableName": table,
            "Item": item,
            "ConditionExpression": "attribute_not_exists(#pk)",
            "ExpressionAttributeNames": {"#pk": "pk"},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def put_changed(table: str, item: Item, old: Item) -> Item:
    """Describe the writing of a row that must have the revision it was read with."""
    return {
        "Put": {
            "TableName": table,
            "Item": item,
            "ConditionExpression": "#revision = :revision",
            "ExpressionAttributeNames": {"#revision": "revision"},
            "ExpressionAttributeValues": {":revision": old["revision"]},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def transact(*writes: Item) -> None:
    """Do all the writes or none."""
    DYNAMODB.transact_write_items(ClientRequestToken=str(uuid.uuid4()), TransactItems=list(writes))


def text(item: Item, name: str) -> str | None:
    """Return an attribute, if it is there."""
    value = item.get(name)
    return None if value is None else value["S"]


def number(item: Item, name: str) -> int:
    """Return a number that must be there."""
    return int(item[name]["N"])


def next_revision(item: Item) -> dict[str, str]:
    """Return a row's next revision as an attribute."""
    return {"N": str(number(item, "revision") + 1)}


def shard(partition: str, subject: str) -> dict[str, str]:
    """Return which of a sparse index's partitions something belongs to, as an attribute."""
    return {"S": f"{partition}#{subject.encode()[-1] % 4}"}
