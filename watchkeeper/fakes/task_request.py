"""One attempt at a task: a request to the worker that ends with its response, at the deadline, or when it is cut."""

import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from http.client import HTTPConnection, HTTPException
from threading import Event
from urllib.parse import urlsplit

from shared.web.loopback import is_loopback
from watchkeeper.fakes.task_queue import AttemptResult

DEADLINE = AttemptResult(failure="DEADLINE_EXCEEDED")
CUT = AttemptResult(failure="UNAVAILABLE: the connection was cut")
ELSEWHERE = AttemptResult(failure="UNAVAILABLE: the fake of Cloud Tasks calls only this machine")


class TaskRequest:
    """A request that is sent once. Another thread can cut it while `send` waits for the response."""

    def __init__(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, deadline: timedelta) -> None:
        self._method = method
        self._url = urlsplit(url)
        self._headers = headers
        self._body = body
        self._deadline = deadline
        self._is_cut = Event()
        self._connection: HTTPConnection | None = None

    def send(self, address: str, *, waits: bool = True) -> AttemptResult:
        """Send it to `address` (host:port) and return the result. Without `waits` the deadline passes at once."""
        if not is_loopback(address) or self._url.scheme != "http":
            return ELSEWHERE
        if self._is_cut.is_set():
            return CUT
        self._connection = connection = HTTPConnection(address, timeout=self._deadline.total_seconds())
        try:
            connection.request(self._method, self._target(), body=self._body, headers=dict(self._headers))
            if self._is_cut.is_set():
                return CUT
            return AttemptResult(status=connection.getresponse().status) if waits else DEADLINE
        except TimeoutError:
            return DEADLINE
        except (OSError, HTTPException) as exc:
            return CUT if self._is_cut.is_set() else AttemptResult(failure=f"UNAVAILABLE: {type(exc).__name__}")
        except ValueError:
            return AttemptResult(failure="UNAVAILABLE: the request cannot be written")
        finally:
            connection.close()

    def cut(self) -> None:
        """End `send` at once, without stopping the worker."""
        self._is_cut.set()
        if self._connection is not None and (sock := self._connection.sock) is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _target(self) -> str:
        return f"{self._url.path or '/'}{'?' if self._url.query else ''}{self._url.query}"
