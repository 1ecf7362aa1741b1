"""A GET that ends, whatever the server does: in time, at a size, and without leaving a connection or a thread."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import repeat

import pytest

from shared.web.fetch import fetch
from tests.servers import Answer, Exchange, HttpServer, head, redirect, reply

SHORT = timedelta(milliseconds=200)
LONG = timedelta(seconds=5)
ENDLESS = head(200, {"Content-Type": "application/json"})


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


def endlessly(before: bytes, piece: bytes, cut: threading.Event, *, pause: float) -> Answer:
    """Write a piece again and again, and note when nobody reads any more."""

    def answer(exchange: Exchange) -> None:
        try:
            exchange.write(before)
            for each in repeat(piece):
                if exchange.closing.wait(pause):
                    return
                exchange.write(each)
        except ConnectionError:
            cut.set()

    return answer


def fetching() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "fetch"]


def becomes_true(question: Callable[[], bool]) -> bool:
    """Whether the answer is yes within five seconds."""
    until = time.monotonic() + 5
    while not question() and time.monotonic() < until:
        time.sleep(0.005)
    return question()


def test_the_answer_is_returned(server: HttpServer) -> None:
    """Body and headers, from behind a redirect too."""
    server.answers |= {
        "/old": redirect("/new"),
        "/new": reply(200, b"{}", headers={"Cache-Control": "max-age=60"}),
    }

    body, headers = fetch(server.url("/old"), timeout=LONG, most_bytes=2)

    assert (body, headers["Cache-Control"]) == (b"{}", "max-age=60")


@pytest.mark.parametrize(
    ("before", "piece"),
    [
        pytest.param(b"", b"H", id="status-line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Drip: ", b"x", id="header"),
        pytest.param(ENDLESS, b" ", id="body"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="continue"),
    ],
)
def test_an_answer_that_drips_is_cut_at_the_deadline(server: HttpServer, before: bytes, piece: bytes) -> None:
    """However often a byte comes: the server sees the end of the connection, and the thread ends, too."""
    cut = threading.Event()
    server.answers["/"] = endlessly(before, piece, cut, pause=0.01)

    with pytest.raises(TimeoutError, match=r"no complete answer within 0\.2 s"):
        fetch(server.url(), timeout=SHORT, most_bytes=1000)

    assert cut.wait(5)
    assert becomes_true(lambda: not fetching())


@pytest.mark.parametrize("announced", [{}, {"Content-Length": "400000000"}], ids=["without-length", "with-length"])
def test_a_body_that_is_too_large_is_not_read_to_its_end(server: HttpServer, announced: dict[str, str]) -> None:
    """Whether or not its size is announced; the connection ends with it."""
    cut = threading.Event()
    server.answers["/"] = endlessly(head(200, announced), b"x" * 10_000, cut, pause=0)

    with pytest.raises(ValueError, match="more than 1000 bytes"):
        fetch(server.url(), timeout=LONG, most_bytes=1000)

    assert cut.wait(5)


def test_a_body_of_the_largest_size_is_read(server: HttpServer) -> None:
    """The limit itself is allowed."""
    server.answers["/"] = reply(200, b"x" * 1000)

    assert len(fetch(server.url(), timeout=LONG, most_bytes=1000).body) == 1000


def test_a_body_that_is_cut_off_is_no_answer(server: HttpServer) -> None:
    """A part of it could be taken for the whole."""
    server.answers["/"] = reply(200, b"{}", headers={"Content-Length": "3"})

    with pytest.raises(ConnectionError, match="cut off 1 bytes"):
        fetch(server.url(), timeout=LONG, most_bytes=1000)


def test_a_status_that_is_an_error_is_raised(server: HttpServer) -> None:
    """As the library raises it, which is an OSError."""
    server.answers["/"] = reply(503)

    with pytest.raises(OSError, match="503"):
        fetch(server.url(), timeout=LONG, most_bytes=1000)
