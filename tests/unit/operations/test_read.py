"""Reading a post."""

from __future__ import annotations

import pytest

from postbreeze.domain.access import Role
from postbreeze.domain.documents import post_document
from postbreeze.domain.errors import NotFoundError, UnauthorizedError
from postbreeze.domain.post import PostStatus
from tests.support.builders import a_post
from tests.support.core import OTHER_WORKSPACE, STRANGER, USERS, WORKSPACE, Core


@pytest.mark.parametrize("role", Role)
def test_every_member_may_read(role: Role) -> None:
    # Given
    core = Core()
    post = core.created()
    # When
    answer = core.read_post(role.value.lower(), post.id)
    # Then
    assert (answer.status, answer.body) == (200, post_document(post))


def test_a_key_that_opens_nothing_reads_nothing() -> None:
    core = Core()
    with pytest.raises(UnauthorizedError):
        core.read_post("unknown", core.created().id)


def test_what_is_not_there_for_the_caller_is_not_found() -> None:
    # Given
    core = Core()
    post = core.created()
    gone = core.add_post(a_post(PostStatus.DRAFT, workspace_id=WORKSPACE, deleted_at=core.clock.at))
    owner = USERS[Role.OWNER]
    core.add_key("stranger", owner=STRANGER)
    core.add_key("elsewhere", owner=owner, workspace_ids=frozenset({OTHER_WORKSPACE}))
    # When / Then
    for key, post_id in [
        ("owner", gone.id),
        ("owner", "post_00000000000000000000000000"),
        ("stranger", post.id),
        ("elsewhere", post.id),
    ]:
        with pytest.raises(NotFoundError):
            core.read_post(key, post_id)
