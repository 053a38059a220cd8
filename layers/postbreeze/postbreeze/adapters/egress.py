"""The only way out to addresses that customers name: a guard against request forgery.

A customer chooses where webhooks go and where media come from. Without a guard they could make the
service call itself, its network or its cloud. So, for each request:

* the URL must be https on port 443 or 8443, without user info or fragment, its host an ordinary
  DNS name or a canonical IP address (:func:`check_url`);
* the name is resolved once, and **every** answer must be a public address (``address_rules``);
* the connection goes to one of those very addresses; the name is kept for SNI, for the check of
  the certificate and for ``Host``. A second resolution, which could answer differently, never is;
* redirects are not followed, proxies of the environment are not used, nothing is decompressed;
* one deadline in wall time covers name lookup, connecting, TLS, sending and receiving, however
  slowly the other side drips, and the number of bytes received is bounded, TLS's own included.

It is built on ``http.client``, which by itself has no redirects, retries, proxies or pools that
would have to be switched off.

EgressError                code
├── UrlNotAllowedError     URL_NOT_ALLOWED           the URL breaks the rules above
├── BlockedAddressError    ADDRESS_BLOCKED           an address is not public
├── DnsError               DNS_FAILED                the name has no address
├── ConnectError           CONNECT_FAILED            nobody answers at the address
├── TlsError               TLS_FAILED                no handshake, or an invalid certificate
├── DeadlineError          TIMED_OUT                 not finished in time
├── ConnectionLostError    CONNECTION_RESET          cut off in the middle
├── ProtocolError          PROTOCOL_ERROR            the answer is not HTTP, or is incomplete
├── UnexpectedStatusError  UNEXPECTED_STATUS         fetch only: not 200 (carries ``status``)
├── ContentTypeError       CONTENT_TYPE_NOT_ALLOWED  fetch only
└── ResponseTooLargeError  RESPONSE_TOO_LARGE        fetch only
"""

from __future__ import annotations

import http.client
import ipaddress
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import BufferedReader, BytesIO, RawIOBase
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Final, TypeVar, cast

from postbreeze.adapters.address_rules import IPAddress, is_loopback, is_public
from postbreeze.domain.errors import PostbreezeError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

DEADLINE: Final = 10.0
"""Seconds that a request may take in all unless the caller says otherwise."""
MAX_LOGGED_BODY: Final = 16 * 1024
"""Bytes of an answer to :meth:`Egress.post` that are kept."""
MAX_URL: Final = 2048
ALLOWED_PORTS: Final = frozenset({443, 8443})
FETCH_USER_AGENT: Final = "Postbreeze-Media/1.0"
ALLOWANCE_VARIABLE: Final = "EGRESS_ALLOW_LOOPBACK"

# Beside the body: status line, headers, chunk framing, trailers.
_OVERHEAD: Final = 256 * 1024
_CHUNK: Final = 64 * 1024
_MAX_ADDRESSES: Final = 4
_KEPT_HEADERS: Final = (
    "content-length",
    "content-type",
    "date",
    "location",
    "retry-after",
    "server",
)
_MAX_KEPT_HEADER: Final = 512
_FRAMING_HEADERS: Final = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}
)

_URL = re.compile(r"(?P<scheme>[A-Za-z]+)://(?P<authority>[^/?]*)(?P<target>[/?].*)?", re.ASCII)
_AUTHORITY = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]@]+))(?::(?P<port>[1-9][0-9]{0,4}))?",
    re.ASCII,
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
# What other programs read as an IPv4 address: 2130706433, 0x7f.1, 127.1, 0177.0.0.1.
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[\t -~]*", re.ASCII)

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

Resolver = Callable[..., Sequence[tuple[Any, ...]]]
"""What ``socket.getaddrinfo`` is: (host, port, type=…) to rows whose last item is an address."""


class EgressError(PostbreezeError):
    """Base of every failed request. Its text names no address and quotes no answer."""

    code: ClassVar[str] = "EGRESS_FAILED"
    duration_ms: int = 0
    """Whole milliseconds that the request took until it failed."""


class UrlNotAllowedError(EgressError):
    """The URL itself breaks the rules; trying again cannot help."""

    code = "URL_NOT_ALLOWED"


class BlockedAddressError(EgressError):
    """The host is, or resolves to, an address that is not public."""

    code = "ADDRESS_BLOCKED"


