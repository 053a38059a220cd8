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
from postbreeze.operations.ports import Directory, Registry
from tests.support.aws import Aws
from tests.support.builders import (
    USER_ID,
    WORKSPACE_ID,
    a_key,
    a_member,
    an_account,
    an_id,
)
from tests.support.fakes import START, FakeWorkspaces


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
        DynamoDirectory(database, workspaces_table=table),
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
            rate_limit_exempt=True,
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
    assert workspaces.directory.key(key.digest) == key  # type: ignore[attr-defined]  # the same


def test_an_unknown_key_is_none(workspaces: Workspaces) -> None:
    assert workspaces.directory.key("f" * 64) is None


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
    one, two, elsewhere = an_account(), an_account(), an_account(workspace_id=an_id(ids.WORKSPACE))
    workspaces.registry.put_member(member)
    for account in (one, two, elsewhere):
        workspaces.registry.add_account(account)
    # When one is asked for twice, and one that does not exist
    asked = [one.id, two.id, one.id, elsewhere.id, an_id(ids.ACCOUNT)]
    found = workspaces.directory.member_and_accounts(WORKSPACE_ID, USER_ID, asked)
    # Then
    assert found == (member, {one.id: one, two.id: two})


def test_neither_member_nor_accounts_need_be_there(workspaces: Workspaces) -> None:
    directory = workspaces.directory
    asked = [an_id(ids.ACCOUNT)]
    assert directory.member_and_accounts(WORKSPACE_ID, USER_ID, asked) == (None, {})
    assert directory.member_and_accounts(WORKSPACE_ID, USER_ID, []) == (None, {})


def test_fifty_accounts_are_read_together(workspaces: Workspaces) -> None:
    # Given
    accounts = [an_account() for _ in range(50)]
    for account in accounts:
        workspaces.registry.add_account(account)
    # When
    _, found = workspaces.directory.member_and_accounts(
        WORKSPACE_ID, USER_ID, [account.id for account in accounts]
    )
    # Then
    assert found == {account.id: account for account in accounts}


def test_more_than_ninety_nine_accounts_are_too_many(workspaces: Workspaces) -> None:
    with pytest.raises(ValueError, match="at most 100"):
        workspaces.directory.member_and_accounts(
            WORKSPACE_ID, USER_ID, [an_id(ids.ACCOUNT) for _ in range(100)]
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
