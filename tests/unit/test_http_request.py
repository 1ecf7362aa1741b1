"""What the `http_request` handler sends, to whom, and what it makes of each answer: all against real servers."""

import base64
import json
import os
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.errors import InvalidSettings
from shared.handlers import Cancel, Context, InvalidPayload, Snooze, check_payload, load_handlers
from shared.handlers.http_request import (
    MAX_REDIRECTS,
    METHODS,
    RequestFailed,
    http_request,
    is_same_server,
    parse_request,
)
from shared.web import google_credentials, outbound
from shared.web.google_credentials import NoToken, access_token, identity_token
from tests import servers
from tests.servers import (
    ACCESS_PATH,
    ACCESS_TOKEN,
    IDENTITY_PATH,
    Answer,
    Exchange,
    HttpServer,
    Received,
    drip,
    hang,
    head,
    raw,
    redirect,
    reply,
)
from tests.tokens import rsa_key, server_certificate

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
KEY = "report@2026-11-21T09:00:00Z"
AUDIENCE = "https://reports.example"
URL = "https://reports.example/daily"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"

# A URL may hold all of these, and no message any of them.
SECRET_PATH = "/private-path"
SECRET_TARGET = f"{SECRET_PATH}?key=private-query#private-fragment"
SECRETS = ("lovelace", "hunter2", "private-path", "private-query", "private-fragment")

SLOW = ("/hang", "/hop", "/status", "/headers", "/interim", "/hop-to-drips")

Fail = Callable[..., Exception]
Send = Callable[..., Received]


class Flood:
    """Answers with a body that nobody would want to read. Once `ended` is set, `was_cut` says if the client left."""

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


def new_context() -> Context:
    return Context(
        job_id="report",
        job_type="http_request",
        execution_key=KEY,
        attempt=2,
        schedule_at=NOW,
        started_at=NOW,
        deadline=NOW + timedelta(seconds=30),
    )


def outcome(payload: dict[str, Any]) -> Exception | None:
    """Run the handler and give what it raised, if anything."""
    try:
        http_request(payload, new_context())
    except Exception as exc:
        return exc
    return None


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use no proxy and no passwords of this machine, and no credentials of another test."""
    google_credentials._known.clear()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("NETRC", os.devnull)
    for name in ("K_SERVICE", "HTTP_REQUEST_AUDIENCES", "HTTP_REQUEST_HOSTS", "HTTP_REQUEST_PRIVATE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Be in the cloud from here on; return a function that makes settings there."""
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
    """A server that only differs in its port: another host, for all that a credential is concerned."""
    with HttpServer() as server:
        yield server


@pytest.fixture
def send(server: HttpServer) -> Send:
    """Return a function that runs the handler on a payload for the server and gives the one request that it made."""

    def send(target: str = "/", **payload: Any) -> Received:
        http_request({"url": server.url(target), **payload}, new_context())
        (received,) = server.received
        return received

    return send


@pytest.fixture
def fail(server: HttpServer, caplog: pytest.LogCaptureFixture) -> Fail:
    """Return a function that runs the handler on a URL full of secrets and gives the error, of exactly that kind.

    It asserts on the way that no part of the URL but the host gets into the error, its traceback or the log.
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


@pytest.fixture(scope="module")
def slow_outcomes() -> dict[str, Any]:
    """What became of exchanges that take longer than the second they have, made side by side to wait only once.

    "ended" is how long the longest took; each server would go on for three seconds.
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


# -- what is sent ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_sent_as_asked(send: Send, method: str) -> None:
    """The method of the payload arrives, with path and query."""
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
def test_the_method_follows_from_the_body_when_none_is_given(send: Send, payload: dict[str, Any], method: str) -> None:
    """A payload with a body is posted, one without is fetched."""
    received = send(**payload)

    assert received.method == method


@pytest.mark.parametrize("body", [{"to": "Zoë", "n": [1, 2.5, None, True]}, [], {}, ["a", {"b": {}}]])
def test_an_object_or_a_list_is_sent_as_json(send: Send, body: Any) -> None:
    """What JSON can say arrives as JSON, and says so."""
    received = send(body=body)

    assert json.loads(received.body) == body
    assert received.headers["Content-Type"] == "application/json"


def test_text_is_sent_as_it_is(send: Send) -> None:
    """A text arrives in UTF-8, and says so."""
    received = send(body="Grüße\n{not json}")

    assert received.body.decode() == "Grüße\n{not json}"
    assert received.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_without_a_body_there_is_no_content_type(send: Send) -> None:
    """Nothing describes what is not there."""
    received = send(method="POST")

    assert received.body == b""
    assert "Content-Type" not in received.headers


def test_the_execution_key_is_the_idempotency_key(send: Send) -> None:
    """The receiver can recognise a second delivery, whatever the attempt."""
    received = send()

    assert received.headers.get_all("Idempotency-Key") == [KEY]
    assert received.headers["User-Agent"] == "Watchkeeper"


