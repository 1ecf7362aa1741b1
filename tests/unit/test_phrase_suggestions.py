"""What a card offers: other readings of what is understood, and likely ones of what is not."""

import pytest

from tests.support.phrasing import SATURDAY, order, question

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
    ("every day at 12:30", []),
    ("next sunday at 10:00", ["on 2026-11-29 at 10:00"]),
    ("every other friday", ["every 2 weeks friday starting 2026-12-04 at 09:00"]),
    ("on the 31st at 10:00", ["on 2026-11-30 at 10:00"]),
    ("every month on the 31st at 10:00", ["every month on the last day at 10:00"]),
]


@pytest.mark.parametrize(("phrase", "others"), [pytest.param(*row, id=row[0]) for row in OTHERS])
def test_the_other_readings_are_offered(phrase: str, others: list[str]) -> None:
    """Each is a complete command, for the same text."""
    assert list(order(f"remind me {phrase} to x", now=SATURDAY).others) == [
        f"remind me {other} to x" for other in others
    ]


def test_a_suggestion_that_would_change_the_text_is_left_out() -> None:
    """No suggestion is better than one with another text."""
    assert question('on 12/1 at 17:30 post "say hi"', now=SATURDAY).suggestions != ()
    assert question('on 12/1 at 17:30 post say"hi', now=SATURDAY).suggestions == ()


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


@pytest.mark.parametrize(
    ("command", "suggestion"),
    [
        ("remind me at lunch to x", "remind me at noon to x"),
        ("remind me to x by EOD", "remind me to x at 17:00"),
        ("remind me at breakfast to x", "remind me at 8:00 to x"),
        ("remind me at dinner time to x", "remind me at 19:00 to x"),
        ("remind me to x before bed", "remind me to x at 22:00"),
        ("remind me eom to x", "remind me at the end of the month to x"),
        ("remind me within 2 hours to x", "remind me in 2 hours to x"),
        ("remind me to x every day this week", "remind me to x every day until sunday"),
        ("remind me bimonthly to x", "remind me every 2 months on the 1st to x"),
        ("remind me 3x daily to x", "remind me every day at 9, 13 and 17 to x"),
        ("remind me to x twice a day", "remind me to x every day at 9 and 17"),
        ("remind me to x twice a day at 8 and 20", "remind me to x every day at 8 and 20"),
        ("remind me to x twice a week", "remind me to x every monday and thursday"),
        ("remind me on Christmas Eve to x", "remind me 24 december to x"),
        ("remind me on Christmas to x", "remind me 25 december to x"),
        ("remind me on halloween to x", "remind me 31 october to x"),
        ("remind me on new year's day to x", "remind me 1 january to x"),
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
