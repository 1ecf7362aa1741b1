"""Who replies to an event: help at once, everything else by a module of its own, imported when it is first needed.

So `help`, often the first request to a new instance, waits for no code about jobs, times or agents.
"""

import logging
from collections.abc import Mapping
from importlib import import_module

from chat_event import COMMANDS, Dialog, EventKind
from chat_reply import Reply, says
from conversation import NOT_OURS, Conversation

log = logging.getLogger("watchkeeper.chat")

# The functions that reply. Each takes the conversation and the parameters of a button, or `text` or `id` of a message.
TEXT = "free_text.answer"
LIST = "managing.list_jobs"
JOB = "managing.show"
AGENT_COMMAND = "agent_turn.command"
AGENT_BUTTON = "agent_turn.clicked"
ACTIONS = {  # by the `action` of the button
    "list": "managing.turn",
    "show": JOB,
    **dict.fromkeys(("run", "pause", "resume", "cancel", "retry"), "managing.command"),
    "undo": "managing.undo",
    "move": "moving.ask",
    "moved": "moving.move",
    "edit": "editing.ask",
    "edited": "editing.edit",
    "change": "free_text.change",
    "confirm": "confirming.schedule",
    "discard": "confirming.discard",
    "proposed": "confirming.show_proposal",
    "snooze": "reminding.snooze_tapped",
    "done": "reminding.done",
}


def answer(conversation: Conversation) -> Reply | None:
    """Return the reply to the event, or None without one. Raises WatchkeeperError."""
    event = conversation.event
    if event.dialog is Dialog.CANCEL:
        return None
    match event.kind:
        case EventKind.MESSAGE if event.unknown_command and not conversation.agent:
            return conversation.help("I do not know that command")
        case EventKind.MESSAGE if event.unknown_command:
            return _reply_of(AGENT_COMMAND, conversation, {})
        case EventKind.MESSAGE:
            return _answer_text(conversation, event.text)
        case EventKind.CLICKED:
            return _answer_click(conversation, event.parameters)
        case EventKind.ADDED:
            return conversation.help("Hello! I send reminders and messages at the times that you choose")
        case _:
            return None


def _answer_text(conversation: Conversation, text: str) -> Reply | None:
    word, _, rest = text.partition(" ")
    is_command = conversation.event.is_command
    if word.startswith("/") and word[1:].lower() in COMMANDS.values():
        return _answer_text(conversation, text[1:])  # typed as a command that the app's configuration lacks
    match word.lower():
        case "help" | "" if not rest or is_command:
            return conversation.help("This is what I can do")
        case "jobs" if not rest or is_command:
            return _reply_of(LIST, conversation, {})
        case "job" if not rest:
            return conversation.help('Which job? Write "job" and its id, which the list of jobs shows')
        case "job" if " " not in rest.strip():
            return _reply_of(JOB, conversation, {"id": rest.strip()})
    return _reply_of(TEXT, conversation, {"text": text})


def _answer_click(conversation: Conversation, given: Mapping[str, str]) -> Reply | None:
    action = given.get("action", "")
    if not conversation.buttons.made(given):
        log.warning("A button is refused: it is not shown to be ours", extra={"fields": {"action": "button_refused"}})
        return says(NOT_OURS, for_one=True)
    if action == "say":
        return _answer_text(conversation, given.get("text", ""))
    if action in ACTIONS:
        return _reply_of(ACTIONS[action], conversation, given)
    if conversation.agent:
        return _reply_of(AGENT_BUTTON, conversation, given)
    log.warning("A button of Chat asks for what is not known", extra={"fields": {"action": "unknown_button"}})
    return None


def _reply_of(name: str, conversation: Conversation, given: Mapping[str, str]) -> Reply | None:
    """Import the function that replies, and return its reply."""
    module, _, function = name.partition(".")
    reply: Reply | None = getattr(import_module(module), function)(conversation, given)
    return reply
