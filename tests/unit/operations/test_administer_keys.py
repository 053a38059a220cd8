"""Keys, as the operator mints and revokes them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from postbreeze.domain import api_keys, ids
from postbreeze.domain.access import ApiKey, Grant, Role
from postbreeze.domain.errors import (
    ContendedError,
    LostRaceError,
    NotFoundError,
    RefusalError,
    ValidationError,
)
from tests.support.builders import USER_ID, an_id
from tests.support.fakes import START
from tests.support.operators import FakeOperator


def test_a_minted_key_is_stored_by_its_digest_only() -> None:
    # Given
    operator = FakeOperator()
    # When
    minted = operator.keys.mint(USER_ID, "laptop")
    # Then
    stored = operator.world.workspaces.key(api_keys.digest(minted.plaintext))
    assert stored == minted.key
    assert api_keys.is_well_formed(minted.plaintext)
    assert minted.plaintext not in repr(minted)
    assert minted.plaintext not in repr(stored)
    assert stored.is_usable(START)
    assert (stored.owner_user_id, stored.name, stored.workspace_ids) == (USER_ID, "laptop", None)
    assert stored.grants == frozenset()
    assert (stored.requests_per_minute, stored.requests_per_quarter_hour) == (60, 1000)


def test_every_key_signs_cursors_with_a_secret_of_its_own() -> None:
    # Given
    operator = FakeOperator()
    # When
    minted = [operator.keys.mint(USER_ID, "laptop").key for _ in range(2)]
    # Then it is long, and shown nowhere
    assert {len(key.cursor_secret) for key in minted} == {32}
    assert len({key.cursor_secret for key in minted}) == 2
    assert "cursor_secret" not in repr(minted[0])


def test_all_wishes_are_kept() -> None:
    # Given
    operator = FakeOperator()
    workspace = operator.workspaces.create("a")
    operator.workspaces.add_member(workspace.id, Role.OWNER, USER_ID)
    expiry = START + timedelta(days=1)
    # When
    key = operator.keys.mint(
        USER_ID,
        "tool",
        workspace_ids=[workspace.id],
        grants=[Grant.WEBHOOKS],
        expires_at=expiry,
        requests_per_minute=1,
        requests_per_quarter_hour=2_000_000,
    ).key
    # Then
    assert key.workspace_ids == frozenset({workspace.id})
    assert key.grants == frozenset({Grant.WEBHOOKS})
    assert key.expires_at == expiry
    assert (key.requests_per_minute, key.requests_per_quarter_hour) == (1, 2_000_000)


@pytest.mark.parametrize(("a_minute", "a_quarter_hour"), [(0, 1), (1, 0)])
def test_a_key_that_may_ask_nothing_is_refused(a_minute: int, a_quarter_hour: int) -> None:
    with pytest.raises(ValidationError, match="at least one request"):
        FakeOperator().keys.mint(
            USER_ID, "a", requests_per_minute=a_minute, requests_per_quarter_hour=a_quarter_hour
        )


@pytest.mark.parametrize(
    "expiry", [START, START - timedelta(days=1), datetime(2999, 1, 1)], ids=["now", "past", "naive"]
)
def test_an_expiry_lies_ahead_and_has_an_offset(expiry: datetime) -> None:
    with pytest.raises(ValidationError, match="expiresAt"):
        FakeOperator().keys.mint(USER_ID, "a", expires_at=expiry)


def test_a_scoped_key_names_workspaces_that_its_owner_is_in() -> None:
    # Given
    operator = FakeOperator()
    workspace = operator.workspaces.create("a")
    # Then
    with pytest.raises(RefusalError, match="is not a member of"):
        operator.keys.mint(USER_ID, "a", workspace_ids=[workspace.id])
    with pytest.raises(NotFoundError):
        operator.keys.mint(USER_ID, "a", workspace_ids=[an_id(ids.WORKSPACE)])
    with pytest.raises(ValidationError, match="workspaces"):
        operator.keys.mint(USER_ID, "a", workspace_ids=[])
    assert operator.world.workspaces.calls["add_key"] == 0


def test_keys_are_listed_oldest_first_with_revoked_ones() -> None:
    # Given
    operator = FakeOperator()
    first = operator.keys.mint(USER_ID, "first").key
    operator.world.clock.advance(seconds=1)
    second = operator.keys.mint(USER_ID, "second").key
    operator.keys.mint(an_id(ids.USER), "somebody else's")
    # When
    revoked = operator.keys.revoke(USER_ID, first.id)
    # Then
    assert operator.keys.list(USER_ID) == [revoked, second]


def test_a_revoked_key_opens_nothing_and_is_revoked_once() -> None:
    # Given
    operator = FakeOperator()
    minted = operator.keys.mint(USER_ID, "a")
    # When
    revoked = operator.keys.revoke(USER_ID, minted.key.id)
    operator.world.clock.advance(hours=1)
    again = operator.keys.revoke(USER_ID, minted.key.id)
    # Then
    assert revoked == again == operator.world.workspaces.key(minted.key.digest)
    assert revoked.revoked_at == START
    assert not revoked.is_usable(START)


def test_a_leaked_key_is_revoked_by_its_plaintext() -> None:
    # Given
    operator = FakeOperator()
    minted = operator.keys.mint(USER_ID, "a")
    assert operator.keys.is_known(minted.plaintext)
    # When
    revoked = operator.keys.revoke_leaked(minted.plaintext)
    # Then
    assert (revoked.id, revoked.revoked_at) == (minted.key.id, START)


def test_a_key_that_nobody_has_cannot_be_revoked() -> None:
    # Given
    keys = FakeOperator().keys
    stranger = api_keys.mint(bytes(32))
    # Then
    with pytest.raises(NotFoundError):
        keys.revoke(USER_ID, an_id(ids.KEY))
    with pytest.raises(NotFoundError):
        keys.revoke_leaked(stranger)
    with pytest.raises(ValidationError, match="not a Postbreeze key"):
        keys.revoke_leaked("pb_live_nonsense")
    assert not keys.is_known(stranger)


def test_another_users_key_is_not_revoked_by_mistake() -> None:
    # Given
    operator = FakeOperator()
    mine = operator.keys.mint(USER_ID, "mine").key
    operator.world.clock.advance(seconds=1)
    other = operator.keys.mint(USER_ID, "other").key
    # When
    operator.keys.revoke(USER_ID, other.id)
    # Then
    assert operator.world.workspaces.key(mine.digest) == mine
    with pytest.raises(NotFoundError):
        operator.keys.revoke(an_id(ids.USER), mine.id)


@pytest.mark.parametrize("losses", [1, 100])
def test_a_lost_race_is_run_again_but_not_for_ever(
    losses: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given: each of the first writes finds that the key has changed.
    operator = FakeOperator()
    minted = operator.keys.mint(USER_ID, "a")
    registry = operator.world.workspaces
    write = registry.replace_key
    left = iter(range(losses))

    def contended(key: ApiKey, *, expected_revision: int) -> None:
        if next(left, None) is not None:
            present = registry.key(key.digest)
            assert present is not None
            touched = replace(present, revision=present.revision + 1)
            write(touched, expected_revision=present.revision)
            raise LostRaceError
        write(key, expected_revision=expected_revision)

    monkeypatch.setattr(registry, "replace_key", contended)
    # When
    if losses == 100:
        with pytest.raises(ContendedError):
            operator.keys.revoke_leaked(minted.plaintext)
    else:
        revoked = operator.keys.revoke_leaked(minted.plaintext)
        # Then
        assert (revoked.revision, revoked.revoked_at) == (3, START)


def test_ids_of_the_wrong_form_are_refused() -> None:
    keys = FakeOperator().keys
    for attempt in (
        lambda: keys.mint("me", "a"),
        lambda: keys.list("me"),
        lambda: keys.revoke("me", an_id(ids.KEY)),
        lambda: keys.revoke(USER_ID, "key"),
    ):
        with pytest.raises(ValidationError, match="is not an id"):
            attempt()


def test_a_keys_name_is_checked_and_trimmed() -> None:
    keys = FakeOperator().keys
    assert keys.mint(USER_ID, " laptop ").key.name == "laptop"
    with pytest.raises(ValidationError):
        keys.mint(USER_ID, " ")
