"""What every store of endpoints and deliveries promises."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import pytest

from postbreeze.adapters.dynamodb.registry import DynamoRegistry
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.adapters.dynamodb.webhooks import DynamoWebhookStore
from postbreeze.domain import ids
from postbreeze.domain.access import MANAGERS, Role
from postbreeze.domain.endpoint_health import Health
from postbreeze.domain.errors import LostRaceError
from postbreeze.domain.events import EventType
from postbreeze.domain.webhook import (
    Attempt,
    Backlog,
    Delivery,
    DeliveryStatus,
    Endpoint,
    EndpointStatus,
    Notice,
    disabled,
    enabled,
    recovering,
)
from postbreeze.operations.ports import AccessLostError, DeliveryFilter, MembershipGuard, Registry
from postbreeze.operations.webhook_ports import WebhookStore
from tests.support.aws import Aws
from tests.support.builders import (
    USER_ID,
    WORKSPACE_ID,
    a_delivery,
    a_member,
    an_endpoint,
    an_event,
    an_id,
)
from tests.support.fakes import START, World
from tests.support.faults import answers_lost

T = TypeVar("T")

GUARD = MembershipGuard(workspace_id=WORKSPACE_ID, user_id=USER_ID, roles=MANAGERS)
EVERYTHING = DeliveryFilter()
SECOND = timedelta(seconds=1)


@dataclass
class Stores:
    webhooks: WebhookStore
    registry: Registry


@pytest.fixture
def stores(aws: Aws | None) -> Stores:
    return stores_on(aws)


@pytest.fixture
def webhooks(stores: Stores) -> WebhookStore:
    return stores.webhooks


def webhooks_on(aws: Aws | None) -> WebhookStore:
    return stores_on(aws).webhooks


def stores_on(aws: Aws | None) -> Stores:
    if aws is None:
        world = World()
        return Stores(world.webhooks, world.workspaces)
    tables = aws.tables()
    database = Database(aws.clients.dynamodb())
    return Stores(
        DynamoWebhookStore(
            database, webhooks_table=tables["webhooks"], workspaces_table=tables["workspaces"]
        ),
        DynamoRegistry(database, workspaces_table=tables["workspaces"]),
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
        updated_at=START + SECOND,
        rate_limit=30,
        secret_retires_at=START + 2 * SECOND,
        failing_since=START + 3 * SECOND,
        disabled_at=START,
        disabled_reason="410",
        notice=Notice(
            event_id=an_id(ids.EVENT),
            type=EventType.WEBHOOK_DISABLED,
            occurred_at=START + 4 * SECOND,
            payload={"webhook": {"description": "Köln", "disabledAt": None}},
        ),
        backlog=Backlog(
            asked_at=START + 5 * SECOND, is_parked=True, failed_since=START + 6 * SECOND
        ),
        due_at=START + 7 * SECOND,
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


def test_an_endpoint_is_found_by_its_id_alone(webhooks: WebhookStore) -> None:
    # Given
    endpoint = an_endpoint(workspace_id=an_id(ids.WORKSPACE))
    webhooks.add_endpoint(endpoint)
    # Then
    assert webhooks.workspace_of_endpoint(endpoint.id) == endpoint.workspace_id
    assert webhooks.workspace_of_endpoint(an_id(ids.ENDPOINT)) is None


def test_a_removed_endpoint_is_gone_and_its_deliveries_stay(webhooks: WebhookStore) -> None:
    # Given
    endpoint, other = an_endpoint(due_at=START), an_endpoint()
    delivery = a_delivery(endpoint)
    for each in (endpoint, other):
        webhooks.add_endpoint(each)
    webhooks.add_delivery(delivery)
    webhooks.replace_health(a_health(endpoint), expected_revision=0)
    # When
    webhooks.remove_endpoint(endpoint)
    # Then
    assert webhooks.endpoint(WORKSPACE_ID, endpoint.id) is None
    assert webhooks.workspace_of_endpoint(endpoint.id) is None
    assert webhooks.destination(WORKSPACE_ID, endpoint.id) is None
    assert webhooks.due_endpoints(START, 10) == []
    assert webhooks.endpoints(WORKSPACE_ID) == [other]
    assert webhooks.delivery(endpoint.id, delivery.id) == delivery


def test_an_endpoint_is_removed_as_it_was_read_and_once(webhooks: WebhookStore) -> None:
    # Given
    endpoint = an_endpoint()
    webhooks.add_endpoint(endpoint)
    changed = replace(endpoint, description="changed", revision=2)
    webhooks.replace_endpoint(changed, expected_revision=1)
    # When / Then
    with pytest.raises(LostRaceError):
        webhooks.remove_endpoint(endpoint)
    assert webhooks.endpoints(WORKSPACE_ID) == [changed]
    assert webhooks.workspace_of_endpoint(endpoint.id) == WORKSPACE_ID
    webhooks.remove_endpoint(changed)
    with pytest.raises(LostRaceError):
        webhooks.remove_endpoint(changed)
    with pytest.raises(LostRaceError):
        webhooks.replace_endpoint(replace(changed, revision=3), expected_revision=2)
    assert webhooks.endpoints(WORKSPACE_ID) == []


# Guards

Change = Callable[[WebhookStore, Endpoint], None]


def add(webhooks: WebhookStore, endpoint: Endpoint) -> None:
    webhooks.add_endpoint(replace(endpoint, id=an_id(ids.ENDPOINT)), guard=GUARD)


def replace_(webhooks: WebhookStore, endpoint: Endpoint) -> None:
    changed = replace(endpoint, description="changed", revision=endpoint.revision + 1)
    webhooks.replace_endpoint(changed, expected_revision=endpoint.revision, guard=GUARD)


def remove(webhooks: WebhookStore, endpoint: Endpoint) -> None:
    webhooks.remove_endpoint(endpoint, guard=GUARD)


def add_again(webhooks: WebhookStore, endpoint: Endpoint) -> None:
    webhooks.add_endpoint(endpoint, guard=GUARD)


def replace_late(webhooks: WebhookStore, endpoint: Endpoint) -> None:
    replace_(webhooks, replace(endpoint, revision=endpoint.revision + 1))


def remove_late(webhooks: WebhookStore, endpoint: Endpoint) -> None:
    remove(webhooks, replace(endpoint, revision=endpoint.revision + 1))


CHANGES = [add, replace_, remove]
LATE_CHANGES = [add_again, replace_late, remove_late]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("role", sorted(MANAGERS))
def test_who_may_still_do_so_changes_endpoints(stores: Stores, role: Role, change: Change) -> None:
    # Given
    stores.registry.put_member(a_member(role))
    endpoint = an_endpoint()
    stores.webhooks.add_endpoint(endpoint)
    # When
    change(stores.webhooks, endpoint)
    # Then
    assert stores.webhooks.endpoints(WORKSPACE_ID) != [endpoint]


@pytest.mark.parametrize("change", [*CHANGES, *LATE_CHANGES])
@pytest.mark.parametrize("role", [None, Role.EDITOR, Role.CLIENT_REVIEWER])
def test_who_may_not_any_more_changes_nothing_and_is_told_that(
    stores: Stores, role: Role | None, change: Change
) -> None:
    # Given
    if role is not None:
        stores.registry.put_member(a_member(role))
    endpoint = an_endpoint()
    stores.webhooks.add_endpoint(endpoint)
    # When
    with pytest.raises(AccessLostError):
        change(stores.webhooks, endpoint)
    # Then
    assert stores.webhooks.endpoints(WORKSPACE_ID) == [endpoint]


@pytest.mark.parametrize("change", LATE_CHANGES)
def test_who_may_and_is_late_has_lost_the_race(stores: Stores, change: Change) -> None:
    # Given
    stores.registry.put_member(a_member(Role.OWNER))
    endpoint = an_endpoint()
    stores.webhooks.add_endpoint(endpoint)
    # When
    with pytest.raises(LostRaceError):
        change(stores.webhooks, endpoint)
    # Then
    assert stores.webhooks.endpoints(WORKSPACE_ID) == [endpoint]


# How an endpoint is


def a_health(endpoint: Endpoint, revision: int = 1) -> Health:
    return Health(
        endpoint_id=endpoint.id,
        workspace_id=endpoint.workspace_id,
        failures=revision,
        slow_since=START,
        open_until=START + SECOND,
        trials={an_id(ids.DELIVERY): START + 2 * SECOND, an_id(ids.DELIVERY): START},
        revision=revision,
    )


def test_an_endpoint_is_read_with_its_health(webhooks: WebhookStore) -> None:
    # Given
    endpoint, fresh = an_endpoint(), an_endpoint()
    for each in (endpoint, fresh):
        webhooks.add_endpoint(each)
    known = a_health(endpoint)
    # When
    webhooks.replace_health(known, expected_revision=0)
    # Then
    found = webhooks.destination(WORKSPACE_ID, endpoint.id)
    assert found is not None
    assert (found.endpoint, found.health) == (endpoint, known)
    found = webhooks.destination(WORKSPACE_ID, fresh.id)
    assert found is not None
    assert (found.endpoint, found.health) == (fresh, None)


def test_a_destination_belongs_to_its_workspace(webhooks: WebhookStore) -> None:
    endpoint = an_endpoint()
    webhooks.add_endpoint(endpoint)
    assert webhooks.destination(an_id(ids.WORKSPACE), endpoint.id) is None
    assert webhooks.destination(WORKSPACE_ID, an_id(ids.ENDPOINT)) is None


def test_a_health_is_replaced_as_long_as_it_stands(webhooks: WebhookStore) -> None:
    # Given
    endpoint = an_endpoint()
    webhooks.add_endpoint(endpoint)
    plain = Health(endpoint_id=endpoint.id, workspace_id=endpoint.workspace_id)
    # When / Then
    with pytest.raises(LostRaceError):
        webhooks.replace_health(a_health(endpoint, 2), expected_revision=1)
    webhooks.replace_health(plain, expected_revision=0)
    with pytest.raises(LostRaceError):
        webhooks.replace_health(plain, expected_revision=0)
    second = a_health(endpoint, 2)
    webhooks.replace_health(second, expected_revision=1)
    with pytest.raises(LostRaceError):
        webhooks.replace_health(a_health(endpoint, 2), expected_revision=1)
    found = webhooks.destination(WORKSPACE_ID, endpoint.id)
    assert found is not None
    assert found.health == second


# The pace


def test_moments_are_reserved_one_interval_after_another(webhooks: WebhookStore) -> None:
    # Given
    endpoint_id, interval = an_id(ids.ENDPOINT), SECOND / 3

    def reserve(now: datetime) -> datetime:
        return webhooks.reserve(endpoint_id, now=now, interval=interval)

    # Then the first is now, and the next that far on
    assert reserve(START) == START
    assert reserve(START) == START + interval
    # And also for one whose clock is behind
    assert reserve(START - SECOND) == START + 2 * interval
    # And what has passed is not made up for
    assert reserve(START + 9 * SECOND) == START + 9 * SECOND
    # And what is free at this very moment is taken
    assert reserve(START + 9 * SECOND + interval) == START + 9 * SECOND + interval


def test_an_interval_may_change_and_endpoints_do_not_share_one(webhooks: WebhookStore) -> None:
    one, other = an_id(ids.ENDPOINT), an_id(ids.ENDPOINT)
    assert webhooks.reserve(one, now=START, interval=10 * SECOND) == START
    assert webhooks.reserve(other, now=START, interval=SECOND) == START
    assert webhooks.reserve(one, now=START, interval=SECOND) == START + 10 * SECOND
    assert webhooks.reserve(one, now=START, interval=SECOND) == START + 11 * SECOND


@pytest.mark.parametrize("place", ["fake", "engine"])
def test_of_eight_who_reserve_each_gets_a_moment_of_its_own(
    request: pytest.FixtureRequest, place: str
) -> None:
    # Given
    store = webhooks_on(None if place == "fake" else request.getfixturevalue("engine"))
    for _ in range(10):
        endpoint_id = an_id(ids.ENDPOINT)
        # When
        moments = at_once(partial(reserves, store, endpoint_id))
        # Then
        assert sorted(moments) == [START + number * SECOND for number in range(8)]


def reserves(store: WebhookStore, endpoint_id: str, _: int) -> datetime:
    return store.reserve(endpoint_id, now=START, interval=SECOND)


def test_a_reservation_whose_answer_is_lost_leaves_a_moment_unused(engine: Aws) -> None:
    # Given
    webhooks = webhooks_on(engine)
    endpoint_id = an_id(ids.ENDPOINT)
    # When
    with answers_lost(engine.clients.dynamodb(), "UpdateItem", times=1):
        first = webhooks.reserve(endpoint_id, now=START, interval=SECOND)
    with answers_lost(engine.clients.dynamodb(), "UpdateItem", times=1):
        second = webhooks.reserve(endpoint_id, now=START, interval=SECOND)
    # Then
    assert first >= START
    assert second >= first + SECOND


# Endpoints that are due


def test_due_endpoints_are_found_oldest_first_and_apart_from_deliveries(
    webhooks: WebhookStore,
) -> None:
    # Given endpoints due at different moments, in every shard, and one that never is
    waiting = [an_endpoint(due_at=START + (n * 5) % 11 * SECOND) for n in range(11)]
    for endpoint in (*waiting, an_endpoint()):
        webhooks.add_endpoint(endpoint)
    delivery = a_delivery()
    webhooks.add_delivery(delivery)
    expected = [
        (endpoint.workspace_id, endpoint.id)
        for endpoint in sorted(waiting, key=lambda endpoint: endpoint.due_at or START)
    ]
    # Then
    assert webhooks.due_endpoints(START + 60 * SECOND, 100) == expected
    assert webhooks.due_endpoints(START + 60 * SECOND, 4) == expected[:4]
    assert webhooks.due_endpoints(START + 3 * SECOND, 100) == expected[:4]
    assert webhooks.due_endpoints(START - timedelta(milliseconds=1), 100) == []
    assert webhooks.due_deliveries(START, 100) == [(delivery.endpoint_id, delivery.id)]


def test_an_endpoint_is_due_while_others_are_to_be_told_or_it_has_a_backlog(
    webhooks: WebhookStore,
) -> None:
    # Given
    endpoint = an_endpoint()
    webhooks.add_endpoint(endpoint)
    later = START + timedelta(days=1)
    steps = [
        (disabled(endpoint, "410", now=START, is_told=True), True),
        (disabled(endpoint, "by hand", now=START), False),
        (enabled(endpoint, now=START), True),
        (recovering(endpoint, START, now=START), True),
        (replace(endpoint, due_at=None), False),
    ]
    for number, (step, is_due) in enumerate(steps, start=1):
        # When
        webhooks.replace_endpoint(replace(step, revision=number + 1), expected_revision=number)
        # Then
        assert webhooks.due_endpoints(later, 9) == [(WORKSPACE_ID, endpoint.id)] * is_due


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
            Attempt(
                number=2,
                at=START,
                duration_ms=0,
                status=500,
                response_headers={"content-type": "text/plain", "x-empty": "", "x-ü": "ü"},
                response_body="ä\x00\u2028\n",
            ),
            Attempt(number=3, at=START, duration_ms=1, status=200, response_body=""),
        ),
        payload={"webhook": {"description": "ü", "count": 1, "missing": None}},
        tries=2,
        next_attempt_at=None,
        is_reserved=True,
        leased_until=START + timedelta(seconds=30),
        expires_at=START + timedelta(milliseconds=1),
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


def pages(
    webhooks: WebhookStore, endpoint_id: str, wanted: DeliveryFilter, limit: int
) -> list[tuple[Delivery, ...]]:
    """Read all pages, until there is no next one."""
    found = []
    before: str | None = None
    while True:
        page = webhooks.deliveries(endpoint_id, wanted, limit=limit, before=before)
        assert len(page.deliveries) <= limit
        found.append(page.deliveries)
        if page.next_before is None:
            return found
        before = page.next_before


def listed(
    webhooks: WebhookStore, endpoint_id: str, wanted: DeliveryFilter = EVERYTHING
) -> list[Delivery]:
    return [delivery for page in pages(webhooks, endpoint_id, wanted, 2) for delivery in page]


def test_deliveries_are_listed_newest_first(webhooks: WebhookStore) -> None:
    # Given
    endpoint = an_endpoint()
    webhooks.add_endpoint(endpoint)
    webhooks.replace_health(a_health(endpoint), expected_revision=0)
    webhooks.reserve(endpoint.id, now=START, interval=SECOND)
    deliveries = [a_delivery(endpoint) for _ in range(4)]
    for delivery in (*deliveries, a_delivery()):
        webhooks.add_delivery(delivery)
    first, second, third, fourth = deliveries
    # Then
    assert pages(webhooks, endpoint.id, EVERYTHING, 100) == [(fourth, third, second, first)]
    assert pages(webhooks, endpoint.id, EVERYTHING, 3) == [(fourth, third, second), (first,)]
    assert pages(webhooks, endpoint.id, EVERYTHING, 2) == [(fourth, third), (second, first)]
    assert pages(webhooks, an_id(ids.ENDPOINT), EVERYTHING, 100) == [()]


def test_a_page_begins_before_an_id_whether_it_is_there_or_not(webhooks: WebhookStore) -> None:
    # Given
    endpoint = an_endpoint()
    first, gone, last = (a_delivery(endpoint) for _ in range(3))
    for delivery in (first, last):
        webhooks.add_delivery(delivery)
    # Then
    for before, expected in ((first.id, ()), (gone.id, (first,)), (last.id, (first,))):
        page = webhooks.deliveries(endpoint.id, EVERYTHING, limit=10, before=before)
        assert page.deliveries == expected
        assert page.next_before is None


def test_deliveries_are_listed_by_status_and_event(webhooks: WebhookStore) -> None:
    # Given one of each status and of two events
    endpoint = an_endpoint()
    made = [
        a_delivery(endpoint, an_event(type=type_), status=status, due_at=None)
        for status in DeliveryStatus
        for type_ in (EventType.POST_CREATED, EventType.POST_CANCELLED)
    ]
    for delivery in made:
        webhooks.add_delivery(delivery)
    failed = frozenset({DeliveryStatus.EXHAUSTED, DeliveryStatus.DROPPED})
    created = EventType.POST_CREATED
    # Then
    for wanted in (
        DeliveryFilter(statuses=failed),
        DeliveryFilter(event_type=created),
        DeliveryFilter(statuses=failed, event_type=created),
        DeliveryFilter(statuses=frozenset(DeliveryStatus)),
    ):
        assert listed(webhooks, endpoint.id, wanted) == [
            each
            for each in reversed(made)
            if (wanted.statuses is None or each.status in wanted.statuses)
            and wanted.event_type in {None, each.event_type}
        ]


def test_deliveries_are_listed_by_when_they_were_made_not_by_when_their_event_was(
    webhooks: WebhookStore,
) -> None:
    # Given an event of long before, which was fanned out late, and ones that were so at once
    endpoint = an_endpoint()
    late = a_delivery(
        endpoint,
        id=an_id(ids.DELIVERY, START - timedelta(days=20)),
        created_at=START + 5 * SECOND,
    )
    made = [
        a_delivery(
            endpoint, id=an_id(ids.DELIVERY, START + n * SECOND), created_at=START + n * SECOND
        )
        for n in range(10)
    ]
    # And one of a clock that was ahead of that of the fan-out
    ahead = a_delivery(
        endpoint, id=an_id(ids.DELIVERY, START + 12 * SECOND), created_at=START + 9 * SECOND
    )
    for delivery in (late, *made, ahead):
        webhooks.add_delivery(delivery)

    def between(since: datetime | None, until: datetime | None) -> list[Delivery]:
        return listed(webhooks, endpoint.id, DeliveryFilter(since=since, until=until))

    # Then
    assert between(START + 4 * SECOND, START + 6 * SECOND) == [made[5], made[4], late]
    assert between(None, START + 2 * SECOND) == [made[1], made[0]]
    assert between(START + 9 * SECOND, START + 10 * SECOND) == [ahead, made[9]]
    assert between(START + 9 * SECOND + timedelta(milliseconds=1), None) == []


@pytest.mark.parametrize("year", [1, 1969, 9999])
def test_no_moment_is_too_far_away_to_ask_for(webhooks: WebhookStore, year: int) -> None:
    # Given
    endpoint = an_endpoint()
    delivery = a_delivery(endpoint)
    webhooks.add_delivery(delivery)
    moment = datetime(year, 12, 31, 23, 59, 59, 999000, UTC)
    # Then
    since = listed(webhooks, endpoint.id, DeliveryFilter(since=moment))
    until = listed(webhooks, endpoint.id, DeliveryFilter(until=moment))
    assert (since, until) == (([delivery], []) if year < START.year else ([], [delivery]))


def test_what_is_rare_is_found_behind_much_else(webhooks: WebhookStore) -> None:
    # Given
    endpoint = an_endpoint()
    rare = a_delivery(endpoint, status=DeliveryStatus.DROPPED, due_at=None)
    for delivery in (rare, *(a_delivery(endpoint) for _ in range(30))):
        webhooks.add_delivery(delivery)
    # Then
    wanted = DeliveryFilter(statuses=frozenset({DeliveryStatus.DROPPED}))
    assert listed(webhooks, endpoint.id, wanted) == [rare]


# Deliveries that wait


@pytest.mark.parametrize("status", [DeliveryStatus.PARKED, DeliveryStatus.EXHAUSTED])
def test_what_waits_for_an_endpoint_is_found_oldest_first(
    webhooks: WebhookStore, status: DeliveryStatus
) -> None:
    # Given some of either status, and others
    endpoint = an_endpoint()
    made = {
        each: [
            a_delivery(endpoint, status=each, due_at=None, created_at=START + (n * 3) % 5 * SECOND)
            for n in range(5)
        ]
        for each in DeliveryStatus
    }
    elsewhere = a_delivery(status=status, due_at=None)
    for delivery in (*(each for group in made.values() for each in group), elsewhere):
        webhooks.add_delivery(delivery)
    expected = [each.id for each in sorted(made[status], key=lambda each: each.created_at)]

    def waiting(since: datetime | None, limit: int) -> list[str]:
        return list(webhooks.waiting_deliveries(endpoint.id, status, since=since, limit=limit))

    # Then
    assert waiting(None, 100) == expected
    assert waiting(None, 2) == expected[:2]
    assert waiting(START + 2 * SECOND, 100) == expected[2:]
    assert waiting(START + 2 * SECOND, 2) == expected[2:4]
    assert waiting(START + 5 * SECOND, 100) == []
    # And none of them is due
    assert webhooks.due_deliveries(START + timedelta(days=1), 100) == []


def test_what_no_longer_waits_is_not_found(webhooks: WebhookStore) -> None:
    # Given
    endpoint = an_endpoint()
    delivery = a_delivery(endpoint)
    webhooks.add_delivery(delivery)
    moves = [
        (DeliveryStatus.PARKED, None),
        (DeliveryStatus.PENDING, START),
        (DeliveryStatus.EXHAUSTED, None),
        (DeliveryStatus.DELIVERED, None),
    ]
    for revision, (status, due_at) in enumerate(moves, start=1):
        # When
        moved = replace(delivery, status=status, due_at=due_at, revision=revision + 1)
        webhooks.replace_delivery(moved, expected_revision=revision)
        # Then
        assert webhooks.delivery(endpoint.id, delivery.id) == moved
        for waiting in (DeliveryStatus.PARKED, DeliveryStatus.EXHAUSTED):
            found = webhooks.waiting_deliveries(endpoint.id, waiting, since=None, limit=9)
            assert list(found) == [delivery.id] * (status is waiting)
        due = webhooks.due_deliveries(START, 9)
        assert list(due) == [(endpoint.id, delivery.id)] * (due_at is not None)


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


def at_once(call: Callable[[int], T]) -> list[T]:
    """Make eight calls at the same moment and return their results in order."""
    start = threading.Barrier(8)

    def run(number: int) -> T:
        start.wait()
        return call(number)

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(run, range(8)))
