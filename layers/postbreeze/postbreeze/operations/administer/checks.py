"""What every verb of the operator checks before it writes."""

from __future__ import annotations

from postbreeze.domain import ids
from postbreeze.domain.access import Workspace
from postbreeze.domain.errors import NotFoundError, ValidationError
from postbreeze.operations.ports import Registry

MOST_CHARACTERS = 100
"""The longest name of a workspace, a key or an account."""

_KINDS = {
    ids.POST: "post",
    ids.WORKSPACE: "workspace",
    ids.USER: "user",
    ids.KEY: "key",
    ids.ENDPOINT: "endpoint",
    ids.DELIVERY: "delivery",
}


def checked_id(prefix: str, text: str) -> str:
    """Return an identifier that has the form of its kind.

    Raises:
        ValidationError: It has not.
    """
    if not ids.is_id(prefix, text):
        raise ValidationError.of(
            _KINDS[prefix],
            f"{text!r} is not an id of this kind: {prefix}_ and 26 characters are expected.",
        )
    return text


def checked_text(path: str, text: str, *, most: int = MOST_CHARACTERS) -> str:
    """Return a text without the blanks around it.

    Raises:
        ValidationError: It is empty, too long or has characters that cannot be printed.
    """
    text = text.strip()
    if not 1 <= len(text) <= most or not text.isprintable():
        raise ValidationError.of(path, f"It must have 1 to {most} printable characters.")
    return text


def standing_workspace(registry: Registry, workspace_id: str) -> Workspace:
    """Return a workspace that exists.

    Raises:
        ValidationError: The id is malformed.
        NotFoundError: There is no such workspace.
    """
    workspace = registry.workspace(checked_id(ids.WORKSPACE, workspace_id))
    if workspace is None:
        raise NotFoundError(f"There is no workspace {workspace_id}.")
    return workspace