@pytest.mark.parametrize("name", ["Idempotency-Key", "idempotency-key", "USER-AGENT", "content-type", "X-Own"])
def test_headers_of_the_payload_win(send: Send, name: str) -> None:
    """A header of the job's own is sent once, in place of ours, in whatever case it is written."""
    received = send(headers={name: "own value"}, body={})

    assert received.headers.get_all(name) == ["own value"]


def test_a_password_in_the_url_is_sent_as_basic_authentication(server: HttpServer) -> None:
    """What stands before the @ becomes the Authorization header."""
    http_request({"url": f"http://ada%40a.test:p%2Fss@{server.address}/"}, new_context())

    authorization = server.received[0].headers["Authorization"]
    assert base64.b64decode(authorization.removeprefix("Basic ")) == b"ada@a.test:p/ss"


def test_passwords_of_the_machine_do_not_replace_the_jobs_own(
    send: Send, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A .netrc that happens to lie on the machine changes no Authorization header of a job."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))

    received = send(headers={"Authorization": "Bearer own"})

    assert received.headers["Authorization"] == "Bearer own"


# -- what is made of the answer ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success(send: Send, server: HttpServer, status: int) -> None:
    """An answer from 200 to 299 ends the occurrence well."""
    server.answers["/"] = reply(status)

    received = send()

    assert received.path == "/"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
def test_a_trouble_that_may_pass_is_tried_again(fail: Fail, server: HttpServer, status: int) -> None:
    """Time-outs, too many requests without a time, and server errors fail this attempt only."""
    error = fail(RequestFailed, reply(status))

    assert str(error) == f"GET http://{server.address}: HTTP {status}"


@pytest.mark.parametrize("status", [300, 302, 304, 400, 401, 403, 404, 409, 410, 422, 451, 499])
def test_any_other_refusal_is_final(fail: Fail, server: HttpServer, status: int) -> None:
    """What the server will say again next time is not tried again; a 302 without a Location leads nowhere."""
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
def test_a_429_that_names_a_time_asks_for_that_time(fail: Fail, retry_after: str, delay: timedelta) -> None:
    """Retry-After, in seconds or as a date, says when the occurrence runs again: at most a day from now."""
    error = fail(Snooze, reply(429, headers={"Retry-After": retry_after}))

    assert isinstance(error, Snooze)
    assert error.delay == delay
    assert "HTTP 429" in str(error)


@pytest.mark.parametrize("retry_after", ["", "soon", "-5", "1.5", "1e3", "9999999999", "21 Nov", "Sat, 99 Foo 2026 x"])
def test_a_429_with_a_senseless_time_is_tried_again_as_any_failure(fail: Fail, retry_after: str) -> None:
    """A Retry-After that nobody can read counts as none."""
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
def test_an_answer_that_is_none_is_tried_again(fail: Fail, server: HttpServer, answer: Answer) -> None:
    """A server that closes the connection or speaks no HTTP has failed this attempt."""
    error = fail(RequestFailed, answer)

    assert f"GET http://{server.address}: " in str(error)


def test_a_refused_connection_is_tried_again(fail: Fail) -> None:
    """A server that is down may be up the next time."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"

    error = fail(RequestFailed, host=address)

    assert f"GET http://{address}: " in str(error)


@pytest.mark.parametrize("path", SLOW)
def test_the_time_limit_bounds_the_whole_exchange(slow_outcomes: dict[str, Any], path: str) -> None:
    """Whatever the time is spent on, it is over after `timeout_seconds`, and the attempt has failed."""
    assert isinstance(slow_outcomes[path], RequestFailed)
    assert "timed out" in str(slow_outcomes[path])


def test_the_handler_returns_at_its_time_limit(slow_outcomes: dict[str, Any]) -> None:
    """A server that sends a byte now and then holds nobody."""
    assert 1 <= slow_outcomes["ended"] < 2.5


@pytest.mark.parametrize(
    ("start", "becomes"),
    [
        pytest.param(head(200, {}), None, id="of-success"),
        pytest.param(head(302, {"Location": "/end"}), None, id="of-a-redirect"),
        pytest.param(head(404, {}), Cancel, id="of-a-refusal"),
    ],
)
def test_the_body_of_an_answer_is_not_read(server: HttpServer, start: bytes, becomes: type[Exception] | None) -> None:
    """An endless answer costs neither time nor memory: the connection is closed on it."""
    flood = server.answers["/endless"] = Flood(start)

    became = outcome({"url": server.url("/endless")})

    assert type(became) is (becomes or type(None))
    assert flood.ended.wait(2)
    assert flood.was_cut


def test_the_body_of_a_refusal_is_not_told(fail: Fail) -> None:
    """What a server says in an error, which may be anything, stays out of the job's history."""
    error = fail(Cancel, reply(400, b"private-query was wrong"))

    assert "wrong" not in str(error)


# -- redirects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("is_absolute", [True, False], ids=["absolute", "relative"])
def test_a_redirect_on_the_same_server_is_followed(server: HttpServer, status: int, is_absolute: bool) -> None:
    """Whatever was sent may be sent to the same server again."""
    server.answers["/start"] = redirect(server.url("/end?x=1") if is_absolute else "end?x=1", status)

    http_request({"url": server.url("/start"), "headers": {"X-Own": "1"}}, new_context())

    assert [received.target for received in server.received] == ["/start", "/end?x=1"]
    assert server.received[1].headers["X-Own"] == "1"
    assert server.received[1].headers["Idempotency-Key"] == KEY


@pytest.mark.parametrize(
    ("status", "method", "becomes"),
    [
        (301, "POST", "GET"),
        (301, "DELETE", "DELETE"),
        (302, "POST", "GET"),
        (302, "PUT", "PUT"),
        (303, "POST", "GET"),
        (303, "DELETE", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "PATCH", "PATCH"),
    ],
)
def test_a_redirect_keeps_or_drops_method_and_body_as_http_says(
    server: HttpServer, status: int, method: str, becomes: str
) -> None:
    """303 asks to fetch something else, and 301 and 302 may for a POST; else the request is repeated as it was.

    A DELETE that becomes a GET would succeed without deleting anything (RFC 9110, 15.4).
    """
    server.answers["/start"] = redirect("/end", status)

    http_request({"url": server.url("/start"), "method": method, "body": "text"}, new_context())

    sent = server.received[1]
    assert sent.method == becomes
    assert (sent.body, "Content-Type" in sent.headers) == ((b"", False) if becomes == "GET" else (b"text", True))


def test_a_redirect_whose_body_is_cut_short_is_followed(server: HttpServer) -> None:
    """Nobody needs that body."""
    server.answers["/start"] = raw(head(302, {"Location": "/end", "Content-Length": "100"}) + b"cut")

    http_request({"url": server.url("/start")}, new_context())

    assert [received.path for received in server.received] == ["/start", "/end"]


CREDENTIALS = [
    pytest.param("", {"headers": {"X-Api-Key": "hunter2"}}, id="a-header"),
    pytest.param("", {"body": {"password": "hunter2"}}, id="a-json-body"),
    pytest.param("", {"body": ""}, id="an-empty-body"),
    pytest.param("", {"oidc_audience": AUDIENCE}, id="an-identity-token"),
    pytest.param("", {"oauth_scope": SCOPE}, id="an-access-token"),
    pytest.param("lovelace:hunter2@", {}, id="a-password-in-the-url"),
]


@pytest.mark.usefixtures("metadata")
@pytest.mark.parametrize(("userinfo", "payload"), CREDENTIALS)
@pytest.mark.parametrize("path", ["/start", "/hop"], ids=["at-once", "after-another-redirect"])
def test_credentials_never_follow_a_redirect_to_another_server(
    server: HttpServer, other: HttpServer, userinfo: str, payload: dict[str, Any], path: str
) -> None:
    """What is meant for one server is sent to no other, another port included; the job fails for good."""
    server.answers |= {"/hop": redirect("/start", 307), "/start": redirect(other.url("/private-path"), 307)}

    with pytest.raises(Cancel) as caught:
        http_request({"url": f"http://{userinfo}{server.address}{path}", **payload}, new_context())

    assert other.received == []
    assert server.address in str(caught.value)
    assert other.address in str(caught.value)
    assert [secret for secret in SECRETS if secret in str(caught.value)] == []


@pytest.mark.parametrize(
    "location",
    [
        pytest.param("http://localhost:{port}/end", id="another-name"),
        pytest.param("//localhost:{port}/end", id="another-name-without-scheme"),
        pytest.param("http://127.0.0.1:{port}@localhost:{port}/end", id="the-name-as-a-user"),
        pytest.param("https://127.0.0.1:{other_port}/end", id="an-upgrade-to-another-port"),
    ],
)
def test_a_server_is_its_scheme_name_and_port(server: HttpServer, other: HttpServer, fail: Fail, location: str) -> None:
    """Nothing that merely looks like the same server is sent the credentials."""
    ports = {
        name: address.rpartition(":")[2] for name, address in (("port", server.address), ("other_port", other.address))
    }

    fail(Cancel, redirect(location.format(**ports)))

    assert [received.path for received in server.received] == [SECRET_PATH]
    assert other.received == []


def test_without_credentials_a_redirect_to_another_server_is_followed(server: HttpServer, other: HttpServer) -> None:
    """A plain GET has nothing to hide; the execution key goes along."""
    server.answers["/start"] = redirect(other.url("/end"))

    http_request({"url": server.url("/start")}, new_context())

    assert [received.path for received in other.received] == ["/end"]
    assert other.received[0].headers["Idempotency-Key"] == KEY


@pytest.mark.parametrize(
    ("url", "target", "is_same"),
    [
        pytest.param("http://a.test/", "http://a.test:80/end", True, id="default-port"),
        pytest.param("http://a.test/", "http://A.test/end", True, id="another-case"),
        pytest.param("http://a.test/", "https://a.test/", True, id="upgrade"),
        pytest.param("http://a.test:8080/", "https://a.test/", False, id="upgrade-from-another-port"),
        pytest.param("http://a.test:8080/", "https://a.test:8080/", False, id="another-scheme"),
        pytest.param("https://a.test/", "http://a.test/", False, id="downgrade"),
        pytest.param("https://a.test/", "https://a.test:8443/", False, id="another-port"),
        pytest.param("https://a.test/", "https://b.a.test/", False, id="another-name"),
    ],
)
def test_what_the_same_server_is(url: str, target: str, is_same: bool) -> None:
    """Scheme, host and port; only from http to https on the default ports may it change."""
    assert is_same_server(url, target) is is_same


@pytest.mark.parametrize(
    "location",
    [
        "ftp://elsewhere.example/",
        "mailto:a@b.example",
        "http://",
        "http://[bad/",
        "http://a:port/",
        "http://a..b/",
        "\xff",
    ],
    ids=["ftp", "mailto", "no-host", "bad-ipv6", "bad-port", "bad-name", "not-utf-8"],
)
@pytest.mark.parametrize("payload", [{}, {"headers": {"X-Own": "1"}}], ids=["plain", "with-credentials"])
def test_a_redirect_that_leads_nowhere_is_final(server: HttpServer, payload: dict[str, Any], location: str) -> None:
    """An address that cannot be followed now cannot be followed later."""
    server.answers["/start"] = redirect(location)

    with pytest.raises(Cancel):
        http_request({"url": server.url("/start"), **payload}, new_context())


def test_redirects_are_followed_up_to_a_bound(server: HttpServer) -> None:
    """As many redirects as are allowed lead to the answer."""
    server.answers |= {f"/{n}": redirect(f"/{n + 1}") for n in range(MAX_REDIRECTS)}

    http_request({"url": server.url("/0")}, new_context())

    assert len(server.received) == MAX_REDIRECTS + 1


def test_endless_redirects_are_final(fail: Fail, server: HttpServer) -> None:
    """One more redirect is a loop, and a loop does not mend itself."""
    error = fail(Cancel, redirect(SECRET_PATH))

    assert len(server.received) == MAX_REDIRECTS + 1
    assert server.address in str(error)


def test_a_handler_that_is_to_stop_follows_no_redirect(server: HttpServer) -> None:
    """When the job's time is up, or its lease lost, nothing more is sent."""
    context = new_context()

    def stop_then_redirect(exchange: Exchange) -> None:
        context.ask_to_stop("time limit")
        redirect("/end")(exchange)

    server.answers["/start"] = stop_then_redirect

    with pytest.raises(RequestFailed, match="time limit"):
        http_request({"url": server.url("/start")}, context)

    assert len(server.received) == 1


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_an_identity_token_is_sent_when_an_audience_is_given(send: Send, metadata: HttpServer) -> None:
    """The metadata server's token for exactly that audience is the bearer token."""
    received = send(oidc_audience=AUDIENCE)

    assert received.headers.get_all("Authorization") == [f"Bearer {servers.identity_token(AUDIENCE)}"]
    assert metadata.received[-1].headers["Metadata-Flavor"] == "Google"


def test_without_an_audience_nobody_is_asked_for_a_token(send: Send, metadata: HttpServer) -> None:
    """A plain request costs no call to the metadata server."""
    received = send()

    assert "Authorization" not in received.headers
    assert metadata.received == []


def test_the_identity_token_stays_on_a_redirect_to_the_same_server(server: HttpServer, metadata: HttpServer) -> None:
    """The same server is still the audience."""
    server.answers["/start"] = redirect("/end", 307)

    http_request({"url": server.url("/start"), "oidc_audience": AUDIENCE}, new_context())

    assert server.received[1].headers["Authorization"] == f"Bearer {servers.identity_token(AUDIENCE)}"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        pytest.param("/", reply(), id="not-google"),
        pytest.param("/", reply(404), id="no-metadata-server"),
        pytest.param(IDENTITY_PATH, reply(403, b"no"), id="no-identity"),
        pytest.param(IDENTITY_PATH, reply(body=b"hunter2", headers={"Content-Type": "text/html"}), id="no-token"),
        pytest.param(IDENTITY_PATH, reply(body=b"e30.e30.c2ln", headers={"Content-Type": "text/html"}), id="no-expiry"),
        pytest.param(IDENTITY_PATH, reply(body=b"e30.e.c2ln", headers={"Content-Type": "text/html"}), id="no-base64"),
    ],
)
def test_a_metadata_server_that_gives_no_token_is_tried_again(
    server: HttpServer, metadata: HttpServer, path: str, answer: Answer
) -> None:
    """Without its token the request is not made; the next attempt may get one."""
    metadata.answers[path] = answer

    with pytest.raises(RequestFailed, match="could not get an identity token") as caught:
        http_request({"url": server.url("/"), "oidc_audience": AUDIENCE}, new_context())

    assert server.received == []
    assert "hunter2" not in str(caught.value)


