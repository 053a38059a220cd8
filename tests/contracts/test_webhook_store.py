"""What every store of endpoints and deliveries promises."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from postbreeze.adapters.dynamodb.table import Database
from postbreeze.adapters.dynamodb.webhooks import DynamoWebhookStore
from postbreeze.domain import ids
from postbreeze.domain.errors import LostRaceError
from postbreeze.domain.webhook import Attempt, Delivery, DeliveryStatus, EndpointStatus
from postbreeze.operations.ports import WebhookStore
from tests.support.aws import Aws
from tests.support.builders import WORKSPACE_ID, a_delivery, an_endpoint, an_id
from tests.support.fakes import START, FakeWebhookStore
from tests.support.faults import answers_lost


@pytest.fixture
def webhooks(aws: Aws | None) -> WebhookStore:
    return webhooks_on(aws)


def webhooks_on(aws: Aws | None) -> WebhookStore:
    if aws is None:
        return FakeWebhookStore()
    return DynamoWebhookStore(
        Database(aws.clients.dynamodb()), webhooks_table=aws.tables()["webhooks"]
    )


# Endpoints


def test_an_endpoint_is_read_as_it_was_added(webhooks: WebhookStore) -> None:
    # Given
    plain = an_endpoint()
    full = an_endpoint(
        event_filters=("post.*", "account.disconnected"),
        status=EndpointStatus.DISABLED,
        sealed_secrets=(b"\x00old", b"\xffnew"),
        description="Köln",
        headers={"X-Team": "a", "X-Other": "ü"},
        disabled_at=START,
        disabled_reason="410",
        revision=3,
    )
    # When
    for endpoint in (full, plain):
        webhooks.add_endpoint(endpoint)
    # Then
    assert webhooks.endpoint(WORKSPACE_ID, plain.id) == plain
    assert webhooks.endpoint(WORKSPACE_ID, full.id) == full
    assert webhooks.endpoints(WORKSPACE_ID) == [plain, full]


def test_an_endpoint_belongs_to_its_workspace(webhooks: WebhookStore) -> None:
    # Given
    endpoint = an_endpoint()
    webhooks.add_endpoint(endpoint)
    # Then
    assert webhooks.endpoint(an_id(ids.WORKSPACE), endpoint.id) is None
    assert webhooks.endpoint(WORKSPACE_ID, an_id(ids.ENDPOINT)) is None
    assert webhooks.endpoints(an_id(ids.WORKSPACE)) == []


def test_an_endpoint_is_added_once(webhooks: WebhookStore) -> None:
    # Given
    endpoint = an_endpoint()
    webhooks.add_endpoint(endpoint)
    # When / Then
    with pytest.raises(LostRaceError):
        webhooks.add_endpoint(replace(endpoint, url="https://other.example.com"))
    assert webhooks.endpoints(WORKSPACE_ID) == [endpoint]


def test_an_endpoint_is_replaced_as_long_as_it_stands(webhooks: WebhookStore) -> None:
    # Given
    endpoint = an_endpoint()
    webhooks.add_endpoint(endpoint)
    disabled = replace(endpoint, status=EndpointStatus.DISABLED, disabled_at=START, revision=2)
    # When
    webhooks.replace_endpoint(disabled, expected_revision=1)
    # Then
    with pytest.raises(LostRaceError):
        webhooks.replace_endpoint(replace(endpoint, revision=2), expected_revision=1)
    with pytest.raises(LostRaceError):
        webhooks.replace_endpoint(an_endpoint(), expected_revision=1)
    assert webhooks.endpoints(WORKSPACE_ID) == [disabled]


# Deliveries


def test_a_delivery_is_read_as_it_was_added(webhooks: WebhookStore) -> None:
    # Given
    plain = a_delivery()
    full = a_delivery(
        status=DeliveryStatus.PENDING,
        attempts=(
            Attempt(
                number=1,
                at=START + timedelta(milliseconds=5),
                duration_ms=10_000,
                error="TIMED_OUT",
                message="no answer",
            ),
            Attempt(number=2, at=START, duration_ms=0, status=500, response_body="ä\x00\u2028\n"),
            Attempt(number=3, at=START, duration_ms=1, status=200, response_body=""),
        ),
        next_attempt_at=None,
        leased_until=START + timedelta(seconds=30),
        revision=4,
    )
    # When / Then
    for delivery in (plain, full):
        assert webhooks.add_delivery(delivery)
        assert webhooks.delivery(delivery.endpoint_id, delivery.id) == delivery
    assert webhooks.delivery(plain.endpoint_id, full.id) is None


def test_a_delivery_is_added_once_and_then_left_alone(webhooks: WebhookStore) -> None:
    # Given
    delivery = a_delivery()
    assert webhooks.add_delivery(delivery)
    done = replace(delivery, status=DeliveryStatus.DELIVERED, due_at=None, revision=2)
    webhooks.replace_delivery(done, expected_revision=1)
    # When
    added = webhooks.add_delivery(delivery)
    # Then
    assert added is False
    assert webhooks.delivery(delivery.endpoint_id, delivery.id) == done


def test_a_delivery_is_replaced_as_long_as_it_stands(webhooks: WebhookStore) -> None:
    # Given
    delivery = a_delivery()
    webhooks.add_delivery(delivery)
    leased = replace(delivery, leased_until=START, revision=2)
    # When
    webhooks.replace_delivery(leased, expected_revision=1)
    # Then
    with pytest.raises(LostRaceError):
        webhooks.replace_delivery(replace(delivery, revision=2), expected_revision=1)
    with pytest.raises(LostRaceError):
        webhooks.replace_delivery(a_delivery(), expected_revision=1)
    assert webhooks.delivery(delivery.endpoint_id, delivery.id) == leased


def test_deliveries_are_listed_newest_first(webhooks: WebhookStore) -> None:
    # Given
    endpoint = an_endpoint()
    deliveries = [a_delivery(endpoint) for _ in range(5)]
    for delivery in (*deliveries, a_delivery()):
        webhooks.add_delivery(delivery)
    # Then
    assert webhooks.deliveries(endpoint.id, 100) == deliveries[::-1]
    assert webhooks.deliveries(endpoint.id, 2) == [deliveries[4], deliveries[3]]
    assert webhooks.deliveries(an_id(ids.ENDPOINT), 100) == []


def test_due_deliveries_are_found_oldest_first(webhooks: WebhookStore) -> None:
    # Given deliveries due at different moments, in every shard, and one that never is
    waiting = [a_delivery(due_at=START + timedelta(seconds=(n * 5) % 11)) for n in range(11)]
    for delivery in (*waiting, a_delivery(due_at=None)):
        webhooks.add_delivery(delivery)
    expected = [
        (delivery.endpoint_id, delivery.id)
        for delivery in sorted(waiting, key=lambda delivery: delivery.due_at or START)
    ]
    # Then
    assert webhooks.due_deliveries(START + timedelta(seconds=60), 100) == expected
    assert webhooks.due_deliveries(START + timedelta(seconds=60), 4) == expected[:4]
    assert webhooks.due_deliveries(START + timedelta(seconds=3), 100) == expected[:4]
    assert webhooks.due_deliveries(START - timedelta(milliseconds=1), 100) == []


def test_a_delivery_that_is_done_is_not_due(webhooks: WebhookStore) -> None:
    # Given
    delivery = a_delivery()
    webhooks.add_delivery(delivery)
    # When
    done = replace(delivery, status=DeliveryStatus.DELIVERED, due_at=None, revision=2)
    webhooks.replace_delivery(done, expected_revision=1)
    # Then
    assert webhooks.due_deliveries(START, 10) == []


def test_a_delivery_whose_answer_is_lost_is_added_and_leased_once(engine: Aws) -> None:
    # Given
    webhooks = webhooks_on(engine)
    delivery = a_delivery()
    client = engine.clients.dynamodb()
    # When / Then the repeat finds its own work, not another's
    with answers_lost(client, "TransactWriteItems", times=1):
        assert webhooks.add_delivery(delivery)
    leased = replace(delivery, leased_until=START, revision=2)
    with answers_lost(client, "TransactWriteItems", times=1):
        webhooks.replace_delivery(leased, expected_revision=1)
    assert webhooks.delivery(delivery.endpoint_id, delivery.id) == leased


@pytest.mark.parametrize("place", ["fake", "engine"])
def test_of_eight_who_add_or_lease_a_delivery_one_does(
    request: pytest.FixtureRequest, place: str
) -> None:
    # Given
    store = webhooks_on(None if place == "fake" else request.getfixturevalue("engine"))
    for _ in range(10):
        delivery = a_delivery()
        # When
        added = at_once(partial(adds, store, delivery))
        leased = at_once(partial(takes, store, delivery))
        # Then
        assert sorted(added) == [False] * 7 + [True]
        assert sorted(leased) == [False] * 7 + [True]
        stored = store.delivery(delivery.endpoint_id, delivery.id)
        assert stored is not None
        assert stored.leased_until == START + timedelta(seconds=leased.index(True))


def adds(store: WebhookStore, delivery: Delivery, _: int) -> bool:
    return store.add_delivery(delivery)


def takes(store: WebhookStore, delivery: Delivery, number: int) -> bool:
    leased = replace(delivery, leased_until=START + timedelta(seconds=number), revision=2)
    try:
        store.replace_delivery(leased, expected_revision=1)
    except LostRaceError:
        return False
    return True


def at_once(call: Callable[[int], bool]) -> list[bool]:
    """Make eight calls at the same moment and return their results in order."""
    start = threading.Barrier(8)

    def run(number: int) -> bool:
        start.wait()
        return call(number)

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(run, range(8)))
