"""Keys, members and accounts in DynamoDB, for those who read them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from postbreeze.adapters.dynamodb import keys
from postbreeze.adapters.dynamodb.items import (
    AccountPlaceRow,
    AccountRow,
    KeyRow,
    MemberRow,
    value_of,
)
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.domain.access import ApiKey, Member
from postbreeze.domain.post import SocialAccount


class DynamoDirectory:
    """Keys, members, workspaces and social accounts."""

    def __init__(self, database: Database, *, workspaces_table: str) -> None:
        """Call nothing yet."""
        self._table = database.table(workspaces_table)

    def key(self, digest: str) -> ApiKey | None:
        """Read a key by its digest, strongly consistent."""
        row = self._table.get(KeyRow, keys.key(digest), keys.KEY)
        return None if row is None else value_of(ApiKey, row)

    def member(self, workspace_id: str, user_id: str) -> Member | None:
        """Read a membership, strongly consistent."""
        row = self._table.get(MemberRow, keys.workspace(workspace_id), keys.MEMBERS + user_id)
        return None if row is None else value_of(Member, row)

    def workspace_of_account(self, account_id: str) -> str | None:
        """Return where an account is connected."""
        row = self._table.get(AccountPlaceRow, keys.account(account_id), keys.ACCOUNT)
        return None if row is None else row.workspace_id

    def account(self, workspace_id: str, account_id: str) -> SocialAccount | None:
        """Read one account, strongly consistent."""
        row = self._table.get(AccountRow, keys.workspace(workspace_id), keys.ACCOUNTS + account_id)
        return None if row is None else value_of(SocialAccount, row)

    def member_and_accounts(
        self, workspace_id: str, user_id: str, account_ids: Collection[str]
    ) -> tuple[Member | None, Mapping[str, SocialAccount]]:
        """Read a membership and a workspace's accounts together, strongly consistent.

        Raises:
            ValueError: More than 99 accounts are asked for.
        """
        pk = keys.workspace(workspace_id)
        member: Member | None = None
        accounts: dict[str, SocialAccount] = {}
        wanted = {keys.ACCOUNTS + account_id for account_id in account_ids}
        for raw in self._table.get_all(
            [(pk, sk) for sk in (keys.MEMBERS + user_id, *sorted(wanted))]
        ):
            if raw["sk"]["S"].startswith(keys.MEMBERS):
                member = value_of(Member, MemberRow.from_raw_data(raw))
            else:
                account = value_of(SocialAccount, AccountRow.from_raw_data(raw))
                accounts[account.id] = account
        return member, accounts