class DnsError(EgressError):
    """The name cannot be resolved now."""

    code = "DNS_FAILED"


class ConnectError(EgressError):
    """No address of the host takes a connection."""

    code = "CONNECT_FAILED"


class TlsError(EgressError):
    """No TLS connection, or a certificate that is not valid for the host."""

    code = "TLS_FAILED"


class DeadlineError(EgressError):
    """The request was not finished in time; whether the other side acted is unknown."""

    code = "TIMED_OUT"


class ConnectionLostError(EgressError):
    """The connection was cut in the middle; whether the other side acted is unknown."""

    code = "CONNECTION_RESET"


class ProtocolError(EgressError):
    """The answer is not HTTP/1.x, is incomplete, or has no end."""

    code = "PROTOCOL_ERROR"


class UnexpectedStatusError(EgressError):
    """A fetch was answered with something other than 200."""

    code = "UNEXPECTED_STATUS"

    def __init__(self, status: int) -> None:
        """Keep the status."""
        super().__init__(f"The server answered with status {status} instead of 200.")
        self.status = status


class ContentTypeError(EgressError):
    """A fetch was answered with a kind of content that was not asked for."""

    code = "CONTENT_TYPE_NOT_ALLOWED"


class ResponseTooLargeError(EgressError):
    """A fetch was answered with more bytes than allowed."""

    code = "RESPONSE_TOO_LARGE"


