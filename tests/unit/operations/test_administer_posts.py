"""A post, as the operator sees it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postbreeze.domain import ids
from postbreeze.domain.changes import ArmSchedule
from postbreeze.domain.errors import NotFoundError, ValidationError
from postbreeze.domain.post import PostStatus
from tests.support.builders import LATER, a_post, added, an_event, an_id
from tests.support.fakes import START
from tests.support.operators import FakeOperator


def test_a_post_is_shown_with_its_timeline_and_its_timer() -> None:
    # Given
    operator = FakeOperator()
    post = a_post(PostStatus.SCHEDULED)
    assert post.workflow_id is not None
    event = an_event(post)
    operator.world.posts.commit(added(post, event))
    operator.world.schedules.arm(
        ArmSchedule(post_id=post.id, workflow_id=post.workflow_id, at=LATER)
    )
    # When
    view = operator.posts.show(post.id)
    # Then
    assert (view.post, view.timeline) == (post, [event])
    assert view.schedules == {post.workflow_id: True}


@pytest.mark.parametrize("generation", [1, 3])
def test_the_last_timer_of_a_cancelled_post_is_looked_for(generation: int) -> None:
    # Given
    operator = FakeOperator()
    post = replace(a_post(PostStatus.CANCELED), generation=generation, workflow_id=None)
    operator.world.posts.commit(added(post))
    # When
    view = operator.posts.show(post.id)
    # Then
    assert view.schedules == {f"{post.id}-{generation}": False}


def test_the_timer_that_a_post_is_to_get_next_is_looked_for() -> None:
    # Given a post whose timer nobody may have set yet
    operator = FakeOperator()
    post = replace(a_post(pending=True), generation=2, pending_workflow_id="next")
    operator.world.posts.commit(added(post))
    # Then
    assert operator.posts.show(post.id).schedules == {"next": False}


def test_a_deleted_draft_is_shown_and_never_had_a_timer() -> None:
    # Given
    operator = FakeOperator()
    post = replace(a_post(PostStatus.DRAFT), deleted_at=START)
    operator.world.posts.commit(added(post))
    # When
    view = operator.posts.show(post.id)
    # Then
    assert (view.post.deleted_at, view.schedules) == (START, {})


def test_a_post_that_is_not_there() -> None:
    posts = FakeOperator().posts
    with pytest.raises(NotFoundError):
        posts.show(an_id(ids.POST))
    with pytest.raises(ValidationError, match="post"):
        posts.show("post_1")


def test_the_timer_in_force_is_looked_for_whatever_the_last_one_was() -> None:
    # Given
    operator = FakeOperator()
    post = replace(a_post(PostStatus.PUBLISHING), generation=3, workflow_id="in-force")
    operator.world.posts.commit(added(post))
    # Then
    assert operator.posts.show(post.id).schedules == {"in-force": False}
