"""Publishing at once what failed, and first comments that did."""

from __future__ import annotations

import pytest

from postbreeze.domain.errors import (
    FirstCommentNotRetriableError,
    NotFoundError,
    NothingToRetryError,
    RateLimitedError,
    WorkspaceOnHoldError,
)
from postbreeze.domain.post import Post, PostStatus, TargetStatus
from tests.support.builders import a_workspace, an_id
from tests.support.core import A_SECOND, AN_HOUR, WORKSPACE, Core
from tests.support.platforms import Accident


@pytest.fixture
def core() -> Core:
    return Core()


def ended(core: Core, *accidents: Accident | None, first_comment: str | None = None) -> Post:
    """Publish a post with as many targets as accidents, and let it end."""
    post = core.created(len(accidents), first_comment=first_comment)
    core.advance(AN_HOUR)
    core.platform.publish_accidents.extend(accidents)
    core.fire_due()
    core.drain_messages()
    return core.post(post.id)


def test_only_what_failed_is_published_and_at_once(core: Core) -> None:
    # Given
    before = ended(core, None, Accident.REFUSED)
    # When
    body = core.retry(before.id).body
    # Then
    assert body["status"] == "PUBLISHING"
    assert [target["status"] for target in body["targets"]] == ["PUBLISHED", "SCHEDULED"]
    core.drain_messages()
    core.check()
    after = core.post(before.id)
    assert after.status is PostStatus.PUBLISHED
    assert after.targets[0] == before.targets[0]
    assert core.platform.attempts == {before.targets[0].id: 1, before.targets[1].id: 2}
    assert core.events(before.id)[-2:] == ["post.partially_published", "post.published"]


def test_a_target_that_fails_again_can_be_retried_again(core: Core) -> None:
    # Given
    post = ended(core, Accident.REFUSED)
    for number in range(2, 5):
        core.platform.publish_accidents.append(Accident.REFUSED)
        core.retry(post.id)
        core.drain_messages()
        assert core.post(post.id).workflow_id is None
        assert core.post(post.id).generation == number
    core.check()
    assert core.events(post.id).count("post.failed") == 4


def test_a_retry_whose_messages_are_lost_is_made_up_for(core: Core) -> None:
    # Given
    post = ended(core, Accident.REFUSED)
    core.retry(post.id)
    core.publish_queue.sent.clear()
    # When
    core.drain()
    # Then
    core.check()
    assert core.post(post.id).status is PostStatus.PUBLISHED


def test_an_outcome_that_nobody_knows_is_retried_without_publishing_twice(core: Core) -> None:
    # Given
    post = core.created(1)
    core.advance(AN_HOUR)
    core.platform.publish_accidents.append(Accident.LOST_ANSWER)
    core.fire_due()
    account = post.targets[0].social_account_id
    core.before("platform.find", lambda: core.platform.passwords.update({account: "changed"}))
    core.drain_messages()
    assert core.post(post.id).targets[0].error_code == "PUBLISH_OUTCOME_UNKNOWN"
    core.platform.passwords[account] = "right"
    # When
    core.retry(post.id)
    core.drain()
    # Then
    core.check()
    assert core.post(post.id).targets[0].status is TargetStatus.PUBLISHED
    assert core.platform.publishes.total() == 1


def test_there_must_be_something_to_retry(core: Core) -> None:
    post = core.created()
    with pytest.raises(NothingToRetryError) as refused:
        core.retry(post.id)
    assert refused.value.status == "SCHEDULED"
    assert core.post(post.id) == post


def test_nothing_is_retried_in_a_held_workspace(core: Core) -> None:
    post = ended(core, Accident.REFUSED)
    core.directory.add_workspace(a_workspace(id=WORKSPACE, held_at=core.clock.at))
    with pytest.raises(WorkspaceOnHoldError):
        core.retry(post.id)
    assert core.post(post.id) == post


def test_a_cancel_after_a_retry_stops_what_has_not_begun(core: Core) -> None:
    # Given
    post = ended(core, None, Accident.REFUSED)
    core.retry(post.id)
    # When
    core.cancel(post.id)
    core.drain()
    # Then
    core.check()
    assert core.platform.attempts[post.targets[1].id] == 1
    assert core.post(post.id).status is PostStatus.CANCELED
    with pytest.raises(NothingToRetryError):
        core.retry(post.id)


# The first comment


def owing(core: Core) -> Post:
    core.platform.comment_accidents.append(Accident.REFUSED)
    post = ended(core, None, first_comment="First!")
    assert post.targets[0].first_comment_error == "PLATFORM_REJECTED"
    return post


def test_a_first_comment_is_made_and_its_post_is_not_published_again(core: Core) -> None:
    # Given
    post = owing(core)
    core.advance(30 * A_SECOND)
    # When
    body = core.retry_comment(post.id, post.targets[0].id).body
    # Then
    assert body["targets"][0]["firstCommentError"] == "FIRST_COMMENT_PENDING"
    core.drain()
    core.check()
    target = core.post(post.id).targets[0]
    assert (target.first_comment_error, target.first_comment_attempt) == (None, 2)
    assert list(core.platform.comments.values()) == ["First!"]
    assert core.platform.attempts.total() == 1
    with pytest.raises(FirstCommentNotRetriableError):
        core.retry_comment(post.id, target.id)


def test_a_first_comment_is_not_asked_for_again_for_half_a_minute(core: Core) -> None:
    # Given
    post = owing(core)
    target_id = post.targets[0].id
    with pytest.raises(RateLimitedError) as refused:
        core.retry_comment(post.id, target_id)
    assert refused.value.retry_after_ms == 30_000
    core.advance(30 * A_SECOND)
    core.platform.comment_accidents.append(Accident.REFUSED)
    core.retry_comment(post.id, target_id)
    core.drain_messages()
    # When / Then
    core.advance(29 * A_SECOND)
    with pytest.raises(RateLimitedError):
        core.retry_comment(post.id, target_id)
    core.advance(A_SECOND)
    assert core.retry_comment(post.id, target_id).status == 200


def test_a_first_comment_of_a_post_on_the_clock_again_is_made(core: Core) -> None:
    # Given what was published in part, cancelled and rescheduled
    core.platform.comment_accidents.append(Accident.REFUSED)
    post = ended(core, None, Accident.REFUSED, first_comment="First!")
    core.cancel(post.id)
    core.advance(30 * A_SECOND)
    core.schedule(post.id)
    # When
    core.retry_comment(post.id, post.targets[0].id)
    core.publish_queue.sent.clear()
    core.drain()
    # Then
    core.check()
    end = core.post(post.id)
    assert end.status is PostStatus.PUBLISHED
    assert [target.first_comment_error for target in end.targets] == [None, None]
    assert core.platform.comments.keys() == {str(target.external_post_id) for target in end.targets}


def test_an_unknown_target_is_not_found(core: Core) -> None:
    with pytest.raises(NotFoundError):
        core.retry_comment(owing(core).id, an_id("tgt"))
