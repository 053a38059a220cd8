"""Webhook endpoints, as the operator looks after them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from postbreeze.domain import ids, webhook
from postbreeze.domain.access import MANAGERS
from postbreeze.domain.errors import (
    ContendedError,
    LostRaceError,
    NotFoundError,
    ValidationError,
)
from postbreeze.domain.events import EventType
from postbreeze.domain.webhook import (
    Backlog,
    Delivery,
    DeliveryStatus,
    Endpoint,
    EndpointStatus,
    Lane,
)
from postbreeze.operations.administer.endpoints import (
    FIRST_PAGE,
    LONGEST_DESCRIPTION,
    MOST_A_SECOND,
    MOST_ENDPOINTS,
    ON_REQUEST,
    EndpointChange,
)
from postbreeze.operations.deliver import sealing_context
from postbreeze.operations.ports import AccessLostError, DeliveryFilter, MembershipGuard
from postbreeze.operations.races import MOST_RACES
from postbreeze.webhooks.signature import secret_bytes
from tests.support.builders import LATER, USER_ID, a_delivery, a_member, an_id
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
        workspace_id,
        URL,
        ["post.*", "webhook.test", "post.*"],
        description=" ours ",
        headers={"Authorization": "Bearer x"},
        rate_limit=5,
    )
    # Then
    stored = operator.world.webhooks.endpoint(workspace_id, new.endpoint.id)
    assert stored == new.endpoint
    assert stored.status is EndpointStatus.ENABLED
    assert (stored.event_filters, stored.description) == (("post.*", "webhook.test"), "ours")
    assert (stored.url, stored.headers, stored.rate_limit) == (
        URL,
        {"Authorization": "Bearer x"},
        5,
    )
    assert (stored.created_at, stored.updated_at) == (START, START)
    assert ids.made_at(stored.id) == START
    [sealed] = stored.sealed_secrets
    assert operator.world.secrets.open(sealed, sealing_context(stored)) == new.secret
    assert len(secret_bytes(new.secret)) == 32
    assert new.secret not in repr(new)


def test_what_is_not_said_of_a_new_endpoint_is_not_there(operator: FakeOperator) -> None:
    workspace_id = operator.workspaces.create("a").id
    new = operator.endpoints.add(workspace_id, URL, ["*"]).endpoint
    assert (new.description, new.headers, new.rate_limit) == (None, {}, None)


MALFORMED: list[tuple[EndpointChange, str]] = [
    (EndpointChange(url="http://hooks.example.com"), "url"),
    (EndpointChange(event_filters=[]), "events"),
    (EndpointChange(event_filters=["post.vanished"]), "events.0"),
    (EndpointChange(description=""), "description"),
    (EndpointChange(description="a" * (LONGEST_DESCRIPTION + 1)), "description"),
    (EndpointChange(headers={"Host": "a"}), "headers.Host"),
    (EndpointChange(rate_limit=0), "rateLimit"),
    (EndpointChange(rate_limit=MOST_A_SECOND + 1), "rateLimit"),
]


@pytest.mark.parametrize(("wrong", "path"), MALFORMED)
def test_malformed_values_are_refused(
    operator: FakeOperator, endpoint: Endpoint, wrong: EndpointChange, path: str
) -> None:
    # Given
    wanted: dict[str, Any] = {"url": URL, "event_filters": ["*"], **wrong}
    # When
    with pytest.raises(ValidationError) as adding:
        operator.endpoints.add(endpoint.workspace_id, **wanted)
    with pytest.raises(ValidationError) as updating:
        operator.endpoints.update(endpoint.workspace_id, endpoint.id, wrong)
    # Then
    for refused in (adding, updating):
        assert [detail.path for detail in refused.value.details] == [path]
    assert operator.endpoints.list(endpoint.workspace_id) == [endpoint]


def test_the_bounds_themselves_are_taken(operator: FakeOperator, endpoint: Endpoint) -> None:
    longest = "a" * LONGEST_DESCRIPTION
    for rate_limit in (1, MOST_A_SECOND):
        new = operator.endpoints.add(
            endpoint.workspace_id, URL, ["*"], description=longest, rate_limit=rate_limit
        ).endpoint
        assert (new.description, new.rate_limit) == (longest, rate_limit)
    assert (LONGEST_DESCRIPTION, MOST_A_SECOND) == (256, 100)


def test_a_workspace_has_so_many_endpoints_and_no_more(operator: FakeOperator) -> None:
    # Given
    workspace_id = operator.workspaces.create("a").id
    other = operator.workspaces.create("b").id
    made = [operator.endpoints.add(workspace_id, URL, ["*"]).endpoint for _ in range(20)]
    # When
    with pytest.raises(ValidationError, match=r"workspaceId: .* at most 20"):
        operator.endpoints.add(workspace_id, URL, ["*"])
    # Then
    assert operator.endpoints.list(workspace_id) == sorted(made, key=lambda each: each.id)
    assert operator.world.webhooks.calls["add_endpoint"] == MOST_ENDPOINTS
    operator.endpoints.add(other, URL, ["*"])


def test_two_added_at_once_are_not_one_too_many(
    operator: FakeOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given: room for one more.
    workspace_id = operator.workspaces.create("a").id
    for _ in range(MOST_ENDPOINTS - 1):
        operator.endpoints.add(workspace_id, URL, ["*"])
    write = operator.world.webhooks.add_endpoint
    others: list[Endpoint] = []

    def overtaken(endpoint: Endpoint, *, guard: MembershipGuard | None = None) -> None:
        monkeypatch.setattr(operator.world.webhooks, "add_endpoint", write)
        others.append(operator.endpoints.add(workspace_id, URL, ["*"]).endpoint)
        write(endpoint, guard=guard)

    monkeypatch.setattr(operator.world.webhooks, "add_endpoint", overtaken)
    # When
    with pytest.raises(ContendedError):
        operator.endpoints.add(workspace_id, URL, ["*"])
    # Then
    standing = operator.endpoints.list(workspace_id)
    assert len(standing) == MOST_ENDPOINTS
    assert others[0] in standing


def test_what_is_given_is_changed_and_nothing_else(
    operator: FakeOperator, endpoint: Endpoint
) -> None:
    # Given
    now = operator.world.clock.advance(hours=1)
    # When
    changed = operator.endpoints.update(
        endpoint.workspace_id,
        endpoint.id,
        EndpointChange(
            url=URL + "/2",
            event_filters=["post.*", "post.*"],
            description=" ours ",
            headers={"X-Team": "gulls"},
            rate_limit=7,
        ),
    )
    # Then
    assert changed == replace(
        endpoint,
        url=URL + "/2",
        event_filters=("post.*",),
        description="ours",
        headers={"X-Team": "gulls"},
        rate_limit=7,
        updated_at=now,
        revision=endpoint.revision + 1,
    )
    assert operator.endpoints.read(endpoint.workspace_id, endpoint.id) == changed


def test_what_was_said_can_be_taken_back(operator: FakeOperator, endpoint: Endpoint) -> None:
    # Given
    said = EndpointChange(description="ours", headers={"X-Team": "gulls"}, rate_limit=7)
    operator.endpoints.update(endpoint.workspace_id, endpoint.id, said)
    # When
    changed = operator.endpoints.update(
        endpoint.workspace_id,
        endpoint.id,
        EndpointChange(description=None, headers={}, rate_limit=None),
    )
    # Then
    assert changed == replace(endpoint, revision=endpoint.revision + 2)


@pytest.mark.parametrize(
    "same",
    [
        EndpointChange(),
        EndpointChange(url=URL, event_filters=["*"], status=EndpointStatus.ENABLED),
        EndpointChange(description=None, headers={}, rate_limit=None),
    ],
)
def test_where_nothing_changes_nothing_is_written(
    operator: FakeOperator, endpoint: Endpoint, same: EndpointChange
) -> None:
    assert operator.endpoints.update(endpoint.workspace_id, endpoint.id, same) == endpoint
    assert "replace_endpoint" not in operator.world.webhooks.calls


@pytest.mark.parametrize(
    ("wanted", "is_forgotten"),
    [(EndpointChange(url=URL + "/2"), True), (EndpointChange(rate_limit=7), False)],
)
def test_at_another_url_it_has_not_been_failing(
    operator: FakeOperator, endpoint: Endpoint, wanted: EndpointChange, is_forgotten: bool
) -> None:
    # Given
    failing = replace(endpoint, failing_since=START)
    operator.world.webhooks.replace_endpoint(failing, expected_revision=endpoint.revision)
    # When
    changed = operator.endpoints.update(endpoint.workspace_id, endpoint.id, wanted)
    # Then
    assert (changed.failing_since is None) is is_forgotten


def test_it_is_switched_and_changed_with_one_write(
    operator: FakeOperator, endpoint: Endpoint
) -> None:
    # When
    disabled = operator.endpoints.update(
        endpoint.workspace_id,
        endpoint.id,
        EndpointChange(status=EndpointStatus.DISABLED, rate_limit=7),
    )
    # Then
    assert disabled == replace(webhook.disabled(endpoint, ON_REQUEST, now=START), rate_limit=7)
    assert disabled.revision == endpoint.revision + 1


def test_enabling_by_a_change_sends_what_was_parked(
    operator: FakeOperator, endpoint: Endpoint
) -> None:
    # Given
    operator.endpoints.disable(endpoint.workspace_id, endpoint.id)
    parked = webhook.parked(a_delivery(endpoint))
    operator.world.webhooks.add_delivery(parked)
    # When
    operator.endpoints.update(
        endpoint.workspace_id, endpoint.id, EndpointChange(description="ours")
    )
    before = list(operator.world.delivery_queue.sent)
    enabled = operator.endpoints.update(
        endpoint.workspace_id, endpoint.id, EndpointChange(status=EndpointStatus.ENABLED)
    )
    # Then
    assert (enabled.status, before) == (EndpointStatus.ENABLED, [])
    assert [each.delivery_id for each in operator.world.delivery_queue.sent] == [parked.id]


def test_a_change_alone_sends_nothing_off(operator: FakeOperator, endpoint: Endpoint) -> None:
    # Given: a backlog that the reconciler is working through.
    operator.endpoints.disable(endpoint.workspace_id, endpoint.id)
    operator.endpoints.enable(endpoint.workspace_id, endpoint.id)
    operator.world.webhooks.add_delivery(webhook.parked(a_delivery(endpoint)))
    # When
    operator.endpoints.update(
        endpoint.workspace_id, endpoint.id, EndpointChange(description="ours")
    )
    # Then
    assert operator.world.delivery_queue.sent == []


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
        ON_REQUEST,
    )


def test_enabling_sends_a_first_page_of_what_was_parked_oldest_first(
    operator: FakeOperator, endpoint: Endpoint
) -> None:
    # Given
    operator.endpoints.disable(endpoint.workspace_id, endpoint.id)
    store = operator.world.webhooks
    parked = [webhook.parked(a_delivery(endpoint)) for _ in range(FIRST_PAGE + 1)]
    done = webhook.dropped(a_delivery(endpoint), now=START)
    for delivery in (*parked, done):
        store.add_delivery(delivery)
    # When
    enabled, sent = operator.endpoints.enable(endpoint.workspace_id, endpoint.id)
    # Then
    assert (enabled.status, sent, FIRST_PAGE) == (EndpointStatus.ENABLED, 100, 100)
    assert [each.delivery_id for each in operator.world.delivery_queue.sent] == [
        each.id for each in parked[:-1]
    ]
    assert store.delivery(endpoint.id, parked[-1].id) == parked[-1]
    assert store.delivery(endpoint.id, done.id) == done
    # Then: the reconciler goes on.
    present = operator.endpoints.read(endpoint.workspace_id, endpoint.id)
    assert present.backlog == Backlog(asked_at=START, is_parked=True)
    assert present.due_at == START + timedelta(minutes=1)


def test_enabling_again_goes_on_where_it_was_left_off(
    operator: FakeOperator, endpoint: Endpoint
) -> None:
    # Given
    operator.endpoints.disable(endpoint.workspace_id, endpoint.id)
    operator.endpoints.enable(endpoint.workspace_id, endpoint.id)
    straggler = webhook.parked(a_delivery(endpoint))
    operator.world.webhooks.add_delivery(straggler)
    # When
    sent = [operator.endpoints.enable(endpoint.workspace_id, endpoint.id)[1] for _ in range(2)]
    # Then
    assert sent == [1, 0]


Verb = Callable[[FakeOperator, Endpoint, MembershipGuard | None], object]

CHANGES: dict[str, Verb] = {
    "update": lambda operator, endpoint, guard: operator.endpoints.update(
        endpoint.workspace_id, endpoint.id, EndpointChange(rate_limit=7), guard=guard
    ),
    "rotate_secret": lambda operator, endpoint, guard: operator.endpoints.rotate_secret(
        endpoint.workspace_id, endpoint.id, guard=guard
    ),
    "recover": lambda operator, endpoint, guard: operator.endpoints.recover(
        endpoint.workspace_id, endpoint.id, START, guard=guard
    ),
    "remove": lambda operator, endpoint, guard: operator.endpoints.remove(
        endpoint.workspace_id, endpoint.id, guard=guard
    ),
}


@pytest.mark.parametrize("name", [*CHANGES, "redeliver"])
@pytest.mark.parametrize("losses", [MOST_RACES - 1, MOST_RACES])
def test_a_lost_race_is_run_again_but_not_for_ever(
    operator: FakeOperator,
    endpoint: Endpoint,
    name: str,
    losses: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given
    store = operator.world.webhooks
    delivery = a_delivery(endpoint)
    store.add_delivery(delivery)
    left = iter(range(losses))

    def contended(write: Callable[..., None]) -> Callable[..., None]:
        def call(*given: object, **named: object) -> None:
            if next(left, None) is not None:
                raise LostRaceError
            write(*given, **named)

        return call

    for method in ("replace_endpoint", "remove_endpoint", "replace_delivery"):
        monkeypatch.setattr(store, method, contended(getattr(store, method)))

    def act() -> object:
        if name == "redeliver":
            return operator.endpoints.redeliver(endpoint.workspace_id, endpoint.id, delivery.id)
        return CHANGES[name](operator, endpoint, None)

    # When
    if losses == MOST_RACES:
        with pytest.raises(ContendedError):
            act()
    else:
        act()
    # Then
    is_unchanged = operator.endpoints.list(endpoint.workspace_id) == [endpoint]
    if name == "redeliver":
        is_unchanged = store.delivery(endpoint.id, delivery.id) == delivery
    assert is_unchanged is (losses == MOST_RACES)


@pytest.mark.parametrize("name", [*CHANGES, "add"])
def test_a_change_for_a_client_stands_or_falls_with_its_membership(
    operator: FakeOperator, endpoint: Endpoint, name: str
) -> None:
    # Given
    workspace_id = endpoint.workspace_id
    guard = MembershipGuard(workspace_id=workspace_id, user_id=USER_ID, roles=MANAGERS)

    def act() -> object:
        if name == "add":
            return operator.endpoints.add(workspace_id, URL, ["*"], guard=guard)
        return CHANGES[name](operator, endpoint, guard)

    # When
    with pytest.raises(AccessLostError):
        act()
    # Then
    assert operator.endpoints.list(workspace_id) == [endpoint]
    operator.world.workspaces.put_member(a_member(workspace_id=workspace_id))
    act()
    assert operator.endpoints.list(workspace_id) != [endpoint]


def test_an_endpoint_is_removed_once(operator: FakeOperator, endpoint: Endpoint) -> None:
    # When
    removed = operator.endpoints.remove(endpoint.workspace_id, endpoint.id)
    # Then
    assert removed == endpoint
    assert operator.endpoints.list(endpoint.workspace_id) == []
    with pytest.raises(NotFoundError):
        operator.endpoints.remove(endpoint.workspace_id, endpoint.id)


@pytest.mark.parametrize("overlap", [timedelta(0), timedelta(hours=1), timedelta(hours=24), None])
def test_a_new_secret_signs_beside_the_present_one(
    operator: FakeOperator, endpoint: Endpoint, overlap: timedelta | None
) -> None:
    # Given
    now = operator.world.clock.advance(hours=1)
    wanted: dict[str, Any] = {} if overlap is None else {"overlap": overlap}
    # When
    rotated = operator.endpoints.rotate_secret(endpoint.workspace_id, endpoint.id, **wanted)
    # Then
    stored = operator.endpoints.read(endpoint.workspace_id, endpoint.id)
    assert stored == rotated.endpoint
    former, present = stored.sealed_secrets
    assert former == endpoint.sealed_secrets[-1]
    assert operator.world.secrets.open(present, sealing_context(stored)) == rotated.secret
    assert stored.secret_retires_at == now + (timedelta(hours=24) if overlap is None else overlap)
    assert stored.updated_at == now


@pytest.mark.parametrize(
    "overlap", [timedelta(milliseconds=-1), timedelta(hours=24, milliseconds=1)]
)
def test_secrets_overlap_for_a_day_at_most(
    operator: FakeOperator, endpoint: Endpoint, overlap: timedelta
) -> None:
    with pytest.raises(ValidationError, match=r"overlap: .* 0 to 24 hours"):
        operator.endpoints.rotate_secret(endpoint.workspace_id, endpoint.id, overlap=overlap)
    assert operator.endpoints.list(endpoint.workspace_id) == [endpoint]


def test_a_test_is_sent_at_once_whatever_the_endpoint_is_subscribed_to(
    operator: FakeOperator,
) -> None:
    # Given
    workspace_id = operator.workspaces.create("a").id
    endpoint = operator.endpoints.add(workspace_id, URL, ["post.created"]).endpoint
    # When
    first, second = (operator.endpoints.test(workspace_id, endpoint.id) for _ in range(2))
    # Then
    assert first == Delivery(
        id=first.id,
        endpoint_id=endpoint.id,
        workspace_id=workspace_id,
        event_id=first.event_id,
        event_type=EventType.WEBHOOK_TEST,
        post_id=endpoint.id,
        status=DeliveryStatus.PENDING,
        created_at=START,
        payload=webhook.event_payload(endpoint, first.event_id, now=START),
        next_attempt_at=START,
        due_at=START + timedelta(seconds=30),
    )
    assert ids.is_id(ids.DELIVERY, first.id)
    assert ids.is_id(ids.EVENT, first.event_id)
    assert (first.id, first.event_id) != (second.id, second.event_id)
    for sent in (first, second):
        assert operator.endpoints.delivery(workspace_id, endpoint.id, sent.id) == sent
    assert operator.world.delivery_queue.sent == [
        QueuedDelivery(endpoint_id=endpoint.id, delivery_id=each.id, lane=Lane.PROMPT)
        for each in (first, second)
    ]


def test_deliveries_come_in_pages_newest_first(operator: FakeOperator, endpoint: Endpoint) -> None:
    # Given
    workspace_id = endpoint.workspace_id
    made = [a_delivery(endpoint) for _ in range(3)]
    done = webhook.dropped(a_delivery(endpoint), now=START)
    for delivery in (*made, done):
        operator.world.webhooks.add_delivery(delivery)
    wanted = DeliveryFilter(statuses=frozenset({DeliveryStatus.PENDING}))
    # When
    first = operator.endpoints.deliveries(workspace_id, endpoint.id, wanted, limit=2)
    second = operator.endpoints.deliveries(
        workspace_id, endpoint.id, wanted, limit=2, before=first.next_before
    )
    # Then
    assert first.deliveries == (made[2], made[1])
    assert (second.deliveries, second.next_before) == ((made[0],), None)


def _ended(delivery: Delivery) -> Delivery:
    return replace(
        delivery,
        status=DeliveryStatus.EXHAUSTED,
        tries=10,
        next_attempt_at=None,
        due_at=None,
        expires_at=LATER,
    )


@pytest.mark.parametrize(
    "delivery",
    [
        lambda made: made,
        _ended,
        webhook.parked,
        lambda made: webhook.dropped(made, now=START),
        lambda made: replace(made, leased_until=START),
    ],
)
def test_a_delivery_is_sent_again_under_its_id(
    operator: FakeOperator, endpoint: Endpoint, delivery: Callable[[Delivery], Delivery]
) -> None:
    # Given
    earlier = delivery(a_delivery(endpoint))
    operator.world.webhooks.add_delivery(earlier)
    # When
    sent = operator.endpoints.redeliver(endpoint.workspace_id, endpoint.id, earlier.id)
    # Then
    assert sent == webhook.sent_off(earlier, now=START)
    assert operator.endpoints.delivery(endpoint.workspace_id, endpoint.id, earlier.id) == sent
    assert operator.world.delivery_queue.sent == [
        QueuedDelivery(endpoint_id=endpoint.id, delivery_id=earlier.id, lane=Lane.LATE)
    ]


@pytest.mark.parametrize("is_disabled", [True, False])
def test_one_that_is_under_way_is_left_to_itself(
    operator: FakeOperator, endpoint: Endpoint, is_disabled: bool
) -> None:
    # Given
    if is_disabled:
        operator.endpoints.disable(endpoint.workspace_id, endpoint.id)
    taken = replace(a_delivery(endpoint), leased_until=LATER)
    operator.world.webhooks.add_delivery(taken)
    # Then
    assert operator.endpoints.redeliver(endpoint.workspace_id, endpoint.id, taken.id) == taken
    assert operator.world.delivery_queue.sent == []
    assert "replace_delivery" not in operator.world.webhooks.calls


def test_for_an_endpoint_that_is_disabled_it_is_parked(
    operator: FakeOperator, endpoint: Endpoint
) -> None:
    # Given
    operator.endpoints.disable(endpoint.workspace_id, endpoint.id)
    ended = _ended(a_delivery(endpoint))
    operator.world.webhooks.add_delivery(ended)
    # When
    once, again = (
        operator.endpoints.redeliver(endpoint.workspace_id, endpoint.id, ended.id) for _ in range(2)
    )
    # Then
    assert once == again == webhook.parked(ended)
    assert operator.world.delivery_queue.sent == []
    assert operator.world.webhooks.calls["replace_delivery"] == 1


def test_what_was_given_up_is_recovered(operator: FakeOperator, endpoint: Endpoint) -> None:
    # Given
    since = START - timedelta(hours=1)
    made = [
        replace(_ended(a_delivery(endpoint)), created_at=at)
        for at in (since - timedelta(milliseconds=1), since, START)
    ]
    for delivery in made:
        operator.world.webhooks.add_delivery(delivery)
    # When
    recovering, sent = operator.endpoints.recover(endpoint.workspace_id, endpoint.id, since)
    # Then
    assert (recovering, sent) == (webhook.recovering(endpoint, since, now=START), 2)
    assert [each.delivery_id for each in operator.world.delivery_queue.sent] == [
        each.id for each in made[1:]
    ]


@pytest.mark.parametrize(
    ("since", "is_taken"),
    [
        (START, True),
        (START + timedelta(milliseconds=1), False),
        (START - timedelta(days=30), True),
        (START - timedelta(days=30, milliseconds=1), False),
    ],
)
def test_it_is_recovered_from_the_last_thirty_days(
    operator: FakeOperator, endpoint: Endpoint, since: datetime, is_taken: bool
) -> None:
    if is_taken:
        operator.endpoints.recover(endpoint.workspace_id, endpoint.id, since)
    else:
        with pytest.raises(ValidationError, match=r"since: .* 30 days"):
            operator.endpoints.recover(endpoint.workspace_id, endpoint.id, since)
    changed = operator.endpoints.read(endpoint.workspace_id, endpoint.id)
    assert (changed != endpoint) is is_taken


def test_an_endpoint_that_is_disabled_recovers_nothing(
    operator: FakeOperator, endpoint: Endpoint
) -> None:
    disabled = operator.endpoints.disable(endpoint.workspace_id, endpoint.id)
    with pytest.raises(ValidationError, match=r"status: .* enable it first"):
        operator.endpoints.recover(endpoint.workspace_id, endpoint.id, START)
    assert operator.endpoints.list(endpoint.workspace_id) == [disabled]


def test_an_endpoint_is_found_in_its_own_workspace_only(
    operator: FakeOperator, endpoint: Endpoint
) -> None:
    # Given
    other = operator.workspaces.create("b").id
    every = DeliveryFilter()
    # Then
    with pytest.raises(NotFoundError, match=endpoint.id):
        operator.endpoints.enable(other, endpoint.id)
    with pytest.raises(NotFoundError, match=endpoint.id):
        operator.endpoints.test(other, endpoint.id)
    with pytest.raises(NotFoundError):
        operator.endpoints.deliveries(other, endpoint.id, every, limit=1)
    with pytest.raises(NotFoundError):
        operator.endpoints.list(an_id(ids.WORKSPACE))
    with pytest.raises(NotFoundError):
        operator.endpoints.add(an_id(ids.WORKSPACE), URL, ["*"])
    with pytest.raises(ValidationError, match="workspace"):
        operator.endpoints.deliveries("ws_1", endpoint.id, every, limit=1)
    with pytest.raises(ValidationError, match="endpoint"):
        operator.endpoints.disable(other, "wh_1")


def test_a_delivery_is_found_at_its_own_endpoint_only(
    operator: FakeOperator, endpoint: Endpoint
) -> None:
    # Given
    workspace_id = endpoint.workspace_id
    other = operator.endpoints.add(workspace_id, URL, ["*"]).endpoint
    delivery = a_delivery(endpoint)
    operator.world.webhooks.add_delivery(delivery)
    # Then
    for verb in (operator.endpoints.delivery, operator.endpoints.redeliver):
        with pytest.raises(NotFoundError, match=delivery.id):
            verb(workspace_id, other.id, delivery.id)
        with pytest.raises(NotFoundError, match=endpoint.id):
            verb(operator.workspaces.create("b").id, endpoint.id, delivery.id)
        with pytest.raises(ValidationError, match="delivery: 'dlv_1'"):
            verb(workspace_id, endpoint.id, "dlv_1")
