"""A local run (`watchkeeper dev`) in a process of its own."""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

from shared.jobs import Jobs
from shared.settings import PROJECT_FOLDER
from shared.store.json_file import JsonStore
from watchkeeper.deploy.functions_table import read_functions
from watchkeeper.dev.queues import read_queues
from watchkeeper.dev.run import processes_of
from watchkeeper.fakes.services import FAKES

PATIENCE = 20  # seconds, for any wait
START_SECONDS = 60
PROCESSES = len(processes_of(read_functions({}), read_queues()))


class LocalRun:
    """A local run of a project. Its job file, its temporary files and its output, run.log, are in `folder`."""

    def __init__(self, folder: Path, project: Path = PROJECT_FOLDER, storage: str | None = None, **settings: str):
        self.folder = folder
        self.console = free_port()
        self.port = self.console + 1  # of the first function
        self.address = f"http://127.0.0.1:{self.console}"
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self._log = folder / "run.log"
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(folder),
            "SCHEDULER_JSON_PATH": str(folder / "jobs.json"),
            "DEV_PORT": str(self.console),
            "TMPDIR": str(self.temporary),
            **settings,
        }
        code = f"import os, sys; sys.path.insert(0, {str(project)!r}); from watchkeeper.dev.run import run"
        command = [sys.executable, "-c", f"{code}; sys.exit(run(os.environ, {storage!r}))"]
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=output)

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._log.read_text(errors="replace")

    def wait_for(self, text: str, seconds: float = PATIENCE) -> None:
        """Wait until it has printed `text`."""
        deadline = time.monotonic() + seconds
        while text not in self.output:
            has_ended = self.process.poll() is not None
            assert not has_ended or text in self.output, f"it ended without {text!r}:\n{self.output}"
            assert time.monotonic() < deadline, f"{text!r} did not come:\n{self.output}"
            time.sleep(0.02)

    def wait_until_up(self) -> None:
        """Wait until the console answers."""
        deadline = time.monotonic() + START_SECONDS
        while not self.answers("/", port=self.console):
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)

    def end(self, number: int) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def rest(self) -> str:
        """Return the whole output of a run that ends by itself."""
        self.process.wait(PATIENCE)
        return self.output

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def call(self, method: str, path: str, *, port: int = 0, **headers: str) -> int:
        """Call the first function, or what is at another port, and return the status."""
        connection = HTTPConnection("127.0.0.1", port or self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def answers(self, path: str = "/health", *, port: int = 0) -> bool:
        """Return whether the first function, or what is at another port, answers with 200."""
        try:
            return self.call("GET", path, port=port) == HTTPStatus.OK
        except OSError:
            return False

    def function_groups(self) -> set[int]:
        """Return the process groups of the functions that run."""
        return {group for _, parent, group in processes() if parent == self.process.pid}


@contextmanager
def local_run(folder: Path, project: Path = PROJECT_FOLDER, **settings: str) -> Iterator[str]:
    """Run the system with its job file in `folder`, and yield the address of the console."""
    run = LocalRun(folder, project, **settings)
    try:
        run.wait_until_up()
        yield f"{run.address}/"
    finally:
        with suppress(subprocess.TimeoutExpired):
            run.end(signal.SIGINT)
        run.kill()


def jobs_in(folder: Path) -> Jobs:
    """Return the jobs in the file of a local run."""
    clock = partial(datetime.now, UTC)
    return Jobs(JsonStore(folder / "jobs.json", clock), clock=clock, handlers={}, retention=timedelta(days=1))


def copy_project(folder: Path, *functions: str) -> Path:
    """Copy this project into the folder, with only these functions, since each takes time to start."""
    project = folder / "project"
    for name in ("agent", "functions", "shared", "watchkeeper"):
        shutil.copytree(PROJECT_FOLDER / name, project / name)
    sections = re.split(r"^(?=\[)", (PROJECT_FOLDER / "functions.toml").read_text(), flags=re.MULTILINE)
    removed = re.compile(rf"\[functions\.(?!({'|'.join(functions)})[].])")
    table = project / "functions.toml"
    table.write_text("".join(section for section in sections if not removed.match(section)))
    assert {function.name for function in read_functions({}, table)} == set(functions)
    return project


def free_port() -> int:
    """Return the first of as many free ports as a run needs, below those that the system assigns."""
    for _ in range(100):
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), ExitStack() as stack:
            for following in range(port, port + 1 + PROCESSES + FAKES):
                stack.enter_context(socket.create_server(("127.0.0.1", following)))
            return port
    raise AssertionError("there are no free ports")


def nothing_is_left(groups: set[int], port: int) -> bool:
    """Return whether all processes of the groups are gone and the port can be used again."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return not any(group in groups for _, _, group in processes())


def processes() -> Iterator[tuple[int, int, int]]:
    """Return id, parent and group of each process that is alive; a zombie is not."""
    for pid, state, parent, group in _from_proc() if Path("/proc/self/stat").exists() else _from_ps():
        if not state.startswith("Z"):
            yield int(pid), int(parent), int(group)


def _from_proc() -> Iterator[list[str]]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            yield [stat.parent.name, *stat.read_text(errors="replace").rpartition(")")[2].split()[:3]]


def _from_ps() -> Iterator[list[str]]:
    command = ["ps", "-A", "-o", "pid=,stat=,ppid=,pgid="]
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        yield line.split()
