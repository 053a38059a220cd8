"""Disconnecting a social account, and cancelling what it has on scheduled posts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from postbreeze.domain import disconnection, lifecycle
from postbreeze.domain.access import MANAGERS, ApiKey
from postbreeze.domain.changes import Change
from postbreeze.domain.disconnection import Disconnection
from postbreeze.domain.documents import account_document
from postbreeze.domain.errors import (
    ContendedError,
    LostRaceError,
    NotFoundError,
    PostbreezeError,
    UnavailableError,
)
from postbreeze.domain.post import Post, SocialAccount
from postbreeze.operations import gate
from postbreeze.operations.answers import Answer
from postbreeze.operations.effects import Effects
from postbreeze.operations.ports import (
    AccessLostError,
    Clock,
    Directory,
    Disconnections,
    MembershipGuard,
    PostStore,
    Telemetry,
    Together,
)
from postbreeze.operations.races import MOST_RACES, decide

PATIENCE: Final = timedelta(seconds=2)
"""How long a client's request cancels targets; the reconciler does the others."""

PAGE: Final = 25
"""After how many posts it is written down how far a pass has got."""

MOST_OUTAGES: Final = 3
"""After so many outages in a row a pass is left for later: each may cost seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishDisconnect:
    """Cancels what a disconnected account has on scheduled posts, from where it was left off."""

    disconnections: Disconnections
    posts: PostStore
    effects: Effects
    clock: Clock
    telemetry: Telemetry

    def __call__(self, account_id: str, *, until: datetime) -> bool:
        """Go on for as long as there is time, with at least one post; tell whether it got on.

        Every post is cancelled as by a client who chose the account's targets. Doing this again,
        at the same time or after a crash at any point, cancels nothing twice.

        Raises:
            UnavailableError: The database does not answer; what is left is found again.
        """
        work = self.disconnections.work(account_id)
        while work is not None:
            begun = disconnection.passing(work, now=self.clock.now())
            page = self.disconnections.open_posts(account_id, after=begun.after, limit=PAGE)
            done, is_flawed = self._cancel_each(begun, page, until)
            moved = disconnection.advanced(
                begun,
                after=page[done - 1] if done else None,
                is_end=done == len(page) < PAGE,
                is_flawed=is_flawed,
                now=self.clock.now(),
            )
            try:
                if moved is None:
                    self.disconnections.end(work)
                    return True
                self.disconnections.advance(moved, expected_revision=work.revision)
            except LostRaceError:
                # Somebody else is at it.
                return False
            if done < len(page) or moved.due_at > self.clock.now() or self.clock.now() >= until:
                return True
            work = moved
        return False

    def _cancel_each(
        self, work: Disconnection, post_ids: Sequence[str], until: datetime
    ) -> tuple[int, bool]:
        """Cancel on one post after the other; return how many were done, and if one failed."""
        is_flawed = False
        outages = 0
        for number, post_id in enumerate(post_ids):
            if number and self.clock.now() >= until:
                return number, is_flawed
            try:
                self._cancel(work, post_id)
                outages = 0
            except Exception as error:  # a post that cannot be decided stops no other
                self.telemetry.count("DisconnectCancelFailed")
                self.telemetry.warn(
                    "cancelling for a disconnect failed", post_id=post_id, error=repr(error)
                )
                is_flawed = True
                outages = outages + 1 if isinstance(error, UnavailableError) else 0
                if outages == MOST_OUTAGES:
                    raise
        return len(post_ids), is_flawed

    def _cancel(self, work: Disconnection, post_id: str) -> None:
        def decision(post: Post) -> Change | None:
            target_ids = disconnection.targets_to_cancel(post, work.account_id)
            if not target_ids:
                return None
            cancellation = lifecycle.cancel(
                post,
                actor=work.actor,
                now=self.clock.now(),
                reason=disconnection.REASON,
                target_ids=target_ids,
            )
            return cancellation.change

        decided = decide(self.posts, post_id, decision)
        if decided is not None and decided.change is not None:
            self.telemetry.count("DisconnectedTargetsCanceled")
            self.effects.attempt(decided.change)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectAccount:
    """Disconnects a social account for an owner or admin of its workspace."""

    directory: Directory
    disconnections: Disconnections
    finish: FinishDisconnect
    effects: Effects
    together: Together
    clock: Clock
    telemetry: Telemetry

    def __call__(self, key_digest: str, account_id: str) -> Answer:
        """Disconnect, forget the secrets, and answer with the account.

        Once this has answered, nothing begins to be published to the account any more: what was
        not being published at that moment never is. Its targets on scheduled posts are cancelled,
        within two seconds or by the reconciler. An account that is disconnected already is answered
        as it is, and nothing is written.

        Raises:
            RefusalError: Not allowed or not there; nothing was written.
            ContendedError: Other writes kept getting in the way; nothing was written.
            UnavailableError: The database did not answer; repeating the request is safe and tells.
        """
        key, workspace_id = self.together.run(
            lambda: self.directory.admit(key_digest),
            lambda: self.directory.workspace_of_account(account_id),
        )
        key = gate.usable(key, self.clock.now())
        workspace_id = gate.reaches(key, workspace_id)
        for _ in range(MOST_RACES):
            account = self._account(key, workspace_id, account_id)
            disconnecting = disconnection.disconnect(
                account, actor=key.owner_user_id, now=self.clock.now()
            )
            if disconnecting is None:
                return _answer(account)
            guard = MembershipGuard(
                workspace_id=workspace_id, user_id=key.owner_user_id, roles=MANAGERS
            )
            try:
                self.disconnections.begin(disconnecting, guard=guard)
            except (LostRaceError, AccessLostError):
                # Whatever got in the way is read again.
                continue
            self.effects.announce(disconnecting.event)
            self._finish(account_id)
            return _answer(disconnecting.account)
        raise ContendedError

    def _account(self, key: ApiKey, workspace_id: str, account_id: str) -> SocialAccount:
        place = self.directory.member_and_accounts(workspace_id, key.owner_user_id, [account_id])
        gate.permitted(place.member, MANAGERS)
        account = place.accounts.get(account_id)
        if account is None:
            raise NotFoundError
        return account

    def _finish(self, account_id: str) -> None:
        try:
            self.finish(account_id, until=self.clock.now() + PATIENCE)
        except PostbreezeError as error:
            # The account is disconnected: the reconciler goes on from here.
            self.telemetry.warn("disconnect left off", account_id=account_id, error=repr(error))


def _answer(account: SocialAccount) -> Answer:
    return Answer(status=200, body=account_document(account))
