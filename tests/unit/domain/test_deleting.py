"""Deleting a post: every state, what is cancelled with it, and that nothing begins afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from postbreeze.domain import lifecycle
from postbreeze.domain.changes import DisarmSchedule
from postbreeze.domain.events import EventType
from postbreeze.domain.lifecycle import Deletion, Published, Released
from postbreeze.domain.post import Post, PostStatus, TargetStatus
from tests.support.builders import LATER, USUAL_TARGETS, a_post
from tests.support.fakes import START

NOW = START + timedelta(minutes=5)
S, P, D = TargetStatus.SCHEDULED, TargetStatus.PUBLISHED, TargetStatus.DRAFT
F, C, X, G = (
    TargetStatus.FAILED,
    TargetStatus.CANCELED,
    TargetStatus.SKIPPED,
    TargetStatus.PUBLISHING,
)


def delete(post: Post) -> Deletion:
    return lifecycle.delete(post, actor="usr_1", now=NOW)


TABLE = {
    PostStatus.DRAFT: (PostStatus.DRAFT, (D, D), None),
    PostStatus.NEEDS_APPROVAL: (PostStatus.CANCELED, (C, C), ["canceled"] * 2),
    PostStatus.SCHEDULED: (PostStatus.CANCELED, (C, C, C), ["canceled"] * 3),
    PostStatus.PUBLISHING: (PostStatus.CANCELED, (G, C), ["in_flight", "canceled"]),
    PostStatus.PARTIALLY_PUBLISHED: (PostStatus.PARTIALLY_PUBLISHED, (P, F), None),
    PostStatus.PUBLISHED: (PostStatus.PUBLISHED, (P, P), None),
    PostStatus.FAILED: (PostStatus.FAILED, (F, F), None),
    PostStatus.CANCELED: (PostStatus.CANCELED, (C, C), None),
}


@pytest.mark.parametrize("status", PostStatus)
def test_every_state_is_deleted_and_what_waits_is_cancelled_with_it(status: PostStatus) -> None:
    # Given
    post = a_post(status)
    wanted, targets, outcomes = TABLE[status]
    # When
    deletion = delete(post)
    # Then
    change = deletion.change
    after = change.after
    assert (after.deleted_at, after.status) == (NOW, wanted)
    assert tuple(target.status for target in after.targets) == targets
    assert (after.workflow_id, after.pending_workflow_id, after.pending_event) == (None,) * 3
    types = [event.type.value for event in change.events]
    if outcomes is None:
        assert (deletion.outcomes, deletion.document) == (None, None)
        assert types == ["post.deleted"]
    else:
        assert deletion.outcomes is not None
        assert [outcome.value for _, outcome in deletion.outcomes] == outcomes
        assert types == ["post.cancelled", "post.deleted"]
        assert change.events[0].payload["cancellation"] == deletion.document
        assert (after.canceled_at, after.canceled_by_user_id) == (NOW, "usr_1")
    assert len({event.id for event in change.events}) == len(change.events)
    assert change.events[-1].payload["post"]["deletedAt"] is not None
    old = () if post.workflow_id is None else (DisarmSchedule(workflow_id=post.workflow_id),)
    assert change.effects == old
    for before, now in zip(post.targets, after.targets, strict=True):
        assert now == before or now.status is C
    # What is said of the targets that stay as they are must hold when it is committed.
    checked = {check.row.id for check in change.relied_on}
    assert checked == {each.id for each in post.targets if each in after.targets}


@pytest.mark.parametrize("status", PostStatus)
def test_nothing_of_a_deleted_post_begins_or_is_armed(status: PostStatus) -> None:
    # Given
    post = a_post(status)
    after = delete(post).change.after
    name = f"{post.id}-1"
    # Then
    assert lifecycle.start(after, name, now=LATER) is None
    assert lifecycle.commit_arming(after, name, now=NOW, actor="x") is None
    assert lifecycle.rearm_pending(after) is None
    for target in after.targets:
        assert not lifecycle.is_claimable(after, target.id, name)
        assert lifecycle.claim(after, target.id, name, "claim-2", now=LATER) is None


def test_an_arming_that_is_pending_is_called_off() -> None:
    post = a_post(PostStatus.SCHEDULED, pending=True)
    assert delete(post).change.effects == (DisarmSchedule(workflow_id=f"{post.id}-1"),)


def test_a_post_all_of_whose_targets_are_in_flight_is_deleted_without_a_cancel() -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (G, F))
    # When
    deletion = delete(post)
    # Then
    assert deletion.outcomes is None
    assert deletion.change.after.status is PostStatus.PUBLISHING
    assert deletion.change.after.attention_at == NOW + lifecycle.LEASE


def test_what_was_in_flight_ends_by_itself_and_does_not_begin_again() -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (G, G))
    deleted = delete(post).change.after
    claims = [str(target.claim_id) for target in post.targets]
    # When
    published = Published(external_post_id="1", external_url="https://x.example/1")
    first = lifecycle.settle(deleted, post.targets[0].id, claims[0], published, now=NOW)
    assert first is not None
    released = Released(code="LATER", message="Later.")
    second = lifecycle.settle(first.after, post.targets[1].id, claims[1], released, now=NOW)
    # Then
    assert second is not None
    assert [target.status for target in second.after.targets] == [P, C]
    assert second.effects == ()
    ended = lifecycle.conclude(second.after, now=NOW)
    assert ended is not None
    assert (ended.after.status, ended.after.attention_at) == (PostStatus.PUBLISHED, None)


def test_a_target_that_may_be_public_is_not_said_to_be_canceled() -> None:
    # Given
    post = a_post(PostStatus.SCHEDULED, (S, S))
    unknown = replace(
        post.targets[0], error_code=lifecycle.OUTCOME_UNKNOWN, error_message="Who knows."
    )
    # When
    deletion = delete(replace(post, targets=(unknown, post.targets[1])))
    # Then
    assert deletion.outcomes is not None
    assert [outcome.value for _, outcome in deletion.outcomes] == ["failed", "canceled"]


def test_the_table_knows_every_usual_target() -> None:
    assert {status: len(targets) for status, (_, targets, _) in TABLE.items()} == {
        status: len(targets) for status, targets in USUAL_TARGETS.items()
    }


def test_skipped_targets_stay_skipped() -> None:
    deletion = delete(a_post(PostStatus.SCHEDULED, (S, X, P)))
    assert [target.status for target in deletion.change.after.targets] == [C, X, P]


def test_a_deleted_post_has_no_workflow_whatever_of_it_is_in_flight() -> None:
    # Given a post with nothing left to cancel, under a workflow and about to be under another
    post = a_post(
        PostStatus.PUBLISHING,
        (G, P),
        pending_workflow_id="next",
        pending_event=EventType.POST_RESCHEDULED,
    )
    # When
    after = delete(post).change.after
    # Then
    assert after.status is PostStatus.PUBLISHING
    assert (after.workflow_id, after.pending_workflow_id, after.pending_event) == (None,) * 3
