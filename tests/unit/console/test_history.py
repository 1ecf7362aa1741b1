"""All runs of a job, the last day of all jobs, and the log of a run."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from shared.jobs import Jobs
from shared.model.entries import Entry
from shared.model.history import Result, Run, RunOutcome
from shared.model.job import Job
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Won
from tests.support.console_page import MINUTE, RETENTION, get, held
from watchkeeper.console import views
from watchkeeper.console.app import RUNS
from watchkeeper.console.day import Day, strip
from watchkeeper.console.system import System


def test_all_runs_of_a_job_are_shown_a_page_at_a_time(system: System, json_store: JsonStore, now: datetime) -> None:
    """The newest first, more than the ten in the job; each with a link to its log."""
    ran(json_store, Job.create("job", "log", now=now - timedelta(hours=2), cron="* * * * *"), RUNS + 3, now)
    local = replace(system, log_file=Path("log.jsonl"))

    first = get(local, "/api/jobs/job/runs").get_json()
    second = get(local, f"/api/jobs/job/runs?after={first['runs'][-1]['id']}").get_json()
    deployed = get(replace(system, project="my-project"), "/api/jobs/job/runs").get_json()

    assert (len(first["runs"]), first["has_more"], len(second["runs"]), second["has_more"]) == (RUNS, True, 3, False)
    assert first["runs"][0]["local"].endswith(":00 UTC")
    assert first["runs"][0]["log"].startswith("/api/jobs/job/log?since=2026-11-21T")
    assert deployed["runs"][0]["log"].startswith("https://console.cloud.google.com/logs/query;query=")


def test_a_retry_in_the_history_is_late_by_its_own_due_time(now: datetime) -> None:
    """Its lateness does not count from the time of the occurrence."""
    first = Run(schedule_at=now, outcome=RunOutcome.RETRIED, started_at=now, ended_at=now, until=now + MINUTE)
    again = Run(schedule_at=now, outcome=RunOutcome.COMPLETED, started_at=now + MINUTE, ended_at=now + MINUTE)
    entries = [
        Entry(id=f"job~{at}", job_id="job", job_type="log", at=now, attempt=1, run=run, expire_at=now)
        for at, run in enumerate([again, first])
    ]

    runs = views.past(entries, "UTC", lambda entry: "")

    assert [(run["outcome"], "late" in run["says"]) for run in runs] == [("completed", False), ("retried", False)]


def ran(store: JsonStore, job: Job, times: int, now: datetime, error: str | None = None) -> Job:
    """Store a job and run it this many times."""
    (stored,) = store.swap([Change(None, job)])
    for _ in range(times):
        assert isinstance(stored, Won)
        assert isinstance(stored.job, Job)
        at = stored.job.ready_at or now
        (held_now,) = store.swap([Change(stored.job, held(stored.job, at))])
        assert isinstance(held_now, Won)
        assert isinstance(held_now.job, Job)
        done = Result(started_at=at, ended_at=at, by="schedule", error=error, final=True)
        (stored,) = store.swap([Change(held_now.job, held_now.job.finish(done, retention=RETENTION))])
    assert isinstance(stored, Won)
    assert isinstance(stored.job, Job)
    return stored.job


def test_the_last_day_is_counted_by_half_hour(jobs: Jobs, json_store: JsonStore, now: datetime) -> None:
    """Successes and failures, by the time of their start."""
    begin = now - timedelta(hours=3)
    ran(json_store, Job.create("good", "log", now=begin, cron="*/20 * * * *"), 3, now)
    ran(json_store, Job.create("bad", "log", now=begin, at=begin), 1, now, error="no luck")
    ran(json_store, Job.create("old", "log", now=now - timedelta(hours=30), at=now - timedelta(hours=25)), 1, now)

    intervals = strip(Day(jobs, is_billed=False).read(now), now, str)

    assert len(intervals) == 48
    assert intervals[-1]["begin"] == "2026-11-21T09:00:00Z"
    assert [(each["begin"][11:16], each["good"], each["bad"]) for each in intervals if each["good"] or each["bad"]] == [
        ("06:00", 2, 1),
        ("06:30", 1, 0),
    ]


def test_the_last_day_is_read_once(jobs: Jobs, json_store: JsonStore, now: datetime) -> None:
    """Billed reads: then only what may be new, every five minutes; what is a day old is dropped."""
    ran(json_store, Job.create("first", "log", now=now - timedelta(hours=23)), 1, now)
    asked: list[Any] = []
    seconds = [0.0]

    class Recording:
        def history(self, **given: Any) -> Any:
            asked.append(given["since"])
            return jobs.history(**given)

    recording: Any = Recording()
    day = Day(recording, is_billed=True, monotonic=lambda: seconds[0])
    counts = []
    for later in (0, 299, 300, 7200):
        seconds[0] = float(later)
        counts.append(len(day.read(now + timedelta(seconds=later))))

    assert counts == [1, 1, 1, 0]
    assert asked == [
        now - timedelta(days=1),
        now - timedelta(minutes=30),
        now + timedelta(minutes=5) - timedelta(minutes=30),
    ]


def test_the_log_of_a_run_is_shown(system: System, tmp_path: Path) -> None:
    """The lines between its start and its end; without a log file the answer is 404."""
    lines = [
        {"time": f"2026-11-21T09:00:{second:02}Z", "severity": "INFO", "message": f"line {second}", "job_id": "job"}
        for second in range(5)
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    asked = "/api/jobs/job/log?since=2026-11-21T09:00:01Z&until=2026-11-21T09:00:02Z"

    shown = get(replace(system, log_file=path), asked).get_json()["lines"]

    assert [(line["at"], line["text"]) for line in shown] == [
        ("Sat 21 Nov 2026, 10:00:01 CET", "line 1"),
        ("Sat 21 Nov 2026, 10:00:02 CET", "line 2"),
    ]
    assert get(replace(system, log_file=path), "/api/jobs/job/log").status_code == 422
    assert get(replace(system, log_file=path), asked.replace("Z", "")).status_code == 422
    assert get(system, asked).status_code == 404
