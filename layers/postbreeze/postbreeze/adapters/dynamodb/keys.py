"""How rows are named, and which shard of an index they are in.

========== ============================== ================ =====================================
table      pk                             sk               row
========== ============================== ================ =====================================
posts      ``POST#<id>``                  ``POST``         a post, with its media
posts      ``POST#<id>``                  ``TARGET#<id>``  one of its targets
posts      ``POST#<id>``                  ``EVENT#<id>``   an event: outbox row, then timeline
posts      ``IDEMPOTENCY#<digest>#<key>`` ``REQUEST``      a stored answer
posts      ``ACCOUNT#<id>``               ``EVENT#<id>``   an event of an account
posts      ``ACCOUNT#<id>``               ``DISCONNECTION`` what a disconnect leaves to be done
posts      ``WORKSPACE#<id>``             ``USAGE#<month>`` how many posts were created
workspaces ``WORKSPACE#<id>``             ``WORKSPACE``    a workspace
workspaces ``WORKSPACE#<id>``             ``MEMBER#<id>``  a membership
workspaces ``WORKSPACE#<id>``             ``ACCOUNT#<id>`` a social account
workspaces ``WORKSPACE#<id>``             ``EXTERNAL#<…>`` which account stands for a platform's
workspaces ``ACCOUNT#<id>``               ``ACCOUNT``      where an account is connected
workspaces ``KEY#<digest>``               ``KEY``          an API key
webhooks   ``WORKSPACE#<id>``             ``ENDPOINT#<id>`` an endpoint
webhooks   ``ENDPOINT#<id>``              ``ENDPOINT``     where an endpoint is
webhooks   ``ENDPOINT#<id>``              ``HEALTH``       how it is
webhooks   ``ENDPOINT#<id>``              ``PACE``         when it may be sent the next request
webhooks   ``ENDPOINT#<id>``              ``DELIVERY#<id>`` a delivery
media      ``ASSET#<id>``                 ``ASSET``        an asset of the media library
media      ``ASSET#<id>``                 ``POST#<id>``    a post that has needed it
========== ============================== ================ =====================================
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final
from zlib import crc32

from postbreeze.domain import ids

SHARDS: Final = 4
"""How many partitions an index over time is spread over."""

POST: Final = "POST"
WORKSPACE: Final = "WORKSPACE"
ACCOUNT: Final = "ACCOUNT"
KEY: Final = "KEY"
ASSET: Final = "ASSET"
ENDPOINT: Final = "ENDPOINT"
HEALTH: Final = "HEALTH"
PACE: Final = "PACE"
REQUEST: Final = "REQUEST"
DISCONNECTION: Final = "DISCONNECTION"

TARGETS: Final = "TARGET#"
EVENTS: Final = "EVENT#"
MEMBERS: Final = "MEMBER#"
ACCOUNTS: Final = "ACCOUNT#"
ENDPOINTS: Final = "ENDPOINT#"
DELIVERIES: Final = "DELIVERY#"
POSTS: Final = "POST#"

POST_AND_TARGETS: Final = (POST, TARGETS + "~")
"""A post's own row and its targets, first and last; events sort before them."""

DUE: Final = "DUE"
ARMING: Final = "ARMING"
PENDING: Final = "PENDING"
DISCONNECTIONS: Final = "DISCONNECTIONS"
DUE_ENDPOINTS: Final = "ENDPOINTS"


def post(post_id: str) -> str:
    """Return the partition of a post."""
    return f"POST#{post_id}"


def subject(identifier: str) -> str:
    """Return the partition of what an event is about, a post or an account, in the posts table."""
    return account(identifier) if ids.is_id(ids.ACCOUNT, identifier) else post(identifier)


def external(platform: str, external_id: str) -> str:
    """Return the sort key of one platform's account; its id may have any length and characters."""
    return f"EXTERNAL#{platform}#{sha256(external_id.encode()).hexdigest()}"


def usage(month: str) -> str:
    """Return the sort key of a workspace's count of posts in a month."""
    return f"USAGE#{month}"


def answer(key_digest: str, idempotency_key: str) -> str:
    """Return the partition of a stored answer."""
    return f"IDEMPOTENCY#{key_digest}#{idempotency_key}"


def workspace(workspace_id: str) -> str:
    """Return the partition of a workspace, in either table that has one."""
    return f"WORKSPACE#{workspace_id}"


def listing(workspace_id: str, of: str) -> str:
    """Return the partition of an index with a workspace's posts of one part, or of one status."""
    return f"{workspace(workspace_id)}#{of}"


def account(account_id: str) -> str:
    """Return the partition of what is kept of an account alone, in either table that has one."""
    return f"ACCOUNT#{account_id}"


def key(digest: str) -> str:
    """Return the partition of an API key."""
    return f"KEY#{digest}"


def endpoint(endpoint_id: str) -> str:
    """Return the partition of an endpoint's deliveries, and of what is kept of it alone."""
    return f"ENDPOINT#{endpoint_id}"


def waiting(endpoint_id: str, status: str) -> str:
    """Return the partition of an index with an endpoint's deliveries of one status."""
    return f"{status}#{endpoint_id}"


def asset(asset_id: str) -> str:
    """Return the partition of an asset and of the posts that have needed it."""
    return f"ASSET#{asset_id}"


def identifier(of: str) -> str:
    """Return the identifier in a pk or sk that ends with one."""
    return of.partition("#")[2]


def shard(index: str, identifier: str) -> str:
    """Return the partition of an index that an identifier always falls into."""
    return f"{index}#{crc32(identifier.encode()) % SHARDS}"


def shards(index: str) -> tuple[str, ...]:
    """Return all partitions of an index."""
    return tuple(f"{index}#{number}" for number in range(SHARDS))
