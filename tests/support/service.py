"""The functions as the composition root builds them, and the calls that they make of AWS."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any

from postbreeze import bootstrap
from postbreeze.adapters.clock import SystemClock
from postbreeze.cli.deployment import Deployment, Operator
from postbreeze.domain.access import Role
from postbreeze.domain.documents import timestamp
from postbreeze.operations.platform_port import ExternalPost, PreparedPost, Publication
from tests.support.aws import Aws
from tests.support.deployment import variables
from tests.support.http_client import http_event
from tests.support.lambda_context import a_context
from tests.support.operators import FakeSignIn
from tests.support.platforms import FakePlatform

Step = tuple[str, ...]
"""Calls that are under way at the same time."""


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
    if "Key" in body or "Item" in body:
        return _kind((body.get("Key") or body["Item"])["sk"]["S"])
    # The rows' partition: what a query of a table says of it comes first.
    return _kind(body["ExpressionAttributeValues"][":0"]["S"])


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
            "WebhooksTableName": self.environ["WEBHOOKS_TABLE"],
            "DeliveryQueueUrl": self.environ["DELIVERY_QUEUE_URL"],
            "DeliveryLateQueueUrl": self.environ["LATE_DELIVERY_QUEUE_URL"],
            "AccountSecretsKeyArn": self.environ["ACCOUNT_SECRETS_KEY_ARN"],
            "WebhookSecretsKeyArn": self.environ["WEBHOOK_SECRETS_KEY_ARN"],
        }
        self.operator = Operator(
            Deployment(outputs=outputs, clients=aws.clients, bluesky_url="https://bsky.example")
        )
        self.workspace = self.operator.workspaces.create("Test").id
        self.owner = self.operator.workspaces.add_member(self.workspace, Role.OWNER).user_id
        self.key = self.operator.keys.mint(self.owner, "test").plaintext
        self._accounts: list[str] = []
        self.accounts(1)

    def accounts(self, number: int) -> list[str]:
        """Return that many accounts of the workspace."""
        for index in range(len(self._accounts), number):
            account = self.operator.accounts.connect_bluesky(
                self.workspace, f"account-{index}.test", "app-password", sign_in=FakeSignIn()
            )
            self._accounts.append(account.id)
        return self._accounts[:number]

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

    def create(self, at: datetime | None = None, *, targets: int = 1) -> dict[str, Any]:
        post = self.http(
            "posts_api",
            "POST",
            "/posts",
            {
                "content": "Text.",
                "platforms": [{"accountId": account} for account in self.accounts(targets)],
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


def within_a_minute() -> datetime:
    """Return a moment like now, in whose minute there is time for all that a test asks."""
    return SystemClock().now().replace(second=0, microsecond=0) + timedelta(minutes=1, seconds=1)
