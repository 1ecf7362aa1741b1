"""Identity tokens and access tokens from the metadata server."""

import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.handlers.http_request import RequestFailed, http_request
from shared.web.google_credentials import NoToken, access_token, identity_token
from tests.support import servers
from tests.support.requesting import AUDIENCE, SCOPE, SECRET_TARGET, Fail, Send, new_context
from tests.support.servers import (
    ACCESS_PATH,
    ACCESS_TOKEN,
    IDENTITY_PATH,
    Answer,
    HttpServer,
    drip,
    head,
    redirect,
    reply,
)


def test_identity_token_is_sent_if_an_audience_is_given(send: Send, metadata: HttpServer) -> None:
    """The metadata server's token for exactly that audience is the bearer token."""
    received = send(oidc_audience=AUDIENCE)

    assert received.headers.get_all("Authorization") == [f"Bearer {servers.identity_token(AUDIENCE)}"]
    assert metadata.received[-1].headers["Metadata-Flavor"] == "Google"


def test_no_token_is_requested_without_an_audience(send: Send, metadata: HttpServer) -> None:
    """A plain request needs no call to the metadata server."""
    received = send()

    assert "Authorization" not in received.headers
    assert metadata.received == []


def test_identity_token_follows_a_redirect_to_the_same_server(server: HttpServer, metadata: HttpServer) -> None:
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
def test_missing_identity_token_is_retried(server: HttpServer, metadata: HttpServer, path: str, answer: Answer) -> None:
    """Without its token the request is not sent; the next attempt may get one."""
    metadata.answers[path] = answer

    with pytest.raises(RequestFailed, match="could not get an identity token") as caught:
        http_request({"url": server.url("/"), "oidc_audience": AUDIENCE}, new_context())

    assert server.received == []
    assert "hunter2" not in str(caught.value)


def test_errors_do_not_quote_an_audience(fail: Fail, metadata: HttpServer) -> None:
    """Path and query of an audience are as secret as those of the URL."""
    metadata.answers["/"] = reply(404)
    audience = f"https://reports.example{SECRET_TARGET}"

    error = fail(RequestFailed, userinfo="", oidc_audience=audience)

    assert "identity token" in str(error)


@pytest.mark.parametrize("scope", [SCOPE, f"{SCOPE} https://www.googleapis.com/auth/chat.bot", "openid"])
def test_access_token_is_sent_if_a_scope_is_given(send: Send, metadata: HttpServer, scope: str) -> None:
    """The metadata server's token for exactly those scopes is the bearer token."""
    received = send(oauth_scope=scope)

    assert received.headers.get_all("Authorization") == [f"Bearer {ACCESS_TOKEN}"]
    (asked,) = [asked for asked in metadata.received if asked.path == ACCESS_PATH]
    assert parse_qs(urlsplit(asked.target).query)["scopes"] == [scope.replace(" ", ",")]


@pytest.mark.parametrize("path", ["/", ACCESS_PATH])
@pytest.mark.parametrize(
    "answer", [reply(403, b"hunter2"), reply(body=b"hunter2"), reply(404)], ids=["no", "text", "nothing"]
)
def test_missing_access_token_is_retried(server: HttpServer, metadata: HttpServer, path: str, answer: Answer) -> None:
    """Without its token the request is not sent; the next attempt may get one."""
    metadata.answers[path] = answer

    with pytest.raises(RequestFailed, match="could not get an access token") as caught:
        http_request({"url": server.url("/"), "oauth_scope": SCOPE, "timeout_seconds": 2}, new_context())

    assert server.received == []
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("get_token", [identity_token, access_token])
def test_slow_token_is_cut_off_at_the_deadline(metadata: HttpServer, get_token: Callable[[str, float], str]) -> None:
    """The time limit of a request includes its token."""
    slow = head(200, {"Metadata-Flavor": "Google"})
    metadata.answers["/"] = drip([slow[n : n + 1] for n in range(30)], pause=0.1)
    began_at = time.monotonic()

    with pytest.raises(NoToken, match="could not get an"):
        get_token(AUDIENCE, began_at + 0.25)

    assert time.monotonic() - began_at < 2
