"""The quick start, as a client does it who has nothing but HTTP, and the ways on from there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.aws import client, schedules
from tests.e2e.client import (
    Api,
    Reply,
    behave,
    events,
    in_time,
    moment,
    records,
    unique,
    wait_for_event,
    wait_until,
)

pytestmark = pytest.mark.e2e

Stack = Mapping[str, Any]


@pytest.fixture
def api(stack: Stack) -> Api:
    return Api(stack)


@pytest.fixture
def platform(stack: Stack) -> Iterator[str]:
    """The platform sandbox, which behaves again after the test."""
    url = str(stack["platform"]["url"])
    yield url
    behave(url, status=200, times=0)


def ask(stack: Stack, method: str, path: str, body: object = None, **headers: str) -> Reply:
    """Send a request as the owner, with the standard library and nothing else."""
    base = urlsplit(stack["apiUrl"])
    sent = {
        "Authorization": f"Bearer {stack['keys']['owner']}",
        "Content-Type": "application/json",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    connection = HTTPConnection(base.netloc, timeout=30)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, f"{base.path}{path}", content, sent)
        answer = connection.getresponse()
        return Reply(answer.status, dict(answer.getheaders()), json.loads(answer.read()))
    finally:
        connection.close()


def test_the_quick_start(stack: Stack) -> None:
    text = unique("My first post")
    # Given a draft
    created = ask(
        stack,
        "POST",
        "/posts",
        {"content": text, "platforms": [{"accountId": stack["accounts"]["BLUESKY"][0]}]},
    )
    assert created.status == 201, created
    assert (created.body["status"], created.body["workflowId"]) == ("DRAFT", None)
    post = f"/posts/{created.body['id']}"
    # When it is scheduled
    scheduled = ask(stack, "POST", f"{post}/schedule", {"scheduledFor": moment(3600)})
    # Then its schedule is there
    first = _armed(stack, scheduled, after=created)
    # When it is rescheduled
    again = ask(stack, "POST", f"{post}/reschedule", {"scheduledFor": moment(7200)})
    # Then another schedule has taken its place
    second = _armed(stack, again, after=scheduled)
    assert second != first
    assert first not in schedules(stack)
    assert again.body["scheduledAt"] > scheduled.body["scheduledAt"]
    # When it is cancelled at the version just seen
    cancelled = ask(stack, "POST", f"{post}/cancel", {"reason": "Not now."}, If_Match=_tag(again))
    # Then nothing is armed any more
    assert cancelled.status == 200, cancelled
    assert (cancelled.body["status"], cancelled.body["workflowId"]) == ("CANCELED", None)
    assert cancelled.body["cancellation"]["targets"] == [
        {"id": cancelled.body["targets"][0]["id"], "outcome": "canceled"}
    ]
    assert cancelled.body["version"] > again.body["version"]
    assert second not in schedules(stack)
    # When it is scheduled once more
    back = ask(stack, "POST", f"{post}/schedule", {"scheduledFor": moment(3600)})
    # Then it has a third schedule, and nothing of the cancel is left
    third = _armed(stack, back, after=cancelled)
    assert len({first, second, third}) == 3
    assert (back.body["canceledAt"], back.body["cancelReason"]) == (None, None)
    # When it is deleted
    deleted = ask(stack, "DELETE", post)
    # Then it is gone, with its schedule
    assert deleted.status == 200, deleted
    assert deleted.body["deletedAt"] is not None
    assert deleted.body["status"] == "CANCELED"
    assert third not in schedules(stack)
    for method, path in (("GET", post), ("DELETE", post), ("POST", f"{post}/cancel")):
        gone = ask(stack, method, path)
        assert (gone.status, gone.body["code"]) == (404, "NOT_FOUND")
    # And each of these steps has been told, once, while nothing was published
    wait_for_event(stack, created.body["id"], "post.deleted")
    wanted = [
        "post.cancelled", "post.cancelled", "post.created", "post.deleted",
        "post.rescheduled", "post.scheduled", "post.scheduled",
    ]  # fmt: skip

    def all_told() -> bool | None:
        return sorted(events(stack, created.body["id"])) == wanted or None

    wait_until(all_told, f"{wanted} instead of {events(stack, created.body['id'])}")
    assert records(stack, text) == []


def _tag(reply: Reply) -> str:
    headers = {name.lower(): value for name, value in reply.headers.items()}
    return headers["etag"]


def _armed(stack: Stack, reply: Reply, *, after: Reply) -> str:
    """Check that a post is armed since, and return the name of its schedule."""
    assert reply.status == 200, reply
    assert (reply.body["status"], reply.body["pendingWorkflowId"]) == ("SCHEDULED", None)
    assert {target["status"] for target in reply.body["targets"]} == {"SCHEDULED"}
    assert reply.body["version"] > after.body["version"]
    assert _tag(reply) == f'"{reply.body["version"]}"' != _tag(after)
    name = str(reply.body["workflowId"])
    assert name in schedules(stack)
    return name


def _fire(stack: Stack, post_id: str, workflow_id: str) -> None:
    """Invoke the function of fires as a schedule does that should be gone."""
    answer = client(stack, "lambda").invoke(
        FunctionName=stack["outputs"]["StartPublishFunctionName"],
        Payload=json.dumps({"postId": post_id, "workflowId": workflow_id}).encode(),
    )
    assert "FunctionError" not in answer, answer["Payload"].read()


def test_the_fire_of_an_older_schedule_publishes_nothing(api: Api, stack: Stack) -> None:
    # Given a post that was rescheduled, and whose first moment has come all the same
    text = unique("Later, please")
    post = api.schedule(stack["accounts"]["BLUESKY"][0], seconds=6, content=text)
    again = api.call("POST", f"/posts/{post['id']}/reschedule", {"scheduledFor": moment(3600)})
    assert again.status == 200, again
    due = datetime.fromisoformat(post["scheduledAt"])
    wait_until(lambda: datetime.now(UTC) > due or None, "the first moment")
    # When the first schedule fires
    _fire(stack, post["id"], post["workflowId"])
    # Then nothing has begun, and the post stands as it was answered
    assert api.get(post["id"]) == again.body
    assert records(stack, text) == []
    # And with its own fire it goes out, once
    path = f"/posts/{post['id']}/reschedule"
    soon = in_time(4, lambda at: api.call("POST", path, {"scheduledFor": at}))
    assert soon.status == 200, soon
    api.wait_for(post["id"], "PUBLISHED")
    _fire(stack, post["id"], again.body["workflowId"])
    _fire(stack, post["id"], soon.body["workflowId"])
    assert len(records(stack, text)) == 1


def test_what_a_reviewer_writes_goes_out_once_it_is_approved(stack: Stack) -> None:
    # Given a post by a client reviewer
    text = unique("May I?")
    reviewer, editor, admin = (Api(stack, name) for name in ("reviewer", "editor", "admin"))
    post = reviewer.schedule(stack["accounts"]["BLUESKY"][0], seconds=6, content=text)
    assert (post["status"], post["workflowId"]) == ("NEEDS_APPROVAL", None)
    # When those try to approve it who may not
    for nobody in (reviewer, editor):
        refused = nobody.call("POST", f"/posts/{post['id']}/approve")
        assert (refused.status, refused.body["code"]) == (403, "FORBIDDEN")
    # And then one who may
    approved = admin.call("POST", f"/posts/{post['id']}/approve")
    # Then it goes out at its time
    assert approved.status == 200, approved
    assert approved.body["status"] == "SCHEDULED"
    assert approved.body["scheduledAt"] == post["scheduledAt"]
    assert approved.body["approvedByUserId"] == stack["users"]["admin"]
    published = admin.wait_for(post["id"], "PUBLISHED")
    assert published["targets"][0]["publishedAt"] >= post["scheduledAt"]
    assert len(records(stack, text)) == 1


def test_a_failed_target_is_published_when_it_is_retried(
    api: Api, stack: Stack, platform: str
) -> None:
    # Given a post of which the platform has taken one target and refused the other
    texts = [unique("Yes"), unique("No")]
    accounts = stack["accounts"]["BLUESKY"][:2]
    targets = [
        {"socialAccountId": account, "captionOverride": text}
        for account, text in zip(accounts, texts, strict=True)
    ]
    draft = in_time(
        3, lambda at: api.call("POST", "/posts", {"targets": targets, "scheduledAt": at})
    )
    assert draft.status == 201, draft
    post_id = draft.body["id"]
    behave(platform, status=400, times=1, method="com.atproto.repo.createRecord")
    partial = api.wait_for(post_id, "PARTIALLY_PUBLISHED")
    [standing] = [each for each in partial["targets"] if each["status"] == "PUBLISHED"]
    # When it is retried
    retried = api.call("POST", f"/posts/{post_id}/retry")
    # Then what had failed goes out, and what was public is as it was
    assert retried.status == 200, retried
    assert retried.body["status"] == "PUBLISHING"
    published = api.wait_for(post_id, "PUBLISHED")
    assert standing in published["targets"]
    assert [len(records(stack, text)) for text in texts] == [1, 1]
    wait_for_event(stack, post_id, "post.published")
    # And there is nothing to retry any more
    again = api.call("POST", f"/posts/{post_id}/retry")
    assert (again.status, again.body["code"]) == (400, "NOTHING_TO_RETRY")


def test_an_edited_post_goes_out_as_it_is_at_its_new_time_only(api: Api, stack: Stack) -> None:
    # Given a scheduled post
    old, new = unique("A draft of it"), unique("The real thing")
    account = stack["accounts"]["BLUESKY"][0]
    post = api.schedule(account, seconds=6, content=old)
    # When its text and time are edited
    edited = api.call(
        "PATCH",
        f"/posts/{post['id']}",
        {"content": new, "platforms": [{"accountId": account}], "scheduledFor": moment(9)},
        headers={"If-Match": f'"{post["version"]}"'},
    )
    assert edited.status == 200, edited
    assert edited.body["workflowId"] != post["workflowId"]
    assert [each["id"] for each in edited.body["targets"]] == [post["targets"][0]["id"]]
    # Then it goes out with the new text, not before the new time, and was never cancelled
    published = api.wait_for(post["id"], "PUBLISHED")
    assert published["targets"][0]["publishedAt"] >= edited.body["scheduledAt"]
    assert (len(records(stack, old)), len(records(stack, new))) == (0, 1)
    wait_for_event(stack, post["id"], "post.published")
    assert "post.cancelled" not in events(stack, post["id"])
