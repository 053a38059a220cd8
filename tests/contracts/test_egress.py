"""The egress guard against loopback servers that behave well, badly and maliciously."""

from __future__ import annotations

import logging
import re
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from postbreeze.adapters import egress as egress_module
from postbreeze.adapters.egress import (
    BlockedAddressError,
    CheckedUrl,
    ConnectError,
    ConnectionLostError,
    ContentTypeError,
    DeadlineError,
    DnsError,
    Egress,
    EgressConfigurationError,
    EgressError,
    ProtocolError,
    ResponseTooLargeError,
    TlsError,
    UnexpectedStatusError,
    UrlNotAllowedError,
    check_url,
    loopback_allowed,
)
from tests.support.certificates import Authority
from tests.support.raw_server import (
    UNLIMITED,
    RawServer,
    Resolver,
    answering,
    behaving,
    hang,
    reset,
)

NAME = "hooks.example.com"
PUBLIC = "93.184.216.34"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SHORT = 0.3  # seconds; only ever waited out in full by tests of the deadline itself

# --- Support ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def server_tls(authority: Authority) -> ssl.SSLContext:
    return authority.server_context(NAME, "127.0.0.1", "::1")


@pytest.fixture
def client_tls(authority: Authority) -> ssl.SSLContext:
    return authority.client_context()


@pytest.fixture
def local() -> Egress:
    """A guard with the loopback allowance; every name leads to 127.0.0.1."""
    return Egress(allow_loopback=True, resolver=Resolver([["127.0.0.1"]]))


@pytest.fixture
def trusting(client_tls: ssl.SSLContext) -> Egress:
    """Such a guard that trusts our authority too."""
    return Egress(allow_loopback=True, resolver=Resolver([["127.0.0.1"]]), ssl_context=client_tls)


SECURE = pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])

# --- URLs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "host", "port", "target", "host_header"),
    [
        ("https://hooks.example.com", NAME, 443, "/", NAME),
        ("HTTPS://Hooks.EXAMPLE.com/a?b=c%20d", NAME, 443, "/a?b=c%20d", NAME),
        ("https://hooks.example.com:443/", NAME, 443, "/", NAME),
        ("https://hooks.example.com:8443/x", NAME, 8443, "/x", f"{NAME}:8443"),
        ("https://hooks.example.com?x=1@y:z", NAME, 443, "/?x=1@y:z", NAME),
        (
            "https://xn--bcher-kva.example/",
            "xn--bcher-kva.example",
            443,
            "/",
            "xn--bcher-kva.example",
        ),
        ("https://a_b.example.com/", "a_b.example.com", 443, "/", "a_b.example.com"),
        ("https://8.8.8.8/", "8.8.8.8", 443, "/", "8.8.8.8"),
        ("https://[2606:4700::1111]:8443/", "2606:4700::1111", 8443, "/", "[2606:4700::1111]:8443"),
        ("https://1e100.net/", "1e100.net", 443, "/", "1e100.net"),
    ],
)
def test_a_sound_url_is_taken_apart(
    url: str, host: str, port: int, target: str, host_header: str
) -> None:
    # When
    checked = check_url(url)
    # Then
    assert (checked.host, checked.port, checked.target) == (host, port, target)
    assert checked.host_header == host_header
    assert checked.ordinary


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https",
        "https:",
        "https://",
        "https:///path",
        "//hooks.example.com",
        "hooks.example.com",
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "gopher://hooks.example.com/",
        "https:hooks.example.com",
        "https:/hooks.example.com",
        "https://hooks.example.com:80/",
        "https://hooks.example.com:22/",
        "https://hooks.example.com:8080/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:00443/",
        "https://hooks.example.com:443:443/",
        "https://hooks.example.com:65979/",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com:+443/",
        "https://hooks.example.com:/",
        "https://hooks.example.com:x/",
        "https://user@hooks.example.com/",
        "https://user:password@hooks.example.com/",
        "https://@hooks.example.com/",
        "https://hooks.example.com@127.0.0.1/",
        "https://hooks.example.com/#fragment",
        "https://hooks.example.com#@127.0.0.1/",
        "https://hooks.example.com\\@127.0.0.1/",
        "https://127.0.0.1\\.example.com/",
        "https:\\\\hooks.example.com/",
        "https://hooks.example.com/a\\b",
        " https://hooks.example.com/",
        "https://hooks.example.com/ ",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nHost: evil",
        "https://hooks.example.com\r\n/",
        "https://hooks.\texample.com/",
        "https://hooks.example.com/\x00",
        "https://hooks.example.com/\x7f",
        "https://hooks.example.com./",
        "https://hooks..example.com/",
        "https://.example.com/",
        "https://-a.example.com/",
        "https://a-.example.com/",
        "https://a%2eexample.com/",
        "https://*.example.com/",
        "https://a,b.example.com/",
        f"https://{'a' * 64}.example.com/",
        f"https://{'a.' * 126}example/",
        "https://localhost/",
        "https://metadata/",
        "https://bücher.example/",
        "https://１２７.0.0.1/",
        "https://127。0。0。1/",
        "https://hooks.example.com/ü",
        "https://2130706433/",
        "http://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0X7F.1/",
        "https://127.1/",
        "https://127.0.1/",
        "https://0177.0.0.1/",
        "https://127.0.0.01/",
        "https://127.0.0.0x1/",
        "https://256.0.0.1/",
        "https://1.2.3.4.5/",
        "https://8.8.8.8./",
        "https://foo.0x/",
        "https://foo.1/",
        "https://[::1%25lo]/",
        "https://[fe80::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://[::1/",
        "https://::1/",
        "https://[]/",
        "https://[127.0.0.1]/",
        "https://[:::1]/",
        "https://[2606:4700::1111]x/",
        "https://[v1.x]/",
        f"https://hooks.example.com/{'a' * 2048}",
    ],
)
@pytest.mark.parametrize("allow_loopback", [False, True])
def test_a_url_that_breaks_a_rule_or_could_be_read_two_ways_is_refused(
    url: str, allow_loopback: bool
) -> None:
    # Given: the allowance lets these few wait for the judgement of their addresses
    waits = (
        r"http://hooks\.example\.com/"
        r"|https://(hooks\.example\.com:(80|22|8080)|localhost|metadata)/"
    )
    if allow_loopback and re.fullmatch(waits, url):
        assert isinstance(check_url(url, allow_loopback=True), CheckedUrl)
        with pytest.raises(BlockedAddressError):
            Egress(allow_loopback=True, resolver=Resolver([["10.0.0.1"]])).post(url, {}, b"")
        return
    # When
    with pytest.raises(UrlNotAllowedError) as caught:
        check_url(url, allow_loopback=allow_loopback)
    # Then
    assert caught.value.code == "URL_NOT_ALLOWED"


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "224.0.0.1",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fd00:ec2::254]",
        "[fe80::1]",
    ],
)
@pytest.mark.parametrize("allow_loopback", [False, True])
def test_an_address_that_is_not_public_is_refused_at_once(host: str, allow_loopback: bool) -> None:
    with pytest.raises(BlockedAddressError):
        check_url(f"https://{host}/", allow_loopback=allow_loopback)
    with pytest.raises(UrlNotAllowedError):
        check_url(f"http://{host}/", allow_loopback=allow_loopback)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "[::1]", "[0:0:0:0:0:0:0:1]"])
