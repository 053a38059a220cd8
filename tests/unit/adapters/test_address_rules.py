"""Every block of the tables is refused at its first, middle and last address; the rest passes."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postbreeze.adapters.address_rules import (
    IPV4_SPECIAL,
    IPV6_SPECIAL,
    SpecialNet,
    is_loopback,
    is_public,
)

SPECIAL = [*IPV4_SPECIAL, *IPV6_SPECIAL]


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
