"""What every registry promises to the operator."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postbreeze.adapters.dynamodb.registry import DynamoRegistry
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.domain import ids
from postbreeze.domain.errors import LostRaceError
from postbreeze.domain.post import AccountStatus, Platform
from postbreeze.operations.ports import Registry
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
from tests.support.fakes import START, FakeWorkspaces


@pytest.fixture
def registry(aws: Aws | None) -> Registry:
    if aws is None:
        return FakeWorkspaces()
    return DynamoRegistry(
        Database(aws.clients.dynamodb()), workspaces_table=aws.tables()["workspaces"]
    )


def test_a_workspace_is_added_once(registry: Registry) -> None:
    # Given
    workspace = a_workspace()
    registry.add_workspace(workspace)
    # When / Then
    with pytest.raises(LostRaceError):
        registry.add_workspace(replace(workspace, name="other"))
    assert registry.workspace(workspace.id) == workspace
    assert registry.workspace(an_id(ids.WORKSPACE)) is None


def test_a_workspace_is_replaced_as_long_as_it_stands(registry: Registry) -> None:
    # Given
    workspace = a_workspace()
    registry.add_workspace(workspace)
    held = replace(workspace, held_at=START, hold_reason="unpaid", post_limit=0, revision=2)
    # When
    registry.replace_workspace(held, expected_revision=1)
    # Then
    assert registry.workspace(workspace.id) == held
    for expected, other in ((1, workspace), (1, a_workspace())):
        with pytest.raises(LostRaceError):
            registry.replace_workspace(replace(other, revision=2), expected_revision=expected)
    # And when it is released
    registry.replace_workspace(replace(workspace, revision=3), expected_revision=2)
    # Then
    assert registry.workspace(workspace.id) == replace(workspace, revision=3)


def test_a_key_is_added_once(registry: Registry) -> None:
    # Given
    key = a_key()
    registry.add_key(key)
    # When / Then
    with pytest.raises(LostRaceError):
        registry.add_key(replace(key, name="other"))
    assert registry.keys_of(USER_ID) == [key]


def test_a_users_keys_are_listed_oldest_first(registry: Registry) -> None:
    # Given
    keys = [a_key() for _ in range(3)]
    others = a_key(owner_user_id=an_id(ids.USER))
    for key in (keys[2], keys[0], others, keys[1]):
        registry.add_key(key)
    # Then
    assert registry.keys_of(USER_ID) == keys
    assert registry.keys_of(an_id(ids.USER)) == []


def test_a_key_is_replaced_as_long_as_it_stands(registry: Registry) -> None:
    # Given
    key = a_key()
    registry.add_key(key)
    revoked = replace(key, revoked_at=START, revision=2)
    # When
    registry.replace_key(revoked, expected_revision=1)
    # Then
    assert registry.keys_of(USER_ID) == [revoked]
    with pytest.raises(LostRaceError):
        registry.replace_key(replace(key, name="other", revision=2), expected_revision=1)
    with pytest.raises(LostRaceError):
        registry.replace_key(a_key(), expected_revision=1)
    assert registry.keys_of(USER_ID) == [revoked]


def test_an_account_is_connected_in_one_workspace(registry: Registry) -> None:
    # Given
    account = an_account()
    registry.add_account(account)
    # When / Then
    for again in (replace(account, display_name="x"), replace(account, workspace_id="ws_other")):
        with pytest.raises(LostRaceError):
            registry.add_account(again)
    assert registry.accounts(WORKSPACE_ID) == [account]
    assert registry.accounts("ws_other") == []


def test_a_workspace_has_one_account_of_a_platform_and_external_id(registry: Registry) -> None:
    # Given
    account = an_account()
    registry.add_account(account)
    # When it is added under another id
    with pytest.raises(LostRaceError):
        registry.add_account(replace(account, id=an_id(ids.ACCOUNT)))
    # Then only the same in another workspace, or another one, is
    there = replace(account, id=an_id(ids.ACCOUNT), workspace_id=an_id(ids.WORKSPACE))
    other = replace(account, id=an_id(ids.ACCOUNT), platform=Platform.X)
    long = replace(account, id=an_id(ids.ACCOUNT), external_account_id="ä" * 512)
    for each in (there, other, long):
        registry.add_account(each)
    assert registry.accounts(WORKSPACE_ID) == [account, other, long]
    assert registry.accounts(there.workspace_id) == [there]


def test_accounts_are_listed_without_members(registry: Registry) -> None:
    # Given
    accounts = [an_account() for _ in range(3)]
    for account in reversed(accounts):
        registry.add_account(account)
    registry.put_member(a_member())
    registry.add_workspace(a_workspace(id=WORKSPACE_ID))
    # Then
    assert registry.accounts(WORKSPACE_ID) == accounts


def test_an_account_is_replaced_as_long_as_it_stands(registry: Registry) -> None:
    # Given
    account = an_account()
    registry.add_account(account)
    gone = replace(
        account,
        status=AccountStatus.DISCONNECTED,
        sealed_credentials=None,
        disconnected_at=START,
        revision=2,
    )
    # When
    registry.replace_account(gone, expected_revision=1)
    # Then
    assert registry.accounts(WORKSPACE_ID) == [gone]
    with pytest.raises(LostRaceError):
        registry.replace_account(replace(account, revision=2), expected_revision=1)
    with pytest.raises(LostRaceError):
        registry.replace_account(an_account(), expected_revision=1)
    with pytest.raises(LostRaceError):
        registry.replace_account(replace(gone, workspace_id="ws_other"), expected_revision=2)
    assert registry.accounts(WORKSPACE_ID) == [gone]
