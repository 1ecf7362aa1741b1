"""The history collection: one entry for each run, and for missed occurrences, derived from the change of a job.

A run has exactly one entry, no matter who writes it or how often. Its id is made of the job, the time of the claim and
the holder, so a holder that reports its own run and one that took the job over write the same document.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.errors import InvalidInput
from shared.model.history import Run, RunOutcome
from shared.model.job import Job
from shared.model.times import iso

KEPT = timedelta(days=30)
SEPARATOR = "~"  # not allowed in the id of a job
ENTRY_ID = re.compile(rf"[^/{SEPARATOR}]+{SEPARATOR}[0-9]{{13}}-[0-9a-z]+", re.ASCII)
END = chr(ord(SEPARATOR) + 1)
_LAST_MILLISECOND = 10**13 - 1  # in the year 2286
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of the history: a run of a job, or the occurrences that it missed.

    `at` is when the run was claimed, or the first missed occurrence; the history is sorted by it. `attempt` counts from
    1 within the occurrence.
    """

    id: str
    job_id: str
    job_type: str
    at: datetime
    attempt: int
    run: Run
    expire_at: datetime

    @property
    def execution_key(self) -> str:
        """Return the key of the occurrence, the same as `Job.execution_key`."""
        return f"{self.job_id}@{iso(self.run.schedule_at)}"


def entries(before: Job, after: Job, *, kept: timedelta) -> list[Entry]:
    """Return the entries for the runs that a change adds to a job; they expire after `kept`.

    If a holder died and the occurrence was therefore given up, that is one run, with the final outcome.
    """
    added = _added(before.recent_runs, after.recent_runs)
    if not added or not kept:
        return []
    ended = [run for run in added if not run.is_missed][-1:]
    return [_entry(before, run, kept) for run in added if run.is_missed or run in ended]


def is_by_its_holder(before: Job, after: Job) -> bool:
    """Return whether a change adds nothing but the end of a run, as its holder knows it."""
    return not any(
        run.is_missed or run.outcome is RunOutcome.DIED for run in _added(before.recent_runs, after.recent_runs)
    )


def _added(before: Sequence[Run], after: Sequence[Run]) -> Sequence[Run]:
    """Return the runs after those of `before`, whose first ones may have been dropped."""
    if before is after:
        return ()
    most = min(len(before), len(after))
    return next(after[kept:] for kept in range(most, -1, -1) if after[:kept] == before[len(before) - kept :])


def _entry(before: Job, run: Run, kept: timedelta) -> Entry:
    at = run.schedule_at if run.is_missed else before.started_at or run.schedule_at
    holder = "missed" if run.is_missed else hashlib.sha256((before.lease_token or "").encode()).hexdigest()[:12]
    return Entry(
        id=f"{_prefix(before.id, at)}-{holder}",
        job_id=before.id,
        job_type=before.job_type,
        at=_EPOCH + _MILLISECOND * _milliseconds(at),
        attempt=before.attempts + 1,
        run=run,
        expire_at=(run.ended_at or run.until or run.schedule_at) + kept,
    )


def ids_of(job_id: str, since: datetime | None = None) -> tuple[str, str]:
    """Return the range of ids of a job's entries, or of those since a time; the latest come first."""
    end = job_id if since is None else _prefix(job_id, since)
    return job_id + SEPARATOR, end + END


def time_of(entry_id: str) -> datetime:
    """Return the `at` of the entry with this id. Raises InvalidInput for an invalid id."""
    if not ENTRY_ID.fullmatch(entry_id):
        raise InvalidInput(f"{entry_id[:100]!r} is not the id of an entry in the history")
    return _EPOCH + _MILLISECOND * (_LAST_MILLISECOND - int(entry_id.rpartition(SEPARATOR)[2][:13]))


def _prefix(job_id: str, at: datetime) -> str:
    return f"{job_id}{SEPARATOR}{_LAST_MILLISECOND - _milliseconds(at):013}"


def _milliseconds(at: datetime) -> int:
    return min(max((at - _EPOCH) // _MILLISECOND, 0), _LAST_MILLISECOND)
