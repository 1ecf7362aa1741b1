"""Pause, resume and cancel."""

from datetime import datetime, timedelta
from functools import partial

import pytest

from shared.model.definition import Misfire
from shared.model.history import RunOutcome
from shared.model.job import Job
from shared.model.life import NotPossible
from shared.model.value import Status
from tests.support.job_life import MINUTE, RETENTION, SECOND, JobFactory, claim, finish


def test_pause_and_resume_a_waiting_job(daily: Job, now: datetime) -> None:
    """A paused job is not ready; when resumed it is ready at its occurrence again; both record the person."""
    paused = daily.pause(now=now - MINUTE, by="ana")
    resumed = paused.resume(now=now - SECOND, retention=RETENTION, by="ben")

    assert (paused.status, paused.ready_at, paused.updated_by) == (Status.PAUSED, None, "ana")
    assert (resumed.status, resumed.ready_at, resumed.updated_by) == (Status.PENDING, daily.schedule_at, "ben")


WEDNESDAY = timedelta(days=4, hours=6)  # at 15:00, for a job of every day at 9:00 that was paused on Saturday


@pytest.mark.parametrize("misfire", list(Misfire))
def test_resume_goes_on_with_the_next_future_occurrence(
    job_factory: JobFactory, now: datetime, misfire: Misfire
) -> None:
    """A stand-up that was paused for days is not posted in the afternoon; history has one entry for the missed ones."""
    paused = job_factory(cron="0 9 * * *", at=now, misfire=misfire).pause(now=now)

    resumed = paused.resume(now=now + WEDNESDAY, retention=RETENTION)

    assert resumed.schedule_at == resumed.ready_at == now + timedelta(days=5)
    assert [(run.outcome, run.schedule_at, run.until) for run in resumed.recent_runs] == [
        ("missed", now, now + timedelta(days=4))
    ]


@pytest.mark.parametrize("misfire", list(Misfire))
def test_resume_catches_up_when_it_is_asked_to(job_factory: JobFactory, now: datetime, misfire: Misfire) -> None:
    """The newest due occurrence runs once, under any misfire rule; then the schedule continues."""
    paused = job_factory(cron="0 9 * * *", at=now, misfire=misfire).pause(now=now)

    held = claim(paused.resume(now=now + WEDNESDAY, retention=RETENTION, catch_up=True), now + WEDNESDAY)

    assert held.schedule_at == now + timedelta(days=4)
    assert [(run.schedule_at, run.until) for run in held.recent_runs] == [(now, now + timedelta(days=3))]
    assert finish(held, now + WEDNESDAY).schedule_at == now + timedelta(days=5)


def test_resume_with_nothing_missed_changes_no_time(daily: Job, now: datetime) -> None:
    """Neither the next occurrence nor the history changes."""
    tomorrow = finish(claim(daily, now), now).pause(now=now)

    for catch_up in (False, True):
        resumed = tomorrow.resume(now=now + MINUTE, retention=RETENTION, catch_up=catch_up)
        assert (resumed.ready_at, len(resumed.recent_runs)) == (now + timedelta(days=1), 1)


def test_resume_keeps_a_one_shot_and_an_extra_run(waiting: Job, daily: Job, now: datetime) -> None:
    """A one-shot job runs late; an extra run, which somebody requested, comes first."""
    late = waiting.pause(now=now).resume(now=now + WEDNESDAY, retention=RETENTION)
    extra = daily.run(now=now - MINUTE).pause(now=now).resume(now=now + WEDNESDAY, retention=RETENTION)

    assert (late.ready_at, extra.schedule_at) == (now, now - MINUTE)
    assert finish(claim(extra, now + WEDNESDAY), now + WEDNESDAY).schedule_at == now + timedelta(days=5)


def test_a_cancelled_job_is_over_and_expires(daily: Job, now: datetime) -> None:
    """It cannot be resumed, run or retried."""
    cancelled = daily.cancel(now=now, retention=RETENTION, by="ana")

    assert (cancelled.status, cancelled.ready_at, cancelled.expire_at) == (Status.CANCELLED, None, now + RETENTION)
    resume = partial(cancelled.resume, retention=RETENTION)
    for refused in (resume, cancelled.run, cancelled.retry, cancelled.pause, cancelled.release):
        with pytest.raises(NotPossible, match="cancelled"):
            refused(now=now)


def test_resume_keeps_the_next_try_of_an_extra_run(job_factory: JobFactory, now: datetime) -> None:
    """Although the regular occurrences that fell due meanwhile are recorded as missed."""
    extra = job_factory(cron="*/5 * * * *", at=now).run(now=now - MINUTE)
    held = claim(extra, now).pause(now=now)
    snoozed = finish(held, now, error="busy", later=timedelta(hours=1))

    resumed = snoozed.resume(now=now + 20 * MINUTE, retention=RETENTION)

    assert (resumed.schedule_at, resumed.ready_at) == (extra.schedule_at, now + timedelta(hours=1))
    assert resumed.recent_runs[-1].outcome is RunOutcome.MISSED
