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
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from postbreeze import bootstrap
from postbreeze.domain import api_keys
from postbreeze.domain.post import Platform
from tests.support.aws import on_moto
from tests.support.fakes import FakeClock
from tests.support.service import NotedPlatform, Service, Step, Steps, within_a_minute

DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"

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
