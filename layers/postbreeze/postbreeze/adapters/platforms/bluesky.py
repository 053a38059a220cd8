"""Bluesky, over the AT Protocol's XRPC calls.

Signing in, looking up mentions and uploading pictures happen in ``prepare``; publishing is then a
single ``com.atproto.repo.createRecord`` under a key derived from the target (``record_keys``), so
asking for that key tells for certain whether the post is public.

How the reference server answers, which decides the classification here:

* a key that is taken: 500 ``InternalServerError``, like any other accident. A server that answered
  no or failed is therefore asked for the record before its answer is believed;
* an expired or damaged token: 400 (not 401) ``ExpiredToken`` or ``InvalidToken``;
* a missing record: 400 ``RecordNotFound``.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeGuard
from urllib.parse import urlencode, urlsplit

import urllib3

from postbreeze.adapters.platforms import record_keys, richtext
from postbreeze.adapters.platforms.xrpc import (
    CONNECT_SECONDS,
    READ_SECONDS,
    Answer,
    NoAnswerError,
    NotSentError,
    call,
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

FetchMedia = Callable[[Attachment], tuple[bytes, str]]
"""Fetch what is to be attached: the bytes and their declared type, or a ``PlatformError``."""

COLLECTION = "app.bsky.feed.post"

MAX_TEXT_BYTES = 3_000
MAX_IMAGES = 4
MAX_IMAGE_BYTES = 1_000_000
MAX_LANGUAGES = 3
"""The four limits are those of the lexicons app.bsky.feed.post and app.bsky.embed.images."""

MAX_MENTIONS = 10
"""Each costs a call before publishing; handles beyond these stay plain text."""

MENTION_SECONDS = 3.0
"""A handle's own domain may be asked, and may be dead; a mention is not worth a longer wait."""

PREPARE_SECONDS = 30.0
"""After this no further mention is looked up and no further picture begun: the function that
publishes is stopped after two minutes, and must have most of them left for publishing."""

MAX_SESSIONS = 256
"""Accounts whose sessions one warm function keeps, the least recently used forgotten first."""

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
_DID = re.compile(r"did:[a-z]+:[A-Za-z0-9._:%-]{1,2000}")
_TOKEN = re.compile(r"[!-~]+")
_STALE_TOKEN = frozenset({"ExpiredToken", "InvalidToken"})
_SUSPENDED = frozenset({"AccountTakedown", "AccountSuspended", "takendown", "suspended"})
_DEACTIVATED = frozenset({"AccountDeactivated", "deactivated"})


@dataclass(frozen=True, slots=True)
class _Session:
    did: str
    access: str = field(repr=False)
    refresh: str = field(repr=False)


class _RecordKeyTakenError(Exception):
    """The record under the key says something else."""


