"""The functions as they are deployed, each from its own file, with AWS played by moto."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from postbreeze.adapters.dynamodb.registry import DynamoRegistry
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.adapters.egress import EgressConfigurationError
from postbreeze.domain import api_keys, ids
from postbreeze.domain.access import ApiKey, Member, Role, Workspace
from postbreeze.domain.documents import timestamp
from postbreeze.domain.post import AccountStatus, Platform, SocialAccount
from postbreeze.settings import ConfigurationError
from tests.support.aws import Aws, on_moto
from tests.support.builders import an_id
from tests.support.deployment import variables
from tests.support.event_files import EVENTS, EventFile, documented, shown
from tests.support.fakes import START
from tests.support.http_client import http_event
from tests.support.lambda_context import a_context

ROOT = Path(__file__).parents[2]
FUNCTIONS = sorted(folder.parent.name for folder in ROOT.glob("functions/*/app.py"))

Handler = Callable[[Any, Any], dict[str, Any]]


def load(function: str) -> Handler:
    """Import a function's file anew, as a cold start does."""
    spec = importlib.util.spec_from_file_location(
        f"function_{function}", ROOT / "functions" / function / "app.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler: Handler = module.handler
    return handler


@pytest.fixture
def aws() -> Iterator[Aws]:
    with on_moto() as place:
        yield place


@pytest.fixture
def environ(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """A deployment: every variable of every function, set in this process."""
    found = variables(aws)
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("EGRESS_ALLOW_LOOPBACK", raising=False)
    return found


def test_every_event_is_documented_and_every_function_has_one() -> None:
    assert {event.path for event in documented()} == set(EVENTS.glob("*.json"))
    assert {event.function for event in documented()} == set(FUNCTIONS)


@pytest.mark.parametrize("event", documented(), ids=lambda event: event.name)
def test_a_function_answers_its_event_as_documented(
    environ: Mapping[str, str], event: EventFile
) -> None:
    # Given a function on an empty deployment
    handler = load(event.function)
    # When it gets its event
    given = handler(event.event, a_context())
    # Then it answers as events/README.md says
    assert shown(event, given) == event.answer


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_invocation_leaves_json_lines_with_its_id(
    environ: Mapping[str, str], function: str, capsys: pytest.CaptureFixture[str]
) -> None:
    [event, *_] = (event.event for event in documented() if event.function == function)
    handler = load(function)
    capsys.readouterr()
    context = a_context()
    handler(event, context)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [line for line in lines if "_aws" not in line]
    assert told
    assert all(line["awsRequestId"] == context.aws_request_id for line in told)
    assert all(line["service"] == environ["POWERTOOLS_SERVICE_NAME"] for line in told)
    assert "pb_live_" not in json.dumps(lines)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_missing_variable_stops_a_function_at_once(
    environ: Mapping[str, str], function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSTS_TABLE")
    monkeypatch.setenv("STAGE", "")
    missing = "STAGE" if function == "docs_api" else "POSTS_TABLE, STAGE"
    with pytest.raises(ConfigurationError, match=f": {missing}$"):
        load(function)


@pytest.mark.parametrize(
    "function", ["publish_target", "deliver_webhook", "media_api", "webhooks_api"]
)
def test_the_loopback_allowance_stops_a_function_on_lambda(
    environ: Mapping[str, str], function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGRESS_ALLOW_LOOPBACK", "true")
    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")
    with pytest.raises(EgressConfigurationError):
        load(function)


class Deployment:
    """All functions, loaded, and a workspace with an owner and an account on X."""

    def __init__(self, aws: Aws, environ: Mapping[str, str]) -> None:
        self.aws = aws
        self.environ = environ
        self.functions = {name: load(name) for name in FUNCTIONS}
        registry = DynamoRegistry(
            Database(aws.clients.dynamodb()), workspaces_table=environ["WORKSPACES_TABLE"]
        )
        workspace_id, user_id = an_id(ids.WORKSPACE), an_id(ids.USER)
        self.key = api_keys.mint(bytes(32))
        self.account_id = an_id(ids.ACCOUNT)
        registry.add_workspace(Workspace(id=workspace_id, name="Test", created_at=START))
        registry.put_member(
            Member(workspace_id=workspace_id, user_id=user_id, role=Role.OWNER, created_at=START)
        )
        registry.add_key(
            ApiKey(
                id=an_id(ids.KEY),
                digest=api_keys.digest(self.key),
                owner_user_id=user_id,
                name="test",
                hint=api_keys.hint(self.key),
                created_at=START,
            )
        )
        registry.add_account(
            SocialAccount(
                id=self.account_id,
                workspace_id=workspace_id,
                platform=Platform.X,
                display_name="test",
                external_account_id="test",
                status=AccountStatus.ACTIVE,
                created_at=START,
            )
        )

    def http(
        self, function: str, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> tuple[int, Any]:
        event = http_event(
            method,
            f"/api/v1{path}",
            body=None if body is None else json.dumps(body),
            headers={
                "authorization": f"Bearer {self.key}",
                "content-type": "application/json",
                "idempotency-key": f"{method} {path}",
            },
        )
        answer = self.functions[function](event, a_context())
        return answer["statusCode"], json.loads(answer["body"])

    def work_off(self, function: str, queue: str) -> list[Any]:
        """Hand a queue's messages to a function as SQS does; return their bodies."""
        messages = self.aws.received(self.environ[queue], 10)
        records = [{"messageId": each["MessageId"], "body": each["Body"]} for each in messages]
        answer = self.functions[function]({"Records": records}, a_context())
        assert answer == {"batchItemFailures": []}
        return [json.loads(record["body"]) for record in records]

    def create(self, delay: timedelta) -> dict[str, Any]:
        status, post = self.http(
            "posts_api",
            "POST",
            "/posts",
            {
                "content": "Text.",
                "platforms": [{"accountId": self.account_id}],
                "scheduledFor": timestamp(datetime.now(UTC) + delay),
            },
        )
        assert status == 201, post
        assert post["workflowId"] == f"{post['id']}-1"
        return dict(post)

    def start(self, post: Mapping[str, Any], workflow_id: str) -> dict[str, Any]:
        message = {"postId": post["id"], "workflowId": workflow_id}
        return self.functions["start_publish"](message, a_context())


def test_a_cancelled_post_is_not_published(aws: Aws, environ: Mapping[str, str]) -> None:
    # Given a scheduled post
    stack = Deployment(aws, environ)
    post = stack.create(timedelta(hours=1))
    # When it is cancelled, twice with one key
    path = f"/posts/{post['id']}/cancel"
    status, cancelled = stack.http("cancel_post", "POST", path, {"reason": "Enough."})
    assert (status, cancelled["status"]) == (200, "CANCELED")
    assert stack.http("cancel_post", "POST", path, {"reason": "Enough."}) == (200, cancelled)
    # Then its fire comes to nothing
    assert stack.start(post, post["workflowId"]) == {"outcome": "nothing to do"}
    assert stack.aws.received(environ["PUBLISH_QUEUE_URL"], 1) == []
    # And each of its three events was announced
    assert len(stack.work_off("fan_out_event", "FAN_OUT_QUEUE_URL")) == 3
    _, read = stack.http("posts_api", "GET", f"/posts/{post['id']}")
    assert read == {name: value for name, value in cancelled.items() if name != "cancellation"}


def test_a_due_post_is_taken_all_the_way(aws: Aws, environ: Mapping[str, str]) -> None:
    # Given a post whose moment comes
    stack = Deployment(aws, environ)
    post = stack.create(timedelta(seconds=1))
    at = datetime.fromisoformat(post["scheduledAt"])
    while datetime.now(UTC) < at:
        assert stack.functions["reconcile"]({}, a_context()) == {}
    # When its schedule fires
    assert stack.start(post, post["workflowId"]) == {"outcome": "started"}
    messages = stack.work_off("publish_target", "PUBLISH_QUEUE_URL")
    # Then its target was tried, and fails as its platform is not set up
    assert [message["action"] for message in messages] == ["publish"]
    _, read = stack.http("posts_api", "GET", f"/posts/{post['id']}")
    assert read["status"] == "FAILED"
    assert read["targets"][0]["errorCode"] == "PLATFORM_NOT_CONFIGURED"
    stack.work_off("fan_out_event", "FAN_OUT_QUEUE_URL")


def test_a_disconnected_account_loses_what_is_scheduled(
    aws: Aws, environ: Mapping[str, str]
) -> None:
    # Given a scheduled post
    stack = Deployment(aws, environ)
    post = stack.create(timedelta(hours=1))
    # When its account is disconnected
    path = f"/social-accounts/{stack.account_id}"
    status, account = stack.http("workspaces_api", "DELETE", path)
    assert (status, account["status"]) == (200, "DISCONNECTED")
    # Then the post is cancelled, and each of the four events was announced
    _, read = stack.http("posts_api", "GET", f"/posts/{post['id']}")
    assert read["status"] == "CANCELED"
    assert len(stack.work_off("fan_out_event", "FAN_OUT_QUEUE_URL")) == 4
    # And it is shown so, and not among its workspace's any more
    assert stack.http("workspaces_api", "GET", path) == (200, account)
    _, workspaces = stack.http("workspaces_api", "GET", "/workspaces")
    assert [each["id"] for each in workspaces] == [account["workspaceId"]]
    named = f"/social-accounts?workspaceId={account['workspaceId']}"
    assert stack.http("workspaces_api", "GET", named) == (200, [])
