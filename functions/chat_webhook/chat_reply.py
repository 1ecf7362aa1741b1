"""A reply, in the format of each generation of Chat."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chat_event import Event, Kind
from shared.handlers.agent import fitted


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A message in reply to an event.

    `for_one` shows it to the event's person only; `replaces` puts it in the place of the message with the button.
    """

    message: Mapping[str, Any]
    for_one: bool = False
    replaces: bool = False


def says(text: str, *, for_one: bool = False) -> Reply:
    """Reply with a text."""
    return Reply(message={"text": text}, for_one=for_one)


def shows(card: Mapping[str, Any], *, replaces: bool = False) -> Reply:
    """Reply with a card."""
    return Reply(message={"cardsV2": [{"cardId": "watchkeeper", "card": card}]}, replaces=replaces)


def rendered(reply: Reply | None, event: Event) -> dict[str, Any]:
    """Return the response to the event's request; empty without a reply."""
    if reply is None:
        return {}
    replaces = reply.replaces and event.kind is Kind.CLICKED
    viewer = {"privateMessageViewer": {"name": event.user}} if reply.for_one and event.user else {}
    response = {"actionResponse": {"type": "UPDATE_MESSAGE"}} if replaces and not event.is_add_on else {}
    message = fitted({**reply.message, **viewer, **response})
    if not event.is_add_on:
        return message
    action = "updateMessageAction" if replaces else "createMessageAction"
    return {"hostAppDataAction": {"chatDataAction": {action: {"message": message}}}}
