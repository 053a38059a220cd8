"""More at once than can be explored: random situations, operations and orders.

Whatever is drawn, at rest all that the service promises must hold. A failure is shrunk: to few
actors, and to as few interruptions as it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from postbreeze.operations.answers import Idempotency
from tests.support.core import A_MINUTE
from tests.support.interleave import Torn, perform
from tests.support.platforms import Accident
from tests.support.plays import Play
from tests.support.proof import Proved, seed, share

ORDERS = share(tested=150, proved=6_000)

SAME = Idempotency(key="k", request_digest="d")


def late_messages(targets: int) -> Play:
    play = Play(targets).started()
    play.core.advance(10 * A_MINUTE)
    return play


def partly_published(targets: int) -> Play:
    play = Play(targets).started()
    play.core.platform.publish_accidents.append(Accident.REFUSED)
    play.core.publisher.publish(play.post.id, play.post.targets[0].id, f"{play.post.id}-1")
    return play


def pending(targets: int) -> Play:
    play = Play(targets, armed=False)
    play.core.advance(2 * A_MINUTE)
    return play


SITUATIONS: dict[str, Callable[[int], Play]] = {
    "scheduled": Play,
    "draft": lambda targets: Play(targets, is_scheduled=False),
    "waits for approval": lambda targets: Play(targets, waits=True),
    "being armed": pending,
    "due": lambda targets: Play(targets).time_has_come(),
    "overdue": lambda targets: Play(targets).late(),
    "started": lambda targets: Play(targets).started(),
    "messages late": late_messages,
    "one failed": partly_published,
}

ACTS: dict[str, Callable[[Play, str], object]] = {
    "cancel": lambda play, name: play.cancel(name),
    "cancel the first": lambda play, name: play.cancel(name, 0),
    "cancel the last": lambda play, name: play.cancel(name, -1),
    "cancel with a key": lambda play, name: play.cancel(name, idempotency=SAME),
    "reschedule": lambda play, name: play.reschedule(name),
    "reschedule to a moment ahead": lambda play, name: play.reschedule(name, hours=0.001),
    "edit": lambda play, name: play.edit(name=name),
    "approve": lambda play, name: play.approve(name),
    "retry": lambda play, name: play.retry(name),
    "delete": lambda play, name: play.delete(name),
    "disconnect": lambda play, name: play.disconnect(0, name),
    "fire": lambda play, name: play.start(name),
    "publish the first": lambda play, name: play.publish(0, name),
    "publish the last": lambda play, name: play.publish(-1, name),
    "conclude": lambda play, name: play.also(name, lambda: play.core.conclude(play.post.id)),
    "arm": lambda play, name: play.also(name, lambda: play.core.arm(play.post, actor="service")),
    "reconcile": lambda play, name: play.reconcile(name),
}


def assert_gone(play: Play) -> None:
    """What had not begun when its account was disconnected was never published to it."""
    after = play.core.watched.sent[play.sent_at_disconnect :]
    assert not any(play.open_at_disconnect.get(target_id) for target_id in after)


def test_in_random_orders_all_that_is_promised_holds(proved: Callable[[Proved], None]) -> None:
    played = 0

    @seeded(seed())
    @settings(
        max_examples=ORDERS,
        deadline=None,
        database=None,
        derandomize=False,
        print_blob=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(
        situation=st.sampled_from(sorted(SITUATIONS)),
        targets=st.integers(2, 3),
        acts=st.lists(st.sampled_from(sorted(ACTS)), min_size=2, max_size=4),
        accidents=st.lists(st.sampled_from([None, *Accident]), max_size=2),
        torn_reads=st.sampled_from(Torn),
        data=st.data(),
    )
    def one_order(  # what is drawn
        situation: str,
        targets: int,
        acts: Sequence[str],
        accidents: Sequence[Accident | None],
        torn_reads: Torn,
        data: st.DataObject,
    ) -> None:
        nonlocal played
        # Given
        play = SITUATIONS[situation](targets)
        play.core.platform.publish_accidents.extend(accidents)
        for number, act in enumerate(acts):
            ACTS[act](play, f"{act} {number}")

        def choose(able: Sequence[str]) -> str:
            return able[0] if len(able) == 1 else able[data.draw(st.integers(0, len(able) - 1))]

        # When / Then
        perform(play.scene(assert_gone, in_general=True), choose, torn_reads=torn_reads)
        played += 1

    one_order()
    proved(Proved(what="random orders of two to four operations", count=played, unit="orders"))
