"""One exchange, on the clock of a test that must not wait, and what it leaves behind."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from stat import S_ISSOCK
from typing import Any

from shared.web.outbound import (
    Response,
    Target,
    any_address,
    exchange,
)
from tests.support.servers import head

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
OK = head(200, {"Content-Length": "0"})
CHUNKED = head(200, {"Transfer-Encoding": "chunked"})
SHORT = 0.25  # seconds that an exchange has which must end at its deadline
MOMENT = 2.0  # seconds that it may take beyond, on a machine with other work to do


def get(target: Target, *, seconds: float = 10, check: Any = any_address, **given: Any) -> Response:
    return exchange("GET", target, {}, None, ends_at=time.monotonic() + seconds, check=check, **given)


def resolver(*answers: list[str]) -> Callable[..., list[tuple[Any, ...]]]:
    """Return a resolver that answers with these addresses in turn, as a hostile name server can."""
    rest = iter(answers)

    def resolve(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port))
            for address in next(rest)
        ]

    return resolve


def connections_to(port: int) -> int:
    """Return how many open sockets of this process lead to that port of this machine."""
    count = 0
    for number in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):  # closed meanwhile, or not connected
            if S_ISSOCK(os.fstat(number).st_mode):
                with socket.socket(fileno=os.dup(number)) as sock:
                    count += sock.family == socket.AF_INET and sock.getpeername()[1] == port
    return count


@contextmanager
def over_in_time(port: int) -> Iterator[None]:
    """Assert that this block ends in time and leaves no connection to the port and no thread."""
    before, began_at = set(threading.enumerate()), time.monotonic()

    yield

    took = time.monotonic() - began_at
    new = [thread.name for thread in set(threading.enumerate()) - before]
    assert took < SHORT + MOMENT
    assert connections_to(port) == 0
    assert [name for name in new if "process_request" not in name] == []  # those are the server's
