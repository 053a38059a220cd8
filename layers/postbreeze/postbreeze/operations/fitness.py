"""Whether a post is fit to be published: its accounts, times, media, and its platforms' rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from postbreeze.domain import lifecycle
from postbreeze.domain.documents import post_document, to_json
from postbreeze.domain.errors import Detail, PlatformRuleError, ValidationError
from postbreeze.domain.media import (
    NO_ASSETS,
    Asset,
    check_assets,
    check_number,
    named_assets,
)
from postbreeze.domain.platform_rules import (
    TextMeasures,
    contents_of_draft,
    contents_of_post,
    violations,
)
from postbreeze.domain.post import (
    AccountStatus,
    Platform,
    Post,
    PostDraft,
    PostStatus,
    SocialAccount,
    TargetStatus,
)
from postbreeze.operations import gate
from postbreeze.operations.media.library import Library
from postbreeze.operations.ports import Place

LARGEST_DOCUMENT = 300_000
"""Bytes of a post as JSON, above which an event that carries it, with what publishing adds to each
of 50 targets, could pass the 400 KB of a row in DynamoDB: such a post could never be cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitness:
    """Judges what clients want before it is committed."""

    library: Library
    measures: TextMeasures

    def of_draft(
        self, draft: PostDraft, place: Place, workspace_id: str, now: datetime
    ) -> Mapping[str, Asset]:
        """Return the assets that a draft names, if all that it says can be done.

        Raises:
            ValidationError: Accounts, times or media have faults; all of them are named.
            PlatformRuleError: Its platforms would not take it.
        """
        assets: Mapping[str, Asset] = NO_ASSETS
        # Nothing is read for a client that names more than a post can have.
        faults_of_media = check_number(draft)
        if not faults_of_media:
            assets = self.library.named(workspace_id, named_assets(draft))
            faults_of_media = check_assets(draft, assets)
        details = [*_faults(draft, place.accounts, now), *faults_of_media]
        if details:
            raise ValidationError(details)
        broken = violations(contents_of_draft(draft, platforms_of(place), assets), self.measures)
        if broken:
            raise PlatformRuleError(broken)
        return assets

    def of_post(self, post: Post, place: Place) -> None:
        """Let a post pass that is about to be scheduled, or to wait for the approval to be.

        Raises:
            ValidationError: An account cannot be published to any more.
            PlatformRuleError: Its platforms would not take it.
            WorkspaceOnHoldError: Its workspace is held.
        """
        if post.status is PostStatus.SCHEDULED:
            gate.not_held(place.workspace)
        going = {
            target.id
            for target in post.targets
            if target.status in {TargetStatus.SCHEDULED, TargetStatus.DRAFT}
        }
        details = [
            Detail(f"targets.{index}.socialAccountId", fault)
            for index, target in enumerate(post.targets)
            if target.id in going
            and (fault := _fault_of_account(place.accounts.get(target.social_account_id)))
        ]
        if details:
            raise ValidationError(details)
        broken = violations(contents_of_post(post, going), self.measures)
        if broken:
            raise PlatformRuleError(broken)


def platforms_of(place: Place) -> Mapping[str, Platform]:
    """Return each account's platform, by the account's id."""
    return {account.id: account.platform for account in place.accounts.values()}


def check_size(post: Post) -> None:
    """Let a post pass that can be stored, whatever becomes of it.

    Raises:
        ValidationError: It is too large.
    """
    if len(to_json(post_document(post))) > LARGEST_DOCUMENT:
        raise ValidationError.of("body", "makes a post that is too large to be stored")


def _faults(draft: PostDraft, accounts: Mapping[str, SocialAccount], now: datetime) -> list[Detail]:
    if draft.flat_shape:
        listed, account_field = "platforms", "accountId"
        time_field, draft_time_field = "scheduledFor", "draftScheduledFor"
    else:
        listed, account_field = "targets", "socialAccountId"
        time_field, draft_time_field = "scheduledAt", "draftScheduledAt"
    details = []
    seen: set[str] = set()
    for index, wanted in enumerate(draft.targets):
        path = f"{listed}.{index}.{account_field}"
        account_fault = _fault_of_account(accounts.get(wanted.social_account_id))
        if wanted.social_account_id in seen:
            details.append(Detail(path, "names an account that is listed before"))
        elif account_fault is not None:
            details.append(Detail(path, account_fault))
        seen.add(wanted.social_account_id)
    # A time to publish at makes the time to note on a draft of no account.
    path, at = time_field, draft.scheduled_for
    if at is None:
        path, at = draft_time_field, draft.draft_scheduled_for
    fault = None if at is None else lifecycle.fault_of_time(at, now)
    if fault is not None:
        details.append(Detail(path, fault))
    return details


def _fault_of_account(account: SocialAccount | None) -> str | None:
    if account is None:
        return "is not an account of the post's workspace"
    if account.status is not AccountStatus.ACTIVE:
        return f"is an account that is {account.status}, not ACTIVE"
    return None
