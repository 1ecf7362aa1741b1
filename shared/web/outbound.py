"""One HTTP request to a checked address, over by its deadline.

Libraries bound each wait, so a server that sends a byte now and then holds them forever; and they resolve a name
themselves, so a name can lead elsewhere than it did when it was checked. Here every wait ends at one moment of the
monotonic clock, and the addresses that were checked are the ones that are connected to.
"""

import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import lru_cache
from http.client import BadStatusLine, HTTPConnection, HTTPException, parse_headers
from typing import Any, NamedTuple, TypeVar

MAX_INTERIM = 20  # answers such as "100 Continue" before the real one
LONGEST_STATUS_LINE = 65_536
PORTS = {"http": 80, "https": 443}

T = TypeVar("T")
Resolve = Callable[..., Sequence[tuple[Any, ...]]]  # socket.getaddrinfo
CheckAddress = Callable[[str, str], None]  # raises when the host must not be reached at the address


class InvalidUrl(Exception):
    """No server can have this address."""


class TooManyInterimAnswers(HTTPException):
    """The server announces its answer again and again."""


class Target(NamedTuple):
    """A URL as it is called. `host` is lower case and ASCII, an IPv6 address without brackets."""

    scheme: str
    host: str
    port: int
    authority: str
    path: str


class Head(NamedTuple):
    """The head of an answer, as far as it matters."""

    status: int
    location: str | None
    retry_after: str | None


def read_target(url: str) -> Target:
    """Read a URL; the rules about a request go by what this returns. Raises InvalidUrl."""
    from urllib3.exceptions import LocationValueError
    from urllib3.util import parse_url

    try:
        parts = parse_url(url)
        scheme, host = parts.scheme or "", parts.host or ""
        host.encode("idna")  # as the resolver will do it: it raises for a part that is empty or too long
        port = parts.port or PORTS[scheme]
    except (LocationValueError, UnicodeError, LookupError):
        raise InvalidUrl from None
    authority = host if port == PORTS[scheme] else f"{host}:{port}"
    return Target(scheme, host.removeprefix("[").removesuffix("]"), port, authority, parts.request_uri)


def exchange(
    method: str,
    target: Target,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    ends_at: float,
    check: CheckAddress,
    resolve: Resolve = socket.getaddrinfo,
) -> Head:
    """Send one request and read the head of the answer; the body could be endless, and is not read.

    `ends_at` is a time of the monotonic clock. Before anything is sent `check` sees each address that the host
    resolves to, and what it raises passes through. Raises OSError (TimeoutError, socket.gaierror and others) and
    HTTPException. Whatever happens, the connection is closed.
    """
    addresses = within(ends_at, lambda: resolve(target.host, target.port, type=socket.SOCK_STREAM))
    for *_, address in addresses:
        check(target.host, address[0])
    with _connection(target, addresses, ends_at) as sock:
        wire = _Wire(sock, ends_at)
        connection = HTTPConnection(target.host, target.port)
        connection.sock = wire  # all that it does with it is to send
        with suppress(ConnectionError):  # a server that has read enough may have answered all the same
            connection.request(method, target.path, body, {"host": target.authority, **headers})
        return _read_head(io.BufferedReader(wire))


def within(ends_at: float, function: Callable[[], T]) -> T:
    """Return what `function` returns or raise what it raises, or TimeoutError when the time is over.

    It is for what cannot be interrupted, such as getaddrinfo: the thread is left behind and ends by itself.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except Exception as exc:
            future.set_exception(exc)

    timeout = time_left(ends_at)
    threading.Thread(target=run, daemon=True).start()
    return future.result(timeout)


def time_left(ends_at: float) -> float:
    """Return the seconds until then. Raises TimeoutError when there are none."""
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Wire(io.RawIOBase):
    """A connection whose every wait ends at the same moment."""

    def __init__(self, sock: socket.socket, ends_at: float) -> None:
        self._sock = sock
        self._ends_at = ends_at

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(time_left(self._ends_at))
        return self._sock.recv_into(buffer)

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._sock.settimeout(time_left(self._ends_at))
            rest = rest[self._sock.send(rest) :]


@contextmanager
def _connection(target: Target, addresses: Sequence[tuple[Any, ...]], ends_at: float) -> Iterator[socket.socket]:
    with _first_open(addresses, ends_at) as sock:
        if target.scheme == "http":
            yield sock
            return
        sock.settimeout(time_left(ends_at))  # it bounds the handshake as a whole
        with _tls().wrap_socket(sock, server_hostname=target.host.rstrip(".")) as encrypted:
            yield encrypted


def _first_open(addresses: Sequence[tuple[Any, ...]], ends_at: float) -> socket.socket:
    """Connect to the first address that accepts; one that is silent does not use up the time of the others."""
    error = OSError("the name has no address")
    for number, address in enumerate(addresses):
        try:
            return _open(address, time_left(ends_at) / (len(addresses) - number))
        except OSError as exc:
            error = exc
    raise error


def _open(address: tuple[Any, ...], timeout: float) -> socket.socket:
    family, kind, protocol, _, place = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(timeout)
        sock.connect(place)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # head and body are sent one after the other
    except BaseException:
        sock.close()
        raise
    return sock


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Read the certificate authorities once: it takes 20 ms."""
    import certifi

    context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _read_head(stream: io.BufferedReader) -> Head:
    for _ in range(MAX_INTERIM + 1):
        line = stream.readline(LONGEST_STATUS_LINE)
        status_line = re.fullmatch(rb"HTTP/1\.[0-9] +([1-9][0-9]{2})( .*)?\r?\n", line)
        if status_line is None:
            raise BadStatusLine("")  # without the line, which may quote anything
        status, headers = int(status_line[1]), parse_headers(stream)
        if status >= 200 or status == 101:
            return Head(status, headers["location"], headers["retry-after"])
    raise TooManyInterimAnswers
