"""What the queues of work promise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from postbreeze.adapters.sqs import SqsDeliveryQueue, SqsPublishQueue
from postbreeze.domain.changes import PublishTarget, ResolveTarget
from postbreeze.domain.webhook import Lane
from postbreeze.operations.ports import DeliveryQueue
from tests.support.aws import Aws
from tests.support.fakes import FakeDeliveryQueue, FakePublishQueue, QueuedDelivery


def publish(number: int, delay_seconds: int = 0) -> PublishTarget:
    return PublishTarget(
        post_id="post_1",
        target_id=f"tgt_{number:02}",
        workflow_id="post_1-1",
        delay_seconds=delay_seconds,
    )


def as_value(body: dict[str, str]) -> PublishTarget | ResolveTarget:
    """Read a message the way ``publish_target`` does."""
    match body:
        case {"action": "publish", "postId": post, "targetId": target, "workflowId": workflow}:
            return PublishTarget(post_id=post, target_id=target, workflow_id=workflow)
        case {"action": "resolve", "postId": post, "targetId": target, "claimId": claim}:
            return ResolveTarget(post_id=post, target_id=target, claim_id=claim)
    raise AssertionError(body)


@pytest.mark.parametrize("number", [0, 1, 10, 11, 51])
def test_every_message_is_sent_once(aws: Aws | None, number: int) -> None:
    # Given
    messages: list[PublishTarget | ResolveTarget] = [
        *(publish(each) for each in range(number)),
        *([ResolveTarget(post_id="post_2", target_id="tgt_x", claim_id="c")] if number else []),
    ]
    # When
    if aws is None:
        fake = FakePublishQueue()
        fake.send(messages)
        received = fake.sent
    else:
        url = aws.queue()
        SqsPublishQueue(aws.clients.sqs(), queue_url=url).send(messages)
        received = (
            [as_value(json.loads(message["Body"])) for message in aws.received(url, len(messages))]
            if messages
            else []
        )
    # Then
    assert sorted(received, key=repr) == sorted(messages, key=repr)


@pytest.mark.parametrize("lane", Lane)
def test_a_delivery_is_sent_by_its_lane_with_its_endpoint_as_group(
    aws: Aws | None, lane: Lane
) -> None:
    # When / Then
    if aws is None:
        fake = FakeDeliveryQueue()
        fake.send("wh_1", "dlv_1", lane=lane)
        assert fake.sent == [QueuedDelivery(endpoint_id="wh_1", delivery_id="dlv_1", lane=lane)]
        return
    urls = {each: aws.queue() for each in Lane}
    delivery_queue(aws, urls).send("wh_1", "dlv_1", lane=lane)
    (message,) = aws.received(urls[lane], 1)
    assert json.loads(message["Body"]) == {
        "endpointId": "wh_1",
        "deliveryId": "dlv_1",
        "lane": lane.value,
    }
    attributes: dict[str, Any] = message.get("Attributes", {})
    assert attributes.get("MessageGroupId") == "wh_1"


@pytest.mark.parametrize("lane", Lane)
@pytest.mark.parametrize("number", [0, 1, 10, 11, 25])
def test_many_deliveries_are_sent_each_once_with_its_group(
    aws: Aws | None, number: int, lane: Lane
) -> None:
    # Given
    deliveries = [(f"wh_{each % 3}", f"dlv_{each:02}") for each in range(number)]
    # When / Then
    if aws is None:
        fake = FakeDeliveryQueue()
        fake.send_all(deliveries, lane=lane)
        sent = [(each.endpoint_id, each.delivery_id, each.lane) for each in fake.sent]
        assert sent == [(*delivery, lane) for delivery in deliveries]
        return
    urls = {each: aws.queue() for each in Lane}
    delivery_queue(aws, urls).send_all(deliveries, lane=lane)
    received = aws.received(urls[lane], number)
    bodies = [json.loads(message["Body"]) for message in received]
    groups = [message.get("Attributes", {}).get("MessageGroupId") for message in received]
    arrived = sorted((body["endpointId"], body["deliveryId"], body["lane"]) for body in bodies)
    assert arrived == sorted((*delivery, lane.value) for delivery in deliveries)
    assert groups == [body["endpointId"] for body in bodies]


def delivery_queue(aws: Aws, urls: Mapping[Lane, str]) -> DeliveryQueue:
    return SqsDeliveryQueue(
        aws.clients.sqs(), queue_url=urls[Lane.PROMPT], late_queue_url=urls[Lane.LATE]
    )


@pytest.mark.parametrize("place", ["moto", "engine"])
def test_a_delayed_message_is_not_there_yet(request: pytest.FixtureRequest, place: str) -> None:
    # Given
    aws: Aws = request.getfixturevalue(place)
    url = aws.queue()
    sqs = aws.clients.sqs()
    # When
    SqsPublishQueue(sqs, queue_url=url).send([publish(1, delay_seconds=60), publish(2)])
    SqsDeliveryQueue(sqs, queue_url=url).send("wh_1", "dlv_1", delay_seconds=60)
    # Then
    (message,) = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert as_value(json.loads(message["Body"])) == publish(2)
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessagesDelayed"] == "2"
