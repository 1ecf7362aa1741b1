"""An exchange ends by its deadline and leaves nothing behind."""

import socket
import threading
import time
from contextlib import closing
from typing import Any

import pytest

from shared.web.outbound import (
    MAX_INTERIM,
    TooManyInterimAnswers,
    any_address,
    exchange,
    read_target,
    within,
)
from tests.support.exchanging import CHUNKED, CONTINUE, MOMENT, OK, SHORT, connections_to, get, over_in_time
from tests.support.servers import Answer, Exchange, HttpServer, drip, hang, head, raw

DRIP = 4.0  # seconds that an answer takes which comes in drips


def in_drips(data: bytes) -> Answer:
    """Send the data byte by byte, in DRIP seconds."""
    return drip([data[n : n + 1] for n in range(len(data))], pause=DRIP / len(data))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(hang, id="no-answer"),
        pytest.param(in_drips(OK), id="the-status-line-in-drips"),
        pytest.param(drip([b"HTTP/1.1 200 OK\r\n", *[b"X: 1\r\n"] * 40], pause=DRIP / 40), id="headers-in-drips"),
        pytest.param(drip([b"HTTP/1.1 200 OK\r\nX: ", *[b"1"] * 40], pause=DRIP / 40), id="one-header-in-drips"),
        pytest.param(drip([CONTINUE] * MAX_INTERIM, pause=DRIP / MAX_INTERIM), id="interim-answers-in-drips"),
        pytest.param(in_drips(head(200, {}) + bytes(40)), id="a-body-in-drips"),
        pytest.param(in_drips(head(200, {"Content-Length": "99"}) + bytes(40)), id="an-announced-body-in-drips"),
        pytest.param(in_drips(CHUNKED + b"1\r\nx\r\n" * 8), id="chunks-in-drips"),
        pytest.param(drip([head(200, {}), *[b"x"] * 40], pause=DRIP / 40), id="only-the-body-in-drips"),
    ],
)
def test_an_answer_that_never_ends_is_cut_at_the_deadline(server: HttpServer, port: int, answer: Answer) -> None:
    """No read starts with the whole time again, and the server sees the end of the connection."""
    ended = threading.Event()

    def recorded(exchange: Exchange) -> None:
        try:
            answer(exchange)
        finally:
            ended.set()

    server.answers["/"] = recorded

    with over_in_time(port), pytest.raises(TimeoutError):
        get(read_target(server.url()), seconds=SHORT, max_bytes=1000)
    assert answer is hang or ended.wait(DRIP / 2)


def test_many_endless_answers_leave_no_connection_open(server: HttpServer, port: int) -> None:
    """A process with few file descriptors still works."""
    server.answers["/"] = in_drips(OK)
    target = read_target(server.url())

    with over_in_time(port):
        for _ in range(20):
            with pytest.raises(TimeoutError):
                get(target, seconds=SHORT / 20)


@pytest.mark.parametrize("flood", [CONTINUE, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"], ids=["100", "103"])
def test_endless_interim_answers_are_cut_off(server: HttpServer, port: int, flood: bytes) -> None:
    """They do not keep a core busy until the deadline."""
    ended = threading.Event()

    def pour(exchange: Exchange) -> None:
        try:
            for _ in range(1000):
                exchange.write(flood * 100)
            exchange.write(OK)
        finally:
            ended.set()

    server.answers["/"] = pour

    with over_in_time(port), pytest.raises(TooManyInterimAnswers):
        get(read_target(server.url()), seconds=60)
    assert ended.wait(5)


@pytest.mark.parametrize("count", [0, 1, MAX_INTERIM])
def test_interim_answers_are_skipped(server: HttpServer, count: int) -> None:
    """100 and 103 are not the answer."""
    early = [CONTINUE, b"HTTP/1.1 103 Early Hints\r\nLocation: /wrong\r\n\r\n"] * count
    server.answers["/"] = raw(b"".join(early[:count]) + head(302, {"Location": "/right"}))

    response = get(read_target(server.url()))

    assert (response.status, response.headers["Location"]) == (302, "/right")


def test_a_slow_tls_handshake_is_cut_at_the_deadline() -> None:
    """A server that sends TLS byte by byte does not delay the request either."""
    record = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc" + bytes(100)

    def serve() -> None:
        with listener.accept()[0] as connection:
            for n in range(len(record)):
                if done.wait(DRIP / len(record)):
                    return
                connection.sendall(record[n : n + 1])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with over_in_time(listener.getsockname()[1]), pytest.raises(TimeoutError):
                get(read_target(f"https://127.0.0.1:{listener.getsockname()[1]}/"), seconds=SHORT)
        finally:
            done.set()
            thread.join()


def test_connecting_ends_at_the_deadline() -> None:
    """A full queue is as silent as a firewall."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        with closing(socket.create_connection(("127.0.0.1", port))):
            before = connections_to(port)
            began_at = time.monotonic()

            with pytest.raises(TimeoutError):
                get(read_target(f"http://127.0.0.1:{port}/"), seconds=SHORT)

            assert time.monotonic() - began_at < SHORT + MOMENT
            assert connections_to(port) == before


def test_sending_ends_at_the_deadline() -> None:
    """Sending waits no longer than reading."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with over_in_time(port), pytest.raises(TimeoutError):
            exchange(
                "POST",
                read_target(f"http://127.0.0.1:{port}/"),
                {},
                bytes(32 * 2**20),
                ends_at=time.monotonic() + SHORT,
                check=any_address,
            )


def test_resolving_a_name_ends_at_the_deadline() -> None:
    """getaddrinfo cannot be interrupted; its thread ends when it does."""
    answered = threading.Event()
    began_at = time.monotonic()

    def resolve(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        answered.wait(30)
        return []

    try:
        with pytest.raises(TimeoutError):
            get(read_target("http://reports.example/"), seconds=SHORT, resolve=resolve)
    finally:
        answered.set()

    assert time.monotonic() - began_at < SHORT + MOMENT


def test_after_the_deadline_nothing_is_sent(server: HttpServer) -> None:
    """There would be no time for an answer."""
    with pytest.raises(TimeoutError):
        get(read_target(server.url()), seconds=-1)

    assert server.received == []


def test_within_raises_what_the_function_raises() -> None:
    """As in a direct call."""
    with pytest.raises(ZeroDivisionError):
        within(time.monotonic() + 10, lambda: 1 / 0)
    assert within(time.monotonic() + 10, lambda: "done") == "done"
