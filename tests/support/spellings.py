"""Every way we know to write an address that a careless reader takes for something else.

A spelling of a URL gives the whole URL; of an answer, what a name server says to a harmless name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Final, TypeAlias

from postbreeze.adapters.address_rules import IPAddress, IPNetwork

NAME: Final = "hooks.example.com"
PUBLIC: Final = "93.184.216.34"
PUBLIC_V6: Final = "2606:4700::1111"

IPv4: TypeAlias = ipaddress.IPv4Address
IPv6: TypeAlias = ipaddress.IPv6Address

_FULL_WIDTH: Final = str.maketrans("0123456789abcdef:", "０１２３４５６７８９ａｂｃｄｅｆ：")
_CIRCLED: Final = str.maketrans("0123456789", "⓪①②③④⑤⑥⑦⑧⑨")
_BOLD: Final = str.maketrans("0123456789", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗")
_ARABIC: Final = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


def _percent(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def _parts(address: IPv4, form: str) -> str:
    return ".".join(format(part, form) for part in address.packed)


def _tail(address: IPv4, first: int) -> int:
    """What the bytes from there on are, read as one number."""
    return int.from_bytes(address.packed[first:], "big")


HOSTS: Final[Mapping[str, Callable[[str], str]]] = {
    "as it is": str,
    "dot at the end": lambda host: f"{host}.",
    "percent-encoded": _percent,
    "percent-encoded, first only": lambda host: f"{_percent(host[0])}{host[1:]}",
    "full-width": lambda host: host.translate(_FULL_WIDTH),
    "circled digits": lambda host: f"{host}\u2460".translate(_CIRCLED),
    "bold digits": lambda host: f"{host}𝟎".translate(_BOLD),
    "soft hyphen": lambda host: f"{host}\xad",
    "zero-width space": lambda host: f"\u200b{host}",
    "no-break space": lambda host: f"{host}\xa0",
    "space before": lambda host: f" {host}",
    "tab after": lambda host: f"{host}\t",
    "line feed within": lambda host: f"{host[0]}\n{host[1:]}",
    "carriage return within": lambda host: f"{host[0]}\r{host[1:]}",
    "null after": lambda host: f"{host}\0.{NAME}",
    "null after, percent-encoded": lambda host: f"{host}%00.{NAME}",
    "slash after, percent-encoded": lambda host: f"{host}%2f.{NAME}",
    "hash after, percent-encoded": lambda host: f"{host}%23.{NAME}",
    "name as user": lambda host: f"{NAME}@{host}",
    "name as user and port as password": lambda host: f"{NAME}:443@{host}",
    "name as user twice": lambda host: f"a@{NAME}@{host}",
    "no user": lambda host: f"@{host}",
    "as user of the name": lambda host: f"{host}@{NAME}",
    "backslash before the name": lambda host: f"{host}\\.{NAME}",
    "backslash and at": lambda host: f"{NAME}\\@{host}",
    "name in the query": lambda host: f"{host}?@{NAME}",
    "name in the fragment": lambda host: f"{host}#@{NAME}",
    "name's fragment": lambda host: f"{NAME}#@{host}",
    "usual port": lambda host: f"{host}:443",
    "other port": lambda host: f"{host}:8443",
    "odd port": lambda host: f"{host}:80",
    "port with zeros": lambda host: f"{host}:0443",
    "two ports": lambda host: f"{NAME}:443:{host}",
    "too long": lambda host: f"{'a.' * 200}{host}",
}
"""Fit for every address, as it stands in a URL."""

HOSTS_V4: Final[Mapping[str, Callable[[IPv4], str]]] = {
    "decimal": lambda host: str(int(host)),
    "decimal, one turn further": lambda host: str(int(host) + 2**32),
    "octal": lambda host: f"0{int(host):o}",
    "hex": lambda host: f"{int(host):#x}",
    "hex, upper case": lambda host: f"0X{int(host):X}",
    "hex, long": lambda host: f"{int(host):#020x}",
    "octal parts": lambda host: ".".join(f"0{part:o}" for part in host.packed),
    "hex parts": lambda host: _parts(host, "#x"),
    "leading zeros": lambda host: ".".join(f"0{part:03o}" for part in host.packed),
    "mixed parts": lambda host: f"{host.packed[0]:#x}.{host.packed[1]}.{_tail(host, 2)}",
    "two parts": lambda host: f"{host.packed[0]}.{_tail(host, 1)}",
    "three parts": lambda host: f"{host.packed[0]}.{host.packed[1]}.{_tail(host, 2)}",
    "parts beyond 255": lambda host: ".".join(str(part + 256) for part in host.packed),
    "five parts": lambda host: f"{host}.0",
    "in brackets": lambda host: f"[{host}]",
    "ideographic full stops": lambda host: str(host).replace(".", "。"),
    "full-width full stops": lambda host: str(host).replace(".", "．"),
    "half-width full stops": lambda host: str(host).replace(".", "｡"),
    "one dot leader": lambda host: str(host).replace(".", "․"),
    "dots percent-encoded": lambda host: str(host).replace(".", "%2e"),
    "Arabic digits": lambda host: str(host).translate(_ARABIC),
}

HOSTS_V6: Final[Mapping[str, Callable[[IPv6], str]]] = {
    "in full": lambda host: f"[{host.exploded}]",
    "upper case": lambda host: f"[{host.exploded.upper()}]",
    "dotted end": lambda host: f"[{host.exploded[:30]}{IPv4(host.packed[12:])}]",
    "no brackets": lambda host: host.exploded,
    "one bracket": lambda host: f"[{host}",
    "brackets percent-encoded": lambda host: f"%5B{host}%5D",
    "zone": lambda host: f"[{host}%eth0]",
    "zone, percent-encoded": lambda host: f"[{host}%25eth0]",
    "zone without a name": lambda host: f"[{host}%]",
    "of the future": lambda host: f"[v6.{host}]",
    "name after the brackets": lambda host: f"[{host}].{NAME}",
    "prefix length": lambda host: f"[{host}/128]",
}

URLS: Final[Mapping[str, Callable[[str], str]]] = {
    "http": "http://{}/".format,
    "upper-case scheme": "HTTPS://{}/".format,
    "no slashes": "https:{}/".format,
    "one slash": "https:/{}/".format,
    "three slashes": "https:///{}/".format,
    "backslashes": r"https:\\{}\ ".format,
    "no scheme": "//{}/".format,
    "space before": " https://{}/".format,
    "line break before": "\r\nhttps://{}/".format,
    "empty host": "https://:443/{}".format,
    "very long": lambda host: f"https://{host}/{'a' * 3_000}",
}
"""Ways to put a host, written as it is, into a URL."""

READABLE: Final = frozenset(
    {
        "host as it is",
        "host name in the query",
        "host usual port",
        "host other port",
        "IPv6 host in full",
        "IPv6 host upper case",
        "IPv6 host dotted end",
        "URL upper-case scheme",
    }
)
"""The spellings of a URL that everybody reads alike."""

ANSWERS: Final[Mapping[str, Callable[[str], list[str]]]] = {
    "alone": lambda address: [address],
    "after a public one": lambda address: [PUBLIC, address],
    "before a public one": lambda address: [address, PUBLIC_V6],
    "last of many": lambda address: [f"93.184.216.{last}" for last in range(34, 42)] + [address],
}
"""What a name server says when one address of its answer leads inside."""

WRAPPED: Final[Mapping[str, Callable[[IPv4], IPv6]]] = {
    "mapped": lambda inner: IPv6(f"::ffff:{inner}"),
    "compatible": lambda inner: IPv6(f"::{inner}"),
    "translated": lambda inner: IPv6(f"::ffff:0:{inner}"),
    "NAT64": lambda inner: IPv6(f"64:ff9b::{inner}"),
    "local NAT64": lambda inner: IPv6(f"64:ff9b:1::{inner}"),
    "local NAT64, /48": lambda inner: IPv6(
        int(IPv6("64:ff9b:1::")) | int(inner) >> 16 << 64 | _tail(inner, 2) << 40
    ),
    "6to4": lambda inner: IPv6(0x2002 << 112 | int(inner) << 80 | 1),
    "Teredo, client": lambda inner: IPv6(
        int(IPv6("2001:0:5db8:d822::")) | int(inner) ^ 0xFFFF_FFFF
    ),
    "Teredo, server": lambda inner: IPv6(int(IPv6("2001::")) | int(inner) << 64 | 1),
    "ISATAP": lambda inner: IPv6(f"2606:4700::5efe:{inner}"),
    "ISATAP, universal": lambda inner: IPv6(f"2606:4700::200:5efe:{inner}"),
    "ISATAP, link local": lambda inner: IPv6(f"fe80::5efe:{inner}"),
}
"""IPv6 addresses that stand for an IPv4 address."""


def neighbours(net: IPNetwork) -> Iterator[IPAddress]:
    """Return the addresses just before and just after a block."""
    with suppress(ipaddress.AddressValueError):  # nothing comes before the first of all
        yield net[0] - 1
    with suppress(ipaddress.AddressValueError):
        yield net[-1] + 1


def urls(address: IPAddress) -> dict[str, str]:
    """Return a URL for each spelling that fits the address."""
    plain = str(address) if isinstance(address, IPv4) else f"[{address}]"
    hosts = {f"host {name}": host(plain) for name, host in HOSTS.items()}
    if isinstance(address, IPv4):
        hosts |= {f"IPv4 host {name}": host(address) for name, host in HOSTS_V4.items()}
    else:
        hosts |= {f"IPv6 host {name}": host(address) for name, host in HOSTS_V6.items()}
    return {name: f"https://{host}/" for name, host in hosts.items()} | {
        f"URL {name}": url(plain) for name, url in URLS.items()
    }


def answers(address: IPAddress) -> dict[str, list[str]]:
    """Return an answer of a name server for each way to slip the address into it."""
    texts = {"": str(address)}
    if isinstance(address, IPv6):
        texts |= {", in full": address.exploded, ", with a zone": f"{address}%eth0"}
    return {
        f"answer {name}{how}": answer(text)
        for how, text in texts.items()
        for name, answer in ANSWERS.items()
    }
