"""How the Firestore emulator is found, started and ended, with fakes; tests/integration runs the real one."""

import os
import select
import sys
from pathlib import Path

import pytest

from watchkeeper.dev.firestore_emulator import EmulatorFailed, EmulatorMissing, find_emulator, running_emulator

GCLOUD = "bin/gcloud"
EMULATOR = "platform/cloud-firestore-emulator/cloud_firestore_emulator"
JAVA = "bin/java"


def install(sdk: Path, *programs: str, script: str = "exit 0") -> None:
    for program in programs:
        path = sdk / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


@pytest.mark.parametrize(
    ("installed", "remedy"),
    [
        pytest.param([JAVA], "needs gcloud", id="no-gcloud"),
        pytest.param([GCLOUD, JAVA], "gcloud components install cloud-firestore-emulator", id="no-component"),
        pytest.param([GCLOUD, EMULATOR], "needs Java", id="no-java"),
    ],
)
def test_missing_part_is_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: list[str], remedy: str
) -> None:
    """The error says which part it is and how to get it."""
    install(tmp_path, *installed)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    with pytest.raises(EmulatorMissing, match=remedy) as caught:
        find_emulator()

    assert "\n" not in str(caught.value)


def test_java_that_only_says_that_it_is_missing_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `java` that fails, like the one of macOS, is not a Java."""
    install(tmp_path, GCLOUD, EMULATOR)
    install(tmp_path, JAVA, script="exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    with pytest.raises(EmulatorMissing, match="needs Java"):
        find_emulator()


def test_gcloud_may_be_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator is next to the real gcloud, not to a package manager's link."""
    install(tmp_path / "sdk", GCLOUD, EMULATOR)
    install(tmp_path, JAVA)
    (tmp_path / GCLOUD).symlink_to(tmp_path / "sdk" / GCLOUD)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    launcher = find_emulator()

    assert launcher == tmp_path / "sdk" / EMULATOR


def test_emulator_that_ends_at_once_is_an_error_with_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start does not wait any longer, and the error has the emulator's output."""
    install(tmp_path, GCLOUD, JAVA)
    install(tmp_path, EMULATOR, script="echo no such class; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")

    with pytest.raises(EmulatorFailed, match="no such class"), running_emulator():
        pass


def test_nothing_is_left_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The launcher's children end with it, although they share its pipe."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    install(tmp_path, GCLOUD, JAVA)
    serve = f"'{sys.executable}' -m http.server --bind 127.0.0.1 ${{3#--port=}}"
    install(tmp_path, EMULATOR, script=f"sleep 600 >'{pipe}' &\n{serve}")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")

    with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
        with running_emulator():
            pass
        ended, _, _ = select.select([reader], [], [], 10)

    assert ended
