"""Phrases that are asked about: the reason, and what may be meant."""

import pytest

from tests.support.phrasing import SATURDAY, order, question, said

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
    (
        "the last day of every quarter starting next year",
        "At the end of which months",
        [
            "the last day of every march and june and september and december starting next year at 09:00",
            "the last day of every january and april and july and october starting next year at 09:00",
        ],
    ),
    ("every december", "cannot be read", ["every 1 december"]),
    ("every 14 jan and 15 jun", "different days", ["every 14 january at 09:00", "every 15 june at 09:00"]),
    ("every day at 9:00 and 17:30", "different minutes", ["every day at 09:00", "every day at 17:30"]),
    ("fridays at 9, 9:30 and 17", "different minutes", ["every friday at 09:00 and 17:00", "every friday at 09:30"]),
    ("tomorrow at 9 and 17", "several times", ["tomorrow at 09:00", "tomorrow at 17:00"]),
    ("today at 9:00", "'today at 09:00' is past", []),
    ("today", "'today at 09:00' is past", []),
    ("on 2026-11-20 at 8", "is past", []),
    ("in 1831 days", "more than five years away", []),
    ("on december 24 2031", "more than five years away", []),
    ("march 28 at 02:30", "clocks skip it", ["on 2027-03-28 at 01:30", "on 2027-03-28 at 03:30"]),
    ("on 2027-10-31 at 02:30", "comes twice", ["on 2027-10-31 at 01:30", "on 2027-10-31 at 03:30"]),
]


@pytest.mark.parametrize(("phrase", "message", "nearest"), [pytest.param(*row, id=row[0]) for row in REFUSED])
def test_what_is_unclear_or_impossible_is_asked_about(phrase: str, message: str, nearest: list[str]) -> None:
    """The message has the reason; only possible meanings are suggested, with the same text and time."""
    refused = question(f'{phrase} post "x"', now=SATURDAY)
    reminder = question(f"remind us {phrase} to x", now=SATURDAY)

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
    refused = question(command, now=SATURDAY)

    assert message in str(refused)
    assert list(refused.suggestions) == suggestions


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
        "between meetings",
        "between christmas and new year",
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


@pytest.mark.parametrize(
    "phrase", ["tomorrow same time", "tomorrow at the same time", "this time tomorrow", "every day at 8 starting now"]
)
def test_the_same_time_is_asked_about(phrase: str) -> None:
    """Nobody knows of which thing."""
    assert question(f"remind me {phrase} to x")


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
    ("text", "when"),
    [
        ("prepare 15 minutes before the meeting", "at 9"),
        ("call Bob an hour after lunch", "tomorrow"),
        ("call Bob before the meeting", "at 9"),
        ("call Bob after my flight", "tomorrow at 9"),
    ],
)
def test_a_time_behind_an_event_may_be_of_the_event(text: str, when: str) -> None:
    """In front of the text it is of the reminder, which is suggested."""
    suggestion = f"remind me {when} to {text}"

    assert question(f"remind me to {text} {when}").suggestions == (suggestion,)
    assert order(suggestion).text == text


def test_a_day_behind_an_event_is_the_day_of_both() -> None:
    """Without a clock time nothing is doubtful."""
    assert said(order("remind me to call Bob after the game tomorrow")) == "2026-11-26 09:00"
