"""Which addresses are on the public internet, and so may be called on a customer's behalf.

``ipaddress.is_global`` is not a filter of its own: depending on the version of Python it passes
multicast, NAT64, 6to4 relays, site-local and other addresses that lead inside. The tables below
are the IANA special-purpose registries in full (also the few entries that are reachable from
anywhere: no customer's server lives there) and the blocks that other registries set apart. IPv6 is
further confined to 2000::/3, the only space from which public addresses are given out, and within
it to addresses that are not ISATAP's, which stand for an IPv4 address whatever net they begin with.
The answer is the same on every version of Python that we run on.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class SpecialNet:
    """A block of addresses set apart, with the name and the document that did so."""

    net: IPNetwork
    name: str
    source: str


def _table(*rows: tuple[str, str, str]) -> tuple[SpecialNet, ...]:
    return tuple(SpecialNet(ipaddress.ip_network(net), name, source) for net, name, source in rows)


IPV4_SPECIAL: Final = _table(
    # IANA IPv4 Special-Purpose Address Registry
    ("0.0.0.0/8", "this network", "RFC 791"),
    ("0.0.0.0/32", "this host on this network", "RFC 1122"),
    ("10.0.0.0/8", "private use", "RFC 1918"),
    ("100.64.0.0/10", "shared address space (carrier NAT)", "RFC 6598"),
    ("127.0.0.0/8", "loopback", "RFC 1122"),
    ("169.254.0.0/16", "link local, cloud metadata", "RFC 3927"),
    ("172.16.0.0/12", "private use", "RFC 1918"),
    ("192.0.0.0/24", "IETF protocol assignments", "RFC 6890"),
    ("192.0.0.0/29", "IPv4 service continuity prefix", "RFC 7335"),
    ("192.0.0.8/32", "IPv4 dummy address", "RFC 7600"),
    ("192.0.0.9/32", "port control protocol anycast", "RFC 7723"),
    ("192.0.0.10/32", "TURN anycast", "RFC 8155"),
    ("192.0.0.170/32", "NAT64/DNS64 discovery", "RFC 8880"),
    ("192.0.0.171/32", "NAT64/DNS64 discovery", "RFC 8880"),
    ("192.0.2.0/24", "documentation (TEST-NET-1)", "RFC 5737"),
    ("192.31.196.0/24", "AS112-v4", "RFC 7535"),
    ("192.52.193.0/24", "automatic multicast tunnelling", "RFC 7450"),
    ("192.88.99.0/24", "6to4 relay anycast (deprecated)", "RFC 7526"),
    ("192.88.99.2/32", "6a44 relay anycast", "RFC 6751"),
    ("192.168.0.0/16", "private use", "RFC 1918"),
    ("192.175.48.0/24", "direct delegation AS112 service", "RFC 7534"),
    ("198.18.0.0/15", "benchmarking", "RFC 2544"),
    ("198.51.100.0/24", "documentation (TEST-NET-2)", "RFC 5737"),
    ("203.0.113.0/24", "documentation (TEST-NET-3)", "RFC 5737"),
    ("240.0.0.0/4", "reserved (class E)", "RFC 1112"),
    ("255.255.255.255/32", "limited broadcast", "RFC 919"),
    # Set apart elsewhere
    ("224.0.0.0/4", "multicast", "RFC 5771"),
    ("168.63.129.16/32", "host services of a cloud, from within it", "Azure"),
)

IPV6_SPECIAL: Final = _table(
    # IANA IPv6 Special-Purpose Address Registry
    ("::1/128", "loopback", "RFC 4291"),
    ("::/128", "unspecified", "RFC 4291"),
    ("::ffff:0:0/96", "IPv4-mapped", "RFC 4291"),
    ("64:ff9b::/96", "NAT64", "RFC 6052"),
    ("64:ff9b:1::/48", "local-use NAT64", "RFC 8215"),
    ("100::/64", "discard only", "RFC 6666"),
    ("100:0:0:1::/64", "dummy prefix", "RFC 9780"),
    ("2001::/23", "IETF protocol assignments", "RFC 2928"),
    ("2001::/32", "Teredo", "RFC 4380"),
    ("2001:1::1/128", "port control protocol anycast", "RFC 7723"),
    ("2001:1::2/128", "TURN anycast", "RFC 8155"),
    ("2001:1::3/128", "DNS-SD service registration anycast", "RFC 9665"),
    ("2001:2::/48", "benchmarking", "RFC 5180"),
    ("2001:3::/32", "automatic multicast tunnelling", "RFC 7450"),
    ("2001:4:112::/48", "AS112-v6", "RFC 7535"),
    ("2001:10::/28", "ORCHID (deprecated)", "RFC 4843"),
    ("2001:20::/28", "ORCHIDv2", "RFC 7343"),
    ("2001:30::/28", "drone remote identification", "RFC 9374"),
    ("2001:db8::/32", "documentation", "RFC 3849"),
    ("2002::/16", "6to4", "RFC 3056"),
    ("2620:4f:8000::/48", "direct delegation AS112 service", "RFC 7534"),
    ("3fff::/20", "documentation", "RFC 9637"),
    ("5f00::/16", "segment routing (SRv6) SIDs", "RFC 9602"),
    ("fc00::/7", "unique local, cloud metadata", "RFC 4193"),
    ("fe80::/10", "link local", "RFC 4291"),
    # Set apart elsewhere
    ("::/96", "IPv4-compatible (deprecated)", "RFC 4291"),
    ("::ffff:0:0:0/96", "IPv4-translated", "RFC 2765"),
    ("fec0::/10", "site local (deprecated)", "RFC 3879"),
    ("ff00::/8", "multicast", "RFC 4291"),
)

_IPV6_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_ISATAP: Final = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")  # RFC 5214, before the IPv4 address
_LOOPBACK_V4: Final = ipaddress.IPv4Network("127.0.0.0/8")
_LOOPBACK_V6: Final = ipaddress.IPv6Address("::1")


def is_public(address: IPAddress) -> bool:
    """Say whether an address is an ordinary one on the public internet.

    An address with a zone (``fe80::1%eth0``) never is.
    """
    if isinstance(address, ipaddress.IPv4Address):
        special = IPV4_SPECIAL
    elif (
        address.scope_id is not None
        or address not in _IPV6_GLOBAL_UNICAST
        or address.packed[8:12] in _ISATAP
    ):
        return False
    else:
        special = IPV6_SPECIAL
    # is_global comes on top: a later Python may know of blocks that these tables do not.
    return address.is_global and not any(address in entry.net for entry in special)


def is_loopback(address: IPAddress) -> bool:
    """Say whether an address is in 127.0.0.0/8 or is ``::1``; no other spelling counts."""
    if isinstance(address, ipaddress.IPv4Address):
        return address in _LOOPBACK_V4
    return address == _LOOPBACK_V6
