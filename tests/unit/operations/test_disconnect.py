"""Disconnecting an account, and cancelling what it has on scheduled posts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postbreeze.domain.access import Role
from postbreeze.domain.disconnection import GRACE, LAST_PASS_AFTER, REASON
from postbreeze.domain.errors import (
    ContendedError,
    ForbiddenError,
    LostRaceError,
    NotFoundError,
    UnauthorizedError,
    UnavailableError,
)
from postbreeze.domain.post import AccountStatus, Post, PostStatus, TargetStatus
from postbreeze.operations import disconnect
from postbreeze.operations.answers import Answer
from postbreeze.operations.disconnect import MOST_OUTAGES, PATIENCE
from postbreeze.operations.publish import ACCOUNT_NOT_ACTIVE
from tests.support.core import (
    A_MINUTE,
    A_SECOND,
    AN_HOUR,
    OTHER_WORKSPACE,
    STRANGER,
    USERS,
    WORKSPACE,
    Core,
    numbered,
)

ACCOUNT = numbered("soc", 20)
OTHER = numbered("soc", 21)
LATE = LAST_PASS_AFTER + A_SECOND


@pytest.fixture
def core() -> Core:
    return Core()


def disconnect_it(core: Core, key: str = "owner", account_id: str = ACCOUNT) -> Answer:
    return core.disconnect_account(key, account_id)


def statuses(core: Core, post_id: str) -> list[str]:
    return [target.status.value for target in core.post(post_id).targets]


def created(core: Core, number: int) -> list[Post]:
    """Create posts for the account, and return them in the order in which they are found."""
    return sorted((core.created(1) for _ in range(number)), key=lambda post: post.id)


def left(core: Core) -> int:
    return len(core.world.disconnections.works)


@pytest.mark.parametrize("key", ["owner", "admin"])
def test_an_account_is_disconnected_and_its_secrets_are_gone(core: Core, key: str) -> None:
    # When
    answer = disconnect_it(core, key)
    # Then
    stored = core.directory.account(WORKSPACE, ACCOUNT)
    assert stored is not None
    assert stored.status is AccountStatus.DISCONNECTED
    assert stored.sealed_credentials is None
    assert stored.disconnected_at == core.clock.now()
    assert answer.status == 200
    assert (answer.body["id"], answer.body["status"]) == (ACCOUNT, "DISCONNECTED")
    assert "credential" not in json.dumps(answer.body).lower()
    assert core.events(ACCOUNT) == ["account.disconnected"]


def test_its_targets_on_scheduled_posts_are_cancelled_as_by_a_client(core: Core) -> None:
    # Given a post that has another target left, one that has not, and one that waits
    shared, alone = core.created(2), core.created(1)
    waiting = core.created(1, requires_approval=True)
    draft = core.created(1, scheduled_for=None)
    core.drain_messages()
    # When
    disconnect_it(core)
    # Then
    assert statuses(core, shared.id) == ["CANCELED", "SCHEDULED"]
    assert core.post(shared.id).status is PostStatus.SCHEDULED
    assert core.events(shared.id)[-1] == "post.targets_cancelled"
    for post in (alone, waiting):
        cancelled = core.post(post.id)
        assert cancelled.status is PostStatus.CANCELED
        assert cancelled.canceled_by_user_id == USERS[Role.OWNER]
        assert cancelled.cancel_reason == REASON
        assert statuses(core, post.id) == ["CANCELED"]
        assert core.events(post.id)[-1] == "post.cancelled"
    # And a draft is left alone, whoever schedules it is told
    assert core.post(draft.id) == draft
    assert set(core.schedules.armed) == {f"{shared.id}-1"}


def test_what_is_being_published_loses_what_has_not_begun(core: Core) -> None:
    # Given a post of which the other target is in flight
    post = core.created(2)
    core.drain_messages()
    core.advance(AN_HOUR)
    core.fire_due()
    core.has(core.post(post.id), "SCHEDULED", "PUBLISHING")
    # When
    disconnect_it(core)
    # Then
    assert statuses(core, post.id) == ["CANCELED", "PUBLISHING"]
    assert core.post(post.id).status is PostStatus.PUBLISHING


def test_a_second_time_nothing_is_written_and_nothing_told(core: Core) -> None:
    # Given
    core.created(1)
    first = disconnect_it(core)
    core.advance(A_MINUTE)
    calls = core.recorded()
    # When
    again = disconnect_it(core, "admin")
    # Then
    assert again == first
    assert calls == [
        "directory.admit",
        "directory.workspace_of_account",
        "directory.member_and_accounts",
    ]
    assert core.events(ACCOUNT) == ["account.disconnected"]


@pytest.mark.parametrize("key", ["editor", "client_reviewer"])
def test_other_members_may_not(core: Core, key: str) -> None:
    with pytest.raises(ForbiddenError):
        disconnect_it(core, key)
    assert core.events(ACCOUNT) == []


def test_nobody_learns_of_an_account_out_of_reach(core: Core) -> None:
    core.add_key("stranger", owner=STRANGER)
    core.add_key("elsewhere", owner=USERS[Role.OWNER], workspace_ids=frozenset({OTHER_WORKSPACE}))
    for key, account_id in (
        ("stranger", ACCOUNT),
        ("elsewhere", ACCOUNT),
        ("owner", numbered("soc", 99)),
    ):
        with pytest.raises(NotFoundError):
            disconnect_it(core, key, account_id)
    with pytest.raises(UnauthorizedError):
        disconnect_it(core, "nobody")


def test_of_an_account_that_nobody_knows_nothing_more_is_asked(core: Core) -> None:
    calls = core.recorded()
    with pytest.raises(NotFoundError):
        disconnect_it(core, account_id=numbered("soc", 99))
    assert calls == ["directory.admit", "directory.workspace_of_account"]


def test_an_account_that_vanishes_meanwhile_is_not_found(core: Core) -> None:
    core.before("directory.member_and_accounts", lambda: core.directory._accounts.pop(ACCOUNT))
    with pytest.raises(NotFoundError):
        disconnect_it(core)


def test_who_is_no_admin_any_more_when_it_is_written_may_not(core: Core) -> None:
    core.before("disconnections.begin", lambda: core.add_member(USERS[Role.OWNER], Role.EDITOR))
    with pytest.raises(ForbiddenError):
        disconnect_it(core)
    assert core.events(ACCOUNT) == []


def test_an_account_that_has_changed_meanwhile_is_looked_at_again(core: Core) -> None:
    # Given somebody who is faster
    core.before("disconnections.begin", lambda: disconnect_it(core, "admin"))
    # When
    answer = disconnect_it(core)
    # Then it is answered as it is, and told once
    assert answer.body["status"] == "DISCONNECTED"
    assert core.events(ACCOUNT) == ["account.disconnected"]


def test_an_account_that_keeps_changing_is_given_up(core: Core) -> None:
    core.fails("disconnections.begin", *[LostRaceError("moved")] * 8)
    with pytest.raises(ContendedError):
        disconnect_it(core)


def test_a_lost_answer_is_found_out_by_asking_again(core: Core) -> None:
    # Given
    post = core.created(1)
    core.fails_after("disconnections.begin", UnavailableError("lost"))
    with pytest.raises(UnavailableError):
        disconnect_it(core)
    # When
    assert disconnect_it(core).body["status"] == "DISCONNECTED"
    # Then the rest is the reconciler's
    core.drain()
    core.check()
    assert core.post(post.id).status is PostStatus.CANCELED
    assert core.received().count("account.disconnected") == 1


def test_the_event_reaches_subscribers_even_if_nobody_announced_it(core: Core) -> None:
    # Given
    core.fails("bus.announce", UnavailableError("down"))
    # When
    disconnect_it(core)
    core.drain()
    # Then
    core.check()
    body = json.loads(core.sender.requests[-1].body)
    assert body["event"] == "account.disconnected"
    assert body["payload"]["account"]["id"] == ACCOUNT
    assert body["payload"]["workspaceId"] == WORKSPACE
    assert core.telemetry.counts["EffectFailed"] == 1


# The work that is left


def test_a_request_that_takes_too_long_leaves_the_rest_to_the_reconciler(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given five posts, and two that take all the patience there is
    monkeypatch.setattr(disconnect, "PAGE", 2)
    posts = created(core, 5)
    core.before("posts.read", lambda: None)
    core.before("posts.read", lambda: core.clock.advance(PATIENCE))
    # When
    answer = disconnect_it(core)
    # Then the account is disconnected and the rest is due at once
    assert answer.body["status"] == "DISCONNECTED"
    assert [core.post(post.id).status for post in posts] == [PostStatus.CANCELED] * 2 + [
        PostStatus.SCHEDULED
    ] * 3
    (work,) = core.world.disconnections.works.values()
    assert (work.after, work.due_at) == (posts[1].id, core.clock.now())
    # When
    assert core.reconcile() == {"DisconnectContinued": 1}
    # Then
    assert {core.post(post.id).status for post in posts} == {PostStatus.CANCELED}
    assert left(core) == 1


def test_when_time_is_up_in_the_middle_of_a_page_the_next_begins_there(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    posts = created(core, 3)
    core.before("posts.read", lambda: core.clock.advance(PATIENCE))
    # When
    disconnect_it(core)
    # Then
    (work,) = core.world.disconnections.works.values()
    assert work.after == posts[0].id
    assert core.post(posts[1].id).status is PostStatus.SCHEDULED


def test_a_minute_later_a_last_pass_finds_what_was_scheduled_at_the_same_time(core: Core) -> None:
    # Given somebody who read the account before, and schedules a moment after
    late = core.created(1)
    core.posts._targets = {
        key: replace(target, status=TargetStatus.CANCELED)
        for key, target in core.posts._targets.items()
    }
    disconnect_it(core)
    core.posts._targets = {
        key: replace(target, status=TargetStatus.SCHEDULED)
        for key, target in core.posts._targets.items()
    }
    core.drain_messages()
    # When
    core.clock.advance(LAST_PASS_AFTER - A_SECOND)
    assert core.reconcile() == {}
    core.clock.advance(A_SECOND)
    assert core.reconcile() == {"DisconnectContinued": 1}
    # Then
    assert core.post(late.id).status is PostStatus.CANCELED
    assert left(core) == 0
    core.drain()
    core.check()


def test_a_post_that_cannot_be_dealt_with_stops_no_other_and_is_tried_again(core: Core) -> None:
    # Given
    posts = created(core, 3)
    core.drain_messages()
    core.fails("posts.read", UnavailableError("throttled"), ValueError("unreadable"))
    # When
    disconnect_it(core)
    # Then
    told = [core.post(post.id).status for post in posts]
    assert told == [PostStatus.SCHEDULED, PostStatus.SCHEDULED, PostStatus.CANCELED]
    assert core.telemetry.counts["DisconnectCancelFailed"] == 2
    # And when it is looked at again, it takes two more passes
    core.clock.advance(LATE)
    assert core.reconcile()["DisconnectContinued"] == 1
    assert {core.post(post.id).status for post in posts} == {PostStatus.CANCELED}
    assert left(core) == 0


def test_an_outage_leaves_all_to_the_reconciler(core: Core) -> None:
    # Given
    posts = [core.created(1) for _ in range(MOST_OUTAGES + 1)]
    core.drain_messages()
    core.fails("posts.read", *[UnavailableError("down")] * (MOST_OUTAGES + 1))
    calls = core.recorded()
    # When
    answer = disconnect_it(core)
    # Then
    assert answer.body["status"] == "DISCONNECTED"
    assert calls.count("posts.read") == MOST_OUTAGES
    assert core.telemetry.warnings[-1].message == "disconnect left off"
    # And when the database is back
    core.clock.advance(GRACE)
    core.reconcile()
    core.clock.advance(LATE)
    core.reconcile()
    # Then
    assert left(core) == 0
    assert {core.post(post.id).status for post in posts} == {PostStatus.CANCELED}


def cancelled(core: Core) -> None:
    """Have the next post cancelled as it should be."""


def unreadable(core: Core) -> None:
    """Have the next post be one that cannot be read."""
    core.fails("posts.read", ValueError("unreadable"))


@pytest.mark.parametrize("first", [cancelled, unreadable])
def test_outages_are_counted_from_the_last_post_that_had_none(
    core: Core, first: Callable[[Core], None]
) -> None:
    # Given an outage, a post that has none, and then nothing but outages
    created(core, 2 * MOST_OUTAGES + 2)
    core.drain_messages()
    core.fails("posts.read", UnavailableError("down"))
    down = [UnavailableError("down")] * (MOST_OUTAGES + 1)
    core.before("posts.read", lambda: None)
    core.before("posts.read", lambda: first(core))
    core.before("posts.read", lambda: core.fails("posts.read", *down))
    calls = core.recorded()
    # When
    disconnect_it(core)
    # Then
    assert calls.count("posts.read") == 2 + MOST_OUTAGES


def test_two_at_the_same_work_do_it_once(core: Core) -> None:
    # Given
    post = core.created(1)
    core.dies_after(8, lambda: disconnect_it(core))
    assert left(core) == 1
    core.drain_messages()
    core.clock.advance(GRACE)
    core.before("disconnections.advance", core.reconcile)
    # When
    assert core.finish_disconnect(ACCOUNT, until=core.clock.now()) is False
    # Then
    assert core.events(post.id).count("post.cancelled") == 1
    assert core.finish_disconnect(OTHER, until=core.clock.now()) is False


def test_a_post_that_is_gone_or_moved_on_is_nothing_to_do(core: Core) -> None:
    # Given an index that still has a post that is gone, and one that was cancelled
    gone, moved = created(core, 2)
    core.drain_messages()
    core.before("posts.read", lambda: core.posts._posts.pop(gone.id))
    core.before("posts.read", lambda: core.cancel(moved.id))
    # When
    disconnect_it(core)
    # Then
    assert core.events(moved.id).count("post.cancelled") == 1
    assert core.telemetry.counts["DisconnectedTargetsCanceled"] == 0


# Publishing at the same time


def test_a_disconnect_before_the_claim_stops_the_target(core: Core) -> None:
    # Given a publisher that has looked at the account, and a disconnect that stops half-way
    post = core.created(1)
    core.advance(AN_HOUR)
    core.fire_due()
    core.before("posts.commit", lambda: core.dies_after(5, lambda: disconnect_it(core)))
    # When
    assert core.publisher.publish(post.id, post.targets[0].id, f"{post.id}-1") == "failed"
    # Then
    assert core.watched.sent == []
    assert core.post(post.id).targets[0].error_code == ACCOUNT_NOT_ACTIVE
    core.drain()
    core.check()


def test_a_disconnect_after_the_claim_finds_the_target_in_flight(core: Core) -> None:
    # Given
    post = core.created(1)
    core.advance(AN_HOUR)
    core.fire_due()
    core.before("platform.publish", lambda: disconnect_it(core))
    # When
    assert core.publisher.publish(post.id, post.targets[0].id, f"{post.id}-1") == "published"
    # Then
    assert core.post(post.id).status is PostStatus.PUBLISHED
    core.drain()
    core.check()


def test_an_account_that_cannot_be_looked_at_after_the_claim_gives_the_target_back(
    core: Core,
) -> None:
    # Given
    post = core.created(1)
    core.advance(AN_HOUR)
    core.fire_due()
    core.before("posts.commit", lambda: core.fails("directory.account", UnavailableError("down")))
    # When
    assert core.publisher.publish(post.id, post.targets[0].id, f"{post.id}-1") == "released"
    # Then it is published at the next attempt
    assert core.watched.sent == []
    core.advance(timedelta(seconds=5))
    core.drain()
    core.check()
    assert core.post(post.id).status is PostStatus.PUBLISHED


def test_outages_with_posts_between_them_that_could_be_dealt_with_stop_nothing(
    core: Core,
) -> None:
    # Given a database that answers every third time
    posts = [core.created(1) for _ in range(2 * MOST_OUTAGES)]
    core.drain_messages()
    reads = iter(range(1000))
    follow = core.tap

    def tap(name: str, call: Callable[[], Any]) -> Any:
        if name == "posts.read" and next(reads) % MOST_OUTAGES:
            raise UnavailableError("throttled")
        return follow(name, call)

    core.tap = tap
    # When
    disconnect_it(core)
    # Then all were tried
    assert next(reads) == len(posts)
    told = [core.post(post.id).status for post in posts]
    assert told.count(PostStatus.CANCELED) == 2


def test_what_could_not_be_dealt_with_in_the_last_pass_has_another(core: Core) -> None:
    # Given a post that was put on the clock too late for all passes but the last
    post = core.created(1)
    core.drain_messages()
    core.fails("posts.read", ValueError("unreadable"))
    disconnect_it(core)
    core.clock.advance(LATE)
    core.fails("posts.read", ValueError("unreadable"))
    # When
    core.reconcile()
    # Then
    assert left(core) == 1
    core.clock.advance(LATE)
    core.reconcile()
    assert core.post(post.id).status is PostStatus.CANCELED


@pytest.mark.parametrize("before", [None, ValueError("unreadable")])
def test_only_outages_one_after_the_other_are_counted(core: Core, before: Exception | None) -> None:
    # Given a post that can be dealt with, or cannot for another reason, and then an outage
    for _ in range(MOST_OUTAGES + 2):
        core.created(1)
    core.drain_messages()
    script = [before, *[UnavailableError("down")] * MOST_OUTAGES]
    reads: list[str] = []
    follow = core.tap

    def tap(name: str, call: Callable[[], Any]) -> Any:
        if name == "posts.read":
            error = script[len(reads)]
            reads.append(name)
            if error is not None:
                raise error
        return follow(name, call)

    core.tap = tap
    # When
    disconnect_it(core)
    # Then
    assert len(reads) == MOST_OUTAGES + 1


def test_whoever_has_no_time_left_deals_with_one_post_all_the_same(core: Core) -> None:
    # Given work that is left, and two posts
    posts = [core.created(1) for _ in range(2)]
    core.drain_messages()
    core.fails("posts.read", *[ValueError("unreadable")] * 2)
    disconnect_it(core)
    core.clock.advance(LATE)
    # When
    core.finish_disconnect(ACCOUNT, until=core.clock.now())
    # Then
    told = [core.post(post.id).status for post in posts]
    assert sorted(told) == [PostStatus.CANCELED, PostStatus.SCHEDULED]


def test_each_post_that_was_cancelled_for_it_is_counted(core: Core) -> None:
    # Given
    core.created(1)
    core.created(1)
    core.drain_messages()
    # When
    disconnect_it(core)
    # Then
    assert core.telemetry.counts["DisconnectedTargetsCanceled"] == 2
