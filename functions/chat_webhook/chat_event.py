"""An event from Google Chat, in either of its two formats, as one typed value.

Classic: https://developers.google.com/workspace/chat/api/reference/rest/v1/DeprecatedEvent
Add-on: https://developers.google.com/workspace/add-ons/concepts/event-objects#chat-event-object
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from markup import MENTION
from shared.errors import InvalidInput
from shared.model.times import iso

# The ids of the commands in the app's configuration, and the words that stand for them in a message.
COMMANDS = {"1": "remind", "2": "every", "3": "jobs", "4": "job", "5": "help"}


class EventKind(StrEnum):
    """What happened. A command is a message that begins with its word; QUIET is known and needs no reply."""

    MESSAGE = "message"
    ADDED = "added"
    QUIET = "quiet"
    CLICKED = "clicked"
    UNKNOWN = "unknown"


CLASSIC = {
    "MESSAGE": EventKind.MESSAGE,
    "ADDED_TO_SPACE": EventKind.ADDED,
    "REMOVED_FROM_SPACE": EventKind.QUIET,
    "CARD_CLICKED": EventKind.CLICKED,
    "APP_COMMAND": EventKind.MESSAGE,
}
ADD_ON = {
    "messagePayload": EventKind.MESSAGE,
    "addedToSpacePayload": EventKind.ADDED,
    "removedFromSpacePayload": EventKind.QUIET,
    "buttonClickedPayload": EventKind.CLICKED,
    "appCommandPayload": EventKind.MESSAGE,
}


class Dialog(StrEnum):
    """What a person does with a dialog."""

    OPEN = "REQUEST_DIALOG"
    SUBMIT = "SUBMIT_DIALOG"
    CANCEL = "CANCEL_DIALOG"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event. Absent texts are empty; `repr` leaves out what people wrote.

    `message` is the name of the message that was written, that has the button, or that an action was chosen for;
    `source` is the whole message, as Chat has it. `parameters` are those of the button, `function` what it calls,
    `inputs` the values of the fields of its card. `unknown_command` is the id of a command that is not ours: then
    `text` is what was written, including its word; `is_message_action` says that it was chosen for somebody's message,
    without writing.
    """

    kind: EventKind
    is_add_on: bool = False
    user: str = ""  # users/ID
    email: str = ""  # lower case
    display_name: str = field(default="", repr=False)
    is_person: bool = True
    space: str = ""
    space_kind: str = "space"  # see `shared.handlers.agent.SPACE_KINDS`
    thread: str = ""
    message: str = ""
    text: str = field(default="", repr=False)
    formatted: str = field(default="", repr=False)  # the text with its markup, if Chat sends it
    names: Mapping[str, str] = field(default_factory=dict, repr=False)  # of the mentioned people, by users/ID
    is_command: bool = False  # a slash or quick command, rather than a written message
    unknown_command: str = ""
    is_message_action: bool = False
    sent_at: datetime | None = None  # the same however often Chat delivers it
    name: str = ""  # of an unknown kind, as Chat calls it
    zone: str = ""  # as Chat names it; see `timezone`
    locale: str = ""
    source: Mapping[str, Any] = field(default_factory=dict, repr=False)
    function: str = ""
    dialog: Dialog | None = None  # what a click does with a dialog
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    @property
    def is_direct(self) -> bool:
        """Return whether it is a space with one person."""
        return self.space_kind == "direct"

    @property
    def is_written(self) -> bool:
        """Return whether the person wrote `message`, rather than tapped on it or chose a command without one."""
        return self.kind is EventKind.MESSAGE and bool(self.message) and not self.is_message_action

    @property
    def timezone(self) -> str:
        """Return the name of the person's time zone (IANA), or "" if it is unknown."""
        from shared.model.recurrence import InvalidSchedule, load_timezone  # not for `help`, which names no time

        try:
            return load_timezone(self.zone).key if self.zone else ""
        except InvalidSchedule:
            return ""

    def filled(self, name: str) -> str:
        """Return the value of a field of the card, or ""."""
        return (self.inputs.get(name) or ("",))[0].strip()


def identity_token(body: Any) -> str:
    """Return the token in the body of an add-on's event, or "". Reads nothing else."""
    return text_in(body, "authorizationEventObject", "systemIdToken")