class BlueskyClient:
    """Publishes to one Bluesky server.

    One target becomes at most one post and one first comment, however often and by however many
    processes it is published. Sessions are kept in memory for as long as the process lives, because
    a server lets an account sign in only some 300 times a day. Safe to use from several threads.
    """

    def __init__(
        self,
        base_url: str,
        http: urllib3.PoolManager,
        fetch_media: FetchMedia,
        *,
        now: Callable[[], float] = time.time,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """Keep what is needed; nothing is called yet.

        Args:
            base_url: The server's address, such as ``https://bsky.social``.
            http: The connections to use.
            fetch_media: Fetches a picture; its ``PlatformError`` is passed on as it is.
            now: The present time in epoch seconds, to read rate-limit headers by.
            connect_seconds: The longest wait for a connection.
            read_seconds: The longest wait for the next part of an answer.

        Raises:
            ValueError: The address is not that of an HTTP server.
        """
        self._base_url = _origin(base_url)
        self._http = http
        self._fetch_media = fetch_media
        self._now = now
        self._timeout = urllib3.Timeout(connect=connect_seconds, read=read_seconds)
        self._mention_timeout = urllib3.Timeout(
            connect=connect_seconds, read=min(read_seconds, MENTION_SECONDS)
        )
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._lock = threading.Lock()

    def prepare(self, publication: Publication, credentials: Mapping[str, str]) -> PreparedPost:
        """Sign in, look up mentions, upload pictures; publish nothing.

        Raises:
            PlatformRetriableError: The server or a picture could not be reached, or has no time.
            PlatformRejectedError: Credentials, account, text, options or a picture are refused.
        """
        _check(publication.text)
        for attachment in publication.attachments:
            _check_sendable(attachment.alt_text or "")
        languages = _languages(publication.options)
        if len(publication.attachments) > MAX_IMAGES:
            raise PlatformRejectedError(
                "MEDIA_REJECTED", f"Bluesky takes at most {MAX_IMAGES} pictures in a post."
            )
        until = self._now() + PREPARE_SECONDS
        session = self._sign_in(publication, credentials)
        record = self._record(publication.text, publication.created_at, until)
        if languages:
            record["langs"] = languages
        if publication.attachments:
            images = [
                {
                    "image": self._upload(attachment, session, until),
                    "alt": attachment.alt_text or "",
                }
                for attachment in publication.attachments
            ]
            record["embed"] = {"$type": "app.bsky.embed.images", "images": images}
        rkey = record_keys.post_key(publication.target_id)
        return _Prepared(partial(self._create, session, rkey, record))

    def find(self, publication: Publication, credentials: Mapping[str, str]) -> ExternalPost | None:
        """Ask the account's own repository for the record; None means it surely does not exist.

        Raises:
            PlatformRetriableError: The server could not be asked now.
            PlatformRejectedError: The credentials are refused.
        """
        session = self._sign_in(publication, credentials)
        # Whatever it says: the key is the target's alone, whose text may have been edited since.
        return self._standing(session, record_keys.post_key(publication.target_id), None)

    def comment(
        self, publication: Publication, post: ExternalPost, credentials: Mapping[str, str]
    ) -> None:
        """Reply to the post with the publication's first comment, at most once; nothing if none.

        Raises:
            PlatformRetriableError: Nothing was sent.
            PlatformRejectedError: The server answered no, or the post to reply to is gone.
            PlatformOutcomeUnknownError: Sent, and no usable answer came back. Calling again is
                safe: the comment's key is taken if it was written.
        """
        text = publication.first_comment
        if not text:
            return
        _check(text)
        reference = {name: post.reference.get(name, "") for name in ("uri", "cid")}
        if not all(reference.values()):
            found = self.find(publication, credentials)
            if found is None:
                raise PlatformRejectedError(
                    "POST_NOT_FOUND", "The post to comment on is not on Bluesky."
                )
            reference = dict(found.reference)
        session = self._sign_in(publication, credentials)
        # A moment later than the post, so that every reader sorts it behind.
        moment = publication.created_at + timedelta(milliseconds=1)
        record = self._record(text, moment, self._now() + PREPARE_SECONDS)
        record["reply"] = {"root": reference, "parent": reference}
        self._create(session, record_keys.comment_key(publication.target_id), record)

    # Records

    def _record(self, text: str, created_at: datetime, until: float) -> dict[str, Any]:
        moment = created_at.astimezone(UTC).isoformat(timespec="milliseconds")
        record: dict[str, Any] = {
            "$type": COLLECTION,
            "text": text,
            "createdAt": moment.replace("+00:00", "Z"),
        }
        known: dict[str, str | None] = {}

        def did_of(handle: str) -> str | None:
            if handle not in known and len(known) < MAX_MENTIONS and self._now() < until:
                known[handle] = self._did_of(handle)
            return known.get(handle)

        facets = richtext.facets(text, did_of)
        if facets:
            record["facets"] = facets
        return record

    def _did_of(self, handle: str) -> str | None:
        """Resolve a handle, or return None: no mention is worth failing or delaying a post for."""
        try:
            answer = self._get(
                "com.atproto.identity.resolveHandle",
                {"handle": handle},
                timeout=self._mention_timeout,
            )
        except NoAnswerError:
            return None
        did = (answer.document() or {}).get("did") if answer.ok else None
        return did if _is_did(did) else None

    def _upload(self, attachment: Attachment, session: _Session, until: float) -> Mapping[str, Any]:
        if self._now() >= until:
            raise PlatformRetriableError(
                "PLATFORM_UNAVAILABLE", "Bluesky or a picture's server took too long to answer."
            )
        content, _ = self._fetch_media(attachment)
        if len(content) > MAX_IMAGE_BYTES:
            raise PlatformRejectedError(
                "MEDIA_REJECTED", f"Bluesky takes pictures of at most {MAX_IMAGE_BYTES} bytes."
            )
        content_type = _image_type(content)
        if content_type is None:
            raise PlatformRejectedError(
                "MEDIA_REJECTED", "Bluesky takes PNG, JPEG, WebP and GIF pictures only."
            )
        answer = self._prepare_call(
            "com.atproto.repo.uploadBlob", content, content_type, session.access
        )
        if not answer.ok:
            raise self._refused_in_preparation(answer, session, "MEDIA_REJECTED")
        blob = (answer.document() or {}).get("blob")
        if not isinstance(blob, dict):
            raise _unusable()
        return blob

    def _create(self, session: _Session, rkey: str, record: Mapping[str, Any]) -> ExternalPost:
        """Make the one call that publishes.

        Raises:
            PlatformRetriableError: Nothing was written.
            PlatformRejectedError: The server answered no.
            PlatformOutcomeUnknownError: Nobody can tell yet.
        """
        uri = f"at://{session.did}/{COLLECTION}/{rkey}"
        body = {"repo": session.did, "collection": COLLECTION, "rkey": rkey, "record": record}
        try:
            answer = self._post(
                "com.atproto.repo.createRecord", _json(body), "application/json", session.access
            )
        except NotSentError as error:
            raise _unreachable() from error
        except NoAnswerError as error:
            raise _unknown("Bluesky did not answer the call that publishes.") from error
        if answer.ok:
            document = answer.document() or {}
            cid = document.get("cid")
            if document.get("uri") != uri or not isinstance(cid, str) or not cid:
                raise _unknown("Bluesky's answer to the call that publishes makes no sense.")
            return _external(uri, cid)
        if answer.status == 429:
            raise self._rate_limited(answer)
        if answer.status in (400, 401) and answer.error in _STALE_TOKEN:
            self._forget(session)
            raise PlatformRetriableError(
                "SESSION_EXPIRED", "The session ended just before publishing."
            )
        return self._standing_after_refusal(session, rkey, str(record["text"]), answer)

    def _standing_after_refusal(
        self, session: _Session, rkey: str, text: str, answer: Answer
    ) -> ExternalPost:
        """Believe a refusal or a failure only if the record is not there already."""
        try:
            standing = self._standing(session, rkey, text)
        except _RecordKeyTakenError as error:
            raise _key_taken() from error
        except PlatformError:
            # It cannot be asked now; the answer that was given has to do.
            standing = None
        if standing is not None:
            return standing
        if 400 <= answer.status < 500 and answer.status != 408:
            code = _account_code(answer)
            if code is not None:
                self._forget(session)
            raise _rejected(code or "PLATFORM_REJECTED", answer)
        # 408 is a gateway's way of saying that time ran out somewhere: as uncertain as a 5xx.
        raise _unknown(f"Bluesky answered {answer.status} to the call that publishes.")

    def _standing(self, session: _Session, rkey: str, text: str | None) -> ExternalPost | None:
        """Return the record under the key, or None if there surely is none.

        Raises:
            _RecordKeyTakenError: There is one with another text than the one that is given.
            PlatformRetriableError: Anything else came back, or nothing.
        """
        query = {"repo": session.did, "collection": COLLECTION, "rkey": rkey}
        try:
            # Signed in although the record is public: an entryway then asks the account's own
            # server instead of an index that may lag behind.
            answer = self._get("com.atproto.repo.getRecord", query, access=session.access)
        except NoAnswerError as error:
            raise _unreachable() from error
        if answer.status == 400 and answer.error == "RecordNotFound":
            return None
        if answer.status in (400, 401) and answer.error in _STALE_TOKEN:
            self._forget(session)
        if not answer.ok:
            raise self._busy(answer)
        document = answer.document() or {}
        cid, value = document.get("cid"), document.get("value")
        if not isinstance(cid, str) or not isinstance(value, dict):
            raise _unusable()
        if text is not None and value.get("text") != text:
            raise _RecordKeyTakenError
        return _external(f"at://{session.did}/{COLLECTION}/{rkey}", cid)

    # Sessions

    def _sign_in(self, publication: Publication, credentials: Mapping[str, str]) -> _Session:
        """Return a session that worked a moment ago, over a connection that did too.

        A kept session is tried with a harmless call first. Without it the call that publishes
        would be the first on a connection that may have died while the function slept, and its
        outcome unknown for no good reason.
        """
        identifier, password = credentials.get("identifier"), credentials.get("appPassword")
        if not identifier or not password:
            raise PlatformRejectedError(
                "CREDENTIALS_REJECTED", "The account's identifier or app password is missing."
            )
        service = credentials.get("service")
        if service and not self._is_this_server(service):
            # Never sent: the password belongs to somebody else's server.
            raise PlatformRejectedError(
                "SERVICE_NOT_SUPPORTED", "The account lives on a server this deployment is not for."
            )
        key = _cache_key(publication.account_id, identifier, password)
        with self._lock:
            session = self._sessions.get(key)
        if session is not None:
            session = self._renewed(session)
        if session is None:
            session = self._created(identifier, password)
        with self._lock:
            self._sessions[key] = session
            self._sessions.move_to_end(key)
            while len(self._sessions) > MAX_SESSIONS:
                self._sessions.popitem(last=False)
        wanted = publication.external_account_id
        if wanted.startswith("did:") and wanted != session.did:
            self._forget(session)
            raise PlatformRejectedError(
                "ACCOUNT_MISMATCH", "The credentials belong to another Bluesky account."
            )
        return session

    def _renewed(self, session: _Session) -> _Session | None:
        """Return the session if it still works, its successor, or None when a new one is needed."""
        try:
            answer = self._get("com.atproto.server.getSession", {}, access=session.access)
        except NoAnswerError as error:
            raise _unreachable() from error
        if answer.ok:
            self._check_active(answer, session)
            return session
        if answer.status == 429 or answer.status >= 500:
            raise self._busy(answer)
        self._forget(session)
        if answer.error != "ExpiredToken":
            return None
        refreshed = self._prepare_call(
            "com.atproto.server.refreshSession", b"", None, session.refresh
        )
        return self._session_of(refreshed) if refreshed.ok else None

    def _created(self, identifier: str, password: str) -> _Session:
        answer = self._prepare_call(
            "com.atproto.server.createSession",
            _json({"identifier": identifier, "password": password}),
            "application/json",
        )
        if not answer.ok:
            raise self._refused_in_preparation(answer, None, "CREDENTIALS_REJECTED")
        return self._session_of(answer)

    def _session_of(self, answer: Answer) -> _Session:
        document = answer.document() or {}
        did, access, refresh = (document.get(name) for name in ("did", "accessJwt", "refreshJwt"))
        if not (_is_did(did) and _is_token(access) and _is_token(refresh)):
            raise _unusable()
        session = _Session(did, access, refresh)
        self._check_active(answer, session)
        return session

    def _check_active(self, answer: Answer, session: _Session) -> None:
        document = answer.document() or {}
        if document.get("active") is False:
            self._forget(session)
            status = document.get("status")
            code = "ACCOUNT_DEACTIVATED" if status in _DEACTIVATED else "ACCOUNT_SUSPENDED"
            raise PlatformRejectedError(code, "Bluesky says that the account is not active.")

    def _forget(self, session: _Session) -> None:
        with self._lock:
            for key in [key for key, kept in self._sessions.items() if kept == session]:
                del self._sessions[key]

    # Calls

    def _get(
        self,
        nsid: str,
        query: Mapping[str, str],
        *,
        access: str | None = None,
        timeout: urllib3.Timeout | None = None,
    ) -> Answer:
        """Ask, and ask once more if the connection broke: it may have died while it was unused.

        Raises:
            NoAnswerError: There is no answer.
        """
        url = f"{self._base_url}/xrpc/{nsid}"
        if query:
            url = f"{url}?{urlencode(query)}"
        headers = _authorization(access)
        try:
            return call(self._http, "GET", url, headers=headers, timeout=timeout or self._timeout)
        except NoAnswerError as error:
            if not isinstance(error.__cause__, urllib3.exceptions.ProtocolError):
                raise
        return call(self._http, "GET", url, headers=headers, timeout=timeout or self._timeout)

    def _post(
        self, nsid: str, body: bytes, content_type: str | None, access: str | None = None
    ) -> Answer:
        headers = _authorization(access)
        if content_type is not None:
            headers["Content-Type"] = content_type
        return call(
            self._http,
            "POST",
            f"{self._base_url}/xrpc/{nsid}",
            headers=headers,
            body=body,
            timeout=self._timeout,
        )

    def _prepare_call(
        self, nsid: str, body: bytes, content_type: str | None, access: str | None = None
    ) -> Answer:
        """Make a call that publishes nothing: whether it was sent does not matter."""
        try:
            return self._post(nsid, body, content_type, access)
        except (NotSentError, NoAnswerError) as error:
            raise _unreachable() from error

    # Refusals

    def _refused_in_preparation(
        self, answer: Answer, session: _Session | None, code: str
    ) -> PlatformError:
        if answer.status == 429 or not 400 <= answer.status < 500:
            return self._busy(answer)
        if session is not None:
            account_code = _account_code(answer)
            if account_code is not None or answer.error in _STALE_TOKEN:
                self._forget(session)
            if answer.error in _STALE_TOKEN:
                return PlatformRetriableError("SESSION_EXPIRED", "The session has ended.")
        else:
            account_code = _account_code(answer)
        return _rejected(account_code or code, answer)

    def _busy(self, answer: Answer) -> PlatformRetriableError:
        if answer.status == 429:
            return self._rate_limited(answer)
        return PlatformRetriableError(
            "PLATFORM_UNAVAILABLE",
            f"Bluesky answered {answer.status}.",
            retry_after=answer.wait(self._now()) if answer.status == 503 else None,
        )

    def _rate_limited(self, answer: Answer) -> PlatformRetriableError:
        return PlatformRetriableError(
            "PLATFORM_RATE_LIMITED",
            "Bluesky wants fewer calls for a while.",
            retry_after=answer.wait(self._now()),
        )

    def _is_this_server(self, service: str) -> bool:
        try:
            return _origin(service) == self._base_url
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A post of which only the publishing is left."""

    create: Callable[[], ExternalPost]

    def publish(self) -> ExternalPost:
        """Write the record; see ``PreparedPost.publish``."""
        return self.create()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the server's address must be an http or https address")
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def _check_sendable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PlatformRejectedError(
            "TEXT_REJECTED", "The text holds half a character and cannot be sent."
        ) from error


def _check(text: str) -> None:
    _check_sendable(text)
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise PlatformRejectedError(
            "TEXT_TOO_LONG", f"Bluesky takes at most {MAX_TEXT_BYTES} bytes of text."
        )


def _languages(options: Mapping[str, Any]) -> list[str]:
    languages = options.get("langs")
    if languages is None:
        return []
    if (
        not isinstance(languages, list | tuple)
        or len(languages) > MAX_LANGUAGES
        or not all(isinstance(tag, str) and _LANGUAGE.fullmatch(tag) for tag in languages)
    ):
        raise PlatformRejectedError(
            "OPTIONS_REJECTED", f"langs takes at most {MAX_LANGUAGES} language tags such as en-GB."
        )
    return list(languages)


def _image_type(content: bytes) -> str | None:
    """Tell a picture's type by its first bytes: what a web server claims is often wrong."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return None


def _is_did(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _DID.fullmatch(value) is not None


def _is_token(value: object) -> TypeGuard[str]:
    """Tell whether this can stand in a header."""
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def _cache_key(account_id: str, identifier: str, password: str) -> str:
    # A changed password must not go on with the old one's session.
    digest = hashlib.sha256(f"{identifier}\x00{password}".encode()).hexdigest()
    return f"{account_id}#{digest}"


def _authorization(access: str | None) -> dict[str, str]:
    return {} if access is None else {"Authorization": f"Bearer {access}"}


def _json(value: Mapping[str, Any]) -> bytes:
    # What people wrote has been checked; half a character in a password is the server's to refuse.
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="surrogatepass")


def _external(uri: str, cid: str) -> ExternalPost:
    did, _, rkey = uri.removeprefix("at://").split("/")
    return ExternalPost(
        id=uri,
        url=f"https://bsky.app/profile/{did}/post/{rkey}",
        reference={"uri": uri, "cid": cid},
    )


def _account_code(answer: Answer) -> str | None:
    if answer.error in _SUSPENDED:
        return "ACCOUNT_SUSPENDED"
    if answer.error in _DEACTIVATED:
        return "ACCOUNT_DEACTIVATED"
    if answer.error in ("AuthenticationRequired", "AuthMissing", "AuthFactorTokenRequired"):
        return "CREDENTIALS_REJECTED"
    return None


def _rejected(code: str, answer: Answer) -> PlatformRejectedError:
    return PlatformRejectedError(
        code, f"Bluesky answered {answer.status} {answer.error or 'without naming an error'}."
    )


def _key_taken() -> PlatformRejectedError:
    return PlatformRejectedError(
        "RECORD_KEY_TAKEN", "Another post already stands under this target's key."
    )


def _unreachable() -> PlatformRetriableError:
    return PlatformRetriableError("PLATFORM_UNREACHABLE", "Bluesky could not be reached.")


def _unusable() -> PlatformRetriableError:
    return PlatformRetriableError("PLATFORM_UNAVAILABLE", "Bluesky's answer makes no sense.")


def _unknown(message: str) -> PlatformOutcomeUnknownError:
    return PlatformOutcomeUnknownError("PUBLISH_OUTCOME_UNKNOWN", message)
