"""One request of every HTTP operation, and one event of every other function, recorded on moto.

What is recorded is what the functions send, as the composition root builds them, and what is
answered. Nothing is measured here: what is measured has the recorded answers in its place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from moto.core.models import botocore_stubber

from benchmarks.transport import Exchange, Recording, Scene, described
from postbreeze import bootstrap
from postbreeze.adapters.clock import SystemClock
from postbreeze.adapters.dynamodb.media import DynamoAssetStore
from postbreeze.adapters.dynamodb.posts import DynamoPostStore
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.adapters.dynamodb.webhooks import DynamoWebhookStore
from postbreeze.cli.deployment import Deployment, Operator
from postbreeze.domain import ids
from postbreeze.domain.access import Grant, Role
from postbreeze.domain.documents import timestamp
from postbreeze.domain.media import AssetStatus
from postbreeze.domain.post import Post, PostStatus, Target
from postbreeze.domain.webhook import DeliveryStatus
from tests.support import event_files
from tests.support.aws import Aws, on_moto
from tests.support.builders import a_delivery, a_post, added, an_asset, an_id
from tests.support.deployment import variables
from tests.support.fakes import FakeClock
from tests.support.http_client import http_event
from tests.support.lambda_context import a_context
from tests.support.operators import FakeSignIn

SERVICES = ("dynamodb", "kms", "s3", "scheduler", "sns", "sqs")
LISTED = 20
"""How many posts, assets and deliveries there are to list."""


class _InTurn:
    """Makes calls one after the other, so that what is recorded has one order."""

    def run(self, *calls: Callable[[], Any]) -> tuple[Any, ...]:
        return tuple(call() for call in calls)

    def attempt(self, *calls: Callable[[], None], seconds: float) -> Sequence[Exception | None]:
        self.run(*calls)
        return [None] * len(calls)


class _Stage:
    """A deployment on moto with a workspace, and a camera on all that is sent."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.environ = variables(aws)
        self.exchanges: list[Exchange] = []
        self.scenes: list[Scene] = []
        operator = Operator(
            Deployment(
                outputs={
                    "PostsTableName": self.environ["POSTS_TABLE"],
                    "WorkspacesTableName": self.environ["WORKSPACES_TABLE"],
                    "WebhooksTableName": self.environ["WEBHOOKS_TABLE"],
                    "AccountSecretsKeyArn": self.environ["ACCOUNT_SECRETS_KEY_ARN"],
                    "WebhookSecretsKeyArn": self.environ["WEBHOOK_SECRETS_KEY_ARN"],
                    "DeliveryQueueUrl": self.environ["DELIVERY_QUEUE_URL"],
                    "DeliveryLateQueueUrl": self.environ["LATE_DELIVERY_QUEUE_URL"],
                },
                clients=aws.clients,
                bluesky_url="https://bsky.example",
            )
        )
        self.operator = operator
        self.workspace = operator.workspaces.create("Bench").id
        self.owner = operator.workspaces.add_member(self.workspace, Role.OWNER).user_id
        self.key = operator.keys.mint(
            self.owner,
            "bench",
            grants=list(Grant),
            requests_per_minute=10_000,
            requests_per_quarter_hour=10_000,
        ).plaintext
        self.accounts = [
            operator.accounts.connect_bluesky(
                self.workspace, f"{name}.test", "app-password", sign_in=FakeSignIn()
            ).id
            for name in ("one", "two", "three")
        ]
        database = Database(aws.clients.dynamodb())
        self.posts = DynamoPostStore(
            database, posts_table=self.environ["POSTS_TABLE"], clock=SystemClock()
        )
        self.assets = DynamoAssetStore(database, media_table=self.environ["MEDIA_TABLE"])
        self.webhooks = DynamoWebhookStore(database, webhooks_table=self.environ["WEBHOOKS_TABLE"])

    def record(self, name: str, function: str, event: Mapping[str, Any]) -> Any:
        """Invoke a function, keep what it exchanged, and return its answer."""
        invoke = getattr(bootstrap, function)(self.environ)
        self.exchanges = []
        answer = invoke(event, a_context())
        self.scenes.append(
            Scene(name=name, function=function, event=event, exchanges=tuple(self.exchanges))
        )
        return answer

    def ask(self, name: str, function: str, method: str, path: str, body: object = None) -> Any:
        """Record an HTTP request that is answered well; return what its answer says."""
        event = http_event(
            method,
            f"/api/v1{path}",
            body=None if body is None else json.dumps(body),
            headers={
                "authorization": f"Bearer {self.key}",
                "content-type": "application/json",
            },
        )
        answer = self.record(name, function, event)
        if answer["statusCode"] >= 300:
            raise RuntimeError(f"{name} answered {answer}")
        is_json = answer["headers"].get("Content-Type") == "application/json"
        return json.loads(answer["body"]) if is_json else None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keep the camera on meanwhile: the clients are everybody's."""

        def answered(event_name: str, request: Any, **others: Any) -> Any:
            answer: Any = botocore_stubber(event_name, request, **others)
            body = request.body or b""
            body = body.encode() if isinstance(body, str) else bytes(body)
            target = request.headers.get("X-Amz-Target")
            self.exchanges.append(
                Exchange(
                    request=described(request.method, request.url, target, body),
                    sent_bytes=len(body),
                    status=answer.status_code,
                    headers={name: str(value) for name, value in answer.headers.items()},
                    content=answer.content,
                )
            )
            return answer

        clients = [getattr(self.aws.clients, service)() for service in SERVICES]
        for client in clients:
            client.meta.events.register_first("before-send", answered)
        try:
            yield
        finally:
            for client in clients:
                client.meta.events.unregister("before-send", answered)

    def a_post(
        self, status: PostStatus, targets: Callable[[Target], Target] = lambda target: target
    ) -> Post:
        """Put a post in, with a target at each account."""
        at = _next_year()
        post = a_post(
            status,
            workspace_id=self.workspace,
            created_by_user_id=self.owner,
            scheduled_at=at - timedelta(days=730) if status in _OVER else at,
        )
        placed = [
            targets(replace(target, social_account_id=account))
            for target, account in zip(post.targets, self.accounts, strict=False)
        ]
        post = replace(post, targets=tuple(placed))
        self.posts.commit(added(post))
        return post


