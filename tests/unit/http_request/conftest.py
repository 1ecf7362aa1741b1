"""Servers, and the `http_request` handler run against them in a plain environment."""

import os
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.handlers.http_request import http_request
from shared.web import google_credentials
from tests.support.requesting import SECRET_PATH, SECRET_TARGET, SECRETS, Fail, Send, new_context
from tests.support.servers import Answer, HttpServer, Received, hang


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use no proxy, passwords or credentials of this machine, nor those of another test."""
    google_credentials._known.clear()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("NETRC", os.devnull)
    for name in ("K_SERVICE", "HTTP_REQUEST_AUDIENCES", "HTTP_REQUEST_HOSTS", "HTTP_REQUEST_PRIVATE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend to run in the cloud; return a function that sets settings."""
    monkeypatch.setenv("K_SERVICE", "watchkeeper-tick")

    def set_up(**settings: str) -> None:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)

    return set_up


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture
def other() -> Iterator[HttpServer]:
    """A server that differs only in its port, so credentials must not reach it."""
    with HttpServer() as server:
        yield server


@pytest.fixture
def send(server: HttpServer) -> Send:
    """Return a function that runs the handler with a payload for the server and returns the one request received."""

    def send(target: str = "/", **payload: Any) -> Received:
        http_request({"url": server.url(target), **payload}, new_context())
        (received,) = server.received
        return received

    return send


@pytest.fixture
def fail(server: HttpServer, caplog: pytest.LogCaptureFixture) -> Fail:
    """Return a function that runs the handler on a URL full of secrets and returns the error, of exactly that kind.

    It asserts that the error, its traceback and the log contain no part of the URL but the host.
    """

    def fail(
        kind: type[Exception],
        answer: Answer = hang,
        *,
        host: str = "",
        userinfo: str = "lovelace:hunter2@",
        **payload: Any,
    ) -> Exception:
        server.answers[SECRET_PATH] = answer
        url = f"http://{userinfo}{host or server.address}{SECRET_TARGET}"

        with pytest.raises(kind) as caught:
            http_request({"url": url, **payload}, new_context())

        said = "".join(traceback.format_exception(caught.value)) + caplog.text
        assert caught.type is kind
        assert [secret for secret in SECRETS if secret in said] == []
        return caught.value

    return fail
