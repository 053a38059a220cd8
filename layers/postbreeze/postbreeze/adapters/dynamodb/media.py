"""The media library in DynamoDB."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from postbreeze.adapters.dynamodb import keys
from postbreeze.adapters.dynamodb.items.common import value_of
from postbreeze.adapters.dynamodb.items.media import AssetPostRow, AssetRow, asset_row
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.domain.errors import LostRaceError
from postbreeze.domain.media import Asset
from postbreeze.operations.media.ports import AssetPage


class DynamoAssetStore:
    """Assets, and which posts have come to need them."""

    def __init__(self, database: Database, *, media_table: str) -> None:
        """Call nothing yet."""
        self._table = database.table(media_table)

    def add(self, asset: Asset) -> None:
        """Add an asset that nobody knows of yet; repeating it is harmless."""
        self._table.put(asset_row(asset))

    def asset(self, asset_id: str) -> Asset | None:
        """Read one, strongly consistent."""
        row = self._table.get(AssetRow, keys.asset(asset_id), keys.ASSET)
        return None if row is None else value_of(Asset, row)

    def assets(self, asset_ids: Collection[str]) -> Mapping[str, Asset]:
        """Read up to 100 by id, strongly consistent; unknown ones are left out.

        Raises:
            ValueError: They are more.
        """
        rows = self._table.get_all([(keys.asset(each), keys.ASSET) for each in set(asset_ids)])
        found = (value_of(Asset, AssetRow.from_raw_data(raw)) for raw in rows)
        return {asset.id: asset for asset in found}

    def replace(self, asset: Asset, *, expected_revision: int) -> None:
        """Write a changed asset.

        Raises:
            LostRaceError: It has changed meanwhile. So it has where an answer was lost and the call
                repeated: reading again tells.
        """
        if not self._table.put(asset_row(asset), AssetRow.revision == expected_revision):
            raise LostRaceError("the asset has changed")

    def remove(self, asset_id: str) -> None:
        """Remove an asset's row; one that is gone is fine."""
        self._table.delete(keys.asset(asset_id), keys.ASSET)

    def page(self, workspace_id: str, *, limit: int, before: str | None) -> AssetPage:
        """List a workspace's assets, newest first, from the one before that id on.

        The index says which they are, the table what they are: nothing that is shown is old.
        """
        rows = self._table.query_index(
            "library",
            workspace_id,
            None if before is None else AssetRow.id < before,
            limit=limit + 1,
            newest_first=True,
        )
        found = [row["id"]["S"] for row in rows]
        shown = found[:limit]
        standing = self.assets(shown) if shown else {}
        return AssetPage(
            assets=tuple(standing[each] for each in shown if each in standing),
            next_before=shown[-1] if len(found) > limit else None,
        )

    def posts_naming(self, asset_id: str, *, limit: int, after: str | None) -> Sequence[str]:
        """List posts that have needed an asset, by id, strongly consistent."""
        rows = self._table.query(
            keys.asset(asset_id),
            AssetPostRow.sk.startswith(keys.POSTS)
            if after is None
            else AssetPostRow.sk.between(keys.POSTS + after + "!", keys.POSTS + "~"),
            limit=limit,
        )
        return [keys.identifier(row["sk"]["S"]) for row in rows]

    def forget(self, asset_id: str, post_ids: Collection[str]) -> None:
        """Take posts off that list; repeating it is harmless."""
        for post_id in post_ids:
            self._table.delete(keys.asset(asset_id), keys.POSTS + post_id)
