"""``postbreeze member``."""

from __future__ import annotations

from typing import Annotated

import typer

from postbreeze.cli.deployment import Operator
from postbreeze.cli.options import UserArgument, WorkspaceArgument
from postbreeze.cli.output import Fields, Shown
from postbreeze.cli.verbs import command
from postbreeze.domain.access import Role
from postbreeze.domain.documents import timestamp

app = typer.Typer(help="Members: who belongs to a workspace, and in which role.")


@command(app, "add")
def add(
    operator: Operator,
    workspace: WorkspaceArgument,
    role: Annotated[Role, typer.Option(help="What they may do.", case_sensitive=False)],
    user: Annotated[
        str | None, typer.Option(help="Whose id, if they have one; else one is made.")
    ] = None,
) -> Shown:
    """Give a user a role in a workspace, or another role than before."""
    member = operator.workspaces.add_member(workspace, role, user)
    document = {
        "workspaceId": member.workspace_id,
        "userId": member.user_id,
        "role": member.role.value,
        "createdAt": timestamp(member.created_at),
    }
    return Shown(document=document, blocks=[Fields(values=document)])


@command(app, "remove")
def remove(operator: Operator, workspace: WorkspaceArgument, user: UserArgument) -> Shown:
    """End a membership; it counts from the next request on."""
    was_member = operator.workspaces.remove_member(workspace, user)
    document = {"workspaceId": workspace, "userId": user, "wasMember": was_member}
    return Shown(document=document, blocks=[Fields(values=document)])
