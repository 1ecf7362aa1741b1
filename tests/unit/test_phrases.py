"""What people type: tables of commands and what they mean, then what may never happen, whatever is typed."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import phrase_words
from phrases import LONGEST_TEXT, NotUnderstood, Order, understand
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
    """The cron expression, or what the clocks show."""
    if result.at:
        return f"{result.at.astimezone(ZoneInfo(result.timezone)):%Y-%m-%d %H:%M:%S}".removesuffix(":00")
    return result.cron or ""


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
    pytest.param("remind me to turn the oven on at 9", "remind", "turn the oven on", id="preposition-in-text"),
    pytest.param("remind me to enjoy the sun at 9", "remind", "enjoy the sun", id="day-name-in-text"),
    pytest.param("remind me to take 2 at 9", "remind", "take 2", id="number-in-text"),
    pytest.param("remind me tomorrow to call... Anna...", "remind", "call... Anna...", id="ellipsis-kept"),
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
    """Who wants what is taken from every form of a command, and the text is kept as it is."""
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
    ("every 24 hours", "0 0 * * *"),
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

    assert [order(command).cron for command in commands] == [cron] * 3
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
    ("at 9", "2026-11-22 09:00"),
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
    assert order(commands[0]).at == datetime.fromisoformat(clock).replace(tzinfo=ZoneInfo(BERLIN))
    assert (order(commands[0]).at or NOW).tzinfo is UTC


@pytest.mark.parametrize(
    ("timezone", "now", "phrase", "at"),
    [
        pytest.param("UTC", "2026-11-21T09:30Z", "at 9", "2026-11-22T09:00Z", id="utc"),
        pytest.param("Asia/Tokyo", "2026-11-21T20:00Z", "today at 9", "2026-11-22T00:00Z", id="tokyo-is-a-day-ahead"),
        pytest.param("America/New_York", "2026-11-22T02:00Z", "tomorrow", "2026-11-22T14:00Z", id="new-york-is-behind"),
        pytest.param("Asia/Kathmandu", "2026-11-21T09:30Z", "at 18", "2026-11-21T12:15Z", id="quarter-of-an-hour"),
        pytest.param(BERLIN, "2027-03-28T00:50Z", "in 20 minutes", "2027-03-28T01:10Z", id="minutes-over-the-gap"),
        pytest.param(BERLIN, "2026-10-25T00:50Z", "in 20 minutes", "2026-10-25T01:10Z", id="minutes-into-the-repeat"),
        pytest.param(BERLIN, "2026-10-25T01:50Z", "in 2 hours", "2026-10-25T03:50Z", id="hours-from-the-second-pass"),
        pytest.param(BERLIN, "2027-03-27T09:30Z", "in 1 day", "2027-03-28T08:30Z", id="a-day-over-the-gap"),
        pytest.param(BERLIN, "2026-10-24T09:30Z", "tomorrow at 4", "2026-10-25T03:00Z", id="after-the-repeat"),
        pytest.param(BERLIN, "2026-10-25T01:30Z", "at 1:59", "2026-10-26T00:59Z", id="next-day-after-the-second-pass"),
        pytest.param(BERLIN, "2026-11-21T09:30:00.25Z", "in 0 minutes", "2026-11-21T09:30:01Z", id="whole-seconds"),
    ],
)
def test_clock_times_are_those_of_the_timezone(timezone: str, now: str, phrase: str, at: str) -> None:
    """Days and clock times are read where the person is; hours and minutes pass everywhere alike."""
    result = order(f'{phrase} post "x"', now=datetime.fromisoformat(now), timezone=timezone)

    assert (result.at, result.timezone) == (datetime.fromisoformat(at), timezone)


@pytest.mark.parametrize("days", range(7))
@pytest.mark.parametrize("weekday", ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"])
def test_a_weekday_is_the_next_one_from_any_day(days: int, weekday: str) -> None:
    """A weekday lies within the coming week, whichever day it is."""
    now = NOW + timedelta(days=days)

    at = order(f'on {weekday} at 11 post "x"', now=now).at

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

    assert (result.kind, result.text, result.cron) == (kind, "x", cron)


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
    'post "x" tomorrow',
]


@pytest.mark.parametrize("text", NO_REQUEST)
def test_what_is_no_request_for_a_schedule_is_left_to_the_agent(text: str) -> None:
    """A word such as "every" or "ask" alone makes no request."""
    assert understand(text, now=NOW, timezone=BERLIN) is None


EXAMPLES = ["tomorrow at 9:00", "in 20 minutes", "every monday at 9:00"]
REFUSED = [
    ("at 25:00", "'25:00' is no time of day", EXAMPLES),
    ("at 24:00", "'24:00' is no time of day", EXAMPLES),
    ("at 9:75", "'9:75' is no time of day", EXAMPLES),
    ("at 13pm", "'13pm' is no time of day", EXAMPLES),
    ("at 0 am", "'0 am' is no time of day", EXAMPLES),
    ("tonight at midnight", "no time of day", EXAMPLES),
    ("tomorrow morning at 17:00", "no time of day", EXAMPLES),
    ("tomorrow night at 3", "no time of day", EXAMPLES),
    ("every fribday at 9", "'fribday' is not known", EXAMPLES),
    ("every monday morn", "'morn' is not known", EXAMPLES),
    ("every day at 9 on friday at 10", "more than one time", EXAMPLES),
    ("on friday on monday", "cannot be read", EXAMPLES),
    ("every day on friday", "cannot be read", EXAMPLES),
    ("every hour on friday", "cannot be read", EXAMPLES),
    ("every first weekday of the month", "cannot be read", EXAMPLES),
    ("every other december", "cannot be read", EXAMPLES),
    ("on february 30", "cannot be read", EXAMPLES),
    ("on 31 november", "cannot be read", EXAMPLES),
    ("on 2027-02-29", "cannot be read", EXAMPLES),
    ("next week", "cannot be read", EXAMPLES),
    ("in 1 hour at 9", "cannot be read", EXAMPLES),
    ("in 9999 years", "cannot be read", EXAMPLES),
    ("every 90 minutes", "every 90 minutes", ["every hour", "every 2 hours"]),
    ("every 7 minutes", "every 7 minutes", ["every 6 minutes", "every 10 minutes"]),
    ("every 45 minutes", "every 45 minutes", ["every 30 minutes", "every hour"]),
    ("every 5 hours", "every 5 hours", ["every 4 hours", "every 6 hours"]),
    ("every 36 hours", "every 36 hours", ["every 24 hours"]),
    ("every 30 seconds", "every 30 seconds", ["every minute"]),
    ("every 0 minutes", "every 0 minutes", ["every minute"]),
    ("every 2 hours at 9:30", "no time of day", ["every 2 hours", "every day at 9:30"]),
    ("every 3 days at 8", "cannot skip days", ["every day at 8:00"]),
    ("every other day", "cannot skip days", ["every day at 9:00"]),
    (
        "every other friday at 10",
        "cannot skip weeks",
        ["every friday at 10:00", "every 1st and 3rd friday of the month at 10:00"],
    ),
    (
        "every 2nd friday at 10",
        "cannot skip weeks",
        ["every friday at 10:00", "every 1st and 3rd friday of the month at 10:00"],
    ),
    ("every 3 weeks on friday and sunday", "cannot skip weeks", ["every friday and sunday at 9:00"]),
    ("every 2 weeks", "cannot skip weeks", ["every monday at 9:00", "every saturday at 9:00"]),
    ("fortnightly", "cannot skip weeks", ["every monday at 9:00", "every saturday at 9:00"]),
    ("every 5 months on the 3rd", "cannot skip months", ["every month on the 3rd at 9:00"]),
    ("every 2 years on may 1", "cannot skip years", ["every may 1st at 9:00"]),
    ("weekly", "on which day", ["every monday at 9:00", "every saturday at 9:00"]),
    ("monthly at 8", "on which day", ["every month on the 1st at 8:00"]),
    ("every 3 months", "on which day", ["every 3 months on the 1st at 9:00"]),
    ("yearly", "on which day", ["every november 1st at 9:00"]),
    ("every december", "on which day", ["every december 1st at 9:00"]),
    ("every day until june at 9", "can be cancelled then", ["every day at 9:00"]),
    ("every friday at 9 from december", "can be cancelled then", ["every friday at 9:00"]),
    ("every friday for two weeks", "can be cancelled then", ["every friday"]),
    ("every day 5 times", "can be cancelled then", ["every day"]),
    ("starting monday every day at 8", "can be cancelled then", ["every day at 8:00"]),
    ("every day from december 1 to december 5", "can be cancelled then", ["every day"]),
    ("every day except sunday at 9", "no exceptions", ["every day at 9:00"]),
    ("in 1.5 hours", "'1.5' is not known", EXAMPLES),
    ("on 24.12.2026", "'24.12.2026' is not known", EXAMPLES),
    ("in 5", "cannot be read", EXAMPLES),
    ("twice a day", "can be cancelled then", EXAMPLES),
    ("every day at 9:00 and 17:30", "different minutes", ["every day at 9:00", "every day at 17:30"]),
    ("fridays at 9, 9:30 and 17", "different minutes", ["every friday at 9:00 and 17:00", "every friday at 9:30"]),
    ("tomorrow at 9 and 17", "several times", ["tomorrow at 9:00", "tomorrow at 17:00"]),
    ("today at 9", "'today at 9:00' is past", ["tomorrow at 9:00"]),
    ("today", "'today at 9:00' is past", ["tomorrow at 9:00"]),
    ("on 2026-11-20 at 8", "is past", ["tomorrow at 8:00"]),
    ("in 367 days", "more than a year away", ["in 1 year"]),
    ("on december 24 2027", "more than a year away", ["in 1 year"]),
    ("march 28 at 2:30", "clocks skip it", ["on 2027-03-28 at 1:30", "on 2027-03-28 at 3:30"]),
    ("on 2027-10-31 at 2:30", "comes twice", ["on 2027-10-31 at 1:30", "on 2027-10-31 at 3:30"]),
]


@pytest.mark.parametrize(("phrase", "message", "nearest"), [pytest.param(*row, id=row[0]) for row in REFUSED])
def test_what_cannot_be_scheduled_is_answered_with_what_can(phrase: str, message: str, nearest: list[str]) -> None:
    """The message says why, and each suggestion keeps the text."""
    refused = refusal(f'{phrase} post "x"')
    reminder = refusal(f"remind us {phrase} to x")

    assert message in str(refused)
    assert list(refused.suggestions) == [f'{when} post "x"' for when in nearest]
    assert list(reminder.suggestions) == [f"remind us {when} to x" for when in nearest]


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0]) for row in REFUSED])
def test_every_suggestion_is_understood_as_it_stands(row: tuple[str, str, list[str]]) -> None:
    """A suggestion can be sent as it is: it is for the same text, and needs no suggestion itself."""
    for suggestion in refusal(f'{row[0]} ask "Is it late?"').suggestions:
        result = order(suggestion)

        assert (result.kind, result.text) == ("ask", "Is it late?")


@pytest.mark.parametrize(
    ("command", "crons"),
    [
        pytest.param("every 90 minutes", ["0 * * * *", "0 */2 * * *"], id="hours-for-minutes"),
        pytest.param("every other friday at 10", ["0 10 * * 5", "0 10 * * 5#1,5#3"], id="other-friday"),
        pytest.param("every 3 weeks on friday and sunday", ["0 9 * * 5,0"], id="several-days"),
        pytest.param("every 3 months", ["0 9 1 1,4,7,10 *"], id="months"),
        pytest.param("every 2 years on may 1", ["0 9 1 5 *"], id="years"),
        pytest.param("every day at 9:00 and 17:30", ["0 9 * * *", "30 17 * * *"], id="two-commands"),
        pytest.param("fridays at 9, 9:30 and 17", ["0 9,17 * * 5", "30 9 * * 5"], id="grouped-by-minute"),
    ],
)
def test_suggestions_mean_what_comes_nearest(command: str, crons: list[str]) -> None:
    """The suggested commands are the intended schedules."""
    suggestions = refusal(f'{command} post "x"').suggestions

    assert [order(each).cron for each in suggestions] == crons


@pytest.mark.parametrize(
    ("command", "message"),
    [
        pytest.param("remind", "Say whom to remind", id="nothing"),
        pytest.param("remind me", "Say whom to remind", id="no-when-no-text"),
        pytest.param("remind me tomorrow", "Say of what to remind you", id="no-text"),
        pytest.param("remind me to call Anna", "when", id="no-when"),
        pytest.param("remind me to call on friday Anna at 9", "when", id="a-part-of-when-is-not-text"),
        pytest.param("remind me to call on dec 24 in Rome at 9", "when", id="a-date-further-up-is-not-text"),
        pytest.param("remind me to submit it by friday", "when", id="a-deadline-is-no-when"),
        pytest.param('remind me to "call Anna tomorrow"', "when", id="when-within-the-quotes"),
        pytest.param("remind Bob tomorrow to call", "me or us", id="somebody-else"),
        pytest.param("remind me soon to call", "'soon' is not known", id="unknown-word"),
        pytest.param("in Berlin remind me to call", "'berlin' is not known", id="unknown-word-first"),
        pytest.param('tomorrow post ""', "Say what to post", id="empty-quotes"),
        pytest.param("tomorrow ask", "Say what to ask", id="empty-text"),
        pytest.param("every fribday at 9 post hello", "'fribday' is not known", id="unquoted-with-one-unknown-word"),
        pytest.param("remind me to x on friday on monday", "cannot be read", id="two-days"),
    ],
)
def test_an_incomplete_command_is_answered_with_examples(command: str, message: str) -> None:
    """An incomplete command is answered with whole commands."""
    refused = refusal(command)

    assert message in str(refused)
    assert len(refused.suggestions) == 3
    assert all(understand(each, now=NOW, timezone=BERLIN) for each in refused.suggestions)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        pytest.param('cron 0 9 * * post "x"', "exactly five fields", id="four-fields"),
        pytest.param('cron 61 9 * * * post "x"', "minute '61'", id="wrong-minute"),
        pytest.param('cron "* * 30 2 *" remind me to x', "never comes", id="never"),
        pytest.param('cron @noon post "x"', "@daily", id="unknown-name"),
        pytest.param('every april 31 post "x"', "never comes", id="a-day-that-never-comes"),
        pytest.param(f'tomorrow post "{"x" * 1001}"', "1001 characters; at most 1,000", id="long-text"),
    ],
)
def test_what_is_wrong_is_said_where_nothing_comes_near(command: str, message: str) -> None:
    """What the schedule's own check says is passed on."""
    refused = refusal(command)

    assert message in str(refused)
    assert refused.suggestions == ()


