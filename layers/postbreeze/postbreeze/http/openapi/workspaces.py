"""The routes of workspaces."""

from __future__ import annotations

from postbreeze.domain.errors import ForbiddenError, NotFoundError, ValidationError
from postbreeze.http.openapi.declaring import Operation, Resource, Success
from postbreeze.http.openapi.errors import KEYED
from postbreeze.http.openapi.schemas import WORKSPACE_ID, ref

_LIST = Operation(
    method="get",
    path="/workspaces",
    name="listWorkspaces",
    summary="List the workspaces that the key reaches",
    description="Oldest first.",
    answers=(
        Success(
            description="The workspaces",
            schema={"type": "array", "items": ref("Workspace")},
        ),
    ),
    errors=(*KEYED, ValidationError),
)

_READ = Operation(
    method="get",
    path="/workspaces/{workspaceId}",
    name="getWorkspace",
    summary="Read a workspace",
    parameters=(WORKSPACE_ID,),
    answers=(Success(description="The workspace", schema=ref("Workspace")),),
    errors=(*KEYED, ValidationError, ForbiddenError, NotFoundError),
)

RESOURCE = Resource(
    tag="workspaces",
    description="Where posts and accounts belong, and people have roles.",
    operations=(_LIST, _READ),
)
