"""What a transition comes to: rows to write, rows it relied on, events and effects.

A transition never writes. It returns a ``Change``; a store commits the whole of it or nothing, and
only if every row it was decided on is still as it was read. Effects are done after the commit and
may fail, repeat or come late without harm: the rows are the only truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from postbreeze.domain import ids, listing
from postbreeze.domain.documents import post_document, timestamp
from postbreeze.domain.events import Event, EventType
from postbreeze.domain.post import Post, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSchedule:
    """Have the post's publishing started at that moment, under that schedule name."""

    post_id: str
    workflow_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DisarmSchedule:
    """Remove a schedule that has lost its purpose."""

    workflow_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishTarget:
    """Have one target published, not before ``delay_seconds`` have passed."""

    workspace_id: str
    post_id: str
    target_id: str
    workflow_id: str
    delay_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveTarget:
    """Have the platform asked what became of a claim that ran out."""

    workspace_id: str
    post_id: str
    target_id: str
    claim_id: str


Effect = ArmSchedule | DisarmSchedule | PublishTarget | ResolveTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class RowWrite:
    """A row to write if it is still at ``expected_revision`` (None: if it does not exist)."""

    row: Post | Target
    expected_revision: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCheck:
    """A row that is not written but must still be at this revision."""

    row: Post | Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One transition of one post, to be committed whole or not at all."""

    before: Post | None
    after: Post
    relied_on: tuple[RowCheck, ...] = ()
    events: tuple[Event, ...] = ()
    effects: tuple[Effect, ...] = ()

    @property
    def writes(self) -> tuple[RowWrite, ...]:
        """The rows that differ, the post's own first."""
        before = self.before
        if before is None:
            rows: tuple[Post | Target, ...] = (self.after, *self.after.targets)
            return tuple(RowWrite(row=row, expected_revision=None) for row in rows)
        writes = []
        if self.after.revision != before.revision:
            writes.append(RowWrite(row=self.after, expected_revision=before.revision))
        for new in self.after.targets:
            old = before.target(new.id)
            if old is None:
                writes.append(RowWrite(row=new, expected_revision=None))
            elif new.revision != old.revision:
                writes.append(RowWrite(row=new, expected_revision=old.revision))
        return tuple(writes)

    @property
    def removed(self) -> tuple[Target, ...]:
        """The targets that are no longer there: their rows go if they are still as read."""
        if self.before is None:
            return ()
        return tuple(
            target for target in self.before.targets if self.after.target(target.id) is None
        )

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to write."""
        return not self.writes


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """An event that a change is to carry."""

    type: EventType
    extra: Mapping[str, Any] | None = None
    reason: str | None = None


def change(
    before: Post | None,
    after: Post,
    *,
    now: datetime,
    actor: str,
    touch_post: bool = False,
    announce: tuple[Announcement, ...] = (),
    relied_on: tuple[RowCheck, ...] = (),
    effects: tuple[Effect, ...] = (),
) -> Change:
    """Turn the post that is wanted into a change: new revisions, times and events.

    Every row that differs gets the next revision and ``updated_at``; ``touch_post`` does so for
    the post's own row even where it does not differ, so that decisions which looked at all targets
    exclude each other. Who writes the post's own row relies on every target being as it was read:
    a read may come upon another commit half way, and what a post says must go with what its targets
    say. Event ids derive from the version reached: the same transition never makes two events.
    """
    if before is not None:
        after = replace(
            after, targets=tuple(_next(before.target(new.id), new, now) for new in after.targets)
        )
        after = listing.moved(before, after, now)
        if touch_post or _post_differs(before, after):
            # What removed targets had brought to the version is kept in it, so that it grows.
            gone = sum(
                target.revision for target in before.targets if after.target(target.id) is None
            )
            after = replace(after, revision=before.revision + 1 + gone, updated_at=now)
            unwritten = (target for target in before.targets if target in after.targets)
            relied_on = (*relied_on, *(RowCheck(row=target) for target in unwritten))
    version_before = 0 if before is None else before.version
    events = tuple(
        _event(announcement, after, version_before=version_before, now=now, actor=actor)
        for announcement in announce
    )
    return Change(before=before, after=after, relied_on=relied_on, events=events, effects=effects)


def _next(old: Target | None, new: Target, now: datetime) -> Target:
    if old is None or new == old:
        return new
    return replace(new, revision=old.revision + 1, updated_at=now)


def _post_differs(before: Post, after: Post) -> bool:
    """Tell whether the post's own row differs, which names its targets in their order."""
    return replace(after, targets=before.targets) != before or [
        target.id for target in after.targets
    ] != [target.id for target in before.targets]


def _event(
    announcement: Announcement,
    post: Post,
    *,
    version_before: int,
    now: datetime,
    actor: str,
) -> Event:
    event_type = announcement.type
    event_id = ids.derived_id(ids.EVENT, now, post.id, event_type, str(post.version))
    return Event(
        id=event_id,
        type=event_type,
        post_id=post.id,
        workspace_id=post.workspace_id,
        occurred_at=now,
        actor=actor,
        version_before=version_before,
        version_after=post.version,
        payload={
            "eventId": event_id,
            "occurredAt": timestamp(now),
            "workspaceId": post.workspace_id,
            "post": post_document(post),
            **(announcement.extra or {}),
        },
        reason=announcement.reason,
        pending_since=now,
    )
