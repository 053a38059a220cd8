"""A soak: clients, and a world that misbehaves, at work on a deployed stack for some minutes.

Clients do what good clients do: they send an ``Idempotency-Key`` with all they ask for, and ask
again under the same one until they get an answer. Meanwhile the function workers of this stack's
own engine are killed in the middle of their work, and the platform and an endpoint fail, hesitate,
refuse, and lose answers. All that is left to chance begins from one seed.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import urllib3
from boto3.dynamodb.types import TypeDeserializer

from local.receiver import Behaviour, Receiver
from postbreeze.domain.webhook import EndpointStatus
from tests.e2e.aws import client, schedules
from tests.e2e.client import Api, lines
from tests.support.deployment import operator_of
from tests.support.ledger import (
    COMMENT_OWED,
    Call,
    Delivery,
    Endpoint,
    Event,
    Evidence,
    Post,
    Receipt,
    Request,
)
from tests.support.workers import Workers

Stack = Mapping[str, Any]

CREATE_RECORD: Final = "com.atproto.repo.createRecord"
PATIENCE: Final = 120.0
"""Seconds for which a client asks again before it gives up."""

ROUGH: Final = 0.7
"""The share of the load during which publishers die and the platform's answers are in doubt: what
that leaves takes a lease of three minutes to find out."""

RECENT: Final = 150
"""How many of the latest posts are worked on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of it."""

    seed: int
    requests: int
    """How many are to be accepted."""

    kills: int
    """How many workers are to be killed meanwhile."""

    longest: float
    """Seconds after which it is enough all the same."""

    clients: int = 8
    pause: float = 0.6
    """The longest pause between two requests of a client."""

    @property
    def requests_a_kill(self) -> float:
        """How many requests there are from one kill to the next: few enough for some kills more."""
        return 0.8 * self.requests / self.kills

    def chance(self, whose: str) -> random.Random:
        """Return the chance that one part of it goes by."""
        return random.Random(f"{self.seed} {whose}")


def moment(at: float | None = None) -> str:
    """Write a moment as the service, the platform and the receiver do."""
    when = datetime.fromtimestamp(time.time() if at is None else at, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the load has got. What goes by it takes as long on a slow machine as it has to."""

    plan: Plan
    board: Board
    workers: Workers
    began: float

    @property
    def share(self) -> float:
        """The share that is done."""
        spent = (time.monotonic() - self.began) / self.plan.longest
        accepted = self.board.accepted / self.plan.requests
        killed = self.workers.kills.total() / self.plan.kills
        return max(min(accepted, killed), spent)

    @property
    def is_over(self) -> bool:
        """Whether it is enough."""
        return self.share >= 1

    @property
    def is_rough(self) -> bool:
        """Whether what takes long to find out may still be left behind."""
        return self.share < ROUGH


# ------------------------------------------------------------------------------------------ clients


