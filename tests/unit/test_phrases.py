"""What people type: tables of commands and what they mean, then properties of any text."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orders import NotUnderstood, Order
from phrase_words import words
from phrases import LONGEST_TEXT, understand
from shared.model.recurrence import InvalidSchedule, Recurrence

BERLIN = "Europe/Berlin"
NOW = datetime(2026, 11, 21, 10, 30, tzinfo=ZoneInfo(BERLIN))  # a Saturday


def order(text: str, *, now: datetime = NOW, timezone: str = BERLIN) -> Order:
    result = understand(text, now=now, timezone=timezone)
    assert result is not None
    return result


def refusal(text: str, *, now: datetime = NOW, timezone: str = BERLIN) -> NotUnderstood:
    with pytest.raises(NotUnderstood) as caught:
        understand(text, now=now, timezone=timezone)
    return caught.value


def schedule(result: Order) -> str:
    """What recurs, or what the clocks show."""
    return result.when.cron or result.when.every or clock(result, result.when.at)


def clock(result: Order, moment: datetime | None) -> str:
    """What the clocks show at a moment."""
    return f"{moment.astimezone(ZoneInfo(result.timezone)):%Y-%m-%d %H:%M:%S}".removesuffix(":00") if moment else ""


COMMANDS = [
    pytest.param("remind me tomorrow at 9:00 to call Anna", "remind", "call Anna", id="when-then-text"),
    pytest.param("remind me to call Anna tomorrow at 9:00", "remind", "call Anna", id="text-then-when"),
    pytest.param("Remind  ME \n TOMORROW at 9 To call Anna", "remind", "call Anna", id="any-case-and-space"),
    pytest.param("remind me tomorrow at 9 to call Anna.", "remind", "call Anna", id="full-stop-after-text"),
    pytest.param("remind me to call Anna tomorrow at 9.", "remind", "call Anna", id="full-stop-after-when"),
    pytest.param("please remind me tomorrow to call Anna", "remind", "call Anna", id="please"),
    pytest.param("tomorrow remind me to call Anna", "remind", "call Anna", id="when-first"),
    pytest.param("tomorrow at 9, remind me to call Anna", "remind", "call Anna", id="comma-after-when"),
    pytest.param("remind me tomorrow at 9, to call Anna", "remind", "call Anna", id="comma-before-to"),
    pytest.param("remind me tomorrow that Anna called", "remind", "Anna called", id="that"),
    pytest.param("remind me tomorrow about the call", "remind", "the call", id="about"),
    pytest.param("remind me about the call tomorrow", "remind", "the call", id="about-then-when"),
    pytest.param("remind me tomorrow: call Anna", "remind", "call Anna", id="colon"),
    pytest.param("remind me tomorrow at 9: call Anna", "remind", "call Anna", id="colon-after-time"),
    pytest.param('remind me to "call Anna on friday" tomorrow', "remind", "call Anna on friday", id="quoted-then-when"),
    pytest.param("remind me tomorrow to go to bed", "remind", "go to bed", id="to-in-text"),
    pytest.param("remind me to turn the oven on tomorrow at 9", "remind", "turn the oven on", id="preposition-in-text"),
    pytest.param("remind me to enjoy the sun at 9:00", "remind", "enjoy the sun", id="day-name-in-text"),
    pytest.param("remind me to take 2 at 9:00", "remind", "take 2", id="number-in-text"),
    pytest.param("remind me tomorrow to call... Anna...", "remind", "call... Anna...", id="ellipsis-kept"),
    pytest.param("can you remind me tomorrow to call Anna", "remind", "call Anna", id="can-you"),
    pytest.param("set a reminder to call Anna tomorrow", "remind", "call Anna", id="set-a-reminder"),
    pytest.param("please add a reminder for tomorrow: call Anna", "remind", "call Anna", id="add-a-reminder"),
    pytest.param("I need a reminder for me to call Anna tomorrow", "remind", "call Anna", id="need-a-reminder"),
    pytest.param('please post "hello" tomorrow', "post", "hello", id="please-post"),
    pytest.param('tomorrow post "Hello, You!"', "post", "Hello, You!", id="straight-quotes"),
    pytest.param("tomorrow post “Hello”", "post", "Hello", id="curly-quotes"),
    pytest.param("tomorrow post „Hello“", "post", "Hello", id="low-quotes"),
    pytest.param("tomorrow post ‘Hello’.", "post", "Hello", id="single-curly-quotes-and-full-stop"),  # noqa: RUF001
    pytest.param("tomorrow post 'Hello'", "post", "Hello", id="single-quotes"),
    pytest.param('tomorrow post "say "hi" now"', "post", 'say "hi" now', id="quotes-in-quotes"),
    pytest.param('tomorrow post "a" and "b"', "post", '"a" and "b"', id="two-quotations-are-no-quotation"),
    pytest.param("tomorrow post Hello. It is time.", "post", "Hello. It is time.", id="unquoted-as-typed"),
    pytest.param('tomorrow post: "Hello"', "post", "Hello", id="colon-after-verb"),
    pytest.param('tomorrow post "one\n\ntwo"', "post", "one\n\ntwo", id="line-breaks"),
    pytest.param('tomorrow ask "How is it?"', "ask", "How is it?", id="ask"),
    pytest.param("TOMORROW ASK how it is", "ask", "how it is", id="ask-unquoted"),
    pytest.param(f'tomorrow post "{"x" * LONGEST_TEXT}"', "post", "x" * LONGEST_TEXT, id="longest-text"),
]


@pytest.mark.parametrize(("command", "kind", "text"), COMMANDS)
def test_a_command_says_what_is_wanted(command: str, kind: str, text: str) -> None:
    """Every form of a command is understood, and its text does not change."""
    result = order(command)

    assert (result.kind, result.text, schedule(result)) == (kind, text, "2026-11-22 09:00")


@pytest.mark.parametrize("us", ["remind us tomorrow to x", "remind us to x tomorrow", "tomorrow remind US to x"])
def test_remind_us_is_for_everybody(us: str) -> None:
    """Only "us" means everybody."""
    assert order(us).everybody
    assert not order(re.sub("us", "me", us, flags=re.I)).everybody
    assert not order("tomorrow post us").everybody


RECURRING = [
    ("every day at 9", "0 9 * * *"),
    ("each day at 9", "0 9 * * *"),
    ("everyday at 9", "0 9 * * *"),
    ("daily at 9", "0 9 * * *"),
    ("at 9 every day", "0 9 * * *"),
    ("every day", "0 9 * * *"),
    ("every day at noon", "0 12 * * *"),
    ("daily at midday", "0 12 * * *"),
    ("daily at midnight", "0 0 * * *"),
    ("daily at 9am", "0 9 * * *"),
    ("daily at 9 a.m.", "0 9 * * *"),
    ("daily at 9 PM", "0 21 * * *"),
    ("daily at 9:30 pm", "30 21 * * *"),
    ("daily at 9.30", "30 9 * * *"),
    ("daily at 12 am", "0 0 * * *"),
    ("daily at 12pm", "0 12 * * *"),
    ("daily at 23:59", "59 23 * * *"),
    ("daily at 9 o’clock", "0 9 * * *"),  # noqa: RUF001 - what telephones type
    ("every day at 9 and 17", "0 9,17 * * *"),
    ("every day at 9, 13 and 17:00", "0 9,13,17 * * *"),
    ("every day at 9am, 1 pm, and at 5pm", "0 9,13,17 * * *"),
    ("every day at 9:30 and 17:30", "30 9,17 * * *"),
    ("every day at 9:00 and 9:30", "0,30 9 * * *"),
    ("every morning", "0 9 * * *"),
    ("every afternoon", "0 14 * * *"),
    ("every evening", "0 18 * * *"),
    ("every night", "0 21 * * *"),
    ("every morning and evening", "0 9,18 * * *"),
    ("every morning at 7", "0 7 * * *"),
    ("every evening at 7", "0 19 * * *"),
    ("every day at 7 in the evening", "0 19 * * *"),
    ("every afternoon at 12", "0 12 * * *"),
    ("every friday evening", "0 18 * * 5"),
    ("every day at night", "0 21 * * *"),
    ("hourly", "0 * * * *"),
    ("every hour", "0 * * * *"),
    ("every 2 hours", "0 */2 * * *"),
    ("every other hour", "0 */2 * * *"),
    ("every twelve hours", "0 */12 * * *"),
    ("every minute", "* * * * *"),
    ("every 1 minutes", "* * * * *"),
    ("every 15 min", "*/15 * * * *"),
    ("every fifteen minutes", "*/15 * * * *"),
    ("every half hour", "*/30 * * * *"),
    ("every half an hour", "*/30 * * * *"),
    ("every 60 minutes", "0 * * * *"),
    ("every 120 minutes", "0 */2 * * *"),
    ("weekdays at 8:15", "15 8 * * 1-5"),
    ("every weekday", "0 9 * * 1-5"),
    ("every working day at 8", "0 8 * * 1-5"),
    ("weekends at 10", "0 10 * * 6,0"),
    ("every friday at 16:00", "0 16 * * 5"),
    ("every friday", "0 9 * * 5"),
    ("fridays at 16", "0 16 * * 5"),
    ("on fridays", "0 9 * * 5"),
    ("weekly on friday", "0 9 * * 5"),
    ("every week on friday at 16", "0 16 * * 5"),
    ("once a week on friday at 16", "0 16 * * 5"),
    ("every monday, wednesday and friday at 8", "0 8 * * 1,3,5"),
    ("mondays and fridays at 8", "0 8 * * 1,5"),
    ("every mon, tues and sun", "0 9 * * 1,2,0"),
    ("monday to friday at 8", "0 8 * * 1-5"),
    ("mon-fri at 8", "0 8 * * 1-5"),
    ("from monday to friday at 8", "0 8 * * 1-5"),
    ("every monday through wednesday", "0 9 * * 1,2,3"),
    ("every saturday to monday", "0 9 * * 6,0,1"),
    ("monthly on the 1st at 7", "0 7 1 * *"),
    ("the 1st of every month at 7", "0 7 1 * *"),
    ("on the first of each month at 7", "0 7 1 * *"),
    ("on the 1st of every month at 7pm", "0 19 1 * *"),
    ("every month on the 15th and 30th", "0 9 15,30 * *"),
    ("every 1st of the month", "0 9 1 * *"),
    ("every 2nd day of the month", "0 9 2 * *"),
    ("on the last day of every month at 18", "0 18 L * *"),
    ("every last day of the month", "0 9 L * *"),
    ("every first friday of the month at 10", "0 10 * * 5#1"),
    ("every first friday at 10", "0 10 * * 5#1"),
    ("every 2nd friday of the month", "0 9 * * 5#2"),
    ("on the last friday of every month", "0 9 * * L5"),
    ("every last sunday", "0 9 * * L0"),
    ("the first and third friday of every month", "0 9 * * 5#1,5#3"),
    ("every 3 months on the 1st", "0 9 1 1,4,7,10 *"),
    ("every 3rd month on the 5th", "0 9 5 1,4,7,10 *"),
    ("every other month on the 1st at 8", "0 8 1 1,3,5,7,9,11 *"),
    ("quarterly on the 1st", "0 9 1 1,4,7,10 *"),
    ("every 12 months on the 1st", "0 9 1 1 *"),
    ("yearly on december 24 at 18", "0 18 24 12 *"),
    ("every year on the 24th of december", "0 9 24 12 *"),
    ("every december 24th", "0 9 24 12 *"),
    ("every 24 december at 18:00", "0 18 24 12 *"),
    ("annually on 1 may", "0 9 1 5 *"),
    ("every february 29", "0 9 29 2 *"),
]


@pytest.mark.parametrize(("phrase", "cron"), [pytest.param(*row, id=row[0]) for row in RECURRING])
def test_a_recurring_phrase_becomes_a_cron_expression(phrase: str, cron: str) -> None:
    """The phrase means the same wherever it stands in a command."""
    commands = [f'{phrase} post "x"', f"remind me {phrase} to x", f"remind me to x {phrase}"]

    assert [order(command).when.cron for command in commands] == [cron] * 3
    assert [order(command).text for command in commands] == ["x"] * 3


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

    assert [schedule(order(command)) for command in commands] == [clock] * 3
    assert [order(command).text for command in commands] == ["x"] * 3
    assert order(commands[0]).when.at == datetime.fromisoformat(clock).replace(tzinfo=ZoneInfo(BERLIN))
    assert (order(commands[0]).when.at or NOW).tzinfo is UTC


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
    now = NOW + timedelta(days=days)

    at = order(f'on {weekday} at 11 post "x"', now=now).when.at

    assert at is not None
    assert (f"{at:%A}".lower(), timedelta() < at - now <= timedelta(days=7)) == (weekday, True)


CRON = [
    ('cron "0 9 * * 1-5" post "x"', "post", "0 9 * * 1-5"),
    ("cron “0 9 * * 1-5” ask x", "ask", "0 9 * * 1-5"),
    ("CRON 0  9 * * MON#2 remind us to x", "remind", "0 9 * * MON#2"),
    ('cron * * * * * post "x"', "post", "* * * * *"),
    ('cron @daily post "x"', "post", "0 0 * * *"),
    ('cron "@WEEKLY" post "x"', "post", "0 0 * * 0"),
]


@pytest.mark.parametrize(("command", "kind", "cron"), CRON)
def test_a_cron_expression_is_taken_as_it_is(command: str, kind: str, cron: str) -> None:
    """An expression may be quoted, bare, or an `@` name, and always becomes five fields."""
    result = order(command)

    assert (result.kind, result.text, result.when.cron) == (kind, "x", cron)


NO_REQUEST = [
    "",
    "  \n",
    ".",
    "hello",
    "on second thought, what is the weather?",
    'on second thought, post "x"',
    "every time I ask you this you fail",
    "in Berlin it is late",
    "in post offices",
    "at last ask him",
    "next post",
    "today I ask you",
    "in 2020 the post office moved",
    "2 people ask me",
    "tomorrow",
    "every monday at 9",
    "reminders",
    "Reminder: lunch",
    "remind me what we said on friday",
    "remind me how to deploy tomorrow",
    "do not remind me",
    "cron",
    "cron jobs ask for trouble",
    "every day at 9 poster",
    "post the report tomorrow",
]


@pytest.mark.parametrize("text", NO_REQUEST)
def test_what_is_no_request_for_a_schedule_is_left_to_the_agent(text: str) -> None:
    """A word such as "every" or "ask" alone is not a request."""
    assert understand(text, now=NOW, timezone=BERLIN) is None


REFUSED = [
    ("at 25:00", "'25:00' is not a time of day", []),
    ("at 24:00", "'24:00' is not a time of day", []),
    ("at 9:75", "'9:75' is not a time of day", []),
    ("at 13pm", "'13pm' is not a time of day", []),
    ("at 0 am", "'0 am' is not a time of day", []),
    ("friday night at midnight", "not a time of day", []),
    ("tomorrow morning at 17:00", "not a time of day", []),
    ("tomorrow night at 3", "not a time of day", []),
    ("every day at 9 on friday at 10", "more than one time", []),
    ("on friday on monday", "cannot be read", []),
    ("on monday and tuesday", "several days", ["every monday and tuesday", "on monday", "on tuesday"]),
    ("every day on friday", "cannot be read", []),
    ("every first weekday of the month", "cannot be read", []),
    ("on february 30", "There is no day", []),
    ("on 31 november", "There is no day", []),
    ("on 2027-02-29", "There is no day", []),
    ("every april 31", "There is no day", []),
    ("in 1 hour at 9", "cannot be read", []),
    ("tomorrow in an hour", "cannot be read", []),
    ("friday in 2 weeks", "cannot be read", []),
    ("in 9999 years", "too far away", []),
    ("in 5", "In 5 of what?", ["in 5 minutes"]),
    ("on 12/1", "1 December 2026 or 12 January 2027?", ["on 2026-12-01", "on 2027-01-12"]),
    ("on 12/1 at 17:30", "1 December", ["on 2026-12-01 at 17:30", "on 2027-01-12 at 17:30"]),
    ("on 3.2.2027", "2 March 2027 or 3 February 2027?", ["on 2027-03-02", "on 2027-02-03"]),
    ("17.10", "a time of day or a date?", ["at 17:10", "on 17 october"]),
    ("friday 18.12", "a time of day or a date?", ["friday at 18.12"]),
    ("thursday, february 19th", "19 February 2027 is a Friday", []),
    ("friday the 13th", "13 December 2026 is a Sunday", []),
    ("every 30 seconds", "once a minute at most", ["every minute"]),
    ("every 0 minutes", "once a minute at most", ["every minute"]),
    ("every 2 hours at 9:30", "has no time of day", ["every 2 hours starting at 09:30"]),
    ("every 90 minutes on weekdays", "certain days or hours", []),
    ("every 5 hours between 9 and 17", "certain days or hours", []),
    ("every 30 minutes between 9 and 17", "from 09:00 to 17:00", ["every 30 minutes from 09:00 to 16:30"]),
    ("every day until 17:00", "cannot be read", []),
    ("every day until yesterday", "'yesterday' is not known", []),
    ("every day until 2026-11-20", "cannot be read", []),
    ("every day starting 12/1", "cannot be read", []),
    ("every day starting friday until tomorrow", "ends before it begins", []),
    ("every day except christmas", "'christmas' is not known", ["every day except 25 december"]),
    ("every day except the 1st", "cannot be read", []),
    ("every monday except mondays", "cannot be read", []),
    ("tomorrow until friday", "Only a repeated schedule", []),
    ("from 9 to 17", "A single run has one time", ["at 9"]),
    (
        "every 3 weeks on friday and sunday",
        "cannot say",
        ["every 3 weeks on friday at 09:00", "every 3 weeks on sunday at 09:00"],
    ),
    (
        "every 2nd friday at 10",
        "once a month, or every 2 weeks?",
        ["every 2nd friday of the month at 10:00", "every 2 weeks on friday at 10:00"],
    ),
    ("every 5 months on the 3rd", "unless they divide a year", []),
    ("every 2 years on may 1", "unless they divide a year", []),
    ("every 3 months", "on which day", ["every 3 months on the 1st at 09:00"]),
    ("every december", "cannot be read", ["every 1 december"]),
    ("every 14 jan and 15 jun", "different days", ["every 14 january at 09:00", "every 15 june at 09:00"]),
    ("every day at 9:00 and 17:30", "different minutes", ["every day at 09:00", "every day at 17:30"]),
    ("fridays at 9, 9:30 and 17", "different minutes", ["every friday at 09:00 and 17:00", "every friday at 09:30"]),
    ("tomorrow at 9 and 17", "several times", ["tomorrow at 09:00", "tomorrow at 17:00"]),
    ("today at 9:00", "'today at 09:00' is past", []),
    ("today", "'today at 09:00' is past", []),
    ("on 2026-11-20 at 8", "is past", []),
    ("in 367 days", "more than a year away", []),
    ("on december 24 2027", "more than a year away", []),
    ("march 28 at 02:30", "clocks skip it", ["on 2027-03-28 at 01:30", "on 2027-03-28 at 03:30"]),
    ("on 2027-10-31 at 02:30", "comes twice", ["on 2027-10-31 at 01:30", "on 2027-10-31 at 03:30"]),
]


@pytest.mark.parametrize(("phrase", "message", "nearest"), [pytest.param(*row, id=row[0]) for row in REFUSED])
def test_what_is_unclear_or_impossible_is_asked_about(phrase: str, message: str, nearest: list[str]) -> None:
    """The message has the reason; only possible meanings are suggested, with the same text and time."""
    refused = refusal(f'{phrase} post "x"')
    reminder = refusal(f"remind us {phrase} to x")

    assert message in str(refused)
    assert list(refused.suggestions) == [f'{when} post "x"' for when in nearest]
    if "is not known" not in message:
        assert list(reminder.suggestions) == [f"remind us {when} to x" for when in nearest]


@pytest.mark.parametrize(
    ("command", "message", "suggestions"),
    [
        pytest.param("remind", "(me) or everybody", [], id="nothing"),
        pytest.param("remind me", "I do not see when", [], id="no-when-no-text"),
        pytest.param("remind me tomorrow", "Say what to remind you of", [], id="no-text"),
        pytest.param("remind me to call Anna", "when", [], id="no-when"),
        pytest.param("remind me to call on friday Anna at 9", "Is 'on friday' a part", [], id="a-day-in-the-text"),
        pytest.param("remind me to call on dec 24 in Rome at 9", "Is 'dec 2' a part", [], id="a-date-in-the-text"),
        pytest.param(
            "remind me to submit it by friday",
            "Is 'by' a part",
            ["remind me to submit it friday"],
            id="a-deadline-is-no-when",
        ),
        pytest.param('remind me to "call Anna tomorrow"', "when", [], id="when-within-the-quotes"),
        pytest.param("remind Bob tomorrow to call", "(me) or everybody", [], id="somebody-else"),
        pytest.param("remind me soon to call", "when", [], id="unknown-word"),
        pytest.param("in Berlin remind me to call", "when", [], id="unknown-word-first"),
        pytest.param('tomorrow post ""', "Say what to post", [], id="empty-quotes"),
        pytest.param("tomorrow ask", "Say what to ask", [], id="empty-text"),
        pytest.param(
            "twice a day post 'x'",
            "'twice' is not known",
            ["every day at 9 and 17 post 'x'"],
            id="unknown-before-a-quoted-text",
        ),
        pytest.param(
            "remind me tomorrow to call Bob at 15:00",
            "Is 'at 15:00' a part",
            ["remind me at 15:00 tomorrow to call Bob"],
            id="two-parts-of-one-time",
        ),
        pytest.param(
            "at 9 remind me to call Anna tomorrow",
            "Is 'tomorrow' a part",
            ["remind me tomorrow at 9 to call Anna"],
            id="a-part-at-each-end",
        ),
        pytest.param(
            "every fribday at 9 post hello",
            "'fribday' is not known",
            ["every friday at 9 post hello"],
            id="a-misspelt-day-first",
        ),
        pytest.param(
            "remind me to call Bob on wednsday at 9:00",
            "Is 'wednsday' a part",
            ["remind me to call Bob on wednesday at 9:00"],
            id="a-misspelt-day-last",
        ),
        pytest.param(
            "remind me to book the 9:00 train on 12/1",
            "1 December",
            [f'remind me on {day} to "book the 9:00 train"' for day in ("2026-12-01", "2027-01-12")],
            id="a-text-with-a-time-in-quotes",
        ),
    ],
)
def test_what_is_not_whole_is_asked_about(command: str, message: str, suggestions: list[str]) -> None:
    """The rest of the text is never taken for the reminder's text if it looks like a time."""
    refused = refusal(command)

    assert message in str(refused)
    assert list(refused.suggestions) == suggestions


