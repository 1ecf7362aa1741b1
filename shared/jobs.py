"""The Python interface to jobs, for agent code, the command line, Chat and the console alike.

    from shared.jobs import open_jobs

    open_jobs().schedule("http_request", {"url": "https://example.com/report"}, cron="0 9 * * 1-5", id="report")

`open_jobs` reads its settings from the environment; code that has a store creates `Jobs` itself.
"""

import json
import os
import re
import sys
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache, partial
from typing import Any, Literal, cast

from shared.errors import InvalidInput, StoreUnavailable
from shared.handlers import Handlers, check_payload, load_handlers
from shared.handlers.registry import AGENT_MODULE
from shared.model.definition import Definition, InvalidJob, Misfire
from shared.model.entries import Entry, time_of
from shared.model.job import Job
from shared.model.redefinition import differences, redefined
from shared.settings import Settings, TaskQueues, complete_environment
from shared.store.documents import Unreadable
from shared.store.opening import open_store
from shared.store.protocol import PAGE, Change, Lost, Outcome, Refused, Statuses, Store, Unknown, Won
from shared.subscriptions import CHECK as SUBSCRIPTION_CHECK
from shared.subscriptions import PREFIX as SUBSCRIPTION_PREFIX

LISTING_PAGE = 2000
NOT_A_JOB = "watchkeeper:"  # begins the ids of documents that are kept beside the jobs
NO_QUEUES = TaskQueues()
TRIES = 10  # of a command on a job that somebody else keeps changing

# Returns the change of a job from its stored form, or raises InvalidInput.
ChangeOf = Callable[[str, Job | Unreadable | None], Change]


class UnknownJob(InvalidInput):
    """There is no job with that id."""


class UnknownJobType(InvalidInput):
    """No handler is registered for that job type."""

    def __init__(self, job_type: str, known: Collection[str]) -> None:
        choices = sorted({*known} - {SUBSCRIPTION_CHECK})
        near = get_close_matches(job_type, choices, n=1)
        meant = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(choices)}"
        super().__init__(
            f"no handler is registered for {job_type!r} ({meant}); add one in agent/handlers.py, or name its module in "
            "JOB_HANDLERS"
        )


class AlreadyScheduled(InvalidInput):
    """The id is taken by a job with another definition; the message names the differences."""


@dataclass(frozen=True)
class Scheduled:
    """The stored job, and whether the call created it, changed it, or found it unchanged."""

    job: Job
    outcome: Literal["created", "replaced", "unchanged"]


