"""The Firestore emulator of the gcloud installation, for the tests and the local runner.

It starts the emulator's own launcher, not `gcloud emulators firestore start`, which would try to install a missing
component, reads the person's configuration, and is one more process that could outlive the run.
"""

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen, run
from tempfile import TemporaryFile
from typing import IO

from shared.errors import WatchkeeperError
from watchkeeper.dev.probe import answers
from watchkeeper.guard import guarded

_LAUNCHER = Path("platform", "cloud-firestore-emulator", "cloud_firestore_emulator")
_START_SECONDS = 60
_OUTPUT_LINES = 20


class EmulatorMissing(WatchkeeperError):
    """The Firestore emulator is not installed; the message says how to install it."""


class EmulatorFailed(WatchkeeperError):
    """The Firestore emulator did not start; the message ends with its last output."""


def find_emulator() -> Path:
    """Return the program that starts the emulator.

    Raises `EmulatorMissing` when gcloud, its emulator component or Java is not there.
    """
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        raise EmulatorMissing("the Firestore emulator needs gcloud: https://cloud.google.com/sdk/docs/install")
    launcher = Path(gcloud).resolve().parents[1] / _LAUNCHER
    if not launcher.exists():
        raise EmulatorMissing(
            "gcloud lacks its Firestore emulator: gcloud components install cloud-firestore-emulator"
            " (or apt-get install google-cloud-cli-firestore-emulator)"
        )
    if not _java_runs():
        raise EmulatorMissing("the Firestore emulator needs Java 11 or newer on the path: https://adoptium.net")
    return launcher


@contextmanager
def running_emulator() -> Iterator[str]:
    """Run an empty emulator on a free port of the loopback interface, and yield its `host:port`.

    Its processes end with the context, and at the latest with this process, even if that is killed. Raises
    `EmulatorMissing` or `EmulatorFailed`.
    """
    launcher = find_emulator()
    port = _free_port()
    command = guarded([str(launcher), "start", "--host=127.0.0.1", f"--port={port}"])
    with (
        TemporaryFile() as output,
        Popen(command, stdin=PIPE, stdout=output, stderr=STDOUT, start_new_session=True) as process,
    ):
        _wait_until_it_answers(port, process, output)
        yield f"127.0.0.1:{port}"


def _java_runs() -> bool:
    java = shutil.which("java")
    # macOS has a program of this name that only says that Java is missing.
    return java is not None and run([java, "-version"], capture_output=True).returncode == 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _wait_until_it_answers(port: int, process: Popen[bytes], output: IO[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not answers(f"127.0.0.1:{port}", "/"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise EmulatorFailed(f"the Firestore emulator did not start; its last output:\n{_last_lines(output)}")
        time.sleep(0.1)


def _last_lines(output: IO[bytes]) -> str:
    output.seek(0)
    return "\n".join(output.read().decode(errors="replace").splitlines()[-_OUTPUT_LINES:])
