"""What runs a job: functions registered by job type, and the errors by which they decide what follows.

    @handler("greet", timeout=timedelta(seconds=10))
    def greet(payload: Mapping[str, Any], context: Context) -> None: ...

A handler that returns has succeeded, and what it returns is kept with the run (`shared.model.history.output_of`). One
that raises has failed and is tried again, unless it raises `Cancel` (the failure is final) or `Snooze` (not a failure:
the same occurrence runs again after the given pause). It must be idempotent: delivery is at least once, and
`context.execution_key` is the same in every attempt.

A handler with a `queue` is run off the tick, by Cloud Tasks, and may take up to 29 minutes:

    @handler("research", timeout=timedelta(minutes=20), queue="agents")

One with a `concurrency_key` runs one job of each key after another within a tick, in order of their time:

    @handler("post", concurrency_key=lambda payload: payload["space"])
"""

import importlib
import inspect
import logging
import re
import threading
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from shared.errors import InvalidInput, InvalidSettings
from shared.model.value import JOB_TYPE
from shared.settings import QUEUE

log = logging.getLogger("watchkeeper.handlers")

BUILT_IN = "shared.handlers.built_in"
AGENT_MODULE = "agent.handlers"
DEFAULT_TIMEOUT = timedelta(seconds=30)
LONGEST_IN_QUEUE = timedelta(minutes=29)  # Cloud Tasks waits for 30

Payload = Mapping[str, Any]


class Cancel(Exception):
    """Raised by a handler: this failure is final, do not retry. The job's next occurrence is not affected."""


class InvalidPayload(Cancel, InvalidInput):
    """The handler cannot work with the payload; the message names the field and what it must be."""


class Snooze(Exception):
    """Raised by a handler: not now; run this occurrence again after `delay` (at least 1 s). No attempt is used up."""

    def __init__(self, delay: timedelta, reason: str = "") -> None:
        if not isinstance(delay, timedelta):
            raise TypeError(f"Snooze needs a timedelta, not {delay!r}")
        super().__init__(reason or f"asked to run again in {delay.total_seconds():.0f} s")
        self.delay = delay


