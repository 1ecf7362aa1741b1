"""Runs at once what a person asks for now, so that nobody has to wait for the next minute.

The console, a command in another terminal, Chat and Python code all write to the job store, so the store is watched.
Scheduled jobs are left to the tick of their minute, as in the cloud.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from shared.errors import StoreUnavailable
from shared.jobs import Jobs
from shared.model.job import Job
from shared.store.json_file import stamp_of
from shared.store.protocol import PAGE
from watchkeeper.dev.interrupts import Wait

LOOK_SECONDS = 0.3
MOST_CALLS = 4  # at once; further jobs are found by the running ticks, within ten seconds


class AskedFor:
    """The jobs that people made ready at once. `has_changed` says whether the store may hold news, at little cost.

    Those that are there from the start are not news: a local run begins with a tick.
    """

    def __init__(self, jobs: Jobs, has_changed: Callable[[], bool]) -> None:
        self._jobs = jobs
        self._has_changed = has_changed
        self._known: set[tuple[str, datetime | None]] = set()
        self._is_behind = False  # the store changed, and could not be read
        self.has_news()

    def has_news(self) -> bool:
        """Return whether a job was asked for since the last call. Each request counts once, whatever its outcome."""
        if not self._has_changed() and not self._is_behind:
            return False
        try:
            due = self._jobs.upcoming(timedelta(), limit=PAGE)
        except StoreUnavailable:
            self._is_behind = True  # the tick will say so
            return False
        self._is_behind = False
        jobs = [job for job in due if isinstance(job, Job)]
        before, self._known = self._known, {(job.id, job.ready_at) for job in jobs if _is_asked_for(job)}
        return bool(self._known - before)


def _is_asked_for(job: Job) -> bool:
    """Return whether a due job was ready already when somebody created or changed it."""
    if job.lease_until is not None or job.ready_at is None:
        return False
    return job.ready_at <= (job.updated_at or job.created_at)


def call_when_asked(asked: AskedFor, call: Callable[[], object], wait: Wait) -> None:
    """Look for news until `wait` says to stop; then `call` in a thread of its own, since a tick may take minutes."""
    free = threading.Semaphore(MOST_CALLS)

    def call_and_leave() -> None:
        try:
            call()
        finally:
            free.release()

    while not wait(LOOK_SECONDS):
        if not free.acquire(blocking=False):
            continue  # what is asked for meanwhile is still news when a call has ended
        if asked.has_news():
            threading.Thread(target=call_and_leave, daemon=True).start()
        else:
            free.release()


def watch_file(path: Path) -> Callable[[], bool]:
    """Return a function that says whether the file was written since the last call; True the first time."""
    last: tuple[int, ...] | None = ()

    def has_changed() -> bool:
        nonlocal last
        before, last = last, stamp_of(path)
        return last != before

    return has_changed