@pytest.mark.parametrize(
    ("command", "message"),
    [
        pytest.param('cron 0 9 * * post "x"', "exactly five fields", id="four-fields"),
        pytest.param('cron 61 9 * * * post "x"', "minute '61'", id="wrong-minute"),
        pytest.param('cron "* * 30 2 *" remind me to x', "never runs", id="never"),
        pytest.param('cron @noon post "x"', "@daily", id="unknown-name"),
        pytest.param(f'tomorrow post "{"x" * 1001}"', "1001 characters; at most 1,000", id="long-text"),
    ],
)
def test_what_nobody_can_understand_better_is_final(command: str, message: str) -> None:
    """It does not go to the agent: the error of the schedule's own check is passed on."""
    refused = refusal(command)

    assert message in str(refused)
    assert (refused.suggestions, refused.is_for_agent) == ((), False)


@pytest.mark.parametrize(
    ("command", "is_for_agent"),
    [
        pytest.param("remind me when the build is done", None, id="no-request"),
        pytest.param("remind me soon to call", True, id="not-understood"),
        pytest.param("remind me on 12/1 to call", False, id="a-choice-of-two"),
    ],
)
def test_an_agent_may_try_what_is_not_understood(command: str, is_for_agent: bool | None) -> None:
    """It gets a text that has no suggestions."""
    if is_for_agent is None:
        assert understand(command, now=NOW, timezone=BERLIN) is None
    else:
        assert refusal(command).is_for_agent is is_for_agent


