"""What every operation costs: round trips, capacity, bytes, and dollars per million.

    python -m benchmarks.cost

The functions are those of the composition root, on moto and with a clock that stands still, so the
counts are the same on every machine. Capacity is computed (see ``benchmarks.capacity``); how long a
function runs is modelled (see ``benchmarks.published``), and is a small part of the price.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import StringIO
from itertools import chain
from typing import Any
from unittest.mock import patch

from benchmarks import published
from benchmarks.capacity import Item, Meter, item_size, read_units, write_units
from benchmarks.figures import Table, spread
from benchmarks.published import Published
from benchmarks.summary import Figure, Outcome, holds
from local.engine import REGION
from postbreeze import bootstrap
from postbreeze.adapters import webhook_sender
from postbreeze.adapters.aws import AwsClients
from postbreeze.adapters.dynamodb import keys
from postbreeze.adapters.dynamodb.items.common import Row
from postbreeze.adapters.dynamodb.items.posts import post_row, target_row
from postbreeze.domain.post import Platform, PostStatus, TargetStatus
from postbreeze.operations.webhook_ports import WebhookResponse
from tests.support.aws import Aws, on_moto
from tests.support.builders import a_post
from tests.support.fakes import FakeClock
from tests.support.lambda_context import a_context
from tests.support.many_posts import write_rows
from tests.support.service import NotedPlatform, Service, Steps, within_a_minute

TARGETS = (1, 10, 50)
LISTED = 10
"""How many posts the listed page has."""

SMALL_TRANSACTION = 5
"""Up to how many rows a transaction takes as long as one of five."""

CREATE = "create and schedule"
LIST = f"list {LISTED} posts"
FIRED = "a schedule's fire"
PUBLISH = "publish a target"
PUBLISH_LAST = "publish the last target"
FAN_OUT = "fan out an event to one endpoint"
DELIVER = "deliver a webhook"

Record = Mapping[str, str]
"""A message as SQS hands it to a function."""

Rows = Mapping[tuple[str, str], Item]
"""Rows as they are stored, by partition key and sort key."""

HTTP, FIRE, MESSAGE = "http", "fire", "message"
"""What starts a function: a client, a schedule, or a queue."""

_STARTED: Mapping[str, Mapping[str, int]] = {
    HTTP: {"http_api_request": 1},
    FIRE: {"scheduler_invocation": 1},
    # A message is received and deleted, each with a request of its own at worst; queues are fair.
    MESSAGE: {"sqs_request": 2, "sqs_fair": 2},
}

_CALLED: Mapping[str, Sequence[str]] = {
    "sns.Publish": ("sns_publish",),
    "sqs.SendMessage": ("sqs_request", "sqs_fair"),
    "sqs.SendMessageBatch": ("sqs_request", "sqs_fair"),
    "kms.Decrypt": ("kms_request",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one operation costs."""

    operation: str
    targets: int
    started_by: str
    steps: Sequence[Sequence[str]]
    """Round trips; those of one step are made at the same time."""
    calls: Counter[str]
    """Requests to AWS, by service and operation."""
    reads: float
    writes: int
    index_writes: Mapping[str, int]
    grown: int
    """Bytes by which the tables have grown."""
    sent: int
    received: int
    """Bytes to AWS and from there."""
    left: int
    """Bytes that leave AWS: the answer to a client, or a webhook."""
    logged: int


def dollars(cost: Cost, figures: Published) -> tuple[float, float]:
    """Return what a million cost: at DynamoDB, and elsewhere."""
    price = figures.price
    database = cost.reads * price("dynamodb_read") + cost.writes * price("dynamodb_write")
    memory = figures.assumed("http_memory_gb" if cost.started_by == HTTP else "worker_memory_gb")
    elsewhere = (
        price("lambda_request")
        + seconds(cost, figures) * memory * price("lambda_gb_second")
        + sum(times * price(name) for name, times in _STARTED[cost.started_by].items())
        + sum(cost.calls[call] * price(name) for call, names in _CALLED.items() for name in names)
        + cost.left / 1e9 * price("transfer_out_gb")
        + (cost.logged + figures.assumed("platform_log_bytes")) / 1e9 * price("logs_gb")
    )
    return database * 1e6, elsewhere * 1e6


def seconds(cost: Cost, figures: Published) -> float:
    """Return how long the function runs by the model: it waits for medians, and works."""
    waited = sum(
        max(figures.latency(latency_of(call, cost.targets)).p50 for call in step)
        for step in cost.steps
    )
    worked = figures.assumed("work_ms") + cost.targets * figures.assumed("work_ms_a_target")
    return (waited + worked) / 1000


