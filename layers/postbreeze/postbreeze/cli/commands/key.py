"""``postbreeze key``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from postbreeze.cli.deployment import Operator
from postbreeze.cli.options import UserArgument, moment, read_secret
from postbreeze.cli.output import Fields, Shown, Table
from postbreeze.cli.verbs import command
from postbreeze.domain.access import (
    REQUESTS_PER_MINUTE,
    REQUESTS_PER_QUARTER_HOUR,
    ApiKey,
    Grant,
)
from postbreeze.domain.documents import optional_timestamp, timestamp

app = typer.Typer(help="API keys: each acts with its owner's memberships.")

KEY_VARIABLE = "POSTBREEZE_LEAKED_KEY"


@command(app, "mint")
def mint(
    operator: Operator,
    user: UserArgument,
    name: Annotated[str, typer.Option(help="What people call it.")] = "minted by an operator",
    workspace: Annotated[
        list[str] | None,
        typer.Option(help="Limit it to this workspace; may be given several times."),
    ] = None,
    grant: Annotated[
        list[Grant] | None, typer.Option(help="A power beyond those of the role.")
    ] = None,
    expires_at: Annotated[
        str | None, typer.Option(help="From when it opens nothing: 2027-01-31T00:00:00Z.")
    ] = None,
    requests_per_minute: Annotated[
        int, typer.Option(min=1, help="How many requests it may make in a minute.")
    ] = REQUESTS_PER_MINUTE,
    requests_per_quarter_hour: Annotated[
        int, typer.Option(min=1, help="How many in a quarter of an hour.")
    ] = REQUESTS_PER_QUARTER_HOUR,
) -> Shown:
    """Make a key; its plaintext is shown this once and stored nowhere."""
    minted = operator.keys.mint(
        user,
        name,
        workspace_ids=workspace or None,
        grants=grant or (),
        expires_at=None if expires_at is None else moment("--expires-at", expires_at),
        requests_per_minute=requests_per_minute,
        requests_per_quarter_hour=requests_per_quarter_hour,
    )
    return Shown(
        document={**_document(minted.key), "key": minted.plaintext},
        blocks=[Fields(values={"key": minted.plaintext, **_fields(minted.key)})],
        remarks=["The key is shown this once: keep it now."],
    )


@command(app, "list")
def list_(operator: Operator, user: UserArgument) -> Shown:
    """List a user's keys, revoked ones too."""
    keys = operator.keys.list(user)
    return Shown(
        document=[_document(key) for key in keys],
        blocks=[
            Table(
                headings=("ID", "NAME", "ENDS IN", "SCOPE", "GRANTS", "EXPIRES", "REVOKED"),
                rows=[
                    (
                        key.id,
                        key.name,
                        key.hint,
                        _scope(key),
                        _grants(key),
                        optional_timestamp(key.expires_at),
                        optional_timestamp(key.revoked_at),
                    )
                    for key in keys
                ],
                empty="No keys.",
            )
        ],
    )


@command(app, "revoke")
def revoke(
    operator: Operator,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key's id: key_…")],
    user: Annotated[str, typer.Option(help="Whose key it is.")],
) -> Shown:
    """Revoke a key; it opens nothing from the next request on."""
    return _revoked(operator.keys.revoke(user, key))


@command(app, "revoke-leaked")
def revoke_leaked(operator: Operator) -> Shown:
    """Revoke a key found in the open: its plaintext is asked for, or read from standard input."""
    return _revoked(operator.keys.revoke_leaked(read_secret("Key", KEY_VARIABLE)))


def _revoked(key: ApiKey) -> Shown:
    return Shown(document=_document(key), blocks=[Fields(values=_fields(key))])


def _document(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "ownerUserId": key.owner_user_id,
        "name": key.name,
        "hint": key.hint,
        "workspaceIds": None if key.workspace_ids is None else sorted(key.workspace_ids),
        "grants": sorted(grant.value for grant in key.grants),
        "requestsPerMinute": key.requests_per_minute,
        "requestsPerQuarterHour": key.requests_per_quarter_hour,
        "createdAt": timestamp(key.created_at),
        "expiresAt": optional_timestamp(key.expires_at),
        "revokedAt": optional_timestamp(key.revoked_at),
    }


def _fields(key: ApiKey) -> dict[str, object]:
    return {**_document(key), "workspaceIds": _scope(key), "grants": _grants(key)}


def _scope(key: ApiKey) -> str:
    return "all" if key.workspace_ids is None else ", ".join(sorted(key.workspace_ids))


def _grants(key: ApiKey) -> str | None:
    return ", ".join(sorted(grant.value for grant in key.grants)) or None
