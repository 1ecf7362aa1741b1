"""A TCP proxy that delays every response, like a network.

Each response is forwarded a fixed time after it arrived, in order and whole. So each call waits that long once;
concurrent calls and long responses wait no longer, and the delay costs no throughput.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue

CHUNK = 65_536


@contextmanager
def slow_proxy(target: str, *, seconds: float) -> Iterator[str]:
    """Serve, in threads, a proxy to `target` (host:port) that delays each response; yield its `host:port`."""
    proxy = SlowProxy(target, seconds)
    try:
        yield proxy.address
    finally:
        proxy.close()


class SlowProxy:
    """The connections of a proxy; each has three threads."""

    def __init__(self, target: str, seconds: float) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._seconds = seconds
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._open: list[socket.socket] = [self._listener]
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        _in_thread(self._accept)

    def close(self) -> None:
        """Accept no more connections, and close the open ones."""
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection(self._target)
            self._open += [client, server]
            for connection in (client, server):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            said: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
            _in_thread(self._ask, client, server)
            _in_thread(self._hear, server, said)
            _in_thread(self._tell, said, client)

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        while data := client.recv(CHUNK):
            server.sendall(data)
        server.shutdown(socket.SHUT_WR)

    def _hear(self, server: socket.socket, said: "SimpleQueue[tuple[float, bytes]]") -> None:
        """Record each response with the time to forward it. An empty one is the end."""
        data = b"anything"
        while data:
            data = server.recv(CHUNK)
            said.put((time.monotonic() + self._seconds, data))

    def _tell(self, said: "SimpleQueue[tuple[float, bytes]]", client: socket.socket) -> None:
        while True:
            due, data = said.get()
            time.sleep(max(due - time.monotonic(), 0))
            if not data:
                break
            client.sendall(data)
        client.shutdown(socket.SHUT_WR)


def _in_thread(function: Callable[..., None], *args: object) -> None:
    threading.Thread(target=_until_cut, args=(function, *args), daemon=True).start()


def _until_cut(function: Callable[..., None], *args: object) -> None:
    with suppress(OSError):
        function(*args)