OTHERS = [
    ("at 9", ["on 2026-11-22 at 09:00"]),
    ("at 9:00", ["on 2026-11-21 at 21:00"]),
    ("at 11:00", []),
    ("tomorrow at 4", ["on 2026-11-22 at 04:00"]),
    ("tomorrow at 9:00", []),
    ("tomorrow at midnight", ["on 2026-11-23 at 00:00"]),
    ("every weekday at 5", ["every weekday at 05:00"]),
    ("every day at 5pm and 11", ["every day at 11:00 and 17:00"]),
    ("next friday", []),
    ("every monday at 9am until march", ["every monday through march at 09:00"]),
    ("every weekday at 4:30", ["every weekday at 04:30"]),
    ("next sunday at 10:00", ["on 2026-11-29 at 10:00"]),
    ("every other friday", ["every 2 weeks friday starting 2026-12-04 at 09:00"]),
    ("on the 31st at 10:00", ["on 2026-11-30 at 10:00"]),
    ("every month on the 31st at 10:00", ["every month on the last day at 10:00"]),
]


@pytest.mark.parametrize(("phrase", "others"), [pytest.param(*row, id=row[0]) for row in OTHERS])
def test_the_other_readings_are_offered(phrase: str, others: list[str]) -> None:
    """Each is a complete command, for the same text."""
    assert list(order(f"remind me {phrase} to x").others) == [f"remind me {other} to x" for other in others]


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
    assert order(f"remind me {phrase} to x").when.note == note


