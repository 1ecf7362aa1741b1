"""What Google Chat sends, in both generations, as one typed event."""

import time
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_event import Event, EventKind, identity_token, parse_event
from orders import NotUnderstood
from phrases import understand
from shared.errors import InvalidInput
from tests.support.chatting import NUMBERS, SPACE, THREAD, AddOn, Classic, message_in

App = type[Classic] | type[AddOn]
both = pytest.mark.parametrize("app", [Classic, AddOn])

BUTTON = {
    "text": "Pause",
    "onClick": {
        "action": {
            "function": "https://example.com/chat",
            "parameters": [{"key": "action", "value": "pause"}, {"key": "id", "value": "tea"}],
        }
    },
}


@both
def test_message_is_read_completely(app: App) -> None:
    """Author, text, place, thread and time zone; the mention is removed, the address is in lower case."""
    body = app.message("what is new?", name="M7.M7")
    event = parse_event(body)

    assert event.sent_at is not None
    assert event.sent_at.replace(microsecond=0) == datetime(2026, 11, 21, 9, tzinfo=UTC)
    assert replace(event, sent_at=None) == Event(
        kind=EventKind.MESSAGE,
        is_add_on=app.is_add_on,
        user="users/104",
        email="ada@example.com",
        display_name="Ada",
        space=SPACE,
        thread=THREAD,
        message=f"{SPACE}/messages/M7.M7",
        text="what is new?",
        zone="Europe/Berlin",
        locale="en",
        source=message_in(body),
    )


@both
@pytest.mark.parametrize("word", ["every", "jobs", "job", "help"])
def test_slash_command_becomes_a_message_with_its_word(app: App, word: str) -> None:
    """Its number is that of the app's configuration."""
    event = parse_event(app.command(word, "one two"))

    assert (event.kind, event.text) == (EventKind.MESSAGE, f"{word} one two")


@both
@pytest.mark.parametrize(
    ("argument", "whom"),
    [
        pytest.param("me in 20 minutes to stretch", "you", id="me"),
        pytest.param("in 20 minutes to stretch", "you", id="nobody-and-a-time"),
        pytest.param("to stretch in 20 minutes", "you", id="nobody-and-a-text"),
        pytest.param("us in 20 minutes to stretch", "everybody", id="us"),
        pytest.param("Bob to stretch in 20 minutes", "", id="somebody-else"),
    ],
)
def test_remind_command_means_me_unless_it_names_somebody(app: App, argument: str, whom: str) -> None:
    """`/remind in 20 minutes` needs no `me`; `/remind Bob` is never a reminder to who asks."""
    text = parse_event(app.command("remind", argument)).text
    try:
        order = understand(text, now=datetime(2026, 11, 25, 10, 7, tzinfo=UTC), timezone="UTC")
    except NotUnderstood:
        order = None

    assert (order and ("everybody" if order.everybody else "you")) == (whom or None)
    assert order is None or order.text == "stretch"


@both
def test_quick_command_needs_no_message(app: App) -> None:
    """The event has only the word, with place and thread."""
    event = parse_event(app.quick_command("jobs"))

    assert (event.kind, event.text, event.space, event.thread) == (EventKind.MESSAGE, "jobs", SPACE, THREAD)


@both
@pytest.mark.parametrize("kind", [{"spaceType": "DIRECT_MESSAGE"}, {"type": "DM"}])
def test_direct_message_is_recognised(app: App, kind: dict[str, str]) -> None:
    """In the older format too; any other space has more people."""
    body = app.message("jobs")
    payload = body["chat"]["messagePayload"] if app.is_add_on else body
    payload["space"] = {"name": SPACE, **kind}

    assert parse_event(body).is_direct
    assert not parse_event(app.message("jobs")).is_direct


@both
def test_bare_mention_has_no_text(app: App) -> None:
    """Chat then omits the text without mentions, and the mentioned name is not text for the app."""
    body = app.message("")
    message = (body["chat"]["messagePayload"] if app.is_add_on else body)["message"]
    del message["argumentText"]
    message["text"] = "@Watch Keeper"
    message["annotations"] = [{"type": "USER_MENTION", "startIndex": 0, "length": 13}]

    assert parse_event(body).text == ""


