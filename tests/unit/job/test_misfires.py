"""Occurrences that were not run in time."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.model.definition import Misfire
from shared.model.history import RunOutcome
from shared.model.job import Job
from shared.model.value import Status
from tests.support.job_life import MICROSECOND, MINUTE, JobFactory, claim, finish


def test_coalesce_runs_the_newest_due_occurrence(daily: Job, now: datetime) -> None:
    """After three missed days one run stands for all; history has the first and the last one missed."""
    late = now + timedelta(days=3, hours=1)

    held = claim(daily, late)

    assert held.schedule_at == now + timedelta(days=3)
    assert held.status is Status.RUNNING
    (missed,) = held.recent_runs
    assert (missed.outcome, missed.schedule_at, missed.until) == (RunOutcome.MISSED, now, now + timedelta(days=2))


def test_an_occurrence_that_is_late_but_alone_just_runs(daily: Job, now: datetime) -> None:
    """It runs late as long as no later one is due."""
    held = claim(daily, now + timedelta(hours=23, minutes=59))

    assert (held.schedule_at, held.recent_runs) == (now, ())


@pytest.mark.parametrize(
    ("late", "runs"),
    [(timedelta(minutes=10), True), (timedelta(minutes=10) + MICROSECOND, False), (timedelta(days=2), False)],
)
def test_skip_runs_only_what_is_at_most_ten_minutes_late(
    daily: Job, now: datetime, late: timedelta, runs: bool
) -> None:
    """Exactly ten minutes late still runs; after that the job moves to the next future occurrence."""
    after = claim(replace(daily, misfire=Misfire.SKIP), now + late)

    assert (after.status is Status.RUNNING) is runs
    if not runs:
        assert after.lease_token is None
        assert after.ready_at == after.schedule_at > now + late
        (missed,) = after.recent_runs
        assert (missed.schedule_at, missed.until) == (now, after.schedule_at - timedelta(days=1))


def test_a_retry_is_no_misfire(daily: Job, now: datetime) -> None:
    """The rule applies only to the first attempt: a retry keeps its occurrence, however late it is."""
    failed = finish(claim(daily, now), now, error="boom")

    held = claim(failed, now + timedelta(days=5))

    assert held.schedule_at == now


def test_a_takeover_is_no_misfire(daily: Job, now: datetime) -> None:
    """The occurrence of a dead holder does not move either."""
    held = claim(claim(daily, now), now + timedelta(days=5), "other")

    assert held.schedule_at == now


def test_a_year_of_minutes_is_caught_up_without_walking(job_factory: JobFactory, now: datetime) -> None:
    """The newest due occurrence is found by looking back from now; the history entry spans all of them."""
    job = job_factory(cron="* * * * *", at=now - timedelta(days=365))

    held = claim(job, now)

    assert held.schedule_at == now
    assert held.recent_runs[0].until == now - MINUTE


def test_a_job_given_back_before_it_began_is_caught_up_again(daily: Job, now: datetime) -> None:
    """Its first attempt is still to come, so after another outage the newest occurrence runs."""
    held = claim(daily, now + timedelta(days=1))

    back = held.give_back(now=now + timedelta(days=1), due_at=daily.ready_at)

    assert back.ready_at == now + timedelta(days=1)
    assert claim(back, now + timedelta(days=5)).schedule_at == now + timedelta(days=5)
