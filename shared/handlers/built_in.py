"""The built-in job types: what is known about each before a job of it runs, and by name the code that runs it.

That code is imported when the first job of the type is checked or run. A tick that finds nothing due, like nearly every
first one of an instance, starts without it.
"""

from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any

from shared.errors import InvalidSettings
from shared.handlers.registry import LONGEST_IN_QUEUE, Payload, handler

HTTP_REQUEST_LIMIT = timedelta(seconds=120)
_HTTP_REQUEST = "shared.handlers.http_request"
_CHAT_MESSAGE = "shared.handlers.chat_message"


def code(module: str, name: str) -> Callable[..., Any]:
    """Return a function that imports the named one when it is called, and calls it.

    It raises InvalidSettings if the import fails, as `load_handlers` does for a module of the user's.
    """

    def call(*args: Any) -> Any:
        try:
            imported = import_module(module)
        except Exception as exc:
            raise InvalidSettings(f"{module} cannot be imported: {type(exc).__name__}: {exc}") from exc
        return getattr(imported, name)(*args)

    call.__module__, call.__qualname__ = module, name
    return call


def _space(payload: Payload) -> str:
    return str(payload["space"])


handler(
    "http_request",
    timeout=HTTP_REQUEST_LIMIT,
    timeout_of=code(_HTTP_REQUEST, "limit_of"),
    check=code(_HTTP_REQUEST, "parse_request"),
)(code(_HTTP_REQUEST, "http_request"))

handler(
    "chat_message",
    timeout=timedelta(seconds=30),
    check=code(_CHAT_MESSAGE, "check_message"),
    concurrency_key=_space,
)(code(_CHAT_MESSAGE, "chat_message"))

handler(
    "agent",
    timeout=LONGEST_IN_QUEUE,
    timeout_of=code(_CHAT_MESSAGE, "limit_of"),
    check=code(_CHAT_MESSAGE, "check_question"),
    queue="agents",
    concurrency_key=_space,
)(code(_CHAT_MESSAGE, "agent"))

handler("subscription_check")(code("shared.subscriptions", "check"))
