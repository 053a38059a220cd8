"""Creating, arming, starting, claiming, settling and concluding as decisions."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from postbreeze.domain import lifecycle
from postbreeze.domain.access import Role
from postbreeze.domain.changes import ArmSchedule, Change, PublishTarget, ResolveTarget
from postbreeze.domain.lifecycle import Failed, Published, Released
from postbreeze.domain.post import (
    MediaDraft,
    Platform,
    Post,
    PostDraft,
    PostStatus,
    TargetDraft,
    TargetStatus,
)
from tests.support.builders import LATER, USER_ID, WORKSPACE_ID, a_post, an_id
from tests.support.fakes import START

S, P, F, C, G, X = (
    TargetStatus.SCHEDULED,
    TargetStatus.PUBLISHED,
    TargetStatus.FAILED,
    TargetStatus.CANCELED,
    TargetStatus.PUBLISHING,
    TargetStatus.SKIPPED,
)
A_MINUTE = timedelta(minutes=1)
AN_HOUR = timedelta(hours=1)


def create(role: Role = Role.EDITOR, **wanted: object) -> Change:
    accounts = [an_id("soc"), an_id("soc")]
    given: dict[str, object] = {
        "targets": tuple(TargetDraft(social_account_id=each) for each in accounts),
        **wanted,
    }
    return lifecycle.create(
        PostDraft(**given),  # type: ignore[arg-type]  # fields by name
        post_id=an_id("post"),
        workspace_id=WORKSPACE_ID,
        platforms={accounts[0]: Platform.X, accounts[1]: Platform.BLUESKY},
        author=USER_ID,
        role=role,
        now=START,
    )


# Creating and arming


def test_a_post_without_a_time_is_a_draft() -> None:
    # When
    change = create(draft_scheduled_for=LATER)
    # Then
    post = change.after
    assert post.status is PostStatus.DRAFT
    assert {target.status for target in post.targets} == {TargetStatus.DRAFT}
    assert post.scheduled_at == LATER
    assert [target.scheduled_for for target in post.targets] == [None, None]
    assert (post.pending_workflow_id, post.attention_at, change.effects) == (None, None, ())
    assert [event.type for event in change.events] == ["post.created"]
    assert [target.platform for target in post.targets] == [Platform.X, Platform.BLUESKY]


def test_a_post_with_a_time_is_scheduled_and_waits_to_be_armed() -> None:
    # When
    change = create(scheduled_for=LATER)
    # Then
    post = change.after
    assert post.status is PostStatus.SCHEDULED
    assert {target.status for target in post.targets} == {S}
    assert (post.generation, post.workflow_id) == (1, None)
    assert post.pending_workflow_id == f"{post.id}-1"
    assert post.attention_at == START + lifecycle.ARMING_GRACE
    assert {target.workflow_id for target in post.targets} == {None}
    arming = ArmSchedule(post_id=post.id, workflow_id=f"{post.id}-1", at=LATER)
    assert change.effects == (arming,)


@pytest.mark.parametrize(
    ("role", "requires"),
    [(Role.CLIENT_REVIEWER, False), (Role.CLIENT_REVIEWER, True), (Role.OWNER, True)],
)
def test_a_post_that_has_to_be_approved_keeps_its_time_and_is_not_armed(
    role: Role, requires: bool
) -> None:
    # When
    change = create(role, scheduled_for=LATER, requires_approval=requires)
    # Then
    post = change.after
    assert post.status is PostStatus.NEEDS_APPROVAL
    assert {target.status for target in post.targets} == {TargetStatus.DRAFT}
    assert post.scheduled_at == LATER
    assert (post.pending_workflow_id, change.effects) == (None, ())


def test_media_are_numbered_and_always_get_the_same_ids() -> None:
    # When
    change = create(media=(MediaDraft(url="https://a"), MediaDraft(url="https://b", alt_text="B")))
    # Then
    first, second = change.after.media
    assert (first.order, second.order) == (0, 1)
    assert (second.url, second.alt_text) == ("https://b", "B")
    assert first.media_asset_id != second.media_asset_id


@pytest.mark.parametrize(
    ("at", "fault"),
    [
        (START, "must be in the future"),
        (START - A_MINUTE, "must be in the future"),
        (START + timedelta(milliseconds=1), None),
        (START + timedelta(days=366), None),
        (START + timedelta(days=366, milliseconds=1), "must be at most one year ahead"),
    ],
)
def test_times_lie_in_the_coming_year(at: datetime, fault: str | None) -> None:
    assert lifecycle.fault_of_time(at, START) == fault


def test_committing_the_arming_puts_the_workflow_in_force_everywhere() -> None:
    # Given a post one of whose targets was cancelled meanwhile
    post = a_post(PostStatus.SCHEDULED, (S, C), pending=True)
    # When
    change = lifecycle.commit_arming(post, f"{post.id}-1", now=START, actor="me")
    # Then
    assert change is not None
    after = change.after
    assert (after.workflow_id, after.pending_workflow_id) == (f"{post.id}-1", None)
    assert [target.workflow_id for target in after.targets] == [f"{post.id}-1", None]
    assert after.attention_at == LATER + lifecycle.OVERDUE_AFTER
    assert [event.type for event in change.events] == ["post.scheduled"]


@pytest.mark.parametrize(
    "post",
    [
        a_post(PostStatus.CANCELED),
        a_post(pending=True, deleted_at=START),
        a_post(pending=True, pending_workflow_id="another"),
        a_post(),
    ],
)
def test_an_arming_that_is_not_pending_any_more_cannot_be_committed(post: Post) -> None:
    assert lifecycle.commit_arming(post, f"{post.id}-1", now=START, actor="me") is None


@pytest.mark.parametrize(
    "post", [a_post(), a_post(PostStatus.DRAFT), replace(a_post(pending=True), scheduled_at=None)]
)
def test_nothing_is_to_be_armed_where_nothing_is_pending(post: Post) -> None:
    assert lifecycle.rearm_pending(post) is None


# Starting


def start(post: Post, now: datetime = LATER, workflow_id: str | None = None) -> Change | None:
    return lifecycle.start(post, workflow_id or f"{post.id}-1", now=now)


def test_a_fire_begins_publishing_with_one_message_for_each_waiting_target() -> None:
    # Given
    post = a_post(PostStatus.SCHEDULED, (S, C, S))
    # When
    change = start(post)
    # Then
    assert change is not None
    assert change.after.status is PostStatus.PUBLISHING
    assert change.after.attention_at == LATER + lifecycle.LEASE
    assert change.events == ()
    assert [write.row.id for write in change.writes] == [post.id]
    assert change.effects == tuple(
        PublishTarget(
            workspace_id=post.workspace_id,
            post_id=post.id,
            target_id=post.targets[i].id,
            workflow_id=f"{post.id}-1",
        )
        for i in (0, 2)
    )


def test_a_second_fire_sends_the_messages_again_and_writes_nothing() -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (G, S, P))
    # When
    change = start(post)
    # Then
    assert change is not None
    assert change.is_empty
    assert len(change.effects) == 1


def test_a_repeated_message_keeps_to_the_next_attempts_time() -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (S,))
    waiting = replace(post.targets[0], next_attempt_at=LATER + timedelta(seconds=29.5))
    post = replace(post, targets=(waiting,))
    # When
    change = start(post)
    # Then
    assert change is not None
    [message] = change.effects
    assert isinstance(message, PublishTarget)
    assert message.delay_seconds == 30


@pytest.mark.parametrize(
    "post",
    [
        a_post(PostStatus.CANCELED),
        a_post(PostStatus.PUBLISHED),
        a_post(PostStatus.SCHEDULED, pending=True),
        a_post(PostStatus.SCHEDULED, deleted_at=START),
        a_post(PostStatus.FAILED),
    ],
)
def test_a_fire_that_is_out_of_date_does_nothing(post: Post) -> None:
    assert start(post) is None


def test_a_fire_of_an_earlier_arming_does_nothing() -> None:
    post = a_post()
    assert start(post, workflow_id=f"{post.id}-0") is None


def test_a_workflow_in_force_on_a_post_that_has_ended_does_nothing() -> None:
    post = a_post(PostStatus.FAILED, workflow_id="w")
    assert start(post, workflow_id="w") is None


def test_a_fire_that_is_a_moment_early_sends_messages_that_wait() -> None:
    # Given
    post = a_post(PostStatus.SCHEDULED, [S, S])
    # When
    change = start(post, now=LATER - lifecycle.EARLY_FIRE)
    # Then
    assert change is not None
    assert change.after.status is PostStatus.PUBLISHING
    assert [effect.delay_seconds for effect in messages(change)] == [120, 120]
    # And whoever gets them before waits too
    post, first = change.after, change.after.targets[0]
    a_moment = timedelta(milliseconds=1)
    workflow_id = f"{post.id}-1"
    assert lifecycle.claim(post, first.id, workflow_id, "c", now=LATER - a_moment) is None
    again = lifecycle.postponed(post, first.id, workflow_id, now=LATER - a_moment)
    assert again == replace(messages(change)[0], delay_seconds=1)
    # And at the moment itself it is claimed
    assert lifecycle.postponed(post, first.id, workflow_id, now=LATER) is None
    assert lifecycle.claim(post, first.id, workflow_id, "c", now=LATER) is not None


def test_a_fire_that_comes_minutes_too_early_is_none() -> None:
    early = LATER - lifecycle.EARLY_FIRE - timedelta(milliseconds=1)
    assert start(a_post(PostStatus.SCHEDULED), now=early) is None
    # But what is being published may be asked for again, at any time
    assert start(a_post(PostStatus.PUBLISHING), now=early) is not None


def test_no_message_waits_longer_than_a_queue_can_hold_it_back() -> None:
    # Given a post that was being published when it was read, and a target put off since
    [target] = a_post(PostStatus.PUBLISHING, [S]).targets
    later = replace(target, next_attempt_at=LATER + AN_HOUR)
    post = replace(a_post(PostStatus.PUBLISHING, [S]), targets=(later,))
    # When
    change = start(post)
    # Then
    assert change is not None
    assert [message.delay_seconds for message in messages(change)] == [900]


def messages(change: Change) -> list[PublishTarget]:
    return [effect for effect in change.effects if isinstance(effect, PublishTarget)]


def test_exactly_an_hour_late_it_still_goes_out_and_later_it_has_missed_its_time() -> None:
    # Given
    post = a_post(PostStatus.SCHEDULED, (S, C))
    # When
    last = start(post, LATER + AN_HOUR)
    missed = start(post, LATER + AN_HOUR + timedelta(milliseconds=1))
    # Then
    assert last is not None
    assert last.after.status is PostStatus.PUBLISHING
    assert missed is not None
    assert missed.after.status is PostStatus.FAILED
    assert [target.status for target in missed.after.targets] == [F, C]
    assert missed.after.targets[0].error_code == "MISSED_SCHEDULE"
    assert missed.after.targets[0].error_message
    assert [event.type for event in missed.events] == ["post.failed"]
    assert not any(isinstance(effect, PublishTarget) for effect in missed.effects)
    assert [check.row.id for check in missed.relied_on] == [post.targets[1].id]


def test_a_late_fire_fails_what_has_not_begun_and_leaves_the_rest() -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (S, G, P))
    # When
    change = start(post, LATER + 2 * AN_HOUR)
    # Then
    assert change is not None
    assert [target.status for target in change.after.targets] == [F, G, P]
    assert change.after.status is PostStatus.PUBLISHING
    assert change.events == ()


# Claiming


def claim(post: Post, now: datetime = LATER, workflow_id: str | None = None) -> Change | None:
    return lifecycle.claim(
        post, post.targets[0].id, workflow_id or f"{post.id}-1", "claim-9", now=now
    )


def test_a_claim_writes_its_target_only_and_holds_it_for_a_while() -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (S, S))
    # When
    change = claim(post)
    # Then
    assert change is not None
    [write] = change.writes
    assert write.row == change.after.targets[0]
    target = change.after.targets[0]
    assert (target.status, target.claim_id) == (G, "claim-9")
    assert target.claimed_until == LATER + lifecycle.LEASE
    assert (target.attempt_count, target.last_attempt_at) == (1, LATER)
    assert lifecycle.holds(change.after, target.id, "claim-9")
    assert not lifecycle.holds(change.after, target.id, "claim-8")
    assert not lifecycle.holds(change.after, "tgt_other", "claim-9")


@pytest.mark.parametrize("status", set(PostStatus) - {PostStatus.PUBLISHING})
def test_only_a_post_that_is_being_published_can_be_claimed(status: PostStatus) -> None:
    post = a_post(PostStatus.PUBLISHING, (S,))
    assert claim(replace(post, status=status)) is None


@pytest.mark.parametrize("status", set(TargetStatus) - {S})
def test_only_a_scheduled_target_can_be_claimed(status: TargetStatus) -> None:
    assert claim(a_post(PostStatus.PUBLISHING, (status, S))) is None


def test_neither_another_workflow_nor_a_deleted_post_nor_a_strange_target_can_be_claimed() -> None:
    post = a_post(PostStatus.PUBLISHING, (S,))
    assert claim(post, workflow_id=f"{post.id}-2") is None
    assert claim(replace(post, deleted_at=START)) is None
    assert lifecycle.claim(post, "tgt_other", f"{post.id}-1", "c", now=LATER) is None
    assert not lifecycle.is_claimable(post, "tgt_other", f"{post.id}-1")
    assert lifecycle.is_claimable(post, post.targets[0].id, f"{post.id}-1")


def test_a_target_that_waits_for_its_next_attempt_is_not_claimed_before() -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (S,))
    target = replace(post.targets[0], next_attempt_at=LATER + A_MINUTE, attempt_count=1)
    post = replace(post, targets=(target,))
    # When / Then
    early = lifecycle.postponed(post, target.id, f"{post.id}-1", now=LATER)
    assert claim(post) is None
    assert early is not None
    assert early.delay_seconds == 60
    assert lifecycle.postponed(post, target.id, f"{post.id}-1", now=LATER + A_MINUTE) is None
    assert lifecycle.postponed(post, target.id, "another", now=LATER) is None
    change = claim(post, LATER + A_MINUTE)
    assert change is not None
    assert change.after.targets[0].next_attempt_at is None
    assert change.after.targets[0].attempt_count == 2


def test_a_target_that_is_an_hour_late_fails_instead_of_being_claimed() -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (S, P))
    # When
    change = claim(post, LATER + AN_HOUR + A_MINUTE)
    # Then
    assert change is not None
    assert [target.status for target in change.after.targets] == [F, P]
    assert change.after.targets[0].error_code == "MISSED_SCHEDULE"
    assert change.after.status is PostStatus.PARTIALLY_PUBLISHED
    assert [event.type for event in change.events] == ["post.partially_published"]


def test_lateness_counts_from_the_next_attempt_where_there_is_one() -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (S,))
    target = replace(post.targets[0], next_attempt_at=LATER + AN_HOUR)
    # When
    change = claim(replace(post, targets=(target,)), LATER + AN_HOUR + A_MINUTE)
    # Then
    assert change is not None
    assert change.after.targets[0].status is G


# Settling

PUBLISHED = Published(
    external_post_id="1", external_url="https://x/1", first_comment_error="PENDING"
)
FAILED = Failed(code="NO", message="No.")
RELEASED = Released(code="BUSY", message="Busy.")


def claimed(post: Post, attempts: int = 1) -> Post:
    target = replace(post.targets[0], claim_id="claim-9", attempt_count=attempts)
    return replace(post, targets=(target, *post.targets[1:]))


def settle(post: Post, result: lifecycle.Result, claim_id: str = "claim-9") -> Change | None:
    return lifecycle.settle(post, post.targets[0].id, claim_id, result, now=LATER)


def test_a_published_target_forgets_earlier_errors() -> None:
    # Given
    post = claimed(a_post(PostStatus.PUBLISHING, (G, S)))
    post = replace(post, targets=(replace(post.targets[0], error_code="OLD"), *post.targets[1:]))
    # When
    change = settle(post, PUBLISHED)
    # Then
    assert change is not None
    target = change.after.targets[0]
    assert (target.status, target.published_at, target.error_code) == (P, LATER, None)
    assert (target.external_post_id, target.external_url) == ("1", "https://x/1")
    assert target.first_comment_error == "PENDING"
    assert [write.row.id for write in change.writes] == [target.id]
    assert change.relied_on == ()


@pytest.mark.parametrize("status", [PostStatus.PUBLISHING, PostStatus.CANCELED])
def test_a_failed_target_keeps_why(status: PostStatus) -> None:
    # When
    change = settle(claimed(a_post(status, (G, S))), FAILED)
    # Then
    assert change is not None
    target = change.after.targets[0]
    assert (target.status, target.error_code, target.error_message) == (F, "NO", "No.")


@pytest.mark.parametrize("result", [PUBLISHED, FAILED, RELEASED])
def test_only_the_claim_that_holds_a_target_can_settle_it(result: lifecycle.Result) -> None:
    post = claimed(a_post(PostStatus.PUBLISHING, (G,)))
    assert settle(post, result, "claim-8") is None
    assert settle(claimed(a_post(PostStatus.PUBLISHING, (S,))), result) is None
    assert lifecycle.settle(post, "tgt_other", "claim-9", result, now=LATER) is None


@pytest.mark.parametrize(("attempts", "gap"), [(1, 5), (2, 30), (3, 120), (4, 300)])
def test_a_released_target_waits_for_its_next_attempt(attempts: int, gap: int) -> None:
    # Given
    post = claimed(a_post(PostStatus.PUBLISHING, (G, S)), attempts)
    # When
    change = settle(post, RELEASED)
    # Then
    assert change is not None
    target = change.after.targets[0]
    assert (target.status, target.error_code) == (S, "BUSY")
    assert target.next_attempt_at == LATER + timedelta(seconds=gap)
    [message] = change.effects
    assert isinstance(message, PublishTarget)
    assert message.delay_seconds == gap
    assert [check.row.id for check in change.relied_on] == [post.id]


@pytest.mark.parametrize(
    ("wish", "gap"),
    [(0, 5), (4.2, 5), (6.5, 7), (60, 60), (900, 900), (10_000, 900), (float("inf"), 900)],
)
def test_a_platforms_wish_lengthens_the_wait_up_to_a_quarter_of_an_hour(
    wish: float, gap: int
) -> None:
    # When
    change = settle(
        claimed(a_post(PostStatus.PUBLISHING, (G,))), replace(RELEASED, retry_after=wish)
    )
    # Then
    assert change is not None
    [message] = change.effects
    assert isinstance(message, PublishTarget)
    assert message.delay_seconds == gap


def test_a_target_whose_attempts_are_used_up_fails() -> None:
    # When
    change = settle(claimed(a_post(PostStatus.PUBLISHING, (G,)), 5), RELEASED)
    # Then
    assert change is not None
    assert change.after.targets[0].status is F
    assert change.after.targets[0].error_code == "BUSY"
    assert change.effects == ()


def test_a_released_target_without_a_workflow_is_stopped() -> None:
    # Given
    post = claimed(a_post(PostStatus.PUBLISHING, (G,)))
    target = replace(post.targets[0], workflow_id=None)
    # When
    change = settle(replace(post, targets=(target,)), RELEASED)
    # Then
    assert change is not None
    assert change.after.targets[0].status is C


def test_a_released_target_of_an_older_arming_does_not_go_out_with_the_present_one() -> None:
    # Given a post that was cancelled, rescheduled and started again meanwhile
    post = claimed(a_post(PostStatus.PUBLISHING, (G, S)))
    present = replace(post, workflow_id=f"{post.id}-2", generation=2)
    # When
    change = settle(present, RELEASED)
    # Then
    assert change is not None
    assert change.after.targets[0].status is C
    assert change.after.targets[0].workflow_id is None
    assert change.effects == ()


def test_a_message_of_the_arming_in_force_finds_no_target_of_an_older_one() -> None:
    # Given rows of different moments: the post as it was, the target as it is
    post = a_post(PostStatus.PUBLISHING, (S,))
    torn = replace(post, workflow_id=f"{post.id}-0")
    # When / Then
    assert not lifecycle.is_claimable(torn, post.targets[0].id, f"{post.id}-1")
    assert lifecycle.is_claimable(post, post.targets[0].id, f"{post.id}-1")


def test_a_released_target_of_a_cancelled_post_is_cancelled() -> None:
    # When
    change = settle(claimed(a_post(PostStatus.CANCELED, (G, C))), RELEASED)
    # Then
    assert change is not None
    target = change.after.targets[0]
    assert (target.status, target.workflow_id, target.error_code) == (C, None, "BUSY")
    assert change.effects == ()


def test_a_first_comment_is_noted_on_a_published_target_only() -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (P, S))
    ids = [target.id for target in post.targets]
    # When
    change = lifecycle.settle_first_comment(post, ids[0], "NO", now=LATER)
    # Then
    assert change is not None
    target = change.after.targets[0]
    assert (target.first_comment_error, target.first_comment_attempt) == ("NO", 1)
    assert lifecycle.settle_first_comment(post, ids[1], None, now=LATER) is None
    assert lifecycle.settle_first_comment(post, "tgt_other", None, now=LATER) is None


# Concluding


@pytest.mark.parametrize(
    ("targets", "status"),
    [
        ((P, P), PostStatus.PUBLISHED),
        ((P, C, X), PostStatus.PUBLISHED),
        ((P, F), PostStatus.PARTIALLY_PUBLISHED),
        ((P, F, C), PostStatus.PARTIALLY_PUBLISHED),
        ((F, F), PostStatus.FAILED),
        ((F, C), PostStatus.FAILED),
    ],
)
def test_a_post_ends_as_its_targets_have_ended(
    targets: tuple[TargetStatus, ...], status: PostStatus
) -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, targets)
    # When
    change = lifecycle.conclude(post, now=LATER)
    # Then
    assert change is not None
    assert change.after.status is status
    assert (change.after.workflow_id, change.after.attention_at) == (None, None)
    assert [event.type for event in change.events] == [f"post.{status.lower()}"]
    assert lifecycle.conclude(change.after, now=LATER) is None


@pytest.mark.parametrize("moving", [S, G])
def test_a_post_with_a_moving_target_goes_on(moving: TargetStatus) -> None:
    assert lifecycle.conclude(a_post(PostStatus.PUBLISHING, (P, moving)), now=LATER) is None


def test_a_cancelled_post_whose_last_target_has_ended_needs_no_attention_any_more() -> None:
    # Given
    post = a_post(PostStatus.CANCELED, (P, C), attention_at=LATER)
    # When
    change = lifecycle.conclude(post, now=LATER)
    # Then
    assert change is not None
    assert change.after.status is PostStatus.CANCELED
    assert change.after.attention_at is None
    assert change.events == ()


def test_every_set_of_targets_has_one_status() -> None:
    for statuses in itertools.product((S, G, P, F, C, X), repeat=3):
        post = a_post(PostStatus.PUBLISHING, statuses)
        moving = bool({S, G} & set(statuses))
        assert (lifecycle.derive(post.targets) is PostStatus.PUBLISHING) == moving
    assert lifecycle.derive(a_post(targets=(C, X)).targets) is PostStatus.CANCELED


# Looking after


def test_a_claim_that_ran_out_leads_to_a_question() -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (G, S, P))
    until = post.targets[0].claimed_until
    assert until is not None
    # When / Then
    assert lifecycle.expired(post, now=until) == ()
    assert lifecycle.expired(post, now=until + A_MINUTE) == (
        ResolveTarget(
            workspace_id=post.workspace_id,
            post_id=post.id,
            target_id=post.targets[0].id,
            claim_id="claim-1",
        ),
    )


def test_a_target_that_should_have_been_tried_long_ago_is_stalled() -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (S, G, S))
    waiting = replace(post.targets[2], next_attempt_at=LATER + AN_HOUR)
    post = replace(post, targets=(*post.targets[:2], waiting))
    overdue = LATER + lifecycle.OVERDUE_AFTER
    # When / Then
    assert lifecycle.stalled(post, now=overdue - timedelta(milliseconds=1)) == ()
    [message] = lifecycle.stalled(post, now=overdue)
    assert message.target_id == post.targets[0].id
    assert lifecycle.stalled(replace(post, status=PostStatus.CANCELED), now=overdue) == ()


def test_a_late_fire_has_looked_after_what_is_in_flight_and_nothing_else() -> None:
    # Given
    late = LATER + 2 * AN_HOUR
    # When
    some = start(a_post(PostStatus.PUBLISHING, (S, G)), late)
    none = start(a_post(PostStatus.PUBLISHING, (S, P)), late)
    # Then
    assert some is not None
    assert some.after.attention_at == late + lifecycle.LEASE
    assert none is not None
    assert none.after.attention_at is None


@pytest.mark.parametrize(
    ("attention_at", "now", "moved"),
    [
        (None, START, False),
        (START + A_MINUTE, START, False),
        (START, START, True),
        (START, START + A_MINUTE, True),
        (START, LATER + lifecycle.OVERDUE_AFTER, False),
    ],
)
def test_a_scheduled_post_is_looked_at_next_when_it_is_due_unless_it_is_to_be_now(
    attention_at: datetime | None, now: datetime, moved: bool
) -> None:
    # Given
    post = a_post(PostStatus.SCHEDULED, (S,), attention_at=attention_at)
    # When
    change = lifecycle.conclude(post, now=now)
    # Then
    assert (change is not None) is moved
    if change is not None:
        assert change.after.attention_at == LATER + lifecycle.OVERDUE_AFTER
        assert change.after.status is PostStatus.SCHEDULED


def test_what_is_published_has_no_error_any_more() -> None:
    # Given a target whose attempt before has failed
    post = a_post(PostStatus.PUBLISHING, (G,))
    failed = replace(post.targets[0], error_code="BUSY", error_message="Try later.")
    post = replace(post, targets=(failed,))
    # When
    done = Published(external_post_id="at://1", external_url="https://bsky.app/1")
    change = lifecycle.settle(post, failed.id, "claim-1", done, now=LATER)
    # Then
    assert change is not None
    [target] = change.after.targets
    assert (target.error_code, target.error_message) == (None, None)


def test_a_target_without_a_time_waits_for_none() -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (S,))
    post = replace(post, targets=(replace(post.targets[0], scheduled_for=None),))
    # Then
    assert claim(post, now=START) is not None


@pytest.mark.parametrize(
    "since",
    [
        {"deleted_at": START},
        {"status": PostStatus.CANCELED},
        {"workflow_id": "another"},
        {"workflow_id": None},
    ],
)
def test_what_is_released_goes_out_again_only_under_the_workflow_it_belongs_to(
    since: dict[str, Any],
) -> None:
    # Given a target in flight whose post was deleted, or armed anew, or is under no workflow
    post = replace(a_post(PostStatus.PUBLISHING, (G, S)), **since)
    released = Released(code="BUSY", message="Try later.")
    # When
    change = lifecycle.settle(post, post.targets[0].id, "claim-1", released, now=LATER)
    # Then
    assert change is not None
    assert change.after.targets[0].status is TargetStatus.CANCELED
    assert change.effects == ()


def test_what_is_under_no_workflow_is_not_sent_again_for_a_post_under_none() -> None:
    # Given
    post = replace(a_post(PostStatus.PUBLISHING, (G,)), workflow_id=None)
    post = replace(post, targets=(replace(post.targets[0], workflow_id=None),))
    released = Released(code="BUSY", message="Try later.")
    # When
    change = lifecycle.settle(post, post.targets[0].id, "claim-1", released, now=LATER)
    # Then
    assert change is not None
    assert change.after.targets[0].status is TargetStatus.CANCELED


@pytest.mark.parametrize("missing", ["claim_id", "claimed_until"])
def test_nobody_is_asked_about_a_claim_without_name_or_end(missing: str) -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (G,))
    nothing: dict[str, Any] = {missing: None}
    post = replace(post, targets=(replace(post.targets[0], **nothing),))
    # Then
    assert lifecycle.expired(post, now=LATER + AN_HOUR) == ()


def test_a_post_is_created_in_the_time_zone_it_is_given() -> None:
    assert create(timezone="Europe/Lisbon").after.timezone == "Europe/Lisbon"


def test_what_has_missed_its_time_is_ended_against_whoever_else_ends_it() -> None:
    # Given a post whose own row would stay just as it is, and a target that was to be tried again
    late = LATER + 2 * AN_HOUR
    post = a_post(PostStatus.PUBLISHING, (S, G), attention_at=late + lifecycle.LEASE)
    waiting = replace(post.targets[0], next_attempt_at=LATER)
    post = replace(post, targets=(waiting, post.targets[1]))
    # When
    change = start(post, late)
    # Then the row is written all the same, and there is no next attempt
    assert change is not None
    assert change.after.revision == post.revision + 1
    assert change.after.targets[0].next_attempt_at is None


def test_what_is_under_no_workflow_has_no_message_to_be_sent_again() -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (S, S))
    post = replace(post, targets=(replace(post.targets[0], workflow_id=None), post.targets[1]))
    # When
    messages = lifecycle.stalled(post, now=LATER + AN_HOUR)
    # Then
    assert [message.target_id for message in messages] == [post.targets[1].id]


def test_a_first_comment_that_was_asked_for_again_has_its_time_from_then() -> None:
    # Given a target whose comment was asked for again long after it was published
    post = a_post(PostStatus.PUBLISHED, (P,))
    asked = replace(
        post.targets[0],
        workflow_id="w",
        first_comment_error=lifecycle.FIRST_COMMENT_PENDING,
        first_comment_retried_at=LATER,
    )
    post = replace(post, targets=(asked,))
    # Then its message is sent again two minutes after that, and no sooner
    a_moment = timedelta(microseconds=1)
    due = LATER + lifecycle.OVERDUE_AFTER
    assert lifecycle.stalled(post, now=due - a_moment) == ()
    assert len(lifecycle.stalled(post, now=due)) == 1


@pytest.mark.parametrize("in_force", ["the post's", "the target's"])
def test_a_claim_needs_its_workflow_in_force_on_the_post_and_on_the_target(in_force: str) -> None:
    # Given a post and a target of which only one is under the message's workflow
    post = a_post(PostStatus.PUBLISHING, (S,))
    if in_force == "the post's":
        post = replace(post, targets=(replace(post.targets[0], workflow_id="another"),))
    else:
        post = replace(post, workflow_id="another")
    # Then
    assert claim(post, workflow_id=f"{post.id}-1") is None


def test_the_event_of_a_new_post_tells_that_there_was_none_before() -> None:
    change = create()
    assert (change.events[0].version_before, change.events[0].version_after) == (
        0,
        change.after.version,
    )
