"""How an interval, a start, an end, days off, grace and a limit of failures affect the life of a job."""

import re
from calendar import day_name
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.errors import InvalidInput
from shared.model.definition import InvalidJob, Misfire
from shared.model.history import Result, RunOutcome
from shared.model.job import Job
from shared.model.recurrence import InvalidSchedule
from shared.model.schedule import FOREVER
from shared.model.value import Status
from shared.model.wording import why
from shared.store.documents import Unreadable, from_document, to_document, with_times
from tests.unit.test_interval import calls_of

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LEASE, RETENTION = timedelta(minutes=5), timedelta(days=30)
JobFactory = Callable[..., Job]  # `now`, the time at which jobs are made, is Saturday 2026-11-21 09:00 UTC


def claim(job: Job, now: datetime) -> Job:
    return job.claim(now=now, token="t", lease=LEASE, retention=RETENTION)


def finish(job: Job, now: datetime, error: str | None = None) -> Job:
    return job.finish(Result(started_at=now, ended_at=now, by="x", error=error, final=True), retention=RETENTION)


def ran(job: Job, now: datetime, error: str | None = None) -> Job:
    return finish(claim(job, now), now, error)


def missed(job: Job) -> list[tuple[datetime, datetime | None]]:
    return [(run.schedule_at, run.until) for run in job.recent_runs if run.outcome is RunOutcome.MISSED]


# -- every and its start -----------------------------------------------------------------------------------------------


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


def test_what_was_missed_begins_and_ends_on_days_that_count(job_factory: JobFactory, now: datetime) -> None:
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


# -- pause_after_failures ----------------------------------------------------------------------------------------------


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


def test_another_try_is_no_failure_in_a_row(job_factory: JobFactory, now: datetime) -> None:
    """An occurrence counts when it gives up, not at each attempt; without a limit nothing pauses."""
    limited = job_factory(cron="0 9 * * *", pause_after_failures=1, max_attempts=2)
    failed = Result(started_at=now, ended_at=now, by="x", error="boom")

    retried = claim(limited, now).finish(failed, retention=RETENTION)

    assert (retried.status, retried.failed_in_a_row) == (Status.PENDING, 0)
    assert ran(job_factory(cron="0 9 * * *"), now, "boom").status is Status.PENDING


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
def test_what_cannot_be_meant_is_refused(job_factory: JobFactory, given: dict[str, Any], complaint: str) -> None:
    """One line names the value and the remedy."""
    with pytest.raises(InvalidInput, match=complaint) as refused:
        job_factory(**given)

    assert "\n" not in str(refused.value)


def test_a_schedule_that_never_comes_is_refused(job_factory: JobFactory, now: datetime) -> None:
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


# -- editing -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def rich(job_factory: JobFactory, now: datetime) -> Job:
    """A job with every field of a schedule: every sixth day; the first was just run."""
    job = job_factory(
        every="6d",
        timezone="Europe/Berlin",
        until=now + 60 * DAY,
        except_dates=["2026-12-03"],
        misfire="skip",
        grace=30 * MINUTE,
        pause_after_failures=4,
    )
    return ran(job, now)


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


def test_cron_takes_the_place_of_every_and_the_other_way_round(rich: Job, now: datetime) -> None:
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
def test_an_extra_run_after_the_end_begins_nothing_anew(
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


# -- documents ---------------------------------------------------------------------------------------------------------


def test_a_document_holds_every_field_and_is_read_again(rich: Job) -> None:
    """Times are times, dates ISO text; absent fields are left out."""
    document = to_document(rich)

    assert from_document(rich.id, document) == rich
    assert (document["every"], document["except_dates"], document["grace_seconds"]) == ("6d", ["2026-12-03"], 1800)
    assert isinstance(document["until"], datetime)
    assert isinstance(document["starts_at"], datetime)
    plain = to_document(rich.edit(now=rich.created_at, cron="0 9 * * *", until=FOREVER, except_dates=()))
    assert not {"every", "until", "starts_at", "except_dates"} & plain.keys()


def test_iso_text_of_a_file_is_read(rich: Job) -> None:
    """As in the JSON store and an import; `until` is a time like the others."""
    document = to_document(rich)
    times = {name: document[name].isoformat() for name in ("until", "starts_at", "schedule_at", "ready_at")}

    assert from_document(rich.id, with_times({**document, **times})) == rich


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"cron": "0 9 * * *"}, "exclude each other", id="both"),
        pytest.param({"every": "x"}, "every 'x' cannot be read", id="every"),
        pytest.param({"every": 6}, "every is '6'; it must be text", id="a number"),
        pytest.param({"starts_at": None}, "no start to count from", id="no start"),
        pytest.param({"until": "soon"}, "until is 'soon', not a time", id="until"),
        pytest.param({"except_dates": "2026-12-24"}, "must be a list of dates", id="one date"),
        pytest.param({"except_dates": ["x"]}, "except_dates has 'x'", id="no date"),
        pytest.param({"grace_seconds": "x"}, "grace_seconds is 'x'", id="grace"),
        pytest.param({"pause_after_failures": 0}, "pause_after_failures is '0'", id="failures"),
        pytest.param({"failed_in_a_row": -1}, "failed_in_a_row is '-1'", id="count"),
        pytest.param({"every": None, "until": None, "except_dates": None}, "starts_at is", id="start of a one-shot"),
    ],
)
def test_a_document_that_breaks_a_rule_is_unreadable(rich: Job, changes: dict[str, Any], reason: str) -> None:
    """The reason names the field."""
    found = from_document(rich.id, {**to_document(rich), **changes})

    assert isinstance(found, Unreadable)
    assert reason in found.reason