def test_a_suggestion_that_would_change_the_text_is_left_out() -> None:
    """No suggestion is better than one with another text."""
    assert refusal('on 12/1 at 17:30 post "say hi"').suggestions != ()
    assert refusal('on 12/1 at 17:30 post say"hi').suggestions == ()


@pytest.mark.parametrize("timezone", ["", "Mars/Olympus", "localtime", "CEST"])
def test_an_unknown_timezone_is_refused(timezone: str) -> None:
    """Any text then raises an error about the time zone."""
    with pytest.raises(InvalidSchedule, match="is not known"):
        understand("hello", now=NOW, timezone=timezone)


@pytest.mark.parametrize("unit", ["minutes", "hours", "days", "weeks"])
@pytest.mark.parametrize("number", [0, 1, 2, 3, 9, 10, 11, 12, 13, 19, 20, 21, 29, 30, 31, 45, 51, 52])
def test_a_distance_is_exactly_as_long_as_said(unit: str, number: int) -> None:
    """The library reads every number as it is."""
    now = NOW.astimezone(UTC)

    assert order(f'in {number} {unit} post "x"', now=now, timezone="UTC").when.at == now + timedelta(**{unit: number})


@pytest.mark.parametrize("day", range(0, 364, 3))
def test_every_date_is_read_as_itself(day: int) -> None:
    """A month and a day mean that date in the coming year, and every year."""
    date = datetime(2026, 11, 22, 9, tzinfo=UTC) + timedelta(days=day)
    command = f'{date:%B} {date.day} at 9 post "x"'

    once, yearly = (order(text, now=NOW, timezone="UTC") for text in (command, f"every {command}"))

    assert (once.when.at or NOW) == date
    assert yearly.when.cron == f"0 9 {date.day} {date.month} *"


