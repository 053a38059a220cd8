"""A disconnect dies after each single call it makes; the rest of the service carries on.

Whatever dies, an account that was disconnected is never published to again, and everybody is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from postbreeze.domain.disconnection import GRACE, LAST_PASS_AFTER
from postbreeze.domain.post import AccountStatus, Post, PostStatus, TargetStatus
from postbreeze.operations import disconnect
from postbreeze.operations.publish import ACCOUNT_NOT_ACTIVE
from tests.support.core import (
    A_SECOND,
    AN_HOUR,
    WORKSPACE,
    Core,
    DiedError,
    Mortal,
    numbered,
    straight,
)

ACCOUNT = numbered("soc", 20)
BEGUN_AFTER = "disconnections.begin"


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disconnect, "PAGE", 2)


@dataclass(slots=True)
class Life:
    """A world in which an account has posts in every state."""

    core: Core = field(default_factory=Core)
    scheduled: list[Post] = field(default_factory=list)
    others: list[Post] = field(default_factory=list)
    drafts: list[Post] = field(default_factory=list)
    started: Post | None = None

    def __post_init__(self) -> None:
        core = self.core
        self.started = core.created(2)
        core.advance(AN_HOUR)
        core.fire_due()
        core.drain_messages(publishing=False)
        self.scheduled = [core.created(1), core.created(2), core.created(1)]
        self.scheduled.append(core.created(1, requires_approval=True))
        self.drafts = [core.created(1, scheduled_for=None)]
        core.drain_messages(publishing=False)

    @property
    def is_disconnected(self) -> bool:
        account = self.core.directory.account(WORKSPACE, ACCOUNT)
        assert account is not None
        return account.status is AccountStatus.DISCONNECTED

    def disconnect(self) -> object:
        return self.core.disconnect_account("owner", ACCOUNT)

    def disconnect_and_die(self) -> None:
        """Disconnect, in a process that dies as soon as that is written."""
        made = deaths(self.disconnect_elsewhere)
        self.core.tap = Mortal(made.index(BEGUN_AFTER) + 1)
        with pytest.raises(DiedError):
            self.disconnect()
        self.core.tap = straight

    @staticmethod
    def disconnect_elsewhere() -> tuple[Core, Callable[[], object]]:
        life = Life()
        return life.core, life.disconnect


def reconciling(after: int) -> tuple[Life, Callable[[], object]]:
    """The work of a disconnect is due, for its first pass or for its last."""
    life = Life()
    life.disconnect_and_die()
    life.core.clock.advance(GRACE)
    if after:
        life.core.reconcile()
        life.core.clock.advance(LAST_PASS_AFTER)
    return life, life.core.reconcile


def deaths(stage: Callable[[], tuple[Core, Callable[[], object]]]) -> list[str]:
    """Name the calls of an undisturbed life, which are the moments to die at."""
    core, act = stage()
    undisturbed = Mortal(-1)
    core.tap = undisturbed
    act()
    return undisturbed.made


def check(life: Life, sent_before: frozenset[str]) -> None:
    """Assert what a disconnect promises, once the service is at rest."""
    core = life.core
    core.check()
    assert core.world.disconnections.works == {}
    assert core.received().count("account.disconnected") == int(life.is_disconnected)
    for post in [*life.scheduled, *([life.started] if life.started else [])]:
        for target in core.post(post.id).targets:
            if target.social_account_id != ACCOUNT:
                assert target.status is TargetStatus.PUBLISHED
            elif not life.is_disconnected:
                assert target.status is not TargetStatus.CANCELED
            elif target.id not in sent_before:
                assert target.id not in core.watched.sent
                assert (
                    target.status is TargetStatus.CANCELED
                    or target.error_code == ACCOUNT_NOT_ACTIVE
                )
    for draft in life.drafts:
        assert core.post(draft.id) == draft


def test_whenever_a_disconnect_dies_the_rest_of_the_service_finishes_it() -> None:
    # Given
    calls = deaths(Life.disconnect_elsewhere)
    assert calls.count("disconnections.advance") >= 2, "it takes several pages"
    for count in range(len(calls) + 1):
        life = Life()
        life.core.tap = Mortal(count)
        # When
        with pytest.raises(DiedError):
            life.disconnect()
        life.core.tap = straight
        is_begun = BEGUN_AFTER in calls[:count]
        assert life.is_disconnected == is_begun
        life.core.drain()
        # Then
        try:
            check(life, frozenset())
        except AssertionError as error:
            error.add_note(f"it died after call {count}, {calls[count - 1] if count else 'none'}")
            raise


@pytest.mark.parametrize("after", [0, 1], ids=["first pass", "last pass"])
def test_whenever_the_reconciler_dies_the_next_finishes_it(after: int) -> None:
    def stage() -> tuple[Core, Callable[[], object]]:
        life, act = reconciling(after)
        return life.core, act

    # Given
    calls = deaths(stage)
    assert "disconnections.open_posts" in calls
    for count in range(len(calls) + 1):
        life, act = reconciling(after)
        life.core.tap = Mortal(count)
        # When
        with pytest.raises(DiedError):
            act()
        life.core.tap = straight
        life.core.drain()
        # Then
        try:
            check(life, frozenset())
        except AssertionError as error:
            error.add_note(f"it died after call {count}, {calls[count - 1] if count else 'none'}")
            raise


def test_a_client_who_repeats_a_disconnect_that_died_learns_that_it_took_effect() -> None:
    for count in range(len(deaths(Life.disconnect_elsewhere)) + 1):
        # Given
        life = Life()
        life.core.tap = Mortal(count)
        with pytest.raises(DiedError):
            life.disconnect()
        life.core.tap = straight
        # When
        life.core.advance(A_SECOND)
        life.disconnect()
        # Then
        assert life.is_disconnected
        life.core.drain()
        check(life, frozenset())


def test_a_publisher_that_is_overtaken_publishes_only_what_was_claimed_before() -> None:
    # Given a publisher, and a disconnect before each single call that it makes
    def stage() -> tuple[Core, Callable[[], object]]:
        life = Life()
        entry = life.core.ready()[0]
        return life.core, lambda: life.core.handle(entry)

    calls = deaths(stage)
    claimed_at = calls.index("posts.commit") + 1
    for moment in range(len(calls)):
        life = Life()
        core = life.core
        [mine, *_] = core.ready()
        made: list[str] = []

        def overtaking(
            name: str,
            call: Callable[[], object],
            made: list[str] = made,
            moment: int = moment,
            life: Life = life,
        ) -> object:
            if len(made) == moment:
                made.append("the disconnect")
                life.core.tap, tap = straight, life.core.tap
                life.disconnect()
                life.core.tap = tap
            made.append(name)
            return call()

        # When
        core.tap = overtaking
        core.handle(mine)
        core.tap = straight
        sent = frozenset(core.watched.sent)
        # Then
        assert bool(sent) == (moment >= claimed_at + 1), calls[moment]
        core.drain()
        check(life, sent)


def test_posts_that_were_not_scheduled_are_the_only_ones_left() -> None:
    life = Life()
    life.disconnect()
    life.core.drain()
    check(life, frozenset())
    assert {life.core.post(post.id).status for post in life.drafts} == {PostStatus.DRAFT}
