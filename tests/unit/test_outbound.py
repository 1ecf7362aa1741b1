"""One request: it ends by its deadline, leaves nothing behind, and reaches only checked addresses."""

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPException, IncompleteRead, RemoteDisconnected, UnknownTransferEncoding
from ipaddress import ip_address
from itertools import repeat
from pathlib import Path
from stat import S_ISSOCK
from typing import Any

import pytest

from shared.handlers import Cancel
from shared.handlers.reachable import Reach
from shared.web.outbound import (
    MAX_INTERIM,
    BodyTooLarge,
    InvalidUrl,
    Response,
    Target,
    TooManyInterimAnswers,
    any_address,
    exchange,
    read_target,
    target_of_setting,
    within,
)
from tests.requesting import trusted_https
from tests.servers import Answer, Exchange, HttpServer, drip, hang, head, raw, reply

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
OK = head(200, {"Content-Length": "0"})
CHUNKED = head(200, {"Transfer-Encoding": "chunked"})
SHORT = 0.25  # seconds that an exchange has which must end at its deadline
MOMENT = 2.0  # seconds that it may take beyond, on a machine with other work to do
DRIP = 4.0  # seconds that an answer takes which comes in drips


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


def in_drips(data: bytes) -> Answer:
    """Send the data byte by byte, in DRIP seconds."""
    return drip([data[n : n + 1] for n in range(len(data))], pause=DRIP / len(data))


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture
def port(server: HttpServer) -> int:
    return int(server.address.rpartition(":")[2])


# -- it ends -----------------------------------------------------------------------------------------------------------


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


def test_many_answers_that_never_end_leave_nothing(server: HttpServer, port: int) -> None:
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


def test_a_handshake_in_drips_is_cut_at_the_deadline() -> None:
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


def test_a_connection_that_nobody_accepts_is_given_up_at_the_deadline() -> None:
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


def test_a_request_that_nobody_reads_is_given_up_at_the_deadline() -> None:
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


def test_a_name_server_that_is_silent_does_not_hold_the_request() -> None:
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


def test_a_deadline_that_is_past_sends_nothing(server: HttpServer) -> None:
    """There would be no time for an answer."""
    with pytest.raises(TimeoutError):
        get(read_target(server.url()), seconds=-1)

    assert server.received == []


def test_what_a_bounded_call_raises_is_raised() -> None:
    """As in a direct call."""
    with pytest.raises(ZeroDivisionError):
        within(time.monotonic() + 10, lambda: 1 / 0)
    assert within(time.monotonic() + 10, lambda: "done") == "done"


# -- the body ----------------------------------------------------------------------------------------------------------


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


def test_a_head_has_no_body(server: HttpServer) -> None:
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


def test_a_body_that_nobody_wants_is_not_read(server: HttpServer) -> None:
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
def test_a_part_of_a_body_is_no_answer(server: HttpServer, answer: bytes, error: type[HTTPException]) -> None:
    """It could be taken for the whole. The error quotes nothing of it."""
    server.answers["/"] = raw(answer)

    with pytest.raises(error) as raised:
        get(read_target(server.url()), max_bytes=1000)

    assert "{" not in f"{raised.value!r}"


# -- whom it reaches ---------------------------------------------------------------------------------------------------


def only_loopback_2(host: str, address: str) -> None:
    """Rules like those of the cloud, with 127.0.0.2 as the only public address."""
    if ip_address(address) != ip_address("127.0.0.2"):
        raise Cancel(f"{host} must not be reached")


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "::ffff:127.0.0.1"]],
    ids=["alone", "second", "first", "mapped"],
)
def test_each_address_of_a_name_is_checked_before_anything_is_sent(server: HttpServer, addresses: list[str]) -> None:
    """One forbidden address is enough: otherwise a failing first address would lead to it."""
    target = read_target(server.url())._replace(host="rebind.example")

    with pytest.raises(Cancel, match=r"rebind\.example"):
        get(target, check=only_loopback_2, resolve=resolver(addresses))

    assert server.received == []


def test_a_name_that_leads_elsewhere_after_the_check_gains_nothing(server: HttpServer, port: int) -> None:
    """DNS rebinding: the request connects to the checked address and does not resolve the name again."""
    target = read_target(f"http://rebind.example:{port}/")

    with pytest.raises(ConnectionRefusedError):  # nobody listens on 127.0.0.2
        get(target, check=only_loopback_2, resolve=resolver(["127.0.0.2"], ["127.0.0.1"]))

    assert server.received == []


