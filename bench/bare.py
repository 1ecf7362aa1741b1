"""The bare client: the minimum that any program must do to find, claim and finish jobs in Firestore.

One query, one batch that claims, one that finishes. Each write carries the fields that a tick changes too, and the
condition that nobody else has written meanwhile.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from google.cloud.firestore_v1.bulk_batch import BulkWriteBatch

from bench.worker import client, clock
from shared.store.protocol import PAGE

CALL_SECONDS = 30.0


def bare_tick(collection: str, with_history: bool = True) -> float:
    """Claim and finish a page of due jobs, and write an entry of each run; return the seconds it took."""
    began = time.perf_counter()
    found = due(collection)
    times = update(collection, [(job.id, job.update_time, claim_fields()) for job in found])
    _finish(collection, found, times)
    if with_history:
        create(f"{collection}_runs", {f"{job.id}~{began}": entry_fields(job) for job in found})
    return time.perf_counter() - began


def bare_pool(collection: str, threads: int, wait: float) -> float:
    """Do the same for jobs that wait for some seconds, each in one of several threads; return the seconds it took."""
    began = time.perf_counter()
    found = due(collection)
    times = update(collection, [(job.id, job.update_time, claim_fields()) for job in found])
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(time.sleep, [wait] * len(found)))
    _finish(collection, found, times)
    create(f"{collection}_runs", {f"{job.id}~{began}": entry_fields(job) for job in found})
    return time.perf_counter() - began


def bare_query(collection: str) -> float:
    """Query due jobs once; return the seconds it took."""
    began = time.perf_counter()
    due(collection)
    return time.perf_counter() - began


def bare_listing(collection: str, space: str) -> float:
    """Query the jobs of a space that have not ended; return the seconds it took."""
    began = time.perf_counter()
    is_open = FieldFilter("status", "in", ["pending", "running", "paused", "failed"])
    query = client().collection(collection).where(filter=FieldFilter("space", "==", space)).where(filter=is_open)
    list(query.get(timeout=CALL_SECONDS))
    return time.perf_counter() - began


def due(collection: str) -> list[firestore.DocumentSnapshot[Any]]:
    is_due = FieldFilter("ready_at", "<=", clock())
    query = client().collection(collection).where(filter=is_due).order_by("ready_at").limit(PAGE)
    return list(query.get(timeout=CALL_SECONDS))


def _finish(collection: str, found: Sequence[firestore.DocumentSnapshot[Any]], times: Sequence[Any]) -> None:
    finishes = [finish_fields(job.get("schedule_at")) for job in found]
    update(collection, [(job.id, time, fields) for job, time, fields in zip(found, times, finishes, strict=True)])


def update(collection: str, updates: Sequence[tuple[str, Any, dict[str, Any]]]) -> list[Any]:
    """Write the fields of each job if its version is unchanged; return the new versions."""
    batch = BulkWriteBatch(client=client())
    for job_id, version, fields in updates:
        reference = client().collection(collection).document(job_id)
        batch.update(reference, fields, option=client().write_option(last_update_time=version))
    response = batch.commit(timeout=CALL_SECONDS)
    if any(status.code for status in response.status):
        raise RuntimeError("the emulator did not accept all writes")
    return [result.update_time for result in response.write_results]


def create(collection: str, documents: Mapping[str, Mapping[str, Any]]) -> None:
    """Create documents."""
    batch = BulkWriteBatch(client=client())
    for name, fields in documents.items():
        batch.create(client().collection(collection).document(name), dict(fields))
    batch.commit(timeout=CALL_SECONDS)


def entry_fields(job: firestore.DocumentSnapshot[Any]) -> dict[str, Any]:
    """Return the fields of an entry of the history."""
    now = clock()
    run = {"schedule_at": job.get("schedule_at"), "started_at": now, "ended_at": now, "outcome": "completed"}
    return {"job_id": job.id, "job_type": "log", "at": now, "attempt": 1, "expire_at": now + timedelta(days=30), **run}


def claim_fields() -> dict[str, Any]:
    """Return the fields that a claim changes."""
    now = clock()
    until = now + timedelta(minutes=5)
    held = {"ready_at": until, "lease_until": until, "lease_token": uuid.uuid4().hex}
    return {"status": "running", "started_at": now, **held}


def finish_fields(schedule_at: Any) -> dict[str, Any]:
    """Return the fields that a finish changes."""
    now = clock()
    run = {"schedule_at": schedule_at, "started_at": now, "ended_at": now, "outcome": "completed", "by": "schedule"}
    return {
        "status": "completed",
        "ready_at": firestore.DELETE_FIELD,
        "lease_until": firestore.DELETE_FIELD,
        "completed_at": now,
        "expire_at": now + timedelta(days=30),
        "recent_runs": [run],
    }
