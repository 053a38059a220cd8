"""The ledger of a soak balances where it should, and names what does not add up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from postbreeze.adapters.platforms.record_keys import comment_key, post_key
from tests.support.ledger import (
    UNKNOWN,
    Call,
    Delivery,
    Endpoint,
    Event,
    Evidence,
    Post,
    Receipt,
    Request,
    balance,
)

OUT, STOPPED = "post_01JZZZZZZZZZZZZZZZZZZZZZZA", "post_01JZZZZZZZZZZZZZZZZZZZZZZB"
OUT_TARGET, STOPPED_TARGET = "tgt_01JZZZZZZZZZZZZZZZZZZZZZZC", "tgt_01JZZZZZZZZZZZZZZZZZZZZZZD"
HOOK, GONE = "wh_01JZZZZZZZZZZZZZZZZZZZZZZE", "wh_01JZZZZZZZZZZZZZZZZZZZZZZF"
NOW = "2026-06-15T10:00:00.000Z"


def at(second: int) -> str:
    return f"2026-06-15T09:00:{second:02}.000Z"


def document(post_id: str, status: str, version: int, **more: Any) -> dict[str, Any]:
    """Write one of the two posts, whose target says what its create wanted."""
    target_id = OUT_TARGET if post_id == OUT else STOPPED_TARGET
    shape = {"SCHEDULED": "SCHEDULED", "PUBLISHED": "PUBLISHED", "CANCELED": "CANCELED"}
    target = {
        "id": target_id,
        "status": shape[status],
        "captionOverride": post_id,
        "scheduledFor": at(10),
        **more.pop("target", {}),
    }
    return {
        "id": post_id,
        "status": status,
        "version": version,
        "caption": post_id,
        "scheduledAt": at(10),
        "targets": [target],
        **more,
    }


def shown(*wanted: Any, **more: Any) -> Post:
    return Post.read(document(*wanted, **more))


def event(number: int, kind: str, before: int, told: dict[str, Any]) -> Event:
    return Event(
        id=f"evt_{number}",
        type=kind,
        post_id=told["id"],
        before=before,
        after=told["version"],
        payload={"eventId": f"evt_{number}", "post": told},
    )


def sound() -> Evidence:
    """One post that went out and one that was cancelled; an endpoint, and one that is disabled."""
    requests, events = [], []
    for number, post_id in enumerate((OUT, STOPPED)):
        staged = document(post_id, "SCHEDULED", 2, pendingWorkflowId=f"{post_id}-1")
        armed = document(post_id, "SCHEDULED", 4, workflowId=f"{post_id}-1")
        events += [
            event(number * 10, "post.created", 0, staged),
            event(number * 10 + 1, "post.scheduled", 2, armed),
        ]
        requests.append(
            Request(
                verb="create", sent_at=at(1), text=post_id, status=201, post=Post.read(armed),
                lost=(500,), is_repeated=True,
            )
        )  # fmt: skip
    out = document(OUT, "PUBLISHED", 8)
    stopped = document(STOPPED, "CANCELED", 6, canceledAt=at(5))
    events += [event(2, "post.published", 7, out), event(12, "post.cancelled", 4, stopped)]
    requests.append(
        Request(
            verb="cancel", sent_at=at(4), post_id=STOPPED, status=200, post=Post.read(stopped),
            outcomes={STOPPED_TARGET: "canceled"},
        )
    )  # fmt: skip
    return Evidence(
        now=NOW,
        requests=tuple(requests),
        posts=(Post.read(out), Post.read(stopped)),
        listed=frozenset({OUT, STOPPED}),
        events=tuple(events),
        endpoints=(
            Endpoint(id=HOOK, filters=("*",)),
            Endpoint(id=GONE, filters=("post.cancelled",), is_enabled=False),
        ),
        deliveries=(
            *(Delivery(id=f"{e.id} h", endpoint_id=HOOK, event_id=e.id, status="DELIVERED")
              for e in events),
            Delivery(id="evt_12 g", endpoint_id=GONE, event_id="evt_12", status="PARKED"),
        ),
        receipts=tuple(
            Receipt(endpoint_id=HOOK, delivery_id=f"{e.id} h", status=200, payload=e.payload)
            for e in events
        ),
        calls=(Call(key=post_key(OUT_TARGET), at=at(11), text=OUT, took_effect=True),),
    )  # fmt: skip


def told_of(endpoint_id: str, delivery_id: str = "evt_99 h") -> Evidence:
    """Have the endpoint be told that another one was disabled."""
    sound_ = sound()
    row = Delivery(id="evt_99 h", endpoint_id=HOOK, event_id="evt_99", status="DELIVERED")
    payload = {"eventId": "evt_99", "webhook": {"id": endpoint_id}}
    receipt = Receipt(endpoint_id=HOOK, delivery_id=delivery_id, status=200, payload=payload)
    return replace(
        sound_,
        deliveries=(*sound_.deliveries, row),
        receipts=(*sound_.receipts, receipt),
    )


def test_that_an_endpoint_was_disabled_is_told_without_a_row_of_the_outbox() -> None:
    # Given / When
    ledger = balance(told_of(GONE))
    # Then
    assert ledger.faults == ()
    assert ledger.accounts["deliveries"]["told of an endpoint that was disabled"] == 1


@pytest.mark.parametrize("world", [told_of(HOOK), told_of("wh_none"), told_of(GONE, "other")])
def test_that_an_endpoint_was_disabled_is_told_if_it_was(world: Evidence) -> None:
    assert balance(world).faults == (f"evt_99: told of to {HOOK}, and is no event",)


def test_a_sound_world_balances() -> None:
    # Given / When
    ledger = balance(sound())
    # Then
    assert ledger.faults == ()
    assert (ledger.accepted, ledger.accounted) == (3, 3)
    assert ledger.accounts["targets"] == {"PUBLISHED": 1, "CANCELED": 1}
    assert ledger.accounts["deliveries"] == {"taken once": 6, "parked for a disabled endpoint": 1}
    assert ledger.accounts["targets that an answer called canceled"] == {"never went out": 1}
    assert "Accepted requests: 3; accounted for: 3." in ledger.lines()


def with_post(evidence: Evidence, wanted: str, **more: Any) -> Evidence:
    """Have one post's end look otherwise."""
    posts = [replace(post, **more) if post.id == wanted else post for post in evidence.posts]
    return replace(evidence, posts=tuple(posts))


