"""Phrases for a single time: which moment they mean, on the clocks of the person."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from orders import Order
from phrases import understand
from tests.support.phrasing import BERLIN, NOW, SATURDAY, order, question, said


def schedule(result: Order) -> str:
    """What recurs, or what the clocks show."""
    return result.when.cron or result.when.every or clock(result, result.when.at)


def clock(result: Order, moment: datetime | None) -> str:
    """What the clocks show at a moment."""
    return f"{moment.astimezone(ZoneInfo(result.timezone)):%Y-%m-%d %H:%M:%S}".removesuffix(":00") if moment else ""


ONCE = [
    ("today at 17", "2026-11-21 17:00"),
    ("today at 10:30", "2026-11-21 10:30"),
    ("tomorrow", "2026-11-22 09:00"),
    ("tomorrow at noon", "2026-11-22 12:00"),
    ("tomorrow at midnight", "2026-11-22 00:00"),
    ("tomorrow morning", "2026-11-22 09:00"),
    ("tomorrow evening at 7", "2026-11-22 19:00"),
    ("at 9 tomorrow", "2026-11-22 09:00"),
    ("tonight", "2026-11-21 21:00"),
    ("tonight at 8", "2026-11-21 20:00"),
    ("this evening", "2026-11-21 18:00"),
    ("in the morning", "2026-11-22 09:00"),
    ("in the evening", "2026-11-21 18:00"),
    ("at 9", "2026-11-21 21:00"),
    ("at 9:00", "2026-11-22 09:00"),
    ("at 3", "2026-11-21 15:00"),
    ("next week", "2026-11-23 09:00"),
    ("next month", "2026-12-01 09:00"),
    ("in 1.5 hours", "2026-11-21 12:00"),
    ("on 24.12.2026", "2026-12-24 09:00"),
    ("today at 9", "2026-11-21 21:00"),
    ("at 10:29", "2026-11-22 10:29"),
    ("at 10:30", "2026-11-21 10:30"),
    ("9pm", "2026-11-21 21:00"),
    ("at noon", "2026-11-21 12:00"),
    ("day after tomorrow", "2026-11-23 09:00"),
    ("the day after tomorrow at 8", "2026-11-23 08:00"),
    ("on friday", "2026-11-27 09:00"),
    ("friday at 9:30 pm", "2026-11-27 21:30"),
    ("this friday at 16", "2026-11-27 16:00"),
    ("next friday", "2026-11-27 09:00"),
    ("on sunday", "2026-11-22 09:00"),
    ("saturday at 9", "2026-11-28 09:00"),
    ("saturday at 17", "2026-11-21 17:00"),
    ("next saturday at 17", "2026-11-28 17:00"),
    ("on the 24th", "2026-11-24 09:00"),
    ("on the 21st at 17", "2026-11-21 17:00"),
    ("on the 31st", "2026-12-31 09:00"),
    ("december 24 at 18:00", "2026-12-24 18:00"),
    ("on 24 december", "2026-12-24 09:00"),
    ("on the 24th of december 2026 at 18", "2026-12-24 18:00"),
    ("dec 24, 2026", "2026-12-24 09:00"),
    ("on may 1", "2027-05-01 09:00"),
    ("on november 21 at 17", "2026-11-21 17:00"),
    ("on november 20", "2027-11-20 09:00"),
    ("on 2026-12-24 at 18", "2026-12-24 18:00"),
    ("in 20 minutes", "2026-11-21 10:50"),
    ("in 240 seconds", "2026-11-21 10:34"),
    ("in twenty mins", "2026-11-21 10:50"),
    ("in an hour", "2026-11-21 11:30"),
    ("in half an hour", "2026-11-21 11:00"),
    ("in 2 hours and 30 minutes", "2026-11-21 13:00"),
    ("in 90 seconds", "2026-11-21 10:31:30"),
    ("in 0 minutes", "2026-11-21 10:30"),
    ("in 3 days", "2026-11-24 10:30"),
    ("in 3 days at 8", "2026-11-24 08:00"),
    ("in a week at 8", "2026-11-28 08:00"),
    ("in 2 months", "2027-01-21 10:30"),
    ("in a year", "2027-11-21 10:30"),
    ("in 366 days", "2027-11-22 10:30"),
]


@pytest.mark.parametrize(("phrase", "clock"), [pytest.param(*row, id=row[0]) for row in ONCE])
def test_a_phrase_without_every_becomes_a_moment(phrase: str, clock: str) -> None:
    """The phrase means the same wherever it stands in a command, and the moment is in UTC."""
    commands = [f'{phrase} ask "x"', f"remind me {phrase} to x", f"remind me to x {phrase}"]

    assert [schedule(order(command, now=SATURDAY)) for command in commands] == [clock] * 3
    assert [order(command, now=SATURDAY).text for command in commands] == ["x"] * 3
    assert order(commands[0], now=SATURDAY).when.at == datetime.fromisoformat(clock).replace(tzinfo=ZoneInfo(BERLIN))
    assert (order(commands[0], now=SATURDAY).when.at or SATURDAY).tzinfo is UTC


@pytest.mark.parametrize(
    ("timezone", "now", "phrase", "at"),
    [
        pytest.param("UTC", "2026-11-21T09:30Z", "at 9:00", "2026-11-22T09:00Z", id="utc"),
        pytest.param("Asia/Tokyo", "2026-11-21T20:00Z", "today at 9", "2026-11-22T00:00Z", id="tokyo-is-a-day-ahead"),
        pytest.param("America/New_York", "2026-11-22T02:00Z", "tomorrow", "2026-11-22T14:00Z", id="new-york-is-behind"),
        pytest.param("Asia/Kathmandu", "2026-11-21T09:30Z", "at 18", "2026-11-21T12:15Z", id="quarter-of-an-hour"),
        pytest.param(BERLIN, "2027-03-28T00:50Z", "in 20 minutes", "2027-03-28T01:10Z", id="minutes-over-the-gap"),
        pytest.param(BERLIN, "2026-10-25T00:50Z", "in 20 minutes", "2026-10-25T01:10Z", id="minutes-into-the-repeat"),
        pytest.param(BERLIN, "2026-10-25T01:50Z", "in 2 hours", "2026-10-25T03:50Z", id="hours-from-the-second-pass"),
        pytest.param(BERLIN, "2027-03-27T09:30Z", "in 1 day", "2027-03-28T08:30Z", id="a-day-over-the-gap"),
        pytest.param(BERLIN, "2026-10-24T09:30Z", "tomorrow at 04:00", "2026-10-25T03:00Z", id="after-the-repeat"),
        pytest.param(BERLIN, "2026-10-25T01:30Z", "at 01:59", "2026-10-26T00:59Z", id="next-day-after-the-second-pass"),
        pytest.param(BERLIN, "2026-11-21T09:30:00.25Z", "in 0 minutes", "2026-11-21T09:30:01Z", id="whole-seconds"),
    ],
)
def test_clock_times_are_those_of_the_timezone(timezone: str, now: str, phrase: str, at: str) -> None:
    """Days and clock times are read in the person's zone; hours and minutes pass everywhere alike."""
    result = order(f'{phrase} post "x"', now=datetime.fromisoformat(now), timezone=timezone)

    assert (result.when.at, result.timezone) == (datetime.fromisoformat(at), timezone)


