"""The user's agent, asked within a reply: in a thread of its own, because Chat does not wait longer than 30 seconds."""

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.errors import InvalidSettings
from shared.handlers.agent import AgentContext, Proposal, UnusableAnswer, as_answer, is_slow, load_agent
from shared.jobs import Jobs
from shared.logs import log_chat_failure

log = logging.getLogger("watchkeeper.chat")

IS_SLOW = "I am on it, and will post the answer here."
IS_LATE = "This takes longer than Chat waits for an answer. I will post the answer here."


@dataclass(frozen=True)
class AgentMessage:
    """What the agent says; `replaces` puts it in the place of the card that was tapped."""

    content: Mapping[str, Any]
    replaces: bool = False


@dataclass(frozen=True)
class PutOff:
    """A job will answer; meanwhile the person reads this text."""

    says: str


@dataclass(frozen=True)
class Failed:
    """The agent raised an error, or its answer is unusable; the log has the reason."""


AgentReply = AgentMessage | Proposal | PutOff | Failed | None


def ask_agent(
    name: str, text: str, context: AgentContext, *, open_jobs: Callable[[], Jobs], limit: timedelta
) -> AgentReply:
    """Ask the agent of that name, and wait no longer than the limit. Raises InvalidSettings if it cannot be loaded."""
    answers: queue.Queue[AgentReply | BaseException] = queue.Queue()  # see shared.running.workers

    def ask() -> None:
        try:
            answers.put(_answer(name, text, context, open_jobs))
        except BaseException as exc:  # the user's code: an exception of any kind must not prevent the reply
            answers.put(exc)

    threading.Thread(target=copy_context().run, args=(ask,), daemon=True, name="agent").start()
    try:
        answer = answers.get(timeout=limit.total_seconds())
    except queue.Empty:
        return PutOff(IS_LATE)
    if isinstance(answer, InvalidSettings):
        raise answer
    if isinstance(answer, UnusableAnswer):
        log.error("%s", answer, extra={"fields": {"action": "chat_failed"}})
        return Failed()
    if isinstance(answer, BaseException):
        log_chat_failure("The agent", answer)
        return Failed()
    return answer


def _answer(name: str, text: str, context: AgentContext, open_jobs: Callable[[], Jobs]) -> AgentReply:
    from shared.handlers.agent_tools import with_jobs

    agent = load_agent(name)
    if agent is None:
        return None
    if is_slow(agent):
        return PutOff(IS_SLOW)
    said = agent(text, with_jobs(context, open_jobs))
    answer = as_answer(said)
    if answer is None or isinstance(answer, Proposal):
        return answer
    replaces = isinstance(said, Mapping) and said.get("actionResponse") == {"type": "UPDATE_MESSAGE"}
    return AgentMessage(answer, replaces)