def with_target(evidence: Evidence, wanted: str, **more: Any) -> Evidence:
    """Have the end of one post's target look otherwise."""
    post = next(post for post in evidence.posts if post.id == wanted)
    return with_post(evidence, wanted, targets=(replace(post.targets[0], **more),))


def with_call(evidence: Evidence, **more: Any) -> Evidence:
    """Have the platform called once more."""
    call = Call(key=post_key(OUT_TARGET), at=at(12), text=OUT, took_effect=True)
    return replace(evidence, calls=(*evidence.calls, replace(call, **more)))


def without_event(evidence: Evidence, event_id: str) -> Evidence:
    """Forget an event, its deliveries and receipts."""
    return replace(
        evidence,
        events=tuple(each for each in evidence.events if each.id != event_id),
        receipts=tuple(r for r in evidence.receipts if r.payload["eventId"] != event_id),
    )


def asking(evidence: Evidence, **request: Any) -> Evidence:
    """Have a client ask for one thing more."""
    return replace(evidence, requests=(*evidence.requests, Request(**request)))


def pending(evidence: Evidence) -> Evidence:
    events = [replace(each, is_pending=each.id == "evt_12") for each in evidence.events]
    return replace(evidence, events=tuple(events))


def without_receipt(evidence: Evidence, event_id: str) -> Evidence:
    kept = [each for each in evidence.receipts if each.payload["eventId"] != event_id]
    return replace(evidence, receipts=tuple(kept))


def another_receipt(evidence: Evidence, **more: Any) -> Evidence:
    again = replace(evidence.receipts[0], **more)
    return replace(evidence, receipts=(*evidence.receipts, again))


