"""Reading workspaces and their social accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from postbreeze.domain.access import READERS, ApiKey, Member
from postbreeze.domain.documents import account_document, workspace_document
from postbreeze.domain.errors import NotFoundError
from postbreeze.domain.post import AccountStatus
from postbreeze.operations import gate
from postbreeze.operations.answers import Answer
from postbreeze.operations.ports import Clock, Directory, Together

Listing = Sequence[Mapping[str, Any]]
"""Documents in order."""


def reached(directory: Directory, key: ApiKey) -> Sequence[Member]:
    """List the memberships of the key's owner in the workspaces that the key reaches.

    One that has ended is never listed; one that began a moment ago may be missing.
    """
    members = directory.memberships(key.owner_user_id)
    return [member for member in members if key.reaches(member.workspace_id)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadWorkspaces:
    """Shows workspaces to their members."""

    directory: Directory
    together: Together
    clock: Clock

    def all(self, key_digest: str) -> Listing:
        """List the workspaces that the key reaches, oldest first.

        Raises:
            UnauthorizedError: The key opens nothing.
            UnavailableError: The database did not answer.
        """
        key = gate.usable(self.directory.admit(key_digest), self.clock.now())
        members = reached(self.directory, key)
        ids = [member.workspace_id for member in members]
        workspaces, *owners = self.together.run(
            lambda: self.directory.workspaces(ids),
            *(partial(self.directory.owner, each) for each in ids),
        )
        found = [
            (workspaces[member.workspace_id], member, owner)
            for member, owner in zip(members, owners, strict=True)
            if member.workspace_id in workspaces
        ]
        found.sort(key=lambda each: (each[0].created_at, each[0].id))
        return [workspace_document(*each) for each in found]

    def one(self, key_digest: str, workspace_id: str) -> Answer:
        """Answer with one workspace.

        Raises:
            RefusalError: Not allowed or not there.
            UnavailableError: The database did not answer.
        """
        key = gate.usable(self.directory.admit(key_digest), self.clock.now())
        gate.workspace_named(key, workspace_id)
        place, owner = self.together.run(
            lambda: self.directory.member_and_accounts(workspace_id, key.owner_user_id, ()),
            lambda: self.directory.owner(workspace_id),
        )
        member = gate.permitted(place.member, READERS)
        if place.workspace is None:
            raise NotFoundError
        return Answer(status=200, body=workspace_document(place.workspace, member, owner))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAccounts:
    """Shows social accounts to the members of their workspace."""

    directory: Directory
    together: Together
    clock: Clock

    def all(self, key_digest: str, workspace_id: str | None) -> Listing:
        """List a workspace's accounts, or those of every workspace that the key reaches.

        The newest come first; those that are disconnected are left out.

        Raises:
            RefusalError: Not allowed or not there.
            UnavailableError: The database did not answer.
        """
        key = gate.usable(self.directory.admit(key_digest), self.clock.now())
        if workspace_id is None:
            found = [member.workspace_id for member in reached(self.directory, key)]
        else:
            gate.workspace_named(key, workspace_id)
            gate.permitted(self.directory.member(workspace_id, key.owner_user_id), READERS)
            found = [workspace_id]
        listed = self.together.run(*(partial(self.directory.accounts, each) for each in found))
        connected = [
            account
            for accounts in listed
            for account in accounts
            if account.status is not AccountStatus.DISCONNECTED
        ]
        connected.sort(key=lambda account: (account.created_at, account.id), reverse=True)
        return [account_document(account) for account in connected]

    def one(self, key_digest: str, account_id: str) -> Answer:
        """Answer with one account, be it disconnected.

        Raises:
            RefusalError: Not allowed or not there.
            UnavailableError: The database did not answer.
        """
        key, workspace_id = self.together.run(
            lambda: self.directory.admit(key_digest),
            lambda: self.directory.workspace_of_account(account_id),
        )
        key = gate.usable(key, self.clock.now())
        workspace_id = gate.reaches(key, workspace_id)
        place = self.directory.member_and_accounts(workspace_id, key.owner_user_id, [account_id])
        gate.permitted(place.member, READERS)
        account = place.accounts.get(account_id)
        if account is None:
            raise NotFoundError
        return Answer(status=200, body=account_document(account))
