"""One function on this machine: a process of functions-framework that is restarted when it dies, and ends with the run.

It runs as it would be deployed: in the folder where it is staged, seeing nothing else of the project.

It has a session of its own, so that the terminal's Ctrl-C does not reach its workers and SIGTERM can stop them in
order. A session is a process group too, which can be ended as a whole.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen, TimeoutExpired

from shared.errors import WatchkeeperError
from watchkeeper.deploy.staging import INSTALLED, StagedCode, try_import_from, with_sources
from watchkeeper.dev.interrupts import Wait
from watchkeeper.dev.probe import answers
from watchkeeper.guard import guarded

log = logging.getLogger("watchkeeper.dev")

START_SECONDS = 30
STOP_SECONDS = 10  # as long as Cloud Run gives
POLL_SECONDS = 0.05
FIRST_PAUSE, LONGEST_PAUSE = 1, 60  # seconds until a restart
STEADY_SECONDS = 60  # a process that ran so long has earned the first pause again


class FunctionFailed(WatchkeeperError):
    """A function did not start."""


class FunctionProcess:
    """The process of a function, started at once from where its code is staged: `folder`.

    What it writes is handed to `show` line by line. Paths in `env` are absolute, but for those in PYTHONPATH.
    """

    def __init__(self, code: StagedCode, port: int, *, env: Mapping[str, str], show: Callable[[str], None]) -> None:
        self.address = f"127.0.0.1:{port}"
        self.code = code
        self.function = code.function
        self.folder = code.folder
        self._port = port
        self._runtime = code.folder.parent / str(port)
        self._runtime.mkdir(exist_ok=True)
        self._given_env = env
        self._show = show
        self._starts_and_stops = threading.Lock()
        self._is_stopping = False
        self._asked_to_end = threading.Event()  # for good, or to be started from another folder
        self._settled = threading.Event()
        self._settled.set()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._spawn()

    def wait_until_healthy(self, wait: Wait) -> bool:
        """Wait until it answers, and return True; False when a signal came first. Raises FunctionFailed."""
        deadline = time.monotonic() + START_SECONDS
        while not answers(self.address, "/health"):
            if not self.is_running or time.monotonic() > deadline:
                raise FunctionFailed(f"the {self.function.name} function did not start; see its output above")
            if wait(POLL_SECONDS):
                return False
        return True

    def keep_running(self) -> None:
        """From now on, restart it whenever it ends, with a growing pause."""
        self._watcher.start()

    def try_import(self, folder: Path) -> None:
        """Import the function from `folder`, as `restart` would run it. Raises StagingFailed."""
        try_import_from(self._path(folder), self.function, folder, self._env(folder))

    def restart(self, folder: Path, wait: Wait) -> bool:
        """End the process as `terminate` does, start it from `folder`, and wait until it answers.

        False when `wait` said to stop meanwhile. Raises FunctionFailed.
        """
        self._settled.clear()
        try:
            with self._starts_and_stops:
                old = self._process
                self.folder = folder
                self._asked_to_end.set()
                old.terminate()
            with suppress(TimeoutExpired):
                old.wait(STOP_SECONDS)
            old.kill()
            while self._process is old:
                if wait(POLL_SECONDS):
                    return False
            return self.wait_until_healthy(wait)
        finally:
            self._settled.set()

    def wait_while_restarting(self) -> None:
        """Wait for the end of `restart`, whatever comes of it."""
        self._settled.wait(STOP_SECONDS + START_SECONDS)

    @property
    def is_running(self) -> bool:
        """Return whether the process has not ended."""
        return self._process.poll() is None

    def terminate(self) -> None:
        """Ask it to end, as Cloud Run does: it finishes or releases its jobs. It is not restarted."""
        with self._starts_and_stops:
            self._is_stopping = True
            self._asked_to_end.set()
            self._process.terminate()

    def kill(self) -> None:
        """After `terminate`: end whatever is left of it, and wait until its last line is shown."""
        self._end_group()
        if self._watcher.is_alive():
            self._watcher.join()

    def _spawn(self) -> None:
        self._process = Popen(
            guarded(self._command()),
            cwd=self.folder,
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
            encoding="utf-8",
            errors="replace",
            env=self._env(self.folder),
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout, self.folder), daemon=True)
        self._reader.start()

    def _read(self, lines: Iterable[str], folder: Path) -> None:
        for line in lines:
            self._show(with_sources(line.removesuffix("\n"), self.function, folder))

    def _watch(self) -> None:
        pause = 0
        while True:
            began = time.monotonic()
            code = self._process.wait()
            self._end_group()
            if self._asked_to_end.is_set():
                pause = 0
            else:
                is_steady = time.monotonic() - began > STEADY_SECONDS
                pause = FIRST_PAUSE if is_steady else min(max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
                how = f"exit code {code}" if code >= 0 else f"signal {-code}"
                log.error("The %s function ended (%s) and restarts in %d s", self.function.name, how, pause)
                self._asked_to_end.wait(pause)
            with self._starts_and_stops:
                if self._is_stopping:
                    return
                self._asked_to_end.clear()
                self._spawn()

    def _end_group(self) -> None:
        self._process.kill()
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()
        # A program that left the process group may still hold the output.
        self._reader.join(timeout=1)

    def _command(self) -> list[str]:
        # Without the site module nothing leads to the project (an editable install would), and with -P a folder that
        # happens to be the current one cannot shadow a module.
        framework = [sys.executable, "-P", "-S", "-m", "functions_framework"]
        target = [f"--target={self.function.entry_point}", f"--source={self.folder / 'main.py'}"]
        return [*framework, *target, "--host=127.0.0.1", f"--port={self._port}"]

    def _env(self, folder: Path) -> dict[str, str]:
        return {
            # A DEBUG that is meant for another program would make functions-framework fail, or swap its server.
            **{name: value for name, value in self._given_env.items() if name != "DEBUG"},
            "PYTHONPATH": os.pathsep.join(self._path(folder)),
            "PYTHONUNBUFFERED": "1",
            # gunicorn has a control socket, else in the home folder, where the functions would fight for one name. The
            # path is short, since that of a socket is bounded.
            "XDG_RUNTIME_DIR": str(self._runtime),
            "CALL_TIMEOUT_SECONDS": f"{self.function.timeout.total_seconds():.0f}",
        }

    def _path(self, folder: Path) -> list[str]:
        given = self._given_env.get("PYTHONPATH", "").split(os.pathsep)
        return [str(folder), *(os.path.abspath(entry) for entry in given if entry), *INSTALLED]
