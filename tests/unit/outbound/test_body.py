"""The body of a response: how much of it is read, and when it is complete."""

import threading
import time
from http.client import HTTPException, IncompleteRead, RemoteDisconnected, UnknownTransferEncoding
from itertools import repeat

import pytest

from shared.web.outbound import (
    BodyTooLarge,
    any_address,
    exchange,
    read_target,
)
from tests.support.exchanging import CHUNKED, CONTINUE, OK, get, over_in_time
from tests.support.servers import Answer, Exchange, HttpServer, head, raw, reply


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        pytest.param(reply(200, b"0123456789"), b"0123456789", id="of-the-largest-size"),
        pytest.param(raw(head(200, {}) + b"0123456789"), b"0123456789", id="of-the-largest-size-without-a-length"),
        pytest.param(raw(CHUNKED + b"5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"), b"0123456789", id="in-chunks"),
        pytest.param(raw(CHUNKED + b"00A;x=y\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n"), b"0123456789", id="one-chunk"),
        pytest.param(raw(CHUNKED + b"0\r\n\r\n"), b"", id="no-chunk"),
        pytest.param(raw(head(200, {}) + b"x\r\n0\r\n\r\n"), b"x\r\n0\r\n\r\n", id="what-looks-like-chunks"),
        pytest.param(raw(CONTINUE + OK), b"", id="none-after-an-interim-answer"),
        pytest.param(reply(503, b"busy"), b"busy", id="of-an-error"),
        pytest.param(raw(head(204, {"Content-Length": "9", "Connection": "keep-alive"})), b"", id="none-with-204"),
    ],
)
def test_a_body_is_read_to_its_end(server: HttpServer, answer: Answer, body: bytes) -> None:
    """By its length, its chunks or the end of the connection; a body of exactly the limit is allowed."""
    server.answers["/"] = answer

    assert get(read_target(server.url()), max_bytes=10).body == body


def test_a_response_to_head_has_no_body(server: HttpServer) -> None:
    """Its header describes the body of a GET."""
    server.answers["/"] = raw(head(200, {"Content-Length": "9"}))

    response = exchange(
        "HEAD",
        read_target(server.url()),
        {},
        None,
        ends_at=time.monotonic() + 10,
        check=any_address,
        max_bytes=10,
    )

    assert (response.status, response.body) == (200, b"")


def test_without_a_limit_the_body_is_not_read(server: HttpServer) -> None:
    """Without a limit its length does not matter."""
    server.answers["/"] = raw(head(200, {"Content-Length": "9"}) + b"cut")

    assert get(read_target(server.url())).body == b""


@pytest.mark.parametrize(
    ("announced", "piece"),
    [
        pytest.param({}, b"x" * 10_000, id="without-length"),
        pytest.param({"Content-Length": "400000000"}, b"x" * 10_000, id="with-length"),
        pytest.param({"Transfer-Encoding": "chunked"}, b"1\r\nx\r\n" * 2_000, id="small-chunks"),
        pytest.param({"Transfer-Encoding": "chunked"}, b"FFFFFFFF\r\n" + b"x" * 10_000, id="one-large-chunk"),
    ],
)
def test_a_body_that_is_too_large_is_not_read_to_its_end(
    server: HttpServer, port: int, announced: dict[str, str], piece: bytes
) -> None:
    """Whether or not its size is announced; the connection is closed."""
    cut = threading.Event()

    def pour(exchange: Exchange) -> None:
        try:
            exchange.write(head(200, announced))
            for each in repeat(piece):
                exchange.write(each)
        except ConnectionError:
            cut.set()

    server.answers["/"] = pour

    with over_in_time(port), pytest.raises(BodyTooLarge):
        get(read_target(server.url()), max_bytes=1000)
    assert cut.wait(5)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(head(200, {"Content-Length": "3"}) + b"{}", IncompleteRead, id="shorter-than-announced"),
        pytest.param(CHUNKED + b"3\r\n{}", IncompleteRead, id="a-chunk-cut-off"),
        pytest.param(CHUNKED + b"2\r\n{}\r\n", IncompleteRead, id="no-last-chunk"),
        pytest.param(CHUNKED + b"1\r\n{}\r\n0\r\n\r\n", IncompleteRead, id="a-chunk-longer-than-announced"),
        pytest.param(CHUNKED, IncompleteRead, id="no-chunk"),
        pytest.param(CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n", IncompleteRead, id="a-negative-chunk"),
        pytest.param(CHUNKED + b"2 2\r\n{}\r\n0\r\n\r\n", IncompleteRead, id="two-lengths-of-a-chunk"),
        pytest.param(head(200, {"Content-Length": "-1"}) + b"{}", IncompleteRead, id="a-negative-length"),
        pytest.param(head(200, {"Content-Length": "two"}) + b"{}", IncompleteRead, id="a-length-in-words"),
        pytest.param(head(200, {"Content-Length": "9" * 5000}) + b"{}", IncompleteRead, id="a-length-of-many-digits"),
        pytest.param(head(200, {"Transfer-Encoding": "gzip"}) + b"{}", UnknownTransferEncoding, id="another-coding"),
        pytest.param(b"", RemoteDisconnected, id="nothing"),
    ],
)
def test_an_incomplete_body_is_an_error(server: HttpServer, answer: bytes, error: type[HTTPException]) -> None:
    """It could be taken for the whole. The error quotes nothing of it."""
    server.answers["/"] = raw(answer)

    with pytest.raises(error) as raised:
        get(read_target(server.url()), max_bytes=1000)

    assert "{" not in f"{raised.value!r}"
