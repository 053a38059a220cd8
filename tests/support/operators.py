"""An operator whose deployment is all fakes."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from postbreeze.domain.errors import PlatformRejectedError, ValidationError
from postbreeze.operations.administer.accounts import Accounts, VerifiedAccount
from postbreeze.operations.administer.endpoints import Endpoints
from postbreeze.operations.administer.keys import Keys
from postbreeze.operations.administer.posts import Posts
from postbreeze.operations.administer.workspaces import Workspaces
from tests.support.fakes import FakeSchedules, World


def refuse_http(url: str) -> None:
    """Refuse every URL that is not https."""
    if urlsplit(url).scheme != "https":
        raise ValidationError.of("url", "A URL begins with https.")


@dataclass(kw_only=True)
class FakeSignIn:
    """A platform that knows every handle, under the DID ``did:plc:<handle>``."""

    password: str = "app-password"
    asked: list[str] = field(default_factory=list)

    def __call__(self, identifier: str, password: str) -> VerifiedAccount:
        self.asked.append(identifier)
        if password != self.password:
            raise PlatformRejectedError("CREDENTIALS_REJECTED", "The credentials are refused.")
        return VerifiedAccount(external_account_id=f"did:plc:{identifier}", handle=identifier)


@dataclass(frozen=True, kw_only=True)
class SetTimers:
    """Looks into fake schedules."""

    schedules: FakeSchedules

    def exists(self, workflow_id: str) -> bool:
        return workflow_id in self.schedules.armed


class FakeOperator:
    """The operator's verbs over one world."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world = world or World()
        self.bluesky_sign_in = FakeSignIn()
        self.workspaces = Workspaces(
            registry=world.workspaces,
            directory=world.workspaces,
            clock=world.clock,
            randomness=world.randomness,
        )
        self.keys = Keys(
            registry=world.workspaces,
            directory=world.workspaces,
            clock=world.clock,
            randomness=world.randomness,
        )
        self.accounts = Accounts(
            registry=world.workspaces,
            disconnections=world.disconnections,
            secrets=world.secrets,
            clock=world.clock,
            randomness=world.randomness,
        )
        self.endpoints = Endpoints(
            registry=world.workspaces,
            webhooks=world.webhooks,
            secrets=world.secrets,
            queue=world.delivery_queue,
            check_url=refuse_http,
            clock=world.clock,
            randomness=world.randomness,
        )
        self.posts = Posts(posts=world.posts, schedules=SetTimers(schedules=world.schedules))
