"""The bodies that requests may have, and how they become values of the core.

Nothing is coerced and nothing unknown is let through. ``null`` stands for a field left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)
from pydantic import ValidationError as SchemaError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from postbreeze.domain import ids
from postbreeze.domain.errors import AmbiguousTargetsError, Detail, ValidationError
from postbreeze.domain.lifecycle import MOST_MEDIA, MOST_TARGETS
from postbreeze.domain.media import asset_of
from postbreeze.domain.post import MediaDraft, PostDraft, TargetDraft
from postbreeze.http.cancel_body import LONGEST_REASON
from postbreeze.http.requests import not_an_id, shown
from postbreeze.http.times import is_zone, parse_time

LONGEST_CAPTION = 10_000
LONGEST_FIRST_COMMENT = 2_000
LONGEST_ALT_TEXT = 2_000
LONGEST_URL = 2_048

_INVALID = "invalid"
"""The kind of the errors whose whole message is our own."""

AnyModel = TypeVar("AnyModel", bound="Body")


def _time(value: object) -> datetime:
    try:
        return parse_time(value)
    except ValueError as error:
        raise PydanticCustomError(_INVALID, "{why}", {"why": str(error)}) from None


def _zone(value: object) -> str:
    if isinstance(value, str) and is_zone(value):
        return value
    raise PydanticCustomError(_INVALID, "must be an IANA time zone, such as Europe/Berlin")


def _https_url(value: object) -> str:
    if isinstance(value, str) and len(value) <= LONGEST_URL and _is_https(value):
        return value
    raise PydanticCustomError(
        _INVALID,
        "must be an https address of at most {most} characters",
        {"most": LONGEST_URL},
    )


def _medium_url(value: object) -> str:
    # An asset's address is only looked at, so it may be that of a storage without https.
    if isinstance(value, str) and len(value) <= LONGEST_URL and asset_of(MediaDraft(url=value)):
        return value
    return _https_url(value)


def _is_https(url: str) -> bool:
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        has_user = parts.username is not None or parts.password is not None
        return parts.scheme == "https" and bool(parts.hostname) and parts.port != 0 and not has_user
    except ValueError:
        return False


Time = Annotated[
    datetime,
    PlainValidator(_time),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339 with any offset; one without an offset is refused.",
            "examples": ["2026-06-15T09:00:00Z"],
        }
    ),
]
Zone = Annotated[
    str,
    PlainValidator(_zone),
    WithJsonSchema(
        {
            "type": "string",
            "description": "A name of the IANA time zone database.",
            "examples": ["Europe/Berlin"],
        }
    ),
]
HttpsUrl = Annotated[
    str,
    PlainValidator(_https_url),
    WithJsonSchema(
        {"type": "string", "format": "uri", "pattern": "^https://", "maxLength": LONGEST_URL}
    ),
]
MediumUrl = Annotated[
    str,
    PlainValidator(_medium_url),
    WithJsonSchema(
        {
            "type": "string",
            "format": "uri",
            "maxLength": LONGEST_URL,
            "description": "An https address, or an asset's `publicUrl`: then the asset is meant.",
        }
    ),
]
AccountId = Annotated[str, StringConstraints(pattern=ids.pattern(ids.ACCOUNT))]
TargetId = Annotated[str, StringConstraints(pattern=ids.pattern(ids.TARGET))]
MediaId = Annotated[str, StringConstraints(pattern=ids.pattern(ids.MEDIA))]
Caption = Annotated[str, StringConstraints(max_length=LONGEST_CAPTION)]
FirstComment = Annotated[str, StringConstraints(max_length=LONGEST_FIRST_COMMENT)]
AltText = Annotated[str, StringConstraints(max_length=LONGEST_ALT_TEXT)]
MediaIds = Annotated[
    list[MediaId],
    Field(
        max_length=MOST_MEDIA,
        description=(
            "Assets of the media library in the order in which they are shown, after `mediaItems`."
            " They must be of the post's workspace, and READY. A target that has its own shows them"
            " in place of the post's media."
        ),
    ),
]
MediaAltText = Annotated[
    dict[str, AltText],
    Field(
        max_length=MOST_MEDIA,
        description="What to say of an asset in this post, by its id; without it, its own text.",
        json_schema_extra={"propertyNames": {"pattern": ids.pattern(ids.MEDIA)}},
    ),
]


class Body(BaseModel):
    """What every body, and every object within one, has in common."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        # Values of a request must not reach a log by way of an error's text.
        hide_input_in_errors=True,
        # Built when first used: a function pays only for the bodies it reads.
        defer_build=True,
        alias_generator=to_camel,
    )


class CancelBody(Body):
    """What to stop and why; all of it optional."""

    # Only described by this; read by `cancel_body`.

    reason: Annotated[str, StringConstraints(max_length=LONGEST_REASON)] | None = None
    target_ids: Annotated[list[TargetId], Field(min_length=1, max_length=MOST_TARGETS)] | None = (
        None
    )


class ScheduleBody(Body):
    """When to publish."""

    scheduled_for: Time


class _TargetFields(Body):
    caption_override: Caption | None = None
    first_comment: FirstComment | None = None
    platform_options: dict[str, Any] | None = None
    media_ids: MediaIds | None = None

    def draft(self, account_id: str) -> TargetDraft:
        return TargetDraft(
            social_account_id=account_id,
            caption_override=self.caption_override,
            first_comment=self.first_comment,
            platform_options=self.platform_options,
            media_ids=tuple(self.media_ids or ()),
        )


class PlatformBody(_TargetFields):
    """One account to post to, in the flat shape."""

    account_id: AccountId


