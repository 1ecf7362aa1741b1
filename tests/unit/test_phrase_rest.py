"""What stands beside a time: it is read as a part of the time, asked about, or text, but never lost."""

import pytest

from orders import Order
from tests.support.phrasing import BERLIN, NOW, meaning, said

TIMES = [
    ("3:30 p m", "2026-11-25 15:30"),
    ("11p.m.", "2026-11-25 23:00"),
    ("at 3p", "2026-11-25 15:00"),
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
RHYTHMS = [
    ("every month at the beginning", "0 9 1 * *"),
    ("each month at the end", "0 9 L * *"),
    ("begin of each month", "0 9 1 * *"),
    ("last of each month", "0 9 L * *"),
    ("every day at 12:00 noon", "0 12 * * *"),
    ("2nd and last fridays of each month", "0 9 * * 5#2,L5"),
    ("first mondays of the month", "0 9 * * 1#1"),
    ("daily at 3p", "0 15 * * *"),
    ("every 1 h", "0 * * * *"),
    ("every wed from november until june except in march and may", "ask"),  # in November it has begun
    ("every wed from december until june except in march and may",
     "0 9 * 1,2,4,6,7,8,9,10,11,12 3, from 2026-12-01 00:00, until 2027-06-01 00:00"),
]  # fmt: skip
ASKED = [
    "August 10 - 22",
    "May eighth - tenth",
    "July 13 thru 15",
    "8pm - 11",
    "4pm + 3 days",
    "4pm -3 days",
    "tomorrow +1h",
    "next tuesday +10 days",
    "15 minutes earlier",
    "3m 49s ago",
    "Tuesday of last week",
    "20th of the previous month",
    "morning of xmas",
    "third qtr",
    "third last week of 2027",
    "tomorrow afternoonish",
    "at a couple of",
    "tomorrow lunch",
    "3p",
    "2nd month",
]
TEXTS = [
    ("remind me tomorrow of the meeting", "the meeting"),
    ("remind me tomorrow of marketing", "marketing"),
    ("remind me on friday - call Anna", "call Anna"),
    ("remind me on friday of May's birthday", "May's birthday"),
    ("remind me at 5 to check gate 7a", "check gate 7a"),
    ("remind me tomorrow to finish 3 d models", "finish 3 d models"),
    ("remind me tomorrow to look 2 hours later", None),
    ("remind me to buy 9 tomorrow", "buy 9"),
    ("remind me tomorrow to ask whether a couple of us can come", "ask whether a couple of us can come"),
]


@pytest.mark.parametrize(("phrase", "when"), TIMES, ids=[phrase for phrase, _ in TIMES])
def test_a_time_is_read_as_people_write_it(phrase: str, when: str) -> None:
    """At the beginning of a reminder, whole."""
    order = meaning(f"remind me {phrase} to call", NOW, BERLIN)

    assert isinstance(order, Order), order
    assert (said(order), order.text) == (when, "call")


@pytest.mark.parametrize(("phrase", "rhythm"), RHYTHMS, ids=[phrase for phrase, _ in RHYTHMS])
def test_a_rhythm_is_read_as_people_write_it(phrase: str, rhythm: str) -> None:
    """A word for the beginning or the end of a period names a day, and is not dropped."""
    order = meaning(f'{phrase} post "x"', NOW, BERLIN)

    assert (order if isinstance(order, str) else said(order)) == rhythm


@pytest.mark.parametrize("phrase", ASKED)
def test_what_goes_on_with_a_time_never_becomes_text(phrase: str) -> None:
    """A range, a sum, a past day or a vague time is asked about, in a reminder and in a post."""
    assert meaning(f"remind me {phrase} to call", NOW, BERLIN) == "ask"
    assert meaning(f'{phrase} post "x"', NOW, BERLIN) in ("ask", "agent")


@pytest.mark.parametrize(("command", "text"), TEXTS, ids=[command for command, _ in TEXTS])
def test_text_that_only_resembles_a_time_stays_text(command: str, text: str | None) -> None:
    """The rules for what goes on with a time take nothing from a text; None stands for a question."""
    order = meaning(command, NOW, BERLIN)

    assert (order.text if isinstance(order, Order) else None) == text
