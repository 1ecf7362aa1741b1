"""The jobs for measuring, created by the project's own rules."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from shared.model.history import Result
from shared.model.job import Job

RETENTION = timedelta(days=30)


def due_jobs(count: int, *, now: datetime, job_type: str = "log", prefix: str = "job") -> list[Job]:
    """Return `count` due jobs, the oldest an hour late."""
    return [
        Job.create(
            f"{prefix}-{number:05}",
            job_type,
            now=now,
            payload={"message": f"order {number} is to be looked at"},
            at=now - timedelta(hours=1) * (count - number) / count,
            by="bench",
        )
        for number in range(count)
    ]


def finished_jobs(count: int, *, now: datetime) -> list[Job]:
    """Return `count` completed jobs, as a tick leaves them."""
    return list(_finished(due_jobs(count, now=now), now))


def _finished(jobs: Iterable[Job], now: datetime) -> Iterable[Job]:
    for job in jobs:
        held = job.claim(now=now, token=f"{job.id:032}", lease=timedelta(minutes=5), retention=RETENTION)
        yield held.finish(Result(started_at=now, ended_at=now, by="schedule"), retention=RETENTION)
