"""What every post store promises."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from postbreeze.adapters.dynamodb.posts import DynamoPostStore
from postbreeze.adapters.dynamodb.registry import DynamoRegistry
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.domain import ids, lifecycle
from postbreeze.domain.access import EDITORS, Role
from postbreeze.domain.errors import LostRaceError
from postbreeze.domain.post import PostStatus, TargetStatus
from postbreeze.operations.ports import (
    AccessLostError,
    AnswerExistsError,
    MembershipGuard,
    PostStore,
    Registry,
)
from tests.support.aws import Aws
from tests.support.builders import (
    LATER,
    USER_ID,
    WORKSPACE_ID,
    a_full_post,
    a_member,
    a_post,
    added,
    an_answer,
    an_event,
    an_id,
    changed,
)
from tests.support.fakes import START, FakeClock, FakePostStore, FakeWorkspaces
from tests.support.faults import answers_lost

GUARD = MembershipGuard(workspace_id=WORKSPACE_ID, user_id=USER_ID, roles=EDITORS)


@dataclass
class Stores:
    posts: PostStore
    registry: Registry
    clock: FakeClock


@pytest.fixture
def stores(aws: Aws | None) -> Stores:
    return stores_on(aws)


def stores_on(aws: Aws | None) -> Stores:
    clock = FakeClock()
    if aws is None:
        workspaces = FakeWorkspaces()
        return Stores(FakePostStore(workspaces, clock), workspaces, clock)
    tables = aws.tables()
    database = Database(aws.clients.dynamodb())
    return Stores(
        DynamoPostStore(
            database,
            posts_table=tables["posts"],
            workspaces_table=tables["workspaces"],
            clock=clock,
        ),
        DynamoRegistry(database, workspaces_table=tables["workspaces"]),
        clock,
    )


@pytest.fixture
def posts(stores: Stores) -> PostStore:
    return stores.posts


# Reading what was written


@pytest.mark.parametrize("status", PostStatus)
def test_a_post_is_read_as_it_was_added(posts: PostStore, status: PostStatus) -> None:
    # Given
    post = a_post(status)
    # When
    posts.commit(added(post))
    # Then
    assert posts.read(post.id) == post


def test_every_field_survives(posts: PostStore) -> None:
    # Given
    post = a_full_post()
    # When
    posts.commit(added(post))
    # Then
    assert posts.read(post.id) == post


def test_an_unknown_post_is_none(posts: PostStore) -> None:
    assert posts.read(an_id(ids.POST)) is None


def test_targets_keep_their_order(posts: PostStore) -> None:
    # Given a post whose targets are not in the order of their ids
    post = a_post(targets=[TargetStatus.SCHEDULED] * 5)
    a, b, c, d, e = post.targets
    post = replace(post, targets=(d, b, e, a, c))
    posts.commit(added(post))
    # When one target alone is written
    change = changed(post, targets={2: {"attempt_count": 1}})
    posts.commit(change)
    # Then
    assert posts.read(post.id) == change.after


def test_fifty_targets_are_committed_and_read_together(posts: PostStore) -> None:
    # Given
    post = a_post(targets=[TargetStatus.SCHEDULED] * 50, caption="x" * 10_000)
    posts.commit(added(post, an_event(post)))
    # When
    cancellation = lifecycle.cancel(post, actor=USER_ID, now=START)
    posts.commit(cancellation.change)
    # Then
    assert posts.read(post.id) == cancellation.change.after


def test_a_post_of_more_than_a_page_is_read_whole(posts: PostStore) -> None:
    # Given a post of over a megabyte, which is what one answer of DynamoDB holds
    long = "ä" * 10_000
    post = a_post(targets=[TargetStatus.DRAFT] * 50, status=PostStatus.DRAFT)
    post = replace(
        post,
        targets=tuple(
            replace(target, caption_override=long, first_comment=long[:2000])
            for target in post.targets
        ),
    )
    # When
    posts.commit(added(post))
    # Then
    assert posts.read(post.id) == post


def test_a_deleted_post_is_still_read(posts: PostStore) -> None:
    # Given
    post = a_post()
    posts.commit(added(post))
    # When
    change = changed(post, deleted_at=START)
    posts.commit(change)
    # Then
    assert posts.read(post.id) == change.after


def test_posts_and_events_do_not_mix(posts: PostStore) -> None:
    # Given two posts with events
    post, other = a_post(), a_post()
    event = an_event(post)
    posts.commit(added(post, event))
    posts.commit(added(other, an_event(other)))
    # Then
    assert posts.read(post.id) == post
    assert posts.timeline(post.id) == [event]
    assert posts.event(post.id, event.id) == event
    assert posts.event(other.id, event.id) is None


def test_the_timeline_is_in_order(posts: PostStore) -> None:
    # Given events committed in another order than they happened
    post = a_post()
    first = an_event(post, version_after=1)
    second = an_event(post, version_after=2, reason="rain")
    third = an_event(post, occurred_at=START + timedelta(milliseconds=1), version_after=0)
    posts.commit(added(post, third, second, first))
    # Then
    assert posts.timeline(post.id) == [first, second, third]


# Conditions


def test_adding_twice_loses(posts: PostStore) -> None:
    # Given
    post = a_post()
    posts.commit(added(post))
    # When / Then
    with pytest.raises(LostRaceError):
        posts.commit(added(replace(post, caption="other")))
    assert posts.read(post.id) == post


def test_a_change_of_a_row_that_has_moved_loses(posts: PostStore) -> None:
    # Given
    post = a_post()
    posts.commit(added(post))
    winner = changed(post, caption="first")
    posts.commit(winner)
    # When / Then
    with pytest.raises(LostRaceError):
        posts.commit(changed(post, caption="second"))
    assert posts.read(post.id) == winner.after


def test_a_change_of_several_rows_is_all_or_nothing(posts: PostStore) -> None:
    # Given a target that has moved
    post = a_post()
    posts.commit(added(post))
    moved = changed(post, targets={1: {"attempt_count": 1}})
    posts.commit(moved)
    # When
    event = an_event(post)
    with pytest.raises(LostRaceError):
        posts.commit(
            changed(
                post,
                targets={0: {"attempt_count": 5}, 1: {"attempt_count": 5}},
                caption="never",
                events=[event],
            ),
            answer=(answer := an_answer(post.id)),
        )
    # Then nothing of it is there
    assert posts.read(post.id) == moved.after
    assert posts.timeline(post.id) == []
    assert posts.answer(answer.key_digest, answer.idempotency_key) is None


@pytest.mark.parametrize("moved_row", ["post", "target"])
def test_a_change_that_relied_on_a_row_that_has_moved_loses(
    posts: PostStore, moved_row: str
) -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING)
    posts.commit(added(post))
    if moved_row == "post":
        relied_on, moved = post, changed(post, caption="moved")
    else:
        relied_on, moved = post.targets[1], changed(post, targets={1: {"attempt_count": 9}})  # type: ignore[assignment]  # either row
    posts.commit(moved)
    # When / Then
    with pytest.raises(LostRaceError):
        posts.commit(changed(post, targets={0: {"attempt_count": 2}}, relied_on=[relied_on]))
    assert posts.read(post.id) == moved.after


def test_a_change_that_relied_on_rows_that_stand_is_written(posts: PostStore) -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING)
    posts.commit(added(post))
    # When it relies on the post, on a target, and on the very row it writes
    change = changed(post, targets={0: {"attempt_count": 2}}, relied_on=[post, *post.targets])
    posts.commit(change)
    # Then
    assert posts.read(post.id) == change.after


@pytest.mark.parametrize(
    "otherwise", [{"status": TargetStatus.CANCELED}, {"workflow_id": None}, {"workflow_id": "x-9"}]
)
def test_status_and_workflow_count_beside_the_revision(
    posts: PostStore, otherwise: dict[str, Any]
) -> None:
    # Given a row that is not what was read, though of the same revision
    post = a_post()
    other = replace(post, targets=(replace(post.targets[0], **otherwise), *post.targets[1:]))
    posts.commit(added(other))
    # When / Then
    with pytest.raises(LostRaceError):
        posts.commit(changed(post, targets={0: {"attempt_count": 1}}))
    with pytest.raises(LostRaceError):
        posts.commit(changed(post, caption="new", relied_on=[post.targets[0]]))
    assert posts.read(post.id) == other


def test_a_change_of_a_post_that_is_not_there_loses(posts: PostStore) -> None:
    post = a_post()
    with pytest.raises(LostRaceError):
        posts.commit(changed(post, caption="new"))
    assert posts.read(post.id) is None


def test_an_event_that_exists_loses(posts: PostStore) -> None:
    # Given
    post = a_post()
    event = an_event(post)
    posts.commit(added(post, event))
    # When / Then
    with pytest.raises(LostRaceError):
        posts.commit(changed(post, caption="new", events=[event]))
    assert posts.read(post.id) == post


def test_an_empty_change_writes_nothing(posts: PostStore) -> None:
    # Given
    post = a_post()
    posts.commit(added(post))
    # When
    posts.commit(changed(post))
    # Then
    assert posts.read(post.id) == post


# The membership guard


@pytest.mark.parametrize("role", Role)
def test_the_guard_asks_for_one_of_its_roles(stores: Stores, role: Role) -> None:
    # Given
    stores.registry.put_member(a_member(role))
    post = a_post()
    # When
    if role in EDITORS:
        stores.posts.commit(added(post), guard=GUARD)
    else:
        with pytest.raises(AccessLostError):
            stores.posts.commit(added(post), guard=GUARD)
    # Then
    assert stores.posts.read(post.id) == (post if role in EDITORS else None)


def test_the_guard_asks_for_a_membership_of_that_workspace(stores: Stores) -> None:
    # Given members who are others, or elsewhere
    stores.registry.put_member(a_member(user_id=an_id(ids.USER)))
    stores.registry.put_member(a_member(workspace_id=an_id(ids.WORKSPACE)))
    # When / Then
    with pytest.raises(AccessLostError):
        stores.posts.commit(added(post := a_post()), guard=GUARD)
    assert stores.posts.read(post.id) is None


def test_the_guard_holds_for_an_empty_change_with_an_answer(stores: Stores) -> None:
    # Given
    post = a_post(PostStatus.CANCELED)
    stores.posts.commit(added(post))
    answer = an_answer(post.id, status=200, body={})
    # When / Then
    with pytest.raises(AccessLostError):
        stores.posts.commit(changed(post), guard=GUARD, answer=answer)
    assert stores.posts.answer(answer.key_digest, answer.idempotency_key) is None


def test_an_empty_change_stores_its_answer_and_nothing_else(stores: Stores) -> None:
    # Given
    post = a_post(PostStatus.CANCELED)
    stores.posts.commit(added(post))
    stores.registry.put_member(a_member())
    answer = an_answer(post.id, status=200, body={"id": post.id})
    # When
    stores.posts.commit(changed(post), guard=GUARD, answer=answer)
    # Then
    assert stores.posts.answer(answer.key_digest, answer.idempotency_key) == answer
    assert stores.posts.read(post.id) == post
    # And the key is taken
    with pytest.raises(AnswerExistsError):
        stores.posts.commit(changed(post), guard=GUARD, answer=answer)


# Stored answers


def test_an_answer_is_stored_with_the_change(posts: PostStore) -> None:
    # Given
    post = a_post()
    answer = an_answer(post.id, status=201, body={"id": post.id, "ä": [1, None]})
    # When
    posts.commit(added(post), answer=answer)
    # Then
    assert posts.answer(answer.key_digest, answer.idempotency_key) == answer
    assert posts.answer("other", answer.idempotency_key) is None
    assert posts.answer(answer.key_digest, "other") is None


def test_a_taken_key_tells_the_answer_that_stands(posts: PostStore) -> None:
    # Given
    post = a_post()
    answer = an_answer(post.id, status=201, body={"id": post.id})
    posts.commit(added(post), answer=answer)
    # When
    other = a_post()
    with pytest.raises(AnswerExistsError) as caught:
        posts.commit(added(other), answer=replace(answer, post_id=other.id, body={}))
    # Then
    assert caught.value.answer == answer
    assert posts.read(other.id) is None


def test_a_taken_key_counts_before_lost_access_and_a_lost_race(stores: Stores) -> None:
    # Given no membership, a post that has moved, and a taken key
    post = a_post()
    answer = an_answer(post.id)
    stores.posts.commit(added(post), answer=answer)
    stores.posts.commit(changed(post, caption="moved"))
    # When / Then
    with pytest.raises(AnswerExistsError):
        stores.posts.commit(changed(post, caption="new"), guard=GUARD, answer=answer)
    # And without the key
    with pytest.raises(AccessLostError):
        stores.posts.commit(changed(post, caption="new"), guard=GUARD)
    # And with the membership
    stores.registry.put_member(a_member())
    with pytest.raises(LostRaceError):
        stores.posts.commit(changed(post, caption="new"), guard=GUARD)


def test_an_expired_answer_does_not_count(stores: Stores) -> None:
    # Given
    old = an_answer(status=200, body={})
    stores.posts.commit(added(a_post()), answer=old)
    # When a day has passed
    stores.clock.at = old.expires_at
    # Then its key is free
    assert stores.posts.answer(old.key_digest, old.idempotency_key) is None
    new = replace(old, created_at=old.expires_at, expires_at=old.expires_at + timedelta(hours=24))
    stores.posts.commit(added(a_post()), answer=new)
    assert stores.posts.answer(old.key_digest, old.idempotency_key) == new


def test_an_answer_counts_until_its_last_millisecond(stores: Stores) -> None:
    # Given
    answer = an_answer(expires_at=START + timedelta(hours=24, milliseconds=2))
    stores.posts.commit(added(a_post()), answer=answer)
    # When
    stores.clock.at = answer.expires_at - timedelta(milliseconds=1)
    # Then
    assert stores.posts.answer(answer.key_digest, answer.idempotency_key) == answer
    with pytest.raises(AnswerExistsError):
        stores.posts.commit(added(a_post()), answer=answer)


def test_a_running_answer_is_completed_once(posts: PostStore) -> None:
    # Given
    running = an_answer()
    posts.commit(added(a_post(post_id=running.post_id)), answer=running)
    final = replace(running, status=201, body={"id": running.post_id})
    # When
    posts.complete(final)
    posts.complete(final)
    posts.complete(replace(final, status=500, body={}))
    # Then
    assert posts.answer(final.key_digest, final.idempotency_key) == final


def test_completing_leaves_the_answer_of_another_request_alone(posts: PostStore) -> None:
    # Given
    running = an_answer()
    posts.commit(added(a_post()), answer=running)
    # When
    posts.complete(replace(running, request_digest="other", status=201, body={}))
    posts.complete(replace(running, post_id=an_id(ids.POST), status=201, body={}))
    posts.complete(replace(running, idempotency_key="never seen", status=201, body={}))
    # Then
    assert posts.answer(running.key_digest, running.idempotency_key) == running
    assert posts.answer(running.key_digest, "never seen") is None


# Events on their way


def test_pending_events_are_found_oldest_first(posts: PostStore) -> None:
    # Given events pending since different moments, in every shard
    post = a_post()
    events = [
        an_event(post, pending_since=START + timedelta(seconds=(number * 7) % 12))
        for number in range(12)
    ]
    posts.commit(added(post, *events))
    expected = [
        (post.id, event.id)
        for event in sorted(events, key=lambda event: event.pending_since or START)
    ]
    # Then
    assert posts.pending_events(START + timedelta(seconds=60), 100) == expected
    assert posts.pending_events(START + timedelta(seconds=60), 5) == expected[:5]
    assert posts.pending_events(START + timedelta(seconds=3), 100) == expected[:3]
    assert posts.pending_events(START, 100) == []
    assert posts.pending_events(START + timedelta(seconds=60), 0) == []


def test_an_event_that_is_not_pending_is_not_found(posts: PostStore) -> None:
    # Given
    post = a_post()
    posts.commit(added(post, an_event(post, pending_since=None)))
    # Then
    assert posts.pending_events(LATER, 10) == []


def test_a_fanned_out_event_is_off_the_index_and_on_the_timeline(posts: PostStore) -> None:
    # Given
    post = a_post()
    event, other = an_event(post), an_event(post)
    posts.commit(added(post, event, other))
    # When
    posts.fanned_out(event, expires_at=LATER)
    posts.fanned_out(event, expires_at=LATER)
    # Then
    done = replace(event, pending_since=None)
    assert posts.event(post.id, event.id) == done
    assert posts.timeline(post.id) == [done, other]
    assert posts.pending_events(LATER, 10) == [(post.id, other.id)]


def test_fanning_out_makes_no_event(posts: PostStore) -> None:
    # Given
    post = a_post()
    event = an_event(post)
    # When
    posts.fanned_out(event, expires_at=LATER)
    # Then
    assert posts.event(post.id, event.id) is None


# Posts that want looking after


def test_due_posts_are_found_longest_waiting_first(posts: PostStore) -> None:
    # Given posts that want attention at different moments, in every shard, and one that never does
    waiting = [a_post(attention_at=START + timedelta(seconds=(n * 5) % 11)) for n in range(11)]
    for post in (*waiting, a_post(attention_at=None)):
        posts.commit(added(post))
    expected = [post.id for post in sorted(waiting, key=lambda post: post.attention_at or START)]
    # Then
    assert posts.due_posts(START + timedelta(seconds=60), 100) == expected
    assert posts.due_posts(START + timedelta(seconds=60), 4) == expected[:4]
    assert posts.due_posts(START + timedelta(seconds=3), 100) == expected[:4]
    assert posts.due_posts(START - timedelta(milliseconds=1), 100) == []


def test_pending_armings_are_found_apart_and_in_order(posts: PostStore) -> None:
    # Given posts that want attention in turn, every other one for its arming
    waiting = [
        a_post(attention_at=START + timedelta(seconds=number), pending=bool(number % 2))
        for number in range(12)
    ]
    for post in waiting:
        posts.commit(added(post))
    due, pending = [[post.id for post in waiting[first::2]] for first in (0, 1)]
    a_minute_later = START + timedelta(seconds=60)
    # Then
    assert posts.due_posts(a_minute_later, 100) == due
    assert posts.pending_armings(a_minute_later, 100) == pending
    assert posts.pending_armings(a_minute_later, 4) == pending[:4]
    assert posts.pending_armings(START + timedelta(seconds=3), 100) == pending[:2]
    # When one is armed
    posts.commit(changed(waiting[1], workflow_id="w", pending_workflow_id=None))
    # Then
    assert posts.pending_armings(a_minute_later, 100) == pending[1:]
    assert posts.due_posts(a_minute_later, 2) == [due[0], waiting[1].id]


def test_a_post_that_needs_nothing_more_is_not_due(posts: PostStore) -> None:
    # Given
    post = a_post()
    posts.commit(added(post))
    assert posts.due_posts(LATER + timedelta(hours=1), 10) == [post.id]
    # When
    posts.commit(lifecycle.cancel(post, actor=USER_ID, now=START).change)
    # Then
    assert posts.due_posts(LATER + timedelta(hours=1), 10) == []


# Lost answers: on the engine, which like DynamoDB keeps what it has done for a token


def test_a_commit_whose_answer_is_lost_is_repeated_and_counts_once(engine: Aws) -> None:
    # Given
    stores = stores_on(engine)
    stores.registry.put_member(a_member())
    post = a_post()
    event = an_event(post)
    answer = an_answer(post.id, status=201, body={})
    stores.posts.commit(added(post))
    change = changed(post, caption="once", targets={0: {"attempt_count": 1}}, events=[event])
    # When
    with answers_lost(engine.clients.dynamodb(), "TransactWriteItems", times=2) as lost:
        stores.posts.commit(change, guard=GUARD, answer=answer)
    # Then it was done at first and found to be done by the repeats
    assert lost == ["TransactWriteItems"] * 2
    assert stores.posts.read(post.id) == change.after
    assert stores.posts.timeline(post.id) == [event]


# Races: on the engine and the fake only. moto lets two win.


@pytest.fixture(params=["fake", "engine"])
def racing(request: pytest.FixtureRequest) -> Stores:
    place = None if request.param == "fake" else request.getfixturevalue("engine")
    return stores_on(place)


def race(*calls: Callable[[], None]) -> list[Exception | None]:
    """Run the calls at the same moment and return what each raised."""
    start = threading.Barrier(len(calls))
    outcomes: list[Exception | None] = [None] * len(calls)

    def run(number: int) -> None:
        start.wait()
        try:
            calls[number]()
        except Exception as error:  # noqa: BLE001  # looked at by the test
            outcomes[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def winners(outcomes: Sequence[Exception | None]) -> list[int]:
    return [number for number, error in enumerate(outcomes) if error is None]


def test_of_eight_who_commit_the_same_change_one_wins(racing: Stores) -> None:
    racing.registry.put_member(a_member())
    for _ in range(10):
        # Given
        post = a_post()
        racing.posts.commit(added(post))
        changes = [
            changed(post, caption=f"by {number}", events=[an_event(post)]) for number in range(8)
        ]
        # When
        outcomes = race(
            *(lambda change=change: racing.posts.commit(change, guard=GUARD) for change in changes)
        )
        # Then
        (winner,) = winners(outcomes)
        assert all(isinstance(error, LostRaceError) for error in outcomes if error is not None)
        assert racing.posts.read(post.id) == changes[winner].after
        assert racing.posts.timeline(post.id) == list(changes[winner].events)


def test_of_a_cancel_and_a_claim_one_wins(racing: Stores) -> None:
    seen = set()
    for round_ in range(25):
        # Given
        post = replace(a_post(), status=PostStatus.PUBLISHING)
        racing.posts.commit(added(post))
        cancel = lifecycle.cancel(post, actor=USER_ID, now=START).change
        claim = lifecycle.claim(
            post, post.targets[0].id, post.workflow_id or "", "claim", now=LATER
        )
        assert claim is not None
        calls = [
            lambda cancel=cancel: racing.posts.commit(cancel),
            lambda claim=claim: racing.posts.commit(claim),
        ]
        # When
        outcomes = race(*(calls if round_ % 2 else calls[::-1]))
        # Then
        (winner,) = winners(outcomes)
        cancelled = calls[winner if round_ % 2 else 1 - winner] is calls[0]
        seen.add(cancelled)
        stored = racing.posts.read(post.id)
        assert stored == (cancel.after if cancelled else claim.after)
    assert seen


def test_of_eight_with_one_idempotency_key_one_wins_and_the_others_are_told(
    racing: Stores,
) -> None:
    for _ in range(10):
        # Given
        first = an_answer(status=201)
        answers = [replace(first, body={"by": number}) for number in range(8)]
        made = [a_post() for _ in answers]
        # When
        outcomes = race(
            *(
                lambda post=post, answer=answer: racing.posts.commit(added(post), answer=answer)
                for post, answer in zip(made, answers, strict=True)
            )
        )
        # Then
        (winner,) = winners(outcomes)
        for error in outcomes:
            if error is not None:
                assert isinstance(error, AnswerExistsError)
                assert error.answer == answers[winner]
        assert [post.id for post in made if racing.posts.read(post.id) is not None] == [
            made[winner].id
        ]
