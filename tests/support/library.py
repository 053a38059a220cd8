"""The media library over the core's fakes; each call that leaves it goes through the core's tap."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from postbreeze.domain import ids
from postbreeze.domain.access import Role
from postbreeze.domain.media import Asset, AssetStatus
from postbreeze.domain.post import Post, PostStatus
from postbreeze.operations.answers import Answer
from postbreeze.operations.media.add import AddFromUrl, FetchCommand, PresignCommand, PresignUpload
from postbreeze.operations.media.manage import EditAsset, ListAssets, ListCommand, Page, ReadAsset
from postbreeze.operations.media.ports import FetchedFile, FileSource
from postbreeze.operations.media.remove import DeleteAsset
from tests.support.builders import an_asset, an_id
from tests.support.core import USERS, WORKSPACE, Core, DiedError, straight

PNG = b"png"


class Desk:
    """The operations of the media library, and what is in it."""

    def __init__(self, core: Core | None = None) -> None:
        self.core = core = core or Core()
        self.clock = core.clock
        self.assets = core.world.assets
        self.storage = core.world.storage
        self.files = core.world.files
        wired: dict[str, Any] = {
            "assets": core.library.assets,
            "directory": core.create_post.directory,
            "clock": core.clock,
        }
        adding = {**wired, "storage": core.library.storage, "randomness": core.randomness}
        together: dict[str, Any] = {"together": core.world.together}
        self.presign_upload = PresignUpload(**adding)
        self.add_from_url = AddFromUrl(
            **adding, library=core.library, source=cast("FileSource", self)
        )
        self.read_asset = ReadAsset(**wired, **together, library=core.library)
        self.list_assets = ListAssets(**wired, **together)
        self.edit_asset = EditAsset(**wired, **together)
        self.delete_asset = DeleteAsset(
            **wired, **together, storage=core.library.storage, posts=core.create_post.posts
        )

    @contextmanager
    def fetch(self, url: str) -> Iterator[FetchedFile]:
        """Fetch as the guard does, through the tap."""
        with self.core.tap("files.fetch", lambda: self.files.fetch(url)) as file:
            yield file

    def presign(
        self, *, key: str = "owner", workspace: str | None = WORKSPACE, **wanted: Any
    ) -> Answer:
        """Ask for an upload of three bytes."""
        wanted = {"content_type": "image/png", "size_bytes": 3, **wanted}
        return self.presign_upload(PresignCommand(key_digest=key, workspace_id=workspace, **wanted))

    def presigned(self, **wanted: Any) -> str:
        """Ask for an upload, and return the asset's id."""
        return str(self.presign(**wanted).body["mediaAsset"]["id"])

    def from_url(
        self, url: str, *, key: str = "owner", workspace: str | None = WORKSPACE, **wanted: Any
    ) -> Answer:
        """Have a file fetched."""
        return self.add_from_url(
            FetchCommand(key_digest=key, workspace_id=workspace, url=url, **wanted)
        )

    def listed(self, *, key: str = "owner", workspace: str = WORKSPACE, **wanted: Any) -> Page:
        """List a page."""
        wanted = {"limit": 10, **wanted}
        return self.list_assets(ListCommand(key_digest=key, workspace_id=workspace, **wanted))

    def arrive(self, asset_id: str, content: bytes = PNG, kind: str = "image/png") -> None:
        """Have an upload's bytes arrive."""
        self.storage.objects[self.asset(asset_id).storage_key] = (content, kind)

    def asset(self, asset_id: str) -> Asset:
        """Read an asset that must be there."""
        asset = self.assets.asset(asset_id)
        assert asset is not None
        return asset

    def ready(self, **changes: Any) -> Asset:
        """Put an asset into the library whose bytes are there and are kept."""
        fields = {
            "id": an_id(ids.MEDIA, self.clock.at),
            "workspace_id": WORKSPACE,
            "created_at": self.clock.at,
            "created_by_user_id": USERS[Role.OWNER],
            **changes,
        }
        asset = an_asset(**fields)
        self.assets.add(asset)
        if asset.status is AssetStatus.READY:
            self.storage.objects[asset.storage_key] = (PNG, asset.content_type)
            self.storage.kept.add(asset.storage_key)
        return asset

    def check(self) -> None:
        """Check that what is READY is there for good, and all that posts need is READY."""
        for asset in self.assets._assets.values():
            if asset.status is AssetStatus.READY:
                assert asset.storage_key in self.storage.objects
                assert asset.storage_key in self.storage.kept
        for post_id in self.core.posts._posts:
            post = self.core.post(post_id)
            for asset_id in needed(post):
                asset = self.asset(asset_id)
                assert asset.status in (AssetStatus.READY, AssetStatus.DELETING)
                assert asset.storage_key in self.storage.objects

    def dies_after(self, calls: int, work: Any) -> bool:
        """Do some work in a process that dies after so many calls; tell whether it died."""
        made = 0

        def mortal(name: str, call: Any) -> Any:
            nonlocal made
            if made == calls:
                raise DiedError
            made += 1
            return call()

        self.core.tap = mortal
        try:
            work()
        except DiedError:
            return True
        finally:
            self.core.tap = straight
        return False


def needed(post: Post) -> set[str]:
    """Return the assets of a post that is still to go out, said without the domain's help."""
    waits = {PostStatus.NEEDS_APPROVAL, PostStatus.SCHEDULED, PostStatus.PUBLISHING}
    if post.status not in waits:
        return set()
    return {each.media_asset_id for each in post.media if each.url is None}
