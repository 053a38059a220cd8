"""The API in this process: events as API Gateway writes them, in front of the routes on fakes."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, partial
from typing import Any
from urllib.parse import unquote

from postbreeze.adapters.text_lengths import TextLengths
from postbreeze.adapters.webhook_sender import check_endpoint_url
from postbreeze.domain import api_keys, ids
from postbreeze.domain.access import ApiKey, Grant, Member, Role, Workspace
from postbreeze.domain.post import AccountStatus, Platform, Post, PostStatus, SocialAccount
from postbreeze.http import (
    cancel,
    deliveries,
    docs,
    list_posts,
    media,
    openapi,
    post_changes,
    posts,
    webhooks,
    workspaces,
)
from postbreeze.http.auth import Authenticator
from postbreeze.http.edge import Edge
from postbreeze.http.limits import Meter
from postbreeze.http.responses import JSON
from postbreeze.operations.administer.endpoints import Endpoints
from postbreeze.operations.arm import Arm
from postbreeze.operations.cancel import CancelPost
from postbreeze.operations.changing import ChangePost
from postbreeze.operations.create import CreatePost
from postbreeze.operations.delete import DeletePost
from postbreeze.operations.disconnect import DisconnectAccount, FinishDisconnect
from postbreeze.operations.edit import EditPost
from postbreeze.operations.effects import Effects
from postbreeze.operations.fitness import Fitness
from postbreeze.operations.list_posts import ListPosts
from postbreeze.operations.manage_endpoints import ManageEndpoints
from postbreeze.operations.media.add import AddFromUrl, PresignUpload
from postbreeze.operations.media.library import Library
from postbreeze.operations.media.manage import EditAsset, ListAssets, ReadAsset
from postbreeze.operations.media.remove import DeleteAsset
from postbreeze.operations.read import ReadPost
from postbreeze.operations.retry import RetryFirstComment, RetryPost
from postbreeze.operations.schedule import ApprovePost, SchedulePost
from postbreeze.operations.workspaces import ReadAccounts, ReadWorkspaces
from tests.support.builders import CURSOR_SECRET, PLENTY, a_post, added, an_id
from tests.support.declared import check_declared
from tests.support.fakes import START, World
from tests.support.lambda_context import a_context

ENVELOPE = {"statusCode", "code", "message", "requestId"}

_description = cache(openapi.text)


@dataclass(frozen=True)
class Reply:
    """An answer as a client sees it; ``body`` is its JSON, or the text or bytes that it is."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass
