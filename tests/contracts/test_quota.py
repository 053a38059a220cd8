"""What every post store promises of a workspace's quota."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from postbreeze.adapters.dynamodb.posts import DynamoPostStore
from postbreeze.adapters.dynamodb.registry import DynamoRegistry
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.domain import ids
from postbreeze.domain.access import EDITORS, Role
from postbreeze.domain.errors import LostRaceError, PlanLimitError
from postbreeze.domain.post import Post
from postbreeze.operations.ports import (
    AccessLostError,
    AnswerExistsError,
    MembershipGuard,
    PostStore,
    Quota,
)
from tests.support.aws import Aws
from tests.support.builders import (
    USER_ID,
    WORKSPACE_ID,
    a_member,
    a_post,
    added,
    an_answer,
    an_id,
)
from tests.support.fakes import FakeClock, World

GUARD = MembershipGuard(workspace_id=WORKSPACE_ID, user_id=USER_ID, roles=EDITORS)


@pytest.fixture
def posts(aws: Aws | None) -> PostStore:
    return store_on(aws)


@pytest.fixture(params=["fake", "engine"])
def racing(request: pytest.FixtureRequest) -> PostStore:
    """Stores that can be called from several threads; moto is not made for that."""
    return store_on(None if request.param == "fake" else request.getfixturevalue("engine"))


def store_on(aws: Aws | None) -> PostStore:
    if aws is None:
        world = World()
        world.workspaces.put_member(a_member(Role.OWNER))
        return world.posts
    tables = aws.tables()
    database = Database(aws.clients.dynamodb())
    workspaces_table = tables["workspaces"]
    DynamoRegistry(database, workspaces_table=workspaces_table).put_member(a_member(Role.OWNER))
    return DynamoPostStore(
        database,
        posts_table=tables["posts"],
        workspaces_table=workspaces_table,
        clock=FakeClock(),
    )


def a_quota(limit: int, *, workspace_id: str | None = None, month: str = "2026-06") -> Quota:
    return Quota(workspace_id=workspace_id or WORKSPACE_ID, month=month, limit=limit)


def add(posts: PostStore, quota: Quota) -> Post:
    post = a_post()
    posts.commit(added(post), guard=GUARD, quota=quota)
    return post


def refused(posts: PostStore, quota: Quota) -> tuple[int, int]:
    """Fail to add a post; return the limit and the count that were told."""
    post = a_post()
    with pytest.raises(PlanLimitError) as refusal:
        posts.commit(added(post), guard=GUARD, quota=quota)
    assert posts.read(post.id) is None
    return refusal.value.limit, refusal.value.current


def test_as_many_are_added_as_the_limit_says(posts: PostStore) -> None:
    # Given
    stored = [add(posts, a_quota(3)) for _ in range(3)]
    # Then
    assert [posts.read(post.id) for post in stored] == stored
    assert refused(posts, a_quota(3)) == (3, 3)


def test_a_limit_that_is_lowered_counts_at_once_and_one_that_is_raised_too(
    posts: PostStore,
) -> None:
    for _ in range(2):
        add(posts, a_quota(5))
    assert refused(posts, a_quota(1)) == (1, 2)
    add(posts, a_quota(3))
    assert refused(posts, a_quota(3)) == (3, 3)


def test_a_limit_of_none_at_all_is_one(posts: PostStore) -> None:
    assert refused(posts, a_quota(0)) == (0, 0)


def test_each_workspace_and_each_month_is_counted_for_itself(posts: PostStore) -> None:
    add(posts, a_quota(1))
    add(posts, a_quota(1, month="2026-07"))
    other = an_id(ids.WORKSPACE)
    add(posts, a_quota(1, workspace_id=other))
    assert refused(posts, a_quota(1, workspace_id=other)) == (1, 1)


def test_what_is_not_written_is_not_counted(posts: PostStore) -> None:
    # Given one of two
    post = add(posts, a_quota(2))
    # When the second is lost to a race
    with pytest.raises(LostRaceError):
        posts.commit(added(post), guard=GUARD, quota=a_quota(2))
    # Then there is still one left
    add(posts, a_quota(2))
    assert refused(posts, a_quota(2)) == (2, 2)


def test_a_quota_counts_after_a_taken_key_and_lost_access_and_before_a_lost_race(
    posts: PostStore,
) -> None:
    # Given a quota that is used up
    post = a_post()
    answer = an_answer(post.id)
    posts.commit(added(post), guard=GUARD, answer=answer, quota=a_quota(1))
    stranger = replace(GUARD, user_id=an_id(ids.USER))
    # When / Then
    with pytest.raises(AnswerExistsError):
        posts.commit(added(a_post()), guard=GUARD, answer=answer, quota=a_quota(1))
    with pytest.raises(AccessLostError):
        posts.commit(added(a_post()), guard=stranger, quota=a_quota(1))
    with pytest.raises(PlanLimitError):
        posts.commit(added(post), guard=GUARD, quota=a_quota(1))


def test_of_many_at_once_exactly_as_many_as_the_limit_says_are_added(racing: PostStore) -> None:
    # Given sixteen who try until they are told
    candidates = [a_post() for _ in range(16)]

    def try_to_add(post: Post) -> bool:
        while True:
            try:
                racing.commit(added(post), guard=GUARD, quota=a_quota(5))
            except LostRaceError:
                continue
            except PlanLimitError:
                return False
            return True

    # When
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(try_to_add, candidates))
    # Then
    assert sum(told) == 5
    assert [racing.read(post.id) is not None for post in candidates] == told
    assert refused(racing, a_quota(5)) == (5, 5)
