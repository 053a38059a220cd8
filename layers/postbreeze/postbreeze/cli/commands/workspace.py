"""``postbreeze workspace``."""

from __future__ import annotations

from typing import Annotated

import typer

from postbreeze.cli.deployment import Operator
from postbreeze.cli.options import WorkspaceArgument
from postbreeze.cli.output import Fields, Shown
from postbreeze.cli.verbs import command
from postbreeze.domain.access import Workspace
from postbreeze.domain.documents import timestamp

app = typer.Typer(help="Workspaces: what members, accounts, posts and endpoints belong to.")


@command(app, "create")
def create(
    operator: Operator, name: Annotated[str, typer.Argument(help="What people call it.")]
) -> Shown:
    """Create a workspace, without members."""
    return _shown(operator.workspaces.create(name))


@command(app, "show")
def show(operator: Operator, workspace: WorkspaceArgument) -> Shown:
    """Show a workspace."""
    return _shown(operator.workspaces.show(workspace))


def _shown(workspace: Workspace) -> Shown:
    document = {
        "id": workspace.id,
        "name": workspace.name,
        "createdAt": timestamp(workspace.created_at),
    }
    return Shown(document=document, blocks=[Fields(values=document)])
