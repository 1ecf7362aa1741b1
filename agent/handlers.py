"""Your own job types: a function with `@handler` runs every job of its type. Replace the examples with yours.

    watchkeeper jobs add greet --payload '{"name": "Ada"}'
    watchkeeper jobs add research --payload '{"seconds": 120}'

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


@handler("research", timeout=timedelta(minutes=20), queue="agents")
def research(payload: Payload, context: Context) -> None:
    """Take as long as the payload asks: a job with a queue runs in a process of its own, and delays no other."""
    seconds = payload.get("seconds")
    if not isinstance(seconds, int) or seconds < 0:
        raise InvalidPayload('research needs a payload with a whole number: {"seconds": 120}')
    if context.stop.wait(seconds):
        raise RuntimeError(f"stopped: {context.stop_reason}")
    log.info("Found nothing in %d s", seconds, extra={"fields": {"action": "research", "job_id": context.job_id}})
