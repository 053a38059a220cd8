"""Bodies become values exactly as the contract says, and everything else is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from postbreeze.domain import ids
from postbreeze.domain.errors import AmbiguousTargetsError, ValidationError
from postbreeze.domain.post import MediaDraft, PostDraft, TargetDraft
from postbreeze.http.schemas import post_draft
from postbreeze.http.times import is_zone, parse_time
from tests.support.builders import an_id

ACCOUNT = an_id(ids.ACCOUNT)
OTHER = an_id(ids.ACCOUNT)
TARGET = an_id(ids.TARGET)
MEDIUM = an_id(ids.MEDIA)
WHEN = "2026-06-15T09:00:00Z"


def flat(**fields: Any) -> dict[str, Any]:
    return {"platforms": [{"accountId": ACCOUNT}], **fields}


def nested(**fields: Any) -> dict[str, Any]:
    return {"targets": [{"socialAccountId": ACCOUNT}], **fields}


def faults(document: dict[str, Any]) -> dict[str, str]:
    """Read a document that must be refused; return what was said of which path."""
    with pytest.raises(ValidationError) as refused:
        post_draft(document)
    return {detail.path: detail.message for detail in refused.value.details}


def test_the_whole_flat_shape_is_understood() -> None:
    draft = post_draft(
        {
            "platforms": [
                {
                    "accountId": ACCOUNT,
                    "captionOverride": "a",
                    "firstComment": "b",
                    "platformOptions": {"deep": [1, {"x": None}]},
                    "mediaIds": [],
                },
                {"accountId": OTHER},
            ],
            "content": "c",
            "scheduledFor": "2026-06-15T11:00:00.1239+02:00",
            "draftScheduledFor": None,
            "timezone": "Europe/Berlin",
            "mediaIds": [],
            "mediaItems": [
                {"url": "https://example.com/a.png", "altText": "d", "type": "image"},
                {"url": "https://example.com:8443/b?c=d"},
            ],
            "mediaAltText": {},
            "requiresApproval": True,
        }
    )
    assert draft == PostDraft(
        targets=(
            TargetDraft(
                social_account_id=ACCOUNT,
                caption_override="a",
                first_comment="b",
                platform_options={"deep": [1, {"x": None}]},
            ),
            TargetDraft(social_account_id=OTHER),
        ),
        caption="c",
        scheduled_for=datetime(2026, 6, 15, 9, 0, 0, 123000, tzinfo=UTC),
        timezone="Europe/Berlin",
        media=(
            MediaDraft(url="https://example.com/a.png", alt_text="d", kind="image"),
            MediaDraft(url="https://example.com:8443/b?c=d"),
        ),
        requires_approval=True,
        flat_shape=True,
    )


def test_the_whole_nested_shape_is_understood() -> None:
    draft = post_draft(
        nested(
            caption="c",
            draftScheduledAt=WHEN,
            scheduledAt=None,
            platforms=None,
            content=None,
            requiresApproval=None,
        )
    )
    assert draft == PostDraft(
        targets=(TargetDraft(social_account_id=ACCOUNT),),
        caption="c",
        draft_scheduled_for=datetime(2026, 6, 15, 9, tzinfo=UTC),
        flat_shape=False,
    )


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"content": "x"},
        {"platforms": None, "targets": None},
        {**flat(), **nested()},
        {"platforms": [], "targets": []},
    ],
)
def test_exactly_one_shape_must_be_chosen(document: dict[str, Any]) -> None:
    with pytest.raises(AmbiguousTargetsError):
        post_draft(document)


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        # the other shape's fields, and unknown ones
        (flat(caption="x"), "caption", "is not a known field"),
        (flat(scheduledAt=WHEN), "scheduledAt", "is not a known field"),
        (nested(content="x"), "content", "is not a known field"),
        (nested(scheduledFor=WHEN), "scheduledFor", "is not a known field"),
        (flat(unheardOf=None), "unheardOf", "is not a known field"),
        (flat(status="PUBLISHED"), "status", "is not a known field"),
        (flat(media_ids=[]), "media_ids", "is not a known field"),
        (
            {"platforms": [{"socialAccountId": ACCOUNT, "accountId": ACCOUNT}]},
            "platforms.0.socialAccountId",
            "is not a known field",
        ),
        # nothing is coerced
        (flat(content=7), "content", "must be a string"),
        (flat(content=True), "content", "must be a string"),
        (flat(requiresApproval=1), "requiresApproval", "must be true or false"),
        (flat(requiresApproval="true"), "requiresApproval", "must be true or false"),
        ({"platforms": {"0": {"accountId": ACCOUNT}}}, "platforms", "must be an array"),
        ({"platforms": ACCOUNT}, "platforms", "must be an array"),
        ({"platforms": [ACCOUNT]}, "platforms.0", "must be an object"),
        (flat(mediaItems=[None]), "mediaItems.0", "must be an object"),
        (flat(mediaAltText=[]), "mediaAltText", "must be an object"),
        (
            {"targets": [{"socialAccountId": ACCOUNT, "platformOptions": []}]},
            "targets.0.platformOptions",
            "must be an object",
        ),
        # lengths and counts
        ({"platforms": []}, "platforms", "must not be empty"),
        (
            {"platforms": [{"accountId": ACCOUNT}] * 51},
            "platforms",
            "must have at most 50 items",
        ),
        (flat(content="x" * 10_001), "content", "must have at most 10000 characters"),
        (nested(caption="x" * 10_001), "caption", "must have at most 10000 characters"),
        (
            {"platforms": [{"accountId": ACCOUNT, "captionOverride": "x" * 10_001}]},
            "platforms.0.captionOverride",
            "must have at most 10000 characters",
        ),
        (
            {"platforms": [{"accountId": ACCOUNT, "firstComment": "x" * 2_001}]},
            "platforms.0.firstComment",
            "must have at most 2000 characters",
        ),
        (
            flat(mediaItems=[{"url": "https://example.com/a"}] * 36),
            "mediaItems",
            "must have at most 35 items",
        ),
        (
            flat(mediaItems=[{"url": "https://example.com/a", "type": ""}]),
            "mediaItems.0.type",
            "must not be empty",
        ),
        # identifiers
        ({"platforms": [{}]}, "platforms.0.accountId", "is required"),
        ({"targets": [{}]}, "targets.0.socialAccountId", "is required"),
        *(
            (
                {"targets": [{"socialAccountId": wrong}]},
                "targets.0.socialAccountId",
                "must be soc_ and 26 upper-case base-32 characters",
            )
            for wrong in ("", "soc_1", ACCOUNT.lower(), ACCOUNT + "\n", TARGET, "x" + ACCOUNT)
        ),
        # media
        (
            flat(mediaIds=[MEDIUM, ACCOUNT]),
            "mediaIds.1",
            "must be med_ and 26 upper-case base-32 characters",
        ),
        (
            flat(mediaAltText={"med_1": "x"}),
            "mediaAltText.med_1",
            "must be med_ and 26 upper-case base-32 characters",
        ),
        (flat(mediaAltText={MEDIUM: 1}), f"mediaAltText.{MEDIUM}", "must be a string"),
        (
            {"targets": [{"socialAccountId": ACCOUNT, "mediaIds": ["x"]}]},
            "targets.0.mediaIds.0",
            "must be med_ and 26 upper-case base-32 characters",
        ),
        (flat(mediaItems=[{}]), "mediaItems.0.url", "is required"),
        # times
        (flat(scheduledFor=""), "scheduledFor", None),
        (flat(timezone="Mars/Olympus_Mons"), "timezone", None),
        (flat(timezone=2), "timezone", None),
    ],
)
def test_faults_are_told_where_they_are(
    document: dict[str, Any], path: str, message: str | None
) -> None:
    told = faults(document)
    assert list(told) == [path]
    assert message is None or told[path] == message


def test_all_faults_are_told_at_once() -> None:
    document = {"targets": [{}, {"socialAccountId": 1}], "caption": 2, "scheduledAt": "soon"}
    assert faults(document).keys() == {
        "targets.0.socialAccountId",
        "targets.1.socialAccountId",
        "caption",
        "scheduledAt",
    }


def test_a_very_long_name_is_cut_in_the_answer() -> None:
    assert list(faults(flat(**{"x" * 5000: 1}))) == ["x" * 100 + "…"]


def test_there_must_be_a_body_to_create_from() -> None:
    with pytest.raises(ValidationError, match="body: is required"):
        post_draft(None)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.png",
        "ftp://example.com/a.png",
        "//example.com/a.png",
        "/a.png",
        "https:///a.png",
        "https://",
        "https://user:secret@example.com/a.png",
        "https://user@example.com/a.png",
        "https://example.com/a b.png",
        "https://example.com\\@evil.example/a.png",
        "https://example.com/a\n.png",
        "https://exämple.com/a.png",
        "https://example.com:99999/a.png",
        "https://[::1/a.png",
        "https://example.com/" + "a" * 2048,
        7,
    ],
)
def test_a_medium_needs_a_plain_https_address(url: object) -> None:
    told = faults(flat(mediaItems=[{"url": url}]))
    assert told == {"mediaItems.0.url": "must be an https address of at most 2048 characters"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-06-15T09:00:00Z", datetime(2026, 6, 15, 9, tzinfo=UTC)),
        ("2026-06-15t09:00:00z", datetime(2026, 6, 15, 9, tzinfo=UTC)),
        ("2026-06-15T09:00:00.5Z", datetime(2026, 6, 15, 9, 0, 0, 500000, tzinfo=UTC)),
        ("2026-06-15T09:00:00.123999999Z", datetime(2026, 6, 15, 9, 0, 0, 123000, tzinfo=UTC)),
        ("2026-06-15T14:30:00+05:30", datetime(2026, 6, 15, 9, tzinfo=UTC)),
        ("2026-06-15T00:00:00-09:00", datetime(2026, 6, 15, 9, tzinfo=UTC)),
        ("2028-02-29T00:00:00-00:00", datetime(2028, 2, 29, tzinfo=UTC)),
    ],
)
def test_times_of_any_offset_become_utc(text: str, expected: datetime) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("2026-06-15T09:00:00", "must have a UTC offset"),
        ("2026-02-30T09:00:00Z", "is not a moment that exists"),
        ("2027-02-29T09:00:00Z", "is not a moment that exists"),
        ("2026-06-15T24:00:00Z", "is not a moment that exists"),
        ("2026-06-15T23:59:60Z", "is not a moment that exists"),
        ("2026-06-15T09:00:00+24:00", "is not a moment that exists"),
        ("0000-01-01T00:00:00Z", "is not a moment that exists"),
        ("0001-01-01T00:00:00+10:00", "is not a moment that exists"),
        ("9999-12-31T23:59:59-10:00", "is not a moment that exists"),
        *(
            (wrong, "must be an RFC 3339 time")
            for wrong in (
                "2026-06-15",
                "2026-06-15T09:00Z",
                "2026-06-15 09:00:00Z",
                "20260615T090000Z",
                "2026-06-15T09:00:00+0200",
                "2026-06-15T09:00:00+02",
                "2026-06-15T09:00:00.Z",
                "2026-06-15T09:00:00Z\n",
                "2026-W25-1T09:00:00Z",
                "٢٠٢٦-06-15T09:00:00Z",
                "1781514000",
                "tomorrow",
                "",
                1781514000,
                1781514000.5,
                True,
                None,
                ["2026-06-15T09:00:00Z"],
            )
        ),
    ],
)
def test_other_times_are_refused(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_time(value)


def test_zones_are_those_of_the_iana() -> None:
    assert all(map(is_zone, ("UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT+5")))
    assert not any(
        map(is_zone, ("", "Mars/Olympus_Mons", "europe/berlin", "localtime", "../etc/passwd"))
    )


def test_assets_and_what_is_said_of_them_are_kept_in_order() -> None:
    other = MEDIUM[:-1] + ("0" if MEDIUM[-1] != "0" else "1")
    draft = post_draft(
        {
            "targets": [{"socialAccountId": ACCOUNT, "mediaIds": [other]}],
            "mediaIds": [other, MEDIUM],
            "mediaAltText": {MEDIUM: ""},
        }
    )
    assert draft.media_ids == (other, MEDIUM)
    assert draft.media_alt_text == {MEDIUM: ""}
    assert draft.targets[0].media_ids == (other,)
