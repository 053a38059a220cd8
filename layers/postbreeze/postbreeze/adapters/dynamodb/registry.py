"""Workspaces, members, keys and accounts in DynamoDB, for the operator who writes them."""

from __future__ import annotations

from collections.abc import Sequence

from postbreeze.adapters.dynamodb import keys
from postbreeze.adapters.dynamodb.items.access import (
    AccountRow,
    KeyRow,
    WorkspaceRow,
    account_place_row,
    account_row,
    key_row,
    known_account_row,
    member_row,
    workspace_row,
)
from postbreeze.adapters.dynamodb.items.common import Row, value_of
from postbreeze.adapters.dynamodb.table import Database, NotWrittenError, Writes
from postbreeze.domain.access import ApiKey, Member, Workspace
from postbreeze.domain.errors import LostRaceError
from postbreeze.domain.post import SocialAccount


class DynamoRegistry:
    """What an operator writes."""

    def __init__(self, database: Database, *, workspaces_table: str) -> None:
        """Call nothing yet."""
        self._database = database
        self._table = database.table(workspaces_table)

    def add_workspace(self, workspace: Workspace) -> None:
        """Add a workspace.

        Raises:
            LostRaceError: It exists.
        """
        self._add(workspace_row(workspace))

    def workspace(self, workspace_id: str) -> Workspace | None:
        """Read a workspace."""
        row = self._table.get(WorkspaceRow, keys.workspace(workspace_id), keys.WORKSPACE)
        return None if row is None else value_of(Workspace, row)

    def replace_workspace(self, workspace: Workspace, *, expected_revision: int) -> None:
        """Write a changed workspace.

        Raises:
            LostRaceError: It has changed meanwhile.
        """
        self._replace(workspace_row(workspace), expected_revision)

    def put_member(self, member: Member) -> None:
        """Add a member or change a role."""
        self._table.put(member_row(member))

    def remove_member(self, workspace_id: str, user_id: str) -> None:
        """End a membership; repeating it is harmless."""
        self._table.delete(keys.workspace(workspace_id), keys.MEMBERS + user_id)

    def add_key(self, key: ApiKey) -> None:
        """Add a key.

        Raises:
            LostRaceError: It exists.
        """
        self._add(key_row(key))

    def key(self, digest: str) -> ApiKey | None:
        """Read a key by its digest, strongly consistent; nothing is counted."""
        row = self._table.get(KeyRow, keys.key(digest), keys.KEY)
        return None if row is None else value_of(ApiKey, row)

    def keys_of(self, owner_user_id: str) -> Sequence[ApiKey]:
        """List a user's keys, revoked ones too, oldest first; the newest may be a moment late."""
        rows = self._table.query_index("keysByOwner", owner_user_id)
        found = (value_of(ApiKey, KeyRow.from_raw_data(raw)) for raw in rows)
        return sorted(found, key=lambda key: (key.created_at, key.id))

    def replace_key(self, key: ApiKey, *, expected_revision: int) -> None:
        """Write a changed key, such as a revoked one; its requests are counted from anew.

        The row is written whole, so what was counted in the present windows goes: whatever the
        limits are now, they hold from here on.

        Raises:
            LostRaceError: It has changed meanwhile.
        """
        self._replace(key_row(key), expected_revision)

    def add_account(self, account: SocialAccount) -> None:
        """Add a social account.

        Raises:
            LostRaceError: It exists, be it in another workspace, or the workspace has another one
                of that platform and external id.
        """
        self._add(
            account_row(account),
            account_place_row(account),
            known_account_row(account),
        )

    def accounts(self, workspace_id: str) -> Sequence[SocialAccount]:
        """List a workspace's accounts, by id."""
        rows = self._table.query(
            keys.workspace(workspace_id), AccountRow.sk.startswith(keys.ACCOUNTS)
        )
        return [value_of(SocialAccount, AccountRow.from_raw_data(raw)) for raw in rows]

    def replace_account(self, account: SocialAccount, *, expected_revision: int) -> None:
        """Write a changed account.

        Raises:
            LostRaceError: It has changed meanwhile.
        """
        self._replace(account_row(account), expected_revision)

    def _add(self, *rows: Row) -> None:
        writes = Writes[None]()
        for row in rows:
            writes.put(self._table, row, Row.pk.does_not_exist(), None)
        self._write(writes)

    def _replace(self, row: Row, expected_revision: int) -> None:
        writes = Writes[None]()
        writes.put(self._table, row, Row.revision == expected_revision, None)
        self._write(writes)

    def _write(self, writes: Writes[None]) -> None:
        try:
            self._database.write(writes)
        except NotWrittenError as error:
            raise LostRaceError("a row is not as it was expected") from error