def test_an_audience_that_is_a_whole_url_is_not_told_either(fail: Fail, metadata: HttpServer) -> None:
    """Path and query of an audience are as private as those of the address."""
    metadata.answers["/"] = reply(404)
    audience = f"https://reports.example{SECRET_TARGET}"

    error = fail(RequestFailed, userinfo="", oidc_audience=audience)

    assert "identity token" in str(error)


@pytest.mark.parametrize("scope", [SCOPE, f"{SCOPE} https://www.googleapis.com/auth/chat.bot", "openid"])
def test_an_access_token_is_sent_when_a_scope_is_given(send: Send, metadata: HttpServer, scope: str) -> None:
    """The metadata server's token for exactly those scopes is the bearer token."""
    received = send(oauth_scope=scope)

    assert received.headers.get_all("Authorization") == [f"Bearer {ACCESS_TOKEN}"]
    (asked,) = [asked for asked in metadata.received if asked.path == ACCESS_PATH]
    assert parse_qs(urlsplit(asked.target).query)["scopes"] == [scope.replace(" ", ",")]


@pytest.mark.parametrize("path", ["/", ACCESS_PATH])
@pytest.mark.parametrize(
    "answer", [reply(403, b"hunter2"), reply(body=b"hunter2"), reply(404)], ids=["no", "text", "nothing"]
)
def test_an_access_token_that_cannot_be_had_is_tried_again(
    server: HttpServer, metadata: HttpServer, path: str, answer: Answer
) -> None:
    """Without its token the request is not made; the next attempt may get one."""
    metadata.answers[path] = answer

    with pytest.raises(RequestFailed, match="could not get an access token") as caught:
        http_request({"url": server.url("/"), "oauth_scope": SCOPE, "timeout_seconds": 2}, new_context())

    assert server.received == []
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("get_token", [identity_token, access_token])
def test_a_token_that_comes_in_drips_is_given_up_at_the_deadline(
    metadata: HttpServer, get_token: Callable[[str, float], str]
) -> None:
    """The time of a request holds for what it needs beforehand too."""
    slow = head(200, {"Metadata-Flavor": "Google"})
    metadata.answers["/"] = drip([slow[n : n + 1] for n in range(30)], pause=0.1)
    began_at = time.monotonic()

    with pytest.raises(NoToken, match="could not get an"):
        get_token(AUDIENCE, began_at + 0.25)

    assert time.monotonic() - began_at < 2


