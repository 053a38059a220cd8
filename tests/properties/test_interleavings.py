"""Everything that can happen at once, in every order in which it can."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from postbreeze.domain.changes import PublishTarget
from postbreeze.domain.errors import (
    PlatformRetriableError,
    PostNotCancelableError,
    RefusalError,
)
from postbreeze.domain.lifecycle import LEASE
from postbreeze.domain.post import Post, PostDraft, PostStatus, TargetDraft, TargetStatus
from postbreeze.domain.webhook import EndpointStatus
from postbreeze.operations.answers import Answer, Idempotency
from tests.support.core import A_SECOND, AN_HOUR, ENDPOINT, WORKSPACE, Core
from tests.support.interleave import Actor, ActorsRandomness, Scene, Torn, explore
from tests.support.platforms import Accident


@dataclass(slots=True)
class Play:
    """A scene being set: a world, a post in it, and what clients were answered."""

    targets: int = 2
    armed: bool = True
    is_scheduled: bool = True
    waits: bool = False
    core: Core = field(default_factory=lambda: Core(ActorsRandomness()))
    answers: list[Answer] = field(default_factory=list)
    refusals: list[PostNotCancelableError] = field(default_factory=list)
    told: dict[str, Answer] = field(default_factory=dict)
    """What clients were answered who asked for anything but a cancel."""
    post: Post = field(init=False)
    actors: list[Actor] = field(default_factory=list)
    afterwards: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        if not self.is_scheduled:
            self.post = self.core.created(self.targets, scheduled_for=None)
            self.core.pump()
            return
        if self.armed:
            self.post = self.core.created(self.targets, requires_approval=self.waits)
        else:
            self.post = self.core.created_unarmed(self.targets)

    def time_has_come(self) -> Play:
        self.core.advance(AN_HOUR)
        return self

    def started(self) -> Play:
        self.time_has_come()
        assert self.core.post(self.post.id).workflow_id is not None
        self.core.fire_due()
        self.core.pump()
        self.post = self.core.post(self.post.id)
        return self

    def cancel(self, name: str = "cancel", *chosen: int, **rest: Any) -> Play:
        ids = tuple(self.post.targets[index].id for index in chosen) or None

        def run() -> None:
            try:
                answer = self.core.cancel(self.post.id, target_ids=ids, **rest)
            except PostNotCancelableError as refusal:
                self.refusals.append(refusal)
            else:
                assert answer.status == 200
                self.answers.append(answer)

        self.actors.append(Actor(name=name, run=run))
        return self

    def asks(self, name: str, act: Callable[[], Answer]) -> Play:
        """Have a client ask for something that may be refused."""

        def run() -> None:
            try:
                self.told[name] = act()
            except RefusalError:
                return

        self.actors.append(Actor(name=name, run=run))
        return self

    def reschedule(self, name: str = "reschedule", hours: int = 2) -> Play:
        at = self.core.clock.at + hours * AN_HOUR
        return self.asks(name, lambda: self.core.schedule(self.post.id, at, again=True))

    def edit(self, hours: int = 3) -> Play:
        draft = self.core.a_draft(
            len(self.post.targets),
            caption="Edited",
            scheduled_for=self.core.clock.at + hours * AN_HOUR,
        )
        return self.asks("edit", lambda: self.core.edit(self.post.id, draft))

    def delete(self) -> Play:
        return self.asks("delete", lambda: self.core.delete(self.post.id))

    def retry(self) -> Play:
        return self.asks("retry", lambda: self.core.retry(self.post.id))

    def start(self, name: str = "start") -> Play:
        workflow_id = f"{self.post.id}-1"
        self.actors.append(Actor(name=name, run=lambda: self.core.start(self.post.id, workflow_id)))
        return self

    def publish(self, index: int = 0, name: str = "", generation: int = 1) -> Play:
        """Publish one target as soon as there is a message for it."""
        target = self.post.targets[index].id
        workflow = f"{self.post.id}-{generation}"
        self.actors.append(
            Actor(
                name=name or f"publish-{index}",
                run=lambda: self.core.publisher.publish(self.post.id, target, workflow),
                is_ready=lambda: self._has_message(target, workflow),
            )
        )
        return self

    def _has_message(self, target_id: str, workflow_id: str) -> bool:
        waiting = (message for _, message in self.core.waiting)
        return any(
            isinstance(message, PublishTarget)
            and (message.target_id, message.workflow_id) == (target_id, workflow_id)
            for message in (*waiting, *self.core.publish_queue.sent)
        )

    def also(self, name: str, run: Callable[[], object]) -> Play:
        self.actors.append(Actor(name=name, run=run))
        return self

    def finally_(self, act: Callable[[], None]) -> None:
        self.afterwards = act

    def scene(self, check: Callable[[Play], None] = lambda play: None) -> Scene:
        def at_the_end() -> None:
            self.core.check(at_rest=False)
            self.afterwards()
            self.core.drain()
            self.core.check()
            if not self.told:
                published = set(self.core.watched.sent)
                for promise in self.core.promises:
                    assert not promise.target_ids & published
                for refusal in self.refusals:
                    assert refusal.targets or refusal.status in {"PUBLISHED", "FAILED"}
                cancelled = self.core.events(self.post.id).count("post.cancelled")
                assert cancelled == (self.end.status is PostStatus.CANCELED)
            check(self)

        return Scene(core=self.core, actors=tuple(self.actors), check=at_the_end)

    @property
    def end(self) -> Post:
        return self.core.post(self.post.id)

    def ends(self) -> list[str]:
        return [target.status.value for target in self.end.targets]


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


def resolved_beside() -> Scene:
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
    return play.also("resolve", resolve).also("again", resolve).cancel().scene(assert_either_or)


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
    known = {
        "deliver": lambda: core.deliver(*delivery),
        "again": lambda: core.deliver(*delivery),
        "fan out": lambda: core.fan_out(play.post.id, event_id),
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


SCENES: dict[str, Callable[[], Scene]] = {
    "a delivery whose message comes twice": lambda: delivered_beside("deliver", "again"),
    "a delivery and its endpoint being enabled": lambda: delivered_beside(
        "deliver", "enable", is_disabled=True
    ),
    "a delivery and its endpoint being enabled and disabled": lambda: delivered_beside(
        "deliver", "enable", "disable", is_disabled=True
    ),
    "a delivery that is answered gone and its endpoint being enabled": lambda: delivered_beside(
        "deliver", "enable", answer=410
    ),
    "a delivery that is answered gone and its endpoint being disabled": lambda: delivered_beside(
        "deliver", "disable", "enable", answer=410
    ),
    "an event that is announced twice": fanned_out_twice,
    "a cancel, a fire and a publish": lambda: (
        Play(1).time_has_come().cancel().start().publish().scene(assert_either_or)
    ),
    "a cancel and a fire that comes twice": lambda: (
        Play().time_has_come().cancel().start().start("again").scene(assert_either_or)
    ),
    "a cancel and a cancel": lambda: Play().cancel().cancel("other").scene(assert_all_cancelled),
    "three cancels": lambda: (
        Play(1).cancel().cancel("other").cancel("third").scene(assert_all_cancelled)
    ),
    "one cancel sent twice": answered_twice,
    "a cancel and the arming": cancel_and_arm,
    "a cancel, the arming and its repair": cancel_and_arm_twice,
    "a cancel of one target and the arming": lambda: arming().cancel("cancel", 0).scene(),
    "a cancel and a release": lambda: (
        refusing(Play(1).started()).publish().cancel().scene(assert_either_or)
    ),
    "a cancel and the release of one of two": lambda: (
        refusing(Play().started()).publish(0).cancel().scene(assert_either_or)
    ),
    "a cancel of the other target and a release": lambda: (
        refusing(Play(2).started()).publish(0).cancel("cancel", 1).scene(assert_either_or)
    ),
    "cancels of the same target": lambda: Play().cancel("one", 0).cancel("other", 0).scene(),
    "cancels of different targets": lambda: (
        Play().cancel("one", 0).cancel("other", 1).scene(assert_all_cancelled)
    ),
    "cancels of different targets and a fire": lambda: (
        Play().time_has_come().cancel("one", 0).cancel("other", 1).start().scene(assert_either_or)
    ),
    "a cancel of one target and a publish of the other": lambda: (
        Play().started().cancel("cancel", 0).publish(1).scene(assert_either_or)
    ),
    "two publishes": lambda: Play().started().publish(0).publish(1).scene(assert_published),
    "a cancel and a reschedule": lambda: Play(1).cancel().reschedule().scene(assert_the_last_word),
    "a reschedule and a fire that may be out of date": lambda: (
        Play().time_has_come().reschedule().start().scene(assert_the_last_word)
    ),
    "a cancel of one target and a reschedule": lambda: (
        Play().cancel("cancel", 0).reschedule().scene(assert_one_stays_cancelled)
    ),
    "a reschedule and the first arming": lambda: arming(1).reschedule().scene(assert_published),
    "a cancel and an edit": lambda: Play(1).cancel().edit().scene(assert_the_last_word),
    "an edit and a fire that may be out of date": lambda: (
        Play().time_has_come().edit().start().scene(assert_the_last_word)
    ),
    "a deletion, a fire and a publish": lambda: (
        Play(1).time_has_come().delete().start().publish().scene(assert_deleted)
    ),
    "a deletion and a release": lambda: (
        refusing(Play(1).started()).publish().delete().scene(assert_deleted)
    ),
    "a deletion and a cancel": delete_beside_a_cancel,
    "a deletion and a reschedule": lambda: Play(1).delete().reschedule().scene(assert_deleted),
    "an approval and a cancel": approve_beside_a_cancel,
    "a retry and the end of the publishing": lambda: retry_beside(
        partly_published(), lambda play: play.also("end", lambda: play.core.conclude(play.post.id))
    ),
    "a retry and the publish of the other": lambda: retry_beside(
        one_failed(), lambda play: play.publish(1)
    ),
    "two edits of a draft": edited_twice,
    "a retry and a cancel": lambda: (
        partly_published().retry().cancel().scene(assert_retried_or_cancelled)
    ),
}

LARGE: dict[str, tuple[int, Callable[[], Scene]]] = {
    "two publishes and a conclusion": (
        2,
        lambda: conclude_beside(Play().started().publish(0).publish(1)),
    ),
    "a cancel and a publish that comes twice": (
        2,
        lambda: Play(1).started().cancel().publish(0).publish(0, "again").scene(assert_either_or),
    ),
    "a cancel and two publishes": (
        2,
        lambda: Play().started().cancel().publish(0).publish(1).scene(assert_either_or),
    ),
    "a cancel, a fire and two publishes": (
        2,
        lambda: (
            Play().time_has_come().cancel().start().publish(0).publish(1).scene(assert_either_or)
        ),
    ),
    "cancels of two targets and their publishes": (1, both_by_one),
    "a cancel, a reschedule and a fire that may be out of date": (
        2,
        lambda: Play(1).time_has_come().cancel().reschedule().start().scene(assert_the_last_word),
    ),
    "a cancel, an edit and a fire that may be out of date": (
        2,
        lambda: Play(1).time_has_come().cancel().edit().start().scene(assert_the_last_word),
    ),
    "two reschedules and the old fire": (
        2,
        lambda: (
            Play(1)
            .time_has_come()
            .reschedule()
            .reschedule("other", hours=3)
            .start()
            .scene(assert_the_last_word)
        ),
    ),
    "a retry, a cancel and the publish": (
        2,
        lambda: (
            partly_published()
            .retry()
            .cancel()
            .publish(1, generation=2)
            .scene(assert_retried_or_cancelled)
        ),
    ),
    "a publish, a cancel and an edit": (
        2,
        lambda: Play(2).started().publish(0).cancel().edit().scene(assert_the_last_word),
    ),
    "a release, a cancel and a reschedule": (
        2,
        lambda: (
            refusing(Play(2).started()).publish(0).cancel().reschedule().scene(assert_the_last_word)
        ),
    ),
    "a cancel and a claim that ran out": (2, resolved_beside),
}

ALL_OF_IT = os.environ.get("POSTBREEZE_EVERY_ORDER") == "1"
"""Whether to take the quarter of an hour that all orders of the large scenes need."""

torn = pytest.mark.parametrize("torn_reads", Torn, ids=lambda torn: torn.value)


def test_a_cancel_a_fire_and_a_publish_in_every_order_of_all_their_calls() -> None:
    # Given / When
    explored = explore(SCENES["a cancel, a fire and a publish"], every_call=True)
    # Then
    assert explored.orders > 10_000
    assert explored.endings > 2


@torn
@pytest.mark.parametrize("name", SCENES)
def test_in_every_order(
    name: str, torn_reads: Torn, record_property: Callable[[str, object], None]
) -> None:
    # Given / When
    explored = explore(SCENES[name], torn_reads=torn_reads)
    # Then
    record_property("orders", explored.orders)
    assert explored.orders >= explored.endings > 1


@torn
@pytest.mark.parametrize("name", LARGE)
def test_in_every_order_with_few_interruptions(
    name: str, torn_reads: Torn, record_property: Callable[[str, object], None]
) -> None:
    # Given / When
    few, stage = LARGE[name]
    if torn_reads is not Torn.NOT:
        few -= 1  # each read is two steps, so there is more to interrupt
    most = None if ALL_OF_IT else few
    explored = explore(stage, torn_reads=torn_reads, most_interruptions=most)
    # Then
    record_property("orders", explored.orders)
    assert explored.orders >= explored.endings > 1
