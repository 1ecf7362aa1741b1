"""Events as Google Chat sends them, in both generations, and what a reply says, whichever of them it is for.

Written from the discovery document of chat.v1 (DeprecatedEvent) and the add-on's event objects.
"""

import json
from collections.abc import Iterator, Mapping
from email.message import Message
from typing import Any

from watchkeeper.fakes.chat import CREATE
from watchkeeper.fakes.discovery import Discovery
from watchkeeper.fakes.server import Request, json_response

SPACE = "spaces/AAAAspace"
THREAD = f"{SPACE}/threads/TTTT"
USER = {"name": "users/104", "displayName": "Ada", "email": "Ada@example.com", "type": "HUMAN", "domainId": "abc"}
BERLIN = {"id": "Europe/Berlin", "offset": 3600000}
NUMBERS = {"remind": 1, "every": 2, "jobs": 3, "job": 4, "help": 5, "staging": 101}  # the last one is not ours
CHAT_API = Discovery("chat", "v1", lambda code, status, message, reason: json_response({"error": message}, code))
LARGEST_MESSAGE = 32_000


class Classic:
    """Events of a classic Chat app. The keyword arguments of each method replace top-level fields."""

    is_add_on = False

    @staticmethod
    def message(text: str, *, name: str = "M1.M1", space: str = SPACE, thread: str | None = None, **more: Any) -> Any:
        """A message that mentions the app."""
        return {
            "type": "MESSAGE",
            "eventTime": "2026-11-21T09:00:00.445482Z",
            "user": USER,
            "space": _space(space),
            "message": _message(text, name, space, thread),
            "common": {"userLocale": "en", "hostApp": "CHAT", "timeZone": BERLIN},
            "configCompleteRedirectUrl": "https://chat.google.com/api/bot_config_complete?token=secret",
            **more,
        }

    @classmethod
    def command(cls, word: str, argument: str = "", **given: Any) -> Any:
        """A slash command: a message with the command's number."""
        event = cls.message(f"/{word} {argument}", **given)
        event["message"] |= {"argumentText": f" {argument}", "slashCommand": {"commandId": str(NUMBERS[word])}}
        return event

    @classmethod
    def quick_command(cls, word: str, **given: Any) -> Any:
        """A quick command: an event of its own, without a message."""
        event = cls.message("", **given)
        del event["message"]
        number = {"appCommandId": NUMBERS[word], "appCommandType": "QUICK_COMMAND"}
        return event | {"type": "APP_COMMAND", "appCommandMetadata": number, "thread": {"name": THREAD}}

    @classmethod
    def message_action(cls, number: int, text: str, **given: Any) -> Any:
        """An action of the app that is chosen for a message of somebody else."""
        event = cls.message(text, **given)
        action = {"appCommandId": number, "appCommandType": "MESSAGE_ACTION"}
        return event | {"type": "APP_COMMAND", "appCommandMetadata": action}

    @classmethod
    def added(cls, text: str = "", **given: Any) -> Any:
        """The app is added to a space, perhaps by a mention."""
        event = cls.message(text, **given)
        if not text:
            del event["message"]
        return event | {"type": "ADDED_TO_SPACE"}

    @classmethod
    def removed(cls, **given: Any) -> Any:
        """The app is removed from a space."""
        event = cls.message("", **given)
        del event["message"]
        return event | {"type": "REMOVED_FROM_SPACE"}

    @classmethod
    def click(
        cls, button: Mapping[str, Any], *, inputs: Mapping[str, str] | None = None, submits: bool = False, **given: Any
    ) -> Any:
        """A click on a button of one of the app's own messages; one that `submits` stands in a dialog."""
        action = button["onClick"]["action"]
        event = cls.message("", **given)
        event["message"] |= {"sender": {"name": "users/app", "type": "BOT"}}
        event["common"] |= {
            "invokedFunction": action["function"],
            "parameters": {pair["key"]: pair["value"] for pair in action["parameters"]},
            "formInputs": _inputs(inputs),
        }
        named = {"actionMethodName": action["function"], "parameters": action["parameters"]}
        thread = {"name": event["message"]["thread"]["name"]}
        return event | {"type": "CARD_CLICKED", "action": named, "thread": thread, **_dialog(action, submits)}


