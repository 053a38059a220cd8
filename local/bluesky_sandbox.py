"""A Bluesky server for the local stack and for tests, in memory and on loopback only.

    python -m local.bluesky_sandbox --port 4198 --log .local/platform.jsonl

It speaks the XRPC calls that Postbreeze makes and answers like the reference server, taken record
keys (500 ``InternalServerError``) and dead tokens (400 ``ExpiredToken``) included. Any identifier
is an account: its password is ``sandbox-<identifier>``, its DID is derived from the identifier.

Every call is written to the log as one JSON line, before it is answered:

    {"at": "2026-06-15T09:00:00.000Z", "handle": "alice.test", "did": "did:plc:…",
     "method": "com.atproto.repo.createRecord", "body": {…}, "status": 200, "answered": true}

``body`` is the JSON of a call without its password, the query of a reading call, or the size and
type of a blob; tokens are never written. ``answered`` is false when the connection was dropped;
``status`` is then the answer that was lost, or 0 if there was none to lose.

    POST /_behave {"status": 500, "times": 2, "delayMs": 0}

makes it answer the next two calls so (``times`` 0: all of them until told otherwise, and
``{"status": 200}`` is the way back). Beside these: ``method`` (only calls of this name are counted
and touched), ``error`` (the error's name), ``headers``, ``drop`` (drop the connection and do
nothing), ``afterEffect`` (do what was asked, then drop the connection: a lost answer).
``GET /_records?handle=…`` returns an account's records, oldest first; ``GET /_health`` answers 200.
None of these is logged. SIGTERM and SIGINT stop it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from local import loopback
from local.loopback import HOST, ToldHandler, ToldServer, run

MAX_BODY = 5 * 1024 * 1024
MAX_TEXT_BYTES = 3_000
MAX_IMAGES = 4
MAX_IMAGE_BYTES = 1_000_000
PASSWORD_PREFIX = "sandbox-"  # noqa: S105 - told to everyone above

CREATE_RECORD = "com.atproto.repo.createRecord"
POSTS = "app.bsky.feed.post"

_TID = re.compile(r"[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour(loopback.Behaviour):
    """How to answer; ``times`` is how often, 0 for always. The default is to behave well."""

    MORE: ClassVar[Mapping[str, tuple[str, type]]] = {
        "method": ("method", str),
        "error": ("error", str),
        "drop": ("drop", bool),
        "afterEffect": ("after_effect", bool),
    }

    method: str | None = None
    error: str | None = None
    drop: bool = False
    after_effect: bool = False

    @property
    def refuses(self) -> bool:
        """Whether the call is answered without being done."""
        return self.status >= HTTPStatus.MULTIPLE_CHOICES and not self.after_effect


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One XRPC call as it came in."""

    method: str
    query: Mapping[str, str]
    content: bytes
    content_type: str
    token: str

    def document(self) -> dict[str, Any]:
        try:
            value = json.loads(self.content)
        except ValueError as error:
            raise _RefusalError(400, "InvalidRequest", "The body is not JSON") from error
        if not isinstance(value, dict):
            raise _RefusalError(400, "InvalidRequest", "Input must be an object")
        return value


