"""Payloads that are refused, with an error that names the field."""

from typing import Any

import pytest

from shared.handlers import InvalidPayload, check_payload, load_handlers
from shared.handlers.http_request import http_request, parse_request
from tests.support.requesting import AUDIENCE, SCOPE, URL, new_context
from tests.support.servers import HttpServer


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
def test_invalid_url_is_refused(url: Any) -> None:
    """The error names `url` and what it must be, and repeats nothing that may be secret."""
    with pytest.raises(InvalidPayload, match="url must be a full address") as caught:
        parse_request({"url": url})

    assert "hunter2" not in str(caught.value)


def test_url_is_required() -> None:
    """The error of an empty payload says what is missing."""
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
def test_valid_urls_are_accepted(url: str) -> None:
    """Ports, IPv6, names in any script and passwords are valid."""
    request = parse_request({"url": url})

    assert request.url == url


@pytest.mark.parametrize("method", ["get", "TRACE", "CONNECT", "GET ", "GET\r\nX: y", "", 5, True, ["GET"], {}])
def test_invalid_method_is_refused(method: Any) -> None:
    """The error names `method` and the valid methods."""
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
def test_invalid_headers_are_refused(headers: Any) -> None:
    """No header can contain another one; the error names `headers`."""
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
def test_framing_header_is_refused(server: HttpServer, name: str) -> None:
    """With it the body could pass for a second request; the error names the header, and nothing is sent."""
    body = "GET /smuggled HTTP/1.1\r\nHost: inside\r\n\r\n"

    with pytest.raises(InvalidPayload, match=f"headers must not include {name}:"):
        http_request({"url": server.url(), "headers": {"X-Own": "1", name: "0"}, "body": body}, new_context())

    assert server.received == []


@pytest.mark.parametrize("body", [5, 1.5, True, False, "\ud800"])
def test_invalid_body_is_refused(body: Any) -> None:
    """A body must be text that UTF-8 can encode, an object or a list; the error names `body`."""
    with pytest.raises(InvalidPayload, match="body must be"):
        parse_request({"url": URL, "body": body})


@pytest.mark.parametrize("seconds", [0, -1, 0.5, 120.5, 121, 10**400, float("inf"), float("nan"), True, "5", [5]])
def test_time_limit_out_of_bounds_is_refused(seconds: Any) -> None:
    """The error names `timeout_seconds` and its bounds."""
    with pytest.raises(InvalidPayload, match=r"timeout_seconds is .* must be from 1 to 120"):
        parse_request({"url": URL, "timeout_seconds": seconds})


@pytest.mark.parametrize("audience", [5, True, [AUDIENCE], ""])
def test_invalid_audience_is_refused(audience: Any) -> None:
    """A job that needs a token is never sent without one; the error names `oidc_audience`."""
    with pytest.raises(InvalidPayload, match="oidc_audience must be"):
        parse_request({"url": URL, "oidc_audience": audience})


@pytest.mark.parametrize(
    "scope", [5, True, [SCOPE], "", " ", f"{SCOPE} ", f"{SCOPE}  openid", f"{SCOPE}\n", 'a"b', "é"]
)
def test_invalid_scope_is_refused(scope: Any) -> None:
    """The error names `oauth_scope` and shows an example."""
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
    """A request has one Authorization, and which one would be a guess."""
    with pytest.raises(InvalidPayload, match="use only one of oidc_audience"):
        parse_request(payload)


def test_unknown_field_is_refused() -> None:
    """The error names the typing error and the known fields."""
    with pytest.raises(InvalidPayload, match="does not know boddy, mehtod; it knows url, method, headers, body"):
        parse_request({"url": URL, "mehtod": "GET", "boddy": {}})


def test_null_counts_as_absent() -> None:
    """A program may write every field."""
    names = ("method", "headers", "body", "timeout_seconds", "oidc_audience", "oauth_scope")

    request = parse_request({"url": URL, **dict.fromkeys(names)})

    assert request == parse_request({"url": URL})


def test_invalid_payload_is_refused_when_the_job_is_made() -> None:
    """A job that cannot run is not created."""
    with pytest.raises(InvalidPayload, match="url"):
        check_payload(load_handlers(()), "http_request", {"url": "reports.example"})


def test_handler_refuses_before_it_sends(server: HttpServer) -> None:
    """An invalid payload reaches no server."""
    with pytest.raises(InvalidPayload):
        http_request({"url": server.url("/"), "method": "SEND"}, new_context())

    assert server.received == []