def parse_event(body: Any) -> Event:
    """Read an event; an unknown one has the kind UNKNOWN. Raises InvalidInput if it is not a JSON object."""
    if not isinstance(body, dict):
        raise InvalidInput("a Chat event is a JSON object")
    if "type" in body:
        name = text_in(body, "type")
        event = _event(CLASSIC.get(name, EventKind.UNKNOWN), body, body, _object(body, "common"), is_add_on=False)
        return replace(event, name="" if name in CLASSIC else _harmless(name))
    chat, common = _object(body, "chat"), _object(body, "commonEventObject")
    name = next((name for name in ADD_ON if name in chat), "")
    event = _event(ADD_ON.get(name, EventKind.UNKNOWN), _object(chat, name), chat, common, is_add_on=True)
    if event.kind is EventKind.UNKNOWN:
        return replace(event, name=_harmless(next((each for each in chat if each.endswith("Payload")), "")))
    # Added by a command or a mention: that comes in a request of its own, and is answered there.
    was_asked = event.kind is EventKind.ADDED and _object(chat, name).get("interactionAdd") is True
    return Event(kind=EventKind.QUIET, is_add_on=True) if was_asked else event


def _event(
    kind: EventKind,
    payload: Mapping[str, Any],
    about: Mapping[str, Any],
    common: Mapping[str, Any],
    *,
    is_add_on: bool,
) -> Event:
    message = _object(payload, "message")
    command = _command(message, payload)
    unknown = "" if _word(command) else _id(command)
    text = _argument(_plain(message), message, command)
    if kind is EventKind.ADDED and text:
        kind = EventKind.MESSAGE  # a classic app that is added by a mention gets one event, with the message
    return Event(
        kind=kind,
        is_add_on=is_add_on,
        user=text_in(about, "user", "name"),
        email=text_in(about, "user", "email").lower(),
        display_name=text_in(about, "user", "displayName"),
        is_person=_is_person(about, message),
        space=text_in(payload, "space", "name") or text_in(message, "space", "name"),
        space_kind=_space_kind(_object(payload, "space") or _object(message, "space")),
        thread=text_in(message, "thread", "name") or text_in(payload, "thread", "name"),
        message=text_in(message, "name"),
        text=text,
        formatted=_argument(_formatted(message), message, command) if "formattedText" in message else "",
        names=_names(message),
        is_command=bool(command) and not unknown,
        unknown_command=unknown,
        is_message_action=_is_message_action(command),
        sent_at=_time(text_in(about, "eventTime")),
        zone=text_in(common, "timeZone", "id"),
        locale=text_in(common, "userLocale"),
        source=message,
        function=text_in(common, "invokedFunction") or text_in(payload, "action", "actionMethodName"),
        dialog=_dialog(text_in(payload, "dialogEventType")),
        parameters=_parameters(payload, common),
        inputs=_inputs(common),
    )


def _dialog(name: str) -> Dialog | None:
    return Dialog(name) if name in Dialog.__members__.values() else None


def _space_kind(space: Mapping[str, Any]) -> str:
    if text_in(space, "spaceType") == "DIRECT_MESSAGE" or text_in(space, "type") == "DM":
        return "direct"
    return "group" if text_in(space, "spaceType") == "GROUP_CHAT" else "space"


def _is_person(about: Mapping[str, Any], message: Mapping[str, Any]) -> bool:
    """Return whether a person caused the event. An app that writes is only the message's sender, without a user."""
    return "BOT" not in (text_in(about, "user", "type"), "user" not in about and text_in(message, "sender", "type"))


def _plain(message: Mapping[str, Any]) -> str:
    """Return the text without mentions of apps; if Chat sends no such text, without any mentions."""
    return (text_in(message, "argumentText") if "argumentText" in message else _without_mentions(message)).strip()


def _formatted(message: Mapping[str, Any]) -> str:
    """Return the text with its markup, without mentions of apps."""
    apps = {text_in(user, "name") for user in _mentioned(message) if text_in(user, "type") == "BOT"}
    text = MENTION.sub(lambda match: "" if match[1] in apps else match[0], text_in(message, "formattedText"))
    return text.strip()


def _names(message: Mapping[str, Any]) -> dict[str, str]:
    names = {text_in(user, "name"): text_in(user, "displayName") for user in _mentioned(message)}
    return {user: name for user, name in names.items() if name}


