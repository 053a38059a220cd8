"""The sandbox's own door: its log, its misbehaviour, its life as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from local.bluesky_sandbox import CREATE_RECORD, Behaviour, BlueskySandbox, did_of

HANDLE = "alice.test"
KEY = "3lbmlvgptknrm"
RECORD = {"$type": "app.bsky.feed.post", "text": "hello", "createdAt": "2026-06-15T09:00:00.000Z"}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "platform.jsonl"


@pytest.fixture
def sandbox(log: Path) -> Iterator[BlueskySandbox]:
    with BlueskySandbox(log=log) as running:
        yield running


class Caller:
    """Makes calls as a client would."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = urllib3.PoolManager(retries=False)
        self.token = ""

    def post(self, method: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        answer = self.http.request(
            "POST",
            f"{self.url}{method}" if method.startswith("/") else f"{self.url}/xrpc/{method}",
            json=body,
            headers={"Authorization": f"Bearer {self.token}"} if self.token else {},
        )
        return answer.status, answer.json()

    def sign_in(self) -> None:
        status, session = self.post(
            "com.atproto.server.createSession",
            {"identifier": HANDLE, "password": f"sandbox-{HANDLE}"},
        )
        assert status == 200
        self.token = session["accessJwt"]

    def create(self, key: str = KEY, **changes: Any) -> tuple[int, dict[str, Any]]:
        record = {**RECORD, **changes}
        return self.post(
            CREATE_RECORD,
            {"repo": did_of(HANDLE), "collection": RECORD["$type"], "rkey": key, "record": record},
        )


@pytest.fixture
def caller(sandbox: BlueskySandbox) -> Iterator[Caller]:
    client = Caller(sandbox.url)
    client.sign_in()
    yield client
    client.http.clear()


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def test_every_call_is_logged_and_no_secret_is(caller: Caller, log: Path) -> None:
    # When
    caller.post("com.atproto.server.createSession", {"identifier": HANDLE, "password": "guess"})
    caller.create()

    # Then
    session, wrong, record = lines(log)
    assert session["body"] == wrong["body"] == {"identifier": HANDLE}
    assert (session["status"], wrong["status"]) == (200, 401)
    assert record["handle"] == HANDLE
    assert record["did"] == did_of(HANDLE)
    assert (record["method"], record["body"]["record"]["text"]) == (CREATE_RECORD, "hello")
    assert (record["status"], record["answered"]) == (200, True)
    text = log.read_text(encoding="utf-8")
    assert "guess" not in text
    assert f"sandbox-{HANDLE}" not in text
    assert caller.token not in text


def test_a_taken_key_is_answered_as_the_reference_server_does(caller: Caller) -> None:
    assert caller.create()[0] == 200
    status, body = caller.create(text="another")
    assert (status, body["error"]) == (500, "InternalServerError")


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "not-a-tid"},
        {"text": "x" * 3_001},
        {"text": 5},
        {"createdAt": "yesterday"},
        {"facets": [{"index": {"byteStart": 0, "byteEnd": 99}, "features": []}]},
        {"facets": "nonsense"},
        {"embed": {"images": [{"image": {"ref": {"$link": "bafkreiunknown"}}, "alt": ""}]}},
    ],
)
def test_a_record_the_reference_server_would_refuse_is_refused(
    caller: Caller, sandbox: BlueskySandbox, changes: dict[str, Any]
) -> None:
    assert caller.create(**changes)[0] == 400
    assert sandbox.records(HANDLE) == []


def test_it_misbehaves_as_often_as_told(caller: Caller) -> None:
    # Given
    told = {"status": 503, "times": 2, "method": CREATE_RECORD, "headers": {"Retry-After": "9"}}
    assert caller.post("/_behave", told)[0] == 200

    # When
    statuses = [caller.create()[0] for _ in range(3)]

    # Then
    assert statuses == [503, 503, 200]


def test_a_lost_answer_has_its_effect(caller: Caller, sandbox: BlueskySandbox, log: Path) -> None:
    # Given
    caller.post("/_behave", {"afterEffect": True, "times": 1, "method": CREATE_RECORD})

    # When
    with pytest.raises(urllib3.exceptions.ProtocolError):
        caller.create()

    # Then
    assert len(sandbox.records(HANDLE)) == 1
    assert (lines(log)[-1]["status"], lines(log)[-1]["answered"]) == (200, False)


def test_a_dropped_call_has_none(caller: Caller, sandbox: BlueskySandbox, log: Path) -> None:
    # Given
    caller.post("/_behave", {"drop": True, "times": 1})

    # When
    with pytest.raises(urllib3.exceptions.ProtocolError):
        caller.create()

    # Then
    assert sandbox.records(HANDLE) == []
    assert (lines(log)[-1]["status"], lines(log)[-1]["answered"]) == (0, False)


def test_misbehaving_for_ever_ends_when_told(caller: Caller) -> None:
    # Given
    caller.post("/_behave", {"status": 500, "error": "Broken"})
    assert [caller.create()[0] for _ in range(2)] == [500, 500]

    # When
    caller.post("/_behave", {"status": 200})

    # Then
    assert caller.create()[0] == 200


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"[]",
        b'{"status": 199}',
        b'{"status": true}',
        b'{"times": -1}',
        b'{"colour": "red"}',
        b'{"method": 5}',
        b'{"drop": "yes"}',
        b'{"headers": {"X": "a\\nb"}}',
    ],
)
def test_nonsense_about_behaviour_is_refused(told: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Behaviour.from_json(told)


def test_expired_sessions_are_refused_and_can_be_refreshed(
    caller: Caller, sandbox: BlueskySandbox
) -> None:
    # Given
    sandbox.expire_sessions()

    # When
    status, body = caller.create()

    # Then
    assert (status, body["error"]) == (400, "ExpiredToken")


def test_records_can_be_read_without_signing_in(caller: Caller) -> None:
    # Given
    caller.create()

    # When
    own = caller.http.request("GET", f"{caller.url}/_records", fields={"handle": HANDLE}).json()
    listed = caller.http.request(
        "GET",
        f"{caller.url}/xrpc/com.atproto.repo.listRecords",
        fields={"repo": did_of(HANDLE), "collection": "app.bsky.feed.post"},
    ).json()

    # Then
    assert [record["value"]["text"] for record in own["records"]] == ["hello"]
    assert listed == own


def test_as_a_process_it_says_where_it_is_and_ends_when_asked(log: Path) -> None:
    # Given
    command = [sys.executable, "-m", "local.bluesky_sandbox", "--port", "0", "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        caller = Caller(url)
        caller.sign_in()
        caller.http.clear()

        # When
        os.kill(process.pid, signal.SIGTERM)

        # Then
        assert process.wait(timeout=10) == 0
    assert len(lines(log)) == 1
