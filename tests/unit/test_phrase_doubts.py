"""Phrases that are easily read wrongly: each has its right meaning, or makes a question with what may be meant."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from orders import NotUnderstood, Order
from phrases import understand
from tests.phrasing import BERLIN, NOW, meaning, said


def order(command: str, *, now: datetime = NOW, timezone: str = BERLIN) -> Order:
    found = meaning(command, now, timezone)
    assert isinstance(found, Order), found
    return found


def question(command: str, *, now: datetime = NOW) -> NotUnderstood:
    with pytest.raises(NotUnderstood) as caught:
        understand(command, now=now, timezone=BERLIN)
    return caught.value


LISTS = [
    ("on the 1st and 15th at 9", ["every 1st and 15th at 09:00", "on the 1st at 09:00", "on the 15th at 09:00"]),
    ("the 5th and 20th", ["every 5th and 20th", "the 5th", "the 20th"]),
    ("on the 1st and the 15th", ["every 1st and the 15th", "on the 1st", "on the 15th"]),
    ("on the 1st, 10th and 20th", ["every 1st, 10th and 20th", "on the 1st", "on the 10th", "on the 20th"]),
    ("on the 10th and 20th of next month", ["on the 10th of next month", "on the 20th of next month"]),
    (
        "on the first and third friday of next month",
        ["on the 1st friday of next month", "on the 3rd friday of next month"],
    ),
    (
        "on the 1st and 15th of december",
        ["every 1st and 15th of december", "on the 1st of december", "on the 15th of december"],
    ),
    (
        "on the 2nd and 4th monday",
        [f"{day} monday of the month" for day in ("every 2nd and 4th", "on the 2nd", "on the 4th")],
    ),
    ("on 5 december and 12 december", ["on 5 december", "on 12 december"]),
    ("on saturday and sunday", ["every saturday and sunday", "on saturday", "on sunday"]),
    ("on the 1st of march in march and may", []),
]


@pytest.mark.parametrize(("phrase", "nearest"), [pytest.param(*row, id=row[0]) for row in LISTS])
def test_several_days_are_asked_about(phrase: str, nearest: list[str]) -> None:
    """An order for one moment cannot have them, and none is dropped."""
    assert list(question(f"remind me {phrase} to x").suggestions) == [f"remind me {each} to x" for each in nearest]
    assert list(question(f'post "x" {phrase}').suggestions) == [f'{each} post "x"' for each in nearest]


PERIODS = [
    ("on the last day of the year", "2026-12-31 09:00"),
    ("on the first of the year", "2027-01-01 09:00"),
    ("every first day of the year", "0 9 1 1 *"),
    ("every last day of the year", "0 9 31 12 *"),
    ("every 10th of the quarter", "0 9 10 1,4,7,10 *"),
    ("on the 15th of each quarter", "0 9 15 1,4,7,10 *"),
    ("on the last day of every quarter", "0 9 L 3,6,9,12 *"),
    ("at the beginning of each year", "0 9 1 1 *"),
    ("at the end of every year", "0 9 31 12 *"),
    ("at the end of each quarter", "0 9 L 3,6,9,12 *"),
    ("at the start of every quarter", "0 9 1 1,4,7,10 *"),
    ("every last friday of the quarter", "0 9 * 3,6,9,12 L5"),
    ("every quarter on the last day", "0 9 L 3,6,9,12 *"),
    ("every 6 months on the last day", "0 9 L 6,12 *"),
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


@pytest.mark.parametrize(
    ("command", "text"),
    [
        pytest.param("remind me of the week review tomorrow", "the week review", id="after-me"),
        pytest.param("remind me tomorrow of the week's menu", "the week's menu", id="an-apostrophe"),
        pytest.param("remind me tomorrow of the year-end closing", "the year-end closing", id="a-hyphen"),
        pytest.param("remind me tomorrow of the meeting", "the meeting", id="no-period"),
    ],
)
def test_of_still_links_the_text(command: str, text: str) -> None:
    """Where no period follows, or no phrase precedes."""
    assert order(command).text == text


ZONES = [
    *("New York time", "Pacific", "Eastern", "Eastern time", "eastern standard time", "Central European time"),
    *("Tokyo time", "their time", "Bob's time", "ET", "PT", "IST", "SGT", "AEST", "EEST", "MEZ", "MESZ", "Z", "CEST"),
    *("UTC", "GMT", "gmt+2", "utc -5", "+1", "est", "et", "cet", "zulu", "Zulu", "msk"),
]


@pytest.mark.parametrize("zone", ZONES)
def test_a_time_zone_beside_a_time_is_asked_about(zone: str) -> None:
    """A time of another place would be wrong by hours."""
    for when in ("tomorrow at 9am", "every day at 9", "at 17:30", "at noon", "at 9 tomorrow"):
        for link in (" to", ", to", ":", " tomorrow to"):
            assert question(f"remind me {when} {zone}{link} call the bank")
    assert f"{zone.removesuffix(' time')}" in str(question(f"remind me tomorrow at 9am {zone} to call the bank"))
    assert question(f"remind me to call the bank tomorrow at 9am {zone}")
    assert meaning(f"tomorrow at 9am {zone} post 'x'", NOW, BERLIN) == "ask"


@pytest.mark.parametrize(
    "text", ["get milk", "eat", "wait for Bob", "tea time", "met office call", "central heating on"]
)
def test_ordinary_words_are_no_time_zones(text: str) -> None:
    """They may follow a time without a link; after "to" any word may."""
    assert order(f"remind me tomorrow at 9:00 {text}").text == text
    for linked in (text, "PUT the bins out", "Eastern egg hunt", "check the time to leave"):
        assert order(f"remind me tomorrow at 9:00 to {linked}").text == linked


@pytest.mark.parametrize("own", ["my time", "local time", "our time"])
def test_the_own_time_zone_may_be_named(own: str) -> None:
    """It is what every time is read in."""
    found = order(f"remind me tomorrow at 9:00 {own} to x")

    assert (said(found), found.text) == ("2026-11-26 09:00", "x")


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
]


@pytest.mark.parametrize(("phrase", "meant"), [pytest.param(*row, id=row[0]) for row in ENDS])
def test_an_end_is_where_it_is_said(phrase: str, meant: str) -> None:
    """From January to March includes March, which until March does not."""
    for command in (f"remind me {phrase} to x", f"remind me to x {phrase}"):
        found = order(command)

        assert (said(found), found.text) == (meant, "x")


TEXTS = ("meditate for 10 minutes", "plan for next week", "pay for next month", "plan meals for the next week")
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


@pytest.mark.parametrize(
    "command",
    [
        "remind me every monday at 9, 5 times, to swim",
        "remind me every day at 8, 2 pills",
        "remind me every day at 8 and 12 pushups",
        "remind me every day at 9 & 5 emails to send",
        "remind me tomorrow at 9, 10 eggs",
    ],
)
def test_a_number_before_the_text_is_no_time(command: str) -> None:
    """It may count what is in the text."""
    assert question(command).suggestions == ()


@pytest.mark.parametrize("link", [" to", ":", ", to"])
def test_a_number_before_a_link_is_a_time(link: str) -> None:
    """There the list of times has its end."""
    assert said(order(f"remind me every day at 9 and 17{link} x")) == "0 9,17 * * *"
    assert said(order("remind me to x every day at 9, 17")) == "0 9,17 * * *"


@pytest.mark.parametrize(
    ("phrase", "at"),
    [("at 20 past", "10:20"), ("at 20 past the hour", "10:20"), ("at quarter past", "10:15"), ("at :05", "11:05")],
)
def test_minutes_without_an_hour_are_asked_about(phrase: str, at: str) -> None:
    """The next hour is suggested; 20 past is never 20:00."""
    refused = question(f"remind me {phrase} to leave")

    assert (str(refused), refused.suggestions) == ("At which hour?", (f"remind me on 2026-11-25 at {at} to leave",))


@pytest.mark.parametrize(
    ("phrase", "cron"),
    [("at 20 past", "20 * * * *"), ("at half past", "30 * * * *"), ("at 5 past every hour", "5 * * * *")],
)
def test_minutes_past_every_hour_need_no_hour(phrase: str, cron: str) -> None:
    """ "At 20 past 7" is another thing."""
    assert said(order(f"remind me every hour {phrase} to x")) == cron
    assert said(order("remind me every day at 20 past 7 to x")) == "20 7 * * *"


@pytest.mark.parametrize(
    "words",
    [
        "early",
        "late",
        "latest",
        "only",
        "once",
        "noonish",
        "during lunch",
        "while at work",
        "within office hours",
        "max 5",
        "x 3",
        "onwards",
        "then daily",
    ],
)
def test_words_that_a_phrase_goes_on_with_are_no_text(words: str) -> None:
    """Without a link before them they are asked about."""
    for phrase in ("tomorrow", "tomorrow morning", "every monday", "every 2 hours"):
        assert question(f"remind me {phrase} {words} to x")


@pytest.mark.parametrize("part", ["early evening", "late morning", "late night", "early afternoon"])
def test_an_unclear_part_of_the_day_is_asked_about(part: str) -> None:
    """Only those that have a usual hour are read."""
    for phrase in (f"tomorrow {part}", f"every {part}", f"in the {part}", f"tomorrow {part} at 6"):
        assert "Say at what time" in str(question(f"remind me {phrase} to x"))


POLITE = [
    "remind me pls {} to x",
    "remind me, please, {} to x",
    "remind me {} please to x",
    "remind me to x {} please",
    "remind me to x {}, thanks!",
    "can you remind me to x {}?",
    "pls remind me {} to x",
]


@pytest.mark.parametrize("command", POLITE)
def test_politeness_is_no_text(command: str) -> None:
    """Wherever it stands beside the phrase."""
    found = order(command.format("tomorrow at 9:00"))

    assert (said(found), found.text) == ("2026-11-26 09:00", "x")
    assert order("remind me tomorrow to say please").text == "say please"


THANKED = [
    ("remind me tomorrow to x please", "x"),
    ("remind me tomorrow to x, please.", "x"),
    ("remind me tomorrow to x? Many thanks in advance!", "x"),
    ("remind me tomorrow to say  please", "say  please"),
    ("remind me tomorrow to say thanks", "say thanks"),
    ("remind me tomorrow - x", "x"),
    ("remind me tomorrow:\n- x\n- y", "- x\n- y"),
    ('tomorrow post "x"!', "x"),
    ('tomorrow post "x" please', "x"),
    ("tomorrow post x please", "x please"),
]


@pytest.mark.parametrize(("command", "text"), THANKED)
def test_what_stands_around_a_text_is_not_in_it(command: str, text: str) -> None:
    """But nothing that belongs to it is lost."""
    assert order(command).text == text


@pytest.mark.parametrize("blank", ["  ", "\u00a0", "\t"])
def test_blanks_of_any_kind_are_the_same(blank: str) -> None:
    """A time in the text is found behind them too."""
    for command in (
        "remind me to tell Ann in 2 hours that I am out tomorrow",
        "remind me tomorrow at 9 Paris time to x",
    ):
        assert question(command.replace(" ", blank))
    assert said(order("remind me to x on friday at 5 pm".replace(" ", blank))) == "2026-11-27 17:00"


@pytest.mark.parametrize(
    ("command", "suggestion"),
    [
        ("remind me at lunch to x", "remind me at noon to x"),
        ("remind me to x by EOD", "remind me to x at 17:00"),
        ("remind me to x twice a day", "remind me to x every day at 9 and 17"),
        ("remind me to x twice a day at 8 and 20", "remind me to x every day at 8 and 20"),
        ("remind me to x twice a week", "remind me to x every monday and thursday"),
        ("remind me on Christmas Eve to x", "remind me 24 december to x"),
        ("remind me on Christmas to x", "remind me 25 december to x"),
        ("remind me on fridays at 3pm until christmas to x", "remind me on fridays at 3pm until 25 december to x"),
        ("remind me in february to x", "remind me on 1 february to x"),
        ("remind me tomorrow by 5pm to x", "remind me tomorrow at 5pm to x"),
        ("remind me friday 9 to x", "remind me friday at 9 to x"),
        ("remind me friday week to x", "remind me a week from friday to x"),
        ("remind me in 1 hour 15 to x", "remind me in 1 hour 15 minutes to x"),
        ("remind me in a few minutes to x", "remind me in 10 minutes to x"),
        ("remind me to x now", "remind me to x in 1 minute"),
        ("remind me to set the alarm for 6am at 22:00", 'remind me at 22:00 to "set the alarm for 6am"'),
        ("remind me to call April tomorrow", 'remind me tomorrow to "call April"'),
        ("remind me to catch LH 1230 at 22:00", "remind me at 22:00 to catch LH 1230"),
        ("remind me to book the 9:00 train tomorrow", 'remind me tomorrow to "book the 9:00 train"'),
    ],
)
def test_the_likeliest_time_is_suggested(command: str, suggestion: str) -> None:
    """It is a command that is understood."""
    assert question(command).suggestions == (suggestion,)
    assert order(suggestion)


def test_the_first_run_of_an_interval_is_no_single_time() -> None:
    """Where the clocks skip it, no reminder for that day alone is offered."""
    refused = question("remind me every 2 days at 02:30 starting 2027-03-28 to x")

    assert "the clocks skip it" in str(refused)
    assert refused.suggestions == ()


@pytest.mark.parametrize(
    "phrase", ["tomorrow same time", "tomorrow at the same time", "this time tomorrow", "every day at 8 starting now"]
)
def test_the_same_time_is_asked_about(phrase: str) -> None:
    """Nobody knows of which thing."""
    assert question(f"remind me {phrase} to x")


@pytest.mark.parametrize(
    ("phrase", "others"),
    [
        ("every hour on friday", ["every hour starting friday until friday"]),
        ("every hour on fridays", []),
        ("every day at 8 and 20", []),
        ("every day at 8 and 9", ["every day at 20:00 and 21:00"]),
    ],
)
def test_only_what_may_be_meant_is_offered(phrase: str, others: list[str]) -> None:
    """Every hour on Friday may mean one Friday; 8 and 20 leave no choice."""
    assert list(order(f"remind me {phrase} to x").others) == [f"remind me {each} to x" for each in others]


def test_one_friday_is_that_day() -> None:
    """What is offered for it runs on that day only."""
    assert said(order("remind me every hour starting friday until friday to x")) == (
        "0 * * * *, from 2026-11-27 00:00, until 2026-11-28 00:00"
    )


@pytest.mark.parametrize(
    ("phrase", "nearest"),
    [
        ("5.6", ["on 5 june", "on 6 may"]),
        ("at 9.5", ["on 9 may", "on 5 september"]),
        ("12.12", ["at 12:12", "on 12 december"]),
    ],
)
def test_a_date_with_a_dot_is_day_and_month_first(phrase: str, nearest: list[str]) -> None:
    """The other order is offered too, and a time of day if it is one."""
    assert list(question(f"remind me {phrase} to x").suggestions) == [f"remind me {each} to x" for each in nearest]


def test_a_cron_expression_stands_alone() -> None:
    """An end behind the text is asked about, and is never made a part of the expression."""
    refused = question('cron 0 9 * * * post "x" until friday')

    assert (str(refused)[:22], refused.suggestions, refused.is_final) == ("Is 'until friday' a pa", (), False)


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


@pytest.mark.parametrize(
    "command", ["remind tomorrow at 9:00 to x", "remind to x tomorrow at 9:00", "remind about x tomorrow at 9:00"]
)
def test_a_reminder_without_a_name_is_for_who_asks(command: str) -> None:
    """As after `/remind`, where the word stands without "me"."""
    found = order(command)

    assert (said(found), found.text, found.everybody) == ("2026-11-26 09:00", "x", False)


@pytest.mark.parametrize(
    ("command", "suggestions"),
    [
        ("remind Bob to call the bank at 5", []),
        ("remind @Bob tomorrow to call", []),
        ("remind everyone at 5 to stand up", []),
        ("remind call the bank at 5pm", ["remind me to call the bank at 5pm"]),
    ],
)
def test_a_reminder_for_somebody_else_is_refused(command: str, suggestions: list[str]) -> None:
    """It is never made one for who asks; a text that begins with no name is suggested."""
    refused = question(command)

    assert "(me) or everybody" in str(refused)
    assert list(refused.suggestions) == suggestions


@pytest.mark.parametrize(
    ("phrase", "nearest"),
    [
        ("in 5 minutes and 10 minutes", ["in 5 minutes", "in 10 minutes"]),
        ("in 1 hour and 2 hours", ["in 1 hour", "in 2 hours"]),
        ("in 5 minutes, then 10 minutes", []),
        ("every day and night", []),
        ("every day at 9 and in the evening", []),
    ],
)
def test_several_times_are_not_added_up(phrase: str, nearest: list[str]) -> None:
    """Hours and minutes make one length, minutes and minutes do not; no time is dropped either."""
    assert list(question(f"remind me {phrase} to x").suggestions) == [f"remind me {each} to x" for each in nearest]
    assert said(order("remind me in 1 hour and 30 minutes to x")) == "2026-11-25 11:37"
    assert said(order("remind me every morning and evening to x")) == "0 9,18 * * *"


@pytest.mark.parametrize(
    "phrase",
    [
        "every day at :15",
        "every monday at 20 past",
        "every hour from 9 to 17 at :30",
        "every month from 9 to 17",
        "every other week from 9 to 17",
        "every day except in may except tomorrow",
        "every day until friday until january",
        "every hour for 2 weeks for an hour",
        "every monday starting tomorrow from friday",
        "every friday to friday",
        "every monday tomorrow early",
    ],
)
def test_no_part_of_a_phrase_is_dropped(phrase: str) -> None:
    """What cannot be said in one schedule is asked about."""
    assert question(f"remind me {phrase} to x")


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


@pytest.mark.parametrize(
    "command",
    [
        'every day at 9 post "x" for a week',
        'every day at 9 post "x" this week',
        'every hour ask "x" for the rest of the day',
        'remind me every day "x" for 2 weeks',
        "remind me to drink for the rest of the day every hour",
        "remind me every day at 9 to take pills for 5 days",
        "remind me every day at 9 to take pills for a week",
        "remind me every hour to stretch for the next 3 hours",
        "remind me every day at 9 to call dad this week only",
        "remind me every day at 9 to call dad only this week",
    ],
)
def test_what_follows_a_text_in_quotes_may_say_when(command: str) -> None:
    """So may the end of a text without quotes; "plan for the week" does not."""
    assert question(command)
    for text in ("plan for the week", "this week's menu", "for weekly planning", "for mint tea", *TEXTS):
        assert order(f"every friday remind me to {text}").text == text
    assert order('every friday post "x" and "y"').text == '"x" and "y"'
    assert order("every friday post report due today").text == "report due today"
