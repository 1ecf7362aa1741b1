"""`watchkeeper jobs history`, and the runs in `jobs show`."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shared.model.history import Result as RunResult
from shared.model.job import Job
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Won
from watchkeeper.cli.main import watchkeeper
from watchkeeper.session import Session
from watchkeeper.times import took

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
JobFactory = Callable[..., Job]
Command = Callable[..., Result]


@pytest.fixture
def store(tmp_path: Path, now: datetime) -> JsonStore:
    return JsonStore(tmp_path / "jobs.json", lambda: now)


@pytest.fixture
def run(tmp_path: Path, now: datetime) -> Command:
    """Call `watchkeeper jobs` three hours after the jobs ran."""

    def run(*args: str, **env: str) -> Result:
        env = {"SCHEDULER_JSON_PATH": str(tmp_path / "jobs.json"), **env}
        session = Session(env=env, clock=lambda: now + 3 * HOUR, user="ada")
        return CliRunner().invoke(watchkeeper, ["jobs", *args], obj=session)

    return run


def ran(store: JsonStore, job: Job, at: datetime, **said: object) -> Job:
    """Run a job at a time, for 1.5 seconds."""
    held = _put(store, job if job.version else None, job.claim(now=at, token=f"{at}", lease=HOUR, retention=HOUR))
    result = RunResult(started_at=at, ended_at=at + timedelta(seconds=1.5), by="schedule", **said)  # type: ignore[arg-type]
    return _put(store, held, held.finish(result, retention=HOUR))


def _put(store: JsonStore, before: Job | None, after: Job) -> Job:
    (outcome,) = store.swap([Change(before, after)])
    assert isinstance(outcome, Won)
    assert isinstance(outcome.job, Job)
    return outcome.job


def test_the_runs_of_a_job_are_listed(run: Command, store: JsonStore, job_factory: JobFactory, now: datetime) -> None:
    """More than the job's own ten, the latest first, with their length and their result."""
    job = job_factory("report", cron="* * * * *")
    for number in range(12):
        job = ran(store, job, now + number * MINUTE, output=f"{number} rows")

    lines = run("history", "report").stdout.splitlines()

    assert lines[0].split() == ["ID", "OCCURRENCE", "OUTCOME", "STARTED", "TOOK", "BY", "RESULT"]
    assert [line.split()[-2:] for line in lines[1:]] == [[f"{number}", "rows"] for number in reversed(range(12))]
    assert "1.5 s" in lines[1]


def test_the_runs_of_all_jobs_are_selected(
    run: Command, store: JsonStore, job_factory: JobFactory, now: datetime
) -> None:
    """By age, by failure, and up to a number."""
    ran(store, job_factory("old"), now, error="boom", trace="agent/handlers.py:41 in report")
    ran(store, job_factory("new"), now + 2 * HOUR)

    assert [each["job_id"] for each in json.loads(run("history", "--json").stdout)] == ["new", "old"]
    assert [each["job_id"] for each in json.loads(run("history", "--json", "--limit", "1").stdout)] == ["new"]
    assert [each["job_id"] for each in json.loads(run("history", "--json", "--since", "90m").stdout)] == ["new"]
    failed = run("history", "--failed").stdout.splitlines()
    assert len(failed) == 2
    assert failed[1].endswith("boom (agent/handlers.py:41 in report)")
    assert run("history", "nobody").stdout == "No runs found.\n"


def test_the_time_of_the_next_try_is_no_part_of_the_occurrence(
    run: Command, store: JsonStore, job_factory: JobFactory, now: datetime
) -> None:
    """Only for missed runs is `until` an occurrence, the last one."""
    ran(store, job_factory("report"), now, error="boom")

    assert " to " not in run("history", "report").stdout


def test_without_a_history_it_says_so(run: Command) -> None:
    """Otherwise it would look like a job that never ran."""
    assert "SCHEDULER_HISTORY_DAYS is 0 here" in run("history", SCHEDULER_HISTORY_DAYS="0").stderr


def test_a_job_is_shown_without_the_token_of_its_holder(
    run: Command, store: JsonStore, job_factory: JobFactory, now: datetime
) -> None:
    """Its token would allow anybody to start a job that waits in its queue."""
    ran(store, job_factory("report"), now)

    shown = [run("show", "report").stdout, run("show", "report", "--json").stdout, run("list", "--json").stdout]

    assert not any("lease_token" in text for text in shown)
    assert "why" in shown[0]
    assert "1.5 s" in shown[0]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(0.0004, "0 ms", id="nothing"),
        pytest.param(0.35, "350 ms", id="milliseconds"),
        pytest.param(12.44, "12.4 s", id="seconds"),
        pytest.param(59.9, "59.9 s", id="nearly-a-minute"),
        pytest.param(300, "5 min", id="minutes"),
    ],
)
def test_how_long_a_run_took(seconds: float, text: str) -> None:
    """In the most useful unit."""
    assert took(timedelta(seconds=seconds)) == text
