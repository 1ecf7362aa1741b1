"""Phrases and the one right meaning of each: public ones at four moments, and probes of our own.

`phrases.json` holds phrases from the help pages and test suites of Slack, Todoist, Mattermost, chrono, duckling,
recurrent, parsedatetime and fugit. A right value is `at` (local times, any of which will do), `rec` (the first four
runs), `elapsed` (seconds), `ask` (a question, never an order) or `agent` (no request for a schedule).
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orders import Order
from phrase_hints import looks_like_time
from shared.model.recurrence import Recurrence
from tests.phrasing import BERLIN, NOW, local, meaning, said

PUBLIC = json.loads((Path(__file__).parent / "phrases.json").read_text())


def runs(cron: str, timezone: str, now: datetime) -> list[str]:
    found, rhythm = [now], Recurrence(cron, timezone)
    for _ in range(4):
        found.append(rhythm.after(found[-1]))
    return [local(each, timezone).isoformat() for each in found[1:]]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["text"]) for case in PUBLIC])
def test_a_public_phrase_has_its_right_meaning(case: dict[str, Any]) -> None:
    """At each moment and in each time zone, and with the right text."""
    for right in case["right"]:
        zone = right["timezone"]
        now = datetime.fromisoformat(right["now"]).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)

        found = meaning(case["text"], now, zone)

        if "ask" in right or "agent" in right:
            assert found == ("ask" if "ask" in right else "agent")
            continue
        assert isinstance(found, Order), found
        assert case["says"] in (None, found.text)
        when = found.when
        if "rec" in right:
            assert when.cron
            assert when.at is None
            assert runs(when.cron, zone, now) in right["rec"]
        elif "elapsed" in right:
            assert when.at == now + timedelta(seconds=right["elapsed"])
        else:
            assert when.at
            assert local(when.at, zone).isoformat() in right["at"]


PROBES = [
    ("remind me to call Bob on 3 Feb at 9:00", "2027-02-03 09:00", "call Bob"),
    ("remind me to call Bob on 15.12.2026 at 9:00", "2026-12-15 09:00", "call Bob"),
    ("remind me to call Bob on 2026/12/01 at 9:00", "2026-12-01 09:00", "call Bob"),
    ("remind me to call Bob Feb. 3 at 9:00", "2027-02-03 09:00", "call Bob"),
    ("remind me to call Bob two weeks from now at 9:00", "2026-12-09 09:00", "call Bob"),
    ("remind me to call Bob at the end of the month at 9:00", "2026-11-30 09:00", "call Bob"),
    ('every month on the 1st and the last post "x"', "0 9 1,L * *", "x"),
    ("remind me Do the dishes in 1 day", "2026-11-26 10:07", "Do the dishes"),
    ('every other friday post "x"', "every 2w, from 2026-11-27 09:00", "x"),
    ('every 90 minutes post "x"', "every 90m, from 2026-11-25 11:37", "x"),
    ('every day until june at 9 post "x"', "0 9 * * *, until 2027-06-01 00:00", "x"),
    ('every day at 9 starting monday post "x"', "0 9 * * *, from 2026-11-30 00:00", "x"),
    ('weekdays at 9 except fridays post "x"', "0 9 * * 1,2,3,4", "x"),
    ('on the last day of the month post "x"', "2026-11-30 09:00", "x"),
    ("remind me on the last day of the month to pay", "2026-11-30 09:00", "pay"),
    ("remind me at noon to eat", "2026-11-25 12:00", "eat"),
    ("remind me tomorrow morning to eat", "2026-11-26 09:00", "eat"),
    ("remind me next week to eat", "2026-11-30 09:00", "eat"),
    ("remind me in half an hour to eat", "2026-11-25 10:37", "eat"),
    ("remind me at 9.30 to eat", "2026-11-26 09:30", "eat"),
    ("remind me at 7 to eat", "2026-11-25 19:00", "eat"),
    ("remind me at 11 to eat", "2026-11-25 11:00", "eat"),
    ("remind me at 4 to eat", "2026-11-25 16:00", "eat"),
    ("remind me at 12 to eat", "2026-11-25 12:00", "eat"),
    ("remind me tomorrow at 4 to eat", "2026-11-26 16:00", "eat"),
    ('every weekday at 5 post "x"', "0 17 * * 1-5", "x"),
    ("on the 31st remind me to pay", "2026-12-31 09:00", "pay"),
    ('every month on the 31st post "x"', "0 9 31 * *", "x"),
    ('the 30th of every month post "x"', "0 9 30 * *", "x"),
    ("remind me to check the first draft at 9", "2026-11-25 21:00", "check the first draft"),
    ("remind me the first of june to pay", "2027-06-01 09:00", "pay"),
    ("remind me on the twenty-third to pay", "2026-12-23 09:00", "pay"),
    ("remind me on june twenty third to pay", "2027-06-23 09:00", "pay"),
    ('every twenty-fifth of december post "x"', "0 9 25 12 *", "x"),
    ("remind us to vote on the first tuesday of november", "2027-11-02 09:00", "vote"),
    ("remind me tomorrow at 9 to prepare the friday meeting", "2026-11-26 09:00", "prepare the friday meeting"),
    ('every weekday at 9:00 ask "summarise my inbox"', "0 9 * * 1-5", "summarise my inbox"),
    ("every weekday at 9:00 ask what is on my calendar today", "0 9 * * 1-5", "what is on my calendar today"),
    ("remind me to turn the oven on at 9", "2026-11-25 21:00", "turn the oven on"),
    ("remind me to check in at 9", "2026-11-25 21:00", "check in"),
    ("remind me to log in tomorrow", "2026-11-26 09:00", "log in"),
    ("remind me to enjoy the sun at 9", "2026-11-25 21:00", "enjoy the sun"),
    ("remind me to take 2 at 9", "2026-11-25 21:00", "take 2"),
    ("remind me to read chapter 3 tonight", "2026-11-25 21:00", "read chapter 3"),
    ('every 2 hours from 8 to 18 post "x"', "0 8-18/2 * * *", "x"),
    ('every hour between 9am and 5pm post "x"', "0 9-17 * * *", "x"),
    ('every 15 minutes from 9:00 to 16:45 on weekdays post "x"', "*/15 9-16 * * 1-5", "x"),
    ('every 3 hours starting at 7 post "x"', "every 3h, from 2026-11-26 07:00", "x"),
    ('every day for 2 weeks at 9 post "x"', "0 9 * * *, until 2026-12-10 00:00", "x"),
    ('every day for the next 3 days post "x"', "0 9 * * *, until 2026-11-29 00:00", "x"),
    ('every friday from december to march post "x"', "0 9 * * 5, from 2026-12-01 00:00, until 2027-04-01 00:00", "x"),
    (
        'every day from december 1 to december 5 post "x"',
        "0 9 * * *, from 2026-12-01 00:00, until 2026-12-06 00:00",
        "x",
    ),
    ('every day except december 24 and 25 post "x"', "0 9 * * *, except 2026-12-24 2026-12-25", "x"),
    ('every day at 9 except weekends post "x"', "0 9 * * 1-5", "x"),
    ('every weekday except in august post "x"', "0 9 * 1,2,3,4,5,6,7,9,10,11,12 1-5", "x"),
    ('every monday until the end of the year post "x"', "0 9 * * 1, until 2027-01-01 00:00", "x"),
    ('every monday through friday at 8 post "x"', "0 8 * * 1-5", "x"),
    ('every morning except sundays post "x"', "0 9 * * 1,2,3,4,5,6", "x"),
    ('every other day at 8 post "x"', "every 2d, from 2026-11-26 08:00", "x"),
    ('fortnightly on friday post "x"', "every 2w, from 2026-11-27 09:00", "x"),
    ('every 6 weeks on monday at 10 post "x"', "every 6w, from 2026-11-30 10:00", "x"),
    ('quarterly on the 1st post "x"', "0 9 1 1,4,7,10 *", "x"),
    ('monthly post "x"', "0 9 25 * *", "x"),
    ('monthly on the 15th post "x"', "0 9 15 * *", "x"),
    ('yearly on may 1 post "x"', "0 9 1 5 *", "x"),
    ('every year post "x"', "0 9 25 11 *", "x"),
    ("remind me 5 minutes before noon to x", "2026-11-25 11:55", "x"),
    ("remind me half past 3 to x", "2026-11-25 15:30", "x"),
    ("remind me at quarter to 5 to x", "2026-11-25 16:45", "x"),
    ("remind me at 10 to 5 to x", "2026-11-25 16:50", "x"),
    ("remind me in 2 and a half hours to x", "2026-11-25 12:37", "x"),
    ("remind me in an hour and a half to x", "2026-11-25 11:37", "x"),
    ("remind me in 3 quarters of an hour to x", "2026-11-25 10:52", "x"),
    ("remind me at midnight to x", "2026-11-26 00:00", "x"),
    ("remind me tomorrow at midnight to x", "2026-11-26 00:00", "x"),
    ("remind me today at 9 to x", "2026-11-25 21:00", "x"),
    ("remind me a week from friday to x", "2026-12-04 09:00", "x"),
    ("remind me next month to x", "2026-12-01 09:00", "x"),
    ("remind me next year to x", "2027-01-01 09:00", "x"),
    ("remind me on the 15th of next month to x", "2026-12-15 09:00", "x"),
    ("remind me at the weekend to x", "2026-11-28 09:00", "x"),
    ("remind me this weekend to x", "2026-11-28 09:00", "x"),
    ('post "x" every monday at 9', "0 9 * * 1", "x"),
    ('ask "what is new?" tomorrow at 9', "2026-11-26 09:00", "what is new?"),
    ("remind me to review the may numbers at 9", "2026-11-25 21:00", "review the may numbers"),
    ("remind me every monday and tuesday at 9 to x", "0 9 * * 1,2", "x"),
    ("remind me 9am tomorrow to x", "2026-11-26 09:00", "x"),
    ("remind me tomorrow 9am to x", "2026-11-26 09:00", "x"),
    ("remind me @5pm to x", "2026-11-25 17:00", "x"),
    ("remind me at 1730 to x", "2026-11-25 17:30", "x"),
    ("remind me in 1 hour and 30 minutes to x", "2026-11-25 11:37", "x"),
    ("remind me in 90 seconds to x", "2026-11-25 10:08", "x"),
    ("remind me to x on 25/12", "2026-12-25 09:00", "x"),
    ("remind me to x on 25/12/2026 at 10", "2026-12-25 10:00", "x"),
    ("remind me to x on 12/25", "2026-12-25 09:00", "x"),
    ("remind me to x on 25.12.", "2026-12-25 09:00", "x"),
    ("remind me to x on 25.12", "2026-12-25 09:00", "x"),
    ("remind me to x 24 dec", "2026-12-24 09:00", "x"),
    ("remind me to x 24th of dec at 10", "2026-12-24 10:00", "x"),
    ("remind me to watch 24 tonight at 8", "2026-11-25 20:00", "watch 24"),
    ("remind me to watch 60 minutes on sunday at 19:00", "2026-11-29 19:00", "watch 60 minutes"),
    ("remind me to water plants every 3 days at 8", "every 3d, from 2026-11-26 08:00", "water plants"),
    ("remind me to water plants every other day", "every 2d, from 2026-11-26 09:00", "water plants"),
    ("remind me to x every 2nd day of the month", "0 9 2 * *", "x"),
    ("remind me to x every 1st and 15th at 9", "0 9 1,15 * *", "x"),
    ("remind me to x on the 1st and 15th of each month", "0 9 1,15 * *", "x"),
    ("remind me to x every last friday at 16", "0 16 * * L5", "x"),
    ("remind me to x every last day of the month", "0 9 L * *", "x"),
    ("remind me to x every year on feb 29", "0 9 29 2 *", "x"),
    ("remind me to x next friday", "2026-11-27 09:00", "x"),
    ("remind me to x this friday", "2026-11-27 09:00", "x"),
    ("remind me to x friday this week", "2026-11-27 09:00", "x"),
    ("remind me to x next monday", "2026-11-30 09:00", "x"),
    ("remind me to x 2 days after tomorrow", "2026-11-28 09:00", "x"),
    ("remind me to x in a fortnight", "2026-12-09 10:07", "x"),
    ("remind me to x a fortnight from now", "2026-12-09 10:07", "x"),
    ("remind me to x in a month", "2026-12-25 10:07", "x"),
    ("remind me to x in 6 months", "2027-05-25 10:07", "x"),
    ("remind me to x every minute", "* * * * *", "x"),
    ("remind me to x every 5 minutes between 9:00 and 9:55", "*/5 9 * * *", "x"),
    ("remind me to x every 7 minutes", "every 7m, from 2026-11-25 10:14", "x"),
    ("remind me to x hourly on weekdays between 9 and 17", "0 9-17 * * 1-5", "x"),
    ("remind me to x every hour at :30", "30 * * * *", "x"),
    ("remind me to x every day at 9, 12 and 15", "0 9,12,15 * * *", "x"),
    ("remind me to x every day at 9am and 5", "0 9,17 * * *", "x"),
    ("remind me to x at 9 and 5 every day", "0 9,17 * * *", "x"),
    ("remind me to x daily at 6 and 8pm", "0 18,20 * * *", "x"),
    ("remind me to x mornings at 7", "0 7 * * *", "x"),
    ("remind me to x weekday mornings at 8", "0 8 * * 1-5", "x"),
    ("remind me to x every monday evening", "0 18 * * 1", "x"),
    ("remind me to x monday evenings", "0 18 * * 1", "x"),
    ("remind me to x on workdays at 9", "0 9 * * 1-5", "x"),
    ("remind me to x on business days at 9", "0 9 * * 1-5", "x"),
    ("remind me to x on mondays, wednesdays and fridays at 9", "0 9 * * 1,3,5", "x"),
    ("remind me to x every monday in july at 9", "0 9 * 7 1", "x"),
    ("remind me to x every day in december at 9", "0 9 * 12 *", "x"),
    ("remind me to x every day at 9 until friday", "0 9 * * *, until 2026-11-28 00:00", "x"),
    ("remind me to x every day until 31 dec at 9", "0 9 * * *, until 2027-01-01 00:00", "x"),
    ("remind me to x every day until 2027-01-05", "0 9 * * *, until 2027-01-06 00:00", "x"),
    ("remind me to x every day through friday", "0 9 * * *, until 2026-11-28 00:00", "x"),
    ("remind me to x every day before friday", "0 9 * * *, until 2026-11-27 00:00", "x"),
    ("remind me to x every other week starting next monday", "every 2w, from 2026-11-30 09:00", "x"),
    ("remind me to x every other monday except december 28", "every 2w, from 2026-11-30 09:00, except 2026-12-28", "x"),
    ("remind me to x every day except tomorrow", "0 9 * * *, except 2026-11-26", "x"),
    ("remind me to x every weekday except wednesday and friday at 9", "0 9 * * 1,2,4", "x"),
    ("remind me to x weekdays 9:00-17:00", "0 9-17 * * 1-5", "x"),
    ("remind me to stop at the shop at 6 in the evening", "2026-11-25 18:00", "stop at the shop"),
    ("remind me at 6 in the morning on friday to x", "2026-11-27 06:00", "x"),
    ("remind me tomorrow at noon to x", "2026-11-26 12:00", "x"),
    ("remind me tomorrow afternoon to x", "2026-11-26 14:00", "x"),
    ("remind me tomorrow night at 8 to x", "2026-11-26 20:00", "x"),
    ("remind me at the end of january to x", "2027-01-31 09:00", "x"),
    ("remind me at the end of next month to x", "2026-12-31 09:00", "x"),
    ("remind me not to x tomorrow at 9", "2026-11-26 09:00", "not to x"),
    ("remind me tomorrow at 9 not to x", "2026-11-26 09:00", "not to x"),
    ("remind me to call mom on her birthday on may 5", "2027-05-05 09:00", "call mom on her birthday"),
    ("remind me that the meeting is at 5 tomorrow", "2026-11-26 17:00", "the meeting is"),
    ("can you remind me to x tomorrow at 9", "2026-11-26 09:00", "x"),
    ("hey, remind me to x tomorrow at 9", "2026-11-26 09:00", "x"),
    ("could you please remind me tomorrow to x", "2026-11-26 09:00", "x"),
    ("tomorrow at 9 can you remind me to x?", "2026-11-26 09:00", "x?"),
    ("every day at 9 remind us to stand up at the desk", "0 9 * * *", "stand up at the desk"),
    ('every friday post "weekly report due today"', "0 9 * * 5", "weekly report due today"),
    ("every friday post weekly report due today", "0 9 * * 5", "weekly report due today"),
    ("in 5 minutes ask what time is it", "2026-11-25 10:12", "what time is it"),
    ('weekdays 9:00-17:00 post "x"', "0 9-17 * * 1-5", "x"),
    ('weekdays 9-5pm post "x"', "0 9-17 * * 1-5", "x"),
    ("remind me to send weekly report every friday at 9", "0 9 * * 5", "send weekly report"),
    ("remind me on 1st june to x", "2027-06-01 09:00", "x"),
    ("remind me june 1 2027 at 9 to x", "2027-06-01 09:00", "x"),
    ("remind me on 1 june, 2027 to x", "2027-06-01 09:00", "x"),
    ('every monday, 9:00 post "x"', "0 9 * * 1", "x"),
    ("remind me at nine thirty to x", "2026-11-26 09:30", "x"),
    ("remind me at twenty past five to x", "2026-11-25 17:20", "x"),
    ("remind me at half past nine in the evening to x", "2026-11-25 21:30", "x"),
    ("remind me one hour before midnight to x", "2026-11-25 23:00", "x"),
    ("remind me every weekday morning to x", "0 9 * * 1-5", "x"),
    ("remind me every sunday night at 11 to x", "0 23 * * 0", "x"),
    ("remind me every 15th of the month at 10 to x", "0 10 15 * *", "x"),
    ("remind me every 2 hours on weekdays to x", "0 */2 * * 1-5", "x"),
    ("remind me every 3 months on the 15th starting february to x", "0 9 15 2,5,8,11 *, from 2027-02-01 00:00", "x"),
    ('every other day until friday post "x"', "every 2d, from 2026-11-26 09:00, until 2026-11-28 00:00", "x"),
    ('every 90 minutes until tomorrow post "x"', "every 90m, from 2026-11-25 11:37, until 2026-11-27 00:00", "x"),
    ('every hour for 3 hours post "x"', "0 * * * *, until 2026-11-25 13:07", "x"),
    ('every 10 minutes for 2 hours post "x"', "*/10 * * * *, until 2026-11-25 12:07", "x"),
    (
        'every day starting tomorrow at 8 until next friday post "x"',
        "0 8 * * *, from 2026-11-26 00:00, until 2026-11-28 00:00",
        "x",
    ),
    ('every day starting at 8 post "x"', "0 8 * * *", "x"),
    ('every day at 8 from now on post "x"', "0 8 * * *", "x"),
    ("remind me to buy 3 apples on monday", "2026-11-30 09:00", "buy 3 apples"),
    ("remind me at 17:00 to send 5 mails", "2026-11-25 17:00", "send 5 mails"),
    ("remind me to read page 12 at 17:00", "2026-11-25 17:00", "read page 12"),
    ("remind me to call 030 123456 at 17:00", "2026-11-25 17:00", "call 030 123456"),
    ("remind me to call room 5 at 5", "2026-11-25 17:00", "call room 5"),
    ("remind me at 5 to call room 5", "2026-11-25 17:00", "call room 5"),
    ("remind me to meet Bob at gate 5 at 17:00", "2026-11-25 17:00", "meet Bob at gate 5"),
    ("remind me to take the 5 to town at 17:00", "2026-11-25 17:00", "take the 5 to town"),
    ("remind me to go from A to B tomorrow", "2026-11-26 09:00", "go from A to B"),
    ("remind me tomorrow to go from A to B", "2026-11-26 09:00", "go from A to B"),
    ("remind me to book the may bank holiday on friday", "2026-11-27 09:00", "book the may bank holiday"),
    ("remind me to march on friday", "2026-11-27 09:00", "march"),
    ("remind me on friday to march", "2026-11-27 09:00", "march"),
    ("remind me to see the second part on friday", "2026-11-27 09:00", "see the second part"),
    ("remind me to take the first train tomorrow at 6", "2026-11-26 06:00", "take the first train"),
    ("remind me tomorrow at 6 to take the first train", "2026-11-26 06:00", "take the first train"),
    ("remind me every day at 9 stretch", "0 9 * * *", "stretch"),
    ("remind me every day stretch", "0 9 * * *", "stretch"),
    ("remind me daily to stretch", "0 9 * * *", "stretch"),
    ("remind me at 9:00 on mondays to prepare", "0 9 * * 1", "prepare"),
    ("remind me mondays 9:00 to prepare", "0 9 * * 1", "prepare"),
    ("remind me every mon & wed at 9 to prepare", "0 9 * * 1,3", "prepare"),
    ("remind me every 2 days starting tomorrow at 9 to prepare", "every 2d, from 2026-11-26 09:00", "prepare"),
    ("remind me every 2nd day starting tomorrow to prepare", "every 2d, from 2026-11-26 09:00", "prepare"),
    ("remind me every other day from monday to prepare", "every 2d, from 2026-11-30 09:00", "prepare"),
    ("remind me every third day to prepare", "every 3d, from 2026-11-26 09:00", "prepare"),
    ("remind me every 10th to prepare", "0 9 10 * *", "prepare"),
    ("remind me once a month on the 5th to prepare", "0 9 5 * *", "prepare"),
    ("remind me each and every day to prepare", "0 9 * * *", "prepare"),
    ("remind me every working day at 8.30 to prepare", "30 8 * * 1-5", "prepare"),
    ("remind me on the last thursday of november to prepare", "2026-11-26 09:00", "prepare"),
    ("remind me on the 5th monday of the month to prepare", "2026-11-30 09:00", "prepare"),
    ("remind me at 07 to prepare", "2026-11-26 07:00", "prepare"),
    ("remind me at 0:30 to prepare", "2026-11-26 00:30", "prepare"),
    ("remind me at 00:00 to prepare", "2026-11-26 00:00", "prepare"),
    ("remind me at 12am to prepare", "2026-11-26 00:00", "prepare"),
    ("remind me at 12:30am to prepare", "2026-11-26 00:30", "prepare"),
    ("remind me at 3 in the afternoon to prepare", "2026-11-25 15:00", "prepare"),
    ("remind me at 3 in the morning to prepare", "2026-11-26 03:00", "prepare"),
    ("remind me tomorrow at 3 in the morning to prepare", "2026-11-26 03:00", "prepare"),
    ("remind me this evening at 7 to prepare", "2026-11-25 19:00", "prepare"),
    ("remind me this evening at 7:30 to prepare", "2026-11-25 19:30", "prepare"),
    ("remind me tonight at 11:30 to prepare", "2026-11-25 23:30", "prepare"),
    ("remind me saturday night to prepare", "2026-11-28 21:00", "prepare"),
    ("remind me sunday to prepare", "2026-11-29 09:00", "prepare"),
    ("remind me wed to prepare", "2026-12-02 09:00", "prepare"),
    ("remind me wednesday next week at 3 to prepare", "2026-12-02 15:00", "prepare"),
    ("remind me next week wednesday to prepare", "2026-12-02 09:00", "prepare"),
    ("remind me next week on wednesday at 15:00 to prepare", "2026-12-02 15:00", "prepare"),
    ("remind me the next friday to prepare", "2026-11-27 09:00", "prepare"),
    ("remind me coming friday to prepare", "2026-11-27 09:00", "prepare"),
    ("remind me friday morning to prepare", "2026-11-27 09:00", "prepare"),
    ("remind me in one and a half hours to prepare", "2026-11-25 11:37", "prepare"),
    ("remind me in an hour and 15 minutes to prepare", "2026-11-25 11:22", "prepare"),
    ("remind me in 1h 30m to prepare", "2026-11-25 11:37", "prepare"),
    ("remind me 12/12/2026 to prepare", "2026-12-12 09:00", "prepare"),
    ("remind me 12.12. to prepare", "2026-12-12 09:00", "prepare"),
    ("remind me on 24-12-2026 to prepare", "2026-12-24 09:00", "prepare"),
    ("remind me jan 5th at 5 to prepare", "2027-01-05 17:00", "prepare"),
    ("remind me on 1.1.2027 at 10.30 to prepare", "2027-01-01 10:30", "prepare"),
    ("remind me tomorrow at 10.05 to prepare", "2026-11-26 10:05", "prepare"),
    ("remind me tomorrow 10.30 to prepare", "2026-11-26 10:30", "prepare"),
    ("remind me march 5 2027 5pm to prepare", "2027-03-05 17:00", "prepare"),
    ("remind me to x on the 24 at 10", "2026-12-24 10:00", "x"),
    ('every month on the 1 at 12:30 post "x"', "30 12 1 * *", "x"),
    ('every 12 hours starting at 9pm post "x"', "every 12h, from 2026-11-25 21:00", "x"),
    ('mondays and thursdays from 3pm to 5pm post "x"', "0 15-17 * * 1,4", "x"),
    ('from 10 may until 20 may every day post "x"', "0 9 * * *, from 2027-05-10 00:00, until 2027-05-21 00:00", "x"),
    ('every 3rd friday of january post "x"', "0 9 * 1 5#3", "x"),
    ("remind me 2 hours before noon to x", "2026-11-26 10:00", "x"),
    ('every 4 hours from 8am to 8pm post "x"', "0 8-20/4 * * *", "x"),
]


@pytest.mark.parametrize(("command", "schedule", "text"), [pytest.param(*row, id=row[0]) for row in PROBES])
def test_a_phrase_of_our_own_has_its_right_meaning(command: str, schedule: str, text: str) -> None:
    """In each of its forms."""
    found = meaning(command, NOW, BERLIN)

    assert isinstance(found, Order), found
    assert (said(found), found.text) == (schedule, text)


ASKED = [
    "remind me to call Bob on 12/1 at 9:00",
    "remind me to call Bob Christmas Eve at 9:00",
    "remind me to call Bob on wednsday at 9:00",
    "remind me to call Bob übermorgen um 9:00",
    'every second tuesday post "x"',
    "remind me at 9 to call Anna tomorrow",
    "remind me tomorrow to call Bob at 15:00",
    "every day at 9 ask what happens on friday",
    "remind me soon to call Bob at 9",
    "remind me to buy milk later",
    "remind me in a few minutes to x",
    "remind me in a bit to x",
    "remind me to enjoy the sun",
    "remind me to take a break of 5 minutes",
    'every 30 minutes between 9 and 17 on weekdays post "x"',
    'every 90 minutes until 18:00 post "x"',
    'every day except christmas post "x"',
    'biweekly on friday post "x"',
    'every 3rd friday post "x"',
    'every quarter post "x"',
    'three times a week post "x"',
    "remind me on 2020-01-01 to x",
    "remind me yesterday to x",
    "remind me tomorrow at 9 CET to x",
    'every day at 5 pm in Asia/Tokyo post "x"',
    "remind me tonight at midnight to x",
    "remind me today at 9:30 to x",
    "remind me this morning to x",
    "remind me friday in 2 weeks to x",
    "remind me friday week to x",
    "remind me the friday after next to x",
    "remind me on friday the 13th to x",
    "remind me on a weekday to x",
    "remind me tomorrow to do it by 5pm",
    "remind me to send the report by friday at 9",
    "remind me to pay the bill due 12 december tomorrow at 9",
    "remind me friday at 9 march planning",
    "remind me on monday or tuesday to x",
    "remind me on monday and tuesday at 9 to x",
    "remind me tomorrow 9 to x",
    "remind me at 17h to x",
    "remind me at 5ish to x",
    "remind me around 5pm to x",
    "remind me in 10 to x",
    "remind me in 2 business days to x",
    "remind me the day before christmas to x",
    "remind me on christmas to x",
    "remind me on new year's eve to x",
    "remind me at easter to x",
    "remind me at sunset to x",
    "remind me to x before noon",
    "remind me to x after 5pm",
    "remind me to x at 5pm sharp",
    "remind me to x friday 18.12",
    "remind me to x 17.10",
    "remind me to x on 3.2.2027",
    "remind me to x on 2026-12-24T10:00",
    "every 4M post 'x'",
    "remind me 8 tonight to x",
    "remind me 3 fridays from now to x",
    "remind me in the next 3 days to x",
    "remind me to x on the 5th floor at 10",
    "remind me to buy 12/5 screws tomorrow at 9",
    "remind me to check version 1.25 tomorrow at 9",
    "remind me to ping 10.0.0.1 tomorrow at 9",
    "remind me to read 1984 tonight",
    "remind me to x the last weekday of the month",
    "remind me to x every first weekday of the month",
    "remind me to x every 31 april",
    "remind me to x on 29 february",
    "remind me to x in february",
    "remind me to x in 2027",
    "remind me to x in june 2027",
    "remind me to x the week after next",
    "remind me to x in two weeks on monday",
    "remind me to x monday in two weeks",
    "remind me to x 3 days before christmas",
    "remind me to x in 2 years",
    "remind me to x every hour on the half hour",
    "remind me to x at 30 minutes past every hour",
    "remind me to x mon, wed, fri at 9",
    "remind me to x mon/wed/fri at 9",
    "remind me to x every monday and the 1st at 9",
    "remind me to x every day until christmas",
    "remind me to x every day from monday to friday next week",
    "remind me to x every day except the 1st",
    "remind me to x every monday except mondays",
    "remind me to x every day but sunday",
    "remind me to x every day not sunday",
    "remind me to x every day (except sunday)",
    "remind me to x tomorrow, not today",
    "remind me to x tomorrow at 9 or 10",
    "remind me to x from 9 to 5",
    "remind me to x weekdays 9-5",
    "remind me to x weekdays 9-17",
    "remind me to x from tomorrow",
    "remind me to x until friday",
    "remind me late tomorrow to x",
    "remind me first thing tomorrow to x",
    "remind me tomorrow first thing to x",
    "remind me end of day to x",
    "remind me by end of week to x",
    "remind me mid december to x",
    "remind me on the ides of march to x",
    "remind me to x tomorrow tomorrow",
    "remind Anna tomorrow at 9 to x",
    "remind @bob to x at 9",
    "remind me to meet at 5 tomorrow at 4",
    "every day at 9 remind me to x until june",
    'at 9 post "x" every day',
    "remind me from 9 to 5 to x",
    "remind me tomorrow at the gym to x",
    "remind me to x on thrusday",
    "remind me at 9 on thrusday to x",
    "remind me tommorow at 9 to x",
    "remind me to x on the 2nd of feburary at 9",
    'every wendesday at 9 post "x"',
    "remind me to book the 9:00 train tomorrow",
    "remind me at 9 june 1 to x",
    "remind me to x 1/2/2027",
    'every monday at 9am and friday at 10am post "x"',
    'every monday at 9 and friday post "x"',
    "remind me at 9 tonight and tomorrow to x",
    "remind me later today to x",
    "remind me this week to x",
    "remind me sometime next week to x",
    "remind me early next week to x",
    "remind me in an hour to x tomorrow",
    'every 3 months starting 2027-02-01 on the 15th post "x"',
    'every 5 hours between 9 and 17 post "x"',
    'every monday starting in 2 weeks post "x"',
    'every day at 8 starting now post "x"',
    "remind me tomorrow about the 3pm meeting",
    "remind me to work until done tomorrow",
    "remind me to buy a present for Sat on friday",
    "remind me every day",
    "remind me an hour before the meeting to prepare",
    "remind me 10 minutes before the meeting to prepare",
    "remind me 1 day before 5 may to prepare",
    "remind me two days before friday to prepare",
    "remind me the week of may 5 to prepare",
    "remind me may 5 or 6 to prepare",
    "remind me 5 may to 7 may to prepare",
    "remind me between 5 and 6 to prepare",
    "remind me between monday and wednesday to prepare",
    "remind me before monday to prepare",
    "remind me after lunch to prepare",
    "remind me after work to prepare",
    "remind me on mondays at 9 and fridays at 10 to prepare",
    "remind me monday, tuesday to prepare",
    "remind me every thursday the 13th to prepare",
    "remind me every 10 to prepare",
    "remind me every to prepare",
    "remind me every now and then to prepare",
    "remind me every once in a while to prepare",
    "remind me once to prepare",
    "remind me once tomorrow to prepare",
    "remind me once every 2 weeks to prepare",
    "remind me all day to prepare",
    "remind me every weekday but friday to prepare",
    "remind me weekdays except holidays to prepare",
    "remind me on the last business day of the month to prepare",
    "remind me on the first working day of each month to prepare",
    "remind me on the 32nd to prepare",
    "remind me on the 0th to prepare",
    "remind me on 31 june to prepare",
    "remind me at 7 pm pm to prepare",
    "remind me noonish to prepare",
    "remind me tonight at 1 to prepare",
    "remind me this coming friday to prepare",
    "remind me a week on friday to prepare",
    "remind me a week today to prepare",
    "remind me a week tomorrow to prepare",
    "remind me today week to prepare",
    "remind me in the next hour to prepare",
    "remind me in 5 to 10 minutes to prepare",
    "remind me in 5-10 minutes to prepare",
    "remind me in 1/2 hour to prepare",
    "remind me in 1 1/2 hours to prepare",
    "remind me in 1:30 to prepare",
    "remind me in 1:30 hours to prepare",
    "remind me in minus 5 minutes to prepare",
    "remind me in -5 minutes to prepare",
    "remind me 5 minutes ago to prepare",
    "remind me on last friday to prepare",
    "remind me 1 january 2020 to prepare",
    "remind me 2026-13-01 to prepare",
    "remind me 2026-12-32 to prepare",
    "remind me 13/13/2026 to prepare",
    "remind me on 5-12-2026 to prepare",
    "remind me on 2026.12.24 to prepare",
    "remind me jan 5 at 5pm and 6pm to prepare",
    "remind me at 5 march 5 to prepare",
]


@pytest.mark.parametrize("command", ASKED)
def test_what_is_not_clear_is_never_an_order(command: str) -> None:
    """A question costs a moment, a wrong order an appointment."""
    assert meaning(command, NOW, BERLIN) == "ask"


TIMES = (
    """3 Feb|Feb. 3|february 3rd|the 3rd of february|12/1|2026/12/01|15.12.2026|at 9|9:30|9am|9 p.m.|at noon
