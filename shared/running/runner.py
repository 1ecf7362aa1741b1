"""The runner: claim jobs, run them or hand them over, and store the results, until none is left or time is up.

A tick runs one over all that is due, and a delivery by Cloud Tasks one over its one job. All swaps are made by the
runner's own thread; handler threads only return results. So no two writes of one runner can race, and finishes, claims
and renewals travel to the store in the same call.
"""

import logging
import queue
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from shared.errors import StoreUnavailable
from shared.handlers import Handlers
from shared.model.history import Result
from shared.model.job import Job
from shared.model.times import iso
from shared.model.value import Status
from shared.running.backlog import Source
from shared.running.claims import Claims
from shared.running.leasing import Hold, hold_of
from shared.running.notices import Notices
from shared.running.report import TickReport
from shared.running.results import Results
from shared.running.running_job import RunningJob, State
from shared.running.tasks import Tasks, TaskState
from shared.running.traces import trace_of_thread
from shared.running.workers import Returned, Workers, time_limit
from shared.running.write import Write, log, log_job
from shared.settings import Settings
from shared.store.documents import Unreadable
from shared.store.protocol import Change, Lost, Outcome, Refused, Store, Won

POLL_SECONDS = 0.1  # bounds how late a time limit is noticed or a finish stored
GATHER_SECONDS = 0.005
FLUSH_AFTER = timedelta(milliseconds=150)  # with POLL_SECONDS: a finish is stored within 0.25 s
STOP_GRACE = timedelta(seconds=5)  # from "stop" to the record that the handler timed out
END_GRACE = timedelta(seconds=6)  # for running handlers when the process is told to end; Cloud Run kills it after 10 s
HAND_OVER_LIMIT = timedelta(seconds=30)
TRY_AGAIN = timedelta(seconds=1)
STOPS_WITHOUT_FAILURE = ("shutting down", "paused", "lease lost")  # a handler that stops as asked has not failed
PUT_BACK = timedelta(seconds=1)  # two clocks may differ by less


