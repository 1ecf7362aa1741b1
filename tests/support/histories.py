"""Runs in a store, and their entries in the history."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from shared.model.entries import Entry
from shared.model.history import Result, RunOutcome
from shared.model.job import Job
from shared.store.protocol import Change, Store, Won

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
JobFactory = Callable[..., Job]


def put(store: Store, before: Job | None, after: Job) -> Job:
    """Store a change, and return the job with its version."""
    (outcome,) = store.swap([Change(before, after)])
    assert isinstance(outcome, Won)
    assert isinstance(outcome.job, Job)
    return outcome.job


def claimed(job: Job, now: datetime, token: str) -> Job:
    return job.claim(now=now, token=token, lease=5 * MINUTE, retention=30 * DAY)


def finished(job: Job, now: datetime, **said: Any) -> Job:
    return job.finish(Result(started_at=now, ended_at=now + MINUTE, by="schedule", **said), retention=30 * DAY)


def run(store: Store, job: Job, now: datetime, token: str = "token", **said: Any) -> Job:
    """Claim and finish a stored job."""
    held = put(store, job, claimed(job, now, token))
    return put(store, held, finished(held, now, **said))


def told(found: Sequence[Entry]) -> list[tuple[str, RunOutcome]]:
    return [(entry.execution_key, entry.run.outcome) for entry in found]
