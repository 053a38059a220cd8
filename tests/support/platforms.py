"""An in-memory social platform with scripted accidents, for tests of everything above the port."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

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

T = TypeVar("T")


class Accident(Enum):
    """What may happen to a call that writes."""

    LOST_ANSWER = "written, and the answer is lost"
    LOST_REQUEST = "not written, and nobody can tell"
    UNREACHABLE = "not sent"
    REFUSED = "the platform answers no"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicPost:
    """What the public sees of one target."""

    target_id: str
    account_id: str
    text: str
    attachments: tuple[Attachment, ...]
    external: ExternalPost


@dataclass(slots=True)
class FakePlatform:
    """A ``PlatformClient`` that keeps posts in memory; safe to use from several threads.

    Accidents are taken one per call, first in first out, by the calls they are scripted for; an
    empty script means that all goes well. ``publishes`` counts the calls that published something
    new, by target id; ``attempts`` counts all calls of ``publish``.
    """

    passwords: dict[str, str] = field(default_factory=dict)
    """Accepted app password by account id; an account that is missing here takes any."""
    reachable: bool = True
    prepares: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)
    publishes: Counter[str] = field(default_factory=Counter)
    posts: dict[str, PublicPost] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)
    prepare_errors: deque[PlatformError | None] = field(default_factory=deque)
    publish_accidents: deque[Accident | None] = field(default_factory=deque)
    find_errors: deque[PlatformError | None] = field(default_factory=deque)
    comment_accidents: deque[Accident | None] = field(default_factory=deque)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def prepare(self, publication: Publication, credentials: Mapping[str, str]) -> PreparedPost:
        """Check what can be checked; see ``PlatformClient.prepare``."""
        with self._lock:
            self.prepares[publication.target_id] += 1
            self._sign_in(publication, credentials)
            error = _next(self.prepare_errors)
            if error is not None:
                raise error
            return _Prepared(self, publication)

    def find(self, publication: Publication, credentials: Mapping[str, str]) -> ExternalPost | None:
        """Look the target up; see ``PlatformClient.find``."""
        with self._lock:
            self._sign_in(publication, credentials)
            error = _next(self.find_errors)
            if error is not None:
                raise error
            standing = self.posts.get(publication.target_id)
            return None if standing is None else standing.external

    def comment(
        self, publication: Publication, post: ExternalPost, credentials: Mapping[str, str]
    ) -> None:
        """Keep the first comment; see ``PlatformClient.comment``."""
        with self._lock:
            self._sign_in(publication, credentials)
            if not publication.first_comment:
                return
            accident = _next(self.comment_accidents)
            _before(accident)
            if accident is not Accident.LOST_REQUEST:
                standing = self.comments.setdefault(post.id, publication.first_comment)
                _check_same(standing, publication.first_comment)
            _after(accident)

    def publish(self, publication: Publication) -> ExternalPost:
        """Make it public unless the script has it otherwise; called by the prepared post."""
        with self._lock:
            self.attempts[publication.target_id] += 1
            if not self.reachable:
                raise _unreachable()
            accident = _next(self.publish_accidents)
            _before(accident)
            if accident is not Accident.LOST_REQUEST:
                standing = self.posts.get(publication.target_id)
                if standing is None:
                    self.publishes[publication.target_id] += 1
                    standing = _public(publication)
                    self.posts[publication.target_id] = standing
                _check_same(standing.text, publication.text)
            _after(accident)
            return self.posts[publication.target_id].external

    def _sign_in(self, publication: Publication, credentials: Mapping[str, str]) -> None:
        if not self.reachable:
            raise _unreachable()
        wanted = self.passwords.get(publication.account_id)
        if wanted is not None and credentials.get("appPassword") != wanted:
            raise PlatformRejectedError("CREDENTIALS_REJECTED", "The platform knows no such login.")


@dataclass(frozen=True, slots=True)
class _Prepared:
    platform: FakePlatform
    publication: Publication

    def publish(self) -> ExternalPost:
        return self.platform.publish(self.publication)


def _public(publication: Publication) -> PublicPost:
    name = f"{publication.external_account_id}/{publication.target_id}"
    external = ExternalPost(
        id=f"fake://{name}",
        url=f"https://fake.example/{name}",
        reference={"uri": f"fake://{name}", "cid": publication.target_id},
    )
    return PublicPost(
        target_id=publication.target_id,
        account_id=publication.account_id,
        text=publication.text,
        attachments=publication.attachments,
        external=external,
    )


def _next(script: deque[T | None]) -> T | None:
    return script.popleft() if script else None


def _before(accident: Accident | None) -> None:
    if accident is Accident.UNREACHABLE:
        raise _unreachable()
    if accident is Accident.REFUSED:
        raise PlatformRejectedError("PLATFORM_REJECTED", "The platform refused the post.")


def _after(accident: Accident | None) -> None:
    if accident in (Accident.LOST_ANSWER, Accident.LOST_REQUEST):
        raise PlatformOutcomeUnknownError("PUBLISH_OUTCOME_UNKNOWN", "No answer came back.")


def _check_same(standing: str, wanted: str) -> None:
    if standing != wanted:
        raise PlatformRejectedError("RECORD_KEY_TAKEN", "Another text stands there already.")


def _unreachable() -> PlatformRetriableError:
    return PlatformRetriableError("PLATFORM_UNREACHABLE", "The platform could not be reached.")
