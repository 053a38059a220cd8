"""Every block of the tables is refused at its first, middle and last address; the rest passes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postbreeze.adapters.address_rules import (
    IPV4_SPECIAL,
    IPV6_SPECIAL,
    IPAddress,
    IPNetwork,
    SpecialNet,
    is_loopback,
    is_public,
)
from tests.support.spellings import neighbours

SPECIAL = [*IPV4_SPECIAL, *IPV6_SPECIAL]

REGISTRIES = """
0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
192.0.0.0/29 192.0.0.8/32 192.0.0.9/32 192.0.0.10/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24
192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.88.99.2/32 192.168.0.0/16 192.175.48.0/24
198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 255.255.255.255/32
::1/128 ::/128 ::ffff:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001::/32
2001:1::1/128 2001:1::2/128 2001:1::3/128 2001:2::/48 2001:3::/32 2001:4:112::/48 2001:10::/28
2001:20::/28 2001:30::/28 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7
fe80::/10
"""
"""The address blocks of IANA's two registries, as published in July 2026."""

SET_APART_ELSEWHERE = """
224.0.0.0/4 168.63.129.16/32 ::/96 ::ffff:0:0:0/96 fec0::/10 ff00::/8
"""


def nets(text: str) -> set[IPNetwork]:
    return {ipaddress.ip_network(block) for block in text.split()}


def test_the_tables_hold_the_registries_and_little_else() -> None:
    assert {entry.net for entry in SPECIAL} == nets(REGISTRIES) | nets(SET_APART_ELSEWHERE)
    assert len(SPECIAL) == len({entry.net for entry in SPECIAL})


def known_to_python() -> Iterator[IPNetwork]:
    """Every block that the standard library sets apart; newer versions know of more."""
    for version in (4, 6):
        for value in vars(getattr(ipaddress, f"_IPv{version}Constants")).values():
            for net in value if isinstance(value, list) else [value]:
                if isinstance(net, ipaddress.IPv4Network | ipaddress.IPv6Network):
                    yield net


def test_every_block_that_python_sets_apart_is_refused() -> None:
    # Given
    known = list(known_to_python())
    # Then
    assert len(known) > 40
    for net in known:
        for address in (net[0], net[net.num_addresses // 2], net[-1]):
            assert not is_public(address), f"{address} of {net}"


@pytest.mark.parametrize("entry", SPECIAL, ids=lambda entry: str(entry.net))
def test_the_neighbours_of_a_special_block_pass_unless_they_are_special(entry: SpecialNet) -> None:
    # Given
    special = nets(REGISTRIES) | nets(SET_APART_ELSEWHERE)
    for neighbour in neighbours(entry.net):
        is_special = any(neighbour in net for net in special)
        # Then
        assert is_public(neighbour) is (not is_special and is_given_out(neighbour)), neighbour


def is_given_out(address: IPAddress) -> bool:
    return address.version == 4 or address.packed[0] >> 5 == 1


def test_there_are_public_addresses_next_to_special_ones() -> None:
    public = {each for entry in SPECIAL for each in neighbours(entry.net) if is_public(each)}
    assert len(public) > 40


@pytest.mark.parametrize("entry", SPECIAL, ids=lambda entry: str(entry.net))
def test_every_special_block_is_refused_throughout(entry: SpecialNet) -> None:
    # Given
    net = entry.net
    # Then
    for address in (net[0], net[net.num_addresses // 2], net[-1]):
        assert not is_public(address), f"{address} is {entry.name} ({entry.source})"


@pytest.mark.parametrize("entry", SPECIAL, ids=lambda entry: str(entry.net))
def test_every_entry_says_what_it_is(entry: SpecialNet) -> None:
    assert entry.name
    assert entry.source


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "169.254.170.2",
        "172.31.255.255",
        "192.0.0.192",
        "192.88.99.1",
        "192.168.0.1",
        "198.19.255.255",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::10.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:8.8.8.8",
        "::ffff:0:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::10.0.0.1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:0808:0808::1",
        "2606:4700::5efe:10.0.0.1",
        "2606:4700::200:5efe:10.0.0.1",
        "2606:4700::5efe:8.8.8.8",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700::1111%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_addresses_that_lead_inside_are_refused(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2000::1",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2003::1",
        "2606:4700:4700::1111",
        "3ffe:ffff::1",
        "3fff:1000::1",
    ],
)
def test_public_addresses_pass(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@given(st.ip_addresses(v=4))
def test_ipv4_is_public_exactly_outside_the_table(address: ipaddress.IPv4Address) -> None:
    """Holds for every version of Python, so ``is_global`` never decides by itself."""
    assert is_public(address) is not any(address in entry.net for entry in IPV4_SPECIAL)


@given(st.integers(0, 2**125 - 1))
def test_ipv6_is_public_exactly_outside_the_table(offset: int) -> None:
    # Given
    address = ipaddress.IPv6Network("2000::/3")[offset]
    # Then
    assert is_public(address) is not any(address in entry.net for entry in IPV6_SPECIAL)


@given(st.ip_addresses(v=6).filter(lambda address: address.packed[0] >> 5 != 1))
def test_ipv6_is_never_public_outside_global_unicast(address: ipaddress.IPv6Address) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("text", ["127.0.0.1", "127.0.0.0", "127.255.255.255", "::1"])
def test_loopback(text: str) -> None:
    assert is_loopback(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "126.255.255.255",
        "128.0.0.0",
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "::",
        "::2",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "::1%lo",
    ],
)
def test_nothing_else_is_loopback(text: str) -> None:
    assert not is_loopback(ipaddress.ip_address(text))
