"""One HTTP request to a checked address, ended by its deadline.

Libraries bound each wait, so a server that sends a byte now and then holds them forever; and they resolve a name
themselves, so a name can lead elsewhere than it did when it was checked. Here every wait ends at one moment of the
monotonic clock, the connection goes to the addresses that were checked, and a body is read up to a limit.
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
from email.message import Message
from functools import lru_cache
from http.client import (
    BadStatusLine,
    HTTPConnection,
    HTTPException,
    IncompleteRead,
    RemoteDisconnected,
    UnknownTransferEncoding,
    parse_headers,
)
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

MAX_INTERIM = 20  # answers such as "100 Continue" before the real one
LONGEST_LINE = 65_536
WITHOUT_BODY = (101, 204, 304)
PORTS = {"http": 80, "https": 443}

T = TypeVar("T")
Resolve = Callable[..., Sequence[tuple[Any, ...]]]  # socket.getaddrinfo
CheckAddress = Callable[[str, str], None]  # raises when the host must not be reached at the address


class InvalidUrl(ValueError):
    """The URL cannot be the address of a server."""


class TooManyInterimAnswers(HTTPException):
    """The server announces its answer again and again."""


class BodyTooLarge(HTTPException):
    """The body is larger than its reader allows."""


class Target(NamedTuple):
    """A URL as it is called. `host` is lower case and ASCII, an IPv6 address without brackets."""

    scheme: str
    host: str
    port: int
    authority: str
    path: str


class Response(NamedTuple):
    """The response of a server. The body is empty if it was not asked for."""

    status: int
    headers: Message
    body: bytes = b""


def any_address(host: str, address: str) -> None:
    """Allow every address, for a URL that the operator has set."""


def read_target(url: str) -> Target:
    """Read a URL as it will be called: all rules about a request are applied to this. Raises InvalidUrl."""
    from urllib3.exceptions import LocationValueError
    from urllib3.util import parse_url

    try:
        parts = parse_url(url)
        scheme, host = parts.scheme or "", parts.host or ""
        host.encode("idna")  # as the resolver will do it: it raises for a part that is empty or too long
        port = parts.port or PORTS[scheme]
    except (LocationValueError, UnicodeError, LookupError):
        raise InvalidUrl("no server can have this address") from None
    authority = host if port == PORTS[scheme] else f"{host}:{port}"
    return Target(scheme, host.removeprefix("[").removesuffix("]"), port, authority, parts.request_uri)


def target_of_setting(url: str) -> Target:
    """Read a URL that `settings.http_url` has checked, without urllib3: its import is a third of a cold start."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    return Target(parts.scheme, host, port, parts.netloc.rpartition("@")[2], path)


def exchange(
    method: str,
    target: Target,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    ends_at: float,
    check: CheckAddress,
    max_bytes: int | None = None,
    resolve: Resolve = socket.getaddrinfo,
) -> Response:
    """Send one request and return the response, with a body of at most `max_bytes`; without a limit it is not read.

    `ends_at` is a time of the monotonic clock. Before anything is sent `check` sees each address that the host resolves
    to, and what it raises passes through. Raises OSError (TimeoutError, socket.gaierror and others) and HTTPException
    (BodyTooLarge, IncompleteRead and others). The connection is closed in every case.
    """
    addresses = within(ends_at, lambda: resolve(target.host, target.port, type=socket.SOCK_STREAM))
    for *_, address in addresses:
        check(target.host, address[0])
    with _connection(target, addresses, ends_at) as sock:
        wire = _Wire(sock, ends_at)
        connection = HTTPConnection(target.host, target.port)
        connection.sock = wire  # it is only used to send
        with suppress(ConnectionError):  # the server may have responded before it read everything
            connection.request(method, target.path, body, {"host": target.authority, **headers})
        return _read_response(io.BufferedReader(wire), None if method == "HEAD" else max_bytes)


def within(ends_at: float, function: Callable[[], T]) -> T:
    """Return what `function` returns or raise what it raises, or TimeoutError when the time is over.

    It is for calls that cannot be interrupted, such as getaddrinfo: the thread is left behind and ends by itself.
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
    """Return the seconds until `ends_at`. Raises TimeoutError when it has passed."""
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
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
    """Connect to the first address that accepts; a silent one does not use up the time of the others."""
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
    """Return the TLS settings. Reading the certificate authorities takes 20 ms, so it is done once."""
    import certifi

    context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _read_response(stream: io.BufferedReader, max_bytes: int | None) -> Response:
    status, headers = _read_head(stream)
    if max_bytes is None or status in WITHOUT_BODY:
        return Response(status, headers)
    return Response(status, headers, _read_body(stream, headers, max_bytes))


def _read_head(stream: io.BufferedReader) -> tuple[int, Message]:
    for _ in range(MAX_INTERIM + 1):
        line = stream.readline(LONGEST_LINE)
        if not line:
            raise RemoteDisconnected("")
        status_line = re.fullmatch(rb"HTTP/1\.[0-9] +([1-9][0-9]{2})( .*)?\r?\n", line)
        if status_line is None:
            raise BadStatusLine("")  # without the line, which may quote anything
        status, headers = int(status_line[1]), parse_headers(stream)
        if status >= 200 or status == 101:
            return status, headers
    raise TooManyInterimAnswers


def _read_body(stream: io.BufferedReader, headers: Message, max_bytes: int) -> bytes:
    """Read the whole body (RFC 9112, 6.3). Raises IncompleteRead for a part, which could be taken for the whole."""
    coding, length = headers["transfer-encoding"], headers["content-length"]
    if coding is not None:
        if coding.strip().lower() != "chunked":
            raise UnknownTransferEncoding
        return _read_chunks(stream, max_bytes)
    if length is not None:
        return _read_exactly(stream, _number(length.strip(), 10), max_bytes)
    body = stream.read(max_bytes + 1)  # the body ends with the connection
    if len(body) > max_bytes:
        raise BodyTooLarge
    return body


def _read_chunks(stream: io.BufferedReader, max_bytes: int) -> bytes:
    body = bytearray()
    while size := _number(stream.readline(LONGEST_LINE).decode("latin-1").partition(";")[0].strip(), 16):
        body += _read_exactly(stream, size, max_bytes - len(body))
        if stream.readline(LONGEST_LINE).strip():
            raise IncompleteRead(b"")  # a chunk is not as long as announced
    return bytes(body)


def _read_exactly(stream: io.BufferedReader, size: int, max_bytes: int) -> bytes:
    if size > max_bytes:
        raise BodyTooLarge
    data = stream.read(size)
    if len(data) < size:
        raise IncompleteRead(b"", size - len(data))  # without the data, which may quote anything
    return data


def _number(text: str, base: int) -> int:
    """Read a length. Raises IncompleteRead if it is missing, as when the connection ends before a chunk."""
    if not re.fullmatch(r"[0-9A-Fa-f]{1,12}" if base == 16 else r"[0-9]{1,12}", text):
        raise IncompleteRead(b"")
    return int(text, base)