def test_a_suggestion_that_would_change_the_text_is_left_out() -> None:
    """No suggestion is better than one for another text than was typed."""
    assert refusal('every 90 minutes post "say hi"').suggestions != ()
    assert refusal('every 90 minutes post say"hi').suggestions == ()


@pytest.mark.parametrize("timezone", ["", "Mars/Olympus", "localtime", "CEST"])
def test_an_unknown_timezone_is_refused(timezone: str) -> None:
    """A wrong timezone is no misunderstanding, whatever the text."""
    with pytest.raises(InvalidSchedule, match="is not known"):
        understand("hello", now=NOW, timezone=timezone)


@pytest.mark.parametrize("unit", ["minutes", "hours", "days", "weeks"])
@pytest.mark.parametrize("number", [0, 1, 2, 3, 9, 10, 11, 12, 13, 19, 20, 21, 29, 30, 31, 45, 51, 52])
def test_a_distance_is_exactly_as_long_as_said(unit: str, number: int) -> None:
    """Whatever the number, the library reads it as it is."""
    now = NOW.astimezone(UTC)

    assert order(f'in {number} {unit} post "x"', now=now, timezone="UTC").at == now + timedelta(**{unit: number})


@pytest.mark.parametrize("day", range(0, 364, 3))
def test_every_date_is_read_as_itself(day: int) -> None:
    """A month and a day mean that date in the coming year, and every year."""
    date = datetime(2026, 11, 22, 9, tzinfo=UTC) + timedelta(days=day)
    command = f'{date:%B} {date.day} at 9 post "x"'

    once, yearly = (order(text, now=NOW, timezone="UTC") for text in (command, f"every {command}"))

    assert (once.at or NOW) == date
    assert yearly.cron == f"0 9 {date.day} {date.month} *"


