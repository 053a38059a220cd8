"""Assets as operations come by them: an upload that has arrived is noticed when it is asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from postbreeze.domain.errors import LostRaceError
from postbreeze.domain.media import Asset, AssetStatus, fault_of_upload
from postbreeze.operations.media.ports import AssetStore, Storage
from postbreeze.operations.ports import Clock, Telemetry, Together

DELETING_AT_MOST = timedelta(minutes=1)
"""After this nobody is deleting an asset any more: functions are stopped long before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """Reads assets, and completes those whose bytes have arrived."""

    assets: AssetStore
    storage: Storage
    together: Together
    clock: Clock
    telemetry: Telemetry

    def named(self, workspace_id: str, asset_ids: Collection[str]) -> Mapping[str, Asset]:
        """Return those of a workspace's assets that exist, by id; without ids nothing is called.

        Raises:
            UnavailableError: The table or the storage did not answer.
        """
        if not asset_ids:
            return {}
        now = self.clock.now()
        found = [
            asset
            for asset in self.assets.assets(asset_ids).values()
            if asset.workspace_id == workspace_id and asset.exists(now)
        ]
        completed = self.together.run(*(partial(self.completed, asset) for asset in found))
        return {asset.id: asset for asset in completed}

    def completed(self, asset: Asset) -> Asset:
        """Return an asset as it stands now.

        One that was PENDING is READY if its bytes have come, or FAILED if they cannot be taken:
        what has come once cannot be replaced, and what is not kept expires. One that has been
        DELETING for a while is so again too: who was deleting it died, or will have to decide anew.

        The bytes are kept before the row says READY: dying in between leaves an upload that the
        next reader completes, never an asset whose bytes expire.

        Raises:
            UnavailableError: The table or the storage did not answer; repeating it is harmless.
        """
        if asset.status is not AssetStatus.PENDING and not self._is_abandoned(asset):
            return asset
        stored = self.storage.head(asset.storage_key)
        if stored is None:
            return asset
        fault = fault_of_upload(asset, stored.content_type, stored.size_bytes)
        if fault is None:
            self.storage.keep(asset.storage_key)
        else:
            self.telemetry.warn("upload cannot be taken", asset_id=asset.id)
        completed = replace(
            asset,
            status=AssetStatus.READY if fault is None else AssetStatus.FAILED,
            size_bytes=stored.size_bytes,
            failure_reason=fault,
            updated_at=self.clock.now(),
            revision=asset.revision + 1,
        )
        try:
            self.assets.replace(completed, expected_revision=asset.revision)
        except LostRaceError:
            return self.assets.asset(asset.id) or replace(asset, status=AssetStatus.DELETED)
        return completed

    def _is_abandoned(self, asset: Asset) -> bool:
        return (
            asset.status is AssetStatus.DELETING
            and asset.updated_at is not None
            and self.clock.now() > asset.updated_at + DELETING_AT_MOST
        )