def test_loopback_is_refused_without_the_allowance(host: str) -> None:
    with pytest.raises(BlockedAddressError):
        check_url(f"https://{host}/")
    with pytest.raises(UrlNotAllowedError):
        check_url(f"http://{host}:8080/")
    assert check_url(f"http://{host}:8080/", allow_loopback=True).port == 8080


# --- The allowance ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"EGRESS_ALLOW_LOOPBACK": ""}, False),
        ({"EGRESS_ALLOW_LOOPBACK": "false"}, False),
        ({"EGRESS_ALLOW_LOOPBACK": "false", "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"}, False),
        ({"EGRESS_ALLOW_LOOPBACK": "true"}, True),
    ],
)
def test_the_allowance_is_read_from_the_environment(
    environ: dict[str, str], expected: bool
) -> None:
    assert loopback_allowed(environ) is expected


@pytest.mark.parametrize(
    "environ",
    [
        {"EGRESS_ALLOW_LOOPBACK": "true", "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"},
        {"EGRESS_ALLOW_LOOPBACK": "true", "AWS_LAMBDA_RUNTIME_API": ""},
        {"EGRESS_ALLOW_LOOPBACK": "True"},
        {"EGRESS_ALLOW_LOOPBACK": "1"},
        {"EGRESS_ALLOW_LOOPBACK": "yes"},
    ],
)
def test_the_allowance_cannot_be_switched_on_in_real_lambda_or_by_chance(
    environ: dict[str, str],
) -> None:
    with pytest.raises(EgressConfigurationError, match="EGRESS_ALLOW_LOOPBACK"):
        loopback_allowed(environ)


def test_the_allowance_is_logged_loudly_and_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a package that logs as it does before a function has set it up, whatever ran before
    package = logging.getLogger("postbreeze")
    monkeypatch.setattr(package, "propagate", True)
    monkeypatch.setattr(package, "handlers", [])
    # When
    with caplog.at_level(logging.DEBUG, logger="postbreeze"), answering(OK) as server:
        guard = Egress(allow_loopback=True)
        for _ in range(3):
            guard.post(f"http://127.0.0.1:{server.port}/", {}, b"{}")
        Egress()
    # Then
    [record] = [each for each in caplog.records if each.name.startswith("postbreeze")]
    assert record.levelno == logging.WARNING
    assert "EGRESS GUARD RELAXED" in record.getMessage()


@pytest.mark.parametrize(
    "answer",
    [
        ["10.0.0.1"],
        [PUBLIC],
        ["127.0.0.1", "10.0.0.1"],
        ["127.0.0.1", PUBLIC],
        ["::ffff:127.0.0.1"],
        ["::1%lo"],
        ["0.0.0.0"],  # noqa: S104 - an address to refuse
        ["169.254.169.254"],
    ],
)
def test_with_the_allowance_plain_http_goes_to_loopback_only(answer: list[str]) -> None:
    # Given
    guard = Egress(allow_loopback=True, resolver=Resolver([answer]))
    # Then
    for url in (f"http://{NAME}/", f"http://{NAME}:443/", f"https://{NAME}:9000/"):
        with pytest.raises(BlockedAddressError):
            guard.post(url, {}, b"{}")


