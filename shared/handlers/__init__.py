"""What runs a job: functions registered by job type. The built-in ones are modules of this package.

from shared.handlers import Context, Payload, handler

@handler("greet")
def greet(payload: Payload, context: Context) -> None: ...
"""

from shared.handlers.registry import (
    DEFAULT_TIMEOUT,
    Cancel,
    Context,
    Handler,
    Handlers,
    InvalidPayload,
    Later,
    NeverAgain,
    Payload,
    Snooze,
    check_payload,
    handler,
    load_handlers,
)

__all__ = [
    "DEFAULT_TIMEOUT",
    "Cancel",
    "Context",
    "Handler",
    "Handlers",
    "InvalidPayload",
    "Later",
    "NeverAgain",
    "Payload",
    "Snooze",
    "check_payload",
    "handler",
    "load_handlers",
]
