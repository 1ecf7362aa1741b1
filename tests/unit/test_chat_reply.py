"""A reply in the format of either generation of Chat, checked against Chat's own discovery document."""

from typing import Any

import pytest

from chat_event import Event, parse_event
from chat_reply import rendered, says, shows
from shared.web.chat_rules import encoded
from tests.support.chatting import LARGEST_MESSAGE, AddOn, Classic, checked, from_person
from tests.support.conversing import in_direct_message

App = type[Classic] | type[AddOn]
CARD = {"header": {"title": "News"}, "sections": [{"widgets": [{"textParagraph": {"text": "All is well."}}]}]}
CARDS = [{"cardId": "watchkeeper", "card": CARD}]
BUTTON = {"text": "Go", "onClick": {"action": {"function": "https://example.com/chat", "parameters": []}}}
CREATE, UPDATE = "createMessageAction", "updateMessageAction"

both = pytest.mark.parametrize("app", [Classic, AddOn])


def message_event(app: App) -> Event:
    return parse_event(app.message("hello"))


def click_event(app: App) -> Event:
    return parse_event(app.click(BUTTON))


def wrapped(app: App, message: dict[str, Any], action: str = CREATE) -> dict[str, Any]:
    """Return a message in the format of the generation."""
    return {"hostAppDataAction": {"chatDataAction": {action: {"message": message}}}} if app.is_add_on else message


@both
def test_text_becomes_a_message(app: App) -> None:
    """Seen by everybody in the space."""
    reply = rendered(says("Hello"), message_event(app))

    assert reply == wrapped(app, {"text": "Hello"})
    assert checked(reply)


@both
def test_card_becomes_a_message(app: App) -> None:
    """In the form of version 2."""
    reply = rendered(shows(CARD), message_event(app))

    assert reply == wrapped(app, {"cardsV2": CARDS})
    assert checked(reply)


@both
def test_private_reply_names_its_viewer(app: App) -> None:
    """Its viewer is the event's person."""
    reply = rendered(says("Psst", for_one=True), message_event(app))

    assert reply == wrapped(app, {"text": "Psst", "privateMessageViewer": {"name": "users/104"}})
    assert checked(reply)


@both
def test_private_reply_without_a_person_has_no_viewer(app: App) -> None:
    """An event without a person has no name to give."""
    event = parse_event(from_person(app.message("hello"), name=""))

    assert rendered(says("Psst", for_one=True), event) == wrapped(app, {"text": "Psst"})


@both
def test_private_reply_in_a_direct_message_has_no_viewer(app: App) -> None:
    """Nobody else is there."""
    event = parse_event(in_direct_message(app.message("hello")))

    assert rendered(says("Psst", for_one=True), event) == wrapped(app, {"text": "Psst"})


@both
def test_reply_to_a_click_can_replace_the_message(app: App) -> None:
    """Each generation has its own action for it."""
    reply = rendered(shows(CARD, replaces=True), click_event(app))

    classic = {} if app.is_add_on else {"actionResponse": {"type": "UPDATE_MESSAGE"}}
    assert reply == wrapped(app, {"cardsV2": CARDS, **classic}, UPDATE)
    assert checked(reply)
    assert rendered(shows(CARD), click_event(app)) == wrapped(app, {"cardsV2": CARDS})


@both
def test_reply_to_a_message_replaces_nothing(app: App) -> None:
    """Chat would refuse it."""
    for event in (app.message("hello"), app.command("jobs"), app.added()):
        assert rendered(shows(CARD, replaces=True), parse_event(event)) == wrapped(app, {"cardsV2": CARDS})


@both
def test_no_reply_is_an_empty_response(app: App) -> None:
    """In either generation."""
    assert rendered(None, message_event(app)) == {}


@both
@pytest.mark.parametrize("for_one", [True, False])
@pytest.mark.parametrize("word", ["word ", "wörd 世界 ", '"\\\n'])
def test_long_text_is_cut_to_the_limit_of_chat(app: App, for_one: bool, word: str) -> None:
    """The text says so; a private viewer does not make it too long again."""
    reply = rendered(says(word * 10_000, for_one=for_one), message_event(app))

    message = checked(reply)
    assert message["text"].startswith(word)
    assert message["text"].endswith("(cut: the answer was longer than Chat takes)")
    assert len(encoded(message)) > LARGEST_MESSAGE - 100  # as JSON, in which some characters take two
    assert ("privateMessageViewer" in message) is for_one


@both
def test_cards_that_are_too_long_are_left_out(app: App) -> None:
    """A card cannot be cut; the text says that it is missing."""
    card = {"sections": [{"widgets": [{"textParagraph": {"text": "word " * 8_000}}]}]}

    message = checked(rendered(shows(card, replaces=True), click_event(app)))

    assert "cardsV2" not in message
    assert "The cards are left out" in message["text"]
