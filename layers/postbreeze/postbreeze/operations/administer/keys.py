"""API keys: minting, listing, revoking."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from postbreeze.domain import api_keys, ids
from postbreeze.domain.access import (
    REQUESTS_PER_MINUTE,
    REQUESTS_PER_QUARTER_HOUR,
    ApiKey,
    Grant,
)
from postbreeze.domain.errors import (
    ContendedError,
    LostRaceError,
    NotFoundError,
    RefusalError,
    ValidationError,
)
from postbreeze.operations.administer.checks import (
    checked_id,
    checked_text,
    standing_workspace,
)
from postbreeze.operations.ports import Clock, Directory, Randomness, Registry
from postbreeze.operations.races import MOST_RACES

_CURSOR_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class MintedKey:
    """A new key with its plaintext, which exists here and nowhere else; it prints without it."""

    key: ApiKey
    plaintext: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Mints, lists and revokes keys."""

    registry: Registry
    directory: Directory
    clock: Clock
    randomness: Randomness

    def mint(
        self,
        user_id: str,
        name: str,
        *,
        workspace_ids: Collection[str] | None = None,
        grants: Collection[Grant] = (),
        expires_at: datetime | None = None,
        requests_per_minute: int = REQUESTS_PER_MINUTE,
        requests_per_quarter_hour: int = REQUESTS_PER_QUARTER_HOUR,
    ) -> MintedKey:
        """Make a key for a user; its plaintext cannot be read again later.

        Args:
            user_id: Whose memberships the key acts with.
            name: What people call it.
            workspace_ids: The only workspaces it reaches; None for all of the user's.
            grants: Powers beyond those of the role.
            expires_at: From when it opens nothing, with a time zone; None for never.
            requests_per_minute: How many requests are let through in a minute, at most.
            requests_per_quarter_hour: How many in a quarter of an hour.

        Raises:
            ValidationError: An id, the name, the expiry or a limit is wrong.
            NotFoundError: There is no such workspace.
            RefusalError: The user is no member of a workspace the key is to be limited to.
        """
        checked_id(ids.USER, user_id)
        name = checked_text("name", name)
        now = self.clock.now()
        if expires_at is not None and (expires_at.tzinfo is None or expires_at <= now):
            raise ValidationError.of("expiresAt", "It must be in the future and have an offset.")
        if min(requests_per_minute, requests_per_quarter_hour) < 1:
            raise ValidationError.of("limits", "A key needs at least one request in each window.")
        if workspace_ids is not None:
            self._check_scope(user_id, workspace_ids)
        plaintext = api_keys.mint(self.randomness.token(api_keys.RANDOM_BYTES))
        key = ApiKey(
            id=ids.new_id(ids.KEY, now, self.randomness.token(10)),
            digest=api_keys.digest(plaintext),
            owner_user_id=user_id,
            name=name,
            hint=api_keys.hint(plaintext),
            created_at=now,
            workspace_ids=None if workspace_ids is None else frozenset(workspace_ids),
            grants=frozenset(grants),
            expires_at=expires_at,
            requests_per_minute=requests_per_minute,
            requests_per_quarter_hour=requests_per_quarter_hour,
            cursor_secret=self.randomness.token(_CURSOR_SECRET_BYTES),
        )
        self.registry.add_key(key)
        return MintedKey(key=key, plaintext=plaintext)

    def list(self, user_id: str) -> Sequence[ApiKey]:
        """List a user's keys, revoked ones too, oldest first; one made just now may be missing.

        Raises:
            ValidationError: The id is malformed.
        """
        keys = self.registry.keys_of(checked_id(ids.USER, user_id))
        return sorted(keys, key=lambda key: key.id)

    def is_known(self, plaintext: str) -> bool:
        """Tell whether this is a key, usable or not, of this deployment."""
        return self.registry.key(api_keys.digest(plaintext)) is not None

    def revoke(self, user_id: str, key_id: str) -> ApiKey:
        """Revoke one of a user's keys; it opens nothing from the very next request on.

        Revoking it again changes nothing.

        Raises:
            ValidationError: An id is malformed.
            NotFoundError: The user has no such key.
        """
        checked_id(ids.USER, user_id)
        checked_id(ids.KEY, key_id)
        for key in self.registry.keys_of(user_id):
            if key.id == key_id:
                return self._revoke(key.digest)
        raise NotFoundError(f"{user_id} has no key {key_id}.")

    def revoke_leaked(self, plaintext: str) -> ApiKey:
        """Revoke a key of which only its plaintext is known, such as one found in public.

        Raises:
            ValidationError: The text is no key.
            NotFoundError: Nothing is known of it.
        """
        if not api_keys.is_well_formed(plaintext):
            raise ValidationError.of("key", "This is not a Postbreeze key.")
        return self._revoke(api_keys.digest(plaintext))

    def _revoke(self, digest: str) -> ApiKey:
        for _ in range(MOST_RACES):
            # The list comes from an index that may lag behind; the row itself does not.
            key = self.registry.key(digest)
            if key is None:
                raise NotFoundError("There is no such key.")
            if key.revoked_at is not None:
                return key
            revoked = replace(key, revoked_at=self.clock.now(), revision=key.revision + 1)
            try:
                self.registry.replace_key(revoked, expected_revision=key.revision)
            except LostRaceError:
                continue
            return revoked
        raise ContendedError

    def _check_scope(self, user_id: str, workspace_ids: Collection[str]) -> None:
        if not workspace_ids:
            raise ValidationError.of("workspaces", "A scoped key needs at least one workspace.")
        for workspace_id in workspace_ids:
            standing_workspace(self.registry, workspace_id)
            if self.directory.member(workspace_id, user_id) is None:
                raise RefusalError(f"{user_id} is not a member of {workspace_id}.")
