"""Which calls each request makes of AWS, in which order, and which of them at the same time.

The functions are put together by the composition root itself and talk to moto. Steps are told apart
by structure, not by time: what one use of ``Together`` is given is one step, and everything else is
a step of its own. That the real ``Together`` has them under way at once is a test of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from postbreeze import bootstrap
from postbreeze.adapters.clock import SystemClock
from postbreeze.cli.deployment import Deployment, Operator
from postbreeze.domain import api_keys
from postbreeze.domain.access import Role
from postbreeze.domain.documents import timestamp
from postbreeze.domain.post import Platform
from postbreeze.operations.platform_port import ExternalPost, PreparedPost, Publication
from tests.support.aws import Aws, on_moto
from tests.support.deployment import variables
from tests.support.fakes import FakeClock
from tests.support.http_client import http_event
from tests.support.lambda_context import a_context
from tests.support.operators import FakeSignIn
from tests.support.platforms import FakePlatform

DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"

Step = tuple[str, ...]

READ = ("Query POST", "UpdateItem KEY")
READ_WITH_ANSWER = ("GetItem REQUEST", "Query POST", "UpdateItem KEY")
EFFECTS = ("DeleteSchedule", "Publish")

TABLE: Mapping[str, Sequence[Step]] = {
    "cancel": [
        READ,
        ("TransactWriteItems MEMBER? POST TARGET EVENT",),
        EFFECTS,
    ],
    "cancel, with an Idempotency-Key": [
        READ_WITH_ANSWER,
        ("TransactWriteItems MEMBER? POST TARGET EVENT REQUEST",),
        EFFECTS,
    ],
    "the same request again": [
        READ_WITH_ANSWER,
        ("GetItem MEMBER",),
    ],
    "cancel what is canceled": [
        READ,
        ("Query POST",),
        ("GetItem MEMBER",),
    ],
    "cancel, dry run": [
        READ,
        ("Query POST",),
        ("GetItem MEMBER",),
    ],
    "cancel with a key that is none": [],
    "cancel with a key that nobody has": [
        READ,
    ],
    "read": [
        READ,
        ("GetItem MEMBER",),
    ],
    "read, as the first request of a minute": [
        READ,
        ("UpdateItem KEY",),
        ("GetItem MEMBER",),
    ],
    "list posts of a workspace": [
        ("UpdateItem KEY",),
        ("GetItem MEMBER", "Query listing", "Query listing"),
        ("Query moved",),
        ("BatchGetItem POST",),
        ("BatchGetItem TARGET",),
    ],
    "create a draft": [
        ("GetItem ACCOUNT", "UpdateItem KEY"),
        ("BatchGetItem ACCOUNT MEMBER WORKSPACE",),
        ("TransactWriteItems MEMBER? POST TARGET EVENT",),
        ("Publish",),
    ],
    "create and schedule": [
        ("GetItem ACCOUNT", "UpdateItem KEY"),
        ("BatchGetItem ACCOUNT MEMBER WORKSPACE",),
        ("TransactWriteItems MEMBER? POST TARGET EVENT",),
        ("Publish",),
        ("CreateSchedule",),
        ("TransactWriteItems POST TARGET EVENT",),
        ("Publish",),
    ],
    "a schedule's fire": [
        ("Query POST",),
        ("TransactWriteItems TARGET? POST",),
        ("SendMessageBatch",),
    ],
    "a stale fire": [
        ("Query POST",),
    ],
    "publish a target, the last one": [
        ("Query POST",),
        ("GetItem ACCOUNT",),
        ("Decrypt",),
        ("platform: prepare",),
        ("TransactWriteItems TARGET",),
        ("GetItem ACCOUNT",),
        ("platform: publish",),
        ("TransactWriteItems TARGET",),
        ("Query POST",),
        ("TransactWriteItems TARGET? POST EVENT",),
        ("Publish",),
    ],
}


COUNT = "UpdateItem KEY"


@dataclass
class Steps:
    """A ``Together``, and a listener of botocore clients, that notes what belongs to one step.

    The calls given together are made one after the other, each noted apart: the first requests of
    all of them are one step, the second ones the next. So a call that asks twice shows as a step
    more, however many others it has beside it.
    """

    taken: list[Step] = field(default_factory=list)
    _lane: list[str] | None = None

    def note(self, name: str) -> None:
        if self._lane is None:
            self.taken.append((name,))
        else:
            self._lane.append(name)

    def heard(self, event_name: str, request: Any, **_: Any) -> None:
        """Listen to ``before-send``, which comes once for every request on the wire."""
        service, operation = event_name.split(".")[1:]
        rows = f" {_rows(json.loads(request.body))}" if service == "dynamodb" else ""
        self.note(operation + rows)

    def run(self, *calls: Callable[[], Any]) -> tuple[Any, ...]:
        assert self._lane is None, "calls that are made together make none together themselves"
        lanes: list[list[str]] = []
        results = []
        for call in calls:
            self._lane = []
            lanes.append(self._lane)
            try:
                results.append(call())
            finally:
                self._lane = None
        for names in zip_longest(*lanes):
            self.taken.append(tuple(sorted(name for name in names if name is not None)))
        return tuple(results)

    def attempt(self, *calls: Callable[[], None], seconds: float) -> Sequence[Exception | None]:
        """No effect fails here; one that did would fail the test, not be forgiven."""
        return self.run(*calls)

    def since(self, mark: int) -> list[Step]:
        return self.taken[mark:]


def _rows(body: Mapping[str, Any]) -> str:
    """Name the rows that a request to DynamoDB is about by their kinds; ``?`` is a mere check.

    A query of an index is named by the index.
    """
    if "TransactItems" in body:
        kinds = []
        for item in body["TransactItems"]:
            [(action, asked)] = item.items()
            row = asked.get("Item") or asked["Key"]
            kinds.append(_kind(row["sk"]["S"]) + ("?" if action == "ConditionCheck" else ""))
        return " ".join(dict.fromkeys(kinds))
    if "RequestItems" in body:
        [batch] = body["RequestItems"].values()
        return " ".join(sorted({_kind(key["sk"]["S"]) for key in batch["Keys"]}))
    if "IndexName" in body:
        return str(body["IndexName"])
    if "Key" in body:
        return _kind(body["Key"]["sk"]["S"])
    values = [value["S"] for value in body["ExpressionAttributeValues"].values()]
    return " ".join(sorted({_kind(value) for value in values if value.startswith("POST#")}))


def _kind(key: str) -> str:
    return key.partition("#")[0]


class NotedPlatform(FakePlatform):
    """A platform whose calls are noted among those of AWS."""

    steps: Steps

    def prepare(self, publication: Publication, credentials: Mapping[str, str]) -> PreparedPost:
        self.steps.note("platform: prepare")
        return super().prepare(publication, credentials)

    def publish(self, publication: Publication) -> ExternalPost:
        self.steps.note("platform: publish")
        return super().publish(publication)


class Service:
    """Functions on moto as the composition root builds them, with a workspace and an account."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.environ = variables(aws)
        outputs = {
            "PostsTableName": self.environ["POSTS_TABLE"],
            "WorkspacesTableName": self.environ["WORKSPACES_TABLE"],
            "AccountSecretsKeyArn": self.environ["ACCOUNT_SECRETS_KEY_ARN"],
        }
        operator = Operator(
            Deployment(outputs=outputs, clients=aws.clients, bluesky_url="https://bsky.example")
        )
        workspace = operator.workspaces.create("Test").id
        owner = operator.workspaces.add_member(workspace, Role.OWNER).user_id
        self.key = operator.keys.mint(owner, "test").plaintext
        self.account = operator.accounts.connect_bluesky(
            workspace, "one.test", "app-password", sign_in=FakeSignIn()
        ).id

    def http(
        self,
        function: str,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        **headers: str,
    ) -> Any:
        """Ask over HTTP; an error of ours is an error of the test's."""
        event = http_event(
            method,
            f"/api/v1{path}",
            body=None if body is None else json.dumps(body),
            headers={
                "authorization": f"Bearer {key or self.key}",
                "content-type": "application/json",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )
        answer = getattr(bootstrap, function)(self.environ)(event, a_context())
        assert answer["statusCode"] == (401 if key else 201 if path == "/posts" else 200), answer
        return json.loads(answer["body"])

    def create(self, at: datetime | None = None) -> dict[str, Any]:
        post = self.http(
            "posts_api",
            "POST",
            "/posts",
            {
                "content": "Text.",
                "platforms": [{"accountId": self.account}],
                **({} if at is None else {"scheduledFor": timestamp(at)}),
            },
        )
        return dict(post)

    def cancel(self, post: Mapping[str, Any], query: str = "", **wishes: str) -> Any:
        return self.http("cancel_post", "POST", f"/posts/{post['id']}/cancel{query}", **wishes)

    def fire(self, post: Mapping[str, Any]) -> Any:
        message = {"postId": post["id"], "workflowId": post["workflowId"]}
        return bootstrap.start_publish(self.environ)(message, a_context())

    def messages(self) -> list[dict[str, str]]:
        """Take what waits in the publish queue, as SQS hands it to the function."""
        messages = self.aws.received(self.environ["PUBLISH_QUEUE_URL"], 1)
        return [{"messageId": each["MessageId"], "body": each["Body"]} for each in messages]

    def publish(self, records: Sequence[Mapping[str, str]]) -> None:
        answer = bootstrap.publish_target(self.environ)({"Records": records}, a_context())
        assert answer == {"batchItemFailures": []}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with on_moto() as aws:
        monkeypatch.setattr(bootstrap, "AwsClients", lambda: aws.clients)
        yield Service(aws)


@pytest.fixture
def listen(service: Service) -> Iterator[Callable[[Callable[..., None]], None]]:
    """Have something told of every request before it is sent, until the end of the test."""
    made = service.aws.clients
    clients: list[Any] = [made.dynamodb(), made.kms(), made.scheduler(), made.sns(), made.sqs()]
    with ExitStack() as silence:

        def register(heard: Callable[..., None]) -> None:
            for client in clients:
                events = client.meta.events
                # Ahead of moto, which answers the first that asks.
                events.register_first("before-send", heard)
                silence.callback(events.unregister, "before-send", heard)

        yield register


def within_a_minute() -> datetime:
    """Return a moment like now, in whose minute there is time for all that a test asks."""
    return SystemClock().now().replace(second=0, microsecond=0) + timedelta(minutes=1, seconds=1)


@pytest.fixture
def requests_made(
    service: Service,
    listen: Callable[[Callable[..., None]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Mapping[str, Sequence[Step]]:
    """Make every request of the table once, and tell the steps of each."""
    steps = Steps()
    clock = FakeClock(within_a_minute())
    platform = NotedPlatform()
    platform.steps = steps
    monkeypatch.setattr(bootstrap, "ThreadPool", lambda: steps)
    monkeypatch.setattr(bootstrap, "SystemClock", lambda: clock)
    monkeypatch.setattr(bootstrap, "_platforms", lambda *_: {Platform.BLUESKY: platform})
    hour = clock.at.replace(year=clock.at.year + 1, month=1, day=1)
    posts = [service.create(hour) for _ in range(3)]
    listen(steps.heard)
    made: dict[str, Sequence[Step]] = {}

    def note(name: str, request: Callable[[], Any]) -> Any:
        mark = len(steps.taken)
        result = request()
        made[name] = steps.since(mark)
        return result

    note("cancel, dry run", lambda: service.cancel(posts[0], "?dryRun=true"))
    note("cancel", lambda: service.cancel(posts[0]))
    note("cancel what is canceled", lambda: service.cancel(posts[0]))
    once = {"idempotency_key": "once"}
    note("cancel, with an Idempotency-Key", lambda: service.cancel(posts[1], **once))
    note("the same request again", lambda: service.cancel(posts[1], **once))
    note("cancel with a key that is none", lambda: service.cancel(posts[2], key="pb_live_short"))
    nobodys = api_keys.mint(bytes(32))
    note("cancel with a key that nobody has", lambda: service.cancel(posts[2], key=nobodys))
    note("read", lambda: service.http("posts_api", "GET", f"/posts/{posts[2]['id']}"))
    clock.advance(minutes=1)
    note(
        "read, as the first request of a minute",
        lambda: service.http("posts_api", "GET", f"/posts/{posts[2]['id']}"),
    )
    path = f"/posts?workspaceId={posts[2]['workspaceId']}"
    note("list posts of a workspace", lambda: service.http("posts_api", "GET", path))
    note("create a draft", service.create)
    soon = clock.advance(seconds=1)
    clock.advance(seconds=-1)
    due = note("create and schedule", lambda: service.create(soon))
    clock.advance(seconds=1)
    assert note("a schedule's fire", lambda: service.fire(due)) == {"outcome": "started"}
    messages = service.messages()
    assert [json.loads(message["body"])["action"] for message in messages] == ["publish"]
    note("publish a target, the last one", lambda: service.publish(messages))
    assert sum(platform.publishes.values()) == 1
    stale = note("a stale fire", lambda: service.fire(posts[0]))
    assert stale == {"outcome": "nothing to do"}
    return made


def test_every_request_makes_exactly_the_calls_of_the_table(
    requests_made: Mapping[str, Sequence[Step]],
) -> None:
    assert {name: list(steps) for name, steps in requests_made.items()} == TABLE


def test_a_cancel_waits_for_the_database_twice() -> None:
    """What the table says of a cancel, in the words in which it is promised."""
    for name in ("cancel", "cancel, with an Idempotency-Key"):
        reading, writing, effects = TABLE[name]
        # The key's row is read by the update that counts the request.
        assert {call for call in reading if not call.startswith(("GetItem", "Query"))} == {COUNT}
        assert [call.split()[0] for call in writing] == ["TransactWriteItems"]
        assert effects == ("DeleteSchedule", "Publish")
    for name in ("the same request again", "cancel what is canceled", "cancel, dry run"):
        calls = {call.split()[0] for step in TABLE[name] for call in step if call != COUNT}
        assert calls <= {"GetItem", "Query"}, f"{name}: nothing written, nobody told"


def test_the_first_request_of_a_minute_waits_exactly_once_more() -> None:
    usual, first = TABLE["read"], TABLE["read, as the first request of a minute"]
    assert first == [usual[0], (COUNT,), *usual[1:]]


def test_the_document_shows_the_table() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([^|`]+) \| `(.*)` \|$", text, re.MULTILINE))
    assert rows == {
        name: " → ".join(map(" ∥ ".join, steps)) or "nothing" for name, steps in TABLE.items()
    }


def test_what_belongs_to_one_step_is_under_way_at_once(
    service: Service,
    listen: Callable[[Callable[..., None]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = FakeClock(within_a_minute())
    monkeypatch.setattr(bootstrap, "SystemClock", lambda: clock)
    # Given a scheduled post, and requests that only go out when all of their step have come
    post = service.create(datetime(datetime.now(UTC).year + 1, 1, 1, tzinfo=UTC))
    reading, effects = Barrier(3, timeout=20), Barrier(2, timeout=20)
    places = {
        "before-send.dynamodb.GetItem": reading,
        "before-send.dynamodb.Query": reading,
        "before-send.dynamodb.UpdateItem": reading,
        "before-send.scheduler.DeleteSchedule": effects,
        "before-send.sns.Publish": effects,
    }
    passed: list[str] = []

    def meet(event_name: str, **_: Any) -> None:
        if event_name in places:
            places[event_name].wait()
        passed.append(event_name.rpartition(".")[2])

    listen(meet)
    # When it is cancelled by the function as it is deployed, with its threads
    body = service.cancel(post, idempotency_key="once")
    # Then everybody met
    assert body["status"] == "CANCELED"
    assert sorted(passed[:3]) == ["GetItem", "Query", "UpdateItem"]
    assert passed[3] == "TransactWriteItems"
    assert sorted(passed[4:]) == ["DeleteSchedule", "Publish"]
