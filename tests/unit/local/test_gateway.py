"""The gateway passes requests and answers through as they are."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from local.gateway import MAX_BODY_BYTES, Gateway
from local.tools import free_ports


class _Upstream(BaseHTTPRequestHandler):
    """An engine that tells what it was asked; `/fails` fails as the engine does."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = {
            "method": self.command,
            "path": self.path,
            "headers": self.headers.items(),
            "body": body.decode("latin-1"),
        }
        content = json.dumps(told).encode()
        self.send_response_only(502 if self.path.endswith("/fails") else 202)
        self.send_header("X-Twice", "one")
        self.send_header("X-Twice", "two")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815 - the names the base class calls

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[int]:
    server.daemon_threads = False  # so that closing waits for every connection to end
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def engine_port() -> Iterator[int]:
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), _Upstream)) as port:
        yield port


@pytest.fixture
def client(engine_port: int) -> Iterator[http.client.HTTPConnection]:
    with serving(Gateway(0, engine_port=engine_port, api_id="postbreeze")) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        yield connection
        connection.close()


def test_method_path_query_headers_and_body_arrive_as_sent(
    client: http.client.HTTPConnection,
) -> None:
    # When
    client.request(
        "DELETE",
        "/api/v1/posts/a%2Fb%20c?x=1%2C2&x=&y",
        body=b"\xff\x00",
        headers={"If-Match": '"7"', "Connection": "keep-alive"},
    )
    answer = client.getresponse()
    told = json.load(answer)
    # Then
    assert told["method"] == "DELETE"
    assert told["path"] == (
        "/_aws/execute-api/postbreeze/$default/api/v1/posts/a%2Fb%20c?x=1%2C2&x=&y"
    )
    assert told["body"] == "\xff\x00"
    assert ["If-Match", '"7"'] in told["headers"]
    assert "connection" not in {name.lower() for name, _ in told["headers"]}


def test_status_and_repeated_headers_come_back(client: http.client.HTTPConnection) -> None:
    client.request("GET", "/")
    answer = client.getresponse()
    answer.read()
    assert answer.status == 202
    assert answer.headers.get_all("X-Twice") == ["one", "two"]


def test_a_connection_serves_many_requests(client: http.client.HTTPConnection) -> None:
    client.request("POST", "/", body=b"{}")
    client.getresponse().read()
    used = client.sock
    client.request("HEAD", "/")
    assert client.getresponse().read() == b""
    client.request("GET", "/")
    assert json.load(client.getresponse())["method"] == "GET"
    assert client.sock is used


def test_a_chunked_body_arrives_whole(client: http.client.HTTPConnection) -> None:
    client.request("POST", "/", body=iter([b"first ", b"second"]), encode_chunked=True)
    assert json.load(client.getresponse())["body"] == "first second"


def test_the_text_of_an_exception_does_not_get_out(client: http.client.HTTPConnection) -> None:
    client.request("GET", "/fails")
    answer = client.getresponse()
    assert (answer.status, json.load(answer)) == (500, {"message": "Internal Server Error"})


def test_a_body_that_api_gateway_would_not_take_is_refused(
    client: http.client.HTTPConnection,
) -> None:
    client.putrequest("POST", "/")
    client.putheader("Content-Length", str(MAX_BODY_BYTES + 1))
    client.endheaders()
    answer = client.getresponse()
    assert (answer.status, json.load(answer)["message"]) == (413, "Request Entity Too Large")


def test_an_engine_that_is_gone_is_an_unavailable_service() -> None:
    (nobody,) = free_ports(1)
    with serving(Gateway(0, engine_port=nobody, api_id="postbreeze")) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert (answer.status, json.load(answer)) == (503, {"message": "Service Unavailable"})
        connection.close()
