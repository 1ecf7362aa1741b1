"""Every job as the page last read it, so that searching, sorting and counting cost no read.

A store lists by id and by one status; a person searches all fields and wants a total. So all jobs are read once, and
later only those that can have changed. A job changes by itself only when it runs, and it runs only when it is due: due
jobs are read again by their ids, and so are the ones on view. Changes by other people show when all are read again.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from threading import RLock

from shared.jobs import Jobs, readable
from shared.model.job import Job
from watchkeeper.console.selection import Record

ALL_EVERY = {False: timedelta(), True: timedelta(minutes=10)}  # by whether a read is billed
AGAIN_AFTER = {False: timedelta(seconds=0.5), True: timedelta(seconds=20)}  # one job: there may be several tabs
SHARE = 10  # reading all takes at most a tenth of the time, where it is not billed


class Catalogue:
    """The jobs and subscriptions of one store. Its methods raise StoreUnavailable."""

    def __init__(
        self,
        jobs: Jobs,
        *,
        clock: Callable[[], datetime],
        is_billed: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._jobs = jobs
        self._clock = clock
        self._monotonic = monotonic
        self._is_billed = is_billed
        self._lock = RLock()
        self._found: dict[str, Record] = {}
        self._read_at: dict[str, datetime] = {}
        self._next_all = float("-inf")
        self.whole_at: datetime | None = None

    def read(self, *, anew: bool = False) -> Sequence[Record]:
        """Return every job by id, after reading those that can have changed, or all with `anew`."""
        with self._lock:
            if anew or self._monotonic() >= self._next_all:
                self._read_all()
            else:
                now = self._clock()
                self.again([job.id for job in self._found.values() if _can_have_changed(job, now)])
            return [self._found[job_id] for job_id in sorted(self._found)]

    def again(self, job_ids: Collection[str]) -> Mapping[str, Record]:
        """Return the named jobs as they are now; those that are gone are absent."""
        with self._lock:
            now = self._clock()
            begin = now - AGAIN_AFTER[self._is_billed]
            if old := [job_id for job_id in job_ids if self._read_at.get(job_id, begin) <= begin]:
                found = self._jobs.look_up(old)
                for job_id in old:
                    self._put(job_id, found.get(job_id), now)
            return {job_id: self._found[job_id] for job_id in job_ids if job_id in self._found}

    def get(self, job_id: str) -> Job:
        """Return one job. Raises UnknownJob, or InvalidJob for a document that cannot be read."""
        return readable(job_id, self.again([job_id]).get(job_id))

    def look_again(self, job_ids: Collection[str]) -> None:
        """Read these jobs at once: somebody has just made, changed or deleted them here."""
        with self._lock:
            for job_id in job_ids:
                self._read_at.pop(job_id, None)
            self.again(job_ids)

    def _read_all(self) -> None:
        began, now, is_first = self._monotonic(), self._clock(), self.whole_at is None
        found = {job.id: job for job in self._jobs.list(with_subscriptions=True)}
        self._found, self._read_at, self.whole_at = found, dict.fromkeys(found, now), now
        ended = self._monotonic()
        took = 0.0 if is_first else ended - began  # a job file is parsed once, and says nothing of the next time
        self._next_all = ended + max(ALL_EVERY[self._is_billed].total_seconds(), SHARE * took)

    def _put(self, job_id: str, job: Record | None, now: datetime) -> None:
        self._read_at[job_id] = now
        if job is None:
            self._found.pop(job_id, None)
        else:
            self._found[job_id] = job


def _can_have_changed(job: Record, now: datetime) -> bool:
    """Return whether somebody may have claimed, finished or handed back the job since it was read."""
    return isinstance(job, Job) and (job.lease_until is not None or (job.ready_at is not None and job.ready_at <= now))
