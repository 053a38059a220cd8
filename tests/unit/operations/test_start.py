"""Answering fires."""

from __future__ import annotations

from datetime import timedelta

import pytest

from postbreeze.domain.errors import UnavailableError
from postbreeze.domain.post import PostStatus
from tests.support.core import A_MINUTE, AN_HOUR, Core


@pytest.fixture
def core() -> Core:
    return Core()


def test_a_fire_sends_one_message_for_each_target(core: Core) -> None:
    # Given
    post = core.created(3)
    core.advance(AN_HOUR)
    # When / Then
    assert core.start(post.id, f"{post.id}-1")
    assert [message.target_id for message in core.publish_queue.sent] == [
        target.id for target in post.targets
    ]
    assert core.post(post.id).status is PostStatus.PUBLISHING


def test_a_fire_that_comes_twice_publishes_once(core: Core) -> None:
    # Given
    post = core.created(2)
    core.advance(AN_HOUR)
    # When
    calls = core.recorded()
    assert core.start(post.id, f"{post.id}-1")
    assert core.start(post.id, f"{post.id}-1")
    # Then
    assert calls.count("posts.commit") == 1
    core.drain()
    core.check()
    assert len(core.watched.sent) == 2


@pytest.mark.parametrize("generation", [0, 2])
def test_a_fire_that_is_not_of_the_arming_in_force_is_answered_and_does_nothing(
    core: Core, generation: int
) -> None:
    # Given
    post = core.created()
    # When / Then
    assert not core.start(post.id, f"{post.id}-{generation}")
    assert core.telemetry.counts["StaleFire"] == 1
    assert core.post(post.id) == post


def test_a_fire_for_a_cancelled_post_or_none_does_nothing(core: Core) -> None:
    # Given
    post = core.created()
    core.cancel(post.id)
    # When / Then
    assert not core.start(post.id, f"{post.id}-1")
    assert not core.start("post_00000000000000000000000000", "any")
    assert core.publish_queue.sent == []


def test_a_fire_more_than_an_hour_late_publishes_nothing(core: Core) -> None:
    # Given
    post = core.created()
    core.advance(2 * AN_HOUR + timedelta(milliseconds=1))
    # When
    assert core.start(post.id, f"{post.id}-1")
    # Then
    assert core.post(post.id).status is PostStatus.FAILED
    assert core.publish_queue.sent == []
    core.drain()
    core.check()
    assert core.received()[-1] == "post.failed"


def test_a_fire_whose_messages_could_not_be_sent_is_repeated_and_sends_them(core: Core) -> None:
    # Given
    post = core.created()
    core.advance(AN_HOUR)
    core.fails("publish_queue.send", UnavailableError())
    with pytest.raises(UnavailableError):
        core.start(post.id, f"{post.id}-1")
    assert core.post(post.id).status is PostStatus.PUBLISHING
    # When
    assert core.start(post.id, f"{post.id}-1")
    # Then
    assert len(core.publish_queue.sent) == 2


def test_a_starter_that_died_after_its_commit_is_made_up_for(core: Core) -> None:
    # Given
    post = core.created()
    core.advance(AN_HOUR)
    core.dies_after(2, lambda: core.start(post.id, f"{post.id}-1"))
    assert core.publish_queue.sent == []
    core.schedules.armed.clear()
    # When
    core.advance(3 * A_MINUTE)
    counts = core.reconcile()
    # Then
    assert counts["StalledTargetSent"] == 1
    core.drain()
    core.check()
    assert core.post(post.id).status is PostStatus.PUBLISHED
