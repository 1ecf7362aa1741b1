"""The command line, called in this process on a JSON store, and what its tests put there."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from shared.model.job import Job
from shared.store.documents import Unreadable
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Outcome, Won
from watchkeeper.cli.main import watchkeeper
from watchkeeper.session import Session

HELLO = '{"message": "hello"}'
HOUR = timedelta(hours=1)
JobFactory = Callable[..., Job]


@dataclass
class Terminal:
    """Calls the command line in this process, as Ada, on one job file; `at` is the time."""

    path: Path
    at: datetime
    env: dict[str, str] = field(default_factory=dict)
    fakes: dict[str, object] = field(default_factory=dict)
    clock: Callable[[], datetime] | None = None

    def __call__(self, *args: str, answer: str | None = None, color: bool = False) -> Result:
        """Call `watchkeeper` with the arguments; `answer` is its standard input, `color` a terminal that has it."""
        session = Session(
            env={"SCHEDULER_JSON_PATH": str(self.path), **self.env}, clock=self.clock or (lambda: self.at), user="ada"
        )
        vars(session).update(self.fakes)
        return CliRunner().invoke(watchkeeper, args, obj=session, input=answer, color=color)

    @property
    def store(self) -> JsonStore:
        """The store behind the commands."""
        return JsonStore(self.path, lambda: self.at)

    def put(self, *jobs: Job) -> None:
        """Store jobs."""
        assert all(isinstance(outcome, Won) for outcome in self.store.swap([Change(None, job) for job in jobs]))

    def put_raw(self, **documents: Mapping[str, Any]) -> None:
        """Write documents into the file as they stand, in the place of all jobs."""
        self.path.write_text(json.dumps({"counter": 1, "jobs": documents, "versions": {}}))

    def job(self, job_id: str = "job") -> Job:
        """Read a job."""
        job = self.store.get([job_id])[job_id]
        assert isinstance(job, Job), job
        return job


def former(job_id: str = "job", **fields: Any) -> dict[str, Any]:
    """Return an object of the former system's jobs.json."""
    return {
        "id": job_id,
        "job_type": "log",
        "schedule_at": "2026-11-20T09:00:00",
        "payload": {"message": "hello"},
        "status": "pending",
        "created_at": "2026-10-01T08:30:00",
        "attempts": 0,
        "max_attempts": 3,
        **fields,
    }


@dataclass
class ScriptedStore:
    """A store that holds the given documents and answers every swap in the same way."""

    answer: Outcome
    documents: Sequence[Job | Unreadable] = ()
    swapped: list[Change] = field(default_factory=list)

    def get(self, job_ids: Collection[str]) -> dict[str, Job | Unreadable]:
        return {}

    def page(self, **_: Any) -> list[Job | Unreadable]:
        return list(self.documents)

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        self.swapped += changes
        return [self.answer] * len(changes)