def _mentioned(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    annotations = message.get("annotations")
    users = [_object(each, "userMention", "user") for each in annotations] if isinstance(annotations, list) else []
    return [user for user in users if user]


def _argument(text: str, message: Mapping[str, Any], command: Mapping[str, Any]) -> str:
    """Return what was written; the id of a command becomes its word again, if it is one of ours."""
    if not command:
        return text
    if _is_message_action(command):
        text = ""  # somebody else wrote it, and the person only tapped on it
    if text.startswith("/"):
        text = text.partition(" ")[2]
    if word := _word(command):
        return f"{word} {text}".strip()
    typed = re.search(r"(?<!\S)/\S+", text_in(message, "text"))
    return f"{typed[0]} {text}".strip() if typed and not _is_message_action(command) else ""


def _command(message: Mapping[str, Any], payload: Mapping[str, Any]) -> Mapping[str, Any]:
    return _object(message, "slashCommand") or _object(payload, "appCommandMetadata")


def _is_message_action(command: Mapping[str, Any]) -> bool:
    return text_in(command, "appCommandType") == "MESSAGE_ACTION"


def _id(command: Mapping[str, Any]) -> str:
    """Return the id of a command, which Chat writes as a text or a number, or ""."""
    found = command.get("commandId", command.get("appCommandId"))
    return _sound(str(found))[:100] if isinstance(found, str | int) else ""


def _word(command: Mapping[str, Any]) -> str:
    return COMMANDS.get(_id(command), "")


def _without_mentions(message: Mapping[str, Any]) -> str:
    """Return the text without the mentioned names; Chat omits `argumentText` if nothing else was written."""
    # Chat counts in UTF-16, where an emoji is two.
    text, annotations = text_in(message, "text").encode("utf-16-le"), message.get("annotations")
    kept, end = [], 0
    for start, stop in sorted(_mentions(annotations if isinstance(annotations, list) else [])):
        if stop > end:
            kept.append(text[2 * end : 2 * start])
            end = stop
    return b"".join([*kept, text[2 * end :]]).decode("utf-16-le", "replace")


def _mentions(annotations: list[Any]) -> Iterator[tuple[int, int]]:
    for each in annotations:
        start, length = (_object(each).get(name) for name in ("startIndex", "length"))
        if (
            text_in(each, "type") == "USER_MENTION"
            and isinstance(start, int)
            and isinstance(length, int)
            and start >= 0 < length
        ):
            yield start, start + length


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _harmless(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]{1,60}", name) else ""


def _parameters(payload: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, str]:
    listed = _object(payload, "action").get("parameters")
    pairs = [(text_in(each, "key"), text_in(each, "value")) for each in listed] if isinstance(listed, list) else []
    named = [(name, _sound(value)) for name, value in _object(common, "parameters").items()]
    return dict([*pairs, *named])


def _inputs(common: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the values of the fields: texts as they are, times in ISO 8601."""
    inputs = {}
    for name, value in _object(common, "formInputs").items():
        given = _object(value, "") or _object(value)
        texts = _object(given, "stringInputs").get("value")
        if isinstance(texts, list):
            inputs[name] = tuple(_sound(text) for text in texts if isinstance(text, str))
        elif moment := _moment(given):
            inputs[name] = (moment,)
    return inputs


def _moment(given: Mapping[str, Any]) -> str:
    """Return the value of a picker of dates or times: a time of day, a date, or a time in UTC."""
    try:
        if clock := _object(given, "timeInput"):
            return time(int(clock.get("hours", 0)), int(clock.get("minutes", 0))).isoformat("minutes")
        is_date = "dateInput" in given
        since = _object(given, "dateInput" if is_date else "dateTimeInput").get("msSinceEpoch")
        moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(since)) if since is not None else None
    except (ValueError, TypeError, OverflowError):
        return ""
    return "" if moment is None else moment.date().isoformat() if is_date else iso(moment)


def _object(value: Any, *path: str) -> Mapping[str, Any]:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def text_in(value: Any, *path: str) -> str:
    """Return the text at a path in an object of an event, or "" for anything else."""
    return _sound(_object(value, *path[:-1]).get(path[-1]))


def _sound(value: Any) -> str:
    """Return a text that can be stored and sent, or "" for a value of another type. JSON can hold a lone surrogate."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
