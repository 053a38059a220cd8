"""The process dies after each single call it makes; the rest of the service carries on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from postbreeze.domain.lifecycle import LEASE
from postbreeze.domain.post import Post, PostStatus
from postbreeze.operations.answers import Answer, Idempotency
from tests.support.core import A_SECOND, AN_HOUR, Core, DiedError, Message, Mortal, straight
from tests.support.platforms import Accident

CALLS_UP_TO_THE_ANSWER = 7
"""A publisher's: post, account, its secret, preparing, claim, the account again, the call."""


@dataclass(slots=True, kw_only=True)
class Life:
    """A world in which something is about to be done; ``again`` is how that is done once more."""

    core: Core
    act: Callable[[], object]
    again: Message | None = None
    post_id: str | None = None


def cancelling() -> Life:
    core = Core()
    post = core.created(2)
    core.drain_messages()
    return Life(core=core, act=lambda: core.cancel(post.id), post_id=post.id)


def cancelling_with_a_key() -> Life:
    core = Core()
    post = core.created(2)
    core.drain_messages()
    key = Idempotency(key="k", request_digest="d")
    return Life(core=core, act=lambda: core.cancel(post.id, idempotency=key), post_id=post.id)


def cancelling_one() -> Life:
    core = Core()
    post = core.created(2)
    chosen = (post.targets[0].id,)
    return Life(core=core, act=lambda: core.cancel(post.id, target_ids=chosen), post_id=post.id)


def cancelling_what_is_being_published() -> Life:
    core, post = _started()
    core.handle(core.ready()[0])
    return Life(core=core, act=lambda: core.cancel(post.id), post_id=post.id)


def creating() -> Life:
    core = Core()
    key = Idempotency(key="k", request_digest="d")
    return Life(core=core, act=lambda: core.create(core.a_draft(2), idempotency=key))


def creating_a_draft() -> Life:
    core = Core()
    return Life(core=core, act=lambda: core.create(core.a_draft(2, scheduled_for=None)))


SAME = Idempotency(key="k", request_digest="d")


def scheduling() -> Life:
    core = Core()
    post = core.created(2, scheduled_for=None)
    core.drain_messages()
    at = core.clock.at + AN_HOUR
    return Life(
        core=core,
        act=lambda: core.schedule(post.id, at, idempotency=SAME),
        post_id=post.id,
    )


def rescheduling() -> Life:
    core = Core()
    post = core.created(2)
    core.drain_messages()
    at = core.clock.at + 2 * AN_HOUR
    return Life(
        core=core,
        act=lambda: core.schedule(post.id, at, again=True, idempotency=SAME),
        post_id=post.id,
    )


def rescheduling_what_was_cancelled() -> Life:
    life = rescheduling()
    life.core.cancel(str(life.post_id))
    life.core.drain_messages()
    return life


def editing() -> Life:
    core = Core()
    post = core.created(2)
    core.drain_messages()
    draft = core.a_draft(3, caption="Edited", scheduled_for=core.clock.at + 2 * AN_HOUR)
    return Life(core=core, act=lambda: core.edit(post.id, draft, idempotency=SAME), post_id=post.id)


def deleting() -> Life:
    core = Core()
    post = core.created(2)
    core.drain_messages()
    return Life(core=core, act=lambda: core.delete(post.id, idempotency=SAME), post_id=post.id)


def approving() -> Life:
    core = Core()
    post = core.created(2, requires_approval=True)
    core.drain_messages()
    return Life(core=core, act=lambda: core.approve(post.id, idempotency=SAME), post_id=post.id)


def retrying() -> Life:
    core, post = _started()
    core.platform.publish_accidents.append(Accident.REFUSED)
    core.drain_messages()
    assert core.post(post.id).status is PostStatus.PARTIALLY_PUBLISHED
    return Life(core=core, act=lambda: core.retry(post.id, idempotency=SAME), post_id=post.id)


def retrying_a_comment() -> Life:
    core, post = _started(first_comment="First!")
    core.platform.comment_accidents.append(Accident.REFUSED)
    core.drain_messages()
    core.advance(A_SECOND * 31)
    [owing] = [each for each in core.post(post.id).targets if each.first_comment_error]
    return Life(
        core=core,
        act=lambda: core.retry_comment(post.id, owing.id, idempotency=SAME),
        post_id=post.id,
    )


