"""Phrases for what recurs: its expression or interval, its start, its end and its exceptions."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tests.support.phrasing import SATURDAY, order, question, said

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

    assert [order(command, now=SATURDAY).when.cron for command in commands] == [cron] * 3
    assert [order(command, now=SATURDAY).text for command in commands] == ["x"] * 3


@pytest.mark.parametrize(
    ("phrase", "cron"),
    [("at 20 past", "20 * * * *"), ("at half past", "30 * * * *"), ("at 5 past every hour", "5 * * * *")],
)
def test_minutes_past_every_hour_need_no_hour(phrase: str, cron: str) -> None:
    """ "At 20 past 7" is another thing."""
    assert said(order(f"remind me every hour {phrase} to x")) == cron
    assert said(order("remind me every day at 20 past 7 to x")) == "20 7 * * *"


ENDS = [
    ("every 15 minutes for the next hour", "*/15 * * * *, until 2026-11-25 11:07"),
    ("every day at 10:00 for the next week", "0 10 * * *, until 2026-12-03 00:00"),
    ("every 2 hours for the next 2 days", "0 */2 * * *, until 2026-11-27 10:07"),
    ("every 3 hours starting friday at 7 for 2 days", "every 3h, from 2026-11-27 07:00, until 2026-11-29 07:00"),
    ("every hour starting tomorrow for 3 hours", "0 * * * *, from 2026-11-26 00:00, until 2026-11-26 03:00"),
    ("every friday until friday", "0 9 * * 5, until 2026-11-28 00:00"),
    ("every friday until friday 25 december", "0 9 * * 5, until 2026-12-26 00:00"),
    ("every day until friday", "0 9 * * *, until 2026-11-28 00:00"),
    ("every monday from january to march", "0 9 * * 1, from 2027-01-01 00:00, until 2027-04-01 00:00"),
    ("every monday between january and march", "0 9 * * 1, from 2027-01-01 00:00, until 2027-04-01 00:00"),
    ("every monday starting january until march", "0 9 * * 1, from 2027-01-01 00:00, until 2027-03-01 00:00"),
    ("every day through november", "0 9 * * *, until 2026-12-01 00:00"),
    ("every day through december", "0 9 * * *, until 2027-01-01 00:00"),
    ("every day through next week", "0 9 * * *, until 2026-12-07 00:00"),
    ("every day from tomorrow to friday", "0 9 * * *, from 2026-11-26 00:00, until 2026-11-28 00:00"),
    ("every day from the 5th until the 10th of january", "0 9 * * *, from 2027-01-05 00:00, until 2027-01-11 00:00"),
    ("every day between the 5th and 10th of january", "0 9 * * *, from 2027-01-05 00:00, until 2027-01-11 00:00"),
    ("every day from 5 to 10 january", "0 9 * * *, from 2027-01-05 00:00, until 2027-01-11 00:00"),
    ("every day from the 5th to the 10th", "0 9 * * *, from 2026-12-05 00:00, until 2026-12-11 00:00"),
    ("every 3 hours starting now", "every 3h, from 2026-11-25 13:07"),
    ("until friday every weekday", "0 9 * * 1-5, until 2026-11-28 00:00"),
    ("except fridays every weekday", "0 9 * * 1,2,3,4"),
    ("starting monday mon-thu", "0 9 * * 1,2,3,4, from 2026-11-30 00:00"),
    ("every day but not fridays", "0 9 * * 1,2,3,4,6,0"),
    ("every day, but not on weekends", "0 9 * * 1-5"),
    ("every day until june but not on fridays", "0 9 * * 1,2,3,4,6,0, until 2027-06-01 00:00"),
    ("every month until june on the 15th", "0 9 15 * *, until 2027-06-01 00:00"),
    ("every month for 6 months on the 15th", "0 9 15 * *, until 2027-06-15 00:00"),
    ("every month until june on the last friday", "0 9 * * L5, until 2027-06-01 00:00"),
    (
        "every 2 months from january to june on the 15th",
        "0 9 15 1,3,5,7,9,11 *, from 2027-01-01 00:00, until 2027-07-01 00:00",
    ),
]


@pytest.mark.parametrize(("phrase", "meant"), [pytest.param(*row, id=row[0]) for row in ENDS])
def test_an_end_is_where_it_is_said(phrase: str, meant: str) -> None:
    """From January to March includes March, which until March does not."""
    for command in (f"remind me {phrase} to x", f"remind me to x {phrase}"):
        found = order(command)

        assert (said(found), found.text) == (meant, "x")


LENGTHS = [
    *("for the rest of the day", "for the remainder of the day", "for the next few hours", "for a while", "for now"),
    *(
        "only this week",
        ", this week only,",
        "just this week",
        "all week",
        "these two weeks",
        "for the week",
        "for the whole week",
    ),
    *("during the day", "all day", "overnight", "5x", "5 times", "5 x"),
]


@pytest.mark.parametrize("length", LENGTHS)
def test_an_end_that_is_not_read_is_asked_about(length: str) -> None:
    """Else it would run for ever."""
    for rhythm in ("every hour", "every day at 9", "weekdays"):
        assert question(f"remind me {rhythm} {length} to x")
        assert question(f"remind me {rhythm} {length} water the plants")
        assert question(f"remind me to x {rhythm} {length}")


@pytest.mark.parametrize("phrase", ["every monday until friday", "mondays until friday"])
def test_an_end_before_the_first_run_may_be_a_range(phrase: str) -> None:
    """Each week until Friday is something else than until this Friday."""
    refused = question(f"remind me {phrase} at 8 to x")

    assert "ends before it begins" in str(refused)
    assert refused.suggestions == ("remind me every monday to friday at 08:00 to x",)


MIDNIGHTS = [
    ("America/Santiago", "2027-08-20T10:00", "every day until 4 september", "until 2027-09-05 01:00"),
    ("Africa/Cairo", "2027-04-20T10:00", "every day until 29 april", "until 2027-04-30 01:00"),
    ("Africa/Cairo", "2027-04-20T10:00", "every day starting 30 april", "from 2027-04-30 01:00"),
    ("America/Havana", "2027-10-20T10:00", "every day starting 7 november", "from 2027-11-07 00:00"),
    ("America/Havana", "2027-10-20T10:00", "every day until 6 november", "until 2027-11-07 00:00"),
    ("Asia/Beirut", "2027-03-20T10:00", "every day for 7 days", "until 2027-03-28 01:00"),
]


@pytest.mark.parametrize(
    ("timezone", "now", "phrase", "bound"), [pytest.param(*row, id=f"{row[0]} {row[2]}") for row in MIDNIGHTS]
)
def test_a_bound_where_the_clocks_change_at_midnight(timezone: str, now: str, phrase: str, bound: str) -> None:
    """The day begins when the clocks go on, or at the first of two midnights."""
    moment = datetime.fromisoformat(now).replace(tzinfo=ZoneInfo(timezone)).astimezone(UTC)

    assert said(order(f"remind me {phrase} to x", now=moment, timezone=timezone)) == f"0 9 * * *, {bound}"


def test_one_friday_is_that_day() -> None:
    """What is offered for it runs on that day only."""
    assert said(order("remind me every hour starting friday until friday to x")) == (
        "0 * * * *, from 2026-11-27 00:00, until 2026-11-28 00:00"
    )


def test_the_first_run_of_an_interval_is_no_single_time() -> None:
    """Where the clocks skip it, no reminder for that day alone is offered."""
    refused = question("remind me every 2 days at 02:30 starting 2027-03-28 to x")

    assert "the clocks skip it" in str(refused)
    assert refused.suggestions == ()


@pytest.mark.parametrize(
    ("phrase", "cron"),
    [
        ("every 3 months on the 1st except july", "0 9 1 1,4,10 *"),
        ("every monday in may and june except in june", "0 9 * 5 1"),
        ("every year except in may", "0 9 25 11 *"),
    ],
)
def test_an_exception_leaves_the_other_months_as_they_are(phrase: str, cron: str) -> None:
    """It takes months away, and adds none."""
    assert said(order(f"remind me {phrase} to x")) == cron


AS_WRITTEN = [
    ("every month at the beginning", "0 9 1 * *"),
    ("each month at the end", "0 9 L * *"),
    ("begin of each month", "0 9 1 * *"),
    ("last of each month", "0 9 L * *"),
    ("every day at 12:00 noon", "0 12 * * *"),
    ("2nd and last fridays of each month", "0 9 * * 5#2,L5"),
    ("first mondays of the month", "0 9 * * 1#1"),
    ("daily at 3p", "0 15 * * *"),
    ("all days at 15:00", "0 15 * * *"),
    ("mon–fri at 15:00", "0 15 * * 1-5"),  # noqa: RUF001
    ("every 1 h", "0 * * * *"),
    ("every wed from december until june except in march and may",
     "0 9 * 1,2,4,6,7,8,9,10,11,12 3, from 2026-12-01 00:00, until 2027-06-01 00:00"),
]  # fmt: skip


@pytest.mark.parametrize(("phrase", "rhythm"), AS_WRITTEN, ids=[phrase for phrase, _ in AS_WRITTEN])
def test_a_rhythm_is_read_as_people_write_it(phrase: str, rhythm: str) -> None:
    """A word for the beginning or the end of a period names a day, and is not dropped."""
    assert said(order(f'{phrase} post "x"')) == rhythm
