"""Reading the media library, and changing what it says of an asset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from postbreeze.domain.access import EDITORS, READERS, ApiKey
from postbreeze.domain.errors import ContendedError, LostRaceError, NotFoundError
from postbreeze.domain.media import Asset, asset_document
from postbreeze.operations import cursors, gate
from postbreeze.operations.answers import Answer
from postbreeze.operations.media.library import Library
from postbreeze.operations.media.ports import AssetStore
from postbreeze.operations.ports import Clock, Directory, Together
from postbreeze.operations.races import MOST_RACES


def visible(asset: Asset | None, key: ApiKey, clock: Clock) -> Asset:
    """Return the asset if the key may know of it, its owner's membership aside.

    Raises:
        NotFoundError: Unknown, deleted, never uploaded in time, or in a workspace outside the
            key's allow-list.
    """
    if asset is None or not asset.exists(clock.now()) or not key.reaches(asset.workspace_id):
        raise NotFoundError
    return asset


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAsset:
    """Reads an asset for any member of its workspace."""

    library: Library
    assets: AssetStore
    directory: Directory
    together: Together
    clock: Clock

    def __call__(self, key_digest: str, asset_id: str) -> Answer:
        """Answer with the asset; it is READY from the first time that its bytes are seen.

        Raises:
            RefusalError: Not allowed or not there.
            UnavailableError: The database or the storage did not answer.
        """
        key, asset = self.together.run(
            lambda: self.directory.admit(key_digest), lambda: self.assets.asset(asset_id)
        )
        key = gate.usable(key, self.clock.now())
        asset = visible(asset, key, self.clock)
        gate.permitted(self.directory.member(asset.workspace_id, key.owner_user_id), READERS)
        asset = visible(self.library.completed(asset), key, self.clock)
        return Answer(status=200, body=asset_document(asset))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListCommand:
    """A client's wish for a page of a workspace's assets."""

    key_digest: str
    workspace_id: str
    limit: int
    cursor: str | None = None

    @property
    def purpose(self) -> tuple[str, ...]:
        """What a cursor is bound to."""
        return ("media", self.workspace_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Assets as documents, and the cursor of the next page if there is one."""

    assets: Sequence[Mapping[str, Any]]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAssets:
    """Lists a workspace's assets for any member."""

    assets: AssetStore
    directory: Directory
    together: Together
    clock: Clock

    def __call__(self, command: ListCommand) -> Page:
        """Return a page, newest first. Uploads that nobody has asked for since stay PENDING here.

        It may have fewer assets than asked for, and yet a cursor.

        Raises:
            RefusalError: Not allowed, or the cursor is not one of this key for this workspace.
            UnavailableError: The database did not answer.
        """
        key = gate.usable(self.directory.admit(command.key_digest), self.clock.now())
        workspace_id = command.workspace_id
        gate.workspace_named(key, workspace_id)
        before = None
        if command.cursor is not None:
            before = cursors.read(key.cursor_secret, command.purpose, command.cursor)["before"]
        member, found = self.together.run(
            lambda: self.directory.member(workspace_id, key.owner_user_id),
            lambda: self.assets.page(workspace_id, limit=command.limit, before=before),
        )
        gate.permitted(member, READERS)
        now = self.clock.now()
        cursor = None
        if found.next_before is not None:
            following = {"before": found.next_before}
            cursor = cursors.sign(key.cursor_secret, command.purpose, following)
        return Page(
            assets=[asset_document(asset) for asset in found.assets if asset.exists(now)],
            cursor=cursor,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EditAsset:
    """Changes an asset's alt text; posts that name it already keep theirs."""

    assets: AssetStore
    directory: Directory
    together: Together
    clock: Clock

    def __call__(self, key_digest: str, asset_id: str, alt_text: str | None) -> Answer:
        """Write, and answer with the asset; repeating it is harmless.

        Raises:
            RefusalError: Not allowed or not there; nothing was written.
            ContendedError: The asset kept changing; nothing was written.
            UnavailableError: The database did not answer; it may have been written.
        """
        key, asset = self.together.run(
            lambda: self.directory.admit(key_digest), lambda: self.assets.asset(asset_id)
        )
        key = gate.usable(key, self.clock.now())
        asset = visible(asset, key, self.clock)
        gate.permitted(self.directory.member(asset.workspace_id, key.owner_user_id), EDITORS)
        for _ in range(MOST_RACES):
            asset = visible(asset, key, self.clock)
            edited = replace(
                asset,
                alt_text=alt_text,
                updated_at=self.clock.now(),
                revision=asset.revision + 1,
            )
            try:
                self.assets.replace(edited, expected_revision=asset.revision)
            except LostRaceError:
                asset = self.assets.asset(asset_id)
            else:
                return Answer(status=200, body=asset_document(edited))
        raise ContendedError