class KeptLog:
    """A log that tests can read; each line has the fields of the invocation around it."""

    lines: list[dict[str, object]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    invocations: int = 0
    _around: dict[str, object] = field(default_factory=dict)

    def note(self, message: str, **fields: object) -> None:
        self.lines.append({"message": message, **self._around, **fields})

    def retrying(self, message: str, error: Exception, **fields: object) -> None:
        self.note(message, level="WARNING", error=repr(error), **fields)

    def failed(self, message: str, error: Exception, **fields: object) -> None:
        self.errors.append(error)
        self.note(message, level="ERROR", **fields)

    @contextmanager
    def invocation(self, aws_request_id: str, **fields: object) -> Iterator[None]:
        self.invocations += 1
        self._around = {"awsRequestId": aws_request_id, **fields}
        try:
            yield
        finally:
            self._around = {}


def http_event(
    method: str,
    path: str,
    *,
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Write a request as API Gateway does (HTTP API, payload 2.0); bytes come in base 64."""
    raw_path, _, query = path.partition("?")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": unquote(raw_path),
        "rawQueryString": query,
        "headers": dict(headers or {}),
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "postbreeze",
            "domainName": "127.0.0.1",
            "http": {
                "method": method,
                "path": unquote(raw_path),
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "test",
            },
            "requestId": "gateway-request",
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jun/2026:09:00:00 +0000",
            "timeEpoch": 1780304400000,
        },
        "isBase64Encoded": isinstance(body, bytes),
    }
    if body is not None:
        event["body"] = base64.b64encode(body).decode() if isinstance(body, bytes) else body
    return event


class Api:
    """The HTTP functions over one world of fakes, with a workspace, its people and accounts."""

    def __init__(self) -> None:
        self.edges: list[Edge] = []
        self.world = World()
        self.meter = Meter()
        self.world.workspaces.meter = self.meter
        self.log = KeptLog()
        self.workspace_id = an_id(ids.WORKSPACE)
        self.keys = {role: self.add_key(role) for role in Role}
        self.accounts = [self.add_account(self.workspace_id) for _ in range(3)]
        world = self.world
        self.world.workspaces.add_workspace(
            Workspace(id=self.workspace_id, name="Test", created_at=START)
        )
        self._effects = Effects(
            schedules=world.schedules,
            bus=world.bus,
            publish_queue=world.publish_queue,
            together=world.together,
            telemetry=world.telemetry,
        )
        self._authenticator = Authenticator(directory=world.workspaces, clock=world.clock)
        self._library = Library(
            assets=world.assets,
            storage=world.storage,
            together=world.together,
            clock=world.clock,
            telemetry=world.telemetry,
        )
        self._fitness = Fitness(library=self._library, measures=TextLengths())
        self._arm = Arm(
            posts=world.posts,
            schedules=world.schedules,
            effects=self._effects,
            clock=world.clock,
            telemetry=world.telemetry,
        )
        self._change = ChangePost(
            posts=world.posts,
            directory=world.workspaces,
            effects=self._effects,
            together=world.together,
            clock=world.clock,
            arm=self._arm,
        )
        self.cancel_post = self._edge(
            cancel.router(CancelPost(change_post=self._change), self._authenticator)
        )
        self.posts_api = self._posts_api()
        self.workspaces_api = self._workspaces_api()
        self.media_api = self._media_api()
        self.webhooks_api = self._webhooks_api()
        self.docs_api = self._edge(docs.router(_description))

    def _posts_api(self) -> Edge:
        world = self.world
        create = CreatePost(
            posts=world.posts,
            directory=world.workspaces,
            fitness=self._fitness,
            arm=self._arm,
            effects=self._effects,
            together=world.together,
            clock=world.clock,
            randomness=world.randomness,
        )
        read = ReadPost(
            posts=world.posts,
            directory=world.workspaces,
            together=world.together,
            clock=world.clock,
        )
        listing = ListPosts(
            posts=world.posts,
            directory=world.workspaces,
            together=world.together,
            clock=world.clock,
        )
        changes = post_changes.PostChanges(
            edit=EditPost(change_post=self._change, fitness=self._fitness),
            delete=DeletePost(change_post=self._change),
            schedule=SchedulePost(change_post=self._change, fitness=self._fitness),
            retry=RetryPost(change_post=self._change),
            retry_first_comment=RetryFirstComment(change_post=self._change),
            approve=ApprovePost(change_post=self._change, fitness=self._fitness),
        )
        return self._edge(
            posts.router(create, read, self._authenticator),
            list_posts.router(listing, self._authenticator),
            post_changes.router(changes, self._authenticator),
        )

    def _workspaces_api(self) -> Edge:
        world = self.world
        finish = FinishDisconnect(
            disconnections=world.disconnections,
            posts=world.posts,
            effects=self._effects,
            clock=world.clock,
            telemetry=world.telemetry,
        )
        disconnect = DisconnectAccount(
            directory=world.workspaces,
            disconnections=world.disconnections,
            finish=finish,
            effects=self._effects,
            together=world.together,
            clock=world.clock,
            telemetry=world.telemetry,
        )
        return self._edge(
            workspaces.router(
                ReadWorkspaces(
                    directory=world.workspaces, together=world.together, clock=world.clock
                ),
                ReadAccounts(
                    directory=world.workspaces, together=world.together, clock=world.clock
                ),
                disconnect,
                self._authenticator,
            )
        )

    def _media_api(self) -> Edge:
        world = self.world
        assets, directory, together = world.assets, world.workspaces, world.together
        clock, randomness, storage = world.clock, world.randomness, world.storage
        return self._edge(
            media.router(
                presign_upload=PresignUpload(
                    assets=assets,
                    storage=storage,
                    directory=directory,
                    clock=clock,
                    randomness=randomness,
                ),
                add_from_url=AddFromUrl(
                    assets=assets,
                    storage=storage,
                    directory=directory,
                    clock=clock,
                    randomness=randomness,
                    library=self._library,
                    source=world.files,
                ),
                list_assets=ListAssets(
                    assets=assets, directory=directory, together=together, clock=clock
                ),
                read_asset=ReadAsset(
                    library=self._library,
                    assets=assets,
                    directory=directory,
                    together=together,
                    clock=clock,
                ),
                edit_asset=EditAsset(
                    assets=assets, directory=directory, together=together, clock=clock
                ),
                delete_asset=DeleteAsset(
                    assets=assets,
                    storage=storage,
                    posts=world.posts,
                    directory=directory,
                    together=together,
                    clock=clock,
                ),
                authenticator=self._authenticator,
            )
        )

    def _webhooks_api(self) -> Edge:
        world = self.world
        manage = ManageEndpoints(
            directory=world.workspaces,
            endpoints=Endpoints(
                registry=world.workspaces,
                webhooks=world.webhooks,
                secrets=world.secrets,
                queue=world.delivery_queue,
                check_url=partial(check_endpoint_url, allow_loopback=False),
                clock=world.clock,
                randomness=world.randomness,
            ),
            posts=world.posts,
            together=world.together,
            clock=world.clock,
        )
        return self._edge(
            webhooks.router(manage, self._authenticator),
            deliveries.router(manage, self._authenticator),
        )

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Reply:
        """Send a request below ``/api/v1`` as the owner, or as the holder of ``key``."""
        sent = {"authorization": f"Bearer {key or self.keys[Role.OWNER]}"}
        content = raw
        if body is not None:
            content = json.dumps(body)
        if content is not None:
            sent["content-type"] = "application/json"
        sent.update({name.lower(): value for name, value in (headers or {}).items()})
        return self.send(http_event(method, f"/api/v1{path}", body=content, headers=sent))

    @property
    def routes(self) -> frozenset[tuple[str, str]]:
        """The method and the path of every route."""
        return frozenset(route for edge in self.edges for route in edge.routes)

    def send(self, event: Mapping[str, Any]) -> Reply:
        """Hand an event to the function that API Gateway would."""
        path = event["rawPath"]
        owners = [edge for edge in self.edges if _has_path(edge, path)]
        function = owners[0] if owners else self.posts_api
        answer = function(event, a_context())
        headers = {name.lower(): value for name, value in answer["headers"].items()}
        body = answer["body"]
        if answer["isBase64Encoded"]:
            body = base64.b64decode(body)
        elif headers.get("content-type") == JSON:
            body = json.loads(body)
        method = event["requestContext"]["http"]["method"]
        check_declared(method, path, answer["statusCode"], body)
        return Reply(status=answer["statusCode"], headers=headers, body=body)

    def schedule(self, *accounts: str, **fields: object) -> dict[str, Any]:
        """Create a post that goes out in an hour, and return it."""
        reply = self.call(
            "POST",
            "/posts",
            {
                "content": "Text.",
                "platforms": [{"accountId": account} for account in accounts or self.accounts],
                "scheduledFor": "2026-06-01T10:00:00Z",
                **fields,
            },
        )
        assert reply.status == 201, reply
        post: dict[str, Any] = reply.body
        return post

    def put_post(self, status: PostStatus, **changes: Any) -> Post:
        """Put a post in, in any state; its published targets have a first comment that failed."""
        post = a_post(status, workspace_id=self.workspace_id, **changes)
        earlier = START - timedelta(minutes=1)
        targets = [
            replace(
                target,
                social_account_id=self.accounts[0],
                workflow_id=target.workflow_id or f"{post.id}-1",
                published_at=target.published_at and earlier,
                first_comment="First!",
                first_comment_error="The platform did not answer.",
            )
            for target in post.targets
        ]
        post = replace(post, targets=tuple(targets))
        self.world.posts.commit(added(post))
        return post

    def add_key(self, role: Role | None, **changes: Any) -> str:
        """Add a user with a key; with a role, as a member of the workspace."""
        plaintext = api_keys.mint(self.world.randomness.token(api_keys.RANDOM_BYTES))
        user_id = an_id(ids.USER)
        fields = {
            "id": an_id(ids.KEY),
            "digest": api_keys.digest(plaintext),
            "owner_user_id": user_id,
            "name": "test",
            "hint": api_keys.hint(plaintext),
            "created_at": START,
            "requests_per_minute": PLENTY,
            "requests_per_quarter_hour": PLENTY,
            "cursor_secret": CURSOR_SECRET,
            "grants": frozenset(Grant),
            **changes,
        }
        self.world.workspaces.add_key(ApiKey(**fields))
        if role is not None:
            self.world.workspaces.put_member(
                Member(workspace_id=self.workspace_id, user_id=user_id, role=role, created_at=START)
            )
        return plaintext

    def add_account(self, workspace_id: str, status: AccountStatus = AccountStatus.ACTIVE) -> str:
        """Add a social account and return its id."""
        account_id = an_id(ids.ACCOUNT)
        self.world.workspaces.add_account(
            SocialAccount(
                id=account_id,
                workspace_id=workspace_id,
                platform=Platform.BLUESKY,
                display_name="test",
                external_account_id=f"did:plc:{account_id.lower()}",
                status=status,
                created_at=START,
            )
        )
        return account_id

    def _edge(self, *routers: Any) -> Edge:
        edge = Edge(
            *routers,
            clock=self.world.clock,
            randomness=self.world.randomness,
            log=self.log,
            meter=self.meter,
        )
        self.edges.append(edge)
        return edge


def _has_path(edge: Edge, path: str) -> bool:
    patterns = {re.sub("<[^>]+>", "[^/]+", pattern) for _, pattern in edge.routes}
    return any(re.fullmatch(pattern, path) for pattern in patterns)


def assert_envelope(reply: Reply) -> None:
    """Check what every failure has in common."""
    assert reply.body.keys() >= ENVELOPE, reply
    assert reply.body["statusCode"] == reply.status
    assert re.fullmatch(r"[A-Z][A-Z_]+", reply.body["code"])
    assert isinstance(reply.body["message"], str)
    assert reply.body["message"]
    assert ids.is_id(ids.REQUEST, reply.body["requestId"])
    assert reply.headers["x-request-id"] == reply.body["requestId"]
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"


def assert_refused(reply: Reply, status: int, code: str, *paths: str) -> None:
    """Check a refusal: its whole envelope, and where its details point, in any order."""
    assert_envelope(reply)
    assert (reply.status, reply.body["code"]) == (status, code), reply
    assert sorted(detail["path"] for detail in reply.body.get("details", [])) == sorted(paths)
