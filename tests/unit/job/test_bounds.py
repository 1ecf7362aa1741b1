"""A start, an end, days off and a grace, and what they leave of a job's schedule."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from shared.errors import InvalidInput
from shared.model.recurrence import InvalidSchedule
from shared.model.schedule import FOREVER
from shared.model.value import Status
from shared.model.wording import why
from tests.support.job_life import DAY, HOUR, MINUTE, RETENTION, JobFactory, claim, finish, missed, ran
from tests.unit.test_interval import calls_of


def test_an_interval_starts_now(job_factory: JobFactory, now: datetime) -> None:
    """Without another start it runs at once, and then in its rhythm, however late a run was."""
    job = job_factory(every="6d")

    after = ran(job, now + HOUR)

    assert (job.starts_at, job.schedule_at) == (now, now)
    assert after.schedule_at == now + 6 * DAY


def test_an_interval_counts_from_its_start(job_factory: JobFactory, now: datetime) -> None:
    """`at` is the first occurrence, and stays."""
    job = job_factory(every="90m", at=now + HOUR)

    assert (job.starts_at, job.schedule_at) == (now + HOUR, now + HOUR)
    assert ran(job, now + HOUR).schedule_at == now + HOUR + 90 * MINUTE


def test_a_cron_schedule_begins_at_its_start(job_factory: JobFactory, now: datetime) -> None:
    """The start stays, and no occurrence is before it."""
    job = job_factory(cron="0 9 * * *", at=now + 30 * DAY)

    assert (job.starts_at, job.schedule_at) == (now + 30 * DAY, now + 30 * DAY)
    assert job.schedule.last_until(now + 29 * DAY) is None


def test_an_interval_of_minutes_that_nobody_ran_for_years_is_caught_up_in_few_steps(
    job_factory: JobFactory, now: datetime
) -> None:
    """The first and the last missed occurrence are found by looking back from now."""
    job = job_factory(every="1m")
    late = now + 6 * 365 * DAY + timedelta(seconds=7)

    held = claim(job, late)

    assert held.schedule_at == now + 6 * 365 * DAY
    assert missed(held) == [(now, now + 6 * 365 * DAY - MINUTE)]
    assert calls_of(lambda: claim(job, late)) < 1000


# -- until -------------------------------------------------------------------------------------------------------------


def test_a_job_is_completed_after_its_last_occurrence(job_factory: JobFactory, now: datetime) -> None:
    """The end is exclusive; the job expires like any completed one, and says that its schedule has ended."""
    job = job_factory(cron="0 9 * * *", until=now + DAY)

    over = ran(job, now)

    assert (over.status, over.ready_at, over.expire_at) == (Status.COMPLETED, None, now + RETENTION)
    assert why(over, now, "UTC") == "Its schedule has ended; it last ran at Sat 21 Nov 2026, 09:00."


def test_a_late_last_occurrence_still_runs(job_factory: JobFactory, now: datetime) -> None:
    """The newest occurrence that was due before the end runs after it."""
    job = job_factory(every="1h", until=now + 3 * HOUR)

    held = claim(job, now + DAY)

    assert held.schedule_at == now + 2 * HOUR
    assert missed(held) == [(now, now + HOUR)]
    assert finish(held, now + DAY).status is Status.COMPLETED


def test_a_last_occurrence_that_is_skipped_completes_the_job(job_factory: JobFactory, now: datetime) -> None:
    """There is no future one to move to; history has what was skipped."""
    job = job_factory(every="1h", until=now + 3 * HOUR, misfire="skip")

    over = claim(job, now + DAY)

    assert (over.status, over.ready_at, over.expire_at) == (Status.COMPLETED, None, now + DAY + RETENTION)
    assert missed(over) == [(now, now + 2 * HOUR)]
    assert why(over, now, "UTC") == "Its schedule has ended; it never ran."


def test_a_last_occurrence_that_is_given_up_leaves_a_failed_job(job_factory: JobFactory, now: datetime) -> None:
    """As for a one-shot job: nothing follows that could succeed, so a person may retry it."""
    failed = ran(job_factory(every="1h", until=now + HOUR), now, error="boom")

    assert failed.status is Status.FAILED
    assert ran(failed.retry(now=now), now).status is Status.COMPLETED


@pytest.mark.parametrize("catch_up", [False, True])
def test_a_pause_that_outlasts_the_schedule(job_factory: JobFactory, now: datetime, catch_up: bool) -> None:
    """Resume completes the job, or runs the newest due occurrence first."""
    paused = job_factory(cron="0 9 * * *", until=now + 3 * DAY).pause(now=now)

    resumed = paused.resume(now=now + 9 * DAY, retention=RETENTION, catch_up=catch_up)

    if catch_up:
        assert (resumed.status, resumed.schedule_at) == (Status.PENDING, now + 2 * DAY)
        assert missed(resumed) == [(now, now + DAY)]
        resumed = ran(resumed, now + 9 * DAY)
    else:
        assert missed(resumed) == [(now, now + 2 * DAY)]
    assert (resumed.status, resumed.expire_at) == (Status.COMPLETED, now + 9 * DAY + RETENTION)


def test_an_extra_run_outlives_the_schedule(job_factory: JobFactory, now: datetime) -> None:
    """Requested and then paused until the schedule was over, it still runs, once."""
    extra = job_factory(cron="0 9 * * *", until=now + 3 * DAY).run(now=now - HOUR).pause(now=now - HOUR)

    resumed = extra.resume(now=now + 9 * DAY, retention=RETENTION)
    held = claim(resumed, now + 10 * DAY)

    assert (held.execution_key, held.status) == (extra.execution_key, Status.RUNNING)
    assert finish(held, now + 10 * DAY).status is Status.COMPLETED


@pytest.mark.parametrize("error", [None, "boom"])
def test_a_job_whose_schedule_has_ended_can_be_run_once_more(
    job_factory: JobFactory, now: datetime, error: str | None
) -> None:
    """The extra occurrence is the only one: the schedule does not start again."""
    over = ran(job_factory(cron="0 9 * * *", until=now + DAY), now, error)

    extra = claim(over.run(now=now + 5 * DAY), now + 6 * DAY)
    done = finish(extra, now + 6 * DAY)

    assert extra.schedule_at == now + 5 * DAY
    assert done.status is Status.COMPLETED
    assert [run.schedule_at for run in done.recent_runs] == [now, now + 5 * DAY]


# -- except_dates ------------------------------------------------------------------------------------------------------


def test_an_occurrence_on_a_day_off_does_not_exist(job_factory: JobFactory, now: datetime) -> None:
    """The job skips it, and it does not count as missed."""
    job = job_factory(cron="0 9 * * *", except_dates=["2026-11-22", date(2026, 11, 23)])

    after = ran(job, now)

    assert after.schedule_at == now + 3 * DAY
    assert missed(claim(after, now + 3 * DAY)) == []


def test_missed_occurrences_begin_and_end_on_days_that_are_not_excluded(job_factory: JobFactory, now: datetime) -> None:
    """The last missed occurrence is not on a day off."""
    job = job_factory(cron="0 9 * * *", except_dates=["2026-11-24"])

    held = claim(job, now + 4 * DAY)

    assert (held.schedule_at, missed(held)) == (now + 4 * DAY, [(now, now + 2 * DAY)])


def test_dates_are_kept_in_order_and_once_each(job_factory: JobFactory) -> None:
    """In any order and with repetitions, the job stores the same dates."""
    job = job_factory(cron="0 9 * * *", except_dates=("2026-12-25", date(2026, 12, 24), "2026-12-25"))

    assert job.except_dates == (date(2026, 12, 24), date(2026, 12, 25))


# -- grace -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grace", [None, timedelta(minutes=30), MINUTE], ids=["default", "30-min", "least"])
def test_skip_runs_what_is_at_most_the_grace_late(
    job_factory: JobFactory, now: datetime, grace: timedelta | None
) -> None:
    """At the threshold it runs; a microsecond later it waits for the next future occurrence."""
    job = job_factory(cron="0 9 * * *", misfire="skip", grace=grace)
    latest = now + (timedelta(minutes=10) if grace is None else grace)

    assert claim(job, latest).status is Status.RUNNING
    later = claim(job, latest + timedelta(microseconds=1))

    assert (later.status, later.schedule_at, missed(later)) == (Status.PENDING, now + DAY, [(now, now)])


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        pytest.param({"cron": "0 9 * * *", "every": "6d"}, "cron and every exclude each other", id="both"),
        pytest.param({"every": "6 days"}, "every '6 days' cannot be read; write", id="every in words"),
        pytest.param({"every": timedelta(days=6)}, "every '6 days, 0:00:00' cannot be read", id="every as timedelta"),
        pytest.param({"every": "6d", "timezone": "CEST"}, "CEST", id="zone"),
        pytest.param({"until": FOREVER - DAY}, "until and except_dates are for a recurring job", id="one-shot end"),
        pytest.param({"except_dates": ["2026-12-24"]}, "give cron or every too", id="one-shot days off"),
        pytest.param({"every": "6d", "until": datetime(2027, 1, 1)}, "no time zone", id="naive end"),
        pytest.param({"every": "6d", "until": "2027-01-01"}, "until is '2027-01-01'; it must be", id="end as text"),
        pytest.param({"every": "6d", "except_dates": ["2026-02-30"]}, "2026-02-30", id="no date"),
        pytest.param({"every": "6d", "except_dates": "2026-12-24"}, "must be a list of dates", id="one text"),
        pytest.param({"every": "6d", "except_dates": [datetime(2026, 12, 24)]}, "write a date", id="a time"),
        pytest.param(
            {"every": "1d", "except_dates": [date(2027, 1, 1) + n * DAY for n in range(101)]}, "at most 100", id="many"
        ),
        pytest.param({"every": "6d", "grace": MINUTE}, "grace is for the misfire rule skip", id="grace to coalesce"),
        pytest.param({"every": "6d", "misfire": "skip", "grace": 30}, "grace is '30'; .* a timedelta", id="number"),
        pytest.param(
            {"every": "6d", "misfire": "skip", "grace": 59 * MINUTE / 60},
            "whole number from 60",
            id="shorter than a cadence",
        ),
        pytest.param({"every": "6d", "misfire": "skip", "grace": MINUTE / 7}, "whole number", id="fraction"),
        pytest.param({"every": "6d", "misfire": "skip", "grace": 999 * DAY}, "from 60 to 31622400", id="years"),
        pytest.param({"every": "6d", "pause_after_failures": -1}, "whole number from 1 to 1000", id="failures"),
        pytest.param({"every": "6d", "pause_after_failures": "x"}, "whole number from 1 to 1000", id="text"),
    ],
)
def test_contradictory_values_are_refused(job_factory: JobFactory, given: dict[str, Any], complaint: str) -> None:
    """One line names the value and the remedy."""
    with pytest.raises(InvalidInput, match=complaint) as refused:
        job_factory(**given)

    assert "\n" not in str(refused.value)


def test_a_schedule_that_never_runs_is_refused(job_factory: JobFactory, now: datetime) -> None:
    """Its end is not after its first occurrence, or every day of it is off."""
    nothing_left = [
        {"cron": "0 9 * * *", "until": now},
        {"every": "6d", "at": now + DAY, "until": now + DAY},
        {"every": "6d", "until": now - DAY},
        {"cron": "0 9 * * *", "until": now + 2 * DAY, "except_dates": ["2026-11-21", "2026-11-22"]},
        {"cron": "0 0 29 2 *", "until": now + 2 * DAY},
    ]

    for given in nothing_left:
        with pytest.raises(InvalidSchedule, match=r"never runs: .* change them"):
            job_factory(**given)
