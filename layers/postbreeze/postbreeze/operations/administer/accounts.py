"""Social accounts: connecting them, and listing them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from postbreeze.domain import ids
from postbreeze.domain.errors import ContendedError, LostRaceError, ValidationError
from postbreeze.domain.post import AccountStatus, Platform, SocialAccount
from postbreeze.operations.administer.checks import checked_text, standing_workspace
from postbreeze.operations.ports import Clock, Randomness, Registry, SecretBox
from postbreeze.operations.publish import sealing_context
from postbreeze.operations.races import MOST_RACES

MOST_CREDENTIAL = 512
"""The longest identifier or app password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedAccount:
    """Whom a platform knows by the credentials it was shown."""

    external_account_id: str
    handle: str


class SignIn(Protocol):
    """Asks a platform whose credentials these are."""

    def __call__(self, identifier: str, password: str) -> VerifiedAccount:
        """Sign in once.

        Raises:
            PlatformError: The platform refused or could not be asked.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Connects social accounts to workspaces."""

    registry: Registry
    secrets: SecretBox
    clock: Clock
    randomness: Randomness

    def connect_bluesky(
        self,
        workspace_id: str,
        identifier: str,
        password: str,
        *,
        sign_in: SignIn | None,
        name: str | None = None,
    ) -> SocialAccount:
        """Connect a Bluesky account, or connect it again with another app password.

        The credentials are stored encrypted and bound to this one account of this one workspace.

        Args:
            workspace_id: Where to.
            identifier: A handle, or a DID.
            password: An app password, never the account's own.
            sign_in: Checks the credentials and tells the account's DID; None trusts them unseen.
                A handle then stays the account's only name until it is connected again.
            name: What people see; the handle where there is none.

        Raises:
            ValidationError: A value is malformed.
            NotFoundError: There is no such workspace.
            PlatformError: The platform refused the credentials or could not be asked.
            ContendedError: The account kept changing.
        """
        identifier = checked_text(
            "identifier", identifier.strip().removeprefix("@"), most=MOST_CREDENTIAL
        )
        password = _checked_password(password)
        if name is not None:
            name = checked_text("name", name)
        standing_workspace(self.registry, workspace_id)
        known = (
            VerifiedAccount(external_account_id=identifier, handle=identifier)
            if sign_in is None
            else sign_in(identifier, password)
        )
        credentials = json.dumps({"identifier": identifier, "appPassword": password})
        for _ in range(MOST_RACES):
            present = self._present(workspace_id, Platform.BLUESKY, known.external_account_id)
            account = present or self._new(
                workspace_id, Platform.BLUESKY, known.external_account_id, name or known.handle
            )
            account = replace(
                account,
                display_name=name or known.handle,
                status=AccountStatus.ACTIVE,
                sealed_credentials=self.secrets.seal(credentials, sealing_context(account)),
            )
            if present is None:
                self.registry.add_account(account)
                return account
            account = replace(account, revision=present.revision + 1)
            try:
                self.registry.replace_account(account, expected_revision=present.revision)
            except LostRaceError:
                continue
            return account
        raise ContendedError

    def add(
        self, workspace_id: str, platform: Platform, name: str, external_account_id: str
    ) -> SocialAccount:
        """Add an account of a platform that has no client yet, without credentials.

        Posts can be planned for it; publishing fails and says why. Adding it again changes nothing.

        Raises:
            ValidationError: A value is malformed, or the platform is Bluesky.
            NotFoundError: There is no such workspace.
        """
        if platform is Platform.BLUESKY:
            raise ValidationError.of("platform", "A Bluesky account is connected, not added.")
        name = checked_text("name", name)
        external_account_id = checked_text("externalId", external_account_id)
        standing_workspace(self.registry, workspace_id)
        present = self._present(workspace_id, platform, external_account_id)
        if present is not None:
            return present
        account = self._new(workspace_id, platform, external_account_id, name)
        self.registry.add_account(account)
        return account

    def list(self, workspace_id: str) -> Sequence[SocialAccount]:
        """List a workspace's accounts, oldest first.

        Raises:
            ValidationError: The id is malformed.
            NotFoundError: There is no such workspace.
        """
        standing_workspace(self.registry, workspace_id)
        return sorted(self.registry.accounts(workspace_id), key=lambda account: account.id)

    def _present(
        self, workspace_id: str, platform: Platform, external_account_id: str
    ) -> SocialAccount | None:
        for account in self.registry.accounts(workspace_id):
            if (account.platform, account.external_account_id) == (platform, external_account_id):
                return account
        return None

    def _new(
        self, workspace_id: str, platform: Platform, external_account_id: str, name: str
    ) -> SocialAccount:
        now = self.clock.now()
        return SocialAccount(
            id=ids.new_id(ids.ACCOUNT, now, self.randomness.token(10)),
            workspace_id=workspace_id,
            platform=platform,
            display_name=name,
            external_account_id=external_account_id,
            status=AccountStatus.ACTIVE,
            created_at=now,
        )


def _checked_password(password: str) -> str:
    if not 1 <= len(password) <= MOST_CREDENTIAL or not password.isprintable():
        raise ValidationError.of(
            "password", f"It must have 1 to {MOST_CREDENTIAL} printable characters."
        )
    return password
