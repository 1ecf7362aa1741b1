"""`jobs show`: all of one job."""

import json
from datetime import datetime, timedelta

from shared.model.history import Result as RunResult
from tests.support.command_line import JobFactory, Terminal, former


def test_a_job_is_shown_with_its_runs(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """All fields, and the history as a table."""
    held = job_factory().claim(now=now, token="t", lease=timedelta(minutes=5), retention=timedelta(days=1))
    run.put(held.claim(now=now + timedelta(minutes=5), token="u", lease=timedelta(minutes=5), retention=timedelta(1)))

    lines = run("jobs", "show", "job").stdout.splitlines()

    assert ["status", "running"] in [line.split() for line in lines]
    assert lines[-2].split() == ["OCCURRENCE", "OUTCOME", "STARTED", "TOOK", "BY", "RESULT"]
    assert lines[-1].split()[:6] == ["2026-11-21", "09:00:00Z", "died", "2026-11-21", "09:00:00Z", "5"]


def test_a_job_is_shown_with_what_its_runs_returned(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """The table of runs ends with the error or the output of each run; in JSON each run has its own."""
    held = job_factory().claim(now=now, token="t", lease=timedelta(minutes=5), retention=timedelta(days=1))
    run.put(held.finish(RunResult(started_at=now, ended_at=now, by="x", output="42 rows"), retention=timedelta(1)))

    assert run("jobs", "show", "job").stdout.splitlines()[-1].endswith("42 rows")
    assert json.loads(run("jobs", "show", "job", "--json").stdout)["recent_runs"][0]["output"] == "42 rows"


def test_a_job_as_json_is_one_object(run: Terminal, job_factory: JobFactory) -> None:
    """It has the same fields as in the list."""
    run.put(job_factory())

    assert json.loads(run("jobs", "show", "job", "--json").stdout)["id"] == "job"


def test_an_unreadable_document_is_shown_and_fails(run: Terminal) -> None:
    """Its content is shown; the error says why it is not a job."""
    run.put_raw(bad=former("bad", status="odd"))

    result = run("jobs", "show", "bad")

    assert result.exit_code == 1
    assert ["status", "odd"] in [line.split() for line in result.stdout.splitlines()]
    assert "schedule_at" in result.stderr or "status is 'odd'" in result.stderr or "created_at" in result.stderr
