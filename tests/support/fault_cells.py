"""Cells of the fault matrix on a deployed stack: each a post with a workspace all of its own.

Workspace, user, key, account and endpoint belong to that post alone, so that every call anybody
makes for it can be told from all others, and many cells can be under way at the same time.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

import urllib3

from local.bluesky_sandbox import did_of
from postbreeze.cli.deployment import Deployment, Operator
from postbreeze.domain.access import Grant, Role
from postbreeze.domain.api_keys import digest
from postbreeze.domain.errors import UnavailableError
from postbreeze.domain.lifecycle import NOT_COMPLETED, OUTCOME_UNKNOWN
from tests.e2e.aws import client
from tests.e2e.client import Api, Reply, lines, moment, wait_until
from tests.support.fault_proxy import FaultProxy, Faults, Harm, Kind

Made = TypeVar("Made")

PLENTY = 1_000_000
PERSISTENCE = 150.0
"""Seconds for which a client asks again where it is not told what became of its request."""

BEGINNING = ("post.created", "post.scheduled")
ENDINGS = {
    "CANCELED": "post.cancelled",
    "PUBLISHED": "post.published",
    "FAILED": "post.failed",
}
"""The event that each end of a post is told by."""

CANCEL_LEAD = 240.0
"""Time enough for a cancel that throttling keeps waiting; then the post's moment must pass."""

FUNCTIONS = (
    "cancel_post",
    "posts_api",
    "start_publish",
    "publish_target",
    "fan_out_event",
    "deliver_webhook",
    "reconcile",
)


class Story(Enum):
    """What the client of a cell does."""

    PUBLISH = "publish"
    CANCEL = "cancel"


@dataclass(slots=True, kw_only=True, eq=False)
class Cell:
    """One fault at one call, or none; filled in as it goes along."""

    number: int
    story: Story
    harms: tuple[Harm, ...] = ()
    lead: float = 20.0
    loses_schedule: bool = False
    may_fail: bool = False
    workspace: str = ""
    account: str = ""
    endpoint: str = ""
    key: str = field(default="", repr=False)
    post: str = ""
    due: float = 0.0
    trouble: str = ""

    @property
    def name(self) -> str:
        """Its subject, and its account's handle."""
        return f"cell-{self.number}.test"

    @property
    def is_met(self) -> bool:
        """Whether all that was to go wrong has."""
        return all(harm.hits for harm in self.harms)

    @property
    def text(self) -> str:
        """What its post says."""
        return f"Written by {self.name}."


