"""Keys, members and accounts in DynamoDB, for those who read them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Final

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from postbreeze.adapters.dynamodb import keys
from postbreeze.adapters.dynamodb.items.access import (
    AccountPlaceRow,
    AccountRow,
    KeyRow,
    MemberRow,
    WorkspaceRow,
)
from postbreeze.adapters.dynamodb.items.common import value_of
from postbreeze.adapters.dynamodb.table import MOST_KEYS, Database, Raw
from postbreeze.domain import rate_limits
from postbreeze.domain.access import ApiKey, Member, Role, Workspace
from postbreeze.domain.errors import RateLimitedError, UnavailableError
from postbreeze.domain.post import SocialAccount
from postbreeze.domain.rate_limits import Standing, Tally
from postbreeze.operations.ports import Clock, Place

_MOST_TRIES: Final = 8
"""How often a request is tried to be counted; each loss means that another one was."""


class DynamoDirectory:
    """Keys, members, workspaces and social accounts."""

    def __init__(
        self,
        database: Database,
        *,
        workspaces_table: str,
        clock: Clock,
        meter: Callable[[Standing], None] | None = None,
    ) -> None:
        """Call nothing yet; ``meter`` is told how every key that is admitted or slowed stands."""
        self._table = database.table(workspaces_table)
        self._clock = clock
        self._meter = meter

    def admit(self, digest: str) -> ApiKey | None:
        """Count one request of a client, and return its key as it now stands.

        One update reads the key and counts, as long as the windows that are stored go on. It fails
        on the row that tells why not; then a second one opens the new windows on the condition that
        nobody else has.

        Raises:
            RateLimitedError: A window has none left; nothing was counted.
            UnavailableError: It may or may not have been counted.
        """
        for _ in range(_MOST_TRIES):
            now = self._clock.now()
            minute, quarter_hour = rate_limits.windows_at(now)
            is_counted, row = self._update(
                digest,
                [KeyRow.minute_left.add(-1), KeyRow.quarter_hour_left.add(-1)],
                (KeyRow.minute >= minute)
                & (KeyRow.quarter_hour >= quarter_hour)
                & (KeyRow.minute_left > 0)
                & (KeyRow.quarter_hour_left > 0),
            )
            if row is None:
                return None
            key = value_of(ApiKey, row)
            if not key.is_usable(now):
                return key
            stored = _tally(row)
            if is_counted and stored is not None:
                self._note(rate_limits.standing(key, stored))
                return key
            present = rate_limits.tally_at(now, key, stored)
            if present.is_full:
                standing = rate_limits.standing(key, present)
                self._note(standing)
                raise RateLimitedError(rate_limits.milliseconds_until(now, standing))
            after = present.after_one()
            is_counted, _ = self._update(
                digest,
                [getattr(KeyRow, name).set(value) for name, value in asdict(after).items()],
                _is_as_read(key, stored),
            )
            if is_counted:
                self._note(rate_limits.standing(key, after))
                return key
        raise UnavailableError("the count of a key kept moving")

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
    ) -> Place:
        """Read a membership, its workspace and accounts of it together, strongly consistent.

        Raises:
            ValueError: More than 98 accounts are asked for.
        """
        pk = keys.workspace(workspace_id)
        member: Member | None = None
        workspace: Workspace | None = None
        accounts: dict[str, SocialAccount] = {}
        wanted = {keys.ACCOUNTS + account_id for account_id in account_ids}
        for raw in self._table.get_all(
            [(pk, sk) for sk in (keys.WORKSPACE, keys.MEMBERS + user_id, *sorted(wanted))]
        ):
            sk = raw["sk"]["S"]
            if sk == keys.WORKSPACE:
                workspace = value_of(Workspace, WorkspaceRow.from_raw_data(raw))
            elif sk.startswith(keys.MEMBERS):
                member = value_of(Member, MemberRow.from_raw_data(raw))
            else:
                account = value_of(SocialAccount, AccountRow.from_raw_data(raw))
                accounts[account.id] = account
        return Place(member=member, workspace=workspace, accounts=accounts)

    def memberships(self, user_id: str) -> Sequence[Member]:
        """List the memberships of a user that stand now, by workspace id.

        One that has ended is never listed; one that began a moment ago may be missing.
        """
        found = [row["pk"]["S"] for row in self._table.query_index("membershipsByUser", user_id)]
        rows = self._all([(pk, keys.MEMBERS + user_id) for pk in found])
        members = (value_of(Member, MemberRow.from_raw_data(raw)) for raw in rows)
        return sorted(members, key=lambda member: member.workspace_id)

    def owner(self, workspace_id: str) -> str | None:
        """Return the user who has been in a workspace longest of its owners, if it has any."""
        rows = self._table.query(
            keys.workspace(workspace_id), MemberRow.sk.startswith(keys.MEMBERS)
        )
        members = (value_of(Member, MemberRow.from_raw_data(raw)) for raw in rows)
        owners = [member for member in members if member.role is Role.OWNER]
        first = min(owners, key=lambda each: (each.created_at, each.user_id), default=None)
        return None if first is None else first.user_id

    def workspaces(self, workspace_ids: Collection[str]) -> Mapping[str, Workspace]:
        """Read workspaces by their ids, strongly consistent; unknown ones are left out."""
        rows = self._all([(keys.workspace(each), keys.WORKSPACE) for each in set(workspace_ids)])
        found = (value_of(Workspace, WorkspaceRow.from_raw_data(raw)) for raw in rows)
        return {workspace.id: workspace for workspace in found}

    def accounts(self, workspace_id: str) -> Sequence[SocialAccount]:
        """List a workspace's accounts by id, strongly consistent."""
        rows = self._table.query(
            keys.workspace(workspace_id), AccountRow.sk.startswith(keys.ACCOUNTS)
        )
        return [value_of(SocialAccount, AccountRow.from_raw_data(raw)) for raw in rows]

    def _all(self, wanted: Sequence[tuple[str, str]]) -> Iterator[Raw]:
        for first in range(0, len(wanted), MOST_KEYS):
            yield from self._table.get_all(wanted[first : first + MOST_KEYS])

    def _update(
        self, digest: str, actions: Sequence[Action], condition: Condition
    ) -> tuple[bool, KeyRow | None]:
        return self._table.update(KeyRow, keys.key(digest), keys.KEY, actions, condition)

    def _note(self, standing: Standing) -> None:
        if self._meter is not None:
            self._meter(standing)


def _tally(row: KeyRow) -> Tally | None:
    return value_of(Tally, row) if "minute" in row.attribute_values else None


def _is_as_read(key: ApiKey, stored: Tally | None) -> Condition:
    """Build the condition that neither the key nor what was counted of it has changed."""
    condition = KeyRow.revision == key.revision
    for field in fields(Tally):
        attribute = getattr(KeyRow, field.name)
        condition &= (
            attribute.does_not_exist()
            if stored is None
            else attribute == getattr(stored, field.name)
        )
    return condition
