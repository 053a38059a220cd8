"""Rows of who may do what and where: workspaces, members, social accounts and API keys."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute

from postbreeze.adapters.dynamodb import keys
from postbreeze.adapters.dynamodb.items.common import (
    FIRST_REVISION,
    ChoiceAttribute,
    MomentAttribute,
    Row,
    TextsAttribute,
    attributes,
)
from postbreeze.domain.access import ApiKey, Grant, Member, Role, Workspace
from postbreeze.domain.post import AccountStatus, Platform, SocialAccount


class TextSetAttribute(TextsAttribute):
    """Several texts of which each counts once, written in order of the alphabet."""

    def __init__(self, kind: type[str] = str, **options: Any) -> None:
        """Keep what the texts are made into when they are read."""
        super().__init__(**options)
        self._kind = kind

    def serialize(self, value: Collection[str]) -> list[dict[str, str]]:
        """Write them."""
        return [{"S": str(text)} for text in sorted(value)]

    def deserialize(self, value: Any) -> Any:
        """Read them."""
        return frozenset(self._kind(text["S"]) for text in value)


class WorkspaceRow(Row):
    """A workspace."""

    id = UnicodeAttribute()
    name = UnicodeAttribute()
    created_at = MomentAttribute(attr_name="createdAt")
    held_at = MomentAttribute(null=True, attr_name="heldAt")
    hold_reason = UnicodeAttribute(null=True, attr_name="holdReason")
    post_limit = NumberAttribute(null=True, attr_name="postLimit")
    updated_at = MomentAttribute(null=True, attr_name="updatedAt")


class UsageRow(Row):
    """How many posts were created in a workspace in a month; its revision is that number."""


class MemberRow(Row):
    """A membership."""

    workspace_id = UnicodeAttribute(attr_name="workspaceId")
    user_id = UnicodeAttribute(attr_name="userId")
    role = ChoiceAttribute(Role)
    created_at = MomentAttribute(attr_name="createdAt")


class AccountRow(Row):
    """A social account."""

    id = UnicodeAttribute()
    workspace_id = UnicodeAttribute(attr_name="workspaceId")
    platform = ChoiceAttribute(Platform)
    display_name = UnicodeAttribute(attr_name="displayName")
    external_account_id = UnicodeAttribute(attr_name="externalAccountId")
    handle = UnicodeAttribute(null=True)
    status = ChoiceAttribute(AccountStatus)
    created_at = MomentAttribute(attr_name="createdAt")
    sealed_credentials = BinaryAttribute(
        null=True, attr_name="sealedCredentials", legacy_encoding=False
    )
    disconnected_at = MomentAttribute(null=True, attr_name="disconnectedAt")


class AccountPlaceRow(Row):
    """Where an account is connected, for those who know only its id."""

    workspace_id = UnicodeAttribute(attr_name="workspaceId")


class KnownAccountRow(Row):
    """Which account of a workspace stands for one on a platform; there is one at most."""

    account_id = UnicodeAttribute(attr_name="accountId")


class KeyRow(Row):
    """An API key, with what its requests are counted in.

    Its end is not its row's, which stays to say that the key has ended.
    """

    id = UnicodeAttribute()
    digest = UnicodeAttribute()
    owner_user_id = UnicodeAttribute(attr_name="ownerUserId")
    name = UnicodeAttribute()
    hint = UnicodeAttribute()
    created_at = MomentAttribute(attr_name="createdAt")
    workspace_ids = TextSetAttribute(null=True, attr_name="workspaceIds")
    grants = TextSetAttribute(Grant)
    expires_at = MomentAttribute(null=True, attr_name="validUntil")
    revoked_at = MomentAttribute(null=True, attr_name="revokedAt")
    requests_per_minute = NumberAttribute(attr_name="requestsPerMinute")
    requests_per_quarter_hour = NumberAttribute(attr_name="requestsPerQuarterHour")
    cursor_secret = BinaryAttribute(attr_name="cursorSecret", legacy_encoding=False)
    minute = NumberAttribute(null=True)
    minute_left = NumberAttribute(null=True, attr_name="minuteLeft")
    quarter_hour = NumberAttribute(null=True, attr_name="quarterHour")
    quarter_hour_left = NumberAttribute(null=True, attr_name="quarterHourLeft")


def workspace_row(workspace: Workspace) -> WorkspaceRow:
    """Make the row of a workspace."""
    return WorkspaceRow(keys.workspace(workspace.id), keys.WORKSPACE, **attributes(workspace))


def member_row(member: Member) -> MemberRow:
    """Make the row of a membership."""
    return MemberRow(
        keys.workspace(member.workspace_id), keys.MEMBERS + member.user_id, **attributes(member)
    )


def account_row(account: SocialAccount) -> AccountRow:
    """Make the row of a social account."""
    return AccountRow(
        keys.workspace(account.workspace_id), keys.ACCOUNTS + account.id, **attributes(account)
    )


def account_place_row(account: SocialAccount) -> AccountPlaceRow:
    """Make the row that tells where an account is connected."""
    return AccountPlaceRow(
        keys.account(account.id),
        keys.ACCOUNT,
        workspace_id=account.workspace_id,
        revision=FIRST_REVISION,
    )


def known_account_row(account: SocialAccount) -> KnownAccountRow:
    """Make the row that keeps an account from being connected twice."""
    return KnownAccountRow(
        keys.workspace(account.workspace_id),
        keys.external(account.platform, account.external_account_id),
        account_id=account.id,
        revision=FIRST_REVISION,
    )


def key_row(key: ApiKey) -> KeyRow:
    """Make the row of an API key."""
    return KeyRow(keys.key(key.digest), keys.KEY, **attributes(key))
