"""Clicks on the agent's own cards and commands that are not ours reach the agent."""

import pytest

from seal import Seal
from shared.handlers import check_payload, load_handlers
from shared.handlers.asking import unpack_asked
from tests.support.answering_agents import AGENT, asked
from tests.support.chatting import SPACE, button, closes, is_dialog, message_of, replaces, words_of
from tests.support.conversing import HOUR, Chat, made_up


@pytest.mark.parametrize("seal", [None, Seal(lambda: b"key of this installation", SPACE)], ids=["plain", "sealed"])
def test_agent_gets_the_click_on_its_card(chat: Chat, seal: Seal | None) -> None:
    """With the name, the parameters and the fields of its card; the answer may replace the card."""
    chat.agent, chat.seal = f"{AGENT}:asking", seal
    card = chat.say("may I?")
    asked.clear()

    reply = chat.tap(card, "Approve", inputs={"why": "it is green"})

    ((text, context),) = asked
    assert context.action is not None
    assert (text, context.action.kind, context.action.name) == ("", "click", "approve")
    assert context.action.parameters == {"action": "deploy", "id": "7"}
    assert context.action.inputs == {"why": ("it is green",)}
    assert context.action.message["name"] == f"{SPACE}/messages/card"
    assert (context.message_name, context.user) == ("", "ada@example.com")
    assert message_of(reply)["text"] == "approved"
    assert replaces(reply)
    called = button(card, "Approve")["onClick"]["action"]["function"]
    assert called == "https://example.com/chat"  # an add-on's button must call a URL


def test_agent_can_open_a_dialog(chat: Chat) -> None:
    """A button that asks for a dialog shows the answer in one; the answer to a submitted dialog is a message."""
    chat.agent = f"{AGENT}:asking"
    card = chat.say("may I?")
    opens = button(card, "Approve")
    opens["onClick"]["action"]["interaction"] = "OPEN_DIALOG"

    dialog = chat.send(chat.app.click(opens, name="card"))
    done = chat.send(chat.app.click(opens, submits=True, name="card"))
    chat.agent = f"{AGENT}:mute"
    closed = chat.send(chat.app.click(opens, submits=True, name="card"))

    assert is_dialog(dialog)
    assert words_of(message_of(dialog)) == "approved"
    assert message_of(done)["text"] == "approved"
    assert not replaces(done)
    assert closed == closes(is_add_on=chat.app.is_add_on)


def test_click_for_a_slow_agent_becomes_a_job(chat: Chat) -> None:
    """The job knows what was clicked, although there is no text."""
    chat.agent = f"{AGENT}:asking"
    card = chat.say("may I?")
    chat.agent = f"{AGENT}:plodding"

    chat.tap(card, "Approve", inputs={"why": "x"})

    (job,) = chat.all()
    check_payload(load_handlers(()), "agent", job.payload)
    action = unpack_asked(job.payload["asked"])["action"]
    assert job.payload["prompt"] == ""
    assert (action.name, action.parameters["id"], action.inputs) == ("approve", "7", {"why": ("x",)})


@pytest.mark.parametrize("from_chat", [{}, {"__action_method_name__": "approve"}], ids=["plain", "converted"])
def test_agent_gets_the_click_on_a_card_that_it_posted_itself(chat: Chat, from_chat: dict[str, str]) -> None:
    """We did not rewrite its buttons, so no parameter is ours. What Chat adds to a click is left out."""
    chat.agent = f"{AGENT}:answering"
    asked.clear()
    posted = made_up(approve="yes", **from_chat)

    chat.tap(posted, "Hooray")

    ((_, context),) = asked
    assert context.action is not None
    assert context.action.parameters == {"approve": "yes"}
    assert context.action.name == ("approve" if from_chat else "" if chat.app.is_add_on else "x")


@pytest.mark.parametrize("kind", ["slash", "quick", "message"])
def test_agent_gets_commands_that_are_not_ours(chat: Chat, kind: str) -> None:
    """By its id. A message of somebody else is not taken for the text of this person."""
    chat.agent = f"{AGENT}:answering"
    asked.clear()
    app = chat.app
    body = (
        app.command("staging", "--force")
        if kind == "slash"
        else app.quick_command("staging")
        if kind == "quick"
        else app.message_action(101, "the build is red")
    )

    chat.send(body)

    ((text, context),) = asked
    assert context.action is not None
    assert text == ("/staging --force" if kind == "slash" else "")
    assert (context.action.kind, context.action.name) == ("message_action" if kind == "message" else "command", "101")
    assert context.action.message.get("argumentText") == (" the build is red" if kind == "message" else None)
    assert bool(context.message_name) is (kind == "slash")


def test_slow_agent_is_asked_for_each_message_action(chat: Chat) -> None:
    """The same action on the same message, chosen again later, asks again; one delivered twice asks once."""
    chat.agent = f"{AGENT}:plodding"

    for hours in (1, 2, 2):
        chat.send(chat.app.message_action(101, "the build is red"), at=chat.now + hours * HOUR)

    assert len(chat.all()) == 2


def test_unknown_command_without_an_agent_is_answered_with_help(chat: Chat) -> None:
    """The answer says that the command is unknown."""
    assert "I do not know that command" in words_of(chat.send(chat.app.command("staging", "--force")))
