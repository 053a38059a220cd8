"""Webhook endpoints and deliveries in DynamoDB."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from postbreeze.adapters.dynamodb import items, keys
from postbreeze.adapters.dynamodb.index import longest_waiting
from postbreeze.adapters.dynamodb.items import DeliveryRow, EndpointRow, Row, value_of
from postbreeze.adapters.dynamodb.table import Database, NotWrittenError, Writes
from postbreeze.domain.errors import LostRaceError, UnavailableError
from postbreeze.domain.webhook import Delivery, Endpoint


class DynamoWebhookStore:
    """Endpoints and deliveries."""

    def __init__(self, database: Database, *, webhooks_table: str) -> None:
        """Call nothing yet."""
        self._database = database
        self._table = database.table(webhooks_table)

    def add_endpoint(self, endpoint: Endpoint) -> None:
        """Add an endpoint.

        Raises:
            LostRaceError: It exists.
        """
        if not self._add(items.endpoint_row(endpoint)):
            raise LostRaceError("the endpoint exists")

    def endpoints(self, workspace_id: str) -> Sequence[Endpoint]:
        """List a workspace's endpoints by id, strongly consistent."""
        rows = self._table.query(
            keys.workspace(workspace_id), EndpointRow.sk.startswith(keys.ENDPOINTS)
        )
        return [value_of(Endpoint, EndpointRow.from_raw_data(raw)) for raw in rows]

    def endpoint(self, workspace_id: str, endpoint_id: str) -> Endpoint | None:
        """Read one endpoint, strongly consistent."""
        row = self._table.get(
            EndpointRow, keys.workspace(workspace_id), keys.ENDPOINTS + endpoint_id
        )
        return None if row is None else value_of(Endpoint, row)

    def replace_endpoint(self, endpoint: Endpoint, *, expected_revision: int) -> None:
        """Write a changed endpoint.

        Raises:
            LostRaceError: It has changed meanwhile.
        """
        self._replace(items.endpoint_row(endpoint), expected_revision)

    def add_delivery(self, delivery: Delivery) -> bool:
        """Add a delivery; False where it exists already, which is then left as it is."""
        return self._add(items.delivery_row(delivery))

    def delivery(self, endpoint_id: str, delivery_id: str) -> Delivery | None:
        """Read one delivery, strongly consistent."""
        row = self._table.get(
            DeliveryRow, keys.endpoint(endpoint_id), keys.DELIVERIES + delivery_id
        )
        return None if row is None else value_of(Delivery, row)

    def deliveries(self, endpoint_id: str, limit: int) -> Sequence[Delivery]:
        """List an endpoint's deliveries, newest first."""
        rows = self._table.query(
            keys.endpoint(endpoint_id),
            DeliveryRow.sk.startswith(keys.DELIVERIES),
            newest_first=True,
            limit=limit,
        )
        return [value_of(Delivery, DeliveryRow.from_raw_data(raw)) for raw in rows]

    def replace_delivery(self, delivery: Delivery, *, expected_revision: int) -> None:
        """Write a changed delivery.

        Raises:
            LostRaceError: It has changed meanwhile.
        """
        self._replace(items.delivery_row(delivery), expected_revision)

    def due_deliveries(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """Return (endpoint id, delivery id) of those whose ``due_at`` has come, oldest first."""
        rows = longest_waiting(
            self._table,
            index="due",
            partitions=keys.shards(keys.DUE),
            condition=DeliveryRow.due_at <= now,
            waiting_since="dueAt",
            limit=limit,
        )
        return [(keys.identifier(row["pk"]["S"]), keys.identifier(row["sk"]["S"])) for row in rows]

    def _add(self, row: Row) -> bool:
        writes = Writes[None]()
        writes.put(self._table, row, Row.pk.does_not_exist(), None)
        try:
            self._database.write(writes)
        except NotWrittenError as error:
            if not error.failed:
                # Others are at that very row and may yet fail: whether it will exist is unknown.
                raise UnavailableError("another write is under way") from error
            return False
        return True

    def _replace(self, row: Row, expected_revision: int) -> None:
        writes = Writes[None]()
        writes.put(self._table, row, Row.revision == expected_revision, None)
        try:
            self._database.write(writes)
        except NotWrittenError as error:
            raise LostRaceError("the row has changed") from error
