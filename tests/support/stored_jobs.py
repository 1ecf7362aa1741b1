"""Jobs in a store: inserted, claimed, read back, and documents as other programs write them."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from shared.model.history import Result
from shared.model.job import Job
from shared.store.firestore import FirestoreStore
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Outcome, Store, Won

LEASE = timedelta(minutes=5)
RETENTION = timedelta(days=30)
JobFactory = Callable[..., Job]


def insert(store: Store, *jobs: Job) -> list[Job]:
    """Store jobs and return them with their versions."""
    outcomes = store.swap([Change(None, job) for job in jobs])
    return [won(outcome) for outcome in outcomes]


def won(outcome: Outcome) -> Job:
    assert isinstance(outcome, Won)
    assert isinstance(outcome.job, Job)
    return outcome.job


def read(store: Store, job_id: str) -> Job:
    found = store.get([job_id])[job_id]
    assert isinstance(found, Job)
    return found


def claimed(job: Job, now: datetime, token: str = "token") -> Job:
    return job.claim(now=now, token=token, lease=LEASE, retention=RETENTION)


def result(now: datetime, **changes: Any) -> Result:
    return Result(**{"started_at": now, "ended_at": now, "by": "schedule", **changes})


def write_raw(store: Store, job_id: str, document: dict[str, Any]) -> None:
    """Write a document as another program, or a person, would."""
    if isinstance(store, FirestoreStore):
        store._jobs.document(job_id).set(document)
        return
    assert isinstance(store, JsonStore)
    path = store._path
    empty: dict[str, Any] = {"counter": 0, "jobs": {}, "versions": {}}
    content = json.loads(path.read_text()) if path.exists() else empty
    content["jobs"][job_id] = document
    path.write_text(json.dumps(content, default=lambda time: time.isoformat()))
