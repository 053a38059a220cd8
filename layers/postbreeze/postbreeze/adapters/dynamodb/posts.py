"""Posts, their events and stored answers in DynamoDB."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum, auto
from typing import Final

from pynamodb.expressions.condition import Condition

from postbreeze.adapters.dynamodb import items, keys
from postbreeze.adapters.dynamodb.index import longest_waiting
from postbreeze.adapters.dynamodb.items import (
    AnswerRow,
    EventRow,
    MemberRow,
    PostRow,
    Row,
    TargetRow,
    value_of,
)
from postbreeze.adapters.dynamodb.table import Database, NotWrittenError, Raw, Writes
from postbreeze.domain.changes import Change
from postbreeze.domain.errors import LostRaceError, UnavailableError
from postbreeze.domain.events import Event
from postbreeze.domain.post import Post, Target
from postbreeze.operations.ports import (
    AccessLostError,
    AnswerExistsError,
    Clock,
    MembershipGuard,
    StoredAnswer,
)

_READS: Final = 3
"""How often a post is read that is being written just then."""


class _Meaning(Enum):
    """What a write of a commit stands for."""

    ROW = auto()
    ACCESS = auto()
    ANSWER = auto()


class DynamoPostStore:
    """Posts with their targets, events and stored answers.

    ``workspaces_table`` is needed by commits with a guard only.
    """

    def __init__(
        self,
        database: Database,
        *,
        posts_table: str,
        clock: Clock,
        workspaces_table: str | None = None,
    ) -> None:
        """Call nothing yet."""
        self._database = database
        self._posts = database.table(posts_table)
        self._workspaces = None if workspaces_table is None else database.table(workspaces_table)
        self._clock = clock

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
            post = items.post_of(row, targets)
            if post is not None:
                return post
        raise UnavailableError("Query: a post lacks a target that it names")

    def commit(
        self,
        change: Change,
        *,
        guard: MembershipGuard | None = None,
        answer: StoredAnswer | None = None,
    ) -> None:
        """Write all of a change, its events, and ``answer`` if given, or nothing.

        ``answer`` must be the first under its key, expired ones aside. Where several conditions
        fail, a taken idempotency key counts before lost access, and that before a lost race.

        Raises:
            LostRaceError: A row it was decided on has changed.
            AccessLostError: The guard does not hold.
            AnswerExistsError: The idempotency key is taken.
            UnavailableError: It may or may not have been committed.
        """
        writes = Writes[_Meaning]()
        self._add_rows(writes, change)
        if guard is not None:
            self._add_guard(writes, guard)
        if answer is not None:
            free = AnswerRow.pk.does_not_exist() | (AnswerRow.expires_at <= self._clock.now())
            writes.put(self._posts, items.answer_row(answer), free, _Meaning.ANSWER)
        if not writes:
            return
        try:
            self._database.write(writes)
        except NotWrittenError as error:
            raise _meant(error) from error

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
            items.answer_row(answer),
            (AnswerRow.request_digest == answer.request_digest)
            & (AnswerRow.post_id == answer.post_id)
            & AnswerRow.status.does_not_exist(),
        )

    def event(self, post_id: str, event_id: str) -> Event | None:
        """Read one event, strongly consistent."""
        row = self._posts.get(EventRow, keys.post(post_id), keys.EVENTS + event_id)
        return None if row is None else value_of(Event, row)

    def timeline(self, post_id: str) -> Sequence[Event]:
        """Read all events of a post, oldest first."""
        rows = self._posts.query(keys.post(post_id), EventRow.sk.startswith(keys.EVENTS))
        events = (value_of(Event, EventRow.from_raw_data(raw)) for raw in rows)
        return sorted(events, key=lambda event: (event.occurred_at, event.version_after, event.id))

    def fanned_out(self, event: Event, *, expires_at: datetime) -> None:
        """Take an event off the pending index and let it expire; repeating it is harmless.

        An event that is not there, or not pending any more, stays as it is.
        """
        row = items.event_row(event, expires_at=expires_at)
        row.pending_since = None
        row.pending_partition = None
        self._posts.put(row, EventRow.pending_since.exists())

    def due_posts(self, now: datetime, limit: int) -> Sequence[str]:
        """Return ids of posts whose ``attention_at`` has come, longest waiting first."""
        rows = longest_waiting(
            self._posts,
            index="due",
            partitions=keys.shards(keys.DUE),
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
            writes.put(
                self._posts, items.event_row(event), EventRow.pk.does_not_exist(), _Meaning.ROW
            )

    def _add_guard(self, writes: Writes[_Meaning], guard: MembershipGuard) -> None:
        if self._workspaces is None:
            raise RuntimeError("a commit has a guard, and its store no workspaces table")
        writes.check(
            self._workspaces,
            keys.workspace(guard.workspace_id),
            keys.MEMBERS + guard.user_id,
            MemberRow.role.is_in(*sorted(guard.roles)),
            _Meaning.ACCESS,
        )


def _rows_before(change: Change) -> dict[str, Post | Target]:
    if change.before is None:
        return {}
    rows: tuple[Post | Target, ...] = (change.before, *change.before.targets)
    return {row.id: row for row in rows}


def _row(row: Post | Target) -> Row:
    return items.post_row(row) if isinstance(row, Post) else items.target_row(row)


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


def _meant(error: NotWrittenError) -> Exception:
    failed: dict[_Meaning, Raw | None] = dict(error.failed)
    standing = failed.get(_Meaning.ANSWER)
    if standing is not None:
        return AnswerExistsError(value_of(StoredAnswer, AnswerRow.from_raw_data(standing)))
    if _Meaning.ACCESS in failed:
        return AccessLostError("the guard does not hold")
    return LostRaceError("a row has changed")
