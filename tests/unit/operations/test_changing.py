"""What all requests that change one post share: who may, repeats, conditions, lost races."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from postbreeze.domain.access import Role
from postbreeze.domain.errors import (
    ContendedError,
    ForbiddenError,
    IdempotencyInProgressError,
    IdempotencyKeyReusedError,
    LostRaceError,
    NotFoundError,
    PostbreezeError,
    PreconditionFailedError,
    UnauthorizedError,
    UnavailableError,
    ValidationError,
)
from postbreeze.domain.post import Post, PostStatus
from postbreeze.operations.answers import Answer, Idempotency
from postbreeze.operations.ports import AssetLostError
from postbreeze.operations.races import MOST_RACES
from tests.support.builders import an_answer, an_id
from tests.support.core import (
    A_SECOND,
    AN_HOUR,
    OTHER_WORKSPACE,
    STRANGER,
    USERS,
    Core,
    DiedError,
    Mortal,
    straight,
)
from tests.support.platforms import Accident

KEY = Idempotency(key="try-1", request_digest="digest")


@dataclass(slots=True, kw_only=True)
class Wish:
    """A post, and what a client wants of it."""

    core: Core
    post: Post
    act: Callable[..., Answer]
    arms: bool = False

    def __call__(self, **rest: Any) -> Answer:
        return self.act(**rest)

    @property
    def now(self) -> Post:
        return self.core.post(self.post.id)

    @property
    def was_made(self) -> bool:
        return self.now.version != self.post.version


def scheduling(core: Core) -> Wish:
    post = core.created(scheduled_for=None)
    at = core.clock.at + AN_HOUR
    return Wish(
        core=core, post=post, act=lambda **rest: core.schedule(post.id, at, **rest), arms=True
    )


def rescheduling(core: Core) -> Wish:
    post = core.created()
    at = core.clock.at + 2 * AN_HOUR
    return Wish(
        core=core,
        post=post,
        act=lambda **rest: core.schedule(post.id, at, again=True, **rest),
        arms=True,
    )


def editing(core: Core) -> Wish:
    post = core.created()
    draft = core.a_draft(3, caption="Edited")
    return Wish(
        core=core, post=post, act=lambda **rest: core.edit(post.id, draft, **rest), arms=True
    )


def approving(core: Core) -> Wish:
    post = core.created(requires_approval=True)
    return Wish(core=core, post=post, act=lambda **rest: core.approve(post.id, **rest), arms=True)


def deleting(core: Core) -> Wish:
    post = core.created()
    return Wish(core=core, post=post, act=lambda **rest: core.delete(post.id, **rest))


def cancelling(core: Core) -> Wish:
    post = core.created()
    return Wish(core=core, post=post, act=lambda **rest: core.cancel(post.id, **rest))


def retrying(core: Core) -> Wish:
    post = core.created()
    core.advance(AN_HOUR)
    core.platform.publish_accidents.append(Accident.REFUSED)
    core.fire_due()
    core.drain_messages()
    post = core.post(post.id)
    return Wish(core=core, post=post, act=lambda **rest: core.retry(post.id, **rest))


def retrying_a_comment(core: Core) -> Wish:
    post = core.created(1, first_comment="First!")
    core.advance(AN_HOUR)
    core.platform.comment_accidents.append(Accident.REFUSED)
    core.fire_due()
    core.drain_messages()
    core.advance(31 * A_SECOND)
    post = core.post(post.id)
    target_id = post.targets[0].id
    return Wish(
        core=core, post=post, act=lambda **rest: core.retry_comment(post.id, target_id, **rest)
    )


ALL = (
    scheduling,
    rescheduling,
    editing,
    approving,
    deleting,
    cancelling,
    retrying,
    retrying_a_comment,
)
BY_ROLE = (scheduling, rescheduling, editing)
"""What a role decides not only whether but also how."""

every = pytest.mark.parametrize("stage", ALL, ids=lambda stage: stage.__name__)


@pytest.fixture
def core() -> Core:
    return Core()


def refused(wish: Wish, kind: type[PostbreezeError], **rest: Any) -> PostbreezeError:
    with pytest.raises(kind) as refusal:
        wish(**rest)
    assert not wish.was_made
    return refusal.value


@every
def test_it_is_done_and_answered_with_the_post_as_it_then_is(core: Core, stage: Any) -> None:
    # Given
    wish = stage(core)
    # When
    answer = wish()
    # Then
    assert (answer.status, answer.replayed) == (200, False)
    assert answer.body["version"] == wish.now.version
    assert answer.body["status"] == wish.now.status
    assert wish.was_made
    core.check(at_rest=False)
    core.drain()
    core.check()


# Who may


@every
@pytest.mark.parametrize("role", Role)
def test_who_may(core: Core, stage: Any, role: Role) -> None:
    # Given
    wish = stage(core)
    may = {Role.OWNER, Role.ADMIN} | (set() if stage is approving else {Role.EDITOR})
    # When / Then
    if role in may:
        assert wish(key=role.value.lower()).status == 200
    else:
        refused(wish, ForbiddenError, key=role.value.lower())


@every
def test_who_may_not_is_not_told_of_the_posts_version(core: Core, stage: Any) -> None:
    refused(stage(core), ForbiddenError, key="client_reviewer", if_match=999)


@every
def test_a_post_is_not_there_for_whoever_cannot_reach_it(core: Core, stage: Any) -> None:
    wish = stage(core)
    core.add_key("stranger", owner=STRANGER)
    core.add_key("scoped", owner=USERS[Role.OWNER], workspace_ids=frozenset({OTHER_WORKSPACE}))
    for key in ("stranger", "scoped"):
        refused(wish, NotFoundError, key=key)
    refused(wish, UnauthorizedError, key="unknown")


@every
def test_a_post_that_is_unknown_or_deleted_is_not_found(core: Core, stage: Any) -> None:
    # Given
    wish = stage(core)
    core.delete(wish.post.id)
    wish.post = wish.now
    # When / Then
    refused(wish, NotFoundError)
    refused(wish, NotFoundError, idempotency=KEY)
    for act in (core.schedule, core.edit, core.approve, core.delete, core.retry):
        with pytest.raises(NotFoundError):
            act(an_id("post"))


@every
@pytest.mark.parametrize("lost", [Role.CLIENT_REVIEWER, None])
def test_who_ceases_to_be_allowed_before_the_commit_changes_nothing(
    core: Core, stage: Any, lost: Role | None
) -> None:
    # Given
    wish = stage(core)
    owner = USERS[Role.OWNER]

    def loses() -> None:
        if lost is None:
            core.directory.remove_member(wish.post.workspace_id, owner)
        else:
            core.add_member(owner, lost)

    core.before("posts.commit", loses)
    # When / Then
    refused(wish, NotFoundError if lost is None else ForbiddenError)


@pytest.mark.parametrize("stage", BY_ROLE, ids=lambda stage: stage.__name__)
def test_who_is_allowed_by_another_role_at_the_commit_is_asked_again(
    core: Core, stage: Any
) -> None:
    # Given
    wish = stage(core)
    core.before("posts.commit", lambda: core.add_member(USERS[Role.EDITOR], Role.ADMIN))
    # When
    assert wish(key="editor").status == 200
    # Then
    assert wish.was_made
    core.check(at_rest=False)


# Conditions and races


@every
def test_a_version_that_is_asked_for_must_be_the_present_one(core: Core, stage: Any) -> None:
    # Given
    wish = stage(core)
    present = wish.post.version
    # When / Then
    refusal = refused(wish, PreconditionFailedError, if_match=present - 1)
    assert isinstance(refusal, PreconditionFailedError)
    assert refusal.current == present
    assert wish(if_match=present).status == 200


@every
def test_a_lost_race_is_decided_again_but_not_for_ever(core: Core, stage: Any) -> None:
    # Given
    wish = stage(core)
    core.fails("posts.commit", *(LostRaceError("lost") for _ in range(MOST_RACES)))
    # When / Then
    refused(wish, ContendedError)
    core.fails("posts.commit", *(LostRaceError("lost") for _ in range(MOST_RACES - 1)))
    assert wish().status == 200


@every
def test_a_database_that_fails_is_unavailable(core: Core, stage: Any) -> None:
    wish = stage(core)
    for call in ("directory.admit", "posts.read", "posts.commit"):
        core.fails(call, UnavailableError("down"))
        refused(wish, UnavailableError)


@every
def test_an_asset_that_goes_before_the_commit_is_told(core: Core, stage: Any) -> None:
    # Given
    wish = stage(core)
    core.fails("posts.commit", AssetLostError())
    # When / Then
    refusal = refused(wish, ValidationError)
    assert isinstance(refusal, ValidationError)
    assert [detail.path for detail in refusal.details] == ["media"]


@every
def test_effects_that_fail_do_not_fail_the_request(core: Core, stage: Any) -> None:
    # Given
    wish = stage(core)
    for call in ("bus.announce", "schedules.arm", "schedules.disarm", "publish_queue.send"):
        core.fails(call, UnavailableError("down"))
    # When
    assert wish().status == 200
    # Then
    core.drain()
    core.check()


# Repeats


@every
def test_a_repeat_is_answered_as_the_first_and_changes_nothing(core: Core, stage: Any) -> None:
    # Given
    wish = stage(core)
    first = wish(idempotency=KEY)
    made = len(core.changes)
    # When
    again = wish(idempotency=KEY)
    # Then
    assert (first.replayed, again.replayed) == (False, True)
    assert (again.status, again.body) == (first.status, first.body)
    assert len(core.changes) == made


@every
def test_a_repeat_after_the_answer_was_lost_is_answered(core: Core, stage: Any) -> None:
    # Given
    wish = stage(core)
    core.fails_after("posts.commit", UnavailableError("answer lost"))
    with pytest.raises(UnavailableError):
        wish(idempotency=KEY)
    core.advance(61 * A_SECOND)
    made = len(core.changes)
    # When
    again = wish(idempotency=KEY)
    # Then
    assert (again.status, again.replayed) == (200, True)
    assert again.body["id"] == wish.post.id
    assert len(core.changes) == made


@pytest.mark.parametrize(
    "stage", [stage for stage in ALL if stage is not cancelling], ids=lambda stage: stage.__name__
)
def test_a_repeat_while_the_first_is_running_is_told_to_wait(core: Core, stage: Any) -> None:
    # Given
    wish = stage(core)
    if not wish.arms:
        # Its answer is stored with its change; there is only ever another request's mark.
        running(core, wish.post)
    else:
        core.tap = Mortal(len(calls_up_to_the_commit(core, stage)))
        with pytest.raises(DiedError):
            wish(idempotency=KEY)
        core.tap = straight
    made = len(core.changes)
    # When / Then
    with pytest.raises(IdempotencyInProgressError):
        wish(idempotency=KEY)
    # And later the post is answered as it is then
    core.advance(61 * A_SECOND)
    again = wish(idempotency=KEY)
    assert (again.status, again.replayed) == (200, True)
    assert again.body["version"] == wish.now.version
    assert len(core.changes) == made


def calls_up_to_the_commit(core: Core, stage: Any) -> list[str]:
    other = Core()
    wish = stage(other)
    calls = other.recorded()
    wish(idempotency=KEY)
    return calls[: calls.index("posts.commit") + 1]


def running(core: Core, post: Post) -> None:
    """Leave the mark of a request that has not ended."""
    core.posts._answers["owner", KEY.key] = an_answer(
        post.id,
        key_digest="owner",
        idempotency_key=KEY.key,
        request_digest=KEY.request_digest,
        created_at=core.clock.at,
        expires_at=core.clock.at + 24 * AN_HOUR,
    )


@every
def test_a_key_is_for_one_request(core: Core, stage: Any) -> None:
    # Given
    wish = stage(core)
    wish(idempotency=KEY)
    # When / Then
    with pytest.raises(IdempotencyKeyReusedError):
        wish(idempotency=Idempotency(key=KEY.key, request_digest="other"))


@every
def test_a_repeat_that_runs_beside_the_first_is_answered_with_its_answer(
    core: Core, stage: Any
) -> None:
    # Given
    wish = stage(core)
    firsts: list[Answer] = []
    core.before("posts.commit", lambda: firsts.append(wish(idempotency=KEY)))
    # When
    again = wish(idempotency=KEY)
    # Then
    [first] = firsts
    assert (again.body, again.replayed) == (first.body, True)
    core.drain()
    core.check()


@every
@pytest.mark.parametrize("lost", [Role.CLIENT_REVIEWER, None])
def test_a_repeat_is_for_who_may_still_ask(core: Core, stage: Any, lost: Role | None) -> None:
    # Given
    wish = stage(core)
    wish(idempotency=KEY)
    owner = USERS[Role.OWNER]
    if lost is None:
        core.directory.remove_member(wish.post.workspace_id, owner)
    else:
        core.add_member(owner, lost)
    # When / Then
    with pytest.raises(NotFoundError if lost is None else ForbiddenError):
        wish(idempotency=KEY)


@every
def test_a_refusal_is_not_kept(core: Core, stage: Any) -> None:
    # Given
    wish = stage(core)
    refused(wish, PreconditionFailedError, if_match=1_000, idempotency=KEY)
    # When / Then
    assert not wish(idempotency=KEY).replayed


def test_an_arming_that_has_to_wait_is_said_to_be_pending_and_made_later(core: Core) -> None:
    for stage in (scheduling, rescheduling, editing, approving):
        # Given
        wish = stage(core)
        core.fails("schedules.arm", UnavailableError("down"))
        # When
        answer = wish(idempotency=Idempotency(key=stage.__name__, request_digest="d"))
        # Then
        assert answer.body["workflowId"] is None
        assert answer.body["pendingWorkflowId"] is not None
        core.advance(61 * A_SECOND)
        assert core.reconcile()["ArmingCompleted"] == 1
        assert wish.now.workflow_id == answer.body["pendingWorkflowId"]
    core.drain()
    core.check()
    assert {post.status for post in core.posts._posts.values()} == {PostStatus.PUBLISHED}


# Repeats of what does not hold any more


def test_a_repeated_cancel_is_refused_once_its_post_is_on_the_clock_again(core: Core) -> None:
    # Given a cancel, and a reschedule after it
    wish = cancelling(core)
    wish(idempotency=KEY)
    core.schedule(wish.post.id, again=True)
    before = wish.now
    # When the cancel's request comes again
    with pytest.raises(IdempotencyKeyReusedError):
        wish(idempotency=KEY)
    # Then nobody is told "canceled" of what is about to go out
    assert wish.now == before
    core.drain()
    core.check()
    assert wish.now.status is PostStatus.PUBLISHED


@pytest.mark.parametrize("status", ["PUBLISHING", "PUBLISHED"])
def test_a_repeated_cancel_is_refused_once_a_target_of_it_goes_out(core: Core, status: str) -> None:
    # Given a cancel, a reschedule after it, and a target that is, or is becoming, public
    wish = cancelling(core)
    wish(idempotency=KEY)
    core.schedule(wish.post.id, again=True)
    core.has(wish.now, status, "FAILED")
    # When / Then
    with pytest.raises(IdempotencyKeyReusedError):
        wish(idempotency=KEY)


def test_a_repeated_cancel_is_answered_again_as_long_as_it_holds(core: Core) -> None:
    # Given
    wish = cancelling(core)
    first = wish(idempotency=KEY)
    core.edit(wish.post.id, core.a_draft(scheduled_for=None))
    # When / Then
    assert wish(idempotency=KEY).body == first.body


@every
def test_a_repeat_is_not_there_for_a_key_that_reaches_the_workspace_no_more(
    core: Core, stage: Any
) -> None:
    # Given
    wish = stage(core)
    wish(idempotency=KEY)
    key = core.directory.key("owner")
    assert key is not None
    elsewhere = replace(key, workspace_ids=frozenset({OTHER_WORKSPACE}), revision=key.revision + 1)
    core.directory.replace_key(elsewhere, expected_revision=key.revision)
    # When / Then
    with pytest.raises(NotFoundError):
        wish(idempotency=KEY)


@pytest.mark.parametrize("stage", [scheduling, rescheduling, editing, approving])
def test_a_request_is_answered_with_what_it_did_itself(core: Core, stage: Any) -> None:
    # Given somebody who cancels the post while its schedule is being made
    wish = stage(core)
    core.before("schedules.arm", lambda: core.cancel(wish.post.id))
    # When
    answer = wish(idempotency=KEY)
    # Then
    assert answer.body["status"] == "SCHEDULED"
    assert answer.body["pendingWorkflowId"] is not None
    assert wish(idempotency=KEY).body == answer.body
    assert wish.now.status is PostStatus.CANCELED
    core.drain()
    core.check()


def half_read(core: Core, post: Post) -> None:
    """Have the next read come upon a commit half way: the post's own row is still as it was."""
    whole = core.posts.read

    def read(post_id: str) -> Post | None:
        core.posts.read = whole  # type: ignore[method-assign]  # only once
        present = whole(post_id)
        assert present is not None
        return replace(post, targets=present.targets)

    core.posts.read = read  # type: ignore[method-assign]  # read by halves


