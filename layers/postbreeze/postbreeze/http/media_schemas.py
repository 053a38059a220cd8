"""The bodies of requests to the media library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints, WithJsonSchema

from postbreeze.domain.media import CONTENT_TYPES, LONGEST_VIDEO, SHORTEST_VIDEO
from postbreeze.http.schemas import AltText, Body, HttpsUrl, read_body
from postbreeze.operations.media.add import FetchCommand, PresignCommand

LONGEST_FILENAME = 255

# Which types there are, and the sizes they may have, is for the library to say.
ContentTypeName = Annotated[str, WithJsonSchema({"type": "string", "enum": list(CONTENT_TYPES)})]
SizeBytes = Annotated[
    int,
    WithJsonSchema(
        {
            "type": "integer",
            "minimum": 1,
            "maximum": max(each.most_bytes for each in CONTENT_TYPES.values()),
            "description": "May be left out: then it is looked at when it has come. At most "
            + ", ".join(f"{each.most_bytes} for {name}" for name, each in CONTENT_TYPES.items())
            + ".",
        }
    ),
]
Duration = Annotated[
    float,
    WithJsonSchema(
        {
            "type": "number",
            "minimum": SHORTEST_VIDEO,
            "maximum": LONGEST_VIDEO,
            "description": "How long a video lasts, as far as you know; platforms have limits.",
        }
    ),
]
Filename = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_FILENAME)]


class _NewAsset(Body):
    alt_text: AltText | None = None
    duration_seconds: Duration | None = None
    folder_id: Annotated[None, Field(description="There are no folders.")] = None


class PresignBody(_NewAsset):
    """A file that you will upload."""

    filename: Filename
    content_type: ContentTypeName
    size_bytes: Annotated[SizeBytes | None, Field(alias="bytes")] = None


class FromUrlBody(_NewAsset):
    """A file to be fetched from a public address: at most 50 MiB, within 15 seconds."""

    url: HttpsUrl
    filename: Filename | None = None


class EditAssetBody(Body):
    """What to change of an asset; posts that name it already keep what they say."""

    alt_text: Annotated[AltText | None, Field(description="`null` takes it away.")]


def presign_command(
    document: Mapping[str, Any] | None, key_digest: str, workspace_id: str | None
) -> PresignCommand:
    """Read the body of a wish to upload.

    Raises:
        ValidationError: It is not as it must be.
    """
    body = read_body(PresignBody, document)
    return PresignCommand(
        key_digest=key_digest,
        workspace_id=workspace_id,
        content_type=body.content_type,
        size_bytes=body.size_bytes,
        alt_text=body.alt_text,
        duration_seconds=body.duration_seconds,
        filename=body.filename,
    )


def fetch_command(
    document: Mapping[str, Any] | None, key_digest: str, workspace_id: str | None
) -> FetchCommand:
    """Read the body of a wish to have a file fetched.

    Raises:
        ValidationError: It is not as it must be.
    """
    body = read_body(FromUrlBody, document)
    return FetchCommand(
        key_digest=key_digest,
        workspace_id=workspace_id,
        url=body.url,
        alt_text=body.alt_text,
        duration_seconds=body.duration_seconds,
        filename=body.filename,
    )


def edited_alt_text(document: Mapping[str, Any] | None) -> str | None:
    """Read the body of a change; an empty text is none.

    Raises:
        ValidationError: It is not as it must be.
    """
    return read_body(EditAssetBody, document).alt_text or None
