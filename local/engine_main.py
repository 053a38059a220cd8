"""Starts MiniStack. Run by the engine's own interpreter, which has MiniStack and nothing of ours.

A few things are set right on the way: how it treats EventBridge schedules, which permissions it
asks of a role, how it reads an index, how many workers a queue has, that a queue is fair over its
groups, and how long a function takes to start. A MiniStack that does not have what is changed here
stops at once instead of running unchanged.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import tempfile
import threading
import time
import zipfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# Otherwise one-shot schedules are looked for every ten seconds, and fire up to ten seconds late.
SCHEDULE_TICK_SECONDS = 0.5

# AWS asks for the permission of the single call when many are made in one.
ACTION_OF_BATCH = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sns:PublishBatch": "sns:Publish",
}

# A group that has more than this share of what is being worked on lets the others go first.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html
NOISY_SHARE = 0.1


def quicken_schedules(scheduler: Any) -> None:
    """Make schedules fire within half a second of their time."""
    if not hasattr(scheduler, "_SCHEDULE_TICK_INTERVAL"):
        message = "MiniStack's schedule tick is not where it was; see requirements/ministack.in"
        raise SystemExit(message)
    scheduler._SCHEDULE_TICK_INTERVAL = SCHEDULE_TICK_SECONDS  # noqa: SLF001


def name_schedule_groups(iam_actions: Any) -> None:
    """Make a role's schedule permissions count in the schedule's own group, as on AWS.

    The engine takes every schedule for one of the group `default` when it evaluates a role.
    """
    original = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: dict[str, Any],
        body: bytes,
        query_params: dict[str, Any],
        region: str,
        account_id: str,
    ) -> str:
        arn: str = original(service, method, path, headers, body, query_params, region, account_id)
        prefix, default, name = arn.partition(":schedule/default/")
        if service != "scheduler" or not default:
            return arn
        told = query_params.get("groupName")
        if told is None and body:
            told = json.loads(body).get("GroupName")
        group = told[0] if isinstance(told, list) else told
        return f"{prefix}:schedule/{group or 'default'}/{name}"

    iam_actions.extract_resource_arn = extract_resource_arn


def ask_for_single_actions(iam_actions: Any) -> None:
    """Make a role that may make a call able to make it in batches, as on AWS."""
    original = iam_actions.extract_iam_action

    def extract_iam_action(*told: Any, **named: Any) -> str | None:
        action: str | None = original(*told, **named)
        return None if action is None else ACTION_OF_BATCH.get(action, action)

    iam_actions.extract_iam_action = extract_iam_action


def count_workers(lambda_service: Any) -> None:
    """Take the number of a queue's workers for one also where a parameter of the stack says it.

    The engine leaves such a number the text that it is given as, and then reads no queue at all.
    """
    original = lambda_service._sqs_esm_concurrency  # noqa: SLF001

    def concurrency(mapping: dict[str, Any], *told: Any, **named: Any) -> int:
        scaling = {key: int(value) for key, value in (mapping.get("ScalingConfig") or {}).items()}
        most: int = original({**mapping, "ScalingConfig": scaling}, *told, **named)
        return most

    lambda_service._sqs_esm_concurrency = concurrency  # noqa: SLF001


def be_fair(sqs: Any) -> None:
    """Make a standard queue fair over its message groups, as on AWS, where the engine has one line.

    AWS tells a noisy group by its share of the messages or of the time that consumers spend, and
    then gives out what others have first. Here it is the share of the messages, however few, since
    a machine has few consumers. A message without a group is a group of its own.
    """
    original = sqs._collect_msgs  # noqa: SLF001

    def collect(queue: dict[str, Any], *told: Any) -> list[Any]:
        if queue["is_fifo"]:
            return list(original(queue, *told))
        now = time.time()
        working = Counter(
            message.get("group_id") or message["id"]
            for message in queue["messages"]
            if message.get("receive_count") and message.get("visible_at", 0) > now
        )
        most = NOISY_SHARE * working.total()
        noisy = {group for group, count in working.items() if count > most}
        # Sorting keeps those of one kind in their order, and the queue itself stays as it is.
        ordered = sorted(queue["messages"], key=lambda message: message.get("group_id") in noisy)
        return list(original({**queue, "messages": ordered}, *told))

    sqs._collect_msgs = collect  # noqa: SLF001


def share_layers(lambda_runtime: Any) -> None:
    """Unpack each layer once and link to it, where the engine unpacks it for every worker.

    Workers only read their layers. Without this a few that start together take many seconds.
    """
    if lambda_runtime.zipfile is not zipfile:
        message = "MiniStack unpacks layers in another way; see requirements/ministack.in"
        raise SystemExit(message)
    one_at_a_time = threading.Lock()

    class SharingZipFile(zipfile.ZipFile):
        def extractall(self, path: Any = None, members: Any = None, pwd: Any = None) -> None:
            if not Path(path or ".").name.startswith("layer_"):
                super().extractall(path, members, pwd)
                return
            digest = hashlib.sha256(Path(str(self.filename)).read_bytes()).hexdigest()
            shared = Path(tempfile.gettempdir(), "layers", digest)
            with one_at_a_time:
                if not shared.exists():
                    fresh = shared.with_suffix(".new")
                    super().extractall(fresh, members, pwd)
                    fresh.rename(shared)
            for entry in shared.iterdir():
                Path(path, entry.name).symlink_to(entry)

    lambda_runtime.zipfile = SimpleNamespace(
        ZipFile=SharingZipFile,
        BadZipFile=zipfile.BadZipFile,
        LargeZipFile=zipfile.LargeZipFile,
        LargeFileError=zipfile.LargeZipFile,  # the engine's own misspelling
    )


def main() -> None:
    """Run the engine until it is told to stop."""
    quicken_schedules(importlib.import_module("ministack.services.scheduler"))
    iam_actions = importlib.import_module("ministack.core.iam_actions")
    name_schedule_groups(iam_actions)
    ask_for_single_actions(iam_actions)
    # Found beside this file: the engine's interpreter does not know the package.
    indexes = importlib.import_module("engine_indexes")
    indexes.read_in_order(importlib.import_module("ministack.services.dynamodb"))
    count_workers(importlib.import_module("ministack.services.lambda_svc"))
    be_fair(importlib.import_module("ministack.services.sqs"))
    share_layers(importlib.import_module("ministack.core.lambda_runtime"))
    importlib.import_module("ministack.app").main()


if __name__ == "__main__":
    main()
