"""Workspaces and members, as the operator makes them."""

from __future__ import annotations

import pytest

from postbreeze.domain import ids
from postbreeze.domain.access import Role
from postbreeze.domain.errors import NotFoundError, ValidationError
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
