"""Scheduling and rescheduling posts as clients do, and what old schedules can still do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from postbreeze.domain.access import Role
from postbreeze.domain.errors import (
    PlatformRuleError,
    PostNotSchedulableError,
    ValidationError,
    WorkspaceOnHoldError,
)
from postbreeze.domain.post import AccountStatus, Post, PostStatus, TargetStatus
from tests.support.builders import a_workspace
from tests.support.core import (
    A_SECOND,
    AN_HOUR,
    USERS,
    WORKSPACE,
    Core,
    numbered,
)
from tests.support.platforms import Accident


@pytest.fixture
def core() -> Core:
    return Core()


def hold(core: Core) -> None:
    core.directory.add_workspace(a_workspace(id=WORKSPACE, held_at=core.clock.at))


def set_account(core: Core, number: int, status: AccountStatus) -> None:
    account = core.directory._accounts[numbered("soc", number)]
    core.directory._accounts[account.id] = replace(account, status=status)


def written(core: Core, post: Post) -> bool:
    return core.post(post.id).version != post.version


def test_a_draft_is_scheduled_and_published_at_its_time(core: Core) -> None:
    # Given
    post = core.created(scheduled_for=None)
    at = core.clock.at + 2 * AN_HOUR
    # When
    answer = core.schedule(post.id, at)
    # Then
    assert answer.body["status"] == "SCHEDULED"
    assert answer.body["workflowId"] == f"{post.id}-1"
    assert list(core.schedules.armed) == [f"{post.id}-1"]
    core.drain()
    core.check()
    end = core.post(post.id)
    assert end.status is PostStatus.PUBLISHED
    assert all(target.published_at and target.published_at >= at for target in end.targets)
    assert core.events(post.id) == ["post.created", "post.scheduled", "post.published"]


def test_what_is_rescheduled_goes_out_once_at_the_last_of_its_times(core: Core) -> None:
    # Given
    post = core.created()
    at = core.clock.at + 4 * AN_HOUR
    # When
    for moment in (at - AN_HOUR, at - 2 * AN_HOUR, at):
        assert core.schedule(post.id, moment, again=True).body["status"] == "SCHEDULED"
    # Then
    assert list(core.schedules.armed) == [f"{post.id}-4"]
    core.drain()
    core.check()
    end = core.post(post.id)
    assert all(target.published_at and target.published_at >= at for target in end.targets)
    assert core.events(post.id).count("post.rescheduled") == 3
    assert core.events(post.id).count("post.scheduled") == 1


def test_undoing_a_cancel_never_publishes_at_once_whatever_old_schedules_do(core: Core) -> None:
    # Given a post whose time has come, but its schedule is late
    post = core.created()
    core.advance(AN_HOUR)
    core.cancel(post.id)
    at = core.clock.at + AN_HOUR
    # When
    core.schedule(post.id, at)
    # Then its old fire and each old message does nothing
    for _ in range(2):
        assert core.start(post.id, f"{post.id}-1") is False
        for target in post.targets:
            assert core.publisher.publish(post.id, target.id, f"{post.id}-1") == "nothing to do"
    core.run_queues()
    assert core.platform.attempts.total() == 0
    core.drain()
    core.check()
    assert core.platform.attempts.total() == 2
    assert core.post(post.id).status is PostStatus.PUBLISHED


def test_a_partial_publishing_that_was_cancelled_and_is_rescheduled_publishes_the_rest_only(
    core: Core,
) -> None:
    # Given
    post = core.created(2)
    core.advance(AN_HOUR)
    core.platform.publish_accidents.extend([None, Accident.REFUSED])
    core.fire_due()
    core.drain_messages()
    before = core.post(post.id)
    assert before.status is PostStatus.PARTIALLY_PUBLISHED
    core.cancel(post.id)
    # When
    core.schedule(post.id, again=True)
    core.drain()
    # Then
    core.check()
    end = core.post(post.id)
    assert end.status is PostStatus.PUBLISHED
    assert end.targets[0] == before.targets[0]
    assert core.platform.attempts == {post.targets[0].id: 1, post.targets[1].id: 2}


def test_a_target_that_was_cancelled_by_itself_stays_so_when_its_post_is_rescheduled(
    core: Core,
) -> None:
    # Given
    post = core.created(2)
    core.cancel(post.id, target_ids=(post.targets[0].id,))
    # When
    core.schedule(post.id, again=True)
    core.drain()
    # Then
    core.check()
    assert [target.status for target in core.post(post.id).targets] == [
        TargetStatus.CANCELED,
        TargetStatus.PUBLISHED,
    ]


def test_a_target_in_flight_that_comes_back_does_not_go_out_with_the_next_schedule(
    core: Core,
) -> None:
    # Given a cancel and a reschedule while the first target's platform is called in vain
    post = core.created(2)
    core.advance(AN_HOUR)
    core.platform.publish_accidents.append(Accident.UNREACHABLE)
    core.fire_due()
    core.before("platform.publish", lambda: (core.cancel(post.id), core.schedule(post.id)))
    # When
    core.drain_messages()
    core.drain()
    # Then
    core.check()
    first, second = core.post(post.id).targets
    assert {first.status, second.status} == {TargetStatus.CANCELED, TargetStatus.PUBLISHED}


@pytest.mark.parametrize("accident", [None, *Accident])
def test_a_cancel_of_all_that_would_go_out_ends_the_post_whatever_is_in_flight_still(
    core: Core, accident: Accident | None
) -> None:
    # Given a post on the clock again while its first target's platform is still being called
    post = core.created(2)
    core.advance(AN_HOUR)
    core.platform.publish_accidents.append(accident)
    core.fire_due()

    def meanwhile() -> None:
        in_flight = core.post(post.id).targets[0].status is TargetStatus.PUBLISHING
        other = post.targets[1 if in_flight else 0].id
        core.cancel(post.id)
        core.schedule(post.id)
        # When
        assert core.cancel(post.id, target_ids=(other,)).body["status"] == "CANCELED"

    core.before("platform.publish", meanwhile)
    core.drain_messages()
    core.drain()
    # Then
    core.check()
    assert core.platform.attempts.total() == 1
    assert core.post(post.id).status is PostStatus.CANCELED


@pytest.mark.parametrize("status", PostStatus)
@pytest.mark.parametrize("again", [True, False])
def test_a_state_that_does_not_allow_it_is_told(
    core: Core, status: PostStatus, again: bool
) -> None:
    # Given
    post = core.created(1)
    targets = {
        PostStatus.PUBLISHING: "PUBLISHING",
        PostStatus.PARTIALLY_PUBLISHED: "FAILED",
        PostStatus.PUBLISHED: "PUBLISHED",
        PostStatus.NEEDS_APPROVAL: "DRAFT",
    }
    allowed = set(PostStatus) - set(targets) - (set() if again else {PostStatus.SCHEDULED})
    post = core.has(post, targets.get(status, "SCHEDULED"), status=status)
    # When / Then
    if status in allowed:
        assert core.schedule(post.id, again=again).status == 200
        return
    with pytest.raises(PostNotSchedulableError) as refused:
        core.schedule(post.id, again=again)
    assert refused.value.status == status
    assert not written(core, post)


@pytest.mark.parametrize("again", [True, False])
@pytest.mark.parametrize("late", [0 * A_SECOND, AN_HOUR])
def test_a_moment_that_is_past_is_refused(core: Core, late: Any, again: bool) -> None:
    post = core.created(scheduled_for=None)
    with pytest.raises(ValidationError):
        core.schedule(post.id, core.clock.at - late, again=again)
    assert not written(core, post)


# What is checked


@pytest.mark.parametrize("status", [each for each in AccountStatus if each != "ACTIVE"])
def test_every_account_must_be_active(core: Core, status: AccountStatus) -> None:
    # Given
    post = core.created(2, scheduled_for=None)
    set_account(core, 21, status)
    # When / Then
    with pytest.raises(ValidationError) as refused:
        core.schedule(post.id)
    assert [detail.path for detail in refused.value.details] == ["targets.1.socialAccountId"]
    assert not written(core, post)


def test_accounts_of_targets_that_do_not_go_out_do_not_matter(core: Core) -> None:
    # Given
    post = core.created(2)
    core.cancel(post.id, target_ids=(post.targets[1].id,))
    set_account(core, 21, AccountStatus.DISCONNECTED)
    rules_changed(core, post, 1)
    # When / Then
    assert core.schedule(post.id, again=True).status == 200


def rules_changed(core: Core, post: Post, index: int) -> None:
    """Give a target a text that its platform does not take any more."""
    target = core.posts._targets[post.targets[index].id]
    core.posts._targets[target.id] = replace(target, caption_override="a" * 301)


def test_platforms_must_take_it(core: Core) -> None:
    # Given
    post = core.created(2, scheduled_for=None)
    rules_changed(core, post, 1)
    # When / Then
    with pytest.raises(PlatformRuleError) as refused:
        core.schedule(post.id)
    assert [detail.path for detail in refused.value.details] == ["targets.1.captionOverride"]
    assert not written(core, post)


def test_nothing_is_scheduled_into_a_held_workspace(core: Core) -> None:
    # Given
    post = core.created()
    hold(core)
    # When / Then
    with pytest.raises(WorkspaceOnHoldError):
        core.schedule(post.id, again=True)
    with pytest.raises(WorkspaceOnHoldError):
        core.edit(post.id)
    assert not written(core, post)
    # And what takes it off the clock is not held back
    assert core.edit(post.id, core.a_draft(requires_approval=True)).status == 200
    assert core.cancel(post.id).status == 200


def test_what_has_to_wait_for_approval_can_wait_in_a_held_workspace(core: Core) -> None:
    # Given
    post = core.created(requires_approval=True)
    core.cancel(post.id)
    hold(core)
    # When / Then
    assert core.schedule(post.id, key="editor").body["status"] == "NEEDS_APPROVAL"
    with pytest.raises(WorkspaceOnHoldError):
        core.approve(post.id)


# Approvals


def test_an_editor_who_schedules_what_was_never_approved_has_it_wait(core: Core) -> None:
    # Given a client reviewer's post, cancelled
    answer = core.create(core.a_draft(2), key="client_reviewer")
    post_id = answer.body["id"]
    assert answer.body["status"] == "NEEDS_APPROVAL"
    core.cancel(post_id)
    # When
    assert core.schedule(post_id, key="editor").body["status"] == "NEEDS_APPROVAL"
    core.drain()
    # Then
    core.check()
    assert core.platform.attempts.total() == 0
    # And a manager's scheduling is an approval
    core.cancel(post_id)
    body = core.schedule(post_id, key="admin").body
    assert (body["status"], body["approvedByUserId"]) == ("SCHEDULED", USERS[Role.ADMIN])
    core.drain()
    core.check()
    assert core.post(post_id).status is PostStatus.PUBLISHED


def test_who_becomes_a_manager_before_the_commit_has_approved(core: Core) -> None:
    # Given
    post = core.created(requires_approval=True)
    core.cancel(post.id)
    core.before("posts.commit", lambda: core.add_member(USERS[Role.EDITOR], Role.ADMIN))
    # When / Then
    assert core.schedule(post.id, key="editor").body["status"] == "SCHEDULED"


def test_who_ceases_to_be_a_manager_before_the_commit_has_not(core: Core) -> None:
    # Given
    post = core.created(requires_approval=True)
    core.cancel(post.id)
    core.before("posts.commit", lambda: core.add_member(USERS[Role.ADMIN], Role.EDITOR))
    # When / Then
    assert core.schedule(post.id, key="admin").body["status"] == "NEEDS_APPROVAL"
