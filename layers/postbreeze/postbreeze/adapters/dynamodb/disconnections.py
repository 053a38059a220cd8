"""Accounts that are disconnected, in DynamoDB.

The account is a row of the workspaces table; its event and what is left to be done are rows of the
posts table, where the posts are that it is about. They begin in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum, auto

from postbreeze.adapters.dynamodb import keys
from postbreeze.adapters.dynamodb.index import longest_waiting
from postbreeze.adapters.dynamodb.items.access import account_row
from postbreeze.adapters.dynamodb.items.common import Row, value_of
from postbreeze.adapters.dynamodb.items.disconnections import DisconnectionRow, disconnection_row
from postbreeze.adapters.dynamodb.items.posts import TargetRow, event_row
from postbreeze.adapters.dynamodb.posts import guard_with
from postbreeze.adapters.dynamodb.table import Database, NotWrittenError, Writes
from postbreeze.domain.disconnection import Disconnecting, Disconnection
from postbreeze.domain.errors import LostRaceError
from postbreeze.operations.ports import AccessLostError, MembershipGuard


class _Meaning(Enum):
    """What a write stands for."""

    ROW = auto()
    ACCESS = auto()


class DynamoDisconnections:
    """Accounts that are disconnected, and what that leaves to be done.

    ``workspaces_table`` is needed to begin only.
    """

    def __init__(
        self, database: Database, *, posts_table: str, workspaces_table: str | None = None
    ) -> None:
        """Call nothing yet."""
        self._database = database
        self._posts = database.table(posts_table)
        self._workspaces = None if workspaces_table is None else database.table(workspaces_table)

    def begin(self, disconnecting: Disconnecting, *, guard: MembershipGuard) -> None:
        """Write the account, its event and the work it leaves behind, or nothing.

        Where several conditions fail, lost access counts before a lost race.

        Raises:
            LostRaceError: The account has changed meanwhile.
            AccessLostError: The guard does not hold.
            UnavailableError: It may or may not have been written.
        """
        if self._workspaces is None:
            raise RuntimeError("a disconnect begins, and its store has no workspaces table")
        account = disconnecting.account
        as_read = Row.revision == account.revision - 1
        writes = Writes[_Meaning]()
        guard_with(writes, self._workspaces, guard, _Meaning.ACCESS)
        writes.put(self._workspaces, account_row(account), as_read, _Meaning.ROW)
        for row in (
            event_row(disconnecting.event),
            disconnection_row(disconnecting.work),
        ):
            writes.put(self._posts, row, Row.pk.does_not_exist(), _Meaning.ROW)
        self._write(writes)

    def work(self, account_id: str) -> Disconnection | None:
        """Read what is left to be done for an account, strongly consistent."""
        row = self._posts.get(DisconnectionRow, keys.account(account_id), keys.DISCONNECTION)
        return None if row is None else value_of(Disconnection, row)

    def advance(self, work: Disconnection, *, expected_revision: int) -> None:
        """Write down how far the work has got.

        Raises:
            LostRaceError: Somebody else has advanced it.
        """
        writes = Writes[_Meaning]()
        as_read = Row.revision == expected_revision
        writes.put(self._posts, disconnection_row(work), as_read, _Meaning.ROW)
        self._write(writes)

    def end(self, work: Disconnection) -> None:
        """Note that nothing is left to be done.

        Raises:
            LostRaceError: Somebody else has advanced or ended it.
        """
        writes = Writes[_Meaning]()
        writes.delete(
            self._posts,
            keys.account(work.account_id),
            keys.DISCONNECTION,
            Row.revision == work.revision,
            _Meaning.ROW,
        )
        self._write(writes)

    def due(self, now: datetime, limit: int) -> Sequence[str]:
        """Return ids of accounts whose work is due, longest waiting first."""
        rows = longest_waiting(
            self._posts,
            index="due",
            partitions=keys.shards(keys.DISCONNECTIONS),
            condition=DisconnectionRow.due_at <= now,
            waiting_since="dueAt",
            limit=limit,
        )
        return [keys.identifier(row["pk"]["S"]) for row in rows]

    def open_posts(self, account_id: str, *, after: str | None, limit: int) -> Sequence[str]:
        """Return, by id, posts on which the account has a target that has not begun.

        It lags behind: what changed a moment ago may be missing, or still be there.
        """
        rows = self._posts.query_index(
            "targetsByAccount",
            account_id,
            None if after is None else TargetRow.pk > keys.post(after),
            limit=limit,
        )
        return [keys.identifier(row["pk"]["S"]) for row in rows]

    def _write(self, writes: Writes[_Meaning]) -> None:
        try:
            self._database.write(writes)
        except NotWrittenError as error:
            if _Meaning.ACCESS in {meaning for meaning, _ in error.failed}:
                raise AccessLostError("the guard does not hold") from error
            raise LostRaceError("a row has changed") from error