def check(text: str, now: datetime = NOW, timezone: str = BERLIN) -> None:
    """Read a text, and check the rules for all texts."""
    more: tuple[str, ...] = ()
    try:
        if result := understand(text, now=now, timezone=timezone):
            more, when = result.others, result.when
            assert 1 <= len(result.text) <= LONGEST_TEXT
            assert when.is_recurring or (when.at and now <= when.at <= now + timedelta(days=366))
            assert when.cron is None or (len(when.cron.split()) == 5 and Recurrence(when.cron, timezone))
            assert when.every is None or (
                re.fullmatch("[1-9][0-9]*[mhdw]", when.every) and when.cron is None and when.at
            )
            assert when.until is None or when.until > now
    except NotUnderstood as exc:
        more = exc.suggestions
    assert all(understand(each, now=now, timezone=timezone) for each in more)


VOCABULARY = [
    *words("""
    monday tuesdays fri weekday weekends every each other next this daily weekly monthly yearly today tomorrow tonight
    morning evening night noon midnight 9:00 17:30 25:00 9am 2:30 at 9 in on to the of and or a half hour hours minutes
    days week month year january feb 24 1st 2nd second last 31st 3 90 2027-03-28 12/1 24.12. first until starting except
    from for between before post ask remind "x" “y” , . .. :"""),
    *("remind me", "remind us to"),
]