def check(text: str, now: datetime = NOW, timezone: str = BERLIN) -> None:
    """Read a text, and check what holds for every text."""
    suggestions: tuple[str, ...] = ()
    result = None
    try:
        result = understand(text, now=now, timezone=timezone)
    except NotUnderstood as exc:
        suggestions = exc.suggestions
    assert all(understand(each, now=now, timezone=timezone) for each in suggestions)
    if result:
        assert (result.at is None) != (result.cron is None)
        assert 1 <= len(result.text) <= LONGEST_TEXT
        assert result.at is None or now <= result.at <= now + timedelta(days=366)
        assert result.cron is None or (len(result.cron.split()) == 5 and Recurrence(result.cron, timezone))


VOCABULARY = [
    *phrase_words.WORDS,
    *(
        "morning",
        "evening",
        "night",
        "noon",
        "midnight",
        "9:00",
        "17:30",
        "25:00",
        "9am",
        "2:30",
        "at 9",
        "every",
        "to",
    ),
    *(
        "2nd",
        "31st",
        "2027-03-28",
        "post",
        "ask",
        "remind",
        "remind me",
        "remind us to",
        '"x"',
        "“y”",
        ",",
        ".",
        "..",
        ":",
    ),
]


@settings(deadline=timedelta(seconds=1), max_examples=300)
@given(text=st.text() | st.builds("{}{}".format, st.sampled_from(["remind me ", "cron ", "every "]), st.text()))
def test_no_text_does_harm(text: str) -> None:
    """Whatever is typed, it is an order, no request, or answered."""
    check(text)


