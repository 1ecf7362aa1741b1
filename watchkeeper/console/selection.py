"""The jobs that a person asked to see: filtered by state, type and words, sorted, a page at a time."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Self

from shared.model.job import Job
from shared.model.value import Status
from shared.store.documents import Unreadable
from shared.subscriptions import PREFIX

PAGE = 50
LATE = timedelta(minutes=2)  # a tick a minute, and one that was missed
STATES = (*(status.value for status in Status), "late", "stuck", "waiting", "unreadable")

Record = Job | Unreadable


@dataclass(frozen=True, kw_only=True)
class Query:
    """What to show, as the address of the page has it. A sort that begins with a minus is reversed."""

    status: str = ""
    type: str = ""
    words: str = ""
    sort: str = "next"
    page: int = 1

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> Self:
        """Read it from an address; invalid values count as absent."""
        status, sort, page = asked.get("status", ""), asked.get("sort", ""), asked.get("page", "")
        return cls(
            status=status if status in STATES else "",
            type=asked.get("type", ""),
            words=asked.get("q", "").strip(),
            sort=sort if sort.removeprefix("-") in SORTS else "next",
            page=int(page[:9]) if page.isascii() and page.isdigit() and int(page[:9]) > 0 else 1,
        )


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The page of jobs, the ids of all that match, and how many of each state match the other conditions."""

    jobs: Sequence[Record]
    matching: Sequence[str]
    page: int
    pages: int
    counts: Mapping[str, int]
    types: Sequence[str]

    @property
    def digest(self) -> str:
        """Return the same text for the same matching jobs, in any order."""
        return sha256("\n".join(sorted(self.matching)).encode()).hexdigest()


def select(found: Iterable[Record], query: Query, now: datetime, texts: "Texts") -> Selection:
    """Return the jobs that match. A page number beyond the last page means the last."""
    jobs = [job for job in found if not job.id.startswith(PREFIX)]
    words = query.words.casefold().split()
    near = [job for job in jobs if _is_of_type(job, query.type) and (not words or texts.has(job, words))]
    states = {job.id: states_of(job, now) for job in near}
    chosen = [job for job in near if not query.status or query.status in states[job.id]]
    name = query.sort.removeprefix("-")
    chosen.sort(key=lambda job: (SORTS[name](job), job.id), reverse=query.sort.startswith("-"))
    pages = max(1, -(-len(chosen) // PAGE))
    page = min(query.page, pages)
    return Selection(
        jobs=chosen[(page - 1) * PAGE : page * PAGE],
        matching=[job.id for job in chosen],
        page=page,
        pages=pages,
        counts={"all": len(near), **Counter(state for names in states.values() for state in names)},
        types=sorted({job.job_type for job in jobs if isinstance(job, Job)}),
    )


def states_of(job: Record, now: datetime) -> set[str]:
    """Return every state as which a job is counted.

    `failed` includes a recurring job whose latest occurrences were given up: it continues, and never has that status.
    `late` means due but not started, `stuck` started by a holder whose lease has ended.
    """
    if isinstance(job, Unreadable):
        return {"unreadable"}
    states = {"waiting" if job.handed_over is not None else job.status.value}
    if job.failed_in_a_row and job.status in (Status.PENDING, Status.RUNNING, Status.PAUSED):
        states.add("failed")
    if job.lease_until is not None:
        return states | {"stuck"} if job.lease_until <= now - LATE else states
    return states | {"late"} if job.ready_at is not None and job.ready_at <= now - LATE else states


def _is_of_type(job: Record, job_type: str) -> bool:
    return not job_type or (isinstance(job, Job) and job.job_type == job_type)


class Texts:
    """The text of each job to search in, made once for each version of the job."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[Record, str]] = {}

    def has(self, job: Record, words: Sequence[str]) -> bool:
        """Return whether all the words are in its id, type, payload or error."""
        text = self._of(job)
        return all(word in text for word in words)

    def learn(self, jobs: Iterable[Record]) -> None:
        """Make the texts of these jobs before the first search."""
        for job in jobs:
            self._of(job)

    def _of(self, job: Record) -> str:
        made = self._made.get(job.id)
        if made is None or made[0] is not job:
            made = self._made[job.id] = (job, _text(job).casefold())
        return made[1]


def _text(job: Record) -> str:
    if isinstance(job, Unreadable):
        return f"{job.id} {job.reason}"
    payload = json.dumps(job.payload, ensure_ascii=False, default=str)
    return f"{job.id} {job.job_type} {payload} {job.error or ''} {job.space or ''}"


def _next(job: Record) -> tuple[int, float]:
    """Order by the next run: held jobs, then waiting ones, then the rest by their latest run, the newest first."""
    if isinstance(job, Unreadable):
        return 3, 0
    if job.lease_until is not None:
        return 0, job.lease_until.timestamp()
    if job.ready_at is not None:
        return 1, job.ready_at.timestamp()
    latest = latest_run(job)
    return 2, -latest.timestamp() if latest else 0


def latest_run(job: Job) -> datetime | None:
    """Return when the latest run in the job's own history ended."""
    run = job.recent_runs[-1] if job.recent_runs else None
    return (run.ended_at or run.until or run.schedule_at) if run else None


SORTS: Mapping[str, Callable[[Record], Any]] = {
    "next": _next,
    "id": lambda job: job.id,
    "failures": lambda job: -max(job.attempts, job.failed_in_a_row) if isinstance(job, Job) else 0,
    "status": lambda job: job.status.value if isinstance(job, Job) else "unreadable",
}
