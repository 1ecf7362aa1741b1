"""The threads of a tick: they run the jobs that it holds and return results. They never touch the store."""

import contextvars
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.handlers import DEFAULT_TIMEOUT, Context, Handlers, Later, NeverAgain
from shared.job import Job, Result


@dataclass(eq=False)
class Held:
    """A job that a tick holds, from its claim until its end is stored or refused."""

    found: Job  # as it was before the claim
    job: Job  # the newest version that this holder wrote or read
    limit: timedelta
    renewed_at: datetime
    context: Context | None = None
    exception: BaseException | None = None
    result: Result | None = None
    is_given_back: bool = False  # it was not begun, and another tick shall run it
    is_lost: bool = False  # the lease is another's, or nobody's: whatever comes will be refused
    is_refused: bool = False  # the store cannot hold its result
    is_abandoned: bool = False  # the handler outlived its limit; its thread is left behind
    try_at: datetime | None = None  # no write before this time, since the store did not answer

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

    def ask_to_stop(self, reason: str) -> None:
        """Tell the handler to stop, if it has begun."""
        if self.context is not None:
            self.context.ask_to_stop(reason)


class Workers:
    """Daemon threads that run held jobs one after another; one that hangs is replaced, never waited for.

    `results` is the queue on which each job comes back, with None instead of a result where its lease was lost
    or over before it was begun.
    """

    def __init__(self, most: int, handlers: Handlers, clock: Callable[[], datetime]) -> None:
        self._most = most
        self._handlers = handlers
        self._clock = clock
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
        except Later as exc:
            error, later = _told(exc), getattr(exc, "delay", timedelta())
        except NeverAgain as exc:
            held.exception, error, final = exc, _told(exc), True
        # A handler is the user's code: whatever it raises is a failure of its job and of nothing else.
        except BaseException as exc:
            held.exception, error = exc, _told(exc, type(exc).__name__)
        return Result(
            started_at=started_at,
            ended_at=self._clock(),
            by=held.found.requested_by,
            error=error,
            final=final,
            later=later,
        )


def _told(exc: BaseException, prefix: str = "") -> str:
    """Give the text of a handler's error as it can be stored: even an error can fail to say what it is."""
    try:
        text = str(exc)
    except Exception:
        text = "an error that cannot be told"
    told = f"{prefix}: {text}" if prefix and text else text or type(exc).__name__
    return told.encode("utf-8", "replace").decode()


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
