"""One tick: find what is due, claim it, run it, store what came of it, until nothing is due or the time is spent.

All swaps are made by the thread that runs the tick; handler threads only return results. So no two writes of one
tick can race, and finishes, claims and renewals travel to the store in the same call.
"""

import logging
import queue
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from shared.errors import InvalidSettings, StoreUnavailable
from shared.handlers import Handlers
from shared.model.history import Result, RunOutcome
from shared.model.job import Job
from shared.model.times import iso
from shared.model.value import Status
from shared.running.backlog import DEATHS_TO_RUN_ALONE, Due, DueJobs
from shared.running.failure_notice import ANY_FUNCTION, failure_notice
from shared.running.workers import Held, Workers, time_limit
from shared.settings import Settings
from shared.store.documents import Unreadable
from shared.store.protocol import PAGE, Change, Lost, Outcome, Refused, Store, Unheard, Won

log = logging.getLogger("watchkeeper.tick")

POLL_SECONDS = 0.1  # bounds how late a time limit or a stored finish can be
FLUSH_AFTER = timedelta(milliseconds=150)  # with POLL_SECONDS: a finish is stored within 0.25 s
QUICK_BATCH = timedelta(seconds=1)
STOP_GRACE = timedelta(seconds=5)  # from "stop" to the record that the handler timed out
END_GRACE = timedelta(seconds=6)  # for what runs when the process is told to end; Cloud Run kills it after 10 s
TRY_AGAIN = timedelta(seconds=1)
PUT_BACK = timedelta(seconds=1)  # less is what two clocks differ by
MARGIN = timedelta(seconds=10)


@dataclass
class TickReport:
    """What a tick did. `metrics` gives the form in which it is reported."""

    jobs_checked: int = 0
    jobs_due: int = 0
    jobs_succeeded: int = 0
    jobs_failed: int = 0
    jobs_retried: int = 0
    jobs_lost: int = 0
    jobs_recovered: int = 0
    jobs_skipped: int = 0
    truncated: bool = False
    max_lateness_seconds: float = 0.0
    execution_time_ms: int = 0

    def metrics(self) -> dict[str, Any]:
        """Give all metrics by name. `jobs_executed` is the sum of what became of the handlers that were started."""
        executed = self.jobs_succeeded + self.jobs_failed + self.jobs_retried + self.jobs_lost
        first = {"jobs_checked": self.jobs_checked, "jobs_due": self.jobs_due, "jobs_executed": executed}
        return {**first, **vars(self), "max_lateness_seconds": round(self.max_lateness_seconds, 3)}


class Move(NamedTuple):
    """A change to store, and what to do with the store's answer."""

    change: Change
    settle: Callable[[Outcome], None]


def check_limits(settings: Settings, handlers: Handlers) -> None:
    """Refuse limits that do not fit into one call: budget + longest handler + 10 s <= the function's timeout.

    Raises InvalidSettings, naming the handler and the figures.
    """
    longest = max(handlers.values(), key=lambda handler: handler.timeout)
    if settings.budget + longest.timeout + MARGIN > settings.function_timeout:
        raise InvalidSettings(
            f"SCHEDULER_TICK_BUDGET_SECONDS ({settings.budget.total_seconds():.0f}) + the limit of {longest.job_type}, "
            f"the longest handler ({longest.timeout.total_seconds():.0f}) + {MARGIN.total_seconds():.0f} s exceed the "
            f"function's timeout of {settings.function_timeout.total_seconds():.0f} s: lower one, or raise the timeout"
        )


def run_tick(
    store: Store,
    handlers: Handlers,
    *,
    settings: Settings,
    clock: Callable[[], datetime],
    monotonic: Callable[[], float],
    is_stopping: Callable[[], bool] = lambda: False,
) -> TickReport:
    """Run what is due and report what was done.

    `clock` returns aware UTC times, by which jobs are due and leases end; `monotonic` returns seconds, by which
    budget and limits are measured, since a wall clock may be put forward or back meanwhile. `is_stopping` returns
    whether the process has been told to end. A failing job never fails the tick. Raises StoreUnavailable when the
    store could not be read, or results could not be stored.
    """
    log.info("Running scheduler tick", extra={"fields": {"action": "tick_started"}})
    tick = Tick(store, handlers, settings=settings, clock=clock, monotonic=monotonic, is_stopping=is_stopping)
    try:
        tick.run()
    finally:
        fields = {"action": "tick_completed", **tick.report.metrics()}
        log.info("Scheduler tick completed", extra={"fields": fields})
    return tick.report


