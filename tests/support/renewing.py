"""The renewing functions in their tests: a call with its log, the stores, and each function against its fakes."""

import json
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
from google.cloud import firestore

from shared.model.job import Job
from shared.store.firestore import FirestoreStore
from shared.store.json_file import JsonStore
from shared.store.protocol import Store
from tests.support.running import RunningFunction, running_function


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


@dataclass(frozen=True, kw_only=True)
class LocalFunction(ABC):
    """A renewing function on this machine, with a store in a file."""

    name: ClassVar[str]
    folder: Path
    storage: Storage

    @property
    @abstractmethod
    def settings(self) -> dict[str, str]:
        """Return the settings that lead to the fakes."""

    def running(
        self, env: Mapping[str, str] | None = None, *, storage: Storage | None = None
    ) -> AbstractContextManager[RunningFunction]:
        """Run the function, with these settings instead."""
        storage = storage or self.storage
        return running_function(
            self.name, self.folder, {"AUTH_MODE": "off", **self.settings, **storage.env, **(env or {})}
        )


TwoFunctions = tuple[Storage, list[RunningFunction]]
TWO_FUNCTIONS = ["one process", "two processes", pytest.param("firestore", marks=pytest.mark.emulator)]


@contextmanager
def two_functions(local: LocalFunction, request: pytest.FixtureRequest) -> Iterator[TwoFunctions]:
    """Run the function twice over one store, as the fixture's parameter of TWO_FUNCTIONS says."""
    if request.param == "one process":
        of_one = request.getfixturevalue("of_one")
        yield local.storage, [of_one, of_one]
        return
    on_emulator = request.param == "firestore"
    storage = in_firestore(request.getfixturevalue("firestore_client")) if on_emulator else local.storage
    with ExitStack() as stack:
        yield storage, [stack.enter_context(local.running(storage=storage)) for _ in range(2)]


def in_file(folder: Path) -> Storage:
    """A store in a file of this folder."""
    path = folder / "jobs.json"
    return Storage(JsonStore(path, utc_now), {"SCHEDULER_JSON_PATH": str(path)})


def in_firestore(client: firestore.Client) -> Storage:
    """A store of its own on the emulator."""
    collection = f"jobs-{uuid.uuid4().hex}"
    env = {"SCHEDULER_STORAGE": "firestore", "SCHEDULER_COLLECTION": collection, "GOOGLE_CLOUD_PROJECT": "test"}
    return Storage(FirestoreStore(client, collection), env)
