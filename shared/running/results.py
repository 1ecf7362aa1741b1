"""The results of runs: counted in the report, logged, and reported to a space if an occurrence was given up."""

import logging
from collections.abc import Collection

from shared.model.history import Result, Run, RunOutcome
from shared.model.job import Job
from shared.model.times import iso
from shared.model.value import Status
from shared.running.notices import Notices
from shared.running.report import TickReport
from shared.running.running_job import RunningJob
from shared.running.write import log_job


class Results:
    """Records what became of the jobs of one runner. `held` are the ids of the jobs that it holds at present."""

    def __init__(self, report: TickReport, notices: Notices, held: Collection[str]) -> None:
        self._report = report
        self._notices = notices
        self._held = held

    def ended_in_claim(self, job: Job) -> None:
        """Record a job that did not run: its time was missed, or too many of its holders died."""
        run = job.recent_runs[-1]
        if run.is_missed:
            follows = "its schedule has ended" if job.ready_at is None else f"it moves on to {iso(job.schedule_at)}"
            log_job(logging.WARNING, "job_missed", job, f"was not run in time; {follows}")
        else:
            log_job(logging.ERROR, "job_failed", job, f"failed for good: {run.error}")
            self._given_up(job)

    def ended(self, running: RunningJob, result: Result, job: Job) -> None:
        """Record the result of a run, as it is stored in the job."""
        run = _run_of(result, job)
        match run.outcome:
            case RunOutcome.COMPLETED:
                self._report.jobs_succeeded += 1
                log_job(logging.INFO, "job_completed", running.job, "completed successfully")
            case RunOutcome.FAILED:
                self._report.jobs_failed += 1
                level = logging.WARNING if job.status is Status.CANCELLED else logging.ERROR
                log_job(level, "job_failed", running.job, f"failed for good: {run.error}", running.exception)
                self._given_up(job)
            case _:
                self._report.jobs_retried += 1
                when = iso(job.ready_at) if job.ready_at else "when it is resumed"
                # The first of several attempts logs where it failed; the last is an error with its whole traceback.
                trace = run.trace if running.job.attempts == 0 else None
                log_job(logging.INFO, "job_retried", running.job, f"will run again ({when}): {run.error}", trace=trace)

    def refused(self, running: RunningJob) -> None:
        """Record a job whose result, if it has one, is refused, since its lease was lost."""
        if running.result is not None:
            log_job(logging.WARNING, "lease_lost", running.job, "lost its lease; its result is refused")
        self.lost(running)

    def lost(self, running: RunningJob) -> None:
        """Count a run whose result is not stored."""
        self._report.jobs_lost += running.result is not None and running.is_run

    def _given_up(self, job: Job) -> None:
        if job.has_paused_itself:
            log_job(logging.WARNING, "job_paused", job, f"paused after {job.failed_in_a_row} failures in a row")
        self._notices.announce(job, self._held)


def _run_of(result: Result, job: Job) -> Run:
    """Return the run that the result became: a person's command may have added to the history since."""
    own = (run for run in reversed(job.recent_runs) if result.started_at == run.started_at)
    return next(own, job.recent_runs[-1])
