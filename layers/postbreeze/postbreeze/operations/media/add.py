"""Adding to the media library: by an upload of the client's own, or from an address."""

from __future__ import annotations

from dataclasses import dataclass

from postbreeze.domain import ids
from postbreeze.domain.access import AUTHORS, Member
from postbreeze.domain.documents import timestamp
from postbreeze.domain.errors import Detail, ValidationError
from postbreeze.domain.media import (
    Asset,
    AssetStatus,
    asset_document,
    check_file,
    storage_key,
)
from postbreeze.operations import gate
from postbreeze.operations.answers import Answer
from postbreeze.operations.media.library import Library
from postbreeze.operations.media.ports import AssetStore, FetchError, FileSource, Storage
from postbreeze.operations.ports import Clock, Directory, Randomness
from postbreeze.operations.workspaces import reached


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCommand:
    """A client's wish for a new asset, in the only workspace of its key if it names none."""

    key_digest: str
    workspace_id: str | None = None
    alt_text: str | None = None
    duration_seconds: float | None = None
    filename: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignCommand(AddCommand):
    """A wish to bring the bytes oneself."""

    content_type: str
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchCommand(AddCommand):
    """A wish to have the bytes fetched."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Adding:
    """What both ways of adding have in common."""

    assets: AssetStore
    storage: Storage
    directory: Directory
    clock: Clock
    randomness: Randomness

    def _permitted(self, command: AddCommand) -> Member:
        """Return the membership by which the client may add to the workspace."""
        key = gate.usable(self.directory.admit(command.key_digest), self.clock.now())
        if command.workspace_id is None:
            members = reached(self.directory, key)
            if len(members) != 1:
                raise ValidationError.of(
                    "query.workspaceId", "is required: the key does not reach exactly one workspace"
                )
            return gate.permitted(members[0], AUTHORS)
        gate.workspace_named(key, command.workspace_id)
        member = self.directory.member(command.workspace_id, key.owner_user_id)
        return gate.permitted(member, AUTHORS)

    def _added(
        self, command: AddCommand, member: Member, *, content_type: str, size_bytes: int | None
    ) -> Asset:
        now = self.clock.now()
        asset_id = ids.new_id(ids.MEDIA, now, self.randomness.token(10))
        asset = Asset(
            id=asset_id,
            workspace_id=member.workspace_id,
            status=AssetStatus.PENDING,
            content_type=content_type,
            size_bytes=size_bytes,
            created_at=now,
            created_by_user_id=member.user_id,
            alt_text=command.alt_text,
            duration_seconds=command.duration_seconds,
            filename=command.filename,
            public_url=self.storage.address(storage_key(member.workspace_id, asset_id)),
        )
        self.assets.add(asset)
        return asset


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignUpload(_Adding):
    """Makes an asset whose bytes the client brings itself."""

    def __call__(self, command: PresignCommand) -> Answer:
        """Answer with the asset, which is PENDING, and with the request that brings its bytes.

        Repeating it makes another asset; one that never gets its bytes is gone after a day.

        Raises:
            RefusalError: Not allowed, or no file that the library takes; nothing was written.
            UnavailableError: The database did not answer.
        """
        member = self._permitted(command)
        details = check_file(command.content_type, command.size_bytes, command.duration_seconds)
        if details:
            raise ValidationError(details)
        asset = self._added(
            command, member, content_type=command.content_type, size_bytes=command.size_bytes
        )
        upload = self.storage.upload(
            asset.storage_key, content_type=asset.content_type, size_bytes=asset.size_bytes
        )
        body = {
            "uploadUrl": upload.url,
            "publicUrl": asset.public_url,
            "expiresAt": timestamp(upload.expires_at),
            "headers": dict(upload.headers),
            "mediaAsset": asset_document(asset),
        }
        return Answer(status=201, body=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddFromUrl(_Adding):
    """Makes an asset of a file that is fetched from a public address."""

    library: Library
    source: FileSource

    def __call__(self, command: FetchCommand) -> Answer:
        """Fetch, store, and answer with the asset, which is READY.

        What is left of one that broke off is gone after some days; repeating it makes another.

        Raises:
            RefusalError: Not allowed, or no file that the library takes; nothing was written.
            UnavailableError: The database or the storage did not answer.
        """
        member = self._permitted(command)
        try:
            with self.source.fetch(command.url) as file:
                details = check_file(file.content_type, file.size_bytes, command.duration_seconds)
                if details:
                    raise ValidationError([_about_url(detail) for detail in details])
                asset = self._added(
                    command, member, content_type=file.content_type, size_bytes=file.size_bytes
                )
                self.storage.put(
                    asset.storage_key,
                    file.body,
                    content_type=file.content_type,
                    size_bytes=file.size_bytes,
                )
        except FetchError as error:
            raise ValidationError.of("url", str(error)) from error
        return Answer(status=201, body=asset_document(self.library.completed(asset)))


def _about_url(detail: Detail) -> Detail:
    """Tell of the file what the client did not say itself."""
    if detail.path == "durationSeconds":
        return detail
    subject = {"contentType": "its content type", "bytes": "its size in bytes"}[detail.path]
    return Detail("url", f"has a file that cannot be taken: {subject} {detail.message}")