# -- in the cloud ------------------------------------------------------------------------------------------------------

# Every way to write an address of this machine, of its network or of a metadata server, and one name.
INTERNAL_HOSTS = [
    *("localhost", "LOCALHOST", "127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "2130706433", "017700000001"),
    *("0x7f000001", "0x7F.0x0.0x0.0x1", "0177.0.0.1", "127.0x0.1", "0", "0.0.0.0", "0x0", "00", "[::]", "[::1]"),
    *("[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]"),
    *("[2002:7f00:1::]", "[::ffff:0:127.0.0.1]", "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376"),
    *("169.254.43518", "169.16689662", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]"),
    *("[2002:a9fe:a9fe::]", "[fe80::1]", "[fe80::1%25lo]", "[fd00:ec2::254]", "[fd20:ce::254]", "100.100.100.200"),
    *(
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "198.18.0.1",
        "[ff02::1]",
        "[fec0::1]",
    ),
]
PRIVATE_HOSTS = [
    *("10.0.0.1", "10.1", "167772161", "0xa000001", "012.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1"),
    *("[fc00::1]", "[fd12:3456::1]", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]"),
]


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("host", INTERNAL_HOSTS)
def test_in_the_cloud_an_internal_address_is_refused_in_every_form(server: HttpServer, host: str) -> None:
    """For good, before anything is sent, and the error names the setting that would allow it."""
    port = server.address.rpartition(":")[2]

    with pytest.raises(Cancel, match="HTTP_REQUEST_HOSTS"):
        http_request({"url": f"http://{host}:{port}/"}, new_context())

    assert server.received == []


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("host", PRIVATE_HOSTS)
def test_in_the_cloud_a_private_address_is_refused_in_every_form(host: str) -> None:
    """The error names the settings that would allow it."""
    with pytest.raises(Cancel, match=r"HTTP_REQUEST_PRIVATE=on .* HTTP_REQUEST_HOSTS"):
        http_request({"url": f"http://{host}/", "timeout_seconds": 1}, new_context())


def test_in_the_cloud_a_named_host_is_reached(send: Send, cloud: Callable[..., None]) -> None:
    """Exactly that one."""
    cloud(HTTP_REQUEST_HOSTS="127.0.0.1")

    assert send("/inside").path == "/inside"


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"])
def test_in_the_cloud_no_redirect_leads_inside(
    server: HttpServer, other: HttpServer, cloud: Callable[..., None], host: str
) -> None:
    """Each address on the way is checked, not only the first."""
    cloud(HTTP_REQUEST_HOSTS="127.0.0.1", HTTP_REQUEST_PRIVATE="on")
    port = other.address.rpartition(":")[2]
    server.answers |= {"/start": redirect("/hop"), "/hop": redirect(f"http://{host}:{port}/end")}

    with pytest.raises(Cancel, match=r"loopback.*HTTP_REQUEST_HOSTS"):
        http_request({"url": server.url("/start")}, new_context())

    assert [received.path for received in server.received] == ["/start", "/hop"]
    assert other.received == []


def test_a_setting_that_cannot_be_used_sends_nothing(server: HttpServer, cloud: Callable[..., None]) -> None:
    """The error names it; the attempt fails, and the next one may find it mended."""
    cloud(HTTP_REQUEST_HOSTS=server.url())

    with pytest.raises(InvalidSettings, match="HTTP_REQUEST_HOSTS"):
        http_request({"url": server.url()}, new_context())

    assert server.received == []


@pytest.mark.parametrize("payload", [{"oidc_audience": AUDIENCE}, {"oauth_scope": SCOPE}], ids=["identity", "access"])
def test_in_the_cloud_no_token_is_sent_in_clear_text(
    server: HttpServer, metadata: HttpServer, cloud: Callable[..., None], payload: dict[str, Any]
) -> None:
    """Whatever is allowed beside: the token is not even asked for."""
    cloud(HTTP_REQUEST_HOSTS="127.0.0.1", HTTP_REQUEST_AUDIENCES=AUDIENCE)

    with pytest.raises(Cancel, match="https"):
        http_request({"url": server.url(), **payload}, new_context())

    assert server.received == []
    assert metadata.received == []


@pytest.fixture
def https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpServer]:
    """An https server whose certificate is trusted, as the host that the cloud's settings name."""
    pem = tmp_path / "server.pem"
    pem.write_text(server_certificate(rsa_key("server"), "localhost"))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pem)
    monkeypatch.setattr("certifi.where", lambda: str(pem))
    outbound._tls.cache_clear()
    with HttpServer(tls=tls) as server:
        server.address = server.address.replace("127.0.0.1", "localhost")
        yield server
    outbound._tls.cache_clear()


