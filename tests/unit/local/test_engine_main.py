"""What is set right in the engine on its way up."""

from __future__ import annotations

import tempfile
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local.engine_main import (
    SCHEDULE_TICK_SECONDS,
    ask_for_single_actions,
    be_fair,
    count_workers,
    name_schedule_groups,
    quicken_schedules,
    share_layers,
)

DEFAULT = "arn:aws:scheduler:us-east-1:000000000000:schedule/default/post_a-1"


def evaluated(
    arn: str, *, service: str = "scheduler", query: dict[str, Any] | None = None, body: bytes = b""
) -> str:
    """Return the ARN that a role is evaluated against when the engine itself would say `arn`."""
    iam_actions = SimpleNamespace(extract_resource_arn=lambda *told: arn)
    name_schedule_groups(iam_actions)
    found: str = iam_actions.extract_resource_arn(
        service, "POST", "/schedules/post_a-1", {}, body, query or {}, "us-east-1", "000000000000"
    )
    return found


@pytest.mark.parametrize(
    ("query", "body", "group"),
    [
        ({"groupName": ["ours"]}, b"", "ours"),
        ({"groupName": "ours"}, b"", "ours"),
        ({}, b'{"GroupName": "ours"}', "ours"),
        ({}, b"{}", "default"),
        ({}, b"", "default"),
    ],
)
def test_a_schedule_counts_in_its_own_group(query: dict[str, Any], body: bytes, group: str) -> None:
    assert evaluated(DEFAULT, query=query, body=body) == DEFAULT.replace("default", group)


@pytest.mark.parametrize("arn", ["*", "arn:aws:scheduler:us-east-1:000000000000:schedule-group/g"])
def test_anything_else_is_left_as_it_is(arn: str) -> None:
    assert evaluated(arn, query={"groupName": "ours"}) == arn
    assert evaluated(DEFAULT, service="sqs", query={"groupName": "ours"}) == DEFAULT


@pytest.mark.parametrize(
    ("asked", "needed"),
    [
        ("sqs:SendMessageBatch", "sqs:SendMessage"),
        ("sqs:SendMessage", "sqs:SendMessage"),
        ("dynamodb:BatchGetItem", "dynamodb:BatchGetItem"),
        (None, None),
    ],
)
def test_a_batch_needs_the_permission_of_its_single_calls(
    asked: str | None, needed: str | None
) -> None:
    iam_actions = SimpleNamespace(extract_iam_action=lambda *told: asked)
    ask_for_single_actions(iam_actions)
    assert iam_actions.extract_iam_action("sqs", "POST", "/", {}, b"", {}) == needed


@pytest.mark.parametrize(
    ("scaling", "workers"),
    [({"MaximumConcurrency": "6"}, 6), ({"MaximumConcurrency": 6}, 6), ({}, 5), (None, 5)],
)
def test_a_queue_has_as_many_workers_as_the_stack_says(
    scaling: dict[str, Any] | None, workers: int
) -> None:
    # Given an engine that takes five where nothing is said
    def concurrency(mapping: dict[str, Any], *_: Any) -> Any:
        return (mapping.get("ScalingConfig") or {}).get("MaximumConcurrency") or 5

    lambda_service = SimpleNamespace(_sqs_esm_concurrency=concurrency)
    # When
    count_workers(lambda_service)
    # Then
    mapping = {"UUID": "u", "ScalingConfig": scaling}
    assert lambda_service._sqs_esm_concurrency(mapping, {}, {}, None) == workers


def test_a_layer_is_unpacked_once_and_code_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an engine whose workers unpack one zip
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("python/part.py", "x = 1")
    runtime = SimpleNamespace(zipfile=zipfile)
    share_layers(runtime)
    # When two workers take it as a layer and one as its code
    for name in ("one/layer_0", "two/layer_0", "two/code"):
        (tmp_path / name).mkdir(parents=True)
        with runtime.zipfile.ZipFile(packed) as archive:
            archive.extractall(tmp_path / name)
    # Then
    one, two = (tmp_path / name / "layer_0" / "python" for name in ("one", "two"))
    assert one.resolve() == two.resolve()
    assert (one / "part.py").read_text(encoding="utf-8") == "x = 1"
    assert not (tmp_path / "two" / "code" / "python").is_symlink()


def test_an_engine_that_unpacks_otherwise_does_not_start() -> None:
    with pytest.raises(SystemExit):
        share_layers(SimpleNamespace(zipfile=None))


def test_schedules_are_looked_for_often() -> None:
    scheduler = SimpleNamespace(_SCHEDULE_TICK_INTERVAL=10)
    quicken_schedules(scheduler)
    assert scheduler._SCHEDULE_TICK_INTERVAL == SCHEDULE_TICK_SECONDS


def test_an_engine_that_keeps_its_tick_elsewhere_does_not_start() -> None:
    with pytest.raises(SystemExit):
        quicken_schedules(SimpleNamespace())


def collected(messages: list[dict[str, Any]], *, is_fifo: bool = False) -> list[str]:
    """Return the ids of a queue's messages in the order in which they are given out."""
    sqs = SimpleNamespace(_collect_msgs=lambda queue, most: queue["messages"][:most])
    be_fair(sqs)
    queue = {"is_fifo": is_fifo, "messages": messages}
    return [message["id"] for message in sqs._collect_msgs(queue, len(messages))]


def a_message(number: int, group: str | None, *, is_out: bool = False) -> dict[str, Any]:
    until = time.time() + 60
    out = {"receive_count": 1, "visible_at": until} if is_out else {"receive_count": 0}
    return {"id": str(number), "group_id": group, **out}


@pytest.mark.parametrize(
    ("is_fifo", "order"), [(False, ["2", "4", "0", "1", "3"]), (True, ["0", "1", "2", "3", "4"])]
)
def test_a_standard_queue_gives_out_the_messages_of_busy_groups_last(
    is_fifo: bool, order: list[str]
) -> None:
    messages = [
        a_message(0, "busy", is_out=True),
        a_message(1, "busy"),
        a_message(2, "quiet"),
        a_message(3, "busy"),
        a_message(4, None),
    ]
    assert collected(messages, is_fifo=is_fifo) == order


def test_a_tenth_of_what_is_being_worked_on_makes_no_group_busy() -> None:
    messages = [a_message(number, f"group {number}", is_out=True) for number in range(10)]
    assert collected([*messages, a_message(10, "group 0"), a_message(11, "another")])[-2:] == [
        "10",
        "11",
    ]
