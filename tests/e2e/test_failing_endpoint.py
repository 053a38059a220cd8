"""Endpoints that want no more, or no more for now: nothing meant for them is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.receiver import Behaviour, Receiver
from postbreeze.domain.access import Role
from postbreeze.domain.post import Platform
from postbreeze.domain.webhook import Delivery, DeliveryStatus, EndpointStatus
from postbreeze.operations.ports import DeliveryFilter
from tests.e2e.aws import client
from tests.e2e.client import Api, wait_until
from tests.support.deployment import operator_of

pytestmark = pytest.mark.e2e

Stack = Mapping[str, Any]


class Customer:
    """A workspace of its own with one endpoint, which is told of cancelled posts only."""

    def __init__(self, stack: Stack, receiver: Receiver) -> None:
        self.operator = operator_of(stack)
        self.workspace_id = self.operator.workspaces.create("A customer").id
        owner = self.operator.workspaces.add_member(self.workspace_id, Role.OWNER).user_id
        key = self.operator.keys.mint(owner, "test").plaintext
        self.account = self.operator.accounts.add(
            self.workspace_id, Platform.X, "Customer", "customer"
        ).id
        self.endpoint_id = self.operator.endpoints.add(
            self.workspace_id, receiver.url, ["post.cancelled"]
        ).endpoint.id
        self.api = Api({**stack, "keys": {"owner": key}})

    def cancel_a_post(self) -> str:
        """Schedule a post and cancel it, of which the endpoint is to be told."""
        post_id = str(self.api.schedule(self.account, seconds=3600)["id"])
        assert self.api.cancel(post_id).status == 200
        return post_id

    def deliveries(self) -> list[Delivery]:
        """Everything for the endpoint, oldest first."""
        newest_first = self.operator.endpoints.deliveries(
            self.workspace_id, self.endpoint_id, DeliveryFilter(), limit=100
        )
        return list(reversed(newest_first.deliveries))

    def wait_for(self, *statuses: DeliveryStatus, attempted: bool = False) -> list[Delivery]:
        """Wait until the endpoint's deliveries have these statuses, and an attempt if wished."""

        def look() -> list[Delivery] | None:
            found = self.deliveries()
            settled = [each.status for each in found] == list(statuses) and all(
                each.leased_until is None and (each.attempts or not attempted) for each in found
            )
            return found if settled else None

        return wait_until(look, f"deliveries to be {', '.join(statuses)}")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that no other test shares."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def customer(stack: Stack, receiver: Receiver) -> Customer:
    return Customer(stack, receiver)


def ids_and_posts(receiver: Receiver) -> list[tuple[str, str]]:
    """The delivery id and the post id of every request received."""
    bodies = [json.loads(request["body"]) for request in receiver.requests]
    return [(body["deliveryId"], body["payload"]["post"]["id"]) for body in bodies]


def test_an_endpoint_that_is_gone_is_left_alone_until_it_is_enabled_again(
    customer: Customer, receiver: Receiver
) -> None:
    # Given an endpoint that answers 410
    receiver.behave(Behaviour(status=410))
    # When it is told of a cancelled post
    first_post = customer.cancel_a_post()
    [first] = customer.wait_for(DeliveryStatus.PARKED)
    # Then it is disabled, which says why, and the delivery is kept
    [endpoint] = customer.operator.endpoints.list(customer.workspace_id)
    assert endpoint.status is EndpointStatus.DISABLED
    assert "410" in (endpoint.disabled_reason or "")
    assert [attempt.status for attempt in first.attempts] == [410]
    # And what comes after it is kept too, without a request
    second_post = customer.cancel_a_post()
    _, second = customer.wait_for(DeliveryStatus.PARKED, DeliveryStatus.PARKED)
    assert second.attempts == ()
    assert ids_and_posts(receiver) == [(first.id, first_post)]
    # When the endpoint is well again and the operator enables it
    receiver.behave(Behaviour())
    _, sent = customer.operator.endpoints.enable(customer.workspace_id, customer.endpoint_id)
    # Then both arrive, under the ids they had, and nothing else does
    assert sent == 2
    first, second = customer.wait_for(DeliveryStatus.DELIVERED, DeliveryStatus.DELIVERED)
    assert ids_and_posts(receiver)[0] == (first.id, first_post)
    assert sorted(ids_and_posts(receiver)[1:]) == sorted(
        [(first.id, first_post), (second.id, second_post)]
    )
    assert [attempt.status for attempt in first.attempts] == [410, 200]
    assert [attempt.status for attempt in second.attempts] == [200]
    # And the next one comes as if nothing had been
    third_post = customer.cancel_a_post()
    *_, third = customer.wait_for(*[DeliveryStatus.DELIVERED] * 3)
    assert ids_and_posts(receiver)[3:] == [(third.id, third_post)]


def test_a_delivery_that_no_message_announces_is_made_by_reconcile(
    stack: Stack, customer: Customer, receiver: Receiver
) -> None:
    # Given an endpoint that wants this event later, by more than a message can be delayed
    receiver.behave(Behaviour(status=500, times=1, headers={"Retry-After": "3600"}))
    post_id = customer.cancel_a_post()
    [waiting] = customer.wait_for(DeliveryStatus.PENDING, attempted=True)
    assert waiting.next_attempt_at is not None
    assert waiting.next_attempt_at > datetime.now(UTC) + timedelta(minutes=50)
    # When that time has passed: its row is all there is of it
    passed = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1)
    customer.operator.endpoints.webhooks.replace_delivery(
        replace(waiting, next_attempt_at=passed, due_at=passed, revision=waiting.revision + 1),
        expected_revision=waiting.revision,
    )
    # And reconcile runs
    client(stack, "lambda").invoke(FunctionName=stack["outputs"]["ReconcileFunctionName"])
    # Then the delivery is made, under its id
    [delivered] = customer.wait_for(DeliveryStatus.DELIVERED)
    assert [attempt.status for attempt in delivered.attempts] == [500, 200]
    assert ids_and_posts(receiver) == [(waiting.id, post_id)] * 2
