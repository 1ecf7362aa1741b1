"""Your own job types: a function with `@handler` runs every job of its type. Put yours in the place of the example.

    watchkeeper jobs add greet --payload '{"name": "Ada"}'

What a handler may raise, and what its context tells it, is described in `shared/handlers/registry.py`.
"""

import logging
from datetime import timedelta

from shared.handlers import Context, InvalidPayload, Payload, handler

log = logging.getLogger("watchkeeper.agent")


@handler("greet", timeout=timedelta(seconds=10))
def greet(payload: Payload, context: Context) -> None:
    """Write a greeting to the log. A job may run twice, so a real handler passes `context.execution_key` on."""
    name = payload.get("name")
    if not isinstance(name, str):
        raise InvalidPayload('greet needs a payload with a text: {"name": "Ada"}')
    log.info("Good morning, %s", name, extra={"fields": {"action": "greet", "job_id": context.job_id}})
