"""Workspaces and accounts."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from benchmarks.by_hand.aws import (
    POSTS,
    WORKSPACES,
    Event,
    Item,
    admit,
    answer,
    get,
    get_all,
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
from benchmarks.by_hand.posts import SNS, TOPIC


def list_workspaces(event: Event) -> dict[str, Any]:
    """GET /workspaces."""
    key = admit(event)
    user_id = key["ownerUserId"]["S"]
    found = query(
        WORKSPACES,
        "#user = :user",
        {":user": user_id},
        IndexName="membershipsByUser",
        ScanIndexForward=True,
        ExpressionAttributeNames={"#user": "userId"},
    )
    members = get_all(WORKSPACES, [(row["pk"]["S"], f"MEMBER#{user_id}") for row in found])
    workspaces = get_all(WORKSPACES, [(row["pk"]["S"], "WORKSPACE") for row in members.values()])
    return answer(
        [
            _workspace(
                workspaces[f"{each['pk']['S']} WORKSPACE"], each, _owner(each["workspaceId"]["S"])
            )
            for each in members.values()
        ],
        key,
    )


def get_workspace(event: Event) -> dict[str, Any]:
    """GET /workspaces/{workspaceId}."""
    key = admit(event)
    workspace_id, user_id = path(event)[1], key["ownerUserId"]["S"]
    pk = f"WORKSPACE#{workspace_id}"
    rows = get_all(WORKSPACES, [(pk, "WORKSPACE"), (pk, f"MEMBER#{user_id}")])
    workspace, own = rows[f"{pk} WORKSPACE"], rows[f"{pk} MEMBER#{user_id}"]
    return answer(_workspace(workspace, own, _owner(workspace_id)), key)


def list_accounts(event: Event) -> dict[str, Any]:
    """GET /social-accounts."""
    key = admit(event)
    workspace_id = query_parameters(event)["workspaceId"]
    member(workspace_id, key["ownerUserId"]["S"])
    rows = query(
        WORKSPACES,
        "#pk = :pk AND begins_with(#sk, :sk)",
        {":pk": f"WORKSPACE#{workspace_id}", ":sk": "ACCOUNT#"},
        ConsistentRead=True,
        ScanIndexForward=True,
        ExpressionAttributeNames={"#pk": "pk", "#sk": "sk"},
    )
    return answer([_account(row) for row in reversed(rows)], key)


def get_account(event: Event) -> dict[str, Any]:
    """GET /social-accounts/{accountId}."""
    key = admit(event)
    account, _ = _placed(path(event)[1], key)
    return answer(_account(account), key)


def disconnect(event: Event) -> dict[str, Any]:
    """DELETE /social-accounts/{accountId}."""
    key = admit(event)
    account_id, user_id = path(event)[1], key["ownerUserId"]
    account, workspace_id = _placed(account_id, key)
    now = now_text()
    after = {
        **{name: value for name, value in account.items() if name != "sealedCredentials"},
        "disconnectedAt": {"S": now},
        "status": {"S": "DISCONNECTED"},
        "revision": next_revision(account),
    }
    document = _account(after)
    event_id = new_id("evt")
    payload = {
        "eventId": event_id,
        "occurredAt": now,
        "workspaceId": workspace_id,
        "account": document,
    }
    pk = {"S": f"ACCOUNT#{account_id}"}
    told: Item = {
        "pk": pk,
        "sk": {"S": f"EVENT#{event_id}"},
        "actor": user_id,
        "id": {"S": event_id},
        "occurredAt": {"S": now},
        "payload": {"S": json.dumps(payload, separators=(",", ":"))},
        "pendingPartition": shard("PENDING", event_id),
        "pendingSince": {"S": now},
        "postId": {"S": account_id},
        "revision": {"N": "1"},
        "type": {"S": "account.disconnected"},
        "versionAfter": after["revision"],
        "versionBefore": account["revision"],
        "workspaceId": {"S": workspace_id},
    }
    work: Item = {
        "pk": pk,
        "sk": {"S": "DISCONNECTION"},
        "accountId": {"S": account_id},
        "actor": user_id,
        "disconnectedAt": {"S": now},
        "dueAt": {"S": now_text(timedelta(seconds=30))},
        "duePartition": shard("DISCONNECTIONS", account_id),
        "isFlawed": {"BOOL": False},
        "revision": {"N": "1"},
        "workspaceId": {"S": workspace_id},
    }
    transact(
        is_member(workspace_id, user_id["S"], ("ADMIN", "OWNER")),
        put_changed(WORKSPACES, after, account),
        put_new(POSTS, told),
        put_new(POSTS, work),
    )
    SNS.publish(TopicArn=TOPIC, Message=json.dumps({"postId": account_id, "eventId": event_id}))
    work = get(POSTS, pk["S"], "DISCONNECTION")
    query(
        POSTS,
        "#account = :account",
        {":account": account_id},
        IndexName="targetsByAccount",
        Limit=25,
        ScanIndexForward=True,
        ExpressionAttributeNames={"#account": "openAccountId"},
    )
    later = {"dueAt": {"S": now_text(timedelta(minutes=1))}, "revision": next_revision(work)}
    transact(put_changed(POSTS, {**work, **later}, work))
    return answer(document, key)


def _placed(account_id: str, key: Item) -> tuple[Item, str]:
    """Read an account where it is connected, with the caller's membership."""
    workspace_id = get(WORKSPACES, f"ACCOUNT#{account_id}", "ACCOUNT")["workspaceId"]["S"]
    pk = f"WORKSPACE#{workspace_id}"
    rows = ("WORKSPACE", f"MEMBER#{key['ownerUserId']['S']}", f"ACCOUNT#{account_id}")
    found = get_all(WORKSPACES, [(pk, row) for row in rows])
    return found[f"{pk} ACCOUNT#{account_id}"], workspace_id


