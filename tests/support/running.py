"""A deployed function, as near as one machine comes to it: functions-framework in a process of its own."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from subprocess import Popen
from typing import Any

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 30


@dataclass(frozen=True)
class RunningFunction:
    """The process and its address. `log_lines` reads what it has logged so far."""

    process: Popen[bytes]
    port: int
    log: Path

    def call(
        self, path: str = "/", *, method: str = "POST", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, Any]:
        """Call it and return status and parsed JSON body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of the function."""
        os.killpg(self.process.pid, number)

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the JSON log lines."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


@contextmanager
def running_function(name: str, folder: Path, env: Mapping[str, str]) -> Iterator[RunningFunction]:
    """Run a function of the project; all its processes are gone afterwards, however they behave."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    log = folder / f"{name}-{port}.log"
    command = [sys.executable, "-m", "functions_framework", f"--target={name}", "--host=127.0.0.1", f"--port={port}"]
    with log.open("wb") as output:
        process = Popen(
            [*command, f"--source={ROOT / 'functions' / name / 'main.py'}"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "CALL_TIMEOUT_SECONDS": "180", **env},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    function = RunningFunction(process, port, log)
    try:
        until(lambda: _answers(function), START_SECONDS)
        yield function
    finally:
        with suppress(ProcessLookupError):
            function.signal(signal.SIGKILL)
        process.wait()


def until(holds: Callable[[], bool], seconds: float) -> None:
    """Wait until something outside this process has become true; fail when it takes longer."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def _answers(function: RunningFunction) -> bool:
    assert function.process.poll() is None, function.log.read_text()
    try:
        return function.call("/health", method="GET")[0] < 600
    except OSError:
        return False
