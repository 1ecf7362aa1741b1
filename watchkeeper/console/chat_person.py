"""A simulated person in a Chat space, because Google Chat cannot reach this machine.

A message or a tap becomes the event that Chat would send, in either format, and the function's reply is stored as Chat
would store it. Messages from jobs are read from the fake Chat.

Classic: https://developers.google.com/workspace/chat/api/reference/rest/v1/DeprecatedEvent
Add-on: https://developers.google.com/workspace/add-ons/concepts/event-objects#chat-event-object
"""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zlib import crc32

from shared.errors import InvalidInput
from shared.model.recurrence import load_timezone
from shared.model.times import iso
from watchkeeper.console.chat_markup import Shown, card, listed, message_text

SPACE = "spaces/console"
COMMANDS = {"remind": 1, "every": 2, "jobs": 3, "job": 4, "help": 5}  # with their ids in docs/CHAT.md
KEPT = 200
APP = {"name": "users/app", "displayName": "Watchkeeper", "type": "BOT"}

Message = dict[str, Any]
Event = dict[str, Any]


@dataclass(frozen=True)
class NoReply:
    """The reason why the function did not answer with 200 and JSON."""

    reason: str


Ask = Callable[[Event], Any]  # returns the JSON of the reply, or NoReply


@dataclass(frozen=True, kw_only=True)
class Person:
    """The person who writes, and the event format that Chat uses."""

    email: str
    is_add_on: bool

    def user(self) -> dict[str, str]:
        """Return the person in Chat's format."""
        name = self.email.partition("@")[0].replace(".", " ").title()
        user_id = f"users/{100_000 + crc32(self.email.encode())}"
        return {"name": user_id, "displayName": name, "email": self.email, "type": "HUMAN", "domainId": "console"}

    def writes(self, message: Message, now: datetime, timezone: str) -> Event:
        """Return the event of a message, or of the slash command at its start; `/101` is the command with that id."""
        found = re.match(r"/(\w+)", message["text"])
        number = _number(found[1]) if found else None
        if not self.is_add_on:
            command = {"slashCommand": {"commandId": str(number)}} if number else {}
            return {"type": "MESSAGE", "message": message | command, **self._around(now, timezone)}
        payload = {"space": message["space"], "message": message}
        if number is None:
            return self._add_on(now, timezone, {}, messagePayload=payload)
        metadata = {"appCommandId": number, "appCommandType": "SLASH_COMMAND"}
        payload |= {"appCommandMetadata": metadata, "isDialogEvent": False}
        return self._add_on(now, timezone, {}, appCommandPayload=payload)

    def taps(
        self,
        message: Message,
        action: Mapping[str, Any],
        inputs: Mapping[str, str],
        now: datetime,
        timezone: str,
        *,
        in_dialog: bool = False,
    ) -> Event:
        """Return the event of a tapped button, with the values of the fields of its card or its dialog."""
        opens = action.get("interaction") == "OPEN_DIALOG"
        kind = "SUBMIT_DIALOG" if in_dialog else "REQUEST_DIALOG" if opens else ""
        dialog = {"isDialogEvent": bool(kind), **({"dialogEventType": kind} if kind else {})}
        pairs = [pair for pair in listed(action, "parameters") if isinstance(pair, Mapping)]
        filled = {name: {"stringInputs": {"value": [str(value)]}} for name, value in inputs.items()}
        common = {"parameters": {str(pair.get("key")): pair.get("value") for pair in pairs}, "formInputs": filled}
        if self.is_add_on:
            payload = {"space": message["space"], "message": message, **dialog}
            return self._add_on(now, timezone, common, buttonClickedPayload=payload)
        event = {"type": "CARD_CLICKED", "message": message, **self._around(now, timezone)}
        event["common"] |= common | {"invokedFunction": action.get("function")}
        named = {"actionMethodName": action.get("function"), "parameters": pairs}
        return event | {"action": named, "space": message["space"], "thread": message["thread"], **dialog}

    def acts(self, message: Message, number: int, now: datetime, timezone: str) -> Event:
        """Return the event of a message action: a command that a person chooses for any message."""
        metadata = {"appCommandId": number, "appCommandType": "MESSAGE_ACTION"}
        if self.is_add_on:
            payload = {"space": message["space"], "message": message, "appCommandMetadata": metadata}
            return self._add_on(now, timezone, {}, appCommandPayload={**payload, "isDialogEvent": False})
        about = {"message": message, "appCommandMetadata": metadata, "isDialogEvent": False}
        return {"type": "APP_COMMAND", **about, **self._around(now, timezone)}

    def _around(self, now: datetime, timezone: str) -> Event:
        common = {"userLocale": "en", "hostApp": "CHAT", "timeZone": _zone(now, timezone)}
        return {"eventTime": iso(now), "user": self.user(), "space": _space(SPACE), "common": common}

    def _add_on(self, now: datetime, timezone: str, more: Mapping[str, Any], **payload: Any) -> Event:
        common = {"hostApp": "CHAT", "platform": "WEB", "userLocale": "en", "timeZone": _zone(now, timezone), **more}
        return {"commonEventObject": common, "chat": {"user": self.user(), "eventTime": iso(now), **payload}}


