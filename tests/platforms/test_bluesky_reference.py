"""The Bluesky client on the reference server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import urllib3

from local.reference_pds import Account, ReferencePds
from postbreeze.adapters.platforms.bluesky import BlueskyClient
from postbreeze.operations.platform_port import Attachment
from tests.contracts.test_platform import BlueskyContract, publication
from tests.support.lost_answers import LostAnswerProxy
from tests.support.platform_stages import (
    PICTURE_URL,
    BlueskyStage,
    Person,
    Stage,
    fetch_picture,
)

pytestmark = pytest.mark.platforms


@pytest.fixture
def person(account: Account) -> Person:
    """An account as Postbreeze knows it."""
    return Person(
        account_id=f"soc_{account.handle}",
        external_account_id=account.did,
        credentials={"identifier": account.handle, "appPassword": account.app_password},
    )


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    """Connections that are given back."""
    manager = urllib3.PoolManager()
    yield manager
    manager.clear()


class TestReferenceServer(BlueskyContract):
    """The conformance suite."""

    @pytest.fixture
    def stage(self, reference_pds: ReferencePds, person: Person) -> Iterator[Stage]:
        with LostAnswerProxy(reference_pds.url) as proxy:
            stage = BlueskyStage(proxy, [person])
            yield stage
            stage.close()


def test_the_server_counts_the_bytes_of_links_and_tags_as_we_do(
    reference_pds: ReferencePds, person: Person, http: urllib3.PoolManager
) -> None:
    # Given
    text = "🎉 see https://example.com/ä and #grüße by @alice-mentioned.test"
    mentioned = reference_pds.create_account("alice-mentioned.test")
    client = BlueskyClient(reference_pds.url, http, fetch_picture)

    # When
    client.prepare(publication(person, text), person.credentials).publish()

    # Then
    [record] = reference_pds.records(person.external_account_id)
    found = {
        text.encode()[facet["index"]["byteStart"] : facet["index"]["byteEnd"]].decode(): next(
            value for name, value in facet["features"][0].items() if name != "$type"
        )
        for facet in record["value"]["facets"]
    }
    assert found == {
        "https://example.com/ä": "https://example.com/ä",
        "#grüße": "grüße",
        "@alice-mentioned.test": mentioned.did,
    }


def test_an_uploaded_picture_can_be_fetched_back(
    reference_pds: ReferencePds, person: Person, http: urllib3.PoolManager
) -> None:
    # Given
    wanted = replace(publication(person), attachments=(Attachment(url=PICTURE_URL),))
    client = BlueskyClient(reference_pds.url, http, fetch_picture)

    # When
    client.prepare(wanted, person.credentials).publish()

    # Then
    [record] = reference_pds.records(person.external_account_id)
    image = record["value"]["embed"]["images"][0]["image"]
    fetched = http.request(
        "GET",
        f"{reference_pds.url}/xrpc/com.atproto.sync.getBlob",
        fields={"did": person.external_account_id, "cid": image["ref"]["$link"]},
    )
    assert fetched.data == fetch_picture(Attachment(url=PICTURE_URL))[0]
    assert image["mimeType"] == "image/png"


def test_a_taken_record_key_is_answered_like_an_accident(
    reference_pds: ReferencePds, account: Account, http: urllib3.PoolManager
) -> None:
    """The fact on which the client's classification rests; a server that changes it is noticed."""
    # Given
    session = reference_pds.call(
        "com.atproto.server.createSession",
        {"identifier": account.handle, "password": account.app_password},
    )
    answers = []

    # When
    for text in ("first", "second"):
        answer = http.request(
            "POST",
            f"{reference_pds.url}/xrpc/com.atproto.repo.createRecord",
            json={
                "repo": account.did,
                "collection": "app.bsky.feed.post",
                "rkey": "3lbmlvgptknrm",
                "record": {
                    "$type": "app.bsky.feed.post",
                    "text": text,
                    "createdAt": "2026-06-15T12:00:00.000Z",
                },
            },
            headers={"Authorization": f"Bearer {session['accessJwt']}"},
        )
        answers.append((answer.status, answer.json().get("error")))

    # Then
    assert answers == [(200, None), (500, "InternalServerError")]
    assert [r["value"]["text"] for r in reference_pds.records(account.did)] == ["first"]


def test_an_account_is_used_again_and_again_over_one_session(
    reference_pds: ReferencePds, person: Person, http: urllib3.PoolManager
) -> None:
    # Given
    client = BlueskyClient(reference_pds.url, http, fetch_picture)

    # When
    for text in ("one", "two", "three"):
        client.prepare(publication(person, text), person.credentials).publish()

    # Then
    texts = [
        record["value"]["text"] for record in reference_pds.records(person.external_account_id)
    ]
    assert sorted(texts) == ["one", "three", "two"]