class EgressConfigurationError(PostbreezeError):
    """The loopback allowance is set where it must not be, or to something unreadable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedUrl:
    """A URL taken apart; ``host`` is lower case, an IPv6 address without its brackets."""

    secure: bool
    host: str
    port: int
    target: str
    literal: IPAddress | None
    """The address, when the host is one."""

    @property
    def ordinary(self) -> bool:
        """Whether it obeys the rules for the public internet: https on an allowed port."""
        return self.secure and self.port in ALLOWED_PORTS

    @property
    def host_header(self) -> str:
        """The value of ``Host``: the port is left out when it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer, of any status. Header names are lower case and only a few are kept."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    """At most 16 KiB."""
    truncated: bool
    """Whether there was more of the body."""
    duration_ms: int


def loopback_allowed(environ: Mapping[str, str]) -> bool:
    """Read the loopback allowance from the environment.

    Raises:
        EgressConfigurationError: It is on inside real Lambda, or is neither ``true`` nor
            ``false`` (nor empty or absent, which mean false).
    """
    value = environ.get(ALLOWANCE_VARIABLE, "")
    if value in ("", "false"):
        return False
    if value != "true":
        raise EgressConfigurationError(f"{ALLOWANCE_VARIABLE} must be true or false.")
    if "AWS_LAMBDA_RUNTIME_API" in environ:
        raise EgressConfigurationError(
            f"{ALLOWANCE_VARIABLE} is for the local stack and must not be set on AWS Lambda."
        )
    return True


def check_url(url: str, *, allow_loopback: bool = False) -> CheckedUrl:
    """Check everything about a URL that can be checked without asking the network.

    Fit for registering an endpoint. A URL that passes is checked again, with its addresses, at
    every request. Anything that two programs might read differently is refused, not repaired.

    Raises:
        UrlNotAllowedError: It breaks a rule; the message says which, for the customer to read.
        BlockedAddressError: Its host is an IP address that is not public.
    """
    if len(url) > MAX_URL:
        raise UrlNotAllowedError(f"A URL has at most {MAX_URL} characters.")
    if not re.fullmatch(r"[!-~]*", url) or "\\" in url:
        raise UrlNotAllowedError(
            "A URL is made of printable ASCII characters without spaces and backslashes;"
            " write an international host name in its xn-- form."
        )
    if "#" in url:
        raise UrlNotAllowedError("The URL must not have a fragment.")
    parts = _URL.fullmatch(url)
    scheme = parts["scheme"].lower() if parts else ""
    if parts is None or scheme not in ("https", "http"):
        raise UrlNotAllowedError("The URL must begin with https://.")
    if "@" in parts["authority"]:
        raise UrlNotAllowedError("The URL must not hold a user name or a password.")
    authority = _AUTHORITY.fullmatch(parts["authority"])
    if authority is None:
        raise UrlNotAllowedError("The URL must name a host, and at most a port after it.")
    secure = scheme == "https"
    port = int(authority["port"] or (443 if secure else 80))
    if port > 65535:
        raise UrlNotAllowedError("The URL's port does not exist.")
    host, literal = _host(authority["ipv6"], authority["name"], allow_loopback=allow_loopback)
    target = parts["target"] or "/"
    checked = CheckedUrl(
        secure=secure,
        host=host,
        port=port,
        target=target if target.startswith("/") else f"/{target}",
        literal=literal,
    )
    # With the allowance a name is judged by its addresses, later; an address is judged here.
    excused = allow_loopback and (literal is None or is_loopback(literal))
    if not checked.ordinary and not excused:
        raise UrlNotAllowedError("The URL must begin with https:// and use port 443 or 8443.")
    if literal is not None and not excused and not is_public(literal):
        raise _blocked()
    return checked


class Egress:
    """Sends requests to addresses that customers chose. Safe to share between threads."""

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        resolver: Resolver = socket.getaddrinfo,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Make the guard.

        Args:
            allow_loopback: For the local stack only (see :func:`loopback_allowed`): also permits
                127.0.0.0/8 and ``::1``, there with plain http and any port. Nothing else changes.
            resolver: Looks names up; called once for each request, never for an IP address.
            ssl_context: Trusts other authorities than the system's; for tests.
        """
        self._allow_loopback = allow_loopback
        self._resolver = resolver
        self._ssl_context = ssl_context
        self._ssl_context_lock = threading.Lock()
        if allow_loopback:
            logger.warning(
                "EGRESS GUARD RELAXED: requests to loopback addresses are allowed, with plain http"
                " and on any port. This is for the local stack only."
            )

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, deadline: float = DEADLINE
    ) -> Response:
        """Send one POST and return the answer, whatever its status; redirects are answers too.

        The answer counts when its body has come to its end or to 16 KiB: an answer that breaks
        off or drips past the deadline is a failure even after a good status line.

        Args:
            url: Where to; see :func:`check_url`.
            headers: All headers but ``Host``, ``Content-Length`` and the like, which are ours.
            body: Sent as it is.
            deadline: Seconds of wall time for everything.

        Raises:
            EgressError: No answer; the class and its ``code`` say why.
            ValueError: A header that is not ours to take, or that could not be sent.
        """
        started = time.monotonic()
        reply = self._exchange(
            "POST",
            url,
            headers,
            body,
            started=started,
            deadline=deadline,
            intake=_Intake(limit=MAX_LOGGED_BODY),
        )
        return Response(
            status=reply.status,
            headers={
                name: value[:_MAX_KEPT_HEADER]
                for name in _KEPT_HEADERS
                if (value := reply.headers.get(name)) is not None
            },
            body=reply.body[:MAX_LOGGED_BODY],
            truncated=len(reply.body) > MAX_LOGGED_BODY,
            duration_ms=_milliseconds_since(started),
        )

    def fetch(
        self,
        url: str,
        *,
        max_bytes: int,
        content_types: Collection[str],
        deadline: float = DEADLINE,
    ) -> tuple[bytes, str]:
        """Return a file and its media type; see :meth:`download`."""
        body = BytesIO()
        kind = self.download(
            url, body, max_bytes=max_bytes, content_types=content_types, deadline=deadline
        )
        return body.getvalue(), kind

    def download(
        self,
        url: str,
        into: BinaryIO,
        *,
        max_bytes: int,
        content_types: Collection[str],
        deadline: float = DEADLINE,
    ) -> str:
        """Write a file into another and return its media type (lower case, without parameters).

        What was written before a failure stays.

        Args:
            url: Where from; see :func:`check_url`.
            into: Takes the bytes as they come.
            max_bytes: More than this is refused; a length announced as more, before reading.
            content_types: Media types allowed, such as ``image/png`` or ``image/*``.
            deadline: Seconds of wall time for everything.

        Raises:
            EgressError: No such file; the class and its ``code`` say why.
        """
        allowed = {content_type.lower() for content_type in content_types}

        def check(status: int, headers: Mapping[str, str]) -> None:
            if status != http.HTTPStatus.OK:
                raise UnexpectedStatusError(status)
            kind = _media_type(headers)
            family, _, rest = kind.partition("/")
            if kind not in allowed and not (rest and f"{family}/*" in allowed):
                raise ContentTypeError("The server sent a kind of content that is not allowed.")
            if headers.get("content-encoding", "identity").strip().lower() != "identity":
                raise ProtocolError("The server compressed its answer without being asked to.")
            length = headers.get("content-length", "")
            if re.fullmatch(r"[0-9]{1,18}", length, re.ASCII) and int(length) > max_bytes:
                raise _too_large(max_bytes)

        reply = self._exchange(
            "GET",
            url,
            {"User-Agent": FETCH_USER_AGENT, "Accept": ", ".join(sorted(allowed))},
            None,
            started=time.monotonic(),
            deadline=deadline,
            intake=_Intake(limit=max_bytes, check=check, into=into),
        )
        if reply.received > max_bytes:
            raise _too_large(max_bytes)
        return _media_type(reply.headers)

    def _exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        started: float,
        deadline: float,
        intake: _Intake,
    ) -> _Reply:
        """Make one request; read one byte more than the limit, so that more can be noticed."""
        for name, value in headers.items():
            if name.lower() in _FRAMING_HEADERS:
                raise ValueError(f"The header {name} is set by the guard itself.")
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise ValueError("A header's name or value cannot be sent.")
        bounds = _Bounds(ends=started + deadline, bytes_left=2 * intake.limit + _OVERHEAD)
        try:
            checked = check_url(url, allow_loopback=self._allow_loopback)
            addresses = self._resolve(checked, bounds)
            self._vet(checked, addresses)
            with _connect(checked, addresses, bounds) as connected:
                channel = self._channel(connected, checked, bounds)
                return _converse(channel, checked, method, headers, body, intake)
        except EgressError as error:
            error.duration_ms = _milliseconds_since(started)
            raise

    def _resolve(self, checked: CheckedUrl, bounds: _Bounds) -> list[IPAddress]:
        """Return every address of the host, asking once."""
        if checked.literal is not None:
            return [checked.literal]
        answer: Future[Sequence[tuple[Any, ...]]] = Future()

        def ask() -> None:
            try:
                rows = self._resolver(checked.host, checked.port, type=socket.SOCK_STREAM)
            except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
                answer.set_exception(error)
            else:
                answer.set_result(rows)

        # The system's resolver cannot be interrupted. In a thread of its own it can be left
        # behind; it is a daemon so that it never holds up the end of the process.
        threading.Thread(target=ask, name="egress-resolver", daemon=True).start()
        try:
            rows = answer.result(bounds.seconds_left())
        except TimeoutError as error:
            raise _too_slow() from error
        except (OSError, UnicodeError) as error:
            raise DnsError("The host name could not be resolved.") from error
        if not rows:
            raise DnsError("The host name has no address.")
        addresses: dict[IPAddress, None] = {}
        for row in rows:
            try:
                addresses[ipaddress.ip_address(row[-1][0])] = None
            except ValueError as error:
                raise _blocked() from error
        return list(addresses)

    def _vet(self, checked: CheckedUrl, addresses: Sequence[IPAddress]) -> None:
        """Refuse the request unless every single address may be called."""
        for address in addresses:
            local = self._allow_loopback and is_loopback(address)
            if not local and not (checked.ordinary and is_public(address)):
                raise _blocked()

    def _channel(self, connected: socket.socket, checked: CheckedUrl, bounds: _Bounds) -> _Channel:
        """Return what to talk through, after the handshake where there is one."""
        if not checked.secure:
            return _Channel(connected, bounds)
        try:
            return _TlsChannel(connected, bounds, self._tls(), checked.host)
        except TimeoutError as error:
            raise _too_slow() from error
        except ssl.SSLCertVerificationError as error:
            # OpenSSL's own sentence: it names nothing but the host that was asked for.
            raise TlsError(f"The certificate is not valid: {error.verify_message}.") from error
        except (ssl.SSLError, ValueError) as error:
            raise TlsError("The TLS handshake failed.") from error
        except OSError as error:
            raise ConnectionLostError("The connection was lost during the handshake.") from error

    def _tls(self) -> ssl.SSLContext:
        """Return the context, made at first use: loading the system's authorities takes time."""
        with self._ssl_context_lock:
            if self._ssl_context is None:
                self._ssl_context = ssl.create_default_context()
                self._ssl_context.set_alpn_protocols(["http/1.1"])
            return self._ssl_context


