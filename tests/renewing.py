"""The renewing functions as their tests see them: a call with what it logged, the record that it leaves, its store."""

import json
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.cloud import firestore

from shared.model.job import Job
from shared.store.firestore import FirestoreStore
from shared.store.json_file import JsonStore
from shared.store.protocol import Store
from tests.running import RunningFunction


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Answered:
    """A call: its trace, its status, its answer, and the lines that were logged for it."""

    trace: str
    status: int
    body: Any
    lines: list[dict[str, Any]]

    def errors(self) -> list[str]:
        """Return the messages that were logged as ERROR."""
        return [line["message"] for line in self.lines if line["severity"] == "ERROR"]

    def lines_about(self, job_id: str) -> list[dict[str, Any]]:
        """Return the lines that name this job."""
        return [line for line in self.lines if line.get("job_id") == job_id]


def call(function: RunningFunction, path: str = "/") -> Answered:
    """Call it as Cloud Scheduler does, under a trace of its own."""
    trace = uuid.uuid4().hex
    status, body = function.call(path, headers={"X-Cloud-Trace-Context": f"{trace}/1;o=1"})
    lines = [line for line in function.log_lines() if trace in line.get("logging.googleapis.com/trace", "")]
    return Answered(trace, status, body, lines)


def call_at_once(*functions: RunningFunction) -> list[Answered]:
    """Call each at the same moment."""
    start = threading.Barrier(len(functions))

    def wait_and_call(function: RunningFunction) -> Answered:
        start.wait(20)
        return call(function)

    with ThreadPoolExecutor(len(functions)) as pool:
        return list(pool.map(wait_and_call, functions))


def let_out(function: RunningFunction, *answers: Answered) -> str:
    """Return all that people may see of these calls: the answers, and the whole log of the process."""
    return "\n".join([*(json.dumps(answered.body) for answered in answers), function.log.read_text()])


@dataclass(frozen=True)
class Storage:
    """A store, and the settings that lead a function to it."""

    store: Store
    env: Mapping[str, str]

    def record(self, job_id: str) -> Job:
        """Return the record of a subscription."""
        job = self.store.get([job_id])[job_id]
        assert isinstance(job, Job), job
        return job


def in_file(folder: Path) -> Storage:
    """A store in a file of this folder."""
    path = folder / "jobs.json"
    return Storage(JsonStore(path, utc_now), {"SCHEDULER_JSON_PATH": str(path)})


def in_firestore(client: firestore.Client) -> Storage:
    """A store of its own on the emulator."""
    collection = f"jobs-{uuid.uuid4().hex}"
    env = {"SCHEDULER_STORAGE": "firestore", "SCHEDULER_COLLECTION": collection, "GOOGLE_CLOUD_PROJECT": "test"}
    return Storage(FirestoreStore(client, collection), env)
