"""No special address, however it is written or answered, is ever connected to.

Dialling is watched, so that what counts is not what the guard says but what it does.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postbreeze.adapters.address_rules import (
    IPV4_SPECIAL,
    IPV6_SPECIAL,
    IPAddress,
    IPNetwork,
    is_public,
)
from postbreeze.adapters.egress import Egress, EgressError
from tests.support.certificates import Authority
from tests.support.proof import Proved, share
from tests.support.raw_server import Resolver, answering
from tests.support.spellings import NAME, PUBLIC, READABLE, WRAPPED, answers, neighbours, urls

SPECIAL: list[IPNetwork] = [entry.net for entry in (*IPV4_SPECIAL, *IPV6_SPECIAL)]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Where the guard tried to connect; nobody takes a connection."""
    addresses: list[Any] = []

    class Watched(socket.socket):
        def connect(self, address: Any) -> None:
            addresses.append(address)
            raise ConnectionRefusedError

    monkeypatch.setattr(socket, "socket", Watched)
    return addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A request, what the name server says to it, and what it must come to after so many asks."""

    spelling: str
    url: str
    answer: list[str]
    expected: tuple[str, int]

    def ending(self) -> tuple[str, int]:
        """Make the request; return what it came to, and how often a name was looked up."""
        resolver = Resolver([self.answer])
        with pytest.raises(EgressError) as caught:
            Egress(resolver=resolver).post(self.url, {}, b"secret")
        return caught.value.code, len(resolver.calls)


def attempts(address: IPAddress) -> Iterator[Attempt]:
    """Every way to try to get there; the address is to blame only where it can be read."""
    for spelling, url in urls(address).items():
        code = "ADDRESS_BLOCKED" if spelling in READABLE else "URL_NOT_ALLOWED"
        yield Attempt(spelling=spelling, url=url, answer=[PUBLIC], expected=(code, 0))
    for spelling, answer in answers(address).items():
        yield Attempt(
            spelling=spelling,
            url=f"https://{NAME}/",
            answer=answer,
            expected=("ADDRESS_BLOCKED", 1),
        )


def with_wrapped(address: IPAddress) -> list[IPAddress]:
    """An address and the IPv6 addresses that stand for it."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address, *(wrap(address) for wrap in WRAPPED.values())]
    return [address]


def test_nothing_special_is_let_through_however_it_is_written(
    dialled: list[Any], proved: Callable[[Proved], None]
) -> None:
    # Given: the first, the middle and the last address of every block, and what stands for them
    edges = {net[at] for net in SPECIAL for at in (0, net.num_addresses // 2, -1)}
    inner = share(tested={net[net.num_addresses // 2] for net in SPECIAL}, proved=edges)
    addresses = edges | {each for address in inner for each in with_wrapped(address)}
    tried = [(address, attempt) for address in addresses for attempt in attempts(address)]
    # When
    wrong = [
        f"{address} as {attempt.spelling}: {attempt.url!r}"
        for address, attempt in tried
        if attempt.ending() != attempt.expected
    ]
    # Then
    assert wrong == []
    nets, spellings = len(SPECIAL), len({attempt.spelling for _, attempt in tried})
    proved(
        Proved(
            what=f"SSRF, {nets} nets in {spellings} spellings",
            count=len(addresses),
            unit="addresses refused",
            violations=len(dialled),
        )
    )


def test_nothing_special_that_is_drawn_is_let_through(
    dialled: list[Any], proved: Callable[[Proved], None]
) -> None:
    drawn: set[IPAddress] = set()

    @settings(max_examples=share(tested=100, proved=10_000))
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        # Given
        net = data.draw(st.sampled_from(SPECIAL))
        inner = net[data.draw(st.integers(0, net.num_addresses - 1))]
        address = data.draw(st.sampled_from(with_wrapped(inner)))
        attempt = data.draw(st.sampled_from(list(attempts(address))))
        drawn.add(address)
        # Then
        assert attempt.ending() == attempt.expected

    check()
    proved(
        Proved(
            what="SSRF, drawn from the same",
            count=len(drawn),
            unit="addresses refused",
            violations=len(dialled),
        )
    )


def test_what_is_next_to_it_is_let_through(dialled: list[Any]) -> None:
    """A guard that refuses everything would pass what is above."""
    # Given
    public = [each for net in SPECIAL for each in neighbours(net) if is_public(each)]
    # When
    for address in public:
        host = f"[{address}]" if address.version == 6 else str(address)
        for url in (f"https://{host}/", f"https://{NAME}/"):
            attempt = Attempt(spelling="", url=url, answer=[str(address)], expected=("", 0))
            assert attempt.ending()[0] == "CONNECT_FAILED"
    # Then
    assert [ipaddress.ip_address(there[0]) for there in dialled] == [
        address for address in public for _ in range(2)
    ]


def test_a_name_that_moves_inside_after_the_check_is_never_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding, with a certificate that would let the trap pass for the server."""
    # Given: dialling is watched, and led to servers of ours
    authority = Authority()
    resolver = Resolver([[PUBLIC], ["127.0.0.1"], [PUBLIC, "127.0.0.1"], [PUBLIC]])
    guard = Egress(resolver=resolver, ssl_context=authority.client_context())
    tls = authority.server_context(NAME, "127.0.0.1")
    named: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: named.append(name)
    went: list[Any] = []
    with answering(OK, tls=tls) as server, answering(OK, tls=tls) as trap:
        ports = {PUBLIC: server.port, "127.0.0.1": trap.port}

        class Led(socket.socket):
            def connect(self, address: Any) -> None:
                went.append(address)
                super().connect(("127.0.0.1", ports[address[0]]))

        monkeypatch.setattr(socket, "socket", Led)
        monkeypatch.setattr(socket, "getaddrinfo", resolver)
        # When
        endings: list[object] = []
        for _ in range(4):
            try:
                endings.append(guard.post(f"https://{NAME}:8443/", {}, b"{}").status)
            except EgressError as error:
                endings.append(error.code)
    # Then: each attempt asks once, and goes where it was told then or nowhere
    assert endings == [200, "ADDRESS_BLOCKED", "ADDRESS_BLOCKED", 200]
    assert resolver.calls == [(NAME, 8443)] * 4
    assert went == [(PUBLIC, 8443)] * 2
    assert (server.connections, trap.connections) == (2, 0)
    assert named == [NAME] * 2
    assert server.received.startswith(b"POST / HTTP/1.1\r\nHost: hooks.example.com:8443\r\n")
