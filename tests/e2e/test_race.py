"""A cancel and a fire meet on the deployed stack: each target goes out once or not at all."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any

import pytest

from tests.e2e.client import Api, Reply, is_too_late, lines, wait_until

pytestmark = pytest.mark.e2e

Stack = Mapping[str, Any]
WAVES = 17
POSTS_A_WAVE = 12
COLD_LEAD, LEAD = 12, 3
"""Seconds from a wave's creation to its moment; the first one finds cold functions."""

SEED = 20260615


def test_each_target_is_published_once_or_canceled_never_both(
    stack: Stack, record_property: Callable[[str, object], None]
) -> None:
    # Given posts on two accounts each, in waves that all come due in the same second
    chance = random.Random(SEED)
    api = Api(stack)
    rounds: list[tuple[dict[str, Any], Any]] = []
    with ThreadPoolExecutor(POSTS_A_WAVE) as threads:
        for wave in range(WAVES):
            posts, due = _wave(api, threads, LEAD if wave else COLD_LEAD)
            # When each is canceled by a thread of its own at about the moment it fires
            delays = [chance.uniform(0.0, 2.0) for _ in posts]
            replies = threads.map(_cancel_at, repeat(api), posts, repeat(due), delays)
            rounds += list(zip(posts, replies, strict=True))
    # Then every post comes to rest, and each target is where its cancel said it would be
    tally: Counter[str] = Counter()
    finals = [_wait_for_rest(api, post["id"]) for post, _ in rounds]
    published = Counter(
        line["body"]["record"]["text"]
        for line in lines(stack["platform"]["log"])
        if str(line["method"]).endswith("createRecord") and line["status"] == 200
    )
    for (post, reply), final in zip(rounds, finals, strict=True):
        promised = _promises(reply)
        for before, target in zip(post["targets"], final["targets"], strict=True):
            times = published[before["captionOverride"]]
            assert times <= 1, f"{target['id']} was published {times} times"
            assert times == (target["status"] == "PUBLISHED"), target
            outcome = promised.get(target["id"], "not canceled")
            if outcome == "canceled":
                assert target["status"] == "CANCELED", target
            else:
                assert target["status"] == "PUBLISHED", (outcome, target)
            tally[f"{outcome} -> {target['status']}"] += 1
    report = [f"cancel against fire: {len(rounds)} rounds, {sum(tally.values())} targets, 0 both"]
    report += [f"  {what}: {count}" for what, count in sorted(tally.items())]
    record_property("told", "\n".join(report))
    assert len(rounds) >= 200
    # And the race was a race: neither side always won
    statuses = {what.rpartition(" ")[2] for what in tally}
    assert statuses == {"CANCELED", "PUBLISHED"}


def _wave(
    api: Api, threads: ThreadPoolExecutor, lead: float
) -> tuple[list[dict[str, Any]], datetime]:
    """Create posts that are due together; given up for a later wave if a machine is too slow."""
    while True:
        due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=lead)
        replies = list(threads.map(_two_targets, repeat(api, POSTS_A_WAVE), repeat(due)))
        if not any(is_too_late(reply) for reply in replies):
            assert {reply.status for reply in replies} == {201}, replies
            return [reply.body for reply in replies], due
        lead *= 2


def _two_targets(api: Api, due: datetime) -> Reply:
    tag = f"race {random.getrandbits(64):x}"
    accounts = api.stack["accounts"]["BLUESKY"][:2]
    return api.call(
        "POST",
        "/posts",
        {
            "targets": [
                {"socialAccountId": account, "captionOverride": f"{tag} on {account}"}
                for account in accounts
            ],
            "scheduledAt": due.isoformat(),
        },
    )


def _cancel_at(api: Api, post: Mapping[str, Any], due: datetime, delay: float) -> Any:
    time.sleep(max(0.0, due.timestamp() + delay - time.time()))
    key = f"race {post['id']}"
    reply = api.cancel(post["id"], Idempotency_Key=key)
    while reply.status == 503:
        # The machine is too slow; as any client would, this one asks again.
        reply = api.cancel(post["id"], Idempotency_Key=key)
    assert reply.status in {200, 400}, reply
    return reply


def _promises(reply: Any) -> dict[str, str]:
    said = reply.body["cancellation"]["targets"] if reply.status == 200 else []
    return {target["id"]: target["outcome"] for target in said}


def _wait_for_rest(api: Api, post_id: str) -> dict[str, Any]:
    return wait_until(lambda: api.rested(post_id), f"{post_id} to come to rest", seconds=90)