def _number(word: str) -> int | None:
    return int(word) if re.fullmatch("[1-9][0-9]{0,3}", word) else COMMANDS.get(word)


def _space(name: str) -> dict[str, str]:
    return {"name": name, "type": "ROOM", "spaceType": "SPACE", "displayName": "Console"}


def _zone(now: datetime, timezone: str) -> dict[str, Any]:
    offset = now.astimezone(load_timezone(timezone)).utcoffset()
    return {"id": timezone, "offset": int(offset.total_seconds() * 1000) if offset else 0}


class Room:
    """The one space of the console. `ask` calls the function; `posted` reads the messages from jobs."""

    def __init__(
        self, *, ask: Ask, posted: Callable[[], list[Message]], clock: Callable[[], datetime], timezone: str
    ) -> None:
        self._ask = ask
        self._posted = posted
        self._clock = clock
        self._timezone = timezone
        self._lock = threading.Lock()
        self._own: dict[str, Message] = {}  # by name: messages written here, and posts with a replaced card
        self._people: dict[str, str] = {}
        self._count = 0

    def say(self, text: str, *, person: Person, thread: str = "") -> None:
        """Write a message, in a new thread or a given one, and handle the reply."""
        user = person.user()
        self._people[user["name"]] = user["displayName"]
        message = self._keep(user, {"text": text}, thread)
        # In a space an app receives the messages that mention it; the mention is not part of the argument.
        argument = text.partition(" ")[2] if re.match(rf"/({'|'.join(COMMANDS)}|[0-9]+)\b", text) else text
        written = message | {"argumentText": f" {argument}", "formattedText": text}
        self._handle(self._ask(person.writes(written, self._clock(), self._timezone)), person, message)

    def tap(
        self,
        name: str,
        action: Mapping[str, Any],
        inputs: Mapping[str, str],
        *,
        person: Person,
        in_dialog: bool = False,
    ) -> Shown | None:
        """Tap a button of a message, or of the dialog it opened, and handle the reply: return the dialog it shows.

        Raises InvalidInput if the message is gone.
        """
        found = self._all().get(name)
        if found is None:
            raise InvalidInput("this message no longer exists; repeat the command")
        message = {"space": _space(SPACE), "thread": {}, **found, "sender": APP}
        event = person.taps(message, action, inputs, self._clock(), self._timezone, in_dialog=in_dialog)
        reply = self._ask(event)
        is_dialog, shown = _dialog(reply, person)
        if not is_dialog:
            self._handle(reply, person, message)
        return card({"card": shown}) if shown else None

    def act(self, name: str, number: int, *, person: Person) -> None:
        """Choose a message action for a message. Raises InvalidInput if the message is gone."""
        found = self._all().get(name)
        if found is None:
            raise InvalidInput("this message no longer exists")
        message = {"space": _space(SPACE), "thread": {}, **found}
        self._handle(self._ask(person.acts(message, number, self._clock(), self._timezone)), person, message)

    def messages(self) -> list[Message]:
        """Return the latest messages in order, as the page shows them."""
        in_order = sorted(self._all().values(), key=lambda message: str(message.get("createTime")))
        return [self._shown(message) for message in in_order[-KEPT:]]

    def _all(self) -> dict[str, Message]:
        posted = {message["name"]: message for message in self._posted() if isinstance(message.get("name"), str)}
        with self._lock:
            return posted | self._own

    def _keep(self, sender: Mapping[str, str], content: Mapping[str, Any], thread: str) -> Message:
        with self._lock:
            self._count += 1
            name = f"{SPACE}/messages/C{self._count}"
            message = {
                **content,
                "name": name,
                "sender": dict(sender),
                "createTime": iso(self._clock()),
                "thread": {"name": thread or f"{SPACE}/threads/C{self._count}"},
                "space": _space(SPACE),
            }
            self._own[name] = message
            for oldest in list(self._own)[:-KEPT]:
                del self._own[oldest]
            return message

    def _handle(self, reply: Any, person: Person, about: Message) -> None:
        """Handle a reply as Chat does: ignore it, add a message to the thread, or replace the card."""
        if isinstance(reply, NoReply):
            self._keep(APP, {"failure": reply.reason}, about["thread"].get("name", ""))
            return
        message, replaces = _read_add_on(reply) if person.is_add_on else _read_classic(reply)
        if message is None:
            kind = "add-on" if person.is_add_on else "classic"
            self._keep(
                APP,
                {"failure": f"The reply is not in the format for {kind} apps."},
                about["thread"]["name"],
            )
        elif replaces:
            with self._lock:
                kept = {
                    name: about[name] for name in ("name", "sender", "createTime", "thread", "space") if name in about
                }
                self._own[about["name"]] = message | kept
        elif message:
            self._keep(APP, message, about["thread"].get("name", ""))

    def _shown(self, message: Message) -> Message:
        sender, space = message.get("sender", {}), message.get("space", {}).get("name", SPACE)
        return {
            "name": message["name"],
            "thread": message.get("thread", {}).get("name", ""),
            "elsewhere": "" if space == SPACE else space,
            "who": "Watchkeeper" if sender.get("type") == "BOT" else sender.get("displayName", ""),
            "is_app": sender.get("type") == "BOT",
            "is_private": "privateMessageViewer" in message,
            "at": message.get("createTime", ""),
            "text": message_text(str(message.get("text", "")), self._people),
            "cards": [card(each) for each in listed(message, "cardsV2")],
            "failure": message.get("failure", ""),
        }


