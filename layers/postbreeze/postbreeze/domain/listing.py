"""Where posts stand in a listing: upcoming ones first, soonest first, then the rest, newest first.

A post's spot changes only when it becomes scheduled, ceases to be, or gets another time. It keeps
its latest former spots, so that a listing, which is read page by page, can show every post where it
stood when the listing began, however it moves meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from postbreeze.domain.documents import timestamp
from postbreeze.domain.post import FormerSpot, Part, Post, PostStatus, Spot

MOST_FORMER_SPOTS = 4
"""How many former spots a post keeps."""

UPCOMING_BEGINS = Spot(part=Part.UPCOMING, key="")
REST_BEGINS = Spot(part=Part.REST, key="~")
END = Spot(part=Part.REST, key="")
"""Where the parts begin and the second ends; no post stands there."""


def spot_of(post: Post) -> Spot:
    """Return where a post stands now; no two posts stand at one spot."""
    if post.status is PostStatus.SCHEDULED and post.scheduled_at is not None:
        return Spot(part=Part.UPCOMING, key=f"{timestamp(post.scheduled_at)}#{post.id}")
    return Spot(part=Part.REST, key=f"{timestamp(post.created_at)}#{post.id}")


def spot_at(spot: Spot, former_spots: Sequence[FormerSpot], at: datetime) -> Spot:
    """Return where a post stood at a moment, as far as its former spots tell.

    A post that was not there yet gets its first spot.
    """
    return next((former.spot for former in former_spots if former.until > at), spot)


def moved(before: Post, after: Post, now: datetime) -> Post:
    """Return the post with the spot it had before, if that is another one than it has now."""
    spot = spot_of(before)
    if spot == spot_of(after):
        return after
    former = (*before.former_spots, FormerSpot(until=now, spot=spot))
    return replace(after, former_spots=former[-MOST_FORMER_SPOTS:])
