"""The reconciler after a long outage: 100,000 posts wait for their time, and thousands are due.

Everything is as the composition root makes it, against an engine of its own. Time is told by clocks
that move with every request, by as much as one takes of a run on Lambda: so how far a run gets does
not depend on the machine. Two copies run at once, and one of them is killed half-way.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from local.engine import CREDENTIALS, REGION
from local.tools import say
from postbreeze import bootstrap
from postbreeze.adapters.aws import AwsClients
from postbreeze.adapters.clock import SystemClock
from postbreeze.adapters.dynamodb.items.posts import event_row, post_row, target_row
from postbreeze.adapters.dynamodb.items.webhooks import delivery_row
from postbreeze.adapters.dynamodb.posts import DynamoPostStore
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.adapters.dynamodb.webhooks import DynamoWebhookStore
from postbreeze.cli.deployment import Deployment, Operator
from postbreeze.domain import ids, webhook
from postbreeze.domain.events import EventType
from postbreeze.domain.post import Platform, Post, PostStatus, TargetStatus
from postbreeze.operations.reconcile import LISTED, PENDING_AFTER, TIME
from postbreeze.triggers import Handler
from tests.support.aws import Aws, on_engine
from tests.support.builders import a_delivery, a_post, an_event, an_id
from tests.support.deployment import variables
from tests.support.fakes import FakeClock, FakeTelemetry
from tests.support.lambda_context import a_context
from tests.support.many_posts import write_many, write_rows
from tests.support.operators import FakeSignIn
from tests.support.platforms import FakePlatform
from tests.support.proof import Proved

SCHEDULED = int(os.environ.get("POSTBREEZE_SCHEDULED_POSTS", "100000"))
EVENTS = SCHEDULED // 10
DELIVERIES = SCHEDULED // 50
ARMINGS = SCHEDULED // 200
MISSED = SCHEDULED // 200
LATE = SCHEDULED // 400
CLAIMS = SCHEDULED // 500
UNREADABLE = SCHEDULED // 2000

REQUEST = timedelta(milliseconds=10)
"""What a request takes of a run: on Lambda it is the processor that requests wait for."""

STOPPED = timedelta(seconds=50)
"""When Lambda stops the function."""

MOST_ROUNDS = 20
READERS = 4

Ids = tuple[str, str]


class KilledError(BaseException):
    """The process is gone."""


class Log(FakeTelemetry):
    """The log of one copy, in memory."""

    @contextmanager
    def invocation(self, aws_request_id: str, **_: object) -> Iterator[None]:
        yield

    def retrying(self, message: str, error: Exception, **_: object) -> None:
        raise AssertionError(message) from error

    failed = retrying


@dataclass
class Copy:
    """One function with clients and a clock of its own."""

    aws: Aws
    build: Callable[[Mapping[str, str]], Handler]
    environ: Mapping[str, str]
    clock: FakeClock = field(default_factory=FakeClock)
    log: Log = field(default_factory=Log)
    sent: Counter[str] = field(default_factory=Counter)
    """The requests of this run, by operation."""
    read: Counter[str] = field(default_factory=Counter)
    """How many rows this run read, by index."""
    largest: int = 0
    """How many rows came with one answer at most."""
    lives: int | None = None
    """After how many requests it is killed."""

    def __post_init__(self) -> None:
        own = AwsClients(
            region=REGION,
            endpoint_url=self.aws.clients.dynamodb().meta.endpoint_url,
            access_key=(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]),
        )
        clients: list[Any] = [own.dynamodb(), own.sns(), own.sqs(), own.scheduler(), own.kms()]
        for client in clients:
            client.meta.events.register("before-send", self._sends)
        clients[0].meta.events.register("before-parameter-build.dynamodb.Query", self._asks)
        clients[0].meta.events.register("after-call.dynamodb.Query", self._reads)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bootstrap, "AwsClients", lambda: own)
            patch.setattr(bootstrap, "SystemClock", lambda: self.clock)
            patch.setattr(bootstrap, "Observability", lambda **_: self.log)
            self.handle = self.build(self.environ)

    def run(self) -> Counter[str]:
        """Run once; return how often each repair was made."""
        self.sent.clear()
        self.read.clear()
        self.largest = 0
        return Counter(self.handle({}, a_context()))

    def _sends(self, event_name: str, **_: Any) -> None:
        if self.lives is not None and sum(self.sent.values()) >= self.lives:
            raise KilledError
        self.sent[event_name.rpartition(".")[2]] += 1
        self.clock.advance(REQUEST)

    def _asks(self, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["index"] = params.get("IndexName")

    def _reads(self, parsed: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
        if context["index"] is not None:
            self.read[context["index"]] += parsed["ScannedCount"]
            self.largest = max(self.largest, parsed["ScannedCount"])


class Backlog:
    """What an outage of an hour has left, and those who work off the queues."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.client: Any = aws.clients.dynamodb()
        self.sqs: Any = aws.clients.sqs()
        self.environ = variables(aws)
        self.posts_table = self.environ["POSTS_TABLE"]
        database, self.clock = Database(self.client), FakeClock(SystemClock().now())
        self.store = DynamoPostStore(database, posts_table=self.posts_table, clock=self.clock)
        self.webhooks = DynamoWebhookStore(database, webhooks_table=self.environ["WEBHOOKS_TABLE"])
        self.platform = FakePlatform()
        self.heard: Counter[Ids] = Counter()
        self.delivered: Counter[Ids] = Counter()
        self._connect()
        # The engine makes an index when it is first asked for: that takes seconds once it is large.
        self.left()
        self._write()
        platforms = {Platform.BLUESKY: self.platform}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bootstrap, "_platforms", lambda *_: platforms)
            self.publisher = Copy(aws, bootstrap.publish_target, self.environ)

    def _connect(self) -> None:
        outputs = {
            "PostsTableName": self.posts_table,
            "WorkspacesTableName": self.environ["WORKSPACES_TABLE"],
            "AccountSecretsKeyArn": self.environ["ACCOUNT_SECRETS_KEY_ARN"],
        }
        operator = Operator(Deployment(outputs=outputs, clients=self.aws.clients, bluesky_url=""))
        self.workspace = operator.workspaces.create("Test").id
        self.account = operator.accounts.connect_bluesky(
            self.workspace, "one.test", "app-password", sign_in=FakeSignIn()
        ).id

    def _write(self) -> None:
        now = self.clock.at
        scheduled = [PostStatus.SCHEDULED]
        self.waiting = write_many(
            self.client, self.posts_table, self.workspace, SCHEDULED, now=now, kinds=scheduled
        )
        ago, minute = partial(self._ago, now), timedelta(minutes=1)
        self.missed = [self._post(ago(120 * minute, n)) for n in range(MISSED)]
        self.late = [self._post(ago(20 * minute, n)) for n in range(LATE)]
        self.claims = [
            self._post(ago(5 * minute, n), PostStatus.PUBLISHING, [TargetStatus.PUBLISHING])
            for n in range(CLAIMS)
        ]
        self.armings = [self._post(ago(5 * minute, n), pending=True) for n in range(ARMINGS)]
        # The oldest of all: half of them lack a target, the others have a status nobody knows.
        self.unreadable = [self._post(ago(300 * minute, n)) for n in range(UNREADABLE)]
        posts = [*self.missed, *self.late, *self.claims, *self.armings]
        write_rows(self.client, self.posts_table, self._post_rows(posts))
        write_rows(self.client, self.posts_table, self._unreadable_rows())
        event = an_event(posts[0], EventType.POST_CANCELLED)
        events = [
            replace(
                event,
                id=an_id(ids.EVENT),
                post_id=an_id(ids.POST),
                pending_since=ago(60 * minute, n),
            )
            for n in range(EVENTS)
        ]
        self.known = {(each.post_id, each.id): each for each in events}
        rows = (event_row(each, expires_at=None).serialize() for each in events)
        write_rows(self.client, self.posts_table, rows)
        endpoints = [an_id(ids.ENDPOINT) for _ in range(50)]
        deliveries = [
            replace(
                a_delivery(event=event),
                endpoint_id=endpoints[n % len(endpoints)],
                due_at=ago(30 * minute, n),
            )
            for n in range(DELIVERIES)
        ]
        self.deliveries = {(each.endpoint_id, each.id): each for each in deliveries}
        rows = (delivery_row(each).serialize() for each in deliveries)
        write_rows(self.client, self.environ["WEBHOOKS_TABLE"], rows)

    @staticmethod
    def _ago(now: Any, by: timedelta, number: int) -> Any:
        return now - by + timedelta(milliseconds=number)

    def _post(
        self,
        attention_at: Any,
        status: PostStatus = PostStatus.SCHEDULED,
        targets: Sequence[TargetStatus] | None = None,
        *,
        pending: bool = False,
    ) -> Post:
        scheduled_at = attention_at + timedelta(days=9) if pending else attention_at
        post = a_post(
            status,
            targets or [TargetStatus.SCHEDULED],
            workspace_id=self.workspace,
            scheduled_at=scheduled_at,
            attention_at=attention_at,
            pending=pending,
        )
        targets_of = tuple(
            replace(
                each,
                social_account_id=self.account,
                claimed_until=attention_at if each.claimed_until is not None else None,
            )
            for each in post.targets
        )
        return replace(
            post,
            targets=targets_of,
            pending_event=EventType.POST_SCHEDULED if pending else None,
        )

    def _post_rows(self, posts: Sequence[Post]) -> Iterator[dict[str, Any]]:
        for post in posts:
            yield post_row(post).serialize()
            yield from (target_row(each).serialize() for each in post.targets)

    def _unreadable_rows(self) -> Iterator[dict[str, Any]]:
        for number, post in enumerate(self.unreadable):
            row = post_row(post).serialize()
            yield row if number % 2 else {**row, "status": {"S": "UNHEARD_OF"}}

    # Those who work off the queues

    def work_off(self) -> None:
        """Hear announcements, take deliveries, publish targets: until the queues are empty."""
        self.publisher.clock.at = self.clock.at
        with ThreadPoolExecutor(READERS) as pool:
            self._work_off(pool, "PUBLISH_QUEUE_URL", self._publish)
            self._work_off(pool, "FAN_OUT_QUEUE_URL", self._hear)
            self._work_off(pool, "DELIVERY_QUEUE_URL", self._deliver)
            self._work_off(pool, "LATE_DELIVERY_QUEUE_URL", self._deliver)

    def _work_off(
        self, pool: ThreadPoolExecutor, queue: str, work: Callable[[Sequence[Any]], None]
    ) -> None:
        url = self.environ[queue]

        def read(_: int) -> None:
            while messages := self._received(url):
                work(messages)
                gone: Any = [
                    {"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]}
                    for n, each in enumerate(messages)
                ]
                answer = self.sqs.delete_message_batch(QueueUrl=url, Entries=gone)
                assert not answer.get("Failed")

        list(pool.map(read, range(READERS)))

    def _received(self, url: str) -> Sequence[Any]:
        answer = self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600
        )
        messages: Sequence[Any] = answer.get("Messages", [])
        return messages

    def _hear(self, messages: Sequence[Any]) -> None:
        for body in map(_body, messages):
            place = body["postId"], body["eventId"]
            self.heard[place] += 1
            if self.heard[place] > 1:
                continue
            event = self.known.get(place) or self.store.event(*place)
            assert event is not None
            self.store.fanned_out(event, expires_at=self.clock.at + timedelta(days=90))

    def _deliver(self, messages: Sequence[Any]) -> None:
        for body in map(_body, messages):
            place = body["endpointId"], body["deliveryId"]
            self.delivered[place] += 1
            if self.delivered[place] == 1:
                done = webhook.dropped(self.deliveries[place], now=FakeClock().now())
                self.webhooks.replace_delivery(done, expected_revision=done.revision - 1)

    def _publish(self, messages: Sequence[Any]) -> None:
        records = [{"messageId": each["MessageId"], "body": each["Body"]} for each in messages]
        answer = self.publisher.handle({"Records": records}, a_context())
        assert answer == {"batchItemFailures": []}

    def left(self) -> int:
        """Count what is still due, beside what nobody can read."""
        now = self.clock.at
        return (
            len(self.store.pending_events(now - PENDING_AFTER, LISTED))
            + len(self.webhooks.due_deliveries(now, LISTED))
            + len(self.store.due_posts(now, LISTED))
            + len(self.store.pending_armings(now, LISTED))
            - UNREADABLE
        )