def _dialog(reply: Any, person: Person) -> tuple[bool, Mapping[str, Any]]:
    """Return whether a reply is about a dialog, and the card that it shows, which is empty if it closes the dialog."""
    try:
        if person.is_add_on:
            found = reply["action"]["navigations"][0].get("pushCard", {})
        else:
            response = reply["actionResponse"]
            found = response["dialogAction"].get("dialog", {}).get("body", {}) if response["type"] == "DIALOG" else None
    except (LookupError, TypeError, AttributeError):
        found = None
    return found is not None, found if isinstance(found, Mapping) else {}


def _read_classic(reply: Any) -> tuple[Message | None, bool]:
    """Return a reply's message and whether it replaces the one with the button; None if Chat would not show it."""
    if not isinstance(reply, dict) or "hostAppDataAction" in reply:
        return None, False
    response = reply.get("actionResponse")
    message = {name: value for name, value in reply.items() if name != "actionResponse"}
    return message, isinstance(response, dict) and response.get("type") == "UPDATE_MESSAGE"


def _read_add_on(reply: Any) -> tuple[Message | None, bool]:
    if reply == {}:
        return {}, False
    try:
        actions = reply["hostAppDataAction"]["chatDataAction"]
        replaces = "updateMessageAction" in actions
        message = actions["updateMessageAction" if replaces else "createMessageAction"]["message"]
        return (dict(message) if isinstance(message, dict) else None), replaces
    except (LookupError, TypeError):
        return None, False
