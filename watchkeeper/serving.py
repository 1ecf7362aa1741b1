"""A web application on a port of this machine: the console, and the fakes of outside services.

Only 127.0.0.1 is bound. With `only_this_machine` a page of another website, which reaches that address through the
person's browser, is refused as well.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from selectors import EVENT_READ, DefaultSelector
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from shared.web.loopback import foreign

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from werkzeug.serving import BaseWSGIServer


class NoResponse(ConnectionError):
    """An application raises it to cut the connection without a response."""


def bind(app: "WSGIApplication", port: int = 0) -> "BaseWSGIServer":
    """Return a server for the application, a thread for each connection. Port 0 is any that is free. Raises OSError."""
    with socket.create_server(("127.0.0.1", port)) as listener:  # werkzeug itself would end the process
        return make_server(
            "127.0.0.1", port, app, threaded=True, fd=listener.fileno(), request_handler=_QuietRequestHandler
        )


@contextmanager
def serving(server: TCPServer) -> Iterator[None]:
    """Serve in the background as long as the context lasts; afterwards the port is free."""
    stop, stopped = socket.socketpair()
    thread = threading.Thread(target=_serve, args=[server, stopped], daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.close()
        thread.join()


def _serve(server: TCPServer, stopped: socket.socket) -> None:
    """Answer until the other end of `stopped` is closed; `serve_forever` would wake up often to look for that."""
    server.timeout = 0  # whoever connected may be gone again
    with server, stopped, DefaultSelector() as selector:
        selector.register(server, EVENT_READ)
        selector.register(stopped, EVENT_READ)
        while all(ready.fileobj is not stopped for ready, _ in selector.select()):
            server.handle_request()


def only_this_machine(app: "WSGIApplication") -> "WSGIApplication":
    """Return the application behind a guard: 403, before anything is done, for a page of another website."""

    def guarded(environ: Any, start_response: Any) -> Any:
        if reason := foreign(Request(environ).headers):
            refusal = Response(f"Only this machine is answered, and {reason}\n", 403)
            return refusal(environ, start_response)
        return app(environ, start_response)

    return guarded


class _QuietRequestHandler(WSGIRequestHandler):
    def log_request(self, *args: object) -> None:
        """Leave out the line for each request."""

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """Cut the connection; werkzeug itself would wait for the next request on it."""
        self.close_connection = True
