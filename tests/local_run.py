"""A local run (`watchkeeper dev`) in a process of its own, to look at its console."""

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

from shared.settings import PROJECT_FOLDER
from tests.running import until
from watchkeeper.deploy.functions_table import read_functions
from watchkeeper.dev.queues import read_queues
from watchkeeper.dev.run import processes_of
from watchkeeper.fakes.services import FAKES

START_SECONDS = 60
STOP_SECONDS = 20


@contextmanager
def local_run(folder: Path, project: Path = PROJECT_FOLDER, **settings: str) -> Iterator[str]:
    """Run the system with its job file in `folder`, and yield the address of the console. Its output is in run.log."""
    port = _free_port()
    env = {
        "PATH": os.environ["PATH"],
        "SCHEDULER_JSON_PATH": str(folder / "jobs.json"),
        "DEV_PORT": str(port),
        "TMPDIR": str(folder),
        **settings,
    }
    code = f"import os, sys; sys.path.insert(0, {str(project)!r}); from watchkeeper.dev.run import run"
    log = folder / "run.log"
    with log.open("wb") as output:
        command = [sys.executable, "-c", f"{code}; sys.exit(run(os.environ))"]
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=output)

    def is_up() -> bool:
        assert process.poll() is None, log.read_text()
        return _answers(port)

    try:
        until(is_up, START_SECONDS)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _free_port() -> int:
    """Return the first of as many free ports as a run needs, below those that the system hands out by itself."""
    count = 1 + len(processes_of(read_functions({}), read_queues())) + FAKES
    for _ in range(100):
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), ExitStack() as stack:
            for following in range(port, port + count):
                stack.enter_context(socket.create_server(("127.0.0.1", following)))
            return port
    raise AssertionError("there are no free ports")