@pytest.mark.parametrize("days", range(7))
@pytest.mark.parametrize("weekday", ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"])
def test_a_weekday_is_the_next_one_from_any_day(days: int, weekday: str) -> None:
    """A weekday lies within the coming week, whichever day it is."""
    now = SATURDAY + timedelta(days=days)

    at = order(f'on {weekday} at 11 post "x"', now=now).when.at

    assert at is not None
    assert (f"{at:%A}".lower(), timedelta() < at - now <= timedelta(days=7)) == (weekday, True)


@pytest.mark.parametrize("unit", ["minutes", "hours", "days", "weeks"])
@pytest.mark.parametrize("number", [0, 1, 2, 3, 9, 10, 11, 12, 13, 19, 20, 21, 29, 30, 31, 45, 51, 52])
def test_a_distance_is_exactly_as_long_as_said(unit: str, number: int) -> None:
    """The library reads every number as it is."""
    now = SATURDAY.astimezone(UTC)

    assert order(f'in {number} {unit} post "x"', now=now, timezone="UTC").when.at == now + timedelta(**{unit: number})


@pytest.mark.parametrize("phrase", ["in a second", "in one second", "in 1 second"])
def test_a_second_is_no_ordinal_behind_in(phrase: str) -> None:
    """In other places "second" is the 2nd."""
    now = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)

    order = understand(f"remind me {phrase} to rest", now=now, timezone="UTC")

    assert order is not None
    assert order.when.at == now + timedelta(seconds=1)


