"""The command line as a process: its settings file, its imports, and how it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from shared.settings import SETTINGS_FILE
from tests.support.command_line import JobFactory, Terminal

PROJECT = Path(__file__).resolve().parents[3]


def process(folder: Path, *args: str, code: str = "", **options: Any) -> subprocess.Popen[str]:
    """Start `watchkeeper` in a folder, with its own environment."""
    program = f"{code}\nfrom watchkeeper.__main__ import main; main()"
    store = folder / "jobs.env"
    store.write_text(f"SCHEDULER_JSON_PATH={folder / 'jobs.json'}\n")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", program, *args],
        cwd=folder,
        env={**env, SETTINGS_FILE: str(store), **options.pop("env", {})},
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, "text": True, **options},
    )


@pytest.mark.slow
def test_commands_and_code_read_the_same_settings_file(tmp_path: Path) -> None:
    """A command lists what a program schedules, from any folder."""
    (tmp_path / "my.env").write_text(f"SCHEDULER_JSON_PATH={tmp_path / 'mine.json'}\n")
    (tmp_path / "sub").mkdir()
    env = {SETTINGS_FILE: str(tmp_path / "my.env")}
    code = "from shared.jobs import open_jobs; open_jobs().schedule('log', {'message': 'hello'}, id='mine')"

    made = process(tmp_path / "sub", code=f"{code}; raise SystemExit", env=env)
    made.communicate()
    out, _ = process(tmp_path, "jobs", "list", env=env).communicate()
    told, _ = process(tmp_path, "doctor", env=env).communicate()

    assert made.returncode == 0
    assert out.splitlines()[1].startswith("mine")
    assert f"from {tmp_path / 'my.env'}; jobs are kept in the file mine.json" in told


@pytest.mark.slow
def test_a_settings_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    """One line, no traceback."""
    (tmp_path / ".env").write_bytes(b"\xff\xfe")

    _, err = process(tmp_path, "jobs", "list", env={SETTINGS_FILE: str(tmp_path / ".env")}).communicate()

    assert err.startswith("error: the settings file ")
    assert err.count("\n") == 1


@pytest.mark.slow
def test_help_needs_no_settings(tmp_path: Path) -> None:
    """It works with wrong settings and may say what is wrong with them."""
    out, err = process(tmp_path, "jobs", "--help", env={SETTINGS_FILE: str(tmp_path / "nowhere.env")}).communicate()

    assert out.startswith("Usage: watchkeeper jobs")
    assert err == ""


@pytest.mark.slow
@pytest.mark.parametrize("args", [["--help"], ["cron", "@daily"], ["jobs", "list"]])
def test_commands_import_no_slow_library(tmp_path: Path, args: Sequence[str]) -> None:
    """Importing Firestore's library or the one of `watchkeeper mcp` takes 0.5 s or 2 s of every start."""
    watch = "import atexit, sys; atexit.register(lambda: print({'google.cloud.firestore', 'mcp'} & {*sys.modules}))"

    out, _ = process(tmp_path, *args, code=watch).communicate()

    assert out.splitlines()[-1] == "set()"


@pytest.mark.slow
def test_ctrl_c_is_not_an_error(tmp_path: Path) -> None:
    """An interrupted command ends with 130 and without a traceback."""
    ready = "import click; opened = click.open_file\n"
    ready += "click.open_file = lambda *args: (print('ready', flush=True), opened(*args))[1]"
    interrupted = process(tmp_path, "jobs", "import", "-", code=ready, stdin=subprocess.PIPE)
    assert interrupted.stdout is not None
    interrupted.stdout.readline()

    interrupted.send_signal(signal.SIGINT)
    _, err = interrupted.communicate()

    assert interrupted.returncode == 130
    assert err.strip() == ""


@pytest.mark.slow
def test_ctrl_c_during_the_start_is_not_an_error(tmp_path: Path) -> None:
    """Nor while the commands are still being imported."""
    # A module that is interrupted when it is imported, in the place of one that the commands need.
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt")

    interrupted = process(tmp_path, "jobs", "list")
    _, err = interrupted.communicate()

    assert (interrupted.returncode, err) == (130, "")


@pytest.mark.slow
def test_a_closed_pipe_is_not_an_error(tmp_path: Path, job_factory: JobFactory, now: datetime) -> None:
    """`watchkeeper jobs export | head -1` ends quietly."""
    Terminal(path=tmp_path / "jobs.json", at=now).put(*(job_factory(f"job-{number}") for number in range(2000)))
    export = process(tmp_path, "jobs", "export")
    assert export.stdout is not None
    assert export.stderr is not None

    first = export.stdout.readline()
    export.stdout.close()
    err = export.stderr.read()
    export.wait()
    export.stderr.close()

    assert (first, err) == ("[\n", "")


@pytest.mark.slow
def test_a_full_disk_is_an_error_of_one_line(tmp_path: Path, job_factory: JobFactory, now: datetime) -> None:
    """Output that cannot be written is an error without a traceback."""
    Terminal(path=tmp_path / "jobs.json", at=now).put(job_factory())

    with Path("/dev/full").open("w") as full:
        _, err = process(tmp_path, "jobs", "list", stdout=full).communicate()

    assert err.startswith("error: [Errno 28] No space left on device\n")
    assert "Traceback" not in err
