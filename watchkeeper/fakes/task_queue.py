"""The rules of a queue of Cloud Tasks, without server or clock: when a task is dispatched, and when it is retried.

https://cloud.google.com/tasks/docs/reference/rest/v2/projects.locations.queues
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

RESERVED = timedelta(hours=24)  # until the name of a task that has ended is free again
MOST_PER_SECOND, MOST_CONCURRENT = 500, 5000
SLOWEST = 16  # 429 and 503 divide the rate by at most this
MOST_SECONDS = 10**9  # of any duration
SLOW_DOWN = (429, 503)


class InvalidQueue(ValueError):
    """A queue cannot have this configuration; the message names the field."""


@dataclass(frozen=True, kw_only=True)
class RateLimits:
    """The tasks that a queue dispatches at once and in a second. The defaults are those of Cloud Tasks."""

    max_concurrent: int = 1000
    max_per_second: float = MOST_PER_SECOND

    @classmethod
    def of(cls, resource: Mapping[str, Any]) -> "RateLimits":
        """Read `rateLimits`. Raises InvalidQueue."""
        limits = cls(
            max_concurrent=int(resource.get("maxConcurrentDispatches") or cls.max_concurrent),
            max_per_second=resource.get("maxDispatchesPerSecond") or cls.max_per_second,
        )
        if not 0 < limits.max_per_second <= MOST_PER_SECOND:
            raise InvalidQueue(f"Queue.rateLimits.maxDispatchesPerSecond must be in (0, {MOST_PER_SECOND}].")
        if not 0 < limits.max_concurrent <= MOST_CONCURRENT:
            raise InvalidQueue(f"Queue.rateLimits.maxConcurrentDispatches must be in [1, {MOST_CONCURRENT}].")
        return limits

    @property
    def burst(self) -> int:
        """Return the number of tasks that an idle queue can dispatch at once."""
        return max(1, math.ceil(self.max_per_second))

    def resource(self) -> dict[str, Any]:
        """Return `rateLimits`."""
        return {
            "maxDispatchesPerSecond": self.max_per_second,
            "maxBurstSize": self.burst,
            "maxConcurrentDispatches": self.max_concurrent,
        }


@dataclass(frozen=True, kw_only=True)
class RetryConfig:
    """The retries of a failed attempt. The defaults are those of Cloud Tasks."""

    max_attempts: int = 100  # -1: no limit
    max_duration: timedelta = timedelta()  # from the first attempt; zero: no limit
    min_backoff: timedelta = timedelta(milliseconds=100)
    max_backoff: timedelta = timedelta(hours=1)
    max_doublings: int = 16

    @classmethod
    def of(cls, resource: Mapping[str, Any]) -> "RetryConfig":
        """Read `retryConfig`. Raises InvalidQueue."""
        retry = cls(
            max_attempts=int(resource.get("maxAttempts") or cls.max_attempts),
            max_duration=duration(resource.get("maxRetryDuration"), cls.max_duration),
            min_backoff=duration(resource.get("minBackoff"), cls.min_backoff),
            max_backoff=duration(resource.get("maxBackoff"), cls.max_backoff),
            max_doublings=int(resource.get("maxDoublings", cls.max_doublings)),
        )
        if retry.max_attempts < -1:
            raise InvalidQueue("Queue.retryConfig.maxAttempts must be greater than or equal to -1.")
        if not timedelta() <= retry.min_backoff <= retry.max_backoff:
            raise InvalidQueue("Queue.retryConfig.minBackoff must be in [0s, maxBackoff].")
        return retry

    def pause_after(self, attempts: int) -> timedelta:
        """Return the pause after this number of attempts: it doubles, then grows by equal steps, up to the longest."""
        doublings = min(attempts - 1, self.max_doublings)
        steps = max(attempts - self.max_doublings, 1)
        longest = self.max_backoff / self.min_backoff if self.min_backoff else 0
        return self.min_backoff * min(2.0**doublings * steps, longest)

    def gives_up(self, attempts: int, since_first: timedelta) -> bool:
        """Return whether no attempt is left. If both limits are set, both must be reached."""
        is_spent = self.max_attempts != -1 and attempts >= self.max_attempts
        if not self.max_duration:
            return is_spent
        return since_first >= self.max_duration and (is_spent or self.max_attempts == -1)

    def resource(self) -> dict[str, Any]:
        """Return `retryConfig`."""
        limit = {"maxRetryDuration": seconds(self.max_duration)} if self.max_duration else {}
        return {
            "maxAttempts": self.max_attempts,
            **limit,
            "minBackoff": seconds(self.min_backoff),
            "maxBackoff": seconds(self.max_backoff),
            "maxDoublings": self.max_doublings,
        }


@dataclass(frozen=True, kw_only=True)
class AttemptResult:
    """The end of an attempt: the HTTP status of the worker, or the reason in `failure`."""

    status: int = 0
    failure: str = ""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


@dataclass(kw_only=True, eq=False)
class Task:
    """A task and its attempts so far. `running` counts those without a response yet."""

    id: str
    url: str
    method: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    account: str  # "" for a request without a token
    audience: str
    deadline: timedelta
    created_at: datetime
    due_at: datetime
    dispatches: int = 0
    responses: int = 0
    executions: int = 0  # responses other than 5xx
    running: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    last_ended_at: datetime | None = None
    last: AttemptResult | None = None


class TaskQueue:
    """The tasks of one queue, by id. Every rule takes the time as an argument."""

    def __init__(self, limits: RateLimits, retry: RetryConfig) -> None:
        self.limits = limits
        self.retry = retry
        self.is_paused = False
        self.tasks: dict[str, Task] = {}
        self.purged_at: datetime | None = None
        self.done = 0
        self._ended: dict[str, datetime] = {}
        self._running = 0
        self._slowness = 1  # the rate is divided by this
        self._tokens = float(limits.burst)
        self._filled_at: datetime | None = None

    def configure(self, limits: RateLimits, retry: RetryConfig) -> None:
        """Replace the limits; scheduled tasks keep their times."""
        self.limits, self.retry = limits, retry

    def has_had(self, task_id: str, now: datetime) -> bool:
        """Return whether the name is still blocked by a task that ended recently."""
        ended_at = self._ended.get(task_id)
        return ended_at is not None and now < ended_at + RESERVED

    def add(self, task: Task) -> None:
        """Add a task whose name is free."""
        self.tasks[task.id] = task

    def remove(self, task_id: str, now: datetime) -> None:
        """Remove a task. A running attempt goes on, and its result does not count."""
        del self.tasks[task_id]
        self._ended[task_id] = now

    def purge(self, now: datetime) -> None:
        """Remove all tasks."""
        self.purged_at = now
        for task_id in list(self.tasks):
            self.remove(task_id, now)

    # -- dispatching ---------------------------------------------------------------------------------------------------

    def next_task(self, now: datetime) -> Task | None:
        """Return the task to dispatch now, or None if none is due or the limits allow none."""
        self._fill(now)
        if self.is_paused or self._running >= self.limits.max_concurrent or self._tokens < 1:
            return None
        return min((task for task in self._waiting() if task.due_at <= now), key=_by_time, default=None)

    def pause(self, now: datetime) -> timedelta | None:
        """Return the time until the next dispatch; None if only another event can cause one."""
        following = min(self._waiting(), key=_by_time, default=None)
        if following is None or self.is_paused or self._running >= self.limits.max_concurrent:
            return None
        until_token = timedelta(seconds=max(1 - self._tokens, 0) / self._rate())
        return max(following.due_at - now, until_token)

    def begin(self, task: Task, now: datetime) -> None:
        """Record the beginning of an attempt."""
        self._fill(now)
        self._tokens -= 1
        self._running += 1
        task.running += 1
        task.dispatches += 1
        task.first_at = task.first_at or now
        task.last_at, task.last_ended_at = now, None

    def end(self, task: Task, answer: AttemptResult, now: datetime) -> None:
        """Record the end of an attempt, and schedule the next one or remove the task."""
        self._fill(now)
        self._running -= 1
        task.running -= 1
        task.last, task.last_ended_at = answer, now
        task.responses += answer.status > 0
        task.executions += 0 < answer.status < 500
        self._slowness = min(self._slowness * 2, SLOWEST) if answer.status in SLOW_DOWN else max(self._slowness // 2, 1)
        if self.tasks.get(task.id) is not task:
            return  # deleted, purged, or done by another delivery
        if answer.is_success or self.retry.gives_up(task.dispatches, now - (task.first_at or now)):
            self.done += answer.is_success
            self.remove(task.id, now)
        else:
            task.due_at = now + self.retry.pause_after(task.dispatches)

    def _waiting(self) -> Iterable[Task]:
        return (task for task in self.tasks.values() if not task.running)

    def _fill(self, now: datetime) -> None:
        passed = max(now - (self._filled_at or now), timedelta())
        self._tokens = min(self._tokens + passed.total_seconds() * self._rate(), self.limits.burst)
        self._filled_at = now

    def _rate(self) -> float:
        return self.limits.max_per_second / self._slowness


def duration(text: str | None, default: timedelta) -> timedelta:
    """Read a duration in the API's format, such as 3.5s."""
    return timedelta(seconds=min(float(text.removesuffix("s")), MOST_SECONDS)) if text else default


def seconds(length: timedelta) -> str:
    """Return a duration in the API's format."""
    return f"{length.total_seconds():g}s"


def _by_time(task: Task) -> tuple[datetime, datetime]:
    return task.due_at, task.created_at