class Jobs:
    """The jobs of one store. Every change is conditional, and any method can raise StoreUnavailable."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], datetime],
        handlers: Handlers,
        retention: timedelta,
        timezone: str = "UTC",
        queues: TaskQueues = NO_QUEUES,
        has_all_handlers: bool = False,
    ) -> None:
        self._store = store
        self._queues = queues
        self._clock = clock
        self._handlers = handlers
        self._retention = retention
        self._timezone = timezone
        self._has_all_handlers = has_all_handlers

    def schedule(
        self,
        job_type: str,
        payload: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        at: datetime | None = None,
        after: timedelta | None = None,
        cron: str | None = None,
        every: str | None = None,
        timezone: str | None = None,
        until: datetime | None = None,
        except_dates: Iterable[date | str] = (),
        misfire: Misfire | str = Misfire.COALESCE,
        grace: timedelta | None = None,
        pause_after_failures: int | None = None,
        max_attempts: int = 3,
        space: str | None = None,
        by: str | None = None,
        confirmed_by: str | None = None,
        replace: bool = False,
        allow_unknown: bool = False,
    ) -> Scheduled:
        """Schedule a job: now, `at` a time, `after` a while, or again and again from then on.

        A recurring job has a `cron` expression, or an interval `every` (`90m`, `13h`, `6d`, `2w`; days and weeks keep
        the clock time of the start), in `timezone` or SCHEDULER_TIMEZONE, with an optional end and days off; see
        `Definition`. The job belongs to `by`; `confirmed_by`, if it is somebody else, is recorded as its first change.

        With an `id` the call may be repeated: the same definition changes nothing, and the outcome is "unchanged".
        Another definition raises AlreadyScheduled, or with `replace` changes the job and keeps its history. Raises
        InvalidInput for an invalid definition.

        Where all handlers are known (see `open_jobs`), a job type without one raises UnknownJobType, unless
        `allow_unknown`: its handler may be deployed elsewhere.
        """
        refuse_reserved(id or "", job_type)
        _check_space(space)
        if self._has_all_handlers and not allow_unknown and job_type not in self._handlers:
            raise UnknownJobType(job_type, self._handlers)
        now = self._clock()
        if at is not None and after is not None:
            raise InvalidInput("give `at` or `after`, not both")
        wanted = Definition(
            job_type=job_type,
            payload=_as_stored({} if payload is None else payload),
            at=now + after if after is not None else at,
            cron=cron,
            every=every,
            timezone=timezone or self._timezone,
            until=until,
            except_dates=except_dates,
            misfire=misfire,
            grace=grace,
            pause_after_failures=pause_after_failures,
            max_attempts=max_attempts,
            space=space,
        )
        job = Job.of(id if id is not None else f"{job_type}-{uuid.uuid4().hex[:12]}", wanted, now=now, by=by)
        if confirmed_by not in (None, by):
            job = job.changed(updated_at=now, updated_by=confirmed_by)
        check_payload(self._handlers, job.job_type, job.payload)
        outcome = self._swap(Change(None, job))
        if isinstance(outcome, Won) and isinstance(outcome.job, Job):
            return Scheduled(outcome.job, "created")
        present = self.get(job.id)
        if not (differing := differences(present, wanted, now)):
            return Scheduled(present, "unchanged")
        if not replace:
            raise AlreadyScheduled(f"job {job.id} exists with another definition: {'; '.join(differing)}")
        return Scheduled(self._change(job.id, partial(redefined, wanted=wanted, now=now, by=by)), "replaced")

    def get(self, job_id: str) -> Job:
        """Return one job. Raises UnknownJob, or InvalidJob for a document that cannot be read."""
        return readable(job_id, self._store.get([job_id]).get(job_id))

    def look_up(self, job_ids: Collection[str]) -> dict[str, Job | Unreadable]:
        """Read the named jobs in one call; ids that do not exist are absent."""
        return self._store.get(job_ids)

    def list(
        self,
        *,
        status: Statuses = None,
        space: str | None = None,
        after: str = "",
        page_size: int = LISTING_PAGE,
        with_subscriptions: bool = False,
    ) -> Iterator[Job | Unreadable]:
        """Return all jobs by id, page by page, starting after `after`.

        Optionally only those of one or several statuses, and those of one space.
        """
        while True:
            page = self._store.page(after=after, limit=page_size, status=status, space=space)
            for job in page:
                is_subscription = job.id.startswith(SUBSCRIPTION_PREFIX)
                if not job.id.startswith(NOT_A_JOB) and (with_subscriptions or not is_subscription):
                    yield job
            if len(page) < page_size:
                return
            after = page[-1].id

    def upcoming(self, within: timedelta, *, limit: int) -> Sequence[Job | Unreadable]:
        """Return the jobs that are ready now or soon, the earliest first; at most `limit` documents are read."""
        return self._store.due(self._clock() + within, limit)

    def history(
        self,
        job_id: str | None = None,
        *,
        since: datetime | None = None,
        after: str = "",
        page_size: int = PAGE,
        with_subscriptions: bool = False,
    ) -> Iterator[Entry]:
        """Return the runs and missed occurrences of a job, or of all jobs, the latest first, page by page.

        `since` leaves out those that began before that time; `after` is the id of an entry to continue after. Without a
        job, subscriptions are left out unless asked for. Entries are kept for SCHEDULER_HISTORY_DAYS, and outlive their
        job. Raises InvalidInput for an `after` that is not the id of an entry.
        """
        if after:
            time_of(after)
        while True:
            page = self._store.history(job_id=job_id, since=since, after=after, limit=page_size)
            for entry in page:
                if job_id or with_subscriptions or not entry.job_id.startswith(SUBSCRIPTION_PREFIX):
                    yield entry
            if len(page) < page_size:
                return
            after = page[-1].id

    def edit(self, job_id: str, *, by: str | None = None, **changes: Any) -> Job:
        """Change the given fields of a job's `Definition`, and keep the rest; see `Job.edit`.

        `until=FOREVER`, `except_dates=()`, `pause_after_failures=0` and `space=""` remove what they name.
        """
        now = self._clock()
        _check_space(changes.get("space"))

        def edited(job: Job) -> Job:
            after = job.edit(now=now, by=by, **changes)
            check_payload(self._handlers, after.job_type, after.payload)
            return after

        return self._change(job_id, edited)

    def pause(self, job_id: str, *, by: str | None = None) -> Job:
        """Pause a job; see `Job.pause`."""
        return self._change(job_id, partial(Job.pause, now=self._clock(), by=by))

    def resume(self, job_id: str, *, by: str | None = None, catch_up: bool = False) -> Job:
        """Resume a paused job; see `Job.resume`."""
        resume = partial(Job.resume, now=self._clock(), retention=self._retention, by=by, catch_up=catch_up)
        return self._change(job_id, resume)

    def restore(self, job_id: str, *, by: str | None = None) -> Job:
        """Bring a cancelled job back; see `Job.restore`."""
        return self._change(job_id, partial(Job.restore, now=self._clock(), by=by))

    def cancel(self, job_id: str, *, by: str | None = None) -> Job:
        """End a job for good; see `Job.cancel`."""
        return self._change(job_id, partial(Job.cancel, now=self._clock(), retention=self._retention, by=by))

    def command_all(
        self,
        command: Literal["pause", "resume", "cancel", "run", "retry"],
        job_ids: Collection[str],
        *,
        by: str | None = None,
    ) -> dict[str, str]:
        """Apply a command to many jobs in few calls; return, by id, why a job refused it."""
        ends = {"retention": self._retention} if command in ("resume", "cancel") else {}
        transition = partial(getattr(Job, command), now=self._clock(), by=by, **ends)

        def commanded(job_id: str, found: Job | Unreadable | None) -> Change:
            job = readable(job_id, found)
            return Change(job, transition(job))

        return self._change_all(job_ids, commanded)

    def _change_all(self, job_ids: Collection[str], change_of: ChangeOf) -> dict[str, str]:
        """Change jobs in few calls; return, by id, why one was refused, such as an error of `change_of`."""
        refused: dict[str, str] = {}
        left: Sequence[str] = [*dict.fromkeys(job_ids)]
        for tried in range(TRIES):
            try:
                left = self._change_each(left, change_of, refused)
            except StoreUnavailable as exc:
                if not tried:
                    raise
                return {**refused, **dict.fromkeys(left, str(exc))}  # the others are changed
            if not left:
                return refused
        return {**refused, **dict.fromkeys(left, "it keeps changing; try again")}

    def _change_each(
        self,
        job_ids: Sequence[str],
        change_of: ChangeOf,
        refused: dict[str, str],
    ) -> Sequence[str]:
        """Change these jobs with one swap, record refusals, and return those that somebody else changed first."""
        found, changes = self._store.get(job_ids), []
        for job_id in job_ids:
            try:
                changes.append(change_of(job_id, found.get(job_id)))
            except InvalidInput as exc:
                refused[job_id] = str(exc)
        real = [change for change in changes if change.before != change.after]
        lost = []
        for change, outcome in zip(real, self._store.swap(real), strict=True):
            if isinstance(outcome, Lost):
                lost.append(change.job_id)
            elif isinstance(outcome, Refused | Unknown):
                refused[change.job_id] = outcome.reason
            elif isinstance(change.before, Job):
                self._delete_task(change.before, change.after if isinstance(change.after, Job) else None)
        return lost

    def run(self, job_id: str, *, by: str | None = None) -> Job:
        """Make a job ready now; see `Job.run`."""
        return self._change(job_id, partial(Job.run, now=self._clock(), by=by))

    def retry(self, job_id: str, *, by: str | None = None) -> Job:
        """Retry a failed occurrence now; see `Job.retry`."""
        return self._change(job_id, partial(Job.retry, now=self._clock(), by=by))

    def release(self, job_id: str, *, by: str | None = None) -> Job:
        """End a stuck lease; see `Job.release`."""
        return self._change(job_id, partial(Job.release, now=self._clock(), by=by))

    def delete(self, job_id: str) -> None:
        """Delete a job that is not running, even one that cannot be read. Its `history` stays."""
        for _ in range(TRIES):
            change = self._deletion(job_id, self._store.get([job_id]).get(job_id))
            if isinstance(self._swap(change), Won):
                if isinstance(change.before, Job):
                    self._delete_task(change.before, None)
                return
        raise StoreUnavailable(f"job {job_id} keeps changing; try again")

    def delete_all(self, job_ids: Collection[str]) -> dict[str, str]:
        """Delete many jobs in few calls, as `delete` does; return, by id, why one was not deleted."""
        return self._change_all(job_ids, self._deletion)

    def _deletion(self, job_id: str, found: Job | Unreadable | None) -> Change:
        if found is None:
            raise UnknownJob(f"there is no job {job_id}")
        if isinstance(found, Job):
            found.refuse_delete(now=self._clock())
        return Change(found, None)

    def _change(self, job_id: str, transition: Callable[[Job], Job]) -> Job:
        for _ in range(TRIES):
            job = self.get(job_id)
            after = transition(job)
            if after == job:
                return job
            outcome = self._swap(Change(job, after))
            if isinstance(outcome, Won) and isinstance(outcome.job, Job):
                self._delete_task(job, outcome.job)
                return outcome.job
        raise StoreUnavailable(f"job {job_id} keeps changing; try again")

    def _delete_task(self, before: Job, after: Job | None) -> None:
        """Delete the task of a job that no longer waits in a queue; a task that stays finds nothing to do."""
        is_out = after is None or after.handed_over is None
        if is_out and self._queues.full_name(before.queue) is not None:
            from shared.running.tasks import Tasks

            Tasks(self._queues).delete(before)

    def _swap(self, change: Change) -> Won | Lost:
        outcome: Outcome = self._store.swap([change])[0]
        if isinstance(outcome, Refused):
            raise InvalidInput(f"job {change.job_id} cannot be stored: {outcome.reason}")
        if isinstance(outcome, Unknown):
            raise StoreUnavailable(f"the store did not confirm the change of job {change.job_id}: {outcome.reason}")
        return outcome


def readable(job_id: str, found: Job | Unreadable | None) -> Job:
    """Return the job that was found. Raises UnknownJob, or InvalidJob for a document that cannot be read."""
    if found is None:
        raise UnknownJob(f"there is no job {job_id}")
    if isinstance(found, Unreadable):
        raise InvalidJob(f"job {job_id} cannot be read: {found.reason}; repair it, then run `jobs upgrade`")
    return found


def refuse_reserved(job_id: str, job_type: str = "") -> None:
    """Raise InvalidInput for an id or a type of Watchkeeper's own documents, which no list shows."""
    for prefix in (NOT_A_JOB, SUBSCRIPTION_PREFIX):
        if job_id.startswith(prefix):
            raise InvalidInput(f"ids that begin with {prefix} are reserved; choose another id than {job_id!r}")
    if job_type == SUBSCRIPTION_CHECK:
        raise InvalidInput(f"only a renewal creates jobs of type {job_type}; see `watchkeeper renew`")


