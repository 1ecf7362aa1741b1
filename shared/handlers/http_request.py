"""The `http_request` handler: calls a URL when a job is due.

2xx is success; 408, 429, 5xx and network errors are retried (a 429 after its Retry-After); the rest is final. The rules
for what a request may reach are in reachable.py, how it is sent and ended is in outbound.py.
"""

import base64
import json
import logging
import os
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.client import HTTPException
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from shared.handlers.built_in import HTTP_REQUEST_LIMIT
from shared.handlers.reachable import Reach
from shared.handlers.registry import Cancel, Context, InvalidPayload, Payload, Snooze
from shared.web.google_credentials import NoToken, access_token, identity_token
from shared.web.outbound import InvalidUrl, Response, Target, exchange, read_target
from shared.web.retry_after import parse_retry_after

# Its warnings quote whole URLs, and a URL may hold a secret.
logging.getLogger("urllib3").setLevel(logging.ERROR)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
DEFAULT_SECONDS = 30
LONGEST_SECONDS = int(HTTP_REQUEST_LIMIT.total_seconds())
MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
FRAMING = (
    *("connection", "content-length", "expect", "host", "http2-settings", "keep-alive"),
    *("te", "trailer", "transfer-encoding", "upgrade"),
)


class RequestFailed(Exception):
    """The call failed, and may succeed when it is retried."""


@dataclass(frozen=True, kw_only=True)
class OutgoingRequest:
    """A valid payload. `timeout_seconds` is for the whole exchange: tokens, names and redirects included."""

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    timeout_seconds: float = DEFAULT_SECONDS
    oidc_audience: str | None = None
    oauth_scope: str | None = None

    @property
    def has_credentials(self) -> bool:
        """Return whether anything is sent that only this server may see."""
        has_token = self.oidc_audience or self.oauth_scope
        return bool(self.headers or has_token or self.body is not None or "@" in urlsplit(self.url).netloc)


def parse_request(payload: Payload) -> OutgoingRequest:
    """Read a payload; raise InvalidPayload, naming the field and what it must be."""
    if unknown := payload.keys() - OutgoingRequest.__dataclass_fields__.keys():
        known = ", ".join(OutgoingRequest.__dataclass_fields__)
        raise InvalidPayload(f"http_request does not know {', '.join(sorted(map(str, unknown)))}; it knows {known}")
    given = {name: value for name, value in payload.items() if value is not None}
    default_method = "GET" if given.get("body") is None else "POST"
    request = OutgoingRequest(**{"url": "", "method": default_method, **given})
    _check_url(request.url)
    if request.method not in METHODS:
        raise InvalidPayload(f"http_request: method is {request.method!r}; it must be one of {', '.join(METHODS)}")
    _check_headers(request)
    if not isinstance(request.body, str | dict | list | None) or re.search("[\ud800-\udfff]", str(request.body)):
        raise InvalidPayload("http_request: body must be text, or an object or list to be sent as JSON")
    seconds = request.timeout_seconds
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 1 <= seconds <= LONGEST_SECONDS:
        raise InvalidPayload(f"http_request: timeout_seconds is {seconds!r}; it must be from 1 to {LONGEST_SECONDS}")
    if request.oidc_audience is not None and not (isinstance(request.oidc_audience, str) and request.oidc_audience):
        raise InvalidPayload("http_request: oidc_audience must be text, the URL that the receiving service expects")
    if request.oauth_scope is not None and not _is_scope(request.oauth_scope):
        raise InvalidPayload(
            "http_request: oauth_scope must be one or more scopes, separated by a space, "
            "such as https://www.googleapis.com/auth/cloud-platform"
        )
    return request


def _is_scope(scope: Any) -> bool:
    """Return whether this is a scope as defined in RFC 6749, 3.3."""
    return isinstance(scope, str) and re.fullmatch(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*", scope) is not None


def _check_url(url: Any) -> None:
    if not isinstance(url, str) or not _is_address(url):
        raise InvalidPayload("http_request: url must be a full address, such as https://example.com/path")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_plain = re.search(r"[\s\x00-\x20\x7f\\\\\ud800-\udfff]", url) is None
        return is_plain and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _check_headers(request: OutgoingRequest) -> None:
    headers = request.headers
    if not isinstance(headers, Mapping) or not all(_is_header(name, value) for name, value in headers.items()):
        raise InvalidPayload(
            "http_request: headers must be an object of header names and texts, each one line of ASCII"
        )
    if framing := sorted(name for name in headers if _is_framing(name)):
        raise InvalidPayload(
            f"http_request: headers must not include {', '.join(framing)}: Watchkeeper decides how a request is sent"
        )
    ways = (
        request.oidc_audience is not None,
        request.oauth_scope is not None,
        "authorization" in {name.lower() for name in headers},
        "@" in urlsplit(request.url).netloc,
    )
    if sum(ways) > 1:
        raise InvalidPayload(
            "http_request: use only one of oidc_audience, oauth_scope, an Authorization header, "
            "or a user name in the url, not several"
        )


def _is_framing(name: str) -> bool:
    """Return whether the header decides where a request goes or ends. Some servers read an underscore as a hyphen."""
    plain = name.lower().replace("_", "-")
    return plain in FRAMING or plain.startswith("proxy-")


def _is_header(name: Any, value: Any) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, str)
        and re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) is not None
        and re.fullmatch(r"([!-~]([ -~\t]*[!-~])?)?", value) is not None
    )


