"""The life of an endpoint, from its creation by HTTP to its removal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from local.receiver import Behaviour, Receiver
from local.seed import PLENTY
from postbreeze.domain.access import Grant, Role
from postbreeze.domain.post import Platform
from postbreeze.domain.webhook import DeliveryStatus
from tests.e2e.client import Api, moment, wait_until
from tests.support.deployment import operator_of

pytestmark = pytest.mark.e2e

Stack = Mapping[str, Any]


class Customer:
    """A workspace of its own, whose owner manages its endpoints over HTTP."""

    def __init__(self, stack: Stack, receiver: Receiver) -> None:
        operator = operator_of(stack)
        self.receiver = receiver
        self.workspace_id = operator.workspaces.create("A customer").id
        owner = operator.workspaces.add_member(self.workspace_id, Role.OWNER).user_id
        key = operator.keys.mint(
            owner, "test", grants=list(Grant), requests_per_minute=PLENTY
        ).plaintext
        self.account = operator.accounts.add(
            self.workspace_id, Platform.X, "Customer", "customer"
        ).id
        self.api = Api({**stack, "keys": {"owner": key}})
        self.path = "/webhooks"
        self.seen = 0

    def ask(self, method: str, path: str = "", body: object = None) -> Any:
        """Ask for something of the endpoint, which must succeed, and return what is answered."""
        reply = self.api.call(method, self.path + path, body)
        assert reply.status in {200, 201, 202}, reply
        return reply.body

    def cancel_a_post(self) -> None:
        """Schedule a post and cancel it, of which the endpoint is to be told twice."""
        post_id = str(self.api.schedule(self.account, seconds=3600)["id"])
        assert self.api.cancel(post_id).status == 200

    def logged(self, status: str, count: int = 1) -> list[str]:
        """Wait until the latest deliveries, oldest first, have this status; return their ids."""

        def look() -> list[str] | None:
            latest = self.ask("GET", f"/deliveries?limit={count}")
            statuses = [each["status"] for each in latest]
            return [each["id"] for each in latest[::-1]] if statuses == [status] * count else None

        return wait_until(look, f"{count} deliveries to be {status}")

    def received(self, count: int) -> list[dict[str, Any]]:
        """Return the latest requests of so many that there must have been."""
        requests = self.receiver.requests
        latest = requests[self.seen :]
        assert len(latest) == count, requests
        self.seen = len(requests)
        return latest


@pytest.fixture
def customer(stack: Stack) -> Iterator[Customer]:
    with Receiver() as receiver:
        yield Customer(stack, receiver)


def test_an_endpoint_is_managed_over_http_from_first_to_last(
    stack: Stack, customer: Customer
) -> None:
    # Given an endpoint
    made = customer.ask(
        "POST",
        body={
            "workspaceId": customer.workspace_id,
            "url": customer.receiver.url,
            "events": ["post.scheduled", "post.cancelled"],
            "headers": {"X-Story": "ours"},
        },
    )
    customer.path = f"/webhooks/{made['id']}"
    # When a post is scheduled and cancelled, then both arrive, signed with its secret
    customer.cancel_a_post()
    first = customer.logged("DELIVERED", 2)
    requests = customer.received(2)
    assert _ids(requests) == set(first)
    assert all(_is_ours(each, made["secret"]) for each in requests)
    assert {each["headers"]["X-Story"] for each in requests} == {"ours"}

    # When it has a new secret, then for a while both sign
    second = customer.ask("POST", "/rotate-secret")
    test = customer.ask("POST", "/test")["id"]
    assert customer.logged("DELIVERED") == [test]
    [request] = customer.received(1)
    assert json.loads(request["body"])["event"] == "webhook.test"
    assert _is_ours(request, made["secret"])
    assert _is_ours(request, second["secret"])
    # And where they are not to overlap, the new one alone; what is sent again has the same id
    third = customer.ask("POST", "/rotate-secret", {"overlapSeconds": 0})
    customer.ask("POST", f"/deliveries/{test}/redeliver")
    assert customer.logged("DELIVERED") == [test]
    requests = customer.received(1)
    assert _ids(requests) == {test}
    assert _is_ours(requests[0], third["secret"])
    assert not _is_ours(requests[0], second["secret"])

    # When it is disabled, then what happens is kept for it, and sent once it is enabled
    assert customer.ask("PATCH", body={"status": "DISABLED"})["status"] == "DISABLED"
    customer.cancel_a_post()
    parked = customer.logged("PARKED", 2)
    customer.received(0)
    customer.ask("PATCH", body={"status": "ENABLED"})
    assert customer.logged("DELIVERED", 2) == parked
    assert _ids(customer.received(2)) == set(parked)

    # When deliveries were given up, then they are sent again where that is asked for
    store = operator_of(stack).endpoints.webhooks
    for delivery_id in parked:
        delivery = store.delivery(made["id"], delivery_id)
        assert delivery is not None
        store.replace_delivery(
            replace(delivery, status=DeliveryStatus.EXHAUSTED, revision=delivery.revision + 1),
            expected_revision=delivery.revision,
        )
    recovering = customer.ask("POST", "/recover", {"since": moment(-3600)})
    assert recovering["deliveriesSent"] == 2
    assert customer.logged("DELIVERED", 2) == parked
    assert _ids(customer.received(2)) == set(parked)

    # When it is removed while it fails, then what was still to be sent to it is dropped
    customer.receiver.behave(Behaviour(status=500))
    last = customer.ask("POST", "/test")["id"]
    customer.receiver.wait_for(customer.seen + 1)
    customer.ask("DELETE")
    assert customer.api.call("GET", customer.path).status == 404

    def is_dropped() -> bool | None:
        delivery = store.delivery(made["id"], last)
        return True if delivery and delivery.status is DeliveryStatus.DROPPED else None

    wait_until(is_dropped, "the delivery to be dropped")
    customer.received(1)


def _ids(requests: list[dict[str, Any]]) -> set[str]:
    return {json.loads(each["body"])["deliveryId"] for each in requests}


def _is_ours(request: Mapping[str, Any], secret: str) -> bool:
    try:
        Webhook(secret).verify(request["body"], dict(request["headers"]))
    except WebhookVerificationError:
        return False
    return True
