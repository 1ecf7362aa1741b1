"""The forms of a command: where its time, its text and its manners stand, and what is no command."""

import re

import pytest

from orders import Order
from phrases import LONGEST_TEXT, understand
from shared.model.recurrence import InvalidSchedule
from tests.support.phrasing import BERLIN, NOW, SATURDAY, meaning, order, question, said

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
    result = order(command, now=SATURDAY)

    assert (result.kind, result.text, said(result)) == (kind, text, "2026-11-22 09:00")


@pytest.mark.parametrize("us", ["remind us tomorrow to x", "remind us to x tomorrow", "tomorrow remind US to x"])
def test_remind_us_is_for_everybody(us: str) -> None:
    """Only "us" means everybody."""
    assert order(us, now=SATURDAY).everybody
    assert not order(re.sub("us", "me", us, flags=re.I), now=SATURDAY).everybody
    assert not order("tomorrow post us", now=SATURDAY).everybody


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


TEXTS = ("meditate for 10 minutes", "plan for next week", "pay for next month", "plan meals for the next week")


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
    result = order(command, now=SATURDAY)

    assert (result.kind, result.text, result.when.cron) == (kind, "x", cron)


def test_a_cron_expression_stands_alone() -> None:
    """An end behind the text is asked about, and is never made a part of the expression."""
    refused = question('cron 0 9 * * * post "x" until friday')

    assert (str(refused)[:22], refused.suggestions, refused.is_final) == ("Is 'until friday' a pa", (), False)


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
    'ask Bob "are you there?"',
    "reminder to all: lunch at 12",
]


@pytest.mark.parametrize("text", NO_REQUEST)
def test_what_is_no_request_for_a_schedule_is_left_to_the_agent(text: str) -> None:
    """A word such as "every" or "ask" alone is not a request."""
    assert understand(text, now=SATURDAY, timezone=BERLIN) is None


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
    refused = question(command, now=SATURDAY)

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
        assert understand(command, now=SATURDAY, timezone=BERLIN) is None
    else:
        assert question(command, now=SATURDAY).is_for_agent is is_for_agent


@pytest.mark.parametrize("timezone", ["", "Mars/Olympus", "localtime", "CEST"])
def test_an_unknown_timezone_is_refused(timezone: str) -> None:
    """Any text then raises an error about the time zone."""
    with pytest.raises(InvalidSchedule, match="is not known"):
        understand("hello", now=SATURDAY, timezone=timezone)


RESEMBLING = [
    ("remind me tomorrow of the meeting", "the meeting"),
    ("remind me tomorrow of marketing", "marketing"),
    ("remind me every monday until the end of the month to water plants every time", "water plants every time"),
    ("remind me on friday - call Anna", "call Anna"),
    ("remind me on friday of May's birthday", "May's birthday"),
    ("remind me at 5 to check gate 7a", "check gate 7a"),
    ("remind me tomorrow to finish 3 d models", "finish 3 d models"),
    ("remind me tomorrow to look 2 hours later", None),
    ("remind me to buy 9 tomorrow", "buy 9"),
    ("remind me tomorrow to ask whether a couple of us can come", "ask whether a couple of us can come"),
]


@pytest.mark.parametrize(("command", "text"), RESEMBLING, ids=[command for command, _ in RESEMBLING])
def test_text_that_only_resembles_a_time_stays_text(command: str, text: str | None) -> None:
    """The rules for what goes on with a time take nothing from a text; None stands for a question."""
    found = meaning(command, NOW, BERLIN)

    assert (found.text if isinstance(found, Order) else None) == text