class Tick:
    """The state of one tick; see `run_tick`."""

    def __init__(
        self,
        store: Store,
        handlers: Handlers,
        *,
        settings: Settings,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._store = store
        self._handlers = handlers
        self._settings = settings
        self._clock = clock
        self._is_stopping = is_stopping
        self._monotonic = monotonic
        self._began = monotonic()
        self._workers = Workers(settings.concurrency, handlers, clock, self._elapsed)
        self._held: dict[str, Held] = {}
        self._doubtful: list[Held] = []
        self._notices: dict[str, Job] = {}  # of jobs that were given up, to be inserted
        self._trouble = ""  # why the store cannot be used; the tick then ends with an error
        self._won: list[Due] = []  # of the claims in one call to the store
        self._lost = 0
        self._unheard = ""
        self._batch = 0
        self._is_slow = False  # a batch took longer than a second: claim no more than can begin
        self._began_at = clock()
        self._due = DueJobs(store, self._began_at + min(settings.lookahead, settings.budget))
        # Measured from the beginning of the tick.
        self._claimed_after = timedelta()
        self._notices_try_after = timedelta()  # no insert earlier, since the store did not answer
        self._ends_after = settings.function_timeout - STOP_GRACE
        self._is_open = True  # new handlers may start
        self.report = TickReport()

    def run(self) -> None:
        """Run the tick to its end. Raises StoreUnavailable."""
        try:
            now = self._began_at
            while self._step(now):
                # A clock that is put back must not make due jobs undue, nor keep leases from being renewed.
                now = max(self._clock(), self._began_at + self._elapsed())
        finally:
            self._workers.close()
            self._note_lost_notices()
            self.report.jobs_checked, self.report.jobs_due = self._due.documents, self._due.jobs
            self.report.execution_time_ms = round(self._elapsed() / timedelta(milliseconds=1))
        if self._trouble:
            raise StoreUnavailable(self._trouble)

    def _elapsed(self) -> timedelta:
        """Return how long ago the tick began."""
        return timedelta(seconds=self._monotonic() - self._began)

    def _step(self, now: datetime) -> bool:
        """Make one call to the store, or wait a moment; say whether there is more to do."""
        self._collect()
        self._watch()
        if self._elapsed() >= self._ends_after:
            self._end_late(now)
            return False
        claims = self._claims(now)
        moves = [*claims, *self._endings(now, at_once=bool(claims)), *self._renewals(now), *self._inserts()]
        if moves:
            self._store_all(moves)
            return True
        is_out_of_time = self._trouble or self._elapsed() >= self._settings.budget
        is_put_back = self._clock() < now - PUT_BACK  # nobody knows for how long
        is_waiting = self._notices or (self._is_open and self._due.has_waiting and not is_put_back)
        if not self._held and (is_out_of_time or not is_waiting):
            return False
        self._wait()
        return True

    def _end_late(self, now: datetime) -> None:
        """Store what can be stored, leave what still runs to its lease; a result left behind is an error."""
        if moves := self._endings(now, at_once=True):
            self._store_all(moves)
        self._notices_try_after = timedelta()
        if moves := self._inserts():
            self._store_all(moves)
        self.report.truncated = True
        for held in self._held.values():
            self.report.jobs_lost += held.context is not None
            if held.is_busy and held.job.lease_until is not None:
                says = f"is left behind; it is taken over when its lease ends, at {iso(held.job.lease_until)}"
                _log(logging.WARNING, "job_left", held.job, says)
        if not all(held.is_busy for held in self._held.values()):
            self._trouble = self._trouble or "results could not be stored in time"

    def _store_all(self, moves: list[Move]) -> None:
        self._won, self._lost, self._unheard = [], 0, ""
        outcomes = self._store.swap([move.change for move in moves])
        for move, outcome in zip(moves, outcomes, strict=True):
            move.settle(outcome)
        self._due.note(self._won, self._lost)
        if self._unheard and not self._won and not self._lost:
            self._give_up(self._unheard)
        if self._doubtful:
            self._read_doubtful()

    # -- claiming --------------------------------------------------------------------------------------------------

    def _claims(self, now: datetime) -> list[Move]:
        room = self._room() if self._is_open else 0
        if not room:
            return []
        try:
            taken = self._due.take(room, now, elapsed=self._elapsed(), is_idle=not self._held)
        except StoreUnavailable as exc:
            self._give_up(str(exc))
            return []
        taken = [due for due in taken if due.id not in self._held]  # its former holder is still at work here
        for due in taken:
            self._notices.pop(due.id, None)  # it is stored, although that was not heard
        if taken:
            self._batch, self._claimed_after = room, self._elapsed()
        return [self._claim(due, now) for due in taken]

    def _room(self) -> int:
        """Size the next batch: twice the last one if that was done within a second, else the free threads."""
        running = [held for held in self._held.values() if held.is_busy]
        if any(held.found.deaths >= DEATHS_TO_RUN_ALONE for held in running):
            return 0
        busy, age = len(running), self._elapsed() - self._claimed_after
        if busy:
            self._is_slow = self._is_slow or age > QUICK_BATCH
            return max(self._settings.concurrency - busy, 0) if self._is_slow and age >= FLUSH_AFTER else 0
        is_quick = self._batch > 0 and not self._is_slow and age <= QUICK_BATCH
        self._is_slow = False
        return min(self._batch * 2, PAGE) if is_quick else self._settings.concurrency

    def _claim(self, due: Due, now: datetime) -> Move:
        if isinstance(due, Unreadable):
            return Move(Change(due, due.set_aside()), partial(self._settle_aside, due))
        token = uuid.uuid4().hex
        try:
            after = due.claim(now=now, token=token, lease=self._settings.lease, retention=self._settings.retention)
        except Exception as exc:  # no rule thought of it; the jobs beside it must run
            return self._claim(Unreadable.broken_by(due, exc), now)
        return Move(Change(due, after), partial(self._settle_claim, due, token))

    def _settle_aside(self, due: Unreadable, outcome: Outcome) -> None:
        if isinstance(outcome, Won):
            self._won.append(due)
            fields = {"action": "job_set_aside", "job_id": due.id}
            log.error("Job %s cannot be read and is set aside: %s", due.id, due.reason, extra={"fields": fields})
        elif isinstance(outcome, Unheard):
            self._unheard = outcome.reason
        else:
            self._lost += 1

    def _settle_claim(self, found: Job, token: str, outcome: Outcome) -> None:
        match outcome:
            case Won(Job() as job):
                self._won.append(job)
                if job.lease_token == token and job.lease_until is not None:
                    self._begin(found, job)
                else:
                    _log_not_run(job)
                    self._announce(job)
            case Unheard(reason):
                self._unheard = reason
                _log(logging.WARNING, "job_unheard", found, f"could not be claimed for sure: {reason}")
            case Refused(reason):
                self._won.append(found)  # it cannot be claimed by looking again
                _log(logging.ERROR, "job_refused", found, f"cannot be claimed, the store refuses it: {reason}")
            case _:
                self._lost += 1
                self.report.jobs_skipped += 1
                _log(logging.INFO, "job_skipped", found, "already claimed")

    def _begin(self, found: Job, job: Job) -> None:
        self.report.jobs_recovered += found.deaths > found.reclaims
        log.info("Claimed job %s", job.id, extra={"fields": {"action": "job_claimed", **job.log_context()}})
        held = Held(found=found, job=job, limit=time_limit(self._handlers, job))
        self._held[job.id] = held
        if self._elapsed() < self._settings.budget:
            self._workers.start(held)
        else:  # the claim itself took too long
            held.is_given_back = self.report.truncated = True

    # -- watching over what runs -----------------------------------------------------------------------------------

    def _wait(self) -> None:
        try:
            self._take_back(*self._workers.results.get(timeout=POLL_SECONDS))
        except queue.Empty:
            return

    def _collect(self) -> None:
        while not self._workers.results.empty():
            self._take_back(*self._workers.results.get())

    def _take_back(self, held: Held, result: Result | None) -> None:
        if held.is_abandoned:
            _log(logging.WARNING, "late_result", held.job, "ended after its time limit; its result is refused")
        elif result is None and held.is_lost:
            self._drop(held)
        elif result is None:
            held.is_given_back = True
        else:
            if result.error is not None and not result.final and held.stop_reason in ("shutting down", "paused"):
                # It did as it was told, which is no failure.
                result = replace(result, later=result.later or timedelta())
            self._note_result(held, result)

    def _note_result(self, held: Held, result: Result) -> None:
        held.result = result
        started_at = result.started_at if held.context is None else held.context.started_at
        lateness = (started_at - (held.found.ready_at or started_at)).total_seconds()
        self.report.max_lateness_seconds = max(self.report.max_lateness_seconds, lateness)
        if held.is_lost:
            self._refuse_result(held)

    def _watch(self) -> None:
        """Close the tick when its time is up or the process ends; stop handlers at their limits."""
        is_stopping, elapsed = self._is_stopping(), self._elapsed()
        if self._is_open and (is_stopping or elapsed >= self._settings.budget):
            self._close()
        if is_stopping:
            self._ends_after = min(self._ends_after, elapsed + END_GRACE)
        for held in [held for held in self._held.values() if held.is_busy]:
            if held.context is None:
                continue
            if is_stopping:
                held.ask_to_stop("shutting down")
            ran = elapsed - held.began_after
            if ran >= held.limit:
                held.ask_to_stop("time limit")
            if ran >= held.limit + STOP_GRACE:
                self._abandon(held)

    def _close(self) -> None:
        """Start nothing more, and give back what was claimed and not begun."""
        self._is_open = False
        withdrawn = self._workers.withdraw()
        for held in withdrawn:
            held.is_given_back = True
        self.report.truncated |= bool(withdrawn) or not self._due.is_exhausted(self._clock())

    def _give_up(self, reason: str) -> None:
        self._trouble = reason
        if self._is_open:
            fields = {"action": "store_unavailable"}
            log.error("The job store cannot be used: %s", reason, extra={"fields": fields})
            self._close()

    def _abandon(self, held: Held) -> None:
        _log(logging.ERROR, "handler_abandoned", held.job, "did not stop at its time limit; its thread is left behind")
        held.is_abandoned = True
        self._workers.add_thread()
        error = f"timed out after {held.limit.total_seconds():.0f} s"
        self._note_result(held, held.result_of(self._clock(), self._elapsed(), error=error))

    # -- renewing --------------------------------------------------------------------------------------------------

    def _renewals(self, now: datetime) -> list[Move]:
        """Renew what is held for a third of its lease: by the wall clock, which leases are compared with."""
        lease = self._settings.lease
        held_jobs = [held for held in self._held.values() if held.is_busy and not held.is_lost and self._may_try(held)]
        return [
            Move(Change(held.job, held.job.renew(now=now, lease=lease)), partial(self._settle_renewal, held, now))
            for held in held_jobs
            if held.job.lease_until is not None and now >= held.job.lease_until - lease * 2 / 3
        ]

    def _settle_renewal(self, held: Held, now: datetime, outcome: Outcome) -> None:
        match outcome:
            case Won(Job() as job):
                held.job = job
            case Lost():
                self._doubtful.append(held)
            case _:
                held.try_after = self._elapsed() + TRY_AGAIN
                if held.job.lease_until is not None and now >= held.job.lease_until:
                    held.ask_to_stop("lease lost")

    # -- ending ----------------------------------------------------------------------------------------------------

    def _endings(self, now: datetime, *, at_once: bool) -> list[Move]:
        """Store results with the next claims, or when nothing runs any more, but never more than 0.25 s late."""
        ready = [held for held in self._held.values() if not held.is_busy and self._may_try(held)]
        is_idle = not any(held.is_busy for held in self._held.values())
        elapsed, try_after = self._elapsed(), self._elapsed() + TRY_AGAIN
        is_late = any(held.result is not None and elapsed - held.ended_after >= FLUSH_AFTER for held in ready)
        if not (at_once or is_idle or is_late):
            return []
        return [
            Move(Change(held.job, self._ended(held, now)), partial(self._settle_end, held, try_after)) for held in ready
        ]

    def _ended(self, held: Held, now: datetime) -> Job | Unreadable:
        try:
            if held.result is None:
                return held.job.give_back(now=now)
            return held.job.finish(held.result, retention=self._settings.retention)
        except Exception as exc:  # no rule thought of it; the results beside it must be stored
            return Unreadable.broken_by(held.job, exc).set_aside()

    def _settle_end(self, held: Held, try_after: timedelta, outcome: Outcome) -> None:
        match outcome:
            case Won(Job() as job):
                self._ended_well(held, job)
            case Won():
                self._drop(held)
                self.report.jobs_lost += held.result is not None
                _log(logging.ERROR, "job_set_aside", held.job, "ended, but its end breaks a rule; it is set aside")
            case Lost():
                self._doubtful.append(held)
            case Refused(reason) if held.result is not None and not held.is_refused:
                held.is_refused = True
                error = f"the store refuses the result: {reason}"
                held.result = replace(held.result, error=error, final=True, later=None)
            case Refused(reason):
                _log(logging.ERROR, "result_refused", held.job, f"ended, but the store refuses any result: {reason}")
                self._drop(held)
                self.report.jobs_lost += held.result is not None
            case _:
                held.try_after = try_after

    def _ended_well(self, held: Held, job: Job) -> None:
        self._drop(held)
        if held.result is not None:
            self._count(held, held.result, job)

    def _read_doubtful(self) -> None:
        """Look at jobs whose swap was lost: what still carries our token is still ours, however it was changed."""
        doubtful, self._doubtful = self._doubtful, []
        try:
            found = self._store.get([held.job.id for held in doubtful])
        except StoreUnavailable:
            for held in doubtful:
                held.try_after = self._elapsed() + TRY_AGAIN
            return
        for held in doubtful:
            self._reconsider(held, found.get(held.job.id))

    def _reconsider(self, held: Held, job: Job | Unreadable | None) -> None:
        if not isinstance(job, Job) or job.lease_token != held.job.lease_token:
            held.is_lost = True
            held.ask_to_stop("lease lost")
            if not held.is_busy:
                self._refuse_result(held)
        elif job.lease_until is None:
            self._ended_well(held, job)  # our own finish, which was not heard
        else:
            held.job = job
            if job.status in (Status.PAUSED, Status.CANCELLED):
                held.ask_to_stop(job.status.value)

    def _refuse_result(self, held: Held) -> None:
        self._drop(held)
        if held.result is not None:
            self.report.jobs_lost += 1
            _log(logging.WARNING, "lease_lost", held.job, "lost its lease; its result is refused")

    def _may_try(self, held: Held) -> bool:
        return self._elapsed() >= held.try_after

    def _drop(self, held: Held) -> None:
        del self._held[held.job.id]

    def _count(self, held: Held, result: Result, job: Job) -> None:
        # Since an unheard finish, a person's command may have added to the history.
        own = (run for run in reversed(job.recent_runs) if run.started_at == result.started_at)
        run = next(own, job.recent_runs[-1])
        match run.outcome:
            case RunOutcome.COMPLETED:
                self.report.jobs_succeeded += 1
                _log(logging.INFO, "job_completed", held.job, "completed successfully")
            case RunOutcome.FAILED:
                self.report.jobs_failed += 1
                level = logging.WARNING if job.status is Status.CANCELLED else logging.ERROR
                _log(level, "job_failed", held.job, f"failed for good: {run.error}", held.exception)
                self._announce(job)
            case _:
                self.report.jobs_retried += 1
                when = iso(job.ready_at) if job.ready_at else "when it is resumed"
                _log(logging.INFO, "job_retried", held.job, f"will run again ({when}): {run.error}")

    # -- telling of failures ---------------------------------------------------------------------------------------

    def _announce(self, job: Job) -> None:
        """Have the job's space told that it was given up. The insert of the message goes with the next swap."""
        function = self._settings.public_url or ANY_FUNCTION
        try:
            notice = failure_notice(job, now=self._clock(), function=function, timezone=self._settings.timezone)
        except Exception as exc:  # no rule thought of it; the tick must go on
            _log(logging.ERROR, "notice_refused", job, "failed, and no message about it can be made", exc)
            return
        if notice is not None and notice.id not in self._held:
            self._notices[notice.id] = notice

    def _inserts(self) -> list[Move]:
        elapsed = self._elapsed()
        if elapsed < self._notices_try_after:
            return []
        return [
            Move(Change(None, notice), partial(self._settle_insert, notice, elapsed + TRY_AGAIN))
            for notice in self._notices.values()
        ]

    def _settle_insert(self, notice: Job, try_after: timedelta, outcome: Outcome) -> None:
        if isinstance(outcome, Unheard):
            self._notices_try_after = try_after
            return
        del self._notices[notice.id]  # stored, now or earlier
        if isinstance(outcome, Refused):
            _log(logging.ERROR, "notice_refused", notice, f"cannot be stored, so nobody is told: {outcome.reason}")

    def _note_lost_notices(self) -> None:
        for notice in self._notices.values():
            _log(logging.ERROR, "notice_lost", notice, "was not stored for sure, so maybe nobody is told")
            self._trouble = self._trouble or "messages about failed jobs could not be stored"


def _log_not_run(job: Job) -> None:
    run = job.recent_runs[-1]
    if run.outcome is RunOutcome.MISSED:
        _log(logging.WARNING, "job_missed", job, f"was not run in time; it moves on to {iso(job.schedule_at)}")
    else:
        _log(logging.ERROR, "job_failed", job, f"failed for good: {run.error}")


def _log(level: int, action: str, job: Job, says: str, exception: BaseException | None = None) -> None:
    fields = {"action": action, **job.log_context()}
    log.log(level, "Job %s %s", job.id, says, exc_info=exception, extra={"fields": fields})
