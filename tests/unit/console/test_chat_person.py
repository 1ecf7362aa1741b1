"""A person in Chat who writes to the function and taps its buttons, in both generations of events."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from chat_event import Dialog, EventKind, parse_event
from shared.errors import InvalidInput
from tests.support.chatting import closes, dialog_reply
from tests.support.console_page import post
from watchkeeper.console.chat_person import NoReply, Person, Room
from watchkeeper.console.system import System


class Webhook:
    """A fake function that keeps the events and returns `reply`."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.reply: Any = {}

    def __call__(self, event: dict[str, Any]) -> Any:
        self.events.append(event)
        return self.reply


@pytest.fixture
def webhook() -> Webhook:
    """A function that answers nothing."""
    return Webhook()


@pytest.fixture
def posts() -> list[dict[str, Any]]:
    """The posts of jobs."""
    return []


@pytest.fixture
def room(webhook: Webhook, posts: list[dict[str, Any]], now: datetime) -> Room:
    """An empty space."""
    return Room(ask=webhook, posted=lambda: posts, clock=lambda: now, timezone="Europe/Berlin")


@pytest.fixture(params=[False, True], ids=["classic", "add-on"])
def person(request: pytest.FixtureRequest) -> Person:
    """Ada, in either generation of events."""
    return Person(email="ada@example.com", is_add_on=request.param)


def reply_of(person: Person, message: dict[str, Any], *, replaces: bool = False) -> dict[str, Any]:
    """Return the reply in the format of the person's generation."""
    if not person.is_add_on:
        return message | ({"actionResponse": {"type": "UPDATE_MESSAGE"}} if replaces else {})
    action = "updateMessageAction" if replaces else "createMessageAction"
    return {"hostAppDataAction": {"chatDataAction": {action: {"message": message}}}}


@pytest.mark.parametrize(
    ("said", "heard", "is_command"),
    [
        ("remind me in 5 minutes to *x*", "remind me in 5 minutes to *x*", False),
        ("/jobs", "jobs", True),
        ("/x", "/x", False),
    ],
)
def test_the_function_receives_the_message(
    room: Room, webhook: Webhook, person: Person, now: datetime, said: str, heard: str, is_command: bool
) -> None:
    """A text or a slash command, as the function's own parser reads it."""
    room.say(said, person=person)
    event = parse_event(webhook.events[0])

    assert (event.kind, event.text, event.is_command) == (EventKind.MESSAGE, heard, is_command)
    assert (event.is_add_on, event.email, event.timezone) == (person.is_add_on, "ada@example.com", "Europe/Berlin")
    assert (event.space, event.sent_at) == ("spaces/console", now)
    assert event.thread.startswith("spaces/console/threads/")


def test_a_command_of_the_agent_can_be_tried_by_its_id(room: Room, webhook: Webhook, person: Person) -> None:
    """A local run has no app configuration that names it."""
    room.say("/101 --force", person=person)
    event = parse_event(webhook.events[0])

    assert (event.unknown_command, event.text) == ("101", "/101 --force")


def test_a_message_action_can_be_tried(room: Room, webhook: Webhook, person: Person) -> None:
    """On any message; the function gets it as somebody's message, not as this person's text."""
    room.say("the build is red", person=person)
    webhook.reply = reply_of(person, {"text": "Noted"})

    room.act(room.messages()[0]["name"], 101, person=person)
    event = parse_event(webhook.events[1])

    assert (event.unknown_command, event.is_message_action, event.text) == ("101", True, "")
    assert event.source["text"] == "the build is red"
    assert len({message["thread"] for message in room.messages()}) == 1
    with pytest.raises(InvalidInput, match="no longer exists"):
        room.act("spaces/console/messages/C9", 101, person=person)


def test_a_message_action_needs_its_number(system: System) -> None:
    """As in the app's configuration."""
    answer = post(system, "/api/chat/act", {"message": "x", "number": "x", "generation": "classic"})

    assert answer.status_code == 422
    assert "a number from 1 to 9999" in answer.get_json()["error"]


def test_a_reply_is_added_to_the_thread(room: Room, webhook: Webhook, person: Person) -> None:
    """So does the next message in that thread."""
    webhook.reply = reply_of(person, {"text": "You said: hello"})

    room.say("hello", person=person)
    thread = room.messages()[0]["thread"]
    room.say("again", person=person, thread=thread)

    assert [message["who"] for message in room.messages()] == ["Ada", "Watchkeeper"] * 2
    assert {message["thread"] for message in room.messages()} == {thread}


