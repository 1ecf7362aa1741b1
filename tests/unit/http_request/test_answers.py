"""What the handler makes of an answer: success, another attempt or final failure."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from shared.handlers import Cancel, Snooze
from shared.handlers.http_request import RequestFailed
from tests.support.requesting import NOW, SECRET_TARGET, Fail, Send, outcome
from tests.support.servers import (
    Answer,
    Exchange,
    HttpServer,
    drip,
    hang,
    head,
    raw,
    reply,
)

SLOW = ("/hang", "/hop", "/status", "/headers", "/interim", "/hop-to-drips")


class Flood:
    """An answer with an endless body. Once `ended` is set, `was_cut` says whether the client left."""

    def __init__(self, start: bytes) -> None:
        self.start = start
        self.ended = threading.Event()
        self.was_cut = False

    def __call__(self, exchange: Exchange) -> None:
        try:
            exchange.write(self.start)
            for _ in range(64):
                exchange.write(bytes(2**20))
        except ConnectionError:
            self.was_cut = True
        finally:
            self.ended.set()


@pytest.fixture(scope="module")
def slow_outcomes() -> dict[str, Any]:
    """The outcomes of exchanges that need longer than their limit of a second, made side by side to wait only once.

    "ended" is how long the longest took; each server would continue for three seconds.
    """
    answers = {
        "/hang": hang,
        "/hop": drip([head(302, {"Location": "/end", "Content-Length": "0"})], pause=0.59),
        "/end": drip([head(200, {"Content-Length": "0"})], pause=0.59),
        "/status": drip([head(200, {})[n : n + 1] for n in range(15)], pause=0.2),
        "/headers": drip([b"HTTP/1.1 200 OK\r\n", *[b"X: 1\r\n"] * 15], pause=0.2),
        "/interim": drip([b"HTTP/1.1 100 Continue\r\n\r\n"] * 15, pause=0.2),
        "/hop-to-drips": drip([head(302, {"Location": "/headers", "Content-Length": "0"})], pause=0.3),
    }
    paths = SLOW
    with HttpServer(answers) as server, ThreadPoolExecutor(len(paths)) as pool:
        payloads = [{"url": server.url(path), "timeout_seconds": 1} for path in paths]
        began_at = time.monotonic()
        outcomes = dict(zip(paths, pool.map(outcome, payloads), strict=True))
        return {**outcomes, "ended": time.monotonic() - began_at}


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success(send: Send, server: HttpServer, status: int) -> None:
    """An answer from 200 to 299 completes the occurrence."""
    server.answers["/"] = reply(status)

    received = send()

    assert received.path == "/"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
def test_temporary_failure_is_retried(fail: Fail, server: HttpServer, status: int) -> None:
    """Time-outs, too many requests without a time, and server errors fail only this attempt."""
    error = fail(RequestFailed, reply(status))

    assert str(error) == f"GET http://{server.address}: HTTP {status}"


@pytest.mark.parametrize("status", [300, 302, 304, 400, 401, 403, 404, 409, 410, 422, 451, 499])
def test_other_refusals_are_final(fail: Fail, server: HttpServer, status: int) -> None:
    """The server would answer the same again; a 302 without a Location cannot be followed."""
    error = fail(Cancel, reply(status), method="DELETE")

    assert str(error) == f"DELETE http://{server.address}: HTTP {status}"


@pytest.mark.parametrize(
    ("retry_after", "delay"),
    [
        pytest.param("0", timedelta(0), id="at-once"),
        pytest.param("120", timedelta(seconds=120), id="seconds"),
        pytest.param(" 7 ", timedelta(seconds=7), id="seconds-in-space"),
        pytest.param("86400", timedelta(days=1), id="at-the-cap"),
        pytest.param("86401", timedelta(days=1), id="over-the-cap"),
        pytest.param("999999999", timedelta(days=1), id="far-over-the-cap"),
        pytest.param(format_datetime(NOW + timedelta(seconds=90), usegmt=True), timedelta(seconds=90), id="date"),
        pytest.param(format_datetime(NOW - timedelta(days=9), usegmt=True), timedelta(0), id="past-date"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", timedelta(days=1), id="far-date"),
        pytest.param("Saturday, 21-Nov-26 09:01:00 GMT", timedelta(minutes=1), id="obsolete-date"),
        pytest.param("Sat Nov 21 09:01:00 2026", timedelta(minutes=1), id="asctime-date"),
        pytest.param("Sat, 21 Nov 2026 10:01:00 +0100", timedelta(minutes=1), id="date-with-offset"),
    ],
)
def test_retry_after_of_a_429_sets_the_next_try(fail: Fail, retry_after: str, delay: timedelta) -> None:
    """Retry-After, in seconds or as a date, sets the next try: at most a day from now."""
    error = fail(Snooze, reply(429, headers={"Retry-After": retry_after}))

    assert isinstance(error, Snooze)
    assert error.delay == delay
    assert "HTTP 429" in str(error)


@pytest.mark.parametrize(
    "retry_after",
    [
        "",
        "soon",
        "-5",
        "1.5",
        "1e3",
        "9999999999",
        "21 Nov",
        "Sat, 99 Foo 2026 x",
        f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT",
    ],
)
def test_invalid_retry_after_is_ignored(fail: Fail, retry_after: str) -> None:
    """A Retry-After that cannot be parsed is ignored."""
    error = fail(RequestFailed, reply(429, headers={"Retry-After": retry_after}))

    assert "HTTP 429" in str(error)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(raw(b""), id="cut"),
        pytest.param(raw(b"HTTP/1.1 2"), id="cut-within-the-status"),
        pytest.param(raw(b"SSH-2.0-OpenSSH_9.6\r\n"), id="not-http"),
        pytest.param(raw(f"GET {SECRET_TARGET} HTTP/1.1\r\n".encode()), id="an-echo"),
        pytest.param(raw(head(500, {f"X-{n}": "" for n in range(200)})), id="too-many-headers"),
        pytest.param(raw(b"HTTP/1.1 500 \r\nno colon here\r\n\r\n"), id="broken-header"),
    ],
)
def test_missing_response_is_retried(fail: Fail, server: HttpServer, answer: Answer) -> None:
    """If the server closes the connection or does not speak HTTP, only this attempt fails."""
    error = fail(RequestFailed, answer)

    assert f"GET http://{server.address}: " in str(error)


def test_refused_connection_is_retried(fail: Fail) -> None:
    """A server that is down may be up the next time."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"

    error = fail(RequestFailed, host=address)

    assert f"GET http://{address}: " in str(error)


