"""The Python interface to jobs with a handler that checks its payload."""

from collections.abc import Callable
from datetime import timedelta

from shared.handlers import Handler, InvalidPayload, Payload
from shared.model.job import Job
from shared.store.documents import Unreadable
from shared.store.protocol import Change, Store

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
JobFactory = Callable[..., Job]


def needs_message(payload: Payload) -> None:
    if "message" not in payload:
        raise InvalidPayload("a message is needed")


HANDLERS = {"log": Handler(job_type="log", run=lambda payload, context: None, check=needs_message)}
HELLO = {"message": "hello"}


def insert(store: Store, *jobs: Job | Unreadable) -> None:
    store.swap([Change(None, job) for job in jobs])
