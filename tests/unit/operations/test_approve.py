"""Approving posts that wait."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postbreeze.domain.access import Role
from postbreeze.domain.errors import (
    PlatformRuleError,
    PostNotSchedulableError,
    ValidationError,
    WorkspaceOnHoldError,
)
from postbreeze.domain.post import AccountStatus, PostStatus
from tests.support.builders import a_workspace
from tests.support.core import AN_HOUR, USERS, WORKSPACE, Core, numbered


@pytest.fixture
def core() -> Core:
    return Core()


@pytest.mark.parametrize("author", ["client_reviewer", "owner"])
def test_a_waiting_post_goes_out_at_its_time_once_it_is_approved(core: Core, author: str) -> None:
    # Given
    draft = core.a_draft(2, requires_approval=author == "owner")
    post_id = core.create(draft, key=author).body["id"]
    assert core.schedules.armed == {}
    # When
    body = core.approve(post_id, key="admin").body
    # Then
    assert (body["status"], body["workflowId"]) == ("SCHEDULED", f"{post_id}-1")
    assert body["approvedByUserId"] == USERS[Role.ADMIN]
    assert body["approvedAt"] is not None
    core.drain()
    core.check()
    end = core.post(post_id)
    assert end.status is PostStatus.PUBLISHED
    assert all(
        target.published_at and target.published_at >= draft.scheduled_for
        for target in end.targets
        if draft.scheduled_for
    )
    assert core.events(post_id) == ["post.created", "post.scheduled", "post.published"]


def test_an_approval_that_comes_too_late_makes_a_draft_and_publishes_nothing(core: Core) -> None:
    # Given
    post = core.created(requires_approval=True)
    core.advance(AN_HOUR)
    # When
    body = core.approve(post.id).body
    # Then
    assert (body["status"], body["workflowId"], body["pendingWorkflowId"]) == ("DRAFT", None, None)
    core.drain()
    core.check()
    assert core.platform.attempts.total() == 0
    # And it can be scheduled by an editor then
    assert core.schedule(post.id, key="editor").body["status"] == "SCHEDULED"


def test_a_post_without_a_time_becomes_a_draft(core: Core) -> None:
    post = core.created(requires_approval=True, scheduled_for=None)
    assert core.approve(post.id).body["status"] == "DRAFT"


def test_what_does_not_wait_is_not_approved(core: Core) -> None:
    post = core.created()
    with pytest.raises(PostNotSchedulableError) as refused:
        core.approve(post.id)
    assert refused.value.status == "SCHEDULED"


def test_what_was_cancelled_while_it_waited_is_not_approved(core: Core) -> None:
    post = core.created(requires_approval=True)
    core.before("posts.commit", lambda: core.cancel(post.id))
    with pytest.raises(PostNotSchedulableError):
        core.approve(post.id)
    core.drain()
    core.check()
    assert core.platform.attempts.total() == 0


def test_an_edit_voids_the_approval(core: Core) -> None:
    # Given
    post = core.created(requires_approval=True)
    core.approve(post.id)
    # When
    body = core.edit(post.id, core.a_draft(caption="Something else"), key="editor").body
    # Then
    assert (body["status"], body["approvedByUserId"]) == ("NEEDS_APPROVAL", None)
    assert core.schedules.armed == {}
    core.drain()
    core.check()
    assert core.platform.attempts.total() == 0


def test_it_is_checked_as_any_post_that_is_scheduled(core: Core) -> None:
    # Given
    post = core.created(1, requires_approval=True)
    account = core.directory._accounts[numbered("soc", 20)]
    target = core.posts._targets[post.targets[0].id]
    # When / Then
    core.posts._targets[target.id] = replace(target, caption_override="a" * 301)
    with pytest.raises(PlatformRuleError):
        core.approve(post.id)
    core.directory._accounts[account.id] = replace(account, status=AccountStatus.REVOKED)
    with pytest.raises(ValidationError):
        core.approve(post.id)
    core.directory.add_workspace(a_workspace(id=WORKSPACE, held_at=core.clock.at))
    with pytest.raises(WorkspaceOnHoldError):
        core.approve(post.id)
    assert core.post(post.id).status is PostStatus.NEEDS_APPROVAL
    # And as a draft it is not
    core.advance(AN_HOUR)
    assert core.approve(post.id).body["status"] == "DRAFT"
