"""The local webhook receiver, as an object and as a program."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from local.receiver import MAX_BODY, Behaviour, Receiver

ROOT = Path(__file__).parents[2]


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with Receiver(log=tmp_path / "made" / "receiver.jsonl") as running:
        yield running


def call(
    port: int,
    method: str = "POST",
    path: str = "/",
    body: bytes | None = b"{}",
    headers: Mapping[str, str] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """Make one request; return status, headers in lower case, and body."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response: HTTPResponse = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        return response.status, received, response.read()
    finally:
        connection.close()


def behave(port: int, document: Any) -> int:
    """Tell the receiver how to answer; return its own answer's status."""
    return call(port, path="/_behave", body=json.dumps(document).encode())[0]


def test_a_request_is_answered_200_and_logged_before_the_answer(
    receiver: Receiver, tmp_path: Path
) -> None:
    # Given
    body = '{"caption":"Grüße"}\n'.encode()
    # When
    status, _, _ = call(receiver.port, path="/hook?x=1", body=body, headers={"X-Two": "a"})
    # Then
    [line] = (tmp_path / "made" / "receiver.jsonl").read_text(encoding="utf-8").splitlines()
    record = json.loads(line)
    assert status == 200
    assert record == receiver.requests[0]
    assert record["body"].encode() == body
    assert record["status"] == 200
    assert (record["method"], record["path"]) == ("POST", "/hook?x=1")
    assert record["headers"]["X-Two"] == "a"
    assert record["at"].endswith("Z")


def test_any_bytes_can_be_got_back_from_the_log(receiver: Receiver) -> None:
    # Given
    body = bytes(range(256))
    # When
    call(receiver.port, body=body)
    # Then
    record = json.loads(json.dumps(receiver.requests[0]))
    assert record["body"].encode("utf-8", "surrogateescape") == body


def test_it_misbehaves_as_often_as_told(receiver: Receiver) -> None:
    # When
    assert (
        behave(receiver.port, {"status": 500, "times": 2, "headers": {"Retry-After": "7"}}) == 200
    )
    answers = [call(receiver.port) for _ in range(3)]
    # Then
    assert [status for status, _, _ in answers] == [500, 500, 200]
    assert [headers.get("retry-after") for _, headers, _ in answers] == ["7", "7", None]
    assert [record["status"] for record in receiver.requests] == [500, 500, 200]


def test_zero_times_means_until_told_otherwise(receiver: Receiver) -> None:
    # When
    behave(receiver.port, {"status": 410, "times": 0})
    before = [call(receiver.port)[0] for _ in range(4)]
    behave(receiver.port, {"status": 200, "times": 0})
    # Then
    assert before == [410] * 4
    assert call(receiver.port)[0] == 200


def test_a_new_order_replaces_the_old_one(receiver: Receiver) -> None:
    # When
    behave(receiver.port, {"status": 500, "times": 5})
    behave(receiver.port, {"status": 204, "times": 1})
    # Then
    assert call(receiver.port)[0] == 204
    assert call(receiver.port)[0] == 200


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"status": 99},
        {"status": 600},
        {"status": "500"},
        {"status": True},
        {"times": -1},
        {"delayMs": -1},
        {"delayMs": 1.5},
        {"delay": 1},
        {"headers": ["a"]},
        {"headers": {"A": "b\r\nC: d"}},
        {"headers": {"A": 1}},
    ],
)
def test_an_order_that_makes_no_sense_is_refused(receiver: Receiver, document: Any) -> None:
    assert behave(receiver.port, document) == 400
    assert call(receiver.port)[0] == 200


def test_orders_and_health_are_not_logged(receiver: Receiver) -> None:
    # When
    statuses = [
        call(receiver.port, "GET", "/_health", None)[0],
        behave(receiver.port, {}),
        call(receiver.port, path="/_behave", body=b"no json")[0],
    ]
    # Then
    assert statuses == [200, 200, 400]
    assert receiver.requests == []


def test_a_slow_answer_holds_up_nobody_else_and_not_the_end(tmp_path: Path) -> None:
    # Given
    with Receiver(log=tmp_path / "log") as receiver, ThreadPoolExecutor(1) as pool:
        receiver.behave(Behaviour(status=503, times=1, delay_ms=60_000))
        slow = pool.submit(call, receiver.port)
        receiver.wait_for(1)
        # When
        quick = call(receiver.port)[0]
        receiver._stopping.set()
        # Then
        assert (quick, slow.result(10)[0]) == (200, 503)


def test_many_at_once_are_all_logged_whole(receiver: Receiver, tmp_path: Path) -> None:
    # When
    with ThreadPoolExecutor(16) as pool:
        statuses = list(
            pool.map(lambda number: call(receiver.port, body=b"%d" % number)[0], range(200))
        )
    # Then
    lines = (tmp_path / "made" / "receiver.jsonl").read_text(encoding="utf-8").splitlines()
    assert statuses == [200] * 200
    assert {json.loads(line)["body"] for line in lines} == {str(number) for number in range(200)}


def test_waiting_ends_when_the_requests_are_there_and_says_when_they_are_not(
    receiver: Receiver,
) -> None:
    # Given
    sender = threading.Thread(target=call, args=(receiver.port,))
    sender.start()
    # Then
    assert len(receiver.wait_for(1)) == 1
    sender.join()
    with pytest.raises(TimeoutError, match="1 of 2"):
        receiver.wait_for(2, seconds=0.01)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Length": str(MAX_BODY + 1)}, 413),
        ({"Content-Length": "x"}, 411),
        ({"Transfer-Encoding": "chunked"}, 411),
    ],
)
def test_bodies_it_cannot_take_are_refused(
    receiver: Receiver, headers: dict[str, str], status: int
) -> None:
    assert call(receiver.port, body=None, headers=headers)[0] == status
    assert receiver.requests == []


def test_a_request_of_which_half_comes_is_none(receiver: Receiver) -> None:
    # Given a client that hangs up in the middle of its body
    with socket.create_connection(("127.0.0.1", receiver.port)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: receiver\r\nContent-Length: 9\r\n\r\nhalf")
        connection.shutdown(socket.SHUT_WR)
        # When
        answer = connection.recv(1)
    # Then
    assert answer == b""
    assert receiver.requests == []


def test_as_a_program_it_runs_until_sigterm(tmp_path: Path) -> None:
    # Given
    log = tmp_path / "receiver.jsonl"
    command = [sys.executable, "-m", "local.receiver", "--port", "0", "--log", str(log)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        # When
        request = urllib.request.Request(url, data=b"{}")
        with urllib.request.urlopen(request, timeout=10) as response:
            answered = response.status
        process.send_signal(signal.SIGTERM)
        # Then
        assert process.wait(10) == 0
    assert answered == 200
    assert json.loads(log.read_text(encoding="utf-8"))["body"] == "{}"
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=10)
