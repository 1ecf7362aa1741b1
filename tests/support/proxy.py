"""A TCP proxy that can lose what the server answers (a write is applied and nobody hears of it), or be away."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """Forwards connections to `target` (host:port). While it is held, nothing that the server says goes through."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._lets_through = threading.Event()
        self._lets_through.set()
        self._allowance: int | None = None
        self._is_refusing = False
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self) -> None:
        """Keep back what the server says from now on."""
        self._lets_through.clear()

    def cut_after(self, count: int) -> None:
        """Cut all connections, once, when the server has said so many more bytes."""
        self._allowance = count

    def cut(self) -> None:
        """Cut all connections, what was kept back included, and let new ones through."""
        with self._lock:
            connections, self._open = self._open, []
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._lets_through.set()

    def refuse(self) -> None:
        """Cut all connections, and every new one at once."""
        self._is_refusing = True
        self.cut()

    def accept(self) -> None:
        """Let connections through again."""
        self._is_refusing = False

    def close(self) -> None:
        """End it."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._is_refusing:
                    client.close()
                    continue
                server = socket.create_connection(self._target)
                with self._lock:
                    self._open += [client, server]
                for source, sink, is_answer in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._forward, args=(source, sink, is_answer), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if is_answer:
                    self._lets_through.wait()
                    self._spend(len(data))
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _spend(self, count: int) -> None:
        if self._allowance is not None:
            self._allowance -= count
            if self._allowance < 0:
                self._allowance = None
                self.cut()


@contextmanager
def proxy_to(target: str) -> Iterator[Proxy]:
    """Run a proxy in this process."""
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
