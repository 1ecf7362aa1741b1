"""Your own agent: what it returns is what your Chat app says. Name it in CHAT_AGENT, and put yours in its place.

    CHAT_AGENT=agent.chat:answer

It is asked in Chat for all that is no command, and by jobs of the type `agent` at their set time. It returns a text, a
card, or a whole Chat message. What it raises is answered with an apology in Chat, and tried again in a job.
"""

from shared.handlers.agent import AgentContext


def answer(text: str, context: AgentContext) -> str:
    """Repeat what was said. What acts on the world outside passes `context.idempotency_key` on: it may be asked twice.

    In Chat there are 25 seconds for an answer; one that takes longer is asked for again in a job, which has 120.
    """
    return f"You said: {text}"