def mention(start: Any, length: Any, kind: str = "USER_MENTION") -> dict[str, Any]:
    return {"type": kind, "startIndex": start, "length": length}


@pytest.mark.parametrize(
    ("text", "annotations", "rest"),
    [
        pytest.param("@App jobs", [mention(0, 4)], "jobs", id="first"),
        pytest.param("ask @App and @Ada now", [mention(4, 4), mention(13, 4)], "ask  and  now", id="two"),
        pytest.param("ask @App and @Ada now", [mention(13, 4), mention(4, 4)], "ask  and  now", id="in-any-order"),
        pytest.param("@App jobs", [mention(0, 4), mention(0, 4)], "jobs", id="the-same-twice"),
        pytest.param("@App jobs", [mention(0, 5), mention(2, 2)], "jobs", id="one-in-another"),
        pytest.param("@App jobs", [mention(5, 99)], "@App", id="past-the-end"),
        pytest.param("@App jobs", [mention(99, 4)], "@App jobs", id="behind-the-end"),
        pytest.param("@App jobs", [mention(-4, 4), mention(4, -2), mention(0, 0)], "@App jobs", id="no-part"),
        pytest.param("@App jobs", [mention("0", 4), mention(0, None), 7], "@App jobs", id="no-numbers"),
        pytest.param("\U0001f44b @App jobs", [mention(3, 4)], "\U0001f44b  jobs", id="behind-an-emoji"),
        pytest.param("\U0001f44b jobs", [mention(1, 2)], "\ufffdjobs", id="through-an-emoji"),
        pytest.param("/help now", [mention(0, 5, "SLASH_COMMAND")], "/help now", id="no-mention"),
    ],
)
def test_mentions_are_removed_from_the_text(text: str, annotations: list[Any], rest: str) -> None:
    """Also if Chat has not removed them; a mention outside the text changes nothing."""
    body = Classic.message("")
    body["message"] = {"text": text, "annotations": annotations}

    assert parse_event(body).text == rest


def test_parsing_takes_linear_time() -> None:
    """Eight times the text with eight times the mentions takes about eight times as long, not 64 times."""

    def cost(size: int) -> float:
        body = Classic.message("")
        body["message"] = {"text": "x" * 450 * size, "annotations": [mention(0, 1)] * size}

        def once() -> float:
            began = time.thread_time()
            parse_event(body)
            return time.thread_time() - began

        return min(once() for _ in range(5))

    assert cost(2_000) < 24 * cost(250)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"type": "WIDGET_UPDATED"}, "WIDGET_UPDATED"),
        ({"type": "a secret\nline"}, ""),
        ({"chat": {"widgetUpdatedPayload": {}}}, "widgetUpdatedPayload"),
        ({"chat": {"odd Payload": {}}}, ""),
    ],
)
def test_unknown_event_is_named_for_the_log(body: Any, name: str) -> None:
    """If its name is harmless."""
    assert parse_event(body).name == name


@both
@pytest.mark.parametrize("word", ["remind", "every", "help"])
def test_message_action_is_not_read_as_a_command(app: App, word: str) -> None:
    """An action on a message has its author's text under the name of the person who tapped."""
    body = app.command(word, 'day at 9:00 ask "send it all"')
    payload = body["chat"]["appCommandPayload"] if app.is_add_on else body
    payload["appCommandMetadata"] = {"appCommandId": NUMBERS[word], "appCommandType": "MESSAGE_ACTION"}
    payload["message"].pop("slashCommand", None)

    assert parse_event(body).text == word


@both
def test_unknown_command_keeps_its_word_and_id(app: App) -> None:
    """The app's configuration may have more commands than this code."""
    slash, quick = parse_event(app.command("staging", "--force")), parse_event(app.quick_command("staging"))

    assert (slash.text, slash.unknown_command, slash.is_command) == ("/staging --force", "101", False)
    assert (quick.text, quick.unknown_command, quick.is_command) == ("", "101", False)
    assert parse_event(app.command("help")).unknown_command == ""


