"""A listing shows every post exactly once, whatever happens to posts between its pages.

Its store is one whose indexes may be behind: in every page they may still show the posts as they
were when the page before was read. The model is a set of ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from postbreeze.domain.changes import Change, change
from postbreeze.domain.listing import MOST_FORMER_SPOTS, spot_at, spot_of
from postbreeze.domain.post import Post, PostStatus, Spot
from postbreeze.operations.list_posts import ListCommand, ListPosts
from tests.support.builders import USER_ID, WORKSPACE_ID, a_key, a_member, a_post, added, an_id
from tests.support.fakes import START, FakePostStore, FakeWorkspaces, World

OTHER_WORKSPACE = an_id("ws")
RESTING = sorted(set(PostStatus) - {PostStatus.SCHEDULED})
SECOND = timedelta(seconds=1)

numbers = st.integers(0, 30)
moves = st.one_of(
    st.tuples(st.just("create"), numbers, st.sampled_from(PostStatus)),
    st.tuples(st.just("move"), numbers, st.sampled_from(RESTING)),
    st.tuples(st.just("schedule"), numbers, numbers),
    st.tuples(st.just("delete"), numbers, st.none()),
)


class LaggingStore(FakePostStore):
    """A post store whose indexes may show what was, one by one."""

    def __init__(self, workspaces: FakeWorkspaces, world: World) -> None:
        super().__init__(workspaces, world.clock)
        self.past: dict[str, Post] = {}
        self.is_behind = False

    def listed(
        self, workspace_id: str, after: Spot, limit: int, status: PostStatus | None = None
    ) -> Sequence[Spot]:
        if not self.is_behind:
            return super().listed(workspace_id, after, limit, status)
        now, self._posts = self._posts, self.past
        try:
            return super().listed(workspace_id, after, limit, status)
        finally:
            self._posts = now


class Listing:
    """Posts, what happens to them, and a client that lists them."""

    def __init__(self) -> None:
        self.world = World()
        self.store = LaggingStore(self.world.workspaces, self.world)
        self.posts: list[str] = []
        self.unsteady: set[str] = set()
        self.key = a_key()
        self.world.workspaces.add_key(self.key)
        for workspace_id in (WORKSPACE_ID, OTHER_WORKSPACE):
            self.world.workspaces.put_member(a_member(workspace_id=workspace_id))
        self.list = ListPosts(
            posts=self.store,
            directory=self.world.workspaces,
            together=self.world.together,
            clock=self.world.clock,
        )

    def create(self, number: int, status: PostStatus) -> None:
        now = self.world.clock.advance(SECOND)
        post = a_post(
            status,
            scheduled_at=START + timedelta(days=1, minutes=number),
            created_at=now,
            workspace_id=OTHER_WORKSPACE if number % 3 == 0 else WORKSPACE_ID,
        )
        self.store.commit(added(post))
        self.posts.append(post.id)

    def happen(self, what: str, number: int, other: object) -> None:
        """Let one thing happen, each at a moment of its own."""
        if what == "create":
            assert isinstance(other, PostStatus)
            self.create(number, other)
            return
        now = self.world.clock.advance(SECOND)
        post = self.post(number)
        if post is None:
            return
        if what == "move":
            assert isinstance(other, PostStatus)
            after = replace(post, status=other)
        elif what == "schedule":
            assert isinstance(other, int)
            at = START + timedelta(days=1, minutes=other)
            after = replace(post, status=PostStatus.SCHEDULED, scheduled_at=at)
        else:
            after = replace(post, deleted_at=now)
        if after.status is not post.status:
            self.unsteady.add(post.id)
        self.commit(change(post, after, now=now, actor=USER_ID))

    def post(self, number: int) -> Post | None:
        if not self.posts:
            return None
        post = self.store.read(self.posts[number % len(self.posts)])
        return None if post is None or post.deleted_at is not None else post

    def commit(self, wanted: Change) -> None:
        if not wanted.is_empty:
            self.store.commit(wanted)

    def standing(self, workspace_id: str | None, status: PostStatus | None) -> set[str]:
        """Return the posts that such a listing is about."""
        posts = (self.store.read(post_id) for post_id in self.posts)
        return {
            post.id
            for post in posts
            if post is not None
            and post.deleted_at is None
            and workspace_id in (None, post.workspace_id)
            and status in (None, post.status)
        }

    def restless(self, since: datetime) -> set[str]:
        """Return the posts that have moved more often than the listing promises to follow."""
        posts = (self.store.read(post_id) for post_id in self.posts)
        return {
            post.id
            for post in posts
            if post is not None
            and len([former for former in post.former_spots if former.until > since])
            >= MOST_FORMER_SPOTS
        }


@settings(max_examples=300)
@given(
    first=st.lists(moves, max_size=25),
    meanwhile=st.lists(st.tuples(st.lists(moves, max_size=4), st.booleans()), max_size=12),
    limit=st.integers(1, 5),
    workspace_id=st.sampled_from([None, WORKSPACE_ID]),
    status=st.sampled_from([None, None, PostStatus.SCHEDULED, PostStatus.CANCELED]),
)
def test_every_post_that_stays_is_shown_exactly_once(
    first: list[tuple[str, int, object]],
    meanwhile: list[tuple[list[tuple[str, int, object]], bool]],
    limit: int,
    workspace_id: str | None,
    status: PostStatus | None,
) -> None:
    # Given posts of two workspaces
    listing = Listing()
    for each in first:
        listing.happen(*each)
    listing.world.clock.advance(SECOND)
    before = listing.standing(workspace_id, status)
    listing.unsteady.clear()
    # When they are listed, and anything happens between the pages
    shown: Counter[str] = Counter()
    order: list[Spot] = []
    began = listing.world.clock.at
    cursor = None
    waiting = iter(meanwhile)
    for _ in range(500):
        command = ListCommand(
            key_digest=listing.key.digest,
            workspace_id=workspace_id,
            status=status,
            limit=limit,
            cursor=cursor,
        )
        page = listing.list(command)
        assert len(page.posts) <= limit
        shown.update(str(post["id"]) for post in page.posts)
        for post in page.posts:
            stored = listing.store.read(str(post["id"]))
            assert stored is not None
            assert (post["status"], post["deletedAt"]) == (stored.status, None)
            order.append(spot_at(spot_of(stored), stored.former_spots, began))
        cursor = page.cursor
        if cursor is None:
            break
        happening, listing.store.is_behind = next(waiting, ([], False))
        listing.store.past = dict(listing.store._posts)
        for each in happening:
            listing.happen(*each)
    assert cursor is None
    # Then every post that was there all the time was shown once, and no post twice
    restless = listing.restless(began)
    stayed = before & listing.standing(workspace_id, status)
    if status is not None:
        stayed -= listing.unsteady
    assert stayed - restless <= shown.keys()
    assert {post_id for post_id, times in shown.items() if times > 1} <= restless
    # And they came in the order in which they stood when it began
    if not restless:
        assert order == sorted(order)
