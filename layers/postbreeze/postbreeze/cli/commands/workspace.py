"""``postbreeze workspace``."""

from __future__ import annotations

from typing import Annotated

import typer

from postbreeze.cli.deployment import Operator
from postbreeze.cli.options import WorkspaceArgument
from postbreeze.cli.output import Fields, Shown
from postbreeze.cli.verbs import command
from postbreeze.domain.access import Workspace
from postbreeze.domain.documents import optional_timestamp, timestamp

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


@command(app, "hold")
def hold(
    operator: Operator,
    workspace: WorkspaceArgument,
    reason: Annotated[str | None, typer.Option(help="Why; members see it.")] = None,
) -> Shown:
    """Let nothing be scheduled into a workspace. What is scheduled already goes out."""
    return _shown(operator.workspaces.hold(workspace, reason))


@command(app, "release")
def release(operator: Operator, workspace: WorkspaceArgument) -> Shown:
    """End a hold."""
    return _shown(operator.workspaces.release(workspace))


@command(app, "limit")
def limit(
    operator: Operator,
    workspace: WorkspaceArgument,
    posts: Annotated[
        int | None, typer.Argument(min=0, help="Posts a calendar month (UTC); left out: no limit.")
    ] = None,
) -> Shown:
    """Limit how many posts may be created in a workspace, or take the limit away."""
    return _shown(operator.workspaces.limit(workspace, posts))


def _shown(workspace: Workspace) -> Shown:
    document = {
        "id": workspace.id,
        "name": workspace.name,
        "createdAt": timestamp(workspace.created_at),
        "heldAt": optional_timestamp(workspace.held_at),
        "holdReason": workspace.hold_reason,
        "postLimit": workspace.post_limit,
    }
    return Shown(document=document, blocks=[Fields(values=document)])
