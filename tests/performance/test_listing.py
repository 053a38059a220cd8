"""Listing very many posts: all of them, each once, and each page for the same.

The posts lie in an engine of its own. How many is a setting: `make test-listing` takes 100,000.
What a page takes is printed, not judged; what it reads is judged.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from threading import Event, Thread
from typing import Any, Self

import pytest

from local.tools import say
from postbreeze.adapters.clock import SystemClock
from postbreeze.adapters.concurrency import ThreadPool
from postbreeze.adapters.dynamodb.directory import DynamoDirectory
from postbreeze.adapters.dynamodb.posts import DynamoPostStore
from postbreeze.adapters.dynamodb.registry import DynamoRegistry
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.domain import ids, lifecycle
from postbreeze.domain.post import PostStatus, TargetStatus
from postbreeze.operations.list_posts import (
    INDEX_LAG,
    MOST_MOVED,
    MOST_POSTS,
    ListCommand,
    ListPosts,
    Page,
)
from postbreeze.operations.ports import Clock
from tests.support.aws import Aws, on_engine
from tests.support.builders import USER_ID, a_key, a_member, a_post, added, an_id
from tests.support.fakes import FakeClock
from tests.support.many_posts import write_many

POSTS = int(os.environ.get("POSTBREEZE_LISTED_POSTS", "10000"))
FEW = 1_000
ROUNDS = 15
PAUSE_SECONDS = 0.02


@dataclass
class Listing:
    """A workspace with very many posts, one with few, and who lists them."""

    aws: Aws
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        tables = self.aws.tables()
        self.client: Any = self.aws.clients.dynamodb()
        database, self.together = Database(self.client), ThreadPool()
        self.store = DynamoPostStore(
            database,
            posts_table=tables["posts"],
            workspaces_table=tables["workspaces"],
            clock=self.clock,
            together=self.together,
        )
        registry = DynamoRegistry(database, workspaces_table=tables["workspaces"])
        self.key = a_key()
        registry.add_key(self.key)
        self.many, self.few = an_id(ids.WORKSPACE), an_id(ids.WORKSPACE)
        for workspace_id in (self.many, self.few):
            registry.put_member(a_member(workspace_id=workspace_id))
        now, began = self.clock.now(), time.perf_counter()
        self.ids = write_many(self.client, tables["posts"], self.many, POSTS, now=now)
        write_many(self.client, tables["posts"], self.few, FEW, now=now)
        self.seconds = time.perf_counter() - began
        self.directory = DynamoDirectory(
            database, workspaces_table=tables["workspaces"], clock=self.clock
        )

    def page(self, workspace_id: str, cursor: str | None = None, **wishes: Any) -> Page:
        lists = ListPosts(
            posts=self.store,
            directory=self.directory,
            together=self.together,
            clock=self.clock,
        )
        return lists(
            ListCommand(
                key_digest=self.key.digest,
                workspace_id=workspace_id,
                cursor=cursor,
                **{"limit": MOST_POSTS, **wishes},
            )
        )

    @contextmanager
    def reads(self) -> Iterator[Counter[str]]:
        """Count what is asked of DynamoDB, and how many items it gives."""
        counted: Counter[str] = Counter()

        def note(parsed: Mapping[str, Any], model: Any, **_: Any) -> None:
            counted[model.name] += 1
            counted["items"] += len(parsed.get("Items", ())) + sum(
                len(rows) for rows in parsed.get("Responses", {}).values()
            )

        self.client.meta.events.register("after-call.dynamodb", note)
        try:
            yield counted
        finally:
            self.client.meta.events.unregister("after-call.dynamodb", note)


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listing]:
    with on_engine(tmp_path_factory.mktemp("engine")) as aws:
        yield Listing(aws)


class Others:
    """Creates posts, and cancels posts that are there, until it is stopped."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._stopped = Event()
        self._thread = Thread(target=self._go_on)
        self._random = random.Random(7)
        self.created = 0
        self.moved: set[str] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._stopped.wait(PAUSE_SECONDS):
            self._create()
            self._move()

    def _create(self) -> None:
        now = self._listing.clock.now()
        post = a_post(
            self._random.choice([PostStatus.DRAFT, PostStatus.SCHEDULED]),
            [TargetStatus.SCHEDULED],
            workspace_id=self._listing.many,
            created_at=now,
            scheduled_at=now + timedelta(days=1, seconds=self._random.randrange(POSTS)),
        )
        self._listing.store.commit(added(post))
        self.created += 1

    def _move(self) -> None:
        post_id = self._random.choice(self._listing.ids)
        post = self._listing.store.read(post_id)
        assert post is not None
        if post.status is PostStatus.SCHEDULED and len(self.moved) < MOST_MOVED // 2:
            now = self._listing.clock.now()
            wanted = lifecycle.cancel(post, actor=USER_ID, now=now).change
            self._listing.store.commit(replace(wanted, events=()))
            self.moved.add(post_id)


@pytest.mark.timeout(1_800)
def test_all_are_listed_once_while_others_are_created_and_cancelled(listing: Listing) -> None:
    # Given a first page, with which the listing begins
    page = listing.page(listing.many)
    shown = Counter(str(post["id"]) for post in page.posts)
    pages, began = 1, time.perf_counter()
    # When the others are read while posts come and move
    with Others(listing) as others:
        while page.cursor is not None:
            page = listing.page(listing.many, page.cursor)
            shown.update(str(post["id"]) for post in page.posts)
            pages += 1
    seconds = time.perf_counter() - began
    # Then every post was shown once, those that were cancelled meanwhile as well
    assert others.created
    assert others.moved
    assert set(listing.ids) <= shown.keys()
    assert set(shown.values()) == {1}
    say(
        f"{POSTS:,} posts (written in {listing.seconds:.0f} s) listed in {pages:,} pages and"
        f" {seconds:.0f} s, while {others.created:,} were created and {len(others.moved):,}"
        f" cancelled: {len(shown) - POSTS:,} new ones shown, none twice, none missing"
    )


@pytest.mark.parametrize(
    "wishes", [{}, {"status": PostStatus.SCHEDULED}, {"status": PostStatus.DRAFT}], ids=str
)
def test_a_page_reads_the_same_whatever_lies_behind_it(
    listing: Listing, wishes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given pages in the middle of either workspace, at a time when nothing has moved lately
    later = FakeClock(SystemClock().now() + 2 * INDEX_LAG)
    monkeypatch.setattr(listing, "clock", later)
    workspaces = {"many": listing.many, "few": listing.few}
    cursors = {name: listing.page(each, **wishes).cursor for name, each in workspaces.items()}
    assert None not in cursors.values()
    # When each is read in turn
    taken: dict[str, list[float]] = {name: [] for name in workspaces}
    reads: dict[str, Counter[str]] = {}
    for _ in range(ROUNDS):
        for name, workspace_id in workspaces.items():
            with listing.reads() as reads[name]:
                began = time.perf_counter()
                page = listing.page(workspace_id, cursors[name], **wishes)
                taken[name].append(time.perf_counter() - began)
            assert len(page.posts) == MOST_POSTS
    # Then they ask and read the same
    assert reads["many"] == reads["few"]
    many, few = (statistics.median(taken[name]) * 1000 for name in workspaces)
    say(
        f"a page of {MOST_POSTS} of {POSTS:,} posts: {many:.0f} ms, of {FEW:,}: {few:.0f} ms,"
        f" ratio {many / few:.2f}; both asked {dict(reads['many'])}"
    )
