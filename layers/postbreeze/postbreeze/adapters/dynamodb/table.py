"""Tables, and the one way rows are read from and written to them.

PynamoDB's models describe rows and its conditions guard them; its ``Connection`` makes the calls.
The models are bound to no table: names are given to constructors, and every table of a process is
used through one client.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from uuid import uuid4

from pynamodb.connection import Connection
from pynamodb.connection.base import BOTOCORE_EXCEPTIONS, MetaTable
from pynamodb.constants import UPDATE_ITEM
from pynamodb.exceptions import PutError, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from postbreeze.adapters.dynamodb import errors
from postbreeze.adapters.dynamodb.items.common import Row
from postbreeze.domain.errors import UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Raw = dict[str, dict[str, Any]]
"""A row as DynamoDB has it."""

AnyRow = TypeVar("AnyRow", bound=Row)
Meaning = TypeVar("Meaning")

INDEXES: Final[Mapping[str, tuple[str, str]]] = {
    "due": ("duePartition", "dueAt"),
    "pending": ("pendingPartition", "pendingSince"),
    "keysByOwner": ("ownerUserId", "sk"),
    "library": ("workspaceId", "id"),
    "membershipsByUser": ("userId", "pk"),
    "listing": ("listPartition", "listKey"),
    "byStatus": ("statusPartition", "listKey"),
    "moved": ("movedPartition", "movedAt"),
    "targetsByAccount": ("openAccountId", "pk"),
}
"""Hash and range key of every index, by name; all are strings."""

_CONFLICT_GAPS: Final = (0.02, 0.05, 0.1)
"""Seconds to wait, more or less, before a transaction that met another is tried again."""
_RANDOM: Final = random.SystemRandom()

MOST_KEYS: Final = 100
"""How many rows can be read together."""

_BATCH_GAPS: Final = (0.05, 0.1)
"""Seconds to wait, more or less, before rows that DynamoDB had no room for are read again."""


class _GivenClient(Connection):
    """A PynamoDB connection over a client made elsewhere, with its time-outs and retries."""

    def __init__(self, client: DynamoDBClient) -> None:
        super().__init__(region=client.meta.region_name)
        self._given: Any = client

    @property
    def client(self) -> Any:
        return self._given

    def update(self, request: dict[str, Any]) -> dict[str, Any]:
        """Update as ``update_item``, which cannot ask for the row that a condition failed on."""
        try:
            answer: dict[str, Any] = self.dispatch(UPDATE_ITEM, request)
        except BOTOCORE_EXCEPTIONS as error:
            raise UpdateError("an update failed", error) from error
        return answer


class Database:
    """All tables of a process, over one client."""

    def __init__(
        self, client: DynamoDBClient, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        """Call nothing yet; ``pause`` waits that many seconds."""
        self._connection = _GivenClient(client)
        self._tables: dict[str, Table] = {}
        self._pause = pause

    def table(self, name: str) -> Table:
        """Return the table of that name; whether it exists is not looked at."""
        if name not in self._tables:
            self._connection.add_meta_table(_layout(name))
            self._tables[name] = Table(self._connection, name, pause=self._pause)
        return self._tables[name]

    def write(self, writes: Writes[Meaning]) -> None:
        """Do all the writes if every condition holds, or none.

        A token makes DynamoDB do them once even where an answer is lost and the call repeated.
        Where only another transaction was in the way, such as one that checks the same membership,
        it is tried again a little later.

        Raises:
            NotWrittenError: A condition did not hold, or other transactions stayed in the way.
            UnavailableError: They may or may not have been done.
        """
        for gap in _CONFLICT_GAPS:
            try:
                self._write(writes)
            except NotWrittenError as error:
                if error.failed:
                    raise
                self._pause(gap * _RANDOM.uniform(0.5, 1.5))
            else:
                return
        self._write(writes)

    def _write(self, writes: Writes[Meaning]) -> None:
        try:
            with errors.outages():
                self._connection.transact_write_items(
                    [check for check, _ in writes.checks],
                    [delete for delete, _ in writes.deletes],
                    [put for put, _ in writes.puts],
                    [update for update, _ in writes.updates],
                    client_request_token=str(uuid4()),
                )
        except TransactWriteError as error:
            raise _not_written(error, writes) from error


class Table:
    """One table."""

    def __init__(
        self, connection: _GivenClient, name: str, *, pause: Callable[[float], None]
    ) -> None:
        """Bind a name to the connection."""
        self._connection = connection
        self._name = name
        self._pause = pause

    def get(self, row: type[AnyRow], pk: str, sk: str) -> AnyRow | None:
        """Read one row, strongly consistent."""
        with errors.outages():
            answer = self._connection.get_item(self._name, pk, sk, consistent_read=True)
        item = answer.get("Item")
        return None if item is None else row.from_raw_data(item)

    def get_all(self, keys: Collection[tuple[str, str]]) -> list[Raw]:
        """Read up to 100 rows together, each strongly consistent, in no order."""
        wanted: list[Mapping[str, Any]] = [{"pk": pk, "sk": sk} for pk, sk in keys]
        if len(wanted) > MOST_KEYS:
            raise ValueError(f"at most {MOST_KEYS} rows can be read together")
        found: list[Raw] = []
        for gap in (0.0, *_BATCH_GAPS):
            if gap:
                self._pause(gap * _RANDOM.uniform(0.5, 1.5))
            with errors.outages():
                answer = self._connection.batch_get_item(
                    self._name,
                    wanted,  # type: ignore[arg-type]  # PynamoDB says str, and takes mappings only
                    consistent_read=True,
                )
            found += answer["Responses"].get(self._name, [])
            left = answer.get("UnprocessedKeys", {}).get(self._name)
            if not left:
                return found
            wanted = left["Keys"]
        raise UnavailableError("BatchGetItem: UnprocessedKeys")

    def query(
        self,
        pk: str,
        condition: Condition | None = None,
        *,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Iterator[Raw]:
        """Read a partition's rows in the order of sk, strongly consistent, page by page."""
        return self._pages(
            pk,
            condition,
            limit=limit,
            consistent_read=True,
            scan_index_forward=not newest_first,
        )

    def query_some(
        self,
        pk: str,
        condition: Condition,
        wanted: Condition | None,
        *,
        start: Raw | None,
        limit: int,
    ) -> Some:
        """Read those rows that are wanted of a partition's next ones, newest first.

        At most ``limit`` rows are looked through, and no more than a call of DynamoDB reads (1 MB).
        """
        with errors.outages():
            answer = self._connection.query(
                self._name,
                pk,
                condition,
                wanted,
                exclusive_start_key=start,
                limit=limit,
                consistent_read=True,
                scan_index_forward=False,
            )
        return Some(
            rows=answer["Items"],
            looked_at=answer["ScannedCount"],
            last=answer.get("LastEvaluatedKey"),
        )

    def query_index(
        self,
        index: str,
        partition: str,
        condition: Condition | None = None,
        *,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Iterator[Raw]:
        """Read an index's rows in its order; what was written just now may be missing."""
        return self._pages(
            partition,
            condition,
            limit=limit,
            index_name=index,
            scan_index_forward=not newest_first,
        )

    def put(self, row: Row, condition: Condition | None = None) -> bool:
        """Write a row that may as well be written twice; tell whether the condition held."""
        try:
            with errors.outages():
                self._connection.put_item(
                    self._name,
                    row.pk,
                    row.sk,
                    attributes=row.serialize(),
                    condition=condition,
                )
        except PutError as error:
            if errors.code(error) != errors.CONDITION_FAILED:
                raise
            return False
        return True

    def update(
        self,
        row: type[AnyRow],
        pk: str,
        sk: str,
        actions: Sequence[Action],
        condition: Condition,
    ) -> tuple[bool, AnyRow | None]:
        """Change parts of a row; tell whether the condition held, and the row that now stands.

        There is none where the condition met no row. An update whose answer was lost may have been
        done twice, or be told as failed: the row tells.
        """
        request = self._connection.get_operation_kwargs(
            self._name,
            pk,
            sk,
            actions=actions,
            condition=condition,
            return_values="ALL_NEW",
            return_values_on_condition_failure="ALL_OLD",
        )
        try:
            with errors.outages():
                answer = self._connection.update(request)
        except UpdateError as error:
            if errors.code(error) != errors.CONDITION_FAILED:
                raise
            old = errors.row_met(error)
            return False, None if old is None else row.from_raw_data(old)
        return True, row.from_raw_data(answer["Attributes"])

    def delete(self, pk: str, sk: str) -> None:
        """Remove a row, if it is there."""
        with errors.outages():
            self._connection.delete_item(self._name, pk, sk)

    def check_request(self, pk: str, sk: str, condition: Condition) -> dict[str, Any]:
        """Describe a check of a row for a transaction."""
        request: dict[str, Any] = self._connection.get_operation_kwargs(
            self._name, pk, sk, condition=condition
        )
        return request

    def delete_request(self, pk: str, sk: str, condition: Condition | None) -> dict[str, Any]:
        """Describe the removal of a row for a transaction."""
        request: dict[str, Any] = self._connection.get_operation_kwargs(
            self._name, pk, sk, condition=condition
        )
        return request

    def put_request(self, row: Row, condition: Condition | None) -> dict[str, Any]:
        """Describe a write of a row for a transaction; a failure tells the row that stands."""
        request: dict[str, Any] = self._connection.get_operation_kwargs(
            self._name,
            row.pk,
            row.sk,
            key="Item",
            attributes=row.serialize(),
            condition=condition,
            return_values_on_condition_failure="ALL_OLD",
        )
        return request

    def update_request(
        self, pk: str, sk: str, actions: Sequence[Action], condition: Condition
    ) -> dict[str, Any]:
        """Describe a change of parts of a row for a transaction; a failure tells the row."""
        request: dict[str, Any] = self._connection.get_operation_kwargs(
            self._name,
            pk,
            sk,
            actions=actions,
            condition=condition,
            return_values_on_condition_failure="ALL_OLD",
        )
        return request

    def _pages(
        self, partition: str, condition: Condition | None, *, limit: int | None, **options: Any
    ) -> Iterator[Raw]:
        start: Raw | None = None
        left = limit
        while left is None or left > 0:
            with errors.outages():
                answer = self._connection.query(
                    self._name,
                    partition,
                    condition,
                    exclusive_start_key=start,
                    limit=left,
                    **options,
                )
            yield from answer["Items"]
            start = answer.get("LastEvaluatedKey")
            if not start:
                return
            left = None if left is None else left - len(answer["Items"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Some:
    """Some rows of a partition; ``last`` is the key of the last looked at, None at its end."""

    rows: Sequence[Raw]
    looked_at: int
    last: Raw | None


@dataclass(slots=True)
class Writes(Generic[Meaning]):
    """Writes to be done together, each with what it means to the caller.

    DynamoDB tells which of them failed by position, and PynamoDB sends checks, then deletes, then
    puts, then updates: so they are kept apart here, and told apart again by ``NotWrittenError``.
    """

    checks: list[tuple[dict[str, Any], Meaning]] = field(default_factory=list)
    deletes: list[tuple[dict[str, Any], Meaning]] = field(default_factory=list)
    puts: list[tuple[dict[str, Any], Meaning]] = field(default_factory=list)
    updates: list[tuple[dict[str, Any], Meaning]] = field(default_factory=list)

    def check(self, table: Table, pk: str, sk: str, condition: Condition, meaning: Meaning) -> None:
        """Add a condition on a row that is not written."""
        self.checks.append((table.check_request(pk, sk, condition), meaning))

    def delete(
        self, table: Table, pk: str, sk: str, condition: Condition | None, meaning: Meaning
    ) -> None:
        """Add a row to remove under a condition."""
        self.deletes.append((table.delete_request(pk, sk, condition), meaning))

    def put(self, table: Table, row: Row, condition: Condition | None, meaning: Meaning) -> None:
        """Add a row to write under a condition."""
        self.puts.append((table.put_request(row, condition), meaning))

    def update(
        self,
        table: Table,
        pk: str,
        sk: str,
        actions: Sequence[Action],
        condition: Condition,
        meaning: Meaning,
    ) -> None:
        """Add a change of parts of a row under a condition; a row that is not there is made."""
        self.updates.append((table.update_request(pk, sk, actions, condition), meaning))

    @property
    def meanings(self) -> Sequence[Meaning]:
        """What each means, in the order in which DynamoDB reports."""
        writes = (*self.checks, *self.deletes, *self.puts, *self.updates)
        return [meaning for _, meaning in writes]

    def __bool__(self) -> bool:
        """Tell whether there is anything to do."""
        return bool(self.checks or self.deletes or self.puts or self.updates)


class NotWrittenError(Exception):
    """Nothing was written: these writes' conditions failed, or met another transaction.

    ``failed`` maps what a failed write means to the row that stands in its way, if DynamoDB told.
    """

    def __init__(self, failed: Sequence[tuple[Any, Raw | None]]) -> None:
        """Keep what failed; nothing is listed where only another transaction was met."""
        super().__init__("nothing was written")
        self.failed = failed


def _not_written(error: TransactWriteError, writes: Writes[Any]) -> Exception:
    if errors.code(error) != errors.CANCELLED:
        return error
    reasons = tuple(zip(writes.meanings, error.cancellation_reasons, strict=True))
    codes = {reason.code for _, reason in reasons if reason is not None}
    if not codes <= {errors.REASON_CONDITION, errors.REASON_CONFLICT, *errors.REASONS_BUSY}:
        return error
    failed = [
        (meaning, reason.raw_item)
        for meaning, reason in reasons
        if reason is not None and reason.code == errors.REASON_CONDITION
    ]
    if failed or errors.REASON_CONFLICT in codes:
        return NotWrittenError(failed)
    return UnavailableError(f"TransactWriteItems: {', '.join(sorted(codes))}")


def _layout(name: str) -> MetaTable:
    strings = {"pk", "sk", *(key for keys in INDEXES.values() for key in keys)}
    return MetaTable(
        {
            "TableName": name,
            "KeySchema": _key_schema("pk", "sk"),
            "AttributeDefinitions": [
                {"AttributeName": key, "AttributeType": "S"} for key in sorted(strings)
            ],
            "GlobalSecondaryIndexes": [
                {"IndexName": index, "KeySchema": _key_schema(*keys)}
                for index, keys in INDEXES.items()
            ],
        }
    )


def _key_schema(hash_key: str, range_key: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": hash_key, "KeyType": "HASH"},
        {"AttributeName": range_key, "KeyType": "RANGE"},
    ]
