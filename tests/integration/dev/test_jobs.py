"""Jobs in a local run: at once when a person asks, and long ones off the tick."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import requests

from shared.jobs import Jobs
from shared.model.job import Job
from shared.model.value import Status
from shared.settings import PROJECT_FOLDER
from shared.store.json_file import JsonStore
from shared.store.protocol import Change
from tests.support.local_run import PATIENCE, LocalRun, nothing_is_left
from tests.support.running import until
from watchkeeper.dev.run import EXAMPLE_JOB


def is_due(jobs: Jobs, job_id: str) -> bool:
    """Return whether a job is due."""
    return jobs.get(job_id).is_due(datetime.now(UTC))


def waiting_of(jobs: Jobs, names: Iterable[str]) -> list[str]:
    """Return which of these jobs wait in a queue."""
    return [name for name in names if jobs.get(name).handed_over is not None]


def tasks_at(fake: str) -> list[dict[str, Any]]:
    """Return the tasks of the fake of Cloud Tasks that is at this address."""
    queues = requests.get(f"{fake}/stand-in", timeout=PATIENCE).json()["state"]["queues"]
    return [task for queue in queues.values() for task in queue["tasks"]]


def test_a_job_that_a_person_asks_for_runs_within_a_second(
    start: Callable[..., LocalRun], tick_alone: Path, jobs: Jobs, slow_handlers: str, tmp_path: Path
) -> None:
    """By a command, by Python and in the console, also during a tick. No tick is scheduled here."""
    run = start(tick_alone, JOB_HANDLERS=slow_handlers, SCHEDULER_CADENCE="0 0 1 1 *")
    run.wait_for(f"Job {EXAMPLE_JOB} completed")
    page = run.address
    jobs.schedule("log", {"message": "Later"}, id="later", after=timedelta(days=1))
    jobs.schedule("log", {"message": "Again"}, id="again", cron="0 0 1 1 *")

    jobs.schedule("patient", id="slow")
    run.wait_for("patient has begun")
    jobs.schedule("log", {"message": "Added"}, id="added")
    run.wait_for("Job added completed")
    env = {"SCHEDULER_JSON_PATH": str(tmp_path / "jobs.json"), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", "from watchkeeper.cli.main import main; main()", "jobs", "run", "later"]
    subprocess.run(command, cwd=PROJECT_FOLDER, env=env, check=True, timeout=PATIENCE, stdout=subprocess.DEVNULL)
    run.wait_for("Job later completed")
    clicked = requests.post(f"{page}/api/jobs/again/run", json={}, headers={"Origin": page}, timeout=PATIENCE)
    run.wait_for("Job again completed")

    ran = [jobs.get(job_id).recent_runs[-1] for job_id in ("added", "later", "again")]
    lateness = [each.started_at - each.schedule_at for each in ran if each.started_at is not None]
    assert clicked.status_code == 200
    assert len(lateness) == 3
    assert sorted(lateness)[1] < timedelta(seconds=1)
    assert max(lateness) < timedelta(seconds=5)  # on a busy machine
    assert jobs.get("slow").status is Status.RUNNING


def test_long_jobs_delay_no_other_job(start: Callable[..., LocalRun], with_queue: Path, jobs: Jobs) -> None:
    """Two of three long jobs run and one waits, while other jobs are due second by second, and each runs at once.

    A person sees which one waits, and at the end nothing is left, and what ran is ready again.
    """
    run = start(with_queue, JOB_HANDLERS="queued", SCHEDULER_CADENCE="0 0 1 1 *")
    run.wait_for(f"Job {EXAMPLE_JOB} completed")
    page = run.address
    names = ("first", "second", "third")
    for name in names:
        jobs.schedule("study", id=name)
    until(lambda: sum(jobs.get(name).started_at is not None for name in names) == 2, PATIENCE)
    minutes = [f"minute-{number}" for number in range(3)]
    for number, name in enumerate(minutes):
        jobs.schedule("log", {"message": name}, id=name, after=timedelta(seconds=1 + number))

    for name in minutes:
        until(partial(is_due, jobs, name), PATIENCE)
        answer = requests.post(f"{page}/api/call/tick", json={}, headers={"Origin": page}, timeout=PATIENCE)
        assert answer.status_code == 200
        assert jobs.get(name).status is Status.COMPLETED

    ran = [jobs.get(name).recent_runs[-1] for name in minutes]
    lateness = [each.started_at - each.schedule_at for each in ran if each.started_at is not None]
    (waiting,) = waiting_of(jobs, names)
    shown = requests.get(f"{page}/api/jobs/{waiting}", timeout=PATIENCE).json()
    groups = run.function_groups()
    code = run.end(signal.SIGINT)

    assert max(lateness) < timedelta(seconds=2)
    assert shown["why"].startswith("It was handed over, and has been waiting in queue agents since ")
    assert f"{waiting} has begun" not in run.output
    assert len(groups) == 3
    assert code == 0
    until(partial(nothing_is_left, groups, run.port), PATIENCE)
    assert {jobs.get(name).status for name in names if name != waiting} == {Status.PENDING}


def test_a_job_in_the_queue_of_an_earlier_run_is_handed_over_again(
    start: Callable[..., LocalRun], with_queue: Path, jobs: Jobs, tmp_path: Path
) -> None:
    """At once, although its lease has minutes left, and no holder counts as dead."""
    now, lease = datetime.now(UTC), timedelta(minutes=5)
    job = Job.create("waiting", "study", now=now)
    waited = job.claim(now=now, token="t", lease=lease, retention=lease, queue="agents")
    JsonStore(tmp_path / "jobs.json", lambda: now).swap([Change(None, waited)])

    run = start(with_queue, JOB_HANDLERS="queued", SCHEDULER_CADENCE="0 0 1 1 *")
    run.wait_for("waiting has begun")

    assert (jobs.get("waiting").reclaims, jobs.get("waiting").recent_runs) == (0, ())


def test_a_process_with_a_thread_left_behind_is_replaced(
    start: Callable[..., LocalRun], with_queue: Path, jobs: Jobs
) -> None:
    """It answers, ends and is replaced: two more jobs run at once."""
    jobs.schedule("overlong", id="overlong")
    run = start(with_queue, JOB_HANDLERS="queued", SCHEDULER_CADENCE="0 0 1 1 *")

    run.wait_for("This process ends after its answer")
    run.wait_for("Delivery of job overlong: retried")
    for name in ("next-a", "next-b"):
        jobs.schedule("study", id=name)

    for name in ("next-a", "next-b"):
        run.wait_for(f"{name} has begun")
    assert jobs.get("overlong").attempts == 1


def test_a_cancelled_job_leaves_its_queue(start: Callable[..., LocalRun], with_queue: Path, jobs: Jobs) -> None:
    """In the console, which links to the queues: only the running task is left."""
    run = start(with_queue, JOB_HANDLERS="queued", SCHEDULER_CADENCE="0 0 1 1 *")
    run.wait_for("Scheduler tick completed")
    page = run.address
    services = requests.get(f"{page}/api/about", timeout=PATIENCE).json()["services"]
    (fake,) = (service["address"] for service in services if service["name"] == "Cloud Tasks")
    names = ("first", "second", "third")
    for name in names:
        jobs.schedule("study", id=name)
    until(lambda: len(waiting_of(jobs, names)) == 1 and len(tasks_at(fake)) == 3, PATIENCE)
    (waiting,) = waiting_of(jobs, names)

    requests.post(f"{page}/api/jobs/{waiting}/cancel", json={}, headers={"Origin": page}, timeout=PATIENCE)

    assert jobs.get(waiting).status is Status.CANCELLED
    assert [task["running"] for task in tasks_at(fake)] == [1, 1]
