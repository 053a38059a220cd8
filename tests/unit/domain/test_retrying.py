"""Publishing at once what failed, or the first comment that did."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postbreeze.domain import lifecycle
from postbreeze.domain.changes import Change, PublishTarget
from postbreeze.domain.errors import (
    FirstCommentNotRetriableError,
    NotFoundError,
    NothingToRetryError,
    RateLimitedError,
)
from postbreeze.domain.lifecycle import (
    COMMENT_COOLDOWN,
    FIRST_COMMENT_PENDING,
    NOT_COMPLETED,
    OUTCOME_UNKNOWN,
    Failed,
    Published,
    Released,
    Result,
)
from postbreeze.domain.post import Post, PostStatus, TargetStatus
from tests.support.builders import a_post
from tests.support.fakes import START

NOW = START + timedelta(hours=2)
S, P, D = TargetStatus.SCHEDULED, TargetStatus.PUBLISHED, TargetStatus.DRAFT
F, C, X, G = (
    TargetStatus.FAILED,
    TargetStatus.CANCELED,
    TargetStatus.SKIPPED,
    TargetStatus.PUBLISHING,
)


def retry(post: Post) -> Change:
    return lifecycle.retry(post, now=NOW, actor="usr_1")


@pytest.mark.parametrize("status", PostStatus)
def test_every_state_is_retried_or_refused(status: PostStatus) -> None:
    # Given
    post = a_post(status, (P, F, C, X, F))
    # When / Then
    if status not in {PostStatus.PUBLISHING, PostStatus.PARTIALLY_PUBLISHED, PostStatus.FAILED}:
        with pytest.raises(NothingToRetryError) as refused:
            retry(post)
        assert refused.value.status == status
        return
    change = retry(post)
    after = change.after
    assert after.status is PostStatus.PUBLISHING
    assert [target.status for target in after.targets] == [P, S, C, X, S]
    for index in (0, 2, 3):
        assert after.targets[index] == post.targets[index]
    is_new = status is not PostStatus.PUBLISHING
    assert after.generation == post.generation + is_new
    assert after.workflow_id == f"{post.id}-{after.generation}"
    assert after.pending_workflow_id is None
    assert after.revision == post.revision + 1
    for index in (1, 4):
        again = after.targets[index]
        assert (again.workflow_id, again.scheduled_for) == (after.workflow_id, NOW)
        assert (again.error_code, again.attempt_count) == (None, 0)
        assert lifecycle.is_claimable(after, again.id, str(after.workflow_id))
    assert change.effects == tuple(
        PublishTarget(
            workspace_id=post.workspace_id,
            post_id=post.id,
            target_id=post.targets[index].id,
            workflow_id=str(after.workflow_id),
        )
        for index in (1, 4)
    )
    assert change.events == ()
    assert after.attention_at == NOW + lifecycle.LEASE


@pytest.mark.parametrize(
    ("status", "targets"),
    [
        (PostStatus.PUBLISHING, (G, S)),
        (PostStatus.PUBLISHED, (P, P)),
        (PostStatus.PARTIALLY_PUBLISHED, (P, C)),
        (PostStatus.CANCELED, (F, C)),
    ],
)
def test_there_must_be_something_that_failed(
    status: PostStatus, targets: tuple[TargetStatus, ...]
) -> None:
    with pytest.raises(NothingToRetryError):
        retry(a_post(status, targets))


def test_a_message_of_before_publishes_nothing_of_what_is_retried() -> None:
    post = a_post(PostStatus.FAILED)
    after = retry(post).after
    assert not lifecycle.is_claimable(after, post.targets[0].id, f"{post.id}-1")


def test_what_is_retried_is_never_missed() -> None:
    # Given a post that failed because it was hours late
    post = retry(a_post(PostStatus.FAILED, (F,), scheduled_at=START)).after
    # When
    change = lifecycle.claim(post, post.targets[0].id, str(post.workflow_id), "claim-2", now=NOW)
    # Then
    assert change is not None
    assert change.after.targets[0].status is G


KEPT = "the code of before"

ENDS: list[tuple[Result, TargetStatus, str | None]] = [
    (Published(external_post_id="1", external_url="https://x.example/1"), P, None),
    (Failed(code="NO", message="No."), F, KEPT),
    (Failed(code=OUTCOME_UNKNOWN, message="Who knows."), F, OUTCOME_UNKNOWN),
    (Failed(code=NOT_COMPLETED, message="Not there."), F, NOT_COMPLETED),
    (Released(code="LATER", message="Later."), S, KEPT),
]


@pytest.mark.parametrize("before", [OUTCOME_UNKNOWN, NOT_COMPLETED])
@pytest.mark.parametrize(("result", "status", "code"), ENDS)
def test_that_it_may_be_public_is_kept_until_it_is_published(
    result: Result, status: TargetStatus, code: str | None, before: str
) -> None:
    # Given
    post = a_post(PostStatus.FAILED, (F,))
    unknown = replace(post.targets[0], error_code=before, error_message="Who knows.")
    post = retry(replace(post, targets=(unknown,))).after
    assert post.targets[0].error_code == before
    claimed = lifecycle.claim(post, unknown.id, str(post.workflow_id), "claim-2", now=NOW)
    assert claimed is not None
    # When
    settled = lifecycle.settle(claimed.after, unknown.id, "claim-2", result, now=NOW)
    # Then
    assert settled is not None
    target = settled.after.targets[0]
    assert (target.status, target.error_code) == (status, before if code == KEPT else code)


# The first comment


def owing(post_status: PostStatus = PostStatus.PUBLISHED, **fields: Any) -> Post:
    post = a_post(post_status, (P, P))
    target = replace(
        post.targets[0],
        **{
            "first_comment": "First!",
            "first_comment_error": "PLATFORM_REJECTED",
            "first_comment_attempt": 1,
            "workflow_id": f"{post.id}-1",
            **fields,
        },
    )
    return replace(post, targets=(target, post.targets[1]))


def again(post: Post, at: Any = NOW) -> Change:
    return lifecycle.retry_first_comment(post, post.targets[0].id, now=at, actor="usr_1")


@pytest.mark.parametrize("status", PostStatus)
def test_a_comment_that_is_owed_is_made_whatever_the_post_is(status: PostStatus) -> None:
    # Given
    post = owing(status)
    target = post.targets[0]
    # When
    change = again(post)
    # Then
    after = change.after.targets[0]
    assert after.first_comment_error == FIRST_COMMENT_PENDING
    assert after.first_comment_retried_at == NOW
    assert (after.status, after.first_comment_attempt) == (P, 1)
    assert change.after.targets[1] == post.targets[1]
    assert change.after.status is post.status
    assert change.effects == (
        PublishTarget(
            workspace_id=post.workspace_id,
            post_id=post.id,
            target_id=target.id,
            workflow_id=f"{post.id}-1",
        ),
    )
    assert change.after.attention_at is not None
    # And it is sent again if that message is lost
    later = NOW + lifecycle.OVERDUE_AFTER
    sent = [message.target_id for message in lifecycle.stalled(change.after, now=later)]
    assert target.id in sent


@pytest.mark.parametrize(
    "fields",
    [
        *({"status": status} for status in TargetStatus if status is not P),
        {"first_comment": None},
        {"first_comment_error": None},
        {"external_post_id": None},
        {"published_at": None},
        {"workflow_id": None},
    ],
)
def test_a_comment_that_is_not_owed_is_refused(fields: dict[str, Any]) -> None:
    post = owing(**fields)
    with pytest.raises(FirstCommentNotRetriableError) as refused:
        again(post)
    assert refused.value.status == post.targets[0].status


def test_a_target_of_another_post_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        lifecycle.retry_first_comment(owing(), "tgt_other", now=NOW, actor="usr_1")


@pytest.mark.parametrize("field", ["published_at", "first_comment_retried_at"])
def test_a_comment_is_not_asked_for_again_for_half_a_minute(field: str) -> None:
    # Given
    moments: dict[str, Any] = {field: NOW}
    post = owing(**moments)
    # When / Then
    with pytest.raises(RateLimitedError) as refused:
        again(post, NOW + timedelta(seconds=10))
    assert refused.value.retry_after_ms == 20_000
    assert again(post, NOW + COMMENT_COOLDOWN).after.version > post.version


def test_a_retry_excludes_whoever_ends_the_publishing_meanwhile() -> None:
    # Given a post whose own row a retry would leave just as it is
    post = a_post(PostStatus.PUBLISHING, (P, F), attention_at=NOW + lifecycle.LEASE)
    # When
    change = retry(post)
    # Then it is written all the same
    assert change.after.revision == post.revision + 1


def test_a_retry_while_the_rest_is_published_is_under_the_same_workflow() -> None:
    # Given
    post = a_post(PostStatus.PUBLISHING, (S, F), workflow_id="in-force")
    # When
    change = retry(post)
    # Then
    assert change.after.workflow_id == "in-force"
    assert change.after.targets[1].workflow_id == "in-force"