class _RefusalError(Exception):
    """The call is answered with an error of the protocol."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.message = message


class BlueskySandbox(ToldServer[Behaviour]):
    """The server as an object: ``with BlueskySandbox() as sandbox: … sandbox.url``."""

    def __init__(self, *, log: Path | None = None, port: int = 0) -> None:
        """Bind the port (0: any free one); calls are answered from :meth:`start` on.

        Args:
            log: Where the JSON lines are appended; None keeps them in ``calls`` only.
            port: On 127.0.0.1.
        """
        super().__init__(_Handler, Behaviour, log=log, port=port)
        self._handles: dict[str, str] = {}
        self._records: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
        self._blobs: dict[str, dict[str, int]] = {}
        self._access: dict[str, str] = {}
        self._refresh: dict[str, str] = {}
        self._expired: set[str] = set()
        self._operations: Mapping[str, Callable[[_Call], Mapping[str, Any]]] = {
            "com.atproto.server.createSession": self._create_session,
            "com.atproto.server.getSession": self._get_session,
            "com.atproto.server.refreshSession": self._refresh_session,
            "com.atproto.server.describeServer": self._describe_server,
            "com.atproto.repo.uploadBlob": self._upload_blob,
            CREATE_RECORD: self._create_record,
            "com.atproto.repo.getRecord": self._get_record,
            "com.atproto.repo.listRecords": self._list_records,
            "com.atproto.identity.resolveHandle": self._resolve_handle,
        }

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Every call so far, as logged."""
        with self._lock:
            return list(self._lines)

    def expire_sessions(self) -> None:
        """Let every access token given out so far be expired; refreshing them works."""
        with self._lock:
            self._expired.update(self._access)

    def records(self, handle: str) -> list[dict[str, Any]]:
        """Return the account's records as ``{uri, cid, value}``, oldest first."""
        with self._lock:
            return list(self._records.get(did_of(handle), {}).values())

    # What the handler calls

    def next_behaviour(self, method: str) -> Behaviour:
        """Return how to answer this call, and count it."""
        with self._lock:
            if self._behaviour.method not in (None, method):
                return Behaviour()
            return self._next()

    def perform(self, call: _Call) -> Mapping[str, Any]:
        """Do what was asked and return the answer.

        Raises:
            _RefusalError: It cannot be done.
        """
        operation = self._operations.get(call.method)
        if operation is None:
            raise _RefusalError(501, "MethodNotImplemented", "Method Not Implemented")
        with self._lock:
            return operation(call)

    def record(self, call: _Call, status: int, *, answered: bool) -> None:
        """Write one line to the log."""
        with self._lock:
            body = self._shown(call)
            identifier = body.get("identifier") if call.method.endswith("createSession") else None
            did = self._access.get(call.token) or self._refresh.get(call.token)
            if isinstance(identifier, str):
                did = did_of(identifier)
            line = {
                "handle": identifier or (self._handles.get(did) if did else None),
                "did": did,
                "method": call.method,
                "body": body,
                "status": status,
                "answered": answered,
            }
            self._note(line, ensure_ascii=False)

    @staticmethod
    def _shown(call: _Call) -> Mapping[str, Any]:
        if call.method == "com.atproto.repo.uploadBlob":
            return {"size": len(call.content), "mimeType": call.content_type}
        if not call.content:
            return dict(call.query)
        try:
            document = call.document()
        except _RefusalError:
            return {"size": len(call.content)}
        return {name: value for name, value in document.items() if name != "password"}

    # The protocol

    def _create_session(self, call: _Call) -> Mapping[str, Any]:
        body = call.document()
        identifier, password = body.get("identifier"), body.get("password")
        if not isinstance(identifier, str) or not isinstance(password, str):
            raise _RefusalError(400, "InvalidRequest", "Input must have identifier and password")
        if not identifier or password != PASSWORD_PREFIX + identifier:
            raise _RefusalError(401, "AuthenticationRequired", "Invalid identifier or password")
        did = did_of(identifier)
        if not identifier.startswith("did:"):
            self._handles[did] = identifier
        return self._session(did)

    def _session(self, did: str) -> Mapping[str, Any]:
        access, refresh = f"access.{secrets.token_hex(16)}", f"refresh.{secrets.token_hex(16)}"
        self._access[access] = did
        self._refresh[refresh] = did
        return {**self._account(did), "accessJwt": access, "refreshJwt": refresh}

    def _account(self, did: str) -> Mapping[str, Any]:
        return {"did": did, "handle": self._handles.get(did, "handle.invalid"), "active": True}

    def _get_session(self, call: _Call) -> Mapping[str, Any]:
        return self._account(self._authenticated(call))

    def _refresh_session(self, call: _Call) -> Mapping[str, Any]:
        did = self._refresh.pop(call.token, None)
        if did is None:
            raise _RefusalError(400, "ExpiredToken", "Token has been revoked")
        return self._session(did)

    def _authenticated(self, call: _Call) -> str:
        if not call.token:
            raise _RefusalError(401, "AuthMissing", "Authentication Required")
        if call.token in self._expired:
            raise _RefusalError(400, "ExpiredToken", "Token has expired")
        did = self._access.get(call.token)
        if did is None:
            raise _RefusalError(400, "InvalidToken", "Token could not be verified")
        return did

    def _upload_blob(self, call: _Call) -> Mapping[str, Any]:
        did = self._authenticated(call)
        cid = _cid(call.content, raw=True)
        self._blobs.setdefault(did, {})[cid] = len(call.content)
        return {
            "blob": {
                "$type": "blob",
                "ref": {"$link": cid},
                "mimeType": call.content_type,
                "size": len(call.content),
            }
        }

    def _create_record(self, call: _Call) -> Mapping[str, Any]:
        did = self._authenticated(call)
        body = call.document()
        if body.get("repo") not in (did, self._handles.get(did)):
            raise _RefusalError(401, "AuthenticationRequired", "Authentication Required")
        collection, rkey, value = body.get("collection"), body.get("rkey"), body.get("record")
        if collection != POSTS or not isinstance(value, dict):
            raise _RefusalError(400, "InvalidRequest", f"Only {POSTS} is spoken here")
        if not isinstance(rkey, str) or not _TID.fullmatch(rkey):
            raise _RefusalError(400, "InvalidRequest", "Input/rkey must be a valid Record Key")
        self._check_post(did, value)
        records = self._records.setdefault(did, {})
        if (collection, rkey) in records:
            # The reference server answers a taken key no better.
            raise _RefusalError(500, "InternalServerError", "Internal Server Error")
        uri = f"at://{did}/{collection}/{rkey}"
        cid = _cid(json.dumps(value, sort_keys=True).encode(), raw=False)
        records[collection, rkey] = {"uri": uri, "cid": cid, "value": value}
        return {"uri": uri, "cid": cid, "validationStatus": "valid"}

    def _check_post(self, did: str, value: Mapping[str, Any]) -> None:
        def invalid(what: str) -> _RefusalError:
            return _RefusalError(400, "InvalidRequest", f"Invalid {POSTS} record: Record/{what}")

        text, created_at = value.get("text"), value.get("createdAt")
        if not isinstance(text, str):
            raise invalid("text must be a string")
        size = len(text.encode(errors="surrogatepass"))
        if size > MAX_TEXT_BYTES:
            raise invalid(f"text must not be longer than {MAX_TEXT_BYTES} characters")
        if not isinstance(created_at, str) or not _MOMENT.fullmatch(created_at):
            raise invalid("createdAt must be an valid atproto datetime")
        for facet in value.get("facets", []):
            index = facet["index"]
            if not 0 <= index["byteStart"] < index["byteEnd"] <= size:
                raise invalid("facets must lie within the text")
        images = value.get("embed", {}).get("images", [])
        if len(images) > MAX_IMAGES:
            raise invalid(f"embed/images must not have more than {MAX_IMAGES} elements")
        for image in images:
            cid = image["image"]["ref"]["$link"]
            known = self._blobs.get(did, {}).get(cid)
            if known is None:
                raise _RefusalError(400, "BlobNotFound", f"Could not find blob: {cid}")
            if known > MAX_IMAGE_BYTES:
                raise _RefusalError(400, "BlobTooLarge", "This file is too large.")

    def _get_record(self, call: _Call) -> Mapping[str, Any]:
        did = did_of(call.query.get("repo", ""))
        key = (call.query.get("collection", ""), call.query.get("rkey", ""))
        record = self._records.get(did, {}).get(key)
        if record is None:
            uri = f"at://{did}/{'/'.join(key)}"
            raise _RefusalError(400, "RecordNotFound", f"Could not locate record: {uri}")
        return record

    def _list_records(self, call: _Call) -> Mapping[str, Any]:
        did = did_of(call.query.get("repo", ""))
        collection = call.query.get("collection", "")
        found = [
            record for key, record in self._records.get(did, {}).items() if key[0] == collection
        ]
        return {"records": sorted(found, key=lambda record: str(record["uri"]), reverse=True)}

    def _resolve_handle(self, call: _Call) -> Mapping[str, Any]:
        handle = call.query.get("handle", "")
        if handle not in self._handles.values():
            raise _RefusalError(400, "InvalidRequest", "Unable to resolve handle")
        return {"did": did_of(handle)}

    def _describe_server(self, call: _Call) -> Mapping[str, Any]:
        return {
            "did": f"did:web:{HOST}",
            "availableUserDomains": [".test"],
            "inviteCodeRequired": False,
        }


