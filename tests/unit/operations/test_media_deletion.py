"""Deleting an asset: never what a post that is still to go out needs, whatever happens when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from postbreeze.domain import ids
from postbreeze.domain.errors import (
    ContendedError,
    LostRaceError,
    MediaInUseError,
    NotFoundError,
    PostbreezeError,
    UnavailableError,
    ValidationError,
)
from postbreeze.domain.media import Asset, AssetStatus
from postbreeze.domain.post import Post, PostStatus
from postbreeze.operations.media.remove import POSTS_AT_ONCE
from tests.support.builders import an_id
from tests.support.library import Desk

CALLS = (
    "directory.admit",
    "assets.asset",
    "directory.member",
    "assets.replace",
    "assets.posts_naming",
    "posts.read_many",
    "storage.delete",
    "assets.forget",
    "assets.remove",
)
"""What a deletion does."""


@pytest.fixture
def desk() -> Desk:
    return Desk()


def with_asset(desk: Desk, asset: Asset, *, scheduled: bool = True) -> Post:
    """Create a post that shows an asset."""
    core = desk.core
    at = desk.clock.at + timedelta(hours=1) if scheduled else None
    return core.created(1, media_ids=(asset.id,), scheduled_for=at)


def schedule(desk: Desk, post: Post) -> None:
    desk.core.schedule(post.id, desk.clock.at + timedelta(hours=1))


def is_gone(desk: Desk, asset: Asset) -> bool:
    return desk.assets.asset(asset.id) is None and asset.storage_key not in desk.storage.objects


def test_an_asset_that_no_post_needs_is_deleted(desk: Desk) -> None:
    # Given an asset of a draft and of a post that was cancelled
    asset = desk.ready()
    with_asset(desk, asset, scheduled=False)
    desk.core.cancel(with_asset(desk, asset).id)
    # When
    answer = desk.delete_asset("owner", asset.id)
    # Then
    assert (answer.status, answer.body["status"]) == (200, "DELETED")
    assert answer.body["id"] == asset.id
    assert is_gone(desk, asset)
    assert desk.assets.naming == {asset.id: set()}
    # And a repeat finds nothing
    with pytest.raises(NotFoundError):
        desk.delete_asset("owner", asset.id)


@pytest.mark.parametrize("came", [False, True])
def test_an_upload_is_deleted_whether_it_came_or_not(desk: Desk, came: bool) -> None:
    asset_id = desk.presigned()
    if came:
        desk.arrive(asset_id)
    asset = desk.asset(asset_id)
    assert desk.delete_asset("owner", asset_id).body["status"] == "DELETED"
    assert is_gone(desk, asset)


@pytest.mark.parametrize(
    "status", [PostStatus.SCHEDULED, PostStatus.NEEDS_APPROVAL, PostStatus.PUBLISHING]
)
def test_an_asset_that_a_post_needs_stays(desk: Desk, status: PostStatus) -> None:
    # Given
    asset, other = desk.ready(), desk.ready()
    with_asset(desk, other)
    if status is PostStatus.NEEDS_APPROVAL:
        post = desk.core.created(1, media_ids=(asset.id,), requires_approval=True)
    else:
        post = with_asset(desk, asset)
    if status is PostStatus.PUBLISHING:
        desk.clock.advance(hours=1)
        desk.core.start(post.id, f"{post.id}-1")
    # When
    with pytest.raises(MediaInUseError) as raised:
        desk.delete_asset("owner", asset.id)
    # Then
    assert raised.value.posts == (post.id,)
    assert desk.core.post(post.id).status is status
    assert desk.read_asset("owner", asset.id).body["status"] == "READY"
    desk.check()


def test_an_asset_that_stays_says_that_it_was_touched(desk: Desk) -> None:
    # Given
    asset = desk.ready()
    with_asset(desk, asset)
    now = desk.clock.advance(minutes=1)
    # When
    with pytest.raises(MediaInUseError):
        desk.delete_asset("owner", asset.id)
    # Then it has been DELETING, and is READY again
    assert desk.asset(asset.id) == replace(asset, updated_at=now, revision=asset.revision + 2)


def test_it_is_found_among_many_that_do_not(desk: Desk) -> None:
    # Given more posts than are looked at together, the last of which is scheduled
    asset = desk.ready()
    for _ in range(POSTS_AT_ONCE + 1):
        desk.core.cancel(with_asset(desk, asset).id)
    post = with_asset(desk, asset)
    # When / Then
    with pytest.raises(MediaInUseError) as raised:
        desk.delete_asset("owner", asset.id)
    assert raised.value.posts == (post.id,)
    # And when that one is cancelled, too
    desk.core.cancel(post.id)
    desk.delete_asset("owner", asset.id)
    assert is_gone(desk, asset)


@pytest.mark.parametrize("is_needed", [False, True])
def test_a_deletion_that_dies_anywhere_is_gone_on_with(desk: Desk, is_needed: bool) -> None:
    for calls in range(25):
        # Given
        asset = desk.ready()
        post = with_asset(desk, asset)
        if not is_needed:
            desk.core.cancel(post.id)
        # When it dies after so many calls
        died = desk.dies_after(
            calls, partial(refused, MediaInUseError, partial(desk.delete_asset, "owner", asset.id))
        )
        # Then nothing is gone that is needed, and the repeat comes to its end
        desk.check()
        if is_needed:
            with pytest.raises(MediaInUseError):
                desk.delete_asset("owner", asset.id)
            assert desk.asset(asset.id).status is AssetStatus.READY
        else:
            refused(NotFoundError, partial(desk.delete_asset, "owner", asset.id))
            assert is_gone(desk, asset)
        desk.check()
        if not died:
            assert calls > 5
            return
    pytest.fail("it never got to its end")


def refused(error: type[PostbreezeError], call: Callable[[], object]) -> bool:
    """Make a call that may be refused; tell whether it was."""
    try:
        call()
    except error:
        return True
    return False


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("happens", ["fails", "fails_after"])
def test_a_deletion_goes_on_after_an_outage(desk: Desk, call: str, happens: str) -> None:
    # Given
    asset = desk.ready()
    desk.core.cancel(with_asset(desk, asset).id)
    getattr(desk.core, happens)(call, UnavailableError("down"))
    # When
    with pytest.raises(UnavailableError):
        desk.delete_asset("owner", asset.id)
    # Then
    refused(NotFoundError, partial(desk.delete_asset, "owner", asset.id))
    assert is_gone(desk, asset)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("nth", [0, 1])
def test_a_post_scheduled_meanwhile_has_its_media_or_is_refused(
    desk: Desk, call: str, nth: int
) -> None:
    # Given a draft, and somebody who schedules it in the middle of the deletion
    asset = desk.ready()
    desk.core.cancel(with_asset(desk, asset).id)
    draft = with_asset(desk, asset, scheduled=False)
    was_refused: list[bool] = []
    for _ in range(nth):
        desk.core.before(call, lambda: None)
    desk.core.before(
        call,
        lambda: was_refused.append(refused(ValidationError, partial(schedule, desk, draft))),
    )
    # When
    kept = refused(MediaInUseError, partial(desk.delete_asset, "owner", asset.id))
    # Then exactly one of them got what it wanted
    desk.check()
    if was_refused:
        assert kept is not was_refused[0]
        assert is_gone(desk, asset) is was_refused[0]


@pytest.mark.parametrize("call", ["posts.read", "posts.commit", "directory.member_and_accounts"])
def test_a_deletion_meanwhile_goes_through_or_is_refused(desk: Desk, call: str) -> None:
    # Given a draft, and somebody who deletes its asset while it is scheduled
    asset = desk.ready()
    draft = with_asset(desk, asset, scheduled=False)
    was_kept: list[bool] = []
    desk.core.before(
        call,
        lambda: was_kept.append(
            refused(MediaInUseError, partial(desk.delete_asset, "owner", asset.id))
        ),
    )
    # When
    was_refused = refused(ValidationError, partial(schedule, desk, draft))
    # Then
    assert was_kept
    assert was_kept[0] is not was_refused
    desk.check()


def test_a_post_created_meanwhile_is_told_what_it_lacks(desk: Desk) -> None:
    # Given a deletion between the look at the asset and the commit
    asset = desk.ready()
    desk.core.before("posts.commit", partial(desk.delete_asset, "owner", asset.id))
    # When
    with pytest.raises(ValidationError) as raised:
        with_asset(desk, asset)
    # Then
    assert [detail.path for detail in raised.value.details] == ["mediaIds.0"]
    assert is_gone(desk, asset)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("is_needed", [False, True])
def test_two_deletions_do_not_get_in_each_others_way(
    desk: Desk, call: str, is_needed: bool
) -> None:
    # Given
    asset = desk.ready()
    post = with_asset(desk, asset)
    if not is_needed:
        desk.core.cancel(post.id)
    delete = partial(desk.delete_asset, "owner", asset.id)
    desk.core.before(call, partial(refused, PostbreezeError, delete))
    # When
    refused(PostbreezeError, delete)
    # Then
    desk.check()
    assert is_gone(desk, asset) is not is_needed


def test_a_slow_deletion_takes_nothing_that_came_to_be_needed_again(desk: Desk) -> None:
    # Given a deletion that has found nobody who needs the asset
    asset = desk.ready()
    first, second = (with_asset(desk, asset, scheduled=False) for _ in range(2))

    def meanwhile() -> None:
        # And another one, which found a post that does, and so put the asset back
        ready = desk.asset(asset.id)
        assert ready.status is AssetStatus.DELETING
        desk.core.world.assets.replace(
            _moved(ready, AssetStatus.READY), expected_revision=ready.revision
        )
        # So that a post can be scheduled, and a third deletion begins
        schedule(desk, first)
        schedule(desk, second)
        ready = desk.asset(asset.id)
        desk.core.world.assets.replace(
            _moved(ready, AssetStatus.DELETING), expected_revision=ready.revision
        )

    desk.core.before("assets.replace", lambda: None)
    desk.core.before("assets.replace", meanwhile)
    # When
    with pytest.raises(MediaInUseError):
        desk.delete_asset("owner", asset.id)
    # Then
    desk.check()
    assert desk.asset(asset.id).status is AssetStatus.READY


def _moved(asset: Asset, status: AssetStatus) -> Asset:
    return replace(asset, status=status, revision=asset.revision + 1)


def test_a_deletion_gives_up_at_last(desk: Desk) -> None:
    asset = desk.ready()
    desk.core.fails("assets.replace", *[LostRaceError("again")] * 8)
    with pytest.raises(ContendedError):
        desk.delete_asset("owner", asset.id)
    assert desk.asset(asset.id) == asset


def test_what_is_unknown_or_never_came_is_not_there(desk: Desk) -> None:
    asset_id = desk.presigned()
    desk.clock.advance(days=1)
    for unknown in (asset_id, an_id(ids.MEDIA)):
        with pytest.raises(NotFoundError):
            desk.delete_asset("owner", unknown)


def test_a_note_of_a_post_that_never_was_is_no_obstacle(desk: Desk) -> None:
    asset = desk.ready()
    desk.assets.note(asset.id, an_id(ids.POST))
    desk.delete_asset("owner", asset.id)
    assert is_gone(desk, asset)
