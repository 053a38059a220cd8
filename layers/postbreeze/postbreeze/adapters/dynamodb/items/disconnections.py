"""Rows of what disconnects leave to be done."""

from __future__ import annotations

from pynamodb.attributes import BooleanAttribute, UnicodeAttribute

from postbreeze.adapters.dynamodb import keys
from postbreeze.adapters.dynamodb.items.common import MomentAttribute, Row, attributes
from postbreeze.domain.disconnection import Disconnection


class DisconnectionRow(Row):
    """What a disconnect leaves to be done."""

    account_id = UnicodeAttribute(attr_name="accountId")
    workspace_id = UnicodeAttribute(attr_name="workspaceId")
    actor = UnicodeAttribute()
    disconnected_at = MomentAttribute(attr_name="disconnectedAt")
    pass_began_at = MomentAttribute(null=True, attr_name="passBeganAt")
    after = UnicodeAttribute(null=True)
    is_flawed = BooleanAttribute(attr_name="isFlawed")
    due_partition = UnicodeAttribute(attr_name="duePartition")
    due_at = MomentAttribute(attr_name="dueAt")


def disconnection_row(work: Disconnection) -> DisconnectionRow:
    """Make the row of what a disconnect leaves to be done."""
    return DisconnectionRow(
        keys.account(work.account_id),
        keys.DISCONNECTION,
        **attributes(work),
        due_partition=keys.shard(keys.DISCONNECTIONS, work.account_id),
    )
