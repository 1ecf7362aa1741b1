"""What holds for every command, whatever is in it."""

import re
import time
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orders import NotUnderstood, Order
from phrase_hints import looks_like_time
from phrase_times import FURTHEST
from phrase_words import words
from phrases import LONGEST_TEXT, understand
from shared.model.recurrence import Recurrence
from tests.support.phrasing import BERLIN, NOW, SATURDAY, meaning, said


def check(text: str, now: datetime = SATURDAY, timezone: str = BERLIN) -> None:
    """Read a text, and check the rules for all texts."""
    more: tuple[str, ...] = ()
    try:
        if result := understand(text, now=now, timezone=timezone):
            more, when = result.others, result.when
            assert 1 <= len(result.text) <= LONGEST_TEXT
            assert when.is_recurring or (when.at and now <= when.at <= now + FURTHEST)
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
@example(typed=["remind me", "in", "90", "week", "x"], space=" ")
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
    """The longest message that Chat sends (32,000 bytes) takes no noticeable processor time."""
    began = time.thread_time()

    check(text)

    assert time.thread_time() - began < 2


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


@given(words=st.lists(st.sampled_from(["call", "Bob", "about", "report", *TIMES]), min_size=1, max_size=4))
@example(words=["call", "Bob", "on wednsday"])
def test_no_text_of_an_order_looks_like_a_time(words: list[str]) -> None:
    """With the words in any order, the text of an order contains no time, except in "daily report".

    An article would make a thing of some: "the 9:30 call" is text beside a time of day.
    """
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


RHYTHMS = [
    *("every day", "mondays", "every weekday", "every other friday", "every 90 minutes", "every month on the 1st"),
    *("on the 1st of every month", "the last day of every quarter", "every first friday of the month", "every evening"),
]
CLOCKS = ["", "at 9am", "17:30", "at noon", "at half past 3 in the afternoon"]
BOUNDS = [
    *("", "until june", "until 24 december", "for 2 weeks", "starting january 4", "from december to march"),
    *("except fridays", "except 25 december", "for the next 10 days", "starting next week"),
]


@pytest.mark.slow
@settings(deadline=timedelta(seconds=10))
@given(rhythm=st.sampled_from(RHYTHMS), clock=st.sampled_from(CLOCKS), bound=st.sampled_from(BOUNDS))
@example(rhythm="on the 1st of every month", clock="", bound="until june")
def test_the_parts_of_a_phrase_stand_in_any_order(rhythm: str, clock: str, bound: str) -> None:
    """What is understood in two orders means the same in both, before the text and behind it."""
    phrases = [" ".join(filter(None, parts)) for parts in permutations((rhythm, clock, bound))]
    commands = [form.format(each) for each in phrases for form in ("remind me {} to x", "remind me to x {}")]

    meanings = {said(found) for each in commands if isinstance(found := meaning(each, NOW, BERLIN), Order)}

    assert len(meanings) <= 1
