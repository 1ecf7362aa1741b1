"""Handlers of the tests, and the types of their fixtures."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from shared.handlers import Context, Handler, Handlers, InvalidPayload, Payload
from shared.model.history import Result
from shared.model.job import Job

MINUTE = timedelta(minutes=1)
RETENTION = timedelta(days=30)
JobFactory = Callable[..., Job]
Run = Callable[..., Result]
WriteModule = Callable[[str, str], None]


def nothing(payload: Payload, context: Context) -> None:
    """Succeed."""


def raising(exc: BaseException) -> Callable[[Payload, Context], object]:
    def run(payload: Payload, context: Context) -> None:
        raise exc

    return run


def refuse_all(payload: Payload) -> None:
    raise InvalidPayload("name: it must be text")


def greeting(run: Callable[[Payload, Context], object], **details: Any) -> Handlers:
    """Handlers with `greet` only."""
    return {"greet": Handler(job_type="greet", run=run, **details)}
