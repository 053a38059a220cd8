"""Listing posts, page by page.

Upcoming scheduled posts come first, soonest first; then all others, newest first. A listing has a
beginning, which its cursors carry. What it shows of a post is the post as it is; where it shows it
is where the post stood when the listing began (see ``domain.listing``). So:

- Every post that is there from the beginning to the end of a listing is shown exactly once, even
  if it is cancelled, published, edited, scheduled or rescheduled meanwhile.
- A post that is created meanwhile is shown once or not at all; one that is deleted, likewise.
- With ``status``, it is exactly once for those that have it from the beginning to the end; what
  gets or loses it meanwhile is shown once or not at all.

Its bounds: a change that is being committed in the very moment in which the listing begins or the
page is read may count as later or earlier than that, and an index may be behind by more than
``INDEX_LAG``: then the post that changes may be shown twice or be left out. The same goes for a
post that moves more often in one listing than it keeps former spots, and for posts that move when
more than ``MOST_MOVED`` others in their workspace do so later in one listing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from heapq import merge
from itertools import chain
from typing import Any

from postbreeze.domain.access import READERS, ApiKey
from postbreeze.domain.documents import post_document, timestamp, to_json
from postbreeze.domain.errors import ValidationError
from postbreeze.domain.listing import END, REST_BEGINS, UPCOMING_BEGINS, spot_at, spot_of
from postbreeze.domain.post import Part, Post, PostStatus, Spot
from postbreeze.operations import cursors, gate
from postbreeze.operations.ports import Clock, Directory, PostStore, Together
from postbreeze.operations.workspaces import reached

MOST_POSTS = 100
"""The most posts that a page may be asked for."""

MOST_WORKSPACES = 50
"""The most workspaces that are listed together. Each costs a query or two, and one of its moves."""

MOST_MOVED = 4_000
"""How many moved posts of a workspace are looked at for a page: at about 350 bytes each, 1.4 MB."""

LARGEST_PAGE = 5_500_000
"""Bytes at which a page ends early: with all around it, a function answers 6,291,556 at most. They
are counted as a text within JSON, with all but ASCII escaped, as some runtimes hand answers on."""

INDEX_LAG = timedelta(seconds=10)
"""For how long an index may not show a move yet."""

_MOST_ROUNDS = 5
"""How often a page that is not full yet reads on; it ends early then, with a cursor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListCommand:
    """A client's wish for a page; without a workspace, of all that its key reaches."""

    key_digest: str
    workspace_id: str | None = None
    status: PostStatus | None = None
    limit: int
    cursor: str | None = None

    @property
    def purpose(self) -> tuple[str | None, ...]:
        """What a cursor is bound to."""
        return ("posts", self.workspace_id, self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Posts as documents, and the cursor of the next page if there may be one."""

    posts: Sequence[Mapping[str, Any]]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPosts:
    """Lists posts for any member of their workspaces."""

    posts: PostStore
    directory: Directory
    together: Together
    clock: Clock

    def __call__(self, command: ListCommand) -> Page:
        """Answer with a page. It may have fewer posts than asked for, and yet a cursor.

        Raises:
            RefusalError: Not allowed, or the cursor is not one of this key for these filters.
            UnavailableError: The database did not answer.
        """
        now = self.clock.now()
        key = gate.usable(self.directory.admit(command.key_digest), now)
        begin, end = _bounds(command.status)
        position = _Position(spot=begin, since=now)
        if command.cursor is not None:
            position = _read(cursors.read(key.cursor_secret, command.purpose, command.cursor))
        reading = _Reading(
            posts=self.posts,
            together=self.together,
            command=command,
            position=position,
            end=end,
        )
        self._open(reading, key)
        posts, next_spot = reading.page()
        if next_spot == end:
            return Page(posts=posts, cursor=None)
        following = _written(_Position(spot=next_spot, since=reading.since))
        return Page(posts=posts, cursor=cursors.sign(key.cursor_secret, command.purpose, following))

    def _open(self, reading: _Reading, key: ApiKey) -> None:
        """Find the workspaces that may be read, and read of their indexes what comes next."""
        workspace_id = reading.command.workspace_id
        if workspace_id is None:
            found = [member.workspace_id for member in reached(self.directory, key)]
            if len(found) > MOST_WORKSPACES:
                raise ValidationError.of(
                    "query.workspaceId",
                    f"must be given: this key reaches more than {MOST_WORKSPACES} workspaces",
                )
            self.together.run(*reading.opening(found))
            return
        gate.workspace_named(key, workspace_id)
        member, *_ = self.together.run(
            lambda: self.directory.member(workspace_id, key.owner_user_id),
            *reading.opening([workspace_id]),
        )
        gate.permitted(member, READERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Position:
    """After which spot a page begins, and when its listing began."""

    spot: Spot
    since: datetime


@dataclass(slots=True, kw_only=True)
class _Reading:
    """The making of one page.

    ``reached`` is up to where all posts are known; ``found`` are those, with their spots, and
    others that were met on the way. ``candidates`` are the spots of posts that moved, which are
    known once it ``has_looked`` for them.
    """

    posts: PostStore
    together: Together
    command: ListCommand
    position: _Position
    end: Spot
    since: datetime = field(init=False)
    reached: Spot = field(init=False)
    workspaces: Sequence[str] = ()
    ahead: dict[tuple[str, Part], Sequence[Spot]] = field(default_factory=dict)
    has_looked: bool = False
    candidates: dict[str, Spot] = field(default_factory=dict)
    found: dict[str, tuple[Spot, Post]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.since = self.position.since
        self.reached = self.position.spot

    @property
    def is_by_place(self) -> bool:
        """Tell whether posts are shown where they stood; in one status they all stay in place."""
        return self.command.status in (None, PostStatus.SCHEDULED)

    def opening(self, workspaces: Sequence[str]) -> Sequence[Callable[[], None]]:
        """Return the first calls, which are independent of each other."""
        self.workspaces = workspaces
        parts = [self.reached.part]
        if self.reached == UPCOMING_BEGINS and self.end == END:
            # Most pages that begin with what is upcoming go on with the rest.
            parts.append(Part.REST)
        return [partial(self._look_ahead, each, part) for part in parts for each in workspaces]

    def page(self) -> tuple[list[Mapping[str, Any]], Spot]:
        """Return the posts of the page, and the spot after which the next one begins."""
        for _ in range(_MOST_ROUNDS):
            self._read_on()
            if self.reached == self.end or len(self._listed()) >= self.command.limit:
                break
        return self._cut(self._listed())

    def _look_ahead(self, workspace_id: str, part: Part) -> None:
        after = self.reached if part is self.reached.part else REST_BEGINS
        status = self.command.status
        limit = self._missing() + 1
        self.ahead[workspace_id, part] = self.posts.listed(workspace_id, after, limit, status)

    def _look_for_moves(self) -> None:
        self.has_looked = True
        since = self.since - INDEX_LAG
        found = self.together.run(
            *(partial(self.posts.moved, each, since, MOST_MOVED) for each in self.workspaces)
        )
        for moves in found:
            if len(moves) == MOST_MOVED:
                # Of those before nothing is known: from here on they stand where they are.
                self.since = max(self.since, moves[-1].moved_at)
        for moved in chain.from_iterable(found):
            spot = spot_at(moved.spot, moved.former_spots, self.since)
            self.candidates[moved.spot.post_id] = spot

    def _read_on(self) -> None:
        """Read the posts of the next stretch and take it as reached."""
        part = self.reached.part
        unread = [] if self._is_ahead(part) else self.workspaces
        self.together.run(*(partial(self._look_ahead, each, part) for each in unread))
        if self.is_by_place and (unread or not self.has_looked):
            # Asked for last: whatever is not listed any more where it was has moved by now.
            self._look_for_moves()
        wanted: set[str] = set()
        reached, missing = self.reached, self._missing()
        while len(wanted) < missing and reached != self.end and self._is_ahead(reached.part):
            spots, reached = self._stretch(reached.part, missing - len(wanted))
            wanted |= {spot.post_id for spot in spots}
        wanted |= {
            post_id
            for post_id, spot in self.candidates.items()
            if self.position.spot < spot <= reached
        }
        for post_id, post in self.posts.read_many(sorted(wanted - self.found.keys())).items():
            # An index that is behind lists a post where it was: it is shown where it is.
            self.found[post_id] = (self._spot(post), post)
        self.reached = reached

    def _is_ahead(self, part: Part) -> bool:
        return all((each, part) in self.ahead for each in self.workspaces)

    def _stretch(self, part: Part, most: int) -> tuple[Sequence[Spot], Spot]:
        """Return the next spots of a part, and up to where there are no others."""
        spots = list(merge(*(self.ahead.pop((each, part)) for each in self.workspaces)))
        if len(spots) > most:
            return spots[:most], spots[most - 1]
        return spots, REST_BEGINS if part is Part.UPCOMING else self.end

    def _spot(self, post: Post) -> Spot:
        spot = spot_of(post)
        return spot_at(spot, post.former_spots, self.since) if self.is_by_place else spot

    def _missing(self) -> int:
        return self.command.limit - len(self._listed())

    def _listed(self) -> list[tuple[Spot, Post]]:
        """Return what is to be shown of the posts that stand between the beginning and here."""
        shown = (
            (spot, post)
            for spot, post in self.found.values()
            if self.position.spot < spot <= self.reached
            and post.deleted_at is None
            and self.command.status in (None, post.status)
        )
        return sorted(shown, key=lambda each: each[0])

    def _cut(self, listed: Iterable[tuple[Spot, Post]]) -> tuple[list[Mapping[str, Any]], Spot]:
        documents: list[Mapping[str, Any]] = []
        last, size = self.position.spot, 0
        for spot, post in listed:
            document = post_document(post)
            size += len(json.dumps(to_json(document).decode()))
            if len(documents) == self.command.limit or (documents and size > LARGEST_PAGE):
                return documents, last
            documents.append(document)
            last = spot
        return documents, self.reached


def _bounds(status: PostStatus | None) -> tuple[Spot, Spot]:
    """Return between which spots posts of a status stand; None is for all of them."""
    if status is None:
        return UPCOMING_BEGINS, END
    return (UPCOMING_BEGINS, REST_BEGINS) if status is PostStatus.SCHEDULED else (REST_BEGINS, END)


def _written(position: _Position) -> dict[str, str]:
    return {
        "part": position.spot.part,
        "after": position.spot.key,
        "since": timestamp(position.since),
    }


def _read(payload: Mapping[str, str]) -> _Position:
    return _Position(
        spot=Spot(part=Part(payload["part"]), key=payload["after"]),
        since=datetime.fromisoformat(payload["since"]),
    )
