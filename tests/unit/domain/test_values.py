"""Changes, errors and a post's own questions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postbreeze.domain.changes import Announcement, Change, change
from postbreeze.domain.disconnection import Disconnection
from postbreeze.domain.errors import (
    Detail,
    MediaInUseError,
    NothingToRetryError,
    PlanLimitError,
    PlatformRejectedError,
    PlatformRetriableError,
    PlatformRuleError,
    PostbreezeError,
    PostNotCancelableError,
    PreconditionFailedError,
    RateLimitedError,
    StillDisconnectingError,
    ValidationError,
)
from postbreeze.domain.events import EventType
from postbreeze.domain.post import Post, TargetStatus
from postbreeze.operations.ports import AnswerExistsError
from postbreeze.operations.webhook_ports import WebhookSendError
from tests.support.builders import (
    USER_ID,
    WORKSPACE_ID,
    a_delivery,
    a_key,
    a_member,
    a_post,
    a_target,
    a_workspace,
    an_account,
    an_answer,
    an_asset,
    an_endpoint,
    an_event,
)
from tests.support.fakes import START

LATER = START + timedelta(minutes=1)


def failing(post: Post, index: int) -> Post:
    targets = list(post.targets)
    targets[index] = replace(targets[index], status=TargetStatus.FAILED)
    return replace(post, targets=tuple(targets))


def test_only_rows_that_differ_are_written_at_their_next_revision() -> None:
    # Given
    post = a_post()
    # When
    made = change(post, failing(post, 1), now=LATER, actor="me")
    # Then
    [write] = made.writes
    assert write.row == made.after.targets[1]
    assert write.expected_revision == 1
    assert (made.after.targets[1].revision, made.after.targets[1].updated_at) == (2, LATER)
    assert made.after.revision == post.revision
    assert made.after.updated_at == post.updated_at
    assert made.after.version == post.version + 1


def test_the_posts_own_row_is_written_where_it_differs() -> None:
    # Given
    post = a_post()
    # When
    made = change(post, replace(post, caption="New"), now=LATER, actor="me")
    # Then
    [write] = made.writes
    assert isinstance(write.row, Post)
    assert (write.row.revision, write.expected_revision) == (2, 1)
    assert write.row.updated_at == LATER


def test_the_posts_own_row_can_be_written_although_it_does_not_differ() -> None:
    # Given
    post = a_post()
    # When
    made = change(post, failing(post, 0), now=LATER, actor="me", touch_post=True)
    # Then
    assert [write.row.id for write in made.writes] == [post.id, post.targets[0].id]


def test_the_posts_own_row_is_written_where_its_targets_change_places() -> None:
    # Given
    post = a_post()
    # When
    made = change(post, replace(post, targets=post.targets[::-1]), now=LATER, actor="me")
    # Then
    assert [write.row.id for write in made.writes] == [post.id]


def test_a_change_of_nothing_is_empty() -> None:
    post = a_post()
    assert change(post, post, now=LATER, actor="me").is_empty
    assert Change(before=post, after=post).is_empty


def test_a_new_post_writes_all_its_rows_which_must_not_exist() -> None:
    # Given
    post = a_post()
    # When
    made = change(None, post, now=START, actor="me")
    # Then
    assert [write.row.id for write in made.writes] == [post.id, *(t.id for t in post.targets)]
    assert {write.expected_revision for write in made.writes} == {None}


def test_an_event_tells_what_was_reached_and_how() -> None:
    # Given
    post = a_post()
    announcement = Announcement(
        type=EventType.POST_CANCELLED, extra={"cancellation": 1}, reason="why"
    )
    # When
    made = change(post, failing(post, 0), now=LATER, actor="me", announce=(announcement,))
    # Then
    [event] = made.events
    assert (event.type, event.actor, event.reason) == (EventType.POST_CANCELLED, "me", "why")
    assert (event.version_before, event.version_after) == (post.version, post.version + 1)
    assert event.pending_since == event.occurred_at == LATER
    assert set(event.payload) == {"eventId", "occurredAt", "workspaceId", "post", "cancellation"}
    assert event.payload["eventId"] == event.id
    assert event.payload["occurredAt"] == "2026-06-01T09:01:00.000Z"
    assert event.payload["post"]["version"] == event.version_after
    assert event.payload["post"]["targets"][0]["status"] == "FAILED"


def test_the_same_transition_makes_the_same_event_and_another_one_another() -> None:
    # Given
    post = a_post()
    cancelled = Announcement(type=EventType.POST_CANCELLED)
    failed = Announcement(type=EventType.POST_FAILED)
    # When
    one = change(post, failing(post, 0), now=LATER, actor="me", announce=(cancelled, failed))
    same = change(post, failing(post, 0), now=LATER, actor="me", announce=(cancelled,))
    later = change(one.after, failing(one.after, 1), now=LATER, actor="me", announce=(cancelled,))
    # Then
    assert one.events[0].id == same.events[0].id
    assert len({one.events[0].id, one.events[1].id, later.events[0].id}) == 3


def test_a_post_finds_its_targets_by_their_ids() -> None:
    post = a_post()
    assert post.target(post.targets[1].id) is post.targets[1]
    assert post.target("tgt_other") is None


def test_errors_carry_what_their_answers_need() -> None:
    assert ValidationError.of("a.b", "is wrong").details == (Detail("a.b", "is wrong"),)
    assert str(ValidationError([Detail("a", "x"), Detail("b", "y")])) == "a: x; b: y"
    assert PostNotCancelableError("DRAFT").targets == ()
    assert PreconditionFailedError(7).current == 7
    error = PlatformRetriableError("BUSY", "Busy.", retry_after=3)
    assert (error.code, error.message) == ("BUSY", "Busy.")
    assert error.retry_after == 3


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValidationError.of("a.b", "is wrong"), "a.b: is wrong"),
        (PlatformRuleError([Detail("a", "x"), Detail("b", "y")]), "a: x; b: y"),
        (RateLimitedError(250), "Ask again in 250 ms."),
        (PlanLimitError(limit=3, current=4), "The workspace has had 4 of 3 posts this month."),
        (PostNotCancelableError("DRAFT"), "A post that is DRAFT has nothing left to cancel."),
        (NothingToRetryError("DRAFT"), "It is DRAFT."),
        (MediaInUseError(["post_1", "post_2"]), "needed by post_1, post_2"),
        (PreconditionFailedError(7), "The post is at version 7."),
        (
            StillDisconnectingError(),
            "What the account had scheduled is still being cancelled; try again in two minutes.",
        ),
        (PlatformRejectedError("REFUSED", "The platform says no."), "The platform says no."),
        (WebhookSendError("TIMED_OUT", "No answer came."), "No answer came."),
        (AnswerExistsError(an_answer()), "the idempotency key is taken"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_errors_say_what_logs_and_people_are_to_read(error: PostbreezeError, said: str) -> None:
    assert str(error) == said


def test_a_request_that_took_no_time_says_so_by_itself() -> None:
    assert WebhookSendError("TIMED_OUT", "No answer came.").duration_ms == 0


@pytest.mark.parametrize(
    "row",
    [
        a_workspace(),
        a_member(),
        a_key(),
        an_account(),
        an_asset(),
        a_post(),
        a_target(),
        an_event(),
        an_endpoint(),
        a_delivery(),
        Disconnection(
            account_id=an_account().id,
            workspace_id=WORKSPACE_ID,
            actor=USER_ID,
            disconnected_at=START,
            due_at=START,
        ),
    ],
    ids=lambda row: type(row).__name__,
)
def test_every_row_begins_at_its_first_revision(row: Any) -> None:
    assert row.revision == 1


def test_rows_that_leave_things_out_mean_what_they_always_meant() -> None:
    post = a_post()
    assert (post.created_via_api, post.created_via_flat_shape) == (True, False)
