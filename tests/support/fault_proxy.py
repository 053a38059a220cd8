"""A loopback proxy between the deployed functions and what they call, which does it harm as told.

Why our own: published proxies for AWS faults throttle, delay, reset and lose answers, but none
delivers a request twice, or long after its caller has given up, or kills the caller once the call
has taken effect, which is half of what is wanted here. And a transaction's conflict has one reason
for each of its items, so that it cannot be told beforehand.

Who is to be harmed is told by *marks*: identifiers that stand in requests, each belonging to one
*subject*, such as a test's post with its workspace, key and endpoint. An identifier that comes with
a known one belongs to the same subject from then on. What a subject's functions have called is
kept, so that a test can first watch what there is to harm.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import struct
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from local.loopback import LoopbackHandler, LoopbackServer

UPSTREAM_SECONDS = 40.0
THROTTLED_SECONDS = 30.0
CONFLICTS = 5
"""One more than the tries of a write that meets other transactions, so that one write fails."""

_OF_ONE_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
_IDENTIFIER = r"[a-z]{2,4}_[0-7][0-9A-HJKMNP-TV-Z]{25}"
_MARK = re.compile(rf"{_IDENTIFIER}|[0-9a-f]{{64}}|cell-\d+\.test|did:plc:[a-z2-7]{{24}}")
_LEARNT = re.compile(_IDENTIFIER)
_KEY = re.compile(r"([A-Z]+)(#|$)")

_THROTTLING = {
    "dynamodb": (400, "ProvisionedThroughputExceededException"),
    "kms": (400, "ThrottlingException"),
    "scheduler": (429, "ThrottlingException"),
    "sns": (429, "Throttled"),
    "sqs": (403, "RequestThrottled"),
}


class Kind(Enum):
    """What becomes of a call. Those of the SDK are harmed in all its attempts, unless said."""

    BEFORE = "fails before"
    LOST = "answer lost"
    LOST_ONCE = "answer lost, asked again"
    HELD = "times out"
    LATE = "arrives late"
    THROTTLED = "throttled for 30 s"
    THROTTLED_ONCE = "throttled once"
    CONFLICT = "transaction conflict"
    DEATH = "process dies after it"
    TWICE = "happens twice"


_WITH_EFFECT = frozenset({Kind.LOST, Kind.LOST_ONCE, Kind.DEATH, Kind.TWICE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as it came in; ``id`` is the same for all attempts of one call of the SDK."""

    function: str
    service: str
    name: str
    id: str
    is_first_attempt: bool
    text: str

    @property
    def is_aws(self) -> bool:
        """Tell whether the SDK makes it."""
        return self.service in _THROTTLING

    @property
    def is_shared(self) -> bool:
        """Tell whether it may be for many subjects at once."""
        return self.name.endswith("Batch")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Spot:
    """The n-th call of a name that a function makes for a subject."""

    function: str
    name: str
    nth: int = 1

    def __str__(self) -> str:
        """Name it, as in ``cancel_post: Publish``."""
        return f"{self.function}: {self.name}" + (f" ({self.nth})" if self.nth > 1 else "")


@dataclass(slots=True, kw_only=True, eq=False)
class Harm:
    """A fault at a spot; ``hits`` counts the requests that met it.

    A call for many subjects at once meets one harm at a time: the others wait for its like.
    """

    spot: Spot
    kind: Kind
    hits: int = 0
    began: float | None = None
    met_by: str = ""

    def meets(self, call: Call, nth: int, now: float) -> bool:
        """Tell whether a call is to be harmed."""
        if nth < self.spot.nth or self.spot.name != call.name:
            return False
        is_own_turn = self.met_by in {"", call.id} if call.is_shared else nth == self.spot.nth
        match self.kind:
            case Kind.THROTTLED:
                return self.began is None or now < self.began + THROTTLED_SECONDS
            case Kind.CONFLICT:
                return nth < self.spot.nth + CONFLICTS
            case Kind.LOST_ONCE | Kind.DEATH | Kind.TWICE:
                return is_own_turn and (call.is_first_attempt or not call.is_aws)
            case _:
                return is_own_turn


