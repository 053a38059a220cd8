"""What every post store promises to those who list its posts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from postbreeze.adapters.concurrency import ThreadPool
from postbreeze.adapters.dynamodb.posts import DynamoPostStore
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.domain import ids, lifecycle
from postbreeze.domain.changes import change
from postbreeze.domain.listing import REST_BEGINS, UPCOMING_BEGINS, spot_of
from postbreeze.domain.post import Post, PostStatus, TargetStatus
from postbreeze.operations.ports import PostStore
from tests.support.aws import Aws
from tests.support.builders import (
    LATER,
    USER_ID,
    WORKSPACE_ID,
    a_full_post,
    a_post,
    added,
    an_event,
    an_id,
)
from tests.support.fakes import START, FakeClock, FakePostStore, FakeWorkspaces

SECOND = timedelta(seconds=1)
FAR_BACK = START - timedelta(days=1)


@pytest.fixture
def posts(aws: Aws | None) -> PostStore:
    clock = FakeClock()
    if aws is None:
        return FakePostStore(FakeWorkspaces(), clock)
    return DynamoPostStore(
        Database(aws.clients.dynamodb()),
        posts_table=aws.tables()["posts"],
        clock=clock,
        together=ThreadPool(),
    )


def keep(posts: PostStore, *kept: Post) -> None:
    for post in kept:
        posts.commit(added(post))


def moved(posts: PostStore, post: Post, number: int) -> Post:
    """Give a post another time, so many seconds later."""
    wanted = replace(post, scheduled_at=LATER + number * SECOND)
    after = change(post, wanted, now=START + number * SECOND, actor=USER_ID)
    posts.commit(after)
    return after.after


# Reading many at once


def test_many_posts_are_read_as_each_alone(posts: PostStore) -> None:
    # Given posts with more than a hundred targets together, events between them, and a deleted one
    full = a_full_post()
    kept = [full, a_post(deleted_at=START, status=PostStatus.DRAFT)]
    kept += [a_post(targets=[TargetStatus.SCHEDULED] * 30) for _ in range(4)]
    for post in kept:
        posts.commit(added(post, an_event(post)))
    # When
    unknown = an_id(ids.POST)
    found = posts.read_many([*(post.id for post in kept), unknown])
    # Then
    assert found == {post.id: posts.read(post.id) for post in kept}
    assert found[full.id] == full


def test_more_than_a_hundred_posts_are_read(posts: PostStore) -> None:
    # Given
    kept = [a_post(targets=[TargetStatus.SCHEDULED]) for _ in range(120)]
    keep(posts, *kept)
    # Then
    assert posts.read_many([post.id for post in kept]) == {post.id: post for post in kept}


def test_nothing_is_read_of_none(posts: PostStore) -> None:
    assert posts.read_many([]) == {}


# Spots


def test_upcoming_posts_are_listed_by_time(posts: PostStore) -> None:
    # Given
    kept = [a_post(scheduled_at=LATER + number * SECOND) for number in (3, 1, 2)]
    keep(posts, *kept, a_post(PostStatus.DRAFT))
    # Then
    third, first, second = (spot_of(post) for post in kept)
    assert posts.listed(WORKSPACE_ID, UPCOMING_BEGINS, 10) == [first, second, third]
    assert posts.listed(WORKSPACE_ID, UPCOMING_BEGINS, 2) == [first, second]
    assert posts.listed(WORKSPACE_ID, first, 10) == [second, third]
    assert posts.listed(WORKSPACE_ID, second, 10, PostStatus.SCHEDULED) == [third]
    assert posts.listed(WORKSPACE_ID, third, 10) == []


def test_the_rest_is_listed_by_age_backwards(posts: PostStore) -> None:
    # Given
    canceled = a_post(PostStatus.CANCELED, created_at=START + SECOND)
    draft = a_post(PostStatus.DRAFT, created_at=START)
    older = a_post(PostStatus.CANCELED, created_at=START - SECOND)
    keep(posts, draft, older, canceled, a_post())
    # Then
    first, second, third = (spot_of(post) for post in (canceled, draft, older))
    assert posts.listed(WORKSPACE_ID, REST_BEGINS, 10) == [first, second, third]
    assert posts.listed(WORKSPACE_ID, REST_BEGINS, 1) == [first]
    assert posts.listed(WORKSPACE_ID, first, 10) == [second, third]
    assert posts.listed(WORKSPACE_ID, first, 10, PostStatus.CANCELED) == [third]
    assert posts.listed(WORKSPACE_ID, REST_BEGINS, 10, PostStatus.CANCELED) == [first, third]
    assert posts.listed(WORKSPACE_ID, REST_BEGINS, 10, PostStatus.FAILED) == []


@pytest.mark.parametrize("status", PostStatus)
def test_posts_of_every_status_are_listed_by_it_alone(posts: PostStore, status: PostStatus) -> None:
    # Given
    kept = {each: a_post(each) for each in PostStatus}
    keep(posts, *kept.values())
    # Then
    begins = UPCOMING_BEGINS if status is PostStatus.SCHEDULED else REST_BEGINS
    assert posts.listed(WORKSPACE_ID, begins, 10, status) == [spot_of(kept[status])]


def test_a_workspace_lists_its_own_posts(posts: PostStore) -> None:
    # Given
    keep(posts, a_post(), a_post(PostStatus.DRAFT))
    # Then
    other = an_id(ids.WORKSPACE)
    assert posts.listed(other, UPCOMING_BEGINS, 10) == []
    assert posts.listed(other, REST_BEGINS, 10) == []
    assert posts.moved(other, FAR_BACK, 10) == []


def test_posts_of_one_moment_are_all_listed(posts: PostStore) -> None:
    # Given
    kept = sorted((a_post() for _ in range(5)), key=spot_of)
    keep(posts, *kept)
    # When they are listed two at a time
    first = posts.listed(WORKSPACE_ID, UPCOMING_BEGINS, 2)
    second = posts.listed(WORKSPACE_ID, first[-1], 2)
    third = posts.listed(WORKSPACE_ID, second[-1], 2)
    # Then
    assert [*first, *second, *third] == [spot_of(post) for post in kept]


def test_a_post_that_moves_is_listed_where_it_is(posts: PostStore) -> None:
    # Given
    post = a_post()
    keep(posts, post)
    # When
    canceled = lifecycle.cancel(post, actor=USER_ID, now=START + SECOND)
    posts.commit(canceled.change)
    # Then
    assert posts.listed(WORKSPACE_ID, UPCOMING_BEGINS, 10) == []
    assert posts.listed(WORKSPACE_ID, REST_BEGINS, 10) == [spot_of(canceled.change.after)]


def test_a_deleted_post_is_listed_nowhere(posts: PostStore) -> None:
    # Given
    post = a_post()
    keep(posts, post)
    canceled = lifecycle.cancel(post, actor=USER_ID, now=START + SECOND).change
    posts.commit(canceled)
    # When
    now = START + 2 * SECOND
    gone = replace(canceled.after, deleted_at=now)
    posts.commit(change(canceled.after, gone, now=now, actor=USER_ID))
    # Then
    assert posts.listed(WORKSPACE_ID, REST_BEGINS, 10) == []
    assert posts.listed(WORKSPACE_ID, REST_BEGINS, 10, PostStatus.CANCELED) == []
    assert posts.moved(WORKSPACE_ID, FAR_BACK, 10) == []


# Moves


def test_moves_are_told_latest_first_with_where_the_posts_were(posts: PostStore) -> None:
    # Given
    first, second, still = a_post(), a_post(), a_post()
    keep(posts, first, second, still)
    # When one moves twice
    first = moved(posts, first, 1)
    second = moved(posts, second, 2)
    first = moved(posts, first, 3)
    # Then
    told = posts.moved(WORKSPACE_ID, FAR_BACK, 10)
    assert [(each.spot, each.former_spots) for each in told] == [
        (spot_of(first), first.former_spots),
        (spot_of(second), second.former_spots),
    ]
    assert [each.moved_at for each in told] == [START + 3 * SECOND, START + 2 * SECOND]
    assert len(first.former_spots) == 2
    assert posts.moved(WORKSPACE_ID, FAR_BACK, 1) == told[:1]
    assert posts.moved(WORKSPACE_ID, START + 2 * SECOND, 10) == told[:1]
    assert posts.moved(WORKSPACE_ID, START + 3 * SECOND, 10) == []
