"""Workspaces and members, as the operator makes them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postbreeze.domain import ids
from postbreeze.domain.access import Role, Workspace
from postbreeze.domain.errors import (
    ContendedError,
    LostRaceError,
    NotFoundError,
    ValidationError,
)
from tests.support.builders import an_id
from tests.support.operators import FakeOperator

NOWHERE = an_id(ids.WORKSPACE)


def test_a_workspace_is_made_and_found_again() -> None:
    # Given
    workspaces = FakeOperator().workspaces
    # When
    made = workspaces.create("  Möwe & Co ")
    # Then
    assert made.name == "Möwe & Co"
    assert workspaces.show(made.id) == made
    assert workspaces.create("Möwe & Co").id != made.id


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 101, "bell\x07"])
def test_a_name_that_cannot_be_read_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        FakeOperator().workspaces.create(name)


def test_a_user_without_an_id_gets_one() -> None:
    # Given
    operator = FakeOperator()
    workspace = operator.workspaces.create("a")
    # When
    member = operator.workspaces.add_member(workspace.id, Role.EDITOR)
    # Then
    assert ids.is_id(ids.USER, member.user_id)
    assert operator.world.workspaces.member(workspace.id, member.user_id) == member


def test_the_same_role_again_changes_nothing_and_another_one_takes_its_place() -> None:
    # Given
    operator = FakeOperator()
    workspace = operator.workspaces.create("a")
    first = operator.workspaces.add_member(workspace.id, Role.EDITOR)
    operator.world.clock.advance(days=1)
    # When
    again = operator.workspaces.add_member(workspace.id, Role.EDITOR, first.user_id)
    other = operator.workspaces.add_member(workspace.id, Role.ADMIN, first.user_id)
    # Then
    assert again == first
    assert operator.world.workspaces.calls["put_member"] == 2
    assert (other.role, other.revision, other.created_at) == (Role.ADMIN, 2, first.created_at)
    assert operator.world.workspaces.member(workspace.id, first.user_id) == other


def test_a_known_user_joins_a_second_workspace() -> None:
    # Given
    operator = FakeOperator()
    one, two = operator.workspaces.create("one"), operator.workspaces.create("two")
    user = operator.workspaces.add_member(one.id, Role.OWNER).user_id
    # When
    member = operator.workspaces.add_member(two.id, Role.CLIENT_REVIEWER, user)
    # Then
    assert (member.user_id, member.role) == (user, Role.CLIENT_REVIEWER)


def test_removing_says_whether_there_was_anybody() -> None:
    # Given
    operator = FakeOperator()
    workspace = operator.workspaces.create("a")
    user = operator.workspaces.add_member(workspace.id, Role.EDITOR).user_id
    # When
    removed = [operator.workspaces.remove_member(workspace.id, user) for _ in range(2)]
    # Then
    assert removed == [True, False]
    assert operator.world.workspaces.member(workspace.id, user) is None


def test_nothing_is_done_in_a_workspace_that_is_not_there() -> None:
    workspaces = FakeOperator().workspaces
    for attempt in (
        lambda: workspaces.show(NOWHERE),
        lambda: workspaces.add_member(NOWHERE, Role.OWNER),
        lambda: workspaces.remove_member(NOWHERE, an_id(ids.USER)),
    ):
        with pytest.raises(NotFoundError, match=NOWHERE):
            attempt()


def test_ids_of_the_wrong_form_are_refused() -> None:
    # Given
    workspaces = FakeOperator().workspaces
    # Then
    with pytest.raises(ValidationError, match="workspace: 'ws_1' is not an id"):
        workspaces.show("ws_1")
    with pytest.raises(ValidationError, match="user"):
        workspaces.add_member(NOWHERE, Role.OWNER, "me")
    with pytest.raises(ValidationError, match="user"):
        workspaces.remove_member(NOWHERE, "me")


def test_a_workspace_is_held_and_released() -> None:
    # Given
    operator = FakeOperator()
    made = operator.workspaces.create("a")
    # When
    held = operator.workspaces.hold(made.id, " unpaid ")
    # Then
    now = operator.world.clock.now()
    assert held == replace(made, held_at=now, hold_reason="unpaid", updated_at=now, revision=2)
    # And holding it again changes the reason and not the moment
    operator.world.clock.advance(seconds=1)
    assert operator.workspaces.hold(made.id, "unpaid") == held
    again = operator.workspaces.hold(made.id)
    later = operator.world.clock.now()
    assert again == replace(held, hold_reason=None, updated_at=later, revision=3)
    # When
    released = operator.workspaces.release(made.id)
    # Then
    assert released == replace(made, updated_at=later, revision=4)
    assert operator.workspaces.release(made.id) == released
    assert operator.workspaces.show(made.id) == released


@pytest.mark.parametrize("reason", ["", "a\nb", "x" * 501])
def test_a_reason_that_cannot_be_read_is_refused(reason: str) -> None:
    operator = FakeOperator()
    made = operator.workspaces.create("a")
    with pytest.raises(ValidationError, match="reason"):
        operator.workspaces.hold(made.id, reason)


def test_a_limit_is_set_and_taken_away() -> None:
    operator = FakeOperator()
    made = operator.workspaces.create("a")
    changed = replace(made, updated_at=operator.world.clock.now())
    assert operator.workspaces.limit(made.id, 0) == replace(changed, post_limit=0, revision=2)
    assert operator.workspaces.limit(made.id, 7).post_limit == 7
    assert operator.workspaces.limit(made.id, 1_000_000_000).post_limit == 1_000_000_000
    assert operator.workspaces.limit(made.id, None) == replace(changed, revision=5)


@pytest.mark.parametrize("posts", [-1, 1_000_000_001])
def test_a_limit_that_nobody_can_count_to_is_refused(posts: int) -> None:
    operator = FakeOperator()
    made = operator.workspaces.create("a")
    with pytest.raises(ValidationError, match="posts"):
        operator.workspaces.limit(made.id, posts)


def test_a_workspace_that_is_not_there_cannot_be_held() -> None:
    workspaces = FakeOperator().workspaces
    for act in (workspaces.hold, workspaces.release, lambda each: workspaces.limit(each, 1)):
        with pytest.raises(NotFoundError):
            act(NOWHERE)


@pytest.mark.parametrize("losses", [1, 100])
def test_a_workspace_that_changes_meanwhile_is_looked_at_again_but_not_for_ever(
    losses: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    operator = FakeOperator()
    made = operator.workspaces.create("a")
    registry = operator.world.workspaces
    write = registry.replace_workspace
    left = iter(range(losses))

    def contended(workspace: Workspace, *, expected_revision: int) -> None:
        if next(left, None) is not None:
            raise LostRaceError
        write(workspace, expected_revision=expected_revision)

    monkeypatch.setattr(registry, "replace_workspace", contended)
    # When / Then
    if losses == 100:
        with pytest.raises(ContendedError):
            operator.workspaces.hold(made.id)
    else:
        assert operator.workspaces.hold(made.id).revision == 2


def test_a_reason_has_at_most_500_characters() -> None:
    # Given
    operator = FakeOperator()
    made = operator.workspaces.create("a")
    longest = "a" * 500
    # Then
    assert operator.workspaces.hold(made.id, longest).hold_reason == longest
    with pytest.raises(ValidationError):
        operator.workspaces.hold(made.id, longest + "a")


def test_the_reason_of_a_hold_goes_with_it() -> None:
    # Given
    operator = FakeOperator()
    made = operator.workspaces.create("a")
    operator.workspaces.hold(made.id, "unpaid")
    # When
    released = operator.workspaces.release(made.id)
    # Then
    assert (released.held_at, released.hold_reason) == (None, None)