def did_of(identifier: str) -> str:
    """Return the DID of the account with this handle; a DID is its own."""
    if identifier.startswith("did:"):
        return identifier
    digest = hashlib.sha256(identifier.lower().encode()).digest()
    return f"did:plc:{base64.b32encode(digest).decode().lower()[:24]}"


def _cid(content: bytes, *, raw: bool) -> str:
    """Return a well-formed CID: version 1, raw or DAG-CBOR, SHA-256, in base 32."""
    multihash = b"\x12\x20" + hashlib.sha256(content).digest()
    encoded = base64.b32encode(b"\x01" + (b"\x55" if raw else b"\x71") + multihash)
    return "b" + encoded.decode().lower().rstrip("=")


class _Handler(ToldHandler):
    server: BlueskySandbox
    server_version = "PostbreezeBlueskySandbox"
    timeout = 60

    def _take(self) -> None:
        content = self.read_body(MAX_BODY)
        if isinstance(content, HTTPStatus):
            self.close_connection = True
            self.answer(content, {"error": "InvalidRequest", "message": content.phrase})
            return
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        if parts.path.startswith("/xrpc/"):
            self._xrpc(parts.path.removeprefix("/xrpc/"), query, content)
        elif (self.command, parts.path) == ("GET", "/_records"):
            records = self.server.records(query.get("handle", ""))
            self.answer(HTTPStatus.OK, {"records": records})
        elif not self.take_order(parts.path, content):
            self.answer(HTTPStatus.NOT_FOUND, {"error": "NotFound", "message": "Not Found"})

    do_GET = do_POST = _take  # noqa: N815 - names http.server wants

    def _xrpc(self, method: str, query: Mapping[str, str], content: bytes) -> None:
        sandbox = self.server
        call = _Call(
            method=method,
            query=query,
            content=content,
            content_type=self.headers.get("Content-Type", ""),
            token=self.headers.get("Authorization", "").removeprefix("Bearer "),
        )
        behaviour = sandbox.next_behaviour(method)
        sandbox.pause(behaviour.delay_ms)
        if behaviour.drop:
            sandbox.record(call, 0, answered=False)
            self.close_connection = True
            return
        status, document = self._outcome(call, behaviour)
        sandbox.record(call, status, answered=not behaviour.after_effect)
        if behaviour.after_effect:
            self.close_connection = True
        else:
            self.answer(status, document, behaviour.headers)

    def _outcome(self, call: _Call, behaviour: Behaviour) -> tuple[int, Mapping[str, Any]]:
        if behaviour.refuses:
            name = behaviour.error or f"Status{behaviour.status}"
            return behaviour.status, {"error": name, "message": "As told by /_behave"}
        try:
            return HTTPStatus.OK, self.server.perform(call)
        except _RefusalError as refusal:
            return refusal.status, {"error": refusal.error, "message": refusal.message}
        except (AttributeError, KeyError, TypeError):
            # A record of the wrong shape; the reference server says where, this one need not.
            return HTTPStatus.BAD_REQUEST, {"error": "InvalidRequest", "message": "Bad record"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    return run(
        BlueskySandbox,
        arguments,
        program="python -m local.bluesky_sandbox",
        description=__doc__,
        greeting="speaking for Bluesky",
    )


if __name__ == "__main__":
    raise SystemExit(main())
