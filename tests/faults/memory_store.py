"""A store in memory, for tests that make thousands of calls."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any

from shared.model.entries import Entry
from shared.model.job import Job
from shared.store.documents import Unreadable
from shared.store.protocol import PAGE, Change, Lost, Outcome, Store, Won


class MemoryStore(Store):
    """The smallest store there is."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self._versions = count(1)

    def get(self, job_ids: Collection[str]) -> dict[str, Job | Unreadable]:
        return {job_id: self.jobs[job_id] for job_id in job_ids if job_id in self.jobs}

    def due(self, now: datetime, limit: int = PAGE) -> list[Job | Unreadable]:
        due = [(job.ready_at, job.id) for job in self.jobs.values() if job.ready_at and job.ready_at <= now]
        return [self.jobs[job_id] for _, job_id in sorted(due)[:limit]]

    def page(self, **query: Any) -> list[Job | Unreadable]:
        raise NotImplementedError

    def history(self, **query: Any) -> list[Entry]:
        raise NotImplementedError

    def now(self) -> datetime:
        raise NotImplementedError

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        return [self._apply(*change) for change in changes]

    def _apply(self, before: Job | Unreadable | None, after: Job | Unreadable | None) -> Outcome:
        assert isinstance(after, Job)
        present = self.jobs.get(after.id)
        if (present and present.version) != (before and before.version):
            return Lost()
        self.jobs[after.id] = replace(after, version=next(self._versions))
        return Won(self.jobs[after.id])