@pytest.mark.slow
@settings(deadline=timedelta(seconds=10), max_examples=300)
@given(text=st.text() | st.builds("{}{}".format, st.sampled_from(["remind me ", "cron ", "every "]), st.text()))
def test_no_text_does_harm(text: str) -> None:
    """Any text is an order, not a request, or answered."""
    check(text)


@pytest.mark.slow
@settings(deadline=timedelta(seconds=10), max_examples=600)
@given(typed=st.lists(st.sampled_from(VOCABULARY), max_size=12), space=st.sampled_from([" ", "  ", "\n", ""]))
@example(typed=["every", "a..b", "post", '"x"'], space=" ")
def test_no_order_of_known_words_does_harm(typed: list[str], space: str) -> None:
    """Known words in any order make a valid order or no order."""
    check(space.join(typed))


@pytest.mark.slow
@settings(deadline=timedelta(seconds=10), max_examples=400)
@given(
    typed=st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=6),
    now=st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),
    timezone=st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_no_phrase_at_any_time_does_harm(typed: list[str], now: datetime, timezone: str) -> None:
    """In every timezone and at every time of the year a moment lies ahead, and a cron expression is valid."""
    check(f'{" ".join(typed)} post "x"', now, timezone)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("remind me to " + "at 9 " * 6000, id="times"),
        pytest.param("remind me " + "to " * 10000, id="links"),
        pytest.param("every " * 6000 + "post x", id="openers"),
        pytest.param("remind me to x " + " " * 30000 + "y", id="spaces"),
        pytest.param("cancel " + " " * 30000 + "x", id="spaces-in-no-request"),
        pytest.param("remind me " + "mondey " * 4500, id="misspelt-days"),
        pytest.param("cron " + "* " * 15000 + "post x", id="fields"),
        pytest.param("at 9" + ", 9" * 10000 + ' post "x"', id="list-of-times"),
        pytest.param('tomorrow post "' + '"' * 30000, id="quotes"),
    ],
)
def test_a_long_message_is_answered_quickly(text: str) -> None:
    """The longest message that Chat sends (32,000 bytes) takes no noticeable time."""
    started = datetime.now(UTC)

    check(text)

    assert datetime.now(UTC) - started < timedelta(seconds=2)


@pytest.mark.parametrize("phrase", ["in a second", "in one second", "in 1 second"])
def test_a_second_is_no_ordinal_behind_in(phrase: str) -> None:
    """In other places "second" is the 2nd."""
    now = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)

    order = understand(f"remind me {phrase} to rest", now=now, timezone="UTC")

    assert order is not None
    assert order.when.at == now + timedelta(seconds=1)