def test_a_tapped_button_replaces_its_card(room: Room, webhook: Webhook, person: Person) -> None:
    """The function gets the action and the card's fields; its answer replaces the message."""
    action = {"function": "https://example.com", "parameters": [{"key": "action", "value": "confirm"}]}
    shown = {"header": {"title": "Shall I?"}, "sections": []}
    webhook.reply = reply_of(person, {"cardsV2": [{"cardId": "c", "card": shown}]})
    room.say("hello", person=person)
    webhook.reply = reply_of(person, {"text": "Done"}, replaces=True)

    room.tap(room.messages()[1]["name"], action, {"phrase": "later"}, person=person)
    event = parse_event(webhook.events[1])

    assert (event.kind, event.parameters, event.inputs) == (
        EventKind.CLICKED,
        {"action": "confirm"},
        {"phrase": ("later",)},
    )
    assert event.thread == room.messages()[0]["thread"]
    said = [("".join(piece["text"] for piece in message["text"]), message["cards"]) for message in room.messages()]
    assert said == [("hello", []), ("Done", [])]


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        pytest.param(NoReply("chat_webhook answered 500"), "chat_webhook answered 500", id="no-answer"),
        pytest.param([], "is not in the format", id="no-object"),
    ],
)
def test_a_reply_that_chat_would_not_show_is_a_failure(
    room: Room, webhook: Webhook, person: Person, reply: Any, says: str
) -> None:
    """The developer sees that a person would get no answer."""
    webhook.reply = reply

    room.say("hello", person=person)

    assert says in room.messages()[1]["failure"]


def test_a_reply_in_the_other_format_is_a_failure(room: Room, webhook: Webhook, person: Person) -> None:
    """Chat shows no message for it."""
    other = replace(person, is_add_on=not person.is_add_on)
    webhook.reply = reply_of(other, {"text": "hello"})

    room.say("hello", person=person)

    assert "is not in the format" in room.messages()[1]["failure"]


def test_messages_from_jobs_are_shown(
    room: Room, posts: list[dict[str, Any]], webhook: Webhook, person: Person
) -> None:
    """In the order of time; a post to another space has its name; their buttons work."""
    room.say("hello", person=person)
    common = {
        "sender": {"type": "BOT"},
        "createTime": "2026-11-21T09:00:01Z",
        "thread": {"name": "spaces/console/threads/T"},
    }
    posts.append({"name": "spaces/console/messages/M1", "space": {"name": "spaces/console"}, "text": "*Now*", **common})
    posts.append({"name": "spaces/x/messages/M2", "space": {"name": "spaces/x"}, "text": "There", **common})

    room.tap("spaces/console/messages/M1", {"function": "f", "parameters": []}, {}, person=person)

    assert [message["elsewhere"] for message in room.messages()] == ["", "", "spaces/x"]
    assert room.messages()[1]["text"] == [{"text": "Now", "styles": ["bold"], "href": ""}]
    assert parse_event(webhook.events[1]).message == "spaces/console/messages/M1"


def test_any_answer_of_an_agent_is_shown(room: Room, webhook: Webhook, person: Person) -> None:
    """Cards and parameters of any shape do not break the page."""
    webhook.reply = reply_of(person, {"text": 7, "cardsV2": 7})
    room.say("hello", person=person)

    for parameters in (7, [7], [{"key": [1]}]):
        room.tap(room.messages()[1]["name"], {"parameters": parameters}, {}, person=person)

    assert room.messages()[1]["cards"] == [{"title": "", "subtitle": "", "sections": []}]
    assert len(webhook.events) == 4


def test_a_dialog_opens_and_is_submitted(room: Room, webhook: Webhook, person: Person) -> None:
    """Its fields are sent with the message that opened it; an answer with a message closes it."""
    field = {"textInput": {"name": "text", "label": "Text", "value": "tea", "type": "MULTIPLE_LINE"}}
    body = {"header": {"title": "Edit"}, "sections": [{"widgets": [field]}]}
    opens = {"function": "f", "parameters": [], "interaction": "OPEN_DIALOG"}
    webhook.reply = reply_of(person, {"text": "hello"})
    room.say("hello", person=person)
    name = room.messages()[1]["name"]

    webhook.reply = dialog_reply({"cardsV2": [{"card": body}]}, is_add_on=person.is_add_on)
    dialog = room.tap(name, opens, {}, person=person)
    webhook.reply = closes(is_add_on=person.is_add_on)
    closed = room.tap(name, {"function": "f", "parameters": []}, {}, person=person, in_dialog=True)
    webhook.reply = reply_of(person, {"text": "Changed"})
    sent = room.tap(name, {"function": "f", "parameters": []}, {"text": "cake"}, person=person, in_dialog=True)

    assert dialog is not None
    assert (dialog["title"], dialog["sections"][0]["widgets"][0]["is_long"]) == ("Edit", True)
    assert (closed, sent) == (None, None)
    events = [parse_event(event) for event in webhook.events]
    assert [event.dialog for event in events] == [None, Dialog.OPEN, Dialog.SUBMIT, Dialog.SUBMIT]
    assert (events[3].message, events[3].inputs) == (name, {"text": ("cake",)})
    assert [message["who"] for message in room.messages()] == ["Ada", "Watchkeeper", "Watchkeeper"]


def test_a_button_of_a_deleted_message_is_refused(room: Room, person: Person) -> None:
    """The page may be older than the run."""
    with pytest.raises(InvalidInput, match="no longer exists"):
        room.tap("spaces/console/messages/C9", {}, {}, person=person)


def test_an_unreachable_function_is_shown_in_the_chat(system: System) -> None:
    """The error is shown in the place of the answer."""
    messages = post(system, "/api/chat/say", {"text": "hello", "generation": "classic"}).get_json()["messages"]

    assert [message["failure"][:27] for message in messages] == ["", "chat_webhook did not answer"]
