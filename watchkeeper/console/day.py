"""The runs of the last 24 hours, and how many of each half hour succeeded or failed.

They are read once, later only the latest ones, because each may be a billed read. An entry is written when its run
ends, and ordered by when it began, so the runs that began lately are read again.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import islice
from threading import Lock
from typing import Any

from shared.jobs import Jobs
from shared.model.entries import Entry
from shared.model.history import RunOutcome
from shared.model.times import iso

DAY = timedelta(days=1)
STEP = timedelta(minutes=30)
LONGEST_RUN = timedelta(minutes=30)
EVERY_SECONDS = {False: 10.0, True: 300.0}  # by whether a read is billed
MOST = 5000
GOOD = (RunOutcome.COMPLETED, RunOutcome.LATER)


class Day:
    """The entries of the last 24 hours. Its method raises StoreUnavailable."""

    def __init__(self, jobs: Jobs, *, is_billed: bool, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._jobs = jobs
        self._every = EVERY_SECONDS[is_billed]
        self._monotonic = monotonic
        self._lock = Lock()
        self._entries: dict[str, Entry] = {}
        self._read_at: datetime | None = None
        self._next = float("-inf")
        self.is_partial = False

    def read(self, now: datetime) -> list[Entry]:
        """Return the entries since this time yesterday, at most 5,000 at first; `is_partial` says if there are more."""
        with self._lock:
            if self._monotonic() >= self._next:
                since = now - DAY if self._read_at is None else max(now - DAY, self._read_at - LONGEST_RUN)
                found = list(islice(self._jobs.history(since=since), MOST))
                self.is_partial = self.is_partial or len(found) == MOST
                self._entries |= {entry.id: entry for entry in found}
                self._entries = {name: entry for name, entry in self._entries.items() if entry.at >= now - DAY}
                self._read_at, self._next = now, self._monotonic() + self._every
            return list(self._entries.values())


def strip(entries: Iterable[Entry], now: datetime, write: Callable[[datetime], str]) -> list[dict[str, Any]]:
    """Return the half hours of the last day, the oldest first, with how many runs succeeded and failed in each."""
    end = now.replace(minute=now.minute // 30 * 30, second=0, microsecond=0) + STEP
    counts = Counter(((end - entry.at - timedelta.resolution) // STEP, entry.run.outcome in GOOD) for entry in entries)
    begins = [(back, end - STEP * (back + 1)) for back in reversed(range(DAY // STEP))]
    return [
        {"begin": iso(begin), "local": write(begin), "good": counts[back, True], "bad": counts[back, False]}
        for back, begin in begins
    ]
