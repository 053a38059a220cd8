"""Every row of the cancel table, over HTTP, on the deployed stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.e2e.aws import schedules
from tests.e2e.client import (
    Api,
    behave,
    events,
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


def outcomes(body: Mapping[str, Any]) -> dict[str, str]:
    return {target["id"]: target["outcome"] for target in body["cancellation"]["targets"]}


def bluesky(stack: Stack, count: int = 1) -> list[str]:
    return list(stack["accounts"]["BLUESKY"][:count])


def test_a_scheduled_post_is_canceled_whole(api: Api, stack: Stack) -> None:
    # Given a post scheduled on three accounts, with its schedule armed
    post = api.schedule(*bluesky(stack, 3), seconds=3600)
    assert post["status"] == "SCHEDULED"
    assert post["workflowId"] in schedules(stack)
    # When its owner cancels it
    reply = api.cancel(post["id"], {"reason": "Changed our mind."})
    # Then all of it is canceled, and what was planned is kept as history
    assert reply.status == 200, reply
    assert reply.body["status"] == "CANCELED"
    assert reply.body["workflowId"] is None
    assert reply.body["pendingWorkflowId"] is None
    assert reply.body["scheduledAt"] == post["scheduledAt"]
    assert reply.body["cancelReason"] == "Changed our mind."
    assert reply.body["canceledAt"] is not None
    assert {target["status"] for target in reply.body["targets"]} == {"CANCELED"}
    assert {target["scheduledFor"] for target in reply.body["targets"]} == {post["scheduledAt"]}
    assert set(outcomes(reply.body).values()) == {"canceled"}
    assert reply.headers["ETag"] == f'"{reply.body["version"]}"'
    # And the stored post is what was answered, the schedule is gone and the event arrives
    assert api.get(post["id"]) == {
        name: value for name, value in reply.body.items() if name != "cancellation"
    }
    assert post["workflowId"] not in schedules(stack)
    wait_for_event(stack, post["id"], "post.cancelled")


def test_a_post_that_waits_for_approval_is_canceled(api: Api, stack: Stack) -> None:
    post = api.schedule(*bluesky(stack), seconds=3600, requiresApproval=True)
    assert post["status"] == "NEEDS_APPROVAL"
    reply = api.cancel(post["id"])
    assert (reply.status, reply.body["status"]) == (200, "CANCELED")
    assert set(outcomes(reply.body).values()) == {"canceled"}


def test_a_canceled_post_answers_the_same_and_tells_nobody_again(api: Api, stack: Stack) -> None:
    # Given a canceled post whose event has arrived
    post = api.schedule(*bluesky(stack), seconds=3600)
    first = api.cancel(post["id"])
    wait_for_event(stack, post["id"], "post.cancelled")
    # When it is canceled again
    second = api.cancel(post["id"])
    # Then the post is the same to the last field
    assert second.status == 200
    assert set(outcomes(second.body).values()) == {"already_canceled"}
    same = {"cancellation": None}
    assert {**second.body, **same} == {**first.body, **same}
    # And once a later event has come through, there still is only one
    later = api.schedule(*bluesky(stack), seconds=3600)
    api.cancel(later["id"])
    wait_for_event(stack, later["id"], "post.cancelled")
    assert events(stack, post["id"]).count("post.cancelled") == 1


def test_a_draft_cannot_be_canceled(api: Api, stack: Stack) -> None:
    post = api.create(*bluesky(stack))
    reply = api.cancel(post["id"])
    assert (reply.status, reply.body["code"]) == (400, "POST_NOT_CANCELABLE")
    assert reply.body["status"] == "DRAFT"
    assert api.get(post["id"]) == post


def test_a_failed_post_cannot_be_canceled(api: Api, stack: Stack) -> None:
    # Given a post on a platform that is not built, whose moment has passed
    post = api.schedule(*stack["accounts"]["X"], seconds=1)
    failed = api.wait_for(post["id"], "FAILED")
    assert failed["targets"][0]["errorCode"] == "PLATFORM_NOT_CONFIGURED"
    # When it is canceled
    reply = api.cancel(post["id"])
    # Then that is refused
    assert (reply.status, reply.body["code"]) == (400, "POST_NOT_CANCELABLE")
    assert reply.body["status"] == "FAILED"
    wait_for_event(stack, post["id"], "post.failed")


def test_a_published_post_cannot_be_canceled(api: Api, stack: Stack) -> None:
    text = unique("Published before anyone thought of canceling.")
    post = api.schedule(*bluesky(stack), seconds=1, content=text)
    published = api.wait_for(post["id"], "PUBLISHED")
    assert published["targets"][0]["externalUrl"].startswith("https://bsky.app/profile/")
    reply = api.cancel(post["id"])
    assert (reply.status, reply.body["code"]) == (400, "POST_NOT_CANCELABLE")
    assert len(records(stack, text)) == 1
    wait_for_event(stack, post["id"], "post.published")


def test_a_partly_published_post_keeps_what_is_out_and_gives_up_the_rest(
    api: Api, stack: Stack
) -> None:
    # Given a post that one platform took and another did not
    post = api.schedule(*bluesky(stack), *stack["accounts"]["X"], seconds=1)
    before = api.wait_for(post["id"], "PARTIALLY_PUBLISHED")
    # When it is canceled
    reply = api.cancel(post["id"])
    # Then the published target is untouched, the failed one canceled with its error kept
    assert (reply.status, reply.body["status"]) == (200, "CANCELED")
    assert reply.body["targets"][0] == before["targets"][0]
    assert reply.body["targets"][1]["status"] == "CANCELED"
    assert reply.body["targets"][1]["errorCode"] == "PLATFORM_NOT_CONFIGURED"
    assert list(outcomes(reply.body).values()) == ["already_published", "canceled"]
    wait_for_event(stack, post["id"], "post.cancelled")


def test_a_post_in_publishing_stops_what_has_not_begun(
    api: Api, stack: Stack, platform: str
) -> None:
    # Given a post in publishing whose one target waits for its second attempt
    behave(platform, status=503, times=0)
    text = unique("Held up by the platform, then stopped.")
    post = api.schedule(*bluesky(stack), seconds=1, content=text)

    def waiting() -> dict[str, Any] | None:
        seen = api.get(post["id"])
        target = seen["targets"][0]
        held = target["status"] == "SCHEDULED" and target["attemptCount"] > 0
        return seen if seen["status"] == "PUBLISHING" and held else None

    wait_until(waiting, "the target to wait for its second attempt")
    # When it is canceled, and the platform recovers
    reply = api.cancel(post["id"])
    behave(platform, status=200, times=0)
    # Then the target is stopped for good
    assert (reply.status, reply.body["status"]) == (200, "CANCELED")
    assert list(outcomes(reply.body).values()) == ["canceled"]
    # And its next message has been handled by the time a later post is out
    later = api.schedule(*bluesky(stack), seconds=7)
    api.wait_for(later["id"], "PUBLISHED")
    assert records(stack, text) == []


def test_a_post_wholly_in_flight_cannot_be_stopped_and_says_so(
    api: Api, stack: Stack, platform: str
) -> None:
    # Given a post whose one target is at the platform just now
    behave(platform, status=200, times=1, delayMs=6000, method="com.atproto.repo.createRecord")
    post = api.schedule(*bluesky(stack), seconds=1)

    def in_flight() -> dict[str, Any] | None:
        seen = api.get(post["id"])
        return seen if seen["targets"][0]["status"] == "PUBLISHING" else None

    wait_until(in_flight, "the target to be in flight")
    # When it is canceled
    reply = api.cancel(post["id"])
    # Then nothing can be stopped, and the answer tells what becomes of the target
    assert (reply.status, reply.body["code"]) == (400, "POST_NOT_CANCELABLE"), reply
    assert reply.body["status"] == "PUBLISHING"
    assert reply.body["targets"] == [{"id": post["targets"][0]["id"], "outcome": "in_flight"}]
    # And it finishes by itself
    api.wait_for(post["id"], "PUBLISHED")


def test_in_flight_targets_finish_and_waiting_ones_are_stopped(
    api: Api, stack: Stack, platform: str
) -> None:
    # Given a post with one target at the platform, and one that waits for its second attempt
    behave(platform, status=200, times=1, delayMs=6000, method="com.atproto.repo.createRecord")
    first, second = bluesky(stack, 2)
    post = api.schedule(first, second, seconds=1)

    def both() -> dict[str, Any] | None:
        seen = api.get(post["id"])
        statuses = sorted(target["status"] for target in seen["targets"])
        return seen if "PUBLISHING" in statuses else None

    wait_until(both, "a target to be in flight")
    # When it is canceled
    reply = api.cancel(post["id"])
    # Then each target is either stopped or finishes, as its outcome said, and never both
    seen = wait_until(lambda: api.rested(post["id"]), "every target to end", seconds=40)
    if reply.status == 200:
        for target in seen["targets"]:
            expected = {
                "canceled": "CANCELED",
                "in_flight": "PUBLISHED",
                "already_published": "PUBLISHED",
            }[outcomes(reply.body)[target["id"]]]
            assert target["status"] == expected
        assert seen["status"] == "CANCELED"
    else:
        assert reply.body["code"] == "POST_NOT_CANCELABLE"
        assert seen["status"] == "PUBLISHED"


def test_chosen_targets_are_canceled_and_the_rest_goes_out(api: Api, stack: Stack) -> None:
    # Given a post on three accounts
    text = unique("Two of three.")
    post = api.schedule(*bluesky(stack, 3), seconds=6, content=text)
    chosen = post["targets"][1]["id"]
    # When one target is canceled
    reply = api.cancel(post["id"], {"targetIds": [chosen]})
    # Then the post keeps its status and schedule
    assert reply.status == 200
    assert reply.body["status"] == "SCHEDULED"
    assert reply.body["workflowId"] == post["workflowId"]
    assert outcomes(reply.body) == {chosen: "canceled"}
    wait_for_event(stack, post["id"], "post.targets_cancelled")
    # And only the other two are published
    done = api.wait_for(post["id"], "PUBLISHED")
    statuses = [target["status"] for target in done["targets"]]
    assert statuses == ["PUBLISHED", "CANCELED", "PUBLISHED"]
    assert len(records(stack, text)) == 2
    assert "post.cancelled" not in events(stack, post["id"])


def test_canceling_the_last_target_cancels_the_post(api: Api, stack: Stack) -> None:
    post = api.schedule(*bluesky(stack, 2), seconds=3600)
    first, second = (target["id"] for target in post["targets"])
    assert api.cancel(post["id"], {"targetIds": [first]}).body["status"] == "SCHEDULED"
    reply = api.cancel(post["id"], {"targetIds": [second]})
    assert reply.body["status"] == "CANCELED"
    assert reply.body["workflowId"] is None
    wait_for_event(stack, post["id"], "post.cancelled")


def test_a_dry_run_shows_everything_and_changes_nothing(api: Api, stack: Stack) -> None:
    post = api.schedule(*bluesky(stack), seconds=3600)
    preview = api.cancel(post["id"], query="?dryRun=true")
    assert preview.status == 200
    assert preview.body["status"] == "CANCELED"
    assert set(outcomes(preview.body).values()) == {"canceled"}
    assert api.get(post["id"]) == post
    assert post["workflowId"] in schedules(stack)


def test_if_match_protects_against_a_version_not_seen(api: Api, stack: Stack) -> None:
    post = api.schedule(*bluesky(stack), seconds=3600)
    stale = api.cancel(post["id"], If_Match=f'"{post["version"] - 1}"')
    assert (stale.status, stale.body["code"]) == (412, "PRECONDITION_FAILED")
    assert stale.body["current"] == post["version"]
    assert api.get(post["id"])["status"] == "SCHEDULED"
    fresh = api.cancel(post["id"], If_Match=f'"{post["version"]}"')
    assert (fresh.status, fresh.body["status"]) == (200, "CANCELED")


def test_an_idempotency_key_repeats_the_first_answer(api: Api, stack: Stack) -> None:
    # Given a cancel with a key
    post = api.schedule(*bluesky(stack), seconds=3600)
    key = f"cancel-{post['id']}"
    first = api.cancel(post["id"], {"reason": "Once."}, Idempotency_Key=key)
    # When the same request comes again
    again = api.cancel(post["id"], {"reason": "Once."}, Idempotency_Key=key)
    # Then it is answered alike, "canceled" and not "already_canceled"
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["Idempotency-Replayed"] == "true"
    # And another request under that key is refused
    other = api.cancel(post["id"], {"reason": "Twice."}, Idempotency_Key=key)
    assert (other.status, other.body["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_creating_twice_with_one_key_makes_one_post(api: Api, stack: Stack) -> None:
    body = {
        "content": "Only once.",
        "platforms": [{"accountId": bluesky(stack)[0]}],
        "scheduledFor": "2027-06-15T09:00:00+02:00",
    }
    headers = {"Idempotency-Key": f"create-{bluesky(stack)[0]}"}
    first = api.call("POST", "/posts", body, headers=headers)
    again = api.call("POST", "/posts", body, headers=headers)
    assert first.status == again.status == 201
    assert first.body == again.body
    assert first.body["scheduledAt"] == "2027-06-15T07:00:00.000Z"
    assert api.cancel(first.body["id"]).status == 200


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        ("admin", 200, None),
        ("editor", 200, None),
        ("scoped", 200, None),
        ("limited", 200, None),
        ("reviewer", 403, "FORBIDDEN"),
        ("revoked", 401, "UNAUTHORIZED"),
        ("otherWorkspace", 404, "NOT_FOUND"),
    ],
)
def test_who_may_cancel(stack: Stack, key: str, status: int, code: str | None) -> None:
    owner = Api(stack)
    post = owner.schedule(*bluesky(stack), seconds=3600)
    reply = Api(stack, key).cancel(post["id"])
    assert (reply.status, reply.body.get("code")) == (status, code)
    assert owner.get(post["id"])["status"] == ("CANCELED" if status == 200 else "SCHEDULED")
