"""Whether a post is fit to be published, asked of the judge itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postbreeze.domain.documents import post_document, to_json
from postbreeze.domain.errors import PlatformRuleError, ValidationError, WorkspaceOnHoldError
from postbreeze.domain.post import AccountStatus, Platform, Post, PostStatus, TargetStatus
from postbreeze.operations.fitness import LARGEST_DOCUMENT, Fitness, check_size, platforms_of
from postbreeze.operations.ports import Place
from tests.support.builders import a_post, a_workspace, an_account
from tests.support.core import WORKSPACE, Core
from tests.support.fakes import START

S, D = TargetStatus.SCHEDULED, TargetStatus.DRAFT
AWAY = [status for status in TargetStatus if status not in {S, D}]


@pytest.fixture
def fitness() -> Fitness:
    return Core().fitness


def where(
    post: Post, status: AccountStatus = AccountStatus.ACTIVE, *, is_held: bool = False
) -> Place:
    """Build the place of a post, all of whose accounts are in one state."""
    accounts = [an_account(id=target.social_account_id, status=status) for target in post.targets]
    return Place(
        member=None,
        workspace=a_workspace(id=WORKSPACE, held_at=START if is_held else None),
        accounts={account.id: account for account in accounts},
    )


def test_a_post_that_fits_passes(fitness: Fitness) -> None:
    post = a_post(PostStatus.SCHEDULED)
    assert fitness.of_post(post, where(post)) is None  # type: ignore[func-returns-value]  # no error


@pytest.mark.parametrize("going", [S, D])
@pytest.mark.parametrize("away", AWAY)
def test_only_targets_that_are_to_go_out_are_judged(
    fitness: Fitness, going: TargetStatus, away: TargetStatus
) -> None:
    # Given
    post = a_post(PostStatus.SCHEDULED, (away, going), caption="a" * 301)
    good = a_post(PostStatus.SCHEDULED, (away,), caption="a" * 301)
    lost = where(post, AccountStatus.REVOKED)
    # When / Then
    with pytest.raises(ValidationError) as refused:
        fitness.of_post(post, lost)
    assert [detail.path for detail in refused.value.details] == ["targets.1.socialAccountId"]
    with pytest.raises(ValidationError):
        fitness.of_post(post, replace(lost, accounts={}))
    with pytest.raises(PlatformRuleError) as broken:
        fitness.of_post(post, where(post))
    assert [detail.path for detail in broken.value.details] == ["caption"]
    fitness.of_post(good, where(good, AccountStatus.REVOKED))


@pytest.mark.parametrize("status", [PostStatus.SCHEDULED, PostStatus.NEEDS_APPROVAL])
def test_a_held_workspace_takes_only_what_waits(fitness: Fitness, status: PostStatus) -> None:
    post = a_post(status)
    held = where(post, is_held=True)
    if status is PostStatus.SCHEDULED:
        with pytest.raises(WorkspaceOnHoldError):
            fitness.of_post(post, held)
    else:
        fitness.of_post(post, held)
    fitness.of_post(post, replace(held, workspace=None))


def test_platforms_are_told_by_account() -> None:
    account = an_account(platform=Platform.THREADS)
    known = Place(member=None, workspace=None, accounts={account.id: account})
    assert platforms_of(known) == {account.id: Platform.THREADS}


def test_a_post_may_be_as_large_as_can_be_stored_and_no_larger() -> None:
    # Given
    post = a_post(PostStatus.DRAFT, caption="")
    room = LARGEST_DOCUMENT - len(to_json(post_document(post)))
    # When / Then
    check_size(replace(post, caption="x" * room))
    with pytest.raises(ValidationError):
        check_size(replace(post, caption="x" * (room + 1)))
