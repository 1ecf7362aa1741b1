"""How a run ends: success, another attempt, final failure, and the history."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.model.job import Job
from shared.model.value import Status
from tests.support.job_life import MINUTE, RETENTION, claim, finish, outcomes


def test_a_one_shot_that_succeeded_is_completed(waiting: Job, now: datetime) -> None:
    """It keeps its token for a holder whose answer was lost, is not ready, and expires after the retention."""
    done = finish(claim(waiting, now), now + MINUTE)

    assert (done.status, done.ready_at, done.lease_until) == (Status.COMPLETED, None, None)
    assert (done.completed_at, done.expire_at) == (now + MINUTE, now + MINUTE + RETENTION)
    assert done.lease_token == "token"
    assert outcomes(done) == ["completed"]


def test_a_failure_waits_and_is_tried_again(waiting: Job, now: datetime) -> None:
    """The same occurrence, with its key, after a pause; the job has the error."""
    failed = finish(claim(waiting, now), now, error="boom")

    assert (failed.status, failed.attempts, failed.error) == (Status.PENDING, 1, "boom")
    assert failed.execution_key == waiting.execution_key
    assert failed.ready_at is not None
    assert MINUTE <= failed.ready_at - now < 1.25 * MINUTE


def test_the_pause_doubles_up_to_an_hour(waiting: Job) -> None:
    """60 s, 120 s, ... 1 h, each with at most a quarter of jitter."""
    pauses = [replace(waiting, attempts=n).backoff() for n in (1, 2, 3, 6, 7, 50)]

    expected = [1, 2, 4, 32, 60, 60]
    assert all(n * MINUTE <= pause < 1.25 * n * MINUTE for n, pause in zip(expected, pauses, strict=True))


def test_the_jitter_follows_from_key_and_attempt(waiting: Job, now: datetime) -> None:
    """The same attempt at the same occurrence waits equally long everywhere; another one does not."""
    first = replace(waiting, attempts=1)

    assert first.backoff() == replace(first, version=7, payload={}).backoff()
    assert first.backoff() != replace(first, schedule_at=now + MINUTE).backoff()
    assert replace(waiting, attempts=7).backoff() != replace(waiting, attempts=8).backoff()


def test_the_last_attempt_fails_a_one_shot_for_good(waiting: Job, now: datetime) -> None:
    """After max_attempts failures it is failed and stays, without an expiry."""
    job = waiting
    for _ in range(3):
        assert job.ready_at is not None
        job = finish(claim(job, job.ready_at), now, error="boom")

    assert (job.status, job.attempts, job.ready_at, job.expire_at) == (Status.FAILED, 3, None, None)
    assert outcomes(job) == ["retried", "retried", "failed"]


def test_never_again_fails_at_once(waiting: Job, now: datetime) -> None:
    """A final failure uses no further attempt."""
    failed = finish(claim(waiting, now), now, error="gone", final=True)

    assert (failed.status, failed.attempts) == (Status.FAILED, 1)


def test_later_uses_no_attempt(waiting: Job, now: datetime) -> None:
    """The same occurrence runs again after the requested pause."""
    later = finish(claim(waiting, now), now, error="busy", later=timedelta(hours=2))

    assert (later.status, later.attempts, later.ready_at) == (Status.PENDING, 0, now + timedelta(hours=2))
    assert later.execution_key == waiting.execution_key


@pytest.mark.parametrize("asked", [timedelta(), timedelta(seconds=-5), timedelta(seconds=1)])
def test_later_is_at_least_a_second(waiting: Job, now: datetime, asked: timedelta) -> None:
    """No handler can make a job ready again at once."""
    assert finish(claim(waiting, now), now, error="busy", later=asked).ready_at == now + timedelta(seconds=1)


def test_a_recurring_job_goes_on_to_the_first_occurrence_after_the_one_that_ran(daily: Job, now: datetime) -> None:
    """Even if it is already due, and after any number of attempts."""
    failed_once = finish(claim(daily, now), now, error="boom")
    assert failed_once.ready_at is not None

    done = finish(claim(failed_once, failed_once.ready_at), now + timedelta(days=3))

    assert (done.status, done.schedule_at, done.ready_at) == (Status.PENDING, *[now + timedelta(days=1)] * 2)
    assert (done.attempts, done.error, done.expire_at) == (0, None, None)


def test_a_recurring_job_survives_a_final_failure(daily: Job, now: datetime) -> None:
    """It records the failure and continues with the next occurrence."""
    failed = finish(claim(daily, now), now, error="gone", final=True)

    assert (failed.status, failed.error, failed.ready_at) == (Status.PENDING, "gone", now + timedelta(days=1))
    assert outcomes(failed) == ["failed"]


def test_a_recurring_job_is_completed_at_the_end_of_the_calendar(daily: Job, now: datetime) -> None:
    """If no occurrence can follow it is completed, without an error in the tick."""
    last = replace(daily, schedule_at=datetime(9999, 12, 31, 9, tzinfo=UTC))

    assert finish(claim(last, now), now).status is Status.COMPLETED


def test_history_holds_the_last_ten_runs(daily: Job, now: datetime) -> None:
    """The newest entry replaces the oldest."""
    job = daily
    for day in range(12):
        job = finish(claim(job, now + timedelta(days=day)), now + timedelta(days=day))

    assert [run.schedule_at for run in job.recent_runs] == [now + timedelta(days=day) for day in range(2, 12)]


def test_an_error_is_cut_to_what_may_be_stored(waiting: Job, now: datetime) -> None:
    """A long error keeps its first 1,000 characters, in the job and in its history."""
    failed = finish(claim(waiting, now), now, error="x" * 5000)

    assert failed.error == failed.recent_runs[0].error == "x" * 1000


def test_the_output_of_a_success_is_kept_in_its_run(waiting: Job, now: datetime) -> None:
    """A failure has none."""
    done = finish(claim(waiting, now), now, output="42 rows")
    failed = finish(claim(waiting, now), now, output="42 rows", error="the store refuses the result")

    assert (done.recent_runs[0].output, failed.recent_runs[0].output) == ("42 rows", None)
