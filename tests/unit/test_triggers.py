"""Queues, schedules and the clock: what is done, what is told back, what is logged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from postbreeze import triggers
from postbreeze.domain.errors import ContendedError, UnavailableError
from postbreeze.triggers import MalformedMessageError
from tests.support.http_client import KeptLog
from tests.support.lambda_context import a_context


def records(*bodies: str) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "2"},
            }
            for number, body in enumerate(bodies)
        ]
    }


def failed(answer: Mapping[str, Any]) -> list[str]:
    assert answer.keys() == {"batchItemFailures"}
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_each_record_stands_for_itself() -> None:
    # Given work that fails in three ways
    log = KeptLog()
    done = []

    def work(message: Mapping[str, Any]) -> str:
        match message["n"]:
            case 1:
                raise UnavailableError("down")
            case 2:
                raise ContendedError
            case 3:
                raise ValueError("a fault of ours")
        done.append(message["n"])
        return "done"

    # When a batch comes
    bodies = [json.dumps({"n": number}) for number in range(5)]
    answer = triggers.queue(work, log)(records(*bodies), a_context())
    # Then what failed is told, and the rest is done
    assert failed(answer) == ["m1", "m2", "m3"]
    assert done == [0, 4]
    # And each has its line: a warning for what will pass, an error with its cause for what is ours
    levels = [line.get("level") for line in log.lines]
    assert levels == [None, "WARNING", "WARNING", "ERROR", None]
    assert [type(error) for error in log.errors] == [ValueError]
    assert all(line["receiveCount"] == "2" for line in log.lines)
    assert log.invocations == 1


@pytest.mark.parametrize("body", ["", "{", "[]", '"x"', "null", "\ud800"])
def test_a_record_that_cannot_be_read_fails(body: str) -> None:
    log = KeptLog()
    answer = triggers.queue(lambda _: "done", log)(records(body), a_context())
    assert failed(answer) == ["m0"]
    assert [type(error) for error in log.errors] == [MalformedMessageError]


def test_an_empty_batch_is_nothing() -> None:
    assert failed(triggers.queue(lambda _: "done", KeptLog())(records(), a_context())) == []


def test_a_direct_invocation_answers_its_outcome() -> None:
    log = KeptLog()
    handler = triggers.direct(lambda message: str(message["x"]), log)
    assert handler({"x": 1}, a_context()) == {"outcome": "1"}
    assert [line["outcome"] for line in log.lines] == ["1"]


def test_a_direct_invocation_raises_what_its_work_raises() -> None:
    log = KeptLog()

    def work(message: Mapping[str, Any]) -> str:
        raise UnavailableError("down")

    with pytest.raises(UnavailableError):
        triggers.direct(work, log)({}, a_context())
    assert [type(error) for error in log.errors] == [UnavailableError]


def test_a_timed_invocation_answers_its_counts() -> None:
    log = KeptLog()
    assert triggers.timed(lambda: {"Repaired": 2}, log)({}, a_context()) == {"Repaired": 2}
    assert [line["counts"] for line in log.lines] == [{"Repaired": 2}]


@pytest.mark.parametrize(("started", "outcome"), [(True, "started"), (False, "nothing to do")])
def test_a_fire_is_read(started: bool, outcome: str) -> None:
    calls = []

    def start(post_id: str, workflow_id: str) -> bool:
        calls.append((post_id, workflow_id))
        return started

    work = triggers.start_publish(start)
    assert work({"postId": "p", "workflowId": "w"}) == outcome
    assert calls == [("p", "w")]


def test_both_actions_of_the_publish_queue_are_read() -> None:
    def publish(*given: str) -> str:
        return f"publish {given}"

    def resolve(*given: str) -> str:
        return f"resolve {given}"

    work = triggers.publish_target(publish, resolve)
    common = {"postId": "p", "targetId": "t"}
    assert work({"action": "publish", "workflowId": "w", **common}) == "publish ('p', 't', 'w')"
    assert work({"action": "resolve", "claimId": "c", **common}) == "resolve ('p', 't', 'c')"
    with pytest.raises(MalformedMessageError, match="delete is not an action"):
        work({"action": "delete", **common})


def test_the_messages_of_webhooks_are_read() -> None:
    fan_out = triggers.fan_out_event(lambda post_id, event_id: len(post_id + event_id))
    assert fan_out({"postId": "p", "eventId": "e"}) == "2 deliveries"
    deliver = triggers.deliver_webhook(
        lambda endpoint_id, delivery_id, lane: f"{endpoint_id} {delivery_id} {lane}"
    )
    assert deliver({"endpointId": "w", "deliveryId": "d"}) == "w d prompt"
    assert deliver({"endpointId": "w", "deliveryId": "d", "lane": "late"}) == "w d late"


@pytest.mark.parametrize("lane", ["fast", "", None, 1, []])
def test_a_message_names_a_lane_that_there_is(lane: object) -> None:
    deliver = triggers.deliver_webhook(lambda endpoint_id, delivery_id, lane: "done")
    with pytest.raises(MalformedMessageError, match="lane"):
        deliver({"endpointId": "w", "deliveryId": "d", "lane": lane})


@pytest.mark.parametrize("message", [{}, {"postId": None}, {"postId": 1}, {"postId": ""}])
def test_a_message_must_say_what_it_is_about(message: dict[str, object]) -> None:
    with pytest.raises(MalformedMessageError, match="postId"):
        triggers.text(message, "postId")
