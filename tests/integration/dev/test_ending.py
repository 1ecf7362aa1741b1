"""The end of a local run, and of its functions: no process and no file is left behind."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from shared.jobs import Jobs
from shared.model.value import Status
from tests.support.local_run import PATIENCE, PROCESSES, LocalRun, nothing_is_left
from tests.support.running import until
from watchkeeper.dev.function_process import STOP_SECONDS
from watchkeeper.dev.run import EXAMPLE_JOB
from watchkeeper.logbook import lines_of

HELLO = "Hello! I am an example"


def test_the_first_start_runs_an_example_until_ctrl_c(start: Callable[..., LocalRun], tmp_path: Path) -> None:
    """After Ctrl-C it ends with success, stops its processes, and leaves only jobs, history and log."""
    home = tmp_path / "home"
    home.mkdir()
    run = start(HOME=str(home))
    run.wait_for(HELLO)
    groups = run.function_groups()

    code = run.end(signal.SIGINT)

    assert code == 0
    assert len(groups) == PROCESSES
    until(partial(nothing_is_left, groups, run.port), PATIENCE)
    assert [*run.temporary.iterdir(), *home.iterdir()] == []
    (said, *_) = (each for each in lines_of(tmp_path / "jobs_log.jsonl", EXAMPLE_JOB) if HELLO in each.message)
    assert (said.source, said.fields["attempt"]) == ("tick", 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_and_sighup_end_it_as_ctrl_c_does(
    start: Callable[..., LocalRun], tick_alone: Path, number: signal.Signals
) -> None:
    """A service manager or a closed terminal ends it as Ctrl-C does."""
    run = start(tick_alone)
    run.wait_for(HELLO)
    groups = run.function_groups()

    code = run.end(number)

    assert code == 0
    assert len(groups) == 1
    until(partial(nothing_is_left, groups, run.port), PATIENCE)
    assert [*run.temporary.iterdir()] == []


def test_a_run_that_is_killed_leaves_nothing_behind(start: Callable[..., LocalRun], with_queue: Path) -> None:
    """It cannot clean up, so its functions end by themselves."""
    run = start(with_queue)
    run.wait_for(HELLO)
    groups = run.function_groups()

    run.end(signal.SIGKILL)

    until(partial(nothing_is_left, groups, run.port), PATIENCE)


def test_a_job_that_heeds_the_stop_finishes_before_the_end(
    start: Callable[..., LocalRun], tick_alone: Path, jobs: Jobs, slow_handlers: str
) -> None:
    """The end reaches a running handler as a request to stop, and what it came to is recorded.

    A terminal that is closed may say so twice; that is no reason to hurry.
    """
    jobs.schedule("patient", id="slow")
    run = start(tick_alone, JOB_HANDLERS=slow_handlers)
    run.wait_for("patient has begun")

    run.process.send_signal(signal.SIGHUP)
    run.wait_for("Stopping")
    code = run.end(signal.SIGHUP)

    assert code == 0
    assert jobs.get("slow").status is Status.COMPLETED


def test_a_second_ctrl_c_ends_a_job_that_ignores_the_stop(
    start: Callable[..., LocalRun], tick_alone: Path, jobs: Jobs, slow_handlers: str
) -> None:
    """A person who does not want to wait ends everything at once; the job's lease ends by itself."""
    jobs.schedule("deaf", id="slow")
    run = start(tick_alone, JOB_HANDLERS=slow_handlers)
    run.wait_for("deaf has begun")
    groups = run.function_groups()

    run.process.send_signal(signal.SIGINT)
    run.wait_for("Stopping")
    asked_again_at = time.monotonic()
    code = run.end(signal.SIGINT)

    assert code == 0
    assert time.monotonic() - asked_again_at < STOP_SECONDS / 2
    until(partial(nothing_is_left, groups, run.port), PATIENCE)
    assert jobs.get("slow").status is Status.RUNNING


def test_a_function_that_dies_is_restarted(start: Callable[..., LocalRun], tick_alone: Path) -> None:
    """The run says that the function died, and then the function answers again."""
    run = start(tick_alone)
    run.wait_for(HELLO)
    groups = run.function_groups()

    os.kill(min(groups), signal.SIGKILL)  # the first that was started

    run.wait_for("The tick function ended (signal 9) and restarts in 1 s")
    until(run.answers, PATIENCE)
    assert run.function_groups() - groups
