"""Webhook endpoints and their deliveries."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from benchmarks.by_hand.aws import (
    POSTS,
    WEBHOOKS,
    WORKSPACES,
    Event,
    Item,
    admit,
    answer,
    body,
    client,
    is_member,
    member,
    new_id,
    next_revision,
    now_text,
    path,
    put_changed,
    put_new,
    query,
    query_parameters,
    shard,
    text,
    transact,
)
from benchmarks.by_hand.aws import get as get_item
from benchmarks.by_hand.posts import SQS

KMS = client("kms")
KEY_ARN = os.environ["WEBHOOK_SECRETS_KEY_ARN"]
QUEUE = os.environ["DELIVERY_QUEUE_URL"]
MANAGERS = ("ADMIN", "OWNER")


def create(event: Event) -> dict[str, Any]:
    """POST /webhooks."""
    key = admit(event)
    user_id, wish = key["ownerUserId"]["S"], body(event)
    workspace_id, now, endpoint_id = wish["workspaceId"], now_text(), new_id("wh")
    member(workspace_id, user_id)
    get_item(WORKSPACES, f"WORKSPACE#{workspace_id}", "WORKSPACE")
    _all(workspace_id)
    secret, sealed = _new_secret(workspace_id, endpoint_id)
    endpoint: Item = {
        "pk": {"S": f"WORKSPACE#{workspace_id}"},
        "sk": {"S": f"ENDPOINT#{endpoint_id}"},
        "createdAt": {"S": now},
        "description": {"S": wish["description"]},
        "eventFilters": {"L": [{"S": each} for each in wish["events"]]},
        "headers": {"S": json.dumps(wish.get("headers", {}))},
        "id": {"S": endpoint_id},
        "revision": {"N": "1"},
        "sealedSecrets": {"L": [{"B": sealed}]},
        "status": {"S": "ENABLED"},
        "updatedAt": {"S": now},
        "url": {"S": wish["url"]},
        "workspaceId": {"S": workspace_id},
    }
    place: Item = {
        "pk": {"S": f"ENDPOINT#{endpoint_id}"},
        "sk": {"S": "ENDPOINT"},
        "revision": {"N": "1"},
        "workspaceId": {"S": workspace_id},
    }
    transact(
        is_member(workspace_id, user_id, MANAGERS),
        put_new(WEBHOOKS, endpoint),
        put_new(WEBHOOKS, place),
    )
    _all(workspace_id)
    document = {**_document(endpoint), "secret": secret}
    return answer(document, key, 201, Location=f"/api/v1/webhooks/{endpoint_id}")


def list_webhooks(event: Event) -> dict[str, Any]:
    """GET /webhooks."""
    key = admit(event)
    workspace_id = query_parameters(event)["workspaceId"]
    member(workspace_id, key["ownerUserId"]["S"])
    get_item(WORKSPACES, f"WORKSPACE#{workspace_id}", "WORKSPACE")
    return answer([_document(each) for each in _all(workspace_id)], key)


def get(event: Event) -> dict[str, Any]:
    """GET /webhooks/{webhookId}."""
    key, endpoint = _read(event)
    return answer(_document(endpoint), key)


def edit(event: Event) -> dict[str, Any]:
    """PATCH /webhooks/{webhookId}."""
    key, endpoint = _read(event)
    after = _changed(endpoint, description={"S": body(event)["description"]})
    transact(_guard(endpoint, key), put_changed(WEBHOOKS, after, endpoint))
    return answer(_document(after), key)


def rotate_secret(event: Event) -> dict[str, Any]:
    """POST /webhooks/{webhookId}/rotate-secret."""
    key, endpoint = _read(event)
    workspace_id, endpoint_id = endpoint["workspaceId"]["S"], endpoint["id"]["S"]
    secret, sealed = _new_secret(workspace_id, endpoint_id)
    endpoint = get_item(WEBHOOKS, endpoint["pk"]["S"], endpoint["sk"]["S"])
    after = _changed(
        endpoint,
        sealedSecrets={"L": [endpoint["sealedSecrets"]["L"][-1], {"B": sealed}]},
        secretRetiresAt={"S": now_text(timedelta(days=1))},
    )
    transact(_guard(endpoint, key), put_changed(WEBHOOKS, after, endpoint))
    return answer({**_document(after), "secret": secret}, key)


def test(event: Event) -> dict[str, Any]:
    """POST /webhooks/{webhookId}/test."""
    key, endpoint = _read(event)
    endpoint_id, now = endpoint["id"]["S"], now_text()
    event_id, delivery_id = new_id("evt"), new_id("dlv")
    payload = {
        "eventId": event_id,
        "occurredAt": now,
        "workspaceId": endpoint["workspaceId"]["S"],
        "webhook": {
            "id": endpoint_id,
            "workspaceId": endpoint["workspaceId"]["S"],
            "description": text(endpoint, "description"),
            "status": endpoint["status"]["S"],
            "disabledAt": text(endpoint, "disabledAt"),
            "disabledReason": text(endpoint, "disabledReason"),
        },
    }
    delivery: Item = {
        "pk": {"S": f"ENDPOINT#{endpoint_id}"},
        "sk": {"S": f"DELIVERY#{delivery_id}"},
        "attempts": {"L": []},
        "createdAt": {"S": now},
        "dueAt": {"S": now_text(timedelta(seconds=30))},
        "duePartition": shard("DUE", delivery_id),
        "endpointId": {"S": endpoint_id},
        "eventId": {"S": event_id},
        "eventType": {"S": "webhook.test"},
        "id": {"S": delivery_id},
        "isReserved": {"BOOL": False},
        "nextAttemptAt": {"S": now},
        "payload": {"S": json.dumps(payload, separators=(",", ":"))},
        "postId": {"S": endpoint_id},
        "revision": {"N": "1"},
        "status": {"S": "PENDING"},
        "tries": {"N": "0"},
        "workspaceId": endpoint["workspaceId"],
    }
    transact(put_new(WEBHOOKS, delivery))
    _send(delivery)
    return answer(_delivery(delivery), key, 202)


def list_deliveries(event: Event) -> dict[str, Any]:
    """GET /webhooks/{webhookId}/deliveries."""
    key, endpoint = _read(event)
    rows = query(
        WEBHOOKS,
        "#pk = :pk AND #sk < :last",
        {":pk": f"ENDPOINT#{endpoint['id']['S']}", ":last": "DELIVERY#~"},
        ConsistentRead=True,
        Limit=21,
        ScanIndexForward=False,
        ExpressionAttributeNames={"#pk": "pk", "#sk": "sk"},
    )
    documents = [_delivery(row) for row in rows[:20]]
    if len(rows) <= 20:
        return answer(documents, key)
    cursor = rows[19]["id"]["S"]
    return answer(documents, key, Link=f'<{event["rawPath"]}?cursor={cursor}>; rel="next"')


def get_delivery(event: Event) -> dict[str, Any]:
    """GET /webhooks/{webhookId}/deliveries/{deliveryId}."""
    key, endpoint = _read(event)
    delivery = _read_delivery(event, endpoint)
    told = get_item(POSTS, f"POST#{delivery['postId']['S']}", f"EVENT#{delivery['eventId']['S']}")
    payload = text(told, "payload")
    document = {**_delivery(delivery), "payload": None if payload is None else json.loads(payload)}
    return answer(document, key)


def redeliver(event: Event) -> dict[str, Any]:
    """POST /webhooks/{webhookId}/deliveries/{deliveryId}/redeliver."""
    key, endpoint = _read(event)
    delivery = _read_delivery(event, endpoint)
    again: Item = {
        **delivery,
        "dueAt": {"S": now_text(timedelta(seconds=30))},
        "duePartition": shard("DUE", delivery["id"]["S"]),
        "nextAttemptAt": {"S": now_text()},
        "status": {"S": "PENDING"},
        "tries": {"N": "0"},
        "revision": next_revision(delivery),
    }
    transact(put_changed(WEBHOOKS, again, delivery))
    _send(again)
    return answer(_delivery(again), key, 202)


def recover(event: Event) -> dict[str, Any]:
    """POST /webhooks/{webhookId}/recover."""
    key, endpoint = _read(event)
    endpoint_id, since = endpoint["id"]["S"], body(event)["since"]
    backlog = {"askedAt": now_text(), "isParked": False, "failedSince": since}
    after = {
        **endpoint,
        "backlog": {"S": json.dumps(backlog, separators=(",", ":"))},
        "dueAt": {"S": now_text()},
        "duePartition": shard("ENDPOINTS", endpoint_id),
        "revision": next_revision(endpoint),
    }
    transact(_guard(endpoint, key), put_changed(WEBHOOKS, after, endpoint))
    waiting = query(
        WEBHOOKS,
        "#partition = :partition AND #due >= :since",
        {":partition": f"EXHAUSTED#{endpoint_id}", ":since": since},
        IndexName="due",
        Limit=100,
        ScanIndexForward=True,
        ExpressionAttributeNames={"#partition": "duePartition", "#due": "dueAt"},
    )
    later = {"dueAt": {"S": now_text(timedelta(minutes=1))}, "revision": next_revision(after)}
    transact(put_changed(WEBHOOKS, {**after, **later}, after))
    return answer({**_document(after), "deliveriesSent": len(waiting)}, key, 202)


def delete(event: Event) -> dict[str, Any]:
    """DELETE /webhooks/{webhookId}."""
    key, endpoint = _read(event)
    removal = {
        "TableName": WEBHOOKS,
        "Key": {"pk": endpoint["pk"], "sk": endpoint["sk"]},
        "ConditionExpression": "#revision = :revision",
        "ExpressionAttributeNames": {"#revision": "revision"},
        "ExpressionAttributeValues": {":revision": endpoint["revision"]},
    }
    place = {"pk": {"S": f"ENDPOINT#{endpoint['id']['S']}"}, "sk": {"S": "ENDPOINT"}}
    transact(
        _guard(endpoint, key),
        {"Delete": removal},
        {"Delete": {"TableName": WEBHOOKS, "Key": place}},
    )
    return answer(_document(endpoint), key)


def _read(event: Event) -> tuple[Item, Item]:
    key = admit(event)
    endpoint_id = path(event)[1]
    place = get_item(WEBHOOKS, f"ENDPOINT#{endpoint_id}", "ENDPOINT")
    workspace_id = place["workspaceId"]["S"]
    member(workspace_id, key["ownerUserId"]["S"])
    return key, get_item(WEBHOOKS, f"WORKSPACE#{workspace_id}", f"ENDPOINT#{endpoint_id}")


def _read_delivery(event: Event, endpoint: Item) -> Item:
    return get_item(WEBHOOKS, f"ENDPOINT#{endpoint['id']['S']}", f"DELIVERY#{path(event)[3]}")


def _all(workspace_id: str) -> list[Item]:
    return query(
        WEBHOOKS,
        "#pk = :pk AND begins_with(#sk, :sk)",
        {":pk": f"WORKSPACE#{workspace_id}", ":sk": "ENDPOINT#"},
        ConsistentRead=True,
        ScanIndexForward=True,
        ExpressionAttributeNames={"#pk": "pk", "#sk": "sk"},
    )


def _guard(endpoint: Item, key: Item) -> Item:
    return is_member(endpoint["workspaceId"]["S"], key["ownerUserId"]["S"], MANAGERS)


def _changed(endpoint: Item, **changes: Item) -> Item:
    return {
        **endpoint,
        **changes,
        "revision": next_revision(endpoint),
        "updatedAt": {"S": now_text()},
    }


def _new_secret(workspace_id: str, endpoint_id: str) -> tuple[str, bytes]:
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    sealed: bytes = KMS.encrypt(
        KeyId=KEY_ARN,
        Plaintext=secret.encode(),
        EncryptionContext={"workspaceId": workspace_id, "endpointId": endpoint_id},
    )["CiphertextBlob"]
    return secret, sealed


def _send(delivery: Item) -> None:
    message = {
        "endpointId": delivery["endpointId"]["S"],
        "deliveryId": delivery["id"]["S"],
        "lane": "prompt",
    }
    SQS.send_message(
        QueueUrl=QUEUE,
        MessageBody=json.dumps(message),
        MessageGroupId=delivery["endpointId"]["S"],
        DelaySeconds=0,
    )


def _document(endpoint: Item) -> dict[str, Any]:
    return {
        "id": endpoint["id"]["S"],
        "workspaceId": endpoint["workspaceId"]["S"],
        "url": endpoint["url"]["S"],
        "events": [each["S"] for each in endpoint["eventFilters"]["L"]],
        "description": text(endpoint, "description"),
        "headerNames": sorted(json.loads(endpoint["headers"]["S"])),
        "rateLimit": None,
        "status": endpoint["status"]["S"],
        "failingSince": text(endpoint, "failingSince"),
        "disabledAt": text(endpoint, "disabledAt"),
        "disabledReason": text(endpoint, "disabledReason"),
        "secretRetiresAt": text(endpoint, "secretRetiresAt"),
        "createdAt": endpoint["createdAt"]["S"],
        "updatedAt": endpoint["updatedAt"]["S"],
    }


def _delivery(delivery: Item) -> dict[str, Any]:
    attempts: Iterable[Item] = delivery["attempts"]["L"]
    return {
        "id": delivery["id"]["S"],
        "webhookId": delivery["endpointId"]["S"],
        "eventId": delivery["eventId"]["S"],
        "event": delivery["eventType"]["S"],
        "subjectId": delivery["postId"]["S"],
        "status": delivery["status"]["S"],
        "createdAt": delivery["createdAt"]["S"],
        "nextAttemptAt": text(delivery, "nextAttemptAt"),
        "attemptCount": len(delivery["attempts"]["L"]),
        "attempts": list(attempts),
    }
