"""The tools that other tests rely on to tell the truth."""

from __future__ import annotations

import pytest

from postbreeze.domain.errors import LostRaceError, UnavailableError
from postbreeze.domain.post import PostStatus
from tests.support.aws import on_moto
from tests.support.builders import a_post, added
from tests.support.fakes import World
from tests.support.faults import after, before, faulty, through
from tests.support.round_trips import round_trips


def test_faults_come_in_order_and_then_no_more() -> None:
    # Given
    world = World()
    posts = faulty(
        world.posts, commit=[before(), through(), after(), before(LostRaceError("custom"))]
    )
    one, two, three = a_post(), a_post(), a_post()
    # When / Then the first never arrives
    with pytest.raises(UnavailableError, match="never arrived"):
        posts.commit(added(one))
    assert posts.read(one.id) is None
    # And the second does
    posts.commit(added(one))
    assert posts.read(one.id) == one
    # And the third does too, though nobody is told
    with pytest.raises(UnavailableError, match="answer lost"):
        posts.commit(added(two))
    assert posts.read(two.id) == two
    # And the fourth fails in a way of its own
    with pytest.raises(LostRaceError):
        posts.commit(added(three))
    # And then all is well
    posts.commit(added(three))
    assert posts.read(three.id) == three
    assert world.posts.calls == {"commit": 3, "read": 4}


def test_a_fault_of_a_method_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(AttributeError):
        faulty(World().posts, comit=[before()])


def test_round_trips_are_counted_while_the_block_runs() -> None:
    with on_moto() as aws:
        client = aws.clients.dynamodb()
        with round_trips(client) as trips:
            client.list_tables()
            client.list_tables()
        client.list_tables()
    assert trips.sent == ["dynamodb.ListTables"] * 2
    assert trips.of("sns") == []
    assert len(set(trips.threads)) == 1


@pytest.mark.parametrize("status", PostStatus)
def test_a_built_post_fits_together(status: PostStatus) -> None:
    post = a_post(status)
    assert post.status is status
    assert all(target.post_id == post.id for target in post.targets)
    armed = status in {PostStatus.SCHEDULED, PostStatus.PUBLISHING}
    assert (post.workflow_id == f"{post.id}-{post.generation}") == armed
    assert (post.attention_at is not None) == armed
    assert len({target.id for target in post.targets}) == len(post.targets)