@pytest.mark.usefixtures("metadata")
@pytest.mark.parametrize(
    ("audience", "listed"),
    [("https://localhost", ""), ("https://localhost/path", ""), ("localhost", ""), (AUDIENCE, AUDIENCE)],
)
def test_in_the_cloud_an_identity_token_goes_to_its_own_host(
    https: HttpServer, cloud: Callable[..., None], audience: str, listed: str
) -> None:
    """Over https, for the host of the URL or a listed audience."""
    cloud(HTTP_REQUEST_HOSTS="localhost", HTTP_REQUEST_AUDIENCES=listed)

    http_request({"url": https.url(), "oidc_audience": audience}, new_context())

    assert https.received[0].headers["Authorization"] == f"Bearer {servers.identity_token(audience)}"


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        pytest.param({"oidc_audience": AUDIENCE}, "HTTP_REQUEST_AUDIENCES", id="an-audience-of-another-host"),
        pytest.param({"oauth_scope": SCOPE}, "googleapis", id="an-access-token"),
    ],
)
def test_in_the_cloud_no_token_goes_to_a_host_that_it_is_not_for(
    https: HttpServer, metadata: HttpServer, cloud: Callable[..., None], payload: dict[str, Any], said: str
) -> None:
    """The error says what would do, and the token is not even asked for."""
    cloud(HTTP_REQUEST_HOSTS="localhost", HTTP_REQUEST_AUDIENCES="https://another.example")

    with pytest.raises(Cancel, match=said):
        http_request({"url": https.url(), **payload}, new_context())

    assert https.received == []
    assert metadata.received == []


