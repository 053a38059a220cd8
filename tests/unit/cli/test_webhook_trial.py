"""``webhook listen`` and ``webhook trigger``, on loopback, against each other and by themselves."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from postbreeze.adapters.clock import SystemClock
from postbreeze.cli import listening, triggering
from postbreeze.cli.listening import Listener, Received, received
from postbreeze.domain import ids
from postbreeze.domain.documents import timestamp
from postbreeze.webhooks.envelope import envelope, request_headers
from postbreeze.webhooks.signature import new_secret, sign, verify_postbreeze, verify_standard
from tests.support.builders import an_id
from tests.support.event_schemas import check_event
from tests.support.fakes import START
from tests.support.scripted_server import Reply, ScriptedServer, Trouble

if TYPE_CHECKING:
    from tests.unit.cli.conftest import CommandLine

SECRET = new_secret(bytes(range(32)))
OTHER = new_secret(bytes(32))
RIGHT: Mapping[str, str | None] = {"postbreeze": None, "standard": None}
WRONG = "No signature matches the body and the secret."


@contextmanager
def listening_on_loopback() -> Iterator[tuple[Listener, list[Received]]]:
    told: list[Received] = []
    listener = Listener(0, SECRET, told.append)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield listener, told
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


def a_request(secret: str = SECRET, **payload: Any) -> tuple[dict[str, str], bytes]:
    now, delivery_id = SystemClock().now(), an_id(ids.DELIVERY)
    body = envelope("post.cancelled", delivery_id, now, payload)
    signature = sign(body, delivery_id=delivery_id, at=now, secrets=[secret])
    return request_headers("post.cancelled", delivery_id, {}, signature), body


def answered(
    listener: Listener, body: bytes, headers: Mapping[str, str], method: str = "POST"
) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", listener.server_port, timeout=10)
    connection.request(method, "/", body=body, headers=dict(headers))
    try:
        return connection.getresponse().status
    finally:
        connection.close()


# Listening


def test_a_delivery_is_read_and_both_its_signatures_are_checked() -> None:
    # Given
    with listening_on_loopback() as (listener, told):
        headers, body = a_request(eventId="evt_1", post={"id": "post_1"})
        # When
        status = answered(listener, body, headers)
    # Then
    [delivery] = told
    assert status == 204
    assert delivery.is_verified
    assert delivery.document() == {
        "at": timestamp(delivery.at),
        "event": "post.cancelled",
        "deliveryId": headers["webhook-id"],
        "eventId": "evt_1",
        "subjectId": "post_1",
        "bytes": len(body),
        "verified": True,
        "objections": RIGHT,
        "status": 204,
    }


@pytest.mark.parametrize(
    ("spoilt", "objections"),
    [
        (
            {"X-Postbreeze-Signature": "t=1,v1=00"},
            {"postbreeze": WRONG, "standard": None},
        ),
        ({"webhook-signature": "v1,AA=="}, {"postbreeze": None, "standard": WRONG}),
        (
            {"webhook-id": "dlv_another"},
            {"postbreeze": None, "standard": WRONG},
        ),
    ],
)
def test_one_signature_that_is_wrong_is_told_and_refused(
    spoilt: Mapping[str, str], objections: Mapping[str, str | None]
) -> None:
    with listening_on_loopback() as (listener, told):
        headers, body = a_request()
        assert answered(listener, body, {**headers, **spoilt}) == 401
    assert told[0].objections == objections


@pytest.mark.parametrize("spoil", ["secret", "body"])
def test_another_secret_or_body_is_refused(spoil: str) -> None:
    with listening_on_loopback() as (listener, told):
        headers, body = a_request(OTHER if spoil == "secret" else SECRET)
        assert answered(listener, body + b" " * (spoil == "body"), headers) == 401
    assert told[0].objections == {"postbreeze": WRONG, "standard": WRONG}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"[" * 100_000,
        b'{"event": 7, "deliveryId": null, "payload": []}',
        b'{"payload": {"eventId": {}, "post": [], "account": {"id": 1}}}',
    ],
)
def test_a_body_that_says_nothing_is_told_without_what_it_does_not_say(body: bytes) -> None:
    # When
    delivery = received({}, body, SECRET, START)
    # Then
    facts = (delivery.event, delivery.delivery_id, delivery.event_id, delivery.subject_id)
    assert facts == (None, None, None, None)
    assert delivery.status == 401


@pytest.mark.parametrize("subject", ["post", "account", "webhook"])
def test_whose_event_it_is_is_told_of_all_events(subject: str) -> None:
    body = json.dumps({"payload": {subject: {"id": "it"}}}).encode()
    assert received({}, body, SECRET, START).subject_id == "it"


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, 501),
        ("POST", {"Content-Length": "-1"}, 411),
        ("POST", {"Content-Length": "9" * 5_000}, 411),
        ("POST", {"Content-Length": str(listening.MOST_BYTES + 1)}, 413),
        ("POST", {"Transfer-Encoding": "chunked"}, 411),
    ],
)
def test_what_is_no_delivery_is_refused_and_not_told(
    method: str, headers: Mapping[str, str], status: int
) -> None:
    with listening_on_loopback() as (listener, told):
        assert answered(listener, b"", headers, method) == status
        # And it listens on
        headers, body = a_request()
        assert answered(listener, body, headers) == 204
    assert len(told) == 1


@pytest.mark.parametrize(
    "junk", [b"\x16\x03\x01", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf", b"\r\n" * 9]
)
def test_whoever_hangs_up_or_speaks_no_http_disturbs_nobody(
    junk: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with listening_on_loopback() as (listener, told):
        connection = http.client.HTTPConnection("127.0.0.1", listener.server_port, timeout=10)
        connection.connect()
        connection.sock.sendall(junk)
        connection.close()
        headers, body = a_request()
        assert answered(listener, body, headers) == 204
    assert len(told) == 1
    assert capfd.readouterr() == ("", "")


def test_a_header_that_comes_twice_is_refused() -> None:
    with listening_on_loopback() as (listener, told):
        headers, body = a_request()
        connection = http.client.HTTPConnection("127.0.0.1", listener.server_port, timeout=10)
        connection.putrequest("POST", "/")
        for name, value in [*headers.items(), ("webhook-id", "dlv_2")]:
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        assert connection.getresponse().status == 401
        connection.close()
    assert told[0].objections["postbreeze"] is None
    assert told[0].objections["standard"] is not None


@pytest.mark.parametrize("wants_json", [True, False])
@pytest.mark.parametrize("group", ["webhook", "webhooks"])
def test_what_is_triggered_is_heard_until_ctrl_c(
    command_line: CommandLine, group: str, wants_json: bool
) -> None:
    # Given a listener
    # Whoever runs the tests in the background hands down that Ctrl-C is ignored.
    heeds = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    run = f"{heeds}; from postbreeze.cli.main import main; main()"
    options = ["--json"] if wants_json else []
    with subprocess.Popen(
        [sys.executable, "-c", run, group, "listen", "--port", "0", *options],
        env={**os.environ, "POSTBREEZE_WEBHOOK_SECRET": SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stderr.readline().split(";")[0].removeprefix("Listening on ")
        # When something is triggered to it, with its secret and with another
        sent = command_line.json(
            group, "trigger", "post.cancelled", "--to", url, "--secret", SECRET
        )
        refused = command_line.run(
            group, "trigger", "account.disconnected", "--to", url, "--secret", OTHER
        )
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    # Then it was told of both, never the secret, and ends well
    assert (process.returncode, out, err.strip()) == (0, "", "")
    assert sent["status"] == 204
    assert refused.exit_code == 1
    assert "status      401\n" in refused.stdout
    if wants_json:
        told = [json.loads(line) for line in lines]
        assert [each["verified"] for each in told] == [True, False]
        assert told[0]["deliveryId"] == sent["deliveryId"]
        assert told[1]["event"] == "account.disconnected"
    else:
        assert sent["deliveryId"] in lines[0]
        assert "standard: verified" in lines[0]
        assert f"postbreeze: NOT VERIFIED, {WRONG}" in lines[1]
    assert SECRET not in "".join((*lines, out, err))


def test_a_port_that_is_taken(command_line: CommandLine) -> None:
    with listening_on_loopback() as (listener, _):
        error = command_line.fails(
            2, "webhook", "listen", "--port", str(listener.server_port), "--secret", SECRET
        )
    assert "--port: Cannot listen on" in error


@pytest.mark.parametrize("way_in", ["option", "environment", "stdin"])
@pytest.mark.parametrize(
    "verb",
    [("listen", "--port", "0"), ("trigger", "post.created", "--to", "https://hooks.example.com")],
)
def test_a_secret_that_is_none_is_refused_without_being_repeated(
    command_line: CommandLine, verb: tuple[str, ...], way_in: str
) -> None:
    wrong = SECRET[:-2]
    error = command_line.fails(
        2,
        *("webhook", *verb, *(("--secret", wrong) if way_in == "option" else ())),
        stdin=wrong if way_in == "stdin" else None,
        env={"POSTBREEZE_WEBHOOK_SECRET": wrong} if way_in == "environment" else None,
    )
    assert error == "error: secret: A secret is whsec_ followed by the base64 of 32 bytes.\n"


# Triggering


@pytest.mark.parametrize("event", sorted(triggering.examples()))
def test_an_example_is_sent_as_the_service_sends_it(command_line: CommandLine, event: str) -> None:
    # Given
    with ScriptedServer() as server:
        server.on("hook", Reply(status=202, body={"taken": True}))
        # When
        sent = [
            command_line.json(
                *("webhook", "trigger", event, "--to", f"{server.url}/hook"),
                env={"POSTBREEZE_WEBHOOK_SECRET": SECRET},
            )
            for _ in range(2)
        ]
    # Then
    assert [each["status"] for each in sent] == [202, 202]
    assert json.loads(sent[0]["answer"]) == {"taken": True}
    assert sent[0]["deliveryId"] != sent[1]["deliveryId"]
    for request, told in zip(server.taken, sent, strict=True):
        now = SystemClock().now()
        check_event(event, request.body)
        for verify in (verify_postbreeze, verify_standard):
            assert verify(request.headers, request.body, SECRET, now) <= now
        assert request.headers["X-Postbreeze-Event"] == event
        assert request.headers["X-Postbreeze-Delivery-Id"] == told["deliveryId"]
        assert json.loads(request.body)["payload"] == triggering.examples()[event]


def test_an_event_without_an_example(command_line: CommandLine) -> None:
    error = command_line.fails(2, "webhook", "trigger", "post.sunk", "--to", "https://a.example")
    assert "There are examples of post.created, " in error


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "http://127.0.0.2/",
        "http://localhost.example.com/",
        "ftp://localhost/",
        "localhost:4199",
        "https:///path",
        "http://[::1",
        "",
    ],
)
def test_nothing_goes_over_the_network_in_the_clear(command_line: CommandLine, url: str) -> None:
    error = command_line.fails(
        2, "webhook", "trigger", "post.created", "--to", url, "--secret", SECRET
    )
    assert error == "error: --to: It is an https URL, or an http URL of this machine.\n"


@pytest.mark.parametrize("trouble", [Trouble.RESET, Trouble.CLOSE, Trouble.NOISE, Trouble.HALF])
def test_no_answer_is_told_in_one_sentence(command_line: CommandLine, trouble: Trouble) -> None:
    with ScriptedServer() as server:
        server.on("hook", trouble)
        error = command_line.fails(
            *(1, "webhook", "trigger", "post.created", "--to", f"{server.url}/hook"),
            *("--secret", SECRET),
        )
    assert error.startswith("error: No answer came: ")
    assert SECRET not in error


def test_a_redirect_is_shown_and_not_followed(command_line: CommandLine) -> None:
    with ScriptedServer() as server:
        server.on("hook", Reply(status=307, headers={"Location": f"{server.url}/elsewhere"}))
        answer = command_line.run(
            *("webhook", "trigger", "post.created", "--to", f"{server.url}/hook"),
            *("--secret", SECRET),
        )
    assert answer.exit_code == 1
    assert "307" in answer.stdout
    assert len(server.taken) == 1
