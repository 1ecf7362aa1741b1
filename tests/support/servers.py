"""A real HTTP server on the loopback interface that records its requests and gives scripted answers.

An answer is a function that writes to the connection of one exchange, so that a server can also misbehave: hang, cut
the connection, or be slow.

    with HttpServer() as server:
        server.answers["/busy"] = reply(429, headers={"Retry-After": "30"})
        ...
        assert server.received[0].headers["Idempotency-Key"] == "job@2026-11-21T09:00:00Z"
"""

import json
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.support.tokens import encode
from watchkeeper.serving import serving

EMAIL = "watchkeeper@example.iam.gserviceaccount.com"
IDENTITY_PATH = "/computeMetadata/v1/instance/service-accounts/default/identity"
ACCESS_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"
ACCESS_TOKEN = "the-access-token"


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request as it came in. `target` is the path with its query; the names of `headers` ignore case."""

    method: str
    target: str
    headers: Message = field(repr=False)
    body: bytes

    @property
    def path(self) -> str:
        """Return the target without its query."""
        return self.target.partition("?")[0]


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A request and the connection to answer it on, which is closed afterwards.

    `write` sends bytes at once. `closing` is set when the server is to end: wait on it instead of sleeping.
    """

    request: Received
    write: Callable[[bytes], object]
    closing: threading.Event


Answer = Callable[[Exchange], object]


def reply(status: int = 200, body: bytes = b"", *, headers: Mapping[str, str] | None = None) -> Answer:
    """Answer properly."""
    lines = {"Content-Length": str(len(body)), **(headers or {})}
    return raw(head(status, lines) + body)


def redirect(location: str, status: int = 302) -> Answer:
    """Send the client elsewhere."""
    return reply(status, headers={"Location": location})


def raw(data: bytes) -> Answer:
    """Write exactly these bytes, and nothing at all for b"": the connection is then cut without an answer."""
    return lambda exchange: exchange.write(data)


def drip(pieces: Iterable[bytes], *, pause: float) -> Answer:
    """Write piece by piece, with a pause of so many seconds before each."""

    def answer(exchange: Exchange) -> None:
        for piece in pieces:
            if exchange.closing.wait(pause):
                return
            exchange.write(piece)

    return answer


def hang(exchange: Exchange) -> None:
    """Answer nothing as long as the server lives."""
    exchange.closing.wait()


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Return the status line and the headers of an answer, up to the body."""
    # A client that does not know of the close may send its next request into it.
    lines = {"Connection": "close", **headers}
    return "\r\n".join([f"HTTP/1.1 {status} ", *(f"{name}: {lines[name]}" for name in lines), "", ""]).encode("latin-1")


def metadata_answers() -> dict[str, Answer]:
    """Return the answers of a Google Compute Engine metadata server that hands out identity and access tokens."""
    account = json.dumps({"email": EMAIL, "aliases": ["default"], "scopes": []}).encode()
    token = json.dumps({"access_token": ACCESS_TOKEN, "expires_in": 3599, "token_type": "Bearer"}).encode()
    return {
        "/": reply(headers={"Metadata-Flavor": "Google"}),
        "/computeMetadata/v1/instance/service-accounts/default/": reply(
            body=account, headers={"Content-Type": "application/json"}
        ),
        "/computeMetadata/v1/project/project-id": reply(body=b"example", headers={"Content-Type": "application/text"}),
        IDENTITY_PATH: _identity,
        ACCESS_PATH: reply(body=token, headers={"Content-Type": "application/json"}),
    }


def identity_token(audience: str) -> str:
    """Return the token that the metadata server hands out for this audience. Nobody signed it."""
    return encode({"alg": "RS256"}, {"aud": audience, "email": EMAIL, "exp": 4102444800}, lambda signed: b"signature")


def _identity(exchange: Exchange) -> None:
    (audience,) = parse_qs(urlsplit(exchange.request.target).query)["audience"]
    answer = reply(body=identity_token(audience).encode(), headers={"Content-Type": "application/text"})
    answer(exchange)


class HttpServer:
    """Serves while it is entered, a thread for each connection.

    `answers` says what is answered on which path; any other path answers 200. It may be changed at any time.
    `received` holds each request from before it is answered, in order of arrival. With `tls` it speaks https.
    """

    def __init__(self, answers: Mapping[str, Answer] | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer] = dict(answers or {})
        self.received: list[Received] = []
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._serving = ExitStack()
        self.address = f"127.0.0.1:{self._server.server_port}"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "http" if tls is None else "https"

    def __enter__(self) -> Self:
        self._serving.enter_context(serving(self._server))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._closing.set()
        self._serving.close()

    def url(self, target: str = "/") -> str:
        """Return the full address of a path on this server."""
        return f"{self._scheme}://{self.address}{target}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                request = Received(method=self.command, target=self.path, headers=self.headers, body=body)
                server.received.append(request)
                answer = server.answers.get(request.path, reply())
                with suppress(ConnectionError):  # the client may have given up
                    answer(Exchange(request=request, write=self.wfile.write, closing=server._closing))

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_CONNECT = serve

            def log_message(self, format: str, *args: Any) -> None:
                """Stay quiet; the tests read the log."""

        return Handler


class _Server(ThreadingHTTPServer):
    request_queue_size = 1024  # with the usual 5, many clients at once wait a second for their turn