class Board:
    """What the clients know of their posts, between them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._posts: dict[str, Post] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        self.requests: list[Request] = []
        self.accepted = 0

    def note(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)
            self.accepted += request.is_accepted
        if request.post is not None:
            self.saw(request.post)

    def saw(self, post: Post) -> None:
        with self._lock:
            known = self._posts.get(post.id)
            if known is None or known.version <= post.version:
                self._posts[post.id] = post
            names = (post.workflow_id,) if post.workflow_id else ()
            self._names[post.id] = tuple(dict.fromkeys((*self._names.get(post.id, ()), *names)))

    def recent(self) -> list[Post]:
        with self._lock:
            return [post for post in list(self._posts.values())[-RECENT:] if not post.deleted_at]

    def fires(self, post: Post) -> list[str]:
        """Return the post's workflows whose fire may come again: old ones, and those due."""
        with self._lock:
            names = self._names[post.id]
        due = post.scheduled_at is not None and post.scheduled_at <= moment()
        return [name for name in names if due or name != names[-1]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One of several that work on the same posts."""

    number: int
    stack: Stack
    board: Board
    chance: random.Random
    http: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(retries=False, timeout=30, maxsize=2)
    )

    def work(self, progress: Progress) -> None:
        """Ask for one thing after the other."""
        turn = 0
        aws = client(self.stack, "lambda")
        while not progress.is_over:
            turn += 1
            self._turn(f"client {self.number} turn {turn}", aws)
            time.sleep(self.chance.uniform(0, progress.plan.pause))

    def _turn(self, text: str, aws: Any) -> None:
        posts = self.board.recent()
        if len(posts) < 10 or self.chance.random() < 0.3:
            self.board.note(self._create(text))
            return
        post = self.chance.choice(posts)
        if post.status in _MOVING and (post.scheduled_at or "") <= moment():
            post = self._look(post)
        verb = self.chance.choice(_VERBS[post.status])
        if verb == "look":
            self._look(post)
        elif verb == "fire":
            self._fire(post, aws)
        else:
            self.board.note(getattr(self, f"_{verb}")(post, text))

    def _create(self, text: str) -> Request:
        body = {**self._wanted(text), "caption": text}
        kind = self.chance.random()
        if kind < 0.75:
            body["scheduledAt"] = self._soon() if kind < 0.55 else self._later()
        return self._ask("create", "POST", "/posts", body, text=text)

    def _wanted(self, text: str) -> dict[str, Any]:
        accounts = self.stack["accounts"]
        chosen = self.chance.sample(accounts["BLUESKY"], self.chance.choice((1, 2, 2, 3)))
        if self.chance.random() < 0.08:
            chosen.append(accounts["X"][0])
        comment = {"firstComment": f"{text}, more"} if self.chance.random() < 0.15 else {}
        return {
            "targets": [
                {"socialAccountId": account, "captionOverride": text, **comment}
                for account in chosen
            ]
        }

    def _schedule(self, post: Post, _: str) -> Request:
        at = {"scheduledFor": self._soon()}
        return self._ask("schedule", "POST", f"/posts/{post.id}/schedule", at, post=post)

    def _reschedule(self, post: Post, _: str) -> Request:
        at = {"scheduledFor": self.chance.choice((self._soon, self._later))()}
        return self._ask("reschedule", "POST", f"/posts/{post.id}/reschedule", at, post=post)

    def _patch(self, post: Post, text: str) -> Request:
        body = self._wanted(text)
        if self.chance.random() < 0.5:
            body["scheduledAt"] = self._soon()
        return self._ask("patch", "PATCH", f"/posts/{post.id}", body, post=post, text=text)

    def _cancel(self, post: Post, text: str) -> Request:
        body: dict[str, Any] = {"reason": text}
        if len(post.targets) > 1 and self.chance.random() < 0.4:
            body["targetIds"] = [self.chance.choice(post.targets).id]
        return self._ask("cancel", "POST", f"/posts/{post.id}/cancel", body, post=post)

    def _delete(self, post: Post, _: str) -> Request:
        return self._ask("delete", "DELETE", f"/posts/{post.id}", None, post=post)

    def _retry(self, post: Post, _: str) -> Request:
        return self._ask("retry", "POST", f"/posts/{post.id}/retry", None, post=post)

    def _look(self, post: Post) -> Post:
        """Return the post as it is now, or as it was where that cannot be told."""
        status, document = self._send("GET", f"/posts/{post.id}", None, {})
        if status == 200:
            post = Post.read(document)
            self.board.saw(post)
        return post

    def _fire(self, post: Post, aws: Any) -> None:
        names = self.board.fires(post)
        if names:
            aws.invoke(
                FunctionName=self.stack["outputs"]["StartPublishFunctionName"],
                InvocationType="Event",
                Payload=json.dumps({"postId": post.id, "workflowId": self.chance.choice(names)}),
            )

    def _soon(self) -> str:
        return moment(time.time() + self.chance.uniform(2, 20))

    def _later(self) -> str:
        return moment(time.time() + self.chance.uniform(3600, 7200))

    def create_due(self, text: str, seconds: float) -> None:
        """Create a post that is due so soon."""
        body = {**self._wanted(text), "caption": text, "scheduledAt": moment(time.time() + seconds)}
        self.board.note(self._ask("create", "POST", "/posts", body, text=text))

    def _ask(
        self,
        verb: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        *,
        post: Post | None = None,
        text: str | None = None,
    ) -> Request:
        """Ask until there is an answer that says yes or no."""
        sent_at, until = moment(), time.monotonic() + PATIENCE
        key = {"Idempotency-Key": f"{self.chance.getrandbits(96):x}"}
        lost: list[int] = []
        status, document = self._send(method, path, body, key)
        # A 409 says that nothing was written, and to ask again.
        while (status in {0, 409} or status >= 500) and time.monotonic() < until:
            if status != 409:
                lost.append(status)
            time.sleep(self.chance.uniform(0.1, 1.0))
            status, document = self._send(method, path, body, key)
        is_answered = 0 < status < 500
        is_accepted = status in {200, 201}
        said = (document.get("cancellation") or {}).get("targets", []) if is_accepted else []
        return Request(
            verb=verb,
            sent_at=sent_at,
            post_id=None if post is None else post.id,
            text=text,
            lost=tuple(lost),
            status=status if is_answered else None,
            code=document.get("code"),
            post=Post.read(document) if is_accepted else None,
            outcomes={each["id"]: each["outcome"] for each in said},
            is_repeated=bool(lost),
        )

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, Any]]:
        sent = {"Authorization": f"Bearer {self.stack['keys']['owner']}", **headers}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        try:
            answer = self.http.request(
                method, self.stack["apiUrl"] + path, body=content, headers=sent, redirect=False
            )
        except urllib3.exceptions.HTTPError:
            return 0, {}
        return answer.status, json.loads(answer.data)


_MOVING: Final = frozenset({"SCHEDULED", "PUBLISHING"})
"""In these a post does not stay as it was last seen."""

_VERBS: Final[Mapping[str, Sequence[str]]] = {
    "DRAFT": ("schedule", "schedule", "patch", "delete", "look"),
    "SCHEDULED": (
        *("reschedule", "reschedule", "patch", "cancel", "cancel", "cancel"),
        *("delete", "fire", "look", "look"),
    ),
    "PUBLISHING": ("cancel", "look", "look", "fire", "retry"),
    "PARTIALLY_PUBLISHED": ("retry", "cancel", "look"),
    "PUBLISHED": ("fire", "fire", "look", "delete", "cancel"),
    "FAILED": ("retry", "schedule", "patch", "delete"),
    "CANCELED": ("schedule", "patch", "cancel", "fire", "delete", "look"),
}
"""What a client may want of a post in the state that it was last seen in."""


# -------------------------------------------------------------------------------------------- kills


class Killer:
    """Kills function workers of one engine, while they are at work if it can."""

    KILLED: Final = {
        "posts-api": 4,
        "cancel-post": 3,
        "start-publish": 3,
        "publish-target": 4,
        "fan-out-event": 3,
        "deliver-webhook": 3,
    }
    """How likely each is to be chosen. What runs once a minute is lain in wait for."""

    STALKED: Final = "reconcile"

    def __init__(self, workers: Workers, plan: Plan) -> None:
        self.workers = workers
        self.plan = plan

    def work(self, progress: Progress) -> None:
        """Kill a worker every so many requests."""
        chance, due = self.plan.chance("killer"), 0.0
        while not progress.is_over:
            due += chance.expovariate(1 / self.plan.requests_a_kill)
            while len(progress.board.requests) < due and not progress.is_over:
                time.sleep(0.02)
            killed = False
            while not killed and not progress.is_over:
                likely = dict(self.KILLED)
                if not progress.is_rough:
                    del likely["publish-target"]
                name = chance.choices(list(likely), list(likely.values()))[0]
                delay, even_idle = chance.uniform(0, 0.03), chance.random() < 0.1
                killed = self.workers.kill(name, delay, even_idle=even_idle)

    def stalk(self, progress: Progress) -> None:
        """Kill every other run or so of what runs once a minute, at some moment of it."""
        chance = self.plan.chance("stalker")
        while not progress.is_over:
            if self.workers.kill(self.STALKED, chance.uniform(0, 0.3), even_idle=False):
                again = time.monotonic() + chance.uniform(0, 100)
                while time.monotonic() < again and not progress.is_over:
                    time.sleep(0.5)


# ---------------------------------------------------------------------------------------- mischief


_PLATFORM: Final[Sequence[tuple[str, bool, Mapping[str, Any]]]] = (
    ("5xx to a sign-in", False, {"status": 502, "method": "com.atproto.server.createSession"}),
    ("429 to a call that publishes", False,
     {"status": 429, "headers": {"Retry-After": "2"}, "method": CREATE_RECORD, "times": 2}),
    ("a delay", False, {"delayMs": 700, "times": 4}),
    ("an answer lost after its effect", False, {"afterEffect": True, "method": CREATE_RECORD}),
    ("5xx to a call that publishes", True, {"status": 500, "method": CREATE_RECORD}),
    ("a connection dropped", True, {"drop": True, "method": CREATE_RECORD}),
    ("all dropped for a moment", True, {"drop": True, "times": 3}),
)  # fmt: skip
_RECEIVER: Final[Sequence[tuple[str, bool, Mapping[str, Any]]]] = (
    ("5xx", False, {"status": 503}),
    ("429", False, {"status": 429, "headers": {"Retry-After": "3"}}),
    ("a delay", False, {"status": 200, "delayMs": 600, "times": 3}),
    ("5xx, several", True, {"status": 500, "times": 4}),
)
"""What is told to misbehave so: in words, whether only while it is rough, the order."""


class Mischief:
    """Has platform and receiver misbehave now and then."""

    def __init__(self, stack: Stack, plan: Plan) -> None:
        self.stack = stack
        self.plan = plan
        self.http = urllib3.PoolManager(retries=False, timeout=10)
        self.done: Counter[str] = Counter()

    def work(self, progress: Progress) -> None:
        """Give orders, and in the end the one to behave well."""
        chance = self.plan.chance("mischief")
        while not progress.is_over:
            time.sleep(chance.uniform(0.3, 1.7))
            whom, orders = chance.choice((("platform", _PLATFORM), ("receiver", _RECEIVER)))
            what, is_rough, order = chance.choice(orders)
            if progress.is_rough or not is_rough:
                self._tell(whom, {"times": 1, **order})
                self.done[f"{whom}: {what}"] += 1
        for whom in ("platform", "receiver"):
            self._tell(whom, {"status": 200, "times": 0})

    def _tell(self, whom: str, order: Mapping[str, Any]) -> None:
        url = f"{self.stack[whom]['url']}/_behave"
        answer = self.http.request("POST", url, body=json.dumps(order))
        assert answer.status == 200, answer.data


# -------------------------------------------------------------------------------------- the tables


class Tables:
    """What the stack's tables say, read from outside the service."""

    def __init__(self, stack: Stack) -> None:
        self._database = client(stack, "dynamodb")
        self._outputs = stack["outputs"]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return all rows of a table."""
        pages = self._database.get_paginator("scan").paginate(
            TableName=self._outputs[table], ConsistentRead=True
        )
        read = TypeDeserializer().deserialize
        return [
            {name: read(value) for name, value in item.items()}
            for page in pages
            for item in page["Items"]
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The rows that a soak leaves."""

    posts: tuple[Post, ...]
    events: tuple[Event, ...]
    deliveries: tuple[Delivery, ...]

    def unrest(self, soon: str) -> Counter[str]:
        """Count what is still to come by itself before that moment."""
        left: Counter[str] = Counter()
        for post in self.posts:
            left["armings"] += post.pending_workflow_id is not None
            left["posts"] += post.status == "PUBLISHING" or (
                post.status == "SCHEDULED"
                and post.deleted_at is None
                and (post.scheduled_at or "") <= soon
            )
            for target in post.targets:
                left["claims"] += target.status == "PUBLISHING"
                left["comments"] += target.comment_error == COMMENT_OWED
        left["events"] += sum(event.is_pending for event in self.events)
        left["deliveries"] += sum(
            each.status == "PENDING" and (each.next_attempt_at or "") <= soon
            for each in self.deliveries
        )
        return +left


def found(tables: Tables, workspace_id: str) -> Found:
    """Read everything about the posts of a workspace."""
    posts, targets, events = [], {}, []
    for row in tables.rows("PostsTableName"):
        if row["sk"] == "POST":
            posts.append(row)
        elif row["sk"].startswith("TARGET#"):
            targets[row["id"]] = row
        elif row["sk"].startswith("EVENT#") and row["pk"].startswith("POST#"):
            events.append(row)
    named = {target_id for row in posts for target_id in row["targetIds"]}
    if named != targets.keys():
        raise AssertionError(f"half of a post is there: {sorted(named ^ targets.keys())}")
    return Found(
        posts=tuple(_post(row, targets) for row in posts if row["workspaceId"] == workspace_id),
        events=tuple(_event(row) for row in events if row["workspaceId"] == workspace_id),
        deliveries=tuple(
            Delivery(
                id=row["id"],
                endpoint_id=row["endpointId"],
                event_id=row["eventId"],
                status=row["status"],
                next_attempt_at=row.get("nextAttemptAt"),
                attempts=len(row["attempts"]),
            )
            for row in tables.rows("WebhooksTableName")
            if row["sk"].startswith("DELIVERY#")
        ),
    )


def _post(row: Mapping[str, Any], targets: Mapping[str, Mapping[str, Any]]) -> Post:
    own = [targets[target_id] for target_id in row["targetIds"]]
    version = int(row["revision"]) + sum(int(target["revision"]) for target in own)
    return Post.read({**row, "version": version, "targets": own})


def _event(row: Mapping[str, Any]) -> Event:
    return Event(
        id=row["id"],
        type=row["type"],
        post_id=row["postId"],
        before=int(row["versionBefore"]),
        after=int(row["versionAfter"]),
        payload=json.loads(row["payload"]),
        is_pending="pendingSince" in row,
    )


# -------------------------------------------------------------------------------------------- soak


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """What was done, and what it has left."""

    evidence: Evidence
    kills: Mapping[tuple[str, str], int]
    mischief: Mapping[str, int]
    unrest: Mapping[str, int]
    """What had still to come when it was given up waiting for."""

    load_seconds: float
    recovery_seconds: float


def soak(stack: Stack, plan: Plan, *, patience: float) -> Soaked:
    """Do it all, and wait until everything has come to rest.

    Args:
        stack: The stack, which nobody else uses.
        plan: How much of it.
        patience: Seconds to wait for that at most.
    """
    workers, mischief, board = Workers(stack), Mischief(stack, plan), Board()
    killer = Killer(workers, plan)
    with _listeners(stack) as listeners:
        began = time.monotonic()
        progress = Progress(plan=plan, board=board, workers=workers, began=began)
        clients = [
            Client(number=number, stack=stack, board=board, chance=plan.chance(f"client {number}"))
            for number in range(plan.clients)
        ]
        _at_once(
            progress,
            *(each.work for each in clients),
            *(killer.work, killer.stalk, mischief.work, listeners.leave),
        )
        loaded = time.monotonic()
        evidence, unrest = settled(stack, board, patience=patience, receipts=listeners.receipts)
    return Soaked(
        evidence=evidence,
        kills=workers.kills,
        mischief=mischief.done,
        unrest=unrest,
        load_seconds=loaded - began,
        recovery_seconds=time.monotonic() - loaded,
    )


def settled(
    stack: Stack,
    board: Board,
    *,
    patience: float,
    receipts: Callable[[], Iterable[Receipt]] = tuple,
) -> tuple[Evidence, Mapping[str, int]]:
    """Wait until everything has come to rest, and return what anybody saw, and what is unrest.

    Args:
        stack: The stack.
        board: What its clients know.
        patience: Seconds to wait at most.
        receipts: Gives what other endpoints than the stack's own receiver got.
    """
    tables, until = Tables(stack), time.monotonic() + patience
    while True:
        left = found(tables, stack["workspaceId"])
        unrest = left.unrest(moment(time.time() + 20))
        if not unrest or time.monotonic() >= until:
            break
        time.sleep(5)
    evidence = Evidence(
        now=moment(),
        requests=tuple(board.requests),
        posts=left.posts,
        listed=frozenset(_listed(stack)),
        schedules=frozenset(schedules(stack)),
        events=left.events,
        endpoints=tuple(_endpoints(stack)),
        deliveries=left.deliveries,
        receipts=(
            *_receipts(stack["receiver"]["endpointId"], lines(stack["receiver"]["log"])),
            *receipts(),
        ),
        calls=tuple(_calls(stack)),
    )
    return evidence, unrest


def _at_once(progress: Progress, *parts: Callable[[Progress], None]) -> None:
    """Do all of it at the same time; raise what any of it raised."""
    with ThreadPoolExecutor(len(parts)) as threads:
        for done in [threads.submit(part, progress) for part in parts]:
            done.result()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listeners:
    """Endpoints beside the stack's own receiver: one that is slow, and one that leaves."""

    quiet: tuple[str, Receiver]
    leaving: tuple[str, Receiver]

    def leave(self, progress: Progress) -> None:
        """Have the one that leaves do so half-way."""
        while progress.share < 0.5:
            time.sleep(0.1)
        self.leaving[1].behave(Behaviour(status=410))

    def receipts(self) -> Iterator[Receipt]:
        """Yield what the two of them got."""
        for endpoint_id, receiver in (self.quiet, self.leaving):
            yield from _receipts(endpoint_id, receiver.requests)


def _receipts(endpoint_id: str, requests: Iterable[Mapping[str, Any]]) -> Iterator[Receipt]:
    for request in requests:
        body = json.loads(request["body"])
        yield Receipt(
            endpoint_id=endpoint_id,
            delivery_id=body["deliveryId"],
            status=request["status"],
            payload=body["payload"],
        )


@contextmanager
def _listeners(stack: Stack) -> Iterator[_Listeners]:
    endpoints = operator_of(stack).endpoints
    with ExitStack() as afterwards:

        def listening(*filters: str) -> tuple[str, Receiver]:
            receiver = afterwards.enter_context(Receiver())
            added = endpoints.add(stack["workspaceId"], receiver.url, list(filters))
            return added.endpoint.id, receiver

        quiet = listening("post.deleted", "post.cancelled", "post.targets_cancelled")
        leaving = listening("post.published", "post.partially_published", "post.failed")
        quiet[1].behave(Behaviour(delay_ms=150))
        yield _Listeners(quiet=quiet, leaving=leaving)


def _endpoints(stack: Stack) -> Iterator[Endpoint]:
    for endpoint in operator_of(stack).endpoints.list(stack["workspaceId"]):
        yield Endpoint(
            id=endpoint.id,
            filters=endpoint.event_filters,
            is_enabled=endpoint.status is EndpointStatus.ENABLED,
        )


def _listed(stack: Stack) -> Iterator[str]:
    api = Api(stack)
    path: str | None = f"/posts?workspaceId={stack['workspaceId']}&limit=100"
    while path is not None:
        reply = api.call("GET", path)
        assert reply.status == 200, reply
        yield from (post["id"] for post in reply.body)
        link = reply.headers.get("Link")
        path = None if link is None else link.partition("<")[2].partition(">")[0]
        path = None if path is None else path.removeprefix(urlsplit(stack["apiUrl"]).path)


def _calls(stack: Stack) -> Iterator[Call]:
    for line in lines(stack["platform"]["log"]):
        if line["method"] == CREATE_RECORD:
            yield Call(
                key=line["body"]["rkey"],
                at=line["at"],
                text=line["body"]["record"]["text"],
                took_effect=line["status"] == 200,
            )