@pytest.mark.parametrize("idempotency", [None, KEY])
def test_nothing_is_said_to_be_done_already_of_a_post_that_was_read_by_halves(
    core: Core, idempotency: Idempotency | None
) -> None:
    # Given
    post = core.created()
    core.cancel(post.id)
    half_read(core, post)
    # When
    answer = core.cancel(post.id, idempotency=idempotency)
    # Then
    assert answer.body["status"] == "CANCELED"
    assert answer.body["version"] == core.post(post.id).version


def test_nothing_is_refused_because_a_post_was_read_by_halves(core: Core) -> None:
    # Given
    post = core.created()
    core.cancel(post.id)
    half_read(core, post)
    # When
    answer = core.schedule(post.id)
    # Then
    assert answer.body["status"] == "SCHEDULED"


def test_a_dry_run_tells_nothing_of_a_post_that_was_read_by_halves(core: Core) -> None:
    # Given a post one of whose targets was cancelled a moment ago
    post = core.created()
    core.cancel(post.id, target_ids=(post.targets[0].id,))
    told = core.cancel(post.id, dry_run=True)
    half_read(core, post)
    # When / Then
    assert core.cancel(post.id, dry_run=True) == told


def test_what_changes_nothing_is_not_committed(core: Core) -> None:
    # Given
    wish = cancelling(core)
    wish()
    calls = core.recorded()
    # When
    assert wish().status == 200
    # Then
    assert "posts.commit" not in calls


@pytest.mark.parametrize("stage", [deleting, cancelling, retrying, retrying_a_comment])
def test_an_answer_that_is_kept_with_its_change_is_not_written_again(
    core: Core, stage: Any
) -> None:
    # Given
    wish = stage(core)
    calls = core.recorded()
    # When
    wish(idempotency=KEY)
    # Then
    assert calls.count("posts.commit") == 1
    assert "posts.complete" not in calls
