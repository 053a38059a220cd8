"""``postbreeze account``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from postbreeze.cli.deployment import Operator
from postbreeze.cli.options import WorkspaceArgument, read_secret
from postbreeze.cli.output import Fields, Shown, Table
from postbreeze.cli.verbs import command
from postbreeze.domain.documents import timestamp
from postbreeze.domain.post import Platform, SocialAccount

app = typer.Typer(help="Social accounts: what posts are published on.")

PASSWORD_VARIABLE = "POSTBREEZE_APP_PASSWORD"  # noqa: S105 - the name of a variable


@command(app, "connect-bluesky")
def connect_bluesky(
    operator: Operator,
    workspace: WorkspaceArgument,
    identifier: Annotated[str, typer.Argument(help="Handle or DID, such as somebody.bsky.social.")],
    name: Annotated[str | None, typer.Option(help="What people call it; else its handle.")] = None,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Store the credentials without trying them.")
    ] = False,
) -> Shown:
    """Connect a Bluesky account, or give it another app password.

    The app password is taken from POSTBREEZE_APP_PASSWORD, or from standard input where that is
    no terminal, or else asked for. It is never taken from the command line, which others can see.
    """
    account = operator.accounts.connect_bluesky(
        workspace,
        identifier,
        read_secret("App password", PASSWORD_VARIABLE),
        sign_in=None if no_verify else operator.bluesky_sign_in,
        name=name,
    )
    return _shown(account)


@command(app, "add")
def add(
    operator: Operator,
    workspace: WorkspaceArgument,
    platform: Annotated[Platform, typer.Argument(case_sensitive=False)],
    name: Annotated[str, typer.Option(help="What people call it.")],
    external_id: Annotated[str, typer.Option(help="The platform's own id of it.")],
    handle: Annotated[
        str | None, typer.Option(help="What the platform calls it; else its name.")
    ] = None,
) -> Shown:
    """Add an account of a platform that has no client yet: posts for it fail, and say why."""
    return _shown(operator.accounts.add(workspace, platform, name, external_id, handle))


@command(app, "list")
def list_(operator: Operator, workspace: WorkspaceArgument) -> Shown:
    """List a workspace's accounts."""
    accounts = operator.accounts.list(workspace)
    return Shown(
        document=[_document(account) for account in accounts],
        blocks=[
            Table(
                headings=("ID", "PLATFORM", "STATUS", "NAME", "EXTERNAL ID", "CREDENTIALS"),
                rows=[
                    (
                        account.id,
                        account.platform.value,
                        account.status.value,
                        account.display_name,
                        account.external_account_id,
                        account.sealed_credentials is not None,
                    )
                    for account in accounts
                ],
                empty="No accounts.",
            )
        ],
    )


def _shown(account: SocialAccount) -> Shown:
    document = _document(account)
    return Shown(document=document, blocks=[Fields(values=document)])


def _document(account: SocialAccount) -> dict[str, Any]:
    return {
        "id": account.id,
        "workspaceId": account.workspace_id,
        "platform": account.platform.value,
        "status": account.status.value,
        "name": account.display_name,
        "externalId": account.external_account_id,
        "handle": account.handle,
        "hasCredentials": account.sealed_credentials is not None,
        "createdAt": timestamp(account.created_at),
    }
