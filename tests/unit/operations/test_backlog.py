"""Sending off what an endpoint has missed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postbreeze.domain import ids, webhook
from postbreeze.domain.errors import LostRaceError, UnavailableError
from postbreeze.domain.events import EventType
from postbreeze.domain.webhook import (
    Backlog,
    Delivery,
    DeliveryStatus,
    Endpoint,
    Lane,
    Notice,
)
from postbreeze.operations.backlog import SendBacklog
from tests.support.builders import LATER, a_delivery, an_endpoint, an_id
from tests.support.fakes import START, QueuedDelivery, World

EARLIER = START - timedelta(hours=2)
A_MINUTE = timedelta(minutes=1)


class Office:
    """An endpoint that has missed something, and what is sent off to it."""

    def __init__(self, **wanted: Any) -> None:
        self.world = world = World()
        self.endpoint = an_endpoint(due_at=START, **wanted)
        world.webhooks.add_endpoint(self.endpoint)
        self.send = SendBacklog(
            webhooks=world.webhooks, queue=world.delivery_queue, clock=world.clock
        )

    def has(self, status: DeliveryStatus, **changes: Any) -> Delivery:
        """Add a delivery that waits."""
        waiting = {"status": status, "next_attempt_at": None, "due_at": None, "tries": 3}
        delivery = replace(a_delivery(self.endpoint), **{**waiting, **changes})
        self.world.webhooks.add_delivery(delivery)
        return delivery

    def now(self, delivery: Delivery) -> Delivery:
        found = self.world.webhooks.delivery(self.endpoint.id, delivery.id)
        assert found is not None
        return found

    def present(self) -> Endpoint:
        found = self.world.webhooks.endpoint(self.endpoint.workspace_id, self.endpoint.id)
        assert found is not None
        return found

    @property
    def sent(self) -> list[str]:
        return [each.delivery_id for each in self.world.delivery_queue.sent]


def test_what_was_parked_is_sent_off_oldest_first_by_the_late_lane() -> None:
    # Given
    office = Office(backlog=Backlog(asked_at=START, is_parked=True))
    parked = [office.has(DeliveryStatus.PARKED) for _ in range(3)]
    others = [office.has(DeliveryStatus.EXHAUSTED), office.has(DeliveryStatus.DELIVERED)]
    # When
    sent = office.send(office.endpoint, 2)
    # Then
    assert sent == 2
    assert office.world.delivery_queue.sent == [
        QueuedDelivery(endpoint_id=office.endpoint.id, delivery_id=each.id, lane=Lane.LATE)
        for each in parked[:2]
    ]
    assert [office.now(each) for each in parked[:2]] == [
        webhook.sent_off(each, now=START) for each in parked[:2]
    ]
    assert [office.now(each) for each in (parked[2], *others)] == [parked[2], *others]
    assert office.world.delivery_queue.calls["send_all"] == 1


def test_what_was_given_up_since_then_is_sent_off() -> None:
    # Given
    office = Office(backlog=Backlog(asked_at=START, failed_since=START))
    earlier = office.has(DeliveryStatus.EXHAUSTED, created_at=START - timedelta(seconds=1))
    since = office.has(DeliveryStatus.EXHAUSTED)
    parked = office.has(DeliveryStatus.PARKED)
    # When
    office.send(office.endpoint, 10)
    # Then
    assert office.sent == [since.id]
    assert (office.now(earlier), office.now(parked)) == (earlier, parked)


def test_both_kinds_are_one_page_the_oldest_first() -> None:
    # Given
    office = Office(backlog=Backlog(asked_at=START, is_parked=True, failed_since=EARLIER))
    made = [office.has(status) for status in (DeliveryStatus.EXHAUSTED, DeliveryStatus.PARKED) * 2]
    # When
    sent = office.send(office.endpoint, 3)
    # Then
    assert (sent, office.sent) == (3, [each.id for each in made[:3]])


def test_without_a_backlog_nothing_is_looked_for() -> None:
    # Given
    office = Office(backlog=None)
    office.has(DeliveryStatus.PARKED)
    # Then
    assert office.send(office.endpoint, 10) == 0
    assert office.present() == office.endpoint
    assert "waiting_deliveries" not in office.world.webhooks.calls


@pytest.mark.parametrize("is_found", [True, False])
def test_the_next_page_waits_for_a_minute(is_found: bool) -> None:
    # Given: asked for a minute ago, the listing may still lag behind.
    office = Office(backlog=Backlog(asked_at=START - A_MINUTE, is_parked=True))
    if is_found:
        office.has(DeliveryStatus.PARKED)
    # When
    office.send(office.endpoint, 10)
    # Then
    assert office.present() == replace(
        office.endpoint, due_at=START + A_MINUTE, revision=office.endpoint.revision + 1
    )


def test_it_goes_on_for_as_long_as_there_is_something() -> None:
    # Given
    office = Office(backlog=Backlog(asked_at=EARLIER, is_parked=True))
    office.has(DeliveryStatus.PARKED)
    # When
    office.send(office.endpoint, 10)
    # Then
    assert office.present().backlog == office.endpoint.backlog
    assert office.present().due_at == START + A_MINUTE
    assert office.send(office.present(), 10) == 0
    assert (office.present().backlog, office.present().due_at) == (None, None)


def test_it_ends_where_nothing_is_found_and_it_was_asked_for_long_enough_ago() -> None:
    # Given
    asked_at = START - A_MINUTE - timedelta(milliseconds=1)
    office = Office(backlog=Backlog(asked_at=asked_at, is_parked=True))
    # When
    sent = office.send(office.endpoint, 10)
    # Then
    assert sent == 0
    assert office.present() == replace(
        office.endpoint, backlog=None, due_at=None, revision=office.endpoint.revision + 1
    )
    assert "send_all" not in office.world.delivery_queue.calls


def test_a_pending_notice_keeps_the_endpoint_due() -> None:
    # Given
    notice = Notice(
        event_id=an_id(ids.EVENT),
        type=EventType.WEBHOOK_DISABLED,
        occurred_at=EARLIER,
        payload={},
    )
    office = Office(backlog=Backlog(asked_at=EARLIER, is_parked=True), notice=notice)
    # When
    office.send(office.endpoint, 10)
    # Then
    present = office.present()
    assert (present.backlog, present.notice, present.due_at) == (None, notice, START)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": DeliveryStatus.PENDING, "next_attempt_at": LATER},
        {"status": DeliveryStatus.DELIVERED},
        {"status": DeliveryStatus.DROPPED},
        {"status": DeliveryStatus.PARKED, "leased_until": LATER},
        None,
    ],
)
def test_a_listing_that_lags_behind_sends_nothing_twice(
    changes: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given: what is listed has just left, or its endpoint was removed with it.
    office = Office(backlog=Backlog(asked_at=EARLIER, is_parked=True))
    left = replace(a_delivery(office.endpoint), **changes or {})
    if changes is not None:
        office.world.webhooks.add_delivery(left)
    monkeypatch.setattr(office.world.webhooks, "waiting_deliveries", lambda *_, **__: [left.id])
    # When
    sent = office.send(office.endpoint, 10)
    # Then
    assert (sent, office.sent) == (0, [])
    if changes is not None:
        assert office.now(left) == left
    assert office.present().backlog is not None


def test_a_delivery_that_somebody_else_sends_off_is_left_to_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given
    office = Office(backlog=Backlog(asked_at=START, is_parked=True))
    first, second = office.has(DeliveryStatus.PARKED), office.has(DeliveryStatus.PARKED)
    write = office.world.webhooks.replace_delivery

    def lost(delivery: Delivery, *, expected_revision: int) -> None:
        if delivery.id == first.id:
            raise LostRaceError
        write(delivery, expected_revision=expected_revision)

    monkeypatch.setattr(office.world.webhooks, "replace_delivery", lost)
    # When
    sent = office.send(office.endpoint, 10)
    # Then
    assert (sent, office.sent) == (1, [second.id])


def test_an_endpoint_that_was_changed_meanwhile_is_left_as_it_is() -> None:
    # Given
    office = Office(backlog=Backlog(asked_at=START, is_parked=True))
    parked = office.has(DeliveryStatus.PARKED)
    changed = webhook.disabled(office.endpoint, "Enough.", now=START)
    office.world.webhooks.replace_endpoint(changed, expected_revision=office.endpoint.revision)
    # When
    sent = office.send(office.endpoint, 10)
    # Then
    assert (sent, office.sent) == (1, [parked.id])
    assert office.present() == changed


def test_a_message_that_was_not_sent_is_found_by_the_reconciler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given
    office = Office(backlog=Backlog(asked_at=START, is_parked=True))
    parked = office.has(DeliveryStatus.PARKED)

    def down(*_: object, **__: object) -> None:
        raise UnavailableError

    monkeypatch.setattr(office.world.delivery_queue, "send_all", down)
    # When
    with pytest.raises(UnavailableError):
        office.send(office.endpoint, 10)
    # Then
    due_at = office.now(parked).due_at
    assert due_at is not None
    assert office.world.webhooks.due_deliveries(due_at, 10) == [(office.endpoint.id, parked.id)]
