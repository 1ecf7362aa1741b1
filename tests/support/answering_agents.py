"""Agents for the tests of a conversation: each answers in one way. `asked` records what was said to them.

A conversation finds an agent by its name, so they stand in a module of their own."""

import json
import time
from typing import Any

from shared.handlers.agent import AgentContext, Proposal, slow
from shared.handlers.agent_tools import agent_tools, proposer

AGENT = "tests.support.answering_agents"
asked: list[tuple[str, AgentContext]] = []
slow_keys: list[str] = []


def answering(text: str, context: AgentContext) -> str:
    """Answer at once."""
    asked.append((text, context))
    return f"You said: {text}"


def with_card(text: str, context: AgentContext) -> Any:
    """Answer with a card."""
    return {"header": {"title": "A card"}, "sections": []}


def scheduling(text: str, context: AgentContext) -> str:
    tools = {tool.__name__: tool for tool in agent_tools(context)}
    return f"{tools['schedule_job']('question', 'is it green?', every='1h')['job']['id']} is made"


def raising(text: str, context: AgentContext) -> str:
    """Fail, quoting what was said."""
    raise RuntimeError(f"cannot do {text}")


def counting(text: str, context: AgentContext) -> Any:
    """Answer with what is neither a text nor a message."""
    return 42


def late(text: str, context: AgentContext) -> str:
    """Take longer than the conversation waits."""
    slow_keys.append(context.idempotency_key)
    time.sleep(0.5)
    return "too late"


def mute(text: str, context: AgentContext) -> None:
    """Answer nothing."""


def long_winded(text: str, context: AgentContext) -> str:
    """Return more than fits into two messages."""
    return "\n\n".join(f"{number}: {'word ' * 1000}" for number in range(15))


@slow
def plodding(text: str, context: AgentContext) -> str:
    """Declare that the answer takes long, so that Chat does not wait for it."""
    asked.append((text, context))
    return "never said"


def asking(text: str, context: AgentContext) -> Any:
    """Answer with a form; its button approves."""
    asked.append((text, context))
    if context.action and context.action.kind == "click":
        return {"text": f"{context.action.name}d", "actionResponse": {"type": "UPDATE_MESSAGE"}}
    parameters = [{"key": "action", "value": "deploy"}, {"key": "id", "value": "7"}]
    action = {"function": "approve", "parameters": parameters}
    field = {"textInput": {"name": "why", "label": "Why", "onChangeAction": {"function": "typed"}}}
    links = {"text": "Read", "onClick": {"openLink": {"url": "https://example.com"}}}
    buttons = {"buttonList": {"buttons": [{"text": "Approve", "onClick": {"action": action}}, links]}}
    return {"header": {"title": "Deploy?"}, "sections": [{"widgets": [field, buttons]}]}


def proposing(text: str, context: AgentContext) -> Proposal:
    """Propose the job that the text describes as JSON; for any other text, a daily question."""
    given = json.loads(text) if text.startswith("{") else {"kind": "question", "text": text, "cron": "0 9 * * *"}
    return proposer(context)(**given)