def test_the_rules_of_the_cloud_see_the_resolved_address(server: HttpServer, port: int) -> None:
    """A public name that resolves to this machine is refused, and so is the metadata server's."""
    check = Reach(in_cloud=True).check_address

    for addresses in (["127.0.0.1"], ["169.254.169.254"], ["fd20:ce::254"], ["93.184.215.14", "127.0.0.1"]):
        with pytest.raises(Cancel, match="HTTP_REQUEST_HOSTS"):
            get(read_target(f"http://metadata.google.internal:{port}/"), check=check, resolve=resolver(addresses))

    assert server.received == []


def test_the_next_address_is_tried_when_one_does_not_answer(server: HttpServer, port: int) -> None:
    """A name with several addresses works as long as one of them does."""
    resolve = resolver(["127.0.0.3", "::1", "127.0.0.1"])

    assert get(read_target(f"http://reports.example:{port}/"), resolve=resolve).status == 200
    assert server.received[0].headers["Host"] == f"reports.example:{port}"


# -- what it sends -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://A.example", Target("http", "a.example", 80, "a.example", "/")),
        ("https://a.example:443/x?y#z", Target("https", "a.example", 443, "a.example", "/x?y")),
        ("https://u:p@a.example:8443/", Target("https", "a.example", 8443, "a.example:8443", "/")),
        ("http://[::1]:8080/", Target("http", "::1", 8080, "[::1]:8080", "/")),
        ("http://[::1]/", Target("http", "::1", 80, "[::1]", "/")),
        (
            "https://bücher.example/straße",
            Target("https", "xn--bcher-kva.example", 443, "xn--bcher-kva.example", "/stra%C3%9Fe"),
        ),
    ],
)
def test_a_url_is_read_as_it_is_called(url: str, target: Target) -> None:
    """The Host header has no default port; an IPv6 address has its brackets only there."""
    assert read_target(url) == target


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1:8080", "http://a.example/x?y", "https://a.example:8443/", "http://[::1]:8080/x"),
        *("https://www.googleapis.com/oauth2/v1/certs", "https://u:p@a.example:8443/", "https://a.example/x?y=z#t"),
    ],
)
def test_a_url_of_a_setting_is_read_alike(url: str) -> None:
    """Both readers find the same server."""
    assert target_of_setting(url) == read_target(url)


@pytest.mark.parametrize("url", ["http://a..b/", f"http://{'a' * 64}.example/", "http://.example/", "ftp://a.example/"])
def test_a_url_that_no_server_can_have_is_refused(url: str) -> None:
    """Before any name is resolved."""
    with pytest.raises(InvalidUrl):
        read_target(url)


@pytest.fixture
def https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpServer]:
    """A server with a certificate for run.googleapis.com, of an authority that is trusted here."""
    with trusted_https("run.googleapis.com", tmp_path, monkeypatch) as server:
        yield server


def test_https_reaches_a_server_with_the_right_certificate(https: HttpServer) -> None:
    """The certificate is checked against the name, not against the address that it resolved to."""
    port = https.address.rpartition(":")[2]
    answer = get(read_target(f"https://run.googleapis.com:{port}/v2"), resolve=resolver(["127.0.0.1"]))

    assert answer.status == 200
    assert https.received[0].path == "/v2"


def test_https_refuses_the_certificate_of_another_name(https: HttpServer) -> None:
    """Nothing is sent to a server that cannot prove its name."""
    port = https.address.rpartition(":")[2]
    with pytest.raises(ssl.SSLCertVerificationError):
        get(read_target(f"https://compute.googleapis.com:{port}/"), resolve=resolver(["127.0.0.1"]))

    assert https.received == []


def test_a_server_that_answers_before_it_has_read_all_is_heard() -> None:
    """A refusal before the end of the body is an answer, not a network error."""

    def refuse() -> None:
        with listener.accept()[0] as connection:
            connection.recv(1)
            connection.sendall(head(413, {"Content-Length": "0"}))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse)
        thread.start()
        target = read_target(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        body, ends_at = bytes(32 * 2**20), time.monotonic() + 10
        answer = exchange("POST", target, {}, body, ends_at=ends_at, check=any_address)
        thread.join()

    assert answer.status == 413
