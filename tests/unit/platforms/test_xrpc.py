"""What a failed call says about whether the server can have acted."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import urllib3

from postbreeze.adapters.platforms.xrpc import (
    MAX_ANSWER_BYTES,
    MAX_WAIT_SECONDS,
    Answer,
    NoAnswerError,
    NotSentError,
    call,
)
from tests.support.scripted_server import Reply, ScriptedServer, Trouble

PATIENT = urllib3.Timeout(30)
HASTY = urllib3.Timeout(connect=30, read=0.3)


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    manager = urllib3.PoolManager()
    yield manager
    manager.clear()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def post(http: urllib3.PoolManager, url: str, timeout: urllib3.Timeout = PATIENT) -> Answer:
    return call(http, "POST", url, headers={}, body=b'{"a":1}', timeout=timeout)


def test_a_refused_connection_was_sent_nothing(http: urllib3.PoolManager, closed_port: int) -> None:
    with pytest.raises(NotSentError, match="NewConnectionError"):
        post(http, f"http://127.0.0.1:{closed_port}/x")


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (socket.gaierror(socket.EAI_NONAME, "no such name"), "NameResolutionError"),
        (TimeoutError("timed out"), "ConnectTimeoutError"),
        (OSError(113, "no route to host"), "NewConnectionError"),
    ],
)
def test_a_connection_that_never_was_was_sent_nothing(
    http: urllib3.PoolManager, monkeypatch: pytest.MonkeyPatch, error: OSError, name: str
) -> None:
    # Given
    def fail(*_: object, **__: object) -> socket.socket:
        raise error

    monkeypatch.setattr("urllib3.util.connection.create_connection", fail)

    # When / Then
    with pytest.raises(NotSentError, match=name):
        post(http, "http://server.example/x")


def test_a_handshake_with_what_speaks_no_tls_was_sent_nothing(
    http: urllib3.PoolManager, server: ScriptedServer
) -> None:
    with pytest.raises(NotSentError, match="SSLError"):
        post(http, f"https://127.0.0.1:{server.port}/x")
    assert server.taken == []


def test_a_handshake_that_times_out_was_sent_nothing(
    http: urllib3.PoolManager, silent_port: int
) -> None:
    # urllib3 calls this a ReadTimeoutError, like an answer that never came.
    with pytest.raises(NotSentError, match="ReadTimeoutError"):
        post(
            http,
            f"https://127.0.0.1:{silent_port}/x",
            # The handshake counts as connecting.
            urllib3.Timeout(connect=0.3, read=30),
        )


@pytest.mark.parametrize("trouble", list(Trouble))
def test_whatever_happens_after_sending_leaves_it_open(
    http: urllib3.PoolManager, server: ScriptedServer, trouble: Trouble
) -> None:
    # Given
    server.on("x", trouble)

    # When / Then
    with pytest.raises(NoAnswerError):
        post(http, f"{server.url}/x", HASTY if trouble is Trouble.HANG else PATIENT)
    assert [request.body for request in server.taken] == [b'{"a":1}']


def test_a_kept_connection_that_is_reset_before_any_answer_leaves_it_open(
    http: urllib3.PoolManager, server: ScriptedServer
) -> None:
    # Given a connection that has worked
    server.on("x", Reply(), Trouble.RESET)
    post(http, f"{server.url}/x")

    # When / Then
    with pytest.raises(NoAnswerError):
        post(http, f"{server.url}/x")


def test_nothing_is_retried_and_no_redirect_is_followed(
    http: urllib3.PoolManager, server: ScriptedServer
) -> None:
    # Given
    server.on("x", Reply(status=307, headers={"Location": f"{server.url}/y"}))
    server.on("y", Reply())

    # When
    answer = post(http, f"{server.url}/x")

    # Then
    assert (answer.status, answer.ok) == (307, False)
    assert len(server.taken) == 1


def test_an_answer_without_end_is_no_answer(
    http: urllib3.PoolManager, server: ScriptedServer
) -> None:
    # Given
    server.on("x", Reply(body=b"x" * (MAX_ANSWER_BYTES + 1)), Reply(body={"fine": True}))

    # When / Then
    with pytest.raises(NoAnswerError, match="too long"):
        post(http, f"{server.url}/x")
    assert post(http, f"{server.url}/x").document() == {"fine": True}


def test_the_body_arrives_whole_and_with_its_length(
    http: urllib3.PoolManager, server: ScriptedServer
) -> None:
    # Given
    server.on("x", Reply())
    body = bytes(range(256)) * 1_000

    # When
    call(
        http,
        "POST",
        f"{server.url}/x",
        headers={"Content-Type": "image/png"},
        body=body,
        timeout=PATIENT,
    )

    # Then
    [request] = server.taken
    assert request.body == body
    assert request.headers["Content-Length"] == str(len(body))
    assert "Transfer-Encoding" not in request.headers


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"Retry-After": "Thu, 01 Jan 1970 00:20:00 GMT"}, 200.0),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "99999999999999999999"}, MAX_WAIT_SECONDS),
        ({"Retry-After": "nan"}, None),
        ({"RateLimit-Reset": "1060"}, 60.0),
        ({"RateLimit-Reset": "900"}, 0.0),
        ({"Retry-After": "5", "RateLimit-Reset": "1060"}, 5.0),
    ],
)
def test_the_wait_a_server_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert Answer(status=429, headers=headers, body=b"").wait(now=1_000.0) == seconds


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"error": "ExpiredToken"}', "ExpiredToken"),
        (b'{"error": "see eyJhbGciOi.secret"}', ""),
        (b'{"error": 5}', ""),
        (b'{"error": "' + b"x" * 65 + b'"}', ""),
        (b'["ExpiredToken"]', ""),
        (b"<html>", ""),
        (b"\xff", ""),
        (b"", ""),
    ],
)
def test_only_the_name_of_an_error_is_taken_from_a_body(body: bytes, name: str) -> None:
    assert Answer(status=400, headers={}, body=body).error == name


def test_an_answer_prints_without_its_secrets() -> None:
    answer = Answer(status=200, headers={"Set-Cookie": "secret"}, body=b'{"accessJwt":"secret"}')
    assert "secret" not in repr(answer)
