"""Requests of one client and of several at once, and what follows them, on a deployed stack.

    python -m benchmarks.end_to_end

The local stack is one of its own. Kinds of requests take turns in blocks, none of which begins
before the queues are empty, so that the webhooks of one kind are no burden on the next; the only
endpoint is told of cancels alone. Everything runs on one machine, so absolute times say more about
it than about the code. The ratios are of blocks of the same round: to a function that answers
without any call, behind the same gateway, and to a cancel's transaction made by boto3 alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from threading import Barrier
from typing import Any

import boto3
from botocore.config import Config

from benchmarks.figures import Table, interleaved, percentile, ratios, spread
from benchmarks.summary import Figure, Outcome
from local import paths
from local.engine import CREDENTIALS, REGION
from local.own_stack import own_stack
from local.tools import LocalError, say, wait_until
from postbreeze.adapters.aws import AwsClients
from postbreeze.adapters.clock import SystemClock
from postbreeze.adapters.dynamodb.items.posts import post_row, target_row
from postbreeze.adapters.dynamodb.posts import DynamoPostStore
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.domain import ids, lifecycle
from postbreeze.domain.access import Role
from postbreeze.domain.documents import timestamp
from postbreeze.domain.post import PostStatus, TargetStatus
from postbreeze.operations.ports import MembershipGuard
from tests.support.aws import table_layout
from tests.support.builders import a_post, added, an_id
from tests.support.many_posts import write_rows

CLIENTS = {1: 10, 4: 5, 16: 2}
"""How many clients there are at once, and how many requests each makes in a block."""
SECONDS = 40.0
"""What each number of clients has for its rounds."""
MOST_PAIRS = 5
"""Rounds come in pairs, forwards and backwards; so many at most."""
WEBHOOKS = 20
FIRES = 10
APART_SECONDS = 2
LISTED = 20
QUIET_SECONDS = 120.0

BARE = "bare function"
RAW = "raw transaction"
CANCEL = "cancel"
CREATE = "create and schedule"
GET = "get"
LIST = f"list {LISTED}"
_WRITERS = frozenset({CREATE, CANCEL})

Block = Sequence[float]
"""Milliseconds of requests that were made together."""
Request = Callable[[HTTPConnection], object]


class Api:
    """The API of a deployed stack, and what is to be known of what stands behind it."""

    def __init__(self, stack: Mapping[str, Any]) -> None:
        """Have the only endpoint told of cancels alone, and a workspace in which nothing moves."""
        self._port = int(str(stack["apiUrl"]).rpartition(":")[2].partition("/")[0])
        self._stack = stack
        self._uncancelled: deque[str] = deque()
        self._receiver_log: Path = paths.ROOT / stack["receiver"]["log"]
        self._platform_log: Path = paths.ROOT / stack["platform"]["log"]
        self._sqs = _client("sqs", stack["engineUrl"])
        self._queues: Sequence[str] = self._sqs.list_queues()["QueueUrls"]
        self._own = self.connection()
        path = f"/webhooks/{stack['receiver']['endpointId']}"
        self._call(self._own, "PATCH", path, 200, {"events": ["post.cancelled"]})
        others = self._wish(stack["otherAccounts"])
        listed = [
            self._call(self._own, "POST", "/posts", 201, others, key="otherWorkspace")["id"]
            for _ in range(LISTED + 1)
        ]
        self._read = listed[0]

    def connection(self) -> HTTPConnection:
        """Return a connection that is kept alive."""
        return HTTPConnection("127.0.0.1", self._port, timeout=60)

    def requests(self) -> Mapping[str, Request]:
        """Return what is measured, except for the raw transaction."""
        listed = f"/posts?workspaceId={self._stack['otherWorkspaceId']}&limit={LISTED}"
        of_other = partial(self._call, key="otherWorkspace")
        return {
            BARE: lambda client: self._call(client, "GET", "/nothing", 404),
            GET: lambda client: of_other(client, "GET", f"/posts/{self._read}", 200),
            LIST: lambda client: of_other(client, "GET", listed, 200),
            CREATE: self.create,
            CANCEL: self.cancel,
        }

    def create(self, client: HTTPConnection) -> None:
        """Create a post that is scheduled, and so can be cancelled."""
        wish = self._wish(self._stack["accounts"])
        self._uncancelled.append(self._call(client, "POST", "/posts", 201, wish)["id"])

    def cancel(self, client: HTTPConnection) -> str:
        """Cancel one of the posts that were created, and return its id."""
        post: str = self._uncancelled.popleft()
        self._call(client, "POST", f"/posts/{post}/cancel", 200, {})
        return post

    def wait_for_quiet(self) -> None:
        """Return when all queues are empty, and nobody works on what was in them.

        Raises:
            LocalError: They are not for long.
        """
        seen: deque[bool] = deque(maxlen=2)

        def are_empty() -> bool:
            seen.append(not any(map(self._waiting, self._queues)))
            return len(seen) == seen.maxlen and all(seen)

        wait_until("the queues to be empty", are_empty, seconds=QUIET_SECONDS)

    def _waiting(self, queue: str) -> int:
        told = self._sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        names = ("", "NotVisible", "Delayed")
        return sum(int(told[f"ApproximateNumberOfMessages{name}"]) for name in names)

    def webhooks(self, number: int) -> Block:
        """Cancel posts one after the other; return what passed until each webhook was there."""
        for _ in range(number):
            self.create(self._own)
        self.wait_for_quiet()
        return [self._webhook() for _ in range(number)]

    def _webhook(self) -> float:
        start = _size(self._receiver_log)
        post = self.cancel(self._own)
        found: list[float] = []

        def has_come() -> bool:
            for line in lines_since(self._receiver_log, start):
                payload = json.loads(line["body"])["payload"]
                if payload["post"]["id"] == post:
                    found.append(_milliseconds(payload["occurredAt"], line["at"]))
            return bool(found)

        wait_until("a webhook", has_come, seconds=QUIET_SECONDS)
        return found[0]

    def fires(self, number: int) -> tuple[Block, Block]:
        """Have posts go out one after the other.

        Returns:
            What passed until the platform had each: from the moment it was scheduled for, and from
            the moment its publishing began.
        """
        start = _size(self._platform_log)
        first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=6)
        posts = {}
        for index in range(number):
            at, text = first + timedelta(seconds=APART_SECONDS * index), f"Bench {index}."
            wish = self._wish(self._stack["accounts"], at, text)
            posts[text] = self._call(self._own, "POST", "/posts", 201, wish)["id"]
        records: dict[str, str] = {}

        def have_gone_out() -> bool:
            for line in lines_since(self._platform_log, start):
                if line["method"].endswith("createRecord"):
                    records[line["body"]["record"]["text"]] = line["at"]
            return records.keys() >= posts.keys()

        wait_until("posts to go out", have_gone_out, seconds=QUIET_SECONDS)
        self.wait_for_quiet()
        due, begun = [], []
        for text, post in posts.items():
            [target] = self._call(self._own, "GET", f"/posts/{post}", 200)["targets"]
            due.append(_milliseconds(target["scheduledFor"], records[text]))
            begun.append(_milliseconds(target["lastAttemptAt"], records[text]))
        return due, begun

    def _wish(
        self,
        accounts: Mapping[str, Sequence[str]],
        at: datetime | None = None,
        text: str = "Bench.",
    ) -> Mapping[str, Any]:
        return {
            "content": text,
            "platforms": [{"accountId": accounts["BLUESKY"][0]}],
            "scheduledFor": timestamp(at or datetime.now(UTC) + timedelta(days=30)),
        }

    def _call(
        self,
        client: HTTPConnection,
        method: str,
        path: str,
        expected: int,
        body: object = None,
        *,
        key: str = "owner",
    ) -> Any:
        headers = {"Authorization": f"Bearer {self._stack['keys'][key]}"}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body)
        client.request(method, f"/api/v1{path}", content, headers)
        answer = client.getresponse()
        document = json.loads(answer.read())
        if answer.status != expected:
            raise LocalError(f"{method} {path} answered {answer.status}: {document}")
        return document


class RawTransactions:
    """The transactions of cancels, made by boto3 alone, on a table like that of the posts."""

    TABLE = "bench-raw"

    def __init__(self, stack: Mapping[str, Any], number: int) -> None:
        """Write so many scheduled posts, and keep what cancelling each would send."""
        self._client = _client("dynamodb", stack["engineUrl"])
        self._client.create_table(TableName=self.TABLE, **table_layout("PostsTable"))
        before, body = self._rows_and_request(stack)
        made = [an_id(ids.POST) for _ in range(number)]
        rows = (row for post in made for row in json.loads(before.replace(_ID, post)))
        write_rows(self._client, self.TABLE, rows)
        self._asked = deque(json.loads(body.replace(_ID, post)) for post in made)

    def commit(self, _: object) -> None:
        """Write what the cancel of another post writes."""
        self._client.transact_write_items(TransactItems=self._asked.popleft())

    def _rows_and_request(self, stack: Mapping[str, Any]) -> tuple[str, str]:
        """Cancel a post; return its rows of before, and what was sent."""
        client: Any = AwsClients(
            region=REGION,
            endpoint_url=stack["engineUrl"],
            access_key=(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]),
        ).dynamodb()
        store = DynamoPostStore(
            Database(client),
            posts_table=self.TABLE,
            workspaces_table=stack["outputs"]["WorkspacesTableName"],
            clock=SystemClock(),
        )
        workspace, owner = stack["workspaceId"], stack["users"]["owner"]
        now = SystemClock().now()
        post = a_post(
            PostStatus.SCHEDULED,
            [TargetStatus.SCHEDULED],
            post_id=_ID,
            workspace_id=workspace,
            created_by_user_id=owner,
            created_at=now,
            scheduled_at=now + timedelta(days=30),
        )
        store.commit(added(post))
        change = lifecycle.cancel(post, actor=owner, now=now).change
        if change is None:
            raise LocalError("a scheduled post cannot be cancelled")
        roles = frozenset({Role.OWNER, Role.ADMIN, Role.EDITOR})
        sent: list[bytes] = []
        client.meta.events.register_first(
            "before-send.dynamodb.TransactWriteItems",
            lambda request, **_: sent.append(request.body),
        )
        store.commit(
            change, guard=MembershipGuard(workspace_id=workspace, user_id=owner, roles=roles)
        )
        [body] = sent
        rows = [post_row(post), *map(target_row, post.targets)]
        return json.dumps([row.serialize() for row in rows]), json.dumps(
            json.loads(body)["TransactItems"]
        )


_ID = an_id(ids.POST)
"""The id that is put in the place of by others."""


class Crowd:
    """Clients at once: threads, each with a connection of its own."""

    def __init__(self, clients: Sequence[HTTPConnection]) -> None:
        """Ask nothing yet."""
        self._clients = clients
        self._threads = ThreadPoolExecutor(len(clients))

    def block(self, request: Request, times: int) -> Block:
        """Have each make so many requests, one after the other; return what each request took."""
        start = Barrier(len(self._clients))

        def one(client: HTTPConnection) -> Block:
            start.wait()
            return [_taken(request, client) for _ in range(times)]

        return [taken for each in self._threads.map(one, self._clients) for taken in each]

    @classmethod
    @contextmanager
    def of(cls, number: int, api: Api) -> Iterator[Crowd]:
        """Gather so many, and send them home afterwards."""
        clients = [api.connection() for _ in range(number)]
        crowd = cls(clients)
        try:
            yield crowd
        finally:
            crowd._threads.shutdown()
            for client in clients:
                client.close()


def measure(
    clients: Mapping[int, int] = CLIENTS,
    seconds: float = SECONDS,
    webhooks: int = WEBHOOKS,
    fires: int = FIRES,
) -> Outcome:
    """Measure on a stack of its own."""
    with own_stack("bench-end-to-end") as stack:
        api = Api(stack)
        # Each block is made once to begin with, and then in pairs of rounds.
        blocks = 1 + 2 * MOST_PAIRS
        raw = RawTransactions(
            stack, blocks * sum(number * each for number, each in clients.items())
        )
        taken = {}
        for number, times in clients.items():
            say(f"asking with {number} at once")
            taken[number] = _requests(api, raw, number, times, seconds)
        say("waiting for webhooks")
        arrived = api.webhooks(1 + webhooks)[1:]
        say("waiting for posts to go out")
        due, begun = (each[1:] for each in api.fires(1 + fires))
    followed = {
        "commit → webhook": arrived,
        "fire → publish, from the moment it is scheduled for": due,
        "fire → publish, from the start of publishing": begun,
    }
    return Outcome(
        tables=[_table(taken), _following(followed)],
        figures=[
            *(
                figure
                for number, blocks_of in taken.items()
                for kind in (CANCEL, CREATE, GET, LIST)
                for figure in figures_of(kind, number, blocks_of)
            ),
            *(Figure(name=f"{name}, ms", measured=spread(of)) for name, of in followed.items()),
        ],
    )


def _requests(
    api: Api, raw: RawTransactions, number: int, times: int, seconds: float
) -> Mapping[str, Sequence[Block]]:
    """Have every kind of request its turn, until the seconds are over."""
    with Crowd.of(number, api) as crowd:

        def block(kind: str, request: Request) -> Block:
            taken = crowd.block(request, times)
            if kind in _WRITERS:
                api.wait_for_quiet()
            return taken

        requests = {RAW: raw.commit, **api.requests()}
        subjects = {kind: partial(block, kind, request) for kind, request in requests.items()}
        interleaved(subjects, 1)
        # Backwards, cancels come first: there must be posts by then.
        subjects[CREATE]()
        taken: dict[str, list[Block]] = {kind: [] for kind in subjects}
        began, pairs = time.monotonic(), 0
        while pairs == 0 or (pairs < MOST_PAIRS and _spent(began) * (pairs + 1) / pairs <= seconds):
            for kind, blocks in interleaved(subjects, 2).items():
                taken[kind] += blocks
            pairs += 1
        return taken


def _spent(began: float) -> float:
    return time.monotonic() - began


def figures_of(kind: str, number: int, blocks: Mapping[str, Sequence[Block]]) -> Iterator[Figure]:
    """Hold a kind of request by so many clients against both floors, block by block."""
    for floor in (BARE, RAW):
        yield Figure(
            name=f"{kind}, {number} at once, ms",
            measured=spread(_all(blocks[kind])),
            floor=floor,
            beside=spread(_all(blocks[floor])),
            ratio=ratios(_medians(blocks[kind]), _medians(blocks[floor])),
        )


def _table(taken: Mapping[int, Mapping[str, Sequence[Block]]]) -> Table:
    rows = [
        [
            kind,
            str(number),
            str(len(_all(of))),
            *_percentiles(_all(of)),
            *(
                "" if kind in (floor, BARE, RAW) else str(ratios(_medians(of), _medians(by[floor])))
                for floor in (BARE, RAW)
            ),
        ]
        for number, by in taken.items()
        for kind, of in by.items()
    ]
    return Table(
        title="Requests, end to end",
        about="Milliseconds: median, 95 and 99 in 100 of all requests. Ratios are of the medians of"
        " blocks that were made in turn, with their quartiles.",
        columns=("request", "at once", "requests", "p50", "p95", "p99", f"to {BARE}", f"to {RAW}"),
        rows=rows,
    )


def _following(taken: Mapping[str, Block]) -> Table:
    return Table(
        title="What follows",
        about="Milliseconds. The engine looks for schedules that are due every half second.",
        columns=("", "times", "p50", "p95"),
        rows=[(name, str(len(of)), *_percentiles(of)[:2]) for name, of in taken.items()],
    )


def _percentiles(samples: Block) -> Sequence[str]:
    return [f"{percentile(samples, hundredth):,.1f}" for hundredth in (50, 95, 99)]


def _medians(blocks: Sequence[Block]) -> Sequence[float]:
    return [statistics.median(block) for block in blocks]


def _all(blocks: Sequence[Block]) -> Block:
    return [taken for block in blocks for taken in block]


def _taken(request: Request, client: HTTPConnection) -> float:
    began = time.perf_counter()
    request(client)
    return (time.perf_counter() - began) * 1000


def _client(service: str, url: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=Config(max_pool_connections=max(CLIENTS), parameter_validation=False),
    )


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def lines_since(log: Path, start: int) -> Iterator[dict[str, Any]]:
    """Yield what was logged after a place, the line left out that is being written."""
    if not log.exists():
        return
    with log.open("rb") as file:
        file.seek(start)
        for line in file.read().splitlines(keepends=True):
            if line.endswith(b"\n"):
                yield json.loads(line)


def _milliseconds(begin: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds() * 1000


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.end_to_end", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each number of clients")
    parser.add_argument("--webhooks", type=int, default=WEBHOOKS)
    parser.add_argument("--fires", type=int, default=FIRES)
    asked = parser.parse_args()
    outcome = measure(seconds=asked.seconds, webhooks=asked.webhooks, fires=asked.fires)
    for table in outcome.tables:
        print(table)


if __name__ == "__main__":
    main()
