"""Help, the greeting, and the answer to text that is not a command."""

import pytest

from card_parts import EXAMPLES
from tests.support.answering_agents import AGENT
from tests.support.chatting import buttons_of, words_of
from tests.support.conversing import Chat


@pytest.mark.parametrize("text", ["help", "", "HELP"])
def test_help_shows_examples_that_can_be_tapped(chat: Chat, text: str) -> None:
    """A tap on any of the examples is understood."""
    told = chat.say(text)

    labels = [each["text"] for each in buttons_of(told)]
    assert labels == list(EXAMPLES)
    for label in labels[:-1]:
        assert "Shall I do this?" in words_of(chat.tap(told, label))


@pytest.mark.parametrize("text", ["dance!", "help me write a letter", "jobs are hard to find", "job a b"])
def test_unknown_text_without_an_agent_is_answered_with_help(chat: Chat, text: str) -> None:
    """The answer says that it was not understood."""
    assert "I do not understand that" in words_of(chat.say(text))


@pytest.mark.parametrize(
    ("word", "argument", "says"),
    [
        ("job", "", "Which job?"),
        ("help", "me", "This is what I can do"),
        ("every", "", "I do not understand that"),
        ("every", "now and then", "I do not understand that"),
        ("jobs", "all", "nothing scheduled in this space"),
    ],
)
def test_slash_command_never_goes_to_the_agent(chat: Chat, word: str, argument: str, says: str) -> None:
    """No argument sends it to the agent."""
    chat.agent = f"{AGENT}:answering"

    assert says in words_of(chat.send(chat.app.command(word, argument)))


def test_app_greets_when_it_is_added(chat: Chat) -> None:
    """The answer to being added begins with a greeting."""
    assert words_of(chat.send(chat.app.added())).startswith("Hello!")


@pytest.mark.parametrize("text", ["help", "help me", "/help", "help me!"])
def test_help_never_goes_to_the_agent(chat: Chat, text: str) -> None:
    """It shows what the app can do."""
    chat.agent = f"{AGENT}:answering"

    assert "This is what I can do" in words_of(chat.say(text))
