"""Your own agent: your Chat app posts what it returns. Name it in CHAT_AGENT, and replace this example with yours.

    CHAT_AGENT=agent.chat:answer

Chat calls it for every message that is not a command, and jobs of type `agent` at their set time. It returns a text, a
card, or a whole Chat message; None or "" posts nothing. If it raises, Chat shows an apology, and a job is retried.
"""

from shared.handlers.agent import AgentContext


def answer(text: str, context: AgentContext) -> str:
    """Repeat the message. It may be asked twice, so pass `context.idempotency_key` to every service that you call.

    In Chat it has 25 seconds; if it takes longer, a job asks it again, with 29 minutes in the queue `agents`. With
    `@slow` (from `shared.handlers.agent`) only that job asks it.
    """
    return f"You said: {text}"
