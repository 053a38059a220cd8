"""Scenes in which several things happen at once to one post: who acts, and what must come of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from postbreeze.domain.changes import PublishTarget
from postbreeze.domain.errors import PostNotCancelableError, RefusalError
from postbreeze.domain.post import Post, PostStatus, Target, TargetStatus
from postbreeze.operations.answers import Answer
from tests.support.core import A_MINUTE, AN_HOUR, WORKSPACE, Core
from tests.support.interleave import (
    SHARED,
    WITH_ACCOUNTS,
    Actor,
    ActorsRandomness,
    Scene,
    Step,
)

_FLEETING = frozenset(
    {
        *("id", "postId", "version", "workflowId", "pendingWorkflowId", "eventId"),
        *("createdAt", "updatedAt", "canceledAt", "publishedAt", "approvedAt", "deletedAt"),
    }
)
"""What differs from order to order without meaning anything: ids, times and versions."""


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
    results: dict[str, Hashable] = field(default_factory=dict)
    """What each client was answered, but for ids, times and versions."""
    open_at_disconnect: dict[str, bool] = field(default_factory=dict)
    """Of each target of an account that was disconnected, whether it had not begun by then."""
    sent_at_disconnect: int = 0
    post: Post = field(init=False)
    actors: list[Actor] = field(default_factory=list)
    shared: frozenset[str] = SHARED
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

    def late(self) -> Play:
        """Let the time come, and no fire: `reconcile` may start the post as well."""
        self.core.advance(AN_HOUR + 3 * A_MINUTE)
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
            except RefusalError as refusal:
                if isinstance(refusal, PostNotCancelableError):
                    self.refusals.append(refusal)
                self.results[name] = _refused(refusal)
            else:
                assert answer.status == 200
                self.answers.append(answer)
                self.results[name] = _answered(answer)

        self.actors.append(Actor(name=name, run=run))
        return self

    def asks(self, name: str, act: Callable[[], Answer]) -> Play:
        """Have a client ask for something that may be refused."""

        def run() -> None:
            try:
                self.told[name] = act()
            except RefusalError as refusal:
                self.results[name] = _refused(refusal)
            else:
                self.results[name] = _answered(self.told[name])

        self.actors.append(Actor(name=name, run=run))
        return self

    def reschedule(self, name: str = "reschedule", hours: float = 2) -> Play:
        at = self.core.clock.at + hours * AN_HOUR
        return self.asks(name, lambda: self.core.schedule(self.post.id, at, again=True))

    def edit(self, hours: int = 3, name: str = "edit") -> Play:
        draft = self.core.a_draft(
            len(self.post.targets),
            caption="Edited",
            scheduled_for=self.core.clock.at + hours * AN_HOUR,
        )
        return self.asks(name, lambda: self.core.edit(self.post.id, draft))

    def delete(self, name: str = "delete") -> Play:
        return self.asks(name, lambda: self.core.delete(self.post.id))

    def retry(self, name: str = "retry") -> Play:
        return self.asks(name, lambda: self.core.retry(self.post.id))

    def approve(self, name: str = "approve") -> Play:
        return self.asks(name, lambda: self.core.approve(self.post.id))

    def disconnect(self, index: int = 0, name: str = "disconnect") -> Play:
        """Disconnect a target's account, and note what had not begun when that was written."""
        disconnections = self.core.world.disconnections
        account, begin = self.post.targets[index].social_account_id, disconnections.begin

        def begin_and_note(*given: Any, **named: Any) -> None:
            begin(*given, **named)
            self.sent_at_disconnect = len(self.core.watched.sent)
            self.open_at_disconnect |= {
                target.id: target.status in _NOT_BEGUN
                for target in self.end.targets
                if target.social_account_id == account
            }

        disconnections.begin = begin_and_note  # type: ignore[method-assign]  # watched
        self.shared = WITH_ACCOUNTS
        return self.asks(name, lambda: self.core.disconnect_account("owner", account))

    def reconcile(self, name: str = "reconcile") -> Play:
        return self.also(name, self.core.reconcile)

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

    def scene(
        self,
        check: Callable[[Play], None] = lambda play: None,
        *,
        serial: Step = Step.WRITE,
        in_general: bool = False,
    ) -> Scene:
        def at_the_end() -> None:
            self.core.check(at_rest=False)
            self.afterwards()
            self.core.pump()
            self.core.waiting.sort(key=repr)
            self.core.drain()
            self.core.check()
            if not self.told and not in_general:
                published = set(self.core.watched.sent)
                for promise in self.core.promises:
                    assert not promise.target_ids & published
                for refusal in self.refusals:
                    assert refusal.targets or refusal.status in {"PUBLISHED", "FAILED"}
                cancelled = self.core.events(self.post.id).count("post.cancelled")
                assert cancelled == (self.end.status is PostStatus.CANCELED)
            check(self)

        return Scene(
            core=self.core,
            actors=tuple(self.actors),
            check=at_the_end,
            outcome=self._outcome,
            shared=self.shared,
            serial=serial,
        )

    def _outcome(self) -> Hashable:
        core = self.core
        posts = (core.post(post_id) for post_id in core.posts._posts)
        return (
            tuple(sorted(self.results.items())),
            tuple(sorted(repr(self._rest(post)) for post in posts)),
            tuple(sorted(Counter(event.type.value for event in core.all_events()).items())),
            tuple(each.status.value for each in core.directory.accounts(WORKSPACE)),
            core.endpoint().status.value,
        )

    def _rest(self, post: Post) -> Hashable:
        return (
            (post.status.value, post.caption, post.scheduled_at, post.deleted_at is None),
            tuple(self._target_rest(target) for target in post.targets),
        )

    def _target_rest(self, target: Target) -> Hashable:
        public = self.core.platform.posts.get(target.id)
        return (
            target.social_account_id,
            target.status.value,
            target.error_code,
            target.caption_override,
            target.scheduled_for and target.scheduled_for.replace(microsecond=0),
            None if public is None else public.text,
        )

    @property
    def end(self) -> Post:
        return self.core.post(self.post.id)

    def ends(self) -> list[str]:
        return [target.status.value for target in self.end.targets]


_FRACTION = re.compile(r"\.[0-9]{3}Z$")
_NOT_BEGUN = frozenset({TargetStatus.DRAFT, TargetStatus.SCHEDULED})


def _answered(answer: Answer) -> Hashable:
    return answer.status, answer.replayed, repr(_plain(answer.body))


def _refused(refusal: RefusalError) -> Hashable:
    targets = [_plain(target) for target in getattr(refusal, "targets", ())]
    return type(refusal).__name__, getattr(refusal, "status", None), repr(targets)


def _plain(document: object) -> object:
    if isinstance(document, Mapping):
        return {name: _plain(value) for name, value in document.items() if name not in _FLEETING}
    if isinstance(document, list | tuple):
        return [_plain(each) for each in document]
    if isinstance(document, str):
        return _FRACTION.sub("Z", document)
    return document
