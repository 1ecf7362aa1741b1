"""The threads of a tick: they run the jobs that it holds and return results. They never touch the store."""

import contextvars
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.handlers import DEFAULT_TIMEOUT, Context, Handlers, Later, NeverAgain
from shared.model.history import Result
from shared.model.job import Job
from shared.model.life import MAX_ERROR_CHARACTERS


@dataclass(eq=False)
class Held:
    """A job that a tick holds, from its claim until its end is stored or refused."""

    found: Job  # as it was before the claim
    job: Job  # the newest version that this holder wrote or read
    limit: timedelta
    context: Context | None = None
    began_after: timedelta = timedelta()  # how long after the tick its handler began
    ended_after: timedelta = timedelta()  # and had a result
    exception: BaseException | None = None
    result: Result | None = None
    is_given_back: bool = False  # it was not begun, and another tick shall run it
    is_lost: bool = False  # the lease is another's, or nobody's: whatever comes will be refused
    is_refused: bool = False  # the store cannot hold its result
    is_abandoned: bool = False  # the handler outlived its limit; its thread is left behind
    try_after: timedelta = timedelta()  # no write earlier in the tick, since the store did not answer

    @property
    def is_busy(self) -> bool:
        """Say whether its handler is still to begin or to end."""
        return self.result is None and not self.is_given_back

    def may_begin(self, now: datetime) -> bool:
        """Say whether its lease is in force, as far as is known: a process can stand still for longer than that."""
        return not self.is_lost and self.job.lease_until is not None and now < self.job.lease_until

    @property
    def stop_reason(self) -> str | None:
        """Say why its handler was asked to stop, if it was."""
        return None if self.context is None else self.context.stop_reason

    def result_of(self, now: datetime, elapsed: timedelta, **said: Any) -> Result:
        """Return the result of its handler, which ends now, so long after the tick began.

        The next try is reckoned from the end, so that is a time of the wall clock. The start is as long before it as
        the handler ran, since that clock may have been put forward or back meanwhile.
        """
        self.ended_after = elapsed
        ran = elapsed - self.began_after
        return Result(started_at=now - ran, ended_at=now, by=self.found.requested_by, **said)

    def ask_to_stop(self, reason: str) -> None:
        """Tell the handler to stop, if it has begun."""
        if self.context is not None:
            self.context.ask_to_stop(reason)


class Workers:
    """Daemon threads that run held jobs one after another; one that hangs is replaced, never waited for.

    `results` is the queue on which each job comes back, with None instead of a result where its lease was lost
    or over before it was begun. `clock` returns the time, `elapsed` how long ago the tick began.
    """

    def __init__(
        self, most: int, handlers: Handlers, clock: Callable[[], datetime], elapsed: Callable[[], timedelta]
    ) -> None:
        self._most = most
        self._handlers = handlers
        self._clock = clock
        self._elapsed = elapsed
        self._threads = 0
        self._waiting: queue.SimpleQueue[Held | None] = queue.SimpleQueue()
        # No SimpleQueue: when a signal interrupts its `get` after the timeout is over, it waits for ever. A process
        # that stood still meanwhile sees just that, and would never hear that it is to end.
        self.results: queue.Queue[tuple[Held, Result | None]] = queue.Queue()

    def start(self, held: Held) -> None:
        """Hand a job to the next free thread."""
        self._waiting.put(held)
        if self._threads < self._most:
            self.add_thread()

    def add_thread(self) -> None:
        """Start one more thread, in the caller's context, so that its log lines carry the trace."""
        self._threads += 1
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(self._work,), daemon=True, name="handler").start()

    def withdraw(self) -> list[Held]:
        """Take back what no thread has begun."""
        withdrawn = []
        with suppress(queue.Empty):
            while held := self._waiting.get_nowait():
                withdrawn.append(held)
        return withdrawn

    def close(self) -> None:
        """Let each thread end after its present job; what is still waiting is not begun."""
        self.withdraw()
        for _ in range(self._threads):
            self._waiting.put(None)

    def _work(self) -> None:
        while held := self._waiting.get():
            self.results.put((held, self._run(held)))
            if held.is_abandoned:
                return  # another thread has taken its place

    def _run(self, held: Held) -> Result | None:
        started_at = self._clock()
        if not held.may_begin(started_at):
            return None
        job = held.job
        held.began_after = self._elapsed()
        held.context = Context(
            job_id=job.id,
            job_type=job.job_type,
            execution_key=job.execution_key,
            attempt=job.attempts + 1,
            schedule_at=job.schedule_at,
            started_at=started_at,
            deadline=started_at + held.limit,
            space=job.space,
            created_by=job.created_by,
        )
        error, final, later = None, False, None
        try:
            run_handler(self._handlers, job, held.context)
        # A handler is the user's code: whatever it raises is a failure of its job and of nothing else.
        except BaseException as exc:
            error, final, later = _judged(exc)
            held.exception = exc if later is None else None
        return held.result_of(self._clock(), self._elapsed(), error=error, final=final, later=later)


def _judged(exc: BaseException) -> tuple[str, bool, timedelta | None]:
    """Return what a handler's exception means: the error as it can be stored, whether it is final, or the pause."""
    name, text = type(exc).__name__, _attempted(lambda: str(exc), "an error without a text that can be read")
    text = text[:MAX_ERROR_CHARACTERS].encode("utf-8", "replace").decode()
    if isinstance(exc, Later):
        delay = _attempted(lambda: exc.delay, None)
        if isinstance(delay, timedelta):
            return text or name, False, delay
        return f"{name} needs a timedelta as its delay, not {type(delay).__name__}", False, None
    if isinstance(exc, NeverAgain):
        return text or name, True, None
    return f"{name}: {text}" if text else name, False, None


def _attempted(read: Callable[[], Any], otherwise: Any) -> Any:
    """Return what is read of a handler's exception, which may raise another one."""
    try:
        return read()
    except BaseException:
        return otherwise


def run_handler(handlers: Handlers, job: Job, context: Context) -> None:
    """Run the job's handler in this thread. Raises what it raises, and LookupError for an unknown job type."""
    handler = handlers.get(job.job_type)
    if handler is None:
        raise LookupError(
            f"no handler is registered for job type {job.job_type!r} (there are: {', '.join(sorted(handlers))}); "
            "add one in agent/handlers.py, or name its module in JOB_HANDLERS"
        )
    if handler.check is not None:
        handler.check(job.payload)
    handler.run(job.payload, context)


def time_limit(handlers: Handlers, job: Job) -> timedelta:
    """Give the time that a run of the job may take."""
    handler = handlers.get(job.job_type)
    return DEFAULT_TIMEOUT if handler is None else handler.limit(job.payload)