@pytest.mark.usefixtures("metadata")
def test_in_the_cloud_no_redirect_takes_a_token_out_of_https(
    https: HttpServer, server: HttpServer, cloud: Callable[..., None]
) -> None:
    """The same name without encryption is another server."""
    cloud(HTTP_REQUEST_HOSTS="localhost,127.0.0.1")
    https.answers["/"] = redirect(server.url().replace("127.0.0.1", "localhost"), 307)

    with pytest.raises(Cancel, match="must not see this request"):
        http_request({"url": https.url(), "oidc_audience": "localhost"}, new_context())

    assert server.received == []


# -- payloads that make no sense ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(None, id="null"),
        pytest.param("", id="empty"),
        pytest.param(5, id="a-number"),
        pytest.param(["https://reports.example"], id="a-list"),
        pytest.param("reports.example/hunter2", id="no-scheme"),
        pytest.param("//reports.example/hunter2", id="no-scheme-but-slashes"),
        pytest.param("ftp://reports.example/hunter2", id="ftp"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("javascript:alert(1)", id="javascript"),
        pytest.param("http://", id="no-host"),
        pytest.param("http:///hunter2", id="no-host-but-a-path"),
        pytest.param("http://lovelace:hunter2@/", id="no-host-but-a-password"),
        pytest.param("http://?hunter2", id="no-host-but-a-query"),
        pytest.param("http://reports.example/hun ter2", id="a-space"),
        pytest.param(" http://reports.example/", id="a-space-before"),
        pytest.param("http://reports.example/\n", id="a-newline-after"),
        pytest.param("http://reports.example/\r\nX-Evil: hunter2", id="a-newline-and-a-header"),
        pytest.param("http://reports.example/\thunter2", id="a-tab"),
        pytest.param("http://reports.example/\x00", id="a-nul"),
        pytest.param("http://reports.example/\x7f", id="a-delete"),
        pytest.param("http://reports.example/\u2028", id="a-line-separator"),
        pytest.param("http://reports.example/\ud800", id="a-lone-surrogate"),
        pytest.param("http://reports.example:hunter2/", id="a-port-of-letters"),
        pytest.param("http://reports.example:0/", id="port-0"),
        pytest.param("http://reports.example:65536/", id="port-65536"),
        pytest.param("http://reports.example:-1/", id="a-negative-port"),
        pytest.param("http://lovelace:hunter2/secret@reports.example/", id="a-slash-in-the-password"),
        pytest.param("http://reports.example\\@elsewhere.example/", id="a-backslash"),
        pytest.param("http://[::1/", id="an-open-bracket"),
        pytest.param("http://::1/", id="ipv6-without-brackets"),
        pytest.param("http://[hunter2]/", id="brackets-around-no-address"),
    ],
)
def test_an_address_that_is_none_is_refused(url: Any) -> None:
    """The error names `url`, says what it must be, and repeats nothing of what may be a secret."""
    with pytest.raises(InvalidPayload, match="url must be a full address") as caught:
        parse_request({"url": url})

    assert "hunter2" not in str(caught.value)


