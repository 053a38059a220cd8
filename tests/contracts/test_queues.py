"""What the queues of work promise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from postbreeze.adapters.sns import SnsEventBus
from postbreeze.adapters.sqs import SqsDeliveryQueue, SqsPublishQueue, SqsWorkQueues
from postbreeze.domain.changes import PublishTarget, ResolveTarget
from postbreeze.domain.webhook import Lane
from postbreeze.operations.ports import Work, WorkQueues
from postbreeze.operations.webhook_ports import DeliveryQueue
from tests.support.aws import Aws
from tests.support.fakes import (
    FakeDeliveryQueue,
    FakeEventBus,
    FakePublishQueue,
    FakeWorkQueues,
    QueuedDelivery,
)

RESOLVE = ResolveTarget(
    workspace_id="ws_2", post_id="post_2", target_id="tgt_x", claim_id="claim-1"
)


def publish(number: int, delay_seconds: int = 0) -> PublishTarget:
    return PublishTarget(
        workspace_id="ws_1",
        post_id="post_1",
        target_id=f"tgt_{number:02}",
        workflow_id="post_1-1",
        delay_seconds=delay_seconds,
    )


def as_value(message: Mapping[str, Any]) -> PublishTarget | ResolveTarget:
    """Read a message the way ``publish_target`` does, and its group."""
    workspace = message["Attributes"]["MessageGroupId"]
    match json.loads(message["Body"]):
        case {"action": "publish", "postId": post, "targetId": target, "workflowId": workflow}:
            return PublishTarget(
                workspace_id=workspace, post_id=post, target_id=target, workflow_id=workflow
            )
        case {"action": "resolve", "postId": post, "targetId": target, "claimId": claim}:
            return ResolveTarget(
                workspace_id=workspace, post_id=post, target_id=target, claim_id=claim
            )
    raise AssertionError(message)


@pytest.mark.parametrize("number", [0, 1, 10, 11, 51])
def test_every_message_is_sent_once_with_its_workspace_as_group(
    aws: Aws | None, number: int
) -> None:
    # Given
    messages: list[PublishTarget | ResolveTarget] = [
        *(publish(each) for each in range(number)),
        *([RESOLVE] if number else []),
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
            [as_value(message) for message in aws.received(url, len(messages))] if messages else []
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


def test_what_waits_is_counted_by_its_kind_and_not_what_is_sent_for_later(aws: Aws | None) -> None:
    # Given queues, one of which is worked on
    events = [("post_1", f"evt_{number}") for number in range(4)]
    if aws is None:
        bus, publications, deliveries = FakeEventBus(), FakePublishQueue(), FakeDeliveryQueue()
        queues: WorkQueues = FakeWorkQueues(bus, publications, deliveries)
        bus.announce_all(events)
        publications.send([publish(1), publish(2, delay_seconds=300), RESOLVE])
        deliveries.send_all([("wh_1", "dlv_1"), ("wh_1", "dlv_2")])
        deliveries.send("wh_1", "dlv_3", lane=Lane.LATE)
        deliveries.send("wh_1", "dlv_4", delay_seconds=300, lane=Lane.LATE)
    else:
        sqs = aws.clients.sqs()
        fan_out, publish_url = aws.queue(), aws.queue()
        urls = {each: aws.queue() for each in Lane}
        queues = SqsWorkQueues(
            sqs,
            queue_urls={
                Work.EVENTS: [fan_out],
                Work.PUBLICATIONS: [publish_url],
                Work.DELIVERIES: list(urls.values()),
            },
        )
        SnsEventBus(aws.clients.sns(), topic_arn=aws.topic_to(fan_out)).announce_all(events)
        SqsPublishQueue(sqs, queue_url=publish_url).send(
            [publish(1), publish(2, delay_seconds=300), RESOLVE]
        )
        lanes = delivery_queue(aws, urls)
        lanes.send_all([("wh_1", "dlv_1"), ("wh_1", "dlv_2")])
        lanes.send("wh_1", "dlv_3", lane=Lane.LATE)
        lanes.send("wh_1", "dlv_4", delay_seconds=300, lane=Lane.LATE)
        sqs.receive_message(QueueUrl=fan_out, MaxNumberOfMessages=1, VisibilityTimeout=60)
    # When / Then
    assert {work: queues.waiting(work) for work in Work} == {
        Work.EVENTS: 4,
        Work.PUBLICATIONS: 2,
        Work.DELIVERIES: 3,
    }


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
    (message,) = sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
    )["Messages"]
    assert as_value(message) == publish(2)
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessagesDelayed"] == "2"


def test_a_workspace_with_a_backlog_lets_the_next_one_go_first(engine: Aws) -> None:
    # Given a backlog of one workspace that is being worked on
    url, sqs = engine.queue(), engine.clients.sqs()
    queue = SqsPublishQueue(sqs, queue_url=url)
    queue.send([publish(number) for number in range(30)])
    sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    # When another asks for something
    queue.send([RESOLVE])
    # Then that is next
    (message,) = engine.received(url, 1)[:1]
    assert as_value(message) == RESOLVE