BREAKS: dict[str, tuple[Callable[[Evidence], Evidence], str]] = {
    "a post is lost": (
        lambda e: replace(e, posts=e.posts[:1]),
        "its post is not there",
    ),
    "a post goes back": (
        lambda e: with_post(e, STOPPED, version=5),
        "went back to version 5",
    ),
    "a create makes two": (
        lambda e: with_post(e, STOPPED, tag=OUT),
        "made 2 posts",
    ),
    "a post comes from nowhere": (
        lambda e: with_post(e, STOPPED, tag="nobody's"),
        "nobody asked for it",
    ),
    "a refused create takes effect": (
        lambda e: replace(
            e, requests=(replace(e.requests[0], status=400, post=None), *e.requests[1:])
        ),
        "refused, and made",
    ),
    "a creation is not told": (lambda e: without_event(e, "evt_0"), "no trace of it"),
    "a cancel is not told": (lambda e: without_event(e, "evt_12"), "no trace of it"),
    "an ending is not told": (lambda e: without_event(e, "evt_2"), "and no post.published"),
    "an arming is not told": (lambda e: without_event(e, "evt_1"), "nobody was told"),
    "an arming is told twice": (
        lambda e: replace(e, events=(*e.events, replace(e.events[1], id="evt_x"))),
        "armed 2 ×",
    ),
    "a cancel is told twice": (
        lambda e: replace(e, events=(*e.events, replace(e.events[-1], id="evt_x"))),
        "cancelled 2 ×",
    ),
    "a refused cancel takes effect": (
        lambda e: replace(
            e, requests=(*e.requests[:2], replace(e.requests[2], status=400, post=None))
        ),
        "nobody asked",
    ),
    "two transitions overlap": (
        lambda e: replace(e, events=(*e.events[:4], replace(e.events[4], before=3), e.events[5])),
        "overlap",
    ),
    "a deletion that was accepted did nothing": (
        lambda e: asking(
            e, verb="delete", sent_at=at(20), post_id=OUT, status=200, post=e.posts[0]
        ),
        "no trace of it",
    ),
    "a retry that was accepted did nothing": (
        lambda e: asking(e, verb="retry", sent_at=at(20), post_id=OUT, status=200, post=e.posts[0]),
        "no trace of it",
    ),
    "an accepted arming comes to nothing": (
        lambda e: asking(
            e, verb="reschedule", sent_at=at(3), post_id=OUT, status=200,
            post=shown(OUT, "SCHEDULED", 5, pendingWorkflowId=f"{OUT}-2"),
        ),
        "no trace of it",
    ),
    "an edit is lost": (
        lambda e: asking(
            e, verb="patch", sent_at=at(3), post_id=OUT, status=200, text="new",
            post=shown(OUT, "SCHEDULED", 5, workflowId=f"{OUT}-1",
                       target={"captionOverride": "new"}),
        ),
        "went back to an older text",
    ),
    "a refused edit takes effect": (
        lambda e: with_target(
            asking(e, verb="patch", sent_at=at(3), post_id=STOPPED, status=400, text="new"),
            STOPPED, text="new",
        ),
        "says what was refused",
    ),
    "a post is never concluded": (
        lambda e: with_post(e, OUT, status="PUBLISHING"),
        "is still being published",
    ),
    "a target stays in flight": (
        lambda e: with_target(e, OUT, status="PUBLISHING"),
        "is still in flight",
    ),
    "an arming stays pending": (
        lambda e: with_post(e, OUT, pending_workflow_id=f"{OUT}-2"),
        "is pending",
    ),
    "a fire is lost": (
        lambda e: with_post(e, OUT, status="SCHEDULED", workflow_id=f"{OUT}-1"),
        "has not begun",
    ),
    "a schedule is lost": (
        lambda e: with_post(
            e, OUT, status="SCHEDULED", workflow_id=f"{OUT}-1",
            scheduled_at="2026-06-15T11:00:00.000Z",
        ),
        "has no schedule",
    ),
    "a post is not listed": (lambda e: replace(e, listed=frozenset({OUT})), "the listing differs"),
    "a published target is not there": (
        lambda e: replace(e, calls=()),
        "its platform has nothing",
    ),
    "a target goes out twice": (with_call, "2 records"),
    "a target is sent again": (
        lambda e: with_call(e, took_effect=False),
        "sent again",
    ),
    "a canceled target goes out": (
        lambda e: with_call(e, key=post_key(STOPPED_TARGET)),
        "after cancel",
    ),
    "a failed target is out": (
        lambda e: with_target(e, OUT, status="FAILED", error="PUBLISH_NOT_COMPLETED"),
        "and has a record",
    ),
    "a target fails for no reason": (
        lambda e: with_target(e, STOPPED, status="FAILED"),
        "without a reason",
    ),
    "a target goes out early": (
        lambda e: with_target(e, OUT, scheduled_for=at(12)),
        "before 2026-06-15T09:00:12",
    ),
    "a target says something else": (lambda e: with_target(e, OUT, text="else"), "was wanted"),
    "a record belongs to nobody": (
        lambda e: with_call(e, key=post_key("tgt_01JZZZZZZZZZZZZZZZZZZZZZZZ")),
        "a record of no target",
    ),
    "a comment is owed": (
        lambda e: with_target(e, OUT, comment="More.", comment_error="FIRST_COMMENT_PENDING"),
        "is still owed",
    ),
    "a comment is not there": (
        lambda e: with_target(e, OUT, comment="More."),
        "its first comment is not there",
    ),
    "a comment is made twice": (
        lambda e: with_call(with_call(e, key=comment_key(OUT_TARGET)), key=comment_key(OUT_TARGET)),
        "2 comments",
    ),
    "an event stays in the outbox": (pending, "in the outbox"),
    "an event is never delivered": (lambda e: without_receipt(e, "evt_12"), "said to be delivered"),
    "a delivery is never made": (
        lambda e: replace(e, deliveries=e.deliveries[1:]),
        "no delivery",
    ),
    "what is parked is lost": (
        lambda e: replace(
            e, deliveries=(*e.deliveries[:-1], replace(e.deliveries[-1], status="DROPPED"))
        ),
        "never taken",
    ),
    "a delivery changes its id": (
        lambda e: another_receipt(e, delivery_id="other"),
        "more than one delivery id",
    ),
    "an event is told that never was": (
        lambda e: another_receipt(e, payload={"eventId": "evt_none"}),
        "is no event",
    ),
    "an event is told otherwise": (
        lambda e: another_receipt(e, payload={"eventId": "evt_0"}),
        "told otherwise",
    ),
}  # fmt: skip