# --- Names and addresses ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        ["::1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["fd00:ec2::254"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%eth0"],
        [PUBLIC, "127.0.0.1"],
        ["127.0.0.1", PUBLIC],
        [PUBLIC, "2606:4700::1111", "10.0.0.1"],
        ["not an address"],
    ],
)
def test_one_answer_that_is_not_public_refuses_the_request(answer: list[str]) -> None:
    # Given
    resolver = Resolver([answer])
    # When
    with pytest.raises(BlockedAddressError) as caught:
        Egress(resolver=resolver).post(f"https://{NAME}/", {}, b"{}")
    # Then
    assert resolver.calls == [(NAME, 443)]
    assert caught.value.code == "ADDRESS_BLOCKED"
    assert not any(address in str(caught.value) for address in answer)


def test_a_name_is_resolved_once_so_a_second_answer_cannot_lead_inside(
    monkeypatch: pytest.MonkeyPatch,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> None:
    """DNS rebinding: public when checked, private when connected. Also without the allowance."""
    # Given: dialling is watched, and led to a server of ours
    resolver = Resolver([[PUBLIC], ["127.0.0.1"]])
    dialled: list[Any] = []
    with answering(OK, tls=server_tls) as server:

        class Watched(socket.socket):
            def connect(self, address: Any) -> None:
                dialled.append(address)
                super().connect(("127.0.0.1", server.port))

        monkeypatch.setattr(socket, "socket", Watched)
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda *_, **__: pytest.fail("a second resolution"),
        )
        # When
        response = Egress(resolver=resolver, ssl_context=client_tls).post(
            f"https://{NAME}:8443/hook?a=b", {}, b"{}"
        )
    # Then
    assert response.status == 200
    assert resolver.calls == [(NAME, 8443)]
    assert dialled == [(PUBLIC, 8443)]
    assert server.received.startswith(
        b"POST /hook?a=b HTTP/1.1\r\nHost: hooks.example.com:8443\r\n"
    )


def test_an_address_in_the_url_is_never_looked_up(local: Egress) -> None:
    # Given
    resolver = Resolver([["10.0.0.1"]])
    guard = Egress(allow_loopback=True, resolver=resolver)
    # When
    with answering(OK) as server:
        response = guard.post(f"http://127.0.0.1:{server.port}/", {}, b"{}")
    # Then
    assert response.status == 200
    assert resolver.calls == []


