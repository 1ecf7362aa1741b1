"""The start of a local run: the example, what it finds, and what keeps it from starting."""

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from shared.jobs import Jobs
from tests.support.local_run import PATIENCE, LocalRun, copy_project, nothing_is_left
from tests.support.running import until
from watchkeeper.dev.firestore_emulator import EmulatorMissing, find_emulator
from watchkeeper.dev.run import EXAMPLE_JOB

EMULATOR_PATIENCE = 60


def test_a_deleted_example_does_not_come_back(start: Callable[..., LocalRun], tick_alone: Path, jobs: Jobs) -> None:
    """The example is only for the very first start: an existing job file, even an empty one, gets none."""
    jobs.schedule("log", id=EXAMPLE_JOB)
    jobs.delete(EXAMPLE_JOB)

    start(tick_alone).wait_for("Scheduler tick completed")

    assert list(jobs.list()) == []


def test_files_that_the_settings_name_are_found_from_there(
    start: Callable[..., LocalRun], jobs: Jobs, tmp_path: Path
) -> None:
    """Relative paths in the settings are still relative to the project."""
    project = copy_project(tmp_path, "tick", "gmail_watch")
    (project / "key.json").write_text("{}")
    jobs.schedule("log", {"message": "Good morning"})
    run = start(project, SCHEDULER_JSON_PATH="../jobs.json", GCP_SERVICE_ACCOUNT_JSON_PATH="key.json")

    run.wait_for("Good morning")
    run.wait_for("it must be the key file of a service account, as Google made it")


@pytest.mark.emulator
def test_storage_firestore_keeps_the_jobs_in_the_emulator(start: Callable[..., LocalRun], tick_alone: Path) -> None:
    """The emulator is started, used by the functions and shown to the person, and ends with the run."""
    try:
        find_emulator()
    except EmulatorMissing as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(exc))
    run = start(tick_alone, storage="firestore")
    run.wait_for("in the Firestore emulator at 127.0.0.1:", EMULATOR_PATIENCE)
    run.wait_for("SCHEDULER_STORAGE=firestore GOOGLE_CLOUD_PROJECT=demo FIRESTORE_EMULATOR_HOST=127.0.0.1:")
    run.wait_for(f"Job {EXAMPLE_JOB} completed")
    groups = run.function_groups()

    code = run.end(signal.SIGINT)

    assert code == 0
    assert len(groups) == 2
    until(partial(nothing_is_left, groups, run.port), PATIENCE)


def test_a_function_that_does_not_start_is_an_error_below_its_output(
    start: Callable[..., LocalRun], tmp_path: Path
) -> None:
    """Python's own error is shown, and the run ends."""
    (tmp_path / "functions_framework.py").write_text("raise SystemExit('no such luck')")

    run = start()
    output = run.rest()

    assert run.process.returncode == 1
    assert output.endswith("no such luck\nerror: the tick function did not start; see its output above\n")
