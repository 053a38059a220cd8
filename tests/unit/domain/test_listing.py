"""Where posts stand in a listing, and where they stood."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from postbreeze.domain import ids, lifecycle, listing
from postbreeze.domain.changes import change
from postbreeze.domain.documents import timestamp
from postbreeze.domain.listing import END, MOST_FORMER_SPOTS, REST_BEGINS, UPCOMING_BEGINS
from postbreeze.domain.post import FormerSpot, Part, PostStatus, Spot
from tests.support.builders import LATER, USER_ID, a_post, an_id
from tests.support.fakes import START

SECOND = timedelta(seconds=1)


def test_upcoming_posts_come_soonest_first_and_the_rest_newest_first() -> None:
    # Given
    soon = a_post(scheduled_at=LATER)
    late = a_post(scheduled_at=LATER + SECOND)
    young = a_post(PostStatus.DRAFT, created_at=START + SECOND)
    old = a_post(PostStatus.PUBLISHED, created_at=START)
    # When
    posts = sorted([old, late, young, soon], key=listing.spot_of)
    # Then
    assert posts == [soon, late, young, old]


def test_the_parts_begin_before_their_posts_and_end_after_them() -> None:
    # Given
    upcoming, rest = listing.spot_of(a_post()), listing.spot_of(a_post(PostStatus.DRAFT))
    # Then
    assert UPCOMING_BEGINS < upcoming < REST_BEGINS < rest < END
    assert sorted([END, rest, REST_BEGINS, upcoming, UPCOMING_BEGINS]) == [
        UPCOMING_BEGINS,
        upcoming,
        REST_BEGINS,
        rest,
        END,
    ]


def test_posts_of_one_moment_stand_at_different_spots() -> None:
    # Given
    first, second = a_post(), a_post()
    # Then
    assert len({listing.spot_of(first), listing.spot_of(second)}) == 2
    assert listing.spot_of(first).post_id == first.id


@pytest.mark.parametrize("status", set(PostStatus) - {PostStatus.SCHEDULED})
def test_whatever_is_not_scheduled_stands_by_its_age(status: PostStatus) -> None:
    post = a_post(status)
    expected = Spot(part=Part.REST, key=f"{timestamp(post.created_at)}#{post.id}")
    assert listing.spot_of(post) == expected


def test_a_change_that_moves_a_post_keeps_where_it_was() -> None:
    # Given
    post = a_post()
    # When
    canceled = lifecycle.cancel(post, actor=USER_ID, now=START + SECOND).change.after
    # Then
    assert canceled.former_spots == (FormerSpot(until=START + SECOND, spot=listing.spot_of(post)),)


def test_a_change_that_leaves_a_post_where_it_is_keeps_nothing() -> None:
    # Given
    post = a_post()
    # When
    edited = change(post, replace(post, caption="Other"), now=START + SECOND, actor=USER_ID).after
    # Then
    assert edited.caption == "Other"
    assert edited.former_spots == ()


def test_a_post_that_changes_its_time_moves() -> None:
    # Given
    post = a_post()
    # When
    wanted = replace(post, scheduled_at=LATER + SECOND)
    later = change(post, wanted, now=START + SECOND, actor=USER_ID).after
    # Then
    assert [former.spot for former in later.former_spots] == [listing.spot_of(post)]


def test_where_a_post_stood_is_told_of_any_moment() -> None:
    # Given a post that stood at three spots
    spots = [Spot(part=Part.UPCOMING, key=f"{number}#{an_id(ids.POST)}") for number in range(3)]
    former = [
        FormerSpot(until=START + SECOND, spot=spots[0]),
        FormerSpot(until=START + 2 * SECOND, spot=spots[1]),
    ]
    # Then each is told until the moment it was left
    told = [
        listing.spot_at(spots[2], former, START + number * SECOND / 2).key[0] for number in range(6)
    ]
    assert told == ["0", "0", "1", "1", "2", "2"]


def test_only_the_latest_former_spots_are_kept() -> None:
    # Given
    post = a_post()
    # When it moves more often than it keeps
    for number in range(MOST_FORMER_SPOTS + 2):
        moved = replace(post, scheduled_at=LATER + number * SECOND + SECOND)
        post = listing.moved(post, moved, START + number * SECOND)
    # Then
    assert [former.until for former in post.former_spots] == [
        START + number * SECOND for number in range(2, MOST_FORMER_SPOTS + 2)
    ]


@pytest.mark.parametrize("part", Part)
def test_a_post_that_was_shown_does_not_come_after_itself(part: Part) -> None:
    spot = Spot(part=part, key=f"{timestamp(LATER)}#{an_id(ids.POST)}")
    assert not spot < spot  # noqa: PLR0124  # what a page begins after is not on it
    assert spot <= spot  # noqa: PLR0124
