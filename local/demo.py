"""`python -m local.demo`: a scheduled post is cancelled, its moment passes, and nothing goes out.

Everything shown is a real request to the running local stack and its real answer. At the end every
claim is checked against what others recorded: the scheduler's own list, the platform's log, the
webhook as it was received. The exit status is 1 if one of them does not hold.
"""

from __future__ import annotations

import argparse
import http.client
import json
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from standardwebhooks.webhooks import Webhook

from local import paths
from local.tools import LocalError, read_json, wait_until
from postbreeze.adapters.aws import AwsClients
from postbreeze.cli.deployment import Deployment, Operator
from postbreeze.domain.documents import timestamp
from postbreeze.domain.errors import PostbreezeError
from postbreeze.domain.events import EventType
from postbreeze.webhooks.signature import SIGNATURE_HEADER, verify_postbreeze

FIRST_AHEAD: Final = timedelta(seconds=15)
"""Time enough to see the schedule and to cancel, on a slow machine with everything cold."""

SECOND_AFTER: Final = timedelta(seconds=3)
"""How much later the second post is: when it is out, the first one's moment has long passed."""

PATIENCE_SECONDS: Final = 40.0
WIDTH: Final = 96
"""The longest line of JSON."""

REASON: Final = "The offer has changed."
EVENT_HEADER: Final = "X-Postbreeze-Event"
CREATE_RECORD: Final = "com.atproto.repo.createRecord"


class DemoError(Exception):
    """The scene cannot go on; the message says why."""


# ------------------------------------------------------------------------------------- what is seen


class Terminal:
    """Writes to standard output; colours and a running clock only where a person watches."""

    def __init__(self) -> None:
        """Look at what standard output is."""
        self._is_tty = sys.stdout.isatty()

    def heading(self, number: int, text: str) -> None:
        """Begin a step."""
        self._write(f"\n{self.colour(f'{number}. {text}', '1')}")

    def say(self, text: str, *, style: str = "") -> None:
        """Write one line, indented."""
        self._write(f"   {self.colour(text, style)}")

    def document(self, value: object) -> None:
        """Write JSON, as compact as can be read."""
        for line in _json_lines(value):
            self.say(line, style="2")

    def check(self, claim: str, holds: bool, evidence: str) -> None:
        """Write one line of the check list."""
        mark = self.colour("✓", "32") if holds else self.colour("✗", "31")
        self._write(f"   {mark} {claim}  {self.colour(evidence, '2')}")

    def clock(self, text: str) -> None:
        """Write a line over the last one; nothing where nobody watches."""
        if self._is_tty:
            sys.stdout.write(f"\r\033[K   {text}")
            sys.stdout.flush()

    def clock_ends(self) -> None:
        """Go on below the clock."""
        if self._is_tty:
            sys.stdout.write("\r\033[K")

    def colour(self, text: str, style: str) -> str:
        """Wrap the text in a style, if it is shown."""
        return f"\033[{style}m{text}\033[0m" if self._is_tty and style else text

    @staticmethod
    def _write(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def _json_lines(value: object) -> Iterable[str]:
    """Write JSON as a person would: on one line what fits, and lists of objects one a line."""
    text = json.dumps(value, ensure_ascii=False)
    if len(text) <= WIDTH or not isinstance(value, dict | list):
        yield text
        return
    brackets = "{}" if isinstance(value, dict) else "[]"
    items = value.items() if isinstance(value, dict) else [(None, part) for part in value]
    yield brackets[0]
    for left, (name, part) in zip(range(len(items) - 1, -1, -1), items, strict=True):
        lines = list(_json_lines(part))
        lines[0] = lines[0] if name is None else f'"{name}": {lines[0]}'
        lines[-1] += "," if left else ""
        yield from (f"  {line}" for line in lines)
    yield brackets[1]


# -------------------------------------------------------------------------------- what is talked to


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The running stack, through its own doors only."""

    described: Mapping[str, Any]
    key: str

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Make one request to the API.

        Raises:
            DemoError: No answer came that can be read.
        """
        url = urlsplit(self.described["apiUrl"])
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)
        headers = {"Authorization": f"Bearer {self.key}"}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        try:
            connection.request(method, f"{url.path}{path}", body=content, headers=headers)
            response = connection.getresponse()
            return Answer(status=response.status, body=json.loads(response.read()))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DemoError(f"{method} {path}: no usable answer ({error})") from error
        finally:
            connection.close()

    def schedules(self, post_id: str) -> dict[str, str]:
        """Return the schedules in the group that belong to a post: when each fires, by name."""
        clients = AwsClients(
            region=self.described["region"],
            endpoint_url=self.described["engineUrl"],
            access_key=("test", "test"),
        )
        scheduler = clients.scheduler()
        group = self.described["outputs"]["ScheduleGroupName"]
        listed = scheduler.list_schedules(GroupName=group, NamePrefix=post_id)["Schedules"]
        return {
            name: scheduler.get_schedule(GroupName=group, Name=name)["ScheduleExpression"]
            for name in sorted(schedule["Name"] for schedule in listed)
        }

    def published(self, caption: str) -> list[dict[str, Any]]:
        """Return the platform's log of attempts, successful or not, to publish this text."""
        return [
            line
            for line in _lines(self.described["platform"]["log"])
            if line["method"] == CREATE_RECORD
            and line["body"].get("record", {}).get("text") == caption
        ]

    def webhooks(self, post_id: str, event: EventType) -> list[dict[str, Any]]:
        """Return the receiver's log of webhooks that told of this event of a post."""
        return [
            line
            for line in _lines(self.described["receiver"]["log"])
            if line["headers"].get(EVENT_HEADER) == event
            and json.loads(line["body"])["payload"].get("post", {}).get("id") == post_id
        ]