def _check_space(space: Any) -> None:
    if space and not (isinstance(space, str) and re.fullmatch(r"spaces/[A-Za-z0-9_-]+", space, re.ASCII)):
        raise InvalidInput(f"space is {str(space)[:100]!r}; write it as Chat names it, like spaces/AAAA")


def _as_stored(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the payload as it is read back: a tuple is a list then, and each key is text."""
    try:
        return cast(Mapping[str, Any], json.loads(json.dumps(payload)))
    except (TypeError, ValueError, RecursionError):
        return payload  # the job names what JSON cannot hold


@lru_cache(maxsize=1)
def open_jobs() -> Jobs:
    """Open the jobs that the environment configures, completed by the project's `.env` (`complete_environment`).

    Where the user's own handlers can be imported (`agent/handlers.py`, as in the project and in a function that runs
    jobs), all handlers are known, and a job type without one is refused. A program that has only `shared/` knows only
    the built-in ones, and schedules any type. Raises InvalidSettings or StoreUnavailable.
    """
    complete_environment()
    settings = Settings.from_env(os.environ)
    clock = partial(datetime.now, UTC)
    return Jobs(
        open_store(settings, clock),
        clock=clock,
        handlers=load_handlers(settings.handler_modules),
        retention=settings.retention,
        timezone=settings.timezone,
        queues=settings.queues,
        has_all_handlers=AGENT_MODULE in sys.modules,
    )
