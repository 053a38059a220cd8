"""Posts, their events and stored answers in DynamoDB."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum, auto
from functools import partial
from itertools import chain
from typing import Final, TypeVar

from pynamodb.expressions.condition import Condition

from postbreeze.adapters.dynamodb import keys
from postbreeze.adapters.dynamodb.index import longest_waiting
from postbreeze.adapters.dynamodb.items.access import MemberRow, UsageRow
from postbreeze.adapters.dynamodb.items.common import Row, value_of
from postbreeze.adapters.dynamodb.items.posts import (
    AnswerRow,
    EventRow,
    PostRow,
    TargetRow,
    answer_row,
    event_row,
    post_of,
    post_row,
    target_row,
)
from postbreeze.adapters.dynamodb.table import (
    MOST_KEYS,
    Database,
    NotWrittenError,
    Raw,
    Table,
    Writes,
)
from postbreeze.domain.changes import Change
from postbreeze.domain.errors import LostRaceError, PlanLimitError, UnavailableError
from postbreeze.domain.events import Event
from postbreeze.domain.listing import REST_BEGINS, UPCOMING_BEGINS
from postbreeze.domain.post import Part, Post, PostStatus, Spot, Target, needed_assets
from postbreeze.operations.ports import (
    AccessLostError,
    AnswerExistsError,
    AssetLostError,
    Clock,
    MembershipGuard,
    MovedPost,
    Quota,
    StoredAnswer,
    Together,
)

AnyMeaning = TypeVar("AnyMeaning")

_READS: Final = 3
"""How often a post is read that is being written just then."""


class _Meaning(Enum):
    """What a write of a commit stands for."""

    ROW = auto()
    ACCESS = auto()
    ANSWER = auto()
    ASSET = auto()
    QUOTA = auto()


class DynamoPostStore:
    """Posts with their targets, events and stored answers.

    ``workspaces_table`` is needed by commits with a guard only, ``media_table`` by those that make
    a post need an asset. With ``together`` many posts are read at once.
    """

    def __init__(
        self,
        database: Database,
        *,
        posts_table: str,
        clock: Clock,
        workspaces_table: str | None = None,
        media_table: str | None = None,
        together: Together | None = None,
    ) -> None:
        """Call nothing yet."""
        self._database = database
        self._posts = database.table(posts_table)
        self._workspaces = None if workspaces_table is None else database.table(workspaces_table)
        self._media = None if media_table is None else database.table(media_table)
        self._clock = clock
        self._together = together

    def read(self, post_id: str) -> Post | None:
        """Read a post with its targets, strongly consistent, soft-deleted ones too.

        A query may come upon a transaction half way. Rows that are of different moments are told
        apart by the conditions of the next commit; only a target that is not there yet is not.
        """
        for _ in range(_READS):
            rows = self._posts.query(keys.post(post_id), PostRow.sk.between(*keys.POST_AND_TARGETS))
            row: PostRow | None = None
            targets: dict[str, Target] = {}
            for raw in rows:
                if raw["sk"]["S"] == keys.POST:
                    row = PostRow.from_raw_data(raw)
                else:
                    target = value_of(Target, TargetRow.from_raw_data(raw))
                    targets[target.id] = target
            if row is None:
                return None
            post = post_of(row, targets)
            if post is not None:
                return post
        raise UnavailableError("Query: a post lacks a target that it names")

    def read_many(self, post_ids: Collection[str]) -> Mapping[str, Post]:
        """Read posts as ``read`` does; unknown ones are left out.

        All rows of posts are read at once, and then all the targets that they name, in calls of up
        to a hundred. A post that lost a target in between is read anew.
        """
        wanted = [(keys.post(post_id), keys.POST) for post_id in post_ids]
        rows = [PostRow.from_raw_data(raw) for raw in self._read_all(wanted)]
        wanted = [
            (row.pk, keys.TARGETS + target_id) for row in rows for target_id in row.target_ids
        ]
        targets: dict[str, Target] = {}
        for raw in self._read_all(wanted):
            target = value_of(Target, TargetRow.from_raw_data(raw))
            targets[target.id] = target
        posts = {row.id: post_of(row, targets) or self.read(row.id) for row in rows}
        return {post_id: post for post_id, post in posts.items() if post is not None}

    def _read_all(self, wanted: Sequence[tuple[str, str]]) -> Iterator[Raw]:
        parts = [wanted[at : at + MOST_KEYS] for at in range(0, len(wanted), MOST_KEYS)]
        calls = [partial(self._posts.get_all, part) for part in parts]
        found = [call() for call in calls] if self._together is None else self._together.run(*calls)
        return chain.from_iterable(found)

    def listed(
        self, workspace_id: str, after: Spot, limit: int, status: PostStatus | None = None
    ) -> Sequence[Spot]:
        """List the next spots after one, of the same part, in their order, deleted posts aside.

        What was written just now may be missing, or still listed where it was.
        """
        is_upcoming = after.part is Part.UPCOMING
        if status is None or is_upcoming:
            index, partition = "listing", keys.listing(workspace_id, after.part)
        else:
            index, partition = "byStatus", keys.listing(workspace_id, status)
        rows = self._posts.query_index(
            index, partition, _beyond(after), newest_first=not is_upcoming, limit=limit
        )
        return [Spot(part=after.part, key=row["listKey"]["S"]) for row in rows]

    def moved(self, workspace_id: str, since: datetime, limit: int) -> Sequence[MovedPost]:
        """List the posts that have changed their spot since a moment, latest first.

        Deleted posts are left out; what was written just now may be missing.
        """
        rows = self._posts.query_index(
            "moved",
            keys.workspace(workspace_id),
            PostRow.moved_at > since,
            newest_first=True,
            limit=limit,
        )
        return [_moved(raw) for raw in rows]

    def commit(
        self,
        change: Change,
        *,
        guard: MembershipGuard | None = None,
        answer: StoredAnswer | None = None,
        quota: Quota | None = None,
    ) -> None:
        """Write all of a change, its events, and ``answer`` if given, or nothing.

        ``answer`` must be the first under its key, expired ones aside. With ``quota`` one more is
        counted. Where several conditions fail, a taken idempotency key counts before lost access,
        that before a quota that is used up, that before a lost race, and that before a lost asset.

        Raises:
            LostRaceError: A row it was decided on has changed.
            AccessLostError: The guard does not hold.
            PlanLimitError: The quota is used up.
            AnswerExistsError: The idempotency key is taken.
            AssetLostError: It makes the post need an asset that is not READY.
            UnavailableError: It may or may not have been committed.
        """
        writes = Writes[_Meaning]()
        self._add_rows(writes, change)
        notes = self._add_assets(writes, change)
        if guard is not None:
            self._add_guard(writes, guard)
        if answer is not None:
            free = AnswerRow.pk.does_not_exist() | (AnswerRow.expires_at <= self._clock.now())
            writes.put(self._posts, answer_row(answer), free, _Meaning.ANSWER)
        if quota is not None:
            writes.update(
                self._posts,
                keys.workspace(quota.workspace_id),
                keys.usage(quota.month),
                [UsageRow.revision.add(1)],
                _has_one_left(quota),
                _Meaning.QUOTA,
            )
        if not writes:
            return
        try:
            if notes:
                self._database.write(notes)
            self._database.write(writes)
        except NotWrittenError as error:
            raise _meant(error, quota) from error

    def answer(self, key_digest: str, idempotency_key: str) -> StoredAnswer | None:
        """Read the stored answer of a key, strongly consistent; expired ones do not count."""
        row = self._posts.get(AnswerRow, keys.answer(key_digest, idempotency_key), keys.REQUEST)
        if row is None or row.expires_at <= self._clock.now():
            return None
        return value_of(StoredAnswer, row)

    def complete(self, answer: StoredAnswer) -> None:
        """Replace a running answer by its final form; repeating it is harmless.

        An answer that has been completed, or taken by another request since, is left as it is.
        """
        self._posts.put(
            answer_row(answer),
            (AnswerRow.request_digest == answer.request_digest)
            & (AnswerRow.post_id == answer.post_id)
            & AnswerRow.status.does_not_exist(),
        )

    def event(self, post_id: str, event_id: str) -> Event | None:
        """Read one event, strongly consistent."""
        row = self._posts.get(EventRow, keys.subject(post_id), keys.EVENTS + event_id)
        return None if row is None else value_of(Event, row)

    def timeline(self, post_id: str) -> Sequence[Event]:
        """Read all events of a post, oldest first."""
        rows = self._posts.query(keys.subject(post_id), EventRow.sk.startswith(keys.EVENTS))
        events = (value_of(Event, EventRow.from_raw_data(raw)) for raw in rows)
        return sorted(events, key=lambda event: (event.occurred_at, event.version_after, event.id))

    def fanned_out(self, event: Event, *, expires_at: datetime) -> None:
        """Take an event off the pending index and let it expire; repeating it is harmless.

        An event that is not there, or not pending any more, stays as it is.
        """
        row = event_row(event, expires_at=expires_at)
        row.pending_since = None
        row.pending_partition = None
        self._posts.put(row, EventRow.pending_since.exists())

    def due_posts(self, now: datetime, limit: int) -> Sequence[str]:
        """Return ids of posts whose ``attention_at`` has come, longest waiting first.

        Those with a pending arming are left out; see ``pending_armings``.
        """
        return self._due(keys.DUE, now, limit)

    def pending_armings(self, now: datetime, limit: int) -> Sequence[str]:
        """Return ids of posts with a pending arming whose ``attention_at`` has come, in order."""
        return self._due(keys.ARMING, now, limit)

    def _due(self, kind: str, now: datetime, limit: int) -> Sequence[str]:
        rows = longest_waiting(
            self._posts,
            index="due",
            partitions=keys.shards(kind),
            condition=PostRow.attention_at <= now,
            waiting_since="dueAt",
            limit=limit,
        )
        return [keys.identifier(row["pk"]["S"]) for row in rows]

    def pending_events(self, before: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """Return (post id, event id) of events pending since before that moment, oldest first."""
        rows = longest_waiting(
            self._posts,
            index="pending",
            partitions=keys.shards(keys.PENDING),
            condition=EventRow.pending_since < before,
            waiting_since="pendingSince",
            limit=limit,
        )
        return [(keys.identifier(row["pk"]["S"]), keys.identifier(row["sk"]["S"])) for row in rows]

    def _add_rows(self, writes: Writes[_Meaning], change: Change) -> None:
        before = _rows_before(change)
        written = set()
        for write in change.writes:
            condition = (
                PostRow.pk.does_not_exist()
                if write.expected_revision is None
                else _is_still(before[write.row.id], write.expected_revision)
            )
            writes.put(self._posts, _row(write.row), condition, _Meaning.ROW)
            written.add(write.row.id)
        for gone in change.removed:
            writes.delete(self._posts, *_place(gone), _is_still(gone, gone.revision), _Meaning.ROW)
            written.add(gone.id)
        for check in change.relied_on:
            # DynamoDB takes a row once, and a write already has the condition.
            if check.row.id not in written:
                writes.check(
                    self._posts,
                    *_place(check.row),
                    _is_still(check.row, check.row.revision),
                    _Meaning.ROW,
                )
        for event in change.events:
            writes.put(self._posts, event_row(event), EventRow.pk.does_not_exist(), _Meaning.ROW)

    def _add_assets(self, writes: Writes[_Meaning], change: Change) -> Writes[None]:
        """Have the post found by whoever deletes an asset it comes to need, and the asset be READY.

        The post is noted first and by itself, as a transaction has no room for both. Should it not
        be committed the note stays, and whoever finds it finds a post that needs nothing. Whoever
        deletes makes the asset DELETING before looking for notes: so either the note is seen, or
        the asset is not READY here. Returned is what is to be noted.
        """
        notes = Writes[None]()
        needed = sorted(needed_assets(change.after) - needed_assets(change.before))
        if not needed:
            return notes
        if self._media is None:
            raise RuntimeError("a commit needs assets, and its store has no media table")
        # Late, so that functions whose commits need no asset do not pay for it.
        from postbreeze.adapters.dynamodb.items.media import (  # noqa: PLC0415
            asset_post_row,
            is_ready,
        )

        post = change.after
        for asset_id in needed:
            notes.put(self._media, asset_post_row(asset_id, post.id), None, None)
            ready = is_ready(post.workspace_id)
            writes.check(self._media, keys.asset(asset_id), keys.ASSET, ready, _Meaning.ASSET)
        return notes

    def _add_guard(self, writes: Writes[_Meaning], guard: MembershipGuard) -> None:
        if self._workspaces is None:
            raise RuntimeError("a commit has a guard, and its store no workspaces table")
        guard_with(writes, self._workspaces, guard, _Meaning.ACCESS)


def guard_with(
    writes: Writes[AnyMeaning], workspaces: Table, guard: MembershipGuard, meaning: AnyMeaning
) -> None:
    """Add the condition of a guard to writes."""
    writes.check(
        workspaces,
        keys.workspace(guard.workspace_id),
        keys.MEMBERS + guard.user_id,
        MemberRow.role.is_in(*sorted(guard.roles)),
        meaning,
    )


def _beyond(spot: Spot) -> Condition | None:
    """Build the condition for what is listed after a spot; none where its part begins."""
    if spot in (UPCOMING_BEGINS, REST_BEGINS):
        return None
    is_upcoming = spot.part is Part.UPCOMING
    beyond: Condition = PostRow.list_key > spot.key if is_upcoming else PostRow.list_key < spot.key
    return beyond


def _moved(raw: Raw) -> MovedPost:
    # There may be very many, of which making whole rows would take long.
    part = Part(raw["listPartition"]["S"].rpartition("#")[2])
    return MovedPost(
        moved_at=PostRow.moved_at.deserialize(raw["movedAt"]["S"]),
        spot=Spot(part=part, key=raw["listKey"]["S"]),
        former_spots=PostRow.former_spots.deserialize(raw["formerSpots"]["S"]),
    )


def _rows_before(change: Change) -> dict[str, Post | Target]:
    if change.before is None:
        return {}
    rows: tuple[Post | Target, ...] = (change.before, *change.before.targets)
    return {row.id: row for row in rows}


def _row(row: Post | Target) -> Row:
    return post_row(row) if isinstance(row, Post) else target_row(row)


def _place(row: Post | Target) -> tuple[str, str]:
    if isinstance(row, Post):
        return keys.post(row.id), keys.POST
    return keys.post(row.post_id), keys.TARGETS + row.id


def _is_still(row: Post | Target, revision: int) -> Condition:
    """The row is the one that was read; status and workflow say so beside the revision."""
    model: type[PostRow | TargetRow] = PostRow if isinstance(row, Post) else TargetRow
    workflow = model.workflow_id
    same_workflow: Condition = (
        workflow.does_not_exist() if row.workflow_id is None else workflow == row.workflow_id
    )
    still: Condition = same_workflow & (model.revision == revision) & (model.status == row.status)
    return still


def _has_one_left(quota: Quota) -> Condition:
    """The count is below the limit; nobody has counted yet where there is no row."""
    is_below: Condition = UsageRow.revision < quota.limit
    return UsageRow.revision.does_not_exist() | is_below if quota.limit > 0 else is_below


def _meant(error: NotWrittenError, quota: Quota | None) -> Exception:
    failed: dict[_Meaning, Raw | None] = dict(error.failed)
    standing = failed.get(_Meaning.ANSWER)
    if standing is not None:
        return AnswerExistsError(value_of(StoredAnswer, AnswerRow.from_raw_data(standing)))
    if _Meaning.ACCESS in failed:
        return AccessLostError("the guard does not hold")
    if quota is not None and _Meaning.QUOTA in failed:
        used = failed[_Meaning.QUOTA]
        current = 0 if used is None else int(UsageRow.from_raw_data(used).revision)
        return PlanLimitError(limit=quota.limit, current=current)
    if _Meaning.ASSET in failed and _Meaning.ROW not in failed:
        return AssetLostError("an asset is not ready")
    return LostRaceError("a row has changed")
