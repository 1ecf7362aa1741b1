"""A job that pauses after so many failures in a row."""

from datetime import datetime

from shared.model.history import Result
from shared.model.value import Status
from shared.model.wording import why
from tests.support.job_life import DAY, RETENTION, JobFactory, claim, ran


def test_a_job_pauses_after_so_many_failures_in_a_row(job_factory: JobFactory, now: datetime) -> None:
    """The second failure pauses it and keeps its next occurrence; `why` says so."""
    job = job_factory(cron="0 9 * * *", pause_after_failures=2)

    once = ran(job, now, error="boom")
    twice = ran(once, now + DAY, error="the key was revoked")

    assert (once.status, once.ready_at) == (Status.PENDING, now + DAY)
    assert (twice.status, twice.ready_at, twice.schedule_at) == (Status.PAUSED, None, now + 2 * DAY)
    assert why(twice, now, "UTC") == (
        "It is paused after 2 failures in a row, the last because: the key was revoked. Resume lets it go on."
    )


def test_a_success_or_a_resume_begins_the_count_anew(job_factory: JobFactory, now: datetime) -> None:
    """Only failures in a row count, and a resume sets the count to zero."""
    job = job_factory(cron="0 9 * * *", pause_after_failures=2)

    mixed = ran(ran(ran(job, now, "boom"), now + DAY), now + 2 * DAY, "boom")
    paused = ran(mixed, now + 3 * DAY, "boom")
    again = ran(paused.resume(now=now + 3 * DAY, retention=RETENTION), now + 4 * DAY, "boom")

    assert [job.status for job in (mixed, paused, again)] == [Status.PENDING, Status.PAUSED, Status.PENDING]


def test_many_failures_are_counted_beyond_the_history(job_factory: JobFactory, now: datetime) -> None:
    """Of twelve failures the history has ten."""
    job = job_factory(cron="0 9 * * *", pause_after_failures=12)

    for n in range(12):
        assert job.status is Status.PENDING
        job = ran(job, now + n * DAY, "boom")

    assert (job.status, len(job.recent_runs)) == (Status.PAUSED, 10)


def test_a_retry_is_no_failure_in_a_row(job_factory: JobFactory, now: datetime) -> None:
    """An occurrence counts when it gives up, not at each attempt; without a limit nothing pauses."""
    limited = job_factory(cron="0 9 * * *", pause_after_failures=1, max_attempts=2)
    failed = Result(started_at=now, ended_at=now, by="x", error="boom")

    retried = claim(limited, now).finish(failed, retention=RETENTION)

    assert (retried.status, retried.failed_in_a_row) == (Status.PENDING, 0)
    assert ran(job_factory(cron="0 9 * * *"), now, "boom").status is Status.PENDING
