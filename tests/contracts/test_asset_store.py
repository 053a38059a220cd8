"""What every store of assets promises, also to the posts that need them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from postbreeze.adapters.dynamodb import keys
from postbreeze.adapters.dynamodb.items.media import AssetRow
from postbreeze.adapters.dynamodb.media import DynamoAssetStore
from postbreeze.adapters.dynamodb.posts import DynamoPostStore
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.domain import ids
from postbreeze.domain.errors import LostRaceError, UnavailableError
from postbreeze.domain.media import Asset, AssetStatus
from postbreeze.domain.post import Post, PostStatus, TargetStatus, needed_assets
from postbreeze.operations.media.ports import AssetStore
from postbreeze.operations.ports import AssetLostError, PostStore
from tests.support.aws import Aws
from tests.support.builders import (
    WORKSPACE_ID,
    a_post,
    added,
    an_asset,
    an_id,
    changed,
    shown,
)
from tests.support.fakes import START, FakeAssetStore, FakeClock, FakePostStore, FakeWorkspaces
from tests.support.faults import answers_lost


@dataclass
class Stores:
    assets: AssetStore
    posts: PostStore


@pytest.fixture
def stores(aws: Aws | None) -> Stores:
    return stores_on(aws)


def stores_on(aws: Aws | None) -> Stores:
    clock = FakeClock()
    if aws is None:
        fake = FakeAssetStore()
        return Stores(fake, FakePostStore(FakeWorkspaces(), clock, fake))
    tables = aws.tables()
    database = Database(aws.clients.dynamodb())
    return Stores(
        DynamoAssetStore(database, media_table=tables["media"]),
        DynamoPostStore(
            database, posts_table=tables["posts"], media_table=tables["media"], clock=clock
        ),
    )


@pytest.fixture
def assets(stores: Stores) -> AssetStore:
    return stores.assets


def moved(store: AssetStore, asset: Asset, **changes: object) -> Asset:
    after = replace(asset, **changes, revision=asset.revision + 1)  # type: ignore[arg-type]  # fields by name
    store.replace(after, expected_revision=asset.revision)
    return after


# Assets


@pytest.mark.parametrize("status", AssetStatus)
def test_every_field_survives(assets: AssetStore, status: AssetStatus) -> None:
    # Given one with everything, and one with as little as can be
    full = an_asset(
        status=status,
        content_type="video/mp4",
        size_bytes=2**30,
        duration_seconds=12.5,
        created_at=START + timedelta(milliseconds=7),
        public_url="https://bucket.example/uploads/möwe",
        failure_reason="Too large.",
        updated_at=START + timedelta(days=1),
    )
    bare = an_asset(status=status, size_bytes=None, alt_text=None, filename=None)
    # When they are added, one of them twice as after a lost answer
    for each in (full, bare, bare):
        assets.add(each)
    # Then
    assert assets.asset(full.id) == full
    assert assets.assets([full.id, bare.id, bare.id, an_id(ids.MEDIA)]) == {
        full.id: full,
        bare.id: bare,
    }
    assert assets.asset(an_id(ids.MEDIA)) is None


def test_an_asset_is_replaced_as_long_as_it_stands(assets: AssetStore) -> None:
    # Given
    asset = an_asset(status=AssetStatus.PENDING)
    assets.add(asset)
    # When
    ready = moved(assets, asset, status=AssetStatus.READY)
    # Then
    assert assets.asset(asset.id) == ready
    for late in (asset, an_asset()):
        with pytest.raises(LostRaceError):
            moved(assets, late, alt_text="late")
    assert assets.asset(asset.id) == ready


def test_an_asset_is_removed(assets: AssetStore) -> None:
    asset = an_asset()
    assets.add(asset)
    for _ in range(2):
        assets.remove(asset.id)
    assert assets.asset(asset.id) is None
    assert assets.page(WORKSPACE_ID, limit=5, before=None).assets == ()


def test_no_more_than_a_hundred_are_read_together(assets: AssetStore) -> None:
    with pytest.raises(ValueError, match="at most 100"):
        assets.assets([an_id(ids.MEDIA) for _ in range(101)])


def test_a_workspaces_assets_are_listed_page_by_page(assets: AssetStore) -> None:
    # Given assets of two workspaces
    mine = [an_asset() for _ in range(5)]
    for asset in (*mine, an_asset(workspace_id=an_id(ids.WORKSPACE))):
        assets.add(asset)
    mine.reverse()
    # When / Then
    first = assets.page(WORKSPACE_ID, limit=2, before=None)
    assert (first.assets, first.next_before) == (tuple(mine[:2]), mine[1].id)
    second = assets.page(WORKSPACE_ID, limit=2, before=mine[1].id)
    assert (second.assets, second.next_before) == (tuple(mine[2:4]), mine[3].id)
    last = assets.page(WORKSPACE_ID, limit=2, before=mine[3].id)
    assert (last.assets, last.next_before) == (tuple(mine[4:]), None)
    exact = assets.page(WORKSPACE_ID, limit=5, before=None)
    assert (exact.assets, exact.next_before) == (tuple(mine), None)
    assert assets.page(WORKSPACE_ID, limit=5, before=mine[4].id).assets == ()


def test_a_listing_shows_assets_as_they_are(assets: AssetStore) -> None:
    asset = an_asset()
    assets.add(asset)
    ready = moved(assets, asset, alt_text="new")
    assert assets.page(WORKSPACE_ID, limit=1, before=None).assets == (ready,)


# What posts need


def going_out(*assets: Asset, **changes: Any) -> Post:
    return a_post(media=shown(*assets), **changes)


def test_a_post_that_comes_to_need_an_asset_is_found_by_it(stores: Stores) -> None:
    # Given
    asset, other = an_asset(), an_asset()
    for each in (asset, other):
        stores.assets.add(each)
    posts = [going_out(asset, other), going_out(asset)]
    # When
    for post in posts:
        stores.posts.commit(added(post))
    # Then
    naming = sorted(post.id for post in posts)
    assert stores.assets.posts_naming(asset.id, limit=5, after=None) == naming
    assert stores.assets.posts_naming(asset.id, limit=1, after=None) == naming[:1]
    assert stores.assets.posts_naming(asset.id, limit=5, after=naming[0]) == naming[1:]
    assert stores.assets.posts_naming(other.id, limit=5, after=None) == [posts[0].id]
    # And it is forgotten when that is asked for
    for _ in range(2):
        stores.assets.forget(asset.id, naming[:1])
    assert stores.assets.posts_naming(asset.id, limit=5, after=None) == naming[1:]
    assert stores.assets.asset(asset.id) == asset


@pytest.mark.parametrize(
    "asset",
    [
        *(an_asset(status=status) for status in AssetStatus if status is not AssetStatus.READY),
        an_asset(workspace_id=an_id(ids.WORKSPACE)),
        None,
    ],
    ids=lambda asset: "unknown" if asset is None else f"{asset.status}",
)
def test_a_post_cannot_come_to_need_what_is_not_ready(stores: Stores, asset: Asset | None) -> None:
    # Given
    if asset is not None:
        stores.assets.add(asset)
    post = going_out(an_asset() if asset is None else asset)
    # When / Then
    with pytest.raises(AssetLostError):
        stores.posts.commit(added(post))
    assert stores.posts.read(post.id) is None


@pytest.mark.parametrize("status", [PostStatus.DRAFT, PostStatus.CANCELED, PostStatus.FAILED])
def test_a_post_that_does_not_go_out_needs_nothing(stores: Stores, status: PostStatus) -> None:
    # Given
    asset = an_asset(status=AssetStatus.DELETING)
    stores.assets.add(asset)
    # When
    post = going_out(asset, status=status)
    stores.posts.commit(added(post))
    # Then
    assert stores.posts.read(post.id) == post
    assert stores.assets.posts_naming(asset.id, limit=5, after=None) == []
    # And when it is to go out after all
    with pytest.raises(AssetLostError):
        stores.posts.commit(changed(post, status=PostStatus.SCHEDULED))
    assert stores.posts.read(post.id) == post


def test_a_post_that_needs_an_asset_already_goes_on(stores: Stores) -> None:
    # Given a scheduled post, and somebody who tries to delete its asset
    asset = an_asset()
    stores.assets.add(asset)
    post = going_out(asset)
    stores.posts.commit(added(post))
    moved(stores.assets, asset, status=AssetStatus.DELETING)
    # When it is published
    change = changed(post, status=PostStatus.PUBLISHING)
    stores.posts.commit(change)
    # Then
    assert stores.posts.read(post.id) == change.after


def test_a_lost_race_comes_before_a_lost_asset(stores: Stores) -> None:
    # Given a post and an asset that both have changed
    asset = an_asset(status=AssetStatus.DELETED)
    stores.assets.add(asset)
    post = going_out(asset, status=PostStatus.DRAFT)
    stores.posts.commit(added(post))
    stores.posts.commit(changed(post, caption="Other"))
    # When / Then
    with pytest.raises(LostRaceError):
        stores.posts.commit(changed(post, status=PostStatus.SCHEDULED))


def test_the_largest_post_fits_into_one_transaction(stores: Stores) -> None:
    # Given as many targets and assets as a post can have
    assets = [an_asset() for _ in range(35)]
    for asset in assets:
        stores.assets.add(asset)
    post = going_out(*assets, targets=[TargetStatus.SCHEDULED] * 50)
    # When
    stores.posts.commit(added(post))
    # Then
    read = stores.posts.read(post.id)
    assert read is not None
    assert {each.media_asset_id for each in read.media} == {asset.id for asset in assets}


def test_a_store_without_a_media_table_cannot_make_a_post_need_assets(moto: Aws) -> None:
    store = DynamoPostStore(
        Database(moto.clients.dynamodb()),
        posts_table=moto.tables()["posts"],
        clock=FakeClock(),
    )
    with pytest.raises(RuntimeError, match="media table"):
        store.commit(added(going_out(an_asset())))


@pytest.mark.parametrize(
    ("status", "expires_at"),
    [
        (AssetStatus.PENDING, int((START + timedelta(hours=24)).timestamp())),
        (AssetStatus.FAILED, int((START + timedelta(hours=24)).timestamp())),
        (AssetStatus.READY, None),
        (AssetStatus.DELETED, None),
    ],
)
def test_only_what_never_came_or_cannot_be_taken_expires(
    moto: Aws, status: AssetStatus, expires_at: int | None
) -> None:
    # Given
    table = moto.tables()["media"]
    database = Database(moto.clients.dynamodb())
    store = DynamoAssetStore(database, media_table=table)
    asset = an_asset(status=AssetStatus.PENDING)
    store.add(asset)
    # When
    moved(store, asset, status=status)
    # Then
    row = database.table(table).get(AssetRow, keys.asset(asset.id), keys.ASSET)
    assert row is not None
    assert row.ttl == expires_at


# Answers lost, and races, on the engine


def test_a_need_whose_answers_are_lost_is_written_once(engine: Aws) -> None:
    # Given
    stores = stores_on(engine)
    asset = an_asset()
    stores.assets.add(asset)
    post = going_out(asset)
    # When the answers to the note, and to the first try of the commit, are lost
    with answers_lost(engine.clients.dynamodb(), "TransactWriteItems", times=2) as lost:
        stores.posts.commit(added(post))
    # Then
    assert len(lost) == 2
    assert stores.posts.read(post.id) == post
    assert stores.assets.posts_naming(asset.id, limit=5, after=None) == [post.id]


def test_a_change_whose_answer_is_lost_looks_like_a_lost_race(engine: Aws) -> None:
    # Given
    stores = stores_on(engine)
    asset = an_asset()
    stores.assets.add(asset)
    # When
    with (
        answers_lost(engine.clients.dynamodb(), "PutItem", times=1),
        pytest.raises(LostRaceError),
    ):
        moved(stores.assets, asset, alt_text="new")
    # Then reading tells
    found = stores.assets.asset(asset.id)
    assert found is not None
    assert (found.alt_text, found.revision) == ("new", 2)


@pytest.mark.parametrize("number", range(5))
def test_who_deletes_and_who_schedules_never_both_get_their_way(engine: Aws, number: int) -> None:
    # Given a draft that shows an asset
    stores = stores_on(engine)
    asset = an_asset()
    stores.assets.add(asset)
    post = going_out(asset, status=PostStatus.DRAFT)
    stores.posts.commit(added(post))
    start = threading.Barrier(2)

    def schedule() -> bool:
        start.wait()
        try:
            stores.posts.commit(changed(post, status=PostStatus.SCHEDULED))
        except AssetLostError:
            return False
        return True

    def delete() -> bool:
        start.wait()
        try:
            deleting = moved(stores.assets, asset, status=AssetStatus.DELETING)
            naming = stores.assets.posts_naming(asset.id, limit=5, after=None)
            if any(
                asset.id in needed_assets(each) for each in stores.posts.read_many(naming).values()
            ):
                return False
            moved(stores.assets, deleting, status=AssetStatus.DELETED)
        except UnavailableError:
            return False
        return True

    # When both happen at once
    with ThreadPoolExecutor(2) as pool:
        scheduled, deleted = pool.submit(schedule), pool.submit(delete)
        outcome = (scheduled.result(), deleted.result())
    # Then
    assert outcome != (True, True)