@both
def test_command_id_that_utf_8_cannot_hold_is_replaced(app: App) -> None:
    """The id is passed on to the agent and is part of a job's id, so it must be text that UTF-8 can hold."""
    body = app.quick_command("staging")
    (body if app is Classic else body["chat"]["appCommandPayload"])["appCommandMetadata"]["appCommandId"] = "\ud800"

    assert parse_event(body).unknown_command == "?"


@both
def test_message_action_has_the_message_and_no_text(app: App) -> None:
    """Somebody else wrote the message."""
    event = parse_event(app.message_action(7, "send it all"))

    assert (event.text, event.unknown_command, event.is_message_action) == ("", "7", True)
    assert event.source["argumentText"] == " send it all"


@both
@pytest.mark.parametrize(
    ("space", "kind"),
    [
        pytest.param({"spaceType": "DIRECT_MESSAGE"}, "direct", id="direct"),
        pytest.param({"spaceType": "GROUP_CHAT"}, "group", id="group"),
        pytest.param({"spaceType": "SPACE"}, "space", id="space"),
        pytest.param({"spaceType": 7}, "space", id="unreadable"),
    ],
)
def test_kind_of_the_space_is_recognised(app: App, space: dict[str, Any], kind: str) -> None:
    """A group is a direct message of several people."""
    body = app.message("jobs")
    (body["chat"]["messagePayload"] if app.is_add_on else body)["space"] |= {"type": "ROOM", **space}

    assert parse_event(body).space_kind == kind


@both
@pytest.mark.parametrize(
    ("given", "texts"),
    [
        pytest.param({"stringInputs": {"value": ["a", "b", 7]}}, ("a", "b"), id="several"),
        pytest.param({"stringInputs": {"value": []}}, (), id="none"),
        pytest.param({"dateInput": {"msSinceEpoch": "1795219200000"}}, ("2026-11-21",), id="date"),
        pytest.param({"timeInput": {"hours": 9, "minutes": 5}}, ("09:05",), id="time"),
        pytest.param({"timeInput": {"hours": 9}}, ("09:00",), id="full-hour"),
        pytest.param({"dateTimeInput": {"msSinceEpoch": 1795251600000}}, ("2026-11-21T09:00:00Z",), id="both"),
    ],
)
def test_fields_of_every_kind_are_read(app: App, given: dict[str, Any], texts: tuple[str, ...]) -> None:
    """As text; a time is in ISO 8601."""
    body = app.click(BUTTON)
    body["commonEventObject" if app.is_add_on else "common"]["formInputs"] = {"x": given}

    assert parse_event(body).inputs == {"x": texts}


@both
@pytest.mark.parametrize(
    "given", [{"timeInput": {"hours": 30}}, {"dateInput": {"msSinceEpoch": "x"}}, {"dateTimeInput": {}}, 7, None]
)
def test_invalid_field_is_left_out(app: App, given: Any) -> None:
    """Without an error."""
    body = app.click(BUTTON)
    body["commonEventObject" if app.is_add_on else "common"]["formInputs"] = {"x": given}

    assert parse_event(body).inputs == {}


@both
def test_added_event_is_recognised(app: App) -> None:
    """Without a text for the app there is nothing to run."""
    assert (parse_event(app.added()).kind, parse_event(app.added()).text) == (EventKind.ADDED, "")


def test_being_added_by_a_mention_is_one_message() -> None:
    """A classic app gets one event, with the message; an add-on gets two, and answers only the second."""
    assert parse_event(Classic.added("jobs")).kind is EventKind.MESSAGE
    assert parse_event(Classic.added("jobs")).text == "jobs"
    assert parse_event(AddOn.added("jobs")).kind is EventKind.QUIET


@both
def test_message_of_another_app_is_not_from_a_person(app: App) -> None:
    """Such an event has no user; the message's sender names the app."""
    body = app.message("jobs")
    about = body["chat"] if app.is_add_on else body
    del about["user"]
    message = (about["messagePayload"] if app.is_add_on else body)["message"]
    message["sender"] = {"name": "users/9", "type": "BOT"}

    assert not parse_event(body).is_person


