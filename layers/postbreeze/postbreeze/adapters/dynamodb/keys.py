"""How rows are named, and which shard of an index they are in.

========== ============================== ================ =====================================
table      pk                             sk               row
========== ============================== ================ =====================================
posts      ``POST#<id>``                  ``POST``         a post, with its media
posts      ``POST#<id>``                  ``TARGET#<id>``  one of its targets
posts      ``POST#<id>``                  ``EVENT#<id>``   an event: outbox row, then timeline
posts      ``IDEMPOTENCY#<digest>#<key>`` ``REQUEST``      a stored answer
workspaces ``WORKSPACE#<id>``             ``WORKSPACE``    a workspace
workspaces ``WORKSPACE#<id>``             ``MEMBER#<id>``  a membership
workspaces ``WORKSPACE#<id>``             ``ACCOUNT#<id>`` a social account
workspaces ``ACCOUNT#<id>``               ``ACCOUNT``      where an account is connected
workspaces ``KEY#<digest>``               ``KEY``          an API key
webhooks   ``WORKSPACE#<id>``             ``ENDPOINT#<id>`` an endpoint
webhooks   ``ENDPOINT#<id>``              ``DELIVERY#<id>`` a delivery
========== ============================== ================ =====================================
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

SHARDS: Final = 4
"""How many partitions an index over time is spread over."""

POST: Final = "POST"
WORKSPACE: Final = "WORKSPACE"
ACCOUNT: Final = "ACCOUNT"
KEY: Final = "KEY"
REQUEST: Final = "REQUEST"

TARGETS: Final = "TARGET#"
EVENTS: Final = "EVENT#"
MEMBERS: Final = "MEMBER#"
ACCOUNTS: Final = "ACCOUNT#"
ENDPOINTS: Final = "ENDPOINT#"
DELIVERIES: Final = "DELIVERY#"

POST_AND_TARGETS: Final = (POST, TARGETS + "~")
"""A post's own row and its targets, first and last; events sort before them."""

DUE: Final = "DUE"
PENDING: Final = "PENDING"


def post(post_id: str) -> str:
    """Return the partition of a post."""
    return f"POST#{post_id}"


def answer(key_digest: str, idempotency_key: str) -> str:
    """Return the partition of a stored answer."""
    return f"IDEMPOTENCY#{key_digest}#{idempotency_key}"


def workspace(workspace_id: str) -> str:
    """Return the partition of a workspace, in either table that has one."""
    return f"WORKSPACE#{workspace_id}"


def account(account_id: str) -> str:
    """Return the partition that tells where an account is connected."""
    return f"ACCOUNT#{account_id}"


def key(digest: str) -> str:
    """Return the partition of an API key."""
    return f"KEY#{digest}"


def endpoint(endpoint_id: str) -> str:
    """Return the partition of an endpoint's deliveries."""
    return f"ENDPOINT#{endpoint_id}"


def identifier(of: str) -> str:
    """Return the identifier in a pk or sk that ends with one."""
    return of.partition("#")[2]


def shard(index: str, identifier: str) -> str:
    """Return the partition of an index that an identifier always falls into."""
    return f"{index}#{crc32(identifier.encode()) % SHARDS}"


def shards(index: str) -> tuple[str, ...]:
    """Return all partitions of an index."""
    return tuple(f"{index}#{number}" for number in range(SHARDS))
