"""The URL of a request, TLS, and what is sent."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.web.outbound import (
    InvalidUrl,
    Target,
    any_address,
    exchange,
    read_target,
    target_of_setting,
)
from tests.support.exchanging import get, resolver
from tests.support.requesting import trusted_https
from tests.support.servers import HttpServer, head


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
def test_a_url_in_a_setting_is_read_in_the_same_way(url: str) -> None:
    """Both readers find the same server."""
    assert target_of_setting(url) == read_target(url)


@pytest.mark.parametrize("url", ["http://a..b/", f"http://{'a' * 64}.example/", "http://.example/", "ftp://a.example/"])
def test_an_invalid_url_is_refused(url: str) -> None:
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


def test_a_response_before_the_end_of_the_request_is_read() -> None:
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
