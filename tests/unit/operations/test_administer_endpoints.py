"""Webhook endpoints, as the operator looks after them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from postbreeze.domain import ids, webhook
from postbreeze.domain.errors import (
    ContendedError,
    LostRaceError,
    NotFoundError,
    RefusalError,
    ValidationError,
)
from postbreeze.domain.webhook import DeliveryStatus, Endpoint, EndpointStatus
from postbreeze.operations.administer.endpoints import BY_OPERATOR, MOST_ENDPOINTS
from postbreeze.operations.deliver import sealing_context
from postbreeze.webhooks.signature import secret_bytes
from tests.support.builders import a_delivery, an_id
from tests.support.fakes import START, QueuedDelivery
from tests.support.operators import FakeOperator

URL = "https://hooks.example.com/postbreeze"


@pytest.fixture
def operator() -> FakeOperator:
    return FakeOperator()


@pytest.fixture
def endpoint(operator: FakeOperator) -> Endpoint:
    workspace_id = operator.workspaces.create("a").id
    return operator.endpoints.add(workspace_id, URL, ["*"]).endpoint


def test_a_new_endpoint_is_enabled_and_its_secret_sealed(operator: FakeOperator) -> None:
    # Given
    workspace_id = operator.workspaces.create("a").id
    # When
    new = operator.endpoints.add(
        workspace_id, URL, ["post.*", "webhook.test", "post.*"], description=" ours "
    )
    # Then
    stored = operator.world.webhooks.endpoint(workspace_id, new.endpoint.id)
    assert stored == new.endpoint
    assert stored.status is EndpointStatus.ENABLED
    assert (stored.event_filters, stored.description) == (("post.*", "webhook.test"), "ours")
    [sealed] = stored.sealed_secrets
    assert operator.world.secrets.open(sealed, sealing_context(stored)) == new.secret
    assert len(secret_bytes(new.secret)) == 32
    assert new.secret not in repr(new)


@pytest.mark.parametrize(
    ("url", "filters", "description", "path"),
    [
        ("http://hooks.example.com", ["*"], None, "url"),
        (URL, [], None, "events"),
        (URL, ["post.vanished"], None, "events.0"),
        (URL, ["*"], "", "description"),
    ],
)
def test_malformed_values_are_refused(
    operator: FakeOperator, url: str, filters: list[str], description: str | None, path: str
) -> None:
    workspace_id = operator.workspaces.create("a").id
    with pytest.raises(ValidationError, match=path):
        operator.endpoints.add(workspace_id, url, filters, description=description)
    assert operator.endpoints.list(workspace_id) == []


def test_a_workspace_has_so_many_endpoints_and_no_more(operator: FakeOperator) -> None:
    # Given
    workspace_id = operator.workspaces.create("a").id
    for _ in range(MOST_ENDPOINTS):
        operator.endpoints.add(workspace_id, URL, ["*"])
    # When
    with pytest.raises(RefusalError, match="at most 20"):
        operator.endpoints.add(workspace_id, URL, ["*"])
    # Then
    assert len(operator.endpoints.list(workspace_id)) == MOST_ENDPOINTS


def test_disabling_keeps_the_first_moment(operator: FakeOperator, endpoint: Endpoint) -> None:
    # When
    disabled = operator.endpoints.disable(endpoint.workspace_id, endpoint.id)
    operator.world.clock.advance(hours=1)
    again = operator.endpoints.disable(endpoint.workspace_id, endpoint.id)
    # Then
    assert disabled == again
    assert (disabled.status, disabled.disabled_at, disabled.disabled_reason) == (
        EndpointStatus.DISABLED,
        START,
        BY_OPERATOR,
    )


def test_enabling_sends_what_was_parked_oldest_first(
    operator: FakeOperator, endpoint: Endpoint
) -> None:
    # Given
    operator.endpoints.disable(endpoint.workspace_id, endpoint.id)
    store = operator.world.webhooks
    parked = [webhook.parked(a_delivery(endpoint)) for _ in range(3)]
    done = webhook.dropped(a_delivery(endpoint))
    for delivery in (*parked, done):
        store.add_delivery(delivery)
    # When
    enabled, sent = operator.endpoints.enable(endpoint.workspace_id, endpoint.id)
    # Then
    assert (enabled.status, sent) == (EndpointStatus.ENABLED, 3)
    assert operator.world.delivery_queue.sent == [
        QueuedDelivery(endpoint_id=endpoint.id, delivery_id=delivery.id) for delivery in parked
    ]
    for delivery in parked:
        moved = store.delivery(endpoint.id, delivery.id)
        assert moved is not None
        assert (moved.status, moved.next_attempt_at) == (DeliveryStatus.PENDING, START)
        assert moved.due_at == START + timedelta(seconds=30)
    assert store.delivery(endpoint.id, done.id) == done


def test_enabling_again_only_sends_stragglers(operator: FakeOperator, endpoint: Endpoint) -> None:
    # Given: a delivery that was parked while the endpoint was being enabled.
    straggler = webhook.parked(a_delivery(endpoint))
    operator.world.webhooks.add_delivery(straggler)
    # When
    outcomes = [operator.endpoints.enable(endpoint.workspace_id, endpoint.id) for _ in range(2)]
    # Then
    assert outcomes == [(endpoint, 1), (endpoint, 0)]


def test_a_delivery_that_somebody_else_sends_is_left_to_them(
    operator: FakeOperator, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    operator.world.webhooks.add_delivery(webhook.parked(a_delivery(endpoint)))

    def lost(delivery: object, *, expected_revision: int) -> None:
        raise LostRaceError

    monkeypatch.setattr(operator.world.webhooks, "replace_delivery", lost)
    # When
    _, sent = operator.endpoints.enable(endpoint.workspace_id, endpoint.id)
    # Then
    assert (sent, operator.world.delivery_queue.sent) == (0, [])


@pytest.mark.parametrize("losses", [1, 100])
def test_a_lost_race_is_run_again_but_not_for_ever(
    operator: FakeOperator, endpoint: Endpoint, losses: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    write = operator.world.webhooks.replace_endpoint
    left = iter(range(losses))

    def contended(changed: Endpoint, *, expected_revision: int) -> None:
        if next(left, None) is not None:
            raise LostRaceError
        write(changed, expected_revision=expected_revision)

    monkeypatch.setattr(operator.world.webhooks, "replace_endpoint", contended)
    # When
    if losses == 100:
        with pytest.raises(ContendedError):
            operator.endpoints.disable(endpoint.workspace_id, endpoint.id)
    else:
        disabled = operator.endpoints.disable(endpoint.workspace_id, endpoint.id)
        # Then
        assert disabled.status is EndpointStatus.DISABLED


def test_deliveries_come_newest_first_and_not_too_many(
    operator: FakeOperator, endpoint: Endpoint
) -> None:
    # Given
    made = [a_delivery(endpoint) for _ in range(3)]
    for delivery in made:
        operator.world.webhooks.add_delivery(delivery)
    # When
    found = operator.endpoints.deliveries(endpoint.workspace_id, endpoint.id, 2)
    # Then
    assert found == [made[2], made[1]]


def test_an_endpoint_is_found_in_its_own_workspace_only(
    operator: FakeOperator, endpoint: Endpoint
) -> None:
    # Given
    other = operator.workspaces.create("b").id
    # Then
    with pytest.raises(NotFoundError, match=endpoint.id):
        operator.endpoints.enable(other, endpoint.id)
    with pytest.raises(NotFoundError):
        operator.endpoints.deliveries(other, endpoint.id, 1)
    with pytest.raises(NotFoundError):
        operator.endpoints.list(an_id(ids.WORKSPACE))
    with pytest.raises(NotFoundError):
        operator.endpoints.add(an_id(ids.WORKSPACE), URL, ["*"])
    with pytest.raises(ValidationError, match="workspace"):
        operator.endpoints.deliveries("ws_1", endpoint.id, 1)
    with pytest.raises(ValidationError, match="endpoint"):
        operator.endpoints.disable(other, "wh_1")


def test_a_description_has_at_most_256_characters(
    operator: FakeOperator, endpoint: Endpoint
) -> None:
    # Given
    workspace_id = endpoint.workspace_id
    # Then
    longest = "a" * 256
    new = operator.endpoints.add(workspace_id, URL, ["*"], description=longest).endpoint
    assert new.description == longest
    with pytest.raises(ValidationError):
        operator.endpoints.add(workspace_id, URL, ["*"], description=longest + "a")
