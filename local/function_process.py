"""One function on this machine: a process of functions-framework that is started again when it dies, and surely ended.

It has a session of its own, so that the terminal's Ctrl-C does not reach its workers and SIGTERM can stop them in
order. A session is a process group too, which can be ended as a whole.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from subprocess import PIPE, STDOUT, Popen

from local.functions_table import Function
from local.guard import guarded
from local.interrupts import Wait
from local.probe import answers
from shared.errors import WatchkeeperError
from shared.settings import PROJECT_FOLDER

log = logging.getLogger("watchkeeper.dev")

START_SECONDS = 30
POLL_SECONDS = 0.05
FIRST_PAUSE, LONGEST_PAUSE = 1, 60  # seconds until it is started again
STEADY_SECONDS = 60  # a process that ran so long has earned the first pause again


class FunctionFailed(WatchkeeperError):
    """A function did not start."""


class FunctionProcess:
    """The process of a function, started at once. What it writes is handed to `show` line by line."""

    def __init__(self, function: Function, port: int, *, env: Mapping[str, str], show: Callable[[str], None]) -> None:
        self.address = f"127.0.0.1:{port}"
        self.function = function
        self._command = _command(function, port)
        self._env = _env(function, env)
        self._show = show
        self._starts_and_stops = threading.Lock()
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._spawn()

    def wait_until_healthy(self, wait: Wait) -> bool:
        """Wait until it answers, and say so; False when a signal came first. Raises FunctionFailed."""
        deadline = time.monotonic() + START_SECONDS
        while not answers(self.address, "/health"):
            if not self.is_running or time.monotonic() > deadline:
                raise FunctionFailed(f"the {self.function.name} function did not start; what it said stands above")
            if wait(POLL_SECONDS):
                return False
        return True

    def keep_running(self) -> None:
        """From now on, start it again whenever it ends, with a growing pause."""
        self._watcher.start()

    @property
    def is_running(self) -> bool:
        """Say whether the process has not ended."""
        return self._process.poll() is None

    def terminate(self) -> None:
        """Tell it to end, as Cloud Run does: it finishes or gives back what it runs. It is not started again."""
        with self._starts_and_stops:
            self._stopping.set()
            self._process.terminate()

    def kill(self) -> None:
        """After `terminate`: end whatever is left of it, and wait until its last line is shown."""
        self._end_group()
        if self._watcher.is_alive():
            self._watcher.join()

    def _spawn(self) -> None:
        self._process = Popen(
            guarded(self._command),
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
            encoding="utf-8",
            errors="replace",
            env=self._env,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._show(line.removesuffix("\n"))

    def _watch(self) -> None:
        pause = 0
        while True:
            began = time.monotonic()
            code = self._process.wait()
            self._end_group()
            if self._stopping.is_set():
                return
            is_steady = time.monotonic() - began > STEADY_SECONDS
            pause = FIRST_PAUSE if is_steady else min(max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
            how = f"exit code {code}" if code >= 0 else f"signal {-code}"
            log.error("The %s function ended (%s) and is started again in %d s", self.function.name, how, pause)
            self._stopping.wait(pause)
            with self._starts_and_stops:
                if self._stopping.is_set():
                    return
                self._spawn()

    def _end_group(self) -> None:
        self._process.kill()
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()
        # A program that left the process group may still hold the output.
        self._reader.join(timeout=1)


def _command(function: Function, port: int) -> list[str]:
    source = PROJECT_FOLDER / "functions" / function.name / "main.py"
    # With -P, a folder that happens to be the current one cannot shadow a module.
    framework = [sys.executable, "-P", "-m", "functions_framework"]
    return [*framework, f"--target={function.entry_point}", f"--source={source}", "--host=127.0.0.1", f"--port={port}"]


def _env(function: Function, env: Mapping[str, str]) -> dict[str, str]:
    return {
        # A DEBUG that is meant for another program would make functions-framework fail, or swap its server.
        **{name: value for name, value in env.items() if name != "DEBUG"},
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT_FOLDER), env.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",
        "CLOUD_RUN_TIMEOUT_SECONDS": f"{function.timeout.total_seconds():.0f}",
    }