_OVER = frozenset({PostStatus.PUBLISHED, PostStatus.FAILED})


def record() -> Recording:
    """Record every scene."""
    # One moment for all: the minute in which a key's requests are counted must not end meanwhile.
    clock = FakeClock(SystemClock().now())
    with (
        on_moto() as aws,
        patch.object(bootstrap, "SystemClock", lambda: clock),
        patch.object(bootstrap, "AwsClients", lambda: aws.clients),
        patch.object(bootstrap, "ThreadPool", _InTurn),
    ):
        stage = _Stage(aws)
        with stage.listening():
            stage.ask("the first of the minute", "workspaces_api", "GET", "/workspaces")
            stage.scenes.clear()
            _posts(stage)
            _workspaces(stage)
            _media(stage)
            _webhooks(stage)
            _docs(stage)
            _events(stage)
        return Recording(at=clock.now().isoformat(), environ=stage.environ, scenes=stage.scenes)


def _next_year() -> datetime:
    return datetime(datetime.now(UTC).year + 1, 6, 1, 9, tzinfo=UTC)


def _posts(stage: _Stage) -> None:
    wish = {
        "content": "Fair wind to all who sail tonight.",
        "platforms": [{"accountId": account} for account in stage.accounts],
    }
    at = timestamp(_next_year())
    for _ in range(LISTED):
        stage.a_post(PostStatus.SCHEDULED)
    stage.ask("listPosts", "posts_api", "GET", f"/posts?workspaceId={stage.workspace}")
    draft = stage.ask("createPost (draft)", "posts_api", "POST", "/posts", wish)
    scheduled = {**wish, "scheduledFor": at}
    post = stage.ask("createPost (scheduled)", "posts_api", "POST", "/posts", scheduled)
    path = f"/posts/{post['id']}"
    stage.ask("getPost", "posts_api", "GET", path)
    stage.ask("cancelPost", "cancel_post", "POST", f"{path}/cancel", {"reason": "Too late."})
    path = f"/posts/{draft['id']}"
    stage.ask("editPost", "posts_api", "PATCH", path, {**wish, "content": "Fair wind."})
    stage.ask("schedulePost", "posts_api", "POST", f"{path}/schedule", {"scheduledFor": at})
    later = timestamp(_next_year() + timedelta(hours=1))
    stage.ask("reschedulePost", "posts_api", "POST", f"{path}/reschedule", {"scheduledFor": later})
    post = stage.ask("", "posts_api", "POST", "/posts", wish)
    stage.scenes.pop()
    stage.ask("deletePost", "posts_api", "DELETE", f"/posts/{post['id']}")
    failed = stage.a_post(PostStatus.FAILED)
    stage.ask("retryPost", "posts_api", "POST", f"/posts/{failed.id}/retry")
    waiting = stage.a_post(PostStatus.NEEDS_APPROVAL)
    stage.ask("approvePost", "posts_api", "POST", f"/posts/{waiting.id}/approve")
    earlier = datetime.now(UTC) - timedelta(minutes=10)
    published = stage.a_post(
        PostStatus.PUBLISHED,
        lambda target: replace(
            target,
            workflow_id=f"{target.post_id}-1",
            published_at=earlier,
            first_comment="First!",
            first_comment_error="The platform did not answer.",
        ),
    )
    path = f"/posts/{published.id}/targets/{published.targets[0].id}/retry-first-comment"
    stage.ask("retryFirstComment", "posts_api", "POST", path)