class AddOn:
    """Events of a Workspace add-on that extends Chat."""

    is_add_on = True

    @classmethod
    def message(
        cls, text: str, *, name: str = "M1.M1", space: str = SPACE, thread: str | None = None, **more: Any
    ) -> Any:
        """A message that mentions the app."""
        redirect = {"configCompleteRedirectUri": "https://chat.google.com/api/bot_config_complete?token=secret"}
        payload = {"space": _space(space), "message": _message(text, name, space, thread), **redirect}
        return cls._event(messagePayload=payload) | more

    @classmethod
    def command(cls, word: str, argument: str = "", **given: Any) -> Any:
        """A slash command."""
        payload = cls.message(f"/{word} {argument}", **given)["chat"]["messagePayload"]
        payload["message"]["argumentText"] = f" {argument}"
        number = {"appCommandId": NUMBERS[word], "appCommandType": "SLASH_COMMAND"}
        return cls._event(appCommandPayload={**payload, "appCommandMetadata": number, "isDialogEvent": False})

    @classmethod
    def quick_command(cls, word: str, space: str = SPACE) -> Any:
        """A quick command, without a message."""
        number = {"appCommandId": NUMBERS[word], "appCommandType": "QUICK_COMMAND"}
        payload = {"space": _space(space), "thread": {"name": THREAD}, "appCommandMetadata": number}
        return cls._event(appCommandPayload=payload)

    @classmethod
    def message_action(cls, number: int, text: str, **given: Any) -> Any:
        """An action of the app that is chosen for a message of somebody else."""
        payload = cls.message(text, **given)["chat"]["messagePayload"]
        action = {"appCommandId": number, "appCommandType": "MESSAGE_ACTION"}
        return cls._event(appCommandPayload={**payload, "appCommandMetadata": action})

    @classmethod
    def added(cls, text: str = "", space: str = SPACE) -> Any:
        """The app is added to a space; if it was by a mention, that follows in an event of its own."""
        return cls._event(addedToSpacePayload={"space": _space(space), "interactionAdd": bool(text)})

    @classmethod
    def removed(cls, space: str = SPACE) -> Any:
        """The app is removed from a space."""
        return cls._event(removedFromSpacePayload={"space": _space(space)})

    @classmethod
    def click(
        cls, button: Mapping[str, Any], *, inputs: Mapping[str, str] | None = None, submits: bool = False, **given: Any
    ) -> Any:
        """A click on a button of one of the app's own messages; one that `submits` stands in a dialog."""
        payload = cls.message("", **given)["chat"]["messagePayload"]
        payload["message"]["sender"] = {"name": "users/app", "type": "BOT"}
        dialog = _dialog(button["onClick"]["action"], submits)
        event = cls._event(buttonClickedPayload={**payload, "isDialogEvent": False, **dialog})
        event["commonEventObject"] |= {
            "parameters": {pair["key"]: pair["value"] for pair in button["onClick"]["action"]["parameters"]},
            "formInputs": _inputs(inputs),
        }
        return event

    @staticmethod
    def _event(**payload: Any) -> dict[str, Any]:
        common = {"hostApp": "CHAT", "platform": "WEB", "userLocale": "en", "timeZone": BERLIN}
        return {"commonEventObject": common, "chat": {"user": USER, "eventTime": "2026-11-21T09:00:00Z", **payload}}


def from_person(event: Any, **changes: Any) -> Any:
    """Return the event as it would come from another person."""
    if "chat" in event:
        return {**event, "chat": {**event["chat"], "user": {**USER, **changes}}}
    return {**event, "user": {**USER, **changes}}


def message_in(event: Any) -> dict[str, Any]:
    """Return the message of an event, to be changed."""
    chat = event.get("chat", {})
    found: dict[str, Any] = next((chat[name] for name in chat if name.endswith("Payload")), event)["message"]
    return found


def with_markup(event: Any, formatted: str, **names: str) -> Any:
    """Return an event whose message has this formatted text; `names` are those of mentioned people, by the id's end."""
    people = {"app": {"name": "users/app", "displayName": "Watchkeeper", "type": "BOT"}}
    people |= {each: {"name": f"users/{each}", "displayName": name, "type": "HUMAN"} for each, name in names.items()}
    annotations = [{"type": "USER_MENTION", "userMention": {"user": user}} for user in people.values()]
    message_in(event).update(formattedText=formatted, annotations=annotations)
    return event