class Cells:
    """Sets cells up on a deployed stack, and plays their stories."""

    def __init__(self, stack: Mapping[str, Any], faults: Faults, endpoint_url: str) -> None:
        """Make the clients."""
        self.stack = stack
        self.faults = faults
        self._endpoint_url = endpoint_url
        self._operator = Operator(
            Deployment.local(
                stack["outputs"],
                engine_url=stack["engineUrl"],
                region=stack["region"],
                platform_url=stack["platform"]["url"],
            )
        )
        self._scheduler = client(stack, "scheduler")
        self._rows = client(stack, "dynamodb")

    def prepare(self, cell: Cell) -> None:
        """Give a cell all that belongs to it alone."""
        operator = self._operator
        cell.workspace = _when_it_can(lambda: operator.workspaces.create(cell.name)).id
        user = _when_it_can(
            lambda: operator.workspaces.add_member(cell.workspace, Role.OWNER)
        ).user_id
        cell.key = _when_it_can(
            lambda: operator.keys.mint(
                user,
                cell.name,
                grants=list(Grant),
                requests_per_minute=PLENTY,
                requests_per_quarter_hour=PLENTY,
            )
        ).plaintext
        cell.account = _when_it_can(
            lambda: operator.accounts.connect_bluesky(
                cell.workspace, cell.name, f"sandbox-{cell.name}", sign_in=operator.bluesky_sign_in
            )
        ).id
        cell.endpoint = _when_it_can(lambda: self._endpoint_of(cell))
        self.faults.know(
            cell.name,
            [
                *(cell.name, did_of(cell.name), digest(cell.key)),
                *(cell.workspace, user, cell.account, cell.endpoint),
            ],
        )

    def _endpoint_of(self, cell: Cell) -> str:
        """Return the one endpoint of a cell: an answer that was lost must not make it two."""
        endpoints = self._operator.endpoints
        for endpoint in endpoints.list(cell.workspace):
            return endpoint.id
        url = f"{self._endpoint_url}/{cell.name}"
        return endpoints.add(cell.workspace, url, ["*"], description=cell.name).endpoint.id

    def prepare_and_play(self, cell: Cell) -> None:
        """Do both; a client that is told something wrong is the cell's trouble, not the others'."""
        self.prepare(cell)
        try:
            self.play(cell)
        except AssertionError as wrong:
            cell.trouble = str(wrong)

    def play(self, cell: Cell) -> None:
        """Do what its client does, until the client has been told what became of it."""
        if cell.story is Story.PUBLISH:
            self.faults.arm(cell.name, *cell.harms)
            self._create(cell, cell.lead)
            if cell.loses_schedule:
                self._scheduler.delete_schedule(
                    Name=f"{cell.post}-1", GroupName=self.stack["outputs"]["ScheduleGroupName"]
                )
            return
        self._create(cell, CANCEL_LEAD)
        for event in BEGINNING:
            self.wait_until_told(cell, event)
        self.faults.arm(cell.name, *cell.harms)
        reply = self._persist(cell, "POST", f"/posts/{cell.post}/cancel", {})
        assert reply.status == 200, f"the cancel was answered {reply.status}: {reply.body}"

    def _create(self, cell: Cell, lead: float) -> None:
        cell.due = time.time() + lead
        wish = {
            "content": cell.text,
            "platforms": [{"accountId": cell.account}],
            "scheduledFor": moment(lead),
        }
        reply = self._persist(cell, "POST", "/posts", wish)
        if reply.status == 400 and time.time() > cell.due:
            # The machine is slow, and the moment passed on the way: nothing was written.
            self._create(cell, 2 * lead)
            return
        assert reply.status == 201, f"the creation was answered {reply.status}: {reply.body}"
        cell.post = reply.body["id"]

    def _persist(self, cell: Cell, method: str, path: str, body: object) -> Reply:
        """Ask until told, always under the same idempotency key."""
        api, once = self._api(cell), {"Idempotency-Key": str(uuid.uuid4())}
        until = time.monotonic() + PERSISTENCE
        while True:
            reply = _told(api, method, path, body, once)
            if reply is not None or time.monotonic() > until:
                assert reply is not None, f"the client was never told what became of {path}"
                return reply
            time.sleep(2)

    def shown(self, cell: Cell) -> Mapping[str, Any]:
        """Return a cell's post as the API shows it."""
        return self._api(cell).get(cell.post) if cell.post else {}

    def _api(self, cell: Cell) -> Api:
        return Api({**self.stack, "keys": {"owner": cell.key}})

    def wait_until_told(self, cell: Cell, event: str) -> None:
        """Wait until a cell's endpoint has been told of an event, and that is on record."""

        def is_told() -> bool | None:
            found = self._rows.query(
                TableName=self.stack["outputs"]["WebhooksTableName"],
                KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
                ExpressionAttributeValues={
                    ":pk": {"S": f"ENDPOINT#{cell.endpoint}"},
                    ":sk": {"S": "DELIVERY#"},
                },
            )
            told = {
                row["eventType"]["S"] for row in found["Items"] if row["status"]["S"] == "DELIVERED"
            }
            return True if event in told else None

        wait_until(is_told, f"{event} of {cell.name}", seconds=180)


def _when_it_can(step: Callable[[], Made]) -> Made:
    """Take a step of setting up again for as long as the engine is too busy for it."""

    def made() -> Made | None:
        try:
            return step()
        except UnavailableError:
            return None

    return wait_until(made, "the engine to have time", seconds=300)