def limit_of(payload: Payload) -> timedelta:
    """Return the time limit of a request. Raises InvalidPayload."""
    return timedelta(seconds=parse_request(payload).timeout_seconds)


def http_request(payload: Payload, context: Context) -> None:
    """Call the URL of the payload, with the execution key as `Idempotency-Key`.

    A redirect to another server is followed only if the request holds nothing that only the first server may see.
    Messages name only the server of a URL, since path and query may hold secrets.
    """
    request = parse_request(payload)
    ends_at = time.monotonic() + request.timeout_seconds
    reach = Reach.from_env(os.environ)
    _check_tokens(request, reach)
    headers = _headers(request, context, ends_at)
    url, method, body = request.url, request.method, _body(request)
    for _ in range(MAX_REDIRECTS + 1):
        if context.stop.is_set():
            raise RequestFailed(f"{method} {_server(url)}: stopped ({context.stop_reason})")
        response = _exchange(method, url, headers, body, ends_at=ends_at, reach=reach)
        status, location = response.status, response.headers["location"]
        if status not in REDIRECTS or location is None:
            return _judge(response, f"{method} {_server(url)}: HTTP {status}", context.started_at)
        url = _followed(url, location, request)
        # RFC 9110, 15.4: a 303 asks to fetch something else; after 301 and 302 a POST becomes a GET, as browsers do it.
        if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
            method, body = "GET", None
            headers.pop("content-type", None)
    raise Cancel(f"{_server(url)} redirects more than {MAX_REDIRECTS} times")


def _check_tokens(request: OutgoingRequest, reach: Reach) -> None:
    """Raise Cancel if the request asks for a token that its server must not have."""
    if request.oidc_audience is None and request.oauth_scope is None:
        return
    target = _target(request.url)
    if request.oidc_audience is not None:
        reach.check_audience(request.oidc_audience, scheme=target.scheme, host=target.host)
    else:
        reach.check_scope(scheme=target.scheme, host=target.host)


def _target(url: str) -> Target:
    try:
        return read_target(url)
    except InvalidUrl:
        raise Cancel(f"{_server(url)} is not a valid server address") from None


def _exchange(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, ends_at: float, reach: Reach
) -> Response:
    """Send one request; no body is read. Raises RequestFailed, or Cancel if it must not be sent."""
    target = _target(url)
    try:
        return exchange(method, target, headers, body, ends_at=ends_at, check=reach.check_address)
    except (OSError, HTTPException) as exc:
        # The text of an error may quote the whole URL, or what the server said.
        raise RequestFailed(f"{method} {_server(url)}: {_reason(exc)}") from None


def _reason(exc: Exception) -> str:
    if isinstance(exc, TimeoutError):
        return "timed out"
    return "could not resolve the host name" if isinstance(exc, socket.gaierror) else type(exc).__name__


def _followed(url: str, location: str, request: OutgoingRequest) -> str:
    """Return the address that a redirect leads to. Raises Cancel if it must not be followed."""
    try:
        target = urljoin(url, location.encode("latin-1").decode())
    except ValueError:
        target = ""
    if not _is_address(target):
        raise Cancel(f"{_server(url)} redirects to an invalid URL")
    if request.has_credentials and not is_same_server(url, target):
        raise Cancel(
            f"{_server(url)} redirects to {_server(target)}, which must not get the credentials or the body of this "
            "request; use the final URL in the job"
        )
    return target


def _server(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _judge(response: Response, said: str, now: datetime) -> None:
    status = response.status
    if 200 <= status < 300:
        return
    if status == 429 and (delay := parse_retry_after(response.headers["retry-after"], now)) is not None:
        raise Snooze(delay, f"{said}, asked to wait {delay.total_seconds():.0f} s")
    if status in (408, 429) or status >= 500:
        raise RequestFailed(said)
    raise Cancel(said)


def _headers(request: OutgoingRequest, context: Context, ends_at: float) -> dict[str, str]:
    headers = {"idempotency-key": context.execution_key, "user-agent": "Watchkeeper"}
    if request.body is not None:
        headers["content-type"] = "text/plain; charset=utf-8" if isinstance(request.body, str) else "application/json"
    parts = urlsplit(request.url)
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    if token := _token(request, ends_at):
        headers["authorization"] = f"Bearer {token}"
    return {**headers, **{name.lower(): value for name, value in request.headers.items()}}


def _token(request: OutgoingRequest, ends_at: float) -> str | None:
    try:
        if request.oidc_audience is not None:
            return identity_token(request.oidc_audience, ends_at)
        return None if request.oauth_scope is None else access_token(request.oauth_scope, ends_at)
    except NoToken as exc:
        raise RequestFailed(str(exc)) from None


def _body(request: OutgoingRequest) -> bytes | None:
    if request.body is None:
        return None
    return (request.body if isinstance(request.body, str) else json.dumps(request.body)).encode()


def is_same_server(url: str, target: str) -> bool:
    """Return whether both addresses have one scheme, host and port, or the second only changes http to https."""
    old, new = urlsplit(url), urlsplit(target)
    if old.hostname != new.hostname:
        return False
    ports = [parts.port or (443 if parts.scheme == "https" else 80) for parts in (old, new)]
    return (old.scheme == new.scheme and ports[0] == ports[1]) or (old.scheme, new.scheme, *ports) == (
        "http",
        "https",
        80,
        443,
    )
