"""The whole service in this process: its HTTP functions in front of the core of ``core``.

The functions are put together as ``bootstrap`` does it, and every call of a port goes through the
core's tap, so that a test can have anything happen before any of them.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast

from postbreeze.domain import api_keys, ids
from postbreeze.domain.access import ApiKey, Grant, Role, Workspace
from postbreeze.http import (
    cancel,
    deliveries,
    list_posts,
    media,
    post_changes,
    posts,
    webhooks,
    workspaces,
)
from postbreeze.http.auth import Authenticator
from postbreeze.http.edge import Edge
from postbreeze.http.limits import Meter
from postbreeze.operations.cancel import CancelPost
from postbreeze.operations.changing import ChangePost
from postbreeze.operations.list_posts import ListPosts
from postbreeze.operations.manage_endpoints import ManageEndpoints
from postbreeze.operations.media.add import AddFromUrl, PresignUpload
from postbreeze.operations.media.manage import EditAsset, ListAssets, ReadAsset
from postbreeze.operations.media.ports import AssetStore, FileSource, Storage
from postbreeze.operations.media.remove import DeleteAsset
from postbreeze.operations.workspaces import ReadAccounts, ReadWorkspaces
from tests.support.builders import CURSOR_SECRET, PLENTY, an_id
from tests.support.core import OTHER_WORKSPACE, STRANGER, USERS, WORKSPACE, Core, Tapped
from tests.support.declared import check_declared
from tests.support.http_client import KeptLog, Reply, http_event
from tests.support.lambda_context import a_context

BASE = "/api/v1"


class HttpCore:
    """A core with its HTTP functions, and a key of each role's user in ``WORKSPACE``.

    ``STRANGER``, whose key is ``stranger``, is a member of ``OTHER_WORKSPACE`` alone.
    """

    def __init__(self) -> None:
        self.core = Core()
        self.log = KeptLog()
        self.meter = Meter()
        self.core.directory.meter = self.meter
        for number, workspace in enumerate((WORKSPACE, OTHER_WORKSPACE)):
            self.core.directory.add_workspace(
                Workspace(id=workspace, name=f"Workspace {number}", created_at=self.core.clock.at)
            )
        self.keys = {role: self.add_key(user) for role, user in USERS.items()}
        self.core.add_member(STRANGER, Role.OWNER, workspace=OTHER_WORKSPACE)
        self.stranger = self.add_key(STRANGER)
        self.edges = self._edges()
        self._owners = [
            (re.compile(re.sub("<[^>]+>", "[^/]+", path)), edge)
            for edge in self.edges
            for _, path in edge.routes
        ]

    @property
    def routes(self) -> frozenset[tuple[str, str]]:
        """The method and the path of every route that needs a key."""
        return frozenset(route for edge in self.edges for route in edge.routes)

    def add_key(self, owner: str, **rest: Any) -> str:
        """Add a key, and return it as its owner would send it."""
        plaintext = api_keys.mint(self.core.randomness.token(api_keys.RANDOM_BYTES))
        fields = {
            "id": an_id(ids.KEY),
            "digest": api_keys.digest(plaintext),
            "owner_user_id": owner,
            "name": "test",
            "hint": api_keys.hint(plaintext),
            "created_at": self.core.clock.at,
            "requests_per_minute": PLENTY,
            "requests_per_quarter_hour": PLENTY,
            "cursor_secret": CURSOR_SECRET,
            "grants": frozenset(Grant),
            **rest,
        }
        self.core.directory.add_key(ApiKey(**fields))
        return plaintext

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Send a request below ``/api/v1``; ``key`` is all that stands behind ``Bearer``."""
        sent = dict(headers or {})
        if key is not None:
            sent["authorization"] = f"Bearer {key}"
        content = None if body is None else json.dumps(body)
        if content is not None:
            sent["content-type"] = "application/json"
        event = http_event(method, f"{BASE}{path}", body=content, headers=sent)
        return self.send(event)

    def send(self, event: dict[str, Any]) -> Reply:
        """Hand an event to the function that API Gateway would."""
        owners = (edge for path, edge in self._owners if path.fullmatch(event["rawPath"]))
        answer = next(owners)(event, a_context())
        body = json.loads(answer["body"])
        method = event["requestContext"]["http"]["method"]
        check_declared(method, event["rawPath"], answer["statusCode"], body)
        return Reply(
            status=answer["statusCode"],
            headers={name.lower(): value for name, value in answer["headers"].items()},
            body=body,
        )

    def _edges(self) -> tuple[Edge, ...]:
        core, world = self.core, self.core.world
        together, clock = world.together, core.clock
        store, directory = core.change_post.posts, core.change_post.directory
        assets = cast("AssetStore", Tapped(core, "assets", world.assets))
        storage = cast("Storage", Tapped(core, "storage", world.storage))
        source = cast("FileSource", world.files)
        authenticator = Authenticator(directory=directory, clock=clock)
        adding: dict[str, Any] = {
            "assets": assets,
            "storage": storage,
            "directory": directory,
            "clock": clock,
            "randomness": core.randomness,
        }
        managing: dict[str, Any] = {
            "assets": assets,
            "directory": directory,
            "together": together,
            "clock": clock,
        }
        cancelling = ChangePost(
            posts=store,
            directory=directory,
            effects=core.effects,
            together=together,
            clock=clock,
        )
        manage = ManageEndpoints(
            directory=directory,
            endpoints=core.endpoints,
            posts=store,
            together=together,
            clock=clock,
        )
        return (
            self._edge(cancel.router(CancelPost(change_post=cancelling), authenticator)),
            self._edge(
                posts.router(core.create_post, core.read_post, authenticator),
                list_posts.router(
                    ListPosts(posts=store, directory=directory, together=together, clock=clock),
                    authenticator,
                ),
                post_changes.router(
                    post_changes.PostChanges(
                        edit=core.edit_post,
                        delete=core.delete_post,
                        schedule=core.schedule_post,
                        retry=core.retry_post,
                        retry_first_comment=core.retry_first_comment,
                        approve=core.approve_post,
                    ),
                    authenticator,
                ),
            ),
            self._edge(
                workspaces.router(
                    ReadWorkspaces(directory=directory, together=together, clock=clock),
                    ReadAccounts(directory=directory, together=together, clock=clock),
                    core.disconnect_account,
                    authenticator,
                )
            ),
            self._edge(
                media.router(
                    presign_upload=PresignUpload(**adding),
                    add_from_url=AddFromUrl(**adding, library=core.library, source=source),
                    list_assets=ListAssets(**managing),
                    read_asset=ReadAsset(**managing, library=core.library),
                    edit_asset=EditAsset(**managing),
                    delete_asset=DeleteAsset(**managing, storage=storage, posts=store),
                    authenticator=authenticator,
                )
            ),
            self._edge(
                webhooks.router(manage, authenticator), deliveries.router(manage, authenticator)
            ),
        )

    def _edge(self, *routers: Any) -> Edge:
        return Edge(
            *routers,
            clock=self.core.clock,
            randomness=self.core.randomness,
            log=self.log,
            meter=self.meter,
        )
