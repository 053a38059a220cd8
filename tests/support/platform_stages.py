"""The stages on which the conformance suite of the platform port is played."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import urllib3

from postbreeze.adapters.platforms.bluesky import BlueskyClient
from postbreeze.domain.errors import PlatformRetriableError
from postbreeze.operations.platform_port import Attachment, PlatformClient
from tests.support.lost_answers import CREATE_RECORD, LostAnswerProxy
from tests.support.platforms import Accident, FakePlatform

PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082"
)
"""A PNG of one black pixel."""

PICTURE_URL = "https://pictures.example/one.png"
MISSING_PICTURE_URL = "https://pictures.example/unreachable.png"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An account on the stage, with credentials that work."""

    account_id: str
    external_account_id: str
    credentials: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One public post as a stranger sees it: comments have the id of what they reply to."""

    id: str
    text: str
    alt_texts: tuple[str, ...] = ()
    reply_to: str | None = None


class Stage(Protocol):
    """One implementation of the port with a way to look behind it and to hurt it."""

    client: PlatformClient

    def person(self) -> Person:
        """Return an account that has published nothing yet."""

    def seen(self, person: Person) -> list[Seen]:
        """Return everything the account has published, comments included."""

    def lose_next_answer(self, *, comment: bool = False) -> None:
        """Let the platform do what it is asked next, and the answer be lost."""

    def disappear(self) -> None:
        """Refuse every connection from now on."""


class FakeStage:
    """The in-memory platform."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.platform = FakePlatform()
        self.client: PlatformClient = self.platform
        self._people = 0

    def person(self) -> Person:
        """See ``Stage``."""
        self._people += 1
        account_id = f"soc_{self._people}"
        self.platform.passwords[account_id] = "right"
        return Person(
            account_id=account_id,
            external_account_id=f"fake-{self._people}",
            credentials={"identifier": account_id, "appPassword": "right"},
        )

    def seen(self, person: Person) -> list[Seen]:
        """See ``Stage``."""
        posts = [
            Seen(
                id=post.external.id,
                text=post.text,
                alt_texts=tuple(picture.alt_text or "" for picture in post.attachments),
            )
            for post in self.platform.posts.values()
            if post.account_id == person.account_id
        ]
        comments = [
            Seen(id=f"{post.id}#comment", text=self.platform.comments[post.id], reply_to=post.id)
            for post in posts
            if post.id in self.platform.comments
        ]
        return posts + comments

    def lose_next_answer(self, *, comment: bool = False) -> None:
        """See ``Stage``."""
        script = self.platform.comment_accidents if comment else self.platform.publish_accidents
        script.append(Accident.LOST_ANSWER)

    def disappear(self) -> None:
        """See ``Stage``."""
        self.platform.reachable = False


class BlueskyStage:
    """The Bluesky client, over real HTTP, in front of any server that speaks its XRPC calls."""

    def __init__(self, proxy: LostAnswerProxy, people: list[Person]) -> None:
        """Take accounts that exist on the server behind the proxy."""
        self._proxy = proxy
        self._people = people
        self._http = urllib3.PoolManager()
        self.client: PlatformClient = BlueskyClient(proxy.url, self._http, fetch_picture)

    def person(self) -> Person:
        """See ``Stage``."""
        return self._people.pop()

    def seen(self, person: Person) -> list[Seen]:
        """See ``Stage``."""
        # Asked of the server itself: the proxy may be gone.
        host, port = self._proxy.upstream
        answer = self._http.request(
            "GET",
            f"http://{host}:{port}/xrpc/com.atproto.repo.listRecords",
            fields={"repo": person.external_account_id, "collection": "app.bsky.feed.post"},
        )
        assert answer.status == 200, answer.data
        return [
            Seen(
                id=record["uri"],
                text=record["value"]["text"],
                alt_texts=tuple(
                    image["alt"] for image in record["value"].get("embed", {}).get("images", [])
                ),
                reply_to=record["value"].get("reply", {}).get("parent", {}).get("uri"),
            )
            for record in answer.json()["records"]
        ]

    def lose_next_answer(self, *, comment: bool = False) -> None:
        """See ``Stage``; a comment is a record like any other."""
        self._proxy.lose(1, CREATE_RECORD)

    def disappear(self) -> None:
        """See ``Stage``."""
        self._proxy.stop()

    def close(self) -> None:
        """Give back the connections."""
        self._http.clear()


def fetch_picture(attachment: Attachment) -> tuple[bytes, str]:
    """Stand in for the egress guard: one picture exists, everything else is unreachable."""
    if attachment.url != PICTURE_URL:
        raise PlatformRetriableError("MEDIA_UNREACHABLE", "The picture could not be fetched.")
    return PICTURE, "image/png"
