"""Long lives of posts, against a small model and against everything the service promises."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from postbreeze.domain import lifecycle
from postbreeze.domain.access import Role
from postbreeze.domain.changes import Change
from postbreeze.domain.errors import (
    ContendedError,
    PlatformRejectedError,
    PlatformRetriableError,
    PostNotCancelableError,
    RefusalError,
    UnavailableError,
)
from postbreeze.domain.lifecycle import Failed, Outcome, Published, Released, Result
from postbreeze.domain.post import (
    Platform,
    Post,
    PostDraft,
    PostStatus,
    Target,
    TargetDraft,
    TargetStatus,
)
from postbreeze.operations.webhook_ports import WebhookSendError
from tests.support.builders import USER_ID, WORKSPACE_ID, an_id
from tests.support.core import AN_HOUR, Core, numbered
from tests.support.fakes import START
from tests.support.platforms import Accident
from tests.support.proof import Proved, share

MODEL: dict[tuple[str, str], str] = {
    ("SCHEDULED", "claim"): "PUBLISHING",
    ("PUBLISHING", "publish"): "PUBLISHED",
    ("PUBLISHING", "fail"): "FAILED",
    ("PUBLISHING", "release"): "SCHEDULED",
    ("PUBLISHING", "lose"): "UNKNOWN",
    ("PUBLISHING", "miss"): "UNKNOWN",
    ("SCHEDULED", "cancel"): "CANCELED",
    ("FAILED", "cancel"): "CANCELED",
}
"""What becomes of a target; whatever is not listed leaves it as it is.