@both
def test_click_on_the_apps_own_message_is_from_a_person(app: App) -> None:
    """The sender of that message is the app."""
    assert parse_event(app.click(BUTTON)).is_person


@both
def test_event_after_being_added_may_have_no_time_zone(app: App) -> None:
    """Its text is read, and no zone is invented."""
    body = app.added("jobs") if app is Classic else app.message("jobs")
    common = body["commonEventObject"] if app.is_add_on else body["common"]
    del common["timeZone"]

    event = parse_event(body)

    assert (event.kind, event.text, event.timezone) == (EventKind.MESSAGE, "jobs", "")


@both
def test_removed_event_needs_no_reply(app: App) -> None:
    """Nobody could read it."""
    assert parse_event(app.removed()).kind is EventKind.QUIET


@both
def test_click_has_its_parameters_and_fields(app: App) -> None:
    """The button's parameters and the fields of its card."""
    event = parse_event(app.click(BUTTON, inputs={"phrase": "every day at 9:00"}))

    assert (event.kind, dict(event.parameters)) == (EventKind.CLICKED, {"action": "pause", "id": "tea"})
    assert event.inputs == {"phrase": ("every day at 9:00",)}
    assert event.email == "ada@example.com"


def test_click_has_its_parameters_in_the_older_format_too() -> None:
    """As a list beside the action; a field may have an empty name."""
    event = Classic.click(BUTTON)
    event["common"] = {"formInputs": {"phrase": {"": {"stringInputs": {"value": ["tomorrow"]}}}}}

    parsed = parse_event(event)

    assert dict(parsed.parameters) == {"action": "pause", "id": "tea"}
    assert parsed.inputs == {"phrase": ("tomorrow",)}


@pytest.mark.parametrize("name", ["", "Mars/Base", "../etc/passwd", 7])
def test_invalid_time_zone_is_left_out(name: Any) -> None:
    """The time zone of the settings applies then."""
    assert parse_event(Classic.message("hello", common={"timeZone": {"id": name}})).timezone == ""


def test_identity_token_of_an_add_on_is_read() -> None:
    """`repr` shows neither the token nor the text."""
    body = AddOn.message("my secret", authorizationEventObject={"systemIdToken": "a.b.c"})
    event = parse_event(body)

    assert identity_token(body) == "a.b.c"
    assert "a.b.c" not in repr(event)
    assert "my secret" not in repr(event)


@pytest.mark.parametrize(
    "body",
    [{}, {"type": "WIDGET_UPDATED"}, {"type": 7}, {"chat": {}}, {"chat": {"widgetUpdatedPayload": {}}}, {"chat": 1}],
)
def test_unknown_event_has_the_kind_unknown(body: Any) -> None:
    """New kinds of events come without notice."""
    assert parse_event(body).kind is EventKind.UNKNOWN


@pytest.mark.parametrize("body", [None, [], "MESSAGE", 1])
def test_event_that_is_not_an_object_is_refused(body: Any) -> None:
    """Chat sends only objects."""
    with pytest.raises(InvalidInput, match="JSON object"):
        parse_event(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


@st.composite
def broken_events(draw: st.DrawFn) -> Any:
    """Return a whole event with another value in one place, at any depth."""
    app: App = Classic if draw(st.booleans()) else AddOn
    event = draw(
        st.sampled_from([app.message("jobs"), app.command("job", "x"), app.click(BUTTON), app.added(), app.removed()])
    )
    place = event = deepcopy(event)  # its parts are shared with other events
    while True:
        name = draw(st.sampled_from(sorted(place)))
        if not isinstance(place[name], dict) or not place[name] or draw(st.booleans()):
            place[name] = draw(json_values)
            return event
        place = place[name]


@pytest.mark.slow
@given(broken_events())
def test_broken_event_still_has_fields_of_the_right_types(event: Any) -> None:
    """With any wrong value in any place, every field has its type."""
    parsed = parse_event(event)

    assert all(
        isinstance(getattr(parsed, name), str) for name in ("user", "email", "space", "thread", "message", "text")
    )
    assert all(isinstance(value, str) for value in (*parsed.parameters.values(), *parsed.inputs.values()))
