"""Everything that can happen at once, in every order in which it can."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial

import pytest

from postbreeze.domain.errors import PlatformRetriableError
from postbreeze.domain.lifecycle import LEASE
from postbreeze.domain.post import PostDraft, PostStatus, TargetDraft, TargetStatus
from postbreeze.domain.webhook import EndpointStatus, Lane
from postbreeze.operations.answers import Idempotency
from postbreeze.operations.publish import ACCOUNT_NOT_ACTIVE
from tests.support.core import A_MINUTE, A_SECOND, ENDPOINT, WORKSPACE
from tests.support.interleave import (
    Explored,
    Scene,
    Step,
    TooManyOrdersError,
    Torn,
    explore,
)
from tests.support.platforms import Accident
from tests.support.plays import Play
from tests.support.proof import Proved, is_proving, share


def assert_either_or(play: Play) -> None:
    """Every target was published or stopped, and the client was told which."""
    published = set(play.core.watched.sent)
    for target in play.end.targets:
        is_published = target.status is TargetStatus.PUBLISHED
        assert is_published != (target.status is TargetStatus.CANCELED)
        assert is_published == (target.id in published)
    if play.refusals and not play.answers:
        assert set(play.ends()) == {"PUBLISHED"}


def assert_all_cancelled(play: Play) -> None:
    assert play.refusals == []
    assert set(play.ends()) == {"CANCELED"}
    assert play.core.schedules.armed == {}


def assert_published(play: Play) -> None:
    assert set(play.ends()) == {"PUBLISHED"}
    assert play.end.status is PostStatus.PUBLISHED


def assert_the_last_word(play: Play) -> None:
    """What was asked for last is what happened, but for what was in flight by then."""
    versions = {int(answer.body["version"]): name for name, answer in play.told.items()}
    versions |= {int(answer.body["version"]): "cancel" for answer in play.answers}
    last = versions[max(versions)] if versions else "fire"
    if "delete" in play.told:
        last = "delete"
    for target in play.end.targets:
        public = play.core.platform.posts.get(target.id)
        assert (public is not None) == (target.status is TargetStatus.PUBLISHED)
        if public is not None:
            is_edited = target.workflow_id != f"{play.post.id}-1" and "edit" in play.told
            assert public.text == ("Edited" if is_edited else "Hello")
        if last in {"cancel", "delete"}:
            assert target.status in {TargetStatus.CANCELED, TargetStatus.PUBLISHED}
        elif target.status is not TargetStatus.PUBLISHED:
            # It was in flight when its post was put on the clock again, and came back.
            assert target.status is TargetStatus.CANCELED
            assert play.core.platform.attempts[target.id]
        elif last in play.told and target.scheduled_for is not None:
            assert target.published_at is not None
            assert target.published_at >= target.scheduled_for


def partly_published() -> Play:
    """The second of two targets was refused by its platform."""
    play = Play(2).started()
    play.core.platform.publish_accidents.extend([None, Accident.REFUSED])
    for target in play.post.targets:
        play.core.publisher.publish(play.post.id, target.id, f"{play.post.id}-1")
    play.core.waiting.clear()
    assert play.end.status is PostStatus.PARTIALLY_PUBLISHED
    return play


def assert_retried_or_cancelled(play: Play) -> None:
    first, second = play.end.targets
    assert first.status is TargetStatus.PUBLISHED
    assert second.status in {TargetStatus.PUBLISHED, TargetStatus.CANCELED}
    if "retry" not in play.told:
        assert second.status is TargetStatus.CANCELED


def assert_one_stays_cancelled(play: Play) -> None:
    assert play.ends() == ["CANCELED", "PUBLISHED"]


def assert_deleted(play: Play) -> None:
    assert "delete" in play.told
    assert play.end.deleted_at is not None
    assert play.core.events(play.post.id).count("post.deleted") == 1
    assert_the_last_word(play)


def arming(targets: int = 2) -> Play:
    """A post whose creation has just been accepted and which is to be armed now."""
    play = Play(targets, armed=False)
    return play.also("arm", lambda: play.core.arm(play.post, actor="usr"))


def refusing(play: Play) -> Play:
    """The platform cannot be reached the first time."""
    play.core.platform.publish_accidents.append(Accident.UNREACHABLE)
    return play


def cancel_and_arm() -> Scene:
    play = arming()
    return play.cancel().scene(assert_all_cancelled)


def cancel_and_arm_twice() -> Scene:
    play = arming()
    play.also("reconcile", lambda: play.core.arm(play.post, actor="service"))
    return play.cancel().scene(assert_all_cancelled)


def conclude_beside(play: Play) -> Scene:
    return play.also("conclude", lambda: play.core.conclude(play.post.id)).scene(assert_published)


def retry_beside(play: Play, act: Callable[[Play], object]) -> Scene:
    """Whoever ends the publishing just then must not take what is retried for what has failed."""
    act(play.retry())
    return play.scene(lambda play: None)


def one_failed() -> Play:
    """The first of two targets was refused by its platform, and the second is to be published."""
    play = Play(2).started()
    play.core.platform.publish_accidents.append(Accident.REFUSED)
    play.core.publisher.publish(play.post.id, play.post.targets[0].id, f"{play.post.id}-1")
    return play


def edited_twice() -> Scene:
    """One edits the draft to say something else, the other to say what it says."""
    play = Play(1, is_scheduled=False)

    def draft(caption: str) -> PostDraft:
        only = TargetDraft(
            social_account_id=play.post.targets[0].social_account_id, caption_override=caption
        )
        return play.core.a_draft(scheduled_for=None, targets_of=(only,))

    play.core.edit(play.post.id, draft("as it was"))
    for name in ("else", "as it was"):
        play.asks(name, partial(play.core.edit, play.post.id, draft(name)))

    def check(play: Play) -> None:
        said = {
            int(answer.body["version"]): answer.body["targets"][0]["captionOverride"]
            for answer in play.told.values()
        }
        assert len(said) == len(play.told)
        assert play.end.targets[0].caption_override == said[max(said)]

    return play.scene(check)


def answered_twice() -> Scene:
    play = Play(2)
    same = Idempotency(key="k", request_digest="d")

    def check(play: Play) -> None:
        assert_all_cancelled(play)
        one, other = play.answers
        assert not (one.replayed and other.replayed)
        if one.replayed or other.replayed:
            assert one.body == other.body

    play.cancel("one", idempotency=same).cancel("other", idempotency=same)
    return play.scene(check)


def resolved_beside(*, is_reconciled: bool = False) -> Scene:
    """A claim has run out although its target was published: the answer was lost."""
    play = Play(2).started()
    play.core.platform.publish_accidents.append(Accident.LOST_ANSWER)
    play.core.platform.find_errors.append(PlatformRetriableError("DOWN", "Down."))
    first = play.post.targets[0].id
    play.core.publisher.publish(play.post.id, first, f"{play.post.id}-1")
    play.core.waiting.clear()
    play.core.advance(LEASE + A_SECOND)
    claim = play.core.post(play.post.id).targets[0].claim_id
    assert claim is not None
    resolve = partial(play.core.publisher.resolve, play.post.id, first, claim)
    play.also("resolve", resolve).also("again", resolve).cancel()
    return (play.reconcile() if is_reconciled else play).scene(assert_either_or)


def both_by_one() -> Scene:
    play = Play().started().cancel("one", 0).cancel("other", 1)
    return play.publish(0).publish(1).scene(assert_either_or)


def webhook_play() -> tuple[Play, tuple[str, str], str]:
    """A draft whose one event has been fanned out: its only delivery is due."""
    play = Play(1, is_scheduled=False)
    [event] = play.core.posts.timeline(play.post.id)
    play.core.waiting.clear()
    play.core.fan_out(play.post.id, event.id)
    [queued] = play.core.delivery_queue.sent
    play.core.delivery_queue.sent.clear()
    return play, (queued.endpoint_id, queued.delivery_id), event.id


def assert_received(play: Play) -> None:
    assert "post.created" in play.core.received()


def delivered_beside(*acts: str, answer: int = 200, is_disabled: bool = False) -> Scene:
    play, delivery, event_id = webhook_play()
    core = play.core
    core.sender.script.append(answer)
    if is_disabled:
        core.endpoints.disable(WORKSPACE, ENDPOINT)
    known: dict[str, Callable[[], object]] = {
        "deliver": lambda: core.deliver(*delivery, Lane.PROMPT),
        "again": lambda: core.deliver(*delivery, Lane.PROMPT),
        "fan out": lambda: core.fan_out(play.post.id, event_id),
        "reconcile": core.reconcile,
        "enable": lambda: core.endpoints.enable(WORKSPACE, ENDPOINT),
        "disable": lambda: core.endpoints.disable(WORKSPACE, ENDPOINT),
    }
    for act in acts:
        play.also(act, known[act])

    def enabled_in_the_end() -> None:
        core.sender.script.clear()
        core.drain_messages()
        if core.endpoint().status is EndpointStatus.DISABLED:
            core.endpoints.enable(WORKSPACE, ENDPOINT)

    play.finally_(enabled_in_the_end)
    return play.scene(assert_received)


def fanned_out_twice() -> Scene:
    play = Play(1, is_scheduled=False)
    [event] = play.core.posts.timeline(play.post.id)
    play.core.waiting.clear()
    for name in ("fan out", "again"):
        play.also(name, lambda: play.core.fan_out(play.post.id, event.id))
    return play.scene(assert_received)


def delete_beside_a_cancel() -> Scene:
    play = Play().delete()
    play.asks("cancel", lambda: play.core.cancel(play.post.id))
    return play.scene(assert_deleted)


def approve_beside_a_cancel() -> Scene:
    play = Play(waits=True)
    play.asks("approve", lambda: play.core.approve(play.post.id))
    return play.cancel().scene(assert_all_cancelled)


def assert_disconnected(play: Play) -> None:
    """What had not begun when the account was disconnected was never published."""
    assert "disconnect" in play.told
    for target in play.end.targets:
        is_open = play.open_at_disconnect.get(target.id)
        if is_open is not None:
            assert not (is_open and target.id in play.core.watched.sent)
            assert target.status in {TargetStatus.PUBLISHED, TargetStatus.CANCELED} or (
                target.status is TargetStatus.FAILED and target.error_code == ACCOUNT_NOT_ACTIVE
            )
        else:
            assert target.status in {TargetStatus.PUBLISHED, TargetStatus.CANCELED}
        assert (target.status is TargetStatus.PUBLISHED) == (target.id in play.core.watched.sent)


def created_twice() -> Scene:
    """One request to create a post, sent twice."""
    play = Play(1, is_scheduled=False)
    draft = play.core.a_draft(1)
    same = Idempotency(key="k", request_digest="d")
    for name in ("create", "again"):
        play.asks(name, lambda: play.core.create(draft, idempotency=same))

    def check(play: Play) -> None:
        assert len(play.core.posts._posts) == 2
        assert len({str(answer.body["id"]) for answer in play.told.values()}) == 1
        assert [answer.replayed for answer in play.told.values()].count(False) == 1

    return play.scene(check)


def messages_lost() -> Play:
    """A post that began ten minutes ago, of whose messages nobody has taken care."""
    play = Play().started()
    play.core.advance(10 * A_MINUTE)
    return play


def assert_all_or_published(play: Play) -> None:
    assert_either_or(play)
    assert len(set(play.ends())) == 1


def approve_beside_reconcile() -> Scene:
    play = Play(waits=True)
    play.core.advance(A_MINUTE)
    return play.approve().cancel().reconcile().scene(assert_all_cancelled)


def pending() -> Play:
    """A post whose arming has been pending for so long that somebody else completes it."""
    play = arming()
    play.core.advance(2 * A_MINUTE)
    return play


SOON = 0.001
"""In hours: so little ahead that no fire is too early for it."""

WHOLE = Step.OPERATION
"""Where all that happens is clients' changes, it comes to what some order of them comes to."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """Operations that happen at once, in one situation.

    ``tested`` and ``proved`` say how often at most an actor is interrupted in such a run, ``torn``
    how often in a proof where reads are torn; None for ever so often. A proof begins with what is
    known to be few enough. That gives up what a longer search would check before it is broken off.
    """

    what: str
    stage: Callable[[], Scene]
    tested: int | None = None
    proved: int | None = None
    torn: int | None = None


PUBLISH = "cancel ∥ start_publish ∥ publish_target"
CANCEL = "cancel ∥ cancel"
RESCHEDULE = "cancel ∥ reschedule ∥ stale fire"
PATCH = "cancel ∥ patch ∥ fire"
DISCONNECT = "cancel ∥ disconnect ∥ fire"
DELETE = "delete ∥ fire ∥ publish_target"
APPROVE = "approve ∥ cancel"
SETTLE = "settle ∥ settle ∥ cancel"
RETRY = "retry ∥ cancel ∥ publish_target"
ARM = "arming ∥ its repair ∥ cancel"
DELIVER = "fan_out, deliver ∥ enable, disable"
REPEAT = "create or cancel, sent twice"
RECONCILE = "reconcile ∥ each of them"

PAIRINGS: dict[str, Pairing] = {
    "a cancel, a fire and a publish": Pairing(
        PUBLISH, lambda: Play(1).time_has_come().cancel().start().publish().scene(assert_either_or)
    ),
    "a cancel and a fire that comes twice": Pairing(
        PUBLISH,
        lambda: Play().time_has_come().cancel().start().start("again").scene(assert_either_or),
    ),
    "a cancel and a publish that comes twice": Pairing(
        PUBLISH,
        lambda: Play(1).started().cancel().publish(0).publish(0, "again").scene(assert_either_or),
        tested=1,
        torn=2,
    ),
    "cancels of different targets and a fire": Pairing(
        PUBLISH,
        lambda: (
            Play()
            .time_has_come()
            .cancel("one", 0)
            .cancel("other", 1)
            .start()
            .scene(assert_either_or)
        ),
    ),
    "a cancel, a fire and two publishes": Pairing(
        PUBLISH,
        lambda: (
            Play().time_has_come().cancel().start().publish(0).publish(1).scene(assert_either_or)
        ),
        tested=1,
        proved=3,
        torn=1,
    ),
    "a cancel and a release": Pairing(
        PUBLISH, lambda: refusing(Play(1).started()).publish().cancel().scene(assert_either_or)
    ),
    "a cancel and the release of one of two": Pairing(
        PUBLISH, lambda: refusing(Play().started()).publish(0).cancel().scene(assert_either_or)
    ),
    "a cancel of the other target and a release": Pairing(
        PUBLISH,
        lambda: refusing(Play(2).started()).publish(0).cancel("cancel", 1).scene(assert_either_or),
    ),
    "a cancel and a cancel": Pairing(
        CANCEL, lambda: Play().cancel().cancel("other").scene(assert_all_cancelled, serial=WHOLE)
    ),
    "three cancels": Pairing(
        CANCEL,
        lambda: (
            Play(1)
            .cancel()
            .cancel("other")
            .cancel("third")
            .scene(assert_all_cancelled, serial=WHOLE)
        ),
        tested=2,
        torn=2,
    ),
    "cancels of the same target": Pairing(
        CANCEL, lambda: Play().cancel("one", 0).cancel("other", 0).scene(serial=WHOLE)
    ),
    "cancels of different targets": Pairing(
        CANCEL,
        lambda: (
            Play().cancel("one", 0).cancel("other", 1).scene(assert_all_cancelled, serial=WHOLE)
        ),
    ),
    "a cancel and a reschedule": Pairing(
        RESCHEDULE, lambda: Play(1).cancel().reschedule().scene(assert_the_last_word)
    ),
    "a cancel of one target and a reschedule": Pairing(
        RESCHEDULE,
        lambda: Play().cancel("cancel", 0).reschedule().scene(assert_one_stays_cancelled),
    ),
    "a reschedule and a fire that may be out of date": Pairing(
        RESCHEDULE, lambda: Play().time_has_come().reschedule().start().scene(assert_the_last_word)
    ),
    "a reschedule to a moment ahead and the old fire": Pairing(
        RESCHEDULE,
        lambda: Play(1).time_has_come().reschedule(hours=SOON).start().scene(assert_the_last_word),
    ),
    "a cancel, a reschedule to a moment ahead and a stale fire": Pairing(
        RESCHEDULE,
        lambda: (
            Play(1)
            .time_has_come()
            .cancel()
            .reschedule(hours=SOON)
            .start()
            .scene(assert_the_last_word)
        ),
        tested=1,
        torn=2,
    ),
    "a cancel, a reschedule and a fire that may be out of date": Pairing(
        RESCHEDULE,
        lambda: Play(1).time_has_come().cancel().reschedule().start().scene(assert_the_last_word),
        tested=1,
        torn=2,
    ),
    "two reschedules and the old fire": Pairing(
        RESCHEDULE,
        lambda: (
            Play(1)
            .time_has_come()
            .reschedule()
            .reschedule("other", hours=3)
            .start()
            .scene(assert_the_last_word)
        ),
        tested=1,
        torn=2,
    ),
    "a release, a cancel and a reschedule": Pairing(
        RESCHEDULE,
        lambda: (
            refusing(Play(2).started()).publish(0).cancel().reschedule().scene(assert_the_last_word)
        ),
        tested=1,
        proved=3,
        torn=2,
    ),
    "a cancel and an edit": Pairing(
        PATCH, lambda: Play(1).cancel().edit().scene(assert_the_last_word)
    ),
    "an edit and a fire that may be out of date": Pairing(
        PATCH, lambda: Play().time_has_come().edit().start().scene(assert_the_last_word)
    ),
    "a cancel, an edit and a fire that may be out of date": Pairing(
        PATCH,
        lambda: Play(1).time_has_come().cancel().edit().start().scene(assert_the_last_word),
        tested=1,
        torn=2,
    ),
    "a publish, a cancel and an edit": Pairing(
        PATCH,
        lambda: Play(2).started().publish(0).cancel().edit().scene(assert_the_last_word),
        tested=1,
        torn=2,
    ),
    "two edits of a draft": Pairing(PATCH, edited_twice),
    "a cancel and a disconnect": Pairing(
        DISCONNECT, lambda: Play().cancel().disconnect().scene(assert_disconnected), tested=2
    ),
    "a disconnect and a publish": Pairing(
        DISCONNECT,
        lambda: Play(1).started().disconnect().publish().scene(assert_disconnected),
        tested=2,
    ),
    "a cancel, a disconnect and a fire": Pairing(
        DISCONNECT,
        lambda: Play().time_has_come().cancel().disconnect().start().scene(assert_disconnected),
        tested=1,
        torn=2,
    ),
    "a cancel, a disconnect, a fire and a publish": Pairing(
        DISCONNECT,
        lambda: (
            Play(1)
            .time_has_come()
            .cancel()
            .disconnect()
            .start()
            .publish()
            .scene(assert_disconnected)
        ),
        tested=0,
        proved=2,
        torn=1,
    ),
    "a deletion, a fire and a publish": Pairing(
        DELETE,
        lambda: Play(1).time_has_come().delete().start().publish().scene(assert_deleted),
        tested=2,
    ),
    "a deletion and a fire": Pairing(
        DELETE, lambda: Play().time_has_come().delete().start().scene(assert_deleted)
    ),
    "a deletion and a release": Pairing(
        DELETE, lambda: refusing(Play(1).started()).publish().delete().scene(assert_deleted)
    ),
    "a deletion and a cancel": Pairing(DELETE, delete_beside_a_cancel),
    "a deletion and a reschedule": Pairing(
        DELETE, lambda: Play(1).delete().reschedule().scene(assert_deleted)
    ),
    "an approval and a cancel": Pairing(APPROVE, approve_beside_a_cancel),
    "a cancel and two publishes": Pairing(
        SETTLE,
        lambda: Play().started().cancel().publish(0).publish(1).scene(assert_either_or),
        tested=1,
        proved=3,
        torn=2,
    ),
    "two publishes": Pairing(
        SETTLE, lambda: Play().started().publish(0).publish(1).scene(assert_published), tested=2
    ),
    "two publishes and a conclusion": Pairing(
        SETTLE, lambda: conclude_beside(Play().started().publish(0).publish(1)), tested=1, torn=2
    ),
    "a cancel of one target and a publish of the other": Pairing(
        SETTLE, lambda: Play().started().cancel("cancel", 0).publish(1).scene(assert_either_or)
    ),
    "cancels of two targets and their publishes": Pairing(
        SETTLE, both_by_one, tested=0, proved=2, torn=1
    ),
    "a cancel and a claim that ran out": Pairing(SETTLE, resolved_beside, tested=1, torn=2),
    "a retry and the end of the publishing": Pairing(
        RETRY,
        lambda: retry_beside(
            partly_published(),
            lambda play: play.also("end", lambda: play.core.conclude(play.post.id)),
        ),
    ),
    "a retry and the publish of the other": Pairing(
        RETRY, lambda: retry_beside(one_failed(), lambda play: play.publish(1))
    ),
    "a retry and a cancel": Pairing(
        RETRY,
        lambda: (
            partly_published().retry().cancel().scene(assert_retried_or_cancelled, serial=WHOLE)
        ),
    ),
    "a retry, a cancel and the publish": Pairing(
        RETRY,
        lambda: (
            partly_published()
            .retry()
            .cancel()
            .publish(1, generation=2)
            .scene(assert_retried_or_cancelled)
        ),
        tested=1,
        torn=4,
    ),
    "a cancel and the arming": Pairing(ARM, cancel_and_arm),
    "a cancel, the arming and its repair": Pairing(ARM, cancel_and_arm_twice, tested=2),
    "a cancel of one target and the arming": Pairing(
        ARM, lambda: arming().cancel("cancel", 0).scene()
    ),
    "a reschedule and the first arming": Pairing(
        ARM, lambda: arming(1).reschedule().scene(assert_published)
    ),
    "a delivery whose message comes twice": Pairing(
        DELIVER, lambda: delivered_beside("deliver", "again")
    ),
    "a delivery whose message comes twice and its endpoint being disabled": Pairing(
        DELIVER, lambda: delivered_beside("deliver", "again", "disable")
    ),
    "a delivery and its endpoint being enabled": Pairing(
        DELIVER, lambda: delivered_beside("deliver", "enable", is_disabled=True)
    ),
    "a delivery and its endpoint being enabled and disabled": Pairing(
        DELIVER, lambda: delivered_beside("deliver", "enable", "disable", is_disabled=True)
    ),
    "a delivery that is answered gone and its endpoint being enabled": Pairing(
        DELIVER, lambda: delivered_beside("deliver", "enable", answer=410)
    ),
    "a delivery that is answered gone and its endpoint being disabled": Pairing(
        DELIVER, lambda: delivered_beside("deliver", "disable", "enable", answer=410), torn=3
    ),
    "an event that is announced twice": Pairing(DELIVER, fanned_out_twice),
    "one cancel sent twice": Pairing(REPEAT, answered_twice),
    "one creation sent twice": Pairing(REPEAT, created_twice),
    "reconcile, a cancel, a fire and a publish": Pairing(
        RECONCILE,
        lambda: Play(1).late().cancel().start().publish().reconcile().scene(assert_either_or),
        tested=0,
        proved=2,
        torn=1,
    ),
    "reconcile and two cancels": Pairing(
        RECONCILE,
        lambda: Play(1).late().cancel().cancel("other").reconcile().scene(assert_all_or_published),
        tested=0,
        proved=3,
        torn=2,
    ),
    "reconcile, a cancel, a reschedule and a stale fire": Pairing(
        RECONCILE,
        lambda: (
            Play(1).late().cancel().reschedule().start().reconcile().scene(assert_the_last_word)
        ),
        tested=0,
        proved=2,
        torn=1,
    ),
    "reconcile, a cancel, an edit and a fire": Pairing(
        RECONCILE,
        lambda: Play(1).late().cancel().edit().start().reconcile().scene(assert_the_last_word),
        tested=0,
        proved=2,
        torn=1,
    ),
    "reconcile, a cancel, a disconnect and a fire": Pairing(
        RECONCILE,
        lambda: Play(1).late().cancel().disconnect().start().reconcile().scene(assert_disconnected),
        tested=0,
        proved=1,
        torn=1,
    ),
    "reconcile, a deletion, a fire and a publish": Pairing(
        RECONCILE,
        lambda: Play(1).late().delete().start().publish().reconcile().scene(assert_deleted),
        tested=0,
        proved=2,
        torn=1,
    ),
    "reconcile, an approval and a cancel": Pairing(
        RECONCILE, approve_beside_reconcile, tested=0, proved=3, torn=2
    ),
    "reconcile, a cancel and two publishes": Pairing(
        RECONCILE,
        lambda: messages_lost().cancel().publish(0).publish(1).reconcile().scene(assert_either_or),
        tested=0,
        proved=1,
        torn=1,
    ),
    "reconcile, a cancel and a claim that ran out": Pairing(
        RECONCILE, lambda: resolved_beside(is_reconciled=True), tested=0, proved=2, torn=1
    ),
    "reconcile, a retry and a cancel": Pairing(
        RECONCILE,
        lambda: partly_published().retry().cancel().reconcile().scene(assert_retried_or_cancelled),
        tested=0,
        proved=3,
        torn=3,
    ),
    "reconcile, a cancel and the arming": Pairing(
        RECONCILE,
        lambda: pending().cancel().reconcile().scene(assert_all_cancelled),
        tested=0,
        proved=3,
        torn=2,
    ),
    "reconcile, a delivery and its endpoint being disabled": Pairing(
        RECONCILE, lambda: delivered_beside("reconcile", "deliver", "disable"), tested=1
    ),
    "reconcile and reconcile": Pairing(
        RECONCILE,
        lambda: Play(1).late().reconcile().reconcile("another").scene(assert_published),
        tested=0,
        proved=3,
        torn=3,
    ),
}

torn = pytest.mark.parametrize("torn_reads", Torn, ids=lambda torn: torn.value)


@cache
def serial_outcomes(name: str) -> frozenset[Hashable]:
    """Explore what there may come of a pairing: that of some order of whole steps."""
    stage = PAIRINGS[name].stage
    return frozenset(explore(stage, step=stage().serial).outcomes)


def test_a_cancel_a_fire_and_a_publish_in_every_order_of_all_their_calls() -> None:
    # Given / When
    explored = explore(PAIRINGS["a cancel, a fire and a publish"].stage, step=Step.ANY_CALL)
    # Then
    assert explored.orders > 10_000
    assert len(explored.endings) > 2


MOST_WHOLE, MOST_TORN = 5_000, 1_000
"""How many executions of a pairing are played at most, with whole reads and with torn ones.

