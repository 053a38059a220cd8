"""Editing a post: every state, which targets stay the same, approvals, and its time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postbreeze.domain import lifecycle
from postbreeze.domain.access import Role
from postbreeze.domain.changes import ArmSchedule, Change, DisarmSchedule
from postbreeze.domain.errors import (
    PostNotEditableError,
    PostNotSchedulableError,
    ValidationError,
)
from postbreeze.domain.events import EventType
from postbreeze.domain.lifecycle import MOST_TARGETS, OUTCOME_UNKNOWN
from postbreeze.domain.post import (
    MediaDraft,
    Platform,
    Post,
    PostDraft,
    PostStatus,
    TargetDraft,
    TargetStatus,
)
from tests.support.builders import LATER, a_post, an_asset, an_id
from tests.support.fakes import START

NOW = START + timedelta(minutes=5)
AT = START + timedelta(hours=3)
S, P, D = TargetStatus.SCHEDULED, TargetStatus.PUBLISHED, TargetStatus.DRAFT
F, C, X, G = (
    TargetStatus.FAILED,
    TargetStatus.CANCELED,
    TargetStatus.SKIPPED,
    TargetStatus.PUBLISHING,
)
NEW = an_id("soc")


def edit(
    post: Post,
    accounts: Sequence[str] | None = None,
    *,
    role: Role = Role.EDITOR,
    now: Any = NOW,
    **wanted: Any,
) -> Change:
    """Edit a post so that it is for these accounts, or for the same as before."""
    listed = [each.social_account_id for each in post.targets] if accounts is None else accounts
    draft = PostDraft(
        targets=tuple(
            TargetDraft(social_account_id=each, caption_override="Mine") for each in listed
        ),
        **wanted,
    )
    return lifecycle.edit(
        post,
        draft,
        platforms=dict.fromkeys(listed, Platform.BLUESKY),
        editor="usr_1",
        role=role,
        now=now,
    )


def with_target(post: Post, index: int = 0, **fields: Any) -> Post:
    targets = list(post.targets)
    targets[index] = replace(targets[index], **fields)
    return replace(post, targets=tuple(targets))


def ends(change: Change) -> tuple[TargetStatus, ...]:
    return tuple(target.status for target in change.after.targets)


EDITED = {
    PostStatus.DRAFT: PostStatus.DRAFT,
    PostStatus.NEEDS_APPROVAL: PostStatus.NEEDS_APPROVAL,
    PostStatus.SCHEDULED: PostStatus.SCHEDULED,
    PostStatus.FAILED: PostStatus.DRAFT,
    PostStatus.CANCELED: PostStatus.DRAFT,
}


@pytest.mark.parametrize("is_given_a_time", [False, True])
@pytest.mark.parametrize("status", PostStatus)
def test_every_state_is_edited_or_refused(status: PostStatus, is_given_a_time: bool) -> None:
    # Given
    post = a_post(status)
    time: dict[str, Any] = {"scheduled_for": AT} if is_given_a_time else {}
    # When / Then
    if status not in EDITED:
        with pytest.raises(PostNotEditableError) as refused:
            edit(post, **time)
        assert refused.value.status == status
        return
    change = edit(post, **time)
    after = change.after
    waits = status is PostStatus.NEEDS_APPROVAL
    wanted = PostStatus.SCHEDULED if is_given_a_time and not waits else EDITED[status]
    assert after.status is wanted
    assert after.version > post.version
    assert change.events == ()
    assert (after.canceled_at, after.canceled_by_user_id, after.cancel_reason) == (None,) * 3
    assert [target.id for target in after.targets] == [target.id for target in post.targets]
    assert {target.caption_override for target in after.targets} == {"Mine"}
    assert {target.error_code for target in after.targets} == {None}
    is_armed = wanted is PostStatus.SCHEDULED
    assert set(ends(change)) == {S if is_armed else D}
    old = () if post.workflow_id is None else (DisarmSchedule(workflow_id=post.workflow_id),)
    if is_armed:
        at = AT if is_given_a_time else LATER
        name = f"{post.id}-{post.generation + 1}"
        assert (after.pending_workflow_id, after.workflow_id) == (name, None)
        arm = ArmSchedule(post_id=post.id, workflow_id=name, at=at)
        assert change.effects == (arm, *old)
        told = EventType.POST_RESCHEDULED if old else EventType.POST_SCHEDULED
        assert after.pending_event is told
    else:
        assert (after.pending_workflow_id, after.workflow_id, after.attention_at) == (None,) * 3
        assert change.effects == ()
    if waits:
        at = AT if is_given_a_time else LATER
        assert {target.scheduled_for for target in after.targets} == {at}


def test_an_edit_that_says_nothing_new_still_begins_a_new_version() -> None:
    # Given
    post = a_post(PostStatus.DRAFT, caption="Fair wind")
    draft = PostDraft(
        targets=tuple(TargetDraft(social_account_id=t.social_account_id) for t in post.targets),
        caption=post.caption,
    )
    # When
    change = lifecycle.edit(
        post,
        draft,
        platforms={t.social_account_id: t.platform for t in post.targets},
        editor="usr_1",
        role=Role.EDITOR,
        now=NOW,
    )
    # Then
    assert change.after.version > post.version


# Which targets


def test_accounts_that_are_left_out_go_and_new_ones_come() -> None:
    # Given
    post = with_target(a_post(PostStatus.SCHEDULED, (S, S, S)), 0, revision=9)
    kept = post.targets[2]
    # When
    change = edit(post, [NEW, kept.social_account_id])
    # Then
    new, same = change.after.targets
    assert same.id == kept.id
    assert (new.social_account_id, new.revision) == (NEW, 1)
    assert new.id not in {target.id for target in post.targets}
    assert change.removed == post.targets[:2]
    assert change.after.version > post.version
    written = {write.row.id: write.expected_revision for write in change.writes}
    assert written == {post.id: post.revision, new.id: None, same.id: kept.revision}


def test_an_account_that_went_and_comes_back_gets_another_target() -> None:
    # Given
    post = a_post(PostStatus.DRAFT, (D, D))
    first, second = (target.social_account_id for target in post.targets)
    # When all happens at the same moment
    ids = {post.targets[1].id}
    for _ in range(3):
        post = edit(post, [first]).after
        post = edit(post, [first, second]).after
        ids.add(post.targets[1].id)
    # Then
    assert len(ids) == 4


@pytest.mark.parametrize("is_listed", [True, False])
@pytest.mark.parametrize("kind", [P, G, X])
def test_what_is_or_may_just_now_become_public_stays_as_it_is_listed_or_not(
    kind: TargetStatus, is_listed: bool
) -> None:
    # Given
    post = a_post(PostStatus.CANCELED, (kind, C))
    accounts = [target.social_account_id for target in post.targets]
    # When
    change = edit(post, accounts if is_listed else accounts[1:], scheduled_for=AT)
    # Then
    assert change.after.targets[0] == post.targets[0]
    assert ends(change) == (kind, S)


def test_a_target_in_flight_of_which_an_earlier_attempt_is_unknown_stays_too() -> None:
    post = with_target(a_post(PostStatus.CANCELED, (G, C)), error_code=OUTCOME_UNKNOWN)
    assert edit(post, scheduled_for=AT).after.targets[0] == post.targets[0]


@pytest.mark.parametrize("kind", [S, F])
def test_a_target_that_may_be_public_is_put_aside_and_taken_up_again(kind: TargetStatus) -> None:
    # Given nobody knows whether the first is public
    status = PostStatus.SCHEDULED if kind is S else PostStatus.FAILED
    post = a_post(status, (kind, kind))
    post = with_target(post, error_code=OUTCOME_UNKNOWN, error_message="Who knows.")
    mine, other = (target.social_account_id for target in post.targets)
    # When it is left out
    without = edit(post, [other], scheduled_for=AT).after
    # Then it is not forgotten, and does not go out
    aside = without.targets[0]
    assert (aside.id, aside.status, aside.error_code) == (post.targets[0].id, X, OUTCOME_UNKNOWN)
    assert aside.workflow_id is None
    assert edit(without, [other], scheduled_for=AT).after.targets[0] == aside
    # And when it is listed again it is the same target, so that it cannot go out twice
    back = edit(without, [mine, other], scheduled_for=AT).after.targets[0]
    assert (back.id, back.status, back.error_code) == (aside.id, S, OUTCOME_UNKNOWN)


def test_a_listed_target_that_was_cancelled_by_itself_goes_out_again() -> None:
    assert ends(edit(a_post(PostStatus.SCHEDULED, (S, C)))) == (S, S)


@pytest.mark.parametrize("time", [{"scheduled_for": AT}, {}])
@pytest.mark.parametrize("kind", [P, G, X])
def test_an_edit_that_leaves_nothing_to_publish_is_refused(
    kind: TargetStatus, time: dict[str, Any]
) -> None:
    # Given
    post = a_post(PostStatus.CANCELED, (kind, C))
    # When / Then
    with pytest.raises(PostNotSchedulableError):
        edit(post, [post.targets[0].social_account_id], **time)


@pytest.mark.parametrize(("is_flat", "path"), [(True, "platforms"), (False, "targets")])
def test_what_is_published_counts_among_the_most_targets(is_flat: bool, path: str) -> None:
    # Given
    post = a_post(PostStatus.CANCELED, (P, C))
    accounts = [an_id("soc") for _ in range(MOST_TARGETS)]
    # When / Then
    with pytest.raises(ValidationError) as refused:
        edit(post, accounts, flat_shape=is_flat)
    assert [detail.path for detail in refused.value.details] == [path]
    assert len(edit(post, accounts[1:]).after.targets) == MOST_TARGETS


# What else is given


def test_what_is_not_given_stays_but_for_targets_and_media() -> None:
    # Given
    post = edit(
        a_post(PostStatus.SCHEDULED), media=(MediaDraft(url="https://a"),), caption="Old"
    ).after
    assert len(post.media) == 1
    # When
    after = edit(post).after
    # Then
    assert (after.caption, after.timezone, after.media) == ("Old", "Europe/Berlin", ())
    assert after.scheduled_at == LATER


def test_what_is_given_replaces_what_was() -> None:
    after = edit(a_post(PostStatus.SCHEDULED), caption="", timezone="UTC", scheduled_for=AT).after
    assert (after.caption, after.timezone, after.scheduled_at) == ("", "UTC", AT)


def test_a_scheduled_post_whose_time_has_passed_needs_a_new_one() -> None:
    # Given
    post = a_post(PostStatus.SCHEDULED, (F, S), scheduled_at=NOW)
    # When / Then
    with pytest.raises(ValidationError) as refused:
        edit(post)
    assert [detail.path for detail in refused.value.details] == ["scheduledFor"]
    assert edit(post, scheduled_for=AT).after.status is PostStatus.SCHEDULED


def test_the_time_of_a_scheduled_post_is_that_of_what_waits_not_of_what_ended_before() -> None:
    # Given
    post = with_target(a_post(PostStatus.SCHEDULED, (F, S)), scheduled_for=START)
    # When / Then
    assert edit(post).after.scheduled_at == LATER


@pytest.mark.parametrize(
    ("is_flat", "path"), [(True, "draftScheduledFor"), (False, "draftScheduledAt")]
)
def test_a_drafts_time_does_not_take_a_post_off_the_clock(is_flat: bool, path: str) -> None:
    with pytest.raises(ValidationError) as refused:
        edit(a_post(PostStatus.SCHEDULED), draft_scheduled_for=AT, flat_shape=is_flat)
    assert [detail.path for detail in refused.value.details] == [path]


@pytest.mark.parametrize("status", [PostStatus.DRAFT, PostStatus.CANCELED, PostStatus.FAILED])
def test_a_drafts_time_is_noted(status: PostStatus) -> None:
    change = edit(a_post(status), draft_scheduled_for=AT)
    assert (change.after.status, change.after.scheduled_at) == (PostStatus.DRAFT, AT)
    assert {target.scheduled_for for target in change.after.targets} == {None}


def test_a_drafts_time_takes_the_time_from_a_post_that_waits() -> None:
    waiting = edit(a_post(PostStatus.NEEDS_APPROVAL), draft_scheduled_for=AT).after
    assert waiting.status is PostStatus.NEEDS_APPROVAL
    assert lifecycle.approve(waiting, actor="usr_1", now=NOW).after.status is PostStatus.DRAFT


# Approvals

APPROVED: dict[str, Any] = {
    "requires_approval": True,
    "approved_at": START,
    "approved_by_user_id": "usr_9",
}


@pytest.mark.parametrize(
    "status", [PostStatus.DRAFT, PostStatus.SCHEDULED, PostStatus.FAILED, PostStatus.CANCELED]
)
def test_what_was_approved_and_is_edited_by_an_editor_needs_a_new_approval(
    status: PostStatus,
) -> None:
    # Given
    post = a_post(status, **APPROVED)
    # When
    change = edit(post, scheduled_for=AT)
    # Then
    after = change.after
    assert after.status is PostStatus.NEEDS_APPROVAL
    assert (after.approved_by_user_id, after.approved_at) == (None, None)
    assert (after.workflow_id, after.pending_workflow_id) == (None, None)
    assert set(ends(change)) == {D}
    assert all(isinstance(effect, DisarmSchedule) for effect in change.effects)
    assert lifecycle.approve(after, actor="usr_1", now=NOW).after.scheduled_at == AT


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN])
def test_what_a_manager_edits_is_approved(role: Role) -> None:
    # Given
    post = a_post(PostStatus.DRAFT, requires_approval=True)
    # When / Then
    after = edit(post, role=role, scheduled_for=AT).after
    assert (after.status, after.approved_by_user_id) == (PostStatus.SCHEDULED, "usr_1")
    kept = edit(replace(post, **APPROVED), role=role, scheduled_for=AT).after
    assert (kept.status, kept.approved_by_user_id) == (PostStatus.SCHEDULED, "usr_9")


@pytest.mark.parametrize("role", [Role.OWNER, Role.EDITOR])
def test_whoever_edits_can_ask_for_an_approval(role: Role) -> None:
    after = edit(a_post(PostStatus.SCHEDULED), role=role, requires_approval=True).after
    assert (after.status, after.requires_approval) == (PostStatus.NEEDS_APPROVAL, True)


def test_a_post_that_waits_goes_on_waiting_whoever_edits_it() -> None:
    after = edit(a_post(PostStatus.NEEDS_APPROVAL), role=Role.OWNER).after
    assert after.status is PostStatus.NEEDS_APPROVAL


def test_an_edit_of_what_still_has_a_target_in_flight_looks_after_it() -> None:
    # Given
    post = a_post(PostStatus.CANCELED, (G, C))
    # When
    after = edit(post).after
    # Then
    assert after.status is PostStatus.DRAFT
    assert after.attention_at == NOW + lifecycle.LEASE
    asked = lifecycle.expired(after, now=NOW + lifecycle.LEASE + lifecycle.LEASE)
    assert [question.target_id for question in asked] == [post.targets[0].id]


def test_a_post_that_waits_shows_the_time_it_is_wished_for() -> None:
    # When
    after = edit(a_post(PostStatus.NEEDS_APPROVAL), scheduled_for=AT).after
    # Then
    assert after.scheduled_at == AT
    assert {target.scheduled_for for target in after.targets} == {AT}


def test_a_target_that_stays_takes_over_all_that_is_wanted_of_it() -> None:
    # Given
    post, asset = a_post(PostStatus.DRAFT), an_asset()
    wanted = tuple(
        TargetDraft(
            social_account_id=target.social_account_id,
            caption_override="Mine",
            first_comment="First!",
            platform_options={"altText": "A boat"},
            media_ids=(asset.id,),
        )
        for target in post.targets
    )
    # When
    after = lifecycle.edit(
        post,
        PostDraft(targets=wanted),
        platforms={},
        editor="usr_1",
        role=Role.EDITOR,
        now=NOW,
        assets={asset.id: asset},
    ).after
    # Then
    for target in after.targets:
        assert (target.caption_override, target.first_comment) == ("Mine", "First!")
        assert target.platform_options == {"altText": "A boat"}
        assert target.media_ids == (asset.id,)


def test_a_draft_keeps_the_time_that_an_edit_says_nothing_of() -> None:
    # Given
    post = a_post(PostStatus.DRAFT)
    # When
    after = edit(replace(post, scheduled_at=LATER)).after
    # Then
    assert after.scheduled_at == LATER
