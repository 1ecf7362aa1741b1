"""Your own job types: a function with `@handler` runs every job of its type. Replace the example with yours.

    watchkeeper jobs add greet --payload '{"name": "Ada"}'

`shared/handlers/registry.py` describes what a handler may raise, and what its context contains.
"""

import logging
from datetime import timedelta

from shared.handlers import Context, InvalidPayload, Payload, handler

log = logging.getLogger("watchkeeper.agent")


@handler("greet", timeout=timedelta(seconds=10))
def greet(payload: Payload, context: Context) -> None:
    """Write a greeting to the log. A job may run twice, so a real handler passes on `context.execution_key`."""
    name = payload.get("name")
    if not isinstance(name, str):
        raise InvalidPayload('greet needs a payload with a text: {"name": "Ada"}')
    log.info("Good morning, %s", name, extra={"fields": {"action": "greet", "job_id": context.job_id}})