def _lines(log: str) -> list[dict[str, Any]]:
    path = paths.ROOT / log
    if not path.exists():
        return []
    # The last line may still be in the writing.
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


# --------------------------------------------------------------------------------------- the scene


@dataclass(slots=True, kw_only=True)
class Demo:
    """The scene, step by step; each step notes what the check list at the end looks at."""

    stack: Stack
    terminal: Terminal
    claims: list[tuple[str, bool, str]] = field(default_factory=list)
    steps: int = 0

    def play(self) -> bool:
        """Play it and tell whether every claim held.

        Raises:
            DemoError: It cannot go on.
        """
        started = time.monotonic()
        self._warm_up()
        self.terminal.say(
            f"The API is at {self.stack.described['apiUrl']}; the key is an editor's."
        )
        run = secrets.token_hex(3)
        cancelled_text = f"Three days only: everything half price. ({run})"
        kept_text = f"We are moving to the harbour next week. ({run})"
        accounts = self.stack.described["accounts"]["BLUESKY"]
        first_at = _whole_second(datetime.now(UTC) + FIRST_AHEAD)
        second_at = first_at + SECOND_AFTER

        first = self._schedule(
            "A post is scheduled on three accounts", cancelled_text, accounts, first_at
        )
        self._show_schedule(first)
        cancelled = self._cancel("It is cancelled", first["id"], {"reason": REASON})
        self._show_schedule_gone(first)
        second = self._schedule(
            "A second post is scheduled, and left alone", kept_text, accounts[:1], second_at
        )
        self._wait(first_at, second_at, second["id"], kept_text)
        self._show_platform(cancelled_text, kept_text)
        self._show_second(second["id"])
        self._show_webhook(first["id"])
        self._cancel_again(cancelled)
        self._check_rest(first["id"], second["id"], cancelled_text, kept_text)
        return self._conclude(time.monotonic() - started)

    def _warm_up(self) -> None:
        nobody = "post_00000000000000000000000000"
        for method, path in (("GET", f"/posts/{nobody}"), ("POST", f"/posts/{nobody}/cancel")):
            answer = self.stack.call(method, path)
            if answer.status != 404:
                raise DemoError(f"{method} {path} answered {answer.status}: {answer.body}")

    def _step(self, text: str) -> None:
        self.steps += 1
        self.terminal.heading(self.steps, text)

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        base = urlsplit(self.stack.described["apiUrl"]).path
        self.terminal.say(f"→ {method} {base}{path}", style="36")
        if body is not None:
            self.terminal.document(body)
        began = time.monotonic()
        answer = self.stack.call(method, path, body)
        took = (time.monotonic() - began) * 1000
        self.terminal.say(f"← {answer.status}  ({took:.0f} ms)", style="36")
        self.terminal.document(_essence(answer.body))
        return answer

    def _schedule(
        self, text: str, caption: str, accounts: list[str], at: datetime
    ) -> dict[str, Any]:
        self._step(text)
        answer = self._request(
            "POST",
            "/posts",
            {
                "content": caption,
                "platforms": [{"accountId": account} for account in accounts],
                "scheduledFor": timestamp(at),
            },
        )
        if answer.status != 201:
            raise DemoError("the post was not created")
        return answer.body

    def _show_schedule(self, post: Mapping[str, Any]) -> None:
        self._step("EventBridge Scheduler has a timer for it")
        found = self._look_for_timers(post)
        self._claim(
            "the timer was set, and only that one",
            list(found) == [post["workflowId"]],
            f"schedule group: {len(found)} of this post",
        )

    def _show_schedule_gone(self, post: Mapping[str, Any]) -> None:
        self._step("The timer is gone")
        found = self._look_for_timers(post)
        self._claim("the timer is gone", not found, f"schedule group: {len(found)} of this post")

    def _look_for_timers(self, post: Mapping[str, Any]) -> dict[str, str]:
        found = self.stack.schedules(post["id"])
        group = self.stack.described["outputs"]["ScheduleGroupName"]
        self.terminal.say(f"this post's schedules in the group {group}:")
        for name, expression in found.items():
            self.terminal.say(f"  {name}  {expression}", style="2")
        if not found:
            self.terminal.say("  none", style="2")
        return found

    def _cancel(self, text: str, post_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self._step(text)
        answer = self._request("POST", f"/posts/{post_id}/cancel", body)
        if answer.status != 200:
            raise DemoError("the post was not cancelled")
        outcomes = [
            target["outcome"] for target in answer.body.get("cancellation", {}).get("targets", [])
        ]
        self._claim(
            "the cancel answered 200, all three targets canceled",
            answer.body["status"] == "CANCELED"
            and answer.body["workflowId"] is None
            and outcomes == ["canceled"] * 3,
            f"{answer.status} {answer.body.get('status')}",
        )
        return answer.body

    def _wait(
        self, first_at: datetime, second_at: datetime, second_id: str, kept_text: str
    ) -> None:
        self._step("Both moments come")
        self._count_down("the cancelled post's moment", first_at)
        self._count_down("the second post's moment", second_at)

        def is_published() -> bool:
            self.terminal.clock("the second post is being published …")
            # The API is only asked once the platform has seen something: looking is not free.
            return (
                bool(self.stack.published(kept_text))
                and self.stack.call("GET", f"/posts/{second_id}").body.get("status") == "PUBLISHED"
            )

        self._until("the second post to be published", is_published)
        self.terminal.clock_ends()
        self.terminal.say(f"{_now()}  the second post is out")

    def _count_down(self, what: str, at: datetime) -> None:
        while (left := (at - datetime.now(UTC)).total_seconds()) > 0:
            self.terminal.clock(f"{_now()}  {what} comes in {left:4.1f} s")
            time.sleep(min(left, 0.1))
        self.terminal.clock_ends()
        self.terminal.say(f"{_now()}  {what} has come")

    def _show_platform(self, cancelled_text: str, kept_text: str) -> None:
        self._step("What the platform saw")
        for caption in (cancelled_text, kept_text):
            calls = self.stack.published(caption)
            self.terminal.say(f"“{caption}”: {len(calls) or 'no'} call(s) to publish it")
            for call in calls:
                self.terminal.say(
                    f"{call['at']}  {call['method']} by {call['handle']}: {call['status']}",
                    style="2",
                )

    def _show_second(self, post_id: str) -> None:
        self._step("The second post, as the API has it")
        body = self._request("GET", f"/posts/{post_id}").body
        target = body["targets"][0]
        self._claim(
            "the second post is PUBLISHED and has an address",
            body["status"] == "PUBLISHED" and bool(target["externalUrl"]),
            str(target["externalUrl"]),
        )

    def _show_webhook(self, post_id: str) -> None:
        self._step("The webhook that told of the cancel")
        event = EventType.POST_CANCELLED
        self._until("the webhook", lambda: bool(self.stack.webhooks(post_id, event)))
        received = self.stack.webhooks(post_id, event)[0]
        headers, body = received["headers"], received["body"]
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature", SIGNATURE_HEADER):
            self.terminal.say(f"{name}: {headers.get(name)}", style="2")
        document = json.loads(body)
        self.terminal.document(
            {
                **document,
                "payload": {**document["payload"], "post": _essence(document["payload"]["post"])},
            }
        )
        secret = self.stack.described["receiver"]["secret"]
        raw = body.encode("utf-8", "surrogateescape")
        self._claim_of(
            "the webhook verifies by the Standard Webhooks library",
            lambda: Webhook(secret).verify(raw, headers),
        )
        self._claim_of(
            f"the webhook verifies by the rule of {SIGNATURE_HEADER}",
            lambda: verify_postbreeze(headers, raw, secret, datetime.now(UTC)),
        )

    def _cancel_again(self, cancelled: Mapping[str, Any]) -> None:
        self._step("It is cancelled once more")
        answer = self._request("POST", f"/posts/{cancelled['id']}/cancel")
        unchanged = all(
            answer.body.get(name) == cancelled[name]
            for name in ("version", "canceledAt", "updatedAt")
        )
        self._claim(
            "a second cancel answered 200 and changed nothing",
            answer.status == 200 and unchanged,
            f"{answer.status}, version {answer.body.get('version')}",
        )

    def _check_rest(
        self, first_id: str, second_id: str, cancelled_text: str, kept_text: str
    ) -> None:
        """Look once more, now that all is over, at what others recorded."""
        left = [*self.stack.schedules(first_id), *self.stack.schedules(second_id)]
        self._claim("no timer of either post is left", not left, f"schedule group: {len(left)}")
        attempts = self.stack.published(cancelled_text)
        self._claim(
            "nothing of the cancelled post ever reached the platform",
            attempts == [],
            f"platform log: {len(attempts)} calls",
        )
        calls = self.stack.published(kept_text)
        self._claim(
            "the second post was published exactly once",
            [call["status"] for call in calls] == [200],
            f"platform log: {len(calls)} call",
        )
        described = self.stack.described
        operator = Operator(
            Deployment.local(
                described["outputs"],
                engine_url=described["engineUrl"],
                region=described["region"],
                platform_url=described["platform"]["url"],
            )
        )
        timeline = operator.posts.show(first_id).timeline
        events = [event for event in timeline if event.type is EventType.POST_CANCELLED]
        told = {
            json.loads(line["body"])["payload"]["eventId"]
            for line in self.stack.webhooks(first_id, EventType.POST_CANCELLED)
        }
        self._claim(
            "there is exactly one post.cancelled, and it is the one that was received",
            [event.id for event in events] == sorted(told),
            f"timeline: {len(events)}, received: {len(told)}",
        )

    def _claim(self, claim: str, holds: bool, evidence: str) -> None:
        self.claims.append((claim, holds, evidence))

    def _claim_of(self, claim: str, check: Callable[[], object]) -> None:
        """Note whether a check that raises when it fails holds."""
        try:
            check()
        except Exception as error:  # noqa: BLE001 - whatever it is, the claim does not hold
            self._claim(claim, False, repr(error))
        else:
            self._claim(claim, True, "verified")

    def _until(self, what: str, holds: Callable[[], bool]) -> None:
        try:
            wait_until(what, holds, seconds=PATIENCE_SECONDS)
        except LocalError as error:
            raise DemoError(str(error)) from error

    def _conclude(self, seconds: float) -> bool:
        self._step("The check list")
        width = max(len(claim) for claim, _, _ in self.claims)
        for claim, holds, evidence in self.claims:
            self.terminal.check(f"{claim:<{width}}", holds, evidence)
        all_hold = all(holds for _, holds, _ in self.claims)
        held = sum(holds for _, holds, _ in self.claims)
        self.terminal.say("")
        self.terminal.say(
            f"{held} of {len(self.claims)} hold, {seconds:.0f} s",
            style="1;32" if all_hold else "1;31",
        )
        return all_hold


def _essence(body: Mapping[str, Any], *, with_targets: bool = True) -> dict[str, Any]:
    """Leave out of a post what nobody wants to read here."""
    if "targets" not in body:
        return dict(body)
    names = (
        "id",
        "status",
        "caption",
        "scheduledAt",
        "workflowId",
        "canceledAt",
        "cancelReason",
        "version",
    )
    shown: dict[str, Any] = {
        name: body[name] for name in names if name == "workflowId" or body.get(name) is not None
    }
    if with_targets:
        shown["targets"] = [_target_essence(target) for target in body["targets"]]
    if "cancellation" in body:
        shown["cancellation"] = body["cancellation"]
    return shown


def _target_essence(target: Mapping[str, Any]) -> dict[str, Any]:
    names = ("id", "platform", "status", "publishedAt", "externalUrl", "errorCode")
    return {name: target[name] for name in names if target.get(name) is not None}


def _whole_second(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def _now() -> str:
    return f"{datetime.now(UTC):%H:%M:%S}"


def main() -> None:
    """Play the demo on the running stack."""
    parser = argparse.ArgumentParser(prog="python -m local.demo", description=__doc__)
    parser.add_argument("--stack-file", type=Path, default=paths.STACK_FILE)
    described = read_json(parser.parse_args().stack_file)
    if described is None:
        sys.exit("error: the local stack is not up; start it with 'make up'")
    stack = Stack(described=described, key=described["keys"]["editor"])
    try:
        all_hold = Demo(stack=stack, terminal=Terminal()).play()
    except (DemoError, PostbreezeError) as error:
        sys.exit(f"\nerror: {error}")
    sys.exit(0 if all_hold else 1)


if __name__ == "__main__":
    main()
