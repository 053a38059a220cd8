"""Managing webhook endpoints for owners and admins, by keys that were minted with that grant."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from postbreeze.domain.access import MANAGERS, ApiKey, Grant
from postbreeze.domain.documents import optional_timestamp, to_json
from postbreeze.domain.errors import ContendedError, ForbiddenError
from postbreeze.domain.webhook import Delivery, delivery_document, endpoint_document
from postbreeze.operations import cursors, gate
from postbreeze.operations.administer.endpoints import EndpointChange, Endpoints, NewEndpoint
from postbreeze.operations.answers import Answer
from postbreeze.operations.list_posts import LARGEST_PAGE
from postbreeze.operations.ports import (
    AccessLostError,
    Clock,
    DeliveryFilter,
    Directory,
    MembershipGuard,
    PostStore,
    Together,
)
from postbreeze.operations.races import MOST_RACES
from postbreeze.operations.webhook_ports import DeliveryPage

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateEndpoint:
    """A client's wish for an endpoint."""

    workspace_id: str
    url: str
    event_filters: tuple[str, ...]
    description: str | None
    headers: Mapping[str, str]
    rate_limit: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDeliveries:
    """A client's wish for a page of an endpoint's deliveries."""

    key_digest: str
    endpoint_id: str
    wanted: DeliveryFilter
    limit: int
    cursor: str | None = None

    @property
    def purpose(self) -> tuple[str | None, ...]:
        """What a cursor is bound to."""
        return (
            "deliveries",
            self.endpoint_id,
            self.wanted.event_type,
            optional_timestamp(self.wanted.since),
            optional_timestamp(self.wanted.until),
            *sorted(self.wanted.statuses or ()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Deliveries as documents, and the cursor of the next page if there is one."""

    deliveries: Sequence[Mapping[str, Any]]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManageEndpoints:
    """Looks after a workspace's endpoints for its owners and admins, reading too.

    Everything here raises ``RefusalError`` where it is not allowed or nothing is there, and then
    nothing was written; ``ContendedError`` where other writes kept getting in the way; and
    ``UnavailableError`` where the database did not answer, when it may have been written.
    """

    directory: Directory
    endpoints: Endpoints
    posts: PostStore
    together: Together
    clock: Clock

    def create(self, key_digest: str, command: CreateEndpoint) -> Answer:
        """Add an endpoint, and answer with it and its secret, which is shown this once."""
        _, guard = self._named(key_digest, command.workspace_id)
        return _with_secret(
            201,
            self._guarded(
                guard,
                lambda: self.endpoints.add(
                    command.workspace_id,
                    command.url,
                    command.event_filters,
                    description=command.description,
                    headers=command.headers,
                    rate_limit=command.rate_limit,
                    guard=guard,
                ),
            ),
        )

    def all(self, key_digest: str, workspace_id: str) -> Sequence[Mapping[str, Any]]:
        """List a workspace's endpoints, oldest first."""
        self._named(key_digest, workspace_id)
        return [endpoint_document(each) for each in self.endpoints.list(workspace_id)]

    def read(self, key_digest: str, endpoint_id: str) -> Answer:
        """Answer with an endpoint."""
        _, guard = self._reached(key_digest, endpoint_id)
        endpoint = self.endpoints.read(guard.workspace_id, endpoint_id)
        return Answer(status=200, body=endpoint_document(endpoint))

    def update(self, key_digest: str, endpoint_id: str, wanted: EndpointChange) -> Answer:
        """Change what is given of an endpoint, and answer with it; repeating it is harmless."""
        _, guard = self._reached(key_digest, endpoint_id)
        endpoint = self._guarded(
            guard,
            lambda: self.endpoints.update(guard.workspace_id, endpoint_id, wanted, guard=guard),
        )
        return Answer(status=200, body=endpoint_document(endpoint))

    def remove(self, key_digest: str, endpoint_id: str) -> Answer:
        """Remove an endpoint, and answer with it as it was left."""
        _, guard = self._reached(key_digest, endpoint_id)
        endpoint = self._guarded(
            guard, lambda: self.endpoints.remove(guard.workspace_id, endpoint_id, guard=guard)
        )
        return Answer(status=200, body=endpoint_document(endpoint))

    def rotate_secret(self, key_digest: str, endpoint_id: str, overlap: timedelta) -> Answer:
        """Give an endpoint a new secret, which is shown this once; the present one signs on."""
        _, guard = self._reached(key_digest, endpoint_id)
        return _with_secret(
            200,
            self._guarded(
                guard,
                lambda: self.endpoints.rotate_secret(
                    guard.workspace_id, endpoint_id, overlap=overlap, guard=guard
                ),
            ),
        )

    def test(self, key_digest: str, endpoint_id: str) -> Answer:
        """Send ``webhook.test`` to an endpoint, and answer with the delivery."""
        _, guard = self._reached(key_digest, endpoint_id)
        delivery = self.endpoints.test(guard.workspace_id, endpoint_id)
        return Answer(status=202, body=delivery_document(delivery))

    def deliveries(self, command: ListDeliveries) -> Page:
        """Return a page of what was sent to an endpoint, newest first.

        It may have fewer deliveries than asked for, and yet a cursor.
        """
        key, guard = self._reached(command.key_digest, command.endpoint_id)
        before = None
        if command.cursor is not None:
            before = cursors.read(key.cursor_secret, command.purpose, command.cursor)["before"]
        found = self.endpoints.deliveries(
            guard.workspace_id,
            command.endpoint_id,
            command.wanted,
            limit=command.limit,
            before=before,
        )
        documents, next_before = _cut(found)
        cursor = None
        if next_before is not None:
            cursor = cursors.sign(key.cursor_secret, command.purpose, {"before": next_before})
        return Page(deliveries=documents, cursor=cursor)

    def delivery(self, key_digest: str, endpoint_id: str, delivery_id: str) -> Answer:
        """Answer with a delivery and its event's payload, None where that is not kept any more."""
        _, guard = self._reached(key_digest, endpoint_id)
        delivery = self.endpoints.delivery(guard.workspace_id, endpoint_id, delivery_id)
        document = {**delivery_document(delivery), "payload": self._payload(delivery)}
        return Answer(status=200, body=document)

    def redeliver(self, key_digest: str, endpoint_id: str, delivery_id: str) -> Answer:
        """Send a delivery again, and answer with it; its id stays the same."""
        _, guard = self._reached(key_digest, endpoint_id)
        delivery = self.endpoints.redeliver(guard.workspace_id, endpoint_id, delivery_id)
        return Answer(status=202, body=delivery_document(delivery))

    def recover(self, key_digest: str, endpoint_id: str, since: datetime) -> Answer:
        """Send again what was given up since a moment; answer how many were sent off at once."""
        _, guard = self._reached(key_digest, endpoint_id)
        endpoint, sent = self._guarded(
            guard,
            lambda: self.endpoints.recover(guard.workspace_id, endpoint_id, since, guard=guard),
        )
        return Answer(status=202, body={**endpoint_document(endpoint), "deliveriesSent": sent})

    def _named(self, key_digest: str, workspace_id: str) -> tuple[ApiKey, MembershipGuard]:
        """Let a request pass that names a workspace."""
        key = self._granted(self.directory.admit(key_digest))
        gate.workspace_named(key, workspace_id)
        return key, self._manager(key, workspace_id)

    def _reached(self, key_digest: str, endpoint_id: str) -> tuple[ApiKey, MembershipGuard]:
        """Let a request pass that names an endpoint; its workspace is the guard's."""
        key, workspace_id = self.together.run(
            lambda: self.directory.admit(key_digest),
            lambda: self.endpoints.webhooks.workspace_of_endpoint(endpoint_id),
        )
        key = self._granted(key)
        return key, self._manager(key, gate.reaches(key, workspace_id))

    def _granted(self, key: ApiKey | None) -> ApiKey:
        """Return the key if it may manage webhooks, whatever there is."""
        key = gate.usable(key, self.clock.now())
        if Grant.WEBHOOKS not in key.grants:
            raise ForbiddenError
        return key

    def _manager(self, key: ApiKey, workspace_id: str) -> MembershipGuard:
        guard = MembershipGuard(
            workspace_id=workspace_id, user_id=key.owner_user_id, roles=MANAGERS
        )
        self._look(guard)
        return guard

    def _look(self, guard: MembershipGuard) -> None:
        member = self.directory.member(guard.workspace_id, guard.user_id)
        gate.permitted(member, guard.roles)

    def _guarded(self, guard: MembershipGuard, write: Callable[[], _Result]) -> _Result:
        """Write; where the membership did not hold, look at it again."""
        for _ in range(MOST_RACES):
            try:
                return write()
            except AccessLostError:
                self._look(guard)
        raise ContendedError

    def _payload(self, delivery: Delivery) -> Mapping[str, Any] | None:
        if delivery.payload is not None:
            return delivery.payload
        event = self.posts.event(delivery.post_id, delivery.event_id)
        return None if event is None else event.payload


def _cut(found: DeliveryPage) -> tuple[list[Mapping[str, Any]], str | None]:
    """Write what of a page an answer has room for, one at least, and where the next one begins."""
    documents: list[Mapping[str, Any]] = []
    size = 0
    for delivery in found.deliveries:
        document = delivery_document(delivery)
        size += len(json.dumps(to_json(document).decode()))
        if documents and size > LARGEST_PAGE:
            return documents, documents[-1]["id"]
        documents.append(document)
    return documents, found.next_before


def _with_secret(status: int, new: NewEndpoint) -> Answer:
    return Answer(status=status, body={**endpoint_document(new.endpoint), "secret": new.secret})
