"""Cancelling as a client sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
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
    PlatformRejectedError,
    PostNotCancelableError,
    PreconditionFailedError,
    RefusalError,
    UnauthorizedError,
    UnavailableError,
    ValidationError,
)
from postbreeze.domain.post import Post, PostStatus, TargetStatus
from postbreeze.operations.answers import Idempotency
from postbreeze.operations.ports import AccessLostError, StoredAnswer
from tests.support.builders import a_post
from tests.support.core import OTHER_WORKSPACE, STRANGER, USERS, WORKSPACE, Core
from tests.support.platforms import Accident

KEY = Idempotency(key="try-1", request_digest="digest")


@pytest.fixture
def core() -> Core:
    return Core()


def standing(core: Core, status: PostStatus, targets: Any = None, **fields: Any) -> Post:
    """Put a post there that is in this state already."""
    return core.add_post(a_post(status, targets, workspace_id=WORKSPACE, **fields))


def outcomes(answer: Any) -> list[str]:
    return [told["outcome"] for told in answer.body["cancellation"]["targets"]]


def nothing_was_written(core: Core) -> bool:
    return core.changes == [] and core.bus.announced == []


# The table


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (PostStatus.SCHEDULED, ["canceled"] * 3),
        (PostStatus.NEEDS_APPROVAL, ["canceled"] * 2),
        (PostStatus.PUBLISHING, ["in_flight", "canceled"]),
        (PostStatus.PARTIALLY_PUBLISHED, ["already_published", "canceled"]),
    ],
)
def test_a_cancel_answers_with_the_post_as_committed(
    core: Core, status: PostStatus, told: list[str]
) -> None:
    # Given
    post = standing(core, status)
    # When
    answer = core.cancel(post.id, reason="a typo")
    # Then
    assert (answer.status, answer.replayed) == (200, False)
    assert answer.body["status"] == "CANCELED"
    assert answer.body["workflowId"] is answer.body["pendingWorkflowId"] is None
    assert answer.body["cancelReason"] == "a typo"
    assert answer.body["canceledByUserId"] == USERS[Role.OWNER]
    assert answer.body["scheduledAt"] is not None
    assert answer.body["version"] == core.post(post.id).version > post.version
    assert outcomes(answer) == told
    assert core.events(post.id) == ["post.cancelled"]
    [event] = core.posts.timeline(post.id)
    assert core.bus.announced == [(post.id, event.id)]
    assert (event.actor, event.reason) == (USERS[Role.OWNER], "a typo")


def test_the_schedule_of_a_cancelled_post_is_removed(core: Core) -> None:
    # Given
    post = core.created()
    assert core.schedules.armed
    # When
    core.cancel(post.id)
    # Then
    assert core.schedules.armed == {}


def test_cancelling_twice_answers_the_same_post_and_makes_no_second_event(core: Core) -> None:
    # Given
    post = standing(core, PostStatus.SCHEDULED)
    first = core.cancel(post.id)
    made = len(core.changes)
    # When
    second = core.cancel(post.id, reason="another")
    # Then
    assert second.status == 200
    assert {**second.body, "cancellation": None} == {**first.body, "cancellation": None}
    assert outcomes(second) == ["already_canceled"] * 3
    assert len(core.changes) == made
    assert core.events(post.id) == ["post.cancelled"]


@pytest.mark.parametrize("status", [PostStatus.DRAFT, PostStatus.FAILED, PostStatus.PUBLISHED])
def test_what_is_not_on_its_way_is_refused(core: Core, status: PostStatus) -> None:
    # Given
    post = standing(core, status)
    # When / Then
    with pytest.raises(PostNotCancelableError) as refused:
        core.cancel(post.id)
    assert refused.value.status == status
    assert nothing_was_written(core)


def test_a_post_with_nothing_left_to_stop_is_refused_with_each_targets_outcome(
    core: Core,
) -> None:
    # Given
    post = standing(core, PostStatus.PUBLISHING, ("PUBLISHING", "PUBLISHED"))
    # When / Then
    with pytest.raises(PostNotCancelableError) as refused:
        core.cancel(post.id)
    told = [target["outcome"] for target in refused.value.targets]
    assert told == ["in_flight", "already_published"]
    assert nothing_was_written(core)


# What the body and the query can ask for


def test_chosen_targets_are_cancelled_and_the_schedule_stays(core: Core) -> None:
    # Given
    post = core.created(2)
    # When
    answer = core.cancel(post.id, target_ids=(post.targets[0].id,), reason="one only")
    # Then
    assert answer.body["status"] == "SCHEDULED"
    assert answer.body["workflowId"] == f"{post.id}-1"
    told = [{"id": post.targets[0].id, "outcome": "canceled"}]
    assert answer.body["cancellation"]["targets"] == told
    assert core.events(post.id)[-1] == "post.targets_cancelled"
    assert list(core.schedules.armed) == [f"{post.id}-1"]


def test_a_target_of_another_post_is_refused(core: Core) -> None:
    # Given
    post, other = core.created(1), core.created(1)
    # When / Then
    with pytest.raises(ValidationError):
        core.cancel(post.id, target_ids=(other.targets[0].id,))


@pytest.mark.parametrize("chosen", [False, True])
def test_a_dry_run_answers_the_same_and_changes_nothing(core: Core, chosen: bool) -> None:
    # Given
    post = core.created(2)
    made, announced = len(core.changes), list(core.bus.announced)
    wanted: dict[str, Any] = {"target_ids": (post.targets[1].id,)} if chosen else {}
    # When
    dry = core.cancel(post.id, dry_run=True, idempotency=KEY, **wanted)
    # Then
    assert (len(core.changes), core.bus.announced) == (made, announced)
    assert core.post(post.id) == post
    assert core.schedules.armed
    assert core.posts.answer("owner", KEY.key) is None
    assert core.cancel(post.id, idempotency=KEY, **wanted).body == dry.body


def test_a_dry_run_is_refused_as_the_cancel_would_be(core: Core) -> None:
    post = standing(core, PostStatus.DRAFT)
    with pytest.raises(PostNotCancelableError):
        core.cancel(post.id, dry_run=True)


def test_a_dry_run_needs_the_same_role(core: Core) -> None:
    with pytest.raises(ForbiddenError):
        core.cancel(core.created().id, dry_run=True, key="client_reviewer")


# If-Match


def test_the_present_version_is_a_condition_that_holds(core: Core) -> None:
    post = core.created()
    assert core.cancel(post.id, if_match=post.version).status == 200


@pytest.mark.parametrize("status", [PostStatus.SCHEDULED, PostStatus.DRAFT, PostStatus.CANCELED])
def test_another_version_is_refused_with_the_present_one(core: Core, status: PostStatus) -> None:
    # Given
    post = standing(core, status)
    # When / Then
    with pytest.raises(PreconditionFailedError) as refused:
        core.cancel(post.id, if_match=post.version - 1)
    assert refused.value.current == post.version
    assert nothing_was_written(core)


def test_a_version_that_is_overtaken_while_the_cancel_runs_is_refused(core: Core) -> None:
    # Given a post that moves between the reading and the commit
    post = core.created()

    def move() -> None:
        core.has(core.post(post.id), "SCHEDULED", "CANCELED")

    core.before("posts.commit", move)
    # When / Then
    with pytest.raises(PreconditionFailedError):
        core.cancel(post.id, if_match=post.version)


# Idempotency-Key


def test_a_repeated_request_gets_the_first_answer(core: Core) -> None:
    # Given
    post = core.created()
    first = core.cancel(post.id, idempotency=KEY)
    made = len(core.changes)
    # When
    again = core.cancel(post.id, idempotency=KEY)
    # Then
    assert (again.status, again.body, again.replayed) == (200, first.body, True)
    assert outcomes(again) == ["canceled"] * 2
    assert len(core.changes) == made


def test_a_repeated_request_gets_the_first_answer_although_its_version_has_passed(
    core: Core,
) -> None:
    # Given
    post = core.created()
    core.cancel(post.id, idempotency=KEY, if_match=post.version)
    # When / Then
    assert core.cancel(post.id, idempotency=KEY, if_match=post.version).replayed


def test_the_key_of_another_request_is_refused(core: Core) -> None:
    # Given
    post, other = core.created(), core.created()
    core.cancel(post.id, idempotency=KEY)
    # When / Then
    with pytest.raises(IdempotencyKeyReusedError):
        core.cancel(other.id, idempotency=Idempotency(key=KEY.key, request_digest="other"))
    assert core.post(other.id).status is PostStatus.SCHEDULED


def test_the_same_idempotency_key_under_another_api_key_is_another(core: Core) -> None:
    # Given
    post, other = core.created(), core.created()
    core.cancel(post.id, idempotency=KEY)
    different = Idempotency(key=KEY.key, request_digest="other")
    # When / Then
    assert not core.cancel(other.id, key="admin", idempotency=different).replayed


def test_a_stored_answer_is_forgotten_after_a_day(core: Core) -> None:
    # Given
    post = core.created()
    core.cancel(post.id, idempotency=KEY)
    core.advance(timedelta(hours=24))
    # When / Then
    assert not core.cancel(post.id, idempotency=KEY).replayed


def test_a_stored_answer_needs_the_role_still(core: Core) -> None:
    # Given
    post = core.created()
    core.cancel(post.id, key="editor", idempotency=KEY)
    core.add_member(USERS[Role.EDITOR], Role.CLIENT_REVIEWER)
    # When / Then
    with pytest.raises(ForbiddenError):
        core.cancel(post.id, key="editor", idempotency=KEY)


def misses_the_answer(core: Core, times: int = 1) -> None:
    """Have the stored answer be read, so many times, before the twin that stores it commits."""
    missed = [None] * times

    def tap(name: str, call: Callable[[], Any]) -> Any:
        return missed.pop() if name == "posts.answer" and missed else call()

    core.tap = tap


@pytest.mark.parametrize("refusal", ["version", "state", "none"])
def test_a_twin_that_ran_a_moment_ago_is_repeated_whatever_it_left(
    core: Core, refusal: str
) -> None:
    # Given a request that is refused once it has been made, but for "none": that changes nothing
    targets = (TargetStatus.SCHEDULED, TargetStatus.FAILED)
    post = standing(core, PostStatus.PUBLISHING, targets)
    wanted: dict[str, Any] = {"idempotency": KEY}
    if refusal == "version":
        wanted["if_match"] = post.version
    if refusal == "state":
        wanted["target_ids"] = (post.targets[0].id,)
    first = core.cancel(post.id, **wanted)
    made = len(core.changes)
    misses_the_answer(core)
    # When
    second = core.cancel(post.id, **wanted)
    # Then
    assert second.replayed
    assert second.body == first.body
    assert len(core.changes) == made


def test_a_refusal_stands_where_no_twin_ran(core: Core) -> None:
    # Given
    post = standing(core, PostStatus.DRAFT)
    calls = core.recorded()
    # When / Then
    with pytest.raises(PostNotCancelableError):
        core.cancel(post.id, idempotency=KEY)
    assert calls.count("posts.answer") == 2
    assert core.posts.answer("owner", KEY.key) is None


def test_a_refusal_with_a_key_that_another_request_took_is_a_reuse(core: Core) -> None:
    # Given
    post, draft = core.created(), standing(core, PostStatus.DRAFT)
    core.cancel(post.id, idempotency=KEY)
    misses_the_answer(core)
    # When / Then
    with pytest.raises(IdempotencyKeyReusedError):
        core.cancel(draft.id, idempotency=Idempotency(key=KEY.key, request_digest="other"))


def test_a_cancel_that_changes_nothing_takes_its_key(core: Core) -> None:
    # Given
    post = standing(core, PostStatus.CANCELED)
    first = core.cancel(post.id, idempotency=KEY)
    # When
    again = core.cancel(post.id, idempotency=KEY)
    # Then
    assert (first.replayed, again.replayed) == (False, True)
    assert again.body == first.body
    assert nothing_was_written(core)
    assert core.post(post.id) == post
    with pytest.raises(IdempotencyKeyReusedError):
        core.cancel(post.id, idempotency=Idempotency(key=KEY.key, request_digest="other"))


def test_a_cancel_that_changes_nothing_needs_the_role_when_it_takes_its_key(core: Core) -> None:
    # Given
    post = standing(core, PostStatus.CANCELED)
    demote = partial(core.add_member, USERS[Role.EDITOR], Role.CLIENT_REVIEWER)
    core.before("posts.commit", demote)
    # When / Then
    with pytest.raises(ForbiddenError):
        core.cancel(post.id, key="editor", idempotency=KEY)
    assert core.posts.answer("editor", KEY.key) is None


def running(core: Core, post: Post) -> StoredAnswer:
    """Leave the mark of a request that has not ended."""
    now = core.clock.at
    answer = StoredAnswer(
        key_digest="owner",
        idempotency_key=KEY.key,
        request_digest=KEY.request_digest,
        post_id=post.id,
        created_at=now,
        expires_at=now + timedelta(hours=24),
    )
    core.posts._answers["owner", KEY.key] = answer
    return answer


def test_a_request_that_is_still_running_is_not_run_beside_itself(core: Core) -> None:
    # Given
    post = core.created()
    running(core, post)
    # When / Then
    with pytest.raises(IdempotencyInProgressError):
        core.cancel(post.id, idempotency=KEY)


def test_a_key_taken_while_the_cancel_runs_decides(core: Core) -> None:
    # Given a twin of the request that commits first
    post = core.created()

    def twin() -> None:
        core.cancel(post.id, idempotency=KEY)

    core.before("posts.commit", twin)
    # When
    answer = core.cancel(post.id, idempotency=KEY)
    # Then
    assert answer.replayed
    assert outcomes(answer) == ["canceled"] * 2
    assert core.events(post.id).count("post.cancelled") == 1


def test_a_cancel_stores_its_answer_with_its_change_also_where_the_post_is_not_armed_yet(
    core: Core,
) -> None:
    # Given
    post = core.created_unarmed()
    chosen = (post.targets[0].id,)
    # When
    answer = core.cancel(post.id, target_ids=chosen, idempotency=KEY)
    # Then
    again = core.cancel(post.id, target_ids=chosen, idempotency=KEY)
    assert (again.body, again.replayed) == (answer.body, True)
    assert "complete" not in core.posts.calls


# Who may


@pytest.mark.parametrize("role", ["owner", "admin", "editor"])
def test_owners_admins_and_editors_may_cancel(core: Core, role: str) -> None:
    assert core.cancel(core.created().id, key=role).status == 200


@pytest.mark.parametrize(
    "status", [PostStatus.SCHEDULED, PostStatus.DRAFT, PostStatus.CANCELED, PostStatus.PUBLISHING]
)
def test_a_client_reviewer_may_not_whatever_the_state(core: Core, status: PostStatus) -> None:
    # Given
    post = standing(core, status)
    # When / Then
    for wanted in ({}, {"if_match": 99}, {"target_ids": ("tgt_x",)}, {"idempotency": KEY}):
        with pytest.raises(ForbiddenError):
            core.cancel(post.id, key="client_reviewer", **wanted)
    assert nothing_was_written(core)


@pytest.mark.parametrize(
    "status", [PostStatus.SCHEDULED, PostStatus.DRAFT, PostStatus.CANCELED, PostStatus.PUBLISHING]
)
def test_a_stranger_learns_nothing(core: Core, status: PostStatus) -> None:
    # Given
    post = standing(core, status)
    core.add_key("stranger", owner=STRANGER)
    # When / Then
    for wanted in ({}, {"if_match": 99}, {"target_ids": ("tgt_x",)}, {"dry_run": True}):
        with pytest.raises(NotFoundError):
            core.cancel(post.id, key="stranger", **wanted)
    assert nothing_was_written(core)


def test_a_scoped_key_reaches_its_allow_list_only(core: Core) -> None:
    # Given
    owner = USERS[Role.OWNER]
    core.add_key("scoped", owner=owner, workspace_ids=frozenset({WORKSPACE}))
    core.add_key("elsewhere", owner=owner, workspace_ids=frozenset({OTHER_WORKSPACE}))
    post = core.created()
    # When / Then
    with pytest.raises(NotFoundError):
        core.cancel(post.id, key="elsewhere")
    assert core.cancel(post.id, key="scoped").status == 200


@pytest.mark.parametrize("make", [lambda _: "post_00000000000000000000000000", "deleted"])
def test_what_is_not_there_is_not_found(core: Core, make: Any) -> None:
    # Given
    gone = standing(core, PostStatus.SCHEDULED, deleted_at=core.clock.at)
    post_id = gone.id if make == "deleted" else make(core)
    # When / Then
    with pytest.raises(NotFoundError):
        core.cancel(post_id)


def test_a_key_that_opens_nothing_comes_before_everything_else(core: Core) -> None:
    # Given
    now, owner = core.clock.at, USERS[Role.OWNER]
    core.add_key("revoked", owner=owner, revoked_at=now)
    core.add_key("expired", owner=owner, expires_at=now)
    post = core.created()
    # When / Then
    for key in ("revoked", "expired", "unknown"):
        for post_id in (post.id, "post_00000000000000000000000000"):
            with pytest.raises(UnauthorizedError):
                core.cancel(post_id, key=key)
    assert core.post(post.id) == post


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda core: core.add_member(USERS[Role.EDITOR], Role.CLIENT_REVIEWER), ForbiddenError),
        (lambda core: core.directory.remove_member(WORKSPACE, USERS[Role.EDITOR]), NotFoundError),
    ],
)
def test_access_lost_while_the_cancel_runs_counts(
    core: Core, change: Callable[[Core], None], error: type[RefusalError]
) -> None:
    # Given
    post = core.created()
    core.before("posts.commit", lambda: change(core))
    # When / Then
    with pytest.raises(error):
        core.cancel(post.id, key="editor")
    assert core.post(post.id).status is PostStatus.SCHEDULED


def test_access_lost_and_regained_while_the_cancel_runs_does_no_harm(core: Core) -> None:
    # Given
    post = core.created()
    core.fails("posts.commit", AccessLostError())
    # When / Then
    assert core.cancel(post.id).status == 200


# Races and failures


def test_a_lost_race_is_decided_again_on_what_then_stands(core: Core) -> None:
    # Given a target that is claimed between the reading and the commit
    post = core.created(2)
    core.advance(timedelta(hours=1))

    def publish_one() -> None:
        core.fire_due()
        core.publisher.publish(post.id, post.targets[0].id, f"{post.id}-1")

    core.before("posts.commit", publish_one)
    # When
    answer = core.cancel(post.id)
    # Then
    assert outcomes(answer) == ["already_published", "canceled"]
    core.drain()
    core.check()


def test_a_torn_read_does_not_leave_a_post_that_nobody_ends(core: Core) -> None:
    # Given a query that returns the post's row of after another cancel, and targets of before it
    post = core.created(3)
    first, second, third = (target.id for target in post.targets)
    core.cancel(post.id, target_ids=(first, second))
    core.clock.advance(milliseconds=7)
    torn = [replace(core.post(post.id), targets=post.targets)]

    def tap(name: str, call: Callable[[], Any]) -> Any:
        return torn.pop() if name == "posts.read" and torn else call()

    core.tap = tap
    # When the last target is cancelled on what was read
    answer = core.cancel(post.id, target_ids=(third,))
    # Then
    assert torn == []
    assert answer.body["status"] == "CANCELED"
    assert [target["status"] for target in answer.body["targets"]] == ["CANCELED"] * 3
    assert core.post(post.id).status is PostStatus.CANCELED
    core.drain()
    core.check()
    assert core.received().count("post.cancelled") == 1


def test_a_cancel_tells_of_the_targets_it_leaves_as_they_are_when_it_commits(core: Core) -> None:
    # Given the other target's publishing between the reading and the commit
    post = core.created(2)
    first, second = (target.id for target in post.targets)
    core.advance(timedelta(hours=1))
    core.fire_due()
    publish = partial(core.publisher.publish, post.id, second, f"{post.id}-1")
    core.before("posts.commit", publish)
    # When
    answer = core.cancel(post.id, target_ids=(first,))
    # Then
    stored = core.post(post.id)
    assert [target["status"] for target in answer.body["targets"]] == ["CANCELED", "PUBLISHED"]
    assert (answer.body["version"], answer.body["status"]) == (stored.version, stored.status)
    core.drain()
    core.check()


def test_a_target_that_is_public_though_nobody_knows_is_never_said_to_be_cancelled(
    core: Core,
) -> None:
    # Given a target that is public, of which the platform never tells, and one that is published
    post = core.created(2)
    core.platform.publish_accidents.append(Accident.LOST_ANSWER)
    core.platform.find_errors.append(PlatformRejectedError("NO", "No."))
    core.drain()
    ended = core.post(post.id)
    assert (ended.status, ended.targets[0].error_code) == (
        PostStatus.PARTIALLY_PUBLISHED,
        "PUBLISH_OUTCOME_UNKNOWN",
    )
    assert ended.targets[0].id in core.platform.posts
    # When
    answers = [core.cancel(post.id), core.cancel(post.id)]
    # Then
    for answer in answers:
        assert (answer.status, answer.body["status"]) == (200, "CANCELED")
        assert outcomes(answer) == ["failed", "already_published"]
    assert core.post(post.id).targets == ended.targets
    core.drain()
    core.check()


def test_what_comes_out_after_its_platform_said_not_to_have_it_was_never_said_to_be_cancelled(
    core: Core,
) -> None:
    # Given a call that takes effect an hour late, and a platform that was asked in the meantime
    post = core.created(2)
    core.platform.publish_accidents.append(Accident.LOST_REQUEST)
    core.drain()
    ended = core.post(post.id)
    assert (ended.status, ended.targets[0].error_code) == (
        PostStatus.PARTIALLY_PUBLISHED,
        "PUBLISH_NOT_COMPLETED",
    )
    # When
    answer = core.cancel(post.id)
    core.platform.publish(core.watched.publications[0])
    # Then
    assert ended.targets[0].id in core.platform.posts
    assert outcomes(answer) == ["failed", "already_published"]
    assert core.cancel(post.id).body["cancellation"] == answer.body["cancellation"]
    core.drain()
    core.check()


def test_a_post_that_never_stands_still_is_a_conflict(core: Core) -> None:
    # Given
    post = core.created()
    core.fails("posts.commit", *[LostRaceError()] * 8)
    # When / Then
    with pytest.raises(ContendedError):
        core.cancel(post.id)


def test_a_post_that_stands_still_at_last_is_cancelled(core: Core) -> None:
    # Given
    post = core.created()
    core.fails("posts.commit", *[LostRaceError()] * 7)
    # When / Then
    assert core.cancel(post.id).status == 200


def test_a_post_that_is_deleted_meanwhile_is_not_found(core: Core) -> None:
    # Given
    post = core.created()
    core.fails("posts.commit", LostRaceError())
    core.before("posts.commit", lambda: core.posts._posts.pop(post.id))
    # When / Then
    with pytest.raises(NotFoundError):
        core.cancel(post.id)


@pytest.mark.parametrize("call", ["directory.admit", "posts.read", "posts.answer"])
def test_a_database_that_cannot_be_read_is_unavailable(core: Core, call: str) -> None:
    # Given
    post = core.created()
    core.fails(call, UnavailableError())
    # When / Then
    with pytest.raises(UnavailableError):
        core.cancel(post.id, idempotency=KEY)
    assert core.post(post.id) == post


def test_a_commit_whose_answer_is_lost_can_be_repeated_and_tells(core: Core) -> None:
    # Given
    post = core.created()
    core.fails_after("posts.commit", UnavailableError())
    with pytest.raises(UnavailableError):
        core.cancel(post.id, idempotency=KEY)
    # When
    answer = core.cancel(post.id, idempotency=KEY)
    # Then
    assert answer.replayed
    assert outcomes(answer) == ["canceled"] * 2
    core.drain()
    core.check()
    assert core.received().count("post.cancelled") == 1


@pytest.mark.parametrize("call", ["schedules.disarm", "bus.announce"])
@pytest.mark.parametrize("is_after", [False, True])
def test_a_cancel_does_not_fail_because_an_effect_does(
    core: Core, call: str, is_after: bool
) -> None:
    # Given
    post = core.created()
    fail = core.fails_after if is_after else core.fails
    fail(call, UnavailableError("down"))
    # When
    answer = core.cancel(post.id)
    # Then
    assert answer.status == 200
    assert core.telemetry.counts["EffectFailed"] == 1
    assert core.telemetry.warnings[0].fields["post_id"] == post.id
    core.drain()
    core.check()
    assert core.received().count("post.cancelled") == 1
    assert core.watched.sent == []


def test_a_cancel_takes_two_round_trips_before_its_answer_is_certain(core: Core) -> None:
    # Given
    post = core.created()
    calls = core.recorded()
    # When
    core.cancel(post.id, idempotency=KEY)
    # Then
    assert calls == [
        "directory.admit",
        "posts.read",
        "posts.answer",
        "posts.commit",
        "schedules.disarm",
        "bus.announce",
    ]


def test_a_repeated_request_gets_the_first_answer_while_a_target_is_still_in_flight(
    core: Core,
) -> None:
    # Given a cancel that found a target in flight, and said so
    post = standing(core, PostStatus.PUBLISHING)
    first = core.cancel(post.id, idempotency=KEY)
    assert outcomes(first) == ["in_flight", "canceled"]
    # When
    again = core.cancel(post.id, idempotency=KEY)
    # Then
    assert (again.body, again.replayed) == (first.body, True)
