"""One GET that ends: at its deadline and at its size, however the server answers.

The time limit of a socket begins anew with every byte, so a server that drips never reaches it. Here another thread
does the reading, and the one that asked for it cuts the connection when the time is over.
"""

import queue
import socket
import threading
from contextlib import suppress
from datetime import timedelta
from email.message import Message
from functools import partial
from http.client import HTTPConnection, HTTPSConnection
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, Request, build_opener


class Fetched(NamedTuple):
    """The body and the headers of an answer."""

    body: bytes
    headers: Message


def fetch(url: str, *, timeout: timedelta, most_bytes: int) -> Fetched:
    """Return the answer to a GET. Raises OSError, HTTPException, or ValueError for a body that is too large.

    It takes at most `timeout` in all, and leaves neither a connection nor a thread behind: the thread ends when its
    connection is cut, or when the name server or the connect answers.
    """
    line = _Line()
    answers: queue.Queue[Fetched | BaseException] = queue.Queue()  # no SimpleQueue: see shared.running.workers

    def work() -> None:
        try:
            answers.put(_answer(line, url, timeout=timeout, most_bytes=most_bytes))
        except BaseException as exc:  # it is raised where it is waited for
            answers.put(exc)

    threading.Thread(target=work, daemon=True, name="fetch").start()
    try:
        answer = answers.get(timeout=timeout.total_seconds())
    except queue.Empty:
        line.cut()
        raise TimeoutError(f"no complete answer within {timeout.total_seconds():g} s") from None
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _answer(line: "_Line", url: str, *, timeout: timedelta, most_bytes: int) -> Fetched:
    try:
        response = _opener(line).open(Request(url), timeout=timeout.total_seconds())
    except HTTPError as exc:  # it is an open response, too
        exc.close()
        raise
    with response:
        body = response.read(most_bytes + 1)
        if len(body) > most_bytes:
            raise ValueError(f"more than {most_bytes} bytes")
        # A body that is shorter than announced ends without an error when a size is given.
        if response.length:
            raise ConnectionError(f"cut off {response.length} bytes before its end")
        return Fetched(body, response.headers)


class _Line:
    """The connection in use, which another thread may cut."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_cut = False

    def watch(self, connection: HTTPConnection) -> None:
        """Note a new connection. Raises TimeoutError when it comes too late."""
        with self._lock:
            self._socket = connection.sock
            if self._is_cut:
                connection.close()
                raise TimeoutError

    def cut(self) -> None:
        """End the connection, and every one that is still to come."""
        with self._lock:
            self._is_cut = True
            if self._socket is not None:
                with suppress(OSError):
                    # Not SSLSocket's own shutdown, which takes the encryption away under the thread that reads.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Http(HTTPConnection):
    def __init__(self, *args: Any, line: _Line, **given: Any) -> None:
        super().__init__(*args, **given)
        self._line = line

    def connect(self) -> None:
        super().connect()
        self._line.watch(self)


class _Https(HTTPSConnection):
    def __init__(self, *args: Any, line: _Line, **given: Any) -> None:
        super().__init__(*args, **given)
        self._line = line

    def connect(self) -> None:
        # The time limit of a TLS handshake is one for the whole of it.
        super().connect()
        self._line.watch(self)


def _opener(line: _Line) -> OpenerDirector:
    class Http(HTTPHandler):
        def http_open(self, req: Request) -> Any:
            return self.do_open(partial(_Http, line=line), req)

    class Https(HTTPSHandler):
        def https_open(self, req: Request) -> Any:
            return self.do_open(partial(_Https, line=line), req)

    return build_opener(Http, Https)
