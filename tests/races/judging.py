"""Judges what became of a race: whether its history is one that could have come about in order.

Every change that was committed is known, with the rows it was decided on. They must form one story:
each row written from what the write before left, up to what is stored; and one order of all, true
to what each had read and to the clock on the wall. On top of that everything holds that the core's
tests ask of a service at rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from postbreeze.domain.changes import Change
from postbreeze.domain.events import Event
from postbreeze.domain.post import Post, PostStatus, Target, TargetStatus
from postbreeze.operations.platform_port import ExternalPost
from tests.races.racing import Committed, Done, Raced
from tests.support.core import Core
from tests.support.platforms import PublicPost

Row = Post | Target
Rows = Mapping[str, tuple[Row, ...]]
"""What each row has been, in order, by its id."""

OUTCOMES = {
    "canceled": {TargetStatus.CANCELED},
    "already_canceled": {TargetStatus.CANCELED},
    "already_published": {TargetStatus.PUBLISHED},
    "in_flight": {TargetStatus.PUBLISHED, TargetStatus.FAILED},
    "failed": {TargetStatus.FAILED},
}
"""Where a target may be in the end of which a client was told this, unless it began anew."""


def judge(raced: Raced) -> None:
    """Assert that a round ended as it may.

    Raises:
        AssertionError: It did not.
    """
    committed = [each for done in raced.done for each in done.committed]
    for before, after in zip(raced.round.posts, raced.found.posts, strict=True):
        mine = [each for each in committed if each.change.after.id == before.id]
        _check_story(before, after, [each.change for each in mine])
        _check_order(mine)
        _check_events(raced, after, [each.change for each in mine])
        _check_sent(raced, before, after, [each.change for each in mine])
    for done in raced.done:
        _check_fire(raced, done)
    _check_core(raced, committed)


def _check_story(before: Post, after: Post, changes: Sequence[Change]) -> None:
    """Check that every row was written from what the write before it had left."""
    rows = {row.id: [row] for row in _rows(before)}
    writes = [
        (new.revision, old, new)
        for change in changes
        for write in change.writes
        for new in (_alone(write.row),)
        for old in (_of(change.before, new.id),)
    ]
    for _, old, new in sorted(writes, key=lambda write: write[0]):
        story = rows.setdefault(new.id, [])
        assert (story[-1] if story else None) == old, f"{new.id} was overwritten, not changed"
        story.append(new)
    gone = {target.id for change in changes for target in change.removed}
    stored = {row.id: row for row in _rows(after)}
    assert stored.keys() == rows.keys() - gone, "rows are missing, or there are others"
    for row_id, row in stored.items():
        assert row == rows[row_id][-1], f"{row_id} is not as it was written last"


def _check_order(committed: Sequence[Committed]) -> None:
    """Check that the commits could have been made one after the other, in the order of time."""
    order = TopologicalSorter({index: set[int]() for index in range(len(committed))})
    for later, earlier in (*_order_of_rows(committed), *_order_of_time(committed)):
        order.add(later, earlier)
    try:
        order.prepare()
    except CycleError as error:
        circle = [_told(committed[index]) for index in error.args[1]]
        raise AssertionError(f"no order of the commits explains them: {circle}") from error


def _order_of_rows(committed: Sequence[Committed]) -> Iterator[tuple[int, int]]:
    """Yield commits with others that came before: what one read, or wrote over, shows it."""
    wrote: dict[str, list[tuple[int, int]]] = {}
    for index, each in enumerate(committed):
        for write in each.change.writes:
            wrote.setdefault(write.row.id, []).append((write.row.revision, index))
        for target in each.change.removed:
            wrote.setdefault(target.id, []).append((target.revision + 1, index))
    for writes in wrote.values():
        for (_, first), (_, second) in pairwise(sorted(writes)):
            yield second, first
    for index, each in enumerate(committed):
        for row in _read(each.change):
            for revision, writer in wrote.get(row.id, ()):
                if writer != index:
                    yield (index, writer) if revision <= row.revision else (writer, index)


def _order_of_time(committed: Sequence[Committed]) -> Iterator[tuple[int, int]]:
    """Yield commits with others that had ended before they began."""
    for later, each in enumerate(committed):
        for earlier, other in enumerate(committed):
            if other.ended < each.began:
                yield later, earlier


def _read(change: Change) -> Iterator[Row]:
    """Return the rows that must not have changed since they were read."""
    if change.before is None:
        return
    written = {write.row.id for write in change.writes}
    for row in _rows(change.before):
        if change.after.id in written or row.id in written:
            yield row
    for check in change.relied_on:
        yield check.row


def _check_events(raced: Raced, after: Post, changes: Sequence[Change]) -> None:
    """Check that each change left its events and no others, each of which is still to be told."""
    made = [event for event in raced.round.events if event.post_id == after.id]
    made += [event for change in changes for event in change.events]
    stored = raced.found.events[after.id]
    assert Counter(_name(event) for event in stored) == Counter(_name(event) for event in made)
    for post_status, event_type in (
        (PostStatus.CANCELED, "post.cancelled"),
        (PostStatus.PUBLISHED, "post.published"),
        (PostStatus.PARTIALLY_PUBLISHED, "post.partially_published"),
    ):
        became = sum(
            change.after.status is post_status
            and change.before is not None
            and change.before.status is not post_status
            for change in changes
        )
        before = sum(event.type == event_type for event in raced.round.events)
        told = sum(event.type == event_type and event.post_id == after.id for event in stored)
        assert told == became + before, f"{event_type} was told {told} times, for {became} times"


def _check_sent(raced: Raced, before: Post, after: Post, changes: Sequence[Change]) -> None:
    """Check that each target was sent once for a claim at most, under the workflow claimed for."""
    claimed = Counter(
        (new.id, old.workflow_id)
        for change in changes
        if change.before is not None
        for old in change.before.targets
        for new in (change.after.target(old.id),)
        if new is not None and new.claim_id != old.claim_id
    )
    for target_id, workflows in raced.found.sent.items():
        mine = [workflow for workflow in workflows if workflow != "before"]
        for workflow, times in Counter(mine).items():
            if any(target_id == target.id for target in (*before.targets, *after.targets)):
                assert times <= claimed[target_id, workflow], (
                    f"{target_id} was sent {times} times under {workflow}"
                )
        target = after.target(target_id)
        if target is not None and workflows:
            assert target.status is TargetStatus.PUBLISHED, f"{target_id} was sent: {target.status}"
        if target is not None and target.status is TargetStatus.PUBLISHED:
            assert len(workflows) == 1, f"{target_id} is PUBLISHED, and was sent {workflows}"


def _check_fire(raced: Raced, done: Done) -> None:
    """Check that no fire began what another arming was in force for."""
    if done.act.does != "fire":
        return
    post = raced.round.posts[done.act.post]
    for each in done.committed:
        before = each.change.before
        began = each.change.after.status is PostStatus.PUBLISHING
        if before is not None and before.status is PostStatus.SCHEDULED and began:
            assert before.workflow_id == f"{post.id}-{done.act.given['generation']}", "a stale fire"


def _check_core(raced: Raced, committed: Sequence[Committed]) -> None:
    """Check what the tests of the core do, on what was found."""
    core = Core()
    core.changes = [each.change for each in committed]
    core.acts = [each.act for each in committed]
    for post in raced.found.posts:
        core.posts.commit(Change(before=None, after=post))
        core._check_end(post)
    for target_id, workflows in raced.found.sent.items():
        core.watched.sent += [target_id for workflow in workflows if workflow != "before"]
        if workflows:
            core.platform.posts[target_id] = _public(target_id)
    promises = [promise for done in raced.done for promise in done.promises]
    # Nothing that is told to be canceled can have been sent before either.
    core.promises = [replace(promise, sent_before=0) for promise in promises]
    core.check(at_rest=False)
    begun_anew = core._begun_anew()
    for done in raced.race:
        cancellation = done.body.get("cancellation") if isinstance(done.body, Mapping) else None
        if done.told != "200" or cancellation is None:
            continue
        for told in cancellation["targets"]:
            found = core.post(done.body["id"]).target(told["id"])
            anew = any(
                target_id == told["id"] and version > done.body["version"]
                for target_id, version in begun_anew
            )
            if found is not None and not anew:
                assert found.status in OUTCOMES[told["outcome"]], (told, found.status)


def _rows(post: Post | None) -> tuple[Row, ...]:
    return () if post is None else (_alone(post), *post.targets)


def _alone(row: Row) -> Row:
    """Return a post's own row: of its targets it has their ids, which are compared by theirs."""
    return replace(row, targets=()) if isinstance(row, Post) else row


def _of(post: Post | None, row_id: str) -> Row | None:
    return next((row for row in _rows(post) if row.id == row_id), None)


def _name(event: Event) -> tuple[str, str, int]:
    return event.id, event.type, event.version_after


def _told(each: Committed) -> str:
    before = "nothing" if each.change.before is None else each.change.before.status
    written = [f"{write.row.id}@{write.row.revision}" for write in each.change.writes]
    return f"{each.act}: {before} → {each.change.after.status}, {written}"


def _public(target_id: str) -> PublicPost:
    return PublicPost(
        target_id=target_id,
        account_id="",
        text="",
        attachments=(),
        external=ExternalPost(id=target_id, url="", reference={}),
    )