@dataclass(frozen=True, slots=True, kw_only=True)
class _Intake:
    """How an answer is taken: ``check`` may refuse it by its head, ``into`` takes its bytes."""

    limit: int
    check: Callable[[int, Mapping[str, str]], None] | None = None
    into: BinaryIO | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """An answer with all its headers (lower case) and up to one byte more than the limit.

    ``body`` is empty where the bytes went elsewhere; ``received`` counts them all the same.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    received: int


@dataclass(slots=True, kw_only=True)
class _Bounds:
    """How long and how much one request may still take."""

    ends: float
    bytes_left: int

    def seconds_left(self) -> float:
        """Return a time-out for the next blocking call, never zero.

        Raises:
            DeadlineError: There is no time left.
        """
        left = self.ends - time.monotonic()
        if left <= 0:
            raise _too_slow()
        return left

    def count(self, received: int) -> None:
        """Take note of bytes received.

        Raises:
            ProtocolError: They are more than any sound answer needs.
        """
        self.bytes_left -= received
        if self.bytes_left < 0:
            raise ProtocolError("The answer's headers or framing have no end.")


class _Channel:
    """A socket as ``http.client`` uses it, with the bounds applied to each single operation.

    A time-out set on the socket once would start anew with every byte that drips in.
    """

    def __init__(self, connected: socket.socket, bounds: _Bounds) -> None:
        self._socket = connected
        self._bounds = bounds
        self.ended = False
        """Whether the end of what the other side sends has been seen."""

    def sendall(self, data: ReadableBuffer) -> None:
        view = memoryview(data).cast("B")
        while view:
            self._socket.settimeout(self._bounds.seconds_left())
            view = view[self._socket.send(view) :]

    def receive_into(self, buffer: WriteableBuffer) -> int:
        self._socket.settimeout(self._bounds.seconds_left())
        received = self._socket.recv_into(buffer)
        self._bounds.count(received)
        return received

    def makefile(self, _mode: str) -> BufferedReader:
        return BufferedReader(_Reader(self))

    def close(self) -> None:
        """Do nothing: whoever opened the socket closes it, after the answer has been read."""


class _TlsChannel(_Channel):
    """The same with TLS, whose records pass through memory on their way to and from OpenSSL.

    If it read from the socket itself it would read on, uncounted and past any time-out, as long
    as the other side sends records that are not data, such as session tickets.
    """

    def __init__(
        self, connected: socket.socket, bounds: _Bounds, context: ssl.SSLContext, host: str
    ) -> None:
        super().__init__(connected, bounds)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._run(self._tls.do_handshake)

    def sendall(self, data: ReadableBuffer) -> None:
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _CHUNK):
            self._run(partial(self._tls.write, view[start : start + _CHUNK]))

    def receive_into(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        try:
            data = self._run(partial(self._tls.read, len(view)))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return 0  # many servers end without the farewell that TLS asks for
        view[: len(data)] = data
        return len(data)

    def _run(self, step: Callable[[], _Result]) -> _Result:
        """Take a step, as often as it wants more of what the other side sends."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                super().sendall(self._outgoing.read())
                self._feed()
            except ssl.SSLError:
                with suppress(OSError, EgressError):
                    super().sendall(self._outgoing.read())  # the alert that says why
                raise
            else:
                super().sendall(self._outgoing.read())
                return result

    def _feed(self) -> None:
        piece = bytearray(_CHUNK)
        if received := super().receive_into(piece):
            self._incoming.write(memoryview(piece)[:received])
        else:
            self._incoming.write_eof()


