"""Editing a post: its targets and media are replaced, and it is armed anew if it has a time."""

from __future__ import annotations

from dataclasses import dataclass, replace

from postbreeze.domain import lifecycle
from postbreeze.domain.access import EDITORS, ApiKey
from postbreeze.domain.errors import ValidationError
from postbreeze.domain.post import Post, PostDraft, PostStatus, needed_assets
from postbreeze.operations import gate
from postbreeze.operations.answers import Answer
from postbreeze.operations.changing import ChangePost, Decision, PostRequest
from postbreeze.operations.fitness import Fitness, check_size, platforms_of

MOST_ROWS = 98
"""How many rows one edit may concern: with the member and the stored answer they are the 100 that
one transaction in DynamoDB can have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditCommand:
    """A client's wish for how a post should be."""

    request: PostRequest
    draft: PostDraft


@dataclass(frozen=True, slots=True, kw_only=True)
class EditPost:
    """Edits a post that is not being, and has not been, published."""

    change_post: ChangePost
    fitness: Fitness

    def __call__(self, command: EditCommand) -> Answer:
        """Edit, and answer with the post.

        From the commit on no older schedule can publish anything of it, and nothing goes out with
        the old content; a new schedule will be made even if this process dies.

        Raises:
            RefusalError: Not allowed, not there, in no state for it, malformed, not fit to be
                published, or it would be scheduled into a held workspace; nothing was written.
            ContendedError: The post kept moving; nothing was written.
            UnavailableError: The database did not answer; it may have been written.
        """
        draft = command.draft

        def decide(post: Post, key: ApiKey) -> Decision:
            now = self.change_post.clock.now()
            place = self.change_post.directory.member_and_accounts(
                post.workspace_id,
                key.owner_user_id,
                {wanted.social_account_id for wanted in draft.targets},
            )
            member = gate.permitted(place.member, EDITORS)
            lifecycle.check_editable(post)
            assets = self.fitness.of_draft(
                replace(draft, caption=post.caption if draft.caption is None else draft.caption),
                place,
                post.workspace_id,
                now,
            )
            change = lifecycle.edit(
                post,
                draft,
                platforms=platforms_of(place),
                editor=key.owner_user_id,
                role=member.role,
                now=now,
                assets=assets,
            )
            after = change.after
            check_size(after)
            needed = needed_assets(after) - needed_assets(post)
            rows = (*change.writes, *change.removed, *change.relied_on, *needed)
            if len(rows) > MOST_ROWS:
                raise ValidationError.of(
                    "platforms" if draft.flat_shape else "targets",
                    "exchanges too many accounts and media at once; do it in two steps",
                )
            if after.status is PostStatus.SCHEDULED:
                gate.not_held(place.workspace)
            return Decision(change=change, roles=frozenset({member.role}))

        return self.change_post(command.request, decide, roles=EDITORS)
