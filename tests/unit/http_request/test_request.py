"""What the handler sends: method, body, headers and keys."""

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.handlers import load_handlers
from shared.handlers.http_request import (
    METHODS,
    http_request,
)
from tests.support.requesting import KEY, URL, Send, new_context
from tests.support.servers import (
    HttpServer,
)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_sent_as_given(send: Send, method: str) -> None:
    """With the path and query of the URL."""
    received = send("/daily?day=1", method=method)

    assert (received.method, received.target) == (method, "/daily?day=1")


@pytest.mark.parametrize(
    ("payload", "method"),
    [
        pytest.param({}, "GET", id="without-body"),
        pytest.param({"body": None}, "GET", id="with-null-for-body"),
        pytest.param({"body": {}}, "POST", id="with-empty-object"),
        pytest.param({"body": ""}, "POST", id="with-empty-text"),
    ],
)
def test_default_method_depends_on_the_body(send: Send, payload: dict[str, Any], method: str) -> None:
    """A payload with a body is a POST, one without is a GET."""
    received = send(**payload)

    assert received.method == method


@pytest.mark.parametrize("body", [{"to": "Zoë", "n": [1, 2.5, None, True]}, [], {}, ["a", {"b": {}}]])
def test_object_or_list_is_sent_as_json(send: Send, body: Any) -> None:
    """The content type says so."""
    received = send(body=body)

    assert json.loads(received.body) == body
    assert received.headers["Content-Type"] == "application/json"


def test_text_is_sent_unchanged(send: Send) -> None:
    """It is sent in UTF-8, and the content type says so."""
    received = send(body="Grüße\n{not json}")

    assert received.body.decode() == "Grüße\n{not json}"
    assert received.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_request_without_a_body_has_no_content_type(send: Send) -> None:
    """Nothing describes a body that does not exist."""
    received = send(method="POST")

    assert received.body == b""
    assert "Content-Type" not in received.headers


def test_execution_key_is_the_idempotency_key(send: Send) -> None:
    """The receiver can recognise a repeated delivery, in any attempt."""
    received = send()

    assert received.headers.get_all("Idempotency-Key") == [KEY]
    assert received.headers["User-Agent"] == "Watchkeeper"


@pytest.mark.parametrize("name", ["Idempotency-Key", "idempotency-key", "USER-AGENT", "content-type", "X-Own"])
def test_headers_of_the_payload_win(send: Send, name: str) -> None:
    """A header of the job is sent once and replaces ours, in upper or lower case."""
    received = send(headers={name: "own value"}, body={})

    assert received.headers.get_all(name) == ["own value"]


def test_password_in_the_url_is_sent_as_basic_authentication(server: HttpServer) -> None:
    """The part before the @ becomes the Authorization header."""
    http_request({"url": f"http://ada%40a.test:p%2Fss@{server.address}/"}, new_context())

    authorization = server.received[0].headers["Authorization"]
    assert base64.b64decode(authorization.removeprefix("Basic ")) == b"ada@a.test:p/ss"


def test_passwords_of_the_machine_do_not_replace_the_jobs_own(
    send: Send, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A .netrc of this machine changes no Authorization header of a job."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))

    received = send(headers={"Authorization": "Bearer own"})

    assert received.headers["Authorization"] == "Bearer own"


@pytest.mark.parametrize(
    ("payload", "limit"),
    [
        pytest.param({"url": URL}, timedelta(seconds=30), id="default"),
        pytest.param({"url": URL, "timeout_seconds": 1.5}, timedelta(seconds=1.5), id="asked-for"),
        pytest.param({"url": URL, "timeout_seconds": 120}, timedelta(seconds=120), id="longest"),
        pytest.param({"url": URL, "timeout_seconds": 121}, timedelta(seconds=120), id="senseless"),
    ],
)
def test_payload_sets_the_time_limit_of_the_run(payload: dict[str, Any], limit: timedelta) -> None:
    """The tick applies the same limit as the request."""
    handler = load_handlers(())["http_request"]

    assert handler.limit(payload) == limit