midnight|monday|next friday|on wednsday|thrusday|tomorrow|tommorow|tonight|next week|this evening|in the morning
in 2 hours|in a few minutes|in half an hour|two weeks from now|within an hour|every day|every other week|each monday
at the end of the month|by the 5th|on the 24|christmas eve|on christmas|until june|starting monday|soon|eod|weekdays
übermorgen|um 9:00|in einer Stunde|demain|mañana|9 CET|twice a day|three times a week|at 5 o'clock|daily|before noon
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
PHRASES = ["tomorrow at 9:00", "at 17:30", "on friday", "in 20 minutes", "next month", "on may 5 at noon"]


@pytest.mark.parametrize("time", TIMES)
def test_no_time_is_swallowed_by_the_text(time: str) -> None:
    """A time away from the phrase leads to a question, whichever time it is."""
    for phrase in PHRASES:
        first, last = f"remind me {phrase} to call Bob {time}", f"remind me to call Bob {time} in Rome {phrase}"

        assert [meaning(text, NOW, BERLIN) for text in (first, last)] == ["ask", "ask"]


@given(words=st.lists(st.sampled_from(["call", "Bob", "about", "the", "report", *TIMES]), min_size=1, max_size=4))
@example(words=["call", "Bob", "on wednsday"])
def test_no_text_of_an_order_looks_like_a_time(words: list[str]) -> None:
    """With the words in any order, the text of an order contains no time, except in "the daily report"."""
    found = meaning(f"remind me tomorrow at 9:00 to {' '.join(words)}", NOW, BERLIN)

    if isinstance(found, Order):
        assert not looks_like_time(found.text)
        assert not {*found.text.split()} & {time for time in TIMES if " " not in time and time != "daily"}


@pytest.mark.parametrize("time", TIMES)
def test_a_text_in_quotes_is_taken_as_it_is(time: str) -> None:
    """The quotes show where the text ends."""
    found = meaning(f'remind me to "call Bob {time}" tomorrow at 9:00', NOW, BERLIN)

    assert isinstance(found, Order)
    assert (found.text, said(found)) == (f"call Bob {time}", "2026-11-26 09:00")
