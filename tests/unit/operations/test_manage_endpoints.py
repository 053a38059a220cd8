"""Webhook endpoints, as a workspace's owners and admins look after them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from postbreeze.domain import webhook
from postbreeze.domain.access import Grant, Role
from postbreeze.domain.documents import to_json
from postbreeze.domain.errors import (
    ContendedError,
    ForbiddenError,
    LostRaceError,
    NotFoundError,
    PostbreezeError,
    UnauthorizedError,
    ValidationError,
)
from postbreeze.domain.events import EventType
from postbreeze.domain.webhook import (
    Attempt,
    Delivery,
    DeliveryStatus,
    delivery_document,
    endpoint_document,
)
from postbreeze.operations import manage_endpoints
from postbreeze.operations.administer.endpoints import EndpointChange
from postbreeze.operations.manage_endpoints import (
    CreateEndpoint,
    ListDeliveries,
    ManageEndpoints,
)
from postbreeze.operations.ports import DeliveryFilter
from postbreeze.operations.races import MOST_RACES
from tests.support.builders import a_delivery
from tests.support.core import (
    ENDPOINT,
    OTHER_WORKSPACE,
    STRANGER,
    USERS,
    WORKSPACE,
    Core,
    numbered,
)
from tests.support.endpoints import MANAGER, granted, managing
from tests.support.fakes import START

URL = "https://hooks.example/9"
UNKNOWN = numbered("wh", 99)
DELIVERY = numbered("dlv", 1)


@pytest.fixture
def core() -> Core:
    return Core()


@pytest.fixture
def manage(core: Core) -> ManageEndpoints:
    manage = managing(core)
    core.webhooks.add_delivery(replace(a_delivery(core.endpoint()), id=DELIVERY))
    return manage


def new_endpoint(workspace_id: str = WORKSPACE, **wanted: Any) -> CreateEndpoint:
    usual: dict[str, Any] = {
        "url": URL,
        "event_filters": ("post.*",),
        "description": None,
        "headers": {},
        "rate_limit": None,
    }
    return CreateEndpoint(workspace_id=workspace_id, **{**usual, **wanted})


def listing(key: str = MANAGER, endpoint_id: str = ENDPOINT, **wanted: Any) -> ListDeliveries:
    usual: dict[str, Any] = {"wanted": DeliveryFilter(), "limit": 10}
    return ListDeliveries(key_digest=key, endpoint_id=endpoint_id, **{**usual, **wanted})


Verb = Callable[[ManageEndpoints, str, str], object]

OF_A_WORKSPACE: Mapping[str, Verb] = {
    "create": lambda manage, key, where: manage.create(key, new_endpoint(where)),
    "all": lambda manage, key, where: manage.all(key, where),
}
CHANGES: Mapping[str, Verb] = {
    "update": lambda manage, key, which: manage.update(key, which, EndpointChange(rate_limit=7)),
    "remove": lambda manage, key, which: manage.remove(key, which),
    "rotate_secret": lambda manage, key, which: manage.rotate_secret(
        key, which, timedelta(hours=1)
    ),
    "recover": lambda manage, key, which: manage.recover(key, which, START),
}
OF_AN_ENDPOINT: Mapping[str, Verb] = {
    **CHANGES,
    "read": lambda manage, key, which: manage.read(key, which),
    "test": lambda manage, key, which: manage.test(key, which),
    "deliveries": lambda manage, key, which: manage.deliveries(listing(key, which)),
    "delivery": lambda manage, key, which: manage.delivery(key, which, DELIVERY),
    "redeliver": lambda manage, key, which: manage.redeliver(key, which, DELIVERY),
}
VERBS = {**OF_A_WORKSPACE, **OF_AN_ENDPOINT}


def named(verb: str) -> str:
    return WORKSPACE if verb in OF_A_WORKSPACE else ENDPOINT


def state(core: Core) -> object:
    """Return all that could have been written."""
    return (
        dict(core.webhooks._endpoints),
        dict(core.webhooks._deliveries),
        list(core.delivery_queue.sent),
    )


def refused(
    core: Core, manage: ManageEndpoints, verb: str, key: str, name: str | None = None
) -> type[PostbreezeError]:
    """Have it refused, and return with which error; nothing may have been written."""
    before = state(core)
    with pytest.raises(PostbreezeError) as error:
        VERBS[verb](manage, key, name or named(verb))
    assert state(core) == before
    return type(error.value)


@pytest.mark.parametrize("verb", VERBS)
def test_a_key_that_opens_nothing(core: Core, manage: ManageEndpoints, verb: str) -> None:
    core.add_key(
        "expired", owner=USERS[Role.OWNER], grants=frozenset({Grant.WEBHOOKS}), expires_at=START
    )
    assert refused(core, manage, verb, "nobody") is UnauthorizedError
    assert refused(core, manage, verb, "expired") is UnauthorizedError


@pytest.mark.parametrize("verb", VERBS)
def test_a_key_without_the_grant_may_do_nothing_whatever_there_is(
    core: Core, manage: ManageEndpoints, verb: str
) -> None:
    unknown = OTHER_WORKSPACE if verb in OF_A_WORKSPACE else UNKNOWN
    for name in (named(verb), unknown):
        assert refused(core, manage, verb, "owner", name) is ForbiddenError
    assert "member" not in core.directory.calls


@pytest.mark.parametrize("verb", VERBS)
def test_members_of_other_roles_may_not_even_look(
    core: Core, manage: ManageEndpoints, verb: str
) -> None:
    for role in (Role.EDITOR, Role.CLIENT_REVIEWER):
        assert refused(core, manage, verb, granted(role)) is ForbiddenError
    VERBS[verb](manage, granted(Role.ADMIN), named(verb))


@pytest.mark.parametrize("verb", VERBS)
def test_who_is_no_member_learns_nothing(core: Core, manage: ManageEndpoints, verb: str) -> None:
    core.add_key("stranger", owner=STRANGER, grants=frozenset({Grant.WEBHOOKS}))
    assert refused(core, manage, verb, "stranger") is NotFoundError


@pytest.mark.parametrize("verb", VERBS)
def test_a_scoped_key_reaches_its_workspaces_only(
    core: Core, manage: ManageEndpoints, verb: str
) -> None:
    for name, reached in (("elsewhere", OTHER_WORKSPACE), ("here", WORKSPACE)):
        core.add_key(
            name,
            owner=USERS[Role.OWNER],
            grants=frozenset({Grant.WEBHOOKS}),
            workspace_ids=frozenset({reached}),
        )
    expected = ForbiddenError if verb in OF_A_WORKSPACE else NotFoundError
    assert refused(core, manage, verb, "elsewhere") is expected
    VERBS[verb](manage, "here", named(verb))


@pytest.mark.parametrize("verb", OF_AN_ENDPOINT)
def test_an_endpoint_that_there_is_not(core: Core, manage: ManageEndpoints, verb: str) -> None:
    assert refused(core, manage, verb, MANAGER, UNKNOWN) is NotFoundError


@pytest.mark.parametrize("verb", OF_A_WORKSPACE)
def test_a_workspace_that_there_is_not(core: Core, manage: ManageEndpoints, verb: str) -> None:
    assert refused(core, manage, verb, MANAGER, OTHER_WORKSPACE) is NotFoundError


@pytest.mark.parametrize("verb", ["create", *CHANGES])
def test_whose_rights_end_meanwhile_writes_nothing(
    core: Core, manage: ManageEndpoints, verb: str
) -> None:
    # Given
    method = {"create": "add_endpoint", "remove": "remove_endpoint"}.get(verb, "replace_endpoint")
    core.before(f"webhooks.{method}", lambda: core.add_member(USERS[Role.OWNER], Role.EDITOR))
    # Then
    assert refused(core, manage, verb, MANAGER) is ForbiddenError


@pytest.mark.parametrize("verb", ["create", *CHANGES])
def test_whose_rights_come_back_meanwhile_is_served(
    core: Core, manage: ManageEndpoints, verb: str
) -> None:
    # Given
    method = {"create": "add_endpoint", "remove": "remove_endpoint"}.get(verb, "replace_endpoint")
    owner, before = USERS[Role.OWNER], state(core)

    def demoted() -> None:
        core.add_member(owner, Role.EDITOR)
        core.before("directory.member", lambda: core.add_member(owner, Role.ADMIN))

    core.before(f"webhooks.{method}", demoted)
    # When
    VERBS[verb](manage, MANAGER, named(verb))
    # Then
    assert state(core) != before


@pytest.mark.parametrize("losses", [MOST_RACES - 1, MOST_RACES])
def test_rights_that_come_and_go_are_not_looked_at_for_ever(
    core: Core, manage: ManageEndpoints, losses: int
) -> None:
    # Given
    owner = USERS[Role.OWNER]
    for number in range(MOST_RACES):
        role = Role.EDITOR if number < losses else Role.OWNER
        core.before("webhooks.replace_endpoint", partial(core.add_member, owner, role))
        core.before("directory.member", lambda: core.add_member(owner, Role.OWNER))
    core.before("directory.member", lambda: core.add_member(owner, Role.OWNER))
    # Then
    if losses == MOST_RACES:
        assert refused(core, manage, "update", MANAGER) is ContendedError
    else:
        manage.update(MANAGER, ENDPOINT, EndpointChange(rate_limit=7))
        assert core.endpoint().rate_limit == 7


@pytest.mark.parametrize("verb", CHANGES)
def test_a_lost_race_is_run_again(core: Core, manage: ManageEndpoints, verb: str) -> None:
    # Given
    before = state(core)
    method = "remove_endpoint" if verb == "remove" else "replace_endpoint"
    core.fails(f"webhooks.{method}", LostRaceError())
    # When
    VERBS[verb](manage, MANAGER, ENDPOINT)
    # Then
    assert state(core) != before


def test_a_new_endpoint_is_answered_with_its_secret(core: Core, manage: ManageEndpoints) -> None:
    # When
    answer = manage.create(
        MANAGER,
        new_endpoint(description="ours", headers={"Authorization": "Bearer x"}, rate_limit=7),
    )
    # Then
    assert answer.status == 201
    secret = answer.body["secret"]
    stored = core.webhooks.endpoint(WORKSPACE, answer.body["id"])
    assert stored is not None
    assert answer.body == {**endpoint_document(stored), "secret": secret}
    assert secret.startswith("whsec_")
    assert (stored.url, stored.event_filters, stored.description) == (URL, ("post.*",), "ours")
    assert (stored.headers, stored.rate_limit) == ({"Authorization": "Bearer x"}, 7)


def test_endpoints_are_listed_and_read_without_their_secrets(
    core: Core, manage: ManageEndpoints
) -> None:
    # Given
    made = dict(manage.create(MANAGER, new_endpoint()).body)
    del made["secret"]
    first = endpoint_document(core.endpoint())
    # Then
    listed = manage.all(MANAGER, WORKSPACE)
    assert sorted(listed, key=lambda each: str(each["id"])) == listed
    assert {each["id"]: each for each in listed} == {
        first["id"]: first,
        made["id"]: made,
    }
    read = manage.read(MANAGER, ENDPOINT)
    assert (read.status, read.body) == (200, first)


def test_a_change_is_answered_with_the_endpoint(core: Core, manage: ManageEndpoints) -> None:
    # When
    answer = manage.update(MANAGER, ENDPOINT, EndpointChange(rate_limit=7))
    # Then
    assert (answer.status, answer.body) == (200, endpoint_document(core.endpoint()))
    assert answer.body["rateLimit"] == 7


def test_a_removed_endpoint_is_answered_as_it_was_left(core: Core, manage: ManageEndpoints) -> None:
    # Given
    left = endpoint_document(core.endpoint())
    # When
    answer = manage.remove(MANAGER, ENDPOINT)
    # Then
    assert (answer.status, answer.body) == (200, left)
    assert core.webhooks.endpoints(WORKSPACE) == []


def test_a_new_secret_is_answered_once(core: Core, manage: ManageEndpoints) -> None:
    # When
    answer = manage.rotate_secret(MANAGER, ENDPOINT, timedelta(hours=1))
    # Then
    assert answer.status == 200
    secret = answer.body["secret"]
    assert answer.body == {**endpoint_document(core.endpoint()), "secret": secret}
    assert core.endpoint().secret_retires_at == START + timedelta(hours=1)
    assert secret not in repr(manage.read(MANAGER, ENDPOINT))


def test_a_test_is_answered_with_its_delivery(core: Core, manage: ManageEndpoints) -> None:
    # When
    answer = manage.test(MANAGER, ENDPOINT)
    # Then
    stored = core.webhooks.delivery(ENDPOINT, answer.body["id"])
    assert stored is not None
    assert stored.event_type is EventType.WEBHOOK_TEST
    assert (answer.status, answer.body) == (202, delivery_document(stored))


def test_pages_of_deliveries_follow_each_other(core: Core, manage: ManageEndpoints) -> None:
    # Given
    for number in range(2, 6):
        core.webhooks.add_delivery(replace(a_delivery(core.endpoint()), id=numbered("dlv", number)))
    # When
    pages = [manage.deliveries(listing(limit=2))]
    while pages[-1].cursor is not None:
        pages.append(manage.deliveries(listing(limit=2, cursor=pages[-1].cursor)))
    # Then
    assert [[each["id"] for each in page.deliveries] for page in pages] == [
        [numbered("dlv", 5), numbered("dlv", 4)],
        [numbered("dlv", 3), numbered("dlv", 2)],
        [DELIVERY],
    ]
    stored = core.webhooks.delivery(ENDPOINT, DELIVERY)
    assert stored is not None
    assert pages[-1].deliveries == [delivery_document(stored)]


@pytest.mark.parametrize(
    ("room_for", "less", "expected"), [(2, 0, [2, 1]), (2, 1, [1, 1, 1]), (0, 0, [1, 1, 1])]
)
def test_a_page_ends_where_an_answer_has_no_more_room(
    core: Core,
    manage: ManageEndpoints,
    monkeypatch: pytest.MonkeyPatch,
    room_for: int,
    less: int,
    expected: list[int],
) -> None:
    # Given three deliveries, and room for just two of them, almost two, or none
    for number in range(2, 4):
        core.webhooks.add_delivery(replace(a_delivery(core.endpoint()), id=numbered("dlv", number)))
    [document, *_] = manage.deliveries(listing()).deliveries
    room = room_for * len(json.dumps(to_json(document).decode())) - less
    monkeypatch.setattr(manage_endpoints, "LARGEST_PAGE", room)
    # When
    pages = [manage.deliveries(listing())]
    while pages[-1].cursor is not None:
        pages.append(manage.deliveries(listing(cursor=pages[-1].cursor)))
    # Then each page has at least one, and they follow each other
    assert [len(page.deliveries) for page in pages] == expected
    assert [each["id"] for page in pages for each in page.deliveries] == [
        numbered("dlv", number) for number in (3, 2, 1)
    ]


def test_deliveries_are_filtered(core: Core, manage: ManageEndpoints) -> None:
    # Given
    test = manage.test(MANAGER, ENDPOINT).body
    # When
    page = manage.deliveries(listing(wanted=DeliveryFilter(event_type=EventType.WEBHOOK_TEST)))
    # Then
    assert page.deliveries == [test]


@pytest.mark.parametrize(
    "other",
    [
        {"endpoint_id": numbered("wh", 2)},
        {"wanted": DeliveryFilter(statuses=frozenset({DeliveryStatus.PENDING}))},
        {"wanted": DeliveryFilter(event_type=EventType.POST_CANCELLED)},
        {"wanted": DeliveryFilter(since=START)},
        {"wanted": DeliveryFilter(until=START)},
    ],
)
def test_a_cursor_is_good_for_its_own_listing_only(
    core: Core, manage: ManageEndpoints, other: dict[str, Any]
) -> None:
    # Given
    core.webhooks.add_endpoint(core.an_endpoint(2))
    manage.test(MANAGER, ENDPOINT)
    cursor = manage.deliveries(listing(limit=1)).cursor
    # Then
    with pytest.raises(ValidationError, match="cursor"):
        manage.deliveries(listing(cursor=cursor, **other))


def test_what_a_cursor_is_bound_to_has_one_written_form() -> None:
    every = frozenset(DeliveryStatus)
    command = listing(
        wanted=DeliveryFilter(
            statuses=every, event_type=EventType.POST_FAILED, since=START, until=START
        )
    )
    moment = "2026-06-01T09:00:00.000Z"
    assert command.purpose == (
        *("deliveries", ENDPOINT, "post.failed", moment, moment),
        *("DELIVERED", "DROPPED", "EXHAUSTED", "PARKED", "PENDING"),
    )
    assert listing().purpose == ("deliveries", ENDPOINT, None, None, None)


def _with_an_attempt(delivery: Delivery) -> Delivery:
    attempt = Attempt(number=1, at=START, duration_ms=7, status=200)
    return webhook.delivered(delivery, attempt)


def test_a_delivery_is_shown_with_its_events_payload(core: Core, manage: ManageEndpoints) -> None:
    # Given
    post = core.created(1, scheduled_for=None)
    [event] = [each for each in core.all_events() if each.post_id == post.id]
    delivery = _with_an_attempt(a_delivery(core.endpoint(), event))
    core.webhooks.add_delivery(delivery)
    # When
    answer = manage.delivery(MANAGER, ENDPOINT, delivery.id)
    # Then
    assert answer.status == 200
    assert answer.body == {**delivery_document(delivery), "payload": event.payload}


def test_a_delivery_is_shown_with_a_payload_of_its_own(core: Core, manage: ManageEndpoints) -> None:
    # Given
    test = manage.test(MANAGER, ENDPOINT).body
    # When
    shown = manage.delivery(MANAGER, ENDPOINT, str(test["id"])).body
    # Then
    assert shown["payload"]["webhook"]["id"] == ENDPOINT
    assert shown["payload"]["eventId"] == test["eventId"]


def test_a_delivery_whose_event_is_not_kept_any_more(manage: ManageEndpoints) -> None:
    assert manage.delivery(MANAGER, ENDPOINT, DELIVERY).body["payload"] is None


@pytest.mark.parametrize("verb", ["delivery", "redeliver"])
def test_a_delivery_that_there_is_not(manage: ManageEndpoints, verb: str) -> None:
    with pytest.raises(NotFoundError):
        getattr(manage, verb)(MANAGER, ENDPOINT, numbered("dlv", 99))


def test_a_delivery_is_sent_again(core: Core, manage: ManageEndpoints) -> None:
    # When
    answer = manage.redeliver(MANAGER, ENDPOINT, DELIVERY)
    # Then
    stored = core.webhooks.delivery(ENDPOINT, DELIVERY)
    assert stored is not None
    assert (answer.status, answer.body) == (202, delivery_document(stored))
    assert [each.delivery_id for each in core.delivery_queue.sent] == [DELIVERY]


def test_recovering_tells_how_many_were_sent_off_at_once(
    core: Core, manage: ManageEndpoints
) -> None:
    # Given
    for _ in range(2):
        core.webhooks.add_delivery(
            replace(a_delivery(core.endpoint()), status=DeliveryStatus.EXHAUSTED)
        )
    # When
    answer = manage.recover(MANAGER, ENDPOINT, START)
    # Then
    assert answer.status == 202
    assert answer.body == {**endpoint_document(core.endpoint()), "deliveriesSent": 2}
