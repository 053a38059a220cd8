"""The management of endpoints over a core; each call that leaves it goes through the core's tap."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from postbreeze.domain.access import Grant, Role, Workspace
from postbreeze.operations.manage_endpoints import ManageEndpoints
from postbreeze.operations.ports import Registry
from tests.support.core import USERS, WORKSPACE, Core, Tapped


def granted(role: Role) -> str:
    """Name the key of a role's user that may manage webhooks."""
    return f"{role.value.lower()} with webhooks"


MANAGER = granted(Role.OWNER)
"""The owner's."""


def managing(core: Core) -> ManageEndpoints:
    """Wire the operations over a core, and add a key that has the grant for every role."""
    core.directory.add_workspace(Workspace(id=WORKSPACE, name="One", created_at=core.clock.at))
    for role, user in USERS.items():
        core.add_key(granted(role), owner=user, grants=frozenset({Grant.WEBHOOKS}))
    registry = cast("Registry", Tapped(core, "registry", core.directory))
    return ManageEndpoints(
        directory=core.create_post.directory,
        endpoints=replace(core.endpoints, registry=registry),
        posts=core.create_post.posts,
        together=core.world.together,
        clock=core.clock,
    )
