"""Local runs, and projects with some functions only, since each function takes time to start."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.jobs import Jobs
from shared.settings import PROJECT_FOLDER
from tests.support.local_run import LocalRun, copy_project, jobs_in
from watchkeeper.dev.instances import RUN_JOB

# Job types that run long: one until it has to stop, one that ignores the stop.
SLOW_HANDLERS = """
import logging, time
from shared.handlers import handler

@handler("patient")
def patient(payload, context):
    logging.getLogger("watchkeeper.test").info("patient has begun")
    context.stop.wait(30)

@handler("deaf")
def deaf(payload, context):
    logging.getLogger("watchkeeper.test").info("deaf has begun")
    time.sleep(30)
"""
# Job types that are handed over: one that takes its time, and one that outlives its limit.
QUEUED_HANDLERS = """
import logging, time
from datetime import timedelta
from shared.handlers import handler

log = logging.getLogger("watchkeeper.test")

@handler("study", timeout=timedelta(minutes=20), queue="agents")
def study(payload, context):
    log.info("%s has begun", context.job_id)
    if context.stop.wait(600):
        raise RuntimeError("stopped")

@handler("overlong", timeout=timedelta(seconds=1), queue="agents")
def overlong(payload, context):
    log.info("overlong has begun")
    time.sleep(60)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., LocalRun]]:
    """Start a local run with the given settings; it is killed at the end of the test if it still runs."""
    runs: list[LocalRun] = []

    def start(project: Path = PROJECT_FOLDER, storage: str | None = None, **settings: str) -> LocalRun:
        runs.append(LocalRun(tmp_path, project, storage, **settings))
        return runs[-1]

    yield start
    for run in runs:
        run.kill()


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    """The jobs in the file of the local run."""
    return jobs_in(tmp_path)


@pytest.fixture
def tick_alone(tmp_path: Path) -> Path:
    """A project whose one function is the tick."""
    return copy_project(tmp_path, "tick")


@pytest.fixture
def with_queue(tmp_path: Path) -> Path:
    """A project whose functions are the tick and run_job, and handlers whose jobs are handed over."""
    (tmp_path / "queued.py").write_text(QUEUED_HANDLERS)
    return copy_project(tmp_path, "tick", RUN_JOB)


@pytest.fixture
def slow_handlers(tmp_path: Path) -> str:
    """The name of a module with handlers that run long."""
    (tmp_path / "slow.py").write_text(SLOW_HANDLERS)
    return "slow"
