"""The threads that run jobs, or hand them over to a queue, and return results. They never touch the store."""

import contextvars
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from shared.handlers import DEFAULT_TIMEOUT, Cancel, Context, Handlers, Snooze
from shared.logs import job_fields
from shared.model.history import Result, output_of
from shared.model.job import Job
from shared.model.life import MAX_ERROR_CHARACTERS
from shared.running.running_job import RunningJob
from shared.running.tasks import TaskRefused, Tasks, TaskState
from shared.running.traces import trace_of
from shared.running.write import log_job

TRY_TO_HAND_OVER_AGAIN = timedelta(minutes=1)

Returned = Result | TaskState | None


class Workers:
    """Daemon threads that run jobs one after another; a thread that hangs is replaced, never waited for.

    Jobs of the same lane (see `concurrency_key`) run one at a time, in the order in which they were started. Each job
    comes back on the queue `results`: with a result, with the result of its hand-over, or with None if its lease was
    lost or over before it was begun. `clock` returns the time, `elapsed` how long ago the tick began.
    """

    def __init__(
        self,
        most: int,
        handlers: Handlers,
        tasks: Tasks,
        clock: Callable[[], datetime],
        elapsed: Callable[[], timedelta],
    ) -> None:
        self._most = most
        self._handlers = handlers
        self._tasks = tasks
        self._clock = clock
        self._elapsed = elapsed
        self._threads = 0
        self._left_behind: set[RunningJob] = set()
        self._lanes: dict[Hashable, deque[RunningJob]] = {}  # of a busy lane: the jobs that wait behind it
        self._waiting: queue.SimpleQueue[RunningJob | None] = queue.SimpleQueue()
        # Not a SimpleQueue: when a signal interrupts its `get` after the timeout is over, it waits for ever. That
        # happens to a process that was suspended meanwhile, which would then never learn that it is to end.
        self.results: queue.Queue[tuple[RunningJob, Returned]] = queue.Queue()

    def start(self, running: RunningJob) -> None:
        """Give a job to the next free thread, or let it wait for the one before it in its lane."""
        lane = self._lane(running)
        if lane in self._lanes:
            self._lanes[lane].append(running)
            return
        if lane is not None:
            self._lanes[lane] = deque()
        self._put(running)

    def ended(self, running: RunningJob) -> None:
        """Start the job that waits behind one that has ended, or was left behind."""
        lane = self._lane(running)
        if self._lanes.get(lane):
            self._put(self._lanes[lane].popleft())
        else:
            self._lanes.pop(lane, None)

    @property
    def behind(self) -> int:
        """Return how many jobs wait for another one of their lane, and so take no thread."""
        return sum(map(len, self._lanes.values()))

    @property
    def left_behind(self) -> frozenset[str]:
        """Return the ids of the jobs whose threads were left behind."""
        return frozenset(running.job.id for running in self._left_behind)

    def _lane(self, running: RunningJob) -> Hashable:
        handler = self._handlers.get(running.job.job_type)
        is_here = handler is not None and running.job.handed_over is None
        return handler.lane(running.job.payload) if handler is not None and is_here else None

    def _put(self, running: RunningJob) -> None:
        self._waiting.put(running)
        if self._threads < self._most:
            self.add_thread()

    def add_thread(self) -> None:
        """Start one more thread, in the caller's context, so that its log lines carry the trace."""
        self._threads += 1
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(self._work,), daemon=True, name="handler").start()

    def withdraw(self) -> list[RunningJob]:
        """Remove and return the jobs that no thread has begun."""
        withdrawn = [running for lane in self._lanes.values() for running in lane]
        for lane in self._lanes.values():
            lane.clear()
        with suppress(queue.Empty):
            while running := self._waiting.get_nowait():
                withdrawn.append(running)
        return withdrawn

    def close(self) -> None:
        """End each thread after its present job; waiting jobs are not begun."""
        self.withdraw()
        for _ in range(self._threads):
            self._waiting.put(None)

    def leave_behind(self, running: RunningJob) -> None:
        """Leave the thread that runs this job to itself; another one takes its place."""
        self._left_behind.add(running)
        self.add_thread()
        self.ended(running)

    def _work(self) -> None:
        while running := self._waiting.get():
            self.results.put((running, self._run(running)))
            if running in self._left_behind:
                return

    def _run(self, running: RunningJob) -> Returned:
        now = self._clock()
        if not running.may_begin(now):
            return None
        context = running.begin(now, self._elapsed())
        if running.job.handed_over is not None:
            return self._hand_over(running)
        error, trace, output, final, later = None, None, None, False, None
        with_job = job_fields.set(running.job.log_context())
        try:
            output = output_of(run_handler(self._handlers, running.job, context))
        # A handler is the user's code: an exception of any kind is a failure of its job alone.
        except BaseException as exc:
            error, final, later = _judged(exc)
            if later is None:
                running.exception, trace = exc, trace_of(exc)
        finally:
            job_fields.reset(with_job)
        said = {"error": error, "trace": trace, "output": output, "final": final, "later": later}
        return running.result_of(self._clock(), self._elapsed(), **said)

    def _hand_over(self, running: RunningJob) -> Result | TaskState:
        """Create the job's task, or look up the one that was created earlier."""
        try:
            return self._tasks.find(running.job) if running.is_asked_about else self._tasks.create(running.job)
        except TaskRefused as exc:
            error = f"could not be handed over: {exc}"
            log_job(logging.ERROR, "task_refused", running.job, error)
            return running.result_of(self._clock(), self._elapsed(), error=error, later=TRY_TO_HAND_OVER_AGAIN)


def _judged(exc: BaseException) -> tuple[str, bool, timedelta | None]:
    """Return what a handler's exception means: the error as it can be stored, whether it is final, or the delay."""
    name, text = type(exc).__name__, _attempted(lambda: str(exc), "an error without a readable text")
    text = text[:MAX_ERROR_CHARACTERS].encode("utf-8", "replace").decode()
    if isinstance(exc, Snooze):
        delay = _attempted(lambda: exc.delay, None)
        if isinstance(delay, timedelta):
            return text or name, False, delay
        return f"{name} needs a timedelta as its delay, not {type(delay).__name__}", False, None
    if isinstance(exc, Cancel):
        return text or name, True, None
    return f"{name}: {text}" if text else name, False, None


def _attempted(read: Callable[[], Any], otherwise: Any) -> Any:
    """Return what is read from a handler's exception, which may itself raise another one."""
    try:
        return read()
    except BaseException:
        return otherwise


def run_handler(handlers: Handlers, job: Job, context: Context) -> object:
    """Run the job's handler in this thread, and return its result.

    Raises what it raises, and LookupError for an unknown job type.
    """
    handler = handlers.get(job.job_type)
    if handler is None:
        raise LookupError(
            f"no handler is registered for job type {job.job_type!r} (choose one of {', '.join(sorted(handlers))}); "
            "add one in agent/handlers.py, or name its module in JOB_HANDLERS"
        )
    if handler.check is not None:
        handler.check(job.payload)
    return handler.run(job.payload, context)


def time_limit(handlers: Handlers, job: Job, most: timedelta) -> timedelta:
    """Return the time that a run of the job may take, at most `most`."""
    handler = handlers.get(job.job_type)
    return min(DEFAULT_TIMEOUT if handler is None else handler.limit(job.payload), most)