@pytest.mark.parametrize("path", SLOW)
def test_time_limit_bounds_the_whole_exchange(slow_outcomes: dict[str, Any], path: str) -> None:
    """Each phase of the exchange ends after `timeout_seconds`, and the attempt fails."""
    assert isinstance(slow_outcomes[path], RequestFailed)
    assert "timed out" in str(slow_outcomes[path])


def test_handler_returns_at_its_time_limit(slow_outcomes: dict[str, Any]) -> None:
    """A server that sends a byte from time to time does not delay it."""
    assert 1 <= slow_outcomes["ended"] < 2.5


@pytest.mark.parametrize(
    ("start", "becomes"),
    [
        pytest.param(head(200, {}), None, id="of-success"),
        pytest.param(head(302, {"Location": "/end"}), None, id="of-a-redirect"),
        pytest.param(head(404, {}), Cancel, id="of-a-refusal"),
    ],
)
def test_body_of_a_response_is_not_read(server: HttpServer, start: bytes, becomes: type[Exception] | None) -> None:
    """An endless answer takes neither time nor memory: the connection is closed."""
    flood = server.answers["/endless"] = Flood(start)

    became = outcome({"url": server.url("/endless")})

    assert type(became) is (becomes or type(None))
    assert flood.ended.wait(2)
    assert flood.was_cut


def test_body_of_a_refusal_is_not_recorded(fail: Fail) -> None:
    """The job's history does not contain it, because it may be anything."""
    error = fail(Cancel, reply(400, b"private-query was wrong"))

    assert "wrong" not in str(error)


@pytest.mark.parametrize(
    "host", [f"{'a' * 64}.example", "a..example", ".example"], ids=["long-part", "empty-part", "dot"]
)
def test_invalid_host_name_fails_for_good(fail: Fail, host: str) -> None:
    """No later attempt will find a server of that name."""
    error = fail(Cancel, host=host)

    assert host in str(error)