class TargetBody(_TargetFields):
    """One account to post to, in the nested shape."""

    social_account_id: AccountId


class MediaItemBody(Body):
    """A picture, video or document, fetched from its address when the post is published."""

    url: MediumUrl
    alt_text: AltText | None = None
    type: (
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=50),
            Field(
                description=(
                    "`image`, `video`, `gif` or `document` in either case, or a content type."
                    " An asset has its own."
                )
            ),
        ]
        | None
    ) = None


class _PostFields(Body):
    timezone: Zone | None = None
    media_ids: MediaIds | None = None
    media_items: Annotated[list[MediaItemBody], Field(max_length=MOST_MEDIA)] | None = None
    media_alt_text: MediaAltText | None = None
    requires_approval: bool | None = None

    def media(self) -> tuple[MediaDraft, ...]:
        return tuple(
            MediaDraft(url=item.url, alt_text=item.alt_text, kind=item.type)
            for item in self.media_items or ()
        )


class FlatPostBody(_PostFields):
    """A post in the flat shape."""

    platforms: Annotated[list[PlatformBody], Field(min_length=1, max_length=MOST_TARGETS)]
    content: Caption | None = None
    scheduled_for: Time | None = None
    draft_scheduled_for: Time | None = None


class NestedPostBody(_PostFields):
    """A post in the nested shape."""

    targets: Annotated[list[TargetBody], Field(min_length=1, max_length=MOST_TARGETS)]
    caption: Caption | None = None
    scheduled_at: Time | None = None
    draft_scheduled_at: Time | None = None


def schedule_time(document: Mapping[str, Any] | None) -> datetime:
    """Read the body that says when to publish.

    Raises:
        ValidationError: It is not as it must be.
    """
    return read_body(ScheduleBody, document).scheduled_for


def check_no_fields(document: Mapping[str, Any] | None) -> None:
    """Refuse fields where a route has none.

    Raises:
        ValidationError: There are some.
    """
    read_body(Body, document or {})


def post_draft(document: Mapping[str, Any] | None) -> PostDraft:
    """Read the body of a new post, in either shape.

    Raises:
        AmbiguousTargetsError: It has both or neither of ``platforms`` and ``targets``.
        ValidationError: It is not as it must be.
    """
    if document is None:
        raise ValidationError.of("body", "is required")
    given = {name for name in ("platforms", "targets") if document.get(name) is not None}
    if len(given) != 1:
        raise AmbiguousTargetsError
    # A null for a field of the other shape is a field left out, too.
    fields = FlatPostBody.model_fields.keys() | NestedPostBody.model_fields.keys()
    known = {to_camel(field) for field in fields}
    document = {
        name: value for name, value in document.items() if value is not None or name not in known
    }
    return _flat(document) if "platforms" in given else _nested(document)


def _flat(document: Mapping[str, Any]) -> PostDraft:
    body = read_body(FlatPostBody, document)
    _check_alt_text(body)
    return PostDraft(
        targets=tuple(platform.draft(platform.account_id) for platform in body.platforms),
        caption=body.content,
        scheduled_for=body.scheduled_for,
        draft_scheduled_for=body.draft_scheduled_for,
        timezone=body.timezone,
        media=body.media(),
        media_ids=tuple(body.media_ids or ()),
        media_alt_text=body.media_alt_text or {},
        requires_approval=body.requires_approval or False,
        flat_shape=True,
    )


def _nested(document: Mapping[str, Any]) -> PostDraft:
    body = read_body(NestedPostBody, document)
    _check_alt_text(body)
    return PostDraft(
        targets=tuple(target.draft(target.social_account_id) for target in body.targets),
        caption=body.caption,
        scheduled_for=body.scheduled_at,
        draft_scheduled_for=body.draft_scheduled_at,
        timezone=body.timezone,
        media=body.media(),
        media_ids=tuple(body.media_ids or ()),
        media_alt_text=body.media_alt_text or {},
        requires_approval=body.requires_approval or False,
        flat_shape=False,
    )


def _check_alt_text(body: _PostFields) -> None:
    # Here, as the names of an object that are wrong are not where they stand in its schema's path.
    details = [
        Detail(f"mediaAltText.{shown(name)}", not_an_id(ids.MEDIA))
        for name in body.media_alt_text or ()
        if not ids.is_id(ids.MEDIA, name)
    ]
    if details:
        raise ValidationError(details)


def read_body(model: type[AnyModel], document: Mapping[str, Any] | None) -> AnyModel:
    """Read a body.

    Raises:
        ValidationError: There is none, or it is not as the model has it; all that is wrong is
            named.
    """
    if document is None:
        raise ValidationError.of("body", "is required")
    try:
        return model.model_validate(document)
    except SchemaError as error:
        details = error.errors(include_url=False, include_input=False)
        raise ValidationError([_detail(detail) for detail in details]) from None


def _detail(error: ErrorDetails) -> Detail:
    path = ".".join(shown(str(part)) for part in error["loc"])
    return Detail(path or "body", _message(error))


def _message(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is not a known field"
        case "too_short" | "string_too_short":
            return "must not be empty"
        case "string_pattern_mismatch":
            return not_an_id(context["pattern"][1:].partition("_")[0])
        case kind if kind in _TYPES:
            return f"must be {_TYPES[kind]}"
        case kind if kind in _BOUNDS:
            return _BOUNDS[kind].format(**context)
        case _:
            return error["msg"]


_TYPES = {
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "none_required": "null",
}
_BOUNDS = {
    "string_too_long": "must have at most {max_length} characters",
    "too_long": "must have at most {max_length} items",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}
