"""The `http_request` handler: calls a URL when a job is due.

2xx is success; 408, 429, 5xx and network errors are tried again (a 429 when its Retry-After says); the rest is final.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from shared.handlers import Context, InvalidPayload, Later, NeverAgain, Payload, handler

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
DEFAULT_SECONDS = 30
LONGEST_SECONDS = 120
LONGEST_WAIT = timedelta(days=1)
MAX_REDIRECTS = 5


class RequestFailed(Exception):
    """The call did not succeed, and may when it is tried again."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A payload that makes sense. `timeout_seconds` bounds the whole exchange, redirects included."""

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    timeout_seconds: float = DEFAULT_SECONDS
    oidc_audience: str | None = None

    @property
    def host(self) -> str:
        """Name the server for messages: path and query may hold secrets."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    @property
    def has_credentials(self) -> bool:
        """Say whether anything is sent that only this host may see."""
        return bool(self.headers or self.oidc_audience or self.body is not None or "@" in urlsplit(self.url).netloc)


def parse_request(payload: Payload) -> Request:
    """Read a payload; raise InvalidPayload, naming the field and what it must be."""
    if unknown := payload.keys() - Request.__dataclass_fields__.keys():
        raise InvalidPayload(
            f"http_request does not know {', '.join(sorted(unknown))}; it knows {', '.join(Request.__dataclass_fields__)}"
        )
    given = {name: value for name, value in payload.items() if value is not None}
    default_method = "GET" if given.get("body") is None else "POST"
    request = Request(**{"url": "", "method": default_method, **given})
    _check_url(request.url)
    if request.method not in METHODS:
        raise InvalidPayload(f"http_request: method is {request.method!r}; it must be one of {', '.join(METHODS)}")
    _check_headers(request)
    if not isinstance(request.body, str | dict | list | None):
        raise InvalidPayload("http_request: body must be text, or an object or list to be sent as JSON")
    seconds = request.timeout_seconds
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 1 <= seconds <= LONGEST_SECONDS:
        raise InvalidPayload(f"http_request: timeout_seconds is {seconds!r}; it must be from 1 to {LONGEST_SECONDS}")
    if not isinstance(request.oidc_audience, str | None):
        raise InvalidPayload("http_request: oidc_audience must be text, the URL that the receiving service expects")
    return request


def _check_url(url: Any) -> None:
    try:
        parts = urlsplit(url) if isinstance(url, str) and not re.search(r"[\s\x00-\x20\x7f]", url) else None
        is_good = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        raise InvalidPayload("http_request: url must be a full address, such as https://example.com/path")


def _check_headers(request: Request) -> None:
    headers = request.headers
    if not isinstance(headers, Mapping) or not all(
        isinstance(value, str)
        and re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name)
        and re.fullmatch(r"[ -~\t]*", value)
        for name, value in headers.items()
    ):
        raise InvalidPayload(
            "http_request: headers must be an object of header names and texts, each one line of ASCII"
        )
    if request.oidc_audience and "authorization" in map(str.lower, headers):
        raise InvalidPayload("http_request: give oidc_audience or an Authorization header, not both")


@handler(
    "http_request",
    timeout=timedelta(seconds=LONGEST_SECONDS),
    timeout_of=lambda payload: timedelta(seconds=parse_request(payload).timeout_seconds),
    check=parse_request,
)
def http_request(payload: Payload, context: Context) -> None:
    """Call the URL of the payload, with the execution key as `Idempotency-Key`.

    Redirects to another host are followed only when nothing secret would be sent along.
    """
    import requests
    from urllib3.util import Timeout

    request = parse_request(payload)

    class Session(requests.Session):
        def get_redirect_target(self, resp: requests.Response) -> str | None:
            target = super().get_redirect_target(resp)
            if target and context.stop.is_set():
                raise requests.Timeout("the time was spent on redirects")
            if target and request.has_credentials and not _is_same_server(resp.url, urljoin(resp.url, target)):
                raise NeverAgain(
                    f"{request.host} redirects to {urlsplit(urljoin(resp.url, target)).netloc.rpartition('@')[2]}, "
                    "which must not see this request; put the final address into the job"
                )
            return target

    with Session() as session:
        session.max_redirects = MAX_REDIRECTS
        try:
            # The body of the answer is not read (stream), so the time limit covers the whole exchange.
            response = session.request(
                request.method,
                request.url,
                headers=_headers(request, context),
                data=_body(request),
                timeout=Timeout(total=request.timeout_seconds),  # type: ignore[arg-type]  # requests hands it to urllib3
                stream=True,
            )
        except requests.TooManyRedirects:
            raise NeverAgain(f"{request.host} redirects more than {MAX_REDIRECTS} times") from None
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as exc:
            raise NeverAgain(f"{request.host}: {type(exc).__name__}") from None
        except requests.RequestException as exc:
            # Its text holds the whole URL, and a URL may hold a secret.
            raise RequestFailed(f"{request.method} {request.host}: {type(exc).__name__}") from None
        _judge(response.status_code, response.headers.get("Retry-After"), request, context.started_at)


def _judge(status: int, retry_after: str | None, request: Request, now: datetime) -> None:
    said = f"{request.method} {request.host}: HTTP {status}"
    if 200 <= status < 300:
        return
    if status == 429 and (delay := parse_retry_after(retry_after, now)) is not None:
        raise Later(delay, f"{said}, asked to wait {delay.total_seconds():.0f} s")
    if status in (408, 429) or status >= 500:
        raise RequestFailed(said)
    raise NeverAgain(said)


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Read a Retry-After header, seconds or an HTTP date (RFC 9110, 10.2.3): at most a day; None for nonsense."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return min(timedelta(seconds=int(value)), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(aware - now, timedelta()), LONGEST_WAIT)


def _headers(request: Request, context: Context) -> dict[str, str]:
    headers = {"idempotency-key": context.execution_key, "user-agent": "Watchkeeper"}
    if request.body is not None:
        headers["content-type"] = "text/plain; charset=utf-8" if isinstance(request.body, str) else "application/json"
    if request.oidc_audience:
        headers["authorization"] = f"Bearer {_identity_token(request.oidc_audience)}"
    return {**headers, **{name.lower(): value for name, value in request.headers.items()}}


def _body(request: Request) -> bytes | None:
    if request.body is None:
        return None
    return (request.body if isinstance(request.body, str) else json.dumps(request.body)).encode()


def _identity_token(audience: str) -> str:
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import Request as Transport
    from google.oauth2.id_token import fetch_id_token

    try:
        token: str = fetch_id_token(Transport(), audience)  # type: ignore[no-untyped-call]  # google-auth has no types
    except GoogleAuthError as exc:
        raise RequestFailed(f"no identity token for {audience} ({type(exc).__name__})") from None
    return token


def _is_same_server(url: str, target: str) -> bool:
    old, new = urlsplit(url), urlsplit(target)
    is_upgrade = old.scheme == "http" and new.scheme == "https" and old.hostname == new.hostname
    return is_upgrade or (old.scheme, old.hostname, old.port) == (new.scheme, new.hostname, new.port)