@pytest.mark.parametrize(
    "error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")]
)
def test_a_name_that_cannot_be_resolved(error: Exception) -> None:
    # Given
    def failing(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        raise error

    # When
    with pytest.raises(DnsError) as caught:
        Egress(resolver=failing).post(f"https://{NAME}/", {}, b"{}")
    # Then
    assert caught.value.code == "DNS_FAILED"


def test_a_name_without_addresses() -> None:
    with pytest.raises(DnsError):
        Egress(resolver=Resolver([[]])).post(f"https://{NAME}/", {}, b"{}")


def test_a_bug_in_the_resolver_is_not_disguised() -> None:
    # Given
    def broken(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        raise KeyError("bug")

    # Then
    with pytest.raises(KeyError, match="bug"):
        Egress(resolver=broken).post(f"https://{NAME}/", {}, b"{}")


def test_a_name_server_that_does_not_answer_is_left_behind() -> None:
    # Given
    released = threading.Event()

    def silent(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        released.wait(UNLIMITED)
        return []

    # When
    with pytest.raises(DeadlineError) as caught:
        Egress(resolver=silent).post(f"https://{NAME}/", {}, b"{}", deadline=SHORT)
    released.set()
    # Then
    assert caught.value.code == "TIMED_OUT"
    assert caught.value.duration_ms >= SHORT * 1000


def test_the_next_address_is_tried_when_one_refuses() -> None:
    # Given: nobody listens on 127.0.0.2 at this port
    guard = Egress(allow_loopback=True, resolver=Resolver([["127.0.0.2", "127.0.0.1"]]))
    # When
    with answering(OK) as server:
        response = guard.post(f"http://{NAME}:{server.port}/", {}, b"{}")
    # Then
    assert response.status == 200


def test_a_family_that_the_machine_lacks_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    class OnlyIPv4(socket.socket):
        def __init__(self, family: int = -1, *rest: Any, **named: Any) -> None:
            if family == socket.AF_INET6:
                raise OSError(97, "Address family not supported by protocol")
            super().__init__(family, *rest, **named)

    guard = Egress(allow_loopback=True, resolver=Resolver([["::1", "127.0.0.1"]]))
    # When
    with answering(OK) as server:
        monkeypatch.setattr(socket, "socket", OnlyIPv4)
        response = guard.post(f"http://{NAME}:{server.port}/", {}, b"{}")
    # Then
    assert response.status == 200


def test_nobody_listening() -> None:
    # Given: a port that was free a moment ago
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    # When
    with pytest.raises(ConnectError) as caught:
        Egress(allow_loopback=True).post(f"http://127.0.0.1:{port}/", {}, b"{}")
    # Then
    assert caught.value.code == "CONNECT_FAILED"
    assert "127.0.0.1" not in str(caught.value)


def test_an_address_that_stays_silent_uses_up_its_share_and_then_the_deadline() -> None:
    # Given: a listener whose queue is full drops further attempts
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(listener.getsockname())
        port = listener.getsockname()[1]
        # When
        with pytest.raises(DeadlineError):
            Egress(allow_loopback=True).post(f"http://127.0.0.1:{port}/", {}, b"{}", deadline=SHORT)


# --- The request --------------------------------------------------------------------------------


def test_the_request_is_sent_exactly(local: Egress) -> None:
    # When
    with answering(OK) as server:
        response = local.post(
            f"http://{NAME}:{server.port}/hook?x=1",
            {"Content-Type": "application/json", "X-Postbreeze-Event": "post.cancelled"},
            b'{"a":"\xc3\xa9"}',
        )
    # Then
    assert server.received == (
        b"POST /hook?x=1 HTTP/1.1\r\n"
        b"Host: hooks.example.com:%d\r\n"
        b"Connection: close\r\n"
        b"Accept-Encoding: identity\r\n"
        b"Content-Type: application/json\r\n"
        b"X-Postbreeze-Event: post.cancelled\r\n"
        b"Content-Length: 10\r\n"
        b"\r\n"
        b'{"a":"\xc3\xa9"}' % server.port
    )
    assert (response.status, response.body, response.truncated) == (200, b"ok", False)
    assert response.duration_ms >= 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil"},
        {"content-length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "keep-alive"},
        {"Accept-Encoding": "gzip"},
        {"X-A": "b\r\nHost: evil"},
        {"X A": "b"},
        {"X-A": "\u20ac"},
    ],
)
def test_headers_that_would_change_the_framing_are_a_bug_of_the_caller(
    local: Egress, headers: dict[str, str]
) -> None:
    with (
        answering(OK) as server,
        pytest.raises(ValueError, match="header"),
    ):
        local.post(f"http://{NAME}:{server.port}/", headers, b"{}")
    assert server.connections == 0


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxies_and_passwords_of_the_environment_are_ignored(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    scheme: str,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> None:
    # Given
    with answering(b"HTTP/1.1 503 proxy\r\n\r\n") as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{proxy.port}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "*.example.org")
        netrc = tmp_path / ".netrc"
        netrc.write_text("default login somebody password secret\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("HOME", str(tmp_path))
        guard = Egress(
            allow_loopback=True, resolver=Resolver([["127.0.0.1"]]), ssl_context=client_tls
        )
        # When
        with answering(OK, tls=server_tls if scheme == "https" else None) as server:
            response = guard.post(f"{scheme}://{NAME}:{server.port}/", {}, b"{}")
    # Then
    assert response.status == 200
    assert proxy.connections == 0
    assert server.connections == 1
    assert b"uthorization" not in server.received


# --- TLS ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("by_name", [True, False])
def test_tls_checks_the_certificate_against_the_name_or_address(
    address: str, by_name: bool, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    # Given
    guard = Egress(allow_loopback=True, resolver=Resolver([[address]]), ssl_context=client_tls)
    literal = f"[{address}]" if ":" in address else address
    host = NAME if by_name else literal
    # When
    with answering(OK, tls=server_tls, address=address) as server:
        response = guard.post(f"https://{host}:{server.port}/", {}, b"{}")
    # Then
    assert response.status == 200
    assert f"Host: {host}:{server.port}\r\n".encode() in server.received


def test_the_name_is_sent_as_sni(authority: Authority, trusting: Egress) -> None:
    # Given
    context = authority.server_context(NAME)
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    # When
    with answering(OK, tls=context) as server:
        trusting.post(f"https://HOOKS.example.com:{server.port}/", {}, b"{}")
    # Then
    assert names == [NAME]


def test_a_certificate_for_another_name_is_refused(
    server_tls: ssl.SSLContext, trusting: Egress
) -> None:
    # When
    with (
        answering(OK, tls=server_tls) as server,
        pytest.raises(TlsError) as caught,
    ):
        trusting.post(f"https://other.example.com:{server.port}/", {}, b"secret")
    # Then
    assert caught.value.code == "TLS_FAILED"
    assert "ostname mismatch" in str(caught.value)
    assert server.received == b""


def test_a_certificate_of_an_impostor_of_the_authority_is_refused(trusting: Egress) -> None:
    """It names the authority that is trusted; another key has signed it."""
    with (
        answering(OK, tls=Authority().server_context(NAME)) as server,
        pytest.raises(TlsError, match="certificate is not valid"),
    ):
        trusting.post(f"https://{NAME}:{server.port}/", {}, b"secret")
    assert server.received == b""


def test_a_certificate_of_an_unknown_authority_is_refused(server_tls: ssl.SSLContext) -> None:
    """This uses the context that production uses."""
    # Given
    guard = Egress(allow_loopback=True, resolver=Resolver([["127.0.0.1"]]))
    # When
    with answering(OK, tls=server_tls) as server:
        for _ in range(2):
            with pytest.raises(TlsError, match="certificate is not valid"):
                guard.post(f"https://{NAME}:{server.port}/", {}, b"secret")
    # Then
    assert server.received == b""


def test_an_expired_certificate_is_refused(authority: Authority, trusting: Egress) -> None:
    with (
        answering(OK, tls=authority.server_context(NAME, days_old=2)) as server,
        pytest.raises(TlsError, match="certificate has expired"),
    ):
        trusting.post(f"https://{NAME}:{server.port}/", {}, b"secret")


def test_a_certificate_that_is_not_valid_yet_is_refused(
    authority: Authority, trusting: Egress
) -> None:
    with (
        answering(OK, tls=authority.server_context(NAME, days_old=-2)) as server,
        pytest.raises(TlsError, match="certificate is not yet valid"),
    ):
        trusting.post(f"https://{NAME}:{server.port}/", {}, b"secret")
    assert server.received == b""


def test_a_certificate_that_vouches_for_itself_is_refused(
    authority: Authority, trusting: Egress
) -> None:
    with (
        answering(OK, tls=authority.server_context(NAME, vouched_for=False)) as server,
        pytest.raises(TlsError, match="self-signed certificate"),
    ):
        trusting.post(f"https://{NAME}:{server.port}/", {}, b"secret")
    assert server.received == b""


def test_a_server_that_wants_a_certificate_of_ours(authority: Authority, trusting: Egress) -> None:
    # Given: it says so only after the handshake has ended for us
    context = authority.server_context(NAME)
    context.verify_mode = ssl.CERT_REQUIRED
    # Then
    with answering(OK, tls=context) as server, pytest.raises(TlsError):
        trusting.post(f"https://{NAME}:{server.port}/", {}, b"{}")


def test_tickets_without_end_are_stopped(authority: Authority, trusting: Egress) -> None:
    """OpenSSL takes them in by itself: what it is fed must be bounded."""
    # Given
    context = authority.server_context(NAME)
    context.num_tickets = 3_000
    # When
    with answering(OK, tls=context) as server, pytest.raises(ProtocolError) as caught:
        trusting.post(f"https://{NAME}:{server.port}/", {}, b"{}", deadline=UNLIMITED)
    # Then
    assert caught.value.code == "PROTOCOL_ERROR"


def test_a_server_that_does_not_speak_tls(trusting: Egress) -> None:
    # Given
    def behave(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    # Then
    with RawServer(behave) as server, pytest.raises(TlsError, match="handshake failed"):
        trusting.post(f"https://{NAME}:{server.port}/", {}, b"{}")


def test_a_reset_during_the_handshake(trusting: Egress) -> None:
    # Given
    def behave(connection: socket.socket) -> None:
        connection.recv(1)
        reset(connection)

    # Then
    with RawServer(behave) as server, pytest.raises(ConnectionLostError):
        trusting.post(f"https://{NAME}:{server.port}/", {}, b"{}")


def test_an_end_during_the_handshake(trusting: Egress) -> None:
    # Given: all of the greeting is read, so that closing is an end and not a reset
    def behave(connection: socket.socket) -> None:
        connection.recv(65_536)

    # Then
    with RawServer(behave) as server, pytest.raises(TlsError, match="handshake failed"):
        trusting.post(f"https://{NAME}:{server.port}/", {}, b"{}")


def test_a_handshake_that_is_never_answered_is_held_to_the_deadline(trusting: Egress) -> None:
    # Given
    def behave(connection: socket.socket) -> None:
        connection.recv(65_536)
        hang(server, connection)

    server = RawServer(behave)
    # Then
    with server, pytest.raises(DeadlineError):
        trusting.post(f"https://{NAME}:{server.port}/", {}, b"{}", deadline=SHORT)


def test_a_handshake_that_drips_is_held_to_the_deadline(trusting: Egress) -> None:
    # Given: the header of a long record, then a byte of it at a time

    def behave(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb\x03\x03")
        server.drip(connection, b"\x00")

    server = RawServer(behave)
    # Then
    with server, pytest.raises(DeadlineError):
        trusting.post(f"https://{NAME}:{server.port}/", {}, b"{}", deadline=SHORT)


def test_a_record_that_is_no_tls_after_the_handshake(
    server_tls: ssl.SSLContext, trusting: Egress
) -> None:
    # Given
    def then(server: RawServer, connection: socket.socket) -> None:
        with socket.socket(fileno=connection.detach()) as bare:
            bare.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    # Then
    with behaving(then, tls=server_tls) as server, pytest.raises(TlsError, match="connection"):
        trusting.post(f"https://{NAME}:{server.port}/", {}, b"{}")


# --- The answer ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status", [200, 204, 299, 301, 302, 304, 307, 400, 404, 410, 429, 500, 599]
)
def test_every_status_is_an_answer_and_redirects_are_not_followed(
    local: Egress, status: int
) -> None:
    # Given
    with answering(OK) as elsewhere:
        location = f"http://127.0.0.1:{elsewhere.port}/inside"
        answer = f"HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        # When
        with answering(answer.encode()) as server:
            response = local.post(f"http://{NAME}:{server.port}/", {}, b"{}")
    # Then
    assert response.status == status
    assert response.headers["location"] == location
    assert elsewhere.connections == 0


def test_few_headers_are_kept_short_and_printable(local: Egress) -> None:
    # Given
    answer = (
        b"HTTP/1.1 429 Slow down\r\nRetry-After: 7\r\nSet-Cookie: session=1\r\n"
        b"Content-Type: text/plain\r\nServer: a\x1b[31mb\x07\r\nX-Internal: 10.0.0.1\r\n"
        b"Location: " + b"l" * 2000 + b"\r\nContent-Length: 0\r\n\r\n"
    )
    # When
    with answering(answer) as server:
        response = local.post(f"http://{NAME}:{server.port}/", {}, b"{}")
    # Then
    assert response.headers == {
        "content-length": "0",
        "content-type": "text/plain",
        "location": "l" * 512,
        "retry-after": "7",
        "server": "a [31mb ",
    }


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", b"old"),
        (
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nT: x\r\n\r\n"
            ),
            b"hello",
        ),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x"),
        (
            (
                b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
                b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
            ),
            b"x",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
            b"\x1f\x8b",
        ),
    ],
)
def test_bodies_of_every_framing(local: Egress, answer: bytes, body: bytes) -> None:
    # When
    with answering(answer) as server:
        response = local.post(f"http://{NAME}:{server.port}/", {}, b"{}")
    # Then
    assert (response.status // 100, response.body, response.truncated) == (2, body, False)


@pytest.mark.parametrize("length", [16_383, 16_384, 16_385, 200_000])
@pytest.mark.parametrize("framing", ["length", "close", "chunked"])
def test_a_long_body_is_cut_at_16_kib(local: Egress, length: int, framing: str) -> None:
    # Given
    content = b"x" * length
    answers = {
        "length": b"Content-Length: %d\r\n\r\n%b" % (length, content),
        "close": b"\r\n" + content,
        "chunked": b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (length, content),
    }
    # When
    with answering(b"HTTP/1.1 200 OK\r\n" + answers[framing]) as server:
        response = local.post(f"http://{NAME}:{server.port}/", {}, b"{}")
    # Then
    assert response.body == content[:16_384]
    assert response.truncated is (length > 16_384)


@SECURE
@pytest.mark.parametrize("framing", ["length", "close", "chunked"])
def test_an_endless_body_is_cut_and_not_read_on(
    monkeypatch: pytest.MonkeyPatch,
    trusting: Egress,
    server_tls: ssl.SSLContext,
    framing: str,
    secure: bool,
) -> None:
    # Given: whatever comes in is counted, also what TLS adds to it
    taken: list[int] = []

    class Counted(egress_module._Bounds):
        def count(self, received: int) -> None:
            taken.append(received)
            super().count(received)

    monkeypatch.setattr(egress_module, "_Bounds", Counted)
    start, piece = {
        "length": (b"Content-Length: 999999999999\r\n\r\n", b"x" * 65_536),
        "close": (b"\r\n", b"x" * 65_536),
        "chunked": (b"Transfer-Encoding: chunked\r\n\r\n", b"400\r\n%b\r\n" % (b"x" * 1024)),
    }[framing]

    def then(server: RawServer, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + start)
        while True:  # ends when the client has hung up
            connection.sendall(piece)

    # When
    with behaving(then, tls=server_tls if secure else None) as server:
        response = trusting.post(
            f"http{'s' * secure}://{NAME}:{server.port}/", {}, b"{}", deadline=UNLIMITED
        )
    # Then
    assert (len(response.body), response.truncated) == (16_384, True)
    assert 16_384 < sum(taken) < 160_000


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"),
        (b"HTTP/1.1 200 ", b"O"),
        (b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
        (b"HTTP/1.1 200 OK\r\na: ", b"b"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", b"a: b\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a"),
    ],
    ids=[
        "100 after 100",
        "103 after 103",
        "status line",
        "headers",
        "one header",
        "negative chunk",
        "trailers",
        "chunk extension",
    ],
)
@SECURE
def test_framing_without_end_is_stopped(
    trusting: Egress, server_tls: ssl.SSLContext, start: bytes, piece: bytes, secure: bool
) -> None:
    # Given
    def then(server: RawServer, connection: socket.socket) -> None:
        connection.sendall(start)
        while True:  # ends when the client has hung up
            connection.sendall(piece * 500)

    # When
    with (
        behaving(then, tls=server_tls if secure else None) as server,
        pytest.raises(ProtocolError) as caught,
    ):
        trusting.post(f"http{'s' * secure}://{NAME}:{server.port}/", {}, b"{}", deadline=UNLIMITED)
    # Then
    assert caught.value.code == "PROTOCOL_ERROR"


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 1000 OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-7\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n",
        b"\x00\xff" * 50,
        b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 99 Too small\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n",
    ],
)
@SECURE
def test_an_answer_that_is_not_http_or_not_complete(
    trusting: Egress, server_tls: ssl.SSLContext, answer: bytes, secure: bool
) -> None:
    with (
        answering(answer, tls=server_tls if secure else None) as server,
        pytest.raises(ProtocolError),
    ):
        trusting.post(f"http{'s' * secure}://{NAME}:{server.port}/", {}, b"{}")


@pytest.mark.parametrize(
    "before",
    [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"],
    ids=["at once", "in the headers", "in the body"],
)
def test_a_reset_is_a_lost_connection_even_after_a_good_status(
    local: Egress, before: bytes
) -> None:
    # Given: the client must have taken what came before, so that the reset does not overtake it
    def then(server: RawServer, connection: socket.socket) -> None:
        connection.sendall(before)
        while before and not _all_taken(connection):
            server.stopping.wait(0.005)
        reset(connection)

    # When
    with behaving(then) as server, pytest.raises(ConnectionLostError) as caught:
        local.post(f"http://{NAME}:{server.port}/", {}, b"{}")
    # Then
    assert caught.value.code == "CONNECTION_RESET"


def _all_taken(connection: socket.socket) -> bool:
    """Whether the peer has acknowledged everything (Linux: SIOCOUTQ)."""
    import fcntl
    import termios

    queued = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\x00\x00\x00\x00")
    return queued == b"\x00\x00\x00\x00"


@SECURE
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
def test_a_connection_closed_without_an_answer(
    trusting: Egress, server_tls: ssl.SSLContext, answer: bytes, secure: bool
) -> None:
    with (
        answering(answer, tls=server_tls if secure else None) as server,
        pytest.raises(ConnectionLostError),
    ):
        trusting.post(f"http{'s' * secure}://{NAME}:{server.port}/", {}, b"{}")


@SECURE
def test_a_connection_reset_before_the_request(trusting: Egress, secure: bool) -> None:
    with RawServer(reset) as server, pytest.raises(ConnectionLostError):
        trusting.post(f"http{'s' * secure}://{NAME}:{server.port}/", {}, b"x" * 20_000_000)


def test_a_connection_reset_while_it_is_made_was_taken_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given: the first address takes connections and resets them at once
    class Reset(socket.socket):
        def connect(self, address: Any) -> None:
            if address[0] == "127.0.0.2":
                raise ConnectionResetError
            super().connect(address)

    monkeypatch.setattr(socket, "socket", Reset)
    resolver = Resolver([["127.0.0.2"], ["127.0.0.2", "127.0.0.1"]])
    guard = Egress(allow_loopback=True, resolver=resolver)
    with answering(OK) as server:
        url = f"http://{NAME}:{server.port}/"
        # When
        with pytest.raises(ConnectionLostError):
            guard.post(url, {}, b"{}")
        response = guard.post(url, {}, b"{}")
    # Then
    assert response.status == 200


@SECURE
@pytest.mark.parametrize("ends_first", [False, True], ids=["reset", "end"])
def test_an_answer_given_before_the_body_was_read_counts(
    trusting: Egress, server_tls: ssl.SSLContext, ends_first: bool, secure: bool
) -> None:
    # Given: a server that answers and hangs up while the body is still being sent
    def behave(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(b"HTTP/1.1 413 Too large\r\nContent-Length: 0\r\n\r\n")
        if ends_first:
            connection.shutdown(socket.SHUT_WR)
        while not _all_taken(connection):
            server.stopping.wait(0.005)

    # When
    server = RawServer(behave, tls=server_tls if secure else None)
    with server:
        response = trusting.post(
            f"http{'s' * secure}://{NAME}:{server.port}/", {}, b"x" * 20_000_000
        )
    # Then
    assert response.status == 413


# --- The deadline -------------------------------------------------------------------------------


def _no_answer(server: RawServer, connection: socket.socket) -> None:
    hang(server, connection)


def _dripping_status(server: RawServer, connection: socket.socket) -> None:
    server.drip(connection, b"H")


def _dripping_headers(server: RawServer, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    server.drip(connection, b"A: b\r\n")


def _dripping_body(server: RawServer, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    server.drip(connection, b"x")


def _dripping_chunks(server: RawServer, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    server.drip(connection, b"1\r\nx\r\n")


def _dripping_without_end(server: RawServer, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    server.drip(connection, b"x")


@pytest.mark.parametrize(
    "then",
    [
        _no_answer,
        _dripping_status,
        _dripping_headers,
        _dripping_body,
        _dripping_chunks,
        _dripping_without_end,
    ],
)
@pytest.mark.parametrize("secure", [False, True])
def test_a_slow_answer_is_held_to_the_deadline_however_it_drips(
    then: Callable[[RawServer, socket.socket], None],
    secure: bool,
    server_tls: ssl.SSLContext,
    trusting: Egress,
) -> None:
    # Given
    scheme = "https" if secure else "http"
    # When
    with (
        behaving(then, tls=server_tls if secure else None) as server,
        pytest.raises(DeadlineError) as caught,
    ):
        trusting.post(f"{scheme}://{NAME}:{server.port}/", {}, b"{}", deadline=SHORT)
    # Then
    assert caught.value.code == "TIMED_OUT"
    assert caught.value.duration_ms >= SHORT * 1000


@pytest.mark.parametrize("secure", [False, True])
def test_a_receiver_that_does_not_read_is_held_to_the_deadline(
    secure: bool, server_tls: ssl.SSLContext, trusting: Egress
) -> None:
    # Given
    scheme = "https" if secure else "http"

    def behave(_: socket.socket) -> None:
        server.stopping.wait(UNLIMITED)

    server = RawServer(behave, tls=server_tls if secure else None)
    # Then
    with server, pytest.raises(DeadlineError):
        trusting.post(f"{scheme}://{NAME}:{server.port}/", {}, b"x" * 20_000_000, deadline=SHORT)


def test_a_receiver_that_reads_slowly_is_held_to_the_deadline(local: Egress) -> None:
    # Given: every single write succeeds in time, all of them together do not
    body = b"x" * 100_000_000
    taken: list[int] = []

    def behave(connection: socket.socket) -> None:
        while received := connection.recv(65_536):
            taken.append(len(received))
            server.stopping.wait(0.005)

    server = RawServer(behave)
    # When
    with server, pytest.raises(DeadlineError):
        local.post(f"http://{NAME}:{server.port}/", {}, body, deadline=SHORT)
    # Then: it was stopped while sending, not only afterwards
    assert sum(taken) < len(body)


def test_no_time_at_all(local: Egress) -> None:
    with answering(OK) as server, pytest.raises(DeadlineError):
        local.post(f"http://{NAME}:{server.port}/", {}, b"{}", deadline=0)
    assert server.connections == 0


# --- Fetching -----------------------------------------------------------------------------------


def image(content: bytes, *headers: bytes, kind: bytes = b"image/png") -> bytes:
    """An answer that holds a picture."""
    lines = [b"HTTP/1.1 200 OK", b"Content-Type: " + kind, *headers]
    return b"\r\n".join([*lines, b"", content])


def fetch(guard: Egress, server: RawServer, max_bytes: int = 10) -> tuple[bytes, str]:
    """Fetch a picture from the server."""
    return guard.fetch(
        f"http://{NAME}:{server.port}/a.png",
        max_bytes=max_bytes,
        content_types=("image/*", "video/mp4"),
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (b"image/png", "image/png"),
        (b"Image/JPEG; charset=x", "image/jpeg"),
        (b"video/mp4", "video/mp4"),
    ],
)
def test_a_file_is_fetched_with_its_media_type(local: Egress, kind: bytes, expected: str) -> None:
    # When
    with answering(image(b"0123456789", b"Content-Length: 10", kind=kind)) as server:
        content, content_type = fetch(local, server)
    # Then
    assert (content, content_type) == (b"0123456789", expected)
    assert server.received == (
        b"GET /a.png HTTP/1.1\r\nHost: hooks.example.com:%d\r\nConnection: close\r\n"
        b"Accept-Encoding: identity\r\nUser-Agent: Postbreeze-Media/1.0\r\n"
        b"Accept: image/*, video/mp4\r\n\r\n" % server.port
    )


@pytest.mark.parametrize(
    "kind", [b"text/html", b"video/webm", b"imagery/png", b"", b"image", b"image/", b"/"]
)
def test_another_kind_of_content_is_refused(local: Egress, kind: bytes) -> None:
    with answering(image(b"x", kind=kind)) as server, pytest.raises(ContentTypeError) as caught:
        fetch(local, server)
    assert caught.value.code == "CONTENT_TYPE_NOT_ALLOWED"


@pytest.mark.parametrize(
    "answer",
    [
        image(b"01234567890", b"Content-Length: 11"),
        image(b"", b"Content-Length: 9999999"),
        image(b"01234567890"),
        image(b"b\r\n01234567890\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"),
    ],
    ids=["just over", "announced", "until the end", "chunked"],
)
def test_a_file_that_is_too_large_is_refused(local: Egress, answer: bytes) -> None:
    with answering(answer) as server, pytest.raises(ResponseTooLargeError) as caught:
        fetch(local, server)
    assert caught.value.code == "RESPONSE_TOO_LARGE"


@pytest.mark.parametrize("status", [201, 206, 301, 302, 307, 401, 404, 500])
def test_only_200_is_a_file_and_redirects_are_not_followed(local: Egress, status: int) -> None:
    # Given
    with answering(image(b"inside")) as elsewhere:
        answer = f"HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:{elsewhere.port}/\r\n\r\n"
        # When
        with answering(answer.encode()) as server, pytest.raises(UnexpectedStatusError) as caught:
            fetch(local, server)
    # Then
    assert caught.value.status == status
    assert caught.value.code == "UNEXPECTED_STATUS"
    assert elsewhere.connections == 0


def test_a_compressed_file_is_refused(local: Egress) -> None:
    with (
        answering(image(b"\x1f\x8b", b"Content-Encoding: gzip")) as server,
        pytest.raises(ProtocolError, match="compressed"),
    ):
        fetch(local, server)


class _Chunks(BytesIO):
    """A file that remembers the largest piece it was given."""

    largest = 0

    def write(self, data: Any) -> int:
        self.largest = max(self.largest, len(data))
        return super().write(data)


def test_a_large_file_comes_in_pieces(local: Egress) -> None:
    # Given
    content = bytes(range(256)) * 4_096
    length = f"Content-Length: {len(content)}".encode()
    into = _Chunks()
    with answering(image(content, length)) as server:
        # When
        kind = local.download(
            f"http://{NAME}:{server.port}/a.png",
            into,
            max_bytes=len(content),
            content_types=("image/*",),
        )
    # Then
    assert kind == "image/png"
    assert into.getvalue() == content
    assert into.largest <= 64 * 1024


def test_a_file_that_breaks_off_is_refused(local: Egress) -> None:
    with (
        answering(image(b"012", b"Content-Length: 10")) as server,
        pytest.raises(ProtocolError, match="broke off"),
    ):
        fetch(local, server)


def test_fetching_is_guarded_and_held_to_its_deadline(local: Egress) -> None:
    with pytest.raises(BlockedAddressError):
        Egress(resolver=Resolver([["10.0.0.1"]])).fetch(
            f"https://{NAME}/", max_bytes=1, content_types=("image/*",)
        )
    with behaving(_dripping_body) as server, pytest.raises(EgressError):
        local.fetch(
            f"http://{NAME}:{server.port}/",
            max_bytes=100_000,
            content_types=("image/*",),
            deadline=SHORT,
        )


def test_a_large_file_arrives_whole(local: Egress) -> None:
    # Given
    content = bytes(range(256)) * 20_000
    # When
    with answering(image(content, b"Content-Length: %d" % len(content))) as server:
        received, _ = fetch(local, server, max_bytes=len(content))
    # Then
    assert received == content


# --- Errors -------------------------------------------------------------------------------------


def test_every_error_has_a_code_of_its_own() -> None:
    # When
    codes = [kind.code for kind in EgressError.__subclasses__()]
    # Then
    assert sorted(codes) == [
        "ADDRESS_BLOCKED",
        "CONNECTION_RESET",
        "CONNECT_FAILED",
        "CONTENT_TYPE_NOT_ALLOWED",
        "DNS_FAILED",
        "PROTOCOL_ERROR",
        "RESPONSE_TOO_LARGE",
        "TIMED_OUT",
        "TLS_FAILED",
        "UNEXPECTED_STATUS",
        "URL_NOT_ALLOWED",
    ]


def test_the_connection_never_dials_by_itself() -> None:
    # Given
    bounds = egress_module._Bounds(ends=0, bytes_left=0)
    with socket.socket() as unconnected:
        channel = egress_module._Channel(unconnected, bounds)
        connection = egress_module._Connection(channel, check_url(f"https://{NAME}/"))
        # Then
        with pytest.raises(ConnectionResetError):
            connection.connect()