def _owner(workspace_id: str) -> str:
    rows = query(
        WORKSPACES,
        "#pk = :pk AND begins_with(#sk, :sk)",
        {":pk": f"WORKSPACE#{workspace_id}", ":sk": "MEMBER#"},
        ConsistentRead=True,
        ScanIndexForward=True,
        ExpressionAttributeNames={"#pk": "pk", "#sk": "sk"},
    )
    owners = [row for row in rows if row["role"]["S"] == "OWNER"]
    first: str = min(owners, key=lambda row: str(row["createdAt"]["S"]))["userId"]["S"]
    return first


def _workspace(workspace: Item, own: Item, owner: str) -> dict[str, Any]:
    workspace_id, name = workspace["id"]["S"], workspace["name"]["S"]
    return {
        "id": workspace_id,
        "name": name,
        "slug": f"{name.lower()}-{workspace_id[-8:].lower()}",
        "ownerUserId": owner,
        "timezone": "UTC",
        "timeFormat": "H24",
        "brandColor": None,
        "logoUrl": None,
        "deletedAt": None,
        "createdAt": workspace["createdAt"]["S"],
        "updatedAt": workspace["createdAt"]["S"],
        "memberships": [
            {
                "workspaceId": workspace_id,
                "userId": own["userId"]["S"],
                "role": own["role"]["S"],
                "createdAt": own["createdAt"]["S"],
            }
        ],
        "role": own["role"]["S"],
        "heldAt": text(workspace, "heldAt"),
        "holdReason": text(workspace, "holdReason"),
        "postLimit": None,
    }


def _account(account: Item) -> dict[str, Any]:
    return {
        "id": account["id"]["S"],
        "workspaceId": account["workspaceId"]["S"],
        "platform": account["platform"]["S"],
        "externalId": account["externalAccountId"]["S"],
        "handle": text(account, "handle"),
        "displayName": account["displayName"]["S"],
        "avatarUrl": None,
        "status": account["status"]["S"],
        "scopes": [],
        "connectedAt": account["createdAt"]["S"],
        "lastRefreshedAt": None,
        "tokenExpiresAt": None,
        "lastRefreshAttemptAt": None,
        "lastRefreshError": None,
        "lastRefreshErrorStatus": None,
        "meta": {},
        "defaultBoardId": None,
        "disconnectedAt": text(account, "disconnectedAt"),
    }