UNKNOWN is FAILED and may be public; nothing but its being published changes that.
"""

indices = st.integers(0, 2)
choices = st.none() | st.lists(indices, min_size=1, unique=True)
minutes = st.none() | st.integers(1, 90)
roles = st.sampled_from(["owner", "editor"])
rarely = st.sampled_from([False, False, False, True])


def _modelled(target: Target) -> str:
    may_be_public = target.error_code in {lifecycle.OUTCOME_UNKNOWN, lifecycle.NOT_COMPLETED}
    return "UNKNOWN" if may_be_public else target.status.value


class PureLifecycle(RuleBasedStateMachine):
    """The transitions alone: one post, every function of ``lifecycle``, the model beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.claims = itertools.count(1)
        self.post: Post | None = None
        self.model: list[str] = []
        self.has_started = False
        self.is_cancelled = False

    @property
    def standing(self) -> Post:
        assert self.post is not None
        return self.post

    @property
    def workflow(self) -> str:
        return f"{self.standing.id}-1"

    @initialize(size=st.integers(1, 3))
    def create_and_arm(self, size: int) -> None:
        accounts = [an_id("soc") for _ in range(size)]
        draft = PostDraft(
            targets=tuple(TargetDraft(social_account_id=each) for each in accounts),
            scheduled_for=START + AN_HOUR,
        )
        created = lifecycle.create(
            draft,
            post_id=an_id("post"),
            workspace_id=WORKSPACE_ID,
            platforms=dict.fromkeys(accounts, Platform.BLUESKY),
            author=USER_ID,
            role=Role.EDITOR,
            now=START,
        )
        self.post = created.after
        self.take(lifecycle.commit_arming(self.post, self.workflow, now=START, actor=USER_ID))
        self.model = ["SCHEDULED"] * size
        self.now = START + AN_HOUR

    def take(self, change: Change | None) -> bool:
        """Apply a change as a store would; tell whether there was one."""
        if change is None or change.is_empty:
            return False
        assert change.before == self.post
        assert change.after.version > self.standing.version
        self.post = change.after
        return True

    def move(self, index: int, event: str) -> None:
        self.model[index] = MODEL.get((self.model[index], event), self.model[index])

    @rule()
    def start(self) -> None:
        change = lifecycle.start(self.standing, self.workflow, now=self.now)
        assert (change is None) == (self.standing.workflow_id is None)
        self.has_started |= self.take(change)

    @rule()
    def start_an_old_one(self) -> None:
        old = f"{self.standing.id}-0"
        assert lifecycle.start(self.standing, old, now=self.now) is None

    @rule(index=indices)
    def claim(self, index: int) -> None:
        index %= len(self.model)
        target = self.standing.targets[index]
        claim_id = f"claim-{next(self.claims)}"
        change = lifecycle.claim(self.standing, target.id, self.workflow, claim_id, now=self.now)
        may = self.has_started and not self.is_cancelled and self.model[index] == "SCHEDULED"
        waits = target.next_attempt_at is not None and self.now < target.next_attempt_at
        assert (change is not None) == (may and not waits)
        if self.take(change):
            self.move(index, "claim")

    @rule(index=indices, how=st.sampled_from(["publish", "fail", "release", "lose", "miss"]))
    def settle(self, index: int, how: str) -> None:
        index %= len(self.model)
        target = self.standing.targets[index]
        results: dict[str, Result] = {
            "publish": Published(external_post_id="1", external_url="https://x.example/1"),
            "fail": Failed(code="NO", message="No."),
            "release": Released(code="LATER", message="Later."),
            "lose": Failed(code=lifecycle.OUTCOME_UNKNOWN, message="Who knows."),
            "miss": Failed(code=lifecycle.NOT_COMPLETED, message="Not there."),
        }
        change = lifecycle.settle(
            self.standing, target.id, target.claim_id or "", results[how], now=self.now
        )
        assert (change is not None) == (self.model[index] == "PUBLISHING")
        if not self.take(change):
            return
        self.move(index, how)
        if how == "release" and self.is_cancelled:
            self.move(index, "cancel")
        elif how == "release" and target.attempt_count == lifecycle.MOST_ATTEMPTS:
            self.model[index] = "FAILED"

    @rule(chosen=choices)
    def cancel(self, chosen: list[int] | None) -> None:
        size = len(self.model)
        wanted = range(size) if chosen is None else {index % size for index in chosen}
        ids = None if chosen is None else [self.standing.targets[index].id for index in wanted]
        before = self.standing
        try:
            cancellation = lifecycle.cancel(before, actor=USER_ID, now=self.now, target_ids=ids)
        except PostNotCancelableError:
            stoppable = {"SCHEDULED"} | (
                {"FAILED"} if before.status is PostStatus.PARTIALLY_PUBLISHED else set()
            )
            is_standing = before.status in {
                PostStatus.SCHEDULED,
                PostStatus.PUBLISHING,
                PostStatus.PARTIALLY_PUBLISHED,
            }
            assert not (is_standing and stoppable & {self.model[index] for index in wanted})
            assert chosen is not None or before.status is not PostStatus.PARTIALLY_PUBLISHED
            return
        told = dict(cancellation.outcomes)
        for index in wanted:
            if self.model[index] == "UNKNOWN":
                assert told[before.targets[index].id] is Outcome.FAILED
        if self.take(cancellation.change):
            for index in wanted:
                self.move(index, "cancel")
                is_told = told[before.targets[index].id] is Outcome.CANCELED
                assert is_told == (
                    self.standing.targets[index].status is TargetStatus.CANCELED
                    and before.targets[index].status is not TargetStatus.CANCELED
                )
            left = {"SCHEDULED", "PUBLISHING", "FAILED", "UNKNOWN"} & set(self.model)
            self.is_cancelled = chosen is None or not left
        else:
            assert Outcome.CANCELED not in told.values()

    @rule()
    def conclude(self) -> None:
        self.take(lifecycle.conclude(self.standing, now=self.now))

    @rule(seconds=st.sampled_from([1, 5, 30, 301]))
    def time_passes(self, seconds: int) -> None:
        # Never so much that anything would count as missed.
        if self.now < START + AN_HOUR + timedelta(minutes=40):
            self.now += timedelta(seconds=seconds)

    @invariant()
    def targets_are_as_in_the_model(self) -> None:
        if self.post is not None:
            assert [_modelled(target) for target in self.post.targets] == self.model

    @invariant()
    def the_post_follows_from_its_targets(self) -> None:
        if self.post is None or self.is_cancelled or not self.has_started:
            return
        derived = lifecycle.derive(self.post.targets)
        assert self.post.status in {derived, PostStatus.PUBLISHING}

    @invariant()
    def a_cancelled_post_is_cancelled_for_good(self) -> None:
        if self.is_cancelled:
            assert self.standing.status is PostStatus.CANCELED
            assert self.standing.workflow_id is None
            assert "SCHEDULED" not in self.model