def _told(
    api: Api, method: str, path: str, body: object, headers: Mapping[str, str]
) -> Reply | None:
    """Ask once; None where the answer does not tell what became of it, or none came."""
    try:
        reply = api.call(method, path, body, headers=headers)
    except urllib3.exceptions.TimeoutError:
        return None
    is_running = reply.status == 409 and "IN_PROGRESS" in json.dumps(reply.body)
    return None if reply.status >= 500 or is_running else reply


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """How everything stands: rows, and what platform and endpoints have seen."""

    posts: Mapping[str, list[dict[str, Any]]]
    deliveries: Mapping[str, list[dict[str, Any]]]
    records: Counter[str]
    received: Mapping[str, Counter[tuple[str, str]]]

    @classmethod
    def of(cls, stack: Mapping[str, Any]) -> World:
        """Look."""
        posts: dict[str, list[dict[str, Any]]] = {}
        for row in _scan(stack, stack["outputs"]["PostsTableName"]):
            posts.setdefault(row["pk"]["S"].partition("#")[2], []).append(row)
        deliveries: dict[str, list[dict[str, Any]]] = {}
        for row in _scan(stack, stack["outputs"]["WebhooksTableName"]):
            if row["sk"]["S"].startswith("DELIVERY#"):
                deliveries.setdefault(row["pk"]["S"].partition("#")[2], []).append(row)
        received: dict[str, Counter[tuple[str, str]]] = {}
        for line in lines(stack["receiver"]["log"]):
            body = json.loads(line["body"])
            told = (body["event"], body["deliveryId"])
            received.setdefault(line["path"].removeprefix("/"), Counter())[told] += 1
        return cls(
            posts=posts,
            deliveries=deliveries,
            records=Counter(
                line["body"]["record"]["text"]
                for line in lines(stack["platform"]["log"])
                if str(line["method"]).endswith("createRecord") and line["status"] == 200
            ),
            received=received,
        )

    def is_at_rest(self, cell: Cell) -> bool:
        """Tell whether nothing is left to happen to a cell."""
        if cell.trouble:
            return True
        rows = self.posts.get(cell.post, [])
        statuses = {row["status"]["S"] for row in rows if "status" in row}
        pending = any("pendingSince" in row for row in rows)
        waiting = any(
            row["status"]["S"] == "PENDING" for row in self.deliveries.get(cell.endpoint, [])
        )
        moving = statuses & {"SCHEDULED", "PUBLISHING"}
        return bool(rows) and not (moving or pending or waiting) and time.time() > cell.due + 5

    def faults_of(self, cell: Cell, shown: Mapping[str, Any]) -> Iterator[str]:
        """Yield what is not as promised; ``shown`` is the post as the API shows it."""
        if cell.trouble:
            yield cell.trouble
            return
        if not self.is_at_rest(cell):
            yield f"never came to rest: {shown['status']}"
            return
        target = shown["targets"][0]
        published = self.records[cell.text]
        if published > 1:
            yield f"published {published} times"
        if cell.story is Story.CANCEL:
            if published or (shown["status"], target["status"]) != ("CANCELED", "CANCELED"):
                yield f"canceled, and yet {target['status']}, published {published} times"
        elif target["status"] == "PUBLISHED":
            if published != 1 or shown["status"] != "PUBLISHED":
                yield f"said to be published, and was {published} times"
        elif not (cell.may_fail and target["status"] == "FAILED"):
            yield f"ended as {target['status']}, {target['errorCode']}"
        elif target["errorCode"] not in {NOT_COMPLETED, OUTCOME_UNKNOWN}:
            yield f"failed with {target['errorCode']}"
        elif published and Kind.LATE not in {harm.kind for harm in cell.harms}:
            yield f"said to have failed with {target['errorCode']}, and was published"
        yield from self._lost_events(cell, shown["status"])
        made = [
            identifier
            for identifier, rows in self.posts.items()
            if any(row.get("caption", {}).get("S") == cell.text for row in rows)
        ]
        if made != [cell.post]:
            yield f"asked for one post, made {len(made)}"

    def _lost_events(self, cell: Cell, status: str) -> Iterator[str]:
        events = [
            row for row in self.posts.get(cell.post, []) if row["sk"]["S"].startswith("EVENT#")
        ]
        deliveries = self.deliveries.get(cell.endpoint, [])
        types = sorted(row["type"]["S"] for row in events)
        if types != sorted([*BEGINNING, ENDINGS.get(status, "")]):
            yield f"{status}, with the events {types}"
        received = self.received.get(cell.name, Counter())
        for event in events:
            name, identifier = event["type"]["S"], event["sk"]["S"].partition("#")[2]
            own = [row for row in deliveries if row["eventId"]["S"] == identifier]
            if [row["status"]["S"] for row in own] != ["DELIVERED"]:
                yield f"{name} has deliveries {[row['status']['S'] for row in own]}"
                continue
            if not received[name, own[0]["sk"]["S"].partition("#")[2]]:
                yield f"{name} never came"
        if received.keys() - {
            (row["eventType"]["S"], row["sk"]["S"].partition("#")[2]) for row in deliveries
        }:
            yield "an unknown delivery came"


def _scan(stack: Mapping[str, Any], table: str) -> Iterator[dict[str, Any]]:
    for page in client(stack, "dynamodb").get_paginator("scan").paginate(TableName=table):
        yield from page["Items"]


@contextmanager
def through_proxies(stack: Mapping[str, Any], faults: Faults) -> Iterator[str]:
    """Put a proxy between each function and what it calls; gives the address for endpoints.

    Clients of the test, and the seed data's, go on talking to the engine itself.
    """
    functions = client(stack, "lambda")
    told = {
        each["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]: each
        for page in functions.get_paginator("list_functions").paginate()
        for each in page["Functions"]
        if "POWERTOOLS_SERVICE_NAME" in each.get("Environment", {}).get("Variables", {})
    }
    with ExitStack() as running:

        def steer(function: str, variables: Mapping[str, str]) -> None:
            functions.update_function_configuration(
                FunctionName=told[function]["FunctionName"], Environment={"Variables": variables}
            )

        def proxy(function: str, upstream: str) -> str:
            return running.enter_context(FaultProxy(function, upstream, faults)).url

        for function in FUNCTIONS:
            before = told[function]["Environment"]["Variables"]
            through = {"AWS_ENDPOINT_URL": proxy(function, stack["engineUrl"])}
            if "BLUESKY_URL" in before:
                through["BLUESKY_URL"] = proxy(function, stack["platform"]["url"])
            running.callback(steer, function, before)
            steer(function, {**before, **through})
        yield proxy("deliver_webhook", stack["receiver"]["url"])