None has as many. One that comes to, as more calls are made, is played anew with fewer
interruptions, and what was played until then is lost: have it begin with fewer.
"""


@torn
@pytest.mark.parametrize("name", PAIRINGS)
def test_in_every_order_it_is_as_if_nobody_had_been_interrupted(
    name: str, torn_reads: Torn, proved: Callable[[Proved], None]
) -> None:
    # Given
    pairing = PAIRINGS[name]
    # When
    if is_proving():
        explored, most = proved_orders(name, torn_reads)
    else:
        is_whole = torn_reads is Torn.NOT
        most = 2 if pairing.tested is None and not is_whole else pairing.tested
        explored = explore(
            pairing.stage,
            torn_reads=torn_reads,
            most_interruptions=most,
            among=serial_outcomes(name) if pairing.tested is None else None,
        )
    # Then
    which = "every order" if most is None else f"{most} interruptions at most"
    proved(Proved(what=f"{pairing.what}: {which}", count=explored.orders, unit="orders"))
    proved(Proved(what="executions of these", count=explored.executions, unit="played"))
    assert explored.orders >= len(explored.endings) > 0


def proved_orders(name: str, torn_reads: Torn) -> tuple[Explored, int | None]:
    """Cover the orders of a pairing that are to be proved, or else as many as can be."""
    pairing = PAIRINGS[name]
    begin, executions = (
        (pairing.proved, MOST_WHOLE) if torn_reads is Torn.NOT else (pairing.torn, MOST_TORN)
    )
    cover = partial(explore, pairing.stage, torn_reads=torn_reads, among=serial_outcomes(name))
    limits = (None, 4, 3, 2, 1)
    for most in limits[limits.index(begin) : -1]:
        with suppress(TooManyOrdersError):
            return cover(most_interruptions=most, most_executions=executions), most
    return cover(most_interruptions=1), 1


@pytest.mark.parametrize(
    "name",
    [
        "a cancel and a cancel",
        "a cancel and the arming",
        "a cancel and a release",
        "a retry and a cancel",
        "a delivery whose message comes twice",
        "one cancel sent twice",
    ],
)
def test_to_play_what_follows_from_a_state_only_once_misses_nothing(name: str) -> None:
    for torn_reads in share(tested=(Torn.NOT,), proved=tuple(Torn)):
        # Given
        stage = PAIRINGS[name].stage
        # When
        merged = explore(stage, torn_reads=torn_reads)
        played = explore(stage, torn_reads=torn_reads, is_merging=False)
        # Then
        assert played.executions == played.orders == merged.orders > merged.executions
        assert played.endings == merged.endings
        assert played.outcomes == merged.outcomes
