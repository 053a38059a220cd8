"""Webhook endpoints and deliveries in DynamoDB."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from functools import reduce
from operator import and_
from typing import Final

from pynamodb.expressions.condition import Condition

from postbreeze.adapters.dynamodb import keys
from postbreeze.adapters.dynamodb.index import longest_waiting
from postbreeze.adapters.dynamodb.items.common import Row, value_of
from postbreeze.adapters.dynamodb.items.webhooks import (
    DeliveryRow,
    EndpointPlaceRow,
    EndpointRow,
    HealthRow,
    PaceRow,
    delivery_of,
    delivery_row,
    endpoint_of,
    endpoint_place_row,
    endpoint_row,
    health_row,
)
from postbreeze.adapters.dynamodb.posts import guard_with
from postbreeze.adapters.dynamodb.table import Database, NotWrittenError, Raw, Writes
from postbreeze.domain import ids
from postbreeze.domain.endpoint_health import Health
from postbreeze.domain.errors import LostRaceError, UnavailableError
from postbreeze.domain.webhook import Delivery, DeliveryStatus, Endpoint
from postbreeze.operations.ports import AccessLostError, DeliveryFilter, MembershipGuard
from postbreeze.operations.webhook_ports import DeliveryPage, Destination

MOST_LOOKED_THROUGH: Final = 1000
"""How many rows are looked through for one page of deliveries."""
MOST_QUERIES: Final = 8
"""How many queries are made for one, each of 1 MB at most."""

CLOCKS_DIFFER: Final = timedelta(minutes=1)
"""How much later the moment in a delivery's id may be than the one at which it was made."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_END: Final = datetime(9999, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class _Meaning(Enum):
    """What a write stands for."""

    ROW = auto()
    ACCESS = auto()