def starting() -> Life:
    core = Core()
    post = core.created(2)
    core.drain_messages()
    core.advance(AN_HOUR)
    return Life(core=core, act=lambda: core.start(post.id, f"{post.id}-1"), post_id=post.id)


def publishing() -> Life:
    core, post = _started()
    return _handling_first(core, post)


def publishing_with_a_comment() -> Life:
    core, post = _started(first_comment="First!")
    return _handling_first(core, post)


def publishing_in_vain() -> Life:
    core, post = _started()
    core.platform.publish_accidents.append(Accident.UNREACHABLE)
    return _handling_first(core, post)


def publishing_without_an_answer() -> Life:
    core, post = _started()
    core.platform.publish_accidents.append(Accident.LOST_ANSWER)
    return _handling_first(core, post)


def publishing_the_last() -> Life:
    core, post = _started()
    core.handle(core.ready()[0])
    return _handling_first(core, post)


def resolving() -> Life:
    """A publisher has died after its call; what became of the claim is to be found out."""
    core, post = _started()
    core.tap = Mortal(CALLS_UP_TO_THE_ANSWER)
    entry = core.ready()[0]
    with pytest.raises(DiedError):
        core.do(entry[1])
    core.tap = straight
    core.waiting.remove(entry)
    core.run_queues()
    core.advance(LEASE + A_SECOND)
    core.reconcile()
    return _handling_first(core, post)


def fanning_out() -> Life:
    core = Core()
    core.webhooks.add_endpoint(core.an_endpoint(2))
    post = core.created(1)
    core.drain_messages()
    core.cancel(post.id)
    return _handling_first(core, post)


def delivering() -> Life:
    life = fanning_out()
    life.act()
    return _handling_first(life.core, life.core.post(str(life.post_id)))


def delivering_in_vain() -> Life:
    life = delivering()
    life.core.sender.script.append(500)
    return life


def reconciling() -> Life:
    """Everything there is to be repaired: an arming, a fire, events, deliveries and a claim."""
    life = resolving()
    core = life.core
    core.tap = Mortal(4)
    with pytest.raises(DiedError):
        core.create(core.a_draft(1))
    core.tap = straight
    core.created(1)
    core.schedules.armed.clear()
    core.waiting.clear()
    core.advance(AN_HOUR + LEASE)
    return Life(core=core, act=core.reconcile, post_id=None)


def _started(first_comment: str | None = None) -> tuple[Core, Post]:
    core = Core()
    post = core.created(2, first_comment=first_comment)
    core.advance(AN_HOUR)
    core.fire_due()
    core.drain_messages(publishing=False)
    return core, core.post(post.id)


def _handling_first(core: Core, post: Post) -> Life:
    entry = core.ready()[0]
    core.waiting.remove(entry)
    return Life(core=core, act=lambda: core.do(entry[1]), again=entry[1], post_id=post.id)


LIVES: dict[str, Callable[[], Life]] = {
    made.__name__: made
    for made in (
        cancelling,
        cancelling_with_a_key,
        cancelling_one,
        cancelling_what_is_being_published,
        creating,
        creating_a_draft,
        scheduling,
        rescheduling,
        rescheduling_what_was_cancelled,
        editing,
        deleting,
        approving,
        retrying,
        retrying_a_comment,
        starting,
        publishing,
        publishing_with_a_comment,
        publishing_in_vain,
        publishing_without_an_answer,
        publishing_the_last,
        resolving,
        fanning_out,
        delivering,
        delivering_in_vain,
        reconciling,
    )
}


def deaths(stage: Callable[[], Life]) -> list[str]:
    """Name the calls of an undisturbed life, which are the moments to die at."""
    life = stage()
    undisturbed = Mortal(-1)
    life.core.tap = undisturbed
    life.act()
    return undisturbed.made


