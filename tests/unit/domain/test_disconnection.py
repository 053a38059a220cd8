"""What disconnecting an account comes to, and how far its work has got."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from postbreeze.domain import disconnection, ids
from postbreeze.domain.disconnection import Disconnection, advanced, disconnect, passing
from postbreeze.domain.documents import account_document
from postbreeze.domain.events import EventType
from postbreeze.domain.post import AccountStatus, PostStatus, TargetStatus
from tests.support.builders import USER_ID, a_post, an_account, an_id
from tests.support.fakes import START

LAST_FROM = START + disconnection.LAST_PASS_AFTER


def work(**changes: object) -> Disconnection:
    account = an_account()
    begun = Disconnection(
        account_id=account.id,
        workspace_id=account.workspace_id,
        actor=USER_ID,
        disconnected_at=START,
        due_at=START + disconnection.GRACE,
    )
    return replace(begun, **changes)  # type: ignore[arg-type]  # fields by name


def test_a_disconnected_account_keeps_nothing_secret_and_its_event_shows_nothing_of_it() -> None:
    # Given
    account = an_account(status=AccountStatus.TOKEN_EXPIRED, revision=4)
    # When
    found = disconnect(account, actor=USER_ID, now=START)
    # Then
    assert found is not None
    assert found.account == replace(
        account,
        status=AccountStatus.DISCONNECTED,
        sealed_credentials=None,
        disconnected_at=START,
        revision=5,
    )
    event = found.event
    assert event.type is EventType.ACCOUNT_DISCONNECTED
    assert (event.post_id, event.workspace_id) == (account.id, account.workspace_id)
    assert (event.actor, event.version_before, event.version_after) == (USER_ID, 4, 5)
    assert event.pending_since == START
    assert event.payload == {
        "eventId": event.id,
        "occurredAt": "2026-06-01T09:00:00.000Z",
        "workspaceId": account.workspace_id,
        "account": account_document(found.account),
    }
    assert event.payload["account"] == {
        "id": account.id,
        "workspaceId": account.workspace_id,
        "platform": "BLUESKY",
        "externalId": account.external_account_id,
        "handle": "moewe.example",
        "displayName": account.display_name,
        "avatarUrl": None,
        "status": "DISCONNECTED",
        "scopes": [],
        "connectedAt": "2026-06-01T09:00:00.000Z",
        "lastRefreshedAt": None,
        "tokenExpiresAt": None,
        "lastRefreshAttemptAt": None,
        "lastRefreshError": None,
        "lastRefreshErrorStatus": None,
        "meta": {},
        "defaultBoardId": None,
        "disconnectedAt": "2026-06-01T09:00:00.000Z",
    }
    assert found.work.account_id == account.id
    assert found.work.due_at > START


def test_disconnecting_twice_at_once_makes_one_event() -> None:
    account = an_account()
    events = {
        found.event.id
        for found in (disconnect(account, actor=USER_ID, now=START) for _ in range(2))
        if found is not None
    }
    assert len(events) == 1


def test_what_is_disconnected_stays_as_it_is() -> None:
    account = an_account(status=AccountStatus.DISCONNECTED)
    assert disconnect(account, actor=USER_ID, now=START) is None


@pytest.mark.parametrize("status", PostStatus)
def test_only_scheduled_posts_lose_targets_and_only_those_that_have_not_begun(
    status: PostStatus,
) -> None:
    # Given a post with a target of every status on the account, and one on another
    account_id = an_id(ids.ACCOUNT)
    post = a_post(status, [*TargetStatus, TargetStatus.SCHEDULED])
    *targets, other = post.targets
    mine = tuple(replace(target, social_account_id=account_id) for target in targets)
    post = replace(post, targets=(*mine, other))
    # When
    found = disconnection.targets_to_cancel(post, account_id)
    # Then
    is_scheduled = status in {
        PostStatus.SCHEDULED,
        PostStatus.NEEDS_APPROVAL,
        PostStatus.PUBLISHING,
    }
    stopped = {TargetStatus.DRAFT, TargetStatus.SCHEDULED} if is_scheduled else set()
    assert found == tuple(target.id for target in mine if target.status in stopped)


def test_a_deleted_post_loses_nothing() -> None:
    post = a_post(deleted_at=START)
    assert disconnection.targets_to_cancel(post, post.targets[0].social_account_id) == ()


def test_a_pass_remembers_when_it_began() -> None:
    later = START + timedelta(minutes=5)
    begun = passing(work(), now=START)
    assert begun.pass_began_at == START
    assert passing(replace(begun, after="post_1"), now=later).pass_began_at == START
    assert passing(begun, now=later).pass_began_at == later


def step(given: Disconnection, now: datetime, *, is_end: bool, **told: object) -> object:
    wishes = {"after": None, "is_flawed": False, **told}
    return advanced(given, is_end=is_end, now=now, **wishes)  # type: ignore[arg-type]  # by name


def test_in_the_middle_of_a_pass_the_next_page_is_due_at_once() -> None:
    given = passing(work(), now=START)
    moved = replace(given, after="post_2", due_at=START, revision=2)
    assert step(given, START, is_end=False, after="post_2") == moved
    assert step(replace(moved, revision=1), START, is_end=False) == moved


def test_a_pass_that_began_early_is_followed_by_another_a_minute_after_the_disconnect() -> None:
    # Given
    given = replace(passing(work(), now=START), after="post_2")
    # Then
    again = replace(given, after=None, pass_began_at=None, due_at=LAST_FROM, revision=2)
    assert step(given, START, is_end=True, after="post_3") == again
    # And where that minute has passed meanwhile, at once
    late = LAST_FROM + timedelta(seconds=1)
    assert step(given, late, is_end=True) == replace(again, due_at=late)


def test_a_pass_that_began_a_minute_after_the_disconnect_is_the_last() -> None:
    given = passing(work(), now=LAST_FROM)
    assert step(given, LAST_FROM, is_end=True) is None


def test_a_pass_that_failed_somewhere_is_never_the_last() -> None:
    # Given a pass late enough to be the last, but one of whose posts could not be dealt with
    given = passing(work(), now=LAST_FROM)
    flawed = step(given, LAST_FROM, is_end=False, after="post_1", is_flawed=True)
    assert isinstance(flawed, Disconnection)
    # When it ends
    ended = step(flawed, LAST_FROM, is_end=True, after="post_2")
    # Then another is due in a while, without a flaw
    assert ended == replace(
        given,
        after=None,
        pass_began_at=None,
        is_flawed=False,
        due_at=LAST_FROM + disconnection.AGAIN_AFTER,
        revision=3,
    )
