"""The base of all fakes of outside services: a small HTTP server on this machine, with faults on request.

A subclass defines its answers and the errors that its service documents. Tests call it with the real client library:

    with Airtable() as airtable:
        airtable.fail("rate-limit", times=2, path="/refresh")
        ...
        assert airtable.requests[0].method == "GET"

With curl the same is `GET /stand-in`, `PUT /stand-in/faults/NAME?times=2&path=...` and
`DELETE /stand-in/faults`.
"""

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from typing import Any, ClassVar, Self

from werkzeug import wrappers

from watchkeeper.serving import NoResponse, bind, only_this_machine, serving

CONTROL_PATH = "/stand-in"
FAULTS_PATH = f"{CONTROL_PATH}/faults"

Clock = Callable[[], datetime]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as it came in. `path` is decoded and without the query; the names of `headers` ignore case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Message = field(repr=False)
    body: bytes

    def json(self) -> Any:
        """Parse the body. Raises ValueError if it is not JSON."""
        return json.loads(self.body)

    def bearer_token(self) -> str:
        """Return the token of the Authorization header, or "" without one."""
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" else ""


@dataclass(frozen=True, kw_only=True)
class Response:
    """The answer to a request. With status 204 neither the body nor its headers are sent."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Rejected(Exception):
    """The service rejects the request with this error."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.body.decode())
        self.response = response


# The answer in place of the normal one; None cuts the connection.
Fault = Response | Callable[[Request], Response | None]


def json_response(value: Any, status: int = 200, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer with a JSON body."""
    content_type = {"Content-Type": "application/json; charset=UTF-8"}
    return Response(status=status, headers={**content_type, **(headers or {})}, body=json.dumps(value).encode())


def utc_now() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)


NOT_JSON = Response(headers={"Content-Type": "text/html"}, body=b"<html><body>Sign in to the network</body></html>")


@dataclass(kw_only=True)
class _Armed:
    name: str
    times: int
    path: str


class Fake(ABC):
    """Serves on 127.0.0.1 while it is entered, with a thread for each connection.

    The constructor binds the port (0: any free one), so `url` is valid at once, and raises OSError if it is in use.
    `requests` lists the requests in order of arrival, each from before its answer; those to CONTROL_PATH are left out.
    """

    name: ClassVar[str]
    documented_errors: ClassVar[Mapping[str, Fault]]

    def __init__(self, *, port: int = 0, clock: Clock = utc_now) -> None:
        self.requests: list[Request] = []
        self._clock = clock
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []
        self._server = bind(only_this_machine(wrappers.Request.application(self._respond)), port)
        self._serving = ExitStack()
        self.url = f"http://127.0.0.1:{self._server.port}"

    @abstractmethod
    def answer(self, request: Request) -> Response:
        """Return the service's answer, or raise Rejected. Several threads call it at once."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return the state of the service for a person, as JSON without secrets."""

    def __enter__(self) -> Self:
        self._serving.enter_context(serving(self._server))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._closing.set()
        self._serving.close()

    def fail(self, name: str, *, times: int = 1, path: str = "") -> None:
        """Answer the next `times` requests whose path contains `path` with this fault.

        The method precedes the path: "POST /v2". The fault that was set first is used up first. Raises ValueError.
        """
        if name not in (names := self._fault_names()):
            raise ValueError(f"unknown fault {name!r} of {self.name}; choose one of {', '.join(names)}")
        if times < 1:
            raise ValueError(f"times is {times}; it must be at least 1")
        with self._lock:
            self._armed.append(_Armed(name=name, times=times, path=path))

    def clear_faults(self) -> None:
        """Answer normally from now on."""
        with self._lock:
            self._armed.clear()

    @property
    def has_faults(self) -> bool:
        """Return whether a fault is still set."""
        with self._lock:
            return bool(self._armed)

    def respond(self, request: Request) -> Response | None:
        """Record the request and return its answer; None cuts the connection."""
        if request.path == CONTROL_PATH or request.path.startswith(f"{CONTROL_PATH}/"):
            return self._control(request)
        with self._lock:
            self.requests.append(request)
            name = self._next_fault(f"{request.method} {request.path}", self._faults())
        try:
            if name is None:
                return self.answer(request)
            fault = self._faults()[name]
            return fault if isinstance(fault, Response) else fault(request)
        except Rejected as exc:
            return exc.response

    def _respond(self, asked: wrappers.Request) -> wrappers.Response:
        headers = Message()
        for name, value in asked.headers:
            headers[name] = value
        query, body = asked.args.to_dict(), asked.get_data()
        response = self.respond(Request(method=asked.method, path=asked.path, query=query, headers=headers, body=body))
        if response is None:
            raise NoResponse
        return _Plain(response.body, response.status, dict(response.headers))

    def _faults(self) -> dict[str, Fault]:
        return {**self.documented_errors, "hang": self._hang, "cut": lambda request: None, "not-json": NOT_JSON}

    def _fault_names(self) -> list[str]:
        """Return the names of all faults; a subclass may add some that do not concern requests."""
        return [*self._faults()]

    def _hang(self, request: Request) -> None:
        self._closing.wait()

    def _next_fault(self, path: str, names: Collection[str]) -> str | None:
        """Use up the first fault with one of these names that is set for `path`. The caller holds the lock."""
        for armed in self._armed:
            if armed.name in names and armed.path in path:
                armed.times -= 1
                if armed.times == 0:
                    self._armed.remove(armed)
                return armed.name
        return None

    def _control(self, request: Request) -> Response:
        method, name = request.method, request.path.removeprefix(f"{FAULTS_PATH}/")
        if method == "PUT" and request.path.startswith(f"{FAULTS_PATH}/"):
            try:
                self.fail(name, times=_whole(request.query.get("times", "1")), path=request.query.get("path", ""))
            except ValueError as exc:
                return json_response({"error": str(exc)}, 400)
        elif method == "DELETE" and request.path == FAULTS_PATH:
            self.clear_faults()
        elif (method, request.path) != ("GET", CONTROL_PATH):
            usage = f"use GET {CONTROL_PATH}, PUT {FAULTS_PATH}/NAME or DELETE {FAULTS_PATH}"
            return json_response({"error": usage}, 404)
        return json_response(self._about())

    def _about(self) -> dict[str, Any]:
        with self._lock:
            armed = [dict(vars(armed)) for armed in self._armed]
        return {"name": self.name, "state": self.state(), "faults": self._fault_names(), "armed": armed}


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"times is {text!r}; it must be a whole number") from None


class _Plain(wrappers.Response):
    default_mimetype = None  # send only the headers of the service
