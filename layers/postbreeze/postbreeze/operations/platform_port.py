"""What the core asks of a social platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A picture, video or document to be attached, in order.

    Its bytes are in the media library's storage under ``storage_key``, or else at ``url``.
    """

    url: str | None = None
    storage_key: str | None = None
    content_type: str | None = None
    alt_text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Everything that decides what appears on the platform for one target.

    ``target_id`` names the target for ever: the platform's record key is derived from it, so that
    one target can never become two records. ``created_at`` (UTC) is the claim's moment and is what
    the record says of itself.
    """

    target_id: str
    account_id: str
    external_account_id: str
    text: str
    created_at: datetime
    attachments: tuple[Attachment, ...] = ()
    first_comment: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalPost:
    """The post as the platform knows it."""

    id: str
    url: str
    reference: Mapping[str, str] = field(default_factory=dict)
    """What a reply needs beside the id (for AT Protocol: uri and cid)."""


class PreparedPost(Protocol):
    """A publication for which everything but the publishing itself is done."""

    def publish(self) -> ExternalPost:
        """Make the one call that makes it public.

        Raises:
            PlatformRetriableError: Nothing was sent.
            PlatformRejectedError: The platform answered no.
            PlatformOutcomeUnknownError: Sent, and no usable answer came back.
        """
        ...


class PlatformClient(Protocol):
    """One social platform."""

    def prepare(self, publication: Publication, credentials: Mapping[str, str]) -> PreparedPost:
        """Sign in and upload media; publish nothing.

        Raises:
            PlatformRetriableError: Worth trying again later.
            PlatformRejectedError: Trying again cannot help.
        """
        ...

    def find(self, publication: Publication, credentials: Mapping[str, str]) -> ExternalPost | None:
        """Ask whether this target is public already; None means it surely is not.

        It is the target that is looked for: its text may have been edited since it was published.

        Raises:
            PlatformRetriableError: The platform could not be asked now.
            PlatformRejectedError: The platform cannot tell, and will not be able to.
        """
        ...

    def comment(
        self,
        publication: Publication,
        post: ExternalPost,
        credentials: Mapping[str, str],
    ) -> None:
        """Add the publication's first comment under its post, at most once.

        Raises:
            PlatformError: It was not added, or it is unknown whether it was.
        """
        ...
