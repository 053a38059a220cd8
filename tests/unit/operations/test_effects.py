"""Effects, races and stored answers: what the operations share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from postbreeze.domain.changes import (
    ArmSchedule,
    Change,
    DisarmSchedule,
    Effect,
    PublishTarget,
    ResolveTarget,
)
from postbreeze.domain.errors import (
    ContendedError,
    IdempotencyInProgressError,
    IdempotencyKeyReusedError,
    LostRaceError,
    UnavailableError,
)
from postbreeze.domain.lifecycle import conclude
from postbreeze.domain.post import PostStatus, TargetStatus
from postbreeze.operations.answers import Answer, Idempotency, replay, to_store
from postbreeze.operations.races import MOST_RACES, decide
from tests.support.builders import LATER, a_post, added, an_event
from tests.support.core import A_SECOND, Core
from tests.support.fakes import START, FakeTogether
from tests.support.faults import before, faulty

ARM = ArmSchedule(post_id="post_1", workflow_id="post_1-1", at=LATER)
DISARM = DisarmSchedule(workflow_id="post_1-1")
PUBLISH = PublishTarget(
    workspace_id="ws_1", post_id="post_1", target_id="tgt_1", workflow_id="post_1-1"
)
RESOLVE = ResolveTarget(workspace_id="ws_1", post_id="post_1", target_id="tgt_1", claim_id="c")


@pytest.fixture
def core() -> Core:
    return Core()


# Effects


def test_messages_are_sent_together_and_the_rest_one_by_one(core: Core) -> None:
    # Given
    calls = core.recorded()
    event = an_event()
    # When
    core.effects.perform_all([ARM, PUBLISH, RESOLVE], [event])
    # Then
    assert calls == ["schedules.arm", "publish_queue.send", "bus.announce"]
    assert core.schedules.armed == {"post_1-1": ARM}
    assert core.publish_queue.sent == [PUBLISH, RESOLVE]
    assert core.bus.announced == [(event.post_id, event.id)]


def test_performing_raises_what_fails_after_doing_the_rest(core: Core) -> None:
    # Given
    core.schedules.arm(ARM)
    core.fails("schedules.disarm", UnavailableError("down"))
    # When / Then
    with pytest.raises(UnavailableError, match="down"):
        core.effects.perform_all([DISARM, PUBLISH])
    assert core.publish_queue.sent == [PUBLISH]


def test_attempting_notes_what_fails_and_does_the_rest(core: Core) -> None:
    # Given
    post = a_post()
    change = Change(before=post, after=post, effects=(DISARM, PUBLISH), events=(an_event(post),))
    core.fails("schedules.disarm", UnavailableError("down"))
    # When
    core.effects.attempt(change)
    # Then
    [warning] = core.telemetry.warnings
    assert warning.fields["effect"] == "DisarmSchedule"
    assert warning.fields["post_id"] == post.id
    assert core.telemetry.counts["EffectFailed"] == 1
    assert core.publish_queue.sent == [PUBLISH]
    assert core.bus.announced


def test_a_client_waits_for_effects_a_second_at_most(core: Core) -> None:
    # Given
    waited: list[float] = []

    class Waiting(FakeTogether):
        def attempt(self, *calls: Callable[[], None], seconds: float) -> Sequence[Exception | None]:
            waited.append(seconds)
            return FakeTogether.attempt(self, *calls, seconds=seconds)

    # When
    replace(core.effects, together=Waiting()).announce(an_event())
    # Then
    assert waited == [1]


@pytest.mark.parametrize("effect", [ARM, DISARM, PUBLISH, RESOLVE])
def test_an_effect_that_was_not_wired_is_a_fault_of_the_program(core: Core, effect: Effect) -> None:
    # Given
    effects = replace(core.effects, schedules=None, publish_queue=None)
    # When / Then
    with pytest.raises(TypeError, match="not wired"):
        effects.perform_all([effect])


# Races


def test_a_decision_is_made_again_on_what_then_stands(core: Core) -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (TargetStatus.PUBLISHED,))
    core.posts.commit(added(post))
    store = faulty(core.posts, commit=[before(LostRaceError())] * (MOST_RACES - 1))
    # When
    decided = decide(store, post.id, lambda present: conclude(present, now=START), post=post)
    # Then
    assert decided is not None
    assert decided.change is not None
    assert decided.post.status is PostStatus.PUBLISHED
    assert core.posts.calls["read"] == MOST_RACES - 1


def test_a_decision_that_always_loses_gives_up(core: Core) -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (TargetStatus.PUBLISHED,))
    core.posts.commit(added(post))
    store = faulty(core.posts, commit=[before(LostRaceError())] * MOST_RACES)
    # When / Then
    with pytest.raises(ContendedError):
        decide(store, post.id, lambda present: conclude(present, now=START))


def test_nothing_is_committed_where_there_is_nothing_to_do(core: Core) -> None:
    # Given
    post = a_post()
    core.posts.commit(added(post))
    # When
    decided = decide(core.posts, post.id, lambda present: None)
    # Then
    assert decided is not None
    assert (decided.change, decided.post) == (None, post)
    assert decide(core.posts, "post_x", lambda present: None) is None


# Stored answers

KEY = Idempotency(key="k", request_digest="d")
ANSWER = Answer(status=200, body={"a": 1})


def test_an_answer_is_stored_for_a_day_and_repeated() -> None:
    # Given
    stored = to_store(KEY, key_digest="x", post_id="p", now=START, answer=ANSWER)
    # Then
    assert stored is not None
    assert stored.expires_at == START + timedelta(hours=24)
    assert replay(stored, KEY, START) == Answer(status=200, body={"a": 1}, replayed=True)
    with pytest.raises(IdempotencyKeyReusedError):
        replay(stored, Idempotency(key="k", request_digest="other"), START)


def test_without_a_key_nothing_is_stored() -> None:
    assert to_store(None, key_digest="x", post_id="p", now=START, answer=ANSWER) is None


def test_a_running_request_counts_as_dead_after_a_minute() -> None:
    # Given
    stored = to_store(KEY, key_digest="x", post_id="p", now=START)
    assert stored is not None
    # When / Then
    with pytest.raises(IdempotencyInProgressError):
        replay(stored, KEY, START + 59 * A_SECOND)
    assert replay(stored, KEY, START + 60 * A_SECOND) is None
