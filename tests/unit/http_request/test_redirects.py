"""Redirects, and what is never sent to another server."""

from typing import Any

import pytest

from shared.handlers import Cancel
from shared.handlers.http_request import MAX_REDIRECTS, RequestFailed, http_request, is_same_server
from tests.support.requesting import AUDIENCE, KEY, SCOPE, SECRET_PATH, SECRETS, Fail, new_context
from tests.support.servers import Exchange, HttpServer, head, raw, redirect


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("is_absolute", [True, False], ids=["absolute", "relative"])
def test_redirect_on_the_same_server_is_followed(server: HttpServer, status: int, is_absolute: bool) -> None:
    """Everything that was sent may be sent to the same server again."""
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
def test_redirect_keeps_or_drops_method_and_body_as_http_says(
    server: HttpServer, status: int, method: str, becomes: str
) -> None:
    """303 turns into a GET, and 301 and 302 do for a POST; any other request is repeated unchanged."""
    server.answers["/start"] = redirect("/end", status)

    http_request({"url": server.url("/start"), "method": method, "body": "text"}, new_context())

    sent = server.received[1]
    assert sent.method == becomes
    assert (sent.body, "Content-Type" in sent.headers) == ((b"", False) if becomes == "GET" else (b"text", True))


def test_redirect_with_a_cut_body_is_followed(server: HttpServer) -> None:
    """Its body is not needed."""
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
    """Not even to another port; the job fails for good."""
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
def test_server_is_its_scheme_name_and_port(server: HttpServer, other: HttpServer, fail: Fail, location: str) -> None:
    """A server that only looks the same gets no credentials."""
    ports = {
        name: address.rpartition(":")[2] for name, address in (("port", server.address), ("other_port", other.address))
    }

    fail(Cancel, redirect(location.format(**ports)))

    assert [received.path for received in server.received] == [SECRET_PATH]
    assert other.received == []


def test_redirect_to_another_server_is_followed_without_credentials(server: HttpServer, other: HttpServer) -> None:
    """A plain GET has no secrets; the execution key is sent, too."""
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
def test_same_server_has_the_same_scheme_host_and_port(url: str, target: str, is_same: bool) -> None:
    """Same scheme, host and port; the only change allowed is from http to https on the default ports."""
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
def test_invalid_redirect_fails_for_good(server: HttpServer, payload: dict[str, Any], location: str) -> None:
    """An address that cannot be followed now cannot be followed later."""
    server.answers["/start"] = redirect(location)

    with pytest.raises(Cancel):
        http_request({"url": server.url("/start"), **payload}, new_context())


def test_redirects_are_followed_up_to_a_limit(server: HttpServer) -> None:
    """The allowed number of redirects leads to the answer."""
    server.answers |= {f"/{n}": redirect(f"/{n + 1}") for n in range(MAX_REDIRECTS)}

    http_request({"url": server.url("/0")}, new_context())

    assert len(server.received) == MAX_REDIRECTS + 1


def test_endless_redirects_fail_for_good(fail: Fail, server: HttpServer) -> None:
    """One more redirect is taken for a loop, which a later attempt would not end."""
    error = fail(Cancel, redirect(SECRET_PATH))

    assert len(server.received) == MAX_REDIRECTS + 1
    assert server.address in str(error)


def test_stopped_handler_follows_no_redirect(server: HttpServer) -> None:
    """After the job's time limit, or when its lease is lost, it sends nothing more."""
    context = new_context()

    def stop_then_redirect(exchange: Exchange) -> None:
        context.ask_to_stop("time limit")
        redirect("/end")(exchange)

    server.answers["/start"] = stop_then_redirect

    with pytest.raises(RequestFailed, match="time limit"):
        http_request({"url": server.url("/start")}, context)

    assert len(server.received) == 1
