"""What the media library needs of the world; outages are ``UnavailableError`` here, too."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol

from postbreeze.domain.errors import PostbreezeError
from postbreeze.domain.media import Asset


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetPage:
    """Assets, newest first; ``next_before`` is where the next page begins, None on the last."""

    assets: tuple[Asset, ...]
    next_before: str | None


class AssetStore(Protocol):
    """Assets, and which posts have come to need them."""

    def add(self, asset: Asset) -> None:
        """Add an asset that nobody knows of yet; repeating it is harmless."""
        ...

    def asset(self, asset_id: str) -> Asset | None:
        """Read one, strongly consistent."""
        ...

    def assets(self, asset_ids: Collection[str]) -> Mapping[str, Asset]:
        """Read up to 100 by id, strongly consistent; unknown ones are left out."""
        ...

    def replace(self, asset: Asset, *, expected_revision: int) -> None:
        """Write a changed asset.

        Raises:
            LostRaceError: It has changed meanwhile.
        """
        ...

    def remove(self, asset_id: str) -> None:
        """Remove an asset's row; one that is gone is fine."""
        ...

    def page(self, workspace_id: str, *, limit: int, before: str | None) -> AssetPage:
        """List up to 100 of a workspace's assets, newest first, from the one before that id on.

        A page can be shorter and not be the last: what has just been deleted is left out. One that
        was added a moment ago may be missing; what is listed is as it now stands.
        """
        ...

    def posts_naming(self, asset_id: str, *, limit: int, after: str | None) -> Sequence[str]:
        """List posts that have needed an asset, by id, strongly consistent.

        A commit that makes a post need an asset has put the post here before. It stays when the
        post needs it no more, and is here even if that commit never came about.
        """
        ...

    def forget(self, asset_id: str, post_ids: Collection[str]) -> None:
        """Take posts off that list; repeating it is harmless."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """What the storage has under a key."""

    content_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One ``PUT`` that a client may make to bring the bytes: once, with exactly these headers."""

    url: str
    headers: Mapping[str, str]
    expires_at: datetime


class Storage(Protocol):
    """Where the bytes are. What is put there expires in some days unless it is kept."""

    def address(self, key: str) -> str:
        """Return the address of what is there, which opens nothing; nothing is called."""
        ...

    def upload(self, key: str, *, content_type: str, size_bytes: int | None) -> Upload:
        """Make the request that brings the bytes, however many if None; nothing is called."""
        ...

    def put(self, key: str, body: BinaryIO, *, content_type: str, size_bytes: int) -> None:
        """Bring the bytes ourselves; repeating it is harmless."""
        ...

    def head(self, key: str) -> StoredObject | None:
        """Tell what is there."""
        ...

    def keep(self, key: str) -> None:
        """Have what is there never expire; repeating it is harmless."""
        ...

    def delete(self, key: str) -> None:
        """Remove what is there; nothing being there is fine."""
        ...


class FetchError(PostbreezeError):
    """A file could not be fetched from its address; the text is for the client to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedFile:
    """A file on this machine, at its beginning."""

    body: BinaryIO
    content_type: str
    size_bytes: int


class FileSource(Protocol):
    """The guarded way out to files."""

    def fetch(self, url: str) -> AbstractContextManager[FetchedFile]:
        """Fetch a file of a type that the library takes, following no redirect.

        At most 50 MiB and 20 seconds. The file is gone when the context ends.

        Raises:
            FetchError: There is no such file, or it may not be fetched.
        """
        ...
