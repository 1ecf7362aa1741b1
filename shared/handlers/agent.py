"""The user's own agent, `CHAT_AGENT=module:function`: how it is found and asked, and how its answer becomes a message.

It is a plain function of a text and an `AgentContext`. It returns a text, a card or a whole Chat message, a `Proposal`
of a job, or None if it has nothing to say; `agent/chat.py` is an example. Chat asks it within a request, and a job of
type `agent` at its set time.
"""

import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from shared.errors import InvalidSettings
from shared.handlers.asking import Action as Action
from shared.handlers.proposal import Proposal as Proposal  # for agents to import from here
from shared.handlers.space_jobs import SpaceJobs
from shared.web.chat_rules import encoded

SPACE_KINDS = ("direct", "space", "group")
ASKER = ("space_kind", "session_key", "display_name", "user_name", "locale")  # of a context, and a job's payload


@dataclass(frozen=True, kw_only=True)
class AgentContext:
    """What the agent knows about who asks, and where. Unknown fields are empty.

    `user` is an e-mail address, or who made the job; `user_name` is Chat's own name of them, and `<users/ID>` in a text
    mentions them. `timezone` is the name of the zone of the user's times. `idempotency_key` is the same when the same
    thing is asked again: pass it on to services that must not act twice.

    `space_kind` is "direct", "space" or "group". `session_key` names the conversation: the space of a direct message,
    since there each message has a new thread, else the thread or, without one, the space. `message_name`,
    `formatted_text` (with mentions), `attachments`, `quoted` and `matched_url` are those of the message that asks;
    attachments and the quoted message are references as Chat has them, without content. `action` is what the person did
    instead of writing a message: the text is then empty, or the command with its word. `jobs` are those of the space;
    `shared.handlers.agent_tools` makes tools of them.
    """

    space: str
    thread: str | None
    user: str
    timezone: str
    idempotency_key: str
    now: datetime
    space_kind: str = ""
    session_key: str = ""
    display_name: str = ""
    user_name: str = ""
    locale: str = ""
    message_name: str = ""
    formatted_text: str = field(default="", repr=False)
    attachments: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    quoted: Mapping[str, Any] | None = field(default=None, repr=False)
    matched_url: str = field(default="", repr=False)
    action: Action | None = None
    jobs: SpaceJobs | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.session_key:
            is_direct = self.space_kind == "direct"
            object.__setattr__(self, "session_key", self.space if is_direct else self.thread or self.space)

    @property
    def asker(self) -> dict[str, str]:
        """Return what is known about who asks, for the payload of a job that asks in their name."""
        return {name: value for name in ASKER if (value := getattr(self, name))}


class UnusableAnswer(Exception):
    """The agent returned what cannot be posted; the message says why, and quotes nothing of the answer."""


Answer = str | Mapping[str, Any] | Proposal | None
Agent = Callable[[str, AgentContext], Answer]
_SLOW = "is_slow"


def slow(function: Agent) -> Agent:
    """Mark the decorated agent as slow: in Chat a job asks it from the start, so it is not asked twice."""
    setattr(function, _SLOW, True)
    return function


def is_slow(agent: Agent) -> bool:
    """Return whether the agent is marked as slow."""
    return getattr(agent, _SLOW, False) is True


def load_agent(name: str) -> Agent | None:
    """Import the agent named `module:function`; return None if the name is empty. Raises InvalidSettings."""
    if not name:
        return None
    module, _, function = name.partition(":")
    if not module or not function:
        raise _unusable(name, "it must be like module:function, such as agent.chat:answer")
    try:
        found = getattr(importlib.import_module(module), function, None)
    except (Exception, SystemExit) as exc:  # a module of the user's may raise anything
        raise _unusable(name, f"{module} cannot be imported: {type(exc).__name__}: {exc}") from exc
    if found is None:
        raise _unusable(name, f"{module} has no {function}")
    if not callable(found):
        raise _unusable(name, f"{function} is a {type(found).__name__}, not a function")
    if inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(type(found).__call__):
        raise _unusable(name, f"{function} is an async function; write it as a plain one")
    return cast(Agent, found)


def _unusable(name: str, problem: str) -> InvalidSettings:
    return InvalidSettings(f"CHAT_AGENT is {name[:100]!r}: {problem}", ("CHAT_AGENT",))


def as_answer(answer: object) -> Proposal | dict[str, Any] | None:
    """Return what an agent answered: a proposal as it is, anything else as `as_message` does. Raises UnusableAnswer."""
    return answer if isinstance(answer, Proposal) else as_message(answer)


def as_message(answer: object) -> dict[str, Any] | None:
    """Return the Chat message for a text, a card, or a whole message, or None if it has nothing to say.

    That is None, a blank text, or a message without a text and cards. Raises UnusableAnswer for anything else.
    """
    if answer is None:
        return None
    if isinstance(answer, str):
        answer = {"text": answer}
    if not isinstance(answer, Mapping):
        kind = type(answer).__name__
        raise UnusableAnswer(f"the agent must return a text, a card, a Chat message or a Proposal, not {kind}")
    if not answer.keys() & {"text", "cardsV2"} and answer.keys() & {"sections", "header"}:
        answer = {"cardsV2": [{"cardId": "agent", "card": answer}]}
    if answer and not answer.keys() & {"text", "cardsV2"}:
        raise UnusableAnswer("the agent returned neither a text nor a card")
    try:
        # The agent decides nothing else about a message, such as where it goes or who sees it.
        message = {name: json.loads(encoded(answer[name])) for name in ("text", "cardsV2") if answer.get(name)}
    except (TypeError, ValueError, RecursionError) as exc:
        raise UnusableAnswer(f"the agent's answer cannot be written as JSON ({type(exc).__name__})") from None
    text, cards = message.get("text", ""), message.get("cardsV2", [])
    if not isinstance(text, str):
        raise UnusableAnswer(f"the text of the agent's answer is of type {type(text).__name__}")
    if not isinstance(cards, list) or not all(isinstance(card, dict) for card in cards):
        raise UnusableAnswer("cardsV2 of the agent's answer is not a list of cards")
    return message if text.strip() or cards else None
