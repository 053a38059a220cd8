"""Social accounts: connecting them, and listing them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from postbreeze.domain import ids
from postbreeze.domain.errors import (
    ContendedError,
    LostRaceError,
    StillDisconnectingError,
    ValidationError,
)
from postbreeze.domain.post import AccountStatus, Platform, SocialAccount
from postbreeze.operations.administer.checks import checked_text, standing_workspace
from postbreeze.operations.ports import Clock, Disconnections, Randomness, Registry, SecretBox
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
    disconnections: Disconnections
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
            StillDisconnectingError: It is being disconnected at this moment.
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

        def connected(account: SocialAccount) -> SocialAccount:
            return replace(
                account,
                display_name=name or known.handle,
                handle=known.handle,
                sealed_credentials=self.secrets.seal(credentials, sealing_context(account)),
            )

        return self._connect(
            self._new(workspace_id, Platform.BLUESKY, known.external_account_id, known.handle),
            connected,
        )

    def add(
        self,
        workspace_id: str,
        platform: Platform,
        name: str,
        external_account_id: str,
        handle: str | None = None,
    ) -> SocialAccount:
        """Add an account of a platform that has no client yet, without credentials.

        Posts can be planned for it; publishing fails and says why. Adding it again changes nothing,
        unless it was disconnected: then it is connected again.

        Raises:
            ValidationError: A value is malformed, or the platform is Bluesky.
            NotFoundError: There is no such workspace.
            StillDisconnectingError: It is being disconnected at this moment.
            ContendedError: The account kept changing.
        """
        if platform is Platform.BLUESKY:
            raise ValidationError.of("platform", "A Bluesky account is connected, not added.")
        name = checked_text("name", name)
        external_account_id = checked_text("externalId", external_account_id)
        if handle is not None:
            handle = checked_text("handle", handle)
        standing_workspace(self.registry, workspace_id)
        new = self._new(workspace_id, platform, external_account_id, name)
        return self._connect(replace(new, handle=handle), connected=None)

    def list(self, workspace_id: str) -> Sequence[SocialAccount]:
        """List a workspace's accounts, oldest first.

        Raises:
            ValidationError: The id is malformed.
            NotFoundError: There is no such workspace.
        """
        standing_workspace(self.registry, workspace_id)
        return sorted(self.registry.accounts(workspace_id), key=lambda account: account.id)

    def _connect(
        self, new: SocialAccount, connected: Callable[[SocialAccount], SocialAccount] | None
    ) -> SocialAccount:
        """Add an account, or connect again the one that the workspace has of it.

        ``connected`` gives it what connecting renews; without it one that is active stays as it is.
        """
        for _ in range(MOST_RACES):
            present = self._present(new.workspace_id, new.platform, new.external_account_id)
            account = present or new
            if connected is not None:
                account = connected(account)
            elif account.status is AccountStatus.ACTIVE and present is not None:
                return present
            if present is not None:
                account = replace(
                    account,
                    status=AccountStatus.ACTIVE,
                    disconnected_at=None,
                    revision=present.revision + 1,
                )
                # What is scheduled from now on must not be taken for what was scheduled before.
                if self.disconnections.work(present.id) is not None:
                    raise StillDisconnectingError
            try:
                if present is None:
                    self.registry.add_account(account)
                else:
                    self.registry.replace_account(account, expected_revision=present.revision)
            except LostRaceError:
                continue
            return account
        raise ContendedError

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
