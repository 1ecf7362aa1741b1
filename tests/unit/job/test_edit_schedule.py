"""Editing the bounds and the rhythm of a schedule."""

from datetime import datetime, timedelta

import pytest

from shared.model.definition import Misfire
from shared.model.history import Result
from shared.model.job import Job
from shared.model.recurrence import InvalidSchedule
from shared.model.schedule import FOREVER
from shared.model.value import Status
from tests.support.job_life import DAY, HOUR, MINUTE, RETENTION, JobFactory, claim, ran


def test_an_edit_of_something_else_keeps_the_schedule(rich: Job, now: datetime) -> None:
    """Every field stays, and so does the next occurrence."""
    edited = rich.edit(now=now + HOUR, payload={"message": "bye"}, max_attempts=5)

    assert edited.schedule == rich.schedule
    assert (edited.schedule_at, edited.ready_at) == (rich.schedule_at, rich.ready_at)
    assert (edited.grace_seconds, edited.pause_after_failures, edited.misfire) == (1800, 4, Misfire.SKIP)


def test_each_field_can_be_removed(rich: Job, now: datetime) -> None:
    """By the value that means none; the plain interval remains."""
    edited = rich.edit(now=now + HOUR, until=FOREVER, except_dates=(), pause_after_failures=0, misfire="coalesce")

    assert (edited.until, edited.except_dates, edited.pause_after_failures, edited.grace_seconds) == (
        None,
        (),
        None,
        None,
    )
    assert (edited.starts_at, edited.schedule_at) == (rich.starts_at, rich.schedule_at)


def test_a_changed_schedule_starts_from_now_unless_a_start_is_given(rich: Job, now: datetime) -> None:
    """A new interval does not count from the old start; end and days off stay."""
    from_now = rich.edit(now=now + HOUR, every="2d")
    from_then = rich.edit(now=now + HOUR, every="2d", at=now + 5 * HOUR)

    assert (from_now.starts_at, from_now.schedule_at) == (now + HOUR, now + HOUR)
    assert (from_then.starts_at, from_then.schedule_at) == (now + 5 * HOUR, now + 5 * HOUR)
    assert (from_then.until, from_then.except_dates) == (rich.until, rich.except_dates)


def test_a_changed_schedule_keeps_a_start_that_is_to_come(job_factory: JobFactory, now: datetime) -> None:
    """At the moment of its start that is over: the new schedule starts from now."""
    job = job_factory(cron="0 9 * * *", at=now + DAY)
    before = job.edit(now=now + DAY - timedelta(seconds=1), cron="0 10 * * *")
    at_once = job.edit(now=now + DAY, cron="0 10 * * *")

    assert (before.starts_at, before.schedule_at) == (now + DAY, now + DAY + HOUR)
    assert (at_once.starts_at, at_once.schedule_at) == (None, now + DAY + HOUR)


def test_cron_replaces_every_and_the_other_way_round(rich: Job, now: datetime) -> None:
    """An edit of one removes the other and its start."""
    by_cron = rich.edit(now=now + HOUR, cron="0 9 * * *")
    by_every = by_cron.edit(now=now + HOUR, every="13h")

    assert (by_cron.cron, by_cron.every, by_cron.starts_at) == ("0 9 * * *", None, None)
    assert (by_every.cron, by_every.every, by_every.starts_at) == (None, "13h", now + HOUR)


def test_a_time_alone_makes_it_a_one_shot(rich: Job, now: datetime) -> None:
    """The end and the days off go with the recurrence."""
    edited = rich.edit(now=now + HOUR, at=now + 2 * HOUR)

    assert not edited.is_recurring
    assert (edited.until, edited.except_dates, edited.starts_at, edited.timezone) == (None, (), None, None)
    assert edited.schedule_at == now + 2 * HOUR


def test_a_day_off_moves_the_next_occurrence_and_comes_back(rich: Job, now: datetime) -> None:
    """The next one is computed again; the start and the rhythm stay."""
    off = rich.edit(now=now + HOUR, except_dates=["2026-11-27"])
    on = off.edit(now=now + HOUR, except_dates=())

    assert [job.schedule_at for job in (rich, off, on)] == [now + 6 * DAY, now + 12 * DAY, now + 6 * DAY]


def test_a_later_end_wakes_a_job_whose_schedule_had_ended(job_factory: JobFactory, now: datetime) -> None:
    """It continues in its rhythm, from now on; nothing that ended starts again."""
    over = ran(job_factory(every="6d", until=now + DAY), now)

    woken = over.edit(now=now + 7 * DAY, until=now + 30 * DAY)

    assert (woken.status, woken.schedule_at, woken.expire_at) == (Status.PENDING, now + 12 * DAY, None)
    with pytest.raises(InvalidSchedule, match="never runs"):
        over.edit(now=now + 7 * DAY, until=now + 8 * DAY)


def test_other_bounds_leave_an_occurrence_that_was_begun_or_is_due(job_factory: JobFactory, now: datetime) -> None:
    """One that runs, waits for its retry or is overdue does not start again; a cancelled job stays cancelled."""
    job = job_factory(every="6d")
    held = claim(job, now)
    waiting = held.finish(Result(started_at=now, ended_at=now, by="x", error="boom"), retention=RETENTION)
    cancelled = job.cancel(now=now, retention=RETENTION)

    for kept in (held, waiting, job, cancelled):
        edited = kept.edit(now=now + MINUTE, until=now + 7 * DAY)
        assert (edited.schedule_at, edited.ready_at, edited.status) == (kept.schedule_at, kept.ready_at, kept.status)
        assert edited.until == now + 7 * DAY


def test_an_extra_run_is_kept_when_the_bounds_change(rich: Job, now: datetime) -> None:
    """Only the regular occurrence after it moves; a paused job stays paused."""
    extra = rich.run(now=now + HOUR).edit(now=now + HOUR, except_dates=["2026-11-27"])
    paused = rich.pause(now=now).edit(now=now + HOUR, except_dates=["2026-11-27"])

    assert (extra.ready_at, extra.regular_at) == (now + HOUR, now + 12 * DAY)
    assert (paused.status, paused.ready_at, paused.schedule_at) == (Status.PAUSED, None, now + 12 * DAY)


@pytest.mark.parametrize("late", [-2 * DAY, -HOUR, HOUR])
def test_an_extra_run_after_the_end_starts_no_ended_occurrence_again(
    job_factory: JobFactory, now: datetime, late: timedelta
) -> None:
    """Also if a clock that is behind requests it: what ended stays ended, and the job completed."""
    job = job_factory(every="1d", until=now + 2 * DAY)
    over = ran(ran(job, now), now + DAY)

    again = ran(over.run(now=now + DAY + late), now + 2 * DAY)

    assert (over.status, again.status) == (Status.COMPLETED, Status.COMPLETED)
    assert len({run.schedule_at for run in again.recent_runs}) == 3


def test_another_timezone_keeps_the_start(rich: Job, now: datetime) -> None:
    """The rhythm continues from the same moment in the other zone."""
    edited = rich.edit(now=now + HOUR, timezone="America/New_York")

    assert (edited.starts_at, edited.schedule_at) == (rich.starts_at, now + 6 * DAY)
