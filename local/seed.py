"""The local stack's data: two workspaces with members, keys, accounts and a webhook endpoint.

It is put in by the same operations as the command line's, so nothing here knows of tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from postbreeze.cli.deployment import Deployment, Operator
from postbreeze.domain.access import Grant, Role
from postbreeze.domain.errors import NotFoundError
from postbreeze.domain.post import Platform, SocialAccount

BLUESKY_ACCOUNTS: Final = ("one.postbreeze.test", "two.postbreeze.test", "three.postbreeze.test")
OTHER_BLUESKY_ACCOUNT: Final = "other.postbreeze.test"

PLENTY: Final = 1_000_000
"""More requests than any test makes of a key in a window."""

ROLES: Final = {
    "owner": Role.OWNER,
    "admin": Role.ADMIN,
    "editor": Role.EDITOR,
    "reviewer": Role.CLIENT_REVIEWER,
}


def seed(
    outputs: Mapping[str, str],
    *,
    engine_url: str,
    region: str,
    receiver_url: str,
    platform_url: str,
    known: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Put the data in, and return what the stack file tells of it.

    Args:
        outputs: Of the deployed stack.
        engine_url: Where its AWS is.
        region: Of the engine.
        receiver_url: Where its webhooks go.
        platform_url: The Bluesky server on which the accounts are.
        known: What an earlier call returned; where all of it still stands nothing is put in.

    Raises:
        PostbreezeError: The stack or the platform does not do what is asked.
    """
    operator = Operator(
        Deployment.local(outputs, engine_url=engine_url, region=region, platform_url=platform_url)
    )
    if known is not None and _stands(operator, known):
        return dict(known)
    workspace_id = operator.workspaces.create("Postbreeze demo").id
    other_id = operator.workspaces.create("Somebody else").id
    users = {
        name: operator.workspaces.add_member(workspace_id, role).user_id
        for name, role in ROLES.items()
    }
    users["otherOwner"] = operator.workspaces.add_member(other_id, Role.OWNER).user_id
    accounts: dict[Platform, list[SocialAccount]] = {
        Platform.BLUESKY: [
            _bluesky(operator, workspace_id, identifier) for identifier in BLUESKY_ACCOUNTS
        ],
        **{
            platform: [_add(operator, workspace_id, platform)]
            for platform in Platform
            if platform is not Platform.BLUESKY
        },
    }
    endpoint = operator.endpoints.add(workspace_id, receiver_url, ["*"], description="receiver")
    return {
        "workspaceId": workspace_id,
        "otherWorkspaceId": other_id,
        "users": users,
        "keys": _mint(operator, users, workspace_id),
        "accounts": _ids(accounts),
        "otherAccounts": _ids(
            {Platform.BLUESKY: [_bluesky(operator, other_id, OTHER_BLUESKY_ACCOUNT)]}
        ),
        "receiver": {"endpointId": endpoint.endpoint.id, "secret": endpoint.secret},
    }


def _mint(operator: Operator, users: Mapping[str, str], workspace_id: str) -> dict[str, str]:
    """Make one key for each thing a test may want; none but ``limited`` is slowed down."""

    def key(name: str, user: str, **wishes: Any) -> str:
        if name != "limited":
            wishes |= {"requests_per_minute": PLENTY, "requests_per_quarter_hour": PLENTY}
        return operator.keys.mint(users[user], name, **wishes).plaintext

    keys = {
        "owner": key("owner", "owner", grants=list(Grant)),
        "admin": key("admin", "admin", grants=list(Grant)),
        "editor": key("editor", "editor"),
        "reviewer": key("reviewer", "reviewer"),
        "scoped": key("scoped", "owner", workspace_ids=[workspace_id]),
        "revoked": key("revoked", "owner"),
        "limited": key("limited", "owner"),
        "otherWorkspace": key("otherWorkspace", "otherOwner"),
    }
    operator.keys.revoke_leaked(keys["revoked"])
    return keys


def _bluesky(operator: Operator, workspace_id: str, identifier: str) -> SocialAccount:
    return operator.accounts.connect_bluesky(
        workspace_id, identifier, f"sandbox-{identifier}", sign_in=operator.bluesky_sign_in
    )


def _add(operator: Operator, workspace_id: str, platform: Platform) -> SocialAccount:
    name = platform.value.replace("_", " ").capitalize()
    return operator.accounts.add(workspace_id, platform, name, f"local-{platform.lower()}")


def _ids(accounts: Mapping[Platform, list[SocialAccount]]) -> dict[str, list[str]]:
    return {
        platform.value: [account.id for account in of_platform]
        for platform, of_platform in accounts.items()
    }


def _stands(operator: Operator, known: Mapping[str, Any]) -> bool:
    """Tell whether workspaces, keys, accounts and the endpoint are all still in the tables."""
    try:
        for workspace_id, accounts in (
            (known["workspaceId"], known["accounts"]),
            (known["otherWorkspaceId"], known["otherAccounts"]),
        ):
            standing = {account.id for account in operator.accounts.list(workspace_id)}
            if not all(standing.issuperset(ids) for ids in accounts.values()):
                return False
        endpoints = operator.endpoints.list(known["workspaceId"])
        return known["receiver"]["endpointId"] in {endpoint.id for endpoint in endpoints} and all(
            operator.keys.is_known(plaintext) for plaintext in known["keys"].values()
        )
    except (KeyError, NotFoundError):
        return False
