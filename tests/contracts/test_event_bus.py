"""What every event bus promises."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from postbreeze.adapters.sns import SnsEventBus
from postbreeze.operations.ports import EventBus
from tests.support.aws import Aws
from tests.support.builders import an_event
from tests.support.fakes import FakeEventBus


@dataclass
class Topic:
    bus: EventBus
    heard: Callable[[int], list[tuple[str, str]]]
    """Returns that many announcements as a subscriber has them."""
    groups: list[str | None]
    """The message groups that they came in, where there is a queue."""


@pytest.fixture
def topic(aws: Aws | None) -> Topic:
    if aws is None:
        fake = FakeEventBus()
        return Topic(fake, lambda wanted: fake.announced, [])
    queue = aws.queue()
    groups: list[str | None] = []

    def heard(wanted: int) -> list[tuple[str, str]]:
        messages = aws.received(queue, wanted)
        groups.extend(each.get("Attributes", {}).get("MessageGroupId") for each in messages)
        bodies = [json.loads(message["Body"]) for message in messages]
        assert all(body.keys() == {"postId", "eventId"} for body in bodies)
        return [(body["postId"], body["eventId"]) for body in bodies]

    return Topic(SnsEventBus(aws.clients.sns(), topic_arn=aws.topic_to(queue)), heard, groups)


def test_subscribers_hear_the_ids_of_every_event(topic: Topic) -> None:
    # Given
    one, other = an_event(), an_event()
    # When
    for event in (one, other, one):
        topic.bus.announce(event)
    # Then
    ids = [(event.post_id, event.id) for event in (one, one, other)]
    assert sorted(topic.heard(3)) == sorted(ids)
    # And each workspace is a group, which the queue is fair over
    assert set(topic.groups) <= {one.workspace_id}


@pytest.mark.parametrize("number", [0, 1, 10, 11, 25])
def test_many_events_are_announced_each_once(topic: Topic, number: int) -> None:
    # Given
    events = [(f"post_{each:02}", f"evt_{each:02}") for each in range(number)]
    # When
    topic.bus.announce_all(events)
    # Then
    assert sorted(topic.heard(number)) == events