def latency_of(call: str, targets: int) -> str:
    """Return the name of the latency of a call, as steps name it, on a post with such targets."""
    name, *rows = call.split()
    if name.endswith(":"):
        return name[:-1]
    if name != "TransactWriteItems":
        return "dynamodb"
    # What is about the post is about all of its targets, and the published figures end at 25 rows.
    is_large = "POST" in rows and targets > SMALL_TRANSACTION
    return "dynamodb_large_transaction" if is_large else "dynamodb_transaction"


@dataclass(slots=True)
class Wire:
    """Listens to clients: requests by name, and the bytes of their bodies."""

    calls: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    received: int = 0

    def request(self, event_name: str, request: Any, **_: Any) -> None:
        """Hear of a request."""
        self.calls[event_name.removeprefix("before-send.")] += 1
        self.sent += len(request.body or b"")

    def answer(self, http_response: Any, **_: Any) -> None:
        """Hear of an answer."""
        self.received += len(http_response.content)


class Scale:
    """The functions on moto; weighs what they are asked to do."""

    def __init__(
        self, aws: Aws, clock: FakeClock, log: StringIO, steps: Steps, webhooks: list[bytes]
    ) -> None:
        """Set up a workspace with an endpoint."""
        self.aws, self.clock, self.steps, self.webhooks = aws, clock, steps, webhooks
        self._log = log
        self._database: Any = aws.clients.dynamodb()
        # A client of its own, so that looking at rows is not heard.
        self.reader: Any = AwsClients(region=REGION, access_key=("test", "test")).dynamodb()
        clients = aws.clients
        self._clients: list[Any] = [
            self._database,
            clients.kms(),
            clients.scheduler(),
            clients.sns(),
            clients.sqs(),
        ]
        self.service = Service(aws)
        self.service.operator.endpoints.add(
            self.service.workspace, "https://endpoint.example/", ["*"]
        )

    def weigh(
        self, operation: str, targets: int, started_by: str, act: Callable[[], Any]
    ) -> tuple[Cost, Any, Meter]:
        """Do something once; tell what it cost, what came of it and what was consumed."""
        meter, wire = Meter(reader=self.reader), Wire()
        mark, logged, hooks = len(self.steps.taken), self._log.tell(), len(self.webhooks)
        with meter.over(self._database), self._heard(wire):
            result = act()
        answer = json.dumps(result).encode() if started_by == HTTP else b""
        cost = Cost(
            operation=operation,
            targets=targets,
            started_by=started_by,
            steps=self.steps.since(mark),
            calls=wire.calls,
            reads=meter.reads,
            writes=meter.writes,
            index_writes=self._by_kind(meter.index_writes),
            grown=sum(each.grown for each in meter.consumed),
            sent=wire.sent,
            received=wire.received,
            left=len(answer) + sum(map(len, self.webhooks[hooks:])),
            logged=self._log.tell() - logged,
        )
        return cost, result, meter

    @contextmanager
    def _heard(self, wire: Wire) -> Iterator[None]:
        with ExitStack() as silence:
            for client in self._clients:
                events = client.meta.events
                for heard in (wire.request, self.steps.heard):
                    # Ahead of moto, which answers the first that asks.
                    events.register_first("before-send", heard)
                    silence.callback(events.unregister, "before-send", heard)
                events.register("after-call", wire.answer)
                silence.callback(events.unregister, "after-call", wire.answer)
            yield

    def _by_kind(self, units: Mapping[str, int]) -> Counter[str]:
        """Name indexes by what is kept in their tables, such as ``posts/due``."""
        environ = self.service.environ
        kinds = {
            environ[name]: name.partition("_")[0].lower()
            for name in ("POSTS_TABLE", "WORKSPACES_TABLE", "WEBHOOKS_TABLE", "MEDIA_TABLE")
        }
        named = (each.partition("/") for each in units)
        return Counter(
            {f"{kinds[table]}/{index}": units[f"{table}/{index}"] for table, _, index in named}
        )

    def fire(self, post: Mapping[str, Any]) -> Any:
        """Fire a post's schedule."""
        answer = self.service.fire(post)
        assert answer == {"outcome": "started"}
        return answer

    def fill(self, posts: int, targets: int, later: datetime) -> None:
        """Have so many more scheduled posts: moto copies all of its rows for every transaction."""
        made = [
            a_post(
                PostStatus.SCHEDULED,
                [TargetStatus.SCHEDULED] * targets,
                workspace_id=self.service.workspace,
                created_at=self.clock.at,
                scheduled_at=later,
            )
            for _ in range(posts)
        ]
        rows: Iterator[Row] = chain(
            map(post_row, made),
            (target_row(target) for post in made for target in post.targets),
        )
        table = self.service.environ["POSTS_TABLE"]
        write_rows(self.reader, table, (row.serialize() for row in rows))

    def stored(self) -> Rows:
        """Return every row of the tables that a cancel is about."""
        rows: dict[tuple[str, str], Item] = {}
        for table in ("POSTS_TABLE", "WORKSPACES_TABLE"):
            pages = self.reader.get_paginator("scan").paginate(
                TableName=self.service.environ[table]
            )
            for row in (row for page in pages for row in page["Items"]):
                rows[row["pk"]["S"], row["sk"]["S"]] = row
        return rows

    def publish(self, record: Record) -> None:
        """Have a target published."""
        self.service.publish([record])

    def fan_out(self, record: Record) -> None:
        """Have an event fanned out."""
        self._invoke(bootstrap.fan_out_event, record)

    def deliver(self, record: Record) -> None:
        """Have a webhook delivered."""
        self._invoke(bootstrap.deliver_webhook, record)

    def last_event(self, post: Mapping[str, Any]) -> Record:
        """Return a post's last event as its message has it."""
        found = self.reader.query(
            TableName=self.service.environ["POSTS_TABLE"],
            KeyConditionExpression="pk = :post AND begins_with(sk, :event)",
            ExpressionAttributeValues={
                ":post": {"S": keys.post(post["id"])},
                ":event": {"S": keys.EVENTS},
            },
        )
        event = keys.identifier(max(row["sk"]["S"] for row in found["Items"]))
        return {"messageId": "1", "body": json.dumps({"postId": post["id"], "eventId": event})}

    def waiting(self, queue: str, number: int) -> Sequence[Record]:
        """Return what waits in a queue, which must be so many messages."""
        messages = self.aws.received(self.service.environ[queue], number)
        assert len(messages) == number
        return [{"messageId": each["MessageId"], "body": each["Body"]} for each in messages]

    def _invoke(self, build: Callable[[Mapping[str, str]], Any], record: Record) -> None:
        answer = build(self.service.environ)({"Records": [record]}, a_context())
        assert answer == {"batchItemFailures": []}


