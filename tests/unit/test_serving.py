"""A web application on a port of this machine."""

import socket
from collections.abc import Iterator
from http.client import HTTPConnection, RemoteDisconnected
from threading import Event

import pytest
from werkzeug.wrappers import Request, Response

from watchkeeper.serving import NoResponse, bind, only_this_machine, serving


@Request.application
def app(request: Request) -> Response:
    """Answer every path but one."""
    if request.path == "/cut":
        raise NoResponse
    return Response(f"{request.method} {request.path}")


@pytest.fixture
def connection() -> Iterator[HTTPConnection]:
    """A connection to the application behind the guard."""
    server = bind(only_this_machine(app))
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    with serving(server):
        yield connection
    connection.close()


def test_an_application_is_served_on_a_free_port(connection: HTTPConnection, capfd: pytest.CaptureFixture[str]) -> None:
    """No line is written for a request."""
    connection.request("GET", "/hello")

    assert connection.getresponse().read() == b"GET /hello"
    assert "".join(capfd.readouterr()) == ""


def test_a_foreign_request_never_reaches_the_application(connection: HTTPConnection) -> None:
    """The application would have cut the connection."""
    connection.request("GET", "/cut", headers={"Host": "evil.example"})

    assert connection.getresponse().status == 403


def test_an_application_can_cut_the_connection(connection: HTTPConnection) -> None:
    """The client gets no response, at once."""
    connection.request("GET", "/cut")

    with pytest.raises(RemoteDisconnected):
        connection.getresponse()


def test_a_port_that_is_taken_is_an_error() -> None:
    """It can be caught; werkzeug alone would end the process."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        bind(app, taken.getsockname()[1])


def test_the_end_does_not_wait_for_an_open_request() -> None:
    """A hanging request is left to its thread, and the port is free again."""
    began, closing = Event(), Event()

    @Request.application
    def hang(request: Request) -> Response:
        began.set()
        closing.wait(10)
        return Response()

    server = bind(hang)
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    with serving(server):
        connection.request("GET", "/")
        assert began.wait(10)

    with socket.create_server(("127.0.0.1", server.port)):
        closing.set()
    connection.close()