@dataclass(slots=True)
class _Subject:
    harms: list[Harm] = field(default_factory=list)
    calls: defaultdict[tuple[str, str], list[str]] = field(
        default_factory=lambda: defaultdict(list)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A request that was kept to be sent to its server once more, or for the first time."""

    upstream: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def send(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """Send it and return the answer."""
        parts = urlsplit(self.upstream)
        connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port or 80, timeout=UPSTREAM_SECONDS
        )
        try:
            connection.request(
                self.method, self.path, body=self.body or None, headers=dict(self.headers)
            )
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()


class Faults:
    """What is to go wrong, for whom, and what has come by; shared by all proxies of a test."""

    def __init__(self) -> None:
        """Begin with nobody to harm."""
        self._lock = threading.Lock()
        self._marks: dict[str, str] = {}
        self._subjects: defaultdict[str, _Subject] = defaultdict(_Subject)
        self.late: list[Kept] = []
        self.messages: list[Kept] = []
        self.killed: list[int] = []

    def know(self, subject: str, marks: Iterable[str]) -> None:
        """Let identifiers stand for a subject."""
        with self._lock:
            self._marks.update(dict.fromkeys(marks, subject))

    def arm(self, subject: str, *harms: Harm) -> None:
        """Harm a subject from here on; its calls are counted anew."""
        with self._lock:
            self._subjects[subject] = _Subject(list(harms))

    def watched(self, subject: str) -> dict[Spot, int]:
        """Return every spot that a subject's calls have come to, since it was armed."""
        with self._lock:
            calls = self._subjects[subject].calls
            return {
                Spot(function=function, name=name, nth=nth): nth
                for (function, name), made in calls.items()
                for nth in range(1, len(made) + 1)
            }

    def met(self, call: Call) -> Kind | None:
        """Note a call and return what is to become of it, None for nothing special."""
        with self._lock:
            now = time.monotonic()
            waiting: list[Harm] = []
            for name in self._subjects_of(call):
                subject = self._subjects[name]
                made = subject.calls[call.function, call.name]
                if call.id not in made:
                    made.append(call.id)
                nth = made.index(call.id) + 1
                waiting += [
                    harm
                    for harm in subject.harms
                    if harm.spot.function == call.function and harm.meets(call, nth, now)
                ]
            if not waiting:
                return None
            # What has no effect comes first, and leaves the others something to be met by.
            harm = min(waiting, key=lambda harm: harm.kind in _WITH_EFFECT)
            harm.hits += 1
            harm.began = harm.began or now
            harm.met_by = call.id
            return harm.kind

    def keep_late(self, request: Kept) -> None:
        """Keep a request that its caller takes for lost."""
        with self._lock:
            self.late.append(request)

    def keep_message(self, request: Kept) -> None:
        """Keep a request that sent a message, to send it again one day."""
        with self._lock:
            self.messages.append(request)

    def fires(self) -> list[bytes]:
        """Return what every schedule that was made fires with."""
        with self._lock:
            made = [each for each in self.messages if each.path.startswith("/schedules/")]
        return [json.loads(each.body)["Target"]["Input"].encode() for each in made]

    def keep_killed(self, pids: Iterable[int]) -> None:
        """Note processes that were killed."""
        with self._lock:
            self.killed.extend(pids)

    def _subjects_of(self, call: Call) -> list[str]:
        """Return whose call it is, "" for nobody's, and learn the identifiers that came along."""
        marks = _MARK.findall(call.text)
        known = list(dict.fromkeys(self._marks[mark] for mark in marks if mark in self._marks))
        if len(known) == 1:
            for mark in marks:
                if _LEARNT.fullmatch(mark):
                    self._marks.setdefault(mark, known[0])
        return known or [""]


class FaultProxy(LoopbackServer):
    """Stands between one function and one server; transparent unless ``faults`` say otherwise."""

    def __init__(self, function: str, upstream: str, faults: Faults) -> None:
        """Bind a free port.

        Args:
            function: Whose calls these are.
            upstream: The server's base address.
            faults: What is to go wrong.
        """
        super().__init__(_Handler)
        self.function = function
        self.upstream = upstream
        self.faults = faults


class _Handler(LoopbackHandler):
    server: FaultProxy

    def _take(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        if len(body) < length:
            return  # whoever sent it has died in the middle
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in _OF_ONE_CONNECTION
        }
        request = Kept(
            upstream=self.server.upstream,
            method=self.command,
            path=self.path,
            headers=headers,
            body=body,
        )
        call = read(self.server.function, request)
        faults = self.server.faults
        match faults.met(call):
            case Kind.BEFORE:
                self._reset()
            case Kind.HELD:
                self._hold()
            case Kind.LATE:
                faults.keep_late(request)
                self._hold()
            case Kind.THROTTLED | Kind.THROTTLED_ONCE:
                self._answer(*throttled(call))
            case Kind.CONFLICT:
                self._answer(*conflict(call, body))
            case Kind.LOST | Kind.LOST_ONCE:
                request.send()
                self._reset()
            case Kind.DEATH:
                request.send()
                faults.keep_killed(kill_client(self.connection))
                self.close_connection = True
            case Kind.TWICE:
                request.send()
                self._forward(call, request)
            case None:
                self._forward(call, request)

    def _forward(self, call: Call, request: Kept) -> None:
        if call.name.startswith(("Publish", "SendMessage", "CreateSchedule")):
            self.server.faults.keep_message(request)
        self._answer(*request.send())

    def _answer(self, status: int, headers: Iterable[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _OF_ONE_CONNECTION:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _hold(self) -> None:
        """Say nothing until the client has hung up."""
        self.close_connection = True
        while self.connection.recv(1024):
            continue

    def _reset(self) -> None:
        self.close_connection = True
        # Closing with a linger of zero seconds sends a reset instead of an end.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    do_GET = do_POST = do_PUT = do_DELETE = _take  # noqa: N815 - names http.server wants


def read(function: str, request: Kept) -> Call:
    """Tell what a request asks for."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    path = unquote(request.path)
    text = request.body.decode("utf-8", "replace")
    service, name = _name(headers, request, path, text)
    attempt = re.search(r"attempt=(\d+)", headers.get("amz-sdk-request", ""))
    return Call(
        function=function,
        service=service,
        name=name,
        id=headers.get("amz-sdk-invocation-id", str(uuid.uuid4())),
        is_first_attempt=attempt is None or attempt[1] == "1",
        text=f"{path} {unquote(text)}",
    )


def _name(headers: Mapping[str, str], request: Kept, path: str, text: str) -> tuple[str, str]:
    target, _, operation = headers.get("x-amz-target", "").partition(".")
    if target.startswith("DynamoDB"):
        return "dynamodb", f"{operation} {_rows(operation, json.loads(text))}"
    if target:
        return ("sqs" if target == "AmazonSQS" else "kms"), operation
    if path.startswith("/schedules/"):
        return "scheduler", "CreateSchedule" if request.method == "POST" else "DeleteSchedule"
    if path.startswith("/xrpc/"):
        return "platform", urlsplit(path).path.rpartition(".")[2]
    if "x-postbreeze-event" in headers:
        return "endpoint", "POST to the endpoint"
    return "sns", parse_qs(text).get("Action", ["?"])[0]


def _rows(operation: str, body: Mapping[str, Any]) -> str:
    """Name the rows that a request of DynamoDB is about by what kinds they are."""
    if "IndexName" in body:
        values = [value.get("S", "") for value in body["ExpressionAttributeValues"].values()]
        partition = next(value for value in values if "#" in value).partition("#")[0].lower()
        table = re.search("posts|workspaces|webhooks|media", body["TableName"].lower())
        return f"index {body['IndexName']}, {partition}, of {table[0] if table else '?'}"
    match operation:
        case "TransactWriteItems":
            each = [part for item in body["TransactItems"] for part in item.values()]
            places = [part.get("Key") or part["Item"] for part in each]
        case "BatchGetItem":
            places = [key for asked in body["RequestItems"].values() for key in asked["Keys"]]
        case "Query":
            values = body["ExpressionAttributeValues"].values()
            places = [{"sk": value} for value in values]
        case _:
            places = [body.get("Key") or body["Item"]]
    kinds = (_KEY.match(place["sk"].get("S", "")) for place in places)
    return "+".join(sorted({kind[1].lower() for kind in kinds if kind is not None}))


def throttled(call: Call) -> tuple[int, list[tuple[str, str]], bytes]:
    """Answer as a service does that has too much to do."""
    if not call.is_aws:
        return _error(429, "RateLimitExceeded", {"error": "RateLimitExceeded"})
    status, code = _THROTTLING[call.service]
    if call.service == "sns":
        content = f"<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>".encode()
        return status, [("Content-Type", "text/xml")], content
    return _error(status, code, {"__type": code, "message": "Rate exceeded"})


def conflict(call: Call, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    """Answer as DynamoDB does where another transaction is at one of the rows."""
    if not call.name.startswith("TransactWriteItems"):
        code = "TransactionConflictException"
        return _error(400, code, {"__type": code, "message": "Transaction is ongoing"})
    items = len(json.loads(body)["TransactItems"])
    reasons = [{"Code": "TransactionConflict"}, *({"Code": "None"} for _ in range(items - 1))]
    code = "TransactionCanceledException"
    return _error(
        400,
        code,
        {"__type": code, "Message": "Transaction cancelled", "CancellationReasons": reasons},
    )


def _error(
    status: int, code: str, document: Mapping[str, Any]
) -> tuple[int, list[tuple[str, str]], bytes]:
    headers = [("Content-Type", "application/json"), ("x-amzn-ErrorType", code)]
    return status, headers, json.dumps(document).encode()


def kill_client(connection: socket.socket) -> list[int]:
    """Kill the local process at the other end of a loopback connection; return what was killed."""
    pids = _owners(connection.getpeername()[1], connection.getsockname()[1])
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return pids


def _owners(local: int, remote: int) -> list[int]:
    """Return the processes that hold the connection between two loopback ports."""
    inodes = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ports = [int(address.rpartition(":")[2], 16) for address in fields[1:3]]
        if ports == [local, remote]:
            inodes.add(f"socket:[{fields[9]}]")
    owners = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            files = [str(link.readlink()) for link in (process / "fd").iterdir()]
        except OSError:
            continue  # It ended while we looked, or is not ours.
        if inodes & set(files):
            owners.append(int(process.name))
    return owners
