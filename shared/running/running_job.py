"""A job that a tick holds, from its claim until its end is stored or refused."""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from shared.handlers import Context
from shared.model.history import Result
from shared.model.job import Job


class State(Enum):
    """The state of a running job, which decides what is written about it next."""

    HELD = auto()  # its handler is to begin, or at work: its lease is renewed
    LOST = auto()  # the lease is another's, or nobody's: the result of its handler is refused
    UNBEGUN = auto()  # its handler will not begin here: it is given back, for another tick to run
    ENDED = auto()  # its handler has ended: the result is stored
    TIMED_OUT = auto()  # its handler outlived its limit: it is held to the end, since the thread may still act
    REFUSED = auto()  # the store cannot hold the result: this failure is stored instead
    OVER = auto()  # it is no longer held: a result of its thread is refused
    VANISHED = auto()  # its task is gone from the queue and it never began: it is claimed again


@dataclass(eq=False)
class RunningJob:
    """The job as it was found and as it is now, its state, and what is known of its run.

    Times after the tick began are measured on its monotonic clock. Only the thread of the tick changes the state.
    """

    found: Job  # as it was before the claim
    job: Job  # the newest version that this holder wrote or read
    limit: timedelta
    state: State = State.HELD
    context: Context | None = None  # from when its handler begins
    thread: int | None = None  # that runs its handler
    began_after: timedelta = timedelta()
    ended_after: timedelta = timedelta()
    result: Result | None = None
    exception: BaseException | None = None
    try_after: timedelta = timedelta()  # no write earlier, since the store did not answer

    @property
    def is_asked_about(self) -> bool:
        """Return whether it was handed over earlier, so that its task is looked up and not created."""
        return self.found.handed_over is not None and self.found.lease_token == self.job.lease_token

    @property
    def is_run(self) -> bool:
        """Return whether its handler was begun here; a hand-over is not a run."""
        return self.context is not None and self.job.handed_over is None

    @property
    def is_busy(self) -> bool:
        """Return whether its handler is still to begin or to end."""
        return self.state in (State.HELD, State.LOST)

    @property
    def is_to_end(self) -> bool:
        """Return whether its hold is to end with the next write."""
        return not self.is_busy and self.state is not State.TIMED_OUT

    def may_begin(self, now: datetime) -> bool:
        """Return whether its lease is still in force, as far as is known: a process can be suspended meanwhile."""
        return self.state is State.HELD and self.job.lease_until is not None and now < self.job.lease_until

    def begin(self, now: datetime, elapsed: timedelta) -> Context:
        """Record that its handler begins now, so long after the tick began, and return the handler's context."""
        self.began_after, self.thread = elapsed, threading.get_ident()
        self.context = Context(
            job_id=self.job.id,
            job_type=self.job.job_type,
            execution_key=self.job.execution_key,
            attempt=self.job.attempts + 1,
            schedule_at=self.job.schedule_at,
            started_at=now,
            deadline=now + self.limit,
            space=self.job.space,
            created_by=self.job.created_by,
            timezone=self.job.timezone,
        )
        return self.context

    @property
    def stop_reason(self) -> str | None:
        """Return why its handler was asked to stop, if it was."""
        return None if self.context is None else self.context.stop_reason

    def ask_to_stop(self, reason: str) -> None:
        """Ask the handler to stop, if it has begun."""
        if self.context is not None:
            self.context.ask_to_stop(reason)

    def result_of(self, now: datetime, elapsed: timedelta, **said: Any) -> Result:
        """Return the result of its handler, which ends now, so long after the tick began.

        The delay before a retry counts from the end, so the end is a time of the wall clock. The start is computed from
        it and the duration, since that clock may have been changed meanwhile.
        """
        self.ended_after = elapsed
        ran = elapsed - self.began_after
        return Result(started_at=now - ran, ended_at=now, by=self.found.requested_by, **said)