class _Reader(RawIOBase):
    """The receiving half of a channel as a raw stream."""

    def __init__(self, channel: _Channel) -> None:
        super().__init__()
        self._channel = channel

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        received = self._channel.receive_into(buffer)
        self._channel.ended = received == 0
        return received


class _Answer(http.client.HTTPResponse):
    """The final answer; ``http.client`` by itself passes over no other interim one than 100."""

    def begin(self) -> None:
        super().begin()
        while self.status < 200 and self.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
            self.headers = cast("http.client.HTTPMessage", None)  # what lets it begin again
            super().begin()


class _Connection(http.client.HTTPConnection):
    """An HTTP connection over a channel that is open already."""

    response_class = _Answer

    def __init__(self, channel: _Channel, checked: CheckedUrl) -> None:
        super().__init__(checked.host, checked.port)
        self.sock = cast("socket.socket", channel)

    def connect(self) -> None:
        """Never dial: ``http.client`` would look the name up again."""
        raise ConnectionResetError


def _host(
    ipv6: str | None, name: str | None, *, allow_loopback: bool
) -> tuple[str, IPAddress | None]:
    """Return the host in lower case and, when it is an IP address, that address."""
    if ipv6 is not None or name is None:
        try:
            literal = ipaddress.IPv6Address(ipv6 or "")
        except ValueError as error:
            raise UrlNotAllowedError("The URL's host is not a valid IPv6 address.") from error
        return str(literal), literal
    host = name.lower()
    labels = host.split(".")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        try:
            address = ipaddress.IPv4Address(host)
        except ValueError as error:
            raise UrlNotAllowedError(
                "The URL's host looks like an IPv4 address but is not written as one."
            ) from error
        return host, address
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise UrlNotAllowedError(
            "The URL's host is not a DNS name made of letters, digits and hyphens"
            " (without a dot at its end)."
        )
    if len(labels) < 2 and not allow_loopback:
        raise UrlNotAllowedError("The URL's host must be a full DNS name.")
    return host, None