class Runner:
    """Runs the jobs of one source, which are claimed by the rule `claim`, none of them longer than `longest`.

    `clock` returns aware UTC times, by which jobs are due and leases end; `monotonic` returns seconds, by which budget
    and limits are measured, since a wall clock may be changed meanwhile. `is_stopping` returns whether the process has
    been told to end.

    Each job that it holds is a `RunningJob`. `_write` decides which write follows from its state, and `_settle` what
    follows from that state and the store's answer.
    """

    def __init__(
        self,
        store: Store,
        handlers: Handlers,
        source: Source,
        *,
        claim: Callable[[Job, datetime, str], Job],
        longest: timedelta,
        tasks: Tasks,
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
        self._began, self._began_at = monotonic(), clock()
        self._longest = longest
        self._workers = Workers(settings.concurrency, handlers, tasks, clock, self._elapsed)
        self._source = source
        self._running: dict[str, RunningJob] = {}
        self.report = TickReport()
        self._notices = Notices(settings, clock)
        self._results = Results(self.report, self._notices, self._running.keys())
        self._claims = Claims(source, settings, claim=claim, begin=self._begin, over=self._results.ended_in_claim)
        self._doubtful: list[RunningJob] = []  # their write was lost: they are read again
        self._trouble = ""  # why the store cannot be used; the tick then ends with an error
        self._ends_after = settings.function_timeout - STOP_GRACE
        self._is_open = True  # new handlers may start

    def run(self) -> None:
        """Run all jobs to their end. A job whose handler fails is no error.

        Raises StoreUnavailable if nothing could be read, or results could not be stored.
        """
        try:
            now = self._began_at
            while self._step(now):
                # A clock that is set back must not make due jobs undue, or prevent leases from being renewed.
                now = max(self._clock(), self._began_at + self._elapsed())
        finally:
            self._workers.close()
            self._trouble = self._trouble or self._notices.close()
            self.report.jobs_checked, self.report.jobs_due = self._source.documents, self._source.jobs
            self.report.jobs_skipped = self._claims.skipped
            self.report.threads_left_behind += len(self._workers.left_behind)
            self.report.execution_time_ms = round(self._elapsed() / timedelta(milliseconds=1))
        if self._trouble:
            raise StoreUnavailable(self._trouble)

    def _elapsed(self) -> timedelta:
        """Return how long ago this began."""
        return timedelta(seconds=self._monotonic() - self._began)

    def _step(self, now: datetime) -> bool:
        """Make one call to the store, or wait a moment; return whether there is more to do."""
        self._collect()
        self._watch()
        if self._elapsed() >= self._ends_after:
            self._end_late(now)
            return False
        claims = self._claim(now)
        if writes := [*claims, *self._job_writes(now, at_once=bool(claims)), *self._notices.writes(self._elapsed())]:
            self._store_all(writes)
            return True
        if self._is_done(now):
            self._end_timed_out(now)
            return bool(self._running)
        self._wait()
        return True

    def _is_done(self, now: datetime) -> bool:
        """Return whether nothing is left to do, except for jobs that timed out."""
        is_out_of_time = bool(self._trouble) or self._elapsed() >= self._settings.budget
        is_put_back = self._clock() < now - PUT_BACK  # for an unknown time
        is_waiting = bool(self._notices) or (self._is_open and self._source.has_waiting and not is_put_back)
        is_idle = all(each.state is State.TIMED_OUT for each in self._running.values())
        return is_idle and (is_out_of_time or not is_waiting)

    def _store_all(self, writes: list[Write]) -> None:
        outcomes = self._store.swap([write.change for write in writes])
        for write, outcome in zip(writes, outcomes, strict=True):
            write.settle(outcome)
        if trouble := self._claims.note():
            self._give_up(trouble)
        if self._doubtful:
            self._read_doubtful()

    # -- beginning -------------------------------------------------------------------------------------------------

    def _claim(self, now: datetime) -> list[Write]:
        elapsed = self._elapsed()
        running, behind = self._running.values(), self._workers.behind
        room = self._claims.room(running, elapsed, FLUSH_AFTER, behind=behind) if self._is_open else 0
        if room <= 0:
            return []
        try:
            writes = self._claims.writes(room, now, elapsed, self._running.keys() | self._workers.left_behind)
        except StoreUnavailable as exc:
            self._give_up(str(exc))
            return []
        for write in writes:
            self._notices.is_stored(write.change.job_id)
        return writes

    def _begin(self, found: Job, job: Job) -> None:
        self.report.jobs_recovered += found.deaths > found.reclaims
        log.info("Claimed job %s", job.id, extra={"fields": {"action": "job_claimed", **job.log_context()}})
        limit = HAND_OVER_LIMIT if job.handed_over else time_limit(self._handlers, job, self._longest)
        running = RunningJob(found=found, job=job, limit=limit)
        self._running[job.id] = running
        if self._elapsed() < self._settings.budget:
            self._workers.start(running)
        else:  # the claim itself took too long
            self._leave_unbegun(running)
            self.report.truncated = True

    # -- watching over what runs -----------------------------------------------------------------------------------

    def _wait(self) -> None:
        try:
            self._take_back(*self._workers.results.get(timeout=POLL_SECONDS))
        except queue.Empty:
            return
        if any(running.is_busy for running in self._running.values()):
            time.sleep(GATHER_SECONDS)  # every step processes all held jobs, so the next one takes several results

    def _collect(self) -> None:
        while not self._workers.results.empty():
            self._take_back(*self._workers.results.get())

    def _take_back(self, running: RunningJob, result: Returned) -> None:
        """Process what a thread returns: a result, that of a hand-over, or None for a job that it did not begin."""
        if not running.is_busy:
            # It was recorded as timed out at its limit, and its thread left behind: this is that thread.
            log_job(logging.WARNING, "late_result", running.job, "ended after its time limit; its result is refused")
            return
        self._workers.ended(running)
        if isinstance(result, TaskState):
            self._after_hand_over(running, result)
        elif result is None and running.state is State.LOST:
            self._drop(running)
        elif result is None:
            self._leave_unbegun(running)
        else:
            if result.error is not None and not result.final and running.stop_reason in STOPS_WITHOUT_FAILURE:
                result = replace(result, later=result.later or timedelta())
            self._end(running, result, State.ENDED)

    def _after_hand_over(self, running: RunningJob, task: TaskState) -> None:
        """Continue after a hand-over: the job is left to its task, or claimed again if the task is gone.

        Without an answer it is left to its lease: when that ends, a tick asks for the task.
        """
        if task is TaskState.GONE and running.state is not State.LOST:
            running.state = State.VANISHED
            return
        if task is TaskState.WAITING and not running.is_asked_about:
            self.report.jobs_handed_over += 1
            log_job(logging.INFO, "job_handed_over", running.job, f"was handed over to queue {running.job.queue}")
        self._drop(running)

    def _end(self, running: RunningJob, result: Result, state: State) -> None:
        started_at = result.started_at if running.context is None else running.context.started_at
        lateness = (started_at - (running.found.due_at or started_at)).total_seconds()
        self.report.max_lateness_seconds = max(self.report.max_lateness_seconds, lateness)
        running.result = result
        if running.state is State.LOST:
            self._refuse(running)
        else:
            running.state = state

    def _watch(self) -> None:
        """Close the tick when its time is up or the process ends; stop handlers at their limits."""
        is_stopping, elapsed = self._is_stopping(), self._elapsed()
        if self._is_open and (is_stopping or elapsed >= self._settings.budget):
            self._close()
        if is_stopping:
            self._ends_after = min(self._ends_after, elapsed + END_GRACE)
        for running in [each for each in self._running.values() if each.is_busy and each.context is not None]:
            if is_stopping:
                running.ask_to_stop("shutting down")
            ran = elapsed - running.began_after
            if ran >= running.limit:
                running.ask_to_stop("time limit")
            if ran >= running.limit + STOP_GRACE:
                self._abandon(running)

    def _abandon(self, running: RunningJob) -> None:
        says = "did not stop at its time limit; its thread is left behind"
        log_job(logging.ERROR, "handler_abandoned", running.job, says)
        self._workers.leave_behind(running)
        if running.job.handed_over is not None:
            self._after_hand_over(running, TaskState.UNKNOWN)
            return
        error = f"timed out after {running.limit.total_seconds():.0f} s"
        trace = trace_of_thread(sys._current_frames().get(running.thread or 0))
        result = running.result_of(self._clock(), self._elapsed(), error=error, trace=trace)
        self._end(running, result, State.TIMED_OUT)

    def _close(self) -> None:
        """Start nothing more, and give back what was claimed and not begun."""
        self._is_open = False
        withdrawn = self._workers.withdraw()
        for running in withdrawn:
            self._leave_unbegun(running)
        self.report.truncated |= bool(withdrawn) or not self._source.is_exhausted(self._clock())

    def _leave_unbegun(self, running: RunningJob) -> None:
        """Give the job back; or leave it in its queue, if the tick was only to ask for its task."""
        if running.is_asked_about:
            self._drop(running)
        else:
            running.state = State.UNBEGUN

    def _give_up(self, reason: str) -> None:
        self._trouble = reason
        if self._is_open:
            fields = {"action": "store_unavailable"}
            log.error("The job store cannot be used: %s", reason, extra={"fields": fields})
            self._close()

    # -- storing ---------------------------------------------------------------------------------------------------

    def _job_writes(self, now: datetime, *, at_once: bool) -> list[Write]:
        """Return the writes about held jobs that are to be made now.

        A lease is renewed when a third of it is over, by the wall clock, which other ticks compare it with. Results are
        stored with the next claims, or when nothing runs any more, but never more than 0.25 s late.
        """
        elapsed = self._elapsed()
        ready = [running for running in self._running.values() if elapsed >= running.try_after]
        ended = [running for running in ready if running.is_to_end]
        is_idle = not any(running.is_busy for running in self._running.values())
        is_late = any(running.result and elapsed - running.ended_after >= FLUSH_AFTER for running in ended)
        kept = [running for running in ready if running.state in (State.HELD, State.TIMED_OUT)]
        renewed = [running for running in kept if self._is_to_renew(running, now)]
        writes = [*(ended if at_once or is_idle or is_late else []), *renewed]
        return [self._write(running, now, elapsed) for running in writes]

    def _end_timed_out(self, now: datetime) -> None:
        """Store the jobs that timed out, and start nothing more.

        This is stored last, and then the process ends: until now the thread that was left behind may have acted, and a
        retry in any process would have overlapped with it. So the delay before the retry begins now.
        """
        for running in self._running.values():
            if running.state is State.TIMED_OUT and running.result is not None:
                running.result = replace(running.result, ended_at=now)
                running.state = State.ENDED
                self._is_open = False

    def _is_to_renew(self, running: RunningJob, now: datetime) -> bool:
        until = running.job.lease_until
        return until is not None and now >= until - self._settings.lease * 2 / 3

    def _write(self, running: RunningJob, now: datetime, elapsed: timedelta) -> Write:
        """Return the write that follows from the state of the job."""
        job: Job | Unreadable
        if running.state is State.VANISHED:
            self._drop(running)  # it is begun again, as a new running job
            return self._claims.again(running.job, now, running.job.queue)
        try:
            if not running.is_to_end:
                job = running.job.renew(now=now, lease=self._settings.lease)
            elif running.result is None:
                job = running.job.give_back(now=now, due_at=running.found.due_at)
            else:
                job = running.job.finish(running.result, retention=self._settings.retention)
        except Exception as exc:  # a case that no rule foresaw; the other results must be stored
            job = Unreadable.broken_by(running.job, exc).quarantined()
        return Write(Change(running.job, job), partial(self._settle, running, now, elapsed + TRY_AGAIN))

    def _settle(self, running: RunningJob, now: datetime, try_after: timedelta, outcome: Outcome) -> None:
        """Act on the state of the job and the store's answer."""
        match outcome:
            case Won(Job() as job) if not running.is_to_end:
                running.job = job
            case Won(Job() as job):
                self._record(running, job)
            case Won():
                says = "ended, but its end breaks a rule; it is quarantined"
                log_job(logging.ERROR, "job_set_aside", running.job, says)
                self._lose(running)
            case Lost():
                # A person changed it, another tick took it over, or our own write was applied without a confirmation.
                self._doubtful.append(running)
            case Refused(reason) if running.result is not None and running.state is not State.REFUSED:
                running.state = State.REFUSED
                error = f"the store refuses the result: {reason}"
                running.result = replace(running.result, error=error, final=True, later=None)
            case Refused(reason) if running.is_to_end:
                says = f"ended, but the store refuses any result: {reason}"
                log_job(logging.ERROR, "result_refused", running.job, says)
                self._lose(running)
            case _:
                running.try_after = try_after
                if running.is_busy and running.job.lease_until is not None and now >= running.job.lease_until:
                    running.ask_to_stop("lease lost")

    def _read_doubtful(self) -> None:
        """Read the jobs whose swap was lost: a job with our token is still ours, however it was changed."""
        doubtful, self._doubtful = self._doubtful, []
        try:
            found = self._store.get([running.job.id for running in doubtful])
        except StoreUnavailable:
            for running in doubtful:
                running.try_after = self._elapsed() + TRY_AGAIN
            return
        for running in doubtful:
            self._reconsider(running, found.get(running.job.id))

    def _reconsider(self, running: RunningJob, found: Job | Unreadable | None) -> None:
        hold = hold_of(running.job, found)
        if hold is Hold.GONE or not isinstance(found, Job):
            running.ask_to_stop("lease lost")
            if running.is_busy:
                running.state = State.LOST
            else:
                self._refuse(running)
        elif hold is Hold.SETTLED:
            self._record(running, found)
        else:
            running.job = found
            if found.status in (Status.PAUSED, Status.CANCELLED):
                running.ask_to_stop(found.status.value)

    def _refuse(self, running: RunningJob) -> None:
        self._results.refused(running)
        self._drop(running)

    def _lose(self, running: RunningJob) -> None:
        self._results.lost(running)
        self._drop(running)

    def _drop(self, running: RunningJob) -> None:
        running.state = State.OVER
        del self._running[running.job.id]

    def _record(self, running: RunningJob, job: Job) -> None:
        """Record the result that is stored, if the job was begun, and hold it no longer."""
        if running.result is not None and running.is_run:
            self._results.ended(running, running.result, job)
        elif running.result is not None:
            self.report.jobs_not_handed_over += 1
        self._drop(running)

    def _end_late(self, now: datetime) -> None:
        """Store what can be stored, and leave running jobs to their leases; a result left behind is an error."""
        elapsed = self._elapsed()
        self._end_timed_out(now)
        ended = [running for running in self._running.values() if not running.is_busy]
        if writes := [self._write(running, now, elapsed) for running in ended if elapsed >= running.try_after]:
            self._store_all(writes)
        if writes := self._notices.writes(elapsed, at_once=True):
            self._store_all(writes)
        self.report.truncated = True
        for running in self._running.values():
            self.report.jobs_lost += running.is_run
            self.report.threads_left_behind += running.is_busy and running.is_run
            if running.is_busy and running.job.lease_until is not None:
                says = f"is left behind; it is taken over when its lease ends, at {iso(running.job.lease_until)}"
                log_job(logging.WARNING, "job_left", running.job, says)
        if not all(running.is_busy for running in self._running.values()):
            self._trouble = self._trouble or "results could not be stored in time"
