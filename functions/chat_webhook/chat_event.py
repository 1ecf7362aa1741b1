"""An event from Google Chat, in either of its two formats, as one typed value.

Classic: https://developers.google.com/workspace/chat/api/reference/rest/v1/DeprecatedEvent
Add-on: https://developers.google.com/workspace/add-ons/concepts/event-objects#chat-event-object
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from shared.errors import InvalidInput
from shared.model.recurrence import InvalidSchedule, load_timezone

# The ids of the commands in the app's configuration, and the words that stand for them in a message.
COMMANDS = {"1": "remind", "2": "every", "3": "jobs", "4": "job", "5": "help"}
CLASSIC = {
    "MESSAGE": "message",
    "ADDED_TO_SPACE": "added",
    "REMOVED_FROM_SPACE": "quiet",
    "CARD_CLICKED": "clicked",
    "APP_COMMAND": "message",
}
ADD_ON = {
    "messagePayload": "message",
    "addedToSpacePayload": "added",
    "removedFromSpacePayload": "quiet",
    "buttonClickedPayload": "clicked",
    "appCommandPayload": "message",
}


class Kind(StrEnum):
    """What happened. A command is a message that begins with its word; QUIET is known and needs no reply."""

    MESSAGE = "message"
    ADDED = "added"
    QUIET = "quiet"
    CLICKED = "clicked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event. Absent texts are empty; `repr` leaves out what people wrote.

    `message` is the name of the message that was written, or that holds the button. `parameters` are those of the
    button, `inputs` what stands in the fields of its card.
    """

    kind: Kind
    is_add_on: bool = False
    user: str = ""  # users/ID
    email: str = ""  # lower case
    display_name: str = field(default="", repr=False)
    is_person: bool = True
    space: str = ""
    is_direct: bool = False  # a space with one person
    thread: str = ""
    message: str = ""
    text: str = field(default="", repr=False)
    is_command: bool = False  # a slash or quick command, rather than a written message
    sent_at: datetime | None = None  # the same however often Chat delivers it
    name: str = ""  # of an unknown kind, as Chat calls it
    timezone: str = ""  # IANA
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    inputs: Mapping[str, str] = field(default_factory=dict, repr=False)


def identity_token(body: Any) -> str:
    """Return the token in the body of an add-on's event, or "". Reads nothing else."""
    return _text(body, "authorizationEventObject", "systemIdToken")


def parse_event(body: Any) -> Event:
    """Read an event; an unknown one has the kind UNKNOWN. Raises InvalidInput if it is not a JSON object."""
    if not isinstance(body, dict):
        raise InvalidInput("a Chat event is a JSON object")
    if "type" in body:
        name = _text(body, "type")
        event = _event(body, CLASSIC.get(name, ""), body, body, _object(body, "common"), is_add_on=False)
        return replace(event, name="" if name in CLASSIC else _harmless(name))
    chat, common = _object(body, "chat"), _object(body, "commonEventObject")
    name = next((name for name in ADD_ON if name in chat), "")
    event = _event(body, ADD_ON.get(name, ""), _object(chat, name), chat, common, is_add_on=True)
    if event.kind is Kind.UNKNOWN:
        return replace(event, name=_harmless(next((each for each in chat if each.endswith("Payload")), "")))
    # Added by a command or a mention: that comes in a request of its own, and is answered there.
    was_asked = event.kind is Kind.ADDED and _object(chat, name).get("interactionAdd") is True
    return Event(kind=Kind.QUIET, is_add_on=True) if was_asked else event


def _event(
    body: Mapping[str, Any],
    kind: str,
    payload: Mapping[str, Any],
    about: Mapping[str, Any],
    common: Mapping[str, Any],
    *,
    is_add_on: bool,
) -> Event:
    message = _object(payload, "message")
    text = _argument(message, payload)
    if kind == "added" and text:
        kind = "message"  # a classic app that is added by a mention is told so once, with the message
    return Event(
        kind=Kind(kind or "unknown"),
        is_add_on=is_add_on,
        user=_text(about, "user", "name"),
        email=_text(about, "user", "email").lower(),
        display_name=_text(about, "user", "displayName"),
        is_person=_is_person(about, message),
        space=_text(payload, "space", "name") or _text(message, "space", "name"),
        is_direct=_is_direct(_object(payload, "space") or _object(message, "space")),
        thread=_text(message, "thread", "name") or _text(payload, "thread", "name"),
        message=_text(message, "name"),
        text=text,
        is_command=isinstance(_command(message, payload), Mapping),
        sent_at=_time(_text(about, "eventTime")),
        timezone=_timezone(common),
        parameters=_parameters(payload, common),
        inputs=_inputs(common),
    )


def _is_direct(space: Mapping[str, Any]) -> bool:
    return _text(space, "spaceType") == "DIRECT_MESSAGE" or _text(space, "type") == "DM"


def _is_person(about: Mapping[str, Any], message: Mapping[str, Any]) -> bool:
    """Return whether a person caused the event. An app that writes is only the message's sender, without a user."""
    return "BOT" not in (_text(about, "user", "type"), "user" not in about and _text(message, "sender", "type"))


def _argument(message: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
    """Return the text without mentions; a command's number becomes its word again."""
    text = (_text(message, "argumentText") if "argumentText" in message else _without_mentions(message)).strip()
    number = _command(message, payload)
    if not isinstance(number, Mapping):
        return text
    if _text(number, "appCommandType") == "MESSAGE_ACTION":
        text = ""  # it was written by somebody else, and the person has only tapped on it
    word = COMMANDS.get(str(number.get("commandId", number.get("appCommandId"))), "help")
    if text.startswith("/"):
        text = text.partition(" ")[2]
    if word == "remind" and text.split(" ")[0].lower() not in ("me", "us"):
        text = f"me {text}"
    return f"{word} {text}".strip()


def _command(message: Mapping[str, Any], payload: Mapping[str, Any]) -> Any:
    return message.get("slashCommand", payload.get("appCommandMetadata"))


def _without_mentions(message: Mapping[str, Any]) -> str:
    """Return the text without the mentioned names; Chat omits `argumentText` if nothing else was written."""
    # Chat counts in UTF-16, where an emoji is two.
    text, annotations = _text(message, "text").encode("utf-16-le"), message.get("annotations")
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
            _text(each, "type") == "USER_MENTION"
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


def _timezone(common: Mapping[str, Any]) -> str:
    name = _text(common, "timeZone", "id")
    try:
        return load_timezone(name).key if name else ""
    except InvalidSchedule:
        return ""


def _parameters(payload: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, str]:
    listed = _object(payload, "action").get("parameters")
    pairs = [(_text(each, "key"), _text(each, "value")) for each in listed] if isinstance(listed, list) else []
    named = [(name, _sound(value)) for name, value in _object(common, "parameters").items()]
    return dict([*pairs, *named])


def _inputs(common: Mapping[str, Any]) -> dict[str, str]:
    inputs = {}
    for name, value in _object(common, "formInputs").items():
        values = _object(_object(value, ""), "stringInputs") or _object(value, "stringInputs")
        texts = values.get("value")
        if isinstance(texts, list) and texts and isinstance(texts[0], str):
            inputs[name] = _sound(texts[0])
    return inputs


def _object(value: Any, *path: str) -> Mapping[str, Any]:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _text(value: Any, *path: str) -> str:
    return _sound(_object(value, *path[:-1]).get(path[-1]))


def _sound(value: Any) -> str:
    """Return a text that can be stored and sent, or "" for a value of another type. JSON can hold a lone surrogate."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