def _connect(checked: CheckedUrl, addresses: Sequence[IPAddress], bounds: _Bounds) -> socket.socket:
    """Return a connection to the first address that takes one; no lookup happens here."""
    candidates = addresses[:_MAX_ADDRESSES]
    failure: EgressError = ConnectError("No connection could be made to the host.")
    for position, address in enumerate(candidates):
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        # A silent address may use up only its share, so that the others get a chance.
        share = bounds.seconds_left() / (len(candidates) - position)
        try:
            attempt = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            continue  # this machine does not speak that family
        try:
            attempt.settimeout(share)
            attempt.connect((str(address), checked.port))
            # Headers and body are two writes; the second must not wait for the first one's ACK.
            attempt.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            attempt.close()
            if isinstance(error, ConnectionResetError):  # a refusal is another error: it was taken
                failure = ConnectionLostError("The connection was lost before the request.")
        else:
            return attempt
    bounds.seconds_left()
    raise failure


def _converse(
    channel: _Channel,
    checked: CheckedUrl,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None,
    intake: _Intake,
) -> _Reply:
    """Send the request and read the answer."""
    connection = _Connection(channel, checked)
    connection.putrequest(method, checked.target, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", checked.host_header)
    connection.putheader("Connection", "close")
    connection.putheader("Accept-Encoding", "identity")
    for name, value in headers.items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    try:
        # A server may answer and hang up before it has read everything; the answer counts.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.endheaders(body)
        with connection.getresponse() as response:
            if channel.ended:
                raise _cut_short()  # http.client takes what there is of the headers for all
            received = {name.lower(): _printable(value) for name, value in response.getheaders()}
            if intake.check is not None:
                intake.check(response.status, received)
            content = BytesIO()
            into = content if intake.into is None else intake.into
            count = _receive(response, into, intake.limit)
            if count <= intake.limit and response.length:
                raise _cut_short()
    except TimeoutError as error:
        raise _too_slow() from error
    except ssl.SSLError as error:
        raise TlsError("The TLS connection failed.") from error
    except OSError as error:  # before HTTPException: RemoteDisconnected is both
        raise ConnectionLostError("The connection was lost before the answer's end.") from error
    except (http.client.HTTPException, ValueError) as error:
        raise ProtocolError("The answer is not valid HTTP.") from error
    return _Reply(status=response.status, headers=received, body=content.getvalue(), received=count)


def _receive(response: http.client.HTTPResponse, into: BinaryIO, limit: int) -> int:
    """Write the body into a file, up to one byte more than the limit; return how many came."""
    count = 0
    while count <= limit and (chunk := response.read(min(_CHUNK, limit + 1 - count))):
        into.write(chunk)
        count += len(chunk)
    return count


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _printable(value: str) -> str:
    """Keep control characters of a stranger's headers out of our log."""
    return "".join(character if character.isprintable() else " " for character in value)


def _milliseconds_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _too_slow() -> DeadlineError:
    return DeadlineError("The request was not finished in time.")


def _cut_short() -> ProtocolError:
    return ProtocolError("The answer broke off before its end.")


def _too_large(max_bytes: int) -> ResponseTooLargeError:
    return ResponseTooLargeError(f"The server sent more than {max_bytes} bytes.")


def _blocked() -> BlockedAddressError:
    return BlockedAddressError("The URL's host is not at a public internet address.")