FAULTY = (
    "posts.read", "posts.commit", "posts.answer", "posts.complete", "posts.event",
    "posts.fanned_out", "directory.admit", "directory.account", "directory.member",
    "schedules.arm", "schedules.disarm", "bus.announce", "publish_queue.send",
    "delivery_queue.send", "webhooks.endpoints", "webhooks.add_delivery", "webhooks.delivery",
    "webhooks.endpoint", "webhooks.replace_delivery", "secrets.open",
)  # fmt: skip


class WholeService(RuleBasedStateMachine):
    """All operations on fakes whose calls fail before or after their effect."""

    posts = Bundle("posts")

    def __init__(self) -> None:
        super().__init__()
        self.core = Core()
        self.core.tap = self.tap
        self.faults: list[tuple[str, bool]] = []
        self.handled: list[Any] = []

    def tap(self, name: str, call: Callable[[], Any]) -> Any:
        """Let the next call that a fault is meant for fail, before it or after it."""
        for fault in self.faults:
            if fault[0] == name:
                self.faults.remove(fault)
                if fault[1]:
                    call()
                raise UnavailableError(f"{name} fails")
        return call()

    def do(self, call: Callable[[], object]) -> None:
        """Do something that may fail as the ports do, or be refused, but in no other way."""
        try:
            call()
        except (UnavailableError, ContendedError, RefusalError):
            return

    def in_minutes(self, minutes: int | None) -> datetime | None:
        return None if minutes is None else self.core.clock.at + timedelta(minutes=minutes)

    @rule(target=posts, size=st.integers(1, 3), minutes=minutes, is_waiting=rarely)
    def create(self, size: int, minutes: int | None, is_waiting: bool) -> Any:
        known = set(self.core.posts._posts)
        draft = self.core.a_draft(
            size,
            scheduled_for=self.in_minutes(minutes),
            first_comment="First!" if size % 2 else None,
            requires_approval=is_waiting,
        )
        self.do(lambda: self.core.create(draft))
        return multiple(*sorted(set(self.core.posts._posts) - known))

    @rule(
        post_id=posts,
        accounts=st.lists(indices, min_size=1, unique=True),
        minutes=minutes,
        role=roles,
        is_waiting=rarely,
    )
    def edit(
        self, post_id: str, accounts: list[int], minutes: int | None, role: str, is_waiting: bool
    ) -> None:
        drafts = tuple(
            TargetDraft(social_account_id=numbered("soc", 20 + account)) for account in accounts
        )
        draft = self.core.a_draft(
            targets_of=drafts,
            caption=f"Edited at {self.core.clock.at}",
            scheduled_for=self.in_minutes(minutes),
            requires_approval=is_waiting,
        )
        self.do(lambda: self.core.edit(post_id, draft, key=role))

    @rule(post_id=posts, minutes=st.integers(1, 90), again=st.booleans(), role=roles)
    def schedule(self, post_id: str, minutes: int, again: bool, role: str) -> None:
        at = self.in_minutes(minutes)
        self.do(lambda: self.core.schedule(post_id, at, again=again, key=role))

    @rule(post_id=posts)
    def approve(self, post_id: str) -> None:
        self.do(lambda: self.core.approve(post_id))

    @rule(post_id=posts)
    def retry(self, post_id: str) -> None:
        self.do(lambda: self.core.retry(post_id))

    @rule(post_id=posts, index=indices)
    def retry_comment(self, post_id: str, index: int) -> None:
        targets = self.core.post(post_id).targets
        target_id = targets[index % len(targets)].id
        self.do(lambda: self.core.retry_comment(post_id, target_id))

    @rule(post_id=posts, is_meant=rarely)
    def delete(self, post_id: str, is_meant: bool) -> None:
        if is_meant:
            self.do(lambda: self.core.delete(post_id))

    @rule(post_id=posts)
    def cancel(self, post_id: str) -> None:
        self.do(lambda: self.core.cancel(post_id))

    @rule(post_id=posts, chosen=st.lists(indices, min_size=1, unique=True))
    def cancel_some(self, post_id: str, chosen: list[int]) -> None:
        targets = self.core.post(post_id).targets
        ids = tuple({targets[index % len(targets)].id: None for index in chosen})
        self.do(lambda: self.core.cancel(post_id, target_ids=ids))

    @rule(name=st.sampled_from(FAULTY), is_after=st.booleans(), times=st.integers(1, 3))
    def fault(self, name: str, is_after: bool, times: int) -> None:
        self.faults.extend([(name, is_after)] * times)

    @rule(accident=st.sampled_from(Accident), times=st.integers(1, 4))
    def accident(self, accident: Accident, times: int) -> None:
        self.core.platform.publish_accidents.extend([accident] * times)

    @rule(is_final=st.booleans())
    def platform_does_not_prepare(self, is_final: bool) -> None:
        error = (PlatformRejectedError if is_final else PlatformRetriableError)("DOWN", "Down.")
        self.core.platform.prepare_errors.append(error)

    @rule(is_final=st.booleans())
    def platform_cannot_tell(self, is_final: bool) -> None:
        error = (PlatformRejectedError if is_final else PlatformRetriableError)("DOWN", "Down.")
        self.core.platform.find_errors.append(error)

    @rule(accident=st.sampled_from(Accident))
    def comment_fails(self, accident: Accident) -> None:
        self.core.platform.comment_accidents.append(accident)

    @rule(answer=st.sampled_from([500, 302, 404, None]))
    def endpoint_fails(self, answer: int | None) -> None:
        failure = WebhookSendError("TIMEOUT", "No answer.") if answer is None else answer
        self.core.sender.script.append(failure)

    @rule()
    def fires_come(self) -> None:
        self.core.fire_due()

    @rule(post_id=posts, ago=st.integers(0, 2))
    def a_fire_comes_again(self, post_id: str, ago: int) -> None:
        post = self.core.post(post_id)
        workflow_id = f"{post_id}-{post.generation - ago}"
        is_due = post.scheduled_at is not None and post.scheduled_at <= self.core.clock.at
        if is_due or workflow_id != post.workflow_id:
            self.do(lambda: self.core.start(post_id, workflow_id))

    @precondition(lambda self: self.core.ready())
    @rule(data=st.data(), is_repeated=st.booleans())
    def a_message_comes(self, data: st.DataObject, is_repeated: bool) -> None:
        entry = data.draw(st.sampled_from(self.core.ready()))
        self.handled.append(entry[1])
        self.core.handle(entry, keep=is_repeated)

    @precondition(lambda self: self.handled)
    @rule(data=st.data())
    def an_old_message_comes_again(self, data: st.DataObject) -> None:
        message = data.draw(st.sampled_from(self.handled))
        self.do(lambda: self.core.do(message))

    @precondition(lambda self: self.core.waiting)
    @rule(data=st.data())
    def a_message_is_lost(self, data: st.DataObject) -> None:
        self.core.waiting.remove(data.draw(st.sampled_from(self.core.waiting)))

    @rule()
    def reconcile(self) -> None:
        self.do(self.core.reconcile)

    @rule(seconds=st.sampled_from([1, 10, 61, 130, 900, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.core.advance(timedelta(seconds=seconds))

    @invariant()
    def promises_hold(self) -> None:
        self.core.check(at_rest=False)

    def teardown(self) -> None:
        self.faults.clear()
        self.core.sender.script.clear()
        self.core.drain()
        self.core.check()


LIVES = share(tested=150, proved=1_000)


@pytest.mark.parametrize(
    ("machine", "steps"), [(PureLifecycle, 30), (WholeService, 50)], ids=["pure", "whole"]
)
def test_whatever_happens_in_a_life(
    machine: type[RuleBasedStateMachine], steps: int, proved: Callable[[Proved], None]
) -> None:
    run_state_machine_as_test(
        machine, settings=settings(max_examples=LIVES, stateful_step_count=steps)
    )
    what = f"{machine.__name__}: lives of up to {steps} random steps, checked after each"
    proved(Proved(what=what, count=LIVES, unit="lives"))
