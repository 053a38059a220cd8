"""The API in this process: events as API Gateway writes them, in front of the routes on fakes."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from postbreeze.domain import api_keys, ids
from postbreeze.domain.access import ApiKey, Member, Role, Workspace
from postbreeze.domain.post import AccountStatus, Platform, SocialAccount
from postbreeze.http import cancel, posts
from postbreeze.http.auth import Authenticator
from postbreeze.http.edge import Edge
from postbreeze.operations.arm import Arm
from postbreeze.operations.cancel import CancelPost
from postbreeze.operations.create import CreatePost
from postbreeze.operations.effects import Effects
from postbreeze.operations.read import ReadPost
from tests.support.builders import an_id
from tests.support.fakes import START, World
from tests.support.lambda_context import a_context

ENVELOPE = {"statusCode", "code", "message", "requestId"}

_CANCEL_ROUTE = re.compile(r"/api/v1/posts/[^/]+/cancel")


@dataclass(frozen=True)
class Reply:
    """An answer as a client sees it; ``body`` is its JSON."""

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
    """Both HTTP functions over one world of fakes, with a workspace, its people and accounts."""

    def __init__(self) -> None:
        self.world = World()
        self.log = KeptLog()
        self.workspace_id = an_id(ids.WORKSPACE)
        self.keys = {role: self.add_key(role) for role in Role}
        self.accounts = [self.add_account(self.workspace_id) for _ in range(3)]
        world = self.world
        self.world.workspaces.add_workspace(
            Workspace(id=self.workspace_id, name="Test", created_at=START)
        )
        effects = Effects(
            schedules=world.schedules,
            bus=world.bus,
            publish_queue=None,
            together=world.together,
            telemetry=world.telemetry,
        )
        authenticator = Authenticator(directory=world.workspaces, clock=world.clock)
        arm = Arm(
            posts=world.posts,
            schedules=world.schedules,
            effects=effects,
            clock=world.clock,
            telemetry=world.telemetry,
        )
        self.cancel_post = self._edge(
            cancel.router(
                CancelPost(
                    posts=world.posts,
                    directory=world.workspaces,
                    effects=effects,
                    together=world.together,
                    clock=world.clock,
                ),
                authenticator,
            )
        )
        self.posts_api = self._edge(
            posts.router(
                CreatePost(
                    posts=world.posts,
                    directory=world.workspaces,
                    arm=arm,
                    effects=effects,
                    together=world.together,
                    clock=world.clock,
                    randomness=world.randomness,
                ),
                ReadPost(
                    posts=world.posts,
                    directory=world.workspaces,
                    together=world.together,
                    clock=world.clock,
                ),
                authenticator,
            )
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

    def send(self, event: Mapping[str, Any]) -> Reply:
        """Hand an event to the function that API Gateway would."""
        is_cancel = (
            event["requestContext"]["http"]["method"] == "POST"
            and _CANCEL_ROUTE.fullmatch(event["rawPath"]) is not None
        )
        function = self.cancel_post if is_cancel else self.posts_api
        answer = function(event, a_context())
        assert answer["isBase64Encoded"] is False
        return Reply(
            status=answer["statusCode"],
            headers={name.lower(): value for name, value in answer["headers"].items()},
            body=json.loads(answer["body"]),
        )

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
        return Edge(
            *routers, clock=self.world.clock, randomness=self.world.randomness, log=self.log
        )


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