@pytest.mark.parametrize("is_told_again", [True, False], ids=["told again", "message lost"])
@pytest.mark.parametrize("name", LIVES)
def test_whenever_it_dies_the_rest_of_the_service_finishes_the_work(
    name: str, is_told_again: bool
) -> None:
    # Given
    calls = deaths(LIVES[name])
    assert len(calls) >= 2
    for count in range(len(calls) + 1):
        life = LIVES[name]()
        core = life.core
        core.tap = Mortal(count)
        # When
        with pytest.raises(DiedError):
            life.act()
        core.tap = straight
        if is_told_again and life.again is not None:
            core.waiting.append((core.clock.now() + 90 * A_SECOND, life.again))
        elif not is_told_again:
            core.schedules.armed.clear()
        core.drain()
        # Then
        died_after = calls[count - 1] if count else "nothing"
        try:
            core.check()
            check_cancel(life, calls[:count])
        except AssertionError as error:
            error.add_note(f"it died after call {count}, {died_after}")
            raise


def check_cancel(life: Life, made: list[str]) -> None:
    """Assert that a cancel which was committed counts, and one which was not does not."""
    if life.post_id is None or not life.act.__qualname__.startswith("cancelling"):
        return
    post = life.core.post(life.post_id)
    sent = set(life.core.watched.sent)
    is_committed = "posts.commit" in made
    stopped = [target for target in post.targets if target.status.value == "CANCELED"]
    assert bool(stopped) == is_committed
    assert not {target.id for target in stopped} & sent
    told = {"post.cancelled", "post.targets_cancelled"} & set(life.core.received())
    assert bool(told) == is_committed


def test_a_client_who_repeats_a_cancel_that_died_learns_that_it_took_effect() -> None:
    for count in range(len(deaths(cancelling_with_a_key)) + 1):
        # Given
        life = cancelling_with_a_key()
        life.core.tap = Mortal(count)
        with pytest.raises(DiedError):
            life.act()
        life.core.tap = straight
        # When
        life.act()
        # Then
        life.core.drain()
        life.core.check()
        assert life.core.post(str(life.post_id)).status is PostStatus.CANCELED
        assert life.core.events(str(life.post_id)).count("post.cancelled") == 1


def test_a_client_who_repeats_a_creation_that_died_makes_no_second_post() -> None:
    for count in range(len(deaths(creating)) + 1):
        # Given
        life = creating()
        life.core.tap = Mortal(count)
        with pytest.raises(DiedError):
            life.act()
        life.core.tap = straight
        life.core.advance(61 * A_SECOND)
        # When
        life.act()
        # Then
        life.core.drain()
        life.core.check()
        assert len(life.core.posts._posts) == 1
        assert len(life.core.watched.sent) == 2


@pytest.mark.parametrize("is_at_once", [True, False], ids=["soon", "when all is over"])
@pytest.mark.parametrize(
    "stage",
    [
        scheduling,
        rescheduling,
        rescheduling_what_was_cancelled,
        editing,
        deleting,
        approving,
        retrying,
        retrying_a_comment,
    ],
)
def test_a_client_who_repeats_what_died_has_it_done_once(
    stage: Callable[[], Life], is_at_once: bool
) -> None:
    undisturbed = stage()
    undisturbed.act()
    undisturbed.core.drain()
    expected = _essence(undisturbed)
    for count in range(len(deaths(stage)) + 1):
        # Given
        life = stage()
        core, post_id = life.core, str(life.post_id)
        made = len(core.changes)
        core.tap = Mortal(count)
        with pytest.raises(DiedError):
            life.act()
        core.tap = straight
        is_committed = len(core.changes) > made
        if is_at_once:
            core.advance(61 * A_SECOND)
        elif is_committed:
            core.drain()
        else:
            # What was never asked for has its own end; only what was begun is to be repeated.
            continue
        # When
        answer = life.act()
        # Then
        assert isinstance(answer, Answer)
        assert answer.status == 200
        assert answer.replayed == is_committed
        core.drain()
        core.check()
        assert _essence(life) == expected, f"it died after {count} calls"
        assert core.post(post_id).generation == undisturbed.core.post(post_id).generation


def _essence(life: Life) -> tuple[object, ...]:
    """Return what is left in the end, moments apart."""
    post = life.core.post(str(life.post_id))
    public = [life.core.platform.posts.get(target.id) for target in post.targets]
    return (
        post.status,
        post.deleted_at is None,
        [target.status for target in post.targets],
        [None if each is None else each.text for each in public],
        sorted(life.core.platform.comments.values()),
        sorted(life.core.events(post.id)),
    )
