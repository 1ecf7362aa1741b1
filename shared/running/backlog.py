"""What a tick may claim next: pages of due documents, in an order that makes progress against other ticks."""

import random
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Protocol

from shared.model.job import Job
from shared.store.documents import Unreadable
from shared.store.protocol import PAGE, Store

SMALLEST_PAGE = 32
LONGEST_WAIT = 0.2  # seconds
LOOK_AGAIN = timedelta(seconds=10)
NEVER = datetime.min.replace(tzinfo=UTC)  # no look-ahead
DEATHS_TO_RUN_ALONE = 2

Due = Job | Unreadable


class Source(Protocol):
    """Where a runner gets the jobs to claim: the backlog of a tick, or the one job of a delivery."""

    documents: int  # read so far
    jobs: int  # readable ones among them

    def take(self, most: int, now: datetime, *, elapsed: timedelta, is_idle: bool) -> list[Due]:
        """Return at most `most` documents to claim now, for a runner that may hold nothing.

        `elapsed` is how long ago it began. Raises StoreUnavailable.
        """

    def note(self, won: list[Due], lost: int) -> None:
        """Record the results for the documents that were handed out last."""

    @property
    def has_waiting(self) -> bool:
        """Return whether anything that was read is still to be handed out."""

    def is_exhausted(self, now: datetime) -> bool:
        """Return whether nothing due is known, or likely, to be left."""


class Backlog:
    """Hands out due documents, oldest first, each occurrence at most once.

    It reads the store again only if that can bring something new: after a full page of which it won something, once
    after a page that was lost entirely, and every ten seconds while handlers run. A job with two dead holders is kept
    for the end, to run alone: if it kills its process, nothing else dies with it.

    It also reads what falls due until the `horizon`, and hands that out at its time. Until then nobody holds it, so a
    person can still pause or cancel it. What another tick holds by then is left to that tick.
    """

    def __init__(self, store: Store, horizon: datetime = NEVER) -> None:
        self._store = store
        self._horizon = horizon
        self._page: deque[Due] = deque()
        self._alone: deque[Job] = deque()
        self._handed_out: set[tuple[str, datetime | None]] = set()
        self._size = PAGE
        self._has_more = True  # the store may hold due documents that were not read yet
        self._won = self._lost = 0  # of the present page
        self._fruitless = 0
        self._is_contended = False
        self._looked_after = timedelta()
        self.documents = 0
        self.jobs = 0

    def take(self, most: int, now: datetime, *, elapsed: timedelta, is_idle: bool) -> list[Due]:
        """Return at most `most` documents, or one job that is to run alone, if the tick holds nothing.

        `elapsed` is how long ago the tick began. Raises StoreUnavailable.
        """
        is_time = not is_idle and elapsed - self._looked_after >= LOOK_AGAIN
        while not self._page and (self._should_look() or is_time):
            self._looked_after = elapsed
            self._look(now)
            is_time = False
        taken: list[Due] = []
        while self._page and len(taken) < most and _is_due(self._page[0], now):
            taken.append(self._page.popleft())
        if not taken and is_idle and self._alone and _is_due(self._alone[0], now):
            taken = [self._alone.popleft()]
        return taken

    def note(self, won: list[Due], lost: int) -> None:
        """Record the results for the documents that were handed out last."""
        self._handed_out.update(_occurrence(due) for due in won)
        self._won += len(won)
        self._lost += lost
        if lost > max(len(won), 1):
            # Another tick works on the same page (a single loss may come from a person): leave the rest to it, take
            # less, and look a random moment later.
            self._is_contended = True
            self._has_more = self._has_more or bool(self._page)
            self._page.clear()
            self._size = max(self._size // 2, SMALLEST_PAGE)

    @property
    def has_waiting(self) -> bool:
        """Return whether anything that was read is still to be handed out."""
        return bool(self._page or self._alone)

    def is_exhausted(self, now: datetime) -> bool:
        """Return whether nothing due is known, or likely, to be left."""
        is_left = any(_is_due(due, now) for due in (*self._page, *self._alone))
        return not is_left and (bool(self._page) or not self._has_more)  # unread documents may follow after the page

    def _should_look(self) -> bool:
        if self._won:
            return self._has_more
        if self._lost:
            self._fruitless += 1
            return self._fruitless == 1
        return self.documents == 0 and self._has_more

    def _look(self, now: datetime) -> None:
        if self._is_contended:
            time.sleep(random.uniform(0, LONGEST_WAIT))
        size = self._size + len(self._alone)  # these are still due, and come before the others
        found = self._store.due(max(now, self._horizon), size)
        self.documents += len(found)
        self.jobs += sum(isinstance(due, Job) for due in found)
        fresh = [due for due in found if _occurrence(due) not in self._handed_out and not _is_held(due, now)]
        self._has_more = len(found) == size and bool(fresh)
        self._won = self._lost = 0
        self._is_contended = False
        for due in fresh:
            if isinstance(due, Job) and due.deaths >= DEATHS_TO_RUN_ALONE:
                self._handed_out.add(_occurrence(due))
                self._alone.append(due)
                self._won += 1  # the next page can bring something new
            else:
                self._page.append(due)


def _is_due(due: Due, now: datetime) -> bool:
    return isinstance(due, Unreadable) or due.is_due(now)


def _is_held(due: Due, now: datetime) -> bool:
    return isinstance(due, Job) and due.lease_until is not None and not due.is_due(now)


def _occurrence(due: Due) -> tuple[str, datetime | None]:
    return due.id, due.schedule_at if isinstance(due, Job) else None
