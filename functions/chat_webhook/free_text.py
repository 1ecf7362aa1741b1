"""What a person writes freely: a command about a job, a request for something new, or something for the agent."""

from collections.abc import Mapping
from contextlib import suppress

import agent_turn
import moving
from chat_reply import Reply, says, shows
from confirming import NOT_YOURS, asker_here, asker_of, confirm
from conversation import Conversation
from job_words import Command, matching, read_command
from managing import LISTED, command, list_jobs, open_jobs, show
from markup import readable
from orders import Asker, NotUnderstood, Order
from reminding import snooze_here

NO_JOB = 'No job in this space fits {}, so nothing was changed. Write "jobs" to see what is scheduled.'
NO_REMINDER = "There is no reminder in this thread to snooze. Write snooze in the thread of a reminder."
EMPTY = "Nothing was changed: the field is empty. Write in it what to do and when, then tap Change."


def answer(conversation: Conversation, given: Mapping[str, str]) -> Reply | None:
    """Reply to a text."""
    text = given["text"]
    said = read_command(conversation.written(text))
    return (said and _answer_command(conversation, said)) or _answer_request(conversation, text, said)


def change(conversation: Conversation, given: Mapping[str, str]) -> Reply | None:
    """Read the request again from a button or from the card's fields, in the time zone given there."""
    event, asker = conversation.event, asker_of(conversation, given)
    if asker.email != event.email:
        return says(NOT_YOURS, for_one=True)  # the changed job would run as somebody who did not write it
    filled = event.filled if conversation.buttons.takes_fields else lambda name: ""
    phrase = given.get("phrase") or filled("phrase")
    if not phrase:
        return says(EMPTY, for_one=True)
    timezone = filled("timezone") or given.get("timezone") or conversation.timezone
    job_id = given.get("id", "")
    try:
        order = _understood(conversation, phrase, timezone)
    except NotUnderstood as exc:
        if conversation.agent and exc.is_for_agent:
            return agent_turn.ask(conversation, phrase)
        return _unclear(conversation, exc, phrase, job_id, asker, timezone)
    if order:
        return confirm(conversation, order, phrase, job_id, asker, replaces=True)
    if conversation.agent:
        return agent_turn.ask(conversation, phrase)
    return conversation.help("I do not understand that as something to schedule")


def _answer_command(conversation: Conversation, said: Command) -> Reply | None:
    """Return the reply to a command about jobs, or None if no job of the space fits."""
    match said.action:
        case "list" | "mine":
            return list_jobs(conversation, {"mine": "yes"} if said.action == "mine" else {})
        case "help":
            return conversation.help("This is what I can do")
        case "snooze":
            return snooze_here(conversation, said.when)
    found = matching(said.about, open_jobs(conversation), action=said.action, timezone=conversation.timezone)
    given = {"when": said.when} if said.when else {}
    if found.is_sure:
        act = {"move": moving.ask, "show": show}.get(said.action, command)
        return act(conversation, {"action": said.action, "id": found.jobs[0].id, **given})
    if not found.jobs or (said.action == "show" and conversation.agent):  # which is asked to show other things too
        return None
    more = max(len(found.jobs) - LISTED, 0)
    return shows(conversation.cards.which(found.jobs[:LISTED], said.action, more=more, **given))


def _answer_request(conversation: Conversation, text: str, said: Command | None) -> Reply | None:
    """Return the reply to a request for something new, or to something for the agent.

    `said` is a command that no job fits.
    """
    written, job_id, asker = conversation.written(text), conversation.new_id(text), asker_here(conversation)
    is_command = conversation.event.is_command
    try:
        order = _as_written(conversation, written, text) or _understood(conversation, text, conversation.timezone)
    except NotUnderstood as exc:
        if conversation.agent and exc.is_for_agent and not is_command:
            return agent_turn.ask(conversation, text)
        return _unclear(conversation, exc, written, job_id, asker, conversation.timezone)
    if order:
        return confirm(conversation, order, written, job_id, asker)
    if is_command:
        return conversation.help("I do not understand that")
    if said and not conversation.agent:
        about = readable(said.about, conversation.event.names)[:100]
        return says(NO_REMINDER if said.action == "snooze" else NO_JOB.format(repr(about)))
    return agent_turn.ask(conversation, text)


def _understood(conversation: Conversation, text: str, timezone: str) -> Order | None:
    from phrases import understand  # 100 ms of a start, which a command about a job does without

    return understand(text, now=conversation.now, timezone=timezone)


def _as_written(conversation: Conversation, written: str, text: str) -> Order | None:
    """Return the order with its markup, unless its time is read differently without."""
    if written == text:
        return None
    with suppress(NotUnderstood):
        marked, plain = (_understood(conversation, each, conversation.timezone) for each in (written, text))
        return marked if marked and plain and marked.when == plain.when else None
    return None


def _unclear(
    conversation: Conversation, exc: NotUnderstood, phrase: str, job_id: str, asker: Asker, timezone: str
) -> Reply:
    card = conversation.cards.unclear(
        str(exc), exc.suggestions, job_id=job_id, asker=asker, timezone=timezone, phrase=phrase
    )
    return shows(card)