@pytest.mark.parametrize("broken", BREAKS)
def test_what_does_not_add_up_is_named(broken: str) -> None:
    # Given
    break_it, expected = BREAKS[broken]
    # When
    ledger = balance(break_it(sound()))
    # Then
    assert any(expected in fault for fault in ledger.faults), ledger.faults


def test_a_target_begun_anew_by_a_client_may_go_out_after_all() -> None:
    # Given a cancelled post that a client schedules again, and that goes out
    evidence = sound()
    again = shown(STOPPED, "SCHEDULED", 7, pendingWorkflowId=f"{STOPPED}-2")
    told = [
        event(
            13, "post.scheduled", 7, document(STOPPED, "SCHEDULED", 9, workflowId=f"{STOPPED}-2")
        ),
        event(14, "post.published", 11, document(STOPPED, "PUBLISHED", 12)),
    ]
    evidence = asking(
        evidence, verb="schedule", sent_at=at(6), post_id=STOPPED, status=200, post=again
    )
    evidence = with_call(evidence, key=post_key(STOPPED_TARGET), text=STOPPED)
    evidence = with_post(
        with_target(evidence, STOPPED, status="PUBLISHED"),
        STOPPED,
        status="PUBLISHED",
        version=12,
        canceled_at=None,
    )
    # When
    ledger = balance(replace(evidence, events=(*evidence.events, *told), endpoints=()))
    # Then
    assert ledger.faults == ()
    assert ledger.accounts["targets that an answer called canceled"] == {
        "went out later, because a client had it begun anew": 1
    }
    # But not had they asked for it before the cancel, or after it was out
    for wrong in (replace(again, version=5), again):
        late = replace(evidence.requests[-1], post=wrong, sent_at=at(6 if wrong != again else 30))
        early = replace(evidence, requests=(*evidence.requests[:-1], late))
        assert any("after cancel" in fault for fault in balance(early).faults)


def test_an_unknown_outcome_may_be_either() -> None:
    # Given a target of which nobody knows whether it is public, and it is
    evidence = with_target(sound(), OUT, status="FAILED", error=UNKNOWN)
    # When
    ledger = balance(evidence)
    # Then it is counted as what it is
    assert ledger.accounts["targets"][f"FAILED: {UNKNOWN}"] == 1
    assert not any(OUT_TARGET in fault for fault in ledger.faults)


def test_what_waits_for_another_attempt_is_kept() -> None:
    # Given
    evidence = sound()
    later = replace(
        evidence.deliveries[0],
        status="PENDING",
        attempts=2,
        next_attempt_at="2026-06-15T10:05:00.000Z",
    )
    evidence = replace(evidence, deliveries=(later, *evidence.deliveries[1:]))
    # When
    ledger = balance(without_receipt(evidence, "evt_0"))
    # Then
    assert ledger.accounts["deliveries"]["waiting for attempt 3"] == 1
    assert ledger.faults == ()


@pytest.mark.parametrize("code", ["NOT_FOUND", "IDEMPOTENCY_KEY_REUSED"])
def test_a_no_after_a_lost_try_says_nothing_of_that_try(code: str) -> None:
    # Given a cancel that took effect, whose answer was lost, and that is not repeated any more
    evidence = sound()
    cancel = replace(evidence.requests[-1], status=404, code=code, post=None, outcomes={})
    # When / Then it may have had that effect after a lost try only
    for lost, faults in (((500,), 0), ((), 1)):
        asked = (*evidence.requests[:-1], replace(cancel, lost=lost))
        assert len(balance(replace(evidence, requests=asked)).faults) == faults
