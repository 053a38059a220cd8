"""The webhook of a cancel, as a receiver that trusts nobody sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import Api, behave, lines, wait_for_event, wait_until, webhooks
from tests.support.core import SentRequest
from tests.support.event_schemas import check_event
from tests.support.webhook_samples import SAMPLES

pytestmark = pytest.mark.e2e

Stack = Mapping[str, Any]


@pytest.fixture
def receiver(stack: Stack) -> Iterator[str]:
    """The webhook receiver, which behaves again after the test."""
    url = str(stack["receiver"]["url"])
    yield url
    behave(url, status=200, times=0)


def canceled(stack: Stack) -> dict[str, Any]:
    api = Api(stack)
    post = api.schedule(stack["accounts"]["BLUESKY"][0], seconds=3600, content="Grüße 🌬")
    body: dict[str, Any] = api.cancel(post["id"], {"reason": "Später."}).body
    return body


def test_the_event_carries_the_post_as_it_was_answered(stack: Stack) -> None:
    # Given a canceled post
    answered = canceled(stack)
    # When its webhook arrives
    request = wait_for_event(stack, answered["id"], "post.cancelled")
    # Then body and headers are those of the contract
    body = json.loads(request["body"])
    headers = {name.lower(): value for name, value in request["headers"].items()}
    cancellation = answered.pop("cancellation")
    assert body["apiVersion"] == headers["x-postbreeze-api-version"] == "2026-05-01"
    assert body["deliveryId"] == headers["x-postbreeze-delivery-id"] == headers["webhook-id"]
    assert headers["x-postbreeze-event"] == "post.cancelled"
    assert headers["user-agent"] == "Postbreeze-Webhook/1.0"
    assert headers["content-type"] == "application/json"
    assert body["payload"]["post"] == answered
    assert body["payload"]["cancellation"] == cancellation
    assert body["payload"]["workspaceId"] == stack["workspaceId"]


def test_each_delivery_is_verified_by_every_documented_check(stack: Stack, tmp_path: Path) -> None:
    # Given all that came of a post
    post_id = str(canceled(stack)["id"])
    wait_for_event(stack, post_id, "post.cancelled")
    requests = [
        SentRequest(url=line["path"], headers=line["headers"], body=line["body"].encode())
        for line in webhooks(stack, post_id)
    ]
    # Then it is as the catalogue has it
    for request in requests:
        check_event(request.headers["X-Postbreeze-Event"], request.body)
    # And programs of others take it for ours
    checks = [(request, str(stack["receiver"]["secret"])) for request in requests]
    verified = {
        name: sample.accepts(tmp_path, *checks)
        for name, sample in SAMPLES.items()
        if not sample.is_missing
    }
    assert verified == dict.fromkeys(verified, [True] * len(requests))
    assert {"python with standardwebhooks", "python with svix"} <= verified.keys()


def test_a_failing_receiver_gets_the_same_delivery_again(stack: Stack, receiver: str) -> None:
    # Given a receiver that fails once
    behave(receiver, status=500, times=1)
    # When a post is canceled
    canceled(stack)

    # Then the delivery that met the failure, be it this post's or a straggler of an earlier one,
    # comes again under the same id and is taken
    def taken() -> list[dict[str, Any]] | None:
        by_delivery: dict[str, list[dict[str, Any]]] = {}
        for request in lines(stack["receiver"]["log"]):
            by_delivery.setdefault(json.loads(request["body"])["deliveryId"], []).append(request)
        for requests in by_delivery.values():
            if [request["status"] for request in requests] == [500, 200]:
                return requests
        return None

    first, second = wait_until(taken, "the second attempt", seconds=60)
    signatures = [request["headers"]["X-Postbreeze-Signature"] for request in (first, second)]
    assert signatures[0] != signatures[1], "each attempt is signed anew"
