"""Social accounts, as the operator connects them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from postbreeze.domain import ids
from postbreeze.domain.access import Role
from postbreeze.domain.disconnection import disconnect
from postbreeze.domain.errors import (
    ContendedError,
    LostRaceError,
    NotFoundError,
    PlatformRejectedError,
    SecretUnreadableError,
    StillDisconnectingError,
    ValidationError,
)
from postbreeze.domain.post import AccountStatus, Platform, SocialAccount
from postbreeze.operations.administer.accounts import MOST_CREDENTIAL
from postbreeze.operations.ports import MembershipGuard
from postbreeze.operations.publish import sealing_context
from tests.support.builders import an_account, an_id
from tests.support.operators import FakeOperator

HANDLE = "moewe.bsky.social"
PASSWORD = "app-password"


@pytest.fixture
def operator() -> FakeOperator:
    return FakeOperator()


@pytest.fixture
def workspace_id(operator: FakeOperator) -> str:
    return operator.workspaces.create("a").id


def connect(operator: FakeOperator, workspace_id: str, password: str = PASSWORD) -> SocialAccount:
    return operator.accounts.connect_bluesky(
        workspace_id, HANDLE, password, sign_in=operator.bluesky_sign_in
    )


def test_a_connected_account_has_its_did_and_sealed_credentials(
    operator: FakeOperator, workspace_id: str
) -> None:
    # When
    account = connect(operator, workspace_id)
    # Then
    assert operator.world.workspaces.account(workspace_id, account.id) == account
    assert operator.world.workspaces.workspace_of_account(account.id) == workspace_id
    assert (account.platform, account.status) == (Platform.BLUESKY, AccountStatus.ACTIVE)
    assert (account.external_account_id, account.display_name) == (f"did:plc:{HANDLE}", HANDLE)
    assert account.handle == HANDLE
    assert account.sealed_credentials is not None
    opened = operator.world.secrets.open(account.sealed_credentials, sealing_context(account))
    assert json.loads(opened) == {"identifier": HANDLE, "appPassword": PASSWORD}


def test_sealed_credentials_open_for_no_other_account(
    operator: FakeOperator, workspace_id: str
) -> None:
    # Given
    account = connect(operator, workspace_id)
    assert account.sealed_credentials is not None
    # Then
    with pytest.raises(SecretUnreadableError):
        operator.world.secrets.open(
            account.sealed_credentials, sealing_context(replace(account, id=an_id(ids.ACCOUNT)))
        )


def test_connecting_again_renews_the_same_account(
    operator: FakeOperator, workspace_id: str
) -> None:
    # Given
    first = connect(operator, workspace_id)
    expired = replace(first, status=AccountStatus.TOKEN_EXPIRED, revision=2)
    operator.world.workspaces.replace_account(expired, expected_revision=1)
    operator.bluesky_sign_in.password = "another"
    # When
    again = connect(operator, workspace_id, "another")
    # Then
    assert (again.id, again.status, again.revision) == (first.id, AccountStatus.ACTIVE, 3)
    assert again.sealed_credentials != first.sealed_credentials
    assert operator.accounts.list(workspace_id) == [again]


def test_one_platform_account_may_be_in_two_workspaces(
    operator: FakeOperator, workspace_id: str
) -> None:
    # Given
    other = operator.workspaces.create("b").id
    # When
    accounts = [connect(operator, workspace_id), connect(operator, other)]
    # Then
    assert accounts[0].id != accounts[1].id


def test_unverified_credentials_are_stored_under_the_identifier(
    operator: FakeOperator, workspace_id: str
) -> None:
    # When
    account = operator.accounts.connect_bluesky(
        workspace_id, f" @{HANDLE} ", "anything", sign_in=None, name="Möwe"
    )
    # Then
    assert (account.external_account_id, account.display_name) == (HANDLE, "Möwe")
    assert account.handle == HANDLE


def test_refused_credentials_are_not_stored(operator: FakeOperator, workspace_id: str) -> None:
    with pytest.raises(PlatformRejectedError):
        connect(operator, workspace_id, "wrong")
    assert operator.accounts.list(workspace_id) == []


@pytest.mark.parametrize(
    ("identifier", "password", "name", "path"),
    [
        ("@", PASSWORD, None, "identifier"),
        (HANDLE, "", None, "password"),
        (HANDLE, "x" * 513, None, "password"),
        (HANDLE, "a\tb", None, "password"),
        (HANDLE, PASSWORD, "", "name"),
    ],
)
def test_malformed_values_are_refused_before_anybody_is_asked(
    operator: FakeOperator,
    workspace_id: str,
    identifier: str,
    password: str,
    name: str | None,
    path: str,
) -> None:
    # When
    with pytest.raises(ValidationError, match=path) as refused:
        operator.accounts.connect_bluesky(
            workspace_id, identifier, password, sign_in=operator.bluesky_sign_in, name=name
        )
    # Then
    assert operator.bluesky_sign_in.asked == []
    assert password == "" or password not in str(refused.value)


def test_nobody_is_asked_for_a_workspace_that_is_not_there(operator: FakeOperator) -> None:
    with pytest.raises(NotFoundError):
        connect(operator, an_id(ids.WORKSPACE))
    assert operator.bluesky_sign_in.asked == []


@pytest.mark.parametrize("losses", [1, 100])
def test_a_lost_race_is_run_again_but_not_for_ever(
    operator: FakeOperator, workspace_id: str, losses: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    connect(operator, workspace_id)
    registry = operator.world.workspaces
    write = registry.replace_account
    left = iter(range(losses))

    def contended(account: SocialAccount, *, expected_revision: int) -> None:
        if next(left, None) is not None:
            raise LostRaceError
        write(account, expected_revision=expected_revision)

    monkeypatch.setattr(registry, "replace_account", contended)
    # When
    if losses == 100:
        with pytest.raises(ContendedError):
            connect(operator, workspace_id)
    else:
        # Then
        assert connect(operator, workspace_id).revision == 2


def test_who_connects_at_the_same_time_as_another_renews_what_that_one_made(
    operator: FakeOperator, workspace_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given somebody who connects the same account between our look and our write
    registry = operator.world.workspaces
    look = registry.accounts
    others: list[SocialAccount] = []

    def overtaken(workspace: str) -> Sequence[SocialAccount]:
        found = look(workspace)
        if not others:
            others.append(replace(an_account(), workspace_id=workspace))
            others[0] = replace(others[0], external_account_id=f"did:plc:{HANDLE}")
            registry.add_account(others[0])
        return found

    monkeypatch.setattr(registry, "accounts", overtaken)
    # When
    account = connect(operator, workspace_id)
    # Then there is one
    assert (account.id, account.revision) == (others[0].id, 2)
    assert look(workspace_id) == [account]


@pytest.mark.parametrize("platform", [Platform.BLUESKY, Platform.X])
def test_a_disconnected_account_is_connected_again_once_its_disconnect_has_ended(
    operator: FakeOperator, workspace_id: str, platform: Platform
) -> None:
    # Given
    def connect_it() -> SocialAccount:
        if platform is Platform.BLUESKY:
            return connect(operator, workspace_id)
        return operator.accounts.add(workspace_id, platform, "Möwe", "42")

    member = operator.workspaces.add_member(workspace_id, Role.OWNER)
    account = connect_it()
    found = disconnect(account, actor=member.user_id, now=operator.world.clock.now())
    assert found is not None
    guard = MembershipGuard(
        workspace_id=workspace_id, user_id=member.user_id, roles=frozenset({Role.OWNER})
    )
    operator.world.disconnections.begin(found, guard=guard)
    # When / Then
    with pytest.raises(StillDisconnectingError, match="two minutes"):
        connect_it()
    assert operator.accounts.list(workspace_id) == [found.account]
    # When
    operator.world.disconnections.end(found.work)
    # Then
    again = connect_it()
    assert again == replace(account, revision=3)
    assert operator.accounts.list(workspace_id) == [again]


def test_an_account_without_a_client_is_added_once(
    operator: FakeOperator, workspace_id: str
) -> None:
    # When
    first = operator.accounts.add(workspace_id, Platform.X, "Möwe", "42")
    again = operator.accounts.add(workspace_id, Platform.X, "Möwe", "42")
    other = operator.accounts.add(workspace_id, Platform.THREADS, "Möwe", "42", "moewe")
    # Then
    assert (first.handle, other.handle) == (None, "moewe")
    assert first == again
    assert first.sealed_credentials is None
    assert {account.id for account in operator.accounts.list(workspace_id)} == {first.id, other.id}


def test_a_bluesky_account_is_not_added_without_credentials(
    operator: FakeOperator, workspace_id: str
) -> None:
    with pytest.raises(ValidationError, match="connected, not added"):
        operator.accounts.add(workspace_id, Platform.BLUESKY, "Möwe", "did:plc:a")


def test_accounts_of_a_workspace_that_is_not_there(operator: FakeOperator) -> None:
    with pytest.raises(NotFoundError):
        operator.accounts.list(an_id(ids.WORKSPACE))
    with pytest.raises(NotFoundError):
        operator.accounts.add(an_id(ids.WORKSPACE), Platform.X, "Möwe", "42")


@pytest.mark.parametrize("at", range(3))
def test_what_an_added_account_is_called_is_checked_and_trimmed(
    operator: FakeOperator, workspace_id: str, at: int
) -> None:
    # Given
    called = [" Möwe ", " 42 ", " moewe "]
    # When
    account = operator.accounts.add(workspace_id, Platform.X, *called)
    # Then
    told = (account.display_name, account.external_account_id, account.handle)
    assert told == ("Möwe", "42", "moewe")
    called[at] = " "
    with pytest.raises(ValidationError):
        operator.accounts.add(workspace_id, Platform.X, *called)


def test_a_password_has_from_one_to_512_characters(
    operator: FakeOperator, workspace_id: str
) -> None:
    for password in ("a", "a" * MOST_CREDENTIAL):
        operator.bluesky_sign_in.password = password
        assert connect(operator, workspace_id, password).status is AccountStatus.ACTIVE
    for password in ("", "a" * (MOST_CREDENTIAL + 1)):
        with pytest.raises(ValidationError):
            connect(operator, workspace_id, password)


def test_an_identifier_is_as_long_as_the_longest_and_no_longer(
    operator: FakeOperator, workspace_id: str
) -> None:
    # Given a DID that is longer than any name may be
    longest = "did:web:".ljust(512, "a")
    # Then
    account = operator.accounts.connect_bluesky(workspace_id, longest, PASSWORD, sign_in=None)
    assert account.external_account_id == longest
    with pytest.raises(ValidationError, match="identifier"):
        operator.accounts.connect_bluesky(workspace_id, longest + "a", PASSWORD, sign_in=None)