def _body(message: Mapping[str, str]) -> dict[str, str]:
    body: dict[str, str] = json.loads(message["Body"])
    return body


@pytest.fixture
def backlog(tmp_path: Any) -> Iterator[Backlog]:
    with on_engine(tmp_path) as aws:
        yield Backlog(aws)


def test_a_long_outage_is_made_up_for_in_a_few_runs(
    backlog: Backlog, proved: Callable[[Proved], None]
) -> None:
    # Given
    copies = [Copy(backlog.aws, bootstrap.reconcile, backlog.environ) for _ in range(2)]
    first, second = copies
    repairs, rounds, runs, left = Counter[str](), 0, 0, backlog.left()
    say(f"\n{SCHEDULED:,} posts wait, {left:,} things are due, {UNREADABLE} cannot be read\n")
    # When two copies run at once every minute, one of which is killed in its first run
    while left and rounds < MOST_ROUNDS:
        second.lives = None if rounds else SCHEDULED // 50
        for copy in copies:
            copy.clock.at = backlog.clock.at
        began = time.perf_counter()
        with ThreadPoolExecutor(2) as pool:
            ended = [pool.submit(copy.run) for copy in copies]
        seconds = time.perf_counter() - began
        for copy, end in zip(copies, ended, strict=True):
            error = end.exception()
            assert isinstance(error, KilledError) == (copy.lives is not None), error
            counts = Counter[str]() if error is not None else end.result()
            took = copy.clock.at - backlog.clock.at
            assert took < STOPPED
            assert copy.largest <= LISTED
            repairs += counts
            runs += 1
            say(
                f"  round {rounds + 1}: {'killed' if error else dict(counts)}, "
                f"{copy.sent.total():,} requests, {took.total_seconds():.1f} s by its clock, "
                f"{seconds:.1f} s in fact, {copy.largest} rows in a page at most\n"
            )
        if not rounds:
            # What is not due is not even looked at.
            assert first.read["due"] <= MISSED + LATE + CLAIMS + UNREADABLE + ARMINGS + DELIVERIES
            assert first.read["pending"] == EVENTS
        backlog.work_off()
        backlog.clock.advance(minutes=1)
        rounds, left = rounds + 1, backlog.left()
    # Then nothing is left, and nothing was lost
    assert left == 0
    assert backlog.heard.keys() >= backlog.known.keys()
    assert backlog.delivered.keys() == backlog.deliveries.keys()
    _check_posts(backlog)
    # And where all is well a run asks each index once for each part of it, and reads no more
    first.clock.at = backlog.clock.at
    assert first.run().keys() <= {"RepairFailed"}
    assert first.read.total() == UNREADABLE
    # A post that lacks a target is read three times: it may be being written.
    assert first.sent == {"Query": 6 * 4 + UNREADABLE // 2 * (1 + 3)}
    twice = sum(backlog.heard.values()) - len(backlog.heard)
    twice += sum(backlog.delivered.values()) - len(backlog.delivered)
    due = EVENTS + DELIVERIES + ARMINGS + MISSED + LATE + CLAIMS
    say(f"  {twice:,} messages were sent twice; {dict(repairs)}\n")
    say(f"  {TIME} a run; {rounds} rounds, {runs} runs\n")
    proved(
        Proved(
            what=f"repaired beside {SCHEDULED:,} scheduled posts, in {rounds} minutes",
            count=due,
            unit="things left undone",
            violations=left,
        )
    )


def _check_posts(backlog: Backlog) -> None:
    read, schedules = backlog.store.read_many, backlog.aws.clients.scheduler()
    group = backlog.environ["SCHEDULE_GROUP"]
    for post in read([each.id for each in backlog.missed]).values():
        assert post.status is PostStatus.FAILED
        events = backlog.store.timeline(post.id)
        assert [each.type for each in events] == [EventType.POST_FAILED], "told of twice"
    late = read([each.id for each in backlog.late])
    assert {post.status for post in late.values()} == {PostStatus.PUBLISHED}
    published = {each.targets[0].id for each in backlog.late}
    assert backlog.platform.publishes == dict.fromkeys(published, 1)
    claims = read([each.id for each in backlog.claims])
    assert {post.status for post in claims.values()} == {PostStatus.FAILED}
    armings = read([each.id for each in backlog.armings])
    for before in backlog.armings:
        after = armings[before.id]
        assert after.workflow_id == before.pending_workflow_id
        assert after.revision == before.revision + 1, "armed twice"
        assert schedules.get_schedule(GroupName=group, Name=after.workflow_id or "")
    assert {len(each) for each in (late, claims, armings)} == {LATE, CLAIMS, ARMINGS}
    some = read(backlog.waiting[:: max(1, len(backlog.waiting) // 100)])
    assert {(post.status, post.version) for post in some.values()} == {(PostStatus.SCHEDULED, 2)}
