"""Deleting posts as clients do: what is deleted never begins to be published."""

from __future__ import annotations

import pytest

from postbreeze.domain.errors import NotFoundError
from postbreeze.domain.post import PostStatus, TargetStatus
from postbreeze.operations.answers import Idempotency
from tests.support.core import AN_HOUR, Core
from tests.support.platforms import Accident


@pytest.fixture
def core() -> Core:
    return Core()


def test_a_scheduled_post_is_cancelled_and_deleted_in_one(core: Core) -> None:
    # Given
    post = core.created()
    # When
    body = core.delete(post.id).body
    # Then
    assert body["deletedAt"] is not None
    assert (body["status"], body["workflowId"]) == ("CANCELED", None)
    assert [each["outcome"] for each in body["cancellation"]["targets"]] == ["canceled"] * 2
    assert sorted(core.events(post.id)[-2:]) == ["post.cancelled", "post.deleted"]
    assert core.schedules.armed == {}
    core.drain()
    core.check()
    assert core.platform.attempts.total() == 0
    assert {"post.cancelled", "post.deleted"} <= set(core.received())


def test_a_draft_is_deleted_without_a_cancel(core: Core) -> None:
    post = core.created(scheduled_for=None)
    body = core.delete(post.id).body
    assert "cancellation" not in body
    assert (body["status"], core.events(post.id)) == ("DRAFT", ["post.created", "post.deleted"])
    core.drain()
    core.check()


def test_a_second_deletion_finds_nothing_unless_it_is_a_repeat(core: Core) -> None:
    # Given
    key = Idempotency(key="try-1", request_digest="digest")
    post = core.created()
    first = core.delete(post.id, idempotency=key)
    # When / Then
    with pytest.raises(NotFoundError):
        core.delete(post.id)
    again = core.delete(post.id, idempotency=key)
    assert (again.body, again.replayed) == (first.body, True)
    assert core.events(post.id).count("post.deleted") == 1


@pytest.mark.parametrize("accident", [None, *Accident])
def test_what_is_in_flight_ends_and_nothing_else_begins(
    core: Core, accident: Accident | None
) -> None:
    # Given a deletion while the first target's platform is called
    post = core.created(2)
    core.advance(AN_HOUR)
    core.platform.publish_accidents.append(accident)
    core.fire_due()
    told: list[str] = []

    def deleted() -> None:
        body = core.delete(post.id).body
        told.extend(each["outcome"] for each in body["cancellation"]["targets"])

    core.before("platform.publish", deleted)
    # When
    core.drain_messages()
    core.drain()
    # Then
    core.check()
    assert sorted(told) == ["canceled", "in_flight"]
    assert core.platform.attempts.total() == 1
    end = core.post(post.id)
    assert end.status is PostStatus.CANCELED
    assert end.attention_at is None
    assert TargetStatus.CANCELED in {target.status for target in end.targets}


def test_an_old_fire_and_old_messages_publish_nothing_of_a_deleted_post(core: Core) -> None:
    # Given
    post = core.created()
    core.advance(AN_HOUR)
    core.start(post.id, f"{post.id}-1")
    core.delete(post.id)
    # When
    assert core.start(post.id, f"{post.id}-1") is False
    core.drain()
    # Then
    core.check()
    assert core.platform.prepares.total() == 0