@settings(deadline=timedelta(seconds=1), max_examples=600)
@given(words=st.lists(st.sampled_from(VOCABULARY), max_size=12), space=st.sampled_from([" ", "  ", "\n", ""]))
@example(words=["every", "a..b", "post", '"x"'], space=" ")
def test_no_order_of_known_words_does_harm(words: list[str], space: str) -> None:
    """Words that are known make a valid order, or none."""
    check(space.join(words))


@settings(deadline=timedelta(seconds=1), max_examples=400)
@given(
    words=st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=6),
    now=st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),
    timezone=st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_no_phrase_at_any_time_does_harm(words: list[str], now: datetime, timezone: str) -> None:
    """In every timezone and at every time of the year a moment lies ahead, and a cron expression is valid."""
    check(f'{" ".join(words)} post "x"', now, timezone)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("remind me to " + "at 9 " * 6000, id="times"),
        pytest.param("remind me " + "to " * 10000, id="links"),
        pytest.param("every " * 6000 + "post x", id="openers"),
        pytest.param("remind me to x " + " " * 30000 + "y", id="spaces"),
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
    """Elsewhere "second" is the 2nd."""
    now = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)

    order = understand(f"remind me {phrase} to rest", now=now, timezone="UTC")

    assert order is not None
    assert order.at == now + timedelta(seconds=1)
