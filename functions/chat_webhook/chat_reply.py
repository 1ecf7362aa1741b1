"""A reply, in the format of each generation of Chat."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from chat_event import Dialog, Event, EventKind
from shared.web.chat_rules import fitted


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A message in reply to an event.

    `for_one` shows it to the event's person only; `replaces` replaces the message with the button; `is_dialog` shows
    its card as a dialog. An event that opens a dialog is always answered with one.
    """

    message: Mapping[str, Any]
    for_one: bool = False
    replaces: bool = False
    is_dialog: bool = False


def says(text: str, *, for_one: bool = False) -> Reply:
    """Reply with a text."""
    return Reply(message={"text": text}, for_one=for_one)


def shows(card: Mapping[str, Any], *, replaces: bool = False, is_dialog: bool = False) -> Reply:
    """Reply with a card."""
    return Reply(message={"cardsV2": [{"cardId": "watchkeeper", "card": card}]}, replaces=replaces, is_dialog=is_dialog)


def rendered(reply: Reply | None, event: Event) -> dict[str, Any]:
    """Return the response to the event's request; empty without a reply."""
    if reply is None:
        return _closed(event) if event.dialog in (Dialog.OPEN, Dialog.SUBMIT) else {}
    if reply.is_dialog or event.dialog is Dialog.OPEN:
        return _dialog(_card_of(reply.message), event)
    replaces = reply.replaces and event.kind is EventKind.CLICKED and event.dialog is None
    # Chat documents private messages for spaces with several people; a direct message has one.
    is_private = reply.for_one and event.user and not event.is_direct
    viewer = {"privateMessageViewer": {"name": event.user}} if is_private else {}
    kind = "UPDATE_MESSAGE" if replaces else "NEW_MESSAGE" if event.dialog else ""
    response = {"actionResponse": {"type": kind}} if kind and not event.is_add_on else {}
    message = fitted({**reply.message, **viewer, **response})
    if not event.is_add_on:
        return message
    action = "updateMessageAction" if replaces else "createMessageAction"
    return {"hostAppDataAction": {"chatDataAction": {action: {"message": message}}}}


def _card_of(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the card of a message, or its text as one."""
    cards = message.get("cardsV2") or [{}]
    said = {"textParagraph": {"text": escape(str(message.get("text", "")), quote=False)}}
    card: Mapping[str, Any] = cards[0].get("card") or {"sections": [{"widgets": [said]}]}
    return card


def _dialog(card: Mapping[str, Any], event: Event) -> dict[str, Any]:
    if event.is_add_on:
        return {"action": {"navigations": [{"pushCard": card}]}}
    return {"actionResponse": {"type": "DIALOG", "dialogAction": {"dialog": {"body": card}}}}


def _closed(event: Event) -> dict[str, Any]:
    if event.is_add_on:
        return {"action": {"navigations": [{"endNavigation": {"action": "CLOSE_DIALOG"}}]}}
    return {"actionResponse": {"type": "DIALOG", "dialogAction": {"actionStatus": {"statusCode": "OK"}}}}
