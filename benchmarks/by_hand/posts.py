"""Posts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from benchmarks.by_hand.aws import (
    POSTS,
    WORKSPACES,
    Event,
    Item,
    admit,
    answer,
    body,
    client,
    get_all,
    is_member,
    member,
    new_id,
    next_revision,
    now_text,
    number,
    path,
    put_new,
    query,
    query_parameters,
    shard,
    text,
    transact,
)
from benchmarks.by_hand.aws import get as get_item

SCHEDULER = client("scheduler")
SNS = client("sns")
SQS = client("sqs")

TOPIC = os.environ["EVENTS_TOPIC_ARN"]
GROUP = os.environ["SCHEDULE_GROUP"]
PUBLISH_QUEUE = os.environ["PUBLISH_QUEUE_URL"]

WRITERS = ("ADMIN", "EDITOR", "OWNER")
_SOON = timedelta(minutes=1)
_PAGE = 50
_OPEN = ("openAccountId", "workflowId")
_LISTED = ("dueAt", "duePartition", "listKey", "listPartition", "statusPartition")


def get(event: Event) -> dict[str, Any]:
    """GET /posts/{postId}."""
    key = admit(event)
    post, targets = _read(path(event)[1])
    member(post["workspaceId"]["S"], key["ownerUserId"]["S"])
    return _answer(post, targets, key)


def list_posts(event: Event) -> dict[str, Any]:
    """GET /posts."""
    key = admit(event)
    workspace_id = query_parameters(event)["workspaceId"]
    member(workspace_id, key["ownerUserId"]["S"])
    found = [
        row
        for partition, forward in (("UPCOMING", True), ("REST", False))
        for row in query(
            POSTS,
            "#partition = :partition",
            {":partition": f"WORKSPACE#{workspace_id}#{partition}"},
            IndexName="listing",
            Limit=_PAGE + 1,
            ScanIndexForward=forward,
            ExpressionAttributeNames={"#partition": "listPartition"},
        )
    ]
    moved = query(
        POSTS,
        "#partition = :partition AND #at > :at",
        {":partition": f"WORKSPACE#{workspace_id}", ":at": now_text(-timedelta(seconds=10))},
        IndexName="moved",
        Limit=4000,
        ScanIndexForward=False,
        ExpressionAttributeNames={"#partition": "movedPartition", "#at": "movedAt"},
    )
    wanted = list(dict.fromkeys(row["pk"]["S"] for row in (*found[:_PAGE], *moved)))
    posts = get_all(POSTS, [(pk, "POST") for pk in wanted])
    places = [
        (pk, f"TARGET#{target['S']}")
        for pk in wanted
        for target in posts[f"{pk} POST"]["targetIds"]["L"]
    ]
    targets = get_all(POSTS, places)
    documents = []
    for pk in wanted:
        post = posts[f"{pk} POST"]
        own = [targets[f"{pk} TARGET#{target['S']}"] for target in post["targetIds"]["L"]]
        documents.append(_document(post, own))
    return answer(documents, key)


def cancel(event: Event) -> dict[str, Any]:
    """POST /posts/{postId}/cancel."""
    key = admit(event)
    user_id, reason = key["ownerUserId"], body(event).get("reason")
    post, targets = _read(path(event)[1])
    now = now_text()
    at = {"S": now}
    workspace = f"WORKSPACE#{post['workspaceId']['S']}"
    former = [[now, "UPCOMING", post["listKey"]["S"]]]
    after = {
        **_without(post, "dueAt", "duePartition", "workflowId"),
        "status": {"S": "CANCELED"},
        "canceledAt": at,
        "canceledByUserId": user_id,
        "cancelReason": {"S": reason},
        "formerSpots": {"S": json.dumps(former, separators=(",", ":"))},
        "listKey": {"S": f"{now}#{post['id']['S']}"},
        "listPartition": {"S": f"{workspace}#REST"},
        "statusPartition": {"S": f"{workspace}#CANCELED"},
        "movedAt": at,
        "movedPartition": {"S": workspace},
        "revision": next_revision(post),
        "updatedAt": at,
    }
    canceled = [
        {
            **_without(target, *_OPEN),
            "status": {"S": "CANCELED"},
            "revision": next_revision(target),
            "updatedAt": at,
        }
        for target in targets
    ]
    document = _document(after, canceled)
    cancellation = {
        "targets": [{"id": target["id"]["S"], "outcome": "canceled"} for target in canceled]
    }
    told = _event(
        "post.cancelled",
        document,
        user_id,
        before=_version(post, targets),
        reason=reason,
        cancellation=cancellation,
    )
    transact(
        is_member(post["workspaceId"]["S"], user_id["S"], WRITERS),
        _changed(after, post),
        *(_changed(new, old) for new, old in zip(canceled, targets, strict=True)),
        put_new(POSTS, told),
    )
    SCHEDULER.delete_schedule(Name=post["workflowId"]["S"], GroupName=GROUP)
    _publish(told)
    return answer({**document, "cancellation": cancellation}, key, ETag=f'"{document["version"]}"')


def create(event: Event) -> dict[str, Any]:
    """POST /posts."""
    key = admit(event)
    user_id, wish = key["ownerUserId"], body(event)
    account_ids = [each["accountId"] for each in wish["platforms"]]
    place = get_item(WORKSPACES, f"ACCOUNT#{account_ids[0]}", "ACCOUNT")
    workspace_id = place["workspaceId"]["S"]
    accounts = _place(workspace_id, user_id["S"], account_ids)
    at = wish.get("scheduledFor")
    now, post_id = now_text(), new_id("post")
    workspace = f"WORKSPACE#{workspace_id}"
    targets: list[Item] = [
        {
            "pk": {"S": f"POST#{post_id}"},
            "sk": {"S": f"TARGET#{target_id}"},
            "attemptCount": {"N": "0"},
            "createdAt": {"S": now},
            "firstCommentAttempt": {"N": "0"},
            "id": {"S": target_id},
            "mediaIds": {"L": []},
            "openAccountId": {"S": account_id},
            "platform": accounts[f"{workspace} ACCOUNT#{account_id}"]["platform"],
            "postId": {"S": post_id},
            "revision": {"N": "1"},
            "socialAccountId": {"S": account_id},
            "status": {"S": "SCHEDULED" if at else "DRAFT"},
            "updatedAt": {"S": now},
            **({"scheduledFor": {"S": at}} if at else {}),
        }
        for account_id in account_ids
        for target_id in [new_id("tgt")]
    ]
    post: Item = {
        "pk": {"S": f"POST#{post_id}"},
        "sk": {"S": "POST"},
        "caption": {"S": wish["content"]},
        "createdAt": {"S": now},
        "createdByUserId": user_id,
        "createdViaApi": {"BOOL": True},
        "createdViaFlatShape": {"BOOL": True},
        "formerSpots": {"S": "[]"},
        "generation": {"N": "0"},
        "id": {"S": post_id},
        "listKey": {"S": f"{at or now}#{post_id}"},
        "listPartition": {"S": f"{workspace}#{'UPCOMING' if at else 'REST'}"},
        "media": {"S": "[]"},
        "requiresApproval": {"BOOL": False},
        "revision": {"N": "1"},
        "status": {"S": "DRAFT"},
        "targetIds": {"L": [target["id"] for target in targets]},
        "updatedAt": {"S": now},
        "workspaceId": {"S": workspace_id},
    }
    if at:
        post |= _arming(post, at, "post.scheduled")
    else:
        post["statusPartition"] = {"S": f"{workspace}#DRAFT"}
    document = _document(post, targets)
    told = _event("post.created", document, user_id, before=0)
    transact(
        is_member(workspace_id, user_id["S"], WRITERS),
        put_new(POSTS, post),
        *(put_new(POSTS, target) for target in targets),
        put_new(POSTS, told),
    )
    _publish(told)
    if at:
        post, targets, document = _arm(post, targets, user_id)
    return answer(
        document,
        key,
        201,
        Location=f"/api/v1/posts/{post_id}",
        ETag=f'"{document["version"]}"',
    )


def edit(event: Event) -> dict[str, Any]:
    """PATCH /posts/{postId}, of a draft."""
    key = admit(event)
    user_id, wish = key["ownerUserId"], body(event)
    post, targets = _read(path(event)[1])
    workspace_id = post["workspaceId"]["S"]
    _place(workspace_id, user_id["S"], [each["accountId"] for each in wish["platforms"]])
    after = {
        **post,
        "caption": {"S": wish["content"]},
        "revision": next_revision(post),
        "updatedAt": {"S": now_text()},
    }
    transact(
        *(_unchanged(target) for target in targets),
        is_member(workspace_id, user_id["S"], ("OWNER",)),
        _changed(after, post),
    )
    return _answer(after, targets, key)


def schedule(event: Event) -> dict[str, Any]:
    """POST /posts/{postId}/schedule."""
    key = admit(event)
    post, targets = _read(path(event)[1])
    _place_of(post, targets, key)
    return _scheduled(post, targets, key, body(event)["scheduledFor"], "post.scheduled")


def reschedule(event: Event) -> dict[str, Any]:
    """POST /posts/{postId}/reschedule."""
    key = admit(event)
    post, targets = _read(path(event)[1])
    _place_of(post, targets, key)
    at = body(event)["scheduledFor"]
    return _scheduled(
        post,
        targets,
        key,
        at,
        "post.rescheduled",
        lambda: SCHEDULER.delete_schedule(Name=post["workflowId"]["S"], GroupName=GROUP),
    )


def approve(event: Event) -> dict[str, Any]:
    """POST /posts/{postId}/approve."""
    key = admit(event)
    post, targets = _read(path(event)[1])
    _place_of(post, targets, key)
    approved = {**post, "approvedByUserId": key["ownerUserId"], "approvedAt": {"S": now_text()}}
    return _scheduled(approved, targets, key, post["scheduledAt"]["S"], "post.scheduled")


def delete(event: Event) -> dict[str, Any]:
    """DELETE /posts/{postId}, of a draft."""
    key = admit(event)
    user_id = key["ownerUserId"]
    post, targets = _read(path(event)[1])
    now = now_text()
    workspace = f"WORKSPACE#{post['workspaceId']['S']}"
    former = [[now, "REST", post["listKey"]["S"]]]
    after = {
        **_without(post, *_LISTED),
        "deletedAt": {"S": now},
        "formerSpots": {"S": json.dumps(former, separators=(",", ":"))},
        "movedAt": {"S": now},
        "movedPartition": {"S": workspace},
        "revision": next_revision(post),
        "updatedAt": {"S": now},
    }
    document = _document(after, targets)
    told = _event("post.deleted", document, user_id, before=_version(post, targets))
    transact(
        *(_unchanged(target) for target in targets),
        is_member(post["workspaceId"]["S"], user_id["S"], WRITERS),
        _changed(after, post),
        put_new(POSTS, told),
    )
    _publish(told)
    return answer(document, key, ETag=f'"{document["version"]}"')


def retry(event: Event) -> dict[str, Any]:
    """POST /posts/{postId}/retry."""
    key = admit(event)
    user_id = key["ownerUserId"]
    post, targets = _read(path(event)[1])
    workspace_id = post["workspaceId"]["S"]
    _place(workspace_id, user_id["S"], [])
    now = now_text()
    generation = number(post, "generation") + 1
    workflow_id = {"S": f"{post['id']['S']}-{generation}"}
    after = {
        **_without(post, "statusPartition"),
        "generation": {"N": str(generation)},
        "status": {"S": "PUBLISHING"},
        "statusPartition": {"S": f"WORKSPACE#{workspace_id}#PUBLISHING"},
        "workflowId": workflow_id,
        "dueAt": {"S": now_text(_SOON)},
        "duePartition": shard("DUE", post["id"]["S"]),
        "revision": next_revision(post),
        "updatedAt": {"S": now},
    }
    again = [
        {
            **_without(target, "errorCode", "errorMessage", "claimId"),
            "openAccountId": target["socialAccountId"],
            "status": {"S": "SCHEDULED"},
            "workflowId": workflow_id,
            "revision": next_revision(target),
            "updatedAt": {"S": now},
        }
        for target in targets
    ]
    transact(
        is_member(workspace_id, user_id["S"], WRITERS),
        _changed(after, post),
        *(_changed(new, old) for new, old in zip(again, targets, strict=True)),
    )
    _send_to_publish(again)
    return _answer(after, again, key)


def retry_first_comment(event: Event) -> dict[str, Any]:
    """POST /posts/{postId}/targets/{targetId}/retry-first-comment."""
    key = admit(event)
    user_id = key["ownerUserId"]
    _, post_id, _, target_id, _ = path(event)
    post, targets = _read(post_id)
    now = now_text()
    old = next(target for target in targets if target["id"]["S"] == target_id)
    asked = {
        **old,
        "firstCommentError": {"S": "FIRST_COMMENT_PENDING"},
        "firstCommentRetriedAt": {"S": now},
        "revision": next_revision(old),
        "updatedAt": {"S": now},
    }
    after = {
        **post,
        "dueAt": {"S": now_text(_SOON)},
        "duePartition": shard("DUE", post_id),
        "revision": next_revision(post),
        "updatedAt": {"S": now},
    }
    transact(
        *(_unchanged(target) for target in targets if target is not old),
        is_member(post["workspaceId"]["S"], user_id["S"], WRITERS),
        _changed(after, post),
        _changed(asked, old),
    )
    _send_to_publish([asked])
    return _answer(after, [asked if target is old else target for target in targets], key)


def _read(post_id: str) -> tuple[Item, list[Item]]:
    post, *rows = query(
        POSTS,
        "#pk = :pk AND #sk BETWEEN :first AND :last",
        {":pk": f"POST#{post_id}", ":first": "POST", ":last": "TARGET#~"},
        ConsistentRead=True,
        ScanIndexForward=True,
        ExpressionAttributeNames={"#pk": "pk", "#sk": "sk"},
    )
    targets = {row["id"]["S"]: row for row in rows}
    return post, [targets[target["S"]] for target in post["targetIds"]["L"]]


def _place(workspace_id: str, user_id: str, account_ids: Sequence[str]) -> dict[str, Item]:
    """Read a workspace with a member and accounts."""
    rows = ["WORKSPACE", f"MEMBER#{user_id}", *(f"ACCOUNT#{each}" for each in account_ids)]
    return get_all(WORKSPACES, [(f"WORKSPACE#{workspace_id}", row) for row in rows])


def _place_of(post: Item, targets: Sequence[Item], key: Item) -> None:
    accounts = [target["socialAccountId"]["S"] for target in targets]
    _place(post["workspaceId"]["S"], key["ownerUserId"]["S"], accounts)


def _scheduled(
    post: Item,
    targets: list[Item],
    key: Item,
    at: str,
    tells: str,
    disarm: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """Put a post in force for a moment, in two phases, and answer."""
    now = now_text()
    after = {
        **_without(post, "workflowId", "statusPartition"),
        **_arming(post, at, tells),
        "revision": next_revision(post),
        "updatedAt": {"S": now},
        "listKey": {"S": f"{at}#{post['id']['S']}"},
        "listPartition": {"S": f"WORKSPACE#{post['workspaceId']['S']}#UPCOMING"},
    }
    if post["listKey"] != after["listKey"]:
        spot = [now, post["listPartition"]["S"].rpartition("#")[2], post["listKey"]["S"]]
        after["formerSpots"] = {"S": json.dumps([spot], separators=(",", ":"))}
        after["movedAt"] = {"S": now}
        after["movedPartition"] = {"S": f"WORKSPACE#{post['workspaceId']['S']}"}
    timed = [
        {
            **_without(target, "workflowId"),
            "status": {"S": "SCHEDULED"},
            "scheduledFor": {"S": at},
            "revision": next_revision(target),
            "updatedAt": {"S": now},
        }
        for target in targets
    ]
    transact(
        is_member(post["workspaceId"]["S"], key["ownerUserId"]["S"], WRITERS),
        _changed(after, post),
        *(_changed(new, old) for new, old in zip(timed, targets, strict=True)),
    )
    disarm()
    _, _, document = _arm(after, timed, key["ownerUserId"])
    return answer(document, key, ETag=f'"{document["version"]}"')


def _arming(post: Item, at: str, tells: str) -> Item:
    """Return what makes a post one that is being put in force for a moment."""
    generation = number(post, "generation") + 1
    return {
        "dueAt": {"S": now_text(_SOON)},
        "duePartition": shard("ARMING", post["id"]["S"]),
        "generation": {"N": str(generation)},
        "pendingEvent": {"S": tells},
        "pendingWorkflowId": {"S": f"{post['id']['S']}-{generation}"},
        "scheduledAt": {"S": at},
        "status": {"S": "SCHEDULED"},
    }


def _arm(
    post: Item, targets: Sequence[Item], user_id: Item
) -> tuple[Item, list[Item], dict[str, Any]]:
    """Make the schedule that a post waits for, and put it in force."""
    workflow_id, at = post["pendingWorkflowId"], post["scheduledAt"]["S"]
    SCHEDULER.create_schedule(
        Name=workflow_id["S"],
        GroupName=GROUP,
        ScheduleExpression=f"at({at[:19]})",
        ScheduleExpressionTimezone="UTC",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target={
            "Arn": os.environ["START_PUBLISH_ARN"],
            "RoleArn": os.environ["SCHEDULE_ROLE_ARN"],
            "Input": json.dumps({"postId": post["id"]["S"], "workflowId": workflow_id["S"]}),
            "RetryPolicy": {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 10},
            "DeadLetterConfig": {"Arn": os.environ["SCHEDULE_DLQ_ARN"]},
        },
    )
    now = now_text()
    after = {
        **_without(post, "pendingWorkflowId", "pendingEvent"),
        "dueAt": {"S": at},
        "duePartition": shard("DUE", post["id"]["S"]),
        "workflowId": workflow_id,
        "revision": next_revision(post),
        "updatedAt": {"S": now},
    }
    armed = [
        {
            **target,
            "workflowId": workflow_id,
            "revision": next_revision(target),
            "updatedAt": {"S": now},
        }
        for target in targets
    ]
    document = _document(after, armed)
    told = _event(post["pendingEvent"]["S"], document, user_id, before=_version(post, targets))
    transact(
        _changed(after, post),
        *(_changed(new, old) for new, old in zip(armed, targets, strict=True)),
        put_new(POSTS, told),
    )
    _publish(told)
    return after, armed, document


def _as_read(item: Item) -> dict[str, Any]:
    """Return the condition that a row is as it was read."""
    values = {":revision": item["revision"], ":status": item["status"]}
    workflow = "attribute_not_exists(#workflow)"
    if "workflowId" in item:
        workflow = "#workflow = :workflow"
        values[":workflow"] = item["workflowId"]
    return {
        "ConditionExpression": f"{workflow} AND #revision = :revision AND #status = :status",
        "ExpressionAttributeNames": {
            "#workflow": "workflowId",
            "#revision": "revision",
            "#status": "status",
        },
        "ExpressionAttributeValues": values,
    }


def _changed(item: Item, old: Item) -> Item:
    return {
        "Put": {
            "TableName": POSTS,
            "Item": item,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **_as_read(old),
        }
    }


def _unchanged(item: Item) -> Item:
    key = {"pk": item["pk"], "sk": item["sk"]}
    return {"ConditionCheck": {"TableName": POSTS, "Key": key, **_as_read(item)}}


def _without(item: Item, *names: str) -> Item:
    return {name: value for name, value in item.items() if name not in names}


def _version(post: Item, targets: Sequence[Item]) -> int:
    return sum(number(item, "revision") for item in (post, *targets))


def _answer(post: Item, targets: Sequence[Item], key: Item) -> dict[str, Any]:
    document = _document(post, targets)
    return answer(document, key, ETag=f'"{document["version"]}"')


def _document(post: Item, targets: Sequence[Item]) -> dict[str, Any]:
    return {
        "id": post["id"]["S"],
        "workspaceId": post["workspaceId"]["S"],
        "createdByUserId": post["createdByUserId"]["S"],
        "status": post["status"]["S"],
        "caption": text(post, "caption"),
        "scheduledAt": text(post, "scheduledAt"),
        "timezone": text(post, "timezone"),
        "workflowId": text(post, "workflowId"),
        "pendingWorkflowId": text(post, "pendingWorkflowId"),
        "approvedByUserId": text(post, "approvedByUserId"),
        "approvedAt": text(post, "approvedAt"),
        "createdViaApi": post["createdViaApi"]["BOOL"],
        "createdViaFlatShape": post["createdViaFlatShape"]["BOOL"],
        "deletedAt": text(post, "deletedAt"),
        "canceledAt": text(post, "canceledAt"),
        "cancelReason": text(post, "cancelReason"),
        "canceledByUserId": text(post, "canceledByUserId"),
        "version": _version(post, targets),
        "createdAt": post["createdAt"]["S"],
        "updatedAt": post["updatedAt"]["S"],
        "targets": [_target(target) for target in targets],
        "media": json.loads(post["media"]["S"]),
    }


def _target(target: Item) -> dict[str, Any]:
    options = text(target, "platformOptions")
    return {
        "id": target["id"]["S"],
        "postId": target["postId"]["S"],
        "socialAccountId": target["socialAccountId"]["S"],
        "platform": target["platform"]["S"],
        "status": target["status"]["S"],
        "captionOverride": text(target, "captionOverride"),
        "firstComment": text(target, "firstComment"),
        "firstCommentError": text(target, "firstCommentError"),
        "firstCommentAttempt": number(target, "firstCommentAttempt"),
        "platformOptions": None if options is None else json.loads(options),
        "mediaIds": [each["S"] for each in target["mediaIds"]["L"]],
        "scheduledFor": text(target, "scheduledFor"),
        "publishedAt": text(target, "publishedAt"),
        "externalPostId": text(target, "externalPostId"),
        "externalUrl": text(target, "externalUrl"),
        "errorCode": text(target, "errorCode"),
        "errorMessage": text(target, "errorMessage"),
        "attemptCount": number(target, "attemptCount"),
        "lastAttemptAt": text(target, "lastAttemptAt"),
        "createdAt": target["createdAt"]["S"],
        "updatedAt": target["updatedAt"]["S"],
    }


def _event(
    kind: str,
    document: Mapping[str, Any],
    user_id: Item,
    *,
    before: int,
    reason: str | None = None,
    **more: Any,
) -> Item:
    event_id, now = new_id("evt"), now_text()
    payload = {
        "eventId": event_id,
        "occurredAt": now,
        "workspaceId": document["workspaceId"],
        "post": document,
        **more,
    }
    return {
        "pk": {"S": f"POST#{document['id']}"},
        "sk": {"S": f"EVENT#{event_id}"},
        "actor": user_id,
        "id": {"S": event_id},
        "occurredAt": {"S": now},
        "payload": {"S": json.dumps(payload, separators=(",", ":"))},
        "pendingPartition": shard("PENDING", event_id),
        "pendingSince": {"S": now},
        "postId": {"S": document["id"]},
        "revision": {"N": "1"},
        "type": {"S": kind},
        "versionAfter": {"N": str(document["version"])},
        "versionBefore": {"N": str(before)},
        "workspaceId": {"S": document["workspaceId"]},
        **({"reason": {"S": reason}} if reason else {}),
    }


def _publish(told: Item) -> None:
    message = {"postId": told["postId"]["S"], "eventId": told["id"]["S"]}
    SNS.publish(TopicArn=TOPIC, Message=json.dumps(message))


def _send_to_publish(targets: Sequence[Item]) -> None:
    SQS.send_message_batch(
        QueueUrl=PUBLISH_QUEUE,
        Entries=[
            {
                "Id": str(number),
                "MessageBody": json.dumps(
                    {
                        "action": "publish",
                        "postId": target["postId"]["S"],
                        "targetId": target["id"]["S"],
                        "workflowId": target["workflowId"]["S"],
                    }
                ),
                "DelaySeconds": 0,
            }
            for number, target in enumerate(targets)
        ],
    )
