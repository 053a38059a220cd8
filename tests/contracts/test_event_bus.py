"""What every event bus promises."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from postbreeze.adapters.sns import SnsEventBus
from postbreeze.operations.ports import EventBus
from tests.support.aws import Aws
from tests.support.fakes import FakeEventBus


@dataclass
class Topic:
    bus: EventBus
    heard: Callable[[int], list[tuple[str, str]]]
    """Returns that many announcements as a subscriber has them."""


@pytest.fixture
def topic(aws: Aws | None) -> Topic:
    if aws is None:
        fake = FakeEventBus()
        return Topic(fake, lambda wanted: fake.announced)
    queue = aws.queue()

    def heard(wanted: int) -> list[tuple[str, str]]:
        bodies = [json.loads(message["Body"]) for message in aws.received(queue, wanted)]
        assert all(body.keys() == {"postId", "eventId"} for body in bodies)
        return [(body["postId"], body["eventId"]) for body in bodies]

    return Topic(SnsEventBus(aws.clients.sns(), topic_arn=aws.topic_to(queue)), heard)


def test_subscribers_hear_the_ids_of_every_event(topic: Topic) -> None:
    # When
    topic.bus.announce("post_1", "evt_1")
    topic.bus.announce("post_2", "evt_2")
    topic.bus.announce("post_1", "evt_1")
    # Then
    assert sorted(topic.heard(3)) == [("post_1", "evt_1"), ("post_1", "evt_1"), ("post_2", "evt_2")]


@pytest.mark.parametrize("number", [0, 1, 10, 11, 25])
def test_many_events_are_announced_each_once(topic: Topic, number: int) -> None:
    # Given
    events = [(f"post_{each:02}", f"evt_{each:02}") for each in range(number)]
    # When
    topic.bus.announce_all(events)
    # Then
    assert sorted(topic.heard(number)) == events