def test_a_definition_of_a_job_makes_the_same_job(rich: Job, now: datetime) -> None:
    """No field is lost: all but `cron`, which `every` excludes, have a value that is not the default."""
    job = rich.edit(now=now, max_attempts=7, space="spaces/A")

    again = Job.of(job.id, job.definition, now=now + HOUR)

    assert again.definition == job.definition
    assert [name for name, value in vars(job.definition).items() if value in (None, "UTC", (), {}, 3)] == ["cron"]


def test_a_grace_that_is_kept_under_coalesce_is_no_error(rich: Job, now: datetime) -> None:
    """A document may have it; it has no effect there."""
    found = from_document(rich.id, {**to_document(rich), "misfire": "coalesce"})

    assert isinstance(found, Job)
    assert found.edit(now=now + HOUR, max_attempts=2).max_attempts == 2
    with pytest.raises(InvalidJob, match="grace"):
        found.edit(now=now + HOUR, grace=MINUTE)


# -- the table of docs/JOBS.md -----------------------------------------------------------------------------------------

JOBS_PAGE = (Path(__file__).resolve().parents[2] / "docs/JOBS.md").read_text()
DAYS = {name: datetime(2026, 11, 22 + n, tzinfo=UTC) for n, name in enumerate(day_name, start=1)}
ROW = re.compile(
    r"\| (?P<kind>no tick|paused) until (?P<until>[A-Z]\w+ \d\d:\d\d)(?:, (?P<off>\w+) off)?"
    r"(?:, ended on (?P<end>\w+ 00:00))?(?P<catch_up>, `--catch-up`)?"
    r" \| `(?P<misfire>\w+)`(?:, `grace` (?P<grace>\d+) min)? \| (?P<runs>[^|]*) \|(?P<missed>[^|]*)\|"
)


def moment_of(text: str) -> datetime:
    day, clock = text.split()
    return DAYS[day] + timedelta(hours=int(clock[:2]), minutes=int(clock[3:]))


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0]) for row in ROW.finditer(JOBS_PAGE)])
def test_the_table_of_misfires_and_resume_is_true(job_factory: JobFactory, row: re.Match[str]) -> None:
    """Each line of the page, over a job of every day at 09:00 whose next occurrence is Monday's."""
    monday, then = DAYS["Monday"] + 9 * HOUR, moment_of(row["until"])
    job = job_factory(
        now=monday - HOUR,
        cron="0 9 * * *",
        misfire=row["misfire"],
        grace=timedelta(minutes=int(row["grace"])) if row["grace"] else None,
        until=moment_of(row["end"]) if row["end"] else None,
        except_dates=[DAYS[row["off"]].date()] if row["off"] else [],
    )

    if row["kind"] == "paused":
        job = job.pause(now=monday - HOUR).resume(now=then, retention=RETENTION, catch_up=bool(row["catch_up"]))
    after = claim(job, then) if job.is_due(then) else job

    days = [f"{after.schedule_at:%A}"] + ["at once"] * (after.status is Status.RUNNING)
    assert row["runs"] == ("never" if after.status is Status.COMPLETED else ", ".join(days))
    spans = [(f"{first:%A}", f"{last:%A}") for first, last in missed(after) if last]
    assert row["missed"].strip() == ", ".join(first if first == last else f"{first} to {last}" for first, last in spans)


def test_the_table_of_the_page_is_read_whole() -> None:
    """No line of it escapes the test above."""
    table = JOBS_PAGE.split("| what happened |")[1].split("\n\n")[0]

    assert len([*ROW.finditer(JOBS_PAGE)]) == len(table.splitlines()) - 2 > 15