@pytest.mark.parametrize("day", range(0, 364, 3))
def test_every_date_is_read_as_itself(day: int) -> None:
    """A month and a day mean that date in the coming year, and every year."""
    date = datetime(2026, 11, 22, 9, tzinfo=UTC) + timedelta(days=day)
    command = f'{date:%B} {date.day} at 9 post "x"'

    once, yearly = (order(text, now=SATURDAY, timezone="UTC") for text in (command, f"every {command}"))

    assert (once.when.at or SATURDAY) == date
    assert yearly.when.cron == f"0 9 {date.day} {date.month} *"


@pytest.mark.parametrize(
    ("phrase", "note"),
    [
        ("on the 31st", "November has no such day."),
        ("every month on the 31st", "Months without a 31st are left out."),
        ("every 29th", "Months without a 29th are left out."),
        ("every month on the 28th", ""),
    ],
)
def test_short_months_are_told(phrase: str, note: str) -> None:
    """Otherwise a person waits for a run that never comes."""
    assert order(f"remind me {phrase} to x", now=SATURDAY).when.note == note


PERIODS = [
    ("on the last day of the year", "2026-12-31 09:00"),
    ("on the first of the year", "2027-01-01 09:00"),
    ("every first day of the year", "0 9 1 1 *"),
    ("every last day of the year", "0 9 31 12 *"),
    ("every 10th of the quarter", "0 9 10 1,4,7,10 *"),
    ("on the 15th of each quarter", "0 9 15 1,4,7,10 *"),
    ("on the last day of every quarter", "0 9 L 3,6,9,12 *"),
    ("at the beginning of each year", "0 9 1 1 *"),
    ("at end of year", "2026-12-31 09:00"),
    ("at the end of every year", "0 9 31 12 *"),
    ("at the end of each quarter", "0 9 L 3,6,9,12 *"),
    ("at the start of every quarter", "0 9 1 1,4,7,10 *"),
    ("every last friday of the quarter", "0 9 * 3,6,9,12 L5"),
    ("every quarter on the last day", "0 9 L 3,6,9,12 *"),
    ("every 6 months on the last day", "0 9 L 6,12 *"),
    ("every quarter on the last day starting march 1", "0 9 L 3,6,9,12 *, from 2027-03-01 00:00"),
    ("once a quarter on the 5th", "0 9 5 1,4,7,10 *"),
    ("every second and fourth thursday of the month", "0 9 * * 4#2,4#4"),
    ("every 1 april and 1 october", "0 9 1 4,10 *"),
    ("every morning and every evening", "0 9,18 * * *"),
    ("every hour and a half", "every 90m, from 2026-11-25 11:37"),
    ("every 12 hours from now", "every 12h, from 2026-11-25 22:07"),
    ("on march 3 next year", "2027-03-03 09:00"),
    ("next year on 3 march", "2027-03-03 09:00"),
    ("in two hours' time", "2026-11-25 12:07"),
    ("every day of the week", "0 9 * * *"),
    ("every day of the year at 10:00", "0 10 * * *"),
]


@pytest.mark.parametrize(("phrase", "meant"), [pytest.param(*row, id=row[0]) for row in PERIODS])
def test_a_day_of_a_period_is_one_phrase(phrase: str, meant: str) -> None:
    """What follows "of" belongs to the phrase, and not to the text."""
    for command in (f"remind me {phrase} to x", f"remind me to x {phrase}", f'{phrase} post "x"'):
        found = order(command)

        assert (said(found), found.text) == (meant, "x")


@pytest.mark.parametrize(
    "phrase",
    [
        "on the first day of the week",
        "on the 1st of the week",
        "every last day of the week",
        "on the 3rd day of the week",
        "on the first day of the quarter",
        "at the beginning of each week",
        "thursday fortnight",
        "tomorrow lunchtime",
        "every thursday up to christmas",
        "on the last day of this year",
        "tomorrow of next week",
        "on 3 march this year",
        "every month from the 1st to the 5th",
        "on the first working day of the year",
        "on the second to last day of the month",
    ],
)
def test_a_day_of_another_period_is_asked_about(phrase: str) -> None:
    """A week begins on different days in different countries, and a day that is past is in another year."""
    assert question(f"remind me {phrase} to x")
    assert question(f"remind me {phrase} at 9 to x")