def test_an_address_is_required() -> None:
    """An empty payload is told what is missing."""
    with pytest.raises(InvalidPayload, match="url must be a full address"):
        parse_request({})


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1",
        "https://user:pass@reports.example:8443/path?query=1#fragment",
        "http://[::1]:8080/",
        "HTTPS://REPORTS.EXAMPLE/",
        "https://bücher.example/straße",
        "http://reports.example:65535/%20",
    ],
)
def test_an_address_of_any_good_form_is_taken(url: str) -> None:
    """Ports, IPv6, names in any script, a password: all of it is an address."""
    request = parse_request({"url": url})

    assert request.url == url


@pytest.mark.parametrize(
    "host", [f"{'a' * 64}.example", "a..example", ".example"], ids=["long-part", "empty-part", "dot"]
)
def test_a_host_name_that_cannot_be_is_final(fail: Fail, host: str) -> None:
    """No later attempt will find a server of that name."""
    error = fail(Cancel, host=host)

    assert host in str(error)


@pytest.mark.parametrize("method", ["get", "TRACE", "CONNECT", "GET ", "GET\r\nX: y", "", 5, True, ["GET"], {}])
def test_a_method_that_is_none_is_refused(method: Any) -> None:
    """The error names `method` and those that there are."""
    with pytest.raises(InvalidPayload, match=r"method is .* must be one of GET, HEAD, POST"):
        parse_request({"url": URL, "method": method})


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param("X-Own: 1", id="text"),
        pytest.param([["X-Own", "1"]], id="a-list"),
        pytest.param({"X-Own": 1}, id="a-number"),
        pytest.param({"X-Own": None}, id="null"),
        pytest.param({"X-Own": ["1"]}, id="a-list-as-value"),
        pytest.param({5: "1"}, id="a-number-as-name"),
        pytest.param({"X-Own": "1\r\nX-Evil: 1"}, id="a-second-header"),
        pytest.param({"X-Own": "1\n"}, id="a-newline-after"),
        pytest.param({"X-Own": "1\n more"}, id="a-folded-line"),
        pytest.param({"X-Own": "\x00"}, id="a-nul"),
        pytest.param({"X-Own": "Zoë"}, id="not-ascii"),
        pytest.param({"X-Own": " 1"}, id="a-space-before"),
        pytest.param({"X-Own": "1 "}, id="a-space-after"),
        pytest.param({"": "1"}, id="no-name"),
        pytest.param({"X Own": "1"}, id="a-space-in-the-name"),
        pytest.param({"X-Own:": "1"}, id="a-colon-in-the-name"),
        pytest.param({"X-Own\n": "1"}, id="a-newline-in-the-name"),
        pytest.param({"X-Öwn": "1"}, id="a-name-not-ascii"),
    ],
)
def test_headers_that_are_none_are_refused(headers: Any) -> None:
    """No header smuggles in another one; the error names `headers`."""
    with pytest.raises(InvalidPayload, match="headers must be"):
        parse_request({"url": URL, "headers": headers})


@pytest.mark.parametrize(
    "name",
    [
        *("Content-Length", "content-length", "Transfer-Encoding", "Host", "HOST", "Connection", "Keep-Alive", "TE"),
        *("Trailer", "Upgrade", "Expect", "Proxy-Authorization", "Proxy-Connection", "Proxy-X", "HTTP2-Settings"),
        *("Content_Length", "Transfer_Encoding"),
    ],
)
def test_a_header_that_says_how_a_request_is_sent_is_refused(server: HttpServer, name: str) -> None:
    """With it the body could pass for a second request; the error names the header, and nothing is sent."""
    body = "GET /smuggled HTTP/1.1\r\nHost: inside\r\n\r\n"

    with pytest.raises(InvalidPayload, match=f"headers must not have {name};"):
        http_request({"url": server.url(), "headers": {"X-Own": "1", name: "0"}, "body": body}, new_context())

    assert server.received == []


