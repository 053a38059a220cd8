"""Creating posts, and putting their schedules in force."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postbreeze.domain import lifecycle
from postbreeze.domain.access import Role
from postbreeze.domain.documents import to_json
from postbreeze.domain.errors import (
    ContendedError,
    IdempotencyInProgressError,
    IdempotencyKeyReusedError,
    LostRaceError,
    NotFoundError,
    UnauthorizedError,
    UnavailableError,
    ValidationError,
)
from postbreeze.domain.post import AccountStatus, MediaDraft, PostDraft, PostStatus, TargetDraft
from postbreeze.operations.answers import Idempotency
from postbreeze.operations.fitness import LARGEST_DOCUMENT
from postbreeze.operations.ports import AccessLostError, AnswerExistsError
from postbreeze.operations.races import MOST_RACES
from tests.support.builders import an_answer
from tests.support.core import (
    A_MINUTE,
    A_SECOND,
    AN_HOUR,
    OTHER_WORKSPACE,
    STRANGER,
    USERS,
    WORKSPACE,
    Core,
    numbered,
)

KEY = Idempotency(key="try-1", request_digest="digest")


@pytest.fixture
def core() -> Core:
    return Core()


def posts(core: Core) -> int:
    return len(core.posts._posts)


def test_a_post_with_a_time_is_armed_before_the_answer(core: Core) -> None:
    # When
    answer = core.create(core.a_draft(2))
    # Then
    body = answer.body
    workflow_id = f"{body['id']}-1"
    assert (answer.status, body["status"]) == (201, "SCHEDULED")
    assert (body["workflowId"], body["pendingWorkflowId"]) == (workflow_id, None)
    assert core.schedules.armed[workflow_id].at == core.clock.at + AN_HOUR
    assert core.events(body["id"]) == ["post.created", "post.scheduled"]
    assert len(core.bus.announced) == 2
    stored = core.post(body["id"])
    assert body["version"] == stored.version
    assert [target.workflow_id for target in stored.targets] == [workflow_id] * 2


def test_a_post_without_a_time_is_a_draft_and_nothing_is_armed(core: Core) -> None:
    # When
    answer = core.create(core.a_draft(scheduled_for=None))
    # Then
    assert answer.body["status"] == "DRAFT"
    assert core.schedules.armed == {}
    assert core.events(answer.body["id"]) == ["post.created"]


def test_a_client_reviewers_post_waits_for_approval(core: Core) -> None:
    # When
    answer = core.create(key="client_reviewer")
    # Then
    assert answer.body["status"] == "NEEDS_APPROVAL"
    assert answer.body["createdByUserId"] == USERS[Role.CLIENT_REVIEWER]
    assert core.schedules.armed == {}


@pytest.mark.parametrize("is_flat", [False, True])
def test_the_shape_it_was_asked_for_in_is_remembered(core: Core, is_flat: bool) -> None:
    answer = core.create(core.a_draft(flat_shape=is_flat))
    assert answer.body["createdViaFlatShape"] is is_flat
    assert answer.body["createdViaApi"] is True


# Who may


def test_a_key_that_opens_nothing_comes_first(core: Core) -> None:
    with pytest.raises(UnauthorizedError):
        core.create(key="unknown")


def test_an_account_that_nobody_has_is_not_found(core: Core) -> None:
    with pytest.raises(NotFoundError):
        core.create(core.a_draft(targets_of=(TargetDraft(social_account_id="soc_x"),)))


def test_a_workspace_that_the_caller_cannot_reach_is_not_found(core: Core) -> None:
    # Given
    core.add_key("stranger", owner=STRANGER)
    owner = USERS[Role.OWNER]
    core.add_key("elsewhere", owner=owner, workspace_ids=frozenset({OTHER_WORKSPACE}))
    # When / Then
    for key in ("stranger", "elsewhere"):
        with pytest.raises(NotFoundError):
            core.create(key=key)
    assert posts(core) == 0


# What is checked


def fault_of(core: Core, **wanted: Any) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as refused:
        core.create(core.a_draft(**wanted))
    assert posts(core) == 0
    return [(detail.path, detail.message) for detail in refused.value.details]


@pytest.mark.parametrize(
    ("is_flat", "path"), [(True, "platforms.{}.accountId"), (False, "targets.{}.socialAccountId")]
)
def test_every_account_that_cannot_be_used_is_told(core: Core, is_flat: bool, path: str) -> None:
    # Given
    core.add_account(30, workspace=OTHER_WORKSPACE)
    core.add_account(31, status=AccountStatus.DISCONNECTED)
    accounts = [20, 30, 31, 20]
    drafts = tuple(TargetDraft(social_account_id=numbered("soc", each)) for each in accounts)
    # When
    faults = fault_of(core, targets_of=drafts, flat_shape=is_flat)
    # Then
    assert faults == [
        (path.format(1), "is not an account of the post's workspace"),
        (path.format(2), "is an account that is DISCONNECTED, not ACTIVE"),
        (path.format(3), "names an account that is listed before"),
    ]


def test_the_first_account_tells_the_workspace(core: Core) -> None:
    # Given
    core.add_account(30, workspace=OTHER_WORKSPACE)
    drafts = tuple(TargetDraft(social_account_id=numbered("soc", each)) for each in (20, 30))
    # When
    [(path, _)] = fault_of(core, targets_of=drafts)
    # Then
    assert path == "targets.1.socialAccountId"


@pytest.mark.parametrize(
    ("is_flat", "time", "draft_time"),
    [
        (True, "scheduledFor", "draftScheduledFor"),
        (False, "scheduledAt", "draftScheduledAt"),
    ],
)
def test_a_time_that_is_wrong_is_told(
    core: Core, is_flat: bool, time: str, draft_time: str
) -> None:
    # When
    too_far = core.clock.at + timedelta(days=400)
    faults = [
        *fault_of(core, flat_shape=is_flat, scheduled_for=core.clock.at),
        *fault_of(core, flat_shape=is_flat, scheduled_for=None, draft_scheduled_for=too_far),
        # A draft's time counts for nothing beside one to publish at.
        *fault_of(
            core, flat_shape=is_flat, scheduled_for=too_far, draft_scheduled_for=core.clock.at
        ),
    ]
    # Then
    assert faults == [
        (time, "must be in the future"),
        (draft_time, "must be at most one year ahead"),
        (time, "must be at most one year ahead"),
    ]


def test_a_role_that_is_too_low_comes_before_what_is_wrong(core: Core) -> None:
    # Given
    core.directory.remove_member(WORKSPACE, USERS[Role.EDITOR])
    # When / Then
    with pytest.raises(NotFoundError):
        core.create(core.a_draft(scheduled_for=core.clock.at), key="editor")


# Races with the membership


def test_an_author_who_has_become_a_reviewer_meanwhile_has_nothing_scheduled(core: Core) -> None:
    # Given
    core.before("posts.commit", lambda: core.add_member(USERS[Role.EDITOR], Role.CLIENT_REVIEWER))
    # When
    answer = core.create(key="editor")
    # Then
    assert answer.body["status"] == "NEEDS_APPROVAL"
    assert core.schedules.armed == {}
    assert posts(core) == 1


def test_an_author_who_has_left_meanwhile_makes_nothing(core: Core) -> None:
    # Given
    editor = USERS[Role.EDITOR]
    core.before("posts.commit", lambda: core.directory.remove_member(WORKSPACE, editor))
    # When / Then
    with pytest.raises(NotFoundError):
        core.create(key="editor")
    assert posts(core) == 0


@pytest.mark.parametrize("error", [LostRaceError(), AccessLostError()])
def test_what_gets_in_the_way_is_decided_again_and_at_last_a_conflict(
    core: Core, error: Exception
) -> None:
    # Given
    core.fails("posts.commit", *[error] * 7)
    assert core.create().status == 201
    core.fails("posts.commit", *[error] * 8)
    # When / Then
    with pytest.raises(ContendedError):
        core.create()
    assert posts(core) == 1


# Idempotency-Key


@pytest.mark.parametrize("ahead", [AN_HOUR, None])
def test_a_repeated_request_gets_the_first_answer(core: Core, ahead: timedelta | None) -> None:
    # Given
    at = None if ahead is None else core.clock.at + ahead
    draft = core.a_draft(scheduled_for=at)
    first = core.create(draft, idempotency=KEY)
    # When
    again = core.create(draft, idempotency=KEY)
    # Then
    assert again == replace(first, replayed=True)
    assert posts(core) == 1


def test_the_key_of_another_request_is_refused(core: Core) -> None:
    core.create(idempotency=KEY)
    with pytest.raises(IdempotencyKeyReusedError):
        core.create(idempotency=Idempotency(key=KEY.key, request_digest="other"))
    assert posts(core) == 1


def test_a_repeated_request_needs_the_membership_still(core: Core) -> None:
    # Given
    core.create(key="editor", idempotency=KEY)
    core.directory.remove_member(WORKSPACE, USERS[Role.EDITOR])
    # When / Then
    with pytest.raises(NotFoundError):
        core.create(key="editor", idempotency=KEY)


def test_a_twin_that_commits_first_is_answered_for_both(core: Core) -> None:
    # Given
    draft = core.a_draft(scheduled_for=None)

    def twin() -> None:
        core.create(draft, idempotency=KEY)

    core.before("posts.commit", twin)
    # When
    answer = core.create(draft, idempotency=KEY)
    # Then
    assert answer.replayed
    assert posts(core) == 1


def test_a_key_that_is_taken_without_having_been_given_is_a_conflict(core: Core) -> None:
    # Given what no store does
    core.fails("posts.commit", *[AnswerExistsError(an_answer())] * 8)
    # When / Then
    with pytest.raises(ContendedError):
        core.create()


def test_an_answer_that_could_not_be_completed_is_made_from_the_post_later(core: Core) -> None:
    # Given
    core.fails("posts.complete", UnavailableError())
    first = core.create(idempotency=KEY)
    assert first.status == 201
    # When / Then
    with pytest.raises(IdempotencyInProgressError):
        core.create(idempotency=KEY)
    core.advance(61 * A_SECOND)
    again = core.create(idempotency=KEY)
    assert again.replayed
    assert again.body["id"] == first.body["id"]
    assert posts(core) == 1


def test_a_commit_whose_answer_is_lost_makes_no_second_post(core: Core) -> None:
    # Given
    core.fails_after("posts.commit", UnavailableError())
    with pytest.raises(UnavailableError):
        core.create(idempotency=KEY)
    core.advance(61 * A_SECOND)
    # When
    answer = core.create(idempotency=KEY)
    # Then
    assert answer.replayed
    assert posts(core) == 1
    core.drain()
    core.check()
    assert len(core.watched.sent) == 2


# Arming


@pytest.mark.parametrize("is_after", [False, True])
def test_a_scheduler_that_fails_leaves_the_arming_to_the_reconciler(
    core: Core, is_after: bool
) -> None:
    # Given
    fail = core.fails_after if is_after else core.fails
    fail("schedules.arm", UnavailableError("down"))
    # When
    answer = core.create()
    # Then
    post_id = answer.body["id"]
    assert answer.status == 201
    assert answer.body["pendingWorkflowId"] == f"{post_id}-1"
    assert answer.body["workflowId"] is None
    assert core.telemetry.counts["ArmingLeftPending"] == 1
    core.advance(lifecycle.ARMING_GRACE)
    assert core.reconcile() == {"ArmingCompleted": 1, "EventAnnouncedAgain": 1}
    assert core.post(post_id).workflow_id == f"{post_id}-1"
    core.drain()
    core.check()
    assert len(core.watched.sent) == 2


def test_an_arming_whose_commit_is_not_answered_counts_all_the_same(core: Core) -> None:
    # Given
    post = core.created_unarmed()
    core.fails_after("posts.commit", UnavailableError())
    # When
    told = core.arm.attempt(post, actor="me")
    # Then
    assert told == post
    assert core.post(post.id).workflow_id == f"{post.id}-1"
    core.drain()
    core.check()


def test_a_cancel_between_the_two_phases_wins_and_the_schedule_is_removed(core: Core) -> None:
    # Given
    post = core.created_unarmed()

    def cancel() -> None:
        core.cancel(post.id)

    core.before("posts.commit", cancel)
    # When
    told = core.arm(post, actor="me")
    # Then
    assert told.status is PostStatus.CANCELED
    assert core.schedules.armed == {}
    core.drain()
    core.check()
    assert core.watched.sent == []


def test_a_cancel_of_one_target_between_the_two_phases_leaves_the_other_armed(
    core: Core,
) -> None:
    # Given
    post = core.created_unarmed(2)

    def cancel() -> None:
        core.cancel(post.id, target_ids=(post.targets[0].id,))

    core.before("posts.commit", cancel)
    # When
    told = core.arm(post, actor="me")
    # Then
    assert told.workflow_id == f"{post.id}-1"
    core.drain()
    core.check()
    assert core.watched.sent == [post.targets[1].id]


def test_arming_again_what_was_armed_meanwhile_keeps_the_schedule(core: Core) -> None:
    # Given
    post = core.created_unarmed()
    core.arm(post, actor="service")
    # When
    told = core.arm(post, actor="me")
    # Then
    assert told.workflow_id == f"{post.id}-1"
    assert list(core.schedules.armed) == [f"{post.id}-1"]
    assert core.events(post.id).count("post.scheduled") == 1


def test_nothing_is_armed_where_nothing_is_pending(core: Core) -> None:
    post = core.created()
    assert core.arm(post, actor="me") == post


def test_a_post_that_has_vanished_leaves_no_schedule(core: Core) -> None:
    # Given
    post = core.created_unarmed()
    core.posts._posts.pop(post.id)
    # When / Then
    assert core.arm(post, actor="me") == post
    assert core.schedules.armed == {}


def test_a_time_that_has_passed_needs_no_schedule(core: Core) -> None:
    # Given
    post = core.created_unarmed()
    core.advance(AN_HOUR + A_MINUTE)
    # When
    told = core.arm(post, actor="service")
    # Then
    assert told.workflow_id == f"{post.id}-1"
    assert core.schedules.armed == {}
    core.drain()
    core.check()
    assert core.post(post.id).status is PostStatus.PUBLISHED


# Size


def sized(core: Core, excess: int) -> PostDraft:
    """Build a draft whose document is so many bytes larger than is allowed."""

    def draft(length: int) -> PostDraft:
        picture = MediaDraft(url="https://a", kind="IMAGE", alt_text="x" * length)
        return core.a_draft(media=(picture,), scheduled_for=None)

    other = Core()
    document = other.create(draft(0)).body
    return draft(LARGEST_DOCUMENT - len(to_json(document)) + excess)


def test_the_largest_post_is_taken_and_can_be_read(core: Core) -> None:
    answer = core.create(sized(core, 0))
    assert len(to_json(answer.body)) == LARGEST_DOCUMENT
    assert core.post(answer.body["id"]).status is PostStatus.DRAFT


def test_a_post_one_byte_larger_is_refused_and_nothing_is_written(core: Core) -> None:
    # Given
    draft = sized(core, 1)
    # When / Then
    with pytest.raises(ValidationError) as refused:
        core.create(draft)
    assert [detail.path for detail in refused.value.details] == ["body"]
    assert posts(core) == 0


def test_a_post_that_races_is_decided_again_until_it_is_in(core: Core) -> None:
    # Given
    core.fails("posts.commit", *[LostRaceError()] * (MOST_RACES - 1))
    # When / Then
    assert core.create().status == 201
    assert posts(core) == 1


def test_a_post_that_never_gets_in_is_a_conflict(core: Core) -> None:
    # Given
    core.fails("posts.commit", *[LostRaceError()] * MOST_RACES)
    # When / Then
    with pytest.raises(ContendedError):
        core.create()
    assert posts(core) == 0


def test_a_repeated_request_needs_a_key_that_reaches_the_workspace_still(core: Core) -> None:
    # Given
    core.create(key="editor", idempotency=KEY)
    keys = core.directory._keys
    keys["editor"] = replace(keys["editor"], workspace_ids=frozenset({OTHER_WORKSPACE}))
    # When / Then
    with pytest.raises(NotFoundError):
        core.create(key="editor", idempotency=KEY)


def test_a_post_that_was_just_made_is_not_read_to_be_armed(core: Core) -> None:
    # Given
    calls = core.recorded()
    # When
    core.create()
    # Then
    assert "posts.read" not in calls
    assert calls.count("posts.commit") == 2
