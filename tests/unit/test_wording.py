"""Schedules and jobs in plain words: when a job runs, and why it does not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.history import Result, Run, RunOutcome
from shared.model.job import Job
from shared.model.recurrence import Recurrence, load_timezone
from shared.model.recurrence import _read as recurrence_of
from shared.model.schedule import Schedule
from shared.model.value import Status
from shared.model.wording import (
    clock_change,
    for_space,
    in_words,
    kind_of_error,
    local_time,
    occurrences,
    person,
    when,
    why,
)

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

Change = Callable[[Job, datetime], Job]


def claimed(job: Job, now: datetime) -> Job:
    return job.claim(now=now, token="token", lease=HOUR, retention=DAY)


def ended(job: Job, now: datetime, error: str | None = None, later: timedelta | None = None) -> Job:
    result = Result(started_at=now, ended_at=now, by="schedule", error=error, later=later)
    return claimed(job, now).finish(result, retention=DAY)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(lambda job, now: job, "It is due since Sat 21 Nov 2026, 10:00; the next tick runs it.", id="due"),
        pytest.param(
            lambda job, now: job.edit(now=now, at=now + HOUR),
            "It is not due until Sat 21 Nov 2026, 11:00.",
            id="waiting",
        ),
        pytest.param(
            lambda job, now: claimed(job, now),
            "It has been running since Sat 21 Nov 2026, 10:00 (leased until Sat 21 Nov 2026, 11:00).",
            id="running",
        ),
        pytest.param(
            lambda job, now: job.pause(now=now, by="chat:ada@example.com"),
            "It was paused by ada@example.com at Sat 21 Nov 2026, 10:00, and waits to be resumed.",
            id="paused",
        ),
        pytest.param(
            lambda job, now: job.pause(now=now),
            "It was paused at Sat 21 Nov 2026, 10:00, and waits to be resumed.",
            id="paused-by-nobody",
        ),
        pytest.param(
            lambda job, now: job.pause(now=now).run(now=now), "It is paused, and runs once now.", id="paused-and-run"
        ),
        pytest.param(
            lambda job, now: replace(ended(job.edit(now=now, max_attempts=1), now, error="5 holders died"), attempts=0),
            "It gave up, because: 5 holders died. Retry tries it again.",
            id="given-up",
        ),
        pytest.param(
            lambda job, now: job.cancel(now=now, retention=DAY, by="cli:bob"),
            "It was cancelled by bob at Sat 21 Nov 2026, 10:00.",
            id="cancelled",
        ),
        pytest.param(
            lambda job, now: ended(job, now), "It ran at Sat 21 Nov 2026, 10:00, and was to run once.", id="completed"
        ),
        pytest.param(
            lambda job, now: ended(job, now, error="no milk"),
            "It is tried again at Sat 21 Nov 2026, 10:01: it failed 1 of 3 attempts, because: no milk.",
            id="retried",
        ),
        pytest.param(
            lambda job, now: ended(job.edit(now=now, max_attempts=1), now, error="no milk"),
            "It gave up after 1 attempt, because: no milk. Retry tries it again.",
            id="failed",
        ),
        pytest.param(
            lambda job, now: ended(job, now, error="shop closed", later=HOUR),
            "It was put off until Sat 21 Nov 2026, 11:00: shop closed.",
            id="later",
        ),
    ],
)
def test_a_job_tells_why_it_will_or_will_not_run(
    job_factory: Callable[..., Job], now: datetime, change: Change, says: str
) -> None:
    """In the time zone of the person who asks."""
    assert why(change(job_factory(), now), now, "Europe/Berlin") == says


def test_a_job_whose_holder_died_says_so(job_factory: Callable[..., Job], now: datetime) -> None:
    """From the moment its lease ends."""
    held = claimed(job_factory(), now)

    assert "has been running" in why(held, now + HOUR - MINUTE, "UTC")
    assert why(held, now + HOUR, "UTC") == (
        "It ran from Sat 21 Nov 2026, 09:00 and did not end; the next tick takes it up again."
    )


def test_a_recurring_job_that_failed_waits_for_its_next_time(job_factory: Callable[..., Job], now: datetime) -> None:
    """The last failure is history."""
    job = ended(job_factory(cron="0 9 * * *", max_attempts=1), now, error="no milk")

    assert why(job, now, "UTC") == "It is not due until Sun 22 Nov 2026, 09:00."


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("RuntimeError: the key sk-hunter2", "RuntimeError"),
        ("InvalidPayloadException: x", "InvalidPayloadException"),
        ("timed out after 30 s", "timed out after 30 s"),
        ("given up: 5 holders died", "given up: 5 holders died"),
        ("its holder died, or could not renew its lease", "its holder died, or could not renew its lease"),
        ("POST https://internal.example: HTTP 404", "an error"),
        ("timed out after 30 s\nsk-hunter2", "an error"),
        ("sk-hunter2: refused", "an error"),
        ("Hunter2Error: refused", "an error"),
        ("RuntimeError", "an error"),
    ],
)
def test_a_kind_of_error_holds_no_word_of_its_text(error: str, kind: str) -> None:
    """A space gets only our own words and the names of exceptions."""
    assert kind_of_error(error) == kind


@given(before=st.text(max_size=20), after=st.text(max_size=20), text=st.sampled_from(["sk-hunter2", "<users/all>"]))
def test_a_space_is_shown_no_text_of_an_error(before: str, after: str, text: str) -> None:
    """Neither from the job itself nor from its history."""
    now = datetime(2026, 11, 21, 9, tzinfo=UTC)
    error = f"{before}{text}{after}"
    run = Run(schedule_at=now, outcome=RunOutcome.FAILED, error=error)
    job = replace(Job.create("job", "log", now=now), status=Status.FAILED, ready_at=None, error=error)

    shown = for_space(replace(job, recent_runs=(run,)))

    assert text not in repr(shown)
    assert text not in why(shown, now, "UTC")


@pytest.mark.parametrize(
    ("by", "name"),
    [("chat:ada@example.com", "ada@example.com"), ("cli:bob", "bob"), ("schedule", "schedule"), (None, "somebody")],
)
def test_people_are_named_without_the_way_they_came(by: str | None, name: str) -> None:
    """The prefix is for the record."""
    assert person(by) == name


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 9 * * 1-5", "At 09:00, Monday through Friday"),
        ("@daily", "Daily"),
        ("*/5 * * * *", "Every 5 minutes"),
        ("0 9 * * *", "At 09:00, every day"),
        ("*/7 * * * *", ""),
        ("0 */5 * * *", ""),
        ("0 9 * * 1,5#2", ""),
        ("0 9 1,L * *", ""),
    ],
)
def test_a_schedule_is_put_into_words(cron: str, words: str) -> None:
    """With a 24-hour clock; without words if they would not describe what runs."""
    assert in_words(cron) == words


MINUTES = (
    "0",
    "30",
    "*",
    "*/5",
    "*/7",
    "*/30",
    "50/20",
    "5/10",
    "10-20",
    "10-30/5",
    "10-20/15",
    "0,30",
    "50-10",
    "*/1",
)
HOURS = ("9", "*", "*/2", "*/5", "9-17", "9,17", "8/4", "22-2", "9-17/2", "*/1")
DAYS = ("*", "1", "15", "1,15", "L", "31", "1-7", "*/2", "1-31", "28-3", "1,L", "5/10")
MONTHS = ("*", "1", "JAN", "6-8", "1,7", "NOV-FEB", "*/3", "1-12", "2/5")
WEEKDAYS = (
    "*",
    "1",
    "MON-FRI",
    "0",
    "7",
    "SUN",
    "6,0",
    "FRI#1",
    "1#2",
    "L5",
    "FRI#L",
    "5/2",
    "5-1",
    "0-7",
    "1-0",
    "1,3,5",
)


@pytest.mark.slow
def test_words_name_one_schedule_only() -> None:
    """For all kinds of fields, expressions with the same words run at the same times, or have no words."""
    schedules: dict[str, dict[object, str]] = {}
    days = [(day, "*", month) for day in DAYS for month in MONTHS] + [("*", day, "*") for day in WEEKDAYS]
    both = [("1,15", "1-5", "*"), ("*/2", "1-5", "*"), ("1", "FRI#1", "*"), ("L", "MON", "*")]
    some_times, some_days = (
        [("0", "9"), ("*/7", "9"), ("0", "*/2")],
        [("*", "*", "*"), ("L", "*", "*"), ("*", "1", "*")],
    )
    whole = [*product(product(MINUTES, HOURS), some_days), *product(some_times, days + both)]
    for (minute, hour), (day, weekday, month) in whole:
        expression = f"{minute} {hour} {day} {month} {weekday}"
        if words := in_words(expression):
            read = recurrence_of(expression)
            schedules.setdefault(words, {}).setdefault(replace(read, fixed=False), expression)

    assert len(schedules) > 250
    assert [list(same.values()) for same in schedules.values() if len(same) > 1] == []


@pytest.mark.parametrize(
    "cron",
    [
        "0 9 1,15 * 1-5",
        "0 9 */2 * 1-5",
        "0 0 */6 * *",
        "0 9 * * 5/2",
        "50/20 * * * *",
        "0 9 * */3 *",
        "*/7 * * * *",
        "0 9,11-13 * * *",
        "*/5 9,10 * * *",
        "* 9,11 * * *",
    ],
)
def test_where_words_would_be_wrong_there_are_none(cron: str) -> None:
    """The library says "and" for "or", and "every 6 days" for the days 1, 7, 13, 19, 25 and 31."""
    assert in_words(cron) == ""


def test_the_first_occurrence_may_be_now(now: datetime) -> None:
    """The start is included."""
    found = list(occurrences(Recurrence("0 9 * * *", "UTC"), now, 2))

    assert found == [now, now + DAY]


@pytest.mark.parametrize(
    ("day", "says"),
    [
        (datetime(2027, 3, 28, 7, tzinfo=UTC), "the clocks change on this day, from +01:00 to +02:00"),
        (datetime(2027, 10, 31, 7, tzinfo=UTC), "the clocks change on this day, from +02:00 to +01:00"),
        (datetime(2027, 3, 29, 7, tzinfo=UTC), ""),
    ],
)
def test_a_day_on_which_the_clocks_change_is_known(day: datetime, says: str) -> None:
    """In either direction."""
    assert clock_change(day.astimezone(load_timezone("Europe/Berlin"))) == says


def test_a_time_is_written_as_people_say_it() -> None:
    """With the day of the week, in their own zone."""
    assert local_time(datetime(2026, 11, 21, 23, 5, tzinfo=UTC), "Asia/Tokyo") == "Sun 22 Nov 2026, 08:05"


# -- when --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bounds", "says"),
    [
        ({"cron": "0 9 * * *"}, "At 09:00, every day (UTC)"),
        ({"cron": "0 9 1 * 1-5"}, "0 9 1 * 1-5 (UTC)"),
        ({"every": "1d", "timezone": "Europe/Berlin"}, "Every day (Europe/Berlin)"),
        ({"every": "90m"}, "Every 90 minutes (UTC)"),
        ({"every": "2w", "until": NOW + timedelta(days=30)}, "Every 2 weeks (UTC), until Mon 21 Dec 2026, 09:00"),
        (
            {"every": "1h", "except_dates": tuple(date(2026, 12, day) for day in (1, 2, 3, 4, 5))},
            "Every hour (UTC), except 1 Dec 2026, 2 Dec 2026, 3 Dec 2026 and 2 more",
        ),
    ],
)
def test_a_schedule_is_told_with_its_bounds(bounds: dict[str, Any], says: str) -> None:
    """The expression replaces words that would be wrong; many days off are counted."""
    assert when(Schedule(starts_at=NOW, **bounds)) == says
