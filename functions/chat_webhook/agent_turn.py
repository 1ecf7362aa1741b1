"""The agent's turn: its context, and what follows from its answer: a reply, a card that asks, or a job."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from agent_reply import AgentMessage, Failed, PutOff, ask_agent
from chat_event import text_in
from chat_reply import Reply, says
from confirming import asker_here, propose
from conversation import SORRY, Conversation
from shared.handlers.agent import AgentContext, Proposal
from shared.handlers.asking import Action, ActionKind, pack_asked, routed, unrouted
from shared.jobs import AlreadyScheduled
from shared.model.times import iso
from shared.web.chat_rules import in_parts


def command(conversation: Conversation, given: Mapping[str, str]) -> Reply | None:
    """Return the agent's answer to a command of the app's configuration that is not ours."""
    event = conversation.event
    kind: ActionKind = "message_action" if event.is_message_action else "command"
    about = event.source if event.is_message_action else {}
    return ask(conversation, event.text, Action(kind=kind, name=event.unknown_command, message=about))


def clicked(conversation: Conversation, given: Mapping[str, str]) -> Reply | None:
    """Return the agent's answer to a click that is not for us."""
    event = conversation.event
    name, parameters = unrouted(given, event.function)
    action = Action(kind="click", name=name, parameters=parameters, inputs=event.inputs, message=event.source)
    return ask(conversation, "", action)


def ask(conversation: Conversation, text: str, action: Action | None = None) -> Reply | None:
    """Return the agent's answer, or help if there is no agent."""
    if not conversation.agent:
        return conversation.help("I do not understand that")
    now = conversation.event.sent_at or conversation.now
    job_id = conversation.new_id(text or (action.name if action else ""))
    context = _context(conversation, f"{job_id}@{iso(now)}", action)  # the key of the job, if the answer becomes one
    answer = ask_agent(conversation.agent, text, context, open_jobs=conversation.jobs, limit=conversation.agent_limit)
    match answer:
        case AgentMessage():
            buttons = conversation.buttons
            first, *rest = in_parts(routed(answer.content, buttons.function, buttons.marked))
            _post_rest(conversation, rest, job_id, now)
            return Reply(message=first, replaces=answer.replaces)
        case Proposal():
            proposal_id, asker = conversation.new_id(f"proposal {text}"), asker_here(conversation)
            return propose(conversation, answer, conversation.timezone, proposal_id, asker, phrase=text)
        case PutOff():
            _put_off(conversation, text, context, job_id, now)
            return says(answer.says)
        case Failed():
            return says(SORRY.format(conversation.trace_id))
    return None


def _post_rest(conversation: Conversation, parts: Sequence[Mapping[str, Any]], job_id: str, asked_at: datetime) -> None:
    """Schedule jobs that post what does not fit into a reply, one after another, in the order of their times."""
    for number, part in enumerate(parts, 2):
        with suppress(AlreadyScheduled):  # by the same event, delivered twice
            conversation.jobs().schedule(
                "chat_message",
                {**part, **conversation.place},
                id=f"{job_id}-{number}",
                at=asked_at + timedelta(microseconds=number),
                space=conversation.event.space,
                by=conversation.by,
            )


def _put_off(conversation: Conversation, text: str, context: AgentContext, job_id: str, asked_at: datetime) -> None:
    """Schedule a job that asks the agent, with the same context."""
    asker = {name: value for name, value in context.asker.items() if name != "session_key"}  # follows from the place
    asked = {"asked": message} if (message := pack_asked(context)) else {}
    with suppress(AlreadyScheduled):  # by the same event, delivered twice
        conversation.jobs().schedule(
            "agent",
            {"prompt": text, "timezone": context.timezone, **asker, **asked, **conversation.place},
            id=job_id,
            at=asked_at,
            space=conversation.event.space,
            by=conversation.by,
        )
    conversation.log("agent_put_off", job_id)


def _context(conversation: Conversation, key: str, action: Action | None) -> AgentContext:
    event = conversation.event
    source = event.source if event.is_written else {}
    attachments, quoted, url = (source.get(name) for name in ("attachment", "quotedMessageMetadata", "matchedUrl"))
    return AgentContext(
        space=event.space,
        thread=event.thread or None,
        user=event.email,
        timezone=conversation.timezone,
        idempotency_key=key,
        now=conversation.now,
        space_kind=event.space_kind,
        display_name=event.display_name,
        user_name=event.user,
        locale=event.locale,
        message_name=event.message if event.is_written else "",
        formatted_text=text_in(source, "formattedText"),
        attachments=tuple(each for each in attachments if isinstance(each, Mapping))
        if isinstance(attachments, list)
        else (),
        quoted=quoted if isinstance(quoted, Mapping) else None,
        matched_url=text_in(url, "url"),
        action=action,
    )
