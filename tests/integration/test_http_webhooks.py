"""Managing webhook endpoints as a client sees it, on fakes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from postbreeze.domain import ids
from postbreeze.domain.access import Role
from postbreeze.domain.events import EventType
from postbreeze.domain.webhook import Attempt, Delivery, DeliveryStatus, Endpoint
from postbreeze.operations.administer.endpoints import MOST_ENDPOINTS
from tests.support.builders import a_delivery, an_event, an_id
from tests.support.fakes import START
from tests.support.http_client import Api, Reply, assert_refused

URL = "https://hooks.example.com/postbreeze"


class Webhooks(Api):
    """The API, and short ways to its webhooks."""

    def created(self, **wanted: object) -> dict[str, Any]:
        reply = self.call("POST", "/webhooks", self.wish(**wanted))
        assert reply.status == 201, reply
        return cast("dict[str, Any]", reply.body)

    def wish(self, **wanted: object) -> dict[str, object]:
        return {"workspaceId": self.workspace_id, "url": URL, **wanted}

    def endpoint(self, endpoint_id: str) -> Endpoint:
        found = self.world.webhooks.endpoint(self.workspace_id, endpoint_id)
        assert found is not None
        return found

    def delivered(self, endpoint_id: str, status: DeliveryStatus, **wanted: Any) -> Delivery:
        """Put a delivery in that has this status, and one attempt behind it."""
        attempt = Attempt(number=1, at=START, duration_ms=12, status=500, response_body="No.")
        delivery = a_delivery(
            self.endpoint(endpoint_id),
            an_event(workspace_id=self.workspace_id),
            status=status,
            attempts=(attempt,),
            next_attempt_at=None,
            **wanted,
        )
        self.world.webhooks.add_delivery(delivery)
        return delivery


@pytest.fixture
def api() -> Webhooks:
    return Webhooks()


def test_an_endpoint_is_added_read_changed_and_removed(api: Webhooks) -> None:
    # Given one with everything, and one with nothing but where it is
    whole = api.call(
        "POST",
        "/webhooks",
        api.wish(
            events=["post.*", "account.disconnected"],
            description="Ours",
            headers={"Authorization": "Bearer hidden"},
            rateLimit=5,
        ),
    )
    api.world.clock.advance(seconds=1)
    plain = api.created(events=None, description="", headers=None, rateLimit=None)
    # Then its secret is told, this once, and of its headers the names
    assert whole.status == 201
    assert "etag" not in whole.headers
    secret = whole.body.pop("secret")
    path = f"/webhooks/{whole.body['id']}"
    assert whole.headers["location"] == f"/api/v1{path}"
    assert "hidden" not in json.dumps(whole.body)
    assert whole.body == {
        "id": whole.body["id"],
        "workspaceId": api.workspace_id,
        "url": URL,
        "events": ["post.*", "account.disconnected"],
        "description": "Ours",
        "headerNames": ["Authorization"],
        "rateLimit": 5,
        "status": "ENABLED",
        "failingSince": None,
        "disabledAt": None,
        "disabledReason": None,
        "secretRetiresAt": None,
        "createdAt": "2026-06-01T09:00:00.000Z",
        "updatedAt": "2026-06-01T09:00:00.000Z",
    }
    del plain["secret"]
    assert (plain["events"], plain["description"]) == (["*"], None)
    assert api.call("GET", path).body == whole.body
    listed = api.call("GET", f"/webhooks?workspaceId={api.workspace_id}")
    assert (listed.status, listed.body) == (200, [whole.body, plain])
    # When it is changed, then only what is given is
    same = {"updatedAt": "2026-06-01T09:00:01.000Z"}
    moved = api.call("PATCH", path, {"url": f"{URL}/2", "events": ["*"], "description": None})
    assert moved.body == {
        **whole.body,
        **same,
        "url": f"{URL}/2",
        "events": ["*"],
        "description": None,
    }
    bare = api.call("PATCH", path, {"url": None, "headers": None, "rateLimit": None})
    assert bare.body == {**moved.body, "headerNames": [], "rateLimit": None}
    assert api.endpoint(whole.body["id"]).headers == {}
    # And when it is removed, it is gone
    assert api.call("DELETE", path).body == bare.body
    for method, body in (("GET", None), ("PATCH", {"rateLimit": 1}), ("DELETE", None)):
        assert_refused(api.call(method, path, body), 404, "NOT_FOUND")
    # And nothing of all that was logged that is nobody's business
    assert not any(each in repr(api.log.lines) for each in (secret, "hidden", URL))


def test_a_secret_is_replaced_and_both_sign_for_a_while(api: Webhooks) -> None:
    # Given
    made = api.created()
    path = f"/webhooks/{made['id']}/rotate-secret"
    secrets = [made["secret"]]
    for body, retires_at in (
        (None, "2026-06-02T09:00:00.000Z"),
        ({}, "2026-06-02T09:00:00.000Z"),
        ({"overlapSeconds": None}, "2026-06-02T09:00:00.000Z"),
        ({"overlapSeconds": 90}, "2026-06-01T09:01:30.000Z"),
        ({"overlapSeconds": 0}, "2026-06-01T09:00:00.000Z"),
    ):
        # When
        reply = api.call("POST", path, body)
        # Then there is a new one, and two at most are kept
        assert (reply.status, reply.body["secretRetiresAt"]) == (200, retires_at)
        secrets.append(reply.body["secret"])
        assert len(api.endpoint(made["id"]).sealed_secrets) == 2
    assert len(set(secrets)) == len(secrets)


def test_an_endpoint_is_tested_and_what_was_sent_is_shown(api: Webhooks) -> None:
    # Given
    endpoint_id = api.created(events=["post.*"])["id"]
    # When
    reply = api.call("POST", f"/webhooks/{endpoint_id}/test")
    # Then one delivery is on its way
    assert reply.status == 202
    assert "location" not in reply.headers
    assert (reply.body["event"], reply.body["status"]) == ("webhook.test", "PENDING")
    [sent] = api.world.delivery_queue.sent
    assert sent.delivery_id == reply.body["id"]
    # And by itself it shows what is sent
    read = api.call("GET", f"/webhooks/{endpoint_id}/deliveries/{reply.body['id']}")
    payload = read.body.pop("payload")
    assert (read.status, read.body) == (200, reply.body)
    assert payload["webhook"]["id"] == endpoint_id


def test_the_log_is_read_page_by_page_and_filtered(api: Webhooks) -> None:
    # Given deliveries of three hours
    endpoint_id = api.created()["id"]
    made = []
    for hour, status in enumerate(["DELIVERED", "EXHAUSTED", "DELIVERED"]):
        at = START + timedelta(hours=hour)
        wanted = {"id": an_id(ids.DELIVERY, at), "created_at": at}
        made.append(api.delivered(endpoint_id, DeliveryStatus(status), **wanted).id)
    path = f"/webhooks/{endpoint_id}/deliveries"
    # Then a page leads to the next, newest first
    first = api.call("GET", f"{path}?limit=2&until=2026-06-01T14:00:00%2B02:00")
    assert _ids(first) == [made[2], made[1]]
    following = first.headers["link"].removeprefix("</api/v1").removesuffix('>; rel="next"')
    assert following.startswith(f"{path}?limit=2&until=2026-06-01T14%3A00%3A00%2B02%3A00&cursor=")
    second = api.call("GET", following)
    assert (_ids(second), second.headers.get("link")) == ([made[0]], None)
    assert second.body[0]["attempts"][0]["responseBody"] == "No."
    # And they can be chosen
    for query, found in (
        ("status=EXHAUSTED", made[1:2]),
        ("event=post.cancelled", made[::-1]),
        ("event=post.failed", []),
        ("since=2026-06-01T10:00:00Z", [made[2], made[1]]),
        ("since=2026-06-01T10:00:00Z&until=2026-06-01T11:00:00Z", [made[1]]),
    ):
        assert _ids(api.call("GET", f"{path}?{query}")) == found, query
    # And a cursor is good for the filters that it was made with, and no others
    cursor = following.rpartition("cursor=")[2]
    reply = api.call("GET", f"{path}?limit=2&cursor={cursor}")
    assert_refused(reply, 400, "VALIDATION_FAILED", "query.cursor")


def _ids(reply: Reply) -> list[str]:
    assert reply.status == 200, reply
    return [each["id"] for each in reply.body]


def test_what_was_given_up_or_taken_is_sent_again(api: Webhooks) -> None:
    # Given
    endpoint_id = api.created()["id"]
    taken = api.delivered(endpoint_id, DeliveryStatus.DELIVERED)
    lost = [api.delivered(endpoint_id, DeliveryStatus.EXHAUSTED).id for _ in range(3)]
    # When one is asked for
    path = f"/webhooks/{endpoint_id}/deliveries/{taken.id}/redeliver"
    reply = api.call("POST", path)
    # Then it goes again under its id, and what was known of it stays
    assert (reply.status, reply.body["id"], reply.body["status"]) == (202, taken.id, "PENDING")
    assert reply.body["attemptCount"] == 1
    # And when all are asked for, then those are sent that were given up
    reply = api.call("POST", f"/webhooks/{endpoint_id}/recover", {"since": "2026-06-01T08:00:00Z"})
    assert (reply.status, reply.body["deliveriesSent"]) == (202, 3)
    assert [each.delivery_id for each in api.world.delivery_queue.sent] == [taken.id, *lost]


def test_what_was_parked_is_sent_when_an_endpoint_is_enabled_again(api: Webhooks) -> None:
    # Given
    endpoint_id = api.created()["id"]
    path = f"/webhooks/{endpoint_id}"
    stopped = api.call("PATCH", path, {"status": "DISABLED"})
    assert (stopped.status, stopped.body["status"]) == (200, "DISABLED")
    parked = api.delivered(endpoint_id, DeliveryStatus.PARKED).id
    refused = api.call("POST", f"{path}/recover", {"since": "2026-06-01T08:00:00Z"})
    assert_refused(refused, 400, "VALIDATION_FAILED", "status")
    # When
    started = api.call("PATCH", path, {"status": "ENABLED"})
    # Then
    assert (started.body["status"], started.body["disabledAt"]) == ("ENABLED", None)
    assert [each.delivery_id for each in api.world.delivery_queue.sent] == [parked]


def test_a_workspace_has_so_many_endpoints_and_no_more(api: Webhooks) -> None:
    for _ in range(MOST_ENDPOINTS):
        api.created()
    reply = api.call("POST", "/webhooks", api.wish())
    assert_refused(reply, 400, "VALIDATION_FAILED", "workspaceId")


def test_only_keys_that_were_minted_for_it_manage_webhooks(api: Webhooks) -> None:
    # Given an owner whose key was not
    plain = api.add_key(Role.OWNER, grants=frozenset())
    endpoint_id = api.created()["id"]
    for known in (endpoint_id, an_id(ids.ENDPOINT)):
        reply = api.call("GET", f"/webhooks/{known}", key=plain)
        assert_refused(reply, 403, "FORBIDDEN")


def test_a_body_that_is_malformed_is_refused(api: Webhooks) -> None:
    path = f"/webhooks/{api.created()['id']}"
    before = api.world.webhooks.endpoints(api.workspace_id)
    faults: dict[str, object] = {
        "url": "http://hooks.example.com/",
        "events": [],
        "events.0": ["post.gone"],
        "events.1": ["*", 7],
        "description": "x" * 257,
        "headers": "Authorization",
        "headers.Host": {"Host": "a"},
        "headers.X-A": {"X-A": 7},
        "rateLimit": 0,
        "color": "red",
    }
    for at, value in faults.items():
        field = at.partition(".")[0]
        for method, to, body in (
            ("POST", "/webhooks", api.wish(**{field: value})),
            ("PATCH", path, {field: value}),
        ):
            assert_refused(api.call(method, to, body), 400, "VALIDATION_FAILED", at)
    wrong: list[tuple[str, str, object, str]] = [
        ("POST", "/webhooks", {"url": URL}, "workspaceId"),
        ("POST", "/webhooks", api.wish(workspaceId="ws_1"), "workspaceId"),
        ("POST", "/webhooks", api.wish(url=None), "url"),
        ("POST", "/webhooks", api.wish(url="https://127.0.0.1/"), "url"),
        ("POST", "/webhooks", api.wish(status="ENABLED"), "status"),
        ("PATCH", path, {}, "body"),
        ("PATCH", path, {"url": None}, "body"),
        ("PATCH", path, {"status": "GONE"}, "status"),
        ("PATCH", path, {"workspaceId": api.workspace_id}, "workspaceId"),
        ("POST", f"{path}/rotate-secret", {"overlapSeconds": -1}, "overlapSeconds"),
        ("POST", f"{path}/rotate-secret", {"overlapSeconds": 86_401}, "overlapSeconds"),
        ("POST", f"{path}/rotate-secret", {"overlapSeconds": "9"}, "overlapSeconds"),
        ("POST", f"{path}/test", {"event": "post.created"}, "event"),
        ("POST", f"{path}/recover", {"since": "yesterday"}, "since"),
        ("POST", f"{path}/recover", {"since": "2026-06-01T09:00:01Z"}, "since"),
        ("POST", f"{path}/deliveries/{an_id(ids.DELIVERY)}/redeliver", {"a": 1}, "a"),
    ]
    for method, to, content, at in wrong:
        assert_refused(api.call(method, to, content), 400, "VALIDATION_FAILED", at)
    assert api.world.webhooks.endpoints(api.workspace_id) == before


@pytest.mark.parametrize(
    ("method", "path", "code", "details"),
    [
        ("GET", "/webhooks", "VALIDATION_FAILED", ["query.workspaceId"]),
        ("GET", "/webhooks?workspaceId=x", "VALIDATION_FAILED", ["query.workspaceId"]),
        ("POST", "/webhooks?workspaceId={ws}", "VALIDATION_FAILED", ["query.workspaceId"]),
        ("POST", "/webhooks", "VALIDATION_FAILED", ["body"]),
        ("GET", "/webhooks/wh_1", "VALIDATION_FAILED", ["path.webhookId"]),
        ("PATCH", "/webhooks/{wh}", "VALIDATION_FAILED", ["body"]),
        ("DELETE", "/webhooks/{wh}?x=1", "VALIDATION_FAILED", ["query.x"]),
        ("POST", "/webhooks/{wh}/recover", "VALIDATION_FAILED", ["body"]),
        ("GET", "/webhooks/wh_1/deliveries", "VALIDATION_FAILED", ["path.webhookId"]),
        ("GET", "/webhooks/{wh}/deliveries?status=GONE", "VALIDATION_FAILED", ["query.status"]),
        ("GET", "/webhooks/{wh}/deliveries?event=post.*", "VALIDATION_FAILED", ["query.event"]),
        ("GET", "/webhooks/{wh}/deliveries?since=now", "VALIDATION_FAILED", ["query.since"]),
        ("GET", "/webhooks/{wh}/deliveries?until=", "VALIDATION_FAILED", ["query.until"]),
        ("GET", "/webhooks/{wh}/deliveries?limit=101", "VALIDATION_FAILED", ["query.limit"]),
        ("GET", "/webhooks/{wh}/deliveries/post_1", "VALIDATION_FAILED", ["path.deliveryId"]),
        ("GET", "/webhooks/{wh}/deliveries/{dlv}", "NOT_FOUND", []),
        ("POST", "/webhooks/{wh}/deliveries/{dlv}/redeliver", "NOT_FOUND", []),
        ("PUT", "/webhooks/{wh}", "METHOD_NOT_ALLOWED", []),
        ("GET", "/webhooks/{wh}/test", "METHOD_NOT_ALLOWED", []),
    ],
)
def test_what_is_asked_for_wrongly_is_refused(
    api: Webhooks, method: str, path: str, code: str, details: list[str]
) -> None:
    named = {
        "ws": api.workspace_id,
        "wh": api.created()["id"],
        "dlv": an_id(ids.DELIVERY),
    }
    status = {"VALIDATION_FAILED": 400, "NOT_FOUND": 404, "METHOD_NOT_ALLOWED": 405}[code]
    assert_refused(api.call(method, path.format(**named)), status, code, *details)


def test_a_delivery_whose_event_is_not_kept_has_no_payload(api: Webhooks) -> None:
    # Given one of an event that has gone, and one of an event that is there
    endpoint_id = api.created()["id"]
    post = api.schedule()
    event = api.world.posts.timeline(post["id"])[0]
    assert event.type is EventType.POST_CREATED
    gone = api.delivered(endpoint_id, DeliveryStatus.DELIVERED)
    kept = replace(gone, id=an_id(ids.DELIVERY), event_id=event.id, post_id=event.post_id)
    api.world.webhooks.add_delivery(kept)
    # Then
    for delivery, payload in ((gone, None), (kept, dict(event.payload))):
        reply = api.call("GET", f"/webhooks/{endpoint_id}/deliveries/{delivery.id}")
        assert (reply.status, reply.body["payload"]) == (200, payload)
