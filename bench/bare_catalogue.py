"""The bare limits of the command line's lists and imports, each a process of its own.

python -P bench/bare_catalogue.py list_json FILE          read the job file, and parse its jobs, once
python -P bench/bare_catalogue.py import_firestore FILE   write its jobs with the client's batches, one after another
python -P bench/bare_catalogue.py list_firestore          read them by one query, and write them as JSON
"""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CALL = 500
BARE = "bare"
TIMES = ("schedule_at", "created_at")


def list_json(file: str) -> None:
    """Read the job file once, and parse its jobs."""
    from shared.store.json_file import JsonStore

    JsonStore(Path(file), lambda: datetime.now(UTC)).page(limit=sys.maxsize)


def import_firestore(file: str) -> None:
    """Create a document for each job in the former system's file."""
    from google.cloud import firestore
    from google.cloud.firestore_v1.bulk_batch import BulkWriteBatch

    client, jobs = firestore.Client(), json.loads(Path(file).read_text())
    for start in range(0, len(jobs), CALL):
        batch = BulkWriteBatch(client=client)
        for job in jobs[start : start + CALL]:
            batch.create(client.collection(BARE).document(job["id"]), _document(job))
        batch.commit(timeout=60)


def list_firestore() -> None:
    """Read all documents by one query, and write them as one JSON list."""
    from google.cloud import firestore

    query = firestore.Client().collection(BARE).order_by("__name__")
    sys.stdout.write(json.dumps([snapshot.to_dict() for snapshot in query.stream(timeout=60)], default=str))


def _document(job: dict[str, Any]) -> dict[str, Any]:
    times = {name: datetime.fromisoformat(job[name]).replace(tzinfo=UTC) for name in TIMES}
    return {**job, **times, "payload": json.dumps(job["payload"])}


LIMITS: dict[str, Callable[..., None]] = {
    "list_json": list_json,
    "import_firestore": import_firestore,
    "list_firestore": list_firestore,
}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    LIMITS[name](*arguments)