def checked(reply: Mapping[str, Any]) -> dict[str, Any]:
    """Return the message of a reply, after checking both as Chat does: form, fields, values and length.

    Of a reply that shows a dialog it is a message with its card.
    """
    message = message_of(reply)
    if is_dialog(reply):
        assert reply in (dialog_reply(message, is_add_on=True), dialog_reply(message, is_add_on=False))
    if "hostAppDataAction" in reply:
        action = "updateMessageAction" if replaces(reply) else "createMessageAction"
        assert reply == {"hostAppDataAction": {"chatDataAction": {action: {"message": message}}}}
        assert "actionResponse" not in message
    body = json.dumps(message, ensure_ascii=False).encode()
    request = Request(method="POST", path=f"/v1/{SPACE}/messages", query={}, headers=Message(), body=body)
    assert CHAT_API.checked_body(request, CHAT_API.method_of(request, faked=[CREATE])) == message  # raises Rejected
    assert message.get("text") or message.get("cardsV2")
    assert len(body) <= LARGEST_MESSAGE
    return message


def message_of(reply: Mapping[str, Any]) -> dict[str, Any]:
    """Return the message that a reply, of either generation, makes or puts in another's place."""
    if "action" in reply:
        (navigation,) = reply["action"]["navigations"]
        return {"cardsV2": [{"card": navigation["pushCard"]}]}
    if is_dialog(reply):
        return {"cardsV2": [{"card": reply["actionResponse"]["dialogAction"]["dialog"]["body"]}]}
    if "hostAppDataAction" not in reply:
        return dict(reply)
    (action,) = reply["hostAppDataAction"]["chatDataAction"].values()
    message: dict[str, Any] = action["message"]
    return message


def is_dialog(reply: Mapping[str, Any]) -> bool:
    """Return whether a reply shows a dialog, or closes one."""
    return "action" in reply or reply.get("actionResponse", {}).get("type") == "DIALOG"


def dialog_reply(message: Mapping[str, Any], *, is_add_on: bool) -> dict[str, Any]:
    """Return the reply that shows the card of a message as a dialog."""
    card = message["cardsV2"][0]["card"]
    if is_add_on:
        return {"action": {"navigations": [{"pushCard": card}]}}
    return {"actionResponse": {"type": "DIALOG", "dialogAction": {"dialog": {"body": card}}}}


def closes(*, is_add_on: bool) -> dict[str, Any]:
    """Return the reply that closes a dialog."""
    if is_add_on:
        return {"action": {"navigations": [{"endNavigation": {"action": "CLOSE_DIALOG"}}]}}
    return {"actionResponse": {"type": "DIALOG", "dialogAction": {"actionStatus": {"statusCode": "OK"}}}}


def replaces(reply: Mapping[str, Any]) -> bool:
    """Return whether a reply takes the place of the message with the button."""
    if "hostAppDataAction" in reply:
        return "updateMessageAction" in reply["hostAppDataAction"]["chatDataAction"]
    return reply.get("actionResponse") == {"type": "UPDATE_MESSAGE"}


def words_of(value: Any) -> str:
    """Return everything that a person reads in a message, a line each."""
    return "\n".join(_words(value))


def buttons_of(value: Any) -> list[dict[str, Any]]:
    """Return the buttons of a message, in order."""
    return [found for found in _objects(value) if "onClick" in found]


def fields_of(reply: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a card or a dialog, and what stands in them."""
    inputs = [found["textInput"] for found in _objects(message_of(reply)) if "textInput" in found]
    return {each["name"]: each["value"] for each in inputs}


def button(value: Any, label: str) -> dict[str, Any]:
    """Return the first button of that label."""
    return next(found for found in buttons_of(value) if found["text"] == label)


def _words(value: Any) -> Iterator[str]:
    for found in _objects(value):
        for name in ("title", "subtitle", "topLabel", "text", "bottomLabel", "label"):
            if isinstance(found.get(name), str):
                yield found[name]


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from _objects(each)


def _space(name: str) -> dict[str, Any]:
    return {"name": name, "type": "ROOM", "spaceType": "SPACE", "displayName": "Room"}


def _message(text: str, name: str, space: str, thread: str | None) -> dict[str, Any]:
    return {
        "name": f"{space}/messages/{name}",
        "sender": USER,
        "createTime": "2026-11-21T09:00:00.445482Z",
        "text": f"@Watchkeeper {text}",
        "argumentText": f" {text}",
        "thread": {"name": thread or f"{space}/threads/TTTT"},
        "space": _space(space),
    }


def _dialog(action: Mapping[str, Any], submits: bool) -> dict[str, Any]:
    """Return the fields of an event that opens a dialog, or comes from one."""
    kind = "SUBMIT_DIALOG" if submits else "REQUEST_DIALOG" if action.get("interaction") == "OPEN_DIALOG" else ""
    return {"isDialogEvent": True, "dialogEventType": kind} if kind else {}


def _inputs(inputs: Mapping[str, str] | None) -> dict[str, Any]:
    return {name: {"stringInputs": {"value": [value]}} for name, value in (inputs or {}).items()}
