"""Workspaces and who belongs to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from postbreeze.domain import ids
from postbreeze.domain.access import Member, Role, Workspace
from postbreeze.domain.errors import ContendedError, LostRaceError, ValidationError
from postbreeze.operations.administer.checks import (
    checked_id,
    checked_text,
    standing_workspace,
)
from postbreeze.operations.ports import Clock, Directory, Randomness, Registry
from postbreeze.operations.races import MOST_RACES

MOST_REASON = 500
"""The longest reason of a hold."""

MOST_POSTS = 1_000_000_000
"""The highest limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspaces:
    """Makes workspaces and decides who is in them."""

    registry: Registry
    directory: Directory
    clock: Clock
    randomness: Randomness

    def create(self, name: str) -> Workspace:
        """Create a workspace without members; every call makes another one.

        Raises:
            ValidationError: The name is empty or too long.
        """
        now = self.clock.now()
        workspace = Workspace(
            id=ids.new_id(ids.WORKSPACE, now, self.randomness.token(10)),
            name=checked_text("name", name),
            created_at=now,
        )
        self.registry.add_workspace(workspace)
        return workspace

    def show(self, workspace_id: str) -> Workspace:
        """Return a workspace.

        Raises:
            ValidationError: The id is malformed.
            NotFoundError: There is no such workspace.
        """
        return standing_workspace(self.registry, workspace_id)

    def hold(self, workspace_id: str, reason: str | None = None) -> Workspace:
        """Let nothing be scheduled into a workspace; its members see the reason.

        What is scheduled already goes out. Holding it again changes the reason alone.

        Raises:
            ValidationError: The id is malformed, or the reason empty or too long.
            NotFoundError: There is no such workspace.
            ContendedError: It kept changing.
        """
        if reason is not None:
            reason = checked_text("reason", reason, most=MOST_REASON)
        now = self.clock.now()
        return self._changed(
            workspace_id,
            lambda present: replace(present, held_at=present.held_at or now, hold_reason=reason),
        )

    def release(self, workspace_id: str) -> Workspace:
        """End a hold; where there is none nothing changes.

        Raises:
            ValidationError: The id is malformed.
            NotFoundError: There is no such workspace.
            ContendedError: It kept changing.
        """
        return self._changed(
            workspace_id, lambda present: replace(present, held_at=None, hold_reason=None)
        )

    def limit(self, workspace_id: str, posts: int | None) -> Workspace:
        """Set how many posts may be created in a calendar month (UTC); None takes the limit away.

        Posts are counted only while there is a limit.

        Raises:
            ValidationError: The id is malformed, or the number is none that can be counted to.
            NotFoundError: There is no such workspace.
            ContendedError: It kept changing.
        """
        if posts is not None and not 0 <= posts <= MOST_POSTS:
            raise ValidationError.of("posts", f"It must be 0 to {MOST_POSTS}.")
        return self._changed(workspace_id, lambda present: replace(present, post_limit=posts))

    def _changed(self, workspace_id: str, change: Callable[[Workspace], Workspace]) -> Workspace:
        for _ in range(MOST_RACES):
            present = standing_workspace(self.registry, workspace_id)
            changed = change(present)
            if changed == present:
                return present
            changed = replace(changed, updated_at=self.clock.now(), revision=present.revision + 1)
            try:
                self.registry.replace_workspace(changed, expected_revision=present.revision)
            except LostRaceError:
                continue
            return changed
        raise ContendedError

    def add_member(self, workspace_id: str, role: Role, user_id: str | None = None) -> Member:
        """Give a user a role in a workspace, or another role; a new user where none is named.

        Giving the same role again changes nothing.

        Raises:
            ValidationError: An id is malformed.
            NotFoundError: There is no such workspace.
        """
        if user_id is not None:
            checked_id(ids.USER, user_id)
        standing_workspace(self.registry, workspace_id)
        now = self.clock.now()
        present = None
        if user_id is None:
            user_id = ids.new_id(ids.USER, now, self.randomness.token(10))
        else:
            present = self.directory.member(workspace_id, user_id)
        if present is None:
            member = Member(workspace_id=workspace_id, user_id=user_id, role=role, created_at=now)
        elif present.role is role:
            return present
        else:
            member = replace(present, role=role, revision=present.revision + 1)
        self.registry.put_member(member)
        return member

    def remove_member(self, workspace_id: str, user_id: str) -> bool:
        """End a membership; False where there was none. The keys of the user stay, powerless here.

        Raises:
            ValidationError: An id is malformed.
            NotFoundError: There is no such workspace.
        """
        checked_id(ids.USER, user_id)
        standing_workspace(self.registry, workspace_id)
        was_member = self.directory.member(workspace_id, user_id) is not None
        self.registry.remove_member(workspace_id, user_id)
        return was_member