@contextmanager
def scale() -> Iterator[Scale]:
    """Set up the functions on moto, their clock standing still and their log kept apart."""
    clock, log, platform = FakeClock(within_a_minute()), StringIO(), NotedPlatform()
    with ExitStack() as patches:
        aws = patches.enter_context(on_moto())
        patches.enter_context(redirect_stdout(log))
        webhooks: list[bytes] = []
        steps = platform.steps = Steps()

        class Endpoint:
            def __init__(self, *_: object) -> None:
                pass

            def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookResponse:
                webhooks.append(body)
                steps.note("webhook:")
                return WebhookResponse(status=200, headers={}, body=b"", duration_ms=100)

        for place, name, value in (
            (bootstrap, "AwsClients", lambda: aws.clients),
            (bootstrap, "ThreadPool", lambda: steps),
            (bootstrap, "SystemClock", lambda: clock),
            (bootstrap, "_platforms", lambda *_: {Platform.BLUESKY: platform}),
            (webhook_sender, "EgressWebhookSender", Endpoint),
        ):
            patches.enter_context(patch.object(place, name, value))
        yield Scale(aws, clock, log, steps, webhooks)


def costs(targets: int) -> Iterator[Cost]:
    """Weigh every operation on posts with so many targets."""
    with scale() as on:
        service, clock = on.service, on.clock
        later = clock.at.replace(year=clock.at.year + 1, month=1, day=1)
        posts = [service.create(later, targets=targets) for _ in range(2)]
        for operation, act in {
            "read": lambda: service.http("posts_api", "GET", f"/posts/{posts[0]['id']}"),
            "cancel": lambda: service.cancel(posts[0]),
            "cancel what is canceled": lambda: service.cancel(posts[0]),
            "cancel, with an Idempotency-Key": lambda: service.cancel(
                posts[1], idempotency_key="once"
            ),
            "create a draft": lambda: service.create(targets=targets),
        }.items():
            yield on.weigh(operation, targets, HTTP, act)[0]
        soon = clock.at + timedelta(seconds=1)
        cost, due, _ = on.weigh(
            CREATE, targets, HTTP, lambda: service.create(soon, targets=targets)
        )
        yield cost
        clock.advance(seconds=1)
        yield on.weigh(FIRED, targets, FIRE, lambda: on.fire(due))[0]
        *others, last = on.waiting("PUBLISH_QUEUE_URL", targets)
        for record in others[1:]:
            on.publish(record)
        if others:
            yield on.weigh(PUBLISH, targets, MESSAGE, lambda: on.publish(others[0]))[0]
        yield on.weigh(PUBLISH_LAST, targets, MESSAGE, lambda: on.publish(last))[0]
        event = on.last_event(due)
        yield on.weigh(FAN_OUT, targets, MESSAGE, lambda: on.fan_out(event))[0]
        [delivery] = on.waiting("DELIVERY_QUEUE_URL", 1)
        yield on.weigh(DELIVER, targets, MESSAGE, lambda: on.deliver(delivery))[0]
        assert len(on.webhooks) == 1
        on.fill(LISTED, targets, later)
        page = f"/posts?workspaceId={service.workspace}&limit={LISTED}"
        yield on.weigh(LIST, targets, HTTP, lambda: service.http("posts_api", "GET", page))[0]


