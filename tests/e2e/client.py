"""A client of a deployed stack, and the tools its tests share."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import urllib3

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer with its JSON body."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Api:
    """The stack's API, called as the holder of one of its keys."""

    def __init__(self, stack: Mapping[str, Any], key: str = "owner") -> None:
        self.stack = stack
        self.key = stack["keys"][key]
        self._http = urllib3.PoolManager(retries=False, timeout=30, maxsize=16)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        sent: dict[str, str] = {"Authorization": f"Bearer {self.key}"}
        content = raw
        if body is not None:
            content = json.dumps(body).encode()
        if content is not None:
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        answer = self._http.request(
            method, self.stack["apiUrl"] + path, body=content, headers=sent, redirect=False
        )
        return Reply(answer.status, answer.headers, json.loads(answer.data))

    def schedule(self, *accounts: str, seconds: float, **fields: object) -> dict[str, Any]:
        """Create a post on these accounts, to go out that many seconds from now.

        Where the machine was so slow that the moment had passed, a later one is asked for.
        """
        reply = in_time(seconds, lambda at: self._create(accounts, {**fields, "scheduledFor": at}))
        return _created(reply)

    def create(self, *accounts: str, **fields: object) -> dict[str, Any]:
        return _created(self._create(accounts, fields))

    def _create(self, accounts: Sequence[str], fields: Mapping[str, object]) -> Reply:
        body = {
            "content": "Written by a test.",
            "platforms": [{"accountId": account} for account in accounts],
            **fields,
        }
        return self.call("POST", "/posts", body)

    def get(self, post_id: str) -> dict[str, Any]:
        reply = self.call("GET", f"/posts/{post_id}")
        assert reply.status == 200, reply
        post: dict[str, Any] = reply.body
        return post

    def rested(self, post_id: str) -> dict[str, Any] | None:
        """Return a post if neither it nor any of its targets is moving any more.

        The post's own status follows that of its last target, a moment later.
        """
        post = self.get(post_id)
        statuses = {each["status"] for each in (post, *post["targets"])}
        return None if statuses & {"SCHEDULED", "PUBLISHING"} else post

    def cancel(self, post_id: str, body: object = None, query: str = "", **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("POST", f"/posts/{post_id}/cancel{query}", body, headers=named)

    def wait_for(self, post_id: str, *statuses: str, seconds: float = 30) -> dict[str, Any]:
        """Wait until the post has one of these statuses."""

        def look() -> dict[str, Any] | None:
            post = self.get(post_id)
            return post if post["status"] in statuses else None

        return wait_until(look, f"{post_id} to be {' or '.join(statuses)}", seconds=seconds)


def _created(reply: Reply) -> dict[str, Any]:
    assert reply.status == 201, reply
    created: dict[str, Any] = reply.body
    return created


def is_too_late(reply: Reply) -> bool:
    """Tell whether all that was wrong with a request is that its moment had passed."""
    messages = {detail["message"] for detail in reply.body.get("details", ())}
    return reply.status == 400 and messages == {"must be in the future"}


def in_time(seconds: float, ask: Callable[[str], Reply]) -> Reply:
    """Ask for something at a moment so many seconds on, or later if that was too soon for it."""
    while is_too_late(reply := ask(moment(seconds))):
        seconds *= 2
    return reply


def unique(text: str) -> str:
    """Make a text that no earlier run on the same stack has used."""
    return f"{text} ({uuid.uuid4()})"


def moment(seconds: float) -> str:
    """Write the moment that many seconds from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def wait_until(look: Callable[[], Found | None], what: str, *, seconds: float = 30) -> Found:
    """Look again and again until something is found."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = look()
        if found is not None:
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


def lines(path: str) -> list[dict[str, Any]]:
    """Read a log of one JSON document a line; a line still being written does not count."""
    file = Path(path)
    if not file.exists():
        return []
    complete = file.read_text("utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in complete.splitlines()]


def webhooks(stack: Mapping[str, Any], post_id: str) -> list[dict[str, Any]]:
    """Return the webhook requests received about a post: each with ``headers`` and ``body``."""
    return [
        line
        for line in lines(stack["receiver"]["log"])
        if json.loads(line["body"])["payload"].get("post", {}).get("id") == post_id
    ]


def events(stack: Mapping[str, Any], post_id: str) -> list[str]:
    """Return the names of the events received about a post."""
    return [json.loads(line["body"])["event"] for line in webhooks(stack, post_id)]


def wait_for_event(stack: Mapping[str, Any], post_id: str, name: str, seconds: float = 30) -> Any:
    """Wait for a webhook of that name about a post, and return the request."""

    def look() -> dict[str, Any] | None:
        for line in webhooks(stack, post_id):
            if json.loads(line["body"])["event"] == name:
                return line
        return None

    return wait_until(look, f"{name} about {post_id}", seconds=seconds)


def records(stack: Mapping[str, Any], text: str) -> list[dict[str, Any]]:
    """Return the platform's successful record creations whose text is this."""
    return [
        line
        for line in lines(stack["platform"]["log"])
        if str(line.get("method", "")).endswith("createRecord")
        and line["status"] == 200
        and line["body"]["record"]["text"] == text
    ]


def behave(url: str, **wish: object) -> None:
    """Make the receiver or the platform sandbox misbehave."""
    answer = urllib3.request("POST", f"{url}/_behave", json=wish, retries=False)
    assert answer.status == 200, answer.data
