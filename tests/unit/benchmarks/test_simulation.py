"""A burst in virtual time, small enough to be played with every change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.published import read
from benchmarks.simulation import Aws, Queue, Seen, Setting, as_deployed
from postbreeze.domain.post import PostStatus

POSTS = 40


def played(**changes: object) -> Seen:
    setting = as_deployed(**{"posts": POSTS, "workspaces": 4, **changes})
    return Aws(setting, read()).play()


@pytest.fixture(scope="module")
def seen() -> Seen:
    return played()


def test_every_post_goes_out_once_and_every_event_arrives_once(seen: Seen) -> None:
    assert seen.outcomes == {PostStatus.PUBLISHED: POSTS}
    assert len(seen.started) == len(seen.published) == len(seen.webhooks) == POSTS
    assert seen.handled["start"] == seen.handled["publish"] == seen.handled["fan out"] == POSTS
    assert not seen.repairs


def test_nothing_happens_before_what_it_follows_from(seen: Seen) -> None:
    assert min(seen.started) > 0
    assert min(seen.published) > min(seen.started)
    assert min(seen.webhooks) > 0
    assert seen.ended >= max(seen.published)


def test_a_seed_tells_all_of_it(seen: Seen) -> None:
    again, other = played(), played(seed=2)
    assert again == seen
    assert other.published != seen.published


def test_fewer_workers_make_posts_wait(seen: Seen) -> None:
    # Given half as many workers as come to be used
    usual = as_deployed()
    few = played(publish=replace(usual.publish, workers=2))
    # Then posts go out later, and none is lost
    assert few.outcomes == seen.outcomes
    assert max(few.published) > max(seen.published)
    assert max(few.waited["publish"]) > max(seen.waited["publish"])


def test_one_with_many_posts_does_not_make_the_others_wait() -> None:
    # Given a workspace with nine in ten of the posts, and hardly any workers
    usual = as_deployed()
    few = replace(usual.publish, workers=1)
    seen = played(largest=0.9, publish=few)
    # Then the others are through when most of its posts still wait
    assert len(seen.others) == POSTS // 10
    assert max(seen.others) < sorted(seen.published)[POSTS // 2]


def test_the_setting_is_the_template_s() -> None:
    assert as_deployed(posts=7) == Setting(
        publish=Queue(workers=50, batch=1, visible_again=720),
        fan_out=Queue(workers=10, batch=5, visible_again=180),
        prompt=Queue(workers=50, batch=1, visible_again=180),
        late=Queue(workers=20, batch=1, visible_again=180),
        posts=7,
    )