WEEKENDS = [
    ("2026-11-25T10:07", "this weekend", "2026-11-28 09:00"),
    ("2026-11-28T08:07", "this weekend", "2026-11-28 09:00"),
    ("2026-11-28T10:07", "this weekend", "2026-11-29 09:00"),
    ("2026-11-28T10:07", "on the weekend", "2026-11-29 09:00"),
    ("2026-11-28T10:07", "at the weekend at 20:00", "2026-11-28 20:00"),
    ("2026-11-29T08:07", "this weekend", "2026-11-29 09:00"),
    ("2026-11-29T08:07", "at the weekend", "2026-11-29 09:00"),
    ("2026-11-29T10:07", "at the weekend", "2026-12-05 09:00"),
    ("2026-11-29T10:07", "this weekend at 20:00", "2026-11-29 20:00"),
    ("2026-11-25T10:07", "next weekend", "2026-11-28 09:00"),
    ("2026-11-28T08:07", "next weekend", "2026-12-05 09:00"),
    ("2026-11-29T08:07", "next weekend", "2026-12-05 09:00"),
    ("2026-11-25T08:07", "this wednesday", "2026-11-25 09:00"),
]


@pytest.mark.parametrize(
    ("now", "phrase", "meant"), [pytest.param(*row, id=f"{row[1]} on {row[0]}") for row in WEEKENDS]
)
def test_a_weekend_is_the_one_that_is_not_over(now: str, phrase: str, meant: str) -> None:
    """On Saturday and Sunday it is this one."""
    assert said(order(f"remind me {phrase} to x", now=datetime.fromisoformat(now).replace(tzinfo=NOW.tzinfo))) == meant


@pytest.mark.parametrize(
    ("now", "phrase"), [("2026-11-29T10:07", "this weekend"), ("2026-11-25T10:07", "this wednesday")]
)
def test_what_is_over_this_week_is_asked_about(now: str, phrase: str) -> None:
    """ "This" is never one of another week."""
    assert "is past" in str(
        question(f"remind me {phrase} to x", now=datetime.fromisoformat(now).replace(tzinfo=NOW.tzinfo))
    )


AS_WRITTEN = [
    ("3:30 p m", "2026-11-25 15:30"),
    ("11p.m.", "2026-11-25 23:00"),
    ("at 3p", "2026-11-25 15:00"),
    ("at 3 oclock", "2026-11-25 15:00"),
    ("in a couple days", "2026-11-27 10:07"),
    ("3:15p", "2026-11-25 15:15"),
    ("11:00:00 AM", "2026-11-25 11:00"),
    ("at 730 in the evening", "2026-11-25 19:30"),
    ("11 tonight", "2026-11-25 23:00"),
    ("9 tomorrow morning", "2026-11-26 09:00"),
    ("6 in the morning", "2026-11-26 06:00"),
    ("five minutes", "2026-11-25 10:12"),
    ("twenty-five minutes", "2026-11-25 10:32"),
    ("1 d", "2026-11-26 10:07"),
    ("2 hours later", "2026-11-25 12:07"),
    ("a week later", "2026-12-02 10:07"),
    ("Sat, Feb13", "2027-02-13 09:00"),
    ("15Sep", "2027-09-15 09:00"),
    ("10-August-2027", "2027-08-10 09:00"),
    ("09/JAN/2027", "2027-01-09 09:00"),
    ("21-APR-27", "2027-04-21 09:00"),
    ("on 2027.01.28", "2027-01-28 09:00"),
    ("15th of Aug, 2027", "2027-08-15 09:00"),
    ("on 29 february", "2028-02-29 09:00"),
    ("in 90 weeks", "2028-08-16 10:07"),
    ("20 of next month", "2026-12-20 09:00"),
    ("third tuesday of september 2027", "2027-09-21 09:00"),
    ("last day of october 2027", "2027-10-31 09:00"),
]


@pytest.mark.parametrize(("phrase", "when"), AS_WRITTEN, ids=[phrase for phrase, _ in AS_WRITTEN])
def test_a_time_is_read_as_people_write_it(phrase: str, when: str) -> None:
    """At the beginning of a reminder, whole."""
    found = order(f"remind me {phrase} to call")

    assert (said(found), found.text) == (when, "call")