# Their former names, which keep working.
NeverAgain = Cancel
Later = Snooze


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a handler knows about its run.

    `execution_key` names the occurrence in every attempt at it: pass it on as an idempotency key. `attempt` counts from
    1. `deadline` is when the handler's time limit ends. `timezone` is that of a recurring job's schedule. A long
    handler should check `stop` (or wait on it) and return soon once it is set; `stop_reason` says why: "time limit",
    "lease lost", "cancelled", "paused" or "shutting down".
    """

    job_id: str
    job_type: str
    execution_key: str
    attempt: int
    schedule_at: datetime
    started_at: datetime
    deadline: datetime
    space: str | None = None
    created_by: str | None = None
    timezone: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    _reasons: list[str] = field(default_factory=list)

    @property
    def stop_reason(self) -> str | None:
        """Return why the handler should stop, or None."""
        return self._reasons[0] if self._reasons else None

    def ask_to_stop(self, reason: str) -> None:
        """Ask the handler to stop; only the first reason counts."""
        if not self._reasons:
            self._reasons.append(reason)
        self.stop.set()


@dataclass(frozen=True, kw_only=True)
class Handler:
    """A registered handler; see `handler` for its fields."""

    job_type: str
    run: Callable[[Payload, Context], object]
    timeout: timedelta = DEFAULT_TIMEOUT
    timeout_of: Callable[[Payload], timedelta] | None = None
    check: Callable[[Payload], object] | None = None
    queue: str | None = None
    concurrency_key: Callable[[Payload], Hashable] | None = None

    def limit(self, payload: Payload) -> timedelta:
        """Return the time limit of a run with this payload, at most `timeout`."""
        try:
            return min(self.timeout_of(payload), self.timeout) if self.timeout_of else self.timeout
        except Exception:
            return self.timeout  # an invalid payload is refused by the run itself

    def lane(self, payload: Payload) -> Hashable:
        """Return the key of which a tick runs only one job at a time, or None."""
        try:
            key = None if self.concurrency_key is None else (self.job_type, self.concurrency_key(payload))
            hash(key)
        except Exception:
            return None  # the same
        return key


Handlers = Mapping[str, Handler]
_registered: dict[str, Handler] = {}


def handler(
    job_type: str,
    *,
    timeout: timedelta = DEFAULT_TIMEOUT,
    timeout_of: Callable[[Payload], timedelta] | None = None,
    check: Callable[[Payload], object] | None = None,
    queue: str | None = None,
    concurrency_key: Callable[[Payload], Hashable] | None = None,
) -> Callable[[Callable[[Payload, Context], object]], Callable[[Payload, Context], object]]:
    """Register the decorated function as the handler of `job_type`.

    `timeout` bounds a run; with `timeout_of` a payload can ask for less. `check` refuses a payload by raising
    InvalidPayload, when the job is made as well as before it runs. With a `queue` the job is handed over to that queue
    of Cloud Tasks if TASK_QUEUES names it, and otherwise runs in the tick, under the tick's limit. Jobs with the same
    `concurrency_key` (of the payload) run one at a time in a tick. Raises InvalidSettings for a function that can never
    run, and if another function already has the name.
    """

    def register(function: Callable[[Payload, Context], object]) -> Callable[[Payload, Context], object]:
        _check_registration(job_type, function, timeout, queue)
        present = _registered.get(job_type)
        if present is not None and _origin(present.run) != _origin(function):
            raise InvalidSettings(
                f"two handlers are registered for {job_type!r}: {_origin(present.run)} and {_origin(function)}"
            )
        _registered[job_type] = Handler(
            job_type=job_type,
            run=function,
            timeout=timeout,
            timeout_of=timeout_of,
            check=check,
            queue=queue,
            concurrency_key=concurrency_key,
        )
        return function

    return register


def _check_registration(job_type: object, function: Callable[..., object], timeout: object, queue: object) -> None:
    if not isinstance(job_type, str) or not re.fullmatch(JOB_TYPE, job_type, re.ASCII):
        raise InvalidSettings(f"@handler needs the name of a job type (letters, digits, _ . : -), not {job_type!r}")
    if not isinstance(timeout, timedelta) or timeout <= timedelta():
        raise InvalidSettings(f"the handler of {job_type!r} needs a timedelta above zero as timeout, not {timeout!r}")
    if queue is not None and not (isinstance(queue, str) and re.fullmatch(QUEUE, queue, re.ASCII)):
        raise InvalidSettings(
            f"the handler of {job_type!r} has the queue {queue!r}; it may have lowercase letters, digits and -"
        )
    if queue is not None and timeout > LONGEST_IN_QUEUE:
        raise InvalidSettings(f"the handler of {job_type!r} has a timeout above 29 minutes, the longest in a queue")
    _check_function(job_type, function)


def _check_function(job_type: str, function: Callable[..., object]) -> None:
    """Refuse a function that does nothing when it is called, so that each of its jobs would seem to succeed."""
    # An object can be called, too.
    called = (function, type(function).__call__)
    if any(map(inspect.iscoroutinefunction, called)):
        raise InvalidSettings(f"the handler of {job_type!r} is an async function; write it as a plain one")
    if any(map(inspect.isgeneratorfunction, called)) or any(map(inspect.isasyncgenfunction, called)):
        raise InvalidSettings(f"the handler of {job_type!r} has a yield; write it as a plain function")


def _origin(function: Callable[..., object]) -> str:
    return f"{function.__module__}.{getattr(function, '__qualname__', function)}"


def load_handlers(modules: Collection[str]) -> Handlers:
    """Import the built-in handlers, `agent.handlers` if there is one, and the named modules; return all handlers.

    Raises InvalidSettings, which names the module and the error of its import.
    """
    importlib.import_module(BUILT_IN)
    named = set(modules)
    for module in dict.fromkeys([AGENT_MODULE, *modules]):
        try:
            importlib.import_module(module)
        except (Exception, SystemExit) as exc:
            is_absent = isinstance(exc, ModuleNotFoundError) and exc.name in ("agent", AGENT_MODULE)
            if is_absent and module not in named:
                continue
            source = "JOB_HANDLERS: " if module in named else ""
            raise InvalidSettings(f"{source}{module} cannot be imported: {type(exc).__name__}: {exc}") from exc
    return MappingProxyType(_registered)


def check_payload(handlers: Handlers, job_type: str, payload: Payload) -> None:
    """Refuse a payload that its handler would refuse. Raises InvalidPayload; an unknown type passes."""
    known = handlers.get(job_type)
    if known is not None and known.check is not None:
        known.check(payload)


@handler("log", check=lambda payload: _log_message(payload))
def write_log(payload: Payload, context: Context) -> None:
    """Write `message` to the log: the smallest job there is."""
    log.info(_log_message(payload), extra={"fields": {"action": "log", "job_id": context.job_id}})


def _log_message(payload: Payload) -> str:
    message = payload.get("message")
    if not isinstance(message, str) or not message:
        raise InvalidPayload('a log job needs a payload with a text: {"message": "..."}')
    return message
