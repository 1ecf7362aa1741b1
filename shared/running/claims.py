"""Claiming: how many jobs a tick takes next, with which writes, and with what results."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from shared.model.job import Job
from shared.running.backlog import DEATHS_TO_RUN_ALONE, Due, Source
from shared.running.leasing import new_token
from shared.running.running_job import RunningJob
from shared.running.write import Write, log, log_job
from shared.settings import Settings
from shared.store.documents import Unreadable
from shared.store.protocol import PAGE, Change, Outcome, Refused, Unknown, Won

QUICK_BATCH = timedelta(seconds=1)


@dataclass
class Tally:
    """The results of the claims in one call to the store."""

    won: list[Due] = field(default_factory=list)
    lost: int = 0
    unknown: str = ""  # why the result is unknown


class Claims:
    """Claims jobs from their source in batches that grow while they are done quickly.

    `claim` is the rule: it returns the job as held by a new holder with that token since that time. `begin` is called
    for each job that is won, with the job as found and as held; `over` for each that ended in its claim, because it was
    given up or moved on.
    """

    def __init__(
        self,
        source: Source,
        settings: Settings,
        *,
        claim: Callable[[Job, datetime, str], Job],
        begin: Callable[[Job, Job], None],
        over: Callable[[Job], None],
    ) -> None:
        self._source = source
        self._settings = settings
        self._claim = claim
        self._begin = begin
        self._over = over
        self._batch = 0
        self._is_slow = False  # a batch took longer than a second: claim no more than can begin
        self._claimed_after = timedelta()  # from the beginning of the tick
        self.tally = Tally()
        self.skipped = 0

    def room(
        self, running: Collection[RunningJob], elapsed: timedelta, flush_after: timedelta, *, behind: int = 0
    ) -> int:
        """Return the size of the next batch: twice the last if that was done within a second, else the free threads.

        `behind` of the running jobs wait for another one, and take no thread. At most a page of jobs is held, and each
        one that has ended needs one more write in the same call, for its entry in the history.
        """
        entries = sum(each.is_to_end for each in running) if self._settings.history else 0
        return min(self._room(running, elapsed, flush_after, behind), PAGE - len(running) - entries)

    def _room(self, running: Collection[RunningJob], elapsed: timedelta, flush_after: timedelta, behind: int) -> int:
        busy = [each for each in running if each.is_busy]
        if any(each.found.deaths >= DEATHS_TO_RUN_ALONE for each in busy):
            return 0
        age = elapsed - self._claimed_after
        if busy:
            self._is_slow = self._is_slow or age > QUICK_BATCH
            free = max(self._settings.concurrency + behind - len(busy), 0)
            return free if self._is_slow and age >= flush_after else 0
        is_quick = self._batch > 0 and not self._is_slow and age <= QUICK_BATCH
        self._is_slow = False
        return min(self._batch * 2, PAGE) if is_quick else self._settings.concurrency

    def writes(self, room: int, now: datetime, elapsed: timedelta, held: Collection[str]) -> list[Write]:
        """Return the writes that claim the next batch, except jobs that are held here. Raises StoreUnavailable."""
        taken = self._source.take(room, now, elapsed=elapsed, is_idle=not held)
        taken = [due for due in taken if due.id not in held]  # its former holder is still at work here
        if taken:
            self._batch, self._claimed_after = room, elapsed
        return [self._write(due, now) for due in taken]

    def _write(self, due: Due, now: datetime) -> Write:
        if isinstance(due, Unreadable):
            return Write(Change(due, due.quarantined()), partial(self._settle_quarantine, due))
        try:
            claimed = self._claim(due, now, new_token())
        except Exception as exc:  # a case that no rule foresaw; the other jobs must run
            return self._write(Unreadable.broken_by(due, exc), now)
        return Write(Change(due, claimed), partial(self._settle, due, claimed.lease_token))

    def again(self, vanished: Job, now: datetime, queue: str | None) -> Write:
        """Return the write that claims a job again whose task is gone, so that nobody will begin it."""
        lease, retention = self._settings.lease, self._settings.retention
        try:
            claimed = vanished.reclaim(now=now, token=new_token(), lease=lease, retention=retention, queue=queue)
        except Exception as exc:  # as for any claim
            return self._write(Unreadable.broken_by(vanished, exc), now)
        return Write(Change(vanished, claimed), partial(self._settle, vanished, claimed.lease_token))

    def _settle_quarantine(self, due: Unreadable, outcome: Outcome) -> None:
        if isinstance(outcome, Won):
            self.tally.won.append(due)
            fields = {"action": "job_set_aside", "job_id": due.id}
            log.error("Job %s cannot be read and is quarantined: %s", due.id, due.reason, extra={"fields": fields})
        elif isinstance(outcome, Unknown):
            self.tally.unknown = outcome.reason
        else:
            self.tally.lost += 1

    def _settle(self, found: Job, token: str | None, outcome: Outcome) -> None:
        match outcome:
            case Won(Job() as job):
                self.tally.won.append(job)
                if job.lease_token == token and job.lease_until is not None:
                    self._begin(found, job)
                else:
                    self._over(job)
            case Unknown(reason):
                # The claim may have been applied: then its lease ends like a dead holder's. It is never begun twice.
                self.tally.unknown = reason
                log_job(logging.WARNING, "job_unheard", found, f"may not have been claimed: {reason}")
            case Refused(reason):
                self.tally.won.append(found)  # reading it again would not help
                log_job(logging.ERROR, "job_refused", found, f"cannot be claimed, the store refuses it: {reason}")
            case _:
                self.tally.lost += 1
                self.skipped += 1
                log_job(logging.INFO, "job_skipped", found, "already claimed")

    def note(self) -> str:
        """Pass the results of the last claims to their source; return why none is known, or ""."""
        tally, self.tally = self.tally, Tally()
        self._source.note(tally.won, tally.lost)
        return tally.unknown if not tally.won and not tally.lost else ""
