"""Editing posts as clients do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from postbreeze.domain.errors import (
    PlatformRuleError,
    PostNotEditableError,
    ValidationError,
)
from postbreeze.domain.post import (
    AccountStatus,
    MediaDraft,
    PostStatus,
    TargetDraft,
    TargetStatus,
)
from postbreeze.operations.edit import MOST_ROWS
from postbreeze.operations.fitness import LARGEST_DOCUMENT
from tests.support.core import A_SECOND, AN_HOUR, OTHER_WORKSPACE, Core, numbered
from tests.support.library import Desk
from tests.support.platforms import Accident


@pytest.fixture
def core() -> Core:
    return Core()


def targets_on(*numbers: int) -> tuple[TargetDraft, ...]:
    return tuple(TargetDraft(social_account_id=numbered("soc", each)) for each in numbers)


def test_nothing_goes_out_with_the_old_content_or_to_an_account_that_was_left_out(
    core: Core,
) -> None:
    # Given
    post = core.created(2)
    draft = core.a_draft(targets_of=targets_on(21, 22), caption="New")
    # When
    body = core.edit(post.id, draft).body
    # Then
    assert [target["socialAccountId"] for target in body["targets"]] == [
        numbered("soc", 21),
        numbered("soc", 22),
    ]
    assert body["targets"][0]["id"] == post.targets[1].id
    assert body["version"] > post.version
    assert core.start(post.id, f"{post.id}-1") is False
    core.drain()
    core.check()
    assert [public.text for public in core.platform.posts.values()] == ["New", "New"]
    assert {public.account_id for public in core.platform.posts.values()} == {
        numbered("soc", 21),
        numbered("soc", 22),
    }
    assert core.events(post.id) == [
        "post.created", "post.scheduled", "post.rescheduled", "post.published"
    ]  # fmt: skip


def test_an_edit_while_the_fire_comes_is_decided_by_who_is_first(core: Core) -> None:
    # Given
    post = core.created(1)
    core.advance(AN_HOUR)
    core.before("posts.commit", lambda: core.start(post.id, f"{post.id}-1"))
    # When / Then
    with pytest.raises(PostNotEditableError) as refused:
        core.edit(post.id, core.a_draft(1, caption="New"))
    assert refused.value.status == "PUBLISHING"
    core.drain()
    core.check()
    assert [public.text for public in core.platform.posts.values()] == ["Hello"]


def test_what_was_cancelled_becomes_a_draft_and_does_not_go_out(core: Core) -> None:
    # Given
    post = core.created()
    core.cancel(post.id)
    # When
    body = core.edit(post.id, core.a_draft(scheduled_for=None)).body
    # Then
    assert (body["status"], body["canceledAt"], body["cancelReason"]) == ("DRAFT", None, None)
    core.drain()
    core.check()
    assert core.platform.attempts.total() == 0


def test_one_target_can_never_go_out_twice_by_leaving_it_out_and_listing_it_again(
    core: Core,
) -> None:
    # Given a target that is public, but nobody was told
    post = core.created(1)
    core.advance(AN_HOUR)
    core.platform.publish_accidents.append(Accident.LOST_ANSWER)
    core.fire_due()
    core.platform.passwords[numbered("soc", 20)] = "changed"
    core.before(
        "platform.prepare", lambda: core.platform.passwords.update({numbered("soc", 20): "right"})
    )
    core.before(
        "platform.find", lambda: core.platform.passwords.update({numbered("soc", 20): "changed"})
    )
    core.drain_messages()
    [target] = core.post(post.id).targets
    assert (target.status, target.error_code) == (TargetStatus.FAILED, "PUBLISH_OUTCOME_UNKNOWN")
    # When
    core.edit(post.id, core.a_draft(targets_of=targets_on(21), scheduled_for=None))
    core.platform.passwords[numbered("soc", 20)] = "right"
    core.edit(post.id, core.a_draft(targets_of=targets_on(20, 21)))
    core.drain()
    # Then
    core.check()
    assert core.platform.publishes == {target.id: 1, core.post(post.id).targets[1].id: 1}
    assert core.post(post.id).status is PostStatus.PUBLISHED


# What is checked


@pytest.mark.parametrize(
    ("is_flat", "path"), [(True, "platforms.{}.accountId"), (False, "targets.{}.socialAccountId")]
)
def test_every_account_that_cannot_be_used_is_told(core: Core, is_flat: bool, path: str) -> None:
    # Given
    post = core.created()
    core.add_account(30, workspace=OTHER_WORKSPACE)
    core.add_account(31, status=AccountStatus.TOKEN_EXPIRED)
    draft = core.a_draft(targets_of=targets_on(20, 30, 31, 20), flat_shape=is_flat)
    # When / Then
    with pytest.raises(ValidationError) as refused:
        core.edit(post.id, draft)
    assert [detail.path for detail in refused.value.details] == [
        path.format(index) for index in (1, 2, 3)
    ]
    assert core.post(post.id) == post


@pytest.mark.parametrize("late", [0 * A_SECOND, AN_HOUR])
def test_a_time_that_is_past_is_refused(core: Core, late: Any) -> None:
    post = core.created()
    with pytest.raises(ValidationError):
        core.edit(post.id, core.a_draft(scheduled_for=core.clock.at - late))
    assert core.post(post.id) == post


@pytest.mark.parametrize("caption", ["a" * 301, None])
def test_platforms_must_take_it_with_the_caption_that_it_keeps(
    core: Core, caption: str | None
) -> None:
    # Given
    post = core.created()
    if caption is None:
        core.posts._posts[post.id] = replace(core.posts._posts[post.id], caption="a" * 301)
    before = core.post(post.id)
    # When / Then
    with pytest.raises(PlatformRuleError) as refused:
        core.edit(post.id, core.a_draft(caption=caption))
    assert {detail.path for detail in refused.value.details} == {"caption"}
    assert core.post(post.id) == before


def test_a_post_that_would_be_too_large_is_refused(core: Core) -> None:
    post = core.created()
    picture = MediaDraft(url="https://a", kind="IMAGE", alt_text="x" * LARGEST_DOCUMENT)
    with pytest.raises(ValidationError) as refused:
        core.edit(post.id, core.a_draft(media=(picture,)))
    assert [detail.path for detail in refused.value.details] == ["body"]
    assert core.post(post.id) == post


@pytest.mark.parametrize(("is_flat", "path"), [(True, "platforms"), (False, "targets")])
def test_an_edit_has_room_in_one_transaction_or_is_refused(
    core: Core, is_flat: bool, path: str
) -> None:
    # Given as many targets as a post can have
    for number in range(100, 200):
        core.add_account(number)
    post = core.created(targets_of=targets_on(*range(100, 150)))
    # When / Then
    with pytest.raises(ValidationError) as refused:
        core.edit(
            post.id,
            core.a_draft(targets_of=targets_on(*range(150, 198)), flat_shape=is_flat),
        )
    assert [detail.path for detail in refused.value.details] == [path]
    assert core.post(post.id) == post
    # And one less fits
    core.edit(post.id, core.a_draft(targets_of=targets_on(*range(150, 197))))
    change = core.changes[-2]
    assert len(change.writes) + len(change.removed) == MOST_ROWS
    core.check(at_rest=False)


def test_all_that_an_edit_concerns_has_to_have_room(core: Core) -> None:
    # Given a draft, two of whose fifty targets stay as they are
    for number in range(100, 200):
        core.add_account(number)
    draft = core.created(targets_of=targets_on(*range(100, 150)), scheduled_for=None)
    wanted = targets_on(100, 101, *range(150, 198))
    # When / Then
    with pytest.raises(ValidationError):
        core.edit(draft.id, core.a_draft(targets_of=wanted, scheduled_for=None))
    # Given a scheduled post, for which the media have to be there too
    asset = Desk(core).ready()
    post = core.created(targets_of=targets_on(*range(100, 150)))
    wanted = targets_on(*range(150, 197))
    # When / Then
    with pytest.raises(ValidationError):
        core.edit(post.id, core.a_draft(targets_of=wanted, media_ids=(asset.id,)))
    core.edit(post.id, core.a_draft(targets_of=wanted))


def test_a_caption_that_an_edit_does_not_name_stays(core: Core) -> None:
    # Given
    post = core.created(2)
    # When
    body = core.edit(post.id, core.a_draft(2, caption=None)).body
    # Then
    assert body["caption"] == post.caption


def test_a_post_that_cannot_be_edited_is_told_so_before_anything_is_said_of_the_draft(
    core: Core,
) -> None:
    # Given a published post, and a text that is too long for its platform
    post = core.created()
    core.advance(AN_HOUR)
    core.drain()
    # When / Then
    with pytest.raises(PostNotEditableError):
        core.edit(post.id, core.a_draft(2, caption="a" * 301))


def test_a_caption_that_an_edit_keeps_is_held_against_the_rules_too(core: Core) -> None:
    # Given a text that has become too long since, by a stricter rule
    post = core.created()
    core.posts._posts[post.id] = replace(core.posts._posts[post.id], caption="a" * 301)
    # When / Then
    with pytest.raises(PlatformRuleError):
        core.edit(post.id, core.a_draft(2, caption=None))


def test_a_post_gets_assets_of_the_library_by_an_edit(core: Core) -> None:
    # Given
    post, asset = core.created(2), Desk(core).ready()
    # When
    body = core.edit(post.id, core.a_draft(2, media_ids=(asset.id,))).body
    # Then
    assert [medium["mediaAssetId"] for medium in body["media"]] == [asset.id]
