"""The routes of the media library."""

from __future__ import annotations

from postbreeze.domain.errors import (
    ContendedError,
    ForbiddenError,
    MediaInUseError,
    NotFoundError,
    ValidationError,
)
from postbreeze.http.media import MOST_ON_PAGE, USUAL_PAGE
from postbreeze.http.media_schemas import EditAssetBody, FromUrlBody, PresignBody
from postbreeze.http.openapi.declaring import Operation, Resource, Success
from postbreeze.http.openapi.errors import KEYED, WITH_BODY
from postbreeze.http.openapi.schemas import IN_WORKSPACE, MEDIA_ID, Schema, a_page, ref

_INTO_WORKSPACE: Schema = {
    **IN_WORKSPACE,
    "description": "The workspace; needed unless the key reaches exactly one.",
}
_ASSET = Success(description="The asset", schema=ref("MediaAsset"))

_PRESIGN = Operation(
    method="post",
    path="/media/presign",
    name="presignMedia",
    summary="Add a file that you upload",
    description=(
        "Answers with the asset, which is PENDING, and with the request that brings its bytes to"
        " the storage, within 15 minutes. It is READY once they are there, or FAILED if they"
        " cannot be taken; one that is never READY is gone after a day."
    ),
    parameters=(_INTO_WORKSPACE,),
    bodies=(PresignBody,),
    example={"filename": "tulips.png", "contentType": "image/png", "bytes": 48_213},
    answers=(
        Success(
            status=201,
            description="The asset, and how to upload it",
            schema=ref("MediaUpload"),
            headers=("Location",),
        ),
    ),
    errors=(*KEYED, *WITH_BODY, ForbiddenError, NotFoundError),
)

_FROM_URL = Operation(
    method="post",
    path="/media/from-url",
    name="addMediaFromUrl",
    summary="Add a file from a public address",
    description="The file is fetched before this answers: at most 50 MiB, within 15 seconds.",
    parameters=(_INTO_WORKSPACE,),
    bodies=(FromUrlBody,),
    example={"url": "https://example.com/spring.png"},
    answers=(
        Success(
            status=201,
            description="The asset",
            schema=ref("MediaAsset"),
            headers=("Location",),
        ),
    ),
    errors=(*KEYED, *WITH_BODY, ForbiddenError, NotFoundError),
)

_LIST = Operation(
    method="get",
    path="/media",
    name="listMedia",
    summary="List the library of a workspace",
    description="Newest first. Only without a `Link` a page is the last.",
    parameters=(
        {**IN_WORKSPACE, "required": True, "description": "The workspace."},
        *a_page(usual=USUAL_PAGE, most=MOST_ON_PAGE),
    ),
    answers=(
        Success(
            description="A page of assets",
            schema={"type": "array", "items": ref("MediaAsset"), "maxItems": MOST_ON_PAGE},
            headers=("Link",),
        ),
    ),
    errors=(*KEYED, ValidationError, ForbiddenError, NotFoundError),
)

_READ = Operation(
    method="get",
    path="/media/{mediaId}",
    name="getMedia",
    summary="Read an asset",
    parameters=(MEDIA_ID,),
    answers=(_ASSET,),
    errors=(*KEYED, ValidationError, NotFoundError),
)

_EDIT = Operation(
    method="patch",
    path="/media/{mediaId}",
    name="editMedia",
    summary="Change what is said of an asset",
    description="Posts that name it already keep what they say.",
    parameters=(MEDIA_ID,),
    bodies=(EditAssetBody,),
    example={"altText": "A field of tulips under a blue sky."},
    answers=(_ASSET,),
    errors=(*KEYED, *WITH_BODY, ForbiddenError, NotFoundError, ContendedError),
)

_DELETE = Operation(
    method="delete",
    path="/media/{mediaId}",
    name="deleteMedia",
    summary="Delete an asset",
    description="Refused while a post that is still to go out needs it.",
    parameters=(MEDIA_ID,),
    answers=(Success(description="The asset as it was left", schema=ref("MediaAsset")),),
    errors=(
        *KEYED,
        ValidationError,
        ForbiddenError,
        NotFoundError,
        MediaInUseError,
        ContendedError,
    ),
)

RESOURCE = Resource(
    tag="media",
    description="Pictures, videos and documents for posts.",
    operations=(_PRESIGN, _FROM_URL, _LIST, _READ, _EDIT, _DELETE),
)
