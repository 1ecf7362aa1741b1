"""A job as its holder changes it: claimed and finished at a given time."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from shared.model.history import Result, RunOutcome
from shared.model.job import Job

LEASE = timedelta(minutes=5)
RETENTION = timedelta(days=30)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
JobFactory = Callable[..., Job]


def claim(job: Job, now: datetime, token: str = "token") -> Job:
    return job.claim(now=now, token=token, lease=LEASE, retention=RETENTION)


def finish(job: Job, now: datetime, **said: Any) -> Job:
    return job.finish(Result(started_at=now, ended_at=now, by="schedule", **said), retention=RETENTION)


def outcomes(job: Job) -> list[str]:
    return [run.outcome.value for run in job.recent_runs]


def stop(job: Job, command: str, now: datetime) -> Job:
    return job.pause(now=now) if command == "pause" else job.cancel(now=now, retention=RETENTION)


def ran(job: Job, now: datetime, error: str | None = None) -> Job:
    """Return the job after a run, whose error is final."""
    return finish(claim(job, now), now, error=error, final=True)


def missed(job: Job) -> list[tuple[datetime, datetime | None]]:
    """Return the first and the last of the occurrences in each entry of missed ones."""
    return [(run.schedule_at, run.until) for run in job.recent_runs if run.outcome is RunOutcome.MISSED]
