"""How requests are told apart, and answered with what was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.transport import Answers, Exchange, Recording, Scene, described


def dynamodb(operation: str, body: dict[str, Any]) -> str:
    target = f"DynamoDB_20120810.{operation}"
    return described("POST", "https://x/", target, json.dumps(body).encode())


def an_exchange(request: str, content: bytes = b"{}") -> Exchange:
    return Exchange(request=request, sent_bytes=2, status=200, headers={"a": "b"}, content=content)


@pytest.mark.parametrize(
    ("operation", "body", "told"),
    [
        (
            "GetItem",
            {"TableName": "t", "Key": {"pk": {"S": "POST#1"}, "sk": {"S": "POST"}}},
            "GetItem POST#1 POST",
        ),
        ("PutItem", {"Item": {"pk": {"S": "ASSET#1"}, "sk": {"S": "ASSET"}}}, "PutItem ASSET"),
        (
            "Query",
            {
                "TableName": "t",
                "IndexName": "moved",
                "ExpressionAttributeValues": {
                    ":1": {"S": "2026-11-30T07:37:57.427Z"},
                    ":0": {"S": "WORKSPACE#1"},
                },
            },
            "Query t moved WORKSPACE#1",
        ),
        (
            "TransactWriteItems",
            {
                "TransactItems": [
                    {"Put": {"Item": {"sk": {"S": "POST"}}}},
                    {"ConditionCheck": {"Key": {"sk": {"S": "MEMBER#1"}}}},
                ]
            },
            "TransactWriteItems ConditionCheck:MEMBER Put:POST",
        ),
        (
            "BatchGetItem",
            {"RequestItems": {"t": {"Keys": [{"pk": {"S": "b"}, "sk": {"S": "2"}}]}}},
            "BatchGetItem b2",
        ),
    ],
)
def test_a_request_to_dynamodb_is_told_by_its_rows(
    operation: str, body: dict[str, Any], told: str
) -> None:
    assert dynamodb(operation, body) == told


@pytest.mark.parametrize(
    ("method", "url", "target", "body", "told"),
    [
        ("POST", "https://x/", b"TrentService.Encrypt", b"{}", "Encrypt"),
        ("POST", "https://x/", None, b"Action=Publish&Message=m", "Publish"),
        ("DELETE", "https://x/schedules/post_1-1?groupName=g", None, b"", "DELETE schedules"),
    ],
)
def test_other_requests_are_told_by_what_they_do(
    method: str, url: str, target: bytes | None, body: bytes, told: str
) -> None:
    assert described(method, url, target, body) == told


def test_answers_come_in_order_and_then_from_the_start() -> None:
    # Given a scene in which the same was asked twice, with another answer each time
    answers = Answers([an_exchange("Encrypt", b"1"), an_exchange("Encrypt", b"2")])
    # When it is played one and a half times
    given = [answers.to("POST", "https://x/", "K.Encrypt", b"").content for _ in range(3)]
    # Then it begins again
    assert given == [b"1", b"2", b"1"]


def test_what_was_never_asked_has_no_answer() -> None:
    with pytest.raises(KeyError, match="Decrypt"):
        Answers([an_exchange("Encrypt")]).to("POST", "https://x/", "K.Decrypt", b"")


def test_a_recording_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    scene = Scene(
        name="s", function="f", event={"a": 1}, exchanges=[an_exchange("Encrypt", b"\x00\xff")]
    )
    recording = Recording(at="2026-06-01T09:00:00+00:00", environ={"A": "b"}, scenes=[scene])
    recording.write(tmp_path / "recording.json")
    assert Recording.read(tmp_path / "recording.json") == recording
