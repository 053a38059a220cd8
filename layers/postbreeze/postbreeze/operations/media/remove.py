"""Deleting from the media library, which never takes what a post still needs.

While an asset is DELETING no post can come to need it. So once it is, and no post is found that
does, none ever will: that finding is written down (DELETED) on the condition that the asset has
been DELETING all the while. Only then are the bytes removed, and the row last. A process that dies
anywhere leaves a state from which the repeat of the same request goes on, and so does a second one
that runs at the same time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from postbreeze.domain.access import EDITORS
from postbreeze.domain.errors import (
    ContendedError,
    LostRaceError,
    MediaInUseError,
    NotFoundError,
)
from postbreeze.domain.media import Asset, AssetStatus, asset_document
from postbreeze.domain.post import needed_assets
from postbreeze.operations import gate
from postbreeze.operations.answers import Answer
from postbreeze.operations.media.ports import AssetStore, Storage
from postbreeze.operations.ports import Clock, Directory, PostStore, Together
from postbreeze.operations.races import MOST_RACES

POSTS_AT_ONCE = 25
"""How many posts are looked at together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAsset:
    """Deletes an asset that no post which is still to go out needs."""

    assets: AssetStore
    storage: Storage
    posts: PostStore
    directory: Directory
    together: Together
    clock: Clock

    def __call__(self, key_digest: str, asset_id: str) -> Answer:
        """Delete, and answer with the asset as it last was.

        Raises:
            RefusalError: Not allowed, not there, or needed: then all is as before.
            ContendedError: The asset kept changing.
            UnavailableError: Something did not answer; the asset may be gone or half-way, and
                repeating the request goes on.
        """
        key, asset = self.together.run(
            lambda: self.directory.admit(key_digest), lambda: self.assets.asset(asset_id)
        )
        key = gate.usable(key, self.clock.now())
        if asset is None or not key.reaches(asset.workspace_id):
            raise NotFoundError
        gate.permitted(self.directory.member(asset.workspace_id, key.owner_user_id), EDITORS)
        for _ in range(MOST_RACES):
            if asset is None or not (
                asset.status is AssetStatus.DELETED or asset.exists(self.clock.now())
            ):
                raise NotFoundError
            try:
                deleted = self._given_up(asset)
            except LostRaceError:
                asset = self.assets.asset(asset_id)
            else:
                self._remove(deleted)
                return Answer(status=200, body=asset_document(deleted))
        raise ContendedError

    def _given_up(self, asset: Asset) -> Asset:
        """Return the asset once it is DELETED.

        Raises:
            MediaInUseError: A post needs it; it is READY again.
            LostRaceError: It is not as it was read any more.
        """
        if asset.status is AssetStatus.DELETED:
            return asset
        if asset.status is not AssetStatus.DELETING:
            asset = self._moved(asset, AssetStatus.DELETING)
        needing = self._posts_needing(asset)
        if needing:
            self._moved(asset, AssetStatus.READY)
            raise MediaInUseError(needing)
        return self._moved(asset, AssetStatus.DELETED)

    def _moved(self, asset: Asset, status: AssetStatus) -> Asset:
        moved = replace(
            asset, status=status, updated_at=self.clock.now(), revision=asset.revision + 1
        )
        self.assets.replace(moved, expected_revision=asset.revision)
        return moved

    def _posts_needing(self, asset: Asset) -> list[str]:
        """Return some of the posts that need the asset, or none if none does."""
        after: str | None = None
        while post_ids := self.assets.posts_naming(asset.id, limit=POSTS_AT_ONCE, after=after):
            posts = self.posts.read_many(post_ids)
            needing = [each for each in posts if asset.id in needed_assets(posts[each])]
            if needing:
                return needing
            after = post_ids[-1]
        return []

    def _remove(self, asset: Asset) -> None:
        self.storage.delete(asset.storage_key)
        while post_ids := self.assets.posts_naming(asset.id, limit=POSTS_AT_ONCE, after=None):
            self.assets.forget(asset.id, post_ids)
        self.assets.remove(asset.id)
