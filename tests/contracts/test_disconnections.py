"""What every store of disconnects promises."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from postbreeze.adapters.dynamodb.directory import DynamoDirectory
from postbreeze.adapters.dynamodb.disconnections import DynamoDisconnections
from postbreeze.adapters.dynamodb.posts import DynamoPostStore
from postbreeze.adapters.dynamodb.registry import DynamoRegistry
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.domain import ids
from postbreeze.domain.access import MANAGERS, Role
from postbreeze.domain.disconnection import GRACE, Disconnecting, disconnect
from postbreeze.domain.errors import LostRaceError
from postbreeze.domain.post import AccountStatus, PostStatus, SocialAccount, TargetStatus
from postbreeze.operations.ports import (
    AccessLostError,
    Directory,
    Disconnections,
    MembershipGuard,
    PostStore,
    Registry,
)
from tests.support.aws import Aws
from tests.support.builders import (
    USER_ID,
    WORKSPACE_ID,
    a_member,
    a_post,
    a_target,
    added,
    an_account,
    an_id,
    changed,
)
from tests.support.fakes import START, FakeClock, World

GUARD = MembershipGuard(workspace_id=WORKSPACE_ID, user_id=USER_ID, roles=MANAGERS)


@dataclass
class Stores:
    disconnections: Disconnections
    posts: PostStore
    registry: Registry
    directory: Directory

    def disconnecting(self) -> Disconnecting:
        """Have an account, and what disconnecting it comes to."""
        account = an_account()
        self.registry.add_account(account)
        return disconnecting(account)

    def begun(self) -> Disconnecting:
        """Have an account, and disconnect it."""
        begun = self.disconnecting()
        self.disconnections.begin(begun, guard=GUARD)
        return begun


def disconnecting(account: SocialAccount) -> Disconnecting:
    found = disconnect(account, actor=USER_ID, now=START)
    assert found is not None
    return found


@pytest.fixture
def stores(aws: Aws | None) -> Stores:
    stores = _stores(aws)
    stores.registry.put_member(a_member(Role.ADMIN))
    return stores


def _stores(aws: Aws | None) -> Stores:
    if aws is None:
        world = World()
        return Stores(world.disconnections, world.posts, world.workspaces, world.workspaces)
    tables = aws.tables()
    database = Database(aws.clients.dynamodb())
    posts_table, workspaces_table = tables["posts"], tables["workspaces"]
    return Stores(
        DynamoDisconnections(database, posts_table=posts_table, workspaces_table=workspaces_table),
        DynamoPostStore(
            database,
            posts_table=posts_table,
            workspaces_table=workspaces_table,
            clock=FakeClock(),
        ),
        DynamoRegistry(database, workspaces_table=workspaces_table),
        DynamoDirectory(database, workspaces_table=workspaces_table, clock=FakeClock()),
    )


def test_account_event_and_work_are_written_together(stores: Stores) -> None:
    # When
    begun = stores.begun()
    # Then
    account, event = begun.account, begun.event
    assert stores.directory.account(WORKSPACE_ID, account.id) == account
    assert stores.posts.event(account.id, event.id) == event
    assert stores.posts.timeline(account.id) == [event]
    assert stores.disconnections.work(account.id) == begun.work
    assert stores.posts.read(account.id) is None


def test_the_event_of_an_account_is_found_while_it_is_pending(stores: Stores) -> None:
    # Given
    event = stores.begun().event
    assert stores.posts.pending_events(START + timedelta(days=1), 10) == [(event.post_id, event.id)]
    # When
    stores.posts.fanned_out(event, expires_at=START + timedelta(days=90))
    # Then
    assert stores.posts.pending_events(START + timedelta(days=1), 10) == []
    assert stores.posts.event(event.post_id, event.id) == replace(event, pending_since=None)


def test_an_account_that_has_changed_is_not_disconnected(stores: Stores) -> None:
    # Given
    planned = stores.disconnecting()
    moved = replace(planned.account, status=AccountStatus.REVOKED)
    stores.registry.replace_account(moved, expected_revision=1)
    # When
    with pytest.raises(LostRaceError):
        stores.disconnections.begin(planned, guard=GUARD)
    # Then nothing is written
    assert stores.posts.timeline(planned.account.id) == []
    assert stores.disconnections.work(planned.account.id) is None


def test_it_is_disconnected_once(stores: Stores) -> None:
    begun = stores.begun()
    with pytest.raises(LostRaceError):
        stores.disconnections.begin(begun, guard=GUARD)


def test_work_that_has_not_ended_is_never_replaced(stores: Stores) -> None:
    # Given an account that is connected again while the work of its disconnect goes on
    begun = stores.begun()
    again = replace(an_account(id=begun.account.id), revision=3)
    stores.registry.replace_account(again, expected_revision=2)
    # When / Then
    with pytest.raises(LostRaceError):
        stores.disconnections.begin(disconnecting(again), guard=GUARD)
    assert stores.disconnections.work(begun.account.id) == begun.work
    assert stores.directory.account(WORKSPACE_ID, again.id) == again


@pytest.mark.parametrize("role", [Role.EDITOR, None])
def test_without_the_role_nothing_is_written(stores: Stores, role: Role | None) -> None:
    # Given
    planned = stores.disconnecting()
    if role is None:
        stores.registry.remove_member(WORKSPACE_ID, USER_ID)
    else:
        stores.registry.put_member(a_member(role))
    # When / Then
    with pytest.raises(AccessLostError):
        stores.disconnections.begin(planned, guard=GUARD)
    assert stores.disconnections.work(planned.account.id) is None
    assert stores.posts.timeline(planned.account.id) == []


def test_lost_access_counts_before_a_lost_race(stores: Stores) -> None:
    begun = stores.begun()
    stores.registry.remove_member(WORKSPACE_ID, USER_ID)
    with pytest.raises(AccessLostError):
        stores.disconnections.begin(begun, guard=GUARD)


def test_work_is_advanced_by_one_at_a_time(stores: Stores) -> None:
    # Given
    work = stores.begun().work
    moved = replace(
        work,
        after=an_id(ids.POST),
        pass_began_at=START,
        is_flawed=True,
        due_at=START + timedelta(minutes=2),
        revision=2,
    )
    # When
    stores.disconnections.advance(moved, expected_revision=1)
    # Then
    assert stores.disconnections.work(work.account_id) == moved
    with pytest.raises(LostRaceError):
        stores.disconnections.advance(replace(work, revision=2), expected_revision=1)
    with pytest.raises(LostRaceError):
        stores.disconnections.end(work)
    assert stores.disconnections.work(work.account_id) == moved


def test_work_ends_once(stores: Stores) -> None:
    # Given
    work = stores.begun().work
    # When
    stores.disconnections.end(work)
    # Then
    assert stores.disconnections.work(work.account_id) is None
    assert stores.disconnections.due(START + timedelta(days=1), 10) == []
    with pytest.raises(LostRaceError):
        stores.disconnections.end(work)
    with pytest.raises(LostRaceError):
        stores.disconnections.advance(replace(work, revision=2), expected_revision=1)


def test_work_is_due_when_it_says_longest_waiting_first(stores: Stores) -> None:
    # Given
    works = [stores.begun().work for _ in range(5)]
    for seconds, work in zip((50, 20, 40, 10, 30), works, strict=True):
        due_at = START + timedelta(seconds=seconds)
        moved = replace(work, due_at=due_at, revision=2)
        stores.disconnections.advance(moved, expected_revision=1)
    # Then
    by_time = [works[number].account_id for number in (3, 1, 4, 2, 0)]
    assert stores.disconnections.due(START + timedelta(seconds=30), 10) == by_time[:3]
    assert stores.disconnections.due(START + timedelta(seconds=30), 2) == by_time[:2]
    assert stores.disconnections.due(START + timedelta(seconds=9), 10) == []
    # And it is no post's turn
    assert stores.posts.due_posts(START + GRACE + timedelta(days=1), 10) == []


def test_posts_are_found_by_targets_that_have_not_begun(stores: Stores) -> None:
    # Given posts with one target of every status, each on an account beside another's
    account_id, other_id = an_id(ids.ACCOUNT), an_id(ids.ACCOUNT)
    posts = {}
    for status in TargetStatus:
        post = a_post(targets=())
        targets = tuple(
            a_target(each, post_id=post.id, social_account_id=whose)
            for each, whose in ((status, account_id), (TargetStatus.SCHEDULED, other_id))
        )
        posts[status] = replace(post, targets=targets)
        stores.posts.commit(added(posts[status]))
    # Then
    found = [posts[TargetStatus.DRAFT].id, posts[TargetStatus.SCHEDULED].id]
    assert stores.disconnections.open_posts(account_id, after=None, limit=10) == found
    assert len(stores.disconnections.open_posts(other_id, after=None, limit=10)) == 7
    assert stores.disconnections.open_posts(an_id(ids.ACCOUNT), after=None, limit=10) == []


def test_posts_are_found_page_by_page_until_they_are_dealt_with(stores: Stores) -> None:
    # Given
    account_id = an_id(ids.ACCOUNT)
    posts = []
    for _ in range(5):
        post = a_post(PostStatus.NEEDS_APPROVAL, targets=())
        target = a_target(TargetStatus.DRAFT, post_id=post.id, social_account_id=account_id)
        posts.append(replace(post, targets=(target,)))
    for post in reversed(posts):
        stores.posts.commit(added(post))

    def page(after: str | None) -> list[str]:
        return list(stores.disconnections.open_posts(account_id, after=after, limit=2))

    # Then
    wanted = [post.id for post in posts]
    assert page(None) == wanted[:2]
    assert page(wanted[1]) == wanted[2:4]
    assert page(wanted[3]) == wanted[4:]
    assert page(wanted[4]) == []
    # And when one is cancelled
    stores.posts.commit(changed(posts[0], targets={0: {"status": TargetStatus.CANCELED}}))
    # Then
    assert page(None) == wanted[1:3]