def measure(numbers: Sequence[int] = TARGETS) -> Outcome:
    """Weigh everything, on posts with such numbers of targets."""
    figures = published.read()
    table = Table(
        title="What an operation costs",
        about="Counts of requests as the functions make them, capacity computed by DynamoDB's"
        f" published rules, dollars per million at list prices of {figures.region} without any"
        " free tier. The credentials of accounts and endpoints are decrypted anew each time.",
        columns=COLUMNS,
        rows=[_cells(cost, figures) for targets in numbers for cost in costs(targets)],
    )
    return Outcome(
        tables=[table], figures=[each for targets in numbers for each in _of_a_cancel(targets)]
    )


def _of_a_cancel(targets: int) -> Iterator[Figure]:
    """Hold what a cancel consumes against what its rows are worth."""
    with scale() as on:
        later = on.clock.at.replace(year=on.clock.at.year + 1, month=1, day=1)
        post = on.service.create(later, targets=targets)
        before = on.stored()
        cost, _, _ = on.weigh("cancel", targets, HTTP, lambda: on.service.cancel(post))
        worth = worth_of_a_cancel(post["id"], before, on.stored())
    for unit, consumed, formula in zip(
        ("RCU", "WCU"), (cost.reads, cost.writes), worth, strict=True
    ):
        yield Figure(
            name=f"cancel, targets: {targets}, {unit}",
            measured=spread([consumed]),
            floor="formula",
            beside=spread([formula]),
            ratio=spread([consumed / formula]),
            wanted=f"= formula: {holds(consumed == formula)}",
        )


ENTRIES = 6
"""Entries of indexes that a cancel writes for the post and its event; each target has one more."""


def worth_of_a_cancel(post_id: str, before: Rows, after: Rows) -> tuple[float, int]:
    """Return the read and write units that cancelling a post is worth, by its rows alone.

    Args:
        post_id: Of the post.
        before: All rows as they were, with one key and one membership.
        after: All rows as the cancel has left them.
    """
    place = keys.post(post_id)
    own = [each for each in before if each[0] == place and not each[1].startswith(keys.EVENTS)]
    events = [each for each in after if each[0] == place and each not in before]
    [key] = [each for each in after if each[1] == keys.KEY]
    members = [each for each in after if each[1].startswith(keys.MEMBERS)]
    reads = read_units(sum(item_size(before[each]) for each in own), consistent=True)
    in_transaction = sum(
        write_units(before.get(each), after[each]) for each in (*members, *own, *events)
    )
    targets = len(own) - 1
    return reads, write_units(before[key], after[key]) + 2 * in_transaction + ENTRIES + targets


def _cells(cost: Cost, figures: Published) -> Sequence[str]:
    database, elsewhere = dollars(cost, figures)
    return [
        cost.operation,
        str(cost.targets),
        str(len(cost.steps)),
        f"{cost.reads:g}",
        str(cost.writes),
        f"{cost.sent:,} / {cost.received:,}",
        f"{database:,.2f}",
        f"{elsewhere:,.2f}",
        f"{database + elsewhere:,.2f}",
    ]


COLUMNS = (
    "operation",
    "targets",
    "round trips in a row",
    "RCU",
    "WCU",
    "bytes to / from AWS",
    "$ a million: DynamoDB",
    "all else",
    "sum",
)


def main() -> None:
    """Weigh and print it."""
    for table in measure().tables:
        print(table)


if __name__ == "__main__":
    main()
