"""Listing posts: who may, in which order, and what cursors carry."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from postbreeze.domain import ids, lifecycle
from postbreeze.domain.access import ApiKey, Role
from postbreeze.domain.changes import change
from postbreeze.domain.documents import post_document
from postbreeze.domain.errors import (
    ForbiddenError,
    NotFoundError,
    UnauthorizedError,
    ValidationError,
)
from postbreeze.domain.listing import UPCOMING_BEGINS
from postbreeze.domain.post import Part, Post, PostStatus, Spot, TargetStatus
from postbreeze.operations import list_posts
from postbreeze.operations.list_posts import (
    LARGEST_PAGE,
    MOST_WORKSPACES,
    ListCommand,
    ListPosts,
    Page,
)
from tests.support.builders import (
    LATER,
    USER_ID,
    WORKSPACE_ID,
    a_key,
    a_member,
    a_post,
    added,
    an_id,
)
from tests.support.fakes import START, World

SECOND = timedelta(seconds=1)
BEFORE = START - timedelta(hours=1)


@dataclass
class Scene:
    """A user with a key, and posts."""

    world: World = field(default_factory=World)
    key: ApiKey = field(default_factory=a_key)

    def __post_init__(self) -> None:
        self.world.workspaces.add_key(self.key)
        self.world.workspaces.put_member(a_member())

    def keep(self, *posts: Post) -> None:
        for post in posts:
            self.world.posts.commit(added(post))

    def cancel(self, post: Post) -> Post:
        now = self.world.clock.advance(SECOND)
        cancellation = lifecycle.cancel(post, actor=USER_ID, now=now)
        self.world.posts.commit(cancellation.change)
        return cancellation.change.after

    def page(self, **wishes: Any) -> Page:
        operation = ListPosts(
            posts=self.world.posts,
            directory=self.world.workspaces,
            together=self.world.together,
            clock=self.world.clock,
        )
        return operation(ListCommand(**{"key_digest": self.key.digest, "limit": 50, **wishes}))

    def pages(self, **wishes: Any) -> list[list[str]]:
        """List all, page by page."""
        pages = [self.page(**wishes)]
        while pages[-1].cursor is not None:
            assert len(pages) < 100
            pages.append(self.page(**wishes, cursor=pages[-1].cursor))
        return [shown(page) for page in pages]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def shown(page: Page) -> list[str]:
    return [post["id"] for post in page.posts]


def names(posts: Sequence[Post]) -> list[str]:
    return [post.id for post in posts]


# Order and pages


def test_upcoming_posts_come_first_then_the_newest(scene: Scene) -> None:
    # Given
    late, soon = (a_post(scheduled_at=LATER + number * SECOND) for number in (2, 1))
    old, young = (a_post(PostStatus.DRAFT, created_at=BEFORE + each * SECOND) for each in (1, 2))
    gone = a_post(PostStatus.CANCELED, created_at=BEFORE)
    scene.keep(late, gone, old, soon, young)
    # When
    page = scene.page()
    # Then
    assert shown(page) == names([soon, late, young, old, gone])
    assert page.cursor is None
    assert page.posts[0] == post_document(soon)


@pytest.mark.parametrize("limit", range(1, 9))
def test_pages_make_up_the_whole(scene: Scene, limit: int) -> None:
    # Given four posts of either part
    upcoming = [a_post(scheduled_at=LATER + number * SECOND) for number in range(4)]
    rest = [a_post(PostStatus.DRAFT, created_at=BEFORE - each * SECOND) for each in range(4)]
    scene.keep(*rest, *upcoming)
    # When
    pages = scene.pages(limit=limit)
    # Then every page but the last is full, and none is empty
    assert [each for page in pages for each in page] == names([*upcoming, *rest])
    assert {len(page) for page in pages[:-1]} <= {limit}
    assert pages[-1]


def test_a_workspace_without_posts_has_one_empty_page(scene: Scene) -> None:
    assert scene.page() == Page(posts=[], cursor=None)


def test_only_posts_of_the_status_are_shown(scene: Scene) -> None:
    # Given
    posts = {status: a_post(status) for status in PostStatus}
    scene.keep(*posts.values())
    # Then
    for status, post in posts.items():
        assert scene.pages(status=status) == [[post.id]]


def test_deleted_posts_are_not_shown(scene: Scene) -> None:
    # Given
    kept, gone = a_post(), a_post(deleted_at=START, status=PostStatus.CANCELED)
    scene.keep(kept, gone)
    # Then
    assert scene.pages() == [[kept.id]]


def test_a_page_that_would_be_too_large_ends_early(scene: Scene) -> None:
    # Given posts of which a dozen make up more than an answer may have
    targets = [TargetStatus.DRAFT] * 35
    large = a_post(PostStatus.DRAFT, targets)
    large = replace(
        large,
        targets=tuple(replace(each, caption_override="x" * 10_000) for each in large.targets),
    )
    posts = [
        replace(large, id=an_id(ids.POST), created_at=BEFORE - number * SECOND)
        for number in range(20)
    ]
    posts = [
        replace(post, targets=tuple(replace(each, id=an_id(ids.TARGET)) for each in post.targets))
        for post in posts
    ]
    scene.keep(*posts)
    # When
    pages = scene.pages()
    # Then
    assert [each for page in pages for each in page] == names(posts)
    assert len(pages) == 2
    assert LARGEST_PAGE // 400_000 <= len(pages[0]) < len(posts)


@pytest.mark.parametrize("character", ['"', "\n", "Ж", "漢", "🙂"])
def test_a_page_stays_below_what_a_function_may_answer(scene: Scene, character: str) -> None:
    # Given posts whose texts grow when they are escaped, once or twice
    scene.keep(*(a_post(PostStatus.DRAFT, caption=character * 90_000) for _ in range(100)))
    # When
    page = scene.page(limit=100)
    # Then the body, escaped as the runtime that escapes most hands it on, is not too long
    body = json.dumps(page.posts, ensure_ascii=False, separators=(",", ":"))
    assert page.posts
    assert len(json.dumps({"body": body})) < 6_291_556


def test_a_post_that_is_larger_than_a_page_is_shown_by_itself(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setattr(list_posts, "LARGEST_PAGE", 10)
    posts = [a_post(scheduled_at=LATER + number * SECOND) for number in range(3)]
    scene.keep(*posts)
    # Then
    assert scene.pages() == [[post.id] for post in posts]


# What happens meanwhile


def test_a_post_that_is_cancelled_after_it_was_shown_is_not_shown_again(scene: Scene) -> None:
    # Given a listing whose first page has shown a post
    first, second = (a_post(scheduled_at=LATER + number * SECOND) for number in (1, 2))
    scene.keep(first, second)
    page = scene.page(limit=1)
    assert shown(page) == [first.id]
    # When that one is cancelled
    scene.cancel(first)
    # Then
    assert shown(scene.page(limit=50, cursor=page.cursor)) == [second.id]


def test_a_post_that_is_cancelled_before_it_was_shown_is_shown_as_it_is(scene: Scene) -> None:
    # Given
    first, second = (a_post(scheduled_at=LATER + number * SECOND) for number in (1, 2))
    draft = a_post(PostStatus.DRAFT, created_at=START + SECOND)
    scene.keep(first, second, draft)
    page = scene.page(limit=1)
    # When
    scene.cancel(second)
    # Then
    following = scene.page(limit=50, cursor=page.cursor)
    assert [(post["id"], post["status"]) for post in following.posts] == [
        (second.id, "CANCELED"),
        (draft.id, "DRAFT"),
    ]


def test_a_draft_that_is_scheduled_meanwhile_keeps_its_spot(scene: Scene) -> None:
    # Given a listing that has shown all upcoming posts
    upcoming, draft = a_post(), a_post(PostStatus.DRAFT)
    scene.keep(upcoming, draft)
    page = scene.page(limit=1)
    # When the draft becomes the first of them
    now = scene.world.clock.advance(SECOND)
    wanted = replace(draft, status=PostStatus.SCHEDULED, scheduled_at=LATER - SECOND)
    scene.world.posts.commit(change(draft, wanted, now=now, actor=USER_ID))
    # Then
    following = scene.page(limit=50, cursor=page.cursor)
    assert [(post["id"], post["status"]) for post in following.posts] == [(draft.id, "SCHEDULED")]
    # And a new listing shows it where it is
    assert scene.pages() == [[draft.id, upcoming.id]]


def test_a_draft_that_is_scheduled_while_its_page_is_read_keeps_its_spot(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a page that shows what is left of the upcoming posts, and then the rest
    upcoming = [a_post(scheduled_at=LATER + number * SECOND) for number in range(2)]
    rest = [a_post(PostStatus.DRAFT, created_at=BEFORE - each * SECOND) for each in range(2)]
    scene.keep(*upcoming, *rest)
    page = scene.page(limit=1)
    listed = scene.world.posts.listed

    def listing(workspace_id: str, after: Spot, limit: int, status: Any = None) -> Any:
        if after.part is Part.REST:
            # Somebody schedules a draft just before the rest is read.
            monkeypatch.undo()
            now = scene.world.clock.advance(SECOND)
            wanted = replace(rest[0], status=PostStatus.SCHEDULED, scheduled_at=LATER - SECOND)
            scene.world.posts.commit(change(rest[0], wanted, now=now, actor=USER_ID))
        return listed(workspace_id, after, limit, status)

    monkeypatch.setattr(scene.world.posts, "listed", listing)
    # When
    following = scene.page(limit=50, cursor=page.cursor)
    # Then
    assert shown(following) == names([upcoming[1], *rest])


def test_a_post_that_an_index_does_not_show_yet_where_it_is_is_shown(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a post that was cancelled just before the listing begins, and an index that is behind
    gone, other = a_post(), a_post()
    scene.keep(gone, other)
    scene.cancel(gone)
    scene.world.clock.advance(timedelta(seconds=9.5))
    listed = scene.world.posts.listed
    monkeypatch.setattr(
        scene.world.posts,
        "listed",
        lambda *given: [spot for spot in listed(*given) if spot.post_id != gone.id],
    )
    # Then
    assert shown(scene.page()) == names([other, gone])


def test_a_listing_that_saw_too_many_moves_goes_on_as_of_the_latest(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a listing in which more posts move than are looked at
    monkeypatch.setattr(list_posts, "MOST_MOVED", 2)
    posts = [a_post(scheduled_at=LATER + number * SECOND) for number in range(6)]
    scene.keep(*posts)
    page = scene.page(limit=1)
    for post in posts[1:4]:
        scene.cancel(post)
    # When
    following = scene.page(limit=50, cursor=page.cursor)
    # Then none is missing: the first to move stands with the rest
    assert sorted(shown(following)) == sorted(names(posts[1:]))
    assert shown(following)[-1] == posts[1].id


def test_of_too_many_moves_the_latest_are_shown_where_they_were(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a listing in which two posts more move than are looked at
    monkeypatch.setattr(list_posts, "MOST_MOVED", 4)
    posts = [
        a_post(scheduled_at=LATER + number * SECOND, created_at=BEFORE - number * SECOND)
        for number in range(8)
    ]
    scene.keep(*posts)
    page = scene.page(limit=1)
    for post in posts[1:7]:
        scene.cancel(post)
    # When
    following = scene.page(limit=50, cursor=page.cursor)
    # Then it goes on as of the earliest of those that are looked at
    unmoved, moved = [*posts[4:7], posts[7]], posts[1:4]
    assert shown(following) == names([*unmoved, *moved])


def test_a_listing_of_what_is_scheduled_shows_a_post_once_however_it_is_moved(
    scene: Scene,
) -> None:
    # Given a listing that has shown the first of three
    posts = [a_post(scheduled_at=LATER + number * SECOND) for number in range(3)]
    scene.keep(*posts)
    page = scene.page(limit=1, status=PostStatus.SCHEDULED)
    assert shown(page) == [posts[0].id]
    # When that one becomes the last, and the last one the first
    now = scene.world.clock.advance(SECOND)
    for post, at in ((posts[0], LATER + 9 * SECOND), (posts[2], LATER - SECOND)):
        wanted = replace(post, scheduled_at=at)
        scene.world.posts.commit(change(post, wanted, now=now, actor=USER_ID))
    # Then
    following = scene.page(limit=50, status=PostStatus.SCHEDULED, cursor=page.cursor)
    assert shown(following) == names(posts[1:])


def test_what_loses_its_status_before_it_was_shown_is_not_shown(scene: Scene) -> None:
    # Given
    posts = [a_post(scheduled_at=LATER + number * SECOND) for number in range(3)]
    scene.keep(*posts)
    page = scene.page(limit=1, status=PostStatus.SCHEDULED)
    # When
    scene.cancel(posts[1])
    # Then
    following = scene.page(limit=50, status=PostStatus.SCHEDULED, cursor=page.cursor)
    assert shown(following) == [posts[2].id]


def test_a_page_has_no_more_than_was_asked_for_however_many_moved(scene: Scene) -> None:
    # Given a listing whose next posts are cancelled, so that the index names those after them
    posts = [a_post(scheduled_at=LATER + number * SECOND) for number in range(5)]
    scene.keep(*posts)
    page = scene.page(limit=1)
    for post in posts[1:4]:
        scene.cancel(post)
    # Then
    following = scene.page(limit=2, cursor=page.cursor)
    assert shown(following) == names(posts[1:3])
    assert shown(scene.page(limit=2, cursor=following.cursor)) == names(posts[3:])


def test_a_page_that_does_not_get_full_ends_early_with_a_cursor(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an index that lists many posts which are deleted by now
    posts = [a_post(scheduled_at=LATER + number * SECOND) for number in range(12)]
    scene.keep(*posts)
    stale = scene.world.posts.listed(WORKSPACE_ID, UPCOMING_BEGINS, 100)
    for post in posts[:-1]:
        canceled = scene.cancel(post)
        now = scene.world.clock.advance(SECOND)
        gone = replace(canceled, deleted_at=now)
        scene.world.posts.commit(change(canceled, gone, now=now, actor=USER_ID))

    def listed(workspace_id: str, after: Any, limit: int, status: Any = None) -> Any:
        return [spot for spot in stale if spot.part is after.part and spot > after][:limit]

    monkeypatch.setattr(scene.world.posts, "listed", listed)
    # When
    pages = scene.pages(limit=2)
    # Then
    assert [each for page in pages for each in page] == [posts[-1].id]
    assert pages[0] == []


# Workspaces and rights


@pytest.mark.parametrize("role", Role)
def test_every_member_may_list(scene: Scene, role: Role) -> None:
    # Given
    scene.world.workspaces.put_member(a_member(role))
    post = a_post()
    scene.keep(post)
    # Then
    assert scene.pages(workspace_id=WORKSPACE_ID) == scene.pages() == [[post.id]]


def test_all_workspaces_of_the_user_are_listed_together(scene: Scene) -> None:
    # Given
    other, foreign = an_id(ids.WORKSPACE), an_id(ids.WORKSPACE)
    scene.world.workspaces.put_member(a_member(workspace_id=other))
    workspaces = [WORKSPACE_ID, other, WORKSPACE_ID, other]
    upcoming = [
        a_post(scheduled_at=LATER + number * SECOND, workspace_id=each)
        for number, each in enumerate(workspaces)
    ]
    rest = [
        a_post(PostStatus.DRAFT, created_at=BEFORE - number * SECOND, workspace_id=each)
        for number, each in enumerate(workspaces)
    ]
    scene.keep(*rest, *upcoming, a_post(workspace_id=foreign))
    # Then
    for limit in (1, 3, 50):
        pages = scene.pages(limit=limit)
        assert [each for page in pages for each in page] == names([*upcoming, *rest])
    assert scene.pages(workspace_id=other) == [names([*upcoming[1::2], *rest[1::2]])]


def test_a_scoped_key_lists_what_it_reaches() -> None:
    # Given
    other = an_id(ids.WORKSPACE)
    scene = Scene(key=a_key(workspace_ids=frozenset({other})))
    scene.world.workspaces.put_member(a_member(workspace_id=other))
    mine = a_post(workspace_id=other)
    scene.keep(a_post(), mine)
    # Then
    assert scene.pages() == [[mine.id]]
    with pytest.raises(ForbiddenError):
        scene.page(workspace_id=WORKSPACE_ID)
    with pytest.raises(ForbiddenError):
        scene.page(workspace_id=an_id(ids.WORKSPACE))


def test_a_workspace_of_others_is_not_there(scene: Scene) -> None:
    with pytest.raises(NotFoundError):
        scene.page(workspace_id=an_id(ids.WORKSPACE))


def test_a_membership_that_ended_shows_nothing_more(scene: Scene) -> None:
    # Given a listing that goes on
    scene.keep(a_post(), a_post())
    page, named = scene.page(limit=1), scene.page(limit=1, workspace_id=WORKSPACE_ID)
    # When
    scene.world.workspaces.remove_member(WORKSPACE_ID, USER_ID)
    # Then
    assert scene.page(cursor=page.cursor) == Page(posts=[], cursor=None)
    with pytest.raises(NotFoundError):
        scene.page(workspace_id=WORKSPACE_ID, cursor=named.cursor)


@pytest.mark.parametrize(
    "changes",
    [{"revoked_at": START}, {"expires_at": START}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_key_that_opens_nothing_lists_nothing(changes: dict[str, Any]) -> None:
    # Given
    scene = Scene(key=a_key(**changes))
    # Then neither is its cursor looked at
    with pytest.raises(UnauthorizedError):
        scene.page(cursor="?")
    assert not scene.world.posts.calls


def test_too_many_workspaces_want_one_to_be_named(scene: Scene) -> None:
    # Given as many as are listed together
    for _ in range(MOST_WORKSPACES - 1):
        scene.world.workspaces.put_member(a_member(workspace_id=an_id(ids.WORKSPACE)))
    assert scene.page().cursor is None
    # When there is one more
    scene.world.workspaces.put_member(a_member(workspace_id=an_id(ids.WORKSPACE)))
    # Then
    with pytest.raises(ValidationError) as refused:
        scene.page()
    assert [detail.path for detail in refused.value.details] == ["query.workspaceId"]
    assert scene.page(workspace_id=WORKSPACE_ID).cursor is None


# Cursors


@pytest.mark.parametrize(
    "wishes", [{"workspace_id": WORKSPACE_ID}, {"status": PostStatus.SCHEDULED}], ids=str
)
def test_a_cursor_is_good_for_its_filters_only(scene: Scene, wishes: dict[str, Any]) -> None:
    # Given
    scene.keep(a_post(), a_post(), a_post())
    cursor = scene.page(limit=1).cursor
    # Then
    assert len(scene.page(limit=2, cursor=cursor).posts) == 2
    with pytest.raises(ValidationError) as refused:
        scene.page(cursor=cursor, **wishes)
    assert [detail.path for detail in refused.value.details] == ["query.cursor"]


def test_a_cursor_is_good_for_its_key_only(scene: Scene) -> None:
    # Given another key of the same user
    scene.keep(a_post(), a_post())
    cursor = scene.page(limit=1).cursor
    other = a_key(cursor_secret=bytes(32))
    scene.world.workspaces.add_key(other)
    # Then
    with pytest.raises(ValidationError):
        scene.page(key_digest=other.digest, cursor=cursor)


# What it costs


def test_a_page_makes_few_calls(scene: Scene) -> None:
    # Given
    scene.keep(*(a_post(scheduled_at=LATER + number * SECOND) for number in range(9)))
    cursor = scene.page(limit=3, workspace_id=WORKSPACE_ID).cursor
    # When
    scene.world.posts.calls.clear()
    scene.page(limit=3, workspace_id=WORKSPACE_ID, cursor=cursor)
    # Then
    assert scene.world.posts.calls == {"listed": 1, "moved": 1, "read_many": 1}


def test_a_first_page_reads_what_is_upcoming_and_the_rest_at_once(scene: Scene) -> None:
    # Given
    scene.keep(a_post(), a_post(PostStatus.DRAFT))
    scene.world.posts.calls.clear()
    # When
    scene.page()
    # Then
    assert scene.world.posts.calls == {"listed": 2, "moved": 1, "read_many": 1}
    # And of what is scheduled nothing else is read
    scene.world.posts.calls.clear()
    scene.page(status=PostStatus.SCHEDULED)
    assert scene.world.posts.calls == {"listed": 1, "moved": 1, "read_many": 1}


def test_posts_that_moved_are_read_for_the_page_that_they_are_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a listing after whose beginning posts far down were cancelled
    posts = [a_post(scheduled_at=LATER + number * SECOND) for number in range(10)]
    scene.keep(*posts)
    cursor = scene.page(limit=3).cursor
    for post in posts[6:9]:
        scene.cancel(post)
    asked: list[str] = []
    read_many = scene.world.posts.read_many

    def reading(post_ids: Sequence[str]) -> Any:
        asked.extend(post_ids)
        return read_many(post_ids)

    monkeypatch.setattr(scene.world.posts, "read_many", reading)
    # When
    scene.page(limit=3, cursor=cursor)
    # Then
    assert sorted(asked) == sorted(names(posts[3:6]))


def test_a_page_of_one_status_asks_for_no_moves(scene: Scene) -> None:
    # Given
    scene.keep(a_post(PostStatus.FAILED))
    scene.world.posts.calls.clear()
    # When
    scene.page(status=PostStatus.FAILED)
    # Then
    assert scene.world.posts.calls == {"listed": 1, "read_many": 1}
