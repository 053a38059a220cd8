"""The bodies that requests may have, and how they become values of the core.

Nothing is coerced and nothing unknown is let through. ``null`` stands for a field left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
from postbreeze.domain.post import MediaDraft, PostDraft, TargetDraft
from postbreeze.http.requests import shown
from postbreeze.http.times import is_zone, parse_time

LONGEST_CAPTION = 10_000
LONGEST_FIRST_COMMENT = 2_000
LONGEST_REASON = 500
LONGEST_ALT_TEXT = 2_000
LONGEST_URL = 2_048

_INVALID = "invalid"
"""The kind of the errors whose whole message is our own."""

_UNKNOWN_MEDIA = "unknown media asset"

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
        description="Assets of the media library, which does not exist yet: leave it empty.",
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

    reason: Annotated[str, StringConstraints(max_length=LONGEST_REASON)] | None = None
    target_ids: Annotated[list[TargetId], Field(min_length=1, max_length=MOST_TARGETS)] | None = (
        None
    )


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
        )


class PlatformBody(_TargetFields):
    """One account to post to, in the flat shape."""

    account_id: AccountId


class TargetBody(_TargetFields):
    """One account to post to, in the nested shape."""

    social_account_id: AccountId


class MediaItemBody(Body):
    """A picture or video, fetched from its address when the post is published."""

    url: HttpsUrl
    alt_text: AltText | None = None
    type: Annotated[str, StringConstraints(min_length=1, max_length=50)] | None = None


class _PostFields(Body):
    timezone: Zone | None = None
    media_ids: MediaIds | None = None
    media_items: Annotated[list[MediaItemBody], Field(max_length=MOST_MEDIA)] | None = None
    media_alt_text: dict[str, AltText] | None = None
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelWish:
    """A cancel's body as the operation takes it."""

    reason: str | None = None
    target_ids: tuple[str, ...] | None = None


def cancel_wish(document: Mapping[str, Any] | None) -> CancelWish:
    """Read the body of a cancel; there need not be one.

    Raises:
        ValidationError: It is not as it must be.
    """
    if document is None:
        return CancelWish()
    body = _read(CancelBody, document)
    targets = body.target_ids
    return CancelWish(
        reason=body.reason,
        target_ids=None if targets is None else tuple(dict.fromkeys(targets)),
    )


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
    body = _read(FlatPostBody, document)
    _check_media(body, [("platforms", platform) for platform in body.platforms])
    _check_one_time(body, "scheduled_for", "draft_scheduled_for")
    return PostDraft(
        targets=tuple(platform.draft(platform.account_id) for platform in body.platforms),
        caption=body.content,
        scheduled_for=body.scheduled_for,
        draft_scheduled_for=body.draft_scheduled_for,
        timezone=body.timezone,
        media=body.media(),
        requires_approval=body.requires_approval or False,
        flat_shape=True,
    )


def _nested(document: Mapping[str, Any]) -> PostDraft:
    body = _read(NestedPostBody, document)
    _check_media(body, [("targets", target) for target in body.targets])
    _check_one_time(body, "scheduled_at", "draft_scheduled_at")
    return PostDraft(
        targets=tuple(target.draft(target.social_account_id) for target in body.targets),
        caption=body.caption,
        scheduled_for=body.scheduled_at,
        draft_scheduled_for=body.draft_scheduled_at,
        timezone=body.timezone,
        media=body.media(),
        requires_approval=body.requires_approval or False,
        flat_shape=False,
    )


def _check_media(body: _PostFields, targets: Iterable[tuple[str, _TargetFields]]) -> None:
    # There is no media library yet, so no asset that could be named exists.
    paths = [f"mediaIds.{index}" for index, _ in enumerate(body.media_ids or ())]
    paths += [f"mediaAltText.{shown(name)}" for name in body.media_alt_text or ()]
    for position, (name, target) in enumerate(targets):
        media = target.media_ids or ()
        paths += [f"{name}.{position}.mediaIds.{index}" for index, _ in enumerate(media)]
    if paths:
        raise ValidationError([Detail(path, _UNKNOWN_MEDIA) for path in paths])


def _check_one_time(body: Body, scheduled: str, wished: str) -> None:
    if None not in (getattr(body, scheduled), getattr(body, wished)):
        raise ValidationError.of(
            to_camel(wished), f"must not be given together with {to_camel(scheduled)}"
        )


def _read(model: type[AnyModel], document: Mapping[str, Any]) -> AnyModel:
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
        case "string_too_long":
            return f"must have at most {context['max_length']} characters"
        case "too_long":
            return f"must have at most {context['max_length']} items"
        case "too_short" | "string_too_short":
            return "must not be empty"
        case "string_pattern_mismatch":
            prefix = context["pattern"][1:].partition("_")[0]
            return f"must be {prefix}_ and 26 upper-case base-32 characters"
        case kind if kind in _TYPES:
            return f"must be {_TYPES[kind]}"
        case _:
            return error["msg"]


_TYPES = {
    "string_type": "a string",
    "bool_type": "true or false",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
