"""Holds and limits of a workspace, as creating a post meets them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from postbreeze.domain.access import Workspace
from postbreeze.domain.errors import (
    LostRaceError,
    PlanLimitError,
    UnavailableError,
    WorkspaceOnHoldError,
)
from postbreeze.domain.post import PostStatus
from postbreeze.operations import gate
from postbreeze.operations.answers import Idempotency
from tests.support.builders import a_workspace
from tests.support.core import WORKSPACE, Core
from tests.support.fakes import START


@pytest.fixture
def core() -> Core:
    return Core()


def planned(core: Core, **changes: Any) -> Workspace:
    """Give the workspace a row."""
    workspace = a_workspace(id=WORKSPACE, **changes)
    core.directory.add_workspace(workspace)
    return workspace


def used(core: Core, month: str = "2026-06") -> int:
    return core.posts.usage[WORKSPACE, month]


def test_a_held_workspace_takes_drafts_and_what_waits_but_nothing_that_is_scheduled(
    core: Core,
) -> None:
    # Given
    planned(core, held_at=START)
    # When / Then
    with pytest.raises(WorkspaceOnHoldError):
        core.create()
    assert core.posts._posts == {}
    assert core.created(scheduled_for=None).status is PostStatus.DRAFT
    assert core.created(requires_approval=True).status is PostStatus.NEEDS_APPROVAL


def test_what_is_scheduled_already_is_armed_and_goes_out_in_a_hold(core: Core) -> None:
    # Given a post whose arming did not end before the hold began
    workspace = planned(core)
    post = core.created_unarmed(1)
    core.directory.replace_workspace(
        replace(workspace, held_at=START, revision=2), expected_revision=1
    )
    # When
    core.drain()
    # Then
    core.check()
    assert core.post(post.id).status is PostStatus.PUBLISHED


def test_a_workspace_without_a_row_or_a_hold_is_not_held() -> None:
    gate.not_held(None)
    gate.not_held(a_workspace())


def test_without_a_limit_nothing_is_counted(core: Core) -> None:
    planned(core)
    core.created()
    assert core.posts.usage == {}


def test_posts_of_every_kind_are_counted_until_the_limit(core: Core) -> None:
    # Given
    planned(core, post_limit=3)
    core.created()
    core.created(scheduled_for=None)
    core.created(requires_approval=True)
    # When
    with pytest.raises(PlanLimitError) as refusal:
        core.create()
    # Then
    assert (refusal.value.limit, refusal.value.current) == (3, 3)
    assert len(core.posts._posts) == 3


def test_a_month_is_one_of_utc(core: Core) -> None:
    # Given the last moment of a month
    planned(core, post_limit=1)
    core.clock.at = datetime(2026, 6, 30, 23, 59, 59, 999000, UTC)
    core.created()
    with pytest.raises(PlanLimitError):
        core.create()
    # When it has passed
    core.clock.advance(milliseconds=1)
    core.created()
    # Then
    assert (used(core), used(core, "2026-07")) == (1, 1)


def test_a_post_that_races_is_counted_once(core: Core) -> None:
    planned(core, post_limit=2)
    core.fails("posts.commit", LostRaceError())
    core.created()
    assert used(core) == 1


def test_a_repeated_request_is_answered_at_the_limit_and_not_counted_again(core: Core) -> None:
    # Given a post that was made, whose answer was lost
    planned(core, post_limit=1)
    once = Idempotency(key="once", request_digest="d")
    core.fails_after("posts.commit", UnavailableError("lost"))
    with pytest.raises(UnavailableError):
        core.create(core.a_draft(scheduled_for=None), idempotency=once)
    assert used(core) == 1
    # When
    again = core.create(core.a_draft(scheduled_for=None), idempotency=once)
    # Then
    assert again.status == 201
    assert used(core) == 1
