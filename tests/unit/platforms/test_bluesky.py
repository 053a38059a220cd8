"""The Bluesky client against a scripted server: what is called, and what each answer means."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

from postbreeze.adapters.platforms import record_keys
from postbreeze.adapters.platforms.bluesky import (
    MAX_IMAGE_BYTES,
    MAX_MENTIONS,
    MAX_SESSIONS,
    PREPARE_SECONDS,
    BlueskyClient,
)
from postbreeze.domain.errors import (
    PlatformError,
    PlatformOutcomeUnknownError,
    PlatformRejectedError,
    PlatformRetriableError,
)
from postbreeze.operations.platform_port import (
    Attachment,
    ExternalPost,
    PreparedPost,
    Publication,
)
from tests.support.platform_stages import PICTURE
from tests.support.scripted_server import Reply, ScriptedServer, Trouble

NOW = 1_000.0
DID = "did:plc:ewvi7nxzyoun6zhxrhs64oiz"
TARGET = "tgt_01JDCK9W2V3N4P5Q6R7S8T9V0W"
CREDENTIALS = {"identifier": "alice.test", "appPassword": "hunter2-hunter2"}
KEY = record_keys.post_key(TARGET)
URI = f"at://{DID}/app.bsky.feed.post/{KEY}"
CID = "bafyreicid"
PUBLICATION = Publication(
    target_id=TARGET,
    account_id="soc_1",
    external_account_id=DID,
    text="hello",
    created_at=datetime(2026, 6, 15, 9, 0, 0, 123_000, tzinfo=timezone(timedelta(hours=2))),
)
SESSION = {"did": DID, "handle": "alice.test", "accessJwt": "secret-a", "refreshJwt": "secret-r"}
CREATED = Reply(body={"uri": URI, "cid": CID})
FOUND = Reply(body={"uri": URI, "cid": CID, "value": {"text": "hello", "createdAt": "another"}})
OTHER = Reply(body={"uri": URI, "cid": CID, "value": {"text": "something else"}})
POST = ExternalPost(
    id=URI,
    url=f"https://bsky.app/profile/{DID}/post/{KEY}",
    reference={"uri": URI, "cid": CID},
)


Rejected, Retriable, Unknown = (
    PlatformRejectedError,
    PlatformRetriableError,
    PlatformOutcomeUnknownError,
)


def refusal(status: int, name: str = "", headers: Mapping[str, str] | None = None) -> Reply:
    body = {"error": name, "message": "secret"} if name else b"<html>secret</html>"
    return Reply(status=status, body=body, headers=headers or {})


MISSING = refusal(400, "RecordNotFound")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted:
        scripted.on("createSession", Reply(body=SESSION))
        scripted.on("getSession", Reply(body={"did": DID, "active": True}))
        scripted.on("createRecord", CREATED)
        scripted.on("getRecord", MISSING)
        yield scripted


class Pictures:
    """Stands in for the egress guard."""

    def __init__(self) -> None:
        self.content = PICTURE
        self.error: PlatformError | None = None

    def fetch(self, attachment: Attachment) -> tuple[bytes, str]:
        if self.error is not None:
            raise self.error
        return self.content, "application/octet-stream"


@pytest.fixture
def pictures() -> Pictures:
    return Pictures()


@pytest.fixture
def client(
    server: ScriptedServer, pictures: Pictures, request: pytest.FixtureRequest
) -> Iterator[BlueskyClient]:
    # Patient, so that a busy machine changes nothing, except where waiting in vain is the point.
    case = getattr(request.node, "callspec", None)
    hangs = case is not None and Trouble.HANG in case.params.values()
    http = urllib3.PoolManager()
    yield BlueskyClient(
        server.url, http, pictures.fetch, now=lambda: NOW, read_seconds=0.5 if hangs else 30
    )
    http.clear()


def prepared(client: BlueskyClient, publication: Publication = PUBLICATION) -> PreparedPost:
    return client.prepare(publication, CREDENTIALS)


def sent(server: ScriptedServer, name: str) -> list[dict[str, Any]]:
    return [json.loads(r.body) for r in server.taken if r.path.endswith(name)]


def outcome(act: Callable[[], object]) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        act()
    for secret in ("secret", "hunter2", "html"):
        assert secret not in f"{caught.value} {vars(caught.value)}"
    return caught.value


# The record


def test_the_record_is_what_bluesky_wants(client: BlueskyClient, server: ScriptedServer) -> None:
    # Given
    publication = replace(PUBLICATION, text="é #tag", options={"langs": ["en", "de-CH"]})

    # When
    post = prepared(client, publication).publish()

    # Then
    assert post == POST
    assert sent(server, "createRecord") == [
        {
            "repo": DID,
            "collection": "app.bsky.feed.post",
            "rkey": KEY,
            "record": {
                "$type": "app.bsky.feed.post",
                "text": "é #tag",
                "createdAt": "2026-06-15T07:00:00.123Z",
                "langs": ["en", "de-CH"],
                "facets": [
                    {
                        "index": {"byteStart": 3, "byteEnd": 7},
                        "features": [{"$type": "app.bsky.richtext.facet#tag", "tag": "tag"}],
                    }
                ],
            },
        }
    ]


def test_publishing_is_one_call(client: BlueskyClient, server: ScriptedServer) -> None:
    # Given
    ready = prepared(client)
    before = len(server.taken)

    # When
    ready.publish()

    # Then
    assert len(server.taken) == before + 1


def test_handles_are_looked_up_once_each_and_not_without_end(
    client: BlueskyClient, server: ScriptedServer
) -> None:
    # Given
    server.on("resolveHandle", Reply(body={"did": "did:plc:bob"}))
    handles = [f"@p{number}.test" for number in range(MAX_MENTIONS + 2)]
    text = " ".join([*handles, handles[0]])

    # When
    prepared(client, replace(PUBLICATION, text=text)).publish()

    # Then
    assert server.count("resolveHandle") == MAX_MENTIONS
    [body] = sent(server, "createRecord")
    assert len(body["record"]["facets"]) == MAX_MENTIONS + 1


@pytest.mark.parametrize(
    "answer",
    [
        refusal(400, "InvalidRequest"),
        refusal(502),
        Reply(body={"did": 5}),
        Reply(body={"did": "nonsense"}),
        Reply(body=b"nonsense"),
        Trouble.CLOSE,
        Trouble.HANG,
    ],
)
def test_a_handle_that_cannot_be_looked_up_stays_text(
    client: BlueskyClient, server: ScriptedServer, answer: Reply | Trouble
) -> None:
    # Given
    server.on("resolveHandle", answer)

    # When
    prepared(client, replace(PUBLICATION, text="hi @bob.test")).publish()

    # Then
    [body] = sent(server, "createRecord")
    assert "facets" not in body["record"]


# What is refused before anything is called


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"text": "é" * 1_501}, "TEXT_TOO_LONG"),
        ({"text": "\ud83c"}, "TEXT_REJECTED"),
        ({"attachments": (Attachment(url="u", alt_text="\ud83c"),)}, "TEXT_REJECTED"),
        ({"attachments": (Attachment(url="u"),) * 5}, "MEDIA_REJECTED"),
        ({"options": {"langs": "en"}}, "OPTIONS_REJECTED"),
        ({"options": {"langs": ["en", "de", "fr", "it"]}}, "OPTIONS_REJECTED"),
        ({"options": {"langs": ["no such language"]}}, "OPTIONS_REJECTED"),
        ({"options": {"langs": [5]}}, "OPTIONS_REJECTED"),
    ],
)
def test_what_bluesky_never_takes_is_refused_without_asking(
    client: BlueskyClient, server: ScriptedServer, change: dict[str, Any], code: str
) -> None:
    # When
    error = outcome(lambda: prepared(client, replace(PUBLICATION, **change)))

    # Then
    assert isinstance(error, Rejected)
    assert error.code == code
    assert server.taken == []


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        ({}, "CREDENTIALS_REJECTED"),
        ({"identifier": "alice.test"}, "CREDENTIALS_REJECTED"),
        ({"identifier": "", "appPassword": "x"}, "CREDENTIALS_REJECTED"),
        ({**CREDENTIALS, "service": "https://elsewhere.example"}, "SERVICE_NOT_SUPPORTED"),
        ({**CREDENTIALS, "service": "not an address"}, "SERVICE_NOT_SUPPORTED"),
    ],
)
def test_credentials_that_are_not_for_here_are_never_sent(
    client: BlueskyClient, server: ScriptedServer, credentials: dict[str, str], code: str
) -> None:
    # When
    error = outcome(lambda: client.prepare(PUBLICATION, credentials))

    # Then
    assert (type(error), error.code) == (Rejected, code)
    assert server.taken == []


def test_a_service_that_is_this_server_is_welcome(
    client: BlueskyClient, server: ScriptedServer
) -> None:
    client.prepare(PUBLICATION, {**CREDENTIALS, "service": f"{server.url}/"})
    assert server.count("createSession") == 1


@pytest.mark.parametrize("url", ["", "bsky.social", "ftp://bsky.social", "https://"])
def test_a_server_without_an_address_is_a_mistake_of_the_deployment(url: str) -> None:
    http = urllib3.PoolManager()
    with pytest.raises(ValueError, match="address"):
        BlueskyClient(url, http, Pictures().fetch)


# Signing in


@pytest.mark.parametrize(
    ("answer", "kind", "code", "retry_after"),
    [
        (refusal(401, "AuthenticationRequired"), Rejected, "CREDENTIALS_REJECTED", None),
        (refusal(401, "AuthFactorTokenRequired"), Rejected, "CREDENTIALS_REJECTED", None),
        (refusal(401, "AccountTakedown"), Rejected, "ACCOUNT_SUSPENDED", None),
        (refusal(400, "InvalidRequest"), Rejected, "CREDENTIALS_REJECTED", None),
        (refusal(403), Rejected, "CREDENTIALS_REJECTED", None),
        (
            Reply(body={**SESSION, "active": False, "status": "takendown"}),
            Rejected, "ACCOUNT_SUSPENDED", None,
        ),
        (
            Reply(body={**SESSION, "active": False, "status": "deactivated"}),
            Rejected, "ACCOUNT_DEACTIVATED", None,
        ),
        (
            Reply(body={**SESSION, "did": "did:plc:somebodyelse"}),
            Rejected, "ACCOUNT_MISMATCH", None,
        ),
        (
            refusal(429, "RateLimitExceeded", {"Retry-After": "7"}),
            Retriable, "PLATFORM_RATE_LIMITED", 7.0,
        ),
        (
            refusal(429, "RateLimitExceeded", {"RateLimit-Reset": "1300"}),
            Retriable, "PLATFORM_RATE_LIMITED", 300.0,
        ),
        (refusal(500, "InternalServerError"), Retriable, "PLATFORM_UNAVAILABLE", None),
        (refusal(503, "", {"Retry-After": "3"}), Retriable, "PLATFORM_UNAVAILABLE", 3.0),
        (refusal(302), Retriable, "PLATFORM_UNAVAILABLE", None),
        (Reply(body=b"nonsense"), Retriable, "PLATFORM_UNAVAILABLE", None),
        (
            Reply(body={**SESSION, "accessJwt": "two\nlines"}),
            Retriable, "PLATFORM_UNAVAILABLE", None,
        ),
        (
            Reply(body={**SESSION, "did": "did:plc:a/b"}),
            Retriable, "PLATFORM_UNAVAILABLE", None,
        ),
        (Trouble.RESET, Retriable, "PLATFORM_UNREACHABLE", None),
        (Trouble.HANG, Retriable, "PLATFORM_UNREACHABLE", None),
        (Trouble.NOISE, Retriable, "PLATFORM_UNREACHABLE", None),
    ],
)  # fmt: skip
def test_what_signing_in_may_come_to(
    client: BlueskyClient,
    server: ScriptedServer,
    answer: Reply | Trouble,
    kind: type[PlatformError],
    code: str,
    retry_after: float | None,
) -> None:
    # Given
    server.on("createSession", answer)

    # When
    preparing = outcome(lambda: prepared(client))
    finding = outcome(lambda: client.find(PUBLICATION, CREDENTIALS))

    # Then
    for error in (preparing, finding):
        assert (type(error), error.code, error.retry_after) == (kind, code, retry_after)


def test_an_account_known_by_something_else_than_a_did_is_believed(
    client: BlueskyClient,
) -> None:
    publication = replace(PUBLICATION, external_account_id="alice.test")
    assert prepared(client, publication).publish() == POST


def test_a_session_is_used_again_after_a_look_whether_it_lives(
    client: BlueskyClient, server: ScriptedServer
) -> None:
    # When
    for _ in range(3):
        prepared(client)

    # Then
    assert (server.count("createSession"), server.count("getSession")) == (1, 2)


@pytest.mark.parametrize(
    "other",
    [
        (replace(PUBLICATION, account_id="soc_2"), CREDENTIALS),
        (PUBLICATION, {**CREDENTIALS, "appPassword": "changed"}),
    ],
)
def test_a_session_is_for_one_account_and_one_password(
    client: BlueskyClient,
    server: ScriptedServer,
    other: tuple[Publication, dict[str, str]],
) -> None:
    # When
    client.prepare(PUBLICATION, CREDENTIALS)
    client.prepare(*other)

    # Then
    assert server.count("createSession") == 2


def test_an_expired_session_is_refreshed(client: BlueskyClient, server: ScriptedServer) -> None:
    # Given
    prepared(client)
    server.on("getSession", refusal(400, "ExpiredToken"))
    server.on("refreshSession", Reply(body={**SESSION, "accessJwt": "fresh"}))

    # When
    prepared(client).publish()

    # Then
    [refresh] = [r for r in server.taken if r.path.endswith("refreshSession")]
    assert refresh.headers["Authorization"] == "Bearer secret-r"
    assert server.taken[-1].headers["Authorization"] == "Bearer fresh"
    assert server.count("createSession") == 1


@pytest.mark.parametrize("name", ["ExpiredToken", "InvalidToken", "AuthMissing", "AccountNotFound"])
def test_a_session_that_cannot_be_refreshed_is_replaced(
    client: BlueskyClient, server: ScriptedServer, name: str
) -> None:
    # Given
    prepared(client)
    server.on("getSession", refusal(401, name))
    server.on("refreshSession", refusal(400, "ExpiredToken"))

    # When
    prepared(client)

    # Then
    assert server.count("createSession") == 2


@pytest.mark.parametrize("answer", [refusal(429, "RateLimitExceeded"), refusal(500), Trouble.HANG])
def test_a_server_without_time_keeps_the_session(
    client: BlueskyClient, server: ScriptedServer, answer: Reply | Trouble
) -> None:
    # Given
    prepared(client)
    server.on("getSession", answer, Reply(body={"did": DID}))

    # When
    error = outcome(lambda: prepared(client))
    prepared(client)

    # Then
    assert isinstance(error, Retriable)
    assert server.count("createSession") == 1


def test_a_suspended_account_is_noticed_before_publishing(
    client: BlueskyClient, server: ScriptedServer
) -> None:
    # Given
    prepared(client)
    server.on("getSession", Reply(body={"did": DID, "active": False, "status": "suspended"}))

    # When
    error = outcome(lambda: prepared(client))

    # Then
    assert (type(error), error.code) == (Rejected, "ACCOUNT_SUSPENDED")


def test_a_connection_that_died_unused_costs_nothing(
    client: BlueskyClient, server: ScriptedServer
) -> None:
    # Given
    prepared(client)
    server.on("getSession", Trouble.RESET, Reply(body={"did": DID}))

    # When
    post = prepared(client).publish()

    # Then
    assert post == POST


def test_sessions_are_not_kept_without_end(client: BlueskyClient, server: ScriptedServer) -> None:
    # Given
    for number in range(MAX_SESSIONS + 1):
        prepared(client, replace(PUBLICATION, account_id=f"soc_{number}"))

    # When the least recently used and the most recently used account come back
    prepared(client, replace(PUBLICATION, account_id="soc_0"))
    prepared(client, replace(PUBLICATION, account_id=f"soc_{MAX_SESSIONS}"))

    # Then
    assert server.count("createSession") == MAX_SESSIONS + 2


# Pictures

WITH_PICTURE = replace(PUBLICATION, attachments=(Attachment(url="u", alt_text="a dot"),))
UPLOADED = Reply(body={"blob": {"$type": "blob", "ref": {"$link": "bafkrei"}, "size": 1}})


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (PICTURE, "image/png"),
        (b"\xff\xd8\xff\xe0rest", "image/jpeg"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"GIF89a", "image/gif"),
        (b"GIF87a" + bytes(MAX_IMAGE_BYTES - 6), "image/gif"),
    ],
)
def test_a_picture_is_uploaded_as_what_it_is(
    client: BlueskyClient,
    server: ScriptedServer,
    pictures: Pictures,
    content: bytes,
    content_type: str,
) -> None:
    # Given
    pictures.content = content
    server.on("uploadBlob", UPLOADED)

    # When
    prepared(client, WITH_PICTURE).publish()

    # Then
    [upload] = [r for r in server.taken if r.path.endswith("uploadBlob")]
    assert (upload.headers["Content-Type"], upload.body) == (content_type, content)
    [body] = sent(server, "createRecord")
    assert body["record"]["embed"] == {
        "$type": "app.bsky.embed.images",
        "images": [{"image": UPLOADED.body["blob"], "alt": "a dot"}],
    }


@pytest.mark.parametrize(
    "content",
    [b"", b"<svg/>", b"RIFF\x00\x00\x00\x00WAVE", PICTURE + bytes(MAX_IMAGE_BYTES)],
)
def test_what_is_no_fitting_picture_is_refused(
    client: BlueskyClient, server: ScriptedServer, pictures: Pictures, content: bytes
) -> None:
    # Given
    pictures.content = content

    # When
    error = outcome(lambda: prepared(client, WITH_PICTURE))

    # Then
    assert (type(error), error.code) == (Rejected, "MEDIA_REJECTED")
    assert server.count("uploadBlob") == 0


@pytest.mark.parametrize(
    "error",
    [
        Retriable("MEDIA_UNREACHABLE", "later"),
        Rejected("MEDIA_ADDRESS_REFUSED", "never"),
    ],
)
def test_what_the_fetcher_says_is_passed_on(
    client: BlueskyClient, pictures: Pictures, error: PlatformError
) -> None:
    # Given
    pictures.error = error

    # When / Then
    assert outcome(lambda: prepared(client, WITH_PICTURE)) is error


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (refusal(400, "InvalidMimeType"), Rejected, "MEDIA_REJECTED"),
        (refusal(413), Rejected, "MEDIA_REJECTED"),
        (refusal(401, "AccountTakedown"), Rejected, "ACCOUNT_SUSPENDED"),
        (refusal(400, "ExpiredToken"), Retriable, "SESSION_EXPIRED"),
        (refusal(429, "RateLimitExceeded"), Retriable, "PLATFORM_RATE_LIMITED"),
        (refusal(502), Retriable, "PLATFORM_UNAVAILABLE"),
        (Reply(body={"blob": "nonsense"}), Retriable, "PLATFORM_UNAVAILABLE"),
        (Trouble.CLOSE, Retriable, "PLATFORM_UNREACHABLE"),
        (Trouble.HANG, Retriable, "PLATFORM_UNREACHABLE"),
    ],
)
def test_what_uploading_may_come_to(
    client: BlueskyClient,
    server: ScriptedServer,
    answer: Reply | Trouble,
    kind: type[PlatformError],
    code: str,
) -> None:
    # Given
    server.on("uploadBlob", answer)

    # When
    error = outcome(lambda: prepared(client, WITH_PICTURE))

    # Then
    assert (type(error), error.code) == (kind, code)
    assert server.count("createRecord") == 0


# Publishing: the table that decides whether a post may ever be sent again


UNKNOWN = "PUBLISH_OUTCOME_UNKNOWN"


@pytest.mark.parametrize(
    ("answer", "kind", "code", "retry_after"),
    [
        (refusal(400, "ExpiredToken"), Retriable, "SESSION_EXPIRED", None),
        (refusal(400, "InvalidToken"), Retriable, "SESSION_EXPIRED", None),
        (refusal(401, "ExpiredToken"), Retriable, "SESSION_EXPIRED", None),
        (refusal(401, "InvalidToken"), Retriable, "SESSION_EXPIRED", None),
        (refusal(429, "RateLimitExceeded"), Retriable, "PLATFORM_RATE_LIMITED", None),
        (
            refusal(429, "", {"RateLimit-Reset": "1060"}),
            Retriable, "PLATFORM_RATE_LIMITED", 60.0,
        ),
        (refusal(400, "InvalidRequest"), Rejected, "PLATFORM_REJECTED", None),
        (refusal(400, "BlobNotFound"), Rejected, "PLATFORM_REJECTED", None),
        (refusal(400), Rejected, "PLATFORM_REJECTED", None),
        (refusal(401, "AuthenticationRequired"), Rejected, "CREDENTIALS_REJECTED", None),
        (refusal(401, "AccountTakedown"), Rejected, "ACCOUNT_SUSPENDED", None),
        (refusal(401, "AccountDeactivated"), Rejected, "ACCOUNT_DEACTIVATED", None),
        (refusal(403, "AccountNotFound"), Rejected, "PLATFORM_REJECTED", None),
        (refusal(404), Rejected, "PLATFORM_REJECTED", None),
        (refusal(413), Rejected, "PLATFORM_REJECTED", None),
        (refusal(408), Unknown, UNKNOWN, None),
        (refusal(302), Unknown, UNKNOWN, None),
        (refusal(500, "InternalServerError"), Unknown, UNKNOWN, None),
        (refusal(502), Unknown, UNKNOWN, None),
        (refusal(503, "", {"Retry-After": "3"}), Unknown, UNKNOWN, None),
        (refusal(504), Unknown, UNKNOWN, None),
        (Reply(body=b"nonsense"), Unknown, UNKNOWN, None),
        (Reply(body={}), Unknown, UNKNOWN, None),
        (Reply(body={"uri": URI}), Unknown, UNKNOWN, None),
        (Reply(body={"uri": URI, "cid": ""}), Unknown, UNKNOWN, None),
        (
            Reply(body={"uri": f"{URI}x", "cid": CID}),
            Unknown, UNKNOWN, None,
        ),
        (Trouble.RESET, Unknown, UNKNOWN, None),
        (Trouble.CLOSE, Unknown, UNKNOWN, None),
        (Trouble.HANG, Unknown, UNKNOWN, None),
        (Trouble.HALF, Unknown, UNKNOWN, None),
        (Trouble.NOISE, Unknown, UNKNOWN, None),
    ],
)  # fmt: skip
def test_what_publishing_may_come_to(
    client: BlueskyClient,
    server: ScriptedServer,
    answer: Reply | Trouble,
    kind: type[PlatformError],
    code: str,
    retry_after: float | None,
) -> None:
    # Given
    ready = prepared(client)
    server.on("createRecord", answer)

    # When
    error = outcome(ready.publish)

    # Then
    assert (type(error), error.code, error.retry_after) == (kind, code, retry_after)
    assert server.count("createRecord") == 1


@pytest.mark.parametrize("name", ["ExpiredToken", "InvalidToken"])
def test_a_session_that_ended_is_not_used_again(
    client: BlueskyClient, server: ScriptedServer, name: str
) -> None:
    # Given
    ready = prepared(client)
    server.on("createRecord", refusal(400, name), CREATED)
    outcome(ready.publish)

    # When
    prepared(client).publish()

    # Then
    assert server.count("createSession") == 2


def test_a_refusal_names_the_servers_error(client: BlueskyClient, server: ScriptedServer) -> None:
    # Given
    ready = prepared(client)
    server.on("createRecord", refusal(400, "BlobNotFound"))

    # When
    error = outcome(ready.publish)

    # Then
    assert "400 BlobNotFound" in error.message


@pytest.mark.parametrize("status", [400, 409, 500, 502])
def test_a_taken_key_with_our_words_is_our_post(
    client: BlueskyClient, server: ScriptedServer, status: int
) -> None:
    # Given
    ready = prepared(client)
    server.on("createRecord", refusal(status, "InternalServerError"))
    server.on("getRecord", FOUND)

    # When / Then
    assert ready.publish() == POST


@pytest.mark.parametrize("status", [400, 500])
def test_a_taken_key_with_other_words_is_not(
    client: BlueskyClient, server: ScriptedServer, status: int
) -> None:
    # Given
    ready = prepared(client)
    server.on("createRecord", refusal(status, "InternalServerError"))
    server.on("getRecord", OTHER)

    # When
    error = outcome(ready.publish)

    # Then
    assert (type(error), error.code) == (Rejected, "RECORD_KEY_TAKEN")


@pytest.mark.parametrize("asking", [refusal(500), refusal(429), Trouble.RESET, Reply(body=b"?")])
@pytest.mark.parametrize(("status", "kind"), [(400, Rejected), (500, Unknown)])
def test_an_answer_that_cannot_be_checked_has_to_do(
    client: BlueskyClient,
    server: ScriptedServer,
    asking: Reply | Trouble,
    status: int,
    kind: type[PlatformError],
) -> None:
    # Given
    ready = prepared(client)
    server.on("createRecord", refusal(status, "SomeError"))
    server.on("getRecord", asking)

    # When / Then
    assert type(outcome(ready.publish)) is kind


# Finding


def test_the_accounts_own_repository_is_asked(
    client: BlueskyClient, server: ScriptedServer
) -> None:
    # Given
    server.on("getRecord", FOUND)

    # When
    post = client.find(PUBLICATION, CREDENTIALS)

    # Then
    request = server.taken[-1]
    assert post == POST
    assert request.headers["Authorization"] == "Bearer secret-a"
    assert parse_qs(urlsplit(request.path).query) == {
        "repo": [DID],
        "collection": ["app.bsky.feed.post"],
        "rkey": [KEY],
    }


def test_no_record_is_no_post(client: BlueskyClient) -> None:
    assert client.find(PUBLICATION, CREDENTIALS) is None


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (refusal(404, "RecordNotFound"), Retriable, "PLATFORM_UNAVAILABLE"),
        (refusal(400, "InvalidRequest"), Retriable, "PLATFORM_UNAVAILABLE"),
        (refusal(400, "ExpiredToken"), Retriable, "PLATFORM_UNAVAILABLE"),
        (refusal(429), Retriable, "PLATFORM_RATE_LIMITED"),
        (refusal(500), Retriable, "PLATFORM_UNAVAILABLE"),
        (Reply(body={"cid": CID, "value": 5}), Retriable, "PLATFORM_UNAVAILABLE"),
        (Reply(body={"value": {"text": "hello"}}), Retriable, "PLATFORM_UNAVAILABLE"),
        (Reply(body=b"nonsense"), Retriable, "PLATFORM_UNAVAILABLE"),
        (Trouble.RESET, Retriable, "PLATFORM_UNREACHABLE"),
        (Trouble.HANG, Retriable, "PLATFORM_UNREACHABLE"),
    ],
)
def test_only_a_clear_no_means_that_there_is_no_post(
    client: BlueskyClient,
    server: ScriptedServer,
    answer: Reply | Trouble,
    kind: type[PlatformError],
    code: str,
) -> None:
    # Given
    server.on("getRecord", answer)

    # When
    error = outcome(lambda: client.find(PUBLICATION, CREDENTIALS))

    # Then
    assert (type(error), error.code) == (kind, code)


# The first comment

WITH_COMMENT = replace(PUBLICATION, first_comment="first!")
COMMENT_KEY = record_keys.comment_key(TARGET)
COMMENT_URI = f"at://{DID}/app.bsky.feed.post/{COMMENT_KEY}"
COMMENTED = Reply(body={"uri": COMMENT_URI, "cid": "bafyreicomment"})


def test_a_comment_is_a_reply_under_a_key_of_its_own(
    client: BlueskyClient, server: ScriptedServer
) -> None:
    # Given
    server.on("createRecord", COMMENTED)

    # When
    client.comment(WITH_COMMENT, POST, CREDENTIALS)

    # Then
    [body] = sent(server, "createRecord")
    reference = {"uri": URI, "cid": CID}
    assert body["rkey"] == COMMENT_KEY
    assert body["record"] == {
        "$type": "app.bsky.feed.post",
        "text": "first!",
        "createdAt": "2026-06-15T07:00:00.124Z",
        "reply": {"root": reference, "parent": reference},
    }


def test_a_comment_on_a_post_that_is_gone_is_refused(
    client: BlueskyClient, server: ScriptedServer
) -> None:
    # When
    error = outcome(lambda: client.comment(WITH_COMMENT, replace(POST, reference={}), CREDENTIALS))

    # Then
    assert (type(error), error.code) == (Rejected, "POST_NOT_FOUND")
    assert server.count("createRecord") == 0


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(400, "InvalidRequest"), Rejected),
        (refusal(429), Retriable),
        (refusal(500), Unknown),
        (Trouble.RESET, Unknown),
    ],
)
def test_a_comment_fails_like_a_post(
    client: BlueskyClient,
    server: ScriptedServer,
    answer: Reply | Trouble,
    kind: type[PlatformError],
) -> None:
    # Given
    server.on("createRecord", answer)

    # When / Then
    assert type(outcome(lambda: client.comment(WITH_COMMENT, POST, CREDENTIALS))) is kind


def test_a_comment_that_is_too_long_is_refused_without_asking(
    client: BlueskyClient, server: ScriptedServer
) -> None:
    # Given
    publication = replace(PUBLICATION, first_comment="é" * 1_501)

    # When
    error = outcome(lambda: client.comment(publication, POST, CREDENTIALS))

    # Then
    assert error.code == "TEXT_TOO_LONG"
    assert server.taken == []


def test_a_moment_without_a_whole_millisecond_is_cut(
    client: BlueskyClient, server: ScriptedServer
) -> None:
    # Given
    moment = datetime(2026, 6, 15, 9, 0, 0, 999_999, tzinfo=UTC)

    # When
    prepared(client, replace(PUBLICATION, created_at=moment)).publish()

    # Then
    [body] = sent(server, "createRecord")
    assert body["record"]["createdAt"] == "2026-06-15T09:00:00.999Z"


def test_a_slow_preparation_begins_no_further_picture_and_looks_up_no_mention(
    server: ScriptedServer, pictures: Pictures
) -> None:
    # Given a clock by which signing in took all the time there is
    ticks = iter([NOW])
    http = urllib3.PoolManager()
    client = BlueskyClient(
        server.url, http, pictures.fetch, now=lambda: next(ticks, NOW + PREPARE_SECONDS)
    )
    publication = replace(
        PUBLICATION, text="hi @bob.test", attachments=(Attachment(url="https://a.test/a.png"),)
    )
    # When a post with a mention and a picture is prepared
    error = outcome(lambda: client.prepare(publication, CREDENTIALS))
    # Then it is to be tried again later, and nothing more was asked of anyone
    assert isinstance(error, PlatformRetriableError)
    assert server.count("resolveHandle") == 0
    assert server.count("uploadBlob") == 0
    http.clear()
