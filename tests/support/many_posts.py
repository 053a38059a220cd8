"""Very many posts, written straight into a table in the form in which the store writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from postbreeze.adapters.dynamodb import keys
from postbreeze.adapters.dynamodb.items.posts import post_row, target_row
from postbreeze.domain import ids, lifecycle
from postbreeze.domain.documents import timestamp
from postbreeze.domain.post import Post, PostStatus, TargetStatus
from tests.support.builders import a_post, an_id

ROWS_A_CALL = 24
"""DynamoDB takes 25 at most; a post has two."""

CALLS_AT_ONCE = 3


EVERY_OTHER_SCHEDULED = (
    PostStatus.SCHEDULED,
    PostStatus.DRAFT,
    PostStatus.SCHEDULED,
    PostStatus.PUBLISHED,
)


def write_many(
    client: Any,
    table: str,
    workspace_id: str,
    number: int,
    *,
    now: datetime,
    kinds: Sequence[PostStatus] = EVERY_OTHER_SCHEDULED,
) -> list[str]:
    """Write posts with one target each, of these kinds in turn, and return their ids.

    Their moments are a second apart: they were created before ``now`` and go out after it.
    """
    posts: list[str] = []
    write_rows(client, table, _rows(workspace_id, number, now, kinds, posts))
    return posts


def write_rows(client: Any, table: str, rows: Iterator[dict[str, Any]]) -> None:
    """Write rows that are there in the form in which DynamoDB keeps them."""
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        for answer in pool.map(
            lambda batch: client.batch_write_item(RequestItems={table: batch}), _batches(rows)
        ):
            assert not answer.get("UnprocessedItems")


def _rows(
    workspace_id: str,
    number: int,
    now: datetime,
    kinds: Sequence[PostStatus],
    posts: list[str],
) -> Iterator[dict[str, Any]]:
    patterns = [_Pattern(workspace_id, status, now) for status in kinds]
    for index in range(number):
        post_id = an_id(ids.POST)
        posts.append(post_id)
        yield from patterns[index % len(patterns)].rows(post_id, timedelta(seconds=index + 1))


class _Pattern:
    """The rows of a post as the store writes them, into which other ids and moments are put.

    Making each from values would take longer than writing it.
    """

    def __init__(self, workspace_id: str, status: PostStatus, now: datetime) -> None:
        self._now = now
        self._created, self._scheduled = now - timedelta(days=999), now + timedelta(days=999)
        self._post: Post = a_post(
            status,
            [_TARGETS.get(status, TargetStatus.DRAFT)],
            workspace_id=workspace_id,
            created_at=self._created,
            scheduled_at=self._scheduled,
        )
        (target,) = self._post.targets
        rows = (post_row(self._post), target_row(target))
        self._text = json.dumps([row.serialize() for row in rows])

    def rows(self, post_id: str, apart: timedelta) -> Sequence[dict[str, Any]]:
        text = self._text
        for old, new in (
            (self._post.id, post_id),
            (self._post.targets[0].id, an_id(ids.TARGET)),
            (timestamp(self._created), timestamp(self._now - apart)),
            (timestamp(self._scheduled), timestamp(self._now + timedelta(days=1) + apart)),
            (_due(self._scheduled), _due(self._now + timedelta(days=1) + apart)),
            (keys.shard(keys.DUE, self._post.id), keys.shard(keys.DUE, post_id)),
        ):
            text = text.replace(old, new)
        rows: list[dict[str, Any]] = json.loads(text)
        return rows


def _due(scheduled_at: datetime) -> str:
    return timestamp(scheduled_at + lifecycle.OVERDUE_AFTER)


_TARGETS = {
    PostStatus.SCHEDULED: TargetStatus.SCHEDULED,
    PostStatus.PUBLISHED: TargetStatus.PUBLISHED,
}


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := [{"PutRequest": {"Item": row}} for row in islice(rows, ROWS_A_CALL)]:
        yield batch