@pytest.mark.parametrize("body", [5, 1.5, True, False, "\ud800"])
def test_a_body_that_cannot_be_sent_is_refused(body: Any) -> None:
    """A body is text that UTF-8 can write, or an object or a list; the error names `body`."""
    with pytest.raises(InvalidPayload, match="body must be"):
        parse_request({"url": URL, "body": body})


@pytest.mark.parametrize("seconds", [0, -1, 0.5, 120.5, 121, 10**400, float("inf"), float("nan"), True, "5", [5]])
def test_a_time_limit_out_of_bounds_is_refused(seconds: Any) -> None:
    """The error names `timeout_seconds` and its bounds."""
    with pytest.raises(InvalidPayload, match=r"timeout_seconds is .* must be from 1 to 120"):
        parse_request({"url": URL, "timeout_seconds": seconds})


@pytest.mark.parametrize("audience", [5, True, [AUDIENCE], ""])
def test_an_audience_that_is_none_is_refused(audience: Any) -> None:
    """A job that wants a token is never sent without one; the error names `oidc_audience`."""
    with pytest.raises(InvalidPayload, match="oidc_audience must be"):
        parse_request({"url": URL, "oidc_audience": audience})


@pytest.mark.parametrize(
    "scope", [5, True, [SCOPE], "", " ", f"{SCOPE} ", f"{SCOPE}  openid", f"{SCOPE}\n", 'a"b', "é"]
)
def test_a_scope_that_is_none_is_refused(scope: Any) -> None:
    """The error names `oauth_scope`, and shows one."""
    with pytest.raises(InvalidPayload, match=r"oauth_scope must be .*/auth/cloud-platform"):
        parse_request({"url": URL, "oauth_scope": scope})


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param({"url": URL, "headers": {"authorization": "x"}, "oidc_audience": AUDIENCE}, id="token-and-header"),
        pytest.param({"url": "http://a:b@reports.example", "oidc_audience": AUDIENCE}, id="token-and-password"),
        pytest.param({"url": URL, "oauth_scope": SCOPE, "oidc_audience": AUDIENCE}, id="two-tokens"),
        pytest.param({"url": URL, "headers": {"authorization": "x"}, "oauth_scope": SCOPE}, id="access-and-header"),
        pytest.param({"url": "http://a:b@reports.example", "oauth_scope": SCOPE}, id="access-and-password"),
        pytest.param(
            {"url": "http://a:b@reports.example", "headers": {"Authorization": "x"}}, id="password-and-header"
        ),
    ],
)
def test_two_authorizations_are_refused(payload: dict[str, Any]) -> None:
    """Only one Authorization can be sent, and nobody should have to guess which."""
    with pytest.raises(InvalidPayload, match="give one of oidc_audience"):
        parse_request(payload)


def test_an_unknown_field_is_refused() -> None:
    """A slip of the pen is named, with the fields that there are."""
    with pytest.raises(InvalidPayload, match="does not know boddy, mehtod; it knows url, method, headers, body"):
        parse_request({"url": URL, "mehtod": "GET", "boddy": {}})


def test_null_is_as_good_as_absent() -> None:
    """A program may write every field."""
    names = ("method", "headers", "body", "timeout_seconds", "oidc_audience", "oauth_scope")

    request = parse_request({"url": URL, **dict.fromkeys(names)})

    assert request == parse_request({"url": URL})


def test_a_payload_is_refused_when_the_job_is_made() -> None:
    """Nobody waits for a job that cannot run."""
    with pytest.raises(InvalidPayload, match="url"):
        check_payload(load_handlers(()), "http_request", {"url": "reports.example"})


def test_the_handler_refuses_before_it_sends(server: HttpServer) -> None:
    """A payload that makes no sense reaches nobody."""
    with pytest.raises(InvalidPayload):
        http_request({"url": server.url("/"), "method": "SEND"}, new_context())

    assert server.received == []


@pytest.mark.parametrize(
    ("payload", "limit"),
    [
        pytest.param({"url": URL}, timedelta(seconds=30), id="default"),
        pytest.param({"url": URL, "timeout_seconds": 1.5}, timedelta(seconds=1.5), id="asked-for"),
        pytest.param({"url": URL, "timeout_seconds": 120}, timedelta(seconds=120), id="longest"),
        pytest.param({"url": URL, "timeout_seconds": 121}, timedelta(seconds=120), id="senseless"),
    ],
)
def test_the_payload_sets_the_time_limit_of_the_run(payload: dict[str, Any], limit: timedelta) -> None:
    """The tick watches over the same limit that the request has."""
    handler = load_handlers(())["http_request"]

    assert handler.limit(payload) == limit