class DynamoWebhookStore:
    """Endpoints and deliveries.

    ``workspaces_table`` is needed by changes with a guard only.
    """

    def __init__(
        self, database: Database, *, webhooks_table: str, workspaces_table: str | None = None
    ) -> None:
        """Call nothing yet."""
        self._database = database
        self._table = database.table(webhooks_table)
        self._workspaces = None if workspaces_table is None else database.table(workspaces_table)

    def add_endpoint(self, endpoint: Endpoint, *, guard: MembershipGuard | None = None) -> None:
        """Add an endpoint, and where it is to be found.

        Raises:
            LostRaceError: It exists.
            AccessLostError: The guard does not hold.
            UnavailableError: It may or may not have been written.
        """
        writes = Writes[_Meaning]()
        for row in (endpoint_row(endpoint), endpoint_place_row(endpoint)):
            writes.put(self._table, row, Row.pk.does_not_exist(), _Meaning.ROW)
        self._write(writes, guard)

    def endpoints(self, workspace_id: str) -> Sequence[Endpoint]:
        """List a workspace's endpoints by id, strongly consistent."""
        rows = self._table.query(
            keys.workspace(workspace_id), EndpointRow.sk.startswith(keys.ENDPOINTS)
        )
        return [endpoint_of(EndpointRow.from_raw_data(raw)) for raw in rows]

    def endpoint(self, workspace_id: str, endpoint_id: str) -> Endpoint | None:
        """Read one endpoint, strongly consistent."""
        row = self._table.get(EndpointRow, *_place(workspace_id, endpoint_id))
        return None if row is None else endpoint_of(row)

    def workspace_of_endpoint(self, endpoint_id: str) -> str | None:
        """Return the workspace that an endpoint is in, strongly consistent."""
        row = self._table.get(EndpointPlaceRow, keys.endpoint(endpoint_id), keys.ENDPOINT)
        return None if row is None else row.workspace_id

    def replace_endpoint(
        self, endpoint: Endpoint, *, expected_revision: int, guard: MembershipGuard | None = None
    ) -> None:
        """Write a changed endpoint.

        Raises:
            LostRaceError: It has changed meanwhile, or was removed.
            AccessLostError: The guard does not hold.
            UnavailableError: It may or may not have been written.
        """
        writes = Writes[_Meaning]()
        as_read = Row.revision == expected_revision
        writes.put(self._table, endpoint_row(endpoint), as_read, _Meaning.ROW)
        self._write(writes, guard)

    def remove_endpoint(self, endpoint: Endpoint, *, guard: MembershipGuard | None = None) -> None:
        """Remove an endpoint as it was read, and where it is to be found.

        How it is and its pace stay, two small rows: attempts under way write them, and would be in
        the way of removing an endpoint that is sent much.

        Raises:
            LostRaceError: It has changed meanwhile, or was removed.
            AccessLostError: The guard does not hold.
            UnavailableError: It may or may not have been removed.
        """
        writes = Writes[_Meaning]()
        as_read = Row.revision == endpoint.revision
        writes.delete(
            self._table, *_place(endpoint.workspace_id, endpoint.id), as_read, _Meaning.ROW
        )
        writes.delete(self._table, keys.endpoint(endpoint.id), keys.ENDPOINT, None, _Meaning.ROW)
        self._write(writes, guard)

    def destination(self, workspace_id: str, endpoint_id: str) -> Destination | None:
        """Read an endpoint with its health together, strongly consistent."""
        endpoint: Endpoint | None = None
        health: Health | None = None
        health_place = (keys.endpoint(endpoint_id), keys.HEALTH)
        for raw in self._table.get_all([_place(workspace_id, endpoint_id), health_place]):
            if raw["sk"]["S"] == keys.HEALTH:
                health = value_of(Health, HealthRow.from_raw_data(raw))
            else:
                endpoint = endpoint_of(EndpointRow.from_raw_data(raw))
        return None if endpoint is None else Destination(endpoint=endpoint, health=health)

    def replace_health(self, health: Health, *, expected_revision: int) -> None:
        """Write how an endpoint is; the revision expected of one that is not kept yet is 0.

        Raises:
            LostRaceError: It has changed meanwhile.
            UnavailableError: It may or may not have been written.
        """
        writes = Writes[_Meaning]()
        as_read = (
            Row.revision == expected_revision if expected_revision else Row.pk.does_not_exist()
        )
        writes.put(self._table, health_row(health), as_read, _Meaning.ROW)
        self._write(writes)

    def reserve(self, endpoint_id: str, *, now: datetime, interval: timedelta) -> datetime:
        """Reserve the next moment, now or later, at which an endpoint may be sent a request.

        The row says when the next may be: it is moved on from now if that has come, else from
        where it is. It never goes back, so that one of the two always holds.

        Raises:
            UnavailableError: A moment may or may not have been reserved.
        """
        present, step = _microseconds(now), interval // _MICROSECOND
        moves = (
            (
                PaceRow.free_at.set(present + step),
                PaceRow.free_at.does_not_exist() | (PaceRow.free_at <= present),
            ),
            (PaceRow.free_at.set(PaceRow.free_at + step), PaceRow.free_at > present),
        )
        for move, condition in moves:
            is_reserved, row = self._table.update(
                PaceRow, keys.endpoint(endpoint_id), keys.PACE, [move], condition
            )
            if is_reserved and row is not None:
                return _EPOCH + (int(row.free_at) - step) * _MICROSECOND
        raise UnavailableError("an endpoint's pace went back")

    def due_endpoints(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """Return (workspace id, endpoint id) of those whose ``due_at`` has come, oldest first."""
        return self._due(keys.DUE_ENDPOINTS, now, limit)

    def add_delivery(self, delivery: Delivery) -> bool:
        """Add a delivery; False where it exists already, which is then left as it is.

        Raises:
            UnavailableError: It may or may not have been written.
        """
        writes = Writes[None]()
        writes.put(self._table, delivery_row(delivery), Row.pk.does_not_exist(), None)
        try:
            self._database.write(writes)
        except NotWrittenError as error:
            if not error.failed:
                # Others are at that very row and may yet fail: whether it will exist is unknown.
                raise UnavailableError("another write is under way") from error
            return False
        return True

    def delivery(self, endpoint_id: str, delivery_id: str) -> Delivery | None:
        """Read one delivery, strongly consistent."""
        row = self._table.get(
            DeliveryRow, keys.endpoint(endpoint_id), keys.DELIVERIES + delivery_id
        )
        return None if row is None else delivery_of(row)

    def deliveries(
        self, endpoint_id: str, wanted: DeliveryFilter, *, limit: int, before: str | None = None
    ) -> DeliveryPage:
        """List an endpoint's deliveries, newest first, from the one before that id on.

        Strongly consistent. A page can be shorter than the limit, and even empty, and not be the
        last: 1,000 rows or 8 MB are looked through for one at most.
        """
        bound = DeliveryRow.sk < keys.DELIVERIES + _first_beyond(wanted, before)
        condition = _is_wanted(wanted)
        found: list[Raw] = []
        looked_at = 0
        last: Raw | None = None
        for _ in range(MOST_QUERIES):
            # Where nothing is left out one more tells whether there is a next page.
            needed = limit + 1 - len(found) if condition is None else MOST_LOOKED_THROUGH
            some = self._table.query_some(
                keys.endpoint(endpoint_id),
                bound,
                condition,
                start=last,
                limit=min(needed, MOST_LOOKED_THROUGH - looked_at),
            )
            found += some.rows
            looked_at += some.looked_at
            last = some.last
            if last is None or len(found) > limit or looked_at >= MOST_LOOKED_THROUGH:
                break
        deliveries = tuple(delivery_of(DeliveryRow.from_raw_data(raw)) for raw in found[:limit])
        if len(found) > limit:
            return DeliveryPage(deliveries=deliveries, next_before=deliveries[-1].id)
        return DeliveryPage(
            deliveries=deliveries,
            next_before=None if last is None else keys.identifier(last["sk"]["S"]),
        )

    def waiting_deliveries(
        self, endpoint_id: str, status: DeliveryStatus, *, since: datetime | None, limit: int
    ) -> Sequence[str]:
        """List the ids of an endpoint's deliveries that are PARKED, or EXHAUSTED, oldest first.

        Those made at ``since`` or later. One that came to it a moment ago may be missing, and one
        that has just left may be there.
        """
        rows = self._table.query_index(
            "due",
            keys.waiting(endpoint_id, status),
            None if since is None else DeliveryRow.due_at >= since,
            limit=limit,
        )
        return [keys.identifier(row["sk"]["S"]) for row in rows]

    def replace_delivery(self, delivery: Delivery, *, expected_revision: int) -> None:
        """Write a changed delivery.

        Raises:
            LostRaceError: It has changed meanwhile.
            UnavailableError: It may or may not have been written.
        """
        writes = Writes[_Meaning]()
        as_read = Row.revision == expected_revision
        writes.put(self._table, delivery_row(delivery), as_read, _Meaning.ROW)
        self._write(writes)

    def due_deliveries(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """Return (endpoint id, delivery id) of those whose ``due_at`` has come, oldest first."""
        return self._due(keys.DUE, now, limit)

    def _due(self, kind: str, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        rows = longest_waiting(
            self._table,
            index="due",
            partitions=keys.shards(kind),
            condition=DeliveryRow.due_at <= now,
            waiting_since="dueAt",
            limit=limit,
        )
        return [(keys.identifier(row["pk"]["S"]), keys.identifier(row["sk"]["S"])) for row in rows]

    def _write(self, writes: Writes[_Meaning], guard: MembershipGuard | None = None) -> None:
        """Write all or nothing. Where both fail, lost access counts before a lost race."""
        if guard is not None:
            if self._workspaces is None:
                raise RuntimeError("a change has a guard, and its store no workspaces table")
            guard_with(writes, self._workspaces, guard, _Meaning.ACCESS)
        try:
            self._database.write(writes)
        except NotWrittenError as error:
            if _Meaning.ACCESS in {meaning for meaning, _ in error.failed}:
                raise AccessLostError("the guard does not hold") from error
            raise LostRaceError("a row has changed") from error


def _place(workspace_id: str, endpoint_id: str) -> tuple[str, str]:
    return keys.workspace(workspace_id), keys.ENDPOINTS + endpoint_id


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _first_beyond(wanted: DeliveryFilter, before: str | None) -> str:
    """Return the least of the ids that are too late.

    An id carries its event's moment, before which no delivery of it is made; how long after is not
    known, so nothing is too early.
    """
    beyond = [] if before is None else [before]
    if wanted.until is not None:
        until = min(max(wanted.until, _EPOCH), _END) + CLOCKS_DIFFER
        beyond.append(ids.new_id(ids.DELIVERY, until, bytes(10)))
    return min(beyond, default="~")


def _is_wanted(wanted: DeliveryFilter) -> Condition | None:
    """Build the condition for what is asked for; None for everything."""
    conditions: list[Condition] = []
    if wanted.statuses is not None:
        conditions.append(DeliveryRow.status.is_in(*sorted(wanted.statuses)))
    if wanted.event_type is not None:
        conditions.append(DeliveryRow.event_type == wanted.event_type)
    if wanted.since is not None:
        conditions.append(DeliveryRow.created_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(DeliveryRow.created_at < wanted.until)
    return reduce(and_, conditions) if conditions else None