def _workspaces(stage: _Stage) -> None:
    function, workspace = "workspaces_api", stage.workspace
    stage.ask("listWorkspaces", function, "GET", "/workspaces")
    stage.ask("getWorkspace", function, "GET", f"/workspaces/{workspace}")
    stage.ask("listSocialAccounts", function, "GET", f"/social-accounts?workspaceId={workspace}")
    stage.ask("getSocialAccount", function, "GET", f"/social-accounts/{stage.accounts[0]}")
    fourth = stage.operator.accounts.connect_bluesky(
        workspace, "four.test", "app-password", sign_in=FakeSignIn()
    ).id
    stage.ask("disconnectSocialAccount", function, "DELETE", f"/social-accounts/{fourth}")


def _media(stage: _Stage) -> None:
    function, query = "media_api", f"?workspaceId={stage.workspace}"
    file = {"filename": "boat.png", "contentType": "image/png", "bytes": 1000, "altText": "A boat."}
    stage.ask("presignMedia", function, "POST", f"/media/presign{query}", file)
    now = datetime.now(UTC)
    assets = [
        an_asset(
            id=an_id(ids.MEDIA, now),
            workspace_id=stage.workspace,
            created_by_user_id=stage.owner,
            created_at=now,
            status=AssetStatus.READY,
        )
        for _ in range(LISTED)
    ]
    for asset in assets:
        stage.assets.add(asset)
    stage.ask("listMedia", function, "GET", f"/media{query}")
    path = f"/media/{assets[0].id}"
    stage.ask("getMedia", function, "GET", path)
    stage.ask("editMedia", function, "PATCH", path, {"altText": "A ship."})
    stage.ask("deleteMedia", function, "DELETE", path)


def _webhooks(stage: _Stage) -> None:
    function, query = "webhooks_api", f"?workspaceId={stage.workspace}"
    wish = {
        "workspaceId": stage.workspace,
        "url": "https://hooks.example.com/postbreeze",
        "events": ["post.*"],
        "description": "Bench",
    }
    endpoint = stage.ask("createWebhook", function, "POST", "/webhooks", wish)
    path = f"/webhooks/{endpoint['id']}"
    stage.ask("listWebhooks", function, "GET", f"/webhooks{query}")
    stage.ask("getWebhook", function, "GET", path)
    stage.ask("editWebhook", function, "PATCH", path, {"description": "Changed"})
    stage.ask("rotateWebhookSecret", function, "POST", f"{path}/rotate-secret")
    stage.ask("testWebhook", function, "POST", f"{path}/test")
    deliveries = [
        a_delivery(
            id=an_id(ids.DELIVERY, datetime.now(UTC)),
            workspace_id=stage.workspace,
            endpoint_id=endpoint["id"],
            status=DeliveryStatus.DELIVERED,
            due_at=None,
            next_attempt_at=None,
        )
        for _ in range(LISTED)
    ]
    for delivery in deliveries:
        stage.webhooks.add_delivery(delivery)
    stage.ask("listDeliveries", function, "GET", f"{path}/deliveries")
    path_below = f"{path}/deliveries/{deliveries[0].id}"
    stage.ask("getDelivery", function, "GET", path_below)
    stage.ask("redeliver", function, "POST", f"{path_below}/redeliver")
    since = timestamp(datetime.now(UTC) - timedelta(hours=1))
    stage.ask("recoverWebhook", function, "POST", f"{path}/recover", {"since": since})
    stage.ask("deleteWebhook", function, "DELETE", path)


def _docs(stage: _Stage) -> None:
    for name, path in {
        "getDescription": "/openapi.json",
        "getDocsPage": "/docs",
        "getDocsAsset": "/docs/swagger-ui.css",
    }.items():
        stage.ask(name, "docs_api", "GET", path)


def _events(stage: _Stage) -> None:
    for file in event_files.documented():
        if not file.name.startswith("api_"):
            stage.record(file.name, file.function, file.event)


@contextmanager
def recorded() -> Iterator[Recording]:
    """Record, and hand over what was recorded."""
    yield record()
