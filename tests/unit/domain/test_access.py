"""Keys, and how far they reach."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from postbreeze.domain.access import AUTHORS, EDITORS, READERS, ApiKey, Role
from tests.support.builders import a_key
from tests.support.fakes import START

A_MILLISECOND = timedelta(milliseconds=1)


def test_a_key_is_usable_until_the_moment_it_expires() -> None:
    # Given
    key = a_key(expires_at=START)
    # Then
    assert key.is_usable(START - A_MILLISECOND)
    assert not key.is_usable(START)


def test_a_key_that_never_expires_is_usable() -> None:
    assert a_key().is_usable(START + timedelta(days=9999))


def test_a_revoked_key_is_usable_at_no_moment() -> None:
    # Given
    key = a_key(revoked_at=START, expires_at=START + timedelta(days=1))
    # Then
    assert not key.is_usable(START - A_MILLISECOND)
    assert not key.is_usable(START + A_MILLISECOND)


@pytest.mark.parametrize(
    ("allowed", "reaches"),
    [(None, True), (frozenset({"ws_1"}), True), (frozenset({"ws_2"}), False), (frozenset(), False)],
)
def test_a_scoped_key_reaches_its_allow_list_only(
    allowed: frozenset[str] | None, reaches: bool
) -> None:
    assert a_key(workspace_ids=allowed).reaches("ws_1") is reaches


def test_roles_may_do_what_the_contract_says() -> None:
    assert {Role.OWNER, Role.ADMIN, Role.EDITOR} == EDITORS
    assert set(Role) == AUTHORS == READERS


def test_a_key_that_was_minted_before_there_were_cursors_has_no_secret_for_them() -> None:
    fields = {each.name: getattr(a_key(), each.name) for each in dataclasses.fields(ApiKey)}
    del fields["cursor_secret"]
    assert ApiKey(**fields).cursor_secret == b""
