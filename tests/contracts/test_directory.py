"""What every directory promises to those who ask who may do what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from postbreeze.adapters.dynamodb.directory import DynamoDirectory
from postbreeze.adapters.dynamodb.registry import DynamoRegistry
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.domain import ids
from postbreeze.domain.access import Grant, Role
from postbreeze.operations.ports import Directory, Place, Registry
from tests.support.aws import Aws
from tests.support.builders import (
    USER_ID,
    WORKSPACE_ID,
    a_key,
    a_member,
    a_workspace,
    an_account,
    an_id,
)
from tests.support.fakes import START, FakeClock, FakeWorkspaces


@dataclass
class Workspaces:
    directory: Directory
    registry: Registry


@pytest.fixture
def workspaces(aws: Aws | None) -> Workspaces:
    if aws is None:
        fake = FakeWorkspaces()
        return Workspaces(fake, fake)
    table = aws.tables()["workspaces"]
    database = Database(aws.clients.dynamodb())
    return Workspaces(
        DynamoDirectory(database, workspaces_table=table, clock=FakeClock()),
        DynamoRegistry(database, workspaces_table=table),
    )


@pytest.mark.parametrize(
    "key",
    [
        a_key(),
        a_key(
            workspace_ids=frozenset({an_id(ids.WORKSPACE), an_id(ids.WORKSPACE)}),
            grants=frozenset(Grant),
            expires_at=START + timedelta(milliseconds=3),
            revoked_at=START,
            requests_per_minute=2,
            requests_per_quarter_hour=3,
            revision=7,
        ),
        # Reaching no workspace is not the same as reaching every one.
        a_key(workspace_ids=frozenset()),
    ],
)
def test_a_key_is_found_by_its_digest(workspaces: Workspaces, key: object) -> None:
    # Given
    workspaces.registry.add_key(key)  # type: ignore[arg-type]  # from the list above
    # Then
    digest: str = key.digest  # type: ignore[attr-defined]  # the same
    assert workspaces.directory.admit(digest) == workspaces.registry.key(digest) == key


def test_an_unknown_key_is_none(workspaces: Workspaces) -> None:
    assert workspaces.directory.admit("f" * 64) is None
    # Nor is it one afterwards: nothing was made by counting.
    assert workspaces.registry.key("f" * 64) is None


@pytest.mark.parametrize("role", Role)
def test_a_member_is_found_in_its_workspace_only(workspaces: Workspaces, role: Role) -> None:
    # Given
    member = a_member(role)
    workspaces.registry.put_member(member)
    # Then
    assert workspaces.directory.member(WORKSPACE_ID, USER_ID) == member
    assert workspaces.directory.member(an_id(ids.WORKSPACE), USER_ID) is None
    assert workspaces.directory.member(WORKSPACE_ID, an_id(ids.USER)) is None


def test_an_account_is_found_in_its_workspace_only(workspaces: Workspaces) -> None:
    # Given
    account = an_account()
    workspaces.registry.add_account(account)
    # Then
    assert workspaces.directory.account(WORKSPACE_ID, account.id) == account
    assert workspaces.directory.account(an_id(ids.WORKSPACE), account.id) is None
    assert workspaces.directory.workspace_of_account(account.id) == WORKSPACE_ID
    assert workspaces.directory.workspace_of_account(an_id(ids.ACCOUNT)) is None


def test_an_account_without_credentials_is_read_so(workspaces: Workspaces) -> None:
    # Given
    account = an_account(sealed_credentials=None)
    workspaces.registry.add_account(account)
    # Then
    assert workspaces.directory.account(WORKSPACE_ID, account.id) == account


def test_a_member_and_accounts_are_read_together(workspaces: Workspaces) -> None:
    # Given two accounts here, one elsewhere
    member = a_member()
    workspace = a_workspace(id=WORKSPACE_ID, held_at=START, hold_reason="unpaid", post_limit=7)
    one, two, elsewhere = an_account(), an_account(), an_account(workspace_id=an_id(ids.WORKSPACE))
    workspaces.registry.put_member(member)
    workspaces.registry.add_workspace(workspace)
    for account in (one, two, elsewhere):
        workspaces.registry.add_account(account)
    # When one is asked for twice, and one that does not exist
    asked = [one.id, two.id, one.id, elsewhere.id, an_id(ids.ACCOUNT)]
    found = workspaces.directory.member_and_accounts(WORKSPACE_ID, USER_ID, asked)
    # Then
    assert found == Place(member=member, workspace=workspace, accounts={one.id: one, two.id: two})


def test_neither_member_nor_accounts_need_be_there(workspaces: Workspaces) -> None:
    directory = workspaces.directory
    asked = [an_id(ids.ACCOUNT)]
    nothing = Place(member=None, workspace=None, accounts={})
    assert directory.member_and_accounts(WORKSPACE_ID, USER_ID, asked) == nothing
    assert directory.member_and_accounts(WORKSPACE_ID, USER_ID, []) == nothing


def test_fifty_accounts_are_read_together(workspaces: Workspaces) -> None:
    # Given
    accounts = [an_account() for _ in range(50)]
    for account in accounts:
        workspaces.registry.add_account(account)
    # When
    found = workspaces.directory.member_and_accounts(
        WORKSPACE_ID, USER_ID, [account.id for account in accounts]
    )
    # Then
    assert found.accounts == {account.id: account for account in accounts}


def test_more_than_ninety_eight_accounts_are_too_many(workspaces: Workspaces) -> None:
    with pytest.raises(ValueError, match="at most 100"):
        workspaces.directory.member_and_accounts(
            WORKSPACE_ID, USER_ID, [an_id(ids.ACCOUNT) for _ in range(99)]
        )


def test_a_role_that_changed_and_a_membership_that_ended_count_at_once(
    workspaces: Workspaces,
) -> None:
    # Given
    workspaces.registry.put_member(a_member(Role.OWNER))
    # When
    changed = replace(a_member(Role.EDITOR), revision=2)
    workspaces.registry.put_member(changed)
    # Then
    assert workspaces.directory.member(WORKSPACE_ID, USER_ID) == changed
    # When
    workspaces.registry.remove_member(WORKSPACE_ID, USER_ID)
    workspaces.registry.remove_member(WORKSPACE_ID, USER_ID)
    # Then
    assert workspaces.directory.member(WORKSPACE_ID, USER_ID) is None


def test_a_users_memberships_are_listed_by_workspace(workspaces: Workspaces) -> None:
    # Given more than can be read at once, one of somebody else, and a key of the user's
    user_id = an_id(ids.USER)
    members = [
        a_member(user_id=user_id, workspace_id=an_id(ids.WORKSPACE), role=role)
        for role in (*Role, *[Role.EDITOR] * 98)
    ]
    for member in (*reversed(members), a_member(user_id=an_id(ids.USER))):
        workspaces.registry.put_member(member)
    workspaces.registry.add_key(a_key(owner_user_id=user_id))
    # Then
    assert workspaces.directory.memberships(user_id) == members
    assert workspaces.directory.memberships(an_id(ids.USER)) == []


def test_a_membership_that_has_ended_is_not_listed(workspaces: Workspaces) -> None:
    # Given
    user_id = an_id(ids.USER)
    first, second = (a_member(user_id=user_id, workspace_id=an_id(ids.WORKSPACE)) for _ in range(2))
    for member in (first, second):
        workspaces.registry.put_member(member)
    # When one ends, and the role of the other changes
    workspaces.registry.remove_member(first.workspace_id, user_id)
    changed = replace(second, role=Role.EDITOR, revision=2)
    workspaces.registry.put_member(changed)
    # Then
    assert workspaces.directory.memberships(user_id) == [changed]


def test_a_workspaces_owner_is_who_has_been_one_longest(workspaces: Workspaces) -> None:
    # Given
    place = an_id(ids.WORKSPACE)
    first, second, third = (an_id(ids.USER) for _ in range(3))
    later = START + timedelta(days=1)
    for member in (
        a_member(Role.EDITOR, workspace_id=place, user_id=first),
        a_member(workspace_id=place, user_id=second, created_at=later),
        a_member(workspace_id=place, user_id=third, created_at=later),
        a_member(user_id=first),
    ):
        workspaces.registry.put_member(member)
    # Then
    assert workspaces.directory.owner(place) == second
    # And when another takes over
    workspaces.registry.remove_member(place, second)
    assert workspaces.directory.owner(place) == third
    # And when nobody does
    workspaces.registry.remove_member(place, third)
    assert workspaces.directory.owner(place) is None
    assert workspaces.directory.owner(an_id(ids.WORKSPACE)) is None


def test_workspaces_are_read_by_their_ids(workspaces: Workspaces) -> None:
    # Given
    here = [a_workspace(name=f"Workspace {number}", updated_at=START) for number in range(3)]
    for workspace in here:
        workspaces.registry.add_workspace(workspace)
    # When one is asked for twice, one not at all, and one that does not exist
    asked = [here[0].id, here[1].id, here[0].id, an_id(ids.WORKSPACE)]
    found = workspaces.directory.workspaces(asked)
    # Then
    assert found == {workspace.id: workspace for workspace in here[:2]}
    assert workspaces.directory.workspaces([]) == {}


def test_a_workspaces_accounts_are_listed_by_id(workspaces: Workspaces) -> None:
    # Given
    accounts = [an_account() for _ in range(3)]
    for account in (*reversed(accounts), an_account(workspace_id=an_id(ids.WORKSPACE))):
        workspaces.registry.add_account(account)
    # Then
    assert workspaces.directory.accounts(WORKSPACE_ID) == accounts
    assert workspaces.directory.accounts(an_id(ids.WORKSPACE)) == []
